//! Migrations: where they stand, job by job, and what happens next.

use syncferry_proto::v1::{Job, Migration};
use syncferry_proto::{millis, schema};
use syncferry_shared::Finding;
use syncferry_shared::outcome::{Failure, Level, Outcome};

use super::progress::job_message;
use super::table::{dim, pairs, plain, state};
use super::{Look, Table, Tone, ago, at, clean, findings, short, span, wrap};
use crate::json::level_of;

/// A table of migrations, newest first.
pub fn migrations(migrations: &[Migration], look: &Look) -> String {
    if migrations.is_empty() {
        return "There are no migrations yet. Make a plan: syncferry plan move-to-full-sql --help\n".to_string();
    }
    let mut table = Table::new(&["ID", "SITE", "SCENARIO", "STATE", "BY", "CREATED", "WAITS FOR"]);
    for m in migrations {
        let created = m
            .created_at
            .as_ref()
            .map(|t| ago(millis(t), look.now))
            .unwrap_or_default();
        table.row([
            dim(short(&m.id)),
            plain(&m.site),
            plain(&m.scenario),
            state(&m.state),
            plain(&m.created_by),
            plain(created),
            dim(&m.waiting_for),
        ]);
    }
    table.render(look, "")
}

/// One migration: its jobs, gates, what went wrong, and what to do.
pub fn status(m: &Migration, look: &Look) -> String {
    let title = format!(
        "Migration {} · {} · {}",
        short(&m.id),
        clean(&m.scenario),
        clean(&m.site)
    );
    let mut text = format!("{}\n", look.heading(&title));
    text.push_str(&pairs(
        look,
        "  ",
        &[
            ("state", look.state(&m.state)),
            ("waits for", clean(&m.waiting_for)),
            ("proven", level_of(m).map(|l| l.shown()).unwrap_or_default()),
            ("asked for by", clean(&m.created_by)),
            ("created", at(m.created_at.as_ref(), look)),
            ("changed", at(m.updated_at.as_ref(), look)),
        ],
    ));
    if !m.jobs.is_empty() {
        text.push('\n');
        text.push_str(&jobs(m, look));
    }
    text.push_str(&failures(m, look));
    for gate in &m.open_gates {
        let line = format!(
            "\n  Gate {} is {} on {}: {}\n",
            short(&gate.id),
            clean(&gate.state),
            clean(&gate.host),
            clean(&gate.title)
        );
        text.push_str(&look.paint(Tone::Warn, &line));
    }
    text.push_str(&next(m));
    text
}

fn jobs(m: &Migration, look: &Look) -> String {
    let mut table = Table::new(&[">STAGE", "JOB", "HOST", "STATE", ">TRY", "TOOK", "HOW FAR"]);
    for j in &m.jobs {
        table.row([
            dim(j.stage),
            plain(&j.name),
            plain(&j.host),
            state(&j.state),
            dim(if j.attempt == 0 {
                String::new()
            } else {
                j.attempt.to_string()
            }),
            dim(took(j, look)),
            plain(how_far(j)),
        ]);
    }
    table.render(look, "  ")
}

fn took(j: &Job, look: &Look) -> String {
    let Some(start) = j.started_at.as_ref().map(millis) else {
        return String::new();
    };
    let end = j.ended_at.as_ref().map_or(look.now, millis);
    span(end.since(start).max(0))
}

/// For a running job its progress, for one that is done what it proved, for a failed one the step.
fn how_far(j: &Job) -> String {
    match outcome(j) {
        Some(o) => levels(&o.levels),
        None => match failure(j) {
            Some(f) => format!("in step {}{}", f.step, if f.undone { ", undone" } else { "" }),
            None if matches!(j.state.as_str(), "running" | "offered" | "cancelling" | "undoing") => job_message(j),
            None => String::new(),
        },
    }
}

fn levels(levels: &[Level]) -> String {
    let names: Vec<String> = levels.iter().map(|l| format!("{l:?}")).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("proved {}", names.join(" "))
    }
}

fn outcome(j: &Job) -> Option<Outcome> {
    j.result.as_ref()?.read(schema::OUTCOME).ok()
}

fn failure(j: &Job) -> Option<Failure> {
    j.result.as_ref()?.read(schema::FAILURE).ok()
}

/// The findings of all jobs that failed and were not tried again since.
pub(crate) fn failed_findings(m: &Migration) -> Vec<Finding> {
    let failed = m
        .jobs
        .iter()
        .filter(|j| matches!(j.state.as_str(), "failed" | "unknown"));
    failed.filter_map(failure).flat_map(|f| f.findings).collect()
}

fn failures(m: &Migration, look: &Look) -> String {
    let found = failed_findings(m);
    if found.is_empty() {
        String::new()
    } else {
        format!("\n{}", findings(&found, look))
    }
}

/// The commands that make sense now.
fn next(m: &Migration) -> String {
    let id = short(&m.id);
    let commands = match m.state.as_str() {
        "planned" | "blocked" => vec![format!("syncferry plan show {id}")],
        "inspecting" | "unwinding" => vec![format!("syncferry watch {id}")],
        "running" => {
            let gates = m
                .open_gates
                .iter()
                .map(|g| format!("syncferry gate show {}", short(&g.id)));
            gates.chain([format!("syncferry watch {id}")]).collect()
        }
        "stopped" => vec![
            format!("syncferry apply {id}"),
            format!("syncferry cancel {id} --reason TEXT"),
        ],
        "stuck" => vec![
            format!("syncferry apply {id} --reason TEXT"),
            format!("syncferry cancel {id} --reason TEXT"),
        ],
        "succeeded" | "cancelled" => vec![format!("syncferry report {id} --html report.html")],
        _ => vec![],
    };
    let lines = commands.iter().map(|c| format!("  {c}\n")).collect::<String>();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

/// What `watch` says at its end.
pub fn resting(m: &Migration, look: &Look) -> String {
    let id = short(&m.id);
    let (tone, sentence) = match m.state.as_str() {
        "succeeded" => (Tone::Good, "Every job is done and verified."),
        "planned" => (Tone::Good, "The plan stands; nothing was touched."),
        "blocked" => (Tone::Bad, "The plan has blockers; nothing was touched."),
        "stopped" => (
            Tone::Bad,
            "A job failed. What it had changed was put back where that was possible.",
        ),
        "stuck" => (
            Tone::Bad,
            "What happened on a host is not known. A person must look before anything goes on.",
        ),
        "cancelled" => (Tone::Warn, "It was cancelled; what could be undone was."),
        _ if m.waiting_for.is_empty() => (Tone::Warn, "It waits for a person."),
        _ => (Tone::Warn, "It goes on when this is done:"),
    };
    let title = format!("Migration {id} is {}.", clean(&m.state));
    let mut text = format!("\n{} {sentence}\n", look.paint(tone, &title));
    if !m.waiting_for.is_empty() && !matches!(m.state.as_str(), "succeeded" | "cancelled") {
        text.push_str(&wrap(&m.waiting_for, look.width, "  ", "  "));
    }
    text.push_str(&failures(m, look));
    text.push_str(&next(m));
    text
}
