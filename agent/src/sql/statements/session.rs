//! What every session says first, and where it stands.

use super::{AWKWARD, Statement};
use crate::sql::quote::ident;

/// Sets the session's options. Messages are asked for in English for people; decisions rest on numbers.
pub fn preamble() -> Statement {
    Statement::new(
        "session-preamble",
        "SET NOCOUNT ON; SET XACT_ABORT ON; SET LOCK_TIMEOUT 15000; SET LANGUAGE us_english; SET IMPLICIT_TRANSACTIONS OFF;\n\
         SELECT CAST(@@SPID AS int) AS spid;",
    )
}

/// Goes to a database.
pub fn use_database(name: &str) -> Statement {
    Statement::new("use-database", format!("USE {};", ident(name)))
}

pub(super) fn samples() -> Vec<Statement> {
    vec![preamble(), use_database(AWKWARD)]
}
