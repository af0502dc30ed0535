//! [`Scan`]: rules of IPv4 addresses in order of rank, compared sixteen at a time.
//!
//! For settings of a few rules, and for rules that name no network long enough to look up.

use crate::flow::Flow;
use crate::matcher::lanes::Lanes;
use crate::matcher::leaf::{Case, Leaf, Ranked};
use crate::matcher::memory;
use std::hint::select_unpredictable;

/// The number of rules in a block.
pub(super) const LANES: usize = 16;

/// A rule, all sides of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanRule {
    /// Rank, remote ports and cases.
    pub(super) leaf: Leaf,
    /// The value and the mask of each side.
    pub(super) remote: (u32, u32),
    pub(super) local: (u32, u32),
    pub(super) local_ports: (u16, u16),
    /// The rule may match loopback flows.
    pub(super) may_be_loopback: bool,
    /// The rule has a local side.
    pub(super) has_local: bool,
}

/// Sixteen rules, field by field.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Block {
    pub(super) remote_value: [u32; LANES],
    pub(super) remote_mask: [u32; LANES],
    pub(super) local_value: [u32; LANES],
    pub(super) local_mask: [u32; LANES],
    /// The cases of flows that are not loopback flows, from bit 0, and of those that are, from bit
    /// [`LOOPBACK`].
    pub(super) cases: [u32; LANES],
    /// The first remote port, and how many more there are.
    pub(super) remote_first: [u16; LANES],
    pub(super) remote_more: [u16; LANES],
    pub(super) local_first: [u16; LANES],
    pub(super) local_more: [u16; LANES],
    pub(super) number: [u16; LANES],
    /// A bit for each rule that has a local side.
    pub(super) with_local: u32,
    pub(super) ranked: [Ranked; LANES],
}

/// The first bit of the cases of loopback flows.
const LOOPBACK: u32 = 16;

/// A flow, as it is compared with blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) remote: u32,
    pub(super) local: u32,
    pub(super) remote_port: u16,
    pub(super) local_port: u16,
    /// The case, as one bit.
    pub(super) case: u32,
    pub(super) number: u16,
}

impl Probe {
    /// Takes an IPv4 flow apart.
    #[inline(always)]
    pub(super) fn new(flow: &Flow<'_>, case: Case) -> Probe {
        let (remote, local) = flow.ends();
        let bit = case.index() as u32 + u32::from(flow.is_loopback()) * LOOPBACK;
        Probe {
            remote: remote.folded_bits().1 as u32,
            local: local.folded_bits().1 as u32,
            remote_port: remote.port(),
            local_port: local.port(),
            case: 1 << (bit & 31),
            number: case.number().into(),
        }
    }
}

impl Block {
    const EMPTY: Block = Block {
        remote_value: [0; LANES],
        remote_mask: [0; LANES],
        local_value: [0; LANES],
        local_mask: [0; LANES],
        cases: [0; LANES],
        remote_first: [0; LANES],
        remote_more: [0; LANES],
        local_first: [0; LANES],
        local_more: [0; LANES],
        number: [0; LANES],
        with_local: 0,
        ranked: [Ranked::NONE; LANES],
    };

    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    fn set(&mut self, lane: usize, rule: &ScanRule) {
        let lane = lane % LANES;
        let leaf = &rule.leaf;
        (self.remote_value[lane], self.remote_mask[lane]) = rule.remote;
        (self.local_value[lane], self.local_mask[lane]) = rule.local;
        let cases = u32::from(leaf.cases);
        self.cases[lane] = if rule.may_be_loopback { cases << LOOPBACK | cases } else { cases };
        self.remote_first[lane] = leaf.first_port;
        self.remote_more[lane] = leaf.last_port - leaf.first_port;
        let (first, last) = rule.local_ports;
        self.local_first[lane] = first;
        self.local_more[lane] = last - first;
        self.number[lane] = leaf.number.into();
        self.with_local |= u32::from(rule.has_local) << lane;
        self.ranked[lane] = leaf.ranked;
    }

