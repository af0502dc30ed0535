//! [`shadow`]: which rules decide no flow, with the proof, and which could be left out.

use crate::flow::Flow;
use crate::rule::NetworkRule;
use crate::settings::{FilterSettings, Precedence};
use crate::space::{Cover, Decider, Item, PerAxis, Runs, Space, ordered};

/// What a rule is good for.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    rule: usize,
    use_: Use,
}

/// Whether a rule decides flows, and whether that matters.
#[derive(Clone, Debug, PartialEq)]
pub enum Use {
    /// It decides some flows, and without it some of them would get another action.
    Needed {
        /// A flow that it decides, and that would get another action without it.
        witness: Flow<'static>,
    },
    /// It decides some flows, but each would get the same action without it.
    Redundant {
        /// A flow that it decides.
        witness: Flow<'static>,
        /// What would decide that flow without it.
        then: Decider,
    },
    /// It decides no flow: rules that are asked before it match every flow that it matches.
    Shadowed {
        /// The rules that together do, in the order in which they are asked. None of up to 256 can
        /// be spared; more are not tried one by one.
        by: Vec<usize>,
    },
    /// No flow matches it at all: it is about IPv4-mapped IPv6 addresses, which in flows count as
    /// IPv4 (S-20).
    Unmatchable,
}

impl Standing {
    /// Returns the index of the rule.
    pub fn rule(&self) -> usize {
        self.rule
    }

    /// Returns what it is good for.
    pub fn usage(&self) -> &Use {
        &self.use_
    }

    /// Returns whether the rule decides no flow.
    pub fn is_dead(&self) -> bool {
        matches!(self.use_, Use::Shadowed { .. } | Use::Unmatchable)
    }

    /// Returns a flow that the rule decides, if there is any.
    pub fn witness(&self) -> Option<&Flow<'static>> {
        match &self.use_ {
            Use::Needed { witness } | Use::Redundant { witness, .. } => Some(witness),
            Use::Shadowed { .. } | Use::Unmatchable => None,
        }
    }
}

/// Says of each rule whether it decides any flow, and whether the settings would give every flow
/// the same action without it; in list order.
///
/// The answer is exact for the space of all flows as they stand: any address of either family on
/// either side, unbound and unknown local endpoints, loopback, every protocol, unknown directions
/// and ports, with a host name or without. Rules are dead or redundant by themselves: of two equal
/// rules that follow each other, the first is redundant and the second dead, and both cannot be
/// left out.
///
/// # Examples
///
/// ```
/// use flowsieve::*;
///
/// let rule = |address: &str, prefix| -> Result<FilterRule, Error> {
///     let network = NetworkRule::destination_network(address.parse()?, prefix, Protocol::Any)?;
///     Ok(FilterRule::new(network, Action::Drop))
/// };
/// // The halves of 10.0.0.0/8, and then all of it.
/// let rules = vec![rule("10.0.0.0", 9)?, rule("10.128.0.0", 9)?, rule("10.0.0.0", 8)?];
/// let settings = FilterSettings::new(rules, Action::Allow);
/// let standings = shadow(&settings, Precedence::FirstMatch);
/// assert_eq!(standings[2].usage(), &Use::Shadowed { by: vec![0, 1] });
/// # Ok::<(), Error>(())
/// ```
///
/// # Complexity
///
/// For each rule, that of the rules that it meets, n log n, unless many rules that overlap in part
/// have to be combined for the proof; exponential in the number of parts of a flow at worst.
pub fn shadow(settings: &FilterSettings, precedence: Precedence) -> Vec<Standing> {
    let rules: Vec<&NetworkRule> =
        settings.rules().iter().map(|rule| rule.network_rule()).collect();
    let (space, shapes) = Space::new(&rules);
    let items = space.items(settings, precedence, &shapes);
    let cover = Cover::new(&space, items.iter().map(|item| item.shape).collect());
    let mut standings: Vec<Standing> = (0..)
        .zip(&shapes)
        .filter(|(_, shape)| shape.is_none())
        .map(|(rule, _)| Standing { rule, use_: Use::Unmatchable })
        .collect();
    for (place, item) in items.iter().enumerate() {
        if let Decider::Rule(rule) = item.decider {
            let use_ = use_of(&space, &cover, &items, place as u32, item);
            standings.push(Standing { rule, use_ });
        }
    }
    standings.sort_by_key(Standing::rule);
    debug_assert_eq!(standings.len(), ordered(settings, precedence).len());
    standings
}

fn use_of(space: &Space, cover: &Cover<'_>, items: &[Item], place: u32, item: &Item) -> Use {
    let region = space.region(&item.shape);
    let meeting = cover.meeting(&region);
    let own = meeting.partition_point(|other| *other < place);
    let (before, rest) = meeting.split_at(own);
    let after = rest.get(1..).unwrap_or(&[]);
    let decided = match cover.uncovered_by_few(&region, before) {
        Ok(decided) => decided,
        Err(by) => {
            let rule = |place: u32| items.get(place as usize)?.decider.rule();
            return Use::Shadowed { by: by.into_iter().filter_map(rule).collect() };
        }
    };
    // Any flow that it decides most often tells that it is needed; that it is not takes all.
    let witness = space.witness(&decided);
    let matches = |item: &&Item| space.contains(&item.shape, &witness);
    let then = after.iter().filter_map(|place| items.get(*place as usize)).find(matches);
    if then.is_some_and(|then| then.action != item.action) {
        return Use::Needed { witness };
    }
    match needed(space, cover, items, place, &region, after) {
        Some(witness) => Use::Needed { witness },
        None => {
            Use::Redundant { then: then.map_or(Decider::Default, |item| item.decider), witness }
        }
    }
}

/// Returns a flow that the rule at a place decides and that gets another action without it: one
/// that none of the rules before it matches, and, of those after it, first one with another action.
fn needed(
    space: &Space,
    cover: &Cover<'_>,
    items: &[Item],
    place: u32,
    region: &PerAxis<Runs>,
    after: &[u32],
) -> Option<Flow<'static>> {
    let own = items.get(place as usize)?;
    for place_of_next in after {
        let next = items.get(*place_of_next as usize)?;
        if next.action == own.action {
            continue;
        }
        let Some(both) = Space::and(region, &space.region(&next.shape)) else { continue };
        let mut others = cover.meeting(&both);
        others.retain(|other| other < place_of_next && *other != place);
        if let Ok(found) = cover.uncovered(&both, &others) {
            return Some(space.witness(&found));
        }
    }
    None
}
