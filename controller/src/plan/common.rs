//! What the plans of several scenarios have in common: names, the instance field of the wizard, jobs and their stages.

use syncferry_shared::JobId;
use syncferry_shared::inventory::InstanceFacts;
use syncferry_shared::lease::Resource;
use syncferry_shared::plan::{LeaseUse, PlannedJob, Stage};
use syncferry_shared::spec::JobKind;
use syncferry_shared::{Finding, finding};

use super::KnownHost;
use super::rules::{self, OURS};

/// The agents left something out and no rule noticed. A plan is never blocked without a finding that says so.
pub(super) fn incomplete(seen: &[(&KnownHost, &[(&str, bool)])]) -> Finding {
    let mut finding = Finding::blocker("plan-incomplete", "The agents' answers are not complete");
    for (host, what) in seen {
        let lines: Vec<String> = what
            .iter()
            .map(|(what, there)| format!("{what}: {}", if *there { "seen" } else { "not seen" }))
            .collect();
        finding = finding.saw(format!("agent on {}", host.name), lines.join(", "));
    }
    finding
        .source(OURS)
        .next("Look at the logs of these agents, and plan again. Agent and controller should have the same version.")
}

/// Standard, Enterprise and their kin can compress; Express, LocalDB and Web cannot (error 1844).
pub(super) fn can_compress(instance: &InstanceFacts) -> bool {
    const WEB: i64 = 1_293_598_313;
    !instance.is_localdb && matches!(instance.engine_edition, 2 | 3) && instance.edition_id != WEB
}

/// A name that nobody else has, while the database is not verified. It is as long as a database name may be, at most: the tail
/// is never cut, or two migrations would share a name.
pub(super) fn temporary_name(database: &str, migration: &str) -> String {
    let tail = format!("__syncferry_{migration}");
    let mut head = database.to_string();
    while head.encode_utf16().count() + tail.len() > rules::LONGEST_DATABASE_NAME {
        head.pop();
    }
    head + &tail
}

/// What goes into the wizard's instance field: `INSTANCE`, and `,port` where the port is not 1433, because SQL Browser may
/// be off. A default instance on another port is `,port`.
pub(super) fn instance_field(instance: Option<&str>, port: Option<u16>) -> String {
    let port = port
        .filter(|p| *p != 1433 || instance.is_some())
        .map(|p| format!(",{p}"))
        .unwrap_or_default();
    format!("{}{port}", instance.unwrap_or_default())
}

/// Hands the ids of jobs out.
pub(super) struct Jobs<'a> {
    ids: std::slice::Iter<'a, JobId>,
}

impl<'a> Jobs<'a> {
    pub(super) fn new(ids: &'a [JobId]) -> Self {
        Self { ids: ids.iter() }
    }

    pub(super) fn job(
        &mut self,
        name: &str,
        kind: JobKind,
        host: &KnownHost,
        resource: &Resource,
        steps: &[String],
        changes: &[String],
    ) -> PlannedJob {
        PlannedJob {
            // The caller hands out more ids than any scenario has jobs; a test holds it.
            id: *self.ids.next().expect("enough job ids"),
            name: name.to_string(),
            kind,
            host: host.id,
            host_name: host.name.clone(),
            resource: resource.clone(),
            lease: LeaseUse::Held,
            steps: steps.to_vec(),
            changes: changes.to_vec(),
        }
    }
}

/// The same job, which does not need the lease to be held.
pub(super) fn beside(job: PlannedJob) -> PlannedJob {
    PlannedJob {
        lease: LeaseUse::Beside,
        ..job
    }
}

pub(super) fn lines<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_string).to_vec()
}

pub(super) fn stage(name: &str, jobs: Vec<PlannedJob>) -> Stage {
    Stage {
        name: name.to_string(),
        jobs,
    }
}

/// Where a host's agent keeps backups.
pub(super) fn staging(host: &KnownHost) -> String {
    host.inventory
        .as_ref()
        .map(|i| i.host.staging_dir.clone())
        .unwrap_or_default()
}

/// The line of a job's changes that says which file it makes.
pub(super) fn backup_file(bytes: u64, host: &KnownHost) -> String {
    format!("a file of at most {} in {}", finding::bytes(bytes), staging(host))
}

#[cfg(test)]
mod tests {
    use super::instance_field;

    #[test]
    fn the_instance_field_has_the_forms_of_the_page() {
        assert_eq!(instance_field(None, Some(1433)), "");
        assert_eq!(instance_field(None, None), "");
        assert_eq!(instance_field(None, Some(14330)), ",14330");
        assert_eq!(instance_field(Some("SYNC"), None), "SYNC");
        assert_eq!(instance_field(Some("SYNC"), Some(1433)), "SYNC,1433");
    }
}
