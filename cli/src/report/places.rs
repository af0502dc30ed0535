//! [`Places`]: where flows went, counted by network and action.

use flowsieve::Action;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Flows by the network of their remote address: /16 of IPv4, /44 of IPv6.
///
/// Adding is an array access for IPv4, so that it costs a replay nothing to speak of. What is
/// IPv4-mapped counts as IPv4, as it does for rules (S-20).
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// One for each /16, by its bits; allocated with the first flow.
    v4: Vec<ByAction>,
    /// By the bits of the network.
    v6: HashMap<u64, ByAction>,
    /// Flows without a remote address.
    elsewhere: u64,
}

/// Counts in the order of [`Action::ALL`].
pub(crate) type ByAction = [u64; 3];

impl Places {
    /// Counts a flow to an address, `None` where the remote endpoint has none.
    pub(crate) fn add(&mut self, address: Option<IpAddr>, action: Action) {
        let counts = match address.map(|address| address.to_canonical()) {
            None => {
                self.elsewhere += 1;
                return;
            }
            Some(IpAddr::V4(address)) => {
                if self.v4.is_empty() {
                    self.v4.resize(1 << 16, [0; 3]);
                }
                self.v4.get_mut((address.to_bits() >> 16) as usize)
            }
            Some(IpAddr::V6(address)) => {
                Some(self.v6.entry((address.to_bits() >> V6_SHIFT) as u64).or_default())
            }
        };
        if let Some(count) = counts.and_then(|counts| counts.get_mut(place_of(action))) {
            *count += 1;
        }
    }

    /// Returns the /16 networks of IPv4 that flows went to, ascending.
    pub(crate) fn v4(&self) -> impl Iterator<Item = (Ipv4Addr, ByAction)> + '_ {
        let used = (0_u32..).zip(&self.v4).filter(|(_, counts)| **counts != [0; 3]);
        used.map(|(network, counts)| (Ipv4Addr::from_bits(network << 16), *counts))
    }

    /// Returns the networks of [`V6_PART`] bits of IPv6 that flows went to, ascending.
    pub(crate) fn v6(&self) -> Vec<(Ipv6Addr, ByAction)> {
        let address = |network: &u64| Ipv6Addr::from_bits(u128::from(*network) << V6_SHIFT);
        let mut found: Vec<_> =
            self.v6.iter().map(|(net, counts)| (address(net), *counts)).collect();
        found.sort_unstable_by_key(|(network, _)| *network);
        found
    }

    /// Returns the number of flows without a remote address.
    pub(crate) fn elsewhere(&self) -> u64 {
        self.elsewhere
    }
}

/// The length of the networks of IPv6 that flows are counted by, in bits: the parts of the map of a
/// /32 that have a mark of their own.
const V6_PART: u8 = 44;

const V6_SHIFT: u32 = Ipv6Addr::BITS - V6_PART as u32;

/// The place of an action in [`Action::ALL`].
pub(crate) fn place_of(action: Action) -> usize {
    match action {
        Action::Allow => 0,
        Action::Drop => 1,
        Action::FilterData => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_counted_by_network_and_action() {
        let mut places = Places::default();
        for (address, action) in [
            ("10.1.2.3", Action::Drop),
            ("10.1.255.255", Action::Allow),
            ("::ffff:10.1.0.0", Action::Drop),
            ("255.255.255.255", Action::FilterData),
            ("2001:db8:ffff::1", Action::Drop),
            ("2001:db8:fff0::", Action::Allow),
            ("2001:db8:ffef:ffff::", Action::Allow),
            ("2001:db7::1", Action::Allow),
        ] {
            places.add(Some(address.parse().unwrap()), action);
        }
        places.add(None, Action::Drop);
        let v4: Vec<_> = places.v4().map(|(net, counts)| (net.to_string(), counts)).collect();
        assert_eq!(v4, [("10.1.0.0".into(), [1, 2, 0]), ("255.255.0.0".into(), [0, 0, 1])]);
        let v6 = places.v6().into_iter().map(|(net, counts)| (net.to_string(), counts));
        let expected = [
            ("2001:db7::".into(), [1, 0, 0]),
            ("2001:db8:ffe0::".into(), [1, 0, 0]),
            ("2001:db8:fff0::".into(), [1, 1, 0]),
        ];
        assert_eq!(v6.collect::<Vec<(String, ByAction)>>(), expected);
        assert_eq!(places.elsewhere(), 1);
    }

    #[test]
    fn actions_stand_in_their_order() {
        assert_eq!(Action::ALL.map(place_of), [0, 1, 2]);
    }
}
