//! The documents of `--json`, held against their page in `docs/samples`, and a report to read.

use serde_json::{Value, json};
use syncferry_shared::aftercare::{CareFacts, Checklist, ItemState};
use syncferry_shared::compare::{Comparison, compare};
use syncferry_shared::event::{Event, StreamKind};
use syncferry_shared::inventory::AdsyncFacts;
use syncferry_shared::papers::{Block, Paper, PaperKind};
use syncferry_shared::report::{Report, ReportJob, ReportOutcome, ReportPlan, ReportSite, SCHEMA, plan_digest};
use syncferry_shared::spec::JobKind;
use syncferry_shared::state::{JobState, MigrationState};
use syncferry_shared::sync_config::RuleConfig;
use syncferry_shared::{JobId, SiteId};
use uuid::Uuid;

use crate::fake::{Controller, World, message, report_document};
use crate::samples::*;

/// The page. `UPDATE_SAMPLES=1 cargo test -p syncferry-cli` writes it anew.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/samples/cli-json.md");

const HEAD: &str = "\
# What `syncferry --json` answers

Stable shapes: fields are added, never renamed or removed. stdout has JSON and nothing else; times are RFC 3339 in UTC;
what is not known is `null`. Documents of the controller (`plan`, `facts`, `result`, `payload`, `cards`, reports) are
passed on as they are. This page is made by a test from the command itself.
";

/// A report whose chain holds.
pub(crate) fn report() -> Report {
    let document = serde_json::to_value(plan(vec![warning()])).unwrap();
    let digest = plan_digest(&document);
    let payloads = [
        ("migration.created", json!({"scenario": "move-to-full-sql"})),
        (
            "migration.applied",
            json!({"plan_digest": digest, "accepted_warnings": ["target-engine-old"]}),
        ),
        ("job.succeeded", json!({"job": "backup", "outcome": backup_outcome()})),
    ];
    let mut events: Vec<Event> = Vec::new();
    for (seq, (kind, payload)) in (1..).zip(payloads) {
        let mut event = Event {
            stream_kind: StreamKind::Migration,
            stream_id: MIGRATION.into(),
            seq,
            kind: kind.into(),
            schema_version: 1,
            payload,
            actor: "controller".into(),
            at: NOW.plus(seq),
            prev_hash: events.last().map(|e| e.hash.clone()).unwrap_or_default(),
            hash: String::new(),
        };
        event.hash = event.compute_hash();
        events.push(event);
    }
    Report {
        schema: SCHEMA.into(),
        migration: MIGRATION.parse().unwrap(),
        scenario: syncferry_shared::plan::Scenario::MoveToFullSql,
        site: ReportSite {
            id: SiteId(Uuid::from_u128(1)),
            name: "contoso".into(),
            tenant_id: "t".into(),
        },
        state: MigrationState::Succeeded,
        created_by: "operator:ada".into(),
        created_at: NOW.plus(-3_600_000),
        ended_at: Some(NOW),
        made_at: NOW,
        plan: Some(ReportPlan {
            digest,
            document,
            accepted_warnings: vec!["target-engine-old".into()],
            acceptances: vec![],
            applied_by: Some("operator:ada".into()),
            applied_at: Some(NOW.plus(-3_000_000)),
        }),
        jobs: vec![ReportJob {
            id: JobId(Uuid::from_u128(21)),
            name: "backup".into(),
            kind: JobKind::Backup,
            stage: 2,
            host: "SYNC01".into(),
            state: JobState::Succeeded,
            attempts: vec![],
            steps: vec![],
            started_at: Some(NOW.plus(-2_000_000)),
            ended_at: Some(NOW.plus(-1_400_000)),
            outcome: Some(ReportOutcome::from(&backup_outcome())),
            failure: None,
        }],
        gates: vec![],
        leases: vec![],
        chain_head: events.last().unwrap().hash.clone(),
        events,
        syncferry_version: "0.1.0".into(),
        level: None,
        checklist: None,
        seal: String::new(),
    }
    .sealed()
}

/// A comparison in which one rule differs.
pub(crate) fn comparison() -> Comparison {
    let mut left = AdsyncFacts {
        connect_version: "2.5.190.0".parse().ok(),
        ..AdsyncFacts::default()
    };
    left.config.rules = Some(vec![RuleConfig {
        name: "Contoso - user".into(),
        connector: "corp".into(),
        precedence: Some(90),
        standard: Some(false),
        ..RuleConfig::default()
    }]);
    let mut right = left.clone();
    if let Some(rules) = right.config.rules.as_mut() {
        rules[0].precedence = Some(91);
    }
    compare("SYNC01/localdb/ADSync", &left, "SQL01/default/ADSync", &right)
}

