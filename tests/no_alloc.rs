//! Deciding allocates nothing, whatever the flow and the strategy; and a matcher knows its size.

#![allow(unsafe_code, reason = "a global allocator that counts can only be written so")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "settings that cannot be made are a failed test"
)]

use flowsieve::*;
use ipnet::IpNet;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system allocator with its arguments unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        let live = LIVE_BYTES.with(|bytes| {
            bytes.set(bytes.get() + layout.size() as isize);
            bytes.get()
        });
        PEAK_BYTES.with(|peak| peak.set(peak.get().max(live)));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.with(|bytes| bytes.set(bytes.get() - layout.size() as isize));
        // SAFETY: `pointer` came from `alloc` above, and so from the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    run();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn the_counter_sees_an_allocation() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn decide_allocates_nothing() {
    for settings in [small(), large()] {
        for precedence in Precedence::ALL {
            for strategy in Strategy::ALL {
                let builder = Matcher::builder().precedence(precedence).strategy(strategy);
                let matcher = builder.build(&settings).unwrap();
                let flows = flows();
                let mut decisions = vec![matcher.decide(&flows[0]); flows.len()];
                let batch = allocations(|| {
                    assert_eq!(matcher.decide_batch(&flows, &mut decisions), flows.len());
                });
                assert_eq!(batch, 0, "{precedence} {strategy:?}");
                for (flow, decision) in flows.iter().zip(&decisions) {
                    let single = allocations(|| assert_eq!(matcher.decide(flow), *decision));
                    assert_eq!(single, 0, "{precedence} {strategy:?}: {flow}");
                }
                assert!(decisions.iter().any(|decision| decision.rule().is_some()));
                assert!(decisions.iter().any(Decision::pending));
            }
        }
    }
}

#[test]
fn a_live_matcher_allocates_nothing_after_the_first_decision_of_a_thread() {
    for precedence in Precedence::ALL {
        let builder = LiveMatcher::builder().precedence(precedence).rebuild_in_background(false);
        let live = builder.build(large()).unwrap();
        let flows = flows();
        live.decide(&flows[0]);
        let decide_all = || flows.iter().filter(|f| live.decide(f).decision().pending()).count();
        assert_eq!(allocations(|| assert!(decide_all() > 0)), 0, "{precedence}");
        let rules = large().into_rules();
        for (index, rule) in rules.into_iter().enumerate().step_by(7) {
            live.remove(index).unwrap();
            live.insert(index / 2, rule).unwrap();
        }
        assert_eq!(allocations(|| assert!(decide_all() > 0)), 0, "{precedence}, edited");
    }
}

#[test]
fn a_flow_from_addresses_and_a_borrowed_name_allocates_nothing() {
    let (remote, local) = ("2001:db8::1".parse().unwrap(), "::".parse().unwrap());
    let name = String::from("www.example.com");
    let count = allocations(|| {
        let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
            .with_remote_address(remote, None, 443)
            .with_local_address(local, None, 0)
            .with_remote_hostname(name.as_str());
        std::hint::black_box(&flow);
    });
    assert_eq!(count, 0);
}

#[test]
fn a_frozen_table_allocates_nothing_and_knows_its_size() {
    let mut table = RuleTable::new();
    for copies in [0u32, 1, 2, 3000, 70_000] {
        for index in 0..copies {
            let v4 = std::net::Ipv4Addr::from(index.wrapping_mul(0x9e37_79b9));
            let v6 = std::net::Ipv6Addr::from(u128::from(index) << 80 | 0x2001 << 112);
            table.insert(IpNet::new(v4.into(), 16 + (index % 17) as u8).unwrap(), index);
            table.insert(IpNet::new(v6.into(), 48).unwrap(), index);
        }
        let table = table.clone();
        let before = LIVE_BYTES.with(Cell::get) - heap_bytes(&table);
        let frozen = FrozenTable::new(table).unwrap();
        let held = LIVE_BYTES.with(Cell::get) - before + size_of_val(&frozen) as isize;
        assert_eq!(frozen.size_bytes() as isize, held, "{copies}");
        let addresses = ["10.1.2.3", "255.255.255.255", "2001:0:7::1", "::"];
        let count = allocations(|| {
            for address in addresses {
                std::hint::black_box(frozen.longest_match(address.parse().unwrap()));
            }
        });
        assert_eq!(count, 0, "{copies}");
    }
}

