//! Which facts tell databases apart, in every topology that the stand-in can show: by connecting, never by comparing names.

use std::net::SocketAddr;

use syncferry_shared::fence::{IdentityFacts, MARK_NONCE, ProbeIdentityTask, ReadIdentityTask};
use syncferry_shared::inventory::DatabaseAddress;
use syncferry_shared::spec::Task;
use tokio::net::{TcpListener, TcpStream};

use super::site::*;
use crate::journal::{Journal, Mode};
use crate::sql::ops::{fence, identity_facts};
use crate::sql::{Role, SqlErrorKind, SqlInstance, SqlSession};

/// Another way to the same port: an alias, a CNAME, a listener, a forwarded port. The name that a person types is another one,
/// and nothing but a connection says where it leads.
pub(super) async fn alias(port: u16) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut to = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    address
}

/// What a database says of itself through an endpoint.
async fn through(site: &Site, endpoint: &str, database: &str) -> IdentityFacts {
    let instance = SqlInstance {
        endpoint: endpoint.parse().unwrap(),
        ..site.instance()
    };
    let mut session = SqlSession::connect(&instance, Role::Work).await.unwrap();
    identity_facts(&mut session, database).await.unwrap().unwrap()
}

async fn here(site: &Site) -> IdentityFacts {
    through(site, &format!("tcp:127.0.0.1,{}", site.port), "ADSync").await
}

/// Writes a nonce.
async fn nonce(site: &Site, nonce: &str) -> IdentityFacts {
    let task = ProbeIdentityTask {
        database: site.identity().await,
        nonce: nonce.into(),
    };
    let outcome = succeeded(site.does(Task::ProbeIdentity(task)).await);
    let probed = outcome.probed.unwrap();
    assert_eq!(probed.marks[MARK_NONCE], nonce);
    probed
}

fn seen(facts: &IdentityFacts) -> Option<&str> {
    facts.marks.get(MARK_NONCE).map(String::as_str)
}

/// The key of `leases`: of the group where there is one, else of the server and its database.
fn key(facts: &IdentityFacts) -> String {
    match (facts.group_id, facts.group_database_id) {
        (Some(group), Some(database)) => format!("ag:{group}:{database}"),
        _ => format!("inst:{}|{:?}", facts.server_name, facts.database_guid),
    }
}

pub(super) fn group(role: &str) -> String {
    format!(
        r#"{{"groups": [{{"name": "AG1", "group_id": "6a1f0000-0000-0000-0000-000000000001", "replica_id": "6a1f0000-0000-0000-0000-0000000000a1",
 "role": "{role}", "readable": true, "listener": {{"dns_name": "sync-ag", "port": 1433}},
 "databases": [{{"name": "ADSync", "group_database_id": "6a1f0000-0000-0000-0000-00000000db01"}}]}}]}}"#
    )
}

#[tokio::test]
async fn names_of_one_database_lead_to_one_nonce() {
    let site = Site::start().await;
    let first = nonce(&site, "n-1").await;
    // Address, name, `host,port` in another spelling, alias or listener in front.
    let alias = alias(site.port).await;
    for endpoint in [
        format!("tcp:127.0.0.1,{}", site.port),
        format!("tcp:localhost,{}", site.port),
        format!("tcp:LOCALHOST,{}", site.port),
        format!("tcp:127.0.0.1,{}", alias.port()),
    ] {
        let facts = through(&site, &endpoint, "ADSync").await;
        assert_eq!((key(&facts), seen(&facts)), (key(&first), Some("n-1")), "{endpoint}");
    }
    // A newer nonce takes the place of the old one, and undoing the job removes its own only.
    nonce(&site, "n-2").await;
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    for (attempt, old, left) in [(1, "n-1", Some("n-2")), (2, "n-2", None)] {
        let task = ProbeIdentityTask {
            database: site.identity().await,
            nonce: old.into(),
        };
        let mut agent = site.agent().await;
        fence::remove_nonce(&mut agent, "ADSync", task.database.database_guid, old)
            .await
            .unwrap();
        assert_eq!(seen(&here(&site).await), left, "attempt {attempt}");
    }
    drop(journal);
    site.stop().await;
}

