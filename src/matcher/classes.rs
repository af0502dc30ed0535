//! [`Classes`] of addresses: those with the same longest network among the networks of some rules.

use crate::matcher::direct::{self, Direct};
use crate::matcher::intervals::bounds;
use ipnet::IpNet;

/// The networks of one side, those that contain one before it; the first has class 1.
pub(super) struct Classes {
    nets: Vec<IpNet>,
    /// For each network, the class of the longest that contains it; 0 for none.
    pub(super) parents: Vec<u32>,
    /// For each network, the class after those of the networks within it.
    ends: Vec<u32>,
}

impl Classes {
    pub(super) fn new(nets: impl Iterator<Item = IpNet>) -> Classes {
        let mut nets: Vec<IpNet> = nets.collect();
        nets.sort_unstable();
        nets.dedup();
        let count = nets.len() as u32 + 1;
        let (mut parents, mut ends) = (Vec::with_capacity(nets.len()), vec![count; nets.len()]);
        let mut path: Vec<(u32, IpNet)> = Vec::new();
        for (number, net) in (1..).zip(&nets) {
            while let Some((last, _)) = path.pop_if(|(_, around)| !around.contains(net)) {
                if let Some(end) = ends.get_mut(last as usize - 1) {
                    *end = number;
                }
            }
            parents.push(path.last().map_or(0, |(number, _)| *number));
            path.push((number, *net));
        }
        Classes { nets, parents, ends }
    }

    /// Returns the networks, those that contain one before it.
    pub(super) fn nets(&self) -> &[IpNet] {
        &self.nets
    }

    /// Returns the number of classes, that of the addresses in no network included.
    pub(super) fn count(&self) -> usize {
        self.nets.len() + 1
    }

    /// Returns the class of a network.
    pub(super) fn number(&self, net: IpNet) -> u32 {
        self.nets.binary_search(&net).map_or(0, |index| index as u32 + 1)
    }

    /// Returns the class after those of the networks within that of a class.
    pub(super) fn end(&self, number: u32) -> usize {
        self.ends.get((number as usize).wrapping_sub(1)).map_or(0, |end| *end as usize)
    }

    /// Returns the map from addresses to classes; none, where [`direct_entries`](Classes::direct_entries) is.
    pub(super) fn to_direct(&self) -> Option<Direct> {
        let mut builder = direct::Builder::new(0, self.direct_entries()?);
        for (class, net) in (1..).zip(&self.nets) {
            let (first, last) = bounds_v4(*net);
            builder.set(first, last, class)?;
        }
        Some(builder.finish())
    }

    /// Returns how many entries that map has after those of the first step; none, if it needs more numbers, of
    /// classes or of blocks, than there are.
    pub(super) fn direct_entries(&self) -> Option<usize> {
        let blocks = direct::BITS_BEFORE.map(|bits| {
            let nets = self.nets.iter().filter(|net| net.prefix_len() > bits);
            // Those of one block follow each other.
            let mut block = None;
            let is_new = |net: &&IpNet| {
                let own = bounds_v4(**net).0 >> (32 - bits);
                block.replace(own) != Some(own)
            };
            nets.filter(is_new).count()
        });
        let blocks: usize = blocks.iter().sum();
        let most = usize::from(Direct::MAX) + 1;
        (self.count() <= most && blocks <= most).then_some(blocks * direct::WIDTH)
    }
}

/// Returns the first and the last address of an IPv4 network.
fn bounds_v4(net: IpNet) -> (u32, u32) {
    let (first, last) = bounds(net);
    ((first >> 96) as u32, (last >> 96) as u32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is missing")]
mod tests {
    use super::*;
    use crate::matcher::intervals::GROUP;
    use crate::matcher::lanes::Scalar;
    use std::net::IpAddr;

    #[test]
    fn a_class_is_that_of_the_longest_network() {
        let nets = [
            "10.0.0.0/8",
            "10.0.0.0/16",
            "10.0.0.0/17",
            "10.0.1.0/24",
            "10.0.1.0/25",
            "10.0.1.7/32",
            "10.0.2.9/32",
            "10.255.255.255/32",
            "11.0.0.0/15",
            "255.255.255.0/24",
            "128.0.0.0/1",
        ];
        let nets: Vec<IpNet> = nets.map(|net| net.parse().unwrap()).into();
        for count in 0..=nets.len() {
            let nets = &nets[..count];
            let classes = Classes::new(nets.iter().copied());
            let map = classes.to_direct().unwrap();
            assert_eq!(map.size_bytes(), 2 * ((1 << 16) + classes.direct_entries().unwrap()));
            let edges = nets.iter().flat_map(|net| {
                let (first, last) = bounds(*net);
                [first, last].map(|edge| (edge >> 96) as u32)
            });
            let around = |edge: u32| [edge.wrapping_sub(1), edge, edge.wrapping_add(1)];
            let mut addresses: Vec<u32> = edges.chain([0]).flat_map(around).collect();
            addresses.resize(addresses.len().next_multiple_of(GROUP), 0x0a00_0105);
            for group in addresses.as_chunks::<GROUP>().0 {
                let found = map.gather(Scalar, group);
                for (address, found) in group.iter().zip(found) {
                    let holds = |net: &&IpNet| net.contains(&IpAddr::from(address.to_be_bytes()));
                    let longest = nets.iter().filter(holds).max_by_key(|net| net.prefix_len());
                    let expected = longest.map_or(0, |net| classes.number(*net));
                    assert_eq!((map.get(*address), found), (expected, expected), "{address:#x}");
                }
            }
        }
    }

    #[test]
    fn a_map_of_more_classes_than_there_are_numbers_is_not_made() {
        let classes = |count: u32| {
            let net = |number: u32| IpNet::from(IpAddr::from((number << 16).to_be_bytes()));
            Classes::new((1..=count).map(net))
        };
        // Of each network two blocks.
        assert!(classes(1 << 14).to_direct().is_some());
        assert!(classes((1 << 14) + 1).to_direct().is_none());
    }
}
