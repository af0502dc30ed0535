//! [`Endpoint`]: NWHostEndpoint, and the endpoint strings seen in flows and logs (S-25, S-26,
//! S-50 to S-52).

pub(crate) mod address_text;

use crate::endpoint::address_text::{EACH, HIGH};
use crate::error::{Error, ErrorKind};
use crate::hostname::HostName;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU8;
use std::str::FromStr;

/// A host and a port: NWHostEndpoint, or an NWEndpoint of the kind `hostPort`.
///
/// Both of Apple's endpoint types mean the same here (S-03). The host is an address if its text
/// parses as one, and a name otherwise, as the framework decides it (S-51).
///
/// # Examples
///
/// ```
/// use flowsieve::{Endpoint, Host};
///
/// let endpoint = Endpoint::new("fe80::1%en0", "443")?;
/// assert!(matches!(endpoint.host(), Host::Address(..)));
/// assert_eq!(endpoint.to_string(), "[fe80::1%en0]:443");
/// assert_eq!("fe80::1%en0.443".parse::<Endpoint>()?, endpoint);
/// # Ok::<(), flowsieve::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: Host,
    ports: Ports,
}

/// The host of an [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IP address, with the zone id of an IPv6 address that has one.
    Address(IpAddr, Option<Zone>),
    /// A host name.
    Name(HostName),
}

impl Endpoint {
    /// Makes an endpoint from the texts that NWHostEndpoint takes.
    ///
    /// `port` is read as Apple documents it, `"0"` and `""` being any port (S-25). Apple does not
    /// document other text; here only ASCII digits with a value up to 65535 are a port (S-26), so
    /// that a bad string never turns into any port.
    ///
    /// # Errors
    ///
    /// Those of [`Host::from_str`] and [`ErrorKind::InvalidPort`].
    pub fn new(hostname: &str, port: &str) -> Result<Endpoint, Error> {
        Ok(Endpoint { host: hostname.parse()?, ports: Ports::from_apple_text(port)? })
    }

    /// Makes an endpoint from parts, which also takes a range of ports.
    ///
    /// A range is an extension beyond Apple; see [`Ports`]. A zone id of an IPv4 address is left out: only IPv6
    /// addresses have one (S-50).
    pub fn from_parts(host: Host, ports: Ports) -> Endpoint {
        let host = match host {
            Host::Address(address @ IpAddr::V4(_), _) => Host::Address(address, None),
            host => host,
        };
        Endpoint { host, ports }
    }

    /// Returns the host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the ports.
    pub fn ports(&self) -> Ports {
        self.ports
    }
}

/// Port 0 is any port in a rule and an unknown port in a flow.
impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Endpoint {
        let zone = match address {
            SocketAddr::V6(v6) => Zone::from_index(v6.scope_id()),
            SocketAddr::V4(_) => None,
        };
        Endpoint { host: Host::Address(address.ip(), zone), ports: Ports::one(address.port()) }
    }
}

/// Any port.
impl From<IpAddr> for Endpoint {
    fn from(address: IpAddr) -> Endpoint {
        Endpoint { host: Host::Address(address, None), ports: Ports::ANY }
    }
}

/// `192.0.2.1:443`, `[2001:db8::1]:443`, `example.com:443`; any port is `0`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            host @ Host::Address(IpAddr::V6(_), _) => write!(f, "[{host}]:{}", self.ports),
            host => write!(f, "{host}:{}", self.ports),
        }
    }
}

/// Reads the forms in which endpoints are written and logged: `192.0.2.1:443`,
/// `[2001:db8::1]:443`, `2001:db8::1.443` (the form in which Apple prints IPv6 endpoints),
/// `fe80::1%en0:443`, `example.com:443`, and a host alone, which stands for any port.
///
/// Text that is an IPv6 address as a whole is taken as one, so `2001:db8::1:443` has no port.
/// Apple documents none of these forms; they are what descriptions and logs show. The port may be
/// a range, as in [`Ports::from_str`].
impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Endpoint, Error> {
        let invalid = || Error::new(ErrorKind::InvalidEndpoint { endpoint: text.to_owned() });
        let (host, ports) = split_ports(text).ok_or_else(invalid)?;
        if ports.is_some_and(|ports| ports.starts_with("//")) {
            // A URL, whose scheme is no host.
            let host = text.to_owned();
            return Err(Error::new(ErrorKind::InvalidHostname { host, found: ':' }));
        }
        let host: Host = host.parse().map_err(|error: Error| match error.kind() {
            // What was cut off may be the end of a mistyped address.
            ErrorKind::NotAnAddress { .. } if ports.is_some() => invalid(),
            _ => error,
        })?;
        // A name that ends in a number is a mistyped address, such as `10.0.0.256:80`.
        let is_numeric = |name: &HostName| {
            let last = name.trimmed().rsplit('.').next();
            last.is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()))
        };
        if host.name().is_some_and(is_numeric) {
            return Err(invalid());
        }
        Ok(Endpoint { host, ports: ports.map_or(Ok(Ports::ANY), str::parse)? })
    }
}

