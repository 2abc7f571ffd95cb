//! `switch-active`: the pending exports are reviewed and approved, the sign-in tasks are closed → the old server goes into staging
//! mode (seen) → the tenant's export lease changes hands → the new one comes out of it (seen) → verify.
//!
//! Turning staging mode on and off is a person's: the wizard asks for a sign-in. Between the two nobody exports, and only the
//! holder of the export lease under its new epoch gets the second gate.

use syncferry_shared::Finding;
use syncferry_shared::lease::Resource;
use syncferry_shared::plan::{HandoverWay, Plan, PlanValues, PlannedHandover, Stage};
use syncferry_shared::spec::{DatabaseIdentity, ExpectedConnect, JobKind};
use syncferry_shared::{ConnectVersion, HostId};

use super::common::{self, Jobs, beside, lines, stage};
use super::replace_server::{attest, command};
use super::{KnownExport, KnownHost, PlanInput, rules};

/// The job that takes the new server out of staging mode.
pub(crate) const NEW_OUT: &str = "new-out-of-staging";

/// Makes the plan.
pub fn plan(input: &PlanInput) -> Plan {
    let mut findings = rules::switch_active(input);
    let blocked = findings.iter().any(Finding::blocks);
    let values = if blocked { None } else { values(input) };
    if values.is_none() && !blocked {
        findings.insert(0, incomplete(input));
    }
    let (stages, handover) = match (&values, &input.export) {
        (Some(v), Some(export)) => {
            let (stages, at) = stages(input, v, export);
            // Whoever holds the export already takes it from nobody.
            (stages, (!holds_it(input)).then(|| handover(input, export, at)))
        }
        _ => (vec![], None),
    };
    let rollback = match (&handover, &values) {
        (Some(h), _) => rollback(h),
        (None, Some(_)) => vec![
            format!(
                "Until {} is out of staging mode: `syncferry cancel`. Nothing was changed; nobody exports.",
                input.connect_host.name
            ),
            format!(
                "Point of no return for Syncferry: {} is out of staging mode and exports. To stop it again, put it into staging mode in the wizard.",
                input.connect_host.name
            ),
        ],
        (None, None) => vec![],
    };
    let staging = input
        .staging_facts()
        .zip(input.staging.as_ref())
        .and_then(|(facts, known)| {
            Some(DatabaseIdentity {
                id: known.id,
                address: known.address.clone(),
                server_name: facts.server_name.clone(),
                database_guid: facts.database_guid?,
                family_guid: facts.family_guid?,
            })
        });
    Plan {
        staging,
        request: Some(input.request.clone()),
        stages,
        findings,
        rollback,
        values,
        handover,
        ..Plan::nothing(input.ids.migration)
    }
}

fn incomplete(input: &PlanInput) -> Finding {
    common::incomplete(&[
        (
            &input.source_host,
            &[("active database", input.source_facts().is_some())],
        ),
        (
            &input.target_host,
            &[("staging database", input.staging_facts().is_some())],
        ),
    ])
}

/// Whether the server holds the export already: it was active before it was installed anew on its own host.
fn holds_it(input: &PlanInput) -> bool {
    input
        .export
        .as_ref()
        .is_some_and(|e| e.lease.holder == Some(input.connect_host.id))
}

/// Whether the old server is there to be asked.
pub(super) fn old_is_there(input: &PlanInput) -> bool {
    input.way() == HandoverWay::Host
}

fn values(input: &PlanInput) -> Option<PlanValues> {
    let staging = input.staging.as_ref()?;
    let facts = input.staging_facts()?;
    let adsync = facts.adsync.as_ref()?;
    let old = input.holder.as_ref();
    let old_id: Option<HostId> = old.map(|h| h.id);
    // Where the old server is gone, its database may be as well: then it is known only by its registration.
    let known = if input.request.knows_source() {
        &input.source
    } else {
        staging
    };
    let source = DatabaseIdentity {
        id: known.id,
        address: known.address.clone(),
        server_name: input
            .source_facts()
            .map_or(known.server_name.clone(), |f| f.server_name.clone()),
        database_guid: input
            .source_facts()
            .and_then(|f| f.database_guid)
            .or(known.database_guid)?,
        family_guid: input.source_facts().and_then(|f| f.family_guid).or(known.family_guid)?,
    };
    Some(PlanValues {
        source,
        source_host: input.source_host.id,
        source_holder: old_id,
        source_holder_name: old.map(|h| h.computer_name().to_string()),
        connect_on_source: false,
        source_staging: Some(false),
        source_scheduler: None,
        connect_version: adsync.connect_version,
        compression: false,
        expected_bytes: 0,
        artifact: input.ids.artifact,
        target: staging.id,
        target_address: staging.address.clone(),
        target_server_name: facts.server_name.clone(),
        temporary_name: String::new(),
        connect_name: input.connect_host.computer_name().to_string(),
        installer_hash: String::new(),
        product_code: String::new(),
        expect: ExpectedConnect {
            server: facts.server_name.clone(),
            instance: String::new(),
            database: staging.address.database.clone(),
            service_account: None,
            version: adsync.connect_version.unwrap_or(ConnectVersion([0, 0, 0, 0])),
        },
        // What people sign in with decides which tasks there are.
        forests: adsync.forests.clone(),
        test: None,
        old_service: None,
        backup: None,
        pages: vec![],
        in_place: None,
    })
}

