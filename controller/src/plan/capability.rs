//! Whether the agents of a plan are of a release that can do their jobs.

use syncferry_shared::plan::Plan;
use syncferry_shared::{Finding, capability};

use super::{KnownHost, PlanInput, dba};

/// Every host of the request, those that no job is for included.
pub(super) fn hosts(input: &PlanInput) -> impl Iterator<Item = &KnownHost> {
    [
        Some(&input.source_host),
        input.holder.as_ref(),
        Some(&input.target_host),
        Some(&input.connect_host),
    ]
    .into_iter()
    .flatten()
}

/// A finding for each agent that lacks something. An agent that did not say what it can do is believed: it refuses what it does not know.
pub(super) fn findings(input: &PlanInput, plan: &Plan) -> Vec<Finding> {
    let mut out: Vec<Finding> = Vec::new();
    for job in plan.stages.iter().flat_map(|s| &s.jobs) {
        let Some(host) = hosts(input).find(|h| h.id == job.host) else {
            continue;
        };
        let by_dba = input.request.dba && !dba::of_job(&job.name).is_empty();
        let needs = [capability::of_job(&job.name, job.kind)]
            .into_iter()
            .chain(by_dba.then_some(capability::BY_DBA));
        let lacks: Vec<&str> = needs.filter(|n| !host.capabilities.iter().any(|c| c == n)).collect();
        if host.capabilities.is_empty() || lacks.is_empty() {
            continue;
        }
        let title = format!("The agent on {} is of a release that cannot do its part", host.name);
        let at = match out.iter().position(|f| f.title == title) {
            Some(at) => at,
            None => {
                let finding = Finding::blocker("agent-too-old", title)
                    .saw(format!("agent on {}", host.name), &host.agent_version)
                    .source("the agent's hello: what it can do")
                    .next(format!(
                        "Install the agent of this controller's release ({}) on {}; then plan again.",
                        env!("CARGO_PKG_VERSION"),
                        host.name
                    ));
                out.push(finding);
                out.len() - 1
            }
        };
        out[at] = out[at]
            .clone()
            .saw(format!("job {}", job.name), format!("needs {}", lacks.join(" and ")));
    }
    out
}
