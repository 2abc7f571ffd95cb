//! Works a run out: which user is behind each login, what would be said, and what speaks against it. Changes nothing.

use std::collections::BTreeMap;

use syncferry_shared::Finding;
use syncferry_shared::fence::{FencePreview, FencePreviewRequest, IdentityFacts, PreviewStatement, PrincipalFacts};
use syncferry_shared::fence_case::FenceCase;
use uuid::Uuid;

use crate::sql::ops::principals::{OwnRights, own_rights, principal, user_behind};
use crate::sql::ops::{fence, identity_facts};
use crate::sql::statements::fence::{Bound, Order, clean, end_sessions, remove_nonce, write, write_nonce};
use crate::sql::{SqlError, SqlSession, Statement};

/// A run that denies or opens a database.
#[derive(Debug, Clone)]
pub struct FenceRun {
    /// What an operator sees.
    pub preview: FencePreview,
    /// The transaction.
    pub write: Statement,
    /// What speaks against it; a blocker means that it is not run.
    pub findings: Vec<Finding>,
}

/// A run that removes marks and denials.
#[derive(Debug, Clone)]
pub struct RemovalRun {
    /// What an operator sees.
    pub preview: FencePreview,
    /// The transaction.
    pub clean: Statement,
    /// Users who get CONNECT back.
    pub allow: Vec<String>,
    /// What speaks against it.
    pub findings: Vec<Finding>,
}

/// Whom a run denies the database to, and whom it opens it to.
#[derive(Debug, Clone, Copy)]
pub struct FenceAsk<'a> {
    /// Our id of the database.
    pub uid: &'a str,
    /// The epoch.
    pub epoch: i64,
    /// The server that may use it.
    pub owner: Option<&'a str>,
    /// Logins that lose CONNECT.
    pub deny: &'a [String],
    /// The login that gets it.
    pub grant: Option<&'a str>,
}

/// The preview that an inspection asks for; `None` when no database has the name.
pub async fn preview(
    session: &mut SqlSession,
    request: &FencePreviewRequest,
) -> Result<Option<FencePreview>, SqlError> {
    match request {
        FencePreviewRequest::Fence {
            database,
            uid,
            epoch,
            owner,
            deny,
            grant,
        } => {
            let ask = FenceAsk {
                uid: &uid.to_string(),
                epoch: *epoch,
                owner: owner.as_deref(),
                deny,
                grant: grant.as_deref(),
            };
            let run = fence_run(session, &database.database, ask).await?;
            Ok(run.map(|r| r.preview))
        }
        FencePreviewRequest::Nonce { database, uid, nonce } => {
            nonce_preview(session, &database.database, &uid.to_string(), nonce).await
        }
        FencePreviewRequest::RemoveMarks { database, allow } => {
            let run = removal_run(session, &database.database, allow).await?;
            Ok(run.map(|r| r.preview))
        }
    }
}

/// What every run rests on.
struct Ground {
    identity: IdentityFacts,
    guid: Uuid,
    rights: OwnRights,
}

async fn ground(session: &mut SqlSession, database: &str) -> Result<Option<Ground>, SqlError> {
    let Some(identity) = identity_facts(session, database).await? else {
        return Ok(None);
    };
    // A database that is not open has no GUID; nothing can be said to it, and the statement with a nil GUID refuses.
    let guid = identity.database_guid.unwrap_or_default();
    let rights = own_rights(session, database).await?;
    Ok(Some(Ground { identity, guid, rights }))
}

/// Works a fence out; `None` when no database has the name.
pub async fn fence_run(
    session: &mut SqlSession,
    database: &str,
    ask: FenceAsk<'_>,
) -> Result<Option<FenceRun>, SqlError> {
    let Some(ground) = ground(session, database).await? else {
        return Ok(None);
    };
    let mut denied = Vec::new();
    for login in ask.deny {
        denied.push(principal(session, database, login, &ground.rights).await?);
    }
    let granted = match ask.grant {
        Some(login) => Some(principal(session, database, login, &ground.rights).await?),
        None => None,
    };
    let case = FenceCase {
        deny: denied.clone(),
        grant: granted.clone(),
        updateability: ground.rights.updateability.clone(),
        lacks: ground.rights.lacks.clone(),
        opens: ask.owner.is_some(),
        servers: if ground.rights.sees_sessions {
            servers_seen(session, database, ask.deny).await?
        } else {
            BTreeMap::new()
        },
    };
    let order = Order {
        database_guid: ground.guid,
        uid: ask.uid.to_string(),
        epoch: ask.epoch,
        owner: ask.owner.map(str::to_string),
        deny: denied.iter().filter_map(bound).collect(),
        grant: granted.as_ref().and_then(bound),
    };
    let write = write(&order);
    let mut statements = vec![shown(
        "deny, grant and mark, in one transaction in the database",
        &write,
    )];
    if !ask.deny.is_empty() {
        statements.push(shown(
            "after the COMMIT: end the sessions of the denied logins, again until two looks show none",
            &end_sessions(ask.epoch, ask.deny),
        ));
    }
    Ok(Some(FenceRun {
        findings: case.verdict(),
        write,
        preview: FencePreview {
            statements,
            principals: denied.into_iter().chain(granted).collect(),
            marks: ground.identity.marks,
            lacks: ground.rights.lacks,
            updateability: ground.rights.updateability,
        },
    }))
}

