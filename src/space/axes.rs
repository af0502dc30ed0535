//! [`Axes`]: the axes of the space of flows, cut into classes at the bounds of rules.

use super::Runs;
use crate::endpoint::{AddressFamily, Endpoint, Host, Ports, Zone};
use crate::flow::{Direction, Flow, FlowEndpoint, IpProtocol};
use crate::hostname::{self, HostName};
use crate::network::Network;
use crate::rule::{NetworkRule, Protocol, Remote};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{Index, IndexMut};

/// What flows differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Axis {
    /// The IP protocol: TCP, UDP, those that a rule names by number, the others.
    Protocol,
    /// Outbound, inbound, not known.
    Direction,
    /// The remote port; 0 is one that is not known.
    RemotePort,
    /// The local port.
    LocalPort,
    /// The zone id of the remote address: none, those that a rule names, the others.
    RemoteZone,
    /// The zone id of the local address.
    LocalZone,
    /// The host name: none, one that no rule is about, then those of rules, so that a domain is a
    /// run.
    Hostname,
    /// The local host: nil, the IPv4 addresses, the IPv6 addresses but the mapped ones, which are
    /// folded (S-20).
    Local,
    /// The remote host: as the local one, and a name behind nil.
    Remote,
}

impl Axis {
    pub(crate) const COUNT: usize = 9;

    pub(crate) const ALL: [Axis; Axis::COUNT] = [
        Axis::Protocol,
        Axis::Direction,
        Axis::RemotePort,
        Axis::LocalPort,
        Axis::RemoteZone,
        Axis::LocalZone,
        Axis::Hostname,
        Axis::Local,
        Axis::Remote,
    ];

    /// Returns the bit that stands for this axis in a set of axes.
    pub(crate) fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Something for each axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct PerAxis<T>([T; Axis::COUNT]);

impl<T> PerAxis<T> {
    pub(crate) fn from_fn(of: impl FnMut(Axis) -> T) -> PerAxis<T> {
        PerAxis(Axis::ALL.map(of))
    }
}

impl<T> Index<Axis> for PerAxis<T> {
    type Output = T;

    #[inline]
    fn index(&self, axis: Axis) -> &T {
        let [protocol, direction, rport, lport, rzone, lzone, hostname, local, remote] = &self.0;
        match axis {
            Axis::Protocol => protocol,
            Axis::Direction => direction,
            Axis::RemotePort => rport,
            Axis::LocalPort => lport,
            Axis::RemoteZone => rzone,
            Axis::LocalZone => lzone,
            Axis::Hostname => hostname,
            Axis::Local => local,
            Axis::Remote => remote,
        }
    }
}

impl<T> IndexMut<Axis> for PerAxis<T> {
    #[inline]
    fn index_mut(&mut self, axis: Axis) -> &mut T {
        let [protocol, direction, rport, lport, rzone, lzone, hostname, local, remote] =
            &mut self.0;
        match axis {
            Axis::Protocol => protocol,
            Axis::Direction => direction,
            Axis::RemotePort => rport,
            Axis::LocalPort => lport,
            Axis::RemoteZone => rzone,
            Axis::LocalZone => lzone,
            Axis::Hostname => hostname,
            Axis::Local => local,
            Axis::Remote => remote,
        }
    }
}

/// A value of a host axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Point {
    /// The endpoint is nil.
    Nil,
    /// The endpoint holds a name; remote ones only.
    Name,
    V4(u32),
    /// Not in ::ffff:0:0/96.
    V6(u128),
}

const MAPPED_FIRST: u128 = 0xffff_0000_0000;
const MAPPED_LAST: u128 = 0xffff_ffff_ffff;
const LOOPBACKS: [Point; 2] =
    [Point::V4(Ipv4Addr::LOCALHOST.to_bits()), Point::V6(Ipv6Addr::LOCALHOST.to_bits())];

impl Point {
    const MAX: Point = Point::V6(u128::MAX);

    pub(crate) fn of(address: IpAddr) -> Point {
        match address {
            IpAddr::V4(address) => Point::V4(address.to_bits()),
            IpAddr::V6(address) => Point::V6(address.to_bits()),
        }
    }

