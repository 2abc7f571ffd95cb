//! Names of databases that are not verified yet. Only a database with such a name can ever be dropped by us.

use syncferry_shared::ids::ArtifactId;

/// What every temporary name contains, between the final name and the artifact's short id.
pub const MARK: &str = "__syncferry_";

/// The temporary name of a database that is restored from an artifact: `ADSync__syncferry_1a2b3c4d`.
pub fn name_for(final_name: &str, artifact: ArtifactId) -> String {
    // A database name has at most 128 UTF-16 units; the tail must not be cut, or two runs would share a name.
    let tail = format!("{MARK}{}", artifact.short());
    let mut head = final_name.to_string();
    while head.encode_utf16().count() + tail.len() > 123 {
        head.pop();
    }
    head + &tail
}

/// Whether a name is a temporary one of ours: something, the mark, and eight hexadecimal digits.
pub fn is_temporary(name: &str) -> bool {
    name.rsplit_once(MARK).is_some_and(|(head, tail)| {
        !head.is_empty() && tail.len() == 8 && tail.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use syncferry_shared::Millis;

    fn artifact() -> ArtifactId {
        ArtifactId::new(Millis(1_750_000_000_000), &[7; 10])
    }

    #[test]
    fn only_our_names_are_temporary() {
        assert_eq!(name_for("ADSync", artifact()), "ADSync__syncferry_07070707");
        for name in [
            "ADSync",
            "",
            "__syncferry_07070707",
            "ADSync__syncferry_",
            "ADSync__syncferry_0707070X",
            "ADSync__mig_42",
        ] {
            assert!(!is_temporary(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_name_we_make_is_temporary_and_fits(head in ".{1,200}") {
            let name = name_for(&head, artifact());
            prop_assert!(is_temporary(&name));
            prop_assert!(name.encode_utf16().count() <= 128);
        }
    }
}
