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
    /// The caller is not let in: it is unknown here, or not believed any more.
    #[error("{0}")]
    Denied(String),
    /// Not in this state; there is nothing to accept or to repair.
    #[error("{0}")]
    NotNow(String),
    /// What the caller believes is not so any more: look again, or say hello again.
    #[error("{0}")]
    Stale(String),
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
    /// Whether the store itself cannot be used now.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Store(e) | Self::Lease(LeaseError::Store(e)) if e.is_unavailable())
    }

    /// Whether somebody else held the store for too long.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Store(e) | Self::Lease(LeaseError::Store(e)) if e.is_busy())
    }

    /// A refusal with one finding.
    pub fn refused(finding: Finding) -> Self {
        Self::Refused {
            title: finding.title.clone(),
            findings: vec![finding],
        }
    }
}

/// The findings of a refusal travel in a header, and a peer refuses headers of more than 16 KiB in all. In base64, this
/// much leaves room for the message.
const MOST_FINDINGS_BYTES: usize = 8 * 1024;
/// The longest message.
const MOST_MESSAGE_CHARS: usize = 1000;

/// The metadata key under which the findings of a refusal travel, as JSON.
pub const FINDINGS_KEY: &str = "syncferry-findings-bin";

impl From<Problem> for Status {
    fn from(p: Problem) -> Self {
        let text: String = p.to_string().chars().take(MOST_MESSAGE_CHARS).collect();
        match p {
            Problem::NotFound(_) => Status::not_found(text),
            Problem::Denied(_) => Status::permission_denied(text),
            Problem::NotNow(_) => Status::failed_precondition(text),
            Problem::Stale(_) => Status::aborted(text),
            Problem::Invalid(_) => Status::invalid_argument(text),
            Problem::Exists(_) => Status::already_exists(text),
            Problem::NoAnswer(_) => Status::unavailable(text),
            Problem::Refused { findings, .. } => {
                let mut status = Status::failed_precondition(text);
                let json = as_many_as_fit(findings);
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

/// The findings as JSON, the first ones in full; what does not fit is counted in a last one.
fn as_many_as_fit(findings: Vec<Finding>) -> Vec<u8> {
    let all = findings.len();
    let mut kept = Vec::new();
    let mut size = 0;
    for finding in findings {
        size += serde_json::to_vec(&finding).map_or(0, |j| j.len());
        if size > MOST_FINDINGS_BYTES {
            break;
        }
        kept.push(finding);
    }
    if kept.len() < all {
        let left = all - kept.len();
        kept.push(
            Finding::blocker("more-findings", format!("There are {left} more findings"))
                .saw("findings in all", all)
                .source("Syncferry: an answer holds only so many")
                .next("`syncferry status` shows every one of them."),
        );
    }
    serde_json::to_vec(&kept).unwrap_or_default()
}

fn store_status(e: &StoreError) -> Status {
    let text: String = e.to_string().chars().take(MOST_MESSAGE_CHARS).collect();
    let code = match e.cause {
        Cause::Busy => Code::Unavailable,
        Cause::Unavailable(_) | Cause::WentBack => {
            tracing::error!(error = %e, "the store cannot be used now");
            Code::Unavailable
        }
        Cause::Conflict(_) => Code::AlreadyExists,
        Cause::Missing(_) => Code::NotFound,
        Cause::Moved { .. } | Cause::NoTransition { .. } | Cause::Illegal(_) => Code::Aborted,
        _ => {
            tracing::error!(error = %e, "the store failed");
            Code::Internal
        }
    };
    Status::new(code, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_fits_into_a_header_however_much_was_found() {
        let finding = |n: usize| Finding::blocker("no-space", "x".repeat(n)).next("y".repeat(100));
        let findings: Vec<Finding> = (0..200).map(|_| finding(300)).collect();
        let status = Status::from(Problem::Refused {
            title: "t".repeat(5_000),
            findings,
        });
        let bin = status.metadata().get_bin(FINDINGS_KEY).unwrap().to_bytes().unwrap();
        assert!(bin.len() < 10_000, "{}", bin.len());
        let read: Vec<Finding> = serde_json::from_slice(&bin).unwrap();
        assert!(read.len() > 5);
        assert_eq!(read.last().unwrap().rule, "more-findings");
        assert!(status.message().len() <= 1000);
        // One that is too long alone still leaves a word.
        let status = Status::from(Problem::refused(finding(100_000)));
        assert_eq!(status.message().len(), 1000);
        assert!(status.metadata().get_bin(FINDINGS_KEY).is_some());
    }
}
