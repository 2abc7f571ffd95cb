//! `events`.

use clap::ValueEnum;
use syncferry_proto::v1::{Event, GetHostRequest, GetLeaseRequest, GetVersionRequest, ListEventsRequest};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::{json, render};

/// How many events are asked for at a time.
const PAGE: i32 = 1000;

/// What happened: the events of a migration, an agent, a lease or the controller
///
/// In order, without gaps. Every event carries the hash of the one before it (see --json).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  syncferry events migration 0242ac12
  syncferry events agent SQL01 --after 120
  syncferry events lease ADSync
  syncferry events system")]
pub(crate) struct Args {
    /// Whose history
    stream: Stream,
    /// The migration's id, the host's name, or the lease's resource or database
    #[arg(required_if_eq_any([("stream", "migration"), ("stream", "agent"), ("stream", "lease")]))]
    id: Option<String>,
    /// Only events after this one
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: i64,
    /// At most so many [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Whose history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stream {
    /// A migration
    Migration,
    /// A host's agent
    Agent,
    /// A lease
    Lease,
    /// The controller itself
    System,
}

impl Stream {
    fn as_str(self) -> &'static str {
        match self {
            Stream::Migration => "migration",
            Stream::Agent => "agent",
            Stream::Lease => "lease",
            Stream::System => "system",
        }
    }
}

pub(crate) async fn run(args: Args, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    let id = resolve(&session, args.stream, args.id.unwrap_or_default()).await?;
    let limit = args.limit.map_or(usize::MAX, |n| n as usize);
    let events = all(&session, args.stream, &id, args.after, limit).await?;
    let value = json::Events {
        events: events.iter().map(json::Event::from).collect(),
    };
    cx.answer(&value, |look| render::events(&events, look))?;
    Ok(Exit::Ok)
}

/// The stream's id from what a person types: hosts and databases have names.
async fn resolve(session: &Session, stream: Stream, id: String) -> Result<String, CliError> {
    match stream {
        Stream::Agent => Ok(session
            .call(session.service().get_host(GetHostRequest { host: id }))
            .await?
            .id),
        Stream::Lease => {
            let request = GetLeaseRequest { resource: id.clone() };
            let found = session.call(session.service().get_lease(request)).await?;
            Ok(found.lease.map_or(id, |l| l.resource))
        }
        // The controller's own history is that of its store.
        Stream::System if id.is_empty() => Ok(session
            .call(session.service().get_version(GetVersionRequest {}))
            .await?
            .store_id),
        Stream::Migration | Stream::System => Ok(id),
    }
}

async fn all(session: &Session, stream: Stream, id: &str, after: i64, limit: usize) -> Result<Vec<Event>, CliError> {
    let (mut events, mut after): (Vec<Event>, i64) = (Vec::new(), after);
    while events.len() < limit {
        let wanted = i32::try_from(limit - events.len()).unwrap_or(PAGE).min(PAGE);
        let request = ListEventsRequest {
            stream_kind: stream.as_str().to_string(),
            stream_id: id.to_string(),
            after_seq: after,
            limit: wanted,
        };
        let page = session.call(session.service().list_events(request)).await?.events;
        // A page that does not go on would be asked for again and again.
        let Some(last) = page.last().map(|e| e.seq).filter(|seq| *seq > after) else {
            break;
        };
        let full = i32::try_from(page.len()).unwrap_or(PAGE) >= wanted;
        events.extend(page);
        after = last;
        if !full {
            break;
        }
    }
    Ok(events)
}

/// The number of a migration's newest event.
pub(super) async fn last_of_migration(session: &Session, id: &str) -> Result<i64, CliError> {
    let events = all(session, Stream::Migration, id, 0, usize::MAX).await?;
    Ok(events.last().map_or(0, |e| e.seq))
}
