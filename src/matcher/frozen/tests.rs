//! Tables of each shape that the indexes treat in a way of its own, against a scan of all networks
//! and against [`RuleTable`].

use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Numbers that differ by their seed, and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        let step = 6_364_136_223_846_793_005;
        self.0 = self.0.wrapping_mul(step).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn v4(bits: u32, prefix_len: u8) -> IpNet {
    IpNet::new(Ipv4Addr::from_bits(bits).into(), prefix_len).expect("a prefix length").trunc()
}

fn v6(bits: u128, prefix_len: u8) -> IpNet {
    IpNet::new(Ipv6Addr::from_bits(bits).into(), prefix_len).expect("a prefix length").trunc()
}

/// The first and the last address of a network, the one before and the one after, and those at the
/// ends of all.
fn edges(net: IpNet) -> Vec<IpAddr> {
    match net {
        IpNet::V4(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            let middle = first.midpoint(last);
            let all = [first, last, middle, first.wrapping_sub(1), last.wrapping_add(1)];
            all.map(|bits| Ipv4Addr::from_bits(bits).into()).to_vec()
        }
        IpNet::V6(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            let middle = first.midpoint(last);
            let all = [first, last, middle, first.wrapping_sub(1), last.wrapping_add(1)];
            all.map(|bits| Ipv6Addr::from_bits(bits).into()).to_vec()
        }
    }
}

/// Compares the answers on the edges of all networks with those of the table, and some with a scan.
fn check(nets: &[IpNet], values_of: impl Fn(usize) -> usize) -> FrozenTable<usize> {
    let mut table = RuleTable::new();
    for (index, net) in nets.iter().enumerate() {
        (0..values_of(index)).for_each(|value| table.insert(*net, index * 10 + value));
    }
    let mut random = Random(nets.len() as u64);
    let mut addresses: Vec<IpAddr> = nets.iter().flat_map(|net| edges(*net)).collect();
    for _ in 0..200 {
        let bits = random.below(1 << 31) as u32 * 2 + random.below(2) as u32;
        addresses.push(Ipv4Addr::from_bits(bits).into());
        addresses.push(Ipv6Addr::from_bits(u128::from(bits) << 96 | 1).into());
        addresses.push(Ipv4Addr::from_bits(bits).to_ipv6_mapped().into());
    }
    // As many as take a moment.
    for address in addresses.iter().step_by((addresses.len() * nets.len() / 500_000).max(1)) {
        let holding = table.iter().filter(|(net, _)| net.contains(address));
        let longest = holding.max_by_key(|(net, _)| net.prefix_len());
        assert_eq!(table.longest_match(*address), longest, "{address}");
    }
    let mut frozen = FrozenTable::new(table.clone()).expect("a table within the limit");
    for vectors in Vectors::ALL {
        frozen = FrozenTable::with_vectors(table.clone(), vectors).expect("within the limit");
        assert!(frozen.vectors() <= vectors);
        assert!(frozen.iter().eq(table.iter()), "{vectors:?}");
        assert_eq!(frozen.len(), table.len());
        assert_eq!(frozen.is_empty(), table.is_empty());
        assert_eq!(frozen.network_count(), table.network_count());
        for address in &addresses {
            let (found, expected) = (frozen.longest_match(*address), table.longest_match(*address));
            assert_eq!(found, expected, "{address} by {vectors:?}");
        }
    }
    frozen
}

fn one(_: usize) -> usize {
    1
}

#[test]
fn an_empty_table_has_no_match() {
    let frozen = check(&[], one);
    assert!(frozen.is_empty());
    assert_eq!(frozen.size_bytes(), size_of::<FrozenTable<usize>>());
}

#[test]
fn default_routes_hold_every_address_of_their_family() {
    check(&[v4(0, 0)], one);
    check(&[v6(0, 0)], one);
    check(&[v4(0, 0), v6(0, 0)], |index| index + 1);
}

#[test]
fn networks_nested_at_every_length_are_told_apart() {
    for bits in [0, u32::MAX, 0xaaaa_aaaa, 0x0a01_0203] {
        let nets: Vec<IpNet> = (0..=32).map(|len| v4(bits, len)).collect();
        check(&nets, one);
        check(&nets, |index| index % 3 + 1);
    }
    for bits in [0, u128::MAX, 0x2001_0db8_aaaa_5555_aaaa_5555_aaaa_5555] {
        let nets: Vec<IpNet> = (0..=128).map(|len| v6(bits, len)).collect();
        check(&nets, one);
        check(&nets, |index| index % 3 + 1);
    }
}

#[test]
fn few_networks_of_any_length_are_compared_with_their_ends() {
    let mut random = Random(1);
    for count in [1, 2, 10, 60] {
        let mut nets = Vec::new();
        for _ in 0..count {
            let bits = random.below(1 << 31) as u32 * 2;
            nets.push(v4(bits, random.below(33) as u8));
            nets.push(v6(u128::from(bits) << 96 | u128::from(bits) << 40, random.below(129) as u8));
        }
        let frozen = check(&nets, |index| index % 2 + 1);
        assert!(frozen.v4.kinds().0 == 0, "no blocks for {count}");
    }
}

