//! Lints with their places in the text of a settings file, and lint lines.
//!
//! [`lint()`] reads as much of a settings file as can be read, so that one rule which the framework
//! would refuse does not hide what is wrong with the others; [`write()`] writes a lint as a line of
//! JSON.
//!
//! ```
//! use flowsieve::{LintCode, formats::lints};
//!
//! let text = br#"{ "rules": [
//!     { "networkRule": { "destinationNetwork": "111.111.111.111", "destinationPrefix": 0,
//!                        "protocol": "TCP" }, "action": "filterData", "label": "one host" },
//!     { "networkRule": { "destinationHost": "192.0.2.1", "protocol": "TCP" }, "action": "drop" }
//! ], "defaultAction": "allow" }"#;
//! let report = lints::lint(text, None)?;
//! let found = report.lints.iter().map(|found| (found.lint.code(), found.line, found.column));
//! let expected = [(LintCode::PrefixZero, 2, 86), (LintCode::AddressInHostRule, 4, 43)];
//! assert_eq!(found.collect::<Vec<_>>(), expected);
//! # Ok::<(), flowsieve::Error>(())
//! ```
//!
//! The settings of a transparent proxy are the two lists of NETransparentProxyNetworkSettings, each
//! of rules in the shapes that `networkRule` has in the settings of a content filter; either list
//! may be absent:
//!
//! ```
//! use flowsieve::{LintCode, formats::lints};
//!
//! let text = br#"{
//!     "includedNetworkRules": [
//!         { "destinationNetwork": "0.0.0.0", "destinationPrefix": 0, "protocol": "any" }
//!     ],
//!     "excludedNetworkRules": []
//! }"#;
//! let report = lints::lint(text, None)?;
//! assert_eq!(report.lints[0].lint.code(), LintCode::ProxyWildcardAnyPort);
//! # Ok::<(), flowsieve::Error>(())
//! ```

use crate::error::{Error, ErrorKind};
use crate::formats::json::Value;
use crate::formats::mend;
use crate::formats::places::Places;
use crate::formats::settings::{ReadOptions, checked_text, filter_rule, network_rule, to_json};
use crate::lint::{self, Edit, Lint, LintCode, RuleList, SuggestedRule, Suggestion};
use crate::proxy::TransparentProxySettings;
use crate::rule::{Action, FilterRule, NetworkRule};
use crate::settings::FilterSettings;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::ops::Range;

/// What the settings are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A content filter: NEFilterSettings.
    Filter,
    /// A transparent proxy: NETransparentProxyNetworkSettings.
    ///
    /// Of the settings of a content filter, rules that allow count as excluded and the others as
    /// included: what a rule allows is not shown to the provider.
    Proxy,
}

/// What [`lint()`] found.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// The text of the file, without a byte order mark.
    pub text: &'a str,
    /// What the settings were taken to be for.
    pub purpose: Purpose,
    /// The number of rules, in all lists.
    pub rule_count: usize,
    /// The lints, in the order of the rules; those of the settings as a whole first.
    pub lints: Vec<PlacedLint>,
    /// What is wrong with rules that cannot be read and that no lint is about.
    pub errors: Vec<Error>,
}

/// A lint and where it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedLint {
    /// The lint.
    pub lint: Lint,
    /// The label of the rule.
    pub label: Option<String>,
    /// The line of [`span`](PlacedLint::span), from 1.
    pub line: u64,
    /// The column of [`span`](PlacedLint::span), from 1 in characters.
    pub column: u64,
    /// Where the value that it is about stands in [`Report::text`], in bytes.
    pub span: Range<usize>,
    /// Where the [related](Lint::related) rule stands: its line and its column.
    pub related: Option<(u64, u64)>,
}

/// Finds the lints of a settings file, for what its keys say it is for, or for `purpose`.
///
/// Host names in network initialisers are read as host rules, to say what else is wrong with them.
///
/// # Errors
///
/// What keeps the file from being read at all, as for
/// [`settings::read`](super::settings::read). What is wrong with a rule is in the report.
///
/// # Complexity
///
/// As for [`crate::lint()`], and linear in the size of the text.
pub fn lint(text: &[u8], purpose: Option<Purpose>) -> Result<Report<'_>, Error> {
    let text = checked_text(text)?;
    let value = Value::parse(text)?;
    let is_proxy_file = [RuleList::Included, RuleList::Excluded]
        .into_iter()
        .any(|list| value.field(list.as_str()).is_some());
    let places = Places::new(text);
    let mut file = File { places: &places, root: value, lists: Vec::new(), errors: Vec::new() };
    match is_proxy_file && purpose != Some(Purpose::Filter) {
        true => file.lint_proxy(),
        false => file.lint_filter(purpose.unwrap_or(Purpose::Filter)),
    }
    .map(|(purpose, mut lints)| {
        lints.sort_by_key(|placed| (placed.lint.rule(), placed.lint.code()));
        let rule_count = file.lists.iter().map(|list| list.rules.len()).sum();
        Report { text, purpose, rule_count, lints, errors: file.errors }
    })
}

