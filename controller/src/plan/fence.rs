//! Runs at SQL Server for a lease: what speaks against one, the plan of it, and whether what came back proves it. Pure.
//!
//! The fence is the permission to CONNECT inside the database, and it binds neither an owner nor a sysadmin nor whoever comes
//! in through a group. Where that cannot be excluded, no fence is offered: `shared::fence_case` has those rules.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use syncferry_shared::fence::{
    FenceDatabaseTask, FencePreview, FenceReadBack, LOOKS_APART_MS, MarksReadBack, PrincipalFacts,
};
use syncferry_shared::fence::{MARK_EPOCH, MARK_OWNER, MARK_UID};
use syncferry_shared::fence_case::FenceCase;
use syncferry_shared::plan::{LeaseRun, LeaseTask, LeaseUse, Plan, PlannedJob, ProveTask, Scenario, Stage};
use syncferry_shared::spec::JobKind;
use syncferry_shared::{DatabaseId, Finding, HostId, JobId, MigrationId};

/// What is known when a run is planned.
#[derive(Debug, Clone)]
pub struct FenceInput {
    /// The migration and its one job.
    pub migration: MigrationId,
    /// The job's id.
    pub job: JobId,
    /// The ids of the jobs of a rendezvous, which has three.
    pub more_jobs: Vec<JobId>,
    /// The run, with its task.
    pub run: LeaseRun,
    /// The database's name for people.
    pub name: String,
    /// The host whose agent runs it.
    pub host: HostId,
    /// That host's name.
    pub host_name: String,
    /// What the agent said that it would run and meet; `None` when it did not say.
    pub preview: Option<FencePreview>,
    /// Why it did not.
    pub problem: Option<String>,
    /// Connect servers of the site by the login they use, as far as it was seen.
    pub servers: Vec<(String, String)>,
}

/// A lease's run that somebody asked for as if it were a move.
pub fn not_this_way(scenario: Scenario) -> Finding {
    Finding::blocker(
        "not-planned-this-way",
        format!("{} is planned for a lease", scenario.as_str()),
    )
    .saw("the scenario", scenario.as_str())
    .source("Syncferry: a run at SQL Server belongs to a lease")
    .next("Use `syncferry lease fence --sql`, `syncferry lease open`, `syncferry lease marks remove` or `syncferry database prove`.")
}

/// The plan of a run.
pub fn plan(input: &FenceInput) -> Plan {
    let mut run = input.run.clone();
    let findings = match &input.preview {
        Some(preview) => {
            run.statements.clone_from(&preview.statements);
            let digest = preview.digest();
            match &mut run.task {
                LeaseTask::Fence(t) | LeaseTask::Open(t) => t.preview_digest = digest,
                LeaseTask::RemoveMarks(t) => t.preview_digest = digest,
                // Its statements are made of the nonce, which is fixed here.
                LeaseTask::Prove(_) => {}
            }
            findings(input, preview)
        }
        None => vec![no_preview(input)],
    };
    let blocked = findings.iter().any(Finding::blocks);
    Plan {
        stages: match &run.task {
            _ if blocked => vec![],
            LeaseTask::Prove(t) => rendezvous(input, &run, t),
            _ => vec![stage(input, &run)],
        },
        rollback: rollback(&run.task, &input.name),
        lease_run: (!blocked).then_some(run),
        findings,
        ..Plan::nothing(input.migration)
    }
}

fn no_preview(input: &FenceInput) -> Finding {
    Finding::blocker(
        "no-preview",
        format!("The agent on {} did not say what it would run", input.host_name),
    )
    .saw(
        format!("agent on {}", input.host_name),
        input.problem.as_deref().unwrap_or("it sent no preview"),
    )
    .source("Syncferry: nothing is run at SQL Server that was not shown first")
    .next("Bring the agent back, or give it the controller's version; then plan again.")
}

