//! Lists of compiled rules in order of rank, and what going through them yields.
//!
//! The rank of a rule is its place in the order of precedence, 0 first. The deciding rule is the
//! matching one of lowest rank, wherever it is found, so lists may be visited in any order.

use crate::endpoint::{Ports, Zone};
use crate::flow::{Direction, Flow, FlowEndpoint};
use crate::network::{Answer, Network};
use crate::rule::{Action, Protocol};
use std::collections::HashMap;
use std::net::IpAddr;

/// The rank of no rule: after all others.
pub(super) const NO_RANK: u32 = u32::MAX;

/// A rule, less what the place it is found at implies: the remote address or the host name.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) rank: u32,
    pub(super) remote_ports: Ports,
    pub(super) protocol: Protocol,
    pub(super) direction: Direction,
    pub(super) action: Action,
    /// The rule may match loopback flows: it is explicit on one side, or a host rule.
    pub(super) may_be_loopback: bool,
    /// The index in [`Lists::details`] of what few rules have.
    pub(super) detail: Option<u32>,
}

/// What few rules have: a local side, or a zone id on the remote side.
#[derive(Debug)]
pub(super) struct Detail {
    pub(super) local: Network,
    pub(super) zone: Option<Zone>,
}

impl Detail {
    fn test(&self, query: &Query<'_>) -> Answer {
        if let (Some(own), Some(zone)) = (self.zone, query.remote_zone)
            && own != zone
        {
            return Answer::No;
        }
        let (address, port) = self.local.test_local(query.flow);
        address.and(port)
    }
}

/// All entries of a matcher; a [`List`] is a part of them.
#[derive(Debug, Default)]
pub(super) struct Lists {
    entries: Vec<Entry>,
    details: Vec<Detail>,
}

/// Entries in ascending rank.
///
/// A long list keeps the entries of each single remote port apart, so that only those are gone
/// through that the flow's remote port allows.
#[derive(Debug, Default)]
pub(super) struct List {
    entries: Span,
    by_remote_port: Option<HashMap<u16, Span>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    len: u32,
}

impl Lists {
    /// The length from which the entries of single ports are kept apart.
    const LONG: usize = 16;

    pub(super) fn add_detail(&mut self, detail: Detail) -> u32 {
        self.details.push(detail);
        (self.details.len() - 1) as u32
    }

    /// Stores `entries`, which are in ascending rank.
    pub(super) fn add(&mut self, entries: Vec<Entry>) -> List {
        if entries.len() < Self::LONG {
            return List { entries: self.add_span(entries), by_remote_port: None };
        }
        let mut others = Vec::new();
        let mut by_port: HashMap<u16, Vec<Entry>> = HashMap::new();
        for entry in entries {
            match entry.remote_ports.as_one() {
                Some(port) => by_port.entry(port).or_default().push(entry),
                None => others.push(entry),
            }
        }
        let spans = by_port.into_iter().map(|(port, entries)| (port, self.add_span(entries)));
        let by_remote_port: HashMap<u16, Span> = spans.collect();
        List { entries: self.add_span(others), by_remote_port: Some(by_remote_port) }
    }

    fn add_span(&mut self, entries: Vec<Entry>) -> Span {
        let span = Span { start: self.entries.len() as u32, len: entries.len() as u32 };
        self.entries.extend(entries);
        span
    }

    fn slice(&self, span: Span) -> &[Entry] {
        let start = span.start as usize;
        self.entries.get(start..start + span.len as usize).unwrap_or(&[])
    }
}

impl List {
    /// Returns the lowest rank in the list.
    pub(super) fn first_rank(&self, lists: &Lists) -> u32 {
        let by_port = self.by_remote_port.iter().flat_map(|by_port| by_port.values());
        let spans = by_port.chain([&self.entries]);
        let first = spans.filter_map(|span| lists.slice(*span).first());
        first.map(|entry| entry.rank).min().unwrap_or(NO_RANK)
    }
}

