//! BACKUP and RESTORE when things go wrong: numbers, order, and what is left behind.

use std::time::Duration;

use super::lab::{Answer, CREATED, Lab, numbers, ok, run, small_adsync, text, value};
use syncferry_sqlserver::storage::InstanceSpec;
use syncferry_sqlserver::types::Value;

const MOVES: &str = r"MOVE N'ADSync' TO N'E:\a.mdf', MOVE N'ADSync_log' TO N'F:\a.ldf'";

async fn backup(lab: &Lab, options: &str) {
    let mut session = lab.sa().await;
    ok(
        &mut session,
        &format!(r"BACKUP DATABASE ADSync TO DISK = N'D:\a.bak' WITH {options}"),
    )
    .await;
}

#[tokio::test]
async fn backup_failures_have_their_numbers() {
    let lab = Lab::with_adsync();
    let mut s = lab.sa().await;
    let table: &[(&str, &[i32])] = &[
        (r"BACKUP DATABASE nothing TO DISK = 'D:\x.bak'", &[911, 3013]),
        (r"BACKUP DATABASE ADSync TO DISK = 'D:\no\x.bak'", &[3201, 3013]),
        (r"BACKUP DATABASE ADSync TO DISK = 'Q:\x.bak'", &[3201, 3013]),
        (r"BACKUP DATABASE ADSync TO nothing", &[3206, 3013]),
        (r"BACKUP LOG ADSync TO DISK = 'D:\x.bak'", &[4208, 3013]),
        (
            r"BEGIN TRAN; BACKUP DATABASE ADSync TO DISK = 'D:\x.bak'; ROLLBACK",
            &[3021, 3013],
        ),
        (
            r"BACKUP DATABASE ADSync TO DISK = 'D:\x.bak' WITH DIFFERENTIAL",
            &[3035, 3013],
        ),
        (r"BACKUP DATABASE ADSync TO DISK = 'D:\x.bak' WITH NOTHING", &[155]),
        (r"BACKUP DATABASE ADSync TO DISK = 'D:\x.bak' WITH CHECKSUM = 1", &[102]),
        (
            r"BACKUP DATABASE ADSync TO DISK = 'D:\x.bak' WITH CHECKSUM, NO_CHECKSUM",
            &[3031],
        ),
        (
            r"BACKUP DATABASE ADSync TO DISK = 'D:\x.bak' WITH MAXTRANSFERSIZE = 5",
            &[3250],
        ),
        (r"BACKUP DATABASE tempdb TO DISK = 'D:\x.bak'", &[3147, 3013]),
        (r"BACKUP DATABASE ADSync", &[102]),
        (r"BACKUP NOTHING ADSync TO DISK = 'D:\x.bak'", &[102]),
        (r"BACKUP DATABASE ADSync TO DISK = D:\x.bak", &[102]),
    ];
    for (sql, expected) in table {
        assert_eq!(numbers(&mut s, sql).await, *expected, "{sql}");
    }
    let failed = run(&mut s, r"BACKUP DATABASE ADSync TO DISK = 'D:\no\x.bak'").await;
    assert_eq!(
        failed.errors()[0].text,
        r"Cannot open backup device 'D:\no\x.bak'. Operating system error 3(The system cannot find the path specified.)."
    );
    assert_eq!(failed.errors()[0].state, 1);
    assert_eq!(lab.instance.effects().count("BACKUP DATABASE"), 0);
}

#[tokio::test]
async fn an_acl_is_the_services_not_ours() {
    let lab = Lab::with_adsync();
    let mut s = lab.sa().await;
    ok(&mut s, r"EXEC xp_create_subdir N'D:\locked'").await;
    let drives = syncferry_sqlserver::storage::InstanceStore::open(lab.dir.path())
        .unwrap()
        .drives()
        .clone();
    drives.set_acl(r"D:\locked", &["SOMEBODY"], &["SOMEBODY"]).unwrap();
    let failed = run(&mut s, r"BACKUP DATABASE ADSync TO DISK = 'D:\locked\x.bak'").await;
    assert!(
        failed.errors()[0].text.contains("5(Access is denied.)"),
        "{:?}",
        failed.errors()
    );
}