/// Works a removal out; `None` when no database has the name. Denials of others than those named are in the preview and stay.
pub async fn removal_run(
    session: &mut SqlSession,
    database: &str,
    allow: &[String],
) -> Result<Option<RemovalRun>, SqlError> {
    let Some(ground) = ground(session, database).await? else {
        return Ok(None);
    };
    let mut users = Vec::new();
    let mut findings = Vec::new();
    for name in allow {
        match user_behind(session, database, name).await? {
            Some(user) => users.push(user),
            None => findings.push(
                Finding::blocker("marks-no-user", format!("{name} has no user in the database"))
                    .saw("sys.database_principals by SID and by name", "none")
                    .source("Syncferry: nothing is guessed")
                    .next("Leave it out: there is no denial of it to take back."),
            ),
        }
    }
    let mut rights = ground.rights;
    // Nobody's session is ended or looked at.
    rights
        .lacks
        .retain(|l| l.starts_with("ALTER on") || l.contains("db_securityadmin") && !users.is_empty());
    let case = FenceCase {
        updateability: rights.updateability.clone(),
        lacks: rights.lacks.clone(),
        ..FenceCase::default()
    };
    findings.extend(case.ground());
    let clean = clean(ground.guid, &users);
    let mut principals = Vec::new();
    for found in fence::denied(session, database).await? {
        principals.push(PrincipalFacts {
            exists: Some(found.login.is_some()),
            login: found.login.unwrap_or_else(|| found.user.clone()),
            user: Some(found.user),
            connect: Some("DENY".into()),
            ..PrincipalFacts::default()
        });
    }
    Ok(Some(RemovalRun {
        preview: FencePreview {
            statements: vec![shown(
                "remove every mark of ours and give CONNECT back, in one transaction in the database",
                &clean,
            )],
            principals,
            marks: ground.identity.marks,
            lacks: rights.lacks,
            updateability: rights.updateability,
        },
        clean,
        allow: users,
        findings,
    }))
}

/// What a rendezvous would say; `None` when no database has the name.
async fn nonce_preview(
    session: &mut SqlSession,
    database: &str,
    uid: &str,
    nonce: &str,
) -> Result<Option<FencePreview>, SqlError> {
    let Some(ground) = ground(session, database).await? else {
        return Ok(None);
    };
    let mut rights = ground.rights;
    // Nobody's session is ended, and nobody is denied anything.
    rights.lacks.retain(|l| l.starts_with("ALTER on"));
    Ok(Some(FencePreview {
        statements: vec![
            shown(
                "write a nonce, in one transaction in the database",
                &write_nonce(ground.guid, uid, nonce),
            ),
            shown(
                "after it was read the other way: remove it",
                &remove_nonce(ground.guid, nonce),
            ),
        ],
        principals: vec![],
        marks: ground.identity.marks,
        lacks: rights.lacks,
        updateability: rights.updateability,
    }))
}

/// Hosts from which these logins are connected now, as the clients say it: two of them mean a shared account.
async fn servers_seen(
    session: &mut SqlSession,
    database: &str,
    logins: &[String],
) -> Result<BTreeMap<String, Vec<String>>, SqlError> {
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for found in fence::look(session, database, logins).await?.sessions {
        if let Some(host) = found.host.as_ref().filter(|_| found.is_sync_service()) {
            // `SYNC01` and `sync01.contoso.lab` are one host.
            let label = host.split('.').next().unwrap_or(host).to_ascii_uppercase();
            seen.entry(found.login.clone()).or_default().push(label);
        }
    }
    Ok(seen)
}

fn bound(principal: &PrincipalFacts) -> Option<Bound> {
    Some(Bound {
        login: principal.login.clone(),
        user: principal.user.clone()?,
    })
}

fn shown(purpose: &str, statement: &Statement) -> PreviewStatement {
    PreviewStatement {
        purpose: purpose.to_string(),
        text: statement.sql.clone(),
    }
}
