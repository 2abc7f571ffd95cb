//! T-SQL's tokens. The lexer knows no grammar: it says what stands where, and on which line.

use super::errors::{Result, err};

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tok {
    /// An unquoted identifier or a keyword, as written.
    Word(String),
    /// `[name]`, or `"name"` while QUOTED_IDENTIFIER is on.
    Quoted(String),
    /// `'text'` or `N'text'`.
    Str(String, bool),
    /// An integer literal.
    Int(String),
    /// A literal with a decimal point.
    Decimal(String),
    /// A literal with an exponent.
    Float(String),
    /// `$12.50`.
    Money(String),
    /// `0x…`.
    Binary(Vec<u8>),
    /// `@name`, with the `@`.
    Var(String),
    /// `@@name`, with both.
    Global(String),
    /// An operator or punctuation.
    Sym(&'static str),
    /// The end of the batch.
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    /// What it is.
    pub tok: Tok,
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    /// Line in the batch, from 1.
    pub line: i32,
}

const SYMBOLS: &[&str] = &[
    "<>", "<=", ">=", "!=", "!<", "!>", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "::", "(", ")", ",", ".", ";",
    "=", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "~", ":", "{", "}",
];

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: i32,
    quoted_identifiers: bool,
}

/// Splits a batch into tokens; the last one is [`Tok::End`].
pub(super) fn lex(text: &str, quoted_identifiers: bool) -> Result<Vec<Token>> {
    let mut lexer = Lexer {
        text,
        at: 0,
        line: 1,
        quoted_identifiers,
    };
    let mut tokens = Vec::new();
    loop {
        lexer.blank()?;
        let (start, line) = (lexer.at, lexer.line);
        let tok = lexer.token().map_err(|e| e.at(line))?;
        let last = tok == Tok::End;
        tokens.push(Token {
            tok,
            start,
            end: lexer.at,
            line,
        });
        if last {
            return Ok(tokens);
        }
    }
}

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '#'
}

