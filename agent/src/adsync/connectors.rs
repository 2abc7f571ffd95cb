//! The connectors: their names, the forests behind them, and the server that used the database last.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::config::texts_of;
use super::owner::{element, last_owner};
use super::{Look, schema, statements};
use crate::sql::errors::SqlError;
use crate::sql::rows::Row;

/// The columns that are read where they are there. None of them holds a secret; the XML names accounts and is not kept.
pub(super) const COLUMNS: &[&str] = &[
    "ma_id",
    "ma_name",
    "ma_type",
    "subtype",
    "full_import_required",
    "full_sync_required",
    "attribute_inclusion_xml",
    "private_configuration_xml",
];

const ENTRA_SUBTYPE: &str = "Windows Azure Active Directory (Microsoft)";
/// The Entra connector has the same id everywhere.
const ENTRA_ID: Uuid = Uuid::from_u128(0xb891884f_051e_4a83_95af_2544101c9083);

/// One connector, without what its configuration says beyond this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connector {
    pub(super) id: Option<Uuid>,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) forest: Option<String>,
    owner: Option<String>,
    pub(super) full_import: Option<bool>,
    pub(super) full_sync: Option<bool>,
    pub(super) attributes: Option<Vec<String>>,
}

/// All connectors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Connectors(pub(super) Vec<Connector>);

pub(super) async fn read(look: &mut Look<'_>) -> Result<Connectors, SqlError> {
    let there: Vec<&str> = COLUMNS
        .iter()
        .copied()
        .filter(|c| look.schema.has(schema::AGENTS, c))
        .collect();
    if there.is_empty() {
        return Ok(Connectors::default());
    }
    let rows = look.ask(&statements::connectors(&there)).await?;
    Ok(Connectors(rows.iter().map(Connector::read).collect()))
}

impl Connector {
    fn read(row: &Row) -> Self {
        let id = row.guid("ma_id");
        let is_entra = id == Some(ENTRA_ID) || row.text("subtype").as_deref() == Some(ENTRA_SUBTYPE);
        let is_ad = row.text("ma_type").is_some_and(|t| t.eq_ignore_ascii_case("AD"));
        let xml = row.text("private_configuration_xml").unwrap_or_default();
        let name = row.text("ma_name").unwrap_or_default();
        let forest = is_ad.then(|| element(&xml, "forest-name").unwrap_or_else(|| name.clone()));
        let kind = if is_entra {
            "Entra".to_string()
        } else if is_ad {
            "AD".to_string()
        } else {
            row.text("ma_type").unwrap_or_else(|| "unknown".to_string())
        };
        Self {
            forest: forest.filter(|f| !f.is_empty()),
            owner: if is_entra { last_owner(&xml) } else { None },
            kind,
            full_import: row.flag("full_import_required"),
            full_sync: row.flag("full_sync_required"),
            attributes: row
                .text("attribute_inclusion_xml")
                .and_then(|x| texts_of(&x, "attribute")),
            id,
            name,
        }
    }
}

impl Connectors {
    /// Names, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.iter().map(|c| c.name.clone()).collect();
        names.sort();
        names
    }
    pub(super) fn forests(&self) -> Vec<String> {
        let forests: BTreeSet<String> = self.0.iter().filter_map(|c| c.forest.clone()).collect();
        forests.into_iter().collect()
    }
    pub(super) fn last_owner(&self) -> Option<String> {
        self.0.iter().find_map(|c| c.owner.clone())
    }
    pub(super) fn full_run_required(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .0
            .iter()
            .filter(|c| c.full_import == Some(true) || c.full_sync == Some(true))
            .map(|c| c.name.clone())
            .collect();
        names.sort();
        names
    }
    pub(super) fn name_of(&self, id: Option<Uuid>) -> String {
        let known = self.0.iter().find(|c| id.is_some() && c.id == id);
        match (known, id) {
            (Some(connector), _) => connector.name.clone(),
            (None, Some(id)) => id.to_string(),
            (None, None) => "unknown".to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::rows::ResultSet;
    use crate::sql::value::Value;

    fn text(t: &str) -> Value {
        Value::Text(t.into())
    }

    #[test]
    fn forests_owner_and_flags() {
        let ad = "<adma-configuration><forest-name>contoso.com</forest-name><forest-login-user>svc</forest-login-user></adma-configuration>";
        let entra = "<MAConfig><parameter-values><parameter name=\"UserName\" type=\"string\">Sync_OLD01_1a2b3c4d5e6f@contoso.onmicrosoft.com</parameter></parameter-values></MAConfig>";
        let columns = [
            "ma_id",
            "ma_name",
            "ma_type",
            "subtype",
            "full_sync_required",
            "private_configuration_xml",
        ];
        let rows = vec![
            vec![
                Value::Guid(Uuid::from_u128(1)),
                text("contoso.com"),
                text("AD"),
                Value::Null,
                Value::Bool(true),
                text(ad),
            ],
            vec![
                Value::Guid(ENTRA_ID),
                text("contoso - AAD"),
                text("Extensible2"),
                Value::Null,
                Value::Bool(false),
                text(entra),
            ],
        ];
        let set = ResultSet::new(columns, rows);
        let connectors = Connectors(set.rows().iter().map(Connector::read).collect());
        assert_eq!(connectors.forests(), ["contoso.com"]);
        assert_eq!(connectors.last_owner().as_deref(), Some("OLD01"));
        assert_eq!(connectors.full_run_required(), ["contoso.com"]);
        assert_eq!(connectors.names(), ["contoso - AAD", "contoso.com"]);
        assert_eq!(connectors.name_of(Some(ENTRA_ID)), "contoso - AAD");
        assert!(!format!("{connectors:?}").contains("svc"));
    }

    #[test]
    fn missing_columns_are_unknown() {
        let set = ResultSet::new(["ma_name"], vec![vec![text("x")]]);
        let connectors = Connectors(set.rows().iter().map(Connector::read).collect());
        assert_eq!(connectors.names(), ["x"]);
        assert!(connectors.forests().is_empty() && connectors.last_owner().is_none());
    }
}
