//! Starts the lab's processes, each in a process group of its own, and ends them: only those it started, by id. What a
//! crashed lab left behind in the same folder is found by process id and start time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};

const READY_TIMEOUT: Duration = Duration::from_secs(90);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(15);
const KEEP_ALIVE_EVERY: Duration = Duration::from_millis(200);

/// A process to be started.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its name in the lab, for example `agent-sync01`.
    pub name: String,
    /// The arguments after the program: the hidden role and what it needs.
    pub arguments: Vec<OsString>,
    /// The file that it writes when it is ready; `None` when it is ready at once.
    pub ready: Option<PathBuf>,
}

/// Why a process was not started or ended.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The system refused.
    #[error("{name}: {error}")]
    Io {
        /// The process.
        name: String,
        /// The error.
        error: io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended before it was ready ({status}). The end of {log}:\n{tail}")]
    Ended {
        /// The process.
        name: String,
        /// How.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// It did not become ready.
    #[error("{name} was not ready within {seconds} s. The end of {log}:\n{tail}")]
    NotReady {
        /// The process.
        name: String,
        /// The limit.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// Nothing of that name runs.
    #[error("{0} does not run")]
    Unknown(String),
}

/// A process as `state.json` remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its name.
    pub name: String,
    /// Its id.
    pub pid: i32,
    /// When it began, in the kernel's ticks: an id alone may belong to somebody else by now.
    pub started: Option<u64>,
}

impl Recorded {
    /// Whether this very process still runs.
    pub fn alive(&self) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return false;
        };
        test_kill_process(pid).is_ok() && start_of(self.pid) == self.started && !is_zombie(self.pid)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.alive()) {
            // It may have ended in between.
            let _ = kill_process(pid, signal);
        }
    }
}

struct Running {
    child: Child,
    recorded: Recorded,
    program: Program,
}

/// Starts and ends the processes of one lab folder.
pub struct Supervisor {
    exe: PathBuf,
    dir: PathBuf,
    running: BTreeMap<String, Running>,
    detached: bool,
}

impl Supervisor {
    /// A supervisor for a folder; `exe` knows the hidden roles.
    pub fn new(exe: &Path, dir: &Path) -> Supervisor {
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let me = Recorded {
            name: "lab".into(),
            pid,
            started: start_of(pid),
        };
        // Without the file another lab could not tell; that is no reason not to run.
        let _ = serde_json::to_vec(&me).map(|json| fs::write(owner_file(dir), json));
        Supervisor {
            exe: exe.to_path_buf(),
            dir: dir.to_path_buf(),
            running: BTreeMap::new(),
            detached: false,
        }
    }

    /// Whether another lab works in this folder at this moment: its process, if it does.
    pub fn owner(dir: &Path) -> Option<Recorded> {
        let json = fs::read(owner_file(dir)).ok()?;
        let owner: Recorded = serde_json::from_slice(&json).ok()?;
        let me = i32::try_from(std::process::id()).unwrap_or_default();
        (owner.pid != me && owner.alive()).then_some(owner)
    }

    /// What is left over from an earlier lab in this folder and still runs.
    pub fn leftovers(dir: &Path) -> Vec<Recorded> {
        let recorded: Vec<Recorded> = fs::read(state_file(dir))
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or_default();
        recorded.into_iter().filter(Recorded::alive).collect()
    }

    /// Ends what an earlier lab left over: asks first, then insists.
    pub fn end_leftovers(dir: &Path) -> Vec<Recorded> {
        let leftovers = Self::leftovers(dir);
        for group in groups(leftovers.clone(), |r| r) {
            for process in &group {
                process.signal(Signal::TERM);
            }
            let deadline = Instant::now() + STOP_TIMEOUT;
            while group.iter().any(Recorded::alive) && Instant::now() < deadline {
                std::thread::sleep(LOOK_EVERY);
            }
            for process in &group {
                process.signal(Signal::KILL);
            }
        }
        // A file that is not there is as good.
        let _ = fs::remove_file(state_file(dir));
        leftovers
    }

