//! Every T-SQL text that the agent can issue, as named templates. Texts are built here and nowhere else, names and values go
//! through [`crate::sql::quote`], and a test lists them all.
//!
//! There is no way to say REPLACE, no BACKUP without COPY_ONLY, and no column that holds a secret.

pub mod after_restore;
pub mod applock;
pub mod backup;
pub mod database;
pub mod databases;
pub mod drop;
pub mod fence;
pub mod identity;
pub mod instance;
pub mod media;
pub mod msdb;
pub mod paths;
pub mod principals;
pub mod probe;
pub mod progress;
pub mod rename;
pub mod restore;
pub mod session;
pub mod sessions;

/// A statement: a batch with a name under which it appears in logs, errors and evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The template's name.
    pub name: &'static str,
    /// The T-SQL text.
    pub sql: String,
}

impl Statement {
    /// A statement from a template.
    pub(crate) fn new(name: &'static str, sql: impl Into<String>) -> Self {
        Self { name, sql: sql.into() }
    }
}

/// One sample of every statement there is, with awkward names in it.
pub fn all_samples() -> Vec<(&'static str, String)> {
    let families = [
        session::samples(),
        probe::samples(),
        instance::samples(),
        databases::samples(),
        database::samples(),
        sessions::samples(),
        applock::samples(),
        paths::samples(),
        backup::samples(),
        progress::samples(),
        media::samples(),
        restore::samples(),
        after_restore::samples(),
        rename::samples(),
        drop::samples(),
        msdb::samples(),
        fence::samples(),
        principals::samples(),
        identity::samples(),
        crate::adsync::statements::samples(),
    ];
    families.into_iter().flatten().map(|s| (s.name, s.sql)).collect()
}

/// A name that breaks every statement that does not quote it.
pub(crate) const AWKWARD: &str = "O'Brien]]'; -- 😀";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all_samples().into_iter().map(|(name, _)| name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn every_statement_is_as_reviewed() {
        let all: Vec<String> = all_samples()
            .into_iter()
            .map(|(name, sql)| format!("-- {name}\n{sql}\n"))
            .collect();
        insta::assert_snapshot!("statements", all.join("\n"));
    }

    /// The text with literals and delimited identifiers blanked out, as a scanner sees it.
    fn bare(sql: &str) -> String {
        let mut out = String::new();
        let mut chars = sql.chars().peekable();
        while let Some(c) = chars.next() {
            let close = match c {
                '\'' => '\'',
                '[' => ']',
                _ => {
                    out.push(c);
                    continue;
                }
            };
            out.push(' ');
            loop {
                match chars.next() {
                    Some(x) if x == close && chars.peek() == Some(&close) => {
                        chars.next();
                    }
                    Some(x) if x == close => break,
                    Some(_) => {}
                    None => panic!("unbalanced: {sql}"),
                }
            }
        }
        out
    }

    #[test]
    fn nothing_can_replace_or_disturb() {
        for (name, sql) in all_samples() {
            let bare = bare(&sql).to_uppercase();
            let words: Vec<&str> = bare.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            for forbidden in [
                "REPLACE",
                "SINGLE_USER",
                "OFFLINE",
                "CONTINUE_AFTER_ERROR",
                "NOINIT",
                "DETACH",
                "RECONFIGURE",
            ] {
                assert!(!words.contains(&forbidden), "{name} says {forbidden}");
            }
            if words.contains(&"BACKUP") && words.contains(&"DISK") {
                assert!(words.contains(&"COPY_ONLY") && words.contains(&"FORMAT"), "{name}");
            }
            if words.contains(&"DROP") {
                assert_eq!(name, "drop-ours");
            }
            // The awkward name never gets out of its quotes.
            assert!(!bare.contains("O BRIEN") && !bare.contains("😀"), "{name}: {bare}");
        }
    }

    #[test]
    fn no_statement_reads_a_secret() {
        for (name, sql) in all_samples() {
            let sql = sql.to_lowercase();
            for secret in [
                "encrypted_configuration",
                "controller_configuration_password",
                "entropy",
                "password_hash",
                "select *",
            ] {
                assert!(!sql.contains(secret), "{name} contains {secret}");
            }
        }
    }
}
