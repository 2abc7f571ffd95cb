//! The evidence report in short: the whole is in its files.

use syncferry_shared::report::{BrokenReport, Report, Verified};

use super::table::{dim, pairs, plain, state};
use super::{Look, Table, Tone, clean, moment, span};

/// What `report` prints.
pub fn report(r: &Report, check: &Result<Verified, BrokenReport>, look: &Look) -> String {
    let title = format!(
        "Report of migration {} · {} · {}",
        r.migration.short(),
        r.scenario.as_str(),
        clean(&r.site.name)
    );
    let ended = r
        .ended_at
        .map(|at| format!("{} (after {})", moment(at), span(at.since(r.created_at))))
        .unwrap_or_default();
    let mut text = format!("{}\n", look.heading(&title));
    text.push_str(&pairs(
        look,
        "  ",
        &[
            ("state", look.state(r.state.as_str())),
            ("asked for by", clean(&r.created_by)),
            ("created", moment(r.created_at)),
            ("ended", ended),
            ("plan", r.plan.as_ref().map(|p| clean(&p.digest)).unwrap_or_default()),
        ],
    ));
    if !r.jobs.is_empty() {
        text.push('\n');
        text.push_str(&jobs(r, look));
    }
    text.push('\n');
    text.push_str(&verified(check, look));
    text
}

fn jobs(r: &Report, look: &Look) -> String {
    let mut table = Table::new(&[">STAGE", "JOB", "HOST", "STATE", ">TRIES", "TOOK", "PROVED"]);
    for j in &r.jobs {
        let levels = j.outcome.iter().flat_map(|o| &o.levels).map(|l| format!("{l:?}"));
        table.row([
            dim(j.stage),
            plain(&j.name),
            plain(&j.host),
            state(j.state.as_str()),
            dim(j.attempts.len()),
            dim(j.duration_ms().map(span).unwrap_or_default()),
            plain(levels.collect::<Vec<_>>().join(" ")),
        ]);
    }
    table.render(look, "  ")
}

/// What a check of a report found.
pub fn verified(check: &Result<Verified, BrokenReport>, look: &Look) -> String {
    match check {
        Ok(v) => {
            let mut lines = vec![("head", v.head.clone())];
            lines.extend(v.plan_digest.clone().map(|d| ("plan", d)));
            lines.extend(v.roots.iter().map(|r| ("artifact", clean(r))));
            let plural = if v.events == 1 { "event" } else { "events" };
            let said = format!(
                "The chain of {} {plural} is whole, and plan and artifacts are the ones it names.",
                v.events
            );
            format!(
                "{}\n{}  Compare the head with the controller's (syncferry events migration ID) or with an earlier copy:\n  \
                 whoever can rewrite a whole file can also make a new chain.\n",
                look.paint(Tone::Good, &said),
                pairs(look, "  ", &lines)
            )
        }
        Err(e) => format!(
            "{} {}\n",
            look.paint(Tone::Bad, "The report does not hold:"),
            clean(&e.to_string())
        ),
    }
}
