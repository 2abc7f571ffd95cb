//! A world in which a server can be replaced: ADSync on SQL01, used by SYNC01 under an account of its own; SYNC02 is new. And
//! the plans of all four ways to hand over, as they are stored and shown.

use std::collections::BTreeMap;

use syncferry_shared::AgentId;
use syncferry_shared::fence::{FencePreview, PrincipalFacts};
use syncferry_shared::inventory::{ConnectParameters, DatabaseAddress, DatabaseName, InstanceFacts};
use syncferry_shared::lease::{LeaseRef, LeaseState};
use syncferry_shared::plan::{HandoverWay, Plan, Scenario};
use uuid::Uuid;

use super::facts::{self, ACCOUNT, FAMILY_GUID, SOURCE_GUID};
use super::world::{SOURCE, SQL01, SYNC01, good, host, lease};
use crate::plan::specs::{Known, spec};
use crate::plan::{KnownHost, PlanInput, plan};

/// The old server's account.
pub(super) const OLD: &str = r"CONTOSO\gmsa-old$";

/// An account that a denial binds.
pub(super) fn principal(login: &str) -> PrincipalFacts {
    PrincipalFacts {
        login: login.to_string(),
        exists: Some(true),
        user: Some(login.to_string()),
        is_owner: Some(false),
        is_sysadmin: Some(false),
        groups: Some(vec![]),
        connect: Some("GRANT".to_string()),
    }
}

/// The input of a plan in which nothing is wrong.
pub(super) fn replaced() -> PlanInput {
    let mut input = good();
    let mut database = input.source_db().clone();
    database.instance = "default".to_string();
    database.server_name = "SQL01".to_string();
    database.owner = Some("sa".to_string());
    for session in database.sessions.iter_mut().flatten() {
        session.login = OLD.to_string();
    }
    let mut sql = facts::sql_host();
    sql.instances[0].databases.push(DatabaseName {
        name: "ADSync".to_string(),
        state: "ONLINE".to_string(),
        family_guid: Some(FAMILY_GUID),
    });
    sql.databases = vec![database];
    sql.preview = Some(FencePreview {
        principals: vec![principal(OLD), principal(ACCOUNT)],
        updateability: Some("READ_WRITE".to_string()),
        ..FencePreview::default()
    });
    let mut old = facts::old_server();
    old.instances.clear();
    old.databases.clear();
    if let Some(connect) = &mut old.connect {
        connect.parameters = Some(ConnectParameters {
            server: "SQL01".to_string(),
            instance: String::new(),
            database: "ADSync".to_string(),
        });
        if let Some(service) = &mut connect.service {
            service.account = OLD.to_string();
        }
    }
    let held = lease(SOURCE, LeaseState::Held, Some(SYNC01));
    input.holder = Some(KnownHost {
        holds: Some(held.clone()),
        ..host(SYNC01, "SYNC01", old)
    });
    input.source_host = host(SQL01, "SQL01", sql);
    input.target_host = input.source_host.clone();
    input.source.address = DatabaseAddress {
        instance: "default".to_string(),
        database: "ADSync".to_string(),
    };
    input.source.server_name = "SQL01".to_string();
    input.source.database_guid = Some(SOURCE_GUID);
    input.source.lease = Some(held);
    input.source.lease_name = "SQL01/default/ADSync".to_string();
    input.request.scenario = Scenario::ReplaceServer;
    input.request.keep_backup = true;
    input.request.handover = Some(HandoverWay::Host);
    input.holder_exports = true;
    input
}

impl PlanInput {
    /// The instance of the database, wherever a rule looks for it.
    pub(super) fn instance(&mut self, change: impl Fn(&mut InstanceFacts)) {
        for host in [&mut self.source_host, &mut self.target_host] {
            for instance in host.inventory.iter_mut().flat_map(|i| &mut i.instances) {
                change(instance);
            }
        }
    }
    /// A login as the agent sees it.
    pub(super) fn login(&mut self, name: &str) -> &mut PrincipalFacts {
        let preview = self.old().preview.get_or_insert_default();
        let at = preview.principals.iter().position(|p| p.login == name);
        let at = at.unwrap_or_else(|| {
            preview.principals.push(principal(name));
            preview.principals.len() - 1
        });
        &mut preview.principals[at]
    }
    /// The old server is gone, and its lease with it.
    pub(super) fn dead(&mut self) {
        if let Some(holder) = &mut self.holder {
            holder.online = false;
            holder.inventory = None;
        }
        if let Some(lease) = &mut self.source.lease {
            lease.state = LeaseState::Lost;
        }
    }
}

