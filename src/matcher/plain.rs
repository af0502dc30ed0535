//! [`PlainIndex`]: the rules that have no local side, no zone id and no host name - most rules.
//!
//! For each network that a rule names, the rules of all networks that contain it are merged into
//! one list, the first of which stands in the index itself: a look-up finds one list and reads it
//! from its start. A list that would grow too long is a chain instead, in which each network keeps
//! its own rules and a link to the next shorter network.

use crate::endpoint::AddressFamily;
use crate::matcher::leaf::{CASES, COMMON_CASES, Leaf, Ranked};
use crate::matcher::lists::Query;
use crate::matcher::memory;
use crate::matcher::ports::PortTable;
use crate::matcher::prefixes::PrefixIndex;
use ipnet::IpNet;
use std::collections::HashMap;

/// The index.
#[derive(Debug)]
pub(super) struct PlainIndex {
    v4: PrefixIndex<u32, Leaf>,
    /// IPv6 networks of up to 64 bits.
    v6_short: PrefixIndex<u64, Leaf>,
    /// IPv6 networks of more than 64 bits.
    v6_long: PrefixIndex<u128, Leaf>,
    /// What holds for addresses in no network of their family.
    v4_root: Leaf,
    v6_root: Leaf,
    leaves: Vec<Leaf>,
    chains: Vec<Chain>,
    anywhere: Anywhere,
}

/// The rules whose remote side is nil or a wildcard.
#[derive(Debug)]
struct Anywhere {
    /// For flows to an IPv4 or an IPv6 address: nil, and the wildcard of the family.
    v4: PortTable,
    v6: PortTable,
    /// For flows to no address: nil.
    nowhere: PortTable,
    /// The rules for other protocols than TCP and UDP, with the family of a wildcard.
    uncommon: Vec<(Anyone, Leaf)>,
}

/// A remote side that holds every address, or every address of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anyone {
    /// Nil.
    Nil,
    /// `0.0.0.0`.
    V4,
    /// `::`.
    V6,
}

/// The rules of one network, where they are too many to be merged.
#[derive(Debug)]
struct Chain {
    own: Span,
    /// The rules for single ports, kept apart where there are many.
    by_port: Option<HashMap<u16, Span>>,
    parent: Option<u32>,
    /// The first rule here and in all parents.
    first: Ranked,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    len: u32,
}

impl Chain {
    /// What index 0, which stands for no chain, holds.
    const NONE: Chain =
        Chain { own: Span { start: 0, len: 0 }, by_port: None, parent: None, first: Ranked::NONE };
}

/// The longest list that is merged.
const MAX_MERGED: usize = 16;

impl PlainIndex {
    /// Makes the index.
    ///
    /// `rules` are those of explicit networks, and `anywhere` the others, in ascending rank;
    /// `conditional` are the explicit networks of rules that are kept elsewhere.
    pub(super) fn new(
        rules: Vec<(IpNet, Leaf)>,
        anywhere: &[(Anyone, Leaf)],
        conditional: Vec<IpNet>,
    ) -> PlainIndex {
        let mut builder =
            Builder { leaves: vec![Leaf::NONE], chains: vec![Chain::NONE], path: Vec::new() };
        let (mut v4, mut v6_short, mut v6_long) = (Vec::new(), Vec::new(), Vec::new());
        let (mut v4_root, mut v6_root) = (Leaf::NONE, Leaf::NONE);
        builder.build(rules, conditional, |net, leaf| {
            let len = net.prefix_len();
            match net {
                IpNet::V4(_) if len == 0 => v4_root = leaf,
                IpNet::V6(_) if len == 0 => v6_root = leaf,
                IpNet::V4(net) => v4.push((net.addr().to_bits() >> (32 - len), len, leaf)),
                IpNet::V6(net) if len <= 64 => {
                    let bits = (net.addr().to_bits() >> 64) as u64;
                    v6_short.push((bits >> (64 - len), len, leaf));
                }
                IpNet::V6(net) => v6_long.push((net.addr().to_bits() >> (128 - len), len, leaf)),
            }
        });
        builder.leaves.shrink_to_fit();
        builder.chains.shrink_to_fit();
        PlainIndex {
            v4: PrefixIndex::new(&v4),
            v6_short: PrefixIndex::new(&v6_short),
            v6_long: PrefixIndex::new(&v6_long),
            v4_root,
            v6_root,
            leaves: builder.leaves,
            chains: builder.chains,
            anywhere: Anywhere::new(anywhere),
        }
    }

