//! `version`: this command's own. The controller's is in `health`.

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::json;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let value = json::Version {
        version: VERSION.to_string(),
    };
    cx.answer(&value, |_| format!("syncferry {VERSION}\n"))?;
    Ok(Exit::Ok)
}
