//! [`PhaseTable`]: the first rule of each combination of classes of IPv4 flows.
//!
//! Recursive flow classification (Gupta and McKeown): each field of a flow is first brought to its
//! class, the values that the same rules hold; then two classes at a time to the class of their
//! combination, and the last combination to its first rule. A decision is a fixed number of look-ups in
//! tables of numbers of 16 bits, and compares nothing. Where rules have much in common, as people write
//! them, the classes are few; where they are many, there is no table.

mod sets;

use crate::flow::{Direction, Flow, FlowWords, IpProtocol};
use crate::matcher::classes::Classes;
use crate::matcher::columns::Columns;
use crate::matcher::direct::Direct;
use crate::matcher::interner::mixed;
use crate::matcher::intervals::GROUP;
use crate::matcher::lanes::Lanes;
use crate::matcher::leaf::{Case, Ranked};
use crate::matcher::numbers::Numbers;
use crate::matcher::phases::sets::{
    Sets, Tree, UniqueSets, for_each_rule, rules_beyond, set_of, sets_of_classes, words_of,
};
use crate::matcher::sided::SidedRule;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The table.
#[derive(Debug)]
pub(super) struct PhaseTable {
    remotes: Direct,
    locals: Direct,
    /// From [`FlowWords::kind_index`] to a class.
    kinds: Numbers,
    /// From a class of kinds and a remote port to one of both, and so on to the rule.
    by_remote_port: PortPhase,
    by_local_port: PortPhase,
    by_remote: Product,
    by_local: Product,
}

/// How large a table may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The number of rules.
    rules: usize,
    /// The number of combinations in all tables, and of what tells addresses apart after their first 16 bits;
    /// those of protocol, direction and ports may take an eighth.
    cells: usize,
}

impl Limits {
    /// What pays, for so many rules: no more than fits in a second-level cache of 2 MiB, which sets of more
    /// rules would exceed after they had taken long to make; and no more than there is [`room`](crate::matcher::direct::room)
    /// for.
    pub(super) fn of_rules(count: usize, room: usize) -> Limits {
        Limits { rules: 2048, cells: (count * 768).min(1 << 20).min(room) }
    }

    /// What numbers of rules have room for, and what tests and measurements have time for.
    pub(super) const ALL: Limits = Limits { rules: NONE as usize >> 2, cells: 1 << 24 };
}

impl PhaseTable {
    /// Makes the table of rules in ascending rank, by the classes of their remote and their local networks,
    /// unless it would be over the limits or a rule asks for a zone id.
    ///
    /// # Complexity
    ///
    /// Linear in the number of combinations of classes, times the rules that a class has at most.
    pub(super) fn new(
        rules: &[SidedRule],
        [remotes, locals]: [&Classes; 2],
        limits: Limits,
    ) -> Option<PhaseTable> {
        let is_zoned = rules.iter().any(|rule| rule.zones != [None; 2]);
        let last_rank = rules.last().map_or(0, |rule| rule.leaf.ranked.rank());
        if is_zoned || rules.len() > limits.rules || last_rank as usize >= Limits::ALL.rules {
            return None;
        }
        let of_ports = limits.cells / 8;
        let mut room = Room { cells: limits.cells - of_ports };
        for classes in [remotes, locals] {
            room.take(classes.direct_entries()?, 1)?;
        }
        let any_remote = |rule: &SidedRule| rule.remote.prefix_len() == 0;
        let any_local = |rule: &SidedRule| rule.local.prefix_len() == 0;
        let any_local_port = |rule: &SidedRule| is_any(rule.local_ports);
        // The combinations with both sides are still to come, of which those with the local one mostly are
        // the more. Rules for which there is no room are given up early, and before their sets take more
        // memory than the matcher is going to: 128 bytes a rule, for a time twice, and 512 with the remote side.
        let words = words_of(rules.len());
        let max = (limits.cells / 4 / remotes.count()).min(limits.cells / 48 / words);
        let mut room_of_ports = Room { cells: of_ports };
        let (kinds, sets) = kinds(rules, max)?;
        let last = |rule: &SidedRule| any_remote(rule) && any_local(rule) && any_local_port(rule);
        let last = set_of(rules, last);
        let (by_remote_port, sets) =
            PortPhase::new(rules, |rule| rule.leaf.ports(), sets, &last, max, &mut room_of_ports)?;
        let last = set_of(rules, |rule| any_remote(rule) && any_local(rule));
        let (by_local_port, sets) =
            PortPhase::new(rules, |rule| rule.local_ports, sets, &last, max, &mut room_of_ports)?;
        let of_remotes = Tree {
            sets: sets_of_classes(remotes, rules, |rule| remotes.number(rule.remote)),
            parents: &remotes.parents,
        };
        let max = (limits.cells / locals.count()).min(limits.cells / 12 / words);
        let last = set_of(rules, any_local);
        let (by_remote, sets) = room.cross(&of_remotes, &sets, &last, max)?;
        let by_local = room.first_of_both(rules, &sets, locals)?;
        Some(PhaseTable {
            remotes: remotes.to_direct()?,
            locals: locals.to_direct()?,
            kinds,
            by_remote_port,
            by_local_port,
            by_remote,
            by_local,
        })
    }

