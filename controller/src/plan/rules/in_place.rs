//! A new server on the very database: what its instance must be like, and that the only copy may be upgraded in place.

use std::collections::BTreeMap;

use syncferry_shared::Finding;
use syncferry_shared::catalogue::SqlSupport;

use super::database::is_case_insensitive;
use super::space::volume;
use super::{EXISTING_DATABASE_PAGE, OURS, PREREQUISITES_PAGE, backup_bytes, bytes};
use crate::plan::PlanInput;

/// LocalDB and Azure SQL cannot be taken over by another server.
pub(super) fn instance_is_full_sql(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(i) = input.source_instance() else { return };
    let name = &input.source.address.database;
    if i.is_localdb {
        out.push(
            Finding::blocker("database-on-localdb", format!("{name} is on SQL Server Express LocalDB"))
                .saw(format!("SERVERPROPERTY('IsLocalDB') on {}", i.server_name), 1)
                .source(EXISTING_DATABASE_PAGE)
                .next("LocalDB lives and dies with its server, and another server cannot use it. Move the database with `syncferry plan move-to-full-sql`."),
        );
    } else if matches!(i.engine_edition, 5 | 6 | 8 | 9 | 11) {
        out.push(
            Finding::blocker("database-on-azure-sql", format!("{name} is on Azure SQL"))
                .saw(format!("SERVERPROPERTY('EngineEdition') on {}", i.server_name), i.engine_edition)
                .source(PREREQUISITES_PAGE)
                .next("Connect supports neither Azure SQL Database nor Managed Instance. Restore a backup onto a SQL Server on Windows, register it there, and plan again."),
        );
    }
    let seen = |f: Finding| {
        f.saw(
            format!("SERVERPROPERTY('ProductVersion') on {}", i.server_name),
            &i.product_version,
        )
        .source(PREREQUISITES_PAGE)
    };
    match input.catalogue.sql_support(i.major) {
        SqlSupport::Supported => {}
        SqlSupport::Old => out.push(
            seen(Finding::warning(
                "engine-old",
                "The SQL Server version of the database is out of mainstream support",
            ))
            .next("Connect supports mainstream-supported versions, up to SQL Server 2022. Accept that Microsoft may not help, or upgrade the SQL Server first."),
        ),
        SqlSupport::Refused => out.push(
            seen(Finding::blocker(
                "engine-unsupported",
                "Connect does not support the SQL Server version of the database",
            ))
            .next("A new installation is refused there. Move the database to SQL Server 2022 with `syncferry plan move-to-full-sql`."),
        ),
    }
    if !i.collation.is_empty() && !is_case_insensitive(&i.collation) {
        out.push(
            Finding::blocker("instance-collation-case-sensitive", "The instance has a case-sensitive collation")
                .saw(format!("SERVERPROPERTY('Collation') on {}", i.server_name), &i.collation)
                .source(PREREQUISITES_PAGE)
                .next("Setup refuses it. Move the database to an instance with a case-insensitive (_CI_) collation with `syncferry plan move-to-full-sql`."),
        );
    }
    if !i.can_view_state && !i.is_sysadmin {
        out.push(
            Finding::blocker(
                "sessions-unseen",
                format!("Who is connected to {name} could not be seen"),
            )
            .saw(
                "HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')",
                format!("0 for {}", i.login),
            )
            .source("Syncferry: between two holders nobody is on the database, and that is looked at")
            .next(format!(
                "Have a DBA run: GRANT {} TO [{}]; Then plan again.",
                if i.major >= 16 {
                    "VIEW SERVER PERFORMANCE STATE, VIEW SERVER SECURITY STATE"
                } else {
                    "VIEW SERVER STATE"
                },
                i.login.replace(']', "]]")
            )),
        );
    }
}

/// While setup runs, the database must not be in an availability group.
pub(super) fn is_in_no_group(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(facts) = input.source_facts() else { return };
    if let Some(group) = facts.group_database_id {
        out.push(
            Finding::blocker("database-in-availability-group", format!("{} is in an availability group", facts.name))
                .saw("sys.databases.group_database_id", group)
                .source("azure-docs issue 97541: setup fails with error 25009 on a database in a group")
                .next("Have a DBA take it out of the group for the installation (ALTER AVAILABILITY GROUP … REMOVE DATABASE), plan again, and add it back when the new server runs."),
        );
    }
}

