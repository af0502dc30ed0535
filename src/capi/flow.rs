//! Flows: from the struct to the library's, and to the struct from text and socket addresses.

use crate::capi::boundary::guard;
use crate::capi::handle;
use crate::capi::status::{
    self, Checked, FSV_STATUS_INVALID_ARGUMENT, FSV_STATUS_INVALID_FLOW, FSV_STATUS_INVALID_HOST,
    FSV_STATUS_INVALID_PORT, FSV_STATUS_INVALID_SCOPE, FSV_STATUS_INVALID_SIZE,
    FSV_STATUS_NULL_POINTER, FSV_STATUS_UNSUPPORTED_FAMILY, fsv_status,
};
use crate::capi::types::{
    FSV_DIRECTION_ANY, FSV_DIRECTION_INBOUND, FSV_DIRECTION_OUTBOUND, FSV_FAMILY_IPV4,
    FSV_FAMILY_IPV6, FSV_FAMILY_NAME, FSV_KNOWN_HOSTNAME, FSV_KNOWN_LOCAL, FSV_KNOWN_LOCAL_SCOPE,
    FSV_KNOWN_REMOTE, FSV_KNOWN_REMOTE_SCOPE, FSV_MAX_HOST_BYTES, FSV_MAX_HOSTNAME_BYTES,
    fsv_direction, fsv_family, fsv_flow,
};
use crate::endpoint::{HostText, Ports, Zone, address_text};
use crate::flow::{self, Details, Direction, Flow, IpProtocol};
use crate::matcher::{FLOWS_AHEAD, prefetch_beyond};
use std::borrow::Cow;
use std::ffi::{c_char, c_void};
use std::mem::{MaybeUninit, offset_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ENDS: u32 = FSV_KNOWN_REMOTE | FSV_KNOWN_LOCAL;
const SCOPES: u32 = FSV_KNOWN_REMOTE_SCOPE | FSV_KNOWN_LOCAL_SCOPE;
const ALL: u32 = ENDS | FSV_KNOWN_HOSTNAME | SCOPES;

/// Makes the flow that a struct describes, which owns nothing, in `place`; what few flows have, in
/// `details`.
///
/// # Safety
///
/// The contract of the header, and of it for the host name, for as long as `'a`.
// PERF: made where it stays; as a result it would be moved. Flows of two ends of the usual kinds, of which
// nothing else is known, are made here, and all others, those of loopback too, in a function of their own;
// decide/capi-ipv4-1k.
#[inline(always)]
pub(super) unsafe fn read<'p, 'a>(
    raw: *const fsv_flow,
    place: &'p mut MaybeUninit<Flow<'a>>,
    details: &'a mut MaybeUninit<Details<'a>>,
) -> Checked<&'p mut Flow<'a>> {
    // SAFETY: passed on; where `read_any` succeeds, it wrote the flow.
    unsafe {
        if let Some((_, flow)) = usual(raw, ENDS) {
            return Ok(place.write(flow));
        }
        read_any(raw, place, details)?;
        Ok(place.assume_init_mut())
    }
}

/// Returns the flow of two ends of the usual kinds, no loopback addresses, if no more than `known` is known, and the
/// struct.
///
/// # Safety
///
/// As for [`read`].
#[inline(always)]
unsafe fn usual<'r, 'a>(raw: *const fsv_flow, known: u32) -> Option<(&'r fsv_flow, Flow<'a>)> {
    // SAFETY: passed on.
    let raw = unsafe { handle::input_of_size(raw) }.filter(|raw| raw.known == known)?;
    // PERF: as calls in Rust do of the flow that they are given; decide/capi-ipv6-1k.
    prefetch_beyond(raw, FLOWS_AHEAD);
    let numbers = protocol_and_direction(raw);
    let (remote, local) = (&raw.remote_address, &raw.local_address);
    let flow = match families(raw) {
        BOTH_IPV4 => {
            let (remote, local) = (v4_bits(remote), v4_bits(local));
            Flow::of_usual_v4(numbers, (remote, raw.remote_port), (local, raw.local_port))
        }
        BOTH_IPV6 => {
            let (remote, local) = (u128::from_be_bytes(*remote), u128::from_be_bytes(*local));
            Flow::of_usual_v6(numbers, (remote, raw.remote_port), (local, raw.local_port))
        }
        _ => None,
    };
    Some((raw, flow?))
}

/// Returns the protocol and, above it, the direction as one number.
// PERF: read as one; the compiler reads them one by one if it can; decide/capi-ipv4-1k.
#[inline(always)]
fn protocol_and_direction(raw: &fsv_flow) -> u16 {
    const {
        assert!(
            offset_of!(fsv_flow, direction) == offset_of!(fsv_flow, protocol) + size_of::<u8>()
        );
    }
    // SAFETY: the two bytes stand side by side in the struct.
    u16::from_le(unsafe {
        (&raw const *raw).byte_add(offset_of!(fsv_flow, protocol)).cast::<u16>().read_unaligned()
    })
}

/// Returns the families of both ends as one number.
#[inline(always)]
fn families(raw: &fsv_flow) -> u16 {
    families_of(raw.remote_family, raw.local_family)
}

const fn families_of(remote: fsv_family, local: fsv_family) -> u16 {
    u16::from_le_bytes([remote, local])
}

const BOTH_IPV4: u16 = families_of(FSV_FAMILY_IPV4, FSV_FAMILY_IPV4);
const BOTH_IPV6: u16 = families_of(FSV_FAMILY_IPV6, FSV_FAMILY_IPV6);

#[inline(always)]
fn v4_bits(bytes: &[u8; 16]) -> u32 {
    let [a, b, c, d, ..] = *bytes;
    u32::from_be_bytes([a, b, c, d])
}

#[inline(always)]
fn v4(bytes: &[u8; 16], port: u16) -> flow::End {
    flow::End::of_v4(v4_bits(bytes), port)
}

#[inline(always)]
fn v6(bytes: &[u8; 16], port: u16) -> flow::End {
    flow::End::of_v6(u128::from_be_bytes(*bytes), port)
}

/// Does what [`read`] does, for any flow, which is in `place` unless this fails.
///
/// # Safety
///
/// As for [`read`].
#[inline(never)]
unsafe fn read_any<'a>(
    raw: *const fsv_flow,
    place: &mut MaybeUninit<Flow<'a>>,
    details: &'a mut MaybeUninit<Details<'a>>,
) -> Checked<()> {
    // PERF: usual but for a name; decide/capi-named-1k.
    // SAFETY: passed on.
    if let Some((raw, flow)) = unsafe { usual(raw, ENDS | FSV_KNOWN_HOSTNAME) } {
        // SAFETY: passed on.
        place.write(flow.named(unsafe { hostname(raw) }?));
        return Ok(());
    }
    let mut room = MaybeUninit::uninit();
    // SAFETY: passed on.
    let raw = unsafe { handle::input(raw, &mut room) }?;
    let (protocol, direction) = (IpProtocol(raw.protocol), direction(raw.direction)?);
    let end = |bit, family, bytes, port| match family {
        _ if raw.known & bit == 0 => Ok(flow::End::NIL),
        FSV_FAMILY_IPV4 => Ok(v4(bytes, port)),
        FSV_FAMILY_IPV6 => Ok(v6(bytes, port)),
        FSV_FAMILY_NAME if bit == FSV_KNOWN_REMOTE => Ok(flow::End::of_name(port)),
        _ => Err(FSV_STATUS_INVALID_FLOW),
    };
    let remote = end(FSV_KNOWN_REMOTE, raw.remote_family, &raw.remote_address, raw.remote_port)?;
    let local = end(FSV_KNOWN_LOCAL, raw.local_family, &raw.local_address, raw.local_port)?;
    let flow = place.write(Flow::of_ends(protocol, direction, remote, local));
    if raw.known & !ENDS != 0 {
        // SAFETY: passed on.
        unsafe { read_rest(raw, flow, details) }?;
    }
    Ok(())
}

