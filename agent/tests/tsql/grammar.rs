//! The grammar of BACKUP DATABASE, RESTORE and KILL as Microsoft documents it, as far as a statement of ours may use it:
//!
//! ```text
//! BACKUP DATABASE { name | @var } TO { DISK | URL | TAPE } = { 'path' | @var } [ ,...n ] [ WITH option [ ,...n ] ]
//! RESTORE DATABASE { name | @var } FROM <device> [ ,...n ] [ WITH option [ ,...n ] ]
//! RESTORE { HEADERONLY | FILELISTONLY | LABELONLY } FROM <device> [ WITH option [ ,...n ] ]
//! RESTORE VERIFYONLY FROM <device> [ ,...n ] [ WITH option [ ,...n ] ]
//! KILL { session_id [ WITH STATUSONLY ] | 'UOW' [ WITH { STATUSONLY | COMMIT | ROLLBACK } ] }
//! ```
//!
//! Sources, all at <https://learn.microsoft.com/sql/t-sql/>: `statements/backup-transact-sql`, `statements/restore-statements-transact-sql`,
//! `statements/restore-statements-arguments-transact-sql`, `statements/restore-statements-headeronly-transact-sql` and its
//! three siblings, `language-elements/kill-transact-sql`. An option that the documentation has and a statement here may
//! not have is left out on purpose: REPLACE, CONTINUE_AFTER_ERROR, PASSWORD.

use std::ops::Range;

use crate::tokens::Token;

type Piece<'a> = &'a [(Token, Range<usize>)];

/// What an option takes.
#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    /// `= 'text'` or `= @var`.
    Text,
    /// `= number` or `= @var`, with what the number may be.
    Number(fn(u64) -> bool),
    /// The same, but may stand alone.
    Percent,
    /// `'logical' TO 'file'`, and may stand often.
    Move,
}

/// Options by statement: the word, what it takes, and the group of which at most one may stand.
type Options = &'static [(&'static str, Takes, &'static str)];

const BACKUP: Options = &[
    ("COPY_ONLY", Takes::Nothing, "copy"),
    ("DIFFERENTIAL", Takes::Nothing, "differential"),
    ("COMPRESSION", Takes::Nothing, "compression"),
    ("NO_COMPRESSION", Takes::Nothing, "compression"),
    ("DESCRIPTION", Takes::Text, "description"),
    ("NAME", Takes::Text, "name"),
    ("EXPIREDATE", Takes::Text, "expiry"),
    ("RETAINDAYS", Takes::Number(any), "expiry"),
    ("NOINIT", Takes::Nothing, "init"),
    ("INIT", Takes::Nothing, "init"),
    ("NOSKIP", Takes::Nothing, "skip"),
    ("SKIP", Takes::Nothing, "skip"),
    ("NOFORMAT", Takes::Nothing, "format"),
    ("FORMAT", Takes::Nothing, "format"),
    ("MEDIADESCRIPTION", Takes::Text, "media description"),
    ("MEDIANAME", Takes::Text, "media name"),
    ("BLOCKSIZE", Takes::Number(block), "block size"),
    ("BUFFERCOUNT", Takes::Number(positive), "buffers"),
    ("MAXTRANSFERSIZE", Takes::Number(transfer), "transfer size"),
    ("NO_CHECKSUM", Takes::Nothing, "checksum"),
    ("CHECKSUM", Takes::Nothing, "checksum"),
    ("STOP_ON_ERROR", Takes::Nothing, "error"),
    ("RESTART", Takes::Nothing, "restart"),
    ("STATS", Takes::Percent, "stats"),
    ("REWIND", Takes::Nothing, "rewind"),
    ("NOREWIND", Takes::Nothing, "rewind"),
    ("UNLOAD", Takes::Nothing, "unload"),
    ("NOUNLOAD", Takes::Nothing, "unload"),
];

const RESTORE: Options = &[
    ("RECOVERY", Takes::Nothing, "recovery"),
    ("NORECOVERY", Takes::Nothing, "recovery"),
    ("STANDBY", Takes::Text, "recovery"),
    ("MOVE", Takes::Move, ""),
    ("RESTART", Takes::Nothing, "restart"),
    ("RESTRICTED_USER", Takes::Nothing, "user"),
    ("FILE", Takes::Number(positive), "file"),
    ("MEDIANAME", Takes::Text, "media name"),
    ("BLOCKSIZE", Takes::Number(block), "block size"),
    ("BUFFERCOUNT", Takes::Number(positive), "buffers"),
    ("MAXTRANSFERSIZE", Takes::Number(transfer), "transfer size"),
    ("CHECKSUM", Takes::Nothing, "checksum"),
    ("NO_CHECKSUM", Takes::Nothing, "checksum"),
    ("STOP_ON_ERROR", Takes::Nothing, "error"),
    ("STATS", Takes::Percent, "stats"),
    ("KEEP_REPLICATION", Takes::Nothing, "replication"),
    ("KEEP_CDC", Takes::Nothing, "cdc"),
    ("ENABLE_BROKER", Takes::Nothing, "broker"),
    ("NEW_BROKER", Takes::Nothing, "broker"),
    ("ERROR_BROKER_CONVERSATIONS", Takes::Nothing, "broker"),
    ("STOPAT", Takes::Text, "stop"),
];

