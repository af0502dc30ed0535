//! A routing table, for longest-prefix match.

use super::Random;
use flowsieve::AddressFamily;
use ipnet::IpNet;
use std::collections::HashSet;
use std::net::IpAddr;

/// Distinct networks, with prefix lengths about as the public routing table has them, in percent:
///
/// | IPv4 | /11-/12 | /13 | /14 | /15 | /16 | /17 | /18 | /19 | /20 | /21 | /22 | /23 | /24 |
/// |---|---|---|---|---|---|---|---|---|---|---|---|---|---|
/// | | 0.04 | 0.06 | 0.12 | 0.2 | 1.4 | 0.9 | 1.5 | 2.7 | 4.6 | 5.3 | 11.5 | 10.7 | 60.98 |
///
/// | IPv6 | /20-/28 | /29 | /32 | /33-/35 | /36 | /40 | /42 | /44 | /45-/47 | /48 |
/// |---|---|---|---|---|---|---|---|---|---|---|
/// | | 1 | 3 | 12 | 4 | 6 | 8 | 3 | 9 | 7 | 47 |
///
/// In the order of addresses. Half of those longer than
/// /19 or /35 lie within an earlier one, as parts that are announced by
/// themselves do.
pub(crate) fn table(family: AddressFamily, count: usize) -> Vec<IpNet> {
    drawn(family, count, |random| random.address(family))
}

/// The same for IPv6 networks of the blocks that the registries assign from, as those of the public routing table
/// are: a hundred or so of the first 16 bits lead to all of them.
pub(crate) fn assigned(count: usize) -> Vec<IpNet> {
    let blocks = ASSIGNED.map(|block| block.parse::<IpNet>().unwrap());
    drawn(AddressFamily::V6, count, |random| {
        let block = blocks[random.below(blocks.len())];
        random.inside(block)
    })
}

/// Networks of which each has an address drawn, or lies within an earlier one.
fn drawn(
    family: AddressFamily,
    count: usize,
    address: impl Fn(&mut Random) -> IpAddr,
) -> Vec<IpNet> {
    let mut random = Random(count as u64);
    let (shares, nests_from): (&[(u8, u8, usize)], u8) = match family {
        AddressFamily::V4 => (&IPV4, 20),
        AddressFamily::V6 => (&IPV6, 36),
    };
    let (mut seen, mut table, mut parents) = (HashSet::new(), Vec::new(), Vec::new());
    while table.len() < count {
        let mut share = random.below(10_000);
        let in_share = |(_, _, of): &&(u8, u8, usize)| {
            let is_in = share < *of;
            share = share.saturating_sub(*of);
            is_in
        };
        let (from, to, _) = shares.iter().find(in_share).unwrap();
        let bits = from + random.below(usize::from(to - from) + 1) as u8;
        let is_nested = bits >= nests_from && random.below(2) == 0 && !parents.is_empty();
        let address = match is_nested {
            true => {
                let parent = parents[random.below(parents.len())];
                random.inside(parent)
            }
            false => address(&mut random),
        };
        let net = IpNet::new(address, bits).unwrap().trunc();
        if seen.insert(net) {
            table.push(net);
            if bits < nests_from {
                parents.push(net);
            }
        }
    }
    table.sort_unstable();
    table
}

/// Addresses inside networks of the table, each network as likely as the others.
pub(crate) fn inside(table: &[IpNet], count: usize) -> Vec<IpAddr> {
    let mut random = Random(8);
    let address = |_| {
        let net = table[random.below(table.len())];
        random.inside(net)
    };
    (0..count).map(address).collect()
}

/// Addresses anywhere: for IPv6 among those that are announced from, 2000::/3.
pub(crate) fn uniform(family: AddressFamily, count: usize) -> Vec<IpAddr> {
    let mut random = Random(9);
    (0..count).map(|_| random.address(family)).collect()
}

/// Blocks that IANA has allocated to registries: large ones, and the first of all.
const ASSIGNED: [&str; 8] = [
    "2001::/16",
    "2400::/12",
    "2600::/12",
    "2630::/12",
    "2800::/12",
    "2a00::/12",
    "2a10::/12",
    "2c00::/12",
];

/// Prefix lengths from and to, and their share in hundredths of a percent.
const IPV4: [(u8, u8, usize); 13] = [
    (24, 24, 6098),
    (23, 23, 1070),
    (22, 22, 1150),
    (21, 21, 530),
    (20, 20, 460),
    (19, 19, 270),
    (18, 18, 150),
    (17, 17, 90),
    (16, 16, 140),
    (15, 15, 20),
    (14, 14, 12),
    (13, 13, 6),
    (11, 12, 4),
];

const IPV6: [(u8, u8, usize); 10] = [
    (48, 48, 4700),
    (32, 32, 1200),
    (44, 44, 900),
    (40, 40, 800),
    (45, 47, 700),
    (36, 36, 600),
    (33, 35, 400),
    (42, 42, 300),
    (29, 29, 300),
    (20, 28, 100),
];
