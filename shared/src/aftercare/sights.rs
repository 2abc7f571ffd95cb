//! What agents see of the items: the new database, and Connect on the new server.

use std::collections::{BTreeMap, BTreeSet};

use super::{CareFacts, Sight};
use crate::inventory::{AdsyncFacts, ConnectFacts};

/// What agents see of the items: the new database, and Connect on the new server. What cannot be told is left out.
pub fn sights(
    f: &CareFacts,
    now: Option<(&str, &AdsyncFacts, bool)>,
    server: Option<(&str, &ConnectFacts)>,
) -> Vec<Sight> {
    let mut out = Vec::new();
    if let Some((by, connect)) = server
        && let Some(s) = &connect.scheduler
    {
        out.push(Sight {
            item: "staging-mode".into(),
            holds: Some(s.staging_mode),
            found: format!("Get-ADSyncScheduler: StagingModeEnabled {}", word(s.staging_mode)),
            by: format!("agent:{by}"),
        });
    }
    let Some((by, after, in_group)) = now else { return out };
    let by = format!("agent:{by}");
    let mut saw = |item: &str, holds: Option<bool>, found: String| {
        out.push(Sight {
            item: item.to_string(),
            holds,
            found,
            by: by.clone(),
        });
    };
    let before: BTreeMap<String, String> = f.before.as_ref().map(|b| b.config.settings.clone()).unwrap_or_default();
    let same = |names: &[&str]| -> Option<(bool, String)> {
        let mut holds = true;
        let mut found = Vec::new();
        for name in names {
            let (was, is) = (before.get(*name), after.config.settings.get(*name));
            // A setting that nobody had is nobody's loss; one that cannot be read any more is unknown.
            let Some(was) = was else { continue };
            let is = is?;
            holds &= was.eq_ignore_ascii_case(is);
            let short = name.rsplit('.').next().unwrap_or(name);
            found.push(format!("{short} was {was}, is {is}"));
        }
        (!found.is_empty()).then(|| (holds, found.join("; ")))
    };
    const METHOD: &str = "Microsoft.UserSignIn.SignOnMethod";
    for item in ["pass-through-sign-in", "ad-fs-sign-in", "ping-federate-sign-in"] {
        // Whether the wizard was run on this server cannot be told from a value that came with the backup; that it is another
        // one can.
        if let Some((holds, found)) = same(&[METHOD]) {
            saw(item, (!holds).then_some(false), found);
        }
    }
    if let Some((holds, found)) = same(&["Microsoft.UserSignIn.DesktopSsoEnabled"]) {
        saw("seamless-single-sign-on", (!holds).then_some(false), found);
    }
    let passwords = [
        "Microsoft.OptionalFeature.PasswordHashSync",
        "Microsoft.OptionalFeature.PasswordWriteback",
    ];
    if let Some((holds, found)) = same(&passwords) {
        saw("password-options", Some(holds), found);
    }
    if let Some((holds, found)) = same(&["Microsoft.OptionalFeature.DeviceWriteBack"]) {
        saw("device-options", (!holds).then_some(false), found);
    }
    let threshold = [
        "Microsoft.OptionalFeature.ExportDeletionThreshold",
        "Microsoft.OptionalFeature.ExportDeletionThresholdValue",
    ];
    if let Some((holds, found)) = same(&threshold) {
        saw("deletion-threshold", Some(holds), found);
    }
    if let Some((holds, found)) = synchronised(f, after) {
        saw("initial-sync", Some(holds), found);
    }
    if let Some((holds, found)) = first_cycle(f, after) {
        saw("first-cycle", holds, found);
    }
    if f.leaves_group {
        let found = if in_group {
            "it is in a group"
        } else {
            "it is in no group"
        };
        saw("availability-group", Some(in_group), found.to_string());
    }
    out
}

