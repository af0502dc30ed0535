//! [`Connection`]: two ends and who opened it, from which a flow is made once it is known which
//! end is this host.

use crate::error::{Error, ErrorKind};
use crate::flow::{Direction, Flow, IpProtocol};
use crate::formats::logs::LogFlow;
use ipnet::IpNet;
use std::net::IpAddr;

/// A record of a log that has a source and a destination instead of a local and a remote side.
///
/// # Examples
///
/// ```
/// use flowsieve::formats::logs::{Connection, End};
/// use flowsieve::{Direction, IpProtocol};
///
/// let mut connection = Connection::new(
///     ("192.168.1.7".parse()?, 50_000),
///     ("203.0.113.5".parse()?, 443),
///     IpProtocol::TCP,
/// );
/// connection.opener = Some(End::Source);
/// assert!(!connection.to_flow(&[]).is_side_known);
///
/// let found = connection.to_flow(&["192.168.0.0/16".parse()?]);
/// assert_eq!(found.flow.direction(), Direction::Outbound);
/// assert_eq!(found.flow.remote().map(|remote| remote.port()), Some(443));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Address and port of the end that sent what the record is about.
    pub source: (IpAddr, u16),
    /// Address and port of the other end.
    pub destination: (IpAddr, u16),
    /// The protocol.
    pub protocol: IpProtocol,
    /// The end that opened the connection, where the log says so.
    pub opener: Option<End>,
    /// The end that is this host, where the log says so.
    pub local: Option<End>,
}

/// An end of a [`Connection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The end that sent.
    Source,
    /// The end that received.
    Destination,
}

impl Connection {
    /// Makes a connection of which neither the opener nor the local end is known. Ports of
    /// protocols that have none become 0.
    pub fn new(
        source: (IpAddr, u16),
        destination: (IpAddr, u16),
        protocol: IpProtocol,
    ) -> Connection {
        let port = |port| if has_ports(protocol) { port } else { 0 };
        Connection {
            source: (source.0, port(source.1)),
            destination: (destination.0, port(destination.1)),
            protocol,
            opener: None,
            local: None,
        }
    }

    /// Makes a flow.
    ///
    /// The local end is the one that the log names, else the one end that lies in `local_nets`.
    /// Where that is neither or both, the side is not known: the flow then has the end that did not
    /// open the connection as its remote side, and no direction. Where the opener is not known, the
    /// source is taken for it; [`LogFlow::is_opener_known`] says so.
    pub fn to_flow(self, local_nets: &[IpNet]) -> LogFlow<'static> {
        let local = self.local.or_else(|| self.local_by(local_nets));
        let opener = self.opener.unwrap_or(End::Source);
        let direction = match local {
            Some(local) if local == opener => Direction::Outbound,
            Some(_) => Direction::Inbound,
            None => Direction::Any,
        };
        let (near, far) = match local.unwrap_or(opener) {
            End::Source => (self.source, self.destination),
            End::Destination => (self.destination, self.source),
        };
        let flow = Flow::new(self.protocol, direction)
            .with_local_address(near.0, None, near.1)
            .with_remote_address(far.0, None, far.1);
        LogFlow {
            flow,
            is_side_known: local.is_some(),
            is_opener_known: self.opener.is_some(),
            is_protocol_known: true,
        }
    }

    fn local_by(&self, local_nets: &[IpNet]) -> Option<End> {
        let is_local = |address: IpAddr| {
            let address = address.to_canonical();
            local_nets.iter().any(|net| net.contains(&address))
        };
        match (is_local(self.source.0), is_local(self.destination.0)) {
            (true, false) => Some(End::Source),
            (false, true) => Some(End::Destination),
            _ => None,
        }
    }
}

impl End {
    /// Returns the other end.
    pub fn other(self) -> End {
        match self {
            End::Source => End::Destination,
            End::Destination => End::Source,
        }
    }
}

/// Reads a network of this host: `10.0.0.0/8`, or an address alone for that one host.
///
/// # Errors
///
/// [`ErrorKind::InvalidLocalNetwork`].
pub fn local_net(text: &str) -> Result<IpNet, Error> {
    let net = text.parse().or_else(|error| text.parse::<IpAddr>().map(IpNet::from).or(Err(error)));
    net.map_err(|_| Error::new(ErrorKind::InvalidLocalNetwork { text: text.to_owned() }))
}

/// Whether the protocol has ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
pub(super) fn has_ports(protocol: IpProtocol) -> bool {
    matches!(protocol.0, 6 | 17 | 33 | 132 | 136)
}

/// Reads the name of a protocol as the tools that log it write it, or its number. `icmp` is ICMPv6
/// where the addresses are IPv6.
pub(super) fn protocol(word: &str, address: IpAddr) -> Result<IpProtocol, Error> {
    let is_number = word.bytes().all(|b| b.is_ascii_digit());
    // Suricata pads numbers to three digits.
    let number = match word.trim_start_matches('0') {
        "" if !word.is_empty() => "0",
        digits => digits,
    };
    if is_number && let Ok(number) = number.parse() {
        return Ok(IpProtocol(number));
    }
    let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    match named {
        Some((_, 1)) if address.to_canonical().is_ipv6() => Ok(IpProtocol::ICMPV6),
        Some((_, number)) => Ok(IpProtocol(*number)),
        None => Err(Error::new(ErrorKind::UnknownProtocol { word: word.to_owned() })),
    }
}

