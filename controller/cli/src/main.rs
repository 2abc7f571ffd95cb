//! The binary `syncferry`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    syncferry_cli::main(std::env::args_os())
}
