//! [`Matcher`]: the compiled, immutable form of settings, and the hot path.

mod address;
mod buckets;
mod classes;
mod columns;
mod compile;
mod cross;
mod direct;
mod exact;
mod frozen;
mod hosts;
mod interner;
mod intervals;
mod lanes;
mod leaf;
mod lists;
mod locals;
mod memory;
mod nets;
mod numbers;
mod phases;
mod plain;
mod ports;
mod rows;
mod scan;
mod sided;
mod unbound;
mod words;

use crate::decision::Decision;
use crate::endpoint::AddressFamily;
use crate::error::Error;
use crate::flow::Flow;
use crate::matcher::address::AddressIndex;
use crate::matcher::columns::{Bits, Columns, lanes_of};
use crate::matcher::hosts::HostIndex;
pub(crate) use crate::matcher::intervals::GROUP;
use crate::matcher::intervals::{Intervals, Wanted};
pub(crate) use crate::matcher::lanes::prefetch_beyond;
use crate::matcher::lanes::{Decider, Job, Lanes, Machine, Scalar, prefetch};
use crate::matcher::leaf::{Case, Leaf, Ranked};
use crate::matcher::lists::{FirstPending, List, Lists, Outcome, Query};
use crate::matcher::locals::LocalPorts;
use crate::matcher::nets::LocalNets;
use crate::matcher::plain::{Anyone, PlainIndex};
use crate::matcher::ports::{Kinds, NamedPorts};
use crate::matcher::rows::Place;
use crate::matcher::scan::Scan;
use crate::matcher::sided::Sided;
use crate::matcher::unbound::Unbound;
use crate::network::Answer;
use crate::settings::{FilterSettings, Precedence};
use std::hint::select_unpredictable;

pub use crate::matcher::frozen::FrozenTable;

/// Filter settings compiled for fast decisions.
///
/// A matcher is immutable and may be used from any number of threads at once. Deciding neither
/// allocates nor panics nor waits, whatever the flow.
///
/// # Examples
///
/// ```
/// use flowsieve::*;
///
/// let endpoint = Endpoint::new("111.111.111.111", "0")?;
/// let rule = NetworkRule::destination_network(endpoint, 32, Protocol::Tcp)?;
/// let rules = vec![FilterRule::new(rule, Action::FilterData)];
/// let matcher = Matcher::new(&FilterSettings::new(rules, Action::Allow))?;
///
/// let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
///     .with_remote("111.111.111.111:80".parse()?)?
///     .with_local("0.0.0.0:0".parse()?)?;
/// let decision = matcher.decide(&flow);
/// assert_eq!(decision.action(), Action::FilterData);
/// assert_eq!(decision.rule(), Some(0));
/// assert!(decision.is_final());
/// # Ok::<(), Error>(())
/// ```
///
/// # Complexity
///
/// Where rules are few, up to some tens or 16,000 by the machine's vectors, a single flow is compared with all of
/// them, or with those that hold addresses near its own, sixteen at a time ([`Strategy`]).
///
/// Otherwise a flow costs one look-up of its remote address, whatever the number of rules: one step for IPv4
/// after the first 16 bits, up to three for IPv6, each the comparison of a cache line, of two where
/// there are many networks, and of one more for each eight or sixteen times as many; and where single addresses, or
/// IPv6 networks of 64 bits, are many, one place of a hash for each, at the same time. Then it reads the
/// rules of the networks that contain the address, in order, up to the deciding one: at most 16 in
/// one list, or up to 33 networks (129 for IPv6) with a look-up of the remote port each. Rules of any host cost
/// a word for each port of the flow, however many they are; if they name one of the two, those for a port alone
/// cost one look-up of it, and those for a local network and one port one of the local address and one of each port.
///
/// Rules with a local side or a zone id - all rules, if most have one - are kept under the side that
/// fewer rules share; where there are some, the local address is looked up as well, beside the
/// remote one. The rules of the networks that contain an address are compared sixteen at a time, up
/// to 32 in one list. Beyond, those of one network are told apart by remote or local port, and those
/// that differ in port ranges only are gone through sixteen at a time, as are those of two wide
/// networks (IPv4, under 8 bits) of one protocol. Where most rules have a local side and the networks
/// of IPv4 rules are few, each pair of a remote and a local network has a list of its own instead, of
/// which only ports, protocol and direction are compared; up to 2,048 rules that have enough in common
/// are found by classes of all fields ([`Crossing`]), and nothing is compared.
///
/// While the local address is not known, the first rule of each action that could still match, and the first
/// that matches, are found as the rules without a local side are. Only for loopback flows, flows with a zone
/// id where rules have some, and flows with a local port or a local address alone where rules ask for local
/// ports, the rules with a local side of each network that contains the remote address are gone through. A host
/// name is gone over once, up to the length of the longest that a rule has, and costs one look-up, mostly of
/// one cache line, for each of its labels; where there are host rules, having none costs a comparison of ranks or, if the
/// rule that decides is among the first host rules of its protocol, a look-up of the remote port.
///
/// # Source
///
/// [`reference`](crate::reference) defines every answer.
#[derive(Debug)]
pub struct Matcher {
    plain: PlainIndex,
    local_ports: LocalPorts,
    /// Of the rules of `anywhere` those for a local network and one port, if they are not too many.
    local_nets: LocalNets,
    /// The ports that rules of any host name.
    named_ports: NamedPorts,
    /// The rules of `local_ports` again, for flows that it says nothing of.
    by_local_port: Anywhere<List>,
    /// The other rules whose remote side is nil or a wildcard.
    anywhere: Anywhere<List>,
    /// The other rules of explicit networks.
    addresses: AddressIndex,
    /// All rules with a local side again, but for those of `local_nets`, for flows whose local address is known.
    sided_v4: Sided<1>,
    sided_v6: Sided<4>,
    /// All rules that can match flows of a family, if they are few.
    few_v4: Scan<1>,
    few_v6: Scan<4>,
    /// All rules with a local side or a zone id once more, for flows whose local address is not known.
    unbound: Option<Box<Unbound>>,
    /// An index of no addresses.
    nowhere: Intervals<Place>,
    lists: Lists,
    hosts: HostIndex,
    /// The rule index of each rank; empty where the two are the same, or indices stand in place of ranks.
    order: Vec<u32>,
    has: Has,
    /// The decision where no rule matches a flow, unless that is a loopback flow.
    of_no_rule: Decision,
    precedence: Precedence,
    strategy: Strategy,
    machine: Machine,
    /// INVARIANT: that of the machine.
    decider: Decider,
}

