//! What became of the records of logs, counted so that counts of pieces can be added.

use crate::report::{Latency, Places};
use flowsieve::formats::logs::{Entry, LogFlow, Other, Record, Skip};
use flowsieve::{Action, Decider, Decision, Error, FilterSettings, Flow, Matcher, Reason};
use flowsieve_captures::Packet;
use indexmap::IndexMap;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::time::Instant;

/// By what flows are decided.
pub(crate) struct Judge<'a> {
    pub(crate) settings: &'a FilterSettings,
    pub(crate) matcher: Matcher,
    /// The settings that are compared with.
    pub(crate) against: Option<(&'a FilterSettings, Matcher)>,
    /// Whether some decisions are timed, and where flows went is counted.
    pub(crate) is_reported: bool,
    /// Flows of a change that are kept.
    pub(crate) examples: usize,
    /// The networks of this host.
    pub(crate) local_nets: &'a [IpNet],
}

/// Counts of one piece of a log, or of all.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) flows: u64,
    pub(crate) skipped: BTreeMap<&'static str, u64>,
    pub(crate) rejected: u64,
    /// Lines that are no records.
    pub(crate) others: BTreeMap<Other, u64>,
    /// By action and reason, in the order of [`Action::ALL`] and [`REASONS`].
    pub(crate) verdicts: [[u64; 4]; 3],
    pub(crate) not_final: u64,
    /// Flows of which the log does not say something.
    pub(crate) unknown: Unknown,
    /// What decided, and to where the flows went.
    hits: Talkers,
    /// Flows whose action is another by the other settings.
    pub(crate) changes: IndexMap<Verdicts, Change, foldhash::fast::RandomState>,
    /// Flows with the same action by a rule that is not the same.
    pub(crate) same_by_other: u64,
    pub(crate) latency: Latency,
    /// Line, column and reason of records that were rejected, less those that go without saying.
    pub(crate) complaints: Vec<(u64, u64, String)>,
}

/// Flows by decider and remote side, in the order in which they were first seen.
type Talkers = IndexMap<Talker, u64, foldhash::fast::RandomState>;

/// A remote side of the flows that one thing decided.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Talker {
    decider: Decider,
    remote: Remote,
}

// PERF: one number where there is an IPv4 address; as it is derived, every part would be hashed.
impl Hash for Talker {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let decider = match self.decider {
            Decider::Rule(rule) => rule as u64,
            Decider::Loopback => u64::MAX,
            Decider::Default => u64::MAX - 1,
        };
        match &self.remote {
            Remote::Address(IpAddr::V4(address)) => {
                state.write_u64(decider << 32 | u64::from(address.to_bits()));
            }
            Remote::Address(IpAddr::V6(address)) => {
                state.write_u64(decider);
                state.write_u128(address.to_bits());
            }
            Remote::Name(name) => {
                state.write_u64(decider);
                name.hash(state);
            }
            Remote::Unknown => state.write_u64(decider),
        }
    }
}

/// Counts of what logs do not say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unknown {
    pub(crate) side: u64,
    pub(crate) direction: u64,
    pub(crate) opener: u64,
    pub(crate) protocol: u64,
}

/// The remote side of a flow, as far as it tells talkers apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Remote {
    Address(IpAddr),
    Name(Box<str>),
    Unknown,
}

/// Decider and action, before and after.
pub(crate) type Verdicts = [(Decider, Action); 2];

/// Flows that change in the same way.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) flows: u64,
    /// Source, line, and the flow as it is printed: the first ones.
    pub(crate) examples: Vec<(usize, u64, String)>,
}

/// Every reason, in the order of columns.
pub(crate) const REASONS: [Reason; 4] =
    [Reason::Rule, Reason::Default, Reason::Loopback, Reason::Pending];

impl Counts {
    /// Counts a record of a log, and decides it if it is a flow.
    pub(crate) fn record(&mut self, source: usize, record: Record<'_>, judge: &Judge<'_>) {
        match record.entry {
            Entry::Flow(found) => self.flow(source, record.line, &found, judge),
            Entry::Skipped(reason) => self.skip(Skip::as_str(reason)),
            Entry::Rejected(error) => self.reject(Some(complaint(&error, record.line))),
            Entry::Other(other) => *self.others.entry(other).or_default() += 1,
        }
    }

