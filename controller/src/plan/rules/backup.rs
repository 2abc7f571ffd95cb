//! What a backup must be like that was there before the plan.

use std::collections::BTreeMap;

use syncferry_shared::Finding;
use syncferry_shared::plan::HandoverWay;

use super::space::volume;
use super::{EXISTING_DATABASE_PAGE, OURS, bytes};
use crate::plan::PlanInput;

/// The seed's three weeks.
pub(crate) const FRESH_DAYS: i64 = 21;
const DAY_MS: i64 = 86_400_000;
const ANOTHER: &str = "Use another backup (--artifact newest, or another --file), and plan again.";

/// Whether a backup that was there before takes part.
fn uses_one(input: &PlanInput) -> bool {
    input.request.backup_file.is_some() || input.request.artifact.is_some()
}

/// It must be there, and be read.
pub(super) fn can_be_read(input: &PlanInput, out: &mut Vec<Finding>) {
    if !uses_one(input) || input.backup().is_some() || input.target_host.inventory.is_none() {
        return;
    }
    // A file that could not be read is the agent's problem, which `could-not-look` tells with its next step.
    if input.request.backup_file.is_some() && input.target_host.problem("backup ").is_some() {
        return;
    }
    out.push(
        Finding::blocker("backup-unreadable", "The backup cannot be read")
            .saw(
                "the backup asked for",
                input
                    .request
                    .backup_file
                    .clone()
                    .unwrap_or_else(|| "an artifact whose file is gone".to_string()),
            )
            .source(OURS)
            .next(ANOTHER),
    );
}

/// One full set in one file, sound as far as its header says.
pub(super) fn is_whole(input: &PlanInput, out: &mut Vec<Finding>) {
    let facts = input.target_host.inventory.as_ref().and_then(|i| i.backup.as_ref());
    let Some(f) = facts.filter(|_| input.request.backup_file.is_some()) else {
        return;
    };
    let mut refuse = |finding: Finding, what: &str, found: String, next: &str| {
        out.push(finding.saw(what, found).source(OURS).next(next));
    };
    if f.backup_type != 1 {
        refuse(
            Finding::blocker("backup-not-full", "It is no full backup of a database"),
            "HEADERONLY BackupType",
            f.backup_type.to_string(),
            "A differential or log backup needs the full one before it. Have a DBA restore the chain and take one full backup of the result; use that.",
        );
    }
    if f.sets != 1 {
        refuse(
            Finding::blocker("backup-has-several-sets", "The file has several backup sets"),
            "HEADERONLY rows",
            f.sets.to_string(),
            "Which one is meant cannot be known. Have a DBA restore the right one on any instance and take a backup of it into a file of its own; use that.",
        );
    }
    if f.stripes != 1 {
        refuse(
            Finding::blocker("backup-is-striped", "The backup was written to several files"),
            "LABELONLY FamilyCount",
            f.stripes.to_string(),
            "Have a DBA restore it and take a backup into one file; use that.",
        );
    }
    if f.is_damaged {
        refuse(
            Finding::blocker(
                "backup-damaged",
                "The backup was taken of a damaged database, or is damaged",
            ),
            "HEADERONLY IsDamaged",
            "1".to_string(),
            ANOTHER,
        );
    }
    if let Some(thumbprint) = &f.encryptor {
        out.push(
            Finding::warning("backup-encrypted", "The backup is encrypted, or is of an encrypted database")
                .saw("thumbprint of the certificate", thumbprint)
                .source("SQL Server error 33111: the certificate must be on the target")
                .next("Have a DBA bring the certificate with its private key into the target's master before you apply; otherwise the restore refuses the set."),
        );
    }
    if !f.has_checksums {
        out.push(
            Finding::warning("backup-without-checksums", "The backup has no page checksums")
                .saw("HEADERONLY HasBackupChecksums", 0)
                .source(OURS)
                .next("Damage between the disk and the file would not be seen before DBCC CHECKDB on the copy, which is run in any case. Use a backup made WITH CHECKSUM where there is one, or accept this."),
        );
    }
}

/// What a file without a manifest cannot say.
pub(super) fn has_a_manifest(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(b) = input.backup().filter(|b| b.root.is_empty()) else {
        return;
    };
    let mut finding = Finding::warning("backup-without-manifest", "The backup is known by its header only")
        .saw("BackupSetGUID", b.header.backup_set_guid)
        .saw("FamilyGUID", b.header.family_guid)
        .saw(
            "DatabaseName and ServerName",
            format!("{} on {}", b.header.database_name, b.header.server_name),
        );
    if let Some(family) = input.source.family_guid.filter(|_| input.request.knows_source()) {
        finding = finding.saw("FamilyGUID of the registered database", family);
    }
    out.push(finding.source(OURS).next("Unknown until it is restored: whether it is an ADSync database, the Connect version that used it last, the last synchronisation, its forests, and whether it is complete. All of that is looked at before anything is installed on it; then it may be refused."));
}

