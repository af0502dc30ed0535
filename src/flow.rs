//! [`Flow`]: the question asked - remote, local, protocol, direction and remote host name, as an
//! NEFilterSocketFlow has them (S-100).

use crate::endpoint::{AddressFamily, Endpoint, Host, Ports, Zone};
use crate::error::{Error, ErrorKind};
use crate::hostname;
use std::borrow::Cow;
use std::fmt;
#[cfg(target_arch = "x86_64")]
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A flow, as a content filter sees it when it is asked for a verdict.
///
/// Remote and local are relative to this host whatever the direction (S-07). What a flow does not
/// say is not guessed: see [`Flow::remote`], [`Flow::local`] and [`Flow::remote_hostname`].
///
/// # Examples
///
/// ```
/// use flowsieve::{Direction, Flow, IpProtocol};
///
/// let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
///     .with_remote("111.222.111.222:80".parse()?)?
///     .with_local("0.0.0.0:0".parse()?)?
///     .with_remote_hostname("www.example.com");
/// assert!(!flow.is_loopback());
/// # Ok::<(), flowsieve::Error>(())
/// ```
// PERF: what every decision reads stands first, in 56 bytes, and all in 80: batches go over many flows,
// and what is loaded for each of them takes a good part of the time; decide-batch/ipv4-1k. Flows are not
// aligned to lines: where many stand in a row, lines left out keep the processor from loading ahead.
#[derive(Clone, PartialEq, Eq)]
#[repr(C)]
pub struct Flow<'a> {
    remote: End,
    local: End,
    /// INVARIANT: that of a loopback flow if one of the ends is a loopback end.
    kind: FlowKind,
    rest: Rest<'a>,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Flow<'_>>() == 80);

/// What many flows do not have.
#[derive(Clone, Debug, Default)]
enum Rest<'a> {
    #[default]
    Nothing,
    Name(&'a str),
    // PERF: by itself, as details would be a step more on the way to it; decide/hosts-10k-addresses-10k/named-hit.
    OwnedName(Box<str>),
    #[cfg_attr(not(feature = "capi"), allow(dead_code, reason = "made for flows of C only"))]
    Borrowed(&'a Details<'a>),
    Owned(Box<Details<'a>>),
}

/// The host name and the zone ids of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Details<'a> {
    pub(crate) remote_hostname: Option<Cow<'a, str>>,
    /// Of the remote and the local address.
    pub(crate) zones: [Option<Zone>; 2],
}

impl<'a> Rest<'a> {
    fn remote_hostname(&self) -> Option<&str> {
        match self {
            Rest::Nothing => None,
            Rest::Name(name) => Some(name),
            Rest::OwnedName(name) => Some(name),
            Rest::Borrowed(details) => details.remote_hostname.as_deref(),
            Rest::Owned(details) => details.remote_hostname.as_deref(),
        }
    }

    fn zones(&self) -> [Option<Zone>; 2] {
        match self {
            Rest::Nothing | Rest::Name(_) | Rest::OwnedName(_) => [None; 2],
            Rest::Borrowed(details) => details.zones,
            Rest::Owned(details) => details.zones,
        }
    }

    /// Whether there may be zone ids.
    #[inline(always)]
    fn has_details(&self) -> bool {
        matches!(self, Rest::Borrowed(_) | Rest::Owned(_))
    }

    /// Changes the details; they are allocated.
    // PERF: by value, and out of the way. A flow that is lent to a function has to be put together in memory,
    // step by step; decide/capi-ipv4-1k/rust-made.
    #[cold]
    #[inline(never)]
    fn changed(self, change: impl FnOnce(&mut Details<'a>)) -> Rest<'a> {
        let named = |name| {
            let remote_hostname = Some(name);
            Box::new(Details { remote_hostname, ..Details::default() })
        };
        let mut details = match self {
            Rest::Nothing => Box::default(),
            Rest::Name(name) => named(Cow::Borrowed(name)),
            Rest::OwnedName(name) => named(Cow::Owned(name.into())),
            Rest::Borrowed(details) => Box::new(details.clone()),
            Rest::Owned(details) => details,
        };
        change(&mut details);
        Rest::Owned(details)
    }

    fn with_remote_zone(self, zone: Option<Zone>) -> Rest<'a> {
        self.changed(|Details { zones: [remote, _], .. }| *remote = zone)
    }

    fn with_local_zone(self, zone: Option<Zone>) -> Rest<'a> {
        self.changed(|Details { zones: [_, local], .. }| *local = zone)
    }
}

impl PartialEq for Rest<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.remote_hostname(), self.zones()) == (other.remote_hostname(), other.zones())
    }
}

impl Eq for Rest<'_> {}

