//! Suricata's eve.json: events, of which those of type `flow` are flows.

use crate::error::{Error, ErrorKind};
use crate::formats::json::Value;
use crate::formats::logs::connection::{self, Connection, End};
use crate::formats::logs::{Entry, LogOptions, Skip};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads an event.
///
/// Other events than `flow` carry addresses too, but those of a flow that has an event of its own,
/// and some of them those of an answer.
pub(super) fn line<'a>(line: &'a str, options: &LogOptions) -> Result<Entry<'a>, Error> {
    let event: Event<'a> = Value::record(line)?;
    let at = |raw: Option<&'a RawValue>| {
        raw.map(|raw| Value::inside(line, raw)).filter(|value| !value.is_null())
    };
    let kind = at(event.event_type)
        .ok_or_else(|| Error::new(ErrorKind::MissingKey { expected: "`event_type`" }).at(1, 1))?;
    if kind.keyed("event_type", Value::string)? != "flow" {
        return Ok(Entry::Skipped(Skip::NotAFlow));
    }
    let (Some(source), Some(destination)) = (at(event.src_ip), at(event.dest_ip)) else {
        return Ok(Entry::Skipped(Skip::NoAddress));
    };
    let source = source.keyed("src_ip", Value::address)?;
    let destination = destination.keyed("dest_ip", Value::address)?;
    let Some(protocol) = at(event.proto) else { return Ok(Entry::Skipped(Skip::NoProtocol)) };
    let protocol = protocol.keyed("proto", |word| connection::protocol(&word.string()?, source))?;
    let port = |key: &str, raw| match at(raw) {
        None => Ok(0),
        Some(port) => port.keyed(key, |port| port.whole_number(u16::MAX.into())),
    };
    let source = (source, port("src_port", event.src_port)? as u16);
    let destination = (destination, port("dest_port", event.dest_port)? as u16);
    let mut connection = Connection::new(source, destination, protocol);
    connection.opener = Some(End::Source);
    Ok(Entry::Flow(connection.to_flow(&options.local_nets)))
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    src_ip: Option<&'a RawValue>,
    #[serde(borrow)]
    src_port: Option<&'a RawValue>,
    #[serde(borrow)]
    dest_ip: Option<&'a RawValue>,
    #[serde(borrow)]
    dest_port: Option<&'a RawValue>,
    #[serde(borrow)]
    proto: Option<&'a RawValue>,
}
