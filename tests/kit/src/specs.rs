//! Rules, settings and flows described by small choices that aim at edges.
//!
//! The first variant of every choice is the plainest: it is what shrinking ends at.

use arbitrary::{Arbitrary, Unstructured};
use flowsieve::{
    Action, Direction, Endpoint, FilterRule, FilterSettings, Flow, Host, HostName, IpProtocol,
    Network, NetworkRule, Ports, Protocol, Remote, Zone,
};
use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::sample::{Select, select};
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The most rules in [`SettingsSpec::rules`].
pub const MAX_RULES: usize = 12;

/// The most rules in a [`CrowdSpec`]: well above the length from which a list of the matcher is
/// split by port, and the number of rules up to which it scans.
pub const MAX_CROWD: usize = 60;

/// The fewest rules in a [`CrowdSpec`]: just below the length from which a list is split.
pub const MIN_CROWD: usize = 12;

/// The most flows in a [`Case`].
pub const MAX_FLOWS: usize = 6;

/// Settings and the flows to try on them.
#[derive(Clone, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub struct Case {
    /// The settings.
    pub settings: SettingsSpec,
    /// The flows, at most [`MAX_FLOWS`].
    #[proptest(strategy = "vec(any::<FlowSpec>(), 1..=MAX_FLOWS)")]
    #[arbitrary(with = |u: &mut Unstructured<'_>| several(u, 1..=MAX_FLOWS))]
    pub flows: Vec<FlowSpec>,
}

impl Case {
    /// Makes the settings and the flows.
    pub fn build(&self) -> (FilterSettings, Vec<Flow<'static>>) {
        let settings = self.settings.build();
        let flows = self.flows.iter().map(|flow| flow.build(&settings)).collect();
        (settings, flows)
    }
}

/// [`FilterSettings`].
#[derive(Clone, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub struct SettingsSpec {
    /// The default action.
    pub default_action: ActionSpec,
    /// Rules that have nothing to do with each other, at most [`MAX_RULES`].
    #[proptest(strategy = "vec(any::<RuleSpec>(), 0..=MAX_RULES)")]
    #[arbitrary(with = |u: &mut Unstructured<'_>| several(u, 0..=MAX_RULES))]
    pub rules: Vec<RuleSpec>,
    /// Many rules on one remote side, among the others.
    pub crowd: CrowdChoice,
}

impl SettingsSpec {
    /// Makes the settings. Rules and crowd alternate, so that neither goes before the other.
    pub fn build(&self) -> FilterSettings {
        let mut crowd = self.crowd.rules().into_iter();
        let mut rules = Vec::new();
        for rule in &self.rules {
            rules.extend(crowd.by_ref().take(4));
            rules.push(rule.build());
        }
        rules.extend(crowd);
        FilterSettings::new(rules, self.default_action.build())
    }
}

/// Whether settings have a crowd.
#[derive(Clone, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum CrowdChoice {
    /// None.
    #[proptest(weight = 4)]
    Nobody,
    /// One.
    Crowd(CrowdSpec),
}

impl CrowdChoice {
    fn rules(&self) -> Vec<FilterRule> {
        match self {
            CrowdChoice::Nobody => Vec::new(),
            CrowdChoice::Crowd(crowd) => {
                let rules = crowd.members.iter().map(|member| crowd.rule(member));
                rules.map(|rule| rule.build()).collect()
            }
        }
    }
}

/// Rules that differ in their remote ports, protocols and actions alone.
#[derive(Clone, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub struct CrowdSpec {
    /// What they share.
    pub base: RuleSpec,
    /// Which ports they have.
    pub style: CrowdStyle,
    /// In what they differ, [`MIN_CROWD`] to [`MAX_CROWD`].
    #[proptest(strategy = "vec(any::<MemberSpec>(), MIN_CROWD..=MAX_CROWD)")]
    #[arbitrary(with = |u: &mut Unstructured<'_>| several(u, MIN_CROWD..=MAX_CROWD))]
    pub members: Vec<MemberSpec>,
}

