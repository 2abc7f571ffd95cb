//! Secrets at rest: encrypted by Windows for this machine (DPAPI), so that a copied file or a backup of it is useless
//! elsewhere. Who may read it on this machine is a matter of the file's access list.

use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Security::Cryptography::{
    CRYPT_INTEGER_BLOB, CRYPTPROTECT_LOCAL_MACHINE, CRYPTPROTECT_UI_FORBIDDEN, CryptProtectData, CryptUnprotectData,
};

use crate::wide::Local;

fn blob(bytes: &[u8]) -> io::Result<CRYPT_INTEGER_BLOB> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    // Windows takes a pointer to change through and does not change what it reads.
    Ok(CRYPT_INTEGER_BLOB {
        cbData: length,
        pbData: bytes.as_ptr().cast_mut(),
    })
}

fn taken(out: &CRYPT_INTEGER_BLOB) -> Vec<u8> {
    let memory = Local(out.pbData.cast());
    // SAFETY: Windows says that so many bytes lie there; they are copied before they are freed.
    unsafe { std::slice::from_raw_parts(memory.0.cast::<u8>(), out.cbData as usize) }.to_vec()
}

const NOTHING: CRYPT_INTEGER_BLOB = CRYPT_INTEGER_BLOB {
    cbData: 0,
    pbData: null_mut(),
};

/// Encrypts for this machine.
pub fn protect(secret: &[u8]) -> io::Result<Vec<u8>> {
    let (data, mut out) = (blob(secret)?, NOTHING);
    let flags = CRYPTPROTECT_LOCAL_MACHINE | CRYPTPROTECT_UI_FORBIDDEN;
    // SAFETY: the input lives through the call; the output is taken over below.
    let ok = unsafe { CryptProtectData(&raw const data, null(), null(), null(), null(), flags, &raw mut out) };
    if ok == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(taken(&out))
    }
}

/// Decrypts what [`protect`] made on this machine.
pub fn unprotect(sealed: &[u8]) -> io::Result<Vec<u8>> {
    let (data, mut out) = (blob(sealed)?, NOTHING);
    // SAFETY: as above.
    let ok = unsafe {
        CryptUnprotectData(
            &raw const data,
            null_mut(),
            null(),
            null(),
            null(),
            CRYPTPROTECT_UI_FORBIDDEN,
            &raw mut out,
        )
    };
    if ok == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(taken(&out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_back_and_is_not_seen() {
        let sealed = protect(b"a private key").unwrap();
        assert!(!sealed.windows(7).any(|w| w == b"private"));
        assert_eq!(unprotect(&sealed).unwrap(), b"a private key");
        assert!(unprotect(b"no such thing").is_err());
    }
}
