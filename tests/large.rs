//! Settings of many rules, of the shapes that make the matcher's lists long and its indexes deep,
//! decided as the reference does.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test")]

use flowsieve::*;
use flowsieve_testkit::agreement::{Shown, matchers};
use flowsieve_testkit::random::Random;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the rules of a set are drawn from.
struct Shape {
    name: &'static str,
    count: usize,
    family: AddressFamily,
    /// Prefix lengths, and the number of bits below the first ones in which addresses differ.
    remote: (&'static [u8], u32),
    local: (&'static [u8], u32),
    /// The numbers of single ports to choose from, remote and local; 0 for any port only.
    ports: [usize; 2],
    ranges: bool,
    /// Rules for any protocol and direction only.
    simple: bool,
}

const V4: AddressFamily = AddressFamily::V4;
const V6: AddressFamily = AddressFamily::V6;

const SHAPES: [Shape; 19] = [
    simple("block list", 4000, V4, (&[16, 20, 24, 28, 32, 32], 18)),
    simple("dense block list", 9000, V4, (&[31, 32], 15)),
    simple("IPv6 block list", 4000, V6, (&[32, 48, 56, 64, 64, 128, 128], 90)),
    shape("hosts", 3000, V4, (&[32], 11), (&[], 0), [3, 0], false),
    shape("dense halves", 9000, V4, (&[32, 31, 30], 15), (&[], 0), [0, 0], false),
    shape(
        "nested",
        2000,
        V4,
        (&[8, 12, 16, 20, 24, 25, 26, 27, 28, 29, 30, 31, 32], 9),
        (&[32, 24], 4),
        [2, 2],
        true,
    ),
    shape("one network, ports", 3000, V4, (&[24], 1), (&[], 0), [2500, 0], true),
    shape("one pair, ports", 2000, V4, (&[32], 1), (&[32], 1), [400, 400], true),
    shape(
        "access lists",
        3000,
        V4,
        (&[21, 24, 30, 32], 16),
        (&[22, 24, 31, 32], 12),
        [12, 12],
        true,
    ),
    shape(
        "pairs",
        2000,
        V4,
        (&[0, 22, 26, 27, 30, 31, 32], 10),
        (&[0, 23, 27, 29, 32], 9),
        [6, 2],
        true,
    ),
    shape(
        "zones",
        400,
        V4,
        (&[0, 21, 24, 27, 28, 32], 12),
        (&[0, 20, 23, 24, 25, 30, 32], 14),
        [9, 5],
        true,
    ),
    shape("local networks, ports", 1200, V4, (&[0], 0), (&[24, 28], 6), [150, 60], true),
    shape("IPv6 local networks, ports", 1200, V6, (&[0], 0), (&[64, 128], 2), [150, 60], true),
    shape("wide", 3000, V4, (&[0, 1, 2], 31), (&[0, 1, 4], 31), [30, 30], true),
    shape("wide one side", 2000, V4, (&[0, 1, 32], 8), (&[0, 28, 32], 8), [8, 8], true),
    shape(
        "IPv6 nested",
        2000,
        V6,
        (&[16, 29, 32, 40, 48, 56, 64, 80, 96, 127, 128], 20),
        (&[64, 128], 3),
        [3, 2],
        true,
    ),
    shape("IPv6 dense halves", 9000, V6, (&[32, 31, 48, 64], 110), (&[], 0), [0, 0], false),
    shape("IPv6 dense words", 5000, V6, (&[48, 64, 62], 90), (&[], 0), [0, 0], false),
    shape("IPv6 hosts", 3000, V6, (&[128, 120], 12), (&[0, 128], 2), [2, 3], true),
];

#[allow(clippy::too_many_arguments, reason = "a row of a table")]
const fn shape(
    name: &'static str,
    count: usize,
    family: AddressFamily,
    remote: (&'static [u8], u32),
    local: (&'static [u8], u32),
    ports: [usize; 2],
    ranges: bool,
) -> Shape {
    Shape { name, count, family, remote, local, ports, ranges, simple: false }
}

const fn simple(
    name: &'static str,
    count: usize,
    family: AddressFamily,
    remote: (&'static [u8], u32),
) -> Shape {
    Shape { simple: true, ..shape(name, count, family, remote, (&[], 0), [0, 0], false) }
}

/// An address that differs from a fixed one in some of the low `bits` of its first 32, or for IPv6
/// of all.
fn address(random: &mut Random, family: AddressFamily, bits: u32) -> IpAddr {
    match family {
        AddressFamily::V4 => {
            let spread = random.next() as u32 & ((1u64 << bits) - 1) as u32;
            Ipv4Addr::from_bits(0x0a14_1e28 ^ spread).into()
        }
        AddressFamily::V6 => {
            // Half of them differ in the high bits only.
            let any = u128::from(random.next()) << 64 | u128::from(random.next());
            let mask = (1u128 << bits.min(126)) - 1;
            let spread = match random.below(2) {
                0 => any & mask,
                _ => any & mask & (u128::MAX << 64 | 3),
            };
            Ipv6Addr::from_bits(0x2001_0db8_0001_0002_0003_0004_0005_0006 ^ spread).into()
        }
    }
}

fn ports(random: &mut Random, count: usize, ranges: bool) -> Ports {
    let port = |random: &mut Random| random.below(count) as u16 * 7 % 60_000 + 1;
    match random.below(8) {
        _ if count == 0 => Ports::ANY,
        0 => Ports::ANY,
        1 | 2 if ranges => {
            let first = port(random);
            Ports::range(first, first + random.below(40) as u16).unwrap()
        }
        _ => Ports::one(port(random)),
    }
}

fn settings(random: &mut Random, shape: &Shape) -> FilterSettings {
    let side = |random: &mut Random, (lengths, bits): (&[u8], u32), count| {
        let endpoint = Endpoint::from_parts(
            Host::Address(address(random, shape.family, bits), None),
            ports(random, count, shape.ranges),
        );
        match lengths.is_empty() || (!shape.simple && random.below(12) == 0) {
            true => (None, 0),
            false => (Some(endpoint), random.pick(lengths).into()),
        }
    };
    let rule = |_| {
        let (remote, remote_bits) = side(random, shape.remote, shape.ports[0]);
        let (local, local_bits) = side(random, shape.local, shape.ports[1]);
        let protocols =
            [Protocol::Any, Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Number(47)];
        let protocol = random.pick(&protocols);
        let direction = random.pick(&[Direction::Any, Direction::Outbound, Direction::Inbound]);
        let (protocol, direction) = match shape.simple {
            true => (Protocol::Any, Direction::Any),
            false => (protocol, direction),
        };
        let rule = NetworkRule::remote_network(
            remote,
            remote_bits,
            local,
            local_bits,
            protocol,
            direction,
        );
        FilterRule::new(rule.unwrap(), random.pick(&Action::ALL))
    };
    FilterSettings::new((0..shape.count).map(rule).collect(), Action::Allow)
}

fn flow(random: &mut Random, shape: &Shape) -> Flow<'static> {
    let protocols = [IpProtocol::TCP, IpProtocol::TCP, IpProtocol::UDP, IpProtocol(47)];
    let direction = random.pick(&[Direction::Outbound, Direction::Inbound]);
    let port = |random: &mut Random, count: usize| match random.below(10) {
        0 => 0,
        1 => random.next() as u16,
        _ => random.below(count.max(2)) as u16 * 7 % 60_000 + 1,
    };
    let flow = Flow::new(random.pick(&protocols), direction);
    let remote = address(random, shape.family, shape.remote.1);
    let flow = flow.with_remote_address(remote, None, port(random, shape.ports[0]));
    match random.below(6) {
        0 => flow,
        // Nothing of the local end known, or its port alone.
        1 => {
            let port = if random.below(2) == 0 { 0 } else { port(random, shape.ports[1]) };
            flow.with_local_address(shape.family.unspecified(), None, port)
        }
        _ => {
            let local = address(random, shape.family, shape.local.1);
            flow.with_local_address(local, None, port(random, shape.ports[1]))
        }
    }
}

/// Block lists with what provider authors add to them: rules of any host for some ports, for local
/// ports, and a few with a local side. The flows that are decided together are of one family or of both.
#[test]
fn a_few_rules_of_other_kinds_among_many_decide_as_the_reference_does() {
    for (seed, families) in [&[V4][..], &[V6], &[V4, V6]].into_iter().enumerate() {
        let mut random = Random(7 + seed as u64);
        for kinds in 0..8 {
            let rules = rules_of_kinds(&mut random, families, kinds);
            let settings = FilterSettings::new(rules, Action::Allow);
            // Every second hundred are all of a kind that needs nothing special.
            let flows = (0..640).map(|number| {
                let family = random.pick(families);
                let [list, _, _, flows] = shapes_of_kinds(family);
                let flow = flow(&mut random, &flows);
                match number / 100 % 2 {
                    0 => flow,
                    _ => {
                        let protocol = random.pick(&[IpProtocol::TCP, IpProtocol::UDP]);
                        let local = address(&mut random, family, flows.local.1);
                        let remote = address(&mut random, family, list.remote.1);
                        let port = flow.remote().unwrap().port();
                        Flow::new(protocol, flow.direction())
                            .with_remote_address(remote, None, port)
                            .with_local_address(local, None, 1 + random.below(30) as u16)
                    }
                }
            });
            let flows: Vec<Flow<'_>> = flows.collect();
            agree(&format!("{families:?}, kinds {kinds}"), &settings, &flows);
        }
    }
}

/// Block lists of whole networks alone, whose rules are told apart by their place in the list only, and with one rule of
/// each other kind, which has to be put before or after them.
#[test]
fn a_rule_of_another_kind_among_whole_networks_decides_as_the_reference_does() {
    let mut random = Random(90);
    let lists = [
        simple("list", 700, V4, (&[8, 16, 24, 32, 32], 17)),
        simple("list", 700, V6, (&[29, 32, 48, 64, 128, 128], 107)),
    ];
    let mut list: Vec<FilterRule> =
        lists.iter().flat_map(|list| settings(&mut random, list).rules().to_vec()).collect();
    random.shuffle(&mut list);
    let mut inside = |ports| {
        Some(Endpoint::from_parts(Host::Address(address(&mut random, V4, 17), None), ports))
    };
    let [https, any] = [Ports::one(443), Ports::ANY];
    let rule = |(remote, remote_bits), (local, local_bits), direction| {
        let any = Protocol::Any;
        NetworkRule::remote_network(remote, remote_bits, local, local_bits, any, direction).unwrap()
    };
    let others = [
        rule((None, 0), (None, 0), Direction::Outbound),
        rule((inside(https), 12), (None, 0), Direction::Any),
        rule((None, 0), (inside(any), 16), Direction::Any),
        rule((inside(any), 20), (inside(https), 12), Direction::Any),
        NetworkRule::destination_host("a.example:0".parse().unwrap(), Protocol::Any).unwrap(),
    ];
    // Also few enough of them that each is compared.
    let mut cases = vec![list[..40].to_vec(), list.clone()];
    for other in others {
        let (first, second) = list.split_at(list.len() / 2);
        let other = FilterRule::new(other, Action::FilterData);
        cases.push([first, &[other], second].concat());
    }
    for (case, rules) in cases.into_iter().enumerate() {
        let flows = (0..640).map(|number| {
            let flow = flow(&mut random, &lists[number / 5 % 2]);
            match number % 4 {
                0 => flow,
                1 => flow.with_remote_hostname("a.example"),
                2 => flow.with_local_address(address(&mut random, V4, 17), None, 443),
                _ => flow.with_local_address(Ipv4Addr::LOCALHOST.into(), None, 443),
            }
        });
        let flows: Vec<Flow<'_>> = flows.collect();
        // Loopback flows that no rule matches are allowed whatever it is.
        let default = Action::ALL[case % Action::ALL.len()];
        agree(&format!("case {case}"), &FilterSettings::new(rules, default), &flows);
    }
}

/// Networks alone, so many that the first 16 bits of most addresses tell that no rule holds them, and flows of which
/// that is not all that counts.
#[test]
fn flows_far_from_all_networks_decide_as_the_reference_does() {
    let mut random = Random(92);
    let list = simple("networks", 4000, V6, (&[29, 32, 48, 48, 48], 107));
    let rules = settings(&mut random, &list).rules().to_vec();
    let flows = (0..960).map(|number| {
        let flow = flow(&mut random, &list);
        let far = u128::from(random.next()) << 64 | u128::from(random.next());
        match number / 64 % 3 {
            0 => flow,
            1 => flow.with_remote_address(Ipv6Addr::from_bits(far).into(), None, 443),
            _ => flow.with_remote_address(Ipv6Addr::LOCALHOST.into(), None, 443),
        }
    });
    let flows: Vec<Flow<'_>> = flows.collect();
    for default in Action::ALL {
        agree("networks", &FilterSettings::new(rules.clone(), default), &flows);
    }
}

#[test]
fn the_order_of_whole_networks_alone_is_not_kept() {
    let mut random = Random(91);
    let rule = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let address = Ipv4Addr::new(10, high, low, 0);
        let network = Some(Endpoint::from(IpAddr::from(address)));
        let (any, bits) = (Protocol::Any, 31 + u64::from(number % 2));
        let rule = NetworkRule::remote_network(network, bits, None, 0, any, Direction::Any);
        FilterRule::new(rule.unwrap(), Action::Drop)
    };
    let mut rules: Vec<FilterRule> = (0..1000).map(rule).collect();
    random.shuffle(&mut rules);
    let size = |rules: &[FilterRule], precedence| {
        let settings = FilterSettings::new(rules.to_vec(), Action::Allow);
        let builder = Matcher::builder().precedence(precedence).strategy(Strategy::Intervals);
        builder.build(&settings).unwrap().size_bytes()
    };
    let [first, longest] = Precedence::ALL.map(|precedence| size(&rules, precedence));
    assert_eq!(longest, first);
    let any_host =
        NetworkRule::remote_network(None, 0, None, 0, Protocol::Any, Direction::Outbound);
    rules.push(FilterRule::new(any_host.unwrap(), Action::FilterData));
    let [first, longest] = Precedence::ALL.map(|precedence| size(&rules, precedence));
    assert_eq!(longest, first + 4 * rules.len());
}

#[test]
fn rules_that_no_bits_of_the_address_tell_apart_are_in_no_buckets() {
    let strategy = |count: u32, bits: u64| {
        let rule = |number: u32| {
            let address = Ipv4Addr::from_bits(number.wrapping_mul(0x9e37_79b9));
            let network = Endpoint::from_parts(
                Host::Address(address.into(), None),
                Ports::one(1 + number as u16),
            );
            let (any, direction) = (Protocol::Any, Direction::Any);
            let rule = NetworkRule::remote_network(Some(network), bits, None, 0, any, direction);
            FilterRule::new(rule.unwrap(), Action::Drop)
        };
        let settings = FilterSettings::new((0..count).map(rule).collect(), Action::Allow);
        let matcher = Matcher::new(&settings).unwrap();
        (matcher.strategy(), matcher.vectors() >= Vectors::Bits256)
    };
    // Hosts far from each other, and networks that fill the address space.
    for (count, bits, expected) in [
        (48, 32, Strategy::Blocks),
        (49, 32, Strategy::Buckets),
        (16_000, 32, Strategy::Buckets),
        (16_001, 32, Strategy::ExactMatch),
        (60, 1, Strategy::Blocks),
        (80, 1, Strategy::Blocks),
        (81, 1, Strategy::Intervals),
    ] {
        let (strategy, is_wide) = strategy(count, bits);
        let expected = match bits {
            _ if is_wide => expected,
            32 if count >= 2048 => Strategy::ExactMatch,
            _ => Strategy::Intervals,
        };
        assert_eq!(strategy, expected, "{count} of {bits} bits");
    }
}

/// Rules of any host that are so many that they are not compared beside those in buckets: of remote ports, of local
/// ports, of local networks, of both local ports and networks, and of ports of both sides.
#[test]
fn rules_of_any_host_beside_buckets_decide_as_the_reference_does() {
    rules_of_any_host_beside_buckets(V4);
    rules_of_any_host_beside_buckets(V6);
}

fn rules_of_any_host_beside_buckets(family: AddressFamily) {
    let side = |address: u32, port: u16| {
        let host = match family {
            V4 => Ipv4Addr::from_bits(address).into(),
            V6 if address == 0 => Ipv6Addr::UNSPECIFIED.into(),
            V6 => Ipv6Addr::from_bits(u128::from(address) << 64 | 0x2001_0db8 << 96 | 1).into(),
        };
        Endpoint::from_parts(Host::Address(host, None), Ports::one(port))
    };
    let all_bits = u64::from(family.bits());
    let rule = |remote: Option<(Endpoint, u64)>, local: Option<(Endpoint, u64)>| {
        let split = |side: Option<(Endpoint, u64)>| match side {
            Some((endpoint, bits)) => (Some(endpoint), bits),
            None => (None, 0),
        };
        let ((remote, bits), (local, local_bits)) = (split(remote), split(local));
        let (protocol, direction) = (Protocol::Any, Direction::Any);
        let rule =
            NetworkRule::remote_network(remote, bits, local, local_bits, protocol, direction);
        FilterRule::new(rule.unwrap(), Action::Drop)
    };
    let mut rules = Vec::new();
    for number in 0..100_u32 {
        let port = number as u16;
        let near = number.wrapping_mul(0x9e37_79b9) | 1;
        rules.push(rule(Some((side(near, 7), all_bits)), None));
        let local = 0x0a00_0100 + number;
        match number % 8 {
            0 => {
                rules.push(rule(Some((side(0, 1000 + port), 0)), None));
                // An address and 0 bits, as in the story of the README.
                rules.push(rule(Some((side(0x0909_0909, 4000 + port), 0)), None));
            }
            1 | 5 => rules.push(rule(None, Some((side(0, 2000 + port), 0)))),
            2 | 6 => rules.push(rule(None, Some((side(local, 0), all_bits)))),
            4 => rules.push(rule(
                Some((side(0, 1000 + port), 0)),
                Some((side(local, 3000 + port), all_bits)),
            )),
            _ => rules.push(rule(None, Some((side(local, 3000 + port), all_bits)))),
        }
    }
    let mut flows = Vec::new();
    for number in 0..100_u32 {
        let near = number.wrapping_mul(0x9e37_79b9) | 1;
        for (remote, local) in [
            ((near, 7), (9, 9)),
            ((near, 8), (9, 9)),
            ((near + 1, 1000 + number), (9, 9)),
            ((near + 1, 4000 + number), (9, 9)),
            ((near, 8), (9, 2000 + number)),
            ((near, 8), (0x0a00_0100 + number, 9)),
            ((near, 8), (0x0a00_0100 + number, 3000 + number)),
            ((near + 1, 1000 + number), (0x0a00_0100 + number, 3000 + number)),
            ((near, 8), (0, 2000 + number)),
            ((near, 8), (0, 0)),
        ] {
            let [remote, local] = [remote, local].map(|(address, port)| side(address, port as u16));
            for protocol in [IpProtocol::TCP, IpProtocol::ICMP] {
                let flow = Flow::new(protocol, Direction::Outbound);
                let flow = flow.with_remote(remote.clone()).unwrap();
                flows.push(flow.with_local(local.clone()).unwrap());
            }
        }
    }
    // Those that are decided in groups follow each other.
    flows.sort_by_key(|flow| flow.protocol() != IpProtocol::TCP);
    agree("beside buckets", &FilterSettings::new(rules.clone(), Action::Allow), &flows);

    // The same with host rules before and between them, and flows that have a name too.
    let host_rule = |number: u32| {
        let host = Endpoint::new(&format!("host-{number}.example.com"), "0").unwrap();
        let rule = NetworkRule::destination_host(host, Protocol::Tcp).unwrap();
        FilterRule::new(rule, Action::FilterData)
    };
    let with_hosts =
        rules.into_iter().zip(0..).flat_map(|(rule, number)| [host_rule(number), rule]);
    let settings = FilterSettings::new(with_hosts.collect(), Action::Allow);
    let is_wide = Matcher::new(&settings).unwrap().vectors() >= Vectors::Bits256;
    let expected = if is_wide { Strategy::Buckets } else { Strategy::Intervals };
    assert_eq!(Matcher::new(&settings).unwrap().strategy(), expected);
    let named = |(flow, number): (&Flow<'static>, usize)| {
        flow.clone().with_remote_hostname(format!("www.host-{}.example.com", number % 150))
    };
    let with_names: Vec<Flow<'_>> = flows.iter().zip(0..).map(named).collect();
    agree("beside host rules", &settings, &flows);
    agree("host rules", &settings, &with_names);

    // And with so few rules of any host that they are compared, if there were no host rules.
    let is_of_net = |rule: &&FilterRule| {
        let remote = rule.network_rule().remote_side();
        remote.is_none_or(|remote| remote.ports().is_any() || remote.is_explicit())
    };
    let mut rules: Vec<FilterRule> = settings.rules().iter().filter(is_of_net).cloned().collect();
    rules.retain(|rule| *rule.network_rule().local() == Network::Nil);
    let settings = FilterSettings::new(rules, Action::Allow);
    assert_eq!(Matcher::new(&settings).unwrap().strategy(), expected);
    agree("host rules and networks", &settings, &with_names);
}

/// Settings of a few rules, which are compared with flows one by one, also beyond the most of them that are
/// compared with a whole group.
#[test]
fn few_rules_decide_as_the_reference_does() {
    for (seed, count) in [6, 15, 16, 17, 32, 33, 48, 49, 80, 81, 90, 150].into_iter().enumerate() {
        let mut random = Random(40 + seed as u64);
        let shapes = [
            shape("few", count, V4, (&[0, 24, 29, 31, 32], 4), (&[0, 30, 32], 3), [3, 3], true),
            shape("few", count, V6, (&[0, 48, 120, 126, 128], 4), (&[0, 64, 128], 3), [3, 3], true),
        ];
        let rules = shapes.each_ref().map(|shape| settings(&mut random, shape));
        let mut rules: Vec<FilterRule> =
            rules.iter().flat_map(|settings| settings.rules()).cloned().collect();
        while rules.len() > count {
            rules.remove(random.below(rules.len()));
        }
        let settings = FilterSettings::new(rules, random.pick(&Action::ALL));
        let flows: Vec<Flow<'_>> =
            (0..640).map(|number| flow(&mut random, &shapes[(number / 80) % 2])).collect();
        agree(&format!("{count} rules"), &settings, &flows);
    }
}

/// The shapes of a block list, of rules with both sides, of rules with a local side, and of flows.
fn shapes_of_kinds(family: AddressFamily) -> [Shape; 4] {
    let any = (&[][..], 0);
    match family {
        V4 => [
            shape("list", 2000, V4, (&[16, 24, 32, 32], 14), any, [5, 0], true),
            shape("with local", 40, V4, (&[24, 32], 14), (&[24, 32], 5), [3, 3], true),
            shape("local only", 40, V4, any, (&[28, 32], 5), [0, 3], true),
            shape("flows", 0, V4, (&[32], 14), (&[32], 5), [5, 3], true),
        ],
        V6 => [
            shape("list", 2000, V6, (&[29, 32, 48, 64, 128, 128], 107), any, [5, 0], true),
            shape("with local", 40, V6, (&[32, 64, 128], 107), (&[64, 128], 3), [3, 3], true),
            shape("local only", 40, V6, any, (&[64, 126, 128], 3), [0, 3], true),
            shape("flows", 0, V6, (&[128], 107), (&[128], 3), [5, 3], true),
        ],
    }
}

/// Returns the rules of a block list, and among them those of the kinds that have a bit: of any host for
/// some ports, with both sides, with a local side.
fn rules_of_kinds(random: &mut Random, families: &[AddressFamily], kinds: u32) -> Vec<FilterRule> {
    let mut rules = Vec::new();
    for family in families {
        let [list, with_local, local_only, _] = shapes_of_kinds(*family);
        for rule in settings(random, &list).rules() {
            rules.insert(random.below(rules.len() + 1), rule.clone());
        }
        for (kind, shape) in [with_local, local_only].iter().enumerate() {
            if kinds >> (kind + 1) & 1 == 0 {
                continue;
            }
            let rules_of_kind = settings(random, shape);
            let is_sided = |rule: &&FilterRule| *rule.network_rule().local() != Network::Nil;
            for rule in rules_of_kind.rules().iter().filter(is_sided) {
                rules.insert(random.below(rules.len()), rule.clone());
            }
        }
    }
    for number in 0..if kinds & 1 != 0 { 40 } else { 0 } {
        let host = Host::Address(random.pick(families).unspecified(), None);
        let first = random.below(400) as u16 + 1;
        let ports = Ports::range(first, first + random.below(4) as u16).unwrap();
        let endpoint = Endpoint::from_parts(host, ports);
        let protocol = random.pick(&[Protocol::Any, Protocol::Tcp, Protocol::Udp]);
        let direction = random.pick(&[Direction::Any, Direction::Inbound]);
        let (remote, local) =
            if number % 2 == 0 { (Some(endpoint), None) } else { (None, Some(endpoint)) };
        let rule = NetworkRule::remote_network(remote, 0, local, 0, protocol, direction);
        let rule = FilterRule::new(rule.unwrap(), random.pick(&Action::ALL));
        rules.insert(random.below(rules.len()), rule);
    }
    rules
}

/// A rule that names no address does not match loopback flows, so that it hides no rule from them.
#[test]
fn rules_that_loopback_flows_pass_by_hide_none_from_them() {
    let endpoint = |address: [u8; 4]| {
        Endpoint::from_parts(Host::Address(Ipv4Addr::from(address).into(), None), Ports::ANY)
    };
    let rule = |remote: ([u8; 4], u64), local: ([u8; 4], u64), action| {
        let ((remote, remote_prefix), (local, local_prefix)) = (remote, local);
        let rule = NetworkRule::remote_network(
            Some(endpoint(remote)),
            remote_prefix,
            Some(endpoint(local)),
            local_prefix,
            Protocol::Any,
            Direction::Any,
        );
        FilterRule::new(rule.unwrap(), action)
    };
    let mut rules = vec![rule(([0; 4], 0), ([0; 4], 0), Action::Drop)];
    for net in 0..40 {
        let action = Action::ALL[usize::from(net) % 3];
        rules.push(rule(([127, 0, 0, net], 32), ([127, 0, 0, 0], 8), action));
        rules.push(rule(([127, 0, net, 0], 24), ([127, 0, 0, 1], 32), action));
    }
    let settings = FilterSettings::new(rules, Action::FilterData);
    let flows: Vec<Flow<'_>> = (0..160u8)
        .map(|number| {
            let (remote, local) = ([127, 0, number / 80, number % 40], [127, 0, 0, number % 3]);
            Flow::new(IpProtocol::TCP, Direction::Outbound)
                .with_remote_address(Ipv4Addr::from(remote).into(), None, 80)
                .with_local_address(Ipv4Addr::from(local).into(), None, 1024)
        })
        .collect();
    let of_loopback = flows.iter().filter(|flow| flow.is_loopback()).count();
    assert!((20..140).contains(&of_loopback), "{of_loopback} flows of loopback");
    agree("loopback", &settings, &flows);
}

/// Flows that are looked up by both sides one by one, since the others of their group are not.
#[test]
fn rules_of_two_sides_that_few_flows_of_a_group_meet_decide_as_the_reference_does() {
    let endpoint = |address: [u8; 4]| {
        Endpoint::from_parts(Host::Address(Ipv4Addr::from(address).into(), None), Ports::ANY)
    };
    let rule = |remote: [u8; 4], local: Option<[u8; 4]>| {
        let prefix = if local.is_some() { 24 } else { 32 };
        let (protocol, direction) = (Protocol::Any, Direction::Any);
        let (remote, local) = (Some(endpoint(remote)), local.map(endpoint));
        NetworkRule::remote_network(remote, prefix, local, prefix, protocol, direction).unwrap()
    };
    let hosts = (0..200).map(|host| rule([10, 0, 0, host], None));
    let rules = hosts.chain([rule([192, 0, 2, 0], Some([192, 168, 1, 0]))]);
    let rules = rules.map(|rule| FilterRule::new(rule, Action::Drop)).collect();
    let settings = FilterSettings::new(rules, Action::Allow);
    let flows: Vec<Flow<'_>> = (0..=255u8)
        .map(|number| {
            let remote = if number % 11 == 5 { [192, 0, 2, number] } else { [10, 0, 0, number] };
            let local = [192, 168, 1 + number % 2, 9];
            Flow::new(IpProtocol::TCP, Direction::Outbound)
                .with_remote_address(Ipv4Addr::from(remote).into(), None, 443)
                .with_local_address(Ipv4Addr::from(local).into(), None, 50_000)
        })
        .collect();
    agree("two sides", &settings, &flows);
}

/// Flows into a network that rules with a local side name, none of which is kept by its remote side, beside a rule of
/// any host whose local side is wide, and which asks for two ports, so that it is kept with those.
#[test]
fn rules_of_any_host_hold_in_networks_of_rules_kept_by_their_local_side() {
    type Side<'a> = (&'a str, &'a str, u64);
    let rule = |remote: Side<'_>, local: Option<Side<'_>>| {
        let endpoint = |(address, port, _): Side<'_>| Endpoint::new(address, port).unwrap();
        let (protocol, direction) = (Protocol::Any, Direction::Any);
        let prefix = local.map_or(0, |(.., prefix)| prefix);
        let (of_remote, local) = (endpoint(remote), local.map(endpoint));
        NetworkRule::remote_network(Some(of_remote), remote.2, local, prefix, protocol, direction)
            .unwrap()
    };
    let plain = (0..200).map(|net| rule((&format!("2001:{net:x}::"), "0", 32), None));
    let rules = plain.chain([
        rule(("2001:db8::", "0", 32), Some(("fd01::", "0", 32))),
        rule(("2001:db8::", "0", 32), Some(("fd02::", "0", 32))),
        rule(("::", "443", 0), Some(("fd00::", "50000", 8))),
    ]);
    let actions = [Action::Drop, Action::FilterData].into_iter().cycle();
    let rules = rules.zip(actions).map(|(rule, action)| FilterRule::new(rule, action)).collect();
    let settings = FilterSettings::new(rules, Action::Allow);
    let flow = |number: u16| {
        let remote = if number % 7 == 3 { 0xdb8 } else { number };
        let local = [0xfd01, 0xfd02, 0xfd03, 0xfe80][usize::from(number % 4)];
        Flow::new(IpProtocol::TCP, Direction::Outbound)
            .with_remote_address(Ipv6Addr::new(0x2001, remote, 0, 0, 0, 0, 0, 1).into(), None, 443)
            .with_local_address(Ipv6Addr::new(local, 0, 0, 0, 0, 0, 0, 9).into(), None, 50_000)
    };
    agree("any host", &settings, &(0..256).map(flow).collect::<Vec<_>>());
}

/// So many IPv6 networks and hosts that groups are looked up with loads ahead, at the step of 32 bits and at that of 64.
#[test]
fn an_index_larger_than_a_cache_decides_as_the_reference_does() {
    const NETS: u32 = 36_000;
    const HOSTS: u32 = 24_000;
    let address = |number: u32, low: u64| {
        // Some /32s with a line of ends, some with a directory and some with a tree.
        let (net, rest) = match number {
            0..20_000 => (number / 5_000, number % 5_000),
            20_000..28_000 => (50 + number / 40, number % 40),
            _ => (5_000 + number / 8, number % 8),
        };
        let high = (0x2001_0000 | u64::from(net)) << 32 | u64::from(rest * 3);
        Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low))
    };
    let rule = |remote: Ipv6Addr, prefix| {
        let remote = Endpoint::from_parts(Host::Address(remote.into(), None), Ports::ANY);
        NetworkRule::destination_network(remote, prefix, Protocol::Any).unwrap()
    };
    let actions = [Action::Drop, Action::Allow, Action::FilterData].into_iter().cycle();
    let nets = (0..NETS).map(|number| rule(address(number, 0), 64));
    let hosts = (0..HOSTS).map(|number| rule(address(number, 7), 128));
    let end = |address: Ipv6Addr| {
        Some(Endpoint::from_parts(Host::Address(address.into(), None), Ports::ANY))
    };
    let (remote, local) = (end(address(4_999, 0)), end(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0)));
    let (protocol, direction) = (Protocol::Any, Direction::Any);
    let sided = NetworkRule::remote_network(remote, 32, local, 16, protocol, direction).unwrap();
    let rules = std::iter::once(sided).chain(hosts).chain(nets);
    let rules = rules.zip(actions).map(|(rule, action)| FilterRule::new(rule, action)).collect();
    let settings = FilterSettings::new(rules, Action::Allow);
    let mut random = Random(28);
    let flows: Vec<Flow<'_>> = (0..192)
        .map(|_| {
            let number = random.below(NETS as usize + 2_000) as u32;
            let remote = address(number, random.below(9) as u64).to_bits();
            // Beside a network, too.
            let remote = remote + (u128::from(random.below(3) == 0) << 64);
            let local = if random.below(2) == 0 { "fd00::1" } else { "fe80::1" };
            Flow::new(IpProtocol::TCP, Direction::Outbound)
                .with_remote_address(Ipv6Addr::from_bits(remote).into(), None, 443)
                .with_local_address(local.parse().unwrap(), None, 50_000)
        })
        .collect();
    let expected: Vec<Decision> =
        flows.iter().map(|f| reference::decide(&settings, Precedence::FirstMatch, f)).collect();
    let kinds: [fn(usize) -> bool; 3] = [
        |rule| rule == 0,
        |rule| (1..=HOSTS as usize).contains(&rule),
        |rule| rule > HOSTS as usize,
    ];
    for (kind, least) in kinds.into_iter().zip([5, 5, 40]) {
        let count = expected.iter().filter_map(Decision::rule).filter(|rule| kind(*rule)).count();
        assert!(count >= least, "{count} flows of at least {least}");
    }
    agree_by_intervals(&settings, &flows, &expected);
}

