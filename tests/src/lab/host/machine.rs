//! What the machine is: name, operating system, drives, and how fast the lab lets things go on it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncferry_sqlserver::storage::{DriveSpec, Drives};
use uuid::Uuid;

use super::files;

/// A machine, `machine.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// `SYNC01`.
    pub computer_name: String,
    /// `contoso.lab`; `None` for a workgroup.
    pub domain: Option<String>,
    /// `Windows Server 2022 Standard`.
    pub os: String,
    /// `10.0.20348`.
    pub os_version: String,
    /// Whether it has the graphical shell.
    pub desktop_experience: bool,
    /// TLS 1.2 for .NET and Schannel.
    pub tls12: bool,
    /// The .NET Framework's release number; 528049 is 4.8 as Windows Server 2022 carries it.
    pub dotnet_release: i64,
    /// Physical memory.
    pub memory_mb: u64,
    /// Changes with every boot.
    pub boot_id: String,
    /// Changes when the machine is reverted or copied.
    pub vm_generation: String,
    /// Drives, relative to the host's folder unless absolute.
    pub drives: Vec<DriveSpec>,
    /// The lab's list of SQL Servers, see `dns`.
    pub dns: PathBuf,
    /// How long things take.
    pub pace: Pace,
}

/// How long things take here. A real cycle starts every 30 minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// An installation by `msiexec`.
    pub msi_ms: u64,
    /// From one synchronisation cycle's end to the next one's start.
    pub cycle_every_ms: u64,
    /// A cycle.
    pub cycle_ms: u64,
    /// What the wizard does after "Install".
    pub configure_ms: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            msi_ms: 2_000,
            cycle_every_ms: 20_000,
            cycle_ms: 2_000,
            configure_ms: 1_500,
        }
    }
}

impl Pace {
    /// For tests.
    pub fn fast() -> Self {
        Pace {
            msi_ms: 50,
            cycle_every_ms: 2_000,
            cycle_ms: 200,
            configure_ms: 20,
        }
    }
}

impl MachineSpec {
    /// A member server of `domain` with Windows Server 2022 and drives C: and D: in its own folder.
    pub fn windows_2022(computer_name: &str, domain: &str, dns: &Path) -> MachineSpec {
        MachineSpec {
            computer_name: computer_name.to_string(),
            domain: Some(domain.to_string()),
            os: "Windows Server 2022 Standard".into(),
            os_version: "10.0.20348".into(),
            desktop_experience: true,
            tls12: true,
            dotnet_release: 528_049,
            memory_mb: 16_384,
            boot_id: Uuid::now_v7().to_string(),
            vm_generation: Uuid::now_v7().to_string(),
            drives: vec![drive("C:", 127), drive("D:", 256)],
            dns: dns.to_path_buf(),
            pace: Pace::default(),
        }
    }

    /// The full name.
    pub fn fqdn(&self) -> Option<String> {
        let domain = self.domain.as_ref()?;
        Some(format!("{}.{domain}", self.computer_name.to_ascii_lowercase()))
    }

    /// Writes a new machine into a folder, with its drives' folders.
    pub fn create(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)?;
        for spec in &self.drives {
            std::fs::create_dir_all(dir.join(&spec.root))?;
        }
        files::save(&dir.join("machine.json"), self)
    }

    /// Reads the machine of a folder.
    pub fn load(dir: &Path) -> io::Result<MachineSpec> {
        files::read(&dir.join("machine.json"))
    }

    /// The drives as this machine's administrators see them.
    pub fn drives(&self, dir: &Path) -> Drives {
        Drives::new(dir, &self.drives, r"BUILTIN\Administrators")
    }
}

fn drive(name: &str, gib: u64) -> DriveSpec {
    DriveSpec {
        name: name.to_string(),
        root: PathBuf::from("drives").join(name.trim_end_matches(':')),
        total_bytes: Some(gib << 30),
    }
}
