//! [`Report`]: what a replay found, and the page that shows it.
//!
//! The page is one file that asks for nothing else: style and script stand in it, and its
//! content security policy allows these two by their hashes and nothing more.

mod addresses;
mod changes;
mod chart;
mod latency;
mod page;
mod places;
mod rules;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use self::latency::Latency;
pub(crate) use self::page::html;
pub(crate) use self::places::{ByAction, Places, place_of};
pub(crate) use self::text::escape;

use flowsieve::{Action, Decider, FilterSettings, Precedence, Reason};

/// What a report shows. Whoever replays flows fills it; [`html`] draws it.
pub(crate) struct Report<'a> {
    /// The settings file, as it was given.
    pub(crate) name: &'a str,
    pub(crate) settings: &'a FilterSettings,
    pub(crate) precedence: Precedence,
    /// What was read, in order.
    pub(crate) sources: Vec<Source>,
    /// How many flows got each action for each reason; what is 0 may be left out.
    pub(crate) verdicts: Vec<VerdictCount>,
    /// Flows whose action could still change once more is known of them.
    pub(crate) not_final: u64,
    /// What decided at least one flow. A rule that is not here was never hit.
    pub(crate) hits: Vec<Hits>,
    /// The comparison with other settings, where one was asked for.
    pub(crate) against: Option<Against<'a>>,
    /// How long decisions took; empty where it was not measured.
    pub(crate) latency: Latency,
    /// Where the flows went.
    pub(crate) places: Places,
}

/// A log that was read.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The file as it was given, or `<stdin>`.
    pub(crate) name: String,
    /// The format that it was read as.
    pub(crate) format: String,
    /// Records: lines, packets or whatever the format has. Equals the sum of the next three.
    pub(crate) records: u64,
    /// Records that were flows.
    pub(crate) flows: u64,
    /// Records that are not meant to be flows, such as headers, comments and other events.
    pub(crate) skipped: u64,
    /// Records that should be flows and could not be read.
    pub(crate) bad: u64,
}

/// How many flows got an action for a reason.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VerdictCount {
    pub(crate) action: Action,
    pub(crate) reason: Reason,
    pub(crate) flows: u64,
}

/// The flows that a rule, loopback or the default action decided.
#[derive(Clone, Debug)]
pub(crate) struct Hits {
    pub(crate) decider: Decider,
    pub(crate) flows: u64,
    /// Remote addresses (or names) with their flows, the most first; the top few.
    pub(crate) talkers: Vec<(String, u64)>,
}

/// Verdicts by other settings.
pub(crate) struct Against<'a> {
    /// The settings file, as it was given.
    pub(crate) name: &'a str,
    pub(crate) settings: &'a FilterSettings,
    /// Groups of flows with another action, each with the same two deciders.
    pub(crate) changes: Vec<Change>,
}

/// Flows that get another action, decided by the same two.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// By [`Report::settings`].
    pub(crate) before: (Decider, Action),
    /// By [`Against::settings`].
    pub(crate) after: (Decider, Action),
    pub(crate) flows: u64,
    /// A few of the flows, as they are printed.
    pub(crate) examples: Vec<String>,
}
