//! A plan: what an operator applies, read back from the store, the wire and reports.

use syncferry_shared::plan::Plan;

/// Reads a plan.
pub fn read(bytes: &[u8]) -> bool {
    super::json::<Plan>(bytes).is_some()
}

/// The sample report's plan.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![super::sample("/plan/document").to_string().into_bytes()]
}
