//! LocalDB: the instances that are shared, by the names under which others find them. Their pipes change with every start.

use super::registry;
use crate::host::HostError;

const KEY_SHARED: &str = r"SOFTWARE\Microsoft\Microsoft SQL Server Local DB\Shared Instances";

/// Shared names, for example `ADSync2019`, each with what it stands for: `ADSync2019 (MSSQL15E.LOCALDB…)`.
pub fn local_databases() -> Result<Vec<String>, HostError> {
    let mut found = Vec::new();
    for shared in registry::keys(KEY_SHARED)? {
        let instance = registry::shown(&format!(r"{KEY_SHARED}\{shared}"), "InstanceName")?;
        found.push(match instance {
            Some(instance) => format!("{shared} ({instance})"),
            None => shared,
        });
    }
    Ok(found)
}
