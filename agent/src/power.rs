//! Asks a program of the site whether a machine is off: by its whole path and without a shell, with a limit for its time and
//! for its words, and twice. What it prints is passed on as it is; what it is worth is the controller's to judge.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use syncferry_shared::inventory::Problem;
use syncferry_shared::power::{LOOKS_APART_MS, PowerLook, PowerRequest, PowerSight};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::clocks::Clocks;

/// More than an answer has.
const MOST_PRINTED: u64 = 16 << 10;
/// What is kept of complaints.
const MOST_TROUBLE: usize = 2_000;

/// The configured program.
#[derive(Debug, Clone)]
pub struct PowerProbe {
    /// The program and its first arguments.
    pub program: Vec<String>,
    /// For which machines it may be asked, and their ids.
    pub machines: BTreeMap<String, String>,
    /// How long one answer may take.
    pub limit: Duration,
    /// How long after the first answer the second one is asked for.
    pub apart: Duration,
}

/// What the program says of a machine; or why it is not asked.
pub(crate) async fn look(
    probe: Option<&PowerProbe>,
    clocks: &dyn Clocks,
    asked: &PowerRequest,
) -> Result<PowerSight, Problem> {
    let refused = |error: &str, next_step: String| Problem {
        subject: format!("power of {}", asked.machine),
        error: error.to_string(),
        next_step,
    };
    let Some(probe) = probe else {
        return Err(refused(
            "no program is configured that knows whether a machine is off",
            "Configure one in this agent's [power] section (docs/samples/agent.toml), or ask another host.".to_string(),
        ));
    };
    // The name and the id come from this machine's own configuration: nothing that was sent becomes an argument.
    let known = probe
        .machines
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(&asked.machine));
    let Some((machine, id)) = known else {
        return Err(refused(
            "the program may not be asked about this machine",
            format!(
                "Add {} with its id to [power.machines] in this agent's configuration, or ask another host.",
                asked.machine
            ),
        ));
    };
    let mut command = probe.program.clone();
    command.extend([machine.clone(), id.clone()]);
    let mut looks = Vec::new();
    let mut before = None;
    for _ in 0..2 {
        if before.is_some() {
            // A little more than is needed: the controller compares whole milliseconds.
            let apart = probe.apart.max(Duration::from_millis(LOOKS_APART_MS));
            tokio::time::sleep(apart + Duration::from_millis(5)).await;
        }
        let after_ms = before.map_or(0, |end: Instant| {
            u64::try_from(end.elapsed().as_millis()).unwrap_or(u64::MAX)
        });
        let at = clocks.now();
        let look = run(&command, probe.limit).await;
        before = Some(Instant::now());
        let answered = look.exit_code == Some(0);
        looks.push(PowerLook { at, after_ms, ..look });
        if !answered {
            break;
        }
    }
    Ok(PowerSight {
        machine: machine.clone(),
        id: id.clone(),
        program: probe.program.clone(),
        looks,
    })
}

/// Runs it once.
async fn run(command: &[String], limit: Duration) -> PowerLook {
    let trouble = |why: String| PowerLook {
        trouble: Some(why),
        ..PowerLook::default()
    };
    let mut child = match start(command) {
        Ok(child) => child,
        Err(e) => return trouble(format!("it could not be started: {e}")),
    };
    let ended = tokio::time::timeout(limit, answer(&mut child)).await;
    end(&mut child);
    match ended {
        Ok(Ok(look)) => look,
        Ok(Err(why)) => trouble(why),
        Err(_) => trouble(format!("it did not end within {} s", limit.as_secs())),
    }
}

fn start(command: &[String]) -> std::io::Result<Child> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| std::io::Error::other("nothing is configured"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // What it starts itself ends with it.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn()
}

/// Ends it and, where that can be done, what it started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(pid) = child
        .id()
        .and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?))
    {
        // It may have ended by itself meanwhile.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    let _ = child.start_kill();
}

