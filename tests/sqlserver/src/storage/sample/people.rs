//! The people of the sample organisation.

use std::sync::Arc;

use uuid::Uuid;

use super::dice::{Dice, base64};

const GIVEN: [&str; 40] = [
    "Anna", "Ben", "Carla", "David", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Karin", "Lars", "Mia",
    "Noah", "Olga", "Paul", "Quirin", "Rosa", "Samir", "Tanja", "Uwe", "Vera", "Wim", "Xenia", "Yusuf", "Zoë", "Aiko",
    "Björn", "Chloé", "Dmitri", "Emre", "Fiona", "Gökhan", "Hanna", "Ivana", "José", "Katja", "Łukasz", "Marta",
    "Nils",
];
const SURNAME: [&str; 40] = [
    "Albrecht",
    "Bauer",
    "Castillo",
    "Dvořák",
    "Eriksen",
    "Fischer",
    "García",
    "Hansen",
    "Ivanova",
    "Jansen",
    "Keller",
    "Lindqvist",
    "Müller",
    "Nguyen",
    "O'Brien",
    "Petrov",
    "Quinn",
    "Rossi",
    "Schneider",
    "Tanaka",
    "Ullmann",
    "Vogel",
    "Weber",
    "Xu",
    "Yilmaz",
    "Zimmermann",
    "Andersson",
    "Becker",
    "Costa",
    "Dubois",
    "Evans",
    "Fontaine",
    "Gruber",
    "Hoffmann",
    "Jørgensen",
    "Kowalski",
    "Lopez",
    "Moreau",
    "Novak",
    "Olsen",
];
const DEPARTMENT: [&str; 10] = [
    "Sales",
    "Finance",
    "Human Resources",
    "IT Operations",
    "Legal",
    "Research & Development",
    "Production",
    "Logistics",
    "Marketing",
    "Customer Care",
];
const TITLE: [&str; 8] = [
    "Consultant",
    "Senior Engineer",
    "Team Lead",
    "Assistant",
    "Director",
    "Accountant",
    "Technician",
    "Analyst",
];
const CITY: [(&str, &str, &str); 6] = [
    ("Berlin", "DE", "10115"),
    ("Zürich", "CH", "8001"),
    ("Vienna", "AT", "1010"),
    ("Kraków", "PL", "30-001"),
    ("Lyon", "FR", "69001"),
    ("Redmond", "US", "98052"),
];

/// One user, as Active Directory has it.
pub(crate) struct Person {
    pub(crate) forest: usize,
    pub(crate) mv_id: Uuid,
    pub(crate) ad_cs_id: Uuid,
    pub(crate) entra_cs_id: Uuid,
    pub(crate) object_guid: Uuid,
    pub(crate) sid: Vec<u8>,
    pub(crate) anchor: String,
    pub(crate) given: &'static str,
    pub(crate) surname: &'static str,
    pub(crate) display_name: Arc<str>,
    pub(crate) account: String,
    pub(crate) mail: Arc<str>,
    pub(crate) department: &'static str,
    pub(crate) title: &'static str,
    pub(crate) city: (&'static str, &'static str, &'static str),
    pub(crate) phone: String,
    pub(crate) employee_id: String,
    pub(crate) dn: String,
    pub(crate) enabled: bool,
}

impl Person {
    /// Number `index` of the people of a forest.
    pub(crate) fn new(dice: &mut Dice, index: usize, forest: usize, forest_name: &str) -> Person {
        let (given, surname) = (dice.pick(&GIVEN), dice.pick(&SURNAME));
        let department = dice.pick(&DEPARTMENT);
        let display_name: Arc<str> = format!("{surname}, {given}").into();
        let account = format!("{}{}{index}", ascii(given, 1), ascii(surname, 7));
        let object_guid = dice.guid();
        let base_dn = domain_dn(forest_name);
        let mut sid = vec![1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0];
        // One domain per forest: its part of the SID is the same for all its people.
        sid.extend(crc32fast::hash(forest_name.as_bytes()).to_le_bytes().repeat(3));
        sid.extend((1104 + index as u32).to_le_bytes());
        Person {
            forest,
            mv_id: dice.guid(),
            ad_cs_id: dice.guid(),
            entra_cs_id: dice.guid(),
            object_guid,
            sid,
            anchor: base64(&object_guid.to_bytes_le()),
            given,
            surname,
            mail: format!("{account}@{}", mail_domain(forest_name)).into(),
            department,
            title: dice.pick(&TITLE),
            city: CITY[dice.below(CITY.len())],
            phone: format!("+49 30 {:07}", dice.below(10_000_000)),
            employee_id: format!("E{:06}", 100_000 + index),
            dn: format!("CN={surname}\\, {given} {index},OU={department},OU=Users,{base_dn}"),
            enabled: !dice.chance(4),
            display_name,
            account,
        }
    }
    pub(crate) fn entra_rdn(&self) -> String {
        let hex: String = self.anchor.bytes().map(|b| format!("{b:02X}")).collect();
        format!("CN={{{hex}}}")
    }
}

/// `DC=corp,DC=contoso,DC=com`.
pub(crate) fn domain_dn(forest: &str) -> String {
    forest
        .split('.')
        .map(|label| format!("DC={label}"))
        .collect::<Vec<_>>()
        .join(",")
}

/// `contoso.com` for `corp.contoso.com`.
fn mail_domain(forest: &str) -> &str {
    match forest.split_once('.') {
        Some((_, rest)) if rest.contains('.') => rest,
        _ => forest,
    }
}

fn ascii(name: &str, max: usize) -> String {
    name.chars()
        .filter(char::is_ascii_alphabetic)
        .take(max)
        .collect::<String>()
        .to_lowercase()
}
