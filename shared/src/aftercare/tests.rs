//! The list, and what events and words make of it.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::event::StreamKind;
use crate::inventory::{ConnectFacts, RunFacts, SchedulerFacts};
use crate::sync_config::ConnectorConfig;

fn facts(method: &str, version: [u32; 4], settings: &[(&str, &str)]) -> CareFacts {
    let mut before = AdsyncFacts {
        connect_version: Some(ConnectVersion(version)),
        sign_on_method: Some(method.into()),
        ..AdsyncFacts::default()
    };
    before.config.settings = settings.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    before
        .config
        .settings
        .insert("Microsoft.UserSignIn.SignOnMethod".into(), method.into());
    CareFacts {
        new_server: "SYNC02".into(),
        old_server: Some("SYNC01".into()),
        before: Some(before),
        installed: Some(ConnectVersion([2, 6, 91, 0])),
        installed_at: Some(Millis(1_000)),
        ..CareFacts::default()
    }
}

fn event(seq: i64, kind: &str, actor: &str, payload: Value) -> Event {
    Event {
        stream_kind: StreamKind::Migration,
        stream_id: "m".into(),
        seq,
        kind: kind.into(),
        schema_version: 1,
        payload,
        actor: actor.into(),
        at: Millis(5_000 + seq),
        prev_hash: String::new(),
        hash: String::new(),
    }
}

fn list(f: &CareFacts, events: &[Event]) -> Checklist {
    Checklist::of(MigrationId(uuid::Uuid::nil()), f, events, &[], Millis(9_000))
}

const PHS: (&str, &str) = ("Microsoft.OptionalFeature.PasswordHashSync", "True");
const SSO: (&str, &str) = ("Microsoft.UserSignIn.DesktopSsoEnabled", "True");
const DEVICES: (&str, &str) = ("Microsoft.OptionalFeature.DeviceWriteBack", "True");
const NEW: [u32; 4] = [2, 5, 190, 0];

fn ids(f: &CareFacts) -> Vec<String> {
    list(f, &[])
        .items
        .iter()
        .map(|i| format!("{}{}", if i.matters { "! " } else { "" }, i.id))
        .collect()
}

#[test]
fn the_list_fits_how_people_sign_in() {
    let mut shown = String::new();
    for (name, f) in [
        ("password hash synchronisation", facts("PasswordHashSync", NEW, &[PHS])),
        (
            "the same, before 1.2.65.0",
            facts("PasswordHashSync", [1, 1, 882, 0], &[PHS]),
        ),
        ("AD FS with device options", facts("Federation", NEW, &[DEVICES])),
        (
            "pass-through with single sign-on",
            facts("PassThroughAuthentication", NEW, &[SSO]),
        ),
        (
            "pass-through with hashes behind it",
            facts("PassThroughAuthentication", NEW, &[PHS]),
        ),
        ("PingFederate", facts("PingFederate", NEW, &[])),
        ("unheard of", facts("SomethingElse", NEW, &[])),
    ] {
        shown.push_str(&format!("{name}\n  {}\n", ids(&f).join("\n  ")));
    }
    insta::assert_snapshot!("checklists", shown);
}

#[test]
fn a_persons_word_counts_until_agents_see_otherwise() {
    let f = facts("PassThroughAuthentication", NEW, &[SSO]);
    let attest = |seq, item: &str| {
        event(
            seq,
            ATTESTED,
            "operator:ada",
            json!({"item": item, "remark": "done at 10:00"}),
        )
    };
    let sight = |seq, holds: bool| {
        let sights = json!([{"item": "pass-through-sign-in", "holds": holds, "found": "x", "by": "agent:SQL01"}]);
        event(seq, SEEN, "controller", json!({ "sights": sights }))
    };
    let state = |events: &[Event]| list(&f, events).item("pass-through-sign-in").unwrap().state;
    assert_eq!(state(&[]), ItemState::Open);
    assert_eq!(state(&[attest(1, "pass-through-sign-in")]), ItemState::Attested);
    let events = [attest(1, "pass-through-sign-in"), sight(2, false)];
    assert_eq!(state(&events), ItemState::Contradicted);
    let events = [sight(1, false), attest(2, "pass-through-sign-in")];
    assert_eq!(state(&events), ItemState::Contradicted, "a word does not undo a sight");
    assert_eq!(state(&[sight(1, false), sight(2, true)]), ItemState::Proven);
    let mended = event(
        2,
        SEEN,
        "controller",
        json!({"sights": [{"item": "pass-through-sign-in", "holds": null, "found": "x", "by": "agent:SQL01"}]}),
    );
    assert_eq!(state(&[sight(1, false), mended.clone()]), ItemState::Open);
    assert_eq!(
        state(&[sight(1, false), mended, attest(3, "pass-through-sign-in")]),
        ItemState::Attested
    );
    // What cannot be seen is never proven by a forged sight.
    let forged = event(
        1,
        SEEN,
        "x",
        json!({"sights": [{"item": "pass-through-agents", "holds": true, "found": "", "by": "x"}]}),
    );
    assert_eq!(
        list(&f, &[forged]).item("pass-through-agents").unwrap().state,
        ItemState::Open
    );
    let done = list(&f, &[attest(1, "pass-through-agents")]);
    let item = done.item("pass-through-agents").unwrap();
    assert_eq!(
        (item.by.as_deref(), item.evidence.as_deref()),
        (Some("operator:ada"), Some("done at 10:00"))
    );
}

