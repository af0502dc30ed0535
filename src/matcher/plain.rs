//! [`PlainIndex`]: the rules that have no local side, no zone id and no host name - most rules.
//!
//! For each network that a rule names, the rules of all networks that contain it are merged into
//! one list, the first of which stands in the index itself: a look-up finds one list and reads it
//! from its start. A list that would grow too long is a chain instead, in which each network keeps
//! its own rules and a link to the next shorter network.

use crate::endpoint::AddressFamily;
use crate::flow::{End, Flow};
use crate::matcher::columns::{Bits, Columns, Which, lanes_of, lower};
use crate::matcher::intervals::{GROUP, Intervals, Singles, Wanted, bounds};
use crate::matcher::lanes::{Lanes, Scalar, prefetch};
use crate::matcher::leaf::{CASES, COMMON_CASES, Case, Leaf, Ranked};
use crate::matcher::memory;
use crate::matcher::ports::PortTable;
use crate::matcher::rows::Place;
use ipnet::IpNet;
use std::hint::select_unpredictable;

/// The index.
#[derive(Debug)]
pub(super) struct PlainIndex {
    v4: Intervals<Leaf>,
    v6: Intervals<Leaf>,
    /// In place of these, if every network has but one rule that matters, and that is one for all
    /// ports, TCP and UDP, and all directions.
    simple: Option<Box<Simple>>,
    nothing: Intervals<Leaf>,
    leaves: Vec<Leaf>,
    chains: Vec<Chain>,
    anywhere: Anywhere,
}

/// The rule of each address: block lists, most of them.
#[derive(Debug)]
struct Simple {
    v4: Intervals<Ranked>,
    v6: Intervals<Ranked>,
    nothing: Intervals<Ranked>,
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

impl Anyone {
    /// Whether the side holds the addresses of a family, or of flows without one.
    pub(super) fn holds(self, family: Option<AddressFamily>) -> bool {
        match self {
            Anyone::Nil => true,
            Anyone::V4 => family == Some(AddressFamily::V4),
            Anyone::V6 => family == Some(AddressFamily::V6),
        }
    }
}

/// The rules of one network, where they are too many to be merged.
#[derive(Debug)]
struct Chain {
    /// A few rules, or where there are more those for other protocols than TCP and UDP.
    own: Span,
    /// The others.
    by_port: Option<PortTable>,
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

/// So many leaves, 256 KiB of them, that those of a group are asked for before the first is read.
// PERF: decide-batch/ipv6-100k.
const LARGE: usize = 1 << 14;

/// An explicit network of rules that are kept elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditional {
    pub(super) net: IpNet,
    /// Where they are kept, with those of the networks that contain it, by the remote side.
    pub(super) place: Place,
}

/// The longest list that is merged.
const MAX_MERGED: usize = 16;

impl PlainIndex {
    /// Makes the index.
    ///
    /// `rules` are those of explicit networks, and `anywhere` the others, in ascending rank;
    /// `conditional` has the explicit networks of rules that are kept elsewhere, in ascending order.
    pub(super) fn new(
        rules: Vec<(IpNet, Leaf)>,
        anywhere: &[(Anyone, Leaf)],
        conditional: &[Conditional],
        singles: Singles,
    ) -> PlainIndex {
        let mut builder =
            Builder { leaves: vec![Leaf::NONE], chains: vec![Chain::NONE], path: Vec::new() };
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        builder.build(rules, conditional, |net, leaf| {
            let (first, last) = bounds(net);
            let networks = if net.addr().is_ipv4() { &mut v4 } else { &mut v6 };
            networks.push((first, last, leaf));
        });
        builder.leaves.shrink_to_fit();
        builder.chains.shrink_to_fit();
        let is_simple = v4.iter().chain(&v6).all(|(.., leaf)| leaf.is_all());
        let simple = is_simple.then(|| {
            let ranked = |networks: &mut Vec<(u128, u128, Leaf)>| {
                let networks = std::mem::take(networks).into_iter();
                networks.map(|(first, last, leaf)| (first, last, leaf.ranked)).collect::<Vec<_>>()
            };
            Box::new(Simple {
                v4: Intervals::with_singles(
                    &ranked(&mut v4),
                    Ranked::NONE,
                    AddressFamily::V4,
                    singles,
                ),
                v6: Intervals::with_singles(
                    &ranked(&mut v6),
                    Ranked::NONE,
                    AddressFamily::V6,
                    singles,
                ),
                nothing: Intervals::new(&[], Ranked::NONE),
            })
        });
        PlainIndex {
            v4: Intervals::with_singles(&v4, Leaf::NONE, AddressFamily::V4, singles),
            v6: Intervals::with_singles(&v6, Leaf::NONE, AddressFamily::V6, singles),
            simple,
            nothing: Intervals::new(&[], Leaf::NONE),
            leaves: builder.leaves,
            chains: builder.chains,
            anywhere: Anywhere::new(anywhere),
        }
    }

