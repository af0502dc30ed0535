//! From a host name to the lists of the host rules that it matches, and, for a flow without a
//! name, whether one could still match.

mod names;
mod unnamed;

use crate::decision::Decision;
use crate::flow::Flow;
use crate::hostname::HostName;
use crate::matcher::hosts::names::NameMap;
use crate::matcher::hosts::unnamed::Unnamed;
use crate::matcher::lanes::{Lanes, Scalar};
use crate::matcher::leaf::{Leaf, Ranked};
use crate::matcher::lists::{Entry, FirstPending, List, Lists, Outcome, Query};
use crate::matcher::memory;
use crate::network::Answer;
use std::collections::BTreeMap;

/// All host rules.
#[derive(Debug)]
pub(super) struct HostIndex {
    /// The rules of each name: a single label matches only itself (S-41), two or more match all
    /// below them too (S-40).
    by_name: NameMap<Rules>,
    /// The rules of the names that have more than one, or one with a local side.
    several: Vec<List>,
    /// What is pending for a flow without a name.
    unnamed: Unnamed,
    /// The rules that also have a local side, which `unnamed` leaves out. Only a host name in the
    /// six-argument initialiser makes one (S-46).
    with_local: List,
    has_local: bool,
}

impl HostIndex {
    /// Makes the index; the rules are in ascending rank.
    pub(super) fn new(rules: Vec<(HostName, Entry)>, lists: &mut Lists) -> HostIndex {
        let (with_local, plain): (Vec<_>, Vec<_>) =
            rules.iter().map(|(_, entry)| entry).partition(|entry| entry.whole.is_some());
        let first_with_local = with_local.first().map(|entry| entry.ranked);
        let unnamed = Unnamed::new(&plain, first_with_local.unwrap_or(Ranked::NONE));
        let has_local = !with_local.is_empty();
        let with_local = lists.add(with_local.into_iter().cloned().collect());
        let mut by_name: BTreeMap<Box<[u8]>, Vec<Entry>> = BTreeMap::new();
        for (name, entry) in rules {
            let key = name.trimmed().to_ascii_lowercase().into_bytes().into();
            by_name.entry(key).or_default().push(entry);
        }
        let mut several = Vec::new();
        let mut rules = |entries: Vec<Entry>| match entries.as_slice() {
            [Entry { ranked, remote_ports, protocol, direction, whole: None, .. }] => {
                Rules::One(Leaf::new(*ranked, *remote_ports, *protocol, *direction))
            }
            _ => {
                several.push(lists.add(entries));
                Rules::Several(several.len() as u32 - 1)
            }
        };
        let by_name = by_name.into_iter().map(|(name, entries)| (name, rules(entries)));
        let by_name = NameMap::new(by_name.collect());
        several.shrink_to_fit();
        HostIndex { by_name, several, unnamed, with_local, has_local }
    }

    /// Returns the memory held, in bytes on the heap, less what is in [`Lists`].
    pub(super) fn size_bytes(&self) -> usize {
        self.by_name.size_bytes()
            + memory::of_vec(&self.several)
            + self.several.iter().map(List::size_bytes).sum::<usize>()
            + self.unnamed.size_bytes()
            + self.with_local.size_bytes()
    }

    /// Returns whether the rank of the deciding rule tells what is pending for a flow without a name, and whether
    /// [all](HostIndex::add_all) is then; else nothing is.
    #[inline(always)]
    pub(super) fn pending_by_rank(&self, flow: &Flow<'_>, best: Ranked) -> (bool, bool) {
        self.unnamed.by_rank(flow, best)
    }

    /// Adds to a decision that rules of all actions are pending that host rules have, if `is_pending` says so.
    #[inline(always)]
    pub(super) fn add_all(&self, decision: Decision, is_pending: bool) -> Decision {
        self.unnamed.add_all(decision, is_pending)
    }

    /// Returns what is pending for a flow without a name; `None` if that takes a [`visit`](HostIndex::visit).
    #[inline(always)]
    pub(super) fn pending(&self, lanes: impl Lanes, flow: &Flow<'_>) -> Option<&FirstPending> {
        (!self.has_local).then(|| self.unnamed.get(lanes, flow))
    }

    /// Goes through the lists of the rules whose name the flow's matches or, if it has none, adds
    /// what is pending.
    #[inline(always)]
    pub(super) fn visit(&self, query: &Query<'_>, outcome: &mut Outcome) {
        let Some(name) = query.flow.trimmed_hostname() else {
            outcome.pending.merge(self.unnamed.get(Scalar, query.flow));
            query.scan_where(&self.with_local, outcome, |_, answer| answer.and(Answer::NotYet));
            return;
        };
        self.by_name.visit(name.as_bytes(), |rules| match rules {
            // Host rules match loopback flows too (S-41).
            Rules::One(leaf) if leaf.matches(query.case, query.remote_port) => {
                outcome.offer(leaf.ranked, false);
            }
            Rules::One(_) => {}
            Rules::Several(index) => {
                self.several.get(*index as usize).into_iter().for_each(|l| query.scan(l, outcome));
            }
        });
    }
}

/// The rules of one name.
#[derive(Debug)]
enum Rules {
    /// One without a local side.
    One(Leaf),
    /// The list of this index.
    Several(u32),
}
