//! An installer: a file that somebody downloaded. Property tables are read without running anything.

use std::io::Cursor;

use syncferry_agent::connect::msi;

use crate::lab::msi::MsiSpec;

/// Reads an installer.
pub fn read(bytes: &[u8]) -> bool {
    let Ok(facts) = msi::read_from("x.msi", Cursor::new(bytes)) else {
        return false;
    };
    assert_eq!(facts.size, bytes.len() as u64);
    assert!(!facts.product_name.is_empty() && !facts.product_version.is_empty() && !facts.product_code.is_empty());
    true
}

/// Installers as the lab makes them, with hardly any payload.
pub fn seeds() -> Vec<Vec<u8>> {
    let small = |spec: MsiSpec| {
        let dir = tempfile::tempdir().ok()?;
        let path = dir.path().join("x.msi");
        MsiSpec { payload: 64, ..spec }.write(&path).ok()?;
        std::fs::read(path).ok()
    };
    let specs = [MsiSpec::connect("2.5.79.0"), MsiSpec::other_product()];
    specs.into_iter().filter_map(small).collect()
}
