//! From tokens to statements: what every grammar file shares, and the dispatch on a statement's first word.
//!
//! Strict like the original: what is not T-SQL is 102, or 156 where a reserved word stands in the way.

mod backup;
mod ddl;
mod dml;
mod expr;
mod procedural;
mod security;
mod select;
mod types;

use std::collections::HashSet;

use super::ast::{Kind, Name, Statement};
use super::errors::{Result, SqlError, err, raw_error};
use super::lexer::{Tok, Token, is_reserved, lex};

/// How deep expressions and statements may nest; the original's limit depends on its stack, ours does too.
const MAX_DEPTH: usize = 90;

/// What the batch's surroundings say.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    /// `SET QUOTED_IDENTIFIER`.
    pub quoted_identifiers: bool,
    /// Variables that exist already: the parameters of `sp_executesql`.
    pub variables: Vec<String>,
    /// The text is a procedure's body: RETURN may give a value.
    pub procedure: bool,
}

pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    variables: HashSet<String>,
    tables: HashSet<String>,
    procedure: bool,
    loops: usize,
    catches: usize,
    /// The first mistake that is not one of syntax: it is told only when the syntax is right.
    later: Option<SqlError>,
}

/// Parses a batch.
pub(super) fn parse_batch(text: &str, context: &Context) -> Result<Vec<Statement>> {
    let mut parser = Parser::new(text, context)?;
    let statements = parser.batch()?;
    parser.later.map_or(Ok(statements), Err)
}

/// Parses one data type and what follows nothing: for the parameter list of `sp_executesql`.
pub(super) fn parse_parameters(text: &str) -> Result<Vec<super::ast::ProcedureParam>> {
    let mut parser = Parser::new(
        text,
        &Context {
            quoted_identifiers: true,
            ..Context::default()
        },
    )?;
    let params = parser.procedure_params()?;
    if parser.tok() == &Tok::End {
        Ok(params)
    } else {
        Err(parser.syntax())
    }
}

