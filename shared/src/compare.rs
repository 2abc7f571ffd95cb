//! Two ADSync databases held against each other, part by part: what a staging server must have in common with the active one
//! before it may take over, and what a person reads when it has not.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::finding::Finding;
use crate::inventory::AdsyncFacts;
use crate::sync_config::{ConnectorConfig, PartitionConfig, RuleConfig};

/// The name of this shape.
pub const SCHEMA: &str = "syncferry.comparison.v1";

/// A part of what is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The Connect version.
    Version,
    /// Connectors, and the attributes that each includes.
    Connectors,
    /// Synchronisation rules.
    Rules,
    /// Attribute flows of rules that both have.
    AttributeFlows,
    /// Partitions and containers.
    Filtering,
    /// Optional features and every other setting.
    Features,
    /// Objects per connector.
    Objects,
    /// Pending exports per connector.
    PendingExports,
    /// Full imports and synchronisations that are flagged.
    FullRuns,
}

impl Part {
    /// All of them, in the order in which they are shown.
    pub const ALL: &'static [Part] = &[
        Part::Version,
        Part::Connectors,
        Part::Rules,
        Part::AttributeFlows,
        Part::Filtering,
        Part::Features,
        Part::Objects,
        Part::PendingExports,
        Part::FullRuns,
    ];
    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Part::Version => "Connect version",
            Part::Connectors => "connectors",
            Part::Rules => "synchronisation rules",
            Part::AttributeFlows => "attribute flows",
            Part::Filtering => "filtering",
            Part::Features => "optional features and settings",
            Part::Objects => "objects per connector",
            Part::PendingExports => "pending exports",
            Part::FullRuns => "full imports and synchronisations",
        }
    }
}

/// How much a difference weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// To be expected of two servers that both work.
    Expected,
    /// What one of them does is not what the other one would do.
    Differs,
    /// It cannot be compared.
    Unknown,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The part.
    pub part: Part,
    /// What differs, for example a rule's name.
    pub what: String,
    /// What the first one has; `None` where it has nothing of the kind.
    pub left: Option<String>,
    /// What the second one has.
    pub right: Option<String>,
    /// How much it weighs.
    pub weight: Weight,
}

/// Two databases, held against each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`SCHEMA`].
    pub schema: String,
    /// The first one's name: the active server's.
    pub left: String,
    /// The second one's name: the staging server's.
    pub right: String,
    /// How many things were held against each other, per part.
    pub compared: BTreeMap<Part, usize>,
    /// What differs.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Whether nothing differs that is not to be expected, and nothing is unknown.
    pub fn agrees(&self) -> bool {
        self.differences.iter().all(|d| d.weight == Weight::Expected)
    }

    /// The differences of a part.
    pub fn of(&self, part: Part) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(move |d| d.part == part)
    }

    /// What it says as a finding; `None` when they agree.
    pub fn finding(&self) -> Option<Finding> {
        if self.agrees() {
            return None;
        }
        let telling: Vec<&Difference> = self
            .differences
            .iter()
            .filter(|d| d.weight != Weight::Expected)
            .collect();
        let mut finding = Finding::warning(
            "staging-differs-from-active",
            format!("{} is not configured as {} is", self.right, self.left),
        )
        .source("Microsoft Learn: Microsoft Entra Connect: Staging server and disaster recovery")
        .next("Read the differences (syncferry compare). Whatever is not meant to differ must be mended on the staging server before it ever exports.");
        for d in telling.iter().take(20) {
            finding = finding.saw(
                format!("{}: {}", d.part.title(), d.what),
                format!("{} here, {} there", shown(d.left.as_deref()), shown(d.right.as_deref())),
            );
        }
        if telling.len() > 20 {
            finding = finding.saw("and", format!("{} more", telling.len() - 20));
        }
        Some(finding)
    }

    /// The diff for people: parts in order, `-` is the first one's, `+` the second one's, `?` cannot be compared, `~` is to be
    /// expected.
    pub fn text(&self) -> String {
        let mut out = format!("--- {}\n+++ {}\n", self.left, self.right);
        for part in Part::ALL {
            let compared = self.compared.get(part).copied().unwrap_or(0);
            let differs: Vec<&Difference> = self.of(*part).collect();
            let same = compared.saturating_sub(differs.len());
            let head = match (compared, differs.len()) {
                (0, 0) => format!("@@ {}: nothing to compare\n", part.title()),
                (_, 0) => format!("@@ {}: {same} the same\n", part.title()),
                (_, n) => format!("@@ {}: {same} the same, {n} not\n", part.title()),
            };
            out.push_str(&head);
            for d in differs {
                let sign = match d.weight {
                    Weight::Expected => "~",
                    Weight::Unknown => "?",
                    Weight::Differs => " ",
                };
                out.push_str(&format!("{sign} {}\n", d.what));
                if let Some(left) = &d.left {
                    out.push_str(&format!("-   {left}\n"));
                }
                if let Some(right) = &d.right {
                    out.push_str(&format!("+   {right}\n"));
                }
            }
        }
        out.push_str(if self.agrees() {
            "They agree in everything that is compared.\n"
        } else {
            "They do not agree.\n"
        });
        out
    }
}

