//! [`Matcher`]: the compiled, immutable form of settings, and the hot path.

mod address;
mod compile;
mod hosts;
mod leaf;
mod lists;
mod locals;
mod memory;
mod pairs;
mod plain;
mod ports;
mod prefixes;
mod tags;

use crate::decision::Decision;
use crate::endpoint::AddressFamily;
use crate::error::Error;
use crate::flow::Flow;
use crate::matcher::address::AddressIndex;
use crate::matcher::hosts::HostIndex;
use crate::matcher::leaf::Ranked;
use crate::matcher::lists::{List, Lists, Outcome, Query};
use crate::matcher::locals::LocalPorts;
use crate::matcher::pairs::PairIndex;
use crate::matcher::plain::{Anyone, PlainIndex};
use crate::network::Answer;
use crate::rule::{Action, NetworkRule, Remote};
use crate::settings::{FilterSettings, Precedence};

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
/// A flow costs one look-up of its remote address, which asks a hash table for each of a few prefix
/// lengths, whatever the number of rules (at most 32 for IPv4 and 128 for IPv6, about five for
/// common rule sets); then it reads the rules of the networks that contain the address, in order,
/// up to the deciding one, of which at most 16 stand in one list. Rules for a port of any host cost
/// one look-up, however many.
///
/// Where rules with a local side or a zone id apply, the pairs of networks that contain the remote
/// and the local address are asked too, at most 33 by 33 for IPv4 and 129 by 129 for IPv6; while the
/// local address is not known, the rules with a local side of each network that contains the
/// remote address. A host name is gone over once, up to the length of the longest that a rule has,
/// and costs one look-up, mostly of one cache line, for each of its labels. Many rules of one pair
/// of networks that differ in port ranges or local ports are gone through one by one.
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
    pairs_v4: PairIndex,
    pairs_v6: PairIndex,
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
}

/// Which kinds of rules there are, so that a decision passes by those that there are not.
#[derive(Clone, Copy, Debug)]
struct Has {
    local_ports: bool,
    hosts: bool,
    /// Rules that every flow has to ask for, beside the plain ones, those of local ports and the
    /// host rules.
    others: bool,
}

/// How a [`Matcher`] finds rules. All strategies give the same answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Goes through the rules in order. Fastest for a handful.
    Scan,
    /// Finds the networks that contain the remote address in a longest-prefix-match trie.
    Trie,
    /// Finds them by hash tables for a few prefix lengths, all asked at once, each network with
    /// the rules of all that contain it; rules with a local side by the pair of their networks,
    /// or, while the local address is not known, as [`Trie`](Strategy::Trie) does.
    Lengths,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Strategy; 3] = [Strategy::Scan, Strategy::Trie, Strategy::Lengths];
}

/// How a [`Matcher`] is to be compiled; see [`Matcher::builder`].
#[derive(Clone, Copy, Debug, Default)]
pub struct MatcherBuilder {
    precedence: Precedence,
    strategy: Option<Strategy>,
}

impl MatcherBuilder {
    /// Sets which of several matching rules decides; [`Precedence::FirstMatch`] unless set.
    pub fn precedence(mut self, precedence: Precedence) -> MatcherBuilder {
        self.precedence = precedence;
        self
    }

    /// Forces a strategy, for tests and measurements; chosen by the number of rules unless set.
    pub fn strategy(mut self, strategy: Strategy) -> MatcherBuilder {
        self.strategy = Some(strategy);
        self
    }

    /// Compiles `settings`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooManyRules`](crate::ErrorKind::TooManyRules) for more than
    /// [`Matcher::MAX_RULES`] rules.
    ///
    /// # Complexity
    ///
    /// O(n log n) in the number of rules.
    pub fn build(self, settings: &FilterSettings) -> Result<Matcher, Error> {
        compile::compile(settings, self.precedence, self.strategy)
    }
}

