//! What people read, without a controller.

use insta::assert_snapshot;
use serde_json::json;
use syncferry_cli::render::{self, Look};
use syncferry_proto::v1::{GetVersionResponse, Host};
use syncferry_shared::Finding;

use crate::samples::*;

const LOOK: Look = Look {
    color: false,
    width: 100,
    now: NOW,
};

#[test]
fn a_plan_that_can_be_applied() {
    let m = planned(vec![warning(), note()]);
    assert_snapshot!(render::plan(&m, &plan(vec![warning(), note()]), &LOOK));
}

#[test]
fn a_plan_that_is_blocked() {
    let m = planned(vec![blocker(), warning(), note()]);
    assert_snapshot!(render::plan(&m, &plan(vec![blocker(), warning(), note()]), &LOOK));
}

#[test]
fn a_plan_without_findings_on_a_narrow_terminal() {
    let look = Look { width: 60, ..LOOK };
    assert_snapshot!(render::plan(&planned(vec![]), &plan(vec![]), &look));
}

#[test]
fn cards() {
    assert_snapshot!(render::gate(&gate("open"), &LOOK));
}

#[test]
fn a_gate_that_opens_and_one_that_is_claimed() {
    assert_snapshot!(render::gate_opened(&gate("open"), &LOOK) + &render::claimed(&gate("claimed"), &LOOK));
}

#[test]
fn gates() {
    assert_snapshot!(render::gates(&[gate("open"), gate("claimed")], &LOOK) + &render::gates(&[], &LOOK));
}

#[test]
fn leases() {
    assert_snapshot!(render::leases(&[lease(), seat(), export()], &LOOK));
}

#[test]
fn one_lease() {
    assert_snapshot!(render::lease(&lease_detail(), &LOOK));
}

#[test]
fn sites_hosts_databases() {
    let hosts = [host("SYNC01"), fresh_host()];
    let parts = [
        render::sites(&[site()], &LOOK),
        render::site(&site(), &LOOK),
        render::hosts(&hosts, &LOOK),
        render::host(&hosts[0], &LOOK),
        render::host(&hosts[1], &LOOK),
        render::token("SYNC02", "sft1.ABCDEF.012345", ago(-60).as_ref(), &LOOK),
        render::databases(&[database()], &LOOK),
        render::database(&database(), &LOOK),
    ];
    assert_snapshot!(parts.join("\n"));
}

#[test]
fn nothing_yet() {
    let parts = [
        render::sites(&[], &LOOK),
        render::hosts(&[], &LOOK),
        render::databases(&[], &LOOK),
        render::migrations(&[], &LOOK),
        render::leases(&[], &LOOK),
        render::events(&[], &LOOK),
    ];
    assert_snapshot!(parts.join(""));
}

#[test]
fn status_of_all() {
    assert_snapshot!(render::migrations(
        &[running(), stopped(), migration("succeeded")],
        &LOOK
    ));
}

#[test]
fn status_of_one_that_runs() {
    let mut m = running();
    m.open_gates = vec![gate("open")];
    assert_snapshot!(render::status(&m, &LOOK));
}

#[test]
fn status_of_one_that_stopped() {
    assert_snapshot!(render::status(&stopped(), &LOOK));
}

#[test]
fn how_a_watch_ends() {
    let states = ["succeeded", "planned", "blocked", "stuck", "cancelled", "running"];
    let mut text: String = states.iter().map(|s| render::resting(&migration(s), &LOOK)).collect();
    text.push_str(&render::resting(&stopped(), &LOOK));
    assert_snapshot!(text);
}

#[test]
fn event_lines() {
    assert_snapshot!(render::events(&events(), &LOOK));
}

#[test]
fn event_lines_as_the_controller_writes_them() {
    let hash = "ab".repeat(32);
    let more = [
        (
            "plan.made",
            json!({"digest": hash, "blocked": false, "findings": [warning(), note()], "jobs": ["backup"]}),
        ),
        ("job.ready", json!({"job": "backup", "digest": hash, "epoch": 1})),
        (
            "job.offered",
            json!({"job": "backup", "host": "SYNC01", "to": "agent:SYNC01", "attempt": 2, "undo": false}),
        ),
        ("job.accepted", json!({"job": "backup", "attempt": 1, "undo": true})),
        (
            "step.done",
            json!({"job": "backup", "step": "hash-file", "ordinal": 9, "total": 9, "state": "done", "attempt": 1}),
        ),
        (
            "job.succeeded",
            json!({"job": "backup", "levels": ["L0"], "host": MIGRATION, "findings": [note(), note()]}),
        ),
        (
            "gate.opened",
            json!({"gate": MIGRATION, "job": "install", "host": "SYNC02", "title": "Complete the wizard", "cards": []}),
        ),
        ("migration.succeeded", json!({})),
    ];
    let events: Vec<_> = (1..)
        .zip(more)
        .map(|(n, (kind, payload))| event(n, kind, "controller", payload))
        .collect();
    assert_snapshot!(render::events(&events, &LOOK));
}

#[test]
fn progress_lines() {
    let m = running();
    assert_snapshot!(m.jobs.iter().map(|j| render::job_line(j, &LOOK)).collect::<String>());
}

