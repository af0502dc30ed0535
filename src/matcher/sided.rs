//! [`Sided`]: rules by both sides, for flows whose two addresses are known and of one family: those
//! that have a local side, or all rules where most have one.
//!
//! Each rule is kept under one of its two sides: that whose network fewer rules share. A look-up
//! asks for the rules kept under the networks of the remote address and for those kept under the
//! networks of the local address, which are few, and compares all else of sixteen at once. Rules of
//! which both sides are wide are kept apart, by protocol.

use crate::endpoint::Zone;
use crate::flow::{End, Flow};
use crate::matcher::Crossing;
use crate::matcher::classes::Classes;
use crate::matcher::columns::{Bits, Column, Columns, Picked, Which, lanes_of};
use crate::matcher::cross::{self, CrossTable};
use crate::matcher::intervals::{GROUP, Intervals, Wanted, bounds};
use crate::matcher::lanes::{Job, Lanes, prefetch};
use crate::matcher::leaf::{Case, Leaf, Ranked};
use crate::matcher::memory;
use crate::matcher::phases::{self, PhaseTable};
use crate::matcher::ports::PortTable;
use crate::matcher::rows::{Place, RowQuery, RowRule, Rows};
use crate::matcher::words::{words_of, words_of_net};
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap};
use std::hint::select_unpredictable;

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
    /// Whether the remote side is nil or a wildcard.
    pub(super) is_of_any_host: bool,
}

/// The index. `W` is the number of 32-bit words in an address of the family: 1 or 4.
#[derive(Debug)]
pub(super) struct Sided<const W: usize> {
    by_remote: Side<W>,
    by_local: Side<W>,
    /// The place of remote addresses in no network that rules are kept under, but that of all.
    root: Place,
    wide: Wide,
    /// In place of all these, where the rules have enough in common.
    cross: Option<Crossed>,
}

/// All rules, by both sides at once.
#[derive(Debug)]
pub(super) enum Crossed {
    Phases(Box<PhaseTable>),
    Pairs(Box<CrossTable>),
}

/// How large what is made by both sides at once may become; none, for what is not to be made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CrossLimits {
    pub(super) phases: Option<phases::Limits>,
    pub(super) pairs: Option<cross::Limits>,
}

impl Crossed {
    fn new(rules: &[SidedRule], limits: CrossLimits) -> Option<Crossed> {
        if limits.phases.is_none() && limits.pairs.is_none() {
            return None;
        }
        let remotes = Classes::new(rules.iter().map(|rule| rule.remote));
        let locals = Classes::new(rules.iter().map(|rule| rule.local));
        if let Some(limits) = limits.phases
            && let Some(table) = PhaseTable::new(rules, [&remotes, &locals], limits)
        {
            return Some(Crossed::Phases(Box::new(table)));
        }
        let pairs = CrossTable::new(rules, [&remotes, &locals], limits.pairs?)?;
        Some(Crossed::Pairs(Box::new(pairs)))
    }

    /// Returns which of them it is.
    pub(super) fn crossing(&self) -> Crossing {
        match self {
            Crossed::Phases(_) => Crossing::Phases,
            Crossed::Pairs(_) => Crossing::Pairs,
        }
    }

    /// Returns the first rule that matches a flow of two IPv4 addresses.
    #[inline(always)]
    fn find(&self, lanes: impl Lanes, flow: &Flow<'_>) -> Ranked {
        match self {
            Crossed::Phases(table) => table.find(flow),
            Crossed::Pairs(table) => table.find(lanes, flow),
        }
    }

    /// Returns the first rule that matches each flow of a group that is known, a step at a time for all
    /// of them; for the others, anything.
    #[inline(always)]
    pub(super) fn find_group(&self, lanes: impl Lanes, columns: &Columns<'_>) -> [Ranked; GROUP] {
        match self {
            Crossed::Phases(table) => table.find_group(lanes, columns),
            Crossed::Pairs(table) => table.find_group(lanes, columns),
        }
    }

    /// Returns the memory held, in bytes on the heap.
    fn size_bytes(&self) -> usize {
        match self {
            Crossed::Phases(table) => size_of::<PhaseTable>() + table.size_bytes(),
            Crossed::Pairs(table) => size_of::<CrossTable>() + table.size_bytes(),
        }
    }
}

