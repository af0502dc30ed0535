//! From entries to filter rules: the one place where networks, ranges and names become rules.

use super::entry::{Entry, Note, Notes, Remotes};
use crate::endpoint::{AddressFamily, Endpoint, Host, Ports};
use crate::error::{Error, ErrorKind};
use crate::flow::Direction;
use crate::hostname::HostName;
use crate::rule::{Action, FilterRule, NetworkRule, Protocol};
use ipnet::{IpNet, IpSubnets, Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What rules of entries that do not say it are given.
pub(super) struct Defaults<'a> {
    pub(super) action: Action,
    pub(super) direction: Direction,
    pub(super) label: &'a str,
}

/// Adds the rules of an entry to `rules`, all of them or none, and returns its notes.
pub(super) fn add(
    entry: &Entry<'_>,
    defaults: &Defaults<'_>,
    rules: &mut Vec<FilterRule>,
) -> Result<Notes, Error> {
    let before = rules.len();
    let added = add_all(entry, defaults, rules);
    if added.is_err() {
        rules.truncate(before);
    }
    added
}

fn add_all(
    entry: &Entry<'_>,
    defaults: &Defaults<'_>,
    rules: &mut Vec<FilterRule>,
) -> Result<Notes, Error> {
    // Each remote with each port: the one product that a short text could make large.
    let count = entry.remotes.len().saturating_mul(entry.ports.len());
    if entry.ports.len() > 1 && count > MAX_PRODUCT {
        return Err(Error::new(ErrorKind::TooManyRules { count, limit: MAX_PRODUCT }));
    }
    let mut maker = Maker {
        protocol: entry.protocol,
        direction: entry.direction.unwrap_or(defaults.direction),
        action: entry.action.unwrap_or(defaults.action),
        label: defaults.label,
        notes: entry.notes,
        rules,
    };
    // What is listed to be let through may well be private.
    let is_block = maker.action == Action::Drop && !entry.is_negated;
    for remote in &entry.remotes {
        for ports in &entry.ports {
            maker.remote(remote, *ports, is_block)?;
        }
    }
    Ok(maker.notes)
}

/// The most rules of an entry that has several ports, before ranges are cut into networks.
const MAX_PRODUCT: usize = 4096;

/// The longest label of a name in DNS, in bytes.
const MAX_LABEL: usize = 63;

struct Maker<'a> {
    protocol: Protocol,
    direction: Direction,
    action: Action,
    label: &'a str,
    notes: Notes,
    rules: &'a mut Vec<FilterRule>,
}

impl Maker<'_> {
    fn remote(&mut self, remote: &Remotes<'_>, ports: Ports, is_block: bool) -> Result<(), Error> {
        match remote {
            Remotes::Net(net) => {
                if net.addr() != net.network() {
                    self.notes.insert(Note::HostBits);
                }
                self.net(net.trunc(), ports, is_block)
            }
            Remotes::Range(first, last) => {
                for net in subnets(*first, *last) {
                    self.net(net, ports, is_block)?;
                }
                Ok(())
            }
            Remotes::Name(name) => self.name(name, ports),
            Remotes::Any => {
                if ports.is_any() {
                    return self.push(None, 0);
                }
                // Nil has no port, which the two wildcards have (S-05, S-14).
                for family in [AddressFamily::V4, AddressFamily::V6] {
                    self.push(Some((family.unspecified(), ports)), 0)?;
                }
                Ok(())
            }
        }
    }

    fn net(&mut self, net: IpNet, ports: Ports, is_block: bool) -> Result<(), Error> {
        let net = match net {
            IpNet::V6(v6) => match unmapped(v6)? {
                Some(v4) => {
                    self.notes.insert(Note::Mapped);
                    v4.into()
                }
                None => net,
            },
            IpNet::V4(_) => net,
        };
        if net.prefix_len() == 0 {
            self.notes.insert(Note::EveryAddress);
        } else if is_block {
            self.notes.extend(special(net));
        }
        let address = match net.prefix_len() {
            0 => net.network(),
            _ => written(net)?,
        };
        self.push(Some((address, ports)), net.prefix_len())
    }

    fn name(&mut self, text: &str, ports: Ports) -> Result<(), Error> {
        if self.direction == Direction::Inbound {
            return Err(Error::new(ErrorKind::Inexpressible {
                by: "a host rule",
                what: "that it is for inbound flows",
                value: text.to_owned(),
            }));
        }
        if text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(Error::new(ErrorKind::NotUtf8));
        }
        let name = HostName::new(text)?;
        let is_label = |label: &str| (1..=MAX_LABEL).contains(&label.len());
        if !name.trimmed().is_ascii() || !name.trimmed().split('.').all(is_label) {
            self.notes.insert(Note::NoSuchName);
        }
        let host = Host::Name(name);
        let rule = NetworkRule::destination_host(Endpoint::from_parts(host, ports), self.protocol)?;
        self.rules.push(FilterRule::new(rule, self.action).with_label(self.label));
        Ok(())
    }

    fn push(&mut self, remote: Option<(IpAddr, Ports)>, bits: u8) -> Result<(), Error> {
        let remote = remote
            .map(|(address, ports)| Endpoint::from_parts(Host::Address(address, None), ports));
        let (protocol, direction) = (self.protocol, self.direction);
        let rule = NetworkRule::remote_network(remote, bits.into(), None, 0, protocol, direction)?;
        self.rules.push(FilterRule::new(rule, self.action).with_label(self.label));
        Ok(())
    }
}

