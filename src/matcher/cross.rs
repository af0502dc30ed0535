//! [`CrossTable`]: for each pair of a class of remote and one of local IPv4 addresses, the rules that
//! hold both.
//!
//! A class is the addresses with the same longest network among those of the rules. A cell for each
//! pair of classes says where its rules stand: two look-ups that do not wait for each other, one cell,
//! and mostly one row of a handful of rules, of which no address is compared any more. Blocks of cells
//! that are alike are kept once.

use crate::flow::Flow;
use crate::matcher::classes::Classes;
use crate::matcher::columns::Columns;
use crate::matcher::direct::Direct;
use crate::matcher::interner::{Interner, mixed};
use crate::matcher::intervals::GROUP;
use crate::matcher::lanes::Lanes;
use crate::matcher::leaf::Ranked;
use crate::matcher::memory;
use crate::matcher::rows::{RowQuery, RowRule, Rows, Spot};
use crate::matcher::sided::SidedRule;
use std::ops::Range;

/// The table.
#[derive(Debug)]
pub(super) struct CrossTable {
    remotes: Direct,
    locals: Direct,
    /// For each remote class and each [`BLOCK`] of local ones, the number of the block's first cell.
    directory: Vec<u32>,
    /// The number of blocks of local classes.
    width: u32,
    /// The rows of the rules.
    cells: Vec<Spot>,
    rows: Rows<0>,
}

/// The number of cells in a block.
const BLOCK: usize = 32;

/// How large a table may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The number of blocks that the directory has.
    pub(super) directory: usize,
    /// The number of blocks of cells.
    pub(super) blocks: usize,
    /// The number of rules in all rows.
    pub(super) copies: usize,
    /// The number of entries that tell addresses apart after their first 16 bits.
    pub(super) entries: usize,
}

impl Limits {
    /// What pays, for so many rules. A table that is much larger than a second-level cache takes longer
    /// than the comparisons that it saves. The entries are no more than there is [`room`](crate::matcher::direct::room) for.
    pub(super) fn of_rules(count: usize, room: usize) -> Limits {
        Limits {
            directory: (count * 32).min(1 << 17),
            blocks: (count * 2).min(1 << 15),
            copies: (count * 32).min(1 << 18),
            entries: room.min(1 << 20),
        }
    }

    /// What the numbers of cells and rows have room for.
    pub(super) const ALL: Limits =
        Limits { directory: 1 << 28, blocks: 1 << 23, copies: 1 << 27, entries: usize::MAX };
}

impl CrossTable {
    /// Makes the table of rules in ascending rank, by the classes of their remote and their local networks,
    /// unless it would be over the limits.
    ///
    /// # Complexity
    ///
    /// Linear in the size of the directory, in the number of blocks that rules stand in, and in that
    /// of the rules in all rows.
    pub(super) fn new(
        rules: &[SidedRule],
        [remotes, locals]: [&Classes; 2],
        limits: Limits,
    ) -> Option<CrossTable> {
        let entries = remotes.direct_entries()?.checked_add(locals.direct_entries()?)?;
        if entries > limits.entries {
            return None;
        }
        let width = locals.count().div_ceil(BLOCK);
        let size = remotes.count().checked_mul(width).filter(|size| *size <= limits.directory)?;
        let mut builder = Builder::new(rules, limits);
        let directory = builder.cross(remotes, locals, size)?;
        let (cells, rows) = builder.finish()?;
        let (remotes, locals) = (remotes.to_direct()?, locals.to_direct()?);
        Some(CrossTable { remotes, locals, directory, width: width as u32, cells, rows })
    }

    /// Returns the first rule that matches a flow of two IPv4 addresses.
    #[inline(always)]
    pub(super) fn find(&self, lanes: impl Lanes, flow: &Flow<'_>) -> Ranked {
        let (remote, local) = flow.ends();
        let remote = self.remotes.get(remote.folded_bits().1 as u32) as usize;
        let local = self.locals.get(local.folded_bits().1 as u32) as usize;
        let block = self.directory.get(remote * self.width as usize + local / BLOCK);
        let cell = block.map_or(usize::MAX, |first| *first as usize + local % BLOCK);
        let spot = self.cells.get(cell).copied().unwrap_or(Spot::EMPTY);
        self.rows.find_at(lanes, spot, RowQuery::new(flow), &[])
    }

