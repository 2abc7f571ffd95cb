//! The fence: marks, the denial of CONNECT that commits with them, and the end of the sessions that were in before. All of it
//! runs in the database; nothing of it runs without an operator's approval of these very texts.
//!
//! The order is the guarantee: deny, commit, end sessions, look twice. KILL is not allowed inside a transaction, and a session
//! that was ended before the denial simply comes back.
//!
//! Every comparison is written so that NULL refuses. RAISERROR, by which the procedures for properties fail, does not honour
//! XACT_ABORT; so their return values are checked.

use syncferry_shared::fence::{MARK_EPOCH, MARK_NONCE, MARK_OWNER, MARK_UID};
use syncferry_shared::sabotage::{self, Mutant};
use uuid::Uuid;

use super::{AWKWARD, Statement};
use crate::sql::instance::APPLICATION;
use crate::sql::quote::{guid, ident, text};

/// Another fence runs.
pub const BUSY: i32 = 51_000;
/// The database takes no changes here.
pub const NOT_WRITABLE: i32 = 51_001;
/// It is another database.
pub const OTHER_DATABASE: i32 = 51_002;
/// The database has seen a newer epoch, or the same one with another owner.
pub const STALE: i32 = 51_003;
/// Some marks are there and others are not.
pub const INCOMPLETE: i32 = 51_004;
/// A login has another user than when the run was shown.
pub const USER_CHANGED: i32 = 51_005;
/// A denial would not bind a login.
pub const NOT_BOUND: i32 = 51_006;
/// A mark was not written or removed.
pub const MARK_FAILED: i32 = 51_007;

/// A login, and the user that it is in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The login.
    pub login: String,
    /// The user.
    pub user: String,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The database that the run was made for.
    pub database_guid: Uuid,
    /// Our id of it.
    pub uid: String,
    /// The epoch.
    pub epoch: i64,
    /// The server that may use it; `None` for nobody.
    pub owner: Option<String>,
    /// Who loses CONNECT.
    pub deny: Vec<Bound>,
    /// Who gets it.
    pub grant: Option<Bound>,
}

/// The comparison that refuses an epoch: strict, or of the same owner.
fn not_stale() -> String {
    if sabotage::on(Mutant::NoEpochCheck) {
        return String::new();
    }
    let fits = match sabotage::on(Mutant::EpochWithoutOwner) {
        true => "@epoch >= @seen_epoch",
        false => "@epoch > @seen_epoch OR (@epoch = @seen_epoch AND ISNULL(@seen_owner, N'') = @owner)",
    };
    format!("IF @seen_epoch IS NOT NULL AND NOT ({fits}) THROW {STALE}, N'stale epoch', 1;")
}

/// Begins a transaction that holds the lock of all fences and is in the right, writable database.
fn opening(database_guid: Uuid) -> String {
    format!(
        "SET XACT_ABORT ON;
SET LOCK_TIMEOUT 10000;
DECLARE @rc int;
BEGIN TRANSACTION;
EXEC @rc = sys.sp_getapplock @Resource = N'syncferry.fence', @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 10000;
IF ISNULL(@rc, -999) < 0 THROW {BUSY}, N'another fence runs', 1;
IF ISNULL(CAST(DATABASEPROPERTYEX(DB_NAME(), N'Updateability') AS nvarchar(60)), N'') <> N'READ_WRITE' THROW {NOT_WRITABLE}, N'not the writable replica', 1;
IF NOT EXISTS (SELECT 1 FROM sys.database_recovery_status WHERE database_id = DB_ID() AND database_guid = {}) THROW {OTHER_DATABASE}, N'other database', 1;",
        guid(database_guid)
    )
}

/// Nothing before it failed: XACT_ABORT and THROW end the batch and roll everything back.
const CLOSING: &str = "COMMIT TRANSACTION;";

/// Whether a mark is there.
fn there(mark: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM sys.extended_properties WHERE class = 0 AND name = {})",
        text(mark)
    )
}

