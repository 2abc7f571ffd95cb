//! What a restored database needs before anybody uses it. The order matters: a copy of a read-only database is read-only, and
//! neither its owner nor its users can be changed until it is not.

use super::{AWKWARD, Statement};
use crate::sql::quote::{ident, text};

/// Makes the database writable.
pub fn read_write(name: &str) -> Statement {
    Statement::new(
        "set-read-write",
        format!("ALTER DATABASE {} SET READ_WRITE WITH ROLLBACK IMMEDIATE;", ident(name)),
    )
}

/// The name of the login with SID 0x01: `sa`, unless somebody renamed it.
pub fn sa_name() -> Statement {
    Statement::new("sa-name", "SELECT name FROM sys.server_principals WHERE sid = 0x01;")
}

/// Makes a login the owner.
pub fn owner(name: &str, login: &str) -> Statement {
    Statement::new(
        "set-owner",
        format!("ALTER AUTHORIZATION ON DATABASE::{} TO {};", ident(name), ident(login)),
    )
}

/// Reads the owner back.
pub fn owner_name(name: &str) -> Statement {
    Statement::new(
        "owner-name",
        format!(
            "DECLARE @db sysname = {};
SELECT SUSER_SNAME(d.owner_sid) AS owner_name, d.is_read_only, d.user_access_desc, d.page_verify_option_desc FROM sys.databases d WHERE d.name = @db;",
            text(name)
        ),
    )
}

/// Checks the database; no row means clean.
pub fn check_db(name: &str) -> Statement {
    Statement::new(
        "dbcc-checkdb",
        format!(
            "DBCC CHECKDB ({}) WITH NO_INFOMSGS, ALL_ERRORMSGS, TABLERESULTS;",
            text(name)
        ),
    )
}

/// Users whose login does not exist on this instance; runs in the database.
pub fn orphans() -> Statement {
    Statement::new(
        "orphaned-users",
        "SELECT dp.name, dp.type_desc, dp.sid
FROM sys.database_principals dp LEFT JOIN sys.server_principals sp ON sp.sid = dp.sid
WHERE sp.sid IS NULL AND dp.type IN ('S', 'U', 'G') AND dp.authentication_type_desc IN ('INSTANCE', 'WINDOWS') AND dp.principal_id > 4
ORDER BY dp.name;",
    )
}

/// Whether a login exists.
pub fn login(account: &str) -> Statement {
    Statement::new(
        "find-login",
        format!(
            "SELECT name, type_desc, is_disabled FROM sys.server_principals WHERE name = {};",
            text(account)
        ),
    )
}

/// Whether the agent sees logins of others at all.
pub fn sees_logins() -> Statement {
    Statement::new(
        "sees-logins",
        "SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW ANY DEFINITION') AS sees_logins;",
    )
}

/// Makes a login for a Windows account; its SID comes from the domain, so users in restored databases match by themselves.
pub fn create_login(account: &str) -> Statement {
    Statement::new("create-login", format!("CREATE LOGIN {} FROM WINDOWS;", ident(account)))
}

/// The user of a login, by its SID; runs in the database. The owner is `dbo`.
pub fn user_of_login(account: &str) -> Statement {
    Statement::new(
        "user-of-login",
        format!(
            "SELECT dp.name, ISNULL(IS_ROLEMEMBER('db_owner', dp.name), 0) AS is_db_owner
FROM sys.database_principals dp JOIN sys.server_principals sp ON sp.sid = dp.sid
WHERE sp.name = {};",
            text(account)
        ),
    )
}

/// Whether a user of this name exists; runs in the database.
pub fn user_by_name(user: &str) -> Statement {
    Statement::new(
        "user-by-name",
        format!(
            "SELECT name, type_desc FROM sys.database_principals WHERE name = {} AND type IN ('S', 'U', 'G');",
            text(user)
        ),
    )
}

/// Makes a user for a login; runs in the database.
pub fn create_user(account: &str) -> Statement {
    Statement::new("create-user", format!("CREATE USER {0} FOR LOGIN {0};", ident(account)))
}

/// Binds a user to the login of the same name; runs in the database.
pub fn bind_user(user: &str, login: &str) -> Statement {
    Statement::new(
        "bind-user",
        format!("ALTER USER {} WITH LOGIN = {};", ident(user), ident(login)),
    )
}

/// Makes a user a member of db_owner; runs in the database.
pub fn add_db_owner(user: &str) -> Statement {
    Statement::new(
        "add-db-owner",
        format!("ALTER ROLE [db_owner] ADD MEMBER {};", ident(user)),
    )
}

/// Page checksums on, auto-close off, and open to everybody.
pub fn open(name: &str) -> Statement {
    Statement::new(
        "open-database",
        format!(
            "ALTER DATABASE {0} SET PAGE_VERIFY CHECKSUM;
ALTER DATABASE {0} SET AUTO_CLOSE OFF;
ALTER DATABASE {0} SET MULTI_USER;",
            ident(name)
        ),
    )
}

/// Statistics of an older version are of little use to a newer one; runs in the database.
pub fn update_statistics() -> Statement {
    Statement::new("update-statistics", "EXEC sys.sp_updatestats;")
}

pub(super) fn samples() -> Vec<Statement> {
    vec![
        read_write(AWKWARD),
        sa_name(),
        owner(AWKWARD, AWKWARD),
        owner_name(AWKWARD),
        check_db(AWKWARD),
        orphans(),
        login(AWKWARD),
        sees_logins(),
        create_login(AWKWARD),
        user_of_login(AWKWARD),
        user_by_name(AWKWARD),
        create_user(AWKWARD),
        bind_user(AWKWARD, AWKWARD),
        add_db_owner(AWKWARD),
        open(AWKWARD),
        update_statistics(),
    ]
}
