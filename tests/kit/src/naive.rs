//! What a match is, written again from the clauses (S-05 to S-52) and in another style:
//! addresses are strings of `0` and `1`, names are lists of labels.
//!
//! Only accessors are used, so that neither `Network`, `HostName::matches` nor `Flow::is_loopback`
//! is trusted.

use flowsieve::{
    Direction, Endpoint, Flow, FlowEndpoint, Host, IpProtocol, NetworkRule, Ports, Protocol, Remote,
};
use std::net::IpAddr;

/// Returns whether `rule` matches `flow`.
pub fn naive_matches(rule: &NetworkRule, flow: &Flow<'_>) -> bool {
    NaiveRule::of(rule).matches(&NaiveFlow::of(flow))
}

/// Returns whether `flow` is a loopback flow (S-17).
pub fn naive_is_loopback(flow: &Flow<'_>) -> bool {
    NaiveFlow::of(flow).is_loopback()
}

/// A rule, taken apart once for many flows.
#[derive(Clone, Debug)]
pub struct NaiveRule {
    protocols: Vec<u8>,
    directions: Vec<Direction>,
    remote: Side,
    local: Side,
}

/// A flow, taken apart once for many rules.
#[derive(Clone, Debug)]
pub struct NaiveFlow {
    protocol: IpProtocol,
    direction: Direction,
    remote: Option<End>,
    local: Option<End>,
    labels: Option<Vec<Vec<u8>>>,
}

#[derive(Clone, Debug)]
enum Side {
    Nil,
    Wildcard { width: usize, ports: Ports },
    Explicit { bits: String, prefix_len: usize, zone: Option<String>, ports: Ports },
    Host { labels: Vec<Vec<u8>>, ports: Ports },
}

#[derive(Clone, Debug)]
struct End {
    bits: Option<String>,
    zone: Option<String>,
    port: u16,
}

impl NaiveRule {
    /// Takes `rule` apart.
    pub fn of(rule: &NetworkRule) -> NaiveRule {
        let protocols = match rule.match_protocol() {
            Protocol::Any => vec![6, 17],
            Protocol::Tcp => vec![6],
            Protocol::Udp => vec![17],
            Protocol::Number(number) => vec![number],
        };
        let directions = match rule.match_direction() {
            Direction::Any => vec![Direction::Any, Direction::Inbound, Direction::Outbound],
            direction => vec![direction],
        };
        assert_eq!(
            matches!(rule.remote(), Remote::Host { .. }),
            rule.match_remote_endpoint().is_some_and(|remote| remote.host().name().is_some()),
            "{rule:?}"
        );
        NaiveRule {
            protocols,
            directions,
            remote: side(rule.match_remote_endpoint(), rule.match_remote_prefix()),
            local: side(rule.match_local_network(), rule.match_local_prefix()),
        }
    }

    /// Returns whether the rule matches `flow`.
    pub fn matches(&self, flow: &NaiveFlow) -> bool {
        if !self.protocols.contains(&flow.protocol.0) {
            return false; // S-30, S-31
        }
        if !self.directions.contains(&flow.direction) {
            return false; // S-35, S-36
        }
        if !side_matches(&self.local, flow.local.as_ref()) {
            return false; // S-07
        }
        if let Side::Host { labels, ports } = &self.remote {
            let port = flow.remote.as_ref().map_or(0, |end| end.port);
            // Loopback is excluded for address rules only (S-41), and the family is not looked
            // at (S-44).
            return port_is_in(*ports, port) && name_matches(labels, flow.labels.as_deref());
        }
        if !side_matches(&self.remote, flow.remote.as_ref()) {
            return false;
        }
        let is_explicit = |side: &Side| matches!(side, Side::Explicit { .. });
        // S-14, S-17, S-18
        !flow.is_loopback() || is_explicit(&self.remote) || is_explicit(&self.local)
    }
}

impl NaiveFlow {
    /// Takes `flow` apart.
    pub fn of(flow: &Flow<'_>) -> NaiveFlow {
        let end = |end: FlowEndpoint| End {
            bits: end.address().map(folded_bits),
            zone: end.zone().map(|zone| zone.as_str().to_owned()),
            port: end.port(),
        };
        NaiveFlow {
            protocol: flow.protocol(),
            direction: flow.direction(),
            remote: flow.remote().map(end),
            local: flow.local().map(end),
            labels: flow.remote_hostname().and_then(labels),
        }
    }

    fn is_loopback(&self) -> bool {
        let ends = [&self.remote, &self.local];
        ends.into_iter().flatten().filter_map(|end| end.bits.as_deref()).any(|bits| {
            match bits.len() {
                // 127 is seven ones.
                32 => bits == "01111111000000000000000000000001",
                _ => bits.find('1') == Some(127),
            }
        })
    }
}

fn side(endpoint: Option<Endpoint>, prefix: Option<u8>) -> Side {
    let Some(endpoint) = endpoint else { return Side::Nil };
    let ports = endpoint.ports();
    match endpoint.host() {
        Host::Name(name) => {
            let labels = labels(name.as_str()).expect("a rule's name has a label");
            Side::Host { labels, ports }
        }
        Host::Address(address, zone) => {
            let bits = bits(*address);
            if !bits.contains('1') {
                return Side::Wildcard { width: bits.len(), ports };
            }
            let prefix_len = prefix.expect("an address has a prefix length").into();
            let zone = zone.map(|zone| zone.as_str().to_owned());
            Side::Explicit { bits, prefix_len, zone, ports }
        }
    }
}

fn side_matches(side: &Side, end: Option<&End>) -> bool {
    let (wanted, prefix_len, width, zone, ports) = match side {
        Side::Nil => return true, // S-05, S-22
        Side::Host { .. } => return false,
        Side::Wildcard { width, ports } => ("", 0, *width, &None, ports), // S-14 to S-16
        Side::Explicit { bits, prefix_len, zone, ports } => {
            (bits.as_str(), *prefix_len, bits.len(), zone, ports)
        }
    };
    let Some(end) = end else { return false }; // S-22
    let Some(found) = &end.bits else { return false }; // S-52
    found.len() == width
        && found[..prefix_len] == wanted[..prefix_len] // S-10, S-11
        && (zone.is_none() || end.zone.is_none() || *zone == end.zone) // S-50
        && port_is_in(*ports, end.port)
}

fn port_is_in(ports: Ports, port: u16) -> bool {
    ports.is_any() || (port != 0 && ports.first() <= port && port <= ports.last())
}

/// S-40 to S-42.
fn name_matches(rule: &[Vec<u8>], flow: Option<&[Vec<u8>]>) -> bool {
    let Some(flow) = flow else { return false };
    match rule.len() {
        1 => flow == rule,
        _ => flow.ends_with(rule),
    }
}

/// The labels in lower case; none where nothing is left of the name.
fn labels(name: &str) -> Option<Vec<Vec<u8>>> {
    let mut name = name.as_bytes().to_vec();
    while matches!(name.last(), Some(b'.' | b'*')) {
        name.pop();
    }
    while matches!(name.first(), Some(b'.' | b'*')) {
        name.remove(0);
    }
    name.make_ascii_lowercase();
    (!name.is_empty()).then(|| name.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect())
}

fn bits(address: IpAddr) -> String {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    octets.iter().map(|octet| format!("{octet:08b}")).collect()
}

/// S-20: 80 zeros and 16 ones before an IPv4 address.
fn folded_bits(address: IpAddr) -> String {
    let bits = bits(address);
    let mapped = "0".repeat(80) + &"1".repeat(16);
    bits.strip_prefix(&mapped).map_or(bits.clone(), str::to_owned)
}
