//! A small universe of rules and flows, gone through without sampling.
//!
//! Addresses are the eight of 10.0.0.0/29, so every prefix of a three-bit address is there, and
//! beside them one outside, the loopback addresses, the mapped form and IPv6. The number of cases
//! is asserted, so that the universe cannot shrink unnoticed.

#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use flowsieve::{
    Action, Decision, Direction, Endpoint, FilterRule, FilterSettings, Flow, Host, HostName,
    IpProtocol, NetworkRule, Ports, Precedence, Protocol, reference,
};
use flowsieve_testkit::agreement::{self, Shown};
use flowsieve_testkit::completion::check_pending;
use flowsieve_testkit::naive::{NaiveFlow, NaiveRule};
use std::net::IpAddr;

#[test]
fn every_single_address_rule_decides_every_flow_as_the_reference_does() {
    let (locals, flow_locals) = (locals(&LOCALS), flow_locals(&FLOW_LOCALS));
    let rules = address_rules(&remotes(), &locals, &PROTOCOLS, &DIRECTIONS);
    let remotes = flow_remotes(&FLOW_REMOTES, &[0, 80, 81]);
    let flows = flows(&remotes, &flow_locals, &FLOW_PROTOCOLS, &DIRECTIONS, &[None]);
    assert_eq!(check_single_rules(&rules, &flows), 7_680 * 3_312);
}

#[test]
fn every_single_host_rule_decides_every_flow_as_the_reference_does() {
    let names = ["host", "example.com"].map(|name| HostName::new(name).unwrap());
    let locals = locals(&["", "0.0.0.0/0 0", "10.0.0.4/30 80"]);
    let mut rules = Vec::new();
    for name in names {
        for ports in PORTS {
            let endpoint = Endpoint::from_parts(Host::Name(name.clone()), ports);
            for protocol in PROTOCOLS {
                rules.push(NetworkRule::destination_host(endpoint.clone(), protocol).unwrap());
                for (local, bits) in &locals {
                    for direction in DIRECTIONS {
                        let (remote, local) = (Some(endpoint.clone()), local.clone());
                        let rule = NetworkRule::remote_network_or_host(
                            remote, 0, local, *bits, protocol, direction,
                        );
                        rules.push(rule.unwrap());
                    }
                }
            }
        }
    }
    let remotes = flow_remotes(&["", "10.0.0.5", "127.0.0.1", "2001:db8::1"], &[0, 80, 81]);
    let names = [None, Some("host"), Some("example.com"), Some("WWW.example.com."), Some("*")];
    let (locals, protocols) = (flow_locals(&FLOW_LOCALS), FLOW_PROTOCOLS);
    let flows = flows(&remotes, &locals, &protocols, &DIRECTIONS, &names);
    assert_eq!(check_single_rules(&rules, &flows), 240 * 3_600);
}

#[test]
fn every_pair_of_rules_decides_every_flow_as_the_reference_does() {
    let (rules, flows) = small_universe();
    let mut case_count = 0;
    for first in &rules {
        for second in &rules {
            // With other actions a pending rule unsettles the decision, with equal ones it does
            // not.
            for action in [Action::Allow, Action::Drop] {
                let rules = [(first, Action::Drop), (second, action)];
                let rules = rules.map(|(rule, action)| FilterRule::new(rule.clone(), action));
                let settings = FilterSettings::new(rules.into(), Action::FilterData);
                for precedence in Precedence::ALL {
                    case_count += check(&settings, precedence, &flows);
                }
            }
        }
    }
    assert_eq!(case_count, 54 * 54 * 2 * 2 * 792);
}

#[test]
fn every_rule_is_pending_for_a_flow_if_and_only_if_it_could_match() {
    let (rules, flows) = small_universe();
    let locals = locals(&LOCALS);
    let more = address_rules(&[(None, 0)], &locals, &[Protocol::Any], &[Direction::Any]);
    let rules: Vec<&NetworkRule> = rules.iter().chain(&more).collect();
    let mut case_count = 0;
    for rule in &rules {
        for flow in &flows {
            check_pending(rule, flow);
            case_count += 1;
        }
    }
    assert_eq!(case_count, (54 + 10) * 792);
}

