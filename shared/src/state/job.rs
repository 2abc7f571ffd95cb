//! The states of a job.

crate::machine! {
    "job"
    /// Where a job stands.
    states JobState {
        /// Jobs before it are not done.
        Waiting = "waiting",
        /// It may be offered to its agent.
        Ready = "ready",
        /// Its agent was told of it and has not accepted yet.
        Offered = "offered",
        /// Its agent accepted it and works on it.
        Running = "running",
        /// Done, with its result.
        Succeeded = "succeeded",
        /// Failed; the agent undid what it could.
        Failed = "failed",
        /// Its agent is silent, or cannot tell what happened.
        Unknown = "unknown",
        /// The agent was told to stop at the next safe point and to undo.
        Cancelling = "cancelling",
        /// Ended before its end, undone.
        Cancelled = "cancelled",
        /// Done before, to be undone by its agent.
        UndoReady = "undo-ready",
        /// Its agent undoes it.
        Undoing = "undoing",
        /// Undone.
        Undone = "undone",
    }
    /// What moves a job.
    events JobEvent {
        /// All jobs before it are done.
        Prepare = "prepare",
        /// An attempt was opened.
        Offer = "offer",
        /// The agent accepted.
        Accept = "accept",
        /// The offer was taken back before it was accepted.
        Withdraw = "withdraw",
        /// The agent reported success.
        Succeed = "succeed",
        /// The agent reported failure.
        Fail = "fail",
        /// The agent fell silent, or cannot tell.
        LoseSight = "lose-sight",
        /// The agent is back and goes on with the same attempt.
        Resume = "resume",
        /// An operator applied the migration again.
        Retry = "retry",
        /// The migration was cancelled.
        Cancel = "cancel",
        /// The agent stopped and undid.
        Stop = "stop",
        /// The migration is being unwound and this job has something to undo.
        Undo = "undo",
        /// The agent undid it.
        Undone = "undone",
        /// The migration's cancellation came too late: the job is to be done after all.
        Revive = "revive",
    }
    table {
        Waiting + Prepare => Ready,
        Waiting + Cancel => Cancelled,
        Ready + Offer => Offered,
        Ready + Cancel => Cancelled,
        Offered + Accept => Running,
        Offered + Withdraw => Ready,
        Offered + Fail => Failed,
        Offered + Cancel => Cancelled,
        Running + Succeed => Succeeded,
        Running + Fail => Failed,
        Running + LoseSight => Unknown,
        Running + Cancel => Cancelling,
        Unknown + Resume => Running,
        Unknown + Succeed => Succeeded,
        Unknown + Fail => Failed,
        Unknown + Cancel => Cancelling,
        Unknown + Stop => Cancelled,
        Unknown + Undo => UndoReady,
        Unknown + Undone => Undone,
        Failed + Retry => Ready,
        Failed + Cancel => Cancelled,
        Failed + Undo => UndoReady,
        Cancelling + Stop => Cancelled,
        Cancelling + Fail => Failed,
        Cancelling + Succeed => Succeeded,
        Cancelling + LoseSight => Unknown,
        Cancelled + Revive => Waiting,
        Succeeded + Undo => UndoReady,
        UndoReady + Accept => Undoing,
        UndoReady + Offer => Undoing,
        Undoing + Undone => Undone,
        Undoing + Fail => Failed,
        Undoing + LoseSight => Unknown,
    }
}
