//! [`Loaded`]: settings, and where in their file each rule stands.

use crate::args::{PrecedenceArg, RulesArgs};
use crate::input;
use crate::neutral;
use crate::output::Printable;
use crate::settings_file;
use crate::status::Failure;
use flowsieve::formats::settings::{ReadOptions, read_with, rule_places};
use flowsieve::{Decider, FilterRule, FilterSettings, Precedence};
use std::path::Path;

/// Settings that were read from a file.
pub(crate) struct Loaded {
    pub(crate) settings: FilterSettings,
    /// As it was given.
    pub(crate) name: String,
    /// Line and column of each rule, from 1.
    places: Vec<(u64, u64)>,
}

impl Loaded {
    /// Reads a settings file, or a rule set in the neutral form where its name ends in `.rules`.
    ///
    /// # Errors
    ///
    /// A message with the file, and the place in it where there is one.
    pub(crate) fn read(path: &Path, hostname_in_network: bool) -> Result<Loaded, Failure> {
        let text = settings_file::read_whole(path)?;
        let name = input::name(path);
        if path.extension().is_some_and(|extension| extension == "rules") {
            let text = std::str::from_utf8(&text);
            let text = text.map_err(|error| settings_file::in_file(path, error))?;
            let set = neutral::read_rules(text, path, &[])?;
            let lines: Vec<u64> = neutral::line_numbers(text).collect();
            let place = |line: &usize| (lines.get(*line).copied().unwrap_or(0), 1);
            let places = set.line_of_rule.iter().map(place).collect();
            return Ok(Loaded { settings: set.settings, name, places });
        }
        let mut options = ReadOptions::default();
        options.hostname_in_network = hostname_in_network;
        let settings =
            read_with(&text, options).map_err(|error| settings_file::in_file(path, error))?;
        let places = rule_places(&text).map_err(|error| settings_file::in_file(path, error))?;
        Ok(Loaded { settings, name, places })
    }

    /// Returns line and column of a rule.
    pub(crate) fn place(&self, rule: usize) -> Option<(u64, u64)> {
        self.places.get(rule).copied()
    }

    /// Returns a rule.
    pub(crate) fn rule(&self, rule: usize) -> Option<&FilterRule> {
        self.settings.rules().get(rule)
    }

    /// Names a decider: `rule 3 "label" (rules.json:7:5)`, `loopback` or `default`.
    pub(crate) fn shown(&self, decider: Decider) -> String {
        let Some(rule) = decider.rule() else { return decider.to_string() };
        let label = self.rule(rule).and_then(FilterRule::label);
        let label = label.map(|label| format!(" \"{}\"", Printable(label))).unwrap_or_default();
        let name = Printable(&self.name);
        match self.place(rule) {
            Some((line, column)) => format!("rule {rule}{label} ({name}:{line}:{column})"),
            None => format!("rule {rule}{label}"),
        }
    }

    /// Returns what a line of JSON says of a decider.
    pub(crate) fn decider_json(&self, decider: Decider) -> serde_json::Value {
        let rule = decider.rule();
        let place = rule.and_then(|rule| self.place(rule));
        serde_json::json!({
            "by": if rule.is_some() { "rule".to_owned() } else { decider.to_string() },
            "rule": rule,
            "label": rule.and_then(|rule| self.rule(rule)).and_then(FilterRule::label),
            "line": place.map(|place| place.0),
            "column": place.map(|place| place.1),
        })
    }
}

impl RulesArgs {
    /// Reads the settings of a file.
    ///
    /// # Errors
    ///
    /// As for [`Loaded::read`].
    pub(crate) fn load(&self, path: &Path) -> Result<Loaded, Failure> {
        Loaded::read(path, self.hostname_in_network)
    }

    /// Returns which of several matching rules decides.
    pub(crate) fn precedence(&self) -> Precedence {
        let precedence: PrecedenceArg = self.precedence;
        precedence.into()
    }
}
