//! [`Universe`]: few enough flows that all can be tried, and rules among which they tell.

use crate::random::Random;
use flowsieve::{
    Action, Direction, Endpoint, FilterRule, FilterSettings, Flow, Host, IpProtocol, NetworkRule,
    Ports, Protocol, Zone,
};
use std::net::IpAddr;

/// Flows, and what the rules are made of.
///
/// Whatever such rules can tell apart is in the flows: a value for each stretch between their
/// bounds, for each part of a flow.
pub struct Universe {
    /// Every flow.
    pub flows: Vec<Flow<'static>>,
    remotes: Vec<Side>,
    locals: Vec<Side>,
    protocols: Vec<Protocol>,
    directions: Vec<Direction>,
    names: Vec<&'static str>,
}

/// An endpoint and a prefix length; `None` for nil.
type Side = Option<(&'static str, u64)>;

impl Universe {
    /// Makes one of some shapes, each rich in some parts of a flow and poor in the others.
    pub fn new(random: &mut Random) -> Universe {
        let shape = random.below(6);
        let pick = |rich: bool, all: &[&'static str], few: &[&'static str]| -> Vec<&'static str> {
            if rich { all.to_vec() } else { few.to_vec() }
        };
        let sides = |rich: bool, all: &[Side], few: &[Side]| -> Vec<Side> {
            if rich { all.to_vec() } else { few.to_vec() }
        };
        let is_remote = matches!(shape, 0..=2);
        let is_local = matches!(shape, 1 | 3);
        let is_named = matches!(shape, 2 | 4);
        let is_kind = shape == 5;
        let remotes = sides(is_remote, &REMOTES, &[None, Some(("203.0.113.9:443", 32))]);
        let locals = sides(is_local, &LOCALS, &[None]);
        // What names no address tells loopback apart on either side.
        let few = ["", "203.0.113.9:443", "203.0.113.9:80", "198.51.100.9:443", "name:443"];
        let loopback = ["127.0.0.1:443", "127.0.0.1:80", "[::1]:443", "[::1]:80", "name:80"];
        let few = [few, loopback].concat();
        let flow_remotes: Vec<String> = match is_remote {
            true => [String::new()].into_iter().chain(flow_remotes()).collect(),
            false => few.iter().copied().map(str::to_owned).collect(),
        };
        let flow_locals = pick(is_local, &FLOW_LOCALS, &["0.0.0.0:0", "127.0.0.1:0", "[::1]:0"]);
        let names = pick(is_named, &NAMES, &[]);
        let flow_names = pick(is_named, &FLOW_NAMES, &[""]);
        let mut flows = Vec::new();
        for remote in &flow_remotes {
            for local in &flow_locals {
                for protocol in [6, 17, 1, 2].map(IpProtocol) {
                    for direction in DIRECTIONS {
                        for name in &flow_names {
                            flows.push(flow(remote, local, protocol, direction, name));
                        }
                    }
                }
            }
        }
        Universe {
            flows,
            remotes,
            locals,
            protocols: match is_kind {
                true => vec![Protocol::Any, Protocol::Tcp, Protocol::Udp, Protocol::Number(1)],
                false => vec![Protocol::Any, Protocol::Any, Protocol::Tcp],
            },
            directions: match is_kind {
                true => DIRECTIONS.to_vec(),
                false => vec![Direction::Any, Direction::Any, Direction::Outbound],
            },
            names,
        }
    }

    /// Makes settings of at most so many rules.
    pub fn settings(&self, random: &mut Random, max_rules: usize) -> FilterSettings {
        let rules = (0..random.below(max_rules + 1)).map(|_| self.rule(random)).collect();
        FilterSettings::new(rules, random.pick(&Action::ALL))
    }

    /// Makes a rule.
    pub fn rule(&self, random: &mut Random) -> FilterRule {
        let protocol = random.pick(&self.protocols);
        let direction = random.pick(&self.directions);
        let (local, local_bits) = end(random.pick(&self.locals));
        let (remote, bits) = match !self.names.is_empty() && random.chance(60) {
            true => {
                let endpoint: Endpoint = random.pick(&self.names).parse().unwrap();
                (Some(endpoint), 0)
            }
            false => end(random.pick(&self.remotes)),
        };
        let rule = NetworkRule::remote_network_or_host(
            remote, bits, local, local_bits, protocol, direction,
        );
        FilterRule::new(rule.unwrap(), random.pick(&Action::ALL))
    }

    /// Changes settings a little: removes, adds, replaces, swaps, or changes an action.
    pub fn edited(&self, random: &mut Random, settings: &FilterSettings) -> FilterSettings {
        let mut rules = settings.rules().to_vec();
        let mut default = settings.default_action();
        for _ in 0..1 + random.below(2) {
            let place = random.below(rules.len() + 1);
            match random.below(6) {
                0 if place < rules.len() => drop(rules.remove(place)),
                1 if place < rules.len() => rules[place] = self.rule(random),
                2 if place + 1 < rules.len() => rules.swap(place, place + 1),
                3 if place < rules.len() => {
                    let rule = rules[place].network_rule().clone();
                    rules[place] = FilterRule::new(rule, random.pick(&Action::ALL));
                }
                4 if random.chance(30) => default = random.pick(&Action::ALL),
                _ => rules.insert(place, self.rule(random)),
            }
        }
        FilterSettings::new(rules, default)
    }
}

/// Returns settings, one rule a line.
pub fn shown(settings: &FilterSettings) -> String {
    let rules = settings.rules().iter().enumerate();
    let rules =
        rules.map(|(index, rule)| format!("{index}: {} {}\n", rule.action(), rule.network_rule()));
    let rules: String = rules.collect();
    format!("{rules}default: {}\n", settings.default_action())
}

