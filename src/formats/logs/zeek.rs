//! Zeek's conn.log, as tab-separated values and as JSON.

use crate::error::{Error, ErrorKind};
use crate::formats::json::Value;
use crate::formats::logs::connection::{self, Connection, End};
use crate::formats::logs::row::{Field, Layout};
use crate::formats::logs::{Entry, LogOptions, Other, Skip};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::net::IpAddr;

/// What the lines that begin with `#` have said.
#[derive(Clone, Debug)]
pub(super) struct Header {
    layout: Option<Layout<8>>,
    separator: char,
    /// What stands for a value that is not there; `-` unless said.
    unset: Box<str>,
    /// Whether the path is another than `conn`.
    is_other_log: bool,
}

const FIELDS: [&str; 8] = [
    "id.orig_h",
    "id.orig_p",
    "id.resp_h",
    "id.resp_p",
    "proto",
    "local_orig",
    "local_resp",
    "ip_proto",
];

impl Default for Header {
    fn default() -> Header {
        Header { layout: None, separator: '\t', unset: "-".into(), is_other_log: false }
    }
}

impl Header {
    pub(super) fn head(&mut self, line: &str) -> Result<Option<Other>, Error> {
        let Some(directive) = line.strip_prefix('#') else { return Ok(None) };
        let end = directive.find([self.separator, ' ']).unwrap_or(directive.len());
        let (name, rest) = directive.split_at(end);
        let mut rest = rest.chars();
        rest.next();
        let rest = rest.as_str();
        match name {
            "separator" => {
                // The start of a log, which may follow another in one file.
                *self = Header { separator: separator(rest).unwrap_or('\t'), ..Header::default() };
            }
            "unset_field" => self.unset = rest.into(),
            "path" => self.is_other_log = rest != "conn",
            "fields" => {
                let names = FIELDS.each_ref().map(std::slice::from_ref);
                let layout = Layout::of_header(rest.split(self.separator), names);
                self.layout = None;
                if !self.is_other_log {
                    layout.needs([(0, FIELDS[0]), (2, FIELDS[2]), (4, FIELDS[4])])?;
                }
                self.layout = Some(layout);
            }
            _ => {}
        }
        Ok(Some(Other::Header))
    }

    pub(super) fn row<'a>(&self, line: &'a str, options: &LogOptions) -> Result<Entry<'a>, Error> {
        if self.is_other_log {
            return Ok(Entry::Skipped(Skip::NotAFlow));
        }
        let Some(layout) = &self.layout else {
            return Err(Error::new(ErrorKind::MissingHeader { expected: "`#fields`" }).at(1, 1));
        };
        let picked = layout.pick(line.split(self.separator))?;
        let mut fields = [None; FIELDS.len()];
        for ((field, text), name) in fields.iter_mut().zip(picked).zip(FIELDS) {
            *field =
                text.filter(|text| *text != &*self.unset).map(|text| Field::new(line, name, text));
        }
        let [source, source_port, destination, destination_port, protocol, orig, resp, number] =
            fields;
        let (Some(source), Some(destination)) = (source, destination) else {
            return Ok(Entry::Skipped(Skip::NoAddress));
        };
        let (source, destination) = (source.address()?, destination.address()?);
        let protocol = match (protocol, number) {
            (_, Some(number)) => number.protocol(source)?,
            (Some(protocol), None) if protocol.text() != UNKNOWN => protocol.protocol(source)?,
            _ => return Ok(Entry::Skipped(Skip::NoProtocol)),
        };
        let port = |field: Option<Field<'_>>| match field {
            None => Ok(0),
            Some(field) => field.port_of(protocol),
        };
        let source = (source, port(source_port)?);
        let destination = (destination, port(destination_port)?);
        let is_local = |field: Option<Field<'_>>| match field {
            None => Ok(None),
            Some(field) => match field.text() {
                "T" => Ok(Some(true)),
                "F" => Ok(Some(false)),
                _ => Err(field.error(Error::new(ErrorKind::WrongType {
                    expected: "`T` or `F`",
                    found: "another word",
                }))),
            },
        };
        let mut connection = Connection::new(source, destination, protocol);
        connection.opener = Some(End::Source);
        connection.local = local(is_local(orig)?, is_local(resp)?);
        Ok(Entry::Flow(connection.to_flow(&options.local_nets)))
    }
}

