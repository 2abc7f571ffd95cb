//! `database add|list|show`.

use syncferry_proto::v1::{AddDatabaseRequest, Database, GetDatabaseRequest, ListDatabasesRequest};

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

fn one(database: &Database, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    cx.answer(&json::Database::from(database), |look| render::database(database, look))?;
    Ok(Exit::Ok)
}
