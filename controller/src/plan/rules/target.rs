//! What the target instance must be like.

use syncferry_shared::Finding;
use syncferry_shared::catalogue::SqlSupport;

use super::database::is_case_insensitive;
use super::{ACCOUNTS_PAGE, EXISTING_DATABASE_PAGE, OURS, PREREQUISITES_PAGE};
use crate::plan::PlanInput;

/// LocalDB and Azure SQL cannot be a target; Express is nowhere said to be one.
pub(super) fn is_full_sql(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(t) = input.target_instance() else {
        if input.target_host.inventory.is_some() && input.target_host.problem(&input.request.target_instance).is_none()
        {
            out.push(
                Finding::blocker("target-instance-unknown", format!("The agent on {} knows no instance '{}'", input.target_host.name, input.request.target_instance))
                    .saw(format!("[[sql]] of the agent on {}", input.target_host.name), "no such name")
                    .source(OURS)
                    .next(format!("Use one of the names that `syncferry host show {}` lists, or add the instance to that agent's configuration.", input.target_host.name)),
            );
        }
        return;
    };
    if t.is_localdb {
        out.push(
            Finding::blocker("target-is-localdb", "The target is SQL Server Express LocalDB")
                .saw(format!("SERVERPROPERTY('IsLocalDB') on {}", t.server_name), 1)
                .source(EXISTING_DATABASE_PAGE)
                .next("Connect can be installed on an existing database only on full SQL Server. Name another instance with --target-host and --target-instance."),
        );
    } else if matches!(t.engine_edition, 5 | 6 | 8 | 9 | 11) {
        out.push(
            Finding::blocker("target-is-azure-sql", "The target is Azure SQL")
                .saw(
                    format!("SERVERPROPERTY('EngineEdition') on {}", t.server_name),
                    t.engine_edition,
                )
                .source(PREREQUISITES_PAGE)
                .next("Connect supports neither Azure SQL Database nor Managed Instance. Name a SQL Server on Windows with --target-host and --target-instance."),
        );
    } else if t.engine_edition == 4 {
        out.push(
            Finding::warning("target-is-express", "The target is SQL Server Express")
                .saw(format!("SERVERPROPERTY('Edition') on {}", t.server_name), &t.edition)
                .source("Microsoft's pages name neither support nor refusal; the 10 GB limit stays")
                .next("Nobody documents Express as a target, and it has LocalDB's limit of 10 GB: Connect stops when the database reaches it. Choose Standard, or accept it with --accept target-is-express."),
        );
    }
}

/// 2022 is supported; 2019 and 2017 are out of mainstream support; others are refused.
pub(super) fn engine_is_supported(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(t) = input.target_instance() else { return };
    let seen = |f: Finding| {
        f.saw(
            format!("SERVERPROPERTY('ProductVersion') on {}", t.server_name),
            &t.product_version,
        )
        .source(PREREQUISITES_PAGE)
    };
    match input.catalogue.sql_support(t.major) {
        SqlSupport::Supported => {}
        SqlSupport::Old => out.push(seen(Finding::warning(
            "target-engine-old",
            "The target's SQL Server version is out of mainstream support",
        )).next("Connect supports mainstream-supported versions, up to SQL Server 2022. Choose 2022, or accept that Microsoft may not help.")),
        SqlSupport::Refused => out.push(seen(Finding::blocker(
            "target-engine-unsupported",
            "Connect does not support the target's SQL Server version",
        )).next("Choose an instance of SQL Server 2022. Versions before 2017 are out of support, and 2025 is not listed as supported.")),
    }
}

