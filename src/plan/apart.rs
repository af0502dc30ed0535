//! [`Apart`]: a first stage in which each block of flows is planned by itself.

use super::blocks::{Block, Blocks, Guarded, Labels};
use super::tree::{self, Tree};
use super::{Planned, address_rule};
use crate::endpoint::AddressFamily;
use crate::flow::{Direction, Flow};
use crate::rule::{Action, FilterRule, NetworkRule, Protocol};
use crate::settings::FilterSettings;

/// The best rules where each block is planned by itself.
pub(super) struct Apart {
    limit: usize,
    /// The ways of taking rules apart that are tried, with a tree for each block and family.
    ways: Vec<Way>,
    /// What the weights of the trees are shares of.
    whole: f64,
    /// Whether rules for local loopback addresses may be worth it where they are not needed.
    pub(super) may_gain: bool,
}

struct Way {
    blocks: Blocks,
    trees: Vec<(Block, AddressFamily, Tree)>,
    /// The weight of what no block matches.
    residual: f64,
}

impl Apart {
    pub(super) fn new(
        settings: &FilterSettings,
        limit: usize,
        labels: &Labels<'_>,
        sample: &[Flow<'_>],
        guarded: Guarded,
    ) -> Apart {
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
        Apart { limit, ways, whole, may_gain }
    }

    /// Returns the best first stage that begins with `guards`, and the least shares by the number
    /// of rules; `None` if the limit is too small.
    pub(super) fn first_stage(&self, guards: &[FilterRule]) -> Option<Planned> {
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
            let rule = |(prefix, prefix_len, action)| {
                let remote = Some((*family, prefix, prefix_len));
                address_rule(remote, block.port, (block.protocol, block.direction), action)
            };
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
