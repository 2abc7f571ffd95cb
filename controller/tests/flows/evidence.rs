//! What proves a migration, and what is left after it: levels, the comparison, the checklist, the papers, the sealed report.

use syncferry_proto::{schema, v1};
use syncferry_shared::Severity;
use syncferry_shared::aftercare::{Checklist, ItemState};
use syncferry_shared::compare::{Comparison, Part};
use syncferry_shared::inventory::{AdsyncFacts, ConnectFacts, DatabaseFacts, RunFacts, SchedulerFacts};
use syncferry_shared::outcome::{Level, Outcome};
use syncferry_shared::papers::{Paper, PaperKind};
use syncferry_shared::sync_config::{ConnectorConfig, RuleConfig, SyncConfig};
use tonic::Code;

use crate::support::{Operator, World, rules, succeeded};

fn config() -> SyncConfig {
    let setting = |n: &str, v: &str| (format!("Microsoft.{n}"), v.to_string());
    SyncConfig {
        connectors: vec![ConnectorConfig {
            name: "contoso.example".into(),
            kind: "AD".into(),
            objects: Some(1000),
            pending: Some(Default::default()),
            full_import_required: Some(false),
            full_sync_required: Some(false),
            partitions: Some(vec![]),
            ..ConnectorConfig::default()
        }],
        rules: Some(vec![RuleConfig {
            name: "In from AD - User Join".into(),
            connector: "contoso.example".into(),
            precedence: Some(100),
            ..RuleConfig::default()
        }]),
        settings: [
            setting("UserSignIn.SignOnMethod", "PassThroughAuthentication"),
            setting("UserSignIn.DesktopSsoEnabled", "True"),
            setting("OptionalFeature.PasswordWriteback", "True"),
        ]
        .into(),
        ..SyncConfig::default()
    }
}

/// A world whose source says how people sign in there.
async fn world() -> World {
    let w = World::new().await;
    w.old.journal(|j| {
        let adsync = j.inventory.databases[0].adsync.as_mut().unwrap();
        adsync.sign_on_method = Some("PassThroughAuthentication".into());
        adsync.config = config();
    });
    w
}

/// A migration that went well, and the new database as the agent on SQL01 sees it from then on.
async fn moved(w: &World, change: impl FnOnce(&mut AdsyncFacts)) -> String {
    let id = w.applied().await;
    w.work(&["verify-source", "backup", "restore"]).await;
    let install = w.new.take("install").await;
    w.install(&install).await;
    w.verify().await;
    assert_eq!(w.operator.rests(&id).await.state, "succeeded");
    let mut adsync = w.old.journal(|j| j.inventory.databases[0].adsync.clone().unwrap());
    change(&mut adsync);
    sees(w, adsync);
    w.new.journal(|j| {
        j.inventory.connect = Some(ConnectFacts {
            scheduler: Some(SchedulerFacts {
                sync_cycle_enabled: true,
                staging_mode: true,
                suspended: false,
                cycle_in_progress: false,
                next_policy: "Delta".into(),
            }),
            ..ConnectFacts::default()
        });
    });
    id
}

fn sees(w: &World, adsync: AdsyncFacts) {
    w.sql.journal(|j| {
        j.inventory.databases = vec![DatabaseFacts {
            instance: "default".into(),
            name: "ADSync".into(),
            state: "ONLINE".into(),
            adsync: Some(adsync),
            ..DatabaseFacts::default()
        }];
    });
}

async fn checklist(w: &World, id: &str, look: bool) -> Checklist {
    let request = v1::GetChecklistRequest {
        migration: id.to_string(),
        look,
    };
    let answer = w
        .operator
        .client
        .clone()
        .get_checklist(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.not_seen, Vec::<String>::new());
    answer.checklist.unwrap().read(schema::CHECKLIST).unwrap()
}

