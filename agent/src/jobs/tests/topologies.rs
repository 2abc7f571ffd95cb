//! What people do to databases and names, with real stand-ins: each is looked at by the agent's own inspection, the registered place
//! is asked as the controller asks it, and the table in `shared::identity` says which database it is.

use std::sync::Arc;

use syncferry_shared::fence::{IdentityFacts, MARK_UID};
use syncferry_shared::identity::{OldPlace, Registered, Verdict, candidate, must_ask, physical_key, verdict};
use syncferry_shared::inventory::{DatabaseAddress, InspectionRequest, Inventory};
use syncferry_shared::spec::Task;

use super::identity::{alias, group};
use super::site::*;
use crate::clocks::SystemClocks;
use crate::inspect::Inspector;
use crate::instances::Instances;
use crate::os::Native;
use crate::session::Inspect as _;

/// A way to a database: an agent's endpoint and a name there.
struct Way {
    instances: Instances,
    address: DatabaseAddress,
}

fn way(site: &Site, endpoint: &str, database: &str) -> Way {
    Way {
        instances: site.through(endpoint),
        address: DatabaseAddress {
            instance: "default".into(),
            database: database.into(),
        },
    }
}

fn local(site: &Site, database: &str) -> Way {
    way(site, &format!("tcp:127.0.0.1,{}", site.port), database)
}

impl Way {
    /// The agent's look.
    async fn look(&self) -> Inventory {
        let inspector = Inspector {
            host: Arc::new(Native),
            sql: self.instances.clone(),
            staging_dir: "/tmp".into(),
            clocks: Arc::new(SystemClocks),
            power: None,
        };
        let request = InspectionRequest {
            instances: vec![self.address.instance.clone()],
            databases: vec![self.address.clone()],
            ..InspectionRequest::default()
        };
        inspector.inspect(&request).await
    }

    async fn seen(&self) -> IdentityFacts {
        let inventory = self.look().await;
        let facts = inventory.databases.first();
        IdentityFacts::from(facts.unwrap_or_else(|| panic!("{:?}", inventory.problems)))
    }

    /// As `database add` would register it.
    async fn registered(&self, fenced_epoch: i64) -> Registered {
        let seen = self.seen().await;
        Registered {
            id: uid(),
            key: physical_key(&seen).unwrap(),
            database_guid: seen.database_guid,
            recovery_fork_guid: seen.recovery_fork_guid,
            group_database_id: seen.group_database_id,
            fenced_epoch,
            free: false,
        }
    }
}

/// What the controller concludes: from what is found through `new`, from what is registered, and, where that matters, from what the
/// registered place says. `silent`: nobody reaches the registered place.
async fn decide(known: &Registered, old: &Way, silent: bool, new: &Way, at_place: bool) -> Verdict {
    let seen = new.seen().await;
    let (all, place) = ([known.clone()], at_place.then_some(known.id));
    let found = candidate(&all, place, &seen);
    let answer = match found.and_then(|k| must_ask(k, place, &seen)) {
        Some(_) if silent => OldPlace::Unreachable,
        Some(key) => OldPlace::of(&old.look().await, &old.address, &key),
        None => OldPlace::SamePlace,
    };
    verdict(found, &seen, answer)
}

/// What was found, for people: one line per topology.
#[derive(Default)]
struct Table(Vec<(String, Verdict)>);

impl Table {
    fn add(&mut self, what: &str, verdict: Verdict) {
        println!("{what:<62} {}", verdict.as_str());
        self.0.push((what.to_string(), verdict));
    }
    fn text(&self) -> String {
        self.0
            .iter()
            .map(|(what, v)| format!("{what:<62} {}\n", v.as_str()))
            .collect()
    }
}

async fn fence(site: &Site, epoch: i64) {
    let task = site.fence_task(epoch, None, &[A], None).await;
    succeeded(site.does(Task::FenceDatabase(task)).await);
}

