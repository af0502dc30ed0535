//! [`Tally`]: what was decided how often.

use crate::output::{HEADING, Painted, Printable, action_style};
use flowsieve::{Action, Decision, FilterSettings, Flow};
use std::fmt::{self, Write};
use std::time::Duration;

/// Counts of flows and lines.
pub(crate) struct Tally {
    flows: u64,
    actions: [(Action, u64); 3],
    /// The flows that each rule decided, by its index.
    rules: Vec<u64>,
    default: u64,
    loopback: u64,
    pending: u64,
    not_final: u64,
    bad_lines: u64,
    unreadable_files: u64,
}

impl Tally {
    /// Counts nothing yet, for settings of `rule_count` rules.
    pub(crate) fn new(rule_count: usize) -> Tally {
        Tally {
            flows: 0,
            actions: Action::ALL.map(|action| (action, 0)),
            rules: vec![0; rule_count],
            default: 0,
            loopback: 0,
            pending: 0,
            not_final: 0,
            bad_lines: 0,
            unreadable_files: 0,
        }
    }

    /// Counts a decision.
    pub(crate) fn add(&mut self, decision: &Decision, flow: &Flow<'_>) {
        self.flows += 1;
        for (action, count) in &mut self.actions {
            *count += u64::from(*action == decision.action());
        }
        match decision.rule().and_then(|index| self.rules.get_mut(index)) {
            Some(count) => *count += 1,
            None if flow.is_loopback() => self.loopback += 1,
            None => self.default += 1,
        }
        self.pending += u64::from(decision.pending());
        self.not_final += u64::from(!decision.is_final());
    }

    /// Counts a line that is no flow.
    pub(crate) fn add_bad_line(&mut self) {
        self.bad_lines += 1;
    }

    /// Counts a file that could not be read, or not to its end.
    pub(crate) fn add_unreadable_file(&mut self) {
        self.unreadable_files += 1;
    }

    /// Returns whether everything could be read.
    pub(crate) fn is_clean(&self) -> bool {
        self.bad_lines == 0 && self.unreadable_files == 0
    }

    /// Returns the counts as lines for people, without a newline at the end. Rules that decided
    /// nothing are only counted.
    pub(crate) fn summary(&self, settings: &FilterSettings, elapsed: Duration) -> String {
        let mut text = String::new();
        // A String takes whatever is written.
        let _ = self.write(&mut text, settings, elapsed);
        text.truncate(text.trim_end().len());
        text
    }

    fn write(
        &self,
        text: &mut String,
        settings: &FilterSettings,
        elapsed: Duration,
    ) -> fmt::Result {
        let seconds = elapsed.as_secs_f64();
        let rate = if seconds > 0.0 { self.flows as f64 / seconds } else { 0.0 };
        let time = format!("in {seconds:.3} s, {rate:.0} flows/s");
        row(text, Painted(HEADING, "flows     "), self.flows, &time)?;
        for (action, count) in self.actions {
            let name = format!("{:<10}", action.as_str());
            row(text, Painted(action_style(action), name), count, "")?;
        }
        for ((index, rule), count) in settings.rules().iter().enumerate().zip(&self.rules) {
            if *count > 0 {
                let what = match rule.label() {
                    Some(label) => label.to_owned(),
                    None => rule.network_rule().to_string(),
                };
                row(text, format!("{:<10}", format!("rule {index}")), *count, &what)?;
            }
        }
        let idle = self.rules.iter().filter(|count| **count == 0).count() as u64;
        if idle > 0 {
            row(text, "idle rules", idle, "decided no flow")?;
        }
        row(text, "default   ", self.default, "")?;
        row(text, "loopback  ", self.loopback, "")?;
        let not_final = match self.not_final {
            0 => String::new(),
            count => format!("{count} could still get another action"),
        };
        row(text, "pending   ", self.pending, &not_final)?;
        row(text, "bad lines ", self.bad_lines, "")?;
        if self.unreadable_files > 0 {
            row(text, "bad files ", self.unreadable_files, "")?;
        }
        Ok(())
    }
}

/// Writes a row; `name` comes padded, since padding would count the bytes of its style.
fn row(text: &mut String, name: impl fmt::Display, count: u64, note: &str) -> fmt::Result {
    match note {
        "" => writeln!(text, "{name} {count:>9}"),
        note => writeln!(text, "{name} {count:>9}  {}", Printable(note)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowsieve::formats::{flow_lines, settings};
    use flowsieve::{Precedence, reference};

    #[test]
    fn every_flow_is_counted_once_by_action_and_once_by_rule() {
        let text = r#"{"rules": [
            {"networkRule": {"destinationNetwork": "10.0.0.0", "destinationPrefix": 8,
                "protocol": "TCP"}, "action": "drop", "label": "ten\u001b"},
            {"networkRule": {"destinationHost": "example.com", "protocol": "TCP"},
                "action": "filterData"}], "defaultAction": "allow"}"#;
        let settings = settings::read(text.as_bytes()).unwrap();
        let mut tally = Tally::new(settings.rules().len());
        for remote in ["10.0.0.1:80", "10.0.0.2:80", "192.0.2.1:80", "127.0.0.1:80"] {
            let line = format!(
                r#"{{"remoteEndpoint": "{remote}", "socketProtocol": 6, "direction": "outbound"}}"#
            );
            let flow = flow_lines::read(&line).unwrap();
            let decision = reference::decide(&settings, Precedence::FirstMatch, &flow);
            tally.add(&decision, &flow);
        }
        tally.add_bad_line();
        assert!(!tally.is_clean());
        let summary = tally.summary(&settings, Duration::from_millis(500));
        let summary = anstream::adapter::strip_str(&summary).to_string();
        let expected = "\
flows              4  in 0.500 s, 8 flows/s
allow              2
drop               2
filterData         0
rule 0             2  ten\\u{1b}
idle rules         1  decided no flow
default            1
loopback           1
pending            2  2 could still get another action
bad lines          1";
        assert_eq!(summary, expected);
    }
}
