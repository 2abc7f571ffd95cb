//! What decides whether a login can be kept out of a database: DENY CONNECT, owners and sysadmins, groups, sessions that are
//! in already, KILL, and the marks that are written in the same transaction.

use super::lab::{CREATED, Lab, numbers, ok, small_adsync, text, value};
use syncferry_sqlserver::storage::InstanceSpec;
use syncferry_sqlserver::types::Value;

const A: &str = r"CONTOSO\svc-a$";
const B: &str = r"CONTOSO\svc-b$";
const DBA: &str = r"CONTOSO\dba";

/// Two service accounts with users in ADSync, a group of administrators, and a login that may fence and nothing else.
async fn lab() -> Lab {
    let lab = Lab::of(
        InstanceSpec::standard_2022("SQL01", None, CREATED)
            .windows_login(A, &[])
            .windows_login(B, &[])
            .windows_group(r"CONTOSO\Sync", &[A, r"CONTOSO\Nested"])
            .windows_group(r"CONTOSO\Nested", &[DBA])
            .login(
                "fencer",
                "p",
                &[],
                &["VIEW SERVER STATE", "ALTER ANY CONNECTION", "VIEW ANY DEFINITION"],
            )
            .login("granted", "p", &[], &[])
            .master_grant("granted", "xp_logininfo")
            .database(small_adsync(957)),
    );
    std::fs::write(lab.dir.path().join("lab.json"), r#"{"windows_password": "w"}"#).unwrap();
    let mut sa = lab.sa().await;
    ok(&mut sa, "ALTER AUTHORIZATION ON DATABASE::ADSync TO sa; USE ADSync").await;
    for account in [A, B] {
        ok(
            &mut sa,
            &format!("CREATE USER [{account}] FOR LOGIN [{account}]; ALTER ROLE db_owner ADD MEMBER [{account}]"),
        )
        .await;
    }
    ok(
        &mut sa,
        "CREATE USER fencer FOR LOGIN fencer; GRANT ALTER ON DATABASE::ADSync TO fencer; ALTER ROLE db_securityadmin ADD MEMBER fencer",
    )
    .await;
    lab
}

async fn refusal(lab: &Lab, user: &str, database: &str) -> Option<i32> {
    lab.login(user, "w", database).await.err().map(|m| m.number)
}

#[tokio::test]
async fn a_denied_owner_of_the_role_does_not_come_in_again() {
    let lab = lab().await;
    let mut inside = lab.login(A, "w", "ADSync").await.unwrap();
    let mut outside = lab.login(A, "w", "").await.unwrap();
    let mut fencer = lab.login("fencer", "p", "ADSync").await.unwrap();
    ok(&mut fencer, &format!("DENY CONNECT TO [{A}]")).await;
    // Whoever is in stays in: CONNECT is asked for at the door.
    ok(&mut inside, "SELECT COUNT(*) FROM dbo.mms_management_agent").await;
    ok(&mut inside, "UPDATE dbo.mms_management_agent SET ma_name = ma_name").await;
    assert_eq!(numbers(&mut outside, "USE ADSync").await, [916]);
    assert_eq!(
        numbers(&mut outside, "SELECT COUNT(*) FROM ADSync.dbo.mms_management_agent").await,
        [916]
    );
    assert_eq!(refusal(&lab, A, "ADSync").await, Some(4060));
    assert_eq!(refusal(&lab, B, "ADSync").await, None);
    // The session ends with KILL, and then nothing of it is left.
    let state = "SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE login_name = N'CONTOSO\\svc-a$' AND database_id = DB_ID(N'ADSync')";
    assert_eq!(value(&mut fencer, state).await, Value::Int(1));
    ok(&mut fencer, &format!("KILL {}", inside.spid())).await;
    assert!(inside.killed().is_cancelled());
    drop(inside);
    assert_eq!(value(&mut fencer, state).await, Value::Int(0));
    ok(&mut fencer, &format!("GRANT CONNECT TO [{A}]")).await;
    ok(&mut outside, "USE ADSync").await;
}

#[tokio::test]
async fn a_denied_role_or_public_denies_its_members() {
    let lab = lab().await;
    let mut sa = lab.sa().await;
    ok(
        &mut sa,
        &format!("USE ADSync; CREATE ROLE old; ALTER ROLE old ADD MEMBER [{A}]; DENY CONNECT TO old"),
    )
    .await;
    assert_eq!(refusal(&lab, A, "ADSync").await, Some(4060));
    assert_eq!(refusal(&lab, B, "ADSync").await, None);
    ok(&mut sa, "REVOKE CONNECT FROM old").await;
    assert_eq!(refusal(&lab, A, "ADSync").await, None);
}

#[tokio::test]
async fn neither_the_owner_nor_a_sysadmin_is_bound() {
    let lab = lab().await;
    let mut sa = lab.sa().await;
    // A user that becomes the owner must be dropped first: then there is nobody to deny.
    ok(
        &mut sa,
        &format!("USE ADSync; DENY CONNECT TO [{A}]; DENY CONNECT TO [{B}]"),
    )
    .await;
    ok(&mut sa, &format!("ALTER SERVER ROLE sysadmin ADD MEMBER [{B}]")).await;
    assert_eq!(refusal(&lab, B, "ADSync").await, None);
    assert_eq!(
        ok(
            &mut sa,
            &format!("SELECT IS_SRVROLEMEMBER('sysadmin', N'{B}'), IS_SRVROLEMEMBER('sysadmin', N'{A}')")
        )
        .await
        .text(),
        "1|0"
    );
    ok(
        &mut sa,
        &format!("DROP USER [{A}]; ALTER AUTHORIZATION ON DATABASE::ADSync TO [{A}]"),
    )
    .await;
    assert_eq!(refusal(&lab, A, "ADSync").await, None);
    assert_eq!(
        value(
            &mut sa,
            &format!("SELECT COUNT(*) FROM sys.databases WHERE name = N'ADSync' AND owner_sid = SUSER_SID(N'{A}')")
        )
        .await,
        Value::Int(1)
    );
    assert_eq!(numbers(&mut sa, "DENY CONNECT TO dbo").await, [4617]);
}

#[tokio::test]
async fn groups_let_in_and_deny() {
    let lab = lab().await;
    let mut sa = lab.sa().await;
    // Without a login anywhere nobody gets in; through a group's login, members do, also nested ones.
    assert_eq!(refusal(&lab, DBA, "").await, Some(18_456));
    ok(&mut sa, r"CREATE LOGIN [CONTOSO\Sync] FROM WINDOWS").await;
    assert_eq!(
        value(
            &mut sa,
            r"SELECT type_desc FROM sys.server_principals WHERE name = N'CONTOSO\Sync'"
        )
        .await,
        text("WINDOWS_GROUP")
    );
    let mut dba = lab.login(DBA, "w", "").await.unwrap();
    assert_eq!(value(&mut dba, "SELECT SUSER_SNAME()").await, text(DBA));
    assert_eq!(numbers(&mut dba, "USE ADSync").await, [916]);
    ok(&mut sa, r"USE ADSync; CREATE USER [CONTOSO\Sync] FOR LOGIN [CONTOSO\Sync]; ALTER ROLE db_datareader ADD MEMBER [CONTOSO\Sync]").await;
    ok(&mut dba, "USE ADSync; SELECT COUNT(*) FROM dbo.mms_management_agent").await;
    assert_eq!(numbers(&mut dba, "DELETE FROM dbo.mms_management_agent").await, [229]);
    // The member's own user is gone, and the group still lets it in: that is why a group's way counts against a fence.
    ok(&mut sa, &format!("DROP USER [{A}]")).await;
    assert_eq!(refusal(&lab, A, "ADSync").await, None);
    ok(&mut sa, r"DENY CONNECT TO [CONTOSO\Sync]").await;
    assert_eq!(refusal(&lab, A, "ADSync").await, Some(4060));
    ok(&mut sa, &format!("CREATE USER [{A}] FOR LOGIN [{A}]")).await;
    // A DENY on the group beats the member's own GRANT.
    assert_eq!(refusal(&lab, A, "ADSync").await, Some(4060));
    ok(
        &mut sa,
        r"USE master; ALTER SERVER ROLE sysadmin ADD MEMBER [CONTOSO\Sync]",
    )
    .await;
    assert_eq!(refusal(&lab, A, "ADSync").await, None);
    assert_eq!(
        value(&mut sa, &format!("SELECT IS_SRVROLEMEMBER('sysadmin', N'{A}')")).await,
        Value::Int(1)
    );
}

#[tokio::test]
async fn the_ways_of_an_account() {
    let lab = lab().await;
    let mut sa = lab.sa().await;
    ok(&mut sa, r"CREATE LOGIN [CONTOSO\Sync] FROM WINDOWS").await;
    let ways = |account: &str| format!("EXEC sys.xp_logininfo @acctname = N'{account}', @option = 'all'");
    assert_eq!(
        ok(&mut sa, &ways(A)).await.text(),
        format!("{A}|user    |user     |{A}|NULL\n{A}|user    |user     |{A}|CONTOSO\\Sync")
    );
    assert_eq!(
        ok(&mut sa, &ways(B)).await.text(),
        format!("{B}|user    |user     |{B}|NULL")
    );
    assert_eq!(numbers(&mut sa, &ways(r"CONTOSO\nobody")).await, [15_404]);
    let members = r"EXEC sys.xp_logininfo @acctname = N'CONTOSO\Sync', @option = 'members'";
    assert_eq!(
        ok(&mut sa, members).await.text(),
        format!(
            "{A}|user    |user     |{A}|CONTOSO\\Sync\nCONTOSO\\Nested|group   |user     |CONTOSO\\Nested|CONTOSO\\Sync"
        )
    );
    let mut fencer = lab.login("fencer", "p", "").await.unwrap();
    assert_eq!(numbers(&mut fencer, &ways(A)).await, [229]);
    let mut granted = lab.login("granted", "p", "").await.unwrap();
    ok(&mut granted, &ways(A)).await;
    ok(
        &mut sa,
        "CREATE USER fencer FOR LOGIN fencer; GRANT EXECUTE ON sys.xp_logininfo TO fencer",
    )
    .await;
    ok(&mut fencer, &ways(A)).await;
}

#[tokio::test]
async fn a_denied_login_is_out_of_the_whole_server() {
    let lab = lab().await;
    let mut sa = lab.sa().await;
    ok(&mut sa, &format!("DENY CONNECT SQL TO [{A}]")).await;
    assert_eq!(refusal(&lab, A, "").await, Some(18_456));
    assert_eq!(refusal(&lab, B, "").await, None);
}

#[tokio::test]
async fn marks_and_permissions_commit_or_roll_back_together() {
    let lab = lab().await;
    let mut fencer = lab.login("fencer", "p", "ADSync").await.unwrap();
    let mut other = lab.login("fencer", "p", "ADSync").await.unwrap();
    let marks = "SELECT COUNT(*) FROM sys.extended_properties WHERE class = 0 AND name LIKE N'syncferry.%'";
    let denied = "SELECT COUNT(*) FROM sys.database_permissions WHERE class = 0 AND permission_name = N'CONNECT' AND state_desc = N'DENY'";
    let change = format!(
        "SET XACT_ABORT ON; SET LOCK_TIMEOUT 1000; BEGIN TRANSACTION;
DECLARE @rc int; EXEC @rc = sys.sp_getapplock @Resource = N'syncferry.fence', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 0;
IF @rc < 0 THROW 51000, N'busy', 1;
EXEC sys.sp_addextendedproperty @name = N'syncferry.epoch', @value = 7;
DENY CONNECT TO [{A}];"
    );
    ok(&mut fencer, &change).await;
    assert_eq!(value(&mut fencer, marks).await, Value::Int(1));
    // Nobody else sees it, gets the lock, or may KILL from inside.
    assert_eq!(value(&mut other, marks).await, Value::Int(0));
    assert_eq!(numbers(&mut other, &change).await, [51_000]);
    assert_eq!(value(&mut other, "SELECT @@TRANCOUNT").await, Value::Int(0));
    let victim = lab.login(B, "w", "").await.unwrap();
    assert_eq!(numbers(&mut fencer, &format!("KILL {}", victim.spid())).await, [6115]);
    assert!(!victim.killed().is_cancelled());
    // XACT_ABORT: what fails takes everything with it.
    let mut fencer = {
        drop(fencer);
        lab.login("fencer", "p", "ADSync").await.unwrap()
    };
    assert_eq!(value(&mut fencer, marks).await, Value::Int(0), "its end rolled it back");
    assert_eq!(
        numbers(&mut fencer, &format!("{change} DENY CONNECT TO [nobody]; COMMIT;")).await,
        [15_151]
    );
    assert_eq!(ok(&mut fencer, &format!("{marks}; {denied}")).await.text(), "0\n0");
    ok(&mut fencer, &format!("{change} COMMIT;")).await;
    assert_eq!(ok(&mut other, &format!("{marks}; {denied}")).await.text(), "1\n1");
    let lab = {
        drop((fencer, other, victim));
        lab.reopened()
    };
    std::fs::write(lab.dir.path().join("lab.json"), r#"{"windows_password": "w"}"#).unwrap();
    assert_eq!(refusal(&lab, A, "ADSync").await, Some(4060));
}

#[tokio::test]
async fn who_may_fence() {
    let lab = lab().await;
    let mut sa = lab.sa().await;
    let mut fencer = lab.login("fencer", "p", "ADSync").await.unwrap();
    let table: &[(&str, i32)] = &[
        ("DELETE FROM dbo.mms_management_agent", 229),
        ("CREATE LOGIN x WITH PASSWORD = 'y'", 15_247),
        ("ALTER ROLE db_owner ADD MEMBER fencer", 15_151),
    ];
    for (sql, number) in table {
        assert_eq!(numbers(&mut fencer, sql).await, [*number], "{sql}");
    }
    ok(&mut sa, "USE ADSync; ALTER ROLE db_securityadmin DROP MEMBER fencer").await;
    assert_eq!(numbers(&mut fencer, "DENY CONNECT TO public").await, [4613]);
    ok(
        &mut fencer,
        "EXEC sys.sp_addextendedproperty @name = N'syncferry.epoch', @value = 7",
    )
    .await;
    ok(&mut sa, "REVOKE ALTER ON DATABASE::ADSync FROM fencer").await;
    assert_eq!(
        numbers(
            &mut fencer,
            "EXEC sys.sp_dropextendedproperty @name = N'syncferry.epoch'"
        )
        .await,
        [15_247]
    );
    let victim = lab.login(B, "w", "").await.unwrap();
    ok(&mut sa, "USE master; REVOKE ALTER ANY CONNECTION FROM fencer").await;
    assert_eq!(numbers(&mut fencer, &format!("KILL {}", victim.spid())).await, [6102]);
}

fn group(role: &str, readable: bool) -> String {
    format!(
        r#"{{"groups": [{{"name": "AG1", "group_id": "6a1f0000-0000-0000-0000-000000000001", "replica_id": "6a1f0000-0000-0000-0000-0000000000a1",
 "role": "{role}", "readable": {readable}, "listener": {{"dns_name": "sync-ag", "port": 1433}},
 "others": [{{"server_name": "SQL02", "replica_id": "6a1f0000-0000-0000-0000-0000000000a2"}}],
 "databases": [{{"name": "ADSync", "group_database_id": "6a1f0000-0000-0000-0000-00000000db01"}}]}}]}}"#
    )
}