impl<'a> Flow<'a> {
    /// Makes a flow of which neither endpoint nor the remote host name is known.
    ///
    /// `direction` is the initial direction of the flow (S-35); [`Direction::Any`] stands for one
    /// that is not known.
    #[inline]
    pub fn new(protocol: IpProtocol, direction: Direction) -> Flow<'a> {
        let kind = FlowKind::new(protocol, direction);
        Flow { remote: End::NIL, local: End::NIL, kind, rest: Rest::Nothing }
    }

    /// Makes a flow of which no more than both ends is known.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn of_ends(
        protocol: IpProtocol,
        direction: Direction,
        remote: End,
        local: End,
    ) -> Flow<'a> {
        let kind = FlowKind::new(protocol, direction);
        let kind = FlowKind(kind.0 | FlowKind::loopback(&remote, &local));
        Flow { remote, local, kind, rest: Rest::Nothing }
    }

    /// Makes a flow of two addresses of the usual kind of IPv4 and their ports, of which no more is known: none, if an
    /// address is that of loopback, or there is no such direction. The number has the protocol in its low byte, the
    /// direction in the high one.
    // PERF: by few instructions, since nothing has to be asked for of such ends; decide/capi-ipv4-1k.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn of_usual_v4(
        numbers: u16,
        remote: (u32, u16),
        local: (u32, u16),
    ) -> Option<Flow<'a>> {
        let kind = FlowKind::of_numbers(numbers)?;
        let loopback = Ipv4Addr::LOCALHOST.to_bits();
        if remote.0 == loopback || local.0 == loopback {
            return None;
        }
        let end = |(bits, port): (u32, u16)| End::of_usual_v4(bits, port);
        Some(Flow { remote: end(remote), local: end(local), kind, rest: Rest::Nothing })
    }

    /// The same of IPv6: none, if an address is an IPv4-mapped one too.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn of_usual_v6(
        numbers: u16,
        remote: (u128, u16),
        local: (u128, u16),
    ) -> Option<Flow<'a>> {
        let kind = FlowKind::of_numbers(numbers)?;
        // Of the others the high half is 0, as it is of the unspecified address.
        // PERF: by one subtraction, which leaves out `0:0:0:1::` too; decide/capi-ipv6-1k.
        let is_usual = |bits: u128| bits.wrapping_sub(1) >> 64 != 0;
        if !is_usual(remote.0) || !is_usual(local.0) {
            return None;
        }
        let end = |(bits, port): (u128, u16)| End::of_usual_v6(bits, port);
        Some(Flow { remote: end(remote), local: end(local), kind, rest: Rest::Nothing })
    }

    /// Sets the remote endpoint.
    ///
    /// An endpoint that holds a name (S-52) has no address that a network rule could compare, so
    /// only rules without a remote side and host rules can match. Apple does not document this;
    /// the name serves as the flow's host name unless [`Flow::with_remote_hostname`] gives one,
    /// because the system has such an endpoint only where the program connected by name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PortRangeInFlow`].
    pub fn with_remote(mut self, endpoint: Endpoint) -> Result<Flow<'a>, Error> {
        let FlowEndpoint { end, zone } = FlowEndpoint::new(&endpoint)?;
        self.set_remote(end, zone);
        if let Host::Name(name) = endpoint.host()
            && self.remote_hostname().is_none()
        {
            self.set_hostname(Cow::Owned(name.as_str().to_owned()));
        }
        Ok(self)
    }

    /// Sets the remote endpoint to one that holds a name, and its port (0: not known). The name
    /// itself is for [`Flow::with_remote_hostname`]. Does not allocate.
    ///
    /// Together they make the flow that [`Flow::with_remote`] makes of such an endpoint.
    pub fn with_named_remote(mut self, port: u16) -> Flow<'a> {
        self.set_remote(End::of_name(port), None);
        self
    }

    /// Sets the local endpoint.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PortRangeInFlow`], and [`ErrorKind::NameAsLocalEndpoint`] for a host name.
    pub fn with_local(mut self, endpoint: Endpoint) -> Result<Flow<'a>, Error> {
        if let Host::Name(name) = endpoint.host() {
            let host = name.as_str().to_owned();
            return Err(Error::new(ErrorKind::NameAsLocalEndpoint { host }));
        }
        let FlowEndpoint { end, zone } = FlowEndpoint::new(&endpoint)?;
        self.set_local(end, zone);
        Ok(self)
    }

    /// Sets the remote address and port (0: not known). Does not allocate without a zone id; one of an IPv4
    /// address is left out, as only IPv6 addresses have one (S-50).
    #[inline]
    pub fn with_remote_address(
        mut self,
        address: IpAddr,
        zone: Option<Zone>,
        port: u16,
    ) -> Flow<'a> {
        self.set_remote(End::of_address(address, port), zone.filter(|_| address.is_ipv6()));
        self
    }

    /// Sets the local address and port (0: not known). Does not allocate without a zone id; one of an IPv4
    /// address is left out, as only IPv6 addresses have one (S-50).
    #[inline]
    pub fn with_local_address(
        mut self,
        address: IpAddr,
        zone: Option<Zone>,
        port: u16,
    ) -> Flow<'a> {
        self.set_local(End::of_address(address, port), zone.filter(|_| address.is_ipv6()));
        self
    }

    /// Makes the flow one with a host name, of which nothing of the kind is known yet.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn named(self, name: &'a str) -> Flow<'a> {
        debug_assert!(matches!(self.rest, Rest::Nothing));
        let Flow { remote, local, kind, .. } = self;
        Flow { remote, local, kind, rest: Rest::Name(name) }
    }

    /// Sets the host name, borrowed, in place. Does not allocate if nothing else of the kind was set.
    #[cfg(any(feature = "capi", feature = "serde"))]
    pub(crate) fn set_remote_hostname(&mut self, name: &'a str) {
        self.set_hostname(Cow::Borrowed(name));
    }

    fn set_hostname(&mut self, name: Cow<'a, str>) {
        self.rest = match (std::mem::take(&mut self.rest), name) {
            (rest, name) if rest.has_details() => {
                rest.changed(|details| details.remote_hostname = Some(name))
            }
            (_, Cow::Borrowed(name)) => Rest::Name(name),
            (_, Cow::Owned(name)) => Rest::OwnedName(name.into()),
        };
    }

    /// Sets the host name and the zone ids, borrowed, in place. Does not allocate.
    #[cfg(feature = "capi")]
    pub(crate) fn set_details(&mut self, details: &'a Details<'a>) {
        self.rest = Rest::Borrowed(details);
    }

    /// Sets the remote end in place.
    #[inline]
    pub(crate) fn set_remote(&mut self, end: End, zone: Option<Zone>) {
        self.remote = end;
        self.kind = self.kind.with_ends(&self.remote, &self.local);
        // A zone id is lent to the function in its own branch only.
        if let Some(zone) = zone {
            self.rest = std::mem::take(&mut self.rest).with_remote_zone(Some(zone));
        } else if self.rest.has_details() {
            self.rest = std::mem::take(&mut self.rest).with_remote_zone(None);
        }
    }

    /// Sets the local end in place.
    #[inline]
    pub(crate) fn set_local(&mut self, end: End, zone: Option<Zone>) {
        self.local = end;
        self.kind = self.kind.with_ends(&self.remote, &self.local);
        // A zone id is lent to the function in its own branch only.
        if let Some(zone) = zone {
            self.rest = std::mem::take(&mut self.rest).with_local_zone(Some(zone));
        } else if self.rest.has_details() {
            self.rest = std::mem::take(&mut self.rest).with_local_zone(None);
        }
    }

    /// Sets the remote host name: `remoteHostname` of the flow, or the queried name of a DNS flow
    /// (S-44). Borrows the name where it is given as `&str`.
    ///
    /// A name with nothing left after its dots and stars are trimmed counts as missing; Apple does
    /// not document such names.
    pub fn with_remote_hostname(mut self, name: impl Into<Cow<'a, str>>) -> Flow<'a> {
        self.set_hostname(name.into());
        self
    }

    /// Returns the flow with a host name of its own.
    pub fn into_owned(self) -> Flow<'static> {
        let Flow { remote, local, kind, rest } = self;
        let zones = rest.zones();
        let mut owned = match rest {
            Rest::OwnedName(name) => Rest::OwnedName(name),
            rest => {
                rest.remote_hostname().map_or(Rest::Nothing, |name| Rest::OwnedName(name.into()))
            }
        };
        if zones != [None; 2] {
            owned = owned.changed(|details| details.zones = zones);
        }
        Flow { remote, local, kind, rest: owned }
    }

    /// Returns the remote endpoint; `None` while it is not known (S-22).
    pub fn remote(&self) -> Option<FlowEndpoint> {
        self.remote.with_zone(self.zones()[0])
    }

    /// Returns the local endpoint; `None` while it is not known (S-22, S-74).
    pub fn local(&self) -> Option<FlowEndpoint> {
        self.local.with_zone(self.zones()[1])
    }

    /// Returns the IP protocol.
    pub fn protocol(&self) -> IpProtocol {
        self.kind.protocol()
    }

    /// Returns the direction; [`Direction::Any`] if it is not known.
    pub fn direction(&self) -> Direction {
        self.kind.direction()
    }

    /// Returns the remote host name as it was given; `None` for flows made without connect by
    /// name (S-44).
    pub fn remote_hostname(&self) -> Option<&str> {
        self.rest.remote_hostname()
    }

    /// Whether there may be a host name: of nearly all flows that have none, nothing else is known either.
    // PERF: one comparison; decide/hosts-10k-addresses-10k/unnamed.
    #[inline(always)]
    pub(crate) fn may_have_remote_hostname(&self) -> bool {
        !matches!(self.rest, Rest::Nothing)
    }

    /// Returns the host name without leading and trailing dots and stars, if anything is left.
    pub(crate) fn trimmed_hostname(&self) -> Option<&str> {
        self.remote_hostname().map(hostname::trim).filter(|name| !name.is_empty())
    }

    /// Returns whether the flow is a loopback flow: one whose remote or local address is exactly
    /// `127.0.0.1`, `::1` or `::ffff:127.0.0.1` (S-17).
    ///
    /// # Source
    ///
    /// The SDK header names the first two; that other addresses of 127.0.0.0/8 are not loopback,
    /// that the mapped form is, and that either end decides is how the kernel does it (S-17). A
    /// connect to `0.0.0.0` is not loopback when it is judged (S-19, undocumented).
    #[inline]
    pub fn is_loopback(&self) -> bool {
        self.kind.is_loopback()
    }

    /// Returns both ends, nil or not.
    #[inline]
    pub(crate) fn ends(&self) -> (&End, &End) {
        (&self.remote, &self.local)
    }

    /// Returns the last of what decisions read of most flows, as it stands in memory.
    #[inline(always)]
    pub(crate) fn last_of_decisions(&self) -> &impl Sized {
        &self.kind
    }

    /// Returns what decisions of many flows at once read of each.
    #[inline(always)]
    pub(crate) fn words(&self) -> FlowWords {
        FlowWords {
            remote_low: self.remote.low as u32,
            remote_rest: self.remote.rest,
            local_low: self.local.low as u32,
            local_rest: self.local.rest,
            kind: self.kind.0 as u32,
            traits: (self.kind.0 >> 32) as u32,
            remote_high: (self.remote.high >> 32) as u32,
            local_high: (self.local.high >> 32) as u32,
        }
    }

    /// Where the words of [`FlowWords`] stand in a flow, counted in words from its beginning, on a machine
    /// that stores the low byte of a number first.
    #[cfg(target_arch = "x86_64")]
    pub(crate) const PLACES: [usize; FlowWords::COUNT] = {
        let (remote, local) = (offset_of!(Flow<'_>, remote), offset_of!(Flow<'_>, local));
        let (low, rest) = (offset_of!(End, low), offset_of!(End, rest));
        let high = offset_of!(End, high) + size_of::<u32>();
        let kind = offset_of!(Flow<'_>, kind);
        let words = size_of::<u32>();
        [
            (remote + low) / words,
            (remote + rest) / words,
            (local + low) / words,
            (local + rest) / words,
            kind / words,
            kind / words + 1,
            (remote + high) / words,
            (local + high) / words,
        ]
    };

    /// Returns the protocol and the direction as rules tell them apart.
    #[inline]
    pub(crate) fn case(&self) -> FlowCase {
        self.kind.case()
    }

    /// Returns what else rules tell apart, as it is compared with many of them at once.
    #[inline]
    pub(crate) fn traits(&self) -> FlowTraits {
        self.kind.traits()
    }

    /// Returns the zone ids of the remote and the local address.
    pub(crate) fn zones(&self) -> [Option<Zone>; 2] {
        self.rest.zones()
    }

    /// Returns the family that the local address has or will have: that of the remote address
    /// once folded, else that of the local one, else unknown.
    pub(crate) fn expected_local_family(&self) -> Option<AddressFamily> {
        self.remote.folded_family().or(self.local.folded_family())
    }

    /// Returns whether the local address is not known: there is no local endpoint, or it is
    /// `0.0.0.0` or `::`, which the system reports before the socket is bound (S-21, S-74).
    pub fn is_local_address_unknown(&self) -> bool {
        self.local.folded_address().is_none_or(|address| address.is_unspecified())
    }

    /// Returns whether the local port is not known: there is no local endpoint, or its port is 0.
    pub fn is_local_port_unknown(&self) -> bool {
        self.local.port() == 0
    }

    /// Returns whether no host name is known, so that host rules cannot match yet (S-44).
    pub fn is_hostname_unknown(&self) -> bool {
        self.trimmed_hostname().is_none()
    }
}

