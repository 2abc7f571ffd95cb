//! Job objects: a program and all that it starts end together, at the latest when we do.

use std::io;
use std::ptr::null;

use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, SetInformationJobObject,
    TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{OpenProcess, PROCESS_SET_QUOTA, PROCESS_TERMINATE};

use crate::wide::{Handle, checked};

/// A group of processes. All of them end when it is dropped.
pub struct Job(Handle);

impl Job {
    /// An empty one.
    pub fn new() -> io::Result<Job> {
        // SAFETY: an unnamed job with default access; the handle is closed by `Handle`.
        let handle = unsafe { CreateJobObjectW(null(), null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        let job = Job(Handle(handle));
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        // SAFETY: the structure is the one that this class of information takes.
        checked(unsafe {
            SetInformationJobObject(
                job.0.0,
                JobObjectExtendedLimitInformation,
                (&raw const limits).cast(),
                size_of_val(&limits) as u32,
            )
        })?;
        Ok(job)
    }

    /// Takes a process in, by its id. What it starts from then on belongs to the job as well.
    pub fn take(&self, process: u32) -> io::Result<()> {
        // SAFETY: an id without a process is an error; the handle is closed by `Handle`.
        let process = unsafe { OpenProcess(PROCESS_SET_QUOTA | PROCESS_TERMINATE, 0, process) };
        if process.is_null() {
            return Err(io::Error::last_os_error());
        }
        let process = Handle(process);
        // SAFETY: both handles are open.
        checked(unsafe { AssignProcessToJobObject(self.0.0, process.0) })
    }

    /// Ends all of them.
    pub fn end(&self) -> io::Result<()> {
        // SAFETY: the handle is valid as long as `self`.
        checked(unsafe { TerminateJobObject(self.0.0, 1) })
    }
}
