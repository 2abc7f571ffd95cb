//! The verification levels: what each proves, and who reached it.

use super::markup::{Html, table};
use super::words::moment;
use crate::outcome::Level;
use crate::report::Report;

/// What a reader must know first.
pub(super) const LEAD: &str = "How much is proven about the copy. Each level proves what it says and nothing more; together they go from the \
     bytes of the backup to Connect running on the restored database.";

const LEVELS: [(Level, &str, &str); 6] = [
    (
        Level::L0,
        "SQL Server's own checksums",
        "The pages were whole when they were read for the backup, and the backup stream is whole as it was written.",
    ),
    (
        Level::L1,
        "Hashes on both ends",
        "Every chunk and the whole file are, bit for bit, the same on the target host as on the source host.",
    ),
    (
        Level::L2,
        "RESTORE VERIFYONLY on the target",
        "The target's SQL Server can read the set from its first page to its last, with checksums.",
    ),
    (
        Level::L3,
        "Restored, and CHECKDB is clean",
        "The restored database is consistent, logically and physically.",
    ),
    (
        Level::L4,
        "Content equals the source's",
        "Rows, columns and lineage of every compared table are the same as those counted in the source.",
    ),
    (
        Level::L5,
        "Connect opens it",
        "Connect on the new server runs on this very database, in staging mode.",
    ),
];

/// The table; nothing while no job has an outcome.
pub(super) fn levels(r: &Report) -> Html {
    if r.jobs.iter().all(|j| j.outcome.is_none()) {
        return Html::new();
    }
    let row = |(level, name, proves): (Level, &'static str, &'static str)| {
        let reached: Vec<String> = r
            .jobs
            .iter()
            .filter(|j| j.outcome.as_ref().is_some_and(|o| o.levels.contains(&level)))
            .map(|j| match j.ended_at {
                Some(at) => format!("{} on {}, {}", j.name, j.host, moment(at)),
                None => format!("{} on {}", j.name, j.host),
            })
            .collect();
        let by = if reached.is_empty() {
            Html::says("span", "state", "not reached")
        } else {
            reached.iter().map(|by| Html::says("div", "reached", by)).collect()
        };
        vec![
            Html::says(
                "b",
                if reached.is_empty() { "level" } else { "level good" },
                format!("{level:?}"),
            ),
            Html::says("b", "", name).then(Html::says("div", "proves", proves)),
            by,
        ]
    };
    let standing = match &r.level {
        Some(s) if s.suffices() => Html::says("p", "reached", format!("Reached: {}.", s.shown())),
        Some(s) => Html::says("p", "broken", format!("Reached: {}.", s.shown())),
        None => Html::new(),
    };
    let all = table("levels", &["Level", "What it proves", "Reached by"], LEVELS.map(row));
    standing.then(all)
}
