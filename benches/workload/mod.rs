//! Settings and flows for the benchmarks, from a seeded generator: the same in every run.

#![allow(dead_code, reason = "each benchmark uses a part")]

pub(crate) mod hosts;

use flowsieve::*;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Settings and flows to decide by them.
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) settings: FilterSettings,
    pub(crate) flows: Vec<Flow<'static>>,
}

/// Both families, small, medium and large.
pub(crate) fn all() -> Vec<Workload> {
    let sizes = [("10", 10), ("1k", 1000), ("100k", 100_000)];
    let families = [("ipv4", AddressFamily::V4), ("ipv6", AddressFamily::V6)];
    let sets = families.into_iter().flat_map(|family| sizes.map(|size| (family, size)));
    sets.map(|((family_name, family), (size_name, size))| {
        let mut random = Random(size as u64);
        let settings = settings(&mut random, family, size);
        let flows = (0..4096).map(|_| flow(&mut random, family, &settings)).collect();
        Workload { name: format!("{family_name}-{size_name}"), settings, flows }
    })
    .collect()
}

/// Networks of IPv4, nested as announced ones are: mostly /24 and longer.
pub(crate) fn networks(count: usize) -> Vec<IpNet> {
    let mut random = Random(7);
    (0..count)
        .map(|index| network(&mut random, AddressFamily::V4, is_block(index, count)))
        .collect()
}

/// Addresses, half inside the networks and half anywhere.
pub(crate) fn addresses(networks: &[IpNet], count: usize) -> Vec<IpAddr> {
    let mut random = Random(8);
    let mut address = || match random.below(2) {
        0 => {
            let net = networks[random.below(networks.len())];
            inside(&mut random, net)
        }
        _ => random.address(AddressFamily::V4),
    };
    (0..count).map(|_| address()).collect()
}

/// A block list: hosts and networks, some of one port, protocol or direction, a few local ones,
/// up to one in fifty for a port of any host.
fn settings(random: &mut Random, family: AddressFamily, count: usize) -> FilterSettings {
    let rule = |index| {
        let ports = match random.below(10) {
            0..6 => Ports::ANY,
            6..9 => Ports::one([443, 80, 53, 22, 8080][random.below(5)]),
            _ => Ports::one(random.below(65535) as u16 + 1),
        };
        let net = network(random, family, is_block(index, count));
        let is_anywhere = index % (count / 500).max(50) == 49 && !ports.is_any();
        let address = if is_anywhere { family.unspecified() } else { net.addr() };
        let remote = Some(Endpoint::from_parts(Host::Address(address, None), ports));
        let local = Endpoint::from(random.address(family));
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
        let (bits, local_bits) = (net.prefix_len().into(), family.bits().into());
        let rule =
            NetworkRule::remote_network(remote, bits, local, local_bits, protocol, direction);
        FilterRule::new(rule.unwrap(), Action::ALL[random.below(3)])
    };
    FilterSettings::new((0..count).map(rule).collect(), Action::Allow)
}

/// A flow, half of them into the network of a rule.
fn flow(random: &mut Random, family: AddressFamily, settings: &FilterSettings) -> Flow<'static> {
    let rule = &settings.rules()[random.below(settings.rules().len())];
    let net = rule.network_rule().remote_side().and_then(Network::net);
    let address = match (random.below(2), net) {
        (0, Some(net)) => inside(random, net),
        _ => random.address(family),
    };
    let protocol = [IpProtocol::TCP, IpProtocol::UDP][random.below(2)];
    let direction = [Direction::Outbound, Direction::Inbound][random.below(2)];
    Flow::new(protocol, direction)
        .with_remote_address(address, None, [443, 80, 53, 9999][random.below(4)])
        .with_local_address(family.unspecified(), None, 0)
}

/// Whether the network of this index is a large block: one in ten, but at most 100, or they would
/// cover everything.
fn is_block(index: usize, count: usize) -> bool {
    index.is_multiple_of((count / 100).max(10))
}

fn network(random: &mut Random, family: AddressFamily, is_block: bool) -> IpNet {
    let bits = match (family, random.below(10)) {
        (AddressFamily::V4, _) if is_block => 8 + random.below(8) as u8,
        (AddressFamily::V4, 0..4) => 16 + random.below(9) as u8,
        (AddressFamily::V4, _) => 32,
        (AddressFamily::V6, 0..3) => 32 + random.below(17) as u8,
        (AddressFamily::V6, 3..6) => 64,
        (AddressFamily::V6, _) => 128,
    };
    IpNet::new(random.address(family), bits).unwrap()
}

fn inside(random: &mut Random, net: IpNet) -> IpAddr {
    match (net, random.address(AddressFamily::of(net.addr()))) {
        (IpNet::V4(net), IpAddr::V4(any)) => {
            let host = any.to_bits() & net.hostmask().to_bits();
            Ipv4Addr::from_bits(net.network().to_bits() | host).into()
        }
        (IpNet::V6(net), IpAddr::V6(any)) => {
            let host = any.to_bits() & net.hostmask().to_bits();
            Ipv6Addr::from_bits(net.network().to_bits() | host).into()
        }
        (net, _) => net.addr(),
    }
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// An address of the part of the space that is announced: 1.0.0.0 to 223.255.255.255, or
    /// 2000::/3.
    fn address(&mut self, family: AddressFamily) -> IpAddr {
        match family {
            AddressFamily::V4 => {
                let first = 1 + self.below(223) as u32;
                Ipv4Addr::from_bits(first << 24 | (self.next() as u32 >> 8)).into()
            }
            AddressFamily::V6 => {
                let bits = u128::from(self.next()) << 64 | u128::from(self.next());
                Ipv6Addr::from_bits(bits >> 3 | 1 << 125).into()
            }
        }
    }
}
