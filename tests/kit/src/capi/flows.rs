//! Flows in C from bytes, text and socket addresses, as they should be.

use arbitrary::Arbitrary;
use flowsieve::capi::*;
use flowsieve::{Direction, Endpoint, Flow, Host, IpProtocol};
use std::ffi::{c_char, c_void};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr::null;

/// How many bytes there are behind a struct.
const ROOM: usize = 32;

/// The size that a struct claims.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Size {
    /// Its own.
    Right,
    /// That of its first version.
    First,
    /// Up to its own.
    Smaller(u8),
    /// One over its own.
    Larger {
        /// By how many bytes.
        more: u8,
        /// What one of the bytes behind it is; the others are 0.
        fill: u8,
        /// Which.
        place: u8,
    },
    /// That of no struct.
    TooLarge,
}

impl Size {
    /// Returns the size, in bytes.
    pub(super) fn of<T: Sizes>(self, _: &Padded<T>) -> usize {
        let whole = size_of::<T>();
        match self {
            Size::Right => whole,
            Size::First => T::FIRST,
            Size::Smaller(size) => usize::from(size).min(whole),
            Size::Larger { more, .. } => whole + 1 + usize::from(more) % ROOM,
            Size::TooLarge => u32::MAX as usize,
        }
    }

    /// Whether the library takes the size, of a struct that it reads or of one that it writes.
    pub(super) fn is_taken<T: Sizes>(self, padded: &Padded<T>, is_read: bool) -> bool {
        let (size, whole) = (self.of(padded), size_of::<T>());
        let behind = padded.more.get(..size.saturating_sub(whole));
        size >= T::FIRST
            && behind.is_some_and(|more| !is_read || more.iter().all(|byte| *byte == 0))
    }
}

/// A struct that begins with its size.
pub(super) trait Sizes: Copy {
    /// The size of its first version, in bytes.
    const FIRST: usize;

    fn set_size(&mut self, size: u32);
}

impl Sizes for fsv_flow {
    const FIRST: usize = std::mem::offset_of!(fsv_flow, remote_scope);

    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl Sizes for fsv_decision {
    const FIRST: usize = std::mem::offset_of!(fsv_decision, generation);

    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

/// A struct and what stands behind it. INVARIANT: there is no padding.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Padded<T> {
    value: T,
    more: [u8; ROOM],
}

impl<T: Sizes> Padded<T> {
    /// Returns a struct that claims a size, and zero bytes behind it.
    pub(super) fn new(value: T, size: Size) -> Padded<T> {
        let mut made = Padded { value, more: [0; ROOM] };
        let size = size.of(&made);
        made.value.set_size(size as u32);
        made
    }

    pub(super) fn value(&self) -> &T {
        &self.value
    }

    /// A pointer by which what stands behind the struct may be read too.
    pub(super) fn as_ptr(&self) -> *const T {
        (&raw const *self).cast()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut T {
        (&raw mut *self).cast()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes, all of which are there, by the INVARIANT.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), size_of::<Padded<T>>()) }
    }
}

/// The fields of a flow, whatever they are.
#[derive(Clone, Debug, Arbitrary)]
pub struct RawFlow {
    size: Size,
    known: u8,
    protocol: u8,
    direction: u8,
    families: [u8; 2],
    ports: [u16; 2],
    addresses: [[u8; 16]; 2],
    hostname: Vec<u8>,
    scopes: [[u8; 16]; 2],
}

impl RawFlow {
    /// Returns the struct, with what stands behind it.
    pub(super) fn padded(&self) -> Padded<fsv_flow> {
        let mut made = Padded::new(self.build(), self.size);
        if let Size::Larger { more: _, fill, place } = self.size {
            made.more[usize::from(place) % ROOM] = fill;
        }
        made
    }

    /// Whether the library takes the size that the struct claims.
    pub(super) fn has_taken_size(&self) -> bool {
        self.size.is_taken(&self.padded(), true)
    }