#[tokio::test]
async fn express_cannot_compress() {
    let lab = Lab::localdb();
    let mut s = lab.sa().await;
    assert_eq!(
        numbers(&mut s, r"BACKUP DATABASE ADSync TO DISK = 'D:\x.bak' WITH COMPRESSION").await,
        [1844, 3013]
    );
    assert_eq!(
        numbers(
            &mut s,
            r"BACKUP DATABASE ADSync TO DISK = 'D:\x.bak' WITH ENCRYPTION (ALGORITHM = AES_256, SERVER CERTIFICATE = c)"
        )
        .await,
        [1844, 3013]
    );
    ok(
        &mut s,
        r"BACKUP DATABASE ADSync TO DISK = 'D:\x.bak' WITH NO_COMPRESSION",
    )
    .await;
}

#[tokio::test]
async fn restore_failures_have_their_numbers() {
    let lab = Lab::with_adsync();
    backup(&lab, "COPY_ONLY, FORMAT, CHECKSUM").await;
    let mut s = lab.sa().await;
    ok(
        &mut s,
        r"BACKUP DATABASE model TO DISK = 'D:\model.bak' WITH FORMAT, NO_CHECKSUM; EXEC xp_create_subdir N'E:\sub'",
    )
    .await;
    let restore = |name: &str, rest: &str| format!(r"RESTORE DATABASE {name} FROM DISK = 'D:\a.bak' WITH {rest}");
    let table: &[(String, &[i32])] = &[
        (restore("New", "STATS"), &[1834, 3156, 1834, 3156, 3119, 3013]),
        (restore("New", r"MOVE 'Nothing' TO 'E:\a.mdf'"), &[3234, 3013]),
        (
            restore(
                "New",
                r"MOVE 'ADSync' TO 'E:\no\a.mdf', MOVE 'ADSync_log' TO 'F:\a.ldf'",
            ),
            &[5133, 3156, 3119, 3013],
        ),
        (
            restore("New", r"MOVE 'ADSync' TO 'E:\a.mdf', MOVE 'ADSync_log' TO 'E:\a.mdf'"),
            &[3176, 3119, 3013],
        ),
        (restore("New", &format!("FILE = 2, {MOVES}")), &[3287, 3013]),
        (restore("New", &format!("MEDIANAME = 'other', {MOVES}")), &[3258, 3013]),
        (restore("model", MOVES), &[3154, 3013]),
        (restore("master", MOVES), &[3108, 3013]),
        (r"RESTORE DATABASE New FROM DISK = 'D:\no.bak'".into(), &[3201, 3013]),
        (
            r"RESTORE DATABASE New FROM DISK = 'D:\model.bak' WITH CHECKSUM".into(),
            &[3187, 3013],
        ),
        (r"RESTORE LOG New FROM DISK = 'D:\a.bak'".into(), &[3118, 3013]),
        (restore("New", "NOTHING"), &[155]),
        (
            r"BEGIN TRAN; RESTORE DATABASE New FROM DISK = 'D:\a.bak'; ROLLBACK".into(),
            &[3021, 3013],
        ),
        (r"RESTORE HEADERONLY FROM DISK = 'D:\no.bak'".into(), &[3201, 3013]),
        (r"RESTORE HEADERONLY".into(), &[102]),
    ];
    for (sql, expected) in table {
        assert_eq!(numbers(&mut s, sql).await, *expected, "{sql}");
        assert_eq!(
            value(&mut s, "SELECT COUNT(*) FROM sys.databases WHERE name = 'New'").await,
            Value::Int(0),
            "{sql}"
        );
    }
    let missing = run(&mut s, r"RESTORE DATABASE New FROM DISK = 'D:\no.bak'").await;
    assert_eq!(missing.errors()[0].state, 2);
    assert_eq!(missing.errors()[1].text, "RESTORE DATABASE is terminating abnormally.");
    let inside = run(&mut s, r"USE ADSync; RESTORE DATABASE ADSync FROM DISK = 'D:\a.bak'").await;
    assert_eq!(
        inside.errors().iter().map(|e| e.number).collect::<Vec<_>>(),
        [3102, 3013]
    );
    let other = lab.login("sa", "sa", "ADSync").await.unwrap();
    assert_eq!(
        numbers(&mut s, r"USE master; RESTORE DATABASE ADSync FROM DISK = 'D:\a.bak'").await,
        [3101, 3013]
    );
    drop(other);
}

