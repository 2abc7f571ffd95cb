//! `verify` before a server becomes active: what it would export is counted, by connector and operation, and a person approves it
//! by name. What is approved is what was shown: when it changes, the gate shows it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::card::{Card, Field};
use syncferry_shared::exports::ExportList;
use syncferry_shared::inventory::AdsyncFacts;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::ReviewExportsTask;

use super::common::{OURS, Server, minutes};
use super::compare_staging::tell;
use super::look::{Look, LooksOnly};
use super::read_adsync::read;
use crate::adsync::PendingExports;
use crate::journal::Sight;
use crate::runner::{Cx, Job, StepError};

/// How long a cycle that runs is waited for: less than the step may take.
const CYCLE: Duration = Duration::from_secs(10 * 60);
/// The limit that Connect has by itself.
const DEFAULT_THRESHOLD: i64 = 500;

/// The job.
pub(super) fn job(task: &ReviewExportsTask) -> Job {
    Job::new(
        vec![
            Box::new(LooksOnly(InitialSync(task.clone()))),
            Box::new(LooksOnly(Review(task.clone()))),
        ],
        |cx| Outcome {
            adsync: cx
                .evidence("initial-sync")
                .cloned()
                .and_then(|v| serde_json::from_value(v).ok()),
            ..Outcome::default()
        },
    )
}

/// A server that has not synchronised yet would export nonsense.
struct InitialSync(ReviewExportsTask);

#[async_trait]
impl Look for InitialSync {
    const NAME: &'static str = "initial-sync";

    fn budget(&self) -> Duration {
        minutes(15)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut facts = read(cx, &self.0.database).await?;
        // A cycle ends by itself, and there is one every half an hour.
        let began = Instant::now();
        while facts.run_in_progress == Some(true) && began.elapsed() < CYCLE {
            cx.sleep(cx.env.pace.look_again).await?;
            facts = read(cx, &self.0.database).await?;
        }
        if let Some(finding) = not_ready(&self.0.server, &facts) {
            return Err(finding.into());
        }
        cx.saw(
            "last synchronisation",
            facts.last_sync.map_or("unknown".to_string(), |at| at.rfc3339()),
        );
        match &self.0.active {
            Some(active) => {
                tell(cx, active, &facts);
            }
            None => cx.saw("differences from the active server", "unknown: it is gone"),
        }
        Ok(serde_json::to_value(facts).unwrap_or_default())
    }
}

/// Why it must not become active yet.
fn not_ready(server: &str, facts: &AdsyncFacts) -> Option<Finding> {
    let refuse = |title: String, what: &str, found: String| {
        Finding::blocker("initial-sync-not-done", title)
            .saw(what, found)
            .source("Microsoft Learn: Microsoft Entra Connect: staging server and disaster recovery")
            .next(format!(
                "On {server}: Start-ADSyncSyncCycle -PolicyType Initial, wait until it ends without errors, then apply the migration again."
            ))
    };
    if facts.run_in_progress == Some(true) {
        return Some(refuse(
            format!("A synchronisation run is in progress on {server}"),
            "mms_run_history",
            "is_run_complete = 0".to_string(),
        ));
    }
    if !facts.full_run_required.is_empty() {
        return Some(refuse(
            format!("{server} has not done its full import and synchronisation yet"),
            "full import or synchronisation required",
            facts.full_run_required.join(", "),
        ));
    }
    if facts.last_sync.is_none() {
        return Some(refuse(
            format!("{server} has never been seen to synchronise"),
            "run history and connector space",
            "nothing".to_string(),
        ));
    }
    None
}

struct Review(ReviewExportsTask);

#[async_trait]
impl Look for Review {
    const NAME: &'static str = "review-exports";

    fn budget(&self) -> Duration {
        minutes(7 * 24 * 60)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let facts: AdsyncFacts = cx.evidence_as("initial-sync")?;
        let threshold = threshold(&facts.features);
        let shown = self.pending(cx).await?;
        let title = format!("Review and approve what {} will export", self.0.server);
        let mut gate = cx
            .gate(
                &title,
                &[card(&self.0.server, &shown, threshold, self.0.exports.as_ref())],
            )
            .await?;
        let text = summary(&shown);
        loop {
            gate.saw(cx, Sight::Waiting, &format!("to be approved: {text}")).await?;
            gate.next_look(cx, cx.env.pace.look_again).await?;
            if !gate.claimed() {
                continue;
            }
            let now = self.pending(cx).await?;
            if now != shown {
                // Nobody approved what they did not see.
                return Err(changed(&shown, &now).into());
            }
            gate.saw(
                cx,
                Sight::Proven,
                &format!("approved by the operator who completed the gate: {text}"),
            )
            .await?;
            for (connector, by) in &shown.by_connector {
                cx.saw(format!("approved exports to {connector}"), line(by));
                let listed = self.0.exports.as_ref().and_then(|l| l.connectors.get(connector));
                for (operation, exports) in listed.into_iter().flatten() {
                    cx.saw(format!("approved exports to {connector}, {operation}"), exports.shown());
                }
            }
            cx.saw("deletion threshold", words(threshold));
            return Ok(json!({"approved": text}));
        }
    }
}

