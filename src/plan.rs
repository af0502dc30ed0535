//! [`plan`]: a first stage that the framework takes, for settings of any size; and [`verify_plan`].

mod blocks;
mod tree;

use self::blocks::{Block, Blocks, Guarded, Labels};
use self::tree::Tree;
use crate::diff::{Difference, search};
use crate::endpoint::{AddressFamily, Endpoint, Host, Ports};
use crate::flow::{Direction, Flow};
use crate::matcher::Matcher;
use crate::rule::{Action, FilterRule, NetworkRule, Protocol, Remote};
use crate::settings::{FilterSettings, FrameworkIssueKind, Precedence};
use crate::space::{Pieces, Sides, Space, Splitter, ordered};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A first stage of few rules, in front of settings that decide exactly.
///
/// The first stage is given to the framework. To every flow it gives either the action that the
/// settings give, or `filterData`; a flow of the latter reaches `handleNewFlow`, where a
/// [`Matcher`] of the settings decides.
#[derive(Clone, Debug)]
pub struct Plan {
    first_stage: FilterSettings,
    share: f64,
    curve: Vec<f64>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// It takes more rules: to reach every flow, or because a default of allow or drop needs one
    /// beside it (S-62).
    TooFewRules {
        /// The most rules that there may be.
        limit: usize,
    },
    /// No first stage of the framework's rules can send this flow to the extension, nor give it
    /// the action of the settings: a loopback flow of a protocol that only an extension can name.
    Unreachable(Box<Difference>),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::TooFewRules { limit } => {
                write!(f, "a first stage takes more rules than {limit}")
            }
            PlanError::Unreachable(difference) => {
                let (decider, action) = difference.before();
                let witness = difference.witness();
                write!(
                    f,
                    "no rule of the framework reaches the flow {witness}, to which {decider} \
                     gives `{action}`"
                )
            }
        }
    }
}

impl std::error::Error for PlanError {}

