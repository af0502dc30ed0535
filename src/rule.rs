//! [`NetworkRule`] (NENetworkRule), [`FilterRule`] (NEFilterRule) and [`Action`].
//!
//! [`NetworkRule::matches`] is the definition of a match; everything faster is held to it.

use crate::endpoint::{Endpoint, Host, Ports};
use crate::error::{Error, ErrorKind};
use crate::flow::{Direction, Flow, FlowEndpoint, IpProtocol};
use crate::hostname::HostName;
use crate::network::{Answer, Network};
use std::fmt;
use std::str::FromStr;

/// Which flows a rule is about: NENetworkRule.
///
/// Rules are immutable. The three initialisers are [`destination_network`], [`destination_host`]
/// and [`remote_network`] (S-01); macOS 15's twins that take Network.framework endpoints mean the
/// same (S-03).
///
/// # Examples
///
/// The prefix length decides, not the address: with 0 in place of 32 this rule would match every
/// IPv4 flow (S-11).
///
/// ```
/// use flowsieve::{Direction, Endpoint, Flow, IpProtocol, NetworkRule, Protocol};
///
/// let host = Endpoint::new("111.111.111.111", "0")?;
/// let rule = NetworkRule::destination_network(host.clone(), 32, Protocol::Tcp)?;
/// let trap = NetworkRule::destination_network(host, 0, Protocol::Tcp)?;
///
/// let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
///     .with_remote("123.123.123.123:80".parse()?)?;
/// assert!(!rule.matches(&flow));
/// assert!(trap.matches(&flow));
/// # Ok::<(), flowsieve::Error>(())
/// ```
///
/// [`destination_network`]: NetworkRule::destination_network
/// [`destination_host`]: NetworkRule::destination_host
/// [`remote_network`]: NetworkRule::remote_network
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkRule {
    initializer: Initializer,
    remote: Remote,
    local: Network,
    protocol: Protocol,
    direction: Direction,
}

/// The remote side of a [`NetworkRule`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Remote {
    /// An address rule.
    Network(Network),
    /// A host rule (S-40 to S-46).
    Host {
        /// The name.
        name: HostName,
        /// The ports accepted.
        ports: Ports,
    },
}

/// The NENetworkRule initialiser that a rule was made with (S-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initializer {
    /// `initWithDestinationNetwork:prefix:protocol:`.
    DestinationNetwork,
    /// `initWithDestinationHost:protocol:`.
    DestinationHost,
    /// `initWithRemoteNetwork:remotePrefix:localNetwork:localPrefix:protocol:direction:`.
    RemoteNetwork,
}

impl NetworkRule {
    /// Makes a rule for outbound flows to a network:
    /// `initWithDestinationNetwork:prefix:protocol:`.
    ///
    /// `prefix` is the prefix length, in bits, 0..=32 or 0..=128; a single host needs 32 or 128
    /// (S-11). That the direction is outbound is not written in Apple's header (S-04).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotAnAddress`] for a host name, which Apple says must not be given but does
    /// not say it refuses (S-46, see [`destination_network_or_host`]);
    /// [`ErrorKind::PrefixTooLong`] and [`ErrorKind::PrefixNotFound`], since what Apple does with
    /// a prefix out of range is not known and could match everything (S-12).
    ///
    /// [`destination_network_or_host`]: NetworkRule::destination_network_or_host
    #[doc(alias = "initWithDestinationNetwork")]
    pub fn destination_network(
        endpoint: Endpoint,
        prefix: u64,
        protocol: Protocol,
    ) -> Result<NetworkRule, Error> {
        let remote = Remote::Network(Network::new(&endpoint, prefix)?);
        Ok(NetworkRule::destination(Initializer::DestinationNetwork, remote, protocol))
    }

    /// Makes a rule for outbound flows to a host or domain: `initWithDestinationHost:protocol:`.
    ///
    /// It matches only flows that carry a host name, which plain BSD sockets do not (S-44), and
    /// does not look at the address family. A rule for `localhost` matches a loopback flow of that
    /// name, as the exclusion of loopback is written for address rules; Apple does not document it
    /// (S-41).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AddressAsHostname`] for an IP address (S-45); an empty name or a URL fails
    /// already in [`HostName::new`].
    #[doc(alias = "initWithDestinationHost")]
    pub fn destination_host(endpoint: Endpoint, protocol: Protocol) -> Result<NetworkRule, Error> {
        let remote = Remote::host(&endpoint).ok_or_else(|| {
            Error::new(ErrorKind::AddressAsHostname { host: endpoint.host().to_string() })
        })?;
        Ok(NetworkRule::destination(Initializer::DestinationHost, remote, protocol))
    }

