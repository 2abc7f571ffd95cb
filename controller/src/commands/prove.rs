//! `database prove`: whether another way leads to a registered database. A nonce is written through the registered way, read through
//! the other one, and removed; what follows is in the table of `shared::identity`. Writing into a production database is shown and
//! approved first, as every run at SQL Server is. Doubt quarantines.

use syncferry_shared::fence::{IdentityFacts, MARK_NONCE};
use syncferry_shared::identity::{self, OldPlace, Verdict};
use syncferry_shared::inventory::DatabaseAddress;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::plan::{LeaseRun, LeaseTask, ProveTask};
use syncferry_shared::spec::{ProbeIdentityTask, ReadIdentityTask};
use syncferry_shared::{Finding, HostId, JobId, MigrationId};
use syncferry_store::{AgentState, Database, Migration, Tx};

use super::identify;
use super::lease_run::{Run, Scene, preview, write, wrong_state};
use crate::commands::apply::plan_of;
use crate::core::{Core, migration_event};
use crate::dispatch::report::End;
use crate::plan::fence::FenceInput;
use crate::problem::Problem;
use crate::{find, progression};

const SOURCE: &str = "Syncferry: what is written through one way and read through another is in one database";

/// Plans a rendezvous of a registered database with another way, `HOST/INSTANCE/NAME`. Nothing is changed by it.
pub async fn prove(core: &Core, actor: &str, lease: &str, other: &str, reason: &str) -> Result<Migration, Problem> {
    if reason.trim().is_empty() {
        return Err(Problem::Invalid(
            "a reason must be given: it stands in the run's history".to_string(),
        ));
    }
    let mut tx = core.store.read("prove.look").await?;
    let scene = Scene::of(&mut *tx, lease).await?;
    let (host, name, address) = way(&mut *tx, other).await?;
    for (id, name) in [(scene.host.id, &scene.host.name), (host, &name)] {
        let agent = tx.agent_of_host(id).await?;
        if agent.is_none_or(|a| a.state != AgentState::Online) {
            return Err(Problem::NoAnswer(format!("the agent on {name} is not in touch")));
        }
    }
    drop(tx);
    if !Run::Prove.fits(scene.lease.state) {
        return Err(wrong_state(&scene, Run::Prove));
    }
    let nonce: String = core.random().iter().map(|b| format!("{b:02x}")).collect();
    let task = LeaseTask::Prove(ProveTask {
        write: ProbeIdentityTask {
            database: scene.identity.clone(),
            nonce,
        },
        read: ReadIdentityTask { database: address },
        reader: host,
        reader_name: name,
    });
    let (preview, problem) = match preview(core, &scene, &task).await? {
        Ok(preview) => (Some(preview), None),
        Err(why) => (None, Some(why)),
    };
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(JobId::new(core.store.now().await?, &core.random()));
    }
    let input = FenceInput {
        migration: MigrationId::new(core.store.now().await?, &core.random()),
        job: jobs[0],
        more_jobs: jobs,
        run: LeaseRun {
            resource: scene.lease.resource.clone(),
            seen_state: scene.lease.state,
            seen_epoch: scene.lease.epoch,
            reason: reason.trim().to_string(),
            task,
            statements: vec![],
        },
        name: scene.name.clone(),
        host: scene.host.id,
        host_name: scene.host.name.clone(),
        preview,
        problem,
        servers: vec![],
    };
    write(core, actor, Run::Prove, &scene, &input).await
}

/// A way by its name: `SQL02/default/ADSync`.
pub(super) async fn way(tx: &mut dyn Tx, text: &str) -> Result<(HostId, String, DatabaseAddress), Problem> {
    let parts: Vec<&str> = text.split('/').map(str::trim).collect();
    let [host, instance, database] = parts.as_slice() else {
        return Err(Problem::Invalid(format!(
            "'{text}' is no way to a database: expected HOST/INSTANCE/NAME, such as SQL02/default/ADSync"
        )));
    };
    let host = find::host(tx, host).await?;
    let address = DatabaseAddress {
        instance: (*instance).to_string(),
        database: (*database).to_string(),
    };
    Ok((host.id, host.name, address))
}

