//! Names and literals in T-SQL. Every name and text from outside goes through here; nothing else puts text into a statement.

/// A delimited identifier: `[a]]b]`.
pub fn ident(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// A Unicode literal: `N'it''s'`.
pub fn text(value: &str) -> String {
    format!("N'{}'", value.replace('\'', "''"))
}

/// A schema-qualified name: `[dbo].[mms_metaverse]`.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", ident(schema), ident(name))
}

/// A GUID literal: `'00000000-0000-…'`.
pub fn guid(value: uuid::Uuid) -> String {
    format!("'{}'", value.hyphenated())
}

/// A name for a T-SQL comment-free context such as a log line: shortened, without control characters.
pub fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a delimited token back as SQL Server's scanner does: a doubled end character is one, a single one ends it.
    fn scan(sql: &str, open: &str, close: char) -> Option<(String, usize)> {
        let body = sql.strip_prefix(open)?;
        let mut out = String::new();
        let mut chars = body.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c != close {
                out.push(c);
            } else if chars.peek().is_some_and(|(_, next)| *next == close) {
                chars.next();
                out.push(c);
            } else {
                return Some((out, open.len() + at + c.len_utf8()));
            }
        }
        None
    }

    #[test]
    fn awkward_names_stay_names() {
        assert_eq!(ident("a]b"), "[a]]b]");
        assert_eq!(ident("x]; DROP DATABASE [y"), "[x]]; DROP DATABASE [y]");
        assert_eq!(text("it's 😀 ]"), "N'it''s 😀 ]'");
        assert_eq!(qualified("dbo", "t]"), "[dbo].[t]]]");
    }

    proptest! {
        #[test]
        fn an_identifier_is_one_token(name in ".*") {
            let sql = ident(&name);
            prop_assert_eq!(scan(&sql, "[", ']'), Some((name, sql.len())));
        }
        #[test]
        fn a_literal_is_one_token(value in ".*") {
            let sql = text(&value);
            prop_assert_eq!(scan(&sql, "N'", '\''), Some((value, sql.len())));
        }
        #[test]
        fn brackets_quotes_and_emoji(name in "[\\]\\['\"😀a;-]{0,40}") {
            let sql = ident(&name);
            prop_assert_eq!(scan(&sql, "[", ']'), Some((name.clone(), sql.len())));
            let sql = text(&name);
            prop_assert_eq!(scan(&sql, "N'", '\''), Some((name, sql.len())));
        }
    }
}
