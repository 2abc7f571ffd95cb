//! What the lab's operators type to plan a scenario, whoever plays them: the command lines of the lab, its tests, its random worlds.

use super::world::{INSTALLER, INSTANCE, NEW_SERVER, OLD_SERVER, SITE, SQL_HOST, World};

/// Where somebody put a backup that nothing is known of.
pub const SOMEBODYS_FILE: &str = r"D:\Backup\ADSync.bak";

/// A scenario, with what the operator chooses in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// From LocalDB to full SQL Server.
    MoveToFullSql,
    /// The same, and a DBA runs what needs rights in SQL Server.
    MoveByDba,
    /// The same, and the old server goes on, on the moved database.
    MoveInPlace,
    /// A staging server beside the active one.
    ProvisionStaging,
    /// The staging server becomes active.
    SwitchActive,
    /// The server that was installed anew in place becomes active again.
    SwitchBack,
    /// The old server is retired.
    Decommission,
    /// A recovery is rehearsed; the backup may be kept.
    Drill {
        /// `--keep-backup`.
        keep: bool,
    },
    /// A backup of the catalogue is restored.
    RestoreArtifact,
    /// A file that somebody has is restored.
    RestoreFile,
}

impl Scenario {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::MoveToFullSql | Scenario::MoveByDba | Scenario::MoveInPlace => "move-to-full-sql",
            Scenario::ProvisionStaging => "provision-staging",
            Scenario::SwitchActive | Scenario::SwitchBack => "switch-active",
            Scenario::Decommission => "decommission",
            Scenario::Drill { .. } => "drill",
            Scenario::RestoreArtifact | Scenario::RestoreFile => "restore-from-backup",
        }
    }

    /// Whether it restores a backup, which something must have left before.
    pub fn is_restoration(self) -> bool {
        matches!(self, Scenario::RestoreArtifact | Scenario::RestoreFile)
    }

    /// `plan …`, for the source as somebody names it: its id, its name or `HOST/INSTANCE/NAME`.
    pub fn plan(self, world: &World, source: &str) -> Vec<String> {
        let mut words = vec!["plan", self.name(), "--site", SITE];
        let account = world.options().around.service_account.as_str();
        let on_sql_host = ["--target-host", SQL_HOST, "--target-instance", INSTANCE];
        let seat = [
            "--connect-host",
            NEW_SERVER,
            "--installer",
            INSTALLER,
            "--service-account",
            account,
        ];
        match self {
            Scenario::SwitchActive => words.extend(["--to", NEW_SERVER]),
            Scenario::SwitchBack => words.extend(["--to", OLD_SERVER]),
            Scenario::MoveInPlace => {
                words.extend(["--source", source]);
                words.extend(on_sql_host);
                words.extend(["--in-place", "--installer", INSTALLER, "--service-account", account]);
            }
            Scenario::Decommission => words.extend(["--server", OLD_SERVER]),
            Scenario::Drill { keep } => {
                words.extend(["--source", source]);
                words.extend(on_sql_host);
                words.extend(keep.then_some("--keep-backup"));
            }
            Scenario::MoveToFullSql | Scenario::MoveByDba | Scenario::ProvisionStaging => {
                words.extend((self == Scenario::MoveByDba).then_some("--dba"));
                words.extend(["--source", source]);
                words.extend(on_sql_host);
                words.extend(seat);
            }
            Scenario::RestoreArtifact | Scenario::RestoreFile => {
                words.extend(["--source", source]);
                words.extend(on_sql_host);
                words.extend(seat);
                words.extend(match self {
                    Scenario::RestoreFile => ["--file", SOMEBODYS_FILE],
                    _ => ["--artifact", "newest"],
                });
            }
        }
        words.into_iter().map(str::to_string).collect()
    }
}