/// Returns what a table holds, in bytes on the heap.
fn heap_bytes<T: Clone>(table: &RuleTable<T>) -> isize {
    let before = LIVE_BYTES.with(Cell::get);
    let copy = std::hint::black_box(table.clone());
    let held = LIVE_BYTES.with(Cell::get) - before;
    drop(copy);
    held
}

#[test]
fn size_bytes_is_what_was_allocated() {
    for settings in [FilterSettings::default(), small(), large(), settings(300), pairs(700, 9)] {
        for precedence in Precedence::ALL {
            for strategy in Strategy::ALL {
                let builder = Matcher::builder().precedence(precedence).strategy(strategy);
                let before = LIVE_BYTES.with(Cell::get);
                let matcher = builder.build(&settings).unwrap();
                let held = LIVE_BYTES.with(Cell::get) - before + size_of::<Matcher>() as isize;
                let rules = settings.rules().len();
                assert_eq!(
                    matcher.size_bytes() as isize,
                    held,
                    "{rules} {precedence} {strategy:?}"
                );
            }
        }
    }
}

#[test]
fn a_matcher_is_compiled_within_its_budget_or_not_at_all() {
    for settings in [small(), large(), settings(300), block_list(20_000)] {
        let rules = settings.rules().len();
        let size = Matcher::new(&settings).unwrap().size_bytes();
        // The table of host names differs a little from one time to the next.
        let (low, high) = (size - size / 8, size + size / 8);
        let fits = Matcher::builder().max_bytes(high).build(&settings).unwrap();
        assert!(fits.size_bytes() <= high);
        for limit in [low, size / 2, 100, 0] {
            let error = Matcher::builder().max_bytes(limit).build(&settings).unwrap_err();
            let ErrorKind::MatcherTooLarge { bytes, limit: told } = *error.kind() else {
                panic!("{error}")
            };
            assert_eq!(told, limit);
            assert!((limit + 1..=high).contains(&bytes), "{bytes} of {size}");
        }
        // What compiling needs beside.
        let before = LIVE_BYTES.with(Cell::get);
        PEAK_BYTES.with(|peak| peak.set(before));
        drop(Matcher::new(&settings).unwrap());
        let peak = (PEAK_BYTES.with(Cell::get) - before) as usize;
        assert!(peak <= 3 * size + 300 * rules, "{peak} for {size} of {rules}");
    }
}

#[test]
fn rules_are_crossed_as_the_budget_leaves_room() {
    // Phases are for up to 2,048 rules.
    let (many, few) = (pairs(3000, 9), pairs(1500, 7));
    for (settings, ways) in [
        (many, [Crossing::Pairs, Crossing::Off].as_slice()),
        (few, &[Crossing::Phases, Crossing::Pairs, Crossing::Off]),
    ] {
        let size = |builder: MatcherBuilder| {
            let before = LIVE_BYTES.with(Cell::get);
            let matcher = builder.build(&settings).unwrap();
            let held = LIVE_BYTES.with(Cell::get) - before + size_of::<Matcher>() as isize;
            assert_eq!(matcher.size_bytes() as isize, held, "{builder:?}");
            matcher.size_bytes()
        };
        let sizes: Vec<usize> =
            ways.iter().map(|way| size(Matcher::builder().crossing(*way))).collect();
        assert!(sizes.is_sorted_by(|one, next| one > next), "{sizes:?} bytes for {ways:?}");
        assert_eq!(size(Matcher::builder()), sizes[0]);
        for (way, size_of_way) in ways.iter().zip(&sizes) {
            let builder = Matcher::builder().crossing(*way);
            let error = builder.max_bytes(size_of_way - 1).build(&settings).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::MatcherTooLarge { .. }), "{error}");
            assert_eq!(size(Matcher::builder().max_bytes(*size_of_way)), *size_of_way);
        }
        for next in sizes.windows(2) {
            assert_eq!(size(Matcher::builder().max_bytes(next[0] - 1)), next[1]);
        }
        let least = sizes.last().unwrap();
        let error = Matcher::builder().max_bytes(least - 1).build(&settings).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::MatcherTooLarge { .. }), "{error}");
        let before = LIVE_BYTES.with(Cell::get);
        PEAK_BYTES.with(|peak| peak.set(before));
        drop(Matcher::new(&settings).unwrap());
        let peak = (PEAK_BYTES.with(Cell::get) - before) as usize;
        let most = 3 * sizes[0] + 300 * settings.rules().len();
        assert!(peak <= most, "{peak} for {sizes:?}");
    }
}

