//! Lists of compiled rules in order of rank, and what going through them yields.
//!
//! The deciding rule is the matching one of lowest rank, wherever it is found, so lists may be
//! visited in any order.

use crate::decision::Decision;
use crate::endpoint::{AddressFamily, Ports};
use crate::flow::{Direction, Flow};
use crate::matcher::Anywhere;
use crate::matcher::leaf::{Case, Ranked};
use crate::matcher::memory;
use crate::network::{Answer, Network};
use crate::rule::{NetworkRule, Protocol, Remote};
use std::collections::BTreeMap;

/// A rule, less what the place it is found at implies: the remote address or the host name.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) ranked: Ranked,
    pub(super) remote_ports: Ports,
    pub(super) protocol: Protocol,
    pub(super) direction: Direction,
    /// The rule may match loopback flows: it is explicit on one side, or a host rule.
    pub(super) may_be_loopback: bool,
    /// The index in [`Lists::rules`], if it has a local side or a zone id, which few have.
    pub(super) whole: Option<u32>,
}

/// All entries of a matcher; a [`List`] is a part of them.
#[derive(Debug, Default)]
pub(super) struct Lists {
    entries: Vec<Entry>,
    /// The rules that have a local side, a zone id or a host name, with their ranks, ascending.
    rules: Vec<(u32, NetworkRule)>,
}

/// Entries in ascending rank.
///
/// A long list keeps the entries of each single remote port apart, so that only those are gone
/// through that the flow's remote port allows.
#[derive(Debug, Default)]
pub(super) struct List {
    entries: Span,
    /// In ascending order; of short lists none.
    by_remote_port: Box<[(u16, Span)]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    len: u32,
}

impl Lists {
    /// The length from which the entries of single ports are kept apart.
    const LONG: usize = 16;

    /// Adds a rule, less its action, and returns its entry; the rules come in ascending rank.
    pub(super) fn entry(&mut self, ranked: Ranked, rule: &NetworkRule) -> Entry {
        let (zone, is_named) = match rule.remote() {
            Remote::Network(network) => (network.zone(), network.is_explicit()),
            Remote::Host { .. } => (None, true),
        };
        let local = rule.local();
        let has_more = zone.is_some() || *local != Network::Nil;
        let whole = has_more.then_some(self.rules.len() as u32);
        if has_more || rule.remote_side().is_none() {
            self.rules.push((ranked.rank(), rule.clone()));
        }
        Entry {
            ranked,
            remote_ports: rule.remote().ports(),
            protocol: rule.match_protocol(),
            direction: rule.match_direction(),
            may_be_loopback: is_named || local.is_explicit(),
            whole,
        }
    }

    /// Returns the rules that can be pending, and others, with their ranks, ascending.
    pub(super) fn rules(&self) -> &[(u32, NetworkRule)] {
        &self.rules
    }

    /// Stores `entries`, which are in ascending rank.
    pub(super) fn add(&mut self, entries: Vec<Entry>) -> List {
        if entries.len() < Self::LONG {
            return List { entries: self.add_span(entries), by_remote_port: Box::default() };
        }
        let mut others = Vec::new();
        let mut by_port: BTreeMap<u16, Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            match entry.remote_ports.as_one() {
                Some(port) => by_port.entry(port).or_default().push(entry),
                None => others.push(entry),
            }
        }
        let spans = by_port.into_iter().map(|(port, entries)| (port, self.add_span(entries)));
        let by_remote_port = spans.collect();
        List { entries: self.add_span(others), by_remote_port }
    }

    fn add_span(&mut self, entries: Vec<Entry>) -> Span {
        let span = Span { start: self.entries.len() as u32, len: entries.len() as u32 };
        self.entries.extend(entries);
        span
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        let names = self.rules.iter().filter_map(|(_, rule)| match rule.remote() {
            Remote::Host { name, .. } => Some(name.as_str().len()),
            Remote::Network(_) => None,
        });
        memory::of_vec(&self.entries) + memory::of_vec(&self.rules) + names.sum::<usize>()
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.entries.shrink_to_fit();
        self.rules.shrink_to_fit();
    }

    fn slice(&self, span: Span) -> &[Entry] {
        let start = span.start as usize;
        self.entries.get(start..start + span.len as usize).unwrap_or(&[])
    }
}

impl List {
    /// Returns the memory held, in bytes on the heap, less what is in [`Lists`].
    pub(super) fn size_bytes(&self) -> usize {
        size_of_val(&*self.by_remote_port)
    }

    /// Returns the entries that are kept apart for a remote port.
    fn of_port(&self, port: u16) -> Option<&Span> {
        let index = self.by_remote_port.binary_search_by_key(&port, |(own, _)| *own).ok()?;
        self.by_remote_port.get(index).map(|(_, span)| span)
    }

    /// Returns the lowest rank in the list.
    pub(super) fn first(&self, lists: &Lists) -> Ranked {
        let by_port = self.by_remote_port.iter().map(|(_, span)| span);
        let spans = by_port.chain([&self.entries]);
        let first = spans.filter_map(|span| lists.slice(*span).first());
        first.map(|entry| entry.ranked).min().unwrap_or(Ranked::NONE)
    }
}

/// A flow, taken apart once for all that is asked of it.
pub(super) struct Query<'a> {
    pub(super) flow: &'a Flow<'a>,
    lists: &'a Lists,
    /// The family of the remote address, folded.
    pub(super) family: Option<AddressFamily>,
    pub(super) remote_port: u16,
    pub(super) case: Case,
    pub(super) is_loopback: bool,
}

