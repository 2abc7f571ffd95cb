//! A person uninstalls Connect from a server that is retired: from 2.6.84 on it asks for an administrator's sign-in, so no agent
//! can. The agent sees that products and service are gone.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::card::{Card, Field};
use syncferry_shared::inventory::ConnectFacts;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::UninstallTask;

use super::common::minutes;
use super::look::{Look, LooksOnly};
use crate::journal::Sight;
use crate::runner::{Cx, Job, StepError};

/// The job.
pub(super) fn job(task: &UninstallTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(Gone(task.clone())))], |_| Outcome::default())
}

fn card(task: &UninstallTask) -> Card {
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
            cx.saw("products and services", text);
            return Ok(json!({"gone": true}));
        }
        let title = format!("Uninstall Microsoft Entra Connect on {}", self.0.server);
        let mut gate = cx.gate(&title, &[card(&self.0)]).await?;
        loop {
            let facts = cx.env.host.connect_facts().await?;
            let (sight, text) = judge(&facts);
            gate.saw(cx, sight, &text).await?;
            if sight == Sight::Proven {
                cx.saw("products and services", text);
                for left in &self.0.leftovers {
                    cx.saw("left over elsewhere", left);
                }
                return Ok(json!({"gone": true}));
            }
            gate.next_look(cx, cx.env.pace.look_again).await?;
        }
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
