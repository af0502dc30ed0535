//! Host rules beside address rules, and flows that have a name or not.

use super::Random;
use flowsieve::*;

/// Settings with and without host rules, and the same flows without and with names.
pub(crate) struct HostWorkload {
    /// Address rules alone.
    pub(crate) address_only: FilterSettings,
    /// The same, with a host rule after each.
    pub(crate) with_hosts: FilterSettings,
    /// The same, but all host rules drop.
    pub(crate) with_drops: FilterSettings,
    /// The same, but all host rules are for port 80 or 443.
    pub(crate) with_ports: FilterSettings,
    /// Flows without a name.
    pub(crate) unnamed: Vec<Flow<'static>>,
    /// The same with the name of a host rule, or one below it.
    pub(crate) hit: Vec<Flow<'static>>,
    /// The same with names of which no rule has one, nor a part but the last label.
    pub(crate) miss: Vec<Flow<'static>>,
}

/// So many flows that no branch predictor learns them, as it does of 4096 that come again and again.
const FLOWS: usize = 65_536;

/// As many host rules as address rules, and flows to IPv4 addresses.
pub(crate) fn hosts(count: usize) -> HostWorkload {
    let mut random = Random(count as u64);
    let address_only = address_rules(&mut random, count);
    let names: Vec<String> = (0..count).map(|_| rule_name(&mut random)).collect();
    let mut rules = Vec::new();
    for (rule, name) in address_only.rules().iter().zip(&names) {
        rules.push(rule.clone());
        rules.push(host_rule(&mut random, name));
    }
    let default_action = address_only.default_action();
    let settings = |change: fn(&FilterRule) -> FilterRule| {
        let rules = rules.iter().map(|rule| match rule.network_rule().remote() {
            Remote::Host { .. } => change(rule),
            Remote::Network(_) => rule.clone(),
        });
        FilterSettings::new(rules.collect(), default_action)
    };
    let with_hosts = settings(FilterRule::clone);
    let with_drops = settings(|rule| FilterRule::new(rule.network_rule().clone(), Action::Drop));
    let with_ports = settings(|rule| {
        let network_rule = rule.network_rule();
        let Remote::Host { name, .. } = network_rule.remote() else { unreachable!() };
        let ports = Ports::one([443, 80][name.as_str().len() % 2]);
        let host = Endpoint::from_parts(Host::Name(name.clone()), ports);
        let of_port = NetworkRule::destination_host(host, network_rule.match_protocol());
        FilterRule::new(of_port.unwrap(), rule.action())
    });

    let mut flow = |_| super::flow(&mut random, AddressFamily::V4, &address_only);
    let unnamed: Vec<Flow<'static>> = (0..FLOWS).map(&mut flow).collect();
    let mut named = |name: &dyn Fn(&mut Random) -> String| {
        let named = |flow: &Flow<'static>| flow.clone().with_remote_hostname(name(&mut random));
        unnamed.iter().map(named).collect()
    };
    let hit = named(&|random| {
        let name = &names[random.below(names.len())];
        match random.below(8) {
            0..4 => name.clone(),
            4..6 => format!("www.{name}"),
            6 => format!("{}.{name}.", label(random)),
            _ => format!("{}.{}.{}", label(random), label(random), name.to_ascii_uppercase()),
        }
    });
    let miss = named(&|random| format!("{}-", label(random)) + &rule_name(random));
    HostWorkload { address_only, with_hosts, with_drops, with_ports, unnamed, hit, miss }
}

/// Rules without a local side.
fn address_rules(random: &mut Random, count: usize) -> FilterSettings {
    let settings = super::settings(random, AddressFamily::V4, count + count / 10);
    let default_action = settings.default_action();
    let mut rules = settings.into_rules();
    rules.retain(|rule| *rule.network_rule().local() == Network::Nil);
    rules.truncate(count);
    assert_eq!(rules.len(), count);
    FilterSettings::new(rules, default_action)
}

fn host_rule(random: &mut Random, name: &str) -> FilterRule {
    let host = Host::Name(name.parse().unwrap());
    let ports = match random.below(4) {
        0 => Ports::one([443, 80][random.below(2)]),
        _ => Ports::ANY,
    };
    let protocol = [Protocol::Any, Protocol::Any, Protocol::Tcp][random.below(3)];
    let rule = NetworkRule::destination_host(Endpoint::from_parts(host, ports), protocol);
    FilterRule::new(rule.unwrap(), Action::ALL[random.below(3)])
}

/// Two labels, or three, rarely four or one.
fn rule_name(random: &mut Random) -> String {
    let last = ["com", "net", "org", "de", "io", "co.uk", "example"][random.below(7)];
    match random.below(50) {
        0 => label(random),
        1..30 => format!("{}.{last}", label(random)),
        30..47 => format!("{}.{}.{last}", label(random), label(random)),
        _ => format!("{}.{}.{}.{last}", label(random), label(random), label(random)),
    }
}

/// A label of 4 to 15 letters.
fn label(random: &mut Random) -> String {
    let len = 4 + random.below(6) + random.below(7);
    (0..len).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
}