impl Review {
    async fn pending(&self, cx: &Cx) -> Result<PendingExports, StepError> {
        let mut server = Server::open(cx, &self.0.database.address.instance).await?;
        let found = crate::adsync::pending_exports(&mut server.work, &self.0.database.address.database).await?;
        server.close().await;
        Ok(found)
    }
}

fn changed(shown: &PendingExports, now: &PendingExports) -> Finding {
    Finding::blocker("exports-changed", "The pending exports are not those that were approved")
        .saw("shown", summary(shown))
        .saw("now", summary(now))
        .source("Syncferry: nothing is exported that nobody has looked at")
        .next("A cycle ran in between. Apply the migration again: the gate shows what is pending now. To hold still meanwhile: Set-ADSyncScheduler -SyncCycleEnabled $false on the staging server.")
}

/// What the database says of the limit on deletions: `None` when it is switched off.
fn threshold(features: &BTreeMap<String, String>) -> Option<i64> {
    let of = |name: &str| {
        features
            .iter()
            .find(|(k, _)| k.to_lowercase().ends_with(&name.to_lowercase()))
            .map(|(_, v)| v.trim())
    };
    let number = of("ExportDeletionThresholdValue").and_then(|v| v.parse().ok());
    match (of("ExportDeletionThreshold"), number) {
        (Some("0" | "False" | "false"), _) => None,
        (_, Some(n)) => Some(n),
        _ => Some(DEFAULT_THRESHOLD),
    }
}

fn words(threshold: Option<i64>) -> String {
    threshold.map_or("off: nothing stops a mass deletion".to_string(), |n| {
        format!("{n} deletions per run")
    })
}

