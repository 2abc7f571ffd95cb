//! CREATE, ALTER and DROP DATABASE; CHECKDB.

use super::lab::{Lab, numbers, ok, run, text, value};
use syncferry_sqlserver::types::Value;

#[tokio::test]
async fn databases_come_and_go() {
    let lab = Lab::standard();
    let mut s = lab.sa().await;
    ok(&mut s, "CREATE DATABASE W").await;
    assert_eq!(numbers(&mut s, "CREATE DATABASE W").await, [1801]);
    assert_eq!(numbers(&mut s, "DROP DATABASE nothing").await, [3701]);
    ok(&mut s, "DROP DATABASE IF EXISTS nothing").await;
    assert_eq!(numbers(&mut s, "DROP DATABASE master").await, [3708]);
    assert_eq!(numbers(&mut s, "USE W; DROP DATABASE W").await, [3702]);
    ok(&mut s, "USE master; ALTER DATABASE W MODIFY NAME = V").await;
    assert_eq!(numbers(&mut s, "ALTER DATABASE W SET READ_ONLY").await, [5011, 5069]);
    ok(&mut s, "ALTER DATABASE V SET RECOVERY FULL, AUTO_CLOSE ON, PAGE_VERIFY NONE; ALTER DATABASE V SET COMPATIBILITY_LEVEL = 150").await;
    let row = ok(&mut s, "SELECT recovery_model_desc, is_auto_close_on, page_verify_option_desc, compatibility_level FROM sys.databases WHERE name = 'V'").await;
    assert_eq!(row.text(), "FULL|1|NONE|150");
    assert_eq!(
        numbers(&mut s, "ALTER DATABASE V SET COMPATIBILITY_LEVEL = 170").await,
        [15_048, 5069]
    );
    assert_eq!(numbers(&mut s, "ALTER DATABASE V SET NOTHING ON").await, [102]);
    assert_eq!(
        numbers(&mut s, "BEGIN TRAN; ALTER DATABASE V SET READ_ONLY; ROLLBACK").await,
        [226]
    );
    drop(s);
    let lab = lab.reopened();
    let mut s = lab.sa().await;
    assert_eq!(
        value(
            &mut s,
            "SELECT page_verify_option_desc FROM sys.databases WHERE name = 'V'"
        )
        .await,
        text("NONE")
    );
    ok(&mut s, "DROP DATABASE V").await;
    assert_eq!(value(&mut s, "SELECT COUNT(*) FROM sys.databases").await, Value::Int(4));
    assert_eq!(lab.instance.effects().count("DROP DATABASE"), 1);
}

#[tokio::test]
async fn single_user_means_one() {
    let lab = Lab::standard();
    let (mut a, mut b) = (lab.sa().await, lab.sa().await);
    ok(&mut a, "CREATE DATABASE W").await;
    ok(&mut b, "USE W").await;
    assert_eq!(
        numbers(&mut a, "SET LOCK_TIMEOUT 10; ALTER DATABASE W SET SINGLE_USER").await,
        [1222, 5061, 5069]
    );
    ok(
        &mut a,
        "ALTER DATABASE W SET SINGLE_USER WITH ROLLBACK IMMEDIATE; USE W",
    )
    .await;
    assert!(b.killed().is_cancelled());
    drop(b);
    let mut c = lab.sa().await;
    assert_eq!(numbers(&mut c, "USE W").await, [924]);
    assert_eq!(numbers(&mut c, "ALTER DATABASE W SET MULTI_USER").await, [5064, 5069]);
    assert_eq!(lab.login("sa", "sa", "W").await.err().map(|m| m.number), Some(4060));
    ok(&mut a, "ALTER DATABASE W SET MULTI_USER").await;
    ok(&mut c, "USE W").await;
}

#[tokio::test]
async fn checkdb_reads_the_pages() {
    let lab = Lab::with_adsync();
    let mut s = lab.sa().await;
    let clean = ok(&mut s, "DBCC CHECKDB ('ADSync')").await;
    assert!(
        clean
            .infos()
            .iter()
            .any(|m| m.text == "CHECKDB found 0 allocation errors and 0 consistency errors in database 'ADSync'.")
    );
    assert!(
        ok(&mut s, "DBCC CHECKDB ('ADSync') WITH NO_INFOMSGS")
            .await
            .infos()
            .is_empty()
    );
    assert_eq!(numbers(&mut s, "DBCC CHECKDB ('nothing')").await, [2520]);
    assert_eq!(numbers(&mut s, "DBCC NOTHING").await, [2526]);
    let store = syncferry_sqlserver::storage::InstanceStore::open(lab.dir.path()).unwrap();
    let path = super::lab::show(
        &value(
            &mut s,
            "SELECT physical_name FROM sys.master_files WHERE database_id = DB_ID('ADSync') AND type = 0",
        )
        .await,
    );
    let real = store.drives().real_path(&path).unwrap();
    let mut bytes = std::fs::read(&real).unwrap();
    // A page in the middle of the used part.
    let used = value(&mut s, "SELECT CAST(FILEPROPERTY('ADSync', 'SpaceUsed') AS int)").await;
    assert_eq!(used, Value::Null);
    let used = value(&mut s, "USE ADSync; SELECT FILEPROPERTY('ADSync', 'SpaceUsed')").await;
    let Value::Int(pages) = used else { panic!("{used:?}") };
    let at = usize::try_from(pages).unwrap() / 2 * 8192 + 4000;
    bytes[at] ^= 0xff;
    std::fs::write(&real, &bytes).unwrap();
    ok(&mut s, "USE master").await;
    let damaged = run(&mut s, "DBCC CHECKDB ('ADSync') WITH NO_INFOMSGS, ALL_ERRORMSGS").await;
    assert!(
        damaged.errors().iter().any(|m| m.number == 8939),
        "{:?}",
        damaged.tokens
    );
    let table = ok(&mut s, "DBCC CHECKDB ('ADSync') WITH NO_INFOMSGS, TABLERESULTS").await;
    assert!(!table.rows().is_empty());
    assert_eq!(
        numbers(&mut s, r"BACKUP DATABASE ADSync TO DISK = 'D:\a.bak' WITH CHECKSUM").await,
        [3043, 3013]
    );
}
