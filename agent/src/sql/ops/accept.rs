//! Whether a backup set is the one that we expect. Nothing is restored before every condition holds; `IsReadOnly` is not one
//! of them, because backups are taken online.

use syncferry_shared::Finding;
use syncferry_shared::artifact::SetHeader;
use uuid::Uuid;

use super::media::{Label, ListedFile, SetRecord};

/// What a set must be. `None` means that it is not known here, never that anything goes: the caller decides what it can know.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expectations {
    /// `FamilyGUID` of the source.
    pub family_guid: Uuid,
    /// `database_guid` of the source.
    pub binding_id: Option<Uuid>,
    /// `BackupSetGUID`, from the source's header or its msdb.
    pub backup_set_guid: Option<Uuid>,
    /// `DatabaseName`.
    pub database_name: String,
    /// `ServerName`.
    pub server_name: Option<String>,
    /// `BackupDescription`: migration and epoch.
    pub description: Option<String>,
    /// Files that the backup was written to.
    pub files: usize,
    /// The major version of the instance that is to restore it.
    pub target_major: Option<i32>,
    /// The internal database version of that instance.
    pub target_internal_version: Option<i32>,
    /// Thumbprints of the certificates in the target's `master`, upper-case hexadecimal.
    pub certificates: Vec<String>,
    /// Whether the target takes FILESTREAM data.
    pub filestream: bool,
    /// Whether a set without page checksums is taken, because an operator accepted that.
    pub without_checksums: bool,
}

impl Expectations {
    /// What a target expects of a set whose header the source has sent.
    pub fn from_header(header: &SetHeader) -> Self {
        Self {
            family_guid: header.family_guid,
            binding_id: Some(header.binding_id),
            backup_set_guid: Some(header.backup_set_guid),
            database_name: header.database_name.clone(),
            server_name: Some(header.server_name.clone()),
            description: Some(header.description.clone()),
            files: 1,
            ..Self::default()
        }
    }
}

/// Checks a set. Every condition that does not hold is a finding, not only the first.
pub fn accept_set(
    record: &SetRecord,
    label: &Label,
    files: &[ListedFile],
    expected: &Expectations,
) -> Result<(), Vec<Finding>> {
    let mut check = Check::default();
    identity(&mut check, record, expected);
    soundness(&mut check, record, label, files, expected);
    fitness(&mut check, record, files, expected);
    if check.findings.is_empty() {
        Ok(())
    } else {
        Err(check.findings)
    }
}

fn identity(check: &mut Check, record: &SetRecord, expected: &Expectations) {
    let h = &record.header;
    check.equal(
        "set-of-other-family",
        "FamilyGUID",
        h.family_guid,
        Some(expected.family_guid),
    );
    check.equal("set-of-other-database", "BindingID", h.binding_id, expected.binding_id);
    check.equal(
        "set-is-another",
        "BackupSetGUID",
        h.backup_set_guid,
        expected.backup_set_guid,
    );
    check.equal(
        "set-of-other-name",
        "DatabaseName",
        h.database_name.as_str(),
        Some(expected.database_name.as_str()),
    );
    check.equal(
        "set-of-other-server",
        "ServerName",
        h.server_name.as_str(),
        expected.server_name.as_deref(),
    );
    check.equal(
        "set-of-other-migration",
        "BackupDescription",
        h.description.as_str(),
        expected.description.as_deref(),
    );
}

fn soundness(check: &mut Check, record: &SetRecord, label: &Label, files: &[ListedFile], expected: &Expectations) {
    let count = i64::try_from(expected.files).unwrap_or(i64::MAX);
    check.equal(
        "set-in-other-file-count",
        "LABELONLY FamilyCount",
        label.family_count,
        Some(count),
    );
    check.equal(
        "set-in-other-file",
        "LABELONLY FamilySequenceNumber",
        label.family_sequence,
        Some(1),
    );
    check.equal("medium-has-several-sets", "HEADERONLY rows", record.sets, Some(1));
    check.equal("set-not-first", "Position", record.position, Some(1));
    check.equal("set-not-full", "BackupType", record.backup_type, Some(1));
    check.equal("set-is-snapshot", "IsSnapshot", record.is_snapshot, Some(false));
    check.equal(
        "set-without-checksums",
        "HasBackupChecksums",
        record.has_checksums || expected.without_checksums,
        Some(true),
    );
    check.equal("set-damaged", "IsDamaged", record.is_damaged, Some(false));
    check.equal(
        "set-incomplete",
        "HasIncompleteMetaData",
        record.incomplete,
        Some(false),
    );
    check.that(
        !files.is_empty(),
        "set-without-files",
        "FILELISTONLY",
        "no rows",
        "at least one row",
    );
    for file in files {
        check.that(
            file.is_present,
            "set-file-missing",
            &format!("IsPresent of {}", file.file.logical_name),
            "0",
            "1",
        );
    }
}

