//! What a restored database needs before Connect may use it: writable, owned, its account's login and user, checksums, open.
//! Every step looks first, acts only if needed and reads back; so the whole may run twice.

use syncferry_shared::Finding;

use super::{or_unknown, rows};
use crate::sql::errors::{SqlError, SqlErrorKind};
use crate::sql::rows::Row;
use crate::sql::session::SqlSession;
use crate::sql::statements::{Statement, after_restore as statements};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AfterRestore {
    /// The database, still under its temporary name.
    pub database: String,
    /// The account that Connect will run as, as `DOMAIN\name`; gets a login and db_owner.
    pub service_account: Option<String>,
    /// Whether statistics are renewed: after a version change.
    pub update_statistics: bool,
}

/// Does it. Findings tell what an operator should know or do; errors stop.
pub async fn after_restore(work: &mut SqlSession, task: &AfterRestore) -> Result<Vec<Finding>, SqlError> {
    let mut findings = Vec::new();
    let database = task.database.as_str();
    if state(work, database).await?.flag("is_read_only") == Some(true) {
        work.query(&statements::read_write(database)).await?;
    }
    findings.extend(owner(work, database).await?);
    if let Some(account) = &task.service_account {
        findings.extend(service_account(work, database, account).await?);
    }
    findings.extend(orphans(work, database).await?);
    work.query(&statements::open(database)).await?;
    if task.update_statistics && or_unknown(work.query_in(database, &statements::update_statistics()).await)?.is_none()
    {
        findings.push(
            Finding::note(
                "statistics-not-updated",
                "Statistics could not be renewed after the version change.",
            )
            .saw("sp_updatestats", "refused")
            .source("Syncferry")
            .next("Run EXEC sys.sp_updatestats in the database when it is convenient."),
        );
    }
    confirm(work, database).await?;
    Ok(findings)
}

/// The name of `sa`, whatever it was renamed to.
pub async fn sa(work: &mut SqlSession) -> Result<String, SqlError> {
    let found = rows(work.query(&statements::sa_name()).await?);
    Ok(found
        .first()
        .and_then(|r| r.text("name"))
        .unwrap_or_else(|| "sa".to_string()))
}

/// How ready a restored database is, where a DBA makes it so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Readiness {
    /// Its owner.
    pub owner: String,
    /// What is not done yet.
    pub missing: Vec<String>,
    /// What was done otherwise.
    pub wrong: Vec<String>,
}

/// Looks, and changes nothing.
pub async fn readiness(work: &mut SqlSession, database: &str, account: Option<&str>) -> Result<Readiness, SqlError> {
    let sa = sa(work).await?;
    let row = state(work, database).await?;
    let mut found = Readiness {
        owner: row.text("owner_name").unwrap_or_else(|| "unknown".to_string()),
        ..Readiness::default()
    };
    if row.flag("is_read_only") == Some(true) {
        found.missing.push(format!("{database} is read-only"));
    }
    if row.text("user_access_desc").as_deref() != Some("MULTI_USER") {
        found.missing.push(format!(
            "{database} is {}, not MULTI_USER",
            row.text("user_access_desc").unwrap_or_else(|| "closed".to_string())
        ));
    }
    let mut let_in = account.is_none();
    if let Some(account) = account {
        let login = rows(work.query(&statements::login(account)).await?);
        match login.first().map(|l| l.flag("is_disabled")) {
            None => found.missing.push(format!("{account} has no login")),
            Some(Some(true)) => found.wrong.push(format!("the login of {account} is disabled")),
            Some(_) => match user_of(work, database, account).await? {
                None => found.missing.push(format!("{account} has no user in {database}")),
                Some(u) if !u.is_owner => found.missing.push(format!("{} is not in db_owner", u.name)),
                Some(u) if u.name == "dbo" => found
                    .wrong
                    .push(format!("{account} owns {database}; the owner has to be {sa}")),
                Some(_) => let_in = true,
            },
        }
    }
    if found.owner != sa {
        // The restoring login is the owner at first. When all else is done, it was forgotten, or somebody chose another one.
        let text = format!("the owner of {database} is {}, not {sa}", found.owner);
        match let_in && found.missing.is_empty() {
            true => found.wrong.push(text),
            false => found.missing.push(text),
        }
    }
    Ok(found)
}

async fn state(work: &mut SqlSession, database: &str) -> Result<Row, SqlError> {
    super::one_row(work, &statements::owner_name(database)).await
}

async fn confirm(work: &mut SqlSession, database: &str) -> Result<(), SqlError> {
    let row = state(work, database).await?;
    let open = row.text("user_access_desc").as_deref() == Some("MULTI_USER") && row.flag("is_read_only") == Some(false);
    if open {
        return Ok(());
    }
    let found = format!("{:?}", row.raw());
    Err(SqlError::local(
        SqlErrorKind::DatabaseState,
        work.instance(),
        "open-database",
        found,
    ))
}

