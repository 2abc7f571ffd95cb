//! What others left where the new server and its database are to be.

use syncferry_shared::Finding;

use crate::plan::PlanInput;

/// Databases of synchronisation engines, by the names that their installers give them.
const ENGINES: [&str; 4] = [
    "adsync",
    "fimsynchronizationservice",
    "fimservice",
    "microsoftidentityintegrationserver",
];

/// An engine that was uninstalled may have left its keys.
pub(super) fn no_engine_was_left(input: &PlanInput, out: &mut Vec<Finding>) {
    let host = &input.connect_host;
    let Some(connect) = host.inventory.as_ref().and_then(|i| i.connect.as_ref()) else {
        return;
    };
    if let (Some(p), None, true) = (&connect.parameters, &connect.service, connect.products.is_empty()) {
        out.push(
            Finding::warning("connect-leftovers", format!("A former Connect left something behind on {}", host.name))
                .saw(r"HKLM\SYSTEM\CurrentControlSet\Services\ADSync\Parameters", format!("{} {} {}", p.server, p.instance, p.database))
                .saw("products and service", "none")
                .next(r"Remove what is left of the old engine (HKLM\SYSTEM\CurrentControlSet\Services\ADSync and its folders), restart, and plan again; or take a fresh host. Setup ends with error 25019 otherwise."),
        );
    }
}

/// One synchronisation engine per instance.
pub(super) fn no_other_engine(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(t) = input.target_instance() else { return };
    let family = input.source_facts().and_then(|f| f.family_guid);
    let is_another = |name: &str| {
        let name = name.to_lowercase();
        ENGINES.iter().any(|e| name.starts_with(e)) && !name.eq_ignore_ascii_case(&input.request.target_database)
    };
    // A copy of this very database has a rule of its own.
    let others = t
        .databases
        .iter()
        .filter(|d| is_another(&d.name) && (family.is_none() || d.family_guid != family));
    for d in others {
        out.push(
            Finding::warning("target-has-another-engine", format!("{} carries another synchronisation database", t.server_name))
                .saw(format!("sys.databases on {}", t.server_name), format!("{} ({})", d.name, d.state))
                .next("Choose an instance of its own for ADSync with --target-instance. If the other database is left over and nobody uses it, drop it, or accept this."),
        );
    }
}