/// Which kinds of rules there are, so that a decision passes by those that there are not.
#[derive(Clone, Copy, Debug)]
struct Has {
    local_ports: bool,
    local_nets: bool,
    hosts: bool,
    /// Other rules with a local side that apply to remote addresses of no network in particular.
    sided_anywhere: bool,
    /// Rules for some local ports, beside those of `local_ports`.
    sided_ports: bool,
    /// Rules for some local ports, wherever they are kept.
    some_local_ports: bool,
    /// Rules with zone ids.
    zones: bool,
    /// Rules that every flow has to ask for, beside these.
    others: bool,
    /// Rules with a local side, a zone id or a host name.
    local: bool,
    /// So many of them that [`Sided`] has all rules.
    pairs: bool,
    /// So few rules that flows are compared with all of them.
    few: bool,
    /// So few that in a group each of them is compared with all flows.
    few_in_groups: bool,
    /// Batches are decided in groups.
    groups: bool,
    /// Groups of IPv6 flows are compared with the rules of their buckets.
    v6_in_buckets: bool,
}

/// How a [`Matcher`] finds rules. All strategies give the same answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Goes through the rules in order.
    Scan,
    /// Finds the networks that contain the remote address in a longest-prefix-match trie.
    Trie,
    /// Finds the interval of addresses that the remote address is in, with the rules of all
    /// networks that contain it; rules with a local side by that of their two sides that fewer
    /// rules share, or, while the local address is not known, by their remote side. Where neither is
    /// known well enough, goes on as [`Trie`](Strategy::Trie) does.
    Intervals,
    /// Finds a single address, or an IPv6 network of 64 bits, by a perfect hash, and at the same time does what
    /// [`Intervals`](Strategy::Intervals) does for all other networks. Taken, also beside
    /// [`Buckets`](Strategy::Buckets), for 2,048 such addresses and networks or more where the others cut the
    /// address space into a fourth as many intervals or fewer; and for 16,384 or more where these are at most four times
    /// as many, and of IPv4 at most 262,144 and not all rules of whole networks.
    ExactMatch,
    /// Compares a flow with all rules, sixteen at a time, unless there are host rules or zone ids;
    /// then as [`Intervals`](Strategy::Intervals) does. Fastest for few rules.
    Blocks,
    /// Compares a flow with all rules that hold some address with the same bits in one place as its remote address,
    /// mostly sixteen or less, and with those of any host, or finds these as [`Intervals`](Strategy::Intervals) does,
    /// which it does otherwise too: where no bits tell the rules apart well enough, with zone ids, in batches of
    /// IPv4 flows, and of some flows that are rare. Taken for 49 to 16,000 rules with AVX2 or AVX-512, for up to 2,000
    /// if all are of whole networks, where it fits [`max_bytes`](MatcherBuilder::max_bytes).
    Buckets,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Strategy; 6] = [
        Strategy::Scan,
        Strategy::Trie,
        Strategy::Intervals,
        Strategy::ExactMatch,
        Strategy::Blocks,
        Strategy::Buckets,
    ];

    /// Whether the rules are found by intervals of addresses, but for those of `Blocks`.
    fn has_intervals(self) -> bool {
        match self {
            Strategy::Scan | Strategy::Trie => false,
            Strategy::Intervals | Strategy::ExactMatch | Strategy::Blocks | Strategy::Buckets => {
                true
            }
        }
    }
}

/// How wide the vector instructions are that a [`Matcher`] decides with. All give the same answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Vectors {
    /// None: one number at a time, on every machine.
    Scalar,
    /// 128 bits: SSE2 on x86-64, NEON on aarch64.
    Bits128,
    /// 256 bits: AVX2 on x86-64.
    Bits256,
    /// 512 bits: AVX-512 (F, BW, VL, DQ, VPOPCNTDQ) on x86-64, which Ice Lake, Zen 4 and their
    /// successors have.
    Bits512,
}

impl Vectors {
    /// All widths, ascending.
    pub const ALL: [Vectors; 4] =
        [Vectors::Scalar, Vectors::Bits128, Vectors::Bits256, Vectors::Bits512];
}

/// How a [`Matcher`] keeps IPv4 rules for flows of two known addresses, where most rules have a local
/// side. All give the same answers; where one is not possible, it is as [`Off`](Crossing::Off).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Crossing {
    /// Each under one of its two sides.
    Off,
    /// By pairs of a remote and a local network, where numbers have room for them; only ports, protocol
    /// and direction are compared.
    Pairs,
    /// By classes of all five fields, where numbers have room for them and no rule has a zone id: the
    /// combination of the classes of a flow has the number of the first rule, and nothing is compared.
    Phases,
}

impl Crossing {
    /// All ways.
    pub const ALL: [Crossing; 3] = [Crossing::Off, Crossing::Pairs, Crossing::Phases];
}

/// How a [`Matcher`] is to be compiled; see [`Matcher::builder`].
#[derive(Clone, Copy, Debug, Default)]
pub struct MatcherBuilder {
    precedence: Precedence,
    strategy: Option<Strategy>,
    vectors: Option<Vectors>,
    look_ahead: Option<bool>,
    crossing: Option<Crossing>,
    max_bytes: Option<usize>,
}

impl MatcherBuilder {
    /// Sets which of several matching rules decides; [`Precedence::FirstMatch`] unless set.
    pub fn precedence(mut self, precedence: Precedence) -> MatcherBuilder {
        self.precedence = precedence;
        self
    }

    /// Limits the size of the matcher, in bytes as [`Matcher::size_bytes`] counts them: a filter
    /// provider on iOS has 6 MiB for everything. No limit unless set.
    ///
    /// Compiling ends as soon as a part of the matcher shows that the limit will be exceeded. While
    /// it goes on it needs more memory than the matcher in the end: up to about three times its
    /// size, and 300 bytes a rule.
    pub fn max_bytes(mut self, bytes: usize) -> MatcherBuilder {
        self.max_bytes = Some(bytes);
        self
    }

    /// Forces a strategy, for tests and measurements; chosen by the number of rules unless set.
    pub fn strategy(mut self, strategy: Strategy) -> MatcherBuilder {
        self.strategy = Some(strategy);
        self
    }

    /// Forces vector instructions of at most this width, for tests and measurements; the widest
    /// that the machine has unless set.
    pub fn vectors(mut self, vectors: Vectors) -> MatcherBuilder {
        self.vectors = Some(vectors);
        self
    }

