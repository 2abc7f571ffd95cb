//! Test restores: beside the original and on another instance, and what is left of one that failed. The original is looked at
//! before and after.

use syncferry_shared::outcome::{Level, Outcome};
use syncferry_shared::spec::Task;

use super::world::{Site, done, read_aloud, stopped};

async fn site_with_backup() -> (Site, Outcome) {
    let site = Site::new("ADSync").await;
    let backup = done(site.run(site.backup().await).await);
    (site, backup)
}

#[tokio::test]
async fn beside_the_original_and_gone_again() {
    let (site, backup) = site_with_backup().await;
    let before = site.databases(&site.source).await;
    let outcome = done(site.run(site.test_restore(&backup, "localdb", false).await).await);
    assert_eq!(outcome.levels, [Level::L2, Level::L3, Level::L4]);
    assert!(
        outcome.restored.is_none(),
        "nothing becomes known by a copy that is gone"
    );
    assert_eq!(outcome.counts, backup.counts);
    assert_eq!(site.databases(&site.source).await, before);
    assert_eq!(
        (
            site.source.completed("RESTORE DATABASE"),
            site.source.completed("DROP DATABASE")
        ),
        (1, 1)
    );
    let file = backup.manifest.unwrap().path;
    assert!(site.path(&file).is_file(), "the backup stays");
}

#[tokio::test]
async fn on_another_instance_of_the_host() {
    let (site, backup) = site_with_backup().await;
    let before = (site.databases(&site.source).await, site.databases(&site.target).await);
    done(site.run(site.test_restore(&backup, "default", false).await).await);
    let after = (site.databases(&site.source).await, site.databases(&site.target).await);
    assert_eq!(after, before);
    assert_eq!(site.source.completed("RESTORE DATABASE"), 0);
    assert_eq!(site.target.completed("DROP DATABASE"), 1);
}

#[tokio::test]
async fn a_backup_that_cannot_be_restored_is_no_way_back() {
    let (site, backup) = site_with_backup().await;
    let before = site.databases(&site.source).await;
    site.source.fault(r#"{ "on": "restore", "flip": true, "times": 1 }"#);
    let end = site.run(site.test_restore(&backup, "localdb", false).await).await;
    stopped(end, "restore-database", "sql-backup-damaged");
    assert_eq!(site.databases(&site.source).await, before);
}

/// A server that is at work adds rows between the count and the backup. Without one, every row must be there.
#[tokio::test]
async fn rows_that_moved_on() {
    let (site, backup) = site_with_backup().await;
    let fewer = |task: Task| {
        let Task::TestRestore(mut t) = task else { unreachable!() };
        let table = t.restore.counts.rows.values_mut().next().unwrap();
        *table -= 1;
        Task::TestRestore(t)
    };
    let still = fewer(site.test_restore(&backup, "localdb", false).await);
    stopped(site.run(still).await, "compare", "copy-differs");
    let live = fewer(site.test_restore(&backup, "localdb", true).await);
    let outcome = done(site.run(live).await);
    assert_eq!(outcome.findings[0].rule, "rows-moved-on");
    assert!(!outcome.findings[0].blocks());
}

/// A server that died in the middle of a cycle left a run that nobody will ever end: a backup does not wait for it.
#[tokio::test]
async fn a_run_that_was_cut_off_is_not_waited_for() {
    let site = Site::with("ADSync", |sample| sample.sync_in_progress = true).await;
    let Task::Backup(mut task) = site.backup().await else {
        unreachable!()
    };
    task.hold_scheduler = false;
    let outcome = done(site.run(Task::Backup(task)).await);
    assert_eq!(outcome.findings[0].rule, "run-was-cut-off");
}

/// The same, while the service is connected and its scheduler is off: what is said to do about it helps.
#[tokio::test]
async fn a_run_that_was_cut_off_under_a_service_that_runs() {
    let site = Site::with("ADSync", |sample| sample.sync_in_progress = true).await;
    let Task::Backup(mut task) = site.backup().await else {
        unreachable!()
    };
    (task.hold_scheduler, task.idle_timeout_s) = (false, 0);
    let service = site.source.service("ADSync").await;
    let failure = stopped(
        site.run(Task::Backup(task.clone())).await,
        "wait-until-idle",
        "cycle-does-not-end",
    );
    insta::assert_snapshot!("backup_cut_off_run", read_aloud(&failure));
    // The service is stopped, as the finding says.
    drop(service);
    let outcome = done(site.run(Task::Backup(task)).await);
    assert_eq!(outcome.findings[0].rule, "run-was-cut-off");
}
