//! `install`: lays Connect down and waits at the wizard. The wizard is a person's: we say what to enter, watch, and believe
//! only what registry and service show.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::inventory::ConnectFacts;
use syncferry_shared::known_failure::{recognise, recognise_all};
use syncferry_shared::outcome::{Outcome, SeenConnect};
use syncferry_shared::spec::{ExpectedConnect, InstallTask};

use super::common::{OURS, minutes, parameters_fit, shown};
use super::look::{Look, LooksOnly};
use crate::connect::exit_code::{self, Verdict};
use crate::connect::msi;
use crate::host::WizardSight;
use crate::journal::Sight;
use crate::runner::{Cx, Job, Probe, Step, StepError};

/// The gate's title.
const TITLE: &str = "Complete the Microsoft Entra Connect wizard on the new server";

/// The job.
pub(super) fn job(task: &InstallTask) -> Job {
    let task = Arc::new(task.clone());
    let steps: Vec<Box<dyn Step>> = vec![
        Box::new(LooksOnly(CheckInstaller(task.clone()))),
        Box::new(RunInstaller(task.clone())),
        Box::new(LooksOnly(Wizard(task))),
    ];
    Job::new(steps, finish)
}

fn finish(cx: &Cx) -> Outcome {
    let seen: Option<SeenConnect> = cx
        .evidence("wizard")
        .cloned()
        .and_then(|v| serde_json::from_value(v).ok());
    let mut outcome = Outcome::default();
    if let Some(seen) = &seen {
        outcome.saw("ADSync\\Parameters", shown(&seen.parameters));
        outcome.saw("service account", &seen.service_account);
        outcome.saw("version", &seen.version);
    }
    outcome.connect = seen;
    outcome
}

struct CheckInstaller(Arc<InstallTask>);

#[async_trait]
impl Look for CheckInstaller {
    const NAME: &'static str = "check-installer";

    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let path = &self.0.installer;
        let (named, local) = (path.clone(), cx.env.host.local_path(path));
        // Hashing some hundred megabytes must not hold up the heartbeat.
        let read = tokio::task::spawn_blocking(move || msi::read(&named, &local)).await;
        let facts = match read {
            Ok(Ok(facts)) => facts,
            Ok(Err(e)) => return Err(unreadable(path, &e)),
            Err(e) => return Err(unreadable(path, &e)),
        };
        if facts.hash != self.0.installer_hash || !facts.product_code.eq_ignore_ascii_case(&self.0.product_code) {
            return Err(Finding::blocker(
                "installer-changed",
                format!("{path} is not the file that the plan was made for"),
            )
            .saw("BLAKE3 now", &facts.hash)
            .saw("BLAKE3 in the plan", &self.0.installer_hash)
            .saw("ProductVersion now", &facts.product_version)
            .source(OURS)
            .next("Put the planned installer back and apply the migration again. To use the new one, cancel the migration and plan again.")
            .into());
        }
        if cx.env.host.signature_trusted(path).await? == Some(false) {
            return Err(Finding::blocker(
                "installer-signature-bad",
                format!("Windows does not trust the signature of {path}"),
            )
            .saw("WinVerifyTrust", "not trusted")
            .source(OURS)
            .next("The file was changed or is not Microsoft's: do not run it. Download AzureADConnect.msi from the Microsoft Entra admin center again and apply the migration again; another version needs a new plan.")
            .into());
        }
        cx.saw("ProductName", &facts.product_name);
        cx.saw("ProductVersion", &facts.product_version);
        cx.saw("BLAKE3", &facts.hash);
        Ok(json!({"product_code": facts.product_code, "version": facts.product_version}))
    }
}

fn unreadable(path: &str, error: &dyn std::fmt::Display) -> StepError {
    StepError::failed(
        Finding::blocker("installer-unreadable", format!("{path} cannot be read as an installer"))
            .saw(path, error)
            .source(OURS)
            .next("Put the planned installer back (its hash is in the plan), then apply the migration again."),
    )
}

/// What an exit code of msiexec says. One that nobody knows is a failure.
struct Said {
    code: i32,
    verdict: Verdict,
    meaning: &'static str,
    next: &'static str,
}