    pub(crate) fn address(self) -> Option<IpAddr> {
        match self {
            Point::Nil | Point::Name => None,
            Point::V4(bits) => Some(Ipv4Addr::from_bits(bits).into()),
            Point::V6(bits) => Some(Ipv6Addr::from_bits(bits).into()),
        }
    }

    /// Returns the value that follows.
    fn next(self) -> Option<Point> {
        Some(match self {
            Point::Nil => Point::Name,
            Point::Name => Point::V4(0),
            Point::V4(bits) => bits.checked_add(1).map_or(Point::V6(0), Point::V4),
            Point::V6(bits) => match bits.checked_add(1)? {
                MAPPED_FIRST => Point::V6(MAPPED_LAST + 1),
                next => Point::V6(next),
            },
        })
    }

    /// Returns the value before; `Nil` has none.
    fn before(self) -> Point {
        match self {
            Point::Nil | Point::Name => Point::Nil,
            Point::V4(bits) => bits.checked_sub(1).map_or(Point::Name, Point::V4),
            Point::V6(bits) => match bits.checked_sub(1) {
                None => Point::V4(u32::MAX),
                Some(MAPPED_LAST) => Point::V6(MAPPED_FIRST - 1),
                Some(before) => Point::V6(before),
            },
        }
    }
}

/// The sets of a rule, before there are classes.
pub(crate) struct Raw {
    protocol: Protocol,
    direction: Direction,
    remote: RawSide,
    local: RawSide,
    hostname: Option<String>,
}

struct RawSide {
    first: Point,
    last: Point,
    /// Less the two loopback addresses.
    is_holed: bool,
    ports: Ports,
    zone: Option<Zone>,
}

impl Raw {
    /// Returns the sets; `None` if one is empty.
    pub(crate) fn of_rule(rule: &NetworkRule) -> Option<Raw> {
        let (remote, hostname, is_holed) = match rule.remote() {
            Remote::Network(network) => {
                (network, None, !network.is_explicit() && !rule.local().is_explicit())
            }
            Remote::Host { name, .. } => {
                (&Network::Nil, Some(name.trimmed().to_ascii_lowercase()), false)
            }
        };
        Some(Raw {
            protocol: rule.match_protocol(),
            direction: rule.match_direction(),
            remote: RawSide::new(remote, rule.remote().ports(), is_holed)?,
            local: RawSide::new(rule.local(), rule.local().ports(), is_holed)?,
            hostname,
        })
    }
}

impl RawSide {
    fn new(network: &Network, ports: Ports, is_holed: bool) -> Option<RawSide> {
        let (first, last) = match network.net() {
            // At nil the port is not known.
            None if ports.is_any() => (Point::Nil, Point::MAX),
            None => (Point::Name, Point::MAX),
            Some(net) => folded(Point::of(net.network()), Point::of(net.broadcast()))?,
        };
        Some(RawSide { first, last, is_holed, ports, zone: network.zone() })
    }
}

/// Leaves mapped addresses out at the ends of a stretch of addresses.
fn folded(first: Point, last: Point) -> Option<(Point, Point)> {
    let first = match first {
        Point::V6(MAPPED_FIRST..=MAPPED_LAST) => Point::V6(MAPPED_LAST + 1),
        first => first,
    };
    let last = match last {
        Point::V6(MAPPED_FIRST..=MAPPED_LAST) => Point::V6(MAPPED_FIRST - 1),
        last => last,
    };
    (first <= last).then_some((first, last))
}

/// The classes of each axis.
pub(crate) struct Axes {
    /// The numbers of the classes behind TCP and UDP; the last class is every other number.
    numbers: Vec<u8>,
    /// The zone ids of the classes behind "none"; the last class is every other zone id.
    zones: PerSide<Vec<Zone>>,
    /// The names of the classes behind "none" and "other", each domain followed by its parts.
    names: Vec<Named>,
    /// The first value of each class.
    ports: PerSide<Vec<u16>>,
    hosts: PerSide<Vec<Point>>,
}

#[derive(Default)]
struct PerSide<T> {
    remote: T,
    local: T,
}

struct Named {
    name: String,
    /// The last class within the domain; its own for a single label.
    last: u32,
}

