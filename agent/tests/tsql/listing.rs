//! Every statement that the agent can issue: the samples, and those shapes of a statement that its sample has not. Forgetting
//! one is a failing test: the source is searched for every place that makes a statement.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syncferry_agent::sql::Statement;
use syncferry_agent::sql::statements::backup::BackupOptions;
use syncferry_agent::sql::statements::restore::{FileMove, RestoreOptions};
use syncferry_agent::sql::statements::{all_samples, applock, backup, drop, restore};
use uuid::Uuid;

/// Names and texts.
pub(crate) fn every_statement() -> Vec<(String, String)> {
    let samples = all_samples().into_iter().map(|(name, sql)| (name.to_string(), sql));
    let shapes = other_shapes()
        .into_iter()
        .map(|(how, s)| (format!("{}, {how}", s.name), s.sql));
    samples.chain(shapes).collect()
}

/// What a parameter turns into other words.
fn other_shapes() -> Vec<(&'static str, Statement)> {
    let backup = backup::database(&BackupOptions {
        compression: true,
        ..BackupOptions::new("ADSync", r"D:\x.bak")
    });
    let one_file = vec![FileMove {
        logical_name: "data".into(),
        to: r"E:\x.mdf".into(),
    }];
    let restore = restore::database(&RestoreOptions::new(
        "ADSync__syncferry_0a1b2c3d",
        r"D:\x.bak",
        one_file,
    ));
    let mut shapes = vec![
        ("compressed", backup),
        ("without a medium's name, with one file", restore),
        ("without sysadmin", applock::take("ADSync", 0, false)),
        ("without sysadmin", applock::release("ADSync", false)),
    ];
    let no_files = drop::drop_ours("ADSync__syncferry_0a1b2c3d", Uuid::nil(), &[]);
    shapes.extend(no_files.map(|s| ("without files", s)));
    shapes
}

/// The agent's source files.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("tests") {
                // Nobody issues what stands there.
                continue;
            }
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                // What stands behind the tests of a file is not issued by anybody.
                let text = text
                    .split("#[cfg(test)]\nmod tests {")
                    .next()
                    .unwrap_or_default()
                    .to_string();
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

/// The names with which a text makes statements.
fn made(text: &str) -> Vec<String> {
    let calls = text.split("Statement::new(").skip(1);
    calls
        .map(|after| {
            let literal = after.trim_start().strip_prefix('"');
            let name = literal.and_then(|l| l.split_once('"'));
            name.expect("a statement's name is written where it is made")
                .0
                .to_string()
        })
        .collect()
}

#[test]
fn no_statement_is_forgotten() {
    let listed: BTreeSet<String> = all_samples().into_iter().map(|(name, _)| name.to_string()).collect();
    let mut found = BTreeSet::new();
    for (path, text) in sources() {
        for name in made(&text) {
            assert!(
                listed.contains(&name),
                "{} makes '{name}', which has no sample",
                path.display()
            );
            assert!(found.insert(name.clone()), "'{name}' is made in two places");
        }
    }
    assert_eq!(found, listed);
}

/// The other ways in which a text could reach a server.
#[test]
fn statements_are_made_and_issued_in_one_way() {
    let ends = |path: &Path, with: &str| path.to_string_lossy().replace('\\', "/").ends_with(with);
    for (path, text) in sources() {
        // The wire's word for one that is only shown.
        let text = text.replace("PreviewStatement", "");
        let builds = text.contains("Statement {") && !text.contains("pub struct Statement {");
        let returns_only = text.matches("Statement {").count() == text.matches("-> Statement {").count();
        assert!(!builds || returns_only, "{} builds a statement by hand", path.display());
        if text.contains("mssql_tds::") {
            let known = ["sql/session.rs", "sql/value.rs"].iter().any(|k| ends(&path, k));
            assert!(known, "{} uses the client library", path.display());
        }
    }
    let session = sources()
        .into_iter()
        .find(|(path, _)| ends(path, "sql/session.rs"))
        .unwrap()
        .1;
    assert_eq!(session.matches("?.execute(").count(), 1);
    assert!(session.contains("self.tds()?.execute(statement.sql.clone(), options)"));
}

#[test]
fn a_forgotten_statement_would_be_found() {
    let source = "fn a() { Statement::new(\"one\", \"SELECT 1\") }\nfn b() { Statement::new(\n  \"two\", x) }";
    assert_eq!(made(source), ["one", "two"]);
}