#[test]
fn buckets_are_left_out_where_the_budget_has_no_room() {
    let settings = block_list(1000);
    let matcher = Matcher::new(&settings).unwrap();
    if matcher.vectors() < Vectors::Bits256 {
        assert_eq!(matcher.strategy(), Strategy::Intervals);
        return;
    }
    assert_eq!(matcher.strategy(), Strategy::Buckets);
    let builder = Matcher::builder().max_bytes(matcher.size_bytes() - 1);
    let smaller = builder.build(&settings).unwrap();
    assert_eq!(smaller.strategy(), Strategy::Intervals);
    assert!(smaller.size_bytes() < matcher.size_bytes());
    let error = builder.strategy(Strategy::Buckets).build(&settings).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::MatcherTooLarge { .. }), "{error}");
}

#[test]
fn what_a_small_budget_has_no_room_for_is_not_begun() {
    // Whether they are crossed or not; the first steps of what finds their classes would take 256 KiB alone.
    for (count, bits) in [(140, 7), (300, 7), (600, 5)] {
        let settings = pairs(count, bits);
        let build = |builder: MatcherBuilder| builder.build(&settings).unwrap().size_bytes();
        let size = build(Matcher::builder().crossing(Crossing::Off));
        for limit in [size, 2 * size] {
            let before = LIVE_BYTES.with(Cell::get);
            PEAK_BYTES.with(|peak| peak.set(before));
            assert!(build(Matcher::builder().max_bytes(limit)) <= limit);
            let peak = (PEAK_BYTES.with(Cell::get) - before) as usize;
            assert!(peak <= 3 * size + 300 * count as usize, "{peak} for {size} of {count}");
        }
    }
}

#[test]
fn what_compiling_needs_beside_is_bounded_for_rules_that_nothing_is_common_to() {
    for (count, ports, sides) in [
        (300, 300, 1023),
        (1000, 60, 1023),
        (2000, 2000, 1023),
        (2048, 700, 1023),
        (2048, 2000, 3),
        (2048, 90, 15),
        (2048, 2000, 1),
        (500, 500, 1),
        (2048, 45, 31),
    ] {
        let rule = |index: u32| {
            let mixed = index.wrapping_mul(0x9e37_79b9);
            let side = |bits: u32, port: u32| {
                let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 | (bits & sides) << 3);
                let first = (port % ports * 31 + 1) as u16;
                let ports = Ports::range(first, first + (port % 29) as u16 * 90).unwrap();
                Some(Endpoint::from_parts(Host::Address(address.into(), None), ports))
            };
            let (remote, local) = (side(mixed >> 22, mixed >> 7), side(mixed >> 4, index));
            let prefix = |bits: u32| [32, 30, 29, 24, 20, 8][bits as usize % 6];
            let (remote_prefix, local_prefix) = (prefix(mixed >> 13), prefix(mixed >> 17));
            let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Any][index as usize % 3];
            let direction = [Direction::Any, Direction::Outbound][index as usize % 2];
            NetworkRule::remote_network(
                remote,
                remote_prefix,
                local,
                local_prefix,
                protocol,
                direction,
            )
        };
        let rules = (0..count).map(|index| FilterRule::new(rule(index).unwrap(), Action::Drop));
        let settings = FilterSettings::new(rules.collect(), Action::Allow);
        let before = LIVE_BYTES.with(Cell::get);
        PEAK_BYTES.with(|peak| peak.set(before));
        let size = Matcher::new(&settings).unwrap().size_bytes();
        let peak = (PEAK_BYTES.with(Cell::get) - before) as usize;
        assert!(peak <= 3 * size + 300 * count as usize, "{peak} for {size} of {count}");
    }
}

