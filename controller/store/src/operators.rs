//! Operators: the people who may command, known by their certificates.

use async_trait::async_trait;
use syncferry_shared::{Millis, OperatorId};

use crate::error::Result;

/// An operator to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOperator {
    /// The id.
    pub id: OperatorId,
    /// The name; unique.
    pub name: String,
    /// The fingerprint of the certificate, lower-case hexadecimal; unique.
    pub fingerprint: String,
    /// The serial number of the certificate, hexadecimal.
    pub serial: String,
}

/// An operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The id.
    pub id: OperatorId,
    /// The name.
    pub name: String,
    /// The fingerprint of the certificate.
    pub fingerprint: String,
    /// The serial number of the certificate.
    pub serial: String,
    /// When they were added.
    pub created_at: Millis,
    /// When the certificate was revoked, if it was.
    pub revoked_at: Option<Millis>,
}

/// Operators.
#[async_trait]
pub trait Operators {
    /// Adds one.
    async fn add_operator(&mut self, new: &NewOperator) -> Result<Operator>;
    /// Reads one.
    async fn operator(&mut self, id: OperatorId) -> Result<Option<Operator>>;
    /// Finds one by name.
    async fn operator_named(&mut self, name: &str) -> Result<Option<Operator>>;
    /// Finds one by certificate, revoked or not.
    async fn operator_with(&mut self, fingerprint: &str) -> Result<Option<Operator>>;
    /// Every one, by name.
    async fn operators(&mut self) -> Result<Vec<Operator>>;
    /// Gives one a new certificate and ends a revocation.
    async fn set_operator_certificate(&mut self, id: OperatorId, fingerprint: &str, serial: &str) -> Result<Operator>;
    /// Revokes; [`Cause::Moved`](crate::Cause::Moved) when it was before.
    async fn revoke_operator(&mut self, id: OperatorId) -> Result<()>;
}