/// A settings file that is read.
struct File<'a> {
    places: &'a Places<'a>,
    root: Value<'a>,
    lists: Vec<List<'a>>,
    errors: Vec<Error>,
}

/// A list of rules.
struct List<'a> {
    list: RuleList,
    rules: Vec<Value<'a>>,
}

/// The rules of a list that can be read, with their indices, and the lints of those that cannot.
struct Read<R> {
    rules: Vec<(usize, R)>,
    refused: Vec<PlacedLint>,
}

impl<'a> File<'a> {
    fn lint_filter(&mut self, purpose: Purpose) -> Result<(Purpose, Vec<PlacedLint>), Error> {
        let [rules, default_action] = self.root.fields(["rules", "defaultAction"])?;
        let missing = || self.root.error(ErrorKind::MissingKey { expected: "`rules`" });
        let rules = rules.ok_or_else(missing)?;
        let read = self.read_list(RuleList::Rules, rules, filter_rule)?;
        let mut lints = read.refused;
        let is_whole = lints.is_empty() && self.errors.is_empty();
        let default_action = match default_action {
            None => Action::FilterData,
            Some(value) => self.default_action(value, &mut lints),
        };
        let found = match purpose {
            Purpose::Filter => of_filter(read.rules, default_action),
            Purpose::Proxy => of_filter_as_proxy(&read.rules),
        };
        // That there are no rules is not said where there are some that cannot be read.
        let found =
            found.into_iter().filter(|l| is_whole || l.code() != LintCode::DefaultWithoutRules);
        lints.extend(found.map(|lint| self.place(lint)));
        Ok((purpose, lints))
    }

    fn lint_proxy(&mut self) -> Result<(Purpose, Vec<PlacedLint>), Error> {
        let keys = [RuleList::Included, RuleList::Excluded].map(RuleList::as_str);
        let [included, excluded] = self.root.fields(keys)?;
        let mut lints = Vec::new();
        let mut read = |list, value: Option<Value<'a>>| {
            let Some(value) = value.filter(|value| !value.is_null()) else {
                return Ok(Vec::new());
            };
            let read = self.read_list(list, value, network_rule)?;
            lints.extend(read.refused);
            Ok(read.rules)
        };
        let included = read(RuleList::Included, included)?;
        let excluded = read(RuleList::Excluded, excluded)?;
        let found = of_proxy(included, excluded);
        lints.extend(found.into_iter().map(|lint| self.place(lint)));
        Ok((Purpose::Proxy, lints))
    }

    fn read_list<R>(
        &mut self,
        list: RuleList,
        value: Value<'a>,
        read: impl Fn(Value<'a>, ReadOptions) -> Result<R, Error>,
    ) -> Result<Read<R>, Error> {
        let options = ReadOptions { hostname_in_network: true };
        let values: Vec<Value<'a>> = value.keyed(list.as_str(), Value::elements)?.collect();
        let mut result = Read { rules: Vec::new(), refused: Vec::new() };
        for (index, value) in values.iter().enumerate() {
            // By itself, as each error would count the lines before it.
            let alone = value.alone();
            match read(alone, options) {
                Ok(rule) => result.rules.push((index, rule)),
                Err(error) => match mend::code_of(&error, alone, list) {
                    Some(code) => {
                        result.refused.push(self.refused(code, list, index, *value, &error));
                    }
                    None => {
                        let (line, column) = self.places.of(value.span().start);
                        self.errors.push(error.within(line, column).in_rule(index));
                    }
                },
            }
        }
        self.lists.push(List { list, rules: values });
        Ok(result)
    }

    fn default_action(&mut self, value: Value<'a>, lints: &mut Vec<PlacedLint>) -> Action {
        value.keyed("defaultAction", Value::parsed).unwrap_or_else(|error: Error| {
            if let ErrorKind::UnsupportedAction { .. } = error.kind() {
                let message = error.kind().to_string();
                let code = LintCode::UnsupportedAction;
                let edit = Edit::DefaultAction(Action::FilterData);
                let lint = Lint::of_settings(code, Some("defaultAction"), message);
                let lint = lint.suggesting(Some(Suggestion::of(vec![edit])));
                lints.push(self.place(lint));
            } else {
                self.errors.push(error);
            }
            Action::FilterData
        })
    }

    /// The lint of a rule that cannot be read.
    fn refused(
        &self,
        code: LintCode,
        list: RuleList,
        index: usize,
        rule: Value<'a>,
        error: &Error,
    ) -> PlacedLint {
        let key = mend::key_of(error);
        let mended = mend::mend(rule.alone(), list).map(|rule| without_range(rule, list));
        let suggestion = mended.map(|rules| Suggestion::splice(list, index, 1, rules));
        let lint = Lint::of_rule(code, list, index, key, error.kind().to_string());
        self.place_in(lint.refused().suggesting(suggestion), Some(rule))
    }

    fn place(&self, lint: Lint) -> PlacedLint {
        let rule = lint.rule().and_then(|(list, index)| self.rule(list, index));
        self.place_in(lint, rule)
    }

    fn place_in(&self, lint: Lint, rule: Option<Value<'a>>) -> PlacedLint {
        let span = match (rule, lint.key()) {
            (Some(rule), Some(key)) => part_of(rule, key).span(),
            (Some(rule), None) => rule.span(),
            (None, key) => {
                let value = key.and_then(|key| self.root.field(key));
                value.unwrap_or(self.root).span()
            }
        };
        let (line, column) = self.places.of(span.start);
        let label = rule.and_then(|rule| rule.field("label")?.string().ok());
        let related = lint.related().and_then(|(list, index)| self.rule(list, index));
        PlacedLint {
            lint,
            label: label.map(|label| label.into_owned()),
            line,
            column,
            span,
            related: related.map(|rule| self.places.of(rule.span().start)),
        }
    }

    fn rule(&self, list: RuleList, index: usize) -> Option<Value<'a>> {
        let found = self.lists.iter().find(|found| found.list == list)?;
        found.rules.get(index).copied()
    }
}