fn continues_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '#' | '$' | '@')
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&keep) {
            self.bump();
        }
        self.text[start..self.at].to_owned()
    }

    fn blank(&mut self) -> Result<()> {
        loop {
            if self.rest().starts_with("--") {
                self.take_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                self.comment()?;
            } else if self
                .peek()
                .is_some_and(|c| c.is_whitespace() || c == '\u{feff}' || c == '\0')
            {
                self.bump();
            } else {
                return Ok(());
            }
        }
    }

    /// Comments nest in T-SQL.
    fn comment(&mut self) -> Result<()> {
        let line = self.line;
        let mut depth = 0;
        loop {
            if self.rest().starts_with("/*") {
                self.at += 2;
                depth += 1;
            } else if self.rest().starts_with("*/") {
                self.at += 2;
                depth -= 1;
                if depth == 0 {
                    return Ok(());
                }
            } else if self.bump().is_none() {
                return Err(err!(113).at(line));
            }
        }
    }

    fn token(&mut self) -> Result<Tok> {
        let Some(c) = self.peek() else { return Ok(Tok::End) };
        if matches!(c, 'N' | 'n') && self.rest()[1..].starts_with('\'') {
            self.bump();
            return Ok(Tok::Str(self.quoted('\'')?, true));
        }
        match c {
            '\'' => Ok(Tok::Str(self.quoted('\'')?, false)),
            '"' if self.quoted_identifiers => self.identifier('"'),
            '"' => Ok(Tok::Str(self.quoted('"')?, false)),
            '[' => self.identifier(']'),
            '@' => Ok(self.variable()),
            '$' if self.rest()[1..].starts_with(|d: char| d.is_ascii_digit() || d == '.') => {
                self.bump();
                Ok(Tok::Money(self.take_while(|d| d.is_ascii_digit() || d == '.')))
            }
            _ if c.is_ascii_digit() => Ok(self.number()),
            '.' if self.rest()[1..].starts_with(|d: char| d.is_ascii_digit()) => Ok(self.number()),
            _ if starts_word(c) || c == '$' => {
                self.bump();
                let tail = self.take_while(continues_word);
                Ok(Tok::Word(format!("{c}{tail}")))
            }
            _ => self.symbol(),
        }
    }

    fn symbol(&mut self) -> Result<Tok> {
        match SYMBOLS.iter().find(|s| self.rest().starts_with(**s)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(Tok::Sym(symbol))
            }
            None => Err(err!(102, self.peek().unwrap_or(' '))),
        }
    }

    fn identifier(&mut self, close: char) -> Result<Tok> {
        let name = self.quoted(close)?;
        if name.is_empty() {
            return Err(super::errors::raw_error(
                1038,
                15,
                4,
                "An object or column name is missing or empty. For SELECT INTO statements, verify each column has a name. \
                 For other statements, look for empty alias names. Aliases defined as \"\" or [] are not allowed. Change \
                 the alias to a valid name."
                    .to_owned(),
            )
            .ends_batch());
        }
        if name.chars().count() > 128 {
            return Err(err!(103, "identifier", name.chars().take(128).collect::<String>(), 128));
        }
        Ok(Tok::Quoted(name))
    }

    /// Reads a delimited text; the delimiter is written twice inside it.
    fn quoted(&mut self, close: char) -> Result<String> {
        self.bump();
        let mut out = String::new();
        loop {
            match self.bump() {
                None => return Err(err!(105, out.chars().take(200).collect::<String>())),
                Some(c) if c == close => {
                    if self.peek() != Some(close) {
                        return Ok(out);
                    }
                    self.bump();
                    out.push(close);
                }
                Some(c) => out.push(c),
            }
        }
    }

    fn variable(&mut self) -> Tok {
        let start = self.at;
        self.bump();
        let global = self.peek() == Some('@');
        if global {
            self.bump();
        }
        self.take_while(continues_word);
        let name = self.text[start..self.at].to_owned();
        if global { Tok::Global(name) } else { Tok::Var(name) }
    }

    fn number(&mut self) -> Tok {
        if self.rest().starts_with("0x") || self.rest().starts_with("0X") {
            self.at += 2;
            return Tok::Binary(hex(&self.take_while(|c| c.is_ascii_hexdigit())));
        }
        let start = self.at;
        self.take_while(|c| c.is_ascii_digit());
        let mut decimal = false;
        if self.peek() == Some('.') {
            decimal = true;
            self.bump();
            self.take_while(|c| c.is_ascii_digit());
        }
        if self.exponent() {
            return Tok::Float(self.text[start..self.at].to_owned());
        }
        let text = self.text[start..self.at].to_owned();
        if decimal { Tok::Decimal(text) } else { Tok::Int(text) }
    }

    fn exponent(&mut self) -> bool {
        if !self.rest().starts_with(['e', 'E']) {
            return false;
        }
        let signs = usize::from(self.rest()[1..].starts_with(['+', '-']));
        let digits = self.rest()[1 + signs..]
            .chars()
            .take_while(char::is_ascii_digit)
            .count();
        // `1e` alone is a float literal too: T-SQL reads it as 1e0.
        if digits == 0 && self.rest()[1 + signs..].starts_with(|c: char| continues_word(c)) {
            return false;
        }
        self.at += 1 + signs + digits;
        true
    }
}

fn hex(digits: &str) -> Vec<u8> {
    let padded = if digits.len() % 2 == 1 {
        format!("0{digits}")
    } else {
        digits.to_owned()
    };
    padded
        .as_bytes()
        .chunks(2)
        .map(|pair| (nibble(pair[0]) << 4) | nibble(pair[1]))
        .collect()
}

fn nibble(digit: u8) -> u8 {
    char::from(digit)
        .to_digit(16)
        .map_or(0, |d| u8::try_from(d).unwrap_or(0))
}

