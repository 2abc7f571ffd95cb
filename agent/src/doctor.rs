//! `syncferry-agent doctor`: everything that an operator would ring about, looked at before anybody rings. Changes nothing.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use syncferry_proto::transport::{Dial, ExpectedPeer, Profile, connect, private_file};
use syncferry_proto::v1;
use syncferry_shared::clock::{Clock as _, Millis};

use crate::clocks::SystemClocks;
use crate::config::Config;
use crate::controller::{CallError, Controller as _};
use crate::host::{Host, HostError};
use crate::identity::Enrolled;
use crate::instances::{Instance, Instances};
use crate::os::Native;
use crate::service;
use crate::session::Remote;
use crate::sql::{Role, SqlEndpoint, SqlSession, ops};

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Less than this is too little for any backup of a real ADSync.
const LITTLE_SPACE: u64 = 10 << 30;
/// A clock that is off by more breaks Kerberos.
const CLOCK_LIMIT_MS: i64 = 5 * 60 * 1000;
/// .NET Framework 4.7.2, which Connect demands.
const DOTNET_472: i64 = 461_808;

/// What a look says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// In order.
    Good,
    /// Not needed here, or for somebody to know.
    Note,
    /// It works, and somebody should look.
    Warning,
    /// It does not work.
    Bad,
    /// It could not be seen. Never the same as in order.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// What it says.
    pub verdict: Verdict,
    /// What was seen.
    pub saw: String,
    /// What to do; empty where nothing is to be done.
    pub next_step: String,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The agent's version.
    pub version: &'static str,
    /// By the host's clock.
    pub taken_at: Millis,
    /// In the order in which one depends on the other.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether something does not work.
    pub fn has_bad(&self) -> bool {
        self.checks.iter().any(|c| c.verdict == Verdict::Bad)
    }

    fn add(&mut self, name: impl Into<String>, verdict: Verdict, saw: impl Into<String>, next_step: impl Into<String>) {
        self.checks.push(Check {
            name: name.into(),
            verdict,
            saw: saw.into(),
            next_step: next_step.into(),
        });
    }

    fn good(&mut self, name: impl Into<String>, saw: impl Into<String>) {
        self.add(name, Verdict::Good, saw, "");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let mark = match check.verdict {
                Verdict::Good => "ok     ",
                Verdict::Note => "note   ",
                Verdict::Warning => "WARNING",
                Verdict::Bad => "BAD    ",
                Verdict::Unknown => "unknown",
            };
            writeln!(f, "{mark}  {}: {}", check.name, check.saw)?;
            if !check.next_step.is_empty() {
                writeln!(f, "         -> {}", check.next_step)?;
            }
        }
        let count = |v: Verdict| self.checks.iter().filter(|c| c.verdict == v).count();
        writeln!(
            f,
            "{} in order, {} to look at, {} not working, {} not seen",
            count(Verdict::Good) + count(Verdict::Note),
            count(Verdict::Warning),
            count(Verdict::Bad),
            count(Verdict::Unknown)
        )
    }
}

/// Looks at everything.
pub async fn look(config_path: &Path) -> Report {
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        taken_at: SystemClocks.now(),
        checks: Vec::new(),
    };
    machine(&mut report).await;
    service_state(&mut report);
    match Config::load(config_path, |k| std::env::var(k).ok()) {
        Ok(config) => {
            report.good("configuration", config_path.display().to_string());
            data_dir(&mut report, &config);
            staging(&mut report, &config).await;
            controller(&mut report, &config).await;
            databases(&mut report, &config).await;
        }
        Err(e) => report.add(
            "configuration",
            Verdict::Bad,
            e.to_string(),
            "Correct the file, or name another one with --config; docs/samples/agent.toml explains every field.",
        ),
    }
    connect_here(&mut report).await;
    #[cfg(windows)]
    windows(&mut report).await;
    report
}

async fn machine(report: &mut Report) {
    let facts = match Native.facts().await {
        Ok(facts) => facts,
        Err(e) => {
            return report.add(
                "machine",
                Verdict::Bad,
                e.to_string(),
                "Run the agent as an account that may read this.",
            );
        }
    };
    let domain = facts.domain.as_deref().unwrap_or("no domain");
    report.good(
        "machine",
        format!("{}, {} {}, {domain}", facts.computer_name, facts.os, facts.os_version),
    );
    if !cfg!(windows) {
        return;
    }
    match facts.tls12 {
        Some(true) => report.good("TLS 1.2", "switched on for clients and for .NET"),
        Some(false) => report.add(
            "TLS 1.2",
            Verdict::Bad,
            "switched off for clients or for .NET",
            "Connect needs it. Set the registry values of Microsoft's page 'TLS 1.2 enforcement for Microsoft Entra Connect', and restart the host.",
        ),
        None => report.add(
            "TLS 1.2",
            Verdict::Note,
            "not set explicitly; the default of this Windows and .NET counts",
            "On a Connect server, set it explicitly as Microsoft's page says.",
        ),
    }
    match facts.dotnet_release {
        Some(release) if release >= DOTNET_472 => report.good(".NET Framework", format!("release {release}")),
        Some(release) => report.add(
            ".NET Framework",
            Verdict::Warning,
            format!("release {release}, older than 4.7.2 ({DOTNET_472})"),
            "On a Connect server, install .NET Framework 4.7.2 or newer.",
        ),
        None => report.add(
            ".NET Framework",
            Verdict::Unknown,
            "no release number in the registry",
            "Needed on a Connect server only.",
        ),
    }
}

