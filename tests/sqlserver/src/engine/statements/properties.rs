//! Extended properties: the marks that a database carries, also in its backups.

use crate::engine::errors::{Result, err};
use crate::engine::interpreter::Run;
use crate::engine::locks::{Mode, Part, Resource};
use crate::engine::session::Session;
use crate::storage::ExtendedProperty;
use crate::types::Value;

/// What a property belongs to.
#[derive(Debug, Clone, Default)]
pub(crate) struct PropertyTarget {
    /// `@level0name`: a schema.
    pub schema: Option<String>,
    /// `@level1name`: an object of it.
    pub object: Option<String>,
}

/// What becomes of a property.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PropertyChange {
    /// `sp_addextendedproperty`.
    Add(Value),
    /// `sp_updateextendedproperty`.
    Update(Value),
    /// `sp_dropextendedproperty`.
    Drop,
}

impl Session {
    /// Adds, changes or drops a property in the current database: 15233, 15217, 15135.
    pub(in crate::engine) async fn change_property(
        &mut self,
        name: &str,
        change: PropertyChange,
        target: &PropertyTarget,
    ) -> Run<()> {
        let handle = self.handle()?;
        self.writable(&handle)?;
        let database = self.view(&handle);
        // ALTER on the database is enough for its own properties.
        let may = self.may_alter(&database, handle.id) || self.may(&database, handle.id, "ALTER", None);
        if !may {
            return Err(err!(15_247).into());
        }
        self.lock(Resource::Part(handle.id, Part::Properties), Mode::Exclusive)
            .await?;
        let database = self.view(&handle);
        let object_id = self.property_object(target)?;
        let shown = target.object.clone().map_or_else(
            || "object specified".to_owned(),
            |o| format!("{}.{o}", target.schema.clone().unwrap_or_default()),
        );
        let mut properties = database.extended_properties.clone();
        let at = properties
            .iter()
            .position(|p| p.object_id == object_id && p.name.eq_ignore_ascii_case(name));
        match (change, at) {
            (PropertyChange::Add(_), Some(_)) => return Err(err!(15_233, name, shown).into()),
            (PropertyChange::Add(value), None) => properties.push(ExtendedProperty {
                object_id,
                name: name.to_owned(),
                value: sized(value)?,
            }),
            (_, None) => return Err(err!(15_217, name, shown).into()),
            (PropertyChange::Update(value), Some(at)) => properties[at].value = sized(value)?,
            (PropertyChange::Drop, Some(at)) => drop(properties.remove(at)),
        }
        self.transaction.work(handle.id).put_properties(properties);
        Ok(())
    }

    fn property_object(&self, target: &PropertyTarget) -> Result<Option<i32>> {
        let Some(object) = &target.object else { return Ok(None) };
        let schema = target.schema.as_deref().unwrap_or("dbo");
        let database = self.current()?;
        let found = database
            .table(schema, object)
            .map(|t| t.object_id)
            .or_else(|| database.procedure(schema, object).map(|p| p.object_id));
        found
            .map(Some)
            .ok_or_else(|| err!(15_135, format!("{schema}.{object}")))
    }
}

/// A sql_variant holds 7,500 bytes here.
fn sized(value: Value) -> Result<Value> {
    let bytes = match &value {
        Value::Str(s) => s.encode_utf16().count() * 2,
        Value::Bytes(b) => b.len(),
        _ => 0,
    };
    if bytes > 7500 {
        let text = "The size associated with an extended property cannot be more than 7,500 bytes.";
        return Err(crate::engine::errors::raw_error(15_097, 16, 1, text.to_owned()));
    }
    Ok(value)
}