    /// Makes a rule from all six arguments:
    /// `initWithRemoteNetwork:remotePrefix:localNetwork:localPrefix:protocol:direction:`.
    ///
    /// `None` stands for nil and matches any address. A prefix length beside nil is ignored and
    /// not checked; for the remote side Apple does not document that (S-06).
    ///
    /// # Errors
    ///
    /// As for [`NetworkRule::destination_network`], for either side.
    #[doc(alias = "initWithRemoteNetwork")]
    pub fn remote_network(
        remote: Option<Endpoint>,
        remote_prefix: u64,
        local: Option<Endpoint>,
        local_prefix: u64,
        protocol: Protocol,
        direction: Direction,
    ) -> Result<NetworkRule, Error> {
        Ok(NetworkRule {
            initializer: Initializer::RemoteNetwork,
            remote: Remote::Network(side(remote, remote_prefix)?),
            local: side(local, local_prefix)?,
            protocol: protocol.canonical(),
            direction,
        })
    }

    /// Like [`NetworkRule::destination_network`], but a host name makes a host rule, whose prefix
    /// length means nothing (S-13, S-46).
    ///
    /// # Errors
    ///
    /// As for [`NetworkRule::destination_network`], less [`ErrorKind::NotAnAddress`].
    ///
    /// # Source
    ///
    /// Apple's header says a network initialiser must be given an address; an answer of its
    /// developer support builds a rule from a name and says that it works. The two conflict, so
    /// this is opt-in (S-46).
    pub fn destination_network_or_host(
        endpoint: Endpoint,
        prefix: u64,
        protocol: Protocol,
    ) -> Result<NetworkRule, Error> {
        match Remote::host(&endpoint) {
            Some(remote) => {
                Ok(NetworkRule::destination(Initializer::DestinationNetwork, remote, protocol))
            }
            None => NetworkRule::destination_network(endpoint, prefix, protocol),
        }
    }

    /// Like [`NetworkRule::remote_network`], but a host name as the remote network makes a host
    /// rule of the given direction, and its prefix length means nothing (S-46). The local network
    /// still has to be an address.
    ///
    /// # Errors
    ///
    /// As for [`NetworkRule::remote_network`]; [`ErrorKind::NotAnAddress`] only for the local
    /// side.
    ///
    /// # Source
    ///
    /// As for [`NetworkRule::destination_network_or_host`].
    pub fn remote_network_or_host(
        remote: Option<Endpoint>,
        remote_prefix: u64,
        local: Option<Endpoint>,
        local_prefix: u64,
        protocol: Protocol,
        direction: Direction,
    ) -> Result<NetworkRule, Error> {
        let host = remote.as_ref().and_then(Remote::host);
        let remote = if host.is_some() { None } else { remote };
        let rule = NetworkRule::remote_network(
            remote,
            remote_prefix,
            local,
            local_prefix,
            protocol,
            direction,
        )?;
        Ok(match host {
            Some(remote) => NetworkRule { remote, ..rule },
            None => rule,
        })
    }

    fn destination(initializer: Initializer, remote: Remote, protocol: Protocol) -> NetworkRule {
        let (local, direction) = (Network::Nil, Direction::Outbound);
        NetworkRule { initializer, remote, local, protocol: protocol.canonical(), direction }
    }

    /// Returns the initialiser the rule was made with.
    pub fn initializer(&self) -> Initializer {
        self.initializer
    }

    /// Returns the remote side.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Returns the local side; nil for both destination forms.
    pub fn local(&self) -> &Network {
        &self.local
    }

    /// Returns the remote network, wildcard or nil; `None` for a host rule.
    pub fn remote_side(&self) -> Option<&Network> {
        match &self.remote {
            Remote::Network(network) => Some(network),
            Remote::Host { .. } => None,
        }
    }

