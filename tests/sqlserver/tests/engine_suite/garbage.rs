//! Arbitrary text never panics and never hangs: it is an error, or it runs.

use proptest::prelude::*;

use super::lab::{Answer, Lab};

/// Words that lead the parser deep into every grammar file.
const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "(",
    ")",
    ",",
    "=",
    "*",
    "1",
    "'a'",
    "N'x'",
    "[t]",
    "t",
    "x",
    ".",
    "@v",
    "DECLARE",
    "int",
    "IF",
    "ELSE",
    "BEGIN",
    "END",
    "TRY",
    "CATCH",
    "WHILE",
    "EXEC",
    "BACKUP",
    "DATABASE",
    "TO",
    "DISK",
    "WITH",
    "RESTORE",
    "MOVE",
    "FORMAT",
    "STATS",
    "ALTER",
    "SET",
    "READ_ONLY",
    "ROLLBACK",
    "IMMEDIATE",
    "CREATE",
    "TABLE",
    "DROP",
    "LOGIN",
    "USER",
    "INSERT",
    "INTO",
    "VALUES",
    "UPDATE",
    "DELETE",
    "GROUP",
    "BY",
    "ORDER",
    "HAVING",
    "UNION",
    "ALL",
    "CASE",
    "WHEN",
    "THEN",
    "NOT",
    "NULL",
    "IN",
    "LIKE",
    "BETWEEN",
    "AND",
    "OR",
    "EXISTS",
    "CAST",
    "AS",
    "COUNT",
    "OVER",
    "JOIN",
    "ON",
    "LEFT",
    "CROSS",
    "APPLY",
    ";",
    "DBCC",
    "CHECKDB",
    "KILL",
    "GRANT",
    "CONNECT",
    "sys",
    "databases",
    "+",
    "-",
    "/",
    "%",
    "<",
    ">",
    "0x1",
    "1.5",
    "--",
    "/*",
    "*/",
    "@@SPID",
    "PRINT",
    "THROW",
    "RETURN",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(WORDS), 0..30).prop_map(|words| words.join(" "))
}

fn run_all(texts: Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let lab = Lab::standard();
        let mut session = lab.sa().await;
        for text in texts {
            let mut answer = Answer::default();
            let ended = session.batch(&text, &mut answer).await;
            assert!(ended.is_ok(), "{text}");
            assert!(answer.is_well_ended(), "{text}\n{:?}", answer.tokens);
            session.reset();
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn words_in_any_order(texts in prop::collection::vec(soup(), 60)) {
        run_all(texts);
    }

    #[test]
    fn any_characters(texts in prop::collection::vec("\\PC{0,60}", 40)) {
        run_all(texts);
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = [
        format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000)),
        format!("SELECT {}1", "-".repeat(1) + &" - ".repeat(5000)),
        format!("SELECT 1{}", " + 1".repeat(20_000)),
        format!("{}SELECT 1{}", "BEGIN ".repeat(3000), " END".repeat(3000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(5000)),
        format!("SELECT {}1{}", "(SELECT ".repeat(1000), ")".repeat(1000)),
        format!("SELECT {}1{}", "CASE WHEN 1=1 THEN ".repeat(1000), " END".repeat(1000)),
        format!("SELECT 1 WHERE {}1=1", "NOT ".repeat(5000)),
        "[".repeat(10_000),
        "'".repeat(9_999),
    ];
    run_all(deep.to_vec());
}