/// The wizard upgrades the only copy where it stands: the backup is the way back, and it does not know what came after it.
pub(super) fn only_copy_is_upgraded(input: &PlanInput, out: &mut Vec<Finding>) {
    let version = input.connect_host.installer().map(|i| &i.product_version);
    let (Some(version), Some(facts)) = (version, input.source_facts()) else {
        return;
    };
    let last = facts.adsync.as_ref().and_then(|a| a.connect_version);
    let newer = version
        .parse::<syncferry_shared::ConnectVersion>()
        .is_ok_and(|v| last.is_some_and(|l| v > l));
    let finding = if newer {
        let title = format!(
            "The wizard upgrades {} in place, and there is no second copy",
            facts.name
        );
        Finding::warning("only-copy-changes", title)
    } else {
        let title = format!("The wizard works on {} itself, and there is no second copy", facts.name);
        Finding::note("only-copy-changes", title)
    };
    out.push(
        finding
            .saw("installer", version)
            .saw("Connect version last used", last.map_or("unknown".to_string(), |v| v.to_string()))
            .source(EXISTING_DATABASE_PAGE)
            .next(format!(
                "The way back is the backup that this plan makes and restores for a test. It stays on {} and does not know what is synchronised after it: keep the time between backup and wizard short. It carries credentials: delete it when the new server is accepted.",
                input.source_host.name
            )),
    );
}

/// The backup, which stays where it is made, must fit.
pub(super) fn test_restore_can_run(input: &PlanInput, out: &mut Vec<Finding>) {
    if input.source_host.inventory.is_none() {
        return;
    }
    let Some(t) = input.test_instance() else {
        let named = input.request.test_instance.as_deref().unwrap_or_default();
        if !named.is_empty() && input.source_host.problem(named).is_none() {
            out.push(
                Finding::blocker("test-instance-unknown", format!("The agent on {} knows no instance '{named}'", input.source_host.name))
                    .saw(format!("[[sql]] of the agent on {}", input.source_host.name), "no such name")
                    .source(OURS)
                    .next(format!("Use one of the names that `syncferry host show {}` lists, add the instance to that agent's configuration, or leave --test-instance out.", input.source_host.name)),
            );
        }
        return;
    };
    if !t.can_create_database && !t.is_sysadmin && !input.request.dba {
        out.push(
            Finding::blocker("test-restore-not-permitted", "The agent may not restore the backup for a test")
                .saw("IS_SRVROLEMEMBER('dbcreator')", format!("0 for {} on {}", t.login, t.server_name))
                .source("SQL Server: RESTORE of a new database needs CREATE ANY DATABASE")
                .next(format!(
                    "Have a DBA run: ALTER SERVER ROLE dbcreator ADD MEMBER [{}]; Or name another instance of the same host with --test-instance. Then plan again.",
                    t.login.replace(']', "]]")
                )),
        );
    }
    if let Some(s) = input.source_instance().filter(|s| t.major < s.major) {
        out.push(
            Finding::blocker(
                "test-instance-older",
                "The instance for the test restore is older than the database's",
            )
            .saw(format!("ProductVersion of {}", s.server_name), &s.product_version)
            .saw(format!("ProductVersion of {}", t.server_name), &t.product_version)
            .source("SQL Server error 3169: a backup cannot be restored on an older version")
            .next("Name an instance of the database's version or a newer one with --test-instance, or leave it out."),
        );
    }
    room(input, t, out);
}

/// Backup and test copy on the volumes that they go to; what is on one volume must fit together.
fn room(input: &PlanInput, t: &syncferry_shared::inventory::InstanceFacts, out: &mut Vec<Finding>) {
    let (Some(backup), Some(facts), Some(i)) =
        (backup_bytes(input), input.source_facts(), &input.source_host.inventory)
    else {
        return;
    };
    let mut wanted: BTreeMap<&String, (u64, u64, bool)> = BTreeMap::new();
    for file in &facts.files {
        let folder = if file.kind == "LOG" { &t.log_path } else { &t.data_path };
        if let Some((mount, free)) = folder.as_ref().and_then(|f| volume(t, f)) {
            let entry = wanted.entry(mount).or_insert((0, free, false));
            entry.0 = entry.0.saturating_add(file.bytes);
        }
    }
    if let Some(entry) = volume(t, &i.host.staging_dir).and_then(|(mount, _)| wanted.get_mut(mount)) {
        entry.0 = entry.0.saturating_add(backup);
        entry.2 = true;
    }
    for (mount, (need, free, with_backup)) in wanted.into_iter().filter(|(_, (need, free, _))| need > free) {
        let what = if with_backup {
            "The test copy together with the backup"
        } else {
            "The test copy"
        };
        out.push(
            Finding::blocker("no-space", format!("{what} does not fit on {}", input.source_host.name))
                .saw(format!("free on {mount}"), bytes(free))
                .saw("needed", bytes(need))
                .source("Syncferry: a backup that was not restored is no way back; SQL Server errors 3202 and 3257")
                .next(format!(
                    "Free {} there and plan again, or name another instance of the same host with --test-instance.",
                    bytes(need - free)
                )),
        );
    }
}
