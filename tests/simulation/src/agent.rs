//! An agent's process: the product's own session, journal, runner, jobs and inspector, on a simulated machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use syncferry_agent::clocks::Clocks;
use syncferry_agent::controller::Controller;
use syncferry_agent::host::{Host, HostError, MsiExit, WizardSight};
use syncferry_agent::inspect::Inspector;
use syncferry_agent::instances::{Instance, Instances};
use syncferry_agent::jobs;
use syncferry_agent::journal::{Disk, Journal};
use syncferry_agent::runner::{Deps, Env, LeaseBook, Pace};
use syncferry_agent::session::{About, Link, Remote, Session, TicketKey, open_session};
use syncferry_agent::sql::{Exchanged, ServerCertificate, SqlInstance, SqlLogin};
use syncferry_agent::transfer::Artifacts;
use syncferry_proto::transport::{Dial, ExpectedPeer, Identity, Profile, csr};
use syncferry_proto::v1;
use syncferry_proto::v1::enrolment_client::EnrolmentClient;
use syncferry_shared::inventory::{
    ConnectFacts, ConnectParameters, HostFacts, ProductFacts, SchedulerFacts, ServiceFacts,
};
use syncferry_shared::secret::Secret;
use syncferry_shared::{Clock as _, SessionId};
use tokio_util::sync::CancellationToken;

use crate::exchange::Way;
use crate::network::{self, CONTROLLER, PORT};
use crate::observer;
use crate::watched::{Jobs, WatchedController};
use crate::world::{Papers, SQL, World, lock};

/// An agent's machine.
struct Machine {
    world: Arc<World>,
    agent: usize,
}

/// Its disk.
struct SlowDisk(Arc<World>, usize);

#[async_trait]
impl Disk for SlowDisk {
    async fn before(&self) {
        self.0.at_disk(self.1).await;
    }
    async fn after(&self) {
        self.0.at_disk(self.1).await;
    }
}

/// Runs until it is killed.
pub(crate) async fn run(world: Arc<World>, agent: usize) -> turmoil::Result {
    let slot = &world.slots[agent];
    world.say(format!("agent {} starts", slot.host));
    let papers = papers(&world, agent).await;
    let disk = Arc::new(SlowDisk(Arc::clone(&world), agent));
    let (journal, torn) = Journal::open_on(&slot.dir, disk)?;
    if torn > 0 {
        world.say(format!("agent {}: {torn} bytes were torn", slot.host));
    }
    observer::acceptances(&world, agent, &papers, &journal).await;
    let clocks: Arc<dyn Clocks> = slot.clock.clone();
    let host: Arc<dyn Host> = Arc::new(Machine {
        world: Arc::clone(&world),
        agent,
    });
    let new_id = SessionId::new(slot.clock.now(), &rand::random());
    let id = open_session(&journal, &host.facts().await?, new_id).await?;
    let identity = Identity::from_pem(&papers.cert_pem, &Secret::new(papers.key_pem.clone()))?;
    let channel = network::dial(Dial {
        endpoint: format!("{CONTROLLER}:{PORT}"),
        ca_pem: papers.ca_pem.clone(),
        identity: Some(identity),
        expected: ExpectedPeer::Controller,
        profile: Profile::Control,
    })?;
    let watched = WatchedController::new(Arc::clone(&world), agent, Remote::new(channel));
    let link = Arc::new(Link::new(Arc::new(watched)));
    let controller: Arc<dyn Controller> = link.clone();
    let sql = instances(&world, agent);
    let env = Env {
        host: Arc::clone(&host),
        controller,
        clocks: Arc::clone(&clocks),
        data_dir: slot.dir.clone(),
        staging_dir: "D:\\Staging".into(),
        sql: sql.clone(),
        artifacts: Artifacts::new(&slot.dir),
        dial_as: None,
        leases: LeaseBook::default(),
        pace: Pace {
            permit: Duration::from_secs(10),
            ..Pace::default()
        },
    };
    let ticket_key = TicketKey::default();
    let _ = ticket_key.set_from(&papers.ticket_key);
    let about = About {
        version: "0.1.0".into(),
        capabilities: jobs::capabilities(),
        transfer_address: String::new(),
        agent_id: papers.agent_id.clone(),
        ticket_key,
        reconnect: (Duration::from_millis(500), Duration::from_secs(10)),
    };
    let inspector = Inspector {
        host,
        sql,
        staging_dir: "D:\\Staging".into(),
        clocks,
        power: None,
    };
    let deps = Deps {
        journal,
        env: Arc::new(env),
        builder: Arc::new(Jobs {
            world: Arc::clone(&world),
            agent,
        }),
    };
    let session = Session::new(id, deps, about, link, Arc::new(inspector));
    if let Err(error) = session.run(CancellationToken::new()).await {
        world.violated("agent", format!("agent {} stopped: {error}", slot.host));
    }
    Ok(())
}

