//! The agent's PowerShell, read by a grammar that others wrote (tree-sitter-powershell, from crates.io): every script parses
//! whole in its frame, calls nothing that it should not, and is Windows PowerShell 5.1. What the cmdlets answer is tested with
//! a shim (`windows.rs`) and proven on Windows only.
#![cfg(unix)]

use std::collections::BTreeSet;

use syncferry_agent::connect::script::{ALL, SET_SYNC_CYCLE, Script};
use tree_sitter::{Language, Node, Parser, Tree};

/// What the scripts may call besides ADSync's own `Get-` cmdlets, which change nothing.
const HELPERS: &[&str] = &[
    // The script about service accounts: its own functions, and a class that asks Windows.
    "Add-Type",
    "Add-Unknown",
    "Find-Entry",
    "Get-Holders",
    "Get-Name",
    "Get-PathOf",
    "ConvertTo-Json",
    "ForEach-Object",
    "Format-Utc",
    "Get-ItemProperty",
    "Import-Module",
    "Join-Path",
    "New-Object",
    "Use-ADSync",
    "Where-Object",
    "Write-Answer",
];
/// What PowerShell 7 has and Windows PowerShell 5.1 does not parse.
const NEWER: &[&str] = &["&&", "||", "??", "?."];

fn parsed(text: &str) -> Tree {
    let mut parser = Parser::new();
    let language: Language = tree_sitter_powershell::LANGUAGE.into();
    parser.set_language(&language).unwrap();
    parser.parse(text, None).unwrap()
}

fn framed(script: &Script) -> String {
    script.framed("00", &[("ENABLED", "true"), ("ACCOUNT", "QQ=="), ("SPNS", "")])
}

/// Every node, from the top.
fn each<'t>(node: Node<'t>, visit: &mut dyn FnMut(Node<'t>)) {
    visit(node);
    for at in 0..node.child_count() {
        if let Some(child) = node.child(at) {
            each(child, visit);
        }
    }
}

/// What the parser could not read.
fn errors(text: &str) -> Vec<String> {
    let tree = parsed(text);
    let mut found = Vec::new();
    each(tree.root_node(), &mut |node| {
        if node.is_error() || node.is_missing() {
            let from: String = text[node.byte_range()].chars().take(60).collect();
            found.push(format!("line {}: {from}", node.start_position().row + 1));
        }
    });
    found
}

/// The texts of all nodes of a kind.
fn texts(text: &str, kind: &str) -> BTreeSet<String> {
    let tree = parsed(text);
    let mut found = BTreeSet::new();
    each(tree.root_node(), &mut |node| {
        if node.kind() == kind {
            found.insert(text[node.byte_range()].to_string());
        }
    });
    found
}

#[test]
fn every_script_is_powershell() {
    for script in ALL {
        let text = framed(script);
        assert_eq!(errors(&text), Vec::<String>::new(), "{}", script.name);
    }
    // The parser means something only if it refuses what is none.
    for broken in [
        "if ($a { 1 }",
        "@{ A = 1",
        "Get-ADSyncScheduler | | ConvertTo-Json",
        "$settings =",
        "function Use-ADSync {",
        "try { 1 }  cach { 2 }}",
        "'open",
    ] {
        assert!(!errors(broken).is_empty(), "{broken}");
    }
    let half = framed(&SET_SYNC_CYCLE).replacen("catch {", "catch ", 1);
    assert!(!errors(&half).is_empty());
}

#[test]
fn scripts_call_what_looks_and_one_calls_what_changes() {
    for script in ALL {
        let text = framed(script);
        let commands = texts(&text, "command_name");
        assert!(commands.len() > 2, "{}: {commands:?}", script.name);
        for command in &commands {
            let looks = command.starts_with("Get-ADSync") || HELPERS.contains(&command.as_str());
            let changes = *script == SET_SYNC_CYCLE && command == "Set-ADSyncScheduler";
            assert!(looks || changes, "{} calls {command}", script.name);
        }
    }
    assert!(texts(&framed(&SET_SYNC_CYCLE), "command_name").contains("Set-ADSyncScheduler"));
    // An alias means something else where somebody changed it.
    assert_eq!(
        texts("gci | % { iex $_ }", "command_name"),
        ["%", "gci", "iex"].map(String::from).into()
    );
}

#[test]
fn scripts_are_windows_powershell_5_1() {
    for script in ALL {
        let text = framed(script);
        let code: String = text
            .lines()
            .filter(|l| !l.trim_start().starts_with('#'))
            .collect::<Vec<_>>()
            .join("\n");
        for newer in NEWER {
            assert!(!code.contains(newer), "{} has {newer}", script.name);
        }
        // What is written to the host or the error stream is no answer.
        for word in [
            "Write-Host",
            "Write-Error",
            "Invoke-Expression",
            "-Parallel",
            "-AsHashtable",
        ] {
            assert!(!code.contains(word), "{} has {word}", script.name);
        }
    }
}

/// A culture writes 1,5 and 31.12.2026; an answer must not.
#[test]
fn every_value_of_an_answer_says_its_type() {
    for script in ALL.iter().filter(|s| s.name != "environment") {
        let text = framed(script);
        let body = text.split("$answer = & {").nth(1).unwrap();
        let body = body.split("    Write-Answer").next().unwrap();
        for line in body
            .lines()
            .filter(|l| l.trim_start().starts_with(|c: char| c.is_ascii_uppercase()) && l.contains(" = "))
        {
            let value = line.split_once(" = ").unwrap().1.trim();
            let typed = value.starts_with('[')
                || value.starts_with("Format-Utc ")
                || value.starts_with("@(")
                || value == "$rules.Count";
            assert!(typed, "{}: {line}", script.name);
        }
    }
}