/// `TCP outbound 0.0.0.0:0 -> 192.0.2.1:443 (www.example.com)`, the local side first.
impl fmt::Display for Flow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |endpoint: Option<FlowEndpoint>| match endpoint {
            Some(endpoint) => endpoint.to_string(),
            None => "unknown".to_owned(),
        };
        let arrow = match self.direction() {
            Direction::Any => "<->",
            Direction::Inbound => "<-",
            Direction::Outbound => "->",
        };
        let (local, remote) = (side(self.local()), side(self.remote()));
        write!(f, "{} {} {local} {arrow} {remote}", self.protocol(), self.direction())?;
        match self.remote_hostname() {
            Some(name) => write!(f, " ({})", name.escape_debug()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Flow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("remote", &self.remote())
            .field("local", &self.local())
            .field("protocol", &self.protocol())
            .field("direction", &self.direction())
            .field("remote_hostname", &self.remote_hostname())
            .finish()
    }
}

/// What decisions of many flows at once read of each: the lowest and the highest word of the two
/// addresses, what else their ends say, and the [`FlowKind`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowWords {
    remote_low: u32,
    remote_rest: u32,
    local_low: u32,
    local_rest: u32,
    kind: u32,
    traits: u32,
    remote_high: u32,
    local_high: u32,
}