    /// Returns the first rule that matches a flow of two IPv4 addresses.
    #[inline(always)]
    pub(super) fn find(&self, flow: &Flow<'_>) -> Ranked {
        let (remote, local) = flow.ends();
        let of_remote = self.remotes.get(remote.folded_bits().1 as u32);
        let of_local = self.locals.get(local.folded_bits().1 as u32);
        let class = self.kinds.get(flow.words().kind_index());
        let class = self.by_remote_port.get(class, remote.port());
        let class = self.by_local_port.get(class, local.port());
        let class = self.by_remote.get(of_remote, class);
        ranked_of(self.by_local.get(of_local, class))
    }

    /// Returns the first rule that matches each flow of a group that is known, a step at a time for all
    /// of them; for the others, anything.
    #[inline(always)]
    pub(super) fn find_group(&self, lanes: impl Lanes, columns: &Columns<'_>) -> [Ranked; GROUP] {
        let of_remotes = self.remotes.gather(lanes, &columns.remote);
        let of_locals = self.locals.gather(lanes, &columns.local);
        let classes = self.kinds.gather(lanes, &columns.kind);
        let classes = self.by_remote_port.gather(lanes, classes, &columns.remote_port);
        let classes = self.by_local_port.gather(lanes, classes, &columns.local_port);
        let classes = self.by_remote.gather(lanes, &of_remotes, &classes);
        let found = self.by_local.gather(lanes, &of_locals, &classes);
        let mut ranked = [Ranked::NONE; GROUP];
        for (ranked, number) in ranked.iter_mut().zip(found) {
            *ranked = ranked_of(number);
        }
        ranked
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        self.remotes.size_bytes()
            + self.locals.size_bytes()
            + self.kinds.size_bytes()
            + self.by_remote_port.size_bytes()
            + self.by_local_port.size_bytes()
            + self.by_remote.cells.size_bytes()
            + self.by_local.cells.size_bytes()
    }
}

/// No rule, where numbers are those of rules.
const NONE: u16 = u16::MAX;

/// Returns what a rule, whose rank is within [`Limits::ALL`], is as a number.
fn number_of(ranked: Ranked) -> u16 {
    ranked.bits() as u16
}

/// Returns what was made a number by [`number_of`].
#[inline(always)]
fn ranked_of(number: u32) -> Ranked {
    let none = u32::from(number == u32::from(NONE));
    Ranked::of_bits(number | none.wrapping_neg())
}

/// A number for each combination of two.
#[derive(Debug)]
struct Product {
    /// How many the second can be.
    width: u32,
    cells: Numbers,
}

impl Product {
    #[inline(always)]
    fn get(&self, first: u32, second: u32) -> u32 {
        self.cells.get(first * self.width + second)
    }

    #[inline(always)]
    fn gather(
        &self,
        lanes: impl Lanes,
        first: &[u32; GROUP],
        second: &[u32; GROUP],
    ) -> [u32; GROUP] {
        let mut places = *first;
        for (place, second) in places.iter_mut().zip(second) {
            *place = place.wrapping_mul(self.width).wrapping_add(*second);
        }
        self.cells.gather(lanes, &places)
    }
}

