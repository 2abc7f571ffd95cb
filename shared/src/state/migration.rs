//! The states of a migration.

crate::machine! {
    "migration"
    /// Where a migration stands.
    states MigrationState {
        /// Its hosts are being asked for facts.
        Inspecting = "inspecting",
        /// The plan stands and has no blocker: it can be applied.
        Planned = "planned",
        /// The plan has blockers. Nothing was touched.
        Blocked = "blocked",
        /// Jobs run.
        Running = "running",
        /// A job failed and undid what it could. It can be applied again, or cancelled.
        Stopped = "stopped",
        /// What happened on a host is not known. A person must look.
        Stuck = "stuck",
        /// Cancelled; what can be undone is being undone.
        Unwinding = "unwinding",
        /// Every job is done and verified.
        Succeeded = "succeeded",
        /// Ended before its end; what could be undone was.
        Cancelled = "cancelled",
    }
    /// What moves a migration.
    events MigrationEvent {
        /// The plan was made, without blockers.
        PlanReady = "plan-ready",
        /// The plan was made and has blockers.
        PlanBlocked = "plan-blocked",
        /// An operator applied it.
        Apply = "apply",
        /// A job failed.
        JobFailed = "job-failed",
        /// Nobody knows how a job ended.
        JobUnknown = "job-unknown",
        /// What was unknown became known.
        JobKnown = "job-known",
        /// The last job is done.
        AllJobsDone = "all-jobs-done",
        /// An operator cancelled it.
        Cancel = "cancel",
        /// Everything that can be undone is undone.
        Unwound = "unwound",
        /// The point of no return was passed before the cancellation took effect.
        Overtaken = "overtaken",
    }
    table {
        Inspecting + PlanReady => Planned,
        Inspecting + PlanBlocked => Blocked,
        Inspecting + Cancel => Cancelled,
        Planned + Apply => Running,
        Planned + PlanBlocked => Blocked,
        Planned + Cancel => Cancelled,
        Blocked + Cancel => Cancelled,
        Running + AllJobsDone => Succeeded,
        Running + JobFailed => Stopped,
        Running + JobUnknown => Stuck,
        Running + Cancel => Unwinding,
        Stopped + Apply => Running,
        Stopped + JobUnknown => Stuck,
        Stopped + Cancel => Unwinding,
        Stuck + JobKnown => Running,
        Stuck + JobFailed => Stopped,
        Stuck + Cancel => Unwinding,
        Unwinding + Unwound => Cancelled,
        Unwinding + JobFailed => Stuck,
        Unwinding + JobUnknown => Stuck,
        Unwinding + Overtaken => Running,
    }
}