/// A checklist with one item attested.
pub(crate) fn checklist() -> Checklist {
    let facts = CareFacts {
        new_server: "SYNC02".into(),
        before: Some(AdsyncFacts {
            sign_on_method: Some("PassThroughAuthentication".into()),
            connect_version: "2.5.190.0".parse().ok(),
            ..AdsyncFacts::default()
        }),
        ..CareFacts::default()
    };
    let mut list = Checklist::of(MIGRATION.parse().unwrap(), &facts, &[], &[], NOW);
    let item = list.items.iter_mut().find(|i| i.id == "pass-through-agents").unwrap();
    (item.state, item.by, item.at) = (ItemState::Attested, Some("operator:ada".into()), Some(NOW));
    item.evidence = Some("two agents, on SYNC02 and DC01".into());
    list
}

/// A paper.
pub(crate) fn a_paper(kind: PaperKind) -> Paper {
    Paper {
        schema: syncferry_shared::papers::SCHEMA.into(),
        kind,
        title: format!("A {}", kind.as_str()),
        lead: "For the day.".into(),
        blocks: vec![Block::Code {
            text: "USE [master];".into(),
        }],
    }
}

#[tokio::test]
async fn the_page_shows_what_the_command_answers() {
    let world = World {
        migrations: [planned(vec![warning()])].into(),
        watches: [vec![message(
            events().drain(..1).collect(),
            migration("succeeded"),
            true,
        )]]
        .into(),
        report: Some(report_document()),
        ..World::default()
    };
    let c = Controller::start(world).await;
    let mut page = HEAD.to_string();
    let plan = ["plan", "show", "ac120002"];
    for (title, args) in [
        ("version", &["version"][..]),
        ("site list", &["site", "list"]),
        ("site show SITE (site add)", &["site", "show", "contoso"]),
        ("host list", &["host", "list"]),
        (
            "host add NAME",
            &["host", "add", "SYNC02", "--site", "contoso", "--role", "connect-server"],
        ),
        ("host token HOST", &["host", "token", "SYNC02"]),
        ("database list", &["database", "list"]),
        ("plan show MIGRATION (plan SCENARIO)", &plan),
        ("status", &["status"]),
        ("gate list", &["gate", "list"]),
        ("gate show GATE (gate complete)", &["gate", "show", "0a6a7e"]),
        ("lease list", &["lease", "list"]),
        ("lease show LEASE", &["lease", "show", "ADSync"]),
        ("lease history LEASE", &["lease", "history", "ADSync"]),
        (
            "lease handover LEASE (lease fence, break-glass, attest, adopt)",
            &[
                "lease", "handover", "ADSync", "--to", "SYNC03", "--reason", "replaced", "--yes",
            ],
        ),
        (
            "plan show MIGRATION --ticket",
            &["plan", "show", "ac120002", "--ticket"],
        ),
        ("compare ACTIVE STAGING", &["compare", "SYNC01", "SQL01"]),
        ("checklist show MIGRATION", &["checklist", "show", "ac120002"]),
        ("alarms", &["alarms"]),
        (
            "events migration MIGRATION",
            &["events", "migration", "ac120002", "--limit", "1"],
        ),
        ("watch MIGRATION (one document per line)", &["watch", "ac120002"]),
        (
            "report MIGRATION --html FILE (report verify FILE)",
            &["report", "ac120002", "--html", "/dev/null"],
        ),
        (
            "anything that fails",
            &["--credentials", "/nowhere/credentials.toml", "status"],
        ),
    ] {
        let mut all = args.to_vec();
        all.push("--json");
        let ran = if args[0] == "--credentials" {
            crate::fake::run(["syncferry"].iter().chain(&all).map(Into::into).collect(), &[]).await
        } else {
            c.run(&all).await
        };
        page.push_str(&format!("\n## {title}\n\n"));
        for line in ran.out.lines() {
            let mut value: Value = serde_json::from_str(line).unwrap();
            if value.get("html").is_some() {
                value["html"] = json!("report.html");
            }
            shorten(&mut value);
            page.push_str(&format!(
                "```json\n{}\n```\n",
                serde_json::to_string_pretty(&value).unwrap()
            ));
        }
    }
    if std::env::var_os("UPDATE_SAMPLES").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        written == page,
        "docs/samples/cli-json.md is not what the command answers; UPDATE_SAMPLES=1 writes it"
    );
}

/// Leaves out what the controller's documents hold: it is documented with them.
fn shorten(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "plan" | "facts" | "result" if value.is_object() => *value = json!({"…": "…"}),
                    _ => shorten(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        _ => {}
    }
}