impl Said {
    fn of(code: i32) -> Self {
        match exit_code::explain(code) {
            Some(e) => Self {
                code,
                verdict: e.verdict,
                meaning: e.meaning,
                next: e.next_step,
            },
            None => Self {
                code,
                verdict: Verdict::Failed,
                meaning: "an exit code that is not known",
                next: "Look for 'Return value 3' in the log; the lines above it say why.",
            },
        }
    }
    fn done(&self) -> bool {
        matches!(self.verdict, Verdict::Done | Verdict::DoneReboot)
    }
    fn shown(&self) -> String {
        format!("{}: {}", self.code, self.meaning)
    }
}

/// With the cause and the remedy of what is recognised in a log.
fn answered(mut finding: Finding, log: &str) -> Finding {
    let known = recognise_all(log);
    for k in &known {
        finding = finding.saw(format!("known as {}", k.id), k.cause);
    }
    match known.first() {
        Some(k) => finding
            .source(k.source)
            .next(format!("{} Then apply the migration again.", k.fix)),
        None => finding,
    }
}

struct RunInstaller(Arc<InstallTask>);

impl RunInstaller {
    fn is_installed(&self, facts: &ConnectFacts) -> bool {
        facts
            .products
            .iter()
            .any(|p| p.product_code.eq_ignore_ascii_case(&self.0.product_code))
    }
}

#[async_trait]
impl Step for RunInstaller {
    fn name(&self) -> &'static str {
        "run-installer"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn before(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let name = format!("connect_install_{}_{}.log", cx.spec.migration.short(), cx.token.attempt);
        Ok(json!({"log": cx.env.host.join(&cx.env.staging_dir, &name)}))
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let facts = cx.env.host.connect_facts().await?;
        if self.is_installed(&facts) {
            return Ok(Probe::Done(json!({"product_code": self.0.product_code})));
        }
        match facts.products.first() {
            Some(other) => Ok(Probe::Unknown(format!(
                "{} {} is installed, which is not the planned one",
                other.name, other.version
            ))),
            None => Ok(Probe::NotStarted),
        }
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let log = cx
            .intent()
            .and_then(|i| i.get("log")?.as_str().map(str::to_string))
            .unwrap_or_default();
        cx.env.host.secure_dir(&cx.env.staging_dir, &[]).await?;
        cx.progress(syncferry_shared::progress::Progress {
            message: "msiexec runs".to_string(),
            ..Default::default()
        });
        let exit = cx.env.host.install_msi(&self.0.installer, &log).await?;
        let said = Said::of(exit.code);
        cx.saw("msiexec", said.shown());
        cx.saw("log", &exit.log);
        if said.done() {
            if said.verdict == Verdict::DoneReboot {
                cx.findings.push(
                    Finding::warning("reboot-required", "Windows asks for a restart after the installation")
                        .saw("msiexec", exit.code)
                        .source("Windows Installer")
                        .next("Restart the server before the wizard is started; the agent goes on by itself."),
                );
            }
            return Ok(json!({"code": exit.code, "log": exit.log, "product_code": self.0.product_code}));
        }
        let mut finding = Finding::blocker("installer-failed", format!("The installer ended with {}", exit.code))
            .saw("msiexec", said.shown())
            .saw("log", &exit.log)
            .source("Windows Installer")
            .next(said.next);
        for line in exit.excerpt.iter().take(10) {
            finding = finding.saw("from the log", line);
        }
        let finding = answered(finding, &exit.excerpt.join("\n"));
        Err(if said.verdict == Verdict::TryAgain {
            StepError::passing(finding)
        } else {
            finding.into()
        })
    }
    fn undoes_on_failure(&self) -> bool {
        true
    }
    async fn undo(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        let facts = cx.env.host.connect_facts().await?;
        if !self.is_installed(&facts) {
            return Ok(());
        }
        if let Some(service) = &facts.service {
            return Err(Finding::blocker("connect-is-configured", "Connect is configured on the new server: it is not uninstalled by Syncferry")
                .saw("service ADSync", format!("{} as {}", service.state, service.account))
                .source("Syncferry: the rollback ends at the wizard")
                .next("Decide by hand: finish the migration, or uninstall Connect there (from 2.6.84 on it asks for administrator credentials for clean-up in the cloud).")
                .into());
        }
        let log = cx.env.host.join(
            &cx.env.staging_dir,
            &format!("connect_uninstall_{}.log", cx.spec.migration.short()),
        );
        let exit = cx.env.host.uninstall_msi(&self.0.product_code, &log).await?;
        let said = Said::of(exit.code);
        // 1605: it is not installed.
        if said.done() || exit.code == 1605 {
            return Ok(());
        }
        Err(
            Finding::blocker("uninstall-failed", format!("Uninstalling ended with {}", exit.code))
                .saw("msiexec", said.shown())
                .saw("log", exit.log)
                .source("Windows Installer")
                .next(said.next)
                .into(),
        )
    }
}