    pub(super) fn hostname(&self) -> &[u8] {
        &self.hostname
    }

    fn build(&self) -> fsv_flow {
        fsv_flow {
            size: 0,
            known: self.known.into(),
            protocol: self.protocol,
            direction: self.direction % 4,
            remote_family: self.families[0] % 8,
            local_family: self.families[1] % 8,
            remote_port: self.ports[0],
            local_port: self.ports[1],
            remote_address: self.addresses[0],
            local_address: self.addresses[1],
            remote_hostname: self.hostname.as_ptr().cast(),
            remote_hostname_len: self.hostname.len(),
            remote_scope: self.scopes[0].map(|byte| byte as c_char),
            local_scope: self.scopes[1].map(|byte| byte as c_char),
        }
    }

    /// The flow that the struct describes, if it is in order, put together by way of text.
    pub(super) fn read(&self) -> Flow<'_> {
        let (raw, fields) = (self.build(), self);
        let direction = [Direction::Any, Direction::Inbound, Direction::Outbound];
        let mut flow = Flow::new(IpProtocol(raw.protocol), direction[usize::from(raw.direction)]);
        let host = |end: usize, family: fsv_family, has_scope: bool| {
            let bytes = fields.addresses[end];
            let scope = fields.scopes[end].split(|byte| *byte == 0).next().unwrap_or_default();
            match family {
                FSV_FAMILY_IPV4 => {
                    bytes[..4].iter().map(u8::to_string).collect::<Vec<_>>().join(".")
                }
                _ if has_scope => {
                    let scope = std::str::from_utf8(scope).expect("a scope id");
                    format!("{}%{scope}", Ipv6Addr::from(bytes))
                }
                _ => Ipv6Addr::from(bytes).to_string(),
            }
        };
        if raw.known & FSV_KNOWN_HOSTNAME != 0 {
            flow = flow.with_remote_hostname(std::str::from_utf8(&fields.hostname).expect("text"));
        }
        if raw.known & FSV_KNOWN_REMOTE != 0 && raw.remote_family == FSV_FAMILY_NAME {
            flow = flow.with_named_remote(raw.remote_port);
        } else if raw.known & FSV_KNOWN_REMOTE != 0 {
            let host = host(0, raw.remote_family, raw.known & FSV_KNOWN_REMOTE_SCOPE != 0);
            let end = Endpoint::new(&host, &raw.remote_port.to_string()).expect("an endpoint");
            flow = flow.with_remote(end).expect("one port");
        }
        if raw.known & FSV_KNOWN_LOCAL != 0 {
            let host = host(1, raw.local_family, raw.known & FSV_KNOWN_LOCAL_SCOPE != 0);
            let end = Endpoint::new(&host, &raw.local_port.to_string()).expect("an endpoint");
            flow = flow.with_local(end).expect("an address");
        }
        flow
    }
}

/// Both ends from any text: taken if and only if the library takes it, as the same.
pub(super) fn set_ends(host: &[u8], port: &[u8]) {
    let text = std::str::from_utf8(host).ok().zip(std::str::from_utf8(port).ok());
    let end = text.and_then(|(host, port)| Endpoint::new(host, port).ok());
    let is_small = host.len() <= FSV_MAX_HOST_BYTES && port.len() <= FSV_MAX_HOST_BYTES;
    for is_local in [false, true] {
        let set = if is_local { fsv_flow_set_local } else { fsv_flow_set_remote };
        let mut raw = fsv_flow::INIT;
        // SAFETY: the flow may be changed, and the texts are so long.
        let status = unsafe {
            let (host, host_len) = (host.as_ptr().cast(), host.len());
            set(&raw mut raw, host, host_len, port.as_ptr().cast(), port.len())
        };
        let is_taken = end.as_ref().is_some_and(|end| !is_local || end.host().name().is_none());
        assert_eq!(status == FSV_STATUS_OK, is_taken && is_small, "{host:?} {port:?} {status}");
        if status != FSV_STATUS_OK {
            assert_eq!((raw.known, raw.remote_port, raw.local_port), (0, 0, 0));
            continue;
        }
        let (family, port, bytes) = match is_local {
            true => (raw.local_family, raw.local_port, raw.local_address),
            false => (raw.remote_family, raw.remote_port, raw.remote_address),
        };
        let end = end.as_ref().expect("an endpoint");
        assert_eq!(port, end.ports().as_one().unwrap_or(0));
        match end.host() {
            Host::Name(_) => assert_eq!(family, FSV_FAMILY_NAME),
            Host::Address(IpAddr::V4(address), _) => {
                assert_eq!((family, &bytes[..4]), (FSV_FAMILY_IPV4, &address.octets()[..]));
            }
            Host::Address(IpAddr::V6(address), _) => {
                assert_eq!((family, bytes), (FSV_FAMILY_IPV6, address.octets()));
            }
        }
    }
}

