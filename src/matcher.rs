//! [`Matcher`]: the compiled, immutable form of settings, and the hot path.

mod address;
mod compile;
mod hosts;
mod intervals;
mod lanes;
mod leaf;
mod lists;
mod locals;
mod memory;
mod plain;
mod ports;
mod scan;
mod sided;
mod unbound;

use crate::decision::Decision;
use crate::endpoint::AddressFamily;
use crate::error::Error;
use crate::flow::Flow;
use crate::matcher::address::AddressIndex;
use crate::matcher::hosts::HostIndex;
use crate::matcher::intervals::{GROUP, Intervals, Wanted};
use crate::matcher::lanes::{Job, Lanes, Machine, Scalar};
use crate::matcher::leaf::{Case, Leaf, Ranked};
use crate::matcher::lists::{List, Lists, Outcome, Query};
use crate::matcher::locals::LocalPorts;
use crate::matcher::plain::{Anyone, PlainIndex};
use crate::matcher::scan::{Probe, Scan};
use crate::matcher::sided::Sided;
use crate::matcher::unbound::Unbound;
use crate::network::Answer;
use crate::rule::{Action, NetworkRule, Remote};
use crate::settings::{FilterSettings, Precedence};
use std::hint::select_unpredictable;

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
/// A flow costs one look-up of its remote address, whatever the number of rules: one step for IPv4
/// after the first 16 bits, up to three for IPv6, each the comparison of a cache line, of two where
/// there are many networks, or a search by halving where there are very many. Then it reads the
/// rules of the networks that contain the address, in order, up to the deciding one: at most 16 in
/// one list, or up to 33 networks (129 for IPv6) with a look-up of the remote port each. Rules for a
/// port of any host cost one look-up of the port, however many.
///
/// Rules with a local side or a zone id are kept under the side that fewer rules share; where there
/// are some, the local address is looked up as well. Rules of one pair of networks are told apart by
/// remote or local port; those that differ in port ranges only are gone through one by one, and those
/// of two wide networks (IPv4, under 8 bits) sixteen at a time. While the local end is unbound, the
/// first rule of each action that could still match is found as the rules without a local side are;
/// if a rule compares the unbound address itself, or only the address or the port is known, the rules
/// with a local side of each network that contains the remote address are gone through. A host name is gone over once, up to the length of the longest that a
/// rule has, and costs one look-up, mostly of one cache line, for each of its labels.
///
/// # Source
///
/// [`reference`](crate::reference) defines every answer.
#[derive(Debug)]
pub struct Matcher {
    plain: PlainIndex,
    local_ports: LocalPorts,
    /// The rules of `local_ports` again, for flows that it says nothing of.
    by_local_port: Anywhere<List>,
    /// The other rules whose remote side is nil or a wildcard.
    anywhere: Anywhere<List>,
    /// The other rules of explicit networks.
    addresses: AddressIndex,
    /// All rules with a local side again, for flows whose local address is known.
    sided_v4: Sided<u32>,
    sided_v6: Sided<u128>,
    /// All rules that can match IPv4 flows, if they are few.
    few: Scan,
    /// All rules with a local side once more, for flows of unbound local end of each family, if
    /// none of them matches such a local end as it stands.
    unbound: Option<Box<[Unbound; 2]>>,
    lists: Lists,
    hosts: HostIndex,
    /// The rules that can be pending, with their ranks.
    conditional: Vec<(u32, NetworkRule)>,
    /// The rule index of each rank; empty where the two are the same.
    order: Vec<u32>,
    has: Has,
    default_action: Action,
    precedence: Precedence,
    strategy: Strategy,
    machine: Machine,
}