impl CrowdSpec {
    fn rule(&self, member: &MemberSpec) -> RuleSpec {
        let mut rule = self.base.clone();
        let member_ports = match (self.style, member.ports) {
            (CrowdStyle::SinglePorts, PortsSpec::Any) => PortsSpec::One(Port::Https),
            (CrowdStyle::SinglePorts, PortsSpec::Range(port, _)) => PortsSpec::One(port),
            (_, ports) => ports,
        };
        rule.action = member.action;
        rule.protocol = member.protocol;
        match &mut rule.shape {
            Shape::RemoteNetwork { remote: SideSpec::Nil, .. } => {}
            Shape::DestinationNetwork { ports, .. }
            | Shape::DestinationHost { ports, .. }
            | Shape::NameAsDestinationNetwork { ports, .. }
            | Shape::NameAsRemoteNetwork { ports, .. }
            | Shape::RemoteNetwork {
                remote: SideSpec::Wildcard { ports, .. } | SideSpec::Explicit { ports, .. },
                ..
            } => *ports = member_ports,
        }
        rule
    }
}

/// Which ports the rules of a [`CrowdSpec`] have.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum CrowdStyle {
    /// All kinds.
    Mixed,
    /// One each, so that a list that is split by port has no rest.
    SinglePorts,
}

/// One rule of a [`CrowdSpec`].
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub struct MemberSpec {
    /// The remote ports.
    pub ports: PortsSpec,
    /// The protocol.
    pub protocol: ProtocolSpec,
    /// The action.
    pub action: ActionSpec,
}

/// [`FilterRule`].
#[derive(Clone, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub struct RuleSpec {
    /// The initialiser and what it takes.
    pub shape: Shape,
    /// The protocol.
    pub protocol: ProtocolSpec,
    /// The action.
    pub action: ActionSpec,
    /// The label.
    pub label: LabelSpec,
}

/// What each initialiser of [`NetworkRule`] takes, less the protocol.
#[derive(Clone, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum Shape {
    /// All six arguments.
    #[proptest(weight = 6)]
    RemoteNetwork {
        /// The remote network and prefix length.
        remote: SideSpec,
        /// The local network and prefix length.
        local: LocalSideSpec,
        /// The direction.
        direction: DirectionSpec,
    },
    /// A destination network.
    #[proptest(weight = 3)]
    DestinationNetwork {
        /// The network and prefix length.
        net: NetSpec,
        /// The ports.
        ports: PortsSpec,
    },
    /// A destination host.
    #[proptest(weight = 3)]
    DestinationHost {
        /// The name.
        name: Name,
        /// The ports.
        ports: PortsSpec,
    },
    /// A host name given as a destination network.
    NameAsDestinationNetwork {
        /// The name.
        name: Name,
        /// The ports.
        ports: PortsSpec,
    },
    /// A host name given as the remote network.
    NameAsRemoteNetwork {
        /// The name.
        name: Name,
        /// The ports.
        ports: PortsSpec,
        /// The local network and prefix length.
        local: LocalSideSpec,
        /// The direction.
        direction: DirectionSpec,
    },
}

impl RuleSpec {
    /// Makes the rule.
    pub fn build(&self) -> FilterRule {
        let rule = FilterRule::new(self.network_rule(), self.action.build());
        match self.label.value() {
            Some(label) => rule.with_label(label),
            None => rule,
        }
    }

    /// Makes the network rule alone.
    pub fn network_rule(&self) -> NetworkRule {
        let protocol = self.protocol.build();
        let named = |name: Name, ports: PortsSpec| {
            Endpoint::from_parts(Host::Name(name.build()), ports.build())
        };
        let rule = match &self.shape {
            Shape::RemoteNetwork { remote, local, direction } => {
                let ((remote, remote_prefix), (local, local_prefix)) =
                    (remote.build(), local.build());
                let direction = direction.build();
                NetworkRule::remote_network(
                    remote,
                    remote_prefix,
                    local,
                    local_prefix,
                    protocol,
                    direction,
                )
            }
            Shape::DestinationNetwork { net, ports } => {
                let (endpoint, prefix) = net.build(*ports);
                NetworkRule::destination_network(endpoint, prefix, protocol)
            }
            Shape::DestinationHost { name, ports } => {
                NetworkRule::destination_host(named(*name, *ports), protocol)
            }
            Shape::NameAsDestinationNetwork { name, ports } => {
                NetworkRule::destination_network_or_host(named(*name, *ports), 0, protocol)
            }
            Shape::NameAsRemoteNetwork { name, ports, local, direction } => {
                let (local, local_prefix) = local.build();
                NetworkRule::remote_network_or_host(
                    Some(named(*name, *ports)),
                    0,
                    local,
                    local_prefix,
                    protocol,
                    direction.build(),
                )
            }
        };
        rule.expect("specs describe valid rules")
    }
}