/// Networks that begin with very many values of 16 bits, of which each has a place of its own then.
#[test]
fn networks_all_over_the_addresses_decide_as_the_reference_does() {
    let mut random = Random(47);
    for of_ports in [0, 100] {
        let rules = (0..1 << 16).filter(|first| first % 3 == 1).map(|first: u32| {
            let port = if random.chance(of_ports) { Ports::one(443) } else { Ports::ANY };
            let address = Ipv4Addr::from_bits(first << 16 | random.below(1 << 16) as u32);
            let remote = Endpoint::from_parts(Host::Address(address.into(), None), port);
            let prefix = random.pick(&[16, 16, 17, 24]);
            let rule = NetworkRule::destination_network(remote, prefix, Protocol::Any).unwrap();
            FilterRule::new(rule, random.pick(&[Action::Drop, Action::FilterData]))
        });
        let settings = FilterSettings::new(rules.collect(), Action::Allow);
        let flows: Vec<Flow<'_>> = (0..320)
            .map(|_| {
                let side =
                    random.pick(settings.rules()).network_rule().remote_side().unwrap().net();
                let any = IpAddr::from(Ipv4Addr::from_bits(random.next() as u32));
                let remote = if random.below(2) == 0 { any } else { random.inside(side.unwrap()) };
                Flow::new(IpProtocol::TCP, Direction::Outbound)
                    .with_remote_address(remote, None, random.pick(&[443, 80]))
                    .with_local_address(address_of_this_machine(V4), None, 50_000)
            })
            .collect();
        let expected: Vec<Decision> =
            flows.iter().map(|f| reference::decide(&settings, Precedence::FirstMatch, f)).collect();
        let matching = expected.iter().filter(|decision| decision.rule().is_some()).count();
        assert!((80..300).contains(&matching), "{matching} flows match");
        agree_by_intervals(&settings, &flows, &expected);
    }
}

