//! `cancel`.

use syncferry_proto::v1::CancelRequest;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::{json, render};

/// End a migration and undo what can be undone
///
/// Running jobs stop at their next safe point.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  syncferry cancel 0242ac12 --reason 'maintenance window is over'

When the wizard was completed on the new server there is no way back by Syncferry: this is refused then.")]
pub(crate) struct Args {
    /// The migration, by id or the tail of it
    migration: String,
    /// Why, for the audit trail
    #[arg(long)]
    reason: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(args: Args, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    if !args.yes {
        let question = format!(
            "Cancel migration {} and undo what it did?",
            render::clean(&args.migration)
        );
        cx.confirm(
            &question,
            "there is nobody to ask: add --yes to cancel without a question",
        )
        .await?;
    }
    let request = CancelRequest {
        migration: args.migration,
        reason: args.reason,
    };
    let migration = session.call(session.service().cancel(request)).await?;
    cx.answer(&json::Migration::from(&migration), |look| {
        render::status(&migration, look)
    })?;
    Ok(Exit::Ok)
}
