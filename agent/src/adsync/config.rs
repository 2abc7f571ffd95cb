//! The configuration part by part: what each connector holds and exports, what is filtered, which rules there are and what they
//! flow. Every table and column is looked for first; texts whose shape is not understood are kept as a digest.

use std::collections::BTreeMap;

use syncferry_shared::Millis;
use syncferry_shared::sync_config::{ConnectorConfig, PartitionConfig, PendingExports, RuleConfig, SyncConfig};
use uuid::Uuid;

use super::connectors::Connectors;
use super::counts::{RULE_TAGS, RULES};
use super::history::RUNS;
use super::owner::{element, unescape};
use super::settings::Settings;
use super::{Look, statements};
use crate::sql::errors::SqlError;
use crate::sql::rows::Row;

const SPACE: &str = "mms_connectorspace";
const PARTITIONS: &str = "mms_partition";

/// Columns of partitions that are read where they are there.
pub(super) const PARTITION_COLUMNS: &[&str] = &["ma_id", "partition_name", "is_selected", "filter_hints_xml"];

/// Columns of rules that are read where they are there.
pub(super) const RULE_COLUMNS: &[&str] = &[
    "name",
    "connector_id",
    "direction",
    "precedence",
    "is_disabled",
    "disabled",
    "immutable_tag",
    "immutabletag",
    "sync_rule_xml",
];

pub(super) async fn read(
    look: &mut Look<'_>,
    connectors: &Connectors,
    settings: &Settings,
) -> Result<SyncConfig, SqlError> {
    let last = last_runs(look).await?;
    let objects = objects(look).await?;
    let pending = pending(look).await?;
    let partitions = partitions(look).await?;
    let mut found: Vec<ConnectorConfig> = Vec::new();
    for c in &connectors.0 {
        let of = |id: Option<Uuid>| id.unwrap_or_default();
        found.push(ConnectorConfig {
            name: c.name.clone(),
            id: c.id,
            kind: c.kind.clone(),
            forest: c.forest.clone(),
            last_sync: last.get(&of(c.id)).copied(),
            objects: objects.as_ref().map(|o| o.get(&of(c.id)).copied().unwrap_or(0)),
            pending: pending.as_ref().map(|p| p.get(&of(c.id)).copied().unwrap_or_default()),
            full_import_required: c.full_import,
            full_sync_required: c.full_sync,
            attributes: c.attributes.clone(),
            partitions: partitions
                .as_ref()
                .map(|p| p.get(&of(c.id)).cloned().unwrap_or_default()),
        });
    }
    found.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let known = |id: &&Uuid| connectors.0.iter().any(|c| c.id == Some(**id));
    let stray = objects.map(|o| o.iter().filter(|(id, _)| !known(id)).map(|(_, n)| n).sum());
    Ok(SyncConfig {
        connectors: found,
        rules: rules(look, connectors).await?,
        settings: settings.configuration(),
        stray_objects: stray.filter(|n| *n > 0),
    })
}

async fn last_runs(look: &mut Look<'_>) -> Result<BTreeMap<Uuid, Millis>, SqlError> {
    if !look.finds(
        "last synchronisation per connector",
        RUNS,
        &["ma_id", "end_date", "is_run_complete"],
    ) {
        return Ok(BTreeMap::new());
    }
    let rows = look.ask(&statements::last_runs()).await?;
    Ok(rows
        .iter()
        .filter_map(|r| Some((r.guid("ma_id")?, r.utc("last_end")?)))
        .collect())
}

async fn objects(look: &mut Look<'_>) -> Result<Option<BTreeMap<Uuid, i64>>, SqlError> {
    if !look.finds("objects per connector", SPACE, &["ma_id"]) {
        return Ok(None);
    }
    let before = look.unknown.len();
    let rows = look.ask(&statements::objects()).await?;
    let objects = rows.iter().filter_map(|r| Some((r.guid("ma_id")?, r.int("objects")?)));
    // Refused is not none: a count of nothing would be believed.
    Ok((look.unknown.len() == before).then(|| objects.collect()))
}

