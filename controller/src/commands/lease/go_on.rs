//! `lease adopt` after a restore: the holder of a lease that the restore put into quarantine goes on with it, under a new epoch,
//! when nobody else can have got it since.

use syncferry_shared::lease::Lease;
use syncferry_shared::{Finding, SessionId};
use syncferry_store::{By, Host};

use super::words::holder;
use super::{Answer, Ask, OURS, again, detail, proof};
use crate::core::Core;
use crate::find;
use crate::problem::Problem;
use crate::recovery::{self, release};
use crate::wake::HostReason;

/// Lets the holder go on. `renewer` renews from here on, in `session`.
pub(super) async fn go_on(
    core: &Core,
    ask: &Ask<'_>,
    lease: &Lease,
    renewer: &Host,
    session: Option<SessionId>,
    mut answer: Answer,
) -> Result<Answer, Problem> {
    let mut tx = core.store.read("lease.go-on-look").await?;
    let Some(pending) = release::pending(&mut *tx, lease).await? else {
        return Err(Problem::Stale("the lease changed meanwhile; look again".to_string()));
    };
    let held_by = holder(&mut *tx, lease).await?;
    let database = find::database_of(&mut *tx, lease).await?;
    drop(tx);
    release::against(&pending).into_iter().for_each(|f| answer.found(f));
    let sight = proof::look(core, lease, held_by.as_ref(), &[], database.as_ref()).await?;
    if let Some(Err(why)) = &sight.holder {
        answer.found(
            Finding::blocker("holder-not-seen", "The holder cannot be looked at")
                .saw("its agent", why)
                .source(OURS)
                .next("Bring its agent back, then repeat the command; or take the lease with `syncferry lease fence`."),
        );
    }
    let identity = database.as_ref().map(|d| d.identity_state);
    let mut seen = serde_json::Value::Null;
    if let Some(holder) = &held_by {
        match release::only_holder(&pending, holder, identity, sight.database.as_ref()) {
            Ok(evidence) => seen = evidence,
            Err(finding) => answer.found(*finding),
        }
        answer.step(format!(
            "quarantined becomes held by {} again, under a new epoch; what was begun before the restore stays void",
            holder.name
        ));
    }
    answer.next_step = "Migrations that are stuck go on with `syncferry apply <migration> --reason <why>`.".to_string();
    if ask.dry_run {
        return Ok(answer);
    }
    let answer = answer.must_be_ready()?;
    let (Some(held_by), Some(session)) = (held_by, session) else {
        return Err(Problem::Internal("a holder without an agent".to_string()));
    };
    let mut tx = core.store.begin("lease.go-on").await?;
    again(&mut *tx, lease).await?;
    // An agent may have said hello meanwhile, and have seen more.
    let Some(pending) = release::pending(&mut *tx, lease).await? else {
        return Err(Problem::Stale("the lease changed meanwhile; look again".to_string()));
    };
    let findings = release::against(&pending);
    if !findings.is_empty() {
        return Err(Problem::Refused {
            title: "the lease changed after the backup".to_string(),
            findings,
        });
    }
    let by = By::new(ask.actor).detail(detail("adopt", ask));
    let ttl = core.config.leases.ttl_ms();
    release::take_over(&mut *tx, &pending, held_by.id, renewer.id, session, seen, ttl, &by).await?;
    recovery::end_when_done(&mut *tx).await?;
    tx.commit().await?;
    core.wake.ring(crate::wake::Reason::Work);
    core.host_changed(renewer.id, HostReason::Lease);
    Ok(answer)
}
