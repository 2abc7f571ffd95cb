//! A database in memory. Cloning is cheap (tables are shared until one is written to), so a transaction keeps the
//! clone it started from and puts it back on ROLLBACK.

use std::sync::Arc;

use time::OffsetDateTime;

use super::table::same_name;
use super::{
    DatabaseMeta, DatabasePermission, DatabasePrincipal, ExtendedProperty, FileKind, FileMeta, Procedure, Table,
};

/// Metadata, tables with rows, procedures, principals and extended properties.
#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    /// The properties.
    pub meta: DatabaseMeta,
    /// The files; the first is the primary data file.
    pub files: Vec<FileMeta>,
    /// The tables.
    pub tables: Vec<Arc<Table>>,
    /// The stored procedures.
    pub procedures: Vec<Procedure>,
    /// Users and roles.
    pub principals: Vec<DatabasePrincipal>,
    /// Grants and denials.
    pub permissions: Vec<DatabasePermission>,
    /// Extended properties.
    pub extended_properties: Vec<ExtendedProperty>,
}

impl Database {
    /// A table by schema and name, ignoring case.
    pub fn table(&self, schema: &str, name: &str) -> Option<&Table> {
        self.tables
            .iter()
            .find(|t| same_name(&t.schema, schema) && same_name(&t.name, name))
            .map(|t| &**t)
    }
    /// The same, to be written to. Copies the table if a clone of this database still shares it.
    pub fn table_mut(&mut self, schema: &str, name: &str) -> Option<&mut Table> {
        let table = self
            .tables
            .iter_mut()
            .find(|t| same_name(&t.schema, schema) && same_name(&t.name, name))?;
        Some(Arc::make_mut(table))
    }
    /// A procedure by schema and name, ignoring case.
    pub fn procedure(&self, schema: &str, name: &str) -> Option<&Procedure> {
        self.procedures
            .iter()
            .find(|p| same_name(&p.schema, schema) && same_name(&p.name, name))
    }
    /// A user or role by name, ignoring case.
    pub fn principal(&self, name: &str) -> Option<&DatabasePrincipal> {
        self.principals.iter().find(|p| same_name(&p.name, name))
    }
    /// The extended property of the database itself (class 0).
    pub fn extended_property(&self, name: &str) -> Option<&ExtendedProperty> {
        self.extended_properties
            .iter()
            .find(|p| p.object_id.is_none() && same_name(&p.name, name))
    }
    /// The next free object id.
    pub fn next_object_id(&self) -> i32 {
        let tables = self.tables.iter().map(|t| t.object_id);
        let procedures = self.procedures.iter().map(|p| p.object_id);
        tables.chain(procedures).max().unwrap_or(0).max(245_575_912) + 16
    }
    /// The next free user id, from 5.
    pub fn next_principal_id(&self) -> i32 {
        let ids = self.principals.iter().map(|p| p.principal_id).filter(|id| *id < 16_384);
        ids.max().unwrap_or(0).max(4) + 1
    }
    /// The primary data file.
    pub fn data_file(&self) -> Option<&FileMeta> {
        self.files.iter().find(|f| f.kind == FileKind::Data)
    }
    /// The log file.
    pub fn log_file(&self) -> Option<&FileMeta> {
        self.files.iter().find(|f| f.kind == FileKind::Log)
    }
    /// An empty database with the fixed users and roles, new GUIDs and one data and one log file.
    /// The files' physical names are left empty: the instance's default folders.
    pub fn new(name: &str, collation: &str, internal_version: u16, at: OffsetDateTime) -> Database {
        super::system::empty_database(name, collation, internal_version, at)
    }
    /// Gives the copy an identity of its own, as RESTORE does: new `database_guid`, fork and broker GUID; the family stays.
    pub fn fork(&mut self, name: &str, at: OffsetDateTime) {
        super::system::fork(self, name, at);
    }
}
