//! Agents, on PostgreSQL.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::PgRow;
use syncferry_shared::{AgentId, HostId, SessionId};
use syncferry_store::{Agent, AgentState, Agents, Cause, Heard, Hello, NewAgent, Result};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Agent> {
    Ok(Agent {
        id: row.parsed("agent_id")?,
        host: row.parsed("host_id")?,
        certificate_serial: row.text("certificate_serial")?,
        generation: row.int("generation")?,
        state: row.word("state", AgentState::parse)?,
        session: row.opt_parsed("session")?,
        version: row.opt_text("version")?,
        capabilities: row.texts("capabilities")?,
        transfer_address: row.opt_text("transfer_address")?,
        last_heartbeat_at: row.opt_at("last_heartbeat_at")?,
        journal_seq: row.int("journal_seq")?,
        applied_seq: row.int("applied_seq")?,
        enrolled_at: row.at("enrolled_at")?,
    })
}

#[async_trait]
impl Agents for PgTx {
    async fn enrol_agent(&mut self, new: &NewAgent) -> Result<Agent> {
        let query = sqlx::query(
            "INSERT INTO agent(host_id, agent_id, certificate_serial, generation, state, enrolled_at)
             VALUES ($1, $2, $3, 1, 'enrolled', $4)
             ON CONFLICT (host_id) DO UPDATE SET
               agent_id = excluded.agent_id, certificate_serial = excluded.certificate_serial,
               generation = agent.generation + 1, state = 'enrolled', session = NULL, version = NULL,
               capabilities = '[]', transfer_address = NULL, last_heartbeat_at = NULL, journal_seq = 0,
               applied_seq = 0, enrolled_at = excluded.enrolled_at
             RETURNING *",
        )
        .bind(new.host.to_string())
        .bind(new.id.to_string())
        .bind(new.certificate_serial.clone())
        .bind(self.now.0);
        self.written(query, read, || format!("host {}", new.host)).await
    }

    async fn renew_agent_certificate(&mut self, id: AgentId, from: i64, serial: &str) -> Result<Agent> {
        let query = sqlx::query(
            "UPDATE agent SET certificate_serial = $3, generation = generation + 1
              WHERE agent_id = $1 AND generation = $2
              RETURNING *",
        )
        .bind(id.to_string())
        .bind(from)
        .bind(serial.to_string());
        if let Some(agent) = self.changed(query, read).await? {
            return Ok(agent);
        }
        let there = sqlx::query("SELECT 'of generation ' || generation AS found FROM agent WHERE agent_id = $1");
        let expected = format!("of generation {from}");
        Err(self
            .moved(there.bind(id.to_string()), || format!("agent {id}"), &expected)
            .await)
    }

    async fn agent(&mut self, id: AgentId) -> Result<Option<Agent>> {
        self.find(
            sqlx::query("SELECT * FROM agent WHERE agent_id = $1").bind(id.to_string()),
            read,
        )
        .await
    }

    async fn agent_of_host(&mut self, host: HostId) -> Result<Option<Agent>> {
        self.find(
            sqlx::query("SELECT * FROM agent WHERE host_id = $1").bind(host.to_string()),
            read,
        )
        .await
    }

    async fn agents(&mut self) -> Result<Vec<Agent>> {
        self.list(sqlx::query("SELECT * FROM agent ORDER BY enrolled_at, agent_id"), read)
            .await
    }

