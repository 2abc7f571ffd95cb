//! `status`.

use syncferry_proto::v1::{GetMigrationRequest, ListMigrationsRequest};

use super::alarms;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::{json, render};

/// Where migrations stand
///
/// All of them, the newest first; or one, with its jobs, what went wrong, and what to do next. Without a migration, the exit
/// code is 8 while an alarm is raised that nobody has acknowledged.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The migration, by id or the tail of it
    migration: Option<String>,
    /// Only of this site, by name or id
    #[arg(long, conflicts_with = "migration")]
    site: Option<String>,
}

pub(crate) async fn run(args: Args, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    match args.migration {
        Some(migration) => {
            let m = session
                .call(session.service().get_migration(GetMigrationRequest { migration }))
                .await?;
            cx.answer(&json::Migration::from(&m), |look| render::status(&m, look))?;
        }
        None => {
            let request = ListMigrationsRequest {
                site: args.site.unwrap_or_default(),
            };
            let migrations = session
                .call(session.service().list_migrations(request))
                .await?
                .migrations;
            let raised = alarms::open(&session).await?;
            let value = json::Migrations {
                migrations: migrations.iter().map(json::Migration::from).collect(),
                alarms_raised: raised,
            };
            cx.answer(&value, |look| {
                render::migrations(&migrations, look) + &render::alarm_line(raised, look)
            })?;
            return Ok(alarms::exit(raised));
        }
    }
    Ok(Exit::Ok)
}