/// The rules that are kept under one of their sides.
#[derive(Debug)]
struct Side<const W: usize> {
    /// From an address to its rules; empty where the caller has the place.
    addresses: Intervals<Place>,
    rows: Rows<W>,
    links: Vec<Link>,
}

/// A list that is more than a row of rules.
#[derive(Debug)]
struct Link {
    /// The first rule of all, the parent's included.
    first: Ranked,
    /// The list of the next shorter network.
    parent: Place,
    /// By remote and by local port, the rules of which nothing else of the flow is compared but its
    /// case, where there are many.
    of_one_port: Option<Box<[PortTable; 2]>>,
    /// Of the others the rules for single remote ports, then those for single local ports, kept apart
    /// where there are many.
    by_remote_port: PortRows,
    by_local_port: PortRows,
    others: Place,
}

/// From a port to a row: a table with open addressing, at most half full, or of no slots.
#[derive(Debug, Default)]
struct PortRows {
    /// The port and the row; no rule is in the empty row, and no slot of a port has it.
    slots: Vec<(u16, Place)>,
}

/// The IPv4 rules of which both sides are wide.
#[derive(Debug)]
struct Wide {
    /// For TCP, UDP and other protocols.
    links: [Link; 3],
    /// The addresses of a flow are the remote one and the local one.
    rows: Rows<2>,
    is_empty: bool,
}

/// The longest list that is merged with that of the networks around.
const MAX_MERGED: usize = 32;

/// How many times the rules are kept in rows, at most, for the sake of merging them.
const MAX_COPIES: usize = 8;

/// The words of rows beyond which none are merged, so that places fit [`Place`].
const MAX_WORDS: usize = 1 << 29;

/// So many rules of which both sides are wide are merged into the lists of the remote side; the time
/// to ask for one row more is a fifth of a decision by two rows.
const FEW_WIDE: usize = 8;

/// Fewer flows of a group than these are looked up one by one.
// PERF: where nothing but some networks of remote addresses leads here; decide-batch/ipv6-1k.
const FEW_LANES: usize = GROUP / 4;

/// The length from which rules for single ports are kept apart.
const LONG: usize = 32;

impl<const W: usize> Sided<W> {
    /// Makes the index; the rules are in ascending rank. `has_all` says whether all rules are among
    /// them, so that every flow asks for both sides; then their IPv4 rules are crossed within
    /// `limits`.
    ///
    /// Where they are not, returns the place of each network that rules are kept under by their remote side: the
    /// caller looks up remote addresses anyway, and keeps the places with what he finds.
    ///
    /// # Complexity
    ///
    /// O(n log n), and memory linear in the number of rules times [`MAX_COPIES`], or that of
    /// [`CrossTable`].
    pub(super) fn new(
        rules: &[SidedRule],
        has_all: bool,
        limits: CrossLimits,
    ) -> (Sided<W>, Vec<(IpNet, Place)>) {
        let may_be_crossed = W == 1 && has_all && !rules.is_empty();
        if may_be_crossed && let Some(cross) = Crossed::new(rules, limits) {
            let (none, _) = Sided::new(&[], has_all, CrossLimits::default());
            return (Sided { cross: Some(cross), ..none }, Vec::new());
        }
        let mut counts: [HashMap<IpNet, u32>; 2] = Default::default();
        for rule in rules {
            for (counts, net) in counts.iter_mut().zip([rule.remote, rule.local]) {
                *counts.entry(net).or_default() += 1;
            }
        }
        let [remotes, locals] = &counts;
        let (mut by_remote, mut by_local, mut wide) = (Vec::new(), Vec::new(), Vec::new());
        for rule in rules {
            let cost = |net: IpNet, counts: &HashMap<IpNet, u32>| {
                let count = counts.get(&net).copied().unwrap_or(0);
                (!is_wide(net)).then_some((count, u8::MAX - net.prefix_len()))
            };
            match (cost(rule.remote, remotes), cost(rule.local, locals)) {
                (None, None) if W == 1 => wide.push(*rule),
                (Some(remote), local) if local.is_none_or(|local| remote <= local) => {
                    by_remote.push((rule.remote, row_rule(rule, words_of_net(rule.local))));
                }
                (_, Some(_)) => {
                    by_local.push((rule.local, row_rule(rule, words_of_net(rule.remote))))
                }
                _ => by_remote.push((rule.remote, row_rule(rule, words_of_net(rule.local)))),
            }
        }
        if has_all && wide.len() <= FEW_WIDE {
            let rules = wide.drain(..);
            by_remote
                .extend(rules.map(|rule| (rule.remote, row_rule(&rule, words_of_net(rule.local)))));
        }
        let (mut by_remote, mut networks) = Side::new(by_remote);
        let (mut by_local, locals) = Side::new(by_local);
        by_local.index(&locals);
        if has_all {
            by_remote.index(&networks);
            networks.clear();
        }
        let root = networks.first().filter(|(net, _)| net.prefix_len() == 0);
        let root = root.map_or(Place::EMPTY, |(_, place)| *place);
        let wide = Wide::new(&wide);
        (Sided { by_remote, by_local, root, wide, cross: None }, networks)
    }

