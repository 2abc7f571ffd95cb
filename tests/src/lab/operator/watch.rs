//! The migration: plan, apply, watch, the gate, the report.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use syncferry_cli::Exit;
use syncferry_proto::{schema, v1};
use syncferry_shared::Severity;
use syncferry_shared::aftercare::Checklist;
use syncferry_shared::card::Card;
use syncferry_shared::plan::Plan;

use super::replace::Hands;
use super::{Operator, Rest};
use crate::lab::host_client::HostClient;
use crate::lab::person;
use crate::lab::typed::Scenario;
use crate::lab::world::{NEW_SERVER, OLD_SERVER, SITE, World};

pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often a person goes through the wizard for one gate.
const MOST_TRIES: u32 = 3;

/// Who acts at the gate.
#[derive(Debug, Clone)]
pub enum AtTheGate {
    /// The lab plays the person.
    Played {
        /// The new Connect server.
        host: HostClient,
        /// How long a page is looked at.
        pause: Duration,
        /// Where the DBA finds the SQL Server of a host.
        sql: BTreeMap<String, u16>,
    },
    /// Somebody else does, with `lab wizard`.
    Attended,
}

impl Operator {
    /// The migration to go on with, if one was begun and not ended.
    pub async fn unfinished(&mut self) -> anyhow::Result<Option<v1::Migration>> {
        let request = v1::ListMigrationsRequest { site: SITE.into() };
        let all = self.client.list_migrations(request).await?.into_inner().migrations;
        let ended = ["succeeded", "cancelled", "blocked"];
        Ok(all.into_iter().find(|m| !ended.contains(&m.state.as_str())))
    }

    /// Makes a plan and shows it with every finding; answers with the migration.
    pub async fn plan(&mut self, world: &World) -> anyhow::Result<v1::Migration> {
        let databases = self
            .client
            .list_databases(v1::ListDatabasesRequest { site: SITE.into() })
            .await?
            .into_inner();
        let source = databases.databases.iter().find(|d| d.host == OLD_SERVER);
        let source = source.context("the source is not registered")?.id.clone();
        let words = Scenario::MoveToFullSql.plan(world, &source);
        self.plan_with(&words).await
    }

