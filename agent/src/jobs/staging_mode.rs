//! A person turns staging mode on or off in the wizard. Only what the scheduler then says is proof: a server that is on its way
//! into staging mode counts when no cycle of it runs any more.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::card::{Card, Field};
use syncferry_shared::inventory::ConnectFacts;
use syncferry_shared::outcome::{Outcome, SeenConnect};
use syncferry_shared::spec::StagingModeTask;

use super::common::{minutes, shown};
use super::look::{Look, LooksOnly};
use crate::journal::Sight;
use crate::runner::{Cx, Job, StepError};

/// The job.
pub(super) fn job(task: &StagingModeTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(Turn(task.clone())))], |cx| Outcome {
        connect: cx
            .evidence("staging-mode")
            .cloned()
            .and_then(|v| serde_json::from_value(v).ok()),
        ..Outcome::default()
    })
}

/// The card, which is the same wherever it is shown.
pub(super) fn card(server: &str, on: bool) -> Card {
    let (verb, tick) = if on {
        ("into", "Enable staging mode: ticked")
    } else {
        ("out of", "Enable staging mode: not ticked")
    };
    Card {
        page: "Configure staging mode".into(),
        instruction: format!(
            "On {server}: start Microsoft Entra Connect, Configure > Configure staging mode, sign in, and bring the server {verb} staging mode. Then Configure, and Exit."
        ),
        fields: vec![
            Field::exact(
                "Command",
                r#""C:\Program Files\Microsoft Azure Active Directory Connect\AzureADConnect.exe""#,
            ),
            Field::exact("Enable staging mode", if on { "yes" } else { "no" }),
            Field::yours(
                "Account",
                "Hybrid Identity Administrator (or Global Administrator), assigned directly",
            ),
            Field::yours("On the page", tick),
        ],
    }
}

struct Turn(StagingModeTask);

#[async_trait]
impl Look for Turn {
    const NAME: &'static str = "staging-mode";

    fn budget(&self) -> Duration {
        minutes(7 * 24 * 60)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let facts = cx.env.host.connect_facts().await?;
        if let (Sight::Proven, text) = judge(&facts, &self.0) {
            // It is there already: nobody is asked to do what was done.
            cx.saw("Get-ADSyncScheduler", text);
            return Ok(seen(&facts));
        }
        let title = if self.0.on {
            format!("Put {} into staging mode", self.0.server)
        } else {
            format!("Take {} out of staging mode", self.0.server)
        };
        let mut gate = cx.gate(&title, &[card(&self.0.server, self.0.on)]).await?;
        loop {
            let facts = cx.env.host.connect_facts().await?;
            let (sight, text) = judge(&facts, &self.0);
            gate.saw(cx, sight, &text).await?;
            if sight == Sight::Proven {
                cx.saw("Get-ADSyncScheduler", text);
                return Ok(seen(&facts));
            }
            gate.next_look(cx, cx.env.pace.look_again).await?;
        }
    }
}

fn seen(facts: &ConnectFacts) -> Value {
    let seen = facts.parameters.clone().map(|parameters| SeenConnect {
        parameters,
        service_account: facts.service.as_ref().map(|s| s.account.clone()).unwrap_or_default(),
        version: facts.version.map_or("unknown".to_string(), |v| v.to_string()),
        staging_mode: facts.scheduler.as_ref().is_some_and(|s| s.staging_mode),
    });
    seen.map_or(json!({}), |s| serde_json::to_value(s).unwrap_or_default())
}

/// What the machine shows.
fn judge(facts: &ConnectFacts, task: &StagingModeTask) -> (Sight, String) {
    if let Some(p) = facts
        .parameters
        .as_ref()
        .filter(|p| !p.database.eq_ignore_ascii_case(&task.database))
    {
        return (
            Sight::Contradicted,
            format!(
                "the server uses another database than in the plan ({}): {}",
                task.database,
                shown(p)
            ),
        );
    }
    match (&facts.service, &facts.scheduler) {
        (Some(s), Some(sch)) if s.state.eq_ignore_ascii_case("running") && sch.staging_mode == task.on => {
            if task.on && sch.cycle_in_progress {
                return (
                    Sight::InProgress,
                    "StagingModeEnabled is True, and a cycle still runs".to_string(),
                );
            }
            (
                Sight::Proven,
                format!("StagingModeEnabled is {}", if task.on { "True" } else { "False" }),
            )
        }
        (Some(s), Some(sch)) if s.state.eq_ignore_ascii_case("running") => (
            Sight::Waiting,
            format!(
                "StagingModeEnabled is {}",
                if sch.staging_mode { "True" } else { "False" }
            ),
        ),
        // A service that can neither run nor start exports nothing: that is as good as staging mode, and more.
        (Some(s), _)
            if task.on && s.state.eq_ignore_ascii_case("stopped") && s.start.eq_ignore_ascii_case("disabled") =>
        {
            (
                Sight::Proven,
                "the service ADSync is stopped and disabled: it exports nothing".to_string(),
            )
        }
        (Some(s), None) if s.state.eq_ignore_ascii_case("running") => {
            (Sight::InProgress, "Get-ADSyncScheduler does not answer yet".to_string())
        }
        (Some(s), _) => (Sight::Waiting, format!("the service ADSync is {}", s.state)),
        (None, _) => (
            Sight::Contradicted,
            "there is no service ADSync on this server".to_string(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncferry_shared::inventory::{ConnectParameters, SchedulerFacts, ServiceFacts};

    fn facts(state: &str, start: &str, staging: bool, cycle: bool) -> ConnectFacts {
        ConnectFacts {
            service: Some(ServiceFacts {
                state: state.into(),
                start: start.into(),
                account: "x".into(),
            }),
            parameters: Some(ConnectParameters {
                server: "SQL01".into(),
                instance: String::new(),
                database: "ADSync".into(),
            }),
            scheduler: (state == "running").then(|| SchedulerFacts {
                sync_cycle_enabled: true,
                staging_mode: staging,
                suspended: false,
                cycle_in_progress: cycle,
                next_policy: "Delta".into(),
            }),
            ..ConnectFacts::default()
        }
    }

    #[test]
    fn only_the_scheduler_or_a_service_that_is_out_is_proof() {
        let task = |on| StagingModeTask {
            server: "SYNC01".into(),
            database: "adsync".into(),
            on,
        };
        let sight = |f: &ConnectFacts, on| judge(f, &task(on)).0;
        assert_eq!(sight(&facts("running", "automatic", true, false), true), Sight::Proven);
        assert_eq!(
            sight(&facts("running", "automatic", true, true), true),
            Sight::InProgress,
            "it may still export"
        );
        assert_eq!(
            sight(&facts("running", "automatic", false, false), true),
            Sight::Waiting
        );
        assert_eq!(
            sight(&facts("running", "automatic", false, false), false),
            Sight::Proven
        );
        assert_eq!(
            sight(&facts("stopped", "automatic", false, false), true),
            Sight::Waiting,
            "it would start again"
        );
        assert_eq!(sight(&facts("stopped", "disabled", false, false), true), Sight::Proven);
        assert_eq!(
            sight(&facts("stopped", "disabled", false, false), false),
            Sight::Waiting
        );
        let mut other = facts("running", "automatic", true, false);
        other.parameters.as_mut().unwrap().database = "ADSync2".into();
        assert_eq!(sight(&other, true), Sight::Contradicted);
        assert_eq!(sight(&ConnectFacts::default(), true), Sight::Contradicted);
    }
}
