//! Jobs of which a DBA takes the steps that need rights, with an agent that may only look: what is asked for is exactly what works;
//! what is done differently is refused with what was seen; and nothing is done by the agent itself.

use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::{RestoreTask, Task};

use super::world::{ACCOUNT, Site, done};
use crate::journal::{End, Sight};

fn with_a_dba(task: Task) -> Task {
    match task {
        Task::Restore(t) => Task::Restore(Box::new(RestoreTask { dba: true, ..*t })),
        Task::Backup(mut t) => {
            t.dba = true;
            Task::Backup(t)
        }
        other => other,
    }
}

async fn site_with_backup() -> (Site, Outcome) {
    let site = Site::with_a_dba("ADSync").await;
    let backup = done(site.run(site.backup().await).await);
    (site, backup)
}

/// The cards as a DBA reads them; GUIDs and ids differ from run to run.
fn read_aloud(title: &str, sql: &str) -> String {
    let mut text = String::new();
    for line in sql.lines() {
        text += &format!("  {line}\n");
    }
    format!("== {title}\n{text}")
}

#[tokio::test]
async fn a_dba_runs_the_restore_and_the_agent_only_looks() {
    let (site, backup) = site_with_backup().await;
    let task = with_a_dba(site.restore(&backup).await);
    let mut said = String::new();
    let end = site
        .run_with(task, async |title, sql| {
            said += &read_aloud(title, sql);
            site.dba(sql).await;
        })
        .await;
    let outcome = done(end);
    assert_eq!(outcome.restored.unwrap().database, "ADSync");
    let names: Vec<String> = site.databases(&site.target).await.into_keys().collect();
    assert_eq!(names, ["ADSync"]);
    assert_eq!(site.target.completed("RESTORE DATABASE"), 1);
    insta::assert_snapshot!("by_dba_restore", said);
}