fn stages(input: &PlanInput, v: &PlanValues, export: &KnownExport) -> (Vec<Stage>, usize) {
    let mut jobs = Jobs::new(&input.ids.jobs);
    let new: &KnownHost = &input.connect_host;
    let (active, staging) = (Resource::database(v.source.id), Resource::database(v.target));
    let mut stages = Vec::new();
    let old = input.old_server().filter(|_| old_is_there(input));
    // One that was put out with its SQL Server has no database any more that could be compared.
    if old.is_some() && input.request.knows_source() {
        let look = beside(jobs.job(
            "look-at-active",
            JobKind::Verify,
            &input.source_host,
            &active,
            &lines(["read what the active server's database says of itself"]),
            &[],
        ));
        stages.push(stage("look at the active server", vec![look]));
    }
    let list = jobs.job(
        "list-exports",
        JobKind::Verify,
        new,
        &staging,
        &lines([
            "csexport for each connector: what would be exported, by operation and attribute; no value is kept",
            "what cannot be listed is unknown: it fails nothing",
        ]),
        &[],
    );
    stages.push(stage("list what the new server would export", vec![list]));
    let review = jobs.job(
        "review-exports",
        JobKind::Verify,
        &input.target_host,
        &staging,
        &[
            format!(
                "initial synchronisation of {} is done, and no run is in progress",
                new.name
            ),
            "hold its configuration against the active server's".to_string(),
            "count pending exports: adds, updates, deletes, per connector and attribute; the deletion threshold"
                .to_string(),
            "GATE: an operator approves them by name; what is approved is what was shown".to_string(),
        ],
        &[],
    );
    let tasks = jobs.job(
        "close-sign-in-tasks",
        JobKind::Verify,
        new,
        &staging,
        &lines([
            "what is not carried over by the database: sign-in method, federation, pass-through agents, device options",
            "GATE: an operator attests by name that they are done",
        ]),
        &[],
    );
    stages.push(stage("review", vec![review, tasks]));
    if let Some(old) = old {
        let into = beside(jobs.job(
            "old-into-staging",
            JobKind::Verify,
            old,
            &active,
            &[
                format!("GATE: a person puts {} into staging mode", old.name),
                "Get-ADSyncScheduler: StagingModeEnabled is True, and no cycle runs".to_string(),
            ],
            &[format!("{} stops exporting; from here on nobody exports", old.name)],
        ));
        stages.push(stage("old server into staging mode", vec![into]));
    } else if !holds_it(input) {
        stages.push(stage("old server is proven out", vec![]));
    }
    let at = stages.len() - 1;
    let out = jobs.job(
        NEW_OUT,
        JobKind::Verify,
        new,
        &export.lease.resource,
        &[
            format!("GATE: a person takes {} out of staging mode", new.name),
            "Get-ADSyncScheduler: StagingModeEnabled is False".to_string(),
        ],
        &[format!("{} exports from its next cycle on", new.name)],
    );
    stages.push(stage("new server out of staging mode", vec![out]));
    let mut last = vec![jobs.job(
        "verify-active",
        JobKind::Verify,
        new,
        &export.lease.resource,
        &lines(["Get-ADSyncScheduler: StagingModeEnabled is still False"]),
        &[],
    )];
    if let Some(old) = old {
        last.push(beside(jobs.job(
            "verify-old-in-staging",
            JobKind::Verify,
            old,
            &active,
            &lines(["Get-ADSyncScheduler: StagingModeEnabled is still True"]),
            &[],
        )));
    }
    stages.push(stage("verify", last));
    (stages, at)
}

fn handover(input: &PlanInput, export: &KnownExport, stage: usize) -> PlannedHandover {
    let (way, lease) = (input.way(), &export.name);
    let from = input.holder.as_ref();
    let from_name = from.map_or("nobody", |h| h.name.as_str()).to_string();
    let to = &input.connect_host.name;
    let mut steps = match way {
        HandoverWay::Host => vec![format!(
            "the agent on {from_name} saw staging mode on (or the service ADSync stopped and disabled)"
        )],
        HandoverWay::Attested => vec![
            format!("wait until {lease} is free with a proof"),
            command(way, lease, &from_name),
            format!("another operator, within 15 minutes: {}", attest(lease, &from_name)),
        ],
        _ => vec![
            format!("wait until {lease} is free with a proof"),
            command(way, lease, &from_name),
        ],
    };
    steps.push(format!(
        "{to} holds {lease} under a new epoch; every token of {from_name} is void, and only now is its gate opened"
    ));
    let proves = match way {
        HandoverWay::Host => {
            format!("holder_stopped: {from_name} does not export. Not that nobody turns it back: the watch tells then")
        }
        HandoverWay::PowerOff => format!(
            "power_off: {from_name} was off when it was looked at. Not that nobody switches it on again: the watch tells then"
        ),
        _ => format!(
            "operator_attested: two people said that {from_name} does not export any more. It shows nothing by itself, is the weakest, and raises an alarm"
        ),
    };
    PlannedHandover {
        stage,
        resource: export.lease.resource.clone(),
        lease_name: lease.clone(),
        from: from.map(|h| h.id),
        from_name,
        to: input.connect_host.id,
        to_name: to.clone(),
        way,
        proves,
        steps,
        frees: false,
        takes: None,
    }
}

fn rollback(h: &PlannedHandover) -> Vec<String> {
    let (old, new) = (&h.from_name, &h.to_name);
    vec![
        format!("Until {old} is in staging mode: `syncferry cancel`. Nothing was changed; {old} exports as before."),
        format!(
            "After that, until {} has changed hands: `syncferry cancel`, and a person takes {old} out of staging mode again (Configure staging mode). It held the lease all the time.",
            h.lease_name
        ),
        format!(
            "Point of no return for Syncferry: {} is {new}'s. `syncferry cancel` refuses. Finish, or go back the same way: `syncferry plan switch-active --to {old}` while {old} is in staging mode and its database up to date.",
            h.lease_name
        ),
    ]
}
