//! [`first_stages`]: protocols and directions planned together, as far as that is not too much work.

use super::Planned;
use super::blocks::{Guarded, Labels};
use super::cells::{Cut, Field, Told};
use super::grid::{Effort, Grid};
use super::tree::least_sums;
use crate::flow::Direction;
use crate::rule::{Action, FilterRule, NetworkRule, Protocol};
use crate::settings::FilterSettings;
use crate::space::Runs;

/// What one grid may take, from the best to what is least work.
const EFFORTS: [Effort; 3] = [
    Effort { limit: 3, is_whole: true, has_shields: true, states: 20_000, sums: 1 << 25 },
    Effort { limit: usize::MAX, is_whole: true, has_shields: false, states: 500, sums: 1 << 22 },
    Effort { limit: usize::MAX, is_whole: false, has_shields: false, states: 250, sums: 1 << 26 },
];

/// More rules than this, all of one protocol and one direction, are not planned together with what
/// no rule is about.
const MOST_OF_ONE_KIND: usize = 1000;

/// Where rules times limit is more than this, it would take too long.
const MOST_RULES_BY_LIMIT: usize = 1 << 21;

/// Some cells planned together: grids that share the rules, no two of which name a flow.
struct Joint {
    grids: Vec<Grid>,
    /// Those that may be.
    defaults: Vec<Action>,
    /// The flows that no rule matches: their one action, and what they weigh.
    others: Vec<(Option<Action>, f64)>,
    limit: usize,
    whole: f64,
}

