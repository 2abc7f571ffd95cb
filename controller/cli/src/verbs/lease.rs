//! `lease …`: what there is, and what operators do to it. Every verb that changes something shows first what it will do and
//! what it needs, and names to the controller the very row that was shown.

use syncferry_proto::schema;
use syncferry_proto::v1::{
    AdoptLeaseRequest, AttestLeaseRequest, BreakGlassRequest, FenceLeaseRequest, FenceRun, GetLeaseRequest,
    HandOverLeaseRequest, LeaseAnswer, ListLeasesRequest, PlanFenceRequest,
};
use syncferry_shared::Finding;

use super::{apply, plan};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::{json, render};

const NOBODY: &str = "there is nobody to ask: look at it with --dry-run, then add --yes";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// All leases
    List,
    /// One lease with its proofs and its history
    Show {
        /// The lease: its name, its resource, or the database's id or name
        lease: String,
    },
    /// The changes of one lease, oldest first
    History {
        /// The lease: its name, its resource, or the database's id or name
        lease: String,
    },
    /// Ask the holder to hand over, and seat the next server when it is proven that the holder stopped
    ///
    /// held → draining → (the holder's agent sees its service stopped and disabled) free → held by the next one. The same
    /// command goes on where it stopped: stop the service in between. A lease that is free is given at once.
    #[command(after_help = "\
Examples:
  syncferry lease handover SQL01/default/ADSync --to SYNC03 --reason 'SYNC02 is replaced' --dry-run
  syncferry lease handover contoso/export --to SYNC02 --reason 'SYNC02 becomes the active server'")]
    Handover {
        #[command(flatten)]
        act: Act,
        /// The next Connect server; left out, the lease ends free
        #[arg(long, value_name = "HOST")]
        to: Option<String>,
    },
    /// Take a lost or quarantined lease from its holder, with proof
    ///
    /// Without --sql the proof comes from the holder's own host: its agent must see the service stopped and disabled. With
    /// --sql it comes from SQL Server, which refuses the holder from then on: the exact T-SQL is shown first. With --power-off
    /// it comes from a program on another host that knows whether the holder's machine is off.
    #[command(after_help = "\
Examples:
  syncferry lease fence SQL01/default/ADSync --reason 'SYNC02 does not come back' --dry-run
  syncferry lease fence SQL01/default/ADSync --sql --reason 'SYNC02 does not come back'
  syncferry lease fence SQL01/default/ADSync --power-off --via HV01 --reason 'SYNC02 is shut down'")]
    Fence {
        #[command(flatten)]
        act: Act,
        /// Deny the database to Connect servers at SQL Server itself
        #[arg(long)]
        sql: bool,
        /// Another login to deny, besides those that were seen
        #[arg(long = "login", value_name = "LOGIN", requires = "sql")]
        logins: Vec<String>,
        /// The proof is that the holder's machine is off
        #[arg(long, conflicts_with = "sql", requires = "via")]
        power_off: bool,
        /// The host whose agent knows whether it is off (its [power] section)
        #[arg(long, value_name = "HOST", requires = "power_off")]
        via: Option<String>,
    },
    /// Open a database that was fenced at SQL Server to the lease's holder
    Open {
        #[command(flatten)]
        act: Act,
    },
    /// Give the first of two words that the holder cannot write any more
    ///
    /// For when nothing can be proven. Changes nothing yet: another operator confirms it within 15 minutes with `lease attest`.
    #[command(after_help = "\
Example:
  syncferry lease break-glass SQL01/default/ADSync --server SYNC02 --ticket INC-4711 --reason 'the rack burnt'")]
    BreakGlass {
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        word: Word,
        /// The ticket under which this is done
        #[arg(long)]
        ticket: String,
    },
    /// Confirm another operator's word: the lease is free then, and an alarm says how
    ///
    /// Without a waiting word it is a first one, for a lease that is lost, being fenced or quarantined; then --ticket is needed.
    #[command(after_help = "\