/// Writes a mark, new or not.
fn put(mark: &str, value: &str) -> String {
    let name = text(mark);
    format!(
        "IF {} EXEC @rc = sys.sp_updateextendedproperty @name = {name}, @value = {value};
ELSE EXEC @rc = sys.sp_addextendedproperty @name = {name}, @value = {value};
IF ISNULL(@rc, -999) <> 0 THROW {MARK_FAILED}, N'a mark was not written', 1;",
        there(mark)
    )
}

/// Removes a mark, if it is there.
fn remove(mark: &str) -> String {
    let name = text(mark);
    format!(
        "SET @rc = 0;
IF {} EXEC @rc = sys.sp_dropextendedproperty @name = {name};
IF ISNULL(@rc, -999) <> 0 THROW {MARK_FAILED}, N'a mark was not removed', 1;",
        there(mark)
    )
}

fn same_user(bound: &Bound) -> String {
    format!(
        "IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = {} AND principal_id > 4 AND sid = SUSER_SID({})) THROW {USER_CHANGED}, N'a login has another user now', 1;",
        text(&bound.user),
        text(&bound.login)
    )
}

fn deny(bound: &Bound) -> String {
    let login = text(&bound.login);
    format!(
        "{}
IF ISNULL(IS_SRVROLEMEMBER(N'sysadmin', {login}), 1) <> 0 THROW {NOT_BOUND}, N'a sysadmin is not bound by a denial', 1;
IF NOT EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND owner_sid <> SUSER_SID({login})) THROW {NOT_BOUND}, N'the owner is not bound by a denial', 1;
DENY CONNECT TO {};",
        same_user(bound),
        ident(&bound.user)
    )
}

/// The transaction: epoch and owner as marks, CONNECT denied and granted.
pub fn write(order: &Order) -> Statement {
    let mut lines = vec![
        opening(order.database_guid),
        format!(
            "DECLARE @uid nvarchar(64) = {}, @epoch bigint = {}, @owner nvarchar(256) = {};
DECLARE @seen_uid nvarchar(64), @seen_epoch bigint, @seen_owner nvarchar(256);
SELECT @seen_uid = CAST(value AS nvarchar(64)) FROM sys.extended_properties WHERE class = 0 AND name = {};
SELECT @seen_epoch = CAST(value AS bigint) FROM sys.extended_properties WHERE class = 0 AND name = {};
SELECT @seen_owner = CAST(value AS nvarchar(256)) FROM sys.extended_properties WHERE class = 0 AND name = {};
IF ISNULL(@seen_uid, @uid) <> @uid THROW {OTHER_DATABASE}, N'other database', 1;
IF (@seen_uid IS NULL AND (@seen_epoch IS NOT NULL OR @seen_owner IS NOT NULL)) OR (@seen_uid IS NOT NULL AND @seen_epoch IS NULL) THROW {INCOMPLETE}, N'incomplete marks', 1;
{}",
            text(&order.uid),
            order.epoch,
            text(order.owner.as_deref().unwrap_or_default()),
            text(MARK_UID),
            text(MARK_EPOCH),
            text(MARK_OWNER),
            not_stale(),
        ),
        put(MARK_UID, "@uid"),
        put(MARK_EPOCH, "@epoch"),
        put(MARK_OWNER, "@owner"),
    ];
    lines.extend(order.deny.iter().map(deny));
    if let Some(bound) = &order.grant {
        lines.push(format!(
            "{}\nGRANT CONNECT TO {};",
            same_user(bound),
            ident(&bound.user)
        ));
    }
    lines.push(CLOSING.to_string());
    Statement::new("fence-write", lines.join("\n"))
}