/// Rules of two sides, of some networks of so many bits of a remote address each.
fn pairs(count: u32, bits: u32) -> FilterSettings {
    let rule = |index: u32| {
        let mixed = index.wrapping_mul(0x9e37_79b9);
        let side = |bits: u32, port: u16| {
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 | bits << 4);
            Endpoint::from_parts(Host::Address(address.into(), None), Ports::one(port))
        };
        let remote = side(mixed >> (32 - bits), (mixed & 7) as u16);
        let local = side(mixed >> 3 & 0xff >> (9 - bits), 0);
        let (remote_prefix, local_prefix) = (28 - u64::from(index % 3), 28 - u64::from(index % 5));
        NetworkRule::remote_network(
            Some(remote),
            remote_prefix,
            Some(local),
            local_prefix,
            Protocol::Tcp,
            Direction::Any,
        )
    };
    let rules = (0..count).map(|index| FilterRule::new(rule(index).unwrap(), Action::Drop));
    FilterSettings::new(rules.collect(), Action::Allow)
}

/// Hosts and networks, nothing else.
fn block_list(count: u32) -> FilterSettings {
    let rule = |index: u32| {
        let address = index.wrapping_mul(0x9e37_79b9);
        let address = std::net::IpAddr::from(std::net::Ipv4Addr::from_bits(address));
        let prefix = if index.is_multiple_of(3) { 24 } else { 32 };
        let rule = NetworkRule::destination_network(address.into(), prefix, Protocol::Any);
        FilterRule::new(rule.unwrap(), Action::Drop)
    };
    FilterSettings::new((0..count).map(rule).collect(), Action::Allow)
}

fn small() -> FilterSettings {
    settings(1)
}

fn large() -> FilterSettings {
    settings(40)
}

/// Nested networks of both families, many rules on one network, local sides, any host, host rules, zones.
fn settings(copies: u16) -> FilterSettings {
    let mut rules = Vec::new();
    let mut add = |rule: Result<NetworkRule, Error>| {
        let action = Action::ALL[rules.len() % 3];
        rules.push(FilterRule::new(rule.unwrap(), action));
    };
    for port in 1..=copies {
        let endpoint = |host: &str| Endpoint::new(host, &port.to_string()).unwrap();
        for (host, prefixes) in [("10.1.2.3", [8, 16, 32]), ("2001:db8::1", [32, 64, 128])] {
            for prefix in prefixes {
                add(NetworkRule::destination_network(endpoint(host), prefix, Protocol::Tcp));
            }
        }
        for host in ["example.com", "a.b.example.com", "printer"] {
            add(NetworkRule::destination_host(endpoint(host), Protocol::Any));
        }
        let local = Some(endpoint("192.168.1.0"));
        add(NetworkRule::remote_network(None, 0, local, 24, Protocol::Any, Direction::Any));
        // Of one port the first rule differs by the protocol.
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let any_host = Some(endpoint("0.0.0.0"));
            add(NetworkRule::remote_network(any_host, 0, None, 0, protocol, Direction::Outbound));
        }
        let zoned = endpoint("fe80::1%en0");
        add(NetworkRule::destination_network(zoned, 128, Protocol::Any));
    }
    FilterSettings::new(rules, Action::Allow)
}

fn flows() -> Vec<Flow<'static>> {
    let remotes = ["10.1.2.3:1", "10.9.9.9:1", "[2001:db8::1]:1", "[fe80::1%en0]:1", "1.1.1.1:9"];
    let locals = ["0.0.0.0:0", "192.168.1.7:1", "[::]:0"];
    let names = [None, Some("www.Example.com."), Some("printer"), Some("a.a.a.a.a.a.a.a")];
    let mut flows = vec![Flow::new(IpProtocol::UDP, Direction::Any)];
    for remote in remotes {
        for local in locals {
            for name in names {
                let flow = Flow::new(IpProtocol::TCP, Direction::Outbound);
                let flow = flow.with_remote(remote.parse().unwrap()).unwrap();
                let flow = flow.with_local(local.parse().unwrap()).unwrap();
                flows.push(match name {
                    Some(name) => flow.with_remote_hostname(name),
                    None => flow,
                });
            }
        }
    }
    let long = "x.".repeat(2000) + "example.com";
    flows.push(Flow::new(IpProtocol::TCP, Direction::Outbound).with_remote_hostname(long));
    flows
}
