//! CSV whose columns the reader is told.

use crate::endpoint::{Endpoint, Host, Ports};
use crate::error::{Error, ErrorKind};
use crate::flow::{Direction, Flow};
use crate::formats::logs::connection::{Connection, End};
use crate::formats::logs::row::{self, Field, Layout};
use crate::formats::logs::{Entry, LogFlow, LogOptions, Other, Skip};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// Which column of CSV holds what.
///
/// Either the columns in their order (`source,source-port,-,destination,destination-port`, where
/// `-` is not read), and then every line is a row, but for a first line that has words where the
/// rows have addresses; or pairs of a part of the flow and the name of its column in the first line
/// (`remote=dst_ip,remote-port=dst_port`).
///
/// The parts are `source`, `destination` and their ports, where the log has connections; or
/// `local`, `remote` and their ports, where it is that of one host; `protocol`, `direction` and
/// `hostname` (of the remote side). An address may have its port with it, as `192.0.2.1:443`.
/// `direction` is `inbound` or `outbound`, or `in`, `out`, `ingress`, `egress`, `incoming`,
/// `outgoing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    parts: Parts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Parts {
    InOrder(Layout<11>),
    /// Of each field the name of its column.
    Named([Option<Box<str>>; 11]),
}

const FIELDS: [&str; 11] = [
    "source",
    "source-port",
    "destination",
    "destination-port",
    "local",
    "local-port",
    "remote",
    "remote-port",
    "protocol",
    "direction",
    "hostname",
];

/// Reads columns as described at [`Columns`].
impl FromStr for Columns {
    type Err = Error;

    fn from_str(text: &str) -> Result<Columns, Error> {
        let unknown = |word: &str| Error::new(ErrorKind::UnknownColumn { word: word.to_owned() });
        let field = |word: &str| FIELDS.iter().position(|field| *field == word);
        let invalid = |reason| Error::new(ErrorKind::InvalidColumns { reason });
        let mut in_order = [None; FIELDS.len()];
        let mut named = [const { None }; FIELDS.len()];
        let (mut count, mut names) = (0, 0);
        for (index, word) in text.split(',').map(str::trim).enumerate() {
            count = index + 1;
            let (part, name) = match word.split_once('=') {
                Some((part, name)) => (part, Some(name)),
                None if matches!(word, "-" | "_") => continue,
                None => (word, None),
            };
            let place = field(part).ok_or_else(|| unknown(part))?;
            let (Some(column), Some(by_name)) = (in_order.get_mut(place), named.get_mut(place))
            else {
                return Err(unknown(part));
            };
            if column.is_some() || by_name.is_some() {
                return Err(invalid("a part stands twice"));
            }
            match name {
                Some(name) => {
                    names += 1;
                    *by_name = Some(name.into());
                }
                None => *column = Some(index),
            }
        }
        let has = |part: &str| {
            let place = field(part).unwrap_or(0);
            in_order.get(place).is_some_and(Option::is_some)
                || named.get(place).is_some_and(Option::is_some)
        };
        if names > 0 && names < count {
            return Err(invalid("some have a name given with `=` and some have none"));
        }
        let has_both = has("source") && has("destination");
        if !has("remote") && !has_both {
            return Err(invalid("they need `remote`, or `source` and `destination`"));
        }
        let parts = match names {
            0 => Parts::InOrder(Layout::new(in_order, count)),
            _ => Parts::Named(named),
        };
        Ok(Columns { parts })
    }
}

/// What is known of the columns.
#[derive(Clone, Debug)]
pub(super) struct Header {
    columns: Option<Columns>,
    layout: Option<Layout<11>>,
    delimiter: Option<char>,
}

impl Header {
    pub(super) fn new(columns: Option<&Columns>) -> Header {
        let layout = match columns {
            Some(Columns { parts: Parts::InOrder(layout) }) => Some(*layout),
            _ => None,
        };
        Header { columns: columns.cloned(), layout, delimiter: None }
    }