#[tokio::test]
async fn a_probe_is_undone() {
    let site = Site::start().await;
    let task = Task::ProbeIdentity(ProbeIdentityTask {
        database: site.identity().await,
        nonce: "n-1".into(),
    });
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let key = accept(&journal, task.clone()).await;
    succeeded(site.goes_on(&journal, key).await);
    assert_eq!(seen(&here(&site).await), Some("n-1"));
    let key = accepted(&journal, task, Mode::Undo, 2).await;
    let end = site.goes_on(&journal, key).await;
    assert!(matches!(end, crate::journal::End::Undone { .. }), "{end:?}");
    assert_eq!(seen(&here(&site).await), None);
    site.stop().await;
}

#[tokio::test]
async fn a_renamed_instance_has_another_key_and_the_same_nonce() {
    let site = Site::start().await;
    let before = nonce(&site, "n-1").await;
    let site = site
        .restarted(|dir| {
            let file = dir.join("instance.json");
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text.replace("\"SQL01\"", "\"SQL77\"")).unwrap();
        })
        .await;
    let after = here(&site).await;
    assert_eq!(after.server_name, "SQL77");
    assert_ne!(key(&after), key(&before));
    assert_eq!((after.database_guid, seen(&after)), (before.database_guid, Some("n-1")));
    site.stop().await;
}

#[tokio::test]
async fn a_copy_has_the_marks_and_not_the_newest_nonce() {
    let site = Site::start().await;
    let task = site.fence_task(7, Some("SYNC02"), &[A], Some(B)).await;
    succeeded(site.does(Task::FenceDatabase(task)).await);
    nonce(&site, "n-1").await;
    site.sa(r"BACKUP DATABASE ADSync TO DISK = N'D:\a.bak' WITH COPY_ONLY, FORMAT;")
        .await;
    site.sa(
        r"RESTORE DATABASE Copy FROM DISK = N'D:\a.bak' WITH MOVE N'ADSync' TO N'E:\copy.mdf', MOVE N'ADSync_log' TO N'E:\copy.ldf';",
    )
    .await;
    let endpoint = format!("tcp:127.0.0.1,{}", site.port);
    let copy = through(&site, &endpoint, "Copy").await;
    let original = here(&site).await;
    // Everything that travels says "the same": marks, family, even the nonce of then.
    assert_eq!(
        (copy.marks.clone(), copy.family_guid),
        (original.marks.clone(), original.family_guid)
    );
    assert_ne!(key(&copy), key(&original));
    // Only what is written now and read through the other way tells.
    nonce(&site, "n-2").await;
    assert_eq!(seen(&through(&site, &endpoint, "Copy").await), Some("n-1"));
    assert_eq!(seen(&here(&site).await), Some("n-2"));
    site.stop().await;
}

#[tokio::test]
async fn a_database_restored_in_place_shows_an_older_epoch() {
    let site = Site::start().await;
    for (epoch, owner, deny, grant) in [(7, "SYNC02", A, B)] {
        let task = site.fence_task(epoch, Some(owner), &[deny], Some(grant)).await;
        succeeded(site.does(Task::FenceDatabase(task)).await);
    }
    site.sa(r"BACKUP DATABASE ADSync TO DISK = N'D:\a.bak' WITH COPY_ONLY, FORMAT;")
        .await;
    let before = here(&site).await;
    let task = site.fence_task(8, Some("SYNC01"), &[B], Some(A)).await;
    succeeded(site.does(Task::FenceDatabase(task)).await);
    site.sa(r"RESTORE DATABASE ADSync FROM DISK = N'D:\a.bak' WITH REPLACE;")
        .await;
    let after = here(&site).await;
    assert_eq!(after.marks["syncferry.epoch"], "7", "behind what was proven");
    assert_ne!(after.recovery_fork_guid, before.recovery_fork_guid);
    // The denial of then is there again, and a run of the newest epoch is taken all the same.
    assert!(!site.lets_in(A).await && site.lets_in(B).await);
    let task = site.fence_task(9, Some("SYNC01"), &[B], Some(A)).await;
    succeeded(site.does(Task::FenceDatabase(task)).await);
    assert!(site.lets_in(A).await && !site.lets_in(B).await);
    site.stop().await;
}