    /// Forces batches to be decided in groups of flows that load what they read together, or one
    /// by one, for tests and measurements. In groups unless set; IPv6 flows are then compared with the rules of
    /// their buckets where the rules are in [buckets](Strategy::Buckets), and else found by the index.
    pub fn look_ahead(mut self, look_ahead: bool) -> MatcherBuilder {
        self.look_ahead = Some(look_ahead);
        self
    }

    /// Forces how IPv4 rules are kept where most rules have a local side, for tests and measurements.
    /// Unless set, by [`Phases`](Crossing::Phases) for up to 2,048 rules where that takes up to 1.5 KiB
    /// a rule, 2 MiB in all, and 256 to 512 KiB beside; else by [`Pairs`](Crossing::Pairs) where that takes
    /// up to about 800 bytes a rule, 8 MiB in all, and up to 1 KiB a network, 2 MiB in all, and 256 KiB
    /// beside; and by neither where it does not fit [`max_bytes`](MatcherBuilder::max_bytes).
    pub fn crossing(mut self, crossing: Crossing) -> MatcherBuilder {
        self.crossing = Some(crossing);
        self
    }

    /// Compiles `settings`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooManyRules`](crate::ErrorKind::TooManyRules) for more than
    /// [`Matcher::MAX_RULES`] rules, and
    /// [`ErrorKind::MatcherTooLarge`](crate::ErrorKind::MatcherTooLarge) for a matcher over
    /// [`max_bytes`](MatcherBuilder::max_bytes).
    ///
    /// # Complexity
    ///
    /// O(n log n) in the number of rules.
    pub fn build(self, settings: &FilterSettings) -> Result<Matcher, Error> {
        compile::compile(settings, &self)
    }
}

/// How many flows further on in memory is begun to be loaded when one is decided.
pub(crate) const FLOWS_AHEAD: usize = 8;

impl Matcher {
    /// The most rules that a matcher takes: 268,435,455, so that places in lists of up to 16 for
    /// each rule are numbers of 32 bits.
    pub const MAX_RULES: usize = Ranked::MAX_RULES;

    /// Compiles `settings` with Apple's precedence.
    ///
    /// # Errors
    ///
    /// As for [`MatcherBuilder::build`].
    pub fn new(settings: &FilterSettings) -> Result<Matcher, Error> {
        Matcher::builder().build(settings)
    }

    /// Returns the options for compiling a matcher.
    pub fn builder() -> MatcherBuilder {
        MatcherBuilder::default()
    }

    /// Decides `flow`.
    #[inline]
    pub fn decide(&self, flow: &Flow<'_>) -> Decision {
        // PERF: so that flows that are decided in the order in which they stand in memory are there in time. Where the
        // processor is left to see that they are, it begins anew with each page; decide-dependent/ipv4-10.
        prefetch_beyond(flow, FLOWS_AHEAD);
        self.decide_alone(flow)
    }

    /// Decides `flow`, beside which no others stand in memory.
    #[inline(always)]
    pub(crate) fn decide_alone(&self, flow: &Flow<'_>) -> Decision {
        self.decider.run(Decide { matcher: self, flow })
    }

    #[inline(always)]
    fn decide_with(&self, lanes: impl Lanes, flow: &Flow<'_>) -> Decision {
        let (remote, _) = flow.ends();
        let places = |family, of_remote| self.sided_places(lanes, family, flow, of_remote);
        match remote.folded_family() {
            Some(family) if self.has.pairs && self.known_family(flow).is_some() => {
                self.decide_by_pairs(lanes, flow, self.places_of_both(lanes, family, flow))
            }
            Some(AddressFamily::V4) => {
                let (_, bits) = remote.folded_bits();
                let leaf = self.plain.leaf_v4(lanes, bits as u32);
                self.decide_in(lanes, AddressFamily::V4, leaf, flow, places)
            }
            Some(AddressFamily::V6) => {
                let (high, low) = remote.folded_bits();
                let leaf = self.plain.leaf_v6(lanes, high, low);
                self.decide_in(lanes, AddressFamily::V6, leaf, flow, places)
            }
            None => self.decide_fully(flow, Leaf::NONE),
        }
    }

    /// Does the same by settings of a few rules.
    #[inline(always)]
    fn decide_few(&self, lanes: impl Lanes, flow: &Flow<'_>, in_buckets: bool) -> Decision {
        let by = By { in_buckets, among_hosts: false };
        match flow.ends().0.folded_family() {
            Some(family @ AddressFamily::V4) => {
                self.decide_by_scan(lanes, family, &self.few_v4, flow, by)
            }
            Some(family @ AddressFamily::V6) => {
                self.decide_by_scan(lanes, family, &self.few_v6, flow, by)
            }
            None => self.decide_fully(flow, Leaf::NONE),
        }
    }

    /// Decides a flow by settings of a few rules, of which `few` has those of its family.
    #[inline(always)]
    fn decide_by_scan<const W: usize>(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        few: &Scan<W>,
        flow: &Flow<'_>,
        by: By,
    ) -> Decision {
        let (_, local) = flow.ends();
        let is_of_family = local.folded_family() == Some(family);
        let is_known = (local.folded_bits() != (0, 0)) & (local.port() != 0);
        let best = match is_of_family & is_known {
            true if by.in_buckets => few.find_in_buckets(lanes, flow),
            true => few.find_in_all(lanes, flow),
            false => {
                let (best, has_local) = match by.in_buckets {
                    true => few.find_unbound_in_buckets(lanes, flow),
                    false => few.find_unbound(lanes, flow),
                };
                // Rules with a local side of the other family are not among the few.
                if has_local | (!is_of_family & self.has.local) {
                    return self.decide_by_index(flow);
                }
                best
            }
        };
        match by.among_hosts {
            true => self.decide_among_hosts(lanes, flow, best),
            false => self.decision(best, flow.is_loopback()),
        }
    }

    /// Decides a flow by settings of rules in buckets, where those of any host, of one family at least, are kept
    /// elsewhere, most rules have a local side, or there are host rules.
    #[inline(always)]
    fn decide_beside_buckets(&self, lanes: impl Lanes, flow: &Flow<'_>) -> Decision {
        match flow.ends().0.folded_family() {
            Some(family @ AddressFamily::V4) => {
                self.decide_by_bucket(lanes, family, &self.few_v4, flow)
            }
            Some(family @ AddressFamily::V6) => {
                self.decide_by_bucket(lanes, family, &self.few_v6, flow)
            }
            None => self.decide_by_index(flow),
        }
    }