fn service_state(report: &mut Report) {
    match service::status() {
        Ok(status) if !status.installed => report.add(
            "service",
            Verdict::Warning,
            "the agent is no service of this machine",
            "Run 'syncferry-agent install', so that it starts with the machine.",
        ),
        Ok(status) if status.runs() => report.good(
            "service",
            format!("{}, starts: {}, as {}", status.state, status.start, status.account),
        ),
        Ok(status) => report.add(
            "service",
            Verdict::Bad,
            format!("{}, starts: {}, as {}", status.state, status.start, status.account),
            "Start it, and look at its log when it does not stay.",
        ),
        Err(e) => report.add(
            "service",
            Verdict::Unknown,
            e.to_string(),
            "Run doctor with an administrator's rights.",
        ),
    }
}

fn data_dir(report: &mut Report, config: &Config) {
    let shown = config.data_dir.display().to_string();
    if !config.data_dir.exists() {
        return report.add(
            "data",
            Verdict::Warning,
            format!("{shown} does not exist"),
            "Enrolment makes it: run 'syncferry-agent enrol'.",
        );
    }
    match private_file::check_directory(&config.data_dir) {
        Ok(()) => report.good("data", format!("{shown} is this agent's alone")),
        Err(e) => report.add(
            "data",
            Verdict::Bad,
            e.to_string(),
            "Nobody but the agent's account, the system and administrators may read there: keys lie in it.",
        ),
    }
}

async fn staging(report: &mut Report, config: &Config) {
    match Native.free_space(&config.staging_dir).await {
        Ok(free) if free < LITTLE_SPACE => report.add(
            "staging",
            Verdict::Warning,
            format!("{} has {} free", config.staging_dir, gib(free)),
            "A backup has about the size of the used pages: an ADSync at its limit in LocalDB has 10 GB. The plan says how much is needed.",
        ),
        Ok(free) => report.good("staging", format!("{} has {} free", config.staging_dir, gib(free))),
        Err(e) => report.add("staging", Verdict::Bad, e.to_string(), "Name a folder on a drive that exists as staging_dir."),
    }
}

fn gib(bytes: u64) -> String {
    format!("{}.{} GiB", bytes >> 30, ((bytes & ((1 << 30) - 1)) * 10) >> 30)
}

async fn controller(report: &mut Report, config: &Config) {
    let enrolled = match Enrolled::load(&config.data_dir) {
        Ok(enrolled) => enrolled,
        Err(e) => {
            report.add(
                "identity",
                Verdict::Bad,
                e.to_string(),
                "An operator makes a token with 'syncferry host add'; then run 'syncferry-agent enrol'.",
            );
            return reach(report, &config.controller).await;
        }
    };
    let certificate = enrolled.identity.certificate();
    let now = SystemClocks.now();
    let name = &enrolled.enrolment.host_name;
    let left = certificate.not_after.since(now);
    if now < certificate.not_before {
        report.add(
            "identity",
            Verdict::Bad,
            format!("{name}: the certificate is not valid yet"),
            "This host's clock is behind: correct it.",
        );
    } else if left < 0 {
        report.add(
            "identity",
            Verdict::Bad,
            format!("{name}: the certificate has expired"),
            "Enrol again with a new token ('syncferry host add'). Is this host's clock right?",
        );
    } else {
        report.good(
            "identity",
            format!(
                "{name}, certificate {}, {} days left",
                certificate.generation + 1,
                left / 86_400_000
            ),
        );
    }
    let dial = Dial {
        endpoint: config.controller.clone(),
        ca_pem: enrolled.ca_pem.clone(),
        identity: Some(enrolled.identity.clone()),
        expected: ExpectedPeer::Controller,
        profile: Profile::Control,
    };
    let channel = match connect(dial) {
        Ok(channel) => channel,
        Err(e) => {
            return report.add(
                "controller",
                Verdict::Bad,
                e.to_string(),
                "Correct 'controller' in the configuration.",
            );
        }
    };
    // A question without content: whatever the controller answers, it answered over TLS, to this agent.
    let remote = Remote::new(channel);
    let asked = remote.authorize(v1::AuthorizeRequest::default());
    match tokio::time::timeout(LIMIT, asked).await {
        Ok(Err(CallError::Unreachable(why))) => report.add(
            "controller",
            Verdict::Bad,
            format!("{}: {why}", config.controller),
            "Is the controller running, is the name right, and is its port open from here?",
        ),
        Ok(Err(CallError::Denied(why))) => report.add(
            "controller",
            Verdict::Bad,
            format!("{} does not take this agent: {why}", config.controller),
            "Enrol again with a new token ('syncferry host add').",
        ),
        Ok(_) => report.good(
            "controller",
            format!("{} answers this agent over TLS", config.controller),
        ),
        Err(_) => report.add(
            "controller",
            Verdict::Bad,
            format!("{} does not answer within {} s", config.controller, LIMIT.as_secs()),
            "Something between drops packets: a firewall, or a proxy that wants to look into TLS.",
        ),
    }
}

