//! What a page of the wizard shows.

use serde::{Deserialize, Serialize};

use super::machine::Mode;

/// The pages, in the order of the existing-database path, then those of the express path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Page {
    /// The licence.
    Welcome,
    /// TLS 1.2 is off: the wizard goes no further.
    Tls,
    /// Express: everything new, LocalDB.
    Express,
    /// SQL Server and the service account.
    Components,
    /// The sign-in to Microsoft Entra ID.
    EntraId,
    /// A credential per forest.
    Directories,
    /// The last page before anything is configured.
    Ready,
    /// It works.
    Configuring,
    /// Done.
    Complete,
}

impl Page {
    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Page::Welcome => "Welcome",
            Page::Tls => "TLS 1.2 required",
            Page::Express => "Express Settings",
            Page::Components => "Install required components",
            Page::EntraId => "Connect to Microsoft Entra ID",
            Page::Directories => "Connect your directories",
            Page::Ready => "Ready to configure",
            Page::Configuring => "Configuring",
            Page::Complete => "Configuration complete",
        }
    }

    /// The view model's name in the trace log. `PerformConfigurationPageViewModel` is the one that public logs show for
    /// the configuration; the others follow its pattern and are the lab's.
    pub fn view_model(self) -> &'static str {
        match self {
            Page::Welcome => "WelcomePageViewModel",
            Page::Tls => "TlsRequiredPageViewModel",
            Page::Express => "ExpressSettingsPageViewModel",
            Page::Components => "InstallOnPremisesComponentsPageViewModel",
            Page::EntraId => "AzureTenantPageViewModel",
            Page::Directories => "ConfigOnPremiseCredentialsPageViewModel",
            Page::Ready => "ConfirmationPageViewModel",
            Page::Configuring => "PerformConfigurationPageViewModel",
            Page::Complete => "FinalPageViewModel",
        }
    }
}

/// What kind of field it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    /// A line of text.
    Text,
    /// A password; what was entered is not shown.
    Secret,
    /// A box to tick: `yes` or `no`.
    Check,
}

/// A field of the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldView {
    /// Its label.
    pub label: String,
    /// What kind it is.
    pub kind: FieldKind,
    /// What is in it.
    pub value: String,
}

/// A forest on "Connect your directories".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForestView {
    /// Its name.
    pub name: String,
    /// The green tick.
    pub ready: bool,
}

/// What the wizard shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WizardView {
    /// How it was started.
    pub mode: Mode,
    /// Its command line.
    pub arguments: String,
    /// The page's title.
    pub page: String,
    /// The fields.
    pub fields: Vec<FieldView>,
    /// The forests.
    pub forests: Vec<ForestView>,
    /// The buttons that can be pressed.
    pub buttons: Vec<String>,
    /// What it complains about.
    pub error: Option<String>,
}
