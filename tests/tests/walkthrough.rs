//! `docs/WALKTHROUGH.md` is a real run: this test runs the lab as README says, and compares what happened with what stands
//! there. `UPDATE_DOCS=1` writes the file anew. Ids, hashes and times differ from run to run and stand there as such.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const INTRODUCTION: &str = "# A whole run\n\n\
This is what `cargo lab move-to-full-sql` prints, from nothing to the evidence, when its output is no terminal (in a terminal,\n\
progress is shown as bars). A test made it and holds it against the code; ids, hashes and times are replaced by words.\n\n```text\n";

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/WALKTHROUGH.md")
}

/// The same text for every run: what differs is replaced by words.
fn plain(output: &str, dir: &Path) -> String {
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

#[test]
fn the_walkthrough_is_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("lab");
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["move-to-full-sql", "--fast", "--io-mb-per-s", "0", "--dir"])
        .arg(&dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    let text = plain(&String::from_utf8_lossy(&output.stdout), &dir);
    let now = happened(&text);
    assert!(now.len() > 40, "the run tells what happens: {now:#?}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(document(), format!("{INTRODUCTION}{}\n```\n", text.trim_end())).unwrap();
    }
    let written = std::fs::read_to_string(document()).unwrap();
    assert_eq!(
        happened(&written),
        now,
        "run the test with UPDATE_DOCS=1 and read the difference"
    );
}
