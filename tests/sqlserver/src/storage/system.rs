//! The system databases and what every database has.

use time::OffsetDateTime;

use super::Database;

pub(crate) fn empty_database(name: &str, collation: &str, internal_version: u16, at: OffsetDateTime) -> Database {
    unimplemented!("{name} {collation} {internal_version} {at}")
}

pub(crate) fn fork(database: &mut Database, name: &str, at: OffsetDateTime) {
    unimplemented!("{} {name} {at}", database.meta.name)
}