/// The address to write a network with: its first, but where that would make it a wildcard (S-16)
/// the one after.
///
/// # Errors
///
/// [`ErrorKind::UnspecifiedAddress`] where it has no other.
pub(super) fn written(net: IpNet) -> Result<IpAddr, Error> {
    let address = net.network();
    if !address.is_unspecified() {
        return Ok(address);
    }
    match net {
        _ if net.prefix_len() == net.max_prefix_len() => {
            Err(Error::new(ErrorKind::UnspecifiedAddress { address }))
        }
        IpNet::V4(_) => Ok(Ipv4Addr::from_bits(1).into()),
        IpNet::V6(_) => Ok(Ipv6Addr::from_bits(1).into()),
    }
}

/// The fewest networks that hold the addresses from `first` to `last`, which are of one family.
fn subnets(first: IpAddr, last: IpAddr) -> impl Iterator<Item = IpNet> {
    let subnets: Option<IpSubnets> = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Some(Ipv4Subnets::new(first, last, 0).into()),
        (IpAddr::V6(first), IpAddr::V6(last)) => Some(Ipv6Subnets::new(first, last, 0).into()),
        // No format makes such a range.
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    };
    subnets.into_iter().flatten()
}

/// The IPv4 network that IPv4-mapped addresses stand for (S-20).
fn unmapped(net: Ipv6Net) -> Result<Option<Ipv4Net>, Error> {
    let Some(address) = net.network().to_ipv4_mapped() else { return Ok(None) };
    match net.prefix_len().checked_sub(96) {
        None => Ok(None),
        Some(0) => Err(Error::new(ErrorKind::MappedFamily { prefix: 96 })),
        Some(bits) => Ok(Ipv4Net::new(address, bits).ok()),
    }
}

/// What addresses a list that drops rarely means to hold.
fn special(net: IpNet) -> Notes {
    let mut notes = Notes::default();
    // What most networks begin with, so that they cost one comparison.
    let is_ordinary = match net.network() {
        IpAddr::V4(address) => {
            net.prefix_len() >= 8
                && !matches!(address.octets(), [10 | 100 | 127 | 169 | 172 | 192, ..])
        }
        IpAddr::V6(address) => {
            net.prefix_len() >= 8 && {
                let [first, ..] = address.segments();
                (0x2000..0x4000).contains(&first)
            }
        }
    };
    if !is_ordinary {
        for (own, note) in SPECIAL {
            if own.contains(&net) || net.contains(&own) {
                notes.insert(note);
            }
        }
    }
    notes
}

/// The loopback, private and link-local networks.
const SPECIAL: [(IpNet, Note); 10] = [
    (v4([127, 0, 0, 0], 8), Note::Loopback),
    (v6(0, 1, 128), Note::Loopback),
    (v4([10, 0, 0, 0], 8), Note::Private),
    (v4([100, 64, 0, 0], 10), Note::Private),
    (v4([172, 16, 0, 0], 12), Note::Private),
    (v4([192, 168, 0, 0], 16), Note::Private),
    (v6(0xfc00, 0, 7), Note::Private),
    (v4([169, 254, 0, 0], 16), Note::LinkLocal),
    (v6(0xfe80, 0, 10), Note::LinkLocal),
    (v6(0xfec0, 0, 10), Note::Private),
];

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits))
}

const fn v6(first: u16, last: u16, bits: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last), bits))
}
