//! [`Skeleton`]: the prefixes of both families that may be worth a rule, as one tree.
//!
//! Its root has two halves, one family each. Where every prefix around a stretch is a node of its
//! own, nothing is left out. Where nodes are to be few, a node of which one half has one label, and
//! so on down to a node whose halves both have several, is one [`Kind::Chain`].

use super::cells::{FamilyField, Field, Stretch, Weights};
use super::states::MOST_CELLS;
use super::tree::Label;
use crate::endpoint::AddressFamily;

pub(super) struct Skeleton {
    /// Each node behind those below it.
    pub(super) nodes: Vec<Node>,
    /// Whether each prefix has a node of its own.
    pub(super) is_whole: bool,
}

pub(super) struct Node {
    /// `None` for the root.
    pub(super) family: Option<AddressFamily>,
    pub(super) prefix: u128,
    pub(super) prefix_len: u8,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// Addresses of one label.
    Leaf { label: u32, weights: Weights },
    /// Two halves; the root is one.
    Fork(u32, u32),
    /// The halves that hang on the way to what is below, all of one label.
    Chain { below: u32, label: u32, halves: Vec<(u128, u8, Weights)> },
}

impl Skeleton {
    /// Returns the tree, with chains or whole; `None` if there are more nodes than `most`.
    pub(super) fn new(field: &Field, is_whole: bool, most: usize) -> Option<Skeleton> {
        let mut nodes = Vec::new();
        let [v4, v6] = field.families.each_ref().map(|of_family| {
            let labels = &field.labels;
            let mut build = Build { of_family, labels, is_whole, most, nodes: &mut nodes };
            build.node(0, 0, 0, of_family.stretches.len())
        });
        let kind = Kind::Fork(v4?, v6?);
        nodes.push(Node { family: None, prefix: 0, prefix_len: 0, kind });
        Some(Skeleton { nodes, is_whole })
    }
}

impl Node {
    /// Whether a rule can be about the prefix, and no other.
    pub(super) fn is_sayable(&self) -> bool {
        self.family.is_none_or(|family| is_sayable(family, self.prefix, self.prefix_len))
    }
}

/// The address of zeros alone would be a wildcard (S-16), and mapped addresses are folded (S-20).
pub(super) fn is_sayable(family: AddressFamily, prefix: u128, prefix_len: u8) -> bool {
    let is_zero = prefix == 0 && prefix_len == family.bits();
    let is_mapped = family == AddressFamily::V6 && prefix_len >= 96 && prefix >> 32 == 0xffff;
    !is_zero && !is_mapped
}

struct Build<'a> {
    of_family: &'a FamilyField,
    labels: &'a [Vec<Label>],
    is_whole: bool,
    most: usize,
    nodes: &'a mut Vec<Node>,
}

/// A half of a node: its first address, and the stretches from one up to another.
#[derive(Clone, Copy)]
struct Half {
    first: u128,
    from: usize,
    to: usize,
}

impl Build<'_> {
    /// Adds the node of a prefix, whose addresses are in the stretches from `from` up to `to`.
    fn node(&mut self, prefix: u128, prefix_len: u8, from: usize, to: usize) -> Option<u32> {
        if let Some(label) = self.one_label(from, to) {
            let weights = self.weights(prefix, prefix_len);
            return self.add(prefix, prefix_len, Kind::Leaf { label, weights });
        }
        let (mut at, mut at_len) = (Half { first: prefix, from, to }, prefix_len);
        let mut halves: Vec<(u128, u8, Weights)> = Vec::new();
        let mut label = None;
        loop {
            let [first, second] = self.halves(at, at_len);
            let of_first = self.one_label(first.from, first.to);
            let of_second = self.one_label(second.from, second.to);
            let hangs = match (of_first, of_second) {
                (Some(one), None) => Some((one, first, second)),
                (None, Some(one)) => Some((one, second, first)),
                _ => None,
            };
            let is_next = |one: u32| match label {
                None => !self.is_whole && self.may_hang(one),
                label => label == Some(one),
            };
            match (hangs.filter(|(one, ..)| is_next(*one)), label) {
                (Some((one, half, rest)), _) => {
                    label = Some(one);
                    let weights = self.weights(half.first, at_len + 1);
                    halves.push((half.first, at_len + 1, weights));
                    (at, at_len) = (rest, at_len + 1);
                }
                (None, None) => {
                    let below = [first, second]
                        .map(|half| self.node(half.first, at_len + 1, half.from, half.to));
                    let [first, second] = below;
                    return self.add(prefix, prefix_len, Kind::Fork(first?, second?));
                }
                (None, Some(label)) => {
                    let below = self.node(at.first, at_len, at.from, at.to)?;
                    return self.add(prefix, prefix_len, Kind::Chain { below, label, halves });
                }
            }
        }
    }

    fn add(&mut self, prefix: u128, prefix_len: u8, kind: Kind) -> Option<u32> {
        let family = Some(self.of_family.family);
        self.nodes.push(Node { family, prefix, prefix_len, kind });
        (self.nodes.len() < self.most).then_some((self.nodes.len() - 1) as u32)
    }

    /// The label that the stretches have in common, if it is one.
    fn one_label(&self, from: usize, to: usize) -> Option<u32> {
        // Stretches that touch differ.
        match self.of_family.stretches.get(from..to)? {
            [(_, _, label)] => Some(*label),
            _ => None,
        }
    }

    fn may_hang(&self, label: u32) -> bool {
        let labels = self.labels.get(label as usize).map_or(&[][..], Vec::as_slice);
        labels.iter().all(|label| label.by_default.is_some() && !label.is_loopback)
    }

    fn halves(&self, whole: Half, prefix_len: u8) -> [Half; 2] {
        let Half { first, from, to } = whole;
        let second = first | 1_u128 << (self.of_family.family.bits() - prefix_len - 1);
        let stretches: &[Stretch] = self.of_family.stretches.get(from..to).unwrap_or(&[]);
        let before = stretches.partition_point(|(first, _, _)| *first < second);
        let wholly_before = stretches.partition_point(|(_, last, _)| *last < second);
        let of_second = Half { first: second, from: from + wholly_before, to };
        [Half { first, from, to: from + before }, of_second]
    }

    fn weights(&self, prefix: u128, prefix_len: u8) -> Weights {
        let host_bits = self.of_family.family.bits() - prefix_len;
        let hosts = 1_u128.checked_shl(host_bits.into()).map_or(u128::MAX, |count| count - 1);
        self.of_family.weights(prefix, prefix | hosts)
    }
}

/// Adds weights up.
pub(super) fn sum<'a>(all: impl Iterator<Item = &'a Weights>) -> Weights {
    let mut sum = [0.0; MOST_CELLS];
    for weights in all {
        for (sum, weight) in sum.iter_mut().zip(weights) {
            *sum += weight;
        }
    }
    sum
}