/// Checks what [`read`] checks; most flows need not be made for it.
///
/// # Safety
///
/// As for [`read`].
#[inline(always)]
pub(super) unsafe fn check(raw: *const fsv_flow) -> Checked<()> {
    // SAFETY: passed on.
    unsafe {
        if let Some(raw) = handle::input_of_size(raw)
            && raw.known == ENDS
            && matches!(families(raw), BOTH_IPV4 | BOTH_IPV6)
        {
            return direction(raw.direction).map(drop);
        }
        let mut details = MaybeUninit::uninit();
        read_any(raw, &mut MaybeUninit::uninit(), &mut details)
    }
}

/// Adds what few flows have.
///
/// # Safety
///
/// The contract of the header for the host name, for as long as `'a`.
#[inline(never)]
unsafe fn read_rest<'a>(
    raw: &fsv_flow,
    flow: &mut Flow<'a>,
    details: &'a mut MaybeUninit<Details<'a>>,
) -> Checked<()> {
    let known = |bit: u32| raw.known & bit != 0;
    if known(!ALL) || (known(SCOPES) && (raw.size as usize) < size_of::<fsv_flow>()) {
        return Err(FSV_STATUS_INVALID_FLOW);
    }
    let zone = |bit: u32, of: u32, family: fsv_family, text: &[c_char; 16]| {
        if !known(bit) {
            return Ok(None);
        }
        let is_scoped = known(of) && family == FSV_FAMILY_IPV6;
        is_scoped.then(|| scope(text)).ok_or(FSV_STATUS_INVALID_FLOW)?.map(Some)
    };
    let (remote, local) = (FSV_KNOWN_REMOTE, FSV_KNOWN_LOCAL);
    let zones = [
        zone(FSV_KNOWN_REMOTE_SCOPE, remote, raw.remote_family, &raw.remote_scope)?,
        zone(FSV_KNOWN_LOCAL_SCOPE, local, raw.local_family, &raw.local_scope)?,
    ];
    // SAFETY: passed on.
    let name = known(FSV_KNOWN_HOSTNAME).then(|| unsafe { hostname(raw) }).transpose()?;
    match name {
        Some(name) if zones == [None; 2] => flow.set_remote_hostname(name),
        name => {
            let remote_hostname = name.map(Cow::Borrowed);
            flow.set_details(details.write(Details { remote_hostname, zones }));
        }
    }
    Ok(())
}