/// What it printed, and how it ended.
async fn answer(child: &mut Child) -> Result<PowerLook, String> {
    let (Some(out), Some(complaints)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("its output cannot be read".to_string());
    };
    let (printed, complained) = tokio::try_join!(printed(out), tail(complaints))?;
    let status = child
        .wait()
        .await
        .map_err(|e| format!("how it ended is unknown: {e}"))?;
    let trouble = (!complained.is_empty()).then_some(complained);
    Ok(match status.code() {
        Some(code) => PowerLook {
            exit_code: Some(code),
            printed,
            trouble,
            ..PowerLook::default()
        },
        None => PowerLook {
            printed,
            trouble: Some(format!("it was ended from outside ({status})")),
            ..PowerLook::default()
        },
    })
}

/// All of it, if it is not too much.
async fn printed(out: impl AsyncRead + Unpin) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut limited = out.take(MOST_PRINTED + 1);
    limited
        .read_to_end(&mut bytes)
        .await
        .map_err(|e| format!("its output cannot be read: {e}"))?;
    if bytes.len() as u64 > MOST_PRINTED {
        return Err(format!("it printed more than {MOST_PRINTED} bytes"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The end of it.
async fn tail(mut complaints: impl AsyncRead + Unpin) -> Result<String, String> {
    let (mut kept, mut piece) = (Vec::new(), [0_u8; 1024]);
    loop {
        let n = complaints
            .read(&mut piece)
            .await
            .map_err(|e| format!("its complaints cannot be read: {e}"))?;
        if n == 0 {
            return Ok(String::from_utf8_lossy(&kept).trim().to_string());
        }
        kept.extend_from_slice(&piece[..n]);
        kept.drain(..kept.len().saturating_sub(MOST_TROUBLE));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use syncferry_shared::power::{PowerDoubt, is_off};

    use super::*;
    use crate::clocks::SystemClocks;

    /// A program of the site, as a script.
    struct Site {
        dir: tempfile::TempDir,
    }

    impl Site {
        fn new(script: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("power");
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
            Self { dir }
        }
        async fn asked(&self, machine: &str, limit: Duration) -> Result<PowerSight, Problem> {
            let probe = PowerProbe {
                program: vec![self.dir.path().join("power").display().to_string(), "first".into()],
                machines: BTreeMap::from([("SYNC01".to_string(), "vm; rm -rf $HOME".to_string())]),
                limit,
                apart: Duration::ZERO,
            };
            let request = PowerRequest {
                machine: machine.into(),
            };
            look(Some(&probe), &SystemClocks, &request).await
        }
        async fn trouble(&self, limit: Duration) -> String {
            let sight = self.asked("SYNC01", limit).await.unwrap();
            assert_eq!(sight.looks.len(), 1, "one failure is enough");
            is_off(&sight, &["SYNC01"]).unwrap_err().to_string()
        }
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn it_is_asked_twice_with_the_machines_name_and_id_and_nothing_is_read_by_a_shell() {
        let site = Site::new(
            r#"[ "$1" = first ] && [ "$2" = SYNC01 ] && [ $# = 3 ] || exit 9
printf '{"syncferry":"power/1","id":"%s","state":"off"}' "$3""#,
        );
        let sight = site.asked("sync01", LONG).await.unwrap();
        assert_eq!((sight.machine.as_str(), sight.looks.len()), ("SYNC01", 2));
        assert!(sight.looks[1].after_ms >= LOOKS_APART_MS, "{:?}", sight.looks);
        assert_eq!(is_off(&sight, &["SYNC01"]), Ok(()));
    }

    #[tokio::test]
    async fn a_machine_that_changes_between_the_looks_is_not_off() {
        let site = Site::new(
            r#"state=off; [ -e "$0.seen" ] && state=on; touch "$0.seen"
printf '{"syncferry":"power/1","id":"%s","state":"%s"}' "$3" "$state""#,
        );
        let sight = site.asked("SYNC01", LONG).await.unwrap();
        assert_eq!(
            is_off(&sight, &["SYNC01"]),
            Err(PowerDoubt::Changed("off".into(), "on".into()))
        );
    }

    #[tokio::test]
    async fn what_went_wrong_is_said() {
        let said = Site::new("echo 'no such machine' >&2; exit 4").trouble(LONG).await;
        assert_eq!(said, "it ended with exit code 4: no such machine");
        let said = Site::new("exec /nowhere/at-all").trouble(LONG).await;
        assert!(said.starts_with("it ended with exit code 12"), "{said}");
        let said = Site::new("yes").trouble(LONG).await;
        assert_eq!(said, "it printed more than 16384 bytes");
        let said = Site::new("kill -9 $$").trouble(LONG).await;
        assert!(said.starts_with("it was ended from outside"), "{said}");
        let site = Site::new("");
        std::fs::remove_file(site.dir.path().join("power")).unwrap();
        let said = site.trouble(LONG).await;
        assert!(said.starts_with("it could not be started"), "{said}");
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_ended_with_what_it_started() {
        let site = Site::new("sleep 1000 & echo $! > \"$0.pid\"; wait");
        let said = site.trouble(Duration::from_secs(1)).await;
        assert_eq!(said, "it did not end within 1 s");
        let pid = std::fs::read_to_string(site.dir.path().join("power.pid")).unwrap();
        let gone = || {
            let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            let state = status.rsplit(") ").next().and_then(|s| s.chars().next());
            // Whoever inherits it may still have to reap it.
            matches!(state, None | Some('Z' | 'X'))
        };
        let end = Instant::now() + LONG;
        while !gone() {
            assert!(Instant::now() < end, "what it started still runs");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn without_a_program_or_for_another_machine_nothing_is_asked() {
        let request = PowerRequest {
            machine: "SYNC01".into(),
        };
        let off = look(None, &SystemClocks, &request).await.unwrap_err();
        assert!(off.next_step.contains("[power]"), "{off:?}");
        let site = Site::new("touch \"$0.ran\"");
        let other = site.asked("SYNC02", LONG).await.unwrap_err();
        assert!(other.next_step.contains("[power.machines]"), "{other:?}");
        assert!(!site.dir.path().join("power.ran").exists());
    }

    #[tokio::test]
    async fn the_sample_for_libvirt_speaks_as_it_must() {
        let virsh = Site::new(
            r#"case "$*" in
    *domuuid*) echo 11111111-2222-3333-4444-555555555555; echo ;;
    *domstate*) cat "$0.state" ;;
    *dominfo*) echo 'Id:             -'; echo "Managed save:   $(cat "$0.saved")" ;;
    *) exit 1 ;;
esac"#,
        );
        let virsh = virsh.dir.path().join("power");
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/samples/power-virsh.sh");
        let said = |state: &str, saved: &str, id: &str| {
            std::fs::write(virsh.with_extension("state"), format!("{state}\n\n")).unwrap();
            std::fs::write(virsh.with_extension("saved"), saved).unwrap();
            let output = std::process::Command::new(sample)
                .args(["SYNC01", id])
                .env("SYNCFERRY_VIRSH", &virsh)
                .output()
                .unwrap();
            let look = PowerLook {
                exit_code: output.status.code(),
                printed: String::from_utf8(output.stdout).unwrap(),
                trouble: Some(String::from_utf8(output.stderr).unwrap().trim().to_string()),
                ..PowerLook::default()
            };
            syncferry_shared::power::state(&look, id).map_err(|e| e.to_string())
        };
        let id = "11111111-2222-3333-4444-555555555555";
        assert_eq!(said("shut off", "no", id).as_deref(), Ok("off"));
        assert_eq!(said("shut off", "yes", id).as_deref(), Ok("saved"));
        assert_eq!(said("running", "no", id).as_deref(), Ok("running"));
        assert_eq!(said("paused", "no", id).as_deref(), Ok("paused"));
        assert!(said("shut \"off", "no", id).unwrap_err().contains("unknown shape"));
        assert!(said("shut off", "no", "sync01").unwrap_err().contains("libvirt knows"));
    }
}