    /// Puts the index of each rule in place of its rank, if every address has one rule at most, so that no ranks are
    /// compared here, and returns whether it did. `order` has the index of each rank.
    // PERF: the order of many rules is in no near cache, and each decision would wait for it;
    // longest-match-dependent/routing-table-ipv4-uniform/matcher.
    pub(super) fn number_by(&mut self, order: &[u32]) -> bool {
        let Some(simple) = &mut self.simple else { return false };
        simple.v4.change(|ranked| ranked.numbered_by(order));
        simple.v6.change(|ranked| ranked.numbered_by(order));
        true
    }

    /// Whether the index has rules of whole networks only, for TCP and UDP and all directions, and every address
    /// one of them at most.
    pub(super) fn is_simple(&self) -> bool {
        self.simple.is_some()
    }

    /// Whether single addresses are kept apart, and found by an exact match.
    pub(super) fn has_exact(&self) -> bool {
        let of_simple = self.simple.as_ref().is_some_and(|s| s.v4.has_exact() | s.v6.has_exact());
        of_simple | self.v4.has_exact() | self.v6.has_exact()
    }

    /// Returns the rule of the remote address for TCP and UDP, if there are [such](PlainIndex::is_simple) only; none
    /// where little of the address tells, at the cost of a branch, that there is none.
    #[inline(always)]
    pub(super) fn of_network(&self, lanes: impl Lanes, remote: &End) -> Option<Ranked> {
        let simple = self.simple.as_ref()?;
        let (high, low) = remote.folded_bits();
        match remote.folded_family()? {
            AddressFamily::V4 => Some(*simple.v4.get_v4(lanes, low as u32)),
            AddressFamily::V6 => simple.v6.get_v6_if_near(lanes, high, low).copied(),
        }
    }

    /// Returns the leaf of an IPv4 address.
    #[inline(always)]
    pub(super) fn leaf_v4(&self, lanes: impl Lanes, address: u32) -> Leaf {
        match &self.simple {
            Some(simple) => Leaf::of_all(*simple.v4.get_v4(lanes, address)),
            None => self.v4.get_v4(lanes, address).by_fields(),
        }
    }

    /// Returns the leaf of an IPv6 address, given by its halves.
    #[inline(always)]
    pub(super) fn leaf_v6(&self, lanes: impl Lanes, high: u64, low: u64) -> Leaf {
        match &self.simple {
            Some(simple) => Leaf::of_all(*simple.v6.get_v6(lanes, high, low)),
            None => self.v6.get_v6(lanes, high, low).by_fields(),
        }
    }

