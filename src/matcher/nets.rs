//! [`LocalNets`]: the rules of any host that ask for a local network and one port.

use crate::endpoint::AddressFamily;
use crate::flow::Flow;
use crate::matcher::classes::Classes;
use crate::matcher::columns::{Column, Columns, Which, lower};
use crate::matcher::intervals::{Bitmap, GROUP, Intervals, bounds};
use crate::matcher::lanes::Lanes;
use crate::matcher::leaf::{COMMON_CASES, Case, Leaf, Ranked};
use crate::matcher::memory;
use crate::matcher::plain::Anyone;
use crate::matcher::ports::{NO_RULES, sweep};
use crate::matcher::rows::Place;
use crate::network::Network;
use crate::rule::NetworkRule;
use ipnet::IpNet;

/// The rules whose remote side is nil or a wildcard, whose local side is a network, and of which one of the two
/// has some ports or neither has, where they are not too many.
///
/// Nearly all flows have a local address in such a network, so that their ports tell which are to be asked for them
/// ([`NamedPorts`](crate::matcher::ports::NamedPorts)): these cost a look-up of the local address and one of each port,
/// where they are many all at once for a group of flows.
#[derive(Debug, Default)]
pub(super) struct LocalNets {
    v4: Option<Family>,
    v6: Option<Family>,
}

#[derive(Debug)]
struct Family {
    /// From a local address to the class of the longest of the networks that holds it.
    addresses: Intervals<Place>,
    by_remote_port: Cells,
    by_local_port: Cells,
}

/// The first rule for each class of networks, run of ports, and case.
#[derive(Debug)]
struct Cells {
    /// The runs of ports between which no rule tells.
    runs: Bitmap,
    /// The number of runs.
    width: u32,
    /// Those of a class follow each other; the rules of the networks around are in them too.
    firsts: Vec<[Ranked; COMMON_CASES]>,
}

/// A rule that belongs here.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalRule {
    net: IpNet,
    is_of_remote_port: bool,
    /// Of the remote ports, or of the local ones.
    leaf: Leaf,
}

/// The most cells of a kind, of 24 bytes each: what is beyond a second-level cache takes longer to load than
/// lists to compare.
const MAX_CELLS: usize = 1 << 14;

impl LocalRule {
    /// Returns a rule as it is kept here; none, if it does not belong here.
    pub(super) fn new(ranked: Ranked, anyone: Anyone, rule: &NetworkRule) -> Option<LocalRule> {
        let Network::Prefix { net, zone: None, ports } = *rule.local() else { return None };
        let family = AddressFamily::of(net.addr());
        let remote_ports = rule.remote().ports();
        let of_ports =
            |ports| Leaf::new(ranked, ports, rule.match_protocol(), rule.match_direction());
        let (is_of_remote_port, leaf) = match ports.is_any() {
            true => (true, of_ports(remote_ports)),
            false => (false, of_ports(ports)),
        };
        let has_one = ports.is_any() || remote_ports.is_any();
        let belongs = anyone.holds(Some(family)) && has_one && !leaf.is_number();
        belongs.then(|| LocalRule { net: net.trunc(), is_of_remote_port, leaf })
    }

    /// Returns the family of its networks.
    pub(super) fn family(&self) -> AddressFamily {
        AddressFamily::of(self.net.addr())
    }

    pub(super) fn ranked(&self) -> Ranked {
        self.leaf.ranked
    }
}

impl LocalNets {
    /// Makes the index of those families that have rules, and not too many.
    ///
    /// # Complexity
    ///
    /// O(n log n) in the number of rules, and linear in that of cells.
    pub(super) fn new(rules: &[LocalRule]) -> LocalNets {
        let family = |family| {
            let of_family = rules.iter().filter(|rule| rule.family() == family);
            Family::new(&of_family.copied().collect::<Vec<_>>())
        };
        LocalNets { v4: family(AddressFamily::V4), v6: family(AddressFamily::V6) }
    }

    /// Whether rules of a family are kept here.
    pub(super) fn has(&self, family: AddressFamily) -> bool {
        self.of_family(family).is_some()
    }