/// A plan without what the operator typed and what the agents said, which other snapshots show.
fn shown(plan: &Plan) -> String {
    let mut text = String::new();
    for (number, stage) in plan.stages.iter().enumerate() {
        text += &format!("## {} {}\n", number + 1, stage.name);
        for job in &stage.jobs {
            text += &format!(
                "{} ({:?}) on {}, lease {:?}\n",
                job.name, job.kind, job.host_name, job.lease
            );
            for step in &job.steps {
                text += &format!("  - {step}\n");
            }
            for change in &job.changes {
                text += &format!("  ! {change}\n");
            }
        }
        if let Some(h) = plan.handover.as_ref().filter(|h| h.stage == number) {
            text += &format!("{} -> {} by way of {}\n", h.from_name, h.to_name, h.way.as_str());
            for step in &h.steps {
                text += &format!("  - {step}\n");
            }
            text += &format!("  proves {}\n", h.proves);
        }
    }
    text += "## back\n";
    for line in &plan.rollback {
        text += &format!("- {line}\n");
    }
    text += "## findings\n";
    for f in &plan.findings {
        text += &format!("- {} {}\n", f.severity.as_str(), f.rule);
    }
    text
}

#[test]
fn the_plans_of_all_ways() {
    for way in HandoverWay::ALL {
        let mut input = replaced();
        input.request.handover = Some(*way);
        if *way != HandoverWay::Host {
            input.dead();
        }
        let plan = plan(&input);
        assert!(!plan.blocked(), "{way:?}: {:?}", plan.findings);
        insta::assert_snapshot!(format!("replace_{}", way.as_str()), shown(&plan));
    }
}

/// Nobody holds it, or the new server does already: nothing is taken, and the rest is done.
#[test]
fn what_was_handed_over_before_is_not_taken_again() {
    for state in [LeaseState::Free, LeaseState::Held] {
        let mut input = replaced();
        let new = input.request.connect_host;
        let lease = input.source.lease.as_mut().unwrap();
        (lease.state, lease.epoch) = (state, 3);
        lease.holder = (state == LeaseState::Held).then_some(new);
        input.holder = (state == LeaseState::Held).then(|| input.connect_host.clone());
        input.source_db().sessions = Some(vec![]);
        let plan = plan(&input);
        assert!(!plan.blocked(), "{:?}", plan.findings);
        let h = plan.handover.clone().unwrap();
        assert_eq!((h.from, h.to), (None, new));
        assert!(!plan.jobs().any(|j| j.name == "stop-old-server"));
        assert!(plan.jobs().any(|j| j.name == "verify-unused"));
    }
}

#[test]
fn every_job_of_a_replacement_gets_its_specification() {
    let plan = plan(&replaced());
    let mut outcomes = BTreeMap::new();
    let mut all = Vec::new();
    for job in plan.jobs() {
        let known = Known {
            outcomes: &outcomes,
            lease: LeaseRef {
                resource: job.resource.clone(),
                epoch: 1,
            },
            source_agent: Some(AgentId(Uuid::from_u128(0xa9))),
            source_address: None,
        };
        let made = spec(&plan, job, &known).unwrap();
        let need = syncferry_shared::capability::of_job(&job.name, job.kind);
        assert_eq!(syncferry_shared::capability::of_task(&made.task), need, "{}", job.name);
        outcomes.insert(job.name.clone(), facts::outcome(&made));
        // What the other scenario has as well is in its own snapshot.
        if [
            "test-restore",
            "stop-old-server",
            "verify-unused",
            "verify-old-server-out",
        ]
        .contains(&job.name.as_str())
        {
            all.push(made.task);
        }
    }
    insta::assert_snapshot!("replace_specs", serde_json::to_string_pretty(&all).unwrap());
}