    /// Returns the remote endpoint: `matchRemoteEndpoint`, and macOS 15's
    /// `matchRemoteHostOrNetworkEndpoint`.
    #[doc(alias = "matchRemoteEndpoint")]
    #[doc(alias = "matchRemoteHostOrNetworkEndpoint")]
    pub fn match_remote_endpoint(&self) -> Option<Endpoint> {
        match &self.remote {
            Remote::Network(network) => network.endpoint(),
            Remote::Host { name, ports } => {
                Some(Endpoint::from_parts(Host::Name(name.clone()), *ports))
            }
        }
    }

    /// Returns the remote prefix length, in bits: `matchRemotePrefix`. `None` stands for
    /// NSNotFound: the remote endpoint does not hold an IP address, so for host rules, and, by the
    /// letter of Apple's header, for nil (S-02).
    #[doc(alias = "matchRemotePrefix")]
    pub fn match_remote_prefix(&self) -> Option<u8> {
        self.remote_side().and_then(Network::prefix)
    }

    /// Returns the local network: `matchLocalNetwork`, and macOS 15's
    /// `matchLocalNetworkEndpoint`. `None` for both destination forms (S-02).
    #[doc(alias = "matchLocalNetwork")]
    #[doc(alias = "matchLocalNetworkEndpoint")]
    pub fn match_local_network(&self) -> Option<Endpoint> {
        self.local.endpoint()
    }

    /// Returns the local prefix length, in bits: `matchLocalPrefix`. `None` stands for NSNotFound:
    /// the local network is nil (S-02).
    #[doc(alias = "matchLocalPrefix")]
    pub fn match_local_prefix(&self) -> Option<u8> {
        self.local.prefix()
    }

    /// Returns the protocol: `matchProtocol`.
    #[doc(alias = "matchProtocol")]
    pub fn match_protocol(&self) -> Protocol {
        self.protocol
    }

    /// Returns the direction: `matchDirection`.
    #[doc(alias = "matchDirection")]
    pub fn match_direction(&self) -> Direction {
        self.direction
    }

    /// Returns whether the rule matches `flow` as it stands.
    ///
    /// # Source
    ///
    /// The reference evaluation order: protocol (S-30, S-31), direction (S-35, S-36), remote side,
    /// local side (S-07), loopback (S-17, S-18); for host rules the name (S-40 to S-44).
    pub fn matches(&self, flow: &Flow<'_>) -> bool {
        self.test(flow).answer() == Answer::Yes
    }

    /// Tests every part of the rule against `flow`.
    pub fn test(&self, flow: &Flow<'_>) -> RuleTest {
        let (local_address, local_port) = self.local.test_local(flow);
        let (remote_address, remote_port, hostname, loopback) = match &self.remote {
            Remote::Network(remote) => {
                let (address, port) = remote.test_remote(flow);
                let named = remote.is_explicit() || self.local.is_explicit();
                (address, port, Answer::Yes, (named || !flow.is_loopback()).into())
            }
            Remote::Host { name, ports } => {
                let port = flow.remote().map_or(0, FlowEndpoint::port);
                let hostname = match flow.trimmed_hostname() {
                    Some(flow_name) => name.matches(flow_name).into(),
                    None => Answer::NotYet,
                };
                (Answer::Yes, ports.contains(port).into(), hostname, Answer::Yes)
            }
        };
        RuleTest {
            protocol: self.protocol.matches(flow.protocol()).into(),
            direction: self.direction.matches(flow.direction()).into(),
            remote_address,
            remote_port,
            hostname,
            local_address,
            local_port,
            loopback,
        }
    }

    /// Returns whether a match with `flow` could end once its local address is known, because the
    /// rule's local side matches the unbound address but need not match what takes its place:
    /// 0.0.0.1/8 holds 0.0.0.0, and `::` is not of the family of a flow to an IPv4-mapped address.
    pub fn leans_on_unbound(&self, flow: &Flow<'_>) -> bool {
        self.local.leans_on_unbound(flow)
    }
}

/// `TCP outbound, remote 10.0.0.0/8 port 443`, `any outbound, remote host example.com`,
/// `UDP in or outbound, remote any, local 192.168.1.0/24 port 53`.
impl fmt::Display for NetworkRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.protocol)?;
        match self.direction {
            Direction::Any => f.write_str("in or outbound, remote ")?,
            direction => write!(f, "{direction}, remote ")?,
        }
        match &self.remote {
            Remote::Network(network) => write!(f, "{network}")?,
            Remote::Host { name, ports: Ports::ANY } => write!(f, "host {name}")?,
            Remote::Host { name, ports } => write!(f, "host {name} port {ports}")?,
        }
        match &self.local {
            Network::Nil => Ok(()),
            local => write!(f, ", local {local}"),
        }
    }
}

