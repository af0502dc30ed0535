//! Golden captures, whole, cut and damaged at every byte, by the oracle of the fuzz target.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use flowsieve_testkit::hex;
use std::fs;
use std::path::{Path, PathBuf};

fn goldens() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/formats/captures");
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "hex"));
    paths.sort();
    assert!(paths.len() >= 9);
    let read = |path: PathBuf| {
        let capture = hex::bytes(&fs::read_to_string(&path).unwrap());
        (path, capture)
    };
    paths.into_iter().map(read).collect()
}

/// Gives the oracle a capture that was changed at some place.
fn check(path: &Path, what: &str, place: usize, capture: &[u8]) {
    let outcome = std::panic::catch_unwind(|| flowsieve_fuzz::captures(capture));
    assert!(outcome.is_ok(), "{}, {what} at {place}", path.display());
}

#[test]
fn packets_of_a_capture_that_is_cut_anywhere_add_up() {
    for (path, capture) in goldens() {
        (0..=capture.len()).for_each(|len| check(&path, "cut", len, &capture[..len]));
    }
}

#[test]
fn packets_of_a_capture_that_is_damaged_anywhere_add_up() {
    for (path, capture) in goldens() {
        for place in 0..capture.len() {
            for damage in [0xff, 1 << (place % 8)] {
                let mut damaged = capture.clone();
                damaged[place] ^= damage;
                check(&path, "damaged", place, &damaged);
            }
        }
    }
}
