//! The application log of Windows.

use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::System::EventLog::{
    DeregisterEventSource, EVENTLOG_ERROR_TYPE, EVENTLOG_INFORMATION_TYPE, EVENTLOG_WARNING_TYPE, RegisterEventSourceW,
    ReportEventW,
};

use crate::wide::{checked, wide};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something that an operator must look at.
    Error,
    /// Something that an operator should look at.
    Warning,
    /// Anything else.
    Information,
}

/// Writes an entry under a source. The source should be registered (`EventMessageFile`), or the viewer adds a complaint.
pub fn report(source: &str, level: Level, id: u32, message: &str) -> io::Result<()> {
    // A zero would cut the message off; a space does not.
    let (source, message) = (wide(source)?, wide(message.replace('\0', " "))?);
    // SAFETY: the name is zero-terminated; the handle is given back below.
    let log = unsafe { RegisterEventSourceW(null(), source.as_ptr()) };
    if log.is_null() {
        return Err(io::Error::last_os_error());
    }
    let kind = match level {
        Level::Error => EVENTLOG_ERROR_TYPE,
        Level::Warning => EVENTLOG_WARNING_TYPE,
        Level::Information => EVENTLOG_INFORMATION_TYPE,
    };
    let texts = [message.as_ptr()];
    // SAFETY: one text is announced and one is given; it lives through the call.
    let reported = checked(unsafe { ReportEventW(log, kind, 0, id, null_mut(), 1, 0, texts.as_ptr(), null()) });
    // SAFETY: the handle comes from RegisterEventSourceW and is used no more.
    unsafe { DeregisterEventSource(log) };
    reported
}