/// The first class of a name of a rule.
const FIRST_NAME: u32 = 2;

impl Axes {
    pub(crate) fn new<'a>(rules: impl Iterator<Item = &'a Raw> + Clone) -> Axes {
        let numbers: BTreeSet<u8> = rules
            .clone()
            .filter_map(|rule| match rule.protocol {
                Protocol::Number(number) => Some(number),
                Protocol::Any | Protocol::Tcp | Protocol::Udp => None,
            })
            .collect();
        let remote = rules.clone().map(|rule| &rule.remote);
        let local = rules.clone().map(|rule| &rule.local);
        Axes {
            numbers: numbers.into_iter().collect(),
            zones: PerSide { remote: zones(remote.clone()), local: zones(local.clone()) },
            names: names(rules.filter_map(|rule| rule.hostname.as_deref())),
            ports: PerSide { remote: ports(remote.clone()), local: ports(local.clone()) },
            hosts: PerSide {
                remote: hosts(remote, &[Point::Nil, Point::Name]),
                local: hosts(local, &[Point::Nil]),
            },
        }
    }

    /// Returns the number of classes of an axis.
    pub(crate) fn len(&self, axis: Axis) -> u32 {
        let len = match axis {
            Axis::Protocol => self.numbers.len() + 3,
            Axis::Direction => 3,
            Axis::RemotePort | Axis::LocalPort => self.ports(axis).len(),
            Axis::RemoteZone | Axis::LocalZone => self.zones(axis).len() + 2,
            Axis::Hostname => self.names.len() + FIRST_NAME as usize,
            Axis::Local | Axis::Remote => self.hosts(axis).len(),
        };
        len as u32
    }

    /// Returns all of an axis.
    pub(crate) fn all(&self, axis: Axis) -> Runs {
        Runs::one(0, self.len(axis) - 1)
    }

    /// Returns the set that a rule has on an axis.
    pub(crate) fn runs(&self, axis: Axis, rule: &Raw) -> Runs {
        match axis {
            Axis::Protocol => match rule.protocol {
                Protocol::Any => Runs::one(0, 1),
                protocol => {
                    let class = self.protocol_class(protocol);
                    Runs::one(class, class)
                }
            },
            Axis::Direction => match rule.direction {
                Direction::Any => self.all(axis),
                direction => {
                    let class = direction_class(direction);
                    Runs::one(class, class)
                }
            },
            Axis::RemotePort => self.port_runs(axis, &rule.remote),
            Axis::LocalPort => self.port_runs(axis, &rule.local),
            Axis::RemoteZone => self.zone_runs(axis, &rule.remote),
            Axis::LocalZone => self.zone_runs(axis, &rule.local),
            Axis::Hostname => match &rule.hostname {
                None => self.all(axis),
                Some(name) => self.name_runs(name),
            },
            Axis::Local => self.host_runs(axis, &rule.local),
            Axis::Remote => self.host_runs(axis, &rule.remote),
        }
    }

    /// Returns the flows with a loopback address on either side: all of them match no rule that
    /// names no address, and are allowed where none matches (S-64).
    pub(crate) fn loopback_shapes(&self) -> [PerAxis<Runs>; 2] {
        [Axis::Remote, Axis::Local].map(|side| {
            PerAxis::from_fn(|axis| match axis == side {
                true => self.loopback(axis),
                false => self.all(axis),
            })
        })
    }

    /// Returns the classes of the loopback addresses of a side.
    pub(crate) fn loopback(&self, side: Axis) -> Runs {
        let mut runs = Runs::EMPTY.clone();
        for point in LOOPBACKS {
            let class = self.host_class(side, point);
            runs.push(class, class);
        }
        runs
    }

    /// Returns the class of each axis that `flow` is in.
    pub(crate) fn classes_of(&self, flow: &Flow<'_>) -> PerAxis<u32> {
        let point = |end: Option<FlowEndpoint>| match end {
            None => Point::Nil,
            Some(end) => end.folded_address().map_or(Point::Name, Point::of),
        };
        let (remote, local) = (flow.remote(), flow.local());
        // An IPv4-mapped address counts as IPv4 (S-20), of which no rule asks for a zone id.
        let is_v6 = |end: &FlowEndpoint| end.folded_address().is_some_and(|ip| ip.is_ipv6());
        let zone_of = |end: FlowEndpoint| end.zone().filter(|_| is_v6(&end));
        let zone = |axis, end: Option<FlowEndpoint>| match end.and_then(zone_of) {
            None => 0,
            Some(zone) => {
                let zones = self.zones(axis);
                let known = zones.iter().position(|known| *known == zone);
                known.unwrap_or(zones.len()) as u32 + 1
            }
        };
        let port = |axis, end: Option<FlowEndpoint>| {
            class_in(self.ports(axis), &end.map_or(0, FlowEndpoint::port))
        };
        PerAxis::from_fn(|axis| match axis {
            Axis::Protocol => self.protocol_class(Protocol::from(flow.protocol())),
            Axis::Direction => direction_class(flow.direction()),
            Axis::RemotePort => port(axis, remote),
            Axis::LocalPort => port(axis, local),
            Axis::RemoteZone => zone(axis, remote),
            Axis::LocalZone => zone(axis, local),
            Axis::Hostname => self.name_class(flow.remote_hostname()),
            Axis::Local => self.host_class(axis, point(local)),
            Axis::Remote => self.host_class(axis, point(remote)),
        })
    }

    /// Returns first and last value of each run of hosts.
    pub(crate) fn points(
        &self,
        axis: Axis,
        runs: &Runs,
    ) -> impl Iterator<Item = (Point, Point)> + '_ {
        let hosts = self.hosts(axis);
        let last = move |last: u32| match hosts.get(last as usize + 1) {
            Some(next) => next.before(),
            None => Point::MAX,
        };
        let runs: Vec<_> = runs.iter().collect();
        runs.into_iter()
            .filter_map(move |(first, end)| Some((*hosts.get(first as usize)?, last(end))))
    }

    /// Returns the first host of a class.
    pub(crate) fn point(&self, axis: Axis, class: u32) -> Option<Point> {
        self.hosts(axis).get(class as usize).copied()
    }

    /// Returns the class of a port.
    pub(crate) fn port_class(&self, axis: Axis, port: u16) -> u32 {
        class_in(self.ports(axis), &port)
    }

    /// Returns the share of all flows of TCP and UDP, inbound and outbound, whose remote address
    /// is known, that a region is: each half of the flows, addresses spread evenly over each
    /// family, ports evenly, and all else as for [`Axes::share`].
    pub(crate) fn known_share(&self, region: &PerAxis<Runs>) -> f64 {
        let half =
            |axis: Axis| region[axis].classes().filter(|class| *class < 2).count() as f64 / 2.0;
        let first = self.host_class(Axis::Remote, Point::V4(0));
        let addresses = Runs::one(first, self.len(Axis::Remote) - 1);
        let addresses = region[Axis::Remote].and(&addresses);
        let rest = [Axis::RemotePort, Axis::LocalPort, Axis::RemoteZone, Axis::LocalZone]
            .into_iter()
            .chain([Axis::Hostname, Axis::Local]);
        half(Axis::Protocol)
            * half(Axis::Direction)
            * self.share(Axis::Remote, &addresses)
            * rest.map(|axis| self.share(axis, &region[axis])).product::<f64>()
    }

    /// Returns first and last port of each run.
    pub(crate) fn port_ranges(
        &self,
        axis: Axis,
        runs: &Runs,
    ) -> impl Iterator<Item = (u16, u16)> + '_ {
        let ports = self.ports(axis);
        let runs: Vec<_> = runs.iter().collect();
        runs.into_iter().filter_map(move |(first, end)| {
            let last = ports.get(end as usize + 1).map_or(u16::MAX, |next| next - 1);
            Some((*ports.get(first as usize)?, last))
        })
    }

    /// Takes what no flow can be out of the host sets of a region, and returns whether anything is
    /// left: a nil endpoint with a port, one without an IPv6 address with a zone id, a name for an
    /// endpoint without a host name. For each such point there is a flow that every rule takes for
    /// the same.
    pub(crate) fn trim(&self, region: &mut PerAxis<Runs>) -> bool {
        let sides = [
            (Axis::Remote, Axis::RemotePort, Axis::RemoteZone),
            (Axis::Local, Axis::LocalPort, Axis::LocalZone),
        ];
        for (host, port, zone) in sides {
            if !region[port].contains(0) {
                region[host] = region[host].minus(&Runs::one(0, 0));
            }
            if !region[zone].contains(0) {
                let zoned = self.host_class(host, Point::V6(0));
                region[host] = region[host].minus(&Runs::one(0, zoned - 1));
            }
        }
        if region[Axis::Hostname] == Runs::one(0, 0) {
            let name = self.host_class(Axis::Remote, Point::Name);
            region[Axis::Remote] = region[Axis::Remote].minus(&Runs::one(name, name));
        }
        Axis::ALL.iter().all(|axis| !region[*axis].is_empty())
    }

    /// Returns the number of a protocol class; `None` for that of all others.
    pub(crate) fn protocol_number(&self, class: u32) -> Option<IpProtocol> {
        match class {
            0 => Some(IpProtocol::TCP),
            1 => Some(IpProtocol::UDP),
            class => self.numbers.get(class as usize - 2).copied().map(IpProtocol),
        }
    }

    /// Returns the zone id of a class behind the first; `None` for that of all others.
    pub(crate) fn zone(&self, axis: Axis, class: u32) -> Option<Zone> {
        self.zones(axis).get((class as usize).checked_sub(1)?).copied()
    }

    /// Returns the name that a class of names is about, and the last class within its domain.
    pub(crate) fn name(&self, class: u32) -> Option<(&str, u32)> {
        let named = self.names.get(class.checked_sub(FIRST_NAME)? as usize)?;
        Some((&named.name, named.last))
    }

    /// Returns the share of an axis that `runs` are, from 0 to 1.
    ///
    /// On a side, each family is half, and spread evenly over its addresses; nil and a name count
    /// as an IPv4 address each. Ports are spread evenly. TCP, UDP and the others are a third each,
    /// so are the directions. Without zone id is half, without host name is half, another name
    /// than those of rules a quarter; the rest is shared by the names and zone ids of rules.
    pub(crate) fn share(&self, axis: Axis, runs: &Runs) -> f64 {
        let sum = |of: &dyn Fn(u32) -> f64| runs.classes().map(of).sum::<f64>();
        match axis {
            Axis::Protocol => sum(&|class| match class {
                0 | 1 => 1.0 / 3.0,
                class if class + 1 == self.len(axis) => (254 - self.numbers.len()) as f64 / 762.0,
                _ => 1.0 / 762.0,
            }),
            Axis::Direction => sum(&|_| 1.0 / 3.0),
            Axis::RemotePort | Axis::LocalPort => {
                let ranges = self.port_ranges(axis, runs);
                ranges.map(|(first, last)| f64::from(last - first) + 1.0).sum::<f64>() / 65536.0
            }
            Axis::RemoteZone | Axis::LocalZone => sum(&|class| match class {
                0 => 0.5,
                _ => 0.5 / f64::from(self.len(axis) - 1),
            }),
            Axis::Hostname => {
                let none = if runs.contains(0) { 0.5 } else { 0.0 };
                let of_other = if self.names.is_empty() { 0.5 } else { 0.25 };
                let other = if runs.contains(1) { of_other } else { 0.0 };
                let count: u32 = runs.iter().map(|(first, last)| last - first + 1).sum();
                let named = count - u32::from(runs.contains(0)) - u32::from(runs.contains(1));
                none + other + 0.25 * f64::from(named) / self.names.len().max(1) as f64
            }
            Axis::Local | Axis::Remote => self
                .points(axis, runs)
                .map(|(first, last)| share_of_addresses(first, last))
                .sum::<f64>(),
        }
    }

    /// Returns the plainest flow of a region: TCP before UDP, outbound, to a public address and the
    /// port of a well-known service, from an unbound socket, without a name.
    pub(crate) fn witness(&self, region: &PerAxis<Runs>) -> Flow<'static> {
        let first = |axis: Axis| region[axis].first().unwrap_or(0);
        let protocol =
            self.protocol_number(first(Axis::Protocol)).unwrap_or_else(|| self.other_protocol());
        let direction = match first(Axis::Direction) {
            0 => Direction::Outbound,
            1 => Direction::Inbound,
            _ => Direction::Any,
        };
        let remote = self.pick_host(Axis::Remote, &region[Axis::Remote], &PLAIN_REMOTES);
        // A name for an endpoint needs a host name.
        let names = &region[Axis::Hostname];
        let name_class = match remote {
            Point::Name => names.classes().find(|class| *class > 0).unwrap_or(0),
            _ => first(Axis::Hostname),
        };
        let name = match name_class {
            0 => None,
            class => Some(self.name(class).map_or_else(|| self.other_name(), |(n, _)| n.into())),
        };
        let locals = match (direction, remote.address()) {
            (Direction::Outbound, Some(IpAddr::V6(_))) => LOCALS_OF_V6,
            (Direction::Outbound, _) => LOCALS_OF_V4,
            (_, Some(IpAddr::V6(_))) => BOUND_LOCALS_OF_V6,
            _ => BOUND_LOCALS_OF_V4,
        };
        let local = self.pick_host(Axis::Local, &region[Axis::Local], &locals);
        let port = |axis, preferred: &[u16]| {
            let class = |port: &&u16| region[axis].contains(class_in(self.ports(axis), *port));
            let any = || {
                let (first, last) = self.port_ranges(axis, &region[axis]).next()?;
                Some(if first == 0 && last > 0 { 1 } else { first })
            };
            preferred.iter().find(class).copied().or_else(any).unwrap_or(0)
        };
        let remote_port = port(Axis::RemotePort, &[443, 80, 53, 22]);
        let is_unbound = local.address().is_some_and(|address| address.is_unspecified());
        let locals: &[u16] = if is_unbound { &[0] } else { &[50123] };
        let local_port = port(Axis::LocalPort, locals);
        let zone = |axis| match first(axis) {
            0 => None,
            class => self.zone(axis, class).or_else(|| self.other_zone(axis)),
        };

        let mut flow = Flow::new(protocol, direction);
        if let Some(address) = local.address() {
            flow = flow.with_local_address(address, zone(Axis::LocalZone), local_port);
        }
        let named = match (remote, &name) {
            // Without a host name such an endpoint is tested as nil is.
            (Point::Name, Some(name)) => {
                let host = HostName::new(name).ok().map(Host::Name);
                host.map(|host| Endpoint::from_parts(host, Ports::one(remote_port)))
            }
            _ => None,
        };
        if let Some(Ok(named)) = named.map(|endpoint| flow.clone().with_remote(endpoint)) {
            flow = named;
        }
        if let Some(address) = remote.address() {
            flow = flow.with_remote_address(address, zone(Axis::RemoteZone), remote_port);
        }
        match name {
            Some(name) => flow.with_remote_hostname(name),
            None => flow,
        }
    }

    fn pick_host(&self, axis: Axis, runs: &Runs, preferred: &[Point]) -> Point {
        let is_in = |point: &&Point| runs.contains(self.host_class(axis, **point));
        if let Some(point) = preferred.iter().find(is_in) {
            return *point;
        }
        let mut ranges: Vec<_> = self.points(axis, runs).collect();
        ranges.sort_by_key(|(_, last)| last.address().is_none());
        match ranges.first() {
            // The last of a run: an address where there is one, since addresses stand last.
            Some((first, last)) if first.address().is_none() => match last {
                Point::V4(_) => Point::V4(0),
                Point::V6(_) => Point::V6(0),
                last => *last,
            },
            // The address of a network says less than that of a host in it.
            Some((first, last)) => match first.next() {
                Some(next) if next <= *last && ends_in_zero(*first) => next,
                _ => *first,
            },
            None => Point::Nil,
        }
    }

    fn other_protocol(&self) -> IpProtocol {
        let common = [IpProtocol::ICMP.0, IpProtocol::ICMPV6.0, 132].into_iter();
        let is_other = |number: &u8| ![6, 17].contains(number) && !self.numbers.contains(number);
        IpProtocol(common.chain(0..=u8::MAX).find(is_other).unwrap_or(0))
    }

    fn other_name(&self) -> String {
        let names = (0..).map(|n: u32| match n {
            0 => "other.test".to_owned(),
            n => format!("other{n}.test"),
        });
        let is_other = |name: &String| self.name_class(Some(name)) == 1;
        names.take(self.names.len() + 2).find(is_other).unwrap_or_default()
    }

    fn other_zone(&self, axis: Axis) -> Option<Zone> {
        let zones = (0..).filter_map(|n: u32| Zone::new(&format!("en{n}")).ok());
        let known = self.zones(axis);
        zones.take(known.len() + 1).find(|zone| !known.contains(zone))
    }

    fn hosts(&self, axis: Axis) -> &[Point] {
        if axis == Axis::Local { &self.hosts.local } else { &self.hosts.remote }
    }

    fn ports(&self, axis: Axis) -> &[u16] {
        if axis == Axis::LocalPort { &self.ports.local } else { &self.ports.remote }
    }

    fn zones(&self, axis: Axis) -> &[Zone] {
        if axis == Axis::LocalZone { &self.zones.local } else { &self.zones.remote }
    }

    pub(crate) fn host_class(&self, axis: Axis, point: Point) -> u32 {
        class_in(self.hosts(axis), &point)
    }

    fn protocol_class(&self, protocol: Protocol) -> u32 {
        match protocol.canonical() {
            Protocol::Tcp | Protocol::Any => 0,
            Protocol::Udp => 1,
            Protocol::Number(number) => {
                let known = self.numbers.iter().position(|known| *known == number);
                known.unwrap_or(self.numbers.len()) as u32 + 2
            }
        }
    }

    fn port_runs(&self, axis: Axis, side: &RawSide) -> Runs {
        let class = |port| class_in(self.ports(axis), &port);
        Runs::one(class(side.ports.first()), class(side.ports.last()))
    }

    fn zone_runs(&self, axis: Axis, side: &RawSide) -> Runs {
        let Some(zone) = side.zone else { return self.all(axis) };
        let known = self.zones(axis).iter().position(|known| *known == zone);
        let mut runs = Runs::one(0, 0);
        if let Some(index) = known {
            runs.push(index as u32 + 1, index as u32 + 1);
        }
        runs
    }

    fn host_runs(&self, axis: Axis, side: &RawSide) -> Runs {
        let runs = Runs::one(self.host_class(axis, side.first), self.host_class(axis, side.last));
        if side.is_holed { runs.minus(&self.loopback(axis)) } else { runs }
    }

    /// The classes of a rule's name.
    fn name_runs(&self, name: &str) -> Runs {
        match self.place(name).and_then(|index| Some((index, self.names.get(index)?))) {
            Some((index, named)) => Runs::one(index as u32 + FIRST_NAME, named.last),
            None => Runs::EMPTY.clone(),
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        let to = |known: &Named| by_labels(&known.name).cmp(by_labels(name));
        self.names.binary_search_by(to).ok()
    }

    /// The class of a flow's name.
    fn name_class(&self, name: Option<&str>) -> u32 {
        let trimmed = name.map(|name| hostname::trim(name).to_ascii_lowercase());
        let Some(name) = trimmed.filter(|name| !name.is_empty()) else { return 0 };
        let mut suffix = Some(name.as_str());
        while let Some(domain) = suffix {
            let may_hold = domain.len() == name.len() || domain.contains('.');
            if let Some(index) = self.place(domain).filter(|_| may_hold) {
                return index as u32 + FIRST_NAME;
            }
            suffix = domain.split_once('.').map(|(_, rest)| rest);
        }
        1
    }
}

