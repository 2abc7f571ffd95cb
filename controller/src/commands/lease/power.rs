//! `lease fence --power-off`: takes a lease from a holder whose machine is off, by the word of a program on another host that
//! knows (a hypervisor's). Tokens are void first, then it is asked once more, then the lease is free.
//!
//! The word counts only while nothing speaks against it: the holder's own agent is not heard of, and nothing of the holder is
//! on the database where that can be seen. It does not show that nobody powers the machine on again; the watch tells then.

use serde_json::{Value, json};
use syncferry_shared::inventory::{DatabaseFacts, InspectionRequest, SessionFacts};
use syncferry_shared::lease::{Lease, LeaseKind, LeaseState, ProofKind};
use syncferry_shared::power::{self, PowerRequest, PowerSight};
use syncferry_shared::{Finding, Millis};
use syncferry_store::{Agent, AgentState, By, Database, Host, NewProof};

use super::fence::mark_epoch;
use super::words::{self, wrong_state};
use super::{Answer, Ask, OURS, again, detail, proof, seen};
use crate::core::Core;
use crate::find;
use crate::problem::Problem;
use crate::recovery::release;
use crate::recovery::status::Pending;

/// What was seen.
struct Sight {
    /// When the looking began, by the store's clock: whoever was heard of since then is not off.
    began: Millis,
    /// What the program said, or why it said nothing.
    power: Result<PowerSight, Finding>,
    /// The database, from the host whose agent reaches it.
    database: Option<Result<DatabaseFacts, String>>,
    /// The holder's agent afterwards.
    agent: Option<Agent>,
}

/// Fences with the word of a program on another host that the holder's machine is off.
pub async fn fence_power_off(core: &Core, ask: Ask<'_>, via: &str) -> Result<Answer, Problem> {
    let mut tx = core.store.read("lease.power-look").await?;
    let (mut lease, name) = seen(&mut *tx, &ask).await?;
    let holder = words::holder(&mut *tx, &lease).await?;
    let database = find::database_of(&mut *tx, &lease).await?;
    if via.trim().is_empty() {
        return Err(Problem::Invalid(
            "--power-off needs --via: the host whose agent knows whether machines are off".to_string(),
        ));
    }
    let via = find::host(&mut *tx, via.trim()).await?;
    // The backup of a store may name somebody who had long handed it over: that its machine is off says nothing then.
    let restored = release::pending(&mut *tx, &lease).await?;
    let others = match &restored {
        Some(pending) => release::others(&mut *tx, pending).await?,
        None => vec![],
    };
    drop(tx);
    let mut answer = Answer::new(&lease);
    let who = words::name(holder.as_ref()).to_string();
    if !matches!(
        lease.state,
        LeaseState::Lost | LeaseState::Quarantined | LeaseState::Fencing
    ) {
        answer.found(wrong_state(&lease, &name, "fence", &who));
    }
    let Some(holder) = holder.filter(|h| possible(h, &via, &mut answer)) else {
        if answer.ready {
            answer.found(no_machine(&lease));
        }
        return if ask.dry_run {
            Ok(answer)
        } else {
            answer.must_be_ready()
        };
    };
    if !answer.ready {
        return if ask.dry_run {
            Ok(answer)
        } else {
            answer.must_be_ready()
        };
    }

    if let Some(pending) = &restored {
        for finding in not_elsewhere(core, &lease, pending, &others, database.as_ref()).await? {
            answer.found(finding);
        }
    }
    let sight = look(core, &holder, &via, database.as_ref()).await?;
    let above = sight.database.as_ref().and_then(|d| mark_epoch(d.as_ref().ok()?));
    let epoch = match lease.state {
        LeaseState::Fencing => lease.epoch,
        _ => {
            let next = lease.epoch.max(above.unwrap_or(0)) + 1;
            answer.step(format!(
                "{} becomes fencing at epoch {next}: every token of {who} is void",
                lease.state
            ));
            next
        }
    };
    answer.step(format!(
        "the program on {} must say twice that the machine of {who} is off, while nothing is heard of {who}",
        via.name
    ));
    answer.step(format!("fencing becomes free at epoch {epoch}, on that proof"));
    let notes = match judge(&lease, &holder, &via, &sight) {
        Ok((_, notes)) => notes,
        Err(against) => against,
    };
    notes.into_iter().for_each(|f| answer.found(f));
    if ask.dry_run {
        return Ok(answer);
    }
    // Tokens are not made void for a proof that is not at hand: until then, the holder may still come back to what is its.
    let mut answer = answer.must_be_ready()?;
    let by = By::new(ask.actor).detail(detail("fence --power-off", &ask));
    if lease.state != LeaseState::Fencing {
        let mut tx = core.store.begin("lease.begin-fence").await?;
        again(&mut *tx, &lease).await?;
        lease = tx.begin_fence(&lease.resource, lease.epoch, above, &by).await?;
        tx.commit().await?;
    }
    let mut sight = look(core, &holder, &via, database.as_ref()).await?;
    let mut tx = core.store.begin("lease.end-fence").await?;
    again(&mut *tx, &lease).await?;
    // Whoever was heard of in the last moment is heard here: this transaction's look is the last one.
    sight.agent = tx.agent_of_host(holder.id).await?;
    let evidence = match judge(&lease, &holder, &via, &sight) {
        Ok((evidence, _)) => evidence,
        Err(against) => {
            return Err(Problem::Refused {
                title: format!(
                    "after the tokens of {who} were void, it was not proven any more that its machine is off; the lease stays in fencing"
                ),
                findings: against,
            });
        }
    };
    let proof = NewProof {
        kind: ProofKind::PowerOff,
        evidence,
        actor: ask.actor.to_string(),
        second: None,
    };
    tx.add_proof(&lease.resource, lease.epoch, &proof).await?;
    tx.end_fence(&lease.resource, lease.epoch, &by).await?;
    tx.commit().await?;
    answer.next_step = format!(
        "See to it that nobody powers {who} on again. `syncferry lease handover {name} --to <server>` seats the next one."
    );
    Ok(answer)
}

