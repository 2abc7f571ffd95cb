//! `move-to-full-sql --in-place`: the same host goes on as the Connect server. verify → backup → restore, and the copy of the
//! backup stays on the SQL host → what was installed is documented → the way back is looked at once more → the service is
//! stopped → a person uninstalls Connect, from where on there is no way back → the old database's lease is freed and the new
//! one's taken, in one → install → verify.
//!
//! Up to the uninstallation nobody has a right to the new database: its lease is nobody's, and the host holds the old one.

use syncferry_shared::Finding;
use syncferry_shared::lease::Resource;
use syncferry_shared::plan::{HandoverWay, InPlace, Plan, PlanValues, PlannedHandover, PlannedJob, Stage};
use syncferry_shared::spec::JobKind;

use super::common::{Jobs, backup_file, beside, lines, stage, staging};
use super::move_to_full_sql::{incomplete, stages as moved, values as values_of_move};
use super::replace_server::old_service;
use super::{KnownHost, PlanInput, rules};

/// The job after which there is no way back.
pub const POINT_OF_NO_RETURN: &str = "uninstall";

/// Makes the plan.
pub fn plan(input: &PlanInput) -> Plan {
    let mut findings = rules::move_to_full_sql(input);
    let blocked = findings.iter().any(Finding::blocks);
    let values = if blocked { None } else { values(input) };
    if values.is_none() && !blocked {
        findings.insert(0, incomplete(input));
    }
    let (stages, handover) = match &values {
        Some(v) => {
            let (stages, at) = stages(input, v);
            (stages, Some(handover(input, v, at)))
        }
        None => (vec![], None),
    };
    let rollback = values.as_ref().map(|v| rollback(input, v)).unwrap_or_default();
    Plan {
        request: Some(input.request.clone()),
        stages,
        findings,
        rollback,
        values,
        handover,
        ..Plan::nothing(input.ids.migration)
    }
}

fn values(input: &PlanInput) -> Option<PlanValues> {
    let v = values_of_move(input)?;
    let connect = input.connect_host.inventory.as_ref()?.connect.as_ref()?;
    let files = &input.source_facts()?.files;
    Some(PlanValues {
        old_service: connect.service.clone().or_else(|| old_service(input)),
        in_place: Some(Box::new(InPlace {
            products: connect
                .products
                .iter()
                .map(|p| format!("{} {}", p.name, p.version))
                .collect(),
            files: files.iter().map(|f| f.path.clone()).collect(),
            left: input.source.lease_name.clone(),
            taken: format!(
                "{}/{}/{}",
                input.target_host.name, v.target_address.instance, v.target_address.database
            ),
        })),
        ..v
    })
}

/// What is left to do when the new installation cannot be finished.
pub(super) fn way_back(v: &PlanValues) -> String {
    format!(
        "Install Connect anew on [{}] on {} (it is what the backup held), here or on another host; or restore the backup, of which a copy is on that SQL host.",
        v.expect.database, v.target_server_name
    )
}

