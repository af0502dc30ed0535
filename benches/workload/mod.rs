//! Settings and flows for the benchmarks, from a seeded generator: the same in every run.

#![allow(dead_code, reason = "each benchmark uses a part")]

pub(crate) mod adversarial;
pub(crate) mod five_tuple;
pub(crate) mod hosts;
pub(crate) mod routing;

use flowsieve::*;
pub(crate) use flowsieve_testkit::random::Random;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Settings and flows to decide by them, all of one family.
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) family: AddressFamily,
    pub(crate) settings: FilterSettings,
    pub(crate) flows: Vec<Flow<'static>>,
}

/// Every workload of up to 100,000 rules, each made when it is asked for.
pub(crate) fn all() -> impl Iterator<Item = Workload> {
    let sizes = [("10", 10), ("100", 100), ("1k", 1000), ("10k", 10_000), ("100k", 100_000)];
    let families = [("ipv4", AddressFamily::V4), ("ipv6", AddressFamily::V6)];
    let lists = families.into_iter().flat_map(move |(family_name, family)| {
        sizes.map(|(size_name, size)| (format!("{family_name}-{size_name}"), family, size))
    });
    let lists = lists.map(|(name, family, size)| list(&name, family, size));
    lists.chain(other_lists()).chain(five_tuple::all()).chain(adversarial::all())
}

/// Lists of a million rules.
pub(crate) fn large() -> impl Iterator<Item = Workload> {
    let families = [("ipv4-1m", AddressFamily::V4), ("ipv6-1m", AddressFamily::V6)];
    families.into_iter().map(|(name, family)| list(name, family, 1_000_000))
}

/// A block list of so many rules.
pub(crate) fn list(name: &str, family: AddressFamily, size: usize) -> Workload {
    let mut random = Random(size as u64);
    let settings = settings(&mut random, family, size);
    Workload::new(name.to_owned(), family, settings, &mut random, flow)
}

/// A block list of so many rules that ask for a network and nothing else.
pub(crate) fn networks(name: &str, family: AddressFamily, size: usize) -> Workload {
    whole(name, family, size, |_| true)
}

/// The single addresses of a block list of so many rules.
fn addresses(name: &str, family: AddressFamily, size: usize) -> Workload {
    whole(name, family, size, |net| net.prefix_len() == net.max_prefix_len())
}

/// The networks that are meant of those of a block list of so many rules, for all ports and the rest.
fn whole(
    name: &str,
    family: AddressFamily,
    size: usize,
    is_meant: impl Fn(&IpNet) -> bool,
) -> Workload {
    let mut random = Random(size as u64 + 1);
    let rules = settings(&mut random, family, size).rules().to_vec();
    let whole = rules.iter().filter_map(|listed| {
        let remote = listed.network_rule().remote_side().filter(|side| side.is_explicit());
        let net = remote?.net().filter(&is_meant)?;
        let (remote, nil) = ((Some(net), Ports::ANY), (None, Ports::ANY));
        Some(rule(family, remote, nil, Protocol::Any, Direction::Any, listed.action()))
    });
    let settings = FilterSettings::new(whole.collect(), Action::Allow);
    Workload::new(name.to_owned(), family, settings, &mut random, flow)
}

/// `networks-10k`, whose rules ask for a network only; `addresses-100k`, the single addresses of a list of 100,000
/// rules; `wide-100k`, of which 10,000 rules are for a port of any host; and those `unbound`, whose flows have no local
/// address yet.
fn other_lists() -> impl Iterator<Item = Workload> {
    let networks = std::iter::once_with(|| networks("networks-10k", AddressFamily::V4, 10_000));
    let addresses =
        std::iter::once_with(|| addresses("addresses-100k", AddressFamily::V4, 100_000));
    let wide = std::iter::once_with(|| {
        let (mut random, family) = (Random(1), AddressFamily::V4);
        let settings = settings_with_wide(&mut random, family, 100_000, 10);
        Workload::new("wide-100k".to_owned(), family, settings, &mut random, flow)
    });
    let unbound = [
        ("unbound-1k", AddressFamily::V4, 1000),
        ("unbound-10k", AddressFamily::V4, 10_000),
        ("unbound-ipv6-100", AddressFamily::V6, 100),
    ];
    let unbound = unbound.into_iter().map(|(name, family, size)| {
        let mut random = Random(2);
        let settings = settings(&mut random, family, size);
        Workload::new(name.to_owned(), family, settings, &mut random, unbound_flow)
    });
    let unbound_firewall = std::iter::once_with(|| five_tuple::unbound_firewall(1000));
    networks.chain(addresses).chain(wide).chain(unbound).chain(unbound_firewall)
}

/// A [`flow`] before it has a local address.
fn unbound_flow(
    random: &mut Random,
    family: AddressFamily,
    settings: &FilterSettings,
) -> Flow<'static> {
    flow(random, family, settings).with_local_address(family.unspecified(), None, 0)
}

impl Workload {
    /// As many flows as rules, so that they fill the caches as the rules do, but at least 4096 and
    /// at most 65,536.
    fn new(
        name: String,
        family: AddressFamily,
        settings: FilterSettings,
        random: &mut Random,
        flow: impl Fn(&mut Random, AddressFamily, &FilterSettings) -> Flow<'static>,
    ) -> Workload {
        let count = settings.rules().len().clamp(4096, 65_536);
        let flows = (0..count).map(|_| flow(random, family, &settings)).collect();
        Workload { name, family, settings, flows }
    }

