//! Marks and denials that travelled in a backup: they belong to the database that was backed up, and keep the new server out of
//! the copy. A restored copy is searched for them while it still has its temporary name; a person agrees to the very statement
//! before anything is removed.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::card::{Card, Field};

use super::common::{OURS, Server, minutes};
use crate::fence::refused;
use crate::journal::Sight;
use crate::runner::{Cx, Job, Probe, Step, StepError};
use crate::sql::ops::{fence, identity_facts};
use crate::sql::{Statement, statements};

/// The step that makes the copy writable and owned; it gets its name later.
const AFTER: &str = "prepare-database";
const TITLE: &str = "Agree to remove marks and denials that came along in the backup";

/// A restore that clears what travelled, right after the copy was made writable.
pub(super) fn cleared(mut job: Job, instance: &str, copy: &str) -> Job {
    let at = job.steps.iter().position(|s| s.name() == AFTER);
    let at = at.map_or(job.steps.len(), |n| n + 1);
    job.steps.splice(at..at, steps(instance, copy));
    job
}

/// The two steps for a copy.
pub(super) fn steps(instance: &str, database: &str) -> [Box<dyn Step>; 2] {
    let copy = Copy {
        instance: instance.to_string(),
        database: database.to_string(),
    };
    [Box::new(FindMarks(copy.clone())), Box::new(ClearMarks(copy))]
}

/// The copy, while it has its temporary name.
#[derive(Clone)]
struct Copy {
    instance: String,
    database: String,
}

/// What travelled.
struct Found {
    marks: Vec<String>,
    denied: Vec<String>,
    statement: Statement,
}

impl Copy {
    /// What is there now; `None` when the copy has no marks of ours.
    async fn find(&self, server: &mut Server, cx: &mut Cx) -> Result<Option<Found>, StepError> {
        let facts = identity_facts(&mut server.work, &self.database).await?;
        let Some(facts) = facts else {
            // Renamed already: an earlier try got further, and was here before.
            return Ok(None);
        };
        let denied = fence::denied(&mut server.work, &self.database).await?;
        let denied: Vec<String> = denied.into_iter().map(|d| d.user).collect();
        if facts.marks.is_empty() {
            cx.findings.extend(others_denials(&denied));
            return Ok(None);
        }
        let guid = facts.database_guid.unwrap_or_default();
        Ok(Some(Found {
            marks: facts.marks.iter().map(|(n, v)| format!("{n} = {v}")).collect(),
            statement: statements::fence::clean(guid, &denied),
            denied,
        }))
    }
}

/// Denials without marks of ours are somebody else's: they are told and stay.
fn others_denials(denied: &[String]) -> Option<Finding> {
    if denied.is_empty() {
        return None;
    }
    Some(
        Finding::warning("denials-travelled", "CONNECT is denied to users in the restored copy")
            .saw("sys.database_permissions", denied.join(", "))
            .saw("marks of ours", "none")
            .source(OURS)
            .next("They came along in the backup. Where the new server's account is among them, Connect cannot open the database: have a DBA GRANT CONNECT to it."),
    )
}

fn card(found: &Found) -> Card {
    let denied = if found.denied.is_empty() {
        "nobody".to_string()
    } else {
        found.denied.join(", ")
    };
    Card {
        page: "Marks in the restored copy".into(),
        instruction: "These marks and denials belong to the database that was backed up. Confirm this gate, and the agent runs the statement below in the copy; or run it yourself, and the agent sees that they are gone. The original is not touched.".into(),
        fields: vec![
            Field::exact("Marks that are removed", found.marks.join("\n")),
            Field::exact("Users who get CONNECT again", denied),
            Field::exact("Statement", found.statement.sql.clone()),
        ],
    }
}

struct FindMarks(Copy);

