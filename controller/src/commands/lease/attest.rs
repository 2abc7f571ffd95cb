//! `lease attest`: the second person's word, by which the lease is free; or a first word on a lease that nobody holds any
//! more (lost, being fenced, in doubt).

use syncferry_shared::Finding;
use syncferry_shared::alarm::AlarmKind;
use syncferry_shared::lease::{Lease, LeaseState, ProofKind};
use syncferry_store::{Attestation, By, NewProof, Purpose, Tx};

use super::break_glass::{Typed, check_name, consequence, first_word, not_contradicted, refusal, waiting};
use super::words::{self, wrong_state};
use super::{Answer, Ask, OURS, seen};
use crate::alarms::{self, Alarming};
use crate::core::Core;
use crate::problem::Problem;
use crate::wake::HostReason;

/// A word on a lease.
pub async fn attest(core: &Core, ask: Ask<'_>, typed: Typed<'_>) -> Result<Answer, Problem> {
    let mut tx = core.store.begin("lease.attest").await?;
    let (lease, name) = seen(&mut *tx, &ask).await?;
    let holder = words::holder(&mut *tx, &lease).await?;
    let who = words::name(holder.as_ref()).to_string();
    let mut answer = Answer::new(&lease);
    let Some(word) = waiting(&mut *tx, &lease).await?.filter(|a| a.first != ask.actor) else {
        let own = waiting(&mut *tx, &lease).await?.is_some();
        if own && typed.ticket.trim().is_empty() {
            return Err(refusal(syncferry_store::LeaseError::OnePerson {
                resource: lease.resource,
                first: ask.actor.to_string(),
            }));
        }
        if !matches!(
            lease.state,
            LeaseState::Lost | LeaseState::Fencing | LeaseState::Quarantined
        ) {
            answer.found(wrong_state(&lease, &name, "attest", &who));
            return if ask.dry_run {
                Ok(answer)
            } else {
                answer.must_be_ready()
            };
        }
        return first_word(
            core,
            tx,
            &ask,
            typed,
            Purpose::Attest,
            &lease,
            &name,
            holder.as_ref(),
            answer,
        )
        .await;
    };
    check_name(holder.as_ref(), typed.server, &mut answer)?;
    not_contradicted(core, &mut *tx, &lease, holder.as_ref(), &mut answer).await?;
    answer.step(format!(
        "{} gave their word at {} ({}, ticket {}): {who} cannot write any more. You give yours",
        word.first,
        word.given_at.rfc3339(),
        word.reason,
        word.ticket
    ));
    answer.step(consequence(&lease, &who));
    if ask.dry_run {
        return Ok(answer);
    }
    let mut answer = answer.must_be_ready()?;
    let renewer = lease.renewer;
    let free = confirm(&mut *tx, &ask, &lease, &word).await?;
    alarms::raise(core, &mut *tx, ask.actor, &broken(&name, &who, &word, ask.actor, &free)).await?;
    tx.commit().await?;
    if let Some(host) = renewer {
        core.host_changed(host, HostReason::Lease);
    }
    answer.next_step =
        format!("Make sure that {who} stays off. `syncferry lease handover {name} --to <server>` seats the next one.");
    Ok(answer)
}

/// Both words, and everything that follows from them, in this one transaction.
async fn confirm(tx: &mut dyn Tx, ask: &Ask<'_>, lease: &Lease, word: &Attestation) -> Result<Lease, Problem> {
    let both = tx.confirm_attestation(word.id, ask.actor).await.map_err(refusal)?;
    let evidence = serde_json::json!({
        "server": both.server, "ticket": both.ticket, "purpose": both.purpose.as_str(),
        "first": {"who": both.first, "reason": both.reason, "at": both.given_at.rfc3339()},
        "second": {"who": ask.actor, "reason": ask.reason.trim(), "at": tx.now().rfc3339()},
    });
    // In the history it is the first person's change, with the second one beside it.
    let by = By::new(both.first.clone()).detail(evidence.clone());
    let fencing = match lease.state {
        LeaseState::Fencing => lease.clone(),
        LeaseState::Quarantined => tx.begin_fence(&lease.resource, lease.epoch, None, &by).await?,
        LeaseState::Lost if both.purpose == Purpose::Attest => {
            tx.begin_fence(&lease.resource, lease.epoch, None, &by).await?
        }
        _ => tx.break_glass(&lease.resource, lease.epoch, ask.actor, &by).await?,
    };
    let proof = NewProof {
        kind: ProofKind::OperatorAttested,
        evidence,
        actor: both.first,
        second: Some(ask.actor.to_string()),
    };
    tx.add_proof(&fencing.resource, fencing.epoch, &proof).await?;
    Ok(tx.end_fence(&fencing.resource, fencing.epoch, &by).await?)
}

fn broken(name: &str, who: &str, word: &Attestation, second: &str, free: &Lease) -> Alarming {
    Alarming {
        kind: AlarmKind::BreakGlass,
        subject: format!("{} epoch {}", free.resource, free.epoch),
        finding: Finding::blocker(
            "break-glass",
            format!("The lease of {name} was taken from {who} on two people's word"),
        )
        .saw(
            "first word",
            format!("{}: {} (ticket {})", word.first, word.reason, word.ticket),
        )
        .saw("second word", second)
        .source(OURS)
        .next(format!(
            "Check that {who} is off and stays off. When it comes back: {}. Then acknowledge this alarm.",
            words::how_to_stop(who)
        )),
    }
}
