//! The report as one self-contained page: no scripts, nothing loaded from elsewhere, printable. One file per section.

mod aftercare;
mod chain;
mod findings;
mod gates;
mod jobs;
mod leases;
mod levels;
pub(crate) mod markup;
mod moved;
mod timeline;
mod unseen;
mod verdict;
mod words;

use super::Report;
use markup::{Html, code, pairs, section};
use words::moment;

pub(crate) const STYLE: &str = include_str!("style.css");

/// Nothing may be loaded or run, whatever slips in.
pub(crate) const HEAD: &str = "<meta charset=\"utf-8\">\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
<meta name=\"color-scheme\" content=\"light\">";

/// The page. It checks the report and says what it found.
pub fn html(report: &Report) -> String {
    let check = report.verify();
    let head = Html::raw(HEAD)
        .then(Html::says("title", "", title(report)))
        .then(Html::el("style", "", Html::raw(STYLE)));
    let body = Html::el("header", "", header(report))
        .then(verdict::verdict(report, &check))
        .then(section("What was moved where", "", moved::moved(report)))
        .then(section(
            "Timeline",
            "All times are UTC, by the controller's clock.",
            timeline::timeline(report),
        ))
        .then(section("Findings", findings::LEAD, findings::findings(report)))
        .then(section("Verification", levels::LEAD, levels::levels(report)))
        .then(section("After-care", aftercare::LEAD, aftercare::aftercare(report)))
        .then(section("Jobs and steps", "", jobs::jobs(report)))
        .then(section("Gates", gates::LEAD, gates::gates(report)))
        .then(section("Leases", leases::LEAD, leases::leases(report)))
        .then(section("Chain of events", chain::LEAD, chain::chain(report, &check)))
        .then(Html::el("footer", "", footer(report)))
        .then(Html::carrier(report));
    let page = Html::raw("<!doctype html>\n<html lang=\"en\">")
        .then(Html::el("head", "", head))
        .then(Html::el("body", "", Html::el("main", "", body)))
        .then(Html::raw("</html>\n"));
    page.into_string()
}

fn title(r: &Report) -> String {
    format!("Evidence report {} – {}", r.migration.short(), r.site.name)
}

fn header(r: &Report) -> Html {
    let facts = pairs([
        ("Scenario", Html::text(r.scenario.as_str())),
        ("Migration", code(r.migration.to_string())),
        ("Entra tenant", code(&r.site.tenant_id)),
        ("Asked for by", Html::text(&r.created_by)),
        ("Asked for at", Html::text(moment(r.created_at))),
        ("Ended at", Html::text(r.ended_at.map(moment).unwrap_or_default())),
    ]);
    Html::says("p", "kind", "Evidence report")
        .then(Html::says("h1", "", &r.site.name))
        .then(facts)
}

fn footer(r: &Report) -> Html {
    let made = format!("Made {} UTC by Syncferry {}. ", moment(r.made_at), r.syncferry_version);
    Html::text(made)
        .then(Html::text(
            "This page carries its report, and can be checked without a controller, as can the report as JSON: ",
        ))
        .then(code("syncferry report verify FILE"))
}
