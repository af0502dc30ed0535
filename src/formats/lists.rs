//! Lists of addresses and names, and the rules of other programs: read into filter rules, and
//! written from them.
//!
//! ```
//! use flowsieve::formats::lists::{Event, Importer, Options, Outcome};
//!
//! let list = b"# a list\n192.0.2.0/24\n198.51.100.7 - 198.51.100.9\n192.0.2.300\n";
//! let mut importer = Importer::new(Options::default());
//! let mut rejected = Vec::new();
//! importer.read("bad.txt", &mut &list[..], &mut |event: &Event<'_>| {
//!     if let Outcome::Rejected(error) = &event.outcome {
//!         rejected.push(error.to_string());
//!     }
//! })?;
//! let imported = importer.finish(&mut |_| {});
//! // A range is the fewest networks that make it up.
//! assert_eq!(imported.settings.rules().len(), 3);
//! assert_eq!(imported.settings.rules()[0].label(), Some("bad.txt:2"));
//! assert_eq!(
//!     rejected,
//!     ["line 4, column 1: `192.0.2.300` is not an address, a network or a range of addresses"]
//! );
//! let counts = imported.counts();
//! assert_eq!((counts.entries, counts.accepted, counts.rejected), (3, 2, 1));
//! # Ok::<(), flowsieve::formats::lists::ReadError>(())
//! ```
//!
//! No entry is skipped in silence. Each is accepted, accepted with a [`Note`], left out because
//! the list itself or whoever asked says so ([`LeftOut`]), or rejected with line, column and
//! reason; [`Counts`] adds up to the number of entries. Lists of lines are read in constant memory
//! beyond the rules; a line holds at most [`MAX_LINE_BYTES`](super::MAX_LINE_BYTES), a JSON
//! document at most [`MAX_BYTES`](super::settings::MAX_BYTES), a list at most
//! [`Options::max_entries`].
//!
//! # What cannot be said
//!
//! A rule of this crate tests addresses, ports, protocol, direction and host name of a flow.
//!
//! - A rule for any protocol is for TCP and UDP (S-31), whatever a list is meant for.
//! - A host rule matches the name and all names below it (S-40), also where a hosts file or a rule
//!   names one host; it is for outbound flows, and only those that carry a name (S-44).
//! - `0.0.0.0` or `::` with prefix length 0 stands for every address but loopback (S-14). As an
//!   address by itself neither can be named, so it is rejected; a network that begins there is
//!   written with another of its addresses, as 0.0.0.1/8, since the address 0.0.0.0 would make it
//!   a wildcard (S-16).
//! - IPv4-mapped IPv6 addresses count as IPv4 in flows (S-20), and so are turned into IPv4.
//!
//! What each format says beyond that is in the documentation of its [`Format`]; an entry that says
//! it is rejected with the reason.

mod address;
mod addresses;
mod aws;
mod azure;
mod cloudflare;
mod collect;
mod conflict;
mod csv;
mod document;
mod drop_json;
mod drop_text;
mod dshield;
mod emule_dat;
mod entry;
mod export;
mod fastly;
mod geofeed;
mod github;
mod google;
mod hosts;
mod import;
mod ipsum;
mod lines;
mod lsrules;
mod lulu;
mod merge;
mod nft;
mod opensnitch;
mod oracle;
mod overlap;
mod p2p;
mod pf;
mod recognise;
mod rules;
mod settings_list;

pub use entry::{LeftOut, Note, Notes};
pub use export::{Exported, Target, export};
pub use import::{
    Counts, Event, Imported, Importer, ListSummary, Options, Outcome, ReadError, Select,
};
pub use merge::merge;

use crate::error::{Error, ErrorKind};
use std::fmt;
use std::str::FromStr;