fn shown(value: Option<&str>) -> &str {
    value.unwrap_or("nothing")
}

/// Holds two databases against each other. `left` is the active server's.
pub fn compare(left_name: &str, left: &AdsyncFacts, right_name: &str, right: &AdsyncFacts) -> Comparison {
    let mut c = Comparer {
        compared: BTreeMap::new(),
        differences: Vec::new(),
    };
    c.version(left, right);
    c.connectors(left, right);
    c.rules(left, right);
    c.settings(left, right);
    for u in &left.unknown {
        c.unknown(left_name, &u.fact, &u.why);
    }
    for u in &right.unknown {
        c.unknown(right_name, &u.fact, &u.why);
    }
    c.differences.sort_by(|a, b| (a.part, &a.what).cmp(&(b.part, &b.what)));
    Comparison {
        schema: SCHEMA.to_string(),
        left: left_name.to_string(),
        right: right_name.to_string(),
        compared: c.compared,
        differences: c.differences,
    }
}

struct Comparer {
    compared: BTreeMap<Part, usize>,
    differences: Vec<Difference>,
}

impl Comparer {
    fn hold(
        &mut self,
        part: Part,
        what: impl Into<String>,
        left: Option<String>,
        right: Option<String>,
        weight: Weight,
    ) {
        *self.compared.entry(part).or_default() += 1;
        if left != right {
            self.differences.push(Difference {
                part,
                what: what.into(),
                left,
                right,
                weight,
            });
        }
    }

    /// Two facts, either of which may be unknown. Unknown on both sides is no agreement.
    fn facts<T: PartialEq>(
        &mut self,
        part: Part,
        what: &str,
        left: Option<&T>,
        right: Option<&T>,
        weight: Weight,
        show: impl Fn(&T) -> String,
    ) {
        match (left, right) {
            (Some(l), Some(r)) => self.hold(part, what, Some(show(l)), Some(show(r)), weight),
            _ => {
                *self.compared.entry(part).or_default() += 1;
                let text = |v: Option<&T>| Some(v.map_or("unknown".to_string(), &show));
                self.differences.push(Difference {
                    part,
                    what: what.to_string(),
                    left: text(left),
                    right: text(right),
                    weight: Weight::Unknown,
                });
            }
        }
    }

    fn unknown(&mut self, name: &str, fact: &str, why: &str) {
        let part = match fact {
            f if f.contains("rule") => Part::Rules,
            f if f.contains("filter") || f.contains("partition") => Part::Filtering,
            f if f.contains("export") => Part::PendingExports,
            f if f.contains("object") || f.contains("row") => Part::Objects,
            f if f.contains("setting") => Part::Features,
            _ => Part::Connectors,
        };
        self.differences.push(Difference {
            part,
            what: format!("{fact} of {name}"),
            left: Some(format!("unknown: {why}")),
            right: None,
            weight: Weight::Unknown,
        });
        *self.compared.entry(part).or_default() += 1;
    }

    fn version(&mut self, left: &AdsyncFacts, right: &AdsyncFacts) {
        // A staging server that is newer is how Connect is upgraded; an older one could not even open the active one's database.
        let newer = left
            .connect_version
            .zip(right.connect_version)
            .is_some_and(|(l, r)| r > l);
        self.facts(
            Part::Version,
            "version last used",
            left.connect_version.as_ref(),
            right.connect_version.as_ref(),
            if newer { Weight::Expected } else { Weight::Differs },
            ToString::to_string,
        );
    }

