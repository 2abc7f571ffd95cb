//! Whether the agents answered.

use syncferry_shared::Finding;
use syncferry_shared::plan::{HandoverWay, Scenario};

use super::OURS;
use crate::plan::{KnownHost, PlanInput};

/// Every host that takes part, once.
pub(super) fn hosts(input: &PlanInput) -> Vec<&KnownHost> {
    let mut seen: Vec<&KnownHost> = Vec::new();
    let all = [
        Some(&input.source_host).filter(|_| source_takes_part(input)),
        // An old server that is not asked to stop may be gone.
        input.holder.as_ref().filter(|_| takes_part(input)),
        Some(&input.target_host),
        Some(&input.connect_host),
    ];
    for host in all.into_iter().flatten() {
        if !seen.iter().any(|s| s.id == host.id) {
            seen.push(host);
        }
    }
    seen
}

/// The release of every agent that takes part.
pub(super) fn releases(input: &PlanInput) -> String {
    let all = hosts(input);
    let said: Vec<String> = all.iter().map(|h| format!("{} {}", h.name, h.agent_version)).collect();
    said.join(", ")
}

/// Whether the SQL host of the source does anything in this plan. Where a backup is restored, it is gone; the host that has an
/// artifact does.
fn source_takes_part(input: &PlanInput) -> bool {
    match input.request.scenario {
        Scenario::RestoreFromBackup | Scenario::Drill => {
            let had = input.artifact.as_ref().map(|b| b.host);
            had.map_or(
                input.request.scenario == Scenario::Drill && input.request.backup_file.is_none(),
                |h| h == input.source_host.id,
            )
        }
        Scenario::SwitchActive => input.way() == HandoverWay::Host && input.request.knows_source(),
        // The database of a server that is retired is not touched.
        Scenario::Decommission => false,
        _ => true,
    }
}

/// Whether the old server does anything in this plan.
fn takes_part(input: &PlanInput) -> bool {
    let may_be_gone = matches!(
        input.request.scenario,
        Scenario::ReplaceServer | Scenario::RestoreFromBackup | Scenario::SwitchActive
    );
    // A server that switches itself has one answer, as the new one.
    let itself = input.request.scenario == Scenario::SwitchActive && input.old_server().is_none();
    !may_be_gone || (input.way() == HandoverWay::Host && !itself)
}

/// Every host that takes part must answer.
pub(super) fn answered(input: &PlanInput, out: &mut Vec<Finding>) {
    for host in hosts(input).into_iter().filter(|h| h.inventory.is_none()) {
        let why = host.error.clone().unwrap_or_else(|| "no answer in time".to_string());
        out.push(
            Finding::blocker("agent-does-not-answer", format!("The agent on {} did not say what is there", host.name))
                .saw(format!("agent on {}", host.name), if host.online { &why } else { "not in touch" })
                .source(OURS)
                .next(format!(
                    "Start the agent on {0} and look at its log; `syncferry host show {0}` must say `online`. Then plan again.",
                    host.name
                )),
        );
    }
}

/// What an agent could not look at is unknown, and unknown blocks where a job depends on it.
pub(super) fn looked_everywhere(input: &PlanInput, out: &mut Vec<Finding>) {
    for host in hosts(input) {
        for p in host.inventory.iter().flat_map(|i| &i.problems) {
            // The installer has rules of its own, which say more.
            if p.subject.starts_with("installer") {
                continue;
            }
            out.push(
                Finding::blocker(
                    "could-not-look",
                    format!("{} on {} could not be looked at", p.subject, host.name),
                )
                .saw(format!("{} on {}", p.subject, host.name), &p.error)
                .source(OURS)
                .next(p.next_step.clone()),
            );
        }
    }
}
