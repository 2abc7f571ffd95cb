//! Whether a job may work under a lease as it stands now: one answer for whoever prepares it, offers it and permits its steps.

use syncferry_shared::lease::{Lease, LeaseState};
use syncferry_shared::plan::{LeaseUse, Plan, PlannedHandover};
use syncferry_shared::spec::JobKind;
use syncferry_store::{Job, lease_rules};

/// Whether a stage comes after the point at which the lease changes hands.
pub(crate) fn is_after(h: &PlannedHandover, stage: i32) -> bool {
    usize::try_from(stage).is_ok_and(|stage| stage > h.stage)
}

/// What a job needs of its lease.
pub(crate) fn of(plan: &Plan, job: &Job) -> LeaseUse {
    let planned = plan.jobs().find(|p| p.id == job.id);
    planned.map(|p| p.lease).unwrap_or_default()
}

/// Whether a job may be begun or undone under a lease.
pub(crate) fn fits(plan: &Plan, job: &Job, lease: &Lease) -> bool {
    match (job.kind, of(plan, job)) {
        (JobKind::Fence, _) => lease_rules::authorize_run(lease, lease.epoch).is_ok(),
        (_, LeaseUse::Beside) => beside(lease, lease.epoch),
        (_, LeaseUse::Held) => {
            matches!(lease.state, LeaseState::Held | LeaseState::Draining) && is_its_servers(plan, job, lease)
        }
    }
}

/// Whether a job that only looks at a database, or copies it, may go on: its lease may be anybody's, also a server's that was
/// not heard of, but it must be the one that it began beside, and not in doubt.
pub(crate) fn beside(lease: &Lease, epoch: i64) -> bool {
    lease.epoch == epoch && lease.state != LeaseState::Quarantined
}

/// Whether the lease is the server's that the job is about: until the hand-over the old one's, afterwards the new one's.
pub(crate) fn is_its_servers(plan: &Plan, job: &Job, lease: &Lease) -> bool {
    // Another lease than the one that changes hands is nobody else's all the time.
    let Some(h) = plan.handover.as_ref().filter(|h| h.resource == job.resource) else {
        return true;
    };
    if is_after(h, job.stage) {
        lease.holder == Some(h.to)
    } else {
        h.from.is_none() || lease.holder == h.from
    }
}
