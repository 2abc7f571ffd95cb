//! `lease break-glass`: the first person's word that a holder cannot write any more. Nothing changes by it: a second person
//! confirms it with `lease attest` before it lapses.

use syncferry_shared::lease::{Lease, LeaseState};
use syncferry_shared::watch::WatchReport;
use syncferry_shared::{AttestationId, Finding, Millis};
use syncferry_store::attestations::MOST_VALID_MS;
use syncferry_store::{Attestation, Host, LeaseError, NewAttestation, Purpose, Tx};

use super::words::{self, names, wrong_state};
use super::{Answer, Ask, OURS, seen};
use crate::core::{Core, system_event};
use crate::problem::Problem;

/// What was seen within so many looks of the watch speaks against a word.
const FRESH_LOOKS: u64 = 8;

/// What the first person types besides.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'a> {
    /// The holder's name.
    pub server: &'a str,
    /// The ticket.
    pub ticket: &'a str,
}

/// The first person's word on a lease that its holder still has, as far as anybody knows.
pub async fn break_glass(core: &Core, ask: Ask<'_>, typed: Typed<'_>) -> Result<Answer, Problem> {
    let mut tx = core.store.begin("lease.break-glass").await?;
    let (lease, name) = seen(&mut *tx, &ask).await?;
    let holder = words::holder(&mut *tx, &lease).await?;
    let mut answer = Answer::new(&lease);
    if !matches!(lease.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost) {
        answer.found(wrong_state(&lease, &name, "break-glass", words::name(holder.as_ref())));
        return if ask.dry_run {
            Ok(answer)
        } else {
            answer.must_be_ready()
        };
    }
    first_word(
        core,
        tx,
        &ask,
        typed,
        Purpose::BreakGlass,
        &lease,
        &name,
        holder.as_ref(),
        answer,
    )
    .await
}

/// Takes a first word, or says what it would mean.
#[expect(
    clippy::too_many_arguments,
    reason = "one call, and every argument is a different thing"
)]
pub(super) async fn first_word(
    core: &Core,
    mut tx: Box<dyn Tx>,
    ask: &Ask<'_>,
    typed: Typed<'_>,
    purpose: Purpose,
    lease: &Lease,
    name: &str,
    holder: Option<&Host>,
    mut answer: Answer,
) -> Result<Answer, Problem> {
    if typed.ticket.trim().is_empty() {
        return Err(Problem::Invalid(
            "a ticket must be given: it stands beside the two names in the proof".to_string(),
        ));
    }
    check_name(holder, typed.server, &mut answer)?;
    not_contradicted(core, &mut *tx, lease, holder, &mut answer).await?;
    let who = words::name(holder);
    answer.step(format!(
        "your word is kept for {} minutes: {who} is off, or cannot start its service ADSync. Nothing changes yet",
        MOST_VALID_MS / 60_000
    ));
    answer.step(format!(
        "another operator confirms it with: syncferry lease attest {name} --server {who} --reason <why>"
    ));
    answer.step(consequence(lease, who));
    answer.found(
        Finding::warning("word-is-no-evidence", "Two people's word is the weakest of all proofs")
            .saw("what it rests on", "nothing that Syncferry saw")
            .source(OURS)
            .next(format!(
                "When SQL Server can be reached, fence there instead: `syncferry lease fence {name} --sql`. Make sure that {who} cannot come back: power, network, service."
            )),
    );
    if ask.dry_run {
        return Ok(answer);
    }
    let mut answer = answer.must_be_ready()?;
    let new = NewAttestation {
        id: AttestationId::new(tx.now(), &core.random()),
        resource: lease.resource.clone(),
        epoch: lease.epoch,
        purpose,
        server: typed.server.trim().to_string(),
        reason: ask.reason.trim().to_string(),
        ticket: typed.ticket.trim().to_string(),
        first: ask.actor.to_string(),
        valid_ms: MOST_VALID_MS,
    };
    let given = tx.add_attestation(&new).await.map_err(refusal)?;
    let store = tx.meta().await?.id;
    let payload = serde_json::json!({
        "resource": lease.resource, "epoch": lease.epoch, "purpose": purpose.as_str(), "server": given.server,
        "reason": given.reason, "ticket": given.ticket, "valid_until": given.valid_until.rfc3339(),
    });
    tx.append_event(system_event(&store.to_string(), "lease.word-given", ask.actor, payload))
        .await?;
    tx.commit().await?;
    answer.next_step = format!(
        "Another operator, until {}: syncferry lease attest {name} --server {} --reason <why>",
        given.valid_until.rfc3339(),
        given.server
    );
    Ok(answer)
}

/// What the second word brings about.
pub(super) fn consequence(lease: &Lease, who: &str) -> String {
    match lease.state {
        LeaseState::Fencing => format!(
            "fencing becomes free at epoch {}, on the word of both; an alarm is raised",
            lease.epoch
        ),
        state => format!(
            "{state} becomes fencing at epoch {} and then free, on the word of both: every token of {who} is void; an alarm is raised",
            lease.epoch + 1
        ),
    }
}

