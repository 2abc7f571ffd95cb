//! Agents: enrolment, heartbeats, silence, reverted machines, copied keys.

use super::Bench;
use super::world::{World, id, session, world};
use crate::{Agent, AgentState, Hello, NewAgent, Tx};
use syncferry_shared::SessionId;

async fn enrol(tx: &mut dyn Tx, w: &World, serial: &str) -> Agent {
    let new = NewAgent {
        id: id!(AgentId),
        host: w.sql,
        certificate_serial: serial.into(),
    };
    tx.enrol_agent(&new).await.unwrap()
}

fn hello(session: SessionId, journal_seq: i64) -> Hello {
    Hello {
        session,
        version: "0.1.0".into(),
        capabilities: vec!["backup".into()],
        transfer_address: Some("10.0.0.1:7443".into()),
        journal_seq,
    }
}

pub(super) async fn enrol_hello_and_silence(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let agent = enrol(tx.as_mut(), &w, "01").await;
    assert_eq!(
        (agent.state, agent.generation, agent.session),
        (AgentState::Enrolled, 1, None)
    );
    let s = session();
    let early = tx.agent_heartbeat(agent.id, s, 1).await.unwrap_err();
    assert!(early.is_moved(), "a heartbeat before hello: {early}");
    let heard = tx.agent_hello(agent.id, &hello(s, 4)).await.unwrap();
    assert_eq!(
        (heard.was, heard.other_session, heard.journal_was),
        (AgentState::Enrolled, None, None)
    );
    assert_eq!((heard.agent.state, heard.agent.journal_seq), (AgentState::Online, 4));
    assert_eq!(heard.agent.capabilities, ["backup"]);
    assert_eq!(tx.agent_of_host(w.sql).await.unwrap().as_ref(), Some(&heard.agent));
    assert_eq!(tx.agent_of_host(w.old).await.unwrap(), None);
    tx.commit().await.unwrap();

    b.time.advance(100).await;
    let mut tx = b.store.begin("test").await.unwrap();
    assert_eq!(tx.agents_unheard(100_000).await.unwrap(), vec![]);
    assert!(!tx.mark_agent_silent(agent.id, 100_000).await.unwrap());
    assert_eq!(tx.agents_unheard(99).await.unwrap().len(), 1);
    assert!(tx.mark_agent_silent(agent.id, 99).await.unwrap());
    assert!(!tx.mark_agent_silent(agent.id, 99).await.unwrap(), "only once");
    assert_eq!(tx.agents_unheard(99).await.unwrap(), vec![]);
    let heard = tx.agent_heartbeat(agent.id, s, 5).await.unwrap();
    assert_eq!((heard.was, heard.agent.state), (AgentState::Silent, AgentState::Online));
    assert_eq!(heard.agent.last_heartbeat_at, Some(tx.now()));

    tx.quarantine_agent(agent.id).await.unwrap();
    let heard = tx.agent_heartbeat(agent.id, s, 6).await.unwrap();
    assert_eq!(
        heard.agent.state,
        AgentState::Quarantined,
        "being heard of does not end it"
    );
    // A new enrolment takes the host over.
    let next = enrol(tx.as_mut(), &w, "02").await;
    assert_eq!(
        (next.generation, next.state, next.session),
        (2, AgentState::Enrolled, None)
    );
    assert_eq!(tx.agent(agent.id).await.unwrap(), None);
    assert_eq!(tx.agents().await.unwrap(), vec![next]);
}

pub(super) async fn a_reverted_journal_shows(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let agent = enrol(tx.as_mut(), &w, "01").await.id;
    let (first, second) = (session(), session());
    tx.agent_hello(agent, &hello(first, 10)).await.unwrap();
    let heard = tx.agent_heartbeat(agent, first, 7).await.unwrap();
    assert_eq!((heard.journal_was, heard.agent.journal_seq), (Some(10), 10));
    let heard = tx.agent_hello(agent, &hello(first, 3)).await.unwrap();
    assert_eq!((heard.journal_was, heard.other_session), (Some(10), None));
    let heard = tx.agent_hello(agent, &hello(second, 1)).await.unwrap();
    assert_eq!((heard.journal_was, heard.other_session), (None, Some(first)));
    assert_eq!(heard.agent.journal_seq, 1, "another journal begins anew");
    let late = tx.agent_heartbeat(agent, first, 11).await.unwrap_err();
    assert!(
        late.is_moved() && late.to_string().contains(&second.to_string()),
        "{late}"
    );
}

pub(super) async fn entries_apply_once(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let agent = enrol(tx.as_mut(), &w, "01").await.id;
    let s = session();
    tx.agent_hello(agent, &hello(s, 2)).await.unwrap();
    assert!(tx.apply_journal_entry(agent, s, 1).await.unwrap());
    assert!(tx.apply_journal_entry(agent, s, 2).await.unwrap());
    assert!(!tx.apply_journal_entry(agent, s, 2).await.unwrap());
    assert!(!tx.apply_journal_entry(agent, s, 1).await.unwrap());
    assert!(
        tx.apply_journal_entry(agent, session(), 3)
            .await
            .unwrap_err()
            .is_moved()
    );
    tx.agent_hello(agent, &hello(s, 9)).await.unwrap();
    let a = tx.agent(agent).await.unwrap().unwrap();
    assert_eq!(
        (a.journal_seq, a.applied_seq),
        (9, 2),
        "the same session keeps its place"
    );
    tx.agent_hello(agent, &hello(session(), 0)).await.unwrap();
    assert_eq!(tx.agent(agent).await.unwrap().unwrap().applied_seq, 0);
}

pub(super) async fn an_old_generation_is_refused(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let agent = enrol(tx.as_mut(), &w, "01").await.id;
    let renewed = tx.renew_agent_certificate(agent, 1, "02").await.unwrap();
    assert_eq!((renewed.generation, renewed.certificate_serial.as_str()), (2, "02"));
    let copied = tx.renew_agent_certificate(agent, 1, "03").await.unwrap_err();
    assert!(copied.is_moved(), "{copied}");
    let unknown = tx.renew_agent_certificate(id!(AgentId), 1, "04").await;
    assert!(unknown.unwrap_err().is_missing());
}
