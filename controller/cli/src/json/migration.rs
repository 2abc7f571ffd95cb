//! Migrations with their plans, jobs, gates and events.

use serde::Serialize;
use serde_json::Value;
use syncferry_proto::{schema, v1};
use syncferry_shared::outcome::{LevelStanding, Outcome};
use syncferry_shared::plan::Scenario;

use super::{raw, some, time};

/// `status`.
#[derive(Debug, Serialize)]
pub struct Migrations {
    /// How many alarms are raised that nobody has acknowledged.
    pub alarms_raised: usize,
    /// Newest first.
    pub migrations: Vec<Migration>,
}

/// `status MIGRATION`, `apply`, `cancel`.
#[derive(Debug, Serialize)]
pub struct Migration {
    /// Its id.
    pub id: String,
    /// The scenario.
    pub scenario: String,
    /// The site's name.
    pub site: String,
    /// Its state.
    pub state: String,
    /// Who asked for it.
    pub created_by: String,
    /// When.
    pub created_at: Option<String>,
    /// When it last changed.
    pub updated_at: Option<String>,
    /// The digest of the plan.
    pub plan_digest: Option<String>,
    /// What the controller waits for.
    pub waiting_for: Option<String>,
    /// The verification level that is needed and the one that was reached; `null` where none is needed.
    pub level: Option<LevelStanding>,
    /// The jobs, in order.
    pub jobs: Vec<Job>,
    /// Gates that wait for a person.
    pub open_gates: Vec<Gate>,
}

impl From<&v1::Migration> for Migration {
    fn from(m: &v1::Migration) -> Self {
        Self {
            id: m.id.clone(),
            scenario: m.scenario.clone(),
            site: m.site.clone(),
            state: m.state.clone(),
            created_by: m.created_by.clone(),
            created_at: time(m.created_at.as_ref()),
            updated_at: time(m.updated_at.as_ref()),
            plan_digest: some(&m.plan_digest),
            waiting_for: some(&m.waiting_for),
            level: level_of(m),
            jobs: m.jobs.iter().map(Job::from).collect(),
            open_gates: m.open_gates.iter().map(Gate::from).collect(),
        }
    }
}

/// Where a migration stands in verification, from its jobs; `None` where no level is needed, or no jobs are known.
pub fn level_of(m: &v1::Migration) -> Option<LevelStanding> {
    let needed = Scenario::parse(&m.scenario)?.required_level()?;
    if m.jobs.is_empty() {
        return None;
    }
    let outcomes = m
        .jobs
        .iter()
        .filter_map(|j| j.result.as_ref()?.read::<Outcome>(schema::OUTCOME).ok());
    Some(LevelStanding::of(needed, outcomes.flat_map(|o| o.levels)))
}

/// `plan SCENARIO`, `plan show`.
#[derive(Debug, Serialize)]
pub struct Planned {
    /// The migration.
    pub migration: Migration,
    /// `syncferry.plan.v1`, with the findings.
    pub plan: Value,
    /// The command that runs this very plan; `null` while it cannot be run.
    pub apply: Option<String>,
}

impl Planned {
    /// Of a migration with its plan.
    pub fn of(m: &v1::Migration, apply: Option<String>) -> Self {
        Self {
            migration: Migration::from(m),
            plan: raw(m.plan.as_ref()),
            apply,
        }
    }
}

/// A job.
#[derive(Debug, Serialize)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Its name within the plan.
    pub name: String,
    /// `backup`, `restore`, `install`, `verify`.
    pub kind: String,
    /// The stage.
    pub stage: i32,
    /// The host's name.
    pub host: String,
    /// Its state.
    pub state: String,
    /// The current attempt, 0 before the first.
    pub attempt: i32,
    /// The steps of the current attempt.
    pub steps: Vec<Step>,
    /// How far it is.
    pub progress: Option<Progress>,
    /// `syncferry.outcome.v1` or `syncferry.failure.v1`.
    pub result: Value,
    /// The shape of the result.
    pub result_schema: Option<String>,
    /// When its current attempt began.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
}

impl From<&v1::Job> for Job {
    fn from(j: &v1::Job) -> Self {
        Self {
            id: j.id.clone(),
            name: j.name.clone(),
            kind: j.kind.clone(),
            stage: j.stage,
            host: j.host.clone(),
            state: j.state.clone(),
            attempt: j.attempt,
            steps: j.steps.iter().map(Step::from).collect(),
            progress: j.progress.as_ref().map(Progress::from),
            result: raw(j.result.as_ref()),
            result_schema: j.result.as_ref().map(|d| d.schema.clone()),
            started_at: time(j.started_at.as_ref()),
            ended_at: time(j.ended_at.as_ref()),
        }
    }
}