/// From a class and a port to the class of both; nothing, where all rules hold every port.
#[derive(Debug)]
struct PortPhase(Option<(Ports, Product)>);

impl PortPhase {
    /// Makes the classes of the ports that rules name and combines them with others, given by their sets;
    /// the new classes are at most `max`.
    fn new(
        rules: &[SidedRule],
        ports: impl Fn(&SidedRule) -> (u16, u16),
        sets: Sets,
        last: &[u64],
        max: usize,
        room: &mut Room,
    ) -> Option<(PortPhase, Sets)> {
        if rules.iter().all(|rule| is_any(ports(rule))) {
            return Some((PortPhase(None), sets));
        }
        let (ports, of_ports) = Ports::new(rules, ports, max)?;
        let (product, sets) = room.cross(&Tree::flat(sets), &of_ports, last, max)?;
        Some((PortPhase(Some((ports, product))), sets))
    }

    #[inline(always)]
    fn get(&self, class: u32, port: u16) -> u32 {
        match &self.0 {
            Some((ports, product)) => product.get(class, ports.get(port)),
            None => class,
        }
    }

    #[inline(always)]
    fn gather(
        &self,
        lanes: impl Lanes,
        classes: [u32; GROUP],
        ports: &[u32; GROUP],
    ) -> [u32; GROUP] {
        match &self.0 {
            Some((of_ports, product)) => {
                product.gather(lanes, &classes, &of_ports.gather(lanes, ports))
            }
            None => classes,
        }
    }

    fn size_bytes(&self) -> usize {
        let size = |(ports, product): &(Ports, Product)| {
            ports.blocks.size_bytes() + ports.classes.size_bytes() + product.cells.size_bytes()
        };
        self.0.as_ref().map_or(0, size)
    }
}

/// Whether it is every port.
fn is_any(ports: (u16, u16)) -> bool {
    ports == (0, u16::MAX)
}

/// The number of ports that differ in their lowest byte only.
const BLOCK: usize = 256;

/// From a port to its class, in two steps.
#[derive(Debug)]
struct Ports {
    /// For each upper byte, the number of its block.
    blocks: Numbers,
    classes: Numbers,
}

impl Ports {
    /// Makes the classes of the ports that rules name, at most `max`, and their sets.
    fn new(
        rules: &[SidedRule],
        ports: impl Fn(&SidedRule) -> (u16, u16),
        max: usize,
    ) -> Option<(Ports, Sets)> {
        // Where a rule begins or has ended, if it does.
        let mut edges: Vec<(usize, usize)> = Vec::new();
        for (rule, (first, last)) in rules.iter().map(&ports).enumerate() {
            edges.extend((first != 0).then_some((first.into(), rule)));
            edges.extend((last != u16::MAX).then_some((usize::from(last) + 1, rule)));
        }
        edges.sort_unstable();
        let mut unique = UniqueSets::new(rules.len(), max);
        let mut set = set_of(rules, |rule| ports(rule).0 == 0);
        let mut class = unique.number(&set)?;
        let mut edges = edges.chunk_by(|(one, _), (other, _)| one == other).peekable();
        let (mut blocks, mut classes) = (Vec::with_capacity(BLOCK), Vec::new());
        // The blocks of one class.
        let mut uniform = HashMap::new();
        for block in 0..BLOCK {
            let (start, end) = (classes.len(), (block + 1) * BLOCK);
            let mut port = block * BLOCK;
            while let Some(edges) = edges.next_if(|edges| edges.iter().any(|edge| edge.0 < end)) {
                let first = edges.first().map_or(port, |edge| edge.0);
                classes.resize(classes.len() + first - port, class);
                for (_, rule) in edges {
                    *set.get_mut(rule / 64)? ^= 1 << (rule % 64);
                }
                (class, port) = (unique.number(&set)?, first);
            }
            let number = (start / BLOCK) as u16;
            blocks.push(match classes.len() == start {
                true => *uniform.entry(class).or_insert(number),
                false => number,
            });
            if blocks.last() == Some(&number) {
                classes.resize(start + BLOCK, class);
            }
        }
        let ports = Ports { blocks: Numbers::new(&blocks), classes: Numbers::new(&classes) };
        Some((ports, unique.sets))
    }

