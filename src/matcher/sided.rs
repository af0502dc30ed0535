//! [`Sided`]: the rules that have a local side, for flows whose two addresses are known and of one
//! family.
//!
//! Each rule is kept under one of its two sides: that whose network fewer rules share. A look-up
//! asks for the rules kept under the networks of the remote address and for those kept under the
//! networks of the local address, which are few, and compares the other side of each. Rules of
//! which both sides are wide are kept apart, by protocol and remote port, and compared many at a
//! time.

use crate::endpoint::{AddressFamily, Zone};
use crate::flow::{End, Flow};
use crate::matcher::intervals::{Intervals, Wanted, bounds};
use crate::matcher::lanes::{Lanes, prefetch};
use crate::matcher::leaf::{Case, Leaf, Ranked};
use crate::matcher::memory;
use crate::matcher::scan::{Blocks, Probe, Scan, ScanRule};
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::ops::{BitAnd, BitXor};

/// A rule with what is compared, for flows of one family.
#[derive(Clone, Copy, Debug)]
pub(super) struct SidedRule {
    /// Rank, remote ports and cases.
    pub(super) leaf: Leaf,
    pub(super) remote: IpNet,
    pub(super) local: IpNet,
    pub(super) local_ports: (u16, u16),
    /// The zone ids of the remote and the local side.
    pub(super) zones: [Option<Zone>; 2],
    /// The rule may match loopback flows.
    pub(super) may_be_loopback: bool,
    pub(super) has_local: bool,
}

/// An address of the family.
pub(super) trait Address:
    Copy + Debug + PartialEq + Default + BitAnd<Output = Self> + BitXor<Output = Self>
{
    fn of(end: &End) -> Self;
    /// Returns the network's first address and its mask.
    fn of_net(net: IpNet) -> (Self, Self);
    fn get(self, lanes: impl Lanes, intervals: &Intervals<Leaf>) -> &Leaf;
    /// Returns the address, left-aligned, to be looked up with others.
    fn wanted(self, intervals: &Intervals<Leaf>) -> Wanted<'_, Leaf>;
}

impl Address for u32 {
    #[inline(always)]
    fn of(end: &End) -> u32 {
        end.folded_bits().1 as u32
    }

    fn of_net(net: IpNet) -> (u32, u32) {
        match net {
            IpNet::V4(net) => (net.network().to_bits(), net.netmask().to_bits()),
            IpNet::V6(_) => (0, 0),
        }
    }

    #[inline(always)]
    fn get(self, lanes: impl Lanes, intervals: &Intervals<Leaf>) -> &Leaf {
        intervals.get_v4(lanes, self)
    }

    #[inline(always)]
    fn wanted(self, intervals: &Intervals<Leaf>) -> Wanted<'_, Leaf> {
        Wanted { intervals, high: u64::from(self) << 32, low: 0 }
    }
}

impl Address for u128 {
    #[inline(always)]
    fn of(end: &End) -> u128 {
        let (high, low) = end.folded_bits();
        u128::from(high) << 64 | u128::from(low)
    }

    fn of_net(net: IpNet) -> (u128, u128) {
        match net {
            IpNet::V6(net) => (net.network().to_bits(), net.netmask().to_bits()),
            IpNet::V4(_) => (0, 0),
        }
    }

    #[inline(always)]
    fn get(self, lanes: impl Lanes, intervals: &Intervals<Leaf>) -> &Leaf {
        intervals.get_v6(lanes, (self >> 64) as u64, self as u64)
    }

    #[inline(always)]
    fn wanted(self, intervals: &Intervals<Leaf>) -> Wanted<'_, Leaf> {
        Wanted { intervals, high: (self >> 64) as u64, low: self as u64 }
    }
}

/// The index.
#[derive(Debug)]
pub(super) struct Sided<A> {
    by_remote: Side<A>,
    by_local: Side<A>,
    /// Rules are kept under the remote side that hold every address.
    has_root: bool,
    wide: Wide,
    /// The zone ids of rules that have some; those of the others are at 0.
    zones: Vec<[Option<Zone>; 2]>,
}