impl FlowWords {
    pub(crate) const COUNT: usize = 8;

    #[inline(always)]
    pub(crate) fn of_array(words: [u32; FlowWords::COUNT]) -> FlowWords {
        let [remote_low, remote_rest, local_low, local_rest, kind, traits, remote_high, local_high] =
            words;
        FlowWords {
            remote_low,
            remote_rest,
            local_low,
            local_rest,
            kind,
            traits,
            remote_high,
            local_high,
        }
    }

    #[inline(always)]
    pub(crate) fn to_array(self) -> [u32; FlowWords::COUNT] {
        let FlowWords { remote_low, remote_rest, local_low, local_rest, .. } = self;
        let FlowWords { kind, traits, remote_high, local_high, .. } = self;
        [remote_low, remote_rest, local_low, local_rest, kind, traits, remote_high, local_high]
    }

    /// Returns the first 32 bits of the remote address; anything where there is none.
    #[inline(always)]
    pub(crate) fn remote(self) -> u32 {
        FlowWords::first_bits(self.remote_rest, self.remote_low, self.remote_high)
    }

    /// Returns the first 32 bits of the local address; anything where there is none.
    #[inline(always)]
    pub(crate) fn local(self) -> u32 {
        FlowWords::first_bits(self.local_rest, self.local_low, self.local_high)
    }