/// A backup of another database than the one whose server is being put out.
pub(super) fn is_of_the_source(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(b), Some(family)) = (input.backup(), input.source.family_guid) else {
        return;
    };
    if input.request.knows_source() && b.header.family_guid != family {
        out.push(
            Finding::blocker("backup-of-another-database", format!("The backup is not one of {}", input.source.lease_name))
                .saw("FamilyGUID of the backup", b.header.family_guid)
                .saw("family_guid when it was registered", family)
                .source(OURS)
                .next("Use a backup of that database, or leave --source out when it is meant to be another one's: then name the server that used it with --old-server."),
        );
    }
}

/// An older engine cannot restore it.
pub(super) fn fits_the_engine(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(b), Some(t)) = (input.backup(), input.target_instance()) else {
        return;
    };
    if t.major < b.header.software_major {
        out.push(
            Finding::blocker("target-engine-older", "The target's engine is older than the one that made the backup")
                .saw("HEADERONLY SoftwareVersionMajor", b.header.software_major)
                .saw(format!("ProductVersion of {}", t.server_name), &t.product_version)
                .source("SQL Server error 3169: a backup cannot be restored on an older version")
                .next("There is no way down. Name an instance of that version or a newer one with --target-host and --target-instance."),
        );
    }
}

/// The database's own collation travels with the backup.
pub(super) fn collation_is_case_insensitive(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(b) = input.backup() else { return };
    if !b.header.collation.is_empty() && !super::database::is_case_insensitive(&b.header.collation) {
        out.push(
            Finding::blocker(
                "collation-case-sensitive",
                "The database in the backup has a case-sensitive collation",
            )
            .saw("HEADERONLY Collation", &b.header.collation)
            .source(super::PREREQUISITES_PAGE)
            .next("Connect does not support it. Install Connect anew with a database of its own."),
        );
    }
}

/// A copy that is there could be restored over without a word.
pub(super) fn family_is_not_there(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(b), Some(t)) = (input.backup(), input.target_instance()) else {
        return;
    };
    for d in t
        .databases
        .iter()
        .filter(|d| d.family_guid == Some(b.header.family_guid))
    {
        out.push(
            Finding::blocker(
                "target-has-a-copy",
                format!("{} has a copy of this database already: {}", t.server_name, d.name),
            )
            .saw("family_guid of backup and copy", b.header.family_guid)
            .source("SQL Server restores over a database of the same family without REPLACE")
            .next(format!(
                "Find out what {} is. Drop or move it away when nobody needs it, then plan again.",
                d.name
            )),
        );
    }
}

/// Three weeks, from the newest that the backup can hold: never from the file's date.
pub(super) fn is_fresh(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(b) = input.backup() else { return };
    match b.taken_at {
        Some(at) if input.now.since(at) > FRESH_DAYS * DAY_MS => out.push(
            Finding::warning("backup-too-old", format!("The backup is {} days old", input.now.since(at) / DAY_MS))
                .saw("taken at", at.rfc3339())
                .source(EXISTING_DATABASE_PAGE)
                .next("Its last synchronisation is more than three weeks ago: a full import from Entra ID is needed before anything is exported. Plan the time for it, or use a newer backup."),
        ),
        Some(at) => out.push(
            Finding::note("backup-age", format!("The backup is {} hours old", input.now.since(at).max(0) / 3_600_000))
                .saw("taken at", at.rfc3339())
                .source(EXISTING_DATABASE_PAGE)
                .next("Nothing: what was synchronised after that is found again by the next imports."),
        ),
        None => out.push(
            Finding::warning("backup-age-unknown", "How old the backup is cannot be known")
                .saw("HEADERONLY BackupFinishDate", "not to be read")
                .source(EXISTING_DATABASE_PAGE)
                .next("Whether it is older than three weeks is looked at in the copy. Be ready for a full import from Entra ID."),
        ),
    }
}