    /// Decides a flow of the family, of which `few` has all rules, or all but those of any host.
    #[inline(always)]
    fn decide_by_bucket<const W: usize>(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        few: &Scan<W>,
        flow: &Flow<'_>,
    ) -> Decision {
        // Where most rules have a local side, one that is not known takes the index in most cases.
        if few.has_all() & !self.has.pairs {
            let by = By { in_buckets: true, among_hosts: true };
            return self.decide_by_scan(lanes, family, few, flow, by);
        }
        let is_known = self.known_family(flow).is_some() & (flow.ends().1.port() != 0);
        let is_usual = is_known & !flow.is_loopback() & !Case::of(flow).is_uncommon();
        // Where most rules have a local side, those of any host are found by both addresses, with all others.
        if !is_usual | (self.has.pairs & !few.has_all()) {
            return self.decide_by_index(flow);
        }
        let mut best = few.find_in_buckets(lanes, flow);
        let kinds = if few.has_all() { Kinds::NONE } else { self.named_ports.of(flow) };
        if !kinds.is_none() {
            let (found, _) = self.find_of_any_host(lanes, family, flow, kinds);
            best = best.min(found);
            if self.has.sided_anywhere & kinds.has(Kinds::SIDED) {
                let places = self.sided_places(lanes, family, flow, None);
                best = self.find_sided(lanes, family, places, flow, best);
            }
        }
        self.decide_among_hosts(lanes, flow, best)
    }

    /// Decides a flow by the index that has all rules.
    #[inline(always)]
    fn decide_by_index(&self, flow: &Flow<'_>) -> Decision {
        self.machine.run(Decide { matcher: self, flow })
    }

    /// Decides a flow whose two addresses are known by the index that has all rules, given the
    /// places that they lead to.
    #[inline(always)]
    fn decide_by_pairs(&self, lanes: impl Lanes, flow: &Flow<'_>, places: [Place; 2]) -> Decision {
        let (remote, _) = flow.ends();
        let family = remote.folded_family().unwrap_or(AddressFamily::V4);
        let best = match family {
            AddressFamily::V4 => self.sided_v4.find(lanes, places, flow, Ranked::NONE),
            family => self.find_sided(lanes, family, places, flow, Ranked::NONE),
        };
        self.decide_among_hosts(lanes, flow, best)
    }

    /// Decides a flow with a remote address, given its family, its leaf, and how to get the places
    /// of the rules with a local side, given that of the remote address.
    #[inline(always)]
    fn decide_in(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        leaf: Leaf,
        flow: &Flow<'_>,
        places: impl FnOnce(AddressFamily, Option<Place>) -> [Place; 2],
    ) -> Decision {
        let (remote, _) = flow.ends();
        let case = Case::of(flow);
        let kinds = self.named_ports.of(flow);
        let has_sided = self.has.sided_anywhere & kinds.has(Kinds::SIDED) | leaf.is_conditional();
        if has_sided | !kinds.is_none()
            && let Some(unbound) = self.unbound(flow)
        {
            return self.decide_unbound(unbound, leaf, flow);
        }
        let (best, is_rare) = match kinds.is_none() {
            true => (Ranked::NONE, false),
            false => self.find_of_any_host(lanes, family, flow, kinds),
        };
        let is_unbound = has_sided | kinds.has(Kinds::SIDED) && self.known_family(flow).is_none();
        if self.has.others | is_rare | is_unbound {
            return self.decide_fully(flow, leaf.by_fields());
        }
        let mut best = self.plain.find(leaf, case, remote.port(), best);
        if has_sided {
            let places = places(family, self.plain.place(leaf));
            best = self.find_sided(lanes, family, places, flow, best);
        }
        self.decide_among_hosts(lanes, flow, best)
    }

    /// Returns the first of the rules of any host that are not among those with a local side, of a flow of which the
    /// local address is known where they ask for it, and whether the flow is one that they do not suit: a loopback
    /// flow, one of another protocol than TCP and UDP, or of a local port that is not known where they ask for it.
    #[inline(always)]
    fn find_of_any_host(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        flow: &Flow<'_>,
        kinds: Kinds,
    ) -> (Ranked, bool) {
        let (remote, local) = flow.ends();
        let case = Case::of(flow);
        let is_uncommon = flow.is_loopback() | case.is_uncommon();
        let (mut best, mut is_rare) = (Ranked::NONE, false);
        if kinds.has(Kinds::BY_REMOTE_PORT) {
            is_rare |= is_uncommon;
            best = self.plain.anywhere(lanes, Some(family), case, remote.port());
        }
        if kinds.has(Kinds::BY_LOCAL_PORT) {
            let is_known = (local.folded_family() == Some(family)) & (local.port() != 0);
            is_rare |= !is_known | is_uncommon;
            let found = self.local_ports.find(lanes, family, case, local.port());
            best = select_unpredictable(found < best, found, best);
        }
        if self.has.local_nets & kinds.has(Kinds::SIDED) {
            let found = self.local_nets.find(lanes, family, flow, case);
            best = select_unpredictable(found < best, found, best);
        }
        (best, is_rare)
    }

    /// Decides a flow given the best rule of all but the host rules.
    #[inline(always)]
    fn decide_among_hosts(&self, lanes: impl Lanes, flow: &Flow<'_>, best: Ranked) -> Decision {
        if !self.has.hosts {
            return self.decision(best, flow.is_loopback());
        }
        if flow.may_have_remote_hostname() {
            return self.decide_by_host(flow, best);
        }
        // PERF: mostly the rank tells, and that it does is foreseen; decide/hosts-10k-addresses-10k/unnamed.
        let (is_told, is_pending) = self.hosts.pending_by_rank(flow, best);
        if is_told {
            return self.hosts.add_all(self.decision(best, flow.is_loopback()), is_pending);
        }
        match self.hosts.pending(lanes, flow) {
            Some(pending) => {
                let decision = self.decision(best, flow.is_loopback());
                let (pending, overruled) = pending.before(best, decision);
                decision.with_pending(pending, !overruled)
            }
            None => self.decide_by_host(flow, best),
        }
    }

    /// Returns the rules for flows whose local address is not known, if there are some and the flow, which has
    /// a remote address, is one that they take. Loopback flows are left out, which few rules match.
    #[inline(always)]
    fn unbound(&self, flow: &Flow<'_>) -> Option<&Unbound> {
        let (_, local) = flow.ends();
        let is_unknown = (local.folded_bits() == (0, 0))
            & ((local.port() == 0) | !self.has.some_local_ports)
            & !flow.is_loopback();
        let takes = is_unknown && (!self.has.zones || flow.zones() == [None; 2]);
        self.unbound.as_deref().filter(|_| takes)
    }