/// Names as IANA lists them, and as Zeek, Suricata and nfdump shorten them.
const NAMES: [(&str, u8); 28] = [
    ("tcp", 6),
    ("udp", 17),
    ("icmp", 1),
    ("icmpv6", 58),
    ("ipv6-icmp", 58),
    ("icmp6", 58),
    ("igmp", 2),
    ("ipip", 4),
    ("ipv4", 4),
    ("ipv6", 41),
    ("ip6ip", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("rsvp", 46),
    ("eigrp", 88),
    ("ospf", 89),
    ("ospfigp", 89),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
    ("dccp", 33),
    ("egp", 8),
    ("hopopt", 0),
    ("ipv6-frag", 44),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn connection() -> Connection {
        let source = ("10.0.0.1".parse().unwrap(), 50_000);
        let destination = ("192.0.2.1".parse().unwrap(), 443);
        Connection::new(source, destination, IpProtocol::TCP)
    }

    fn shown(connection: &Connection, nets: &[&str]) -> (String, bool) {
        let nets: Vec<IpNet> = nets.iter().map(|net| local_net(net).unwrap()).collect();
        let found = connection.to_flow(&nets);
        (found.flow.to_string(), found.is_side_known)
    }

    #[test]
    fn one_end_in_a_local_network_is_the_local_one() {
        let opened = Connection { opener: Some(End::Source), ..connection() };
        let out = "TCP outbound 10.0.0.1:50000 -> 192.0.2.1:443".to_owned();
        assert_eq!(shown(&opened, &["10.0.0.0/8"]), (out.clone(), true));
        let within = "TCP inbound 192.0.2.1:443 <- 10.0.0.1:50000".to_owned();
        assert_eq!(shown(&opened, &["192.0.2.1", "::/0"]), (within, true));
        // What the log says goes before networks.
        let told = Connection { local: Some(End::Source), ..opened };
        assert_eq!(shown(&told, &["192.0.2.1"]), (out, true));
    }

    #[test]
    fn side_is_unknown_where_neither_or_both_ends_are_local() {
        let opened = Connection { opener: Some(End::Source), ..connection() };
        let unknown = ("TCP any 10.0.0.1:50000 <-> 192.0.2.1:443".to_owned(), false);
        for nets in [&[] as &[&str], &["0.0.0.0/0"], &["172.16.0.0/12"]] {
            assert_eq!(shown(&opened, nets), unknown);
        }
        let answered = Connection { opener: Some(End::Destination), ..connection() };
        let turned = ("TCP any 192.0.2.1:443 <-> 10.0.0.1:50000".to_owned(), false);
        assert_eq!(shown(&answered, &[]), turned, "the remote side is the one that was called");
    }

    #[test]
    fn source_is_taken_for_the_opener_where_that_is_not_known() {
        let out = ("TCP outbound 10.0.0.1:50000 -> 192.0.2.1:443".to_owned(), true);
        assert_eq!(shown(&connection(), &["10.0.0.0/8"]), out);
        assert!(!connection().to_flow(&[]).is_opener_known);
        let opened = Connection { opener: Some(End::Destination), ..connection() };
        let inbound = ("TCP inbound 10.0.0.1:50000 <- 192.0.2.1:443".to_owned(), true);
        assert_eq!(shown(&opened, &["10.0.0.0/8"]), inbound);
        assert!(opened.to_flow(&[]).is_opener_known);
    }

    #[test]
    fn mapped_addresses_lie_in_ipv4_networks() {
        let source = ("::ffff:10.0.0.1".parse().unwrap(), 1);
        let mapped = Connection { source, opener: Some(End::Source), ..connection() };
        assert!(shown(&mapped, &["10.0.0.0/8"]).1);
    }

    #[test]
    fn protocols_without_ports_have_none() {
        let Connection { source, destination, .. } = connection();
        let ping = Connection::new(source, destination, IpProtocol::ICMP);
        assert_eq!((ping.source.1, ping.destination.1), (0, 0));
    }

    #[test]
    fn protocols_are_read_by_the_names_that_tools_write() {
        let (v4, v6) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let cases = [("TCP", 6), ("udp", 17), ("icmp", 1), ("IPv6-ICMP", 58), ("041", 41)];
        for (word, number) in cases.into_iter().chain([("0", 0), ("000", 0), ("255", 255)]) {
            assert_eq!(protocol(word, v4).unwrap().0, number, "{word}");
        }
        assert_eq!(protocol("icmp", v6).unwrap(), IpProtocol::ICMPV6);
        for word in ["", "256", "unknown_transport", "-1"] {
            assert!(protocol(word, v4).is_err(), "{word}");
        }
    }
}
