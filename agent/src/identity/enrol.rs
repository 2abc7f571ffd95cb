//! Enrolment: a one-time token becomes this host's identity. The key is made here and never leaves the host; the controller is
//! known by the fingerprint in the token before the token is shown to it.

use std::path::Path;
use std::time::Duration;

use syncferry_proto::transport::client::check_authority;
use syncferry_proto::transport::csr;
use syncferry_proto::transport::{EnrolmentToken, connect_pinned, explain};
use syncferry_proto::v1;
use syncferry_proto::v1::enrolment_client::EnrolmentClient;
use tonic::{Request, Status};

use super::{Enrolled, Enrolment, NotEnrolled, prepare_data_dir};

/// How long the controller has to answer.
const LIMIT: Duration = Duration::from_secs(30);

/// Why enrolment failed. The token is used up only by success.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The token is no token.
    #[error(transparent)]
    Token(#[from] syncferry_proto::transport::token::InvalidToken),
    /// The host is enrolled already.
    #[error(
        "this data directory is enrolled already, as {0}; to enrol the host anew, move identity.pem, ca.pem and enrolment.toml out of it, and leave the journal: it knows what must be put back"
    )]
    Already(String),
    /// The data directory cannot be used.
    #[error(transparent)]
    Files(#[from] NotEnrolled),
    /// No key could be made.
    #[error(transparent)]
    Key(#[from] csr::SigningRequestError),
    /// The address is wrong.
    #[error(transparent)]
    Dial(#[from] syncferry_proto::transport::DialError),
    /// The controller refused or does not answer.
    #[error("the controller did not enrol this host: {0}")]
    Refused(String),
    /// The answer comes from somebody else, or makes no sense.
    #[error("the controller's answer cannot be used: {0}; nothing was written")]
    Answer(String),
}

impl From<Status> for EnrolError {
    fn from(status: Status) -> Self {
        EnrolError::Refused(explain(&status))
    }
}

/// Enrols this host, and writes its identity into the data directory.
pub async fn enrol(
    controller: &str,
    token: &str,
    data_dir: &Path,
    computer_name: &str,
) -> Result<Enrolment, EnrolError> {
    let token: EnrolmentToken = token.trim().parse()?;
    prepare_data_dir(data_dir).map_err(NotEnrolled::from)?;
    match Enrolled::load(data_dir) {
        Err(NotEnrolled::Never) => {}
        Ok(known) => return Err(EnrolError::Already(known.enrolment.host_name)),
        Err(e) => return Err(e.into()),
    }
    let request = csr::make()?;
    let mut client = EnrolmentClient::new(connect_pinned(controller, token.ca_fingerprint)?);
    let mut message = Request::new(v1::EnrolRequest {
        token: token.text().reveal().to_string(),
        csr_pem: request.csr_pem.clone(),
        computer_name: computer_name.to_string(),
        agent_version: env!("CARGO_PKG_VERSION").to_string(),
    });
    message.set_timeout(LIMIT);
    let answer = client.enrol(message).await?.into_inner();
    check_authority(&answer.ca_pem, token.ca_fingerprint).map_err(|e| EnrolError::Answer(e.to_string()))?;
    let unusable = |e: syncferry_shared::InvalidId| EnrolError::Answer(e.to_string());
    let enrolment = Enrolment {
        agent_id: answer.agent_id.parse().map_err(unusable)?,
        host_id: answer.host_id.parse().map_err(unusable)?,
        host_name: answer.host_name,
        ticket_key: answer.ticket_key,
    };
    Enrolled::save(
        data_dir,
        &enrolment,
        &answer.certificate_pem,
        &request.key_pem,
        &answer.ca_pem,
    )?;
    Ok(enrolment)
}
