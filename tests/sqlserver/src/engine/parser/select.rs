//! Queries: SELECT, FROM, joins, ORDER BY, set operators, common table expressions.

use super::Parser;
use crate::engine::ast::{
    BinaryOp, Body, Cte, Expr, Item, JoinKind, Kind, Name, OrderItem, Query, Select, SetOp, Source, Top,
};
use crate::engine::errors::{Result, err};
use crate::engine::lexer::Tok;

const HINTS: &[&str] = &[
    "NOLOCK",
    "READUNCOMMITTED",
    "READCOMMITTED",
    "READCOMMITTEDLOCK",
    "REPEATABLEREAD",
    "SERIALIZABLE",
    "HOLDLOCK",
    "UPDLOCK",
    "XLOCK",
    "ROWLOCK",
    "PAGLOCK",
    "TABLOCK",
    "TABLOCKX",
    "READPAST",
    "NOWAIT",
    "NOEXPAND",
    "FORCESEEK",
    "FORCESCAN",
    "SNAPSHOT",
    "KEEPIDENTITY",
    "KEEPDEFAULTS",
    "IGNORE_CONSTRAINTS",
    "IGNORE_TRIGGERS",
];

impl Parser<'_> {
    /// A whole query, with its ORDER BY.
    pub(super) fn query(&mut self) -> Result<Query> {
        self.deeper(|p| {
            let ctes = p.ctes()?;
            p.query_after(ctes)
        })
    }

    fn query_after(&mut self, ctes: Vec<Cte>) -> Result<Query> {
        let body = self.body()?;
        let mut query = Query {
            ctes,
            body,
            ..Query::default()
        };
        if self.eat_words(&["ORDER", "BY"]) {
            query.order = self.list(Self::order_item)?;
            self.offset(&mut query)?;
        }
        self.query_options()?;
        Ok(query)
    }

    fn offset(&mut self, query: &mut Query) -> Result<()> {
        if !self.eat_word("OFFSET") {
            return Ok(());
        }
        query.offset = Some(self.scalar()?);
        if self.eat_any(&["ROWS", "ROW"]).is_none() {
            return Err(self.syntax());
        }
        if self.eat_word("FETCH") {
            if self.eat_any(&["NEXT", "FIRST"]).is_none() {
                return Err(self.syntax());
            }
            query.fetch = Some(self.scalar()?);
            if self.eat_any(&["ROWS", "ROW"]).is_none() {
                return Err(self.syntax());
            }
            self.expect_word("ONLY")?;
        }
        Ok(())
    }

    /// `OPTION (RECOMPILE, MAXDOP 1)`: read, and without effect here.
    fn query_options(&mut self) -> Result<()> {
        if !self.eat_word("OPTION") {
            return Ok(());
        }
        self.expect("(")?;
        self.list(|p| {
            p.any_word()?;
            while matches!(p.tok(), Tok::Word(_) | Tok::Int(_)) {
                p.at += 1;
            }
            Ok(())
        })?;
        self.expect(")")
    }

    /// `WITH x AS (…)` before SELECT, INSERT, UPDATE or DELETE.
    pub(super) fn with_statement(&mut self) -> Result<Kind> {
        Ok(Kind::Select(Box::new(self.query()?)))
    }

    fn ctes(&mut self) -> Result<Vec<Cte>> {
        if self.eat_word("WITH") {
            self.list(Self::cte)
        } else {
            Ok(Vec::new())
        }
    }

    fn cte(&mut self) -> Result<Cte> {
        let name = self.identifier()?;
        let columns = if self.sym("(") { self.identifiers()? } else { Vec::new() };
        self.expect_word("AS")?;
        self.expect("(")?;
        let query = self.query()?;
        self.expect(")")?;
        Ok(Cte { name, columns, query })
    }

    fn body(&mut self) -> Result<Body> {
        let mut left = self.intersection()?;
        loop {
            let op = if self.eat_words(&["UNION", "ALL"]) {
                SetOp::UnionAll
            } else if self.eat_word("UNION") {
                SetOp::Union
            } else if self.eat_word("EXCEPT") {
                SetOp::Except
            } else {
                return Ok(left);
            };
            let right = self.intersection()?;
            left = Body::Set(op, Box::new(left), Box::new(right));
            self.depth += 1;
            if self.depth > super::MAX_DEPTH {
                return Err(self.too_deep());
            }
        }
    }

    fn intersection(&mut self) -> Result<Body> {
        let mut left = self.body_primary()?;
        while self.eat_word("INTERSECT") {
            let right = self.body_primary()?;
            left = Body::Set(SetOp::Intersect, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn body_primary(&mut self) -> Result<Body> {
        if self.eat("(") {
            let body = self.deeper(Self::body)?;
            self.expect(")")?;
            return Ok(body);
        }
        Ok(Body::Select(Box::new(self.select()?)))
    }

    fn select(&mut self) -> Result<Select> {
        self.expect_word("SELECT")?;
        let mut select = Select::default();
        if !self.eat_word("ALL") {
            select.distinct = self.eat_word("DISTINCT");
        }
        select.top = self.top()?;
        select.items = self.list(Self::item)?;
        if self.eat_word("INTO") {
            select.into = Some(self.name()?);
        }
        if self.eat_word("FROM") {
            select.from = self.list(Self::source)?;
        }
        if self.eat_word("WHERE") {
            select.filter = Some(self.condition()?);
        }
        if self.eat_words(&["GROUP", "BY"]) {
            select.group = self.list(Self::scalar)?;
        }
        if self.eat_word("HAVING") {
            select.having = Some(self.condition()?);
        }
        self.check_assignments(&select);
        Ok(select)
    }

    fn check_assignments(&mut self, select: &Select) {
        let assigns = select.items.iter().filter(|i| matches!(i, Item::Assign(..))).count();
        if assigns > 0 && assigns < select.items.len() {
            self.later(err!(141));
        }
    }

    /// `TOP (n) PERCENT WITH TIES`.
    pub(super) fn top(&mut self) -> Result<Option<Top>> {
        if !self.eat_word("TOP") {
            return Ok(None);
        }
        let count = if self.eat("(") {
            let count = self.scalar()?;
            self.expect(")")?;
            count
        } else {
            match self.tok().clone() {
                Tok::Int(_) | Tok::Decimal(_) | Tok::Float(_) => self.top_literal()?,
                _ => return Err(self.syntax()),
            }
        };
        let percent = self.eat_word("PERCENT");
        let ties = self.eat_words(&["WITH", "TIES"]);
        Ok(Some(Top { count, percent, ties }))
    }

    fn top_literal(&mut self) -> Result<Expr> {
        match self.bump() {
            Tok::Int(text) => text.parse().map(Expr::Int).map_err(|_| self.syntax()),
            Tok::Decimal(text) | Tok::Float(text) => text.parse().map(Expr::Float).map_err(|_| self.syntax()),
            _ => Err(self.syntax()),
        }
    }

    /// An item of a select list, or of OUTPUT.
    pub(super) fn item(&mut self) -> Result<Item> {
        if self.eat("*") {
            return Ok(Item::Star(None));
        }
        if let Some(assign) = self.assignment()? {
            return Ok(assign);
        }
        if self.at_identifier() && self.peek(1) == &Tok::Sym("=") {
            let alias = self.identifier()?;
            self.expect("=")?;
            return Ok(Item::Expr(self.scalar()?, Some(alias)));
        }
        if let (Tok::Str(alias, _), Tok::Sym("=")) = (self.tok().clone(), self.peek(1).clone()) {
            self.at += 2;
            return Ok(Item::Expr(self.scalar()?, Some(alias)));
        }
        let expr = self.scalar()?;
        if let Expr::Column(parts) = &expr
            && self.sym(".")
            && self.peek(1) == &Tok::Sym("*")
        {
            self.at += 2;
            return Ok(Item::Star(Some(Name { parts: parts.clone() })));
        }
        let alias = self.column_alias()?;
        Ok(Item::Expr(expr, alias))
    }

    fn assignment(&mut self) -> Result<Option<Item>> {
        let (Tok::Var(_), Tok::Sym(symbol)) = (self.tok(), self.peek(1)) else {
            return Ok(None);
        };
        let symbol = *symbol;
        let Some(op) = assign_op(symbol) else { return Ok(None) };
        let variable = self.variable()?;
        self.at += 1;
        Ok(Some(Item::Assign(variable, op, self.scalar()?)))
    }

    fn column_alias(&mut self) -> Result<Option<String>> {
        let required = self.eat_word("AS");
        if let Tok::Str(alias, _) = self.tok().clone() {
            self.at += 1;
            return Ok(Some(alias));
        }
        if required || self.at_identifier() {
            Ok(Some(self.identifier()?))
        } else {
            Ok(None)
        }
    }

    /// `e ASC`.
    pub(super) fn order_item(&mut self) -> Result<OrderItem> {
        let expr = self.scalar()?;
        let desc = self.eat_word("DESC");
        if !desc {
            self.eat_word("ASC");
        }
        Ok(OrderItem { expr, desc })
    }

    /// A table source with its joins.
    pub(super) fn source(&mut self) -> Result<Source> {
        self.deeper(Self::joined)
    }

    fn joined(&mut self) -> Result<Source> {
        let mut left = self.source_primary()?;
        for _ in 0..64 {
            if self.eat_words(&["CROSS", "APPLY"]) {
                left = self.apply(left, false)?;
            } else if self.eat_words(&["OUTER", "APPLY"]) {
                left = self.apply(left, true)?;
            } else if let Some(kind) = self.join_kind()? {
                left = self.join(left, kind)?;
            } else {
                return Ok(left);
            }
        }
        Err(self.too_deep())
    }

    fn apply(&mut self, left: Source, outer: bool) -> Result<Source> {
        let right = Box::new(self.source_primary()?);
        Ok(Source::Apply {
            outer,
            left: Box::new(left),
            right,
        })
    }

    fn join(&mut self, left: Source, kind: JoinKind) -> Result<Source> {
        let right = if kind == JoinKind::Cross {
            self.source_primary()?
        } else {
            self.source()?
        };
        let on = if kind == JoinKind::Cross {
            None
        } else {
            self.expect_word("ON")?;
            Some(self.condition()?)
        };
        Ok(Source::Join {
            kind,
            left: Box::new(left),
            right: Box::new(right),
            on,
        })
    }

    fn join_kind(&mut self) -> Result<Option<JoinKind>> {
        if self.eat_words(&["CROSS", "JOIN"]) {
            return Ok(Some(JoinKind::Cross));
        }
        if self.eat_word("JOIN") {
            return Ok(Some(JoinKind::Inner));
        }
        let Some(word) = self.eat_any(&["INNER", "LEFT", "RIGHT", "FULL"]) else {
            return Ok(None);
        };
        if word != "INNER" {
            self.eat_word("OUTER");
        }
        self.eat_any(&["LOOP", "HASH", "MERGE"]);
        self.expect_word("JOIN")?;
        Ok(Some(match word.as_str() {
            "LEFT" => JoinKind::Left,
            "RIGHT" => JoinKind::Right,
            "FULL" => JoinKind::Full,
            _ => JoinKind::Inner,
        }))
    }

    fn source_primary(&mut self) -> Result<Source> {
        if self.sym("(") {
            return self.parenthesised_source();
        }
        if let Tok::Var(name) = self.tok().clone() {
            if !self.tables.contains(&name.to_lowercase()) {
                self.later(err!(1087, name));
            }
            self.at += 1;
            let alias = self.source_alias()?;
            return Ok(Source::Variable { name, alias });
        }
        let name = self.name()?;
        if self.sym("(") && !self.at_old_hint() {
            return self.function_source(name);
        }
        let alias = self.source_alias()?;
        let hints = self.hints()?;
        Ok(Source::Named { name, alias, hints })
    }

    /// `FROM t (NOLOCK)`, without WITH: an old form that clients still send.
    fn at_old_hint(&self) -> bool {
        matches!(self.peek(1), Tok::Word(w) if HINTS.contains(&w.to_uppercase().as_str()))
            && self.peek(2) == &Tok::Sym(")")
    }

    fn function_source(&mut self, name: Name) -> Result<Source> {
        self.expect("(")?;
        let args = if self.sym(")") {
            Vec::new()
        } else {
            self.list(Self::function_arg)?
        };
        self.expect(")")?;
        let alias = self.source_alias()?;
        Ok(Source::Function { name, args, alias })
    }

    fn function_arg(&mut self) -> Result<Expr> {
        if self.eat_word("DEFAULT") {
            Ok(Expr::Default)
        } else {
            self.scalar()
        }
    }

    fn parenthesised_source(&mut self) -> Result<Source> {
        self.expect("(")?;
        if self.eat_word("VALUES") {
            let rows = self.list(Self::value_row)?;
            self.expect(")")?;
            let (alias, columns) = self.derived_alias()?;
            return Ok(Source::Values { rows, alias, columns });
        }
        if self.word("SELECT") || self.word("WITH") {
            let query = Box::new(self.query()?);
            self.expect(")")?;
            let (alias, columns) = self.derived_alias()?;
            return Ok(Source::Derived { query, alias, columns });
        }
        let inner = self.source()?;
        self.expect(")")?;
        Ok(inner)
    }

    /// `(e, DEFAULT, …)`.
    pub(super) fn value_row(&mut self) -> Result<Vec<Expr>> {
        self.expect("(")?;
        let row = self.list(Self::function_arg)?;
        self.expect(")")?;
        Ok(row)
    }

    fn derived_alias(&mut self) -> Result<(String, Vec<String>)> {
        self.eat_word("AS");
        let alias = self.identifier()?;
        let columns = if self.sym("(") { self.identifiers()? } else { Vec::new() };
        Ok((alias, columns))
    }

    fn source_alias(&mut self) -> Result<Option<String>> {
        if self.eat_word("AS") || self.at_identifier() {
            Ok(Some(self.identifier()?))
        } else {
            Ok(None)
        }
    }

    /// `WITH (NOLOCK, INDEX(1))`.
    pub(super) fn hints(&mut self) -> Result<Vec<String>> {
        let with = self.word("WITH") && self.peek(1) == &Tok::Sym("(");
        if with {
            self.at += 1;
        } else if !(self.sym("(") && self.at_old_hint()) {
            return Ok(Vec::new());
        }
        self.expect("(")?;
        let hints = self.list(Self::hint)?;
        self.expect(")")?;
        Ok(hints)
    }

    fn hint(&mut self) -> Result<String> {
        let at = self.at;
        let word = self.any_word()?;
        if word == "INDEX" {
            if self.eat("=") {
                self.bump();
            } else {
                self.expect("(")?;
                while !self.eat(")") {
                    if self.bump() == Tok::End {
                        return Err(self.syntax());
                    }
                }
            }
            return Ok(word);
        }
        if HINTS.contains(&word.as_str()) {
            return Ok(word);
        }
        self.at = at;
        let text = format!(
            "\"{word}\" is not a recognized table hints option. If it is intended as a parameter to a table-valued function or to the CHANGETABLE function, ensure that your database compatibility mode is set to 90."
        );
        Err(crate::engine::errors::raw_error(321, 15, 1, text)
            .ends_batch()
            .at(self.line()))
    }
}

/// `=` or `+=` and its like: the operator, if there is one.
pub(super) fn assign_op(symbol: &str) -> Option<Option<BinaryOp>> {
    Some(match symbol {
        "=" => None,
        "+=" => Some(BinaryOp::Add),
        "-=" => Some(BinaryOp::Sub),
        "*=" => Some(BinaryOp::Mul),
        "/=" => Some(BinaryOp::Div),
        "%=" => Some(BinaryOp::Mod),
        "&=" => Some(BinaryOp::And),
        "|=" => Some(BinaryOp::Or),
        "^=" => Some(BinaryOp::Xor),
        _ => return None,
    })
}
