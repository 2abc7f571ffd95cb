//! The check finds what was done to a report, and nothing breaks out of the page.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::sample::{report, stopped};
use super::*;
use crate::event::BrokenChain;

/// The samples. `UPDATE_SAMPLES=1 cargo test -p syncferry-shared` writes them anew.
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/samples");

/// Makes the chain anew, as somebody would who can rewrite the whole file.
fn rechain(r: &mut Report) {
    let mut prev = String::new();
    for e in &mut r.events {
        e.prev_hash.clone_from(&prev);
        e.hash = e.compute_hash();
        prev.clone_from(&e.hash);
    }
    r.chain_head = prev;
}

#[test]
fn a_whole_report_holds_and_survives_its_json() {
    let r = report();
    let found = r.verify().unwrap();
    assert_eq!((found.events, &found.head), (20, &r.chain_head));
    assert_eq!(found.roots.len(), 1);
    let json = serde_json::to_string(&r).unwrap();
    let read: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(read, r);
    assert!(read.verify().is_ok());
}

#[test]
fn every_change_is_found() {
    let broken = |change: fn(&mut Report)| {
        let mut r = report();
        change(&mut r);
        r.verify().unwrap_err()
    };
    assert_eq!(broken(|r| r.schema = "x".into()), BrokenReport::Schema("x".into()));
    assert_eq!(broken(|r| r.events.clear()), BrokenReport::NoEvents);
    assert_eq!(
        broken(|r| drop(r.events.remove(4))),
        BrokenReport::Chain(BrokenChain::Gap { expected: 5, found: 6 })
    );
    assert_eq!(
        broken(|r| r.events[8].payload["undone"] = json!(false)),
        BrokenReport::Chain(BrokenChain::Content(9))
    );
    assert!(matches!(broken(|r| drop(r.events.pop())), BrokenReport::Head { .. }));
    assert_eq!(
        broken(|r| r.migration = MigrationId(uuid::Uuid::nil())),
        BrokenReport::Foreign(1)
    );
}

#[test]
fn what_no_event_speaks_of_is_under_the_seal() {
    let broken = |change: fn(&mut Report)| {
        let mut r = report();
        change(&mut r);
        matches!(r.verify(), Err(BrokenReport::Seal { .. }))
    };
    assert!(broken(|r| r.created_by = "operator:eve".into()));
    assert!(broken(|r| r.leases[0].after.epoch += 1));
    assert!(broken(|r| r.jobs[0].ended_at = Some(Millis(1))));
    assert!(broken(
        |r| r.checklist.as_mut().unwrap().items[0].state = crate::aftercare::ItemState::Proven
    ));
    assert!(broken(|r| r.level = None));
    assert!(broken(|r| r.seal.clear()));
}

#[test]
fn a_page_is_checked_by_the_report_that_it_carries() {
    let page = html(&report());
    let (read_back, check) = read(page.as_bytes()).unwrap();
    assert_eq!((read_back, check.is_ok()), (report(), true));
    let forged = page.replacen("operator:ada", "operator:eve", 1);
    assert!(matches!(read(forged.as_bytes()).unwrap().1, Err(BrokenReport::Page(_))));
    let inside = page.replace("operator:ada", "operator:eve");
    assert!(read(inside.as_bytes()).unwrap().1.is_err());
    assert!(matches!(read(b"<html></html>"), Err(UnreadableReport::NoReport)));
    assert!(matches!(read(b"[]"), Err(UnreadableReport::Json(_))));
}

#[test]
fn plan_and_artifact_must_be_the_ones_that_the_chain_names() {
    let plan = |r: &mut Report| r.plan.as_mut().map(|p| p.document["rollback"] = json!([])).unwrap();
    let mut changed = report();
    plan(&mut changed);
    assert!(matches!(changed.verify(), Err(BrokenReport::Plan { whence, .. }) if whence == "the report"));
    // With its own digest put right, the events still name the other one.
    let own = changed.plan.as_mut().unwrap();
    own.digest = plan_digest(&own.document);
    assert!(matches!(changed.verify(), Err(BrokenReport::Plan { whence, .. }) if whence == "event 2"));

    let mut swapped = report();
    swapped.jobs[1]
        .outcome
        .as_mut()
        .unwrap()
        .manifest
        .as_mut()
        .unwrap()
        .root = "ee".repeat(32);
    assert!(matches!(swapped.verify(), Err(BrokenReport::Artifact { job, .. }) if job == "backup"));

    let mut accepted = report();
    accepted
        .plan
        .as_mut()
        .unwrap()
        .accepted_warnings
        .push("target-is-localdb".into());
    assert_eq!(
        accepted.verify(),
        Err(BrokenReport::Warning("target-is-localdb".into()))
    );
}