#[async_trait]
impl Step for FindMarks {
    fn name(&self) -> &'static str {
        "find-marks"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        // A person may take a week.
        Duration::from_secs(7 * 24 * 3600)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = Server::open(cx, &self.0.instance).await?;
        let Some(found) = self.0.find(&mut server, cx).await? else {
            server.close().await;
            cx.saw("marks of ours in the copy", "none");
            return Ok(json!({"agreed": Value::Null}));
        };
        // Nobody waits at a gate with a connection open.
        server.close().await;
        for mark in &found.marks {
            cx.saw("mark in the copy", mark);
        }
        cx.saw("CONNECT denied to", found.denied.join(", "));
        let waiting = format!(
            "{} marks and {} denials travelled in the backup",
            found.marks.len(),
            found.denied.len()
        );
        let mut gate = cx.gate(TITLE, &[card(&found)]).await?;
        loop {
            gate.next_look(cx, cx.env.pace.look_again).await?;
            if gate.claimed() {
                gate.saw(cx, Sight::Proven, "agreed; they are removed now").await?;
                return Ok(json!({"agreed": found.statement.sql}));
            }
            let mut server = Server::open(cx, &self.0.instance).await?;
            let left = self.0.find(&mut server, cx).await?;
            server.close().await;
            if left.is_none() {
                gate.saw(cx, Sight::Proven, "somebody removed them").await?;
                return Ok(json!({"agreed": Value::Null}));
            }
            gate.saw(cx, Sight::Waiting, &waiting).await?;
        }
    }
}

struct ClearMarks(Copy);

#[async_trait]
impl Step for ClearMarks {
    fn name(&self) -> &'static str {
        "clear-marks"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(2)
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let mut server = Server::open(cx, &self.0.instance).await?;
        let facts = identity_facts(&mut server.work, &self.0.database).await?;
        server.close().await;
        let clean = facts.is_none_or(|f| f.marks.is_empty());
        Ok(if clean {
            Probe::Done(json!({"marks": []}))
        } else {
            Probe::NotStarted
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let agreed = cx
            .evidence("find-marks")
            .and_then(|e| e["agreed"].as_str().map(str::to_string));
        let mut server = Server::open(cx, &self.0.instance).await?;
        let Some(found) = self.0.find(&mut server, cx).await? else {
            server.close().await;
            return Ok(json!({"marks": []}));
        };
        if agreed.as_deref() != Some(found.statement.sql.as_str()) {
            server.close().await;
            return Err(Finding::blocker(
                "marks-changed",
                "The marks in the copy are not those that were agreed on",
            )
            .saw("marks now", found.marks.join(", "))
            .saw("denied now", found.denied.join(", "))
            .source("Syncferry: nothing is written that an operator has not seen")
            .next("Find out who works on the copy; then apply the migration again and look at the gate.")
            .into());
        }
        fence::commit(&mut server.work, &self.0.database, &found.statement)
            .await
            .map_err(refused)?;
        let left = fence::marks(&mut server.work, &self.0.database).await?;
        server.close().await;
        cx.saw("marks removed", found.marks.join(", "));
        cx.saw("granted CONNECT", found.denied.join(", "));
        Ok(json!({"marks": left.keys().collect::<Vec<_>>()}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::tests::world::{make, new_world};

    #[test]
    fn the_copy_is_searched_as_soon_as_it_can_be_changed() {
        let world = new_world();
        let names = ["restore-database", AFTER, "compare", "rename"];
        let steps = names.map(|n| Box::new(make(n, &world)) as Box<dyn Step>);
        let job = Job::new(steps.into(), |_| Default::default());
        let job = cleared(job, "default", "ADSync__copy");
        let names: Vec<&str> = job.steps.iter().map(|s| s.name()).collect();
        assert_eq!(
            names,
            [
                "restore-database",
                AFTER,
                "find-marks",
                "clear-marks",
                "compare",
                "rename"
            ]
        );
    }

    #[test]
    fn what_a_person_reads() {
        let found = Found {
            marks: vec!["syncferry.epoch = 7".into(), "syncferry.owner = SYNC02".into()],
            denied: vec![r"CONTOSO\svc-a$".into()],
            statement: statements::fence::clean(uuid::Uuid::nil(), &[r"CONTOSO\svc-a$".into()]),
        };
        let card = card(&found);
        assert_eq!(card.fields[0].value, "syncferry.epoch = 7\nsyncferry.owner = SYNC02");
        assert_eq!(card.fields[1].value, r"CONTOSO\svc-a$");
        assert!(card.fields[2].value.contains("GRANT CONNECT TO [CONTOSO\\svc-a$]"));
        assert!(others_denials(&[]).is_none());
        assert!(others_denials(&["x".into()]).is_some_and(|f| !f.blocks()));
    }
}