    /// Keeps 512 flows, where something takes many microseconds for each.
    fn with_few_flows(mut self) -> Workload {
        self.flows.truncate(512);
        self
    }
}

/// A block list: hosts and networks, some of one port, protocol or direction, a few local ones, one
/// in fifty but at most 500 for a port of any host.
pub(crate) fn settings(random: &mut Random, family: AddressFamily, count: usize) -> FilterSettings {
    settings_with_wide(random, family, count, (count / 500).max(50))
}

/// A block list of which every so many rules are for a port of any host.
fn settings_with_wide(
    random: &mut Random,
    family: AddressFamily,
    count: usize,
    wide_every: usize,
) -> FilterSettings {
    let mut announced = Vec::new();
    let rule = |index| {
        let net = network(random, family, is_block(index, count), &mut announced);
        let is_wide = index % wide_every == wide_every - 1;
        let ports = match random.below(10) {
            0..6 if !is_wide => Ports::ANY,
            6..9 if !is_wide => Ports::one([443, 80, 53, 22, 8080][random.below(5)]),
            _ => Ports::one(random.port()),
        };
        let local = IpNet::from(random.address(family));
        let local = (random.below(33) == 0).then_some(local);
        let protocol = match random.below(10) {
            0..6 => Protocol::Any,
            6..9 => Protocol::Tcp,
            _ => Protocol::Udp,
        };
        let direction = match random.below(4) {
            0..2 => Direction::Any,
            2 => Direction::Outbound,
            _ => Direction::Inbound,
        };
        let remote = ((!is_wide).then_some(net), ports);
        let action = Action::ALL[random.below(3)];
        rule(family, remote, (local, Ports::ANY), protocol, direction, action)
    };
    FilterSettings::new((0..count).map(rule).collect(), Action::Allow)
}

/// A flow: half of them into the network of a rule, a quarter just behind it.
pub(crate) fn flow(
    random: &mut Random,
    family: AddressFamily,
    settings: &FilterSettings,
) -> Flow<'static> {
    let rule = settings.rules()[random.below(settings.rules().len())].network_rule();
    let address = match (random.below(4), rule.remote_side().and_then(Network::net)) {
        (0..2, Some(net)) => random.inside(net),
        (2, Some(net)) => behind(net),
        _ => random.address(family),
    };
    let port = match rule.remote().ports().as_one() {
        Some(port) if random.below(2) == 0 => port,
        _ => [443, 80, 53, 9999][random.below(4)],
    };
    bound_flow(random, family).with_remote_address(address, None, port)
}

/// A flow of which the remote side is still to be said.
fn bound_flow(random: &mut Random, family: AddressFamily) -> Flow<'static> {
    let protocol = [IpProtocol::TCP, IpProtocol::UDP][random.below(2)];
    let direction = [Direction::Outbound, Direction::Inbound][random.below(2)];
    let local = match family {
        AddressFamily::V4 => IpAddr::from([192, 168, 1, 7]),
        AddressFamily::V6 => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 7]),
    };
    Flow::new(protocol, direction).with_local_address(local, None, 50_123)
}

/// A side of a rule: the network, and the ports.
type Side = (Option<IpNet>, Ports);

fn rule(
    family: AddressFamily,
    remote: Side,
    local: Side,
    protocol: Protocol,
    direction: Direction,
    action: Action,
) -> FilterRule {
    let end = |(net, ports): Side| {
        let address = net.map_or(family.unspecified(), |net| net.addr());
        let end = Endpoint::from_parts(Host::Address(address, None), ports);
        (net.is_some() || !ports.is_any()).then_some(end)
    };
    let bits = |(net, _): Side| net.map_or(0, |net| net.prefix_len()).into();
    let rule = NetworkRule::remote_network(
        end(remote),
        bits(remote),
        end(local),
        bits(local),
        protocol,
        direction,
    );
    FilterRule::new(rule.unwrap(), action)
}

/// Whether the network of this index is a large block: one in ten, but at most 100, or they would
/// cover everything.
fn is_block(index: usize, count: usize) -> bool {
    index.is_multiple_of((count / 100).max(10))
}

/// A network: of IPv4 mostly hosts, of IPv6 hosts and /56 and /64 within the networks that were
/// announced.
fn network(
    random: &mut Random,
    family: AddressFamily,
    is_block: bool,
    announced: &mut Vec<IpNet>,
) -> IpNet {
    let (bits, is_announced) = match (family, random.below(10)) {
        (AddressFamily::V4, _) if is_block => (8 + random.below(8) as u8, true),
        (AddressFamily::V4, 0..4) => (16 + random.below(9) as u8, true),
        (AddressFamily::V4, _) => (32, false),
        (AddressFamily::V6, 0..3) => (32 + random.below(17) as u8, true),
        (AddressFamily::V6, 3..6) => ([56, 64][random.below(2)], false),
        (AddressFamily::V6, _) => (128, false),
    };
    let is_nested = !is_announced && family == AddressFamily::V6 && !announced.is_empty();
    let address = match is_nested {
        true => {
            let parent = announced[random.below(announced.len())];
            random.inside(parent)
        }
        false => random.address(family),
    };
    let net = IpNet::new(address, bits).unwrap();
    if is_announced {
        announced.push(net);
    }
    net
}

/// The address behind the last one of a network.
fn behind(net: IpNet) -> IpAddr {
    match net.broadcast() {
        IpAddr::V4(last) => Ipv4Addr::from_bits(last.to_bits().wrapping_add(1)).into(),
        IpAddr::V6(last) => Ipv6Addr::from_bits(last.to_bits().wrapping_add(1)).into(),
    }
}
