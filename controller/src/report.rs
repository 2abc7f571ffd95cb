//! The evidence report of a migration, gathered from the rows of one snapshot.

use syncferry_shared::HostId;
use syncferry_shared::event::{Event, StreamKind};
use syncferry_shared::outcome::{LevelStanding, Outcome};
use syncferry_shared::report::{
    LeasePoint, Report, ReportAcceptance, ReportAttempt, ReportGate, ReportJob, ReportLease, ReportLeaseChange,
    ReportOutcome, ReportPlan, ReportProof, ReportSite, ReportStep, SCHEMA,
};
use syncferry_shared::state::GateState;
use syncferry_store::{Acceptance, Job, JobFilter, LeaseChange, Migration, Tx};

use crate::problem::Problem;
use crate::{aftercare, queries};

const PAGE: i64 = 1000;

/// Gathers the report.
pub async fn report(tx: &mut dyn Tx, m: &Migration) -> Result<Report, Problem> {
    let site = tx
        .site(m.site)
        .await?
        .ok_or_else(|| Problem::Internal("the site is gone".to_string()))?;
    let events = all_events(tx, m).await?;
    let rows = tx
        .jobs(&JobFilter {
            migration: Some(m.id),
            ..JobFilter::default()
        })
        .await?;
    let mut jobs = Vec::new();
    for row in &rows {
        jobs.push(job(tx, row).await?);
    }
    let leases = leases(tx, m, &rows).await?;
    let level = m.scenario.required_level().map(|needed| {
        let outcomes = jobs.iter().filter_map(|j: &ReportJob| j.outcome.as_ref());
        LevelStanding::of(needed, outcomes.flat_map(|o| o.levels.iter().copied()))
    });
    let report = Report {
        schema: SCHEMA.to_string(),
        migration: m.id,
        scenario: m.scenario,
        site: ReportSite {
            id: site.id,
            name: site.name,
            tenant_id: site.tenant_id,
        },
        state: m.state,
        created_by: m.actor.clone(),
        created_at: m.created_at,
        ended_at: m.state.is_final().then_some(m.updated_at),
        made_at: tx.now(),
        plan: plan(m, &events, tx.acceptances(m.id).await?),
        jobs,
        gates: gates(tx, m, &rows).await?,
        leases,
        chain_head: events.last().map(|e| e.hash.clone()).unwrap_or_default(),
        events,
        syncferry_version: env!("CARGO_PKG_VERSION").to_string(),
        level,
        checklist: aftercare::of(tx, m).await?,
        seal: String::new(),
    };
    Ok(report.sealed())
}

async fn all_events(tx: &mut dyn Tx, m: &Migration) -> Result<Vec<Event>, Problem> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |e| e.seq);
        let page = tx.events(StreamKind::Migration, &m.id.to_string(), after, PAGE).await?;
        if page.is_empty() {
            return Ok(events);
        }
        events.extend(page);
    }
}

fn plan(m: &Migration, events: &[Event], acceptances: Vec<Acceptance>) -> Option<ReportPlan> {
    let document = m.plan.clone()?;
    let applied = events.iter().find(|e| e.kind == "migration.applied");
    let accepted = applied.and_then(|e| e.payload.get("accepted_warnings")).cloned();
    Some(ReportPlan {
        digest: m.plan_digest.clone().unwrap_or_default(),
        document,
        accepted_warnings: accepted
            .and_then(|v| serde_json::from_value(v).ok())
            .unwrap_or_default(),
        acceptances: acceptances
            .into_iter()
            .map(|a| ReportAcceptance {
                rule: a.rule,
                by: a.actor,
                reason: a.reason,
                at: a.at,
                until: a.until,
            })
            .collect(),
        applied_by: applied.map(|e| e.actor.clone()),
        applied_at: applied.map(|e| e.at),
    })
}

async fn host_name(tx: &mut dyn Tx, id: HostId) -> Result<String, Problem> {
    Ok(tx.host(id).await?.map_or_else(|| id.to_string(), |h| h.name))
}