/// The rules that are kept under one of their sides.
#[derive(Debug)]
struct Side<A> {
    /// From an address to the list of its rules.
    addresses: Intervals<Leaf>,
    lists: Lists<A>,
}

/// The IPv4 rules of which both sides are wide.
#[derive(Debug)]
struct Wide {
    /// For TCP, UDP and other protocols.
    scans: [WideScan; 3],
    scan: Scan,
    is_empty: bool,
}

#[derive(Debug)]
struct WideScan {
    /// From a remote port to the blocks of the rules for that port alone.
    by_port: PortLists,
    others: Blocks,
}

/// From a port to a list: a table with open addressing, at most half full.
#[derive(Debug)]
struct PortLists {
    /// The leaf of a list with [`Leaf::PORT`] and the port in place of the cases, or
    /// [`Leaf::NONE`].
    slots: Vec<Leaf>,
}

/// Rules less the side that they are kept under.
#[derive(Clone, Copy, Debug)]
struct Rule<A> {
    /// Rank, remote ports and cases; the local ports are in `next`.
    leaf: Leaf,
    value: A,
    mask: A,
    zones: u32,
    may_be_loopback: bool,
}

#[derive(Debug)]
struct Lists<A> {
    rules: Vec<Rule<A>>,
    links: Vec<Link>,
}

/// A list that is more than a row of rules.
#[derive(Debug)]
struct Link {
    /// The list of the next shorter network.
    parent: Leaf,
    /// The rules for single remote ports, and of the others those for single local ports, kept
    /// apart where there are many.
    by_remote_port: Option<PortLists>,
    by_local_port: Option<PortLists>,
    /// The other rules.
    start: u32,
    len: u32,
}

/// The longest list that is merged with that of the networks around.
const MAX_MERGED: usize = 16;

/// The length from which rules for single ports are kept apart.
const LONG: usize = 32;

/// What a flow is compared by.
struct Query<'a, A> {
    flow: &'a Flow<'a>,
    remote: A,
    local: A,
    remote_port: u16,
    local_port: u16,
    case: Case,
    is_loopback: bool,
}

impl<A: Address> Sided<A> {
    /// Makes the index; the rules are in ascending rank.
    ///
    /// # Complexity
    ///
    /// O(n log n), and memory linear in the number of rules times [`MAX_MERGED`].
    pub(super) fn new(rules: &[SidedRule]) -> Sided<A> {
        let mut zones = vec![[None; 2]];
        let mut counts: [HashMap<IpNet, u32>; 2] = Default::default();
        for rule in rules {
            for (counts, net) in counts.iter_mut().zip([rule.remote, rule.local]) {
                *counts.entry(net).or_default() += 1;
            }
        }
        let [remotes, locals] = &counts;
        let (mut by_remote, mut by_local, mut wide) = (Vec::new(), Vec::new(), Vec::new());
        for rule in rules {
            let mut zone = 0;
            if rule.zones != [None; 2] {
                zone = zones.len() as u32;
                zones.push(rule.zones);
            }
            let cost = |net: IpNet, counts: &HashMap<IpNet, u32>| {
                let count = counts.get(&net).copied().unwrap_or(0);
                (!is_wide(net)).then_some((count, u8::MAX - net.prefix_len()))
            };
            let can_scan = zone == 0 && AddressFamily::of(rule.remote.addr()) == AddressFamily::V4;
            match (cost(rule.remote, remotes), cost(rule.local, locals)) {
                (None, None) if can_scan => wide.push(*rule),
                (Some(remote), local) if local.is_none_or(|local| remote <= local) => {
                    by_remote.push((rule.remote, Rule::new(rule, rule.local, zone)));
                }
                (_, Some(_)) => by_local.push((rule.local, Rule::new(rule, rule.remote, zone))),
                _ => by_remote.push((rule.remote, Rule::new(rule, rule.local, zone))),
            }
        }
        zones.shrink_to_fit();
        Sided {
            has_root: by_remote.iter().any(|(net, _)| net.prefix_len() == 0),
            by_remote: Side::new(by_remote),
            by_local: Side::new(by_local),
            wide: Wide::new(&wide),
            zones,
        }
    }