/// Splits endpoint text into its host, without brackets, and its port, without separator.
fn split_ports(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']')?;
        host.contains(':').then_some(())?;
        return match rest {
            "" => Some((host, None)),
            rest => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    if text.parse::<IpAddr>().is_ok() {
        return Some((text, None));
    }
    // A zone id holds no dot and no colon, so whatever follows one there is a port.
    if let Some(percent) = text.find('%') {
        return match text.get(percent..)?.find(['.', ':']) {
            Some(end) => Some((text.get(..percent + end)?, text.get(percent + end + 1..))),
            None => Some((text, None)),
        };
    }
    match text.matches(':').count() {
        0 => Some((text, None)),
        1 => text.split_once(':').map(|(host, ports)| (host, Some(ports))),
        _ => text.rsplit_once('.').map(|(host, ports)| (host, Some(ports))),
    }
}

impl Host {
    /// Returns the name, if the host is one.
    pub fn name(&self) -> Option<&HostName> {
        match self {
            Host::Name(name) => Some(name),
            Host::Address(..) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(address, None) => address.fmt(f),
            Host::Address(address, Some(zone)) => write!(f, "{address}%{zone}"),
            Host::Name(name) => name.fmt(f),
        }
    }
}

/// Reads strict dotted-quad IPv4, RFC 4291 IPv6 text with an optional zone id, or a host name.
///
/// Apple does not document how host text is told apart. The choice (S-51) is strict: brackets,
/// `/8`, `:443` and octal octets are errors rather than names that never match. A short IPv4 form
/// such as `10.1` is a host name by its characters, and so is refused where an address is needed.
impl FromStr for Host {
    type Err = Error;

    fn from_str(text: &str) -> Result<Host, Error> {
        match HostText::read(text)? {
            HostText::Address(address, zone) => Ok(Host::Address(address, zone)),
            HostText::Name(name) => HostName::new(name).map(Host::Name),
        }
    }
}

/// What the text of a host is, as [`Host::from_str`] tells it apart. Holds nothing of its own, so
/// that reading it allocates only for an error.
pub(crate) enum HostText<'a> {
    Address(IpAddr, Option<Zone>),
    Name(&'a str),
}

impl HostText<'_> {
    pub(crate) fn read(text: &str) -> Result<HostText<'_>, Error> {
        let not_an_address = || Error::new(ErrorKind::NotAnAddress { host: text.to_owned() });
        if let Some(address) = address_text::address(text.as_bytes()) {
            return Ok(HostText::Address(address, None));
        }
        if let Some((address, zone)) = text.split_once('%')
            && let Some(address) = address_text::v6(address.as_bytes())
        {
            return Ok(HostText::Address(address.into(), Some(Zone::new(zone)?)));
        }
        match HostName::check(text) {
            Ok(()) => Ok(HostText::Name(text)),
            // What looks like an address gets the message about addresses.
            Err(error) => Err(match error.kind() {
                ErrorKind::InvalidHostname { .. } if looks_like_v6(text) || looks_numeric(text) => {
                    not_an_address()
                }
                _ => error,
            }),
        }
    }
}

/// A zone id: the network interface of a scoped IPv6 address, `en0` in `fe80::1%en0`.
///
/// Zone ids are compared as text, and only where the rule and the flow both have one (S-50).
/// Apple does not say whether a rule's zone id is kept, resolved or rejected; it is kept here. A
/// flow that gives the interface by number and a rule that gives it by name do not agree.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone {
    /// INVARIANT: the first `len` bytes are ASCII, the others 0.
    bytes: [u8; Zone::MAX_LEN],
    len: NonZeroU8,
}

impl Zone {
    /// The longest zone id, in bytes: that of an interface name (`IFNAMSIZ` less its NUL).
    pub const MAX_LEN: usize = 15;

