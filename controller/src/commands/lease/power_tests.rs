//! What a program said of a holder's machine, and what speaks against it. Every refusal as an operator reads it.

use syncferry_shared::inventory::DatabaseFacts;
use syncferry_shared::lease::{LeaseKind, LeaseState, Resource};
use syncferry_shared::power::PowerLook;
use syncferry_shared::{AgentId, HostId, OrgId, SiteId};
use syncferry_store::HostRole;
use uuid::Uuid;

use super::*;

fn host(n: u128, name: &str) -> Host {
    Host {
        id: HostId(Uuid::from_u128(n)),
        org: OrgId(Uuid::from_u128(2)),
        site: SiteId(Uuid::from_u128(3)),
        name: name.into(),
        roles: vec![HostRole::ConnectServer],
        computer_name: Some(format!("{name}-PC")),
        inventory: None,
        inventoried_at: None,
        created_at: Millis(0),
    }
}

fn lease(kind: LeaseKind) -> Lease {
    Lease {
        resource: Resource("adsync-db:x".into()),
        kind,
        state: LeaseState::Fencing,
        epoch: 3,
        holder: Some(HostId(Uuid::from_u128(1))),
        holder_session: None,
        renewer: None,
        granted_at: None,
        expires_at: None,
        handover_to: None,
        fenced_epoch: 2,
        row_version: 5,
    }
}

fn agent(state: AgentState, heard: i64) -> Agent {
    Agent {
        id: AgentId(Uuid::from_u128(9)),
        host: HostId(Uuid::from_u128(1)),
        certificate_serial: "1".into(),
        generation: 1,
        state,
        session: None,
        version: None,
        capabilities: vec![],
        transfer_address: None,
        last_heartbeat_at: Some(Millis(heard)),
        journal_seq: 0,
        applied_seq: 0,
        enrolled_at: Millis(0),
    }
}

