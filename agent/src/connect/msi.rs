//! Reads an installer without running it: what product and version it is, whether it is signed, and its hash.
//! The file may be anything: a download that stopped, an error page, a file made to harm.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use syncferry_shared::inventory::InstallerFacts;

use super::msi_lengths;

/// Longer than any installer: nothing that claims to be one is read further.
const LONGEST: u64 = 4 << 30;
/// Rows of the property table that are looked at.
const MOST_PROPERTIES: usize = 10_000;

/// Why a file is no installer that we can read.
#[derive(Debug, thiserror::Error)]
pub enum MsiError {
    /// It cannot be read.
    #[error("{path} cannot be read: {error}; check the path and that the agent's account may read it")]
    Io {
        /// Which.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is no package.
    #[error(
        "{path} is not a Windows Installer package, or is damaged ({reason}); download it again and compare its hash"
    )]
    NotAPackage {
        /// Which.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A property is missing.
    #[error(
        "{path} is a Windows Installer package without {property}; it is not the installer of Microsoft Entra Connect"
    )]
    Missing {
        /// Which.
        path: String,
        /// Which property.
        property: &'static str,
    },
}

/// Reads an installer. `path` is how people name it, `local` where this process finds it.
pub fn read(path: &str, local: &Path) -> Result<InstallerFacts, MsiError> {
    let file = File::open(local).map_err(|error| MsiError::Io {
        path: path.to_string(),
        error,
    })?;
    read_from(path, file)
}

/// Reads an installer from wherever its bytes are. `path` is how people name it.
pub fn read_from(path: &str, mut file: impl Read + Seek) -> Result<InstallerFacts, MsiError> {
    let io = |error| MsiError::Io {
        path: path.to_string(),
        error,
    };
    let size = file.seek(SeekFrom::End(0)).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    if size > LONGEST {
        return Err(MsiError::NotAPackage {
            path: path.to_string(),
            reason: format!("it has {size} bytes"),
        });
    }
    let hash = hash(&mut file).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let properties = properties(path, file)?;
    let need = |property: &'static str| {
        properties.get(property).ok_or(MsiError::Missing {
            path: path.to_string(),
            property,
        })
    };
    Ok(InstallerFacts {
        path: path.to_string(),
        size,
        hash,
        product_name: need("ProductName")?,
        product_version: need("ProductVersion")?,
        product_code: need("ProductCode")?,
        upgrade_code: properties.get("UpgradeCode"),
        manufacturer: properties.get("Manufacturer"),
        has_signature: properties.signed,
        signature_trusted: None,
    })
}

struct Properties {
    rows: Vec<(String, String)>,
    signed: bool,
}

impl Properties {
    fn get(&self, name: &str) -> Option<String> {
        let row = self.rows.iter().find(|(k, v)| k == name && !v.is_empty());
        row.map(|(_, v)| v.clone())
    }
}

fn properties(path: &str, file: impl Read + Seek) -> Result<Properties, MsiError> {
    let not_a_package = |reason: String| MsiError::NotAPackage {
        path: path.to_string(),
        reason,
    };
    // The reader is meant for good packages; some bad ones make it panic.
    let read = || {
        let mut file = file;
        msi_lengths::check(&mut file)?;
        file.seek(SeekFrom::Start(0))?;
        table(file)
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|e| not_a_package(e.to_string())),
        Err(_) => Err(not_a_package("its tables contradict each other".into())),
    }
}

fn table(file: impl Read + Seek) -> std::io::Result<Properties> {
    let mut package = msi::Package::open(file)?;
    let signed = package.has_digital_signature();
    if !package.has_table("Property") {
        return Err(std::io::Error::other("it has no property table"));
    }
    let rows = package.select_rows(msi::Select::table("Property"))?;
    let text = |row: &msi::Row, column: usize| {
        let value = (column < row.len()).then(|| &row[column]);
        value.and_then(msi::Value::as_str).unwrap_or_default().to_string()
    };
    let rows = rows
        .take(MOST_PROPERTIES)
        .map(|row| (text(&row, 0), text(&row, 1)))
        .collect();
    Ok(Properties { rows, signed })
}