    /// Checks a zone id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidZone`] unless it is 1 to 15 ASCII letters, digits, `_` or `-`.
    pub fn new(text: &str) -> Result<Zone, Error> {
        let invalid = || Error::new(ErrorKind::InvalidZone { zone: text.to_owned() });
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(invalid());
        }
        let mut bytes = [0; Zone::MAX_LEN];
        bytes.get_mut(..text.len()).ok_or_else(invalid)?.copy_from_slice(text.as_bytes());
        let len = NonZeroU8::new(text.len() as u8).ok_or_else(invalid)?;
        Ok(Zone { bytes, len })
    }

    /// Returns the zone id that stands for an interface index, as in a socket address; `None`
    /// for index 0, which stands for no zone.
    pub fn from_index(index: u32) -> Option<Zone> {
        // Digit by digit, so that a socket address becomes a flow without an allocation.
        let count = index.checked_ilog10()? as usize + 1;
        let mut bytes = [0; Zone::MAX_LEN];
        let mut rest = index;
        for digit in bytes.get_mut(..count)?.iter_mut().rev() {
            (*digit, rest) = (b'0' + (rest % 10) as u8, rest / 10);
        }
        Some(Zone { bytes, len: NonZeroU8::new(count as u8)? })
    }

    /// Returns the zone id as text, without the percent sign.
    pub fn as_str(&self) -> &str {
        self.bytes
            .get(..usize::from(self.len.get()))
            .and_then(|b| std::str::from_utf8(b).ok())
            .unwrap_or("")
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({:?})", self.as_str())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The ports that one side of a rule accepts: any, one, or a range.
///
/// A range is an extension: NENetworkRule takes one port or any (S-25), and
/// [`FilterSettings::validate_for_framework`](crate::FilterSettings::validate_for_framework)
/// reports rules that use one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ports {
    /// INVARIANT: `first <= last`; `first` is 0 only for any port, which is 0 to 65535.
    first: u16,
    last: u16,
}

impl Ports {
    /// Any port, also an unknown one.
    pub const ANY: Ports = Ports { first: 0, last: u16::MAX };

    /// Returns the ports that one number stands for: itself, or any port for 0 (S-25).
    pub const fn one(port: u16) -> Ports {
        if port == 0 { Ports::ANY } else { Ports { first: port, last: port } }
    }

    /// Returns the ports from `first` to `last`, both included. Extension.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPortRange`] if `first` is 0, which stands for any port, or above
    /// `last`.
    pub fn range(first: u16, last: u16) -> Result<Ports, Error> {
        if first == 0 || first > last {
            return Err(Error::new(ErrorKind::InvalidPortRange { first, last }));
        }
        Ok(Ports { first, last })
    }

    /// Reads port text as NWHostEndpoint takes it: digits up to 65535, or nothing for any (S-25,
    /// S-26). `"0443"` is 443 and `"00"` is any port.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPort`] for everything else: signs, blanks, service names, ranges, `*`
    /// and values above 65535.
    pub fn from_apple_text(text: &str) -> Result<Ports, Error> {
        let port = Ports::port_of_text(text.as_bytes());
        let invalid = || Error::new(ErrorKind::InvalidPort { port: text.to_owned() });
        port.map(Ports::one).ok_or_else(invalid)
    }

    /// Reads a port as [`from_apple_text`](Ports::from_apple_text) does, 0 for any, from text that
    /// may not be UTF-8.
    #[inline]
    pub(crate) fn port_of_text(text: &[u8]) -> Option<u16> {
        const DIGITS: usize = 5;
        if text.is_empty() || text.len() > DIGITS {
            let port = text.iter().try_fold(0_u32, |port, byte| {
                let digit = u32::from(byte.wrapping_sub(b'0'));
                // Beyond all ports, more digits change nothing.
                (digit <= 9).then_some((port * 10 + digit).min(65_536))
            });
            return u16::try_from(port?).ok();
        }
        // PERF: how many digits the next port has cannot be foreseen, so that no branch asks: five bytes are
        // read, the last the lowest, of which as many stay as there are; text-to-decision/ipv4-1k.
        let mut bytes = 0;
        for place in 0..DIGITS {
            let byte = text.get(text.len().saturating_sub(place + 1))?;
            bytes |= u64::from(*byte) << (8 * place);
        }
        let digits = (bytes ^ (EACH * u64::from(b'0'))) & !(u64::MAX << (8 * text.len()));
        // No digit is above nine: seven bits and 118 are below 128, and the eighth bit is not set.
        let is_number = (((digits & !HIGH) + EACH * 118) | digits) & HIGH == 0;
        let digit = |place: u32| (digits >> (8 * place)) as u32 & 0xff;
        let low = digit(0) + digit(1) * 10 + digit(2) * 100;
        let port = low + digit(3) * 1000 + digit(4) * 10_000;
        u16::try_from(port).ok().filter(|_| is_number)
    }

