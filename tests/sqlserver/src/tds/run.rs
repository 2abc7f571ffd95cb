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
    Gone,
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
                () = killed.cancelled(), if matches!(stop, Stop::No | Stop::Attention) => stop = Stop::Killed,
                () = shutdown.cancelled(), if matches!(stop, Stop::No | Stop::Attention) => stop = Stop::Killed,
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
    match (outcome, stop) {
        (Some(Ok(())), Stop::No | Stop::Attention) => {
            sink.finish(stop == Stop::Attention).await?;
            Ok(After::Continue)
        }
        (Some(Ok(())), Stop::Killed) => {
            sink.finish_fatally(&super::connection::kill_state()).await?;
            Ok(After::Close)
        }
        (Some(Err(error)), Stop::No | Stop::Attention) => Err(error),
        (None, _) => {
            tracing::warn!("a statement did not stop in time and was dropped");
            Ok(After::Close)
        }
        _ => Ok(After::Close),
    }
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