/// Returns first stages that begin with `guards`, where rules differ in protocol or direction.
///
/// All cells are planned together if that is not too much work, and else those of each direction,
/// and those of each protocol.
pub(super) fn first_stages(
    settings: &FilterSettings,
    limit: usize,
    labels: &Labels<'_>,
    guarded: Guarded,
    guards: &[FilterRule],
) -> Vec<Planned> {
    let Some(room) = limit.checked_sub(guards.len()) else { return Vec::new() };
    if settings.rules().len().saturating_mul(limit) > MOST_RULES_BY_LIMIT {
        return Vec::new();
    }
    let mut kinds: Vec<(Protocol, Direction)> = Vec::new();
    for rule in settings.rules().iter().map(FilterRule::network_rule) {
        let kind = (rule.match_protocol(), rule.match_direction());
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let told = |is_told: bool| if is_told { Told::Apart } else { Told::Together };
    let protocols = told(kinds.iter().any(|(protocol, _)| *protocol != Protocol::Any));
    let directions = told(kinds.iter().any(|(_, direction)| *direction != Direction::Any));
    let is_one_kind = kinds.len() == 1 && settings.rules().len() > MOST_OF_ONE_KIND;
    if is_one_kind || (protocols, directions) == (Told::Together, Told::Together) {
        return Vec::new();
    }
    let mut ways = vec![vec![Cut::new(protocols, directions)]];
    if (protocols, directions) == (Told::Apart, Told::Apart) {
        ways.push([0, 1].map(|one| Cut::new(Told::Apart, Told::One(one))).to_vec());
        ways.push([0, 1].map(|one| Cut::new(Told::One(one), Told::Apart)).to_vec());
    }
    let (protocol_count, direction_count) = labels.class_counts();
    let other_protocols =
        labels.of_classes(Runs::one(2, protocol_count - 1), Runs::one(0, direction_count - 1));
    let unknown_direction = labels.of_classes(Runs::one(0, 1), Runs::one(2, 2));
    let mut found = Vec::new();
    for (place, cuts) in ways.iter().enumerate() {
        let mut others = vec![other_protocols];
        if place == 1 {
            // No part of this way holds an unknown direction.
            others.push(unknown_direction);
        }
        let of_default = |default: &Action| {
            let is_right = |(action, _): &(Option<Action>, f64)| *action == Some(*default);
            *default == Action::FilterData || others.iter().all(is_right)
        };
        let defaults: Vec<Action> = Action::ALL.into_iter().filter(of_default).collect();
        let grids = cuts.iter().map(|cut| grid(labels, cut, guarded, &defaults, room));
        let Some(grids) = grids.collect::<Option<Vec<Grid>>>() else { continue };
        let is_exact = place == 0 && grids.iter().all(Grid::is_exact);
        let joint = Joint { grids, defaults, others, limit, whole: labels.whole() };
        found.extend(joint.first_stage(guards, room));
        if is_exact {
            break;
        }
    }
    found
}

fn grid(
    labels: &Labels<'_>,
    cut: &Cut,
    guarded: Guarded,
    defaults: &[Action],
    room: usize,
) -> Option<Grid> {
    let field = Field::new(labels, cut, guarded);
    let fits = |effort: &Effort| room <= effort.limit;
    EFFORTS.into_iter().filter(fits).find_map(|effort| Grid::new(&field, defaults, room, effort))
}

impl Joint {
    /// Returns the best first stage, and the least shares by the number of rules.
    fn first_stage(&self, guards: &[FilterRule], room: usize) -> Option<Planned> {
        let mut best: Option<(f64, usize, Action)> = None;
        let mut curve = vec![f64::INFINITY; self.limit + 1];
        for default in self.defaults.iter().copied() {
            let unmatched = match default {
                Action::FilterData => self.others.iter().map(|(_, weight)| weight).sum(),
                Action::Allow | Action::Drop => 0.0,
            };
            let (mut weights, _) = self.shared(default, room);
            // Allow and drop as a default take a rule beside them (S-62).
            if default != Action::FilterData
                && guards.is_empty()
                && let Some(none) = weights.first_mut()
            {
                *none = f64::INFINITY;
            }
            let shares = || weights.iter().map(|weight| (weight + unmatched) / self.whole);
            for (least, share) in curve.iter_mut().skip(guards.len()).zip(shares()) {
                *least = least.min(share);
            }
            let Some(least) = shares().next_back().filter(|share| share.is_finite()) else {
                continue;
            };
            // Shares are sums of many parts, which round.
            let is_least = |share: f64| share <= least * (1.0 + 1e-9);
            let Some(count) = shares().position(is_least) else { continue };
            let is_better = best.is_none_or(|(share, fewest, _)| {
                least < share * (1.0 - 1e-9) || (least <= share * (1.0 + 1e-9) && count < fewest)
            });
            if is_better {
                best = Some((least, count, default));
            }
        }
        let (share, count, default) = best?;
        let mut rules = guards.to_vec();
        rules.extend(self.rules(default, room, count));
        if rules.is_empty() && default != Action::FilterData {
            let (protocol, direction) = (Protocol::Any, Direction::Any);
            let all = NetworkRule::remote_network(None, 0, None, 0, protocol, direction).ok()?;
            rules.push(FilterRule::new(all, default));
        }
        Some(Planned { share, first_stage: FilterSettings::new(rules, default), curve })
    }

    /// Returns the least weight of all grids for each number of rules; and for each grid, by the
    /// number for it and those before it, how many are for it.
    fn shared(&self, default: Action, room: usize) -> (Vec<f64>, Vec<Vec<u32>>) {
        let mut weights = vec![0.0];
        let mut of_own = Vec::new();
        for grid in &self.grids {
            let own = grid.weights(default);
            let len = (own.len() + weights.len()).saturating_sub(1).min(room + 1);
            let (sums, firsts) = least_sums(own, &weights, len);
            weights = sums;
            of_own.push(firsts);
        }
        (weights, of_own)
    }

    fn rules(&self, default: Action, room: usize, mut count: usize) -> Vec<FilterRule> {
        let (_, of_own) = self.shared(default, room);
        let mut rules = Vec::new();
        for (grid, firsts) in self.grids.iter().zip(&of_own).rev() {
            let own = firsts.get(count.min(firsts.len().saturating_sub(1))).copied().unwrap_or(0);
            let own = own as usize;
            count = count.saturating_sub(own);
            rules.push(grid.rules(default, own));
        }
        rules.into_iter().rev().flatten().collect()
    }
}
