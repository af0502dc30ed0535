//! The log parsers on logs made by hand, with what is read from each; and on logs that are cut,
//! repeated and damaged.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a golden file that cannot be read fails"
)]

use flowsieve::formats::logs::{Entry, LogFormat, LogOptions, LogReader, Other, Record, local_net};
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
        if std::env::var_os("BLESS").is_some() {
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

/// Every line is in one record, whatever was done to the log.
fn check_counts(golden: &Golden, log: &[u8]) {
    let records = read(golden, log);
    // A last line without text is one only if something stands in it.
    let lines = log.split(|byte| *byte == b'\n').count() - usize::from(log.ends_with(b"\n"));
    let lines = if log.is_empty() { 0 } else { lines };
    let mut numbers: Vec<u64> = records.iter().map(|record| record.line).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=lines as u64).collect::<Vec<_>>(), "{}", golden.name);
    for record in &records {
        if let Entry::Rejected(error) = &record.entry {
            assert!(error.line().is_some() && error.column().is_some(), "{}", golden.name);
        }
    }
}

#[test]
fn every_line_of_a_damaged_log_is_in_one_record() {
    for golden in goldens() {
        let log = &golden.log;
        check_counts(&golden, log);
        for len in 0..log.len() {
            check_counts(&golden, &log[..len]);
        }
        check_counts(&golden, &log.repeat(3));
        let halves = [&log[log.len() / 2..], &log[..log.len() / 2]].concat();
        check_counts(&golden, &halves);
        for place in 0..log.len() {
            let mut damaged = log.clone();
            damaged[place] ^= 1 << (place % 8);
            check_counts(&golden, &damaged);
        }
    }
}

#[test]
fn a_log_is_read_by_another_format_without_losing_a_line() {
    for mut golden in goldens() {
        let own = golden.format;
        let log = golden.log.clone();
        for format in LogFormat::ALL.into_iter().filter(|format| *format != own) {
            golden.format = format;
            check_counts(&golden, &log);
        }
    }
}

#[test]
fn a_log_in_pieces_is_the_log_as_a_whole() {
    for golden in goldens() {
        let log = golden.log.repeat(2);
        let whole: Vec<String> = read(&golden, &log).iter().map(shown).collect();
        for size in [1, 7, 100, 700, 2000, log.len()] {
            let mut reader = LogReader::new(golden.format, golden.options.clone());
            let mut found = Vec::new();
            let (mut start, mut end) = (0, 0);
            while start < log.len() {
                // More text until something can be cut off, as a reader of a file does.
                end = (end + size).min(log.len());
                let text = &log[start..end];
                let len = if end == log.len() { text.len() } else { golden.format.cut(text) };
                if len == 0 {
                    continue;
                }
                let mut copy = reader.clone();
                copy.read(&text[..len], |record| found.push(shown(&record)));
                reader.advance(&text[..len]);
                assert_eq!(copy.next_line(), reader.next_line(), "{}", golden.name);
                start += len;
            }
            assert_eq!(found, whole, "{} in pieces of {size}", golden.name);
        }
    }
}

#[test]
fn line_ends_and_byte_order_mark_change_nothing() {
    for golden in goldens() {
        let text = String::from_utf8(golden.log.clone()).unwrap();
        let other = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        let found: Vec<String> = read(&golden, other.as_bytes()).iter().map(shown).collect();
        let whole: Vec<String> = read(&golden, &golden.log).iter().map(shown).collect();
        assert_eq!(found, whole, "{}", golden.name);
    }
}

#[test]
fn too_long_lines_and_descriptions_are_rejected_as_one_record() {
    let long = "x".repeat(70_000);
    for format in LogFormat::ALL {
        let mut options = LogOptions::default();
        options.columns = Some("remote".parse().unwrap());
        let log = format!("{long}\n");
        let mut records = Vec::new();
        LogReader::new(format, options).read(log.as_bytes(), |record| records.push(record));
        assert_eq!(records.len(), 1, "{format}");
        let Entry::Rejected(error) = &records[0].entry else { panic!("{format}: {records:?}") };
        assert_eq!(error.to_string(), "line 1, column 1: text exceeds 65536 bytes", "{format}");
    }
    let pairs = "  remoteEndpoint = 192.0.2.1:443\n".to_owned() + &"  key = value\n".repeat(6000);
    let mut rejected = 0;
    let mut reader = LogReader::new(LogFormat::Macos, LogOptions::default());
    reader.read(pairs.as_bytes(), |record| match record.entry {
        Entry::Rejected(_) => rejected += 1,
        entry => assert_eq!(entry, Entry::Other(Other::Continuation)),
    });
    assert_eq!(rejected, 1);
}

#[test]
fn bytes_that_are_no_text_are_rejected_where_they_stand() {
    let log = b"{\"socketProtocol\": 6}\n{\"socketProtocol\": 6, \"remoteHostname\": \"\xc3\xbc\xff\"}\n{\"socketProtocol\": 6}";
    let mut places = Vec::new();
    let mut reader = LogReader::new(LogFormat::FlowLines, LogOptions::default());
    reader.read(log, |record| match record.entry {
        Entry::Rejected(error) => places.push((error.line(), error.column())),
        entry => assert!(matches!(entry, Entry::Flow(_))),
    });
    assert_eq!(places, [(Some(2), Some(43))]);
}