    /// Types a plan in, shows it with every finding, and answers with the migration.
    pub async fn plan_with(&mut self, words: &[String]) -> anyhow::Result<v1::Migration> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let exit = self.type_in(&words).await;
        anyhow::ensure!(
            matches!(exit, Exit::Ok | Exit::Refused),
            "the plan was not made (exit code {})",
            exit.code()
        );
        let request = v1::ListMigrationsRequest { site: SITE.into() };
        let all = self.client.list_migrations(request).await?.into_inner().migrations;
        let newest = all.first().context("there is no migration")?.id.clone();
        self.planned(&newest).await
    }

    /// Waits until a plan is made.
    pub async fn planned(&mut self, id: &str) -> anyhow::Result<v1::Migration> {
        loop {
            let migration = self.migration(id).await?;
            if migration.state != "inspecting" {
                return Ok(migration);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Applies a plan, accepting its warnings: whoever runs the lab has read them just now.
    pub async fn apply(&mut self, migration: &v1::Migration) -> anyhow::Result<()> {
        let plan: Plan = migration
            .plan
            .as_ref()
            .context("there is no plan")?
            .read(schema::PLAN)?;
        let mut warnings: Vec<&str> = Vec::new();
        for finding in plan.findings.iter().filter(|f| f.severity == Severity::Warning) {
            if !warnings.contains(&finding.rule.as_str()) {
                warnings.push(&finding.rule);
            }
        }
        let accepted = warnings.join(",");
        let mut words = vec![
            "apply",
            migration.id.as_str(),
            "--digest",
            &migration.plan_digest,
            "--yes",
        ];
        if !accepted.is_empty() {
            words.extend(["--accept", &accepted]);
        }
        if ["stopped", "stuck"].contains(&migration.state.as_str()) {
            words.extend(["--reason", "the lab goes on"]);
        } else if !accepted.is_empty() {
            words.extend(["--reason", "whoever runs the lab has read them"]);
        }
        self.must(&words).await
    }

    /// Watches until the migration rests; at the gate, a person acts.
    pub async fn watch(&mut self, id: &str, gate: &AtTheGate) -> anyhow::Result<Rest> {
        self.watch_with(id, gate, None).await
    }

    /// The same; and where a lease has to change hands, operators bring that about.
    pub async fn watch_with(&mut self, id: &str, gate: &AtTheGate, hands: Option<&Hands>) -> anyhow::Result<Rest> {
        let (mut tries, mut seen) = (std::collections::HashMap::<String, u32>::new(), 0);
        loop {
            let after = seen.to_string();
            let mut words = vec!["watch", id];
            if seen > 0 {
                words.extend(["--after", &after]);
            }
            if matches!(gate, AtTheGate::Played { .. }) {
                words.push("--until-gate");
            }
            seen = self.type_watch(&words).await.max(seen);
            if let Some(rest) = self.rest(id).await? {
                return Ok(rest);
            }
            if let Some(hands) = hands {
                self.lend(hands, id).await?;
            }
            let open = self.gates(id).await.unwrap_or_default();
            if let (AtTheGate::Played { host, pause, sql }, Some(open)) =
                (gate, open.iter().find(|g| g.state == "open"))
            {
                let tried = tries.entry(open.id.clone()).or_default();
                *tried += 1;
                anyhow::ensure!(
                    *tried <= MOST_TRIES,
                    "the agent does not see what the person did: {}",
                    open.observation
                );
                if open.title.starts_with("Have a DBA ") {
                    self.have_a_dba(open, sql).await?;
                } else {
                    self.act(open, host, *pause).await?;
                }
            }
        }
    }

    /// The items of a migration's checklist that matter and are open.
    pub(in crate::lab) async fn left_to_do(&mut self, migration: &str) -> anyhow::Result<Vec<String>> {
        let request = v1::GetChecklistRequest {
            migration: migration.to_string(),
            look: false,
        };
        let answer = self.client.get_checklist(request).await?.into_inner();
        let list: Checklist = answer.checklist.context("no checklist")?.read(schema::CHECKLIST)?;
        Ok(list.open_that_matter().map(|i| i.id.clone()).collect())
    }

    /// Has the agents look, and says whether these items are done by then.
    pub(in crate::lab) async fn sees_done(&mut self, migration: &str, items: &[&str]) -> anyhow::Result<bool> {
        let request = v1::GetChecklistRequest {
            migration: migration.to_string(),
            look: true,
        };
        let answer = self.client.get_checklist(request).await?.into_inner();
        let list: Checklist = answer.checklist.context("no checklist")?.read(schema::CHECKLIST)?;
        Ok(items.iter().all(|i| list.item(i).is_some_and(|i| i.state.is_done())))
    }

    /// The migrations of the site, the newest first.
    pub async fn migrations(&mut self) -> anyhow::Result<Vec<v1::Migration>> {
        let request = v1::ListMigrationsRequest { site: SITE.into() };
        Ok(self.client.list_migrations(request).await?.into_inner().migrations)
    }

    /// The newest migration of the site.
    pub async fn newest(&mut self) -> anyhow::Result<Option<v1::Migration>> {
        let request = v1::ListMigrationsRequest { site: SITE.into() };
        let all = self.client.list_migrations(request).await?.into_inner().migrations;
        Ok(all.into_iter().next())
    }

    /// The history of a stream after an event.
    pub async fn history(&mut self, kind: &str, id: &str, after: i64) -> anyhow::Result<Vec<v1::Event>> {
        let request = v1::ListEventsRequest {
            stream_kind: kind.to_string(),
            stream_id: id.to_string(),
            after_seq: after,
            limit: 0,
        };
        Ok(self.client.list_events(request).await?.into_inner().events)
    }

    /// Cancels a migration, as `syncferry cancel` does.
    pub async fn cancel(&mut self, id: &str, reason: &str) -> Result<v1::Migration, tonic::Status> {
        let request = v1::CancelRequest {
            migration: id.to_string(),
            reason: reason.to_string(),
        };
        Ok(self.client.cancel(request).await?.into_inner())
    }

    /// All leases.
    pub async fn leases(&mut self) -> anyhow::Result<Vec<v1::Lease>> {
        let answer = self.client.list_leases(v1::ListLeasesRequest {}).await?;
        Ok(answer.into_inner().leases)
    }

    /// How the migration rests; `None` while it does not.
    async fn rest(&mut self, id: &str) -> anyhow::Result<Option<Rest>> {
        let Ok(migration) = self.migration(id).await else {
            // The controller is away for a moment.
            self.wait_for_controller().await?;
            return Ok(None);
        };
        Ok(match migration.state.as_str() {
            "succeeded" => Some(Rest::Succeeded),
            "blocked" | "planned" => Some(Rest::Refused),
            "stopped" | "stuck" => Some(Rest::Stopped),
            "cancelled" => Some(Rest::Cancelled),
            _ => {
                tokio::time::sleep(LOOK_EVERY).await;
                None
            }
        })
    }

    /// Its open gates.
    pub async fn gates(&mut self, migration: &str) -> anyhow::Result<Vec<v1::Gate>> {
        let request = v1::ListGatesRequest {
            migration: migration.to_string(),
            open_only: true,
        };
        Ok(self.client.list_gates(request).await?.into_inner().gates)
    }

    /// Plays the DBA: runs what the card says, as it stands, on the SQL Server of the gate's host.
    async fn have_a_dba(&mut self, gate: &v1::Gate, sql: &BTreeMap<String, u16>) -> anyhow::Result<()> {
        let cards: Vec<Card> = gate
            .cards
            .as_ref()
            .context("the gate has no cards")?
            .read(schema::CARDS)?;
        let port = *sql.get(&gate.host).context("there is no SQL Server on that host")?;
        let fields = cards.iter().flat_map(|c| &c.fields);
        for field in fields.filter(|f| f.exact && f.label == "T-SQL") {
            println!("\nThe DBA runs on {}:\n{}", gate.host, field.value);
            crate::lab::dba::run(port, &field.value).await?;
        }
        self.type_in(&["gate", "complete", &gate.id]).await;
        Ok(())
    }

    /// Plays the person: the wizard first, then the word that it is done.
    pub async fn act(&mut self, gate: &v1::Gate, host: &HostClient, pause: Duration) -> anyhow::Result<()> {
        let cards: Vec<Card> = gate
            .cards
            .as_ref()
            .context("the gate has no cards")?
            .read(schema::CARDS)?;
        let here = host.of(&gate.host);
        if gate.title.starts_with("Put ") || gate.title.starts_with("Take ") {
            let on = gate.title.starts_with("Put ");
            println!(
                "\nThe person on {} turns staging mode {} in the wizard.",
                gate.host,
                if on { "on" } else { "off" }
            );
            here.set_staging_mode(on).await?;
        } else if gate.title.starts_with("Uninstall ") {
            println!("\nThe person on {} uninstalls Connect.", gate.host);
            here.remove_connect().await?;
        } else if ["Review ", "Close ", "Document "]
            .iter()
            .any(|t| gate.title.starts_with(t))
        {
            println!("\nThe operator reads:");
            for card in &cards {
                println!("  {}", card.page);
                for field in &card.fields {
                    println!("    {}: {}", field.label, field.value);
                }
            }
        } else {
            println!("\nThe person on {} works through the wizard:", gate.host);
            // The new server may be kept by another program than the lab.
            let at = if gate.host == NEW_SERVER { host } else { &here };
            person::work_through(at, &cards, pause, |line| println!("{line}")).await?;
        }
        let exit = self.type_in(&["gate", "complete", &gate.id]).await;
        if exit != Exit::Ok {
            // The agent may have seen it before anybody said so.
            let open = self.gates(&gate.migration_id).await?;
            anyhow::ensure!(
                !open.iter().any(|g| g.id == gate.id),
                "the gate was not completed (exit code {})",
                exit.code()
            );
        }
        Ok(())
    }

    /// Writes the evidence report: a page for people, JSON for whoever checks its chain.
    pub async fn report(&mut self, id: &str, dir: &Path) -> anyhow::Result<()> {
        let (html, json) = (dir.join("report.html"), dir.join("report.json"));
        let (html, json) = (html.to_string_lossy(), json.to_string_lossy());
        self.must(&["report", id, "--html", &html]).await?;
        self.ask(&["report", id, &json]).await?;
        Ok(())
    }
}