/// A backup cannot be restored on an older engine.
pub(super) fn engine_is_not_older(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(s), Some(t)) = (input.source_instance(), input.target_instance()) else {
        return;
    };
    if t.major < s.major {
        out.push(
            Finding::blocker("target-engine-older", "The target's engine is older than the source's")
                .saw(format!("ProductVersion of {}", s.server_name), &s.product_version)
                .saw(format!("ProductVersion of {}", t.server_name), &t.product_version)
                .source("SQL Server error 3169: a backup cannot be restored on an older version")
                .next("There is no way down. Name an instance of the source's version or a newer one with --target-host and --target-instance."),
        );
    } else if t.major > s.major {
        out.push(
            Finding::note("target-engine-newer", "There is no way back to the source's engine")
                .saw(format!("ProductVersion of {}", s.server_name), &s.product_version)
                .saw(format!("ProductVersion of {}", t.server_name), &t.product_version)
                .source("SQL Server: restoring upgrades a database, one way")
                .next(if input.request.in_place {
                    "The way back is a new installation on the restored database: nothing goes back to the old engine."
                } else {
                    "The way back is the old server, which stays as it is. Keep it until the new one is accepted."
                }),
        );
    }
}

/// The server's collation must be case-insensitive too.
pub(super) fn collation_is_case_insensitive(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(t) = input.target_instance() else { return };
    if !t.collation.is_empty() && !is_case_insensitive(&t.collation) {
        out.push(
            Finding::blocker("target-collation-case-sensitive", "The target instance has a case-sensitive collation")
                .saw(format!("SERVERPROPERTY('Collation') on {}", t.server_name), &t.collation)
                .source(PREREQUISITES_PAGE)
                .next("Choose an instance with a case-insensitive (_CI_) collation, or have the DBA rebuild this one's system databases: a collation is chosen at setup."),
        );
    }
}

/// What the restore needs.
pub(super) fn permissions_suffice(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(t) = input.target_instance() else { return };
    if !t.can_create_database && !t.is_sysadmin && !input.request.dba {
        out.push(
            Finding::blocker(
                "target-cannot-create",
                "The agent may not create a database on the target",
            )
            .saw("IS_SRVROLEMEMBER('dbcreator')", format!("0 for {}", t.login))
            .source("SQL Server: RESTORE of a new database needs CREATE ANY DATABASE")
            .next(format!(
                "Have a DBA run: ALTER SERVER ROLE dbcreator ADD MEMBER [{}]; Then plan again.",
                t.login.replace(']', "]]")
            )),
        );
    }
    if !t.can_view_state && !t.is_sysadmin {
        out.push(
            Finding::blocker("target-sessions-unseen", "Who is connected to the restored database could not be seen")
                .saw("HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')", format!("0 for {}", t.login))
                .source("Microsoft Learn: sys.dm_exec_sessions, sys.dm_tran_locks, sys.dm_exec_connections, Permissions")
                .next(format!(
                    "Have a DBA run: GRANT {} TO [{}]; Then plan again: that only the new server is connected could not be proven otherwise.",
                    // Sessions and locks need the one, connections the other; VIEW SERVER STATE covers both and more.
                    if t.major >= 16 {
                        "VIEW SERVER PERFORMANCE STATE, VIEW SERVER SECURITY STATE"
                    } else {
                        "VIEW SERVER STATE"
                    },
                    t.login.replace(']', "]]")
                )),
        );
    }
    if !input.request.dba
        && input.request.service_account.is_some()
        && !t.is_sysadmin
        && t.can_alter_logins == Some(false)
    {
        out.push(
            Finding::warning("target-cannot-create-logins", "The agent may not create logins on the target")
                .saw("HAS_PERMS_BY_NAME(NULL, NULL, 'ALTER ANY LOGIN')", format!("0 for {}", t.login))
                .source(ACCOUNTS_PAGE)
                .next("Have a DBA create the service account's login before the restore (directly, not through a group), or grant ALTER ANY LOGIN."),
        );
    }
}

