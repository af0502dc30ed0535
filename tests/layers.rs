//! Who may import whom: data flows from text to decision, and so do the modules.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a source file that cannot be read fails"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Each module with what it may use, in the order of the `mod` lines of `lib.rs`.
///
/// `reference` must not know `matcher` and `live`, nor they it, or one would not test the other;
/// `table` stands without settings; `formats` reads and writes, and decides nothing.
const MAY_USE: [(&str, &[&str]); 19] = [
    ("error", &[]),
    ("hostname", &["error"]),
    ("endpoint", &["hostname", "error"]),
    ("flow", &["endpoint", "hostname", "error"]),
    ("network", &["flow", "endpoint", "error"]),
    ("rule", &["network", "flow", "endpoint", "hostname", "error"]),
    ("settings", &["rule", "network", "endpoint", "error"]),
    ("proxy", &["rule", "network", "flow", "endpoint", "error"]),
    ("decision", &["rule"]),
    ("reference", &["decision", "settings", "rule", "network", "flow"]),
    ("table", &[]),
    (
        "matcher",
        &[
            "table", "decision", "settings", "rule", "network", "flow", "endpoint", "hostname",
            "error",
        ],
    ),
    ("live", &["matcher", "decision", "settings", "rule", "network", "flow", "error"]),
    (
        "explain",
        &["reference", "matcher", "decision", "settings", "rule", "network", "flow", "endpoint"],
    ),
    (
        "space",
        &["decision", "settings", "rule", "network", "flow", "endpoint", "hostname", "error"],
    ),
    ("shadow", &["space", "settings", "rule", "flow"]),
    ("diff", &["space", "settings", "rule", "flow"]),
    ("plan", &["diff", "space", "matcher", "settings", "rule", "flow", "endpoint"]),
    ("lint", &["proxy", "settings", "rule", "network", "flow", "endpoint", "hostname", "error"]),
];

const FORMATS_MAY_NOT_USE: [&str; 3] = ["matcher", "live", "reference"];

#[test]
fn modules_import_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for (module, files) in modules() {
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for used in imports(&text).filter(|used| *used != module) {
                let allowed = match module.as_str() {
                    // The C interface converts to and from whatever there is.
                    "capi" => true,
                    "formats" => !FORMATS_MAY_NOT_USE.contains(&used),
                    _ => {
                        let row = MAY_USE.iter().find(|(name, _)| *name == module);
                        let (_, may_use) = row.unwrap_or_else(|| panic!("no row for `{module}`"));
                        may_use.contains(&used)
                    }
                };
                if !allowed {
                    wrong.push(format!("{}: `{module}` uses `{used}`", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lib_lists_the_modules_in_the_order_of_the_data() {
    let lib = std::fs::read_to_string(source().join("lib.rs")).unwrap();
    let declared = lib
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    let expected = MAY_USE.iter().map(|(name, _)| *name).chain(["formats", "capi"]);
    assert_eq!(declared.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn no_module_uses_one_that_stands_after_it() {
    for (index, (module, may_use)) in MAY_USE.iter().enumerate() {
        for used in *may_use {
            let position = MAY_USE.iter().position(|(name, _)| name == used).unwrap();
            assert!(position < index, "`{module}` stands before `{used}`");
        }
    }
}

#[test]
fn the_reference_stays_short_enough_to_be_read_at_once() {
    let text = std::fs::read_to_string(source().join("reference.rs")).unwrap();
    let code = text.lines().filter(|line| !line.is_empty() && !line.trim().starts_with("//"));
    assert!(code.count() < 60);
}

/// The modules that a line of code names by `crate::`.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1)).map(|rest| {
        rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("")
    })
}

/// The source files of each top-level module.
fn modules() -> BTreeMap<String, Vec<PathBuf>> {
    let mut modules: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut folders = vec![source()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(source()).unwrap().with_extension("");
                let top = inside.components().next().unwrap().as_os_str();
                modules.entry(top.to_str().unwrap().to_owned()).or_default().push(path);
            }
        }
    }
    modules.remove("lib").unwrap();
    assert!(modules.len() > 10);
    modules
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}