async fn pending(look: &mut Look<'_>) -> Result<Option<BTreeMap<Uuid, PendingExports>>, SqlError> {
    if !look.finds("pending exports", SPACE, &["ma_id", "export_operation"]) {
        return Ok(None);
    }
    let before = look.unknown.len();
    let rows = look.ask(&statements::pending_exports()).await?;
    if look.unknown.len() > before {
        return Ok(None);
    }
    let mut pending: BTreeMap<Uuid, PendingExports> = BTreeMap::new();
    for row in &rows {
        if let (Some(id), Some(operation), Some(count)) =
            (row.guid("ma_id"), row.int("export_operation"), row.int("pending"))
        {
            pending.entry(id).or_default().count(operation, count);
        }
    }
    Ok(Some(pending))
}

/// The wanted columns that a table has.
fn there<'a>(look: &Look<'_>, table: &str, wanted: &[&'a str]) -> Vec<&'a str> {
    wanted.iter().copied().filter(|c| look.schema.has(table, c)).collect()
}

async fn partitions(look: &mut Look<'_>) -> Result<Option<BTreeMap<Uuid, Vec<PartitionConfig>>>, SqlError> {
    if !look.finds("partitions and filtering", PARTITIONS, &["ma_id", "partition_name"]) {
        return Ok(None);
    }
    let before = look.unknown.len();
    let rows = look
        .ask(&statements::partitions(&there(look, PARTITIONS, PARTITION_COLUMNS)))
        .await?;
    if look.unknown.len() > before {
        return Ok(None);
    }
    let mut found: BTreeMap<Uuid, Vec<PartitionConfig>> = BTreeMap::new();
    for row in &rows {
        let Some(id) = row.guid("ma_id") else { continue };
        found.entry(id).or_default().push(PartitionConfig {
            name: row.text("partition_name").unwrap_or_default(),
            selected: row.flag("is_selected"),
            filter: row.text("filter_hints_xml").map(|x| filter(&x)).unwrap_or_default(),
        });
    }
    for partitions in found.values_mut() {
        partitions.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Ok(Some(found))
}

/// The containers that a filter names. A text without any, or of another shape, is its digest.
fn filter(xml: &str) -> Vec<String> {
    let named = |tag: &str, sign: &str| -> Vec<String> {
        let texts = texts_of(xml, tag).unwrap_or_default();
        texts.into_iter().map(|t| format!("{sign} {t}")).collect()
    };
    let mut all = named("inclusion", "+");
    all.extend(named("exclusion", "-"));
    all.sort();
    let bare: String = xml.split_whitespace().collect();
    let nothing = bare.is_empty() || bare.ends_with("/>") && bare.matches('<').count() == 1;
    if all.is_empty() && !nothing {
        all.push(format!("text with BLAKE3 {}", digest(&bare)));
    }
    all
}

async fn rules(look: &mut Look<'_>, connectors: &Connectors) -> Result<Option<Vec<RuleConfig>>, SqlError> {
    if !look.finds("synchronisation rules", RULES, &["name"]) {
        return Ok(None);
    }
    let columns = there(look, RULES, RULE_COLUMNS);
    let before = look.unknown.len();
    let rows = look.ask(&statements::rules(&columns)).await?;
    if look.unknown.len() > before {
        return Ok(None);
    }
    let tag = RULE_TAGS.iter().copied().find(|t| columns.contains(t));
    let mut found: Vec<RuleConfig> = rows.iter().map(|r| rule(r, tag, connectors)).collect();
    found.sort_by(|a, b| {
        let key = |r: &RuleConfig| (r.connector.clone(), r.direction.clone(), r.precedence, r.name.clone());
        key(a).cmp(&key(b))
    });
    Ok(Some(found))
}

fn rule(row: &Row, tag: Option<&str>, connectors: &Connectors) -> RuleConfig {
    let name = row.text("name").unwrap_or_default();
    let xml = row.text("sync_rule_xml");
    RuleConfig {
        connector: row
            .guid("connector_id")
            .map(|id| connectors.name_of(Some(id)))
            .unwrap_or_default(),
        direction: row.int("direction").map(|d| match d {
            0 => "in".to_string(),
            1 => "out".to_string(),
            other => other.to_string(),
        }),
        precedence: row.int("precedence"),
        disabled: row.flag("is_disabled").or_else(|| row.flag("disabled")),
        standard: tag.map(|t| row.text(t).is_some_and(|t| !t.is_empty())),
        flows: xml.as_deref().and_then(flows),
        digest: xml.as_deref().map(|x| rule_digest(x, &name)),
        name,
    }
}

/// The text without the rule's name and precedence, which are compared by themselves.
fn rule_digest(xml: &str, name: &str) -> String {
    let precedence = element(xml, "precedence").unwrap_or_default();
    let text = xml
        .replace(&format!("<name>{name}</name>"), "")
        .replace(&format!("<precedence>{precedence}</precedence>"), "");
    digest(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// `destination <- source` of every mapping; `None` when the text has none that is understood.
fn flows(xml: &str) -> Option<Vec<String>> {
    let mut found: Vec<String> = xml
        .split("<mapping")
        .skip(1)
        .filter_map(|part| {
            let part = part.split("</mapping>").next()?;
            let to = element(part, "dest")?;
            let from = part.split_once("<src>").and_then(|(_, r)| r.split_once("</src>"));
            let from = from.map(|(inner, _)| words(inner)).filter(|f| !f.is_empty());
            let kind = part
                .split('>')
                .next()
                .and_then(|head| super::owner::attribute(head, "flow-type"));
            let kind = kind.filter(|k| !k.eq_ignore_ascii_case("Direct"));
            Some(format!(
                "{to} <- {}{}",
                from.unwrap_or_else(|| "?".to_string()),
                kind.map(|k| format!(" ({k})")).unwrap_or_default()
            ))
        })
        .collect();
    found.sort();
    (!found.is_empty()).then_some(found)
}

/// The text between tags, one space between pieces.
fn words(xml: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in xml.chars() {
        match c {
            '<' => {
                inside = true;
                text.push(' ');
            }
            '>' => inside = false,
            c if !inside => text.push(c),
            _ => {}
        }
    }
    unescape(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The texts of every element of a name, sorted; `None` when there is none.
pub(super) fn texts_of(xml: &str, name: &str) -> Option<Vec<String>> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut found: Vec<String> = xml
        .split(open.as_str())
        .skip(1)
        .filter_map(|part| Some(unescape(part.split_once(close.as_str())?.0.trim())))
        .filter(|t| !t.is_empty())
        .collect();
    found.sort();
    found.dedup();
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn flows_are_read_in_the_order_of_their_destinations() {
        let xml = "<synchronizationRule><name>R</name><precedence>90</precedence><attribute-mappings>\
            <mapping flow-type=\"Expression\"><dest>sn</dest><src>Trim([sn])</src></mapping>\
            <mapping flow-type=\"Direct\" merge-type=\"Update\"><dest>mail</dest><src><attr>mail</attr></src></mapping>\
            </attribute-mappings></synchronizationRule>";
        assert_eq!(flows(xml).unwrap(), ["mail <- mail", "sn <- Trim([sn]) (Expression)"]);
        assert_eq!(flows("<x/>"), None);
        let other = xml.replace("<precedence>90</precedence>", "<precedence>91</precedence>");
        assert_eq!(rule_digest(xml, "R"), rule_digest(&other, "R"));
        assert_ne!(rule_digest(xml, "R"), rule_digest(&xml.replace("Trim", "Left"), "R"));
    }

    #[test]
    fn filters_are_containers_or_a_digest() {
        assert!(filter("<filter-hints/>").is_empty() && filter(" ").is_empty());
        let xml = "<filter><inclusions><inclusion>OU=People,DC=a</inclusion></inclusions><exclusions><exclusion>OU=Old,DC=a</exclusion></exclusions></filter>";
        assert_eq!(filter(xml), ["+ OU=People,DC=a", "- OU=Old,DC=a"]);
        assert!(filter("<f><x>1</x></f>")[0].starts_with("text with BLAKE3 "));
    }

    proptest! {
        #[test]
        fn any_text_is_read(xml in "[<>/='\"a-z _&;é]{0,200}", name in "[a-z<]{0,8}") {
            let _ = (flows(&xml), filter(&xml), rule_digest(&xml, &name), texts_of(&xml, "attribute"));
        }
    }
}
