//! The configuration files of controller and agents. Written at every start: ports may have changed.

use std::fs;

use serde_json::{Value, json};
use syncferry_proto::transport::private_file;

use super::sql::AGENT_LOGIN;
use super::{HOSTS, INSTANCE, OLD_SERVER, SQL_HOST, SQL_PORT, STAGING, TargetEngine, World};
use crate::lab::host::layout::VIRTUAL_ACCOUNT;
use crate::lab::host::sql::WINDOWS_PASSWORD;
use crate::lab::power::OLD_MACHINE;
use crate::lab::roles;

pub(super) fn write(world: &World) -> anyhow::Result<()> {
    fs::create_dir_all(world.controller_dir())?;
    write_toml(&world.controller_dir().join("controller.toml"), &controller(world))?;
    for host in HOSTS {
        let dir = world.agent_dir(host);
        fs::create_dir_all(&dir)?;
        private_file::write(&dir.join("sql.password"), WINDOWS_PASSWORD)?;
        write_agent(world, host, &format!("127.0.0.1:{}", world.ports().controller))?;
    }
    Ok(())
}

/// Writes an agent's configuration, with the address under which it finds the controller.
pub(super) fn write_agent(world: &World, host: &str, controller: &str) -> anyhow::Result<()> {
    let mut config = agent(world, host);
    config["controller"] = json!(controller);
    write_toml(&world.agent_dir(host).join("agent.toml"), &config)
}

fn controller(world: &World) -> Value {
    let fast = world.options().fast;
    let address = format!("127.0.0.1:{}", world.ports().controller);
    // Everything a little faster than in earnest: nobody wants to wait in a lab.
    let mut leases = json!({ "ttl_s": 60, "renew_every_s": 10, "grace_s": 15, "margin_s": 10 });
    if world.options().replaces.is_some() && fast {
        // A dead server's lease is to be lost soon, and its comeback to be seen soon.
        leases = json!({ "ttl_s": 12, "renew_every_s": 2, "grace_s": 2, "margin_s": 2, "watch_s": 3 });
    }
    json!({
        "data_dir": world.controller_dir().join("data"),
        "listen": address,
        "advertise": address,
        "inspection_timeout_s": 60,
        "log": "info",
        "leases": leases,
        "agents": {
            "heartbeat_s": 1,
            "silent_after_s": if fast { 6 } else { 12 },
            "stop_after_s": 30,
            "certificate_days": 7,
        },
    })
}

fn agent(world: &World, host: &str) -> Value {
    let ports = world.ports();
    let fast = world.options().fast;
    let mut config = json!({
        "data_dir": world.agent_dir(host).join("data"),
        "staging_dir": STAGING,
        // The SQL client tells of every row.
        "log": "info,mssql_tds=warn",
        "pace": {
            "look_again_ms": if fast { 150 } else { 500 },
            "retry_first_ms": 200,
            "retry_most_ms": 2_000,
            "permit_ms": if world.options().replaces.is_some() && fast { 4_000 } else { 20_000 },
            "reconnect_first_ms": 200,
            "reconnect_most_ms": 2_000,
        },
    });
    match host {
        // Its database is on the SQL host.
        OLD_SERVER if world.options().replaces.is_some() => {}
        OLD_SERVER => {
            let mut sql = sql(world, host, "source", ports.sql_source);
            sql["service_account"] = json!(VIRTUAL_ACCOUNT);
            config["sql"] = json!([sql]);
            let transfer = format!("127.0.0.1:{}", ports.transfer);
            config["transfer"] = json!({ "listen": transfer, "advertise": transfer });
        }
        SQL_HOST => {
            let mut sql = sql(world, host, "target", ports.sql_target);
            if world.options().target == TargetEngine::Localdb {
                sql["service_account"] = json!(VIRTUAL_ACCOUNT);
            } else {
                sql["connect_host"] = json!(SQL_HOST);
                sql["connect_port"] = json!(SQL_PORT);
            }
            config["sql"] = json!([sql]);
            // The lab's program is its own hypervisor.
            if let (Some(_), Ok(lab)) = (world.options().replaces, std::env::current_exe()) {
                config["power"] = json!({
                    "probe": [lab, roles::POWER, world.dir()],
                    "timeout_s": 20,
                    "machines": { OLD_SERVER: OLD_MACHINE },
                });
            }
        }
        _ => {}
    }
    config
}

/// The agent is LocalSystem on its host; the lab has no Kerberos, so it brings the password that all Windows accounts have.
fn sql(world: &World, host: &str, which: &str, port: u16) -> Value {
    json!({
        "name": INSTANCE,
        "endpoint": format!("tcp:127.0.0.1,{port}"),
        "login": { "user": AGENT_LOGIN, "password_file": world.agent_dir(host).join("sql.password") },
        "certificate_file": world.sql_dir(which).join("tls-certificate.pem"),
    })
}

fn write_toml(path: &std::path::Path, value: &Value) -> anyhow::Result<()> {
    let text = toml::to_string_pretty(value)?;
    fs::write(path, format!("# Written by the lab at every start.\n{text}"))?;
    Ok(())
}