/// Returns the host name.
///
/// # Safety
///
/// The contract of the header for it, for as long as `'a`.
#[inline(always)]
unsafe fn hostname<'a>(raw: &fsv_flow) -> Checked<&'a str> {
    let (name, len) = (raw.remote_hostname, raw.remote_hostname_len);
    // SAFETY: passed on.
    unsafe { handle::text(name, len, FSV_MAX_HOSTNAME_BYTES) }
}

/// Returns a direction.
#[inline(always)]
pub(super) fn direction(direction: fsv_direction) -> Checked<Direction> {
    match direction {
        FSV_DIRECTION_ANY => Ok(Direction::Any),
        FSV_DIRECTION_INBOUND => Ok(Direction::Inbound),
        FSV_DIRECTION_OUTBOUND => Ok(Direction::Outbound),
        _ => Err(FSV_STATUS_INVALID_ARGUMENT),
    }
}

fn scope(text: &[c_char; 16]) -> Checked<Zone> {
    let bytes = text.map(|byte| byte as u8);
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| FSV_STATUS_INVALID_SCOPE)?;
    Zone::new(text).map_err(|_| FSV_STATUS_INVALID_SCOPE)
}

/// Which end of a flow is set.
trait Side {
    /// The flag that the end is known, and the one that its scope id is.
    const KNOWN: u32;
    const KNOWN_SCOPE: u32;
    /// It may hold a name, which is then that of the remote host.
    const TAKES_NAMES: bool;

