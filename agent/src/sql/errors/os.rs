//! Operating system errors inside SQL Server's messages: `5(Access is denied.)`. The code is a number in every language.

/// An operating system error that SQL Server passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OsError {
    /// The Windows error code.
    pub code: u32,
}

/// Finds the code: the last number that stands by itself right before an opening parenthesis. A path before it may contain
/// the same shape, so the last one counts.
pub(super) fn extract(text: &str) -> Option<OsError> {
    let bytes = text.as_bytes();
    let mut found = None;
    for (at, _) in text.match_indices('(') {
        let digits = bytes[..at].iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let alone = at == digits || matches!(bytes[at - digits - 1], b' ' | b':');
        if alone && (1..=5).contains(&digits) {
            found = text[at - digits..at].parse().ok().map(|code| OsError { code });
        }
    }
    found
}

/// What a code means here, and what to do.
pub fn explain(error: OsError) -> (&'static str, &'static str) {
    match error.code {
        2 | 3 => (
            "the file or folder does not exist, as the server sees it",
            "Create the folder on the SQL host, or correct the path. Paths are those of the SQL host, not of the agent.",
        ),
        5 => (
            "the account that SQL Server runs as may not use the folder",
            "Grant the SQL Server service account Modify on the folder. On Connect's LocalDB that is the account of the ADSync service.",
        ),
        19 => (
            "the medium is write-protected",
            "Choose a folder on a volume that can be written to.",
        ),
        21 | 23 | 1117 => (
            "the disk reported an error",
            "Check the disk (event log, chkdsk) before anything else, and choose another volume for now.",
        ),
        32 | 33 => (
            "another program holds the file open",
            "Exclude the staging folder from antivirus and backup software, then apply the migration again.",
        ),
        53 | 64 | 67 | 121 => (
            "the network path cannot be reached from the SQL host",
            "Use a folder on a local disk of the SQL host; Syncferry brings the file over itself.",
        ),
        112 => (
            "the disk is full",
            "Free space on the volume of the path above, then apply the migration again. To use another volume, cancel the migration and plan again: for backups with another staging_dir in the agent's configuration, for the database with --data-dir and --log-dir.",
        ),
        1326 | 1385 | 1909 => (
            "the network share refused the account of SQL Server",
            "Use a folder on a local disk of the SQL host; Syncferry brings the file over itself.",
        ),
        _ => (
            "the operating system refused it",
            "Look the code up with 'net helpmsg CODE' on the SQL host.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_the_code_in_any_language() {
        let code = |t: &str| extract(t).map(|e| e.code);
        let en = r"Cannot open backup device 'D:\stage 7(copy)\x.bak'. Operating system error 5(Access is denied.).";
        let de = r"Das Sicherungsmedium 'D:\x.bak' kann nicht geöffnet werden. Betriebssystemfehler 3(Das System kann den angegebenen Pfad nicht finden.).";
        assert_eq!(code(en), Some(5));
        assert_eq!(code(de), Some(3));
        assert_eq!(
            code("Write on \"D:\\x.bak\" failed: 112(There is not enough space on the disk.)"),
            Some(112)
        );
        assert_eq!(
            code("error 15105(failed to retrieve text for this error. Reason: 15105)"),
            Some(15105)
        );
        assert_eq!(code("no code (at all)"), None);
        assert_eq!(code("5(x"), Some(5));
        assert_eq!(code("file5(x"), None);
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".*") {
            let _ = extract(&text);
        }
    }
}
