//! The states of a step, as its agent reports them.

crate::machine! {
    "step"
    /// Where a step stands.
    states StepState {
        /// Not begun.
        Pending = "pending",
        /// Begun.
        Running = "running",
        /// Confirmed.
        Done = "done",
        /// Refused or failed.
        Failed = "failed",
        /// Nobody can tell.
        Unknown = "unknown",
        /// Done before and undone since.
        Undone = "undone",
    }
    /// What moves a step.
    events StepEvent {
        /// The agent begins it.
        Start = "start",
        /// What it should bring about holds.
        Confirm = "confirm",
        /// It failed.
        Fail = "fail",
        /// The agent cannot tell.
        LoseSight = "lose-sight",
        /// It was undone.
        Undo = "undo",
    }
    table {
        Pending + Start => Running,
        Pending + Confirm => Done,
        Running + Start => Running,
        Running + Confirm => Done,
        Running + Fail => Failed,
        Running + LoseSight => Unknown,
        Running + Undo => Undone,
        Unknown + Start => Running,
        Unknown + Confirm => Done,
        Failed + Start => Running,
        Failed + Undo => Undone,
        Done + Undo => Undone,
    }
}
