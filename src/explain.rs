//! [`explain`]: rule by rule, why it matched a flow or which part did not.

use crate::decision::Decision;
use crate::endpoint::Ports;
use crate::flow::{Flow, FlowEndpoint};
use crate::network::{Answer, Network};
use crate::reference;
use crate::rule::{NetworkRule, Remote, RulePart, RuleTest};
use crate::settings::{FilterSettings, Precedence};
use std::cmp::Reverse;

/// Why settings decide a flow as they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    decision: Decision,
    rules: Vec<RuleOutcome>,
}

/// How one rule fared against a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleOutcome {
    index: usize,
    outcome: Outcome,
    test: RuleTest,
}

/// What a rule has to do with a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It matches and decides.
    Decides,
    /// It matches, but a rule that goes before it decides.
    Overruled,
    /// It goes before the deciding rule and could match once more is known of the flow.
    Pending,
    /// It comes after the deciding rule, and could match once more is known of the flow.
    Late,
    /// It does not match.
    Fails,
}

/// Explains what [`reference::decide`] says about `flow`, with every rule in the order in which
/// they are considered.
///
/// # Complexity
///
/// O(n log n) in the number of rules.
pub fn explain(settings: &FilterSettings, precedence: Precedence, flow: &Flow<'_>) -> Explanation {
    let decision = reference::decide(settings, precedence, flow);
    let mut rules: Vec<_> = settings.rules().iter().enumerate().collect();
    rules.sort_by_key(|(_, rule)| Reverse(precedence.specificity(rule)));
    let mut decided = false;
    let rules = rules.into_iter().map(|(index, rule)| {
        let test = rule.network_rule().test(flow);
        let outcome = match test.answer() {
            Answer::Yes if decided => Outcome::Overruled,
            Answer::Yes => Outcome::Decides,
            Answer::NotYet if decided => Outcome::Late,
            Answer::NotYet => Outcome::Pending,
            Answer::No => Outcome::Fails,
        };
        decided |= outcome == Outcome::Decides;
        RuleOutcome { index, outcome, test }
    });
    Explanation { decision, rules: rules.collect() }
}

impl Explanation {
    /// Returns the decision.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Returns how each rule fared, in the order in which they are considered.
    pub fn rules(&self) -> &[RuleOutcome] {
        &self.rules
    }
}

impl RuleOutcome {
    /// Returns the index of the rule.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns what the rule has to do with the decision.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Returns how each part of the rule fared.
    pub fn test(&self) -> &RuleTest {
        &self.test
    }

    /// Returns a sentence for each part that does not hold, or not yet. `rule` and `flow` are
    /// those that were explained.
    pub fn reasons(&self, rule: &NetworkRule, flow: &Flow<'_>) -> Vec<String> {
        let parts = self.test.parts().into_iter();
        let failed = match self.test.answer() {
            Answer::Yes | Answer::No => Answer::No,
            Answer::NotYet => Answer::NotYet,
        };
        let failed = parts.filter(|(_, answer)| *answer == failed);
        failed.map(|(part, answer)| reason(part, answer, rule, flow)).collect()
    }
}

impl Outcome {
    /// Returns `decides`, `overruled`, `pending`, `late` or `fails`.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Decides => "decides",
            Outcome::Overruled => "overruled",
            Outcome::Pending => "pending",
            Outcome::Late => "late",
            Outcome::Fails => "fails",
        }
    }
}

fn reason(part: RulePart, answer: Answer, rule: &NetworkRule, flow: &Flow<'_>) -> String {
    let not_yet = answer == Answer::NotYet;
    match part {
        RulePart::Protocol => {
            format!("protocol {} is not {}", flow.protocol(), rule.match_protocol())
        }
        RulePart::Direction => {
            format!("direction {} is not {}", flow.direction(), rule.match_direction())
        }
        RulePart::RemoteAddress => {
            let network = rule.remote_side().unwrap_or(&Network::Nil);
            address_reason("remote", network, flow.remote())
        }
        RulePart::RemotePort => port_reason("remote", rule.remote().ports(), flow.remote()),
        RulePart::LocalAddress if not_yet => {
            format!("local address is not known yet: {} could hold it", rule.local())
        }
        RulePart::LocalAddress => address_reason("local", rule.local(), flow.local()),
        RulePart::LocalPort if not_yet => {
            format!("local port is not known yet: could be {}", rule.local().ports())
        }
        RulePart::LocalPort => port_reason("local", rule.local().ports(), flow.local()),
        RulePart::Hostname => {
            let Remote::Host { name, .. } = rule.remote() else { return String::new() };
            match flow.trimmed_hostname() {
                None => format!("host name is not known: could be {name}"),
                Some(found) if name.is_single_label() => {
                    format!("host name {} is not {name}", found.escape_debug())
                }
                Some(found) => {
                    format!("host name {} is not {name} or below it", found.escape_debug())
                }
            }
        }
        RulePart::Loopback => {
            "loopback flow: only a rule that names an address matches it".to_owned()
        }
    }
}

fn address_reason(side: &str, network: &Network, endpoint: Option<FlowEndpoint>) -> String {
    let (host, bits) = match network.endpoint() {
        Some(network_endpoint) => {
            (network_endpoint.host().to_string(), network.prefix().unwrap_or(0))
        }
        None => ("any".to_owned(), 0),
    };
    match endpoint {
        None => format!("{side} endpoint is not known, so {host}/{bits} does not match"),
        Some(endpoint) => match endpoint.folded_address() {
            None => format!("{side} endpoint is a name, so {host}/{bits} does not match"),
            Some(address) => match endpoint.zone() {
                Some(zone) => format!("{side} address {address}%{zone} is not in {host}/{bits}"),
                None => format!("{side} address {address} is not in {host}/{bits}"),
            },
        },
    }
}

fn port_reason(side: &str, ports: Ports, endpoint: Option<FlowEndpoint>) -> String {
    match endpoint.map_or(0, FlowEndpoint::port) {
        0 => format!("{side} port is not known, so {ports} does not match"),
        port => format!("{side} port {port} is not {ports}"),
    }
}
