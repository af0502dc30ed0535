//! [`TransparentProxySettings`]: included and excluded rules of NETransparentProxyNetworkSettings
//! (S-90 to S-98).

use crate::endpoint::Ports;
use crate::flow::{Direction, Flow};
use crate::network::Network;
use crate::rule::{Initializer, NetworkRule, Protocol, Remote};
use std::fmt;

/// Which flows a transparent proxy is offered: the included and excluded network rules of
/// NETransparentProxyNetworkSettings.
///
/// # Examples
///
/// ```
/// use flowsieve::*;
///
/// let everything =
///     NetworkRule::remote_network(None, 0, None, 0, Protocol::Any, Direction::Outbound)?;
/// let private =
///     NetworkRule::destination_network(Endpoint::new("10.0.0.0", "0")?, 8, Protocol::Any)?;
/// let settings = TransparentProxySettings::new(vec![everything], vec![private]);
///
/// let flow = |remote: &str| -> Result<Flow<'static>, Error> {
///     Flow::new(IpProtocol::TCP, Direction::Outbound).with_remote(remote.parse()?)
/// };
/// assert!(!settings.decide(&flow("10.1.1.1:443")?).is_proxied());
/// assert!(settings.decide(&flow("8.8.8.8:443")?).is_proxied());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransparentProxySettings {
    included: Vec<NetworkRule>,
    excluded: Vec<NetworkRule>,
}

impl TransparentProxySettings {
    /// The number of rules above which a proxy's rules are reported: Apple documents no limit,
    /// but about 16,000 have hung a machine (S-97).
    pub const MANY_RULES: usize = 1000;

    /// The port that no address rule may name; DNS is taken by host rules (S-91).
    pub const DNS_PORT: u16 = 53;

    /// Makes settings from `includedNetworkRules` and `excludedNetworkRules`.
    #[doc(alias = "includedNetworkRules")]
    #[doc(alias = "excludedNetworkRules")]
    pub fn new(included: Vec<NetworkRule>, excluded: Vec<NetworkRule>) -> TransparentProxySettings {
        TransparentProxySettings { included, excluded }
    }

    /// Returns `includedNetworkRules`.
    pub fn included(&self) -> &[NetworkRule] {
        &self.included
    }

    /// Returns `excludedNetworkRules`.
    pub fn excluded(&self) -> &[NetworkRule] {
        &self.excluded
    }

    /// Decides whether `flow` is offered to the proxy: an excluded rule that matches keeps it
    /// away, else an included rule that matches offers it, else it goes direct (S-90).
    ///
    /// Loopback flows are outside nil and wildcard rules, so they go direct unless an included
    /// rule names them; field reports disagree on that (S-94). A proxy that declines an offered
    /// flow lets it go direct (S-98); that is not visible here.
    ///
    /// # Complexity
    ///
    /// Linear in the number of rules.
    pub fn decide(&self, flow: &Flow<'_>) -> ProxyDecision {
        let first = |rules: &[NetworkRule]| rules.iter().position(|rule| rule.matches(flow));
        match first(&self.excluded) {
            Some(index) => ProxyDecision::Excluded(index),
            None => first(&self.included).map_or(ProxyDecision::Direct, ProxyDecision::Included),
        }
    }

    /// Returns each reason for which the framework refuses these settings as a whole
    /// (`NETunnelProviderErrorDomain` code 1, S-92), and whether there are more rules than are
    /// known to be safe. Empty if there is nothing.
    ///
    /// Apple's text gives the wildcard addresses as examples of what is *not* a wildcard; it is
    /// read as "other than" (S-91). Rules whose remote side is nil are accepted although the same
    /// written as a wildcard is refused (S-93). Port 0 with a real network is accepted; one field
    /// note to the contrary is taken to be about a wildcard (S-96).
    pub fn validate_for_framework(&self) -> Vec<ProxyIssue> {
        let lists = [(ProxyList::Excluded, &self.excluded), (ProxyList::Included, &self.included)];
        let issues = lists.into_iter().flat_map(|(list, rules)| {
            let rules = rules.iter().enumerate();
            rules.flat_map(move |(index, rule)| {
                let kinds = ProxyIssueKind::of_rule(rule);
                kinds.map(move |kind| ProxyIssue { rule: Some((list, index)), kind })
            })
        });
        let count = self.included.len() + self.excluded.len();
        let many = (count > Self::MANY_RULES)
            .then_some(ProxyIssue { rule: None, kind: ProxyIssueKind::ManyRules { count } });
        issues.chain(many).collect()
    }
}

/// Whether a flow is offered to a transparent proxy, and the rule that decided, by its index in
/// its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyDecision {
    /// An excluded rule matched: the flow goes direct.
    Excluded(usize),
    /// An included rule matched: the flow is offered to the proxy.
    Included(usize),
    /// No rule matched: the flow goes direct.
    Direct,
}

