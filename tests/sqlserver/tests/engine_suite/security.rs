//! Logins, users, permissions: who is let in, and what is refused with which number.

use super::lab::{CREATED, Lab, numbers, ok, run, small_adsync, text, value};
use syncferry_sqlserver::storage::InstanceSpec;
use syncferry_sqlserver::types::Value;

fn lab() -> Lab {
    Lab::of(
        InstanceSpec::standard_2022("SQL01", None, CREATED)
            .login("plain", "p", &[], &[])
            .login("creator", "p", &["dbcreator"], &[])
            .login("viewer", "p", &[], &["VIEW SERVER STATE"])
            .login(r"CONTOSO\svc-adsync$", "p", &[], &[])
            .database(small_adsync(957)),
    )
}

#[tokio::test]
async fn logging_in() {
    let lab = lab();
    let refused = |r: Result<_, syncferry_sqlserver::types::Message>| {
        r.err()
            .map(|m: syncferry_sqlserver::types::Message| (m.number, m.state))
    };
    assert_eq!(
        refused(lab.login("sa", "wrong", "").await.map(|_| ())),
        Some((18_456, 1))
    );
    assert_eq!(
        refused(lab.login("nobody", "p", "").await.map(|_| ())),
        Some((18_456, 1))
    );
    assert_eq!(
        refused(lab.login("plain", "p", "nothing").await.map(|_| ())),
        Some((4060, 1))
    );
    assert_eq!(
        refused(lab.login("plain", "p", "ADSync").await.map(|_| ())),
        Some((4060, 1))
    );
    let mut service = lab.login(r"CONTOSO\svc-adsync$", "p", "").await.unwrap();
    assert_eq!(
        value(&mut service, "SELECT SUSER_SNAME()").await,
        text(r"CONTOSO\svc-adsync$")
    );
    let mut sa = lab.sa().await;
    ok(&mut sa, "ALTER LOGIN plain DISABLE").await;
    assert_eq!(
        refused(lab.login("plain", "p", "").await.map(|_| ())),
        Some((18_456, 1))
    );
    ok(
        &mut sa,
        "ALTER LOGIN plain ENABLE; ALTER LOGIN plain WITH PASSWORD = 'q'",
    )
    .await;
    assert!(lab.login("plain", "q", "").await.is_ok());
    lab.faults(r#"{"rules":[{"on":"login","error":18456,"message":"Login failed for user 'sa'."}]}"#);
    assert_eq!(
        refused(lab.login("sa", "sa", "").await.map(|_| ())).map(|r| r.0),
        Some(18_456)
    );
}

#[tokio::test]
async fn least_privilege() {
    let lab = lab();
    let mut plain = lab.login("plain", "p", "").await.unwrap();
    let table: &[(&str, &[i32])] = &[
        ("USE ADSync", &[916]),
        ("SELECT * FROM ADSync.dbo.mms_management_agent", &[916]),
        (r"BACKUP DATABASE ADSync TO DISK = 'D:\x.bak'", &[916, 3013]),
        (r"BACKUP DATABASE master TO DISK = 'D:\x.bak'", &[262, 3013]),
        (r"RESTORE HEADERONLY FROM DISK = 'D:\x.bak'", &[262, 3013]),
        (r"RESTORE DATABASE New FROM DISK = 'D:\x.bak'", &[262, 3013]),
        (r"RESTORE DATABASE ADSync FROM DISK = 'D:\x.bak'", &[3110, 3013]),
        ("SELECT * FROM sys.dm_exec_connections", &[300, 297]),
        ("SELECT * FROM sys.dm_tran_locks", &[300, 297]),
        ("KILL 55", &[6102]),
        ("CREATE DATABASE X", &[262]),
        ("ALTER DATABASE ADSync SET READ_ONLY", &[5011, 5069]),
        ("CREATE LOGIN x WITH PASSWORD = 'y'", &[15_247]),
        ("EXEC xp_create_subdir N'D:\\x'", &[229]),
        ("EXECUTE AS LOGIN = 'sa'", &[15_406]),
        ("GRANT VIEW SERVER STATE TO plain", &[4613]),
        ("EXEC sp_getapplock N'x', 'Exclusive', 'Session', 0, 'dbo'", &[15_247]),
    ];
    for (sql, expected) in table {
        assert_eq!(numbers(&mut plain, sql).await, *expected, "{sql}");
    }
    let other = lab.sa().await;
    assert_eq!(
        value(&mut plain, "SELECT COUNT(*) FROM sys.dm_exec_sessions").await,
        Value::Int(1)
    );
    assert_eq!(
        value(&mut plain, "SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')").await,
        Value::Int(0)
    );
    let mut viewer = lab.login("viewer", "p", "").await.unwrap();
    assert_eq!(
        value(&mut viewer, "SELECT COUNT(*) FROM sys.dm_exec_sessions").await,
        Value::Int(3)
    );
    ok(&mut viewer, "SELECT * FROM sys.dm_exec_connections").await;
    let mut creator = lab.login("creator", "p", "").await.unwrap();
    ok(&mut creator, "CREATE DATABASE Mine").await;
    assert_eq!(
        value(
            &mut creator,
            "SELECT SUSER_SNAME(owner_sid) FROM sys.databases WHERE name = 'Mine'"
        )
        .await,
        text("creator")
    );
    ok(
        &mut creator,
        "USE Mine; CREATE TABLE t (a int); USE master; DROP DATABASE Mine",
    )
    .await;
    drop(other);
}

#[tokio::test]
async fn users_and_their_rights() {
    let lab = lab();
    let mut sa = lab.sa().await;
    ok(
        &mut sa,
        "USE ADSync; CREATE USER p FOR LOGIN plain; ALTER ROLE db_datareader ADD MEMBER p",
    )
    .await;
    let mut plain = lab.login("plain", "p", "ADSync").await.unwrap();
    ok(&mut plain, "SELECT COUNT(*) FROM mms_management_agent").await;
    assert_eq!(value(&mut plain, "SELECT USER_NAME()").await, text("p"));
    assert_eq!(numbers(&mut plain, "DELETE FROM mms_management_agent").await, [229]);
    assert_eq!(numbers(&mut plain, "EXEC dbo.mms_get_globalsettings").await, [229]);
    ok(&mut sa, "GRANT EXECUTE ON dbo.mms_get_globalsettings TO p").await;
    ok(&mut plain, "EXEC dbo.mms_get_globalsettings").await;
    ok(&mut sa, "DENY SELECT ON dbo.mms_management_agent TO p").await;
    assert_eq!(numbers(&mut plain, "SELECT * FROM mms_management_agent").await, [229]);
    ok(
        &mut sa,
        "REVOKE SELECT ON dbo.mms_management_agent FROM p; ALTER ROLE db_backupoperator ADD MEMBER p",
    )
    .await;
    ok(
        &mut plain,
        r"BACKUP DATABASE ADSync TO DISK = 'D:\p.bak' WITH COPY_ONLY",
    )
    .await;
    // The grant-based fence.
    ok(&mut sa, "DENY CONNECT TO p").await;
    assert_eq!(
        lab.login("plain", "p", "ADSync").await.err().map(|m| m.number),
        Some(4060)
    );
    assert_eq!(ok(&mut sa, "SELECT permission_name, state_desc FROM sys.database_permissions WHERE grantee_principal_id = USER_ID('p') AND class = 0").await.text(), "CONNECT|DENY");
    let mut elsewhere = lab.login("plain", "p", "").await.unwrap();
    assert_eq!(numbers(&mut elsewhere, "USE ADSync").await, [916]);
    ok(&mut sa, "GRANT CONNECT TO p").await;
    ok(&mut elsewhere, "USE ADSync").await;
    let table: &[(&str, &[i32])] = &[
        ("CREATE USER p FOR LOGIN plain", &[15_023]),
        ("CREATE USER q FOR LOGIN plain", &[15_063]),
        ("CREATE USER q FOR LOGIN nothing", &[15_007]),
        ("ALTER USER nothing WITH LOGIN = plain", &[15_151]),
        ("ALTER ROLE nothing ADD MEMBER p", &[15_151]),
        ("DROP USER nothing", &[15_151]),
        ("ALTER AUTHORIZATION ON DATABASE::ADSync TO plain", &[15_110]),
        ("ALTER AUTHORIZATION ON DATABASE::ADSync TO nothing", &[15_151]),
        ("CREATE LOGIN plain WITH PASSWORD = 'x'", &[15_025]),
        ("DROP LOGIN nothing", &[15_151]),
        ("DROP LOGIN plain", &[15_434]),
    ];
    for (sql, expected) in table {
        assert_eq!(numbers(&mut sa, sql).await, *expected, "{sql}");
    }
}

#[tokio::test]
async fn kill_and_impersonation() {
    let lab = lab();
    let mut sa = lab.sa().await;
    let plain = lab.login("plain", "p", "").await.unwrap();
    assert_eq!(numbers(&mut sa, "KILL 9999").await, [6106]);
    let own = sa.spid();
    assert_eq!(numbers(&mut sa, &format!("KILL {own}")).await, [6104]);
    ok(&mut sa, &format!("KILL {}", plain.spid())).await;
    assert!(plain.killed().is_cancelled());
    drop(plain);
    ok(&mut sa, "EXECUTE AS LOGIN = 'plain'").await;
    assert_eq!(
        ok(
            &mut sa,
            "SELECT SUSER_SNAME(), ORIGINAL_LOGIN(), IS_SRVROLEMEMBER('sysadmin')"
        )
        .await
        .text(),
        "plain|sa|0"
    );
    assert_eq!(numbers(&mut sa, "CREATE DATABASE X").await, [262]);
    ok(&mut sa, "REVERT").await;
    assert_eq!(value(&mut sa, "SELECT SUSER_SNAME()").await, text("sa"));
    ok(&mut sa, "CREATE LOGIN n WITH PASSWORD = 'x', SID = 0x0102030405060708090A0B0C0D0E0F10, DEFAULT_DATABASE = ADSync; ALTER SERVER ROLE sysadmin ADD MEMBER n").await;
    let mut n = lab.login("n", "x", "").await.unwrap();
    assert_eq!(value(&mut n, "SELECT DB_NAME()").await, text("ADSync"));
    assert!(run(&mut n, "SELECT SUSER_SID()").await.text().starts_with("0x0102"));
}
