//! A job's specification: bytes from the controller, with a digest over them.

use syncferry_shared::spec::JobSpec;

/// The specifications of a whole plan, as the controller's planner is known to make them.
const SPECS: &str =
    include_str!("../../../controller/src/plan/tests/snapshots/syncferry_controller__plan__tests__good__specs.snap");

/// Reads a specification.
pub fn read(bytes: &[u8]) -> bool {
    let Some(spec) = super::json::<JobSpec>(bytes) else {
        return false;
    };
    // Its word for the kind is one that the store and the wire know.
    let kind = spec.task.kind();
    assert_eq!(syncferry_shared::spec::JobKind::parse(kind.as_str()), Some(kind));
    true
}

/// One of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let body = SPECS.splitn(3, "---\n").nth(2).unwrap_or_default();
    let specs: Vec<serde_json::Value> = serde_json::from_str(body).unwrap_or_default();
    specs.iter().map(|s| s.to_string().into_bytes()).collect()
}
