//! The command line: global options and verbs. What each verb takes stands in its own file.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::exit;
use crate::verbs::{
    alarms, apply, cancel, catalogue, checklist, compare, completions, database, events, gate, health, host, lease,
    plan, report, rules, site, status, watch,
};

const ABOUT: &str =
    "Moves a Microsoft Entra Connect database to a full SQL Server and seats a new Connect server on it";

const FIRST_STEPS: &str = "\
From nothing to a running migration:
  syncferry site add contoso --tenant-id 3f0e1f5c-0000-4000-8000-000000000001
  syncferry host add SYNC01 --site contoso --role sql-host,connect-server
  syncferry database add ADSync --site contoso --host SYNC01 --instance localdb
  syncferry plan move-to-full-sql --help
  syncferry apply 0242ac12
  syncferry watch 0242ac12

Ids may be given by their tail (at least four digits), sites, hosts and databases also by name.

";

const JSON: &str = "
With --json, stdout has JSON and nothing else, failures included: {\"error\": {\"kind\", \"exit\", \"message\",
\"findings\", \"advice\"}}. Everything else goes to stderr.
";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "syncferry",
    bin_name = "syncferry",
    version,
    about = ABOUT,
    after_long_help = after_help(),
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

fn after_help() -> String {
    format!("{FIRST_STEPS}{}{JSON}", exit::table())
}

/// Options of every verb.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Your credentials file [default: syncferry/credentials.toml in your configuration folder]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SYNCFERRY_CREDENTIALS",
        hide_env_values = true
    )]
    pub(crate) credentials: Option<PathBuf>,
    /// Answer in JSON, for scripts
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No colours (also: NO_COLOR)
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Only the result and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Sites: one Entra tenant's synchronisation each
    #[command(subcommand)]
    Site(site::Verb),
    /// Hosts and the tokens with which their agents enrol
    #[command(subcommand)]
    Host(host::Verb),
    /// Databases: what the server itself says they are
    #[command(subcommand)]
    Database(database::Verb),
    Plan(plan::Args),
    Apply(apply::Args),
    Watch(watch::Args),
    Status(status::Args),
    Events(events::Args),
    /// Gates: points where a person must act
    #[command(subcommand)]
    Gate(gate::Verb),
    /// Leases: which Connect server may use which database
    #[command(subcommand)]
    Lease(lease::Verb),
    Compare(compare::Args),
    /// After-care: what is left to do after an installation, proven or attested
    #[command(subcommand)]
    Checklist(checklist::Verb),
    Alarms(alarms::Args),
    Cancel(cancel::Args),
    Report(report::Args),
    Rules(rules::ListArgs),
    Explain(rules::ExplainArgs),
    /// The catalogue of versions that rules judge by
    #[command(subcommand)]
    Catalogue(catalogue::Verb),
    Completions(completions::Args),
    Health(health::Args),
    /// This command's version
    Version,
}

impl Verb {
    /// What goes on when this verb is interrupted.
    pub(crate) fn goes_on(&self) -> Option<String> {
        let id = match self {
            Verb::Watch(args) => &args.migration,
            Verb::Apply(args) => &args.migration,
            Verb::Plan(_) => return Some("The controller goes on planning: syncferry status".to_string()),
            _ => return None,
        };
        Some(format!(
            "The migration does not end with this command: syncferry watch {}",
            crate::render::clean(id)
        ))
    }
}

/// The command for completions and for documents.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_is_consistent() {
        super::command().debug_assert();
    }
}