/// Which kinds of rules there are, so that a decision passes by those that there are not.
#[derive(Clone, Copy, Debug)]
struct Has {
    /// Plain rules of any host.
    anywhere: bool,
    local_ports: bool,
    hosts: bool,
    /// Rules with a local side that apply to remote addresses of no network in particular.
    sided_anywhere: bool,
    /// Rules for some local ports, beside those of `local_ports`.
    sided_ports: bool,
    /// Rules that every flow has to ask for, beside these.
    others: bool,
    /// Rules with a local side.
    local: bool,
    /// So few rules that IPv4 flows are compared with all of them.
    few: bool,
    /// More memory than batches of flows are decided in without looking ahead.
    groups: bool,
    /// So many rules with a local side, kept under the remote and under the local side, that the
    /// look-ups of batches look ahead for them too.
    sided_groups: [bool; 2],
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
    /// rules share, or, while the local end is unbound, by their remote side. Where neither is
    /// known well enough, goes on as [`Trie`](Strategy::Trie) does.
    Intervals,
    /// Compares an IPv4 flow with all rules, sixteen at a time, unless there are host rules or
    /// zone ids; other flows as [`Intervals`](Strategy::Intervals) does. Fastest for few rules.
    Blocks,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Strategy; 4] =
        [Strategy::Scan, Strategy::Trie, Strategy::Intervals, Strategy::Blocks];

    /// Whether the rules are found by intervals of addresses, but for those of `Blocks`.
    fn has_intervals(self) -> bool {
        matches!(self, Strategy::Intervals | Strategy::Blocks)
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
    /// 512 bits: AVX-512 (F, BW, VL, DQ) on x86-64.
    Bits512,
}

impl Vectors {
    /// All widths, ascending.
    pub const ALL: [Vectors; 4] =
        [Vectors::Scalar, Vectors::Bits128, Vectors::Bits256, Vectors::Bits512];
}

/// How a [`Matcher`] is to be compiled; see [`Matcher::builder`].
#[derive(Clone, Copy, Debug, Default)]
pub struct MatcherBuilder {
    precedence: Precedence,
    strategy: Option<Strategy>,
    vectors: Option<Vectors>,
    look_ahead: Option<bool>,
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
    /// by one, for tests and measurements; chosen by the size of the matcher unless set.
    pub fn look_ahead(mut self, look_ahead: bool) -> MatcherBuilder {
        self.look_ahead = Some(look_ahead);
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
        self.machine.run(Decide { matcher: self, flow })
    }

    #[inline(always)]
    fn decide_with(&self, lanes: impl Lanes, flow: &Flow<'_>) -> Decision {
        let (remote, _) = flow.ends();
        let (high, low) = remote.folded_bits();
        let leaves = |family, by_remote| self.sided_leaves(lanes, family, flow, by_remote);
        match remote.folded_family() {
            Some(AddressFamily::V4) if self.has.few => self.decide_by_scan(lanes, flow),
            Some(AddressFamily::V4) => {
                let leaf = self.plain.leaf_v4(lanes, low as u32);
                self.decide_in(lanes, AddressFamily::V4, &leaf, flow, leaves)
            }
            Some(AddressFamily::V6) => {
                let leaf = self.plain.leaf_v6(lanes, high, low);
                self.decide_in(lanes, AddressFamily::V6, &leaf, flow, leaves)
            }
            None => self.decide_fully(flow, &Leaf::NONE),
        }
    }

    /// Decides an IPv4 flow by settings of a few rules.
    #[inline(always)]
    fn decide_by_scan(&self, lanes: impl Lanes, flow: &Flow<'_>) -> Decision {
        let (_, local) = flow.ends();
        let probe = Probe::new(flow, Case::of(flow));
        let is_v4 = local.folded_family() == Some(AddressFamily::V4);
        let is_known = (local.folded_bits() != (0, 0)) & (local.port() != 0);
        let best = match is_v4 & is_known {
            true => self.few.find_in_all(lanes, &probe),
            false => {
                let (best, has_local) = self.few.find_unbound(lanes, &probe);
                // Rules with a local side of IPv6 are not among the few.
                if has_local | (!is_v4 & self.has.local) {
                    if Self::is_unbound(AddressFamily::V4, flow)
                        && let Some(unbound) = &self.unbound
                    {
                        let leaf = self.plain.leaf(lanes, flow.ends().0);
                        return self.decide_unbound(unbound, &leaf, flow);
                    }
                    return self.decide_fully(flow, &self.plain.leaf(Scalar, flow.ends().0));
                }
                best
            }
        };
        self.decision(best, flow.is_loopback())
    }