    /// Returns the fields of the end.
    fn parts(flow: &mut fsv_flow) -> Parts<'_>;

    /// Sets an end without a scope id but for its address.
    #[inline(always)]
    fn set(flow: &mut fsv_flow, family: fsv_family, port: u16) {
        flow.known = flow.known & !Self::KNOWN_SCOPE | Self::KNOWN;
        let parts = Self::parts(flow);
        (*parts.family, *parts.port) = (family, port);
    }

    #[inline(always)]
    fn set_v4(flow: &mut fsv_flow, address: Ipv4Addr, port: u16) {
        Self::set(flow, FSV_FAMILY_IPV4, port);
        let [a, b, c, d] = address.octets();
        *Self::parts(flow).address = [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    }
}

/// What a struct has of an end.
struct Parts<'a> {
    family: &'a mut fsv_family,
    port: &'a mut u16,
    address: &'a mut [u8; 16],
    scope: &'a mut [c_char; 16],
}

enum Remote {}

impl Side for Remote {
    const KNOWN: u32 = FSV_KNOWN_REMOTE;
    const KNOWN_SCOPE: u32 = FSV_KNOWN_REMOTE_SCOPE;
    const TAKES_NAMES: bool = true;

    #[inline(always)]
    fn parts(flow: &mut fsv_flow) -> Parts<'_> {
        Parts {
            family: &mut flow.remote_family,
            port: &mut flow.remote_port,
            address: &mut flow.remote_address,
            scope: &mut flow.remote_scope,
        }
    }
}

enum Local {}

impl Side for Local {
    const KNOWN: u32 = FSV_KNOWN_LOCAL;
    const KNOWN_SCOPE: u32 = FSV_KNOWN_LOCAL_SCOPE;
    const TAKES_NAMES: bool = false;

    #[inline(always)]
    fn parts(flow: &mut fsv_flow) -> Parts<'_> {
        Parts {
            family: &mut flow.local_family,
            port: &mut flow.local_port,
            address: &mut flow.local_address,
            scope: &mut flow.local_scope,
        }
    }
}

/// One end of a flow, read from something else than a struct.
struct End<'a> {
    host: HostText<'a>,
    port: u16,
}

