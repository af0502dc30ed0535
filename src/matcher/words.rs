//! Addresses as 32-bit words, which are compared with those of many rules at once: one for IPv4,
//! four for IPv6.

use crate::flow::End;
use ipnet::IpNet;

/// Returns the words of an address, right-aligned, from the high to the low one.
#[inline(always)]
fn words<const W: usize>(address: u128) -> [u32; W] {
    std::array::from_fn(|word| (address >> (32 * (W - 1 - word))) as u32)
}

/// Returns the words of an end's address.
#[inline(always)]
pub(super) fn words_of<const W: usize>(end: &End) -> [u32; W] {
    let (high, low) = end.folded_bits();
    words(u128::from(high) << 64 | u128::from(low))
}

/// Returns a network's first address and its mask.
pub(super) fn words_of_net<const W: usize>(net: IpNet) -> [[u32; W]; 2] {
    let pair = match net {
        IpNet::V4(net) => [net.network().to_bits().into(), net.netmask().to_bits().into()],
        IpNet::V6(net) => [net.network().to_bits(), net.netmask().to_bits()],
    };
    pair.map(words)
}