    /// Returns the leaves of the remote addresses of a group of flows.
    #[inline(always)]
    pub(super) fn leaves(&self, lanes: impl Lanes, flows: &[Flow<'_>]) -> [Leaf; GROUP] {
        let mut leaves = [Leaf::NONE; GROUP];
        match &self.simple {
            Some(simple) => {
                let Simple { v4, v6, nothing } = &**simple;
                let mut wanted = [Wanted { intervals: nothing, high: 0, low: 0 }; GROUP];
                let wanted = fill(&mut wanted, flows, v4, v6);
                let found = Intervals::get_group(lanes, wanted, &Ranked::NONE);
                for ((leaf, ranked), _) in leaves.iter_mut().zip(found).zip(flows) {
                    *leaf = Leaf::of_all(*ranked);
                }
            }
            None => {
                let (v4, v6, nothing) = (&self.v4, &self.v6, &self.nothing);
                let mut wanted = [Wanted { intervals: nothing, high: 0, low: 0 }; GROUP];
                let wanted = fill(&mut wanted, flows, v4, v6);
                let found = Intervals::get_group(lanes, wanted, &Leaf::NONE);
                for ((leaf, found), _) in leaves.iter_mut().zip(found).zip(flows) {
                    *leaf = *found;
                }
            }
        }
        leaves
    }

    /// Returns the leaf of the remote address.
    #[inline(always)]
    pub(super) fn leaf(&self, lanes: impl Lanes, remote: &End) -> Leaf {
        let (high, low) = remote.folded_bits();
        match remote.folded_family() {
            Some(AddressFamily::V4) => self.leaf_v4(lanes, low as u32),
            Some(AddressFamily::V6) => self.leaf_v6(lanes, high, low),
            None => Leaf::NONE,
        }
    }

    /// Returns the first rule of any host that matches a flow that is not a loopback flow.
    #[inline(always)]
    pub(super) fn anywhere(
        &self,
        lanes: impl Lanes,
        family: Option<AddressFamily>,
        case: Case,
        port: u16,
    ) -> Ranked {
        let table = match family {
            Some(AddressFamily::V4) => &self.anywhere.v4,
            Some(AddressFamily::V6) => &self.anywhere.v6,
            None => &self.anywhere.nowhere,
        };
        table.get(lanes, port, case)
    }

    /// The same, for protocols that are neither TCP nor UDP.
    pub(super) fn uncommon_anywhere(
        &self,
        family: Option<AddressFamily>,
        case: Case,
        port: u16,
    ) -> Ranked {
        let of_family = self.anywhere.uncommon.iter().filter(|(own, _)| own.holds(family));
        let mut matching = of_family.filter(|(_, leaf)| leaf.matches(case, port));
        matching.next().map_or(Ranked::NONE, |(_, leaf)| leaf.ranked)
    }

    /// Returns the first rule of all that matches a flow that is not a loopback flow.
    #[inline(always)]
    pub(super) fn first(&self, lanes: impl Lanes, remote: &End, case: Case) -> Ranked {
        let best = self.first_of_any_host(lanes, remote, case);
        self.find(self.leaf(lanes, remote), case, remote.port(), best)
    }

    /// Returns the first rule of any host that matches a flow that is not a loopback flow, of whatever protocol.
    #[inline(always)]
    pub(super) fn first_of_any_host(&self, lanes: impl Lanes, remote: &End, case: Case) -> Ranked {
        let (family, port) = (remote.folded_family(), remote.port());
        match case.is_uncommon() {
            true => self.uncommon_anywhere(family, case, port),
            false => self.anywhere(lanes, family, case, port),
        }
    }

    /// Returns the first rule of the networks that `leaf` stands for that matches and goes before
    /// `best`, else `best`.
    #[inline(always)]
    pub(super) fn find(&self, leaf: Leaf, case: Case, port: u16, best: Ranked) -> Ranked {
        // The first without a branch on what it says, which no machine could foresee.
        let matches = leaf.matches(case, port);
        let found = select_unpredictable(matches, leaf.ranked, Ranked::NONE);
        let next = select_unpredictable(matches, 0, leaf.next);
        if (next != 0) & (leaf.ranked < best) {
            return self.find_further(next, leaf.is_chain(), case, port, best);
        }
        select_unpredictable(found < best, found, best)
    }

    /// Returns the place of the rules that are kept elsewhere and may apply where a leaf does; none, if there are none.
    #[inline(always)]
    pub(super) fn place(&self, leaf: Leaf) -> Option<Place> {
        leaf.is_conditional().then(|| self.place_at(leaf.next))
    }

    #[inline(always)]
    fn place_at(&self, next: u32) -> Place {
        self.leaves.get(next as usize).map_or(Place::EMPTY, Leaf::place)
    }

    /// Puts the first rule that matches in place of those that it goes before, for each of a group
    /// of usual flows of a family, and returns a bit for each to which rules that are kept elsewhere may
    /// apply, and the places of these.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    pub(super) fn lower(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        columns: &Columns<'_>,
        best: &mut [Ranked; GROUP],
    ) -> (Bits, [Place; GROUP]) {
        let mut of_remotes = [Place::EMPTY; GROUP];
        let Columns { flows, remote_port, case, .. } = columns;
        let usual = columns.usual(family);
        if let Some(simple) = &self.simple {
            let intervals = match family {
                AddressFamily::V4 => &simple.v4,
                AddressFamily::V6 => &simple.v6,
            };
            let [found] = intervals.gather_ends(lanes, columns, Which::Remote);
            lower(best, &found);
            return (0, of_remotes);
        }
        let intervals = match family {
            AddressFamily::V4 => &self.v4,
            AddressFamily::V6 => &self.v6,
        };
        let leaves @ [ranked, next, ports, kinds] =
            intervals.gather_ends(lanes, columns, Which::Remote);
        let (mut further, mut conditional) = ([0; GROUP], [0; GROUP]);
        for lane in 0..GROUP {
            let (port, ports, kind) = (remote_port[lane], ports[lane], kinds[lane]);
            let (first, last) = (ports & 0xffff, ports >> 16);
            let matches = (kind >> case[lane] & 1 != 0) & (port >= first) & (port <= last);
            let ranked = Ranked::of_bits(ranked[lane]);
            let has_further = !matches & (next[lane] != 0) & (ranked < best[lane]);
            further[lane] = u32::from(has_further);
            conditional[lane] = kind & u32::from(Leaf::CONDITIONAL) << 24;
            best[lane] = if matches & (ranked < best[lane]) { ranked } else { best[lane] };
        }
        let (further, conditional) =
            (lanes.nonzero(&further) & usual, lanes.nonzero(&conditional) & usual);
        if self.leaves.len() > LARGE {
            for lane in lanes_of(further | conditional) {
                prefetch(self.leaves.get(next[lane] as usize));
            }
        }
        for lane in lanes_of(further) {
            let leaf = Leaf::of_words(leaves.map(|column| column[lane]));
            let Some(flow) = flows.get(lane) else { break };
            let port = remote_port[lane] as u16;
            let (next, is_chain) = (leaf.next, leaf.is_chain());
            best[lane] = self.find_further(next, is_chain, Case::of(flow), port, best[lane]);
        }
        for lane in lanes_of(conditional) {
            of_remotes[lane] = self.place_at(next[lane]);
        }
        (conditional, of_remotes)
    }

