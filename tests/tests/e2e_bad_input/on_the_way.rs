//! What goes bad after the plan was made: the run stops by name, everything is put back, and goes on when it is mended.

use std::collections::BTreeSet;

use syncferry_cli::Exit;
use syncferry_tests::lab::msi::{MsiSpec, truncate};
use syncferry_tests::lab::operator::Rest;
use syncferry_tests::lab::world::{INSTALLER, NEW_SERVER, OLD_SERVER, SQL_HOST};

use crate::town::{Databases, Town};

impl Town {
    /// Stopped by name, and both servers are as they were.
    async fn stops_and_leaves(&mut self, migration: &str, job: &str, rule: &str, before: &(Databases, Databases)) {
        self.stops(migration, job, rule).await;
        let after = self.databases().await;
        assert_eq!(after.0, before.0, "{rule}: the source");
        assert_eq!(after.1, before.1, "{rule}: the target");
        assert!(self.scheduler_is_on(), "{rule}");
    }
}

/// One run that meets one trouble after the other, in the order of its jobs, and in the end is done exactly once.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_meets_every_trouble_on_its_way_is_done_once() {
    let mut town = Town::new().await;
    let before = town.databases().await;
    let installer = town.file(NEW_SERVER, INSTALLER);
    let planned = std::fs::read(&installer).unwrap();
    let migration = town.plan().await;
    assert_eq!(migration.state, "planned");
    let id = migration.id;

    // The source's disk: too small before, full during the backup, damaging what is written.
    town.drive(OLD_SERVER, "D:", 1 << 20);
    town.stops_and_leaves(&id, "backup", "no-space", &before).await;
    town.drive(OLD_SERVER, "D:", 1 << 40);
    town.sql_fault("source", r#"{ "on": "disk_full", "after": 2 }"#);
    town.stops_and_leaves(&id, "backup", "sql-backup-file-io", &before)
        .await;
    assert!(town.completed("source").is_empty(), "{:?}", town.completed("source"));
    town.sql_fault("source", r#"{ "on": "verify", "flip": true, "times": 1 }"#);
    town.stops_and_leaves(&id, "backup", "sql-backup-damaged", &before)
        .await;
    assert_eq!(
        town.backups(OLD_SERVER),
        Vec::<std::path::PathBuf>::new(),
        "none is left"
    );
    town.sql_fault("source", "");

    // The target's disks: too small for the copy, damaging it, too small for the database.
    town.drive(SQL_HOST, "D:", 1 << 20);
    town.stops_and_leaves(&id, "restore", "no-space", &before).await;
    town.drive(SQL_HOST, "D:", 1 << 40);
    town.sql_fault("target", r#"{ "on": "verify", "flip": true, "times": 1 }"#);
    town.stops_and_leaves(&id, "restore", "sql-backup-damaged", &before)
        .await;
    town.sql_fault("target", "");
    town.drive(SQL_HOST, "C:", 1 << 20);
    town.stops_and_leaves(&id, "restore", "sql-no-space", &before).await;
    assert_eq!(
        town.backups(SQL_HOST),
        Vec::<std::path::PathBuf>::new(),
        "no copy is left"
    );
    town.drive(SQL_HOST, "C:", 1 << 40);

    // The installer, when the database is restored already: that stays, and nothing is installed.
    truncate(&installer).unwrap();
    town.stops(&id, "install", "installer-unreadable").await;
    assert_eq!(town.databases().await.0, before.0);
    let new = town.effects(NEW_SERVER);
    assert_eq!((new.msi_installs, new.msi_failures, new.wizards_started), (0, 0, 0));
    MsiSpec::connect("2.6.92.0").write(&installer).unwrap();
    town.stops(&id, "install", "installer-changed").await;
    assert_eq!(town.effects(NEW_SERVER).msi_installs, 0);
    std::fs::write(&installer, planned).unwrap();

    assert_eq!(town.apply(&id).await, Rest::Succeeded);
    let new = town.effects(NEW_SERVER);
    assert_eq!((new.msi_installs, new.wizards_completed, new.exports), (1, 1, 0));
    // One backup was damaged after it was made, and one counted.
    assert_eq!(town.completed("source")["BACKUP DATABASE"], 2);
    let target = town.completed("target");
    assert_eq!(
        (target["RESTORE DATABASE"], target["RENAME DATABASE"]),
        (1, 1),
        "{target:?}"
    );
    let old = town.effects(OLD_SERVER);
    assert_eq!((old.service_stops, old.msi_uninstalls), (0, 0));
    assert!(town.scheduler_is_on());
    assert_eq!(town.databases().await.0, before.0);
    town.down().await;
}

/// The file on the source changes after it was hashed: no byte of it counts, and only a new backup helps.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_changes_after_it_was_hashed_is_taken_anew() {
    let mut town = Town::new().await;
    let before = town.databases().await;
    let migration = town.plan().await;
    let id = migration.id.clone();
    // The restore waits at its first statement until the file is damaged.
    let hold = town.world().sql_dir("target").join("hold");
    std::fs::write(&hold, "").unwrap();
    town.sql_fault(
        "target",
        r#"{ "on": "batch", "text": "SERVERPROPERTY('ServerName')", "hold": "hold" }"#,
    );
    town.operator.apply(&migration).await.unwrap();
    town.until_job(&id, "backup", "succeeded").await;
    let backup = town.backups(OLD_SERVER).pop().unwrap();
    let mut bytes = std::fs::read(&backup).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&backup, bytes).unwrap();
    std::fs::remove_file(&hold).unwrap();
    town.until_job(&id, "restore", "failed").await;
    town.sql_fault("target", "");
    // Applying again does not help, and says what does.
    let failure = town.stops(&id, "restore", "transfer-chunk-damaged").await;
    assert!(
        failure.findings[0]
            .next_step
            .contains("cancel the migration and plan again")
    );
    assert_eq!(town.databases().await, before);
    let (exit, said) = town
        .type_in(&["cancel", &id, "--reason", "the backup is damaged", "--yes"])
        .await;
    assert!(matches!(exit, Exit::Ok | Exit::Cancelled), "{said}");
    let cancelled = async {
        while town.operator.migration(&id).await.unwrap().state != "cancelled" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), cancelled)
        .await
        .unwrap();
    assert_eq!(town.databases().await, before);
    assert_eq!(town.backups(OLD_SERVER), Vec::<std::path::PathBuf>::new());
    assert!(town.scheduler_is_on());
    // Planned anew, it is done.
    let again = town.plan().await;
    assert_eq!(again.state, "planned");
    assert_eq!(town.apply(&again.id).await, Rest::Succeeded);
    let outcome = town.outcome(&again.id, "restore").await;
    let rules: Vec<&str> = outcome.findings.iter().map(|f| f.rule.as_str()).collect();
    let different: BTreeSet<&str> = rules.iter().copied().collect();
    assert_eq!(rules.len(), different.len(), "each finding once: {rules:?}");
    assert_eq!(town.databases().await.0, before.0);
    let new = town.effects(NEW_SERVER);
    assert_eq!((new.msi_installs, new.wizards_completed, new.exports), (1, 1, 0));
    town.down().await;
}