/// Plans a first stage of at most `limit` rules for `settings`, and sends as little as it can to
/// the extension.
///
/// What is sent is weighed by `sample` where there is one: as many of its flows as get
/// `filterData`. Otherwise it is the share of the space: of TCP and UDP, inbound and outbound, and
/// of both families, each half, with addresses and ports spread evenly.
///
/// The first stage has address rules only. The host name of a flow is known to the framework only
/// where the program connected by name (S-44), so whatever a host rule could decide otherwise goes
/// to the extension. It uses one port or any (S-25), TCP, UDP or any (S-30), no mapped addresses
/// (S-20), a wildcard for each family (S-15), and names loopback addresses where what applies to
/// loopback flows by default is not what the settings give them (S-64). Settings that the framework
/// takes as they are, and that have no host rule, may be their own first stage.
///
/// Where the rules of the settings differ in remote addresses only, no first stage of so many rules
/// sends less. Where they differ in protocol, direction or a few ports, each of these is planned by
/// itself, and the rules are shared out in the best way; what differs in other parts of a flow,
/// such as the local side, is sent.
///
/// Every plan is proven by [`verify_plan`] before it is returned.
///
/// # Examples
///
/// ```
/// use flowsieve::*;
///
/// let block = |text: &str| -> Result<FilterRule, Error> {
///     let rule = NetworkRule::destination_network(text.parse()?, 32, Protocol::Any)?;
///     Ok(FilterRule::new(rule, Action::Drop))
/// };
/// let rules = vec![block("192.0.2.8")?, block("192.0.2.11")?, block("203.0.113.1")?];
/// let settings = FilterSettings::new(rules, Action::Allow);
/// let plan = plan(&settings, Precedence::FirstMatch, 2, &[])?;
///
/// // One of the neighbours is worth a rule no more than a network around both.
/// let rules = plan.first_stage().rules().iter().map(|rule| rule.network_rule().to_string());
/// let expected = ["any outbound, remote 203.0.113.1/32", "any outbound, remote 192.0.2.8/30"];
/// assert_eq!(rules.collect::<Vec<_>>(), expected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// See [`PlanError`].
///
/// # Complexity
///
/// O(n log n + n `limit`) in the number n of rules, for each way of taking rules apart by protocol,
/// direction and port that is tried; and what [`diff`](crate::diff()) takes.
pub fn plan(
    settings: &FilterSettings,
    precedence: Precedence,
    limit: usize,
    sample: &[Flow<'_>],
) -> Result<Plan, PlanError> {
    let rules: Vec<&NetworkRule> = settings.rules().iter().map(FilterRule::network_rule).collect();
    let (space, shapes) = Space::new(&rules);
    let labels = Labels::new(&space, space.items(settings, precedence, &shapes), sample);
    let planner = |guarded| Planner::new(settings, limit, &labels, sample, guarded);
    let unguarded = planner(Guarded::Nothing);
    let verify = |planned: Planned| {
        let violation = verify_as_it_stands(&planned.first_stage, settings, precedence);
        match violation {
            None => Ok(planned),
            Some(violation) => Err(Box::new(violation)),
        }
    };
    let mut tried: Vec<Result<Planned, Box<Difference>>> = Vec::new();
    tried.extend(unguarded.first_stage(&[]).map(verify));
    if unguarded.may_gain || !tried.iter().any(Result::is_ok) {
        tried.extend(
            planner(Guarded::Local).first_stage(&labels.guards(Guarded::Local)).map(verify),
        );
    }
    if !tried.iter().any(Result::is_ok) {
        tried.extend(planner(Guarded::Both).first_stage(&labels.guards(Guarded::Both)).map(verify));
    }
    if let Some(first_stage) = settings_as_first_stage(settings, precedence, limit) {
        let share = share(&first_stage, sample);
        let curve = Vec::new();
        tried.extend(Some(verify(Planned { share, first_stage, curve })));
    }
    let planned: Vec<&Planned> = tried.iter().flatten().collect();
    if let Some(best) = best_of(&planned) {
        let share = share(&best.first_stage, sample);
        let curve = curve_of(&planned, best);
        return Ok(Plan { first_stage: best.first_stage.clone(), share, curve });
    }
    // What the guards reach is sent, so what is missed with them cannot be reached.
    let needed = 1 + labels.guards(Guarded::Both).len();
    match tried.into_iter().filter_map(Result::err).next_back() {
        Some(violation) if limit >= needed => Err(PlanError::Unreachable(violation)),
        _ => Err(PlanError::TooFewRules { limit }),
    }
}

/// Proves that a first stage gives every flow either the action that `settings` give it or
/// `filterData`; returns a region in which it does not, if there is one.
///
/// In it, [`before`](Difference::before) is what the settings give and [`after`](Difference::after)
/// what the first stage does. A host rule of the first stage cannot be relied on, as the name may
/// be known to the framework or not (S-44): so the first stage is also held to it without its host
/// rules, and the indices in `after` are then those of its other rules.
pub fn verify_plan(
    first_stage: &FilterSettings,
    settings: &FilterSettings,
    precedence: Precedence,
) -> Option<Difference> {
    let is_address = |rule: &&FilterRule| rule.network_rule().remote_side().is_some();
    let rules = first_stage.rules();
    let address_rules: Vec<FilterRule> = rules.iter().filter(is_address).cloned().collect();
    let has_host_rules = address_rules.len() < rules.len();
    verify_as_it_stands(first_stage, settings, precedence).or_else(|| {
        let nameless = FilterSettings::new(address_rules, first_stage.default_action());
        has_host_rules.then(|| verify_as_it_stands(&nameless, settings, precedence)).flatten()
    })
}

fn verify_as_it_stands(
    first_stage: &FilterSettings,
    settings: &FilterSettings,
    precedence: Precedence,
) -> Option<Difference> {
    let is_missed = |exact: Action, first: Action| first != Action::FilterData && first != exact;
    let first_stage = (first_stage, Precedence::FirstMatch);
    search((settings, precedence), first_stage, is_missed, 1).regions().next()
}

impl Plan {
    /// Returns the settings for the framework.
    pub fn first_stage(&self) -> &FilterSettings {
        &self.first_stage
    }

    /// Returns the share of the space, or of the sample, that is sent to the extension, from 0 to
    /// 1.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// Returns the least share that is sent with so many rules of what the rules of the settings
    /// are taken apart to, for each number from 0 up to the limit; infinite where there is no plan
    /// of so few.
    pub fn curve(&self) -> &[f64] {
        &self.curve
    }
}

/// Returns the share of the space, or of a sample, that settings send to the extension.
fn share(first_stage: &FilterSettings, sample: &[Flow<'_>]) -> f64 {
    if !sample.is_empty() {
        let matcher = Matcher::new(first_stage).ok();
        let is_sent = |flow: &&Flow<'_>| match &matcher {
            Some(matcher) => matcher.decide(flow).action() == Action::FilterData,
            None => true,
        };
        return sample.iter().filter(is_sent).count() as f64 / sample.len() as f64;
    }
    let rules: Vec<&NetworkRule> =
        first_stage.rules().iter().map(FilterRule::network_rule).collect();
    let (space, shapes) = Space::new(&rules);
    let items = space.items(first_stage, Precedence::FirstMatch, &shapes);
    let asked = items.iter().map(|item| Sides {
        shape: item.shape,
        old: Some((item.decider, item.action)),
        new: None,
    });
    // Beside something that allows everything, whatever is sent differs.
    let allowed = items.last().map(|last| Sides {
        shape: space.everything(),
        old: None,
        new: Some((last.decider, Action::Allow)),
    });
    let sides: Vec<Sides> = asked.chain(allowed).collect();
    let is_sent = |first: Action, _| first == Action::FilterData;
    let mut pieces = Pieces::default();
    let list: Vec<u32> = (0..sides.len() as u32).collect();
    let splitter = Splitter::new(&space, &sides, is_sent, usize::MAX);
    splitter.split(&space.region(&space.everything()), &list, &mut pieces);
    let regions = pieces.pieces.iter().map(|piece| pieces.region(piece));
    regions.map(|region| space.axes().known_share(&region)).sum()
}

/// A first stage that is still to be proven.
struct Planned {
    share: f64,
    first_stage: FilterSettings,
    /// By the number of rules; empty for settings that are their own first stage.
    curve: Vec<f64>,
}

/// Returns the one that sends least, and of those that send as little the one of the fewest rules.
fn best_of<'a>(planned: &[&'a Planned]) -> Option<&'a Planned> {
    let least = planned.iter().map(|planned| planned.share).min_by(f64::total_cmp)?;
    // Shares are sums of many parts, which round.
    let is_least = |planned: &&&Planned| planned.share <= least * (1.0 + 1e-9);
    planned.iter().filter(is_least).min_by_key(|planned| planned.first_stage.rules().len()).copied()
}