Example:
  syncferry lease attest SQL01/default/ADSync --server SYNC02 --reason 'I stood before the rack'")]
    Attest {
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        word: Word,
        /// The ticket, for a first word
        #[arg(long, default_value = "", hide_default_value = true)]
        ticket: String,
    },
    /// Let another agent renew for the same holder
    Adopt {
        #[command(flatten)]
        act: Act,
        /// The host whose agent renews from here on: the holder's, or the one that reaches the database
        #[arg(long = "by", value_name = "HOST")]
        host: String,
    },
    /// Marks and denials that Syncferry wrote into a database
    #[command(subcommand)]
    Marks(Marks),
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Marks {
    /// Remove every mark and denial of ours, and prove the database clean
    ///
    /// A copy that was refused, or that nobody registered, is given by its address: HOST/INSTANCE/NAME. Then only the denials of
    /// the logins that are named are taken back.
    #[command(after_help = "\
Examples:
  syncferry lease marks remove SQL01/default/ADSync --reason 'back to how it was'
  syncferry lease marks remove SQL02/default/ADSync_copy --login 'CONTOSO\\svc-sync1' --reason 'a test copy'")]
    Remove {
        #[command(flatten)]
        act: Act,
        /// Another login whose denial is taken back, besides those that were seen
        #[arg(long = "login", value_name = "LOGIN")]
        logins: Vec<String>,
    },
}

/// What every verb that changes something takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Act {
    /// The lease: its name, its resource, or the database's id or name
    lease: String,
    /// Why, for the lease's history
    #[arg(long)]
    reason: String,
    /// Only show what would be done, and what it needs
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// What a person's word takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Word {
    /// The holder's name, typed in full
    #[arg(long, value_name = "NAME")]
    server: String,
}

pub(crate) async fn run(verb: Verb, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    let s = &session;
    match verb {
        Verb::List => list(s, cx).await,
        Verb::Show { lease } => {
            let lease = get(s, lease).await?;
            cx.answer(&json::LeaseDetail::from(&lease), |look| render::lease(&lease, look))?;
            Ok(Exit::Ok)
        }
        Verb::History { lease } => {
            let lease = get(s, lease).await?;
            cx.answer(&json::LeaseHistory::from(&lease), |look| {
                render::lease_history(&lease, look)
            })?;
            Ok(Exit::Ok)
        }
        Verb::Handover { act: a, to } => {
            let to = to.unwrap_or_default();
            let call = async |dry_run, seen_version| {
                let request = HandOverLeaseRequest {
                    lease: a.lease.clone(),
                    to: to.clone(),
                    reason: a.reason.clone(),
                    dry_run,
                    seen_version,
                };
                s.call(s.service().hand_over_lease(request)).await
            };
            // Asking the holder is worth something although it did not stop yet.
            act(&a, Some("handover-begins"), "Hand it over?", call, cx).await
        }
        Verb::Fence {
            act, sql: true, logins, ..
        } => fence_run(s, act, FenceRun::Fence, logins, cx).await,
        Verb::Fence {
            act: a, power_off, via, ..
        } => {
            let via = via.unwrap_or_default();
            let call = async |dry_run, seen_version| {
                let request = FenceLeaseRequest {
                    lease: a.lease.clone(),
                    reason: a.reason.clone(),
                    dry_run,
                    seen_version,
                    power_off,
                    via: via.clone(),
                };
                s.call(s.service().fence_lease(request)).await
            };
            act(&a, None, "Take it?", call, cx).await
        }
        Verb::Open { act } => fence_run(s, act, FenceRun::Open, vec![], cx).await,
        Verb::BreakGlass { act: a, word, ticket } => {
            let call = async |dry_run, seen_version| {
                let request = BreakGlassRequest {
                    lease: a.lease.clone(),
                    server: word.server.clone(),
                    reason: a.reason.clone(),
                    ticket: ticket.clone(),
                    dry_run,
                    seen_version,
                };
                s.call(s.service().break_glass(request)).await
            };
            act(&a, None, "Give your word?", call, cx).await
        }
        Verb::Attest { act: a, word, ticket } => {
            let call = async |dry_run, seen_version| {
                let request = AttestLeaseRequest {
                    lease: a.lease.clone(),
                    server: word.server.clone(),
                    reason: a.reason.clone(),
                    ticket: ticket.clone(),
                    dry_run,
                    seen_version,
                };
                s.call(s.service().attest_lease(request)).await
            };
            act(&a, None, "Give your word?", call, cx).await
        }
        Verb::Adopt { act: a, host } => {
            let call = async |dry_run, seen_version| {
                let request = AdoptLeaseRequest {
                    lease: a.lease.clone(),
                    host: host.clone(),
                    reason: a.reason.clone(),
                    dry_run,
                    seen_version,
                };
                s.call(s.service().adopt_lease(request)).await
            };
            act(&a, None, "Let it renew?", call, cx).await
        }
        Verb::Marks(Marks::Remove { act, logins }) => fence_run(s, act, FenceRun::RemoveMarks, logins, cx).await,
    }
}