/// A flow on its way through the lists.
pub(super) struct Query<'a> {
    pub(super) flow: &'a Flow<'a>,
    lists: &'a Lists,
    pub(super) remote_address: Option<IpAddr>,
    remote_zone: Option<Zone>,
    pub(super) remote_port: u16,
    is_loopback: bool,
}

impl<'a> Query<'a> {
    pub(super) fn new(flow: &'a Flow<'a>, lists: &'a Lists) -> Query<'a> {
        let remote = flow.remote();
        Query {
            flow,
            lists,
            remote_address: remote.and_then(FlowEndpoint::folded_address),
            remote_zone: remote.and_then(FlowEndpoint::zone),
            remote_port: remote.map_or(0, FlowEndpoint::port),
            is_loopback: flow.is_loopback(),
        }
    }

    /// Goes through `list` up to the first entry that matches or comes after the best so far.
    pub(super) fn scan(&self, list: &List, outcome: &mut Outcome) {
        self.scan_where(list, outcome, |_, answer| answer);
    }

    /// Goes through `list` as [`scan`](Query::scan) does, with each entry's answer changed by
    /// `amend`.
    pub(super) fn scan_where(
        &self,
        list: &List,
        outcome: &mut Outcome,
        amend: impl Fn(&Entry, Answer) -> Answer,
    ) {
        let of_port =
            list.by_remote_port.as_ref().and_then(|by_port| by_port.get(&self.remote_port));
        for span in [of_port, Some(&list.entries)].into_iter().flatten() {
            for entry in self.lists.slice(*span) {
                if entry.rank >= outcome.rank {
                    break;
                }
                match amend(entry, self.test(entry)) {
                    Answer::Yes => outcome.settle(entry, self.leans_on_unbound(entry)),
                    Answer::NotYet => outcome.pending.add(entry.action, entry.rank),
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
        match self.detail(entry) {
            _ if !holds => Answer::No,
            None => Answer::Yes,
            Some(detail) => detail.test(self),
        }
    }

    fn leans_on_unbound(&self, entry: &Entry) -> bool {
        self.detail(entry).is_some_and(|detail| detail.local.leans_on_unbound(self.flow))
    }

    fn detail(&self, entry: &Entry) -> Option<&'a Detail> {
        entry.detail.and_then(|index| self.lists.details.get(index as usize))
    }
}

/// The best matching rule found so far, and the pending ones.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) rank: u32,
    pub(super) action: Action,
    pub(super) leans_on_unbound: bool,
    pub(super) pending: FirstPending,
}

impl Outcome {
    fn settle(&mut self, entry: &Entry, leans_on_unbound: bool) {
        self.rank = entry.rank;
        self.action = entry.action;
        self.leans_on_unbound = leans_on_unbound;
    }
}

impl Default for Outcome {
    fn default() -> Outcome {
        Outcome {
            rank: NO_RANK,
            action: Action::FilterData,
            leans_on_unbound: false,
            pending: FirstPending::default(),
        }
    }
}

/// The lowest rank of a pending rule, for each action. Ranks after the deciding rule's may be
/// among them, as they are met before it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FirstPending([u32; 3]);

impl FirstPending {
    pub(super) fn add(&mut self, action: Action, rank: u32) {
        if let Some(first) = self.0.get_mut(Self::slot(action)) {
            *first = (*first).min(rank);
        }
    }

    pub(super) fn merge(&mut self, other: FirstPending) {
        self.0.iter_mut().zip(other.0).for_each(|(first, rank)| *first = (*first).min(rank));
    }

    /// The same without the rules of one action.
    pub(super) fn without(mut self, action: Action) -> FirstPending {
        if let Some(first) = self.0.get_mut(Self::slot(action)) {
            *first = NO_RANK;
        }
        self
    }

    /// Whether a pending rule goes before `rank`.
    pub(super) fn is_before(self, rank: u32) -> bool {
        self.0.iter().any(|first| *first < rank)
    }

    fn slot(action: Action) -> usize {
        match action {
            Action::Allow => 0,
            Action::Drop => 1,
            Action::FilterData => 2,
        }
    }
}

impl Default for FirstPending {
    fn default() -> FirstPending {
        FirstPending([NO_RANK; 3])
    }
}