/// Parses one scalar expression: a column's stored default.
pub(super) fn parse_expression(text: &str) -> Result<super::ast::Expr> {
    let mut parser = Parser::new(
        text,
        &Context {
            quoted_identifiers: true,
            ..Context::default()
        },
    )?;
    let expr = parser.scalar()?;
    if parser.tok() == &Tok::End {
        Ok(expr)
    } else {
        Err(parser.syntax())
    }
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, context: &Context) -> Result<Parser<'a>> {
        Ok(Parser {
            text,
            tokens: lex(text, context.quoted_identifiers)?,
            at: 0,
            depth: 0,
            variables: context.variables.iter().map(|v| v.to_lowercase()).collect(),
            tables: HashSet::new(),
            procedure: context.procedure,
            loops: 0,
            catches: 0,
            later: None,
        })
    }

    // ---- tokens ----

    fn token(&self) -> &Token {
        // The last token is End and `bump` never moves past it.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn tok(&self) -> &Tok {
        &self.token().tok
    }

    fn peek(&self, ahead: usize) -> &Tok {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].tok
    }

    fn line(&self) -> i32 {
        self.token().line
    }

    fn bump(&mut self) -> Tok {
        let tok = self.tok().clone();
        if tok != Tok::End {
            self.at += 1;
        }
        tok
    }

    fn sym(&self, symbol: &str) -> bool {
        matches!(self.tok(), Tok::Sym(s) if *s == symbol)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = self.sym(symbol);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.eat(symbol) { Ok(()) } else { Err(self.syntax()) }
    }

    fn is_word(tok: &Tok, word: &str) -> bool {
        matches!(tok, Tok::Word(w) if w.eq_ignore_ascii_case(word))
    }

    /// Whether the next tokens are these words.
    fn words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, w)| Self::is_word(self.peek(i), w))
    }

    fn word(&self, word: &str) -> bool {
        Self::is_word(self.tok(), word)
    }

    fn eat_word(&mut self, word: &str) -> bool {
        self.eat_words(&[word])
    }

    fn eat_words(&mut self, words: &[&str]) -> bool {
        let found = self.words(words);
        if found {
            self.at += words.len();
        }
        found
    }

    fn eat_any(&mut self, words: &[&str]) -> Option<String> {
        let found = words.iter().find(|w| self.word(w))?;
        self.at += 1;
        Some((*found).to_owned())
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.eat_word(word) {
            Ok(())
        } else {
            Err(self.syntax())
        }
    }

    fn expect_words(&mut self, words: &[&str]) -> Result<()> {
        words.iter().try_for_each(|w| self.expect_word(w))
    }

    /// Any word in upper case, reserved or not.
    fn any_word(&mut self) -> Result<String> {
        match self.tok().clone() {
            Tok::Word(w) => {
                self.at += 1;
                Ok(w.to_uppercase())
            }
            _ => Err(self.syntax()),
        }
    }

    fn near(&self, token: &Token) -> String {
        match &token.tok {
            Tok::Str(s, _) => s.chars().take(128).collect(),
            Tok::Quoted(s) => s.clone(),
            _ => self
                .text
                .get(token.start..token.end)
                .unwrap_or_default()
                .chars()
                .take(128)
                .collect(),
        }
    }

    /// 102 or 156 at the current token; at the end of the batch, 102 at the last one.
    fn syntax(&self) -> SqlError {
        if self.tok() != &Tok::End {
            return self.syntax_at(self.at);
        }
        let token = &self.tokens[self.at.saturating_sub(1)];
        err!(102, self.near(token)).at(token.line)
    }

    fn syntax_at(&self, at: usize) -> SqlError {
        let token = &self.tokens[at.min(self.tokens.len() - 1)];
        let near = self.near(token);
        match &token.tok {
            Tok::Word(w) if is_reserved(w) => err!(156, w.to_uppercase()).at(token.line),
            _ => err!(102, near).at(token.line),
        }
    }

    fn later(&mut self, error: SqlError) {
        let line = self.line();
        self.later.get_or_insert(error.at(line));
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn too_deep(&self) -> SqlError {
        let text = "Some part of your SQL statement is nested too deeply. Rewrite the query or break it up into smaller queries.";
        raw_error(191, 15, 1, text.to_owned()).ends_batch().at(self.line())
    }

    // ---- names ----

    /// A name of one part; reserved words need brackets.
    fn identifier(&mut self) -> Result<String> {
        match self.tok().clone() {
            Tok::Word(w) if !is_reserved(&w) => {
                self.at += 1;
                Ok(w)
            }
            Tok::Quoted(q) => {
                self.at += 1;
                Ok(q)
            }
            _ => Err(self.syntax()),
        }
    }

    fn at_identifier(&self) -> bool {
        match self.tok() {
            Tok::Word(w) => !is_reserved(w),
            Tok::Quoted(_) => true,
            _ => false,
        }
    }

    /// `a.b..c`.
    fn name(&mut self) -> Result<Name> {
        let mut parts = vec![self.identifier()?];
        while self.sym(".") {
            self.at += 1;
            if self.sym(".") {
                parts.push(String::new());
                continue;
            }
            parts.push(self.identifier()?);
        }
        if parts.len() > 4 {
            return Err(err!(117, "object", parts.join("."), 3).at(self.line()));
        }
        Ok(Name { parts })
    }

    /// `(a, b, c)`.
    fn identifiers(&mut self) -> Result<Vec<String>> {
        self.expect("(")?;
        let names = self.list(Self::identifier)?;
        self.expect(")")?;
        Ok(names)
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn integer(&mut self) -> Result<i64> {
        let negative = self.eat("-");
        match self.tok().clone() {
            Tok::Int(digits) => {
                let value: i64 = digits.parse().map_err(|_| self.syntax())?;
                self.at += 1;
                Ok(if negative { -value } else { value })
            }
            _ => Err(self.syntax()),
        }
    }

    fn string(&mut self) -> Result<String> {
        match self.tok().clone() {
            Tok::Str(s, _) => {
                self.at += 1;
                Ok(s)
            }
            _ => Err(self.syntax()),
        }
    }

    /// A variable that must have been declared.
    fn variable(&mut self) -> Result<String> {
        match self.tok().clone() {
            Tok::Var(v) => {
                self.check_variable(&v);
                self.at += 1;
                Ok(v)
            }
            _ => Err(self.syntax()),
        }
    }

    fn check_variable(&mut self, name: &str) {
        if !self.variables.contains(&name.to_lowercase()) {
            self.later(err!(137, name));
        }
    }

    fn declare(&mut self, name: &str) {
        if !self.variables.insert(name.to_lowercase()) {
            self.later(err!(134, name));
        }
    }

    // ---- statements ----

    fn batch(&mut self) -> Result<Vec<Statement>> {
        let mut statements = Vec::new();
        let mut first = true;
        loop {
            while self.eat(";") {}
            if self.tok() == &Tok::End {
                return Ok(statements);
            }
            statements.push(self.statement(first)?);
            first = false;
        }
    }

    /// One statement. The first of a batch may leave EXEC out.
    fn statement(&mut self, first: bool) -> Result<Statement> {
        let line = self.line();
        let kind = self.deeper(|p| p.statement_kind(first))?;
        self.eat(";");
        Ok(Statement { line, kind })
    }

    fn statement_kind(&mut self, first: bool) -> Result<Kind> {
        let word = match self.tok() {
            Tok::Word(w) => w.to_uppercase(),
            Tok::Sym("(") => "SELECT".to_owned(),
            Tok::Quoted(_) if first => return self.bare_execute(),
            _ => return Err(self.syntax()),
        };
        match word.as_str() {
            "SELECT" => Ok(Kind::Select(Box::new(self.query()?))),
            "WITH" => self.with_statement(),
            "INSERT" => self.insert(),
            "UPDATE" => self.update(),
            "DELETE" => self.delete(),
            "TRUNCATE" => self.truncate(),
            "DECLARE" => self.declaration(),
            "SET" => self.set(),
            "IF" => self.if_(),
            "WHILE" => self.while_(),
            "BEGIN" => self.begin(),
            "BREAK" | "CONTINUE" => self.loop_control(),
            "RETURN" => self.return_(),
            "PRINT" => self.print(),
            "RAISERROR" => self.raise_error(),
            "THROW" => self.throw(),
            "EXEC" | "EXECUTE" => self.execute(),
            "REVERT" => {
                self.at += 1;
                Ok(Kind::Revert)
            }
            "COMMIT" | "ROLLBACK" | "SAVE" => self.transaction(),
            "USE" => self.use_(),
            "WAITFOR" => self.wait_for(),
            "CREATE" => self.create(),
            "ALTER" => self.alter(),
            "DROP" => self.drop(),
            "BACKUP" => self.backup(),
            "RESTORE" => self.restore(),
            "DBCC" => self.dbcc(),
            "KILL" => self.kill(),
            "GRANT" | "DENY" | "REVOKE" => self.permission(),
            "CHECKPOINT" => {
                self.at += 1;
                Ok(Kind::Checkpoint)
            }
            "RECONFIGURE" => {
                self.at += 1;
                self.eat_words(&["WITH", "OVERRIDE"]);
                Ok(Kind::Reconfigure)
            }
            other if first && !is_reserved(other) => self.bare_execute(),
            _ => Err(self.syntax()),
        }
    }

    /// Statements up to a word that ends a block.
    fn statements_until(&mut self, end: &str) -> Result<Vec<Statement>> {
        let mut statements = Vec::new();
        loop {
            while self.eat(";") {}
            if self.word(end) {
                if statements.is_empty() {
                    return Err(self.syntax());
                }
                return Ok(statements);
            }
            statements.push(self.statement(false)?);
        }
    }
}

#[cfg(test)]
mod tests;
