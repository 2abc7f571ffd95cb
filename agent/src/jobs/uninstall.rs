//! A person uninstalls Connect from a server that is retired: from 2.6.84 on it asks for an administrator's sign-in, so no agent
//! can. The agent sees that products and service are gone.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::card::{Card, Field};
use syncferry_shared::inventory::ConnectFacts;
use syncferry_shared::outcome::{Outcome, StoppedServer};
use syncferry_shared::spec::{StaysBehind, UninstallTask};

use super::common::{OURS, file_exists, minutes};
use super::look::{Look, LooksOnly};
use super::stop_server::stopped;
use crate::journal::Sight;
use crate::runner::{Cx, Job, StepError};

/// The job.
pub(super) fn job(task: &UninstallTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(Gone(task.clone())))], |cx| Outcome {
        stopped: cx
            .evidence("see-it-uninstalled")
            .and_then(|e| serde_json::from_value::<StoppedServer>(e.get("seen")?.clone()).ok()),
        ..Outcome::default()
    })
}

/// Where Connect is installed anew on the same host: what goes, what must stay, and that there is no way back.
fn in_place(task: &UninstallTask, stays: &StaysBehind) -> Card {
    let mut fields = vec![Field::exact("Command", "appwiz.cpl")];
    fields.extend(stays.files.iter().map(|f| Field::exact("Must stay", f)));
    fields.push(Field::exact("Is used next", &stays.next));
    fields.push(Field::yours("The only way back from here", &stays.way_back));
    Card {
        page: "Uninstall Microsoft Entra Connect: there is no way back".into(),
        instruction: format!(
            "On {}: Programs and Features > Microsoft Entra Connect (or Microsoft Azure AD Connect) > Uninstall. Do NOT tick the supporting components: SQL Server LocalDB and its database files stay, and so do authentication agents. Do not clean up in the cloud: the new installation uses the same application. The backup on another host was verified right before this.",
            task.server
        ),
        fields,
    }
}

fn card(task: &UninstallTask) -> Card {
    if let Some(stays) = &task.stays {
        return in_place(task, stays);
    }
    let mut fields = vec![Field::exact("Command", "appwiz.cpl")];
    fields.extend(task.leftovers.iter().map(|l| Field::yours("Left over elsewhere", l)));
    Card {
        page: "Uninstall Microsoft Entra Connect".into(),
        instruction: format!(
            "On {}: Programs and Features > Microsoft Entra Connect (or Microsoft Azure AD Connect) > Uninstall, and tick that the supporting components go too. It may ask for a Hybrid Identity Administrator, to clean up in the cloud. The database on its SQL Server stays.",
            task.server
        ),
        fields,
    }
}

struct Gone(UninstallTask);

#[async_trait]
impl Look for Gone {
    const NAME: &'static str = "see-it-uninstalled";

    fn budget(&self) -> Duration {
        minutes(7 * 24 * 60)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let facts = cx.env.host.connect_facts().await?;
        if let (Sight::Proven, text) = judge(&facts) {
            return Ok(self.gone(cx, facts, text).await);
        }
        let title = format!("Uninstall Microsoft Entra Connect on {}", self.0.server);
        let mut gate = cx.gate(&title, &[card(&self.0)]).await?;
        loop {
            let facts = cx.env.host.connect_facts().await?;
            let (sight, text) = judge(&facts);
            gate.saw(cx, sight, &text).await?;
            if sight == Sight::Proven {
                for left in &self.0.leftovers {
                    cx.saw("left over elsewhere", left);
                }
                return Ok(self.gone(cx, facts, text).await);
            }
            gate.next_look(cx, cx.env.pace.look_again).await?;
        }
    }
}

impl Gone {
    /// It is gone: that is the proof that the server gave up. What was to stay is looked at.
    async fn gone(&self, cx: &mut Cx, facts: ConnectFacts, text: String) -> Value {
        cx.saw("products and services", text);
        let seen = stopped(cx, facts).await;
        for file in self.0.stays.iter().flat_map(|s| &s.files) {
            if file_exists(&cx.env.host, file).await {
                cx.saw("stayed", file);
            } else {
                cx.findings.push(
                    Finding::warning("old-database-file-gone", "A file of the old database did not stay")
                        .saw(file, "not there")
                        .source(OURS)
                        .next("Nothing now: the verified backup on the SQL host is what counts. Whoever uninstalled Connect knows whether LocalDB went with it."),
                );
            }
        }
        json!({"gone": true, "seen": seen})
    }
}

fn judge(facts: &ConnectFacts) -> (Sight, String) {
    if let Some(s) = facts
        .service
        .as_ref()
        .filter(|s| s.state.eq_ignore_ascii_case("running"))
    {
        return (
            Sight::Contradicted,
            format!(
                "the service ADSync is running again, start type {}: stop and disable it",
                s.start
            ),
        );
    }
    match (&facts.service, facts.products.first()) {
        (None, None) => (Sight::Proven, "neither Connect nor its service is there".to_string()),
        (Some(_), Some(p)) => (Sight::Waiting, format!("{} {} is installed", p.name, p.version)),
        (None, Some(p)) => (
            Sight::InProgress,
            format!("the service is gone; {} {} is still installed", p.name, p.version),
        ),
        (Some(_), None) => (
            Sight::InProgress,
            "the product is gone; its service is still there".to_string(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncferry_shared::inventory::{ProductFacts, ServiceFacts};

    #[test]
    fn it_is_gone_when_product_and_service_are() {
        let mut facts = ConnectFacts::default();
        assert_eq!(judge(&facts).0, Sight::Proven);
        facts.products.push(ProductFacts {
            name: "Microsoft Entra Connect Sync".into(),
            version: "2.6.91.0".into(),
            product_code: "{x}".into(),
        });
        assert_eq!(judge(&facts).0, Sight::InProgress);
        facts.service = Some(ServiceFacts {
            state: "stopped".into(),
            start: "disabled".into(),
            account: "x".into(),
        });
        assert_eq!(judge(&facts).0, Sight::Waiting);
        facts.service.as_mut().unwrap().state = "running".into();
        assert_eq!(judge(&facts).0, Sight::Contradicted);
    }
}
