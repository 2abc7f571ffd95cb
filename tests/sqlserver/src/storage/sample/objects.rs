//! Connector spaces, metaverse, links, multi-valued attributes and lineage.

use std::fmt::Write;

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::AdSync;
use super::build::{Tables, bit, bytes, date, guid, int, text};
use super::connectors::Connector;
use super::dice::Dice;
use super::people::Person;
use crate::storage::{Row, Table};
use crate::types::Value;

/// Rows a person takes: two connector-space objects, two links, the metaverse object, its proxyAddresses and the two
/// lineage rows; one in four has a manager (two links more).
const ROWS_PER_PERSON: f64 = 8.5;

pub(crate) fn people(spec: &AdSync, dice: &mut Dice) -> Vec<Person> {
    // The number of rows is "about": rounding does not matter.
    let count = (spec.objects as f64 / ROWS_PER_PERSON).ceil() as usize;
    let forests = spec.forests.len().max(1);
    let forest = |index: usize| {
        spec.forests
            .get(index % forests)
            .map_or("corp.contoso.com", String::as_str)
    };
    (0..count)
        .map(|index| Person::new(dice, index, index % forests, forest(index)))
        .collect()
}

/// What waits to be exported of the object at a place: updates first, then adds, then deletes.
fn operation(spec: &AdSync, index: usize) -> i64 {
    let updates = spec.pending_exports;
    let adds = updates + spec.pending_adds;
    let deletes = adds + spec.pending_deletes;
    match index {
        i if i < updates => 2,
        i if i < adds => 1,
        i if i < deletes => 4,
        _ => 0,
    }
}

/// The object tables, filled.
pub(crate) fn tables(
    tables: &mut Tables,
    spec: &AdSync,
    connectors: &[Connector],
    people: &[Person],
    dice: &mut Dice,
) -> Vec<Table> {
    let mut all = empty(tables);
    let last_sync = spec.now - spec.last_sync_age.unwrap_or(Duration::days(30));
    let entra = connectors.iter().find(|c| c.is_entra()).map_or(Uuid::nil(), |c| c.id);
    let [space, csmv, metaverse, multivalue, dates, guids, mv_link, cs_link] = &mut all;
    for (index, person) in people.iter().enumerate() {
        let ad = connectors.get(person.forest).map_or(Uuid::nil(), |c| c.id);
        let seen = last_sync - Duration::minutes(30 * dice.below(48 * 60) as i64);
        let hologram = ad_hologram(person, dice);
        space.rows.push(connector_space(
            person.ad_cs_id,
            ad,
            &person.dn,
            &person.object_guid.to_bytes_le(),
            &hologram,
            seen,
            0,
        ));
        let hologram = entra_hologram(person, dice);
        let anchor = format!("User_{}", person.mv_id);
        let operation = operation(spec, index);
        space.rows.push(connector_space(
            person.entra_cs_id,
            entra,
            &person.entra_rdn(),
            anchor.as_bytes(),
            &hologram,
            seen,
            operation,
        ));
        csmv.rows
            .push(vec![guid(person.ad_cs_id), guid(person.mv_id), date(seen)]);
        csmv.rows
            .push(vec![guid(person.entra_cs_id), guid(person.mv_id), date(seen)]);
        metaverse.rows.push(metaverse_row(person, spec, seen));
        multivalue.rows.push(vec![
            guid(person.mv_id),
            text("proxyAddresses"),
            text(format!("SMTP:{}", person.mail)),
            Value::Null,
            Value::Null,
        ]);
        dates
            .rows
            .push(vec![guid(person.mv_id), date(seen), date(seen), date(seen), date(seen)]);
        guids
            .rows
            .push(vec![guid(person.mv_id), guid(ad), guid(ad), guid(ad), guid(ad)]);
        if index % 4 == 1 {
            let manager = &people[index / 4];
            mv_link
                .rows
                .push(vec![guid(person.mv_id), text("manager"), guid(manager.mv_id)]);
            cs_link.rows.push(vec![
                guid(person.ad_cs_id),
                text("manager"),
                guid(manager.ad_cs_id),
                text(&manager.dn),
            ]);
        }
    }
    all.into()
}

