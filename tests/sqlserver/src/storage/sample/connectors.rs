//! Management agents (connectors), their partitions and run profiles.

use std::fmt::Write;

use time::Duration;
use uuid::{Uuid, uuid};

use super::build::{Tables, bit, bytes, date, guid, int, text};
use super::dice::{Dice, base64};
use super::people::domain_dn;
use super::{AdSync, SignOn};
use crate::storage::{Row, Table};
use crate::types::Value;

/// The Entra connector's id is the same everywhere.
const ENTRA_ID: Uuid = uuid!("b891884f-051e-4a83-95af-2544101c9083");
const ENTRA_SUBTYPE: &str = "Windows Azure Active Directory (Microsoft)";
/// From here on a Connect server signs in with an application by default.
const APPLICATION_SINCE: [u32; 3] = [2, 5, 76];

/// One connector.
pub(crate) struct Connector {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// The forest, None for Entra.
    pub(crate) forest: Option<String>,
    pub(crate) partition_id: Uuid,
    /// In the order of [`PROFILES`].
    pub(crate) profile_ids: Vec<Uuid>,
}

/// Run profiles every connector has.
pub(crate) const PROFILES: [&str; 5] = [
    "Full Import",
    "Full Synchronization",
    "Delta Import",
    "Delta Synchronization",
    "Export",
];

impl Connector {
    pub(crate) fn is_entra(&self) -> bool {
        self.forest.is_none()
    }
}

/// The AD connectors in the order of the forests, then the Entra connector.
pub(crate) fn connectors(spec: &AdSync, dice: &mut Dice) -> Vec<Connector> {
    let mut connector = |id: Option<Uuid>, name: String, forest: Option<String>| Connector {
        id: id.unwrap_or_else(|| dice.guid()),
        name,
        forest,
        partition_id: dice.guid(),
        profile_ids: PROFILES.iter().map(|_| dice.guid()).collect(),
    };
    let mut all: Vec<Connector> = spec
        .forests
        .iter()
        .map(|f| connector(None, f.clone(), Some(f.clone())))
        .collect();
    all.push(connector(Some(ENTRA_ID), format!("{} - AAD", spec.tenant), None));
    all
}

/// `mms_management_agent`, `mms_partition` and `mms_run_profile`.
pub(crate) fn tables(tables: &mut Tables, spec: &AdSync, connectors: &[Connector], dice: &mut Dice) -> Vec<Table> {
    let mut agents = tables.table(
        "mms_management_agent",
        1,
        "ma_id guid!, ma_name name!, ma_type code!, subtype name, ma_listname name, company_name name, \
         version_number int!, internal_version_number int!, creation_date date!, modification_date date!, \
         capabilities_mask key, ma_export_type tinyint, current_run_number int!, key_id int, ma_description text, \
         ui_settings_xml text, ma_extension_xml text, ma_schema_xml text, attribute_inclusion_xml text, \
         controller_configuration_xml text, controller_configuration_password binary, private_configuration_xml text, \
         encrypted_configuration text, dn_construction_xml text, component_mappings_xml text, \
         full_import_required bit!, full_sync_required bit!",
    );
    let mut partitions = tables.table(
        "mms_partition",
        1,
        "partition_id guid!, ma_id guid!, partition_name name!, is_selected bit!, version_number int!, \
         filter_hints_xml text, creation_date date, modification_date date, allowed_operations int",
    );
    let mut profiles = tables.table(
        "mms_run_profile",
        1,
        "run_profile_id guid!, ma_id guid!, run_profile_name name!, version_number int!, run_configuration_xml text!, \
         creation_date date, modification_date date",
    );
    let made = spec.now - Duration::days(900);
    for (index, connector) in connectors.iter().enumerate() {
        agents.rows.push(agent_row(spec, connector, index == 0, dice));
        partitions.rows.push(vec![
            guid(connector.partition_id),
            guid(connector.id),
            text(connector.forest.as_deref().map_or("default".into(), domain_dn)),
            bit(true),
            int(3),
            text(filter_xml(spec, index == 0)),
            date(made),
            date(made),
            int(7),
        ]);
        for (name, id) in PROFILES.iter().zip(&connector.profile_ids) {
            let xml = format!(
                "<run-configuration><id>{{{id}}}</id><name>{name}</name><configuration><step><step-type type=\"{}\"/>\
                 <partition>{{{}}}</partition></step></configuration></run-configuration>",
                name.to_lowercase().replace(' ', "-"),
                connector.partition_id
            );
            profiles.rows.push(vec![
                guid(*id),
                guid(connector.id),
                text(*name),
                int(1),
                text(xml),
                date(made),
                date(made),
            ]);
        }
    }
    vec![agents, partitions, profiles]
}

/// What a partition leaves out. The shape is not published; this one is a guess.
fn filter_xml(spec: &AdSync, first: bool) -> String {
    if !first || spec.excluded.is_empty() {
        return "<filter-hints/>".into();
    }
    let containers: String = spec
        .excluded
        .iter()
        .map(|c| format!("<exclusion>{c}</exclusion>"))
        .collect();
    format!("<filter-hints><exclusions>{containers}</exclusions></filter-hints>")
}