/// One side of a rule.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum SideSpec {
    /// Nil.
    Nil,
    /// `0.0.0.0` or `::`.
    Wildcard {
        /// Which.
        unspecified: Unspecified,
        /// The prefix length, which means nothing here.
        prefix_len: PrefixLen,
        /// The ports.
        ports: PortsSpec,
    },
    /// A network.
    #[proptest(weight = 4)]
    Explicit {
        /// The network.
        net: NetSpec,
        /// The ports.
        ports: PortsSpec,
    },
}

impl SideSpec {
    fn build(self) -> (Option<Endpoint>, u64) {
        let (endpoint, prefix) = match self {
            SideSpec::Nil => return (None, 0),
            SideSpec::Wildcard { unspecified, prefix_len, ports } => {
                address_and_prefix(unspecified.value(), prefix_len, None, ports)
            }
            SideSpec::Explicit { net, ports } => net.build(ports),
        };
        (Some(endpoint), prefix)
    }
}

/// The local side of a rule, most often nil.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum LocalSideSpec {
    /// Nil.
    #[proptest(weight = 3)]
    Nil,
    /// Any.
    Side(SideSpec),
}

impl LocalSideSpec {
    fn build(self) -> (Option<Endpoint>, u64) {
        match self {
            LocalSideSpec::Nil => (None, 0),
            LocalSideSpec::Side(side) => side.build(),
        }
    }
}

/// An address, which may have host bits, and a prefix length.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub struct NetSpec {
    /// The address.
    pub address: Address,
    /// The prefix length.
    pub prefix_len: PrefixLen,
    /// The zone id, used where the address is IPv6.
    pub zone: ZoneSpec,
}

impl NetSpec {
    /// Makes the network, with its host bits.
    pub fn net(self) -> IpNet {
        let address = self.address.build();
        IpNet::new(address, self.prefix_len.of(address)).expect("the prefix length is in range")
    }

    fn build(self, ports: PortsSpec) -> (Endpoint, u64) {
        address_and_prefix(self.address.value(), self.prefix_len, self.zone.build(), ports)
    }
}

fn address_and_prefix(
    address: &str,
    prefix_len: PrefixLen,
    zone: Option<Zone>,
    ports: PortsSpec,
) -> (Endpoint, u64) {
    let address: IpAddr = address.parse().expect("an address of the pool");
    let host = Host::Address(address, zone.filter(|_| address.is_ipv6()));
    (Endpoint::from_parts(host, ports.build()), prefix_len.of(address).into())
}

/// The ports of one side of a rule.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum PortsSpec {
    /// Any.
    #[proptest(weight = 3)]
    Any,
    /// One.
    #[proptest(weight = 3)]
    One(Port),
    /// From the lower to the higher.
    Range(Port, Port),
}

impl PortsSpec {
    fn build(self) -> Ports {
        match self {
            PortsSpec::Any => Ports::ANY,
            PortsSpec::One(port) => Ports::one(port.value()),
            PortsSpec::Range(a, b) => {
                let (a, b) = (a.value(), b.value());
                Ports::range(a.min(b), a.max(b)).expect("neither is 0")
            }
        }
    }
}

/// The protocol of a rule.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum ProtocolSpec {
    /// TCP and UDP.
    #[proptest(weight = 4)]
    Any,
    /// TCP.
    #[proptest(weight = 4)]
    Tcp,
    /// UDP.
    #[proptest(weight = 2)]
    Udp,
    /// By number, those of TCP and UDP among them.
    Number(ProtocolNumber),
}

impl ProtocolSpec {
    fn build(self) -> Protocol {
        match self {
            ProtocolSpec::Any => Protocol::Any,
            ProtocolSpec::Tcp => Protocol::Tcp,
            ProtocolSpec::Udp => Protocol::Udp,
            ProtocolSpec::Number(number) => Protocol::Number(number.value()),
        }
    }
}

