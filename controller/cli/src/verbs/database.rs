//! `database add|list|show`.

use syncferry_proto::schema;
use syncferry_proto::v1::{
    AddDatabaseRequest, Database, FenceRun, GetDatabaseRequest, GetMigrationRequest, ListDatabasesRequest, Migration,
    PlanFenceRequest,
};
use syncferry_shared::Finding;
use syncferry_shared::outcome::Outcome;

use super::lease;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::{json, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Look at a database through its host's agent and register it, with its lease
    #[command(after_help = "\
Example:
  syncferry database add ADSync --site contoso --host SYNC01 --instance localdb

The agent reads what the server says of the database; nothing in it is changed.")]
    Add {
        /// The database's name
        name: String,
        /// The site, by name or id
        #[arg(long)]
        site: String,
        /// The host whose agent reaches it, by name or id
        #[arg(long)]
        host: String,
        /// The instance's name in that agent's configuration
        #[arg(long)]
        instance: String,
    },
    /// Prove whether another way leads to a registered database
    ///
    /// Writes a nonce (an extended property) into the database, reads it by the other way, and removes it: the one thing that tells a
    /// database from its copy. The exact T-SQL is shown first, and nothing is written without approval.
    #[command(after_help = "\
Example:
  syncferry database prove SQL01/default/ADSync SQL02/default/ADSync --reason 'is the listener the same?' --dry-run")]
    Prove {
        /// The registered database: its name, its id, or HOST/INSTANCE/NAME
        database: String,
        /// The other way, as an agent goes it: HOST/INSTANCE/NAME
        other: String,
        /// Why, for the run's history
        #[arg(long)]
        reason: String,
        /// Only show what would be done
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// All databases, or those of a site
    List {
        /// Only of this site, by name or id
        #[arg(long)]
        site: Option<String>,
    },
    /// One database, with what was found in it
    Show {
        /// Its id, or its name where that is unique
        database: String,
    },
}

pub(crate) async fn run(verb: Verb, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    match verb {
        Verb::Add {
            name,
            site,
            host,
            instance,
        } => {
            cx.say(&format!("asking the agent on {} …\n", render::clean(&host)));
            let request = AddDatabaseRequest {
                site,
                host,
                instance,
                name,
            };
            let database = session.call(session.service().add_database(request)).await?;
            one(&database, cx)
        }
        Verb::Prove {
            database,
            other,
            reason,
            dry_run,
            yes,
        } => {
            let request = PlanFenceRequest {
                lease: database,
                run: FenceRun::Prove.into(),
                reason,
                other,
                ..PlanFenceRequest::default()
            };
            let (exit, migration) = lease::run_at_sql_server(&session, request, dry_run, yes, cx).await?;
            if !dry_run && exit == Exit::Ok && !cx.json() {
                let request = GetMigrationRequest { migration };
                let m = session.call(session.service().get_migration(request)).await?;
                let found = proven(&m)?;
                let text = render::findings(&found, &cx.look());
                cx.say(&text);
            }
            Ok(exit)
        }
        Verb::List { site } => {
            let request = ListDatabasesRequest {
                site: site.unwrap_or_default(),
            };
            let databases = session.call(session.service().list_databases(request)).await?.databases;
            let value = json::Databases {
                databases: databases.iter().map(json::Database::from).collect(),
            };
            cx.answer(&value, |look| render::databases(&databases, look))?;
            Ok(Exit::Ok)
        }
        Verb::Show { database } => {
            let database = session
                .call(session.service().get_database(GetDatabaseRequest { database }))
                .await?;
            one(&database, cx)
        }
    }
}

/// What the last job of a rendezvous says of it.
fn proven(m: &Migration) -> Result<Vec<Finding>, CliError> {
    let last = m.jobs.last().and_then(|j| j.result.as_ref());
    match last {
        Some(document) => Ok(document.read::<Outcome>(schema::OUTCOME)?.findings),
        None => Ok(vec![]),
    }
}

fn one(database: &Database, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    cx.answer(&json::Database::from(database), |look| render::database(database, look))?;
    Ok(Exit::Ok)
}
