//! The whole system on one machine, in one command. See the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    syncferry_tests::lab::cli::main(std::env::args_os().collect())
}
