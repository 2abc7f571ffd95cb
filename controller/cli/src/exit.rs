//! How a command ends: the exit codes, once, for code, help and documents.

use std::process::ExitCode;

/// The exit codes. They are stable: scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// Something went wrong that has no code of its own.
    Error,
    /// The command line makes no sense.
    Usage,
    /// Refused by findings: blockers, or warnings that nobody accepted.
    Refused,
    /// There is no such thing.
    NotFound,
    /// The controller cannot be reached.
    Unreachable,
    /// The migration stopped or is stuck.
    Stopped,
    /// The migration was cancelled.
    Cancelled,
    /// An alarm is raised.
    Alarm,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// Every one.
    pub const ALL: &'static [Exit] = &[
        Exit::Ok,
        Exit::Error,
        Exit::Usage,
        Exit::Refused,
        Exit::NotFound,
        Exit::Unreachable,
        Exit::Stopped,
        Exit::Cancelled,
        Exit::Alarm,
        Exit::Interrupted,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Error => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
            Exit::NotFound => 4,
            Exit::Unreachable => 5,
            Exit::Stopped => 6,
            Exit::Cancelled => 7,
            Exit::Alarm => 8,
            Exit::Interrupted => 130,
        }
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "done",
            Exit::Error => "an error without a code of its own",
            Exit::Usage => "the command line makes no sense",
            Exit::Refused => "refused by findings: blockers, or warnings that were not accepted",
            Exit::NotFound => "there is no such thing",
            Exit::Unreachable => "the controller cannot be reached",
            Exit::Stopped => "the migration stopped or is stuck",
            Exit::Cancelled => "the migration was cancelled",
            Exit::Alarm => "an alarm is raised that nobody has acknowledged",
            Exit::Interrupted => "interrupted (Ctrl-C)",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// The table for the help.
pub(crate) fn table() -> String {
    let mut text = String::from("Exit codes:\n");
    for exit in Exit::ALL {
        text.push_str(&format!("  {:>3}  {}\n", exit.code(), exit.meaning()));
    }
    text
}
