//! `flowsieve lint`: likely mistakes in settings, and how to mend them.

use crate::args::{Deny, LintArgs, LintFormat};
use crate::diagnostics;
use crate::input;
use crate::output::{Output, Printable};
use crate::settings_file;
use crate::snippet::Snippet;
use crate::status::{Failure, Status};
use flowsieve::formats::lints::{self, PlacedLint, Report};
use flowsieve::{Edit, Severity, SuggestedRule, Suggestion};
use std::path::Path;

/// Prints the lints of a settings file.
///
/// # Errors
///
/// That the settings cannot be read, or standard output not written. A rule that cannot be read for
/// a reason that is no lint is reported and makes the status [`BadInput`](Status::BadInput).
pub(crate) fn run(args: &LintArgs) -> Result<Status, Failure> {
    let text = settings_file::read_whole(&args.settings)?;
    let purpose = args.purpose.map(Into::into);
    let report = lints::lint(&text, purpose)
        .map_err(|error| settings_file::in_file(&args.settings, error))?;
    match args.format {
        LintFormat::Text => print_text(args, &report)?,
        LintFormat::Jsonl => print_jsonl(&report)?,
    }
    for error in &report.errors {
        diagnostics::error(&format!("{}: {error}", input::name(&args.settings)));
    }
    let is_denied = report.lints.iter().any(|found| args.deny.iter().any(|deny| deny.is(found)));
    Ok(match (report.errors.is_empty(), is_denied) {
        (false, _) => Status::BadInput,
        (true, true) => Status::AnswersDiffer,
        (true, false) => Status::Fine,
    })
}

impl Deny {
    fn is(&self, found: &PlacedLint) -> bool {
        match *self {
            Deny::Code(code) => found.lint.code() == code,
            Deny::Severity(severity) => found.lint.severity() >= severity,
        }
    }
}

/// Prints, on standard error, the errors among the lints of settings: the first of each code.
pub(crate) fn print_errors(path: &Path, text: &[u8]) {
    const SHOWN: usize = 3;
    let Ok(report) = lints::lint(text, None) else { return };
    let mut errors: Vec<&PlacedLint> =
        report.lints.iter().filter(|found| found.lint.severity() == Severity::Error).collect();
    errors.sort_by_key(|found| found.lint.code());
    for of_code in errors.chunk_by(|a, b| a.lint.code() == b.lint.code()) {
        for found in of_code.iter().take(SHOWN) {
            let PlacedLint { lint, line, column, .. } = found;
            let label = match &found.label {
                Some(label) => format!(" ({label})"),
                None => String::new(),
            };
            let rule =
                lint.rule().map(|(list, index)| format!(" {}{label}", list.rule_name(index)));
            diagnostics::error(&format!(
                "{code}{rule}: {message} ({clause})",
                code = lint.code(),
                rule = rule.unwrap_or_default(),
                message = lint.message(),
                clause = lint.code().clause(),
            ));
            diagnostics::at(&input::name(path), *line, *column);
            if let Some(suggestion) = lint.suggestion() {
                diagnostics::help(&in_words(suggestion).join(" "));
            }
        }
        if let (Some(first), others @ 1..) = (of_code.first(), of_code.len().saturating_sub(SHOWN))
        {
            let code = first.lint.code();
            diagnostics::error(&format!("{code} {others} more times; `flowsieve lint` shows all"));
        }
    }
}

fn print_text(args: &LintArgs, report: &Report<'_>) -> Result<(), Failure> {
    let file = Printable(&input::name(&args.settings)).to_string();
    let mut output = Output::new(false);
    for found in &report.lints {
        let lint = &found.lint;
        let rule = lint.rule().map_or_else(
            || "the settings as a whole".to_owned(),
            |(list, index)| match &found.label {
                Some(label) => format!("{} ({label})", list.rule_name(index)),
                None => list.rule_name(index),
            },
        );
        let message = format!("{} ({})", lint.message(), lint.code().clause());
        let mut notes = vec![Printable(&message).to_string()];
        if let (Some((list, index)), Some((line, column))) = (lint.related(), found.related) {
            notes.push(format!("{} stands at {file}:{line}:{column}", list.rule_name(index)));
        }
        let help = lint.suggestion().map(|suggestion| {
            let lines = in_words(suggestion).into_iter();
            lines.map(|line| Printable(&line).to_string()).collect::<Vec<_>>().join("\n")
        });
        let snippet = Snippet {
            severity: lint.severity(),
            code: lint.code().as_str(),
            title: lint.code().title(),
            file: &file,
            line: found.line,
            column: found.column,
            text: report.text,
            span: found.span.clone(),
            label: &Printable(&rule).to_string(),
            notes: &notes,
            help: help.as_deref(),
        };
        output.line(format_args!("{}\n", snippet.render()))?;
    }
    output.line(format_args!("{file}: {}", summary(report)))?;
    output.flush()?;
    Ok(())
}

/// `3 rules, 1 error, 2 warnings`.
fn summary(report: &Report<'_>) -> String {
    let plural =
        |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let mut parts = vec![plural(report.rule_count, "rule")];
    for severity in Severity::ALL.into_iter().rev() {
        let of_severity = report.lints.iter().filter(|found| found.lint.severity() == severity);
        match of_severity.count() {
            0 => {}
            count => parts.push(plural(count, severity.as_str())),
        }
    }
    if report.lints.is_empty() && report.errors.is_empty() {
        parts.push("nothing to say".to_owned());
    }
    parts.join(", ")
}

/// What the edits do, and the rules that they put in as JSON, a line each.
fn in_words(suggestion: &Suggestion) -> Vec<String> {
    let removes = |edit: &Edit| matches!(edit, Edit::Splice { insert, .. } if insert.is_empty());
    let moved = match suggestion.edits() {
        [first, second] if removes(first) && !removes(second) => Some((first, second)),
        _ => None,
    };
    if let Some((Edit::Splice { list, at, .. }, Edit::Splice { at: to, .. })) = moved {
        return vec![format!("put {} before {}", list.rule_name(*at), list.rule_name(*to))];
    }
    suggestion.edits().iter().flat_map(edit_in_words).collect()
}

fn edit_in_words(edit: &Edit) -> Vec<String> {
    let (list, at, remove, insert) = match edit {
        Edit::Splice { list, at, remove, insert } => (*list, *at, *remove, insert),
        Edit::DefaultAction(action) => return vec![format!("make {action} the default action")],
        _ => return Vec::new(),
    };
    let rules = match remove {
        0 | 1 => list.rule_name(at),
        _ => format!("{} to {}", list.rule_name(at), at + remove - 1),
    };
    let what = match (remove, insert.len()) {
        (_, 0) => return vec![format!("remove {rules}")],
        (0, _) if at == 0 => format!("add as {rules}:"),
        (0, _) => format!("add after {}:", list.rule_name(at - 1)),
        _ => format!("replace {rules} by:"),
    };
    let json = |rule: &SuggestedRule| serde_json::to_string(rule).unwrap_or_default();
    std::iter::once(what).chain(insert.iter().map(json)).collect()
}

fn print_jsonl(report: &Report<'_>) -> Result<(), Failure> {
    let mut output = Output::plain(false);
    for found in &report.lints {
        output.json(&lints::write(found))?;
    }
    output.flush()?;
    Ok(())
}