/// The identity that it has, or gets with the token that it was given.
async fn papers(world: &Arc<World>, agent: usize) -> Papers {
    let slot = &world.slots[agent];
    loop {
        let token = lock(&slot.token).clone();
        if let Some(token) = token {
            match enrol(world, agent, &token).await {
                Ok(papers) => {
                    *lock(&slot.papers) = Some(papers);
                    *lock(&slot.token) = None;
                    world.say(format!("agent {} enrolled", slot.host));
                }
                Err(error) => world.say(format!("agent {} could not enrol: {error}", slot.host)),
            }
        } else if let Some(papers) = lock(&slot.papers).clone() {
            return papers;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn enrol(world: &World, agent: usize, token: &str) -> anyhow::Result<Papers> {
    let request = csr::make()?;
    // What an operator reads from the controller's disk; the pinned authority of a token is tested elsewhere.
    let ca_pem = std::fs::read_to_string(world.config.data_dir.join("identity/ca.pem"))?;
    let channel = network::dial(Dial {
        endpoint: format!("{CONTROLLER}:{PORT}"),
        ca_pem: ca_pem.clone(),
        identity: None,
        expected: ExpectedPeer::Controller,
        profile: Profile::Control,
    })?;
    let asked = v1::EnrolRequest {
        token: token.to_string(),
        csr_pem: request.csr_pem,
        computer_name: world.slots[agent].host.to_string(),
        agent_version: "0.1.0".into(),
    };
    let mut client = EnrolmentClient::new(channel);
    let given = tokio::time::timeout(Duration::from_secs(20), client.enrol(asked))
        .await??
        .into_inner();
    Ok(Papers {
        agent_id: given.agent_id,
        cert_pem: given.certificate_pem,
        key_pem: request.key_pem.reveal().to_string(),
        ca_pem,
        ticket_key: given.ticket_key,
    })
}

/// Where an agent finds SQL Server: under two names.
fn instances(world: &Arc<World>, agent: usize) -> Instances {
    if agent != SQL {
        return Instances::default();
    }
    let way = Arc::new(Way {
        world: Arc::clone(world),
        agent,
    });
    Instances::given(["default", "alias"].map(|name| Instance {
        sql: SqlInstance {
            name: name.into(),
            endpoint: syncferry_agent::sql::SqlEndpoint::Tcp {
                host: "sql01".into(),
                port: 1433,
            },
            login: SqlLogin::Exchange(Exchanged(way.clone())),
            certificate: ServerCertificate::Verified,
            purpose: "sim".into(),
        },
        connect_host: None,
        connect_port: None,
        service_account: None,
    }))
}

#[async_trait]
impl Host for Machine {
    async fn facts(&self) -> Result<HostFacts, HostError> {
        let slot = &self.world.slots[self.agent];
        Ok(HostFacts {
            computer_name: slot.host.into(),
            os: "Windows Server 2022 Standard".into(),
            boot_id: format!("boot-{}", slot.boot.load(Ordering::SeqCst)),
            vm_generation: Some(format!("generation-{}", slot.generation.load(Ordering::SeqCst))),
            ..HostFacts::default()
        })
    }
    fn local_path(&self, path: &str) -> PathBuf {
        self.world.dir.join(path.replace(['\\', ':'], "_"))
    }
    fn join(&self, folder: &str, name: &str) -> String {
        format!("{folder}\\{name}")
    }
    async fn free_space(&self, _: &str) -> Result<u64, HostError> {
        Ok(1 << 40)
    }
    async fn secure_dir(&self, _: &str, _: &[String]) -> Result<(), HostError> {
        Err(HostError::Unsupported("a folder"))
    }
    async fn connect_facts(&self) -> Result<ConnectFacts, HostError> {
        self.world.breathe(self.agent).await;
        let host = self.world.slots[self.agent].host;
        let Some(service) = self.world.services.iter().find(|s| s.host == host) else {
            return Ok(ConnectFacts::default());
        };
        let runs = service.enabled.load(Ordering::SeqCst) && !service.off.load(Ordering::SeqCst);
        Ok(ConnectFacts {
            products: vec![ProductFacts {
                name: "Microsoft Entra Connect Sync".into(),
                version: "2.6.91.0".into(),
                product_code: "{00000000-0000-0000-0000-000000000001}".into(),
            }],
            service: Some(ServiceFacts {
                state: if runs { "running" } else { "stopped" }.into(),
                start: if service.enabled.load(Ordering::SeqCst) {
                    "automatic"
                } else {
                    "disabled"
                }
                .into(),
                account: service.account.clone(),
            }),
            parameters: Some(ConnectParameters {
                server: "SQL01".into(),
                instance: String::new(),
                database: "ADSync".into(),
            }),
            scheduler: Some(SchedulerFacts {
                sync_cycle_enabled: true,
                staging_mode: true,
                suspended: false,
                cycle_in_progress: false,
                next_policy: "Delta".into(),
            }),
            ..ConnectFacts::default()
        })
    }
    async fn connectors(&self) -> Result<Vec<String>, HostError> {
        Ok(Vec::new())
    }
    async fn set_sync_cycle(&self, _: bool) -> Result<(), HostError> {
        Err(HostError::Unsupported("the scheduler"))
    }
    async fn signature_trusted(&self, _: &str) -> Result<Option<bool>, HostError> {
        Ok(None)
    }
    async fn install_msi(&self, _: &str, _: &str) -> Result<MsiExit, HostError> {
        Err(HostError::Unsupported("msiexec"))
    }
    async fn uninstall_msi(&self, _: &str, _: &str) -> Result<MsiExit, HostError> {
        Err(HostError::Unsupported("msiexec"))
    }
    async fn wizard(&self) -> Result<WizardSight, HostError> {
        Ok(WizardSight::default())
    }
}