    /// Returns the first 32 bits of the address of an end, given what they are for each family.
    // PERF: by a mask. Of a choice, a compiler makes one between places in memory, which a group of flows then
    // gathers; decide-batch/ipv4-100.
    #[inline(always)]
    fn first_bits(rest: u32, of_v4: u32, of_v6: u32) -> u32 {
        let is_v4 = (rest >> End::V4.trailing_zeros() & 1).wrapping_neg();
        of_v4 & is_v4 | of_v6 & !is_v4
    }

    #[inline(always)]
    pub(crate) fn remote_port(self) -> u32 {
        self.remote_rest & 0xffff
    }

    #[inline(always)]
    pub(crate) fn local_port(self) -> u32 {
        self.local_rest & 0xffff
    }

    /// Whether both addresses are IPv4 addresses.
    #[inline(always)]
    pub(crate) fn is_v4(self) -> bool {
        self.remote_rest & self.local_rest & End::V4 != 0
    }

    /// Whether both addresses are IPv6 addresses.
    #[inline(always)]
    pub(crate) fn is_v6(self) -> bool {
        self.remote_rest & self.local_rest & End::V6 != 0
    }

    #[inline(always)]
    pub(crate) fn is_loopback(self) -> bool {
        self.traits & u32::from(FlowTraits::LOOPBACK) != 0
    }

    /// Returns what [`Flow::traits`] does, what is asked below the other number.
    #[inline(always)]
    pub(crate) fn traits(self) -> u32 {
        self.traits
    }

    /// The number of protocols, times four for the direction and two for loopback flows.
    pub(crate) const KINDS: usize = 256 * 4 * 2;

    /// Returns protocol, direction and whether it is a loopback flow as one number below
    /// [`KINDS`](FlowWords::KINDS).
    #[inline(always)]
    pub(crate) fn kind_index(self) -> u32 {
        self.kind & 0x3ff | FlowWords::kind_of_loopback(self.is_loopback())
    }

    /// Returns what loopback adds to [`kind_index`](FlowWords::kind_index).
    #[inline(always)]
    pub(crate) fn kind_of_loopback(is_loopback: bool) -> u32 {
        u32::from(is_loopback) << 10
    }

    /// Returns the index of the [`FlowCase`].
    #[inline(always)]
    pub(crate) fn case(self) -> u32 {
        self.kind >> FlowKind::CASE & 0xff
    }
}

/// The combinations of protocol and direction that rules tell apart: TCP, UDP or another protocol;
/// of unknown direction, inbound or outbound. Found when a flow is made, since every decision
/// begins with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlowCase {
    /// 0 to 2 for TCP, 3 to 5 for UDP, 6 to 8 for others.
    pub(crate) index: u8,
    /// The number of another protocol, 0 for TCP and UDP.
    pub(crate) number: u8,
}

/// What is known of a flow but its ends and its name, in one number: from the lowest byte on, the protocol,
/// the direction, the index and the number of the [`FlowCase`], and in 16 bits each the [`FlowTraits`].
// PERF: one number, so that a flow is made by few instructions; decide/capi-ipv4-1k.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FlowKind(u64);

impl FlowKind {
    const DIRECTION: u32 = 8;
    const CASE: u32 = 16;
    const CASE_NUMBER: u32 = 24;
    const ASKED: u32 = 32;
    const NUMBER: u32 = 48;
    const LOOPBACK: u64 = (FlowTraits::LOOPBACK as u64) << FlowKind::ASKED;