    fn connectors(&mut self, left: &AdsyncFacts, right: &AdsyncFacts) {
        for (name, l, r) in pairs(&left.config.connectors, &right.config.connectors, |c| {
            c.name.to_lowercase()
        }) {
            let name = l.or(r).map_or(name, |c| c.name.clone());
            let kind = |c: &ConnectorConfig| match &c.forest {
                Some(forest) => format!("{} of forest {forest}", c.kind),
                None => c.kind.clone(),
            };
            self.hold(Part::Connectors, &name, l.map(kind), r.map(kind), Weight::Differs);
            let (Some(l), Some(r)) = (l, r) else { continue };
            self.attributes(&name, l, r);
            self.filtering(&name, l, r);
            let number = |n: &i64| n.to_string();
            // Two servers import at different moments; a tenth is more than that.
            let near = match (l.objects, r.objects) {
                (Some(a), Some(b)) => (a - b).abs() * 10 <= a.max(b),
                _ => false,
            };
            let weight = if near { Weight::Expected } else { Weight::Differs };
            self.facts(
                Part::Objects,
                &name,
                l.objects.as_ref(),
                r.objects.as_ref(),
                weight,
                number,
            );
            // A staging server keeps what the active one exported long ago; deletes are what a person must look at.
            let deletes = |c: &ConnectorConfig| c.pending.map_or(0, |p| p.deletes);
            let weight = if deletes(r) > deletes(l) {
                Weight::Differs
            } else {
                Weight::Expected
            };
            self.facts(
                Part::PendingExports,
                &name,
                l.pending.as_ref(),
                r.pending.as_ref(),
                weight,
                |p| p.shown(),
            );
            self.facts(
                Part::FullRuns,
                &format!("{name}: full import flagged"),
                l.full_import_required.as_ref(),
                r.full_import_required.as_ref(),
                Weight::Differs,
                yes,
            );
            self.facts(
                Part::FullRuns,
                &format!("{name}: full synchronisation flagged"),
                l.full_sync_required.as_ref(),
                r.full_sync_required.as_ref(),
                Weight::Differs,
                yes,
            );
        }
    }

    fn attributes(&mut self, name: &str, l: &ConnectorConfig, r: &ConnectorConfig) {
        let (Some(left), Some(right)) = (&l.attributes, &r.attributes) else {
            // Not every connector lists its attributes; where neither does, there is nothing to compare.
            if l.attributes != r.attributes {
                self.facts(
                    Part::Connectors,
                    &format!("{name}: attributes"),
                    l.attributes.as_ref(),
                    r.attributes.as_ref(),
                    Weight::Differs,
                    |a| format!("{} attributes", a.len()),
                );
            }
            return;
        };
        self.sets(Part::Connectors, &format!("{name}: included attributes"), left, right);
    }

    fn filtering(&mut self, name: &str, l: &ConnectorConfig, r: &ConnectorConfig) {
        let (Some(left), Some(right)) = (&l.partitions, &r.partitions) else {
            self.facts(
                Part::Filtering,
                &format!("{name}: partitions"),
                l.partitions.as_ref(),
                r.partitions.as_ref(),
                Weight::Differs,
                |p| format!("{} partitions", p.len()),
            );
            return;
        };
        for (_, lp, rp) in pairs(left, right, |p| p.name.to_lowercase()) {
            let title = lp.or(rp).map(|p| p.name.clone()).unwrap_or_default();
            let selected = |p: &PartitionConfig| match p.selected {
                Some(true) => "selected".to_string(),
                Some(false) => "not selected".to_string(),
                None => "selected or not is unknown".to_string(),
            };
            self.hold(
                Part::Filtering,
                format!("{name}: {title}"),
                lp.map(selected),
                rp.map(selected),
                Weight::Differs,
            );
            if let (Some(lp), Some(rp)) = (lp, rp) {
                self.sets(
                    Part::Filtering,
                    &format!("{name}: containers of {title}"),
                    &lp.filter,
                    &rp.filter,
                );
            }
        }
    }

    /// Two lists: only what one of them has and the other has not is shown.
    fn sets(&mut self, part: Part, what: &str, left: &[String], right: &[String]) {
        let only = |a: &[String], b: &[String]| {
            let b: BTreeSet<&String> = b.iter().collect();
            let only: Vec<&str> = a.iter().filter(|x| !b.contains(x)).map(String::as_str).collect();
            (!only.is_empty()).then(|| format!("only here: {}", only.join("; ")))
        };
        self.hold(part, what, only(left, right), only(right, left), Weight::Differs);
    }

