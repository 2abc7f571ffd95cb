//! The language around the statements: variables, SET, IF, WHILE, TRY, EXEC, transactions, errors.

use super::Parser;
use super::select::assign_op;
use crate::engine::ast::{
    Argument, Declaration, Execute, ExecuteAs, Expr, Kind, Name, NameOrVar, ProcedureRef, RaiseError, SetOption,
};
use crate::engine::errors::{Result, err};
use crate::engine::lexer::Tok;

const FLAGS: &[&str] = &[
    "NOCOUNT",
    "XACT_ABORT",
    "IMPLICIT_TRANSACTIONS",
    "ANSI_NULLS",
    "ANSI_NULL_DFLT_ON",
    "ANSI_NULL_DFLT_OFF",
    "ANSI_PADDING",
    "ANSI_WARNINGS",
    "ANSI_DEFAULTS",
    "QUOTED_IDENTIFIER",
    "ARITHABORT",
    "ARITHIGNORE",
    "NUMERIC_ROUNDABORT",
    "CONCAT_NULL_YIELDS_NULL",
    "CURSOR_CLOSE_ON_COMMIT",
    "FMTONLY",
    "NOEXEC",
    "PARSEONLY",
    "FORCEPLAN",
    "REMOTE_PROC_TRANSACTIONS",
    "SHOWPLAN_ALL",
    "SHOWPLAN_TEXT",
    "SHOWPLAN_XML",
    "NO_BROWSETABLE",
    "DISABLE_DEF_CNST_CHK",
];

const VALUES: &[&str] = &[
    "LOCK_TIMEOUT",
    "TEXTSIZE",
    "ROWCOUNT",
    "DATEFIRST",
    "DATEFORMAT",
    "LANGUAGE",
    "DEADLOCK_PRIORITY",
    "QUERY_GOVERNOR_COST_LIMIT",
    "CONTEXT_INFO",
    "FIPS_FLAGGER",
];

