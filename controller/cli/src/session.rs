//! The connection to the controller, with the operator's credentials.

use std::future::Future;
use std::path::PathBuf;

use syncferry_proto::transport::credentials::CredentialsError;
use syncferry_proto::transport::{OperatorCredentials, Profile};
use syncferry_proto::v1::operator_client::OperatorClient;
use syncferry_shared::Millis;
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::error::CliError;

/// A connection. It is made at the first call.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    client: OperatorClient<Channel>,
    /// Where the controller is.
    pub(crate) controller: String,
    /// The operator's name.
    pub(crate) operator: String,
    /// Until when the operator's certificate is good.
    pub(crate) good_until: Millis,
}

impl Session {
    /// Reads the credentials. Must be called inside a runtime.
    pub(crate) fn open(path: PathBuf) -> Result<Self, CliError> {
        let result = OperatorCredentials::load(&path).and_then(Self::with);
        result.map_err(|source| CliError::Credentials { path, source })
    }

    fn with(credentials: OperatorCredentials) -> Result<Self, CredentialsError> {
        let channel = credentials.connect()?;
        Ok(Self {
            client: OperatorClient::new(channel).max_decoding_message_size(Profile::Control.max_message_bytes()),
            good_until: credentials.identity()?.certificate().not_after,
            controller: credentials.controller,
            operator: credentials.name,
        })
    }

    /// The service.
    pub(crate) fn service(&self) -> OperatorClient<Channel> {
        self.client.clone()
    }

    /// Waits for a call's answer.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, CliError> {
        call.await
            .map(Response::into_inner)
            .map_err(|status| self.problem(&status))
    }

    /// What a failed call means.
    pub(crate) fn problem(&self, status: &Status) -> CliError {
        CliError::of_status(status, &self.controller)
    }
}