/// What stands against believing that the backup's holder was the last one.
async fn not_elsewhere(
    core: &Core,
    lease: &Lease,
    pending: &Pending,
    others: &[Host],
    database: Option<&Database>,
) -> Result<Vec<Finding>, Problem> {
    let unheard = release::unheard_others(pending);
    if !unheard.is_empty() {
        return Ok(unheard);
    }
    let sight = proof::look(core, lease, None, others, database).await?;
    Ok(proof::others_gave_up(lease, pending, database, &sight)
        .err()
        .unwrap_or_default())
}

/// Whether this host can be asked about that one at all.
fn possible(holder: &Host, via: &Host, answer: &mut Answer) -> bool {
    if via.id != holder.id {
        return true;
    }
    answer.found(
        Finding::blocker(
            "power-same-host",
            format!("{} cannot say that it is off itself", via.name),
        )
        .saw("--via", &via.name)
        .source(OURS)
        .next("Name the host that runs its machine, or one that can ask for it."),
    );
    false
}

fn no_machine(lease: &Lease) -> Finding {
    Finding::blocker(
        "no-holder",
        "Nobody holds the lease: there is no machine that could be off",
    )
    .saw(
        format!("lease {}", lease.resource),
        format!("{}, epoch {}, holder nobody", lease.state, lease.epoch),
    )
    .source(OURS)
    .next("Without a holder, `syncferry lease fence` asks whether anybody is on the database.")
}

async fn look(core: &Core, holder: &Host, via: &Host, database: Option<&Database>) -> Result<Sight, Problem> {
    let began = core.store.now().await?;
    let machine = holder.computer_name.clone().unwrap_or_else(|| holder.name.clone());
    let request = InspectionRequest {
        power: Some(PowerRequest {
            machine: machine.clone(),
        }),
        ..InspectionRequest::default()
    };
    let power = match proof::ask(core, via, &request).await? {
        Ok(inventory) => {
            let subject = format!("power of {machine}");
            let why = inventory.problems.into_iter().find(|p| p.subject == subject);
            inventory.power.ok_or_else(|| not_said(via, &machine, why))
        }
        Err(why) => Err(Finding::blocker(
            "power-not-seen",
            format!(
                "{} could not be asked whether the machine of {} is off",
                via.name, holder.name
            ),
        )
        .saw(format!("the agent on {}", via.name), why)
        .source(OURS)
        .next(format!(
            "Bring the agent on {} back, or name another host with --via.",
            via.name
        ))),
    };
    let database = match database {
        Some(d) => proof::look_at_database(core, d).await?,
        None => None,
    };
    let mut tx = core.store.read("lease.power-agent").await?;
    let agent = tx.agent_of_host(holder.id).await?;
    Ok(Sight {
        began,
        power,
        database,
        agent,
    })
}

/// The agent answered, and not this.
fn not_said(via: &Host, machine: &str, why: Option<syncferry_shared::inventory::Problem>) -> Finding {
    let finding = Finding::blocker(
        "power-not-configured",
        format!("{} does not know whether {machine} is off", via.name),
    )
    .source("Syncferry: a machine's word is asked for where the agent's configuration allows it");
    match why {
        Some(p) => finding
            .saw(format!("the agent on {}: {}", via.name, p.subject), p.error)
            .next(p.next_step),
        None => finding
            .saw(format!("the agent on {}", via.name), "it knows no such question")
            .next("Update that agent, then repeat the command."),
    }
}