fn stages(input: &PlanInput, v: &PlanValues) -> (Vec<Stage>, usize) {
    let mut jobs = Jobs::new(&input.ids.jobs);
    let (source, target) = (Resource::database(v.source.id), Resource::database(v.target));
    let (host, sql): (&KnownHost, &KnownHost) = (&input.connect_host, &input.target_host);
    let mut of_move = moved(input, v, &mut jobs);
    // The old server is not looked at at the end: it is the new one.
    let verify = of_move.pop();
    let install = of_move.pop();
    let mut stages = of_move;
    if let Some(restore) = stages.last_mut().and_then(|s| s.jobs.first_mut()) {
        keep_the_copy(input, v, restore);
    }
    let read = jobs.job(
        "document-configuration",
        JobKind::Verify,
        &input.source_host,
        &source,
        &lines([
            "read what the database says of its installation: connectors, rules, features, sign-in, for the report",
        ]),
        &[],
    );
    let attest = jobs.job(
        "document-installation",
        JobKind::Verify,
        host,
        &source,
        &lines([
            "GATE: an operator attests by name that the configuration is exported to another host, and that sign-in goes on without this one",
        ]),
        &[],
    );
    stages.push(stage("document the old installation", vec![read, attest]));
    let back = beside(jobs.job(
        "verify-way-back",
        JobKind::Verify,
        sql,
        &target,
        &[
            "hash the copy of the backup on this host, and hold it against its manifest".to_string(),
            "HEADERONLY, FILELISTONLY, VERIFYONLY".to_string(),
            format!(
                "[{}] is what was restored from it: DBCC CHECKDB, GUIDs, rows, columns",
                v.expect.database
            ),
        ],
        &[],
    ));
    stages.push(stage("look at the way back once more", vec![back]));
    let stop = jobs.job(
        "stop-old-server",
        JobKind::Stop,
        host,
        &source,
        &lines([
            "it uses this database, and its wizard is closed",
            "wait until no synchronisation cycle runs",
            "Set-Service ADSync -StartupType Disabled; Stop-Service ADSync",
            "see it stopped and disabled",
        ]),
        &[format!(
            "the service ADSync on {} is stopped and disabled; a cancellation puts it back. From here on nothing is synchronized",
            host.name
        )],
    );
    stages.push(stage("stop the old installation", vec![stop]));
    let uninstall = jobs.job(
        POINT_OF_NO_RETURN,
        JobKind::Verify,
        host,
        &source,
        &[
            format!("GATE: a person uninstalls Connect on {}. POINT OF NO RETURN", host.name),
            "neither products nor the service ADSync are there any more; the old database's files are".to_string(),
        ],
        &[format!(
            "Connect is gone from {}. There is no way back but a new installation: on [{}] on {}, or on a restored backup",
            host.name, v.expect.database, v.target_server_name
        )],
    );
    stages.push(stage("uninstall (point of no return)", vec![uninstall]));
    let at = stages.len() - 1;
    stages.extend(install);
    if let Some(mut verify) = verify {
        verify.jobs.retain(|j| j.name != "verify-old-server");
        stages.push(verify);
    }
    (stages, at)
}

/// The restore works while the new database is nobody's, and leaves the backup's copy where it is.
fn keep_the_copy(input: &PlanInput, v: &PlanValues, restore: &mut PlannedJob) {
    *restore = beside(restore.clone());
    if let Some(copy) = restore.changes.first_mut() {
        *copy = format!(
            "{}; it stays there, because it is the way back",
            backup_file(v.expected_bytes, &input.target_host)
        );
    }
}

fn handover(input: &PlanInput, v: &PlanValues, stage: usize) -> PlannedHandover {
    let host = &input.connect_host.name;
    let (left, taken) = match &v.in_place {
        Some(p) => (p.left.clone(), p.taken.clone()),
        None => (input.source.lease_name.clone(), v.expect.database.clone()),
    };
    PlannedHandover {
        stage,
        resource: Resource::database(input.source.id),
        lease_name: left.clone(),
        from: Some(input.connect_host.id),
        from_name: host.clone(),
        to: input.connect_host.id,
        to_name: host.clone(),
        way: HandoverWay::Host,
        proves: format!("holder_stopped: neither Connect nor its service is on {host} any more"),
        steps: vec![
            format!("the agent on {host} saw Connect and its service gone"),
            format!(
                "{left} is nobody's, and {host} holds {taken} under its first epoch: both in one transaction, so that it never may use two"
            ),
        ],
        frees: true,
        takes: Some(Resource::database(v.target)),
    }
}

fn rollback(input: &PlanInput, v: &PlanValues) -> Vec<String> {
    let (host, db, sql) = (&input.connect_host.name, &v.expect.database, &v.target_server_name);
    vec![
        format!(
            "Until Connect is uninstalled on {host}: `syncferry cancel`. [{db}] on {sql} is dropped (only if it is provably the one that was restored), both backup files are deleted, and the service ADSync gets its start type back and is started. {host} held its lease all the time."
        ),
        format!(
            "Point of no return: Connect is uninstalled on {host}. There is no way back to the old installation: its database files stay, but no installer takes an old LocalDB over."
        ),
        format!(
            "After that, while the wizard is not completed: `syncferry cancel` takes an installer that was run away again and ends there. [{db}] on {sql} and the backups in {} on {} and {} on {} stay, and the database is nobody's. {}",
            staging(&input.source_host),
            input.source_host.name,
            staging(&input.target_host),
            input.target_host.name,
            way_back(v)
        ),
        format!(
            "With Syncferry: `syncferry plan replace-server --source {}/{}/{db} --connect-host <host>`.",
            input.target_host.name, v.target_address.instance
        ),
        format!(
            "When the wizard is completed: {host} is in staging mode on [{db}], and `syncferry plan switch-active --to {host}` makes it active again."
        ),
    ]
}
