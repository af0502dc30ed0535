//! Rule sets that someone would write to make a classifier slow.

use super::{Random, Side, Workload, bound_flow, rule};
use flowsieve::*;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

/// Every adversarial workload.
pub(crate) fn all() -> impl Iterator<Item = Workload> {
    let makers: [fn() -> Workload; 6] = [
        || nested("nested-33", AddressFamily::V4),
        || nested("nested-129", AddressFamily::V6),
        one_prefix,
        one_port,
        port_ranges,
        host_storm,
    ];
    makers.into_iter().map(|make| make())
}

/// Networks of every length around each of 64 hosts, each for one port of 256.
fn nested(name: &str, family: AddressFamily) -> Workload {
    let mut random = Random(33);
    let hosts: Vec<IpAddr> = (0..64).map(|_| random.address(family)).collect();
    let mut rules = Vec::new();
    for host in &hosts {
        for bits in 0..=family.bits() {
            let remote = (IpNet::new(*host, bits).ok(), Ports::one(random.below(256) as u16 + 1));
            rules.push(remote_rule(&mut random, family, remote));
        }
    }
    random.shuffle(&mut rules);
    let settings = FilterSettings::new(rules, Action::Allow);
    let flow = |random: &mut Random, family, _: &FilterSettings| {
        let (host, port) = (hosts[random.below(64)], random.below(512) as u16 + 1);
        bound_flow(random, family).with_remote_address(host, None, port)
    };
    Workload::new(name.to_owned(), family, settings, &mut random, flow).with_few_flows()
}

/// 10,000 rules for ports of one network.
fn one_prefix() -> Workload {
    let net = IpNet::new([203, 0, 113, 0].into(), 24).unwrap();
    let mut random = Random(24);
    let rule = |_| {
        let ports = Ports::one(random.port());
        remote_rule(&mut random, AddressFamily::V4, (Some(net), ports))
    };
    let settings = FilterSettings::new((0..10_000).map(rule).collect(), Action::Allow);
    workload("one-prefix-10k", settings, move |random, settings| {
        let port = match random.below(2) {
            0 => any_rule(random, settings).remote().ports().first(),
            _ => random.port(),
        };
        (random.inside(net), port)
    })
}

/// 10,000 networks, all for the same port.
fn one_port() -> Workload {
    let mut random = Random(443);
    let rule = |_| {
        let bits = 12 + random.below(21) as u8;
        let net = IpNet::new(random.address(AddressFamily::V4), bits).ok();
        remote_rule(&mut random, AddressFamily::V4, (net, Ports::one(443)))
    };
    let settings = FilterSettings::new((0..10_000).map(rule).collect(), Action::Allow);
    workload("one-port-10k", settings, |random, settings| {
        let net = any_rule(random, settings).remote_side().and_then(Network::net).unwrap();
        (random.inside(net), [443, 443, 443, 80][random.below(4)])
    })
}

/// 10,000 rules for ranges of ports of both sides of any host.
fn port_ranges() -> Workload {
    let mut random = Random(65535);
    let rule = |_| {
        let [remote, local] = [(); 2].map(|()| {
            let first = random.port();
            let ports = Ports::range(first, first.saturating_add(random.below(1024) as u16));
            (None, ports.unwrap())
        });
        let action = Action::ALL[random.below(3)];
        let protocol = [Protocol::Tcp, Protocol::Udp][random.below(2)];
        rule(AddressFamily::V4, remote, local, protocol, Direction::Any, action)
    };
    let settings = FilterSettings::new((0..10_000).map(rule).collect(), Action::Allow);
    let (family, name) = (AddressFamily::V4, "port-ranges-10k".to_owned());
    let flow = |random: &mut Random, family, _: &FilterSettings| {
        let (address, port) = (random.address(family), random.port());
        let local = (IpAddr::from([192, 168, 1, 7]), random.port());
        bound_flow(random, family)
            .with_remote_address(address, None, port)
            .with_local_address(local.0, None, local.1)
    };
    Workload::new(name, family, settings, &mut random, flow).with_few_flows()
}

/// 100,000 hosts within one /12, of which they are a tenth.
fn host_storm() -> Workload {
    let mut random = Random(12);
    let host = |random: &mut Random| {
        let bits = 172 << 24 | 16 << 16 | random.below(1 << 20) as u32;
        IpAddr::from(Ipv4Addr::from_bits(bits))
    };
    let rule = |_| {
        let remote = (Some(IpNet::from(host(&mut random))), Ports::ANY);
        remote_rule(&mut random, AddressFamily::V4, remote)
    };
    let settings = FilterSettings::new((0..100_000).map(rule).collect(), Action::Allow);
    workload("host-storm-100k", settings, move |random, settings| {
        let address = match random.below(2) {
            0 => any_rule(random, settings).remote_side().and_then(Network::net).unwrap().addr(),
            _ => host(random),
        };
        (address, 443)
    })
}

fn workload(
    name: &str,
    settings: FilterSettings,
    remote: impl Fn(&mut Random, &FilterSettings) -> (IpAddr, u16),
) -> Workload {
    let (family, random) = (AddressFamily::V4, &mut Random(name.len() as u64));
    Workload::new(name.to_owned(), family, settings, random, |random, family, settings| {
        let (address, port) = remote(random, settings);
        bound_flow(random, family).with_remote_address(address, None, port)
    })
}

fn any_rule<'a>(random: &mut Random, settings: &'a FilterSettings) -> &'a NetworkRule {
    settings.rules()[random.below(settings.rules().len())].network_rule()
}

fn remote_rule(random: &mut Random, family: AddressFamily, remote: Side) -> FilterRule {
    let protocol = [Protocol::Any, Protocol::Tcp, Protocol::Udp][random.below(3)];
    let action = Action::ALL[random.below(3)];
    rule(family, remote, (None, Ports::ANY), protocol, Direction::Any, action)
}
