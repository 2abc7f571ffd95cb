//! Where things are on a Connect server, as Windows names them, and which keys, services and accounts it has.

/// The wizard's folder; what `AzureADConnect.msi` lays down.
pub const WIZARD_DIR: &str = r"C:\Program Files\Microsoft Azure Active Directory Connect";
/// The wizard.
pub const WIZARD_EXE: &str = "AzureADConnect.exe";
/// The engine's folder.
pub const ENGINE_DIR: &str = r"C:\Program Files\Microsoft Azure AD Sync";
/// Trace logs and MSI logs of the wizard.
pub const TRACE_DIR: &str = r"C:\ProgramData\AADConnect";

/// The service.
pub const SERVICE: &str = "ADSync";
/// Its display name.
pub const SERVICE_DISPLAY: &str = "Microsoft Azure AD Sync";
/// Its program, as it shows in `sys.dm_exec_sessions`.
pub const SERVICE_PROGRAM: &str = "miiserver.exe";
/// The virtual service account of an express installation.
pub const VIRTUAL_ACCOUNT: &str = r"NT SERVICE\ADSync";

/// The service's key: `ObjectName`.
pub const KEY_SERVICE: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\ADSync";
/// `Server`, `SQLInstance`, `DBName`.
pub const KEY_PARAMETERS: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\ADSync\Parameters";
/// `Location`.
pub const KEY_ENGINE: &str = r"HKLM\SOFTWARE\Microsoft\AD Sync";
/// `InstallationPath`, `WizardPath`, `AuditEventLogging`, `FirstStandardRulePrecedence`.
pub const KEY_WIZARD: &str = r"HKLM\SOFTWARE\Microsoft\Azure AD Connect";
/// `ServiceAccountType`.
pub const KEY_COEXISTENCE: &str = r"HKLM\SOFTWARE\Microsoft\MSOLCoExistence";

/// UpgradeCode of the wizard's product.
pub const UPGRADE_WIZARD: &str = "{D61EB959-F2D1-4170-BE64-4DC367F451EA}";
/// UpgradeCode of the engine's product.
pub const UPGRADE_ENGINE: &str = "{545334D7-13CD-4BAB-8DA1-2775FA8CF7C2}";

/// What `Server` says for LocalDB.
pub const LOCALDB: &str = "(localdb)";

/// How an account is known to Windows, as `ServiceAccountType` names it.
pub fn account_type(account: &str) -> &'static str {
    let upper = account.to_ascii_uppercase();
    if upper.starts_with(r"NT SERVICE\") {
        "VirtualServiceAccount"
    } else if upper.ends_with('$') {
        "GroupManagedServiceAccount"
    } else {
        "DomainUser"
    }
}