fn empty(tables: &mut Tables) -> [Table; 8] {
    [
        tables.table(
            "mms_connectorspace",
            1,
            "object_id guid!, ma_id guid!, rdn name!, pobject_id guid, depth int, anchor key, object_type code, \
             is_connector bit!, connector_state tinyint, is_obsoletion bit!, is_seen_by_import bit!, \
             is_rebuild_in_progress bit!, import_operation tinyint!, is_import_error bit!, import_error_code int, \
             export_operation tinyint!, is_export_error bit!, export_error_code int, export_error_detail text, \
             count_export_error_retries int, is_pending_export bit!, hologram text, pending_import text, \
             unapplied_export text, last_import_modification_date date, last_export_modification_date date, \
             mms_timestamp stamp",
        ),
        tables.table("mms_csmv_link", 2, "cs_object_id guid!, mv_object_id guid!, lineage_date date"),
        tables.table(
            "mms_metaverse",
            1,
            "object_id guid!, object_type code!, last_modification_date date, accountName name, accountEnabled bit, \
             c code, city name, cloudAnchor name, cloudSourceAnchor name, co name, company name, countryCode int, \
             department name, description text, displayName name, distinguishedName text, domainFQDN name, \
             domainNetBios code, employeeID name, employeeType name, facsimileTelephoneNumber name, forestFQDN name, \
             forestNetBios code, givenName name, mail name, mailNickname name, mobile name, objectSid key, \
             onPremisesObjectIdentifier name, physicalDeliveryOfficeName name, postalCode code, preferredLanguage code, \
             pwdLastSet bigint, sn name, sourceAnchor name, sourceAnchorBinary key, streetAddress text, \
             telephoneNumber name, title name, usageLocation code, userPrincipalName name, userType code, whenCreated date",
        ),
        tables.table(
            "mms_metaverse_multivalue",
            0,
            "object_id guid!, attribute_name code!, string_value_indexable name, string_value_not_indexable text, \
             binary_value_not_indexable binary",
        ),
        tables.table(
            "mms_metaverse_lineagedate",
            1,
            "object_id guid!, displayName date, mail date, userPrincipalName date, accountEnabled date",
        ),
        tables.table(
            "mms_metaverse_lineageguid",
            1,
            "object_id guid!, displayName guid, mail guid, userPrincipalName guid, accountEnabled guid",
        ),
        tables.table("mms_mv_link", 0, "object_id guid!, attribute_name code!, reference_id guid!"),
        tables.table("mms_cs_link", 0, "object_id guid!, attribute_name code!, reference_id guid, reference_dn text"),
    ]
}

fn connector_space(
    id: Uuid,
    ma_id: Uuid,
    rdn: &str,
    anchor: &[u8],
    hologram: &str,
    seen: OffsetDateTime,
    export_operation: i64,
) -> Row {
    let pending = export_operation != 0;
    let unapplied = "<delta operation=\"update\"><attr name=\"title\" operation=\"update\" type=\"string\"/></delta>";
    vec![
        guid(id),
        guid(ma_id),
        text(rdn),
        Value::Null,
        int(4),
        bytes(anchor),
        text("user"),
        bit(true),
        int(1),
        bit(false),
        bit(true),
        bit(false),
        int(0),
        bit(false),
        Value::Null,
        int(export_operation),
        bit(false),
        Value::Null,
        Value::Null,
        int(0),
        bit(pending),
        text(hologram),
        Value::Null,
        if pending { text(unapplied) } else { Value::Null },
        date(seen),
        if pending {
            Value::Null
        } else {
            date(seen + Duration::seconds(95))
        },
        bytes(&seen.unix_timestamp().to_be_bytes()),
    ]
}

