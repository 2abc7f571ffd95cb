//! BACKUP and RESTORE with all their options. An unknown option is 155, a known one with a wrong form 102.

use super::Parser;
use crate::engine::ast::{Backup, BackupKind, Device, DeviceKind, Expr, Kind, MediaOption, Restore, RestoreKind};
use crate::engine::errors::{Result, err};
use crate::engine::lexer::Tok;

/// How an option is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Alone.
    Flag,
    /// `= value`.
    Value,
    /// Alone or with a value: STATS.
    Either,
}

use Form::{Either, Flag, Value};

const BACKUP: &[(&str, Form)] = &[
    ("BLOCKSIZE", Value),
    ("BUFFERCOUNT", Value),
    ("CHECKSUM", Flag),
    ("NO_CHECKSUM", Flag),
    ("STOP_ON_ERROR", Flag),
    ("CONTINUE_AFTER_ERROR", Flag),
    ("COPY_ONLY", Flag),
    ("NO_COMPRESSION", Flag),
    ("CREDENTIAL", Value),
    ("DESCRIPTION", Value),
    ("DIFFERENTIAL", Flag),
    ("EXPIREDATE", Value),
    ("RETAINDAYS", Value),
    ("FORMAT", Flag),
    ("NOFORMAT", Flag),
    ("INIT", Flag),
    ("NOINIT", Flag),
    ("MAXTRANSFERSIZE", Value),
    ("MEDIADESCRIPTION", Value),
    ("MEDIANAME", Value),
    ("NAME", Value),
    ("SKIP", Flag),
    ("NOSKIP", Flag),
    ("REWIND", Flag),
    ("NOREWIND", Flag),
    ("UNLOAD", Flag),
    ("NOUNLOAD", Flag),
    ("STATS", Either),
    ("NORECOVERY", Flag),
    ("STANDBY", Value),
    ("NO_TRUNCATE", Flag),
    ("RESTART", Flag),
    ("BACKUP_OPTIONS", Value),
];

const RESTORE: &[(&str, Form)] = &[
    ("BLOCKSIZE", Value),
    ("BUFFERCOUNT", Value),
    ("CHECKSUM", Flag),
    ("NO_CHECKSUM", Flag),
    ("STOP_ON_ERROR", Flag),
    ("CONTINUE_AFTER_ERROR", Flag),
    ("CREDENTIAL", Value),
    ("ENABLE_BROKER", Flag),
    ("ERROR_BROKER_CONVERSATIONS", Flag),
    ("NEW_BROKER", Flag),
    ("FILE", Value),
    ("KEEP_CDC", Flag),
    ("KEEP_REPLICATION", Flag),
    ("LOADHISTORY", Flag),
    ("MAXTRANSFERSIZE", Value),
    ("MEDIANAME", Value),
    ("MEDIAPASSWORD", Value),
    ("PASSWORD", Value),
    ("NORECOVERY", Flag),
    ("RECOVERY", Flag),
    ("STANDBY", Value),
    ("REWIND", Flag),
    ("NOREWIND", Flag),
    ("UNLOAD", Flag),
    ("NOUNLOAD", Flag),
    ("PARTIAL", Flag),
    ("REPLACE", Flag),
    ("RESTART", Flag),
    ("RESTRICTED_USER", Flag),
    ("STATS", Either),
    ("STOPAT", Value),
    ("STOPATMARK", Value),
    ("STOPBEFOREMARK", Value),
    ("RESTORE_OPTIONS", Value),
];

