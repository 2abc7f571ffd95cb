//! What was moved where: source, backup, restored database and the server that uses it, each by what it is known by.

use super::markup::{Html, code, pairs};
use super::words::{bytes, grouped, moment, state};
use crate::artifact::Counts;
use crate::outcome::SeenConnect;
use crate::plan::{Plan, PlanValues};
use crate::report::{Report, ReportLease, ReportOutcome, ReportPlan};

/// The four places, as far as the migration came.
pub(super) fn moved(r: &Report) -> Html {
    let plan = r.plan.as_ref().and_then(ReportPlan::plan);
    let values = plan.as_ref().and_then(|p| p.values.as_ref());
    let places = [
        values.map(|v| place("Source", source(v))),
        values.map(|v| place("Backup", backup(r, v))),
        plan.as_ref().map(|p| place("Target", target(r, p))),
        values.map(|v| place("Connect", connect(r, v))),
    ];
    let places: Html = places.into_iter().flatten().collect();
    if places.is_empty() {
        return places;
    }
    Html::el("div", "places", places).then(counts(r))
}

fn place(name: &'static str, inner: Html) -> Html {
    Html::el("div", "place", Html::says("h3", "", name).then(inner))
}

/// The last outcome that has something.
fn last<'a, T>(r: &'a Report, of: impl Fn(&'a ReportOutcome) -> Option<T>) -> Option<T> {
    r.jobs.iter().filter_map(|j| of(j.outcome.as_ref()?)).last()
}

fn source(v: &PlanValues) -> Html {
    pairs([
        ("Server", code(&v.source.server_name)),
        ("Database", code(&v.source.address.database)),
        ("Database GUID", code(v.source.database_guid.to_string())),
        ("Family GUID", code(v.source.family_guid.to_string())),
        (
            "Connect server",
            Html::text(v.source_holder_name.as_deref().unwrap_or_default()),
        ),
        (
            "Connect version",
            Html::text(v.connect_version.map(|v| v.to_string()).unwrap_or_default()),
        ),
    ])
}

fn backup(r: &Report, v: &PlanValues) -> Html {
    let Some(m) = last(r, |o| o.manifest.as_ref()) else {
        return Html::says("p", "none", "None was made.");
    };
    let family = code(m.family_guid.to_string()).then(same(m.family_guid == v.source.family_guid));
    pairs([
        ("Taken at", Html::text(moment(m.taken_at))),
        ("Size", Html::text(format!("{} in {} chunks", bytes(m.size), m.chunks))),
        ("Backup set GUID", code(m.backup_set_guid.to_string())),
        ("Family GUID", family),
        ("Last LSN", code(&m.last_lsn)),
        ("BLAKE3 of the file", code(&m.root)),
    ])
}

fn target(r: &Report, p: &Plan) -> Html {
    let Some(to) = last(r, |o| o.restored.as_ref()) else {
        return Html::says("p", "none", "Nothing was restored.");
    };
    let of_source = p
        .values
        .as_ref()
        .is_some_and(|v| v.source.family_guid == to.family_guid);
    let guid = |g: Option<uuid::Uuid>| code(g.map(|g| g.to_string()).unwrap_or_default());
    pairs([
        ("Server", code(&to.server_name)),
        ("Database", code(&to.database)),
        ("Database GUID", code(to.database_guid.to_string())),
        ("Family GUID", code(to.family_guid.to_string()).then(same(of_source))),
        ("Recovery fork", guid(to.recovery_fork_guid)),
        ("Service broker", guid(to.service_broker_guid)),
    ])
}

fn same(is: bool) -> Html {
    if is {
        Html::says("span", "same", "the source's")
    } else {
        Html::says("span", "other", "not the source's")
    }
}

fn connect(r: &Report, v: &PlanValues) -> Html {
    let Some(seen) = last(r, |o| o.connect.as_ref()) else {
        return Html::says("p", "none", "It was not seen on the new server.");
    };
    let SeenConnect {
        parameters,
        service_account,
        version,
        staging_mode,
    } = seen;
    let seat: Option<&ReportLease> = r.leases.iter().find(|l| l.resource.database_id() == Some(v.target));
    let lease = seat.map(|l| state(l.after.state.as_str()).then(Html::text(format!(" at epoch {}", l.after.epoch))));
    let server = [parameters.server.as_str(), parameters.instance.as_str()];
    pairs([
        ("New server", Html::text(&v.connect_name)),
        ("Version", Html::text(version)),
        (
            "Uses",
            code(
                server
                    .into_iter()
                    .filter(|s| !s.is_empty())
                    .collect::<Vec<_>>()
                    .join("\\"),
            ),
        ),
        ("Database", code(&parameters.database)),
        ("Service account", code(service_account)),
        (
            "Staging mode",
            Html::text(if *staging_mode { "on: it exports nothing" } else { "OFF" }),
        ),
        ("Lease", lease.unwrap_or_default()),
    ])
}

/// What was counted before and after.
fn counts(r: &Report) -> Html {
    let counted: Vec<(&str, &Counts)> = r
        .jobs
        .iter()
        .filter_map(|j| Some((j.name.as_str(), j.outcome.as_ref()?.counts.as_ref()?)))
        .collect();
    let row = |(job, c): &(&str, &Counts)| {
        vec![
            Html::text(job),
            Html::text(grouped(c.rows.values().sum())),
            Html::text(c.rows.len().to_string()),
            Html::text(c.rules.map(grouped).unwrap_or_default()),
            Html::text(c.connectors.join(", ")),
            code(c.schema_digest.chars().take(16).collect::<String>()),
        ]
    };
    if counted.is_empty() {
        return Html::new();
    }
    let headings = ["Counted by", "Rows", "Tables", "Rules", "Connectors", "Schema"];
    super::markup::table("counts", &headings, counted.iter().map(row))
}
