//! `docs/SEED.md`: every sentence of Microsoft's page about the method, and what it is in the product. It is written anew with
//! `UPDATE_DOCS=1`, and never by hand. A sentence without a row, a row without a sentence, and a test that is not there fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use syncferry_shared::rule::{self, Kind, Rule};

const PAGE: &str = include_str!("seed/page.md");
const COVERAGE: &str = include_str!("seed/coverage.toml");
/// Where the cases of rules stand.
const CASES: [&str; 2] = [
    "controller/src/plan/tests/rules.rs",
    "controller/src/plan/tests/replace_rules.rs",
];
/// What shows that attested rules are in every plan.
const ATTESTED: &str = "controller/src/plan/tests/data.rs::good_worlds_have_no_open_gates";

const HEAD: &str = "\
# The page, sentence by sentence

Microsoft's page *Install Azure AD Connect using an existing ADSync database* is what this product automates. Here is each of its
sentences, what it is in the product, and the test that shows it. `syncferry explain RULE` says more about a rule.

Written from `shared/rules/*.toml` and `shared/tests/seed/coverage.toml` by `shared/tests/seed_table.rs`
(`UPDATE_DOCS=1 cargo test -p syncferry-shared --test seed_table`); not to be edited by hand.

";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Coverage {
    row: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    n: usize,
    begins: String,
    kind: String,
    by: String,
    test: Option<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The page's sentences, in order: a table's cells are sentences too; headings, pictures and rules of tables are none.
fn sentences() -> Vec<String> {
    let body = PAGE.splitn(3, "---\n").nth(2).unwrap();
    let mut found = Vec::new();
    for line in body.lines().map(str::trim) {
        let nothing = line.is_empty()
            || line.starts_with('#')
            || line.starts_with("![")
            || line.starts_with("> [!")
            || line.starts_with("|Feature")
            || line.bytes().all(|b| matches!(b, b'|' | b'-'));
        if nothing {
            continue;
        }
        if line.starts_with('|') {
            line.trim_matches('|')
                .split('|')
                .for_each(|cell| split(cell.trim(), &mut found));
        } else {
            split(line, &mut found);
        }
    }
    found
}

/// Splits behind a full stop or a colon that a capital letter follows.
fn split(text: &str, found: &mut Vec<String>) {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let text = match digits.strip_prefix('.') {
        Some(rest) if rest.len() + 1 < text.len() && rest.starts_with(char::is_whitespace) => rest,
        _ => text.trim_start_matches(['>', '-']),
    };
    let mut rest = text.trim();
    'next: while !rest.is_empty() {
        for (at, c) in rest.char_indices().filter(|(_, c)| matches!(c, '.' | ':')) {
            let after = &rest[at + c.len_utf8()..];
            let trimmed = after.trim_start();
            if trimmed.len() < after.len() && trimmed.starts_with(|c: char| c.is_ascii_uppercase()) {
                found.push(rest[..=at].to_string());
                rest = trimmed;
                continue 'next;
            }
        }
        found.push(rest.to_string());
        return;
    }
}

/// Whether a test of that name is in that file.
fn exists(test: &str) -> bool {
    let (file, name) = test
        .split_once("::")
        .unwrap_or_else(|| panic!("{test} is not file::name"));
    let text = std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    text.contains(&format!("fn {name}(")) || text.contains(&format!("    {name}: "))
}

