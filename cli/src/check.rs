//! `flowsieve check`: a verdict for each flow, as they come.

use crate::args::{CheckArgs, CheckFormat};
use crate::diagnostics;
use crate::flow_reader::{self, BadLine};
use crate::input;
use crate::output::{self, DIMMED, HEADING, Output, Painted, Printable, action_style};
use crate::settings_file;
use crate::status::{Failure, Status};
use crate::summary::Tally;
use flowsieve::formats::verdict_lines::{self, Verdict};
use flowsieve::formats::{log_lines, read_flow};
use flowsieve::{FilterSettings, Flow, Matcher};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

/// Checks the settings, and decides the flows of every file in turn.
///
/// # Errors
///
/// That the settings cannot be read, or standard output not written. A line that is no flow, or a
/// file of flows that cannot be read, is reported and makes the status
/// [`BadInput`](Status::BadInput).
pub(crate) fn run(args: &CheckArgs) -> Result<Status, Failure> {
    let settings = settings_file::read_and_lint(&args.settings)?;
    if args.flows.is_empty() {
        return count_rules(args, &settings);
    }
    let matcher = Matcher::builder().precedence(args.settings.precedence.into()).build(&settings);
    let matcher =
        matcher.map_err(|error| settings_file::in_file(&args.settings.settings, error))?;
    let is_live = args.flows.iter().any(|path| input::is_stdin(path));
    let format = args.format.unwrap_or_else(|| CheckFormat::default_for(output::is_terminal()));
    let output = match format {
        CheckFormat::Table => Output::new(is_live),
        CheckFormat::Jsonl => Output::plain(is_live),
    };
    let tally = Tally::new(settings.rules().len());
    Check { args, settings: &settings, matcher, format, output, tally }.run()
}

/// A run over all files.
struct Check<'a> {
    args: &'a CheckArgs,
    settings: &'a FilterSettings,
    matcher: Matcher,
    format: CheckFormat,
    output: Output,
    tally: Tally,
}

impl Check<'_> {
    fn run(mut self) -> Result<Status, Failure> {
        let start = Instant::now();
        if self.format == CheckFormat::Table {
            self.output.line(Painted(HEADING, table_heading()))?;
        }
        for path in &self.args.flows {
            if self.file(path)?.is_break() {
                break;
            }
        }
        let summary = self.tally.summary(self.settings, start.elapsed());
        match self.format {
            CheckFormat::Table => self.output.line(format_args!("\n{summary}"))?,
            CheckFormat::Jsonl => {
                self.output.flush()?;
                diagnostics::text(&format!("{summary}\n"));
            }
        }
        self.output.flush()?;
        Ok(if self.tally.is_clean() { Status::Fine } else { Status::BadInput })
    }

    /// Decides the flows of one file; breaks off where nothing more is to be read.
    fn file(&mut self, path: &Path) -> Result<ControlFlow<()>, Failure> {
        let name = input::name(path);
        let mut lines = match flow_reader::open(path) {
            Ok(lines) => lines,
            Err(error) => return self.unreadable(&name, error),
        };
        if self.format == CheckFormat::Table && self.args.flows.len() > 1 {
            self.output.line(Painted(DIMMED, Printable(&name)))?;
        }
        loop {
            let line = match lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(ControlFlow::Continue(())),
                Err(error) => return self.unreadable(&name, error),
            };
            if line.text.as_ref().is_ok_and(|text| log_lines::is_frame(text)) {
                continue;
            }
            let protocol = self.args.settings.protocol;
            let flow = line.text.and_then(|text| read_flow(text, protocol).map_err(BadLine::from));
            match flow {
                Ok(flow) => self.flow(line.number, &flow)?,
                Err(bad) => {
                    self.tally.add_bad_line();
                    // So that verdicts and complaints are seen in the order of the lines.
                    self.output.flush()?;
                    diagnostics::bad_line(&name, line.number, bad.column, &bad.reason);
                    if self.args.strict {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
    }

    fn flow(&mut self, line_number: u64, flow: &Flow<'_>) -> Result<(), Failure> {
        let decision = self.matcher.decide(flow);
        let pending = match decision.pending() {
            true => self.matcher.pending_rules(flow),
            false => Vec::new(),
        };
        self.tally.add(&decision, flow);
        let verdict = Verdict::new(decision, pending, self.settings);
        match self.format {
            CheckFormat::Table => self.output.line(table_row(line_number, flow, &verdict))?,
            CheckFormat::Jsonl => self.output.json(&verdict_lines::write(&verdict))?,
        }
        Ok(())
    }

    fn unreadable(
        &mut self,
        name: &str,
        error: std::io::Error,
    ) -> Result<ControlFlow<()>, Failure> {
        self.tally.add_unreadable_file();
        self.output.flush()?;
        diagnostics::error(&format!("{name}: {error}"));
        Ok(if self.args.strict { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// Says in one line what the settings hold.
fn count_rules(args: &CheckArgs, settings: &FilterSettings) -> Result<Status, Failure> {
    let count = settings.rules().len();
    let name = input::name(&args.settings.settings);
    let (name, default) = (Printable(&name), settings.default_action());
    let rules = if count == 1 { "rule" } else { "rules" };
    let mut output = Output::new(false);
    output.line(format_args!("{name}: {count} {rules}, default {default}"))?;
    output.flush()?;
    Ok(Status::Fine)
}

/// The columns have fixed widths, so that rows can be printed as they come.
fn table_heading() -> String {
    format!(
        "{:>6}  {:<10}  {:>6}  {:<8}  {:<12}  {:<56}  {}",
        "line", "action", "rule", "reason", "pending", "flow", "label"
    )
}

fn table_row(line_number: u64, flow: &Flow<'_>, verdict: &Verdict<'_>) -> String {
    let decision = verdict.decision;
    let action =
        Painted(action_style(decision.action()), format!("{:<10}", decision.action().as_str()));
    let rule = decision.rule().map_or_else(|| "-".to_owned(), |rule| rule.to_string());
    let (reason, pending) = (decision.reason().as_str(), shorten(&verdict.pending));
    let label = Printable(verdict.label.unwrap_or("")).to_string();
    let row = format!(
        "{line_number:>6}  {action}  {rule:>6}  {reason:<8}  {pending:<12}  {flow:<56}  {label}",
        flow = flow.to_string(),
    );
    row.trim_end().to_owned()
}

/// As many indices as have room in a column, and the number of the others: `0,1,2,3,+996`.
fn shorten(rules: &[usize]) -> String {
    const WIDTH: usize = 12;
    let mut text = String::new();
    for (index, rule) in rules.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let next = format!("{comma}{rule}");
        let others = format!("{comma}+{}", rules.len() - index);
        let is_last = index + 1 == rules.len();
        let needed = text.len() + next.len() + if is_last { 0 } else { others.len() };
        if needed > WIDTH && index > 0 {
            return text + &others;
        }
        text += &next;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pending_rules_fit_their_column() {
        assert_eq!(shorten(&[]), "");
        assert_eq!(shorten(&[7]), "7");
        assert_eq!(shorten(&[1, 2, 30]), "1,2,30");
        assert_eq!(shorten(&[1000, 1001, 1002]), "1000,1001,+1");
        assert_eq!(shorten(&[1000, 1001, 10020]), "1000,1001,+1");
        assert_eq!(shorten(&[10000, 10001, 10002]), "10000,+2");
        let many: Vec<usize> = (0..1000).collect();
        assert_eq!(shorten(&many), "0,1,2,3,+996");
        assert!(shorten(&(99_990..100_990).collect::<Vec<_>>()).len() <= 12);
    }
}
