//! Expressions and conditions, by binding power. T-SQL keeps the two apart: a comparison is no value.

use super::Parser;
use crate::engine::ast::{BinaryOp, Call, Cast, CompareOp, Expr, Over};
use crate::engine::errors::{Result, err};
use crate::engine::eval::functions::{Known, known_function};
use crate::engine::lexer::{Tok, is_reserved};

const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const COMPARE: u8 = 4;
const ADD: u8 = 5;
const MUL: u8 = 6;
const UNARY: u8 = 7;

/// Operators in one chain; each becomes a level of the tree.
const MAX_CHAIN: usize = 200;

impl Parser<'_> {
    /// A value.
    pub(super) fn scalar(&mut self) -> Result<Expr> {
        let before = self.at;
        let expr = self.binding(ADD)?;
        if expr.is_condition() {
            return Err(self.syntax_at(self.at.saturating_sub(1).max(before)));
        }
        Ok(expr)
    }

    /// A condition.
    pub(super) fn condition(&mut self) -> Result<Expr> {
        let expr = self.binding(OR)?;
        if expr.is_condition() {
            Ok(expr)
        } else {
            Err(self.not_a_condition())
        }
    }

    fn not_a_condition(&self) -> crate::engine::errors::SqlError {
        let near = self.near(self.token());
        if near.is_empty() {
            return self.syntax();
        }
        err!(4145, near).at(self.line())
    }

    fn binding(&mut self, power: u8) -> Result<Expr> {
        self.deeper(|p| {
            let mut left = p.prefix(power)?;
            for _ in 0..MAX_CHAIN {
                match p.infix(left, power)? {
                    (next, true) => left = next,
                    (done, false) => return Ok(done),
                }
            }
            Err(p.too_deep())
        })
    }

    fn prefix(&mut self, power: u8) -> Result<Expr> {
        if power <= NOT && self.word("NOT") {
            self.at += 1;
            let inner = self.binding(NOT)?;
            return if inner.is_condition() {
                Ok(Expr::Not(Box::new(inner)))
            } else {
                Err(self.not_a_condition())
            };
        }
        if power <= COMPARE && self.word("EXISTS") {
            self.at += 1;
            self.expect("(")?;
            let query = self.query()?;
            self.expect(")")?;
            return Ok(Expr::Exists(Box::new(query)));
        }
        let expr = self.unary()?;
        self.collated(expr)
    }

    fn collated(&mut self, mut expr: Expr) -> Result<Expr> {
        while self.eat_word("COLLATE") {
            let collation = self.identifier()?;
            expr = Expr::Collate(Box::new(expr), collation);
        }
        Ok(expr)
    }

    fn unary(&mut self) -> Result<Expr> {
        let symbol = ["-", "+", "~"].into_iter().find(|s| self.sym(s));
        let Some(symbol) = symbol else { return self.primary() };
        self.at += 1;
        let inner = self.binding(UNARY)?;
        if inner.is_condition() {
            return Err(self.syntax());
        }
        Ok(match (symbol, inner) {
            ("-", Expr::Int(i)) => Expr::Int(-i),
            ("-", Expr::Decimal(v, p, s)) => Expr::Decimal(-v, p, s),
            ("-", Expr::Float(f)) => Expr::Float(-f),
            ("-", inner) => Expr::Neg(Box::new(inner)),
            ("~", inner) => Expr::BitNot(Box::new(inner)),
            (_, inner) => inner,
        })
    }

    /// Reads an operator and its right side. The flag says whether there was one.
    fn infix(&mut self, left: Expr, power: u8) -> Result<(Expr, bool)> {
        if power <= OR && self.word("OR") {
            return self.logical(left, AND, Expr::Or);
        }
        if power <= AND && self.word("AND") {
            return self.logical(left, NOT, Expr::And);
        }
        if power <= COMPARE && !left.is_condition() {
            if let Some(op) = self.compare_op() {
                return Ok((self.comparison(left, op)?, true));
            }
            if let Some(found) = self.predicate(&left)? {
                return Ok((found, true));
            }
        }
        if let Some((op, its_power)) = self.binary_op().filter(|(_, p)| *p >= power) {
            if left.is_condition() {
                return Err(self.syntax());
            }
            self.at += 1;
            let right = self.binding(its_power + 1)?;
            if right.is_condition() {
                return Err(self.syntax());
            }
            return Ok((Expr::Op(op, Box::new(left), Box::new(right)), true));
        }
        Ok((left, false))
    }

    fn logical(&mut self, left: Expr, power: u8, build: fn(Box<Expr>, Box<Expr>) -> Expr) -> Result<(Expr, bool)> {
        if !left.is_condition() {
            return Err(self.not_a_condition());
        }
        self.at += 1;
        let right = self.binding(power)?;
        if !right.is_condition() {
            return Err(self.not_a_condition());
        }
        Ok((build(Box::new(left), Box::new(right)), true))
    }

    fn binary_op(&self) -> Option<(BinaryOp, u8)> {
        let Tok::Sym(symbol) = self.tok() else { return None };
        Some(match *symbol {
            "+" => (BinaryOp::Add, ADD),
            "-" => (BinaryOp::Sub, ADD),
            "&" => (BinaryOp::And, ADD),
            "|" => (BinaryOp::Or, ADD),
            "^" => (BinaryOp::Xor, ADD),
            "*" => (BinaryOp::Mul, MUL),
            "/" => (BinaryOp::Div, MUL),
            "%" => (BinaryOp::Mod, MUL),
            _ => return None,
        })
    }

    fn compare_op(&mut self) -> Option<CompareOp> {
        let Tok::Sym(symbol) = self.tok() else { return None };
        let op = match *symbol {
            "=" => CompareOp::Eq,
            "<>" | "!=" => CompareOp::Ne,
            "<" => CompareOp::Lt,
            "<=" | "!>" => CompareOp::Le,
            ">" => CompareOp::Gt,
            ">=" | "!<" => CompareOp::Ge,
            _ => return None,
        };
        self.at += 1;
        Some(op)
    }

    fn comparison(&mut self, left: Expr, op: CompareOp) -> Result<Expr> {
        if let Some(quantifier) = self.eat_any(&["ALL", "ANY", "SOME"]) {
            self.expect("(")?;
            let query = self.query()?;
            self.expect(")")?;
            return Ok(Expr::CompareQuery(
                op,
                Box::new(left),
                quantifier == "ALL",
                Box::new(query),
            ));
        }
        let right = self.scalar()?;
        Ok(Expr::Compare(op, Box::new(left), Box::new(right)))
    }

    /// IS NULL, LIKE, BETWEEN, IN.
    fn predicate(&mut self, left: &Expr) -> Result<Option<Expr>> {
        let subject = || Box::new(left.clone());
        if self.eat_word("IS") {
            let not = self.eat_word("NOT");
            self.expect_word("NULL")?;
            return Ok(Some(Expr::IsNull(subject(), not)));
        }
        let not = self.word("NOT") && ["LIKE", "BETWEEN", "IN"].iter().any(|w| Self::is_word(self.peek(1), w));
        if not {
            self.at += 1;
        }
        if self.eat_word("LIKE") {
            let pattern = Box::new(self.scalar()?);
            let escape = if self.eat_word("ESCAPE") {
                Some(Box::new(self.scalar()?))
            } else {
                None
            };
            return Ok(Some(Expr::Like(subject(), pattern, escape, not)));
        }
        if self.eat_word("BETWEEN") {
            let low = Box::new(self.scalar()?);
            self.expect_word("AND")?;
            let high = Box::new(self.scalar()?);
            return Ok(Some(Expr::Between(subject(), low, high, not)));
        }
        if self.eat_word("IN") {
            self.expect("(")?;
            let found = if self.word("SELECT") || self.word("WITH") {
                Expr::InQuery(subject(), Box::new(self.query()?), not)
            } else {
                Expr::In(subject(), self.list(Self::scalar)?, not)
            };
            self.expect(")")?;
            return Ok(Some(found));
        }
        Ok(None)
    }

    pub(super) fn primary(&mut self) -> Result<Expr> {
        match self.tok().clone() {
            Tok::Int(digits) => {
                self.at += 1;
                self.integer_literal(&digits)
            }
            Tok::Decimal(text) => {
                self.at += 1;
                self.decimal_literal(&text)
            }
            Tok::Float(text) => {
                self.at += 1;
                let text = if text.ends_with(['e', 'E', '+', '-']) {
                    format!("{text}0")
                } else {
                    text
                };
                Ok(Expr::Float(text.parse().unwrap_or(0.0)))
            }
            Tok::Money(text) => {
                self.at += 1;
                self.money_literal(&text)
            }
            Tok::Str(text, national) => {
                self.at += 1;
                Ok(Expr::Str(text, national))
            }
            Tok::Binary(bytes) => {
                self.at += 1;
                Ok(Expr::Binary(bytes))
            }
            Tok::Var(_) => Ok(Expr::Var(self.variable()?)),
            Tok::Global(name) => self.global(name),
            Tok::Sym("(") => self.parenthesis(),
            Tok::Sym("*") => Err(self.syntax()),
            Tok::Quoted(_) => self.column_or_call(),
            Tok::Word(word) => self.word_expr(&word),
            _ => Err(self.syntax()),
        }
    }

    fn global(&mut self, name: String) -> Result<Expr> {
        let upper = name.to_uppercase();
        if crate::engine::eval::functions::is_global(&upper) {
            self.at += 1;
            return Ok(Expr::Global(upper));
        }
        // `@@x` may also be a local variable with an odd name.
        self.check_variable(&name);
        self.at += 1;
        Ok(Expr::Var(name))
    }

    fn integer_literal(&self, digits: &str) -> Result<Expr> {
        match digits.parse::<i32>() {
            Ok(value) => Ok(Expr::Int(value.into())),
            Err(_) => self.decimal_literal(digits),
        }
    }

    fn decimal_literal(&self, text: &str) -> Result<Expr> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{}{fraction}", whole.trim_start_matches('0'));
        let significant = u8::try_from(digits.len().max(1)).unwrap_or(u8::MAX);
        let too_long = || err!(1007, text).at(self.line());
        if significant > 38 {
            return Err(too_long());
        }
        let value = if digits.is_empty() {
            0
        } else {
            digits.parse().map_err(|_| too_long())?
        };
        Ok(Expr::Decimal(
            value,
            significant,
            u8::try_from(fraction.len()).unwrap_or(0),
        ))
    }

    fn money_literal(&self, text: &str) -> Result<Expr> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let padded: String = fraction.chars().chain("0000".chars()).take(4).collect();
        format!("{whole}{padded}")
            .parse()
            .map(Expr::Money)
            .map_err(|_| self.syntax())
    }

    fn parenthesis(&mut self) -> Result<Expr> {
        self.at += 1;
        if self.word("SELECT") || self.word("WITH") {
            let query = self.query()?;
            self.expect(")")?;
            return Ok(Expr::Subquery(Box::new(query)));
        }
        let inner = self.binding(OR)?;
        self.expect(")")?;
        Ok(Expr::Paren(Box::new(inner)))
    }

    fn word_expr(&mut self, word: &str) -> Result<Expr> {
        match word.to_ascii_uppercase().as_str() {
            "NULL" => {
                self.at += 1;
                Ok(Expr::Null)
            }
            "CASE" => self.case(),
            "CAST" | "TRY_CAST" if self.peek(1) == &Tok::Sym("(") => self.cast(),
            "CONVERT" | "TRY_CONVERT" => self.convert(),
            upper @ ("CURRENT_TIMESTAMP" | "CURRENT_USER" | "SESSION_USER" | "SYSTEM_USER" | "USER") => {
                self.at += 1;
                Ok(Expr::Call(Box::new(Call {
                    name: upper.to_owned(),
                    args: Vec::new(),
                    distinct: false,
                    over: None,
                })))
            }
            upper @ ("LEFT" | "RIGHT" | "COALESCE" | "NULLIF") if self.peek(1) == &Tok::Sym("(") => {
                self.at += 1;
                self.call(upper.to_owned())
            }
            _ if is_reserved(word) => Err(self.syntax()),
            _ => self.column_or_call(),
        }
    }

    fn column_or_call(&mut self) -> Result<Expr> {
        let name = self.column_name()?;
        if !self.sym("(") {
            return Ok(Expr::Column(name));
        }
        if let [one] = name.as_slice() {
            return self.call(one.to_uppercase());
        }
        let joined = name.join(".");
        self.later(err!(4121, name[0], joined));
        self.call(joined)
    }

    /// Like a table's name, but `t.*` stays for the select list.
    fn column_name(&mut self) -> Result<Vec<String>> {
        let mut parts = vec![self.identifier()?];
        while self.sym(".") && self.peek(1) != &Tok::Sym("*") {
            self.at += 1;
            if self.sym(".") {
                parts.push(String::new());
                continue;
            }
            parts.push(self.identifier()?);
        }
        Ok(parts)
    }

    fn call(&mut self, name: String) -> Result<Expr> {
        let at = self.at;
        self.expect("(")?;
        let distinct = self.eat_word("DISTINCT");
        if !distinct {
            self.eat_word("ALL");
        }
        let known = known_function(&name);
        let args = self.call_args(&name, known)?;
        self.expect(")")?;
        let over = if self.eat_word("OVER") {
            Some(self.over()?)
        } else {
            None
        };
        self.check_call(&name, known, args.len(), over.is_some(), at);
        Ok(Expr::Call(Box::new(Call {
            name,
            args,
            distinct,
            over,
        })))
    }

    fn call_args(&mut self, name: &str, known: Option<Known>) -> Result<Vec<Expr>> {
        if self.sym(")") {
            return Ok(Vec::new());
        }
        if matches!(name, "COUNT" | "COUNT_BIG") && self.eat("*") {
            return Ok(vec![Expr::Column(vec!["*".to_owned()])]);
        }
        if name == "IIF" {
            let condition = self.condition()?;
            self.expect(",")?;
            let mut args = vec![condition];
            args.extend(self.list(Self::scalar)?);
            return Ok(args);
        }
        if known.is_some_and(|k| k.datepart) {
            let part = self.any_word()?;
            let mut args = vec![Expr::Str(part, false)];
            while self.eat(",") {
                args.push(self.scalar()?);
            }
            return Ok(args);
        }
        self.list(Self::scalar)
    }

    fn check_call(&mut self, name: &str, known: Option<Known>, args: usize, over: bool, at: usize) {
        let line = self.tokens[at].line;
        match known {
            None if name.contains('.') => {}
            None => self.later(err!(195, name.to_lowercase()).at(line)),
            Some(k) if args < k.min || args > k.max => {
                let shown = name.to_lowercase();
                let error = if k.min == k.max {
                    err!(174, shown, k.min)
                } else {
                    err!(189, shown, k.min, k.max)
                };
                self.later(error.at(line));
            }
            Some(k) if k.window && !over => self.later(err!(10753, name.to_lowercase()).at(line)),
            Some(_) => {}
        }
    }

    fn over(&mut self) -> Result<Over> {
        self.expect("(")?;
        let mut over = Over::default();
        if self.eat_words(&["PARTITION", "BY"]) {
            over.partition = self.list(Self::scalar)?;
        }
        if self.eat_words(&["ORDER", "BY"]) {
            over.order = self.list(Self::order_item)?;
        }
        self.expect(")")?;
        Ok(over)
    }

    fn case(&mut self) -> Result<Expr> {
        self.at += 1;
        let operand = if self.word("WHEN") {
            None
        } else {
            Some(Box::new(self.scalar()?))
        };
        let mut whens = Vec::new();
        while self.eat_word("WHEN") {
            let when = if operand.is_some() {
                self.scalar()?
            } else {
                self.condition()?
            };
            self.expect_word("THEN")?;
            whens.push((when, self.scalar()?));
        }
        if whens.is_empty() {
            return Err(self.syntax());
        }
        let other = if self.eat_word("ELSE") {
            Some(Box::new(self.scalar()?))
        } else {
            None
        };
        self.expect_word("END")?;
        Ok(Expr::Case(operand, whens, other))
    }

    fn cast(&mut self) -> Result<Expr> {
        let try_ = self.word("TRY_CAST");
        self.at += 1;
        self.expect("(")?;
        let value = self.scalar()?;
        self.expect_word("AS")?;
        let ty = self.data_type(30)?;
        self.expect(")")?;
        Ok(Expr::Cast(Box::new(Cast {
            value,
            ty,
            style: None,
            try_,
        })))
    }

    fn convert(&mut self) -> Result<Expr> {
        let try_ = self.word("TRY_CONVERT");
        self.at += 1;
        self.expect("(")?;
        let ty = self.data_type(30)?;
        self.expect(",")?;
        let value = self.scalar()?;
        let style = if self.eat(",") { Some(self.scalar()?) } else { None };
        self.expect(")")?;
        Ok(Expr::Cast(Box::new(Cast { value, ty, style, try_ })))
    }
}