    /// Puts the first rule of any host in place of those that it goes before, for each of a group of
    /// usual flows of a family.
    #[inline(always)]
    pub(super) fn lower_by_anywhere(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        columns: &Columns<'_>,
        best: &mut [Ranked; GROUP],
    ) {
        let table = match family {
            AddressFamily::V4 => &self.anywhere.v4,
            AddressFamily::V6 => &self.anywhere.v6,
        };
        table.lower(lanes, &columns.remote_port, &columns.case, best);
    }

    #[inline(never)]
    fn find_further(
        &self,
        mut next: u32,
        is_chain: bool,
        case: Case,
        port: u16,
        best: Ranked,
    ) -> Ranked {
        if is_chain {
            return self.find_in_chain(next, case, port, best);
        }
        while let Some(leaf) = self.leaves.get(next as usize).filter(|leaf| leaf.ranked < best) {
            if leaf.matches(case, port) {
                return leaf.ranked;
            }
            if leaf.is_chain() {
                return self.find_in_chain(leaf.next, case, port, best);
            }
            next = leaf.next;
            if next == 0 {
                break;
            }
        }
        best
    }

    fn find_in_chain(&self, chain: u32, case: Case, port: u16, best: Ranked) -> Ranked {
        let mut best = best;
        let mut next = self.chains.get(chain as usize);
        while let Some(chain) = next.filter(|chain| chain.first < best) {
            if let Some(by_port) = &chain.by_port {
                best = best.min(by_port.get(Scalar, port, case));
            }
            let before = self.slice(chain.own).iter().take_while(|leaf| leaf.ranked < best);
            let found = before.into_iter().find(|leaf| leaf.matches(case, port));
            best = found.map_or(best, |leaf| leaf.ranked);
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
        let by_port =
            self.chains.iter().flat_map(|chain| &chain.by_port).map(PortTable::size_bytes);
        let Anywhere { v4, v6, nowhere, uncommon } = &self.anywhere;
        self.v4.size_bytes()
            + self.v6.size_bytes()
            + self.simple.as_ref().map_or(0, |simple| {
                size_of::<Simple>() + simple.v4.size_bytes() + simple.v6.size_bytes()
            })
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
            PortTable::for_every_flow(&rules.map(|(_, leaf)| *leaf).collect::<Vec<_>>())
        };
        Anywhere {
            v4: table(&[Anyone::Nil, Anyone::V4]),
            v6: table(&[Anyone::Nil, Anyone::V6]),
            nowhere: table(&[Anyone::Nil]),
            uncommon: rules.iter().filter(|(_, leaf)| leaf.is_number()).copied().collect(),
        }
    }
}

/// Writes what is to be looked up for each flow, and returns as many as there are flows.
#[inline(always)]
fn fill<'a, 'b, V>(
    wanted: &'b mut [Wanted<'a, V>; GROUP],
    flows: &[Flow<'_>],
    v4: &'a Intervals<V>,
    v6: &'a Intervals<V>,
) -> &'b [Wanted<'a, V>] {
    for (wanted, flow) in wanted.iter_mut().zip(flows) {
        let (remote, _) = flow.ends();
        let (high, low) = remote.folded_bits();
        match remote.folded_family() {
            Some(AddressFamily::V4) => *wanted = Wanted { intervals: v4, high: low << 32, low: 0 },
            Some(AddressFamily::V6) => *wanted = Wanted { intervals: v6, high, low },
            None => {}
        }
    }
    wanted.get(..flows.len()).unwrap_or(wanted)
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
    /// None if they are those of the class before it.
    rules: Option<Rules>,
    /// That of the rules that are kept elsewhere, if there are any of this network or of one that contains it.
    place: Option<Place>,
    /// Less that place.
    leaf: Leaf,
}

