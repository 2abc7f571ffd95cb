//! `rules` and `explain`, which need no controller, and what a plan says of its rules.

use std::ffi::OsString;

use insta::assert_snapshot;
use syncferry_cli::Exit;
use syncferry_cli::render::{self, Look};
use syncferry_shared::finding::Evidence;
use syncferry_shared::rule;
use syncferry_shared::verdict::{Judged, Verdict};

use crate::fake::{Ran, run};
use crate::samples::*;

async fn alone(args: &[&str]) -> Ran {
    let args = ["syncferry"].iter().chain(args).map(OsString::from);
    run(args.collect(), &[]).await
}

#[tokio::test]
async fn rules_are_listed_without_a_controller() {
    let ran = alone(&["rules", "--scenario", "replace-server", "--severity", "blocker"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_snapshot!(ran.out);
    let ran = alone(&["rules", "--all", "--json"]).await;
    assert_eq!(ran.json()["rules"].as_array().unwrap().len(), rule::all().count());
    let ran = alone(&["rules", "--kind", "alarm", "--json"]).await;
    let all = ran.json();
    let kinds: Vec<bool> = all["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["kinds"].as_array().unwrap().contains(&"alarm".into()))
        .collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|k| *k));
    assert_eq!(alone(&["rules", "--scenario", "dance"]).await.exit, Exit::Usage);
}

#[tokio::test]
async fn a_rule_is_explained() {
    let mut text = String::new();
    for id in [
        "last-sync-too-old",
        "installer-blocked",
        "source-is-shared",
        "sql-no-space",
        "attest-entra-role",
    ] {
        let ran = alone(&["explain", id]).await;
        assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
        text += &format!("{}\n", ran.out);
    }
    assert_snapshot!(text);
    let ran = alone(&["explain", "target-is-localdb", "--json"]).await;
    assert_eq!(ran.json()["gates"][0], "G1");
}

#[tokio::test]
async fn a_typo_is_answered_with_near_names() {
    let ran = alone(&["explain", "last-synch-too-old"]).await;
    assert_eq!(ran.exit, Exit::NotFound);
    assert!(ran.err.contains("did you mean last-sync-too-old"), "{}", ran.err);
    let ran = alone(&["explain", "qqqqqq"]).await;
    assert!(ran.err.contains("syncferry rules --all"), "{}", ran.err);
}

/// Every rule can be read on a terminal.
#[test]
fn every_rule_has_its_page() {
    let look = Look {
        color: false,
        width: 100,
        now: NOW,
    };
    for r in rule::all() {
        let page = render::rule(r, &look);
        assert!(page.contains(&r.id) && page.contains("to do"), "{page}");
    }
}

#[test]
fn what_became_of_the_rules_of_a_plan() {
    let look = Look {
        color: false,
        width: 100,
        now: NOW,
    };
    let judged = |rule: &str, verdict, found: &str| Judged {
        rule: rule.to_string(),
        verdict,
        saw: vec![Evidence {
            looked_at: "what was looked at".to_string(),
            found: found.to_string(),
        }],
    };
    let mut plan = plan(vec![warning(), note()]);
    plan.verdicts = vec![
        judged("target-engine-old", Verdict::Failed, "15.0.4382.1"),
        judged(
            "attest-entra-role",
            Verdict::Unknown,
            "nothing: a person confirms it at the gate",
        ),
        judged("target-is-localdb", Verdict::Passed, "Standard Edition"),
        judged(
            "source-agent-does-not-serve",
            Verdict::DoesNotApply,
            "source and target are one host",
        ),
    ];
    let m = planned(vec![warning(), note()]);
    assert!(render::plan(&m, &plan, &look).contains("1 failed, 1 unknown, 1 passed, 1 does not apply"));
    assert_snapshot!(render::verdicts(&plan, &look));
}

#[tokio::test]
async fn a_catalogue_is_shown_checked_and_imported() {
    let c = crate::fake::Controller::start(crate::fake::World::default()).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("versions.toml");
    std::fs::write(&file, syncferry_shared::catalogue::EMBEDDED).unwrap();
    let path = file.to_str().unwrap();
    let checked = alone(&["catalogue", "check", path]).await;
    let shown = c.run(&["catalogue", "show"]).await;
    let imported = c.run(&["catalogue", "import", path]).await;
    assert_eq!(
        (checked.exit, shown.exit, imported.exit),
        (Exit::Ok, Exit::Ok, Exit::Ok),
        "{}{}",
        shown.err,
        imported.err
    );
    let digest = syncferry_shared::token::digest(syncferry_shared::catalogue::EMBEDDED.as_bytes());
    let text = shown.out.replace(&digest, "<digest>");
    // What `check` and `import` run by is the machine's clock.
    assert!(checked.out.contains("signed off on 2026-11-01"), "{}", checked.out);
    assert!(imported.out.contains("imported by operator:anna"), "{}", imported.out);
    assert!(
        text.contains("the one of the controller's release") && text.contains("2.6.84.0"),
        "{text}"
    );
    assert_eq!(
        c.run(&["catalogue", "show", "--text"]).await.out,
        syncferry_shared::catalogue::EMBEDDED
    );
    std::fs::write(&file, "x = 1").unwrap();
    for verb in ["check", "import"] {
        let broken = c.run(&["catalogue", verb, path]).await;
        assert_eq!(broken.exit, Exit::Usage, "{}", broken.err);
        assert!(broken.err.contains("cannot be read"), "{}", broken.err);
    }
}
