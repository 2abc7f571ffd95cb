//! Answers questions about the host. Looking changes nothing; what cannot be looked at is a problem with a next step, and the
//! rest of the answer stands all the same.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use syncferry_proto::v1;
use syncferry_shared::account::{AccountFacts, AccountKind, AccountRequest};
use syncferry_shared::artifact::SetHeader;
use syncferry_shared::fence::FencePreviewRequest;
use syncferry_shared::inventory::{
    BackupFacts, BackupRequest, DatabaseAddress, DatabaseFacts, HostFacts, InspectionRequest, InstallerFacts,
    InstanceFacts, Inventory, Problem, ReachFacts,
};
use syncferry_shared::sync_config::Unknown;
use syncferry_shared::watch::WatchReport;
use syncferry_shared::{Finding, Millis};

use crate::adsync;
use crate::clocks::Clocks;
use crate::connect::msi;
use crate::fence;
use crate::host::{Host, HostError};
use crate::instances::Instances;
use crate::power::{self, PowerProbe};
use crate::runner::host_finding;
use crate::session::Inspect;
use crate::sql::{Role, SqlError, SqlSession, ops};
use crate::watch::Watcher;

/// Looks at this host.
pub struct Inspector {
    /// The machine.
    pub host: Arc<dyn Host>,
    /// The SQL Server instances.
    pub sql: Instances,
    /// The folder for backup files, as SQL Server names it.
    pub staging_dir: String,
    /// Time.
    pub clocks: Arc<dyn Clocks>,
    /// The program that knows whether other machines are off, where one is configured.
    pub power: Option<PowerProbe>,
}

#[async_trait]
impl Inspect for Inspector {
    async fn inspect(&self, request: &InspectionRequest) -> Inventory {
        let mut inventory = Inventory {
            taken_at: self.clocks.now(),
            ..Inventory::default()
        };
        self.look_at_host(&mut inventory).await;
        let databases = |name: &str| {
            let of = request
                .databases
                .iter()
                .filter(|d| d.instance.eq_ignore_ascii_case(name));
            of.cloned().collect::<Vec<_>>()
        };
        let mut names: Vec<&str> = request.instances.iter().map(String::as_str).collect();
        for database in &request.databases {
            if !names.iter().any(|n| n.eq_ignore_ascii_case(&database.instance)) {
                names.push(&database.instance);
            }
        }
        for name in names {
            self.look_at_instance(name, &databases(name), request.runs_since, &mut inventory)
                .await;
        }
        if request.connect {
            self.look_at_connect(&mut inventory).await;
        }
        if let Some(path) = &request.installer {
            self.look_at_installer(path, &mut inventory).await;
        }
        if let Some(preview) = &request.preview {
            self.preview(preview, &mut inventory).await;
        }
        if let Some(asked) = &request.power {
            match power::look(self.power.as_ref(), self.clocks.as_ref(), asked).await {
                Ok(sight) => inventory.power = Some(sight),
                Err(problem) => inventory.problems.push(problem),
            }
        }
        if let Some(asked) = &request.backup {
            self.look_at_backup(asked, &mut inventory).await;
        }
        if let Some(asked) = &request.account {
            inventory.account = Some(self.look_at_account(asked).await);
        }
        for target in &request.reach {
            inventory.reach.push(self.reach(target).await);
        }
        inventory
    }

    async fn watch(&self, duty: &v1::WatchDuty) -> WatchReport {
        let watcher = Watcher {
            host: Arc::clone(&self.host),
            sql: self.sql.clone(),
            clocks: Arc::clone(&self.clocks),
        };
        watcher.look(duty).await
    }
}

impl Inspector {
    /// What a run at SQL Server would say. Nothing of it is run.
    async fn preview(&self, request: &FencePreviewRequest, inventory: &mut Inventory) {
        let database = request.database();
        let subject = format!("database {} on {}", database.database, database.instance);
        let instance = match self.sql.get(&database.instance) {
            Ok(instance) => instance.sql.for_purpose("preview"),
            Err(finding) => return inventory.problems.push(instance_problem(&database.instance, &finding)),
        };
        let looked = async {
            let mut session = SqlSession::connect(&instance, Role::Work).await?;
            let preview = fence::preview(&mut session, request).await?;
            session.close().await;
            Ok(preview)
        };
        match looked.await {
            Ok(Some(preview)) => inventory.preview = Some(preview),
            Ok(None) => inventory.problems.push(Problem {
                subject,
                error: "there is no database of this name".into(),
                next_step: "Find out what became of it; then register the one that is in use.".into(),
            }),
            Err(e) => inventory.problems.push(sql_problem(&subject, &e)),
        }
    }

    /// Whether `host,port` (or `host:port`) takes a connection. The machine is asked: names mean what they mean there.
    async fn reach(&self, target: &str) -> ReachFacts {
        let parsed = target
            .rsplit_once([',', ':'])
            .and_then(|(h, p)| Some((h.trim(), p.trim().parse::<u16>().ok()?)));
        let error = match parsed {
            Some((host, port)) => self.host.reach(host, port).await.err().map(|e| e.to_string()),
            None => Some("it is not host,port".into()),
        };
        ReachFacts {
            target: target.to_string(),
            reached: error.is_none(),
            error,
        }
    }

