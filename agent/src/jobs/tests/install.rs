//! Installers that are damaged, replaced or refused between the plan and the installation.

use std::sync::atomic::Ordering;

use syncferry_shared::ConnectVersion;
use syncferry_shared::inventory::ConnectParameters;
use syncferry_shared::spec::{ExpectedConnect, InstallTask, Task};

use super::world::{Site, done, read_aloud, stopped};
use crate::connect::msi;
use crate::connect::msi::tests::{CONNECT, package};

const INSTALLER: &str = r"D:\Install\AzureADConnect.msi";

fn put(site: &Site, bytes: &[u8]) {
    let path = site.path(INSTALLER);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A site with the planned installer, and the job for it.
async fn planned() -> (Site, Task) {
    let site = Site::new("ADSync").await;
    put(&site, &package(CONNECT));
    let facts = msi::read(INSTALLER, &site.path(INSTALLER)).unwrap();
    let expect = ExpectedConnect {
        server: "SQL01".into(),
        instance: String::new(),
        database: "ADSync".into(),
        service_account: None,
        version: ConnectVersion([2, 5, 79, 0]),
    };
    let parameters = ConnectParameters {
        server: expect.server.clone(),
        instance: String::new(),
        database: expect.database.clone(),
    };
    *site.machine.brings.lock().unwrap() = Some((facts.product_code.clone(), parameters));
    let task = Task::Install(InstallTask {
        installer: INSTALLER.into(),
        installer_hash: facts.hash,
        product_code: facts.product_code,
        version: expect.version,
        expect,
        cards: Vec::new(),
    });
    (site, task)
}

/// Nothing is installed while it is wrong; when it is right again, the next try installs once.
async fn fails_then_works(site: &Site, task: &Task, step: &str, rule: &str, mend: impl FnOnce()) -> String {
    let before = (site.databases(&site.source).await, site.databases(&site.target).await);
    let failure = stopped(site.run(task.clone()).await, step, rule);
    assert_eq!(site.machine.installs.load(Ordering::SeqCst), 0);
    mend();
    let outcome = done(site.run(task.clone()).await);
    assert!(outcome.connect.unwrap().staging_mode);
    assert_eq!(site.machine.installs.load(Ordering::SeqCst), 1);
    let after = (site.databases(&site.source).await, site.databases(&site.target).await);
    assert_eq!(after, before);
    read_aloud(&failure)
}

#[tokio::test]
async fn a_file_that_was_cut_off_since_the_plan() {
    let (site, task) = planned().await;
    let good = package(CONNECT);
    put(&site, &good[..good.len() / 3]);
    let said = fails_then_works(&site, &task, "check-installer", "installer-unreadable", || {
        put(&site, &good)
    });
    insta::assert_snapshot!("installer_cut_off", said.await);
}

#[tokio::test]
async fn another_file_than_the_planned_one() {
    let (site, task) = planned().await;
    let mut other = CONNECT.to_vec();
    other[1].1 = "2.6.1.0";
    put(&site, &package(&other));
    let good = package(CONNECT);
    let said = fails_then_works(&site, &task, "check-installer", "installer-changed", || {
        put(&site, &good)
    });
    insta::assert_snapshot!("installer_changed", said.await);
}

#[tokio::test]
async fn a_signature_that_windows_does_not_trust() {
    let (site, task) = planned().await;
    site.machine.trusted.store(false, Ordering::SeqCst);
    let said = fails_then_works(&site, &task, "check-installer", "installer-signature-bad", || {
        site.machine.trusted.store(true, Ordering::SeqCst);
    });
    insta::assert_snapshot!("installer_signature", said.await);
}

#[tokio::test]
async fn a_package_that_windows_installer_refuses() {
    let (site, task) = planned().await;
    site.machine.msi_exit.store(1620, Ordering::SeqCst);
    let said = fails_then_works(&site, &task, "run-installer", "installer-failed", || {
        site.machine.msi_exit.store(0, Ordering::SeqCst);
    });
    insta::assert_snapshot!("installer_refused", said.await);
}