    async fn agent_hello(&mut self, id: AgentId, hello: &Hello) -> Result<Heard> {
        let before = self.known_agent(id).await?;
        let capabilities: Vec<&str> = hello.capabilities.iter().map(String::as_str).collect();
        // Another session is another journal: its numbers begin anew.
        let query = sqlx::query(
            "UPDATE agent SET
               state = CASE state WHEN 'quarantined' THEN state ELSE 'online' END,
               journal_seq = CASE WHEN session = $2 THEN GREATEST(journal_seq, $6) ELSE $6 END,
               applied_seq = CASE WHEN session = $2 THEN applied_seq ELSE 0 END,
               session = $2, version = $3, capabilities = $4, transfer_address = $5, last_heartbeat_at = $7
             WHERE agent_id = $1
             RETURNING *",
        )
        .bind(id.to_string())
        .bind(hello.session.to_string())
        .bind(hello.version.clone())
        .bind(Value::from(capabilities).to_string())
        .bind(hello.transfer_address.clone())
        .bind(hello.journal_seq)
        .bind(self.now.0);
        let agent = self.written(query, read, || format!("agent {id}")).await?;
        Ok(heard(before, agent, hello.session, hello.journal_seq))
    }

    async fn agent_heartbeat(&mut self, id: AgentId, session: SessionId, journal_seq: i64) -> Result<Heard> {
        let before = self.known_agent(id).await?;
        let query = sqlx::query(
            "UPDATE agent SET
               state = CASE state WHEN 'quarantined' THEN state ELSE 'online' END,
               journal_seq = GREATEST(journal_seq, $3), last_heartbeat_at = $4
             WHERE agent_id = $1 AND session = $2
             RETURNING *",
        )
        .bind(id.to_string())
        .bind(session.to_string())
        .bind(journal_seq)
        .bind(self.now.0);
        match self.changed(query, read).await? {
            Some(agent) => Ok(heard(before, agent, session, journal_seq)),
            None => Err(self.other_session(id, session).await),
        }
    }

    async fn apply_journal_entry(&mut self, id: AgentId, session: SessionId, seq: i64) -> Result<bool> {
        let query = sqlx::query(
            "UPDATE agent SET applied_seq = $3, journal_seq = GREATEST(journal_seq, $3)
              WHERE agent_id = $1 AND session = $2 AND applied_seq < $3",
        )
        .bind(id.to_string())
        .bind(session.to_string())
        .bind(seq);
        if self.exec(query).await? == 1 {
            return Ok(true);
        }
        match self.known_agent(id).await?.session {
            Some(s) if s == session => Ok(false),
            _ => Err(self.other_session(id, session).await),
        }
    }

    async fn agents_unheard(&mut self, longer_than_ms: i64) -> Result<Vec<Agent>> {
        let query = sqlx::query(
            "SELECT * FROM agent WHERE state = 'online' AND last_heartbeat_at < $1 ORDER BY last_heartbeat_at",
        );
        self.list(query.bind(self.now.plus(-longer_than_ms).0), read).await
    }

    async fn mark_agent_silent(&mut self, id: AgentId, longer_than_ms: i64) -> Result<bool> {
        let query = sqlx::query(
            "UPDATE agent SET state = 'silent' WHERE agent_id = $1 AND state = 'online' AND last_heartbeat_at < $2",
        );
        let query = query.bind(id.to_string()).bind(self.now.plus(-longer_than_ms).0);
        Ok(self.exec(query).await? == 1)
    }

    async fn quarantine_agent(&mut self, id: AgentId) -> Result<()> {
        let query = sqlx::query("UPDATE agent SET state = 'quarantined' WHERE agent_id = $1");
        match self.exec(query.bind(id.to_string())).await? {
            1 => Ok(()),
            _ => Err(self.fail(Cause::Missing(format!("agent {id}")))),
        }
    }
}

impl PgTx {
    async fn known_agent(&mut self, id: AgentId) -> Result<Agent> {
        let query = sqlx::query("SELECT * FROM agent WHERE agent_id = $1").bind(id.to_string());
        self.need(query, read, || format!("agent {id}")).await
    }

    async fn other_session(&mut self, id: AgentId, session: SessionId) -> syncferry_store::StoreError {
        let there = sqlx::query(
            "SELECT COALESCE('in session ' || session, 'without a session') AS found FROM agent WHERE agent_id = $1",
        );
        let expected = format!("in session {session}");
        self.moved(there.bind(id.to_string()), || format!("agent {id}"), &expected)
            .await
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