/// The value of a key in a rule: in the network rule, in an endpoint there, or beside it. Where the
/// key does not stand, what it would stand in.
fn part_of<'a>(rule: Value<'a>, key: &str) -> Value<'a> {
    if let Some(value) = rule.field(key) {
        return value;
    }
    let network_rule = rule.field("networkRule").unwrap_or(rule);
    let networks = ["destinationNetwork", "destinationHost", "remoteNetwork", "localNetwork"];
    let in_endpoint = |network| network_rule.field(network)?.field(key);
    let found = network_rule.field(key).or_else(|| networks.into_iter().find_map(in_endpoint));
    found.unwrap_or(network_rule)
}

/// A rule with a range of ports, which reads but which the framework does not take, in the form in
/// which it does.
fn without_range(rule: SuggestedRule, list: RuleList) -> Vec<SuggestedRule> {
    let lints = match rule.filter_rule() {
        Some(rule) => lint::lint(&FilterSettings::new(vec![rule], Action::FilterData)),
        None => {
            let (rules, none) = (vec![rule.network_rule().clone()], Vec::new());
            lint::lint_proxy(&match list {
                RuleList::Excluded => TransparentProxySettings::new(none, rules),
                RuleList::Rules | RuleList::Included => TransparentProxySettings::new(rules, none),
            })
        }
    };
    let range = lints.iter().find(|lint| lint.code() == LintCode::Ports);
    let edits = range.and_then(Lint::suggestion).map_or(&[][..], Suggestion::edits);
    match edits {
        [Edit::Splice { insert, .. }] => insert.clone(),
        _ => vec![rule],
    }
}

fn of_filter(rules: Vec<(usize, FilterRule)>, default_action: Action) -> Vec<Lint> {
    let (indices, rules): (Vec<_>, Vec<_>) = rules.into_iter().unzip();
    let lints = lint::lint(&FilterSettings::new(rules, default_action));
    let index = |_, index| (RuleList::Rules, indices.get(index).copied().unwrap_or(index));
    lints.into_iter().map(|lint| relisted(lint, &index, &[])).collect()
}

fn of_proxy(included: Vec<(usize, NetworkRule)>, excluded: Vec<(usize, NetworkRule)>) -> Vec<Lint> {
    let (included_indices, included): (Vec<_>, Vec<_>) = included.into_iter().unzip();
    let (excluded_indices, excluded): (Vec<_>, Vec<_>) = excluded.into_iter().unzip();
    let lints = lint::lint_proxy(&TransparentProxySettings::new(included, excluded));
    let index = |list, index| {
        let indices = match list {
            RuleList::Excluded => &excluded_indices,
            RuleList::Rules | RuleList::Included => &included_indices,
        };
        (list, indices.get(index).copied().unwrap_or(index))
    };
    lints.into_iter().map(|lint| relisted(lint, &index, &[])).collect()
}