    async fn look_at_host(&self, inventory: &mut Inventory) {
        match self.host.facts().await {
            Ok(facts) => inventory.host = facts,
            Err(e) => inventory.problems.push(host_problem("the host", &e)),
        }
        inventory.host = HostFacts {
            staging_dir: self.staging_dir.clone(),
            ..std::mem::take(&mut inventory.host)
        };
        match self.host.free_space(&self.staging_dir).await {
            Ok(free) => inventory.host.staging_free = Some(free),
            Err(e) => inventory.problems.push(host_problem("the staging folder", &e)),
        }
    }

    async fn look_at_instance(
        &self,
        name: &str,
        databases: &[DatabaseAddress],
        runs_since: Option<Millis>,
        inventory: &mut Inventory,
    ) {
        let instance = match self.sql.get(name) {
            Ok(instance) => instance,
            Err(finding) => {
                return inventory.problems.push(instance_problem(name, &finding));
            }
        };
        let subject = format!("instance {}", instance.sql.name);
        let mut session = match SqlSession::connect(&instance.sql, Role::Work).await {
            Ok(session) => session,
            Err(e) => return inventory.problems.push(sql_problem(&subject, &e)),
        };
        let probed = ops::probe_instance(&mut session, &instance.sql, self.clocks.as_ref()).await;
        match probed {
            Ok(facts) => {
                let facts = InstanceFacts {
                    connect_host: instance.connect_host.clone().or(facts.connect_host),
                    connect_port: instance.connect_port.or(facts.connect_port),
                    service_account: instance.service_account.clone().or(facts.service_account),
                    ..facts
                };
                for address in databases {
                    self.look_at_database(&mut session, &facts, address, runs_since, inventory)
                        .await;
                }
                inventory.instances.push(facts);
            }
            Err(e) => inventory.problems.push(sql_problem(&subject, &e)),
        }
        session.close().await;
    }