    /// Returns the leaves of the two addresses of a flow, both of the family. Neither look-up waits
    /// for the other. `by_remote` says whether rules with a local side may apply to the network of the
    /// remote address.
    #[inline(always)]
    pub(super) fn leaves(&self, lanes: impl Lanes, flow: &Flow<'_>, by_remote: bool) -> [&Leaf; 2] {
        let (remote, local) = flow.ends();
        let none = &Leaf::NONE;
        let of_remote = match by_remote | self.has_root {
            true => A::of(remote).get(lanes, &self.by_remote.addresses),
            false => none,
        };
        let of_local = match self.by_local.is_empty() {
            true => none,
            false => A::of(local).get(lanes, &self.by_local.addresses),
        };
        [of_remote, of_local]
    }

    /// Returns what is to be looked up for [`leaves`](Sided::leaves).
    #[inline(always)]
    pub(super) fn wanted(&self, flow: &Flow<'_>) -> [Wanted<'_, Leaf>; 2] {
        let (remote, local) = flow.ends();
        let of_remote = A::of(remote).wanted(&self.by_remote.addresses);
        [of_remote, A::of(local).wanted(&self.by_local.addresses)]
    }

    /// Returns the number of rules that are kept under their remote and under their local side.
    pub(super) fn counts(&self) -> [usize; 2] {
        [&self.by_remote, &self.by_local].map(|side| side.lists.rules.len())
    }

    /// Begins to load what [`find`](Sided::find) reads first.
    #[inline(always)]
    pub(super) fn prefetch(&self, [of_remote, of_local]: [&Leaf; 2]) {
        let pairs = [(&self.by_remote.lists, of_remote), (&self.by_local.lists, of_local)];
        for (lists, leaf) in pairs {
            match leaf.flags & Leaf::CHAIN {
                0 => prefetch(lists.rules.get(leaf.next as usize)),
                _ => prefetch(lists.links.get(leaf.next as usize)),
            }
        }
    }

    /// Returns the first rule that matches and goes before `best`, else `best`. Both addresses of
    /// the flow are of the family.
    #[inline(always)]
    pub(super) fn find(
        &self,
        lanes: impl Lanes,
        leaves: [&Leaf; 2],
        flow: &Flow<'_>,
        case: Case,
        is_loopback: bool,
        best: Ranked,
    ) -> Ranked {
        let (remote, local) = flow.ends();
        let query = Query {
            flow,
            remote: A::of(remote),
            local: A::of(local),
            remote_port: remote.port(),
            local_port: local.port(),
            case,
            is_loopback,
        };
        let [of_remote, of_local] = leaves;
        let lists = &self.by_remote.lists;
        let best = lists.find(&self.zones, of_remote, &query, query.local, best);
        let lists = &self.by_local.lists;
        let best = lists.find(&self.zones, of_local, &query, query.remote, best);
        match self.wide.is_empty {
            true => best,
            false => self.wide.find(lanes, &query, best),
        }
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        let sides = [&self.by_remote, &self.by_local];
        let sides = sides.map(|side| side.addresses.size_bytes() + side.lists.size_bytes());
        sides.iter().sum::<usize>() + self.wide.size_bytes() + memory::of_vec(&self.zones)
    }
}

/// Whether too many addresses are in the network for rules to be kept under it.
fn is_wide(net: IpNet) -> bool {
    match net {
        IpNet::V4(net) => net.prefix_len() < 8,
        IpNet::V6(net) => net.prefix_len() < 16,
    }
}

impl<A: Address> Rule<A> {
    fn new(rule: &SidedRule, other: IpNet, zones: u32) -> Rule<A> {
        let (value, mask) = A::of_net(other);
        let (first, last) = rule.local_ports;
        let next = u32::from(first) << 16 | u32::from(last);
        Rule {
            leaf: Leaf { next, ..rule.leaf },
            value,
            mask,
            zones,
            may_be_loopback: rule.may_be_loopback,
        }
    }

    fn local_ports(&self) -> (u16, u16) {
        ((self.leaf.next >> 16) as u16, self.leaf.next as u16)
    }

