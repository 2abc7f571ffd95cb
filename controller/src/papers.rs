//! Gathers what papers are made of: the plan, what agents found for it, and the rates of earlier migrations. The papers themselves
//! are pure: `syncferry_shared::papers`.

use std::collections::BTreeSet;

use syncferry_shared::outcome::Outcome;
use syncferry_shared::papers::{self, Paper, PaperHost, PaperInput, PaperKind, Rates};
use syncferry_shared::plan::{Plan, PlanRequest};
use syncferry_shared::spec::JobKind;
use syncferry_shared::state::{GateState, JobState};
use syncferry_store::{Job, JobFilter, Migration, MigrationFilter, Tx};

use crate::core::Core;
use crate::problem::Problem;
use crate::scheduler::inventory_of;

/// Rates are taken from so many of the newest migrations.
const MEASURED: usize = 50;

/// Makes a paper of a migration that has a plan.
pub async fn paper(core: &Core, tx: &mut dyn Tx, m: &Migration, kind: &str) -> Result<Paper, Problem> {
    let kind = PaperKind::parse(kind).ok_or_else(|| {
        let names: Vec<&str> = PaperKind::ALL.iter().map(|k| k.as_str()).collect();
        Problem::Invalid(format!("'{kind}' is no paper; there are: {}", names.join(", ")))
    })?;
    let input = input(core, tx, m).await?;
    Ok(papers::paper(kind, &input))
}

async fn input(core: &Core, tx: &mut dyn Tx, m: &Migration) -> Result<PaperInput, Problem> {
    let plan = m
        .plan
        .clone()
        .ok_or_else(|| Problem::NotNow(format!("migration {} has no plan yet", m.id.short())))?;
    let plan: Plan =
        serde_json::from_value(plan).map_err(|e| Problem::Internal(format!("the plan cannot be read: {e}")))?;
    let request: PlanRequest = plan
        .request
        .clone()
        .ok_or_else(|| Problem::NotNow("a run for a lease has no papers".to_string()))?;
    // Where a backup is restored that somebody has, there may be no source: then the target is all there is to speak of.
    let source = match tx.database(request.source).await? {
        Some(d) => (d.host, d.address.instance, d.address.database),
        None => (
            request.target_host,
            request.target_instance.clone(),
            request.target_database.clone(),
        ),
    };
    let site = tx
        .site(m.site)
        .await?
        .ok_or_else(|| Problem::Internal("the site is gone".to_string()))?;
    let inspections = tx.inspections_of(m.id).await?;
    let mut ids = vec![source.0];
    ids.extend(plan.values.as_ref().and_then(|v| v.source_holder));
    ids.extend([request.target_host, request.connect_host]);
    let mut seen = BTreeSet::new();
    let mut hosts = Vec::new();
    for id in ids.into_iter().filter(|id| seen.insert(*id)) {
        let name = tx.host(id).await?.map_or_else(|| id.to_string(), |h| h.name);
        hosts.push(PaperHost {
            id,
            name,
            inventory: inventory_of(&inspections, id).0,
            transfer_address: tx.agent_of_host(id).await?.and_then(|a| a.transfer_address),
        });
    }
    Ok(PaperInput {
        migration: m.id.short(),
        scenario: m.scenario,
        site: site.name,
        tenant: site.tenant_id,
        controller: core.config.advertise.clone(),
        hosts,
        source,
        rates: rates(tx).await?,
        plan,
    })
}

/// What jobs that ended well took, in the newest migrations of this controller.
async fn rates(tx: &mut dyn Tx) -> Result<Rates, Problem> {
    let mut rates = Rates::default();
    let mut migrations = tx.migrations(&MigrationFilter::default()).await?;
    migrations.sort_by_key(|m| std::cmp::Reverse(m.created_at));
    for m in migrations.iter().take(MEASURED) {
        let filter = JobFilter {
            migration: Some(m.id),
            ..JobFilter::default()
        };
        let jobs = tx.jobs(&filter).await?;
        let size = jobs.iter().find_map(|j| outcome(j)?.manifest.map(|f| f.size));
        for job in jobs.iter().filter(|j| j.state == JobState::Succeeded) {
            let to = match job.kind {
                JobKind::Backup => &mut rates.backup,
                JobKind::Restore => &mut rates.restore,
                _ => continue,
            };
            let attempts = tx.attempts(job.id).await?;
            let took = attempts.last().and_then(|a| Some(a.ended_at?.since(a.opened_at)));
            if let (Some(ms), Some(size)) = (took.filter(|ms| *ms > 0), size) {
                to.push(size as f64 * 1000.0 / ms as f64);
            }
        }
        for gate in tx.gates_of(m.id).await?.iter().filter(|g| g.state == GateState::Proven) {
            rates
                .wizard
                .push(gate.updated_at.since(gate.opened_at).max(1) as f64 / 1000.0);
        }
    }
    Ok(rates)
}

fn outcome(job: &Job) -> Option<Outcome> {
    serde_json::from_value(job.outcome.clone()?).ok()
}