#[tokio::test]
async fn every_topology_comes_to_its_verdict() {
    let mut table = Table::default();

    // One database, many names.
    let site = Site::start().await;
    let first = local(&site, "ADSync");
    let known = first.registered(0).await;
    let other_port = alias(site.port).await.port();
    for (what, endpoint, at_place) in [
        ("the same way again", format!("tcp:127.0.0.1,{}", site.port), true),
        (
            "another spelling of the host's name (FQDN, CNAME)",
            format!("tcp:LOCALHOST,{}", site.port),
            false,
        ),
        (
            "by IP address where a name is registered",
            format!("tcp:127.0.0.1,{}", site.port),
            false,
        ),
        (
            "by host,port of an alias or a forwarded port",
            format!("tcp:127.0.0.1,{other_port}"),
            false,
        ),
    ] {
        table.add(
            what,
            decide(&known, &first, false, &way(&site, &endpoint, "adsync"), at_place).await,
        );
    }

    // A copy beside it, from a backup without marks and from one with them.
    site.sa(r"BACKUP DATABASE ADSync TO DISK = N'D:\a.bak' WITH COPY_ONLY, FORMAT;")
        .await;
    let restore = |name: &str, bak: &str| {
        format!(
            r"RESTORE DATABASE {name} FROM DISK = N'D:\{bak}.bak' WITH MOVE N'ADSync' TO N'E:\{name}.mdf', MOVE N'ADSync_log' TO N'E:\{name}.ldf';"
        )
    };
    site.sa(&restore("Plain", "a")).await;
    table.add(
        "restored as a copy beside it, never marked",
        decide(&known, &first, false, &local(&site, "Plain"), false).await,
    );
    fence(&site, 7).await;
    let known = first.registered(7).await;
    site.sa(r"BACKUP DATABASE ADSync TO DISK = N'D:\b.bak' WITH COPY_ONLY, FORMAT;")
        .await;
    site.sa(&restore("Marked", "b")).await;
    let marked = local(&site, "Marked");
    table.add(
        "restored as a copy beside it, with our marks",
        decide(&known, &first, false, &marked, false).await,
    );
    table.add(
        "the same, while the registered place does not answer",
        decide(&known, &first, true, &marked, false).await,
    );
    site.sa(&format!(
        "USE Plain; EXEC sys.sp_addextendedproperty @name = N'{MARK_UID}', @value = N'01932c5e-7d3a-7c1b-9f3e-0242ac12ffff';"
    ))
    .await;
    table.add(
        "a copy with the marks of another controller",
        decide(&known, &first, false, &local(&site, "Plain"), false).await,
    );

    // Put back from a backup, in place.
    fence(&site, 8).await;
    let fenced = first.registered(8).await;
    site.sa(r"RESTORE DATABASE ADSync FROM DISK = N'D:\b.bak' WITH REPLACE;")
        .await;
    table.add("restored in place", decide(&fenced, &first, false, &first, true).await);
    site.sa("DROP DATABASE ADSync;").await;
    site.sa(&restore("ADSync", "a")).await;
    table.add(
        "dropped, and restored under its name",
        decide(&fenced, &first, false, &first, true).await,
    );

    // The instance gets another name.
    let known = first.registered(0).await;
    let old_files = alias(site.port).await.port();
    let site = site
        .restarted(|dir| {
            let file = dir.join("instance.json");
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text.replace("\"SQL01\"", "\"SQL77\"")).unwrap();
        })
        .await;
    let renamed = local(&site, "ADSync");
    table.add(
        "the instance was renamed",
        decide(&known, &renamed, false, &renamed, true).await,
    );
    let forward = alias(site.port).await.port();
    let by_alias = way(&site, &format!("tcp:127.0.0.1,{forward}"), "ADSync");
    table.add(
        "the instance was renamed, and is asked by another name",
        decide(&known, &renamed, false, &by_alias, false).await,
    );
    assert_ne!(old_files, forward);
    site.stop().await;

    // Files that were copied or moved to another instance and attached there.
    let (site, there) = Site::start().await.attached_elsewhere("SQL02").await;
    let (here, elsewhere) = (local(&site, "ADSync"), local(&there, "ADSync"));
    let known = here.registered(0).await;
    table.add(
        "files copied and attached on another instance",
        decide(&known, &here, false, &elsewhere, false).await,
    );
    table.add(
        "the same, while the registered place does not answer",
        decide(&known, &here, true, &elsewhere, false).await,
    );
    site.sa("DROP DATABASE ADSync;").await;
    table.add(
        "detached here, attached on another instance",
        decide(&known, &here, false, &elsewhere, false).await,
    );
    there.stop().await;
    site.stop().await;

    // Two instances of one name.
    let (site, other) = (Site::start().await, Site::start().await);
    let here = local(&site, "ADSync");
    let known = here.registered(0).await;
    other
        .sa(r"BACKUP DATABASE ADSync TO DISK = N'D:\a.bak' WITH COPY_ONLY, FORMAT;")
        .await;
    other.sa("DROP DATABASE ADSync;").await;
    other.sa(&restore("ADSync", "a")).await;
    table.add(
        "another instance with the same name and a database of its own",
        decide(&known, &here, false, &local(&other, "ADSync"), false).await,
    );
    other.stop().await;
    let (site, twin) = site.attached_elsewhere("SQL01").await;
    let (here, there) = (local(&site, "ADSync"), local(&twin, "ADSync"));
    let known = here.registered(0).await;
    // Reading alone cannot tell them apart; what is written into one and read through the other way does.
    assert_eq!(decide(&known, &here, false, &there, false).await, Verdict::Same);
    let nonce = syncferry_shared::spec::ProbeIdentityTask {
        database: site.identity().await,
        nonce: "n-1".into(),
    };
    succeeded(site.does(Task::ProbeIdentity(nonce)).await);
    let seen = there.seen().await;
    assert!(!seen.marks.contains_key(syncferry_shared::fence::MARK_NONCE));
    table.add(
        "an instance of the same name with an attached copy, by nonce",
        verdict(Some(&known), &seen, OldPlace::NonceNotSeen),
    );
    twin.stop().await;
    site.stop().await;

    // An availability group: it joins, it answers through the listener, it fails over, a secondary is asked.
    let (site, replica) = Site::start().await.attached_elsewhere("SQL02").await;
    let (here, there) = (local(&site, "ADSync"), local(&replica, "ADSync"));
    let known = here.registered(0).await;
    let role = |s: &Site, role: &str| std::fs::write(s.folder().join("availability.json"), group(role)).unwrap();
    role(&site, "primary");
    table.add(
        "it joined an availability group",
        decide(&known, &here, false, &here, true).await,
    );
    let known = here.registered(0).await;
    let listener = way(
        &site,
        &format!("tcp:127.0.0.1,{}", alias(site.port).await.port()),
        "ADSync",
    );
    table.add(
        "through the group's listener",
        decide(&known, &here, false, &listener, false).await,
    );
    role(&replica, "secondary");
    table.add(
        "a secondary that can be read",
        decide(&known, &here, false, &there, false).await,
    );
    role(&site, "secondary");
    role(&replica, "primary");
    table.add(
        "after a fail-over, on the new primary",
        decide(&known, &here, false, &there, false).await,
    );
    table.add(
        "after a fail-over, on the old primary",
        decide(&known, &here, false, &here, true).await,
    );
    replica.stop().await;
    site.stop().await;

    insta::assert_snapshot!(table.text(), @r#"
the same way again                                             same
another spelling of the host's name (FQDN, CNAME)              same
by IP address where a name is registered                       same
by host,port of an alias or a forwarded port                   same
restored as a copy beside it, never marked                     new
restored as a copy beside it, with our marks                   copy
the same, while the registered place does not answer           undecidable
a copy with the marks of another controller                    foreign-marks
restored in place                                              restored-in-place
dropped, and restored under its name                           replaced
the instance was renamed                                       moved
the instance was renamed, and is asked by another name         moved
files copied and attached on another instance                  new
the same, while the registered place does not answer           undecidable
detached here, attached on another instance                    moved
another instance with the same name and a database of its own  new
an instance of the same name with an attached copy, by nonce   twin
it joined an availability group                                joined
through the group's listener                                   same
a secondary that can be read                                   not-writable
after a fail-over, on the new primary                          same
after a fail-over, on the old primary                          not-writable
"#);
}