    /// Returns the first rule that matches and goes before `best`, else `best`, and whether rules
    /// that are kept elsewhere may apply to the address.
    #[inline(always)]
    pub(super) fn find(&self, query: &Query<'_>, best: Ranked) -> (Ranked, bool) {
        let best = best.min(self.anywhere.find(query));
        let leaf = match query.family {
            Some(AddressFamily::V4) => self.v4.get(query.low as u32).unwrap_or(&self.v4_root),
            Some(AddressFamily::V6) => self.leaf_v6(query.high, query.low),
            None => return (best, false),
        };
        let is_conditional = leaf.flags & Leaf::CONDITIONAL != 0;
        // The first leaf without a branch on what it says, which no machine could foresee.
        let matches = leaf.matches(query.case, query.remote_port);
        let found = if matches { leaf.ranked } else { Ranked::NONE };
        let goes_on = !matches & (leaf.next != 0) & (leaf.ranked < best);
        let best = best.min(found);
        if goes_on {
            return (self.find_further(leaf, query, best), is_conditional);
        }
        (best, is_conditional)
    }

    #[inline(always)]
    fn leaf_v6(&self, high: u64, low: u64) -> &Leaf {
        let long = self.v6_long.get(u128::from(high) << 64 | u128::from(low));
        let short = self.v6_short.get(high);
        long.or(short).unwrap_or(&self.v6_root)
    }

    fn find_further(&self, first: &Leaf, query: &Query<'_>, best: Ranked) -> Ranked {
        if first.flags & Leaf::CHAIN != 0 {
            return self.find_in_chain(first.next, query, best);
        }
        let mut next = first.next;
        while let Some(leaf) = self.leaves.get(next as usize).filter(|leaf| leaf.ranked < best) {
            if leaf.matches(query.case, query.remote_port) {
                return leaf.ranked;
            }
            next = leaf.next;
            if next == 0 {
                break;
            }
        }
        best
    }

    #[inline(never)]
    fn find_in_chain(&self, chain: u32, query: &Query<'_>, best: Ranked) -> Ranked {
        let mut best = best;
        let mut next = self.chains.get(chain as usize);
        while let Some(chain) = next.filter(|chain| chain.first < best) {
            let of_port = chain.by_port.as_ref().and_then(|spans| spans.get(&query.remote_port));
            for span in [of_port, Some(&chain.own)].into_iter().flatten() {
                let before = self.slice(*span).iter().take_while(|leaf| leaf.ranked < best);
                let found =
                    before.into_iter().find(|leaf| leaf.matches(query.case, query.remote_port));
                best = found.map_or(best, |leaf| leaf.ranked);
            }
            next = chain.parent.and_then(|parent| self.chains.get(parent as usize));
        }
        best
    }

    fn slice(&self, span: Span) -> &[Leaf] {
        let start = span.start as usize;
        self.leaves.get(start..start + span.len as usize).unwrap_or(&[])
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        let by_port = self.chains.iter().flat_map(|chain| &chain.by_port).map(memory::of_map);
        let Anywhere { v4, v6, nowhere, uncommon } = &self.anywhere;
        self.v4.size_bytes()
            + self.v6_short.size_bytes()
            + self.v6_long.size_bytes()
            + memory::of_vec(&self.leaves)
            + memory::of_vec(&self.chains)
            + by_port.sum::<usize>()
            + v4.size_bytes()
            + v6.size_bytes()
            + nowhere.size_bytes()
            + memory::of_vec(uncommon)
    }
}

