//! [`lint`] and [`lint_proxy`]: mistakes that can be seen in rules.
//!
//! | module | lints |
//! |---|---|
//! | [`framework`] | what the framework refuses: L-02, L-09, L-10, L-12, L-13, L-14, L-19 |
//! | [`prefixes`] | L-01, L-06, L-08, L-21, L-26 |
//! | [`loopback`] | L-04, L-05, L-27 |
//! | [`families`] | L-07 |
//! | [`hosts`] | L-16, L-17, L-18, L-24 |
//! | [`ports`] | L-11, L-12 |
//! | [`order`] | L-15 |
//! | [`protocols`] | L-19 |
//!
//! L-03, L-23 and L-25 are about text that no rule can be made of; `formats::lints` finds them, and
//! L-02 and L-12 where they are of that kind.

mod code;
mod draft;
mod families;
mod framework;
mod hosts;
mod loopback;
mod order;
mod ports;
mod prefixes;
mod protocols;
mod punycode;
mod suggestion;

pub use self::code::{LintCode, Severity};
pub use self::suggestion::{Edit, RuleList, SuggestedRule, Suggestion};

use crate::proxy::TransparentProxySettings;
use crate::rule::{Action, FilterRule, NetworkRule};
use crate::settings::FilterSettings;
use std::fmt;

/// A likely mistake in settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    code: LintCode,
    severity: Severity,
    rule: Option<(RuleList, usize)>,
    related: Option<(RuleList, usize)>,
    key: Option<&'static str>,
    message: String,
    suggestion: Option<Suggestion>,
}

/// Returns the likely mistakes in the settings of a content filter: those about the settings as a
/// whole, then those of each rule, in the order of the rules and of the codes.
///
/// What [`FilterSettings::validate_for_framework`] reports is among them. Rules are taken to be
/// tried in the order of the list.
///
/// # Examples
///
/// ```
/// use flowsieve::*;
///
/// let host = Endpoint::new("111.111.111.111", "0")?;
/// let rule = NetworkRule::destination_network(host, 0, Protocol::Tcp)?;
/// let rules = vec![FilterRule::new(rule, Action::FilterData)];
/// let settings = FilterSettings::new(rules, Action::Allow);
///
/// let lints = lint(&settings);
/// assert_eq!(lints[0].code(), LintCode::PrefixZero);
/// let mended = lints[0].suggestion().ok_or("no suggestion")?.apply_to_filter(&settings);
/// assert_eq!(mended.rules()[0].network_rule().match_remote_prefix(), Some(32));
/// assert!(lint(&mended).is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Complexity
///
/// Linear in the number of rules, but for L-15: for each rule one look-up for each combination of
/// prefix lengths, protocol, direction and kind of port (any, one, range) that other rules have and
/// that can hold it, times the number of different port ranges on the networks found.
pub fn lint(settings: &FilterSettings) -> Vec<Lint> {
    let entries = settings.rules().iter().enumerate();
    let entries = entries.map(|(index, rule)| Entry::of_filter(index, rule)).collect();
    let rules = Rules { entries, excluded: 0, default_action: Some(settings.default_action()) };
    let mut lints = framework::of_filter(settings, &rules);
    lints.extend(rules.lints());
    sorted(lints)
}

/// Returns the likely mistakes in the settings of a transparent proxy: those about the settings as
/// a whole, then those of the included rules, then those of the excluded ones.
///
/// What [`TransparentProxySettings::validate_for_framework`] reports is among them. L-11, L-18,
/// L-19, L-27 and L-04 are not: the first is refused as L-10, and the others are about actions,
/// which network rules do not have.
///
/// # Complexity
///
/// As for [`lint`].
pub fn lint_proxy(settings: &TransparentProxySettings) -> Vec<Lint> {
    // Excluded rules are tried first (S-90).
    let lists =
        [(RuleList::Excluded, settings.excluded()), (RuleList::Included, settings.included())];
    let entries = lists.into_iter().flat_map(|(list, rules)| {
        let rules = rules.iter().enumerate();
        rules.map(move |(index, rule)| Entry { list, index, rule, action: None, label: None })
    });
    let excluded = settings.excluded().len();
    let rules = Rules { entries: entries.collect(), excluded, default_action: None };
    let mut lints = framework::of_proxy(settings, &rules);
    lints.extend(rules.lints());
    sorted(lints)
}

fn sorted(mut lints: Vec<Lint>) -> Vec<Lint> {
    lints.sort_by_key(|lint| (lint.rule, lint.code));
    lints
}

impl Lint {
    /// Returns the code.
    pub fn code(&self) -> LintCode {
        self.code
    }

    /// Returns how much it matters: that of the code, or [`Severity::Error`] where the framework
    /// refuses the rule.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns the list that the rule stands in, and its index there; `None` if the lint is about
    /// the settings as a whole.
    pub fn rule(&self) -> Option<(RuleList, usize)> {
        self.rule
    }

    /// Returns the index of the rule in its list.
    pub fn rule_index(&self) -> Option<usize> {
        self.rule.map(|(_, index)| index)
    }

    /// Returns another rule that has to do with it: the one that shadows, for L-15.
    pub fn related(&self) -> Option<(RuleList, usize)> {
        self.related
    }

