//! [`Random`]: numbers for the settings and flows of benchmarks and of large tests.

use flowsieve::{AddressFamily, Ports};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// SplitMix64, from a seed: the same numbers in every run.
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number less than `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of the elements.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Puts the elements in another order, each equally likely.
    pub fn shuffle<T>(&mut self, elements: &mut [T]) {
        for last in (1..elements.len()).rev() {
            elements.swap(last, self.below(last + 1));
        }
    }

    /// Whether something happens that does so often, in percent.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A port from 1 to 65535.
    pub fn port(&mut self) -> u16 {
        self.below(65535) as u16 + 1
    }

    /// A port of `ports`.
    pub fn port_of(&mut self, ports: Ports) -> u16 {
        let first = ports.first().max(1);
        first + self.below(usize::from(ports.last() - first) + 1) as u16
    }

    /// An address of the part of the space that is announced: 1.0.0.0 to 223.255.255.255, or
    /// 2000::/3.
    pub fn address(&mut self, family: AddressFamily) -> IpAddr {
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

    /// An address of a network.
    pub fn inside(&mut self, net: IpNet) -> IpAddr {
        match (net, self.address(AddressFamily::of(net.addr()))) {
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
}
