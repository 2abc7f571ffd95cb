//! How the machine is asked: one JSON object per line over loopback TCP, one answer per question, in order. What an agent
//! does on a real machine with Win32, `msiexec.exe` and `powershell.exe`, it does here with these questions.

use serde::{Deserialize, Serialize};

use super::powershell::PowerShellAnswer;
use super::products::Product;
use super::registry::Data;
use super::services::{Service, ServiceAction};
use super::wizard::WizardView;

/// The file in the host's folder that names the port while the host listens.
pub const PORT_FILE: &str = "port";

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// What the machine is. Answer: [`MachineFacts`].
    Facts,
    /// A registry value. Answer: [`Data`] or null.
    Registry {
        /// The key.
        key: String,
        /// The value's name.
        name: String,
    },
    /// Installed products. Answer: a list of [`Product`].
    Products,
    /// A service. Answer: [`Service`] or null.
    Service {
        /// Its name.
        name: String,
    },
    /// Starts, stops, disables or enables a service.
    ControlService {
        /// Its name.
        name: String,
        /// What to do.
        action: ServiceAction,
    },
    /// What the script about service accounts says. Answer: its JSON.
    ServiceAccount {
        /// The account.
        account: String,
        /// Names of SQL Server.
        spns: Vec<String>,
    },
    /// `csexport.exe "<connector>" … /f:x`. Answer: the file's text.
    CsExport {
        /// The connector's name.
        connector: String,
    },
    /// `powershell.exe -Command`. Answer: [`PowerShellAnswer`].
    PowerShell {
        /// The script.
        script: String,
    },
    /// `msiexec.exe`. Answer: the exit code.
    Msiexec {
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// `WinVerifyTrust`. Answer: true, false, or null where the file carries no signature.
    SignatureTrusted {
        /// The file.
        path: String,
    },
    /// Running programs. Answer: a list of [`Process`].
    Processes,
    /// Makes a folder for certain accounts only.
    SecureDir {
        /// The folder.
        path: String,
        /// Who may use it besides administrators and the system.
        accounts: Vec<String>,
    },
    /// Free bytes on a volume. Answer: a number.
    FreeSpace {
        /// A path on it.
        path: String,
    },
    /// Starts the wizard. Answer: [`WizardView`].
    StartWizard {
        /// Its command line.
        arguments: String,
    },
    /// What the wizard shows. Answer: [`WizardView`] or null.
    Wizard,
    /// Fills a field of the wizard. Answer: [`WizardView`].
    Enter {
        /// The field's label.
        field: String,
        /// What to enter.
        value: String,
    },
    /// Presses a button of the wizard. Answer: [`WizardView`], or null when it closed.
    Press {
        /// The button.
        button: String,
    },
    /// What a person does with the wizard's task "Configure staging mode".
    SetStagingMode {
        /// On or off.
        on: bool,
    },
    /// What a person does in Programs and Features: Connect is uninstalled with everything of it.
    RemoveConnect,
    /// Closes the wizard's window.
    CloseWizard,
    /// Restarts the machine.
    Reboot,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It was done; the value depends on the question.
    Ok(serde_json::Value),
    /// The machine refused, in its own words.
    Error(String),
}

/// What the machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFacts {
    /// Its name.
    pub computer_name: String,
    /// Its full name.
    pub fqdn: Option<String>,
    /// `Windows Server 2022 Standard`.
    pub os: String,
    /// `10.0.20348`.
    pub os_version: String,
    /// Whether it has the graphical shell.
    pub desktop_experience: bool,
    /// Its domain.
    pub domain: Option<String>,
    /// Changes with every boot.
    pub boot_id: String,
    /// Changes when it is reverted or copied.
    pub vm_generation: String,
    /// TLS 1.2.
    pub tls12: bool,
    /// .NET Framework.
    pub dotnet_release: i64,
    /// Physical memory.
    pub memory_mb: u64,
}

/// A running program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// `AzureADConnect.exe`.
    pub name: String,
    /// Its command line.
    pub command_line: String,
}

/// What each question is answered with, for the client's sake.
pub mod answers {
    /// See [`super::Request::Products`].
    pub type Products = Vec<super::Product>;
    /// See [`super::Request::Service`].
    pub type Service = Option<super::Service>;
    /// See [`super::Request::Registry`].
    pub type Registry = Option<super::Data>;
    /// See [`super::Request::PowerShell`].
    pub type PowerShell = super::PowerShellAnswer;
    /// See [`super::Request::Wizard`].
    pub type Wizard = Option<super::WizardView>;
}
