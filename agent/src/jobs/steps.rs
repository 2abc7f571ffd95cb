//! Steps that more than one job has.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;

use super::common::{OURS, minutes, staging};
use crate::runner::{Cx, Probe, Step, StepError};

/// Makes the migration's staging folder: for administrators, the system, this agent and the SQL Server's account only.
pub(super) struct SecureStaging {
    /// The account that SQL Server runs as, from an earlier step's evidence.
    pub(super) account_of: &'static str,
    /// Bytes that must be free there.
    pub(super) needs: u64,
}

#[async_trait]
impl Step for SecureStaging {
    fn name(&self) -> &'static str {
        "secure-staging"
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        // Making a folder and setting its rights again does no harm, and is surer than comparing access lists.
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let folder = staging(cx);
        let account = cx
            .evidence(self.account_of)
            .and_then(|e| e.get("service_account")?.as_str().map(str::to_string));
        let accounts: Vec<String> = account.into_iter().collect();
        cx.env.host.secure_dir(&folder, &accounts).await?;
        let free = cx.env.host.free_space(&folder).await?;
        if free < self.needs {
            return Err(Finding::blocker("no-space", format!("There is not enough room in {folder}"))
                .saw("free bytes", free)
                .saw("needed bytes", self.needs)
                .source("SQL Server errors 3202 and 3257")
                .next("Free space on that volume, or point the agent's staging_dir at another one, and run the job again.")
                .into());
        }
        Ok(json!({"folder": folder, "accounts": accounts, "free": free}))
    }
    async fn confirm(&self, _cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        Ok(())
    }
}

/// A finding for something that should not differ.
pub(super) fn differs(rule: &str, title: String, lines: Vec<(String, String, String)>, next: &str) -> Finding {
    let mut finding = Finding::blocker(rule, title).source(OURS).next(next);
    for (what, before, after) in lines.into_iter().take(20) {
        finding = finding.saw(what, format!("{before} before, {after} now"));
    }
    finding
}