#[tokio::test]
async fn an_availability_group() {
    let lab = lab().await;
    let mut sa = lab.sa().await;
    let facts = "SELECT CAST(SERVERPROPERTY('IsHadrEnabled') AS int), CAST(DATABASEPROPERTYEX(N'ADSync', 'Updateability') AS nvarchar(20)), group_database_id FROM sys.databases WHERE name = N'ADSync'";
    assert_eq!(ok(&mut sa, facts).await.text(), "0|READ_WRITE|NULL");
    let file = lab.dir.path().join("availability.json");
    std::fs::write(&file, group("primary", false)).unwrap();
    assert_eq!(
        ok(&mut sa, facts).await.text(),
        "1|READ_WRITE|6a1f0000-0000-0000-0000-00000000db01"
    );
    let views = "SELECT g.name, r.role_desc, r.is_local FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states r ON r.group_id = g.group_id ORDER BY r.is_local DESC";
    assert_eq!(ok(&mut sa, views).await.text(), "AG1|PRIMARY|1\nAG1|SECONDARY|0");
    assert_eq!(
        ok(&mut sa, "SELECT dns_name, port FROM sys.availability_group_listeners")
            .await
            .text(),
        "sync-ag|1433"
    );
    for (sql, number) in [
        ("ALTER DATABASE ADSync SET OFFLINE", 1468),
        ("ALTER DATABASE ADSync SET RESTRICTED_USER", 1468),
        ("DROP DATABASE ADSync", 3752),
        (r"RESTORE DATABASE ADSync FROM DISK = 'D:\x.bak'", 3104),
    ] {
        assert_eq!(numbers(&mut sa, sql).await.first(), Some(&number), "{sql}");
    }
    // The other replica takes over: this one may be read or not, and takes no change.
    std::fs::write(&file, group("secondary", true)).unwrap();
    assert_eq!(
        ok(&mut sa, facts).await.text(),
        "1|READ_ONLY|6a1f0000-0000-0000-0000-00000000db01"
    );
    ok(&mut sa, "USE ADSync").await;
    assert_eq!(numbers(&mut sa, "DENY CONNECT TO public").await, [3906]);
    assert_eq!(
        numbers(&mut sa, "EXEC sys.sp_addextendedproperty @name = N'x', @value = 1").await,
        [3906]
    );
    ok(&mut sa, "USE master").await;
    std::fs::write(&file, group("secondary", false)).unwrap();
    assert_eq!(numbers(&mut sa, "USE ADSync").await, [976]);
    assert_eq!(
        lab.login("sa", "sa", "ADSync").await.err().map(|m| m.number),
        Some(4060)
    );
}
