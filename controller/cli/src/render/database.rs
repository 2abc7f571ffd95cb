//! Databases.

use syncferry_proto::schema;
use syncferry_proto::v1::Database;

use super::host::{fact_lines, facts};
use super::table::{dim, pairs, plain, state};
use super::{Look, Table, at, clean, short};

/// Facts that the database's own fields say already.
const SHOWN_ABOVE: [&str; 5] = ["name", "instance", "server_name", "database_guid", "family_guid"];

/// A table of databases.
pub fn databases(databases: &[Database], look: &Look) -> String {
    if databases.is_empty() {
        return "There are no databases yet. Register one: syncferry database add ADSync --site SITE --host HOST --instance NAME\n"
            .to_string();
    }
    let mut table = Table::new(&["ID", "SITE", "SERVER", "NAME", "THROUGH", "IDENTITY", "LINEAGE"]);
    for d in databases {
        table.row([
            dim(short(&d.id)),
            plain(&d.site),
            plain(&d.server_name),
            plain(&d.name),
            plain(format!("{} / {}", d.host, d.instance)),
            state(&d.identity_state),
            dim(short(&d.family_guid)),
        ]);
    }
    table.render(look, "")
}

/// One database, with what was found in it.
pub fn database(d: &Database, look: &Look) -> String {
    let title = clean(&format!("{} on {}", d.name, d.server_name));
    let mut text = format!("{} {}\n", look.heading("Database"), look.heading(&title));
    text.push_str(&pairs(
        look,
        "  ",
        &[
            ("id", clean(&d.id)),
            ("site", clean(&d.site)),
            (
                "through",
                clean(&format!("the agent on {}, instance {}", d.host, d.instance)),
            ),
            ("identity", look.state(&d.identity_state)),
            ("database guid", clean(&d.database_guid)),
            ("family guid", clean(&d.family_guid)),
            ("lease", clean(&d.resource)),
            ("seen", at(d.seen_at.as_ref(), look)),
        ],
    ));
    let facts = facts(d.facts.as_ref(), schema::DATABASE_FACTS, &SHOWN_ABOVE);
    if !facts.is_empty() {
        text.push_str(&format!("\n  {}\n", look.heading("What was found")));
        text.push_str(&fact_lines(&facts, look));
    }
    text
}
