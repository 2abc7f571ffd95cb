//! The wizard's pages and what leads from one to the next. Pure but for the trace log that it writes.

use serde::{Deserialize, Serialize};

use super::page::{FieldKind, FieldView, ForestView, Page, WizardView};
use super::trace::Trace;

/// How the wizard was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Without a switch: a new, empty database.
    Express,
    /// With `/useexistingdatabase`.
    ExistingDatabase,
}

impl Mode {
    /// By the command line.
    pub fn of_arguments(arguments: &str) -> Mode {
        let existing = arguments
            .split_whitespace()
            .any(|a| a.eq_ignore_ascii_case("/useexistingdatabase"));
        if existing {
            Mode::ExistingDatabase
        } else {
            Mode::Express
        }
    }
}

/// The labels of fields.
pub mod label {
    /// The licence.
    pub const LICENCE: &str = "I agree to the license terms and privacy notice";
    /// The SQL host.
    pub const SERVER: &str = "SQL Server name";
    /// `INST`, `INST,port`, `,port` or nothing.
    pub const INSTANCE: &str = "SQL instance name";
    /// The database.
    pub const DATABASE: &str = "Database name";
    /// `DOMAIN\name$`.
    pub const MANAGED_ACCOUNT: &str = "Managed Service Account";
    /// `DOMAIN\name`.
    pub const DOMAIN_ACCOUNT: &str = "Domain account";
    /// The password of the domain account, or of the person's Entra account.
    pub const PASSWORD: &str = "Password";
    /// The person's Entra account.
    pub const ACCOUNT: &str = "Account";
    /// Whether a cycle is started at the end.
    pub const START_SYNC: &str = "Start the synchronization process when configuration completes";
    /// The password of a forest's account; the account itself has the forest's name.
    pub fn forest_password(forest: &str) -> String {
        format!("{forest} password")
    }
}

/// What was chosen on "Install required components".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SqlChoice {
    /// The SQL host.
    pub server: String,
    /// The instance box.
    pub instance: String,
    /// The database.
    pub database: String,
    /// The service account.
    pub account: String,
}

/// What is behind a button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consequence {
    /// Another page, nothing else.
    Nothing,
    /// The components are installed against a database.
    CheckComponents(SqlChoice),
    /// The server is configured.
    Configure(SqlChoice),
    /// The express path configures a new, empty LocalDB.
    ConfigureExpress,
    /// The window closes.
    Exit,
}

/// What the page does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The page has no such field.
    #[error("the page \"{page}\" has no field \"{field}\"")]
    NoField {
        /// The page.
        page: &'static str,
        /// What was meant.
        field: String,
    },
    /// The page has no such button, or it is grey.
    #[error("\"{button}\" cannot be pressed on the page \"{page}\"")]
    NoButton {
        /// The page.
        page: &'static str,
        /// What was meant.
        button: String,
    },
}

/// The wizard.
pub struct Wizard {
    mode: Mode,
    arguments: String,
    tls12: bool,
    page: Page,
    fields: Vec<FieldView>,
    forests: Vec<ForestView>,
    choice: SqlChoice,
    error: Option<String>,
    trace: Trace,
}

impl Wizard {
    /// On its first page.
    pub fn new(mode: Mode, arguments: &str, tls12: bool, trace: Trace) -> Wizard {
        let mut wizard = Wizard {
            mode,
            arguments: arguments.to_string(),
            tls12,
            page: Page::Welcome,
            fields: Vec::new(),
            forests: Vec::new(),
            choice: SqlChoice::default(),
            error: None,
            trace,
        };
        wizard.fields = wizard.fields_of(Page::Welcome);
        wizard
    }

    /// What it shows.
    pub fn view(&self) -> WizardView {
        let mut fields = self.fields.clone();
        for secret in fields.iter_mut().filter(|f| f.kind == FieldKind::Secret) {
            secret.value = "*".repeat(secret.value.chars().count().min(8));
        }
        WizardView {
            mode: self.mode,
            arguments: self.arguments.clone(),
            page: self.page.title().to_string(),
            fields,
            forests: self.forests.clone(),
            buttons: self.buttons().into_iter().map(str::to_string).collect(),
            error: self.error.clone(),
        }
    }

    /// Its command line.
    pub fn arguments(&self) -> &str {
        &self.arguments
    }

