//! Transcripts of real runs that stand in the documentation: `docs/WALKTHROUGH.md` and `docs/transcripts/`. A test makes each from
//! what a run printed and holds it against what stands there; ids, hashes and times differ from run to run and stand there as
//! such. `UPDATE_DOCS=1` writes them anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Fewer things than this never happen in a run: what was taken for one is something else.
const LEAST: usize = 15;

/// What a document begins with, and where it is.
#[derive(Debug)]
pub struct Transcript {
    path: PathBuf,
    introduction: String,
}

impl Transcript {
    /// A page of the documentation, by its path below `docs/`.
    pub fn page(path: &str, introduction: &str) -> Transcript {
        Transcript {
            path: Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(path),
            introduction: introduction.to_string(),
        }
    }

    /// The transcript of a scenario: `cargo lab WORDS`, and what it prints.
    pub fn scenario(name: &str, words: &str, about: &str) -> Transcript {
        let introduction = format!(
            "# {name}\n\n{about}\n\nThis is what `cargo lab {words}` prints, with the commands that operators type (`$`) and what they see.\n\
             A test made it and holds it against the code; ids, hashes and times are replaced by words.\n\n```text\n"
        );
        Transcript::page(&format!("transcripts/{name}.md"), &introduction)
    }

    /// Holds the page against what a run in a folder printed: the same things happened.
    ///
    /// # Panics
    /// When it is not what happens.
    pub fn is_what_happens(&self, output: &str, dir: &Path) {
        let text = plain(output, dir);
        let now = happened(&text);
        assert!(now.len() >= LEAST, "the run tells what happens: {now:#?}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let page = format!("{}{}\n```\n", self.introduction, text.trim_end());
            write(&self.path, &page);
        }
        let written = std::fs::read_to_string(&self.path).unwrap_or_default();
        let before = happened(&written);
        let gone: Vec<&String> = before.difference(&now).collect();
        let new: Vec<&String> = now.difference(&before).collect();
        assert!(
            gone.is_empty() && new.is_empty(),
            "{}: no longer happens: {gone:#?}; happens now: {new:#?}; run the test with UPDATE_DOCS=1 and read the difference",
            self.path.display()
        );
    }
}

fn write(path: &Path, page: &str) {
    let written = std::fs::write(path, page);
    assert!(written.is_ok(), "{}: {written:?}", path.display());
}

/// The same text for every run: what differs is replaced by words.
pub fn plain(output: &str, dir: &Path) -> String {
    let output = output.replace(&dir.display().to_string(), "syncferry-lab");
    let mut text = String::new();
    let mut word = String::new();
    for c in output.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.') {
            word.push(c);
            continue;
        }
        text.push_str(&plain_word(&word));
        word.clear();
        text.push(c);
    }
    text.push_str(&plain_word(&word));
    text
}

fn plain_word(word: &str) -> String {
    let bare = word.trim_matches(['.', ':']);
    let hex = |w: &str| w.bytes().all(|b| b.is_ascii_hexdigit());
    let digits = bare.bytes().filter(u8::is_ascii_digit).count();
    let is_uuid = bare.len() == 36 && hex(&bare.replace('-', "")) && bare.matches('-').count() == 4;
    let is_time = bare.len() >= 20 && bare.ends_with('Z') && bare.contains('T');
    let put = |name: &str| word.replace(bare, name);
    match bare {
        _ if is_uuid => put("(id)"),
        _ if is_time => put("(time)"),
        _ if bare.len() >= 12 && hex(bare) => put("(hash)"),
        // The tail of an id; numbers of bytes and pages have no letters.
        _ if bare.len() == 8 && hex(bare) && digits > 0 && digits < 8 => put("(id)"),
        _ => word.to_string(),
    }
}

/// What happened, without order and numbers: kind, actor, and what it was about.
fn happened(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(number) = words.next() else { continue };
        if number.parse::<u32>().is_err() || words.next() != Some("(time)") {
            continue;
        }
        let kind = words.next().unwrap_or_default();
        let more = if kind.starts_with("step.") { 3 } else { 2 };
        let rest: Vec<&str> = words.take(more).collect();
        found.insert(format!("{kind} {}", rest.join(" ")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_replaced() {
        let dir = Path::new("/tmp/x/lab");
        let said =
            "/tmp/x/lab/a 01a2056c-3299-7299-b051-e55795baa655. 2026-11-22T22:41:46Z e55795ba b4fe5ac7a4b3… 12345678";
        assert_eq!(plain(said, dir), "syncferry-lab/a (id). (time) (id) (hash)… 12345678");
        let line = "  5 (time)  job.ready   controller   verify-source";
        assert_eq!(
            happened(line).into_iter().collect::<Vec<_>>(),
            ["job.ready controller verify-source"]
        );
    }
}