#[tokio::test]
async fn the_same_family_is_overwritten_without_replace() {
    let lab = Lab::with_adsync();
    backup(&lab, "FORMAT").await;
    let mut s = lab.sa().await;
    ok(&mut s, "DELETE FROM ADSync.dbo.mms_csmv_link").await;
    ok(&mut s, r"RESTORE DATABASE ADSync FROM DISK = 'D:\a.bak'").await;
    assert!(matches!(value(&mut s, "SELECT COUNT(*) FROM ADSync.dbo.mms_csmv_link").await, Value::Int(n) if n > 0));
    ok(&mut s, "ALTER DATABASE ADSync SET RECOVERY FULL").await;
    assert_eq!(
        numbers(&mut s, r"RESTORE DATABASE ADSync FROM DISK = 'D:\a.bak'").await,
        [3159, 3013]
    );
    ok(&mut s, r"RESTORE DATABASE ADSync FROM DISK = 'D:\a.bak' WITH REPLACE").await;
}

#[tokio::test]
async fn versions_go_only_upwards() {
    let old = Lab::localdb();
    let mut source = old.sa().await;
    ok(
        &mut source,
        r"BACKUP DATABASE ADSync TO DISK = 'D:\a.bak' WITH FORMAT, CHECKSUM",
    )
    .await;
    let shared = old.dir.path().join("shared");
    let from = syncferry_sqlserver::storage::InstanceStore::open(old.dir.path())
        .unwrap()
        .drives()
        .real_path(r"D:\a.bak")
        .unwrap();
    std::fs::create_dir_all(&shared).unwrap();
    std::fs::copy(from, shared.join("a.bak")).unwrap();

    let new = Lab::of(InstanceSpec::standard_2022("SQL01", None, CREATED).drive("S:", &shared, None));
    let mut target = new.sa().await;
    let answer = ok(
        &mut target,
        &format!(r"RESTORE DATABASE New FROM DISK = 'S:\a.bak' WITH {MOVES}"),
    )
    .await;
    let said: Vec<&str> = answer.infos().iter().map(|m| m.text.as_str()).collect();
    assert!(
        said.contains(&"Converting database 'New' from version 904 to the current version 957."),
        "{said:?}"
    );
    assert_eq!(
        value(&mut target, "SELECT CAST(DATABASEPROPERTYEX('New', 'Version') AS int)").await,
        Value::Int(957)
    );
    assert_eq!(
        value(
            &mut target,
            "SELECT compatibility_level FROM sys.databases WHERE name = 'New'"
        )
        .await,
        Value::Int(150)
    );
    ok(&mut target, r"BACKUP DATABASE New TO DISK = 'S:\b.bak' WITH FORMAT").await;

    let older = Lab::of(InstanceSpec::standard_2019("SQL02", None, CREATED).drive("S:", &shared, None));
    let mut refused = older.sa().await;
    let failed = run(
        &mut refused,
        &format!(r"RESTORE DATABASE New FROM DISK = 'S:\b.bak' WITH {MOVES}"),
    )
    .await;
    assert_eq!(failed.errors()[0].number, 3169);
    assert!(
        failed.errors()[0].text.contains("running version 16.00.4236"),
        "{}",
        failed.errors()[0].text
    );
    let columns = ok(&mut refused, r"RESTORE HEADERONLY FROM DISK = 'S:\b.bak'").await;
    assert_eq!(columns.columns().len(), 56);
}

#[tokio::test]
async fn a_full_disk_is_told_with_its_number() {
    let small = tempfile::tempdir().unwrap();
    let spec = InstanceSpec::standard_2022("SQL01", None, CREATED)
        .drive("T:", small.path(), Some(300_000))
        .database(small_adsync(957));
    let lab = Lab::of(spec);
    let mut s = lab.sa().await;
    let failed = run(&mut s, r"BACKUP DATABASE ADSync TO DISK = 'T:\a.bak' WITH FORMAT").await;
    assert_eq!(
        failed.errors().iter().map(|e| e.number).collect::<Vec<_>>(),
        [3202, 3013],
        "{:?}",
        failed.errors()
    );
    assert!(
        failed.errors()[0]
            .text
            .contains("112(There is not enough space on the disk.)")
    );
    ok(&mut s, r"BACKUP DATABASE ADSync TO DISK = 'D:\a.bak' WITH FORMAT").await;
    let failed = run(&mut s, r"RESTORE DATABASE New FROM DISK = 'D:\a.bak' WITH MOVE 'ADSync' TO 'T:\a.mdf', MOVE 'ADSync_log' TO 'F:\a.ldf'").await;
    assert_eq!(
        failed.errors().iter().map(|e| e.number).collect::<Vec<_>>(),
        [3257, 3119, 3013]
    );
}

