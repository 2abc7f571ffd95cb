//! Makes installers: real `.msi` files with Connect's names and codes and a payload of noise, so that hashing, copying and
//! reading them is real work. Their signature is the lab's own and proves nothing outside it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use ::msi::{Column, Expr, Insert, Package, PackageType, Select, Value};
use blake3::Hasher;
use uuid::Uuid;

use super::host::layout::UPGRADE_WIZARD;
use super::host::products::{Product, braced};

const SIGNATURE_STREAM: &str = "\u{5}DigitalSignature";
const SIGNATURE_MARK: &str = "syncferry-lab-signature:";
const PAYLOAD_STREAM: &str = "cab1.cab";

/// An installer to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MsiSpec {
    /// `ProductName`.
    pub product_name: String,
    /// `ProductVersion`.
    pub version: String,
    /// `UpgradeCode`.
    pub upgrade_code: String,
    /// `Manufacturer`.
    pub manufacturer: String,
    /// Bytes of payload.
    pub payload: usize,
    /// Whether it is signed.
    pub signed: bool,
}

impl MsiSpec {
    /// `AzureADConnect.msi` of a version, with 6 MiB of payload.
    pub fn connect(version: &str) -> MsiSpec {
        MsiSpec {
            product_name: "Microsoft Entra Connect Sync".into(),
            version: version.into(),
            upgrade_code: UPGRADE_WIZARD.into(),
            manufacturer: "Microsoft Corporation".into(),
            payload: 6 << 20,
            signed: true,
        }
    }

    /// The same as it was named before the product was renamed.
    pub fn azure_ad_connect(version: &str) -> MsiSpec {
        MsiSpec {
            product_name: "Microsoft Azure AD Connect".into(),
            ..MsiSpec::connect(version)
        }
    }

    /// Something else entirely.
    pub fn other_product() -> MsiSpec {
        MsiSpec {
            product_name: "Contoso Print Helper".into(),
            version: "1.4.0.0".into(),
            upgrade_code: "{6B1A1F0E-0F3A-4B0E-9C1B-6C5E1C7D8A90}".into(),
            manufacturer: "Contoso Ltd".into(),
            payload: 64 << 10,
            signed: false,
        }
    }

    /// `ProductCode`: another one for each version, the same one each time.
    pub fn product_code(&self) -> String {
        let mut digest = [0; 16];
        digest.copy_from_slice(
            &blake3::hash(format!("{}{}", self.upgrade_code, self.version).as_bytes()).as_bytes()[..16],
        );
        braced(&uuid::Builder::from_random_bytes(digest).into_uuid().to_string())
    }

    /// Writes it.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        let mut package = Package::create(PackageType::Installer, file)?;
        self.fill(&mut package)?;
        drop(package.into_inner()?);
        if self.signed {
            sign(path)?;
        }
        Ok(())
    }

    fn fill(&self, package: &mut Package<File>) -> io::Result<()> {
        let summary = package.summary_info_mut();
        summary.set_title("Installation Database");
        summary.set_subject(self.product_name.as_str());
        summary.set_author(self.manufacturer.as_str());
        summary.set_arch("x64");
        summary.set_uuid(Uuid::now_v7());
        summary.set_creating_application("Windows Installer XML Toolset (3.14.0.8606)");
        let columns = vec![
            Column::build("Property").primary_key().id_string(72),
            Column::build("Value").text_string(0),
        ];
        package.create_table("Property", columns)?;
        let code = self.product_code();
        let properties = [
            ("ProductName", self.product_name.as_str()),
            ("ProductVersion", &self.version),
            ("ProductCode", &code),
            ("UpgradeCode", &self.upgrade_code),
            ("Manufacturer", &self.manufacturer),
            ("ProductLanguage", "1033"),
            ("ALLUSERS", "1"),
        ];
        let rows = properties.map(|(name, value)| vec![Value::from(name), Value::from(value)]);
        package.insert_rows(Insert::into("Property").rows(rows.to_vec()))?;
        let mut stream = package.write_stream(PAYLOAD_STREAM)?;
        let mut noise = Hasher::new().update(self.version.as_bytes()).finalize_xof();
        let mut left = self.payload;
        let mut block = [0; 64 << 10];
        while left > 0 {
            let part = left.min(block.len());
            noise.fill(&mut block[..part]);
            stream.write_all(&block[..part])?;
            left -= part;
        }
        Ok(())
    }
}

