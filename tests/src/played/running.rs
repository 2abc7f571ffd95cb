//! A command of the lab that has not ended. It does not outlive the test.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::PATIENCE;

/// A command of the lab that has not ended.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub(super) fn start(mut command: Command, log: PathBuf) -> Running {
        let file = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Running { child, log }
    }

    /// What it said so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end: the exit code, and what it said.
    pub fn wait(mut self) -> (i32, String) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code().unwrap_or(-1), self.output());
            }
            if Instant::now() > end {
                self.child.kill().unwrap();
                panic!("the lab does not end:\n{}", self.output());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The same, where other things go on.
    pub async fn ended(self) -> (i32, String) {
        tokio::task::spawn_blocking(|| self.wait()).await.unwrap()
    }

    /// Presses Ctrl-C, and waits for its end.
    pub async fn interrupted(self) -> (i32, String) {
        signal(pid(&self.child), Signal::INT).unwrap();
        self.ended().await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        if let Ok(None) = self.child.try_wait() {
            let _ = signal(pid(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

pub(super) fn signal(pid: i32, signal: Signal) -> rustix::io::Result<()> {
    kill_process(Pid::from_raw(pid).unwrap(), signal)
}
