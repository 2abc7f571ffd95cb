//! The operator's command line: a client of the `Operator` service and nothing more. It decides nothing that the
//! controller does not decide again.
//!
//! ```text
//!  args ──> verbs/<verb> ──> Operator service ──> render/<noun> (for people)  or  json/<noun> (for scripts)
//! ```
//!
//! Results go to stdout, everything else to stderr, so that `--json` output can be piped as it stands.

mod args;
mod clock;
mod console;
mod context;
mod error;
mod exit;
pub mod json;
mod paths;
pub mod render;
mod session;
mod verbs;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

pub use args::command;
pub use console::{Answers, Console};
pub use error::CliError;
pub use exit::Exit;

use args::Cli;
use context::Context;

/// The whole process: reads the arguments, makes a runtime and answers on stdout and stderr.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return Exit::Error.into();
        }
    };
    let exit = runtime.block_on(async {
        let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
        run(args, &mut Console::of_process(&mut out, &mut err)).await
    });
    runtime.shutdown_background();
    exit.into()
}

/// Runs one command line, the program's name first.
pub async fn run(args: impl IntoIterator<Item = OsString>, console: &mut Console<'_>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return say_usage(&error, console),
    };
    let (global, verb) = (cli.global, cli.verb);
    let hint = verb.goes_on();
    let mut context = Context::new(console, global);
    let result = tokio::select! {
        result = verbs::run(verb, &mut context) => result,
        _ = tokio::signal::ctrl_c() => Err(CliError::Interrupted { hint }),
    };
    match result {
        Ok(exit) => exit,
        Err(error) => context.fail(&error),
    }
}

/// What clap has to say: help and version on stdout, usage errors on stderr.
fn say_usage(error: &clap::Error, console: &mut Console<'_>) -> Exit {
    let text = error.render();
    let text = if console.color {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    if error.use_stderr() {
        console.write_err(&text);
        Exit::Usage
    } else {
        match console.write_out(&text) {
            Ok(()) => Exit::Ok,
            Err(_) => Exit::Error,
        }
    }
}