/// Cuts a file off in the middle, as a broken download does.
pub fn truncate(path: &Path) -> io::Result<()> {
    let file = fs::OpenOptions::new().write(true).open(path)?;
    let length = file.metadata()?.len();
    file.set_len(length / 3)
}

/// Reads who an installer is.
pub fn read_product(path: &Path) -> io::Result<Product> {
    let mut package = ::msi::open(path)?;
    let mut property = |name: &str| -> io::Result<String> {
        let query = Select::table("Property")
            .columns(&["Value"])
            .with(Expr::col("Property").eq(Expr::string(name)));
        let row = package.select_rows(query)?.next();
        let value = row.and_then(|r| r[0].as_str().map(str::to_string));
        value.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the package has no property {name}"),
            )
        })
    };
    Ok(Product {
        name: property("ProductName")?,
        version: property("ProductVersion")?,
        product_code: braced(&property("ProductCode")?),
        upgrade_code: braced(&property("UpgradeCode")?),
        manufacturer: property("Manufacturer")?,
    })
}

/// Whether the lab's signature in a file is that of its content; `None` where there is no signature.
pub fn signature_trusted(path: &Path) -> io::Result<Option<bool>> {
    let Ok(mut compound) = cfb::open(path) else {
        return Ok(None);
    };
    let name = Path::new("/").join(SIGNATURE_STREAM);
    if !compound.is_stream(&name) {
        return Ok(None);
    }
    let mut signature = String::new();
    let read = compound.open_stream(&name)?.read_to_string(&mut signature);
    drop(compound);
    // A signature that cannot be read is one of somebody else.
    Ok(Some(
        read.is_ok() && signature == format!("{SIGNATURE_MARK}{}", content_digest(path)?),
    ))
}

fn sign(path: &Path) -> io::Result<()> {
    let digest = content_digest(path)?;
    let mut compound = cfb::open_rw(path)?;
    let mut stream = compound.create_stream(Path::new("/").join(SIGNATURE_STREAM))?;
    stream.write_all(format!("{SIGNATURE_MARK}{digest}").as_bytes())?;
    stream.flush()?;
    drop(stream);
    compound.flush()
}

/// Over what makes the product and over the payload.
fn content_digest(path: &Path) -> io::Result<String> {
    let product = read_product(path)?;
    let mut hasher = Hasher::new();
    for part in [
        &product.name,
        &product.version,
        &product.product_code,
        &product.upgrade_code,
        &product.manufacturer,
    ] {
        hasher.update(part.as_bytes()).update(b"\n");
    }
    let mut package = ::msi::open(path)?;
    let mut payload = package.read_stream(PAYLOAD_STREAM)?;
    let mut block = vec![0; 64 << 10];
    loop {
        match payload.read(&mut block)? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            n => hasher.update(&block[..n]),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installers_are_read_back_by_the_public_crate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("AzureADConnect.msi");
        let spec = MsiSpec::connect("2.6.91.0");
        spec.write(&path).unwrap();
        let mut package = ::msi::open(&path).unwrap();
        assert!(package.has_digital_signature());
        assert_eq!(package.summary_info().arch(), Some("x64"));
        let rows: Vec<_> = package.select_rows(Select::table("Property")).unwrap().collect();
        assert_eq!(rows.len(), 7);
        let product = read_product(&path).unwrap();
        assert_eq!(
            (product.name.as_str(), product.version.as_str()),
            ("Microsoft Entra Connect Sync", "2.6.91.0")
        );
        assert_eq!(product.product_code, spec.product_code());
        assert_ne!(product.product_code, MsiSpec::connect("2.6.92.0").product_code());
        assert_eq!(signature_trusted(&path).unwrap(), Some(true));
        assert!(fs::metadata(&path).unwrap().len() > 6 << 20);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.msi");
        MsiSpec::other_product().write(&path).unwrap();
        assert_eq!(signature_trusted(&path).unwrap(), None);
        assert_eq!(read_product(&path).unwrap().manufacturer, "Contoso Ltd");
        MsiSpec::azure_ad_connect("2.5.79.0").write(&path).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        // In the middle of the payload.
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(signature_trusted(&path).unwrap(), Some(false));
        truncate(&path).unwrap();
        assert!(read_product(&path).is_err());
    }
}
