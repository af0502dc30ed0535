//! `flowsieve import`: what is made of lists, and what is said of their entries.

use crate::program::{Ended, directory, file, run, run_with};
use serde_json::Value;
use std::fs;
use std::path::Path;

const LIST: &str = "# a list\n192.0.2.0/24\n192.0.2.7\n192.0.2.256\n10.0.0.1/8\n";

fn import(test: &str, content: &str, args: &[&str]) -> Ended {
    let path = file(test, "list.txt", content);
    run(&[&["import", path.to_str().unwrap()], args].concat())
}

/// The rules of a settings file, in short.
fn rules(path: &Path) -> Vec<String> {
    let text = fs::read(path).unwrap();
    let settings = flowsieve::formats::settings::read(&text).unwrap();
    let shown = |rule: &flowsieve::FilterRule| format!("{} {}", rule.action(), rule.network_rule());
    settings.rules().iter().map(shown).collect()
}

/// What is left of a list that could not be fetched does not take the place of the last good one.
#[test]
fn lists_without_entries_are_not_written() {
    let output = file("import_empty", "settings.json", "as it was");
    for text in ["", "# nothing today\n"] {
        let ended =
            import("import_empty", text, &["--as", "hosts", "-o", output.to_str().unwrap()]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("no entries: nothing is written"), "{ended:?}");
        assert_eq!(fs::read_to_string(&output).unwrap(), "as it was");
    }
    assert_eq!(import("import_empty", "", &["--as", "hosts"]).status, Some(0));
}