/// Reads a line of JSON.
pub(super) fn json<'a>(line: &'a str, options: &LogOptions) -> Result<Entry<'a>, Error> {
    let record: Record<'a> = Value::record(line)?;
    let at = |raw: Option<&'a RawValue>| {
        raw.map(|raw| Value::inside(line, raw)).filter(|value| !value.is_null())
    };
    if let Some(path) = at(record.path)
        && path.keyed("_path", Value::string)? != "conn"
    {
        return Ok(Entry::Skipped(Skip::NotAFlow));
    }
    let (Some(source), Some(destination)) = (at(record.orig_h), at(record.resp_h)) else {
        return Ok(Entry::Skipped(Skip::NoAddress));
    };
    let source = source.keyed("id.orig_h", Value::address)?;
    let destination = destination.keyed("id.resp_h", Value::address)?;
    let protocol = match (at(record.proto), at(record.ip_proto)) {
        (_, Some(number)) => number.keyed("ip_proto", |number| number.protocol_number())?,
        (Some(word), None) => {
            let word = word.keyed("proto", |value| {
                let text = value.string()?;
                match &*text {
                    UNKNOWN => Ok(None),
                    text => connection::protocol(text, source).map(Some),
                }
            })?;
            match word {
                Some(protocol) => protocol,
                None => return Ok(Entry::Skipped(Skip::NoProtocol)),
            }
        }
        _ => return Ok(Entry::Skipped(Skip::NoProtocol)),
    };
    let port = |key: &str, raw| match at(raw) {
        None => Ok(0),
        Some(port) => port.keyed(key, |port| port.whole_number(u16::MAX.into())),
    };
    let ends: [(IpAddr, u16); 2] = [
        (source, port("id.orig_p", record.orig_p)? as u16),
        (destination, port("id.resp_p", record.resp_p)? as u16),
    ];
    let is_local = |key: &str, raw| match at(raw) {
        None => Ok(None),
        Some(value) => value.keyed(key, Value::boolean).map(Some),
    };
    let mut connection = Connection::new(ends[0], ends[1], protocol);
    connection.opener = Some(End::Source);
    connection.local = local(
        is_local("local_orig", record.local_orig)?,
        is_local("local_resp", record.local_resp)?,
    );
    Ok(Entry::Flow(connection.to_flow(&options.local_nets)))
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, rename = "_path")]
    path: Option<&'a RawValue>,
    #[serde(borrow, rename = "id.orig_h")]
    orig_h: Option<&'a RawValue>,
    #[serde(borrow, rename = "id.orig_p")]
    orig_p: Option<&'a RawValue>,
    #[serde(borrow, rename = "id.resp_h")]
    resp_h: Option<&'a RawValue>,
    #[serde(borrow, rename = "id.resp_p")]
    resp_p: Option<&'a RawValue>,
    #[serde(borrow)]
    proto: Option<&'a RawValue>,
    #[serde(borrow)]
    ip_proto: Option<&'a RawValue>,
    #[serde(borrow)]
    local_orig: Option<&'a RawValue>,
    #[serde(borrow)]
    local_resp: Option<&'a RawValue>,
}

/// What Zeek calls a protocol that it does not follow.
const UNKNOWN: &str = "unknown_transport";

/// The local end, which is known if just one is.
fn local(orig: Option<bool>, resp: Option<bool>) -> Option<End> {
    match (orig, resp) {
        (Some(true), Some(false) | None) => Some(End::Source),
        (Some(false) | None, Some(true)) => Some(End::Destination),
        _ => None,
    }
}

/// `\x09`, or the character itself.
fn separator(text: &str) -> Option<char> {
    match text.strip_prefix("\\x") {
        Some(hex) => {
            let code = u8::from_str_radix(hex.get(..2)?, 16).ok()?;
            code.is_ascii().then_some(char::from(code))
        }
        None => text.chars().next(),
    }
}