async fn list(session: &Session, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let leases = session
        .call(session.service().list_leases(ListLeasesRequest {}))
        .await?
        .leases;
    let value = json::Leases {
        leases: leases.iter().map(json::Lease::from).collect(),
    };
    cx.answer(&value, |look| render::leases(&leases, look))?;
    Ok(Exit::Ok)
}

async fn get(session: &Session, resource: String) -> Result<syncferry_proto::v1::GetLeaseResponse, CliError> {
    session
        .call(session.service().get_lease(GetLeaseRequest { resource }))
        .await
}

/// Shows what a verb would do, asks, and does it on the row that was shown. `begins`: the verb is worth running although
/// something stands in the way of its end.
async fn act(
    a: &Act,
    begins: Option<&str>,
    question: &str,
    call: impl AsyncFn(bool, i64) -> Result<LeaseAnswer, CliError>,
    cx: &mut Context<'_, '_>,
) -> Result<Exit, CliError> {
    let preview = call(true, 0).await?;
    let found = findings(&preview)?;
    if a.dry_run {
        cx.answer(&json::LeaseActed::of(&preview, false), |look| {
            render::lease_would(&preview, &found, look)
        })?;
        return Ok(if preview.ready { Exit::Ok } else { Exit::Refused });
    }
    let cannot_begin = |f: &&Finding| f.blocks() && !(begins.is_some() && is_about_the_end(f));
    if !preview.ready && found.iter().any(|f| cannot_begin(&f)) {
        let title = found.iter().find(cannot_begin).map(|f| f.title.clone());
        return Err(CliError::Refused {
            title: title.unwrap_or_else(|| "not now".to_string()),
            findings: found,
        });
    }
    if !cx.json() {
        let text = render::lease_would(&preview, &found, &cx.look());
        cx.say(&text);
    }
    if !a.yes {
        cx.confirm(question, NOBODY).await?;
    }
    let seen = preview.lease.as_ref().map_or(0, |l| l.row_version);
    let done = call(false, seen).await?;
    let found = findings(&done)?;
    cx.answer(&json::LeaseActed::of(&done, true), |look| {
        render::lease_did(&done, &found, look)
    })?;
    Ok(if done.ready { Exit::Ok } else { Exit::Refused })
}

/// What stands in the way of a hand-over's end, and not of its beginning: a person is to do it in between.
fn is_about_the_end(f: &Finding) -> bool {
    matches!(
        f.rule.as_str(),
        "holder-not-stopped" | "holder-not-seen" | "database-in-use"
    )
}

fn findings(answer: &LeaseAnswer) -> Result<Vec<Finding>, CliError> {
    match &answer.findings {
        Some(document) => Ok(document.read(schema::FINDINGS)?),
        None => Ok(vec![]),
    }
}

/// A run at SQL Server: planned, shown with its T-SQL, approved, watched.
async fn fence_run(
    session: &Session,
    a: Act,
    run: FenceRun,
    logins: Vec<String>,
    cx: &mut Context<'_, '_>,
) -> Result<Exit, CliError> {
    let request = PlanFenceRequest {
        lease: a.lease,
        run: run.into(),
        logins,
        reason: a.reason,
        ..PlanFenceRequest::default()
    };
    run_at_sql_server(session, request, a.dry_run, a.yes, cx)
        .await
        .map(|(exit, _)| exit)
}

/// A run: how it ended, and its id.
pub(super) async fn run_at_sql_server(
    session: &Session,
    request: PlanFenceRequest,
    dry_run: bool,
    yes: bool,
    cx: &mut Context<'_, '_>,
) -> Result<(Exit, String), CliError> {
    let reason = request.reason.clone();
    let m = session.call(session.service().plan_fence(request)).await?;
    let id = m.id.clone();
    if dry_run || m.state == "blocked" {
        plan::show(&m, cx)?;
        return Ok((if m.state == "blocked" { Exit::Refused } else { Exit::Ok }, id));
    }
    Ok((apply::planned_run(session, &m, reason, yes, cx).await?, id))
}