    /// Returns the table of the rules where they are crossed.
    #[inline(always)]
    pub(super) fn cross(&self) -> Option<&Crossed> {
        self.cross.as_ref()
    }

    /// Returns the places that the two addresses of a flow lead to, both of the family, where all rules are here.
    /// Neither look-up waits for the other. Where the rules are crossed, no places are needed.
    #[inline(always)]
    pub(super) fn places_of_both(&self, lanes: impl Lanes, flow: &Flow<'_>) -> [Place; 2] {
        if W == 1 && self.cross.is_some() {
            return [Place::EMPTY; 2];
        }
        let (remote, local) = flow.ends();
        [self.by_remote.place(lanes, remote), self.by_local.place(lanes, local)]
    }

    /// Returns the places that the two addresses of a flow lead to, both of the family, given the one of the longest
    /// network of the remote address that rules with a local side name; none, if there is no such network.
    #[inline(always)]
    pub(super) fn places(
        &self,
        lanes: impl Lanes,
        flow: &Flow<'_>,
        of_remote: Option<Place>,
    ) -> [Place; 2] {
        [of_remote.unwrap_or(self.root), self.by_local.place(lanes, flow.ends().1)]
    }

    /// Returns what is to be looked up for [`places_of_both`](Sided::places_of_both) of rules that are not crossed.
    #[inline(always)]
    pub(super) fn wanted(&self, flow: &Flow<'_>) -> [Wanted<'_, Place>; 2] {
        let (remote, local) = flow.ends();
        [self.by_remote.wanted(remote), self.by_local.wanted(local)]
    }

    /// Returns the place of remote addresses in no network that rules with a local side name.
    #[inline(always)]
    pub(super) fn root(&self) -> Place {
        self.root
    }

    /// Begins to load what [`find`](Sided::find) reads first.
    #[inline(always)]
    pub(super) fn prefetch(&self, [of_remote, of_local]: [Place; 2]) {
        self.by_remote.prefetch(of_remote);
        self.by_local.prefetch(of_local);
    }

    /// Returns the first rule that matches and goes before `best`, else `best`. Both addresses of
    /// the flow are of the family.
    #[inline(always)]
    pub(super) fn find(
        &self,
        lanes: impl Lanes,
        [of_remote, of_local]: [Place; 2],
        flow: &Flow<'_>,
        best: Ranked,
    ) -> Ranked {
        if W == 1
            && let Some(cross) = &self.cross
        {
            return cross.find(lanes, flow).min(best);
        }
        let (remote, local) = flow.ends();
        let query = RowQuery::new(flow);
        // Neither waits for what the other finds.
        let none = Ranked::NONE;
        let by_remote = self.by_remote.find(lanes, of_remote, query, &words_of(local), none);
        let by_local = self.by_local.find(lanes, of_local, query, &words_of(remote), none);
        let best = best.min(by_remote).min(by_local);
        match W {
            1 if self.wide.first(Case::of(flow)) < best => self.wide.find(lanes, query, best),
            _ => best,
        }
    }