fn findings(input: &FenceInput, preview: &FencePreview) -> Vec<Finding> {
    let case = case(input, preview);
    let mut out = match &input.run.task {
        LeaseTask::Fence(t) | LeaseTask::Open(t) => {
            let mut out = case.verdict();
            marks(t, preview, &mut out);
            out
        }
        LeaseTask::Prove(t) => {
            let mut out = case.ground();
            let ours = t.write.database.id.to_string();
            if let Some(uid) = preview
                .marks
                .get(MARK_UID)
                .filter(|uid| !uid.eq_ignore_ascii_case(&ours))
            {
                out.push(other_database(uid));
            }
            out
        }
        LeaseTask::RemoveMarks(t) => {
            let mut out = case.ground();
            if preview.marks.is_empty() && t.allow.is_empty() {
                out.push(
                    Finding::note("nothing-to-remove", format!("{} carries no mark of ours", input.name))
                        .saw("extended properties of the database", "none named syncferry.*")
                        .source("Syncferry: what we write, we can take away")
                        .next("Nothing; a run would prove that it is clean."),
                );
            }
            out
        }
    };
    if preview.statements.is_empty() && !matches!(input.run.task, LeaseTask::RemoveMarks(_)) {
        out.push(no_preview(input));
    }
    out
}

/// What the run would meet, for the rules that the agent goes by as well. A login that the agent said nothing of is unknown.
fn case(input: &FenceInput, preview: &FencePreview) -> FenceCase {
    let said = |login: &String| {
        let same = |p: &&PrincipalFacts| p.login.eq_ignore_ascii_case(login);
        preview.principals.iter().find(same).cloned().unwrap_or(PrincipalFacts {
            login: login.clone(),
            ..PrincipalFacts::default()
        })
    };
    let (deny, grant, opens) = match &input.run.task {
        LeaseTask::Fence(t) | LeaseTask::Open(t) => (
            t.deny.iter().map(said).collect(),
            t.grant.as_ref().map(said),
            t.owner.is_some(),
        ),
        LeaseTask::RemoveMarks(_) | LeaseTask::Prove(_) => (vec![], None, false),
    };
    let mut servers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (login, server) in &input.servers {
        servers.entry(login.clone()).or_default().push(server.clone());
    }
    FenceCase {
        deny,
        grant,
        opens,
        servers,
        updateability: preview.updateability.clone(),
        lacks: preview.lacks.clone(),
    }
}

/// What the database itself says of who it is and which epoch was proven.
fn marks(t: &FenceDatabaseTask, preview: &FencePreview, out: &mut Vec<Finding>) {
    let ours = t.database.id.to_string();
    if let Some(uid) = preview
        .marks
        .get(MARK_UID)
        .filter(|uid| !uid.eq_ignore_ascii_case(&ours))
    {
        out.push(other_database(uid));
    }
    let Some(text) = preview.marks.get(MARK_EPOCH) else {
        return;
    };
    let same_owner = preview.marks.get(MARK_OWNER).map_or("", String::as_str) == t.owner.as_deref().unwrap_or_default();
    let newer = match text.parse::<i64>() {
        Ok(there) => t.epoch > there || (t.epoch == there && same_owner),
        Err(_) => false,
    };
    if !newer {
        out.push(
            Finding::blocker("fence-stale-epoch", "The database knows a newer epoch than this lease")
                .saw(MARK_EPOCH, format!("{text}, and the run would write {}", t.epoch))
                .source("Syncferry: epochs never go back; this store may have been restored")
                .next(
                    "Look at `syncferry lease history`. When another controller wrote it, stop here and find that one.",
                ),
        );
    }
}

fn other_database(uid: &str) -> Finding {
    Finding::blocker(
        "fence-other-database",
        "The database carries the mark of another one: it is a copy",
    )
    .saw(MARK_UID, uid)
    .source("Syncferry: marks travel with a backup")
    .next("Remove those marks first: `syncferry lease marks remove`. Then plan again.")
}