#[test]
fn the_page_says_how_it_ended() {
    let good = html(&report());
    for said in [
        "Every job is done and verified.",
        "was backed up online, restored on SQL01 as ADSync and checked against its source",
        "SYNC02 runs Connect 2.5.79.0 on it, in staging mode.",
        "The chain of 20 events is whole",
        "accepted by operator:ada",
        "CONTOSO\\svc-adsync$",
        "Of 6 rules: 1 failed, 3 unknown, 1 passed, 1 does not apply.",
        "connect-host-reach-unknown: accepted by operator:ada",
        "a person confirms it at the gate",
        "no hard gate depends on it",
    ] {
        assert!(good.contains(said), "{said}");
    }
    assert!(!good.contains("does not hold"));
    let bad = html(&stopped());
    assert!(
        bad.contains("Job restore on SQL01 did not end well: The disk for the restored database is full."),
        "{bad}"
    );

    let mut cancelled = report();
    cancelled.state = MigrationState::Cancelled;
    cancelled.jobs.clear();
    assert!(html(&cancelled).contains("It was cancelled before anything was touched."));

    let mut forged = report();
    forged.events[8].payload = json!({});
    assert!(html(&forged).contains("This report does not hold: event 9 does not have the hash"));
}

#[test]
fn a_migration_that_never_came_far_has_a_page_too() {
    let mut r = report();
    r.state = MigrationState::Inspecting;
    (r.plan, r.ended_at) = (None, None);
    (r.jobs, r.gates, r.leases, r.events) = (vec![], vec![], vec![], vec![]);
    let page = html(&r);
    assert!(
        page.contains("Nothing was touched.") && page.contains("the report has no events"),
        "{page}"
    );
}

#[test]
fn the_page_loads_nothing() {
    let page = html(&report());
    for bad in [
        "<script",
        "http://",
        "https://",
        "<link",
        "<img",
        "url(",
        "@import",
        "javascript:",
        " on",
    ] {
        let found = page
            .match_indices(bad)
            .map(|(at, _)| &page[at..page.len().min(at + 30)]);
        // " on" is also a word; as an attribute it would be followed by letters and "=".
        let found: Vec<_> = found
            .filter(|t| {
                bad != " on"
                    || t.split('=')
                        .next()
                        .is_some_and(|n| n.len() < t.len() && !n.trim().contains(' '))
            })
            .collect();
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn the_samples_are_what_the_code_makes() {
    let r = report();
    let made = [
        ("cli-report.html", html(&r)),
        ("cli-report.json", serde_json::to_string_pretty(&r).unwrap() + "\n"),
    ];
    for (name, text) in made {
        let path = format!("{SAMPLES}/{name}");
        if std::env::var_os("UPDATE_SAMPLES").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == text,
            "docs/samples/{name} is not what the code makes; UPDATE_SAMPLES=1 writes it"
        );
    }
}

/// Puts a text wherever the report has one.
fn taint(value: &mut Value, with: &str, names: &[&str]) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if names.contains(&name.as_str()) => *text = with.to_string(),
                    _ => taint(value, with, names),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::String(text) if text.len() > 2 => *text = with.to_string(),
                    _ => taint(item, with, names),
                }
            }
        }
        _ => {}
    }
}

/// Every field that holds free text.
const FREE: [&str; 45] = [
    "name",
    "tenant_id",
    "created_by",
    "digest",
    "applied_by",
    "host",
    "title",
    "page",
    "instruction",
    "label",
    "value",
    "claimed_by",
    "observation",
    "subject",
    "holder",
    "actor",
    "actor2",
    "event",
    "type",
    "rule",
    "source",
    "next_step",
    "looked_at",
    "found",
    "path",
    "root",
    "database_name",
    "server_name",
    "last_lsn",
    "database",
    "server",
    "instance",
    "service_account",
    "version",
    "login",
    "program",
    "address",
    "chain_head",
    "hash",
    "syncferry_version",
    "reason",
    "step",
    "remark",
    "job",
    "schema_digest",
];