    /// Does the same where most flows have no rules of either side.
    #[inline(always)]
    pub(super) fn find_if_any(
        &self,
        lanes: impl Lanes,
        places: [Place; 2],
        flow: &Flow<'_>,
        best: Ranked,
    ) -> Ranked {
        match (places == [Place::EMPTY; 2]) & self.wide.is_empty & self.cross.is_none() {
            true => best,
            false => lanes.call(Find { sided: self, places, flow, best }),
        }
    }

    /// Puts the first rule that matches in place of those that it goes before, for those of a group
    /// of usual flows of the family that have a bit in `by_local`, or in `by_remote`, if rules with a local side name
    /// a network of the remote address; `of_remotes` has the places of the longest of these.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    pub(super) fn lower(
        &self,
        lanes: impl Lanes,
        columns: &Columns<'_>,
        by_local: Bits,
        (by_remote, of_remotes): (Bits, &[Place; GROUP]),
        best: &mut [Ranked; GROUP],
    ) {
        let (flows, wanted) = (columns.flows, by_local | by_remote);
        for lane in lanes_of(by_remote) {
            self.by_remote.prefetch(of_remotes[lane]);
        }
        let of_remote = |lane: usize| (by_remote >> lane & 1 != 0).then_some(of_remotes[lane]);
        if (wanted.count_ones() as usize) < FEW_LANES {
            for lane in lanes_of(wanted) {
                let Some(flow) = flows.get(lane) else { break };
                let places = self.places(lanes, flow, of_remote(lane));
                best[lane] = self.find_if_any(lanes, places, flow, best[lane]);
            }
            return;
        }
        let locals = &self.by_local.addresses;
        let [words] = locals.gather_ends(lanes, columns, Which::Local);
        // Of no rules the place is 0.
        let mut found = by_remote | lanes.nonzero(&words);
        if (self.root != Place::EMPTY) | !self.wide.is_empty {
            found = wanted;
        }
        for lane in lanes_of(found & wanted) {
            let Some(flow) = flows.get(lane) else { break };
            let of_remote = of_remote(lane).unwrap_or(self.root);
            let places = [of_remote, Place::of_words([words[lane]])];
            best[lane] = self.find_if_any(lanes, places, flow, best[lane]);
        }
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        let sides = [&self.by_remote, &self.by_local].map(Side::size_bytes);
        let cross = self.cross.as_ref().map_or(0, Crossed::size_bytes);
        sides.iter().sum::<usize>() + self.wide.size_bytes() + cross
    }
}

impl Sided<1> {
    /// Returns the first rule that matches each flow of a group that is a known IPv4 flow, a step at a
    /// time for all of them; for the others, anything.
    #[inline(always)]
    pub(super) fn find_group_v4(
        &self,
        lanes: impl Lanes,
        columns: &Columns<'_>,
    ) -> [Ranked; GROUP] {
        if let Some(cross) = &self.cross {
            return cross.find_group(lanes, columns);
        }
        let (flows, by_remote, by_local) = (columns.flows, &self.by_remote, &self.by_local);
        let of_remotes = by_remote.group_places(lanes, &columns.remote, flows.len());
        let of_locals = by_local.group_places(lanes, &columns.local, flows.len());
        let mut best = [Ranked::NONE; GROUP];
        by_remote.find_group(lanes, &of_remotes, flows, |flow| flow.ends().1, &mut best);
        by_local.find_group(lanes, &of_locals, flows, |flow| flow.ends().0, &mut best);
        if !self.wide.is_empty {
            let mut some = Picked::new();
            for (number, (best, flow)) in best.iter().zip(flows).enumerate() {
                some.push(number, self.wide.first(Case::of(flow)) < *best);
            }
            for number in some.numbers() {
                let (Some(flow), Some(best)) = (flows.get(number), best.get_mut(number)) else {
                    break;
                };
                *best = self.wide.find(lanes, RowQuery::new(flow), *best);
            }
        }
        best
    }
}

