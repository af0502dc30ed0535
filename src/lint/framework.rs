//! What the framework refuses, by the lints that say the same: L-02, L-09, L-10, L-12, L-13, L-14,
//! L-19.

use super::draft::{Draft, Side};
use super::ports;
use super::{Entry, Lint, LintCode, RuleList, Rules, SuggestedRule, Suggestion};
use crate::flow::Direction;
use crate::network::Network;
use crate::proxy::{ProxyIssueKind, TransparentProxySettings};
use crate::rule::{NetworkRule, Protocol};
use crate::settings::{FilterSettings, FrameworkIssueKind};

/// The reports of [`FilterSettings::validate_for_framework`].
pub(super) fn of_filter(settings: &FilterSettings, rules: &Rules<'_>) -> Vec<Lint> {
    let lint = |rule: Option<usize>, kind: &FrameworkIssueKind| {
        let message = kind.to_string();
        let entry = rule.and_then(|index| rules.get(RuleList::Rules, index));
        Some(match *kind {
            FrameworkIssueKind::TooManyRules { .. } => {
                let message = format!(
                    "{message}, the most that the framework takes: fold them into fewer prefixes, as a \
                     plan does, and let the provider decide what these catch too much"
                );
                Lint::of_settings(LintCode::TooManyRules, Some("rules"), message)
            }
            FrameworkIssueKind::DefaultNeedsRule { .. } => {
                Lint::of_settings(LintCode::DefaultWithoutRules, Some("defaultAction"), message)
                    .suggesting(default_as_rule(settings))
            }
            FrameworkIssueKind::PortRange { ports } => ports::of_range(entry?, ports, message),
            FrameworkIssueKind::ProtocolNumber { .. } => protocol_number(entry?, &message),
            FrameworkIssueKind::HostnameInNetwork => hostname_in_network(entry?, message),
        })
    };
    let issues = settings.validate_for_framework();
    issues
        .iter()
        .filter_map(|issue| lint(issue.rule_index(), issue.kind()).map(Lint::refused))
        .collect()
}

/// The reports of [`TransparentProxySettings::validate_for_framework`].
pub(super) fn of_proxy(settings: &TransparentProxySettings, rules: &Rules<'_>) -> Vec<Lint> {
    let lint = |rule: Option<(RuleList, usize)>, kind: &ProxyIssueKind| {
        let message = kind.to_string();
        let entry = rule.and_then(|(list, index)| rules.get(list, index));
        let network_key = |entry: &Entry<'_>| Some(Side::Remote.network_key(entry.rule));
        Some(match *kind {
            ProxyIssueKind::WildcardWithAnyPort => {
                let entry = entry?;
                let lint = entry.lint(LintCode::ProxyWildcardAnyPort, network_key(entry), message);
                lint.suggesting(accepted(entry))
            }
            ProxyIssueKind::DnsPort => {
                let entry = entry?;
                let lint = entry.lint(LintCode::ProxyRuleForm, network_key(entry), message);
                lint.suggesting(accepted(entry))
            }
            ProxyIssueKind::LocalNetwork => {
                let lint = entry?.lint(LintCode::ProxyRuleForm, Some("localNetwork"), message);
                lint.suggesting(accepted(entry?))
            }
            ProxyIssueKind::Direction { .. } => {
                let lint = entry?.lint(LintCode::ProxyRuleForm, Some("direction"), message);
                lint.suggesting(accepted(entry?))
            }
            ProxyIssueKind::PortRange { ports } => ports::of_range(entry?, ports, message),
            ProxyIssueKind::ProtocolNumber { .. } => protocol_number(entry?, &message),
            ProxyIssueKind::HostnameInNetwork => hostname_in_network(entry?, message),
            ProxyIssueKind::ManyRules { .. } => Lint::of_settings(LintCode::Ports, None, message),
        })
    };
    let issues = settings.validate_for_framework();
    let lints = issues.iter().filter_map(|issue| {
        let rule = issue.rule().map(|(list, index)| (RuleList::from(list), index));
        let lint = lint(rule, issue.kind())?;
        Some(if issue.is_refusal() { lint.refused() } else { lint })
    });
    lints.collect()
}

/// A rule for all flows with the default action, which is what the framework asks for.
fn default_as_rule(settings: &FilterSettings) -> Option<Suggestion> {
    let everything =
        NetworkRule::remote_network(None, 0, None, 0, Protocol::Any, Direction::Any).ok()?;
    let rule = SuggestedRule::new(everything, Some(settings.default_action()), None);
    Some(Suggestion::splice(RuleList::Rules, 0, 0, vec![rule]))
}

fn protocol_number(entry: &Entry<'_>, message: &str) -> Lint {
    let message =
        format!("{message}: flows of other protocols get the default action whatever the rules");
    let lint = entry.lint(LintCode::OtherProtocols, Some("protocol"), message);
    lint.suggesting(Some(entry.removed()))
}

/// L-02 for a rule that was made on request.
fn hostname_in_network(entry: &Entry<'_>, message: String) -> Lint {
    let key = Side::Remote.network_key(entry.rule);
    let lint = entry.lint(LintCode::NameInNetwork, Some(key), message);
    let host = entry.rule.match_remote_endpoint().filter(|_| {
        *entry.rule.local() == Network::Nil && entry.rule.match_direction() != Direction::Inbound
    });
    let protocol = entry.rule.match_protocol();
    let rule = host.and_then(|host| NetworkRule::destination_host(host, protocol).ok());
    lint.suggesting(rule.map(|rule| entry.replaced_by([rule])))
}

/// The rule as a proxy takes it: outbound, without a local network, and nil in place of a wildcard
/// with any port. A rule for port 53 is removed: only host rules, for the names that are asked for,
/// say what it says.
fn accepted(entry: &Entry<'_>) -> Option<Suggestion> {
    let rule = entry.rule;
    let ports = rule.remote().ports();
    if rule.remote_side().is_some()
        && !ports.is_any()
        && ports.contains(TransparentProxySettings::DNS_PORT)
    {
        return Some(entry.removed());
    }
    let draft = Draft::of(rule).without(Side::Local).with_direction(Direction::Outbound);
    let draft = match rule.remote_side()? {
        Network::Wildcard { .. } if ports.is_any() => draft.without(Side::Remote),
        _ => draft,
    };
    draft.build().map(|rule| entry.replaced_by([rule]))
}
