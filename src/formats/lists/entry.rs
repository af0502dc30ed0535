//! [`Entry`]: what an entry of any list says, in one vocabulary; and what is to be said of it.

use crate::endpoint::Ports;
use crate::flow::Direction;
use crate::rule::{Action, FilterRule, Protocol};
use ipnet::IpNet;
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// What an entry says.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) remotes: SmallVec<[Remotes<'a>; 1]>,
    pub(super) ports: SmallVec<[Ports; 1]>,
    pub(super) protocol: Protocol,
    /// `None` where the list does not say it.
    pub(super) direction: Option<Direction>,
    /// `None` where the list does not say it.
    pub(super) action: Option<Action>,
    /// Whether it takes addresses out of the list: the default action is theirs.
    pub(super) is_negated: bool,
    pub(super) notes: Notes,
    /// Where order in the file is not what decides: the lowest stands first.
    pub(super) rank: Rank,
}

/// A remote side.
#[derive(Debug)]
pub(super) enum Remotes<'a> {
    /// A network, with the host bits that were written.
    Net(IpNet),
    /// From the first to the last address, both included.
    Range(IpAddr, IpAddr),
    /// A host name, and all names below it.
    Name(Cow<'a, str>),
    /// Whatever there is.
    Any,
}

/// Where an entry stands among those of its list, where the order in the file does not decide.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(pub(super) u64, pub(super) Box<str>);

impl<'a> Entry<'a> {
    pub(super) fn new(remote: Remotes<'a>) -> Entry<'a> {
        Entry {
            remotes: smallvec![remote],
            ports: smallvec![Ports::ANY],
            protocol: Protocol::Any,
            direction: None,
            action: None,
            is_negated: false,
            notes: Notes::default(),
            rank: Rank::default(),
        }
    }

    pub(super) fn with_note(mut self, note: Note) -> Entry<'a> {
        self.notes.insert(note);
        self
    }
}

/// What came of an entry in the hands of its format.
pub(super) enum Found<'a> {
    Entry(Entry<'a>),
    /// A rule as it stands.
    Rule(Box<FilterRule>),
}

/// What is to be known of an entry that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Note {
    /// A network is written with bits set beyond its prefix length.
    HostBits,
    /// Octets of an IPv4 address are padded with zeros; they are read as decimal.
    ZeroPadded,
    /// An IPv4-mapped IPv6 address, turned into IPv4 (S-20).
    Mapped,
    /// A list that drops holds loopback addresses.
    Loopback,
    /// A list that drops holds private addresses.
    Private,
    /// A list that drops holds link-local addresses.
    LinkLocal,
    /// Every address of a family.
    EveryAddress,
    /// A rule for one host, which matches names below it too (S-40).
    NamesBelow,
    /// A name that no flow has: with a label that is empty or longer than 63 bytes, or with letters
    /// that DNS writes otherwise (`xn--`).
    NoSuchName,
    /// Addresses that are taken out of a list: they get the default action, also if a later list
    /// holds them.
    Negated,
    /// A rule that ends at some time, which is not kept.
    EndNotKept,
    /// The same as another entry.
    Duplicate,
    /// Within another entry.
    Nested,
}

impl Note {
    /// All notes.
    pub const ALL: [Note; 13] = [
        Note::HostBits,
        Note::ZeroPadded,
        Note::Mapped,
        Note::Loopback,
        Note::Private,
        Note::LinkLocal,
        Note::EveryAddress,
        Note::NamesBelow,
        Note::NoSuchName,
        Note::Negated,
        Note::EndNotKept,
        Note::Duplicate,
        Note::Nested,
    ];

    /// Returns the word for the note.
    pub fn as_str(self) -> &'static str {
        match self {
            Note::HostBits => "host-bits",
            Note::ZeroPadded => "zero-padded",
            Note::Mapped => "mapped",
            Note::Loopback => "loopback",
            Note::Private => "private",
            Note::LinkLocal => "link-local",
            Note::EveryAddress => "every-address",
            Note::NamesBelow => "names-below",
            Note::NoSuchName => "no-such-name",
            Note::Negated => "negated",
            Note::EndNotKept => "end-not-kept",
            Note::Duplicate => "duplicate",
            Note::Nested => "nested",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// What it means, in a sentence.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Note::HostBits => "bits are set beyond the prefix length",
            Note::ZeroPadded => "octets are padded with zeros, and read as decimal",
            Note::Mapped => "an IPv4-mapped address, read as IPv4 (S-20)",
            Note::Loopback => "holds loopback addresses",
            Note::Private => "holds private addresses",
            Note::LinkLocal => "holds link-local addresses",
            Note::EveryAddress => "every address of its family",
            Note::NamesBelow => "matches names below it too (S-40)",
            Note::NoSuchName => "no flow has such a name, as DNS writes names",
            Note::Negated => "taken out, so that the default action is taken",
            Note::EndNotKept => "ends at some time, which is not kept",
            Note::Duplicate => "stands twice",
            Note::Nested => "lies within another entry",
        })
    }
}

/// A set of notes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes(u16);

impl Notes {
    /// Returns whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether `note` is one of them.
    pub fn contains(self, note: Note) -> bool {
        self.0 & note.bit() != 0
    }

    /// Returns the notes, in the order of [`Note::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Note> {
        Note::ALL.into_iter().filter(move |note| self.contains(*note))
    }

    pub(super) fn insert(&mut self, note: Note) {
        self.0 |= note.bit();
    }

    pub(super) fn extend(&mut self, notes: Notes) {
        self.0 |= notes.0;
    }
}

/// Why an entry that was understood makes no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LeftOut {
    /// The list says that it is not blocked: an access above 127.
    NotBlocked,
    /// It is on fewer lists than asked for.
    BelowMinCount,
    /// It was not selected.
    NotSelected,
    /// It is disabled.
    Disabled,
    /// It names this host, or what every hosts file holds.
    ThisHost,
    /// It is no list of addresses, such as SSH keys.
    NotAddresses,
}

impl LeftOut {
    /// All reasons.
    pub const ALL: [LeftOut; 6] = [
        LeftOut::NotBlocked,
        LeftOut::BelowMinCount,
        LeftOut::NotSelected,
        LeftOut::Disabled,
        LeftOut::ThisHost,
        LeftOut::NotAddresses,
    ];

    /// Returns the word for the reason.
    pub fn as_str(self) -> &'static str {
        match self {
            LeftOut::NotBlocked => "not-blocked",
            LeftOut::BelowMinCount => "below-min-count",
            LeftOut::NotSelected => "not-selected",
            LeftOut::Disabled => "disabled",
            LeftOut::ThisHost => "this-host",
            LeftOut::NotAddresses => "not-addresses",
        }
    }
}

/// The reason, in words.
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeftOut::NotBlocked => "not blocked: its access is above 127",
            LeftOut::BelowMinCount => "on fewer lists than asked for",
            LeftOut::NotSelected => "not selected",
            LeftOut::Disabled => "disabled",
            LeftOut::ThisHost => "names this host",
            LeftOut::NotAddresses => "holds no addresses",
        })
    }
}
