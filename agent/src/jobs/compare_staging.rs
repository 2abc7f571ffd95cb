//! `verify`: a staging server's database against the active one's, as both say of themselves: connectors, rules, features,
//! objects, pending exports. What differs is shown as a diff that a person reads; it never fails the job, because a staging
//! server that has begun to synchronise differs in numbers all the time.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::inventory::AdsyncFacts;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::CompareStagingTask;

use super::common::{OURS, minutes};
use super::look::{Look, LooksOnly};
use super::read_adsync::read;
use crate::runner::{Cx, Job, StepError};

/// The job.
pub(super) fn job(task: &CompareStagingTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(Compare(task.clone())))], |_| Outcome::default())
}

struct Compare(CompareStagingTask);

#[async_trait]
impl Look for Compare {
    const NAME: &'static str = "compare-with-active";

    fn budget(&self) -> Duration {
        minutes(15)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let staging = read(cx, &self.0.database).await?;
        let lines = difference(&self.0.active, &staging);
        for (kind, found) in [(Kind::Configuration, "configuration"), (Kind::Numbers, "numbers")] {
            let of: Vec<&Line> = lines.iter().filter(|l| l.kind == kind).collect();
            cx.saw(
                format!("{found} that differ"),
                if of.is_empty() {
                    "none".to_string()
                } else {
                    of.len().to_string()
                },
            );
        }
        cx.findings.extend(told(&lines));
        Ok(json!({"differences": lines.len()}))
    }
}

/// What kind of thing differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What a person configured: it should be the same.
    Configuration,
    /// What moves while servers synchronise.
    Numbers,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) kind: Kind,
    pub(super) what: String,
    pub(super) active: String,
    pub(super) staging: String,
}

/// What differs, as findings that a person reads.
pub(super) fn told(lines: &[Line]) -> Vec<Finding> {
    let of = |kind: Kind| lines.iter().filter(move |l| l.kind == kind).take(40);
    let mut found = Vec::new();
    if of(Kind::Configuration).next().is_some() {
        let mut f = Finding::warning(
            "staging-differs",
            "The staging server is configured differently from the active one",
        );
        for l in of(Kind::Configuration) {
            f = f.saw(&l.what, format!("active: {}; staging: {}", l.active, l.staging));
        }
        found.push(f.source("Microsoft Learn: a staging server must have the configuration of the active one").next(
            "Find out which of the two is right, and make the other one the same before this one becomes active.",
        ));
    }
    if of(Kind::Numbers).next().is_some() {
        let mut f = Finding::note(
            "staging-counts-differ",
            "Numbers of the staging server differ from the active one's",
        );
        for l in of(Kind::Numbers) {
            f = f.saw(&l.what, format!("active: {}; staging: {}", l.active, l.staging));
        }
        found.push(f.source(OURS).next(
            "Small differences are two servers at different moments. Large ones: look at the run profiles of both.",
        ));
    }
    found
}

/// What differs between two databases, as both say of themselves.
pub(super) fn difference(active: &AdsyncFacts, staging: &AdsyncFacts) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut differ = |kind: Kind, what: String, a: String, b: String| {
        if a != b {
            lines.push(Line {
                kind,
                what,
                active: a,
                staging: b,
            });
        }
    };
    let list = |names: &[String]| {
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.sort_unstable();
        names.join(", ")
    };
    let number = |n: Option<i64>| n.map_or("unknown".to_string(), |n| n.to_string());
    let text = |t: Option<&String>| t.cloned().unwrap_or_else(|| "not set".to_string());
    let configured = Kind::Configuration;
    differ(
        configured,
        "connectors".into(),
        list(&active.counts.connectors),
        list(&staging.counts.connectors),
    );
    differ(
        configured,
        "forests".into(),
        list(&active.forests),
        list(&staging.forests),
    );
    differ(
        configured,
        "synchronisation rules".into(),
        number(active.counts.rules),
        number(staging.counts.rules),
    );
    differ(
        configured,
        "rules of your own".into(),
        number(active.custom_rules),
        number(staging.custom_rules),
    );
    differ(
        configured,
        "sign-in method".into(),
        text(active.sign_on_method.as_ref()),
        text(staging.sign_on_method.as_ref()),
    );
    let features: BTreeSet<&String> = active.features.keys().chain(staging.features.keys()).collect();
    for name in features {
        differ(
            configured,
            format!("feature {name}"),
            text(active.features.get(name)),
            text(staging.features.get(name)),
        );
    }
    let tables = |f: &AdsyncFacts, t: &str| number(f.counts.rows.get(t).copied());
    for (table, what) in [
        ("dbo.mms_connectorspace", "objects in connector spaces"),
        ("dbo.mms_metaverse", "objects in the metaverse"),
    ] {
        differ(
            Kind::Numbers,
            what.into(),
            tables(active, table),
            tables(staging, table),
        );
    }
    let pending: BTreeSet<&String> = active
        .counts
        .pending_exports
        .keys()
        .chain(staging.counts.pending_exports.keys())
        .collect();
    for name in pending {
        let of = |f: &AdsyncFacts| f.counts.pending_exports.get(name).copied().unwrap_or(0).to_string();
        differ(
            Kind::Numbers,
            format!("pending exports to {name}"),
            of(active),
            of(staging),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_and_numbers_are_told_apart() {
        let mut active = AdsyncFacts::default();
        active.counts.connectors = vec!["contoso.lab".into(), "AAD".into()];
        active.counts.rules = Some(150);
        active.counts.rows.insert("dbo.mms_metaverse".into(), 700);
        active.features.insert("PasswordHashSync".into(), "True".into());
        let mut staging = active.clone();
        staging.counts.connectors.reverse();
        assert!(difference(&active, &staging).is_empty(), "order means nothing");
        staging.features.clear();
        staging.counts.rows.insert("dbo.mms_metaverse".into(), 701);
        staging.counts.pending_exports.insert("AAD".into(), 3);
        let lines = difference(&active, &staging);
        let found: Vec<(Kind, &str)> = lines.iter().map(|l| (l.kind, l.what.as_str())).collect();
        assert_eq!(
            found,
            [
                (Kind::Configuration, "feature PasswordHashSync"),
                (Kind::Numbers, "objects in the metaverse"),
                (Kind::Numbers, "pending exports to AAD"),
            ]
        );
        let rules: Vec<String> = told(&lines).into_iter().map(|f| f.rule).collect();
        assert_eq!(rules, ["staging-differs", "staging-counts-differ"]);
    }
}