    /// Returns the first rule that matches a flow whose two addresses are of `family` and known.
    #[inline(always)]
    pub(super) fn find(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        flow: &Flow<'_>,
        case: Case,
    ) -> Ranked {
        // Not by a closure, which the compiler keeps as a function without the vector instructions of its caller.
        let Some(rules) = self.of_family(family) else { return Ranked::NONE };
        rules.find(lanes, family, flow, case)
    }

    /// Puts the first rule in place of those that it goes before, for each of a group of usual flows of a
    /// family.
    #[inline(always)]
    pub(super) fn lower(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        columns: &Columns<'_>,
        best: &mut [Ranked; GROUP],
    ) {
        let Some(rules) = self.of_family(family) else { return };
        let [places] = rules.addresses.gather_ends(lanes, columns, Which::Local);
        let classes = places.map(|place| Place::of_words([place]).link().unwrap_or(0) as u32);
        if lanes.nonzero(&classes) == 0 {
            return;
        }
        let Columns { remote_port, local_port, case, .. } = columns;
        rules.by_remote_port.lower(lanes, &classes, remote_port, case, best);
        rules.by_local_port.lower(lanes, &classes, local_port, case, best);
    }

    #[inline(always)]
    fn of_family(&self, family: AddressFamily) -> Option<&Family> {
        match family {
            AddressFamily::V4 => self.v4.as_ref(),
            AddressFamily::V6 => self.v6.as_ref(),
        }
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        let families = [&self.v4, &self.v6];
        families.into_iter().flatten().map(Family::size_bytes).sum()
    }
}

impl Family {
    fn new(rules: &[LocalRule]) -> Option<Family> {
        if rules.is_empty() {
            return None;
        }
        let classes = Classes::new(rules.iter().map(|rule| rule.net));
        let of_port = |is_of_remote_port| {
            let own = rules.iter().filter(move |rule| rule.is_of_remote_port == is_of_remote_port);
            Cells::new(&classes, own)
        };
        let (by_remote_port, by_local_port) = (of_port(true)?, of_port(false)?);
        let networks = (1..).zip(classes.nets()).map(|(class, net)| {
            let (first, last) = bounds(*net);
            (first, last, Place::of_link(class))
        });
        let addresses = Intervals::new(&networks.collect::<Vec<_>>(), Place::EMPTY);
        Some(Family { addresses, by_remote_port, by_local_port })
    }

    /// Returns the first rule that matches a flow whose two addresses are of the family and known.
    #[inline(always)]
    fn find(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        flow: &Flow<'_>,
        case: Case,
    ) -> Ranked {
        let (remote, local) = flow.ends();
        let (high, low) = local.folded_bits();
        let place = match family {
            AddressFamily::V4 => self.addresses.get_v4(lanes, low as u32),
            AddressFamily::V6 => self.addresses.get_v6(lanes, high, low),
        };
        let Some(class) = place.link() else { return Ranked::NONE };
        let of_remote_port = self.by_remote_port.get(class, remote.port(), case);
        let of_local_port = self.by_local_port.get(class, local.port(), case);
        of_remote_port.min(of_local_port)
    }

    fn size_bytes(&self) -> usize {
        let Family { addresses, by_remote_port, by_local_port } = self;
        addresses.size_bytes() + by_remote_port.size_bytes() + by_local_port.size_bytes()
    }
}