#[tokio::test]
async fn damage_is_found() {
    let lab = Lab::with_adsync();
    backup(&lab, "FORMAT, CHECKSUM").await;
    let mut s = lab.sa().await;
    let drives = syncferry_sqlserver::storage::InstanceStore::open(lab.dir.path())
        .unwrap()
        .drives()
        .clone();
    let real = drives.real_path(r"D:\a.bak").unwrap();
    let whole = std::fs::read(&real).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    std::fs::write(&real, &flipped).unwrap();
    let verify = numbers(&mut s, r"RESTORE VERIFYONLY FROM DISK = 'D:\a.bak' WITH CHECKSUM").await;
    assert!(
        [3183, 3189].contains(&verify[0]) && verify.last() == Some(&3013),
        "{verify:?}"
    );
    let restore = numbers(
        &mut s,
        &format!(r"RESTORE DATABASE New FROM DISK = 'D:\a.bak' WITH CHECKSUM, {MOVES}"),
    )
    .await;
    assert!([3183, 3189].contains(&restore[0]), "{restore:?}");
    assert_eq!(
        value(&mut s, "SELECT state_desc FROM sys.databases WHERE name = 'New'").await,
        text("RESTORING")
    );
    ok(&mut s, "DROP DATABASE New").await;
    std::fs::write(&real, &whole[..whole.len() / 2]).unwrap();
    let cut = numbers(&mut s, r"RESTORE VERIFYONLY FROM DISK = 'D:\a.bak'").await;
    assert_eq!(cut, [3203, 3013]);
    std::fs::write(
        &real,
        b"this is not a backup at all, it is a text file with some length to it",
    )
    .unwrap();
    let foreign = numbers(&mut s, r"RESTORE HEADERONLY FROM DISK = 'D:\a.bak'").await;
    assert_eq!(foreign, [3241, 3013]);
}

