//! [`Matcher`]: the compiled, immutable form of settings, and the hot path.

mod address;
mod compile;
mod hosts;
mod lists;

use crate::decision::Decision;
use crate::error::Error;
use crate::flow::Flow;
use crate::matcher::address::AddressIndex;
use crate::matcher::hosts::HostIndex;
use crate::matcher::lists::{List, Lists, NO_RANK, Outcome, Query};
use crate::network::Answer;
use crate::rule::{Action, NetworkRule};
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
/// With [`Strategy::Trie`] a decision visits the networks that contain the remote address (at most
/// 33 for IPv4, 129 for IPv6) and in each the rules for the flow's remote port, up to the deciding
/// one; rules without a remote side are one more such list. It does not depend on the number of
/// rules for other addresses, nor, for a flow without a name, on the number of host rules.
///
/// # Source
///
/// [`reference`](crate::reference) defines every answer.
#[derive(Debug)]
pub struct Matcher {
    lists: Lists,
    /// Rules that apply whatever the remote address: those whose remote side is nil.
    everywhere: List,
    addresses: AddressIndex,
    hosts: HostIndex,
    /// The rules that can be pending, with their ranks.
    conditional: Vec<(u32, NetworkRule)>,
    /// The rule index of each rank; empty where the two are the same.
    order: Vec<u32>,
    default_action: Action,
    precedence: Precedence,
    strategy: Strategy,
}

/// How a [`Matcher`] finds rules. All strategies give the same answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Goes through the rules in order. Fastest for a handful.
    Scan,
    /// Finds the networks that contain the remote address in a longest-prefix-match trie, and
    /// host rules by name.
    Trie,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Strategy; 2] = [Strategy::Scan, Strategy::Trie];
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
    /// [`Decision::MAX_RULE_INDEX`] rules.
    ///
    /// # Complexity
    ///
    /// O(n log n) in the number of rules.
    pub fn build(self, settings: &FilterSettings) -> Result<Matcher, Error> {
        compile::compile(settings, self.precedence, self.strategy)
    }
}

impl Matcher {
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
    pub fn decide(&self, flow: &Flow<'_>) -> Decision {
        let outcome = self.outcome(flow);
        let decision = match outcome.rank {
            NO_RANK => Decision::of_no_rule(self.default_action, flow.is_loopback()),
            rank => Decision::of_rule(self.rule_index(rank), outcome.action),
        };
        let pending = outcome.pending.is_before(outcome.rank);
        let overruled = outcome.pending.without(decision.action()).is_before(outcome.rank);
        decision.with_pending(pending, !overruled && !outcome.leans_on_unbound)
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
        let winner = self.outcome(flow).rank;
        let before = self.conditional.iter().filter(|(rank, _)| *rank < winner);
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

    fn outcome(&self, flow: &Flow<'_>) -> Outcome {
        let query = Query::new(flow, &self.lists);
        let mut outcome = Outcome::default();
        query.scan(&self.everywhere, &mut outcome);
        self.addresses.visit(&query, &mut outcome);
        self.hosts.visit(&query, &mut outcome);
        outcome
    }

    fn rule_index(&self, rank: u32) -> u32 {
        self.order.get(rank as usize).copied().unwrap_or(rank)
    }
}
