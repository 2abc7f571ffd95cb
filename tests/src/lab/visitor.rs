//! A program of somebody else's that has a session on the old server's database, for as long as the lab runs: the service of
//! another Connect server, or a monitoring. It does nothing there.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use super::host::layout::SERVICE_PROGRAM;
use super::host::sql::{Session, Target};
use super::processes::Program;
use super::roles;
use super::world::{OLD_SERVER, Visitor, World, visitor_account};

#[derive(Debug, Parser)]
#[command(name = roles::VISITOR)]
struct Args {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    account: String,
    #[arg(long)]
    database: String,
    #[arg(long)]
    program: String,
    #[arg(long)]
    computer: String,
    /// Written when the session is there
    #[arg(long)]
    ready: PathBuf,
}

/// The process of a visitor.
pub(super) fn program(world: &World, visitor: Visitor, replaces: bool) -> Program {
    let (program, computer) = match visitor {
        Visitor::ConnectServer => (SERVICE_PROGRAM, "SYNC09"),
        Visitor::Monitoring => ("Contoso Monitoring Agent", OLD_SERVER),
    };
    let port = if replaces {
        world.ports().sql_target
    } else {
        world.ports().sql_source
    };
    let name = format!("visitor-{}", computer.to_ascii_lowercase());
    let ready = world.dir().join("logs").join(format!("{name}.ready"));
    let words = [
        roles::VISITOR.to_string(),
        "--address".into(),
        format!("127.0.0.1:{port}"),
        "--account".into(),
        visitor_account(visitor).into(),
        "--database".into(),
        world.options().database.clone(),
        "--program".into(),
        program.into(),
        "--computer".into(),
        computer.into(),
        "--ready".into(),
        ready.display().to_string(),
    ];
    Program {
        name,
        arguments: words.map(OsString::from).to_vec(),
        ready: Some(ready),
    }
}

/// The hidden role.
pub(super) fn role(args: Vec<OsString>) -> ExitCode {
    let args = Args::parse_from(std::iter::once(roles::VISITOR.into()).chain(args));
    roles::in_runtime(async move {
        let target = Target {
            address: args.address,
            account: args.account,
            database: args.database,
            program: args.program,
            computer: args.computer,
        };
        let session = Session::connect(&target).await.context("the visitor cannot log in")?;
        std::fs::write(&args.ready, "in")?;
        roles::stop_signal().await;
        session.close().await;
        Ok(())
    })
}
