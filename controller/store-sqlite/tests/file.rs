//! The file: it survives, it is private, and one controller has it at a time.

use std::path::Path;

use syncferry_shared::OrgId;
use syncferry_store::{Cause, Store, StoreMeta};
use syncferry_store_sqlite::{Options, SqliteStore};

async fn meta(store: &SqliteStore) -> StoreMeta {
    store.read("test").await.unwrap().meta().await.unwrap()
}

async fn open(path: &Path) -> Result<SqliteStore, Cause> {
    SqliteStore::open(Options::new(path)).await.map_err(|e| e.cause)
}

#[tokio::test]
async fn data_and_identity_survive_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/store.db");
    let store = open(&path).await.unwrap();
    let first = meta(&store).await;
    let mut tx = store.begin("test").await.unwrap();
    let org = tx.add_org(OrgId::new(tx.now(), &[1; 10]), "contoso").await.unwrap();
    tx.commit().await.unwrap();
    // Not committed when the store goes: gone.
    let mut tx = store.begin("test").await.unwrap();
    tx.add_org(OrgId::new(tx.now(), &[2; 10]), "fabrikam").await.unwrap();
    drop(tx);
    store.close().await;

    let store = open(&path).await.unwrap();
    assert_eq!(meta(&store).await, first);
    let mut tx = store.read("test").await.unwrap();
    let orgs = tx.orgs().await.unwrap();
    assert_eq!(orgs.len(), 2);
    assert!(orgs.contains(&org));
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

#[tokio::test]
async fn a_second_controller_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path).await.unwrap();
    let refused = open(&path).await.err().unwrap();
    assert!(matches!(refused, Cause::InUse(_)), "{refused}");
    store.close().await;
    open(&path).await.unwrap();
}

#[tokio::test]
async fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(&path, "this is a text of more than sixteen bytes, and no database").unwrap();
    let refused = open(&path).await.err().unwrap();
    assert!(matches!(refused, Cause::Corrupt(_)), "{refused}");
    let nowhere = open(Path::new("/dev/null/store.db")).await.err().unwrap();
    assert!(matches!(nowhere, Cause::Io(_)), "{nowhere}");
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/store.db");
    let store = open(&path).await.unwrap();
    let mut tx = store.begin("test").await.unwrap();
    tx.add_org(OrgId::new(tx.now(), &[1; 10]), "contoso").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap().path();
        assert_eq!(mode(&entry), 0o600, "{}", entry.display());
    }
    store.close().await;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _store = open(&path).await.unwrap();
    assert_eq!(mode(&path), 0o600, "a file that was open to others is closed");
}

#[tokio::test]
async fn a_writer_waits_no_longer_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path().join("store.db"));
    options.busy_timeout = std::time::Duration::from_millis(50);
    let store = SqliteStore::open(options).await.unwrap();
    let first = store.begin("first").await.unwrap();
    let second = store.begin("second").await.err().unwrap();
    assert_eq!((second.transaction, second.is_busy()), ("second", true));
    drop(first);
    store.begin("second").await.unwrap();
}
