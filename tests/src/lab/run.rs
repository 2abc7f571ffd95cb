//! A running lab: the world's processes in their order, and the main job from nothing to the report.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::HumanDuration;

use super::host_client::HostClient;
use super::operator::{AtTheGate, Operator, Rest};
use super::processes::{Program, Supervisor};
use super::roles;
use super::world::{HOSTS, NEW_SERVER, OLD_SERVER, SQL_HOST, World, WorldOptions};

/// Refused by findings; the same number as the command line's.
pub(super) const EXIT_REFUSED: u8 = 3;
/// The migration stopped.
pub(super) const EXIT_STOPPED: u8 = 6;
/// It was cancelled.
pub(super) const EXIT_CANCELLED: u8 = 7;

/// A world and its processes.
pub struct Lab {
    world: World,
    supervisor: Supervisor,
    elsewhere: Option<PathBuf>,
}

/// How the main job is run.
#[derive(Debug, Clone)]
pub struct MoveOptions {
    /// What the world is made of, where it is new.
    pub world: WorldOptions,
    /// A person acts at the wizard with `lab wizard`.
    pub attended: bool,
}

impl Lab {
    /// Opens the world of a folder, or builds it.
    pub fn open(exe: &Path, dir: &Path, options: &WorldOptions) -> anyhow::Result<Lab> {
        let dir = std::path::absolute(dir)?;
        let world = if World::exists(&dir) {
            World::open(&dir)?
        } else {
            World::create(&dir, options, |what| println!("  {what}"))?
        };
        let supervisor = Supervisor::new(exe, &dir);
        Ok(Lab {
            world,
            supervisor,
            elsewhere: None,
        })
    }

    /// Another program keeps the new server: a Windows under Wine, for example. It is called `PROGRAM LAB CONFIG`, with
    /// `enrol --token T` or `run` for the agent, and `wizard-opens COMMAND-LINE` and `wizard-closed` around the person's work.
    #[must_use]
    pub fn new_server_elsewhere(mut self, program: Option<PathBuf>) -> Lab {
        self.elsewhere = program;
        self
    }

    /// The world.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The processes.
    pub fn processes(&mut self) -> &mut Supervisor {
        &mut self.supervisor
    }

    /// Leaves the processes running.
    pub fn detach(self) {
        self.supervisor.detach();
    }

    /// Starts the machines and their SQL Servers.
    pub async fn start_stand_ins(&mut self) -> anyhow::Result<()> {
        self.world.fill_drives(false)?;
        for (which, port) in self.world.sql_servers() {
            if which == "source" && self.world.source_is_lost() {
                continue;
            }
            let dir = self.world.sql_dir(which);
            let listen = format!("127.0.0.1:{port}");
            let program = Program {
                name: format!("sql-{which}"),
                arguments: words(&[roles::SQLSERVER, "--listen", &listen, "--dir"], Some(&dir)),
                ready: Some(dir.join("port")),
            };
            self.supervisor.start(program).await?;
        }
        self.world.fill_drives(true)?;
        super::dba::prepare(&self.world).await?;
        self.let_visitors_in().await?;
        for host in self.living() {
            self.start_machine(host).await?;
        }
        Ok(())
    }

    /// Whoever else has a session on the old server's database.
    async fn let_visitors_in(&mut self) -> anyhow::Result<()> {
        let replaces = self.world.options().replaces.is_some();
        if self.world.source_is_lost() {
            return Ok(());
        }
        for visitor in self.world.options().around.visitors.clone() {
            let program = super::visitor::program(&self.world, visitor, replaces);
            self.supervisor.start(program).await?;
        }
        Ok(())
    }