impl Side<1> {
    /// Returns the places that a group of addresses leads to, and begins to load what is there for the
    /// first `count`.
    #[inline(always)]
    fn group_places(&self, lanes: impl Lanes, addresses: &Column, count: usize) -> [Place; GROUP] {
        let [words] = self.addresses.gather_v4(lanes, addresses);
        let places = words.map(|word| Place::of_words([word]));
        for place in places.iter().take(count) {
            self.prefetch(*place);
        }
        places
    }
}

/// Whether too many addresses are in the network for rules to be kept under it.
fn is_wide(net: IpNet) -> bool {
    match net {
        IpNet::V4(net) => net.prefix_len() < 8,
        IpNet::V6(net) => net.prefix_len() < 16,
    }
}

/// Returns a rule as it stands in a row that is found by its other side, or by none: with the value
/// and the mask of what is compared of its addresses.
fn row_rule<const W: usize>(rule: &SidedRule, addresses: [[u32; W]; 2]) -> RowRule<W> {
    let SidedRule { leaf, local_ports, zones, may_be_loopback, .. } = rule;
    RowRule::new(leaf, *local_ports, *may_be_loopback, addresses, *zones)
}

/// A network that contains the one at hand, while a [`Side`] is made.
struct Around<const W: usize> {
    net: IpNet,
    /// The first rule of the place.
    first: Ranked,
    place: Place,
    /// All rules of the place, if it is a row.
    rules: Option<Vec<RowRule<W>>>,
}

