//! `lab replace-server`: the database stays on its SQL Server, its Connect server is replaced in one of four flavours, and then
//! the old one comes back.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::HumanDuration;

use super::flavour::Flavour;
use super::host_client::HostClient;
use super::operator::{AtTheGate, Hands, Operator, Rest};
use super::run::{EXIT_CANCELLED, EXIT_REFUSED, EXIT_STOPPED, Lab, Phase};
use super::world::{NEW_SERVER, OLD_SERVER, SQL_HOST};

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Lab {
    /// What `lab replace-server` does.
    pub async fn replace_server(&mut self, attended: bool, think: Duration) -> anyhow::Result<ExitCode> {
        let all = Instant::now();
        let options = self.world().options().clone();
        let Some(flavour) = options.replaces else {
            anyhow::bail!("the lab in {} is not for replace-server", self.world().dir().display());
        };
        let mut phase = Phase::begin("Three machines, one SQL Server, a controller, three agents");
        let mut operator = self.bring_up().await?;
        let second = match flavour {
            Flavour::TwoPeople => Some(self.add_operator("dora").await?),
            _ => None,
        };
        operator.wait_for_controller().await?;
        phase.next("The database, and who uses it");
        let begun = operator.unfinished().await?;
        // In a folder where it was replaced already, the old server is out.
        if operator.newest().await?.is_none() {
            self.until_service_runs().await?;
            operator.add_database_on(SQL_HOST, &options.database).await?;
        }
        if flavour.is_dead() && !self.world().old_server_is_off() && begun.is_none() {
            phase.next("The old server dies");
            println!("  {OLD_SERVER} is switched off as a power cut would: nothing on it says goodbye.");
            self.switch_off_old_server()?;
            self.until_silent(&mut operator).await?;
        }
        phase.next("The plan");
        let migration = match begun {
            Some(begun) => {
                println!("  going on with migration {} ({})", begun.id, begun.state);
                operator.planned(&begun.id).await?
            }
            None => operator.plan_replacement(self.world(), flavour).await?,
        };
        if migration.state == "blocked" {
            println!("\nThe plan is refused; nothing was touched.");
            return Ok(ExitCode::from(EXIT_REFUSED));
        }
        phase.next("The migration");
        let gate = self.gate(attended);
        let hands = Hands { flavour, second, think };
        if ["planned", "stopped", "stuck"].contains(&migration.state.as_str()) {
            operator.apply(&migration).await?;
        }
        let mut rest = self.watch_hands(&mut operator, &migration.id, &gate, &hands).await?;
        if rest == Rest::Stopped && migration.state == "running" {
            // It was interrupted, and a job found that what it talked to had gone. An operator would look and apply again.
            let stopped = operator.migration(&migration.id).await?;
            operator.apply(&stopped).await?;
            rest = self.watch_hands(&mut operator, &migration.id, &gate, &hands).await?;
        }
        phase.next("The evidence");
        operator.report(&migration.id, self.world().dir()).await?;
        operator.show_leases().await?;
        if rest != Rest::Succeeded {
            phase.end();
            return Ok(ExitCode::from(match rest {
                Rest::Refused => EXIT_REFUSED,
                Rest::Cancelled => EXIT_CANCELLED,
                _ => EXIT_STOPPED,
            }));
        }
        println!("{NEW_SERVER} runs on the database in staging mode and holds it; {OLD_SERVER} is out.");
        phase.next("The old server comes back");
        self.comeback(&mut operator, flavour).await?;
        phase.end();
        println!("\nAll of it took {}.", HumanDuration(all.elapsed()));
        Ok(ExitCode::SUCCESS)
    }

    /// Watches, and meanwhile does what a service manager does.
    async fn watch_hands(
        &mut self,
        operator: &mut Operator,
        id: &str,
        gate: &AtTheGate,
        hands: &Hands,
    ) -> anyhow::Result<Rest> {
        tokio::select! {
            rest = operator.watch_with(id, gate, Some(hands)) => rest,
            failed = self.processes().keep_alive(|line| eprintln!("  {line}")) => match failed? {},
        }
    }

    /// The old server's service needs a moment to find its database.
    pub(super) async fn until_service_runs(&self) -> anyhow::Result<()> {
        let host = HostClient::new(&self.world().host_dir(OLD_SERVER));
        let until = Instant::now() + PATIENCE;
        while !host.service_runs().await? {
            anyhow::ensure!(Instant::now() < until, "the service on {OLD_SERVER} does not run");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn until_silent(&self, operator: &mut Operator) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while operator.agent_state(OLD_SERVER).await? == "online" {
            anyhow::ensure!(Instant::now() < until, "the agent on {OLD_SERVER} is not called silent");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        println!("  its agent is not in touch any more.");
        Ok(())
    }
}