    /// The machines that are switched on.
    fn living(&self) -> Vec<&'static str> {
        let off = self.world.old_server_is_off();
        HOSTS.into_iter().filter(|h| !(off && *h == OLD_SERVER)).collect()
    }

    /// Switches a machine on: what starts with it starts.
    pub(super) async fn start_machine(&mut self, host: &str) -> anyhow::Result<()> {
        let dir = self.world.host_dir(host);
        let program = Program {
            name: format!("host-{}", host.to_ascii_lowercase()),
            arguments: words(&[roles::HOST, "--dir"], Some(&dir)),
            ready: Some(dir.join("port")),
        };
        Ok(self.supervisor.start(program).await?)
    }

    /// Starts the agent of a machine.
    pub(super) async fn start_agent(&mut self, host: &str) -> anyhow::Result<()> {
        let mut arguments = self.agent_arguments(host);
        arguments.push("run".into());
        let program = Program {
            name: format!("agent-{}", host.to_ascii_lowercase()),
            arguments,
            ready: None,
        };
        Ok(self.supervisor.start(program).await?)
    }

    /// Switches the old server's machine off, as a power cut would: its agent and everything on it is gone.
    pub(super) fn switch_off_old_server(&mut self) -> anyhow::Result<()> {
        self.world.switch_old_server(false)?;
        for part in ["agent", "host"] {
            let name = format!("{part}-{}", OLD_SERVER.to_ascii_lowercase());
            if self.supervisor.pid(&name).is_some() {
                self.supervisor.kill(&name)?;
            }
        }
        Ok(())
    }

    /// Switches it on again, with its agent.
    pub(super) async fn switch_on_old_server(&mut self) -> anyhow::Result<()> {
        self.world.switch_old_server(true)?;
        self.start_machine(OLD_SERVER).await?;
        self.start_agent(OLD_SERVER).await
    }

    /// A second operator: added on the controller's own host while it does not run, as it must be.
    pub(super) async fn add_operator(&mut self, name: &str) -> anyhow::Result<PathBuf> {
        let out = self.world.controller_dir().join(format!("{name}.credentials.toml"));
        if out.exists() {
            return Ok(out);
        }
        let config = self.world.controller_dir().join("controller.toml");
        let mut arguments = words(&[roles::CONTROLLER, "--config"], Some(&config));
        arguments.extend([
            "operator".into(),
            "add".into(),
            name.into(),
            "--out".into(),
            out.clone().into(),
        ]);
        self.supervisor.stop("controller").await?;
        self.supervisor.run_to_end("operator-add", arguments).await?;
        self.start_controller().await?;
        Ok(out)
    }

    /// Starts the controller.
    pub async fn start_controller(&mut self) -> anyhow::Result<()> {
        let dir = self.world.controller_dir();
        let mut arguments = words(&[roles::CONTROLLER, "--config"], Some(&dir.join("controller.toml")));
        arguments.push("run".into());
        let program = Program {
            name: "controller".into(),
            arguments,
            ready: Some(dir.join("data").join("address")),
        };
        Ok(self.supervisor.start(program).await?)
    }

    /// Enrols an agent with its token.
    pub async fn enrol(&mut self, host: &str, token: &str) -> anyhow::Result<()> {
        let mut arguments = self.agent_arguments(host);
        arguments.extend(["enrol".into(), "--token".into(), token.into()]);
        let name = format!("agent-{}", host.to_ascii_lowercase());
        Ok(self.supervisor.run_to_end(&name, arguments).await?)
    }

    /// Enrols an agent anew that was enrolled before and does not run, as the message of a quarantine says.
    pub async fn enrol_again(&mut self, host: &str, token: &str) -> anyhow::Result<()> {
        let identity = self.world.agent_dir(host).join("data").join("identity.pem");
        std::fs::rename(&identity, identity.with_extension("pem.old"))?;
        self.enrol(host, token).await
    }

    /// Asks the store whether everything that must hold does. The controller must not run.
    pub async fn audit(&mut self) -> anyhow::Result<()> {
        let config = self.world.controller_dir().join("controller.toml");
        let mut arguments = words(&[roles::CONTROLLER, "--config"], Some(&config));
        arguments.push("audit".into());
        Ok(self.supervisor.run_to_end("audit", arguments).await?)
    }

    /// Starts the agents.
    pub async fn start_agents(&mut self) -> anyhow::Result<()> {
        for host in self.living() {
            self.start_agent(host).await?;
        }
        Ok(())
    }

    fn agent_arguments(&self, host: &str) -> Vec<OsString> {
        let config = self.world.agent_dir(host).join("agent.toml");
        if let Some(program) = self.elsewhere.as_ref().filter(|_| host == NEW_SERVER) {
            let mut arguments = words(&[roles::ELSEWHERE], Some(program));
            arguments.extend([self.world.dir().into(), config.into()]);
            return arguments;
        }
        let mut arguments = words(&[roles::AGENT, "--host-dir"], Some(&self.world.host_dir(host)));
        arguments.push("--config".into());
        arguments.push(config.into());
        arguments
    }

    /// Everything up, site and hosts known, agents enrolled and online.
    pub async fn bring_up(&mut self) -> anyhow::Result<Operator> {
        self.start_stand_ins().await?;
        self.start_controller().await?;
        let mut operator = Operator::open(self.world.credentials())?;
        operator.wait_for_controller().await?;
        operator.add_site().await?;
        for (host, token) in operator.add_hosts(self.world.options().replaces.is_some()).await? {
            self.enrol(&host, &token)
                .await
                .with_context(|| format!("the agent on {host} did not enrol"))?;
            println!("  the agent on {host} has enrolled");
        }
        self.start_agents().await?;
        operator.wait_for_agents_on(&self.living()).await?;
        Ok(operator)
    }

    /// What `lab move-to-full-sql` does.
    pub async fn move_to_full_sql(&mut self, attended: bool) -> anyhow::Result<ExitCode> {
        let all = Instant::now();
        let mut phase = Phase::begin("Three machines, two SQL Servers, a controller, three agents");
        let mut operator = self.bring_up().await?;
        phase.next("The source");
        operator.add_database_named(&self.world.options().database).await?;
        let gate = self.gate(attended);
        phase.next("The plan");
        let migration = match operator.unfinished().await? {
            Some(begun) => {
                println!("  going on with migration {} ({})", begun.id, begun.state);
                operator.planned(&begun.id).await?
            }
            None => operator.plan(&self.world).await?,
        };
        if migration.state == "blocked" {
            println!("\nThe plan is refused; nothing was touched.");
            return Ok(ExitCode::from(EXIT_REFUSED));
        }
        phase.next("The migration");
        if ["planned", "stopped", "stuck"].contains(&migration.state.as_str()) {
            operator.apply(&migration).await?;
        }
        let mut rest = self.watch(&mut operator, &migration.id, &gate).await?;
        if rest == Rest::Stopped && migration.state == "running" {
            // It was interrupted, and a job found that what it talked to had gone. An operator would look and apply again.
            let stopped = operator.migration(&migration.id).await?;
            operator.apply(&stopped).await?;
            rest = self.watch(&mut operator, &migration.id, &gate).await?;
        }
        phase.next("The evidence");
        operator.report(&migration.id, self.world.dir()).await?;
        operator.show_leases().await?;
        phase.end();
        println!("\nAll of it took {}.", HumanDuration(all.elapsed()));
        Ok(match rest {
            Rest::Succeeded => {
                println!(
                    "{SQL_HOST} has the database, {NEW_SERVER} runs on it in staging mode, {OLD_SERVER} is as it was."
                );
                ExitCode::SUCCESS
            }
            Rest::Refused => ExitCode::from(EXIT_REFUSED),
            Rest::Stopped => ExitCode::from(EXIT_STOPPED),
            Rest::Cancelled => ExitCode::from(EXIT_CANCELLED),
        })
    }

    /// Watches, and meanwhile does what a service manager does.
    pub(super) async fn watch(&mut self, operator: &mut Operator, id: &str, gate: &AtTheGate) -> anyhow::Result<Rest> {
        tokio::select! {
            rest = operator.watch(id, gate) => rest,
            failed = self.supervisor.keep_alive(|line| eprintln!("  {line}")) => match failed? {},
        }
    }

    /// Who is asked for the new server's wizard.
    fn new_server(&self) -> HostClient {
        let client = HostClient::new(&self.world.host_dir(NEW_SERVER));
        match &self.elsewhere {
            Some(program) => client.beside(
                program.clone(),
                self.world.dir(),
                &self.world.agent_dir(NEW_SERVER).join("agent.toml"),
            ),
            None => client,
        }
    }

    pub(super) fn gate(&self, attended: bool) -> AtTheGate {
        if attended {
            println!(
                "\nAt the gate it is your turn. In another terminal:\n  lab wizard --dir {}",
                self.world.dir().display()
            );
            return AtTheGate::Attended;
        }
        // On a terminal somebody may want to read along.
        let read_along = std::io::stdout().is_terminal() && !self.world.options().fast;
        AtTheGate::Played {
            host: self.new_server(),
            pause: Duration::from_millis(if read_along { 600 } else { 0 }),
            sql: [
                (OLD_SERVER, self.world.ports().sql_source),
                (SQL_HOST, self.world.ports().sql_target),
            ]
            .map(|(host, port)| (host.to_string(), port))
            .into(),
        }
    }
}

/// Says how long each part took.
pub(super) struct Phase {
    name: &'static str,
    began: Instant,
}

impl Phase {
    pub(super) fn begin(name: &'static str) -> Phase {
        println!("\n== {name}");
        Phase {
            name,
            began: Instant::now(),
        }
    }

    pub(super) fn next(&mut self, name: &'static str) {
        self.end();
        *self = Phase::begin(name);
    }

    pub(super) fn end(&self) {
        println!("-- {}: {:.1} s", self.name, self.began.elapsed().as_secs_f64());
    }
}

fn words(words: &[&str], path: Option<&Path>) -> Vec<OsString> {
    let words = words.iter().map(OsString::from);
    words.chain(path.map(|p| p.as_os_str().to_owned())).collect()
}