    /// Decides a flow whose local address is not known, in a function of its own, so that other flows do not
    /// pay for what it needs.
    #[inline(always)]
    fn decide_unbound(&self, unbound: &Unbound, leaf: Leaf, flow: &Flow<'_>) -> Decision {
        self.machine.run(DecideUnbound { matcher: self, unbound, leaf: leaf.by_fields(), flow })
    }

    /// Decides a group of flows, up to [`GROUP`]; what they read is loaded for all at once.
    #[inline(always)]
    fn decide_group(&self, lanes: impl Lanes, flows: &[Flow<'_>], decisions: &mut [Decision]) {
        if self.has.pairs & !self.has.few_in_groups {
            return lanes.call(DecideByPairs { matcher: self, flows, decisions });
        }
        if !self.has.others & (flows.len() >= GROUP / 2) {
            let columns = Columns::new(lanes, flows);
            // A family that few of them are of is not worth the steps.
            let [v4, v6] = [AddressFamily::V4, AddressFamily::V6].map(|family| {
                let usual = columns.usual(family);
                if usual.count_ones() as usize >= GROUP / 4 { usual } else { 0 }
            });
            if (v4 | v6).count_ones() as usize >= GROUP / 2 {
                return self.decide_columns(lanes, &columns, [v4, v6], decisions);
            }
        }
        if self.has.few {
            return self.decide_each(flows, decisions);
        }
        let leaves = self.plain.leaves(lanes, flows);
        for ((flow, leaf), decision) in flows.iter().zip(leaves).zip(decisions) {
            let (remote, _) = flow.ends();
            let places = |family, of_remote| self.sided_places(lanes, family, flow, of_remote);
            *decision = match remote.folded_family() {
                Some(family) => self.decide_in(lanes, family, leaf, flow, places),
                None => self.decide_fully(flow, Leaf::NONE),
            };
        }
    }

    /// Decides flows one by one.
    #[inline(always)]
    fn decide_each(&self, flows: &[Flow<'_>], decisions: &mut [Decision]) {
        for (flow, decision) in flows.iter().zip(decisions) {
            *decision = self.decide(flow);
        }
    }

    /// Decides those of a group of flows that have a bit in `v4` or `v6`, usual flows of the family, a step
    /// at a time for all of them; the others one by one.
    #[inline(always)]
    fn decide_columns(
        &self,
        lanes: impl Lanes,
        columns: &Columns<'_>,
        [v4, v6]: [Bits; 2],
        decisions: &mut [Decision],
    ) {
        let mut best = [Ranked::NONE; GROUP];
        if v4 != 0 {
            let (few, sided) = (&self.few_v4, &self.sided_v4);
            best = self.best_of_columns(lanes, AddressFamily::V4, columns, few, sided);
        }
        if v6 != 0 {
            let (few, sided) = (&self.few_v6, &self.sided_v6);
            // PERF: by buckets it takes less time than by the steps of the index; decide-batch/ipv6-1k.
            let found = match self.has.v6_in_buckets {
                true => self.best_of_buckets(lanes, columns),
                false => self.best_of_columns(lanes, AddressFamily::V6, columns, few, sided),
            };
            for (lane, (best, found)) in best.iter_mut().zip(found).enumerate() {
                *best = if v6 >> lane & 1 != 0 { found } else { *best };
            }
        }
        self.settle_group(lanes, columns, v4 | v6, &best, decisions);
    }

    /// Returns the best rule, less the host rules, of each of a group of usual flows of a family, of which
    /// `few` has all rules if they are few, and `sided` those with a local side; for the others, anything.
    #[inline(always)]
    fn best_of_columns<const W: usize>(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        columns: &Columns<'_>,
        few: &Scan<W>,
        sided: &Sided<W>,
    ) -> [Ranked; GROUP] {
        if self.has.few_in_groups {
            return few.find_group(lanes, columns);
        }
        let mut best = [Ranked::NONE; GROUP];
        let may_be = self.lower_by_any_host(lanes, family, columns, &mut best);
        let (by_remote, of_remotes) = self.plain.lower(lanes, family, columns, &mut best);
        let by_local = if self.has.sided_anywhere { may_be } else { 0 };
        if by_remote | by_local != 0 {
            sided.lower(lanes, columns, by_local, (by_remote, &of_remotes), &mut best);
        }
        best
    }

    /// Does the same for IPv6 flows by the rules in buckets.
    #[inline(always)]
    fn best_of_buckets(&self, lanes: impl Lanes, columns: &Columns<'_>) -> [Ranked; GROUP] {
        let family = AddressFamily::V6;
        let usual = columns.usual(family);
        let mut best = self.few_v6.find_each_in_buckets(lanes, columns, usual);
        if self.few_v6.leaves_any_host() {
            let may_be = self.lower_by_any_host(lanes, family, columns, &mut best);
            if self.has.sided_anywhere & (may_be != 0) {
                let nowhere = (0, &[Place::EMPTY; GROUP]);
                self.sided_v6.lower(lanes, columns, may_be, nowhere, &mut best);
            }
        }
        best
    }

    /// Puts the first of the rules that [`find_of_any_host`](Matcher::find_of_any_host) finds in place of those that
    /// it goes before, for each of a group of usual flows of a family, and returns a bit for each of which ports are
    /// named by such rules.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    fn lower_by_any_host(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        columns: &Columns<'_>,
        best: &mut [Ranked; GROUP],
    ) -> Bits {
        let usual = columns.usual(family);
        // PERF: in a large group few flows have a port that is named. One kind after the other takes a tenth less than
        // all kinds of each flow; decide-batch/wide-100k.
        let [by_remote_port, by_local_port, sided] =
            self.named_ports.of_group(lanes, columns).map(|bits| bits & usual);
        let are_few = |bits: Bits| bits.count_ones() as usize <= GROUP / 4;
        if !are_few(by_remote_port) {
            self.plain.lower_by_anywhere(lanes, family, columns, best);
        } else {
            for (lane, flow) in columns.those_of(by_remote_port) {
                let found =
                    self.plain.anywhere(lanes, Some(family), Case::of(flow), flow.ends().0.port());
                best[lane] = best[lane].min(found);
            }
        }
        if !are_few(by_local_port) {
            self.local_ports.lower(lanes, family, columns, best);
        } else {
            for (lane, flow) in columns.those_of(by_local_port) {
                let found =
                    self.local_ports.find(lanes, family, Case::of(flow), flow.ends().1.port());
                best[lane] = best[lane].min(found);
            }
        }
        if self.has.local_nets && !are_few(sided) {
            self.local_nets.lower(lanes, family, columns, best);
        } else if self.has.local_nets {
            for (lane, flow) in columns.those_of(sided) {
                let found = self.local_nets.find(lanes, family, flow, Case::of(flow));
                best[lane] = best[lane].min(found);
            }
        }
        sided
    }

    /// Decides those of a group of flows that have a bit in `usual` given the best rule of each, less the
    /// host rules; the others one by one.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    fn settle_group(
        &self,
        lanes: impl Lanes,
        columns: &Columns<'_>,
        usual: Bits,
        best: &[Ranked; GROUP],
        decisions: &mut [Decision],
    ) {
        let flows = columns.flows;
        if self.has.hosts {
            for lane in lanes_of(usual) {
                if let (Some(flow), Some(decision)) = (flows.get(lane), decisions.get_mut(lane)) {
                    *decision = self.decide_among_hosts(lanes, flow, best[lane]);
                }
            }
        } else {
            let mut numbered = best.map(Ranked::bits);
            if !self.order.is_empty() {
                let [rules] = lanes.gather(&self.order, &best.map(Ranked::rank));
                for (numbered, rule) in numbered.iter_mut().zip(rules) {
                    *numbered = rule << 2 | *numbered & 3;
                }
            }
            let of_none = self.of_no_rule;
            for ((best, numbered), decision) in best.iter().zip(numbered).zip(&mut *decisions) {
                let of_rule = Decision::of_numbered(numbered);
                *decision = select_unpredictable(*best == Ranked::NONE, of_none, of_rule);
            }
        }
        let all = Bits::MAX.checked_shr(Bits::BITS - flows.len() as u32).unwrap_or(0);
        for lane in lanes_of(all & !usual) {
            if let (Some(flow), Some(decision)) = (flows.get(lane), decisions.get_mut(lane)) {
                *decision = self.decide(flow);
            }
        }
    }

