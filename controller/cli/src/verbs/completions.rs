//! `completions`: a script for the operator's shell.

use clap_complete::Shell;

use crate::args::command;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  syncferry completions bash > ~/.local/share/bash-completion/completions/syncferry
  syncferry completions powershell | Out-String | Invoke-Expression")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: Args, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "syncferry", &mut script);
    cx.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
