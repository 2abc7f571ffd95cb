//! `health`: whether the controller answers, and as whom it knows us.

use syncferry_proto::v1::GetVersionRequest;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::{json, render};

/// Whether the controller answers, and as whom it knows you
///
/// Exit code 5 when it does not.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_: Args, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    let asked = (cx.console.now)();
    let v = session
        .call(session.service().get_version(GetVersionRequest {}))
        .await?;
    let round_trip_ms = (cx.console.now)().since(asked).max(0);
    let value = json::Health {
        controller: session.controller.clone(),
        version: v.version.clone(),
        store_id: v.store_id.clone(),
        incarnation: v.incarnation,
        catalogue_signed_off: v.catalogue_signed_off.clone(),
        round_trip_ms,
        operator: session.operator.clone(),
        certificate_good_until: session.good_until.rfc3339(),
    };
    cx.answer(&value, |look| {
        render::health(
            &v,
            &session.controller,
            &session.operator,
            session.good_until,
            round_trip_ms,
            look,
        )
    })?;
    Ok(Exit::Ok)
}