/// Returns the least share by the number of rules: that of the best, or of the others where it is
/// settings as they stand.
fn curve_of(planned: &[&Planned], best: &Planned) -> Vec<f64> {
    let longest = || planned.iter().map(|planned| &planned.curve).max_by_key(|curve| curve.len());
    let curve = if best.curve.is_empty() { longest() } else { Some(&best.curve) };
    let mut curve = curve.cloned().unwrap_or_default();
    let as_they_stand = planned.iter().filter(|planned| planned.curve.is_empty());
    for Planned { share, first_stage, .. } in as_they_stand {
        if let Some(least) = curve.get_mut(first_stage.rules().len()) {
            *least = least.min(*share);
        }
    }
    // Rules that are not needed may be left out.
    let mut least = f64::INFINITY;
    for share in &mut curve {
        least = least.min(*share);
        *share = least;
    }
    curve
}

struct Planner {
    limit: usize,
    /// The ways of taking rules apart that are tried, with a tree for each block and family.
    ways: Vec<Way>,
    /// What the weights of the trees are shares of.
    whole: f64,
    /// Whether rules for local loopback addresses may be worth it where they are not needed.
    may_gain: bool,
}

struct Way {
    blocks: Blocks,
    trees: Vec<(Block, AddressFamily, Tree)>,
    /// The weight of what no block matches.
    residual: f64,
}