fn line(by: &BTreeMap<String, i64>) -> String {
    by.iter()
        .map(|(what, n)| format!("{n} {what}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn counts(by: &BTreeMap<String, i64>) -> String {
    if by.is_empty() { "none".to_string() } else { line(by) }
}

fn summary(p: &PendingExports) -> String {
    if p.by_connector.is_empty() {
        return "nothing is pending".to_string();
    }
    let all: Vec<String> = p
        .by_connector
        .iter()
        .map(|(c, by)| format!("{c}: {}", line(by)))
        .collect();
    all.join("; ")
}

fn card(server: &str, p: &PendingExports, threshold: Option<i64>, listed: Option<&ExportList>) -> Card {
    let mut fields = Vec::new();
    let none = BTreeMap::new();
    let only_listed = listed
        .iter()
        .flat_map(|l| &l.connectors)
        .filter(|(_, by)| !by.is_empty());
    let connectors: BTreeSet<&String> = p.by_connector.keys().chain(only_listed.map(|(c, _)| c)).collect();
    for connector in connectors {
        let by = p.by_connector.get(connector).unwrap_or(&none);
        fields.push(Field::exact(connector, counts(by)));
        fields.extend(by_attribute(connector, by, listed));
        let deletes = by.get("deletes").copied().unwrap_or(0);
        if threshold.is_none_or(|t| deletes > t) && deletes > 0 {
            fields.push(Field::yours(
                "Look at this first",
                format!("{deletes} deletions in {connector}; the limit is {}. Above it the export stops; without one, all of them are done.", words(threshold)),
            ));
        }
    }
    if fields.is_empty() {
        fields.push(Field::exact("Pending exports", "none"));
    }
    fields.push(Field::exact("Deletion threshold", words(threshold)));
    fields.push(Field::exact(
        "To see objects and attributes",
        r#""C:\Program Files\Microsoft Azure AD Sync\Bin\csexport.exe" "<connector>" %temp%\export.xml /f:x & "C:\Program Files\Microsoft Azure AD Sync\Bin\CSExportAnalyzer.exe" %temp%\export.xml > %temp%\export.csv"#,
    ));
    Card {
        page: "Pending exports".into(),
        instruction: format!(
            "This is what {server} exports in its first cycle as the active server. Look at it, by attribute where the numbers surprise you. Completing this gate is your approval, by name. A number here counts objects; {OURS}."
        ),
        fields,
    }
}

/// The attributes of a connector's pending exports, operation by operation. Where the list and the database do not say the same, a
/// cycle ran in between, or one of them means something else: that is told.
fn by_attribute(connector: &str, counted: &BTreeMap<String, i64>, listed: Option<&ExportList>) -> Vec<Field> {
    let label = |what: &str| format!("{connector}, {what}");
    let Some(list) = listed else {
        let why = "unknown: the server's own tool was not asked; see below";
        return vec![Field::exact(&label("by attribute"), why)];
    };
    let Some(by) = list.connectors.get(connector) else {
        let why = list
            .unknown
            .iter()
            .find(|u| u.fact == connector)
            .or(list.unknown.first());
        let why = why.map_or("the tool lists none".to_string(), |u| u.why.clone());
        return vec![Field::exact(&label("by attribute"), format!("unknown: {why}"))];
    };
    let mut fields: Vec<Field> = by
        .iter()
        .map(|(operation, exports)| Field::exact(&label(operation), exports.shown()))
        .collect();
    let tool = list.counted(connector);
    if tool != *counted {
        fields.push(Field::yours(
            &label("look again"),
            format!(
                "the tool listed {}, the database has {}: a cycle ran in between, or the two count otherwise. Look at the objects themselves",
                counts(&tool),
                counts(counted)
            ),
        ));
    }
    fields
}

#[cfg(test)]
mod tests {
    use syncferry_shared::exports::OperationExports;

    use super::*;

    fn pending(deletes: i64) -> PendingExports {
        let by = BTreeMap::from([("adds".to_string(), 3), ("deletes".to_string(), deletes)]);
        PendingExports {
            by_connector: BTreeMap::from([("AAD".to_string(), by)]),
        }
    }

    #[test]
    fn deletions_above_the_limit_are_pointed_at() {
        let points = |p: &PendingExports, t| {
            card("SYNC02", p, t, None)
                .fields
                .iter()
                .any(|f| f.label == "Look at this first")
        };
        assert!(!points(&pending(500), Some(500)));
        assert!(points(&pending(501), Some(500)));
        assert!(points(&pending(1), None), "nothing would stop it");
        assert!(!points(&pending(0), None));
    }

    #[test]
    fn attributes_stand_beside_the_counts() {
        let exports = OperationExports {
            objects: 3,
            attributes: [("mail".to_string(), 3), ("member".to_string(), 1)].into(),
        };
        let deletes = OperationExports {
            objects: 2,
            ..OperationExports::default()
        };
        let mut list = ExportList::default();
        let by = list.connectors.entry("AAD".into()).or_default();
        by.insert("add".into(), exports);
        by.insert("delete".into(), deletes);
        let shown = |p: &PendingExports, list: Option<&ExportList>| -> Vec<String> {
            let card = card("SYNC02", p, Some(500), list);
            let of_it = card.fields.into_iter().filter(|f| f.label.starts_with("AAD, "));
            of_it.map(|f| format!("{}: {}", f.label, f.value)).collect()
        };
        assert_eq!(
            shown(&pending(2), Some(&list)),
            ["AAD, add: 3 objects: mail 3, member 1", "AAD, delete: 2 objects"]
        );
        let other = shown(&pending(4), Some(&list));
        assert!(
            other[2].contains("listed 3 adds, 2 deletes, the database has 3 adds, 4 deletes"),
            "{other:?}"
        );
        let gone = card("SYNC02", &PendingExports::default(), Some(500), Some(&list)).fields;
        let gone: Vec<String> = gone.iter().map(|f| format!("{}: {}", f.label, f.value)).collect();
        assert_eq!(gone[0], "AAD: none");
        assert!(gone[3].contains("the database has none"), "{gone:?}");
        assert!(shown(&pending(2), None)[0].contains("unknown"));
        let refused = ExportList {
            unknown: vec![syncferry_shared::sync_config::Unknown {
                fact: "AAD".into(),
                why: "csexport.exe ended with 5".into(),
            }],
            ..ExportList::default()
        };
        assert!(shown(&pending(2), Some(&refused))[0].contains("ended with 5"));
    }

    #[test]
    fn the_limit_is_what_the_database_says() {
        let of =
            |pairs: &[(&str, &str)]| threshold(&pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect());
        assert_eq!(of(&[]), Some(500));
        assert_eq!(of(&[("ExportDeletionThresholdValue", "50")]), Some(50));
        assert_eq!(
            of(&[("ExportDeletionThreshold", "0"), ("ExportDeletionThresholdValue", "50")]),
            None
        );
        assert_eq!(
            of(&[("ExportDeletionThreshold", "1"), ("ExportDeletionThresholdValue", "50")]),
            Some(50)
        );
    }

    #[test]
    fn a_server_that_did_not_synchronise_is_not_ready() {
        let good = AdsyncFacts {
            last_sync: Some(syncferry_shared::Millis(1)),
            ..AdsyncFacts::default()
        };
        assert!(not_ready("SYNC02", &good).is_none());
        for bad in [
            AdsyncFacts::default(),
            AdsyncFacts {
                run_in_progress: Some(true),
                ..good.clone()
            },
            AdsyncFacts {
                full_run_required: vec!["AAD".into()],
                ..good
            },
        ] {
            assert_eq!(not_ready("SYNC02", &bad).unwrap().rule, "initial-sync-not-done");
        }
    }
}