/// What needs rights is a DBA's: each such step waits at a gate.
pub(super) fn dba_takes_part(input: &PlanInput, out: &mut Vec<Finding>) {
    if !input.request.dba {
        return;
    }
    let mut finding = Finding::note("dba-steps", "A DBA runs what needs rights in SQL Server");
    for (job, step) in crate::plan::dba::steps_of(input) {
        finding = finding.saw(format!("job {job}"), step);
    }
    out.push(
        finding
            .source("Syncferry: least privilege")
            .next("Have a DBA at hand: at each of these the migration waits at a gate with the exact T-SQL, and goes on when the agent sees that it was done. The agent's login needs VIEW SERVER STATE, VIEW ANY DEFINITION and CONNECT SQL there, and nothing more."),
    );
}

/// One synchronisation engine per instance.
pub(super) fn is_another_instance(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(s), Some(t)) = (input.source_instance(), input.target_instance()) else {
        return;
    };
    if s.server_name.eq_ignore_ascii_case(&t.server_name) {
        out.push(
            Finding::blocker("target-is-source-instance", "Source and target are the same instance")
                .saw("SERVERPROPERTY('ServerName') of both", &s.server_name)
                .source(EXISTING_DATABASE_PAGE)
                .next("A second ADSync database needs another SQL Server instance: name one with --target-host and --target-instance."),
        );
    }
}

/// `sysname`, in UTF-16 units.
pub(crate) const LONGEST_DATABASE_NAME: usize = 128;

/// The final name must be one that a database can have. Quotes and brackets are fine.
pub(super) fn name_is_usable(input: &PlanInput, out: &mut Vec<Finding>) {
    let name = &input.request.target_database;
    let length = name.encode_utf16().count();
    if length > LONGEST_DATABASE_NAME || name.trim().is_empty() || name.contains(char::is_control) {
        out.push(
            Finding::blocker("target-name-unusable", "The target database cannot have this name")
                .saw("--target-database", format!("{name:?}, {length} characters"))
                .source("SQL Server: a database name has 1 to 128 characters; Syncferry: and none that cannot be seen")
                .next("Choose another name with --target-database. Where the source itself has such a name, the copy needs one of its own."),
        );
    }
}

/// The final name must be free.
pub(super) fn name_is_free(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(t) = input.target_instance() else { return };
    let name = &input.request.target_database;
    if let Some(d) = t.databases.iter().find(|d| d.name.eq_ignore_ascii_case(name)) {
        out.push(
            Finding::blocker("target-name-taken", format!("{} has a database named {name} already", t.server_name))
                .saw(format!("sys.databases on {}", t.server_name), format!("{} ({})", d.name, d.state))
                .source(OURS)
                .next("Syncferry never restores over a database. Choose another name with --target-database, or rename the one that is there."),
        );
    }
    let known = input
        .registered_on_target
        .iter()
        .find(|(i, n, _)| *i == input.request.target_instance && n.eq_ignore_ascii_case(name));
    if let Some((_, _, what)) = known.filter(|_| !t.databases.iter().any(|d| d.name.eq_ignore_ascii_case(name))) {
        out.push(
            Finding::blocker(
                "target-name-promised",
                format!("The name {name} on {} is promised to another migration", t.server_name),
            )
            .saw("registered databases", what)
            .source(OURS)
            .next("Finish or cancel that migration first, or choose another name with --target-database."),
        );
    }
}

/// A copy of the same database under another name could be overwritten by a restore without SQL Server objecting.
pub(super) fn family_is_not_there(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(facts), Some(t)) = (input.source_facts(), input.target_instance()) else {
        return;
    };
    let Some(family) = facts.family_guid else { return };
    for d in t
        .databases
        .iter()
        .filter(|d| d.family_guid == Some(family) && !d.name.eq_ignore_ascii_case(&input.request.target_database))
    {
        out.push(
            Finding::blocker(
                "target-has-a-copy",
                format!("{} has a copy of this database already: {}", t.server_name, d.name),
            )
            .saw("family_guid of source and copy", family)
            .source("SQL Server restores over a database of the same family without REPLACE")
            .next(format!(
                "Find out what {} is. Drop or move it away when nobody needs it, then plan again.",
                d.name
            )),
        );
    }
}