#[test]
fn agents_prove_what_they_can_see() {
    let f = facts(
        "PasswordHashSync",
        NEW,
        &[PHS, ("Microsoft.OptionalFeature.ExportDeletionThresholdValue", "500")],
    );
    let mut after = f.before.clone().unwrap();
    after.config.connectors = vec![ConnectorConfig {
        name: "corp".into(),
        last_sync: Some(Millis(2_000)),
        ..ConnectorConfig::default()
    }];
    let connect = ConnectFacts {
        scheduler: Some(SchedulerFacts {
            sync_cycle_enabled: true,
            staging_mode: true,
            suspended: false,
            cycle_in_progress: false,
            next_policy: "Delta".into(),
        }),
        ..ConnectFacts::default()
    };
    let seen = |after: &AdsyncFacts| -> Vec<(String, bool)> {
        sights(&f, Some(("SQL01", after, false)), Some(("SYNC02", &connect)))
            .into_iter()
            .filter_map(|s| Some((s.item, s.holds?)))
            .collect()
    };
    let all = |holds: bool| {
        ["staging-mode", "password-options", "deletion-threshold", "initial-sync"]
            .map(|i| (i.to_string(), holds || i == "staging-mode"))
            .to_vec()
    };
    assert_eq!(seen(&after), all(true));
    after.config.settings.insert(PHS.0.into(), "False".into());
    after.config.settings.insert(
        "Microsoft.OptionalFeature.ExportDeletionThresholdValue".into(),
        "0".into(),
    );
    after.full_run_required = vec!["corp".into()];
    assert_eq!(seen(&after), all(false));
    // Unknown proves nothing, and contradicts nothing.
    after.config.settings.clear();
    after.config.connectors.clear();
    assert_eq!(seen(&after), all(true)[..1]);
}

fn said(item: &str, at: i64) -> Word {
    Word {
        item: item.into(),
        by: "operator:ada".into(),
        at: Millis(at),
        reason: "done at 10:00".into(),
        until: None,
        withdrawn: None,
    }
}

#[test]
fn a_word_counts_until_it_is_over_or_taken_back() {
    let f = facts("PassThroughAuthentication", NEW, &[SSO]);
    let of = |events: &[Event], words: &[Word], now: i64| {
        let list = Checklist::of(MigrationId(uuid::Uuid::nil()), &f, events, words, Millis(now));
        list.item("pass-through-sign-in").cloned().unwrap()
    };
    let word = said("pass-through-sign-in", 5_000);
    let short = Word {
        until: Some(Millis(8_000)),
        ..word.clone()
    };
    let back = Word {
        withdrawn: Some(Withdrawal {
            by: "operator:bob".into(),
            at: Millis(6_000),
            reason: "it was the other server".into(),
        }),
        ..word.clone()
    };
    let item = of(&[], std::slice::from_ref(&short), 7_999);
    assert_eq!((item.state, item.until), (ItemState::Attested, Some(Millis(8_000))));
    let item = of(&[], std::slice::from_ref(&short), 8_000);
    assert_eq!(item.state, ItemState::Open);
    assert!(item.evidence.as_deref().unwrap().contains("is over"), "{item:?}");
    let item = of(&[], std::slice::from_ref(&back), 9_000);
    assert_eq!(
        (item.state, item.by.as_deref()),
        (ItemState::Open, Some("operator:bob"))
    );
    assert!(
        item.evidence.as_deref().unwrap().contains("it was the other server"),
        "{item:?}"
    );
    // Another word stands, whether it was said before or after.
    for words in [[back.clone(), word.clone()], [word.clone(), back]] {
        assert_eq!(of(&[], &words, 9_000).state, ItemState::Attested);
    }
    // What agents saw is stronger, also in the same moment; a word from before it does not come back.
    let sight = |seq, holds: Value| {
        let sights = json!([{"item": "pass-through-sign-in", "holds": holds, "found": "x", "by": "agent:SQL01"}]);
        event(seq, SEEN, "controller", json!({ "sights": sights }))
    };
    let seen = [sight(0, json!(false))];
    assert_eq!(
        of(&seen, std::slice::from_ref(&word), 9_000).state,
        ItemState::Contradicted
    );
    let mended = [sight(0, json!(false)), sight(1, Value::Null)];
    assert_eq!(of(&mended, std::slice::from_ref(&word), 9_000).state, ItemState::Open);
    let late = [said("pass-through-sign-in", 5_002)];
    assert_eq!(of(&mended, &late, 9_000).state, ItemState::Attested);
    assert_eq!(of(&seen, &late, 9_000).state, ItemState::Contradicted);
    // The event of a word that is a row as well is not a second word.
    let row = event(
        0,
        ATTESTED,
        "operator:ada",
        json!({"item": "pass-through-sign-in", "attestation": "x"}),
    );
    assert_eq!(of(&[row], &[], 9_000).state, ItemState::Open);
}

