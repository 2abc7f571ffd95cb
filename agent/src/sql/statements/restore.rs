//! RESTORE DATABASE: under a temporary name, with files of its own, never over anything. Not even the word for overwriting
//! exists here.

use super::{AWKWARD, Statement};
use crate::sql::quote::{ident, text};

/// How a backup is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreOptions {
    /// The temporary name ([`crate::sql::temporary`]).
    pub temporary_name: String,
    /// The backup file, as the server names it.
    pub path: String,
    /// Where every file of the set goes: one entry per row of FILELISTONLY.
    pub moves: Vec<FileMove>,
    /// The medium's name: another medium is refused.
    pub media_name: Option<String>,
    /// `MAXTRANSFERSIZE`.
    pub transfer_size: u32,
    /// `BUFFERCOUNT`.
    pub buffers: u32,
    /// How many per cent between two messages.
    pub stats: u8,
    /// Whether the set has checksums, so that they can be asked for.
    pub checksums: bool,
}

/// Where a file goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMove {
    /// The logical name in the set.
    pub logical_name: String,
    /// The new file.
    pub to: String,
}

impl RestoreOptions {
    /// Options with the buffers that a backup uses as well.
    pub fn new(temporary_name: impl Into<String>, path: impl Into<String>, moves: Vec<FileMove>) -> Self {
        Self {
            temporary_name: temporary_name.into(),
            path: path.into(),
            moves,
            media_name: None,
            transfer_size: 4 << 20,
            buffers: 16,
            stats: 1,
            checksums: true,
        }
    }

    /// What must not reach the server.
    pub fn check(&self) -> Result<(), String> {
        if !crate::sql::temporary::is_temporary(&self.temporary_name) {
            return Err(format!("'{}' is not a temporary name", self.temporary_name));
        }
        if self.moves.is_empty() {
            return Err("no file has a place to go to".to_string());
        }
        let mut places: Vec<String> = self.moves.iter().map(|m| m.to.to_lowercase()).collect();
        places.sort_unstable();
        if let Some(twice) = places.windows(2).find(|w| w[0] == w[1]) {
            return Err(format!("two files would go to '{}'", twice[0]));
        }
        match places.iter().find(|p| p.encode_utf16().count() > 259) {
            Some(long) => Err(format!("the path '{long}' is longer than 259 characters")),
            None => Ok(()),
        }
    }
}

/// The restore.
pub fn database(options: &RestoreOptions) -> Statement {
    let moves: String = options
        .moves
        .iter()
        .map(|m| format!(" MOVE {} TO {},\n", text(&m.logical_name), text(&m.to)))
        .collect();
    let media = options.media_name.as_ref();
    let media = media.map_or_else(String::new, |name| format!(" MEDIANAME = {},\n", text(name)));
    Statement::new(
        "restore-database",
        format!(
            "DECLARE @f nvarchar(259) = {path};
RESTORE DATABASE {name}
FROM DISK = @f
WITH FILE = 1, {checksum}STOP_ON_ERROR, STATS = {stats},
{moves}{media} MAXTRANSFERSIZE = {transfer_size}, BUFFERCOUNT = {buffers},
 RESTRICTED_USER, RECOVERY;",
            path = text(&options.path),
            name = ident(&options.temporary_name),
            checksum = if options.checksums { "CHECKSUM, " } else { "" },
            stats = options.stats,
            transfer_size = options.transfer_size,
            buffers = options.buffers,
        ),
    )
}

pub(super) fn samples() -> Vec<Statement> {
    let moves = [("data", "mdf"), ("log", "ldf")].map(|(logical, extension)| FileMove {
        logical_name: format!("{AWKWARD}_{logical}"),
        to: format!(r"E:\Data\{AWKWARD}.{extension}"),
    });
    let mut options = RestoreOptions::new(
        format!("{AWKWARD}__syncferry_0a1b2c3d"),
        format!(r"D:\stage\{AWKWARD}.bak"),
        moves.to_vec(),
    );
    options.media_name = Some(AWKWARD.to_string());
    vec![database(&options)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporary_names_and_distinct_files() {
        let to = |f: &str| FileMove {
            logical_name: f.to_string(),
            to: format!(r"E:\{f}.mdf"),
        };
        let good = RestoreOptions::new("ADSync__syncferry_0a1b2c3d", r"D:\x.bak", vec![to("a"), to("b")]);
        assert_eq!(good.check(), Ok(()));
        let final_name = RestoreOptions {
            temporary_name: "ADSync".into(),
            ..good.clone()
        };
        assert!(final_name.check().unwrap_err().contains("temporary"));
        let twice = RestoreOptions {
            moves: vec![to("a"), to("A")],
            ..good.clone()
        };
        assert!(twice.check().unwrap_err().contains("two files"));
        assert!(RestoreOptions { moves: vec![], ..good }.check().is_err());
    }
}
