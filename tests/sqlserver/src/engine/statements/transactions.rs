//! BEGIN, COMMIT, ROLLBACK and SAVE TRANSACTION, as statements and as requests of the transaction manager.

use std::io;
use std::sync::Arc;

use crate::engine::ast::NameOrVar;
use crate::engine::errors::{Result, err};
use crate::engine::interpreter::{Outcome, Run};
use crate::engine::output::{Out, command};
use crate::engine::session::Session;
use crate::types::{EnvChange, Sink, Value};

/// A request of the transaction manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionRequest {
    /// TM_BEGIN_XACT.
    Begin {
        /// The transaction's name.
        name: String,
        /// 0 keeps the session's; 1 read uncommitted … 5 snapshot.
        isolation: u8,
    },
    /// TM_COMMIT_XACT.
    Commit {
        /// The transaction's name.
        name: String,
        /// Begins the next at once.
        begin_next: bool,
    },
    /// TM_ROLLBACK_XACT.
    Rollback {
        /// The transaction's or a savepoint's name.
        name: String,
        /// Begins the next at once.
        begin_next: bool,
    },
    /// TM_SAVE_XACT.
    Save {
        /// The savepoint's name.
        name: String,
    },
}

impl Session {
    fn transaction_name(&self, name: Option<&NameOrVar>) -> String {
        match name {
            None => String::new(),
            Some(NameOrVar::Name(name)) => name.clone(),
            Some(NameOrVar::Var(variable)) => match self.variable(&variable.to_lowercase()) {
                Value::Str(s) => s.to_string(),
                _ => String::new(),
            },
        }
    }

    pub(super) async fn begin_transaction(&mut self, out: &mut Out<'_>, name: Option<&NameOrVar>) -> Run<Outcome> {
        let name = self.transaction_name(name);
        self.begin(out, &name).await?;
        Ok(Outcome::Done(None, command::BEGIN_TRANSACTION))
    }

    async fn begin(&mut self, out: &mut Out<'_>, name: &str) -> io::Result<()> {
        self.transaction.count += 1;
        if self.transaction.count == 1 {
            self.transaction.descriptor = self.inst.next_transaction();
            name.clone_into(&mut self.transaction.name);
            out.change(EnvChange::BeginTransaction(self.transaction.descriptor))
                .await?;
        }
        self.publish();
        Ok(())
    }

    /// IMPLICIT_TRANSACTIONS begins one with the first statement that reads or writes a table.
    pub(super) async fn begin_implicit(&mut self, out: &mut Out<'_>, touches: bool) -> io::Result<()> {
        if self.options.implicit && touches && self.transaction.count == 0 {
            self.begin(out, "").await
        } else {
            Ok(())
        }
    }

    pub(super) async fn commit(&mut self, out: &mut Out<'_>) -> Run<Outcome> {
        let done = Outcome::Done(None, command::COMMIT);
        match self.transaction.count {
            0 => return Err(err!(3902).into()),
            1 => {}
            _ => {
                self.transaction.count -= 1;
                return Ok(done);
            }
        }
        self.fault("commit", &self.handle()?.name(), "").await?;
        let inst = Arc::clone(&self.inst);
        let descriptor = self.transaction.descriptor;
        let published = self.transaction.publish(&inst);
        self.transaction.clear();
        inst.locks.release_transaction(self.info.spid);
        self.publish();
        if let Err(error) = published {
            out.change(EnvChange::RollbackTransaction(descriptor)).await?;
            return Err(error.into());
        }
        out.change(EnvChange::CommitTransaction(descriptor)).await?;
        Ok(done)
    }

    pub(super) async fn rollback(&mut self, out: &mut Out<'_>, name: Option<&NameOrVar>) -> Run<Outcome> {
        let name = self.transaction_name(name);
        self.rollback_named(out, &name).await?;
        Ok(Outcome::Done(None, command::ROLLBACK))
    }

    async fn rollback_named(&mut self, out: &mut Out<'_>, name: &str) -> Run<()> {
        if self.transaction.count == 0 {
            return Err(err!(3903).into());
        }
        let whole = name.is_empty() || name.eq_ignore_ascii_case(&self.transaction.name);
        if whole {
            return Ok(self.roll_back(out).await?);
        }
        if self.transaction.rollback_to(name) {
            return Ok(());
        }
        let text = format!("Cannot roll back {name}. No transaction or savepoint of that name was found.");
        Err(crate::engine::errors::raw_error(6401, 16, 1, text).into())
    }

    pub(super) fn save_transaction(&mut self, name: &NameOrVar) -> Result<Outcome> {
        if self.transaction.count == 0 {
            return Err(crate::engine::errors::raw_error(
                628,
                16,
                0,
                "Cannot issue SAVE TRANSACTION when there is no active transaction.".to_owned(),
            ));
        }
        let name = self.transaction_name(Some(name));
        self.transaction.save(&name);
        Ok(Outcome::Done(None, command::OTHER))
    }

    /// Runs a request of the transaction manager.
    pub async fn transaction(&mut self, request: TransactionRequest, sink: &mut dyn Sink) -> io::Result<()> {
        let server = self.inst.config().server_name.clone();
        let mut out = Out::new(sink, &server, 0);
        self.begin_request("");
        let result = self.manage(&mut out, &request).await;
        self.end_request();
        let ended = result.map(|()| crate::engine::interpreter::Flow::Next);
        let failed = self.close_batch(&mut out, ended).await?;
        if !failed {
            out.done(false, None, command::OTHER).await?;
        }
        out.finish().await
    }

    async fn manage(&mut self, out: &mut Out<'_>, request: &TransactionRequest) -> Run<()> {
        let mut next = false;
        match request {
            TransactionRequest::Begin { name, isolation } => {
                if (1..=5).contains(isolation) {
                    self.options.isolation = *isolation;
                }
                self.begin(out, name).await?;
            }
            TransactionRequest::Commit { begin_next, .. } => {
                self.commit(out).await?;
                next = *begin_next;
            }
            TransactionRequest::Rollback { name, begin_next } => {
                self.rollback_named(out, name).await?;
                next = *begin_next;
            }
            TransactionRequest::Save { name } => {
                self.save_transaction(&NameOrVar::Name(name.clone()))?;
            }
        }
        if next {
            self.begin(out, "").await?;
        }
        Ok(())
    }
}