impl<const W: usize> Side<W> {
    /// Keeps rules under networks, and returns the place of each of these, in ascending order.
    fn new(mut rules: Vec<(IpNet, RowRule<W>)>) -> (Side<W>, Vec<(IpNet, Place)>) {
        rules.sort_by_key(|(net, _)| *net);
        let max_copies = (rules.len() * MAX_COPIES * Rows::<W>::WORDS_OF_RULE).min(MAX_WORDS);
        let (mut rows, mut links, mut networks) = (Rows::new(), Vec::new(), Vec::new());
        // The networks that contain the one at hand.
        let mut path: Vec<Around<W>> = Vec::new();
        for rules_of_net in rules.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((net, _)) = rules_of_net.first() else { continue };
            while path.last().is_some_and(|around| !around.net.contains(net)) {
                path.pop();
            }
            let own: Vec<RowRule<W>> = rules_of_net.iter().map(|(_, rule)| *rule).collect();
            let (parent, inherited) = match path.last() {
                Some(around) => (around.place, around.rules.as_deref()),
                None => (Place::EMPTY, Some(&[][..])),
            };
            let merged = inherited.filter(|inherited| {
                let can_merge = inherited.is_empty() || rows.len() < max_copies;
                can_merge && inherited.len() + own.len() <= MAX_MERGED
            });
            let (place, rules) = match merged {
                Some(inherited) => {
                    let mut merged = [&own, inherited].concat();
                    merged.sort_by_key(|rule| rule.ranked);
                    (rows.add(&merged), Some(merged))
                }
                None => {
                    let first = path.last().map_or(Ranked::NONE, |around| around.first);
                    links.push(Link::new(own, (parent, first), &mut rows));
                    (Place::of_link(links.len() - 1), None)
                }
            };
            networks.push((*net, place));
            let own = rules_of_net.iter().map(|(_, rule)| rule.ranked).min();
            let around = path.last().map_or(Ranked::NONE, |around| around.first);
            let first = own.map_or(around, |own| own.min(around));
            path.push(Around { net: *net, first, place, rules });
        }
        rows.finish();
        links.shrink_to_fit();
        (Side { addresses: Intervals::new(&[], Place::EMPTY), rows, links }, networks)
    }

    /// Makes the index of these places.
    fn index(&mut self, networks: &[(IpNet, Place)]) {
        let of_net = |(net, place): &(IpNet, Place)| {
            let (first, last) = bounds(*net);
            (first, last, *place)
        };
        let networks: Vec<_> = networks.iter().map(of_net).collect();
        self.addresses = Intervals::new(&networks, Place::EMPTY);
    }

    /// Begins to load what a search at a place reads first.
    #[inline(always)]
    fn prefetch(&self, place: Place) {
        match place.link() {
            None => self.rows.prefetch(place),
            Some(link) => prefetch(self.links.get(link)),
        }
    }

    #[inline(always)]
    fn place(&self, lanes: impl Lanes, end: &End) -> Place {
        let (high, low) = end.folded_bits();
        match W {
            1 => *self.addresses.get_v4(lanes, low as u32),
            _ => *self.addresses.get_v6(lanes, high, low),
        }
    }

    #[inline(always)]
    fn wanted(&self, end: &End) -> Wanted<'_, Place> {
        let (high, low) = end.folded_bits();
        let (high, low) = if W == 1 { (low << 32, 0) } else { (high, low) };
        Wanted { intervals: &self.addresses, high, low }
    }

    /// Returns the first rule that matches and goes before `best`, else `best`.
    #[inline(always)]
    fn find(
        &self,
        lanes: impl Lanes,
        place: Place,
        query: RowQuery<'_>,
        other: &[u32; W],
        best: Ranked,
    ) -> Ranked {
        match place.link() {
            None => self.rows.find(lanes, place, query, other, best),
            Some(link) => {
                lanes.call(FindInLinks { side: self, link, flow: query.flow, other: *other, best })
            }
        }
    }

    /// Puts the first rule that matches in place of `best` where it goes before, for each of a group
    /// of flows. `other` is the end that does not lead to the place.
    #[inline(always)]
    fn find_group(
        &self,
        lanes: impl Lanes,
        places: &[Place; GROUP],
        flows: &[Flow<'_>],
        other: impl for<'f> Fn(&'f Flow<'_>) -> &'f End,
        best: &mut [Ranked; GROUP],
    ) {
        // Those of flows that have rules here, and of these that have more to read, which no machine could foresee.
        let (mut some, mut further) = (Picked::new(), Picked::new());
        for (number, (_, place)) in flows.iter().zip(places).enumerate() {
            some.push(number, *place != Place::EMPTY);
        }
        for number in some.numbers() {
            let of_flow = (flows.get(number), places.get(number), best.get_mut(number));
            let (Some(flow), Some(place), Some(best)) = of_flow else { break };
            let link = place.link();
            let row = select_unpredictable(link.is_none(), *place, Place::EMPTY);
            let (query, other) = (RowQuery::new(flow), words_of(other(flow)));
            let (first, has_more) = self.rows.find_in_first(lanes, row, query, &other);
            *best = first.min(*best);
            further.push(number, has_more & (first == Ranked::NONE) | link.is_some());
        }
        for number in further.numbers() {
            let of_flow = (flows.get(number), places.get(number), best.get_mut(number));
            if let (Some(flow), Some(place), Some(best)) = of_flow {
                let (query, other) = (RowQuery::new(flow), words_of(other(flow)));
                *best = match place.link() {
                    None => self.rows.find_further(lanes, *place, query, &other, *best),
                    Some(_) => self.find(lanes, *place, query, &other, *best),
                };
            }
        }
    }

    fn size_bytes(&self) -> usize {
        self.addresses.size_bytes()
            + self.rows.size_bytes()
            + memory::of_vec(&self.links)
            + self.links.iter().map(Link::size_bytes).sum::<usize>()
    }
}

/// The search of rules of which most flows have none.
struct Find<'a, const W: usize> {
    sided: &'a Sided<W>,
    places: [Place; 2],
    flow: &'a Flow<'a>,
    best: Ranked,
}

impl<const W: usize> Job for Find<'_, W> {
    type Output = Ranked;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> Ranked {
        let Find { sided, places: [of_remote, of_local], flow, mut best } = self;
        if W == 1
            && let Some(cross) = &sided.cross
        {
            return cross.find(lanes, flow).min(best);
        }
        let (remote, local) = flow.ends();
        let query = RowQuery::new(flow);
        if of_remote != Place::EMPTY {
            best = sided.by_remote.find(lanes, of_remote, query, &words_of(local), best);
        }
        if of_local != Place::EMPTY {
            best = sided.by_local.find(lanes, of_local, query, &words_of(remote), best);
        }
        match sided.wide.first(Case::of(flow)) < best {
            true => sided.wide.find(lanes, query, best),
            false => best,
        }
    }
}

/// The search of a list that is more than a row.
struct FindInLinks<'a, const W: usize> {
    side: &'a Side<W>,
    link: usize,
    flow: &'a Flow<'a>,
    other: [u32; W],
    best: Ranked,
}

