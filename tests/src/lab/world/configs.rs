//! The configuration files of controller and agents. Written at every start: ports may have changed.

use std::fs;

use serde_json::json;

use super::{HOSTS, World};

pub(super) fn write(world: &World) -> anyhow::Result<()> {
    fs::create_dir_all(world.controller_dir())?;
    write_toml(&world.controller_dir().join("controller.toml"), &controller(world))?;
    for host in HOSTS {
        fs::create_dir_all(world.agent_dir(host))?;
    }
    Ok(())
}

fn controller(world: &World) -> serde_json::Value {
    let fast = world.options().fast;
    let address = format!("127.0.0.1:{}", world.ports().controller);
    json!({
        "data_dir": world.controller_dir().join("data"),
        "listen": address,
        "advertise": address,
        "inspection_timeout_s": 60,
        "log": "info",
        // Everything a little faster than in earnest: nobody wants to wait in a lab.
        "leases": { "ttl_s": 60, "renew_every_s": 10, "grace_s": 15, "margin_s": 10 },
        "agents": {
            "heartbeat_s": if fast { 1 } else { 3 },
            "silent_after_s": if fast { 6 } else { 12 },
            "stop_after_s": 30,
            "certificate_days": 7,
        },
    })
}

fn write_toml(path: &std::path::Path, value: &serde_json::Value) -> anyhow::Result<()> {
    let text = toml::to_string_pretty(value)?;
    fs::write(path, format!("# Written by the lab at every start.\n{text}"))?;
    Ok(())
}
