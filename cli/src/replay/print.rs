//! What a replay prints: the counts as text, as lines of JSON, and as a report.

use super::counts::{Change, REASONS, Remote, Totals, Unknown, Verdicts, action_of};
use crate::args::{LinesFormat, ReplayArgs};
use crate::diagnostics;
use crate::loaded::Loaded;
use crate::output::{DIMMED, HEADING, Output, Painted, Printable, action_style};
use crate::report::{self, Against, Hits, Report, VerdictCount};
use crate::status::Failure;
use flowsieve::{Action, Decider};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// What was replayed.
pub(crate) struct Run<'a> {
    pub(crate) args: &'a ReplayArgs,
    pub(crate) settings: &'a Loaded,
    pub(crate) against: Option<&'a Loaded>,
    pub(crate) totals: &'a Totals,
    pub(crate) elapsed: Duration,
}

impl Run<'_> {
    /// Prints the counts in the format that is asked for.
    ///
    /// # Errors
    ///
    /// That standard output cannot be written.
    pub(crate) fn print(&self) -> Result<(), Failure> {
        let mut output = match self.args.format {
            LinesFormat::Text => Output::new(false),
            LinesFormat::Jsonl => Output::plain(false),
        };
        match self.args.format {
            LinesFormat::Text => self.text(&mut output)?,
            LinesFormat::Jsonl => {
                for line in self.lines() {
                    output.json(&line.to_string())?;
                }
            }
        }
        output.flush()?;
        if self.args.format == LinesFormat::Text {
            // Not among the counts, which are the same every time.
            let (flows, seconds) = (self.totals.counts.flows, self.elapsed.as_secs_f64());
            let rate = if seconds > 0.0 { flows as f64 / seconds } else { 0.0 };
            let flows = plural(flows, "flow");
            diagnostics::text(&format!("{flows} in {seconds:.3} s, {rate:.0} flows/s\n"));
        }
        Ok(())
    }

    fn text(&self, output: &mut Output) -> Result<(), Failure> {
        self.text_of_sources(output)?;
        self.text_of_verdicts(output)?;
        self.text_of_hits(output)?;
        if let Some(against) = self.against {
            self.text_of_changes(output, against)?;
        }
        Ok(())
    }

    /// What was read, and what not.
    fn text_of_sources(&self, output: &mut Output) -> Result<(), Failure> {
        for source in &self.totals.sources {
            let (name, format) = (Printable(&source.name), source.format);
            let records = source.flows + source.skipped + source.rejected;
            let problem = if source.problem.is_some() { ", not read to its end" } else { "" };
            output.line(format_args!(
                "{name}: {format}, {}: {}, {} skipped, {} rejected{problem}",
                plural(records, "record"),
                plural(source.flows, "flow"),
                source.skipped,
                source.rejected,
            ))?;
        }
        let counts = &self.totals.counts;
        for (reason, count) in &counts.skipped {
            output.line(format_args!("  skipped    {count:>9}  {reason}"))?;
        }
        for (other, count) in &counts.others {
            output.line(format_args!("  no record  {count:>9}  {}", other.as_str()))?;
        }
        for (count, what) in unknowns(&counts.unknown) {
            if count > 0 {
                output.line(format_args!("  not known  {count:>9}  {what}"))?;
            }
        }
        output.line("")?;
        Ok(())
    }

    fn text_of_verdicts(&self, output: &mut Output) -> Result<(), Failure> {
        let counts = &self.totals.counts;
        output.line(format_args!("{} {:>9}", Painted(HEADING, "flows     "), counts.flows))?;
        let heading = format!(
            "{:<10} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "action", "all", "rule", "default", "loopback", "pending"
        );
        output.line(Painted(DIMMED, heading))?;
        for (action, row) in Action::ALL.into_iter().zip(counts.verdicts) {
            let name = Painted(action_style(action), format!("{:<10}", action.as_str()));
            let [rule, default, loopback, pending] = row;
            let all: u64 = row.iter().sum();
            output.line(format_args!(
                "{name} {all:>9} {rule:>9} {default:>9} {loopback:>9} {pending:>9}"
            ))?;
        }
        let pending: u64 = counts.verdicts.iter().map(|[.., pending]| pending).sum();
        output.line(format_args!(
            "pending    {pending:>9}  {} of all flows; {} could still get another action",
            share(pending, counts.flows),
            counts.not_final
        ))?;
        output.line("")?;
        Ok(())
    }

    /// Hits and talkers of each decider, the most hits first; then what was never hit.
    fn text_of_hits(&self, output: &mut Output) -> Result<(), Failure> {
        let totals = self.totals;
        let talkers = totals.talkers(self.args.top);
        let mut hits: Vec<_> = totals.hits.iter().collect();
        hits.sort_by_key(|(decider, count)| (std::cmp::Reverse(**count), **decider));
        output.line(Painted(HEADING, "hits"))?;
        for (decider, count) in hits {
            let action = action_of(*decider, &self.settings.settings);
            let action = Painted(action_style(action), action);
            let share = share(*count, totals.counts.flows);
            let shown = self.settings.shown(*decider);
            output.line(format_args!("{count:>10} {share:>7}  {action} by {shown}"))?;
            for (remote, count) in talkers.get(decider).into_iter().flatten() {
                let remote = remote.to_string();
                let remote = format!("{count:>18}    {}", Printable(&remote));
                output.line(Painted(DIMMED, remote))?;
            }
        }
        if totals.uncounted > 0 {
            output.line(format_args!(
                "{:>18}    to remote sides beyond those that are counted each",
                totals.uncounted
            ))?;
        }
        let idle = self.idle();
        if !idle.is_empty() {
            let all = self.settings.settings.rules().len();
            output.line(format_args!(
                "never hit: {} of {all} rules: {}",
                idle.len(),
                ranges(&idle, IDLE_SHOWN)
            ))?;
        }
        Ok(())
    }

    fn text_of_changes(&self, output: &mut Output, against: &Loaded) -> Result<(), Failure> {
        let changes = self.totals.changes();
        let flows: u64 = changes.iter().map(|(_, change)| change.flows).sum();
        output.line("")?;
        let heading = format!(
            "by {}, {} of {} get another action, in {}",
            Printable(&against.name),
            flows,
            plural(self.totals.counts.flows, "flow"),
            plural(changes.len() as u64, "group")
        );
        output.line(Painted(HEADING, heading))?;
        for (verdicts, change) in changes {
            let [(before, old), (after, new)] = *verdicts;
            output.line(format_args!(
                "{:>10}  {} by {} -> {} by {}",
                change.flows,
                Painted(action_style(old), old),
                self.settings.shown(before),
                Painted(action_style(new), new),
                against.shown(after)
            ))?;
            for (source, line, flow) in &change.examples {
                let name = self.totals.sources.get(*source).map_or("", |source| &source.name);
                let example = format!("{:>14}{}:{line}  {}", "", Printable(name), Printable(flow));
                output.line(Painted(DIMMED, example))?;
            }
        }
        if self.totals.counts.same_by_other > 0 {
            let count = self.totals.counts.same_by_other;
            output.line(format_args!("{count:>10}  same action by a rule that is not the same"))?;
        }
        Ok(())
    }

    /// The indices of the rules that decided nothing.
    fn idle(&self) -> Vec<usize> {
        let rules = 0..self.settings.settings.rules().len();
        rules.filter(|rule| !self.totals.hits.contains_key(&Decider::Rule(*rule))).collect()
    }

    fn lines(&self) -> Vec<Value> {
        let totals = self.totals;
        let counts = &totals.counts;
        let mut lines = Vec::new();
        for source in &totals.sources {
            lines.push(json!({
                "type": "source",
                "name": source.name,
                "format": source.format,
                "records": source.flows + source.skipped + source.rejected,
                "flows": source.flows,
                "skipped": source.skipped,
                "rejected": source.rejected,
                "otherLines": source.others,
                "problem": source.problem,
            }));
        }
        for (reason, count) in &counts.skipped {
            lines.push(json!({ "type": "skipped", "reason": reason, "count": count }));
        }
        for (other, count) in &counts.others {
            lines.push(json!({ "type": "otherLines", "reason": other.as_str(), "count": count }));
        }
        for (action, row) in Action::ALL.into_iter().zip(counts.verdicts) {
            for (reason, count) in REASONS.into_iter().zip(row) {
                lines.push(json!({
                    "type": "verdicts",
                    "action": action,
                    "reason": reason.as_str(),
                    "flows": count,
                }));
            }
        }
        let talkers = totals.talkers(self.args.top);
        let rules = (0..self.settings.settings.rules().len()).map(Decider::Rule);
        for decider in rules.chain([Decider::Loopback, Decider::Default]) {
            let mut line = self.settings.decider_json(decider);
            let talkers: Vec<Value> = talkers
                .get(&decider)
                .into_iter()
                .flatten()
                .map(|(remote, flows)| json!({ "remote": remote.to_string(), "flows": flows }))
                .collect();
            if let Some(line) = line.as_object_mut() {
                line.insert("type".to_owned(), json!("hits"));
                line.insert(
                    "action".to_owned(),
                    json!(action_of(decider, &self.settings.settings)),
                );
                line.insert("flows".to_owned(), json!(totals.hits.get(&decider).unwrap_or(&0)));
                line.insert("talkers".to_owned(), json!(talkers));
            }
            lines.push(line);
        }
        if let Some(against) = self.against {
            for (verdicts, change) in totals.changes() {
                lines.push(self.change_line(against, verdicts, change));
            }
        }
        let pending: u64 = counts.verdicts.iter().map(|[.., pending]| pending).sum();
        let changed: u64 = counts.changes.values().map(|change| change.flows).sum();
        lines.push(json!({
            "type": "summary",
            "flows": counts.flows,
            "skipped": counts.skipped_total(),
            "rejected": counts.rejected,
            "pending": pending,
            "notFinal": counts.not_final,
            "sideUnknown": counts.unknown.side,
            "directionUnknown": counts.unknown.direction,
            "openerUnknown": counts.unknown.opener,
            "protocolUnknown": counts.unknown.protocol,
            "talkersUncounted": totals.uncounted,
            "changed": self.against.map(|_| changed),
            "sameByOtherRule": self.against.map(|_| counts.same_by_other),
        }));
        lines
    }

    fn change_line(&self, against: &Loaded, verdicts: &Verdicts, change: &Change) -> Value {
        let side = |loaded: &Loaded, (decider, action): (Decider, Action)| {
            let mut side = loaded.decider_json(decider);
            if let Some(side) = side.as_object_mut() {
                side.insert("action".to_owned(), json!(action));
            }
            side
        };
        let [before, after] = *verdicts;
        let examples: Vec<Value> = change
            .examples
            .iter()
            .map(|(source, line, flow)| {
                let name = self.totals.sources.get(*source).map(|source| &source.name);
                json!({ "source": name, "line": line, "flow": flow })
            })
            .collect();
        json!({
            "type": "change",
            "flows": change.flows,
            "old": side(self.settings, before),
            "new": side(against, after),
            "examples": examples,
        })
    }

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// That the file cannot be written.
    pub(crate) fn report(&self, path: &Path) -> Result<(), Failure> {
        let totals = self.totals;
        let counts = &totals.counts;
        let verdicts = Action::ALL.into_iter().zip(counts.verdicts);
        let verdicts = verdicts.flat_map(|(action, row)| {
            let cells = REASONS.into_iter().zip(row).filter(|(_, flows)| *flows > 0);
            cells.map(move |(reason, flows)| VerdictCount { action, reason, flows })
        });
        let mut talkers = totals.talkers(self.args.top);
        let hits = totals.hits.iter().map(|(decider, flows)| {
            let talkers = talkers.remove(decider).unwrap_or_default();
            let shown = |(remote, flows): (&Remote, u64)| (remote.to_string(), flows);
            let talkers = talkers.into_iter().map(shown).collect();
            Hits { decider: *decider, flows: *flows, talkers }
        });
        let source = |source: &super::counts::Source| report::Source {
            name: source.name.clone(),
            format: source.format.to_owned(),
            records: source.flows + source.skipped + source.rejected,
            flows: source.flows,
            skipped: source.skipped,
            bad: source.rejected,
        };
        let change = |(verdicts, change): (&Verdicts, &Change)| {
            let [before, after] = *verdicts;
            let examples = change.examples.iter().map(|(_, _, flow)| flow.clone()).collect();
            report::Change { before, after, flows: change.flows, examples }
        };
        let report = Report {
            name: &self.settings.name,
            settings: &self.settings.settings,
            precedence: self.args.settings.precedence.into(),
            sources: totals.sources.iter().map(source).collect(),
            verdicts: verdicts.collect(),
            not_final: counts.not_final,
            hits: hits.collect(),
            against: self.against.map(|against| Against {
                name: &against.name,
                settings: &against.settings,
                changes: totals.changes().into_iter().map(change).collect(),
            }),
            latency: counts.latency.clone(),
            places: totals.places.clone(),
        };
        let written = std::fs::write(path, report::html(&report));
        written.map_err(|error| Failure::BadInput(format!("{}: {error}", path.display())))
    }
}

