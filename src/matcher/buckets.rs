//! [`Buckets`]: rules by some bits of the remote address, so that a flow is compared with few of them.

use crate::flow::Flow;
use crate::matcher::intervals::bounds;
use crate::matcher::memory;
use crate::matcher::scan::{Block, LANES};
use crate::matcher::sided::SidedRule;

/// For each value of some bits of the remote address, the blocks of the rules that hold an address with it; or where
/// these are many, the same by other bits. By default there are none, in which nothing is to be looked for.
#[derive(Debug, Default)]
pub(super) struct Buckets<const W: usize> {
    blocks: Vec<Block<W>>,
    /// For all values of each table.
    entries: Vec<Entry>,
    /// That of all addresses.
    first: Table,
    /// Those that entries lead to.
    others: Vec<Table>,
}

/// Which bits a table is for. An IPv4 address, or the first half of an IPv6 address, is moved up and then down to be
/// their value.
#[derive(Clone, Copy, Debug, Default)]
struct Table {
    /// The place of its first entry.
    start: u32,
    up: u8,
    down: u8,
}

impl Table {
    /// Returns the place of the entry of an address.
    #[inline(always)]
    fn place(self, address: u64) -> usize {
        self.start as usize + (address << (self.up % 64) >> (self.down % 64)) as usize
    }
}

/// Blocks that follow each other, or a table.
#[derive(Clone, Copy, Debug)]
struct Entry(u32);

impl Entry {
    const TABLE: u32 = 1 << 31;
    const MORE: u32 = 28;
    /// The most blocks of an entry.
    const MAX_BLOCKS: usize = 8;

    /// Takes the number of the first block, and of how many there are more.
    fn of_blocks(first: usize, more: usize) -> Option<Entry> {
        let is_number = first < 1 << Entry::MORE && more < Entry::MAX_BLOCKS;
        is_number.then_some(Entry((more << Entry::MORE | first) as u32))
    }

    fn of_table(number: usize) -> Option<Entry> {
        (number < Entry::TABLE as usize).then_some(Entry(number as u32 | Entry::TABLE))
    }

    #[inline(always)]
    fn table(self) -> Option<usize> {
        (self.0 & Entry::TABLE != 0).then_some((self.0 & !Entry::TABLE) as usize)
    }

    #[inline(always)]
    fn first(self) -> usize {
        self.0 as usize % (1 << Entry::MORE)
    }

    #[inline(always)]
    fn more(self) -> usize {
        (self.0 >> Entry::MORE) as usize
    }
}

impl<const W: usize> Buckets<W> {
    /// Takes rules; `None` if no bits tell them apart well enough.
    pub(super) fn new(rules: &[&SidedRule]) -> Option<Buckets<W>> {
        let rules: Vec<(Net, &SidedRule)> =
            rules.iter().map(|rule| (Net::new(rule), *rule)).collect();
        let mut builder = Builder {
            blocks: Vec::new(),
            entries: Vec::new(),
            tables: Vec::new(),
            changes: Vec::new(),
            more: 0,
            max_blocks: rules.len().div_ceil(LANES) * 3 / 2 + 1,
        };
        builder.add(&rules, 0)?;
        // Few of the rules have others beside those of one block.
        if builder.more > rules.len() / 4 {
            return None;
        }
        let Builder { mut blocks, mut entries, tables, .. } = builder;
        // PERF: which bucket a flow is of no predictor foresees, so all blocks ask for the same;
        // decide-dependent/ipv4-1k.
        Block::unite(&mut blocks);
        blocks.shrink_to_fit();
        entries.shrink_to_fit();
        let (first, others) = tables.split_first()?;
        Some(Buckets { blocks, entries, first: *first, others: others.to_vec() })
    }

