//! The T-SQL engine: a batch goes through the lexer, the parser and the interpreter; what it says goes to a
//! [`Sink`](crate::types::Sink) as tokens in SQL Server's order.
//!
//! ```text
//! text ─ lexer ─ parser ─► ast ─ interpreter ─► statements/… ─► output ─► Sink
//!                                   │ query/ (bind, run) over sysviews/ and storage's tables
//!                                   │ eval/  (expressions, functions, conversions)
//! ```
//! It never recognises a statement by its text: what is no T-SQL is 102 or 156, what does not exist 208, 195, 2812, 207.
//! [`Instance`] is the server, [`Session`] a connection.

mod account;
mod ast;
mod availability;
mod catalog;
mod effects;
mod errors;
mod eval;
mod faults;
mod instance;
mod interpreter;
mod lexer;
mod locks;
mod login;
mod output;
mod parser;
mod permissions;
mod procs;
mod query;
mod session;
mod statements;
mod sysviews;
mod transaction;

pub use effects::{Effect, Effects, Journal};
pub use faults::{Faults, Rule, Strike};
pub use instance::{Instance, LabSettings};
pub use login::LoginReply;
pub use session::Session;
pub use statements::{RpcCall, TransactionRequest};