fn said(first: &str, second: &str) -> PowerSight {
    let look = |state: &str, after_ms| PowerLook {
        after_ms,
        exit_code: Some(0),
        printed: format!(r#"{{"syncferry":"power/1","id":"vm-7","state":"{state}"}}"#),
        ..PowerLook::default()
    };
    PowerSight {
        machine: "SYNC01-PC".into(),
        id: "vm-7".into(),
        program: vec![r"C:\Syncferry\power.exe".into()],
        looks: vec![look(first, 0), look(second, 2_005)],
    }
}

fn sight() -> Sight {
    Sight {
        began: Millis(1_000_000),
        power: Ok(said("off", "off")),
        database: Some(Ok(DatabaseFacts {
            name: "ADSync".into(),
            server_name: "SQL01".into(),
            sessions: Some(vec![]),
            ..DatabaseFacts::default()
        })),
        agent: Some(agent(AgentState::Silent, 900_000)),
    }
}

fn judged(kind: LeaseKind, sight: &Sight) -> Judged {
    judge(&lease(kind), &host(1, "SYNC01"), &host(4, "HV01"), sight)
}

fn with(change: impl FnOnce(&mut Sight)) -> Vec<String> {
    let mut s = sight();
    change(&mut s);
    let against = judged(LeaseKind::Database, &s).unwrap_err();
    assert!(against.iter().any(Finding::blocks));
    against
        .iter()
        .map(|f| {
            let seen = f.evidence.iter().map(|e| format!("{}: {}", e.looked_at, e.found));
            format!(
                "{}: {} [{}] -> {}",
                f.rule,
                f.title,
                seen.collect::<Vec<_>>().join("; "),
                f.next_step
            )
        })
        .collect()
}

fn session(host: &str, program: &str) -> SessionFacts {
    SessionFacts {
        id: 61,
        login: r"CONTOSO\svc-sync1".into(),
        host: Some(host.into()),
        program: Some(program.into()),
        process_id: None,
        address: None,
    }
}

fn on(s: &mut Sight, session: SessionFacts) {
    s.database.as_mut().unwrap().as_mut().unwrap().sessions = Some(vec![session]);
}

#[test]
fn what_was_printed_is_the_evidence() {
    let (evidence, notes) = judged(LeaseKind::Database, &sight()).unwrap();
    assert!(notes.is_empty());
    assert_eq!(evidence["said"]["id"], "vm-7");
    assert!(
        evidence["said"]["looks"][1]["printed"]
            .as_str()
            .unwrap()
            .contains("power/1")
    );
    assert_eq!(evidence["agent"]["state"], "silent");
    // An export is nothing that a session could speak against, and a holder without an agent is not heard of either.
    let mut s = sight();
    on(&mut s, session("SYNC02", "miiserver"));
    s.agent = None;
    assert!(judged(LeaseKind::TenantExport, &s).is_ok());
    assert!(judged(LeaseKind::Database, &s).is_err());
}

#[test]
fn a_database_that_cannot_be_looked_at_is_said_and_is_no_objection() {
    let mut s = sight();
    s.database = Some(Err("the agent on SQL01 is not in touch".into()));
    let (_, notes) = judged(LeaseKind::Database, &s).unwrap();
    assert_eq!(notes[0].rule, "sessions-not-seen");
}

#[test]
fn what_speaks_against_it_is_said() {
    let mut told = Vec::new();
    told.extend(with(|s| s.agent = Some(agent(AgentState::Online, 900_000))));
    told.extend(with(|s| s.agent = Some(agent(AgentState::Silent, 1_000_000))));
    told.extend(with(|s| s.power = Ok(said("off", "saved"))));
    told.extend(with(|s| s.power = Ok(said("running", "running"))));
    told.extend(with(|s| s.power = Err(not_said(&host(4, "HV01"), "SYNC01-PC", None))));
    told.extend(with(|s| on(s, session("sync01-pc", "SQLAgent"))));
    told.extend(with(|s| on(s, session("SYNC02", "miiserver"))));
    insta::assert_snapshot!(told.join("\n"), @r#"
holder-alive: The agent on SYNC01 is in touch: that machine is not off [agent on SYNC01: online, last heard of 1970-01-01T00:15:00Z] -> Its agent can say itself that the service stopped: On SYNC01: Stop-Service ADSync; Set-Service ADSync -StartupType Disabled; then `syncferry lease fence`. If the machine was powered off just now, wait until its agent is called silent (`syncferry host list`).
holder-alive: The agent on SYNC01 is in touch: that machine is not off [agent on SYNC01: silent, last heard of 1970-01-01T00:16:40Z] -> Its agent can say itself that the service stopped: On SYNC01: Stop-Service ADSync; Set-Service ADSync -StartupType Disabled; then `syncferry lease fence`. If the machine was powered off just now, wait until its agent is called silent (`syncferry host list`).
power-not-off: It is not proven that the machine of SYNC01 is off [C:\Syncferry\power.exe on HV01, asked for SYNC01-PC (vm-7): its state changed between the two looks: 'off', then 'saved'] -> See whether SYNC01 is shut down (a saved or paused machine is not), and what the program prints when it is run by hand on HV01; then repeat the command.
power-not-off: It is not proven that the machine of SYNC01 is off [C:\Syncferry\power.exe on HV01, asked for SYNC01-PC (vm-7): the machine is 'running', not 'off'] -> See whether SYNC01 is shut down (a saved or paused machine is not), and what the program prints when it is run by hand on HV01; then repeat the command.
power-not-configured: HV01 does not know whether SYNC01-PC is off [the agent on HV01: it knows no such question] -> Update that agent, then repeat the command.
holder-has-session: SYNC01 still has a session on ADSync [session 61 in sys.dm_exec_sessions: SQLAgent as CONTOSO\svc-sync1] -> SQL Server lets go of a dead machine's connection after its keep-alive, about a minute; repeat the command then. A session that stays means that the machine is not off.
database-in-use: A Connect server is connected to ADSync [session 61 in sys.dm_exec_sessions: miiserver from SYNC02 as CONTOSO\svc-sync1] -> Find that server, stop its service ADSync and disable it; then repeat the command.
"#);
}
