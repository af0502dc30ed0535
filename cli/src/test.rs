//! `flowsieve test`: whether flows get the action that is expected.

use crate::args::{TestArgs, TestFormat};
use crate::cases::{self, BadCase, Case, Expect, Place};
use crate::diagnostics;
use crate::input;
use crate::output::{ERROR, HEADING, Output, Painted, Printable, action_style};
use crate::sentences::sentences;
use crate::settings_file;
use crate::status::{Failure, Status};
use flowsieve::{
    Decision, Explanation, FilterSettings, Flow, Matcher, Outcome as RuleFate, Precedence, explain,
};
use serde::Serialize;

/// Runs the cases of a file.
///
/// # Errors
///
/// That the settings or the file cannot be read, or standard output not written. A case that cannot
/// be read is reported and makes the status [`BadInput`](Status::BadInput).
pub(crate) fn run(args: &TestArgs) -> Result<Status, Failure> {
    let settings = settings_file::read(&args.settings)?;
    let precedence = args.settings.precedence.into();
    let matcher = Matcher::builder().precedence(precedence).build(&settings);
    let matcher =
        matcher.map_err(|error| settings_file::in_file(&args.settings.settings, error))?;
    let text = settings_file::read_whole(&args.cases)?;
    let name = input::name(&args.cases);
    let output = match args.format {
        TestFormat::Text => Output::new(false),
        TestFormat::Jsonl => Output::plain(false),
    };
    let mut run = Run { args, name, settings: &settings, precedence, matcher, output };
    let (mut passed, mut failed, mut status) = (0_u64, 0_u64, Status::Fine);
    for case in cases::read(&text, args.settings.protocol) {
        match case.and_then(|case| run.case(case)) {
            Ok(outcome) => {
                match outcome.failures.is_empty() {
                    true => passed += 1,
                    false => failed += 1,
                }
                run.print(&outcome)?;
            }
            Err(bad) => {
                // So that the report stands where it belongs among those of the other cases.
                run.output.flush()?;
                let Place { line, column } = bad.place;
                diagnostics::bad_line(&run.name, line, column, &bad.reason);
                status = Status::BadInput;
            }
        }
    }
    if failed > 0 {
        status = status.max(Status::AnswersDiffer);
    }
    let count = format!("{passed} passed, {failed} failed");
    match args.format {
        TestFormat::Text => run.output.line(&count)?,
        TestFormat::Jsonl => {
            run.output.flush()?;
            diagnostics::text(&format!("{count}\n"));
        }
    }
    run.output.flush()?;
    Ok(status)
}

/// A run over all cases.
struct Run<'a> {
    args: &'a TestArgs,
    name: String,
    settings: &'a FilterSettings,
    precedence: Precedence,
    matcher: Matcher,
    output: Output,
}

/// How a case came out.
struct Outcome {
    case: Case,
    got: Got,
    /// What differs from what is expected, in words.
    failures: Vec<String>,
    /// Why the flow was decided as it was; empty for a case that passes.
    why: Vec<String>,
    flow: String,
    is_loopback: bool,
}

/// A decision, in the words of a verdict line.
#[derive(Serialize)]
struct Got {
    action: &'static str,
    rule: Option<usize>,
    label: Option<String>,
    reason: &'static str,
    #[serde(skip)]
    decision: Decision,
}