impl<'a> End<'a> {
    #[inline(never)]
    fn of_text(host: &'a [u8], port: &'a [u8]) -> Checked<End<'a>> {
        let host = HostText::read(handle::utf8(host)?).map_err(|error| status::of(&error))?;
        // Any port stands for one that is not known.
        match Ports::port_of_text(port) {
            Some(port) => Ok(End { host, port }),
            None => handle::utf8(port).and(Err(FSV_STATUS_INVALID_PORT)),
        }
    }

    fn of_socket_address(bytes: &[u8]) -> Checked<End<'static>> {
        let family = if cfg!(any(target_vendor = "apple", target_os = "freebsd")) {
            bytes.get(1).copied().map(u16::from)
        } else {
            bytes.first_chunk().copied().map(u16::from_ne_bytes)
        };
        let rest = bytes.get(2..).unwrap_or_default();
        match family.ok_or(FSV_STATUS_INVALID_SIZE)? {
            AF_INET => {
                let (port, address) = parts::<12>(rest)?;
                let [a, b, c, d, ..] = *address;
                Ok(End { host: HostText::Address(Ipv4Addr::new(a, b, c, d).into(), None), port })
            }
            AF_INET6 => {
                let (port, rest) = parts::<24>(rest)?;
                // The flow label stands between the port and the address.
                let address = rest.get(4..).and_then(|rest| rest.split_first_chunk::<16>());
                let (address, scope) = address.ok_or(FSV_STATUS_INVALID_SIZE)?;
                let scope = scope.first_chunk().copied().map_or(0, u32::from_ne_bytes);
                let address = Ipv6Addr::from(*address).into();
                Ok(End { host: HostText::Address(address, Zone::from_index(scope)), port })
            }
            _ => Err(FSV_STATUS_UNSUPPORTED_FAMILY),
        }
    }

    #[inline(always)]
    fn set<S: Side>(self, flow: &mut fsv_flow) -> Checked<()> {
        let zone = self.zone();
        // A struct of the first version has no room for scope ids.
        if zone.is_some() && (flow.size as usize) < size_of::<fsv_flow>() {
            return Err(FSV_STATUS_INVALID_SIZE);
        }
        if S::TAKES_NAMES && has_hostname_of_end(flow) {
            flow.known &= !FSV_KNOWN_HOSTNAME;
            (flow.remote_hostname, flow.remote_hostname_len) = (std::ptr::null(), 0);
        }
        match self.host {
            HostText::Address(IpAddr::V4(address), _) => {
                S::set_v4(flow, address, self.port);
            }
            HostText::Address(IpAddr::V6(address), _) => {
                S::set(flow, FSV_FAMILY_IPV6, self.port);
                *S::parts(flow).address = address.octets();
            }
            HostText::Name(_) if !S::TAKES_NAMES => return Err(FSV_STATUS_INVALID_HOST),
            HostText::Name(name) => {
                S::set(flow, FSV_FAMILY_NAME, self.port);
                flow.remote_address = [0; 16];
                if flow.known & FSV_KNOWN_HOSTNAME == 0 {
                    flow.known |= FSV_KNOWN_HOSTNAME;
                    flow.remote_hostname = name.as_ptr().cast();
                    flow.remote_hostname_len = name.len();
                    flow.remote_address = place_of_hostname(flow);
                }
            }
        }
        if let Some(zone) = zone {
            flow.known |= S::KNOWN_SCOPE;
            *S::parts(flow).scope = scope_text(zone);
        }
        Ok(())
    }

    fn zone(&self) -> Option<Zone> {
        match self.host {
            HostText::Address(_, zone) => zone,
            HostText::Name(_) => None,
        }
    }
}

/// Whether the remote end is a name, set by [`End::set`], and the host name is that one.
///
/// An end that is a name has no address. Where the address would be stands where its name is, so that a host
/// name which was set or filled in by itself is told from it.
#[inline(always)]
fn has_hostname_of_end(flow: &fsv_flow) -> bool {
    const BOTH: u32 = FSV_KNOWN_REMOTE | FSV_KNOWN_HOSTNAME;
    flow.known & BOTH == BOTH
        && flow.remote_family == FSV_FAMILY_NAME
        && flow.remote_address == place_of_hostname(flow)
}

/// Returns the place and the length of the host name, as an address.
// PERF: out of line, so that a flow without a name does little more than to find that; text-to-decision/ipv6-1k.
#[cold]
#[inline(never)]
fn place_of_hostname(flow: &fsv_flow) -> [u8; 16] {
    let (place, len) = (flow.remote_hostname.addr(), flow.remote_hostname_len);
    (((place as u128) << 64) | len as u128).to_ne_bytes()
}

/// The families of socket addresses; that of IPv6 differs from system to system.
const AF_INET: u16 = 2;
const AF_INET6: u16 = if cfg!(target_vendor = "apple") {
    30
} else if cfg!(target_os = "freebsd") {
    28
} else if cfg!(windows) {
    23
} else {
    10
};

/// Splits what follows the family into the port and `N` bytes, in network byte order as they are.
fn parts<const N: usize>(bytes: &[u8]) -> Checked<(u16, &[u8; N])> {
    let (port, rest) = bytes.split_first_chunk().ok_or(FSV_STATUS_INVALID_SIZE)?;
    Ok((u16::from_be_bytes(*port), rest.first_chunk().ok_or(FSV_STATUS_INVALID_SIZE)?))
}

fn scope_text(zone: Zone) -> [c_char; 16] {
    let mut text = [0; 16];
    for (place, byte) in text.iter_mut().zip(zone.as_str().bytes()) {
        *place = byte as c_char;
    }
    text
}

