//! Values of HKEY_LOCAL_MACHINE. What is not there is `None`; what cannot be read is an error.

use windows_registry::{Key, LOCAL_MACHINE, Type};

use crate::host::HostError;

/// ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND as HRESULTs.
const MISSING: [i32; 2] = [0x8007_0002_u32 as i32, 0x8007_0003_u32 as i32];

pub(super) fn failed(path: &str, name: &str) -> impl FnOnce(windows_result::Error) -> HostError {
    let what = format!(r"the registry value HKLM\{path}\{name}");
    move |e| HostError::Os {
        what,
        error: e.message(),
    }
}

/// What was read, where it is there.
fn present<T>(path: &str, name: &str, read: windows_result::Result<T>) -> Result<Option<T>, HostError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(e) if MISSING.contains(&e.code().0) => Ok(None),
        Err(e) => Err(failed(path, name)(e)),
    }
}

fn key(path: &str) -> Result<Option<Key>, HostError> {
    present(path, "", LOCAL_MACHINE.open(path))
}

/// A text.
pub(super) fn text(path: &str, name: &str) -> Result<Option<String>, HostError> {
    match key(path)? {
        Some(key) => present(path, name, key.get_string(name)),
        None => Ok(None),
    }
}

/// A number.
pub(super) fn number(path: &str, name: &str) -> Result<Option<u32>, HostError> {
    match key(path)? {
        Some(key) => present(path, name, key.get_u32(name)),
        None => Ok(None),
    }
}

/// A value as people read it, whatever its type is.
pub(super) fn shown(path: &str, name: &str) -> Result<Option<String>, HostError> {
    let Some(key) = key(path)? else { return Ok(None) };
    let Some(value) = present(path, name, key.get_value(name))? else {
        return Ok(None);
    };
    Ok(match value.ty() {
        Type::U32 => u32::try_from(value).ok().map(|n| n.to_string()),
        Type::String | Type::ExpandString => String::try_from(value).ok(),
        _ => None,
    })
}

/// Names of the keys below a key.
pub(super) fn keys(path: &str) -> Result<Vec<String>, HostError> {
    match key(path)? {
        Some(key) => Ok(key.keys().map_err(failed(path, ""))?.collect()),
        None => Ok(Vec::new()),
    }
}
