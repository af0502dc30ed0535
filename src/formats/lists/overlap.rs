//! Duplicate and nested entries, found once all are known: by sorting networks, and by the names
//! above each name.

use super::collect::Record;
use super::entry::Note;
use crate::flow::Direction;
use crate::network::Network;
use crate::rule::{Action, FilterRule, Protocol, Remote};
use ipnet::IpNet;
use std::borrow::Cow;
use std::collections::HashMap;

/// An entry that lies within another, or is the same.
pub(super) struct Overlap {
    pub(super) record: usize,
    pub(super) note: Note,
    /// The record of the other entry.
    pub(super) of: usize,
}

/// Finds the entries all rules of which are the same as others, or lie within others, that do the
/// same; in the order of the records. Without such entries a list that only adds says the same;
/// where a rule between the two acts otherwise, as in a pf table, it may not.
///
/// Only rules that differ in their remote alone are compared.
///
/// # Complexity
///
/// That of sorting the networks.
pub(super) fn find(rules: &[FilterRule], records: &[Record]) -> Vec<Overlap> {
    let mut kinds: Vec<(Kind, Remotes<'_>)> = Vec::new();
    let mut index_of: HashMap<Kind, usize> = HashMap::new();
    // Nearly every rule is of the kind of the rule before it.
    let mut current = 0;
    for (index, record) in (0u32..).zip(records) {
        let own = rules.get(record.first..record.first + record.count as usize);
        for rule in own.unwrap_or_default().iter().filter(|_| !record.is_rejected) {
            if *rule.network_rule().local() != Network::Nil {
                continue;
            }
            let kind = Kind::of(rule);
            if kinds.get(current).is_none_or(|(own, _)| *own != kind) {
                current = *index_of.entry(kind).or_insert_with(|| {
                    kinds.push((kind, Remotes::default()));
                    kinds.len() - 1
                });
            }
            let Some((_, remotes)) = kinds.get_mut(current) else { continue };
            match rule.network_rule().remote() {
                Remote::Network(Network::Prefix { net, zone: None, .. }) => match net {
                    IpNet::V4(net) => {
                        remotes.v4.push((net.network().to_bits(), net.prefix_len(), index));
                    }
                    IpNet::V6(net) => {
                        remotes.v6.push((net.network().to_bits(), net.prefix_len(), index));
                    }
                },
                Remote::Host { name, .. } => remotes.names.push((name.trimmed(), index)),
                Remote::Network(_) => {}
            }
        }
    }
    let mut parts = Vec::new();
    kinds.into_iter().for_each(|(_, remotes)| remotes.find(&mut parts));
    whole(parts, records)
}

/// What two rules agree in whose remotes are compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    action: Action,
    protocol: Protocol,
    direction: Direction,
    ports: (u16, u16),
}

impl Kind {
    fn of(rule: &FilterRule) -> Kind {
        let network_rule = rule.network_rule();
        let ports = network_rule.remote().ports();
        Kind {
            action: rule.action(),
            protocol: network_rule.match_protocol(),
            direction: network_rule.match_direction(),
            ports: (ports.first(), ports.last()),
        }
    }
}

/// First address, prefix length and record, which is the order that they are sorted in.
#[derive(Default)]
struct Remotes<'a> {
    v4: Vec<(u32, u8, u32)>,
    v6: Vec<(u128, u8, u32)>,
    names: Vec<(&'a str, u32)>,
}

/// A rule that lies within one of another record, or of its own.
struct Part {
    record: u32,
    of: u32,
    note: Note,
}

impl Remotes<'_> {
    fn find(mut self, parts: &mut Vec<Part>) {
        self.v4.sort_unstable();
        let v4 =
            self.v4.iter().map(|(start, bits, record)| (u128::from(*start) << 96, *bits, *record));
        sweep(v4, parts);
        self.v6.sort_unstable();
        sweep(self.v6.iter().copied(), parts);
        names(&self.names, parts);
    }
}

/// Goes through networks in the order of their addresses, those that hold others first.
fn sweep(nets: impl Iterator<Item = (u128, u8, u32)>, parts: &mut Vec<Part>) {
    // Those that hold the network at hand, the longest last.
    let mut around: Vec<(u128, u8, u32)> = Vec::new();
    for (start, bits, record) in nets {
        let holds = |(own_start, own_bits): (u128, u8)| match own_bits {
            0 => true,
            _ => (start ^ own_start) >> (128 - u32::from(own_bits)) == 0,
        };
        while around.last().is_some_and(|(own, own_bits, _)| !holds((*own, *own_bits))) {
            around.pop();
        }
        match around.last() {
            Some((own, own_bits, of)) if (*own, *own_bits) == (start, bits) => {
                parts.push(Part { record, of: *of, note: Note::Duplicate });
            }
            Some((_, _, of)) => {
                parts.push(Part { record, of: *of, note: Note::Nested });
                around.push((start, bits, record));
            }
            None => around.push((start, bits, record)),
        }
    }
}

/// Finds names that stand twice, and names below others (S-40).
fn names(names: &[(&str, u32)], parts: &mut Vec<Part>) {
    fn lower(name: &str) -> Cow<'_, str> {
        match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(name.to_ascii_lowercase()),
            false => Cow::Borrowed(name),
        }
    }
    let mut first_of: HashMap<Cow<'_, str>, u32> = HashMap::with_capacity(names.len());
    for (name, record) in names {
        first_of.entry(lower(name)).or_insert(*record);
    }
    for (name, record) in names {
        let name = lower(name);
        if let Some(of) = first_of.get(&*name).filter(|of| *of != record) {
            parts.push(Part { record: *record, of: *of, note: Note::Duplicate });
            continue;
        }
        let above = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
        // A single label has no names below it (S-41).
        let mut above = above.filter(|above| above.contains('.'));
        if let Some(of) = above.find_map(|above| first_of.get(above)) {
            parts.push(Part { record: *record, of: *of, note: Note::Nested });
        }
    }
}

/// Keeps the records all rules of which lie within others.
fn whole(mut parts: Vec<Part>, records: &[Record]) -> Vec<Overlap> {
    parts.sort_by_key(|part| part.record);
    let mut overlaps = Vec::new();
    for of_record in parts.chunk_by(|a, b| a.record == b.record) {
        let Some(last) = of_record.iter().max_by_key(|part| part.note) else { continue };
        let record = last.record as usize;
        let Some(own) = records.get(record) else { continue };
        let other = of_record.iter().find(|part| part.of != part.record);
        if let Some(other) = other.filter(|_| of_record.len() as u64 == u64::from(own.count)) {
            overlaps.push(Overlap { record, note: last.note, of: other.of as usize });
        }
    }
    overlaps
}
