//! The verbose log of Windows Installer: which of its lines say why it failed. Windows writes it in UTF-16 with a byte-order
//! mark, older and other installers in the machine's code page; what is not UTF-8 there is shown as U+FFFD.

use syncferry_shared::known_failure::recognise;

/// A log is tens of megabytes at most; only its end is looked at.
const LONGEST: usize = 64 << 20;
/// Lines that are shown to people.
const SHOWN: usize = 10;

/// The text of a log.
pub fn text(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    let units = |bytes: &[u8]| -> Vec<u16> {
        bytes
            .chunks_exact(2)
            .map(|c| u16::from_le_bytes([c[0], c[1]]))
            .collect()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => String::from_utf16_lossy(&units(rest)),
        // Without the mark: Latin text in UTF-16 has a zero in every second byte.
        [_, 0, _, 0, ..] => String::from_utf16_lossy(&units(bytes)),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        bytes => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The lines that say why it failed: those right before the first action that ended with 3, then every line with an error.
/// `Return value 3` itself is in the machine's language; the number and the action's name are not.
pub fn excerpt(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let failing = lines.iter().position(|l| ends_with_3(l));
    let from = failing.map_or(0, |at| at.saturating_sub(4));
    let near = failing.map_or(0..0, |at| from..at + 1);
    let telling = |l: &str| {
        if recognise(l).is_some() {
            return true;
        }
        let l = l.to_ascii_lowercase();
        l.contains("error") || l.contains("note: 1:") || l.contains("already") || l.contains("1603")
    };
    let mut kept: Vec<usize> = near.collect();
    for (at, line) in lines.iter().enumerate() {
        if telling(line) && !kept.contains(&at) {
            kept.push(at);
        }
    }
    // What stands nearest to the failing action is worth most; the rest is taken from the end.
    if kept.len() > SHOWN {
        let spare = SHOWN.saturating_sub(5);
        let rest = kept.split_off(5.min(kept.len()));
        kept.extend(rest.into_iter().rev().take(spare));
    }
    kept.sort_unstable();
    kept.into_iter()
        .map(|at| lines[at].chars().take(300).collect())
        .collect()
}

/// `Action ended 12:00:00: InstallExecute. Return value 3.`, in any language: an action's end whose last number is 3.
fn ends_with_3(line: &str) -> bool {
    let line = line.trim_end_matches('.');
    let tail = line.strip_suffix('3').filter(|rest| rest.ends_with(' '));
    let english = line.to_ascii_lowercase().contains("return value 3");
    english || tail.is_some_and(|rest| rest.contains(": ") && rest.contains(". ") && rest.contains(':'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOG: &str = "=== Logging started ===\r\n\
        Action start 10:00:01: InstallFinalize.\r\n\
        MSI (s) (A8:BC) [10:00:02:000]: Product: Microsoft Entra Connect -- Error 1920. Service 'ADSync' failed to start.\r\n\
        CustomAction StartService returned actual error code 1603\r\n\
        Action ended 10:00:03: InstallFinalize. Return value 3.\r\n\
        Action ended 10:00:03: INSTALL. Return value 3.\r\n\
        MainEngineThread is returning 1603\r\n";

    fn utf16(text: &str) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        bytes
    }

    #[test]
    fn both_encodings_say_the_same() {
        assert_eq!(text(&utf16(LOG)), LOG);
        assert_eq!(text(&utf16(LOG)[2..]), LOG);
        assert_eq!(text(LOG.as_bytes()), LOG);
    }

    #[test]
    fn the_reason_is_in_the_excerpt() {
        let lines = excerpt(LOG);
        assert!(lines.iter().any(|l| l.contains("Error 1920")), "{lines:?}");
        assert!(
            lines.iter().any(|l| l.contains("returned actual error code 1603")),
            "{lines:?}"
        );
        assert!(lines.len() <= SHOWN);
    }

    #[test]
    fn another_language_has_its_reason_too() {
        let german = "Aktion gestartet um 10:00:01: InstallFinalize.\n\
            Produkt: Microsoft Entra Connect -- Der Dienst konnte nicht gestartet werden.\n\
            Aktion beendet um 10:00:03: InstallFinalize. R\u{fc}ckgabewert 3.\n";
        assert!(excerpt(german).iter().any(|l| l.contains("Der Dienst konnte nicht")));
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_short_excerpt(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(excerpt(&text(&bytes)).len() <= SHOWN);
        }
    }
}