#[tokio::test]
async fn a_database_that_joins_a_group_gets_its_key_and_keeps_its_nonce() {
    let site = Site::start().await;
    let before = nonce(&site, "n-1").await;
    assert!(key(&before).starts_with("inst:SQL01|"));
    std::fs::write(site.folder().join("availability.json"), group("primary")).unwrap();
    let after = here(&site).await;
    assert_eq!(
        key(&after),
        "ag:6a1f0000-0000-0000-0000-000000000001:6a1f0000-0000-0000-0000-00000000db01"
    );
    assert_eq!(seen(&after), Some("n-1"));
    // Through the listener the same; fencing goes on on the primary.
    let listener = alias(site.port).await;
    let facts = through(&site, &format!("tcp:127.0.0.1,{}", listener.port()), "ADSync").await;
    assert_eq!((key(&facts), seen(&facts)), (key(&after), Some("n-1")));
    let task = site.fence_task(7, None, &[A], None).await;
    succeeded(site.does(Task::FenceDatabase(task)).await);
    site.stop().await;
}

#[tokio::test]
async fn what_takes_no_changes_proves_nothing() {
    let site = Site::start().await;
    let task = ProbeIdentityTask {
        database: site.identity().await,
        nonce: "n-1".into(),
    };
    let refuses = async |name: &str| {
        let facts = here(&site).await;
        assert_ne!(facts.updateability.as_deref(), Some("READ_WRITE"), "{name}");
        assert_eq!(
            rules(site.does(Task::ProbeIdentity(task.clone())).await),
            ["identity-not-writable"],
            "{name}"
        );
        let fence = site.fence_task(7, None, &[A], None).await;
        assert_eq!(
            rules(site.does(Task::FenceDatabase(fence)).await),
            ["fence-not-writable"],
            "{name}"
        );
    };
    // A secondary that can be read.
    std::fs::write(site.folder().join("availability.json"), group("secondary")).unwrap();
    refuses("secondary").await;
    // In the middle of a fail-over nobody is the primary.
    std::fs::write(site.folder().join("availability.json"), group("resolving")).unwrap();
    refuses("resolving").await;
    std::fs::remove_file(site.folder().join("availability.json")).unwrap();
    // Read-only, as a snapshot or a standby is.
    site.sa("ALTER DATABASE ADSync SET READ_ONLY;").await;
    refuses("read-only").await;
    site.stop().await;
}

#[tokio::test]
async fn where_nobody_answers_nothing_is_decided() {
    let site = Site::start().await;
    nonce(&site, "n-1").await;
    let closed = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let instance = SqlInstance {
        endpoint: format!("tcp:127.0.0.1,{closed}").parse().unwrap(),
        ..site.instance()
    };
    let error = SqlSession::connect(&instance, Role::Monitor).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Unreachable);
    // A database of that name that is not there is no database.
    let mut agent = site.agent().await;
    assert!(identity_facts(&mut agent, "Nothing").await.unwrap().is_none());
    site.stop().await;
}

#[tokio::test]
async fn a_rendezvous_reads_what_is_there_and_leaves_nothing() {
    let site = Site::start().await;
    let read = async |instance: &str, database: &str| {
        let task = ReadIdentityTask {
            database: DatabaseAddress {
                instance: instance.into(),
                database: database.into(),
            },
        };
        succeeded(site.does(Task::ReadIdentity(task)).await).probed
    };
    let task = ProbeIdentityTask {
        database: site.identity().await,
        nonce: "n-1".into(),
    };
    nonce(&site, "n-1").await;
    assert_eq!(seen(&read("default", "adsync").await.unwrap()), Some("n-1"));
    // That nothing is there is an answer too: what was written elsewhere is to be removed all the same.
    assert_eq!(read("default", "Nothing").await, None);
    assert_eq!(read("elsewhere", "ADSync").await, None);
    for attempt in 1..=2 {
        let outcome = succeeded(site.does(Task::RemoveNonce(task.clone())).await);
        assert_eq!(seen(&outcome.probed.unwrap()), None, "attempt {attempt}");
    }
    assert!(here(&site).await.marks.is_empty(), "nothing of ours is left");
    // Somebody else's newer nonce is not ours to remove.
    nonce(&site, "n-2").await;
    succeeded(site.does(Task::RemoveNonce(task)).await);
    assert_eq!(seen(&here(&site).await), Some("n-2"));
    site.stop().await;
}