/// Makes `sa` the owner; the restoring login was it so far. Without the right to do so the owner stays, and that is told.
async fn owner(work: &mut SqlSession, database: &str) -> Result<Option<Finding>, SqlError> {
    let sa = rows(work.query(&statements::sa_name()).await?);
    let Some(sa) = sa.first().and_then(|r| r.text("name")) else {
        return Ok(None);
    };
    let before = state(work, database).await?.text("owner_name");
    if before.as_deref() == Some(sa.as_str()) {
        return Ok(None);
    }
    let statement = statements::owner(database, &sa);
    match work.query(&statement).await {
        Ok(_) => {}
        Err(error) if error.kind == SqlErrorKind::PermissionDenied => {
            return Ok(Some(by_dba(
                &error,
                "owner-not-set",
                "The owner of the restored database is the agent's login.",
                &statement,
            )));
        }
        Err(error) => return Err(error),
    }
    let after = state(work, database).await?.text("owner_name");
    if after.as_deref() == Some(sa.as_str()) {
        return Ok(None);
    }
    let found = format!("the owner is {after:?} after setting it to {sa}");
    Err(SqlError::local(
        SqlErrorKind::Answer,
        work.instance(),
        statement.name,
        found,
    ))
}

/// Login, user and db_owner for the account of Connect.
async fn service_account(work: &mut SqlSession, database: &str, account: &str) -> Result<Vec<Finding>, SqlError> {
    let mut findings = Vec::new();
    let login = rows(work.query(&statements::login(account)).await?);
    match login.first() {
        None => {
            let create = statements::create_login(account);
            match work.query(&create).await {
                Ok(_) => {}
                Err(error) if error.kind == SqlErrorKind::PermissionDenied => {
                    return Ok(vec![by_dba(
                        &error,
                        "login-not-created",
                        "The service account has no login on the target.",
                        &create,
                    )]);
                }
                Err(error) => return Err(error),
            }
        }
        Some(row) if row.flag("is_disabled") == Some(true) => findings.push(
            Finding::warning("login-disabled", format!("The login of {account} is disabled."))
                .saw("sys.server_principals.is_disabled", 1)
                .source("Syncferry")
                .next("Enable the login before Connect is installed, or choose another service account."),
        ),
        Some(_) => {}
    }
    let user = match user_of(work, database, account).await? {
        Some(user) => user,
        None => {
            make_user(work, database, account).await?;
            user_of(work, database, account).await?.ok_or_else(|| {
                let found = format!("{account} has no user in {database} after making one");
                SqlError::local(SqlErrorKind::Answer, work.instance(), "create-user", found)
            })?
        }
    };
    if !user.is_owner {
        work.query_in(database, &statements::add_db_owner(&user.name)).await?;
        if !user_of(work, database, account).await?.is_some_and(|u| u.is_owner) {
            let found = format!("{} is not in db_owner after adding it", user.name);
            return Err(SqlError::local(
                SqlErrorKind::Answer,
                work.instance(),
                "add-db-owner",
                found,
            ));
        }
    }
    Ok(findings)
}

struct User {
    name: String,
    is_owner: bool,
}

async fn user_of(work: &mut SqlSession, database: &str, account: &str) -> Result<Option<User>, SqlError> {
    let found = rows(work.query_in(database, &statements::user_of_login(account)).await?);
    Ok(found.first().and_then(|row| {
        let name = row.text("name")?;
        // The database's owner is its `dbo`, who is in no role and may do everything.
        let is_owner = name == "dbo" || row.flag("is_db_owner").unwrap_or(false);
        Some(User { name, is_owner })
    }))
}

/// A user of the same name from the old server is bound to the login; else a user is made.
async fn make_user(work: &mut SqlSession, database: &str, account: &str) -> Result<(), SqlError> {
    let same_name = rows(work.query_in(database, &statements::user_by_name(account)).await?);
    let statement = match same_name.first().and_then(|r| r.text("name")) {
        Some(user) => statements::bind_user(&user, account),
        None => statements::create_user(account),
    };
    work.query_in(database, &statement).await.map(|_| ())
}

/// Users that came along and mean nothing here are reported, never repaired: whether they should mean something is not ours
/// to decide.
async fn orphans(work: &mut SqlSession, database: &str) -> Result<Option<Finding>, SqlError> {
    let users = rows(work.query_in(database, &statements::orphans()).await?);
    let names: Vec<String> = users.iter().filter_map(|r| r.text("name")).collect();
    if names.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        Finding::note("orphaned-users", format!("{} users of the old server have no login here.", names.len()))
            .saw("sys.database_principals without a login", names.join(", "))
            .source("Syncferry")
            .next("Nothing, as a rule: Connect makes what it needs. Remove them or give them logins if somebody else used the database."),
    ))
}

fn by_dba(error: &SqlError, rule: &str, title: &str, statement: &Statement) -> Finding {
    let mut finding = Finding::warning(rule, title);
    for message in &error.errors {
        finding = finding.saw(format!("{} on {}", error.statement, error.instance), message);
    }
    finding
        .source("Syncferry: least privilege")
        .next(format!("Have a DBA run: {}", statement.sql))
}
