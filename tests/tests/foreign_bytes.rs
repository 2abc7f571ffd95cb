//! Every reader of foreign bytes on arbitrary, cut, flipped and spliced bytes, and the fuzz targets that do the same for as
//! long as somebody likes.
//!
//! `SYNCFERRY_PROPERTY_CASES` makes it longer. `SYNCFERRY_FUZZ_CORPUS=<folder>` writes the seeds for fuzzing.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use syncferry_tests::fuzz::{TARGETS, Target};

/// Sixteen readers one after the other; half of the time is theirs that use files or sockets.
const CASES: u32 = 256;
const SLOW_CASES: u32 = 32;

fn cases(target: &Target) -> u32 {
    let wanted = std::env::var("SYNCFERRY_PROPERTY_CASES").ok();
    let default = if target.slow { SLOW_CASES } else { CASES };
    wanted.and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// What happens to valid bytes.
#[derive(Debug, Clone)]
enum Damage {
    /// Other bytes altogether.
    Instead(Vec<u8>),
    Cut(prop::sample::Index),
    /// Some bytes flipped.
    Flip(Vec<(prop::sample::Index, u8)>),
    /// A piece of them, or of rubbish, put in elsewhere.
    Splice(prop::sample::Index, prop::sample::Index, Vec<u8>),
    /// Four bytes are a large number.
    Huge(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..600).prop_map(Damage::Instead),
        index().prop_map(Damage::Cut),
        prop::collection::vec((index(), 1..=255_u8), 1..4).prop_map(Damage::Flip),
        (index(), index(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(a, b, c)| Damage::Splice(a, b, c)),
        index().prop_map(Damage::Huge),
    ]
}

fn damaged(good: &[u8], damage: Damage) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let place = |index: prop::sample::Index| index.index(good.len().max(1));
    match damage {
        Damage::Instead(other) => return other,
        Damage::Cut(at) => bytes.truncate(place(at)),
        Damage::Flip(flips) => {
            for (at, by) in flips {
                if let Some(byte) = bytes.get_mut(place(at)) {
                    *byte ^= by;
                }
            }
        }
        Damage::Splice(from, to, rubbish) => {
            let (from, to) = (place(from), place(to));
            let piece = good.get(from..good.len().min(from + 30)).unwrap_or_default();
            let piece = if rubbish.is_empty() { piece.to_vec() } else { rubbish };
            bytes.splice(to..to, piece);
        }
        Damage::Huge(at) => {
            let at = place(at);
            let end = bytes.len().min(at + 4);
            bytes[at..end].fill(0x7F);
        }
    }
    bytes
}

#[test]
fn seeds_are_understood() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seed", target.name);
        for (number, seed) in seeds.iter().enumerate() {
            assert!((target.read)(seed), "{}: seed {number} is not understood", target.name);
        }
        if let Some(corpus) = std::env::var_os("SYNCFERRY_FUZZ_CORPUS") {
            let folder = Path::new(&corpus).join(target.name);
            fs::create_dir_all(&folder).unwrap();
            for (number, seed) in seeds.iter().enumerate() {
                fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
            }
        }
    }
}

fn survives(target: &Target) {
    let seeds = (target.seeds)();
    let mut runner = TestRunner::new(Config {
        cases: cases(target),
        failure_persistence: None,
        ..Config::default()
    });
    let ran = runner.run(&(any::<prop::sample::Index>(), damage()), |(seed, damage)| {
        let good = &seeds[seed.index(seeds.len())];
        (target.read)(&damaged(good, damage));
        Ok(())
    });
    if let Err(error) = ran {
        panic!("{}: {error}", target.name);
    }
}

#[test]
fn bytes_in_memory_never_make_a_reader_panic() {
    TARGETS.iter().filter(|t| !t.slow).for_each(survives);
}

#[test]
fn files_never_make_a_reader_panic() {
    let files = TARGETS.iter().filter(|t| t.slow && t.name != "tds_answer");
    files.for_each(survives);
}

/// Alone, because it takes time: each case is a connection with TLS.
#[test]
fn answers_of_a_server_never_make_the_agent_panic() {
    TARGETS.iter().filter(|t| t.name == "tds_answer").for_each(survives);
}

/// What was found by fuzzing stays found.
#[test]
fn found_inputs_are_survived() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/found");
    for target in TARGETS {
        let Ok(files) = fs::read_dir(folder.join(target.name)) else {
            continue;
        };
        for file in files {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let read = catch_unwind(AssertUnwindSafe(|| (target.read)(&bytes)));
            assert!(read.is_ok(), "{}", path.display());
        }
    }
}

/// The fuzz crate is no part of the workspace; this keeps it from rotting unseen.
#[test]
fn every_reader_has_a_fuzz_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest: toml::Table = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap().parse().unwrap();
    let bins = manifest["bin"].as_array().unwrap();
    let mut named: Vec<&str> = bins.iter().map(|b| b["name"].as_str().unwrap()).collect();
    named.sort_unstable();
    let readers: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
    assert_eq!(
        named, readers,
        "tests/fuzz/Cargo.toml and tests/src/fuzz/mod.rs, in alphabetical order"
    );
    for (bin, name) in bins.iter().zip(bins.iter().map(|b| b["name"].as_str().unwrap())) {
        let path = bin["path"].as_str().unwrap();
        assert_eq!(path, format!("fuzz_targets/{name}.rs"));
        let source = fs::read_to_string(fuzz.join(path)).unwrap();
        let call = format!("syncferry_tests::fuzz::{name}::read(bytes)");
        assert!(source.contains(&call), "{path} does not call {call}");
    }
    let files = fs::read_dir(fuzz.join("fuzz_targets")).unwrap().count();
    assert_eq!(files, TARGETS.len(), "a file in fuzz_targets belongs to no reader");
}
