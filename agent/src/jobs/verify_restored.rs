//! `verify` of a restored database of which only the backup was there when the plan was made: what the plan's rules would have
//! looked at in the source is looked at now, before anything is installed on it.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::inventory::AdsyncFacts;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::VerifyRestoredTask;
use syncferry_shared::{Finding, Millis};

use super::common::{OURS, Server, minutes, same_database};
use super::look::{Look, LooksOnly};
use crate::runner::{Cx, Job, StepError};

const PAGE: &str = "Microsoft Learn: Install Microsoft Entra Connect by using an existing ADSync database";

/// The job.
pub(super) fn job(task: &VerifyRestoredTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(LookAtRestored(task.clone())))], |cx| Outcome {
        adsync: cx
            .evidence("look-at-restored")
            .cloned()
            .and_then(|v| serde_json::from_value(v).ok()),
        ..Outcome::default()
    })
}

struct LookAtRestored(VerifyRestoredTask);

#[async_trait]
impl Look for LookAtRestored {
    const NAME: &'static str = "look-at-restored";

    fn budget(&self) -> Duration {
        minutes(15)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let name = &self.0.database.address.database;
        let mut server = Server::open(cx, &self.0.database.address.instance).await?;
        same_database(cx, &mut server, &self.0.database).await?;
        let facts = crate::adsync::inspect(&mut server.work, name).await?;
        server.close().await;
        let (bad, told) = judge(facts.as_ref(), &self.0, cx.env.clocks.now());
        cx.findings.extend(told);
        if !bad.is_empty() {
            return Err(StepError::Failed(bad));
        }
        let facts = facts.unwrap_or_default();
        say(cx, &facts);
        Ok(serde_json::to_value(facts).unwrap_or_default())
    }
}

/// What a database says of itself, for the report.
pub(super) fn say(cx: &mut Cx, facts: &AdsyncFacts) {
    let unknown = || "unknown".to_string();
    cx.saw(
        "ServerConfigurationVersion",
        facts.connect_version.map_or_else(unknown, |v| v.to_string()),
    );
    cx.saw(
        "last synchronisation",
        facts.last_sync.map_or_else(unknown, Millis::rfc3339),
    );
    cx.saw("last used by", facts.last_owner.clone().unwrap_or_else(unknown));
    cx.saw("forests", facts.forests.join(", "));
    cx.saw("connectors", facts.counts.connectors.join(", "));
}

/// What blocks, and what is only told.
fn judge(facts: Option<&AdsyncFacts>, task: &VerifyRestoredTask, now: Millis) -> (Vec<Finding>, Vec<Finding>) {
    let name = &task.database.address.database;
    let (mut bad, mut told) = (Vec::new(), Vec::new());
    let cancel =
        "Nothing was installed. Cancel the migration, which drops the copy again, and plan with another backup.";
    let Some(facts) = facts else {
        bad.push(
            Finding::blocker(
                "not-adsync",
                format!("{name} is not a database of Microsoft Entra Connect"),
            )
            .saw("dbo.mms_server_configuration and dbo.mms_management_agent", "not there")
            .source(OURS)
            .next(cancel),
        );
        return (bad, told);
    };
    if facts.empty {
        bad.push(
            Finding::blocker(
                "database-is-empty",
                format!("{name} has its tables and nothing in them"),
            )
            .saw("dbo.mms_management_agent", "no rows")
            .source(PAGE)
            .next(cancel),
        );
    }
    match facts.connect_version {
        Some(v) if v > task.version => bad.push(
            Finding::blocker(
                "installer-older-than-database",
                format!("Connect {} is older than the database, which {v} used last", task.version),
            )
            .saw("ProductVersion", task.version)
            .saw("Microsoft.Synchronize.ServerConfigurationVersion", v)
            .source(PAGE)
            .next(format!(
                "The service would refuse to start. Cancel the migration and plan again with the installer of {v} or of a newer version."
            )),
        ),
        Some(_) => {}
        None => told.push(
            Finding::warning(
                "database-version-unknown",
                "Which Connect version used the database last is not known",
            )
            .saw("dbo.mms_get_globalsettings", "no ServerConfigurationVersion")
            .source(PAGE)
            .next("The installer must not be older than the database. Where that is not sure, cancel at the wizard's gate and plan again with the newest installer."),
        ),
    }
    let days = facts.last_sync.map(|at| now.since(at) / 86_400_000);
    match (days, facts.last_sync) {
        (Some(days), Some(at)) if days > task.fresh_days => told.push(
            Finding::warning("sync-too-old", format!("The last synchronisation in the copy is {days} days old"))
                .saw(facts.last_sync_source.as_deref().unwrap_or("the newest evidence"), at.rfc3339())
                .source(PAGE)
                .next("More than three weeks: a full import from Entra ID is needed before anything is exported. Run it in staging mode: Synchronization Service Manager > Connectors > the Entra connector > Run > Full Import; then a full synchronisation."),
        ),
        (None, _) => told.push(
            Finding::warning("last-sync-unknown", "When the database was synchronised last is not known")
                .saw("run history and connector space", "nothing")
                .source(PAGE)
                .next("Take it for older than three weeks: run a full import from Entra ID and a full synchronisation in staging mode."),
        ),
        _ => {}
    }
    (bad, told)
}

#[cfg(test)]
mod tests {
    use syncferry_shared::ConnectVersion;
    use syncferry_shared::inventory::DatabaseAddress;
    use syncferry_shared::spec::DatabaseIdentity;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_only_the_copy_shows() {
        let task = VerifyRestoredTask {
            database: DatabaseIdentity {
                id: syncferry_shared::DatabaseId(Uuid::from_u128(1)),
                address: DatabaseAddress {
                    instance: "default".into(),
                    database: "ADSync".into(),
                },
                server_name: "SQL01".into(),
                database_guid: Uuid::from_u128(2),
                family_guid: Uuid::from_u128(3),
            },
            version: ConnectVersion([2, 5, 79, 0]),
            fresh_days: 21,
        };
        let now = Millis(100 * 86_400_000);
        let good = AdsyncFacts {
            connect_version: Some(ConnectVersion([2, 5, 79, 0])),
            last_sync: Some(now.plus(-3_600_000)),
            ..AdsyncFacts::default()
        };
        let rules = |facts: Option<&AdsyncFacts>| {
            let (bad, told) = judge(facts, &task, now);
            let names = |f: &[Finding]| f.iter().map(|f| f.rule.clone()).collect::<Vec<_>>();
            (names(&bad), names(&told))
        };
        assert_eq!(rules(Some(&good)), (vec![], vec![]));
        assert_eq!(rules(None).0, ["not-adsync"]);
        let newer = AdsyncFacts {
            connect_version: Some(ConnectVersion([2, 6, 91, 0])),
            ..good.clone()
        };
        assert_eq!(rules(Some(&newer)).0, ["installer-older-than-database"]);
        let stale = AdsyncFacts {
            last_sync: Some(now.plus(-22 * 86_400_000)),
            connect_version: None,
            ..good.clone()
        };
        assert_eq!(
            rules(Some(&stale)),
            (vec![], vec!["database-version-unknown".into(), "sync-too-old".into()])
        );
        let empty = AdsyncFacts {
            empty: true,
            last_sync: None,
            ..good
        };
        assert_eq!(
            rules(Some(&empty)),
            (vec!["database-is-empty".into()], vec!["last-sync-unknown".into()])
        );
    }
}
