//! The space of all flows, cut at the bounds of the rules, and exact arithmetic on regions of it.
//!
//! A flow has nine [axes](Axis). On each the rules of the settings in question name sets of values,
//! and between the bounds of these sets no rule tells two values apart: such a stretch is a class,
//! and classes stand in an order in which every set is a few [`Runs`] of them. A rule then is a
//! [`Shape`], one set for each axis, and matches exactly the flows whose classes are in all nine
//! (the exclusion of loopback flows, S-17, takes two points from either side of a rule that names
//! no address, so the rule stays a product of sets). What is proven of classes is proven of flows.
//!
//! A remote endpoint that is nil has no port, and one that holds a name has a host name. Points
//! that break this are in the product too, and harmless: no rule whose ports leave out the unknown
//! port, 0, has nil in its set of hosts, so that at nil all ports are alike; and without a host
//! name a name for an endpoint is tested as nil is.
//!
//! [`cover`] decides whether shapes cover a region, [`split`] cuts a region by who decides.

mod axes;
mod cover;
mod region;
mod runs;
mod split;

pub use self::region::{Decider, Hosts, Names, Protocols, Region, Zones};

pub(crate) use self::axes::{Axes, Axis, PerAxis, Point};
pub(crate) use self::cover::Cover;
pub(crate) use self::region::size;
pub(crate) use self::runs::Runs;
pub(crate) use self::split::{Piece, Pieces, Sides, Splitter};

use crate::flow::Flow;
use crate::rule::{Action, FilterRule, NetworkRule};
use crate::settings::{FilterSettings, Precedence};
use std::cmp::Reverse;
use std::collections::HashMap;

/// The axes cut for some rules, and the distinct sets on each.
pub(crate) struct Space {
    axes: Axes,
    /// The distinct sets; the first of each axis is all of it.
    sets: PerAxis<Vec<Runs>>,
}

/// A product of sets, by their places in [`Space`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape(pub(crate) PerAxis<u32>);

/// What decides flows, in the order in which it is asked: a rule, or what applies where none does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) shape: Shape,
    pub(crate) decider: Decider,
    pub(crate) action: Action,
}

impl Space {
    /// Cuts the space for `rules`, and returns the shape of each; `None` for a rule that no flow
    /// matches, because it is about IPv4-mapped addresses (S-20).
    pub(crate) fn new(rules: &[&NetworkRule]) -> (Space, Vec<Option<Shape>>) {
        let raw: Vec<_> = rules.iter().map(|rule| axes::Raw::of_rule(rule)).collect();
        let axes = Axes::new(raw.iter().flatten());
        let mut interned: PerAxis<HashMap<Runs, u32>> = PerAxis::default();
        let mut sets: PerAxis<Vec<Runs>> = PerAxis::default();
        for axis in Axis::ALL {
            intern(&mut interned[axis], &mut sets[axis], axes.all(axis));
        }
        let shapes = raw.iter().map(|raw| {
            let shape = |raw: &axes::Raw| {
                let ids = PerAxis::from_fn(|axis| {
                    intern(&mut interned[axis], &mut sets[axis], axes.runs(axis, raw))
                });
                Shape(ids)
            };
            raw.as_ref().map(shape)
        });
        let shapes = shapes.collect();
        let mut space = Space { axes, sets };
        for loopback in space.axes.loopback_shapes() {
            for axis in Axis::ALL {
                intern(&mut interned[axis], &mut space.sets[axis], loopback[axis].clone());
            }
        }
        (space, shapes)
    }

    pub(crate) fn axes(&self) -> &Axes {
        &self.axes
    }

    /// Returns a set of an axis.
    pub(crate) fn set(&self, axis: Axis, shape: &Shape) -> &Runs {
        self.sets[axis].get(shape.0[axis] as usize).unwrap_or(Runs::EMPTY)
    }

    /// Returns the sets of a shape.
    pub(crate) fn region(&self, shape: &Shape) -> PerAxis<Runs> {
        PerAxis::from_fn(|axis| self.set(axis, shape).clone())
    }

    /// Returns the shape of all flows.
    pub(crate) fn everything(&self) -> Shape {
        Shape(PerAxis::default())
    }

    /// Returns what two regions share; `None` if that is nothing.
    pub(crate) fn and(a: &PerAxis<Runs>, b: &PerAxis<Runs>) -> Option<PerAxis<Runs>> {
        let both = PerAxis::from_fn(|axis| a[axis].and(&b[axis]));
        Axis::ALL.iter().all(|axis| !both[*axis].is_empty()).then_some(both)
    }

    /// Returns whether `flow` is in `shape`.
    pub(crate) fn contains(&self, shape: &Shape, flow: &Flow<'_>) -> bool {
        let classes = self.axes.classes_of(flow);
        Axis::ALL.iter().all(|axis| self.set(*axis, shape).contains(classes[*axis]))
    }

    /// Returns a flow of a region, the plainest there is.
    pub(crate) fn witness(&self, region: &PerAxis<Runs>) -> Flow<'static> {
        self.axes.witness(region)
    }

    /// Returns what decides by `settings`: their rules in the order in which they are asked, those
    /// that no flow matches left out, then loopback (S-64) and the default action. `shapes` are
    /// those of the rules, in list order.
    pub(crate) fn items(
        &self,
        settings: &FilterSettings,
        precedence: Precedence,
        shapes: &[Option<Shape>],
    ) -> Vec<Item> {
        let rules = ordered(settings, precedence).into_iter().filter_map(|(index, rule)| {
            let shape = (*shapes.get(index)?)?;
            Some(Item { shape, decider: Decider::Rule(index), action: rule.action() })
        });
        let loopback = self.axes.loopback_shapes().into_iter().map(|sets| Item {
            shape: Shape(PerAxis::from_fn(|axis| self.id(axis, &sets[axis]))),
            decider: Decider::Loopback,
            action: Action::Allow,
        });
        let default = Item {
            shape: self.everything(),
            decider: Decider::Default,
            action: settings.default_action(),
        };
        rules.chain(loopback).chain([default]).collect()
    }

    fn id(&self, axis: Axis, runs: &Runs) -> u32 {
        self.sets[axis].iter().position(|set| set == runs).unwrap_or(0) as u32
    }
}

/// Returns the rules with their indices, in the order in which they are asked.
pub(crate) fn ordered(
    settings: &FilterSettings,
    precedence: Precedence,
) -> Vec<(usize, &FilterRule)> {
    let mut rules: Vec<_> = settings.rules().iter().enumerate().collect();
    rules.sort_by_key(|(_, rule)| Reverse(precedence.specificity(rule)));
    rules
}

fn intern(interned: &mut HashMap<Runs, u32>, sets: &mut Vec<Runs>, runs: Runs) -> u32 {
    let next = sets.len() as u32;
    *interned.entry(runs).or_insert_with_key(|runs| {
        sets.push(runs.clone());
        next
    })
}