    /// Whether the rule matches a flow with `other` as the address of the side that it is not
    /// kept under.
    #[inline(always)]
    fn matches(&self, zones: &[[Option<Zone>; 2]], query: &Query<'_, A>, other: A) -> bool {
        let (first, last) = self.local_ports();
        let holds = ((other ^ self.value) & self.mask == A::default())
            & self.leaf.matches(query.case, query.remote_port)
            & (query.local_port.wrapping_sub(first) <= last.wrapping_sub(first))
            & (self.may_be_loopback | !query.is_loopback);
        holds && (self.zones == 0 || self.zones_agree(zones, query))
    }

    #[cold]
    fn zones_agree(&self, zones: &[[Option<Zone>; 2]], query: &Query<'_, A>) -> bool {
        let own = zones.get(self.zones as usize).copied().unwrap_or_default();
        let mut pairs = own.into_iter().zip(query.flow.zones());
        pairs.all(|(own, zone)| own.is_none() || zone.is_none() || own == zone)
    }
}

/// A network that contains the one at hand, while a [`Side`] is made.
struct Around<A> {
    net: IpNet,
    leaf: Leaf,
    /// All rules of the leaf, if it stands for a row.
    rules: Option<Vec<Rule<A>>>,
}

impl<A: Address> Side<A> {
    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.lists.rules.is_empty()
    }

    fn new(mut rules: Vec<(IpNet, Rule<A>)>) -> Side<A> {
        rules.sort_by_key(|(net, _)| *net);
        let mut lists = Lists { rules: Vec::new(), links: Vec::new() };
        let mut networks = Vec::new();
        // The networks that contain the one at hand.
        let mut path: Vec<Around<A>> = Vec::new();
        for rules in rules.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((net, _)) = rules.first() else { continue };
            while path.last().is_some_and(|around| !around.net.contains(net)) {
                path.pop();
            }
            let own: Vec<Rule<A>> = rules.iter().map(|(_, rule)| *rule).collect();
            let (parent, inherited) = match path.last() {
                Some(around) => (around.leaf, around.rules.as_deref()),
                None => (Leaf::NONE, Some(&[][..])),
            };
            let merged = inherited.filter(|rules| rules.len() + own.len() <= MAX_MERGED);
            let (leaf, rules) = match merged {
                Some(inherited) => {
                    let mut merged = [&own, inherited].concat();
                    merged.sort_by_key(|rule| rule.leaf.ranked);
                    (lists.add_row(&merged), Some(merged))
                }
                None => (lists.add_link(own, parent), None),
            };
            let (first, last) = bounds(*net);
            networks.push((first, last, leaf));
            path.push(Around { net: *net, leaf, rules });
        }
        lists.rules.shrink_to_fit();
        lists.links.shrink_to_fit();
        Side { addresses: Intervals::new(&networks, Leaf::NONE), lists }
    }
}

impl<A: Address> Lists<A> {
    /// Adds rules in ascending rank and returns the leaf that stands for them.
    fn add_row(&mut self, rules: &[Rule<A>]) -> Leaf {
        let Some(first) = rules.first() else { return Leaf::NONE };
        let next = self.rules.len() as u32;
        self.rules.extend(rules);
        Leaf { ranked: first.leaf.ranked, next, first_port: rules.len() as u16, ..Leaf::NONE }
    }

    /// Adds a list of rules and those of `parent`.
    fn add_link(&mut self, own: Vec<Rule<A>>, parent: Leaf) -> Leaf {
        let first = own.first().map_or(Ranked::NONE, |rule| rule.leaf.ranked);
        let (mut by_remote_port, mut by_local_port) = (None, None);
        let mut others = own;
        if others.len() > LONG {
            by_remote_port = self.add_by_port(&mut others, |rule| rule.leaf.ports());
        }
        if others.len() > LONG {
            by_local_port = self.add_by_port(&mut others, Rule::local_ports);
        }
        let start = self.rules.len() as u32;
        let len = others.len() as u32;
        self.rules.extend(others);
        self.links.push(Link { parent, by_remote_port, by_local_port, start, len });
        Leaf {
            ranked: first.min(parent.ranked),
            next: (self.links.len() - 1) as u32,
            flags: Leaf::CHAIN,
            ..Leaf::NONE
        }
    }

