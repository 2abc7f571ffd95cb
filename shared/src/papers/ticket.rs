//! The text of a change: what, why, risk, way back, and which alerts are to be expected.

use super::estimate::{Line, estimate, full_is_expected, span, sum};
use super::input::PaperInput;
use super::{Block, heading, list, para, table};
use crate::finding::{Severity, bytes};

pub(super) fn paper(input: &PaperInput) -> (String, String, Vec<Block>) {
    let blocks = vec![
        heading("What"),
        para(what(input)),
        list(changes(input)),
        heading("Why"),
        para(why(input)),
        heading("When and how long"),
        times(input),
        heading("Risk"),
        list(risks(input)),
        heading("Way back"),
        list(way_back(input)),
        heading("Alerts to expect"),
        table(["Where", "What", "Why"], alerts(input)),
        heading("Done when"),
        list(done_when(input)),
    ];
    (
        format!("Change: {} for {}", input.scenario.as_str(), input.site),
        format!("Migration {} of Syncferry.", input.migration),
        blocks,
    )
}

fn what(input: &PaperInput) -> String {
    let (db, source) = (&input.source.2, input.name(input.source.0));
    match input.scenario.as_str() {
        "move-to-full-sql" => format!(
            "The ADSync database {db} on {source} is copied to {} and a new Connect server, {}, is installed on the copy, in staging mode. The old server stays active on its own database throughout.",
            input.target_host_name(),
            input.connect_name()
        ),
        "replace-server" => format!(
            "The Connect server of the ADSync database {db} on {source} is replaced by {}, which is installed on that very database, in staging mode.",
            input.connect_name()
        ),
        other => format!("The scenario {other} is run for the ADSync database {db} on {source}."),
    }
}

fn why(input: &PaperInput) -> String {
    match input.scenario.as_str() {
        "move-to-full-sql" => "LocalDB ends at 10 GB and about 100,000 objects; then synchronisation stops. Full SQL Server does not, and it is in regular backup.".to_string(),
        "replace-server" => "The Connect server is gone or is to be retired; its database holds the configuration and the state that the new one goes on from.".to_string(),
        _ => "See the plan.".to_string(),
    }
}

fn changes(input: &PaperInput) -> Vec<String> {
    let of = |job: &crate::plan::PlannedJob| {
        let host = job.host_name.clone();
        job.changes
            .iter()
            .map(move |c| format!("{host}: {c}"))
            .collect::<Vec<_>>()
    };
    let all: Vec<String> = input.plan.jobs().flat_map(of).collect();
    if all.is_empty() {
        vec!["Nothing is changed as long as the plan is blocked.".to_string()]
    } else {
        all
    }
}

fn times(input: &PaperInput) -> Block {
    let e = estimate(input);
    let row = |what: &str, lines: &[Line]| [what.to_string(), span(&sum(lines))];
    let mut rows = vec![row("machines", &e.machines)];
    if !e.people.is_empty() {
        rows.push(row("people at the wizard", &e.people));
    }
    rows.push(row("Connect afterwards, in staging mode", &e.afterwards));
    rows.push([
        "users notice".to_string(),
        "nothing: sign-in and synchronisation go on with the active server".to_string(),
    ]);
    table(["What", "How long"], rows)
}

fn risks(input: &PaperInput) -> Vec<String> {
    let mut risks: Vec<String> = input
        .plan
        .findings
        .iter()
        .filter(|f| f.severity != Severity::Note)
        .map(|f| format!("{} ({}): {}", f.title, f.severity.as_str(), f.next_step))
        .collect();
    risks.push(format!(
        "The backup ({} at most) carries credentials in encrypted form: the folder is closed to others, and the file is {}.",
        bytes(input.bytes()),
        if input.stays() { "kept as the way back" } else { "deleted at the end" }
    ));
    risks.push("Two servers that export undo each other's changes: the new one starts in staging mode, and one lease per database is held.".to_string());
    if full_is_expected(input) {
        risks.push(
            "A full import and synchronisation follows; the new server must not leave staging mode before it ends."
                .to_string(),
        );
    }
    risks
}

fn way_back(input: &PaperInput) -> Vec<String> {
    if input.plan.rollback.is_empty() {
        vec!["Nothing was changed: cancel the plan.".to_string()]
    } else {
        input.plan.rollback.clone()
    }
}

fn alerts(input: &PaperInput) -> Vec<[String; 3]> {
    let row = |w: &str, what: &str, why: &str| [w.to_string(), what.to_string(), why.to_string()];
    let (source, target, new) = (
        input.name(input.source.0),
        input.target_host_name(),
        input.connect_name(),
    );
    let mut rows = vec![
        row(
            &source,
            "SQL Server event 18264 (backed up); 3041 if the backup is cancelled or fails",
            "the backup, COPY_ONLY",
        ),
        row(
            &source,
            "audits of SELECT on mms_management_agent, mms_server_configuration, mms_synchronization_rule",
            "Syncferry reads the configuration; columns with credentials are never read",
        ),
    ];
    if !input.stays() {
        rows.push(row(
            &target,
            "SQL Server event 18267 (restored), a new database",
            "the restore",
        ));
    } else {
        rows.push(row(
            &source,
            "a database that is restored for a test and dropped",
            "the test restore",
        ));
        rows.push(row(
            "the old server",
            "Service Control Manager 7036 and 7040: ADSync stopped, disabled",
            "it must not run when the new one does; Defender for Identity may tell of it too",
        ));
    }
    rows.push(row(
        &new,
        "MsiInstaller 1033/11707, a new service ADSync, event 2005 when it starts",
        "Connect is installed",
    ));
    rows.push(row(
        "Entra ID",
        "a new application ConnectSyncProvisioning_… (or user Sync_…), sign-ins of the administrator",
        "the new server's own identity",
    ));
    rows.push(row(
        "Connect Health",
        "a new server; the other one keeps telling until it is removed",
        "two servers, one in staging mode",
    ));
    rows
}

fn done_when(input: &PaperInput) -> Vec<String> {
    let mut done = Vec::new();
    if let Some(level) = input.scenario.required_level() {
        done.push(format!("verification level {level:?} is reached: {}", level.proves()));
    }
    done.push(format!(
        "`syncferry report {}` holds, and is attached to this change",
        input.migration
    ));
    done.push(format!(
        "`syncferry checklist show {}` has nothing open that matters before the server leaves staging mode",
        input.migration
    ));
    done
}