/// The tags of a page, in order, without what is in `<style>`.
fn tags(page: &str) -> Vec<String> {
    let (before, rest) = page.split_once("<style>").unwrap();
    let after = rest.split_once("</style>").unwrap().1;
    let text = before.to_string() + after;
    text.split('<')
        .skip(1)
        .map(|t| t.split('>').next().unwrap_or_default().to_string())
        .collect()
}

/// Everything that a report can have, as JSON.
static WHOLE: LazyLock<Value> = LazyLock::new(|| {
    let (good, bad) = (report(), stopped());
    let mut value = serde_json::to_value(&bad).unwrap();
    value["gates"] = serde_json::to_value(&good.gates).unwrap();
    value["jobs"] = serde_json::to_value([good.jobs, bad.jobs].concat()).unwrap();
    value
});

fn tainted(with: &str) -> Report {
    let mut value = WHOLE.clone();
    taint(&mut value, with, &FREE);
    serde_json::from_value(value).unwrap()
}

/// The tags where no text has anything to say.
static PLAIN: LazyLock<Vec<String>> = LazyLock::new(|| tags(&html(&tainted("x"))));

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever the texts say, the page has the same tags with the same attributes, in the same order.
    #[test]
    fn no_text_breaks_out(text in "[<>&\"'/=a-z !\\-\u{0}-\u{1f}\u{2028}\u{202e}ä]{1,40}") {
        let page = html(&tainted(&text));
        prop_assert_eq!(&tags(&page), &*PLAIN);
        prop_assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
    }

    #[test]
    fn known_tricks_stay_text(i in 0usize..8) {
        let text = [
            "</style><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)",
            "<!--", "]]>", "</title><base href=//evil>", "&lt;script&gt;", "\u{202e}lmth.exe",
        ][i];
        prop_assert_eq!(&tags(&html(&tainted(text))), &*PLAIN);
    }

    #[test]
    fn arbitrary_times_and_sizes_never_panic(at: i64, ended: i64, size: u64) {
        let mut r = report();
        r.created_at = Millis(at);
        r.ended_at = Some(Millis(ended));
        r.jobs[0].started_at = Some(Millis(at));
        r.jobs[1].ended_at = Some(Millis(ended));
        r.gates[0].closed_at = Some(Millis(at));
        r.jobs[1].outcome.as_mut().unwrap().manifest.as_mut().unwrap().size = size;
        prop_assert!(html(&r).ends_with("</html>\n"));
    }

    #[test]
    fn a_rechained_report_with_another_plan_or_artifact_is_found(root in "[0-9a-f]{64}") {
        let mut r = report();
        r.jobs[1].outcome.as_mut().unwrap().manifest.as_mut().unwrap().root = root;
        rechain(&mut r);
        prop_assert!(r.verify().is_err());
    }

    /// Any changed byte that matters is found: whatever still is the JSON of a report and says something else does not hold.
    #[test]
    fn any_changed_byte_is_found(at in any::<proptest::sample::Index>(), byte in 0x20u8..0x7f, pretty: bool) {
        static FILES: LazyLock<[String; 2]> = LazyLock::new(|| [
            serde_json::to_string(&report()).unwrap(),
            serde_json::to_string_pretty(&report()).unwrap(),
        ]);
        let file = &FILES[usize::from(pretty)];
        let mut bytes = file.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let (Ok(was), Ok(is)) = (serde_json::from_str::<Value>(file), serde_json::from_slice::<Value>(&bytes))
            && was != is
            && let Ok((_, check)) = read(&bytes)
        {
            prop_assert!(check.is_err(), "byte {} became {:?}", at, byte as char);
        }
    }

    /// The same for a page, where every byte matters.
    #[test]
    fn any_changed_byte_of_a_page_is_found(at in any::<proptest::sample::Index>(), byte in 0x20u8..0x7f) {
        static PAGE: LazyLock<String> = LazyLock::new(|| html(&report()));
        let mut bytes = PAGE.clone().into_bytes();
        let at = at.index(bytes.len());
        if bytes[at] != byte {
            bytes[at] = byte;
            prop_assert!(!matches!(read(&bytes), Ok((_, Ok(_)))), "byte {} became {:?}", at, byte as char);
        }
    }
}