async fn job(tx: &mut dyn Tx, row: &Job) -> Result<ReportJob, Problem> {
    let attempts = tx.attempts(row.id).await?;
    let last = attempts.last().map(|a| a.attempt);
    let steps = match last {
        Some(last) => tx.steps(row.id, Some(last)).await?,
        None => vec![],
    };
    let outcome: Option<Outcome> = row.outcome.clone().and_then(|o| serde_json::from_value(o).ok());
    Ok(ReportJob {
        id: row.id,
        name: row.name.clone(),
        kind: row.kind,
        stage: row.stage + 1,
        host: host_name(tx, row.host).await?,
        state: row.state,
        started_at: attempts.first().map(|a| a.opened_at),
        ended_at: attempts.last().and_then(|a| a.ended_at),
        attempts: attempts
            .into_iter()
            .map(|a| ReportAttempt {
                attempt: a.attempt,
                state: a.state,
                undo: a.undo,
                epoch: a.epoch,
                digest: a.digest,
                opened_at: a.opened_at,
                ended_at: a.ended_at,
            })
            .collect(),
        steps: steps
            .into_iter()
            .map(|s| ReportStep {
                ordinal: s.ordinal,
                name: s.name,
                state: s.state,
                started_at: s.started_at,
                ended_at: s.ended_at,
            })
            .collect(),
        outcome: outcome.as_ref().map(ReportOutcome::from),
        failure: row.failure.clone().and_then(|f| serde_json::from_value(f).ok()),
    })
}

async fn gates(tx: &mut dyn Tx, m: &Migration, jobs: &[Job]) -> Result<Vec<ReportGate>, Problem> {
    let mut found = Vec::new();
    for g in tx.gates_of(m.id).await? {
        let job = jobs.iter().find(|j| j.id == g.job);
        let host = match job {
            Some(j) => host_name(tx, j.host).await?,
            None => String::new(),
        };
        let closed = matches!(g.state, GateState::Proven | GateState::Cancelled);
        found.push(ReportGate {
            id: g.id,
            job: job.map(|j| j.name.clone()).unwrap_or_default(),
            host,
            title: g.title,
            state: g.state,
            cards: serde_json::from_value(g.cards).unwrap_or_default(),
            claimed_by: g.claimed_by,
            observation: g
                .observation
                .as_ref()
                .and_then(|o| o.get("text")?.as_str().map(str::to_string)),
            opened_at: g.opened_at,
            closed_at: closed.then_some(g.updated_at),
        });
    }
    Ok(found)
}

async fn leases(tx: &mut dyn Tx, m: &Migration, jobs: &[Job]) -> Result<Vec<ReportLease>, Problem> {
    let mut resources: Vec<_> = jobs.iter().map(|j| j.resource.clone()).collect();
    resources.sort();
    resources.dedup();
    let mut found = Vec::new();
    for resource in resources {
        let Some(lease) = tx.lease(&resource).await? else {
            continue;
        };
        let changes = tx.lease_history(&resource).await?;
        let mut history = Vec::new();
        for change in &changes {
            history.push(lease_change(tx, m, change).await?);
        }
        // The state before is the one after the last change that came before the migration was asked for.
        let before = changes
            .iter()
            .zip(&history)
            .rfind(|(c, _)| c.at < m.created_at)
            .map(|(c, h)| LeasePoint {
                state: c.to,
                epoch: c.epoch,
                holder: h.holder.clone(),
                fenced_epoch: lease.fenced_epoch.min(c.epoch),
            });
        let holder = match lease.holder {
            Some(holder) => Some(host_name(tx, holder).await?),
            None => None,
        };
        let proofs = tx.proofs(&resource).await?;
        found.push(ReportLease {
            subject: queries::lease::subject(tx, &lease).await?,
            kind: lease.kind,
            before,
            after: LeasePoint {
                state: lease.state,
                epoch: lease.epoch,
                holder,
                fenced_epoch: lease.fenced_epoch,
            },
            history,
            proofs: proofs
                .into_iter()
                .map(|p| ReportProof {
                    epoch: p.epoch,
                    kind: p.kind,
                    evidence: p.evidence,
                    actor: p.actor,
                    actor2: p.second,
                    at: p.at,
                })
                .collect(),
            resource,
        });
    }
    Ok(found)
}

async fn lease_change(tx: &mut dyn Tx, m: &Migration, c: &LeaseChange) -> Result<ReportLeaseChange, Problem> {
    let holder = match c.holder {
        Some(holder) => Some(host_name(tx, holder).await?),
        None => None,
    };
    Ok(ReportLeaseChange {
        row_version: c.row_version,
        epoch: c.epoch,
        event: c.event.map_or("create", |e| e.as_str()).to_string(),
        from: c.from,
        to: c.to,
        holder,
        actor: c.actor.clone(),
        at: c.at,
        detail: c.detail.clone(),
        by_this_migration: c.migration == Some(m.id),
    })
}
