//! SQL Server's texts, to the letter, where an operator reads them.

use super::lab::{Lab, run};

#[tokio::test]
async fn texts() {
    let lab = Lab::with_adsync();
    let mut s = lab.sa().await;
    let table = [
        ("SELECT * FROM nothing", "Invalid object name 'nothing'."),
        ("SELECT nothing FROM sys.databases", "Invalid column name 'nothing'."),
        (
            "SELECT nothing(1)",
            "'nothing' is not a recognized built-in function name.",
        ),
        ("EXEC nothing", "Could not find stored procedure 'nothing'."),
        ("SELECT 1 FROM", "Incorrect syntax near 'FROM'."),
        ("SELECT 1 1", "Incorrect syntax near '1'."),
        (
            "USE nothing",
            "Database 'nothing' does not exist. Make sure that the name is entered correctly.",
        ),
        (
            "SELECT CAST('abc' AS int)",
            "Conversion failed when converting the varchar value 'abc' to data type int.",
        ),
        (
            r"BACKUP DATABASE ADSync TO DISK = 'D:\x.bak' WITH FOO",
            "'FOO' is not a recognized BACKUP option.",
        ),
        (
            r"BACKUP LOG ADSync TO DISK = 'D:\x.bak'",
            "The statement BACKUP LOG is not allowed while the recovery model is SIMPLE. Use BACKUP DATABASE or change the recovery model using ALTER DATABASE.",
        ),
        ("SELECT @x", "Must declare the scalar variable \"@x\"."),
        ("SET NOTHING ON", "'NOTHING' is not a recognized SET option."),
    ];
    for (sql, expected) in table {
        let answer = run(&mut s, sql).await;
        assert_eq!(
            answer.errors().first().map(|m| m.text.as_str()),
            Some(expected),
            "{sql}"
        );
        assert_eq!(answer.errors()[0].server, "SQL01");
    }
}