/// Without an identity only the way can be looked at.
async fn reach(report: &mut Report, endpoint: &str) {
    let Some((host, port)) = endpoint
        .rsplit_once(':')
        .and_then(|(h, p)| Some((h.trim_matches(['[', ']']), p.parse().ok()?)))
    else {
        return;
    };
    match Native.reach(host, port).await {
        Ok(()) => report.good("controller", format!("{endpoint} takes connections")),
        Err(e) => report.add(
            "controller",
            Verdict::Bad,
            e.to_string(),
            "Is the controller running, is the name right, and is its port open from here?",
        ),
    }
}

async fn databases(report: &mut Report, config: &Config) {
    let instances = match Instances::new(&config.sql) {
        Ok(instances) => instances,
        Err(e) => {
            return report.add(
                "SQL Server",
                Verdict::Bad,
                e.to_string(),
                "Correct [[sql]] in the configuration.",
            );
        }
    };
    let names: Vec<String> = instances.names().map(str::to_string).collect();
    if names.is_empty() {
        return report.add(
            "SQL Server",
            Verdict::Note,
            "no instance is configured",
            "On a SQL host, and on a server with LocalDB, name its instances as [[sql]].",
        );
    }
    for name in names {
        if let Ok(instance) = instances.get(&name) {
            database(report, instance).await;
        }
    }
}

async fn database(report: &mut Report, instance: &Instance) {
    let name = format!("SQL Server '{}'", instance.sql.name);
    let looked = async {
        let mut session = SqlSession::connect(&instance.sql, Role::Work).await?;
        let facts = ops::probe_instance(&mut session, &instance.sql, &SystemClocks).await;
        session.close().await;
        facts
    };
    let facts = match tokio::time::timeout(LIMIT, looked).await {
        Ok(Ok(facts)) => facts,
        Ok(Err(e)) => {
            let next = match &instance.sql.endpoint {
                SqlEndpoint::LocalDb { .. } => format!(
                    "{} A LocalDB instance must be shared (SqlLocalDB share), and runs only while its owner's session does.",
                    e.finding().next_step
                ),
                _ => e.finding().next_step,
            };
            return report.add(name, Verdict::Bad, format!("{}: {e}", instance.sql.endpoint), next);
        }
        Err(_) => {
            return report.add(
                name,
                Verdict::Bad,
                format!("{} does not answer within {} s", instance.sql.endpoint, LIMIT.as_secs()),
                "Is the engine running, and its port open from here?",
            );
        }
    };
    let as_whom = format!("{} {}, as {}", facts.edition, facts.product_version, facts.login);
    if facts.clock_offset_ms.abs() > CLOCK_LIMIT_MS {
        report.add(
            format!("{name}: clock"),
            Verdict::Bad,
            format!("{} s away from this host's", facts.clock_offset_ms / 1000),
            "Correct the clock of the host that is wrong: Kerberos ends at five minutes.",
        );
    }
    if facts.can_view_state {
        report.good(name, as_whom);
    } else {
        report.add(
            name,
            Verdict::Warning,
            format!("{as_whom}; other people's sessions are not seen"),
            "Grant VIEW SERVER STATE to this login: without it nobody can prove that a database is not in use.",
        );
    }
}

