//! The controller's long-lived keys on disk: made at the first start, checked at every other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use syncferry_proto::transport::private_file::{self, PrivateFileError};
use syncferry_shared::Millis;
use syncferry_shared::secret::Secret;

use super::ca::{Authority, AuthorityError};
use super::ticket::{TicketKeyError, TicketSigner};

const DIRECTORY: &str = "identity";
const CA_CERT: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const TICKET_KEY: &str = "ticket.key";

/// The authority and the ticket key.
#[derive(Debug)]
pub struct Keys {
    /// Issues certificates.
    pub authority: Authority,
    /// Signs transfer tickets.
    pub tickets: TicketSigner,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read or written, or is open to others.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The folder cannot be put in place.
    #[error("cannot put {} in place: {source}", path.display())]
    Place {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the folder is gone.
    #[error(
        "{} is missing although {} exists: restore the folder from a backup. (Removing the whole folder makes a new \
         authority; every agent and operator must then enrol anew)", path.display(), directory.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// Its folder.
        directory: PathBuf,
    },
    /// The authority's files do not fit.
    #[error("{}: {source}", path.display())]
    Authority {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        source: AuthorityError,
    },
    /// The ticket key does not work.
    #[error("{}: {source}", path.display())]
    Ticket {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TicketKeyError,
    },
}

impl Keys {
    /// Loads the keys from a data directory, or makes them when it has none.
    pub fn open(data: &Path, now: Millis) -> Result<Self, KeysError> {
        let directory = data.join(DIRECTORY);
        if !directory.exists() {
            create(&directory, now)?;
            tracing::info!(path = %directory.display(), "made a new authority; include this folder in backups");
        }
        Self::load(&directory)
    }

    fn load(directory: &Path) -> Result<Self, KeysError> {
        private_file::check_directory(directory)?;
        let path = directory.to_path_buf();
        let certificate = public(directory, CA_CERT)?;
        let authority = Authority::from_pem(&certificate, &secret(directory, CA_KEY)?)
            .map_err(|source| KeysError::Authority { path, source })?;
        let path = directory.join(TICKET_KEY);
        let tickets = TicketSigner::from_pem(&secret(directory, TICKET_KEY)?)
            .map_err(|source| KeysError::Ticket { path, source })?;
        Ok(Self { authority, tickets })
    }
}

/// Makes the folder under another name and renames it, so that a crash leaves all of it or nothing.
fn create(directory: &Path, now: Millis) -> Result<(), KeysError> {
    let place = |source| KeysError::Place {
        path: directory.to_path_buf(),
        source,
    };
    let new = directory.with_extension("new");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(place)?;
    }
    private_file::create_directory(&new)?;
    let authority = |source| KeysError::Authority {
        path: directory.to_path_buf(),
        source,
    };
    let ticket = |source| KeysError::Ticket {
        path: directory.join(TICKET_KEY),
        source,
    };
    let (ca_pem, ca_key) = Authority::generate(now).map_err(authority)?;
    private_file::write(&new.join(CA_CERT), &ca_pem)?;
    private_file::write(&new.join(CA_KEY), ca_key.reveal())?;
    private_file::write(
        &new.join(TICKET_KEY),
        TicketSigner::generate().map_err(ticket)?.reveal(),
    )?;
    fs::rename(&new, directory).map_err(place)
}

fn secret(directory: &Path, name: &str) -> Result<Secret, KeysError> {
    let path = present(directory, name)?;
    Ok(Secret::new(private_file::read(&path)?))
}

/// The certificate is no secret: its mode is not checked, so that it can be handed out.
fn public(directory: &Path, name: &str) -> Result<String, KeysError> {
    let path = present(directory, name)?;
    fs::read_to_string(&path).map_err(|source| {
        PrivateFileError::Io {
            verb: "read",
            path,
            source,
        }
        .into()
    })
}

fn present(directory: &Path, name: &str) -> Result<PathBuf, KeysError> {
    let path = directory.join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(KeysError::Missing {
            path,
            directory: directory.to_path_buf(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_790_000_000_000);

    #[test]
    fn are_made_once() {
        let data = tempfile::tempdir().unwrap();
        let first = Keys::open(data.path(), NOW).unwrap();
        let again = Keys::open(data.path(), NOW).unwrap();
        assert_eq!(first.authority.fingerprint(), again.authority.fingerprint());
        assert_eq!(first.tickets.public_key(), again.tickets.public_key());
    }

    #[test]
    fn what_a_crash_left_is_swept_away() {
        let data = tempfile::tempdir().unwrap();
        private_file::create_directory(&data.path().join("identity.new")).unwrap();
        fs::write(data.path().join("identity.new/ca.key"), "half").unwrap();
        Keys::open(data.path(), NOW).unwrap();
        assert!(!data.path().join("identity.new").exists());
    }

    #[test]
    fn a_missing_file_is_not_replaced() {
        for name in [CA_CERT, CA_KEY, TICKET_KEY] {
            let data = tempfile::tempdir().unwrap();
            Keys::open(data.path(), NOW).unwrap();
            fs::remove_file(data.path().join("identity").join(name)).unwrap();
            let error = Keys::open(data.path(), NOW).unwrap_err();
            assert!(matches!(error, KeysError::Missing { .. }), "{error}");
            assert!(error.to_string().contains("restore the folder from a backup"));
        }
    }

    #[test]
    fn a_key_of_another_authority_is_refused() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Keys::open(data.path(), NOW).unwrap();
        Keys::open(other.path(), NOW).unwrap();
        fs::copy(
            other.path().join("identity/ca.key"),
            data.path().join("identity/ca.key"),
        )
        .unwrap();
        let error = Keys::open(data.path(), NOW).unwrap_err().to_string();
        assert!(
            error.ends_with("the authority's key does not fit its certificate"),
            "{error}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::tempdir().unwrap();
        Keys::open(data.path(), NOW).unwrap();
        let directory = data.path().join("identity");
        for (path, private, open) in [
            (directory.join(CA_KEY), 0o600, 0o644),
            (directory.join(TICKET_KEY), 0o600, 0o660),
            (directory, 0o700, 0o750),
        ] {
            let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, private);
            mode(open);
            let error = Keys::open(data.path(), NOW).unwrap_err().to_string();
            assert!(
                error.contains(&format!("run: chmod {private:o} '{}'", path.display())),
                "{error}"
            );
            mode(private);
        }
    }
}
