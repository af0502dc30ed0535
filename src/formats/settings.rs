//! Settings files: an NEFilterSettings as JSON, in Apple's own property names.
//!
//! ```
//! use flowsieve::{Action, formats::settings};
//!
//! let text = br#"{
//!     "rules": [
//!         {
//!             "networkRule": {
//!                 "remoteNetwork": { "hostname": "111.111.111.111", "port": "0" },
//!                 "remotePrefix": 32,
//!                 "localNetwork": null,
//!                 "localPrefix": 0,
//!                 "protocol": "TCP",
//!                 "direction": "outbound"
//!             },
//!             "action": "filterData"
//!         }
//!     ],
//!     "defaultAction": "allow"
//! }"#;
//! let read = settings::read(text)?;
//! assert_eq!(read.default_action(), Action::Allow);
//! assert_eq!(settings::read(settings::write(&read).as_bytes())?, read);
//!
//! let error = settings::read(b"{\"rules\": [],\n \"rule\": 1}").unwrap_err();
//! assert_eq!(error.to_string(), "line 2, column 2: key `rule`: unknown key");
//! # Ok::<(), flowsieve::Error>(())
//! ```
//!
//! The three shapes of `networkRule` are the three initialisers of NENetworkRule, told apart by
//! their keys: `destinationNetwork` and `destinationPrefix`; `destinationHost`; or
//! `remoteNetwork`, `remotePrefix`, `localNetwork`, `localPrefix` and `direction`, of which a
//! network that is null or absent is nil, and an absent direction is any. All take `protocol`. A
//! prefix is needed wherever there is a network: there is no default for it, since 0, the value
//! that is easily left there, matches everything.

use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind};
use crate::flow::Direction;
use crate::formats::json::Value;
use crate::formats::places::Places;
use crate::network::Network;
use crate::rule::{Action, FilterRule, Initializer, NetworkRule, Protocol};
use crate::settings::FilterSettings;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::io;

/// The largest settings file that is read, in bytes.
pub const MAX_BYTES: usize = 256 * 1024 * 1024;

/// How settings are read, where that is a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Takes a host name in a network initialiser as a host rule (S-46). Off by default.
    pub hostname_in_network: bool,
}

/// Reads a settings file, as UTF-8 with or without a byte order mark.
///
/// # Errors
///
/// Whatever is wrong with the text, with its line, column, rule index and key;
/// [`ErrorKind::TooLarge`] above [`MAX_BYTES`].
pub fn read(text: &[u8]) -> Result<FilterSettings, Error> {
    read_with(text, ReadOptions::default())
}

/// Reads a settings file as [`read`] does, with options.
///
/// # Errors
///
/// As for [`read`].
pub fn read_with(text: &[u8], options: ReadOptions) -> Result<FilterSettings, Error> {
    settings(Value::parse(checked_text(text)?)?, options)
}

/// Returns the line and the column at which each rule of a settings file begins, both from 1, the
/// column in characters, a byte order mark not counted.
///
/// ```
/// use flowsieve::formats::settings;
///
/// let text = b"{\"rules\": [{},\n  {}]}";
/// assert_eq!(settings::rule_places(text)?, [(1, 12), (2, 3)]);
/// # Ok::<(), flowsieve::Error>(())
/// ```
///
/// # Errors
///
/// Those of [`read`] that are about the text as a whole; rules are not read.
pub fn rule_places(text: &[u8]) -> Result<Vec<(u64, u64)>, Error> {
    let text = checked_text(text)?;
    let root = Value::parse(text)?;
    let missing = || root.error(ErrorKind::MissingKey { expected: "`rules`" });
    let rules = root.field("rules").ok_or_else(missing)?.keyed("rules", Value::elements)?;
    let places = Places::new(text);
    Ok(rules.map(|rule| places.of(rule.span().start)).collect())
}

/// Returns the text of a settings file, without its byte order mark.
pub(super) fn checked_text(text: &[u8]) -> Result<&str, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::new(ErrorKind::TooLarge { limit: MAX_BYTES }));
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    std::str::from_utf8(text).map_err(|error| {
        let valid = text.get(..error.valid_up_to()).unwrap_or(text);
        let line = valid.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let last = valid.rsplit(|byte| *byte == b'\n').next().unwrap_or(valid);
        Error::new(ErrorKind::NotUtf8)
            .at(line, String::from_utf8_lossy(last).chars().count() as u64 + 1)
    })
}

/// Writes settings as a settings file, one rule a line. What [`read`] makes of it is equal to
/// `settings`; with a host name in a network initialiser, what [`read_with`] makes of it.
pub fn write(settings: &FilterSettings) -> String {
    let mut bytes = Vec::new();
    // A Vec takes whatever is written, and it is UTF-8.
    let _ = write_to(settings, &mut bytes);
    String::from_utf8(bytes).unwrap_or_default()
}

