//! The cards for the wizard in "use existing database" mode: one per page, with the exact values.
//!
//! The pages and their fields are those of Microsoft's page about the method and of its custom installation page.

use syncferry_shared::card::{Card, Field};
use syncferry_shared::plan::PlanValues;

fn card(page: &str, instruction: &str, fields: Vec<Field>) -> Card {
    Card {
        page: page.to_string(),
        instruction: instruction.to_string(),
        fields,
    }
}

/// The cards of a plan.
pub fn wizard(v: &PlanValues) -> Vec<Card> {
    let mut components = vec![Field::exact("SQL Server name", &v.expect.server)];
    if !v.expect.instance.is_empty() {
        components.push(Field::exact("SQL instance name", &v.expect.instance));
    }
    components.push(Field::exact("Database name", &v.expect.database));
    match &v.expect.service_account {
        Some(account) if account.ends_with('$') => {
            components.push(Field::exact("Managed Service Account", account));
        }
        Some(account) => {
            components.push(Field::exact("Domain account", account));
            components.push(Field::yours("Password", "the account's password"));
        }
        None => components.push(Field::yours(
            "Service account",
            "a gMSA (DOMAIN\\name$) or a domain user with db_owner on the database",
        )),
    }
    let forests = v
        .forests
        .iter()
        .map(|f| {
            Field::yours(
                f,
                "Change Credentials: an existing AD DS account, or an Enterprise Admin to make one",
            )
        })
        .collect();
    vec![
        card(
            "Start",
            "If the wizard opened by itself, it is in Express mode: close it with Exit. Then start it in an elevated prompt.",
            vec![Field::exact(
                "Command",
                r#""C:\Program Files\Microsoft Azure Active Directory Connect\AzureADConnect.exe" /useexistingdatabase"#,
            )],
        ),
        card(
            "Welcome",
            "Agree to the licence terms and the privacy notice, then Continue.",
            vec![],
        ),
        card(
            "Install required components",
            "Use an existing SQL Server is ticked. Enter these, then Install.",
            components,
        ),
        card(
            "Connect to Microsoft Entra ID",
            "Sign in with an account of the tenant's onmicrosoft.com domain.",
            vec![Field::yours(
                "Account",
                "Hybrid Identity Administrator (or Global Administrator), assigned directly",
            )],
        ),
        card(
            "Connect your directories",
            "Each forest has a red cross until its credentials are entered. All must turn green; scroll, the list may be longer than the page.",
            forests,
        ),
        card(
            "Ready to configure",
            "Leave \"Start the synchronization process when configuration completes\" ticked, unless you want to look first. Then Install.",
            vec![],
        ),
        card(
            "Configuration complete",
            "Exit. The server is in staging mode: it exports nothing.",
            vec![],
        ),
    ]
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
