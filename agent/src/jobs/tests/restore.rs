//! Restores that meet a damaged copy, a full data drive, an awkward name.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::world::{Site, done, read_aloud, stopped};
use syncferry_shared::finding::bytes;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::Task;

/// A quote, a bracket and a double quote; and what an injection would look like.
const AWKWARD: &str = "AD'Sync]\"x; DROP DATABASE [HR]--";

async fn site_with_backup(name: &str) -> (Site, Outcome) {
    let site = Site::new(name).await;
    let backup = done(site.run(site.backup().await).await);
    (site, backup)
}

fn files_of_the_target(site: &Site) -> Vec<String> {
    let entries = std::fs::read_dir(site.path(r"E:\Data")).unwrap();
    entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

/// A job that fails leaves neither a database nor a file of one on the target, and nothing changed at the source; the next try
/// works. The copy of the backup was put there by the test, so it is not the job's to delete.
async fn fails_then_works(site: &Site, backup: &Outcome, rule: &str, step: &str, mend: impl FnOnce()) -> String {
    let before = (site.databases(&site.source).await, site.databases(&site.target).await);
    let failure = stopped(site.run(site.restore(backup).await).await, step, rule);
    let after = (site.databases(&site.source).await, site.databases(&site.target).await);
    assert_eq!(after, before, "both servers are as they were");
    assert!(files_of_the_target(site).is_empty(), "{:?}", files_of_the_target(site));
    assert_eq!(site.target.completed("RENAME DATABASE"), 0);
    mend();
    let outcome = done(site.run(site.restore(backup).await).await);
    let names: Vec<String> = site.databases(&site.target).await.into_keys().collect();
    assert_eq!(names, ["ADSync"]);
    assert_eq!(outcome.restored.unwrap().database, "ADSync");
    assert_eq!(site.databases(&site.source).await, before.0);
    read_aloud(&failure)
}

#[tokio::test]
async fn a_copy_that_is_damaged_after_its_transfer() {
    let (site, backup) = site_with_backup("ADSync").await;
    site.target.fault(r#"{ "on": "verify", "flip": true, "times": 1 }"#);
    let said = fails_then_works(&site, &backup, "sql-backup-damaged", "accept-set", || {});
    insta::assert_snapshot!("restore_copy_damaged", said.await);
}

#[tokio::test]
async fn a_copy_that_is_damaged_after_it_was_accepted() {
    let (site, backup) = site_with_backup("ADSync").await;
    site.target.fault(r#"{ "on": "restore", "flip": true, "times": 1 }"#);
    let said = fails_then_works(&site, &backup, "sql-backup-damaged", "restore-database", || {});
    insta::assert_snapshot!("restore_damaged", said.await);
}

#[tokio::test]
async fn a_staging_folder_without_room() {
    let (site, backup) = site_with_backup("ADSync").await;
    site.machine.free.store(1 << 20, Ordering::SeqCst);
    // What an earlier try has fetched already needs no room again.
    let task = site.restore(&backup).await;
    done(site.run(task).await);
    let (site, backup) = site_with_backup("ADSync").await;
    let before = site.databases(&site.target).await;
    let task = site.restore(&backup).await;
    std::fs::remove_file(site.path(&site.copy())).unwrap();
    site.machine.free.store(1 << 20, Ordering::SeqCst);
    let failure = stopped(site.run(task).await, "secure-staging", "no-space");
    assert_eq!(site.databases(&site.target).await, before);
    // A backup is not of the same size each time.
    let size = backup.manifest.as_ref().unwrap().size;
    let said = read_aloud(&failure)
        .replace(&bytes(size), "4.0 MiB")
        .replace(&bytes(size - (1 << 20)), "3.0 MiB");
    insta::assert_snapshot!("restore_no_room", said);
    site.machine.free.store(1 << 40, Ordering::SeqCst);
    done(site.run(site.restore(&backup).await).await);
}

#[tokio::test]
async fn a_full_data_drive() {
    let (site, backup) = site_with_backup("ADSync").await;
    let rules = site.path(r"E:\.acl.json");
    std::fs::write(&rules, r#"{ "total_bytes": 300000 }"#).unwrap();
    let said = fails_then_works(&site, &backup, "sql-no-space", "restore-database", || {
        std::fs::remove_file(&rules).unwrap();
    });
    insta::assert_snapshot!("restore_data_drive_full", said.await);
}

#[tokio::test]
async fn a_data_drive_that_fills_up_during_the_restore() {
    let (site, backup) = site_with_backup("ADSync").await;
    site.target.fault(r#"{ "on": "disk_full", "after": 2 }"#);
    let said = fails_then_works(&site, &backup, "sql-backup-file-io", "restore-database", || {
        site.target.fault("");
    });
    insta::assert_snapshot!("restore_disk_fills_up", said.await);
}

#[tokio::test]
async fn every_finding_is_told_once() {
    let (site, backup) = site_with_backup("ADSync").await;
    let outcome = done(site.run(site.restore(&backup).await).await);
    let rules: Vec<&str> = outcome.findings.iter().map(|f| f.rule.as_str()).collect();
    let different: BTreeSet<&str> = rules.iter().copied().collect();
    assert!(!rules.is_empty(), "the sample has users without a login: that is told");
    assert_eq!(rules.len(), different.len(), "{rules:?}");
}

#[tokio::test]
async fn a_name_with_quotes_and_brackets_is_only_a_name() {
    let (site, backup) = site_with_backup(AWKWARD).await;
    let before = site.databases(&site.source).await;
    let task = site.restore(&backup).await;
    let outcome = done(site.run(task).await);
    let restored = outcome.restored.unwrap();
    assert_eq!(restored.database, AWKWARD);
    let names: Vec<String> = site.databases(&site.target).await.into_keys().collect();
    assert_eq!(names, [AWKWARD]);
    assert_eq!(site.databases(&site.source).await, before);
    for file in files_of_the_target(&site) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        assert!(file.chars().all(plain), "{file}");
    }
    assert_eq!(
        site.target.completed("DROP DATABASE") + site.source.completed("DROP DATABASE"),
        0
    );
}

/// A controller whose store was put back orders again what was done; the agent's journal knows nothing of that attempt either.
#[tokio::test]
async fn what_was_restored_and_renamed_before_is_found_again() {
    let (site, backup) = site_with_backup("ADSync").await;
    let first = done(site.run(site.restore(&backup).await).await).restored;
    let again = done(site.run(site.restore(&backup).await).await).restored;
    assert_eq!(again, first);
    assert_eq!(site.target.completed("RESTORE DATABASE"), 1);
    assert_eq!(site.target.completed("RENAME DATABASE"), 1);
}

#[tokio::test]
async fn a_database_of_the_family_with_other_files_is_somebody_elses() {
    let (site, backup) = site_with_backup("ADSync").await;
    let first = site.restore(&backup).await;
    done(site.run(first).await);
    let mut other = site.restore(&backup).await;
    if let Task::Restore(task) = &mut other {
        task.temporary_name = "ADSync__syncferry_another".into();
    }
    stopped(site.run(other).await, "look-at-target", "target-name-taken");
    assert_eq!(site.target.completed("RENAME DATABASE"), 1);
}