fn hash(file: &mut impl Read) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            n => hasher.update(&buffer[..n]),
        };
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Write as _};

    /// A small package with the given properties.
    pub(crate) fn package(properties: &[(&str, &str)]) -> Vec<u8> {
        let mut package = msi::Package::create(msi::PackageType::Installer, Cursor::new(Vec::new())).unwrap();
        let columns = vec![
            msi::Column::build("Property").primary_key().id_string(72),
            msi::Column::build("Value").nullable().text_string(0),
        ];
        package.create_table("Property", columns).unwrap();
        let rows = properties
            .iter()
            .map(|(k, v)| vec![msi::Value::from(*k), msi::Value::from(*v)]);
        package
            .insert_rows(msi::Insert::into("Property").rows(rows.collect()))
            .unwrap();
        package.into_inner().unwrap().into_inner()
    }

    pub(crate) const CONNECT: &[(&str, &str)] = &[
        ("ProductName", "Microsoft Entra Connect Sync"),
        ("ProductVersion", "2.5.79.0"),
        ("ProductCode", "{4F1B7C2E-0000-4000-8000-000000000001}"),
        ("UpgradeCode", "{4F1B7C2E-0000-4000-8000-000000000002}"),
        ("Manufacturer", "Microsoft Corporation"),
    ];

    fn read_bytes(bytes: &[u8]) -> Result<InstallerFacts, MsiError> {
        read_from(r"D:\x.msi", Cursor::new(bytes))
    }

    #[test]
    fn a_package_is_read_without_running_it() {
        let bytes = package(CONNECT);
        let facts = read_bytes(&bytes).unwrap();
        assert_eq!(facts.product_version, "2.5.79.0");
        assert_eq!(facts.manufacturer.as_deref(), Some("Microsoft Corporation"));
        assert_eq!(facts.hash, blake3::hash(&bytes).to_hex().to_string());
        assert_eq!((facts.path.as_str(), facts.has_signature), (r"D:\x.msi", false));
    }

    #[test]
    fn what_is_no_installer_is_said_so() {
        let e = read_bytes(b"<html>sign in</html>").unwrap_err().to_string();
        assert!(
            e.starts_with(r"D:\x.msi is not a Windows Installer package, or is damaged ("),
            "{e}"
        );
        let e = read_bytes(&package(&CONNECT[..2])).unwrap_err().to_string();
        assert!(e.contains("without ProductCode"), "{e}");
        let e = read(r"D:\no.msi", Path::new("/nowhere/x.msi")).unwrap_err().to_string();
        assert!(e.starts_with(r"D:\no.msi cannot be read"), "{e}");
    }

    #[test]
    fn a_string_that_is_longer_than_the_package_is_refused_before_memory_is_taken() {
        let mut package = msi::Package::open(Cursor::new(package(CONNECT))).unwrap();
        package.summary_info_mut().set_subject("a subject to be found");
        package.flush().unwrap();
        let good = package.into_inner().unwrap().into_inner();
        assert!(read_bytes(&good).is_ok());
        let mut file = cfb::CompoundFile::open(Cursor::new(good)).unwrap();
        let mut summary = file.open_stream("\u{5}SummaryInformation").unwrap();
        let mut bytes = Vec::new();
        summary.read_to_end(&mut bytes).unwrap();
        // The length stands before the text.
        let at = bytes.windows(9).position(|w| w == b"a subject").unwrap() as u64;
        summary.seek(SeekFrom::Start(at - 4)).unwrap();
        summary.write_all(&u32::MAX.to_le_bytes()).unwrap();
        drop(summary);
        let bad = file.into_inner().into_inner();
        let e = read_bytes(&bad).unwrap_err().to_string();
        assert!(e.contains("longer than the summary"), "{e}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn garbage_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            prop_assert!(read_bytes(&bytes).is_err());
        }

        #[test]
        fn a_damaged_package_is_an_error_or_says_something(at in any::<prop::sample::Index>(), flip in 1..=255_u8, cut in any::<bool>()) {
            let mut bytes = package(CONNECT);
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
            let _ = read_bytes(&bytes);
        }
    }
}