/// Runs a statement and stops it once it has said something.
async fn interrupted(lab: &Lab, sql: &str, kill: bool) -> Answer {
    std::fs::write(lab.dir.path().join("lab.json"), r#"{"io_mb_per_s": 0.5}"#).unwrap();
    let mut session = lab.sa().await;
    let (cancel, spid) = (session.cancel(), session.spid());
    let sql = sql.to_owned();
    let running = tokio::spawn(async move {
        let mut answer = Answer::default();
        let _ = session.batch(&sql, &mut answer).await;
        answer
    });
    let mut monitor = lab.sa().await;
    loop {
        let percent = ok(
            &mut monitor,
            &format!("SELECT percent_complete, command FROM sys.dm_exec_requests WHERE session_id = {spid}"),
        )
        .await;
        if percent
            .rows()
            .first()
            .is_some_and(|r| matches!(r[0], Value::Float(p) if p > 0.0 && p < 100.0))
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    if kill {
        ok(&mut monitor, &format!("KILL {spid}")).await;
    } else {
        cancel.cancel();
    }
    let answer = running.await.unwrap();
    std::fs::remove_file(lab.dir.path().join("lab.json")).unwrap();
    answer
}

#[tokio::test]
async fn a_cancelled_backup_does_not_look_complete() {
    let lab = Lab::with_adsync();
    let answer = interrupted(
        &lab,
        r"BACKUP DATABASE ADSync TO DISK = 'D:\a.bak' WITH FORMAT, CHECKSUM, STATS = 1",
        false,
    )
    .await;
    assert!(answer.infos().iter().all(|m| m.number != 3014));
    let mut s = lab.sa().await;
    let read = numbers(&mut s, r"RESTORE VERIFYONLY FROM DISK = 'D:\a.bak'").await;
    assert!(!read.is_empty() && read.last() == Some(&3013), "{read:?}");
    assert_eq!(lab.instance.effects().count("BACKUP DATABASE"), 0);
    ok(
        &mut s,
        r"BACKUP DATABASE ADSync TO DISK = 'D:\a.bak' WITH FORMAT, CHECKSUM",
    )
    .await;
}

#[tokio::test]
async fn a_cancelled_or_killed_restore_stays_restoring() {
    let lab = Lab::with_adsync();
    backup(&lab, "FORMAT").await;
    for kill in [false, true] {
        let sql = format!(r"RESTORE DATABASE New FROM DISK = 'D:\a.bak' WITH STATS = 1, {MOVES}");
        interrupted(&lab, &sql, kill).await;
        let mut s = lab.sa().await;
        assert_eq!(
            value(&mut s, "SELECT state_desc FROM sys.databases WHERE name = 'New'").await,
            text("RESTORING")
        );
        assert_eq!(numbers(&mut s, "USE New").await, [927]);
        ok(&mut s, "DROP DATABASE New").await;
        assert_eq!(ok(&mut s, r"EXEC xp_fileexist N'E:\a.mdf'").await.text(), "0|0|1");
    }
    assert_eq!(lab.instance.effects().count("RESTORE DATABASE"), 0);
}

#[tokio::test]
async fn two_backups_do_not_run_at_once() {
    let lab = Lab::with_adsync();
    std::fs::write(lab.dir.path().join("lab.json"), r#"{"io_mb_per_s": 0.5}"#).unwrap();
    let mut first = lab.sa().await;
    let (cancel, spid) = (first.cancel(), first.spid());
    let running =
        tokio::spawn(async move { run(&mut first, r"BACKUP DATABASE ADSync TO DISK = 'D:\a.bak' WITH FORMAT").await });
    let mut second = lab.sa().await;
    while ok(
        &mut second,
        &format!("SELECT 1 FROM sys.dm_exec_requests WHERE session_id = {spid} AND percent_complete > 0"),
    )
    .await
    .rows()
    .is_empty()
    {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(
        numbers(&mut second, r"BACKUP DATABASE ADSync TO DISK = 'D:\b.bak'").await,
        [3023, 3013]
    );
    cancel.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn faults_strike_as_planned() {
    let lab = Lab::with_adsync();
    let mut s = lab.sa().await;
    lab.faults(r#"{"rules":[{"on":"backup","error":3202,"message":"Write on \"D:\\a.bak\" failed: 1117","times":1},{"on":"rename","error":5061},{"on":"backup","database":"model","at_percent":1,"error":3043}]}"#);
    assert_eq!(
        numbers(&mut s, r"BACKUP DATABASE ADSync TO DISK = 'D:\a.bak'").await,
        [3202, 3013]
    );
    ok(&mut s, r"BACKUP DATABASE ADSync TO DISK = 'D:\a.bak' WITH FORMAT").await;
    assert_eq!(
        numbers(&mut s, r"BACKUP DATABASE model TO DISK = 'D:\m.bak'").await,
        [3043, 3013]
    );
    assert_eq!(
        numbers(&mut s, "ALTER DATABASE ADSync MODIFY NAME = Other").await,
        [5061, 5069]
    );
    lab.faults(r#"{"rules":[{"on":"batch","drop":true,"text":"boom"}]}"#);
    ok(&mut s, "SELECT 1").await;
    assert!(s.batch("SELECT 'boom'", &mut Answer::default()).await.is_err());
}

#[tokio::test]
async fn differential_and_norecovery() {
    let lab = Lab::with_adsync();
    let mut s = lab.sa().await;
    ok(&mut s, r"BACKUP DATABASE ADSync TO DISK = 'D:\full.bak' WITH FORMAT").await;
    ok(&mut s, "DELETE FROM ADSync.dbo.mms_csmv_link").await;
    ok(
        &mut s,
        r"BACKUP DATABASE ADSync TO DISK = 'D:\diff.bak' WITH DIFFERENTIAL, FORMAT",
    )
    .await;
    assert_eq!(
        numbers(&mut s, r"RESTORE DATABASE New FROM DISK = 'D:\diff.bak'").await[0],
        3118
    );
    ok(
        &mut s,
        &format!(r"RESTORE DATABASE New FROM DISK = 'D:\full.bak' WITH NORECOVERY, {MOVES}"),
    )
    .await;
    assert_eq!(
        value(&mut s, "SELECT state_desc FROM sys.databases WHERE name = 'New'").await,
        text("RESTORING")
    );
    ok(
        &mut s,
        &format!(r"RESTORE DATABASE New FROM DISK = 'D:\diff.bak' WITH RECOVERY, {MOVES}"),
    )
    .await;
    assert_eq!(
        value(&mut s, "SELECT COUNT(*) FROM New.dbo.mms_csmv_link").await,
        Value::Int(0)
    );
    ok(
        &mut s,
        &format!(
            r"RESTORE DATABASE New2 FROM DISK = 'D:\full.bak' WITH NORECOVERY, {}",
            MOVES.replace(r"\a.", r"\b.")
        ),
    )
    .await;
    ok(&mut s, "RESTORE DATABASE New2 WITH RECOVERY").await;
    assert!(matches!(value(&mut s, "SELECT COUNT(*) FROM New2.dbo.mms_csmv_link").await, Value::Int(n) if n > 0));
}