/// The protocol of a flow.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum FlowProtocol {
    /// TCP.
    #[proptest(weight = 5)]
    Tcp,
    /// UDP.
    #[proptest(weight = 2)]
    Udp,
    /// By number.
    Number(ProtocolNumber),
}

impl FlowProtocol {
    fn build(self) -> IpProtocol {
        match self {
            FlowProtocol::Tcp => IpProtocol::TCP,
            FlowProtocol::Udp => IpProtocol::UDP,
            FlowProtocol::Number(number) => IpProtocol(number.value()),
        }
    }
}

/// A direction, of a rule or of a flow.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum DirectionSpec {
    /// Outbound.
    #[proptest(weight = 3)]
    Outbound,
    /// Any, in a flow: not known.
    #[proptest(weight = 2)]
    Any,
    /// Inbound.
    Inbound,
}

impl DirectionSpec {
    fn build(self) -> Direction {
        match self {
            DirectionSpec::Outbound => Direction::Outbound,
            DirectionSpec::Any => Direction::Any,
            DirectionSpec::Inbound => Direction::Inbound,
        }
    }
}

/// An action.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum ActionSpec {
    /// Allow.
    Allow,
    /// Drop.
    Drop,
    /// Ask the provider.
    FilterData,
}

impl ActionSpec {
    /// Makes the action.
    pub fn build(self) -> Action {
        match self {
            ActionSpec::Allow => Action::Allow,
            ActionSpec::Drop => Action::Drop,
            ActionSpec::FilterData => Action::FilterData,
        }
    }
}

/// A zone id or none.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum ZoneSpec {
    /// None.
    #[proptest(weight = 4)]
    Absent,
    /// `en0`.
    En0,
    /// `en1`.
    En1,
}

impl ZoneSpec {
    fn build(self) -> Option<Zone> {
        let zone = match self {
            ZoneSpec::Absent => return None,
            ZoneSpec::En0 => "en0",
            ZoneSpec::En1 => "en1",
        };
        Some(Zone::new(zone).expect("a zone id"))
    }
}

/// A flow, in terms of the settings it is tried on.
#[derive(Clone, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub struct FlowSpec {
    /// The remote endpoint, less its port.
    pub remote: RemoteSpec,
    /// The remote port.
    pub remote_port: FlowPort,
    /// The local endpoint, less its port.
    pub local: LocalSpec,
    /// The local port.
    pub local_port: FlowPort,
    /// The protocol.
    pub protocol: FlowProtocol,
    /// The direction.
    pub direction: DirectionSpec,
    /// The remote host name.
    pub hostname: FlowName,
}

impl FlowSpec {
    /// Makes the flow.
    pub fn build(&self, settings: &FilterSettings) -> Flow<'static> {
        let mut flow = Flow::new(self.protocol.build(), self.direction.build());
        if let Some(name) = self.hostname.build(settings) {
            flow = flow.with_remote_hostname(name);
        }
        let port = self.remote_port.build(settings);
        flow = match self.remote.build(settings) {
            None => flow,
            Some(host) => {
                let endpoint = Endpoint::from_parts(host, Ports::one(port));
                flow.with_remote(endpoint).expect("one port")
            }
        };
        let port = self.local_port.build(settings);
        match self.local.build(settings) {
            None => flow,
            Some((address, zone)) => flow.with_local_address(address, zone, port),
        }
    }
}

/// The remote endpoint of a flow.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum RemoteSpec {
    /// Not known.
    Nil,
    /// An address, most often one at the edge of a rule's network.
    #[proptest(weight = 12)]
    Address(FlowAddress),
    /// A name in place of an address.
    Name(Name),
}

impl RemoteSpec {
    fn build(self, settings: &FilterSettings) -> Option<Host> {
        match self {
            RemoteSpec::Nil => None,
            RemoteSpec::Address(address) => {
                let (address, zone) = address.build(settings);
                Some(Host::Address(address, zone))
            }
            RemoteSpec::Name(name) => Some(Host::Name(name.build())),
        }
    }
}

/// The local endpoint of a flow.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum LocalSpec {
    /// Not known.
    Nil,
    /// Not bound yet.
    #[proptest(weight = 3)]
    Unspecified(Unspecified),
    /// Bound.
    #[proptest(weight = 2)]
    Address(FlowAddress),
}