/// A step.
#[derive(Debug, Serialize)]
pub struct Step {
    /// Its position, from 1.
    pub ordinal: i32,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
}

impl From<&v1::Step> for Step {
    fn from(s: &v1::Step) -> Self {
        Self {
            ordinal: s.ordinal,
            name: s.name.clone(),
            state: s.state.clone(),
            started_at: time(s.started_at.as_ref()),
            ended_at: time(s.ended_at.as_ref()),
        }
    }
}

/// How far something is.
#[derive(Debug, Serialize)]
pub struct Progress {
    /// The step that runs.
    pub step: String,
    /// A few words.
    pub message: String,
    /// Units done.
    pub done: u64,
    /// Units in all, 0 when unknown.
    pub total: u64,
    /// `none`, `bytes`, `percent`, `count`.
    pub unit: &'static str,
    /// Units per second, 0 when not measured.
    pub rate: f64,
    /// Milliseconds left.
    pub left_ms: Option<u64>,
}

impl From<&v1::Progress> for Progress {
    fn from(p: &v1::Progress) -> Self {
        let unit = match p.unit() {
            v1::ProgressUnit::Bytes => "bytes",
            v1::ProgressUnit::Percent => "percent",
            v1::ProgressUnit::Count => "count",
            v1::ProgressUnit::None | v1::ProgressUnit::Unspecified => "none",
        };
        Self {
            step: p.step.clone(),
            message: p.message.clone(),
            done: p.done,
            total: p.total,
            unit,
            rate: if p.rate.is_finite() { p.rate } else { 0.0 },
            left_ms: p.left_ms,
        }
    }
}

/// `gate list`.
#[derive(Debug, Serialize)]
pub struct Gates {
    /// Open ones first.
    pub gates: Vec<Gate>,
}

/// `gate show`, `gate complete`.
#[derive(Debug, Serialize)]
pub struct Gate {
    /// Its id.
    pub id: String,
    /// The migration.
    pub migration_id: String,
    /// The job that waits.
    pub job_id: String,
    /// The host on which to act.
    pub host: String,
    /// What it is about.
    pub title: String,
    /// `open`, `claimed`, `proven`, `cancelled`.
    pub state: String,
    /// `syncferry.cards.v1`.
    pub cards: Value,
    /// Who said that it is done.
    pub claimed_by: Option<String>,
    /// What the agent sees.
    pub observation: Option<String>,
    /// When it opened.
    pub opened_at: Option<String>,
}

impl From<&v1::Gate> for Gate {
    fn from(g: &v1::Gate) -> Self {
        Self {
            id: g.id.clone(),
            migration_id: g.migration_id.clone(),
            job_id: g.job_id.clone(),
            host: g.host.clone(),
            title: g.title.clone(),
            state: g.state.clone(),
            cards: raw(g.cards.as_ref()),
            claimed_by: some(&g.claimed_by),
            observation: some(&g.observation),
            opened_at: time(g.opened_at.as_ref()),
        }
    }
}

/// `events`.
#[derive(Debug, Serialize)]
pub struct Events {
    /// In order.
    pub events: Vec<Event>,
}

/// An event.
#[derive(Debug, Serialize)]
pub struct Event {
    /// `migration`, `agent`, `lease`, `system`.
    pub stream_kind: String,
    /// The id within that kind.
    pub stream_id: String,
    /// Its number in its stream, from 1, without gaps.
    pub seq: i64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who caused it.
    pub actor: String,
    /// When.
    pub at: Option<String>,
    /// What happened.
    pub payload: Value,
    /// The hash of the event before it.
    pub prev_hash: String,
    /// Its hash.
    pub hash: String,
}

impl From<&v1::Event> for Event {
    fn from(e: &v1::Event) -> Self {
        Self {
            stream_kind: e.stream_kind.clone(),
            stream_id: e.stream_id.clone(),
            seq: e.seq,
            kind: e.r#type.clone(),
            actor: e.actor.clone(),
            at: time(e.at.as_ref()),
            payload: raw(e.payload.as_ref()),
            prev_hash: e.prev_hash.clone(),
            hash: e.hash.clone(),
        }
    }
}

/// A line of `watch` (and of `apply --watch`): `what` says which of the fields it has.
#[derive(Debug, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum WatchLine {
    /// Something happened.
    Event {
        /// What.
        event: Event,
    },
    /// The migration as it stands now.
    Migration {
        /// The migration.
        migration: Migration,
    },
    /// The last line.
    End {
        /// The migration.
        migration: Migration,
        /// The exit code.
        exit: u8,
    },
}
