//! Runs one request while listening to what else the client has to say: an Attention, or nothing any more.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::types::{Cancel, Sink};

use super::backend::BackendSession;
use super::connection::message;
use super::decode::Request;
use super::packet::{Assembly, Kind, Message};
use super::reader::{REQUEST_LIMIT, read_message};
use super::sink::{Dialect, WireSink};
use super::writer::PacketWriter;

/// How long a statement may take to stop after its client is gone or its session was killed.
const GRACE: Duration = Duration::from_secs(30);

/// The client's messages, read by a task of their own so that an Attention is seen while a statement computes.
#[derive(Debug)]
pub(crate) struct Incoming {
    messages: mpsc::Receiver<Message>,
    task: AbortHandle,
    /// A message that came before the answer to the one before it was complete.
    early: Option<Message>,
}

impl Incoming {
    pub(crate) fn start(mut stream: impl AsyncRead + Unpin + Send + 'static, cancel: Cancel) -> Self {
        let (sender, messages) = mpsc::channel(4);
        let task = tokio::spawn(async move {
            let mut assembly = Assembly::new(REQUEST_LIMIT);
            loop {
                match read_message(&mut stream, &mut assembly).await {
                    Ok(Some(message)) => {
                        if message.kind == Kind::Attention {
                            cancel.cancel();
                        }
                        if sender.send(message).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(%error, "the client's stream broke");
                        break;
                    }
                }
            }
            cancel.cancel();
        });
        Self {
            messages,
            task: task.abort_handle(),
            early: None,
        }
    }

    /// The next message; `None` when the client is gone.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        match self.early.take() {
            Some(message) => Some(message),
            None => self.messages.recv().await,
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why a running request has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    Attention,
    Killed,
    Shutdown,
    Gone,
}

impl Stop {
    /// Whether the answer goes on being sent as if nothing had happened.
    fn keeps_connection(self) -> bool {
        matches!(self, Self::No | Self::Attention)
    }
}

/// What happens to the connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Continue,
    Close,
}

/// Runs a request to its end and ends its answer.
pub(crate) async fn run<S: BackendSession, W: AsyncWrite + Unpin + Send>(
    session: &mut S,
    request: Request,
    out: &mut PacketWriter<W>,
    dialect: &Dialect,
    incoming: &mut Incoming,
    shutdown: &CancellationToken,
) -> io::Result<After> {
    let (cancel, killed, gone) = (session.cancel(), session.killed(), CancellationToken::new());
    cancel.reset();
    let mut sink = WireSink::new(out, dialect, gone.clone(), cancel.clone());
    let mut stop = Stop::No;
    let outcome = {
        let work = perform(session, request, &mut sink, &cancel);
        tokio::pin!(work);
        let mut deadline = None;
        loop {
            tokio::select! {
                biased;
                outcome = &mut work => break Some(outcome),
                () = killed.cancelled(), if stop.keeps_connection() => stop = Stop::Killed,
                () = shutdown.cancelled(), if stop.keeps_connection() => stop = Stop::Shutdown,
                message = incoming.messages.recv(), if stop != Stop::Gone && incoming.early.is_none() => match message {
                    Some(message) if message.kind == Kind::Attention => {
                        if stop == Stop::No {
                            stop = Stop::Attention;
                        }
                        cancel.cancel();
                        continue;
                    }
                    Some(message) => {
                        incoming.early = Some(message);
                        continue;
                    }
                    None => {
                        stop = Stop::Gone;
                        gone.cancel();
                    }
                },
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => break None,
            }
            cancel.cancel();
            deadline = Some(Instant::now() + GRACE);
        }
    };
    let error = match (outcome, stop) {
        (Some(Ok(())), Stop::No | Stop::Attention) => {
            let goes_on = sink.finish(stop == Stop::Attention).await?;
            return Ok(if goes_on { After::Continue } else { After::Close });
        }
        (Some(Ok(())), Stop::Killed) => kill_state(),
        // The backend gave up because of the KILL, not because of the stream.
        (Some(Err(error)), Stop::Killed) if error.kind() == io::ErrorKind::ConnectionAborted => kill_state(),
        (Some(Ok(())), Stop::Shutdown) => shutting_down(),
        (Some(Err(error)), Stop::No | Stop::Attention) => return Err(error),
        (None, _) => {
            tracing::warn!("a statement did not stop in time and was dropped");
            return Ok(After::Close);
        }
        _ => return Ok(After::Close),
    };
    sink.finish_fatally(&error).await?;
    Ok(After::Close)
}

/// What a killed session's client reads.
fn kill_state() -> crate::types::Message {
    message(
        596,
        21,
        "Cannot continue the execution because the session is in the kill state.".into(),
    )
}

fn shutting_down() -> crate::types::Message {
    message(6005, 14, "SHUTDOWN is in progress.".into())
}

async fn perform<S: BackendSession>(
    session: &mut S,
    request: Request,
    sink: &mut (dyn Sink + '_),
    cancel: &Cancel,
) -> io::Result<()> {
    match request {
        Request::Batch(sql) => session.batch(&sql, sink).await,
        Request::Transaction(request) => session.transaction(request, sink).await,
        Request::Rpc(calls) => {
            for call in calls {
                if cancel.is_cancelled() {
                    break;
                }
                session.rpc(call, sink).await?;
            }
            Ok(())
        }
        // The connection answers these two itself.
        Request::BulkLoad | Request::DtcAddress => Ok(()),
    }
}
