//! Steps that more than one job has.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::finding::bytes;

use super::common::{OURS, minutes, staging};
use crate::runner::{Cx, Probe, Step, StepError};
use crate::transfer;

/// Makes the migration's staging folder: for administrators, the system, this agent and the SQL Server's account only.
pub(super) struct SecureStaging {
    /// The account that SQL Server runs as, from an earlier step's evidence.
    pub(super) account_of: &'static str,
    /// Bytes that the job needs there.
    pub(super) needs: u64,
    /// A file there that an earlier try may have begun: what it takes up already need not be free.
    pub(super) has: Option<String>,
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
        let there = self.has.as_ref().map_or(0, |name| {
            transfer::taken_up(&cx.local_path(&cx.env.host.join(&folder, name)))
        });
        let needs = self.needs.saturating_sub(there);
        if free < needs {
            return Err(no_space(&folder, free, needs).into());
        }
        Ok(json!({"folder": folder, "accounts": accounts, "free": free}))
    }
    async fn confirm(&self, _cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        Ok(())
    }
}

/// The same rule that the plan has, looked at again right before the space is taken.
fn no_space(folder: &str, free: u64, needs: u64) -> Finding {
    let missing = bytes(needs.saturating_sub(free));
    Finding::blocker("no-space", format!("The backup does not fit into {folder} any more"))
        .saw(format!("free in {folder}"), bytes(free))
        .saw("needed", bytes(needs))
        .source("Syncferry: a backup is not begun where it cannot end (SQL Server errors 3202 and 3257)")
        .next(format!(
            "Free {missing} on that volume and apply the migration again: it goes on from here. To use another volume, \
             change staging_dir in the agent's configuration, restart the agent, cancel the migration and plan again."
        ))
}

/// A finding for something that should not differ.
pub(super) fn differs(rule: &str, title: String, lines: Vec<(String, String, String)>, next: &str) -> Finding {
    let mut finding = Finding::blocker(rule, title).source(OURS).next(next);
    for (what, before, after) in lines.into_iter().take(20) {
        finding = finding.saw(what, format!("{before} before, {after} now"));
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_volume_says_how_much_is_missing() {
        let finding = no_space(r"D:\Syncferry\staging\0a1b2c3d", 1_500 << 20, 2 << 30);
        insta::assert_snapshot!(serde_json::to_string_pretty(&finding).unwrap());
    }
}