/// The format of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Addresses, CIDR networks and ranges, one a line: FireHOL .netset and .ipset among others.
    /// `#` and `;` start comments. A FireHOL header that states the number of entries is checked.
    Addresses,
    /// Spamhaus DROP as text: `192.0.2.0/24 ; SBL1`.
    DropText,
    /// Spamhaus DROP as lines of JSON. The metadata record at the end is checked against the
    /// number of entries; without it the list is taken for cut off.
    DropJson,
    /// DShield block list: start, end and mask, between tabs.
    Dshield,
    /// PeerGuardian .p2p: `label:first-last`; networks may be mixed in.
    P2p,
    /// eMule .dat: `first - last , access , label`. Access above 127 is not blocked; octets padded
    /// with zeros are decimal.
    EmuleDat,
    /// hosts file: an unspecified or loopback address, and the names that are blocked; or names
    /// alone. A line that gives a name another address is rejected.
    Hosts,
    /// stamparm ipsum: an address and on how many lists it is.
    Ipsum,
    /// pf table: addresses and networks, of which the most specific decides, `!` taking out. In a
    /// file of their own or between the braces of `table <name> { }`. Names of hosts and of
    /// interfaces, which pf resolves, are rejected.
    Pf,
    /// nftables sets: what stands between the braces of `elements = { }` and of `define name = { }`.
    /// Elements that are not addresses, such as ports, names and maps, are rejected.
    Nft,
    /// AWS ip-ranges.json. Keys to select by: `region`, `service`, `network_border_group`.
    Aws,
    /// Google goog.json and cloud.json. Keys to select by: `service`, `scope`.
    Google,
    /// Azure service tags. Keys to select by: `name`, `region`, `systemService`.
    Azure,
    /// Cloudflare's answer to `/ips`.
    Cloudflare,
    /// Fastly public-ip-list.
    Fastly,
    /// Oracle public_ip_ranges.json. Keys to select by: `region`, `tag`.
    Oracle,
    /// GitHub `/meta`. Key to select by: `key`, such as `hooks`. What is not addresses, such as SSH
    /// keys, is left out.
    GitHub,
    /// RFC 8805 geofeed. Keys to select by: `country`, `region`, `city`, `postal`.
    Geofeed,
    /// Comma-separated values with a header, as MaxMind has them; the network stands in the column
    /// `network` or the first. Keys to select by: the columns.
    Csv,
    /// Little Snitch .lsrules. Its most specific rule decides; rules are put in an order in which
    /// the first that matches is that. Where it is not known which of two is the more specific,
    /// both are rejected. Rules for a process, `via`, an owner, or for remotes that depend on the
    /// network the machine is in are rejected.
    LsRules,
    /// LuLu rules as JSON, also old ones with numbers as strings and dates without quotes. Rules
    /// for one program, regular expressions and globs are rejected.
    LuLu,
    /// OpenSnitch rules: an object, or an array of them. Rules that look at the process, the user,
    /// the interface or the source, regular expressions and lists in files are rejected.
    OpenSnitch,
    /// An NEFilterSettings as JSON: the format of [`settings`](super::settings).
    Settings,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 23] = [
        Format::Addresses,
        Format::DropText,
        Format::DropJson,
        Format::Dshield,
        Format::P2p,
        Format::EmuleDat,
        Format::Hosts,
        Format::Ipsum,
        Format::Pf,
        Format::Nft,
        Format::Aws,
        Format::Google,
        Format::Azure,
        Format::Cloudflare,
        Format::Fastly,
        Format::Oracle,
        Format::GitHub,
        Format::Geofeed,
        Format::Csv,
        Format::LsRules,
        Format::LuLu,
        Format::OpenSnitch,
        Format::Settings,
    ];

    /// Returns the word for the format.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Addresses => "addresses",
            Format::DropText => "drop",
            Format::DropJson => "drop-json",
            Format::Dshield => "dshield",
            Format::P2p => "p2p",
            Format::EmuleDat => "dat",
            Format::Hosts => "hosts",
            Format::Ipsum => "ipsum",
            Format::Pf => "pf",
            Format::Nft => "nft",
            Format::Aws => "aws",
            Format::Google => "google",
            Format::Azure => "azure",
            Format::Cloudflare => "cloudflare",
            Format::Fastly => "fastly",
            Format::Oracle => "oracle",
            Format::GitHub => "github",
            Format::Geofeed => "geofeed",
            Format::Csv => "csv",
            Format::LsRules => "lsrules",
            Format::LuLu => "lulu",
            Format::OpenSnitch => "opensnitch",
            Format::Settings => "settings",
        }
    }

    /// Returns the keys that entries can be selected by; `None` where a list names them itself.
    pub fn keys(self) -> Option<&'static [&'static str]> {
        match self {
            Format::Aws => Some(aws::KEYS),
            Format::Google => Some(google::KEYS),
            Format::Azure => Some(azure::KEYS),
            Format::Oracle => Some(oracle::KEYS),
            Format::GitHub => Some(github::KEYS),
            Format::Geofeed => Some(geofeed::KEYS),
            Format::Csv => None,
            _ => Some(&[]),
        }
    }

    /// Returns whether the rules of a list say themselves what is done with flows.
    pub fn has_actions(self) -> bool {
        matches!(self, Format::LsRules | Format::LuLu | Format::OpenSnitch | Format::Settings)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads the word for a format.
impl FromStr for Format {
    type Err = Error;

    fn from_str(word: &str) -> Result<Format, Error> {
        let found = Format::ALL.into_iter().find(|format| format.as_str() == word);
        found.ok_or_else(|| Error::new(ErrorKind::UnknownList { word: word.to_owned() }))
    }
}
