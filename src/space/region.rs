//! [`Region`]: a set of flows in the terms of rules, and [`Decider`].

use super::axes::{Axes, Axis, PerAxis, Point, family_of};
use super::{Runs, Space};
use crate::endpoint::{AddressFamily, Zone};
use crate::flow::{Direction, IpProtocol};
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use std::fmt;
use std::net::IpAddr;

/// What decides a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Decider {
    /// The rule of this index.
    Rule(usize),
    /// No rule, for a loopback flow, which is allowed (S-64).
    Loopback,
    /// No rule, and so the default action (S-62).
    Default,
}

impl Decider {
    /// Returns the index of the rule, if it is one.
    pub fn rule(self) -> Option<usize> {
        match self {
            Decider::Rule(index) => Some(index),
            Decider::Loopback | Decider::Default => None,
        }
    }
}

/// `rule 3`, `loopback` or `default`.
impl fmt::Display for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decider::Rule(index) => write!(f, "rule {index}"),
            Decider::Loopback => f.write_str("loopback"),
            Decider::Default => f.write_str("default"),
        }
    }
}

/// A set of flows: all whose parts are each in a set of their own.
///
/// A region has no flow that could not be asked about: where the remote endpoint is
/// [`Unknown`](Hosts::Unknown) its port is not known either, whatever
/// [`remote_ports`](Region::remote_ports) says.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    protocols: Protocols,
    directions: Vec<Direction>,
    remote: Side,
    local: Side,
    names: Names,
    size: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct Side {
    hosts: Vec<Hosts>,
    is_any_host: bool,
    /// Whether only the two loopback addresses are missing.
    is_any_but_loopback: bool,
    ports: Vec<(u16, u16)>,
    zones: Zones,
}

/// Some of the hosts of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hosts {
    /// There is no endpoint.
    Unknown,
    /// The endpoint holds a name.
    Named,
    /// The addresses from the first to the last, both of one family. Of IPv6, without the mapped
    /// ones, which are folded (S-20).
    Addresses(IpAddr, IpAddr),
}

impl Hosts {
    /// Returns the addresses as networks, the fewest that hold just them (and, of IPv6, perhaps the
    /// mapped ones).
    pub fn networks(self) -> impl Iterator<Item = IpNet> {
        let (v4, v6) = match self {
            Hosts::Addresses(IpAddr::V4(first), IpAddr::V4(last)) => {
                (Some(Ipv4Subnets::new(first, last, 0)), None)
            }
            Hosts::Addresses(IpAddr::V6(first), IpAddr::V6(last)) => {
                (None, Some(Ipv6Subnets::new(first, last, 0)))
            }
            _ => (None, None),
        };
        let v4 = v4.into_iter().flatten().map(IpNet::V4);
        v4.chain(v6.into_iter().flatten().map(IpNet::V6))
    }
}

/// Some of the protocols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// Those that are named.
    pub listed: Vec<IpProtocol>,
    /// Whether every protocol is in that is neither TCP nor UDP nor named by a rule.
    pub others: bool,
    /// Whether these are all protocols.
    pub all: bool,
}

/// Some of the zone ids (S-50).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones {
    /// Whether an address without one is in.
    pub none: bool,
    /// Those that are named.
    pub listed: Vec<Zone>,
    /// Whether every zone id is in that no rule names.
    pub others: bool,
    /// Whether these are all zone ids.
    pub all: bool,
}

/// Some of the host names (S-40 to S-44).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Whether a flow without a host name is in.
    pub unknown: bool,
    /// Whether every name is in that no host rule is about.
    pub others: bool,
    /// Names that host rules are about, each with all names below it that have two labels or more,
    /// and the names below it that are left out.
    pub listed: Vec<(String, Vec<String>)>,
    /// Whether these are all names, and none.
    pub all: bool,
}

