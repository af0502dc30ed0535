//! [`Network`]: one side of a rule - nil, wildcard or explicit prefix, and its ports (S-05 to
//! S-25) - and [`Answer`], the outcome of testing it.

use crate::endpoint::{AddressFamily, Endpoint, Host, Ports, Zone};
use crate::error::{Error, ErrorKind};
use crate::flow::{Flow, FlowEndpoint};
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

/// The outcome of one test of a rule against a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It holds.
    Yes,
    /// It does not hold, whatever becomes known of the flow.
    No,
    /// It does not hold now and could once the local endpoint or the host name is known.
    NotYet,
}

impl Answer {
    /// Returns the answer of two tests that both have to hold.
    pub fn and(self, other: Answer) -> Answer {
        match (self, other) {
            (Answer::No, _) | (_, Answer::No) => Answer::No,
            (Answer::NotYet, _) | (_, Answer::NotYet) => Answer::NotYet,
            (Answer::Yes, Answer::Yes) => Answer::Yes,
        }
    }
}

impl From<bool> for Answer {
    fn from(holds: bool) -> Answer {
        if holds { Answer::Yes } else { Answer::No }
    }
}

/// One side, remote or local, of a [`NetworkRule`](crate::NetworkRule).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// Nil: any address of either family and any port, also none (S-05, S-22).
    Nil,
    /// The address `0.0.0.0` or `::`: any address of that family (S-14, S-15).
    ///
    /// The address alone makes a wildcard; a prefix length or a zone id beside it has no effect.
    /// For filters Apple does not document this (S-16).
    Wildcard {
        /// The family of the address.
        family: AddressFamily,
        /// The prefix length as it was given, in bits.
        prefix: u8,
        /// The ports accepted.
        ports: Ports,
    },
    /// Any other address: the network that its leading bits name (S-10).
    Prefix {
        /// The address as it was given, host bits and all, and the prefix length.
        net: IpNet,
        /// The zone id, compared where the flow has one too (S-50).
        zone: Option<Zone>,
        /// The ports accepted.
        ports: Ports,
    },
}

impl Network {
    /// Makes the side that an endpoint and a prefix length, in bits, describe.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotAnAddress`] for a host name (S-46), [`ErrorKind::PrefixNotFound`] and
    /// [`ErrorKind::PrefixTooLong`] (S-12).
    pub fn new(endpoint: &Endpoint, prefix: u64) -> Result<Network, Error> {
        let ports = endpoint.ports();
        let (address, zone) = match endpoint.host() {
            Host::Address(address, zone) => (*address, *zone),
            Host::Name(name) => {
                return Err(Error::new(ErrorKind::NotAnAddress { host: name.to_string() }));
            }
        };
        let family = AddressFamily::of(address);
        if prefix == Network::NOT_FOUND {
            return Err(Error::new(ErrorKind::PrefixNotFound));
        }
        let too_long = || Error::new(ErrorKind::PrefixTooLong { prefix, limit: family.bits() });
        let prefix = u8::try_from(prefix).map_err(|_| too_long())?;
        let net = IpNet::new(address, prefix).map_err(|_| too_long())?;
        Ok(match address.is_unspecified() {
            true => Network::Wildcard { family, prefix, ports },
            false => Network::Prefix { net, zone, ports },
        })
    }

    /// NSNotFound, as it arrives when a prefix length that was not there is passed on.
    pub const NOT_FOUND: u64 = i64::MAX as u64;

    /// Returns the endpoint this side was made from; `None` for nil.
    pub fn endpoint(&self) -> Option<Endpoint> {
        match *self {
            Network::Nil => None,
            Network::Wildcard { family, ports, .. } => {
                Some(Endpoint::from_parts(Host::Address(family.unspecified(), None), ports))
            }
            Network::Prefix { net, zone, ports } => {
                Some(Endpoint::from_parts(Host::Address(net.addr(), zone), ports))
            }
        }
    }

    /// Returns the prefix length this side was made with, in bits; `None` for nil.
    pub fn prefix(&self) -> Option<u8> {
        match *self {
            Network::Nil => None,
            Network::Wildcard { prefix, .. } => Some(prefix),
            Network::Prefix { net, .. } => Some(net.prefix_len()),
        }
    }

    /// Returns the number of leading bits that are compared: 0 for nil and wildcards.
    pub fn compared_bits(&self) -> u8 {
        match *self {
            Network::Nil | Network::Wildcard { .. } => 0,
            Network::Prefix { net, .. } => net.prefix_len(),
        }
    }

    /// Returns the ports; any for nil.
    pub fn ports(&self) -> Ports {
        match *self {
            Network::Nil => Ports::ANY,
            Network::Wildcard { ports, .. } | Network::Prefix { ports, .. } => ports,
        }
    }

    /// Returns the family; `None` for nil, which covers both.
    pub fn family(&self) -> Option<AddressFamily> {
        match *self {
            Network::Nil => None,
            Network::Wildcard { family, .. } => Some(family),
            Network::Prefix { net, .. } => Some(AddressFamily::of(net.addr())),
        }
    }