    /// Decides a flow with a remote address, given its family, its leaf, and how to get the leaves
    /// of the rules with a local side.
    #[inline(always)]
    fn decide_in<'a>(
        &'a self,
        lanes: impl Lanes,
        family: AddressFamily,
        leaf: &Leaf,
        flow: &Flow<'_>,
        leaves: impl FnOnce(AddressFamily, bool) -> [&'a Leaf; 2],
    ) -> Decision {
        let (remote, local) = flow.ends();
        let (case, is_loopback) = (Case::of(flow), flow.is_loopback());
        let by_remote = leaf.flags & Leaf::CONDITIONAL != 0;
        let has_sided = self.has.sided_anywhere | by_remote;
        if (has_sided | self.has.local_ports) & Self::is_unbound(family, flow)
            && let Some(unbound) = &self.unbound
        {
            return self.decide_unbound(unbound, leaf, flow);
        }
        let mut is_rare = self.has.others;
        let mut best = Ranked::NONE;
        if self.has.anywhere {
            is_rare |= is_loopback | case.is_uncommon();
            best = self.plain.anywhere(lanes, Some(family), case, remote.port());
        }
        if self.has.local_ports {
            let is_known = (local.folded_family() == Some(family)) & (local.port() != 0);
            is_rare |= !is_known | is_loopback | case.is_uncommon();
            let found = self.local_ports.find(lanes, family, case, local.port());
            best = select_unpredictable(found < best, found, best);
        }
        if has_sided {
            is_rare |= self.known_family(flow).is_none();
        }
        if is_rare {
            return self.decide_fully(flow, leaf);
        }
        best = self.plain.find(leaf, case, remote.port(), best);
        if has_sided {
            let leaves = leaves(family, by_remote);
            best = self.find_sided(lanes, family, leaves, flow, case, is_loopback, best);
        }
        if self.has.hosts {
            return self.decide_by_host(flow, best);
        }
        self.decision(best, is_loopback)
    }

    /// Whether the local end of a flow is unbound: `0.0.0.0` or `::` of the remote address's family,
    /// and port 0. Loopback flows are left out, which few rules match.
    #[inline(always)]
    fn is_unbound(family: AddressFamily, flow: &Flow<'_>) -> bool {
        let (_, local) = flow.ends();
        (local.folded_family() == Some(family))
            & (local.folded_bits() == (0, 0))
            & (local.port() == 0)
            & !flow.is_loopback()
    }

    /// Decides a flow of unbound local end, in a function of its own, so that other flows do not pay
    /// for what it needs.
    #[inline(always)]
    fn decide_unbound(&self, unbound: &[Unbound; 2], leaf: &Leaf, flow: &Flow<'_>) -> Decision {
        self.machine.run(DecideUnbound { matcher: self, unbound, leaf, flow })
    }