/// Sets an end from the text of its host and its port.
///
/// # Safety
///
/// The contract of the header.
// PERF: an address without a zone id, as most are, goes to the struct by a way for each family. What is
// kept for both is written and read in different pieces, and waits in between; text-to-decision/ipv6-1k.
#[inline(always)]
unsafe fn set_of_text<S: Side>(
    flow: *mut fsv_flow,
    (host, host_len): (*const c_char, usize),
    (port, port_len): (*const c_char, usize),
) -> Checked<()> {
    // SAFETY: passed on.
    unsafe {
        let host = handle::bytes(host, host_len, FSV_MAX_HOST_BYTES)?;
        let port = handle::bytes(port, port_len, FSV_MAX_HOST_BYTES)?;
        handle::update(flow, |flow| {
            if let Some(port) = Ports::port_of_text(port)
                && !(S::TAKES_NAMES && has_hostname_of_end(flow))
            {
                if let Some(address) = address_text::v4(host) {
                    S::set_v4(flow, address, port);
                    return Ok(());
                }
                if address_text::read_v6(host, S::parts(flow).address) {
                    S::set(flow, FSV_FAMILY_IPV6, port);
                    return Ok(());
                }
            }
            End::of_text(host, port)?.set::<S>(flow)
        })
    }
}

/// Sets an end from a socket address.
///
/// # Safety
///
/// The contract of the header.
unsafe fn set_of_memory<S: Side>(
    flow: *mut fsv_flow,
    address: *const c_void,
    len: usize,
) -> Checked<()> {
    // SAFETY: passed on.
    unsafe {
        let bytes = handle::memory(address, len)?;
        handle::update(flow, |flow| End::of_socket_address(bytes)?.set::<S>(flow))
    }
}

/// Sets the remote endpoint from text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_flow_set_remote(
    flow: *mut fsv_flow,
    host: *const c_char,
    host_len: usize,
    port: *const c_char,
    port_len: usize,
) -> fsv_status {
    // SAFETY: the contract of the header.
    guard(|| unsafe { set_of_text::<Remote>(flow, (host, host_len), (port, port_len)) })
}

/// Sets the local endpoint from text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_flow_set_local(
    flow: *mut fsv_flow,
    host: *const c_char,
    host_len: usize,
    port: *const c_char,
    port_len: usize,
) -> fsv_status {
    // SAFETY: the contract of the header.
    guard(|| unsafe { set_of_text::<Local>(flow, (host, host_len), (port, port_len)) })
}

/// Sets the remote endpoint from a socket address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_flow_set_remote_sockaddr(
    flow: *mut fsv_flow,
    address: *const c_void,
    len: usize,
) -> fsv_status {
    // SAFETY: the contract of the header.
    guard(|| unsafe { set_of_memory::<Remote>(flow, address, len) })
}

/// Sets the local endpoint from a socket address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_flow_set_local_sockaddr(
    flow: *mut fsv_flow,
    address: *const c_void,
    len: usize,
) -> fsv_status {
    // SAFETY: the contract of the header.
    guard(|| unsafe { set_of_memory::<Local>(flow, address, len) })
}

/// Sets the remote host name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_flow_set_remote_hostname(
    flow: *mut fsv_flow,
    name: *const c_char,
    name_len: usize,
) -> fsv_status {
    guard(|| {
        if flow.is_null() {
            return Err(FSV_STATUS_NULL_POINTER);
        }
        // SAFETY: the contract of the header.
        unsafe {
            handle::text(name, name_len, FSV_MAX_HOSTNAME_BYTES)?;
            handle::update(flow, |flow| {
                match name.is_null() {
                    true => flow.known &= !FSV_KNOWN_HOSTNAME,
                    false => flow.known |= FSV_KNOWN_HOSTNAME,
                }
                // The very text of the end, set by itself, stays too.
                if flow.known & FSV_KNOWN_REMOTE != 0 && flow.remote_family == FSV_FAMILY_NAME {
                    flow.remote_address = [0; 16];
                }
                (flow.remote_hostname, flow.remote_hostname_len) = (name, name_len);
                Ok(())
            })
        }
    })
}
