//! The rules' files and the rules' code say the same: ids, severities, sources, scenarios, and what they depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syncferry_shared::inventory::Problem;
use syncferry_shared::plan::Scenario;
use syncferry_shared::rule::{self, Kind, Rule};
use syncferry_shared::verdict::Verdict;
use syncferry_shared::{Finding, Severity};

use super::replaced::replaced;
use super::rules::{Case, rules_of};
use super::world::good;
use crate::plan::rules::facts::{FACTS, Seen};
use crate::plan::{PlanInput, plan};

/// Folders whose code makes findings.
const FOLDERS: [&str; 3] = ["agent/src", "controller/src", "shared/src"];
/// Files that name a rule in a table, away from the finding, and what the names begin with.
const TABLES: [(&str, &[&str]); 8] = [
    ("agent/src/sql/errors/finding.rs", &["sql-"]),
    ("agent/src/sql/ops/accept.rs", &["set-", "medium-"]),
    ("agent/src/sql/ops/after_restore.rs", &["owner-", "login-"]),
    ("agent/src/transfer/error.rs", &["transfer-"]),
    ("agent/src/fence/refusal.rs", &["fence-"]),
    ("agent/src/runner/step.rs", &["host-"]),
    (
        "controller/src/commands/lease/break_glass.rs",
        &["word-", "one-", "no-"],
    ),
    ("shared/src/fence_case.rs", &["fence-"]),
];
/// What begins like a rule there and is the name of a statement.
const STATEMENTS: [&str; 1] = ["fence-write"];
/// Names that are put together from a verdict about a database's identity.
const IDENTITY: &str = "database-";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The production code, by path.
fn code() -> BTreeMap<String, String> {
    fn walk(folder: &Path, base: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().to_string();
            if path.is_dir() && name != "tests" {
                walk(&path, base, found);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") && name != "sample.rs" {
                let text = std::fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_string();
                let relative = path.strip_prefix(base).unwrap().to_string_lossy().replace('\\', "/");
                found.insert(relative, text);
            }
        }
    }
    let (base, mut found) = (root(), BTreeMap::new());
    for folder in FOLDERS {
        walk(&base.join(folder), &base, &mut found);
    }
    assert!(found.len() > 200, "{}", found.len());
    found
}

/// Findings that are made with a literal id: file, id, severity.
fn made(code: &BTreeMap<String, String>) -> Vec<(&str, &str, Severity)> {
    let words = [
        ("Finding::blocker(", Severity::Blocker),
        ("Finding::warning(", Severity::Warning),
        ("Finding::note(", Severity::Note),
    ];
    let mut found = Vec::new();
    for (file, text) in code {
        for (word, severity) in words {
            for rest in text.split(word).skip(1) {
                if let Some(id) = rest.trim_start().strip_prefix('"').and_then(|r| r.split('"').next()) {
                    found.push((file.as_str(), id, severity));
                }
            }
        }
    }
    found
}

fn literals(text: &str) -> impl Iterator<Item = &str> {
    let kebab = |t: &&str| t.contains('-') && t.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    text.split('"').filter(kebab)
}

