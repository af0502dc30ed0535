//! Flow lines: one NEFilterSocketFlow a line, as JSON in Apple's own property names.
//!
//! ```
//! use flowsieve::formats::flow_lines;
//!
//! let line = r#"{"remoteEndpoint": "[2001:db8::1]:443", "localEndpoint": "[::]:0",
//!     "socketProtocol": "TCP", "direction": "outbound", "remoteHostname": "www.example.com"}"#;
//! let flow = flow_lines::read(line)?;
//! assert_eq!(flow.remote_hostname(), Some("www.example.com"));
//! assert_eq!(flow_lines::read(&flow_lines::write(&flow))?, flow);
//! # Ok::<(), flowsieve::Error>(())
//! ```
//!
//! `remoteEndpoint` and `localEndpoint` are a string or an object of `hostname` and `port`; absent
//! or null they are not known. `socketProtocol` is an IANA number, or a name; it has to be there.
//! `direction` is `inbound`, `outbound` or `any`; absent or null it is not known, which is `any`.
//! `remoteHostname` is absent or null for flows without a name.

use crate::endpoint::{Endpoint, Host, Ports};
use crate::error::{Error, ErrorKind};
use crate::flow::{Direction, Flow, FlowEndpoint, IpProtocol};
use crate::formats::json::Value;
use crate::formats::settings::to_json;
use crate::formats::{MAX_LINE_BYTES, fast_flow};
use crate::hostname::HostName;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Reads a flow line.
///
/// # Errors
///
/// Whatever is wrong with the text, with its column and key; [`ErrorKind::TooLarge`] above
/// [`MAX_LINE_BYTES`].
pub fn read(line: &str) -> Result<Flow<'_>, Error> {
    if line.len() <= MAX_LINE_BYTES
        && let Some(flow) = fast_flow::read(line)
    {
        return Ok(flow);
    }
    read_thoroughly(line)
}

/// Reads a flow line as [`read`] does, but always with the parser that knows every shape, several
/// times slower: what the fast path is tested against.
///
/// # Errors
///
/// Those of [`read`].
pub fn read_thoroughly(line: &str) -> Result<Flow<'_>, Error> {
    if line.len() > MAX_LINE_BYTES {
        return Err(Error::new(ErrorKind::TooLarge { limit: MAX_LINE_BYTES }));
    }
    let value = Value::parse(line)?;
    let keys = ["remoteEndpoint", "localEndpoint", "socketProtocol", "direction", "remoteHostname"];
    let [remote, local, protocol, direction, hostname] =
        value.fields(keys)?.map(|field| field.filter(|value| !value.is_null()));
    let missing = || value.error(ErrorKind::MissingKey { expected: "`socketProtocol`" });
    let protocol = protocol.ok_or_else(missing)?.keyed("socketProtocol", self::protocol)?;
    let direction = match direction {
        None => Direction::Any,
        Some(direction) => direction.keyed("direction", Value::parsed)?,
    };

    let mut flow = Flow::new(protocol, direction);
    if let Some(hostname) = hostname {
        flow = flow.with_remote_hostname(hostname.keyed("remoteHostname", Value::string)?);
    }
    if let Some(remote) = remote {
        flow = remote.keyed("remoteEndpoint", |remote| flow.with_remote(remote.endpoint()?))?;
    }
    if let Some(local) = local {
        flow = local.keyed("localEndpoint", |local| flow.with_local(local.endpoint()?))?;
    }
    Ok(flow)
}

/// Writes a flow line, without the newline. What [`read`] makes of it is equal to `flow`, unless
/// the remote endpoint holds a name that is not the flow's host name.
pub fn write(flow: &Flow<'_>) -> String {
    to_json(flow)
}

fn protocol(value: Value<'_>) -> Result<IpProtocol, Error> {
    if value.is_string() {
        return value.parsed();
    }
    if value.number().is_err() {
        return Err(value.wrong_type("a protocol (a string or a number)"));
    }
    value.whole_number(u8::MAX.into()).map(|number| IpProtocol(number as u8))
}

impl Serialize for Flow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let local = self.local().and_then(address_text);
        let mut map = serializer.serialize_map(None)?;
        match (self.remote(), self.remote_hostname()) {
            // As hostname and port, which holds any name.
            (Some(remote), Some(name)) if remote.address().is_none() => {
                let host = HostName::new(name).ok().map(Host::Name);
                let ports = Ports::one(remote.port());
                let endpoint = host.map(|host| Endpoint::from_parts(host, ports));
                map.serialize_entry("remoteEndpoint", &endpoint)?;
            }
            (remote, _) => {
                map.serialize_entry("remoteEndpoint", &remote.and_then(address_text))?;
            }
        }
        map.serialize_entry("localEndpoint", &local)?;
        map.serialize_entry("socketProtocol", &self.protocol().0)?;
        map.serialize_entry("direction", self.direction().as_str())?;
        if let Some(name) = self.remote_hostname() {
            map.serialize_entry("remoteHostname", name)?;
        }
        map.end()
    }
}

/// The text of an endpoint that holds an address.
fn address_text(endpoint: FlowEndpoint) -> Option<String> {
    let host = Host::Address(endpoint.address()?, endpoint.zone());
    Some(Endpoint::from_parts(host, Ports::one(endpoint.port())).to_string())
}
