//! What [`flowsieve::Matcher`] is compared with: simpler ways to find the first rule that matches.
//!
//! They know addresses, ports, the protocols TCP and UDP and the direction, of one address family;
//! nothing of host names, zone ids, loopback and what is not known yet. A flow is unpacked for them
//! beforehand.

#![allow(dead_code, unused_imports, reason = "each benchmark uses a part")]

mod cover_walk;
mod linear_scan;

pub(crate) use cover_walk::CoverWalk;
pub(crate) use linear_scan::LinearScan;

use flowsieve::*;
use std::fmt::Debug;
use std::net::IpAddr;
use std::ops::BitAnd;

/// The bits of an address of one family.
pub(crate) trait Bits: Copy + PartialEq + BitAnd<Output = Self> {
    type Net: prefix_trie::Prefix + Debug;
    fn of(address: IpAddr) -> Self;
    fn mask(bits: u8) -> Self;
    fn net(self, bits: u8) -> Self::Net;
    /// The network of this address alone.
    fn host(self) -> Self::Net;
}

impl Bits for u32 {
    type Net = ipnet::Ipv4Net;

    fn of(address: IpAddr) -> u32 {
        match address {
            IpAddr::V4(address) => address.to_bits(),
            IpAddr::V6(address) => panic!("{address} among IPv4"),
        }
    }

    fn mask(bits: u8) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
    }

    fn net(self, bits: u8) -> ipnet::Ipv4Net {
        ipnet::Ipv4Net::new_assert(self.into(), bits)
    }

    fn host(self) -> ipnet::Ipv4Net {
        ipnet::Ipv4Net::from(std::net::Ipv4Addr::from_bits(self))
    }
}

impl Bits for u128 {
    type Net = ipnet::Ipv6Net;

    fn of(address: IpAddr) -> u128 {
        match address {
            IpAddr::V6(address) => address.to_bits(),
            IpAddr::V4(address) => panic!("{address} among IPv6"),
        }
    }

    fn mask(bits: u8) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
    }

    fn net(self, bits: u8) -> ipnet::Ipv6Net {
        ipnet::Ipv6Net::new_assert(self.into(), bits)
    }

    fn host(self) -> ipnet::Ipv6Net {
        ipnet::Ipv6Net::from(std::net::Ipv6Addr::from_bits(self))
    }
}

/// A flow, unpacked.
pub(crate) struct Key<B> {
    remote: B,
    local: B,
    remote_port: u16,
    local_port: u16,
    /// The bit of its protocol and direction.
    kind: u8,
}

impl<B: Bits> Key<B> {
    pub(crate) fn new(flow: &Flow<'_>) -> Key<B> {
        let end = |end: Option<FlowEndpoint>| {
            let end = end.unwrap();
            (B::of(end.folded_address().unwrap()), end.port())
        };
        let ((remote, remote_port), (local, local_port)) = (end(flow.remote()), end(flow.local()));
        let is_kind = |kind: &(IpProtocol, Direction)| *kind == (flow.protocol(), flow.direction());
        let kind = 1 << KINDS.iter().position(is_kind).unwrap();
        Key { remote, local, remote_port, local_port, kind }
    }
}

/// A rule, packed.
#[derive(Clone, Copy)]
struct PackedRule<B> {
    remote: B,
    remote_mask: B,
    local: B,
    local_mask: B,
    remote_ports: (u16, u16),
    local_ports: (u16, u16),
    /// The bits of its protocols and directions.
    kinds: u8,
}

impl<B: Bits> PackedRule<B> {
    fn new(rule: &NetworkRule) -> PackedRule<B> {
        let side = |side: &Network| {
            let mask = B::mask(side.compared_bits());
            let bits = side.net().map_or(mask, |net| B::of(net.network()));
            (bits & mask, mask, (side.ports().first(), side.ports().last()))
        };
        let (remote, remote_mask, remote_ports) = side(rule.remote_side().unwrap());
        let (local, local_mask, local_ports) = side(rule.local());
        let accepts = |(protocol, direction): &(IpProtocol, Direction)| {
            rule.match_protocol().matches(*protocol) && rule.match_direction().matches(*direction)
        };
        let bits = KINDS.iter().enumerate().map(|(bit, kind)| u8::from(accepts(kind)) << bit);
        let kinds = bits.sum();
        PackedRule { remote, remote_mask, local, local_mask, remote_ports, local_ports, kinds }
    }

    #[inline(always)]
    fn matches(&self, key: &Key<B>) -> bool {
        let is_in = |port: u16, (first, last): (u16, u16)| first <= port && port <= last;
        key.remote & self.remote_mask == self.remote
            && self.kinds & key.kind != 0
            && is_in(key.remote_port, self.remote_ports)
            && key.local & self.local_mask == self.local
            && is_in(key.local_port, self.local_ports)
    }
}

/// Protocols and directions of flows; each has a bit.
const KINDS: [(IpProtocol, Direction); 4] = [
    (IpProtocol::TCP, Direction::Inbound),
    (IpProtocol::TCP, Direction::Outbound),
    (IpProtocol::UDP, Direction::Inbound),
    (IpProtocol::UDP, Direction::Outbound),
];
