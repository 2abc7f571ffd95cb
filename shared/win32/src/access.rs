//! Who may use a file or folder. Access lists are read and written in their text form (SDDL), accounts as SIDs, so that
//! nothing depends on Windows' language.

use std::io;
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, HANDLE};
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW, ConvertSidToStringSidW,
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetNamedSecurityInfoW, SDDL_REVISION_1, SE_FILE_OBJECT,
    SetNamedSecurityInfoW,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetSecurityDescriptorDacl, GetTokenInformation, LookupAccountNameW,
    PROTECTED_DACL_SECURITY_INFORMATION, PSID, TOKEN_ELEVATION, TOKEN_QUERY, TOKEN_USER, TokenElevation, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use crate::wide::{Handle, Local, checked, status, wide};

/// The SID of an account, `S-1-5-…`. Asks the domain where the name is not a local one.
pub fn sid_of(account: &str) -> io::Result<String> {
    let name = wide(account)?;
    let (mut sid_bytes, mut domain_units, mut kind) = (0, 0, 0);
    // SAFETY: a first call without buffers; Windows only writes the two lengths.
    let ok = unsafe {
        LookupAccountNameW(
            null(),
            name.as_ptr(),
            null_mut(),
            &raw mut sid_bytes,
            null_mut(),
            &raw mut domain_units,
            &raw mut kind,
        )
    };
    let error = io::Error::last_os_error();
    if ok == 0 && error.raw_os_error() != Some(ERROR_INSUFFICIENT_BUFFER as i32) {
        return Err(error);
    }
    // In units of 8 bytes, so that it is aligned.
    let mut sid = vec![0_u64; (sid_bytes as usize).div_ceil(8).max(1)];
    let mut domain = vec![0_u16; domain_units as usize + 1];
    // SAFETY: both buffers have the lengths that Windows asked for.
    checked(unsafe {
        LookupAccountNameW(
            null(),
            name.as_ptr(),
            sid.as_mut_ptr().cast(),
            &raw mut sid_bytes,
            domain.as_mut_ptr(),
            &raw mut domain_units,
            &raw mut kind,
        )
    })?;
    sid_text(sid.as_mut_ptr().cast())
}

fn sid_text(sid: PSID) -> io::Result<String> {
    let mut text = null_mut();
    // SAFETY: `sid` points to a SID that Windows just wrote; the text is freed by `Local`.
    checked(unsafe { ConvertSidToStringSidW(sid, &raw mut text) })?;
    Ok(Local(text.cast()).text())
}

fn token() -> io::Result<Handle> {
    let mut token: HANDLE = null_mut();
    // SAFETY: the pseudo handle of this process is always valid; the token's handle is closed by `Handle`.
    checked(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) })?;
    Ok(Handle(token))
}

/// The SID of the account that this process runs as.
pub fn own_sid() -> io::Result<String> {
    let token = token()?;
    let mut buffer = [0_u64; 32];
    let mut used = 0;
    // SAFETY: the buffer is larger than TOKEN_USER with the longest SID (68 bytes), and aligned for it.
    checked(unsafe {
        GetTokenInformation(
            token.0,
            TokenUser,
            buffer.as_mut_ptr().cast(),
            size_of_val(&buffer) as u32,
            &raw mut used,
        )
    })?;
    // SAFETY: on success the buffer begins with a TOKEN_USER whose SID lies in the same buffer.
    let user = unsafe { &*buffer.as_ptr().cast::<TOKEN_USER>() };
    sid_text(user.User.Sid)
}

/// Whether this process has an administrator's rights (is elevated).
pub fn is_elevated() -> io::Result<bool> {
    let token = token()?;
    let mut elevation = TOKEN_ELEVATION { TokenIsElevated: 0 };
    let mut used = 0;
    // SAFETY: the buffer is the very structure that is asked for.
    checked(unsafe {
        GetTokenInformation(
            token.0,
            TokenElevation,
            (&raw mut elevation).cast(),
            size_of::<TOKEN_ELEVATION>() as u32,
            &raw mut used,
        )
    })?;
    Ok(elevation.TokenIsElevated != 0)
}

/// Replaces the access list of a file or folder by an SDDL text, and stops it from inheriting any other.
pub fn set_access(path: &Path, sddl: &str) -> io::Result<()> {
    let (text, path) = (wide(sddl)?, wide(path)?);
    let mut descriptor = null_mut();
    // SAFETY: the descriptor is freed by `Local`.
    checked(unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            null_mut(),
        )
    })?;
    let descriptor = Local(descriptor);
    let (mut present, mut dacl, mut defaulted) = (0, null_mut(), 0);
    // SAFETY: the descriptor is valid; the list stays part of it and is used only while it lives.
    checked(unsafe { GetSecurityDescriptorDacl(descriptor.0, &raw mut present, &raw mut dacl, &raw mut defaulted) })?;
    if present == 0 || dacl.is_null() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "an access list without entries would let everybody in",
        ));
    }
    // SAFETY: the path is zero-terminated, the list is valid.
    status(unsafe {
        SetNamedSecurityInfoW(
            path.as_ptr(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            dacl,
            null(),
        )
    })
}

/// The access list of a file or folder, as SDDL.
pub fn access(path: &Path) -> io::Result<String> {
    let path = wide(path)?;
    let mut descriptor = null_mut();
    // SAFETY: the path is zero-terminated; the descriptor is freed by `Local`.
    status(unsafe {
        GetNamedSecurityInfoW(
            path.as_ptr(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    })?;
    let descriptor = Local(descriptor);
    let mut text = null_mut();
    // SAFETY: the descriptor is valid; the text is freed by `Local`.
    checked(unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor.0,
            SDDL_REVISION_1,
            DACL_SECURITY_INFORMATION,
            &raw mut text,
            null_mut(),
        )
    })?;
    Ok(Local(text.cast()).text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_sids() {
        assert!(own_sid().unwrap().starts_with("S-1-5-"));
        // The system's account has one name in every language's API.
        assert_eq!(sid_of("SYSTEM").unwrap(), "S-1-5-18");
        assert!(sid_of("nobody-is-called-this").is_err());
    }

    #[test]
    fn an_access_list_is_set_and_read() {
        let dir = tempfile::tempdir().unwrap();
        set_access(
            dir.path(),
            &format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;{})", own_sid().unwrap()),
        )
        .unwrap();
        let read = access(dir.path()).unwrap();
        assert!(read.starts_with("D:"), "{read}");
        // Wine maps access lists to mode bits.
        if std::env::var_os("SYNCFERRY_UNDER_WINE").is_none() {
            assert!(!read.contains(";;;WD)"), "{read}");
        }
        assert!(set_access(dir.path(), "nonsense").is_err());
    }
}