impl Cells {
    /// Makes the cells of some rules; none, if these are too many.
    fn new<'a>(classes: &Classes, rules: impl Iterator<Item = &'a LocalRule>) -> Option<Cells> {
        let mut leaves = vec![Vec::new(); classes.count()];
        for rule in rules {
            if let Some(of_net) = leaves.get_mut(classes.number(rule.net) as usize) {
                of_net.push(rule.leaf);
            }
        }
        if leaves.iter().all(Vec::is_empty) {
            return Some(Cells { runs: Bitmap::default(), width: 0, firsts: Vec::new() });
        }
        let edges = leaves.iter().flatten().map(Leaf::ports);
        let edges = edges.flat_map(|(first, last)| [u32::from(first), u32::from(last) + 1]);
        let is_port = |edge: &u32| *edge <= u16::MAX.into();
        let mut starts: Vec<u32> = edges.filter(is_port).chain([0]).collect();
        starts.sort_unstable();
        starts.dedup();
        let width = starts.len();
        if width * leaves.len() > MAX_CELLS {
            return None;
        }
        let mut firsts = vec![NO_RULES; width];
        firsts.reserve_exact(width * classes.nets().len());
        for (parent, leaves) in classes.parents.iter().zip(leaves.iter().skip(1)) {
            let of_parent = *parent as usize * width;
            let own = firsts.len();
            firsts.extend_from_within(of_parent..of_parent + width);
            let (starts_of_net, runs) = sweep(leaves);
            for (start, cell) in starts.iter().zip(firsts.get_mut(own..).unwrap_or_default()) {
                let run = starts_of_net.partition_point(|of_net| of_net <= start).wrapping_sub(1);
                for (first, own) in cell.iter_mut().zip(runs.get(run).unwrap_or(&NO_RULES)) {
                    *first = (*first).min(*own);
                }
            }
        }
        let last_ports = starts.iter().skip(1).map(|start| (start - 1) as u16).chain([u16::MAX]);
        Some(Cells { runs: Bitmap::new(last_ports, 0), width: width as u32, firsts })
    }

    #[inline(always)]
    fn get(&self, class: usize, port: u16, case: Case) -> Ranked {
        let cell = self.firsts.get(class * self.width as usize + self.runs.run(port));
        let first = cell.and_then(|cell| cell.get(case.index()));
        first.copied().unwrap_or(Ranked::NONE)
    }

    /// Puts the first rule of each class, port and case in place of those that it goes before.
    #[inline(always)]
    fn lower(
        &self,
        lanes: impl Lanes,
        classes: &Column,
        ports: &Column,
        cases: &Column,
        best: &mut [Ranked; GROUP],
    ) {
        if self.firsts.is_empty() {
            return;
        }
        let mut places = self.runs.gather(lanes, ports);
        for ((place, class), case) in places.iter_mut().zip(classes).zip(cases) {
            let cell = class.wrapping_mul(self.width).wrapping_add(*place);
            *place = cell.wrapping_mul(COMMON_CASES as u32).wrapping_add(*case);
        }
        let [found] = lanes.gather(self.firsts.as_flattened(), &places);
        lower(best, &found);
    }

    fn size_bytes(&self) -> usize {
        self.runs.size_bytes() + memory::of_vec(&self.firsts)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is missing")]
mod tests {
    use super::*;
    use crate::endpoint::{Endpoint, Host, Ports};
    use crate::flow::{Direction, IpProtocol};
    use crate::matcher::lanes::Scalar;
    use crate::rule::{Action, Protocol};

    type Side<'a> = (&'a str, u64, Ports);

    fn rule(
        remote: Option<Ports>,
        (local, prefix, ports): Side<'_>,
        way: (Protocol, Direction),
    ) -> NetworkRule {
        let endpoint = |text: &str, ports| {
            Endpoint::from_parts(Host::Address(text.parse().unwrap(), None), ports)
        };
        let remote = remote.map(|ports| endpoint("0.0.0.0", ports));
        NetworkRule::remote_network(remote, 0, Some(endpoint(local, ports)), prefix, way.0, way.1)
            .unwrap()
    }

    fn index_of(rules: &[NetworkRule]) -> (Vec<LocalRule>, LocalNets) {
        let rules: Vec<LocalRule> = (0..)
            .zip(rules)
            .filter_map(|(rank, rule)| {
                let anyone = match rule.remote_side()? {
                    Network::Nil => Anyone::Nil,
                    _ => Anyone::V4,
                };
                LocalRule::new(Ranked::new(rank, Action::Drop), anyone, rule)
            })
            .collect();
        let index = LocalNets::new(&rules);
        (rules, index)
    }

    #[test]
    fn every_flow_gets_the_first_rule_that_holds_it() {
        // Of ports that few flows have, which are asked for first, and with the one that most have.
        every_flow_gets_the_first_rule(442);
        every_flow_gets_the_first_rule(443);
    }

    fn every_flow_gets_the_first_rule(port: u16) {
        let (any, one) = (Ports::ANY, Ports::one);
        let (tcp, udp) = ((Protocol::Tcp, Direction::Any), (Protocol::Udp, Direction::Outbound));
        let both = (Protocol::Any, Direction::Inbound);
        let rules = [
            rule(None, ("10.1.0.0", 16, one(22)), tcp),
            rule(Some(one(port)), ("10.1.2.0", 24, any), both),
            rule(Some(Ports::range(1, port).unwrap()), ("10.0.0.0", 8, any), udp),
            rule(None, ("10.1.2.0", 24, Ports::range(20, 65535).unwrap()), udp),
            rule(None, ("10.1.2.3", 32, any), tcp),
            rule(Some(one(65535)), ("10.0.0.0", 8, any), tcp),
            rule(None, ("192.168.0.0", 16, any), both),
        ];
        for count in 0..=rules.len() {
            let rules = rules.get(..count).unwrap();
            let (own, index) = index_of(rules);
            assert_eq!((own.len(), index.has(AddressFamily::V4)), (count, count > 0));
            assert!(!index.has(AddressFamily::V6));
            let mut flows = Vec::new();
            for local in
                ["9.9.9.9", "10.0.0.1", "10.1.0.1", "10.1.2.1", "10.1.2.3", "192.168.255.255"]
            {
                for (remote_port, local_port) in
                    [(port, 22), (port, 23), (1, 1), (port + 1, 20), (65535, 65535)]
                {
                    for protocol in [IpProtocol::TCP, IpProtocol::UDP, IpProtocol::ICMP] {
                        for direction in [Direction::Any, Direction::Inbound, Direction::Outbound] {
                            let flow = Flow::new(protocol, direction)
                                .with_remote_address("1.2.3.4".parse().unwrap(), None, remote_port)
                                .with_local_address(local.parse().unwrap(), None, local_port);
                            flows.push(flow);
                        }
                    }
                }
            }
            let expected: Vec<Ranked> = flows
                .iter()
                .map(|flow| {
                    let first = rules.iter().position(|rule| rule.matches(flow));
                    first.map_or(Ranked::NONE, |rank| Ranked::new(rank as u32, Action::Drop))
                })
                .collect();
            for (flow, expected) in flows.iter().zip(&expected) {
                let found = index.find(Scalar, AddressFamily::V4, flow, Case::of(flow));
                assert_eq!(found, *expected, "{flow} of {count}");
            }
            for (flows, expected) in flows.chunks(GROUP).zip(expected.chunks(GROUP)) {
                let mut best = [Ranked::NONE; GROUP];
                index.lower(Scalar, AddressFamily::V4, &Columns::new(Scalar, flows), &mut best);
                for ((flow, best), expected) in flows.iter().zip(best).zip(expected) {
                    if flow.protocol() != IpProtocol::ICMP {
                        assert_eq!(best, *expected, "{flow} of {count}");
                    }
                }
            }
        }
    }

    #[test]
    fn rules_that_ask_for_more_do_not_belong() {
        let (one, tcp) = (Ports::one(7), (Protocol::Tcp, Direction::Any));
        let rules = [
            rule(Some(one), ("10.0.0.0", 8, one), tcp),
            rule(Some(one), ("2001:db8::", 32, Ports::ANY), tcp),
            rule(None, ("10.0.0.0", 8, one), (Protocol::Number(1), Direction::Any)),
            rule(None, ("0.0.0.0", 0, one), tcp),
        ];
        assert!(index_of(&rules).0.is_empty());
    }

    #[test]
    fn so_many_rules_that_their_cells_take_too_much_are_not_kept() {
        let rules = |nets: u16, ports: u16| -> Vec<NetworkRule> {
            let of_net = |net: u16| {
                let [high, low] = net.to_be_bytes();
                let local = format!("10.{high}.{low}.0");
                let way = (Protocol::Any, Direction::Any);
                let rule = move |port| rule(None, (&local, 24, Ports::one(port + 1)), way);
                (0..ports).map(rule).collect::<Vec<_>>()
            };
            (0..nets).flat_map(of_net).collect()
        };
        // The classes are one more than the networks, the runs two more than the ports.
        assert!(index_of(&rules(127, 126)).1.has(AddressFamily::V4));
        assert!(!index_of(&rules(128, 126)).1.has(AddressFamily::V4));
    }
}