/// The lints of a content filter's rules as those of a proxy, which stay in their list.
fn of_filter_as_proxy(rules: &[(usize, FilterRule)]) -> Vec<Lint> {
    let is_excluded = |rule: &&(usize, FilterRule)| rule.1.action() == Action::Allow;
    let (excluded, included): (Vec<_>, Vec<_>) = rules.iter().partition(is_excluded);
    let network_rules = |rules: &[&(usize, FilterRule)]| {
        rules.iter().map(|(_, rule)| rule.network_rule().clone()).collect()
    };
    let settings =
        TransparentProxySettings::new(network_rules(&included), network_rules(&excluded));
    let index = |list, index: usize| {
        let rules = if list == RuleList::Excluded { &excluded } else { &included };
        (RuleList::Rules, rules.get(index).map_or(index, |(index, _)| *index))
    };
    let lints = lint::lint_proxy(&settings);
    lints.into_iter().map(|lint| relisted(lint, &index, rules)).collect()
}

/// The lint of rules that stand elsewhere. Rules that are suggested in place of one of `rules` get
/// its action and label.
fn relisted(
    lint: Lint,
    place: &impl Fn(RuleList, usize) -> (RuleList, usize),
    rules: &[(usize, FilterRule)],
) -> Lint {
    let rule = lint.rule().map(|(list, index)| place(list, index).1);
    let original = rule.and_then(|rule| {
        let found = rules.binary_search_by_key(&rule, |(index, _)| *index).ok()?;
        rules.get(found).map(|(_, rule)| rule)
    });
    let mut suggestion = lint.suggestion().cloned();
    let mut is_contiguous = true;
    for edit in suggestion.iter_mut().flat_map(|suggestion| suggestion.edits_mut()) {
        let Edit::Splice { list, at, remove, insert } = edit else { continue };
        let old = *list;
        (*list, *at) = match (*remove, at.checked_sub(1)) {
            // After the rule before.
            (0, Some(before)) => {
                let (list, before) = place(old, before);
                (list, before + 1)
            }
            (0, None) => (place(old, 0).0, 0),
            (remove, _) => {
                let (list, first) = place(old, *at);
                is_contiguous &= place(old, *at + remove - 1).1 == first + remove - 1;
                (list, first)
            }
        };
        if let Some(original) = original {
            for rule in insert {
                *rule = SuggestedRule::new(
                    rule.network_rule().clone(),
                    Some(original.action()),
                    original.label(),
                );
            }
        }
    }
    lint.moved(place).suggesting(suggestion.filter(|_| is_contiguous))
}

/// Writes a lint as one line of JSON, without the newline.
///
/// ```json
/// {"code": "L-01", "severity": "error", "list": "rules", "rule": 0, "label": null,
///  "key": "remotePrefix", "line": 6, "column": 25, "title": "...", "message": "...",
///  "clause": "S-11", "related": null, "suggestion": [{"list": "rules", "at": 0, "remove": 1,
///  "insert": [{"networkRule": {}, "action": "filterData"}]}]}
/// ```
///
/// `list` and `rule` are null for a lint about the settings as a whole. `suggestion` is null, or
/// the edits that mend it, to be done one after the other: `remove` rules of `list` from `at` on and
/// put those of `insert` in their place; or, with `defaultAction`, set that.
pub fn write(lint: &PlacedLint) -> String {
    to_json(lint)
}

impl Serialize for PlacedLint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let PlacedLint { lint, label, line, column, .. } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", lint.code().as_str())?;
        map.serialize_entry("severity", lint.severity().as_str())?;
        map.serialize_entry("list", &lint.rule().map(|(list, _)| list.as_str()))?;
        map.serialize_entry("rule", &lint.rule_index())?;
        map.serialize_entry("label", label)?;
        map.serialize_entry("key", &lint.key())?;
        map.serialize_entry("line", line)?;
        map.serialize_entry("column", column)?;
        map.serialize_entry("title", lint.code().title())?;
        map.serialize_entry("message", lint.message())?;
        map.serialize_entry("clause", lint.code().clause())?;
        map.serialize_entry("related", &lint.related().map(Related))?;
        map.serialize_entry("suggestion", &lint.suggestion())?;
        map.end()
    }
}

/// Another rule.
struct Related((RuleList, usize));

impl Serialize for Related {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Related((list, index)) = self;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("list", list.as_str())?;
        map.serialize_entry("rule", index)?;
        map.end()
    }
}

/// The edits, as an array.
impl Serialize for Suggestion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.edits())
    }
}

impl Serialize for Edit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Edit::Splice { list, at, remove, insert } => {
                map.serialize_entry("list", list.as_str())?;
                map.serialize_entry("at", at)?;
                map.serialize_entry("remove", remove)?;
                map.serialize_entry("insert", insert)?;
            }
            Edit::DefaultAction(action) => map.serialize_entry("defaultAction", action)?,
        }
        map.end()
    }
}

/// As the list has its rules: with an action, or the network rule by itself.
impl Serialize for SuggestedRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.filter_rule() {
            Some(rule) => rule.serialize(serializer),
            None => self.network_rule().serialize(serializer),
        }
    }
}
