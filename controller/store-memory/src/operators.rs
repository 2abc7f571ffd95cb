//! Operators, in memory.

use async_trait::async_trait;
use syncferry_shared::OperatorId;
use syncferry_store::{NewOperator, Operator, Operators, Result};

use crate::data::folded;
use crate::tx::MemoryTx;

#[async_trait]
impl Operators for MemoryTx {
    async fn add_operator(&mut self, new: &NewOperator) -> Result<Operator> {
        if self
            .data
            .operators
            .values()
            .any(|o| folded(&o.name) == folded(&new.name))
        {
            return Err(self.taken("the name of the operator"));
        }
        self.fingerprint_is_free(&new.fingerprint, new.id)?;
        let operator = Operator {
            id: new.id,
            name: new.name.clone(),
            fingerprint: new.fingerprint.clone(),
            serial: new.serial.clone(),
            created_at: self.now,
            revoked_at: None,
        };
        self.put(|d| &mut d.operators, new.id, operator.clone())?;
        Ok(operator)
    }

    async fn operator(&mut self, id: OperatorId) -> Result<Option<Operator>> {
        Ok(self.data.operators.get(&id).cloned())
    }

    async fn operator_named(&mut self, name: &str) -> Result<Option<Operator>> {
        let found = self.data.operators.values().find(|o| folded(&o.name) == folded(name));
        Ok(found.cloned())
    }

    async fn operator_with(&mut self, fingerprint: &str) -> Result<Option<Operator>> {
        let found = self.data.operators.values().find(|o| o.fingerprint == fingerprint);
        Ok(found.cloned())
    }

    async fn operators(&mut self) -> Result<Vec<Operator>> {
        let mut all: Vec<Operator> = self.data.operators.values().cloned().collect();
        all.sort_by_key(|o| folded(&o.name));
        Ok(all)
    }

    async fn set_operator_certificate(&mut self, id: OperatorId, fingerprint: &str, serial: &str) -> Result<Operator> {
        self.fingerprint_is_free(fingerprint, id)?;
        let operator = self.row(|d| &mut d.operators, &id, || format!("operator {id}"))?;
        operator.fingerprint = fingerprint.to_string();
        operator.serial = serial.to_string();
        operator.revoked_at = None;
        Ok(operator.clone())
    }

    async fn revoke_operator(&mut self, id: OperatorId) -> Result<()> {
        let now = self.now;
        let operator = self.row(|d| &mut d.operators, &id, || format!("operator {id}"))?;
        if operator.revoked_at.is_some() {
            return Err(self.moved(format!("operator {id}"), "active", "revoked"));
        }
        operator.revoked_at = Some(now);
        Ok(())
    }
}

impl MemoryTx {
    fn fingerprint_is_free(&self, fingerprint: &str, id: OperatorId) -> Result<()> {
        let other = |o: &Operator| o.id != id && o.fingerprint == fingerprint;
        if self.data.operators.values().any(other) {
            return Err(self.taken("the certificate of the operator"));
        }
        Ok(())
    }
}