/// Writes what [`write()`] does, piece by piece.
///
/// # Errors
///
/// Those of `output`.
pub fn write_to(settings: &FilterSettings, output: &mut dyn io::Write) -> io::Result<()> {
    output.write_all(b"{\n  \"rules\": [")?;
    for (index, rule) in settings.rules().iter().enumerate() {
        output.write_all(if index == 0 { b"\n    " } else { b",\n    " })?;
        serde_json::to_writer(&mut *output, rule)?;
    }
    let end = if settings.rules().is_empty() { "]" } else { "\n  ]" };
    writeln!(output, "{end},\n  \"defaultAction\": {}\n}}", to_json(&settings.default_action()))
}

fn settings(value: Value<'_>, options: ReadOptions) -> Result<FilterSettings, Error> {
    let [rules, default_action] = value.fields(["rules", "defaultAction"])?;
    let missing = || value.error(ErrorKind::MissingKey { expected: "`rules`" });
    let rules = rules.ok_or_else(missing)?.keyed("rules", Value::elements)?.enumerate();
    let rules = rules
        .map(|(index, value)| filter_rule(value, options).map_err(|error| error.in_rule(index)));
    let rules = rules.collect::<Result<_, _>>()?;
    let default_action = match default_action {
        None => Action::FilterData,
        Some(value) => value.keyed("defaultAction", Value::parsed)?,
    };
    Ok(FilterSettings::new(rules, default_action))
}

pub(super) fn filter_rule(value: Value<'_>, options: ReadOptions) -> Result<FilterRule, Error> {
    let [network_rule, action, label] = value.fields(["networkRule", "action", "label"])?;
    let missing = |expected| value.error(ErrorKind::MissingKey { expected });
    let rule = self::network_rule(network_rule.ok_or_else(|| missing("`networkRule`"))?, options)?;
    let action = action.ok_or_else(|| missing("`action`"))?.keyed("action", Value::parsed)?;
    let rule = FilterRule::new(rule, action);
    let label = label.map(|label| label.keyed("label", Value::optional_string)).transpose()?;
    Ok(match label.flatten() {
        Some(label) => rule.with_label(label),
        None => rule,
    })
}

pub(super) fn network_rule(value: Value<'_>, options: ReadOptions) -> Result<NetworkRule, Error> {
    let [
        destination_network,
        destination_prefix,
        destination_host,
        remote_network,
        remote_prefix,
        local_network,
        local_prefix,
        direction,
        protocol,
    ] = value.fields([
        "destinationNetwork",
        "destinationPrefix",
        "destinationHost",
        "remoteNetwork",
        "remotePrefix",
        "localNetwork",
        "localPrefix",
        "direction",
        "protocol",
    ])?;
    let forms: [&[_]; 3] = [
        &[("destinationNetwork", destination_network), ("destinationPrefix", destination_prefix)],
        &[("destinationHost", destination_host)],
        &[
            ("remoteNetwork", remote_network),
            ("remotePrefix", remote_prefix),
            ("localNetwork", local_network),
            ("localPrefix", local_prefix),
            ("direction", direction),
        ],
    ];
    let present = forms.iter().zip([
        Initializer::DestinationNetwork,
        Initializer::DestinationHost,
        Initializer::RemoteNetwork,
    ]);
    let mut present = present.filter_map(|(form, initializer)| {
        let (key, value) = form.iter().find_map(|(key, value)| Some((*key, (*value)?)))?;
        Some((initializer, key, value))
    });
    let missing = |expected| value.error(ErrorKind::MissingKey { expected });
    let Some((initializer, first, _)) = present.next() else {
        return Err(missing("`remoteNetwork`, `destinationNetwork` or `destinationHost`"));
    };
    if let Some((_, key, value)) = present.next() {
        return Err(value.error(ErrorKind::ConflictingKeys { with: first }).for_key(key));
    }
    let protocol = protocol.ok_or_else(|| missing("`protocol`"))?;
    let protocol = protocol.keyed("protocol", self::protocol)?;

    let side = |keys: SideKeys, network, prefix, may_be_host| {
        side(value, keys, network, prefix, may_be_host && options.hostname_in_network)
    };
    let rule = match initializer {
        Initializer::DestinationNetwork => {
            let (network, prefix) =
                side(SideKeys::DESTINATION, destination_network, destination_prefix, true)?;
            let network = network.ok_or_else(|| match destination_network {
                // Nil is for the other initialiser.
                Some(null) => null
                    .wrong_type("an endpoint (a string or an object)")
                    .for_key("destinationNetwork"),
                None => missing("`destinationNetwork`"),
            })?;
            match options.hostname_in_network {
                true => NetworkRule::destination_network_or_host(network, prefix, protocol),
                false => NetworkRule::destination_network(network, prefix, protocol),
            }
        }
        Initializer::DestinationHost => {
            let host = destination_host.ok_or_else(|| missing("`destinationHost`"))?;
            host.keyed("destinationHost", |host| {
                NetworkRule::destination_host(host.endpoint()?, protocol)
            })
        }
        Initializer::RemoteNetwork => {
            let direction = match direction {
                None => Direction::Any,
                Some(direction) => direction.keyed("direction", Value::parsed)?,
            };
            let (remote, remote_bits) =
                side(SideKeys::REMOTE, remote_network, remote_prefix, true)?;
            let (local, local_bits) = side(SideKeys::LOCAL, local_network, local_prefix, false)?;
            let make = match options.hostname_in_network {
                true => NetworkRule::remote_network_or_host,
                false => NetworkRule::remote_network,
            };
            make(remote, remote_bits, local, local_bits, protocol, direction)
        }
    };
    rule.map_err(|error| value.locate(error))
}