    /// Takes the rules for single ports away, each port's as a list; leaves those of ports whose
    /// list would be too long for a row.
    fn add_by_port(
        &mut self,
        rules: &mut Vec<Rule<A>>,
        ports: impl Fn(&Rule<A>) -> (u16, u16),
    ) -> Option<PortLists> {
        let single = |rule: &Rule<A>| Some(ports(rule)).filter(|(a, b)| a == b).map(|(a, _)| a);
        let mut by_port: BTreeMap<u16, Vec<Rule<A>>> = BTreeMap::new();
        for rule in &*rules {
            if let Some(port) = single(rule) {
                by_port.entry(port).or_default().push(*rule);
            }
        }
        by_port.retain(|_, rules| u16::try_from(rules.len()).is_ok());
        rules.retain(|rule| single(rule).is_none_or(|port| !by_port.contains_key(&port)));
        let lists: Vec<_> =
            by_port.into_iter().map(|(port, rules)| (port, self.add_row(&rules))).collect();
        (!lists.is_empty()).then(|| PortLists::new(&lists))
    }

    /// Returns the first rule of the list that `leaf` stands for that matches and goes before
    /// `best`, else `best`.
    #[inline(always)]
    fn find(
        &self,
        zones: &[[Option<Zone>; 2]],
        leaf: &Leaf,
        query: &Query<'_, A>,
        other: A,
        best: Ranked,
    ) -> Ranked {
        if leaf.ranked >= best {
            return best;
        }
        if leaf.flags & Leaf::CHAIN != 0 {
            return self.find_in_links(zones, leaf, query, other, best);
        }
        self.find_in_row(zones, leaf, query, other, best)
    }

    #[inline(always)]
    fn find_in_row(
        &self,
        zones: &[[Option<Zone>; 2]],
        leaf: &Leaf,
        query: &Query<'_, A>,
        other: A,
        best: Ranked,
    ) -> Ranked {
        let (start, len) = (leaf.next as usize, usize::from(leaf.first_port));
        self.find_in(start, len, zones, query, other, best)
    }

    #[inline(always)]
    fn find_in(
        &self,
        start: usize,
        len: usize,
        zones: &[[Option<Zone>; 2]],
        query: &Query<'_, A>,
        other: A,
        best: Ranked,
    ) -> Ranked {
        for rule in self.rules.get(start..start + len).unwrap_or(&[]) {
            if rule.leaf.ranked >= best {
                break;
            }
            if rule.matches(zones, query, other) {
                return rule.leaf.ranked;
            }
        }
        best
    }

    #[inline(never)]
    fn find_in_links(
        &self,
        zones: &[[Option<Zone>; 2]],
        leaf: &Leaf,
        query: &Query<'_, A>,
        other: A,
        best: Ranked,
    ) -> Ranked {
        let (mut leaf, mut best) = (leaf, best);
        while leaf.ranked < best && leaf.flags & Leaf::CHAIN != 0 {
            let Some(link) = self.links.get(leaf.next as usize) else { return best };
            if let Some(lists) = &link.by_remote_port {
                let list = lists.get(query.remote_port);
                best = self.find_in_row(zones, list, query, other, best);
            }
            if let Some(lists) = &link.by_local_port {
                best = self.find_in_row(zones, lists.get(query.local_port), query, other, best);
            }
            let (start, len) = (link.start as usize, link.len as usize);
            best = self.find_in(start, len, zones, query, other, best);
            leaf = &link.parent;
        }
        match leaf.ranked < best {
            true => self.find_in_row(zones, leaf, query, other, best),
            false => best,
        }
    }

    fn size_bytes(&self) -> usize {
        let lists = self.links.iter().flat_map(|link| [&link.by_remote_port, &link.by_local_port]);
        memory::of_vec(&self.rules)
            + memory::of_vec(&self.links)
            + lists.flatten().map(PortLists::size_bytes).sum::<usize>()
    }
}

