//! Sites.

use std::collections::HashMap;

use syncferry_proto::v1::Site;

use super::table::{dim, pairs, plain};
use super::{Look, Table, at, clean, short};

fn labels(labels: &HashMap<String, String>) -> String {
    let mut sorted: Vec<String> = labels
        .iter()
        .map(|(k, v)| format!("{}={}", clean(k), clean(v)))
        .collect();
    sorted.sort();
    sorted.join(", ")
}

/// A table of sites.
pub fn sites(sites: &[Site], look: &Look) -> String {
    if sites.is_empty() {
        return "There are no sites yet. Add one: syncferry site add NAME --tenant-id ID\n".to_string();
    }
    let mut table = Table::new(&["ID", "NAME", "TENANT", "LABELS"]);
    for s in sites {
        table.row([
            dim(short(&s.id)),
            plain(&s.name),
            plain(&s.tenant_id),
            plain(labels(&s.labels)),
        ]);
    }
    table.render(look, "")
}

/// One site.
pub fn site(s: &Site, look: &Look) -> String {
    let head = format!("{} {}\n", look.heading("Site"), look.heading(&clean(&s.name)));
    head + &pairs(
        look,
        "  ",
        &[
            ("id", clean(&s.id)),
            ("tenant", clean(&s.tenant_id)),
            ("shares its export with", clean(&s.same_tenant.join(", "))),
            ("labels", labels(&s.labels)),
            ("added", at(s.created_at.as_ref(), look)),
        ],
    )
}