/// What a rendezvous amounts to, now that the nonce is removed again.
pub(super) async fn settle(
    tx: &mut dyn Tx,
    actor: &str,
    m: &Migration,
    written: &ProbeIdentityTask,
    mut outcome: Box<Outcome>,
) -> Result<End, Problem> {
    let (Some(LeaseTask::Prove(t)), Some(known)) = (
        plan_of(m)?.lease_run.map(|r| r.task),
        tx.database(written.database.id).await?,
    ) else {
        return Err(Problem::Internal(
            "a rendezvous without its plan or its database".to_string(),
        ));
    };
    let jobs = progression::jobs_of(tx, m.id).await?;
    let read = jobs
        .into_iter()
        .find(|j| j.name == ProveTask::READ)
        .and_then(|j| j.outcome);
    let read: Option<Outcome> = read.and_then(|o| serde_json::from_value(o).ok());
    let there = read.and_then(|o| o.probed);
    let name = find::place(tx, &known).await?;
    let finding = match &there {
        None => Finding::warning("identity-unproven", format!("Nothing answered at {}", t.other()))
            .saw(
                format!("{} by the agent on {}", t.other(), t.reader_name),
                "no such database, or no answer",
            )
            .source(SOURCE)
            .next("Nothing was learnt and nothing changed. Find out what is wrong with that way, then prove it again."),
        Some(seen) => judge(tx, actor, &known, &name, &t, written, seen).await?,
    };
    let payload = serde_json::json!({"database": known.id, "other": t.other(), "finding": finding});
    tx.append_event(migration_event(m.id, "identity.judged", actor, payload))
        .await?;
    outcome.findings.push(finding);
    Ok(End::Succeeded(outcome))
}

/// Whether the nonce was there, what that means, and what follows.
async fn judge(
    tx: &mut dyn Tx,
    actor: &str,
    known: &Database,
    name: &str,
    t: &ProveTask,
    written: &ProbeIdentityTask,
    seen: &IdentityFacts,
) -> Result<Finding, Problem> {
    let registered = identify::registered(tx, known).await?;
    let there = seen.marks.get(MARK_NONCE).map(String::as_str);
    let old = if there == Some(written.nonce.as_str()) {
        OldPlace::NonceSeen
    } else {
        OldPlace::NonceNotSeen
    };
    let mut verdict = identity::verdict(Some(&registered), seen, old);
    let aliases = tx.database_endpoints(known.id).await?;
    let is_alias = aliases.iter().any(|a| a.eq_ignore_ascii_case(&t.other()));
    if old == OldPlace::NonceNotSeen && is_alias {
        // It was registered as a name of this one, and leads to another one.
        verdict = Verdict::Twin;
    }
    let one = old == OldPlace::NonceSeen;
    if one && !is_alias && verdict != Verdict::NotWritable {
        match tx.add_database_endpoint(known.id, &t.other()).await {
            Ok(_) => {}
            Err(e) if e.is_conflict() => verdict = Verdict::Undecidable,
            Err(e) => return Err(e.into()),
        }
    }
    if matches!(verdict, Verdict::Twin | Verdict::Undecidable) {
        identify::quarantine(tx, actor, known, verdict, seen).await?;
    }
    let saw = |f: Finding| {
        f.saw(format!("nonce written through {name}"), &written.nonce)
            .saw(format!("nonce read through {}", t.other()), there.unwrap_or("none"))
            .saw(format!("ServerName at {}", t.other()), &seen.server_name)
            .source(SOURCE)
    };
    let other = t.other();
    Ok(match (one, verdict) {
        (_, Verdict::Twin) => saw(Finding::warning("database-twin", format!("{other} is another database that answers as {name}")))
            .next(format!("The lease of {name} is quarantined: what is said to one may reach the other. Rename one of the instances, or take the copy away; then `syncferry lease fence {name}`, and register it again.")),
        (_, Verdict::Undecidable) => saw(Finding::warning("database-undecidable", format!("{other} leads to {name}, and is registered as another database")))
            .next(format!("The lease of {name} is quarantined. Look at `syncferry database list`: find out what became of the other one; then `syncferry lease fence {name}`.")),
        (true, Verdict::NotWritable) => saw(Finding::note("database-secondary", format!("{other} is a replica of {name} that cannot be written")))
            .next("Nothing. Register the listener or the primary, never a secondary."),
        (true, Verdict::Moved | Verdict::Joined) => saw(Finding::note("database-same", format!("{other} leads to {name}, under another key")))
            .next("Register it by that way (`syncferry database add`): its key is renewed then."),
        (true, _) => saw(Finding::note("database-same", format!("{other} leads to {name}")))
            .next("Nothing: it is recorded as a name of it."),
        (false, Verdict::Copy) => saw(Finding::warning("database-copy", format!("{other} is a copy of {name}, and carries its marks")))
            .next(format!("Remove them before anything uses it: `syncferry lease marks remove {other}`.")),
        (false, _) => saw(Finding::note("database-another", format!("{other} is another database than {name}")))
            .next("Nothing, or register it as a database of its own."),
    })
}
