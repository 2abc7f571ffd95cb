//! From a request and what the hosts said to a plan. Pure: no store, no clock, no network. A file for each scenario, a
//! folder of rules that look at the same input, the cards for the wizard, and the specifications that jobs get.

mod capability;
pub mod cards;
mod common;
pub(crate) mod dba;
pub mod decommission;
pub mod drill;
pub mod fence;
pub mod input;
pub mod move_in_place;
pub mod move_to_full_sql;
pub mod provision_staging;
pub mod replace_server;
pub mod restore_from_backup;
pub mod rules;
pub mod specs;
pub mod switch_active;
#[cfg(test)]
mod tests;
mod verdicts;

pub use input::{KnownDatabase, KnownExport, KnownHost, OpenCare, PlanIds, PlanInput};

use syncferry_shared::outcome::Level;
use syncferry_shared::plan::{Plan, Scenario};

/// Makes the plan. It always comes back, with everything that was found; whether it can be applied is in it.
pub fn plan(input: &PlanInput) -> Plan {
    let mut plan = match input.request.scenario {
        Scenario::MoveToFullSql if input.request.in_place => move_in_place::plan(input),
        Scenario::MoveToFullSql => move_to_full_sql::plan(input),
        Scenario::ReplaceServer => replace_server::plan(input),
        Scenario::RestoreFromBackup => restore_from_backup::plan(input),
        Scenario::ProvisionStaging => provision_staging::plan(input),
        Scenario::Drill => drill::plan(input),
        Scenario::SwitchActive => switch_active::plan(input),
        Scenario::Decommission => decommission::plan(input),
        // A lease's runs are planned from one preview, not from a request: `fence::plan`.
        other
        @ (Scenario::FenceDatabase | Scenario::OpenDatabase | Scenario::RemoveMarks | Scenario::ProveIdentity) => {
            Plan {
                findings: vec![fence::not_this_way(other)],
                ..Plan::nothing(input.ids.migration)
            }
        }
    };
    dba::mark(input, &mut plan);
    let lacking = capability::findings(input, &plan);
    if !lacking.is_empty() {
        verdicts::block(&mut plan, lacking);
    }
    verdicts::judge(input, &mut plan);
    if let Some(v) = plan
        .values
        .as_mut()
        .filter(|_| input.request.scenario.required_level() == Some(Level::L5))
    {
        v.pages = input.catalogue.pages(v.expect.version);
    }
    plan
}
