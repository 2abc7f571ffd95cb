//! The configuration files of controller and agents. Written at every start: ports may have changed.

use std::fs;

use super::{HOSTS, World};

pub(super) fn write(world: &World) -> anyhow::Result<()> {
    fs::create_dir_all(world.controller_dir())?;
    for host in HOSTS {
        fs::create_dir_all(world.agent_dir(host))?;
    }
    Ok(())
}
