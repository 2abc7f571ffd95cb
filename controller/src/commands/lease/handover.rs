//! `lease handover`: held → draining → (the holder's service is seen stopped and disabled) free → held by the next one.
//! The same command goes on where it stopped: what only a person can do on the holder is done in between.

use syncferry_shared::lease::{LeaseState, ProofKind};
use syncferry_shared::{Finding, HostId};
use syncferry_store::{By, NewProof};

use super::grant::{self, Seat};
use super::words::{self, how_to_give_up, wrong_state};
use super::{Answer, Ask, again, detail, proof, seen};
use crate::core::Core;
use crate::find;
use crate::problem::Problem;
use crate::wake::HostReason;

/// Hands a lease over, as far as it can be done now.
pub async fn hand_over(core: &Core, ask: Ask<'_>, to: &str) -> Result<Answer, Problem> {
    let mut tx = core.store.read("lease.handover-look").await?;
    let (lease, name) = seen(&mut *tx, &ask).await?;
    let holder = words::holder(&mut *tx, &lease).await?;
    let who = words::name(holder.as_ref()).to_string();
    let database = find::database_of(&mut *tx, &lease).await?;
    let mut answer = Answer::new(&lease);
    let seat = match to.trim() {
        "" => None,
        to => {
            let to = find::host(&mut *tx, to).await?;
            if lease.holder == Some(to.id) {
                return Err(Problem::refused(
                    Finding::blocker("holds-it-already", format!("{} holds the lease already", to.name))
                        .saw(
                            format!("lease {}", lease.resource),
                            format!("{}, epoch {}", lease.state, lease.epoch),
                        )
                        .source("Syncferry: a hand-over has two sides")
                        .next("Name the next server, or leave --to out to free the lease."),
                ));
            }
            grant::seat(&mut *tx, &lease, database.as_ref(), to, &mut answer).await?
        }
    };
    drop(tx);
    match lease.state {
        LeaseState::Held | LeaseState::Draining => {}
        LeaseState::Free if !to.trim().is_empty() => {}
        _ => {
            answer.found(wrong_state(&lease, &name, "handover", &who));
            return if ask.dry_run {
                Ok(answer)
            } else {
                answer.must_be_ready()
            };
        }
    }
    if !answer.ready && !ask.dry_run {
        return answer.must_be_ready();
    }
    say(&mut answer, lease.state, lease.epoch, &who, seat.as_ref(), lease.kind);
    if ask.dry_run {
        if let Some(holder) = &holder {
            let sight = proof::look(core, &lease, Some(holder), &[], database.as_ref()).await?;
            match proof::gave_up(&lease, holder, &sight) {
                Ok((_, notes)) => notes.into_iter().for_each(|f| answer.found(f)),
                Err(against) => against.into_iter().for_each(|f| answer.found(f)),
            }
        }
        return Ok(answer);
    }

    let by = By::new(ask.actor).detail(detail("handover", &ask));
    let mut lease = lease;
    if lease.state == LeaseState::Held {
        let mut tx = core.store.begin("lease.handover").await?;
        again(&mut *tx, &lease).await?;
        let next = seat.as_ref().map(|s| s.host.id);
        lease = tx.request_handover(&lease.resource, lease.epoch, next, &by).await?;
        tx.commit().await?;
        ring(core, lease.renewer);
    }
    if let (LeaseState::Draining, Some(holder)) = (lease.state, &holder) {
        // Looked at after it was asked: what was seen before proves less.
        let sight = proof::look(core, &lease, Some(holder), &[], database.as_ref()).await?;
        let evidence = match proof::gave_up(&lease, holder, &sight) {
            Ok((evidence, notes)) => {
                notes.into_iter().for_each(|f| answer.found(f));
                evidence
            }
            Err(against) => {
                against.into_iter().for_each(|f| answer.found(f));
                answer.next_step = format!(
                    "{} still holds the lease and hands over. {}; then repeat the command.",
                    who,
                    how_to_give_up(lease.kind, &who)
                );
                return Ok(answer);
            }
        };
        let mut tx = core.store.begin("lease.release").await?;
        let now = tx.lease(&lease.resource).await?;
        // A renewal in between changes nothing; anything else does.
        let lease_now = now.filter(|l| l.row_version == lease.row_version).ok_or_else(|| {
            Problem::Stale("the lease changed while its holder was looked at; repeat the command".to_string())
        })?;
        let proof = NewProof {
            kind: ProofKind::HolderStopped,
            evidence,
            actor: ask.actor.to_string(),
            second: None,
        };
        let free = tx
            .release_lease(&lease_now.resource, lease_now.epoch, None, &proof, &by)
            .await?;
        let held = match &seat {
            Some(seat) => Some(grant::grant(core, &mut *tx, &free, seat, &by).await?),
            None => None,
        };
        tx.commit().await?;
        ring(core, lease_now.renewer);
        ring(core, held.and_then(|l| l.renewer));
    } else if let (LeaseState::Free, Some(seat)) = (lease.state, &seat) {
        let mut tx = core.store.begin("lease.grant").await?;
        again(&mut *tx, &lease).await?;
        grant::grant(core, &mut *tx, &lease, seat, &by).await?;
        tx.commit().await?;
        ring(core, Some(seat.renewer.id));
    }
    answer.next_step = match &seat {
        Some(seat) => format!(
            "Install or start Connect on {}; its agent renews the lease.",
            seat.host.name
        ),
        None => format!("`syncferry lease handover {name} --to <server>` seats the next one."),
    };
    Ok(answer)
}

/// What is done, in sentences.
fn say(
    answer: &mut Answer,
    state: LeaseState,
    epoch: i64,
    who: &str,
    seat: Option<&Seat>,
    kind: syncferry_shared::lease::LeaseKind,
) {
    let free = match state {
        LeaseState::Held => {
            answer.step(format!(
                "held becomes draining: {who} is asked to hand over, and still may use it"
            ));
            epoch + 1
        }
        LeaseState::Draining => epoch + 1,
        _ => epoch,
    };
    if state != LeaseState::Free {
        answer.step(match kind {
            syncferry_shared::lease::LeaseKind::Database => {
                format!("the agent on {who} must see the service ADSync stopped and disabled")
            }
            syncferry_shared::lease::LeaseKind::TenantExport => {
                format!("the agent on {who} must see staging mode, or the service ADSync stopped and disabled")
            }
        });
        answer.step(format!(
            "draining becomes free at epoch {free}, on that proof: every token of {who} is void"
        ));
    }
    if let Some(seat) = seat {
        answer.step(format!(
            "free becomes held by {} at epoch {}, renewed by the agent on {}",
            seat.host.name,
            free + 1,
            seat.renewer.name
        ));
    }
}

fn ring(core: &Core, host: Option<HostId>) {
    if let Some(host) = host {
        core.host_changed(host, HostReason::Lease);
    }
}