    #[inline(always)]
    fn get(&self, port: u16) -> u32 {
        let (block, low) = (self.blocks.get(u32::from(port) / BLOCK as u32), u32::from(port as u8));
        self.classes.get(block * BLOCK as u32 + low)
    }

    #[inline(always)]
    fn gather(&self, lanes: impl Lanes, ports: &[u32; GROUP]) -> [u32; GROUP] {
        let mut places = *ports;
        for place in &mut places {
            *place /= BLOCK as u32;
        }
        let mut places = self.blocks.gather(lanes, &places);
        for (place, port) in places.iter_mut().zip(ports) {
            *place = *place * BLOCK as u32 + port % BLOCK as u32;
        }
        self.classes.gather(lanes, &places)
    }
}

/// Makes the classes of [`FlowWords::kind_index`], at most `max`, and their sets.
fn kinds(rules: &[SidedRule], max: usize) -> Option<(Numbers, Sets)> {
    let mut unique = UniqueSets::new(rules.len(), max);
    let mut set = vec![0u64; unique.sets.words];
    // The rules of each kind, with one of them.
    let mut alike: BTreeMap<(u16, u8, bool), (&SidedRule, Vec<u64>)> = BTreeMap::new();
    for (place, rule) in rules.iter().enumerate() {
        let key = (rule.leaf.cases, rule.leaf.number, rule.may_be_loopback);
        let (_, of_kind) = alike.entry(key).or_insert_with(|| (rule, vec![0; set.len()]));
        *of_kind.get_mut(place / 64)? |= 1 << (place % 64);
    }
    // No rule matches another protocol than those that are named and these two, whatever the direction.
    let mut protocols = BTreeSet::from([IpProtocol::TCP.0, IpProtocol::UDP.0]);
    let numbered = rules.iter().filter(|rule| rule.leaf.is_number());
    protocols.extend(numbered.map(|rule| rule.leaf.number));
    let mut numbers = vec![unique.number(&set)?; FlowWords::KINDS];
    let directions = [Direction::Any, Direction::Inbound, Direction::Outbound];
    for (protocol, direction) in protocols.into_iter().flat_map(|p| directions.map(|d| (p, d))) {
        let flow = Flow::new(IpProtocol(protocol), direction);
        let case = Case::of(&flow);
        for is_loopback in [false, true] {
            set.fill(0);
            for (rule, of_kind) in alike.values() {
                let (first, _) = rule.leaf.ports();
                if rule.leaf.matches(case, first) && (rule.may_be_loopback || !is_loopback) {
                    set.iter_mut().zip(of_kind).for_each(|(set, word)| *set |= word);
                }
            }
            let index = flow.words().kind_index() | FlowWords::kind_of_loopback(is_loopback);
            *numbers.get_mut(index as usize)? = unique.number(&set)?;
        }
    }
    Some((Numbers::new(&numbers), unique.sets))
}

/// What is left of [`Limits`].
struct Room {
    cells: usize,
}

impl Room {
    /// Takes the cells of so many combinations.
    fn take(&mut self, first: usize, second: usize) -> Option<usize> {
        let count = first.checked_mul(second)?;
        self.cells = self.cells.checked_sub(count)?;
        Some(count)
    }