/// The names that flows are given. The first two are of the same length.
const NAMES: [&str; 4] = ["a.example", "b.example", "www.a.example.", "host"];

/// One call that sets an end or the name of a flow.
#[derive(Clone, Debug, Arbitrary)]
pub enum Set {
    /// The remote end, from text.
    Remote(HostText, u16),
    /// The local end, from text.
    Local(HostText, u16),
    /// The remote end, from a socket address.
    RemoteAddress(SocketAddress),
    /// The local end, from a socket address.
    LocalAddress(SocketAddress),
    /// The host name; `None` takes it away.
    Name(Option<u8>),
}

/// The host of an end, as text.
#[derive(Clone, Debug, Arbitrary)]
pub enum HostText {
    /// One of a few names.
    Name(u8),
    /// An IPv4 address.
    V4([u8; 4]),
    /// An IPv6 address.
    V6([u8; 16]),
    /// An IPv6 address with a scope id.
    Scoped([u8; 16], u8),
    /// What is no host.
    Bad,
}

/// A socket address, whole or cut off.
#[derive(Clone, Debug, Arbitrary)]
pub struct SocketAddress {
    family: Family,
    port: u16,
    flow_info: u32,
    address: [u8; 16],
    scope: u16,
    cut: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Arbitrary)]
enum Family {
    V4,
    V6,
    Other,
}

/// An end as the struct should have it.
#[derive(Clone, Debug, PartialEq)]
struct End {
    family: fsv_family,
    port: u16,
    address: Vec<u8>,
    scope: Option<String>,
}

impl End {
    fn of_address(address: IpAddr, scope: Option<String>, port: u16) -> End {
        let (family, address) = match address {
            IpAddr::V4(address) => (FSV_FAMILY_IPV4, address.octets().to_vec()),
            IpAddr::V6(address) => (FSV_FAMILY_IPV6, address.octets().to_vec()),
        };
        End { family, port, address, scope }
    }

    /// Reads what is known of an end.
    fn read(raw: &fsv_flow, is_local: bool) -> Option<End> {
        let (known, known_scope) = match is_local {
            true => (FSV_KNOWN_LOCAL, FSV_KNOWN_LOCAL_SCOPE),
            false => (FSV_KNOWN_REMOTE, FSV_KNOWN_REMOTE_SCOPE),
        };
        let (family, port, address, scope) = match is_local {
            true => (raw.local_family, raw.local_port, raw.local_address, raw.local_scope),
            false => (raw.remote_family, raw.remote_port, raw.remote_address, raw.remote_scope),
        };
        let has_scope = raw.known & known_scope != 0;
        assert!(!has_scope || raw.known & known != 0, "the scope id of an end that is not known");
        let scope = has_scope.then(|| {
            let bytes = scope.map(|byte| byte as u8);
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8(text.to_vec()).expect("a scope id")
        });
        let len = match family {
            FSV_FAMILY_IPV4 => 4,
            FSV_FAMILY_IPV6 => 16,
            // Of a name, they are the library's.
            _ => 0,
        };
        let address = address[..len].to_vec();
        (raw.known & known != 0).then_some(End { family, port, address, scope })
    }
}

