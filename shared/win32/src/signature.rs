//! Authenticode: whether Windows trusts a file's signature.

use std::io;
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Security::WinTrust::{
    WINTRUST_ACTION_GENERIC_VERIFY_V2, WINTRUST_DATA, WINTRUST_DATA_0, WINTRUST_FILE_INFO, WTD_CHOICE_FILE,
    WTD_REVOKE_NONE, WTD_STATEACTION_CLOSE, WTD_STATEACTION_VERIFY, WTD_UI_NONE, WinVerifyTrust,
};

use crate::wide::wide;

/// What `WinVerifyTrust` answers: 0 when the signature is there, whole and of a trusted issuer, otherwise an error number.
/// Revocation is not asked for: many of these servers reach no revocation list, and would wait for each one.
pub fn verify(path: &Path) -> io::Result<i32> {
    let path = wide(path)?;
    let mut file = WINTRUST_FILE_INFO {
        cbStruct: size_of::<WINTRUST_FILE_INFO>() as u32,
        pcwszFilePath: path.as_ptr(),
        hFile: null_mut(),
        pgKnownSubject: null_mut(),
    };
    let mut data = WINTRUST_DATA {
        cbStruct: size_of::<WINTRUST_DATA>() as u32,
        dwUIChoice: WTD_UI_NONE,
        fdwRevocationChecks: WTD_REVOKE_NONE,
        dwUnionChoice: WTD_CHOICE_FILE,
        Anonymous: WINTRUST_DATA_0 { pFile: &raw mut file },
        dwStateAction: WTD_STATEACTION_VERIFY,
        ..WINTRUST_DATA::default()
    };
    let mut action = WINTRUST_ACTION_GENERIC_VERIFY_V2;
    // SAFETY: all structures live through both calls; the second one frees what the first one kept.
    let verdict = unsafe {
        let verdict = WinVerifyTrust(null_mut(), &raw mut action, (&raw mut data).cast());
        data.dwStateAction = WTD_STATEACTION_CLOSE;
        WinVerifyTrust(null_mut(), &raw mut action, (&raw mut data).cast());
        verdict
    };
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_file_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.msi");
        std::fs::write(&path, b"not signed").unwrap();
        assert_ne!(verify(&path).unwrap(), 0);
    }
}