    /// Fills a field. Labels ignore case.
    pub fn enter(&mut self, field: &str, value: &str) -> Result<(), PageError> {
        let page = self.page.title();
        let found = self.fields.iter_mut().find(|f| f.label.eq_ignore_ascii_case(field));
        let found = found.ok_or_else(|| PageError::NoField {
            page,
            field: field.to_string(),
        })?;
        found.value = value.to_string();
        self.error = None;
        self.tick_forests();
        Ok(())
    }

    /// Presses a button.
    pub fn press(&mut self, button: &str) -> Result<Consequence, PageError> {
        if !self.buttons().iter().any(|b| b.eq_ignore_ascii_case(button)) {
            return Err(PageError::NoButton {
                page: self.page.title(),
                button: button.to_string(),
            });
        }
        if button.eq_ignore_ascii_case("Exit") {
            self.trace.info("Exiting: the wizard is closed by the user.");
            return Ok(Consequence::Exit);
        }
        self.error = self.objection();
        if let Some(error) = &self.error {
            self.trace.error(error);
            return Ok(Consequence::Nothing);
        }
        Ok(match (self.page, self.mode) {
            (Page::Welcome, _) if !self.tls12 => self.go(Page::Tls),
            (Page::Welcome, Mode::ExistingDatabase) => self.go(Page::Components),
            (Page::Welcome, Mode::Express) => self.go(Page::Express),
            (Page::Express, _) => self.go(Page::EntraId),
            (Page::Components, _) => {
                self.choice = self.typed();
                self.trace
                    .info("InstallSyncEnginePageViewModel: checking the SQL Server and the database.");
                Consequence::CheckComponents(self.choice.clone())
            }
            (Page::EntraId, _) => self.go(Page::Directories),
            (Page::Directories, _) => self.go(Page::Ready),
            (Page::Ready, mode) => {
                self.go(Page::Configuring);
                self.trace
                    .info("AADConnect changes ALLOWED: Successfully acquired the configuration change mutex.");
                match mode {
                    Mode::ExistingDatabase => Consequence::Configure(self.choice.clone()),
                    Mode::Express => Consequence::ConfigureExpress,
                }
            }
            (Page::Tls | Page::Configuring | Page::Complete, _) => Consequence::Nothing,
        })
    }

    /// Errors that stand in the trace log before the one that the page shows.
    pub fn note_errors(&mut self, lines: &[&str]) {
        lines.iter().for_each(|line| self.trace.error(line));
    }

    /// Takes the result of what a button began: forests of the database, or an error. True when all is done.
    pub fn finish(&mut self, result: Result<Vec<String>, String>) -> bool {
        match (self.page, result) {
            (Page::Components, Ok(forests)) => {
                self.forests = forests
                    .into_iter()
                    .map(|name| ForestView { name, ready: false })
                    .collect();
                self.go(Page::EntraId);
            }
            (Page::Configuring, Ok(_)) => {
                self.go(Page::Complete);
                self.trace
                    .info("PerformConfigurationPageViewModel: configuration is complete.");
                return true;
            }
            (page, Ok(_)) => tracing::error!(?page, "the wizard was told of something that it did not begin"),
            (page, Err(error)) => {
                self.trace.error(&error);
                if page == Page::Configuring {
                    self.go(Page::Ready);
                }
                self.error = Some(error);
            }
        }
        false
    }

    fn go(&mut self, page: Page) -> Consequence {
        self.trace.transition(self.page, page);
        self.page = page;
        self.fields = self.fields_of(page);
        self.error = None;
        Consequence::Nothing
    }