impl Region {
    pub(crate) fn new(space: &Space, sets: &PerAxis<Runs>) -> Region {
        let axes = space.axes();
        let is_all = |axis: Axis| sets[axis] == axes.all(axis);
        let side = |hosts: Axis, ports: Axis, zones: Axis| Side {
            hosts: self::hosts(axes, hosts, &sets[hosts]),
            is_any_host: is_all(hosts),
            is_any_but_loopback: sets[hosts] == axes.all(hosts).minus(&axes.loopback(hosts)),
            ports: axes.port_ranges(ports, &sets[ports]).collect(),
            zones: Zones {
                none: sets[zones].contains(0),
                listed: sets[zones].classes().filter_map(|class| axes.zone(zones, class)).collect(),
                others: sets[zones].contains(axes.len(zones) - 1),
                all: is_all(zones),
            },
        };
        let protocols = &sets[Axis::Protocol];
        let directions = [Direction::Outbound, Direction::Inbound, Direction::Any];
        let is_in = |(class, _): &(u32, Direction)| sets[Axis::Direction].contains(*class);
        Region {
            protocols: Protocols {
                listed: protocols
                    .classes()
                    .filter_map(|class| axes.protocol_number(class))
                    .collect(),
                others: protocols.contains(axes.len(Axis::Protocol) - 1),
                all: is_all(Axis::Protocol),
            },
            directions: (0..).zip(directions).filter(is_in).map(|(_, d)| d).collect(),
            remote: side(Axis::Remote, Axis::RemotePort, Axis::RemoteZone),
            local: side(Axis::Local, Axis::LocalPort, Axis::LocalZone),
            names: names(axes, &sets[Axis::Hostname], is_all(Axis::Hostname)),
            size: size(axes, sets),
        }
    }

    /// Returns the protocols.
    pub fn protocols(&self) -> &Protocols {
        &self.protocols
    }

    /// Returns the directions; [`Direction::Any`] stands for one that is not known.
    pub fn directions(&self) -> &[Direction] {
        &self.directions
    }

    /// Returns the remote hosts.
    pub fn remote(&self) -> &[Hosts] {
        &self.remote.hosts
    }

    /// Returns the local hosts.
    pub fn local(&self) -> &[Hosts] {
        &self.local.hosts
    }

    /// Returns whether any remote host is in, known or not.
    pub fn is_any_remote(&self) -> bool {
        self.remote.is_any_host
    }

    /// Returns whether any local host is in, known or not.
    pub fn is_any_local(&self) -> bool {
        self.local.is_any_host
    }

    /// Returns the remote ports, as ranges with both ends; 0 is a port that is not known.
    pub fn remote_ports(&self) -> &[(u16, u16)] {
        &self.remote.ports
    }

    /// Returns the local ports, as ranges with both ends; 0 is a port that is not known.
    pub fn local_ports(&self) -> &[(u16, u16)] {
        &self.local.ports
    }

    /// Returns the zone ids of remote addresses.
    pub fn remote_zones(&self) -> &Zones {
        &self.remote.zones
    }

    /// Returns the zone ids of local addresses.
    pub fn local_zones(&self) -> &Zones {
        &self.local.zones
    }

    /// Returns the host names.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Returns the share of all flows that the region is, from 0 to 1, by which regions are put in
    /// order.
    ///
    /// It is a product over the parts of a flow. On either side, IPv4 and IPv6 are half each,
    /// spread evenly over the addresses; ports are spread evenly. TCP, UDP and all other protocols
    /// are a third each, and so are the directions: outbound, inbound, not known. No host name is
    /// half, a name that no rule is about a quarter; the names of rules share the rest. No zone id
    /// is half.
    pub fn size(&self) -> f64 {
        self.size
    }
}

/// `TCP outbound, remote 10.0.0.0/8 port 443, local any`; at most four of what there are many.
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocols = &self.protocols;
        let mut words: Vec<String> = match protocols.all {
            true => vec!["all protocols".to_owned()],
            false => protocols.listed.iter().map(IpProtocol::to_string).collect(),
        };
        if protocols.others && !protocols.all {
            words.push("other protocols".to_owned());
        }
        write!(f, "{} ", Few(&words))?;
        let directions: Vec<&str> = self
            .directions
            .iter()
            .map(|d| match d {
                Direction::Any => "unknown direction",
                known => known.as_str(),
            })
            .collect();
        match directions.len() {
            3 => f.write_str("any direction")?,
            _ => write!(f, "{}", Few(&directions))?,
        }
        self.remote.write(f, "remote")?;
        if !self.local.is_all() {
            self.local.write(f, "local")?;
        }
        if !self.names.all {
            write!(f, ", host name {}", self.names)?;
        }
        Ok(())
    }
}

