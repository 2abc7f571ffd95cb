//! Expressions, conversions, functions: what a SELECT without FROM answers.

use super::lab::{Lab, ok, run, show};
use syncferry_sqlserver::types::SqlType;

#[tokio::test]
async fn values() {
    let lab = Lab::standard();
    let mut session = lab.sa().await;
    let table = [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("7 / 2", "3"),
        ("7 % 4", "3"),
        ("7.0 / 2", "3.500000"),
        ("1.5 + 1", "2.5"),
        ("-5", "-5"),
        ("~5", "-6"),
        ("5 & 3 | 8", "9"),
        ("1e2", "100"),
        ("'a' + 'b'", "ab"),
        ("N'a' + 'b'", "ab"),
        ("'it''s'", "it's"),
        ("0xFF", "0xFF"),
        ("NULL", "NULL"),
        ("1 + NULL", "NULL"),
        ("CASE WHEN 1 = 1 THEN 'x' ELSE 'y' END", "x"),
        ("CASE 3 WHEN 1 THEN 'a' WHEN 3 THEN 'c' END", "c"),
        ("IIF(1 > 2, 'a', 'b')", "b"),
        ("COALESCE(NULL, NULL, 3)", "3"),
        ("ISNULL(NULL, 5)", "5"),
        ("NULLIF(1, 1)", "NULL"),
        ("CAST('12' AS int) + 1", "13"),
        ("CAST(1.6 AS int)", "1"),
        ("CAST(N'abc' AS varchar(2))", "ab"),
        ("TRY_CAST('x' AS int)", "NULL"),
        ("CONVERT(varchar(10), CAST('2026-11-22' AS date), 112)", "20261122"),
        (
            "CONVERT(nvarchar(30), CAST('2026-11-22T10:11:12.345' AS datetime), 126)",
            "2026-11-22T10:11:12.347",
        ),
        ("CONVERT(varchar(20), 0x01AB, 1)", "0x01AB"),
        ("CAST(0x00000001 AS int)", "1"),
        ("LEN('abc  ')", "3"),
        ("DATALENGTH(N'abc')", "6"),
        ("LEFT('abcdef', 2) + RIGHT('abcdef', 2)", "abef"),
        ("SUBSTRING('abcdef', 2, 3)", "bcd"),
        ("UPPER('a') + LOWER('B')", "Ab"),
        ("LTRIM('  a ') + '|'", "a |"),
        ("TRIM('  a ') + '|'", "a|"),
        ("REPLACE('aXbX', 'x', '-')", "a-b-"),
        ("CHARINDEX('c', 'abc')", "3"),
        ("CHARINDEX('z', 'abc')", "0"),
        ("CONCAT('a', NULL, 1)", "a1"),
        ("QUOTENAME('a]b')", "[a]]b]"),
        ("QUOTENAME('a', '''')", "'a'"),
        ("STUFF('abcdef', 2, 3, 'X')", "aXef"),
        ("REPLICATE('ab', 3)", "ababab"),
        ("PATINDEX('%c%', 'abc')", "3"),
        ("ISNUMERIC('1.5') + ISNUMERIC('x')", "1"),
        ("PARSENAME('a.b.c', 1)", "c"),
        ("ABS(-3) + SIGN(-2)", "2"),
        ("ROUND(2.567, 1)", "2.600"),
        ("DATEDIFF(day, '2026-11-01', '2026-11-22')", "21"),
        (
            "DATEDIFF(minute, '2026-11-22T10:00:00Z', '2026-11-22T12:30:00+01:00')",
            "90",
        ),
        ("DATEADD(month, 1, CAST('2026-01-31' AS date))", "2026-02-28"),
        ("DATEPART(year, '2026-11-22')", "2026"),
        ("DATENAME(month, '2026-11-22')", "November"),
        ("YEAR('2026-11-22') + MONTH('2026-11-22') + DAY('2026-11-22')", "2059"),
        (
            "FORMAT(CAST('2026-11-02 03:04:05' AS datetime), 'yyyy-MM-dd HH:mm:ss')",
            "2026-11-02 03:04:05",
        ),
        ("DB_NAME()", "master"),
        ("DB_ID('master')", "1"),
        ("DB_ID('nothing')", "NULL"),
        ("SUSER_SNAME()", "sa"),
        ("SUSER_SNAME(0x01)", "sa"),
        ("ORIGINAL_LOGIN()", "sa"),
        ("USER_NAME()", "dbo"),
        ("IS_SRVROLEMEMBER('sysadmin')", "1"),
        ("IS_SRVROLEMEMBER('nothing')", "NULL"),
        ("IS_MEMBER('db_owner')", "1"),
        ("HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')", "1"),
        ("HAS_PERMS_BY_NAME('master', 'DATABASE', 'BACKUP DATABASE')", "1"),
        ("HAS_PERMS_BY_NAME('nothing', 'DATABASE', 'BACKUP DATABASE')", "NULL"),
        ("@@SERVERNAME", "SQL01"),
        ("@@TRANCOUNT", "0"),
        ("@@LANGUAGE", "us_english"),
        ("@@MAX_PRECISION", "38"),
        ("APP_NAME()", "adsync-agent/42"),
        ("HOST_NAME()", "AGENT01"),
        ("OBJECT_ID('sys.databases') % 1", "0"),
        ("OBJECT_ID('dbo.nothing')", "NULL"),
        ("SCHEMA_NAME()", "dbo"),
        ("SCHEMA_NAME(4)", "sys"),
        ("(SELECT 5)", "5"),
        ("CASE WHEN EXISTS (SELECT 1) THEN 1 ELSE 0 END", "1"),
        ("CASE WHEN 'abc' LIKE 'A%' THEN 1 ELSE 0 END", "1"),
        ("CASE WHEN 2 BETWEEN 1 AND 3 AND 4 NOT IN (1, 2) THEN 1 ELSE 0 END", "1"),
        (
            "CASE WHEN 'a' = 'A' COLLATE Latin1_General_CS_AS THEN 1 ELSE 0 END",
            "0",
        ),
        ("CASE WHEN NULL = NULL THEN 1 ELSE 0 END", "0"),
    ];
    for (expression, expected) in table {
        let answer = ok(&mut session, &format!("SELECT {expression}")).await;
        assert_eq!(show(&answer.rows()[0][0]), expected, "{expression}");
        assert!(answer.is_well_ended(), "{expression}");
    }
}

