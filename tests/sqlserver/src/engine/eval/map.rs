//! Rewriting expressions: grouping and window functions put other columns in place of what was bound.

use super::{Bound, Node};
use crate::engine::errors::Result;

impl Bound {
    /// Rebuilds the expression. Where `replace` answers, its answer stands; elsewhere the children are rebuilt.
    pub(crate) fn map(&self, replace: &dyn Fn(&Bound) -> Result<Option<Bound>>) -> Result<Bound> {
        if let Some(replaced) = replace(self)? {
            return Ok(replaced);
        }
        let one = |b: &Bound| b.map(replace).map(Box::new);
        let maybe = |b: &Option<Box<Bound>>| b.as_ref().map(|b| b.map(replace).map(Box::new)).transpose();
        let many = |list: &[Bound]| list.iter().map(|b| b.map(replace)).collect::<Result<Vec<_>>>();
        let node = match &self.node {
            Node::Neg(a) => Node::Neg(one(a)?),
            Node::BitNot(a) => Node::BitNot(one(a)?),
            Node::Not(a) => Node::Not(one(a)?),
            Node::IsNull(a) => Node::IsNull(one(a)?),
            Node::Op(op, a, b) => Node::Op(*op, one(a)?, one(b)?),
            Node::Compare(op, a, b, c) => Node::Compare(*op, one(a)?, one(b)?, *c),
            Node::And(a, b) => Node::And(one(a)?, one(b)?),
            Node::Or(a, b) => Node::Or(one(a)?, one(b)?),
            Node::Like(a, b, e, c) => Node::Like(one(a)?, one(b)?, maybe(e)?, *c),
            Node::In(a, list, c) => Node::In(one(a)?, many(list)?, *c),
            Node::Call(entry, args) => Node::Call(entry, many(args)?),
            Node::Cast(a, style, try_) => Node::Cast(one(a)?, maybe(style)?, *try_),
            Node::Case(whens, other) => {
                let pair = |(w, t): &(Bound, Bound)| Ok((w.map(replace)?, t.map(replace)?));
                Node::Case(whens.iter().map(pair).collect::<Result<Vec<_>>>()?, maybe(other)?)
            }
            Node::Quantified(op, a, all, plan, c) => Node::Quantified(*op, one(a)?, *all, plan.clone(), *c),
            leaf => leaf.clone(),
        };
        Ok(Bound {
            ty: self.ty.clone(),
            nullable: self.nullable,
            node,
        })
    }
}