/// Removes every mark of ours, and gives CONNECT back to users.
pub fn clean(database_guid: Uuid, allow: &[String]) -> Statement {
    let mut lines = vec![opening(database_guid)];
    lines.extend([MARK_NONCE, MARK_OWNER, MARK_EPOCH, MARK_UID].map(remove));
    lines.extend(allow.iter().map(|user| format!("GRANT CONNECT TO {};", ident(user))));
    lines.push(CLOSING.to_string());
    Statement::new("fence-clean", lines.join("\n"))
}

/// Writes a nonce for a rendezvous into a database that is not marked as another one.
pub fn write_nonce(database_guid: Uuid, uid: &str, nonce: &str) -> Statement {
    let lines = [
        opening(database_guid),
        format!(
            "DECLARE @uid nvarchar(64) = {}, @nonce nvarchar(64) = {};
IF EXISTS (SELECT 1 FROM sys.extended_properties WHERE class = 0 AND name = {} AND ISNULL(CAST(value AS nvarchar(64)), N'') <> @uid) THROW {OTHER_DATABASE}, N'other database', 1;",
            text(uid),
            text(nonce),
            text(MARK_UID)
        ),
        put(MARK_NONCE, "@nonce"),
        CLOSING.to_string(),
    ];
    Statement::new("fence-write-nonce", lines.join("\n"))
}

/// Removes a nonce, unless somebody wrote another one meanwhile.
pub fn remove_nonce(database_guid: Uuid, nonce: &str) -> Statement {
    let name = text(MARK_NONCE);
    let lines = [
        opening(database_guid),
        format!(
            "SET @rc = 0;
IF EXISTS (SELECT 1 FROM sys.extended_properties WHERE class = 0 AND name = {name} AND CAST(value AS nvarchar(64)) = {}) EXEC @rc = sys.sp_dropextendedproperty @name = {name};
IF ISNULL(@rc, -999) <> 0 THROW {MARK_FAILED}, N'a mark was not removed', 1;",
            text(nonce)
        ),
        CLOSING.to_string(),
    ];
    Statement::new("fence-remove-nonce", lines.join("\n"))
}

fn list(logins: &[String]) -> String {
    let quoted: Vec<String> = logins.iter().map(|l| text(l)).collect();
    quoted.join(", ")
}

/// Refuses where an epoch is not the database's newest.
fn newest(epoch: i64) -> String {
    if sabotage::on(Mutant::NoEpochCheck) || sabotage::on(Mutant::KillBeforeDeny) {
        return String::new();
    }
    format!(
        "IF NOT EXISTS (SELECT 1 FROM sys.extended_properties WHERE class = 0 AND name = {} AND CAST(value AS bigint) = {epoch}) THROW {STALE}, N'stale epoch', 1;\n",
        text(MARK_EPOCH)
    )
}

/// Ends every session of these logins, wherever on the instance it is, and answers whom it ended; runs in the database, and
/// only while its newest epoch is ours: somebody whom a newer one let in is not ended. Ids are used again by the server, so
/// each session is looked at once more right before. At least one login.
pub fn end_sessions(epoch: i64, logins: &[String]) -> Statement {
    let logins = list(logins);
    Statement::new(
        "fence-end-sessions",
        format!(
            "{}DECLARE @id int, @kill nvarchar(20);
DECLARE @ended TABLE (session_id int NOT NULL, login_time datetime NOT NULL, login_name nvarchar(128) NOT NULL, host_name nvarchar(128) NULL, program_name nvarchar(128) NULL, host_process_id int NULL);
INSERT INTO @ended (session_id, login_time, login_name, host_name, program_name, host_process_id)
SELECT s.session_id, s.login_time, s.login_name, s.host_name, s.program_name, s.host_process_id
FROM sys.dm_exec_sessions s
WHERE s.is_user_process = 1 AND s.session_id <> @@SPID AND (s.login_name IN ({logins}) OR s.original_login_name IN ({logins}));
SELECT @id = MIN(session_id) FROM @ended;
WHILE @id IS NOT NULL
BEGIN
SET @kill = N'KILL ' + CAST(@id AS nvarchar(10)) + N';';
BEGIN TRY
IF EXISTS (SELECT 1 FROM sys.dm_exec_sessions s INNER JOIN @ended e ON e.session_id = s.session_id AND e.login_time = s.login_time WHERE s.session_id = @id) EXEC (@kill);
END TRY
BEGIN CATCH
IF ERROR_NUMBER() <> 6106 THROW;
END CATCH;
SELECT @id = MIN(session_id) FROM @ended WHERE session_id > @id;
END;
SELECT session_id, login_name, host_name, program_name, host_process_id FROM @ended ORDER BY session_id;",
            newest(epoch)
        ),
    )
}