impl Anywhere {
    fn new(rules: &[(Anyone, Leaf)]) -> Anywhere {
        let table = |anyone: &[Anyone]| {
            let rules =
                rules.iter().filter(|(own, leaf)| anyone.contains(own) && !leaf.is_number());
            PortTable::new(&rules.map(|(_, leaf)| *leaf).collect::<Vec<_>>())
        };
        Anywhere {
            v4: table(&[Anyone::Nil, Anyone::V4]),
            v6: table(&[Anyone::Nil, Anyone::V6]),
            nowhere: table(&[Anyone::Nil]),
            uncommon: rules.iter().filter(|(_, leaf)| leaf.is_number()).copied().collect(),
        }
    }

    #[inline(always)]
    fn find(&self, query: &Query<'_>) -> Ranked {
        if query.is_loopback {
            return Ranked::NONE;
        }
        if query.case.is_uncommon() {
            return self.find_uncommon(query);
        }
        let table = match query.family {
            Some(AddressFamily::V4) => &self.v4,
            Some(AddressFamily::V6) => &self.v6,
            None => &self.nowhere,
        };
        table.get(query.remote_port, query.case)
    }

    #[cold]
    fn find_uncommon(&self, query: &Query<'_>) -> Ranked {
        let family = match query.family {
            Some(AddressFamily::V4) => Anyone::V4,
            Some(AddressFamily::V6) => Anyone::V6,
            None => Anyone::Nil,
        };
        let of_family = self.uncommon.iter().filter(|(own, _)| [Anyone::Nil, family].contains(own));
        let mut matching =
            of_family.filter(|(_, leaf)| leaf.matches(query.case, query.remote_port));
        matching.next().map_or(Ranked::NONE, |(_, leaf)| leaf.ranked)
    }
}

/// Goes through the networks in ascending order, which puts those that contain a network before it.
struct Builder {
    leaves: Vec<Leaf>,
    chains: Vec<Chain>,
    /// The networks that contain the one at hand, the longest last.
    path: Vec<Class>,
}

struct Class {
    net: IpNet,
    rules: Rules,
    is_conditional: bool,
    leaf: Leaf,
}

enum Rules {
    Merged(Vec<Leaf>),
    Chain(u32),
}

impl Builder {
    fn build(
        &mut self,
        mut rules: Vec<(IpNet, Leaf)>,
        mut conditional: Vec<IpNet>,
        mut emit: impl FnMut(IpNet, Leaf),
    ) {
        rules.sort_by_key(|(net, _)| *net);
        conditional.sort_unstable();
        conditional.dedup();
        let mut rules = rules.chunk_by(|(a, _), (b, _)| a == b).peekable();
        let mut conditional = conditional.into_iter().peekable();
        loop {
            let of_rules = rules.peek().and_then(|chunk| chunk.first()).map(|(net, _)| *net);
            let net = match (of_rules, conditional.peek()) {
                (Some(a), Some(b)) => a.min(*b),
                (Some(net), None) => net,
                (None, Some(net)) => *net,
                (None, None) => return,
            };
            let own = if of_rules == Some(net) { rules.next().unwrap_or(&[]) } else { &[] };
            let is_conditional = conditional.next_if_eq(&net).is_some();
            let own: Vec<Leaf> = own.iter().map(|(_, leaf)| *leaf).collect();
            emit(net, self.class(net, own, is_conditional));
        }
    }