impl LocalSpec {
    fn build(self, settings: &FilterSettings) -> Option<(IpAddr, Option<Zone>)> {
        match self {
            LocalSpec::Nil => None,
            LocalSpec::Unspecified(unspecified) => {
                Some((unspecified.value().parse().expect("an address of the pool"), None))
            }
            LocalSpec::Address(address) => Some(address.build(settings)),
        }
    }
}

/// An address of a flow.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub struct FlowAddress {
    /// The address, whatever its form.
    pub address: AddressChoice,
    /// Whether an IPv4 address is given in its IPv6 form.
    pub form: Form,
    /// The zone id, used where the address is IPv6.
    pub zone: ZoneSpec,
}

/// Where an address of a flow comes from.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum AddressChoice {
    /// The pool.
    Pool(Address),
    /// A network of a rule; the pool's first address where the settings have none.
    #[proptest(weight = 4)]
    OfRule {
        /// Which of the networks, modulo their number.
        index: u8,
        /// Where in it.
        place: Place,
    },
}

impl FlowAddress {
    fn build(self, settings: &FilterSettings) -> (IpAddr, Option<Zone>) {
        let address = match self.address {
            AddressChoice::Pool(address) => address.build(),
            AddressChoice::OfRule { index, place } => {
                let nets: Vec<IpNet> = sides(settings).filter_map(|side| side.net()).collect();
                match nth(&nets, index) {
                    Some(net) => place.of_net(*net),
                    None => Address::ALL[0].build(),
                }
            }
        };
        let address = match (address, self.form) {
            (IpAddr::V4(v4), Form::Mapped) => v4.to_ipv6_mapped().into(),
            (address, _) => address,
        };
        (address, self.zone.build().filter(|_| address.is_ipv6()))
    }
}

/// In which form an IPv4 address is given.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum Form {
    /// `192.0.2.1`.
    #[proptest(weight = 4)]
    Plain,
    /// `::ffff:192.0.2.1`.
    Mapped,
}

/// A place in a network or a range of ports, or just outside.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum Place {
    /// The first.
    #[proptest(weight = 2)]
    First,
    /// The last.
    #[proptest(weight = 2)]
    Last,
    /// Neither, if there are others.
    #[proptest(weight = 2)]
    Inside,
    /// One before the first; the highest before 0.
    Before,
    /// One after the last; 0 after the highest.
    After,
}

impl Place {
    fn of_net(self, net: IpNet) -> IpAddr {
        match net {
            IpNet::V4(net) => {
                let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
                let address = self.between(first.into(), last.into()) as u32;
                IpAddr::V4(address.into())
            }
            IpNet::V6(net) => {
                let address = self.between(net.network().into(), net.broadcast().into());
                IpAddr::V6(address.into())
            }
        }
    }

    /// Wraps around at the width of u128, of which smaller widths are the low bits.
    fn between(self, first: u128, last: u128) -> u128 {
        match self {
            Place::First => first,
            Place::Last => last,
            Place::Inside => first + (last - first) / 2,
            Place::Before => first.wrapping_sub(1),
            Place::After => last.wrapping_add(1),
        }
    }
}

/// A port of a flow.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum FlowPort {
    /// Not known.
    Unknown,
    /// The pool.
    Pool(Port),
    /// The ports of a rule; unknown where no rule names one.
    #[proptest(weight = 3)]
    OfRule {
        /// Which of the ports that the rules name, modulo their number.
        index: u8,
        /// Where in it.
        place: Place,
    },
}

impl FlowPort {
    fn build(self, settings: &FilterSettings) -> u16 {
        match self {
            FlowPort::Unknown => 0,
            FlowPort::Pool(port) => port.value(),
            FlowPort::OfRule { index, place } => {
                let rules = settings.rules().iter().map(FilterRule::network_rule);
                let ports = rules.flat_map(|rule| [rule.remote().ports(), rule.local().ports()]);
                let named: Vec<Ports> = ports.filter(|ports| !ports.is_any()).collect();
                nth(&named, index).map_or(0, |ports| {
                    place.between(ports.first().into(), ports.last().into()) as u16
                })
            }
        }
    }
}

