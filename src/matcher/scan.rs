//! [`Scan`]: rules of the addresses of one family, compared sixteen at a time.
//!
//! For settings of a few rules.

use crate::flow::{Flow, FlowTraits};
use crate::matcher::buckets::Buckets;
use crate::matcher::columns::{Bits, Column, Columns, Which, lanes_of};
use crate::matcher::intervals::GROUP;
use crate::matcher::lanes::Lanes;
use crate::matcher::leaf::Ranked;
use crate::matcher::memory;
use crate::matcher::sided::SidedRule;
use crate::matcher::words::{words_of, words_of_net};
use std::hint::select_unpredictable;

/// The number of rules in a block.
pub(super) const LANES: usize = 16;

/// Up to so many rules, each is compared with all flows of a group.
// PERF: decide-batch/ipv4-10. At 48 IPv4 rules the steps of the index take as long, at 64 IPv6 rules.
pub(super) const MAX_IN_GROUPS: usize = 3 * LANES;

/// Sixteen rules in order of rank, field by field.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Block<const W: usize> {
    pub(super) remote_value: [[u32; LANES]; W],
    pub(super) remote_mask: [[u32; LANES]; W],
    pub(super) local_value: [[u32; LANES]; W],
    pub(super) local_mask: [[u32; LANES]; W],
    /// What [`Leaf::traits`] returns.
    ///
    /// [`Leaf::traits`]: crate::matcher::leaf::Leaf::traits
    pub(super) traits: [u16; LANES],
    /// The first remote port, and how many more there are.
    pub(super) remote_first: [u16; LANES],
    pub(super) remote_more: [u16; LANES],
    pub(super) local_first: [u16; LANES],
    pub(super) local_more: [u16; LANES],
    /// The rules; of the second half again eight places further on, and none in the last place.
    // PERF: so that what a mask of eight bits, eight that are 0, and the other eight leads to is read without putting
    // them together, and what one without bits leads to without a choice; decide-dependent/ipv4-10.
    pub(super) ranked: [Ranked; 2 * LANES + 1],
    /// Whether remote addresses, remote ports, and local sides, are compared, as there may be rules that ask for them; the
    /// local sides before it is known whether all else of such a rule matches.
    pub(super) asks_remote: bool,
    pub(super) asks_port: bool,
    pub(super) asks_local: bool,
    /// A bit for each rule that has a local side; of the second half again eight places further on.
    with_local: u32,
}

/// A flow, as it is compared with blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe<const W: usize> {
    pub(super) remote: [u32; W],
    pub(super) local: [u32; W],
    pub(super) remote_port: u16,
    pub(super) local_port: u16,
    pub(super) traits: FlowTraits,
}

impl<const W: usize> Probe<W> {
    /// Takes a flow of the family apart.
    #[inline(always)]
    pub(super) fn new(flow: &Flow<'_>) -> Probe<W> {
        let (remote, local) = flow.ends();
        Probe {
            remote: words_of(remote),
            local: words_of(local),
            remote_port: remote.port(),
            local_port: local.port(),
            traits: flow.traits(),
        }
    }
}

/// Puts rules in blocks, those that are alike together.
fn in_blocks<const W: usize>(rules: &mut [&SidedRule]) -> Vec<Block<W>> {
    rules.sort_by_key(|rule| (rule.has_local, !rule.leaf.is_any_port()));
    rules.chunks(LANES).map(|rules| Block::new(rules.iter().copied())).collect()
}

