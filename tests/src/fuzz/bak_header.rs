//! What a backup's header says, as the agent reads it from RESTORE HEADERONLY, FILELISTONLY and LABELONLY: rows of any
//! columns, in any order, of any type.
//!
//! The bytes are a recipe for a row: for each cell a byte for the column, one for the type, then its value.

use syncferry_agent::sql::ops::media::{Label, ListedFile, SetRecord};
use syncferry_agent::sql::{ResultSet, Row, Value};
use uuid::Uuid;

const COLUMNS: [&str; 24] = [
    "BackupSetGUID",
    "FamilyGUID",
    "BindingID",
    "DatabaseName",
    "SoftwareVersionMajor",
    "DatabaseVersion",
    "BackupSize",
    "Position",
    "BackupType",
    "IsDamaged",
    "HasIncompleteMetaData",
    "HasBackupChecksums",
    "EncryptorThumbprint",
    "FirstLSN",
    "Containment",
    "LogicalName",
    "PhysicalName",
    "Type",
    "Size",
    "IsPresent",
    "TDEThumbprint",
    "MediaSetId",
    "FamilyCount",
    "Unheard of",
];

/// Reads a row.
pub fn read(bytes: &[u8]) -> bool {
    let (columns, values): (Vec<_>, Vec<_>) = Recipe(bytes).unzip();
    let set = ResultSet::new(columns, vec![values]);
    let row = &set.rows()[0];
    let header = SetRecord::read(row, 1);
    if let Ok(record) = &header {
        assert_eq!(row.guid("BackupSetGUID"), Some(record.header.backup_set_guid));
        // What is not said to be sound is not taken for sound.
        assert!(record.is_damaged || row.flag("IsDamaged") == Some(false));
        assert!(record.incomplete || row.flag("HasIncompleteMetaData") == Some(false));
    }
    let file = ListedFile::read(row);
    if let Ok(file) = &file {
        assert_eq!(row.text("LogicalName").as_ref(), Some(&file.file.logical_name));
    }
    let label = Label::read(row);
    assert_eq!(label.media_set_id, row.guid("MediaSetId"));
    look(row);
    header.is_ok() || file.is_ok()
}

/// Every way to read every cell.
fn look(row: &Row) {
    for column in COLUMNS {
        let int = row.int(column);
        assert_eq!(row.size(column), int.and_then(|i| u64::try_from(i).ok()));
        let _ = (row.text(column), row.float(column), row.flag(column), row.utc(column));
    }
    assert!(row.raw().len() <= COLUMNS.len());
}

/// Cells, read off bytes.
struct Recipe<'a>(&'a [u8]);

impl Recipe<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let [length] = self.take::<1>()?;
        let (taken, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        Some(taken.to_vec())
    }
}

impl Iterator for Recipe<'_> {
    type Item = (&'static str, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let [column, ty] = self.take::<2>()?;
        let value = match ty % 8 {
            0 => Value::Null,
            1 => Value::Bool(self.take::<1>()? != [0]),
            2 => Value::Int(i64::from_le_bytes(self.take()?)),
            3 => Value::Float(f64::from_le_bytes(self.take()?)),
            4 => {
                let [scale] = self.take::<1>()?;
                Value::Decimal(i128::from_le_bytes(self.take()?), scale)
            }
            5 => Value::Text(String::from_utf8_lossy(&self.bytes()?).into_owned()),
            6 => Value::Bytes(self.bytes()?),
            _ => Value::Guid(Uuid::from_bytes(self.take()?)),
        };
        Some((COLUMNS[usize::from(column) % COLUMNS.len()], value))
    }
}

/// A sound header and a row of a file list.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut header = Vec::new();
    for guid in 0..3 {
        header.extend([guid, 7]);
        header.extend([guid + 1; 16]);
    }
    header.extend([3, 5, 6]);
    header.extend(b"ADSync");
    for (column, value) in [(4_u8, 15_i64), (5, 904), (6, 4096), (7, 1), (8, 1)] {
        header.extend([column, 2]);
        header.extend(value.to_le_bytes());
    }
    header.extend([9, 1, 0, 10, 1, 0, 11, 1, 1]);
    let mut file = Vec::new();
    for (column, text) in [(15_u8, "data"), (16, r"D:\x.mdf"), (17, "D ")] {
        file.extend([column, 5, text.len() as u8]);
        file.extend(text.as_bytes());
    }
    file.extend([18, 4, 0]);
    file.extend(8192_i128.to_le_bytes());
    vec![header, file]
}