impl Planner {
    fn new(
        settings: &FilterSettings,
        limit: usize,
        labels: &Labels<'_>,
        sample: &[Flow<'_>],
        guarded: Guarded,
    ) -> Planner {
        // Without anything to gain, guards could only help another default than allow; in its stead
        // the halves of a family may have a prefix each, unless both families need that.
        let (mut may_gain, mut is_plain_v4, mut is_plain_v6) = (false, true, true);
        let ways = Blocks::ways(settings, labels).into_iter().map(|blocks| {
            let mut parts = Vec::new();
            for block in &blocks.blocks {
                for family in [AddressFamily::V4, AddressFamily::V6] {
                    let (stretches, is_moved) = labels.stretches(block, family, guarded);
                    may_gain |= is_moved;
                    let is_plain =
                        stretches.iter().all(|(.., label)| label.by_default == Some(Action::Allow));
                    match family {
                        AddressFamily::V4 => is_plain_v4 &= is_plain,
                        AddressFamily::V6 => is_plain_v6 &= is_plain,
                    }
                    parts.push((block, family, stretches));
                }
            }
            // Whether another default is as good as `filterData` everywhere.
            let shared = || parts.iter().filter(|(block, ..)| block.port.is_none());
            let other = blocks.residual.filter(|residual| *residual != Action::FilterData);
            let has_filter_default = !other.is_some_and(|residual| {
                shared().all(|(.., stretches)| tree::is_as_good_by_default(residual, stretches))
            });
            let trees = parts.iter().map(|(block, family, stretches)| {
                let weight = labels.weight(block, *family);
                let has_filter_default = has_filter_default || block.port.is_some();
                let bits = family.bits();
                let tree = Tree::new(bits, stretches, limit, has_filter_default, &*weight);
                ((*block).clone(), *family, tree)
            });
            let trees = trees.collect();
            Way { residual: labels.residual_weight(&blocks), blocks, trees }
        });
        let ways = ways.collect();
        may_gain |= !is_plain_v4 && !is_plain_v6;
        let whole = if sample.is_empty() { 1.0 } else { sample.len() as f64 };
        Planner { limit, ways, whole, may_gain }
    }

    /// Returns the best first stage that begins with `guards`, and the least shares by the number
    /// of rules; `None` if the limit is too small.
    fn first_stage(&self, guards: &[FilterRule]) -> Option<Planned> {
        let room = self.limit.checked_sub(guards.len())?;
        let mut best: Option<(f64, usize, &Way, Action, Shares)> = None;
        let mut curve = vec![f64::INFINITY; self.limit + 1];
        for way in &self.ways {
            for default in Action::ALL {
                let answer = way.blocks.residual;
                if default != Action::FilterData && answer != Some(default) {
                    continue;
                }
                let unmatched = match default {
                    Action::FilterData => way.residual,
                    Action::Allow | Action::Drop => 0.0,
                };
                let mut shares = Shares::new(way, default, room);
                // Allow and drop as a default take a rule beside them (S-62).
                if default != Action::FilterData
                    && guards.is_empty()
                    && let Some(none) = shares.weights.first_mut()
                {
                    *none = f64::INFINITY;
                }
                for (count, weight) in shares.weights.iter().enumerate() {
                    let share = (weight + unmatched) / self.whole;
                    if let Some(least) = curve.get_mut(count + guards.len()) {
                        *least = least.min(share);
                    }
                }
                let weight = shares.weights.last().copied().unwrap_or(f64::INFINITY) + unmatched;
                let Some(count) = shares.weights.iter().position(|w| w + unmatched <= weight)
                else {
                    continue;
                };
                let is_better = best.as_ref().is_none_or(|(least, fewest, ..)| {
                    weight.total_cmp(least).then(count.cmp(fewest)).is_lt()
                });
                if weight.is_finite() && is_better {
                    best = Some((weight, count, way, default, shares));
                }
            }
        }
        let (weight, count, way, default, shares) = best?;
        let mut rules = guards.to_vec();
        rules.extend(shares.rules(way, default, count));
        if rules.is_empty() && default != Action::FilterData {
            let (protocol, direction) = (Protocol::Any, Direction::Any);
            let all = NetworkRule::remote_network(None, 0, None, 0, protocol, direction).ok()?;
            rules.push(FilterRule::new(all, default));
        }
        let (share, first_stage) = (weight / self.whole, FilterSettings::new(rules, default));
        Some(Planned { share, first_stage, curve })
    }
}

/// Returns the settings, if the framework takes them and they have no host rule.
fn settings_as_first_stage(
    settings: &FilterSettings,
    precedence: Precedence,
    limit: usize,
) -> Option<FilterSettings> {
    let rules = settings.rules();
    let is_taken = |kind: &FrameworkIssueKind| matches!(kind, FrameworkIssueKind::TooManyRules { count } if *count <= limit);
    let issues = settings.validate_for_framework();
    let has_host_rule =
        rules.iter().any(|rule| matches!(rule.network_rule().remote(), Remote::Host { .. }));
    let fits =
        rules.len() <= limit && !has_host_rule && issues.iter().all(|issue| is_taken(issue.kind()));
    let rules = ordered(settings, precedence).into_iter();
    let rules = rules.map(|(_, rule)| rule.clone()).collect();
    fits.then(|| FilterSettings::new(rules, settings.default_action()))
}

/// How many rules each tree of a way gets, for every number of rules.
struct Shares {
    /// The least weight for each number.
    weights: Vec<f64>,
    /// For each tree, by the number of rules for it and the trees before it, how many are for it.
    firsts: Vec<Vec<u32>>,
}

impl Shares {
    fn new(way: &Way, default: Action, room: usize) -> Shares {
        let mut weights = vec![0.0];
        let mut firsts = Vec::with_capacity(way.trees.len());
        for (block, _, tree) in &way.trees {
            let own = match block.port {
                None => tree.weights(default).to_vec(),
                Some(_) => rooted(tree),
            };
            let len = (own.len() + weights.len() - 1).min(room + 1);
            let (sums, of_own) = tree::least_sums(&own, &weights, len);
            weights = sums;
            firsts.push(of_own);
        }
        Shares { weights, firsts }
    }