/// What logs do not say, with what was taken for it.
fn unknowns(unknown: &Unknown) -> [(u64, &'static str); 4] {
    [
        (
            unknown.side,
            "side: which end is this host; the end that was called counts as remote (--local-net says)",
        ),
        (unknown.direction, "direction: only rules for any direction match"),
        (
            unknown.opener,
            "opener: the sender counts as it, so that an answer counts as a flow of its own",
        ),
        (unknown.protocol, "protocol: taken from --protocol"),
    ]
}

/// Ranges of indices that are printed.
const IDLE_SHOWN: usize = 20;

/// `0, 3-5, 9`, with the number of those that are left out.
fn ranges(indices: &[usize], limit: usize) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for index in indices {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => ranges.push((*index, *index)),
        }
    }
    let shown: Vec<String> = ranges
        .iter()
        .take(limit)
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    let more: usize = ranges.iter().skip(limit).map(|(first, last)| last - first + 1).sum();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn share(part: u64, all: u64) -> String {
    let share = if all == 0 { 0.0 } else { 100.0 * part as f64 / all as f64 };
    format!("{share:.1} %")
}

fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_in_a_row_are_printed_as_a_range() {
        assert_eq!(ranges(&[], 3), "");
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8], 3), "0-2, 5, 7-8");
        assert_eq!(ranges(&[0, 2, 4, 6, 7], 2), "0, 2 and 3 more");
    }

    #[test]
    fn shares_are_of_all_that_there_is() {
        assert_eq!(share(1, 8), "12.5 %");
        assert_eq!(share(0, 0), "0.0 %");
    }
}
