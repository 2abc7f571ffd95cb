//! What the machine is: names, version, domain, memory, TLS, and which boot this is.

use syncferry_shared::inventory::HostFacts;
use syncferry_win32::machine;
use windows_registry::LOCAL_MACHINE;

use super::{refused, registry};
use crate::host::HostError;

const KEY_WINDOWS: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";
const KEY_DOTNET: &str = r"SOFTWARE\Microsoft\NET Framework Setup\NDP\v4\Full";
const KEY_TLS12_CLIENT: &str = r"SYSTEM\CurrentControlSet\Control\SecurityProviders\SCHANNEL\Protocols\TLS 1.2\Client";
const KEYS_NET_TLS: [&str; 2] = [
    r"SOFTWARE\Microsoft\.NETFramework\v4.0.30319",
    r"SOFTWARE\WOW6432Node\Microsoft\.NETFramework\v4.0.30319",
];
/// A volatile key: Windows forgets it at every boot, so what stands in it names this one.
const KEY_BOOT: &str = r"SOFTWARE\Syncferry\Boot";
const VALUE_BOOT: &str = "Id";

pub(super) fn facts() -> Result<HostFacts, HostError> {
    let windows = |name| registry::text(KEY_WINDOWS, name);
    let build = windows("CurrentBuildNumber")?.unwrap_or_default();
    let part = |name| Ok::<_, HostError>(registry::number(KEY_WINDOWS, name)?.map(|n| n.to_string()));
    // Before Windows 10 the two numbers do not exist; Connect does not run there either.
    let (major, minor) = (part("CurrentMajorVersionNumber")?, part("CurrentMinorVersionNumber")?);
    let os_version = match (major, minor, part("UBR")?) {
        (Some(major), Some(minor), Some(update)) => format!("{major}.{minor}.{build}.{update}"),
        (Some(major), Some(minor), None) => format!("{major}.{minor}.{build}"),
        _ => [windows("CurrentVersion")?.unwrap_or_default(), build].join("."),
    };
    let domain = machine::domain().map_err(refused("the domain's name"))?;
    let full_name = machine::full_name().map_err(refused("the computer's full name"))?;
    Ok(HostFacts {
        computer_name: machine::computer_name()
            .map_err(refused("the computer's name"))?
            .to_uppercase(),
        fqdn: Some(full_name).filter(|name| name.contains('.')),
        os: windows("ProductName")?.unwrap_or_else(|| "Windows".into()),
        os_version,
        desktop_experience: match windows("InstallationType")?.as_deref() {
            Some("Server" | "Client") => Some(true),
            Some(_) => Some(false),
            None => None,
        },
        domain: Some(domain).filter(|d| !d.is_empty()),
        boot_id: boot_id()?,
        vm_generation: machine::vm_generation().map(|g| format!("{g:032x}")),
        tls12: tls12()?,
        dotnet_release: registry::number(KEY_DOTNET, "Release")?.map(i64::from),
        memory_mb: machine::memory().ok().map(|bytes| bytes >> 20),
        ..HostFacts::default()
    })
}

/// `Some(false)` when TLS 1.2 is switched off for clients or .NET is kept from it, `Some(true)` when it is switched on
/// as Microsoft's page says, `None` when nothing is said: then it depends on the version of Windows and .NET.
fn tls12() -> Result<Option<bool>, HostError> {
    let enabled = registry::number(KEY_TLS12_CLIENT, "Enabled")?;
    let disabled = registry::number(KEY_TLS12_CLIENT, "DisabledByDefault")?;
    let mut strong = Vec::new();
    for key in KEYS_NET_TLS {
        strong.push(registry::number(key, "SchUseStrongCrypto")?);
        strong.push(registry::number(key, "SystemDefaultTlsVersions")?);
    }
    Ok(verdict(enabled, disabled, &strong))
}

fn verdict(enabled: Option<u32>, disabled: Option<u32>, strong: &[Option<u32>]) -> Option<bool> {
    let off = enabled == Some(0) || disabled.is_some_and(|d| d != 0) || strong.contains(&Some(0));
    let on = enabled.is_some() && disabled == Some(0) && strong.iter().all(|s| *s == Some(1));
    match (off, on) {
        (true, _) => Some(false),
        (false, true) => Some(true),
        (false, false) => None,
    }
}

/// The id of this boot: the first who asks after a boot makes it.
fn boot_id() -> Result<String, HostError> {
    if let Some(id) = registry::text(KEY_BOOT, VALUE_BOOT)? {
        return Ok(id);
    }
    let failed = || registry::failed(KEY_BOOT, VALUE_BOOT);
    let id = uuid::Uuid::from_bytes(rand::random()).to_string();
    let key = LOCAL_MACHINE
        .options()
        .read()
        .write()
        .create()
        .volatile()
        .open(KEY_BOOT)
        .map_err(failed())?;
    // Two that ask at the same moment: the later one's id stays, and both read it.
    key.set_string(VALUE_BOOT, &id).map_err(failed())?;
    key.get_string(VALUE_BOOT).map_err(failed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_12_is_on_off_or_not_said() {
        let on = [Some(1); 4];
        assert_eq!(verdict(Some(1), Some(0), &on), Some(true));
        assert_eq!(verdict(None, None, &[None; 4]), None);
        assert_eq!(verdict(Some(0), None, &on), Some(false));
        assert_eq!(verdict(Some(1), Some(1), &on), Some(false));
        assert_eq!(
            verdict(Some(1), Some(0), &[Some(1), Some(1), Some(0), Some(1)]),
            Some(false)
        );
        assert_eq!(verdict(Some(1), Some(0), &[Some(1), None, Some(1), Some(1)]), None);
    }
}