/// The keys of one side of a rule.
struct SideKeys {
    network: &'static str,
    prefix: &'static str,
    missing_prefix: &'static str,
}

impl SideKeys {
    const DESTINATION: SideKeys = SideKeys {
        network: "destinationNetwork",
        prefix: "destinationPrefix",
        missing_prefix: "`destinationPrefix`",
    };
    const REMOTE: SideKeys = SideKeys {
        network: "remoteNetwork",
        prefix: "remotePrefix",
        missing_prefix: "`remotePrefix`",
    };
    const LOCAL: SideKeys = SideKeys {
        network: "localNetwork",
        prefix: "localPrefix",
        missing_prefix: "`localPrefix`",
    };
}

/// Reads one side, and checks it so that an error has the place of the value that it is about.
fn side(
    rule: Value<'_>,
    keys: SideKeys,
    network: Option<Value<'_>>,
    prefix: Option<Value<'_>>,
    may_be_host: bool,
) -> Result<(Option<Endpoint>, u64), Error> {
    let prefix = prefix.filter(|prefix| !prefix.is_null());
    let Some(network) = network.filter(|network| !network.is_null()) else {
        // Ignored, whatever number it is (S-06).
        prefix.map_or(Ok(""), |prefix| prefix.keyed(keys.prefix, Value::number))?;
        return Ok((None, 0));
    };
    let endpoint = network.keyed(keys.network, Value::endpoint)?;
    let missing = || rule.error(ErrorKind::MissingKey { expected: keys.missing_prefix });
    let prefix_value = prefix.ok_or_else(missing)?;
    let prefix = prefix_value.keyed(keys.prefix, prefix_length)?;
    if !(may_be_host && endpoint.host().name().is_some()) {
        Network::new(&endpoint, prefix).map_err(|error| match error.kind() {
            ErrorKind::NotAnAddress { .. } => network.locate(error.for_key(keys.network)),
            _ => prefix_value.locate(error.for_key(keys.prefix)),
        })?;
    }
    Ok((Some(endpoint), prefix))
}

fn prefix_length(value: Value<'_>) -> Result<u64, Error> {
    // Which numbers are in range depends on the family; here only that it is a whole number.
    let number = value.number()?;
    number.parse().map_err(|_| {
        value.error(ErrorKind::NumberOutOfRange { number: number.into(), range: (0, 128) })
    })
}

fn protocol(value: Value<'_>) -> Result<Protocol, Error> {
    if value.is_string() {
        return value.parsed();
    }
    if value.number().is_err() {
        return Err(value.wrong_type("a protocol (a string or a number)"));
    }
    let number = value.whole_number(u8::MAX.into())?;
    Ok(Protocol::Number(number as u8).canonical())
}

pub(super) fn to_json(value: &impl Serialize) -> String {
    // Fails only for maps with keys that are not strings, of which there are none.
    serde_json::to_string(value).unwrap_or_default()
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("hostname", &self.host().to_string())?;
        map.serialize_entry("port", &self.ports().to_string())?;
        map.end()
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// `any`, `TCP`, `UDP`, or a number.
impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Protocol::Number(number) => serializer.serialize_u8(*number),
            Protocol::Any | Protocol::Tcp | Protocol::Udp => serializer.collect_str(self),
        }
    }
}

/// In the shape of the initialiser that it was made with.
impl Serialize for NetworkRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let remote = self.match_remote_endpoint();
        let prefix = self.match_remote_prefix().unwrap_or(0);
        match self.initializer() {
            Initializer::DestinationNetwork => {
                map.serialize_entry("destinationNetwork", &remote)?;
                map.serialize_entry("destinationPrefix", &prefix)?;
            }
            Initializer::DestinationHost => map.serialize_entry("destinationHost", &remote)?,
            Initializer::RemoteNetwork => {
                map.serialize_entry("remoteNetwork", &remote)?;
                map.serialize_entry("remotePrefix", &prefix)?;
                map.serialize_entry("localNetwork", &self.match_local_network())?;
                map.serialize_entry("localPrefix", &self.match_local_prefix().unwrap_or(0))?;
            }
        }
        map.serialize_entry("protocol", &self.match_protocol())?;
        if self.initializer() == Initializer::RemoteNetwork {
            map.serialize_entry("direction", self.match_direction().as_str())?;
        }
        map.end()
    }
}

impl Serialize for FilterRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("networkRule", self.network_rule())?;
        map.serialize_entry("action", &self.action())?;
        if let Some(label) = self.label() {
            map.serialize_entry("label", label)?;
        }
        map.end()
    }
}

impl Serialize for FilterSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("rules", self.rules())?;
        map.serialize_entry("defaultAction", &self.default_action())?;
        map.end()
    }
}
