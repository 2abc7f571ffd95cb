//! What a command refuses, and how that looks on the wire. One variant for each thing that a caller does differently.

use syncferry_shared::Finding;
use syncferry_store::{Cause, LeaseError, StoreError};
use tonic::{Code, Status};

/// A refused or failed request.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is no such thing. The text says what to look at.
    #[error("{0}")]
    NotFound(String),
    /// The request itself makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// It is there already.
    #[error("{0}")]
    Exists(String),
    /// Not now, or not like this: the findings say why.
    #[error("{title}")]
    Refused {
        /// In one sentence.
        title: String,
        /// Why, each with its next step.
        findings: Vec<Finding>,
    },
    /// An agent did not answer in time.
    #[error("{0}")]
    NoAnswer(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A lease.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// Something that should not happen.
    #[error("{0}")]
    Internal(String),
}

impl Problem {
    /// A refusal with one finding.
    pub fn refused(finding: Finding) -> Self {
        Self::Refused {
            title: finding.title.clone(),
            findings: vec![finding],
        }
    }
}

/// The metadata key under which the findings of a refusal travel, as JSON.
pub const FINDINGS_KEY: &str = "syncferry-findings-bin";

impl From<Problem> for Status {
    fn from(p: Problem) -> Self {
        let text = p.to_string();
        match p {
            Problem::NotFound(_) => Status::not_found(text),
            Problem::Invalid(_) => Status::invalid_argument(text),
            Problem::Exists(_) => Status::already_exists(text),
            Problem::NoAnswer(_) => Status::unavailable(text),
            Problem::Refused { findings, .. } => {
                let mut status = Status::failed_precondition(text);
                let json = serde_json::to_vec(&findings).unwrap_or_default();
                status
                    .metadata_mut()
                    .insert_bin(FINDINGS_KEY, tonic::metadata::MetadataValue::from_bytes(&json));
                status
            }
            Problem::Lease(LeaseError::Store(e)) | Problem::Store(e) => store_status(&e),
            Problem::Lease(_) => Status::failed_precondition(text),
            Problem::Internal(_) => {
                tracing::error!(problem = %text, "a request failed for an internal reason");
                Status::internal(text)
            }
        }
    }
}

fn store_status(e: &StoreError) -> Status {
    let code = match e.cause {
        Cause::Busy => Code::Unavailable,
        Cause::Conflict(_) => Code::AlreadyExists,
        Cause::Missing(_) => Code::NotFound,
        Cause::Moved { .. } | Cause::NoTransition { .. } | Cause::Illegal(_) => Code::Aborted,
        _ => {
            tracing::error!(error = %e, "the store failed");
            Code::Internal
        }
    };
    Status::new(code, e.to_string())
}