    /// Does the same by the index that has all rules.
    #[inline(always)]
    fn decide_group_by_pairs(
        &self,
        lanes: impl Lanes,
        flows: &[Flow<'_>],
        decisions: &mut [Decision],
    ) {
        let columns = Columns::new(lanes, flows);
        let mut known = columns.known(AddressFamily::V4);
        if self.has.sided_ports {
            known &= columns.local_ports();
        }
        let (is_crossed, count) = (self.sided_v4.cross().is_some(), known.count_ones() as usize);
        if !is_crossed && count < flows.len() / 2 && (known | columns.known(AddressFamily::V6)) != 0
        {
            let places = self.group_places(lanes, flows);
            for ((flow, places), decision) in flows.iter().zip(places).zip(decisions) {
                *decision = match self.known_family(flow) {
                    Some(_) => self.decide_by_pairs(lanes, flow, places),
                    None => self.decide(flow),
                };
            }
            return;
        }
        // PERF: the steps for all are not worth it for a few; decide-batch/unbound-firewall-1k.
        let best = match count < flows.len().div_ceil(4) {
            true => {
                known = 0;
                [Ranked::NONE; GROUP]
            }
            false => self.sided_v4.find_group_v4(lanes, &columns),
        };
        self.settle_group(lanes, &columns, known, &best, decisions);
    }

    /// Returns the places that the two addresses of each flow lead to, if both are known.
    #[inline(always)]
    fn group_places(&self, lanes: impl Lanes, flows: &[Flow<'_>]) -> [[Place; 2]; GROUP] {
        let nowhere = Wanted { intervals: &self.nowhere, high: 0, low: 0 };
        let (mut remotes, mut locals) = ([nowhere; GROUP], [nowhere; GROUP]);
        for ((remote, local), flow) in remotes.iter_mut().zip(&mut locals).zip(flows) {
            match self.known_family(flow) {
                Some(AddressFamily::V4) => [*remote, *local] = self.sided_v4.wanted(flow),
                Some(AddressFamily::V6) => [*remote, *local] = self.sided_v6.wanted(flow),
                None => {}
            }
        }
        let mut places = [[Place::EMPTY; 2]; GROUP];
        let group = |wanted| Intervals::get_group(lanes, wanted, &Place::EMPTY);
        let remotes = group(remotes.get(..flows.len()).unwrap_or(&remotes));
        let locals = group(locals.get(..flows.len()).unwrap_or(&locals));
        let found = remotes.into_iter().zip(locals);
        for ((flow, (remote, local)), places) in flows.iter().zip(found).zip(&mut places) {
            *places = [*remote, *local];
            match self.known_family(flow) {
                Some(AddressFamily::V4) => self.sided_v4.prefetch(*places),
                Some(AddressFamily::V6) => self.sided_v6.prefetch(*places),
                None => {}
            }
        }
        places
    }

    #[inline(always)]
    fn sided_places(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        flow: &Flow<'_>,
        of_remote: Option<Place>,
    ) -> [Place; 2] {
        match family {
            AddressFamily::V4 => self.sided_v4.places(lanes, flow, of_remote),
            AddressFamily::V6 => self.sided_v6.places(lanes, flow, of_remote),
        }
    }

    #[inline(always)]
    fn places_of_both(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        flow: &Flow<'_>,
    ) -> [Place; 2] {
        match family {
            AddressFamily::V4 => self.sided_v4.places_of_both(lanes, flow),
            AddressFamily::V6 => self.sided_v6.places_of_both(lanes, flow),
        }
    }

    /// Decides each of `flows` into the decision of the same index, and returns how many were
    /// decided: the length of the shorter slice.
    ///
    /// The steps of a decision are taken for 32 flows together on x86-64, elsewhere for sixteen: calls of some
    /// multiple of that take the least time a flow. IPv6 flows are decided one by one where the rules are in
    /// [buckets](Strategy::Buckets), which takes less.
    #[must_use = "only as many flows are decided as there is room for decisions"]
    pub fn decide_batch(&self, flows: &[Flow<'_>], decisions: &mut [Decision]) -> usize {
        self.machine.run(DecideBatch { matcher: self, flows, decisions })
    }

    /// Returns the indices of the rules that make a decision on `flow`
    /// [pending](Decision::pending), in list order; empty if it is not.
    ///
    /// # Complexity
    ///
    /// Linear in the number of rules that have a local side or a host name. Allocates.
    pub fn pending_rules(&self, flow: &Flow<'_>) -> Vec<usize> {
        let ranks = self.pending_ranks(flow);
        let mut rules: Vec<usize> = ranks.map(|rank| self.rule_index(rank) as usize).collect();
        rules.sort_unstable();
        rules
    }

    /// Returns the number of [`pending_rules`](Matcher::pending_rules).
    ///
    /// # Complexity
    ///
    /// Linear in the number of rules that have a local side or a host name. Does not allocate.
    pub fn pending_count(&self, flow: &Flow<'_>) -> usize {
        self.pending_ranks(flow).count()
    }

    fn pending_ranks(&self, flow: &Flow<'_>) -> impl Iterator<Item = u32> {
        let query = Query::new(flow, &self.lists);
        let (remote, _) = flow.ends();
        let leaf = self.plain.leaf(Scalar, remote);
        let winner = self.outcome(&query, leaf).best;
        let before = self.lists.rules().iter().filter(move |(rank, _)| *rank < winner.rank());
        let not_yet = before.filter(|(_, rule)| rule.test(flow).answer() == Answer::NotYet);
        not_yet.map(|(rank, _)| *rank)
    }

    /// Returns the precedence it was compiled with.
    pub fn precedence(&self) -> Precedence {
        self.precedence
    }

    /// Returns the strategy it was compiled with.
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Returns the width of the vector instructions that it decides with.
    pub fn vectors(&self) -> Vectors {
        self.machine.vectors()
    }

    /// Returns the memory that the matcher holds, in bytes, itself included: what was allocated
    /// for it, without what the allocator adds.
    ///
    /// # Complexity
    ///
    /// Linear in the number of rules.
    pub fn size_bytes(&self) -> usize {
        let anywhere = [&self.by_local_port, &self.anywhere];
        let anywhere = anywhere.iter().flat_map(|lists| [&lists.nil, &lists.v4, &lists.v6]);
        size_of::<Matcher>()
            + self.plain.size_bytes()
            + self.local_ports.size_bytes()
            + self.local_nets.size_bytes()
            + self.named_ports.size_bytes()
            + anywhere.map(List::size_bytes).sum::<usize>()
            + self.addresses.size_bytes()
            + self.sided_v4.size_bytes()
            + self.sided_v6.size_bytes()
            + self.few_v4.size_bytes()
            + self.few_v6.size_bytes()
            + self.unbound.as_deref().map_or(0, Unbound::size_bytes)
            + self.lists.size_bytes()
            + self.hosts.size_bytes()
            + memory::of_vec(&self.order)
    }

    /// Decides with all rules, also those that few settings have or few flows meet, given the leaf
    /// of the remote address.
    #[inline(never)]
    fn decide_fully(&self, flow: &Flow<'_>, leaf: Leaf) -> Decision {
        let query = Query::new(flow, &self.lists);
        self.settle(self.outcome(&query, leaf), query.is_loopback)
    }

    /// Decides with the host rules, given the best of the others.
    // PERF: what it is given is put together here, and not where flows without a name pass by;
    // decide/hosts-10k-addresses-10k/unnamed.
    #[inline(never)]
    fn decide_by_host(&self, flow: &Flow<'_>, best: Ranked) -> Decision {
        self.machine.run(DecideByHost { matcher: self, flow, best })
    }

    #[inline(always)]
    fn settle(&self, outcome: Outcome, is_loopback: bool) -> Decision {
        let decision = self.decision(outcome.best, is_loopback);
        // PERF: of flows whose name and addresses are known none is pending, which is foreseen;
        // decide/hosts-10k-addresses-10k/named-miss.
        if outcome.pending == FirstPending::NONE {
            return decision.with_pending(false, !outcome.leans_on_unbound);
        }
        let (pending, overruled) = outcome.pending.before(outcome.best, decision);
        decision.with_pending(pending, !overruled & !outcome.leans_on_unbound)
    }

    fn outcome(&self, query: &Query<'_>, leaf: Leaf) -> Outcome {
        let (case, port) = (query.case, query.remote_port);
        let best = match query.is_loopback {
            true => Ranked::NONE,
            false if case.is_uncommon() => self.plain.uncommon_anywhere(query.family, case, port),
            false => self.plain.anywhere(Scalar, query.family, case, port),
        };
        let best = self.plain.find(leaf, case, port, best);
        let mut outcome = Outcome { best, ..Outcome::default() };
        if self.has.local_ports && !self.local_ports.offer(query, &mut outcome) {
            query.scan_anywhere(&self.by_local_port, &mut outcome);
        }
        match self.known_family(query.flow) {
            Some(family) => {
                let places = match self.has.pairs {
                    true => self.places_of_both(Scalar, family, query.flow),
                    false => self.sided_places(Scalar, family, query.flow, self.plain.place(leaf)),
                };
                let found = self.find_sided(Scalar, family, places, query.flow, outcome.best);
                outcome.offer(found, false);
                outcome.offer(self.local_nets.find(Scalar, family, query.flow, case), false);
            }
            None => {
                query.scan_anywhere(&self.anywhere, &mut outcome);
                if leaf.is_conditional() || !self.strategy.has_intervals() {
                    self.addresses.visit(query, &mut outcome);
                }
            }
        }
        if self.has.hosts {
            self.hosts.visit(query, &mut outcome);
        }
        outcome
    }

    /// Returns the family of both addresses of a flow, if they are of one and all is known of the
    /// local side that rules ask for, so that [`Sided`] has all rules with one.
    #[inline(always)]
    fn known_family(&self, flow: &Flow<'_>) -> Option<AddressFamily> {
        let (remote, local) = flow.ends();
        let is_port_known = (local.port() != 0) | !self.has.sided_ports;
        // PERF: compared with the family found; with what holds it, eight instructions more; ipv4-1k-hit of
        // scripts/instructions.
        let is_known = |family: &AddressFamily| {
            (local.folded_family() == Some(*family))
                & (local.folded_bits() != (0, 0))
                & is_port_known
                & self.strategy.has_intervals()
        };
        remote.folded_family().filter(is_known)
    }

    #[inline(always)]
    fn find_sided(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        places: [Place; 2],
        flow: &Flow<'_>,
        best: Ranked,
    ) -> Ranked {
        match family {
            AddressFamily::V4 => self.sided_v4.find_if_any(lanes, places, flow, best),
            AddressFamily::V6 => self.sided_v6.find_if_any(lanes, places, flow, best),
        }
    }

    #[inline(always)]
    fn decision(&self, best: Ranked, is_loopback: bool) -> Decision {
        // Whether any rule matches, no machine could foresee.
        let of_rule = Decision::of_numbered(best.numbered_by(&self.order).bits());
        let of_none = if is_loopback { Decision::OF_LOOPBACK } else { self.of_no_rule };
        select_unpredictable(best == Ranked::NONE, of_none, of_rule)
    }

    /// Returns the decision on a flow that no rule matches, at the cost of a branch.
    // PERF: what comes next waits for nothing of the flow, where the branch is foreseen; as for
    // `Intervals::get_v6_if_near`.
    #[inline(always)]
    fn decision_of_none(&self, flow: &Flow<'_>) -> Decision {
        if flow.is_loopback() { of_loopback() } else { self.of_no_rule }
    }

    #[inline(always)]
    fn rule_index(&self, rank: u32) -> u32 {
        self.order.get(rank as usize).copied().unwrap_or(rank)
    }
}

/// [`Decision::OF_LOOPBACK`], out of line, so that the compiler makes no choice without a branch of it.
#[cold]
#[inline(never)]
fn of_loopback() -> Decision {
    Decision::OF_LOOPBACK
}

/// What is asked where few rules are compared with a flow.
#[derive(Clone, Copy)]
struct By {
    /// They are in buckets.
    in_buckets: bool,
    /// There may be host rules beside.
    among_hosts: bool,
}

struct Decide<'a> {
    matcher: &'a Matcher,
    flow: &'a Flow<'a>,
}

impl Job for Decide<'_> {
    type Output = Decision;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> Decision {
        self.matcher.decide_with(lanes, self.flow)
    }
}

impl Decide<'_> {
    /// Decides by settings of a few rules.
    #[inline(always)]
    fn few(self, lanes: impl Lanes) -> Decision {
        self.matcher.decide_few(lanes, self.flow, false)
    }

