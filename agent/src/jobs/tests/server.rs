//! SQL Server stand-ins that see a machine's drives, and how an agent is told of them.

use std::path::Path;

use syncferry_proto::transport::private_file;
use syncferry_sqlserver::engine::{Instance, Session};
use syncferry_sqlserver::storage::InstanceSpec;
use syncferry_sqlserver::types::Login;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::instances::Instances;

pub(super) const PASSWORD: &str = "Passw0rd!ä";

/// A running stand-in.
pub(super) struct Server {
    pub(super) name: &'static str,
    engine: Instance,
    port: u16,
    dir: TempDir,
    stop: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    /// With an agent that may do everything.
    pub(super) async fn start(name: &'static str, spec: InstanceSpec, root: &Path) -> Self {
        Self::start_for(name, spec.login("agent", PASSWORD, &["sysadmin"], &[]), root).await
    }

    /// With the agent's login as the specification has it.
    pub(super) async fn start_for(name: &'static str, mut spec: InstanceSpec, root: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for drive in ["D", "E"] {
            spec = spec.drive(&format!("{drive}:"), &root.join(drive), None);
        }
        spec.config.integrated_security_only = false;
        drop(spec.create(dir.path()).unwrap());
        let engine = Instance::open(dir.path()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        tokio::spawn(syncferry_sqlserver::server::serve(
            engine.clone(),
            listener,
            stop.clone(),
        ));
        Self {
            name,
            engine,
            port,
            dir,
            stop,
        }
    }

    /// The synchronisation service of the old server has a session, as long as this is kept.
    pub(super) async fn service(&self, database: &str) -> Session {
        let login = Login {
            user: "agent".into(),
            password: PASSWORD.into(),
            database: database.into(),
            host_name: "SYNC01".into(),
            app_name: "miiserver.exe".into(),
            client_address: "127.0.0.1".into(),
            ..Login::default()
        };
        self.engine.login(login).await.unwrap().0
    }

    /// The fault plan: one rule, or none.
    pub(super) fn fault(&self, rule: &str) {
        let plan = format!("{{\"rules\": [{rule}]}}");
        std::fs::write(self.dir.path().join("faults.json"), plan).unwrap();
    }

    /// Sets its clock wrong.
    pub(super) fn clock(&self, wrong_by_ms: i64) {
        let settings = format!("{{\"clock_offset_ms\": {wrong_by_ms}}}");
        std::fs::write(self.dir.path().join("lab.json"), settings).unwrap();
    }

    /// How often something was completed.
    pub(super) fn completed(&self, what: &str) -> u64 {
        let Ok(text) = std::fs::read(self.dir.path().join("effects.json")) else {
            return 0;
        };
        let effects: serde_json::Value = serde_json::from_slice(&text).unwrap();
        effects["counts"][what].as_u64().unwrap_or(0)
    }
}

/// The servers as an agent's configuration names them.
pub(super) fn instances(dir: &Path, servers: &[&Server]) -> Instances {
    instances_of(dir, servers, "agent")
}

/// The same, with another login than the agent's.
pub(super) fn instances_of(dir: &Path, servers: &[&Server], user: &str) -> Instances {
    let password = dir.join("sql.password");
    private_file::write(&password, PASSWORD).unwrap();
    let text: String = servers
        .iter()
        .map(|s| {
            format!(
                "[[sql]]\nname = \"{}\"\nendpoint = \"tcp:127.0.0.1,{}\"\ntrust_server_certificate = true\n\
                 login = {{ user = \"{user}\", password_file = {:?} }}\n",
                s.name,
                s.port,
                password.to_str().unwrap()
            )
        })
        .collect();
    let config: crate::config::Config = toml::from_str(&text).unwrap();
    Instances::new(&config.sql).unwrap()
}
