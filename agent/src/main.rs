//! Process entry of `syncferry-agent`.

use std::process::ExitCode;

fn main() -> ExitCode {
    syncferry_agent::cli::main_with(std::env::args_os())
}
