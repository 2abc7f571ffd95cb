//! The states of an attempt: one try at a job by one agent. Its token is never used twice.

crate::machine! {
    "attempt"
    /// Where an attempt stands.
    states AttemptState {
        /// The agent may accept it.
        Offered = "offered",
        /// The agent wrote it to its journal and works on it.
        Accepted = "accepted",
        /// It ended well.
        Succeeded = "succeeded",
        /// It ended badly.
        Failed = "failed",
        /// It was stopped and undone.
        Cancelled = "cancelled",
        /// Nobody knows; the agent must be asked.
        Unknown = "unknown",
        /// Another attempt took its place; what it reports is evidence only.
        Superseded = "superseded",
    }
    /// What moves an attempt.
    events AttemptEvent {
        /// The agent accepted.
        Accept = "accept",
        /// The agent reported success.
        Succeed = "succeed",
        /// The agent reported failure.
        Fail = "fail",
        /// The agent reported that it stopped.
        Stop = "stop",
        /// The agent is silent or cannot tell.
        LoseSight = "lose-sight",
        /// The agent is back with it.
        Resume = "resume",
        /// Another attempt takes its place.
        Supersede = "supersede",
    }
    table {
        Offered + Accept => Accepted,
        Offered + Fail => Failed,
        Offered + Stop => Cancelled,
        Offered + Supersede => Superseded,
        Accepted + Succeed => Succeeded,
        Accepted + Fail => Failed,
        Accepted + Stop => Cancelled,
        Accepted + LoseSight => Unknown,
        Unknown + Resume => Accepted,
        Unknown + Succeed => Succeeded,
        Unknown + Fail => Failed,
        Unknown + Stop => Cancelled,
        Unknown + Supersede => Superseded,
    }
}