    /// Returns whether these are all ports.
    pub fn is_any(&self) -> bool {
        *self == Ports::ANY
    }

    /// Returns the one port, if it is one.
    pub fn as_one(&self) -> Option<u16> {
        (self.first == self.last).then_some(self.first)
    }

    /// Returns the first port, 0 for any.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// Returns the last port, 65535 for any.
    pub fn last(&self) -> u16 {
        self.last
    }

    /// Returns whether `port` is one of these. Port 0, which stands for an unknown port, is only
    /// in [`Ports::ANY`].
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ports({self})")
    }
}

/// `0` for any port, `443`, or `1000-2000`.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_any() {
            f.write_str("0")
        } else if let Some(port) = self.as_one() {
            port.fmt(f)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// Reads what [`Ports::from_apple_text`] reads and, as an extension, an inclusive range
/// `1000-2000`.
impl FromStr for Ports {
    type Err = Error;

    fn from_str(text: &str) -> Result<Ports, Error> {
        let Some((first, last)) = text.split_once('-') else {
            return Ports::from_apple_text(text);
        };
        let bound = |bound: &str| match bound.bytes().all(|b| b.is_ascii_digit()) {
            true => bound.parse::<u16>().ok(),
            false => None,
        };
        match (bound(first), bound(last)) {
            (Some(first), Some(last)) => Ports::range(first, last),
            _ => Err(Error::new(ErrorKind::InvalidPort { port: text.to_owned() })),
        }
    }
}

/// One of the two families of IP addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressFamily {
    /// IPv4, PF_INET.
    V4,
    /// IPv6, PF_INET6.
    V6,
}

impl AddressFamily {
    /// Returns the family of `address`, without folding.
    pub fn of(address: IpAddr) -> AddressFamily {
        match address {
            IpAddr::V4(_) => AddressFamily::V4,
            IpAddr::V6(_) => AddressFamily::V6,
        }
    }

    /// Returns the width of an address, in bits.
    pub fn bits(self) -> u8 {
        match self {
            AddressFamily::V4 => 32,
            AddressFamily::V6 => 128,
        }
    }

    /// Returns the other family.
    pub(crate) fn other(self) -> AddressFamily {
        match self {
            AddressFamily::V4 => AddressFamily::V6,
            AddressFamily::V6 => AddressFamily::V4,
        }
    }

    /// Returns the unspecified address, `0.0.0.0` or `::`.
    pub fn unspecified(self) -> IpAddr {
        match self {
            AddressFamily::V4 => Ipv4Addr::UNSPECIFIED.into(),
            AddressFamily::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressFamily::V4 => "IPv4",
            AddressFamily::V6 => "IPv6",
        })
    }
}

fn looks_like_v6(text: &str) -> bool {
    let first = text.trim_start_matches('[').split_once(':').map(|(first, _)| first);
    first.is_some_and(|first| first.len() <= 4 && first.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn looks_numeric(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && !text.contains(|c: char| c.is_alphabetic() || c == '?' || c == '#')
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a failed test")]
mod tests {
    use super::*;

    /// What a port text stands for, digit by digit.
    fn port(text: &[u8]) -> Option<u16> {
        let digits = text.iter().map(|byte| (*byte as char).to_digit(10));
        let number = digits.into_iter().try_fold(0_u64, |number, digit| {
            digit.map(|digit| (number * 10 + u64::from(digit)).min(1 << 32))
        });
        u16::try_from(number?).ok()
    }

    #[test]
    fn every_number_is_read_with_and_without_leading_zeros() {
        for number in (0..=70_000).chain([99_999, 100_000, u64::MAX]) {
            for text in [format!("{number}"), format!("{number:05}"), format!("{number:09}")] {
                assert_eq!(Ports::port_of_text(text.as_bytes()), port(text.as_bytes()), "{text}");
            }
        }
    }

    #[test]
    fn any_other_byte_at_any_place_is_no_port() {
        assert_eq!(Ports::port_of_text(b""), Some(0));
        for text in [&b"7"[..], b"80", b"443", b"8443", b"55555", b"000080"] {
            for place in 0..text.len() {
                for byte in 0..=u8::MAX {
                    let mut text = text.to_vec();
                    text[place] = byte;
                    assert_eq!(Ports::port_of_text(&text), port(&text), "{text:x?}");
                }
            }
        }
    }
}
