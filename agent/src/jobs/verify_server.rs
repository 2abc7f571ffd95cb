//! `verify` on the new Connect server: registry, service, account, staging mode, connectors.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::Finding;
use syncferry_shared::outcome::{Level, Outcome, SeenConnect};
use syncferry_shared::spec::VerifyServerTask;

use super::common::{minutes, parameters_fit, shown};
use super::look::{Look, LooksOnly};
use crate::runner::{Cx, Job, StepError};

/// The job.
pub(super) fn job(task: &VerifyServerTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(LookAtServer(task.clone())))], |cx| {
        let seen: Option<SeenConnect> = cx
            .evidence("look-at-server")
            .cloned()
            .and_then(|v| serde_json::from_value(v).ok());
        let mut outcome = Outcome {
            connect: seen,
            ..Outcome::default()
        };
        outcome.reached(Level::L5);
        outcome
    })
}

struct LookAtServer(VerifyServerTask);

fn wrong(what: &str, found: impl ToString, expected: impl ToString) -> Finding {
    Finding::blocker(
        "new-server-differs",
        format!("The new server is not as planned: {what}"),
    )
    .saw(format!("{what} on the new server"), found)
    .saw("expected", expected)
    .source("Microsoft Learn: Install Microsoft Entra Connect by using an existing ADSync database")
    .next("Look at the server. When it is as planned, apply the migration again: it looks once more.")
}

#[async_trait]
impl Look for LookAtServer {
    const NAME: &'static str = "look-at-server";

    fn budget(&self) -> Duration {
        minutes(10)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let facts = cx.env.host.connect_facts().await?;
        let expect = &self.0.expect;
        let mut findings = Vec::new();
        let parameters = facts.parameters.clone();
        match &parameters {
            Some(p) if parameters_fit(p, expect) => cx.saw("ADSync\\Parameters", shown(p)),
            Some(p) => findings.push(wrong(
                "ADSync\\Parameters",
                shown(p),
                format!("{} {} {}", expect.server, expect.instance, expect.database),
            )),
            None => findings.push(wrong("ADSync\\Parameters", "not there", &expect.server)),
        }
        match &facts.service {
            Some(s) if s.state.eq_ignore_ascii_case("running") => {
                cx.saw("service ADSync", format!("{} as {}", s.state, s.account));
                if let Some(account) = expect
                    .service_account
                    .as_ref()
                    .filter(|a| !a.eq_ignore_ascii_case(&s.account))
                {
                    findings.push(wrong("service account", &s.account, account));
                }
            }
            Some(s) => findings.push(wrong("service ADSync", &s.state, "running")),
            None => findings.push(wrong("service ADSync", "not there", "running")),
        }
        match &facts.scheduler {
            Some(s) if s.staging_mode => cx.saw("StagingModeEnabled", "True"),
            Some(_) => findings.push(wrong("StagingModeEnabled", "False", "True")),
            None => findings.push(wrong("Get-ADSyncScheduler", "no answer", "StagingModeEnabled True")),
        }
        if facts.version.is_some_and(|v| v != expect.version) {
            findings.push(wrong(
                "version",
                facts.version.map_or(String::new(), |v| v.to_string()),
                expect.version,
            ));
        }
        let connectors = cx.env.host.connectors().await?;
        cx.saw("Get-ADSyncConnector", connectors.join(", "));
        let has = |c: &String| connectors.iter().any(|h| h.eq_ignore_ascii_case(c));
        let missing: Vec<&str> = self
            .0
            .connectors
            .iter()
            .filter(|c| !has(c))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            findings.push(wrong("connectors", connectors.join(", "), missing.join(", ")));
        }
        if !findings.is_empty() {
            return Err(StepError::Failed(findings));
        }
        let seen = SeenConnect {
            parameters: parameters.unwrap_or_else(|| syncferry_shared::inventory::ConnectParameters {
                server: String::new(),
                instance: String::new(),
                database: String::new(),
            }),
            service_account: facts.service.map(|s| s.account).unwrap_or_default(),
            version: facts.version.map_or("unknown".to_string(), |v| v.to_string()),
            staging_mode: true,
        };
        Ok(serde_json::to_value(seen).unwrap_or_default())
    }
}
