//! One server per database: who may use what.

use syncferry_shared::Finding;
use syncferry_shared::inventory::SessionFacts;
use syncferry_shared::lease::LeaseState;

use super::{EXISTING_DATABASE_PAGE, OURS};
use crate::plan::PlanInput;

/// The source must be registered beyond doubt, and its lease held by the server that uses it.
pub(super) fn source_is_registered_and_held(input: &PlanInput, out: &mut Vec<Finding>) {
    let name = &input.source.address.database;
    if !input.source.confirmed {
        out.push(
            Finding::blocker(
                "source-identity-in-doubt",
                format!("It is in doubt which database {name} is"),
            )
            .saw(format!("registration of {name}"), "its identity is not confirmed")
            .source(OURS)
            .next(format!(
                "Look at `syncferry database show {name}` and register it again."
            )),
        );
    }
    let Some(lease) = &input.source.lease else {
        out.push(
            Finding::blocker("source-has-no-lease", format!("{name} has no lease"))
                .saw("lease table", "no row")
                .source(OURS)
                .next("Register the database again with `syncferry database add`."),
        );
        return;
    };
    match lease.state {
        LeaseState::Held => {}
        LeaseState::Free => {
            out.push(
                Finding::blocker(
                    "source-holder-unknown",
                    format!("No Connect server is known to use {name}"),
                )
                .saw(
                    format!("lease {}", lease.resource),
                    format!("free at epoch {}", lease.epoch),
                )
                .source(OURS)
                .next(format!(
                    "Start the old Connect server, or add it as a host, and register {name} again: its server must be \
                         seen on it. A source whose server is gone is the scenario `replace-server`."
                )),
            );
        }
        state => {
            out.push(
                Finding::blocker("source-lease-not-held", format!("The lease of {name} is {state}"))
                    .saw(
                        format!("lease {}", lease.resource),
                        format!(
                            "{state}, epoch {}, holder {}",
                            lease.epoch,
                            input.source.holder_name.as_deref().unwrap_or("-")
                        ),
                    )
                    .source(OURS)
                    .next(format!(
                        "Bring the agent that renews it back (`syncferry lease show {}`), or clear the lease up first.",
                        lease.resource
                    )),
            );
        }
    }
}

fn foreign<'a>(sessions: &'a [SessionFacts], holder: &str) -> Vec<&'a SessionFacts> {
    let is_holder = |s: &&SessionFacts| s.host.as_deref().is_some_and(|h| h.eq_ignore_ascii_case(holder));
    sessions
        .iter()
        .filter(|s| s.is_sync_service() && !is_holder(s))
        .collect()
}

/// A synchronisation service on the source from anybody but the holder means that two servers share a database.
pub(super) fn nobody_else_uses_the_source(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(facts) = input.source_facts() else { return };
    let name = &facts.name;
    let Some(sessions) = &facts.sessions else {
        out.push(
            Finding::warning(
                "source-sessions-unseen",
                format!("Who is connected to {name} cannot be seen"),
            )
            .saw("HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')", "0")
            .source(OURS)
            .next("That no other Connect server uses the database stays unproven. Grant the agent's login VIEW SERVER STATE there and plan again, or make sure by hand (sys.dm_exec_sessions) and accept this."),
        );
        return;
    };
    let holder = input.holder.as_ref().map_or("", |h| h.computer_name());
    for s in foreign(sessions, holder) {
        out.push(
            Finding::blocker("source-is-shared", format!("Another Connect server is connected to {name}"))
                .saw(
                    format!("session {} in sys.dm_exec_sessions", s.id),
                    format!(
                        "{} from {} as {}",
                        s.program.as_deref().unwrap_or("?"),
                        s.host.as_deref().unwrap_or("an unnamed host"),
                        s.login
                    ),
                )
                .source(EXISTING_DATABASE_PAGE)
                .next("Find out which server that is and stop its ADSync service for good. Servers that share a database damage it."),
        );
    }
}

/// The new server must not use another database, and must not be the one that holds the source.
pub(super) fn new_server_is_free(input: &PlanInput, out: &mut Vec<Finding>) {
    // What it holds is the database that is moved: the lease goes over when Connect is gone from it.
    let source = input.source.lease.as_ref().map(|l| &l.resource);
    if input.request.in_place && input.connect_host.holds.as_ref().map(|l| &l.resource) == source {
        return;
    }
    if let Some(lease) = &input.connect_host.holds {
        out.push(
            Finding::blocker("lease-held", format!("{} holds a database already", input.connect_host.name))
                .saw(
                    format!("lease {}", lease.resource),
                    format!("{} by {}, epoch {}", lease.state, input.connect_host.name, lease.epoch),
                )
                .source(EXISTING_DATABASE_PAGE)
                .next(format!(
                    "One Connect server uses one database. Use another host, or finish what {} is there for: `syncferry lease show {}`.",
                    input.connect_host.name, lease.resource
                )),
        );
    }
}

/// One migration of a site at a time.
pub(super) fn no_other_migration(input: &PlanInput, out: &mut Vec<Finding>) {
    if let Some(other) = &input.other_migration {
        out.push(
            Finding::blocker(
                "migration-in-progress",
                "Another migration of this site is not at its end",
            )
            .saw("migrations of the site", other)
            .source(OURS)
            .next("Finish it (`syncferry watch`) or end it (`syncferry cancel`), then plan again."),
        );
    }
}