/// Wrong files, a forgotten check, another name, a wrong owner: each is refused with what was seen, and then put right.
#[tokio::test]
async fn what_a_dba_does_differently_is_refused_with_what_was_seen() {
    let (site, backup) = site_with_backup().await;
    let task = with_a_dba(site.restore(&backup).await);
    let temporary = "ADSync__syncferry_0a1b2c3d";
    let end = site
        .run_with(task, async |title, sql| {
            if title.starts_with("Have a DBA restore") {
                // Other files than those that were asked for.
                let restore = sql.split("\nGO\n").nth(1).unwrap();
                site.dba(&restore.replace(r"E:\Data\", r"E:\Data\other_")).await;
                site.until_told(Sight::Contradicted, r"E:\Data\other_").await;
                site.dba(&format!("DROP DATABASE [{temporary}];")).await;
                // Under the final name at once.
                site.dba(&restore.replace(temporary, "Mine")).await;
                site.until_told(Sight::Contradicted, "restored as Mine").await;
                site.dba("DROP DATABASE [Mine];").await;
                // Without the check.
                site.dba(restore).await;
                site.until_told(Sight::InProgress, "DBCC CHECKDB has not ended").await;
                site.dba(sql.rsplit("\nGO\n").next().unwrap()).await;
            } else if title.starts_with("Have a DBA make") {
                site.dba(&sql.replace(" TO [sa];", " TO [dba];")).await;
                site.until_told(Sight::Contradicted, "the owner of").await;
                site.dba(sql).await;
            } else {
                site.dba(&format!("ALTER DATABASE [{temporary}] MODIFY NAME = [ADSync2];"))
                    .await;
                site.until_told(Sight::Contradicted, "not there, and neither is the temporary one")
                    .await;
                site.dba("ALTER DATABASE [ADSync2] MODIFY NAME = [ADSync];").await;
            }
        })
        .await;
    assert_eq!(done(end).restored.unwrap().database, "ADSync");
}

/// Within the week that a person may take, a server is restarted: the gate says so, and stays.
#[tokio::test]
async fn a_server_that_is_away_while_a_gate_waits_ends_nothing() {
    let (site, backup) = site_with_backup().await;
    let task = with_a_dba(site.restore(&backup).await);
    let mut gates = Vec::new();
    let end = site
        .run_with(task, async |title, sql| {
            gates.push(title.to_string());
            site.target.fault(r#"{ "on": "login", "drop": true }"#);
            site.until_told(Sight::Waiting, "it cannot be looked at now").await;
            site.target.fault("");
            site.dba(sql).await;
        })
        .await;
    assert_eq!(done(end).restored.unwrap().database, "ADSync");
    assert_eq!(gates.len(), 3, "{gates:?}");
}

#[tokio::test]
async fn a_backup_that_is_not_copy_only_is_refused() {
    let site = Site::new("ADSync").await;
    let task = with_a_dba(site.backup().await);
    let mut said = String::new();
    let end = site
        .run_with(task, async |title, sql| {
            said += title;
            site.agent_on_source(&sql.replace("COPY_ONLY, ", "").replace("syncferry-agent", "by hand,"))
                .await;
            site.until_told(Sight::Contradicted, "it is not COPY_ONLY").await;
            site.agent_on_source(sql).await;
        })
        .await;
    let outcome = done(end);
    assert!(outcome.manifest.is_some());
    assert!(said.starts_with("Have a DBA back ADSync up on"), "{said}");
    assert_eq!(site.source.completed("BACKUP DATABASE"), 2, "both by hand");
    assert!(
        site.machine.cycle.load(std::sync::atomic::Ordering::SeqCst),
        "the scheduler is put back"
    );
}

/// A job that fails after a DBA restored: the agent cannot drop it, and says exactly what a DBA has to.
#[tokio::test]
async fn what_a_dba_made_a_dba_takes_away() {
    let (site, backup) = site_with_backup().await;
    let Task::Restore(mut task) = with_a_dba(site.restore(&backup).await) else {
        panic!("another task");
    };
    // It was counted otherwise: the comparison fails.
    *task.counts.rows.values_mut().next().unwrap() += 1;
    let end = site
        .run_with(Task::Restore(task), async |_, sql| site.dba(sql).await)
        .await;
    let End::Failed { failure } = end else {
        panic!("{end:?}");
    };
    assert!(!failure.undone);
    let rules: Vec<&str> = failure.findings.iter().map(|f| f.rule.as_str()).collect();
    assert_eq!(rules[0], "copy-differs");
    let left = failure.findings.iter().find(|f| {
        f.evidence
            .iter()
            .any(|e| e.found.contains("DROP DATABASE [ADSync__syncferry_0a1b2c3d]"))
    });
    assert!(left.is_some(), "{:#?}", failure.findings);
}

/// The agent restores; that the service account has no login is found before anything is installed, and is a DBA's.
#[tokio::test]
async fn a_login_that_the_agent_may_not_make_is_waited_for() {
    let site = Site::without_logins("ADSync").await;
    let backup = done(site.run(site.backup().await).await);
    let task = site.restore(&backup).await;
    let mut said = String::new();
    let end = site
        .run_with(task, async |title, sql| {
            said += &read_aloud(title, sql);
            site.until_told(Sight::Waiting, "has no login").await;
            // Half of it.
            site.dba(sql.lines().next().unwrap()).await;
            site.until_told(Sight::Waiting, "has no user in").await;
            site.dba(sql).await;
        })
        .await;
    let outcome = done(end);
    assert_eq!(outcome.restored.unwrap().database, "ADSync");
    let told = outcome.findings.iter().find(|f| f.rule == "login-not-created");
    assert!(told.unwrap().next_step.contains("waits at a gate"), "{told:?}");
    insta::assert_snapshot!("by_dba_login", said);
}

/// With a login that was made before, nobody is asked; with one that is disabled, somebody is.
#[tokio::test]
async fn a_login_that_is_there_is_only_looked_at() {
    for (state, gates) in [("ENABLE", 0), ("DISABLE", 1)] {
        let site = Site::without_logins("ADSync").await;
        site.dba(&format!(
            "CREATE LOGIN [{ACCOUNT}] FROM WINDOWS;\nALTER LOGIN [{ACCOUNT}] {state};"
        ))
        .await;
        let backup = done(site.run(site.backup().await).await);
        let task = site.restore(&backup).await;
        let mut asked = 0;
        let end = site
            .run_with(task, async |_, sql| {
                asked += 1;
                assert!(sql.starts_with(&format!("ALTER LOGIN [{ACCOUNT}] ENABLE;")), "{sql}");
                site.dba(sql).await;
            })
            .await;
        assert_eq!(done(end).restored.unwrap().database, "ADSync");
        assert_eq!(asked, gates, "{state}");
    }
}