enum Rules {
    Merged(Merged),
    Chain(u32),
}

/// The rules of a network and of all networks that contain it, in order of rank.
#[derive(Default)]
struct Merged {
    /// Each with the place of the next one among the leaves of the index.
    list: Vec<Leaf>,
    /// The place of the first, if it is there: mostly it stands in the intervals alone.
    place: Option<u32>,
}

impl Merged {
    /// Stores all of a list but the first. Where the rest of it is that of the list it inherits from, it goes on there.
    fn store(mut list: Vec<Leaf>, inherited: &mut Merged, leaves: &mut Vec<Leaf>) -> Merged {
        let pairs = list.iter().skip(1).rev().zip(inherited.list.iter().rev());
        let same = pairs.take_while(|(own, inherited)| own.ranked == inherited.ranked).count();
        let mut next = inherited.place_of_last(same, leaves);
        let count = list.len() - same;
        let places = leaves.len()..leaves.len() + count.saturating_sub(1);
        for (leaf, place) in list.iter_mut().take(count).rev().zip(places.rev().chain([0])) {
            leaf.next = next;
            next = place as u32;
        }
        leaves.extend(list.iter().take(count).skip(1));
        Merged { list, place: None }
    }

    /// Returns the place of the first of so many last rules, which is made if there is none; 0 for no rules.
    fn place_of_last(&mut self, count: usize, leaves: &mut Vec<Leaf>) -> u32 {
        let before = self.list.len().checked_sub(count + 1);
        match (before.and_then(|before| self.list.get(before)), self.list.first()) {
            (Some(before), _) => before.next,
            (None, Some(first)) => *self.place.get_or_insert_with(|| {
                leaves.push(*first);
                (leaves.len() - 1) as u32
            }),
            (None, None) => 0,
        }
    }
}

