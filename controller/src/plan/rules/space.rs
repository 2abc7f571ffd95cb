//! Whether there is room.

use syncferry_shared::Finding;
use syncferry_shared::inventory::InstanceFacts;

use super::bytes;
use crate::plan::PlanInput;

/// What a backup of the source needs at most: the pages in use, a tenth more, and the log.
pub(crate) fn backup_bytes(input: &PlanInput) -> Option<u64> {
    let facts = input.source_facts()?;
    let logs = facts.files.iter().filter(|f| f.kind == "LOG");
    // The numbers are an agent's: whatever they are, adding them must not end the controller.
    let log = logs.fold(0_u64, |sum, f| sum.saturating_add(f.bytes));
    let used = facts.used_bytes.unwrap_or_else(|| facts.bytes.saturating_sub(log));
    Some(used.saturating_add(used / 10).saturating_add(log.min(64 << 20)))
}

fn short(what: &str, host: &str, place: &str, free: u64, need: u64) -> Finding {
    Finding::blocker("no-space", format!("{what} does not fit on {host}"))
        .saw(format!("free on {place}"), bytes(free))
        .saw("needed", bytes(need))
        .source("SQL Server errors 3202 and 3257")
        .next(format!(
            "Free {} there, or point the agent's staging_dir (or --data-dir, --log-dir) at another volume.",
            bytes(need - free)
        ))
}

/// The backup must fit into the staging folder of the source.
pub(super) fn on_the_source(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(need), Some(i)) = (backup_bytes(input), &input.source_host.inventory) else {
        return;
    };
    if let Some(free) = i.host.staging_free.filter(|f| *f < need) {
        out.push(short(
            "The backup",
            &input.source_host.name,
            &i.host.staging_dir,
            free,
            need,
        ));
    }
}

fn volume<'a>(instance: &'a InstanceFacts, path: &str) -> Option<(&'a String, u64)> {
    let path = path.to_ascii_lowercase();
    let under = |mount: &&String| path.starts_with(&mount.to_ascii_lowercase());
    instance
        .volumes
        .keys()
        .filter(under)
        .max_by_key(|m| m.len())
        .map(|m| (m, instance.volumes[m]))
}

/// The backup must fit into the target's staging folder, and the files onto its volumes.
pub(super) fn on_the_target(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(need), Some(i)) = (backup_bytes(input), &input.target_host.inventory) else {
        return;
    };
    if let Some(free) = i.host.staging_free.filter(|f| *f < need) {
        out.push(short(
            "The backup",
            &input.target_host.name,
            &i.host.staging_dir,
            free,
            need,
        ));
    }
    let (Some(facts), Some(t)) = (input.source_facts(), input.target_instance()) else {
        return;
    };
    let data = input.request.data_dir.as_ref().or(t.data_path.as_ref());
    let log = input.request.log_dir.as_ref().or(t.log_path.as_ref());
    let mut wanted: std::collections::BTreeMap<&String, (u64, u64)> = std::collections::BTreeMap::new();
    for file in &facts.files {
        let Some(folder) = (if file.kind == "LOG" { log } else { data }) else {
            continue;
        };
        if let Some((mount, free)) = volume(t, folder) {
            let entry = wanted.entry(mount).or_insert((free, 0));
            entry.1 = entry.1.saturating_add(file.bytes);
        }
    }
    for (mount, (free, need)) in wanted.into_iter().filter(|(_, (free, need))| free < need) {
        out.push(short("The database", &input.target_host.name, mount, free, need));
    }
}