fn end(side: Side) -> (Option<Endpoint>, u64) {
    match side {
        None => (None, 0),
        Some((text, bits)) => (Some(text.parse().unwrap()), bits),
    }
}

fn flow(
    remote: &str,
    local: &str,
    protocol: IpProtocol,
    direction: Direction,
    name: &str,
) -> Flow<'static> {
    let mut flow = Flow::new(protocol, direction);
    if !name.is_empty() {
        flow = flow.with_remote_hostname(name.to_owned());
    }
    if !remote.is_empty() {
        flow = flow.with_remote(remote.parse().unwrap()).unwrap();
    }
    if !local.is_empty() {
        flow = flow.with_local(local.parse().unwrap()).unwrap();
    }
    flow
}

/// A flow whose address has a zone id that a rule gives to IPv4 addresses too.
pub fn zoned(address: IpAddr, zone: &str) -> Flow<'static> {
    let zone = Zone::new(zone).unwrap();
    Flow::new(IpProtocol::TCP, Direction::Outbound).with_remote_address(address, Some(zone), 443)
}

/// An endpoint whose host has a zone id.
pub fn zoned_endpoint(address: IpAddr, zone: &str) -> Endpoint {
    Endpoint::from_parts(Host::Address(address, Some(Zone::new(zone).unwrap())), Ports::ANY)
}

/// Returns the remote endpoints of flows, hosts with ports.
fn flow_remotes() -> impl Iterator<Item = String> {
    FLOW_REMOTES
        .iter()
        .flat_map(|(host, ports)| ports.iter().map(move |port| format!("{host}:{port}")))
}

const DIRECTIONS: [Direction; 3] = [Direction::Any, Direction::Inbound, Direction::Outbound];

const REMOTES: [Side; 22] = [
    None,
    Some(("0.0.0.0", 0)),
    Some(("0.0.0.0:443", 0)),
    Some(("[::]", 0)),
    Some(("[::]:443", 0)),
    Some(("10.0.0.0", 29)),
    Some(("10.0.0.0", 30)),
    Some(("10.0.0.4", 30)),
    Some(("10.0.0.4", 31)),
    Some(("10.0.0.6", 31)),
    Some(("10.0.0.4:443", 30)),
    Some(("10.0.0.0:1-442", 29)),
    Some(("10.0.0.0:443-65535", 29)),
    Some(("10.0.0.1", 0)),
    Some(("127.0.0.1", 32)),
    Some(("127.0.0.0", 31)),
    Some(("127.0.0.1", 1)),
    Some(("128.0.0.0", 1)),
    Some(("::1", 128)),
    Some(("::1", 95)),
    Some(("fe80::1%en0", 10)),
    Some(("fe80::1%en1", 10)),
];

const LOCALS: [Side; 11] = [
    None,
    None,
    Some(("0.0.0.0", 0)),
    Some(("0.0.0.0:80", 0)),
    Some(("[::]", 0)),
    Some(("0.0.0.1", 8)),
    Some(("192.0.2.1:80", 32)),
    Some(("192.0.2.0", 31)),
    Some(("127.0.0.1", 32)),
    Some(("::1", 128)),
    Some(("192.0.2.0:1-79", 0)),
];

/// Hosts of flows, each with a port of every stretch between the bounds of the rules about it.
const FLOW_REMOTES: [(&str, &[u16]); 23] = [
    ("name", &[80, 443]),
    ("0.0.0.0", &[80, 443]),
    ("0.0.0.1", &[80, 443]),
    ("10.0.0.0", &[0, 80, 443, 444]),
    ("10.0.0.2", &[0, 80, 443, 444]),
    ("10.0.0.4", &[0, 80, 443, 444]),
    ("10.0.0.6", &[0, 80, 443, 444]),
    ("10.0.0.8", &[80, 443]),
    ("127.0.0.0", &[80, 443]),
    ("127.0.0.1", &[80, 443]),
    ("127.0.0.2", &[80, 443]),
    ("128.0.0.0", &[80, 443]),
    ("[::]", &[80, 443]),
    ("[::1]", &[80, 443]),
    ("[::2]", &[80, 443]),
    ("[::3:0:0:0]", &[80, 443]),
    ("[fe80::1]", &[80, 443]),
    ("[fe80::1%en0]", &[80, 443]),
    ("[fe80::1%en1]", &[80, 443]),
    ("[fe80::1%en2]", &[80, 443]),
    ("[fec0::1]", &[80, 443]),
    ("[fec0::1%en0]", &[80, 443]),
    ("[::1%en0]", &[80, 443]),
];

const FLOW_LOCALS: [&str; 20] = [
    "",
    "0.0.0.0:0",
    "0.0.0.0:80",
    "0.0.0.0:79",
    "0.0.0.0:81",
    "1.0.0.0:0",
    "1.0.0.0:80",
    "1.0.0.0:79",
    "192.0.2.0:0",
    "192.0.2.0:80",
    "192.0.2.0:79",
    "192.0.2.1:0",
    "192.0.2.1:80",
    "192.0.2.1:79",
    "127.0.0.1:0",
    "127.0.0.1:80",
    "127.0.0.1:79",
    "[::]:0",
    "[::1]:0",
    "[2001:db8::1]:80",
];

const NAMES: [&str; 6] =
    ["example.com", "a.example.com:443", "*.b.a.example.com", "com", "a.example.com", "other"];

const FLOW_NAMES: [&str; 9] = [
    "",
    "example.com",
    "x.example.com",
    "a.example.com",
    "x.B.a.Example.com.",
    "com",
    "other",
    "net",
    "notexample.com",
];
