//! From whom the lease of a database that stays where it is can be taken, and by which proof.

use syncferry_shared::Finding;
use syncferry_shared::fence_case::FenceCase;
use syncferry_shared::lease::{Lease, LeaseState};
use syncferry_shared::plan::{HandoverWay, Scenario};

use super::{ACCOUNTS_PAGE, OURS};
use crate::plan::PlanInput;

/// Where the ways to free a lease are told.
const PROOFS: &str = "Syncferry: a lease is freed by a proof, never by waiting";
/// The other ways.
const OTHER_WAYS: &str = "Plan again with another --handover: host (the old server's own agent), power-off (its hypervisor), sql (SQL Server refuses it) or attested (two people's word).";

/// What a lease shows.
fn seen(lease: &Lease, holder: Option<&str>) -> String {
    format!(
        "{}, epoch {}, holder {}",
        lease.state,
        lease.epoch,
        holder.unwrap_or("-")
    )
}

/// The database must be registered beyond doubt, and it must be known who held it.
pub(super) fn holder_is_known(input: &PlanInput, out: &mut Vec<Finding>) {
    let (known, name) = (&input.source, &input.source.lease_name);
    if !known.confirmed {
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
    let Some(lease) = &known.lease else {
        out.push(
            Finding::blocker("source-has-no-lease", format!("{name} has no lease"))
                .saw("lease table", "no row")
                .source(OURS)
                .next("Register the database again with `syncferry database add`."),
        );
        return;
    };
    let shown = seen(lease, known.holder_name.as_deref());
    match lease.state {
        LeaseState::Quarantined => out.push(
            Finding::blocker("lease-quarantined", format!("The lease of {name} is quarantined"))
                .saw(format!("lease {}", lease.resource), shown)
                .source(PROOFS)
                .next(format!(
                    "Find out what happened to the database, end the doubt with `syncferry lease fence {name}`, register it again, and plan again."
                )),
        ),
        // Registered while nobody was on it: that nobody uses it was never proven, only never seen.
        LeaseState::Free if lease.epoch == 0 => out.push(
            Finding::blocker(
                "holder-not-known",
                format!("Which Connect server used {name} is not known"),
            )
            .saw(format!("lease {}", lease.resource), shown)
            .source(PROOFS)
            .next(format!(
                "Start the old server once so that it is seen, and register the database again. If no server is left that could use it: `syncferry lease handover {name} --to {}` gives it to the new one, then plan again.",
                input.connect_host.name
            )),
        ),
        LeaseState::Free => out.push(
            Finding::note("lease-is-free", format!("{name} is nobody's, with a proof"))
                .saw(format!("lease {}", lease.resource), shown)
                .source(PROOFS)
                .next("Nothing: the new server is seated when the test restore is done."),
        ),
        _ if lease.holder == Some(input.connect_host.id) => out.push(
            Finding::note("lease-is-the-new-servers", format!("{} holds {name} already", input.connect_host.name))
                .saw(format!("lease {}", lease.resource), shown)
                .source(PROOFS)
                .next("Nothing: it was handed over before."),
        ),
        _ => {}
    }
}

/// The new server must not use another database.
pub(super) fn new_server_is_free(input: &PlanInput, out: &mut Vec<Finding>) {
    let other = input
        .connect_host
        .holds
        .as_ref()
        .filter(|l| input.source.lease.as_ref().is_none_or(|s| s.resource != l.resource));
    if let Some(lease) = other {
        out.push(
            Finding::blocker(
                "lease-held",
                format!("{} holds another database already", input.connect_host.name),
            )
            .saw(
                format!("lease {}", lease.resource),
                format!("{} by {}, epoch {}", lease.state, input.connect_host.name, lease.epoch),
            )
            .source("Syncferry: one Connect server uses one database")
            .next(format!(
                "Use another host with --connect-host, or hand that lease over first: `syncferry lease show {}`.",
                lease.resource
            )),
        );
    }
}

/// The way that was asked for must be one that can lead there.
pub(super) fn way_is_open(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(old), Some(lease)) = (input.old_server(), &input.source.lease) else {
        return;
    };
    let name = &input.source.lease_name;
    match input.way() {
        HandoverWay::Host => host(input, out),
        // There the SQL Server is gone, which has a rule of its own.
        HandoverWay::Sql if input.request.scenario == Scenario::RestoreFromBackup => {}
        HandoverWay::Sql => sql(input, out),
        HandoverWay::PowerOff | HandoverWay::Attested if runs(old) => out.push(
            Finding::blocker("old-server-is-there", format!("{} runs and can be asked", old.name))
                .saw(
                    format!("service ADSync on {}", old.name),
                    old.inventory
                        .as_ref()
                        .and_then(|i| i.connect.as_ref()?.service.as_ref())
                        .map_or(String::new(), |s| format!("{}, start type {}", s.state, s.start)),
                )
                .source(PROOFS)
                .next("Plan again with --handover host: its own agent stops it, which proves more. Or switch the machine off first."),
        ),
        HandoverWay::PowerOff | HandoverWay::Attested => {}
    }
    if input.way() != HandoverWay::Host && lease.state == LeaseState::Held && !old.online {
        out.push(
            Finding::note(
                "lease-not-lost-yet",
                format!("The lease of {name} is still {}'s", old.name),
            )
            .saw(format!("lease {}", lease.resource), seen(lease, Some(&old.name)))
            .source("Syncferry: a lease that was not renewed is lost, and still nobody else's")
            .next("Nothing: by the time the test restore is done it is lost, or its agent is back."),
        );
    }
}

