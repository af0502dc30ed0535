//! [`plan`]: a first stage that the framework takes, for settings of any size; and [`verify_plan`].

mod apart;
mod blocks;
mod cells;
mod grid;
mod joint;
mod skeleton;
mod states;
mod tree;

use self::apart::Apart;
use self::blocks::{Guarded, Labels};
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
/// Every plan is proven by [`verify_plan`] before it is returned.
///
/// # How little is sent
///
/// What is claimed here is about first stages whose rules have no port and no local side, and a
/// remote network of one bit or more, or none; those with none stand last.
///
/// - Where the rules of the settings differ in remote addresses only, none of so many rules sends
///   less.
/// - Where they differ in protocol or direction too, remote networks, protocols and directions are
///   planned together, in every order of rules. In small cases none of so many rules sends less.
///   A case is small where `limit` is at most 3, at most 20,000 combinations of what rules of
///   shorter prefixes can give to TCP and UDP, outbound and inbound, have to be told apart, and some
///   30 million sums are made: for rules about a few addresses.
/// - In greater cases rules stand longest prefix first; the halves that hang on a long way to one
///   network have a rule for the heaviest or for each; and where that is still too much, protocols
///   are planned together for each direction, and directions for each protocol, and the best is
///   taken. None of this is worse than each protocol and direction planned by itself, with the rules
///   shared out in the best way; and where rules times `limit` is more than two million, that is
///   what is done.
///
/// What no rule of the settings tells apart, such as protocols where all are about any, the first
/// stage does not either. That sends no more of the space; of a sample it could, where such flows
/// weigh differently at different addresses.
///
/// Up to 16 ports are planned by themselves. What differs in other parts of a flow, such as the
/// local side, is sent.
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
/// direction and port that is tried, times at most 250 where some of these are planned together; and
/// what [`diff`](crate::diff()) takes.
pub fn plan(
    settings: &FilterSettings,
    precedence: Precedence,
    limit: usize,
    sample: &[Flow<'_>],
) -> Result<Plan, PlanError> {
    let rules: Vec<&NetworkRule> = settings.rules().iter().map(FilterRule::network_rule).collect();
    let (space, shapes) = Space::new(&rules);
    let labels = Labels::new(&space, space.items(settings, precedence, &shapes), sample);
    let verify = |planned: Planned| {
        let violation = verify_as_it_stands(&planned.first_stage, settings, precedence);
        match violation {
            None => Ok(planned),
            Some(violation) => Err(Box::new(violation)),
        }
    };
    let mut tried: Vec<Result<Planned, Box<Difference>>> = Vec::new();
    let attempt = |guarded: Guarded, tried: &mut Vec<Result<Planned, Box<Difference>>>| {
        let guards = labels.guards(guarded);
        let apart = Apart::new(settings, limit, &labels, sample, guarded);
        tried.extend(apart.first_stage(&guards).map(verify));
        for joint in joint::first_stages(settings, limit, &labels, guarded, &guards) {
            let planned: Vec<&Planned> = tried.iter().flatten().chain([&joint]).collect();
            if best_of(&planned).is_some_and(|best| std::ptr::eq(best, &joint)) {
                tried.push(verify(joint));
            }
        }
        apart.may_gain
    };
    let may_gain = attempt(Guarded::Nothing, &mut tried);
    if may_gain || !tried.iter().any(Result::is_ok) {
        attempt(Guarded::Local, &mut tried);
    }
    if !tried.iter().any(Result::is_ok) {
        attempt(Guarded::Both, &mut tried);
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

/// Makes a rule of the prefix of a family, or of every remote endpoint.
fn address_rule(
    remote: Option<(AddressFamily, u128, u8)>,
    port: Option<u16>,
    (protocol, direction): (Protocol, Direction),
    action: Action,
) -> Option<FilterRule> {
    let (_, _, prefix_len) = remote.unwrap_or((AddressFamily::V4, 0, 0));
    let remote = remote.map(|(family, prefix, prefix_len)| {
        // The address of zeros is a wildcard whatever its prefix (S-16); a host bit makes it a
        // network again.
        let bits = if prefix == 0 && prefix_len > 0 { 1 } else { prefix };
        let address: IpAddr = match family {
            AddressFamily::V4 => Ipv4Addr::from_bits(bits as u32).into(),
            AddressFamily::V6 => Ipv6Addr::from_bits(bits).into(),
        };
        Endpoint::from_parts(Host::Address(address, None), port.map_or(Ports::ANY, Ports::one))
    });
    let prefix_len = u64::from(prefix_len);
    let rule =
        NetworkRule::remote_network(remote, prefix_len, None, 0, protocol, direction).ok()?;
    Some(FilterRule::new(rule, action))
}