    /// Decides by settings of rules in buckets.
    #[inline(always)]
    fn in_buckets(self, lanes: impl Lanes) -> Decision {
        self.matcher.decide_few(lanes, self.flow, true)
    }

    /// Decides by settings of rules in buckets, beside those of any host and host rules.
    #[inline(always)]
    fn beside_buckets(self, lanes: impl Lanes) -> Decision {
        self.matcher.decide_beside_buckets(lanes, self.flow)
    }

    /// Decides by settings of rules of whole networks.
    #[inline(always)]
    fn by_network(self, lanes: impl Lanes) -> Decision {
        let Decide { matcher, flow } = self;
        let Some(found) = matcher.plain.of_network(lanes, flow.ends().0) else {
            return matcher.decision_of_none(flow);
        };
        let best = select_unpredictable(Case::of(flow).is_uncommon(), Ranked::NONE, found);
        matcher.decision(best, flow.is_loopback())
    }
}

struct DecideUnbound<'a> {
    matcher: &'a Matcher,
    unbound: &'a Unbound,
    leaf: Leaf,
    flow: &'a Flow<'a>,
}

impl Job for DecideUnbound<'_> {
    type Output = Decision;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> Decision {
        let DecideUnbound { matcher, unbound, leaf, flow } = self;
        let Matcher { plain, hosts, .. } = matcher;
        let (remote, _) = flow.ends();
        let case = Case::of(flow);
        let best = plain.first_of_any_host(lanes, remote, case);
        let best = plain.find(leaf, case, remote.port(), best);
        let mut outcome = Outcome { best, ..Outcome::default() };
        if let Some(family) = remote.folded_family() {
            unbound.ask(lanes, (family, leaf), flow.ends(), case, &mut outcome);
        }
        let query = Query::new(flow, &matcher.lists);
        if matcher.has.hosts {
            hosts.visit(&query, &mut outcome);
        }
        matcher.settle(outcome, query.is_loopback)
    }
}