fn agent_row(spec: &AdSync, connector: &Connector, first: bool, dice: &mut Dice) -> Row {
    let made = spec.now - Duration::days(900);
    let private = match &connector.forest {
        Some(forest) => ad_configuration(spec, forest, dice),
        None => entra_configuration(spec, dice),
    };
    let entra = connector.is_entra();
    let secret = base64(&dice.bytes(288));
    vec![
        guid(connector.id),
        text(&connector.name),
        text(if entra { "Extensible2" } else { "AD" }),
        text(if entra { ENTRA_SUBTYPE } else { "" }),
        text(if entra {
            ENTRA_SUBTYPE
        } else {
            "Active Directory Domain Services"
        }),
        text("Microsoft"),
        int(14),
        int(7),
        date(made),
        date(spec.now - Duration::days(40)),
        bytes(&[0, 0, 0, 7, 0xf3, 0xff]),
        int(i64::from(entra)),
        int(4210),
        int(2),
        Value::Null,
        text("<ui-settings xmlns=\"http://schemas.microsoft.com/2006/11/UISettings\"/>"),
        text("<extension><assembly-name/><application-protection>low</application-protection></extension>"),
        text(schema_xml()),
        text(inclusion_xml()),
        text(
            "<controller-configuration><application-protection>low</application-protection></controller-configuration>",
        ),
        Value::Null,
        text(private),
        text(secret),
        text("<dn-construction/>"),
        text(
            "<component_mappings><mapping dn_component=\"ou\" object_type=\"organizationalUnit\"/></component_mappings>",
        ),
        bit(false),
        bit(first && !entra && spec.full_sync_flagged),
    ]
}

fn ad_configuration(spec: &AdSync, forest: &str, dice: &mut Dice) -> String {
    let hash_sync = i32::from(spec.sign_on == SignOn::PasswordHashSync);
    format!(
        "<adma-configuration><forest-name>{forest}</forest-name><forest-port>0</forest-port>\
         <forest-guid>{{{}}}</forest-guid><forest-login-user>MSOL_{}</forest-login-user>\
         <forest-login-domain>{}</forest-login-domain><sign-and-seal>1</sign-and-seal><ssl-bind crl-check=\"0\">0</ssl-bind>\
         <simple-bind>0</simple-bind><default-ssl-strength>0</default-ssl-strength>\
         <password-hash-sync-config><enabled>{hash_sync}</enabled><target>{{{ENTRA_ID}}}</target>\
         </password-hash-sync-config></adma-configuration>",
        dice.guid(),
        dice.hex(12),
        forest.to_uppercase(),
    )
}

/// Names the server that owns the database: as `Sync_<SERVER>_…` user, or as an application from 2.5.76 on. The latter
/// shape is not published; this one is a guess.
fn entra_configuration(spec: &AdSync, dice: &mut Dice) -> String {
    let parameter = |name: &str, value: &str| {
        format!(
            "<parameter name=\"{name}\" type=\"string\" use=\"connectivity\" dataType=\"String\">{value}</parameter>"
        )
    };
    let hash = dice.hex(12);
    let owner = &spec.owner_host;
    let parameters = if uses_application(&spec.connect_version) {
        parameter("ApplicationId", &dice.guid().to_string())
            + &parameter("ApplicationName", &format!("ConnectSyncProvisioning_{owner}_{hash}"))
            + &parameter("CertificateManagedBy", "EntraConnectSync")
    } else {
        parameter("UserName", &format!("Sync_{owner}_{hash}@{}", spec.tenant))
    };
    format!(
        "<MAConfig><primary_class_mappings/><parameter-values>{parameters}{}</parameter-values>\
         <import><per-profile><timeout>0</timeout></per-profile></import></MAConfig>",
        parameter("SupportedPasswordSyncTenant", &spec.tenant)
    )
}

fn uses_application(version: &str) -> bool {
    let parts: Vec<u32> = version.split('.').map(|p| p.parse().unwrap_or(0)).collect();
    parts.as_slice() >= APPLICATION_SINCE.as_slice()
}

const ATTRIBUTES: [&str; 14] = [
    "accountExpires",
    "c",
    "cn",
    "company",
    "department",
    "displayName",
    "employeeID",
    "givenName",
    "mail",
    "manager",
    "objectGUID",
    "objectSid",
    "sn",
    "userPrincipalName",
];

fn schema_xml() -> String {
    let mut xml = String::from("<dsml:dsml xmlns:dsml=\"http://www.dsml.org/DSML\"><dsml:directory-schema>");
    for name in ATTRIBUTES {
        let _ = write!(
            xml,
            "<dsml:attribute-type id=\"{name}\" single-value=\"true\"><dsml:name>{name}</dsml:name>\
             <dsml:syntax>1.3.6.1.4.1.1466.115.121.1.15</dsml:syntax></dsml:attribute-type>"
        );
    }
    xml + "</dsml:directory-schema></dsml:dsml>"
}

fn inclusion_xml() -> String {
    let attributes: String = ATTRIBUTES
        .iter()
        .map(|name| format!("<attribute>{name}</attribute>"))
        .collect();
    format!("<attribute-inclusion>{attributes}</attribute-inclusion>")
}