    /// Starts a process and waits until it is ready.
    pub async fn start(&mut self, program: Program) -> Result<(), ProcessError> {
        let name = program.name.clone();
        let failed = |error| ProcessError::Io {
            name: name.clone(),
            error,
        };
        if let Some(ready) = &program.ready {
            match fs::remove_file(ready) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
                _ => {}
            }
        }
        let child = self.spawn(&program).map_err(failed)?;
        // Process ids are positive and fit.
        let pid = i32::try_from(child.id()).unwrap_or_default();
        let recorded = Recorded {
            name: name.clone(),
            pid,
            started: start_of(pid),
        };
        let running = Running {
            child,
            recorded,
            program,
        };
        self.running.insert(name.clone(), running);
        self.record().map_err(failed)?;
        self.wait_ready(&name).await
    }

    fn spawn(&self, program: &Program) -> io::Result<Child> {
        let path = self.log(&program.name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let log = OpenOptions::new().create(true).append(true).open(path)?;
        Command::new(&self.exe)
            .args(&program.arguments)
            // The output goes to a file.
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C in the terminal is for us, and we end the others in order.
            .process_group(0)
            .spawn()
    }

    /// Runs a process to its end and expects it to end well.
    pub async fn run_to_end(&mut self, name: &str, arguments: Vec<OsString>) -> Result<(), ProcessError> {
        let failed = |error| ProcessError::Io {
            name: name.to_string(),
            error,
        };
        let program = Program {
            name: name.to_string(),
            arguments,
            ready: None,
        };
        let mut child = self.spawn(&program).map_err(failed)?;
        let status = tokio::task::spawn_blocking(move || child.wait()).await;
        // It does not panic.
        let status = status.map_err(io::Error::other).and_then(|s| s).map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        let log = self.log(name);
        Err(ProcessError::Ended {
            name: name.to_string(),
            status: status.to_string(),
            tail: tail(&log),
            log,
        })
    }

    async fn wait_ready(&mut self, name: &str) -> Result<(), ProcessError> {
        let log = self.log(name);
        let running = self
            .running
            .get_mut(name)
            .ok_or_else(|| ProcessError::Unknown(name.to_string()))?;
        let Some(ready) = running.program.ready.clone() else {
            return Ok(());
        };
        let deadline = Instant::now() + READY_TIMEOUT;
        while !ready.exists() {
            let status = running.child.try_wait().map_err(|error| ProcessError::Io {
                name: name.to_string(),
                error,
            })?;
            if let Some(status) = status {
                self.running.remove(name);
                return Err(ProcessError::Ended {
                    name: name.to_string(),
                    status: status.to_string(),
                    tail: tail(&log),
                    log,
                });
            }
            if Instant::now() > deadline {
                return Err(ProcessError::NotReady {
                    name: name.to_string(),
                    seconds: READY_TIMEOUT.as_secs(),
                    tail: tail(&log),
                    log,
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// The log of a process.
    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }

    /// The names of the processes that run, in no order.
    pub fn names(&self) -> Vec<String> {
        self.running.keys().cloned().collect()
    }

    /// The id of a process.
    pub fn pid(&self, name: &str) -> Option<i32> {
        self.running.get(name).map(|r| r.recorded.pid)
    }

    /// Starts whatever ends by itself again, as a service manager would, and says so. Ends only with an error.
    pub async fn keep_alive(&mut self, mut say: impl FnMut(&str)) -> Result<Infallible, ProcessError> {
        loop {
            tokio::time::sleep(KEEP_ALIVE_EVERY).await;
            self.revive(&mut say).await?;
        }
    }

    /// Starts what ended by itself again, and says so: one round of [`Supervisor::keep_alive`]. Answers with how many there were.
    pub async fn revive(&mut self, mut say: impl FnMut(&str)) -> Result<usize, ProcessError> {
        let ended = self.take_ended();
        let count = ended.len();
        for (program, status) in ended {
            say(&format!("{} ended ({status}) and is started again", program.name));
            self.start(program).await?;
        }
        Ok(count)
    }

    /// Takes the processes that ended by themselves out, with their exit states.
    fn take_ended(&mut self) -> Vec<(Program, String)> {
        let mut ended = Vec::new();
        for running in self.running.values_mut() {
            if let Ok(Some(status)) = running.child.try_wait() {
                ended.push((running.program.clone(), status.to_string()));
            }
        }
        for (program, _) in &ended {
            self.running.remove(&program.name);
        }
        ended
    }

    /// Kills a process at once, as a power cut would, and waits until it is gone.
    pub fn kill(&mut self, name: &str) -> Result<Program, ProcessError> {
        let mut running = self
            .running
            .remove(name)
            .ok_or_else(|| ProcessError::Unknown(name.to_string()))?;
        let failed = |error| ProcessError::Io {
            name: name.to_string(),
            error,
        };
        running.child.kill().map_err(failed)?;
        running.child.wait().map_err(failed)?;
        self.record().map_err(failed)?;
        Ok(running.program)
    }

    /// Kills a process and starts it again.
    pub async fn kill_and_restart(&mut self, name: &str) -> Result<(), ProcessError> {
        let program = self.kill(name)?;
        self.start(program).await
    }

    /// Ends a process in order and waits for it.
    pub async fn stop(&mut self, name: &str) -> Result<Program, ProcessError> {
        let running = self
            .running
            .remove(name)
            .ok_or_else(|| ProcessError::Unknown(name.to_string()))?;
        let program = running.program.clone();
        let ending = tokio::task::spawn_blocking(move || end(vec![running]));
        // It does not panic.
        let _ = ending.await;
        self.record().map_err(|error| ProcessError::Io {
            name: name.to_string(),
            error,
        })?;
        Ok(program)
    }

    /// Ends everything: agents first, then the controller, then what they talk to.
    pub async fn stop_all(&mut self) {
        let all: Vec<Running> = std::mem::take(&mut self.running).into_values().collect();
        let ending = tokio::task::spawn_blocking(move || end(all));
        // It does not panic.
        let _ = ending.await;
        let _ = fs::remove_file(state_file(&self.dir));
    }

    /// Leaves the processes running when this supervisor goes.
    pub fn detach(mut self) {
        self.detached = true;
    }

    fn record(&self) -> io::Result<()> {
        let mut all: Vec<&Recorded> = self.running.values().map(|r| &r.recorded).collect();
        all.sort_by_key(|r| r.started);
        let json = serde_json::to_vec_pretty(&all)?;
        let path = state_file(&self.dir);
        let temporary = path.with_extension("new");
        fs::write(&temporary, json)?;
        fs::rename(temporary, path)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = fs::remove_file(owner_file(&self.dir));
        if !self.detached {
            let all = std::mem::take(&mut self.running).into_values().collect::<Vec<_>>();
            if !all.is_empty() {
                end(all);
                let _ = fs::remove_file(state_file(&self.dir));
            }
        }
    }
}

/// Asks, waits, insists: group by group, the last ones started first, so that nobody sees what it talks to go away while it
/// works. Children are reaped, so that no id is taken for a living process.
fn end(all: Vec<Running>) {
    for group in groups(all, |r| &r.recorded) {
        end_group(group);
    }
}

fn end_group(mut all: Vec<Running>) {
    for running in &all {
        running.recorded.signal(Signal::TERM);
    }
    let deadline = Instant::now() + STOP_TIMEOUT;
    all.retain_mut(|running| {
        loop {
            match running.child.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK_EVERY),
                Ok(None) => return true,
                Ok(Some(_)) | Err(_) => return false,
            }
        }
    });
    for mut running in all {
        tracing::warn!(name = running.recorded.name, "did not end in time and is killed");
        // Both fail only when it is gone.
        let _ = running.child.kill();
        let _ = running.child.wait();
    }
}

/// Processes by the first part of their names (`agent-sync01` and `agent-sql01` belong together), the last started first.
fn groups<T>(mut all: Vec<T>, recorded: impl Fn(&T) -> &Recorded) -> Vec<Vec<T>> {
    all.sort_by_key(|t| std::cmp::Reverse(recorded(t).started));
    let mut groups: Vec<(String, Vec<T>)> = Vec::new();
    for one in all {
        let kind = recorded(&one).name.split('-').next().unwrap_or_default().to_string();
        match groups.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, group)) => group.push(one),
            None => groups.push((kind, vec![one])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn state_file(dir: &Path) -> PathBuf {
    dir.join("state.json")
}

fn owner_file(dir: &Path) -> PathBuf {
    dir.join("lab.pid")
}

/// Field 22 of `/proc/<pid>/stat`. Other systems have no such file: there the id alone must do.
fn start_of(pid: i32) -> Option<u64> {
    stat(pid)?.split_whitespace().nth(19)?.parse().ok()
}

fn is_zombie(pid: i32) -> bool {
    stat(pid).is_some_and(|s| s.trim_start().starts_with('Z'))
}

/// What follows the program's name, which may contain anything.
fn stat(pid: i32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ").map(|(_, rest)| rest.to_string())
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(dir: &Path, script: &str, ready: bool) -> (Supervisor, Program) {
        let supervisor = Supervisor::new(Path::new("/bin/sh"), dir);
        let program = Program {
            name: "sleeper".into(),
            arguments: vec!["-c".into(), script.into()],
            ready: ready.then(|| dir.join("port")),
        };
        (supervisor, program)
    }

    #[tokio::test]
    async fn starts_waits_and_ends_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let script = format!("echo 1 > {}; exec sleep 600", dir.path().join("port").display());
        let (mut supervisor, program) = sleeper(dir.path(), &script, true);
        supervisor.start(program).await.unwrap();
        let first = supervisor.pid("sleeper").unwrap();
        assert_eq!(Supervisor::leftovers(dir.path()).len(), 1, "another lab would see it");
        supervisor.kill_and_restart("sleeper").await.unwrap();
        let second = supervisor.pid("sleeper").unwrap();
        assert_ne!(second, first);
        kill_process(Pid::from_raw(second).unwrap(), Signal::KILL).unwrap();
        let mut said = String::new();
        while said.is_empty() {
            let look = supervisor.keep_alive(|line| said.push_str(line));
            // It never ends by itself; what it did within this time stays done.
            let _ = tokio::time::timeout(Duration::from_secs(1), look).await;
        }
        assert!(said.contains("sleeper ended (signal: 9"), "{said}");
        assert!(supervisor.pid("sleeper").is_some_and(|third| third != second));
        supervisor.stop_all().await;
        assert!(Supervisor::leftovers(dir.path()).is_empty());
    }

    #[tokio::test]
    async fn says_what_a_process_said_that_did_not_come_up() {
        let dir = tempfile::tempdir().unwrap();
        let (mut supervisor, program) = sleeper(dir.path(), "echo no such folder; exit 3", true);
        let error = supervisor.start(program).await.unwrap_err().to_string();
        assert!(
            error.contains("no such folder") && error.contains("exit status: 3"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn leftovers_are_ended_by_id_and_start_time() {
        let dir = tempfile::tempdir().unwrap();
        let (mut supervisor, program) = sleeper(dir.path(), "exec sleep 600", false);
        supervisor.start(program).await.unwrap();
        let mut recorded = Supervisor::leftovers(dir.path());
        recorded[0].started = Some(1);
        assert!(!recorded[0].alive(), "the same id of another time is another process");
        // As a lab that was killed leaves it; its child is reaped here, because this process is the parent.
        let mut child = supervisor.running.remove("sleeper").unwrap().child;
        let reaper = std::thread::spawn(move || child.wait());
        assert_eq!(Supervisor::end_leftovers(dir.path()).len(), 1);
        reaper.join().unwrap().unwrap();
        assert!(Supervisor::leftovers(dir.path()).is_empty());
    }
}
