//! CREATE PROCEDURE: checked when it is created, stored as text, parsed again when it runs.

use crate::engine::ast::{CreateProcedure, Kind, ProcedureParam};
use crate::engine::errors::{Result, err};
use crate::engine::interpreter::{Outcome, Run};
use crate::engine::locks::{Mode, Part, Resource};
use crate::engine::output::command;
use crate::engine::parser::{Context, parse_batch};
use crate::engine::session::Session;
use crate::storage::Procedure;

/// A stored definition as a tree.
pub(crate) fn parse(definition: &str) -> Result<CreateProcedure> {
    let context = Context {
        quoted_identifiers: true,
        ..Context::default()
    };
    let statements = parse_batch(definition, &context)?;
    for statement in statements {
        if let Kind::CreateProcedure(create) = statement.kind {
            return Ok(create);
        }
    }
    Err(err!(102, definition.chars().take(20).collect::<String>()))
}

/// The parameters of a stored definition.
pub(crate) fn parameters(definition: &str) -> Result<Vec<ProcedureParam>> {
    Ok(parse(definition)?.params)
}

impl Session {
    pub(super) async fn create_procedure(&mut self, create: &CreateProcedure) -> Run<Outcome> {
        let handle = self.database_of(&create.name)?;
        self.writable(&handle)?;
        let database = self.view(&handle);
        if !self.may(&database, handle.id, "CREATE PROCEDURE", None) {
            return Err(err!(262, "CREATE PROCEDURE", database.meta.name).into());
        }
        self.lock(Resource::Part(handle.id, Part::Schema), Mode::Exclusive)
            .await?;
        let database = self.view(&handle);
        let (schema, name) = (create.name.schema().unwrap_or("dbo"), create.name.object());
        let existing = database.procedure(schema, name).map(|p| p.object_id);
        match existing {
            Some(_) if !create.or_alter && !create.alter => return Err(err!(2714, name).into()),
            None if create.alter => return Err(err!(208, create.name).into()),
            _ => {}
        }
        if database.table(schema, name).is_some() {
            return Err(err!(2714, name).into());
        }
        let mut procedures = database.procedures.clone();
        procedures.retain(|p| Some(p.object_id) != existing);
        procedures.push(Procedure {
            object_id: existing.unwrap_or_else(|| database.next_object_id()),
            schema: schema.to_owned(),
            name: name.to_owned(),
            definition: create.text.clone(),
            create_date: self.inst.now(),
        });
        self.transaction.work(handle.id).put_procedures(procedures);
        Ok(Outcome::Done(None, command::OTHER))
    }
}
