//! [`Traffic`]: flows on a map, by place and action.

use super::coverage::net_of;
use super::hilbert::{Curve, Rect};
use crate::report::{ByAction, place_of};
use flowsieve::Action;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;

/// Counts flows by the part of a network that their remote address is in, in constant memory.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    curve: Curve,
    /// By the bits of the first address of the part.
    parts: HashMap<u128, ByAction>,
    /// Flows to other addresses, or to none.
    outside: u64,
}

/// Flows that are drawn as one mark.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) net: IpNet,
    pub(crate) action: Action,
    pub(crate) flows: u64,
    /// The middle, in units of the picture.
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Half the width of the mark.
    pub(crate) radius: f64,
}

impl Traffic {
    /// Counts nothing yet, for the map of `window`.
    pub(crate) fn new(window: IpNet) -> Traffic {
        Traffic { curve: Curve::new(window, ORDER), parts: HashMap::new(), outside: 0 }
    }

    /// Counts flows to an address, IPv4-mapped ones as IPv4, as rules do (S-20).
    pub(crate) fn add(&mut self, address: Option<IpAddr>, action: Action, flows: u64) {
        let window = self.curve.window();
        let address = address.map(|address| address.to_canonical());
        let Some(address) = address.filter(|address| window.contains(address)) else {
            self.outside += flows;
            return;
        };
        let bits = match address {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let behind = u32::from(window.max_prefix_len() - self.curve.cell_len());
        let part = bits & u128::MAX.checked_shl(behind).unwrap_or(0);
        let counts = self.parts.entry(part).or_default();
        if let Some(count) = counts.get_mut(place_of(action)) {
            *count += flows;
        }
    }

    /// Returns the number of flows that are not on the map.
    pub(crate) fn outside(&self) -> u64 {
        self.outside
    }

    /// Returns the marks on a map of this width, the biggest first, so that none hides another.
    pub(crate) fn spots(&self, width: f64) -> Vec<Spot> {
        let scale = width / f64::from(self.curve.size().0);
        let most = self.parts.values().flatten().copied().max().unwrap_or(0);
        let mut spots = Vec::new();
        for (first, counts) in &self.parts {
            let net = net_of(self.curve.window(), *first, self.curve.cell_len());
            let Some(Rect { x, y, width, height }) = self.curve.place(net) else { continue };
            for (action, flows) in Action::ALL.into_iter().zip(*counts) {
                if flows > 0 {
                    // The area grows with the logarithm.
                    let size = (1.0 + flows as f64).ln() / (1.0 + most as f64).ln();
                    spots.push(Spot {
                        net,
                        action,
                        flows,
                        x: (f64::from(x) + f64::from(width) / 2.0) * scale,
                        y: (f64::from(y) + f64::from(height) / 2.0) * scale,
                        radius: 3.0 + 7.0 * size,
                    });
                }
            }
        }
        spots.sort_by(|a, b| {
            let key = |spot: &Spot| (spot.net, place_of(spot.action));
            b.radius.total_cmp(&a.radius).then_with(|| key(a).cmp(&key(b)))
        });
        spots
    }
}

/// 64 rows, so that marks stand beside each other on a map of 1024.
const ORDER: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_to_one_place_with_one_action_are_one_mark() {
        let mut traffic = Traffic::new("0.0.0.0/0".parse().unwrap());
        for (address, action) in [
            ("0.1.2.3", Action::Drop),
            ("0.15.0.1", Action::Drop),
            ("::ffff:0.0.0.1", Action::Drop),
            ("0.15.0.1", Action::Allow),
            ("0.16.0.1", Action::Allow),
            ("2001:db8::1", Action::Allow),
        ] {
            traffic.add(Some(address.parse().unwrap()), action, 1);
        }
        traffic.add(None, Action::Allow, 1);
        assert_eq!(traffic.outside(), 2);
        let spots: Vec<_> =
            traffic.spots(1024.0).into_iter().map(|s| (s.flows, s.x, s.y)).collect();
        assert_eq!(spots, [(3, 8.0, 8.0), (1, 8.0, 8.0), (1, 24.0, 8.0)]);
    }

    #[test]
    fn flows_to_ipv6_are_marks_where_their_networks_lie() {
        for (window, inside, net, (x, y)) in [
            ("2001:db8::/32", "2001:db8:1f:2::3", "2001:db8:10::/44", (24.0, 8.0)),
            ("2001:db8::/33", "2001:db8:1:2::3", "2001:db8::/46", (4.0, 4.0)),
            ("::/0", "ffff::1", "fff0::/12", (1016.0, 8.0)),
            ("2001:db8::8/126", "2001:db8::b", "2001:db8::b/128", (768.0, 256.0)),
        ] {
            let mut traffic = Traffic::new(window.parse().unwrap());
            for address in [inside, "10.0.0.1", "2001:db7::1"] {
                traffic.add(Some(address.parse().unwrap()), Action::Drop, 1);
            }
            let spots = traffic.spots(1024.0);
            let spots: Vec<_> = spots
                .iter()
                .filter(|spot| spot.net.contains(&inside.parse::<IpAddr>().unwrap()))
                .collect();
            let found: Vec<_> =
                spots.iter().map(|s| (s.net.to_string(), s.flows, s.x, s.y)).collect();
            assert_eq!(found, [(net.to_owned(), 1, x, y)], "{window}");
            assert_eq!(traffic.outside(), if window == "::/0" { 1 } else { 2 }, "{window}");
        }
    }
}