const VERIFY: Options = &[
    ("LOADHISTORY", Takes::Nothing, "history"),
    ("MOVE", Takes::Move, ""),
    ("FILE", Takes::Number(positive), "file"),
    ("MEDIANAME", Takes::Text, "media name"),
    ("CHECKSUM", Takes::Nothing, "checksum"),
    ("NO_CHECKSUM", Takes::Nothing, "checksum"),
    ("STOP_ON_ERROR", Takes::Nothing, "error"),
    ("STATS", Takes::Percent, "stats"),
];

/// HEADERONLY and FILELISTONLY.
const LOOK: Options = &[
    ("FILE", Takes::Number(positive), "file"),
    ("MEDIANAME", Takes::Text, "media name"),
    ("CHECKSUM", Takes::Nothing, "checksum"),
    ("NO_CHECKSUM", Takes::Nothing, "checksum"),
    ("STOP_ON_ERROR", Takes::Nothing, "error"),
];

const LABEL: Options = &[
    ("MEDIANAME", Takes::Text, "media name"),
    ("CHECKSUM", Takes::Nothing, "checksum"),
    ("NO_CHECKSUM", Takes::Nothing, "checksum"),
    ("STOP_ON_ERROR", Takes::Nothing, "error"),
];

fn any(_: u64) -> bool {
    true
}
fn positive(n: u64) -> bool {
    n > 0
}
/// 512 bytes to 64 KiB, a power of two.
fn block(n: u64) -> bool {
    n.is_power_of_two() && (512..=65_536).contains(&n)
}
/// A multiple of 64 KiB up to 4 MiB.
fn transfer(n: u64) -> bool {
    n > 0 && n.is_multiple_of(65_536) && n <= 4_194_304
}