impl<const W: usize> Block<W> {
    /// Takes up to [`LANES`] rules.
    pub(super) fn new<'a>(rules: impl Iterator<Item = &'a SidedRule>) -> Block<W> {
        let mut rules: Vec<&SidedRule> = rules.collect();
        rules.sort_by_key(|rule| rule.leaf.ranked);
        let mut block = Block::EMPTY;
        for (lane, rule) in rules.into_iter().enumerate() {
            block.set(lane, rule);
        }
        // Few are four of sixteen, as each is a branch on what all else says.
        let most = if Self::LOCAL_LAST { LANES as u32 / 4 } else { 0 };
        block.asks_local |= block.local_count() > most;
        block
    }

    /// Makes all blocks compare what one of them has to; the local side last, if few rules have one.
    pub(super) fn unite(blocks: &mut [Block<W>]) {
        let asks_port = blocks.iter().any(|block| block.asks_port);
        let with_local: u32 = blocks.iter().map(Block::local_count).sum();
        let most = if Self::LOCAL_LAST { blocks.len() } else { 0 };
        for block in blocks {
            block.asks_remote = true;
            block.asks_port = asks_port;
            block.asks_local = with_local as usize > most;
        }
    }

    /// Returns the number of rules that have a local side.
    fn local_count(&self) -> u32 {
        (self.with_local & ((1 << LANES) - 1)).count_ones()
    }

    const EMPTY: Block<W> = Block {
        remote_value: [[0; LANES]; W],
        remote_mask: [[0; LANES]; W],
        local_value: [[0; LANES]; W],
        local_mask: [[0; LANES]; W],
        traits: [FlowTraits::ALL; LANES],
        remote_first: [0; LANES],
        remote_more: [0; LANES],
        local_first: [0; LANES],
        local_more: [0; LANES],
        ranked: [Ranked::NONE; 2 * LANES + 1],
        asks_remote: false,
        asks_port: false,
        asks_local: false,
        with_local: 0,
    };

    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    fn set(&mut self, lane: usize, rule: &SidedRule) {
        let lane = lane % LANES;
        let leaf = &rule.leaf;
        let sides: [[[u32; W]; 2]; 2] = [rule.remote, rule.local].map(words_of_net);
        let [[remote, in_remote], [local, in_local]] = sides;
        for word in 0..W {
            self.remote_value[word][lane] = remote[word];
            self.remote_mask[word][lane] = in_remote[word];
            self.local_value[word][lane] = local[word];
            self.local_mask[word][lane] = in_local[word];
        }
        self.traits[lane] = leaf.traits(rule.may_be_loopback);
        self.remote_first[lane] = leaf.first_port;
        self.remote_more[lane] = leaf.last_port - leaf.first_port;
        let (first, last) = rule.local_ports;
        self.local_first[lane] = first;
        self.local_more[lane] = last - first;
        self.asks_remote |= rule.remote.prefix_len() > 0;
        self.asks_port |= !leaf.is_any_port();
        // Of a rule of any host all else matches so often that no predictor knows.
        self.asks_local |= rule.has_local && rule.remote.prefix_len() == 0;
        self.ranked[lane] = leaf.ranked;
        self.with_local |= u32::from(rule.has_local) << lane;
        if lane >= LANES / 2 {
            self.ranked[lane + LANES / 2] = leaf.ranked;
            self.with_local |= u32::from(rule.has_local) << (lane + LANES / 2);
        }
    }

    /// Whether the local side is to be compared with rules of which all else matches, as it has not been yet.
    #[inline(always)]
    pub(super) fn asks_local_of(&self, bits: u32) -> bool {
        Self::LOCAL_LAST && bits & self.with_local != 0
    }

    /// Whether the local side is compared last, where few rules have one.
    // PERF: of IPv6 it is eight of 21 cache lines of a block; decide-dependent/ipv6-10k, decide/ipv6-10. Of IPv4 it is two
    // of nine, and the branch takes longer than they; decide/ipv4-1k.
    const LOCAL_LAST: bool = W > 1;

    /// Returns a bit for each rule whose remote side, protocol and direction match, one rule after
    /// the other.
    #[inline(always)]
    pub(super) fn compare_remote(&self, flow: &Flow<'_>) -> u32 {
        let probe = Probe::new(flow);
        let FlowTraits { asked, number } = probe.traits;
        let ports = self.remote_first.iter().zip(&self.remote_more);
        let mut bits = 0;
        for (lane, ((first, more), traits)) in ports.zip(&self.traits).enumerate() {
            let holds = ((traits ^ number) & asked == 0)
                & (probe.remote_port.wrapping_sub(*first) <= *more);
            bits |= u32::from(holds) << lane;
        }
        bits & addresses(&probe.remote, &self.remote_value, &self.remote_mask)
    }

    /// Returns a bit for each rule of which both sides, protocol and direction match a flow whose local end is
    /// known: a rule without a local side matches every such end.
    #[inline(always)]
    pub(super) fn compare(&self, flow: &Flow<'_>) -> u32 {
        let probe = Probe::new(flow);
        let ports = self.local_first.iter().zip(&self.local_more);
        let mut bits = 0;
        for (lane, (first, more)) in ports.enumerate() {
            let holds = probe.local_port.wrapping_sub(*first) <= *more;
            bits |= u32::from(holds) << lane;
        }
        let locals = addresses(&probe.local, &self.local_value, &self.local_mask);
        bits & locals & self.compare_remote(flow)
    }

    /// Returns the first of the rules that have a bit; [`Ranked::NONE`] if none has. The bits of the second half of them
    /// may be eight places further on.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "there is a place more than bits")]
    pub(super) fn first(&self, bits: u32) -> Ranked {
        const { assert!(2 * LANES as u32 == u32::BITS) };
        self.ranked[bits.trailing_zeros() as usize]
    }
}

