//! Linux: a unit of systemd, hardened as far as an agent can be. The state directory and the staging folder are all that it
//! writes to; SQL Server on the same host reads the staging folder by its group.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::{Done, Options, ServiceError, Status};
use crate::config::Config;

const NAME: &str = "syncferry-agent.service";
const FILE: &str = "/etc/systemd/system/syncferry-agent.service";
/// Where the Debian package puts the same unit.
const PACKAGED: &str = "/usr/lib/systemd/system/syncferry-agent.service";
const LOG: &str = "journalctl -u syncferry-agent";

fn refused(what: impl Into<String>, error: &dyn std::fmt::Display) -> ServiceError {
    ServiceError::Refused {
        what: what.into(),
        error: error.to_string(),
        next: "",
    }
}

/// What the unit says.
pub(crate) fn unit(program: &Path, options: &Options, config: &Config) -> String {
    let account = options.account.as_deref().unwrap_or("root");
    format!(
        "[Unit]\n\
         Description=Syncferry agent\n\
         Wants=network-online.target\n\
         After=network-online.target mssql-server.service\n\
         \n\
         [Service]\n\
         Type=notify\n\
         NotifyAccess=main\n\
         User={account}\n\
         ExecStart=\"{}\" --config \"{}\" run\n\
         Restart=on-failure\n\
         RestartSec=5\n\
         # 3: not enrolled, 78: wrong configuration. Trying again helps with neither.\n\
         RestartPreventExitStatus=3 78\n\
         TimeoutStopSec=60\n\
         UMask=0077\n\
         ReadWritePaths=-{} -{}\n\
         ProtectSystem=strict\n\
         ProtectHome=true\n\
         PrivateTmp=true\n\
         PrivateDevices=true\n\
         ProtectKernelTunables=true\n\
         ProtectKernelModules=true\n\
         ProtectKernelLogs=true\n\
         ProtectControlGroups=true\n\
         ProtectClock=true\n\
         RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n\
         RestrictNamespaces=true\n\
         RestrictRealtime=true\n\
         RestrictSUIDSGID=true\n\
         LockPersonality=true\n\
         MemoryDenyWriteExecute=true\n\
         NoNewPrivileges=true\n\
         CapabilityBoundingSet=CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        program.display(),
        options.config.display(),
        config.data_dir.display(),
        config.staging_dir,
    )
}

fn systemctl(arguments: &[&str]) -> Result<String, ServiceError> {
    let what = format!("systemctl {}", arguments.join(" "));
    let output = Command::new("systemctl")
        .args(arguments)
        .output()
        .map_err(|e| ServiceError::Refused {
            what: what.clone(),
            error: e.to_string(),
            next: ". Without systemd, start 'syncferry-agent run' by what this machine has instead",
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(refused(what, &String::from_utf8_lossy(&output.stderr).trim()))
}

/// Writes the unit, enables it, and starts it where asked for.
pub fn install(options: &Options, config: &Config) -> Result<Done, ServiceError> {
    let now = status()?;
    if now.installed {
        return Err(ServiceError::There {
            name: NAME,
            state: now.state,
        });
    }
    let program = std::env::current_exe().map_err(|e| refused("this program's path", &e))?;
    // Before anything is written: is there a systemd?
    systemctl(&["--version"])?;
    std::fs::write(FILE, unit(&program, options, config)).map_err(|e| refused(format!("writing {FILE}"), &e))?;
    let mut done = vec![format!("{FILE} written")];
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", NAME])?;
    done.push(format!("{NAME} enabled: it starts with the machine"));
    if options.start {
        done.extend(start(config)?);
    }
    Ok(done)
}

/// Starts it, and looks whether it goes on running.
pub fn start(_config: &Config) -> Result<Done, ServiceError> {
    if !status()?.installed {
        return Err(ServiceError::NotThere(NAME));
    }
    systemctl(&["start", NAME])?;
    match status()?.state {
        state if state == "active" => Ok(vec![format!("{NAME} runs; its log: {LOG}")]),
        state => Err(ServiceError::DoesNotRun {
            name: NAME,
            state,
            log: LOG.to_string(),
        }),
    }
}

/// Stops it and takes the unit away. Data and configuration stay.
pub fn uninstall() -> Result<Done, ServiceError> {
    if !status()?.installed {
        return Err(ServiceError::NotThere(NAME));
    }
    if !Path::new(FILE).exists() {
        return Err(ServiceError::Refused {
            what: format!("taking {NAME} away"),
            error: format!("{PACKAGED} belongs to the package"),
            next: ". Run: apt remove syncferry-agent",
        });
    }
    systemctl(&["disable", "--now", NAME])?;
    std::fs::remove_file(FILE).map_err(|e| refused(format!("removing {FILE}"), &e))?;
    systemctl(&["daemon-reload"])?;
    Ok(vec![
        format!("{NAME} stopped, {FILE} removed"),
        "the agent's data, its identity and its configuration stay where they are".to_string(),
    ])
}

/// What it is now.
pub fn status() -> Result<Status, ServiceError> {
    let show = |property: &str| {
        // A machine without systemd has no such service either.
        let output = Command::new("systemctl")
            .args(["show", "--value", "-p", property, NAME])
            .output();
        output
            .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string())
            .unwrap_or_default()
    };
    Ok(Status {
        installed: Path::new(FILE).exists() || Path::new(PACKAGED).exists(),
        state: Some(show("ActiveState"))
            .filter(|s| !s.is_empty())
            .unwrap_or_else(|| "unknown".into()),
        start: Some(show("UnitFileState"))
            .filter(|s| !s.is_empty())
            .unwrap_or_else(|| "none".into()),
        account: Some(show("User"))
            .filter(|s| !s.is_empty())
            .unwrap_or_else(|| "root".into()),
    })
}

/// systemd starts `run`; there is no other entry.
pub fn run(_config: PathBuf) -> ExitCode {
    eprintln!("syncferry-agent: on Linux systemd starts 'syncferry-agent run'");
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_has_the_same_unit() {
        let options = Options {
            config: "/etc/syncferry/agent.toml".into(),
            account: None,
            password: None,
            start: false,
        };
        let text = unit(Path::new("/usr/bin/syncferry-agent"), &options, &Config::default());
        assert_eq!(text, include_str!("../../packaging/syncferry-agent.service"));
    }

    #[test]
    fn the_unit_names_program_configuration_and_folders() {
        let options = Options {
            config: "/etc/syncferry/agent.toml".into(),
            account: Some("syncferry".into()),
            password: None,
            start: false,
        };
        let text = unit(Path::new("/usr/bin/syncferry-agent"), &options, &Config::default());
        for line in [
            "Type=notify",
            "User=syncferry",
            "ExecStart=\"/usr/bin/syncferry-agent\" --config \"/etc/syncferry/agent.toml\" run",
            "ReadWritePaths=-/var/lib/syncferry-agent -/var/lib/syncferry-staging",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