/// The remote host name of a flow.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum FlowName {
    /// None.
    #[proptest(weight = 4)]
    Missing,
    /// The pool.
    Pool(Name),
    /// The name of a host rule, changed; none where there is no host rule.
    #[proptest(weight = 4)]
    OfRule {
        /// Which of the host rules, modulo their number.
        index: u8,
        /// How it is changed.
        change: Change,
    },
    /// Nothing that is left once trimmed.
    Empty(EmptyName),
    /// Longer than any rule's name can be, but below `example.com`.
    Deep,
}

impl FlowName {
    fn build(self, settings: &FilterSettings) -> Option<String> {
        match self {
            FlowName::Missing => None,
            FlowName::Pool(name) => Some(name.text()),
            FlowName::OfRule { index, change } => {
                let rules = settings.rules().iter().map(|rule| rule.network_rule().remote());
                let names: Vec<&HostName> = rules
                    .filter_map(|remote| match remote {
                        Remote::Host { name, .. } => Some(name),
                        Remote::Network(_) => None,
                    })
                    .collect();
                nth(&names, index).map(|name| change.of(name.as_str()))
            }
            FlowName::Empty(name) => Some(name.value().to_owned()),
            FlowName::Deep => Some("a.".repeat(HostName::MAX_LEN) + "example.com"),
        }
    }
}

/// A change to the name of a host rule.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum Change {
    /// None.
    Same,
    /// A name below it.
    Below,
    /// A longer label in place of its first one.
    LongerLabel,
    /// The name above it.
    Above,
    /// In upper case.
    UpperCase,
    /// A dot after it.
    FinalDot,
    /// A star and a dot before it.
    Star,
    /// A label after it.
    LabelAfter,
}

impl Change {
    fn of(self, name: &str) -> String {
        match self {
            Change::Same => name.to_owned(),
            Change::Below => format!("below.{name}"),
            Change::LongerLabel => format!("not{name}"),
            Change::Above => name.split_once('.').map_or("", |(_, above)| above).to_owned(),
            Change::UpperCase => name.to_ascii_uppercase(),
            Change::FinalDot => format!("{name}."),
            Change::Star => format!("*.{name}"),
            Change::LabelAfter => format!("{name}.test"),
        }
    }
}

fn sides(settings: &FilterSettings) -> impl Iterator<Item = &Network> {
    let rules = settings.rules().iter().map(FilterRule::network_rule);
    rules.flat_map(|rule| rule.remote_side().into_iter().chain([rule.local()]))
}

fn nth<T>(all: &[T], index: u8) -> Option<&T> {
    all.get(usize::from(index).checked_rem(all.len())?)
}

/// Decodes a list of a length in `range`, all lengths alike: the list that `arbitrary` decodes by
/// itself is hardly ever long.
pub(crate) fn several<'a, T: Arbitrary<'a>>(
    u: &mut Unstructured<'a>,
    range: RangeInclusive<usize>,
) -> arbitrary::Result<Vec<T>> {
    let count = u.int_in_range(range)?;
    (0..count).map(|_| T::arbitrary(u)).collect()
}

/// Defines an enum of a few values that prints itself.
macro_rules! pool {
    ($(#[$meta:meta])* $name:ident: $type:ty { $($variant:ident = $value:expr,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, arbitrary::Arbitrary)]
        pub enum $name {
            $(
                #[doc = concat!("`", stringify!($value), "`.")]
                $variant,
            )+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// Returns the value that it stands for.
            pub const fn value(self) -> $type {
                match self {
                    $($name::$variant => $value,)+
                }
            }
        }

        // In place of the derived one, whose size grows with the number of variants.
        impl proptest::arbitrary::Arbitrary for $name {
            type Parameters = ();
            type Strategy = Select<$name>;

            fn arbitrary_with((): ()) -> Select<$name> {
                select($name::ALL)
            }
        }
    };
}

pool! {
    /// Addresses whose networks overlap, and those that mean something of their own.
    Address: &'static str {
        Ten = "10.0.0.0",
        TenOne = "10.0.0.1",
        TenHalf = "10.0.0.128",
        TenOneNet = "10.1.0.0",
        Elsewhere = "192.0.2.1",
        Loopback4 = "127.0.0.1",
        AlmostLoopback4 = "127.0.0.2",
        AlmostZero4 = "0.0.0.1",
        Highest4 = "255.255.255.255",
        Docs = "2001:db8::",
        DocsOne = "2001:db8::1",
        DocsHalf = "2001:db8:8000::",
        LinkLocal = "fe80::1",
        Loopback6 = "::1",
        AlmostZero6 = "::2",
        Highest6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        MappedTen = "::ffff:10.0.0.1",
        MappedLoopback = "::ffff:127.0.0.1",
        MappedZero = "::ffff:0.0.0.0",
        Nat64 = "64:ff9b::10.0.0.1",
    }
}