impl<const W: usize> Job for FindInLinks<'_, W> {
    type Output = Ranked;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> Ranked {
        let FindInLinks { side: Side { rows, links, .. }, link, flow, other, mut best } = self;
        let query = RowQuery::new(flow);
        let mut next = Some(link);
        while let Some(link) = next.and_then(|link| links.get(link)) {
            if link.first >= best {
                return best;
            }
            best = link.find_own(lanes, rows, query, &other, best);
            next = link.parent.link();
            if next.is_none() {
                best = rows.find(lanes, link.parent, query, &other, best);
            }
        }
        best
    }
}

/// The search of rules kept by their ports.
struct FindByPort<'a, const W: usize> {
    link: &'a Link,
    rows: &'a Rows<W>,
    flow: &'a Flow<'a>,
    other: [u32; W],
    best: Ranked,
}

impl<const W: usize> Job for FindByPort<'_, W> {
    type Output = Ranked;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> Ranked {
        let FindByPort { link, rows, flow, other, mut best } = self;
        let query = RowQuery::new(flow);
        for place in
            [link.by_remote_port.get(query.remote_port), link.by_local_port.get(query.local_port)]
        {
            best = rows.find(lanes, place, query, &other, best);
        }
        best
    }
}

impl Link {
    /// Makes a list of its own rules and those of a parent, given with its first rule.
    fn new<const W: usize>(
        own: Vec<RowRule<W>>,
        (parent, of_parent): (Place, Ranked),
        rows: &mut Rows<W>,
    ) -> Link {
        let first = own.iter().map(|rule| rule.ranked).fold(of_parent, Ranked::min);
        let mut others = own;
        let mut of_one_port: [Vec<Leaf>; 2] = Default::default();
        let is_of_one = |rule: &RowRule<W>| rule.of_one_port().is_some();
        if others.iter().filter(|rule| is_of_one(rule)).count() > LONG / 2 {
            for (is_remote, leaf) in others.iter().filter_map(RowRule::of_one_port) {
                let [of_remote, of_local] = &mut of_one_port;
                if is_remote { of_remote } else { of_local }.push(leaf);
            }
            others.retain(|rule| !is_of_one(rule));
        }
        let is_empty = of_one_port.iter().all(Vec::is_empty);
        let of_one_port = of_one_port.map(|leaves| PortTable::new(&leaves));
        let of_one_port = (!is_empty).then(|| Box::new(of_one_port));
        let by_remote_port = PortRows::new(&mut others, rows, RowRule::single_remote_port);
        let by_local_port = PortRows::new(&mut others, rows, RowRule::single_local_port);
        let others = rows.add(&others);
        Link { first, parent, of_one_port, by_remote_port, by_local_port, others }
    }

    /// Returns the first of the rules that are not the parent's that matches and goes before `best`,
    /// else `best`.
    #[inline(always)]
    fn find_own<const W: usize>(
        &self,
        lanes: impl Lanes,
        rows: &Rows<W>,
        query: RowQuery<'_>,
        other: &[u32; W],
        mut best: Ranked,
    ) -> Ranked {
        if let Some(of_one_port) = self.of_one_port.as_deref() {
            let [of_remote, of_local] = of_one_port;
            let case = Case::of(query.flow);
            best = best.min(of_remote.get(lanes, query.remote_port, case));
            best = best.min(of_local.get(lanes, query.local_port, case));
        }
        if self.others != Place::EMPTY {
            best = rows.find(lanes, self.others, query, other, best);
        }
        match self.has_ports() {
            true => self.find_by_port(lanes, rows, query, other, best),
            false => best,
        }
    }

    /// Whether rules are kept by their ports.
    #[inline(always)]
    fn has_ports(&self) -> bool {
        !(self.by_remote_port.slots.is_empty() & self.by_local_port.slots.is_empty())
    }

    /// Returns the first of the rules that are kept by their ports that matches and goes before
    /// `best`, else `best`.
    #[inline(always)]
    fn find_by_port<const W: usize>(
        &self,
        lanes: impl Lanes,
        rows: &Rows<W>,
        query: RowQuery<'_>,
        other: &[u32; W],
        best: Ranked,
    ) -> Ranked {
        lanes.call(FindByPort { link: self, rows, flow: query.flow, other: *other, best })
    }