async fn attest(w: &World, id: &str, item: &str, remark: &str) -> Result<Checklist, tonic::Status> {
    let request = v1::AttestItemRequest {
        migration: id.to_string(),
        item: item.to_string(),
        remark: remark.to_string(),
        until: None,
    };
    let answer = w.operator.client.clone().attest_item(request).await?.into_inner();
    Ok(answer.checklist.unwrap().read(schema::CHECKLIST).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn below_its_level_a_migration_does_not_succeed() {
    let w = World::new().await;
    let id = w.applied().await;
    w.work(&["verify-source", "backup", "restore"]).await;
    let install = w.new.take("install").await;
    w.install(&install).await;
    // Everybody says that it went well; nobody says that Connect was seen to open it.
    for (agent, job) in [(&w.new, "verify-server"), (&w.sql, "verify-database")] {
        let offered = agent.take(job).await;
        agent.end(&offered, succeeded(&Outcome::default())).await;
    }
    w.work(&["verify-old-server"]).await;
    let m = w.operator.rests(&id).await;
    assert_eq!(m.state, "stopped");
    let history = w.operator.history(&id).await;
    assert!(history.contains(&"migration.below-level".to_string()), "{history:?}");
    assert!(!history.contains(&"migration.succeeded".to_string()));
    let report = w.operator.report(&id).await;
    let level = report.level.unwrap();
    assert_eq!(
        (level.needed, level.reached, level.suffices()),
        (Level::L5, Some(Level::L4), false)
    );
    assert!(report.verify().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_to_do_is_proven_or_attested_and_stands_in_the_report() {
    let w = world().await;
    let id = moved(&w, |_| {}).await;
    let list = checklist(&w, &id, false).await;
    assert!(list.items.iter().all(|i| i.state == ItemState::Open));
    assert!(list.item("pass-through-without-fallback").unwrap().matters);

    let list = checklist(&w, &id, true).await;
    let state = |list: &Checklist, item: &str| list.item(item).unwrap().state;
    assert_eq!(state(&list, "staging-mode"), ItemState::Proven);
    assert_eq!(state(&list, "password-options"), ItemState::Proven);
    assert_eq!(
        state(&list, "initial-sync"),
        ItemState::Contradicted,
        "no run since the installation"
    );
    assert_eq!(
        state(&list, "pass-through-sign-in"),
        ItemState::Open,
        "a value from the backup proves nothing"
    );

    // A word does not stand against what agents saw, nor is it asked where they saw it already.
    let against = attest(&w, &id, "initial-sync", "it ran").await.unwrap_err();
    assert_eq!(against.code(), Code::FailedPrecondition, "{against}");
    assert!(against.message().contains("--look"), "{against}");
    let again = attest(&w, &id, "staging-mode", "seen").await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition);
    assert_eq!(
        attest(&w, &id, "nonsense", "x").await.unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(
        attest(&w, &id, "sql-backups", " ").await.unwrap_err().code(),
        Code::InvalidArgument
    );

    let now = w.operator.migration(&id).await.updated_at.unwrap();
    let mut adsync = w.old.journal(|j| j.inventory.databases[0].adsync.clone().unwrap());
    adsync.config.connectors[0].last_sync = Some(syncferry_proto::millis(&now));
    sees(&w, adsync);
    let list = checklist(&w, &id, true).await;
    assert_eq!(state(&list, "initial-sync"), ItemState::Proven);
    let open: Vec<String> = list.open_that_matter().map(|i| i.id.clone()).collect();
    let mut last = list;
    for item in &open {
        last = attest(&w, &id, item, "done at 10:00").await.unwrap();
    }
    assert_eq!(last.open_that_matter().count(), 0);
    let item = last.item("pass-through-sign-in").unwrap();
    assert!(
        item.by.as_deref().is_some_and(|b| b.starts_with("operator:")),
        "{item:?}"
    );

    let report = w.operator.report(&id).await;
    assert_eq!(report.checklist.as_ref(), Some(&last));
    let verified = report.verify().unwrap();
    let history = w.operator.history(&id).await;
    assert_eq!(verified.events, history.len());
    assert_eq!(
        history.iter().filter(|k| *k == "checklist.attested").count(),
        open.len()
    );
    // As a file and as a page, the whole holds; changed anywhere, it does not.
    let page = syncferry_shared::report::html(&report);
    assert!(syncferry_shared::report::read(page.as_bytes()).unwrap().1.is_ok());
    let json = serde_json::to_string(&report)
        .unwrap()
        .replace("done at 10:00", "done at 11:00");
    assert!(syncferry_shared::report::read(json.as_bytes()).unwrap().1.is_err());
}

/// For a time, and taken back: who, when, why and until when stand in the list and in the history.
#[tokio::test(flavor = "multi_thread")]
async fn a_word_counts_until_it_is_over_and_can_be_taken_back() {
    let w = world().await;
    let id = moved(&w, |_| {}).await;
    let now = syncferry_proto::millis(&w.operator.migration(&id).await.updated_at.unwrap());
    let item = "pass-through-agents";
    let say = async |until: Option<syncferry_shared::Millis>| {
        let request = v1::AttestItemRequest {
            migration: id.clone(),
            item: item.to_string(),
            remark: "two agents active".to_string(),
            until: until.map(syncferry_proto::timestamp),
        };
        let answer = w.operator.client.clone().attest_item(request).await?.into_inner();
        Ok::<Checklist, tonic::Status>(answer.checklist.unwrap().read(schema::CHECKLIST).unwrap())
    };
    let take_back = async |reason: &str| {
        let request = v1::WithdrawItemRequest {
            migration: id.clone(),
            item: item.to_string(),
            reason: reason.to_string(),
        };
        let answer = w.operator.client.clone().withdraw_item(request).await?.into_inner();
        Ok::<Checklist, tonic::Status>(answer.checklist.unwrap().read(schema::CHECKLIST).unwrap())
    };
    assert_eq!(take_back("nothing").await.unwrap_err().code(), Code::FailedPrecondition);
    let past = say(Some(now.plus(-1))).await.unwrap_err();
    assert_eq!(past.code(), Code::InvalidArgument, "{past}");
    let until = now.plus(365 * 86_400_000);
    let list = say(Some(until)).await.unwrap();
    let said = list.item(item).unwrap();
    assert_eq!((said.state, said.until), (ItemState::Attested, Some(until)));
    assert_eq!(take_back(" ").await.unwrap_err().code(), Code::InvalidArgument);
    let list = take_back("DC01 is gone").await.unwrap();
    let open = list.item(item).unwrap();
    assert_eq!(open.state, ItemState::Open);
    assert!(open.evidence.as_deref().unwrap().contains("DC01 is gone"), "{open:?}");
    let again = say(None).await.unwrap();
    assert_eq!(again.item(item).unwrap().state, ItemState::Attested);
    let history = w.operator.history(&id).await;
    let of = |kind: &str| history.iter().filter(|k| *k == kind).count();
    assert_eq!((of("checklist.attested"), of("checklist.withdrawn")), (2, 1));
    let report = w.operator.report(&id).await;
    assert_eq!(report.checklist.as_ref(), Some(&again));
    let withdrawn = report.events.iter().find(|e| e.kind == "checklist.withdrawn").unwrap();
    assert_eq!(withdrawn.payload["reason"], "DC01 is gone");
    assert!(report.verify().is_ok());
}

/// Agents read the runs since the installation began: delta is what the method promises, full is told where nobody predicted it.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_cycle_is_seen_and_stands_in_the_report() {
    let w = world().await;
    let id = moved(&w, |_| {}).await;
    let now = syncferry_proto::millis(&w.operator.migration(&id).await.updated_at.unwrap());
    let runs = |kind: &str| {
        let run = |what: &str| RunFacts {
            connector: "contoso.example".into(),
            profile: format!("{kind} {what}"),
            first: now,
            runs: 1,
        };
        Some(vec![run("Import"), run("Synchronization")])
    };
    let mut adsync = w.old.journal(|j| j.inventory.databases[0].adsync.clone().unwrap());
    sees(&w, adsync.clone());
    let list = checklist(&w, &id, true).await;
    assert_eq!(
        list.item("first-cycle").unwrap().state,
        ItemState::Open,
        "nobody told the runs"
    );
    assert!(
        w.sql
            .journal(|j| j.asked.iter().any(|r| r.runs_since.is_some_and(|at| at < now))),
        "the runs since the installation began are asked for"
    );
    adsync.runs = runs("Delta");
    sees(&w, adsync.clone());
    let list = checklist(&w, &id, true).await;
    let item = list.item("first-cycle").unwrap();
    assert_eq!(item.state, ItemState::Proven, "{item:?}");
    adsync.runs = runs("Full");
    sees(&w, adsync);
    let list = checklist(&w, &id, true).await;
    let item = list.item("first-cycle").unwrap();
    assert_eq!(item.state, ItemState::Contradicted);
    assert!(!item.matters, "what happened cannot be mended: it is told");
    let denied = attest(&w, &id, "first-cycle", "it was delta").await.unwrap_err();
    assert!(denied.message().contains("an agent saw otherwise"), "{denied}");
    let report = w.operator.report(&id).await;
    assert_eq!(
        report.checklist.unwrap().item("first-cycle").unwrap().state,
        ItemState::Contradicted
    );
}

/// Not planned while an item that matters is open, and not applied when agents have seen otherwise since.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_become_active_while_something_that_matters_is_open() {
    let w = world().await;
    let id = moved(&w, |_| {}).await;
    let switch = || v1::CreatePlanRequest {
        scenario: "switch-active".into(),
        site: "contoso".into(),
        connect_host: "SYNC02".into(),
        handover: "host".into(),
        ..Default::default()
    };
    let blockers = |m: &v1::Migration| -> Vec<String> {
        let findings = Operator::plan_of(m).findings.into_iter();
        findings.filter(|f| f.blocks()).map(|f| f.rule).collect()
    };
    let refused = w.operator.plan(switch()).await;
    assert_eq!(blockers(&refused), ["aftercare-open"]);
    let open: Vec<String> = checklist(&w, &id, false)
        .await
        .open_that_matter()
        .map(|i| i.id.clone())
        .collect();
    assert!(open.iter().any(|i| i == "pass-through-sign-in"), "{open:?}");
    let (last, others) = open.split_last().unwrap();
    for item in others {
        attest(&w, &id, item, "done at 10:00").await.unwrap();
    }
    let refused = w.operator.plan(switch()).await;
    assert_eq!(blockers(&refused), ["aftercare-open"], "one is enough");
    attest(&w, &id, last, "done at 10:00").await.unwrap();
    let planned = w.operator.plan(switch()).await;
    assert_eq!(blockers(&planned), Vec::<String>::new());
    assert_eq!(planned.state, "planned");

    // No run since the installation: what was attested is contradicted.
    let list = checklist(&w, &id, true).await;
    assert_eq!(list.item("initial-sync").unwrap().state, ItemState::Contradicted);
    let warnings: Vec<String> = Operator::plan_of(&planned)
        .findings
        .into_iter()
        .filter(|f| f.severity == Severity::Warning)
        .map(|f| f.rule)
        .collect();
    let accepted: Vec<&str> = warnings.iter().map(String::as_str).collect();
    let answer = w.operator.try_apply(&planned, &accepted).await.unwrap_err();
    assert_eq!(rules(&answer), ["aftercare-open"]);
    assert_eq!(w.operator.migration(&planned.id).await.state, "planned");

    let now = w.operator.migration(&id).await.updated_at.unwrap();
    let mut adsync = w.old.journal(|j| j.inventory.databases[0].adsync.clone().unwrap());
    adsync.config.connectors[0].last_sync = Some(syncferry_proto::millis(&now));
    sees(&w, adsync);
    assert_eq!(checklist(&w, &id, true).await.open_that_matter().count(), 0);
    let applied = w.operator.try_apply(&planned, &accepted).await.unwrap();
    assert_eq!(applied.state, "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_without_a_plan_has_no_checklist() {
    let w = World::new().await;
    let mut request = Operator::request();
    request.target_database = "HR".into();
    let blocked = w.operator.plan(request).await;
    assert_eq!(blocked.state, "blocked");
    let list = checklist(&w, &blocked.id, false).await;
    assert!(
        list.items.iter().any(|i| i.matters),
        "it says beforehand what will be to do"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_is_held_against_the_original() {
    let w = world().await;
    moved(&w, |a| {
        a.config
            .settings
            .insert("Microsoft.Synchronize.StagingMode".into(), "True".into());
    })
    .await;
    let compare = async |active: &str, staging: &str| {
        let request = v1::CompareDatabasesRequest {
            active: active.to_string(),
            staging: staging.to_string(),
        };
        let answer = w.operator.client.clone().compare_databases(request).await?;
        let document = answer.into_inner().comparison.unwrap();
        Ok::<Comparison, tonic::Status>(document.read(schema::COMPARISON).unwrap())
    };
    let (old, new) = ("SYNC01/localdb/ADSync", "SQL01/default/ADSync");
    let same = compare(old, new).await.unwrap();
    assert!(same.agrees(), "{}", same.text());
    assert_eq!((same.left.as_str(), same.right.as_str()), (old, new));

    let mut adsync = w.old.journal(|j| j.inventory.databases[0].adsync.clone().unwrap());
    adsync.config.rules.as_mut().unwrap()[0].precedence = Some(7);
    sees(&w, adsync);
    let other = compare(old, new).await.unwrap();
    assert!(!other.agrees());
    assert_eq!(other.of(Part::Rules).count(), 1);
    assert_eq!(compare(old, old).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(compare(old, "nowhere").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_has_its_papers() {
    let w = world().await;
    let m = w.planned().await;
    let paper = async |kind: &str| {
        let request = v1::GetPaperRequest {
            migration: m.id.clone(),
            paper: kind.to_string(),
        };
        let answer = w.operator.client.clone().get_paper(request).await?.into_inner();
        let paper: Paper = answer.paper.unwrap().read(schema::PAPER).unwrap();
        assert!(answer.html.starts_with("<!doctype html>") && answer.text.contains(&paper.title));
        Ok::<String, tonic::Status>(answer.text)
    };
    for kind in PaperKind::ALL {
        paper(kind.as_str()).await.unwrap();
    }
    let permissions = paper("permissions").await.unwrap();
    for said in [
        "ALTER ROLE [db_owner] ADD MEMBER",
        "nothing is to be granted",
        "CREATE ANY DATABASE",
        "yes: it answered",
        "127.0.0.1",
        "Hybrid Identity Administrator",
    ] {
        assert!(permissions.contains(said), "{said}: {permissions}");
    }
    let runbook = paper("runbook").await.unwrap();
    for said in [
        "BACKUP DATABASE [ADSync]",
        "/useexistingdatabase",
        "DBCC CHECKDB",
        "The way back",
    ] {
        assert!(runbook.contains(said), "{said}: {runbook}");
    }
    assert_eq!(paper("poem").await.unwrap_err().code(), Code::InvalidArgument);
    // A run is measured: the next estimate rests on it.
    assert!(paper("estimate").await.unwrap().contains("assumed"));
    w.operator.cancel(&m.id).await.unwrap();
    moved(&w, |_| {}).await;
    assert!(paper("estimate").await.unwrap().contains("measured here once"));
}
