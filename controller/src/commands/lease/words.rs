//! Names and sentences that more than one lease verb uses.

use syncferry_shared::Finding;
use syncferry_shared::lease::{Lease, LeaseKind, LeaseState};
use syncferry_store::{Host, Tx};

use super::OURS;
use crate::problem::Problem;

/// The holder's row and the name it has in sentences.
pub(super) async fn holder(tx: &mut dyn Tx, lease: &Lease) -> Result<Option<Host>, Problem> {
    match lease.holder {
        Some(id) => Ok(tx.host(id).await?),
        None => Ok(None),
    }
}

pub(super) fn name(host: Option<&Host>) -> &str {
    host.map_or("nobody", |h| h.name.as_str())
}

/// Whether a text names a host: the name it was added with, or the computer's own.
pub(super) fn names(host: &Host, text: &str) -> bool {
    let text = text.trim();
    let own = host.computer_name.as_deref();
    host.name.eq_ignore_ascii_case(text) || own.is_some_and(|c| c.eq_ignore_ascii_case(text))
}

/// What a person does so that a server's synchronisation cannot start again.
pub(crate) fn how_to_stop(server: &str) -> String {
    format!("On {server}: Stop-Service ADSync; Set-Service ADSync -StartupType Disabled")
}

/// How the holder gives up what the lease is about.
pub(super) fn how_to_give_up(kind: LeaseKind, server: &str) -> String {
    match kind {
        LeaseKind::Database => how_to_stop(server),
        LeaseKind::TenantExport => format!(
            "On {server}: put Connect into staging mode (the wizard's page \"Configure staging mode\"), or stop it for good: \
             Stop-Service ADSync; Set-Service ADSync -StartupType Disabled"
        ),
    }
}

/// A verb that does not fit the lease's state, with the one that does.
pub(super) fn wrong_state(lease: &Lease, name: &str, verb: &str, holder: &str) -> Finding {
    let next = match lease.state {
        LeaseState::Free => "It is free: `syncferry lease handover --to <server>` seats one.".to_string(),
        LeaseState::Held | LeaseState::Draining => format!(
            "It is {holder}'s. Ask for it with `syncferry lease handover {name}`. When {holder} can never be asked again, two people take it: `syncferry lease break-glass {name}`."
        ),
        LeaseState::Lost => format!(
            "Bring the agent that renews it back, or take it with a proof: `syncferry lease fence {name}`; when nothing can be proven, two people do: `syncferry lease break-glass {name}`."
        ),
        LeaseState::Fencing => format!(
            "It is being taken from {holder}: go on with `syncferry lease fence {name}`, or with two people's word: `syncferry lease attest {name}`."
        ),
        LeaseState::Quarantined => {
            format!("Its identity is in doubt: `syncferry lease fence {name}` ends that with a proof.")
        }
    };
    Finding::blocker(
        "lease-state",
        format!("A lease that is {} cannot be given to `lease {verb}`", lease.state),
    )
    .saw(
        format!("lease {}", lease.resource),
        format!("{}, epoch {}, holder {holder}", lease.state, lease.epoch),
    )
    .source(OURS)
    .next(next)
}