    async fn look_at_database(
        &self,
        session: &mut SqlSession,
        instance: &InstanceFacts,
        address: &DatabaseAddress,
        runs_since: Option<Millis>,
        inventory: &mut Inventory,
    ) {
        let subject = format!("database {} on {}", address.database, instance.name);
        let mut looked: Result<Option<DatabaseFacts>, SqlError> =
            ops::inspect_database(session, instance, &address.database).await;
        if let (Ok(Some(facts)), Some(since)) = (&mut looked, runs_since)
            && let Some(adsync) = facts.adsync.as_mut()
            && let Err(e) = adsync::add_runs(session, &address.database, since, adsync).await
        {
            looked = Err(e);
        }
        match looked {
            Ok(Some(facts)) => inventory.databases.push(facts),
            Ok(None) => inventory.problems.push(Problem {
                subject,
                error: "there is no database of this name".into(),
                next_step: format!(
                    "Choose one of the instance's databases: {}.",
                    instance
                        .databases
                        .iter()
                        .map(|d| d.name.as_str())
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            }),
            Err(e) => inventory.problems.push(sql_problem(&subject, &e)),
        }
    }

    async fn look_at_connect(&self, inventory: &mut Inventory) {
        match self.host.connect_facts().await {
            Ok(facts) => inventory.connect = Some(facts),
            Err(e) => inventory.problems.push(host_problem("Microsoft Entra Connect", &e)),
        }
    }

    /// A service account. Where this machine cannot tell, it is unknown: no reason to fail, and none to believe anything.
    async fn look_at_account(&self, asked: &AccountRequest) -> AccountFacts {
        match self.host.account(asked).await {
            Ok(facts) => facts,
            Err(e) => AccountFacts {
                account: asked.account.clone(),
                kind: AccountKind::of_name(&asked.account, ""),
                unknown: vec![Unknown {
                    fact: "service account".into(),
                    why: e.to_string(),
                }],
                ..AccountFacts::default()
            },
        }
    }

    /// What a backup file is, as an instance here reads it. Nothing is restored.
    async fn look_at_backup(&self, asked: &BackupRequest, inventory: &mut Inventory) {
        let subject = format!("backup {}", asked.path);
        let instance = match self.sql.get(&asked.instance) {
            Ok(instance) => instance.sql.for_purpose("backup"),
            Err(finding) => return inventory.problems.push(instance_problem(&asked.instance, &finding)),
        };
        let looked = async {
            let mut session = SqlSession::connect(&instance, Role::Work).await?;
            let record = ops::header(&mut session, &asked.path).await?;
            let label = ops::label(&mut session, &asked.path).await?;
            let files = ops::file_list(&mut session, &asked.path).await?;
            session.close().await;
            Ok::<_, SqlError>((record, label, files))
        };
        let (record, label, files) = match looked.await {
            Ok(read) => read,
            Err(e) => {
                return inventory.problems.push(Problem {
                    subject,
                    error: e.to_string(),
                    next_step: "The SQL Server itself must be able to read the file: look whether the path is one of the SQL host, and whether its service account may read there. Then plan again.".into(),
                });
            }
        };
        let size = tokio::fs::metadata(self.host.local_path(&asked.path))
            .await
            .ok()
            .map(|m| m.len());
        let finished = record.raw.get("BackupFinishDate").cloned();
        let finished_at = finished.as_deref().and_then(|text| {
            let text = text.trim().replacen(' ', "T", 1);
            Millis::parse_rfc3339(&format!("{}Z", text.trim_end_matches('Z')))
        });
        inventory.backup = Some(BackupFacts {
            path: asked.path.clone(),
            size,
            sets: record.sets,
            stripes: label.family_count,
            backup_type: record.backup_type,
            has_checksums: record.has_checksums,
            is_damaged: record.is_damaged,
            encryptor: record
                .encryptor
                .clone()
                .or_else(|| files.iter().find_map(|f| f.tde.clone())),
            finished,
            finished_at,
            header: SetHeader {
                files: files.into_iter().map(|f| f.file).collect(),
                ..record.header
            },
        });
    }

    async fn look_at_installer(&self, path: &str, inventory: &mut Inventory) {
        let subject = format!("installer {path}");
        let local = self.host.local_path(path);
        match read_installer(path.to_string(), local).await {
            Ok(mut facts) => {
                match self.host.signature_trusted(path).await {
                    Ok(trusted) => facts.signature_trusted = trusted,
                    Err(e) => inventory.problems.push(host_problem(&subject, &e)),
                }
                inventory.installer = Some(facts);
            }
            Err(error) => inventory.problems.push(Problem {
                subject,
                error,
                next_step: "Put the installer of the version that you want where the path says, then plan again."
                    .into(),
            }),
        }
    }
}

async fn read_installer(path: String, local: PathBuf) -> Result<InstallerFacts, String> {
    let read = tokio::task::spawn_blocking(move || msi::read(&path, &local)).await;
    match read {
        Ok(read) => read.map_err(|e| e.to_string()),
        Err(e) => Err(e.to_string()),
    }
}

fn instance_problem(name: &str, finding: &Finding) -> Problem {
    Problem {
        subject: format!("instance {name}"),
        error: finding.title.clone(),
        next_step: finding.next_step.clone(),
    }
}

fn host_problem(subject: &str, error: &HostError) -> Problem {
    Problem {
        subject: subject.to_string(),
        error: error.to_string(),
        next_step: host_finding(error).next_step,
    }
}

fn sql_problem(subject: &str, error: &SqlError) -> Problem {
    Problem {
        subject: subject.to_string(),
        error: error.to_string(),
        next_step: error.finding().next_step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clocks::SystemClocks;
    use crate::os::Native;

    fn inspector(sql: &str) -> Inspector {
        let config: crate::config::Config = toml::from_str(sql).unwrap();
        Inspector {
            host: Arc::new(Native),
            sql: Instances::new(&config.sql).unwrap(),
            staging_dir: "/tmp".into(),
            clocks: Arc::new(SystemClocks),
            power: None,
        }
    }

    #[tokio::test]
    async fn what_cannot_be_looked_at_is_a_problem_with_a_next_step() {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().port();
        let inspector = inspector(&format!(
            "[[sql]]\nname = \"closed\"\nendpoint = \"tcp:127.0.0.1,{port}\""
        ));
        let request = InspectionRequest {
            instances: vec!["closed".into(), "unknown".into()],
            databases: Vec::new(),
            connect: true,
            installer: Some("/nowhere/x.msi".into()),
            reach: vec![
                format!("127.0.0.1,{open}"),
                format!("127.0.0.1,{port}"),
                "nonsense".into(),
            ],
            preview: None,
            account: Some(AccountRequest {
                account: r"CONTOSO\sync$".into(),
                spns: vec![],
            }),
            ..InspectionRequest::default()
        };
        let inventory = inspector.inspect(&request).await;
        if cfg!(unix) {
            // What only Windows can tell is unknown with its reason, and no problem: a plan goes on and asks a person.
            let account = inventory.account.as_ref().unwrap();
            assert_eq!((account.usable_here, account.exists), (None, None));
            assert_eq!(account.against(), vec![]);
            assert!(account.unknown[0].why.contains("service accounts"), "{account:?}");
        }
        assert!(!inventory.host.computer_name.is_empty());
        assert!(inventory.host.staging_free.is_some());
        let subjects: Vec<&str> = inventory.problems.iter().map(|p| p.subject.as_str()).collect();
        let mut expected = vec!["instance closed", "instance unknown", "installer /nowhere/x.msi"];
        if cfg!(unix) {
            // Only Windows can say that there is none.
            expected.insert(2, "Microsoft Entra Connect");
        }
        assert_eq!(subjects, expected);
        assert!(inventory.problems.iter().all(|p| p.next_step.ends_with('.')));
        let reached: Vec<bool> = inventory.reach.iter().map(|r| r.reached).collect();
        assert_eq!(reached, [true, false, false]);
    }
}