/// The labels of a name, the last first, so that a domain stands before its parts.
fn by_labels(name: &str) -> impl Iterator<Item = &str> {
    name.rsplit('.')
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Named> {
    let mut names: Vec<&str> = names.collect();
    names.sort_by(|a, b| by_labels(a).cmp(by_labels(b)));
    names.dedup();
    let mut named: Vec<Named> = Vec::with_capacity(names.len());
    // The domains that the next name could be within, innermost last.
    let mut open: Vec<usize> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let class = index as u32 + FIRST_NAME;
        let is_within = |domain: &str| {
            let head = name.strip_suffix(domain);
            domain.contains('.') && head.is_some_and(|head| head.ends_with('.'))
        };
        while open
            .last()
            .is_some_and(|last| named.get(*last).is_none_or(|domain| !is_within(&domain.name)))
        {
            open.pop();
        }
        for domain in &open {
            if let Some(domain) = named.get_mut(*domain) {
                domain.last = class;
            }
        }
        named.push(Named { name: (*name).to_owned(), last: class });
        open.push(index);
    }
    named
}

fn zones<'a>(sides: impl Iterator<Item = &'a RawSide>) -> Vec<Zone> {
    let zones: BTreeMap<String, Zone> =
        sides.filter_map(|side| side.zone).map(|zone| (zone.to_string(), zone)).collect();
    zones.into_values().collect()
}