    /// Finds that of a protocol and a direction.
    #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    const fn found(protocol: u8, direction: usize) -> FlowKind {
        let (first, number) = match IpProtocol(protocol) {
            IpProtocol::TCP => (0, 0),
            IpProtocol::UDP => (3, 0),
            IpProtocol(number) => (6, number as u64),
        };
        let case = first + direction;
        // All bits of the number, which only other protocols have.
        let numbered = if first == 6 { 0xff << FlowTraits::NUMBER } else { 0 };
        let asked = FlowTraits::OF_CASES[case] | numbered;
        FlowKind(
            protocol as u64
                | (direction as u64) << FlowKind::DIRECTION
                | (case as u64) << FlowKind::CASE
                | number << FlowKind::CASE_NUMBER
                | (asked as u64) << FlowKind::ASKED
                | number << (FlowKind::NUMBER + FlowTraits::NUMBER),
        )
    }

    #[inline(always)]
    fn new(protocol: IpProtocol, direction: Direction) -> FlowKind {
        let place = usize::from(protocol.0) | (direction as usize) << FlowKind::DIRECTION;
        KINDS.get(place).copied().unwrap_or(FlowKind(0))
    }

    /// Returns that of a protocol, in the low byte, and a direction, in the high one, if there is such a direction.
    #[cfg(feature = "capi")]
    #[inline(always)]
    fn of_numbers(numbers: u16) -> Option<FlowKind> {
        match numbers < 3 << FlowKind::DIRECTION {
            true => KINDS.get(usize::from(numbers)).copied(),
            false => None,
        }
    }

    /// Returns the bit of loopback flows if the ends are those of one.
    #[inline(always)]
    fn loopback(remote: &End, local: &End) -> u64 {
        const UP: u32 = FlowKind::LOOPBACK.trailing_zeros() - End::LOOPBACK.trailing_zeros();
        u64::from(remote.rest | local.rest) << UP & FlowKind::LOOPBACK
    }

    /// Takes from the ends whether it is a loopback flow.
    #[inline(always)]
    fn with_ends(self, remote: &End, local: &End) -> FlowKind {
        FlowKind(self.0 & !FlowKind::LOOPBACK | FlowKind::loopback(remote, local))
    }

    #[inline(always)]
    fn protocol(self) -> IpProtocol {
        IpProtocol(self.0 as u8)
    }

    #[inline(always)]
    fn direction(self) -> Direction {
        match (self.0 >> FlowKind::DIRECTION) as u8 {
            0 => Direction::Any,
            1 => Direction::Inbound,
            _ => Direction::Outbound,
        }
    }

    #[inline(always)]
    fn case(self) -> FlowCase {
        let (index, number) = (self.0 >> FlowKind::CASE, self.0 >> FlowKind::CASE_NUMBER);
        FlowCase { index: index as u8, number: number as u8 }
    }

    #[inline(always)]
    fn traits(self) -> FlowTraits {
        let (asked, number) = (self.0 >> FlowKind::ASKED, self.0 >> FlowKind::NUMBER);
        FlowTraits { asked: asked as u16, number: number as u16 }
    }

    #[inline(always)]
    fn is_loopback(self) -> bool {
        self.0 & FlowKind::LOOPBACK != 0
    }
}

/// The [`FlowKind`] of each protocol and direction, found by its own lowest bits, which are these.
// PERF: one load in place of some fifteen instructions. Which protocol the next flow has no branch predictor
// can know; decide/capi-ipv4-1k/rust-made.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static KINDS: [FlowKind; 1024] = {
    let mut kinds = [FlowKind(0); 1024];
    let mut direction = 0;
    while direction < 3 {
        let mut protocol = 0;
        while protocol < 256 {
            let place = protocol | direction << FlowKind::DIRECTION;
            kinds[place] = FlowKind::found(protocol as u8, direction);
            protocol += 1;
        }
        direction += 1;
    }
    kinds
};

/// The case of a flow and whether it is a loopback flow, as bits: a rule is compared by those that it
/// does not match. Found when a flow is made, as its case is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlowTraits {
    /// The traits that the flow has: TCP inbound and outbound, UDP, other protocols, loopback. A flow
    /// of unknown direction has those of both. For other protocols, all bits of `number` too.
    pub(crate) asked: u16,
    /// The number of another protocol, from bit [`NUMBER`](FlowTraits::NUMBER); 0 for TCP and UDP.
    pub(crate) number: u16,
}

impl FlowTraits {
    /// All traits.
    pub(crate) const ALL: u16 = 0b111_1111;
    /// The trait of loopback flows.
    pub(crate) const LOOPBACK: u16 = 1 << 6;
    /// The first bit of the number of another protocol.
    pub(crate) const NUMBER: u32 = 8;

    /// Of unknown direction, inbound, outbound; of TCP, UDP, other protocols.
    const OF_CASES: [u16; 9] = [3, 1, 2, 3 << 2, 1 << 2, 2 << 2, 3 << 4, 1 << 4, 2 << 4];