    fn rules(&self, way: &Way, default: Action, mut count: usize) -> Vec<FilterRule> {
        let mut by_block = Vec::new();
        for ((block, family, tree), firsts) in way.trees.iter().zip(&self.firsts).rev() {
            let own = firsts.get(count.min(firsts.len().saturating_sub(1))).copied().unwrap_or(0);
            count = count.saturating_sub(own as usize);
            let own = own as usize;
            let mut rules = Vec::new();
            match block.port {
                None => rules.extend(tree.prefixes(default, own)),
                Some(_) => {
                    let left = own.saturating_sub(1);
                    let root = root_of(tree, left);
                    rules.extend(tree.prefixes(root, left));
                    if rules.last().is_none_or(|(_, prefix_len, _)| *prefix_len > 0) {
                        rules.push((0, 0, root));
                    }
                }
            }
            let rule =
                |(prefix, prefix_len, action)| block.rule(*family, prefix, prefix_len, action);
            by_block.push(rules.into_iter().filter_map(rule).collect::<Vec<_>>());
        }
        // Those of one port go before those of any.
        by_block.into_iter().rev().flatten().collect()
    }
}

/// The least weights of a tree that has a prefix for everything, which counts.
fn rooted(tree: &Tree) -> Vec<f64> {
    let len = Action::ALL.into_iter().map(|given| tree.weights(given).len()).max().unwrap_or(0);
    let least = |count: usize| {
        let weight = |given| at_most(tree.weights(given), count);
        Action::ALL.into_iter().map(weight).fold(f64::INFINITY, f64::min)
    };
    std::iter::once(f64::INFINITY).chain((0..len).map(least)).collect()
}

/// The entry for so many, where the last stands for all greater numbers.
fn at_most(weights: &[f64], count: usize) -> f64 {
    weights.get(count).or(weights.last()).copied().unwrap_or(f64::INFINITY)
}

/// The action of that prefix, if so many others are in it.
fn root_of(tree: &Tree, count: usize) -> Action {
    let weight = |given: &Action| at_most(tree.weights(*given), count);
    let best = Action::ALL.into_iter().min_by(|a, b| weight(a).total_cmp(&weight(b)));
    best.unwrap_or(Action::FilterData)
}

impl Block {
    /// Makes the rule of a prefix.
    fn rule(
        &self,
        family: AddressFamily,
        prefix: u128,
        prefix_len: u8,
        action: Action,
    ) -> Option<FilterRule> {
        // The address of zeros is a wildcard whatever its prefix (S-16); a host bit makes it a
        // network again.
        let bits = if prefix == 0 && prefix_len > 0 { 1 } else { prefix };
        let address: IpAddr = match family {
            AddressFamily::V4 => Ipv4Addr::from_bits(bits as u32).into(),
            AddressFamily::V6 => Ipv6Addr::from_bits(bits).into(),
        };
        let ports = self.port.map_or(Ports::ANY, Ports::one);
        let remote = Some(Endpoint::from_parts(Host::Address(address, None), ports));
        let prefix_len = u64::from(prefix_len);
        let (protocol, direction) = (self.protocol, self.direction);
        let rule =
            NetworkRule::remote_network(remote, prefix_len, None, 0, protocol, direction).ok()?;
        Some(FilterRule::new(rule, action))
    }
}