impl ProxyDecision {
    /// Returns whether the flow is offered to the proxy.
    pub fn is_proxied(self) -> bool {
        matches!(self, ProxyDecision::Included(_))
    }
}

/// One of the two lists of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyList {
    /// `includedNetworkRules`.
    Included,
    /// `excludedNetworkRules`.
    Excluded,
}

/// A reason why the framework would refuse proxy settings, or a danger in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyIssue {
    rule: Option<(ProxyList, usize)>,
    kind: ProxyIssueKind,
}

impl ProxyIssue {
    /// Returns the list and the index in it; `None` if it is about the settings as a whole.
    pub fn rule(&self) -> Option<(ProxyList, usize)> {
        self.rule
    }

    /// Returns the reason.
    pub fn kind(&self) -> &ProxyIssueKind {
        &self.kind
    }

    /// Returns whether the framework refuses the settings for it; if not, it is a warning.
    pub fn is_refusal(&self) -> bool {
        !matches!(self.kind, ProxyIssueKind::ManyRules { .. })
    }
}

impl fmt::Display for ProxyIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Some((ProxyList::Included, index)) => write!(f, "included rule {index}: ")?,
            Some((ProxyList::Excluded, index)) => write!(f, "excluded rule {index}: ")?,
            None => {}
        }
        self.kind.fmt(f)
    }
}

/// What a [`ProxyIssue`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyIssueKind {
    /// A wildcard address with any port. The prefix length does not change that (S-91, S-92).
    WildcardWithAnyPort,
    /// An address rule that covers port 53 by naming it (S-91).
    DnsPort,
    /// A local network (S-91).
    LocalNetwork,
    /// A direction other than outbound. Documented as forbidden; one field report says that rules
    /// of direction any break, another uses them with unknown result (S-91, S-95).
    Direction {
        /// The direction.
        direction: Direction,
    },
    /// A port range: extension.
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
    /// More rules than are known to be safe (S-97). Not refused.
    ManyRules {
        /// The number of rules in both lists.
        count: usize,
    },
}

impl ProxyIssueKind {
    fn of_rule(rule: &NetworkRule) -> impl Iterator<Item = ProxyIssueKind> + use<> {
        let ports = rule.remote().ports();
        let is_range = !ports.is_any() && ports.as_one().is_none();
        let (is_address, is_wildcard) = match rule.remote() {
            Remote::Network(network) => (true, matches!(network, Network::Wildcard { .. })),
            Remote::Host { .. } => (false, false),
        };
        let names_dns = !ports.is_any() && ports.contains(TransparentProxySettings::DNS_PORT);
        let direction = rule.match_direction();
        let number = match rule.match_protocol() {
            Protocol::Number(number) => Some(ProxyIssueKind::ProtocolNumber { number }),
            Protocol::Any | Protocol::Tcp | Protocol::Udp => None,
        };
        let is_misplaced = !is_address && rule.initializer() != Initializer::DestinationHost;
        [
            (is_wildcard && ports.is_any()).then_some(ProxyIssueKind::WildcardWithAnyPort),
            (is_address && names_dns).then_some(ProxyIssueKind::DnsPort),
            (*rule.local() != Network::Nil).then_some(ProxyIssueKind::LocalNetwork),
            (direction != Direction::Outbound).then_some(ProxyIssueKind::Direction { direction }),
            is_range.then_some(ProxyIssueKind::PortRange { ports }),
            number,
            is_misplaced.then_some(ProxyIssueKind::HostnameInNetwork),
        ]
        .into_iter()
        .flatten()
    }
}

impl fmt::Display for ProxyIssueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyIssueKind::WildcardWithAnyPort => {
                f.write_str("a wildcard address needs a port, and any port needs a real network")
            }
            ProxyIssueKind::DnsPort => {
                f.write_str("port 53 is not allowed in an address rule: use host rules for DNS")
            }
            ProxyIssueKind::LocalNetwork => f.write_str("the local network must be nil"),
            ProxyIssueKind::Direction { direction } => {
                write!(f, "direction must be outbound, not {direction}")
            }
            ProxyIssueKind::PortRange { ports } => {
                write!(f, "a network rule takes one port or any, not the range {ports}")
            }
            ProxyIssueKind::ProtocolNumber { number } => {
                write!(f, "a network rule takes TCP, UDP or any, not protocol {number}")
            }
            ProxyIssueKind::HostnameInNetwork => {
                f.write_str("a network initialiser takes an address, not a host name")
            }
            ProxyIssueKind::ManyRules { count } => write!(
                f,
                "{count} rules: no limit is documented, but thousands of rules have hung machines"
            ),
        }
    }
}
