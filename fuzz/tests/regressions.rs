//! Replays the committed inputs of every fuzz target.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is a failed test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

type Oracle = fn(&[u8]);

const TARGETS: [(&str, Oracle); 8] = [
    ("agreement", flowsieve_fuzz::agreement),
    ("capi", flowsieve_fuzz::capi),
    ("captures", flowsieve_fuzz::captures),
    ("lists", flowsieve_fuzz::lists),
    ("live", flowsieve_fuzz::live),
    ("logs", flowsieve_fuzz::logs),
    ("table_ops", flowsieve_fuzz::table_ops),
    ("text", flowsieve_fuzz::text),
];

#[test]
fn every_directory_is_of_a_target_and_every_target_has_one() {
    let found: BTreeSet<String> = entries(&root()).iter().map(|path| name(path)).collect();
    let expected = TARGETS.map(|(target, _)| target.to_owned()).into();
    assert_eq!(found, expected, "directories, targets");
}

#[test]
fn no_committed_input_fails() {
    for (target, run) in TARGETS {
        let inputs = entries(&root().join(target));
        assert!(!inputs.is_empty(), "{target} has no inputs");
        for input in inputs {
            let data = std::fs::read(&input).unwrap();
            let outcome = std::panic::catch_unwind(|| run(&data));
            assert!(outcome.is_ok(), "{target} fails on {}", name(&input));
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions")
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let read = std::fs::read_dir(directory).unwrap_or_else(|e| panic!("{directory:?}: {e}"));
    let mut entries: Vec<PathBuf> = read.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