/// Checks one-rule settings, and each rule against the naive match. Returns the number of cases.
fn check_single_rules(rules: &[NetworkRule], flows: &[Flow<'_>]) -> usize {
    let naive_flows: Vec<NaiveFlow> = flows.iter().map(NaiveFlow::of).collect();
    let mut case_count = 0;
    for rule in rules {
        let naive_rule = NaiveRule::of(rule);
        for (flow, naive_flow) in flows.iter().zip(&naive_flows) {
            let (matches, naive) = (rule.matches(flow), naive_rule.matches(naive_flow));
            assert_eq!(matches, naive, "match, naive of\n{rule}\n{flow}\n{rule:?}\n{flow:?}");
        }
        let rules = vec![FilterRule::new(rule.clone(), Action::Drop)];
        let settings = FilterSettings::new(rules, Action::FilterData);
        case_count += check(&settings, Precedence::FirstMatch, flows);
    }
    case_count
}

fn check(settings: &FilterSettings, precedence: Precedence, flows: &[Flow<'_>]) -> usize {
    let matchers = agreement::matchers(settings, precedence);
    for flow in flows {
        let expected = reference::decide(settings, precedence, flow);
        for matcher in &matchers {
            let found: Decision = matcher.decide(flow);
            let (strategy, vectors) = (matcher.strategy(), matcher.vectors());
            let shown = Shown(settings, flow);
            assert_eq!(
                found, expected,
                "matcher, reference of {precedence} {strategy:?} {vectors:?}\n{shown}"
            );
        }
    }
    flows.len()
}

/// Rules and flows few enough for pairs.
fn small_universe() -> (Vec<NetworkRule>, Vec<Flow<'static>>) {
    let remotes = sides(
        &["", "0.0.0.0/0 0", "10.0.0.1/0 0", "10.0.0.4/30 0", "10.0.0.4/30 80", "10.0.0.5/32 0"],
        &[Ports::ANY],
    );
    let local_sides = locals(&["", "0.0.0.0/0 0", "10.0.0.4/30 80"]);
    let directions = [Direction::Any, Direction::Outbound];
    let mut rules = address_rules(&remotes, &local_sides, &[Protocol::Tcp], &directions);
    let sides =
        sides(&["127.0.0.1/32 0", "::/0 0", "::1/128 80", "2001:db8::/32 0"], &[Ports::ANY]);
    let protocols = [Protocol::Any, Protocol::Number(1)];
    rules.extend(address_rules(&sides, &[(None, 0)], &protocols, &[Direction::Any]));
    for name in ["host", "example.com"] {
        for ports in [Ports::ANY, Ports::one(80)] {
            let name = HostName::new(name).unwrap();
            let endpoint = Endpoint::from_parts(Host::Name(name), ports);
            for protocol in [Protocol::Tcp, Protocol::Any] {
                let rule = NetworkRule::destination_host(endpoint.clone(), protocol);
                rules.push(rule.unwrap());
            }
            let rule = NetworkRule::remote_network_or_host(
                Some(endpoint),
                0,
                Endpoint::new("0.0.0.0", "80").ok(),
                0,
                Protocol::Tcp,
                Direction::Any,
            );
            let rule = rule.unwrap();
            rules.extend(if ports.is_any() { vec![rule] } else { vec![] });
        }
    }
    let remotes = ["", "10.0.0.4", "10.0.0.5", "10.0.0.0", "127.0.0.1", "2001:db8::1"];
    let remotes = flow_remotes(&remotes, &[80, 0]);
    let locals = flow_locals(&["", "0.0.0.0:0", "[::]:0", "10.0.0.4:0", "10.0.0.5:80", "[::1]:81"]);
    let directions = [Direction::Outbound, Direction::Any];
    let protocols = [IpProtocol::TCP, IpProtocol::ICMP];
    let names = [None, Some("a.example.com"), Some("host")];
    (rules, flows(&remotes, &locals, &protocols, &directions, &names))
}

type Side = (Option<Endpoint>, u64);

/// Every remote side.
fn remotes() -> Vec<Side> {
    let mut texts: Vec<String> = REMOTES.iter().map(|text| (*text).to_owned()).collect();
    for bits in 0..=3 {
        let step = 8 >> bits;
        let firsts = (0..8).step_by(step);
        texts.extend(firsts.map(|first| format!("10.0.0.{first}/{}", 29 + bits)));
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    sides(&texts, &PORTS)
}

/// The sides that `address/bits` texts describe, each with each of `ports`; nil for the empty
/// text. Ports after the address stand in place of `ports`.
fn sides(texts: &[&str], ports: &[Ports]) -> Vec<Side> {
    let mut sides = Vec::new();
    for text in texts {
        let Some((address, rest)) = text.split_once('/') else {
            sides.push((None, 0));
            continue;
        };
        let host: Host = address.parse().unwrap();
        let (bits, own) = rest.split_once(' ').map_or((rest, None), |(b, own)| (b, Some(own)));
        let own: Option<Vec<Ports>> = own.map(|own| vec![own.parse().unwrap()]);
        for ports in own.as_deref().unwrap_or(ports) {
            let endpoint = Endpoint::from_parts(host.clone(), *ports);
            sides.push((Some(endpoint), bits.parse().unwrap()));
        }
    }
    sides
}

fn locals(texts: &[&str]) -> Vec<Side> {
    sides(texts, &[Ports::ANY])
}

fn address_rules(
    remotes: &[Side],
    locals: &[Side],
    protocols: &[Protocol],
    directions: &[Direction],
) -> Vec<NetworkRule> {
    let mut rules = Vec::new();
    for (remote, remote_bits) in remotes {
        for (local, local_bits) in locals {
            for protocol in protocols {
                for direction in directions {
                    let rule = NetworkRule::remote_network(
                        remote.clone(),
                        *remote_bits,
                        local.clone(),
                        *local_bits,
                        *protocol,
                        *direction,
                    );
                    rules.push(rule.unwrap());
                }
            }
        }
    }
    rules
}

type End = Option<(IpAddr, u16)>;

/// Each address with each port; one nil endpoint for the empty text.
fn flow_remotes(texts: &[&str], ports: &[u16]) -> Vec<End> {
    let ends = texts.iter().flat_map(|text| match text.parse::<IpAddr>() {
        Ok(address) => ports.iter().map(|port| Some((address, *port))).collect(),
        Err(_) => vec![None],
    });
    ends.collect()
}

fn flow_locals(texts: &[&str]) -> Vec<End> {
    let address = |text: &&str| text.parse::<std::net::SocketAddr>().ok();
    texts.iter().map(|text| address(text).map(|found| (found.ip(), found.port()))).collect()
}

fn flows(
    remotes: &[End],
    locals: &[End],
    protocols: &[IpProtocol],
    directions: &[Direction],
    names: &[Option<&'static str>],
) -> Vec<Flow<'static>> {
    let mut flows = Vec::new();
    for remote in remotes {
        for local in locals {
            for protocol in protocols {
                for direction in directions {
                    for name in names {
                        let mut flow = Flow::new(*protocol, *direction);
                        if let Some((address, port)) = *remote {
                            flow = flow.with_remote_address(address, None, port);
                        }
                        if let Some((address, port)) = *local {
                            flow = flow.with_local_address(address, None, port);
                        }
                        if let Some(name) = *name {
                            flow = flow.with_remote_hostname(name);
                        }
                        flows.push(flow);
                    }
                }
            }
        }
    }
    flows
}

/// Remote sides beside the prefixes of three-bit addresses.
const REMOTES: [&str; 7] = [
    "",
    "0.0.0.0/0",
    "::/0",
    "127.0.0.1/32",
    "::1/128",
    "2001:db8::/32",
    // Prefix length 0, which is no wildcard.
    "10.0.0.1/0",
];

const LOCALS: [&str; 10] = [
    "",
    "0.0.0.0/0 0",
    "0.0.0.0/0 80",
    "::/0 0",
    "10.0.0.1/0 0",
    "10.0.0.4/30 0",
    "10.0.0.4/32 80",
    "127.0.0.1/32 0",
    "::1/128 0",
    // Holds the unbound address.
    "0.0.0.1/8 0",
];

const FLOW_REMOTES: [&str; 16] = [
    "",
    "10.0.0.0",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.3",
    "10.0.0.4",
    "10.0.0.5",
    "10.0.0.6",
    "10.0.0.7",
    "10.0.0.8",
    "::ffff:10.0.0.5",
    "127.0.0.1",
    "::ffff:127.0.0.1",
    "::1",
    "2001:db8::1",
    "2001:db9::1",
];

const FLOW_LOCALS: [&str; 8] = [
    "",
    "0.0.0.0:0",
    "[::]:0",
    "0.0.0.0:80",
    "10.0.0.4:0",
    "10.0.0.4:80",
    "127.0.0.1:81",
    "[2001:db8::2]:80",
];

const PORTS: [Ports; 3] = [Ports::ANY, Ports::one(80), Ports::one(81)];

const PROTOCOLS: [Protocol; 4] = [Protocol::Any, Protocol::Tcp, Protocol::Udp, Protocol::Number(1)];

const FLOW_PROTOCOLS: [IpProtocol; 3] = [IpProtocol::TCP, IpProtocol::UDP, IpProtocol::ICMP];

const DIRECTIONS: [Direction; 3] = [Direction::Any, Direction::Inbound, Direction::Outbound];