impl HostText {
    /// Returns the text, and the end that it is, or the name.
    fn build(&self, port: u16) -> (String, Option<Result<End, &'static str>>) {
        let of =
            |address: IpAddr| (address.to_string(), Some(Ok(End::of_address(address, None, port))));
        match *self {
            HostText::Name(index) => {
                let name = NAMES[usize::from(index) % NAMES.len()];
                (name.to_owned(), Some(Err(name)))
            }
            HostText::V4(bytes) => of(Ipv4Addr::from(bytes).into()),
            HostText::V6(bytes) => of(Ipv6Addr::from(bytes).into()),
            HostText::Scoped(bytes, scope) => {
                let (address, scope) = (Ipv6Addr::from(bytes), format!("en{scope}"));
                let text = format!("{address}%{scope}");
                (text, Some(Ok(End::of_address(address.into(), Some(scope), port))))
            }
            HostText::Bad => ("[::1]".to_owned(), None),
        }
    }
}

impl SocketAddress {
    /// Returns the bytes, and what is made of them.
    fn build(&self) -> (Vec<u8>, Result<End, fsv_status>) {
        const V6: u8 = if cfg!(target_vendor = "apple") {
            30
        } else if cfg!(target_os = "freebsd") {
            28
        } else if cfg!(windows) {
            23
        } else {
            10
        };
        let family = match self.family {
            Family::V4 => 2,
            Family::V6 => V6,
            Family::Other => 77,
        };
        let mut bytes = match cfg!(any(target_vendor = "apple", target_os = "freebsd")) {
            true => vec![0, family],
            false => u16::from(family).to_ne_bytes().to_vec(),
        };
        bytes.extend(self.port.to_be_bytes());
        let [a, b, c, d, ..] = self.address;
        let scope = u32::from(self.scope);
        if self.family == Family::V4 {
            bytes.extend([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0]);
        } else {
            bytes.extend(self.flow_info.to_ne_bytes());
            bytes.extend(self.address);
            bytes.extend(scope.to_ne_bytes());
        }
        let whole = bytes.len();
        bytes.truncate(self.cut.map_or(whole, |cut| usize::from(cut) % whole));
        let end = match self.family {
            _ if bytes.len() < 2 => Err(FSV_STATUS_INVALID_SIZE),
            Family::Other => Err(FSV_STATUS_UNSUPPORTED_FAMILY),
            _ if bytes.len() < whole => Err(FSV_STATUS_INVALID_SIZE),
            Family::V4 => Ok(End::of_address(Ipv4Addr::new(a, b, c, d).into(), None, self.port)),
            Family::V6 => {
                let scope = (scope != 0).then(|| scope.to_string());
                Ok(End::of_address(Ipv6Addr::from(self.address).into(), scope, self.port))
            }
        };
        (bytes, end)
    }
}

/// What one flow should know.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    remote: Option<End>,
    local: Option<End>,
    name: Option<&'static str>,
    /// The name came with the remote end.
    is_of_end: bool,
}

impl Known {
    /// Sets an end, or says why not.
    fn set(&mut self, is_local: bool, is_old: bool, end: Result<End, fsv_status>) -> fsv_status {
        match end {
            Err(status) => status,
            Ok(end) if is_old && end.scope.is_some() => FSV_STATUS_INVALID_SIZE,
            Ok(end) => {
                if is_local {
                    self.local = Some(end);
                } else {
                    self.remote = Some(end);
                    if std::mem::take(&mut self.is_of_end) {
                        self.name = None;
                    }
                }
                FSV_STATUS_OK
            }
        }
    }
}

