//! Rule sets of packet filters: both addresses, both ports and the protocol. Three styles, after
//! the kinds of sets that classifiers are usually compared on: access lists, firewalls and chains; and one of
//! zones, whose rules have most in common.

use super::{Random, Side, Workload, rule};
use flowsieve::*;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

/// Each style with 1000 and with 10,000 rules, but zones, of which nobody writes so many.
pub(crate) fn all() -> impl Iterator<Item = Workload> {
    let sizes = [("1k", 1000), ("10k", 10_000)];
    let sets = [ACL, FIREWALL, CHAIN].into_iter().flat_map(move |style| sizes.map(|s| (style, s)));
    sets.chain([(ZONES, sizes[0])]).map(|(style, (size_name, size))| {
        let mut random = Random(size as u64 ^ style.name.len() as u64);
        let settings = style.settings(&mut random, size);
        let name = format!("{}-{size_name}", style.name);
        Workload::new(name, AddressFamily::V4, settings, &mut random, flow)
    })
}

/// Zones, and flows before they have a local address.
pub(crate) fn unbound_firewall(size: usize) -> Workload {
    let (mut random, family) = (Random(size as u64), AddressFamily::V4);
    let settings = FIREWALL.settings(&mut random, size);
    let name = "unbound-firewall-1k".to_owned();
    Workload::new(name, family, settings, &mut random, super::unbound_flow)
}

/// The shares, in percent, of which a rule set is made.
#[derive(Clone, Copy)]
struct Style {
    name: &'static str,
    /// Rules for any remote and for any local address.
    any: [usize; 2],
    /// Prefix lengths from and to, and their share.
    lengths: &'static [(u8, u8, usize)],
    /// Sides of any port and of one port, remote and local; the others have a range.
    ports: [(usize, usize); 2],
    /// Rules of TCP and of UDP; the others are for both.
    protocols: (usize, usize),
    /// How many rules there are for each network.
    sharing: usize,
    /// Ports are those of services, and no others.
    services: bool,
}

/// A service and who may reach it: narrow networks on both sides, remote ports.
const ACL: Style = Style {
    name: "acl",
    any: [1, 2],
    lengths: &[(32, 32, 45), (24, 31, 35), (21, 23, 15), (8, 20, 5)],
    ports: [(25, 55), (98, 1)],
    protocols: (75, 15),
    sharing: 4,
    services: false,
};

/// Zones: many rules for any host of one side, ranges of ports on both.
const FIREWALL: Style = Style {
    name: "firewall",
    any: [20, 25],
    lengths: &[(32, 32, 35), (24, 31, 40), (21, 23, 20), (8, 20, 5)],
    ports: [(15, 50), (50, 20)],
    protocols: (60, 30),
    sharing: 4,
    services: false,
};

/// Between the two.
const CHAIN: Style = Style {
    name: "chain",
    any: [6, 8],
    lengths: &[(32, 32, 30), (24, 31, 30), (21, 23, 25), (12, 20, 15)],
    ports: [(45, 40), (75, 15)],
    protocols: (50, 25),
    sharing: 4,
    services: false,
};

/// Which of some dozens of networks may reach which others, by service.
const ZONES: Style = Style {
    name: "zones",
    any: [15, 20],
    lengths: &[(32, 32, 20), (24, 31, 40), (20, 23, 25), (12, 19, 15)],
    ports: [(20, 65), (90, 7)],
    protocols: (60, 30),
    sharing: 20,
    services: true,
};

impl Style {
    fn settings(&self, random: &mut Random, count: usize) -> FilterSettings {
        // Networks come from a pool, so that many rules share one side.
        let pool: Vec<IpNet> = (0..count / self.sharing).map(|_| self.network(random)).collect();
        let rule = |_| {
            let [mut remote, mut local] = [0, 1].map(|end: usize| -> Side {
                let net = pool[random.below(pool.len())];
                let net = (!random.chance(self.any[end])).then_some(net);
                (net, ports(random, self.ports[end], self.services))
            });
            // Nothing that decides every flow.
            if remote.0.is_none() && local.0.is_none() {
                (remote.1, local.1) = (Ports::one(random.port()), Ports::one(random.port()));
            }
            let protocol = match random.below(100) {
                share if share < self.protocols.0 => Protocol::Tcp,
                share if share < self.protocols.0 + self.protocols.1 => Protocol::Udp,
                _ => Protocol::Any,
            };
            let action = Action::ALL[random.below(3)];
            rule(AddressFamily::V4, remote, local, protocol, Direction::Any, action)
        };
        FilterSettings::new((0..count).map(rule).collect(), Action::Drop)
    }

    fn network(&self, random: &mut Random) -> IpNet {
        let mut share = random.below(100);
        let in_share = |(_, _, of): &&(u8, u8, usize)| {
            let is_in = share < *of;
            share = share.saturating_sub(*of);
            is_in
        };
        let (from, to, _) = self.lengths.iter().find(in_share).unwrap();
        let bits = from + random.below(usize::from(to - from) + 1) as u8;
        IpNet::new(site_address(random), bits).unwrap()
    }
}

/// An address of one of 64 sites of /16.
fn site_address(random: &mut Random) -> IpAddr {
    let site = 11 + random.below(64) as u32 * 2;
    Ipv4Addr::from_bits(site << 24 | site << 16 | random.next() as u32 >> 16).into()
}

fn ports(random: &mut Random, (any, one): (usize, usize), services: bool) -> Ports {
    const RANGES: [(u16, u16); 4] = [(1, 1023), (1024, 65535), (6000, 6063), (49152, 65535)];
    const COMMON: [u16; 8] = [80, 443, 53, 22, 25, 123, 1521, 3306];
    match random.below(100) {
        share if share < any => Ports::ANY,
        share if share < any + one => match random.below(2) {
            1 if !services => Ports::one(random.port()),
            _ => Ports::one(COMMON[random.below(COMMON.len())]),
        },
        _ => match random.below(2) {
            1 if !services => {
                let first = random.port();
                Ports::range(first, first.saturating_add(random.below(200) as u16)).unwrap()
            }
            _ => {
                let (first, last) = RANGES[random.below(RANGES.len())];
                Ports::range(first, last).unwrap()
            }
        },
    }
}

/// A flow: seven in eight from a point within a rule, the others between any two sites.
fn flow(random: &mut Random, _: AddressFamily, settings: &FilterSettings) -> Flow<'static> {
    let rule = settings.rules()[random.below(settings.rules().len())].network_rule();
    let is_within = random.below(8) > 0;
    let mut end = |side: Option<&Network>| {
        let side = side.filter(|_| is_within);
        let net = side.filter(|side| side.is_explicit()).and_then(Network::net);
        let address = match net {
            Some(net) => random.inside(net),
            None => site_address(random),
        };
        (address, random.port_of(side.map_or(Ports::ANY, Network::ports)))
    };
    let (remote, local) = (end(rule.remote_side()), end(Some(rule.local())));
    let protocol = match rule.match_protocol() {
        Protocol::Tcp => IpProtocol::TCP,
        Protocol::Udp => IpProtocol::UDP,
        _ => [IpProtocol::TCP, IpProtocol::UDP][random.below(2)],
    };
    Flow::new(protocol, [Direction::Outbound, Direction::Inbound][random.below(2)])
        .with_remote_address(remote.0, None, remote.1)
        .with_local_address(local.0, None, local.1)
}