    /// Returns the key of the settings file that it is about, such as `remotePrefix`; `None` if it
    /// is about the whole rule.
    pub fn key(&self) -> Option<&'static str> {
        self.key
    }

    /// Returns what happens and what is likely meant.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the change that mends it; `None` where no rule could say what is likely meant.
    pub fn suggestion(&self) -> Option<&Suggestion> {
        self.suggestion.as_ref()
    }

    /// A lint about the settings as a whole.
    pub(crate) fn of_settings(code: LintCode, key: Option<&'static str>, message: String) -> Lint {
        let severity = code.severity();
        Lint { code, severity, rule: None, related: None, key, message, suggestion: None }
    }

    /// The same lint for rules that stand elsewhere.
    #[cfg(feature = "serde")]
    pub(crate) fn moved(self, place: impl Fn(RuleList, usize) -> (RuleList, usize)) -> Lint {
        let moved = |rule: Option<(RuleList, usize)>| rule.map(|(list, index)| place(list, index));
        Lint { rule: moved(self.rule), related: moved(self.related), ..self }
    }

    /// A lint about one rule.
    pub(crate) fn of_rule(
        code: LintCode,
        list: RuleList,
        index: usize,
        key: Option<&'static str>,
        message: String,
    ) -> Lint {
        Lint { rule: Some((list, index)), ..Lint::of_settings(code, key, message) }
    }

    pub(crate) fn suggesting(self, suggestion: Option<Suggestion>) -> Lint {
        Lint { suggestion, ..self }
    }

    pub(crate) fn refused(self) -> Lint {
        Lint { severity: Severity::Error, ..self }
    }
}

/// `L-01 rule 0: remotePrefix 0 compares no bits of ... (S-11)`
impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Some((list, index)) => write!(f, "{} {}: ", self.code, list.rule_name(index))?,
            None => write!(f, "{}: ", self.code)?,
        }
        write!(f, "{} ({}", self.message, self.code.clause())?;
        match self.related {
            Some((list, index)) => write!(f, "; see {})", list.rule_name(index)),
            None => f.write_str(")"),
        }
    }
}

/// The rules in the order in which they are tried.
struct Rules<'a> {
    entries: Vec<Entry<'a>>,
    /// How many of them are excluded rules of a proxy.
    excluded: usize,
    /// The default action of a content filter; `None` for a proxy.
    default_action: Option<Action>,
}

/// A rule and where it stands.
#[derive(Clone, Copy)]
struct Entry<'a> {
    list: RuleList,
    index: usize,
    rule: &'a NetworkRule,
    /// `None` for a proxy.
    action: Option<Action>,
    label: Option<&'a str>,
}

/// The lints that see one rule at a time.
const OF_ONE_RULE: [fn(&Entry<'_>) -> Option<Lint>; 9] = [
    prefixes::zero,
    prefixes::loopback_network_as_host,
    prefixes::wildcard_with_prefix,
    prefixes::mapped,
    loopback::other_action,
    hosts::star,
    hosts::single_label,
    hosts::non_ascii,
    ports::local_of_outbound_tcp,
];

/// The lints that see all rules.
const OF_ALL_RULES: [fn(&Rules<'_>) -> Vec<Lint>; 7] = [
    loopback::unnamed,
    loopback::one_family,
    families::one_wildcard,
    hosts::alone,
    ports::runs,
    order::shadowed,
    protocols::other,
];

impl Rules<'_> {
    fn lints(&self) -> impl Iterator<Item = Lint> {
        let of_one = self
            .entries
            .iter()
            .flat_map(|entry| OF_ONE_RULE.iter().filter_map(move |of_one_rule| of_one_rule(entry)));
        of_one.chain(OF_ALL_RULES.iter().flat_map(|of_all_rules| of_all_rules(self)))
    }

    /// The lists that there are; the twin of a rule is looked for in its own.
    fn lists(&self) -> impl Iterator<Item = Vec<&Entry<'_>>> {
        RuleList::ALL
            .into_iter()
            .map(|list| self.entries.iter().filter(|entry| entry.list == list).collect::<Vec<_>>())
    }

    fn get(&self, list: RuleList, index: usize) -> Option<&Entry<'_>> {
        // Excluded rules come first, and filters have one list.
        let start = if list == RuleList::Included { self.excluded } else { 0 };
        self.entries.get(start + index)
    }
}

impl<'a> Entry<'a> {
    fn of_filter(index: usize, rule: &'a FilterRule) -> Entry<'a> {
        Entry {
            list: RuleList::Rules,
            index,
            rule: rule.network_rule(),
            action: Some(rule.action()),
            label: rule.label(),
        }
    }

    fn lint(&self, code: LintCode, key: Option<&'static str>, message: String) -> Lint {
        Lint::of_rule(code, self.list, self.index, key, message)
    }

    /// Suggests these in place of the rule, with its action and label.
    fn replaced_by(&self, rules: impl IntoIterator<Item = NetworkRule>) -> Suggestion {
        self.replaced_with(rules, self.action)
    }

    /// Suggests these in place of the rule, with its label.
    fn replaced_with(
        &self,
        rules: impl IntoIterator<Item = NetworkRule>,
        action: Option<Action>,
    ) -> Suggestion {
        Suggestion::splice(self.list, self.index, 1, self.suggested(rules, action))
    }

    /// Suggests to add these after the rule, with its action.
    fn followed_by(&self, rules: impl IntoIterator<Item = NetworkRule>) -> Suggestion {
        Suggestion::splice(self.list, self.index + 1, 0, self.suggested(rules, self.action))
    }

    /// Suggests to remove the rule.
    fn removed(&self) -> Suggestion {
        Suggestion::splice(self.list, self.index, 1, Vec::new())
    }

    fn suggested(
        &self,
        rules: impl IntoIterator<Item = NetworkRule>,
        action: Option<Action>,
    ) -> Vec<SuggestedRule> {
        let rules = rules.into_iter();
        rules.map(|rule| SuggestedRule::new(rule, action, self.label)).collect()
    }
}