    /// Returns a bit for each rule whose remote side, protocol and direction match, one rule after
    /// the other.
    #[inline(always)]
    pub(super) fn compare_remote(&self, probe: &Probe) -> u32 {
        let fields = self.remote_value.iter().zip(&self.remote_mask).zip(&self.cases);
        let ports = self.remote_first.iter().zip(&self.remote_more).zip(&self.number);
        let mut bits = 0;
        for (lane, (((value, mask), cases), ((first, more), number))) in
            fields.zip(ports).enumerate()
        {
            let holds = ((probe.remote ^ value) & mask == 0)
                & (probe.case & cases != 0)
                & (probe.remote_port.wrapping_sub(*first) <= *more)
                & (probe.number == *number);
            bits |= u32::from(holds) << lane;
        }
        bits
    }

    /// Returns a bit for each rule whose local side matches.
    #[inline(always)]
    pub(super) fn compare_local(&self, probe: &Probe) -> u32 {
        let fields = self.local_value.iter().zip(&self.local_mask);
        let ports = self.local_first.iter().zip(&self.local_more);
        let mut bits = 0;
        for (lane, ((value, mask), (first, more))) in fields.zip(ports).enumerate() {
            let holds = ((probe.local ^ value) & mask == 0)
                & (probe.local_port.wrapping_sub(*first) <= *more);
            bits |= u32::from(holds) << lane;
        }
        bits
    }

    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    /// Returns the first of the rules that have a bit, of which there is one at least.
    fn ranked(&self, bits: u32) -> Ranked {
        self.ranked[bits.trailing_zeros() as usize % LANES]
    }

    /// Returns a bit for each rule that matches.
    #[inline(always)]
    fn matching(&self, lanes: impl Lanes, probe: &Probe) -> u32 {
        let bits = lanes.compare_remote(self, probe);
        match self.with_local {
            0 => bits,
            with_local => bits & (lanes.compare_local(self, probe) | !with_local),
        }
    }
}

/// Rules in blocks.
#[derive(Debug, Default)]
pub(super) struct Scan {
    blocks: Vec<Block>,
}

/// A list of rules in a [`Scan`]: the first block and their number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blocks {
    pub(super) start: u32,
    pub(super) count: u32,
}

impl Scan {
    /// Adds a list of rules in ascending rank.
    pub(super) fn add(&mut self, rules: &[ScanRule]) -> Blocks {
        let start = self.blocks.len() as u32;
        for rules in rules.chunks(LANES) {
            let mut block = Block::EMPTY;
            for (lane, rule) in rules.iter().enumerate() {
                block.set(lane, rule);
            }
            self.blocks.push(block);
        }
        Blocks { start, count: self.blocks.len() as u32 - start }
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.blocks.shrink_to_fit();
    }

    /// Returns the first rule of a list that matches and goes before `best`, else `best`.
    #[inline(always)]
    pub(super) fn find(
        &self,
        lanes: impl Lanes,
        blocks: Blocks,
        probe: &Probe,
        best: Ranked,
    ) -> Ranked {
        for block in self.slice(blocks) {
            if block.ranked[0] >= best {
                break;
            }
            let bits = block.matching(lanes, probe);
            if bits != 0 {
                return block.ranked(bits).min(best);
            }
        }
        best
    }

    /// Returns the first rule that matches. Goes through all blocks, the first last, without a
    /// branch on what matches, which no machine could foresee.
    #[inline(always)]
    pub(super) fn find_in_all(&self, lanes: impl Lanes, probe: &Probe) -> Ranked {
        let mut best = Ranked::NONE;
        for block in self.blocks.iter().rev() {
            let bits = block.matching(lanes, probe);
            best = select_unpredictable(bits != 0, block.ranked(bits), best);
        }
        best
    }

    /// Returns the first rule that matches whatever the local side, and whether it has one.
    #[inline(always)]
    pub(super) fn find_unbound(&self, lanes: impl Lanes, probe: &Probe) -> (Ranked, bool) {
        let mut best = (Ranked::NONE, false);
        for block in self.blocks.iter().rev() {
            let bits = lanes.compare_remote(block, probe);
            let first = bits & bits.wrapping_neg();
            let found = (block.ranked(bits), block.with_local & first != 0);
            best = select_unpredictable(bits != 0, found, best);
        }
        best
    }

    #[inline(always)]
    fn slice(&self, blocks: Blocks) -> &[Block] {
        let start = blocks.start as usize;
        self.blocks.get(start..start + blocks.count as usize).unwrap_or(&[])
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.blocks)
    }
}
