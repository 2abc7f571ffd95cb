//! Synchronisation rules: Connect's standard ones and custom ones (no immutable tag, precedence below 100).

use time::Duration;

use super::AdSync;
use super::build::{Tables, bit, date, guid, int, text};
use super::connectors::Connector;
use super::dice::Dice;
use crate::storage::Table;
use crate::types::Value;

/// Rules each AD connector has.
const IN_FROM_AD: [(&str, &str); 14] = [
    ("In from AD - User Join", "user"),
    ("In from AD - InetOrgPerson Join", "inetOrgPerson"),
    ("In from AD - User AccountEnabled", "user"),
    ("In from AD - InetOrgPerson AccountEnabled", "inetOrgPerson"),
    ("In from AD - User Common from Exchange", "user"),
    ("In from AD - InetOrgPerson Common from Exchange", "inetOrgPerson"),
    ("In from AD - User Common", "user"),
    ("In from AD - InetOrgPerson Common", "inetOrgPerson"),
    ("In from AD - User Exchange", "user"),
    ("In from AD - Group Join", "group"),
    ("In from AD - Group Exchange", "group"),
    ("In from AD - Group Common", "group"),
    ("In from AD - Contact Join", "contact"),
    ("In from AD - Computer Join", "computer"),
];
/// Rules the Entra connector has.
const ENTRA: [(&str, &str, bool); 8] = [
    ("In from AAD - User Join", "user", true),
    ("In from AAD - Group Join", "group", true),
    ("In from AAD - Device Common", "device", true),
    ("Out to AAD - User Join", "user", false),
    ("Out to AAD - User Identity", "user", false),
    ("Out to AAD - User ExchangeOnline", "user", false),
    ("Out to AAD - Group Join", "group", false),
    ("Out to AAD - Device Join", "device", false),
];
/// The first precedence of standard rules.
const STANDARD: i64 = 100;

pub(crate) fn table(tables: &mut Tables, spec: &AdSync, connectors: &[Connector], dice: &mut Dice) -> Table {
    let mut table = tables.table(
        "mms_synchronization_rule",
        1,
        "sync_rule_id guid!, internal_id guid!, name name!, description text, connector_id guid!, direction tinyint!, \
         source_object_type code, target_object_type code, link_type code, precedence int!, immutable_tag name, \
         is_disabled bit!, password_sync_enabled bit!, version_number int!, sync_rule_xml text, creation_date date, \
         modification_date date",
    );
    let mut rules: Vec<(String, &str, &Connector, bool, bool)> = Vec::new();
    let ad = connectors.iter().filter(|c| !c.is_entra());
    for index in 0..spec.custom_rules {
        if let Some(connector) = ad.clone().next() {
            let name = format!("{} - In from AD - User custom {}", spec.tenant, index + 1);
            rules.push((name, "user", connector, true, false));
        }
    }
    for connector in ad {
        rules.extend(
            IN_FROM_AD
                .iter()
                .map(|(name, kind)| ((*name).to_string(), *kind, connector, true, true)),
        );
    }
    for connector in connectors.iter().filter(|c| c.is_entra()) {
        rules.extend(
            ENTRA
                .iter()
                .map(|(name, kind, inbound)| ((*name).to_string(), *kind, connector, *inbound, true)),
        );
    }
    for (index, (name, kind, connector, inbound, standard)) in rules.into_iter().enumerate() {
        let custom_rules = spec.custom_rules as i64;
        let precedence = STANDARD - custom_rules + index as i64;
        let tag = format!("Microsoft.{}.{:03}", name.replace([' ', '-'], ""), 1 + index % 9);
        let target = if kind == "user" || kind == "inetOrgPerson" {
            "person"
        } else {
            kind
        };
        let (source, target) = if inbound { (kind, target) } else { (target, kind) };
        let xml = rule_xml(&name, precedence);
        table.rows.push(vec![
            guid(dice.guid()),
            guid(dice.guid()),
            text(name),
            Value::Null,
            guid(connector.id),
            int(i64::from(!inbound)),
            text(source),
            text(target),
            text(if precedence % 2 == 0 { "Join" } else { "Provision" }),
            int(precedence),
            if standard { text(tag) } else { Value::Null },
            bit(false),
            bit(false),
            int(1),
            text(xml),
            date(spec.now - Duration::days(900)),
            date(spec.now - Duration::days(60)),
        ]);
    }
    table
}

fn rule_xml(name: &str, precedence: i64) -> String {
    let flows: String = [
        "displayName",
        "mail",
        "givenName",
        "sn",
        "department",
        "title",
        "telephoneNumber",
        "company",
    ]
    .iter()
    .map(|a| {
        format!(
            "<mapping flow-type=\"Direct\" merge-type=\"Update\"><dest>{a}</dest><src><attr>{a}</attr></src>\
                 <execute-once>false</execute-once></mapping>"
        )
    })
    .collect();
    format!(
        "<synchronizationRule><name>{name}</name><precedence>{precedence}</precedence>\
         <attribute-mappings>{flows}</attribute-mappings></synchronizationRule>"
    )
}