    /// Returns the addresses as a network, without host bits; `None` for nil. A wildcard is all
    /// of its family.
    pub fn net(&self) -> Option<IpNet> {
        match *self {
            Network::Nil => None,
            Network::Wildcard { family, .. } => IpNet::new(family.unspecified(), 0).ok(),
            Network::Prefix { net, .. } => Some(net.trunc()),
        }
    }

    /// Returns the zone id.
    pub fn zone(&self) -> Option<Zone> {
        match *self {
            Network::Prefix { zone, .. } => zone,
            Network::Nil | Network::Wildcard { .. } => None,
        }
    }

    /// Returns whether this side is explicit, that is, neither nil nor a wildcard, and so lifts
    /// the exclusion of loopback flows (S-18). An address with prefix length 0 is explicit (S-11).
    pub fn is_explicit(&self) -> bool {
        matches!(self, Network::Prefix { .. })
    }

    /// Returns whether the addresses of this side contain `address`, which has been folded.
    pub fn contains(&self, address: IpAddr, zone: Option<Zone>) -> bool {
        match self {
            Network::Nil => true,
            Network::Wildcard { family, .. } => *family == AddressFamily::of(address),
            Network::Prefix { net, zone: own, .. } => {
                let zones_agree = match (own, zone) {
                    (Some(own), Some(zone)) => *own == zone,
                    _ => true,
                };
                net.contains(&address) && zones_agree
            }
        }
    }

    /// Tests the remote address and port of `flow`; either is `Yes` or `No`.
    ///
    /// A flow whose remote endpoint is nil or a name matches only nil (S-22, S-52; undocumented).
    pub fn test_remote(&self, flow: &Flow<'_>) -> (Answer, Answer) {
        if *self == Network::Nil {
            return (Answer::Yes, Answer::Yes);
        }
        let remote = flow.remote();
        let contains = |remote: FlowEndpoint| {
            remote.folded_address().is_some_and(|address| self.contains(address, remote.zone()))
        };
        let port = remote.map_or(0, FlowEndpoint::port);
        (remote.is_some_and(contains).into(), self.ports().contains(port).into())
    }

    /// Tests the local address and port of `flow`.
    ///
    /// An unbound local endpoint is compared as it stands, `0.0.0.0` and port 0 (S-21), and a nil
    /// one matches only nil (S-22); what could hold once they are known is
    /// [`NotYet`](Answer::NotYet), each by itself, unless the family rules it out.
    pub fn test_local(&self, flow: &Flow<'_>) -> (Answer, Answer) {
        if *self == Network::Nil {
            return (Answer::Yes, Answer::Yes);
        }
        let local = flow.local();
        let contains = |local: FlowEndpoint| {
            local.folded_address().is_some_and(|address| self.contains(address, local.zone()))
        };
        let could_hold = self.could_hold_local(flow) && flow.is_local_address_unknown();
        let address = match local.is_some_and(contains) {
            true => Answer::Yes,
            false if could_hold => Answer::NotYet,
            false => Answer::No,
        };
        let port = match self.ports().contains(local.map_or(0, FlowEndpoint::port)) {
            true => Answer::Yes,
            false if flow.is_local_port_unknown() => Answer::NotYet,
            false => Answer::No,
        };
        (address, port)
    }

    /// Returns whether this local side could hold the local address of `flow` once it is known: it
    /// is of the family that the address will have, and not made of IPv4-mapped addresses, which
    /// in a flow count as IPv4 (S-20).
    fn could_hold_local(&self, flow: &Flow<'_>) -> bool {
        let is_mapped = match self {
            Network::Prefix { net: IpNet::V6(net), .. } => {
                net.prefix_len() >= 96 && net.addr().to_ipv4_mapped().is_some()
            }
            _ => false,
        };
        let family_agrees = flow.expected_local_family().is_none_or(|f| Some(f) == self.family());
        family_agrees && !is_mapped
    }

    /// Returns whether a match of this local side with the unbound local address of `flow` could
    /// end once the address is known: it compares bits, as 0.0.0.1/8 does, or a zone id, or is of
    /// the family that the address will not have.
    pub(crate) fn leans_on_unbound(&self, flow: &Flow<'_>) -> bool {
        let compares = self.compared_bits() > 0 || self.zone().is_some();
        *self != Network::Nil
            && flow.is_local_address_unknown()
            && (compares || !self.could_hold_local(flow))
    }
}

/// `any` for nil, else the address, the prefix length and the port: `10.0.0.0/8 port 443`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(endpoint) = self.endpoint() else { return f.write_str("any") };
        write!(f, "{}/{}", endpoint.host(), self.prefix().unwrap_or(0))?;
        match endpoint.ports() {
            Ports::ANY => Ok(()),
            ports => write!(f, " port {ports}"),
        }
    }
}