/// Written one way, read the other way, removed the first way.
fn rendezvous(input: &FenceInput, run: &LeaseRun, t: &ProveTask) -> Vec<Stage> {
    let (writer, reader) = ((input.host, &input.host_name), (t.reader, &t.reader_name));
    let jobs = [
        (
            ProveTask::WRITE,
            writer,
            format!("write a nonce as an extended property of {}", input.name),
            vec![format!(
                "{} carries a mark named syncferry.nonce for a moment",
                input.name
            )],
        ),
        (
            ProveTask::READ,
            reader,
            format!("read what {} says of itself", t.other()),
            vec![],
        ),
        (
            ProveTask::REMOVE,
            writer,
            "remove the nonce, and read that it is removed".to_string(),
            vec![format!("{} is as it was", input.name)],
        ),
    ];
    let stages = jobs.into_iter().zip(&input.more_jobs);
    stages
        .map(|((name, (host, host_name), step, changes), id)| Stage {
            name: name.to_string(),
            jobs: vec![PlannedJob {
                id: *id,
                name: name.to_string(),
                kind: JobKind::Fence,
                host,
                host_name: host_name.clone(),
                resource: run.resource.clone(),
                lease: LeaseUse::default(),
                steps: vec![step],
                changes,
            }],
        })
        .collect()
}

fn stage(input: &FenceInput, run: &LeaseRun) -> Stage {
    let (name, steps, changes): (&str, Vec<String>, Vec<String>) = match &run.task {
        LeaseTask::Fence(t) => (
            "fence-database",
            vec![
                format!(
                    "write epoch {} and no owner, and deny CONNECT, in one transaction",
                    t.epoch
                ),
                "end the sessions of the denied logins".into(),
                format!(
                    "look twice, {} s apart, that none is left, and read everything back",
                    LOOKS_APART_MS / 1000
                ),
            ],
            t.deny
                .iter()
                .map(|l| format!("{l} cannot connect to {} any more", input.name))
                .collect(),
        ),
        LeaseTask::Open(t) => (
            "open-database",
            vec![
                format!(
                    "write epoch {} and the owner, deny CONNECT to the others and grant it to the holder, in one transaction",
                    t.epoch
                ),
                "read everything back".into(),
            ],
            t.grant
                .iter()
                .map(|l| format!("{l} can connect to {}", input.name))
                .collect(),
        ),
        // A rendezvous has stages of its own.
        LeaseTask::RemoveMarks(_) | LeaseTask::Prove(_) => (
            "remove-marks",
            vec![
                "remove marks and denials in one transaction".into(),
                "read everything back".into(),
            ],
            vec![format!("{} carries nothing of Syncferry any more", input.name)],
        ),
    };
    Stage {
        name: name.to_string(),
        jobs: vec![PlannedJob {
            id: input.job,
            name: name.to_string(),
            kind: JobKind::Fence,
            host: input.host,
            host_name: input.host_name.clone(),
            resource: run.resource.clone(),
            lease: LeaseUse::default(),
            steps,
            changes,
        }],
    }
}

fn rollback(task: &LeaseTask, name: &str) -> Vec<String> {
    match task {
        LeaseTask::Fence(_) | LeaseTask::Open(_) => vec![
            format!(
                "syncferry lease marks remove {name} --reason <why>: takes marks and denials away and proves {name} clean"
            ),
            "the lease stays as it is: what was freed by proof is not given back by that".to_string(),
        ],
        LeaseTask::RemoveMarks(_) => vec!["plan a fence again: `syncferry lease fence --sql`".to_string()],
        LeaseTask::Prove(_) => {
            vec!["syncferry cancel <this run>: removes the nonce when the run stopped in the middle".to_string()]
        }
    }
}

