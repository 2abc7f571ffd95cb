//! The people: two operators at the product's own interface, and whoever stands before the Connect servers. They do what the
//! documents say, in any order that those allow, and start a service only where the lease says so.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use syncferry_controller::identity::{Keys, ca, operator};
use syncferry_proto::transport::{Dial, ExpectedPeer, OperatorCredentials, Profile};
use syncferry_proto::v1;
use syncferry_proto::v1::operator_client::OperatorClient;
use syncferry_shared::{Clock as _, OperatorId};
use syncferry_store::{NewOperator, Store as _};
use tonic::transport::Channel;
use tonic::{Request as Call, Status};

use crate::determinism::now;
use crate::network;
use crate::world::{LEASE, Request, SQL, Service, World, lock};

/// When a long seed strands, at the earliest.
const STRANDS_AFTER_MS: i64 = 90_000;
const PATIENCE: Duration = Duration::from_secs(25);

type Operator = OperatorClient<Channel>;

fn call<T>(message: T) -> Call<T> {
    let mut call = Call::new(message);
    call.set_timeout(PATIENCE);
    call
}

/// What came of it, for the trace.
fn told<T>(world: &World, what: &str, answer: Result<tonic::Response<T>, Status>) -> Option<T> {
    match answer {
        Ok(answer) => {
            world.say(format!("operator: {what}: done"));
            world.count(&format!("operator: {what}"));
            Some(answer.into_inner())
        }
        Err(status) => {
            world.say(format!("operator: {what}: {:?} {}", status.code(), status.message()));
            None
        }
    }
}

/// Lives until the simulation ends.
pub(crate) async fn run(world: Arc<World>) -> turmoil::Result {
    let admin = set_up(&world).await?;
    let bob = second(&world).await?;
    world.begun_at.store(now(), Ordering::SeqCst);
    world.say("everything is registered");
    let mut people = People {
        world,
        admin,
        bob,
        run: None,
    };
    loop {
        let pause = 1_000 + people.world.below(5_000).unsigned_abs();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        people.turn().await;
    }
}

/// The SQL run that was planned last.
struct Run {
    id: String,
    opens: bool,
    epoch: i64,
}

struct People {
    world: Arc<World>,
    admin: Operator,
    bob: Operator,
    run: Option<Run>,
}

fn client(credentials: &OperatorCredentials) -> anyhow::Result<Operator> {
    let channel = network::dial(Dial {
        endpoint: credentials.controller.clone(),
        ca_pem: credentials.ca_pem.clone(),
        identity: Some(credentials.identity()?),
        expected: ExpectedPeer::Controller,
        profile: Profile::Control,
    })?;
    Ok(OperatorClient::new(channel).max_decoding_message_size(64 << 20))
}

async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn set_up(world: &Arc<World>) -> anyhow::Result<Operator> {
    let file = world.config.data_dir.join(syncferry_controller::app::CREDENTIALS_FILE);
    let credentials = until(async || OperatorCredentials::load(Path::new(&file)).ok()).await;
    let mut admin = client(&credentials)?;
    let site = v1::AddSiteRequest {
        name: "contoso".into(),
        tenant_id: "3f0e1f5c-0000-4000-8000-000000000001".into(),
        ..Default::default()
    };
    until(async || admin.clone().add_site(call(site.clone())).await.ok()).await;
    for (slot, roles) in world
        .slots
        .iter()
        .zip([&["sql-host"][..], &["connect-server"], &["connect-server"]])
    {
        let host = v1::AddHostRequest {
            site: "contoso".into(),
            name: slot.host.into(),
            roles: roles.iter().map(|r| (*r).to_string()).collect(),
            token_minutes: 60,
        };
        let token = admin.add_host(call(host)).await?.into_inner().token;
        *lock(&slot.token) = Some(token);
    }
    until(async || {
        let hosts = admin
            .clone()
            .list_hosts(call(v1::ListHostsRequest::default()))
            .await
            .ok()?;
        let all = hosts.into_inner().hosts;
        (all.len() == 3 && all.iter().all(|h| h.agent_state == "online")).then_some(())
    })
    .await;
    until(async || world.services[0].inside.load(Ordering::SeqCst).then_some(())).await;
    let add = v1::AddDatabaseRequest {
        site: "contoso".into(),
        host: "SQL01".into(),
        instance: "default".into(),
        name: "ADSync".into(),
    };
    admin.add_database(call(add)).await.context("database add")?;
    Ok(admin)
}

