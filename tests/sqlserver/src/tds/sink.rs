//! Sends the engine's tokens: encodes them, and flushes whenever a client ought to see something now.

use std::io;

use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;

use crate::types::{Cancel, Message, Sink, SqlType, Token};

use super::encode::{self, Done, Text};
use super::version::Version;
use super::writer::PacketWriter;

/// From this severity on an error ends the session.
const FATAL_CLASS: u8 = 20;

/// What the encoders need to know of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Dialect {
    pub(crate) version: Version,
    pub(crate) server_name: String,
}

/// The sink of one request.
///
/// The last DONE of a request must be told from the others, and an Attention replaces it. So a DONE without `more`
/// is held back until the request has ended; what comes after it anyway (the next of several calls) turns it into
/// one with `more`.
#[derive(Debug)]
pub(crate) struct WireSink<'a, W> {
    out: &'a mut PacketWriter<W>,
    dialect: &'a Dialect,
    gone: CancellationToken,
    cancel: Cancel,
    columns: Vec<SqlType>,
    return_values: u16,
    held: Option<Done>,
    /// An error of severity 20 or more was sent: SQL Server ends the session with it.
    fatal: bool,
}

impl<'a, W: AsyncWrite + Unpin + Send> WireSink<'a, W> {
    /// `gone` ends every wait for a client that does not read any more. Rows after `cancel` are left out: the client
    /// would read them only to throw them away.
    pub(crate) fn new(
        out: &'a mut PacketWriter<W>,
        dialect: &'a Dialect,
        gone: CancellationToken,
        cancel: Cancel,
    ) -> Self {
        Self {
            out,
            dialect,
            gone,
            cancel,
            columns: Vec::new(),
            return_values: 0,
            held: None,
            fatal: false,
        }
    }

    /// Ends the answer. An Attention is acknowledged in the place of the last DONE. `false` is the end of the session.
    pub(crate) async fn finish(mut self, attention: bool) -> io::Result<bool> {
        let last = match self.held.take() {
            _ if self.fatal => Done::FATAL,
            _ if attention => Done::ATTENTION,
            Some(done) => done,
            None => Done::EMPTY,
        };
        encode::put_done(self.out.buffer(), last, self.dialect.version);
        self.out.finish().await?;
        Ok(!self.fatal)
    }

    /// Ends the answer and says that the session is over, unless the backend has said so already.
    pub(crate) async fn finish_fatally(mut self, message: &Message) -> io::Result<()> {
        if !self.fatal {
            self.release_held();
            self.put_message(Text::Error, message);
        }
        encode::put_done(self.out.buffer(), Done::FATAL, self.dialect.version);
        self.out.finish().await
    }

    fn put_message(&mut self, kind: Text, message: &Message) {
        encode::put_message(
            self.out.buffer(),
            kind,
            message,
            &self.dialect.server_name,
            self.dialect.version,
        );
    }

    fn release_held(&mut self) {
        if let Some(done) = self.held.take() {
            encode::put_done(self.out.buffer(), Done { more: true, ..done }, self.dialect.version);
        }
    }

    /// Encodes a token; `true` asks for a flush.
    fn encode(&mut self, token: Token) -> io::Result<bool> {
        let version = self.dialect.version;
        self.release_held();
        match token {
            Token::Columns(columns) => {
                encode::put_columns(self.out.buffer(), &columns, version);
                self.columns = columns.into_iter().map(|column| column.ty).collect();
            }
            Token::Row(_) if self.cancel.is_cancelled() => {}
            Token::Row(values) if values.len() == self.columns.len() => {
                encode::put_row(self.out.buffer(), &self.columns, &values, version)?;
            }
            Token::Row(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "a row of another width")),
            Token::Info(message) => {
                self.put_message(Text::Info, &message);
                return Ok(true);
            }
            Token::Error(message) => {
                self.fatal |= message.class >= FATAL_CLASS;
                self.put_message(Text::Error, &message);
            }
            Token::EnvChange(change) => encode::put_env_change(self.out.buffer(), &change),
            Token::ReturnStatus(status) => encode::put_return_status(self.out.buffer(), status),
            Token::ReturnValue { name, ty, value } => {
                let ordinal = self.return_values;
                self.return_values += 1;
                encode::put_return_value(self.out.buffer(), ordinal, &name, &ty, &value, version)?;
            }
            Token::Done {
                kind,
                more,
                error,
                count,
                cur_cmd,
            } => {
                let done = Done {
                    kind,
                    more,
                    error,
                    attention: false,
                    fatal: false,
                    count,
                    cur_cmd,
                };
                if !more {
                    self.held = Some(done);
                    return Ok(false);
                }
                encode::put_done(self.out.buffer(), done, version);
                return Ok(true);
            }
            Token::Raw(bytes) => self.out.buffer().extend_from_slice(&bytes),
        }
        Ok(false)
    }
}

#[async_trait::async_trait]
impl<W: AsyncWrite + Unpin + Send> Sink for WireSink<'_, W> {
    async fn send(&mut self, token: Token) -> io::Result<()> {
        if self.gone.is_cancelled() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let flush = self
            .encode(token)
            .inspect_err(|error| tracing::error!(%error, "a token cannot be encoded"))?;
        let gone = self.gone.clone();
        let sending = async {
            if flush {
                self.out.flush().await
            } else {
                self.out.send_full().await
            }
        };
        tokio::select! {
            biased;
            sent = sending => sent,
            () = gone.cancelled() => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::DoneKind;

    fn done(more: bool) -> Token {
        Token::Done {
            kind: DoneKind::DoneProc,
            more,
            error: false,
            count: None,
            cur_cmd: 0,
        }
    }

    /// The status bits of the DONE tokens that `tokens` end up as.
    async fn statuses(tokens: Vec<Token>, attention: bool) -> Vec<u16> {
        let dialect = Dialect {
            version: Version::V74,
            server_name: "S".into(),
        };
        let mut out = PacketWriter::new(Vec::new());
        let mut sink = WireSink::new(&mut out, &dialect, CancellationToken::new(), Cancel::default());
        for token in tokens {
            sink.send(token).await.unwrap();
        }
        sink.finish(attention).await.unwrap();
        let mut wire = out.into_stream();
        let mut statuses = Vec::new();
        while !wire.is_empty() {
            let length = usize::from(u16::from_be_bytes([wire[2], wire[3]]));
            let packet: Vec<u8> = wire.drain(..length).collect();
            statuses.extend(
                packet[8..]
                    .chunks(13)
                    .map(|done| u16::from_le_bytes([done[1], done[2]])),
            );
        }
        statuses
    }

    #[tokio::test]
    async fn the_last_done_of_several_calls_has_no_more() {
        assert_eq!(statuses(vec![done(false), done(false)], false).await, [1, 0]);
    }

    #[tokio::test]
    async fn an_attention_replaces_the_last_done() {
        assert_eq!(statuses(vec![done(true), done(false)], true).await, [1, 0x20]);
    }

    #[tokio::test]
    async fn an_answer_without_tokens_still_ends() {
        assert_eq!(statuses(vec![], false).await, [0]);
    }

    #[tokio::test]
    async fn a_client_that_is_gone_is_an_error() {
        let dialect = Dialect {
            version: Version::V74,
            server_name: "S".into(),
        };
        let gone = CancellationToken::new();
        let mut out = PacketWriter::new(Vec::new());
        let mut sink = WireSink::new(&mut out, &dialect, gone.clone(), Cancel::default());
        gone.cancel();
        assert_eq!(
            sink.send(done(true)).await.unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
