//! Alarms that come from the passing of time: a fence that takes too long, a lease that was lost.

use super::term::{Right, begin};
use crate::alarms::evaluate;
use crate::core::Core;
use crate::problem::Problem;

pub(super) async fn look(core: &Core, right: &Right) -> Result<(), Problem> {
    if evaluate::is_due(core).await? {
        evaluate::settle_now(core, begin(core, "alarm.settle", right).await?).await?;
    }
    Ok(())
}