#[test]
fn every_finding_has_a_file_of_its_severity() {
    let code = code();
    let mut missing = BTreeSet::new();
    for (file, id, severity) in made(&code) {
        match rule::get(id) {
            Some(r) if r.severity.contains(&severity) => {}
            Some(_) => {
                _ = missing.insert(format!(
                    "shared/rules/{id}.toml: severity lacks {} ({file})",
                    severity.as_str()
                ))
            }
            None => _ = missing.insert(format!("shared/rules/{id}.toml is missing ({file})")),
        }
    }
    for (file, prefixes) in TABLES {
        for id in literals(&code[file]).filter(|l| prefixes.iter().any(|p| l.starts_with(p))) {
            if rule::get(id).is_none() && !STATEMENTS.contains(&id) {
                missing.insert(format!("shared/rules/{id}.toml is missing ({file})"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_file_has_code() {
    let code = code();
    let says = |text: &str| code.values().any(|c| c.contains(&format!("\"{text}\"")));
    let without: Vec<&str> = rule::all()
        .filter(|r| !r.is(Kind::Attested))
        .map(|r| r.id.as_str())
        .filter(|id| !says(id) && !id.strip_prefix(IDENTITY).is_some_and(says))
        .collect();
    assert!(without.is_empty(), "{without:?}");
}

fn cases() -> impl Iterator<Item = &'static Case> {
    super::rules::CASES.iter().chain(super::replace_rules::CASES)
}

/// The good world of every scenario.
fn worlds() -> impl Iterator<Item = (Scenario, fn() -> PlanInput)> {
    let first: [(Scenario, fn() -> PlanInput); 2] =
        [(Scenario::MoveToFullSql, good), (Scenario::ReplaceServer, replaced)];
    first.into_iter().chain(super::scenarios::worlds())
}

/// Everything that spoils a scenario's world.
fn breaks(scenario: Scenario) -> impl Iterator<Item = fn(&mut PlanInput)> {
    cases().map(|c| c.breaks).chain(super::scenarios::spoils(scenario))
}

#[test]
fn findings_say_what_their_files_say() {
    let mut wrong = BTreeSet::new();
    for (scenario, world) in worlds() {
        for spoil in breaks(scenario) {
            let mut input = world();
            spoil(&mut input);
            for finding in plan(&input).findings {
                let rule = rule::get(&finding.rule).unwrap_or_else(|| panic!("{}", finding.rule));
                if !rule.severity.contains(&finding.severity) {
                    wrong.insert(format!("{}: severity {:?}", rule.id, finding.severity));
                }
                if !rule.sources.contains(&finding.source) {
                    wrong.insert(format!("{}: source {}", rule.id, finding.source));
                }
                let of_fences = super::replace_rules::OF_FENCES.contains(&rule.id.as_str());
                if !rule.concerns(scenario) && !of_fences {
                    wrong.insert(format!("{} speaks in {}", rule.id, scenario.as_str()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A change of an input, and the name of what it concerns.
type Change = (&'static str, fn(&mut PlanInput));

/// What silences the notes that the good worlds carry.
const SILENCERS: &[Change] = &[
    ("target-engine-newer", |i| {
        let major = i.source_instance().map_or(0, |s| s.major);
        i.target().major = major;
    }),
    ("ad-account-permissions", |i| i.adsync().sign_on_method = None),
    ("only-copy-changes", |i| i.new_server().installer = None),
    ("old-sync-account-stays", |i| i.holder = None),
    ("export-stays-behind", |i| i.holder_exports = false),
    ("lease-not-lost-yet", |i| i.holder.as_mut().unwrap().online = true),
];

/// The agent that reaches the source cannot look, in whatever scenario.
fn blind(input: &mut PlanInput) {
    input.old().problems.push(Problem {
        subject: "database ADSync on localdb".to_string(),
        error: "Login failed. (18456)".to_string(),
        next_step: "Create the login.".to_string(),
    });
}

/// What every plan of its scenario says.
const ALWAYS: [&str; 1] = ["sign-in-tasks"];

/// Every rule of a plan speaks in one case of each of its scenarios, and is silent in another.
#[test]
fn every_rule_fails_somewhere_and_passes_somewhere() {
    let mut wrong = Vec::new();
    let mut of_scenario: BTreeMap<&str, (Scenario, BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for (scenario, world) in worlds() {
        // A scenario may have several worlds.
        let (_, speaks, silent) =
            of_scenario
                .entry(scenario.as_str())
                .or_insert((scenario, BTreeSet::new(), BTreeSet::new()));
        let silencers = SILENCERS.iter().map(|(_, f)| *f).chain([blind as fn(&mut PlanInput)]);
        let breaks: Vec<fn(&mut PlanInput)> = std::iter::once::<fn(&mut PlanInput)>(|_| {})
            .chain(breaks(scenario))
            .chain(silencers)
            .collect();
        for change in breaks {
            let mut input = world();
            change(&mut input);
            for judged in plan(&input).verdicts {
                if judged.verdict == Verdict::Failed {
                    speaks.insert(judged.rule);
                } else {
                    silent.insert(judged.rule);
                }
            }
        }
    }
    for (scenario, speaks, silent) in of_scenario.into_values() {
        for rule in rule::all().filter(|r| r.concerns(scenario) && r.is(Kind::Preflight)) {
            if !speaks.contains(&rule.id) {
                wrong.push(format!("{} never speaks in {}", rule.id, scenario.as_str()));
            }
            if !silent.contains(&rule.id) && !ALWAYS.contains(&rule.id.as_str()) {
                wrong.push(format!("{} is never silent in {}", rule.id, scenario.as_str()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_fact_is_used_and_known() {
    let named: BTreeSet<&str> = rule::all().flat_map(|r| &r.facts).map(String::as_str).collect();
    let known: BTreeSet<&str> = FACTS.iter().map(|f| f.name).collect();
    assert_eq!(named, known);
    assert_eq!(known.len(), FACTS.len());
}

/// In a good world nothing that a gate depends on is unknown, every rule is judged once, and what was looked at is said.
#[test]
fn good_worlds_have_no_open_gates() {
    for (scenario, world) in worlds() {
        let input = world();
        let made = plan(&input);
        let of_it: Vec<&Rule> = rule::all().filter(|r| r.concerns(scenario)).collect();
        assert_eq!(made.verdicts.len(), of_it.len());
        for judged in &made.verdicts {
            let rule = rule::get(&judged.rule).unwrap();
            let gate = judged.verdict == Verdict::Unknown && !rule.gates.is_empty();
            assert!(!gate, "{} of {}: {judged:?}", rule.id, scenario.as_str());
            assert!(!judged.saw.is_empty() || rule.facts.is_empty(), "{}", rule.id);
        }
    }
}

/// Whatever fact a gate depends on becomes unknown: the plan blocks, or a finding of its own asks for a decision.
#[test]
fn an_unknown_that_a_gate_depends_on_blocks() {
    let forget: &[Change] = &[
        ("source-collation", |i| i.source_db().collation = None),
        ("target-collation", |i| i.target().collation.clear()),
        ("connect-shell", |i| i.new_host().desktop_experience = None),
        ("connect-tls", |i| i.new_host().tls12 = None),
        ("connect-dotnet", |i| i.new_host().dotnet_release = None),
        ("connect-os", |i| i.new_host().os_version.clear()),
        ("source-version", |i| i.adsync().connect_version = None),
        ("installer-signature", |i| i.msi().signature_trusted = None),
        ("source-sessions", |i| i.source_db().sessions = None),
        ("service-account", |i| i.request.service_account = None),
        ("installer-version", |i| i.new_server().installer = None),
        ("target-instance", |i| i.sql().instances.clear()),
        ("source-content", |i| i.old().databases.clear()),
    ];
    for (name, change) in forget {
        let mut input = good();
        change(&mut input);
        let fact = FACTS.iter().find(|f| f.name == *name).unwrap();
        assert!(matches!((fact.look)(&input), Seen::Unknown(_)), "{name}");
        let made = plan(&input);
        let asks =
            |f: &Finding| f.severity == Severity::Warning && rule::get(&f.rule).is_some_and(|r| r.unknown_of.is_some());
        assert!(
            made.blocked() || made.findings.iter().any(asks),
            "{name}: {:?}",
            rules_of(&made.findings)
        );
        let of_gate = rule::all().filter(|r| !r.gates.is_empty() && r.facts.iter().any(|f| f == name));
        for rule in of_gate.filter(|r| r.concerns(Scenario::MoveToFullSql)) {
            let judged = made.verdicts.iter().find(|v| v.rule == rule.id).unwrap();
            assert_ne!(judged.verdict, Verdict::Passed, "{} with {name} unknown", rule.id);
        }
    }
}