fn fitness(check: &mut Check, record: &SetRecord, files: &[ListedFile], expected: &Expectations) {
    let h = &record.header;
    if let Some(target) = expected.target_major {
        let fits = h.software_major <= target;
        check.that(
            fits,
            "target-too-old",
            "SoftwareVersionMajor",
            h.software_major,
            format!("at most {target}"),
        );
    }
    if let Some(target) = expected.target_internal_version {
        let fits = h.database_version <= target;
        check.that(
            fits,
            "target-too-old",
            "DatabaseVersion",
            h.database_version,
            format!("at most {target}"),
        );
    }
    let thumbprints = record
        .encryptor
        .iter()
        .chain(files.iter().filter_map(|f| f.tde.as_ref()));
    for thumbprint in thumbprints {
        let known = expected.certificates.iter().any(|c| same_thumbprint(c, thumbprint));
        check.that(
            known,
            "certificate-missing",
            "certificate thumbprint",
            thumbprint,
            "one that the target has",
        );
    }
    for file in files.iter().filter(|f| f.file.kind == "S") {
        check.that(
            expected.filestream,
            "filestream-not-enabled",
            &format!("Type of {}", file.file.logical_name),
            "S",
            "no FILESTREAM, or FILESTREAM enabled on the target",
        );
    }
}

fn same_thumbprint(a: &str, b: &str) -> bool {
    let bare = |t: &str| t.trim_start_matches("0x").to_ascii_uppercase();
    bare(a) == bare(b)
}

#[derive(Default)]
struct Check {
    findings: Vec<Finding>,
}

impl Check {
    fn equal<T: PartialEq + std::fmt::Display>(&mut self, rule: &str, what: &str, found: T, expected: Option<T>) {
        if let Some(expected) = expected {
            self.that(found == expected, rule, what, found, expected);
        }
    }

