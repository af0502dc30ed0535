//! [`Buckets`]: rules by some bits of the remote address, so that a flow is compared with few of them.

use crate::flow::Flow;
use crate::matcher::intervals::bounds;
use crate::matcher::memory;
use crate::matcher::scan::{Block, LANES};
use crate::matcher::sided::SidedRule;

/// For each value of some bits of the remote address, the blocks of the rules that hold an address with it.
#[derive(Debug)]
pub(super) struct Buckets<const W: usize> {
    blocks: Vec<Block<W>>,
    /// INVARIANT: for each value of the bits, of which are `64 - down`, blocks that there are.
    runs: Vec<Run>,
    /// How far an IPv4 address, or the first half of an IPv6 address, is moved up and then down to be a place in
    /// `runs`.
    up: u8,
    down: u8,
}

/// Blocks that follow each other: the number of the first, and in the highest bits how many more they are.
#[derive(Clone, Copy, Debug)]
struct Run(u16);

impl Run {
    const MORE: u32 = 13;
    /// The most blocks of a run.
    const MAX_BLOCKS: usize = 1 << (u16::BITS - Run::MORE);

    fn new(first: usize, more: usize) -> Option<Run> {
        let is_number = first < 1 << Run::MORE && more < Run::MAX_BLOCKS;
        is_number.then_some(Run((more << Run::MORE | first) as u16))
    }

    #[inline(always)]
    fn first(self) -> usize {
        usize::from(self.0) % (1 << Run::MORE)
    }

    #[inline(always)]
    fn more(self) -> usize {
        usize::from(self.0 >> Run::MORE)
    }
}

impl<const W: usize> Buckets<W> {
    /// No buckets, in which nothing is to be looked for.
    pub(super) const NONE: Buckets<W> =
        Buckets { blocks: Vec::new(), runs: Vec::new(), up: 0, down: 0 };

    /// Takes rules; `None` if no bits tell them apart well enough.
    pub(super) fn new(rules: &[&SidedRule]) -> Option<Buckets<W>> {
        let nets: Vec<Net> = rules.iter().map(|rule| Net::new(rule)).collect();
        let window = Window::of_nets(&nets, if W == 1 { u32::BITS } else { u64::BITS })?;
        let mut rules: Vec<(usize, usize, &SidedRule)> = nets
            .into_iter()
            .zip(rules)
            .map(|(net, rule)| {
                let (first, last) = window.values(net);
                (first, last, *rule)
            })
            .collect();
        rules.sort_by_key(|(first, ..)| *first);
        let mut rules = rules.into_iter().peekable();
        let (mut blocks, mut runs) = (Vec::new(), Vec::with_capacity(window.len()));
        // The rules of the block at hand, which values before have if it is open, each with its last value.
        let mut own: Vec<(usize, &SidedRule)> = Vec::new();
        let mut is_open = false;
        for value in 0..window.len() {
            let count = own.len();
            while let Some((_, last, rule)) = rules.next_if(|(first, ..)| *first == value) {
                own.push((last, rule));
            }
            if is_open && own.len() > LANES {
                push(&mut blocks, own.get(..count)?);
                own.retain(|(last, _)| *last >= value);
                is_open = false;
            }
            runs.push(Run::new(blocks.len(), own.len().saturating_sub(1) / LANES)?);
            is_open |= own.len() <= LANES;
            if !is_open {
                push(&mut blocks, &own);
                own.retain(|(last, _)| *last > value);
            }
        }
        if is_open {
            push(&mut blocks, &own);
        }
        blocks.shrink_to_fit();
        // PERF: which bucket a flow is of no predictor foresees, so all blocks ask for the same;
        // decide-dependent/ipv4-1k.
        Block::unite(&mut blocks);
        let bits_of_words =
            u64::BITS as u8 - if W == 1 { u32::BITS as u8 } else { u64::BITS as u8 };
        Some(Buckets {
            blocks,
            runs,
            up: window.after as u8 + bits_of_words,
            down: (u64::BITS - window.count) as u8,
        })
    }

    /// Returns the first of the blocks for a flow of the family, and the others, mostly none. `None` only of
    /// [`NONE`](Buckets::NONE).
    #[inline(always)]
    pub(super) fn of(&self, flow: &Flow<'_>) -> Option<(&Block<W>, &[Block<W>])> {
        let (high, low) = flow.ends().0.folded_bits();
        let address = if W == 1 { low } else { high };
        let value = address << (self.up % 64) >> (self.down % 64);
        let run = *self.runs.get(value as usize)?;
        let (block, others) = self.blocks.get(run.first()..)?.split_first()?;
        Some((block, others.get(..run.more())?))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    #[cfg(test)]
    pub(super) fn longest_run(&self) -> usize {
        self.runs.iter().map(|run| run.more() + 1).max().unwrap_or(0)
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.blocks) + memory::of_vec(&self.runs)
    }
}

/// Puts rules in blocks.
fn push<const W: usize>(blocks: &mut Vec<Block<W>>, rules: &[(usize, &SidedRule)]) {
    // Of none there is a block too, for a value that no rule has.
    let count = rules.len().div_ceil(LANES).max(1);
    let mut rules = rules.iter().map(|(_, rule)| *rule);
    blocks.extend((0..count).map(|_| Block::new(rules.by_ref().take(LANES))));
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

impl Window {
    /// The most bits.
    const MAX_COUNT: u32 = 16;

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

    /// Returns the window of addresses of so many bits that is the best for networks, if one is good enough: if
    /// only a quarter of them, or the eighth part in three blocks and so on, has values of more than one block, and
    /// the blocks are no more than half as many again as the networks fill.
    fn of_nets(nets: &[Net], bits: u32) -> Option<Window> {
        // PERF: two values for each network; with four, and with every place of the window, 1,000 IPv6 networks take
        // as many blocks, within a tenth.
        let count = (2 * nets.len()).next_power_of_two().ilog2().clamp(4, Window::MAX_COUNT);
        let mut changes = Vec::new();
        let windows = (0..=bits - count).step_by(2).map(|after| Window { after, count });
        let costs = windows.map(|window| (window.cost(nets, &mut changes), window));
        let (cost, window) = costs.min_by_key(|(cost, _)| *cost)?;
        let most = nets.len().div_ceil(LANES) * 3 / 2 + 1;
        (cost.others <= nets.len() / 4 && cost.blocks <= most).then_some(window)
    }

    /// Returns how well the window tells networks apart.
    ///
    /// Linear in their number and that of its values. `changes` is for use by several calls.
    fn cost(self, nets: &[Net], changes: &mut Vec<[u32; 2]>) -> Cost {
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
            }
        }
        cost
    }
}
