//! The log parsers on logs made by hand, with what is read from each; and on logs that are cut,
//! repeated and damaged.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a golden file that cannot be read fails"
)]

use flowsieve::formats::logs::{Entry, LogFormat, LogOptions, LogReader, Record, local_net};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// A log with what it is read as.
struct Golden {
    name: String,
    log: Vec<u8>,
    format: LogFormat,
    options: LogOptions,
    expected: PathBuf,
}

/// Every log of the folder. Beside `NAME.EXT` stands `NAME.EXT.expected`, whose first line says
/// how it is read: `# format FORMAT`, with `local NET` or `columns COLUMNS` after it.
fn goldens() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/logs");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_none_or(|extension| extension != "expected"));
    paths.sort();
    assert!(paths.len() >= 12);
    let golden = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let expected = path.with_file_name(format!("{name}.expected"));
        let head = fs::read_to_string(&expected).unwrap_or_else(|error| panic!("{name}: {error}"));
        let words: Vec<&str> = head.lines().next().unwrap().split(' ').collect();
        assert_eq!(words[..2], ["#", "format"], "{name}");
        let format: LogFormat = words[2].parse().unwrap();
        let mut options = LogOptions::default();
        for pair in words[3..].chunks(2) {
            match pair[0] {
                "local" => options.local_nets.push(local_net(pair[1]).unwrap()),
                "columns" => options.columns = Some(pair[1].parse().unwrap()),
                word => panic!("{name}: {word}"),
            }
        }
        Golden { name, log: fs::read(path).unwrap(), format, options, expected }
    };
    paths.into_iter().map(golden).collect()
}

fn read<'a>(golden: &Golden, log: &'a [u8]) -> Vec<Record<'a>> {
    let mut records = Vec::new();
    let mut reader = LogReader::new(golden.format, golden.options.clone());
    reader.read(log, |record| records.push(record));
    records
}

/// A line of a golden file.
fn shown(record: &Record<'_>) -> String {
    let line = record.line;
    match &record.entry {
        Entry::Flow(found) => {
            let mut text = format!("{line}: {}", found.flow);
            for (is_known, what) in [
                (found.is_side_known, "side"),
                (found.is_opener_known, "opener"),
                (found.is_protocol_known, "protocol"),
            ] {
                if !is_known {
                    write!(text, "; {what} not known").unwrap();
                }
            }
            text
        }
        Entry::Skipped(reason) => format!("{line}: skipped, {}", reason.as_str()),
        Entry::Rejected(error) => format!("{line}: rejected, {error}"),
        Entry::Other(other) => format!("{line}: ({})", other.as_str()),
    }
}

#[test]
fn every_log_is_read_as_its_golden_file_says() {
    for golden in goldens() {
        let head = fs::read_to_string(&golden.expected).unwrap();
        let head = head.lines().next().unwrap();
        let records = read(&golden, &golden.log);
        let lines: Vec<String> = records.iter().map(shown).collect();
        let found = format!("{head}\n{}\n", lines.join("\n"));
        if std::env::var_os("FLOWSIEVE_BLESS").is_some() {
            fs::write(&golden.expected, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden.expected).unwrap();
        assert_eq!(found, expected, "{}", golden.name);
    }
}

#[test]
fn every_log_is_told_by_its_content() {
    for Golden { name, log, format, .. } in goldens() {
        let expected = (format != LogFormat::Csv).then_some(format);
        assert_eq!(LogFormat::detect(&log), expected, "{name}");
        let with_mark = [b"\xef\xbb\xbf".as_slice(), &log].concat();
        assert_eq!(LogFormat::detect(&with_mark), expected, "{name}, with a byte order mark");
    }
    for text in ["", "\n\n", "hello\n", "{}\n", "{\"a\": 1}\n", "\u{0}\u{1}", "10.0.0.0/8\n"] {
        assert_eq!(LogFormat::detect(text.as_bytes()), None, "{text:?}");
    }
}
