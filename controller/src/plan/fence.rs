//! Runs at SQL Server for a lease: what speaks against one, the plan of it, and whether what came back proves it. Pure.
//!
//! The fence is the permission to CONNECT inside the database, and it binds neither an owner nor a sysadmin nor whoever comes
//! in through a group. Where that cannot be excluded, no fence is offered: a denial that does not bind would be worse than none.

use serde_json::{Value, json};
use syncferry_shared::fence::{
    FenceDatabaseTask, FencePreview, FenceReadBack, LOOKS_APART_MS, MarksReadBack, PrincipalFacts,
};
use syncferry_shared::fence::{MARK_EPOCH, MARK_NONCE, MARK_OWNER, MARK_UID};
use syncferry_shared::plan::{LeaseRun, LeaseTask, Plan, PlannedJob, Scenario, Stage};
use syncferry_shared::sabotage::{self, Mutant};
use syncferry_shared::spec::JobKind;
use syncferry_shared::{DatabaseId, Finding, HostId, JobId, MigrationId};

/// Where these rules come from.
const SOURCE: &str = "Syncferry: DENY CONNECT binds neither owner nor sysadmin nor group members";
const FALLBACK: &str = "Use host-side proof instead: `syncferry lease fence` without --sql, or two people's word (`syncferry lease attest`).";

/// What is known when a run is planned.
#[derive(Debug, Clone)]
pub struct FenceInput {
    /// The migration and its one job.
    pub migration: MigrationId,
    /// The job's id.
    pub job: JobId,
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
    .next("Use `syncferry lease fence --sql`, `syncferry lease open` or `syncferry lease marks remove`.")
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
            }
            findings(input, preview)
        }
        None => vec![no_preview(input)],
    };
    let blocked = findings.iter().any(Finding::blocks);
    Plan {
        stages: if blocked { vec![] } else { vec![stage(input, &run)] },
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
    let mut out = Vec::new();
    match &input.run.task {
        LeaseTask::Fence(t) | LeaseTask::Open(t) => {
            principals(input, t, preview, &mut out);
            marks(t, preview, &mut out);
        }
        LeaseTask::RemoveMarks(t) => {
            if preview.marks.is_empty() && t.allow.is_empty() && preview.statements.is_empty() {
                out.push(
                    Finding::note("nothing-to-remove", format!("{} carries no mark of ours", input.name))
                        .saw("extended properties of the database", "none named syncferry.*")
                        .source("Syncferry: what we write, we can take away")
                        .next("Nothing; a run would prove that it is clean."),
                );
            }
        }
    }
    if let Some(u) = preview.updateability.as_deref().filter(|u| *u != "READ_WRITE") {
        out.push(
            Finding::blocker(
                "fence-not-writable",
                format!("{} is not the writable replica", input.name),
            )
            .saw("DATABASEPROPERTYEX(DB_NAME(), 'Updateability')", u)
            .source("Syncferry: only the writable replica is a place to prove anything")
            .next("Register the database through the listener or the primary, then plan again."),
        );
    }
    if !preview.lacks.is_empty() {
        out.push(
            Finding::blocker(
                "fence-not-permitted",
                format!("The agent's login on {} may not do this", input.host_name),
            )
            .saw("permissions that are missing", preview.lacks.join(", "))
            .source("Syncferry: a run needs no sysadmin, and says what it needs")
            .next("Grant those to the agent's login, then plan again."),
        );
    }
    if preview.statements.is_empty() && !matches!(input.run.task, LeaseTask::RemoveMarks(_)) {
        out.push(no_preview(input));
    }
    out
}

fn principals(input: &FenceInput, t: &FenceDatabaseTask, preview: &FencePreview, out: &mut Vec<Finding>) {
    if t.deny.is_empty() && t.owner.is_none() {
        out.push(
            Finding::blocker(
                "fence-no-login",
                format!("It is not known which login a Connect server uses on {}", input.name),
            )
            .saw("service accounts and sessions that agents saw", "none")
            .source(SOURCE)
            .next("Name it with --login, or bring the agent on the Connect server back so that it can be seen."),
        );
    }
    if let Some(shared) = t
        .grant
        .as_ref()
        .filter(|g| t.deny.iter().any(|d| d.eq_ignore_ascii_case(g)))
        .filter(|_| !sabotage::on(Mutant::SharedAccount))
    {
        out.push(shared_account(shared, "the holder and a server that is to be denied"));
    }
    for login in &t.deny {
        let users: Vec<&str> = input
            .servers
            .iter()
            .filter(|(l, _)| l.eq_ignore_ascii_case(login))
            .map(|(_, server)| server.as_str())
            .collect();
        if users.len() > 1 && !sabotage::on(Mutant::SharedAccount) {
            out.push(shared_account(login, &users.join(", ")));
        }
        match preview.principals.iter().find(|p| p.login.eq_ignore_ascii_case(login)) {
            Some(p) => principal(&input.name, p, out),
            None => out.push(unknown(login, "it is not in the agent's preview")),
        }
    }
    if let Some(login) = &t.grant
        && let Some(p) = preview.principals.iter().find(|p| p.login.eq_ignore_ascii_case(login))
        && p.exists == Some(false)
    {
        out.push(
            Finding::blocker("login-missing", format!("The instance does not know {login}"))
                .saw("sys.server_principals", "no such login")
                .source("Syncferry: the holder must be able to connect when the database is opened to it")
                .next("Create the login and its user, then plan again."),
        );
    }
}

