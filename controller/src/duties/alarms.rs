//! Alarms that come from the passing of time: a fence that takes too long, a lease that was lost.

use crate::alarms::evaluate;
use crate::core::Core;
use crate::problem::Problem;

pub(super) async fn look(core: &Core) -> Result<(), Problem> {
    evaluate::look(core).await
}
