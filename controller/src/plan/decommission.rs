//! `decommission`: a server that was replaced is retired. It is proven not to be the active one → its service is stopped and
//! disabled → its lease becomes free with that proof → a person uninstalls Connect, and the agent sees it gone → its database is
//! retired in Syncferry. What it leaves in the directory and on its SQL Server is named, and stays.

use syncferry_shared::ConnectVersion;
use syncferry_shared::Finding;
use syncferry_shared::lease::Resource;
use syncferry_shared::plan::{HandoverWay, Plan, PlanValues, PlannedHandover, Stage};
use syncferry_shared::spec::{DatabaseIdentity, ExpectedConnect, JobKind};

use super::common::{self, Jobs, beside, lines, stage};
use super::replace_server::old_service;
use super::{KnownHost, PlanInput, rules};

/// Makes the plan.
pub fn plan(input: &PlanInput) -> Plan {
    let mut findings = rules::decommission(input);
    let blocked = findings.iter().any(Finding::blocks);
    let values = if blocked { None } else { values(input) };
    if values.is_none() && !blocked {
        findings.insert(0, incomplete(input));
    }
    let (stages, handover) = match (&values, &input.holder) {
        (Some(v), Some(old)) => {
            let (stages, at) = stages(input, v, old);
            (stages, Some(handover(input, old, at)))
        }
        _ => (vec![], None),
    };
    let rollback = handover.as_ref().map(rollback).unwrap_or_default();
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

fn incomplete(input: &PlanInput) -> Finding {
    common::incomplete(&[(&input.source_host, &[("server", input.holder.is_some())])])
}

fn values(input: &PlanInput) -> Option<PlanValues> {
    let old = input.holder.as_ref()?;
    let facts = input.source_facts();
    let source = DatabaseIdentity {
        id: input.source.id,
        address: input.source.address.clone(),
        server_name: facts.map_or(input.source.server_name.clone(), |f| f.server_name.clone()),
        database_guid: facts.and_then(|f| f.database_guid).or(input.source.database_guid)?,
        family_guid: facts.and_then(|f| f.family_guid).or(input.source.family_guid)?,
    };
    Some(PlanValues {
        source_host: input.source_host.id,
        source_holder: Some(old.id),
        source_holder_name: Some(old.computer_name().to_string()),
        connect_on_source: false,
        source_staging: None,
        source_scheduler: None,
        connect_version: None,
        compression: false,
        expected_bytes: 0,
        artifact: input.ids.artifact,
        target: input.source.id,
        target_address: input.source.address.clone(),
        target_server_name: source.server_name.clone(),
        temporary_name: String::new(),
        connect_name: old.computer_name().to_string(),
        installer_hash: String::new(),
        product_code: String::new(),
        expect: ExpectedConnect {
            server: source.server_name.clone(),
            instance: String::new(),
            database: source.address.database.clone(),
            service_account: None,
            version: ConnectVersion([0, 0, 0, 0]),
        },
        forests: vec![],
        test: None,
        old_service: old_service(input),
        backup: None,
        in_place: None,
        source,
        pages: vec![],
    })
}

/// What is left over elsewhere when Connect is uninstalled.
pub(crate) fn leftovers(input: &PlanInput, old: &KnownHost) -> Vec<String> {
    let name = old.computer_name();
    let account = old
        .inventory
        .as_ref()
        .and_then(|i| i.connect.as_ref()?.service.as_ref())
        .map(|s| s.account.clone());
    let mut left = vec![format!(
        "Entra ID: the application ConnectSyncProvisioning_{name}_… or the user Sync_{name}_…; it can sign in until it is removed"
    )];
    left.push(
        "Active Directory: the AD DS connector account (MSOL_… where the wizard made it), unless another server uses it"
            .to_string(),
    );
    if let Some(account) = account {
        left.push(format!(
            "Active Directory and SQL Server: the service account {account}, its login and its rights"
        ));
    }
    left.push(format!(
        "SQL Server: the database {}; it carries credentials. Keep a backup as long as you may need it, then drop it",
        input.source.lease_name
    ));
    left
}

fn stages(input: &PlanInput, v: &PlanValues, old: &KnownHost) -> (Vec<Stage>, usize) {
    let mut jobs = Jobs::new(&input.ids.jobs);
    let resource = Resource::database(v.source.id);
    let verify = jobs.job(
        "verify-not-active",
        JobKind::Verify,
        old,
        &resource,
        &lines(["Get-ADSyncScheduler: StagingModeEnabled is True, or the service is stopped and disabled"]),
        &[],
    );
    let stop = jobs.job(
        "stop-old-server",
        JobKind::Stop,
        old,
        &resource,
        &lines([
            "it uses this database, and its wizard is closed",
            "wait until no synchronisation cycle runs",
            "Set-Service ADSync -StartupType Disabled; Stop-Service ADSync",
            "see it stopped and disabled",
        ]),
        &[format!(
            "the service ADSync on {} is stopped and disabled; a cancellation puts it back",
            old.name
        )],
    );
    let mut stages = vec![
        stage("it is not the active server", vec![verify]),
        stage("stop it", vec![stop]),
    ];
    let at = stages.len() - 1;
    let uninstall = beside(jobs.job(
        "uninstall",
        JobKind::Verify,
        old,
        &resource,
        &[
            format!("GATE: a person uninstalls Connect on {}", old.name),
            "neither products nor the service ADSync are there any more".to_string(),
        ],
        &[format!(
            "Connect is gone from {}; its database is retired in Syncferry and stays on its SQL Server",
            old.name
        )],
    ));
    stages.push(stage("uninstall", vec![uninstall]));
    (stages, at)
}

fn handover(input: &PlanInput, old: &KnownHost, stage: usize) -> PlannedHandover {
    let lease = &input.source.lease_name;
    PlannedHandover {
        stage,
        resource: Resource::database(input.source.id),
        lease_name: lease.clone(),
        from: Some(old.id),
        from_name: old.name.clone(),
        to: old.id,
        to_name: "nobody".to_string(),
        way: HandoverWay::Host,
        proves: format!("holder_stopped: {} cannot start by itself", old.name),
        steps: vec![
            format!("the agent on {} saw the service ADSync stopped and disabled", old.name),
            format!("{lease} is nobody's: every token of {} is void", old.name),
        ],
        frees: true,
        takes: None,
    }
}

fn rollback(h: &PlannedHandover) -> Vec<String> {
    vec![
        format!(
            "Until Connect is uninstalled: `syncferry cancel`. {} holds its lease again, and its service gets its start type back and is started.",
            h.from_name
        ),
        format!(
            "Point of no return: Connect is uninstalled on {}. To have a server there again, install it anew on the database that is still there: `syncferry plan replace-server`.",
            h.from_name
        ),
    ]
}
