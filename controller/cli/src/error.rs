//! Why a command failed: one variant for each thing that a caller does differently.

use std::error::Error as _;
use std::path::PathBuf;

use syncferry_proto::transport::credentials::CredentialsError;
use syncferry_proto::{InvalidMessage, transport};
use syncferry_shared::Finding;
use tonic::{Code, Status};

use crate::exit::Exit;

/// The metadata key under which the findings of a refusal travel, as JSON.
pub(crate) const FINDINGS_KEY: &str = "syncferry-findings-bin";

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments fit together badly, which only a look at the controller's answer shows.
    #[error("{0}")]
    Usage(String),
    /// No credentials file is known.
    #[error(
        "there are no credentials: neither --credentials nor SYNCFERRY_CREDENTIALS is given, and no home folder is known"
    )]
    NoCredentials,
    /// The credentials cannot be used.
    #[error("the credentials cannot be used: {source}")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CredentialsError,
    },
    /// The controller cannot be reached.
    #[error("the controller at {controller} cannot be reached: {why}")]
    Unreachable {
        /// Its address.
        controller: String,
        /// Why.
        why: String,
    },
    /// Refused, with findings.
    #[error("{title}")]
    Refused {
        /// In one sentence.
        title: String,
        /// Why.
        findings: Vec<Finding>,
    },
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The controller does not let us.
    #[error("the controller does not let you: {0}")]
    Denied(String),
    /// The controller said no for another reason.
    #[error("{message}")]
    Controller {
        /// The gRPC code.
        code: Code,
        /// What it said.
        message: String,
    },
    /// The controller's answer cannot be read.
    #[error("the controller's answer cannot be read: {0}")]
    Answer(#[from] InvalidMessage),
    /// A file.
    #[error("cannot {verb} {}: {source}", path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A report that does not hold.
    #[error("the report does not hold: {0}")]
    Report(String),
    /// stdout is gone.
    #[error("cannot write the result: {0}")]
    Output(#[source] std::io::Error),
    /// The operator said no.
    #[error("nothing was done")]
    Declined,
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted {
        /// What goes on without us.
        hint: Option<String>,
    },
}

impl CliError {
    /// What a failed call means.
    pub fn of_status(status: &Status, controller: &str) -> Self {
        // Only what happened on the way has a source: what the controller says comes as code and text alone.
        if status.source().is_some() {
            return Self::Unreachable {
                controller: controller.to_string(),
                why: transport::explain(status),
            };
        }
        let message = match status.message() {
            "" => status.code().description().to_string(),
            text => text.to_string(),
        };
        match status.code() {
            Code::NotFound => Self::NotFound(message),
            Code::Unauthenticated | Code::PermissionDenied => Self::Denied(message),
            code => match findings(status) {
                Some(findings) => Self::Refused {
                    title: message,
                    findings,
                },
                None => Self::Controller { code, message },
            },
        }
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Refused { .. } => Exit::Refused,
            Self::NotFound(_) => Exit::NotFound,
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Interrupted { .. } => Exit::Interrupted,
            _ => Exit::Error,
        }
    }

    /// Whether the reader of our output went away, as `head` does: that is no news.
    pub(crate) fn nobody_reads(&self) -> bool {
        matches!(self, Self::Output(e) if e.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// A word for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::NoCredentials | Self::Credentials { .. } => "credentials",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { .. } => "refused",
            Self::NotFound(_) => "not-found",
            Self::Denied(_) => "denied",
            Self::Controller { .. } | Self::Answer(_) => "controller",
            Self::File { .. } | Self::Output(_) => "file",
            Self::Report(_) => "report",
            Self::Declined => "declined",
            Self::Interrupted { .. } => "interrupted",
        }
    }

    /// The findings of a refusal.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Refused { findings, .. } => findings,
            _ => &[],
        }
    }

    /// What to do, where the message and the findings do not say it already.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::NoCredentials => "Name the file that the controller made for you: --credentials FILE.".to_string(),
            Self::Credentials { path, source } => credentials_advice(path, source),
            Self::Unreachable { .. } => {
                "Is the controller running, and is its address in your credentials file right? `syncferry health` tries again."
                    .to_string()
            }
            Self::Denied(_) => {
                "Your certificate may be expired or withdrawn; ask another operator for new credentials.".to_string()
            }
            Self::Controller { code: Code::Unimplemented, .. } => {
                "The controller is of another version than this command: compare `syncferry version` and `syncferry health`."
                    .to_string()
            }
            Self::Controller { code: Code::Aborted, .. } => {
                "Something changed at the same moment. Look with `syncferry status` and try again.".to_string()
            }
            Self::Controller { code: Code::Internal | Code::Unknown, .. } => {
                "The controller's log says more.".to_string()
            }
            Self::Answer(_) => {
                "The controller is of another version than this command: compare `syncferry version` and `syncferry health`."
                    .to_string()
            }
            Self::Report(_) => {
                "Do not rely on this file. Get the report again: syncferry report <migration> --json FILE".to_string()
            }
            Self::Interrupted { hint } => return hint.clone(),
            _ => return None,
        })
    }
}

fn credentials_advice(path: &std::path::Path, source: &CredentialsError) -> String {
    match source {
        // Its text holds the command to run already.
        CredentialsError::File(transport::private_file::PrivateFileError::TooOpen { .. }) => {
            "Then try again; if others had access, ask for new credentials.".to_string()
        }
        CredentialsError::File(_) => format!(
            "Put the file that the controller made for you at {}, or name it with --credentials FILE.",
            path.display()
        ),
        _ => format!(
            "Ask an operator for new credentials, and put them at {}.",
            path.display()
        ),
    }
}

fn findings(status: &Status) -> Option<Vec<Finding>> {
    let bytes = status.metadata().get_bin(FINDINGS_KEY)?.to_bytes().ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    #[test]
    fn findings_come_out_of_the_metadata() {
        let sent = vec![Finding::blocker("x", "X is wrong").next("Fix X.")];
        let mut status = Status::failed_precondition("X is wrong");
        let json = serde_json::to_vec(&sent).unwrap();
        status
            .metadata_mut()
            .insert_bin(FINDINGS_KEY, MetadataValue::from_bytes(&json));
        let error = CliError::of_status(&status, "c:1");
        assert_eq!(error.exit(), Exit::Refused);
        assert_eq!(error.findings(), sent);
    }

    #[test]
    fn a_refusal_with_unreadable_findings_is_still_an_error() {
        let mut status = Status::failed_precondition("no");
        status
            .metadata_mut()
            .insert_bin(FINDINGS_KEY, MetadataValue::from_bytes(b"nonsense"));
        let error = CliError::of_status(&status, "c:1");
        assert_eq!((error.exit(), error.to_string().as_str()), (Exit::Error, "no"));
    }

    #[test]
    fn an_agent_that_does_not_answer_is_not_an_unreachable_controller() {
        let error = CliError::of_status(&Status::unavailable("the agent on SQL01 did not answer"), "c:1");
        assert_eq!(error.exit(), Exit::Error);
    }
}