impl Remote {
    fn host(endpoint: &Endpoint) -> Option<Remote> {
        let name = endpoint.host().name()?.clone();
        Some(Remote::Host { name, ports: endpoint.ports() })
    }

    /// Returns the ports accepted.
    pub fn ports(&self) -> Ports {
        match self {
            Remote::Network(network) => network.ports(),
            Remote::Host { ports, .. } => *ports,
        }
    }
}

fn side(endpoint: Option<Endpoint>, prefix: u64) -> Result<Network, Error> {
    endpoint.map_or(Ok(Network::Nil), |endpoint| Network::new(&endpoint, prefix))
}

/// How each part of a rule fared against a flow; see [`NetworkRule::test`].
///
/// A part that the rule does not have, such as the name of an address rule, is
/// [`Yes`](Answer::Yes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleTest {
    /// The protocol is in the rule's set (S-30, S-31).
    pub protocol: Answer,
    /// The direction agrees (S-35, S-36).
    pub direction: Answer,
    /// The remote address is in the remote network.
    pub remote_address: Answer,
    /// The remote port agrees (S-25).
    pub remote_port: Answer,
    /// The remote host name is the rule's or below it (S-40 to S-44).
    pub hostname: Answer,
    /// The local address is in the local network.
    pub local_address: Answer,
    /// The local port agrees (S-25).
    pub local_port: Answer,
    /// The flow is not loopback, or the rule names an address explicitly (S-17, S-18).
    pub loopback: Answer,
}

impl RuleTest {
    /// Returns the answer of the whole rule, all parts of which have to hold.
    pub fn answer(&self) -> Answer {
        self.parts().into_iter().map(|(_, answer)| answer).fold(Answer::Yes, Answer::and)
    }

    /// Returns every part with its answer, in the order in which they are evaluated.
    pub fn parts(&self) -> [(RulePart, Answer); 8] {
        [
            (RulePart::Protocol, self.protocol),
            (RulePart::Direction, self.direction),
            (RulePart::RemoteAddress, self.remote_address),
            (RulePart::RemotePort, self.remote_port),
            (RulePart::Hostname, self.hostname),
            (RulePart::LocalAddress, self.local_address),
            (RulePart::LocalPort, self.local_port),
            (RulePart::Loopback, self.loopback),
        ]
    }
}

/// A part of a rule that is tested by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RulePart {
    /// The protocol.
    Protocol,
    /// The direction.
    Direction,
    /// The remote network.
    RemoteAddress,
    /// The remote ports.
    RemotePort,
    /// The host name.
    Hostname,
    /// The local network.
    LocalAddress,
    /// The local ports.
    LocalPort,
    /// The exclusion of loopback flows.
    Loopback,
}

impl RulePart {
    /// Returns the part in words.
    pub fn as_str(self) -> &'static str {
        match self {
            RulePart::Protocol => "protocol",
            RulePart::Direction => "direction",
            RulePart::RemoteAddress => "remote address",
            RulePart::RemotePort => "remote port",
            RulePart::Hostname => "host name",
            RulePart::LocalAddress => "local address",
            RulePart::LocalPort => "local port",
            RulePart::Loopback => "loopback",
        }
    }
}

impl fmt::Display for RulePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The protocols that a rule matches: NENetworkRuleProtocol, with Apple's raw values 0, 1, 2
/// (S-30), and, as an extension, any one IANA number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP and UDP, and nothing else: ICMP falls to the default action (S-31).
    Any,
    /// TCP.
    Tcp,
    /// UDP, and so QUIC.
    Udp,
    /// Extension: the protocol of this IANA number. 6 and 17 mean [`Tcp`](Protocol::Tcp) and
    /// [`Udp`](Protocol::Udp), and rules turn them into those.
    Number(u8),
}

impl Protocol {
    /// Returns the same protocol with [`Tcp`](Protocol::Tcp) and [`Udp`](Protocol::Udp) in place
    /// of their numbers.
    pub fn canonical(self) -> Protocol {
        match self {
            Protocol::Number(6) => Protocol::Tcp,
            Protocol::Number(17) => Protocol::Udp,
            other => other,
        }
    }

