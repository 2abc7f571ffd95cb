//! The machine: memory, space, names, and whether it is a copy of itself.

use std::ffi::c_void;
use std::io;
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::SystemInformation::{
    ComputerNameDnsDomain, ComputerNameDnsFullyQualified, ComputerNamePhysicalDnsHostname, GetComputerNameExW,
    GlobalMemoryStatusEx, MEMORYSTATUSEX,
};

use crate::wide::{checked, text, wide};

/// Bytes of physical memory.
pub fn memory() -> io::Result<u64> {
    let mut status = MEMORYSTATUSEX {
        dwLength: size_of::<MEMORYSTATUSEX>() as u32,
        ..MEMORYSTATUSEX::default()
    };
    // SAFETY: the structure says its own size.
    checked(unsafe { GlobalMemoryStatusEx(&raw mut status) })?;
    Ok(status.ullTotalPhys)
}

/// Bytes that this account may still write on the volume of a folder that exists.
pub fn free_space(folder: &Path) -> io::Result<u64> {
    let folder = wide(folder)?;
    let mut free = 0;
    // SAFETY: the path is zero-terminated; unwanted numbers may be null.
    checked(unsafe { GetDiskFreeSpaceExW(folder.as_ptr(), &raw mut free, null_mut(), null_mut()) })?;
    Ok(free)
}

fn name(kind: i32) -> io::Result<String> {
    let mut units = vec![0_u16; 1024];
    let mut length = units.len() as u32;
    // SAFETY: the buffer is as long as said.
    checked(unsafe { GetComputerNameExW(kind, units.as_mut_ptr(), &raw mut length) })?;
    Ok(text(&units))
}

/// The computer's own name, not that of a cluster it is part of.
pub fn computer_name() -> io::Result<String> {
    name(ComputerNamePhysicalDnsHostname)
}

/// Its full name; the short one where it has no domain.
pub fn full_name() -> io::Result<String> {
    name(ComputerNameDnsFullyQualified)
}

/// Its DNS domain; empty where it has none.
pub fn domain() -> io::Result<String> {
    name(ComputerNameDnsDomain)
}

/// `CTL_CODE(FILE_DEVICE_ACPI, 1, METHOD_BUFFERED, FILE_READ_ACCESS)`, of vmgenerationcounter.h.
const IOCTL_VMGENCOUNTER_READ: u32 = 0x0032_4004;

/// The generation id of a virtual machine: its hypervisor changes it when the machine is reverted to a snapshot or copied.
/// `None` on real hardware, and where the hypervisor has none.
pub fn vm_generation() -> Option<u128> {
    use std::os::windows::io::AsRawHandle as _;
    let device = std::fs::File::open(r"\\.\VmGenerationCounter").ok()?;
    let mut counter = [0_u64; 2];
    let mut used = 0;
    // SAFETY: the output buffer is the 16 bytes that the device writes; there is no input.
    let ok = unsafe {
        DeviceIoControl(
            device.as_raw_handle(),
            IOCTL_VMGENCOUNTER_READ,
            std::ptr::null::<c_void>(),
            0,
            counter.as_mut_ptr().cast(),
            size_of_val(&counter) as u32,
            &raw mut used,
            null_mut(),
        )
    };
    (ok != 0 && used as usize == size_of_val(&counter)).then(|| u128::from(counter[1]) << 64 | u128::from(counter[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_memory_space_and_a_name() {
        assert!(memory().unwrap() > 64 << 20);
        assert!(free_space(&std::env::temp_dir()).unwrap() > 0);
        assert!(free_space(Path::new(r"Q:\no such drive")).is_err());
        assert!(!computer_name().unwrap().is_empty());
        assert!(full_name().unwrap().len() >= computer_name().unwrap().len());
    }
}