impl Matcher {
    /// The most rules that a matcher takes: 1,073,741,823.
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
        let query = Query::new(flow, &self.lists);
        let (mut best, is_conditional) = self.plain.find(&query, Ranked::NONE);
        let mut needs_more = is_conditional | self.has.others;
        if self.has.local_ports {
            let found = self.local_ports.find(&query);
            needs_more |= found.is_none();
            best = best.min(found.unwrap_or(Ranked::NONE));
        }
        if needs_more {
            return self.decide_fully(&query, best, is_conditional);
        }
        if self.has.hosts {
            return match self.hosts.pending_unnamed(&query) {
                Some(pending) => {
                    self.settle(&query, Outcome { best, pending, ..Outcome::default() })
                }
                None => self.decide_by_name(&query, best),
            };
        }
        self.decision(best, query.is_loopback)
    }

    /// Decides each of `flows` into the decision of the same index, and returns how many were
    /// decided: the length of the shorter slice.
    #[must_use = "only as many flows are decided as there is room for decisions"]
    pub fn decide_batch(&self, flows: &[Flow<'_>], decisions: &mut [Decision]) -> usize {
        let pairs = flows.iter().zip(decisions);
        pairs.map(|(flow, decision)| *decision = self.decide(flow)).count()
    }

    /// Returns the indices of the rules that make a decision on `flow`
    /// [pending](Decision::pending), in list order; empty if it is not.
    ///
    /// # Complexity
    ///
    /// Linear in the number of rules that have a local side or a host name. Allocates.
    pub fn pending_rules(&self, flow: &Flow<'_>) -> Vec<usize> {
        let query = Query::new(flow, &self.lists);
        let (best, is_conditional) = self.plain.find(&query, Ranked::NONE);
        let winner = self.outcome(&query, best, is_conditional).best;
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
            + self.pairs_v4.size_bytes()
            + self.pairs_v6.size_bytes()
            + self.lists.size_bytes()
            + self.hosts.size_bytes()
            + memory::of_vec(&self.conditional)
            + names.sum::<usize>()
            + memory::of_vec(&self.order)
    }

    /// Decides with the rules that few settings have or few flows meet, given the best of the
    /// others.
    #[inline(never)]
    fn decide_fully(&self, query: &Query<'_>, best: Ranked, is_conditional: bool) -> Decision {
        self.settle(query, self.outcome(query, best, is_conditional))
    }

    /// Decides with the host rules, given the best of the others.
    #[inline(never)]
    fn decide_by_name(&self, query: &Query<'_>, best: Ranked) -> Decision {
        let mut outcome = Outcome { best, ..Outcome::default() };
        self.hosts.visit(query, &mut outcome);
        self.settle(query, outcome)
    }

    #[inline(always)]
    fn settle(&self, query: &Query<'_>, outcome: Outcome) -> Decision {
        let decision = self.decision(outcome.best, query.is_loopback);
        let pending = outcome.pending.is_before(outcome.best);
        let overruled = pending && outcome.pending.overrules(outcome.best, decision.action());
        decision.with_pending(pending, !overruled && !outcome.leans_on_unbound)
    }

    fn outcome(&self, query: &Query<'_>, best: Ranked, is_conditional: bool) -> Outcome {
        let mut outcome = Outcome { best, ..Outcome::default() };
        if self.has.local_ports && !self.local_ports.offer(query, &mut outcome) {
            query.scan_anywhere(&self.by_local_port, &mut outcome);
        }
        match self.pairs(query) {
            Some(pairs) => {
                pairs.visit(query, &mut outcome);
            }
            None => {
                query.scan_anywhere(&self.anywhere, &mut outcome);
                if is_conditional || self.strategy != Strategy::Lengths {
                    self.addresses.visit(query, &mut outcome);
                }
            }
        }
        if self.has.hosts {
            self.hosts.visit(query, &mut outcome);
        }
        outcome
    }

    /// Returns the pairs that hold all rules with a local side for a flow of two known addresses of
    /// one family.
    fn pairs(&self, query: &Query<'_>) -> Option<&PairIndex> {
        let (_, local) = query.flow.ends();
        let is_known = local.folded_bits() != (0, 0) && self.strategy == Strategy::Lengths;
        let family = query.family.filter(|family| local.folded_family() == Some(*family));
        Some(match family.filter(|_| is_known)? {
            AddressFamily::V4 => &self.pairs_v4,
            AddressFamily::V6 => &self.pairs_v6,
        })
    }

    #[inline(always)]
    fn decision(&self, best: Ranked, is_loopback: bool) -> Decision {
        match best {
            Ranked::NONE => Decision::of_no_rule(self.default_action, is_loopback),
            best => Decision::of_rule(self.rule_index(best.rank()), best.action()),
        }
    }

    #[inline(always)]
    fn rule_index(&self, rank: u32) -> u32 {
        self.order.get(rank as usize).copied().unwrap_or(rank)
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