fn case_of(rule: &Rule) -> String {
    if rule.is(Kind::Attested) {
        return ATTESTED.to_string();
    }
    let has = |file: &&&str| {
        std::fs::read_to_string(root().join(file))
            .unwrap()
            .contains(&format!("\"{}\" <-", rule.id))
    };
    let file = CASES
        .iter()
        .find(has)
        .unwrap_or_else(|| panic!("{} has no case", rule.id));
    format!("{file}, case `{}`", rule.id)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// What a sentence is: lines of "what", and lines of "shown by".
fn rows(n: usize, sentence: &str, coverage: &BTreeMap<usize, &Row>) -> (Vec<String>, Vec<String>) {
    let (mut what, mut tests) = (Vec::new(), Vec::new());
    for rule in rule::all().filter(|r| r.seed.iter().any(|q| sentence.contains(q.as_str()))) {
        what.push(format!("rule `{}`", rule.id));
        tests.push(case_of(rule));
    }
    if let Some(row) = coverage.get(&n) {
        assert!(
            sentence.starts_with(&row.begins),
            "sentence {n} begins '{sentence}', not '{}'",
            row.begins
        );
        let asks = !matches!(row.kind.as_str(), "context" | "not-yet");
        assert_eq!(
            row.test.is_some(),
            asks,
            "sentence {n}: what is in the product is shown by a test"
        );
        what.push(match row.kind.as_str() {
            "context" => format!("*{}*", row.by),
            "not-yet" => format!("**not yet**: {}", row.by),
            kind => format!("{kind}: {}", row.by),
        });
        if let Some(test) = &row.test {
            assert!(exists(test), "sentence {n}: there is no test {test}");
            tests.push(test.clone());
        }
    }
    tests.dedup();
    (what, tests)
}

fn document() -> String {
    let coverage: Coverage = toml::from_str(COVERAGE).unwrap();
    let by_number: BTreeMap<usize, &Row> = coverage.row.iter().map(|r| (r.n, r)).collect();
    assert_eq!(by_number.len(), coverage.row.len(), "a sentence has two rows");
    let sentences = sentences();
    assert!(by_number.keys().all(|n| (1..=sentences.len()).contains(n)));
    let (mut table, mut open) = (String::new(), 0);
    for (n, sentence) in (1..).zip(&sentences) {
        let (what, tests) = rows(n, sentence, &by_number);
        assert!(!what.is_empty(), "sentence {n} is nothing in the product: {sentence}");
        open += usize::from(what.iter().any(|w| w.contains("not yet")));
        let tests: Vec<String> = tests
            .iter()
            .map(|t| if t.contains('`') { t.clone() } else { format!("`{t}`") })
            .collect();
        table += &format!(
            "| {n} | {} | {} | {} |\n",
            cell(sentence),
            cell(&what.join("<br>")),
            cell(&tests.join("<br>"))
        );
    }
    let count = format!(
        "{} sentences, {open} of them not yet in the product in full.\n\n",
        sentences.len()
    );
    let mut text = format!("{HEAD}{count}| | Sentence | In the product | Shown by |\n|---|---|---|---|\n{table}");
    text += "\n## Hard gates\n\n| Gate | Rules |\n|---|---|\n";
    for gate in (1..=10).map(|n| format!("G{n}")) {
        let of_it: Vec<String> = rule::all()
            .filter(|r| r.gates.contains(&gate))
            .map(|r| format!("`{}`", r.id))
            .collect();
        text += &format!(
            "| {gate} | {} |\n",
            if of_it.is_empty() {
                "**not yet**".to_string()
            } else {
                of_it.join(", ")
            }
        );
    }
    text += "\n## Known failures\n\nBy their number in the product's research: which rules foresee or recognise them.\n\n| Failure | Rules |\n|---|---|\n";
    for n in 1..=31_u8 {
        let of_it: Vec<String> = rule::all()
            .filter(|r| r.foresees.contains(&n))
            .map(|r| format!("`{}`", r.id))
            .collect();
        text += &format!(
            "| {n} | {} |\n",
            if of_it.is_empty() {
                "cannot be seen beforehand".to_string()
            } else {
                of_it.join(", ")
            }
        );
    }
    text
}

#[test]
fn every_sentence_is_something_in_the_product() {
    let drawn = document();
    let path = root().join("docs/SEED.md");
    if std::env::var_os("UPDATE_DOCS").is_some_and(|v| v == "1") {
        std::fs::write(&path, &drawn).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        written == drawn,
        "docs/SEED.md is out of date; run: UPDATE_DOCS=1 cargo test -p syncferry-shared --test seed_table"
    );
}

/// What a rule quotes stands on the page, word by word.
#[test]
fn quotes_are_quotes() {
    for rule in rule::all() {
        for quote in &rule.seed {
            assert!(
                sentences().iter().any(|s| s.contains(quote.as_str())),
                "{}: {quote}",
                rule.id
            );
        }
    }
}
