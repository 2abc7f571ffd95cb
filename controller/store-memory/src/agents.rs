//! Agents, in memory.

use async_trait::async_trait;
use syncferry_shared::{AgentId, HostId, SessionId};
use syncferry_store::{Agent, AgentState, Agents, Heard, Hello, NewAgent, Result, StoreError};

use crate::tx::MemoryTx;

#[async_trait]
impl Agents for MemoryTx {
    async fn enrol_agent(&mut self, new: &NewAgent) -> Result<Agent> {
        self.needs_host(new.host)?;
        self.serial_is_free(&new.certificate_serial, new.host)?;
        let generation = self.data.agents.get(&new.host).map_or(0, |a| a.generation) + 1;
        let agent = Agent {
            id: new.id,
            host: new.host,
            certificate_serial: new.certificate_serial.clone(),
            generation,
            state: AgentState::Enrolled,
            session: None,
            version: None,
            capabilities: vec![],
            transfer_address: None,
            last_heartbeat_at: None,
            journal_seq: 0,
            applied_seq: 0,
            enrolled_at: self.now,
        };
        self.put(|d| &mut d.agents, new.host, agent.clone())?;
        Ok(agent)
    }

    async fn renew_agent_certificate(&mut self, id: AgentId, from: i64, serial: &str) -> Result<Agent> {
        let mut agent = self.known_agent(id)?;
        if agent.generation != from {
            let found = format!("of generation {}", agent.generation);
            return Err(self.moved(format!("agent {id}"), &format!("of generation {from}"), &found));
        }
        self.serial_is_free(serial, agent.host)?;
        agent.certificate_serial = serial.to_string();
        agent.generation += 1;
        self.put(|d| &mut d.agents, agent.host, agent.clone())?;
        Ok(agent)
    }

    async fn agent(&mut self, id: AgentId) -> Result<Option<Agent>> {
        Ok(self.data.agents.values().find(|a| a.id == id).cloned())
    }

    async fn agent_of_host(&mut self, host: HostId) -> Result<Option<Agent>> {
        Ok(self.data.agents.get(&host).cloned())
    }

    async fn agents(&mut self) -> Result<Vec<Agent>> {
        let mut all: Vec<Agent> = self.data.agents.values().cloned().collect();
        all.sort_by_key(|a| (a.enrolled_at, a.id));
        Ok(all)
    }

    async fn agent_hello(&mut self, id: AgentId, hello: &Hello) -> Result<Heard> {
        let before = self.known_agent(id)?;
        let mut agent = before.clone();
        let same = before.session == Some(hello.session);
        // Another session is another journal: its numbers begin anew.
        agent.journal_seq = if same {
            before.journal_seq.max(hello.journal_seq)
        } else {
            hello.journal_seq
        };
        agent.applied_seq = if same { before.applied_seq } else { 0 };
        agent.state = heard_of(before.state);
        agent.session = Some(hello.session);
        agent.version = Some(hello.version.clone());
        agent.capabilities.clone_from(&hello.capabilities);
        agent.transfer_address.clone_from(&hello.transfer_address);
        agent.last_heartbeat_at = Some(self.now);
        self.put(|d| &mut d.agents, agent.host, agent.clone())?;
        Ok(heard(before, agent, hello.session, hello.journal_seq))
    }

    async fn agent_heartbeat(&mut self, id: AgentId, session: SessionId, journal_seq: i64) -> Result<Heard> {
        let before = self.in_session(id, session)?;
        let mut agent = before.clone();
        agent.state = heard_of(before.state);
        agent.journal_seq = before.journal_seq.max(journal_seq);
        agent.last_heartbeat_at = Some(self.now);
        self.put(|d| &mut d.agents, agent.host, agent.clone())?;
        Ok(heard(before, agent, session, journal_seq))
    }

    async fn apply_journal_entry(&mut self, id: AgentId, session: SessionId, seq: i64) -> Result<bool> {
        let mut agent = self.in_session(id, session)?;
        if agent.applied_seq >= seq {
            return Ok(false);
        }
        agent.applied_seq = seq;
        agent.journal_seq = agent.journal_seq.max(seq);
        self.put(|d| &mut d.agents, agent.host, agent)?;
        Ok(true)
    }

    async fn agents_unheard(&mut self, longer_than_ms: i64) -> Result<Vec<Agent>> {
        let late = |a: &&Agent| self.is_late(a, longer_than_ms);
        let mut all: Vec<Agent> = self.data.agents.values().filter(late).cloned().collect();
        all.sort_by_key(|a| a.last_heartbeat_at);
        Ok(all)
    }

    async fn mark_agent_silent(&mut self, id: AgentId, longer_than_ms: i64) -> Result<bool> {
        let found = self.data.agents.values().find(|a| a.id == id).cloned();
        let Some(mut agent) = found.filter(|a| self.is_late(a, longer_than_ms)) else {
            return Ok(false);
        };
        agent.state = AgentState::Silent;
        self.put(|d| &mut d.agents, agent.host, agent)?;
        Ok(true)
    }

    async fn quarantine_agent(&mut self, id: AgentId) -> Result<()> {
        let mut agent = self.known_agent(id)?;
        agent.state = AgentState::Quarantined;
        self.put(|d| &mut d.agents, agent.host, agent)
    }
}

impl MemoryTx {
    fn known_agent(&self, id: AgentId) -> Result<Agent> {
        let found = self.data.agents.values().find(|a| a.id == id).cloned();
        found.ok_or_else(|| self.missing(format!("agent {id}")))
    }

    fn in_session(&self, id: AgentId, session: SessionId) -> Result<Agent> {
        let agent = self.known_agent(id)?;
        if agent.session == Some(session) {
            return Ok(agent);
        }
        Err(self.other_session(&agent, session))
    }

    fn other_session(&self, agent: &Agent, session: SessionId) -> StoreError {
        let found = match agent.session {
            Some(s) => format!("in session {s}"),
            None => "without a session".to_string(),
        };
        self.moved(format!("agent {}", agent.id), &format!("in session {session}"), &found)
    }

    fn serial_is_free(&self, serial: &str, host: HostId) -> Result<()> {
        let other = |a: &Agent| a.host != host && a.certificate_serial == serial;
        if self.data.agents.values().any(other) {
            return Err(self.taken("the serial number of the certificate"));
        }
        Ok(())
    }

    fn is_late(&self, agent: &Agent, longer_than_ms: i64) -> bool {
        let limit = self.now.plus(-longer_than_ms);
        agent.state == AgentState::Online && agent.last_heartbeat_at.is_some_and(|at| at < limit)
    }
}

fn heard_of(state: AgentState) -> AgentState {
    match state {
        AgentState::Quarantined => state,
        _ => AgentState::Online,
    }
}

fn heard(before: Agent, agent: Agent, session: SessionId, journal_seq: i64) -> Heard {
    let same = before.session == Some(session);
    Heard {
        agent,
        was: before.state,
        other_session: before.session.filter(|_| !same),
        journal_was: (same && journal_seq < before.journal_seq).then_some(before.journal_seq),
    }
}