impl PortLists {
    fn new(lists: &[(u16, Leaf)]) -> PortLists {
        let mut slots = Vec::new();
        if !lists.is_empty() {
            slots = vec![Leaf::NONE; (lists.len() * 2).next_power_of_two()];
        }
        let last = slots.len().wrapping_sub(1);
        for (port, leaf) in lists {
            let mut home = Self::home(*port);
            while let Some(slot) = slots.get_mut(home & last) {
                if slot.flags & Leaf::PORT == 0 {
                    *slot = Leaf { cases: *port, flags: Leaf::PORT, ..*leaf };
                    break;
                }
                home += 1;
            }
        }
        PortLists { slots }
    }

    /// Returns where the search for a port begins, but for the number of slots.
    #[inline(always)]
    fn home(port: u16) -> usize {
        let product = port.wrapping_mul(0x9e37);
        usize::from(product ^ product >> 7)
    }

    #[inline(always)]
    fn get(&self, port: u16) -> &Leaf {
        let mut home = Self::home(port);
        loop {
            // Half of the slots are empty, if there are any.
            match self.slots.get(home & self.slots.len().wrapping_sub(1)) {
                Some(slot) if slot.flags & Leaf::PORT == 0 => return &Leaf::NONE,
                Some(slot) if slot.cases == port => return slot,
                Some(_) => home += 1,
                None => return &Leaf::NONE,
            }
        }
    }

    fn size_bytes(&self) -> usize {
        memory::of_vec(&self.slots)
    }
}

impl Wide {
    fn new(rules: &[SidedRule]) -> Wide {
        let mut scan = Scan::default();
        let rules: Vec<ScanRule> = rules.iter().map(scan_rule).collect();
        let scans = [0u16, 1, 2].map(|protocol| {
            let of_protocol =
                rules.iter().filter(|rule| rule.leaf.cases >> (protocol * 3) & 7 != 0);
            let mut by_port: BTreeMap<u16, Vec<ScanRule>> = BTreeMap::new();
            let mut others = Vec::new();
            for rule in of_protocol {
                match rule.leaf.single_port() {
                    Some(port) => by_port.entry(port).or_default().push(*rule),
                    None => others.push(*rule),
                }
            }
            let lists: Vec<_> = by_port
                .into_iter()
                .map(|(port, rules)| {
                    let Blocks { start, count } = scan.add(&rules);
                    let (first_port, last_port) = ((count >> 16) as u16, count as u16);
                    let ranked = rules.first().map_or(Ranked::NONE, |rule| rule.leaf.ranked);
                    (port, Leaf { ranked, next: start, first_port, last_port, ..Leaf::NONE })
                })
                .collect();
            WideScan { by_port: PortLists::new(&lists), others: scan.add(&others) }
        });
        scan.shrink_to_fit();
        Wide { scans, scan, is_empty: rules.is_empty() }
    }

    #[inline(always)]
    fn find<A: Address>(&self, lanes: impl Lanes, query: &Query<'_, A>, best: Ranked) -> Ranked {
        let probe = Probe::new(query.flow, query.case);
        let Some(scan) = self.scans.get(query.case.protocol()) else { return best };
        let leaf = scan.by_port.get(query.remote_port);
        let count = u32::from(leaf.first_port) << 16 | u32::from(leaf.last_port);
        let blocks = Blocks { start: leaf.next, count };
        let best = self.scan.find(lanes, blocks, &probe, best);
        self.scan.find(lanes, scan.others, &probe, best)
    }

    fn size_bytes(&self) -> usize {
        let by_port = self.scans.iter().map(|scan| scan.by_port.size_bytes());
        by_port.sum::<usize>() + self.scan.size_bytes()
    }
}

/// Returns an IPv4 rule as it is scanned.
pub(super) fn scan_rule(rule: &SidedRule) -> ScanRule {
    ScanRule {
        leaf: rule.leaf,
        remote: u32::of_net(rule.remote),
        local: u32::of_net(rule.local),
        local_ports: rule.local_ports,
        may_be_loopback: rule.may_be_loopback,
        has_local: rule.has_local,
    }
}
