//! BACKUP DATABASE: always a copy that disturbs nobody's chain (COPY_ONLY), always a new medium (FORMAT), always with
//! checksums, and it stops at the first damaged page.

use super::{AWKWARD, Statement};
use crate::sql::quote::text;

/// What a backup is called and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOptions {
    /// The database.
    pub database: String,
    /// The file, as the server names it; at most 259 characters.
    pub path: String,
    /// `NAME`, at most 128 characters.
    pub name: String,
    /// `DESCRIPTION`, at most 255 characters: what the target proves the set by.
    pub description: String,
    /// `MEDIANAME`, at most 128 characters.
    pub media_name: String,
    /// `MEDIADESCRIPTION`, at most 255 characters.
    pub media_description: String,
    /// Whether to compress; only where the edition can.
    pub compression: bool,
    /// `MAXTRANSFERSIZE`: a multiple of 64 KiB up to 4 MiB.
    pub transfer_size: u32,
    /// `BUFFERCOUNT`; the memory it takes is this times the transfer size.
    pub buffers: u32,
    /// How many per cent between two messages.
    pub stats: u8,
}

impl BackupOptions {
    /// Options that suit LocalDB and Express as well: 64 MiB of buffers.
    pub fn new(database: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            database: database.into(),
            path: path.into(),
            name: String::from("syncferry"),
            description: String::new(),
            media_name: String::from("syncferry"),
            media_description: String::new(),
            compression: false,
            transfer_size: 4 << 20,
            buffers: 16,
            stats: 1,
        }
    }

    /// What the server would refuse or cut.
    pub fn check(&self) -> Result<(), String> {
        let limits = [
            ("database name", &self.database, 128),
            ("path", &self.path, 259),
            ("name", &self.name, 128),
            ("description", &self.description, 255),
            ("media name", &self.media_name, 128),
            ("media description", &self.media_description, 255),
        ];
        for (what, value, limit) in limits {
            let length = value.encode_utf16().count();
            if length > limit {
                return Err(format!("the {what} has {length} characters; SQL Server takes {limit}"));
            }
        }
        if self.path.is_empty() || self.database.is_empty() {
            return Err("database and path must not be empty".to_string());
        }
        if self.transfer_size == 0 || self.transfer_size > 4 << 20 || !self.transfer_size.is_multiple_of(64 << 10) {
            return Err(format!(
                "a transfer size of {} bytes is no multiple of 64 KiB up to 4 MiB",
                self.transfer_size
            ));
        }
        if self.buffers == 0 || self.stats == 0 || self.stats > 100 {
            return Err("buffers and stats must be at least 1".to_string());
        }
        Ok(())
    }
}

/// The backup.
pub fn database(options: &BackupOptions) -> Statement {
    // Without the option the instance's default decides; Express would refuse COMPRESSION, but takes NO_COMPRESSION.
    let compression = if options.compression {
        "COMPRESSION"
    } else {
        "NO_COMPRESSION"
    };
    Statement::new(
        "backup-database",
        format!(
            "DECLARE @db sysname = {db};
DECLARE @f nvarchar(259) = {path};
BACKUP DATABASE @db TO DISK = @f
WITH COPY_ONLY, FORMAT, INIT, CHECKSUM, STOP_ON_ERROR, {compression},
 NAME = {name}, DESCRIPTION = {description},
 MEDIANAME = {media_name}, MEDIADESCRIPTION = {media_description},
 MAXTRANSFERSIZE = {transfer_size}, BUFFERCOUNT = {buffers}, BLOCKSIZE = 65536, STATS = {stats};",
            db = text(&options.database),
            path = text(&options.path),
            name = text(&options.name),
            description = text(&options.description),
            media_name = text(&options.media_name),
            media_description = text(&options.media_description),
            transfer_size = options.transfer_size,
            buffers = options.buffers,
            stats = options.stats,
        ),
    )
}

pub(super) fn samples() -> Vec<Statement> {
    let options = BackupOptions {
        description: format!("{{\"migration\":\"{AWKWARD}\"}}"),
        ..BackupOptions::new(AWKWARD, format!(r"D:\stage\{AWKWARD}.bak"))
    };
    vec![database(&options)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_would_cut_is_refused() {
        let good = BackupOptions::new("ADSync", r"D:\stage\x.bak");
        assert_eq!(good.check(), Ok(()));
        let long = BackupOptions {
            path: "x".repeat(260),
            ..good.clone()
        };
        assert!(long.check().unwrap_err().contains("259"));
        let odd = BackupOptions {
            transfer_size: 100_000,
            ..good.clone()
        };
        assert!(odd.check().is_err());
        let compressed = database(&BackupOptions {
            compression: true,
            ..good.clone()
        })
        .sql;
        assert!(compressed.contains(" COMPRESSION,") && !compressed.contains("NO_COMPRESSION"));
        assert!(database(&good).sql.contains("NO_COMPRESSION"));
    }
}
