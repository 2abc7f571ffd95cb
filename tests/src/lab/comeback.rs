//! A replaced server that comes back with its service on automatic: how soon the alarm is raised, and whether SQL Server lets it
//! in.

use std::time::{Duration, Instant};

use anyhow::Context;
use syncferry_proto::{schema, v1};
use syncferry_shared::Finding;

use super::flavour::Flavour;
use super::host::services::ServiceAction;
use super::host_client::HostClient;
use super::operator::Operator;
use super::run::Lab;
use super::world::OLD_SERVER;

/// The alarm has to be there by then.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Lab {
    /// Lets the old server come back, waits for the alarms, and puts it out again.
    pub(super) async fn comeback(&mut self, operator: &mut Operator, flavour: Flavour) -> anyhow::Result<()> {
        let host = HostClient::new(&self.world().host_dir(OLD_SERVER));
        let began = Instant::now();
        if flavour.is_dead() {
            println!("  {OLD_SERVER} is switched on; its service starts automatically, as it always did.");
            self.switch_on_old_server().await?;
        } else {
            println!("  somebody sets the service on {OLD_SERVER} to automatic and starts it.");
            host.control_service(ServiceAction::Enable).await?;
            host.control_service(ServiceAction::Start).await?;
        }
        let raised = tokio::select! {
            raised = alarm(operator, began, "old-server-alive") => raised?,
            failed = self.processes().keep_alive(|line| eprintln!("  {line}")) => match failed? {},
        };
        println!(
            "  old-server-alive after {:.1} s: {}",
            raised.1.as_secs_f64(),
            title(&raised.0)?
        );
        if flavour.can_be_fenced() {
            let service = host.service().await?;
            let state = service.map_or("not there", |s| s.state.as_str());
            anyhow::ensure!(
                state != "running",
                "the service on {OLD_SERVER} got in although it is fenced"
            );
            let open = operator.alarms().await?;
            anyhow::ensure!(
                !open.iter().any(|a| a.kind == "foreign-session"),
                "{OLD_SERVER} has a session although it is fenced"
            );
            println!("  SQL Server refuses it: its service is {state}, and no session of it is on the database.");
        } else {
            let foreign = tokio::select! {
                raised = alarm(operator, began, "foreign-session") => raised?,
                failed = self.processes().keep_alive(|line| eprintln!("  {line}")) => match failed? {},
            };
            println!(
                "  foreign-session after {:.1} s: {}",
                foreign.1.as_secs_f64(),
                title(&foreign.0)?
            );
            println!(
                "  SQL Server does not refuse it: nothing but the alarm stands between two servers and one database."
            );
        }
        // Shown as an operator sees it; the exit code says that there are alarms.
        let exit = operator.type_in(&["alarms"]).await;
        println!("  exit code {}", exit.code());
        println!("  {OLD_SERVER} is put out again, as the alarm says.");
        host.control_service(ServiceAction::Disable).await?;
        let _ = host.control_service(ServiceAction::Stop).await;
        Ok(())
    }
}

fn title(alarm: &v1::Alarm) -> anyhow::Result<String> {
    let finding: Finding = alarm
        .finding
        .as_ref()
        .context("the alarm has no finding")?
        .read(schema::FINDING)?;
    Ok(format!("{}. {}", finding.title, finding.next_step))
}

/// Waits for an alarm; answers with it and how long it took.
async fn alarm(operator: &mut Operator, began: Instant, kind: &str) -> anyhow::Result<(v1::Alarm, Duration)> {
    loop {
        let found = operator.alarms().await?.into_iter().find(|a| a.kind == kind);
        let took = began.elapsed();
        if let Some(alarm) = found {
            anyhow::ensure!(took <= LIMIT, "{kind} was raised only after {took:?}");
            return Ok((alarm, took));
        }
        anyhow::ensure!(took <= LIMIT, "{kind} was not raised within {} s", LIMIT.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
