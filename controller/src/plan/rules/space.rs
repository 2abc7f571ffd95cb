//! Whether there is room.

use std::collections::BTreeMap;

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

fn short(what: &str, host: &str, place: &str, free: u64, need: u64, elsewhere: &str) -> Finding {
    Finding::blocker("no-space", format!("{what} does not fit on {host}"))
        .saw(format!("free on {place}"), bytes(free))
        .saw("needed", bytes(need))
        .source("SQL Server errors 3202 and 3257")
        .next(format!(
            "Free {} there and plan again, or {elsewhere}.",
            bytes(need - free)
        ))
}

const OTHER_STAGING: &str = "point staging_dir in the agent's configuration at another volume and restart the agent";
const OTHER_FOLDERS: &str = "name folders on other volumes with --data-dir and --log-dir";

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
            OTHER_STAGING,
        ));
    }
}

pub(super) fn volume<'a>(instance: &'a InstanceFacts, path: &str) -> Option<(&'a String, u64)> {
    let path = path.to_ascii_lowercase();
    let under = |mount: &&String| path.starts_with(&mount.to_ascii_lowercase());
    instance
        .volumes
        .keys()
        .filter(under)
        .max_by_key(|m| m.len())
        .map(|m| (m, instance.volumes[m]))
}

/// The backup must fit into the target's staging folder, and the files onto its volumes; what is on one volume must fit
/// together.
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
            OTHER_STAGING,
        ));
    }
    let (Some(facts), Some(t)) = (input.source_facts(), input.target_instance()) else {
        return;
    };
    let data = input.request.data_dir.as_ref().or(t.data_path.as_ref());
    let log = input.request.log_dir.as_ref().or(t.log_path.as_ref());
    let mut wanted: BTreeMap<&String, Wanted> = BTreeMap::new();
    for file in &facts.files {
        let Some(folder) = (if file.kind == "LOG" { log } else { data }) else {
            continue;
        };
        if let Some((mount, free)) = volume(t, folder) {
            let entry = wanted.entry(mount).or_insert(Wanted::nothing(free));
            entry.need = entry.need.saturating_add(file.bytes);
        }
    }
    if let Some(entry) = volume(t, &i.host.staging_dir).and_then(|(mount, _)| wanted.get_mut(mount)) {
        entry.need = entry.need.saturating_add(need);
        entry.with_backup = true;
    }
    for (mount, w) in wanted.into_iter().filter(|(_, w)| w.free < w.need) {
        let what = if w.with_backup {
            "The database together with its backup"
        } else {
            "The database"
        };
        out.push(short(
            what,
            &input.target_host.name,
            mount,
            w.free,
            w.need,
            OTHER_FOLDERS,
        ));
    }
}

/// What a volume of the target has to take.
struct Wanted {
    free: u64,
    need: u64,
    with_backup: bool,
}

impl Wanted {
    fn nothing(free: u64) -> Self {
        Self {
            free,
            need: 0,
            with_backup: false,
        }
    }
}