#[test]
fn settings_are_written_and_what_is_rejected_makes_the_status_2() {
    let output = directory("import_writes").join("settings.json");
    let ended = import("import_writes", LIST, &["-o", output.to_str().unwrap()]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert_eq!(
        rules(&output),
        [
            "drop any in or outbound, remote 192.0.2.0/24",
            "drop any in or outbound, remote 192.0.2.7/32",
            "drop any in or outbound, remote 10.0.0.0/8",
        ]
    );
    for part in [
        "list.txt:4:1: rejected: `192.0.2.256` is not an address, a network or a range of addresses\n",
        "list.txt:5:1: note: bits are set beyond the prefix length\n",
        "list.txt:5:1: note: holds private addresses\n",
        "list.txt:3:1: note: lies within another entry: ",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
    let counts =
        "(addresses): 4 entries = 1 accepted + 2 with a note + 0 left out + 1 rejected; 3 rules\n";
    assert!(ended.stdout.contains(counts), "{ended:?}");
    assert!(ended.stdout.contains("settings.json: 3 rules, default allow\n"), "{ended:?}");
    let text = fs::read_to_string(&output).unwrap();
    assert!(text.contains("list.txt:2\""), "the label is the place: {text}");

    let ended = import("import_writes", "192.0.2.1\n", &[]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn lines_of_json_hold_every_entry_once() {
    let ended = import("import_jsonl", LIST, &["--format", "jsonl"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(2), ""));
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut numbers: Vec<u64> = lines.iter().filter_map(|line| line["line"].as_u64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3, 4, 5]);
    let of = |number: u64| lines.iter().find(|line| line["line"] == number).unwrap();
    assert_eq!((&of(2)["outcome"], &of(2)["rules"]["first"]), (&"accepted".into(), &0.into()));
    assert_eq!(of(3)["notes"], serde_json::json!(["nested"]));
    assert_eq!(of(3)["of"]["line"], 2);
    assert_eq!((&of(4)["outcome"], &of(4)["column"]), (&"rejected".into(), &1.into()));
    assert_eq!(of(5)["notes"], serde_json::json!(["host-bits", "private"]));
    let summary = lines.last().unwrap();
    assert_eq!(summary["outcome"], "summary");
    let sum =
        ["accepted", "noted", "leftOut", "rejected"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(sum.iter().sum::<u64>(), summary["entries"].as_u64().unwrap());
}

#[test]
fn settings_go_to_standard_output_and_the_report_then_to_standard_error() {
    let ended = run_with(&["import", "-", "-o", "-", "--action", "filterData"], b"192.0.2.1\n");
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let settings = flowsieve::formats::settings::read(ended.stdout.as_bytes()).unwrap();
    assert_eq!(settings.rules()[0].label(), Some("<stdin>:1"));
    assert!(ended.stderr.contains("<stdin> (addresses): 1 entry = 1 accepted"), "{ended:?}");
}

#[test]
fn merged_lists_say_how_many_rules_went() {
    let list = "192.0.2.0/25\n192.0.2.128/25\n192.0.2.9\n";
    let output = directory("import_merge").join("settings.json");
    let ended = import("import_merge", list, &["--merge", "-o", output.to_str().unwrap()]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("merged: 3 rules became 1, 2 went\n"), "{ended:?}");
    assert_eq!(rules(&output), ["drop any in or outbound, remote 192.0.2.0/24"]);
}

#[test]
fn compressed_lists_are_read() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"192.0.2.1\n").unwrap();
    let gzip = gzip.finish().unwrap();
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let zstd = ruzstd::encoding::compress_to_vec(&b"192.0.2.1\n"[..], level);
    for (name, bytes) in [("list.gz", gzip), ("list.zst", zstd)] {
        let path = file("import_compressed", name, &bytes);
        let ended = run(&["import", path.to_str().unwrap()]);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{name}");
        assert!(ended.stdout.contains("1 entry = 1 accepted"), "{ended:?}");
        let path = file("import_compressed", name, &bytes[..bytes.len() - 5]);
        let ended = run(&["import", path.to_str().unwrap()]);
        assert_eq!(ended.status, Some(2), "{name}: {ended:?}");
    }
}

#[test]
fn the_format_is_told_or_forced() {
    let ended = import("import_as", "no list at all\n", &[]);
    assert_eq!(ended.status, Some(2));
    let none = "list.txt: no known format of lists fits this text; --as FORMAT forces one\n";
    assert!(ended.stderr.ends_with(none), "{ended:?}");
    let ended = import("import_as", "0.0.0.0 a.example\nb:1.2.3.4-1.2.3.5\n", &[]);
    assert_eq!(ended.status, Some(2));
    let either = "the formats `p2p` and `hosts` fit this text equally: say which it is; --as FORMAT forces one\n";
    assert!(ended.stderr.ends_with(either), "{ended:?}");
    let ended = import("import_as", "ads.example.com\n", &["--as", "hosts"]);
    assert!(ended.stdout.contains("(hosts): 1 entry = 1 accepted"), "{ended:?}");
    let ended = import("import_as", "", &["--as", "xml"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("unknown format of lists `xml`"), "{ended:?}");
    let ended = import("import_as", "{", &["--as", "aws"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("list.txt: as aws: line 1, column "), "{ended:?}");
}

#[test]
fn entries_are_selected_and_what_is_left_out_is_counted() {
    let list = "network,asn\n192.0.2.0/24,1\n198.51.100.0/24,2\n203.0.113.0/24,3\n";
    let ended = import("import_select", list, &["--select", "asn=1,3"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("3 entries = 2 accepted + 0 with a note + 1 left out"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("  left out, not selected: 1\n"), "{ended:?}");
    let ended = import("import_select", "192.0.2.1\t3\n192.0.2.2\t9\n", &["--min-count", "5"]);
    assert!(ended.stdout.contains("  left out, on fewer lists than asked for: 1\n"), "{ended:?}");
    assert_eq!(import("import_select", list, &["--select", "asn"]).status, Some(2));
    let ended = import("import_select", list, &["--max-entries", "2"]);
    assert!(ended.stderr.contains("more than 2 entries"), "{ended:?}");
    let ended = import("import_select", "192.0.2.1\n", &["--min-count", "5"]);
    assert!(ended.stderr.contains("--min-count says nothing here"), "{ended:?}");
    assert_eq!(ended.status, Some(0));
}

#[test]
fn many_notes_of_a_kind_are_cut_short_unless_all_are_asked_for() {
    let list = "10.0.0.1/24\n10.0.1.1/24\n10.0.2.1/24\n10.0.3.1/24\n10.0.4.1/24\n";
    let ended = import("import_notes", list, &[]);
    assert_eq!(ended.stderr.matches("note: bits are set").count(), 4, "{ended:?}");
    assert!(
        ended.stderr.contains(
            "note: bits are set beyond the prefix length: 2 more; --all-notes shows them\n"
        )
    );
    let ended = import("import_notes", list, &["--all-notes"]);
    assert_eq!(ended.stderr.matches("note: bits are set").count(), 5, "{ended:?}");
}

#[test]
fn what_a_list_says_cannot_reach_the_terminal() {
    let ended = import("import_terminal", "192.0.2.1\n\u{1b}[31m\n", &[]);
    assert!(!ended.stderr.contains('\u{1b}') && !ended.stdout.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn there_is_no_bar_where_standard_error_is_no_terminal() {
    let list: String = (0..200_000u32)
        .map(|n| format!("{}\n", std::net::Ipv4Addr::from_bits(0x0b00_0000 + 2 * n)))
        .collect();
    let ended = import("import_bar", &list, &[]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("200000 entries = 200000 accepted"), "{}", ended.stdout);
}