    /// Returns the first of the blocks for a flow of the family, and the others, mostly none. `None` only
    /// where there are none.
    #[inline(always)]
    pub(super) fn of(&self, flow: &Flow<'_>) -> Option<(&Block<W>, &[Block<W>])> {
        let (high, low) = flow.ends().0.folded_bits();
        let address = if W == 1 { low } else { high };
        let mut entry = *self.entries.get(self.first.place(address))?;
        while let Some(number) = entry.table() {
            entry = *self.entries.get(self.others.get(number)?.place(address))?;
        }
        let (block, others) = self.blocks.get(entry.first()..)?.split_first()?;
        Some((block, others.get(..entry.more())?))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    #[cfg(test)]
    pub(super) fn table_count(&self) -> usize {
        1 + self.others.len()
    }

    #[cfg(test)]
    pub(super) fn longest_run(&self) -> usize {
        let of_blocks = self.entries.iter().filter(|entry| entry.table().is_none());
        of_blocks.map(|entry| entry.more() + 1).max().unwrap_or(0)
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.blocks) + memory::of_vec(&self.entries) + memory::of_vec(&self.others)
    }
}

/// What [`Buckets`] become.
struct Builder<const W: usize> {
    blocks: Vec<Block<W>>,
    entries: Vec<Entry>,
    tables: Vec<Table>,
    /// What [`Window::cost`] takes.
    changes: Vec<[u32; 2]>,
    /// Of all entries of more than one block, the blocks beside the first, times the rules.
    more: usize,
    /// How many blocks there may be: half as many again as the rules fill.
    max_blocks: usize,
}

impl<const W: usize> Builder<W> {
    /// The number of bits of an address that are told apart.
    const WIDTH: u32 = if W == 1 { u32::BITS } else { u64::BITS };
    /// The most tables one after the other.
    const MAX_DEPTH: usize = 4;
    /// With more rules a value has a table of its own.
    const MAX_RULES: usize = 2 * LANES;

    /// Adds a table of rules, in so many others, and those that it leads to. Returns none if there are too many blocks.
    fn add(&mut self, rules: &[(Net, &SidedRule)], depth: usize) -> Option<()> {
        let nets: Vec<Net> = rules.iter().map(|(net, _)| *net).collect();
        let window = Window::of_nets(&nets, Self::WIDTH, &mut self.changes)?;
        let start = self.entries.len();
        self.tables.push(Table {
            start: u32::try_from(start).ok()?,
            // An IPv4 address is at the end of 64 bits.
            up: (u64::BITS - Self::WIDTH + window.after) as u8,
            down: (u64::BITS - window.count) as u8,
        });
        self.entries.resize(start + window.len(), Entry(0));
        let mut of_values: Vec<(usize, usize, &(Net, &SidedRule))> = rules
            .iter()
            .map(|rule| {
                let (first, last) = window.values(rule.0);
                (first, last, rule)
            })
            .collect();
        of_values.sort_by_key(|(first, ..)| *first);
        let mut of_values = of_values.into_iter().peekable();
        // The rules of the block at hand, which values before have if it is open, each with its last value.
        let mut own: Vec<(usize, &(Net, &SidedRule))> = Vec::new();
        let mut is_open = false;
        for value in 0..window.len() {
            let count = own.len();
            while let Some((_, last, rule)) = of_values.next_if(|(first, ..)| *first == value) {
                own.push((last, rule));
            }
            if is_open && own.len() > LANES {
                self.push(own.get(..count)?)?;
                own.retain(|(last, _)| *last >= value);
                is_open = false;
            }
            let has_table = own.len() > Self::MAX_RULES
                && own.len() < rules.len()
                && depth + 1 < Self::MAX_DEPTH;
            let entry = match has_table {
                true => {
                    let number = self.tables.len() - 1;
                    let own: Vec<(Net, &SidedRule)> = own.iter().map(|(_, rule)| **rule).collect();
                    self.add(&own, depth + 1)?;
                    Entry::of_table(number)?
                }
                false => {
                    let more = own.len().saturating_sub(1) / LANES;
                    self.more += own.len() * more;
                    Entry::of_blocks(self.blocks.len(), more)?
                }
            };
            *self.entries.get_mut(start + value)? = entry;
            is_open |= own.len() <= LANES;
            if !is_open {
                if !has_table {
                    self.push(&own)?;
                }
                own.retain(|(last, _)| *last > value);
            }
        }
        if is_open {
            self.push(&own)?;
        }
        Some(())
    }

