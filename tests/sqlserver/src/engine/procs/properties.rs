//! `sp_addextendedproperty`, `sp_updateextendedproperty`, `sp_dropextendedproperty`.

use super::Call;
use crate::engine::errors::err;
use crate::engine::interpreter::Run;
use crate::engine::session::Session;
use crate::engine::statements::{PropertyChange, PropertyTarget};
use crate::types::Value;

const LEVELS: [&str; 6] = [
    "@level0type",
    "@level0name",
    "@level1type",
    "@level1name",
    "@level2type",
    "@level2name",
];

/// Runs one of the three. 0 is success.
pub(super) async fn run(session: &mut Session, name: &'static str, call: &Call) -> Run<i32> {
    let mut params = vec!["@name"];
    let dropping = name == "sp_dropextendedproperty";
    if !dropping {
        params.push("@value");
    }
    let levels = params.len();
    params.extend(LEVELS);
    let args = call.bind(name, &params)?;
    let property = args.required(0, "@name")?;
    let value = if dropping {
        Value::Null
    } else {
        args.arg(1).map_or(Value::Null, |a| a.value.clone())
    };
    let change = match name {
        "sp_addextendedproperty" => PropertyChange::Add(value),
        "sp_updateextendedproperty" => PropertyChange::Update(value),
        _ => PropertyChange::Drop,
    };
    if args.text(levels + 4).is_some() {
        return Err(err!(15_135, args.text(levels + 5).unwrap_or_default()).into());
    }
    let target = PropertyTarget {
        schema: args.text(levels + 1),
        object: args.text(levels + 3),
    };
    session.change_property(&property, change, &target).await?;
    Ok(0)
}