#[test]
fn the_first_cycle_is_told_from_the_runs() {
    let run = |connector: &str, profile: &str, first: i64| RunFacts {
        connector: connector.into(),
        profile: profile.into(),
        first: Millis(first),
        runs: 1,
    };
    let cycle = |kind: &str, at: i64| {
        let runs = ["corp", "AAD"].map(|c| {
            let (import, sync) = (format!("{kind} Import"), format!("{kind} Synchronization"));
            [run(c, &import, at), run(c, &sync, at + 10)]
        });
        runs.concat()
    };
    let said = |f: &CareFacts, runs: Option<Vec<RunFacts>>| {
        let mut after = f.before.clone().unwrap();
        after.config.connectors = ["AAD", "corp"]
            .map(|name| ConnectorConfig {
                name: name.into(),
                ..ConnectorConfig::default()
            })
            .to_vec();
        after.runs = runs;
        let all = sights(f, Some(("SQL01", &after, false)), None);
        let sight = all.into_iter().find(|s| s.item == "first-cycle");
        sight.map_or("no word".to_string(), |s| format!("{:?}: {}", s.holds, s.found))
    };
    let delta = CareFacts {
        installing_since: Some(Millis(500)),
        ..facts("PasswordHashSync", NEW, &[PHS])
    };
    let full = CareFacts {
        full_sync_expected: true,
        ..delta.clone()
    };
    let with = |mut runs: Vec<RunFacts>, more: Vec<RunFacts>| {
        runs.extend(more);
        Some(runs)
    };
    let mut shown = String::new();
    for (name, f, runs) in [
        ("delta", &delta, Some(cycle("Delta", 600))),
        (
            "full later is another matter",
            &delta,
            with(cycle("Delta", 600), cycle("Full", 900)),
        ),
        ("full came first", &delta, with(cycle("Full", 600), cycle("Delta", 900))),
        (
            "one connector was full",
            &delta,
            with(cycle("Delta", 600), vec![run("corp", "Full Import", 550)]),
        ),
        ("full, predicted", &full, Some(cycle("Full", 600))),
        ("delta although full was predicted", &full, Some(cycle("Delta", 600))),
        ("the old server's runs do not count", &delta, Some(cycle("Full", 400))),
        ("half of it", &delta, Some(cycle("Delta", 600)[..3].to_vec())),
        (
            "profiles with other names",
            &delta,
            with(cycle("Delta", 600), vec![run("corp", "Nightly", 900)]),
        ),
        (
            "exports say nothing",
            &delta,
            with(cycle("Delta", 600), vec![run("AAD", "Export", 900)]),
        ),
        ("not read", &delta, None),
    ] {
        shown.push_str(&format!("{name}\n  {}\n", said(f, runs)));
    }
    insta::assert_snapshot!("first-cycle", shown);
}

proptest! {
    #[test]
    fn whatever_matters_must_be_done_by_somebody(method in "[A-Za-z]{0,24}", old: bool, sso: bool, devices: bool) {
        let mut settings = vec![PHS];
        if sso { settings.push(SSO); }
        if devices { settings.push(DEVICES); }
        let f = facts(&method, if old { [1, 1, 614, 0] } else { NEW }, &settings);
        let empty = list(&f, &[]);
        prop_assert!(empty.open_that_matter().count() >= 5);
        let events: Vec<Event> = empty.items.iter().zip(1..)
            .map(|(i, n)| event(n, ATTESTED, "operator:ada", json!({"item": i.id})))
            .collect();
        prop_assert_eq!(list(&f, &events).open_that_matter().count(), 0);
        let mut seen: Vec<&str> = empty.items.iter().map(|i| i.id.as_str()).collect();
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), empty.items.len());
    }
}