/// Returns a bit for each rule of a block that holds an address.
#[inline(always)]
fn addresses<const W: usize>(
    own: &[u32; W],
    values: &[[u32; LANES]; W],
    masks: &[[u32; LANES]; W],
) -> u32 {
    let mut bits = u32::MAX;
    for ((own, values), masks) in own.iter().zip(values).zip(masks) {
        for (lane, (value, mask)) in values.iter().zip(masks).enumerate() {
            bits &= !(u32::from((own ^ value) & mask != 0) << lane);
        }
    }
    bits
}

/// Puts another number than 0 where a port is not one of a rule's.
#[inline(always)]
fn outside(fails: &mut Column, ports: &Column, first: u16, more: u16) {
    if more < u16::MAX {
        for (fails, port) in fails.iter_mut().zip(ports) {
            *fails |= u32::from(port.wrapping_sub(first.into()) > more.into());
        }
    }
}

/// Puts another number than 0 where an address is not one of a rule's.
#[inline(always)]
#[allow(clippy::indexing_slicing, reason = "a rule is less than their number")]
fn differ<const W: usize>(
    fails: &mut Column,
    own: &[Column; W],
    values: &[[u32; LANES]; W],
    masks: &[[u32; LANES]; W],
    rule: usize,
) {
    for ((own, values), masks) in own.iter().zip(values).zip(masks) {
        let (value, mask) = (values[rule], masks[rule]);
        if mask != 0 {
            for (fails, own) in fails.iter_mut().zip(own) {
                *fails |= (own ^ value) & mask;
            }
        }
    }
}

/// Rules in blocks. Which block has which of them says nothing about their order.
#[derive(Debug)]
pub(super) struct Scan<const W: usize> {
    /// Compared with all flows.
    blocks: Vec<Block<W>>,
    /// All other rules, or all others of networks.
    buckets: Buckets<W>,
    has_all: bool,
    /// The rules of the blocks are all of any host, and so to be found elsewhere too.
    is_of_any_host: bool,
}

impl<const W: usize> Scan<W> {
    /// Takes rules in any order.
    // PERF: those that ask for ports, or have a local side, in as few blocks as possible, as the others need no
    // comparison of these; decide-dependent/ipv6-100, and at 80 rules with AVX2 as well.
    pub(super) fn new(rules: &[SidedRule]) -> Scan<W> {
        let mut rules: Vec<&SidedRule> = rules.iter().collect();
        Scan {
            blocks: in_blocks(&mut rules),
            buckets: Buckets::default(),
            has_all: true,
            is_of_any_host: false,
        }
    }

    /// The most rules of any host beside those in buckets.
    // PERF: with 40 IPv4 rules of any host among 2,000 calls take as long by blocks as by what else finds these, with 20
    // of IPv6 among 1,000 up to a tenth longer; decide/ipv4-1k, decide-dependent/ipv6-1k.
    const MAX_ANYWHERE: usize = if W == 1 { 3 * LANES } else { LANES };

    /// Does the same, so that a flow is compared with no more than three blocks beside those of a bucket, or one for
    /// IPv6. Without the rules of any host if these need more and not all are needed; `None` if it cannot be, or
    /// there is no `room` for the blocks, in bytes.
    pub(super) fn in_buckets(rules: &[SidedRule], needs_all: bool, room: usize) -> Option<Scan<W>> {
        let (mut anywhere, others): (Vec<&SidedRule>, Vec<&SidedRule>) =
            rules.iter().partition(|rule| rule.remote.prefix_len() == 0);
        let has_all = anywhere.len() <= Self::MAX_ANYWHERE;
        if !has_all {
            // Those of an address and 0 bits are no rules of any host elsewhere.
            anywhere.retain(|rule| !rule.is_of_any_host);
        }
        let least = others.len().div_ceil(LANES) * size_of::<Block<W>>();
        if anywhere.len() > Self::MAX_ANYWHERE || !has_all && needs_all || least > room {
            return None;
        }
        let buckets = Buckets::new(&others)?;
        let is_of_any_host = anywhere.iter().all(|rule| rule.is_of_any_host);
        Some(Scan { blocks: in_blocks(&mut anywhere), buckets, has_all, is_of_any_host })
    }

    /// Whether it has all rules of the family, also those of any host.
    pub(super) fn has_all(&self) -> bool {
        self.has_all
    }

    /// Returns the number of blocks in buckets.
    #[cfg(test)]
    pub(super) fn bucket_blocks(&self) -> usize {
        self.buckets.len()
    }

    /// Returns the number of tables that lead to buckets.
    #[cfg(test)]
    pub(super) fn table_count(&self) -> usize {
        self.buckets.table_count()
    }

    /// Returns the number of blocks of the largest bucket.
    #[cfg(test)]
    pub(super) fn longest_run(&self) -> usize {
        self.buckets.longest_run()
    }

