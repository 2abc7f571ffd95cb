//! The states of a gate: a point where a person must act. What the person says is a claim; what the agent sees is proof.

crate::machine! {
    "gate"
    /// Where a gate stands.
    states GateState {
        /// A person must act.
        Open = "open",
        /// A person says it is done; the agent has not seen it yet.
        Claimed = "claimed",
        /// The agent saw it.
        Proven = "proven",
        /// The migration ended before it.
        Cancelled = "cancelled",
    }
    /// What moves a gate.
    events GateEvent {
        /// A person says it is done.
        Claim = "claim",
        /// The agent saw it.
        Prove = "prove",
        /// The agent looked and it is not so.
        Contradict = "contradict",
        /// The migration ended.
        Cancel = "cancel",
    }
    table {
        Open + Claim => Claimed,
        Open + Prove => Proven,
        Open + Contradict => Open,
        Open + Cancel => Cancelled,
        Claimed + Claim => Claimed,
        Claimed + Prove => Proven,
        Claimed + Contradict => Open,
        Claimed + Cancel => Cancelled,
    }
}