    fn rules(&mut self, left: &AdsyncFacts, right: &AdsyncFacts) {
        let (Some(l), Some(r)) = (&left.config.rules, &right.config.rules) else {
            self.facts(
                Part::Rules,
                "all rules",
                left.config.rules.as_ref(),
                right.config.rules.as_ref(),
                Weight::Differs,
                |r| format!("{} rules", r.len()),
            );
            return;
        };
        let key = |r: &RuleConfig| {
            format!(
                "{}\u{1}{}\u{1}{}",
                r.connector,
                r.direction.clone().unwrap_or_default(),
                r.name
            )
            .to_lowercase()
        };
        for (_, l, r) in pairs(l, r, key) {
            let Some(any) = l.or(r) else { continue };
            let what = format!("{} ({})", any.name, any.connector);
            let facts = |r: &RuleConfig| {
                let mut parts = vec![match r.standard {
                    Some(true) => "standard".to_string(),
                    Some(false) => "custom".to_string(),
                    None => "standard or custom is unknown".to_string(),
                }];
                parts.push(
                    r.precedence
                        .map_or("no precedence".to_string(), |p| format!("precedence {p}")),
                );
                if r.disabled == Some(true) {
                    parts.push("disabled".to_string());
                }
                parts.join(", ")
            };
            self.hold(Part::Rules, &what, l.map(facts), r.map(facts), Weight::Differs);
            let (Some(l), Some(r)) = (l, r) else { continue };
            match (&l.flows, &r.flows) {
                (Some(lf), Some(rf)) if lf != rf => self.sets(Part::AttributeFlows, &what, lf, rf),
                _ => {
                    // The flows are the same or not understood: the rule's whole text decides.
                    let text = |d: &Option<String>| d.as_ref().map(|d| format!("text {}", &d[..d.len().min(16)]));
                    self.hold(
                        Part::AttributeFlows,
                        &what,
                        text(&l.digest),
                        text(&r.digest),
                        Weight::Differs,
                    );
                }
            }
        }
    }

    fn settings(&mut self, left: &AdsyncFacts, right: &AdsyncFacts) {
        let (l, r) = (&left.config.settings, &right.config.settings);
        let names: BTreeSet<&String> = l.keys().chain(r.keys()).collect();
        for name in names {
            // One of them is in staging mode: that is what it is for. The version has a part of its own.
            let weight = match name.as_str() {
                "Microsoft.Synchronize.StagingMode"
                | "Microsoft.OptionalFeature.AutoUpgradeState"
                | "Microsoft.OptionalFeature.AutoUpgradeSuspensionReason"
                | "Microsoft.SystemInformation.MachineRole" => Weight::Expected,
                "Microsoft.Synchronize.ServerConfigurationVersion" => continue,
                _ => Weight::Differs,
            };
            self.hold(Part::Features, name, l.get(name).cloned(), r.get(name).cloned(), weight);
        }
    }
}

fn yes(b: &bool) -> String {
    if *b { "yes" } else { "no" }.to_string()
}

