//! The target `logs`.

#![allow(clippy::indexing_slicing, reason = "a panic is a failed test")]

use flowsieve::formats::logs::{
    Entry, LogFlow, LogFormat, LogOptions, LogReader, Record, local_net,
};
use flowsieve::formats::{MAX_LINE_BYTES, flow_lines};
use std::sync::Arc;

/// Reads all but the first byte as a log, of the format that the first byte chooses.
///
/// # Panics
///
/// If a line is not in exactly one record, if pieces are read otherwise than the whole, if the
/// fast path differs, or if a record holds more than its lines.
pub fn logs(data: &[u8]) {
    let Some((choice, log)) = data.split_first() else { return };
    let _ = LogFormat::detect(log);
    let format = LogFormat::ALL[usize::from(*choice) % LogFormat::ALL.len()];
    let columns = [
        "source,source-port,destination,destination-port,protocol,direction",
        "remote=a,protocol=b",
        "-,remote,local,hostname",
    ];
    let mut options = LogOptions::default();
    options.local_nets = vec![local_net("10.0.0.0/8").unwrap(), local_net("fd00::/8").unwrap()];
    options.columns = Some(columns[usize::from(*choice) / 16 % columns.len()].parse().unwrap());
    options.is_thorough = *choice >= 128;
    let options = Arc::new(options);

    let mut whole = Vec::new();
    let mut reader = LogReader::shared(format, Arc::clone(&options));
    reader.read(log, |record| whole.push(record));
    // A byte order mark is of no line: a log of nothing else has none.
    let text = log.strip_prefix(b"\xef\xbb\xbf").unwrap_or(log);
    let lines = text.split(|byte| *byte == b'\n').count() - usize::from(text.ends_with(b"\n"));
    let lines = if text.is_empty() { 0 } else { lines as u64 };
    let mut numbers: Vec<u64> = whole.iter().map(|record| record.line).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=lines), "{lines} lines: {whole:?}");
    whole.iter().for_each(check_record);

    // Cut anywhere that a reader of a file would.
    let mut pieces = Vec::new();
    let mut reader = LogReader::shared(format, options);
    let (mut start, mut end) = (0, 0);
    while start < log.len() {
        end = (end + 64).min(log.len());
        let text = &log[start..end];
        let len = if end == log.len() { text.len() } else { format.cut(text) };
        if len == 0 {
            continue;
        }
        reader.clone().read(&text[..len], |record| pieces.push(record));
        reader.advance(&text[..len]);
        start += len;
    }
    assert_eq!(pieces, whole, "pieces, whole");

    if format == LogFormat::FlowLines
        && let Ok(text) = std::str::from_utf8(log)
    {
        for line in text.lines() {
            assert_eq!(flow_lines::read(line), flow_lines::read_thoroughly(line), "{line}");
        }
    }
}

/// A record of a line that has its place, and a flow that is no larger than lines can be.
fn check_record(record: &Record<'_>) {
    match &record.entry {
        Entry::Rejected(error) => {
            assert!(error.line() >= Some(record.line) && error.column() >= Some(1), "{error}");
            assert!(error.to_string().len() < 4 * 1024, "a message of bounded length");
        }
        Entry::Flow(LogFlow { flow, .. }) => {
            assert!(flow.remote_hostname().unwrap_or("").len() <= MAX_LINE_BYTES);
        }
        Entry::Skipped(_) | Entry::Other(_) => {}
    }
}
