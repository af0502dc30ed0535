//! The neutral form of rule sets and traces in which classifiers are compared: `.rules`, `.trace`
//! and `.trace.exp`.
//!
//! A rule is a line `remote rport local lport protocol direction`, as in
//! `203.0.113.0/24 443 * * tcp out`, a flow a line of the same fields, an expected answer the number
//! of a rule, counted from 0, or -1. Comments start with `#`.

use crate::status::Failure;
use flowsieve::{
    Action, AddressFamily, Direction, Endpoint, FilterRule, FilterSettings, Flow, Host, IpProtocol,
    NetworkRule, Ports, Protocol,
};
use std::net::IpAddr;
use std::path::Path;

/// A rule set, and the line that each rule came from: a line of every protocol makes several.
pub(crate) struct RuleSet {
    pub(crate) settings: FilterSettings,
    pub(crate) line_of_rule: Vec<usize>,
    pub(crate) line_count: usize,
}

/// Reads the flows of a trace.
pub(crate) fn read_flows(text: &str, path: &Path) -> Result<Vec<Flow<'static>>, Failure> {
    let flow = |[remote, rport, local, lport, protocol, direction]: [&str; 6]| {
        let address = |text: &str| text.parse::<IpAddr>().ok();
        let port = |text: &str| text.parse::<u16>().ok();
        let flow = Flow::new(protocol.parse().ok()?, self::direction(direction)?)
            .with_remote_address(address(remote)?, None, port(rport)?)
            .with_local_address(address(local)?, None, port(lport)?);
        Some(flow)
    };
    lines(text)
        .map(|(number, line)| fields(line).and_then(flow).ok_or_else(|| bad(path, number)))
        .collect()
}

/// Reads rules. What `*` stands for on one side, where there is a port, is any address of the
/// family of the flows; as the protocol it is every protocol that a rule or a flow names.
pub(crate) fn read_rules(text: &str, path: &Path, flows: &[Flow<'_>]) -> Result<RuleSet, Failure> {
    let family = flows.first().and_then(|flow| flow.remote()?.address()).map(AddressFamily::of);
    let family = family.unwrap_or(AddressFamily::V4);
    let common = [IpProtocol::TCP, IpProtocol::UDP];
    let of_rules = lines(text).filter_map(|(_, line)| fields(line)?[4].parse().ok());
    let mut others: Vec<IpProtocol> = flows.iter().map(Flow::protocol).chain(of_rules).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|protocol| !common.contains(protocol));

    let (mut rules, mut line_of_rule, mut line_count) = (Vec::new(), Vec::new(), 0);
    for (index, (number, line)) in lines(text).enumerate() {
        let rules_of_line = fields(line).and_then(|fields| network_rules(fields, family, &others));
        for rule in rules_of_line.ok_or_else(|| bad(path, number))? {
            rules.push(FilterRule::new(rule, Action::Drop));
            line_of_rule.push(index);
        }
        line_count += 1;
    }
    let settings = FilterSettings::new(rules, Action::Allow);
    Ok(RuleSet { settings, line_of_rule, line_count })
}

/// Returns the number of each line that is a rule or a flow, from 1.
pub(crate) fn line_numbers(text: &str) -> impl Iterator<Item = u64> {
    lines(text).map(|(number, _)| number)
}

/// Reads expected answers.
pub(crate) fn read_expected(text: &str, path: &Path) -> Result<Vec<Option<usize>>, Failure> {
    let answer = |(number, line): (u64, &str)| match line {
        "-1" => Ok(None),
        line => line.parse().map(Some).map_err(|_| bad(path, number)),
    };
    lines(text).map(answer).collect()
}

fn network_rules(
    [remote, rport, local, lport, protocol, direction]: [&str; 6],
    family: AddressFamily,
    others: &[IpProtocol],
) -> Option<Vec<NetworkRule>> {
    let (remote, remote_bits) = side(remote, rport, family)?;
    let (local, local_bits) = side(local, lport, family)?;
    let direction = self::direction(direction)?;
    let protocols = match protocol {
        "*" => others.iter().map(|other| Protocol::from(*other)).chain([Protocol::Any]).collect(),
        protocol => vec![protocol.parse().ok()?],
    };
    let rule = |protocol| {
        let (remote, local) = (remote.clone(), local.clone());
        NetworkRule::remote_network(remote, remote_bits, local, local_bits, protocol, direction)
    };
    protocols.into_iter().map(|protocol| rule(protocol).ok()).collect()
}

fn side(net: &str, ports: &str, family: AddressFamily) -> Option<(Option<Endpoint>, u64)> {
    let ports = match ports {
        "*" | "0-65535" => Ports::ANY,
        // Port 0 is not a port here, and a range from 0 one from 1.
        ports => match ports.strip_prefix("0-") {
            Some(last) => Ports::range(1, last.parse().ok()?).ok()?,
            None => ports.parse().ok()?,
        },
    };
    match net.split_once('/') {
        Some((address, bits)) => {
            let (address, bits): (IpAddr, u64) = (address.parse().ok()?, bits.parse().ok()?);
            // As an endpoint the address of all zeros would be a wildcard, whatever its prefix; a
            // host bit makes it a network again.
            let address = match address {
                IpAddr::V4(zero) if zero.is_unspecified() && (1..32).contains(&bits) => {
                    IpAddr::from([0, 0, 0, 1])
                }
                IpAddr::V6(zero) if zero.is_unspecified() && (1..128).contains(&bits) => {
                    IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])
                }
                other => other,
            };
            Some((Some(Endpoint::from_parts(Host::Address(address, None), ports)), bits))
        }
        None if ports.is_any() => Some((None, 0)),
        None => {
            let host = Host::Address(family.unspecified(), None);
            Some((Some(Endpoint::from_parts(host, ports)), 0))
        }
    }
}

fn direction(word: &str) -> Option<Direction> {
    match word {
        "*" => Some(Direction::Any),
        "in" => Some(Direction::Inbound),
        "out" => Some(Direction::Outbound),
        _ => None,
    }
}

fn lines(text: &str) -> impl Iterator<Item = (u64, &str)> {
    let lines = (1..).zip(text.lines().map(str::trim));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn fields(line: &str) -> Option<[&str; 6]> {
    let mut words = line.split_ascii_whitespace();
    let fields = [(); 6].map(|()| words.next());
    let [Some(a), Some(b), Some(c), Some(d), Some(e), Some(f)] = fields else { return None };
    words.next().is_none().then_some([a, b, c, d, e, f])
}

fn bad(path: &Path, line: u64) -> Failure {
    Failure::BadInput(format!("{}:{line}: not a line of this form", path.display()))
}