#[test]
fn health() {
    let v = GetVersionResponse {
        version: "0.1.0".into(),
        store_id: MIGRATION.into(),
        incarnation: 1,
        catalogue_signed_off: "2026-11-01".into(),
    };
    assert_snapshot!(render::health(
        &v,
        "controller:7443",
        "ada",
        NOW.plus(86_400_000 * 90),
        12,
        &LOOK
    ));
}

#[test]
fn colours_change_nothing_but_colours() {
    let m = planned(vec![blocker(), warning(), note()]);
    let p = plan(vec![blocker(), warning(), note()]);
    let colored = Look { color: true, ..LOOK };
    let strip = |text: String| {
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, rest)| rest);
        }
        plain + rest
    };
    let pairs = [
        (render::plan(&m, &p, &LOOK), render::plan(&m, &p, &colored)),
        (render::status(&stopped(), &LOOK), render::status(&stopped(), &colored)),
        (
            render::lease(&lease_detail(), &LOOK),
            render::lease(&lease_detail(), &colored),
        ),
        (
            render::gate(&gate("open"), &LOOK),
            render::gate(&gate("open"), &colored),
        ),
        (render::events(&events(), &LOOK), render::events(&events(), &colored)),
        (
            render::hosts(&[host("A")], &LOOK),
            render::hosts(&[host("A")], &colored),
        ),
    ];
    for (plain, colored) in pairs {
        assert!(colored.contains("\u{1b}["));
        assert_eq!(strip(colored), plain);
    }
}

/// What an agent says ends on an operator's terminal.
#[test]
fn nobody_else_steers_the_terminal() {
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\r";
    let finding = Finding::blocker(evil, evil).saw(evil, evil).source(evil).next(evil);
    let mut m = stopped();
    m.site = evil.into();
    m.waiting_for = evil.into();
    m.plan_digest = evil.into();
    m.jobs[0].name = evil.into();
    m.jobs[0].host = evil.into();
    let mut gate = gate("open");
    gate.title = evil.into();
    gate.observation = evil.into();
    gate.host = evil.into();
    m.open_gates = vec![gate.clone()];
    let mut p = plan(vec![]);
    p.findings = vec![finding];
    p.rollback = vec![evil.into()];
    p.stages[0].name = evil.into();
    p.stages[0].jobs[0].host_name = evil.into();
    let host = Host {
        name: evil.into(),
        agent_state: evil.into(),
        agent_id: evil.into(),
        ..host(evil)
    };
    let mut events = events();
    events[0].r#type = evil.into();
    events[0].actor = evil.into();
    let mut lease = lease_detail();
    lease.lease.as_mut().unwrap().subject = evil.into();
    lease.lease.as_mut().unwrap().state = evil.into();
    let texts = [
        render::status(&m, &LOOK),
        render::migrations(&[m.clone()], &LOOK),
        render::resting(&m, &LOOK),
        render::plan(&m, &p, &LOOK),
        render::gate(&gate, &LOOK),
        render::gate_opened(&gate, &LOOK),
        render::claimed(&gate, &LOOK),
        render::host(&host, &LOOK),
        render::hosts(&[host], &LOOK),
        render::events(&events, &LOOK),
        render::lease(&lease, &LOOK),
        render::token(evil, evil, None, &LOOK),
        m.jobs.iter().map(|j| render::job_line(j, &LOOK)).collect(),
    ];
    for text in texts {
        let bad = text
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(bad, None, "{text}");
    }
}

#[test]
fn what_a_lease_verb_would_do_and_did() {
    let would = lease_answer(true);
    let obstacle = lease_obstacle();
    let found: Vec<Finding> = obstacle
        .findings
        .as_ref()
        .unwrap()
        .read(syncferry_proto::schema::FINDINGS)
        .unwrap();
    let mut waiting = lease_detail();
    let l = waiting.lease.as_mut().unwrap();
    l.handover_to = "SYNC03".into();
    l.attestation = Some(syncferry_proto::v1::Attestation {
        first: "operator:ada".into(),
        purpose: "break-glass".into(),
        server: "SYNC02".into(),
        reason: "the rack burnt".into(),
        ticket: "INC-1".into(),
        valid_until: ago(-14),
    });
    assert_snapshot!(
        [
            render::lease_would(&would, &[], &LOOK),
            render::lease_would(&obstacle, &found, &LOOK),
            render::lease_did(&lease_answer(false), &[], &LOOK),
            render::lease_did(&obstacle, &found, &LOOK),
            render::lease(&waiting, &LOOK),
            render::lease_history(&lease_detail(), &LOOK),
        ]
        .join("\n----\n")
    );
}

#[test]
fn alarms() {
    let known = syncferry_proto::v1::Alarm {
        state: "acknowledged".into(),
        acknowledged_by: "operator:ada".into(),
        acknowledged_at: ago(3),
        remark: "SYNC09 is being stopped".into(),
        ..alarm()
    };
    assert_snapshot!(format!(
        "{}----\n{}----\n{}{}",
        render::alarms(&[alarm(), known], &LOOK),
        render::alarms(&[], &LOOK),
        render::alarm_line(1, &LOOK),
        render::alarm_line(2, &LOOK)
    ));
}