async fn connect_here(report: &mut Report) {
    match Native.connect_facts().await {
        Ok(facts) => {
            let Some(product) = facts.products.first() else {
                return report.add("Microsoft Entra Connect", Verdict::Note, "not installed here", "");
            };
            let state = facts.service.as_ref().map_or("no service".to_string(), |s| {
                format!("ADSync is {}, starts: {}", s.state, s.start)
            });
            let saw = format!("{} {}, {state}", product.name, product.version);
            let runs = facts.service.as_ref().is_some_and(|s| s.state == "running");
            if runs && facts.scheduler.is_none() {
                report.add(
                    "Microsoft Entra Connect",
                    Verdict::Bad,
                    format!("{saw}; Get-ADSyncScheduler does not answer"),
                    "The agent's account must be a member of ADSyncAdmins or ADSyncOperators, and the ADSync module must load in Windows PowerShell 5.1.",
                );
            } else {
                report.good("Microsoft Entra Connect", saw);
            }
        }
        Err(HostError::Unsupported(what)) => report.add(what, Verdict::Note, "exists on Windows only", ""),
        Err(e) => report.add(
            "Microsoft Entra Connect",
            Verdict::Unknown,
            e.to_string(),
            "Run the agent as an account that may read this.",
        ),
    }
}

#[cfg(windows)]
async fn windows(report: &mut Report) {
    match syncferry_win32::access::is_elevated() {
        Ok(true) => report.good("rights", "an administrator's"),
        Ok(false) => report.add(
            "rights",
            Verdict::Warning,
            "not an administrator's",
            "Run doctor as the agent runs, or as administrator: some of the above may look worse than it is.",
        ),
        Err(e) => report.add("rights", Verdict::Unknown, e.to_string(), ""),
    }
    match crate::os::run_script(crate::connect::script::ENVIRONMENT, &[], LIMIT * 3).await {
        Ok(said) => {
            let text = |name: &str| {
                said.get(name)
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or("unknown")
                    .to_string()
            };
            let saw = format!("Windows PowerShell {}, {}", text("Version"), text("LanguageMode"));
            if text("LanguageMode") == "FullLanguage" && text("Version").starts_with("5.1") {
                report.good("PowerShell", saw);
            } else {
                report.add("PowerShell", Verdict::Bad, saw, "The agent needs Windows PowerShell 5.1 in FullLanguage mode: exempt it from AppLocker or WDAC script rules.");
            }
        }
        Err(e) => report.add(
            "PowerShell",
            Verdict::Bad,
            e.to_string(),
            "Run powershell.exe by hand on this host. Needed wherever Connect is or will be.",
        ),
    }
    match crate::os::local_databases() {
        Ok(shared) if shared.is_empty() => report.add("LocalDB", Verdict::Note, "no shared instance", ""),
        Ok(shared) => report.good("LocalDB", format!("shared: {}", shared.join(", "))),
        Err(e) => report.add(
            "LocalDB",
            Verdict::Unknown,
            e.to_string(),
            "Run doctor as administrator.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fresh_machine_is_told_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = dir.path().join("agent.toml");
        let path = |name: &str| dir.path().join(name).display().to_string().replace('\\', "/");
        std::fs::write(
            &config,
            format!(
                "controller = \"127.0.0.1:{port}\"\ndata_dir = \"{}\"\nstaging_dir = \"{}\"\n[[sql]]\nname = \"default\"\nendpoint = \"tcp:127.0.0.1,{port}\"\n",
                path("data"),
                path("staging")
            ),
        )
        .unwrap();
        let report = look(&config).await;
        let verdict = |name: &str| report.checks.iter().find(|c| c.name == name).map(|c| c.verdict);
        assert_eq!(verdict("configuration"), Some(Verdict::Good));
        assert_eq!(verdict("data"), Some(Verdict::Warning), "not enrolled yet");
        assert_eq!(verdict("identity"), Some(Verdict::Bad));
        assert_eq!(verdict("controller"), Some(Verdict::Bad), "nobody listens");
        assert_eq!(verdict("SQL Server 'default'"), Some(Verdict::Bad));
        assert!(report.has_bad());
        for check in &report.checks {
            let needs = matches!(check.verdict, Verdict::Bad | Verdict::Warning);
            assert!(!needs || !check.next_step.is_empty(), "{check:?}");
        }
        assert!(report.to_string().contains("not working"), "{report}");
    }

    #[tokio::test]
    async fn without_a_configuration_the_rest_is_still_looked_at() {
        let report = look(Path::new("/nowhere/agent.toml")).await;
        assert_eq!(report.checks[0].name, "machine");
        assert!(
            report
                .checks
                .iter()
                .any(|c| c.name == "configuration" && c.verdict == Verdict::Bad)
        );
        assert!(report.checks.iter().any(|c| c.name.contains("Connect")));
    }

    #[test]
    fn sizes_are_shown_with_one_digit() {
        assert_eq!(gib(0), "0.0 GiB");
        assert_eq!(gib(3 << 29), "1.5 GiB");
    }
}