impl Run<'_> {
    fn case(&self, case: Case) -> Result<Outcome, BadCase> {
        let flow = case.flow.flow(self.args.settings.protocol);
        let flow =
            flow.map_err(|error| BadCase { place: case.place, reason: error.to_string() })?;
        let decision = self.matcher.decide(&flow);
        let label = decision.rule().and_then(|rule| self.settings.rules().get(rule)?.label());
        let got = Got {
            action: decision.action().as_str(),
            rule: decision.rule(),
            label: label.map(str::to_owned),
            reason: decision.reason().as_str(),
            decision,
        };
        let failures = self.failures(&case.expect, &got);
        let why = match failures.is_empty() {
            true => Vec::new(),
            false => self.why(&case.expect, &got, &flow),
        };
        let (is_loopback, flow) = (flow.is_loopback(), flow.to_string());
        Ok(Outcome { got, failures, why, flow, is_loopback, case })
    }

    fn failures(&self, expect: &Expect, got: &Got) -> Vec<String> {
        let mut failures = Vec::new();
        if expect.action.as_str() != got.action {
            failures.push(format!("action {} instead of {}", got.action, expect.action));
        }
        let by = got.rule.map_or_else(|| "no rule".to_owned(), |rule| self.rule(rule));
        if let Some(label) = &expect.label
            && got.label.as_ref() != Some(label)
        {
            let mut rules = self.settings.rules().iter();
            let is_known = rules.any(|rule| rule.label() == Some(label));
            let unknown = if is_known { "" } else { ", which is the label of no rule" };
            failures.push(format!("{by} instead of the rule `{label}`{unknown}"));
        }
        if let Some(rule) = expect.rule.filter(|rule| got.rule != Some(*rule)) {
            let is_known = rule < self.settings.rules().len();
            let unknown = if is_known { "" } else { ", which there is not" };
            failures.push(format!("{by} instead of rule {rule}{unknown}"));
        }
        if let Some(reason) = expect.reason.as_deref().filter(|reason| got.reason != *reason) {
            failures.push(format!("reason {} instead of {reason}", got.reason));
        }
        failures
    }

    /// Why the flow was decided as it was, and why the rule that is expected did not decide.
    fn why(&self, expect: &Expect, got: &Got, flow: &Flow<'_>) -> Vec<String> {
        let explanation = explain(self.settings, self.precedence, flow);
        let mut why = match got.rule {
            Some(rule) => vec![self.fate(rule, &explanation, flow)],
            None if flow.is_loopback() => {
                vec!["no rule names this loopback flow, and those are allowed".to_owned()]
            }
            None => {
                let default = self.settings.default_action();
                vec![format!("no rule matches, so the default action {default} is taken")]
            }
        };
        let rules = self.settings.rules().iter().enumerate();
        let is_expected = |index: usize, label: Option<&str>| {
            let by_label = expect.label.is_some() && expect.label.as_deref() == label;
            got.rule != Some(index) && (expect.rule == Some(index) || by_label)
        };
        let expected = rules.filter(|(index, rule)| is_expected(*index, rule.label()));
        why.extend(expected.map(|(index, _)| self.fate(index, &explanation, flow)));
        why
    }

    /// `rule 0 (label) decides: protocol is TCP; remote port is 443`.
    fn fate(&self, index: usize, explanation: &Explanation, flow: &Flow<'_>) -> String {
        let outcome = explanation.rules().iter().find(|outcome| outcome.index() == index);
        let rule = self.settings.rules().get(index);
        let Some((outcome, rule)) = outcome.zip(rule) else { return self.rule(index) };
        let word = match outcome.outcome() {
            RuleFate::Decides => "decides",
            RuleFate::Overruled => "matches too, but comes later",
            RuleFate::Pending => "could match once more is known",
            RuleFate::Late => "could match once more is known, but comes later",
            RuleFate::Fails => "does not match",
        };
        let reasons = sentences(outcome, rule.network_rule(), flow);
        format!("{} {word}: {}", self.rule(index), reasons.join("; "))
    }

    /// `rule 0 (label)`.
    fn rule(&self, index: usize) -> String {
        match self.settings.rules().get(index).and_then(|rule| rule.label()) {
            Some(label) => format!("rule {index} ({label})"),
            None => format!("rule {index}"),
        }
    }

    fn print(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        let Outcome { case, got, failures, why, flow, is_loopback } = outcome;
        let Place { line, column } = case.place;
        if self.args.format == TestFormat::Jsonl {
            let passes = failures.is_empty();
            let (name, expect) = (case.name.as_deref(), &case.expect);
            let report = ReportLine { name, line, column, passes, expect, got, why };
            let json = serde_json::to_string(&report);
            self.output.json(&json.map_err(|error| Failure::BadInput(error.to_string()))?)?;
            return Ok(());
        }
        if failures.is_empty() {
            return Ok(());
        }
        let output = &mut self.output;
        let name = case.name.as_deref().unwrap_or("");
        let heading = format!("{}:{line}:{column} {name}", self.name);
        let heading = Printable(heading.trim_end()).to_string();
        output.line(format_args!("{} {}", Painted(ERROR, "failed:"), Painted(HEADING, heading)))?;
        output.line(format_args!("  {:<10}{}", "flow", Printable(flow)))?;
        let expect = in_words(&case.expect);
        output.line(format_args!("  {:<10}{}", "expected", Printable(&expect)))?;
        let action = Painted(action_style(got.decision.action()), got.action);
        let by = match (got.rule, is_loopback) {
            (Some(rule), _) => {
                let label = got.label.as_deref().map(|label| format!(" ({label})"));
                format!("by rule {rule}{}", label.unwrap_or_default())
            }
            (None, true) => "as a loopback flow".to_owned(),
            (None, false) => "by default".to_owned(),
        };
        let pending = if got.decision.pending() { ", pending" } else { "" };
        output.line(format_args!("  {:<10}{action} {}{pending}", "came", Printable(&by)))?;
        for failure in failures {
            output.line(format_args!("  {:<10}{}", "wrong", Printable(failure)))?;
        }
        for reason in why {
            output.line(format_args!("  {:<10}{}", "why", Printable(reason)))?;
        }
        output.line("")?;
        Ok(())
    }
}

/// ``drop by the rule `label` ``.
fn in_words(expect: &Expect) -> String {
    let mut words = expect.action.to_string();
    if let Some(label) = &expect.label {
        words.push_str(&format!(" by the rule `{label}`"));
    }
    if let Some(rule) = expect.rule {
        words.push_str(&format!(" by rule {rule}"));
    }
    if let Some(reason) = &expect.reason {
        words.push_str(&format!(", reason {reason}"));
    }
    words
}

#[derive(Serialize)]
struct ReportLine<'a> {
    name: Option<&'a str>,
    line: u64,
    column: u64,
    passes: bool,
    expect: &'a Expect,
    got: &'a Got,
    why: &'a [String],
}