#[test]
fn single_addresses_that_are_many_are_found_as_by_intervals() {
    const RULES: usize = 40_000;
    for (family, prefixes) in [(V4, [32, 32, 32, 24, 22]), (V6, [128, 64, 64, 64, 48])] {
        let mut random = Random(46);
        // Addresses are near one of these, and so in part near each other.
        let places: Vec<u128> = (0..RULES / 3).map(|_| u128::from(random.next())).collect();
        let address = |random: &mut Random| match family {
            AddressFamily::V4 => {
                let near = random.pick(&places) as u32 + random.below(600) as u32;
                IpAddr::from(Ipv4Addr::from_bits(0x1000_0000 | near >> 1))
            }
            _ => {
                let near = random.pick(&places) as u64 + random.below(3) as u64;
                let low = random.below(3) as u128;
                IpAddr::from(Ipv6Addr::from_bits(u128::from(near >> 3 | 1 << 61) << 64 | low))
            }
        };
        let rule = |random: &mut Random| {
            let ports = if random.chance(30) { Ports::one(443) } else { Ports::ANY };
            let side = Host::Address(address(random), None);
            let remote = Endpoint::from_parts(side, ports);
            let (prefix, protocol) =
                (random.pick(&prefixes), random.pick(&[Protocol::Any, Protocol::Udp]));
            let rule = NetworkRule::remote_network(
                Some(remote),
                prefix,
                None,
                0,
                protocol,
                Direction::Any,
            );
            FilterRule::new(rule.unwrap(), random.pick(&[Action::Drop, Action::FilterData]))
        };
        let rules: Vec<FilterRule> = (0..RULES).map(|_| rule(&mut random)).collect();
        let settings = FilterSettings::new(rules, Action::Allow);
        let flow = |random: &mut Random| {
            let remote = match settings.rules()[random.below(RULES)].network_rule().remote_side() {
                Some(side) => random.inside(side.net().unwrap()),
                None => unreachable!("each rule has a remote side"),
            };
            let protocol = random.pick(&[IpProtocol::TCP, IpProtocol::UDP]);
            Flow::new(protocol, Direction::Outbound)
                .with_remote_address(remote, None, random.pick(&[443, 80]))
                .with_local_address(address_of_this_machine(family), None, 50_000)
        };
        let flows: Vec<Flow<'_>> = (0..6000).map(|_| flow(&mut random)).collect();
        for vectors in Vectors::ALL {
            let builder = Matcher::builder().vectors(vectors);
            let matcher = builder.build(&settings).unwrap();
            assert_eq!(matcher.strategy(), Strategy::ExactMatch, "{family:?}");
            let within = builder.strategy(Strategy::Intervals).build(&settings).unwrap();
            assert!(matcher.size_bytes() < within.size_bytes());
            let mut batch = vec![within.decide(&flows[0]); flows.len()];
            assert_eq!(matcher.decide_batch(&flows, &mut batch), flows.len());
            for ((flow, of_batch), number) in flows.iter().zip(batch).zip(0..) {
                let expected = within.decide(flow);
                assert_eq!(matcher.decide(flow), expected, "{vectors:?}: {flow}");
                assert_eq!(of_batch, expected, "in a batch, {vectors:?}: {flow}");
                if number < 50 {
                    let expected = reference::decide(&settings, Precedence::FirstMatch, flow);
                    assert_eq!(of_batch, expected, "as the reference: {flow}");
                }
            }
        }
    }
}

