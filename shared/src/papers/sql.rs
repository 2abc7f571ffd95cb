//! Names and texts in T-SQL, quoted.

/// `[name]`.
pub(super) fn ident(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// `N'text'`.
pub(super) fn text(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_quotes() {
        assert_eq!(ident("a]; DROP"), "[a]]; DROP]");
        assert_eq!(text("O'Brien"), "N'O''Brien'");
    }
}
