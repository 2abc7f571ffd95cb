//! `compare`: a staging server's database against the active server's, as a diff that a person can read.

use syncferry_proto::schema;
use syncferry_proto::v1::CompareDatabasesRequest;
use syncferry_shared::compare::Comparison;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render;

/// Hold a staging server's database against the active server's
///
/// Asks the agents of both now and changes nothing: connectors, rules, attribute flows, filtering, optional features, objects,
/// pending exports, flagged full runs. `-` is the active server's, `+` the staging server's, `?` cannot be compared, `~` is to be
/// expected.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  syncferry compare SYNC01/localdb/ADSync SQL01/default/ADSync

Exit code 0 when they agree, 3 when they do not.")]
pub(crate) struct Args {
    /// The active server's database, by name or id
    active: String,
    /// The staging server's database, by name or id
    staging: String,
}

pub(crate) async fn run(args: Args, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    let request = CompareDatabasesRequest {
        active: args.active,
        staging: args.staging,
    };
    let response = session.call(session.service().compare_databases(request)).await?;
    let document = response
        .comparison
        .as_ref()
        .ok_or(syncferry_proto::InvalidMessage::Missing("comparison"))?;
    let comparison: Comparison = document.read(schema::COMPARISON)?;
    cx.answer(&comparison, |look| render::comparison(&comparison, look))?;
    Ok(if comparison.agrees() { Exit::Ok } else { Exit::Refused })
}
