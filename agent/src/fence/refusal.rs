//! What the fence's own error numbers mean to a job.

use syncferry_shared::Finding;

use crate::runner::StepError;
use crate::sql::SqlError;
use crate::sql::statements::fence as said;

const SOURCE: &str = "Syncferry: docs/SECURITY.md, the fence at SQL Server";

/// An error of one of the fence's transactions, which has rolled everything back.
pub fn refused(error: SqlError) -> StepError {
    let Some(number) = error.number() else {
        return error.into();
    };
    let (rule, title, next) = match number {
        said::BUSY => {
            let finding = finding(
                &error,
                "fence-busy",
                "Another fence runs on this database",
                "Let it end; this job tries again for a while.",
            );
            return StepError::passing(finding);
        }
        said::NOT_WRITABLE => (
            "fence-not-writable",
            "The database takes no changes where the agent reaches it",
            "Give the agent an endpoint that leads to the primary replica, then plan the run again.",
        ),
        said::OTHER_DATABASE => (
            "fence-other-database",
            "This is not the database that the run was made for",
            "It was restored, replaced or copied. Nothing was changed. Find out which database the servers use (`lease show`, `lease adopt`), then plan the run again.",
        ),
        said::STALE => (
            "fence-stale-epoch",
            "The database has seen a newer epoch than this run's",
            "Somebody fenced or opened it since this run was made; nothing was changed. Look at `lease history`. After a restore of the controller's store this is its older state speaking: do not repeat the run, adopt the lease first.",
        ),
        said::INCOMPLETE => (
            "fence-marks-incomplete",
            "Some of our marks are on the database and others are not",
            "Somebody removed or wrote them by hand; nothing was changed. Remove the rest with `lease marks remove`, then plan the run again.",
        ),
        said::USER_CHANGED => (
            "fence-user-changed",
            "A login has another user in the database than when the run was shown",
            "Nothing was changed. Plan the run again and look at its statements.",
        ),
        said::NOT_BOUND => (
            "fence-not-bound",
            "A login became owner or sysadmin since the run was shown: a denial would not bind it",
            "Nothing was changed. Plan the run again; its findings say what to do.",
        ),
        said::MARK_FAILED => (
            "fence-mark-failed",
            "SQL Server did not take a mark",
            "Nothing was changed. Check that the agent's login has ALTER on the database.",
        ),
        _ => return error.into(),
    };
    StepError::failed(finding(&error, rule, title, next))
}

fn finding(error: &SqlError, rule: &str, title: &str, next: &str) -> Finding {
    let mut finding = Finding::blocker(rule, title);
    for message in &error.errors {
        finding = finding.saw(format!("{} on {}", error.statement, error.instance), message);
    }
    finding.source(SOURCE).next(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::ServerMessage;

    #[test]
    fn each_number_has_its_words_and_no_other_is_taken() {
        let error = |number| {
            let message = ServerMessage {
                number,
                state: 1,
                class: 16,
                text: "x".into(),
            };
            refused(SqlError::server("default", "fence-write", vec![message]))
        };
        let mut rules = Vec::new();
        for number in said::BUSY..=said::MARK_FAILED {
            match error(number) {
                StepError::Failed(f) => rules.push(f[0].rule.clone()),
                StepError::Passing(f) => rules.push(format!("{} (passing)", f.rule)),
                other => panic!("{number}: {other:?}"),
            }
        }
        insta::assert_snapshot!(rules.join("\n"), @r"
        fence-busy (passing)
        fence-not-writable
        fence-other-database
        fence-stale-epoch
        fence-marks-incomplete
        fence-user-changed
        fence-not-bound
        fence-mark-failed
        ");
        assert!(matches!(error(1205), StepError::Passing(_)));
        assert!(matches!(error(15_151), StepError::Failed(_)));
    }
}