type Judged = Result<(Value, Vec<Finding>), Vec<Finding>>;

/// What was seen, as evidence, or what stands against it.
fn judge(lease: &Lease, holder: &Host, via: &Host, sight: &Sight) -> Judged {
    let (mut against, mut notes) = (Vec::new(), Vec::new());
    let who = &holder.name;
    against.extend(alive(holder, sight));
    let mut names = vec![who.as_str()];
    names.extend(holder.computer_name.as_deref());
    match &sight.power {
        Ok(said) => {
            if let Err(doubt) = power::is_off(said, &names) {
                against.push(
                    Finding::blocker("power-not-off", format!("It is not proven that the machine of {who} is off"))
                        .saw(format!("{} on {}, asked for {} ({})", program(said), via.name, said.machine, said.id), doubt.to_string())
                        .source(OURS)
                        .next(format!(
                            "See whether {who} is shut down (a saved or paused machine is not), and what the program prints when it is run by hand on {}; then repeat the command.",
                            via.name
                        )),
                );
            }
        }
        Err(f) => against.push(f.clone()),
    }
    let sessions = match (lease.kind, &sight.database) {
        (LeaseKind::TenantExport, _) | (_, None) => Value::Null,
        (_, Some(Ok(facts))) => sessions(facts, holder, &mut against, &mut notes),
        (_, Some(Err(why))) => {
            notes.push(
                Finding::note("sessions-not-seen", "The database's sessions could not be looked at")
                    .saw("the agent that reaches the database", why)
                    .source(OURS)
                    .next(format!("Nothing, when the machine of {who} is off.")),
            );
            Value::Null
        }
    };
    match (&sight.power, against.is_empty()) {
        (Ok(said), true) => Ok((
            json!({
                "holder": who, "via": via.name, "said": said, "sessions": sessions,
                "agent": sight.agent.as_ref().map(|a| json!({
                    "state": a.state.as_str(), "last_heard": a.last_heartbeat_at.map(|t| t.rfc3339()),
                })),
            }),
            notes,
        )),
        _ => {
            against.extend(notes);
            Err(against)
        }
    }
}

/// A machine whose agent talks is not off.
fn alive(holder: &Host, sight: &Sight) -> Option<Finding> {
    let agent = sight.agent.as_ref()?;
    let heard_since = agent.last_heartbeat_at.is_some_and(|t| t >= sight.began);
    if agent.state != AgentState::Online && !heard_since {
        return None;
    }
    let heard = agent.last_heartbeat_at.map_or("never".to_string(), Millis::rfc3339);
    Some(
        Finding::blocker("holder-alive", format!("The agent on {} is in touch: that machine is not off", holder.name))
            .saw(
                format!("agent on {}", holder.name),
                format!("{}, last heard of {heard}", agent.state.as_str()),
            )
            .source(OURS)
            .next(format!(
                "Its agent can say itself that the service stopped: {}; then `syncferry lease fence`. If the machine was powered off just now, wait until its agent is called silent (`syncferry host list`).",
                words::how_to_stop(&holder.name)
            )),
    )
}

/// Who is on the database: nobody's synchronisation, and nothing from the holder's machine.
fn sessions(facts: &DatabaseFacts, holder: &Host, against: &mut Vec<Finding>, notes: &mut Vec<Finding>) -> Value {
    let from_holder = |s: &&SessionFacts| s.host.as_deref().is_some_and(|h| words::names(holder, h));
    if let Some(s) = facts.sessions.iter().flatten().find(from_holder) {
        against.push(
            Finding::blocker(
                "holder-has-session",
                format!("{} still has a session on {}", holder.name, facts.name),
            )
            .saw(
                format!("session {} in sys.dm_exec_sessions", s.id),
                format!("{} as {}", s.program.as_deref().unwrap_or("?"), s.login),
            )
            .source(OURS)
            .next("SQL Server lets go of a dead machine's connection after its keep-alive, about a minute; repeat the command then. A session that stays means that the machine is not off."),
        );
        return Value::Null;
    }
    match proof::nobody_synchronises(facts) {
        Ok(seen) => seen,
        Err(f) => {
            if f.blocks() { against } else { notes }.push(*f);
            Value::Null
        }
    }
}

fn program(said: &PowerSight) -> &str {
    said.program.first().map_or("the program", String::as_str)
}

#[cfg(test)]
#[path = "power_tests.rs"]
mod tests;