    /// Whether the first line has been seen.
    pub(super) fn is_known(&self) -> bool {
        self.delimiter.is_some()
    }

    /// The first line that is not blank says the delimiter, and can be a header.
    pub(super) fn head(&mut self, line: &str) -> Result<Option<Other>, Error> {
        if self.delimiter.is_some() {
            return Ok(None);
        }
        let delimiter = delimiter(line);
        self.delimiter = Some(delimiter);
        let row = row::csv(line, delimiter)?;
        match self.columns.as_ref().map(|columns| &columns.parts) {
            Some(Parts::Named(names)) => {
                let mut columns = [None; FIELDS.len()];
                for (column, name) in columns.iter_mut().zip(names) {
                    let Some(name) = name.as_deref() else { continue };
                    *column = row.iter().position(|column| column.trim() == name);
                    if column.is_none() {
                        let column = name.to_owned();
                        return Err(Error::new(ErrorKind::MissingColumn { column }).at(1, 1));
                    }
                }
                self.layout = Some(Layout::new(columns, row.len()));
                Ok(Some(Other::Header))
            }
            // A header has words where rows have addresses.
            Some(Parts::InOrder(layout)) => {
                let Ok(fields) = layout.pick(row.into_iter()) else { return Ok(None) };
                let addresses = [0, 2, 4, 6]
                    .into_iter()
                    .filter_map(|field| fields.get(field).copied().flatten());
                let mut addresses = addresses.peekable();
                let has_some = addresses.peek().is_some();
                let are_words = addresses.all(|text| {
                    !text.trim().is_empty()
                        && !text.contains(|c: char| c.is_ascii_digit() || c == ':')
                });
                Ok((has_some && are_words).then_some(Other::Header))
            }
            None => Ok(None),
        }
    }

    pub(super) fn row<'a>(&self, line: &'a str, options: &LogOptions) -> Result<Entry<'a>, Error> {
        let Some(layout) = &self.layout else {
            let expected = "`--columns`, or a first line with the columns that are asked for";
            return Err(Error::new(ErrorKind::MissingHeader { expected }).at(1, 1));
        };
        let row = row::csv(line, self.delimiter.unwrap_or(','))?;
        let picked = layout.pick(row.into_iter())?;
        let mut fields = [None; FIELDS.len()];
        for ((field, text), name) in fields.iter_mut().zip(picked).zip(FIELDS) {
            let text = text.map(|text| Field::new(line, name, text));
            *field = text.filter(|text| !matches!(text.text(), "" | "-"));
        }
        let [source, source_port, destination, destination_port, ..] = fields;
        let [.., local, local_port, remote, remote_port, protocol, direction, hostname] = fields;
        let is_protocol_known = protocol.is_some();
        let protocol = |address| match protocol {
            Some(protocol) => protocol.protocol(address),
            None => Ok(options.protocol),
        };
        let direction = direction.map(self::direction).transpose()?;
        let found = if layout.has(FIELD_REMOTE) {
            let Some(remote) = remote else { return Ok(Entry::Skipped(Skip::NoAddress)) };
            let remote = Side::read(remote, remote_port)?;
            let local = local.map(|local| Side::read(local, local_port)).transpose()?;
            let family = remote.address().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let flow = Flow::new(protocol(family)?, direction.unwrap_or(Direction::Any));
            let mut flow = flow.with_remote(remote.endpoint)?;
            if let Some(local) = local {
                flow = flow.with_local(local.endpoint).map_err(|error| local.field.error(error))?;
            }
            LogFlow::of_host(flow)
        } else {
            let (Some(source), Some(destination)) = (source, destination) else {
                return Ok(Entry::Skipped(Skip::NoAddress));
            };
            let source = Side::read(source, source_port)?.connected()?;
            let destination = Side::read(destination, destination_port)?.connected()?;
            let mut connection = Connection::new(source, destination, protocol(source.0)?);
            (connection.opener, connection.local) = match direction {
                Some(Direction::Outbound) => (Some(End::Source), Some(End::Source)),
                Some(Direction::Inbound) => (Some(End::Source), Some(End::Destination)),
                _ => (None, None),
            };
            connection.to_flow(&options.local_nets)
        };
        let flow = match hostname {
            Some(name) => found.flow.with_remote_hostname(row::unquoted(name.text())),
            None => found.flow,
        };
        Ok(Entry::Flow(LogFlow { flow, is_protocol_known, ..found }))
    }
}