/// The second operator, added on the controller's host.
async fn second(world: &World) -> anyhow::Result<Operator> {
    let at = world.store_clock.now();
    let keys = Keys::open(&world.config.data_dir, at)?;
    let id = OperatorId::new(at, &[7; 10]);
    let (credentials, issued) = operator::credentials(
        &keys.authority,
        &world.config.advertise,
        "bob",
        id,
        ca::OPERATOR_VALIDITY,
        at,
    )?;
    let mut tx = world.store.begin("operator.bob").await?;
    tx.add_operator(&NewOperator {
        id,
        name: "bob".into(),
        fingerprint: issued.certificate.fingerprint.to_string(),
        serial: issued.certificate.serial.clone(),
    })
    .await?;
    tx.commit().await?;
    client(&credentials)
}

impl People {
    fn service(&self, host: &str) -> Option<&Service> {
        self.world.services.iter().find(|s| s.host.eq_ignore_ascii_case(host))
    }

    async fn lease(&mut self) -> Option<v1::Lease> {
        let request = v1::GetLeaseRequest { resource: LEASE.into() };
        self.admin.get_lease(call(request)).await.ok()?.into_inner().lease
    }

    async fn turn(&mut self) {
        self.agents().await;
        let Some(lease) = self.lease().await else { return };
        if self.world.calming.load(Ordering::SeqCst) || self.world.stranded.load(Ordering::SeqCst) {
            return;
        }
        self.follow_run(&lease).await;
        self.machines(&lease);
        if self.world.chance(4) {
            self.add_alias().await;
        }
        match lease.state.as_str() {
            "held" => self.held(&lease).await,
            "draining" => self.hand_over(&lease).await,
            "lost" => match self.world.below(10) {
                0..3 => {}
                3..5 => self.fence(&lease).await,
                5 => self.break_glass(&lease).await,
                _ => self.plan(&lease, v1::FenceRun::Fence).await,
            },
            "fencing" | "quarantined" => match self.world.below(10) {
                0..2 => {}
                2..4 => self.fence(&lease).await,
                _ => self.plan(&lease, v1::FenceRun::Fence).await,
            },
            _ => self.hand_over(&lease).await,
        }
    }

    /// An agent that is not believed any more is enrolled anew.
    async fn agents(&mut self) {
        let Ok(hosts) = self.admin.list_hosts(call(v1::ListHostsRequest::default())).await else {
            return;
        };
        for host in hosts.into_inner().hosts {
            if host.agent_state != "quarantined" {
                continue;
            }
            let Some(agent) = self.world.slots.iter().position(|s| s.host == host.name) else {
                continue;
            };
            if lock(&self.world.slots[agent].token).is_some() {
                continue;
            }
            let request = v1::CreateTokenRequest {
                host: host.name.clone(),
                minutes: 30,
            };
            let answer = self.admin.create_token(call(request)).await;
            if let Some(token) = told(&self.world, "host token", answer) {
                *lock(&self.world.slots[agent].token) = Some(token.token);
                lock(&self.world.requests).push(Request::Restart(agent));
            }
        }
    }