fn metaverse_row(person: &Person, spec: &AdSync, seen: OffsetDateTime) -> Row {
    let forest = spec.forests.get(person.forest).map_or("", String::as_str);
    let net_bios = forest.split('.').next().unwrap_or_default().to_uppercase();
    let (city, country, postal_code) = person.city;
    let name = || Value::Str(person.display_name.clone());
    let mail = || Value::Str(person.mail.clone());
    vec![
        guid(person.mv_id),
        text("person"),
        date(seen),
        text(&person.account),
        bit(person.enabled),
        text(country),
        text(city),
        text(format!("User_{}", person.mv_id)),
        text(&person.anchor),
        text(country),
        text("Contoso"),
        int(276),
        text(person.department),
        Value::Null,
        name(),
        text(&person.dn),
        text(forest),
        text(&net_bios),
        text(&person.employee_id),
        text("Employee"),
        Value::Null,
        text(forest),
        text(net_bios),
        text(person.given),
        mail(),
        text(&person.account),
        Value::Null,
        bytes(&person.sid),
        text(person.object_guid.to_string()),
        text(city),
        text(postal_code),
        text("en-US"),
        int(133_500_000_000_000_000i64 + seen.unix_timestamp()),
        text(person.surname),
        text(&person.anchor),
        bytes(&person.object_guid.to_bytes_le()),
        Value::Null,
        text(&person.phone),
        text(person.title),
        text(country),
        mail(),
        text("Member"),
        date(seen - Duration::days(400)),
    ]
}

/// What the AD connector last saw. Certificate and photo make the bulk, as they do in real connector spaces.
fn ad_hologram(person: &Person, dice: &mut Dice) -> String {
    let mut xml = String::with_capacity(10_000);
    let _ = write!(
        xml,
        "<entry dn=\"{}\"><objectclass><oc-value>user</oc-value></objectclass>",
        person.dn
    );
    common(&mut xml, person);
    attr(&mut xml, "sAMAccountName", &person.account);
    attr(&mut xml, "employeeID", &person.employee_id);
    attr(
        &mut xml,
        "userAccountControl",
        if person.enabled { "512" } else { "514" },
    );
    binary(&mut xml, "objectGUID", &person.anchor);
    let certificate = 1500 + dice.below(600);
    binary(&mut xml, "userCertificate", dice.blob(certificate));
    let photo = 3000 + dice.below(5000);
    binary(&mut xml, "thumbnailPhoto", dice.blob(photo));
    xml.push_str("</entry>");
    xml
}

/// What the Entra connector last saw.
fn entra_hologram(person: &Person, dice: &mut Dice) -> String {
    let mut xml = String::with_capacity(8_000);
    let _ = write!(
        xml,
        "<entry dn=\"{}\"><objectclass><oc-value>user</oc-value></objectclass>",
        person.entra_rdn()
    );
    common(&mut xml, person);
    attr(&mut xml, "cloudAnchor", &format!("User_{}", person.mv_id));
    attr(&mut xml, "sourceAnchor", &person.anchor);
    attr(
        &mut xml,
        "accountEnabled",
        if person.enabled { "true" } else { "false" },
    );
    let photo = 2500 + dice.below(4500);
    binary(&mut xml, "thumbnailPhoto", dice.blob(photo));
    xml.push_str("</entry>");
    xml
}

fn common(xml: &mut String, person: &Person) {
    let (city, country, postal_code) = person.city;
    let values: [(&str, &str); 12] = [
        ("displayName", &person.display_name),
        ("givenName", person.given),
        ("sn", person.surname),
        ("mail", &person.mail),
        ("userPrincipalName", &person.mail),
        ("department", person.department),
        ("title", person.title),
        ("l", city),
        ("c", country),
        ("postalCode", postal_code),
        ("telephoneNumber", &person.phone),
        ("company", "Contoso"),
    ];
    for (name, value) in values {
        attr(xml, name, value);
    }
}

fn attr(xml: &mut String, name: &str, value: &str) {
    value_of(xml, name, "string", value);
}

fn binary(xml: &mut String, name: &str, base64: &str) {
    value_of(xml, name, "binary", base64);
}

fn value_of(xml: &mut String, name: &str, kind: &str, value: &str) {
    for part in [
        "<attr name=\"",
        name,
        "\" type=\"",
        kind,
        "\" multivalued=\"false\"><value>",
        value,
        "</value></attr>",
    ] {
        xml.push_str(part);
    }
}