impl Builder {
    fn build(
        &mut self,
        mut rules: Vec<(IpNet, Leaf)>,
        conditional: &[Conditional],
        mut emit: impl FnMut(IpNet, Leaf),
    ) {
        rules.sort_by_key(|(net, _)| *net);
        let mut rules = rules.chunk_by(|(a, _), (b, _)| a == b).peekable();
        let mut conditional = conditional.iter().peekable();
        loop {
            let of_rules = rules.peek().and_then(|chunk| chunk.first()).map(|(net, _)| *net);
            let net = match (of_rules, conditional.peek()) {
                (Some(a), Some(b)) => a.min(b.net),
                (Some(net), None) => net,
                (None, Some(conditional)) => conditional.net,
                (None, None) => return,
            };
            let own = if of_rules == Some(net) { rules.next().unwrap_or(&[]) } else { &[] };
            let conditional = conditional.next_if(|conditional| conditional.net == net);
            let own: Vec<Leaf> = own.iter().map(|(_, leaf)| *leaf).collect();
            emit(net, self.class(net, own, conditional.map(|conditional| conditional.place)));
        }
    }

    /// Returns the leaf of a network with its own rules, and the place of those that are kept elsewhere.
    fn class(&mut self, net: IpNet, own: Vec<Leaf>, place: Option<Place>) -> Leaf {
        while self.path.last().is_some_and(|class| !class.net.contains(&net)) {
            self.path.pop();
        }
        let parent = self.path.last();
        let place = place.or(parent.and_then(|class| class.place));
        let mut leaf;
        let rules;
        match parent {
            Some(parent) if own.is_empty() => {
                leaf = parent.leaf;
                rules = None;
            }
            _ => {
                let Builder { leaves, path, .. } = self;
                let mut none = Merged::default();
                let inherited = match rules_of(path) {
                    None => Some(&mut none),
                    Some(Rules::Merged(merged)) => Some(merged),
                    Some(Rules::Chain(_)) => None,
                };
                let stored = inherited.and_then(|inherited| {
                    let list = merge(&own, &inherited.list);
                    (list.len() <= MAX_MERGED).then(|| Merged::store(list, inherited, leaves))
                });
                match stored {
                    Some(merged) => {
                        leaf = merged.list.first().copied().unwrap_or(Leaf::NONE);
                        rules = Some(Rules::Merged(merged));
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
                        rules = Some(Rules::Chain(chain));
                    }
                }
            }
        }
        self.path.push(Class { net, rules, place, leaf });
        if let Some(place) = place {
            self.leaves.push(Leaf::of_place(&leaf, place));
            leaf.next = (self.leaves.len() - 1) as u32;
            leaf.flags = leaf.flags & !Leaf::CHAIN | Leaf::CONDITIONAL;
        }
        leaf
    }

    /// Stores the rules of a network as a chain, and those of the networks that contain it if they
    /// are not chains yet.
    fn store_chain(&mut self, own: Vec<Leaf>) -> u32 {
        let parent = match rules_of(&mut self.path) {
            None => None,
            Some(Rules::Chain(chain)) => Some(*chain),
            // All that the parent inherits is in its list.
            Some(Rules::Merged(Merged { list, .. })) if list.is_empty() => None,
            Some(Rules::Merged(Merged { list, .. })) => {
                let list = list.clone();
                Some(self.push_chain(list, None))
            }
        };
        self.push_chain(own, parent)
    }

    fn push_chain(&mut self, own: Vec<Leaf>, parent: Option<u32>) -> u32 {
        let above = parent.and_then(|parent| self.chains.get(parent as usize));
        let above = above.map_or(Ranked::NONE, |chain| chain.first);
        let first = own.iter().map(|leaf| leaf.ranked).chain([above]).min();
        let is_long = own.len() > MAX_MERGED;
        let (common, own): (Vec<Leaf>, Vec<Leaf>) =
            own.into_iter().partition(|leaf| is_long && !leaf.is_number());
        let span = Span { start: self.leaves.len() as u32, len: own.len() as u32 };
        self.leaves.extend(own);
        let chain = Chain {
            own: span,
            by_port: (!common.is_empty()).then(|| PortTable::new(&common)),
            parent,
            first: first.unwrap_or(Ranked::NONE),
        };
        self.chains.push(chain);
        (self.chains.len() - 1) as u32
    }
}