/// Sets ends and name of one flow again and again.
///
/// # Panics
///
/// If the flow does not know what it should, or changes on a failure or behind its size.
pub(super) fn set_again(is_old: bool, sets: &[Set]) {
    let size = if is_old { Size::First } else { Size::Right };
    let mut flow = Padded::new(fsv_flow::INIT, size);
    let mut known = Known::default();
    for set in sets {
        let before = flow;
        let raw = flow.as_mut_ptr();
        let (status, expected) = match set {
            Set::Remote(host, port) => set_text(raw, &mut known, (false, is_old), (host, *port)),
            Set::Local(host, port) => set_text(raw, &mut known, (true, is_old), (host, *port)),
            Set::RemoteAddress(address) => set_address(raw, &mut known, (false, is_old), address),
            Set::LocalAddress(address) => set_address(raw, &mut known, (true, is_old), address),
            Set::Name(index) => {
                known.name = index.map(|index| NAMES[usize::from(index) % NAMES.len()]);
                known.is_of_end = false;
                let (data, len) =
                    known.name.map_or((null(), 0), |name| (name.as_ptr().cast(), name.len()));
                // SAFETY: the flow may be changed, and the name is so long.
                (unsafe { fsv_flow_set_remote_hostname(raw, data, len) }, FSV_STATUS_OK)
            }
        };
        assert_eq!(status, expected, "{set:?} of {sets:?}");
        let size = size.of(&before);
        assert_eq!(flow.bytes()[size..], before.bytes()[size..], "behind the size: {set:?}");
        if status != FSV_STATUS_OK {
            assert_eq!(flow.bytes(), before.bytes(), "changed on a failure: {set:?} of {sets:?}");
        }
        let raw = flow.value();
        assert_eq!(End::read(raw, false), known.remote, "{set:?} of {sets:?}");
        assert_eq!(End::read(raw, true), known.local, "{set:?} of {sets:?}");
        let name = (raw.known & FSV_KNOWN_HOSTNAME != 0).then(|| {
            // SAFETY: all names are static.
            let bytes: &'static [u8] = unsafe {
                let (data, len) = (raw.remote_hostname.cast(), raw.remote_hostname_len);
                std::slice::from_raw_parts(data, len)
            };
            std::str::from_utf8(bytes).expect("a name")
        });
        assert_eq!(name, known.name, "{set:?} of {sets:?}");
    }
}

fn set_text(
    raw: *mut fsv_flow,
    known: &mut Known,
    (is_local, is_old): (bool, bool),
    (host, port): (&HostText, u16),
) -> (fsv_status, fsv_status) {
    let (text, end) = host.build(port);
    let mut data = text.as_ptr();
    let expected = match end {
        None => FSV_STATUS_INVALID_HOST,
        Some(Err(_)) if is_local => FSV_STATUS_INVALID_HOST,
        Some(Err(name)) => {
            let end = End { family: FSV_FAMILY_NAME, port, address: Vec::new(), scope: None };
            let status = known.set(is_local, is_old, Ok(end));
            // The flow points to the text.
            data = name.as_ptr();
            if known.name.is_none() {
                (known.name, known.is_of_end) = (Some(name), true);
            }
            status
        }
        Some(Ok(end)) => known.set(is_local, is_old, Ok(end)),
    };
    let port = port.to_string();
    let set = if is_local { fsv_flow_set_local } else { fsv_flow_set_remote };
    // SAFETY: the flow may be changed, and the texts are so long.
    let status =
        unsafe { set(raw, data.cast::<c_char>(), text.len(), port.as_ptr().cast(), port.len()) };
    (status, expected)
}

fn set_address(
    raw: *mut fsv_flow,
    known: &mut Known,
    (is_local, is_old): (bool, bool),
    address: &SocketAddress,
) -> (fsv_status, fsv_status) {
    let (bytes, end) = address.build();
    let expected = known.set(is_local, is_old, end);
    let set = if is_local { fsv_flow_set_local_sockaddr } else { fsv_flow_set_remote_sockaddr };
    // SAFETY: the flow may be changed, and so many bytes are there.
    let status = unsafe { set(raw, bytes.as_ptr().cast::<c_void>(), bytes.len()) };
    (status, expected)
}
