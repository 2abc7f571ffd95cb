//! `watch`: shows what happens until the migration rests, through restarts of the controller.

mod display;
mod ticker;

use std::time::{Duration, Instant};

use syncferry_proto::v1::{Migration, WatchRequest, WatchResponse};
use tonic::Code;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::{json, render};
use display::Display;

/// How long to wait before the controller is asked again: twice as long each time, between these.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// Watch a migration until it rests
///
/// One line for each event, the progress of running jobs, and the cards when a gate opens. Survives restarts of the
/// controller; ending this command does not end the migration.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 succeeded (or planned), 3 blocked, 6 stopped or stuck, 7 cancelled.

With --json, each line is a document: {\"what\": \"event\", \"event\"}, {\"what\": \"migration\", \"migration\"}, and at
the end {\"what\": \"end\", \"migration\", \"exit\"}.")]
pub(crate) struct Args {
    /// The migration, by id or the tail of it
    pub(crate) migration: String,
    /// Only events after this one
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: i64,
    /// End when a gate waits for a person, or a hand-over for an operator, too
    #[arg(long)]
    until_gate: bool,
    /// How long to look for a controller that is gone
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
}

impl Args {
    /// Everything after an event, with the defaults.
    pub(crate) fn all(migration: String, after: i64) -> Self {
        Self {
            migration,
            after,
            until_gate: false,
            patience: 300,
        }
    }
}

pub(crate) async fn run(args: Args, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    follow(&session, args, cx).await
}

/// Follows a migration to its rest.
pub(crate) async fn follow(session: &Session, args: Args, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let mut display = Display::new(cx);
    let mut after = args.after;
    let mut lost: Option<Instant> = None;
    let mut pause = PAUSES[0];
    let mut connected = false;
    loop {
        let failed = match stream(session, &args, &mut after, &mut display, &mut connected, &mut lost, cx).await {
            Ok(Next::Rests(m)) => return finish(&m, display, cx),
            Ok(Next::Again) => None,
            Err(error) if connected && passes(&error) => Some(error),
            Err(error) => return Err(error),
        };
        if let Some(error) = failed {
            let since = *lost.get_or_insert_with(|| {
                display.say(cx, &format!("{error}\n  trying again for {} s\n", args.patience));
                Instant::now()
            });
            if since.elapsed() > Duration::from_secs(args.patience) {
                return Err(error);
            }
        }
        pause = if lost.is_some() {
            (pause * 2).min(PAUSES[1])
        } else {
            PAUSES[0]
        };
        tokio::time::sleep(pause).await;
    }
}

/// What comes after a stream.
enum Next {
    /// Nothing: the migration rests.
    Rests(Box<Migration>),
    /// Another stream: the controller ended this one.
    Again,
}

/// One stream of the controller, from its beginning to its end.
async fn stream(
    session: &Session,
    args: &Args,
    after: &mut i64,
    display: &mut Display,
    connected: &mut bool,
    lost: &mut Option<Instant>,
    cx: &mut Context<'_, '_>,
) -> Result<Next, CliError> {
    let request = WatchRequest {
        migration: args.migration.clone(),
        after_seq: *after,
    };
    let mut messages = session.call(session.service().watch(request)).await?;
    while let Some(message) = messages.message().await.map_err(|status| session.problem(&status))? {
        *connected = true;
        if lost.take().is_some() {
            display.say(cx, "the controller is back\n");
        }
        let message = new_only(message, *after);
        *after = message.events.last().map_or(*after, |e| e.seq);
        display.show(&message, cx)?;
        if let Some(m) = message.migration
            && ends(&m, message.rests, args.until_gate)
        {
            return Ok(Next::Rests(Box::new(m)));
        }
    }
    Ok(Next::Again)
}

/// Leaves out what was shown before: a new stream may begin with it again.
fn new_only(mut message: WatchResponse, after: i64) -> WatchResponse {
    message.events.retain(|e| e.seq > after);
    message
}

/// Whether there is nothing more to watch. At a gate a person acts and it goes on, unless we were told to end there.
fn ends(m: &Migration, rests: bool, until_gate: bool) -> bool {
    let goes_on = matches!(m.state.as_str(), "running" | "unwinding" | "inspecting") && !m.open_gates.is_empty();
    let at_gate = until_gate && (m.open_gates.iter().any(|g| g.state == "open") || display::waits_for_operator(m));
    (rests && !goes_on) || at_gate
}

/// Whether trying again may help.
fn passes(error: &CliError) -> bool {
    let busy = |code: &Code| {
        matches!(
            code,
            Code::Unavailable | Code::Cancelled | Code::Aborted | Code::Unknown
        )
    };
    match error {
        CliError::Unreachable { .. } => true,
        CliError::Controller { code, .. } => busy(code),
        _ => false,
    }
}

fn finish(m: &Migration, display: Display, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    drop(display);
    let exit = exit_of(&m.state);
    if cx.json() {
        cx.emit(&json::WatchLine::End {
            migration: json::Migration::from(m),
            exit: exit.code(),
        })?;
    } else {
        let text = render::resting(m, &cx.look());
        cx.print(&text)?;
    }
    Ok(exit)
}

/// How `watch` ends for the state that a migration rests in.
fn exit_of(state: &str) -> Exit {
    match state {
        "blocked" => Exit::Refused,
        "stopped" | "stuck" => Exit::Stopped,
        "cancelled" => Exit::Cancelled,
        _ => Exit::Ok,
    }
}