/// What both lists have under a key, side by side. Things with one key are counted apart.
fn pairs<'a, T>(
    left: &'a [T],
    right: &'a [T],
    key: impl Fn(&T) -> String,
) -> Vec<(String, Option<&'a T>, Option<&'a T>)> {
    let numbered = |all: &'a [T]| {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut map: BTreeMap<(String, usize), &'a T> = BTreeMap::new();
        for item in all {
            let k = key(item);
            let n = seen.entry(k.clone()).or_default();
            map.insert((k, *n), item);
            *n += 1;
        }
        map
    };
    let (l, r) = (numbered(left), numbered(right));
    let keys: BTreeSet<&(String, usize)> = l.keys().chain(r.keys()).collect();
    keys.into_iter()
        .map(|k| (k.0.clone(), l.get(k).copied(), r.get(k).copied()))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connect_version::ConnectVersion;
    use crate::sync_config::{PendingExports, Unknown};

    fn rule(name: &str, precedence: i64, flows: &[&str]) -> RuleConfig {
        RuleConfig {
            name: name.into(),
            connector: "corp.contoso.com".into(),
            direction: Some("in".into()),
            precedence: Some(precedence),
            disabled: Some(false),
            standard: Some(precedence >= 100),
            flows: Some(flows.iter().map(ToString::to_string).collect()),
            digest: Some(crate::token::digest(flows.join("\n").as_bytes())),
        }
    }

    fn facts() -> AdsyncFacts {
        let mut facts = AdsyncFacts {
            connect_version: Some(ConnectVersion([2, 5, 190, 0])),
            ..AdsyncFacts::default()
        };
        facts.config.connectors = vec![ConnectorConfig {
            name: "corp.contoso.com".into(),
            kind: "AD".into(),
            forest: Some("corp.contoso.com".into()),
            objects: Some(1000),
            pending: Some(PendingExports::default()),
            full_import_required: Some(false),
            full_sync_required: Some(false),
            attributes: Some(vec!["mail".into(), "sn".into()]),
            partitions: Some(vec![PartitionConfig {
                name: "DC=corp,DC=contoso,DC=com".into(),
                selected: Some(true),
                filter: vec!["- OU=Old,DC=corp".into()],
            }]),
            ..ConnectorConfig::default()
        }];
        facts.config.rules = Some(vec![
            rule("In from AD - User Join", 100, &["mail <- mail"]),
            rule("Contoso - user custom", 90, &["sn <- sn", "title <- title"]),
        ]);
        let set = |facts: &mut AdsyncFacts, n: &str, v: &str| facts.config.settings.insert(n.into(), v.into());
        set(&mut facts, "Microsoft.OptionalFeature.PasswordWriteback", "True");
        set(&mut facts, "Microsoft.Synchronize.StagingMode", "False");
        facts
    }

    #[test]
    fn a_copy_agrees_although_it_stages() {
        let mut copy = facts();
        copy.config
            .settings
            .insert("Microsoft.Synchronize.StagingMode".into(), "True".into());
        copy.config.connectors[0].objects = Some(1010);
        copy.connect_version = Some(ConnectVersion([2, 6, 91, 0]));
        let c = compare("SQL01/ADSync", &facts(), "SQL02/ADSync", &copy);
        assert!(c.agrees(), "{}", c.text());
        assert_eq!(c.finding(), None);
        assert_eq!(c.differences.len(), 3);
    }

    #[test]
    fn every_part_is_told_apart() {
        let mut other = facts();
        other.connect_version = Some(ConnectVersion([2, 4, 129, 0]));
        let connector = &mut other.config.connectors[0];
        connector.objects = Some(400);
        connector.pending = Some(PendingExports {
            deletes: 600,
            ..PendingExports::default()
        });
        connector.full_sync_required = Some(true);
        connector.attributes = Some(vec!["mail".into(), "title".into()]);
        if let Some(p) = connector.partitions.as_mut() {
            p[0].filter.clear();
        }
        let rules = other.config.rules.as_mut().unwrap();
        rules[0].precedence = Some(101);
        rules[1].flows = Some(vec!["sn <- surname".into(), "title <- title".into()]);
        rules[1].digest = Some("x".into());
        rules.push(rule("Contoso - contact", 91, &["mail <- mail"]));
        other
            .config
            .settings
            .insert("Microsoft.OptionalFeature.PasswordWriteback".into(), "False".into());
        other.unknown.push(Unknown {
            fact: "global settings".into(),
            why: "there is no procedure dbo.mms_get_globalsettings".into(),
        });
        let c = compare("SQL01/ADSync", &facts(), "SQL02/ADSync", &other);
        insta::assert_snapshot!("comparison", c.text());
        for part in Part::ALL {
            assert!(c.of(*part).next().is_some(), "{part:?}");
        }
        insta::assert_snapshot!(
            "comparison_finding",
            serde_json::to_string_pretty(&c.finding().unwrap()).unwrap()
        );
    }

    #[test]
    fn unknown_is_no_agreement() {
        let mut blind = facts();
        blind.config.rules = None;
        blind.config.connectors[0].objects = None;
        let c = compare("a", &blind, "b", &blind.clone());
        assert!(!c.agrees());
        assert_eq!(c.differences.iter().filter(|d| d.weight == Weight::Unknown).count(), 2);
    }

    proptest! {
        /// A change to one fact is always seen, in whichever direction it is looked at.
        #[test]
        fn a_change_is_seen_from_both_sides(which in 0usize..8, text in "new [a-z]{1,8}") {
            let mut other = facts();
            match which {
                0 => other.config.connectors[0].name.push_str(&text),
                1 => other.config.connectors[0].attributes.as_mut().unwrap().push(text.clone()),
                2 => other.config.connectors[0].partitions.as_mut().unwrap()[0].filter.push(text.clone()),
                3 => other.config.rules.as_mut().unwrap()[1].name.push_str(&text),
                4 => other.config.rules.as_mut().unwrap()[0].flows.as_mut().unwrap().push(text.clone()),
                5 => { other.config.settings.insert(text.clone(), text.clone()); }
                6 => other.config.rules.as_mut().unwrap()[0].digest = Some(text.clone()),
                _ => other.config.connectors[0].forest = Some(text.clone()),
            }
            prop_assert!(!compare("a", &facts(), "b", &other).agrees());
            prop_assert!(!compare("b", &other, "a", &facts()).agrees());
            prop_assert!(compare("a", &other, "b", &other).agrees());
        }
    }
}