    /// Returns whether a rule of this protocol matches a flow of `protocol`.
    pub fn matches(self, protocol: IpProtocol) -> bool {
        match self {
            Protocol::Any => protocol == IpProtocol::TCP || protocol == IpProtocol::UDP,
            Protocol::Tcp => protocol == IpProtocol::TCP,
            Protocol::Udp => protocol == IpProtocol::UDP,
            Protocol::Number(number) => protocol == IpProtocol(number),
        }
    }
}

impl From<IpProtocol> for Protocol {
    fn from(protocol: IpProtocol) -> Protocol {
        Protocol::Number(protocol.0).canonical()
    }
}

/// `any`, or as [`IpProtocol`] prints it.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Protocol::Any => f.write_str("any"),
            Protocol::Tcp => IpProtocol::TCP.fmt(f),
            Protocol::Udp => IpProtocol::UDP.fmt(f),
            Protocol::Number(number) => IpProtocol(*number).fmt(f),
        }
    }
}

/// Reads `any` in any case, or what [`IpProtocol`] reads.
impl FromStr for Protocol {
    type Err = Error;

    fn from_str(word: &str) -> Result<Protocol, Error> {
        match word.eq_ignore_ascii_case("any") {
            true => Ok(Protocol::Any),
            false => word.parse::<IpProtocol>().map(Protocol::from),
        }
    }
}

/// A rule and what to do with the flows it matches: NEFilterRule. It puts no further restriction
/// on its network rule (S-65).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilterRule {
    network_rule: NetworkRule,
    action: Action,
    label: Option<Box<str>>,
}

impl FilterRule {
    /// Makes a rule: `initWithNetworkRule:action:`.
    #[doc(alias = "initWithNetworkRule")]
    pub fn new(network_rule: NetworkRule, action: Action) -> FilterRule {
        FilterRule { network_rule, action, label: None }
    }

    /// Sets a label, which explanations show. Extension.
    pub fn with_label(mut self, label: impl Into<Box<str>>) -> FilterRule {
        self.label = Some(label.into());
        self
    }

    /// Returns which flows the rule is about: `networkRule`.
    pub fn network_rule(&self) -> &NetworkRule {
        &self.network_rule
    }

    /// Returns what is done with them: `action`.
    pub fn action(&self) -> Action {
        self.action
    }

    /// Returns the label.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }
}

/// What is done with a flow: NEFilterAction.
///
/// Apple's other two values, invalid (0) and remediate (3, not available on macOS), are refused
/// in rules and as default (S-63; the refusal is a choice).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    /// The flow proceeds without consulting the provider; raw value 1.
    Allow = 1,
    /// The flow is dropped without consulting the provider; raw value 2.
    Drop = 2,
    /// The provider is asked in `handleNewFlow`; raw value 4.
    FilterData = 4,
}

impl Action {
    /// All actions.
    pub const ALL: [Action; 3] = [Action::Allow, Action::Drop, Action::FilterData];

    /// Returns the action of an NEFilterAction raw value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnsupportedAction`] for invalid (0) and remediate (3),
    /// [`ErrorKind::UnknownAction`] for all else.
    pub fn from_raw(raw: i64) -> Result<Action, Error> {
        match raw {
            0 | 3 => Err(Error::new(ErrorKind::UnsupportedAction { word: raw.to_string() })),
            1 => Ok(Action::Allow),
            2 => Ok(Action::Drop),
            4 => Ok(Action::FilterData),
            _ => Err(Error::new(ErrorKind::UnknownAction { word: raw.to_string() })),
        }
    }

    /// Returns `allow`, `drop` or `filterData`.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Drop => "drop",
            Action::FilterData => "filterData",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads `allow`, `drop` or `filterData`.
impl FromStr for Action {
    type Err = Error;

    fn from_str(word: &str) -> Result<Action, Error> {
        let found = Action::ALL.into_iter().find(|action| action.as_str() == word);
        found.ok_or_else(|| {
            let word = word.to_owned();
            Error::new(match word.as_str() {
                "remediate" | "invalid" => ErrorKind::UnsupportedAction { word },
                _ => ErrorKind::UnknownAction { word },
            })
        })
    }
}