    /// Returns the first rule that matches a flow whose local end is known.
    #[inline(always)]
    pub(super) fn find_in_all(&self, lanes: impl Lanes, flow: &Flow<'_>) -> Ranked {
        let Some((block, others)) = self.blocks.split_first() else { return Ranked::NONE };
        lanes.find_in_blocks(block, [others], flow)
    }

    /// Does the same where there are buckets.
    #[inline(always)]
    pub(super) fn find_in_buckets(&self, lanes: impl Lanes, flow: &Flow<'_>) -> Ranked {
        let Some((block, others)) = self.buckets.of(flow) else { return Ranked::NONE };
        lanes.find_in_blocks(block, [others, &self.blocks], flow)
    }

    /// Whether rules of any host are to be looked for beside what [`find_each_in_buckets`](Scan::find_each_in_buckets)
    /// finds.
    pub(super) fn leaves_any_host(&self) -> bool {
        self.is_of_any_host | !self.has_all
    }

    /// Returns the first rule that matches each of those of a group of flows that have a bit, usual flows of the
    /// family; without the rules of any host if all of them are found elsewhere.
    // PERF: elsewhere they are found for a whole group at once, for a tenth less; decide-batch/ipv6-100.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    pub(super) fn find_each_in_buckets(
        &self,
        lanes: impl Lanes,
        columns: &Columns<'_>,
        usual: Bits,
    ) -> [Ranked; GROUP] {
        let mut found = [Ranked::NONE; GROUP];
        let beside = if self.is_of_any_host { &[] } else { self.blocks.as_slice() };
        for lane in lanes_of(usual) {
            let Some(flow) = columns.flows.get(lane) else { break };
            let Some((block, others)) = self.buckets.of(flow) else { break };
            found[lane] = lanes.find_in_blocks(block, [others, beside], flow);
        }
        found
    }

    /// Returns the first rule that matches each of a group of usual flows of the family: each rule is compared
    /// with all of them.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    pub(super) fn find_group(&self, lanes: impl Lanes, columns: &Columns<'_>) -> [Ranked; GROUP] {
        let (remote, local) = (columns.words(Which::Remote), columns.words(Which::Local));
        let mut best = [Ranked::NONE.bits(); GROUP];
        for block in &self.blocks {
            let mut best_of_block = [Ranked::NONE.bits(); GROUP];
            for rule in (0..LANES).rev().filter(|rule| block.ranked[*rule] != Ranked::NONE) {
                // Of TCP and UDP the other number is 0.
                let traits = u32::from(block.traits[rule]);
                let mut fails = columns.traits.map(|asked| asked & traits);
                let first = block.remote_first[rule];
                outside(&mut fails, &columns.remote_port, first, block.remote_more[rule]);
                differ(&mut fails, &remote, &block.remote_value, &block.remote_mask, rule);
                if block.with_local >> rule & 1 != 0 {
                    let first = block.local_first[rule];
                    outside(&mut fails, &columns.local_port, first, block.local_more[rule]);
                    differ(&mut fails, &local, &block.local_value, &block.local_mask, rule);
                }
                let ranked = [block.ranked[rule].bits(); GROUP];
                best_of_block = lanes.choose(&fails, u32::MAX, &best_of_block, &ranked);
            }
            for (best, of_block) in best.iter_mut().zip(best_of_block) {
                *best = of_block.min(*best);
            }
        }
        best.map(Ranked::of_bits)
    }

    /// Returns the first rule that matches whatever the local side, and whether it has one.
    #[inline(always)]
    pub(super) fn find_unbound(&self, lanes: impl Lanes, flow: &Flow<'_>) -> (Ranked, bool) {
        Self::find_unbound_in(self.blocks.iter(), lanes, flow)
    }

    /// Does the same where there are buckets.
    #[inline(always)]
    pub(super) fn find_unbound_in_buckets(
        &self,
        lanes: impl Lanes,
        flow: &Flow<'_>,
    ) -> (Ranked, bool) {
        let bucket = self.buckets.of(flow).into_iter();
        let bucket = bucket.flat_map(|(block, others)| std::iter::once(block).chain(others));
        Self::find_unbound_in(self.blocks.iter().chain(bucket), lanes, flow)
    }

    #[inline(always)]
    fn find_unbound_in<'a>(
        blocks: impl Iterator<Item = &'a Block<W>>,
        lanes: impl Lanes,
        flow: &Flow<'_>,
    ) -> (Ranked, bool) {
        let mut best = (Ranked::NONE, false);
        for block in blocks {
            let bits = lanes.compare_remote(block, flow);
            let first = bits & bits.wrapping_neg();
            let found = (block.first(bits), block.with_local & first != 0);
            best = select_unpredictable(found.0 < best.0, found, best);
        }
        best
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.blocks) + self.buckets.size_bytes()
    }
}
