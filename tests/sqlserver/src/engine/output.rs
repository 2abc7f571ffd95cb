//! What goes to the client, in SQL Server's order: a DONE is held back until it is known whether more follows.

use std::io;

use super::errors::SqlError;
use crate::storage::Row;
use crate::types::{Column, DoneKind, EnvChange, Message, Sink, Token};

/// CurCmd of the DONE tokens.
pub(super) mod command {
    /// SELECT.
    pub(crate) const SELECT: u16 = 193;
    /// INSERT.
    pub(crate) const INSERT: u16 = 195;
    /// DELETE.
    pub(crate) const DELETE: u16 = 196;
    /// UPDATE.
    pub(crate) const UPDATE: u16 = 197;
    /// CREATE TABLE.
    pub(crate) const CREATE_TABLE: u16 = 198;
    /// DROP TABLE.
    pub(crate) const DROP_TABLE: u16 = 199;
    /// BEGIN TRAN.
    pub(crate) const BEGIN_TRANSACTION: u16 = 212;
    /// COMMIT.
    pub(crate) const COMMIT: u16 = 213;
    /// ROLLBACK.
    pub(crate) const ROLLBACK: u16 = 214;
    /// EXEC.
    pub(crate) const EXECUTE: u16 = 224;
    /// USE.
    pub(crate) const USE: u16 = 226;
    /// BACKUP DATABASE.
    pub(crate) const BACKUP_DATABASE: u16 = 228;
    /// RESTORE DATABASE.
    pub(crate) const RESTORE_DATABASE: u16 = 229;
    /// RESTORE HEADERONLY.
    pub(crate) const RESTORE_HEADERONLY: u16 = 230;
    /// DBCC.
    pub(crate) const DBCC: u16 = 230;
    /// SET.
    pub(crate) const SET: u16 = 249;
    /// What ends a RESTORE HEADERONLY a second time.
    pub(crate) const RESTORE_END: u16 = 250;
    /// RESTORE FILELISTONLY.
    pub(crate) const RESTORE_FILELISTONLY: u16 = 376;
    /// Anything else.
    pub(crate) const OTHER: u16 = 253;
}

/// The way to the client.
pub(super) struct Out<'a> {
    sink: &'a mut dyn Sink,
    pending: Option<Token>,
    server: String,
    /// How many procedures deep: DONEINPROC instead of DONE.
    pub depth: usize,
    said: bool,
}

impl<'a> Out<'a> {
    /// A way to a client. `depth` is 1 for an RPC: its statements are in a procedure.
    pub(super) fn new(sink: &'a mut dyn Sink, server: &str, depth: usize) -> Out<'a> {
        Out {
            sink,
            pending: None,
            server: server.to_owned(),
            depth,
            said: false,
        }
    }

    async fn flush(&mut self, last: bool) -> io::Result<()> {
        match self.pending.take() {
            Some(Token::Done {
                kind,
                error,
                count,
                cur_cmd,
                ..
            }) => {
                self.sink
                    .send(Token::Done {
                        kind,
                        more: !last,
                        error,
                        count,
                        cur_cmd,
                    })
                    .await
            }
            _ => Ok(()),
        }
    }

    /// Sends a token; what was held back goes first.
    pub(super) async fn send(&mut self, token: Token) -> io::Result<()> {
        self.flush(false).await?;
        self.said = true;
        self.sink.send(token).await
    }

    /// A statement begins that will end with a DONE: the one held back is not the last.
    pub(super) async fn starting(&mut self) -> io::Result<()> {
        self.flush(false).await
    }

    /// Ends a statement.
    pub(super) async fn done(&mut self, error: bool, count: Option<u64>, cur_cmd: u16) -> io::Result<()> {
        self.flush(false).await?;
        self.said = true;
        let kind = if self.depth > 0 {
            DoneKind::DoneInProc
        } else {
            DoneKind::Done
        };
        self.pending = Some(Token::Done {
            kind,
            more: false,
            error,
            count,
            cur_cmd,
        });
        Ok(())
    }

    /// Ends a procedure that a batch called.
    pub(super) async fn done_proc(&mut self, error: bool) -> io::Result<()> {
        self.flush(false).await?;
        let kind = if self.depth > 0 {
            DoneKind::DoneInProc
        } else {
            DoneKind::DoneProc
        };
        self.said = true;
        self.pending = Some(Token::Done {
            kind,
            more: false,
            error,
            count: None,
            cur_cmd: command::EXECUTE,
        });
        Ok(())
    }

    /// A DONE that is surely followed by another: behind each message of BACKUP and RESTORE.
    pub(super) async fn done_more(&mut self, cur_cmd: u16) -> io::Result<()> {
        let kind = if self.depth > 0 {
            DoneKind::DoneInProc
        } else {
            DoneKind::Done
        };
        self.send(Token::Done {
            kind,
            more: true,
            error: false,
            count: None,
            cur_cmd,
        })
        .await
    }

    /// Ends a batch.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        if !self.said {
            self.done(false, None, command::OTHER).await?;
        }
        if self.pending.is_none() {
            // The last token was no DONE: a batch ends with one all the same.
            self.done(false, None, command::OTHER).await?;
        }
        self.flush(true).await
    }

    /// Ends an RPC: return status and output parameters were sent before.
    pub(super) async fn finish_rpc(&mut self, error: bool) -> io::Result<()> {
        self.flush(false).await?;
        self.sink
            .send(Token::Done {
                kind: DoneKind::DoneProc,
                more: false,
                error,
                count: None,
                cur_cmd: command::EXECUTE,
            })
            .await
    }

    fn signed(&self, mut message: Message) -> Message {
        if message.server.is_empty() {
            message.server.clone_from(&self.server);
        }
        if message.line == 0 {
            message.line = 1;
        }
        message
    }

    /// An informational message.
    pub(super) async fn info(&mut self, message: Message) -> io::Result<()> {
        let message = self.signed(message);
        self.send(Token::Info(message)).await
    }

    /// The messages of an error. Class 10 and below are informational whatever they are part of.
    pub(super) async fn error(&mut self, error: &SqlError) -> io::Result<()> {
        for message in &error.messages {
            let message = self.signed(message.clone());
            let token = if message.class <= 10 {
                Token::Info(message)
            } else {
                Token::Error(message)
            };
            self.send(token).await?;
        }
        Ok(())
    }

    /// Something of the session changed.
    pub(super) async fn change(&mut self, change: EnvChange) -> io::Result<()> {
        self.send(Token::EnvChange(change)).await
    }

    /// A result set, and how many rows it has.
    pub(super) async fn rows(&mut self, columns: Vec<Column>, rows: Vec<Row>) -> io::Result<u64> {
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        self.send(Token::Columns(columns)).await?;
        for row in rows {
            self.send(Token::Row(row)).await?;
        }
        Ok(count)
    }
}
