//! [`FilterSettings`] (NEFilterSettings): ordered rules, the default action, and what the
//! framework would refuse (S-60 to S-66).

use crate::endpoint::Ports;
use crate::network::Network;
use crate::rule::{Action, FilterRule, Initializer, NetworkRule, Protocol, Remote};
use std::fmt;

/// What a content filter gives the system: NEFilterSettings.
///
/// Any number of rules can be held and matched; the framework takes at most
/// [`MAX_FRAMEWORK_RULES`](FilterSettings::MAX_FRAMEWORK_RULES), see
/// [`validate_for_framework`](FilterSettings::validate_for_framework).
///
/// The default value is an empty list with [`Action::FilterData`]: what applying nil settings
/// restores and what is taken to hold before any are applied (S-66).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterSettings {
    rules: Vec<FilterRule>,
    default_action: Action,
}

impl FilterSettings {
    /// The most rules that the framework takes (S-61).
    pub const MAX_FRAMEWORK_RULES: usize = 1000;

    /// Makes settings: `initWithRules:defaultAction:`.
    ///
    /// The order of the rules decides (S-60). The default action is for flows that no rule
    /// matches, save loopback flows, which are then allowed (S-64).
    #[doc(alias = "initWithRules")]
    pub fn new(rules: Vec<FilterRule>, default_action: Action) -> FilterSettings {
        FilterSettings { rules, default_action }
    }

    /// Returns the rules, in order.
    pub fn rules(&self) -> &[FilterRule] {
        &self.rules
    }

    /// Returns the default action.
    pub fn default_action(&self) -> Action {
        self.default_action
    }

    /// Returns the rules.
    pub fn into_rules(self) -> Vec<FilterRule> {
        self.rules
    }

    /// Returns each thing for which the framework would, or may, refuse these settings, and each
    /// extension that it cannot express. Empty if there is nothing.
    ///
    /// # Complexity
    ///
    /// Linear in the number of rules.
    pub fn validate_for_framework(&self) -> Vec<FrameworkIssue> {
        let settings = [
            (self.rules.len() > Self::MAX_FRAMEWORK_RULES)
                .then_some(FrameworkIssueKind::TooManyRules { count: self.rules.len() }),
            (self.rules.is_empty() && self.default_action != Action::FilterData)
                .then_some(FrameworkIssueKind::DefaultNeedsRule { default: self.default_action }),
        ];
        let settings =
            settings.into_iter().flatten().map(|kind| FrameworkIssue { rule: None, kind });
        let rules = self.rules.iter().enumerate().flat_map(|(index, rule)| {
            let kinds = FrameworkIssueKind::of_rule(rule.network_rule());
            kinds.map(move |kind| FrameworkIssue { rule: Some(index), kind })
        });
        settings.chain(rules).collect()
    }
}

impl Default for FilterSettings {
    fn default() -> FilterSettings {
        FilterSettings::new(Vec::new(), Action::FilterData)
    }
}

/// A reason why the framework would refuse settings or cannot express them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkIssue {
    rule: Option<usize>,
    kind: FrameworkIssueKind,
}

impl FrameworkIssue {
    /// Returns the index of the rule; `None` if it is about the settings as a whole.
    pub fn rule_index(&self) -> Option<usize> {
        self.rule
    }

    /// Returns the reason.
    pub fn kind(&self) -> &FrameworkIssueKind {
        &self.kind
    }
}

impl fmt::Display for FrameworkIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Some(rule) => write!(f, "rule {rule}: {}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

/// What a [`FrameworkIssue`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameworkIssueKind {
    /// More than 1000 rules. Apple documents the limit, not what happens beyond it (S-61).
    TooManyRules {
        /// The number of rules.
        count: usize,
    },
    /// A default action of allow or drop without any rule (S-62).
    DefaultNeedsRule {
        /// The default action.
        default: Action,
    },
    /// A port range: extension (S-25).
    PortRange {
        /// The ports.
        ports: Ports,
    },
    /// A protocol other than TCP, UDP and any: extension (S-30).
    ProtocolNumber {
        /// The IANA number.
        number: u8,
    },
    /// A host name in a network initialiser, taken as a host rule on request (S-46).
    HostnameInNetwork,
}

impl FrameworkIssueKind {
    /// The reasons that lie in one rule.
    fn of_rule(rule: &NetworkRule) -> impl Iterator<Item = FrameworkIssueKind> + use<> {
        let range = |ports: Ports| {
            let ranged = !ports.is_any() && ports.as_one().is_none();
            ranged.then_some(FrameworkIssueKind::PortRange { ports })
        };
        let number = match rule.match_protocol() {
            Protocol::Number(number) => Some(FrameworkIssueKind::ProtocolNumber { number }),
            Protocol::Any | Protocol::Tcp | Protocol::Udp => None,
        };
        let is_host = matches!(rule.remote(), Remote::Host { .. });
        let compatibility = (is_host && rule.initializer() != Initializer::DestinationHost)
            .then_some(FrameworkIssueKind::HostnameInNetwork);
        [range(rule.remote().ports()), range(rule.local().ports()), number, compatibility]
            .into_iter()
            .flatten()
    }
}

impl fmt::Display for FrameworkIssueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameworkIssueKind::TooManyRules { count } => {
                write!(f, "{count} rules exceed {}", FilterSettings::MAX_FRAMEWORK_RULES)
            }
            FrameworkIssueKind::DefaultNeedsRule { default } => {
                write!(f, "default action `{default}` needs at least one rule")
            }
            FrameworkIssueKind::PortRange { ports } => {
                write!(f, "a network rule takes one port or any, not the range {ports}")
            }
            FrameworkIssueKind::ProtocolNumber { number } => {
                write!(f, "a network rule takes TCP, UDP or any, not protocol {number}")
            }
            FrameworkIssueKind::HostnameInNetwork => {
                f.write_str("a network initialiser takes an address, not a host name")
            }
        }
    }
}

/// Which of several matching rules decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precedence {
    /// The first in the list: Apple's (S-60).
    #[default]
    FirstMatch,
    /// Extension: the one with the longest remote prefix, and the first in the list among
    /// those. Nil, wildcards and host rules count as prefix length 0.
    LongestPrefix,
}

impl Precedence {
    /// Both precedences.
    pub const ALL: [Precedence; 2] = [Precedence::FirstMatch, Precedence::LongestPrefix];

    /// Returns `first-match` or `longest-prefix`.
    pub fn as_str(self) -> &'static str {
        match self {
            Precedence::FirstMatch => "first-match",
            Precedence::LongestPrefix => "longest-prefix",
        }
    }

    /// Returns the remote prefix length that counts for `rule`, in bits: 0 under
    /// [`FirstMatch`](Precedence::FirstMatch).
    pub fn specificity(self, rule: &FilterRule) -> u8 {
        match self {
            Precedence::FirstMatch => 0,
            Precedence::LongestPrefix => {
                rule.network_rule().remote_side().map_or(0, Network::compared_bits)
            }
        }
    }
}

impl fmt::Display for Precedence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