fn ports<'a>(sides: impl Iterator<Item = &'a RawSide>) -> Vec<u16> {
    let bounds = sides.flat_map(|side| {
        [Some(side.ports.first()), side.ports.last().checked_add(1)].into_iter().flatten()
    });
    let starts: BTreeSet<u16> = bounds.chain([0]).collect();
    starts.into_iter().collect()
}

fn hosts<'a>(sides: impl Iterator<Item = &'a RawSide>, first: &[Point]) -> Vec<Point> {
    let loopbacks = LOOPBACKS.into_iter().flat_map(|point| [Some(point), point.next()]);
    let families = [Some(Point::V4(0)), Some(Point::V6(0))];
    let bounds = sides.flat_map(|side| [Some(side.first), side.last.next()]);
    let first = first.iter().map(|point| Some(*point));
    let mut starts: Vec<Point> =
        bounds.chain(loopbacks).chain(families).flatten().chain(first.flatten()).collect();
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// The class of `value`, given the first value of each.
fn class_in<T: Ord>(starts: &[T], value: &T) -> u32 {
    (starts.partition_point(|start| start <= value) as u32).saturating_sub(1)
}

fn direction_class(direction: Direction) -> u32 {
    match direction {
        Direction::Outbound => 0,
        Direction::Inbound => 1,
        Direction::Any => 2,
    }
}

/// The share of a side that a stretch of hosts is, which may begin before the addresses.
fn share_of_addresses(first: Point, last: Point) -> f64 {
    const ONE: f64 = 1.0 / (1_u64 << 33) as f64;
    let before = |point: Point| match point {
        Point::Nil => 0.0,
        Point::Name => ONE,
        Point::V4(bits) => 2.0 * ONE + f64::from(bits) * ONE,
        Point::V6(bits) => 0.5 + 2.0 * ONE + bits as f64 / (2.0 * 2_f64.powi(128)),
    };
    match (first, last) {
        (Point::V6(first), Point::V6(last)) => ((last - first) as f64 + 1.0) / 2_f64.powi(129),
        (first, Point::V6(u128::MAX)) => 1.0 + 2.0 * ONE - before(first),
        (first, last) => last.next().map_or(1.0, before) - before(first),
    }
}

fn ends_in_zero(point: Point) -> bool {
    matches!(point, Point::V4(bits) if bits & 0xff == 0)
        || matches!(point, Point::V6(bits) if bits & 0xffff == 0)
}

const PLAIN_REMOTES: [Point; 3] = [
    Point::V4(0xcb00_7109),
    Point::V4(0xc633_6409),
    Point::V6(0x2001_0db8_0000_0000_0000_0000_0000_0009),
];
const BOUND_V4: Point = Point::V4(0xc0a8_0107);
const BOUND_V6: Point = Point::V6(0xfd00_0000_0000_0000_0000_0000_0000_0007);
const LOCALS_OF_V4: [Point; 4] = [Point::V4(0), BOUND_V4, BOUND_V6, Point::V6(0)];
const LOCALS_OF_V6: [Point; 4] = [Point::V6(0), BOUND_V6, BOUND_V4, Point::V4(0)];
const BOUND_LOCALS_OF_V4: [Point; 4] = [BOUND_V4, Point::V4(0), BOUND_V6, Point::V6(0)];
const BOUND_LOCALS_OF_V6: [Point; 4] = [BOUND_V6, Point::V6(0), BOUND_V4, Point::V4(0)];

/// Returns the family whose addresses a stretch of hosts holds.
pub(crate) fn family_of(point: Point) -> Option<AddressFamily> {
    point.address().map(AddressFamily::of)
}