    /// Counts a packet of a capture, and decides it if it begins a flow.
    pub(crate) fn packet(&mut self, source: usize, number: u64, packet: Packet, judge: &Judge<'_>) {
        match packet {
            Packet::Flow(connection) => {
                self.flow(source, number, &connection.to_flow(judge.local_nets), judge);
            }
            Packet::Skipped(reason) => self.skip(reason),
            Packet::Rejected(reason) => self.reject(reason.map(|reason| (number, 1, reason))),
        }
    }

    /// Counts a record that is no flow.
    pub(crate) fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    /// Counts a record that cannot be understood.
    pub(crate) fn reject(&mut self, complaint: Option<(u64, u64, String)>) {
        self.rejected += 1;
        self.complaints.extend(complaint);
    }

    /// Decides a flow.
    pub(crate) fn flow(
        &mut self,
        source: usize,
        line: u64,
        found: &LogFlow<'_>,
        judge: &Judge<'_>,
    ) {
        let flow = &found.flow;
        // One in a few, so that the clock does not slow down what it measures.
        let start = (judge.is_reported && self.flows.is_multiple_of(16)).then(Instant::now);
        let decision = judge.matcher.decide(flow);
        if let Some(start) = start {
            self.latency.add(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
        self.flows += 1;
        self.unknown.side += u64::from(!found.is_side_known);
        self.unknown.direction += u64::from(!found.is_direction_known());
        self.unknown.opener += u64::from(!found.is_opener_known);
        self.unknown.protocol += u64::from(!found.is_protocol_known);
        self.not_final += u64::from(!decision.is_final());
        let row = self.verdicts.get_mut(place_of(decision.action()));
        let reason = match decision.reason() {
            Reason::Rule => 0,
            Reason::Default => 1,
            Reason::Loopback => 2,
            Reason::Pending => 3,
        };
        if let Some(count) = row.and_then(|row| row.get_mut(reason)) {
            *count += 1;
        }
        let decider = decider(&decision, flow);
        *self.hits.entry(Talker { decider, remote: Remote::of(flow) }).or_default() += 1;
        if let Some((settings, matcher)) = &judge.against {
            let other = matcher.decide(flow);
            let other_decider = self::decider(&other, flow);
            if other.action() != decision.action() {
                let verdicts = [(decider, decision.action()), (other_decider, other.action())];
                let change = self.changes.entry(verdicts).or_default();
                change.flows += 1;
                if change.examples.len() < judge.examples {
                    change.examples.push((source, line, flow.to_string()));
                }
            } else if !is_same(judge.settings, decider, settings, other_decider) {
                self.same_by_other += 1;
            }
        }
    }

    pub(crate) fn skipped_total(&self) -> u64 {
        self.skipped.values().sum()
    }
}

/// Counts of all logs.
pub(crate) struct Totals {
    pub(crate) counts: Counts,
    /// Each log with what it counts: flows, skipped, rejected.
    pub(crate) sources: Vec<Source>,
    /// Flows that each decider decided.
    pub(crate) hits: BTreeMap<Decider, u64>,
    pub(crate) places: Places,
    /// Flows to remote sides that came when [`MAX_TALKERS`] others were counted already.
    pub(crate) uncounted: u64,
    examples: usize,
}

/// A log.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) format: &'static str,
    pub(crate) flows: u64,
    pub(crate) skipped: u64,
    pub(crate) rejected: u64,
    pub(crate) others: u64,
    /// Why it could not be read, or not to its end.
    pub(crate) problem: Option<String>,
}

/// The most pairs of decider and remote side that are counted.
const MAX_TALKERS: usize = 1 << 20;

impl Totals {
    /// Counts nothing yet.
    pub(crate) fn new(examples: usize) -> Totals {
        Totals {
            counts: Counts::default(),
            sources: Vec::new(),
            hits: BTreeMap::new(),
            places: Places::default(),
            uncounted: 0,
            examples,
        }
    }