impl<'a> Query<'a> {
    #[inline(always)]
    pub(super) fn new(flow: &'a Flow<'a>, lists: &'a Lists) -> Query<'a> {
        let (remote, _) = flow.ends();
        Query {
            flow,
            lists,
            family: remote.folded_family(),
            remote_port: remote.port(),
            case: Case::of(flow),
            is_loopback: flow.is_loopback(),
        }
    }

    /// Goes through `list` up to the first entry that matches or comes after the best so far.
    pub(super) fn scan(&self, list: &List, outcome: &mut Outcome) {
        self.scan_where(list, outcome, |_, answer| answer);
    }

    /// Goes through the lists for every address and for every address of the flow's family.
    #[inline(always)]
    pub(super) fn scan_anywhere(&self, lists: &Anywhere<List>, outcome: &mut Outcome) {
        self.scan(&lists.nil, outcome);
        match self.family {
            Some(AddressFamily::V4) => self.scan(&lists.v4, outcome),
            Some(AddressFamily::V6) => self.scan(&lists.v6, outcome),
            None => {}
        }
    }

    /// Goes through `list` as [`scan`](Query::scan) does, with each entry's answer changed by
    /// `amend`.
    pub(super) fn scan_where(
        &self,
        list: &List,
        outcome: &mut Outcome,
        amend: impl Fn(&Entry, Answer) -> Answer,
    ) {
        for span in [list.of_port(self.remote_port), Some(&list.entries)].into_iter().flatten() {
            for entry in self.lists.slice(*span) {
                if entry.ranked >= outcome.best {
                    break;
                }
                match amend(entry, self.test(entry)) {
                    Answer::Yes => outcome.offer(entry.ranked, self.leans_on_unbound(entry)),
                    Answer::NotYet => outcome.pending.add(entry.ranked),
                    Answer::No => {}
                }
            }
        }
    }

    fn test(&self, entry: &Entry) -> Answer {
        let holds = entry.remote_ports.contains(self.remote_port)
            && entry.protocol.matches(self.flow.protocol())
            && entry.direction.matches(self.flow.direction())
            && (entry.may_be_loopback || !self.is_loopback);
        match self.whole(entry) {
            _ if !holds => Answer::No,
            None => Answer::Yes,
            Some(rule) => self.test_rest(rule),
        }
    }

    /// Tests what an entry leaves out of a rule: its local side and the zone id of its remote side.
    fn test_rest(&self, rule: &NetworkRule) -> Answer {
        let [zone, _] = self.flow.zones();
        if let (Some(own), Some(zone)) = (rule.remote_side().and_then(Network::zone), zone)
            && own != zone
        {
            return Answer::No;
        }
        let (address, port) = rule.local().test_local(self.flow);
        address.and(port)
    }

    fn leans_on_unbound(&self, entry: &Entry) -> bool {
        self.whole(entry).is_some_and(|rule| rule.local().leans_on_unbound(self.flow))
    }

    fn whole(&self, entry: &Entry) -> Option<&'a NetworkRule> {
        let (_, rule) = self.lists.rules.get(entry.whole? as usize)?;
        Some(rule)
    }
}

/// The best matching rule found so far, and the pending ones.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) best: Ranked,
    pub(super) leans_on_unbound: bool,
    pub(super) pending: FirstPending,
}

impl Outcome {
    /// Takes a rule that matches, if it goes before the best.
    #[inline(always)]
    pub(super) fn offer(&mut self, ranked: Ranked, leans_on_unbound: bool) {
        if ranked < self.best {
            self.best = ranked;
            self.leans_on_unbound = leans_on_unbound;
        }
    }
}

impl Default for Outcome {
    fn default() -> Outcome {
        let pending = FirstPending::default();
        Outcome { best: Ranked::NONE, leans_on_unbound: false, pending }
    }
}

/// For each number of an action, the first pending rule whose action is another, so that the number that no rule's action
/// has leads to the first of all. Rules after the deciding one may be among them, as they are met before it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FirstPending([Ranked; 4]);

impl FirstPending {
    pub(super) const NONE: FirstPending = FirstPending([Ranked::NONE; 4]);

    pub(super) fn add(&mut self, ranked: Ranked) {
        for (number, first) in self.0.iter_mut().enumerate() {
            if number as u32 != ranked.action_number() {
                *first = ranked.min(*first);
            }
        }
    }

    pub(super) fn merge(&mut self, other: &FirstPending) {
        self.0.iter_mut().zip(other.0).for_each(|(first, other)| *first = other.min(*first));
    }

    /// Returns the first of the rules.
    #[inline(always)]
    pub(super) fn first(&self) -> Ranked {
        let [_, _, first, _] = self.0;
        first
    }

    /// Returns the first rule after which rules of two actions are pending.
    pub(super) fn of_another(&self) -> Ranked {
        self.0.iter().copied().max().unwrap_or(Ranked::NONE)
    }

    /// Whether a pending rule goes before `best`, and whether one of another action than that of `decision`, which is
    /// what `best` leads to.
    // PERF: nobody can foresee either; decide/hosts-10k-addresses-10k/unnamed-ports.
    #[inline(always)]
    pub(super) fn before(&self, best: Ranked, decision: Decision) -> (bool, bool) {
        let of_another = self.0.get(decision.action_number() as usize);
        (self.first() < best, *of_another.unwrap_or(&Ranked::NONE) < best)
    }
}

impl Default for FirstPending {
    fn default() -> FirstPending {
        FirstPending::NONE
    }
}
