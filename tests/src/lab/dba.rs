//! The DBA of contoso.lab, before a server is replaced: who owns the database, who may use it, and what the agent may do there.
//! Looks first, so that it can be done again.

use std::net::SocketAddr;

use anyhow::Context;

use super::host::sql::{Session, Target, literal};
use super::world::{OLD_ACCOUNT, World};

const DBA: &str = r"CONTOSO\dba";
const AGENT: &str = r"NT AUTHORITY\SYSTEM";

/// Runs the T-SQL of a card on a SQL Server of the lab, as a DBA does who was given it: batch by batch.
pub(super) async fn run(port: u16, sql: &str) -> anyhow::Result<()> {
    let target = Target {
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        account: DBA.into(),
        database: "master".into(),
        program: "sqlcmd".into(),
        computer: "DBA01".into(),
    };
    let mut session = Session::connect(&target).await.context("the DBA cannot log in")?;
    for batch in sql.split("\nGO\n") {
        session
            .run(batch)
            .await
            .with_context(|| format!("the DBA's statement failed: {batch}"))?;
    }
    session.close().await;
    Ok(())
}

/// Prepares the database of a `replace-server` world.
pub(super) async fn prepare(world: &World) -> anyhow::Result<()> {
    let Some(flavour) = world.options().replaces else {
        return Ok(());
    };
    let name = &world.options().database;
    let target = Target {
        address: SocketAddr::from(([127, 0, 0, 1], world.ports().sql_target)),
        account: DBA.into(),
        database: name.clone(),
        program: "sqlcmd".into(),
        computer: "DBA01".into(),
    };
    let mut session = Session::connect(&target).await.context("the DBA cannot log in")?;
    let mut statements = vec![
        // What it reads besides tables, and what a fence writes, is granted with the roles.
        user(
            AGENT,
            &["db_backupoperator", "db_datareader", "db_securityadmin"],
            &format!(
                "GRANT EXECUTE TO [{AGENT}]; GRANT ALTER ON DATABASE::[{}] TO [{AGENT}]; ",
                name.replace(']', "]]")
            ),
        ),
        user(world.options().seat_account(), &["db_owner"], ""),
    ];
    if flavour.can_be_fenced() {
        statements.push(format!(
            "ALTER AUTHORIZATION ON DATABASE::[{}] TO sa;",
            name.replace(']', "]]")
        ));
        statements.push(user(OLD_ACCOUNT, &["db_owner"], ""));
    }
    for sql in statements {
        session
            .run(&sql)
            .await
            .with_context(|| format!("the DBA's statement failed: {sql}"))?;
    }
    session.close().await;
    Ok(())
}

/// A user with roles and grants, unless it is there.
fn user(account: &str, roles: &[&str], grants: &str) -> String {
    let members: String = roles
        .iter()
        .map(|role| format!("ALTER ROLE {role} ADD MEMBER [{account}]; "))
        .collect();
    format!(
        "IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = {}) BEGIN CREATE USER [{account}] FOR LOGIN [{account}]; {members}{grants}END;",
        literal(account)
    )
}