/// The version that was counted with it, where it has a manifest.
pub(super) fn installer_is_not_older(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(db) = input.backup().and_then(|b| b.counts?.connect_version) else {
        return;
    };
    let installer = input.connect_host.installer();
    let Some(v) = installer.and_then(|i| i.product_version.parse::<syncferry_shared::ConnectVersion>().ok()) else {
        return;
    };
    if v < db {
        out.push(
            Finding::blocker("installer-older-than-database", format!("Connect {v} is older than the database, which {db} used last"))
                .saw("ProductVersion", v)
                .saw("Connect version when the backup was made", db)
                .source(EXISTING_DATABASE_PAGE)
                .next(format!("The service would refuse to start. Put the installer of {db} or of a newer version on the new server and plan again.")),
        );
    }
}

/// There must be room for what the header says.
pub(super) fn has_room(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(b), Some(t), Some(i)) = (input.backup(), input.target_instance(), &input.target_host.inventory) else {
        return;
    };
    let mut short = |what: &str, place: &str, free: u64, need: u64| {
        out.push(
            Finding::blocker("no-space", format!("{what} does not fit on {}", input.target_host.name))
                .saw(format!("free on {place}"), bytes(free))
                .saw("needed", bytes(need))
                .source("SQL Server error 3257")
                .next(format!("Free {} there and plan again.", bytes(need - free))),
        );
    };
    if !b.here
        && let Some(free) = i.host.staging_free.filter(|f| *f < b.size)
    {
        short("The copy of the backup", &i.host.staging_dir, free, b.size);
    }
    let mut wanted: BTreeMap<&String, (u64, u64)> = BTreeMap::new();
    let data = input.request.data_dir.as_ref().or(t.data_path.as_ref());
    let log = input.request.log_dir.as_ref().or(t.log_path.as_ref());
    for file in &b.header.files {
        let Some(folder) = (if file.kind == "L" { log } else { data }) else {
            continue;
        };
        if let Some((mount, free)) = volume(t, folder) {
            let entry = wanted.entry(mount).or_insert((0, free));
            entry.0 = entry.0.saturating_add(file.size);
        }
    }
    for (mount, (need, free)) in wanted {
        if free < need {
            short("The database", mount, free, need);
        }
    }
}

/// Who used the database, so that it can be put out: otherwise it exports again when its SQL Server returns.
pub(super) fn old_server_is_known(input: &PlanInput, out: &mut Vec<Finding>) {
    let old = input.old_server();
    if input.request.knows_source() {
        if let Some(lease) = &input.source.lease
            && lease.holder == Some(input.connect_host.id)
        {
            out.push(
                Finding::blocker(
                    "old-server-is-the-new-one",
                    format!("{} is the server that used the database", input.connect_host.name),
                )
                .saw(
                    format!("lease {}", lease.resource),
                    format!("held by {}", input.connect_host.name),
                )
                .source(OURS)
                .next(
                    "Install on another host with --connect-host, or retire it first: `syncferry plan decommission`.",
                ),
            );
        }
        return;
    }
    match old {
        None => out.push(
            Finding::blocker("old-server-not-named", "Which Connect server used the database is not known")
                .saw("--source and --old-server", "not given")
                .source("Syncferry: a server whose SQL Server returns exports again, unless it was put out")
                .next("Name the database with --source when it is registered. Otherwise add that server with `syncferry host add`, start an agent on it, and name it with --old-server."),
        ),
        Some(_) if input.way() != HandoverWay::Host => out.push(
            Finding::blocker("old-server-has-no-lease", "A server without a lease can be proven out only by its own agent")
                .saw("--handover", input.way().as_str())
                .source(OURS)
                .next("Start an agent on it and plan again with --handover host. A database that was registered before can be given up by the other ways: name it with --source."),
        ),
        Some(old) if old.inventory.as_ref().is_some_and(|i| i.connect.is_none()) => out.push(
            Finding::blocker("old-server-unseen", format!("The agent on {} does not see Connect", old.name))
                .saw(format!("agent on {}", old.name), "it does not look at Connect")
                .source(OURS)
                .next("The agent must run on the old server itself."),
        ),
        Some(_) => {}
    }
}

/// A fence is written into the database, and there is none.
pub(super) fn way_needs_no_sql(input: &PlanInput, out: &mut Vec<Finding>) {
    if input.way() == HandoverWay::Sql {
        out.push(
            Finding::blocker("way-needs-sql-server", "SQL Server cannot refuse anybody: it is gone")
                .saw("--handover", "sql")
                .source("Syncferry: a fence is a denial inside the database")
                .next("Plan again with --handover host (the old server's own agent), power-off (its hypervisor) or attested (two people's word)."),
        );
    }
}
