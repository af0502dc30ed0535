//! [`Field`]: what the settings give to each remote address, in each of some [`Cells`].

use super::blocks::{Guarded, Labels};
use super::states::{Cells, MOST_CELLS, Part};
use super::tree::Label;
use crate::endpoint::AddressFamily;
use crate::flow::Direction;
use crate::rule::{Action, Protocol};
use crate::space::Runs;
use std::collections::HashMap;

/// What flows weigh, by cell.
pub(super) type Weights = [f64; MOST_CELLS];

/// A stretch of addresses of one family: first, last, and the place of its labels.
pub(super) type Stretch = (u128, u128, u32);

/// Some protocols and directions, taken apart to cells.
#[derive(Clone)]
pub(super) struct Cut {
    /// The protocols and directions of each cell, as runs of classes, and their share.
    cells: Vec<(Runs, Runs, f64)>,
    pub(super) parts: Vec<Part>,
}

/// Which protocols or directions a cut has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// All, not told apart.
    Together,
    /// All, told apart, with the rules for all of them.
    Apart,
    /// One: TCP or outbound, UDP or inbound.
    One(usize),
}

/// The flows to all addresses in the cells of a cut.
pub(super) struct Field {
    pub(super) parts: Vec<Part>,
    /// The different labels, each with one for each cell.
    pub(super) labels: Vec<Vec<Label>>,
    /// The flows without a remote address: the place of their labels, and their weights.
    pub(super) nameless: (u32, Weights),
    pub(super) families: [FamilyField; 2],
}

pub(super) struct FamilyField {
    pub(super) family: AddressFamily,
    /// They ascend, and leave no gap; those that touch differ.
    pub(super) stretches: Vec<Stretch>,
    weights: Vec<Box<dyn Fn(u128, u128) -> f64>>,
}

impl Cut {
    pub(super) fn new(protocols: Told, directions: Told) -> Cut {
        let one = |class| Runs::one(class, class);
        let (of_protocol, protocols): (Vec<_>, Vec<_>) = match protocols {
            Told::Together => (vec![(Runs::one(0, 1), 1.0)], vec![(Protocol::Any, 1)]),
            Told::Apart => (
                vec![(one(0), 0.5), (one(1), 0.5)],
                vec![(Protocol::Any, 3), (Protocol::Tcp, 1), (Protocol::Udp, 2)],
            ),
            Told::One(0) => (vec![(one(0), 0.5)], vec![(Protocol::Tcp, 1)]),
            Told::One(_) => (vec![(one(1), 0.5)], vec![(Protocol::Udp, 1)]),
        };
        // The directions of flows are known, as the space is measured.
        let (of_direction, directions): (Vec<_>, Vec<_>) = match directions {
            Told::Together => (vec![(Runs::one(0, 2), 1.0)], vec![(Direction::Any, 1)]),
            Told::Apart => (
                vec![(one(0), 0.5), (one(1), 0.5), (one(2), 0.0)],
                vec![(Direction::Any, 7), (Direction::Outbound, 1), (Direction::Inbound, 2)],
            ),
            Told::One(0) => (vec![(one(0), 0.5)], vec![(Direction::Outbound, 1)]),
            Told::One(_) => (vec![(one(1), 0.5)], vec![(Direction::Inbound, 1)]),
        };
        let mut cells = Vec::new();
        for (protocol, share) in &of_protocol {
            for (direction, of_direction) in &of_direction {
                cells.push((protocol.clone(), direction.clone(), share * of_direction));
            }
        }
        let mut parts = Vec::new();
        for (protocol, of_protocol) in &protocols {
            for (direction, own) in &directions {
                let rows = (0..2).filter(|row| of_protocol >> row & 1 == 1);
                let cells = rows.map(|row| own << (row * of_direction.len())).sum::<u32>() as Cells;
                parts.push(Part { protocol: *protocol, direction: *direction, cells });
            }
        }
        Cut { cells, parts }
    }
}

impl Field {
    pub(super) fn new(labels: &Labels<'_>, cut: &Cut, guarded: Guarded) -> Field {
        let blocks = cut.cells.iter().map(|(protocols, directions, share)| {
            labels.block_of(protocols.clone(), directions.clone(), *share)
        });
        let blocks: Vec<_> = blocks.collect();
        let mut places: HashMap<Vec<Label>, u32> = HashMap::new();
        let families = [AddressFamily::V4, AddressFamily::V6].map(|family| {
            let of_cells = blocks.iter().map(|block| labels.stretches(block, family, guarded).0);
            let of_cells: Vec<_> = of_cells.collect();
            let mut firsts: Vec<u128> =
                of_cells.iter().flatten().map(|(first, ..)| *first).collect();
            firsts.sort_unstable();
            firsts.dedup();
            let highest = of_cells.first().and_then(|cell| cell.last()).map_or(0, |last| last.1);
            let mut at = vec![0; of_cells.len()];
            let mut stretches: Vec<Stretch> = Vec::with_capacity(firsts.len());
            for (index, first) in firsts.iter().enumerate() {
                let last = firsts.get(index + 1).map_or(highest, |next| next - 1);
                let own = of_cells.iter().zip(&mut at).filter_map(|(cell, at)| {
                    while cell.get(*at + 1).is_some_and(|(next, ..)| next <= first) {
                        *at += 1;
                    }
                    cell.get(*at).map(|(.., label)| *label)
                });
                let own: Vec<Label> = own.collect();
                let next = places.len() as u32;
                stretches.push((*first, last, *places.entry(own).or_insert(next)));
            }
            let weights = blocks.iter().map(|block| labels.weight(block, family)).collect();
            FamilyField { family, stretches, weights }
        });
        let mut weights = [0.0; MOST_CELLS];
        let nameless = blocks.iter().zip(&mut weights).map(|(block, weight)| {
            let (action, own) = labels.nameless(block);
            *weight = own;
            let action = action.unwrap_or(Action::FilterData);
            Label { by_prefix: action, by_default: Some(action), is_loopback: false }
        });
        let nameless: Vec<Label> = nameless.collect();
        let next = places.len() as u32;
        let nameless = (*places.entry(nameless).or_insert(next), weights);
        let mut all: Vec<_> = places.into_iter().collect();
        all.sort_unstable_by_key(|(_, place)| *place);
        let labels = all.into_iter().map(|(labels, _)| labels).collect();
        Field { parts: cut.parts.clone(), labels, nameless, families }
    }

    /// Returns the cells whose flows weigh nothing.
    pub(super) fn weightless(&self) -> Cells {
        let mut weights = vec![self.nameless.1];
        for of_family in &self.families {
            let last = of_family.stretches.last().map_or(0, |(_, last, _)| *last);
            weights.push(of_family.weights(0, last));
        }
        let is_weightless =
            |cell: &usize| weights.iter().all(|own| own.get(*cell).is_none_or(|own| *own == 0.0));
        (0..MOST_CELLS).filter(is_weightless).map(|cell| 1 << cell).sum()
    }
}

impl FamilyField {
    /// Returns what the flows to the addresses from one to another weigh.
    pub(super) fn weights(&self, first: u128, last: u128) -> Weights {
        let mut weights = [0.0; MOST_CELLS];
        for (weight, of) in weights.iter_mut().zip(&self.weights) {
            *weight = of(first, last);
        }
        weights
    }
}
