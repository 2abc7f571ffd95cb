//! What an installation made of a database: the new server's held against what was read of the source before the backup. What a
//! newer Connect version changes by itself is told apart from what nobody meant.

use std::collections::BTreeSet;

use crate::compare::{Comparison, Difference, Part, Weight, compare};
use crate::finding::Finding;
use crate::inventory::AdsyncFacts;

/// Lines of a finding.
const LINES: usize = 20;

/// Holds the new server's database against the source.
pub fn installed(before: &AdsyncFacts, after: &AdsyncFacts) -> Comparison {
    let mut found = compare(
        "the source before the backup",
        before,
        "the new server's database",
        after,
    );
    let newer = before
        .connect_version
        .zip(after.connect_version)
        .is_some_and(|(b, a)| a > b);
    if newer {
        let standard = standard_rules(after);
        for d in found.differences.iter_mut().filter(|d| by_the_version(d, &standard)) {
            d.weight = Weight::Expected;
        }
    }
    found
}

/// Microsoft's own rules, as a comparison names them.
fn standard_rules(facts: &AdsyncFacts) -> BTreeSet<String> {
    let rules = facts.config.rules.iter().flatten();
    rules
        .filter(|r| r.standard == Some(true))
        .map(|r| format!("{} ({})", r.name, r.connector))
        .collect()
}

/// Whether a newer version does this by itself: it adds and changes its own rules, and flags full runs. A rule that is gone, and
/// one that somebody wrote, are another matter.
fn by_the_version(d: &Difference, standard: &BTreeSet<String>) -> bool {
    match d.part {
        Part::Rules | Part::AttributeFlows => standard.contains(&d.what),
        Part::FullRuns => d.weight == Weight::Differs,
        _ => false,
    }
}

/// What a person must look at; `None` where nothing differs that is not to be expected. What cannot be compared is no difference.
pub fn finding(found: &Comparison) -> Option<Finding> {
    let differs: Vec<&Difference> = found
        .differences
        .iter()
        .filter(|d| d.weight == Weight::Differs)
        .collect();
    if differs.is_empty() {
        return None;
    }
    let mut finding = Finding::warning("installed-differs", "The new server's database is not configured as the source was")
        .next("Read the differences. Whatever nobody meant to change must be mended on the new server while it is in staging mode; the old server still has it.");
    for d in differs.iter().take(LINES) {
        let side = |s: &Option<String>| s.clone().unwrap_or_else(|| "nothing".to_string());
        finding = finding.saw(
            format!("{}: {}", d.part.title(), d.what),
            format!("{} before, {} now", side(&d.left), side(&d.right)),
        );
    }
    if differs.len() > LINES {
        finding = finding.saw("and", format!("{} more", differs.len() - LINES));
    }
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect_version::ConnectVersion;
    use crate::sync_config::{ConnectorConfig, PendingExports, RuleConfig, SyncConfig};

    fn rule(name: &str, standard: bool) -> RuleConfig {
        RuleConfig {
            name: name.into(),
            connector: "corp".into(),
            direction: Some("in".into()),
            precedence: Some(100),
            standard: Some(standard),
            flows: Some(vec!["mail <- mail".into()]),
            ..RuleConfig::default()
        }
    }

    fn facts(version: [u32; 4]) -> AdsyncFacts {
        AdsyncFacts {
            connect_version: Some(ConnectVersion(version)),
            config: SyncConfig {
                connectors: vec![ConnectorConfig {
                    name: "corp".into(),
                    kind: "AD".into(),
                    objects: Some(1000),
                    pending: Some(PendingExports::default()),
                    full_import_required: Some(false),
                    full_sync_required: Some(false),
                    partitions: Some(vec![]),
                    ..ConnectorConfig::default()
                }],
                rules: Some(vec![
                    rule("In from AD - User Join", true),
                    rule("In from AD - Ours", false),
                ]),
                settings: [("Microsoft.Synchronize.StagingMode".to_string(), "False".to_string())].into(),
                ..SyncConfig::default()
            },
            ..AdsyncFacts::default()
        }
    }

    #[test]
    fn staging_mode_is_the_point_of_it() {
        let (before, mut after) = (facts([2, 5, 79, 0]), facts([2, 5, 79, 0]));
        after
            .config
            .settings
            .insert("Microsoft.Synchronize.StagingMode".into(), "True".into());
        assert_eq!(finding(&installed(&before, &after)), None);
    }

    #[test]
    fn a_newer_version_changes_its_own_and_nothing_else() {
        let before = facts([2, 5, 79, 0]);
        let change = |after: &mut AdsyncFacts| {
            let rules = after.config.rules.as_mut().unwrap();
            rules[0].flows = Some(vec!["mail <- proxyAddresses".into()]);
            rules.push(rule("In from AD - New", true));
            after.config.connectors[0].full_sync_required = Some(true);
        };
        let (mut newer, mut same) = (facts([2, 6, 91, 0]), facts([2, 5, 79, 0]));
        change(&mut newer);
        change(&mut same);
        assert_eq!(finding(&installed(&before, &newer)), None);
        let told = finding(&installed(&before, &same)).unwrap();
        assert_eq!(
            (told.rule.as_str(), told.evidence.len()),
            ("installed-differs", 3),
            "{told:?}"
        );
        // A rule of the customer's, one that is gone, a filter: never by the version.
        let rules = newer.config.rules.as_mut().unwrap();
        rules[1].precedence = Some(7);
        rules.remove(0);
        newer.config.connectors[0].attributes = Some(vec!["mail".into()]);
        newer
            .config
            .settings
            .insert("Microsoft.OptionalFeature.GroupWriteBack".into(), "True".into());
        let told = finding(&installed(&before, &newer)).unwrap();
        insta::assert_snapshot!(
            "installed-differs",
            told.evidence
                .iter()
                .map(|e| format!("{}\n  {}\n", e.looked_at, e.found))
                .collect::<String>()
        );
    }

    #[test]
    fn what_cannot_be_compared_is_no_difference() {
        let before = facts([2, 5, 79, 0]);
        let mut after = facts([2, 5, 79, 0]);
        after.config.rules = None;
        let found = installed(&before, &after);
        assert!(!found.agrees());
        assert_eq!(finding(&found), None);
    }
}
