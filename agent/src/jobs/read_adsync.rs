//! `verify`: reads what a database says of itself, so that another agent can compare its own with it. Changes nothing.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::Finding;
use syncferry_shared::inventory::AdsyncFacts;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::{DatabaseIdentity, ReadAdsyncTask};

use super::common::{OURS, Server, minutes, same_database};
use super::look::{Look, LooksOnly};
use super::verify_restored::say;
use crate::runner::{Cx, Job, StepError};

/// The job.
pub(super) fn job(task: &ReadAdsyncTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(Read(task.clone())))], |cx| Outcome {
        adsync: cx
            .evidence("read-adsync")
            .cloned()
            .and_then(|v| serde_json::from_value(v).ok()),
        ..Outcome::default()
    })
}

struct Read(ReadAdsyncTask);

#[async_trait]
impl Look for Read {
    const NAME: &'static str = "read-adsync";

    fn budget(&self) -> Duration {
        minutes(15)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let facts = read(cx, &self.0.database).await?;
        say(cx, &facts);
        Ok(serde_json::to_value(facts).unwrap_or_default())
    }
}

/// What the database of that identity says of itself.
pub(super) async fn read(cx: &Cx, database: &DatabaseIdentity) -> Result<AdsyncFacts, StepError> {
    let name = &database.address.database;
    let mut server = Server::open(cx, &database.address.instance).await?;
    same_database(cx, &mut server, database).await?;
    let facts = crate::adsync::inspect(&mut server.work, name).await?;
    server.close().await;
    facts.ok_or_else(|| {
        StepError::failed(
            Finding::blocker(
                "not-adsync",
                format!("{name} is not a database of Microsoft Entra Connect"),
            )
            .saw("dbo.mms_server_configuration and dbo.mms_management_agent", "not there")
            .source(OURS)
            .next("Find out which database the ADSync service uses, register that one and plan again."),
        )
    })
}
