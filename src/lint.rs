//! [`lint`]: mistakes that can be seen in rules.

use crate::endpoint::Endpoint;
use crate::network::Network;
use crate::rule::{Initializer, NetworkRule, Remote};
use crate::settings::FilterSettings;
use std::fmt;

/// A likely mistake in settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    code: LintCode,
    rule: usize,
    message: String,
    suggestion: Option<NetworkRule>,
}

/// The kind of a [`Lint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LintCode {
    /// L-01: a host address with prefix length 0, which catches its whole family (S-11).
    PrefixZero,
}

impl LintCode {
    /// Returns the code, such as `L-01`.
    pub fn as_str(self) -> &'static str {
        match self {
            LintCode::PrefixZero => "L-01",
        }
    }

    /// Returns the clause that the lint rests on.
    pub fn clause(self) -> &'static str {
        match self {
            LintCode::PrefixZero => "S-11",
        }
    }
}

impl fmt::Display for LintCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns the likely mistakes in `settings`, in the order of the rules.
///
/// # Complexity
///
/// Linear in the number of rules.
pub fn lint(settings: &FilterSettings) -> Vec<Lint> {
    let rules = settings.rules().iter().enumerate();
    rules.filter_map(|(index, rule)| prefix_zero(index, rule.network_rule())).collect()
}

impl Lint {
    /// Returns the kind.
    pub fn code(&self) -> LintCode {
        self.code
    }

    /// Returns the index of the rule.
    pub fn rule_index(&self) -> usize {
        self.rule
    }

    /// Returns what happens and what is likely meant.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the rule that is likely meant.
    pub fn suggestion(&self) -> Option<&NetworkRule> {
        self.suggestion.as_ref()
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rule {}: {} ({})", self.code, self.rule, self.message, self.code.clause())
    }
}

/// L-01. With the loopback address it is also L-26, a trick for "all".
fn prefix_zero(index: usize, rule: &NetworkRule) -> Option<Lint> {
    let remote = rule.remote_side().and_then(zero_prefix);
    let local = zero_prefix(rule.local());
    let sides = [("remote", "remotePrefix", remote), ("local", "localPrefix", local)];
    let messages = sides.iter().filter_map(|(side, key, found)| {
        let (endpoint, width) = found.as_ref()?;
        let key = match rule.initializer() {
            Initializer::DestinationNetwork => "destinationPrefix",
            _ => key,
        };
        let family = if *width == 32 { "IPv4" } else { "IPv6" };
        Some(format!(
            "{key} 0 compares no bits of {host}, so the {side} side matches the whole {family} \
             family; for that one host write {width}",
            host = endpoint.host(),
        ))
    });
    let message = messages.collect::<Vec<_>>().join("; ");
    let mended = |network: &Network| match zero_prefix(network) {
        Some((endpoint, width)) => (Some(endpoint), u64::from(width)),
        None => (network.endpoint(), u64::from(network.prefix().unwrap_or(0))),
    };
    let Remote::Network(network) = rule.remote() else { return None };
    let (remote, remote_prefix) = mended(network);
    let (local, local_prefix) = mended(rule.local());
    let (protocol, direction) = (rule.match_protocol(), rule.match_direction());
    let suggestion = match (rule.initializer(), remote) {
        (Initializer::DestinationNetwork, Some(remote)) => {
            NetworkRule::destination_network(remote, remote_prefix, protocol)
        }
        (_, remote) => NetworkRule::remote_network(
            remote,
            remote_prefix,
            local,
            local_prefix,
            protocol,
            direction,
        ),
    };
    (!message.is_empty()).then(|| Lint {
        code: LintCode::PrefixZero,
        rule: index,
        message,
        suggestion: suggestion.ok(),
    })
}

/// The endpoint of an explicit side with prefix length 0, and the width of its family, in bits.
fn zero_prefix(network: &Network) -> Option<(Endpoint, u8)> {
    let is_zero = network.is_explicit() && network.compared_bits() == 0;
    network.endpoint().filter(|_| is_zero).zip(network.family().map(|family| family.bits()))
}