impl Parser<'_> {
    pub(super) fn backup(&mut self) -> Result<Kind> {
        self.at += 1;
        let kind = match self.eat_any(&["DATABASE", "LOG"]).as_deref() {
            Some("DATABASE") => BackupKind::Database,
            Some(_) => BackupKind::Log,
            None => return Err(self.syntax()),
        };
        let database = self.database_name()?;
        self.expect_word("TO")?;
        let devices = self.list(Self::device)?;
        self.same_class(&devices)?;
        let options = if self.eat_word("WITH") {
            self.backup_options()?
        } else {
            Vec::new()
        };
        Ok(Kind::Backup(Box::new(Backup {
            kind,
            database,
            devices,
            options,
        })))
    }

    pub(super) fn restore(&mut self) -> Result<Kind> {
        self.at += 1;
        let word = self.eat_any(&[
            "DATABASE",
            "LOG",
            "HEADERONLY",
            "FILELISTONLY",
            "LABELONLY",
            "VERIFYONLY",
        ]);
        let kind = match word.as_deref() {
            Some("DATABASE") => RestoreKind::Database,
            Some("LOG") => RestoreKind::Log,
            Some("HEADERONLY") => RestoreKind::HeaderOnly,
            Some("FILELISTONLY") => RestoreKind::FileListOnly,
            Some("LABELONLY") => RestoreKind::LabelOnly,
            Some(_) => RestoreKind::VerifyOnly,
            None => return Err(self.syntax()),
        };
        let named = matches!(kind, RestoreKind::Database | RestoreKind::Log);
        let database = if named { Some(self.database_name()?) } else { None };
        let mut devices = Vec::new();
        // RESTORE DATABASE x WITH RECOVERY has no FROM; the reading forms need one.
        if !named || self.word("FROM") {
            self.expect_word("FROM")?;
            devices = self.list(Self::device)?;
            self.same_class(&devices)?;
        }
        let mut restore = Restore {
            kind,
            database,
            devices,
            moves: Vec::new(),
            options: Vec::new(),
        };
        if self.eat_word("WITH") {
            self.restore_options(&mut restore)?;
        }
        Ok(Kind::Restore(Box::new(restore)))
    }

    fn database_name(&mut self) -> Result<Expr> {
        if matches!(self.tok(), Tok::Var(_)) {
            return Ok(Expr::Var(self.variable()?));
        }
        Ok(Expr::Str(self.identifier()?, true))
    }

    fn device(&mut self) -> Result<Device> {
        let kind = match self.eat_any(&["DISK", "URL", "TAPE"]).as_deref() {
            Some("DISK") => DeviceKind::Disk,
            Some("URL") => DeviceKind::Url,
            Some(_) => DeviceKind::Tape,
            None => return self.logical_device(),
        };
        self.expect("=")?;
        Ok(Device {
            kind,
            path: self.text_or_variable()?,
        })
    }

    fn logical_device(&mut self) -> Result<Device> {
        let path = if matches!(self.tok(), Tok::Var(_)) {
            Expr::Var(self.variable()?)
        } else {
            Expr::Str(self.identifier()?, true)
        };
        Ok(Device {
            kind: DeviceKind::Logical,
            path,
        })
    }

    fn same_class(&self, devices: &[Device]) -> Result<()> {
        if devices.len() > 64 {
            return Err(self.syntax());
        }
        let mixed = devices.iter().any(|d| d.kind != devices[0].kind);
        if mixed { Err(err!(3011).at(self.line())) } else { Ok(()) }
    }

    fn text_or_variable(&mut self) -> Result<Expr> {
        match self.tok().clone() {
            Tok::Str(text, national) => {
                self.at += 1;
                Ok(Expr::Str(text, national))
            }
            Tok::Var(_) => Ok(Expr::Var(self.variable()?)),
            _ => Err(self.syntax()),
        }
    }

    fn option_setting(&mut self) -> Result<Expr> {
        match self.tok().clone() {
            Tok::Int(_) => Ok(Expr::Int(self.integer()?)),
            _ => self.text_or_variable(),
        }
    }

    fn backup_options(&mut self) -> Result<Vec<MediaOption>> {
        let mut options = Vec::new();
        loop {
            if self.eat_word("COMPRESSION") {
                options.push(MediaOption {
                    name: "COMPRESSION".to_owned(),
                    value: None,
                });
                self.compression(&mut options)?;
            } else if self.word("ENCRYPTION") {
                self.encryption(&mut options)?;
            } else {
                options.push(self.media_option(BACKUP, "BACKUP")?);
            }
            if !self.eat(",") {
                return Ok(options);
            }
        }
    }

    /// `COMPRESSION (ALGORITHM = ZSTD, LEVEL = HIGH)`.
    fn compression(&mut self, options: &mut Vec<MediaOption>) -> Result<()> {
        if !self.eat("(") {
            return Ok(());
        }
        loop {
            let key = self.eat_any(&["ALGORITHM", "LEVEL"]).ok_or_else(|| self.syntax())?;
            self.expect("=")?;
            let value = self
                .eat_any(&["MS_XPRESS", "QAT_DEFLATE", "ZSTD", "LOW", "MEDIUM", "HIGH"])
                .ok_or_else(|| self.syntax())?;
            options.push(MediaOption {
                name: format!("COMPRESSION {key}"),
                value: Some(Expr::Str(value, true)),
            });
            if !self.eat(",") {
                break;
            }
        }
        self.expect(")")
    }

    /// `ENCRYPTION (ALGORITHM = AES_256, SERVER CERTIFICATE = c)`.
    fn encryption(&mut self, options: &mut Vec<MediaOption>) -> Result<()> {
        self.at += 1;
        self.expect("(")?;
        self.expect_word("ALGORITHM")?;
        self.expect("=")?;
        let algorithm = self
            .eat_any(&["AES_128", "AES_192", "AES_256", "TRIPLE_DES_3KEY"])
            .ok_or_else(|| self.syntax())?;
        self.expect(",")?;
        self.expect_word("SERVER")?;
        if self.eat_word("ASYMMETRIC") {
            self.expect_word("KEY")?;
        } else {
            self.expect_word("CERTIFICATE")?;
        }
        self.expect("=")?;
        let certificate = self.identifier()?;
        self.expect(")")?;
        options.push(MediaOption {
            name: "ENCRYPTION".to_owned(),
            value: Some(Expr::Str(algorithm, true)),
        });
        options.push(MediaOption {
            name: "SERVER CERTIFICATE".to_owned(),
            value: Some(Expr::Str(certificate, true)),
        });
        Ok(())
    }

    fn restore_options(&mut self, restore: &mut Restore) -> Result<()> {
        loop {
            if self.eat_word("MOVE") {
                let logical = self.text_or_variable()?;
                self.expect_word("TO")?;
                restore.moves.push((logical, self.text_or_variable()?));
            } else {
                let option = self.media_option(RESTORE, "RESTORE")?;
                restore.options.push(option);
            }
            if !self.eat(",") {
                return Ok(());
            }
        }
    }

    fn media_option(&mut self, known: &[(&str, Form)], statement: &str) -> Result<MediaOption> {
        let at = self.at;
        let name = self.any_word()?;
        let Some((_, form)) = known.iter().find(|(n, _)| *n == name) else {
            return Err(err!(155, self.near(&self.tokens[at]), statement).at(self.tokens[at].line));
        };
        let value = match form {
            Flag => None,
            Either if !self.sym("=") => None,
            Value | Either => {
                self.expect("=")?;
                Some(self.option_setting()?)
            }
        };
        Ok(MediaOption { name, value })
    }
}
