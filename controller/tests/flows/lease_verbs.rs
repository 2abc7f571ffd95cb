//! What operators do to leases: each verb says beforehand what it will do, acts on what was shown, and frees nothing without
//! a proof.

use syncferry_proto::v1::operator_client::OperatorClient;
use syncferry_proto::{schema, v1};
use syncferry_shared::Finding;
use syncferry_shared::power::{PowerLook, PowerSight};
use syncferry_shared::watch::{WatchReport, WatchedConnect};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::support::{FakeAgent, Life, Operator, World, config, facts, findings, rules, until};

const SOURCE: &str = "SYNC01/localdb/ADSync";

fn client(o: &Operator) -> OperatorClient<Channel> {
    o.client.clone()
}

fn found(answer: &v1::LeaseAnswer) -> Vec<String> {
    let findings: Vec<Finding> = answer.findings.as_ref().unwrap().read(schema::FINDINGS).unwrap();
    findings.into_iter().map(|f| f.rule).collect()
}

async fn version(o: &Operator, lease: &str) -> i64 {
    o.find_lease(lease).await.unwrap().lease.unwrap().row_version
}

async fn handover(o: &Operator, to: &str, dry_run: bool) -> Result<v1::LeaseAnswer, Status> {
    let request = v1::HandOverLeaseRequest {
        lease: SOURCE.into(),
        to: to.into(),
        reason: "a test".into(),
        dry_run,
        seen_version: version(o, SOURCE).await,
    };
    Ok(client(o).hand_over_lease(request).await?.into_inner())
}

async fn fence(o: &Operator, dry_run: bool) -> Result<v1::LeaseAnswer, Status> {
    let request = v1::FenceLeaseRequest {
        lease: SOURCE.into(),
        reason: "a test".into(),
        dry_run,
        seen_version: version(o, SOURCE).await,
        ..v1::FenceLeaseRequest::default()
    };
    Ok(client(o).fence_lease(request).await?.into_inner())
}

async fn power_off(o: &Operator, via: &str, dry_run: bool) -> Result<v1::LeaseAnswer, Status> {
    let request = v1::FenceLeaseRequest {
        lease: SOURCE.into(),
        reason: "SYNC01 is shut down".into(),
        dry_run,
        seen_version: version(o, SOURCE).await,
        power_off: true,
        via: via.into(),
    };
    Ok(client(o).fence_lease(request).await?.into_inner())
}

async fn break_glass(o: &Operator, server: &str) -> Result<v1::LeaseAnswer, Status> {
    let request = v1::BreakGlassRequest {
        lease: SOURCE.into(),
        server: server.into(),
        reason: "the rack burnt".into(),
        ticket: "INC-1".into(),
        dry_run: false,
        seen_version: version(o, SOURCE).await,
    };
    Ok(client(o).break_glass(request).await?.into_inner())
}

async fn attest(o: &Operator, server: &str, ticket: &str) -> Result<v1::LeaseAnswer, Status> {
    let request = v1::AttestLeaseRequest {
        lease: SOURCE.into(),
        server: server.into(),
        reason: "I stood before it".into(),
        ticket: ticket.into(),
        dry_run: false,
        seen_version: version(o, SOURCE).await,
    };
    Ok(client(o).attest_lease(request).await?.into_inner())
}

