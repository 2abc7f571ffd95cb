//! Texts as Windows takes and gives them.

use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt as _;

use windows_sys::Win32::Foundation::LocalFree;

/// A text with its terminating zero. What stands behind a zero inside it would be cut off silently, so that is refused.
pub(crate) fn wide(text: impl AsRef<OsStr>) -> io::Result<Vec<u16>> {
    let mut units: Vec<u16> = text.as_ref().encode_wide().collect();
    if units.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the text contains a zero"));
    }
    units.push(0);
    Ok(units)
}

/// A text up to its terminating zero, or to the end of the buffer.
pub(crate) fn text(units: &[u16]) -> String {
    let end = units.iter().position(|u| *u == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..end])
}

/// Memory that Windows allocated with LocalAlloc and the caller must free.
pub(crate) struct Local(pub(crate) *mut core::ffi::c_void);

impl Local {
    /// The zero-terminated text that lies there.
    pub(crate) fn text(&self) -> String {
        let start = self.0.cast::<u16>();
        let mut length = 0;
        // SAFETY: the pointer comes from a function that promises a zero-terminated text, and is freed only on drop.
        let units = unsafe {
            while *start.add(length) != 0 {
                length += 1;
            }
            std::slice::from_raw_parts(start, length)
        };
        String::from_utf16_lossy(units)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: the pointer was allocated by Windows for us with LocalAlloc, and nobody else frees it. Null is allowed.
        unsafe { LocalFree(self.0) };
    }
}

/// A handle that is closed with CloseHandle.
pub(crate) struct Handle(pub(crate) windows_sys::Win32::Foundation::HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: only handles that Windows gave to us are put in here, and none is closed elsewhere.
        unsafe { windows_sys::Win32::Foundation::CloseHandle(self.0) };
    }
}

// SAFETY: a handle is a number; Windows allows its use from any thread.
unsafe impl Send for Handle {}
// SAFETY: as above; no function here changes what the handle means.
unsafe impl Sync for Handle {}

/// Turns Windows' TRUE and FALSE into a result.
pub(crate) fn checked(ok: windows_sys::core::BOOL) -> io::Result<()> {
    if ok == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Turns an error number into a result; 0 is success.
pub(crate) fn status(code: u32) -> io::Result<()> {
    match code {
        0 => Ok(()),
        // Windows' error numbers are below 2^31.
        code => Err(io::Error::from_raw_os_error(code as i32)),
    }
}