/// The server's time, and who is there: other people's sessions on the database, and every session of these logins, whatever
/// program it says that it is.
pub fn look(database: &str, logins: &[String]) -> Statement {
    let ours = text(&format!("{APPLICATION}/%"));
    let of_logins = match list(logins) {
        none if none.is_empty() => String::new(),
        some => format!("s.login_name IN ({some}) OR s.original_login_name IN ({some})\n OR "),
    };
    Statement::new(
        "fence-look",
        format!(
            "DECLARE @db sysname = {};
SELECT SYSUTCDATETIME() AS server_utc;
SELECT s.session_id, s.login_name, s.host_name, s.host_process_id, s.program_name, c.client_net_address
FROM sys.dm_exec_sessions s
LEFT JOIN sys.dm_exec_connections c ON c.session_id = s.session_id AND c.parent_connection_id IS NULL
WHERE s.is_user_process = 1 AND s.session_id <> @@SPID
 AND ({of_logins}(ISNULL(s.program_name, N'') NOT LIKE {ours} AND (s.database_id = DB_ID(@db)
  OR EXISTS (SELECT 1 FROM sys.dm_tran_locks l WHERE l.request_session_id = s.session_id
   AND l.resource_type = N'DATABASE' AND l.resource_database_id = DB_ID(@db)))))
ORDER BY s.session_id;",
            text(database)
        ),
    )
}

/// Our marks; runs in the database.
pub fn marks() -> Statement {
    Statement::new(
        "fence-marks",
        "SELECT name, CAST(value AS nvarchar(4000)) AS value FROM sys.extended_properties WHERE class = 0 AND name LIKE N'syncferry.%' ORDER BY name;",
    )
}

/// Users whom CONNECT is denied to, with the login behind them where there is one; runs in the database.
pub fn denied() -> Statement {
    Statement::new(
        "fence-denied",
        "SELECT dp.name, sp.name AS login_name, SYSUTCDATETIME() AS server_utc
FROM sys.database_permissions pe
INNER JOIN sys.database_principals dp ON dp.principal_id = pe.grantee_principal_id
LEFT JOIN sys.server_principals sp ON sp.sid = dp.sid
WHERE pe.class = 0 AND pe.permission_name = N'CONNECT' AND pe.state_desc = N'DENY'
ORDER BY dp.name;",
    )
}

pub(super) fn samples() -> Vec<Statement> {
    let bound = |login: &str| Bound {
        login: login.into(),
        user: AWKWARD.into(),
    };
    let id = Uuid::nil();
    let order = Order {
        database_guid: id,
        uid: AWKWARD.into(),
        epoch: 7,
        owner: Some(AWKWARD.into()),
        deny: vec![bound(AWKWARD), bound(r"CONTOSO\svc-a$")],
        grant: Some(bound(r"CONTOSO\svc-b$")),
    };
    vec![
        write(&order),
        clean(id, &[AWKWARD.into()]),
        write_nonce(id, AWKWARD, AWKWARD),
        remove_nonce(id, AWKWARD),
        end_sessions(7, &[AWKWARD.into(), r"CONTOSO\svc-a$".into()]),
        look(AWKWARD, &[AWKWARD.into()]),
        marks(),
        denied(),
    ]
}
