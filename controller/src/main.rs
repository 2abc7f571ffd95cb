//! Process entry of `syncferry-controller`.

use std::process::ExitCode;

fn main() -> ExitCode {
    syncferry_controller::cli::main_with(std::env::args_os())
}