/// The words that cannot be used as names without brackets.
const RESERVED: &[&str] = &[
    "ADD",
    "ALL",
    "ALTER",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "AUTHORIZATION",
    "BACKUP",
    "BEGIN",
    "BETWEEN",
    "BREAK",
    "BROWSE",
    "BULK",
    "BY",
    "CASCADE",
    "CASE",
    "CHECK",
    "CHECKPOINT",
    "CLOSE",
    "CLUSTERED",
    "COALESCE",
    "COLLATE",
    "COLUMN",
    "COMMIT",
    "COMPUTE",
    "CONSTRAINT",
    "CONTAINS",
    "CONTAINSTABLE",
    "CONTINUE",
    "CONVERT",
    "CREATE",
    "CROSS",
    "CURRENT",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "CURSOR",
    "DATABASE",
    "DBCC",
    "DEALLOCATE",
    "DECLARE",
    "DEFAULT",
    "DELETE",
    "DENY",
    "DESC",
    "DISK",
    "DISTINCT",
    "DISTRIBUTED",
    "DOUBLE",
    "DROP",
    "DUMP",
    "ELSE",
    "END",
    "ERRLVL",
    "ESCAPE",
    "EXCEPT",
    "EXEC",
    "EXECUTE",
    "EXISTS",
    "EXIT",
    "EXTERNAL",
    "FETCH",
    "FILE",
    "FILLFACTOR",
    "FOR",
    "FOREIGN",
    "FREETEXT",
    "FREETEXTTABLE",
    "FROM",
    "FULL",
    "FUNCTION",
    "GOTO",
    "GRANT",
    "GROUP",
    "HAVING",
    "HOLDLOCK",
    "IDENTITY",
    "IDENTITYCOL",
    "IDENTITY_INSERT",
    "IF",
    "IN",
    "INDEX",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "KILL",
    "LEFT",
    "LIKE",
    "LINENO",
    "LOAD",
    "MERGE",
    "NATIONAL",
    "NOCHECK",
    "NONCLUSTERED",
    "NOT",
    "NULL",
    "NULLIF",
    "OF",
    "OFF",
    "OFFSETS",
    "ON",
    "OPEN",
    "OPENDATASOURCE",
    "OPENQUERY",
    "OPENROWSET",
    "OPENXML",
    "OPTION",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PERCENT",
    "PIVOT",
    "PLAN",
    "PRECISION",
    "PRIMARY",
    "PRINT",
    "PROC",
    "PROCEDURE",
    "PUBLIC",
    "RAISERROR",
    "READ",
    "READTEXT",
    "RECONFIGURE",
    "REFERENCES",
    "REPLICATION",
    "RESTORE",
    "RESTRICT",
    "RETURN",
    "REVERT",
    "REVOKE",
    "RIGHT",
    "ROLLBACK",
    "ROWCOUNT",
    "ROWGUIDCOL",
    "RULE",
    "SAVE",
    "SCHEMA",
    "SECURITYAUDIT",
    "SELECT",
    "SEMANTICKEYPHRASETABLE",
    "SESSION_USER",
    "SET",
    "SETUSER",
    "SHUTDOWN",
    "SOME",
    "STATISTICS",
    "SYSTEM_USER",
    "TABLE",
    "TABLESAMPLE",
    "TEXTSIZE",
    "THEN",
    "TO",
    "TOP",
    "TRAN",
    "TRANSACTION",
    "TRIGGER",
    "TRUNCATE",
    "TRY_CONVERT",
    "TSEQUAL",
    "UNION",
    "UNIQUE",
    "UNPIVOT",
    "UPDATE",
    "UPDATETEXT",
    "USE",
    "USER",
    "VALUES",
    "VARYING",
    "VIEW",
    "WAITFOR",
    "WHEN",
    "WHERE",
    "WHILE",
    "WITH",
    "WITHIN",
    "WRITETEXT",
];

/// Whether a word is reserved.
pub(super) fn is_reserved(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    RESERVED.binary_search(&upper.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toks(text: &str) -> Vec<Tok> {
        lex(text, true).unwrap().into_iter().map(|t| t.tok).collect()
    }

    #[test]
    fn the_reserved_list_is_sorted() {
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn literals_and_names() {
        assert_eq!(
            toks("N'it''s' [a]]b] 0xFF0 1.5 .5 1e3 @v @@ROWCOUNT \"q\" $2.5"),
            vec![
                Tok::Str("it's".into(), true),
                Tok::Quoted("a]b".into()),
                Tok::Binary(vec![0x0f, 0xf0]),
                Tok::Decimal("1.5".into()),
                Tok::Decimal(".5".into()),
                Tok::Float("1e3".into()),
                Tok::Var("@v".into()),
                Tok::Global("@@ROWCOUNT".into()),
                Tok::Quoted("q".into()),
                Tok::Money("2.5".into()),
                Tok::End
            ]
        );
    }

    #[test]
    fn comments_nest_and_lines_count() {
        let tokens = lex("/* a /* b */ c\n */ SELECT -- x\n 1", true).unwrap();
        assert_eq!(tokens[0].line, 2);
        assert_eq!(tokens[1].line, 3);
    }

    #[test]
    fn what_does_not_close_is_an_error() {
        assert_eq!(lex("SELECT 'abc", true).unwrap_err().number(), 105);
        assert_eq!(lex("/* abc", true).unwrap_err().number(), 113);
        assert_eq!(lex("SELECT ?", true).unwrap_err().number(), 102);
    }

    #[test]
    fn a_double_quote_is_a_string_when_the_option_is_off() {
        assert_eq!(lex("\"x\"", false).unwrap()[0].tok, Tok::Str("x".into(), false));
    }
}