struct Wizard(Arc<InstallTask>);

#[async_trait]
impl Look for Wizard {
    const NAME: &'static str = "wizard";

    fn budget(&self) -> Duration {
        minutes(7 * 24 * 60)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let cards = self.0.cards.clone();
        let mut gate = cx.gate(TITLE, &cards).await?;
        loop {
            let facts = cx.env.host.connect_facts().await?;
            let wizard = cx.env.host.wizard().await.unwrap_or_default();
            let (sight, text) = judge(&facts, &wizard, &self.0.expect);
            gate.saw(cx, sight, &text).await?;
            if let (Sight::Proven, Some(seen)) = (sight, seen(&facts)) {
                return Ok(serde_json::to_value(seen).unwrap_or_default());
            }
            gate.next_look(cx, cx.env.pace.look_again).await?;
        }
    }
}

fn seen(facts: &ConnectFacts) -> Option<SeenConnect> {
    Some(SeenConnect {
        parameters: facts.parameters.clone()?,
        service_account: facts.service.as_ref()?.account.clone(),
        version: facts.version.map_or("unknown".to_string(), |v| v.to_string()),
        staging_mode: facts.scheduler.as_ref()?.staging_mode,
    })
}

/// What the machine shows. Registry and service are proof; the trace log is only a hint of how far the person is.
fn judge(facts: &ConnectFacts, wizard: &WizardSight, expect: &ExpectedConnect) -> (Sight, String) {
    if let Some(p) = &facts.parameters {
        if !parameters_fit(p, expect) {
            let hint = if p.server.to_ascii_lowercase().contains("localdb") {
                " The Express wizard was completed: it made a new, empty database on LocalDB. Uninstall Connect and start the wizard with /useexistingdatabase."
            } else {
                " Uninstall Connect and go through the wizard again with the values of the cards."
            };
            let want = format!(
                "Server {}, SQLInstance '{}', DBName {}",
                expect.server, expect.instance, expect.database
            );
            return (
                Sight::Contradicted,
                format!("the registry has {} where the cards say {want}.{hint}", shown(p)),
            );
        }
        return match (&facts.service, &facts.scheduler) {
            (Some(s), Some(sch)) if s.state.eq_ignore_ascii_case("running") && sch.staging_mode => {
                (Sight::Proven, format!("ADSync runs as {} on {}, in staging mode", s.account, shown(p)))
            }
            (Some(s), Some(sch)) if s.state.eq_ignore_ascii_case("running") && !sch.staging_mode => (
                Sight::Contradicted,
                "ADSync runs and is NOT in staging mode: it exports. Put it into staging mode at once (wizard > Configure staging mode).".to_string(),
            ),
            (Some(s), _) => (Sight::InProgress, format!("the registry fits; the service ADSync is {}", s.state)),
            (None, _) => (Sight::InProgress, "the registry fits; the service ADSync is not there yet".to_string()),
        };
    }
    if let Some(error) = wizard.errors.last() {
        // The last error is shown; what explains it may stand in one before it.
        let known = recognise(&wizard.errors.join("\n"));
        let answer = known.map_or(String::new(), |k| format!(". {}", k.answer()));
        return (Sight::InProgress, format!("the wizard reports: {error}{answer}"));
    }
    if wizard.running && wizard.existing_database == Some(false) {
        return (
            Sight::InProgress,
            "the wizard is open in Express mode: close it, and start it with /useexistingdatabase".to_string(),
        );
    }
    match (&wizard.page, wizard.running) {
        (Some(page), true) => (Sight::InProgress, format!("the wizard is on the page '{page}'")),
        (_, true) => (Sight::InProgress, "the wizard is open".to_string()),
        (_, false) => (Sight::Waiting, "waiting for a person".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncferry_shared::ConnectVersion;
    use syncferry_shared::inventory::{ConnectParameters, SchedulerFacts, ServiceFacts};

    fn expect() -> ExpectedConnect {
        ExpectedConnect {
            server: "SQL01".into(),
            instance: String::new(),
            database: "ADSync".into(),
            service_account: Some("CONTOSO\\gmsa$".into()),
            version: ConnectVersion([2, 6, 91, 0]),
        }
    }

    fn facts(server: &str, state: &str, staging: bool) -> ConnectFacts {
        ConnectFacts {
            service: Some(ServiceFacts {
                state: state.into(),
                start: "automatic".into(),
                account: "CONTOSO\\gmsa$".into(),
            }),
            parameters: Some(ConnectParameters {
                server: server.into(),
                instance: String::new(),
                database: "ADSync".into(),
            }),
            scheduler: Some(SchedulerFacts {
                sync_cycle_enabled: true,
                staging_mode: staging,
                suspended: false,
                cycle_in_progress: false,
                next_policy: "Delta".into(),
            }),
            ..ConnectFacts::default()
        }
    }

    #[test]
    fn only_registry_service_and_staging_together_are_proof() {
        let idle = WizardSight::default();
        let sight = |f: &ConnectFacts, w: &WizardSight| judge(f, w, &expect()).0;
        assert_eq!(sight(&facts("SQL01", "running", true), &idle), Sight::Proven);
        assert_eq!(sight(&facts("SQL01", "stopped", true), &idle), Sight::InProgress);
        assert_eq!(sight(&facts("SQL01", "running", false), &idle), Sight::Contradicted);
        assert_eq!(sight(&facts("(localdb)", "running", true), &idle), Sight::Contradicted);
        assert_eq!(sight(&ConnectFacts::default(), &idle), Sight::Waiting);
        // The trace log alone proves nothing.
        let done = WizardSight {
            completed: true,
            ..WizardSight::default()
        };
        assert_eq!(sight(&ConnectFacts::default(), &done), Sight::Waiting);
    }

    #[test]
    fn what_the_wizard_says_is_answered_where_it_is_known() {
        let mut wizard = WizardSight {
            running: true,
            errors: vec![
                "A network-related or instance-specific error occurred. error: 26 - Error Locating Server/Instance Specified".into(),
                "Unable to install the Synchronization Service. Please see the event log for additional details.".into(),
            ],
            ..WizardSight::default()
        };
        let (sight, text) = judge(&ConnectFacts::default(), &wizard, &expect());
        assert_eq!(sight, Sight::InProgress);
        assert!(
            text.contains("Unable to install") && text.contains("INSTANCE,port"),
            "{text}"
        );
        wizard.errors = vec!["Something new".into()];
        let (_, text) = judge(&ConnectFacts::default(), &wizard, &expect());
        assert_eq!(text, "the wizard reports: Something new");
    }

    #[test]
    fn a_known_log_gives_its_own_remedy() {
        let log = "CustomAction ConfigDB returned actual error code 1603\nError 25009.The setup wizard cannot configure the specified database. Error: ALTER DATABASE statement failed.";
        let finding = answered(Finding::blocker("installer-failed", "x").next("Look."), log);
        assert!(
            finding.next_step.starts_with("Take the database out of the group"),
            "{finding:?}"
        );
        assert_eq!(finding.evidence[0].looked_at, "known as database-in-availability-group");
        let other = answered(
            Finding::blocker("installer-failed", "x").next("Look."),
            "nothing of note",
        );
        assert_eq!((other.next_step.as_str(), other.evidence.len()), ("Look.", 0));
    }

    #[test]
    fn the_express_wizard_is_called_by_its_name() {
        let (_, text) = judge(
            &facts("(localdb)", "running", false),
            &WizardSight::default(),
            &expect(),
        );
        assert!(text.contains("Express wizard"), "{text}");
        let open = WizardSight {
            running: true,
            existing_database: Some(false),
            ..WizardSight::default()
        };
        let (sight, text) = judge(&ConnectFacts::default(), &open, &expect());
        assert_eq!(sight, Sight::InProgress);
        assert!(text.contains("/useexistingdatabase"), "{text}");
    }
}
