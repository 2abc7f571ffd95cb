//! Programs that run, and how they were started.

use std::io;

use windows_sys::Wdk::System::Threading::{NtQueryInformationProcess, ProcessCommandLineInformation};
use windows_sys::Win32::Foundation::{INVALID_HANDLE_VALUE, UNICODE_STRING};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::Threading::{OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION};

use crate::wide::{Handle, checked, text};

/// A running program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// Its file's name.
    pub name: String,
}

/// All running programs.
pub fn processes() -> io::Result<Vec<Process>> {
    // SAFETY: the handle is closed by `Handle`.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    let snapshot = Handle(snapshot);
    let mut entry = PROCESSENTRY32W {
        dwSize: size_of::<PROCESSENTRY32W>() as u32,
        ..PROCESSENTRY32W::default()
    };
    let mut found = Vec::new();
    // SAFETY: the structure says its own size.
    checked(unsafe { Process32FirstW(snapshot.0, &raw mut entry) })?;
    loop {
        found.push(Process {
            id: entry.th32ProcessID,
            name: text(&entry.szExeFile),
        });
        // SAFETY: as above. At the end of the list it answers FALSE.
        if unsafe { Process32NextW(snapshot.0, &raw mut entry) } == 0 {
            return Ok(found);
        }
    }
}

/// The command line of a running program. Another account's process may refuse.
pub fn command_line(id: u32) -> io::Result<String> {
    // SAFETY: an id without a process is an error; the handle is closed by `Handle`.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, id) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    let process = Handle(process);
    // The longest command line has 32,767 units; a UNICODE_STRING stands before it. In units of 8 bytes: aligned.
    let mut buffer = vec![0_u64; 8_200];
    let mut used = 0;
    // SAFETY: the buffer is as long as said, and aligned for UNICODE_STRING.
    let status = unsafe {
        NtQueryInformationProcess(
            process.0,
            ProcessCommandLineInformation,
            buffer.as_mut_ptr().cast(),
            (buffer.len() * 8) as u32,
            &raw mut used,
        )
    };
    if status < 0 {
        return Err(io::Error::other(format!("NTSTATUS {status:#010x}")));
    }
    // SAFETY: on success the buffer begins with a UNICODE_STRING whose text lies in the same buffer.
    let units = unsafe {
        let string = &*buffer.as_ptr().cast::<UNICODE_STRING>();
        match string.Buffer.is_null() {
            true => &[],
            false => std::slice::from_raw_parts(string.Buffer, usize::from(string.Length) / 2),
        }
    };
    Ok(String::from_utf16_lossy(units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_with_its_command_line() {
        let all = processes().unwrap();
        let own = all.iter().find(|p| p.id == std::process::id()).unwrap();
        assert!(own.name.to_ascii_lowercase().ends_with(".exe"), "{own:?}");
        // Wine 8 does not tell command lines.
        if std::env::var_os("SYNCFERRY_UNDER_WINE").is_none() {
            let line = command_line(own.id).unwrap();
            assert!(line.contains(own.name.trim_end_matches(".exe")), "{line}");
        }
    }
}