    /// Returns the first rule that matches each flow of a group that is known, a step at a time for all
    /// of them; for the others, anything.
    #[inline(always)]
    pub(super) fn find_group(&self, lanes: impl Lanes, columns: &Columns<'_>) -> [Ranked; GROUP] {
        let flows = columns.flows;
        let remotes = self.remotes.gather(lanes, &columns.remote);
        let locals = self.locals.gather(lanes, &columns.local);
        let mut cells = [0; GROUP];
        for ((cell, remote), local) in cells.iter_mut().zip(remotes).zip(locals) {
            *cell = remote.wrapping_mul(self.width).wrapping_add(local / BLOCK as u32);
        }
        let [firsts] = lanes.gather(&self.directory, &cells);
        for ((cell, first), local) in cells.iter_mut().zip(firsts).zip(locals) {
            *cell = first.wrapping_add(local % BLOCK as u32);
        }
        let [spots] = lanes.gather(&self.cells, &cells);
        let spots = spots.map(|spot| Spot::of_words([spot]));
        for spot in spots.iter().take(flows.len()) {
            self.rows.prefetch_spot(*spot);
        }
        let mut best = [Ranked::NONE; GROUP];
        for ((best, spot), flow) in best.iter_mut().zip(spots).zip(flows) {
            *best = self.rows.find_at(lanes, spot, RowQuery::new(flow), &[]);
        }
        best
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        self.remotes.size_bytes()
            + self.locals.size_bytes()
            + memory::of_vec(&self.directory)
            + memory::of_vec(&self.cells)
            + self.rows.size_bytes()
    }
}

/// A rule by the classes of the networks of its two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Own {
    remote: u32,
    local: u32,
    rule: u32,
}

/// The blocks of cells and the lists of rules that these have, each once, while a table is made.
struct Builder<'a> {
    rules: &'a [SidedRule],
    limits: Limits,
    /// Lists, by number.
    cells: Vec<u32>,
    blocks: Interner,
    /// The rules of all lists, those of one ascending, and where each list stands.
    ranks: Vec<u32>,
    lists: Vec<Range<usize>>,
    numbers: Interner,
    /// The rules of the list that is made at the moment.
    rules_of_list: Vec<u32>,
    /// What a list has become with the rules that are added at the moment.
    grown: Vec<Grown>,
    /// How often these have changed.
    round: u32,
}

#[derive(Clone, Copy)]
struct Grown {
    round: u32,
    list: u32,
}

/// The list of no rules.
const EMPTY: u32 = 0;

