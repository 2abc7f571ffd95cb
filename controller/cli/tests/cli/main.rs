//! The whole command against a controller's `Operator` service that says what it is told, over real connections; and
//! what people and scripts get to read.

mod binary;
mod documents;
mod fake;
mod help;
mod renders;
mod rules;
mod samples;
mod verbs;
mod watching;
