//! The one change of another program's service: its start type, and nothing else of its configuration.

use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::System::Services::{
    ChangeServiceConfigW, CloseServiceHandle, OpenSCManagerW, OpenServiceW, SC_HANDLE, SC_MANAGER_CONNECT,
    SERVICE_AUTO_START, SERVICE_CHANGE_CONFIG, SERVICE_DEMAND_START, SERVICE_DISABLED, SERVICE_NO_CHANGE,
};

use crate::wide::{checked, wide};

struct Handle(SC_HANDLE);

impl Handle {
    fn new(handle: SC_HANDLE) -> io::Result<Handle> {
        if handle.is_null() {
            Err(io::Error::last_os_error())
        } else {
            Ok(Handle(handle))
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle was opened by us and is closed once.
        unsafe { CloseServiceHandle(self.0) };
    }
}

/// How a service starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the machine.
    Automatic,
    /// When somebody starts it.
    Manual,
    /// Never: nobody can start it until this is changed back.
    Disabled,
}

/// Changes how a service starts. Whether it runs now does not change.
pub fn set_start(name: &str, start: Start) -> io::Result<()> {
    let start = match start {
        Start::Automatic => SERVICE_AUTO_START,
        Start::Manual => SERVICE_DEMAND_START,
        Start::Disabled => SERVICE_DISABLED,
    };
    let name = wide(name)?;
    // SAFETY: null names mean this machine and its active database.
    let manager = Handle::new(unsafe { OpenSCManagerW(null(), null(), SC_MANAGER_CONNECT) })?;
    // SAFETY: the manager's handle is open, the name zero-terminated.
    let service = Handle::new(unsafe { OpenServiceW(manager.0, name.as_ptr(), SERVICE_CHANGE_CONFIG) })?;
    // SAFETY: the service's handle is open; null and SERVICE_NO_CHANGE leave everything else as it is.
    checked(unsafe {
        ChangeServiceConfigW(
            service.0,
            SERVICE_NO_CHANGE,
            start,
            SERVICE_NO_CHANGE,
            null(),
            null(),
            null_mut(),
            null(),
            null(),
            null(),
            null(),
        )
    })
}
