//! A transaction's private changes. Others see them when it commits; a rollback forgets them.
//!
//! What is changed is locked until the end (see `locks`), so that publishing never overwrites somebody else's change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::errors::Result;
use super::instance::{Handle, Inner};
use crate::storage::{Database, DatabasePermission, DatabasePrincipal, ExtendedProperty, Procedure, Table};

/// The changed parts of one database.
#[derive(Debug, Clone, Default)]
pub(super) struct Work {
    /// By object id; None was dropped.
    tables: BTreeMap<i32, Option<Arc<Table>>>,
    procedures: Option<Vec<Procedure>>,
    principals: Option<Vec<DatabasePrincipal>>,
    permissions: Option<Vec<DatabasePermission>>,
    properties: Option<Vec<ExtendedProperty>>,
}

impl Work {
    fn apply(&self, database: &mut Database) {
        for (id, table) in &self.tables {
            let at = database.tables.iter().position(|t| t.object_id == *id);
            match (at, table) {
                (Some(at), Some(table)) => database.tables[at] = Arc::clone(table),
                (None, Some(table)) => database.tables.push(Arc::clone(table)),
                (Some(at), None) => drop(database.tables.remove(at)),
                (None, None) => {}
            }
        }
        if let Some(procedures) = &self.procedures {
            database.procedures.clone_from(procedures);
        }
        if let Some(principals) = &self.principals {
            database.principals.clone_from(principals);
        }
        if let Some(permissions) = &self.permissions {
            database.permissions.clone_from(permissions);
        }
        if let Some(properties) = &self.properties {
            database.extended_properties.clone_from(properties);
        }
    }

    /// Puts a table in place.
    pub(super) fn put_table(&mut self, table: Table) {
        self.tables.insert(table.object_id, Some(Arc::new(table)));
    }

    /// Drops a table.
    pub(super) fn drop_table(&mut self, object_id: i32) {
        self.tables.insert(object_id, None);
    }

    /// Replaces the procedures.
    pub(super) fn put_procedures(&mut self, procedures: Vec<Procedure>) {
        self.procedures = Some(procedures);
    }

    /// Replaces the users and roles.
    pub(super) fn put_principals(&mut self, principals: Vec<DatabasePrincipal>) {
        self.principals = Some(principals);
    }

    /// Replaces the permissions.
    pub(super) fn put_permissions(&mut self, permissions: Vec<DatabasePermission>) {
        self.permissions = Some(permissions);
    }

    /// Replaces the extended properties.
    pub(super) fn put_properties(&mut self, properties: Vec<ExtendedProperty>) {
        self.properties = Some(properties);
    }
}

/// A session's transaction.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// `@@TRANCOUNT`.
    pub count: i32,
    /// Its descriptor on the wire; 0 when there is none.
    pub descriptor: u64,
    /// Its name.
    pub name: String,
    /// `XACT_STATE() = -1`.
    pub doomed: bool,
    work: HashMap<i32, Work>,
    savepoints: Vec<(String, HashMap<i32, Work>)>,
}

impl Transaction {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Transaction::default();
    }

    /// The databases it has written to.
    pub(super) fn written(&self) -> Vec<i32> {
        self.work.keys().copied().collect()
    }

    /// The changes to one database, to be added to.
    pub(super) fn work(&mut self, database_id: i32) -> &mut Work {
        self.work.entry(database_id).or_default()
    }

    /// The changes so far: a failed statement puts them back.
    pub(super) fn mark(&self) -> HashMap<i32, Work> {
        self.work.clone()
    }

    /// Goes back to a mark.
    pub(super) fn back_to(&mut self, mark: HashMap<i32, Work>) {
        self.work = mark;
    }

    /// A database with this transaction's changes.
    pub(super) fn view(&self, handle: &Handle) -> Arc<Database> {
        let committed = handle.database();
        match self.work.get(&handle.id) {
            None => committed,
            Some(work) => {
                let mut database = (*committed).clone();
                work.apply(&mut database);
                Arc::new(database)
            }
        }
    }

    /// `SAVE TRAN`.
    pub(super) fn save(&mut self, name: &str) {
        self.savepoints.push((name.to_lowercase(), self.work.clone()));
    }

    /// `ROLLBACK TRAN savepoint`. False when there is none of that name.
    pub(super) fn rollback_to(&mut self, name: &str) -> bool {
        let Some(at) = self.savepoints.iter().rposition(|s| s.0 == name.to_lowercase()) else {
            return false;
        };
        self.work = self.savepoints[at].1.clone();
        self.savepoints.truncate(at + 1);
        true
    }

    /// Publishes the changes: on return they are on disk.
    pub(super) fn publish(&mut self, inst: &Inner) -> Result<()> {
        let mut work: Vec<(i32, Work)> = self.work.drain().collect();
        work.sort_by_key(|w| w.0);
        for (id, changes) in work {
            if let Some(handle) = inst.handle(id) {
                inst.change(&handle, |database| changes.apply(database))?;
            }
        }
        Ok(())
    }
}