    fn that(
        &mut self,
        holds: bool,
        rule: &str,
        what: &str,
        found: impl std::fmt::Display,
        expected: impl std::fmt::Display,
    ) {
        if holds {
            return;
        }
        let finding = Finding::blocker(rule, format!("The backup is not the one expected: {what} is {found}."))
            .saw(what, found)
            .saw(format!("{what} expected"), expected)
            .source("Syncferry's acceptance of backup sets")
            .next("Nothing was restored from this file. Find out where it comes from and who can write into the staging folder; then cancel the migration and plan again: that takes a new backup.");
        self.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use syncferry_shared::artifact::SetFile;

    fn good() -> (SetRecord, Label, Vec<ListedFile>, Expectations) {
        let header = SetHeader {
            backup_set_guid: Uuid::from_u128(1),
            family_guid: Uuid::from_u128(2),
            binding_id: Uuid::from_u128(3),
            database_name: "ADSync".into(),
            server_name: r"OLD\LOCALDB#1".into(),
            software_major: 15,
            database_version: 904,
            description: "m/7".into(),
            first_lsn: String::new(),
            last_lsn: String::new(),
            checkpoint_lsn: String::new(),
            collation: String::new(),
            backup_size: 1,
            files: vec![],
        };
        let mut expected = Expectations::from_header(&header);
        expected.target_major = Some(16);
        expected.target_internal_version = Some(957);
        let record = SetRecord {
            header,
            sets: 1,
            position: 1,
            backup_type: 1,
            has_checksums: true,
            is_damaged: false,
            incomplete: false,
            is_copy_only: true,
            is_snapshot: false,
            is_read_only: false,
            compressed: false,
            containment: 0,
            encryptor: None,
            raw: BTreeMap::new(),
        };
        let label = Label {
            media_name: None,
            media_set_id: None,
            family_count: 1,
            family_sequence: 1,
            media_description: None,
        };
        let file = ListedFile {
            file: SetFile {
                logical_name: "ADSync".into(),
                physical_name: r"C:\x.mdf".into(),
                kind: "D".into(),
                size: 1,
            },
            is_present: true,
            tde: None,
        };
        (record, label, vec![file], expected)
    }

    fn rules(change: impl FnOnce(&mut SetRecord, &mut Label, &mut Vec<ListedFile>, &mut Expectations)) -> Vec<String> {
        let (mut record, mut label, mut files, mut expected) = good();
        change(&mut record, &mut label, &mut files, &mut expected);
        let findings = accept_set(&record, &label, &files, &expected).err().unwrap_or_default();
        assert!(
            findings
                .iter()
                .all(|f| f.blocks() && !f.next_step.is_empty() && f.evidence.len() == 2)
        );
        findings.into_iter().map(|f| f.rule).collect()
    }

    #[test]
    fn the_expected_set_is_accepted_read_only_or_not() {
        assert!(rules(|_, _, _, _| {}).is_empty());
        assert!(rules(|r, _, _, _| r.is_read_only = true).is_empty());
    }

    #[test]
    fn every_condition_stands_alone() {
        let id = Uuid::from_u128(99);
        assert_eq!(rules(|r, _, _, _| r.header.family_guid = id), ["set-of-other-family"]);
        assert_eq!(rules(|r, _, _, _| r.header.binding_id = id), ["set-of-other-database"]);
        assert_eq!(rules(|r, _, _, _| r.header.backup_set_guid = id), ["set-is-another"]);
        assert_eq!(
            rules(|r, _, _, _| r.header.database_name = "x".into()),
            ["set-of-other-name"]
        );
        assert_eq!(
            rules(|r, _, _, _| r.header.server_name = "x".into()),
            ["set-of-other-server"]
        );
        assert_eq!(
            rules(|r, _, _, _| r.header.description = "x".into()),
            ["set-of-other-migration"]
        );
        assert_eq!(rules(|_, l, _, _| l.family_count = 2), ["set-in-other-file-count"]);
        assert_eq!(rules(|_, l, _, _| l.family_sequence = 2), ["set-in-other-file"]);
        assert_eq!(rules(|r, _, _, _| r.sets = 2), ["medium-has-several-sets"]);
        assert_eq!(rules(|r, _, _, _| r.position = 2), ["set-not-first"]);
        assert_eq!(rules(|r, _, _, _| r.backup_type = 5), ["set-not-full"]);
        assert_eq!(rules(|r, _, _, _| r.is_snapshot = true), ["set-is-snapshot"]);
        assert_eq!(rules(|r, _, _, _| r.has_checksums = false), ["set-without-checksums"]);
        assert_eq!(rules(|r, _, _, _| r.is_damaged = true), ["set-damaged"]);
        assert_eq!(rules(|r, _, _, _| r.incomplete = true), ["set-incomplete"]);
        assert_eq!(rules(|_, _, f, _| f.clear()), ["set-without-files"]);
        assert_eq!(rules(|_, _, f, _| f[0].is_present = false), ["set-file-missing"]);
        assert_eq!(rules(|_, _, _, e| e.target_major = Some(14)), ["target-too-old"]);
        assert_eq!(
            rules(|_, _, _, e| e.target_internal_version = Some(869)),
            ["target-too-old"]
        );
        assert_eq!(
            rules(|_, _, f, _| f[0].file.kind = "S".into()),
            ["filestream-not-enabled"]
        );
        assert_eq!(
            rules(|r, _, _, _| r.encryptor = Some("0xAB".into())),
            ["certificate-missing"]
        );
        let with_certificate = rules(|r, _, _, e| {
            r.encryptor = Some("0xab".into());
            e.certificates = vec!["AB".into()];
        });
        assert!(with_certificate.is_empty());
    }

    #[test]
    fn all_differences_are_told_at_once() {
        let found = rules(|r, l, _, _| {
            r.header.family_guid = Uuid::nil();
            r.is_damaged = true;
            l.family_count = 3;
        });
        assert_eq!(found.len(), 3);
    }
}