impl Parser<'_> {
    pub(super) fn declaration(&mut self) -> Result<Kind> {
        self.at += 1;
        if let (Tok::Var(name), true) = (self.tok().clone(), self.declares_table()) {
            self.at += 1;
            self.eat_word("AS");
            self.expect_word("TABLE")?;
            let (columns, _) = self.table_elements()?;
            self.tables.insert(name.to_lowercase());
            self.declare(&name);
            return Ok(Kind::DeclareTable(name, columns));
        }
        Ok(Kind::Declare(self.list(Self::declared)?))
    }

    fn declares_table(&self) -> bool {
        let next = if Self::is_word(self.peek(1), "AS") { 2 } else { 1 };
        Self::is_word(self.peek(next), "TABLE")
    }

    fn declared(&mut self) -> Result<Declaration> {
        let Tok::Var(name) = self.tok().clone() else {
            return Err(self.syntax());
        };
        self.at += 1;
        self.eat_word("AS");
        let ty = self.data_type(1)?;
        let value = if self.eat("=") { Some(self.scalar()?) } else { None };
        self.declare(&name);
        Ok(Declaration { name, ty, value })
    }

    pub(super) fn set(&mut self) -> Result<Kind> {
        self.at += 1;
        if matches!(self.tok(), Tok::Var(_)) {
            let name = self.variable()?;
            let Tok::Sym(symbol) = self.tok() else {
                return Err(self.syntax());
            };
            let Some(op) = assign_op(symbol) else {
                return Err(self.syntax());
            };
            self.at += 1;
            return Ok(Kind::SetVariable(name, op, self.scalar()?));
        }
        Ok(Kind::SetOption(self.set_option()?))
    }

    fn set_option(&mut self) -> Result<SetOption> {
        if self.eat_words(&["TRANSACTION", "ISOLATION", "LEVEL"]) || self.eat_words(&["TRAN", "ISOLATION", "LEVEL"]) {
            return self.isolation();
        }
        if self.eat_word("IDENTITY_INSERT") {
            let table = self.name()?;
            let on = self.on_off()?;
            return Ok(SetOption::IdentityInsert(table, on));
        }
        if self.eat_word("STATISTICS") {
            self.list(Self::any_word)?;
            self.on_off()?;
            return Ok(SetOption::Statistics);
        }
        let at = self.at;
        let word = self.any_word()?;
        if VALUES.contains(&word.as_str()) {
            return Ok(SetOption::Value(word, self.set_value()?));
        }
        if !FLAGS.contains(&word.as_str()) {
            let line = self.tokens[at].line;
            return Err(err!(195_001, word).at(line));
        }
        let mut names = vec![word];
        while self.eat(",") {
            let next = self.any_word()?;
            if !FLAGS.contains(&next.as_str()) {
                return Err(err!(195_001, next).at(self.line()));
            }
            names.push(next);
        }
        Ok(SetOption::Flags(names, self.on_off()?))
    }

    fn set_value(&mut self) -> Result<Expr> {
        match self.tok().clone() {
            // LANGUAGE and DATEFORMAT take bare words, DEADLOCK_PRIORITY LOW.
            Tok::Word(w) => {
                self.at += 1;
                Ok(Expr::Str(w, true))
            }
            Tok::Quoted(w) => {
                self.at += 1;
                Ok(Expr::Str(w, true))
            }
            _ => self.scalar(),
        }
    }

    fn on_off(&mut self) -> Result<bool> {
        match self.eat_any(&["ON", "OFF"]) {
            Some(word) => Ok(word == "ON"),
            None => Err(self.syntax()),
        }
    }

    fn isolation(&mut self) -> Result<SetOption> {
        let level = if self.eat_words(&["READ", "UNCOMMITTED"]) {
            1
        } else if self.eat_words(&["READ", "COMMITTED"]) {
            2
        } else if self.eat_words(&["REPEATABLE", "READ"]) {
            3
        } else if self.eat_word("SERIALIZABLE") {
            4
        } else if self.eat_word("SNAPSHOT") {
            5
        } else {
            return Err(self.syntax());
        };
        Ok(SetOption::Isolation(level))
    }

    pub(super) fn if_(&mut self) -> Result<Kind> {
        self.at += 1;
        let condition = self.condition()?;
        let then = Box::new(self.statement(false)?);
        while self.sym(";") && Self::is_word(self.peek(1), "ELSE") {
            self.at += 1;
        }
        let other = if self.eat_word("ELSE") {
            Some(Box::new(self.statement(false)?))
        } else {
            None
        };
        Ok(Kind::If(condition, then, other))
    }

    pub(super) fn while_(&mut self) -> Result<Kind> {
        self.at += 1;
        let condition = self.condition()?;
        self.loops += 1;
        let body = self.statement(false);
        self.loops -= 1;
        Ok(Kind::While(condition, Box::new(body?)))
    }

    pub(super) fn loop_control(&mut self) -> Result<Kind> {
        let break_ = self.word("BREAK");
        if self.loops == 0 {
            let number = if break_ { 135 } else { 136 };
            self.later(err!(number));
        }
        self.at += 1;
        Ok(if break_ { Kind::Break } else { Kind::Continue })
    }

    pub(super) fn begin(&mut self) -> Result<Kind> {
        if self.eat_words(&["BEGIN", "TRY"]) {
            let tried = self.statements_until("END")?;
            self.expect_words(&["END", "TRY"])?;
            self.eat(";");
            self.expect_words(&["BEGIN", "CATCH"])?;
            self.catches += 1;
            let caught = self.catch_body();
            self.catches -= 1;
            let caught = caught?;
            self.expect_words(&["END", "CATCH"])?;
            return Ok(Kind::TryCatch(tried, caught));
        }
        if Self::is_word(self.peek(1), "TRAN") || Self::is_word(self.peek(1), "TRANSACTION") {
            self.at += 2;
            return Ok(Kind::BeginTransaction(self.transaction_name()?));
        }
        if Self::is_word(self.peek(1), "DISTRIBUTED") || Self::is_word(self.peek(1), "DIALOG") {
            return Err(self.syntax_at(self.at + 1));
        }
        self.at += 1;
        let body = self.statements_until("END")?;
        self.expect_word("END")?;
        Ok(Kind::Block(body))
    }

    /// A CATCH block may be empty.
    fn catch_body(&mut self) -> Result<Vec<crate::engine::ast::Statement>> {
        while self.eat(";") {}
        if self.word("END") {
            Ok(Vec::new())
        } else {
            self.statements_until("END")
        }
    }

    fn transaction_name(&mut self) -> Result<Option<NameOrVar>> {
        if matches!(self.tok(), Tok::Var(_)) {
            return Ok(Some(NameOrVar::Var(self.variable()?)));
        }
        if !self.at_identifier() {
            return Ok(None);
        }
        let name = self.identifier()?;
        if name.chars().count() > 32 {
            self.later(err!(502, name, 32));
        }
        if self.eat_words(&["WITH", "MARK"]) {
            self.string()?;
        }
        Ok(Some(NameOrVar::Name(name)))
    }

    pub(super) fn transaction(&mut self) -> Result<Kind> {
        let verb = self.any_word()?;
        let full = self.eat_any(&["TRAN", "TRANSACTION"]).is_some();
        if verb == "SAVE" {
            if !full {
                return Err(self.syntax());
            }
            return self.transaction_name()?.map(Kind::Save).ok_or_else(|| self.syntax());
        }
        let name = if full {
            self.transaction_name()?
        } else {
            self.eat_word("WORK");
            None
        };
        Ok(if verb == "COMMIT" {
            Kind::Commit
        } else {
            Kind::Rollback(name)
        })
    }

    pub(super) fn return_(&mut self) -> Result<Kind> {
        let line = self.line();
        self.at += 1;
        let starts = matches!(
            self.tok(),
            Tok::Int(_)
                | Tok::Var(_)
                | Tok::Global(_)
                | Tok::Decimal(_)
                | Tok::Float(_)
                | Tok::Sym("(" | "-" | "+" | "~")
                | Tok::Str(..)
        ) || self.at_identifier() && self.peek(1) == &Tok::Sym("(")
            || self.word("CASE");
        let value = if starts { Some(self.scalar()?) } else { None };
        if value.is_some() && !self.procedure {
            self.later(err!(178).at(line));
        }
        Ok(Kind::Return(value))
    }

    pub(super) fn print(&mut self) -> Result<Kind> {
        self.at += 1;
        Ok(Kind::Print(self.scalar()?))
    }

    pub(super) fn raise_error(&mut self) -> Result<Kind> {
        self.at += 1;
        self.expect("(")?;
        let message = self.scalar()?;
        self.expect(",")?;
        let severity = self.scalar()?;
        self.expect(",")?;
        let state = self.scalar()?;
        let args = if self.eat(",") {
            self.list(Self::scalar)?
        } else {
            Vec::new()
        };
        self.expect(")")?;
        let options = if self.eat_word("WITH") {
            self.list(Self::raise_option)?
        } else {
            Vec::new()
        };
        Ok(Kind::RaiseError(RaiseError {
            message,
            severity,
            state,
            args,
            options,
        }))
    }

    fn raise_option(&mut self) -> Result<String> {
        self.eat_any(&["NOWAIT", "LOG", "SETERROR"])
            .ok_or_else(|| self.syntax())
    }

    pub(super) fn throw(&mut self) -> Result<Kind> {
        let line = self.line();
        self.at += 1;
        if !matches!(self.tok(), Tok::Int(_) | Tok::Var(_)) {
            if self.catches == 0 {
                self.later(err!(10704).at(line));
            }
            return Ok(Kind::Throw(None));
        }
        let number = self.scalar()?;
        self.expect(",")?;
        let message = self.scalar()?;
        self.expect(",")?;
        let state = self.scalar()?;
        Ok(Kind::Throw(Some((number, message, state))))
    }

    pub(super) fn use_(&mut self) -> Result<Kind> {
        self.at += 1;
        Ok(Kind::Use(self.identifier()?))
    }

    pub(super) fn wait_for(&mut self) -> Result<Kind> {
        self.at += 1;
        if self.eat_any(&["DELAY", "TIME"]).is_none() {
            return Err(self.syntax());
        }
        Ok(Kind::WaitFor(self.scalar()?))
    }

    pub(super) fn bare_execute(&mut self) -> Result<Kind> {
        let procedure = ProcedureRef::Name(self.name()?);
        let args = self.arguments()?;
        Ok(Kind::Execute(Box::new(Execute {
            result: None,
            procedure,
            args,
        })))
    }

    pub(super) fn execute(&mut self) -> Result<Kind> {
        self.at += 1;
        if self.eat_word("AS") {
            return self.execute_as();
        }
        if self.eat("(") {
            let text = self.scalar()?;
            self.expect(")")?;
            if self.eat_word("AS") {
                return Err(self.syntax());
            }
            return Ok(Kind::ExecuteText(text));
        }
        let mut result = None;
        if matches!(self.tok(), Tok::Var(_)) && self.peek(1) == &Tok::Sym("=") {
            result = Some(self.variable()?);
            self.at += 1;
        }
        let procedure = if matches!(self.tok(), Tok::Var(_)) {
            ProcedureRef::Var(self.variable()?)
        } else {
            ProcedureRef::Name(self.procedure_name()?)
        };
        let args = self.arguments()?;
        if self.eat_words(&["WITH", "RECOMPILE"]) && args.is_empty() {
            return Ok(Kind::Execute(Box::new(Execute {
                result,
                procedure,
                args,
            })));
        }
        Ok(Kind::Execute(Box::new(Execute {
            result,
            procedure,
            args,
        })))
    }

    fn procedure_name(&mut self) -> Result<Name> {
        let name = self.name()?;
        // `p;1`, the number of a procedure group.
        if self.sym(";") && matches!(self.peek(1), Tok::Int(_)) {
            self.at += 2;
        }
        Ok(name)
    }

    fn execute_as(&mut self) -> Result<Kind> {
        let who = match self.eat_any(&["LOGIN", "USER", "CALLER"]).as_deref() {
            Some("CALLER") => ExecuteAs::Caller,
            Some(kind) => {
                let login = kind == "LOGIN";
                self.expect("=")?;
                let name = self.scalar()?;
                if login {
                    ExecuteAs::Login(name)
                } else {
                    ExecuteAs::User(name)
                }
            }
            None => return Err(self.syntax()),
        };
        if self.eat_word("WITH") {
            self.expect_words(&["NO", "REVERT"])?;
        }
        Ok(Kind::ExecuteAs(who))
    }

    fn arguments(&mut self) -> Result<Vec<Argument>> {
        if !self.at_argument() {
            return Ok(Vec::new());
        }
        let args = self.list(Self::argument)?;
        if let Some(first) = args.iter().position(|a| a.name.is_some())
            && let Some(late) = args.iter().skip(first).position(|a| a.name.is_none())
        {
            self.later(err!(119, first + late + 1));
        }
        Ok(args)
    }

    fn at_argument(&self) -> bool {
        match self.tok() {
            Tok::Var(_)
            | Tok::Global(_)
            | Tok::Int(_)
            | Tok::Decimal(_)
            | Tok::Float(_)
            | Tok::Money(_)
            | Tok::Str(..) => true,
            Tok::Binary(_) | Tok::Quoted(_) | Tok::Sym("-" | "+") => true,
            Tok::Word(w) => {
                w.eq_ignore_ascii_case("NULL") || w.eq_ignore_ascii_case("DEFAULT") || self.bare_word_argument(w)
            }
            _ => false,
        }
    }

    /// `EXEC sp_helpdb master`: a bare word is a string, unless it begins the next statement.
    fn bare_word_argument(&self, word: &str) -> bool {
        const STARTERS: &[&str] = &["THROW", "GO"];
        !crate::engine::lexer::is_reserved(word) && !STARTERS.contains(&word.to_uppercase().as_str())
    }

    fn argument(&mut self) -> Result<Argument> {
        let mut name = None;
        if let (Tok::Var(v), Tok::Sym("=")) = (self.tok().clone(), self.peek(1)) {
            self.at += 2;
            name = Some(v);
        }
        let value = self.argument_value()?;
        let output = self.eat_any(&["OUTPUT", "OUT"]).is_some();
        if output && !matches!(value, Expr::Var(_)) {
            self.later(crate::engine::errors::raw_error(
                179,
                15,
                1,
                "Cannot use the OUTPUT option when passing a constant to a stored procedure.".to_owned(),
            ));
        }
        Ok(Argument { name, value, output })
    }

    /// EXEC takes constants and variables, not expressions: `EXEC p @a + 1` is a syntax error there too.
    fn argument_value(&mut self) -> Result<Expr> {
        match self.tok().clone() {
            Tok::Word(w) if w.eq_ignore_ascii_case("DEFAULT") => {
                self.at += 1;
                Ok(Expr::Default)
            }
            Tok::Word(w) if w.eq_ignore_ascii_case("NULL") => {
                self.at += 1;
                Ok(Expr::Null)
            }
            Tok::Word(w) if !crate::engine::lexer::is_reserved(&w) => {
                self.at += 1;
                Ok(Expr::Str(w, true))
            }
            Tok::Quoted(w) => {
                self.at += 1;
                Ok(Expr::Str(w, true))
            }
            Tok::Sym("-") => {
                self.at += 1;
                match self.literal()? {
                    Expr::Int(i) => Ok(Expr::Int(-i)),
                    Expr::Decimal(v, p, s) => Ok(Expr::Decimal(-v, p, s)),
                    Expr::Float(f) => Ok(Expr::Float(-f)),
                    _ => Err(self.syntax()),
                }
            }
            Tok::Sym("+") => {
                self.at += 1;
                self.literal()
            }
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Result<Expr> {
        match self.tok() {
            Tok::Int(_)
            | Tok::Decimal(_)
            | Tok::Float(_)
            | Tok::Money(_)
            | Tok::Str(..)
            | Tok::Binary(_)
            | Tok::Var(_)
            | Tok::Global(_) => self.primary(),
            _ => Err(self.syntax()),
        }
    }
}
