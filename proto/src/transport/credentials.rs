//! An operator's credentials: one private TOML file that holds everything the CLI needs to reach its controller.

use std::path::Path;

use serde::{Deserialize, Serialize};
use syncferry_shared::OperatorId;
use syncferry_shared::secret::Secret;
use tonic::transport::Channel;

use super::client::{self, Dial, DialError};
use super::identity::{Identity, IdentityError};
use super::peer::Peer;
use super::private_file::{self, PrivateFileError};
use super::profile::Profile;
use super::verifier::ExpectedPeer;

/// Who an operator is, and where the controller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorCredentials {
    /// The controller's `host:port`.
    pub controller: String,
    /// The authority's certificate, PEM.
    pub ca_pem: String,
    /// The operator's certificate, PEM.
    pub cert_pem: String,
    /// The operator's private key, PEM.
    pub key_pem: Secret,
    /// The operator.
    pub operator_id: OperatorId,
    /// The operator's name, for people.
    pub name: String,
}

/// The file. Apart from the type above, so that writing a key into a text happens here and nowhere by accident.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    controller: String,
    name: String,
    operator_id: OperatorId,
    ca_pem: String,
    cert_pem: String,
    key_pem: String,
}

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The text is not a credentials file.
    #[error("not an operator's credentials file: {0}")]
    Malformed(String),
    /// Certificate and key are unusable.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate is somebody else's.
    #[error("the credentials are for operator {expected}, but their certificate is that of {found}")]
    OtherPeer {
        /// Whom the file names.
        expected: OperatorId,
        /// Whom the certificate names.
        found: Peer,
    },
    /// The controller cannot be dialled.
    #[error(transparent)]
    Dial(#[from] DialError),
}

impl OperatorCredentials {
    /// Reads a credentials file; refuses one that others can read.
    pub fn load(path: &Path) -> Result<Self, CredentialsError> {
        Self::from_toml(&private_file::read(path)?)
    }

    /// Writes the credentials file, for its owner only. Replaces an older one.
    pub fn save(&self, path: &Path) -> Result<(), CredentialsError> {
        Ok(private_file::write(path, self.to_toml()?.reveal())?)
    }

    /// Reads the text of a credentials file.
    pub fn from_toml(text: &str) -> Result<Self, CredentialsError> {
        // The library's whole message quotes the text it stumbled over, which may be the key.
        let file: File = toml::from_str(text).map_err(|e| CredentialsError::Malformed(e.message().to_string()))?;
        Ok(Self {
            controller: file.controller,
            ca_pem: file.ca_pem,
            cert_pem: file.cert_pem,
            key_pem: Secret::new(file.key_pem),
            operator_id: file.operator_id,
            name: file.name,
        })
    }

    /// The text of a credentials file.
    pub fn to_toml(&self) -> Result<Secret, CredentialsError> {
        let file = File {
            controller: self.controller.clone(),
            name: self.name.clone(),
            operator_id: self.operator_id,
            ca_pem: self.ca_pem.clone(),
            cert_pem: self.cert_pem.clone(),
            key_pem: self.key_pem.reveal().to_string(),
        };
        let text = toml::to_string_pretty(&file).map_err(|e| CredentialsError::Malformed(e.to_string()))?;
        Ok(Secret::new(format!(
            "# Syncferry operator credentials. Keep them private: they are you.\n{text}"
        )))
    }

    /// The certificate and key, checked against each other and against the operator's id.
    pub fn identity(&self) -> Result<Identity, CredentialsError> {
        let identity = Identity::from_pem(&self.cert_pem, &self.key_pem)?;
        match identity.certificate().peer {
            Peer::Operator(id) if id == self.operator_id => Ok(identity),
            found => Err(CredentialsError::OtherPeer {
                expected: self.operator_id,
                found,
            }),
        }
    }

    /// A channel to the controller. Must be called inside a Tokio runtime.
    pub fn connect(&self) -> Result<Channel, CredentialsError> {
        Ok(client::connect(Dial {
            endpoint: self.controller.clone(),
            ca_pem: self.ca_pem.clone(),
            identity: Some(self.identity()?),
            expected: ExpectedPeer::Controller,
            profile: Profile::Control,
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::peer::operator_uri;
    use crate::transport::testing::TestAuthority;

    fn credentials() -> OperatorCredentials {
        let operator_id = "01932c5e-7d3a-7c1b-9f3e-0242ac120002".parse().unwrap();
        let issued = TestAuthority::new().issue(&[&operator_uri(operator_id)]);
        OperatorCredentials {
            controller: "127.0.0.1:7443".to_string(),
            ca_pem: issued.cert_pem.clone(),
            cert_pem: issued.cert_pem,
            key_pem: issued.key_pem,
            operator_id,
            name: "Ada \"the first\" Lovelace".to_string(),
        }
    }

    #[test]
    fn survive_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("operator.toml");
        let credentials = credentials();
        credentials.save(&path).unwrap();
        let read = OperatorCredentials::load(&path).unwrap();
        assert_eq!(read, credentials);
        read.identity().unwrap();
    }

    #[test]
    fn never_show_the_key() {
        let text = format!("{:?}", credentials());
        assert!(!text.contains("PRIVATE"), "{text}");
        // The end of the file is missing, so the key's string is not closed.
        let whole = credentials().to_toml().unwrap();
        let broken = &whole.reveal()[..whole.reveal().len() - 60];
        let error = OperatorCredentials::from_toml(broken).unwrap_err().to_string();
        assert!(!error.contains("PRIVATE"), "{error}");
        assert!(error.starts_with("not an operator's credentials file: "), "{error}");
    }

    #[test]
    fn belong_to_the_operator_they_name() {
        let mut credentials = credentials();
        credentials.operator_id = "01932c5e-7d3a-7c1b-9f3e-0242ac120003".parse().unwrap();
        assert!(matches!(
            credentials.identity(),
            Err(CredentialsError::OtherPeer { .. })
        ));
    }
}