    /// Decides as many flows as a group has; what they read is loaded for all at once.
    #[inline(always)]
    fn decide_group(
        &self,
        lanes: impl Lanes,
        flows: &[Flow<'_>; GROUP],
        decisions: &mut [Decision],
    ) {
        let leaves = self.plain.leaves(lanes, flows);
        let none = &Leaf::NONE;
        let mut of_remote = [none; GROUP];
        let mut of_local = [none; GROUP];
        let [has_remote, has_local] = self.has.sided_groups;
        if has_remote | has_local {
            let nowhere = Wanted { intervals: self.plain.nothing(), high: 0, low: 0 };
            let mut wanted_local = [nowhere; GROUP];
            let mut wanted = [nowhere; GROUP];
            for ((remote, local), flow) in wanted.iter_mut().zip(&mut wanted_local).zip(flows) {
                [*remote, *local] = match self.known_family(flow) {
                    Some(AddressFamily::V4) => self.sided_v4.wanted(flow),
                    Some(AddressFamily::V6) => self.sided_v6.wanted(flow),
                    None => [nowhere; 2],
                };
            }
            if has_remote {
                of_remote = Intervals::get_group(lanes, &wanted);
            }
            if has_local {
                of_local = Intervals::get_group(lanes, &wanted_local);
            }
            for ((of_remote, of_local), flow) in of_remote.iter().zip(&of_local).zip(flows) {
                match self.known_family(flow) {
                    Some(AddressFamily::V4) => self.sided_v4.prefetch([of_remote, of_local]),
                    Some(AddressFamily::V6) => self.sided_v6.prefetch([of_remote, of_local]),
                    None => {}
                }
            }
        }
        let sided = of_remote.into_iter().zip(of_local);
        for (((decision, flow), leaf), (of_remote, of_local)) in
            decisions.iter_mut().zip(flows).zip(leaves).zip(sided)
        {
            let (remote, _) = flow.ends();
            let leaves = |family, by_remote| match (has_remote, has_local) {
                (true, true) => [of_remote, of_local],
                _ => {
                    let by_remote = by_remote & !has_remote;
                    let [remote, local] = self.sided_leaves(lanes, family, flow, by_remote);
                    [if has_remote { of_remote } else { remote }, local]
                }
            };
            *decision = match remote.folded_family() {
                Some(family) => self.decide_in(lanes, family, &leaf, flow, leaves),
                None => self.decide_fully(flow, &Leaf::NONE),
            };
        }
    }

    #[inline(always)]
    fn sided_leaves(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        flow: &Flow<'_>,
        by_remote: bool,
    ) -> [&Leaf; 2] {
        match family {
            AddressFamily::V4 => self.sided_v4.leaves(lanes, flow, by_remote),
            AddressFamily::V6 => self.sided_v6.leaves(lanes, flow, by_remote),
        }
    }

    /// Decides each of `flows` into the decision of the same index, and returns how many were
    /// decided: the length of the shorter slice.
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
        let query = Query::new(flow, &self.lists);
        let (remote, _) = flow.ends();
        let leaf = self.plain.leaf(Scalar, remote);
        let winner = self.outcome(&query, &leaf).best;
        let before = self.conditional.iter().filter(|(rank, _)| *rank < winner.rank());
        let not_yet = before.filter(|(_, rule)| rule.test(flow).answer() == Answer::NotYet);
        let mut rules: Vec<usize> =
            not_yet.map(|(rank, _)| self.rule_index(*rank) as usize).collect();
        rules.sort_unstable();
        rules
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
        let names = self.conditional.iter().filter_map(|(_, rule)| match rule.remote() {
            Remote::Host { name, .. } => Some(name.as_str().len()),
            Remote::Network(_) => None,
        });
        size_of::<Matcher>()
            + self.plain.size_bytes()
            + self.local_ports.size_bytes()
            + anywhere.map(List::size_bytes).sum::<usize>()
            + self.addresses.size_bytes()
            + self.sided_v4.size_bytes()
            + self.sided_v6.size_bytes()
            + self.few.size_bytes()
            + self.unbound.as_ref().map_or(0, |unbound| {
                size_of::<[Unbound; 2]>() + unbound.iter().map(Unbound::size_bytes).sum::<usize>()
            })
            + self.lists.size_bytes()
            + self.hosts.size_bytes()
            + memory::of_vec(&self.conditional)
            + names.sum::<usize>()
            + memory::of_vec(&self.order)
    }

    /// Decides with all rules, also those that few settings have or few flows meet, given the leaf
    /// of the remote address.
    #[inline(never)]
    fn decide_fully(&self, flow: &Flow<'_>, leaf: &Leaf) -> Decision {
        let query = Query::new(flow, &self.lists);
        self.settle(&query, self.outcome(&query, leaf))
    }

    /// Decides with the host rules, given the best of the others.
    #[inline(never)]
    fn decide_by_host(&self, flow: &Flow<'_>, best: Ranked) -> Decision {
        let query = Query::new(flow, &self.lists);
        let mut outcome = Outcome { best, ..Outcome::default() };
        match self.hosts.pending_unnamed(&query) {
            Some(pending) => outcome.pending = pending,
            None => self.hosts.visit(&query, &mut outcome),
        }
        self.settle(&query, outcome)
    }

