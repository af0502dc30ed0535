//! The macOS log, as text and as JSON, and the messages in it that are about flows.

use crate::error::Error;
use crate::flow::IpProtocol;
use crate::formats::json::Value;
use crate::formats::log_lines;
use crate::formats::logs::{
    Entry, LogFlow, LogOptions, Other, Record, Skip, framework, lulu, socket_flow,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads a line of text. A line that belongs to the description of a flow is held in `block` until
/// the description ends.
pub(super) fn line<'a>(
    number: u64,
    line: &'a str,
    options: &LogOptions,
    block: &mut socket_flow::Block<'a>,
    sink: &mut impl FnMut(Record<'a>),
) {
    if let Some(pair) = socket_flow::Pair::of_line(line, block.is_open()) {
        if block.is_open() && block.begins_anew(&pair) {
            block.finish(options).into_iter().for_each(&mut *sink);
        }
        if block.is_open() {
            sink(Record { line: number, entry: Entry::Other(Other::Continuation) });
        }
        block.add(number, line, pair);
        return;
    }
    block.finish(options).into_iter().for_each(&mut *sink);
    let entry = if line.trim_ascii().is_empty() {
        Entry::Other(Other::Blank)
    } else if log_lines::is_frame(line) {
        Entry::Other(Other::Header)
    } else {
        message(line, options).unwrap_or_else(|error| Entry::Rejected(error.on_line(number)))
    };
    sink(Record { line: number, entry });
}

/// Reads a line of `log show --style ndjson`.
pub(super) fn json<'a>(line: &'a str, options: &LogOptions) -> Result<Entry<'a>, Error> {
    let event: Event<'a> = Value::record(line)?;
    let Some(raw) = event.message else {
        // The last line counts the others: `{"count":3,"finished":1}`.
        return Ok(match event.finished {
            Some(_) => Entry::Other(Other::Summary),
            None => Entry::Skipped(Skip::NotAFlow),
        });
    };
    let value = Value::inside(line, raw);
    if value.is_null() {
        return Ok(Entry::Skipped(Skip::NotAFlow));
    }
    let text = value.keyed("eventMessage", Value::string)?;
    let mut found = None;
    let mut block = socket_flow::Block::default();
    let mut keep = |record: Record<'_>| {
        let entry = match record.entry {
            Entry::Flow(found) => Entry::Flow(LogFlow { flow: found.flow.into_owned(), ..found }),
            Entry::Rejected(error) => Entry::Rejected(error),
            Entry::Skipped(skip) => Entry::Skipped(skip),
            Entry::Other(_) => return,
        };
        // A message is one record: the first line of it that is about a flow.
        if matches!(found, None | Some(Entry::Skipped(Skip::NotAFlow))) {
            found = Some(entry);
        }
    };
    for part in text.lines() {
        self::line(1, part, options, &mut block, &mut keep);
    }
    block.finish(options).into_iter().for_each(&mut keep);
    match found {
        // The place in the message is none in the file.
        Some(Entry::Rejected(error)) => {
            let error =
                Error::new(error.kind().clone()).for_key(error.key().unwrap_or("eventMessage"));
            Err(value.locate(error))
        }
        Some(entry) => Ok(entry),
        None => Ok(Entry::Skipped(Skip::NotAFlow)),
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "eventMessage")]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    finished: Option<&'a RawValue>,
}

/// Reads a message of one line, whatever precedes it.
fn message<'a>(line: &'a str, options: &LogOptions) -> Result<Entry<'a>, Error> {
    if line.contains(lulu::ENDPOINT) || line.contains(lulu::CONNECT) {
        return lulu::message(line, options);
    }
    if line.contains("remote endpoint ") {
        let markers = ["remote endpoint ", "local endpoint "];
        if markers.into_iter().any(|marker| is_redacted_after(line, marker)) {
            return Ok(Entry::Skipped(Skip::Private));
        }
        let flow = log_lines::read(line, options.protocol)?;
        return Ok(match flow.remote() {
            Some(_) => Entry::Flow(LogFlow { is_protocol_known: false, ..LogFlow::of_host(flow) }),
            None => Entry::Skipped(Skip::NoAddress),
        });
    }
    framework::message(line)
}

/// Whether the value after the last `marker` was redacted by the system.
pub(super) fn is_redacted_after(line: &str, marker: &str) -> bool {
    let start = line.rfind(marker).map(|start| start + marker.len());
    let value = start.and_then(|start| line.get(start..)).unwrap_or("");
    is_redacted(value)
}

/// Whether a value was redacted: `<private>`, or `<mask.hash: '...'>` for a hash of it.
pub(super) fn is_redacted(value: &str) -> bool {
    let value = value.trim_start();
    value.starts_with("<private>") || value.starts_with("<mask")
}

/// Where the text can be cut, of which the rest need not be known: behind the last line that does
/// not belong to a description; 0 if all of the text is one.
pub(super) fn cut(text: &[u8]) -> usize {
    let mut end = text.len();
    while end > 0 {
        let before = text.get(..end - 1).unwrap_or(b"");
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let line = String::from_utf8_lossy(text.get(start..end).unwrap_or(b""));
        // The first line of a log may have a byte order mark.
        let line = line.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        if socket_flow::Pair::of_line(line, true).is_none() {
            return end;
        }
        end = start;
    }
    0
}

/// The protocol of a word in a message, such as `TCP`.
pub(super) fn protocol(word: &str) -> Option<IpProtocol> {
    word.parse().ok()
}
