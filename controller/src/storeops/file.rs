//! The file of a backup. Lines of text: the format, the head, a line for each row, a line for each file that comes along, the
//! end, and last the BLAKE3 of everything before it. So a byte that changed anywhere is found, and so is a file that was cut
//! off or added to.
//!
//! ```text
//! syncferry-store-backup 1
//! {"version":…,"schema":8,"store":…,"tables":[…]}
//! ["org",["01932c5e-…",…]]
//! {"file":"identity/ca.key","text":"…"}
//! {"rows":{…},"chains":{…}}
//! blake3 4f0c…
//! ```

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use syncferry_shared::secret::Secret;
use syncferry_store::portable::{Row, Shape};

use super::manifest::{FORMAT, Head, Tail};
use super::rows;

/// A line longer than this is no line of ours.
const MOST_LINE: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
struct Along {
    file: String,
    text: String,
}

/// A backup that is being written. Until it is finished it has another name; dropped before, it is removed.
pub struct Writer {
    out: Option<BufWriter<File>>,
    hash: blake3::Hasher,
    path: PathBuf,
    partial: PathBuf,
    shapes: Vec<Shape>,
    tail: Tail,
}

impl Writer {
    /// Begins a file, for its owner alone. It must not be there yet.
    pub fn create(path: &Path, head: &Head, shapes: &[Shape]) -> anyhow::Result<Self> {
        if path.exists() {
            bail!("{} is there already; a backup never replaces a file", path.display());
        }
        let partial = path.with_added_extension("partial");
        // What an interrupted backup left; nobody else gives files such names.
        let _ = std::fs::remove_file(&partial);
        let file = private(&partial).with_context(|| format!("{} cannot be made", partial.display()))?;
        let mut writer = Self {
            out: Some(BufWriter::new(file)),
            hash: blake3::Hasher::new(),
            path: path.to_path_buf(),
            partial,
            shapes: shapes.to_vec(),
            tail: Tail::default(),
        };
        writer.line(FORMAT)?;
        writer.line(&serde_json::to_string(head)?)?;
        Ok(writer)
    }

    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        self.raw(line)
    }

    fn raw(&mut self, line: &str) -> anyhow::Result<()> {
        let Some(out) = &mut self.out else {
            bail!("the backup is finished")
        };
        let written = out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n"));
        written.with_context(|| format!("{} cannot be written", self.partial.display()))
    }

    /// Adds a row.
    pub fn row(&mut self, table: usize, row: &Row) -> anyhow::Result<()> {
        let Some(shape) = self.shapes.get(table) else {
            bail!("there is no table {table}")
        };
        let line = rows::line(&shape.name, row);
        self.tail.see(shape, row);
        self.line(&line)
    }

    /// Adds a file that comes along.
    pub fn along(&mut self, name: &str, text: &Secret) -> anyhow::Result<()> {
        let along = Along {
            file: name.to_string(),
            text: text.reveal().to_string(),
        };
        self.line(&serde_json::to_string(&along)?)
    }

    /// Writes the end, makes it durable, and gives the file its name. Returns what it came to and its hash.
    pub fn finish(mut self) -> anyhow::Result<(Tail, String)> {
        let tail = self.tail.clone();
        self.line(&serde_json::to_string(&tail)?)?;
        let hash = self.hash.finalize().to_hex().to_string();
        self.raw(&format!("blake3 {hash}"))?;
        let durable = || format!("{} cannot be made durable", self.partial.display());
        let Some(out) = self.out.take() else {
            bail!("the backup is finished")
        };
        let file = out
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .with_context(durable)?;
        file.sync_all().with_context(durable)?;
        // A link refuses a name that is taken; a rename would replace it.
        std::fs::hard_link(&self.partial, &self.path)
            .with_context(|| format!("{} cannot get its name; is it there already?", self.path.display()))?;
        std::fs::remove_file(&self.partial).with_context(durable)?;
        if let Some(folder) = self.path.parent() {
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            File::open(folder).and_then(|f| f.sync_all()).with_context(durable)?;
        }
        Ok((tail, hash))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.out.is_some() {
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

#[cfg(unix)]
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> std::io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

/// What a line of a backup is.
pub enum Item {
    /// A row of a table.
    Row(usize, Row),
    /// A file that comes along.
    Along(String, Secret),
    /// The end: everything before it was whole.
    End(Tail, String),
}

/// A backup that is being read. What it gives counts only when it has given its [`Item::End`].
pub struct Reader {
    lines: BufReader<File>,
    hash: blake3::Hasher,
    /// What it says of itself.
    pub head: Head,
    /// Its tables.
    pub shapes: Vec<Shape>,
    tail: Tail,
    path: PathBuf,
    number: u64,
}

impl Reader {
    /// Opens a backup and reads its head.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut lines = BufReader::new(file);
        let mut hash = blake3::Hasher::new();
        let name = path.display().to_string();
        let damaged = |e: String| anyhow::anyhow!("{name} is no whole backup: {e}");
        let format = next(&mut lines).map_err(damaged)?.unwrap_or_default();
        if format != FORMAT {
            bail!(
                "{name} is no backup that this version reads: it begins with '{}'",
                format.chars().take(40).collect::<String>()
            );
        }
        let head = next(&mut lines).map_err(damaged)?.unwrap_or_default();
        for line in [&format, &head] {
            hash.update(line.as_bytes());
            hash.update(b"\n");
        }
        let head: Head = serde_json::from_str(&head).map_err(|e| damaged(format!("its head cannot be read: {e}")))?;
        let shapes: Option<Vec<Shape>> = head.tables.iter().map(super::manifest::Table::shape).collect();
        let shapes = shapes.ok_or_else(|| damaged("its head describes tables in unknown words".into()))?;
        Ok(Self {
            lines,
            hash,
            head,
            shapes,
            tail: Tail::default(),
            path: path.to_path_buf(),
            number: 2,
        })
    }

    /// The next item, or what is wrong with the file. After the end there is nothing.
    pub fn item(&mut self) -> anyhow::Result<Item> {
        let (path, number) = (self.path.clone(), self.number + 1);
        self.read().map_err(|why| {
            anyhow::anyhow!(
                "{} is damaged at line {number}: {why}. Use another backup; this one cannot be trusted",
                path.display()
            )
        })
    }

    fn read(&mut self) -> Result<Item, String> {
        let line = next(&mut self.lines)?.ok_or("it ends here: it was cut off")?;
        self.number += 1;
        if line.starts_with("{\"rows\"") {
            return self.end(line);
        }
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        if line.starts_with('{') {
            let along: Along = serde_json::from_str(&line).map_err(|e| e.to_string())?;
            return Ok(Item::Along(along.file, Secret::new(along.text)));
        }
        let (table, row) = rows::read(&line, &self.shapes)?;
        self.tail.see(&self.shapes[table], &row);
        Ok(Item::Row(table, row))
    }

    fn end(&mut self, line: String) -> Result<Item, String> {
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        let expected = self.hash.finalize().to_hex().to_string();
        let last = next(&mut self.lines)?.ok_or("its hash is missing: it was cut off")?;
        if last != format!("blake3 {expected}") {
            return Err("its hash does not fit what stands before it".into());
        }
        let mut more = Vec::new();
        self.lines
            .by_ref()
            .take(1)
            .read_to_end(&mut more)
            .map_err(|e| e.to_string())?;
        if !more.is_empty() {
            return Err("something was added behind its end".into());
        }
        let tail: Tail = serde_json::from_str(&line).map_err(|e| e.to_string())?;
        let promised = self
            .head
            .tables
            .iter()
            .filter(|t| t.rows > 0)
            .map(|t| (t.name.clone(), t.rows));
        if tail != self.tail || tail.rows != promised.collect() {
            return Err("its rows are not those that it counts".into());
        }
        Ok(Item::End(tail, expected))
    }
}

/// The next line without its end. One that does not end was cut off.
fn next(lines: &mut BufReader<File>) -> Result<Option<String>, String> {
    let mut bytes = Vec::new();
    let read = lines.by_ref().take(MOST_LINE).read_until(b'\n', &mut bytes);
    if read.map_err(|e| e.to_string())? == 0 {
        return Ok(None);
    }
    if bytes.pop() != Some(b'\n') {
        return Err("a line does not end: it was cut off".into());
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| "a line is no text".into())
}