#[tokio::test]
async fn types_are_the_servers() {
    let lab = Lab::standard();
    let mut session = lab.sa().await;
    let numeric = |precision, scale| SqlType::Numeric { precision, scale };
    let table = [
        ("1", SqlType::Int),
        ("2147483648", numeric(10, 0)),
        ("1.50", numeric(3, 2)),
        ("1e0", SqlType::Float),
        ("'abc'", SqlType::VarChar(Some(3))),
        ("N'abc'", SqlType::NVarChar(Some(3))),
        ("CAST(1 AS bigint) + 1", SqlType::BigInt),
        ("@@SPID", SqlType::SmallInt),
        ("SYSUTCDATETIME()", SqlType::DateTime2(7)),
        ("SYSDATETIMEOFFSET()", SqlType::DateTimeOffset(7)),
        ("GETDATE()", SqlType::DateTime),
        ("NEWID()", SqlType::Guid),
        ("SUSER_SNAME()", SqlType::NVarChar(Some(128))),
        ("SERVERPROPERTY('Edition')", SqlType::Variant),
        (
            "CAST(SERVERPROPERTY('Edition') AS nvarchar(128))",
            SqlType::NVarChar(Some(128)),
        ),
        ("HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')", SqlType::Int),
        ("COUNT(*)", SqlType::Int),
    ];
    for (expression, ty) in table {
        let answer = ok(&mut session, &format!("SELECT {expression} AS x")).await;
        assert_eq!(answer.columns()[0].ty, ty, "{expression}");
        assert_eq!(answer.columns()[0].name, "x");
    }
}

#[tokio::test]
async fn failures() {
    let lab = Lab::standard();
    let mut session = lab.sa().await;
    let table = [
        ("SELECT 1 / 0", 8134),
        ("SELECT CAST('abc' AS int)", 245),
        ("SELECT CAST('nope' AS datetime)", 241),
        ("SELECT CAST('nope' AS uniqueidentifier)", 8169),
        ("SELECT CAST(300 AS tinyint)", 220),
        ("SELECT 2147483647 + 1", 8115),
        ("SELECT nothing('a')", 195),
        ("SELECT dbo.nothing('a')", 4121),
        ("SELECT LEN()", 174),
        ("SELECT @nothing", 137),
        ("SELECT x", 207),
        ("SELECT t.x", 4104),
        ("SELECT LEFT('a', -1)", 537),
        ("SELECT (SELECT 1, 2)", 116),
        ("SELECT (SELECT 1 UNION SELECT 2)", 512),
        ("SELECT CAST(1 AS nothing)", 243),
        ("DECLARE @x nothing", 2715),
        ("SELECT 1 = 1", 102),
        ("SELECT 1 WHERE 1", 4145),
        ("SELECT * FROM nothing", 208),
        ("SELECT * FROM nothing.dbo.x", 208),
        ("EXEC nothing", 2812),
        ("SELECT FROM x", 156),
        ("SELEC 1", 2812),
        ("SELECT 1 +", 102),
        ("SELECT 'abc", 105),
        ("/* open", 113),
        ("SELECT 1 FROM sys.databases d, sys.databases d", 1011),
        ("SELECT name FROM sys.databases a, sys.databases b", 209),
        ("SELECT COUNT(*), name FROM sys.databases", 8120),
        ("SELECT 1 UNION SELECT 1, 2", 205),
        ("SELECT 1 ORDER BY 5", 108),
        ("BREAK", 135),
        ("RETURN 5", 178),
    ];
    for (sql, number) in table {
        let answer = run(&mut session, sql).await;
        let got: Vec<i32> = answer.errors().iter().map(|e| e.number).collect();
        assert_eq!(got, [number], "{sql}");
        assert!(answer.is_well_ended(), "{sql}");
    }
    assert_eq!(ok(&mut session, "SELECT 1").await.text(), "1");
}