/// What a fence that came back proves: the evidence of `sql_fenced`, or what is missing.
pub fn fenced(t: &FenceDatabaseTask, back: Option<&FenceReadBack>) -> Result<Value, Vec<Finding>> {
    let Some(back) = back else {
        return Err(vec![unproven("what the agent read back", "nothing")]);
    };
    let mut against = Vec::new();
    let mark = |name: &str| back.marks.get(name).map(String::as_str);
    let mut want = |name: &str, wanted: &str| {
        let found = mark(name).unwrap_or_default();
        if !found.eq_ignore_ascii_case(wanted) {
            against.push(unproven(&format!("mark {name}"), &format!("'{found}', not '{wanted}'")));
        }
    };
    want(MARK_UID, &t.database.id.to_string());
    want(MARK_EPOCH, &t.epoch.to_string());
    want(MARK_OWNER, t.owner.as_deref().unwrap_or_default());
    if !back.server_name.eq_ignore_ascii_case(&t.database.server_name)
        || back.database_guid != Some(t.database.database_guid)
    {
        against.push(unproven(
            "the database that answered",
            &format!("{} with database_guid {:?}", back.server_name, back.database_guid),
        ));
    }
    if back.updateability.as_deref() != Some("READ_WRITE") {
        let found = back.updateability.as_deref().unwrap_or("not said");
        against.push(unproven("DATABASEPROPERTYEX(DB_NAME(), 'Updateability')", found));
    }
    for login in &t.deny {
        let found = back.principals.iter().find(|p| p.login.eq_ignore_ascii_case(login));
        // A login that does not exist cannot connect either.
        let gone = found.is_some_and(|p| p.exists == Some(false));
        let denied = found
            .and_then(|p| p.connect.as_deref())
            .is_some_and(|c| c.eq_ignore_ascii_case("DENY"));
        if !gone && !denied {
            against.push(unproven(
                &format!("CONNECT of {login}"),
                found.and_then(|p| p.connect.as_deref()).unwrap_or("not seen"),
            ));
        }
        if found.is_some_and(|p| p.is_owner != Some(false) || p.is_sysadmin != Some(false)) && !gone {
            against.push(unproven(
                &format!("what {login} is"),
                "owner or sysadmin, or it cannot be seen",
            ));
        }
    }
    if let Some(login) = &t.grant {
        let found = back.principals.iter().find(|p| p.login.eq_ignore_ascii_case(login));
        // An owner or a sysadmin is inside as dbo, whom no grant names and no denial binds.
        let dbo = found.is_some_and(|p| p.is_owner == Some(true) || p.is_sysadmin == Some(true));
        let denied = found
            .and_then(|p| p.connect.as_deref())
            .is_none_or(|c| c.eq_ignore_ascii_case("DENY"));
        if denied && !dbo {
            against.push(unproven(&format!("CONNECT of {login}"), "not granted"));
        }
    }
    looks(t, back, &mut against);
    if against.is_empty() {
        Ok(json!({"read_back": back, "epoch": t.epoch, "denied": t.deny, "granted": t.grant}))
    } else {
        Err(against)
    }
}

/// Two looks, far enough apart, that show no denied login: after the denial was in force.
fn looks(t: &FenceDatabaseTask, back: &FenceReadBack, against: &mut Vec<Finding>) {
    let [.., before, last] = back.looks.as_slice() else {
        against.push(unproven(
            "looks at the sessions",
            &format!("{}, not two", back.looks.len()),
        ));
        return;
    };
    if last.at.since(before.at) < LOOKS_APART_MS {
        against.push(unproven(
            "time between the last two looks",
            &format!("{} ms", last.at.since(before.at)),
        ));
    }
    for s in before.sessions.iter().chain(&last.sessions) {
        if t.deny.iter().any(|l| l.eq_ignore_ascii_case(&s.login)) {
            against.push(unproven(
                &format!("session {} after the denial", s.id),
                &format!("of {}", s.login),
            ));
        }
    }
}

fn unproven(looked_at: &str, found: &str) -> Finding {
    Finding::blocker("fence-not-proven", "What was read back does not prove the run")
        .saw(looked_at, found)
        .source("Syncferry: a fence is proven by what SQL Server says afterwards, not by having run")
        .next("The lease stays as it is. Look at the database, then `syncferry apply` tries the run again.")
}

/// Whether nothing of ours is left on a database: what was read back, or what is left. Denials that somebody else made stay, and
/// are told.
pub fn cleaned(back: Option<&MarksReadBack>) -> Result<Value, Vec<Finding>> {
    let Some(back) = back else {
        return Err(vec![unproven("what the agent read back", "nothing")]);
    };
    let left = back.ours_left();
    if left.is_empty() {
        return Ok(json!({"read_back": back, "denied_by_others": back.others_denied()}));
    }
    Err(left.iter().map(|what| unproven(what, "still there")).collect())
}

/// The id under which a server stands as the owner of a database.
pub fn owner(host: HostId) -> String {
    host.to_string()
}

/// Our id of a database, as a mark says it.
pub fn marked(marks: &std::collections::BTreeMap<String, String>) -> Option<DatabaseId> {
    marks.get(MARK_UID)?.parse().ok()
}