    /// A person starts a service where the lease was granted after it was stopped; and stops none that holds it.
    fn machines(&self, lease: &v1::Lease) {
        let Some(service) = self.service(&lease.holder).filter(|_| lease.state == "held") else {
            return;
        };
        let newer = lease.epoch > service.stopped_at.load(Ordering::SeqCst);
        if newer && !service.off.load(Ordering::SeqCst) && !service.enabled.swap(true, Ordering::SeqCst) {
            self.world
                .say(format!("a person starts {} (epoch {})", service.host, lease.epoch));
        }
        // A machine that was given up comes back only once the database is opened to somebody else.
        let opened = self.run.as_ref().is_some_and(|r| r.opens && r.epoch == lease.epoch);
        for other in self.world.services.iter().filter(|s| s.host != service.host) {
            if opened && other.off.swap(false, Ordering::SeqCst) {
                self.world.say(format!("{} is switched on again", other.host));
                self.world.count("machines that came back");
            }
        }
    }

    fn stop(&self, lease: &v1::Lease) {
        if let Some(service) = self.service(&lease.holder)
            && service.enabled.swap(false, Ordering::SeqCst)
        {
            service.stopped_at.store(lease.epoch, Ordering::SeqCst);
            self.world
                .say(format!("a person stops {} (epoch {})", service.host, lease.epoch));
        }
    }

    async fn held(&mut self, lease: &v1::Lease) {
        let opened = self.run.as_ref().is_some_and(|r| r.opens && r.epoch == lease.epoch);
        match self.world.below(100) {
            0..25 => self.hand_over(lease).await,
            25..60 if !opened => self.plan(lease, v1::FenceRun::Open).await,
            60..64 => self.break_glass(lease).await,
            _ => {}
        }
    }