    /// Returns the traits of the flows of a case, given by its index.
    pub(crate) fn of_case(case: usize) -> u16 {
        FlowTraits::OF_CASES.get(case).copied().unwrap_or(0)
    }
}

/// One end of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowEndpoint {
    end: End,
    zone: Option<Zone>,
}

/// One end of a flow, less its zone id, which few have.
// In this order, as groups of flows are read by vectors, a whole end at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub(crate) struct End {
    /// INVARIANT: the folded address, right-aligned; 0 where there is none.
    high: u64,
    low: u64,
    /// The port, and what the end holds, as bits; none of them for nil.
    // PERF: one number, so that an end is made by few instructions. And where a port stands alone, a processor may
    // be made to read it with what is behind, just after the two were written one by one, and then waits;
    // decide/capi-ipv4-1k.
    rest: u32,
    /// INVARIANT: the family of the folded address.
    // PERF: beside the bits, which groups of flows ask for. Where a single call asked for those, or for a byte of one
    // number with them, it took 3 to 5 ns more; decide/capi-ipv4-1k/rust.
    family: Option<AddressFamily>,
}

impl End {
    /// INVARIANT: the address is that of loopback.
    const LOOPBACK: u32 = 1 << 16;
    /// INVARIANT: one of these after the family of the folded address.
    const V4: u32 = 1 << 17;
    const V6: u32 = 1 << 18;
    /// Beside [`End::V4`]: the address was an IPv4-mapped IPv6 address.
    const MAPPED: u32 = 1 << 19;
    const NAME: u32 = 1 << 20;

    pub(crate) const NIL: End = End { high: 0, low: 0, rest: 0, family: None };

    /// Makes the remote end that holds a name.
    #[inline]
    pub(crate) fn of_name(port: u16) -> End {
        End { rest: u32::from(port) | End::NAME, ..End::NIL }
    }

    #[inline]
    pub(crate) fn of_address(address: IpAddr, port: u16) -> End {
        match address {
            IpAddr::V4(address) => End::of_v4(address.to_bits(), port),
            IpAddr::V6(address) => End::of_v6(address.to_bits(), port),
        }
    }

    /// Makes the end of an IPv4 address.
    #[inline(always)]
    pub(crate) fn of_v4(bits: u32, port: u16) -> End {
        let is_loopback = u32::from(bits == Ipv4Addr::LOCALHOST.to_bits()) * End::LOOPBACK;
        let end = End::of_usual_v4(bits, port);
        End { rest: end.rest | is_loopback, ..end }
    }

    /// Makes the end of an IPv4 address that is not that of loopback.
    #[inline(always)]
    fn of_usual_v4(bits: u32, port: u16) -> End {
        let rest = u32::from(port) | End::V4;
        End { high: 0, low: bits.into(), rest, family: Some(AddressFamily::V4) }
    }

    /// Makes the end of an IPv6 address that is neither an IPv4-mapped one nor that of loopback.
    #[inline(always)]
    fn of_usual_v6(bits: u128, port: u16) -> End {
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        End { high, low, rest: u32::from(port) | End::V6, family: Some(AddressFamily::V6) }
    }

    /// Makes the end of an IPv6 address, which is folded if it is an IPv4-mapped one (S-20).
    #[inline(always)]
    pub(crate) fn of_v6(bits: u128, port: u16) -> End {
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        let mut end = End::of_usual_v6(bits, port);
        // PERF: of mapped addresses and of that of loopback the high half is 0, and of hardly any other;
        // decide/capi-ipv6-1k.
        if high == 0 {
            if low >> 32 == 0xffff {
                end = End::of_v4(low as u32, port);
                end.rest |= End::MAPPED;
            }
            if low == Ipv6Addr::LOCALHOST.to_bits() as u64 {
                end.rest |= End::LOOPBACK;
            }
        }
        end
    }

    /// Returns the endpoint; `None` for nil.
    fn with_zone(self, zone: Option<Zone>) -> Option<FlowEndpoint> {
        (self.rest >> u16::BITS != 0).then_some(FlowEndpoint { end: self, zone })
    }

    /// Returns the address that rules compare.
    #[inline]
    pub(crate) fn folded_address(&self) -> Option<IpAddr> {
        match self.folded_family()? {
            AddressFamily::V4 => Some(Ipv4Addr::from_bits(self.low as u32).into()),
            AddressFamily::V6 => {
                let bits = u128::from(self.high) << 64 | u128::from(self.low);
                Some(Ipv6Addr::from_bits(bits).into())
            }
        }
    }

    /// Returns the halves of the folded address, right-aligned.
    #[inline]
    pub(crate) fn folded_bits(&self) -> (u64, u64) {
        (self.high, self.low)
    }

    /// Returns the family of the folded address.
    #[inline]
    pub(crate) fn folded_family(&self) -> Option<AddressFamily> {
        self.family
    }

