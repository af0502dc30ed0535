//! An explanation as text.

use crate::decision::Decision;
use crate::explain::{Outcome, explain};
use crate::flow::Flow;
use crate::settings::{FilterSettings, Precedence};
use std::fmt::{self, Write};

/// Returns a line with the decision, then a line for each rule.
pub(super) fn text(
    settings: &FilterSettings,
    precedence: Precedence,
    flow: &Flow<'_>,
) -> Result<String, fmt::Error> {
    let explanation = explain(settings, precedence, flow);
    let mut text = String::new();
    writeln!(text, "{}", first_line(explanation.decision()))?;
    for fate in explanation.rules() {
        let Some(rule) = settings.rules().get(fate.index()) else { continue };
        let network_rule = rule.network_rule();
        write!(text, "rule {} {}", fate.index(), fate.outcome().as_str())?;
        if fate.outcome() == Outcome::Decides {
            write!(text, " ({})", rule.action())?;
        }
        write!(text, ": {}", Line(&network_rule.to_string()))?;
        if let Some(label) = rule.label() {
            write!(text, " [{}]", Line(label))?;
        }
        for (index, reason) in fate.reasons(network_rule, flow).iter().enumerate() {
            let before = if index == 0 { " - " } else { "; " };
            write!(text, "{before}{}", Line(reason))?;
        }
        writeln!(text)?;
    }
    Ok(text)
}

fn first_line(decision: Decision) -> String {
    let by = match decision.rule() {
        Some(rule) => format!("rule {rule}"),
        None if decision.pending() => "no rule".to_owned(),
        None => decision.reason().to_string(),
    };
    let change = match (decision.pending(), decision.is_final()) {
        (false, true) => "",
        (true, true) => ", an earlier rule could still match, with the same action",
        (true, false) => ", an earlier rule could still match, with another action",
        (false, false) => ", until the local endpoint is known",
    };
    format!("{} by {by}{change}", decision.action())
}

/// Text on one line: control characters and such that cannot be seen are escaped.
struct Line<'a>(&'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\'' | '\\' => f.write_char(c),
            _ => write!(f, "{}", c.escape_debug()),
        })
    }
}