impl Address {
    /// Makes the address.
    pub fn build(self) -> IpAddr {
        self.value().parse().expect("an address of the pool")
    }
}

pool! {
    /// Addresses that stand for none, in all three forms.
    Unspecified: &'static str {
        V4 = "0.0.0.0",
        V6 = "::",
        Mapped = "::ffff:0.0.0.0",
    }
}

pool! {
    /// Prefix lengths, in bits; those above the width of an address stand for all of it.
    PrefixLen: u8 {
        All = 128,
        None = 0,
        One = 1,
        Eight = 8,
        Nine = 9,
        Sixteen = 16,
        TwentyFour = 24,
        TwentyFive = 25,
        ThirtyOne = 31,
        ThirtyTwo = 32,
        ThirtyThree = 33,
        SixtyFour = 64,
        Eighty = 80,
        NinetyFive = 95,
        NinetySix = 96,
        AllButOne = 127,
    }
}

impl PrefixLen {
    /// Returns the prefix length beside `address`.
    pub fn of(self, address: IpAddr) -> u8 {
        match address {
            IpAddr::V4(_) => self.value().min(32),
            IpAddr::V6(_) => self.value(),
        }
    }
}

pool! {
    /// Ports, neighbours among them.
    Port: u16 {
        Https = 443,
        AfterHttps = 444,
        BeforeDns = 52,
        Dns = 53,
        AfterDns = 54,
        First = 1,
        Second = 2,
        BeforeLast = 65534,
        Last = 65535,
    }
}

pool! {
    /// Protocol numbers.
    ProtocolNumber: u8 {
        Icmp = 1,
        Icmpv6 = 58,
        Tcp = 6,
        Udp = 17,
        Lowest = 0,
        Highest = 255,
    }
}

pool! {
    /// Names that are nothing once trimmed.
    EmptyName: &'static str {
        Nothing = "",
        Dot = ".",
        Star = "*",
        Both = "*..",
    }
}

pool! {
    /// Labels of rules.
    LabelSpec: Option<&'static str> {
        Absent = None,
        Empty = Some(""),
        Plain = Some("no example.com"),
        Odd = Some("\"\\\u{0}\n\u{2028}\u{1F512}"),
    }
}

/// A host name, of a rule or a flow.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum Name {
    /// One of the pool.
    #[proptest(weight = 10)]
    Short(ShortName),
    /// As long as a name can be, below `example.com`.
    Longest,
}

impl Name {
    /// Returns the text.
    pub fn text(self) -> String {
        match self {
            Name::Short(name) => name.value().to_owned(),
            Name::Longest => "l".repeat(HostName::MAX_LEN - ".example.com".len()) + ".example.com",
        }
    }

    /// Makes the name.
    pub fn build(self) -> HostName {
        HostName::new(&self.text()).expect("a name of the pool")
    }
}

pool! {
    /// Names around `example.com`.
    ShortName: &'static str {
        Apex = "example.com",
        Subdomain = "www.example.com",
        Deeper = "a.www.example.com",
        UpperCase = "EXAMPLE.Com",
        TrailingDot = "example.com.",
        LeadingDot = ".example.com",
        Star = "*.example.com",
        StarWithin = "www.*.example.com",
        TwoDots = "www..example.com",
        OtherLabel = "notexample.com",
        Unrelated = "example.org",
        SingleLabel = "com",
        SingleLabelDot = "com.",
        StarSingleLabel = "*.com",
        Localhost = "localhost",
        NotAscii = "b\u{fc}cher.example",
        NotAsciiUpperCase = "B\u{dc}CHER.example",
        NumberLast = "example.1",
    }
}
