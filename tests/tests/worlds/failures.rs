//! `docs/FAILURES.md`: how the lab produces each failure that is known of Connect, and by what it is foreseen or recognised. A test
//! makes it (`UPDATE_DOCS=1`), and holds that none is left out.

use std::path::Path;

use syncferry_tests::lab::host::breakdown::{At, BREAKDOWNS};

use crate::table::WORLDS;

const MOST: u8 = 31;

/// Nobody can see these, in the lab or elsewhere, before they happen.
const UNSEEN: &[(u8, &str)] = &[(
    30,
    "The service does not start after the server was renamed. It happens long after the installation; the agent of a renamed server sees its service stopped, and says so.",
)];

/// In words what each is.
const NAMES: [&str; MOST as usize] = [
    "Setup of 2.6.84 breaks off on an existing database (0xE0474352)",
    "Error 25009, ALTER DATABASE: the database is in an availability group",
    "Error 25009, mms_management_agent: the installing person has no rights on SQL Server",
    "Error 25019, DetectStoreServer: leftovers of an engine",
    "Service ADSync was not found: an engine that is installed by half",
    "The database is newer than the binaries",
    "Unable to install the Synchronization Service",
    "DetectServiceAccount: the service account is written as a UPN",
    "Error 1069: the service account may not log on",
    "Event 6028: the encryption key cannot be accessed",
    "SQL Server is out of disk space; the 10 GB of LocalDB",
    "LocalDB's model database is damaged",
    "stopped-extension-dll-exception after 1.6 on an existing database",
    "The database is empty: Connect your directories is empty",
    "Password writeback with an existing database, before 2.4.18",
    "A login only through a nested group",
    "Error 26: SQL Browser is off, or a firewall is in between",
    "The collation is case-sensitive",
    "The system locale is UTF-8 (beta)",
    "Msg 15517: the owner is not known after a restore",
    "Msg 15023: users without logins after a restore",
    "EXECUTE on mms_get_globalsettings is denied",
    "Msg 3169: the target is an older engine",
    "System.Diagnostics.DiagnosticSource is not loaded (2.5.190, 2.6.1)",
    "The tenant's synchronisation is being turned on or off",
    "An Enterprise or Domain Admin as connector account",
    "Application-based authentication cannot be configured",
    "A cycle runs: the wizard changes nothing",
    "Change Credentials does nothing outside the visible area",
    "The service does not start after a rename of the server",
    "MigrateSettings: no parameter accepts 'True'",
];

fn page() -> String {
    let mut page = String::from(
        "# What goes wrong with Connect, in the lab\n\n\
         Each failure that is known of Connect's installations, how the lab produces it, and by what Syncferry foresees or recognises it.\n\
         A *world* is planned with `cargo lab plan`; a *breakdown* is a name for `\"breakdown\"` in the new server's\n\
         [faults.json](LAB.md#faults). What each is known by: [known-failures.md](samples/known-failures.md). A test makes this page.\n\n\
         | | Failure | Produced by | Foreseen by rule | Recognised as |\n|---|---|---|---|---|\n",
    );
    for (number, name) in (1..=MOST).zip(NAMES) {
        let worlds = WORLDS
            .iter()
            .filter_map(|w| w.shows.iter().find(|(n, _)| *n == number).map(|(_, rule)| (w, *rule)));
        let breakdowns = BREAKDOWNS.iter().filter(|b| b.number == number);
        let (mut produced, mut foreseen, mut recognised) = (Vec::new(), Vec::new(), Vec::new());
        for (world, rule) in worlds {
            let scenario = if world.scenario == "move-to-full-sql" {
                String::new()
            } else {
                format!("--scenario {} ", world.scenario)
            };
            produced.push(format!("world `{scenario}{}`", world.options.join(" ")));
            foreseen.push(format!("`{rule}`"));
        }
        for b in breakdowns {
            let at = match b.at {
                At::Msi(code) => format!("msiexec ends with {code}"),
                At::Components => "on \"Install required components\"".into(),
                At::Configure => "on the last page".into(),
            };
            produced.push(format!("breakdown `{}` ({at})", b.name));
            recognised.push(format!("`{}`", b.known_as));
        }
        if let Some((_, why)) = UNSEEN.iter().find(|(n, _)| *n == number) {
            produced.push(format!("nothing: cannot be seen beforehand. {why}"));
        }
        foreseen.dedup();
        page.push_str(&format!(
            "| {number} | {name} | {} | {} | {} |\n",
            produced.join("<br>"),
            foreseen.join(", "),
            recognised.join(", ")
        ));
    }
    page
}

#[test]
fn none_of_the_known_failures_is_left_out() {
    for number in 1..=MOST {
        let by_world = WORLDS.iter().any(|w| w.shows.iter().any(|(n, _)| *n == number));
        let by_breakdown = BREAKDOWNS.iter().any(|b| b.number == number);
        let unseen = UNSEEN.iter().any(|(n, _)| *n == number);
        assert!(by_world || by_breakdown || unseen, "{number} is nowhere");
        assert!(!unseen || !(by_world || by_breakdown), "{number} is seen after all");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/FAILURES.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/FAILURES.md is not what the code makes; UPDATE_DOCS=1 writes it"
    );
}
