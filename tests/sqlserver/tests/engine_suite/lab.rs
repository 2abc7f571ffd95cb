//! An instance in a temporary folder, and answers that tests can look into.

use std::io;

use syncferry_sqlserver::engine::{Instance, RpcCall, Session};
use syncferry_sqlserver::storage::InstanceSpec;
use syncferry_sqlserver::storage::sample::{AdSync, adsync};
use syncferry_sqlserver::types::{Column, Login, Message, Sink, Token, Value};
use time::OffsetDateTime;
use time::macros::datetime;

pub(crate) const CREATED: OffsetDateTime = datetime!(2026-11-01 08:00 UTC);

/// An instance and its folder.
pub(crate) struct Lab {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) instance: Instance,
}

/// Everything a request answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) tokens: Vec<Token>,
}

#[async_trait::async_trait]
impl Sink for Answer {
    async fn send(&mut self, token: Token) -> io::Result<()> {
        self.tokens.push(token);
        Ok(())
    }
}

/// A small ADSync: enough rows to be one, quick to make.
pub(crate) fn small_adsync(internal_version: u16) -> syncferry_sqlserver::storage::Database {
    adsync(&AdSync {
        objects: 400,
        internal_version,
        ..AdSync::new(CREATED)
    })
}

impl Lab {
    pub(crate) fn of(spec: InstanceSpec) -> Lab {
        let dir = tempfile::tempdir().unwrap();
        spec.sa_password("sa").create(dir.path()).unwrap();
        let instance = Instance::open(dir.path()).unwrap();
        Lab { dir, instance }
    }

    /// SQL Server 2022 Standard with nothing on it.
    pub(crate) fn standard() -> Lab {
        Lab::of(InstanceSpec::standard_2022("SQL01", None, CREATED))
    }

    /// The same with a small ADSync.
    pub(crate) fn with_adsync() -> Lab {
        Lab::of(InstanceSpec::standard_2022("SQL01", None, CREATED).database(small_adsync(957)))
    }

    /// The source of a move: LocalDB 2019 with ADSync.
    pub(crate) fn localdb() -> Lab {
        Lab::of(InstanceSpec::localdb_2019("SYNC01", CREATED).database(small_adsync(904)))
    }

    pub(crate) async fn sa(&self) -> Session {
        self.login("sa", "sa", "").await.unwrap()
    }

    pub(crate) async fn login(&self, user: &str, password: &str, database: &str) -> Result<Session, Message> {
        let login = Login {
            user: user.into(),
            password: password.into(),
            database: database.into(),
            host_name: "AGENT01".into(),
            app_name: "adsync-agent/42".into(),
            library: "test".into(),
            client_pid: 4711,
            client_address: "127.0.0.1".into(),
            ..Login::default()
        };
        self.instance.login(login).await.map(|(session, _)| session)
    }

    /// The same folder, opened again.
    pub(crate) fn reopened(self) -> Lab {
        let Lab { dir, instance } = self;
        drop(instance);
        let instance = Instance::open(dir.path()).unwrap();
        Lab { dir, instance }
    }

    pub(crate) fn faults(&self, json: &str) {
        std::fs::write(self.dir.path().join("faults.json"), json).unwrap();
    }
}

/// Runs a batch.
pub(crate) async fn run(session: &mut Session, sql: &str) -> Answer {
    let mut answer = Answer::default();
    session.batch(sql, &mut answer).await.unwrap();
    answer
}

/// Runs an RPC.
pub(crate) async fn call(session: &mut Session, call: RpcCall) -> Answer {
    let mut answer = Answer::default();
    session.rpc(call, &mut answer).await.unwrap();
    answer
}

/// Runs a batch that must not fail.
pub(crate) async fn ok(session: &mut Session, sql: &str) -> Answer {
    let answer = run(session, sql).await;
    assert!(answer.errors().is_empty(), "{sql}\n{:#?}", answer.errors());
    answer
}

/// The first value of the first row.
pub(crate) async fn value(session: &mut Session, sql: &str) -> Value {
    let answer = ok(session, sql).await;
    answer
        .rows()
        .first()
        .and_then(|r| r.first())
        .cloned()
        .unwrap_or_else(|| panic!("no row: {sql}"))
}

/// The numbers of the errors of a batch.
pub(crate) async fn numbers(session: &mut Session, sql: &str) -> Vec<i32> {
    run(session, sql).await.errors().iter().map(|e| e.number).collect()
}

impl Answer {
    pub(crate) fn errors(&self) -> Vec<&Message> {
        self.tokens
            .iter()
            .filter_map(|t| if let Token::Error(m) = t { Some(m) } else { None })
            .collect()
    }

    pub(crate) fn infos(&self) -> Vec<&Message> {
        self.tokens
            .iter()
            .filter_map(|t| if let Token::Info(m) = t { Some(m) } else { None })
            .collect()
    }

    pub(crate) fn rows(&self) -> Vec<&Vec<Value>> {
        self.tokens
            .iter()
            .filter_map(|t| if let Token::Row(r) = t { Some(r) } else { None })
            .collect()
    }

    pub(crate) fn columns(&self) -> &[Column] {
        let found = self
            .tokens
            .iter()
            .find_map(|t| if let Token::Columns(c) = t { Some(c) } else { None });
        found.map_or(&[], Vec::as_slice)
    }

    /// A value of the first row by column name.
    pub(crate) fn get(&self, column: &str) -> &Value {
        let at = self
            .columns()
            .iter()
            .position(|c| c.name == column)
            .unwrap_or_else(|| panic!("no column {column}"));
        &self.rows()[0][at]
    }

    /// Rows as text, one per line.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<String> = self
            .rows()
            .iter()
            .map(|r| r.iter().map(show).collect::<Vec<_>>().join("|"))
            .collect();
        lines.join("\n")
    }

    /// The last DONE says that nothing follows, every other one that something does.
    pub(crate) fn is_well_ended(&self) -> bool {
        let more: Vec<bool> = self
            .tokens
            .iter()
            .filter_map(|t| {
                if let Token::Done { more, .. } = t {
                    Some(*more)
                } else {
                    None
                }
            })
            .collect();
        matches!(self.tokens.last(), Some(Token::Done { .. }))
            && more.iter().rev().skip(1).all(|m| *m)
            && more.last() == Some(&false)
    }
}

pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Bit(b) => u8::from(*b).to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(f) => f.to_string(),
        Value::Decimal(v, 0) => v.to_string(),
        Value::Decimal(v, s) => {
            let digits = format!("{:0>width$}", v.unsigned_abs(), width = usize::from(*s) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(*s));
            format!("{}{whole}.{fraction}", if *v < 0 { "-" } else { "" })
        }
        Value::Str(s) => s.to_string(),
        Value::Bytes(b) => format!("0x{}", b.iter().map(|x| format!("{x:02X}")).collect::<String>()),
        Value::Guid(g) => g.to_string(),
        Value::Date(d) => d.to_string(),
        Value::Time(t) => t.to_string(),
        Value::DateTime(d) => d.to_string(),
        Value::DateTimeOffset(d) => d.to_string(),
    }
}

pub(crate) fn text(s: &str) -> Value {
    Value::Str(s.into())
}