/// `none`, `other`, `example.com`, `example.com less www.example.com`.
impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        if self.unknown {
            words.push("unknown".to_owned());
        }
        if self.others {
            words.push("any other".to_owned());
        }
        words.extend(self.listed.iter().map(|(name, without)| match without.is_empty() {
            true => name.clone(),
            false => format!("{name} less {}", Few(without)),
        }));
        Few(&words).fmt(f)
    }
}

impl Side {
    fn is_all(&self) -> bool {
        self.is_any_host && self.ports == [(0, u16::MAX)] && self.zones.all
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        write!(f, ", {name} ")?;
        if self.is_any_host {
            f.write_str("any")?;
        } else if self.is_any_but_loopback {
            f.write_str("any but loopback")?;
        } else {
            let words = self.hosts.iter().flat_map(|hosts| {
                let word = match hosts {
                    Hosts::Unknown => Some("unknown".to_owned()),
                    Hosts::Named => Some("a name".to_owned()),
                    Hosts::Addresses(..) => None,
                };
                word.into_iter().chain(hosts.networks().map(|net| net.to_string()))
            });
            // A stretch can be many networks: no more are made than are counted.
            let words: Vec<String> = words.take(10_000).collect();
            write!(f, "{}", Few(&words))?;
        }
        if self.ports != [(0, u16::MAX)] {
            let words: Vec<String> = self
                .ports
                .iter()
                .flat_map(|ports| match *ports {
                    (0, 0) => vec!["unknown".to_owned()],
                    (0, last) => vec!["unknown".to_owned(), range(1, last)],
                    (first, last) => vec![range(first, last)],
                })
                .collect();
            write!(f, " port {}", Few(&words))?;
        }
        if !self.zones.all {
            let mut words: Vec<String> = self.zones.listed.iter().map(Zone::to_string).collect();
            if self.zones.none {
                words.insert(0, "none".to_owned());
            }
            if self.zones.others {
                words.push("any other".to_owned());
            }
            write!(f, " zone {}", Few(&words))?;
        }
        Ok(())
    }
}

fn range(first: u16, last: u16) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// The first words of a list, and how many more there are.
struct Few<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Few<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        let shown = if self.0.len() == SHOWN + 1 { SHOWN + 1 } else { SHOWN };
        for (index, word) in self.0.iter().take(shown).enumerate() {
            write!(f, "{}{word}", if index == 0 { "" } else { ", " })?;
        }
        match self.0.len().saturating_sub(shown) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

fn hosts(axes: &Axes, axis: Axis, runs: &Runs) -> Vec<Hosts> {
    let mut found = Vec::new();
    for (first, last) in axes.points(axis, runs) {
        if first == Point::Nil {
            found.push(Hosts::Unknown);
        }
        if axis == Axis::Remote && first <= Point::Name && last >= Point::Name {
            found.push(Hosts::Named);
        }
        let families = [
            (AddressFamily::V4, Point::V4(0), Point::V4(u32::MAX)),
            (AddressFamily::V6, Point::V6(0), Point::V6(u128::MAX)),
        ];
        for (family, lowest, highest) in families {
            let (first, last) = (first.max(lowest), last.min(highest));
            if first <= last
                && family_of(first) == Some(family)
                && let (Some(first), Some(last)) = (first.address(), last.address())
            {
                found.push(Hosts::Addresses(first, last));
            }
        }
    }
    found
}

fn names(axes: &Axes, runs: &Runs, all: bool) -> Names {
    let mut listed = Vec::new();
    if !all {
        let mut next = 0;
        for class in runs.classes() {
            let Some((name, last)) = axes.name(class).filter(|_| class >= next) else { continue };
            if runs.covers(&Runs::one(class, last)) {
                listed.push((name.to_owned(), Vec::new()));
                next = last + 1;
                continue;
            }
            let mut without = Vec::new();
            let mut below = class + 1;
            while below <= last {
                let Some((name, end)) = axes.name(below) else { break };
                without.push(name.to_owned());
                below = end + 1;
            }
            listed.push((name.to_owned(), without));
        }
    }
    Names { unknown: runs.contains(0), others: runs.contains(1), listed, all }
}

/// Returns the share of the space that a product of sets is.
pub(crate) fn size(axes: &Axes, sets: &PerAxis<Runs>) -> f64 {
    Axis::ALL.iter().map(|axis| axes.share(*axis, &sets[*axis])).product()
}
