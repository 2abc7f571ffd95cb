//! The agents' way to SQL Server: real statements to the stand-in's engine in this process. A statement is on its way for a
//! while and arrives whatever becomes of its agent; a cut loses it before or after it ran.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use syncferry_agent::sql::{Answer, Exchange, Line, ResultSet, ServerMessage, SqlError, SqlErrorKind, Value as Ours};
use syncferry_sqlserver::types::{Column, Login, Message, Sink, Token, Value as Theirs};
use time::{PrimitiveDateTime, Time};
use tokio::sync::{mpsc, oneshot};

use crate::world::{Request, World, lock};

/// What a statement brought.
type Brought = (Answer, Vec<ServerMessage>);

/// A connection that SQL Server has taken.
pub(crate) struct Connection {
    agent: usize,
    login: Login,
    asked: mpsc::Receiver<(String, oneshot::Sender<Brought>)>,
}

/// An agent's way to SQL Server.
pub(crate) struct Way {
    pub(crate) world: Arc<World>,
    pub(crate) agent: usize,
}

struct Open {
    world: Arc<World>,
    agent: usize,
    ask: mpsc::Sender<(String, oneshot::Sender<Brought>)>,
}

#[async_trait]
impl Exchange for Way {
    async fn open(&self, application: &str) -> Result<Box<dyn Line>, SqlError> {
        self.world.breathe(self.agent).await;
        let slot = &self.world.slots[self.agent];
        let unreachable = || SqlError::local(SqlErrorKind::Unreachable, "default", "connect", "nobody answers");
        if slot.sql_cut.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_secs(2)).await;
            return Err(unreachable());
        }
        let (ask, asked) = mpsc::channel(1);
        let login = Login {
            user: "agent".into(),
            password: "p".into(),
            host_name: slot.host.into(),
            app_name: application.into(),
            client_address: "10.0.0.1".into(),
            encrypted: true,
            ..Login::default()
        };
        let connection = Connection {
            agent: self.agent,
            login,
            asked,
        };
        self.world.connections.send(connection).map_err(|_| unreachable())?;
        Ok(Box::new(Open {
            world: Arc::clone(&self.world),
            agent: self.agent,
            ask,
        }))
    }
}

#[async_trait]
impl Line for Open {
    async fn run(&mut self, sql: &str) -> Result<Brought, String> {
        self.world.breathe(self.agent).await;
        let (answer, answered) = oneshot::channel();
        let gone = || "the connection broke".to_string();
        self.ask.send((sql.to_string(), answer)).await.map_err(|_| gone())?;
        let brought = answered.await.map_err(|_| gone())?;
        self.world.breathe(self.agent).await;
        Ok(brought)
    }
}

impl Connection {
    /// SQL Server's side, until the client is gone and what it sent was run.
    pub(crate) async fn serve(mut self, world: Arc<World>) {
        let Ok((mut session, _)) = world.engine.login(self.login.clone()).await else {
            return;
        };
        let slot = &world.slots[self.agent];
        while let Some((sql, answer)) = self.asked.recv().await {
            let most = slot.sql_ms.load(Ordering::SeqCst);
            let way = |world: &World| Duration::from_millis(world.below(most).unsigned_abs());
            tokio::time::sleep(way(&world)).await;
            if slot.sql_cut.load(Ordering::SeqCst) && world.chance(50) {
                return;
            }
            tokio::time::sleep(held(&world, self.agent, &sql)).await;
            let mut all = Collected::default();
            if session.batch(&sql, &mut all).await.is_err() || session.killed().is_cancelled() {
                return;
            }
            tokio::time::sleep(way(&world)).await;
            if slot.sql_cut.load(Ordering::SeqCst) {
                world.count("statements whose answer was lost");
                return;
            }
            // Nobody may be waiting any more; the statement ran all the same.
            let _ = answer.send(all.finish());
        }
    }
}

/// How long this transaction is on its way. It runs at the end of it, whether or not anybody still waits for its answer.
fn held(world: &World, agent: usize, sql: &str) -> Duration {
    let mut held = lock(&world.slots[agent].sql_held);
    let Some((ms, power)) = held.filter(|_| sql.contains("BEGIN TRANSACTION")) else {
        return Duration::ZERO;
    };
    *held = None;
    world.say(format!(
        "a transaction of {} is held for {ms} ms",
        world.slots[agent].host
    ));
    world.count("transactions that were held");
    if power {
        lock(&world.requests).push(Request::PowerLoss(agent));
    }
    Duration::from_millis(ms.unsigned_abs())
}

/// Everything that a batch said.
#[derive(Default)]
pub(crate) struct Collected {
    answer: Answer,
    errors: Vec<ServerMessage>,
    columns: Vec<String>,
    rows: Vec<Vec<Ours>>,
    open: bool,
}

impl Collected {
    fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            let (columns, rows) = (std::mem::take(&mut self.columns), std::mem::take(&mut self.rows));
            self.answer.sets.push(ResultSet::new(columns, rows));
        }
    }

    pub(crate) fn finish(mut self) -> Brought {
        self.close();
        (self.answer, self.errors)
    }
}

#[async_trait]
impl Sink for Collected {
    async fn send(&mut self, token: Token) -> std::io::Result<()> {
        match token {
            Token::Columns(columns) => {
                self.close();
                self.columns = columns.into_iter().map(|c: Column| c.name).collect();
                self.open = true;
            }
            Token::Row(row) => self.rows.push(row.into_iter().map(ours).collect()),
            Token::Info(m) => self.answer.messages.push(message(m)),
            Token::Error(m) => self.errors.push(message(m)),
            _ => {}
        }
        Ok(())
    }
}

fn message(m: Message) -> ServerMessage {
    ServerMessage {
        number: m.number,
        state: m.state,
        class: m.class,
        text: m.text,
    }
}

/// A value as the TDS client would have handed it over.
fn ours(value: Theirs) -> Ours {
    match value {
        Theirs::Null => Ours::Null,
        Theirs::Bit(b) => Ours::Bool(b),
        Theirs::Int(i) => Ours::Int(i),
        Theirs::Float(f) => Ours::Float(f),
        Theirs::Decimal(unscaled, scale) => Ours::Decimal(unscaled, scale),
        Theirs::Str(s) => Ours::Text(s.to_string()),
        Theirs::Bytes(b) => Ours::Bytes(b.to_vec()),
        Theirs::Guid(g) => Ours::Guid(g),
        Theirs::Date(d) => Ours::DateTime(PrimitiveDateTime::new(d, Time::MIDNIGHT)),
        Theirs::DateTime(t) => Ours::DateTime(t),
        Theirs::DateTimeOffset(t) => Ours::Offset(t),
        Theirs::Time(t) => Ours::Other(t.to_string()),
    }
}