/// The family of a statement, if it belongs to one.
pub(crate) fn family(piece: Piece<'_>) -> Option<&'static str> {
    let word = |at: usize| match piece.get(at) {
        Some((Token::Word(w), _)) => w.as_str(),
        _ => "",
    };
    match (word(0), word(1)) {
        ("BACKUP", "DATABASE") => Some("BACKUP DATABASE"),
        ("RESTORE", "DATABASE") => Some("RESTORE DATABASE"),
        ("RESTORE", "HEADERONLY") => Some("RESTORE HEADERONLY"),
        ("RESTORE", "FILELISTONLY") => Some("RESTORE FILELISTONLY"),
        ("RESTORE", "LABELONLY") => Some("RESTORE LABELONLY"),
        ("RESTORE", "VERIFYONLY") => Some("RESTORE VERIFYONLY"),
        ("KILL", _) => Some("KILL"),
        ("BACKUP" | "RESTORE", _) => Some("unknown"),
        _ => None,
    }
}

/// Whether a statement belongs to a family that sqlfluff does not know.
pub(crate) fn is_family(piece: Piece<'_>) -> bool {
    family(piece).is_some()
}

/// Reads a statement of a family to its end.
pub(crate) fn check(piece: Piece<'_>) -> Result<(), String> {
    let mut reader = Reader {
        tokens: piece.iter().map(|(t, _)| t).collect(),
        at: 0,
    };
    match family(piece) {
        Some("BACKUP DATABASE") => {
            reader.words(&["BACKUP", "DATABASE"])?;
            reader.name()?;
            reader.word("TO")?;
            reader.devices(64)?;
            reader.options(BACKUP)
        }
        Some("RESTORE DATABASE") => {
            reader.words(&["RESTORE", "DATABASE"])?;
            reader.name()?;
            reader.word("FROM")?;
            reader.devices(64)?;
            reader.options(RESTORE)
        }
        Some("RESTORE HEADERONLY") => reader.medium("HEADERONLY", 1, LOOK),
        Some("RESTORE FILELISTONLY") => reader.medium("FILELISTONLY", 1, LOOK),
        Some("RESTORE LABELONLY") => reader.medium("LABELONLY", 1, LABEL),
        Some("RESTORE VERIFYONLY") => reader.medium("VERIFYONLY", 64, VERIFY),
        Some("KILL") => reader.kill(),
        other => Err(format!("{other:?} has no grammar here")),
    }
}

struct Reader<'a> {
    tokens: Vec<&'a Token>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        token
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Word(w)) if w == word)
    }

    fn is_symbol(&self, symbol: char) -> bool {
        self.tokens.get(self.at) == Some(&&Token::Symbol(symbol))
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        match self.next() {
            Some(Token::Word(w)) if w == word => Ok(()),
            other => Err(format!("{word} expected, found {other:?}")),
        }
    }

    fn words(&mut self, words: &[&str]) -> Result<(), String> {
        words.iter().try_for_each(|w| self.word(w))
    }

    fn symbol(&mut self, symbol: char) -> Result<(), String> {
        match self.next() {
            Some(Token::Symbol(s)) if *s == symbol => Ok(()),
            other => Err(format!("'{symbol}' expected, found {other:?}")),
        }
    }

    /// A database's name or a variable with it.
    fn name(&mut self) -> Result<(), String> {
        match self.next() {
            Some(Token::Delimited(n)) if (1..=128).contains(&n.encode_utf16().count()) => Ok(()),
            Some(Token::Variable(_)) => Ok(()),
            other => Err(format!("a delimited name expected, found {other:?}")),
        }
    }

    fn text(&mut self) -> Result<(), String> {
        match self.next() {
            Some(Token::Text(_) | Token::Variable(_)) => Ok(()),
            other => Err(format!("a text expected, found {other:?}")),
        }
    }

    fn devices(&mut self, most: usize) -> Result<(), String> {
        for _ in 0..most {
            match self.next() {
                Some(Token::Word(w)) if matches!(w.as_str(), "DISK" | "URL" | "TAPE") => {}
                other => return Err(format!("a device expected, found {other:?}")),
            }
            self.symbol('=')?;
            self.text()?;
            if !self.is_symbol(',') {
                return Ok(());
            }
            self.at += 1;
        }
        Err(format!("more than {most} devices"))
    }

    fn medium(&mut self, what: &str, devices: usize, options: Options) -> Result<(), String> {
        self.words(&["RESTORE", what, "FROM"])?;
        self.devices(devices)?;
        self.options(options)
    }

    /// WITH and its list, or nothing, and then the end.
    fn options(&mut self, known: Options) -> Result<(), String> {
        if self.at == self.tokens.len() {
            return Ok(());
        }
        self.word("WITH")?;
        let mut groups = Vec::new();
        loop {
            let Some(Token::Word(word)) = self.next() else {
                return Err("an option expected".to_string());
            };
            let option = known.iter().find(|(w, ..)| w == word);
            let (_, takes, group) = option.ok_or_else(|| format!("{word} is no option of this statement"))?;
            if !group.is_empty() && groups.contains(group) {
                return Err(format!("{word} contradicts or repeats another option"));
            }
            groups.push(group);
            self.value(*takes).map_err(|e| format!("{word}: {e}"))?;
            if self.at == self.tokens.len() {
                return Ok(());
            }
            self.symbol(',')?;
        }
    }

    fn value(&mut self, takes: Takes) -> Result<(), String> {
        match takes {
            Takes::Nothing => Ok(()),
            Takes::Text => {
                self.symbol('=')?;
                self.text()
            }
            Takes::Number(fits) => {
                self.symbol('=')?;
                self.number(fits)
            }
            Takes::Percent if !self.is_symbol('=') => Ok(()),
            Takes::Percent => {
                self.symbol('=')?;
                self.number(|n| (1..=100).contains(&n))
            }
            Takes::Move => {
                self.text()?;
                self.word("TO")?;
                self.text()
            }
        }
    }

    fn number(&mut self, fits: fn(u64) -> bool) -> Result<(), String> {
        match self.next() {
            Some(Token::Number(n)) if fits(*n) => Ok(()),
            Some(Token::Variable(_)) => Ok(()),
            other => Err(format!("{other:?} is not what it takes")),
        }
    }

    fn kill(&mut self) -> Result<(), String> {
        self.word("KILL")?;
        let by_work = match self.next() {
            Some(Token::Number(1..=32_767)) => false,
            Some(Token::Text(_)) => true,
            other => return Err(format!("a session id expected, found {other:?}")),
        };
        if self.at == self.tokens.len() {
            return Ok(());
        }
        self.word("WITH")?;
        let how = if by_work {
            ["STATUSONLY", "COMMIT", "ROLLBACK"].as_slice()
        } else {
            &["STATUSONLY"]
        };
        if !how.iter().any(|w| self.is_word(w)) {
            return Err("STATUSONLY expected".to_string());
        }
        self.at += 1;
        (self.at == self.tokens.len())
            .then_some(())
            .ok_or_else(|| "something follows".to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tokens::Batch;

    fn checked(sql: &str) -> Result<(), String> {
        check(Batch::read(sql).unwrap().pieces()[0])
    }

    /// Microsoft's own examples, as far as they use what is known here.
    #[test]
    fn documented_examples_are_taken() {
        for sql in [
            r"BACKUP DATABASE [AdventureWorks2022] TO DISK = 'Z:\SQLServerBackups\AdvWorksData.bak' WITH FORMAT;",
            r"BACKUP DATABASE [MyAdvWorks] TO DISK = 'X:\a.bak', DISK = 'Y:\b.bak' WITH FORMAT, MEDIANAME = 'x', MEDIADESCRIPTION = 'y'",
            r"BACKUP DATABASE @db TO DISK = @f WITH STATS",
            r"RESTORE DATABASE [AdventureWorks2022] FROM DISK = 'Z:\a.bak' WITH FILE = 6, NORECOVERY;",
            r"RESTORE DATABASE [x] FROM DISK = 'a' WITH NORECOVERY, MOVE 'a_Data' TO 'D:\a.mdf', MOVE 'a_Log' TO 'D:\a.ldf'",
            r"RESTORE DATABASE [x] FROM DISK = 'a'",
            r"RESTORE HEADERONLY FROM DISK = N'C:\AdventureWorks-FullBackup.bak'",
            r"RESTORE FILELISTONLY FROM DISK = 'a' WITH FILE=2",
            r"RESTORE VERIFYONLY FROM DISK = 'D:\AdventureWorks.bak', DISK = 'E:\b.bak' WITH CHECKSUM",
            "KILL 53",
            "KILL 54 WITH STATUSONLY",
            "KILL 'D5499C66-E398-45CA-BF7E-DC9C194B48CF' WITH ROLLBACK",
        ] {
            assert_eq!(checked(sql), Ok(()), "{sql}");
        }
    }

    #[test]
    fn what_is_not_documented_is_refused() {
        for sql in [
            "BACKUP DATABASE [x] TO DISK 'a'",
            "BACKUP DATABASE [x] DISK = 'a'",
            "BACKUP DATABASE TO DISK = 'a'",
            "BACKUP DATABASE [x] TO DISK = 'a' WITH",
            "BACKUP DATABASE [x] TO DISK = 'a' WITH COPYONLY",
            "BACKUP DATABASE [x] TO DISK = 'a' WITH COPY_ONLY FORMAT",
            "BACKUP DATABASE [x] TO DISK = 'a' WITH COPY_ONLY, COPY_ONLY",
            "BACKUP DATABASE [x] TO DISK = 'a' WITH CHECKSUM, NO_CHECKSUM",
            "BACKUP DATABASE [x] TO DISK = 'a' WITH MAXTRANSFERSIZE = 100000",
            "BACKUP DATABASE [x] TO DISK = 'a' WITH BLOCKSIZE = 131072",
            "BACKUP DATABASE [x] TO DISK = 'a' WITH STATS = 101",
            "BACKUP DATABASE [x] TO DISK = 'a' WITH RECOVERY",
            "BACKUP DATABASE [x] TO DISK = 'a' WITH NAME = 7",
            "BACKUP LOG [x] TO DISK = 'a'",
            "RESTORE DATABASE [x] FROM DISK = 'a' WITH REPLACE",
            "RESTORE DATABASE [x] FROM DISK = 'a' WITH COPY_ONLY",
            "RESTORE DATABASE [x] FROM DISK = 'a' WITH MOVE 'a', RECOVERY",
            "RESTORE DATABASE [x] FROM DISK = 'a' WITH RECOVERY, NORECOVERY",
            "RESTORE HEADERONLY FROM DISK = 'a', DISK = 'b'",
            "RESTORE HEADERONLY FROM DISK = 'a' WITH STATS = 5",
            "RESTORE LABELONLY FROM DISK = 'a' WITH FILE = 1",
            "RESTORE FILELISTONLY DISK = 'a'",
            "KILL",
            "KILL [57]",
            "KILL 57 WITH ROLLBACK",
            "KILL 57 58",
        ] {
            assert!(checked(sql).is_err(), "{sql}");
        }
    }
}
