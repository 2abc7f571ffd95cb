//! Every T-SQL statement of the agent, read by others: `sqlfluff` (dialect tsql) from PyPI parses all but BACKUP, RESTORE and
//! KILL, which it does not know; those are held against the documented grammar, written out in `grammar.rs`.
//!
//! Without Python or PyPI the first part says so and passes, unless `SYNCFERRY_REQUIRE_STRANGERS=1`, as in CI.

mod grammar;
mod listing;
#[path = "../../../tests/sqlserver/tests/python/mod.rs"]
mod python;
mod tokens;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use listing::every_statement;
use tokens::Batch;

/// What sqlfluff says of each batch; nothing for those that it parses. `None` where it cannot be had.
fn sqlfluff(batches: &[(String, String)]) -> Option<BTreeMap<String, Vec<String>>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tsql");
    let python = python::with(&here.join("requirements.txt"), Path::new(env!("CARGO_TARGET_TMPDIR")))?;
    let mut child = Command::new(python)
        .arg(here.join("parse.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = serde_json::to_vec(batches).unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn an_independent_parser_reads_every_statement() {
    let mut batches = Vec::new();
    for (name, sql) in every_statement() {
        let batch = Batch::read(&sql).unwrap_or_else(|e| panic!("{name}: {e}"));
        let rest = batch.without(grammar::is_family);
        if !rest.trim().is_empty() {
            batches.push((name, rest));
        }
    }
    assert!(batches.len() > 50);
    // What must not be understood, so that understanding means something.
    let broken = [
        ("no table", "SELECT name FROM WHERE d.name = N'x';"),
        ("no end", "IF 1 = 1\nBEGIN\n SELECT 1;"),
        (
            "misspelt",
            "ALTER DATABASE [x] SETT READ_WRITE WITH ROLLBACK IMMEDIATE;",
        ),
        ("open quote", "SELECT name FROM sys.databases WHERE name = N'O'Brien';"),
        ("backup", "BACKUP DATABASE [x] TO DISK = N'x';"),
    ];
    batches.extend(broken.map(|(name, sql)| (format!("broken: {name}"), sql.to_string())));
    let Some(mut wrong) = sqlfluff(&batches) else { return };
    for (name, _) in broken {
        assert!(
            wrong.remove(&format!("broken: {name}")).is_some(),
            "sqlfluff takes '{name}'"
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn backup_restore_and_kill_are_as_documented() {
    let mut seen = BTreeMap::new();
    for (name, sql) in every_statement() {
        for piece in Batch::read(&sql).unwrap().pieces() {
            if let Some(family) = grammar::family(piece) {
                grammar::check(piece).unwrap_or_else(|e| panic!("{name}: {e}\n{sql}"));
                *seen.entry(family).or_insert(0) += 1;
            }
        }
    }
    let families: Vec<&str> = seen.into_keys().collect();
    let all = [
        "BACKUP DATABASE",
        "KILL",
        "RESTORE DATABASE",
        "RESTORE FILELISTONLY",
        "RESTORE HEADERONLY",
        "RESTORE LABELONLY",
        "RESTORE VERIFYONLY",
    ];
    assert_eq!(families, all);
}