    async fn hand_over(&mut self, lease: &v1::Lease) {
        let to = match (lease.holder.as_str(), self.world.chance(50)) {
            ("SYNC01", _) => "SYNC02",
            ("SYNC02", _) => "SYNC01",
            (_, true) => "SYNC01",
            (_, false) => "SYNC02",
        };
        // Who is switched off is not seated.
        if self.service(to).is_some_and(|s| s.off.load(Ordering::SeqCst)) {
            return;
        }
        if lease.state == "draining" && self.world.chance(70) {
            self.stop(lease);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let request = v1::HandOverLeaseRequest {
            lease: LEASE.into(),
            to: to.into(),
            reason: "a hand-over".into(),
            dry_run: false,
            seen_version: lease.row_version,
        };
        let answer = self.admin.hand_over_lease(call(request)).await;
        told(&self.world, "lease handover", answer);
    }

    async fn fence(&mut self, lease: &v1::Lease) {
        if self.world.chance(40) {
            self.stop(lease);
        }
        let request = v1::FenceLeaseRequest {
            lease: LEASE.into(),
            reason: "it is gone".into(),
            dry_run: false,
            seen_version: lease.row_version,
            ..v1::FenceLeaseRequest::default()
        };
        let answer = self.admin.fence_lease(call(request)).await;
        told(&self.world, "lease fence", answer);
    }

    /// The rack is switched off; two people say so.
    async fn break_glass(&mut self, lease: &v1::Lease) {
        let Some(service) = self.service(&lease.holder) else {
            return;
        };
        service.off.store(true, Ordering::SeqCst);
        self.world.say(format!("{} is switched off", service.host));
        // Until the service's own loop noticed.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (server, reason, ticket) = (lease.holder.clone(), "it burns".to_string(), "INC-1".to_string());
        let first = v1::BreakGlassRequest {
            lease: LEASE.into(),
            server: server.clone(),
            reason: reason.clone(),
            ticket: ticket.clone(),
            dry_run: false,
            seen_version: lease.row_version,
        };
        let answer = self.admin.break_glass(call(first)).await;
        if told(&self.world, "lease break-glass", answer).is_none() {
            return;
        }
        let Some(lease) = self.lease().await else { return };
        let second = v1::AttestLeaseRequest {
            lease: LEASE.into(),
            server,
            reason,
            ticket,
            dry_run: false,
            seen_version: lease.row_version,
        };
        let answer = self.bob.attest_lease(call(second)).await;
        told(&self.world, "lease attest", answer);
    }

    async fn plan(&mut self, lease: &v1::Lease, run: v1::FenceRun) {
        let opens = run == v1::FenceRun::Open;
        let request = v1::PlanFenceRequest {
            lease: LEASE.into(),
            run: run.into(),
            logins: self
                .world
                .services
                .iter()
                .filter(|_| !opens)
                .map(|s| s.account.clone())
                .collect(),
            reason: "it must be".into(),
            ..v1::PlanFenceRequest::default()
        };
        let answer = self.admin.plan_fence(call(request)).await;
        let what = if opens { "lease open" } else { "lease fence --sql" };
        let Some(planned) = told(&self.world, what, answer) else {
            return;
        };
        if planned.state != "planned" {
            return self.world.say(format!("operator: {what} is {}", planned.state));
        }
        self.run = Some(Run {
            id: planned.id.clone(),
            opens: false,
            epoch: lease.epoch,
        });
        let apply = v1::ApplyRequest {
            migration: planned.id.clone(),
            plan_digest: planned.plan_digest,
            accept_until: None,
            accept_warnings: vec![],
            reason: String::new(),
        };
        self.strand(opens);
        let answer = self.admin.apply(call(apply)).await;
        told(&self.world, "apply", answer);
        if opens {
            self.until_open(&planned.id, lease.epoch).await;
        }
    }

    /// In the second half of a long seed, a fence that was planned finds no way to SQL Server any more.
    fn strand(&self, opens: bool) {
        let since = now() - self.world.begun_at.load(Ordering::SeqCst);
        if self.world.long && !opens && since > STRANDS_AFTER_MS {
            self.world.say("the way to SQL Server breaks for good");
            self.world.slots[SQL].sql_cut.store(true, Ordering::SeqCst);
            self.world.stranded.store(true, Ordering::SeqCst);
        }
    }

    /// Looks for a while whether a run that opens the database came to its end.
    async fn until_open(&mut self, id: &str, epoch: i64) {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let request = v1::GetMigrationRequest { migration: id.into() };
            let Ok(found) = self.admin.get_migration(call(request)).await else {
                continue;
            };
            if found.into_inner().state == "succeeded" {
                self.run = Some(Run {
                    id: id.into(),
                    opens: true,
                    epoch,
                });
                return;
            }
        }
    }

    /// A run that stopped is ordered again, or given up.
    async fn follow_run(&mut self, _lease: &v1::Lease) {
        let Some(run) = self.run.as_ref().filter(|r| !r.opens) else {
            return;
        };
        let id = run.id.clone();
        let request = v1::GetMigrationRequest { migration: id.clone() };
        let Ok(found) = self.admin.get_migration(call(request)).await else {
            return;
        };
        match found.into_inner().state.as_str() {
            "stopped" | "stuck" if self.world.chance(60) => {
                let again = v1::ApplyRequest {
                    migration: id,
                    reason: "once more".into(),
                    ..Default::default()
                };
                let answer = self.admin.apply(call(again)).await;
                told(&self.world, "apply again", answer);
            }
            "stopped" | "stuck" if self.world.chance(50) => {
                let cancel = v1::CancelRequest {
                    migration: id,
                    reason: "no more".into(),
                };
                let answer = self.admin.cancel(call(cancel)).await;
                told(&self.world, "cancel", answer);
            }
            _ => {}
        }
    }

    /// Somebody registers the database under another name.
    async fn add_alias(&mut self) {
        let add = v1::AddDatabaseRequest {
            site: "contoso".into(),
            host: "SQL01".into(),
            instance: "alias".into(),
            name: "ADSync".into(),
        };
        let answer = self.admin.add_database(call(add)).await;
        told(&self.world, "database add, by another name", answer);
    }
}