/// The index of `remote` in [`FIELDS`].
const FIELD_REMOTE: usize = 6;

/// An address with its port, from one column or two.
struct Side<'a> {
    field: Field<'a>,
    endpoint: Endpoint,
}

impl<'a> Side<'a> {
    fn read(field: Field<'a>, port: Option<Field<'a>>) -> Result<Side<'a>, Error> {
        let endpoint: Endpoint = field.text().parse().map_err(|error| field.error(error))?;
        let endpoint = match port {
            Some(port) => Endpoint::from_parts(endpoint.host().clone(), Ports::one(port.port()?)),
            None if !endpoint.ports().is_any() && endpoint.ports().as_one().is_none() => {
                return Err(field.error(Error::new(ErrorKind::PortRangeInFlow)));
            }
            None => endpoint,
        };
        Ok(Side { field, endpoint })
    }

    fn address(&self) -> Option<IpAddr> {
        match self.endpoint.host() {
            Host::Address(address, _) => Some(*address),
            Host::Name(_) => None,
        }
    }

    fn connected(&self) -> Result<(IpAddr, u16), Error> {
        let text = || self.field.text().to_owned();
        let address = self.address().ok_or_else(|| {
            self.field.error(Error::new(ErrorKind::InvalidLogAddress { text: text() }))
        })?;
        Ok((address, self.endpoint.ports().as_one().unwrap_or(0)))
    }
}

fn direction(field: Field<'_>) -> Result<Direction, Error> {
    let words: [(&[&str], Direction); 2] = [
        (&["in", "ingress", "incoming", "i"], Direction::Inbound),
        (&["out", "egress", "outgoing", "o"], Direction::Outbound),
    ];
    let word = field.text();
    let is_word = |(words, _): &&(&[&str], Direction)| {
        words.iter().any(|known| known.eq_ignore_ascii_case(word))
    };
    match words.iter().find(is_word) {
        Some((_, direction)) => Ok(*direction),
        None => word.parse().map_err(|error| field.error(error)),
    }
}

/// A tab where the first line has one, a semicolon where it has no comma, else a comma.
fn delimiter(line: &str) -> char {
    match (line.contains('\t'), line.contains(','), line.contains(';')) {
        (true, ..) => '\t',
        (_, false, true) => ';',
        _ => ',',
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn columns_need_a_remote_side_or_both_ends() {
        for text in
            ["remote", "source,destination", "-,remote,-", "remote=ip", "source=a,destination=b"]
        {
            assert!(text.parse::<Columns>().is_ok(), "{text}");
        }
        for (text, message) in [
            ("source", "they need `remote`, or `source` and `destination`"),
            ("remote,remote", "a part stands twice"),
            ("remote=a,protocol", "some have a name given with `=` and some have none"),
        ] {
            let error = text.parse::<Columns>().unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::InvalidColumns { reason: message });
        }
        let error = "remote,x".parse::<Columns>().unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::UnknownColumn { word: "x".to_owned() });
    }

    #[test]
    fn delimiter_is_that_of_the_first_line() {
        assert_eq!(
            ["a,b", "a;b", "a\tb,c", "a;b,c", ""].map(delimiter),
            [',', ';', '\t', ',', ',']
        );
    }
}