    fn buttons(&self) -> Vec<&'static str> {
        match self.page {
            Page::Welcome => vec!["Continue", "Exit"],
            Page::Tls => vec!["Exit"],
            Page::Express => vec!["Use express settings", "Exit"],
            Page::Components | Page::Ready => vec!["Install", "Exit"],
            Page::EntraId | Page::Directories => vec!["Next", "Exit"],
            Page::Configuring => Vec::new(),
            Page::Complete => vec!["Exit"],
        }
    }

    fn fields_of(&self, page: Page) -> Vec<FieldView> {
        let field = |label: &str, kind, value: &str| FieldView {
            label: label.to_string(),
            kind,
            value: value.to_string(),
        };
        match page {
            Page::Welcome => vec![field(label::LICENCE, FieldKind::Check, "no")],
            Page::Components => vec![
                field(label::SERVER, FieldKind::Text, &self.choice.server),
                field(label::INSTANCE, FieldKind::Text, &self.choice.instance),
                field(label::DATABASE, FieldKind::Text, "ADSync"),
                field(label::MANAGED_ACCOUNT, FieldKind::Text, ""),
                field(label::DOMAIN_ACCOUNT, FieldKind::Text, ""),
                field(label::PASSWORD, FieldKind::Secret, ""),
            ],
            Page::EntraId => vec![
                field(label::ACCOUNT, FieldKind::Text, ""),
                field(label::PASSWORD, FieldKind::Secret, ""),
            ],
            Page::Directories => self
                .forests
                .iter()
                .flat_map(|f| {
                    [
                        field(&f.name, FieldKind::Text, ""),
                        field(&label::forest_password(&f.name), FieldKind::Secret, ""),
                    ]
                })
                .collect(),
            Page::Ready => vec![field(label::START_SYNC, FieldKind::Check, "yes")],
            Page::Tls | Page::Express | Page::Configuring | Page::Complete => Vec::new(),
        }
    }

    fn value(&self, label: &str) -> &str {
        let found = self.fields.iter().find(|f| f.label == label);
        found.map_or("", |f| f.value.trim())
    }

    fn typed(&self) -> SqlChoice {
        SqlChoice {
            server: self.value(label::SERVER).to_string(),
            instance: self.value(label::INSTANCE).to_string(),
            database: self.value(label::DATABASE).to_string(),
            account: match self.value(label::MANAGED_ACCOUNT) {
                "" => self.value(label::DOMAIN_ACCOUNT).to_string(),
                managed => managed.to_string(),
            },
        }
    }

    fn tick_forests(&mut self) {
        if self.page != Page::Directories {
            return;
        }
        let ready: Vec<bool> = self
            .forests
            .iter()
            .map(|f| !self.value(&f.name).is_empty() && !self.value(&label::forest_password(&f.name)).is_empty())
            .collect();
        for (forest, ready) in self.forests.iter_mut().zip(ready) {
            forest.ready = ready;
        }
    }

    /// What the page itself finds wrong, before anything is tried.
    fn objection(&self) -> Option<String> {
        let said = |text: &str| Some(text.to_string());
        match self.page {
            Page::Welcome if self.value(label::LICENCE) != "yes" => {
                said("You must agree to the license terms and privacy notice to continue.")
            }
            Page::Components if self.value(label::SERVER).is_empty() => said("Enter the name of the SQL Server."),
            Page::Components if self.value(label::DATABASE).is_empty() => said("Enter the name of the database."),
            Page::Components => self.account_objection(),
            Page::EntraId if !self.value(label::ACCOUNT).contains('@') => {
                said("The username must be in the format user@domain.")
            }
            Page::EntraId if self.value(label::PASSWORD).is_empty() => said("Enter the password."),
            Page::Directories => self.forest_objection(),
            _ => None,
        }
    }

    fn account_objection(&self) -> Option<String> {
        let (managed, domain) = (self.value(label::MANAGED_ACCOUNT), self.value(label::DOMAIN_ACCOUNT));
        let objection = match (managed, domain) {
            ("", "") => "Enter a service account: a managed service account or a domain account.",
            (m, "") if !m.ends_with('$') => "The name of a managed service account ends with $.",
            ("", _) if self.value(label::PASSWORD).is_empty() => "Enter the password of the domain account.",
            ("", _) | (_, "") => return None,
            _ => "Choose either a managed service account or a domain account.",
        };
        Some(objection.to_string())
    }

    fn forest_objection(&self) -> Option<String> {
        if let Some(missing) = self.forests.iter().find(|f| !f.ready) {
            return Some(format!(
                "The forest {} needs credentials: choose Change Credentials.",
                missing.name
            ));
        }
        let admin = self.forests.iter().any(|f| {
            let account = self.value(&f.name).to_ascii_lowercase();
            account.ends_with("\\administrator") || account.starts_with("administrator@")
        });
        admin.then(|| {
            "Using an Enterprise or Domain administrator account for your AD forest account is not allowed. \
             Let Microsoft Entra Connect create the account for you or specify a synchronization account with the correct permissions."
                .to_string()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wizard(arguments: &str) -> Wizard {
        Wizard::new(Mode::of_arguments(arguments), arguments, true, Trace::none())
    }

    fn past_welcome(arguments: &str) -> Wizard {
        let mut w = wizard(arguments);
        w.enter(label::LICENCE, "yes").unwrap();
        w.press("Continue").unwrap();
        w
    }

    #[test]
    fn an_existing_database_is_reached_page_by_page() {
        let mut w = wizard("/UseExistingDatabase");
        w.press("Continue").unwrap();
        assert_eq!(w.view().page, "Welcome", "without the licence nothing moves");
        assert!(w.view().error.unwrap().contains("license"));
        let mut w = past_welcome("/UseExistingDatabase");
        assert_eq!(w.view().page, "Install required components");
        for (field, value) in [
            ("sql server name", "SQL01"),
            (label::INSTANCE, ",1433"),
            (label::MANAGED_ACCOUNT, r"CONTOSO\gmsa-sync02$"),
        ] {
            w.enter(field, value).unwrap();
        }
        let choice = SqlChoice {
            server: "SQL01".into(),
            instance: ",1433".into(),
            database: "ADSync".into(),
            account: r"CONTOSO\gmsa-sync02$".into(),
        };
        assert_eq!(
            w.press("Install").unwrap(),
            Consequence::CheckComponents(choice.clone())
        );
        assert!(!w.finish(Err("error: 26 - Error Locating Server/Instance Specified".into())));
        assert!(w.view().error.unwrap().contains("error: 26"));
        assert_eq!(w.view().fields[0].value, "SQL01", "what was typed stays");
        w.press("Install").unwrap();
        w.finish(Ok(vec!["corp.contoso.com".into()]));
        w.enter(label::ACCOUNT, "admin@contoso.onmicrosoft.com").unwrap();
        w.enter(label::PASSWORD, "secret").unwrap();
        assert!(!format!("{:?}", w.view()).contains("secret"));
        w.press("Next").unwrap();
        assert!(!w.view().forests[0].ready, "a red cross");
        w.press("Next").unwrap();
        assert!(w.view().error.unwrap().contains("corp.contoso.com"));
        w.enter("corp.contoso.com", r"CORP\Administrator").unwrap();
        w.enter("corp.contoso.com password", "x").unwrap();
        w.press("Next").unwrap();
        assert!(w.view().error.unwrap().contains("Domain administrator"));
        w.enter("corp.contoso.com", r"CORP\svc-adds").unwrap();
        w.press("Next").unwrap();
        assert_eq!(w.press("Install").unwrap(), Consequence::Configure(choice));
        assert!(w.view().buttons.is_empty(), "it works");
        assert!(w.finish(Ok(Vec::new())));
        assert_eq!(w.view().page, "Configuration complete");
        assert_eq!(w.press("Exit").unwrap(), Consequence::Exit);
    }

    #[test]
    fn the_express_path_never_asks_for_a_database() {
        let mut w = past_welcome("");
        assert_eq!(w.view().mode, Mode::Express);
        w.press("Use express settings").unwrap();
        w.enter(label::ACCOUNT, "a@b").unwrap();
        w.enter(label::PASSWORD, "x").unwrap();
        w.press("Next").unwrap();
        w.press("Next").unwrap();
        assert_eq!(w.press("Install").unwrap(), Consequence::ConfigureExpress);
    }

    #[test]
    fn without_tls_1_2_the_wizard_goes_no_further() {
        let mut w = Wizard::new(Mode::Express, "", false, Trace::none());
        w.enter(label::LICENCE, "yes").unwrap();
        w.press("Continue").unwrap();
        assert_eq!(
            (w.view().page.as_str(), w.view().buttons),
            ("TLS 1.2 required", vec!["Exit".to_string()])
        );
    }

    #[test]
    fn what_a_page_does_not_have_is_refused_by_name() {
        let mut w = wizard("");
        assert!(w.press("Install").unwrap_err().to_string().contains("Welcome"));
        assert!(
            w.enter("SQL Server name", "x")
                .unwrap_err()
                .to_string()
                .contains("no field")
        );
    }
}