/// The decision on a flow with the host rules, given the best of the others.
// PERF: by the machine's instructions, as names are put in lower case and told apart by words and bits;
// decide/hosts-10k-addresses-10k/named-hit.
struct DecideByHost<'a> {
    matcher: &'a Matcher,
    flow: &'a Flow<'a>,
    best: Ranked,
}

impl Job for DecideByHost<'_> {
    type Output = Decision;

    #[inline(always)]
    fn run(self, _: impl Lanes) -> Decision {
        let DecideByHost { matcher, flow, best } = self;
        let query = Query::new(flow, &matcher.lists);
        let mut outcome = Outcome { best, ..Outcome::default() };
        matcher.hosts.visit(&query, &mut outcome);
        matcher.settle(outcome, query.is_loopback)
    }
}

struct DecideBatch<'a> {
    matcher: &'a Matcher,
    flows: &'a [Flow<'a>],
    decisions: &'a mut [Decision],
}

impl Job for DecideBatch<'_> {
    type Output = usize;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> usize {
        let DecideBatch { matcher, flows, decisions } = self;
        let count = flows.len().min(decisions.len());
        let (Some(flows), Some(decisions)) = (flows.get(..count), decisions.get_mut(..count))
        else {
            return 0;
        };
        if matcher.has.groups {
            let (mut rest, mut ahead) = (flows, flows.get(GROUP..).unwrap_or(&[]));
            for decisions in decisions.chunks_mut(GROUP) {
                let (flows, others) = rest.split_at(decisions.len().min(rest.len()));
                rest = others;
                // A group reads its flows at once; where they follow each other in memory the next ones
                // can be on their way.
                // PERF: all lines of them; decide-batch/firewall-1k.
                for flow in ahead.iter().take(GROUP) {
                    prefetch(Some(flow));
                    prefetch(Some(flow.last_of_decisions()));
                }
                ahead = ahead.get(GROUP..).unwrap_or(&[]);
                matcher.decide_group(lanes, flows, decisions);
            }
            return count;
        }
        matcher.decide_each(flows, decisions);
        count
    }
}

/// [`Matcher::decide_group_by_pairs`], which settings of other rules do not come to.
struct DecideByPairs<'a> {
    matcher: &'a Matcher,
    flows: &'a [Flow<'a>],
    decisions: &'a mut [Decision],
}

impl Job for DecideByPairs<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: impl Lanes) {
        self.matcher.decide_group_by_pairs(lanes, self.flows, self.decisions);
    }
}

/// Something for each kind of remote side that holds every address.
#[derive(Debug, Default)]
struct Anywhere<T> {
    nil: T,
    v4: T,
    v6: T,
}

impl<T> Anywhere<T> {
    fn get_mut(&mut self, anyone: Anyone) -> &mut T {
        match anyone {
            Anyone::Nil => &mut self.nil,
            Anyone::V4 => &mut self.v4,
            Anyone::V6 => &mut self.v6,
        }
    }

    fn map<U>(self, mut map: impl FnMut(T) -> U) -> Anywhere<U> {
        Anywhere { nil: map(self.nil), v4: map(self.v4), v6: map(self.v6) }
    }
}
