//! The description of an NEFilterSocketFlow: a line `key = value` for each property.

use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind};
use crate::flow::{Direction, Flow, IpProtocol};
use crate::formats::MAX_LINE_BYTES;
use crate::formats::logs::{Entry, LogFlow, LogOptions, Record, Skip, macos, row};
use std::borrow::Cow;

/// A property.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    key: &'a str,
    value: &'a str,
}

/// The properties that begin a description wherever they stand on a line, and those that are read.
const KEYS: [&str; 7] = [
    "identifier",
    "direction",
    "localEndpoint",
    "remoteEndpoint",
    "remoteHostname",
    "protocol",
    "socketProtocol",
];

impl<'a> Pair<'a> {
    /// Reads a line as a property. Within a description any key is one; outside, only those that
    /// begin a description.
    pub(super) fn of_line(line: &'a str, is_within: bool) -> Option<Pair<'a>> {
        let (before, value) = line
            .split_once(" = ")
            .or_else(|| line.strip_suffix(" =").map(|before| (before, "")))?;
        let key = before.trim_start();
        let is_word =
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_word && (is_within || KEYS.contains(&key)) {
            return Some(Pair { key, value: value.trim() });
        }
        // The first property can stand behind the prefix of the log.
        let key = key.rsplit([' ', '\t']).next()?;
        (key == "identifier").then(|| Pair { key, value: value.trim() })
    }
}

/// A description of which not all lines have been seen.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    /// The number of its first line; 0 while there is none.
    first: u64,
    /// The length of its lines, in bytes.
    len: usize,
    /// The values of [`KEYS`], with their lines.
    values: [Option<(u64, &'a str, &'a str)>; KEYS.len()],
}

impl<'a> Block<'a> {
    pub(super) fn is_open(&self) -> bool {
        self.first > 0
    }

    /// Whether `pair` is of another description than the one so far.
    pub(super) fn begins_anew(&self, pair: &Pair<'_>) -> bool {
        let place = KEYS.iter().position(|key| *key == pair.key);
        place.and_then(|place| self.values.get(place)).is_some_and(Option::is_some)
    }

    pub(super) fn add(&mut self, number: u64, line: &'a str, pair: Pair<'a>) {
        if self.first == 0 {
            self.first = number;
        }
        self.len = self.len.saturating_add(line.len() + 1);
        let place = KEYS.iter().position(|key| *key == pair.key);
        if let Some(value) = place.and_then(|place| self.values.get_mut(place)) {
            *value = Some((number, line, pair.value));
        }
    }

    /// Returns the flow that has been described.
    pub(super) fn finish(&mut self, options: &LogOptions) -> Option<Record<'a>> {
        if !self.is_open() {
            return None;
        }
        let block = std::mem::take(self);
        let line = block.first;
        let entry = block.entry(options).unwrap_or_else(|error| {
            Entry::Rejected(if error.line().is_none() { error.on_line(line) } else { error })
        });
        Some(Record { line, entry })
    }

    fn entry(&self, options: &LogOptions) -> Result<Entry<'a>, Error> {
        if self.len > MAX_LINE_BYTES {
            return Err(Error::new(ErrorKind::TooLarge { limit: MAX_LINE_BYTES }));
        }
        let [_, direction, local, remote, hostname, protocol, socket_protocol] = self.values;
        let known = |value: Option<(u64, &'a str, &'a str)>| {
            value.filter(|(_, _, text)| !matches!(*text, "" | "(null)" | "(nil)" | "nil"))
        };
        let (local, remote) = (known(local), known(remote));
        if [local, remote].into_iter().flatten().any(|(_, _, text)| macos::is_redacted(text)) {
            return Ok(Entry::Skipped(Skip::Private));
        }
        let Some(remote) = remote else { return Ok(Entry::Skipped(Skip::NoAddress)) };
        let protocol = known(socket_protocol).or(known(protocol));
        let (protocol, is_protocol_known) = match protocol {
            Some(value) => (parse(value, "protocol", str::parse::<IpProtocol>)?, true),
            None => (options.protocol, false),
        };
        let direction = match known(direction) {
            Some(value) => parse(value, "direction", str::parse)?,
            None => Direction::Any,
        };
        let mut flow = Flow::new(protocol, direction);
        if let Some((_, _, name)) = known(hostname)
            && !macos::is_redacted(name)
        {
            flow = flow.with_remote_hostname(Cow::Borrowed(name));
        }
        flow = parse(remote, "remoteEndpoint", |text| flow.with_remote(text.parse::<Endpoint>()?))?;
        if let Some(local) = local {
            flow =
                parse(local, "localEndpoint", |text| flow.with_local(text.parse::<Endpoint>()?))?;
        }
        Ok(Entry::Flow(LogFlow { is_protocol_known, ..LogFlow::of_host(flow) }))
    }
}

fn parse<'a, T>(
    (number, line, text): (u64, &'a str, &'a str),
    key: &str,
    read: impl FnOnce(&'a str) -> Result<T, Error>,
) -> Result<T, Error> {
    read(text).map_err(|error| error.for_key(key).at(number, row::column(line, text)))
}