fn state(answer: &v1::LeaseAnswer) -> (&str, &str, i64) {
    let l = answer.lease.as_ref().unwrap();
    (l.state.as_str(), l.holder.as_str(), l.epoch)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_handed_over_when_its_holder_is_seen_to_have_stopped() {
    let w = World::new().await;
    let would = handover(&w.operator, "SYNC02", true).await.unwrap();
    assert_eq!((would.ready, state(&would)), (false, ("held", "SYNC01", 1)));
    assert!(found(&would).contains(&"holder-not-stopped".to_string()), "{would:?}");
    assert_eq!(would.steps.len(), 4, "{:?}", would.steps);

    let begun = handover(&w.operator, "SYNC02", false).await.unwrap();
    assert_eq!((begun.ready, state(&begun)), (false, ("draining", "SYNC01", 1)));
    assert_eq!(begun.lease.as_ref().unwrap().handover_to, "SYNC02");
    assert!(begun.next_step.contains("Stop-Service ADSync"), "{}", begun.next_step);

    // Stopped is not enough: it would start again with the machine.
    w.old.service("stopped", "automatic");
    assert!(!handover(&w.operator, "SYNC02", false).await.unwrap().ready);
    w.old.service("stopped", "disabled");
    let done = handover(&w.operator, "SYNC02", false).await.unwrap();
    assert_eq!((done.ready, state(&done)), (true, ("held", "SYNC02", 3)));
    let full = w.operator.find_lease(SOURCE).await.unwrap();
    let proof = full.proofs.iter().find(|p| p.epoch == 2).unwrap();
    assert_eq!(
        (proof.kind.as_str(), proof.actor.as_str()),
        ("holder_stopped", "operator:admin")
    );
    let told: Vec<&str> = full.history.iter().map(|c| c.event.as_str()).collect();
    assert_eq!(told, ["create", "acquire", "handover", "release", "acquire"]);
    assert_eq!(full.lease.unwrap().renewer, "SYNC02");
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_on_a_lease_that_is_not_what_was_shown() {
    let w = World::new().await;
    let seen = version(&w.operator, SOURCE).await;
    let request = |to: &str, seen_version| v1::HandOverLeaseRequest {
        lease: SOURCE.into(),
        to: to.into(),
        reason: "a test".into(),
        dry_run: false,
        seen_version,
    };
    let stale = client(&w.operator)
        .hand_over_lease(request("SYNC02", seen - 1))
        .await
        .unwrap_err();
    assert_eq!(rules(&stale), ["lease-changed"]);
    for (to, rule) in [("SQL01", "not-a-connect-server"), ("SYNC01", "holds-it-already")] {
        let refused = client(&w.operator)
            .hand_over_lease(request(to, seen))
            .await
            .unwrap_err();
        assert_eq!(rules(&refused), [rule]);
    }
    let unreasoned = v1::HandOverLeaseRequest {
        reason: " ".into(),
        ..request("", seen)
    };
    let refused = client(&w.operator).hand_over_lease(unreasoned).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    // A lease that is held is not fenced from the host, and not attested alone.
    assert_eq!(rules(&fence(&w.operator, false).await.unwrap_err()), ["lease-state"]);
    assert_eq!(
        rules(&attest(&w.operator, "SYNC01", "INC-1").await.unwrap_err()),
        ["lease-state"]
    );
    assert_eq!(
        version(&w.operator, SOURCE).await,
        seen,
        "nothing of this changed anything"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_is_freed_by_what_its_holders_host_shows() {
    let w = World::with(config()).await;
    w.old.set_life(Life::NoRenewals);
    w.operator.until_lease("SYNC01", |l| l.state == "lost").await;
    let alarm = async |state: &str| {
        until(&format!("the alarm is {state}"), async || {
            let of = |a: &v1::Alarm| a.kind == "lease-lost" && a.subject == SOURCE && a.state == state;
            w.operator.alarms().await.iter().any(of).then_some(())
        })
        .await;
    };
    alarm("raised").await;

    let refused = fence(&w.operator, false).await.unwrap_err();
    assert!(
        rules(&refused).contains(&"holder-not-stopped".to_string()),
        "{refused:?}"
    );
    assert_eq!(
        w.operator.lease("SYNC01").await.state,
        "lost",
        "no token is void for a proof that is not at hand"
    );
    w.old.service("stopped", "disabled");
    let would = fence(&w.operator, true).await.unwrap();
    assert!(would.ready && state(&would).0 == "lost", "{would:?}");
    let done = fence(&w.operator, false).await.unwrap();
    assert_eq!((done.ready, state(&done)), (true, ("free", "", 2)));
    let refused = w.old.renew(&done.lease.unwrap().resource, 1).await;
    assert!(!refused.renewed, "who was fenced does not come back by renewing");
    alarm("cleared").await;
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_freed_by_a_hypervisors_word_that_its_holder_is_off() {
    let w = World::with(config()).await;
    let says = |state: &str| {
        let look = |after_ms| PowerLook {
            after_ms,
            exit_code: Some(0),
            printed: format!(r#"{{"syncferry":"power/1","id":"vm-7","state":"{state}"}}"#),
            ..PowerLook::default()
        };
        w.sql.journal(|j| {
            j.inventory.power = Some(PowerSight {
                machine: "SYNC01".into(),
                id: "vm-7".into(),
                program: vec!["/usr/local/lib/power".into()],
                looks: vec![look(0), look(2_000)],
            });
        });
    };
    says("off");
    let held = power_off(&w.operator, "SQL01", false).await.unwrap_err();
    assert_eq!(rules(&held), ["lease-state"], "a lease that is alive is not taken");
    w.old.set_life(Life::NoRenewals);
    w.operator.until_lease("SYNC01", |l| l.state == "lost").await;
    let talks = power_off(&w.operator, "SQL01", false).await.unwrap_err();
    assert_eq!(rules(&talks)[0], "holder-alive", "{talks:?}");
    let itself = power_off(&w.operator, "SYNC01", false).await.unwrap_err();
    assert_eq!(rules(&itself), ["power-same-host"]);

    w.old.set_life(Life::Silent);
    until("the agent on SYNC01 is silent", async || {
        (w.operator.host("SYNC01").await.agent_state == "silent").then_some(())
    })
    .await;
    let nowhere = power_off(&w.operator, "", false).await.unwrap_err();
    assert_eq!(nowhere.code(), Code::InvalidArgument);
    let unasked = power_off(&w.operator, "SYNC02", false).await.unwrap_err();
    assert!(
        rules(&unasked).contains(&"power-not-configured".to_string()),
        "{unasked:?}"
    );
    says("running");
    let runs = power_off(&w.operator, "SQL01", false).await.unwrap_err();
    assert!(rules(&runs).contains(&"power-not-off".to_string()), "{runs:?}");
    assert_eq!(w.operator.lease("SYNC01").await.state, "lost", "nothing was taken");

    says("off");
    let would = power_off(&w.operator, "SQL01", true).await.unwrap();
    assert!(would.ready && state(&would).0 == "lost", "{would:?}");
    let done = power_off(&w.operator, "SQL01", false).await.unwrap();
    assert_eq!((done.ready, state(&done)), (true, ("free", "", 2)));
    let full = w.operator.find_lease(SOURCE).await.unwrap();
    let proof = full.proofs.iter().find(|p| p.epoch == 2).unwrap();
    let evidence: serde_json::Value = proof.evidence.as_ref().unwrap().read(schema::JSON).unwrap();
    assert_eq!((proof.kind.as_str(), &evidence["via"]), ("power_off", &"SQL01".into()));
    assert!(
        evidence["said"]["looks"][1]["printed"]
            .as_str()
            .unwrap()
            .contains("vm-7")
    );
    let told: Vec<&str> = full.history.iter().map(|c| c.event.as_str()).collect();
    assert_eq!(told, ["create", "acquire", "expire", "begin-fence", "end-fence"]);
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_take_a_lease_and_everybody_hears_of_it() {
    let mut w = World::new().await;
    let bob = w.controller.another_operator("bob").await;
    let admin = w.operator.clone();
    // What was just seen alive is not taken by anybody's word.
    let connect = w.old.journal(|j| j.inventory.connect.clone().unwrap());
    let mut look = WatchReport {
        connect: Some(WatchedConnect {
            error: None,
            facts: connect,
        }),
        ..WatchReport::default()
    };
    until("its agent is back", async || w.old.watched(&look).await.ok()).await;
    let refused = break_glass(&admin, "SYNC01").await.unwrap_err();
    assert!(
        rules(&refused).contains(&"word-contradicted".to_string()),
        "{refused:?}"
    );
    let service = look.connect.as_mut().unwrap().facts.service.as_mut().unwrap();
    service.state = "stopped".into();
    w.old.watched(&look).await.unwrap();
    w.old.set_life(Life::Silent);

    let refused = break_glass(&admin, "SYNC02").await.unwrap_err();
    assert!(
        rules(&refused).contains(&"server-name-differs".to_string()),
        "{refused:?}"
    );
    let given = break_glass(&admin, "sync01").await.unwrap();
    assert_eq!(state(&given), ("held", "SYNC01", 1), "one word changes nothing");
    let waiting = given.lease.unwrap().attestation.unwrap();
    assert_eq!(
        (waiting.first.as_str(), waiting.ticket.as_str()),
        ("operator:admin", "INC-1")
    );

    let alone = attest(&admin, "SYNC01", "").await.unwrap_err();
    assert_eq!(rules(&alone), ["one-person"]);
    assert!(findings(&alone)[0].next_step.contains("operator add"));
    let wrong = attest(&bob, "SYNC02", "").await.unwrap_err();
    assert!(rules(&wrong).contains(&"server-name-differs".to_string()));
    let waits = break_glass(&bob, "SYNC01").await.unwrap_err();
    assert_eq!(rules(&waits), ["word-waits"]);
    let done = attest(&bob, "SYNC01", "").await.unwrap();
    assert_eq!((done.ready, state(&done)), (true, ("free", "", 2)));

    let full = w.operator.find_lease(SOURCE).await.unwrap();
    let proof = full.proofs.iter().find(|p| p.epoch == 2).unwrap();
    assert_eq!(
        (proof.kind.as_str(), proof.actor.as_str(), proof.actor2.as_str()),
        ("operator_attested", "operator:admin", "operator:bob")
    );
    let told: Vec<&str> = full.history.iter().map(|c| c.event.as_str()).collect();
    assert_eq!(told, ["create", "acquire", "break-glass", "end-fence"]);
    let alarm = w.operator.until_alarm("break-glass", "raised").await;
    let request = v1::AcknowledgeAlarmRequest {
        alarm: alarm.id.clone(),
        remark: "SYNC01 is scrap".into(),
    };
    let known = client(&bob)
        .acknowledge_alarm(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (known.state.as_str(), known.acknowledged_by.as_str()),
        ("cleared", "operator:bob")
    );
    assert!(client(&bob).acknowledge_alarm(request).await.is_err(), "once");
    let kinds: Vec<String> = w
        .operator
        .events("system", "")
        .await
        .into_iter()
        .map(|e| e.r#type)
        .collect();
    for kind in [
        "operator.added",
        "lease.word-given",
        "alarm.raised",
        "alarm.acknowledged",
        "alarm.cleared",
    ] {
        assert!(kinds.iter().any(|k| k == kind), "{kind} in {kinds:?}");
    }
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_agent_renews_for_the_same_holder() {
    let w = World::new().await;
    w.applied().await;
    let seat = w.operator.lease("SQL01").await;
    assert_eq!((seat.holder.as_str(), seat.renewer.as_str()), ("SYNC02", "SQL01"));
    let adopt = async |host: &str, seen_version| {
        let request = v1::AdoptLeaseRequest {
            lease: seat.resource.clone(),
            host: host.into(),
            reason: "a test".into(),
            dry_run: false,
            seen_version,
        };
        client(&w.operator).adopt_lease(request).await
    };
    let refused = adopt("SYNC01", seat.row_version).await.unwrap_err();
    assert_eq!(rules(&refused), ["not-a-renewer"]);
    let done = adopt("SYNC02", seat.row_version).await.unwrap().into_inner();
    let lease = done.lease.unwrap();
    assert_eq!(
        (lease.holder.as_str(), lease.renewer.as_str(), lease.epoch),
        ("SYNC02", "SYNC02", seat.epoch)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_active_server_holds_its_tenants_export() {
    let w = World::new().await;
    let export = w.operator.find_lease("contoso/export").await.unwrap().lease.unwrap();
    assert_eq!(
        (export.kind.as_str(), export.state.as_str(), export.holder.as_str()),
        ("tenant-export", "held", "SYNC01")
    );
    assert_eq!(
        (export.name.as_str(), export.subject.as_str()),
        ("contoso/export", "export of contoso")
    );
    let ask = |seen_version| v1::HandOverLeaseRequest {
        lease: "contoso/export".into(),
        to: "SYNC02".into(),
        reason: "a test".into(),
        dry_run: false,
        seen_version,
    };
    let begun = client(&w.operator)
        .hand_over_lease(ask(export.row_version))
        .await
        .unwrap()
        .into_inner();
    assert!(
        !begun.ready && found(&begun).contains(&"holder-not-stopped".to_string()),
        "{begun:?}"
    );
    // Staging mode is enough: its database stays its own.
    w.old.journal(|j| {
        let connect = j.inventory.connect.as_mut().unwrap();
        connect.scheduler.as_mut().unwrap().staging_mode = true;
    });
    let seen = begun.lease.unwrap().row_version;
    let done = client(&w.operator)
        .hand_over_lease(ask(seen))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((done.ready, state(&done)), (true, ("held", "SYNC02", 3)));
    assert_eq!(
        w.operator.lease("SYNC01").await.state,
        "held",
        "the database's lease is another one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sites_of_one_tenant_share_its_export() {
    let w = World::new().await;
    w.operator.add_site("emea", 1).await;
    let token = w.operator.add_host("emea", "SYNC09", &["connect-server"]).await;
    let mut inventory = facts::new_server();
    inventory.host.computer_name = "SYNC09".into();
    let other = FakeAgent::enrolled(&w.controller.address, &token, inventory).await;
    // One row, whichever site's name leads to it.
    let ours = w.operator.find_lease("contoso/export").await.unwrap().lease.unwrap();
    let theirs = w.operator.find_lease("emea/export").await.unwrap().lease.unwrap();
    assert_eq!(ours, theirs);
    assert_eq!(
        (ours.holder.as_str(), ours.sites.as_slice(), ours.subject.as_str()),
        (
            "SYNC01",
            &["contoso".to_string(), "emea".to_string()][..],
            "export of contoso, emea"
        )
    );
    let request = v1::GetSiteRequest { site: "emea".into() };
    let site = client(&w.operator).get_site(request).await.unwrap().into_inner();
    assert_eq!(site.same_tenant, ["contoso"]);

    // The other site's server is out of staging mode: the tenant has two that export.
    let mut connect = w.old.journal(|j| j.inventory.connect.clone().unwrap());
    connect.scheduler.as_mut().unwrap().staging_mode = false;
    let look = WatchReport {
        connect: Some(WatchedConnect {
            error: None,
            facts: connect,
        }),
        ..WatchReport::default()
    };
    // Agents look again and again; an old look ends no alarm.
    let told = async |state: &str| {
        until(&format!("the second active server is {state}"), async || {
            other.watched(&look).await.unwrap();
            let all = w.operator.alarms().await;
            all.into_iter()
                .find(|a| a.kind == "second-active-server" && a.state == state)
        })
        .await
    };
    assert_eq!(told("raised").await.subject, "contoso/export by SYNC09");

    // It does not get the lease while SYNC01 exports, and does when that is in staging mode.
    let ask = |seen_version| v1::HandOverLeaseRequest {
        lease: "emea/export".into(),
        to: "SYNC09".into(),
        reason: "a test".into(),
        dry_run: false,
        seen_version,
    };
    let begun = client(&w.operator).hand_over_lease(ask(ours.row_version)).await;
    let begun = begun.unwrap().into_inner();
    assert_eq!((begun.ready, state(&begun)), (false, ("draining", "SYNC01", 1)));
    w.old.journal(|j| {
        let connect = j.inventory.connect.as_mut().unwrap();
        connect.scheduler.as_mut().unwrap().staging_mode = true;
    });
    let seen = begun.lease.unwrap().row_version;
    let done = client(&w.operator)
        .hand_over_lease(ask(seen))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((done.ready, state(&done)), (true, ("held", "SYNC09", 3)));
    told("cleared").await;
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_one_name_are_told_apart() {
    let w = World::new().await;
    let (_, install) = w.at("install").await;
    w.install(&install).await;
    w.verify().await;
    w.operator.until_lease("SQL01", |l| l.renewer == "SYNC02").await;
    let unclear = w.operator.find_lease("ADSync").await.unwrap_err();
    assert_eq!(unclear.code(), Code::InvalidArgument);
    for part in [
        "SYNC01/localdb/ADSync (used by SYNC01",
        "SQL01/default/ADSync (used by SYNC02",
    ] {
        assert!(unclear.message().contains(part), "{}", unclear.message());
    }
    for l in w.operator.leases().await {
        let again = w.operator.find_lease(&l.name).await.unwrap().lease.unwrap();
        assert_eq!(
            again.resource, l.resource,
            "the name that is shown is a name that finds it"
        );
    }
}