    /// Puts rules in blocks; of none there is one too, for values that no rule has.
    fn push(&mut self, rules: &[(usize, &(Net, &SidedRule))]) -> Option<()> {
        let count = rules.len().div_ceil(LANES).max(1);
        let mut rules = rules.iter().map(|(_, (_, rule))| *rule);
        self.blocks.extend((0..count).map(|_| Block::new(rules.by_ref().take(LANES))));
        (self.blocks.len() <= self.max_blocks).then_some(())
    }
}

/// A remote network by its first 64 bits, which an IPv4 address has at the front.
#[derive(Clone, Copy, Debug)]
struct Net {
    first: u64,
    prefix: u32,
}

impl Net {
    fn new(rule: &SidedRule) -> Net {
        let (first, _) = bounds(rule.remote);
        let prefix = u32::from(rule.remote.prefix_len()).min(u64::BITS);
        Net { first: (first >> 64) as u64, prefix }
    }
}

/// Some bits of an address: so many after so many others.
#[derive(Clone, Copy, Debug)]
struct Window {
    after: u32,
    count: u32,
}

/// How well a window tells networks apart; the less the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    /// For each value, the blocks beside the first, times the networks.
    others: usize,
    /// The blocks of all values.
    blocks: usize,
}

impl Cost {
    const MAX: Cost = Cost { others: usize::MAX, blocks: usize::MAX };
}

impl Window {
    /// The most bits.
    const MAX_COUNT: u32 = 18;

    /// Returns the number of values.
    fn len(self) -> usize {
        1 << self.count
    }

    /// Returns the first and the last value of a network's addresses.
    fn values(self, net: Net) -> (usize, usize) {
        if net.prefix <= self.after {
            return (0, self.len() - 1);
        }
        let last = net.first | u64::MAX.checked_shr(net.prefix).unwrap_or(0);
        let value = |bits: u64| (bits << self.after >> (u64::BITS - self.count)) as usize;
        (value(net.first), value(last))
    }

    /// Returns the best window of addresses of so many bits for networks.
    fn of_nets(nets: &[Net], bits: u32, changes: &mut Vec<[u32; 2]>) -> Option<Window> {
        // PERF: two values for each network; with four, and with every place of the window, 1,000 IPv6 networks take
        // as many blocks, within a tenth.
        let count = (2 * nets.len()).next_power_of_two().ilog2().clamp(4, Window::MAX_COUNT);
        let windows = (0..=bits - count).step_by(2).map(|after| Window { after, count });
        let mut best: Option<(Cost, Window)> = None;
        for window in windows {
            let least = best.map_or(Cost::MAX, |(cost, _)| cost);
            let cost = window.cost(nets, least, changes);
            if cost < least {
                best = Some((cost, window));
            }
        }
        best.map(|(_, window)| window)
    }

    /// Returns how well the window tells networks apart; no more than that it is not better than `least` if it is not.
    ///
    /// Linear in their number and that of its values. `changes` is for use by several calls.
    fn cost(self, nets: &[Net], least: Cost, changes: &mut Vec<[u32; 2]>) -> Cost {
        // For each value, how many networks begin, and how many have ended.
        changes.clear();
        changes.resize(self.len() + 1, [0; 2]);
        for net in nets {
            let (first, last) = self.values(*net);
            for (value, kind) in [(first, 0), (last + 1, 1)] {
                if let Some([begun, ended]) = changes.get_mut(value) {
                    *(if kind == 0 { begun } else { ended }) += 1;
                }
            }
        }
        let mut cost = Cost { others: 0, blocks: 0 };
        // The networks that a value has, and those of the block at hand, if there is one.
        let (mut here, mut own, mut is_open) = (0, 0, false);
        for [begun, ended] in changes.iter().take(self.len()) {
            here = here + *begun as usize - *ended as usize;
            own += *begun as usize;
            if !is_open || own > LANES {
                own = here;
                is_open = own <= LANES;
                cost.blocks += own.div_ceil(LANES).max(1);
                cost.others += own * (own.saturating_sub(1) / LANES);
                // PERF: most windows are worse after a few values; build/ipv4-1k.
                if cost >= least {
                    break;
                }
            }
        }
        cost
    }
}