fn runs(old: &crate::plan::KnownHost) -> bool {
    let connect = old.inventory.as_ref().and_then(|i| i.connect.as_ref());
    connect
        .and_then(|c| c.service.as_ref())
        .is_some_and(|s| s.state.eq_ignore_ascii_case("running"))
}

/// The old server's own agent must be there and see Connect.
fn host(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(old), Some(lease)) = (input.old_server(), &input.source.lease) else {
        return;
    };
    if !matches!(lease.state, LeaseState::Held | LeaseState::Draining) {
        out.push(
            Finding::blocker(
                "old-server-not-heard-of",
                format!("The lease of {} is {}", input.source.lease_name, lease.state),
            )
            .saw(format!("lease {}", lease.resource), seen(lease, Some(&old.name)))
            .source(PROOFS)
            .next(format!("Bring the agent on {} back. {OTHER_WAYS}", old.name)),
        );
    }
    let connect = old.inventory.as_ref().map(|i| i.connect.as_ref());
    if connect == Some(None) {
        out.push(
            Finding::blocker(
                "old-server-unseen",
                format!("The agent on {} does not see Connect", old.name),
            )
            .saw(format!("agent on {}", old.name), "it does not look at Connect")
            .source(PROOFS)
            .next(format!("The agent must run on the old server itself. {OTHER_WAYS}")),
        );
    }
}

/// A denial must bind the old server's account: by the same rules as when the fence is planned, which looks once more.
fn sql(input: &PlanInput, out: &mut Vec<Finding>) {
    let preview = input.source_host.inventory.as_ref().and_then(|i| i.preview.as_ref());
    let Some(preview) = preview else { return };
    let new = input.request.service_account.as_deref();
    let is_new = |login: &str| new.is_some_and(|n| n.eq_ignore_ascii_case(login));
    let deny: Vec<_> = preview
        .principals
        .iter()
        .filter(|p| !is_new(&p.login))
        .cloned()
        .collect();
    if deny.is_empty() {
        out.push(
            Finding::warning("old-account-not-known", "Which account the old server uses is not known")
                .saw("service accounts that agents saw", "none of the old server")
                .source("Syncferry: a fence is for accounts, and it must be known which")
                .next("Name it when the fence is planned: `syncferry lease fence … --sql --login 'DOMAIN\\name$'`. Whether a denial binds it is seen only then."),
        );
        return;
    }
    let case = FenceCase {
        deny,
        updateability: preview.updateability.clone(),
        lacks: preview.lacks.clone(),
        ..FenceCase::default()
    };
    out.extend(case.verdict());
}

