//! SELECT: to the client, into variables, into a new table.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::ast::{Body, Query};
use crate::engine::errors::{Result, SqlError, err};
use crate::engine::interpreter::{Outcome, Run};
use crate::engine::locks::{Mode, Outcome as Locked, Owner, Request, Resource};
use crate::engine::output::{Out, command};
use crate::engine::query::bind::{Binder, Used};
use crate::engine::query::{Plan, Rows};
use crate::engine::session::Session;
use crate::types::Value;

impl Session {
    pub(super) async fn select(&mut self, out: &mut Out<'_>, query: &Query) -> Run<Outcome> {
        let (plan, used) = self.bind_query(query)?;
        let plan = if self.wait_for_writers(&used).await? {
            self.bind_query(query)?.0
        } else {
            plan
        };
        self.begin_implicit(out, !used.is_empty()).await?;
        if !plan.shape.assigns().is_empty() {
            return Ok(self.assign_from(&plan)?);
        }
        if let Body::Select(select) = &query.body
            && let Some(into) = &select.into
        {
            let Rows { rows } = self.run_plan(&plan)?;
            return self.select_into(into, &plan.columns, rows).await;
        }
        let mut rows = if self.options.fmtonly {
            Vec::new()
        } else {
            self.run_plan(&plan)?.rows
        };
        if self.options.rowcount > 0 {
            rows.truncate(usize::try_from(self.options.rowcount).unwrap_or(usize::MAX));
        }
        let count = out.rows(plan.columns, rows).await?;
        Ok(Outcome::Done(Some(count), command::SELECT))
    }

    pub(super) fn bind_query(&self, query: &Query) -> Result<(Plan, Vec<Used>)> {
        let binder = Binder::new(self);
        let plan = binder.query(query, None)?;
        Ok((plan, binder.used.into_inner()))
    }

    /// Waits until nobody else's transaction holds a table that is read. Says whether it had to wait.
    pub(super) async fn wait_for_writers(&self, used: &[Used]) -> Run<bool> {
        if self.options.isolation == 1 || self.options.isolation == 5 {
            return Ok(false);
        }
        let mut waited = false;
        for table in used.iter().filter(|t| !t.dirty) {
            let snapshot = self
                .inst
                .handle(table.database_id)
                .is_some_and(|h| h.database().meta.is_read_committed_snapshot_on);
            let resource = Resource::Table(table.database_id, table.object_id);
            if snapshot || self.inst.locks.would_grant(self.info.spid, &resource, Mode::Shared) {
                continue;
            }
            waited = true;
            // A reader keeps no lock under READ COMMITTED.
            self.lock(resource.clone(), Mode::IntentShared).await?;
            self.inst.locks.release(self.info.spid, &resource, Owner::Transaction);
        }
        Ok(waited)
    }

    /// Takes a lock for the transaction, within LOCK_TIMEOUT: 1222, 1205.
    pub(super) async fn lock(&self, resource: Resource, mode: Mode) -> Result<()> {
        let timeout = u64::try_from(self.options.lock_timeout).ok().map(Duration::from_millis);
        let request = Request {
            session: self.info.spid,
            resource,
            mode,
            owner: Owner::Transaction,
            timeout,
        };
        match self.inst.locks.acquire(request, &self.info.cancel).await {
            Locked::Granted | Locked::GrantedAfterWait => Ok(()),
            Locked::Timeout => Err(err!(1222)),
            Locked::Cancelled => Err(SqlError::cancelled()),
            Locked::Deadlock => Err(err!(1205, self.info.spid)),
        }
    }

    /// The last row counts; without one the variables keep their values.
    fn assign_from(&mut self, plan: &Plan) -> Result<Outcome> {
        let Rows { rows } = self.run_plan(plan)?;
        if let Some(last) = rows.last() {
            for ((name, ty), value) in plan.shape.assigns().iter().zip(last) {
                self.declare(name, ty.clone(), value.clone());
            }
        }
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        Ok(Outcome::Done(Some(count), command::SELECT))
    }

    async fn select_into(
        &mut self,
        name: &crate::engine::ast::Name,
        columns: &[crate::types::Column],
        rows: Vec<Vec<Value>>,
    ) -> Run<Outcome> {
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let mut defined = Vec::new();
        for (i, column) in columns.iter().enumerate() {
            if column.name.is_empty() {
                return Err(err!(8155, i + 1, name).into());
            }
            defined.push(crate::storage::ColumnDef {
                nullable: column.nullable,
                ..crate::storage::ColumnDef::null(&column.name, column.ty.clone())
            });
        }
        self.add_table(name, |id, schema, object, at| {
            let mut table = crate::storage::Table::new(id, schema, object, defined, at);
            table.rows = rows;
            Ok(table)
        })
        .await?;
        Ok(Outcome::Done(Some(count), command::SELECT))
    }

    /// Changes the table behind a temporary name.
    pub(super) fn put_temp(&mut self, table: crate::storage::Table) {
        self.temp.insert(table.name.to_lowercase(), Arc::new(table));
    }
}