    /// Returns the port; 0 if it is not known or the protocol has none.
    #[inline]
    pub(crate) fn port(&self) -> u16 {
        self.rest as u16
    }
}

impl FlowEndpoint {
    fn new(endpoint: &Endpoint) -> Result<FlowEndpoint, Error> {
        let port = match endpoint.ports() {
            Ports::ANY => 0,
            ports => ports.as_one().ok_or_else(|| Error::new(ErrorKind::PortRangeInFlow))?,
        };
        let (end, zone) = match *endpoint.host() {
            Host::Address(address, zone) => (End::of_address(address, port), zone),
            Host::Name(_) => (End::of_name(port), None),
        };
        Ok(FlowEndpoint { end, zone })
    }

    /// Returns the address as it was given; `None` for an endpoint that holds a name.
    pub fn address(self) -> Option<IpAddr> {
        match self.folded_address() {
            Some(IpAddr::V4(folded)) if self.end.rest & End::MAPPED != 0 => {
                Some(folded.to_ipv6_mapped().into())
            }
            address => address,
        }
    }

    /// Returns the address that rules compare: an IPv4-mapped IPv6 address as the IPv4 address it
    /// stands for (S-20). NAT64 addresses are left as they are.
    #[inline]
    pub fn folded_address(self) -> Option<IpAddr> {
        self.end.folded_address()
    }

    /// Returns the zone id of the address (S-50).
    pub fn zone(self) -> Option<Zone> {
        self.zone
    }

    /// Returns the port; 0 if it is not known or the protocol has none.
    pub fn port(self) -> u16 {
        self.end.port()
    }
}

impl fmt::Debug for FlowEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlowEndpoint({self})")
    }
}

impl fmt::Display for FlowEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address() {
            Some(address) => {
                let host = Host::Address(address, self.zone);
                Endpoint::from_parts(host, Ports::one(self.port())).fmt(f)
            }
            None => write!(f, "(name):{}", self.port()),
        }
    }
}

/// An IP protocol by its IANA number, as `socketProtocol` of a flow has it (S-100).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpProtocol(
    /// The IANA number.
    pub u8,
);

impl IpProtocol {
    /// TCP, 6.
    pub const TCP: IpProtocol = IpProtocol(6);
    /// UDP, 17. QUIC is UDP (S-30).
    pub const UDP: IpProtocol = IpProtocol(17);
    /// ICMP, 1.
    pub const ICMP: IpProtocol = IpProtocol(1);
    /// ICMPv6, 58.
    pub const ICMPV6: IpProtocol = IpProtocol(58);

    const NAMES: [(&'static str, IpProtocol); 4] = [
        ("TCP", IpProtocol::TCP),
        ("UDP", IpProtocol::UDP),
        ("ICMP", IpProtocol::ICMP),
        ("ICMPv6", IpProtocol::ICMPV6),
    ];

    /// Returns the name, if it is one of the four that are written by name.
    pub fn name(self) -> Option<&'static str> {
        Self::NAMES.iter().find(|(_, protocol)| *protocol == self).map(|(name, _)| *name)
    }
}

impl fmt::Display for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

/// Reads a number from 0 to 255, or `TCP`, `UDP`, `ICMP` or `ICMPv6` in any case.
impl FromStr for IpProtocol {
    type Err = Error;

    fn from_str(word: &str) -> Result<IpProtocol, Error> {
        let named = Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        if let Some((_, protocol)) = named {
            return Ok(*protocol);
        }
        let number = match word.bytes().all(|b| b.is_ascii_digit()) {
            true => word.parse().ok(),
            false => None,
        };
        number
            .map(IpProtocol)
            .ok_or_else(|| Error::new(ErrorKind::UnknownProtocol { word: word.to_owned() }))
    }
}

/// The direction of a rule or a flow: NETrafficDirection, with Apple's raw values 0, 1, 2 (S-35).
///
/// As the direction of a rule, `Any` matches every flow. As the direction of a flow it stands for
/// one that is not known, and only a rule of direction `Any` matches it; Apple does not document
/// that case (S-36).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// `NETrafficDirectionAny`.
    #[default]
    Any = 0,
    /// `NETrafficDirectionInbound`.
    Inbound = 1,
    /// `NETrafficDirectionOutbound`.
    Outbound = 2,
}

impl Direction {
    /// Returns `any`, `inbound` or `outbound`.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Any => "any",
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }

    /// Returns whether a rule of this direction matches a flow of direction `flow`.
    pub fn matches(self, flow: Direction) -> bool {
        self == Direction::Any || self == flow
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads `any`, `inbound` or `outbound` in any case.
impl FromStr for Direction {
    type Err = Error;

    fn from_str(word: &str) -> Result<Direction, Error> {
        [Direction::Any, Direction::Inbound, Direction::Outbound]
            .into_iter()
            .find(|direction| direction.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| Error::new(ErrorKind::UnknownDirection { word: word.to_owned() }))
    }
}
