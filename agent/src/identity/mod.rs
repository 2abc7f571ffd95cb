//! Who this agent is: its certificate and key in one private file, the authority it believes, and its ids.

mod enrol;
mod renew;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncferry_proto::transport::private_file::{self, PrivateFileError};
use syncferry_proto::transport::{Identity, IdentityError, Peer};
use syncferry_shared::secret::Secret;
use syncferry_shared::{AgentId, HostId};

pub use enrol::{EnrolError, enrol};
pub use renew::renew_for_ever;

/// The certificate and its key.
const IDENTITY: &str = "identity.pem";
/// The authority's certificate.
const AUTHORITY: &str = "ca.pem";
/// Everything else.
const ENROLMENT: &str = "enrolment.toml";

/// Why the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotEnrolled {
    /// There is none.
    #[error("this agent is not enrolled: get a token with 'syncferry host add' and run 'syncferry-agent enrol'")]
    Never,
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The ids cannot be read.
    #[error("{path} cannot be read: {reason}; enrol again")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The files belong to different agents.
    #[error("the certificate is for {certificate}, and the data directory for agent {agent}; enrol again")]
    Mixed {
        /// Whom the certificate names.
        certificate: Peer,
        /// Whom the other file names.
        agent: AgentId,
    },
}

/// What the controller said at enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Our id.
    pub agent_id: AgentId,
    /// The host's id.
    pub host_id: HostId,
    /// The host's name in Syncferry.
    pub host_name: String,
    /// The key that tickets are signed with. A newer one comes with every hello.
    pub ticket_key: String,
}

/// An enrolled agent.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// Ids and names.
    pub enrolment: Enrolment,
    /// Certificate and key; replaced while in use.
    pub identity: Identity,
    /// The authority, PEM.
    pub ca_pem: String,
}

impl Enrolled {
    /// Reads what enrolment wrote.
    pub fn load(data_dir: &Path) -> Result<Self, NotEnrolled> {
        let identity = identity_path(data_dir);
        if !identity.exists() {
            return Err(NotEnrolled::Never);
        }
        let identity = Identity::load(&identity)?;
        let ca_pem = private_file::read(&data_dir.join(AUTHORITY))?;
        let path = data_dir.join(ENROLMENT);
        let text = private_file::read(&path)?;
        let enrolment: Enrolment = toml::from_str(&text).map_err(|e| NotEnrolled::Malformed {
            path,
            reason: e.to_string(),
        })?;
        let certificate = identity.certificate().peer;
        let agent = enrolment.agent_id;
        if certificate != Peer::Agent(agent) {
            return Err(NotEnrolled::Mixed { certificate, agent });
        }
        Ok(Self {
            enrolment,
            identity,
            ca_pem,
        })
    }

    /// Writes an enrolment. The certificate comes last: without it the agent is not enrolled, with it everything is there.
    pub fn save(
        data_dir: &Path,
        enrolment: &Enrolment,
        cert_pem: &str,
        key_pem: &Secret,
        ca_pem: &str,
    ) -> Result<(), NotEnrolled> {
        let malformed = |e: toml::ser::Error| NotEnrolled::Malformed {
            path: data_dir.join(ENROLMENT),
            reason: e.to_string(),
        };
        let text = toml::to_string(enrolment).map_err(malformed)?;
        private_file::write(&data_dir.join(ENROLMENT), &text)?;
        private_file::write(&data_dir.join(AUTHORITY), ca_pem)?;
        Identity::save(&identity_path(data_dir), cert_pem, key_pem)?;
        Ok(())
    }
}

/// Where certificate and key are.
pub(crate) fn identity_path(data_dir: &Path) -> PathBuf {
    data_dir.join(IDENTITY)
}

/// Makes the data directory when there is none, and refuses one that others can read.
pub fn prepare_data_dir(data_dir: &Path) -> Result<(), PrivateFileError> {
    if data_dir.exists() {
        private_file::check_directory(data_dir)
    } else {
        private_file::create_directory(data_dir)
    }
}