impl<'a> Builder<'a> {
    fn new(rules: &'a [SidedRule], limits: Limits) -> Builder<'a> {
        let mut builder = Builder {
            rules,
            limits,
            cells: Vec::new(),
            blocks: Interner::new(),
            ranks: Vec::new(),
            lists: Vec::new(),
            numbers: Interner::new(),
            rules_of_list: Vec::new(),
            grown: Vec::new(),
            round: 0,
        };
        // Those without rules are the first.
        builder.list(&[]);
        builder.block([EMPTY; BLOCK]);
        builder
    }

    /// Makes the cells of all pairs of classes, and returns the directory, of `size` blocks; none over
    /// a limit.
    fn cross(&mut self, remotes: &Classes, locals: &Classes, size: usize) -> Option<Vec<u32>> {
        // Rules of a remote class, by their local class, follow each other.
        let mut own: Vec<Own> = (0..)
            .zip(self.rules)
            .map(|(rule, SidedRule { remote, local, .. })| Own {
                remote: remotes.number(*remote),
                local: locals.number(*local),
                rule,
            })
            .collect();
        own.sort_unstable();
        let width = locals.count().div_ceil(BLOCK);
        let mut directory = Vec::with_capacity(size);
        directory.resize(width, 0);
        let mut rest = own.as_slice();
        for (number, parent) in (1..).zip(&remotes.parents) {
            let of_class = rest.partition_point(|own| own.remote == number);
            let (own, others) = rest.split_at_checked(of_class)?;
            rest = others;
            let start = directory.len();
            let of_parent = *parent as usize * width;
            directory.extend_from_within(of_parent..of_parent + width);
            self.add(directory.get_mut(start..)?, own, locals)?;
        }
        Some(directory)
    }

    /// Adds rules to the cells of a remote class, given by its blocks: each to those of the local
    /// classes within its network. Returns none over a limit.
    fn add(&mut self, directory: &mut [u32], own: &[Own], locals: &Classes) -> Option<()> {
        // The rules that hold the local class at hand, those of the longest network last.
        let mut active: Vec<(usize, u32)> = Vec::new();
        let mut own = own.iter().peekable();
        let mut class = match own.peek() {
            Some(first) => first.local as usize,
            None => return Some(()),
        };
        while let Some(block) = directory.get_mut(class / BLOCK) {
            let first = *block as usize;
            let mut cells: [u32; BLOCK] = *self.cells.get(first..)?.first_chunk()?;
            let end = (class / BLOCK + 1) * BLOCK;
            while class < end {
                let is_over = |(end, _): &mut (usize, u32)| *end <= class;
                let mut has_changed = active.pop_if(is_over).is_some();
                while active.pop_if(is_over).is_some() {}
                if active.is_empty() {
                    class = own.peek().map_or(usize::MAX, |next| next.local as usize);
                    if class >= end {
                        break;
                    }
                }
                while let Some(Own { local, rule, .. }) =
                    own.next_if(|own| own.local as usize == class)
                {
                    active.push((locals.end(*local), *rule));
                    has_changed = true;
                }
                self.round += u32::from(has_changed);
                let cell = cells.get_mut(class % BLOCK)?;
                *cell = self.grown(*cell, &active)?;
                class += 1;
            }
            *block = self.block(cells)?;
        }
        Some(())
    }

    /// Returns the number of the first cell of a block.
    fn block(&mut self, cells: [u32; BLOCK]) -> Option<u32> {
        let (blocks, first) = (self.cells.as_chunks().0, self.cells.len());
        let is_same = |first: u32| blocks.get(first as usize / BLOCK) == Some(&cells);
        let number = self.blocks.number(hash(&cells), first as u32, is_same)?;
        if number as usize == first {
            if first / BLOCK >= self.limits.blocks {
                return None;
            }
            self.cells.extend(cells);
        }
        Some(number)
    }

    /// Returns the number of a list with more rules.
    fn grown(&mut self, list: u32, active: &[(usize, u32)]) -> Option<u32> {
        let grown = self.grown.get(list as usize)?;
        if grown.round == self.round {
            return Some(grown.list);
        }
        let span = self.lists.get(list as usize)?.clone();
        let mut rules = std::mem::take(&mut self.rules_of_list);
        rules.clear();
        rules.extend(self.ranks.get(span)?);
        rules.extend(active.iter().map(|(_, rule)| *rule));
        rules.sort_unstable();
        self.drop_covered(&mut rules);
        let number = self.list(&rules)?;
        self.rules_of_list = rules;
        if let Some(grown) = self.grown.get_mut(list as usize) {
            *grown = Grown { round: self.round, list: number };
        }
        Some(number)
    }

    /// Returns the number of a list.
    fn list(&mut self, rules: &[u32]) -> Option<u32> {
        let (ranks, lists, count) = (&self.ranks, &self.lists, self.lists.len());
        let list = |number| lists.get(number as usize).and_then(|list| ranks.get(list.clone()));
        let is_same = |number| list(number) == Some(rules);
        let number = self.numbers.number(hash(rules), count as u32, is_same)?;
        if number as usize == count {
            let start = self.ranks.len();
            if start + rules.len() > self.limits.copies {
                return None;
            }
            self.ranks.extend(rules);
            self.lists.push(start..self.ranks.len());
            self.grown.push(Grown { round: 0, list: EMPTY });
        }
        Some(number)
    }

    /// Drops the rules that can never decide, since earlier ones match every port in all their cases.
    fn drop_covered(&self, rules: &mut Vec<u32>) {
        // For flows that are loopback flows, and those that are not.
        let (mut covered_loopback, mut covered) = (0u16, 0u16);
        rules.retain(|rule| {
            let Some(rule) = self.rules.get(*rule as usize) else { return false };
            let SidedRule { leaf, local_ports, zones, may_be_loopback, .. } = rule;
            let by_earlier = if *may_be_loopback { covered_loopback } else { covered };
            let is_needed = leaf.is_number() || leaf.cases & !by_earlier != 0;
            let is_any_port = leaf.is_any_port() && *local_ports == (0, u16::MAX);
            if is_any_port && *zones == [None; 2] && !leaf.is_number() {
                covered |= leaf.cases;
                covered_loopback |= if *may_be_loopback { leaf.cases } else { 0 };
            }
            is_needed
        });
    }

    /// Returns the cells and the rows of all lists; none if they are too many.
    fn finish(self) -> Option<(Vec<Spot>, Rows<0>)> {
        let rules: Vec<RowRule<0>> = self.rules.iter().map(row_rule).collect();
        let (mut rows, mut spots, mut of_list) = (Rows::new(), Vec::new(), Vec::new());
        for list in self.lists {
            let ranks = self.ranks.get(list).unwrap_or(&[]);
            of_list.clear();
            of_list.extend(ranks.iter().filter_map(|rule| rules.get(*rule as usize)));
            let place = rows.add(&of_list);
            spots.push(rows.spot(place)?);
        }
        rows.finish();
        let cells = self.cells.iter().map(|list| spots.get(*list as usize));
        Some((cells.map(|spot| spot.copied().unwrap_or(Spot::EMPTY)).collect(), rows))
    }
}

/// Returns the hash of a block or of a list.
fn hash(numbers: &[u32]) -> u64 {
    let (pairs, rest) = numbers.as_chunks();
    let pairs = pairs.iter().map(|[one, other]| u64::from(*one) << 32 | u64::from(*other));
    let words = pairs.chain(rest.iter().map(|one| u64::from(*one)));
    (0..).zip(words).fold(0, |hash, (place, word)| mixed(hash, place, word))
}

/// Returns a rule as it stands in a row that both its sides lead to.
fn row_rule(rule: &SidedRule) -> RowRule<0> {
    let SidedRule { leaf, local_ports, zones, may_be_loopback, .. } = rule;
    RowRule::new(leaf, *local_ports, *may_be_loopback, [[]; 2], *zones)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is missing")]
mod tests {
    use super::*;
    use crate::endpoint::Ports;
    use crate::flow::Direction;
    use crate::matcher::direct;
    use crate::matcher::leaf::Leaf;
    use crate::rule::{Action, Protocol};

    #[test]
    fn a_table_whose_addresses_take_too_many_entries_is_not_made() {
        let rule = |rank: u32| SidedRule {
            leaf: Leaf::new(
                Ranked::new(rank, Action::Drop),
                Ports::ANY,
                Protocol::Tcp,
                Direction::Any,
            ),
            remote: format!("10.{rank}.0.1/32").parse().unwrap(),
            local: "192.0.2.0/24".parse().unwrap(),
            local_ports: (0, u16::MAX),
            zones: [None; 2],
            may_be_loopback: true,
            has_local: true,
            is_of_any_host: false,
        };
        let rules: Vec<SidedRule> = (0..9).map(rule).collect();
        let remotes = Classes::new(rules.iter().map(|rule| rule.remote));
        let locals = Classes::new(rules.iter().map(|rule| rule.local));
        // A block for the third byte and one for the fourth of each host, and one for the third of a network.
        let needed = (9 * 2 + 1) * 256;
        for (entries, is_made) in [(needed, true), (needed - 1, false)] {
            let limits = Limits { entries, ..Limits::ALL };
            let table = CrossTable::new(&rules, [&remotes, &locals], limits);
            assert_eq!(table.is_some(), is_made, "of {entries}");
        }
        // Two first steps of 65,536 entries, two bytes each, and what is needed.
        let room = |bytes: usize| direct::room(Some(bytes));
        assert_eq!(room((2 << 17) + 2 * needed), Some(needed));
        assert_eq!((room(2 << 17), room((2 << 17) - 1)), (Some(0), None));
        assert_eq!(Limits::of_rules(9, needed).entries, needed);
    }
}
