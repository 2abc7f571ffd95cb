//! The plan's tests: the good plan as it is read, every rule with the input that it refuses, and properties of all plans.

mod data;
pub(crate) mod facts;
mod fence;
mod good;
mod property;
mod replace_rules;
mod replaced;
mod rules;
mod runbooks;
mod scenarios;
mod world;
