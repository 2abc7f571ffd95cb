//! Backups that meet a full disk or a damaged file.

use std::sync::atomic::Ordering;

use super::world::{STAGING, Site, done, read_aloud, stopped};

/// No backup is left on the drive, not even a part of one.
fn no_backup_is_left(site: &Site) {
    let mut folders = vec![site.path(STAGING)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert!(path.is_dir(), "{} is left", path.display());
            folders.push(path);
        }
    }
}

/// A job that fails leaves the source as it was, and the next try makes a good backup.
async fn fails_then_works(site: &Site, rule: &str, step: &str, mend: impl FnOnce()) -> String {
    let before = site.databases(&site.source).await;
    let failure = stopped(site.run(site.backup().await).await, step, rule);
    assert_eq!(site.databases(&site.source).await, before, "the source is as it was");
    assert!(site.machine.cycle.load(Ordering::SeqCst), "the scheduler is on again");
    no_backup_is_left(site);
    mend();
    let outcome = done(site.run(site.backup().await).await);
    let manifest = outcome.manifest.unwrap();
    assert!(site.path(&manifest.path).exists());
    assert_eq!(site.databases(&site.source).await, before);
    assert!(site.machine.cycle.load(Ordering::SeqCst));
    read_aloud(&failure)
}

#[tokio::test]
async fn a_staging_folder_without_room_is_seen_before_anything_is_held() {
    let site = Site::new("ADSync").await;
    site.machine.free.store(300 << 20, Ordering::SeqCst);
    let said = fails_then_works(&site, "no-space", "secure-staging", || {
        assert!(!site.machine.was_off.load(Ordering::SeqCst), "nothing was changed yet");
        assert_eq!(site.source.completed("BACKUP DATABASE"), 0);
        site.machine.free.store(1 << 40, Ordering::SeqCst);
    });
    insta::assert_snapshot!("backup_no_room", said.await);
}

#[tokio::test]
async fn a_disk_that_fills_up_during_the_backup() {
    let site = Site::new("ADSync").await;
    site.source.fault(r#"{ "on": "disk_full", "after": 2 }"#);
    let said = fails_then_works(&site, "sql-backup-file-io", "backup-database", || {
        assert!(site.machine.was_off.load(Ordering::SeqCst));
        assert_eq!(site.source.completed("BACKUP DATABASE"), 0);
        site.source.fault("");
    });
    insta::assert_snapshot!("backup_disk_full", said.await);
}

#[tokio::test]
async fn a_backup_that_is_damaged_right_after_it_was_written() {
    let site = Site::new("ADSync").await;
    site.source.fault(r#"{ "on": "verify", "flip": true, "times": 1 }"#);
    let said = fails_then_works(&site, "sql-backup-damaged", "verify-set", || {
        assert_eq!(site.source.completed("BACKUP DATABASE"), 1);
    });
    insta::assert_snapshot!("backup_damaged", said.await);
}
