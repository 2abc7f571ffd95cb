//! The lab's hypervisor, as far as an agent's `[power]` section asks one: whether the old server's machine is off. It is off when
//! it was switched off and its process is gone; the file alone is not believed.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::processes::Supervisor;
use super::world::{OLD_SERVER, World};

/// The id of the old server's machine.
pub(super) const OLD_MACHINE: &str = "3f0c7b52-8a1d-4f6e-9b23-5d1c0a7e4411";

/// `__power <the lab's folder> <machine> <id>`: one line, as `shared/src/power.rs` wants it.
pub(super) fn main(args: &[OsString]) -> ExitCode {
    let [dir, machine, id] = args else {
        eprintln!("usage: __power FOLDER MACHINE ID");
        return ExitCode::from(2);
    };
    if !machine.eq_ignore_ascii_case(OLD_SERVER) || id.to_str() != Some(OLD_MACHINE) {
        eprintln!("there is no machine {} with that id", machine.to_string_lossy());
        return ExitCode::FAILURE;
    }
    match state(Path::new(dir)) {
        Ok(state) => {
            println!("{}", json!({"syncferry": "power/1", "id": OLD_MACHINE, "state": state}));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn state(dir: &Path) -> anyhow::Result<&'static str> {
    let world = World::look(dir)?;
    let process = format!("host-{}", OLD_SERVER.to_ascii_lowercase());
    let runs = Supervisor::leftovers(dir).iter().any(|p| p.name == process);
    Ok(if world.old_server_is_off() && !runs {
        "off"
    } else {
        "running"
    })
}
