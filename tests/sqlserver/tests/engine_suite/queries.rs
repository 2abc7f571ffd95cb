//! SELECT over tables and views.

use super::lab::{Lab, numbers, ok};

async fn filled(lab: &Lab) -> syncferry_sqlserver::engine::Session {
    let mut s = lab.sa().await;
    ok(&mut s, "CREATE DATABASE W; USE W").await;
    ok(&mut s, "CREATE TABLE a (id int NOT NULL, g nvarchar(5) NULL, n int NULL); CREATE TABLE b (id int NOT NULL, w nvarchar(10) NULL)").await;
    ok(&mut s, "INSERT a (id, g, n) VALUES (1, N'x', 10), (2, N'x', 20), (3, N'Y', NULL), (4, N'y', 40); INSERT b VALUES (1, N'one'), (3, N'three'), (9, N'nine')").await;
    s
}

#[tokio::test]
async fn selects() {
    let lab = Lab::standard();
    let mut s = filled(&lab).await;
    let table = [
        ("SELECT id FROM a WHERE n > 15 ORDER BY id DESC", "4\n2"),
        ("SELECT TOP (2) id FROM a ORDER BY n", "3\n1"),
        ("SELECT TOP 1 WITH TIES g FROM a ORDER BY g", "x\nx"),
        (
            "SELECT id FROM a ORDER BY id OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY",
            "2\n3",
        ),
        ("SELECT DISTINCT g FROM a ORDER BY g", "x\nY"),
        (
            "SELECT g, COUNT(*), SUM(n), MIN(n), MAX(n), AVG(n), COUNT(n) FROM a GROUP BY g ORDER BY g",
            "x|2|30|10|20|15|2\nY|2|40|40|40|40|1",
        ),
        ("SELECT g FROM a GROUP BY g HAVING SUM(n) > 35", "Y"),
        ("SELECT COUNT(*), COUNT(DISTINCT g) FROM a", "4|2"),
        ("SELECT COUNT(*), SUM(n) FROM a WHERE 1 = 0", "0|NULL"),
        (
            "SELECT a.id, b.w FROM a INNER JOIN b ON b.id = a.id ORDER BY 1",
            "1|one\n3|three",
        ),
        (
            "SELECT a.id, b.w FROM a LEFT JOIN b ON b.id = a.id ORDER BY a.id",
            "1|one\n2|NULL\n3|three\n4|NULL",
        ),
        (
            "SELECT a.id, b.id FROM a FULL JOIN b ON b.id = a.id WHERE a.id IS NULL OR b.id IS NULL ORDER BY 1, 2",
            "NULL|9\n2|NULL\n4|NULL",
        ),
        (
            "SELECT a.id, b.id FROM a RIGHT OUTER JOIN b ON b.id = a.id AND a.n > 100 ORDER BY 2",
            "NULL|1\nNULL|3\nNULL|9",
        ),
        ("SELECT COUNT(*) FROM a CROSS JOIN b", "12"),
        ("SELECT COUNT(*) FROM a, b WHERE a.id = b.id", "2"),
        ("SELECT id FROM a WHERE id IN (SELECT id FROM b) ORDER BY id", "1\n3"),
        (
            "SELECT id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.id = a.id) ORDER BY id",
            "2\n4",
        ),
        (
            "SELECT id, (SELECT w FROM b WHERE b.id = a.id) FROM a WHERE id < 3 ORDER BY id",
            "1|one\n2|NULL",
        ),
        (
            "SELECT d.g, d.total FROM (SELECT g, SUM(n) AS total FROM a GROUP BY g) AS d WHERE d.total > 35",
            "Y|40",
        ),
        (
            "SELECT x.v FROM (VALUES (1), (2), (3)) AS x (v) WHERE x.v > 1 ORDER BY x.v",
            "2\n3",
        ),
        (
            "WITH c AS (SELECT id FROM a WHERE id > 2), d (k) AS (SELECT id FROM c) SELECT k FROM d ORDER BY k",
            "3\n4",
        ),
        ("SELECT id FROM a UNION SELECT id FROM b ORDER BY id", "1\n2\n3\n4\n9"),
        ("SELECT id FROM a EXCEPT SELECT id FROM b", "2\n4"),
        ("SELECT id FROM a INTERSECT SELECT id FROM b", "1\n3"),
        (
            "SELECT a.id, o.w FROM a CROSS APPLY (SELECT w FROM b WHERE b.id = a.id) o ORDER BY a.id",
            "1|one\n3|three",
        ),
        (
            "SELECT a.id, o.w FROM a OUTER APPLY (SELECT w FROM b WHERE b.id = a.id) o WHERE a.id < 3 ORDER BY a.id",
            "1|one\n2|NULL",
        ),
        (
            "SELECT ROW_NUMBER() OVER (PARTITION BY g ORDER BY id DESC), id FROM a ORDER BY id",
            "2|1\n1|2\n2|3\n1|4",
        ),
        ("SELECT id FROM a WHERE n > ALL (SELECT n FROM a WHERE n < 30)", "4"),
        ("SELECT alias = id FROM a WHERE id = 1", "1"),
        ("SELECT id AS 'quoted alias' FROM a WHERE id = 1", "1"),
        (
            "SELECT a.* FROM a JOIN b ON a.id = b.id WHERE b.w LIKE N'th%'",
            "3|Y|NULL",
        ),
        (
            "SELECT id FROM W.dbo.a WITH (NOLOCK) WHERE g COLLATE Latin1_General_CS_AS = N'y'",
            "4",
        ),
        ("SELECT STRING_AGG(g, N',') FROM a WHERE id < 3", "x,x"),
        ("SELECT name FROM sys.tables ORDER BY name", "a\nb"),
        (
            "SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'b' ORDER BY ORDINAL_POSITION",
            "id|int|NULL\nw|nvarchar|10",
        ),
        (
            "SELECT t.name FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.user_type_id WHERE c.object_id = OBJECT_ID('dbo.a') ORDER BY c.column_id",
            "int\nnvarchar\nint",
        ),
        (
            "SELECT SUM(row_count) FROM sys.dm_db_partition_stats WHERE object_id = OBJECT_ID('a') AND index_id < 2",
            "4",
        ),
    ];
    for (sql, expected) in table {
        assert_eq!(ok(&mut s, sql).await.text(), expected, "{sql}");
    }
}

