//! Whether the source is what was registered, and can be read.

use syncferry_shared::Finding;

use super::OURS;
use crate::plan::PlanInput;

/// The instance must be one that the agent still knows.
pub(super) fn instance_is_known(input: &PlanInput, out: &mut Vec<Finding>) {
    let host = &input.source_host;
    let instance = &input.source.address.instance;
    if host.inventory.is_some() && input.source_instance().is_none() && host.problem(instance).is_none() {
        out.push(
            Finding::blocker(
                "source-instance-unknown",
                format!("The agent on {} knows no instance '{instance}' any more", host.name),
            )
            .saw(format!("[[sql]] of the agent on {}", host.name), "no such name")
            .source(OURS)
            .next(format!(
                "Put the instance back into that agent's configuration under the name '{instance}' and restart the agent."
            )),
        );
    }
}

/// The database behind the name must be the one that was registered.
pub(super) fn is_still_the_same_database(input: &PlanInput, out: &mut Vec<Finding>) {
    if input.source_host.inventory.is_none() {
        return;
    }
    let known = &input.source;
    let Some(facts) = input.source_facts() else {
        if input.source_host.problem(&known.address.database).is_none() {
            out.push(
                Finding::blocker(
                    "source-not-found",
                    format!("{} is not there any more", known.address.database),
                )
                .saw(format!("sys.databases on {}", known.server_name), "no such database")
                .source(OURS)
                .next("Look at the SQL Server. If the database was moved or renamed, register it again."),
            );
        }
        return;
    };
    if facts.state != "ONLINE" {
        out.push(
            Finding::blocker("source-not-online", format!("{} is not online", facts.name))
                .saw("sys.databases.state_desc", &facts.state)
                .source(OURS)
                .next("Bring the database online first; Syncferry does not change its state."),
        );
    }
    let differs = facts.database_guid != known.database_guid || facts.server_name != known.server_name;
    if differs {
        let id = |g: Option<uuid::Uuid>| g.map_or("unknown".to_string(), |g| g.to_string());
        out.push(
            Finding::blocker(
                "source-is-another-database",
                format!("{} is not the database that was registered", facts.name),
            )
            .saw(
                "registered as",
                format!("{} with database_guid {}", known.server_name, id(known.database_guid)),
            )
            .saw(
                "found now",
                format!("{} with database_guid {}", facts.server_name, id(facts.database_guid)),
            )
            .source(OURS)
            .next("It was restored, moved or replaced since. Find out which one is in use, and register that one."),
        );
    }
    if facts.database_guid.is_none() || facts.family_guid.is_none() {
        out.push(
            Finding::blocker("source-identity-unknown", format!("{} does not say which database it is", facts.name))
                .saw("sys.database_recovery_status", "database_guid or family_guid is NULL")
                .source(OURS)
                .next("A backup could not be bound to this database. Check that it is online and that the agent's login may see it."),
        );
    }
}

/// The agent must be allowed to back it up.
pub(super) fn can_be_backed_up(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(facts), Some(instance)) = (input.source_facts(), input.source_instance()) else {
        return;
    };
    if !facts.can_backup && !input.request.dba {
        out.push(
            Finding::blocker(
                "source-backup-not-permitted",
                format!("The agent may not back {} up", facts.name),
            )
            .saw(
                "HAS_PERMS_BY_NAME(…, 'BACKUP DATABASE')",
                format!("0 for {}", instance.login),
            )
            .source("SQL Server: BACKUP needs sysadmin, db_owner or db_backupoperator")
            .next(format!(
                "Have a DBA run: USE [{database}]; CREATE USER [{login}] FOR LOGIN [{login}]; ALTER ROLE db_backupoperator ADD MEMBER [{login}]; Then plan again.",
                database = facts.name.replace(']', "]]"),
                login = instance.login.replace(']', "]]"),
            )),
        );
    }
    if facts.is_encrypted {
        out.push(
            Finding::blocker("source-is-encrypted", format!("{} is encrypted by TDE", facts.name))
                .saw("sys.databases.is_encrypted", "1")
                .source("SQL Server: a TDE backup can be restored only where its certificate is (error 33111)")
                .next("Bring the certificate to the target and turn encryption off for the move, or move by hand: Syncferry does not move certificates."),
        );
    }
}

/// The agent that has the backup must be able to hand it over.
pub(super) fn can_be_fetched(input: &PlanInput, out: &mut Vec<Finding>) {
    if input.source_host.id != input.target_host.id && input.source_host.transfer_address.is_none() {
        out.push(
            Finding::blocker("source-agent-does-not-serve", format!("The agent on {} does not hand artifacts over", input.source_host.name))
                .saw(format!("[transfer] of the agent on {}", input.source_host.name), "not configured")
                .source(OURS)
                .next("Set [transfer] listen and advertise in that agent's configuration, open the port for the target's agent, and restart the agent."),
        );
    }
}
