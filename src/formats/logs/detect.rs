//! Which format a log is of, by what it holds.

use crate::formats::json::Value;
use crate::formats::logs::{LogFormat, framework, lulu, nfdump, socket_flow, vpc};

/// How much of a log is looked at, in bytes.
const MAX_BYTES: usize = 64 * 1024;

pub(super) fn detect(text: &[u8]) -> Option<LogFormat> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = text.get(..MAX_BYTES).unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| std::str::from_utf8(line).ok())
        .find_map(|line| of_line(line.trim_end()))
}

/// The format of which a line is, if only of one.
fn of_line(line: &str) -> Option<LogFormat> {
    let start = line.trim_start();
    if start.starts_with('{') {
        return of_json(start);
    }
    let zeek = ["#separator ", "#fields\t", "#set_separator", "#unset_field", "#path\t"];
    if zeek.into_iter().any(|directive| line.starts_with(directive)) {
        return Some(LogFormat::Zeek);
    }
    if line.contains(',') && nfdump::is_header(line) {
        return Some(LogFormat::Nfdump);
    }
    if vpc::is_header(line) || is_vpc_row(line) {
        return Some(LogFormat::Vpc);
    }
    is_macos(line).then_some(LogFormat::Macos)
}

/// The format of an object, by keys that only it has. A line that was cut off is of none.
fn of_json(line: &str) -> Option<LogFormat> {
    let object = Value::parse(line).ok()?;
    let keys = [
        ("event_type", LogFormat::Suricata),
        ("id.orig_h", LogFormat::ZeekJson),
        ("_path", LogFormat::ZeekJson),
        ("eventMessage", LogFormat::MacosJson),
        ("remoteEndpoint", LogFormat::FlowLines),
        ("localEndpoint", LogFormat::FlowLines),
        ("socketProtocol", LogFormat::FlowLines),
        ("remoteHostname", LogFormat::FlowLines),
    ];
    keys.into_iter().find(|(key, _)| object.field(key).is_some()).map(|(_, format)| format)
}

/// Whether a line has the fourteen columns of version 2, whose first is its number.
fn is_vpc_row(line: &str) -> bool {
    let columns: Vec<&str> =
        line.split_ascii_whitespace().take(vpc::VERSION_2_COLUMNS + 1).collect();
    let is_status = |word: &&str| matches!(*word, "OK" | "NODATA" | "SKIPDATA");
    columns.len() == vpc::VERSION_2_COLUMNS
        && columns.first() == Some(&"2")
        && columns.last().is_some_and(is_status)
}

/// Whether a line is of the macOS log: it begins with a time, or holds a message about a flow.
fn is_macos(line: &str) -> bool {
    let markers = ["remote endpoint ", lulu::ENDPOINT, lulu::CONNECT];
    markers.into_iter().chain(framework::MARKERS).any(|marker| line.contains(marker))
        || line.starts_with("Timestamp  ")
        || line.starts_with("Filtering the log data using ")
        || is_log_time(line)
        || socket_flow::Pair::of_line(line, false).is_some()
}

/// `2021-06-02 06:58:53.333438-0700 0x1bf8 ...`: a time and a thread.
fn is_log_time(line: &str) -> bool {
    let shape = b"0000-00-00 00:00:00.000000";
    let time = line.as_bytes().get(..shape.len()).unwrap_or(b"");
    let fits = |(byte, wanted): (&u8, &u8)| match wanted {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    time.len() == shape.len()
        && time.iter().zip(shape).all(fits)
        && line.get(shape.len()..).is_some_and(|rest| {
            rest.starts_with(['+', '-']) && rest.split_ascii_whitespace().count() > 2
        })
}
