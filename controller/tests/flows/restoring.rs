//! A controller whose store goes back while jobs run: nothing is granted before each lease is released, epochs are above all old
//! ones, and jobs go on only after their agents said what their journals know.

use std::path::PathBuf;

use syncferry_controller::config::Config;
use syncferry_controller::recovery::note;
use syncferry_controller::storeops::{backup, restore};
use syncferry_proto::v1;
use syncferry_proto::v1::operator_client::OperatorClient;
use syncferry_shared::Millis;
use syncferry_store::meta::EPOCH_JUMP;
use syncferry_store_postgres::server::Server;
use tonic::Status;
use tonic::transport::Channel;

use crate::storeops::load_as_it_is;
use crate::support::{Controller, Offered, Operator, World, patient, rules, succeeded_of, until};

const NOW: Millis = Millis(1_800_000_000_000);

/// How the store goes back.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// By the command.
    Command,
    /// The rows are put back by somebody else, and the controller's own note is there.
    Copied,
    /// The same, and the note is gone: only the agents can know.
    CopiedWithNote,
}

async fn on_postgres() -> Config {
    Config {
        store: Server::shared().await.database().await.as_str().into(),
        ..patient()
    }
}

async fn back_up(c: &Controller) -> PathBuf {
    let to = c.data_dir().join("an-hour-ago.backup");
    let ask = backup::Ask {
        to: &to,
        config_file: None,
        identity: true,
        quiet: true,
    };
    backup::backup(c.config(), ask, NOW).await.unwrap().file
}

async fn adopt(o: &Operator, lease: &v1::Lease, host: &str, dry_run: bool) -> Result<v1::LeaseAnswer, Status> {
    let mut client: OperatorClient<Channel> = o.client.clone();
    let request = v1::AdoptLeaseRequest {
        lease: lease.resource.clone(),
        host: host.into(),
        reason: "the store was restored; it goes on".into(),
        dry_run,
        seen_version: lease.row_version,
    };
    Ok(client.adopt_lease(request).await?.into_inner())
}