    /// Adds a piece of the source of this index. Pieces come in the order of the logs, on which
    /// examples and what is no longer counted depend.
    pub(crate) fn add(&mut self, source: usize, piece: Counts, judge: &Judge<'_>) {
        if let Some(source) = self.sources.get_mut(source) {
            source.flows += piece.flows;
            source.skipped += piece.skipped_total();
            source.rejected += piece.rejected;
            source.others += piece.others.values().sum::<u64>();
        }
        let own = &mut self.counts;
        own.flows += piece.flows;
        own.rejected += piece.rejected;
        for (reason, count) in piece.skipped {
            *own.skipped.entry(reason).or_default() += count;
        }
        for (other, count) in piece.others {
            *own.others.entry(other).or_default() += count;
        }
        let rows = own.verdicts.iter_mut().flatten().zip(piece.verdicts.iter().flatten());
        rows.for_each(|(own, count)| *own += count);
        own.not_final += piece.not_final;
        own.unknown.side += piece.unknown.side;
        own.unknown.direction += piece.unknown.direction;
        own.unknown.opener += piece.unknown.opener;
        own.unknown.protocol += piece.unknown.protocol;
        own.same_by_other += piece.same_by_other;
        own.latency.merge(&piece.latency);
        for (talker, count) in piece.hits {
            let Talker { decider, remote } = &talker;
            *self.hits.entry(*decider).or_default() += count;
            if judge.is_reported {
                let address = match remote {
                    Remote::Address(address) => Some(*address),
                    _ => None,
                };
                let action = action_of(*decider, judge.settings);
                (0..count).for_each(|_| self.places.add(address, action));
            }
            let is_full = own.hits.len() >= MAX_TALKERS;
            match own.hits.entry(talker) {
                indexmap::map::Entry::Occupied(mut entry) => *entry.get_mut() += count,
                indexmap::map::Entry::Vacant(_) if is_full => self.uncounted += count,
                indexmap::map::Entry::Vacant(entry) => {
                    entry.insert(count);
                }
            }
        }
        for (verdicts, change) in piece.changes {
            let known = own.changes.entry(verdicts).or_default();
            known.flows += change.flows;
            let missing = self.examples.saturating_sub(known.examples.len());
            known.examples.extend(change.examples.into_iter().take(missing));
        }
    }

    /// Returns the remote sides of each decider, the most flows first, at most `count` of each.
    pub(crate) fn talkers(&self, count: usize) -> BTreeMap<Decider, Vec<(&Remote, u64)>> {
        let mut talkers: BTreeMap<Decider, Vec<(&Remote, u64)>> = BTreeMap::new();
        for (Talker { decider, remote }, flows) in &self.counts.hits {
            talkers.entry(*decider).or_default().push((remote, *flows));
        }
        for list in talkers.values_mut() {
            list.sort_unstable_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
            list.truncate(count);
        }
        talkers
    }

    /// Returns the groups of changes, the most flows first.
    pub(crate) fn changes(&self) -> Vec<(&Verdicts, &Change)> {
        let mut changes: Vec<_> = self.counts.changes.iter().collect();
        changes.sort_by_key(|(verdicts, change)| {
            let [(before, _), (after, _)] = **verdicts;
            (std::cmp::Reverse(change.flows), before, after)
        });
        changes
    }
}

impl Remote {
    fn of(flow: &Flow<'_>) -> Remote {
        match flow.remote().and_then(|remote| remote.folded_address()) {
            Some(address) => Remote::Address(address),
            None => match flow.remote_hostname() {
                Some(name) => Remote::Name(name.into()),
                None => Remote::Unknown,
            },
        }
    }
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Remote::Address(address) => address.fmt(f),
            Remote::Name(name) => f.write_str(name),
            Remote::Unknown => f.write_str("unknown"),
        }
    }
}

fn decider(decision: &Decision, flow: &Flow<'_>) -> Decider {
    match decision.rule() {
        Some(rule) => Decider::Rule(rule),
        None if flow.is_loopback() => Decider::Loopback,
        None => Decider::Default,
    }
}

/// The action that a decider gives.
pub(crate) fn action_of(decider: Decider, settings: &FilterSettings) -> Action {
    match decider {
        Decider::Rule(rule) => {
            settings.rules().get(rule).map_or(settings.default_action(), |rule| rule.action())
        }
        Decider::Loopback => Action::Allow,
        Decider::Default => settings.default_action(),
    }
}

/// The line, column and reason of a record that cannot be understood, which begins in `line`.
pub(crate) fn complaint(error: &Error, line: u64) -> (u64, u64, String) {
    let reason = match error.key() {
        Some(key) => format!("key `{key}`: {}", error.kind()),
        None => error.kind().to_string(),
    };
    (error.line().unwrap_or(line), error.column().unwrap_or(1), reason)
}

/// Whether two settings decide by the same rule, whatever its index.
fn is_same(a: &FilterSettings, a_by: Decider, b: &FilterSettings, b_by: Decider) -> bool {
    match (a_by, b_by) {
        (Decider::Rule(a_rule), Decider::Rule(b_rule)) => {
            a.rules().get(a_rule) == b.rules().get(b_rule)
        }
        (a_by, b_by) => a_by == b_by,
    }
}

fn place_of(action: Action) -> usize {
    match action {
        Action::Allow => 0,
        Action::Drop => 1,
        Action::FilterData => 2,
    }
}
