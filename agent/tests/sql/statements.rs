//! Every statement that the agent can issue is understood by a server that parses T-SQL, also with the most awkward names.

use syncferry_agent::sql::statements::all_samples;
use syncferry_agent::sql::{SqlErrorKind, Statement};

use crate::lab::standard;

#[tokio::test]
async fn every_statement_is_understood() {
    let shared = tempfile::tempdir().unwrap();
    let target = standard(shared.path()).await;
    let mut refused = Vec::new();
    // A session that a sample names must not be ended for real.
    for (name, sql) in all_samples().into_iter().filter(|(name, _)| *name != "kill-session") {
        let mut session = target.work().await;
        let Err(error) = session.query(&Statement { name, sql }).await else {
            continue;
        };
        // What does not exist here may be refused; what is not understood may not.
        let missing = matches!(error.number(), Some(207 | 208 | 2812)) && name.starts_with("adsync-");
        if error.errors.is_empty() || (error.kind == SqlErrorKind::Statement && !missing) {
            refused.push(error.to_string());
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    target.stop().await;
}