    /// Returns the leaf of a network with its own rules.
    fn class(&mut self, net: IpNet, own: Vec<Leaf>, is_conditional: bool) -> Leaf {
        while self.path.last().is_some_and(|class| !class.net.contains(&net)) {
            self.path.pop();
        }
        let parent = self.path.last();
        let is_conditional = is_conditional || parent.is_some_and(|class| class.is_conditional);
        let mut leaf;
        let rules;
        match parent {
            Some(parent) if own.is_empty() => {
                leaf = parent.leaf;
                rules = match &parent.rules {
                    Rules::Merged(list) => Rules::Merged(list.clone()),
                    Rules::Chain(chain) => Rules::Chain(*chain),
                };
            }
            _ => {
                let inherited = match parent.map(|class| &class.rules) {
                    None => Some(&[][..]),
                    Some(Rules::Merged(list)) => Some(list.as_slice()),
                    Some(Rules::Chain(_)) => None,
                };
                let merged = inherited.map(|inherited| merge(&own, inherited));
                match merged.filter(|merged| merged.len() <= MAX_MERGED) {
                    Some(merged) => {
                        leaf = self.store_list(&merged);
                        rules = Rules::Merged(merged);
                    }
                    None => {
                        let chain = self.store_chain(own);
                        let first = self.chains.get(chain as usize).map(|chain| chain.first);
                        leaf = Leaf {
                            ranked: first.unwrap_or(Ranked::NONE),
                            next: chain,
                            flags: Leaf::CHAIN,
                            ..Leaf::NONE
                        };
                        rules = Rules::Chain(chain);
                    }
                }
            }
        }
        if is_conditional {
            leaf.flags |= Leaf::CONDITIONAL;
        }
        self.path.push(Class { net, rules, is_conditional, leaf });
        leaf
    }

    /// Stores all but the first of a list, which is returned.
    fn store_list(&mut self, list: &[Leaf]) -> Leaf {
        let Some((first, rest)) = list.split_first() else { return Leaf::NONE };
        let start = self.leaves.len() as u32;
        for (index, leaf) in (1..).zip(rest) {
            let next = if index == rest.len() { 0 } else { start + index as u32 };
            self.leaves.push(Leaf { next, ..*leaf });
        }
        Leaf { next: if rest.is_empty() { 0 } else { start }, ..*first }
    }

    /// Stores the rules of a network as a chain, and those of the networks that contain it if they
    /// are not chains yet.
    fn store_chain(&mut self, own: Vec<Leaf>) -> u32 {
        let mut parent = None;
        let path = std::mem::take(&mut self.path);
        if let Some(class) = path.last() {
            parent = match &class.rules {
                Rules::Chain(chain) => Some(*chain),
                // All that the parent inherits is in its list.
                Rules::Merged(list) if list.is_empty() => None,
                Rules::Merged(list) => Some(self.push_chain(list.clone(), None)),
            };
        }
        self.path = path;
        self.push_chain(own, parent)
    }

    fn push_chain(&mut self, own: Vec<Leaf>, parent: Option<u32>) -> u32 {
        let above = parent.and_then(|parent| self.chains.get(parent as usize));
        let above = above.map_or(Ranked::NONE, |chain| chain.first);
        let first = own.iter().map(|leaf| leaf.ranked).chain([above]).min();
        let is_long = own.len() > MAX_MERGED;
        let (single, own): (Vec<Leaf>, Vec<Leaf>) =
            own.into_iter().partition(|leaf| is_long && leaf.single_port().is_some());
        let mut by_port: HashMap<u16, Vec<Leaf>> = HashMap::new();
        for leaf in single {
            by_port.entry(leaf.single_port().unwrap_or(0)).or_default().push(leaf);
        }
        let mut span = |list: Vec<Leaf>| {
            let span = Span { start: self.leaves.len() as u32, len: list.len() as u32 };
            self.leaves.extend(list);
            span
        };
        let chain = Chain {
            own: span(own),
            by_port: is_long
                .then(|| by_port.into_iter().map(|(port, list)| (port, span(list))).collect()),
            parent,
            first: first.unwrap_or(Ranked::NONE),
        };
        self.chains.push(chain);
        (self.chains.len() - 1) as u32
    }
}

/// Merges two lists in order of rank, without the rules that can never decide since earlier ones
/// match every port in all their cases.
fn merge(own: &[Leaf], inherited: &[Leaf]) -> Vec<Leaf> {
    let mut merged: Vec<Leaf> = own.iter().chain(inherited).copied().collect();
    merged.sort_by_key(|leaf| leaf.ranked);
    let mut covered = 0u16;
    merged.retain(|leaf| {
        let is_needed = leaf.is_number() || leaf.cases & !covered != 0;
        if leaf.is_any_port() && !leaf.is_number() {
            covered |= leaf.cases;
        }
        is_needed
    });
    merged
}

const _: () = assert!(CASES <= u16::BITS as usize && COMMON_CASES < CASES);