#[test]
fn many_ipv4_networks_in_few_places_are_found_by_blocks() {
    let mut random = Random(2);
    let mut nets = vec![v4(0, 0), v4(0x0a00_0000, 7), v4(0x0a05_0000, 16)];
    for first in 0..20 {
        for _ in 0..200 {
            let bits = 0x0a00_0000 | first << 16 | (random.below(1 << 16) as u32);
            nets.push(v4(bits, 17 + random.below(8) as u8));
        }
    }
    for values_of in [one, |index| index % 3 + 1] {
        let (blocks, links, unfolded) = check(&nets, values_of).v4.kinds();
        assert!((20..=24).contains(&blocks) && links == 0 && !unfolded, "{blocks} {links}");
    }
}

#[test]
fn what_a_block_does_not_say_is_found_by_its_link() {
    let mut random = Random(3);
    // Longer than /24; and more networks than a code can tell.
    let mut nets = vec![v4(0x0a01_8000, 17)];
    for index in 0..400u32 {
        nets.push(v4(0x0a01_0000 | (random.below(1 << 16) as u32), 25 + (index % 8) as u8));
        nets.push(v4(0x0a02_0000 | index << 8 & 0xff00, if index < 256 { 24 } else { 23 }));
        nets.push(v4(0x0a02_0000 | (index % 128) << 9, 23));
        nets.push(v4(0x0a02_0000 | (index % 64) << 10, 22));
    }
    let (blocks, links, _) = check(&nets, one).v4.kinds();
    assert_eq!((blocks, links), (2, 2));
}

#[test]
fn a_block_takes_every_number_of_runs() {
    // On other processors, where an emulator may run it, the few, the most, and those about the end of a line.
    let is_native = cfg!(target_arch = "x86_64");
    let tells = |count: &u32| is_native || *count <= 40 || *count % 16 <= 1 || *count > 250;
    for count in (1..=256u32).filter(tells) {
        let nets: Vec<IpNet> = (0..count).map(|index| v4(0x0a01_0000 | index << 8, 24)).collect();
        let crowd = (0..64).map(|index| v4(0x0a02_0000 | index << 9, 24));
        let frozen = check(&nets.into_iter().chain(crowd).collect::<Vec<_>>(), one);
        assert_eq!(frozen.v4.kinds().0, 2, "{count}");
    }
}

#[test]
fn a_table_of_all_first_bits_takes_the_place_of_many_runs() {
    let mut nets = vec![v4(0x4000_0000, 3), v4(0x4000_0000, 16)];
    for first in (0..1 << 16).step_by(4) {
        let count = if first % 64 == 0 { 40 } else { 1 };
        nets.extend((0..count).map(|index| v4(first << 16 | index << 9, 24)));
    }
    let (_, links, unfolded) = check(&nets, one).v4.kinds();
    assert!(links == 0 && unfolded);
    nets.push(v4(0x4004_0080, 25));
    let (_, links, unfolded) = check(&nets, |index| index % 2 + 1).v4.kinds();
    assert!(links == 1 && unfolded);
}

#[test]
fn what_contains_a_block_is_told_from_what_is_in_it_wherever_that_is() {
    // On other processors, where an emulator may run it, one of the two.
    let wide_shares: &[u64] = if cfg!(target_arch = "x86_64") { &[0, 2] } else { &[0] };
    for &wide_share in wide_shares {
        let mut random = Random(6);
        let mut nets = vec![v4(0x2000_0000, 3), v4(0x4000_0000, 3)];
        for first in (0..1 << 16).step_by(3) {
            // A table pays where some blocks are crowded.
            let crowd = if first % 64 == 0 { 60 } else { 0 };
            for _ in 0..=random.below(4) + crowd {
                let bits = first << 16 | random.below(1 << 16) as u32;
                let is_wide = crowd == 0 && random.below(3) < wide_share;
                let prefix_len = if is_wide { 17 } else { 20 + random.below(5) as u8 };
                nets.push(v4(bits, prefix_len));
            }
        }
        let frozen = check(&nets, one);
        let (_, links, unfolded) = frozen.v4.kinds();
        assert!(links == 0 && unfolded);
        // It does not where networks fill their blocks.
        assert_eq!(frozen.v4.has_parts(), wide_share == 0);
    }
}

#[test]
fn every_step_of_ipv6_takes_few_and_many_networks() {
    for count in [20, 200, 2000] {
        let mut random = Random(count);
        let mut nets = vec![v6(0x2001 << 112, 16)];
        for shift in [96, 80, 64, 0] {
            for _ in 0..count {
                let above = 0x2001_0db8_0001_0001u128 << 64 & !((1 << (shift + 16)) - 1);
                let bits = above | u128::from(random.below(1 << 16)) << shift;
                nets.push(v6(bits, 128 - shift as u8));
                nets.push(v6(bits, 128 - shift as u8 - 1 - random.below(5) as u8));
            }
        }
        let (seconds, halves) = check(&nets, one).v6.kinds();
        assert_eq!(seconds > 0, count >= 200, "{count}");
        assert_eq!(halves > 0, count >= 2000, "{count}");
    }
}

#[test]
fn more_values_than_the_limit_are_refused() {
    let table =
        || -> RuleTable<u8> { [v4(0, 8), v4(0, 8), v6(0, 8)].into_iter().zip(0..).collect() };
    assert!(FrozenTable::up_to(3, table(), Vectors::Bits512).is_ok());
    let error = FrozenTable::up_to(2, table(), Vectors::Bits512).expect_err("too many");
    assert_eq!(error.kind(), &ErrorKind::TooManyRules { count: 3, limit: 2 });
}