/// The server's name is typed, so that nobody takes the wrong lease by a habit of the fingers.
pub(super) fn check_name(holder: Option<&Host>, typed: &str, answer: &mut Answer) -> Result<(), Problem> {
    let Some(holder) = holder else {
        return Err(Problem::NotNow(
            "nobody held this lease: there is nobody to give a word about; `syncferry lease fence` looks at the database".to_string(),
        ));
    };
    if !names(holder, typed) {
        answer.found(
            Finding::blocker(
                "server-name-differs",
                "The server's name is not that of the lease's holder",
            )
            .saw("what you typed", typed)
            .source("Syncferry: whoever takes a lease from a server names that server")
            .next("Look at `syncferry lease show`, make sure which server it is about, and type its name."),
        );
    }
    Ok(())
}

/// Nobody's word stands against what was just seen.
pub(super) async fn not_contradicted(
    core: &Core,
    tx: &mut dyn Tx,
    lease: &Lease,
    holder: Option<&Host>,
    answer: &mut Answer,
) -> Result<(), Problem> {
    let Some(holder) = holder else { return Ok(()) };
    let now = tx.now();
    let fresh_ms = core.config.leases.watch_s.saturating_mul(FRESH_LOOKS * 1000);
    let fresh_ms = i64::try_from(fresh_ms).unwrap_or(i64::MAX);
    for watch in tx.watches().await? {
        let Ok(report) = serde_json::from_value::<WatchReport>(watch.report) else {
            continue;
        };
        let fresh = now.since(watch.at) < fresh_ms;
        if !fresh {
            continue;
        }
        let of_holder = (watch.host == holder.id).then_some(&report);
        if let Some(finding) = contradiction(lease, holder, of_holder, &report, watch.at) {
            answer.found(finding);
        }
    }
    Ok(())
}

fn contradiction(
    lease: &Lease,
    holder: &Host,
    of_holder: Option<&WatchReport>,
    report: &WatchReport,
    at: Millis,
) -> Option<Finding> {
    let seen = |looked_at: String, found: String| {
        Finding::blocker("word-contradicted", format!("{} was just seen alive", holder.name))
            .saw(looked_at, format!("{found}, at {}", at.rfc3339()))
            .source(OURS)
            .next(format!(
                "Stop it: {}. A server that can be reached hands over: `syncferry lease handover`.",
                words::how_to_stop(&holder.name)
            ))
    };
    let service = of_holder
        .and_then(|r| r.connect.as_ref())
        .and_then(|c| c.facts.service.as_ref());
    if let Some(s) = service.filter(|s| s.state.eq_ignore_ascii_case("running")) {
        return Some(seen(
            format!("service ADSync on {}", holder.name),
            format!("{}, {}", s.state, s.start),
        ));
    }
    let database = lease.resource.database_id()?;
    let sessions = report
        .databases
        .iter()
        .find(|d| d.database == database)?
        .sessions
        .as_ref()?;
    let session = sessions
        .iter()
        .find(|s| s.is_sync_service() && s.host.as_deref().is_some_and(|h| names(holder, h)))?;
    Some(seen(
        format!("session {} in sys.dm_exec_sessions", session.id),
        format!("{} from {}", session.program.as_deref().unwrap_or("?"), holder.name),
    ))
}

/// What the store says of words, as a finding.
pub(super) fn refusal(e: LeaseError) -> Problem {
    let (rule, next) = match &e {
        LeaseError::WordWaits { .. } => (
            "word-waits",
            "Confirm that word with `syncferry lease attest`, or wait until it lapses.",
        ),
        LeaseError::OnePerson { .. } => (
            "one-person",
            "Ask another operator. `syncferry-controller operator add` makes credentials for one, on the controller's host.",
        ),
        LeaseError::WordLapsed { .. } => (
            "word-lapsed",
            "Give the first word again with `syncferry lease break-glass`.",
        ),
        LeaseError::NoWord { .. } => ("no-word", "Give a first word with `syncferry lease break-glass`."),
        _ => return e.into(),
    };
    let title = e.to_string();
    Problem::refused(
        Finding::blocker(rule, title.clone())
            .saw("the words given on this lease", title)
            .source("Syncferry: two different people, within a quarter of an hour")
            .next(next),
    )
}

/// The word that waits on a lease, if it is still good.
pub(super) async fn waiting(tx: &mut dyn Tx, lease: &Lease) -> Result<Option<Attestation>, Problem> {
    let now = tx.now();
    let waiting = tx.waiting_attestation(&lease.resource).await?;
    Ok(waiting.filter(|a| now <= a.valid_until && a.epoch == lease.epoch))
}