/// Whether every connector has a completed run since the installation, and no full run is flagged.
fn synchronised(f: &CareFacts, after: &AdsyncFacts) -> Option<(bool, String)> {
    let since = f.installed_at?;
    if after.config.connectors.is_empty() {
        return None;
    }
    let late: Vec<&str> = after
        .config
        .connectors
        .iter()
        .filter(|c| c.last_sync.is_none_or(|at| at < since))
        .map(|c| c.name.as_str())
        .collect();
    let flagged = &after.full_run_required;
    let mut found = vec![if late.is_empty() {
        format!("every connector has a completed run since {since}")
    } else {
        format!("no completed run since {since}: {}", late.join(", "))
    }];
    if !flagged.is_empty() {
        found.push(format!("a full run is flagged: {}", flagged.join(", ")));
    }
    if after.run_in_progress == Some(true) {
        found.push("a run is in progress".to_string());
    }
    let done = late.is_empty() && flagged.is_empty() && after.run_in_progress != Some(true);
    Some((done, found.join("; ")))
}

/// How much a run profile reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Delta,
    Full,
}

/// What a run profile does, by its name: the history has nothing else that is documented. Profiles that somebody named otherwise
/// stay unknown.
fn profile(name: &str) -> Option<(&'static str, Reach)> {
    let name = name.to_ascii_lowercase();
    let reach = match (name.starts_with("delta"), name.starts_with("full")) {
        (true, _) => Reach::Delta,
        (_, true) => Reach::Full,
        _ => return None,
    };
    let what = match (name.contains("import"), name.contains("sync")) {
        (true, false) => "import",
        (false, true) => "synchronisation",
        _ => return None,
    };
    Some((what, reach))
}

/// Whether the new server went on from where the old one stopped: the first import and the first synchronisation of each connector
/// since the installation began. `None` where the agent does not say which runs there were.
fn first_cycle(f: &CareFacts, after: &AdsyncFacts) -> Option<(Option<bool>, String)> {
    let (runs, since) = (after.runs.as_ref()?, f.installing_since?);
    let mut runs: Vec<_> = runs.iter().filter(|r| r.first >= since).collect();
    runs.sort_by_key(|r| r.first);
    let mut connectors: BTreeSet<&str> = after.config.connectors.iter().map(|c| c.name.as_str()).collect();
    connectors.extend(runs.iter().map(|r| r.connector.as_str()));
    if connectors.is_empty() {
        return None;
    }
    let (mut full, mut missing, mut strange) = (Vec::new(), Vec::new(), Vec::new());
    for connector in connectors {
        let of_it = || runs.iter().filter(|r| r.connector == connector);
        for what in ["import", "synchronisation"] {
            let first = of_it().find_map(|r| profile(&r.profile).filter(|(w, _)| *w == what));
            match first {
                Some((_, Reach::Delta)) => {}
                Some((_, Reach::Full)) => full.push(format!("full {what} of {connector}")),
                None => missing.push(format!("{what} of {connector}")),
            }
        }
        let named = |r: &&&crate::inventory::RunFacts| {
            profile(&r.profile).is_none() && !r.profile.eq_ignore_ascii_case("export")
        };
        strange.extend(of_it().filter(named).map(|r| format!("'{}' of {connector}", r.profile)));
    }
    Some(match (full.is_empty(), f.predicts_full()) {
        (false, true) => (Some(true), format!("as the plan predicted: {}", full.join(", "))),
        (false, false) => (
            Some(false),
            format!("nobody predicted it, and it came first: {}", full.join(", ")),
        ),
        (true, _) if !strange.is_empty() => (
            None,
            format!(
                "whether these are delta or full runs is not known: {}",
                strange.join(", ")
            ),
        ),
        (true, _) if !missing.is_empty() => (None, format!("not seen yet since {since}: {}", missing.join(", "))),
        (true, _) => (
            Some(true),
            format!("the first import and the first synchronisation of every connector since {since} were delta runs"),
        ),
    })
}

fn word(b: bool) -> &'static str {
    if b { "True" } else { "False" }
}