/// A move in which the old backup is taken while `backup` runs, and which has got to `restore` when the store goes back.
async fn goes_back(config: Config, way: Way) {
    let mut w = World::with(config).await;
    let (id, backup_job) = w.at("backup").await;
    let file = back_up(&w.controller).await;
    // An hour passes.
    w.old.succeed(&backup_job).await;
    let restore_job = w.sql.take("restore").await;
    let old_epochs = w.operator.all_leases().await;
    until("the note is there", async || {
        w.controller.data_dir().join(note::FILE).exists().then_some(())
    })
    .await;
    let config = w.controller.config().clone();
    w.controller
        .while_stopped(async || {
            if way == Way::Command {
                let ask = restore::Ask {
                    from: &file,
                    replace: true,
                    identity: true,
                    quiet: true,
                };
                let restored = restore::restore(&config, ask, NOW).await.unwrap();
                assert_eq!((restored.incarnation_was, restored.incarnation), (1, 2));
                return;
            }
            if let Some(store) = syncferry_controller::store::file(&config).unwrap() {
                syncferry_store_sqlite::put_aside(&store, "lost").unwrap().unwrap();
            }
            load_as_it_is(&config, &file).await;
            if way == Way::Copied {
                std::fs::remove_file(config.data_dir.join(note::FILE)).unwrap();
                w.sql.journal(|j| {
                    // What was given out after the backup: its own agent remembers.
                    let seat = old_epochs.iter().find(|l| l.renewer == "SQL01").unwrap();
                    j.epochs.insert(seat.resource.clone(), seat.epoch + 1);
                });
            }
        })
        .await;
    until("every agent said hello", async || {
        let heard = [&w.old, &w.sql, &w.new]
            .iter()
            .all(|a| a.journal(|j| j.incarnation) == 2);
        heard.then_some(())
    })
    .await;

    let alarm = w.operator.until_alarm("store-restored", "raised").await;
    assert!(String::from_utf8_lossy(&alarm.finding.unwrap().json).contains("syncferry-controller recover"));
    let leases = w.operator.all_leases().await;
    for lease in &leases {
        let old = old_epochs.iter().find(|l| l.resource == lease.resource).unwrap();
        assert_eq!(lease.state, "quarantined", "{}", lease.name);
        assert!(
            lease.epoch > old.epoch + EPOCH_JUMP,
            "{}: {} after {}",
            lease.name,
            lease.epoch,
            old.epoch
        );
    }
    nothing_goes_on(&w, &old_epochs, &restore_job).await;
    let stuck = w.operator.until_state(&id, "stuck").await;
    assert!(stuck.jobs.iter().any(|j| j.name == "backup" && j.state == "unknown"));
    let told = w.operator.events("migration", &id).await;
    let reconciled: Vec<String> = told
        .iter()
        .filter(|e| e.r#type == "job.reconciled")
        .map(|e| String::from_utf8_lossy(&e.payload.as_ref().unwrap().json).into_owned())
        .collect();
    assert!(
        reconciled
            .iter()
            .any(|p| p.contains("has nothing open of it") && p.contains("\"backup\"")),
        "{reconciled:?}"
    );
    assert!(
        reconciled
            .iter()
            .any(|p| p.contains("\"restore\"") && p.contains("step-1")),
        "{reconciled:?}"
    );

    // A person applies again: the job is ready, and waits for its lease all the same.
    w.operator
        .apply_because(&id, "looked at SYNC01: the file is there")
        .await
        .unwrap();
    nothing_goes_on(&w, &old_epochs, &restore_job).await;
    let source = leases.iter().find(|l| l.subject.contains("SYNC01")).unwrap();
    let seat = leases
        .iter()
        .find(|l| l.kind == "database" && l.resource != source.resource)
        .unwrap();
    if way == Way::Copied {
        // The agent on SQL01 has seen a later epoch of the seat: nobody may just go on with it.
        let refused = adopt(&w.operator, seat, "SQL01", false).await.unwrap_err();
        assert_eq!(rules(&refused), ["lease-changed-after-the-backup"]);
        w.controller.stop_and_audit().await;
        return;
    }
    for (lease, host) in leases
        .iter()
        .map(|l| (l, if l.resource == seat.resource { "SQL01" } else { "SYNC01" }))
    {
        let shown = adopt(&w.operator, lease, host, true).await.unwrap();
        assert!(shown.ready, "{shown:?}");
        let done = adopt(&w.operator, lease, host, false).await.unwrap().lease.unwrap();
        assert_eq!(done.state, "held");
        assert!(done.epoch > lease.epoch);
        let old = old_epochs.iter().find(|l| l.resource == lease.resource).unwrap();
        assert_eq!((done.holder, done.renewer), (old.holder.clone(), old.renewer.clone()));
    }
    w.operator.until_alarm("store-restored", "cleared").await;

    // The job is offered anew, in the new incarnation, under a number that nobody ever had.
    let again = w.old.take("backup").await;
    assert_eq!((again.token.attempt, again.token.incarnation), (1001, 2));
    let refused = w
        .old
        .try_report(&backup_job.token, succeeded_of(&backup_job))
        .await
        .unwrap();
    assert!(!refused.current, "an old token");
    w.old.succeed(&again).await;
    w.sql.work("restore").await;
    let install = w.new.take("install").await;
    w.install(&install).await;
    w.verify().await;
    assert_eq!(w.operator.rests(&id).await.state, "succeeded");
    w.operator.report(&id).await.verify().unwrap();
    w.controller.stop_and_audit().await;
}

/// No offers, no leases to renew, no permit, no renewal, no report.
async fn nothing_goes_on(w: &World, old: &[v1::Lease], running: &Offered) {
    for agent in w.agents() {
        let pulled = agent.pull().await.unwrap();
        assert!(
            pulled.offers.is_empty() && pulled.leases.is_empty(),
            "{}: {pulled:?}",
            agent.name
        );
    }
    for lease in old {
        let agent = w.agents().into_iter().find(|a| a.name == lease.renewer).unwrap();
        assert!(
            !agent.renew(&lease.resource, lease.epoch).await.renewed,
            "{}",
            lease.name
        );
    }
    assert!(!w.sql.authorize(running, 1).await.permitted);
    let report = w.sql.try_report(&running.token, succeeded_of(running)).await.unwrap();
    assert!(!report.current);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_command() {
    goes_back(patient(), Way::Command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_command_on_postgres() {
    goes_back(on_postgres().await, Way::Command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_copied_file_that_the_controllers_note_gives_away() {
    goes_back(patient(), Way::CopiedWithNote).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_copied_file_that_only_an_agent_gives_away() {
    goes_back(patient(), Way::Copied).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_point_in_time_recovery_of_postgres() {
    goes_back(on_postgres().await, Way::CopiedWithNote).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_point_in_time_recovery_of_postgres_that_only_an_agent_gives_away() {
    goes_back(on_postgres().await, Way::Copied).await;
}

/// PostgreSQL forgets what it had confirmed, under a controller that runs: its note finds out, and nothing is written before.
#[tokio::test(flavor = "multi_thread")]
async fn by_a_failover_that_lost_the_newest_commit() {
    use sqlx::Connection as _;
    let url = Server::shared().await.database().await;
    let config = Config {
        store: url.as_str().into(),
        ..patient()
    };
    let w = World::with(config).await;
    let (id, job) = w.at("backup").await;
    let old = w.operator.all_leases().await;
    let mut other = sqlx::PgConnection::connect(&url).await.unwrap();
    until("the note is up to date", async || {
        let note = note::Note::read(w.controller.data_dir())?;
        let newest = "SELECT MAX(position) FROM event";
        let (position,): (i64,) = sqlx::query_as(newest).fetch_one(&mut other).await.unwrap();
        (note.position == position).then_some(())
    })
    .await;
    let forget = "ALTER TABLE event DISABLE TRIGGER USER;
                  DELETE FROM event WHERE position = (SELECT MAX(position) FROM event);
                  ALTER TABLE event ENABLE TRIGGER USER";
    sqlx::raw_sql(forget).execute(&mut other).await.unwrap();
    w.operator.until_alarm("store-restored", "raised").await;
    for lease in w.operator.all_leases().await {
        let before = old.iter().find(|l| l.resource == lease.resource).unwrap();
        assert_eq!(lease.state, "quarantined", "{}", lease.name);
        assert!(lease.epoch > before.epoch + EPOCH_JUMP);
    }
    w.operator.until_state(&id, "stuck").await;
    let report = w.old.try_report(&job.token, succeeded_of(&job)).await.unwrap();
    assert!(!report.current);
    until("every agent said hello", async || {
        w.agents()
            .iter()
            .all(|a| a.journal(|j| j.incarnation) == 2)
            .then_some(())
    })
    .await;
    w.controller.stop_and_audit().await;
}
