//! INSERT, UPDATE, DELETE, TRUNCATE TABLE.

use super::Parser;
use super::select::assign_op;
use crate::engine::ast::{Delete, Insert, InsertSource, Item, Kind, SetTarget, Statement, Target, Update};
use crate::engine::errors::{Result, err};
use crate::engine::lexer::Tok;

impl Parser<'_> {
    fn target(&mut self) -> Result<Target> {
        if let Tok::Var(name) = self.tok().clone() {
            if !self.tables.contains(&name.to_lowercase()) {
                self.later(err!(1087, name));
            }
            self.at += 1;
            return Ok(Target::Variable(name));
        }
        let target = Target::Table(self.name()?);
        self.hints()?;
        Ok(target)
    }

    pub(super) fn insert(&mut self) -> Result<Kind> {
        self.at += 1;
        self.eat_word("INTO");
        let target = self.target()?;
        let columns = if self.sym("(") && !Self::is_word(self.peek(1), "SELECT") {
            self.identifiers()?
        } else {
            Vec::new()
        };
        let output = self.output()?;
        let source = self.insert_source()?;
        Ok(Kind::Insert(Box::new(Insert {
            target,
            columns,
            output,
            source,
        })))
    }

    fn insert_source(&mut self) -> Result<InsertSource> {
        if self.eat_words(&["DEFAULT", "VALUES"]) {
            return Ok(InsertSource::Defaults);
        }
        if self.eat_word("VALUES") {
            return Ok(InsertSource::Values(self.list(Self::value_row)?));
        }
        if self.word("EXEC") || self.word("EXECUTE") {
            let line = self.line();
            let kind = self.execute()?;
            return Ok(InsertSource::Execute(Box::new(Statement { line, kind })));
        }
        if self.word("SELECT") || self.word("WITH") || self.sym("(") {
            return Ok(InsertSource::Query(self.query()?));
        }
        Err(self.syntax())
    }

    fn output(&mut self) -> Result<Vec<Item>> {
        if self.eat_word("OUTPUT") {
            self.list(Self::item)
        } else {
            Ok(Vec::new())
        }
    }

    pub(super) fn update(&mut self) -> Result<Kind> {
        self.at += 1;
        let top = self.top()?;
        let target = self.target()?;
        self.expect_word("SET")?;
        let set = self.list(Self::set_item)?;
        let output = self.output()?;
        let from = if self.eat_word("FROM") {
            self.list(Self::source)?
        } else {
            Vec::new()
        };
        let filter = if self.eat_word("WHERE") {
            Some(self.condition()?)
        } else {
            None
        };
        Ok(Kind::Update(Box::new(Update {
            top,
            target,
            set,
            output,
            from,
            filter,
        })))
    }

    fn set_item(
        &mut self,
    ) -> Result<(
        SetTarget,
        Option<crate::engine::ast::BinaryOp>,
        crate::engine::ast::Expr,
    )> {
        let target = if matches!(self.tok(), Tok::Var(_)) {
            SetTarget::Var(self.variable()?)
        } else {
            SetTarget::Column(self.name()?.object().to_owned())
        };
        let Tok::Sym(symbol) = self.tok() else {
            return Err(self.syntax());
        };
        let Some(op) = assign_op(symbol) else {
            return Err(self.syntax());
        };
        self.at += 1;
        let value = if self.eat_word("DEFAULT") {
            crate::engine::ast::Expr::Default
        } else {
            self.scalar()?
        };
        Ok((target, op, value))
    }

    pub(super) fn delete(&mut self) -> Result<Kind> {
        self.at += 1;
        let top = self.top()?;
        self.eat_word("FROM");
        let target = self.target()?;
        let output = self.output()?;
        let from = if self.eat_word("FROM") {
            self.list(Self::source)?
        } else {
            Vec::new()
        };
        let filter = if self.eat_word("WHERE") {
            Some(self.condition()?)
        } else {
            None
        };
        Ok(Kind::Delete(Box::new(Delete {
            top,
            target,
            output,
            from,
            filter,
        })))
    }

    pub(super) fn truncate(&mut self) -> Result<Kind> {
        self.expect_words(&["TRUNCATE", "TABLE"])?;
        Ok(Kind::Truncate(self.name()?))
    }
}
