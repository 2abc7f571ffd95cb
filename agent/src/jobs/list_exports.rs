//! `verify` on the server that is to become active: lists its pending exports attribute by attribute, with the tool that comes with
//! Connect. What it cannot list is unknown, with the reason, and fails nothing: the counts of the database are what is approved.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::exports::ExportList;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::ListExportsTask;
use syncferry_shared::sync_config::Unknown;

use super::common::minutes;
use super::look::{Look, LooksOnly};
use crate::runner::{Cx, Job, StepError};

/// The job.
pub(super) fn job(task: &ListExportsTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(ListExports(task.clone())))], |cx| Outcome {
        exports: cx
            .evidence("list-exports")
            .cloned()
            .and_then(|v| serde_json::from_value(v).ok()),
        ..Outcome::default()
    })
}

struct ListExports(ListExportsTask);

#[async_trait]
impl Look for ListExports {
    const NAME: &'static str = "list-exports";

    fn budget(&self) -> Duration {
        minutes(60)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let list = match cx.env.host.pending_exports().await {
            Ok(list) => list,
            Err(e) => ExportList {
                unknown: vec![Unknown {
                    fact: format!("attributes of the pending exports of {}", self.0.server),
                    why: e.to_string(),
                }],
                ..ExportList::default()
            },
        };
        for (connector, by) in &list.connectors {
            for (operation, exports) in by {
                cx.saw(format!("{operation} at {connector}"), exports.shown());
            }
        }
        for u in &list.unknown {
            cx.saw(&u.fact, format!("unknown: {}", u.why));
        }
        if list.connectors.values().all(BTreeMap::is_empty) && list.unknown.is_empty() {
            cx.saw("pending exports", "none");
        }
        Ok(serde_json::to_value(list).unwrap_or_default())
    }
}