fn address_of_this_machine(family: AddressFamily) -> IpAddr {
    let address = if family == V4 { "192.168.0.2" } else { "2001:db8::2" };
    address.parse().unwrap()
}

#[test]
fn many_rules_decide_as_the_reference_does() {
    for (seed, shape) in (1..).zip(&SHAPES) {
        let mut random = Random(seed);
        let settings = settings(&mut random, shape);
        let flows: Vec<Flow<'_>> = (0..300).map(|_| flow(&mut random, shape)).collect();
        agree(shape.name, &settings, &flows);
    }
}

/// Asserts that matchers of all widths of vectors that find rules by intervals decide the flows so, one by one and in a
/// batch.
fn agree_by_intervals(settings: &FilterSettings, flows: &[Flow<'_>], expected: &[Decision]) {
    for vectors in Vectors::ALL {
        let matcher = Matcher::builder().strategy(Strategy::Intervals).vectors(vectors);
        let matcher = matcher.build(settings).unwrap();
        let mut batch = vec![expected[0]; flows.len()];
        assert_eq!(matcher.decide_batch(flows, &mut batch), flows.len());
        for ((flow, expected), of_batch) in flows.iter().zip(expected).zip(batch) {
            assert_eq!(matcher.decide(flow), *expected, "{:?}: {flow}", matcher.vectors());
            assert_eq!(of_batch, *expected, "in a batch, {:?}: {flow}", matcher.vectors());
        }
    }
}

/// Asserts that every matcher decides the flows as the reference does, one by one and in batches.
fn agree(name: &str, settings: &FilterSettings, flows: &[Flow<'_>]) {
    for precedence in Precedence::ALL {
        let expected: Vec<Decision> =
            flows.iter().map(|f| reference::decide(settings, precedence, f)).collect();
        let decided = expected.iter().filter(|decision| decision.rule().is_some()).count();
        assert!(decided > 30, "{name}: {decided} flows match");
        for matcher in matchers(settings, precedence) {
            let of =
                format!("{name}, {precedence} {:?} {:?}", matcher.strategy(), matcher.vectors());
            let mut batch = expected.clone();
            batch.rotate_left(1);
            assert_eq!(matcher.decide_batch(flows, &mut batch), flows.len());
            // Also in calls of every length around those of the groups that are decided together.
            let (mut rest, mut lens, mut in_short) = (flows, (1..=65).cycle(), Vec::new());
            while let Some(len) = lens.next().filter(|_| !rest.is_empty()) {
                let (flows, others) = rest.split_at(rest.len().min(len));
                let mut decisions = vec![batch[0]; flows.len()];
                assert_eq!(matcher.decide_batch(flows, &mut decisions), flows.len());
                in_short.append(&mut decisions);
                rest = others;
            }
            assert_eq!(in_short, batch, "in short batches, {of}");
            for ((flow, expected), of_batch) in flows.iter().zip(&expected).zip(batch) {
                let shown = || Shown(settings, flow).to_string();
                let tail = |text: String| text.lines().rev().take(1).collect::<String>();
                assert_eq!(matcher.decide(flow), *expected, "{of}: {}", tail(shown()));
                assert_eq!(of_batch, *expected, "in a batch, {of}: {}", tail(shown()));
            }
        }
    }
}
