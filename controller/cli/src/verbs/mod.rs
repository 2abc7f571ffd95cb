//! One file per verb: what it takes, what it asks the controller, what it shows.

pub(crate) mod alarms;
pub(crate) mod apply;
pub(crate) mod cancel;
pub(crate) mod catalogue;
pub(crate) mod checklist;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod database;
pub(crate) mod events;
pub(crate) mod gate;
pub(crate) mod health;
pub(crate) mod host;
pub(crate) mod lease;
pub(crate) mod papers;
pub(crate) mod plan;
mod replace_server;
pub(crate) mod report;
pub(crate) mod rules;
mod scenarios;
pub(crate) mod site;
pub(crate) mod status;
mod version;
pub(crate) mod watch;

use crate::args::Verb;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Runs a verb.
pub(crate) async fn run(verb: Verb, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    match verb {
        Verb::Site(verb) => site::run(verb, cx).await,
        Verb::Host(verb) => host::run(verb, cx).await,
        Verb::Database(verb) => database::run(verb, cx).await,
        Verb::Plan(args) => plan::run_with(args, cx).await,
        Verb::Apply(args) => apply::run(args, cx).await,
        Verb::Watch(args) => watch::run(args, cx).await,
        Verb::Status(args) => status::run(args, cx).await,
        Verb::Events(args) => events::run(args, cx).await,
        Verb::Gate(verb) => gate::run(verb, cx).await,
        Verb::Lease(verb) => lease::run(verb, cx).await,
        Verb::Compare(args) => compare::run(args, cx).await,
        Verb::Checklist(verb) => checklist::run(verb, cx).await,
        Verb::Alarms(args) => alarms::run(args, cx).await,
        Verb::Cancel(args) => cancel::run(args, cx).await,
        Verb::Report(args) => report::run(args, cx).await,
        Verb::Rules(args) => rules::list(&args, cx),
        Verb::Explain(args) => rules::explain(&args, cx),
        Verb::Catalogue(verb) => catalogue::run(verb, cx).await,
        Verb::Completions(args) => completions::run(args, cx),
        Verb::Health(args) => health::run(args, cx).await,
        Verb::Version => version::run(cx),
    }
}
