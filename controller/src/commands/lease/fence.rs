//! `lease fence`: takes a lost or quarantined lease from its holder, with host-side proof. Tokens are void first, then the
//! holder is looked at once more, then the lease is free. A run at SQL Server is `lease_run.rs`.

use serde_json::Value;
use syncferry_shared::Finding;
use syncferry_shared::fence::MARK_EPOCH;
use syncferry_shared::inventory::DatabaseFacts;
use syncferry_shared::lease::{Lease, LeaseKind, LeaseState, ProofKind};
use syncferry_store::{By, Database, Host, NewProof};

use super::proof::{self, Sight};
use super::words::{self, wrong_state};
use super::{Answer, Ask, again, detail, seen};
use crate::core::Core;
use crate::find;
use crate::problem::Problem;
use crate::recovery::status::Pending;
use crate::recovery::{self, release};

/// Fences with host-side proof.
pub async fn fence(core: &Core, ask: Ask<'_>) -> Result<Answer, Problem> {
    let mut tx = core.store.read("lease.fence-look").await?;
    let (mut lease, name) = seen(&mut *tx, &ask).await?;
    let holder = words::holder(&mut *tx, &lease).await?;
    let who = words::name(holder.as_ref()).to_string();
    let database = find::database_of(&mut *tx, &lease).await?;
    let restored = release::pending(&mut *tx, &lease).await?;
    let others = match &restored {
        Some(pending) => release::others(&mut *tx, pending).await?,
        None => vec![],
    };
    drop(tx);
    let mut answer = Answer::new(&lease);
    if !matches!(
        lease.state,
        LeaseState::Lost | LeaseState::Quarantined | LeaseState::Fencing
    ) {
        answer.found(wrong_state(&lease, &name, "fence", &who));
        return if ask.dry_run {
            Ok(answer)
        } else {
            answer.must_be_ready()
        };
    }
    let sight = proof::look(core, &lease, holder.as_ref(), &others, database.as_ref()).await?;
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
    answer.step(match &holder {
        Some(_) => format!("the agent on {who} must see the service ADSync stopped and disabled"),
        None => "nobody held it: no Connect server may be on the database".to_string(),
    });
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|h| h.name.as_str()).collect();
        answer.step(format!(
            "the store was restored: it must be seen that none of {} got it after the backup",
            names.join(", ")
        ));
    }
    answer.step(format!("fencing becomes free at epoch {epoch}, on that proof"));
    let notes = match proven(&lease, holder.as_ref(), database.as_ref(), &sight, restored.as_ref()) {
        Ok((_, _, notes)) => notes,
        Err(against) => against,
    };
    notes.into_iter().for_each(|f| answer.found(f));
    if ask.dry_run {
        return Ok(answer);
    }
    // Tokens are not made void for a proof that is not at hand: until then, the holder may still come back to what is its.
    let mut answer = answer.must_be_ready()?;
    let by = By::new(ask.actor).detail(detail("fence", &ask));
    if lease.state != LeaseState::Fencing {
        let mut tx = core.store.begin("lease.begin-fence").await?;
        again(&mut *tx, &lease).await?;
        lease = tx.begin_fence(&lease.resource, lease.epoch, above, &by).await?;
        tx.commit().await?;
    }
    let sight = proof::look(core, &lease, holder.as_ref(), &others, database.as_ref()).await?;
    let (kind, evidence, _) = match proven(&lease, holder.as_ref(), database.as_ref(), &sight, restored.as_ref()) {
        Ok(proven) => proven,
        Err(against) => {
            return Err(Problem::Refused {
                title: format!("{who} was seen to synchronise after its tokens were void; the lease stays in fencing"),
                findings: against,
            });
        }
    };
    let mut tx = core.store.begin("lease.end-fence").await?;
    again(&mut *tx, &lease).await?;
    let proof = NewProof {
        kind,
        evidence,
        actor: ask.actor.to_string(),
        second: None,
    };
    tx.add_proof(&lease.resource, lease.epoch, &proof).await?;
    tx.end_fence(&lease.resource, lease.epoch, &by).await?;
    recovery::end_when_done(&mut *tx).await?;
    tx.commit().await?;
    answer.next_step = format!("`syncferry lease handover {name} --to <server>` seats the next one.");
    Ok(answer)
}

type Proven = Result<(ProofKind, Value, Vec<Finding>), Vec<Finding>>;

/// What was seen, as a proof. A lease that nobody held is proven by a database that nobody is on.
pub(super) fn proven(
    lease: &Lease,
    holder: Option<&Host>,
    database: Option<&Database>,
    sight: &Sight,
    restored: Option<&Pending>,
) -> Proven {
    // The backup may name somebody who had long handed it over.
    let unheard = restored.map(release::unheard_others).unwrap_or_default();
    if !unheard.is_empty() {
        return Err(unheard);
    }
    let others = match restored {
        Some(pending) => Some(proof::others_gave_up(lease, pending, database, sight)?),
        None => None,
    };
    if let Some(holder) = holder {
        let (mut evidence, notes) = proof::gave_up(lease, holder, sight)?;
        if let Some(others) = others {
            evidence["others"] = others;
        }
        return Ok((ProofKind::HolderStopped, evidence, notes));
    }
    // An export that was free in a restored store: there is nothing to look at but what agents remember.
    if let (LeaseKind::TenantExport, Some(pending)) = (lease.kind, restored) {
        return release::nobody_got_it(pending).map(|evidence| (ProofKind::NeverUsed, evidence, vec![]));
    }
    let unseen = |why: &str| {
        vec![
            Finding::blocker(
                "database-not-seen",
                "It could not be seen whether anybody uses the database",
            )
            .saw("the agent that reaches it", why)
            .source(super::OURS)
            .next("Bring that agent back, then repeat the command."),
        ]
    };
    match (&sight.database, database) {
        (Some(Ok(facts)), _) if facts.sessions.is_some() => match proof::nobody_synchronises(facts) {
            Ok(evidence) => Ok((ProofKind::NeverUsed, evidence, vec![])),
            Err(against) => Err(vec![*against]),
        },
        (Some(Ok(_)), _) => Err(unseen(
            "its login may not see the sessions of others (VIEW SERVER STATE)",
        )),
        (Some(Err(why)), _) => Err(unseen(why)),
        (None, _) => Err(unseen("there is no database to look at")),
    }
}

/// The epoch that the database itself carries: the next one must be above it.
pub(super) fn mark_epoch(facts: &DatabaseFacts) -> Option<i64> {
    facts.marks.get(MARK_EPOCH)?.parse().ok()
}
