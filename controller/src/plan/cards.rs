//! The cards for the wizard in "use existing database" mode: one per page, with the exact values. The pages and their texts are
//! data of the catalogue; here they meet the plan.

use std::collections::BTreeMap;

use syncferry_shared::card::{Card, Field};
use syncferry_shared::catalogue::Catalogue;
use syncferry_shared::plan::PlanValues;
use syncferry_shared::wizard_page::{self, Known};

fn card(page: &str, instruction: &str, fields: Vec<Field>) -> Card {
    Card {
        page: page.to_string(),
        instruction: instruction.to_string(),
        fields,
    }
}

/// The cards of a plan: the pages that the installer's wizard shows, with what the plan knows.
pub fn wizard(v: &PlanValues) -> Vec<Card> {
    let mut values = BTreeMap::from([
        ("server", v.expect.server.clone()),
        ("database", v.expect.database.clone()),
        ("version", v.expect.version.to_string()),
    ]);
    if !v.expect.instance.is_empty() {
        values.insert("instance", v.expect.instance.clone());
    }
    if let Some(account) = &v.expect.service_account {
        values.insert("account", account.clone());
        let kind = if account.ends_with('$') {
            "gmsa"
        } else {
            "domain-account"
        };
        values.insert(kind, account.clone());
    }
    let known = Known {
        values,
        forests: v.forests.clone(),
    };
    if v.pages.is_empty() {
        // A plan from before pages were data.
        return wizard_page::cards(&Catalogue::embedded().pages(v.expect.version), &known);
    }
    wizard_page::cards(&v.pages, &known)
}

/// What is written down of an installation before it is uninstalled: what agents cannot take along.
pub fn before_it_goes(v: &PlanValues) -> Vec<Card> {
    let server = &v.connect_name;
    let done = || {
        Field::yours(
            "Done, or does not concern this site",
            "your word, by completing the gate",
        )
    };
    let mut sign_in = vec![Field::yours(
        "Where it was written down",
        "the ticket or file; on another host than this one",
    )];
    sign_in.push(done());
    vec![
        card(
            "Configuration",
            &format!(
                "On {server}: Configure > View or export current configuration > Export settings. Copy the JSON file, and those in the folder below, to another host."
            ),
            vec![Field::exact("Folder", r"C:\ProgramData\AADConnect"), done()],
        ),
        card(
            "Synchronization rules and service account",
            "Synchronization Rules Editor > Export every custom rule. Write down the service account and the AD DS account of each forest; the wizard asks for them again.",
            vec![done()],
        ),
        card(
            "Sign-in",
            &format!(
                "While Connect is away, sign-in must go on without {server}. With pass-through authentication: at least one more authentication agent runs on another host. With password hash synchronization: changed passwords arrive after the new installation is active."
            ),
            sign_in,
        ),
        card(
            "Agreement",
            "Whoever is responsible knows that nothing is synchronized from now until the new installation left staging mode, and that there is no way back but a new installation.",
            vec![done()],
        ),
    ]
}

/// What no database carries over, and no agent can see: attested before a server becomes active. A common list; which of them
/// concern a site, its operator knows.
pub fn sign_in_tasks(server: &str) -> Vec<Card> {
    let task = |page: &str, instruction: &str| {
        card(
            page,
            instruction,
            vec![Field::yours(
                "Done, or does not concern this site",
                "your word, by completing the gate",
            )],
        )
    };
    vec![
        task(
            "User sign-in",
            &format!(
                "On {server}: Configure > Change user sign-in shows the method of the active server (a database restored from a version before 1.2.65.0 shows \"Do not configure\")."
            ),
        ),
        task(
            "Pass-through authentication and Desktop Single Sign-On",
            "The method is set on this server as on the active one: otherwise both are switched off when it is promoted, and the tenant may be locked out. Password hash synchronisation is on as a way back.",
        ),
        task(
            "Password hash synchronisation and writeback",
            "Optional features show what the active server has; from 1.2.65.0 on they were taken over with the database.",
        ),
        task(
            "Federation and devices",
            "AD FS or PingFederate: sign-in goes on as it is. Where device options are on at the active server, Configure device options was run here.",
        ),
    ]
}