fn shared_account(login: &str, users: &str) -> Finding {
    Finding::blocker(
        "fence-account-shared",
        format!("{login} is the account of more than one server"),
    )
    .saw("servers that use it", users)
    .source("Syncferry: one service account per server, or a denial shuts out the wrong one")
    .next(format!("Give each Connect server an account of its own. {FALLBACK}"))
}

fn unknown(login: &str, why: &str) -> Finding {
    Finding::blocker(
        "fence-login-unknown",
        format!("It is not known whether a denial would bind {login}"),
    )
    .saw(login, why)
    .source(SOURCE)
    .next(format!(
        "Let the agent's login see sys.server_principals and sys.server_role_members. {FALLBACK}"
    ))
}

/// What speaks against denying one login.
fn principal(name: &str, p: &PrincipalFacts, out: &mut Vec<Finding>) {
    let login = &p.login;
    if p.exists == Some(false) {
        out.push(
            Finding::note("login-missing", format!("The instance does not know {login}"))
                .saw("sys.server_principals", "no such login")
                .source(SOURCE)
                .next("Nothing, if the spelling is right: it cannot connect."),
        );
        return;
    }
    let refuse = |rule: &str, title: String, looked_at: &str, found: String, next: String| {
        Finding::blocker(rule, title)
            .saw(looked_at, found)
            .source(SOURCE)
            .next(next)
    };
    match p.is_owner {
        Some(true) => out.push(refuse(
            "fence-principal-owns",
            format!("{login} owns {name}: a denial does not bind it"),
            "owner of the database",
            login.clone(),
            format!("Connect usually needs its account to own the database, so leave it. {FALLBACK}"),
        )),
        None => out.push(unknown(login, "whether it owns the database cannot be seen")),
        Some(false) => {}
    }
    match p.is_sysadmin {
        Some(true) => out.push(refuse(
            "fence-principal-is-sysadmin",
            format!("{login} is sysadmin: nothing binds it"),
            "IS_SRVROLEMEMBER('sysadmin')",
            "1".to_string(),
            format!("Take that role from it. {FALLBACK}"),
        )),
        None => out.push(unknown(login, "whether it is sysadmin cannot be seen")),
        Some(false) => {}
    }
    match &p.groups {
        Some(groups) if !groups.is_empty() => out.push(refuse(
            "fence-principal-through-group",
            format!("{login} has access through a group"),
            "Windows groups with access to the database",
            groups.join(", "),
            format!("Give it a user of its own and take the group away. {FALLBACK}"),
        )),
        None => out.push(unknown(login, "whether it comes in through a group cannot be seen")),
        Some(_) => {}
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
        out.push(
            Finding::blocker(
                "fence-other-database",
                "The database carries the mark of another one: it is a copy",
            )
            .saw(MARK_UID, uid)
            .source("Syncferry: marks travel with a backup")
            .next("Remove those marks first: `syncferry lease marks remove`. Then plan again."),
        );
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
        LeaseTask::RemoveMarks(_) => (
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

/// Whether a database is clean: what was read back, or what is left.
pub fn cleaned(back: Option<&MarksReadBack>) -> Result<Value, Vec<Finding>> {
    let Some(back) = back else {
        return Err(vec![unproven("what the agent read back", "nothing")]);
    };
    let mut against = Vec::new();
    for name in [MARK_UID, MARK_EPOCH, MARK_OWNER, MARK_NONCE] {
        if back.marks.contains_key(name) {
            against.push(unproven(&format!("mark {name}"), "still there"));
        }
    }
    if let Some(other) = back
        .marks
        .keys()
        .find(|k| k.starts_with("syncferry."))
        .filter(|_| against.is_empty())
    {
        against.push(unproven(&format!("mark {other}"), "still there"));
    }
    for user in &back.denied {
        against.push(unproven(&format!("CONNECT of {user}"), "still denied"));
    }
    if against.is_empty() {
        Ok(json!({"read_back": back}))
    } else {
        Err(against)
    }
}

/// The id under which a server stands as the owner of a database.
pub fn owner(host: HostId) -> String {
    host.to_string()
}

/// Our id of a database, as a mark says it.
pub fn marked(marks: &std::collections::BTreeMap<String, String>) -> Option<DatabaseId> {
    marks.get(MARK_UID)?.parse().ok()
}