#[tokio::test]
async fn views_of_other_versions_are_not_there() {
    use super::lab::CREATED;
    use syncferry_sqlserver::storage::InstanceSpec;
    let lab = Lab::of(InstanceSpec::standard_2016("OLD", None, CREATED));
    let mut s = lab.sa().await;
    assert_eq!(
        numbers(&mut s, "SELECT * FROM sys.dm_os_enumerate_fixed_drives").await,
        [208]
    );
    assert_eq!(numbers(&mut s, "SELECT is_ledger_on FROM sys.databases").await, [207]);
    assert_eq!(
        ok(
            &mut s,
            "SELECT SERVERPROPERTY('InstanceDefaultBackupPath'), SERVERPROPERTY('PathSeparator')"
        )
        .await
        .text(),
        "NULL|NULL"
    );
}

#[tokio::test]
async fn every_view_can_be_read() {
    let lab = Lab::with_adsync();
    let mut s = lab.sa().await;
    let names = ok(&mut s, "SELECT s.name, o.name FROM sys.all_objects o JOIN sys.schemas s ON s.schema_id = o.schema_id WHERE o.is_ms_shipped = 1 AND o.type = 'V'").await;
    assert!(names.rows().len() > 50);
    for row in names.rows() {
        let name = format!("{}.{}", super::lab::show(&row[0]), super::lab::show(&row[1]));
        let arguments = match name.as_str() {
            "sys.dm_os_volume_stats" | "sys.dm_io_virtual_file_stats" => "(1, 1)",
            "sys.dm_os_enumerate_filesystem" => r"(N'D:\', N'*')",
            "sys.dm_os_file_exists" => r"(N'D:\')",
            "sys.dm_exec_sql_text" => "(0x01)",
            "sys.dm_exec_input_buffer" => "(@@SPID, 0)",
            _ => "",
        };
        let answer = ok(&mut s, &format!("SELECT * FROM {name}{arguments}")).await;
        for row in answer.rows() {
            assert_eq!(row.len(), answer.columns().len(), "{name}");
        }
    }
}
