//! The paths: each is one of the controller's own transactions.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use syncferry_controller::commands::create_plan::{Typed, create_plan};
use syncferry_controller::dispatch::accept::accept;
use syncferry_controller::dispatch::renew_lease::renew_lease;
use syncferry_controller::dispatch::report::{StepReport, What, report};
use syncferry_shared::finding::Evidence;
use syncferry_shared::state::StepState;
use tokio::task::JoinSet;

use crate::world::{Lane, World};

/// As many as jobs have, about.
const STEPS: usize = 10;

/// A path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// An operator submits a migration: the row, its first event, a question to each host.
    Submit,
    /// An agent accepts a job: attempt and job move, an event.
    Accept,
    /// An agent reports a step that is done: the step's row, an event.
    Report,
    /// An agent renews a lease.
    Renew,
}

/// All of them. Jobs are accepted before their steps are reported.
pub(crate) const PATHS: &[Path] = &[Path::Submit, Path::Accept, Path::Report, Path::Renew];

impl Path {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Path::Submit => "submit",
            Path::Accept => "accept",
            Path::Report => "report",
            Path::Renew => "renew",
        }
    }

    /// Does it once, for the n-th time; `false` when there is nothing left to do it with.
    async fn once(self, world: &World, lane: &Lane, n: usize) -> anyhow::Result<bool> {
        let core = &*world.core;
        match self {
            Path::Submit => {
                let host = lane.host.to_string();
                let typed = Typed {
                    scenario: "move-to-full-sql".into(),
                    site: lane.site.clone(),
                    source: lane.database.to_string(),
                    target_host: host.clone(),
                    target_instance: "default".into(),
                    connect_host: host,
                    installer: r"D:\AzureADConnect.msi".into(),
                    ..Typed::default()
                };
                create_plan(core, "operator:bench", typed).await?;
            }
            Path::Accept => {
                let Some(token) = lane.offers.get(n) else {
                    return Ok(false);
                };
                let refused = accept(core, lane.agent, token, None).await?;
                anyhow::ensure!(refused.is_none(), "not accepted: {refused:?}");
                lane.accepted.fetch_add(1, Ordering::Relaxed);
            }
            Path::Report => {
                // Only of what was accepted.
                if n / STEPS >= lane.accepted.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                let token = &lane.offers[n / STEPS];
                let step = StepReport {
                    ordinal: i32::try_from(n % STEPS + 1)?,
                    total: i32::try_from(STEPS)?,
                    name: format!("step-{}", n % STEPS),
                    state: StepState::Done,
                    evidence: vec![Evidence {
                        looked_at: "RESTORE HEADERONLY".into(),
                        found: "one set, complete".into(),
                    }],
                };
                let next = report(core, lane.agent, token, What::Step(step)).await?;
                anyhow::ensure!(next.current, "the report was not taken");
            }
            Path::Renew => {
                let renewed = renew_lease(core, lane.agent, &lane.resource.0, lane.epoch, lane.session).await?;
                anyhow::ensure!(renewed.is_ok(), "not renewed: {renewed:?}");
            }
        }
        Ok(true)
    }
}

/// How many in a second, by all lanes side by side.
pub(crate) async fn rate(world: &Arc<World>, path: Path, time: Duration) -> anyhow::Result<f64> {
    let began = Instant::now();
    let mut working = JoinSet::new();
    for lane in world.lanes.clone() {
        let world = Arc::clone(world);
        working.spawn(async move {
            let mut n = 0;
            while began.elapsed() < time && path.once(&world, &lane, n).await? {
                n += 1;
            }
            anyhow::Ok((n, began.elapsed()))
        });
    }
    let (mut all, mut longest) = (0, Duration::ZERO);
    while let Some(done) = working.join_next().await {
        let (n, took) = done?.with_context(|| path.name())?;
        all += n;
        longest = longest.max(took);
    }
    anyhow::ensure!(all > 0, "{} was never done", path.name());
    #[expect(clippy::cast_precision_loss, reason = "a rate, for people")]
    Ok(all as f64 / longest.as_secs_f64())
}
