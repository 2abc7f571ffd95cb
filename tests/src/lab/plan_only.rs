//! `lab plan`: builds a world, plans one scenario in it and shows what the plan says. Nothing is applied. The plan stands in
//! `plan.json` of the lab's folder.

use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use syncferry_proto::schema;
use syncferry_shared::plan::Plan;

use super::flavour::Flavour;
use super::operator::Operator;
use super::run::{EXIT_REFUSED, Lab};
use super::typed::Scenario;
use super::world::{INSTANCE, OLD_SERVER, SQL_HOST, WorldOptions};

/// Which scenario is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Planned {
    /// From LocalDB to full SQL Server.
    MoveToFullSql,
    /// A staging server beside the active one.
    ProvisionStaging,
    /// A recovery is rehearsed.
    Drill,
    /// The old server is replaced; it can be reached.
    ReplaceServer,
}

impl Planned {
    /// The world for it.
    pub(super) fn world(self, options: WorldOptions) -> WorldOptions {
        let replaces = (self == Planned::ReplaceServer).then_some(Flavour::Reachable);
        WorldOptions { replaces, ..options }
    }
}

impl Lab {
    /// What `lab plan` does.
    pub(super) async fn plan_only(&mut self, planned: Planned) -> anyhow::Result<ExitCode> {
        let mut operator = self.bring_up().await?;
        let source = self.register(&mut operator).await?;
        let migration = match planned {
            Planned::ReplaceServer => operator.plan_replacement(self.world(), Flavour::Reachable).await?,
            Planned::MoveToFullSql => plan(self, &mut operator, Scenario::MoveToFullSql, &source).await?,
            Planned::ProvisionStaging => plan(self, &mut operator, Scenario::ProvisionStaging, &source).await?,
            Planned::Drill => plan(self, &mut operator, Scenario::Drill { keep: false }, &source).await?,
        };
        let made: Plan = migration
            .plan
            .as_ref()
            .context("there is no plan")?
            .read(schema::PLAN)?;
        let path = self.world().dir().join("plan.json");
        std::fs::write(path, serde_json::to_vec_pretty(&made)?)?;
        Ok(match migration.state.as_str() {
            "blocked" => ExitCode::from(EXIT_REFUSED),
            _ => ExitCode::SUCCESS,
        })
    }

    /// Registers the old server's database; answers with how it is called.
    pub(super) async fn register(&self, operator: &mut Operator) -> anyhow::Result<String> {
        let options = self.world().options();
        let host = if options.replaces.is_some() {
            if options.old_service_runs() {
                self.until_service_runs().await?;
            }
            SQL_HOST
        } else {
            OLD_SERVER
        };
        operator.add_database_on(host, &options.database).await?;
        Ok(format!("{host}/{INSTANCE}/{}", options.database))
    }
}

async fn plan(
    lab: &Lab,
    operator: &mut Operator,
    scenario: Scenario,
    source: &str,
) -> anyhow::Result<syncferry_proto::v1::Migration> {
    operator.plan_with(&scenario.plan(lab.world(), source)).await
}