    /// Returns the classes of the combinations of two, at most `max`, and their sets.
    ///
    /// A rule of `last` matches whatever the other fields are, so that no rule behind it decides.
    fn cross(
        &mut self,
        first: &Tree<'_>,
        second: &Sets,
        last: &[u64],
        max: usize,
    ) -> Option<(Product, Sets)> {
        let width = second.count();
        let mut cells = vec![[0; 2]; self.take(first.sets.count(), width)?.div_ceil(2)];
        let numbers: &mut [u16] = cells.as_flattened_mut();
        let mut columns = None;
        let mut both = Both::new(UniqueSets::new(first.sets.words * 64, max), last);
        // For each class, which of the rules that the parent has not it holds.
        let mut beyond = vec![0u64; width];
        // What each number became last, and of which set and with which rules.
        let mut grown = Vec::new();
        for (number, one) in first.sets.iter().enumerate() {
            let start = number * width;
            both.begin(one);
            let parent = first.parent(number).and_then(|parent| {
                let own = rules_beyond(one, first.sets.get(parent)?);
                (own.len() <= u64::BITS as usize).then_some((parent, own))
            });
            let Some((parent, own)) = parent else {
                for (cell, other) in numbers.get_mut(start..)?.iter_mut().zip(second.iter()) {
                    *cell = both.number(other)?;
                }
                continue;
            };
            // As the parent, but for the classes that hold a rule which the parent has not: what becomes of
            // one number with the same of these rules is the same.
            beyond.fill(0);
            let columns = columns.get_or_insert_with(|| second.columns());
            for (bit, rule) in (0..).zip(own) {
                let column = columns.get(rule / 64)?;
                for (beyond, word) in beyond.iter_mut().zip(column) {
                    *beyond |= (word >> (rule % 64) & 1) << bit;
                }
            }
            numbers.copy_within(parent * width..(parent + 1) * width, start);
            grown.resize(both.unique.sets.count(), ((0, 0), 0u16));
            for (class, beyond) in (0..).zip(&beyond).filter(|(_, beyond)| **beyond != 0) {
                let cell = numbers.get_mut(start + class)?;
                let grown = grown.get_mut(usize::from(*cell))?;
                let key = (number, *beyond);
                if grown.0 != key {
                    *grown = (key, both.number(second.get(class)?)?);
                }
                *cell = grown.1;
            }
        }
        let product = Product { width: width as u32, cells: Numbers::of_pairs(cells) };
        Some((product, both.unique.sets))
    }

    /// Returns the first rule of each combination of local networks and classes, given by their sets.
    fn first_of_both(
        &mut self,
        rules: &[SidedRule],
        sets: &Sets,
        locals: &Classes,
    ) -> Option<Product> {
        let width = sets.count();
        let mut cells = vec![[NONE; 2]; self.take(locals.count(), width)?.div_ceil(2)];
        let numbers = cells.as_flattened_mut();
        // Where the row of a rule's local network begins, and the rule as a number.
        let own = rules.iter().map(|rule| {
            let row = locals.number(rule.local) as usize * width;
            (row, number_of(rule.leaf.ranked))
        });
        let own: Vec<(usize, u16)> = own.collect();
        for (place, set) in sets.iter().enumerate() {
            for_each_rule(set.iter().copied(), |rule| {
                if let Some((row, number)) = own.get(rule)
                    && let Some(first) = numbers.get_mut(row + place)
                {
                    *first = (*first).min(*number);
                }
            });
        }
        // Networks stand behind those that contain them.
        for (class, parent) in (1..).zip(&locals.parents) {
            let (before, row) = numbers.split_at_mut_checked(class * width)?;
            let of_parent = before.get(*parent as usize * width..)?.get(..width)?;
            for (first, of_parent) in row.iter_mut().zip(of_parent) {
                *first = (*first).min(*of_parent);
            }
        }
        Some(Product { width: width as u32, cells: Numbers::of_pairs(cells) })
    }
}

/// The sets of the rules that two sets have in common.
struct Both<'a> {
    /// The rules behind which none decides.
    last: &'a [u64],
    unique: UniqueSets,
    /// The words of the first set that are not 0, with their places.
    words: Vec<(usize, u64)>,
    /// What both have in common.
    set: Vec<u64>,
}

