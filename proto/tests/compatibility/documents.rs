//! The documents that travel as JSON: those that a release sent are read by the types of today, and a field that today's
//! types do not know yet (a newer neighbour's) stops nobody.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use syncferry_proto::schema;
use syncferry_proto::v1::Document;
use syncferry_shared::{Finding, artifact, card, finding, inventory, outcome, plan, spec, watch};

use super::releases;

/// Reads a document as whoever gets it does.
fn read(name: &str, json: &[u8]) -> Result<(), String> {
    macro_rules! readers {
        ($($schema:ident => $type:ty,)*) => {
            match name {
                $(schema::$schema => Document { schema: name.into(), json: json.to_vec() }
                    .read::<$type>(schema::$schema)
                    .map(|_| ())
                    .map_err(|e| e.to_string()),)*
                other => Err(format!("nobody reads documents of the shape {other}")),
            }
        };
    }
    readers! {
        JOB_SPEC => spec::JobSpec,
        INSPECTION_REQUEST => inventory::InspectionRequest,
        INVENTORY => inventory::Inventory,
        HOST_FACTS => inventory::HostFacts,
        DATABASE_FACTS => inventory::DatabaseFacts,
        PLAN => plan::Plan,
        OUTCOME => outcome::Outcome,
        FAILURE => outcome::Failure,
        EVIDENCE => Vec<finding::Evidence>,
        CARDS => Vec<card::Card>,
        MANIFEST => artifact::Manifest,
        WATCH => watch::WatchReport,
        FINDING => Finding,
        FINDINGS => Vec<Finding>,
    }
}

/// `syncferry.job-spec.v1.backup.json` holds a document of the shape `syncferry.job-spec.v1`.
fn shape(path: &Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    name.split('.').take(3).collect::<Vec<_>>().join(".")
}

#[test]
fn documents_of_earlier_releases_are_read() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for release in releases() {
        for file in std::fs::read_dir(release.join("documents")).unwrap() {
            let path = file.unwrap().path();
            let json = std::fs::read(&path).unwrap();
            let name = shape(&path);
            read(&name, &json).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let mut value: Value = serde_json::from_slice(&json).unwrap();
            let objects = add_unknown(&mut value);
            assert!(objects > 0, "{} is empty", path.display());
            read(&name, value.to_string().as_bytes())
                .unwrap_or_else(|e| panic!("{}: a field that is not known yet stops it: {e}", path.display()));
            *seen.entry(name).or_default() += 1;
        }
    }
    for needed in [
        schema::JOB_SPEC,
        schema::INSPECTION_REQUEST,
        schema::INVENTORY,
        schema::OUTCOME,
        schema::PLAN,
    ] {
        assert!(seen.contains_key(needed), "no document of the shape {needed} is kept");
    }
}

/// Adds a field that nobody knows to every object with names of fields. An object whose keys are names of things (a map) would
/// get a thing too many; our maps' values are all texts or numbers, so a map is left alone.
fn add_unknown(value: &mut Value) -> usize {
    match value {
        Value::Array(all) => all.iter_mut().map(add_unknown).sum(),
        Value::Object(fields) => {
            let mut count: usize = fields.values_mut().map(add_unknown).sum();
            if fields.keys().all(|k| {
                k.chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
            }) {
                fields.insert("of_a_newer_release".into(), Value::from("something"));
                count += 1;
            }
            count
        }
        _ => 0,
    }
}