    #[inline(always)]
    fn settle(&self, query: &Query<'_>, outcome: Outcome) -> Decision {
        let decision = self.decision(outcome.best, query.is_loopback);
        let pending = outcome.pending.is_before(outcome.best);
        let overruled = pending && outcome.pending.overrules(outcome.best, decision.action());
        decision.with_pending(pending, !overruled && !outcome.leans_on_unbound)
    }

    fn outcome(&self, query: &Query<'_>, leaf: &Leaf) -> Outcome {
        let is_conditional = leaf.flags & Leaf::CONDITIONAL != 0;
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
                let (case, is_loopback) = (query.case, query.is_loopback);
                let best = outcome.best;
                let leaves = self.sided_leaves(Scalar, family, query.flow, true);
                let flow = query.flow;
                let best = self.find_sided(Scalar, family, leaves, flow, case, is_loopback, best);
                outcome.offer(best);
            }
            None => {
                query.scan_anywhere(&self.anywhere, &mut outcome);
                if is_conditional || !self.strategy.has_intervals() {
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
        let is_known = (local.folded_bits() != (0, 0)) & is_port_known;
        let is_known = is_known & self.strategy.has_intervals();
        let family = remote.folded_family()?;
        (is_known & (local.folded_family() == Some(family))).then_some(family)
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "all of them are in registers")]
    fn find_sided(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        leaves: [&Leaf; 2],
        flow: &Flow<'_>,
        case: Case,
        is_loopback: bool,
        best: Ranked,
    ) -> Ranked {
        match family {
            AddressFamily::V4 => self.sided_v4.find(lanes, leaves, flow, case, is_loopback, best),
            AddressFamily::V6 => self.sided_v6.find(lanes, leaves, flow, case, is_loopback, best),
        }
    }

    #[inline(always)]
    fn decision(&self, best: Ranked, is_loopback: bool) -> Decision {
        // Whether any rule matches, no machine could foresee.
        let of_rule = Decision::of_rule(self.rule_index(best.rank()), best.action());
        let of_none = Decision::of_no_rule(self.default_action, is_loopback);
        select_unpredictable(best == Ranked::NONE, of_none, of_rule)
    }

    #[inline(always)]
    fn rule_index(&self, rank: u32) -> u32 {
        self.order.get(rank as usize).copied().unwrap_or(rank)
    }
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

struct DecideUnbound<'a> {
    matcher: &'a Matcher,
    unbound: &'a [Unbound; 2],
    leaf: &'a Leaf,
    flow: &'a Flow<'a>,
}

impl Job for DecideUnbound<'_> {
    type Output = Decision;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> Decision {
        let DecideUnbound { matcher, unbound: [v4, v6], leaf, flow } = self;
        let Matcher { plain, hosts, .. } = matcher;
        let (remote, _) = flow.ends();
        let (case, family, port) = (Case::of(flow), remote.folded_family(), remote.port());
        let best = match case.is_uncommon() {
            true => plain.uncommon_anywhere(family, case, port),
            false => plain.anywhere(lanes, family, case, port),
        };
        let best = plain.find(leaf, case, port, best);
        let of_family = if family == Some(AddressFamily::V4) { v4 } else { v6 };
        let pending = of_family.pending(lanes, remote, case);
        let mut outcome = Outcome { best, pending, ..Outcome::default() };
        let query = Query::new(flow, &matcher.lists);
        if matcher.has.hosts {
            hosts.visit(&query, &mut outcome);
        }
        matcher.settle(&query, outcome)
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
        let (Some(mut flows), Some(mut decisions)) =
            (flows.get(..count), decisions.get_mut(..count))
        else {
            return 0;
        };
        if matcher.has.groups {
            let (groups, others) = flows.as_chunks::<GROUP>();
            let (of_groups, of_others) = decisions.as_chunks_mut::<GROUP>();
            for (flows, decisions) in groups.iter().zip(of_groups) {
                matcher.decide_group(lanes, flows, decisions);
            }
            (flows, decisions) = (others, of_others);
        }
        for (flow, decision) in flows.iter().zip(decisions) {
            *decision = matcher.decide_with(lanes, flow);
        }
        count
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