/// Returns the rules of the last network of a path.
fn rules_of(path: &mut [Class]) -> Option<&mut Rules> {
    path.iter_mut().rev().find_map(|class| class.rules.as_mut())
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is missing")]
mod tests {
    use super::*;
    use crate::endpoint::Ports;
    use crate::flow::{Direction, IpProtocol};
    use crate::rule::{Action, Protocol};

    /// The place of rules that are kept elsewhere.
    const PLACE: Place = Place::of_link(3);

    /// Makes an index of networks of one remote port each, in order of rank, and a network of rules that are kept
    /// elsewhere.
    fn index_of(rules: &[(&str, u16)]) -> PlainIndex {
        let rules = (0..).zip(rules).map(|(rank, (net, port))| {
            let ports = Ports::one(*port);
            let ranked = Ranked::new(rank, Action::Drop);
            let leaf = Leaf::new(ranked, ports, Protocol::Any, Direction::Any);
            (net.parse().unwrap(), leaf)
        });
        let conditional = Conditional { net: "10.1.2.0/24".parse().unwrap(), place: PLACE };
        PlainIndex::new(rules.collect(), &[], &[conditional], Singles::Within)
    }

    /// Asserts what is found of each of some addresses and ports from 0 to 9.
    fn assert_found(index: &PlainIndex, rules: &[(&str, u16)], addresses: &[&str]) {
        let nets: Vec<(IpNet, u16)> =
            rules.iter().map(|(net, port)| (net.parse().unwrap(), *port)).collect();
        let elsewhere: IpNet = "10.1.2.0/24".parse().unwrap();
        for address in addresses {
            let address: std::net::IpAddr = address.parse().unwrap();
            for port in 0..10 {
                let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
                    .with_remote_address(address, None, port);
                let (remote, _) = flow.ends();
                let found = index.first(Scalar, remote, Case::of(&flow));
                let first =
                    nets.iter().position(|(net, own)| net.contains(&address) && *own == port);
                let expected = first.map(|rank| Ranked::new(rank as u32, Action::Drop));
                assert_eq!(found, expected.unwrap_or(Ranked::NONE), "{flow}");
                let place = index.place(index.leaf(Scalar, remote));
                assert_eq!(place, elsewhere.contains(&address).then_some(PLACE), "{flow}");
            }
        }
    }

    #[test]
    fn lists_of_nested_networks_end_in_common() {
        let rules = [
            ("10.1.2.1/32", 7),
            ("10.1.2.2/32", 7),
            ("10.1.2.4/30", 6),
            ("10.1.0.0/16", 1),
            ("10.1.2.3/32", 5),
            ("10.0.0.0/8", 2),
            ("10.1.0.0/16", 3),
            ("10.1.2.4/32", 4),
            ("10.1.3.0/24", 3),
            ("10.0.0.0/8", 8),
        ];
        let index = index_of(&rules);
        let hosts = ["10.1.2.1", "10.1.2.2", "10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.2.9"];
        assert_found(&index, &rules, &hosts);
        assert_found(&index, &rules, &["10.1.3.1", "10.1.4.1", "10.2.0.1", "9.0.0.1"]);
        // Beside the first, which stands in the intervals: one leaf of the /8; two of the /16, which goes on with that;
        // the first of the /16, stored for the first host, which goes on with all of it as the second one and the
        // /30 do; one of the host with port 5, which goes on with the second of the /16; and four of the host in the
        // /30 and three of the /24, which go on with the last.
        let of_nobody = 1;
        // And a place for the network of the rules that are kept elsewhere and the five in it.
        assert_eq!(index.leaves.len(), of_nobody + 1 + 2 + 1 + 1 + 4 + 3 + 6);
    }

    #[test]
    fn places_stand_before_lists_and_chains_alike() {
        let many = (0..40).map(|number| ("10.1.2.0/28", 1 + number % 6));
        let rules: Vec<(&str, u16)> =
            [("10.1.2.0/30", 8), ("10.0.0.0/8", 9)].into_iter().chain(many).collect();
        let index = index_of(&rules);
        assert!(index.chains.len() > 1);
        assert_found(&index, &rules, &["10.1.2.1", "10.1.2.5", "10.1.2.17", "10.1.3.1", "9.0.0.1"]);
    }
}