    fn size_bytes(&self) -> usize {
        let ports = [&self.by_remote_port, &self.by_local_port];
        let tables = self.of_one_port.as_deref().map_or(0, |tables| {
            size_of::<[PortTable; 2]>() + tables.iter().map(PortTable::size_bytes).sum::<usize>()
        });
        ports.iter().map(|rows| memory::of_vec(&rows.slots)).sum::<usize>() + tables
    }
}

impl PortRows {
    /// Takes the rules for single ports away, if there are many, each port's as a row.
    fn new<const W: usize>(
        rules: &mut Vec<RowRule<W>>,
        rows: &mut Rows<W>,
        single: impl Fn(&RowRule<W>) -> Option<u16>,
    ) -> PortRows {
        if rules.len() <= LONG {
            return PortRows::default();
        }
        let mut by_port: BTreeMap<u16, Vec<RowRule<W>>> = BTreeMap::new();
        for rule in &*rules {
            if let Some(port) = single(rule) {
                by_port.entry(port).or_default().push(*rule);
            }
        }
        if by_port.is_empty() {
            return PortRows::default();
        }
        rules.retain(|rule| single(rule).is_none());
        let mut slots = vec![(0, Place::EMPTY); (by_port.len() * 2).next_power_of_two()];
        let last = slots.len() - 1;
        for (port, rules) in by_port {
            let mut home = home(port);
            while let Some(slot) = slots.get_mut(home & last) {
                if slot.1 == Place::EMPTY {
                    *slot = (port, rows.add(&rules));
                    break;
                }
                home += 1;
            }
        }
        PortRows { slots }
    }

    #[inline(always)]
    fn get(&self, port: u16) -> Place {
        let mut home = home(port);
        // Half of the slots are empty, if there are any.
        while let Some((own, place)) = self.slots.get(home & self.slots.len().wrapping_sub(1)) {
            if (*own == port) | (*place == Place::EMPTY) {
                return *place;
            }
            home += 1;
        }
        Place::EMPTY
    }
}

/// Returns where the search for a port begins, but for the number of slots.
#[inline(always)]
fn home(port: u16) -> usize {
    let product = port.wrapping_mul(0x9e37);
    usize::from(product ^ product >> 7)
}

impl Wide {
    fn new(rules: &[SidedRule]) -> Wide {
        let is_empty = rules.is_empty();
        let mut rows = Rows::new();
        let links = [0u16, 1, 2].map(|protocol| {
            let of_protocol =
                rules.iter().filter(|rule| rule.leaf.cases >> (protocol * 3) & 7 != 0);
            let rules: Vec<RowRule<2>> = of_protocol.map(wide_rule).collect();
            Link::new(rules, (Place::EMPTY, Ranked::NONE), &mut rows)
        });
        rows.finish();
        Wide { links, rows, is_empty }
    }

    /// Returns the first of the rules for a protocol.
    #[inline(always)]
    fn first(&self, case: Case) -> Ranked {
        self.links.get(case.protocol()).map_or(Ranked::NONE, |link| link.first)
    }

    #[inline(always)]
    fn find(&self, lanes: impl Lanes, query: RowQuery<'_>, best: Ranked) -> Ranked {
        let protocol = Case::of(query.flow).protocol();
        let Some(link) = self.links.get(protocol) else { return best };
        let (remote, local) = query.flow.ends();
        let ([remote], [local]) = (words_of(remote), words_of(local));
        link.find_own(lanes, &self.rows, query, &[remote, local], best)
    }

    fn size_bytes(&self) -> usize {
        self.rows.size_bytes() + self.links.iter().map(Link::size_bytes).sum::<usize>()
    }
}

fn wide_rule(rule: &SidedRule) -> RowRule<2> {
    let ([[remote], [in_remote]], [[local], [in_local]]) =
        (words_of_net(rule.remote), words_of_net(rule.local));
    row_rule(rule, [[remote, local], [in_remote, in_local]])
}
