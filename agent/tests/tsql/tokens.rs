//! A batch, cut into tokens and into its statements at the top-level semicolons. Strict: what it does not know is an error.

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A keyword or a plain identifier, in upper case.
    Word(String),
    /// `[delimited]`.
    Delimited(String),
    /// `'text'` or `N'text'`.
    Text(String),
    /// `@variable`.
    Variable(String),
    /// Digits.
    Number(u64),
    /// Anything else, character by character.
    Symbol(char),
}

/// A batch: its text, and each token with where it stands.
pub(crate) struct Batch {
    text: String,
    tokens: Vec<(Token, std::ops::Range<usize>)>,
}

impl Batch {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            if c.is_whitespace() {
                at += c.len_utf8();
                continue;
            }
            let (token, length) = token(&text[at..])?;
            tokens.push((token, at..at + length));
            at += length;
        }
        Ok(Self {
            text: text.to_string(),
            tokens,
        })
    }

    /// The tokens of each statement that ends with a semicolon, without it.
    pub(crate) fn pieces(&self) -> Vec<&[(Token, std::ops::Range<usize>)]> {
        let ends = |(token, _): &(Token, _)| *token == Token::Symbol(';');
        self.tokens.split(ends).filter(|p| !p.is_empty()).collect()
    }

    /// The text without the statements that `leave_out` names; an escaped `]` inside `[]` is written otherwise, because
    /// sqlfluff's lexer does not know it.
    pub(crate) fn without(&self, leave_out: impl Fn(&[(Token, std::ops::Range<usize>)]) -> bool) -> String {
        let mut text = self.text.clone();
        for piece in self.pieces().into_iter().rev() {
            if leave_out(piece) {
                let (first, last) = (&piece[0].1, &piece[piece.len() - 1].1);
                // With its semicolon.
                let end = text[last.end..].find(';').map_or(last.end, |i| last.end + i + 1);
                text.replace_range(first.start..end, "");
                continue;
            }
            for (token, at) in piece.iter().rev() {
                if let Token::Delimited(name) = token {
                    text.replace_range(at.clone(), &format!("[{}]", name.replace(']', "}")));
                }
            }
        }
        text
    }
}

/// The first token and its length.
fn token(text: &str) -> Result<(Token, usize), String> {
    let word = |from: &str| {
        from.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$')))
            .unwrap_or(from.len())
    };
    let first = text.chars().next().unwrap_or(' ');
    match first {
        'N' | 'n' if text[1..].starts_with('\'') => quoted(&text[1..], '\'').map(|(t, n)| (Token::Text(t), n + 1)),
        '\'' => quoted(text, '\'').map(|(t, n)| (Token::Text(t), n)),
        '[' => quoted(text, ']').map(|(t, n)| (Token::Delimited(t), n)),
        '@' => {
            let n = word(text);
            Ok((Token::Variable(text[..n].to_string()), n))
        }
        c if c.is_ascii_digit() => {
            let n = word(text);
            let number = text[..n].parse().map(Token::Number);
            // 0x01 is a word here: no family takes one.
            Ok((number.unwrap_or_else(|_| Token::Word(text[..n].to_string())), n))
        }
        c if c.is_alphabetic() || c == '_' => {
            let n = word(text);
            Ok((Token::Word(text[..n].to_uppercase()), n))
        }
        '-' if text.starts_with("--") => Err("a comment outside of quotes".to_string()),
        '/' if text.starts_with("/*") => Err("a comment outside of quotes".to_string()),
        c if c.is_ascii_punctuation() => Ok((Token::Symbol(c), 1)),
        c => Err(format!("'{c}' outside of quotes")),
    }
}

/// What stands between an opening character and `close`, which stands twice for itself.
fn quoted(text: &str, close: char) -> Result<(String, usize), String> {
    let mut inner = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        let ends = c == close && chars.next_if(|(_, next)| *next == close).is_none();
        if ends {
            return Ok((inner, at + 1));
        }
        inner.push(c);
    }
    Err(format!("an open quote: {text}"))
}

#[test]
fn statements_are_cut_out_and_the_rest_stays() {
    let batch = Batch::read("DECLARE @f sysname = N'a;''b';\nKILL 57;\nUSE [x]];];").unwrap();
    assert_eq!(batch.pieces().len(), 3);
    let is_kill = |p: &[(Token, _)]| p[0].0 == Token::Word("KILL".into());
    assert_eq!(batch.without(is_kill), "DECLARE @f sysname = N'a;''b';\n\nUSE [x};];");
    assert_eq!(batch.pieces()[2][1].0, Token::Delimited("x];".into()));
    for wrong in ["SELECT 'x", "SELECT 1 -- no", "SELECT €"] {
        assert!(Batch::read(wrong).is_err(), "{wrong}");
    }
}