impl<'a> Both<'a> {
    fn new(unique: UniqueSets, last: &'a [u64]) -> Both<'a> {
        let set = vec![0; unique.sets.words];
        Both { last, unique, words: Vec::new(), set }
    }

    /// Takes a first set.
    fn begin(&mut self, one: &[u64]) {
        self.words.clear();
        self.words.extend((0..).zip(one.iter().copied()).filter(|(_, word)| *word != 0));
        self.set.fill(0);
    }

    /// Returns the number of what the first set and another have in common; none where there is no room.
    fn number(&mut self, other: &[u64]) -> Option<u16> {
        let (mut hash, mut is_over) = (0, false);
        for (place, word) in &self.words {
            let mut both = if is_over { 0 } else { word & other.get(*place)? };
            let ends = both & self.last.get(*place)?;
            if ends != 0 {
                // The lowest of the last ones and all below.
                both &= ends ^ (ends - 1);
                is_over = true;
            }
            *self.set.get_mut(*place)? = both;
            hash = mixed(hash, *place as u64, both);
        }
        self.unique.number_of(hash, &self.set)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is missing")]
mod tests {
    use super::*;
    use crate::endpoint::{Ports as PortRange, Zone};
    use crate::matcher::leaf::Leaf;
    use crate::rule::{Action, Protocol};
    use std::net::IpAddr;

    fn rule(rank: u32, (remote, local): (&str, &str), ports: [(u16, u16); 2]) -> SidedRule {
        let ranked = Ranked::new(rank, Action::Drop);
        let [(first, last), local_ports] = ports;
        let ports = match first {
            0 => PortRange::ANY,
            first => PortRange::range(first, last).unwrap(),
        };
        SidedRule {
            leaf: Leaf::new(ranked, ports, Protocol::Tcp, Direction::Any),
            remote: remote.parse().unwrap(),
            local: local.parse().unwrap(),
            local_ports,
            zones: [None; 2],
            may_be_loopback: true,
            has_local: true,
            is_of_any_host: false,
        }
    }

    fn table(rules: &[SidedRule], limits: Limits) -> Option<PhaseTable> {
        let remotes = Classes::new(rules.iter().map(|rule| rule.remote));
        let locals = Classes::new(rules.iter().map(|rule| rule.local));
        PhaseTable::new(rules, [&remotes, &locals], limits)
    }

    const SIDES: (&str, &str) = ("192.0.2.0/24", "10.0.0.0/8");
    const ANY: (u16, u16) = (0, u16::MAX);

    #[test]
    fn ports_of_one_class_are_in_the_same_rules() {
        let ranges = [
            (80, 80),
            (255, 256),
            (256, 511),
            (512, 512),
            (1000, 65535),
            (1024, 65535),
            (2000, 65534),
        ];
        for count in 0..=ranges.len() {
            let rules: Vec<_> = (0..)
                .zip(&ranges[..count])
                .map(|(rank, range)| rule(rank, SIDES, [*range, ANY]))
                .collect();
            let (ports, sets) = Ports::new(&rules, |rule| rule.leaf.ports(), usize::MAX).unwrap();
            for port in 0..=u16::MAX {
                let set = sets.get(ports.get(port) as usize).unwrap();
                let is_in = |(first, last): &(u16, u16)| (*first..=*last).contains(&port);
                let expected = ranges[..count].iter().rev();
                let expected = expected.fold(0, |bits, range| bits << 1 | u64::from(is_in(range)));
                assert_eq!(set, [expected], "of {port} in {count}");
            }
            // A block of 256 for each upper byte that is cut, and one for each class between them.
            assert!(ports.classes.size_bytes() <= 512 * (1 + 2 * count), "{count}");
        }
    }

    #[test]
    fn a_table_over_a_limit_is_not_made() {
        let rules: Vec<_> =
            (1..10).map(|port| rule(port.into(), SIDES, [(port, port), (port, ANY.1)])).collect();
        // 9 kinds of flows by protocol and direction, of which those of TCP are as one: 2 classes. With a
        // remote port 10, since other protocols are in no rule; with a local port as many. These combinations
        // may take an eighth.
        let cells = 8 * (2 * 10 + 10 * 10);
        let limits = |cells| Limits { rules: 9, cells };
        assert!(table(&rules, Limits::ALL).is_some());
        assert!(table(&rules, limits(cells)).is_some());
        assert!(table(&rules, limits(cells - 1)).is_none());
        assert!(table(&rules, Limits { rules: 8, cells }).is_none());
        // With hosts in place of ports 10 remote classes and 2 of kinds, 10 of both and 2 local ones; and of
        // each host a block for the third and one for the fourth byte. These may take the rest.
        let hosts: Vec<_> = (1..10)
            .map(|rank| rule(rank, (&format!("10.{rank}.0.1/32"), SIDES.1), [ANY, ANY]))
            .collect();
        let cells = (1..).find(|cells| cells - cells / 8 == 10 * 2 + 10 * 2 + 9 * 2 * 256).unwrap();
        assert!(table(&hosts, limits(cells)).is_some());
        assert!(table(&hosts, limits(cells - 1)).is_none());
        let mut zoned = rules.clone();
        zoned[8].zones[1] = Zone::new("en0").ok();
        assert!(zoned[8].zones[1].is_some() && table(&zoned, Limits::ALL).is_none());
        for (rank, is_made) in [(16_382, true), (16_383, false)] {
            let rule = rule(rank, SIDES, [ANY, ANY]);
            let table = table(&[rule], Limits::ALL);
            assert_eq!(table.is_some(), is_made, "of rank {rank}");
        }
    }

    #[test]
    fn kinds_of_one_class_are_in_the_same_rules() {
        let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Number(1), Protocol::Number(47)];
        let directions = [Direction::Any, Direction::Inbound, Direction::Outbound];
        let kinds_of_rules = protocols.into_iter().chain([Protocol::Any]).flat_map(|protocol| {
            directions.into_iter().flat_map(move |direction| {
                [true, false].map(|may_be_loopback| (protocol, direction, may_be_loopback))
            })
        });
        let rules: Vec<_> = (0..)
            .zip(kinds_of_rules)
            .map(|(rank, (protocol, direction, may_be_loopback))| {
                let ranked = Ranked::new(rank, Action::Drop);
                let leaf = Leaf::new(ranked, PortRange::ANY, protocol, direction);
                SidedRule { leaf, may_be_loopback, ..rule(rank, SIDES, [ANY, ANY]) }
            })
            .collect();
        let (numbers, sets) = kinds(&rules, usize::MAX).unwrap();
        for (protocol, direction) in
            (0..=u8::MAX).flat_map(|protocol| directions.map(|direction| (protocol, direction)))
        {
            let flow = Flow::new(IpProtocol(protocol), direction);
            for is_loopback in [false, true] {
                let kind = flow.words().kind_index() | FlowWords::kind_of_loopback(is_loopback);
                let found = sets.get(numbers.get(kind) as usize).unwrap();
                let is_in = |rule: &SidedRule| {
                    let holds = rule.leaf.matches(Case::of(&flow), 0);
                    holds && (rule.may_be_loopback || !is_loopback)
                };
                assert_eq!(found, set_of(&rules, is_in), "{flow} {is_loopback}");
            }
        }
    }

    #[test]
    fn classes_that_grow_by_other_rules_are_others() {
        // So many rules of a network within another, and within that one that has some of them too.
        for count in [2, 63, 64, 65, 130, 1200] {
            let rules: Vec<_> = (0..count)
                .flat_map(|rank| {
                    let port = 1000 + (rank / 2) as u16;
                    let remote = ["192.0.2.0/24", "192.0.2.128/25"][rank as usize % 2];
                    [rule(rank, (remote, SIDES.1), [(port, port), ANY])]
                })
                .chain([rule(count, ("192.0.0.0/16", SIDES.1), [ANY, ANY])])
                .collect();
            let table = table(&rules, Limits::ALL).unwrap();
            for (remote, port) in ["192.0.2.1", "192.0.2.129", "192.0.3.1", "10.0.0.1"]
                .into_iter()
                .flat_map(|remote| (999..1001 + count as u16 / 2).map(move |port| (remote, port)))
            {
                let remote: IpAddr = remote.parse().unwrap();
                let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
                    .with_remote_address(remote, None, port)
                    .with_local_address("10.0.0.1".parse().unwrap(), None, 5);
                let holds = |rule: &&SidedRule| {
                    let (first, last) = rule.leaf.ports();
                    rule.remote.contains(&remote) && (first..=last).contains(&port)
                };
                let expected =
                    rules.iter().find(holds).map_or(Ranked::NONE, |rule| rule.leaf.ranked);
                assert_eq!(table.find(&flow), expected, "{remote} {port} of {count}");
            }
        }
    }

    #[test]
    fn ranks_and_none_are_numbers() {
        for rank in [0, 1, 16_382] {
            for action in [Action::Allow, Action::Drop, Action::FilterData] {
                let ranked = Ranked::new(rank, action);
                assert_eq!(ranked_of(number_of(ranked).into()), ranked);
            }
        }
        assert_eq!(ranked_of(NONE.into()), Ranked::NONE);
    }
}