/// The account of the new server must be able to work in the database: nobody restores it, so nobody prepares it.
pub(super) fn service_account_gets_in(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(account) = &input.request.service_account else {
        return;
    };
    let Some(p) = input.principal(account) else { return };
    let (database, login) = (
        input.source.address.database.replace(']', "]]"),
        account.replace(']', "]]"),
    );
    let make_user = format!(
        "USE [{database}]; CREATE USER [{login}] FOR LOGIN [{login}]; ALTER ROLE db_owner ADD MEMBER [{login}];"
    );
    let missing = |what: &str, found: &str, sql: String| {
        Finding::blocker(
            "service-account-has-no-access",
            format!("{account} cannot work in {}", input.source.lease_name),
        )
        .saw(what, found)
        .source(ACCOUNTS_PAGE)
        .next(format!(
            "Have a DBA run: {sql} Directly, not through a group. Then plan again."
        ))
    };
    let is_dbo = p.is_owner == Some(true) || p.is_sysadmin == Some(true);
    if p.exists == Some(false) {
        let sql = format!("CREATE LOGIN [{login}] FROM WINDOWS; {make_user}");
        out.push(missing("sys.server_principals", "no such login", sql));
    } else if p.user.is_none() && !is_dbo {
        out.push(missing("sys.database_principals", "no user of that login", make_user));
    } else if p.connect.as_deref() == Some("DENY") && !is_dbo && input.way() != HandoverWay::Sql {
        out.push(
            Finding::blocker(
                "service-account-denied",
                format!("CONNECT to {} is denied to {account}", input.source.lease_name),
            )
            .saw("sys.database_permissions", "DENY CONNECT")
            .source("Syncferry: a fence outlives the lease that it was for")
            .next(format!(
                "When Syncferry denied it: `syncferry lease marks remove {}`. Otherwise have a DBA run: USE [{database}]; GRANT CONNECT TO [{login}]; Then plan again.",
                input.source.lease_name
            )),
        );
    }
}

/// Two servers with one account cannot be told apart at SQL Server, and cannot be fenced from each other.
pub(super) fn accounts_differ(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(new), Some(old)) = (&input.request.service_account, input.old_server()) else {
        return;
    };
    let sessions = input.source_facts().and_then(|f| f.sessions.as_ref());
    let uses =
        |s: &&syncferry_shared::inventory::SessionFacts| s.is_sync_service() && s.login.eq_ignore_ascii_case(new);
    let by_session = sessions.and_then(|all| all.iter().find(uses)).map(|s| {
        (
            format!("session {} in sys.dm_exec_sessions", s.id),
            format!("{} from {}", s.login, s.host.as_deref().unwrap_or("an unnamed host")),
        )
    });
    let service = old
        .inventory
        .as_ref()
        .and_then(|i| i.connect.as_ref()?.service.as_ref())
        .filter(|s| s.account.eq_ignore_ascii_case(new))
        .map(|s| (format!("service ADSync on {}", old.name), s.account.clone()));
    let Some((what, found)) = service.or(by_session) else {
        return;
    };
    let finding = if input.way() == HandoverWay::Sql {
        Finding::blocker(
            "service-account-shared",
            format!("{new} is the old server's account as well"),
        )
    } else {
        Finding::warning(
            "service-account-shared",
            format!("{new} is the old server's account as well"),
        )
    };
    out.push(finding.saw(what, found).source("Syncferry: one service account per server, or a denial shuts out the wrong one").next(
        "Give the new server an account of its own with --service-account. With a shared one SQL Server can never be told to refuse the old server alone.",
    ));
}

/// What the old server leaves behind outside of the database.
pub(super) fn what_the_old_server_leaves(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(old) = input.old_server() else { return };
    if input.holder_exports {
        out.push(
            Finding::note("export-stays-behind", format!("{} was the active server: from the hand-over on nobody exports", old.name))
                .saw("lease of the tenant's export", format!("held by {}", old.name))
                .source("Microsoft Learn: a server that was installed on an existing database starts in staging mode")
                .next("The new server ends in staging mode. Review it, give it the export (`syncferry lease handover <site>/export`), and take it out of staging mode; until then, changes are imported and not exported."),
        );
    }
    let owner = input
        .source_facts()
        .and_then(|f| f.adsync.as_ref()?.last_owner.clone())
        .unwrap_or_else(|| old.name.clone());
    out.push(
        Finding::note("old-sync-account-stays", format!("The account of {owner} in Entra ID is left over"))
            .saw("Entra connector in the database", &owner)
            .source(ACCOUNTS_PAGE)
            .next(format!(
                "The wizard makes one for the new server. When the new one is accepted, remove the old one in the Entra admin center: the application ConnectSyncProvisioning_{owner}_… or the user Sync_{owner}_…. It can sign in until then."
            )),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_among_the_other_ways() {
        for way in HandoverWay::ALL {
            assert!(OTHER_WAYS.contains(way.as_str()), "{}", way.as_str());
            assert_eq!(HandoverWay::parse(way.as_str()), Some(*way));
        }
    }
}
