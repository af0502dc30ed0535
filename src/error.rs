//! [`Error`] and [`ErrorKind`]: everything that can be wrong with rule, settings or flow text, and
//! every message about it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// What is wrong with a rule, a settings file or a flow, and where.
///
/// The place (line, column, rule index, key) is known when the value came from text, and absent
/// when it was given to a constructor.
///
/// # Examples
///
/// ```
/// use flowsieve::{Endpoint, ErrorKind, NetworkRule, Protocol};
///
/// let endpoint = Endpoint::new("10.0.0.1", "0")?;
/// let error = NetworkRule::destination_network(endpoint, 33, Protocol::Any).unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::PrefixTooLong { prefix: 33, limit: 32 }));
/// assert_eq!(error.to_string(), "prefix length 33 exceeds 32 for an IPv4 address");
/// # Ok::<(), flowsieve::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    place: Option<(u64, u64)>,
    rule: Option<usize>,
    key: Option<Box<str>>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A prefix length above the width of its address (S-12).
    PrefixTooLong {
        /// The prefix length that was given, in bits.
        prefix: u64,
        /// The width of the address, in bits: 32 or 128.
        limit: u8,
    },
    /// NSNotFound given as a prefix length (S-12).
    PrefixNotFound,
    /// A host name, or text that is neither a name nor an address, where a rule needs an IP
    /// address (S-46, S-51).
    NotAnAddress {
        /// The host text that was given.
        host: String,
    },
    /// An IP address where a host rule needs a name (S-45).
    AddressAsHostname {
        /// The host text that was given.
        host: String,
    },
    /// A host name with nothing left after its leading and trailing dots and stars are trimmed
    /// (S-42, S-45).
    EmptyHostname {
        /// The host text that was given.
        host: String,
    },
    /// A host name longer than [`HostName::MAX_LEN`](crate::HostName::MAX_LEN).
    HostnameTooLong {
        /// The length that was given, in bytes.
        len: usize,
        /// The longest name accepted, in bytes.
        limit: usize,
    },
    /// A host name with a character that cannot stand in one, as a URL has (S-45).
    InvalidHostname {
        /// The host text that was given.
        host: String,
        /// The first character that cannot stand in a host name.
        found: char,
    },
    /// A zone id (the part after `%`) that is empty, too long or holds other characters than
    /// ASCII letters, digits, `_` and `-` (S-50).
    InvalidZone {
        /// The zone id that was given.
        zone: String,
    },
    /// Port text that is not a number from 0 to 65535 (S-26).
    InvalidPort {
        /// The port text that was given.
        port: String,
    },
    /// A port range that is empty or starts at port 0.
    InvalidPortRange {
        /// The first port that was given.
        first: u16,
        /// The last port that was given.
        last: u16,
    },
    /// Endpoint text that is not `address`, `address:port`, `[address]:port` or `name:port`.
    InvalidEndpoint {
        /// The endpoint text that was given.
        endpoint: String,
    },
    /// An endpoint of a flow with a port range.
    PortRangeInFlow,
    /// A name where the local endpoint of a flow needs an address.
    NameAsLocalEndpoint {
        /// The host text that was given.
        host: String,
    },
    /// A word that is not a protocol.
    UnknownProtocol {
        /// The word that was given.
        word: String,
    },
    /// A word that is not a direction.
    UnknownDirection {
        /// The word that was given.
        word: String,
    },
    /// A word or raw value that is not an action.
    UnknownAction {
        /// The word that was given.
        word: String,
    },
    /// An action that a content filter on macOS cannot take: remediate or invalid (S-63).
    UnsupportedAction {
        /// The word that was given.
        word: String,
    },
    /// A word that is not the code of a lint.
    UnknownLint {
        /// The word that was given.
        word: String,
    },
    /// A key that is not known in its object.
    UnknownKey,
    /// A key that stands twice in one object.
    DuplicateKey,
    /// A key that its object needs.
    MissingKey {
        /// The missing key, or the choice of keys.
        expected: &'static str,
    },
    /// Two keys of which only one can stand in one object.
    ConflictingKeys {
        /// The key that was seen first.
        with: &'static str,
    },
    /// A value of the wrong JSON type.
    WrongType {
        /// What is expected.
        expected: &'static str,
        /// What was found.
        found: &'static str,
    },
    /// A JSON number that is not a whole number in range.
    NumberOutOfRange {
        /// The number that was given.
        number: String,
        /// The smallest and the largest number accepted.
        range: (u64, u64),
    },
    /// Text that is not JSON.
    Syntax {
        /// What the JSON parser says.
        message: String,
    },
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// Text over the size that is read.
    TooLarge {
        /// The largest size read, in bytes.
        limit: usize,
    },
    /// More rules than a matcher can number.
    TooManyRules {
        /// The number of rules that were given.
        count: usize,
        /// The most that are accepted.
        limit: usize,
    },
    /// A compiled matcher over the size that it was allowed.
    MatcherTooLarge {
        /// The size reached when compiling ended, in bytes; the whole might be larger.
        bytes: usize,
        /// The size allowed, in bytes.
        limit: usize,
    },
    /// An index at which a list of rules has none, or takes none.
    RuleIndexOutOfRange {
        /// The index that was given.
        index: usize,
        /// The number of rules.
        count: usize,
    },
    /// A log line that does not say that a new flow was seen.
    NotAFlowLine,
    /// Text in a log where an IP address is expected.
    InvalidLogAddress {
        /// The text that was given.
        text: String,
    },
    /// A row of a log with another number of columns than its header.
    ColumnCount {
        /// The number of columns that the row has.
        found: usize,
        /// The number of columns that the header names.
        expected: usize,
    },
    /// Text in a list that is not an address, a network or a range.
    NotAListEntry {
        /// The text that was given.
        text: String,
    },
    /// Text in a list or a rule of another program that does not have the form of its format.
    UnexpectedText {
        /// What is expected.
        expected: &'static str,
        /// The text that was given.
        found: String,
    },
    /// A range of addresses whose last is before its first.
    RangeReversed {
        /// The first address that was given.
        first: IpAddr,
        /// The last address that was given.
        last: IpAddr,
    },
    /// A range of addresses of two families.
    RangeAcrossFamilies {
        /// The first address that was given.
        first: IpAddr,
        /// The last address that was given.
        last: IpAddr,
    },
    /// The unspecified address by itself, which in a rule is a wildcard (S-14).
    UnspecifiedAddress {
        /// The address.
        address: IpAddr,
    },
    /// A network of IPv4-mapped addresses that is all of IPv4 (S-20).
    MappedFamily {
        /// The prefix length, in bits.
        prefix: u8,
    },
    /// A list that does not hold as many entries as it says.
    CountMismatch {
        /// The number that the list states.
        stated: u64,
        /// The number that was found.
        found: u64,
    },
    /// A list without the record at its end, and so probably cut off.
    MissingRecord,
    /// A list that ends within braces, and so is probably cut off.
    UnclosedBrace,
    /// More entries than are read.
    TooManyEntries {
        /// The most that are read.
        limit: u64,
    },
    /// Text that no format of lists fits.
    NoListFormat,
    /// Text that two formats of lists fit as well.
    AmbiguousList {
        /// The words for the two.
        formats: [&'static str; 2],
    },
    /// A word that is not a format of lists.
    UnknownList {
        /// The word that was given.
        word: String,
    },
    /// A log or a table whose header lacks a column that is needed or asked for.
    MissingColumn {
        /// The name of the column.
        column: String,
    },
    /// Columns of CSV of which no flow can be made.
    InvalidColumns {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A row of a log that stands before the header, which says what the columns are.
    MissingHeader {
        /// What the header begins with or holds, in backticks.
        expected: &'static str,
    },
    /// A word that does not name a column of a flow.
    UnknownColumn {
        /// The word that was given.
        word: String,
    },
    /// A quote that is not closed on its line.
    UnclosedQuote,
    /// A word that is not the name of a format of logs.
    UnknownLogFormat {
        /// The word that was given.
        word: String,
    },
    /// Text that is not a network of this host.
    InvalidLocalNetwork {
        /// The text that was given.
        text: String,
    },
    /// What a format, or a rule of this crate, has no words for.
    Inexpressible {
        /// What has no words for it.
        by: &'static str,
        /// What it is.
        what: &'static str,
        /// The text of it.
        value: String,
    },
    /// Rules that match flows in common, act otherwise, and of which it is not known which decides.
    UndecidedOrder {
        /// The line of the other rule.
        line: u64,
    },
    /// A rule for one name, which would match names below it too that another rule is for, as which
    /// it does not act.
    NamesBelow {
        /// The line of the other rule.
        line: u64,
    },
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: ErrorKind) -> Error {
        Error(Box::new(Inner { kind, place: None, rule: None, key: None }))
    }

    /// Returns what is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Returns the line, counted from 1.
    pub fn line(&self) -> Option<u64> {
        self.0.place.map(|(line, _)| line)
    }

    /// Returns the column, counted from 1 in characters.
    pub fn column(&self) -> Option<u64> {
        self.0.place.map(|(_, column)| column)
    }

    /// Returns the index of the rule, counted from 0.
    pub fn rule_index(&self) -> Option<usize> {
        self.0.rule
    }

    /// Returns the same error, as one of line `line`, counted from 1, of a text that was read line
    /// by line.
    pub fn on_line(mut self, line: u64) -> Error {
        self.0.place = Some((line, self.column().unwrap_or(1)));
        self
    }

    /// Returns the key of the value, or the key itself where the key is what is wrong.
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }
}

/// How the formats add the place; each keeps what is there already, since the innermost is right.
#[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "only text has places"))]
impl Error {
    #[cold]
    pub(crate) fn at(mut self, line: u64, column: u64) -> Error {
        self.0.place.get_or_insert((line, column));
        self
    }

    /// The same error of a text that starts at this place in a larger one.
    #[cold]
    pub(crate) fn within(mut self, line: u64, column: u64) -> Error {
        self.0.place = match self.0.place {
            Some((1, own)) => Some((line, column + own.saturating_sub(1))),
            Some((own, own_column)) => Some((line + own.saturating_sub(1), own_column)),
            None => Some((line, column)),
        };
        self
    }

    #[cold]
    pub(crate) fn in_rule(mut self, index: usize) -> Error {
        self.0.rule.get_or_insert(index);
        self
    }

    #[cold]
    pub(crate) fn for_key(mut self, key: &str) -> Error {
        self.0.key.get_or_insert_with(|| key.into());
        self
    }
}

impl std::error::Error for Error {}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("place", &self.0.place)
            .field("rule", &self.0.rule)
            .field("key", &self.0.key)
            .finish()
    }
}

/// `line 3, column 9: rule 2, key `remotePrefix`: prefix length 33 exceeds 32 ...`
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.0.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        match (self.0.rule, self.key()) {
            (Some(rule), Some(key)) => write!(f, "rule {rule}, key {}: ", Quoted(key))?,
            (Some(rule), None) => write!(f, "rule {rule}: ")?,
            (None, Some(key)) => write!(f, "key {}: ", Quoted(key))?,
            (None, None) => {}
        }
        self.0.kind.fmt(f)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ErrorKind::*;
        match self {
            PrefixTooLong { prefix, limit } => {
                let family = if *limit == 32 { "an IPv4" } else { "an IPv6" };
                write!(f, "prefix length {prefix} exceeds {limit} for {family} address")
            }
            PrefixNotFound => f.write_str(
                "prefix length is NSNotFound: expected 0 to 32 for IPv4 or 0 to 128 for IPv6",
            ),
            NotAnAddress { host } => write!(
                f,
                "{} is not an IP address: expected dotted-quad IPv4 or IPv6 text, without brackets, \
                 prefix or port; names belong in a host rule",
                Quoted(host)
            ),
            AddressAsHostname { host } if is_v4_with_zone(host) => write!(
                f,
                "{} is an IPv4 address with a zone id, which only IPv6 addresses have",
                Quoted(host)
            ),
            AddressAsHostname { host } => write!(
                f,
                "{} is an IP address: a host rule takes a name, a network rule an address",
                Quoted(host)
            ),
            EmptyHostname { host } if host.is_empty() => {
                f.write_str("the text is empty: expected an IP address or a host name")
            }
            EmptyHostname { host } => write!(
                f,
                "host name {} is empty once leading and trailing dots and stars are trimmed",
                Quoted(host)
            ),
            HostnameTooLong { len, limit } => {
                write!(f, "host name of {len} bytes exceeds {limit}")
            }
            InvalidHostname { host, found } => write!(
                f,
                "{} is not a host name: it holds {}, and names hold letters, digits, `-`, `_`, `.` and `*`",
                Quoted(host),
                Quoted(found.encode_utf8(&mut [0; 4]))
            ),
            InvalidZone { zone } => write!(
                f,
                "zone id {} is not an interface name: expected 1 to 15 ASCII letters, digits, `_` or `-`",
                Quoted(zone)
            ),
            InvalidPort { port } => {
                write!(f, "{} is not a port: expected 0 to 65535, or nothing for any", Quoted(port))
            }
            InvalidPortRange { first, last } => write!(
                f,
                "{first}-{last} is not a port range: expected 1 to 65535, first no higher than last"
            ),
            InvalidEndpoint { endpoint } => write!(
                f,
                "{} is not an endpoint: expected `address`, `address:port`, `[address]:port` or `name:port`",
                Quoted(endpoint)
            ),
            PortRangeInFlow => f.write_str("a flow has one port, not a range"),
            NameAsLocalEndpoint { host } => {
                write!(f, "local endpoint {} is a name: expected an IP address", Quoted(host))
            }
            UnknownProtocol { word } => write!(
                f,
                "unknown protocol {}: expected `any` (rules only), `TCP`, `UDP`, `ICMP`, `ICMPv6` or 0 to 255",
                Quoted(word)
            ),
            UnknownDirection { word } => write!(
                f,
                "unknown direction {}: expected `any`, `inbound` or `outbound`",
                Quoted(word)
            ),
            UnknownAction { word } => write!(
                f,
                "unknown action {}: expected `allow`, `drop` or `filterData`",
                Quoted(word)
            ),
            UnsupportedAction { word } => write!(
                f,
                "action {} is not available on macOS: expected `allow`, `drop` or `filterData`",
                Quoted(word)
            ),
            UnknownLint { word } => {
                write!(f, "unknown lint {}: expected a code such as `L-01`", Quoted(word))
            }
            UnknownKey => f.write_str("unknown key"),
            DuplicateKey => f.write_str("key stands twice in one object"),
            MissingKey { expected } => write!(f, "missing key {expected}"),
            ConflictingKeys { with } => {
                write!(f, "key cannot stand beside `{with}`: they belong to different initialisers")
            }
            WrongType { expected, found } => write!(f, "expected {expected}, found {found}"),
            NumberOutOfRange { number, range: (low, high) } => write!(
                f,
                "{} is out of range: expected a whole number from {low} to {high}",
                Quoted(number)
            ),
            Syntax { message } => write!(f, "not valid JSON: {message}"),
            NotUtf8 => f.write_str("not valid UTF-8"),
            TooLarge { limit } => write!(f, "text exceeds {limit} bytes"),
            TooManyRules { count, limit } => write!(f, "{count} rules exceed {limit}"),
            MatcherTooLarge { bytes, limit } => {
                write!(f, "the matcher takes {bytes} bytes or more, which exceeds {limit}")
            }
            RuleIndexOutOfRange { index, count } => {
                write!(f, "rule index {index} is out of range: the number of rules is {count}")
            }
            NotAFlowLine => f.write_str(
                "not a flow: expected a JSON object, or a log line with `remote endpoint`",
            ),
            InvalidLogAddress { text } => write!(f, "{} is not an IP address", Quoted(text)),
            ColumnCount { found, expected } => {
                let plural = if *found == 1 { "" } else { "s" };
                write!(f, "row of {found} column{plural}: expected {expected}")
            }
            MissingColumn { column } => write!(f, "there is no column {}", Quoted(column)),
            InvalidColumns { reason } => {
                write!(f, "columns of which no flow can be made: {reason}")
            }
            MissingHeader { expected } => write!(f, "row before its header: expected {expected}"),
            UnknownColumn { word } => write!(
                f,
                "unknown column {}: expected `source`, `source-port`, `destination`, \
                 `destination-port`, `local`, `local-port`, `remote`, `remote-port`, `protocol`, \
                 `direction`, `hostname`, or `-` for one that is not read",
                Quoted(word)
            ),
            UnknownLogFormat { word } => write!(
                f,
                "unknown log format {}: expected `flow-lines`, `macos`, `macos-json`, `zeek`, \
                 `zeek-json`, `suricata`, `vpc`, `nfdump` or `csv`",
                Quoted(word)
            ),
            UnclosedQuote => f.write_str("quote that is not closed on its line"),
            InvalidLocalNetwork { text } => write!(
                f,
                "{} is not a network: expected an address, or address and prefix length as in \
                 `10.0.0.0/8`",
                Quoted(text)
            ),
            NotAListEntry { text } => {
                write!(f, "{} is not an address, a network or a range of addresses", Quoted(text))
            }
            UnexpectedText { expected, found } => {
                write!(f, "expected {expected}, found {}", Quoted(found))
            }
            RangeReversed { first, last } => {
                write!(f, "the range {first}-{last} ends before it begins")
            }
            RangeAcrossFamilies { first, last } => {
                write!(
                    f,
                    "the range {first}-{last} begins in one address family and ends in the other"
                )
            }
            UnspecifiedAddress { address } => write!(
                f,
                "a rule cannot name {address} alone: there it stands for every address of its family (S-14)"
            ),
            MappedFamily { prefix } => write!(
                f,
                "::ffff:0.0.0.0/{prefix} is all of IPv4, which no flow shows in that form (S-20): \
                 write 0.0.0.0/0 if that is meant"
            ),
            CountMismatch { stated, found } => {
                write!(f, "the list says that it holds {stated} entries, and {found} were found")
            }
            MissingRecord => {
                f.write_str("no metadata record at the end, so that the list may be cut off")
            }
            UnclosedBrace => f.write_str("`{` without its `}`, so that the list may be cut off"),
            TooManyEntries { limit } => write!(f, "more than {limit} entries"),
            NoListFormat => f.write_str("no known format of lists fits this text"),
            AmbiguousList { formats: [first, second] } => write!(
                f,
                "the formats `{first}` and `{second}` fit this text equally: say which it is"
            ),
            UnknownList { word } => write!(
                f,
                "unknown format of lists {}: expected a word such as `addresses` or `hosts`",
                Quoted(word)
            ),
            Inexpressible { by, what, value } => {
                write!(f, "{by} cannot say {what}: {}", Quoted(value))
            }
            UndecidedOrder { line } => write!(
                f,
                "as specific as the rule of line {line}, which acts otherwise on flows of both: \
                 which of the two decides is not known"
            ),
            NamesBelow { line } => write!(
                f,
                "a host rule matches names below its own too (S-40), on which the rule of line {line} \
                 acts otherwise"
            ),
        }
    }
}

/// Input in backticks, with control characters escaped and the length bounded, so that a message
/// is safe to print and to read whatever the input was.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_CHARS: usize = 80;
        f.write_str("`")?;
        for c in self.0.chars().take(MAX_CHARS) {
            match c {
                '"' | '\'' => write!(f, "{c}")?,
                _ => write!(f, "{}", c.escape_debug())?,
            }
        }
        f.write_str(if self.0.chars().nth(MAX_CHARS).is_some() { "...`" } else { "`" })
    }
}

fn is_v4_with_zone(host: &str) -> bool {
    host.split_once('%').is_some_and(|(address, _)| address.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of every kind with its message. `every_kind_is_listed` does not compile, or fails, for
    /// a kind that is left out.
    fn messages() -> Vec<(ErrorKind, &'static str)> {
        use ErrorKind::*;
        let text = String::from;
        vec![
            (
                PrefixTooLong { prefix: 33, limit: 32 },
                "prefix length 33 exceeds 32 for an IPv4 address",
            ),
            (
                PrefixNotFound,
                "prefix length is NSNotFound: expected 0 to 32 for IPv4 or 0 to 128 for IPv6",
            ),
            (
                NotAnAddress { host: text("10.1") },
                "`10.1` is not an IP address: expected dotted-quad IPv4 or IPv6 text, without \
                 brackets, prefix or port; names belong in a host rule",
            ),
            (
                AddressAsHostname { host: text("::1") },
                "`::1` is an IP address: a host rule takes a name, a network rule an address",
            ),
            (
                EmptyHostname { host: text("*.") },
                "host name `*.` is empty once leading and trailing dots and stars are trimmed",
            ),
            (HostnameTooLong { len: 300, limit: 255 }, "host name of 300 bytes exceeds 255"),
            (
                InvalidHostname { host: text("https://a.b/"), found: ':' },
                "`https://a.b/` is not a host name: it holds `:`, and names hold letters, digits, \
                 `-`, `_`, `.` and `*`",
            ),
            (
                InvalidZone { zone: text("e n") },
                "zone id `e n` is not an interface name: expected 1 to 15 ASCII letters, digits, \
                 `_` or `-`",
            ),
            (
                InvalidPort { port: text("https") },
                "`https` is not a port: expected 0 to 65535, or nothing for any",
            ),
            (
                InvalidPortRange { first: 9, last: 8 },
                "9-8 is not a port range: expected 1 to 65535, first no higher than last",
            ),
            (
                InvalidEndpoint { endpoint: text("[::1") },
                "`[::1` is not an endpoint: expected `address`, `address:port`, `[address]:port` \
                 or `name:port`",
            ),
            (PortRangeInFlow, "a flow has one port, not a range"),
            (
                NameAsLocalEndpoint { host: text("localhost") },
                "local endpoint `localhost` is a name: expected an IP address",
            ),
            (
                UnknownProtocol { word: text("tpc") },
                "unknown protocol `tpc`: expected `any` (rules only), `TCP`, `UDP`, `ICMP`, \
                 `ICMPv6` or 0 to 255",
            ),
            (
                UnknownDirection { word: text("out") },
                "unknown direction `out`: expected `any`, `inbound` or `outbound`",
            ),
            (
                UnknownAction { word: text("deny") },
                "unknown action `deny`: expected `allow`, `drop` or `filterData`",
            ),
            (
                UnsupportedAction { word: text("remediate") },
                "action `remediate` is not available on macOS: expected `allow`, `drop` or \
                 `filterData`",
            ),
            (
                UnknownLint { word: text("L-99") },
                "unknown lint `L-99`: expected a code such as `L-01`",
            ),
            (UnknownKey, "unknown key"),
            (DuplicateKey, "key stands twice in one object"),
            (MissingKey { expected: "`action`" }, "missing key `action`"),
            (
                ConflictingKeys { with: "destinationHost" },
                "key cannot stand beside `destinationHost`: they belong to different initialisers",
            ),
            (WrongType { expected: "a string", found: "null" }, "expected a string, found null"),
            (
                NumberOutOfRange { number: text("-1"), range: (0, 128) },
                "`-1` is out of range: expected a whole number from 0 to 128",
            ),
            (Syntax { message: text("trailing comma") }, "not valid JSON: trailing comma"),
            (NotUtf8, "not valid UTF-8"),
            (TooLarge { limit: 65536 }, "text exceeds 65536 bytes"),
            (TooManyRules { count: 5, limit: 4 }, "5 rules exceed 4"),
            (
                MatcherTooLarge { bytes: 9000, limit: 8000 },
                "the matcher takes 9000 bytes or more, which exceeds 8000",
            ),
            (
                RuleIndexOutOfRange { index: 5, count: 5 },
                "rule index 5 is out of range: the number of rules is 5",
            ),
            (
                NotAFlowLine,
                "not a flow: expected a JSON object, or a log line with `remote endpoint`",
            ),
            (InvalidLogAddress { text: text("1.2.3") }, "`1.2.3` is not an IP address"),
            (ColumnCount { found: 1, expected: 14 }, "row of 1 column: expected 14"),
            (MissingColumn { column: text("srcaddr") }, "there is no column `srcaddr`"),
            (MissingHeader { expected: "`#fields`" }, "row before its header: expected `#fields`"),
            (
                UnknownColumn { word: text("src") },
                "unknown column `src`: expected `source`, `source-port`, `destination`, \
                 `destination-port`, `local`, `local-port`, `remote`, `remote-port`, `protocol`, \
                 `direction`, `hostname`, or `-` for one that is not read",
            ),
            (
                UnknownLogFormat { word: text("bro") },
                "unknown log format `bro`: expected `flow-lines`, `macos`, `macos-json`, `zeek`, \
                 `zeek-json`, `suricata`, `vpc`, `nfdump` or `csv`",
            ),
            (UnclosedQuote, "quote that is not closed on its line"),
            (
                InvalidLocalNetwork { text: text("10/8") },
                "`10/8` is not a network: expected an address, or address and prefix length as in \
                 `10.0.0.0/8`",
            ),
            (
                InvalidColumns { reason: "they have no `remote`" },
                "columns of which no flow can be made: they have no `remote`",
            ),
            (
                NotAListEntry { text: text("10.1") },
                "`10.1` is not an address, a network or a range of addresses",
            ),
            (
                UnexpectedText { expected: "an access", found: text("a\u{1b}") },
                "expected an access, found `a\\u{1b}`",
            ),
            (
                RangeReversed { first: [10, 0, 0, 2].into(), last: [10, 0, 0, 1].into() },
                "the range 10.0.0.2-10.0.0.1 ends before it begins",
            ),
            (
                RangeAcrossFamilies {
                    first: [10, 0, 0, 2].into(),
                    last: std::net::Ipv6Addr::LOCALHOST.into(),
                },
                "the range 10.0.0.2-::1 begins in one address family and ends in the other",
            ),
            (
                UnspecifiedAddress { address: [0, 0, 0, 0].into() },
                "a rule cannot name 0.0.0.0 alone: there it stands for every address of its \
                 family (S-14)",
            ),
            (
                MappedFamily { prefix: 96 },
                "::ffff:0.0.0.0/96 is all of IPv4, which no flow shows in that form (S-20): write \
                 0.0.0.0/0 if that is meant",
            ),
            (
                CountMismatch { stated: 3, found: 2 },
                "the list says that it holds 3 entries, and 2 were found",
            ),
            (MissingRecord, "no metadata record at the end, so that the list may be cut off"),
            (UnclosedBrace, "`{` without its `}`, so that the list may be cut off"),
            (TooManyEntries { limit: 10 }, "more than 10 entries"),
            (NoListFormat, "no known format of lists fits this text"),
            (
                AmbiguousList { formats: ["hosts", "p2p"] },
                "the formats `hosts` and `p2p` fit this text equally: say which it is",
            ),
            (
                UnknownList { word: text("xml") },
                "unknown format of lists `xml`: expected a word such as `addresses` or `hosts`",
            ),
            (
                Inexpressible { by: "a rule", what: "a process", value: text("/bin/ls") },
                "a rule cannot say a process: `/bin/ls`",
            ),
            (
                UndecidedOrder { line: 7 },
                "as specific as the rule of line 7, which acts otherwise on flows of both: which \
                 of the two decides is not known",
            ),
            (
                NamesBelow { line: 7 },
                "a host rule matches names below its own too (S-40), on which the rule of line 7 acts \
                 otherwise",
            ),
        ]
    }

    #[test]
    fn every_message_reads_as_written() {
        for (kind, message) in messages() {
            assert_eq!(Error::new(kind.clone()).to_string(), message, "{kind:?}");
        }
    }

    #[test]
    fn every_kind_is_listed() {
        use ErrorKind::*;
        let number = |kind: &ErrorKind| match kind {
            PrefixTooLong { .. } => 0,
            PrefixNotFound => 1,
            NotAnAddress { .. } => 2,
            AddressAsHostname { .. } => 3,
            EmptyHostname { .. } => 4,
            HostnameTooLong { .. } => 5,
            InvalidHostname { .. } => 6,
            InvalidZone { .. } => 7,
            InvalidPort { .. } => 8,
            InvalidPortRange { .. } => 9,
            InvalidEndpoint { .. } => 10,
            PortRangeInFlow => 11,
            NameAsLocalEndpoint { .. } => 12,
            UnknownProtocol { .. } => 13,
            UnknownDirection { .. } => 14,
            UnknownAction { .. } => 15,
            UnsupportedAction { .. } => 16,
            UnknownLint { .. } => 17,
            UnknownKey => 18,
            DuplicateKey => 19,
            MissingKey { .. } => 20,
            ConflictingKeys { .. } => 21,
            WrongType { .. } => 22,
            NumberOutOfRange { .. } => 23,
            Syntax { .. } => 24,
            NotUtf8 => 25,
            TooLarge { .. } => 26,
            TooManyRules { .. } => 27,
            MatcherTooLarge { .. } => 28,
            RuleIndexOutOfRange { .. } => 29,
            NotAFlowLine => 30,
            InvalidLogAddress { .. } => 31,
            ColumnCount { .. } => 32,
            MissingColumn { .. } => 33,
            MissingHeader { .. } => 34,
            UnknownColumn { .. } => 35,
            UnknownLogFormat { .. } => 36,
            UnclosedQuote => 37,
            InvalidLocalNetwork { .. } => 38,
            InvalidColumns { .. } => 39,
            NotAListEntry { .. } => 40,
            UnexpectedText { .. } => 41,
            RangeReversed { .. } => 42,
            RangeAcrossFamilies { .. } => 43,
            UnspecifiedAddress { .. } => 44,
            MappedFamily { .. } => 45,
            CountMismatch { .. } => 46,
            MissingRecord => 47,
            UnclosedBrace => 48,
            TooManyEntries { .. } => 49,
            NoListFormat => 50,
            AmbiguousList { .. } => 51,
            UnknownList { .. } => 52,
            Inexpressible { .. } => 53,
            UndecidedOrder { .. } => 54,
            NamesBelow { .. } => 55,
        };
        let listed: Vec<_> = messages().iter().map(|(kind, _)| number(kind)).collect();
        assert_eq!(listed, (0..56).collect::<Vec<_>>());
    }

    #[test]
    fn the_place_precedes_the_message() {
        let error = Error::new(ErrorKind::UnknownKey);
        assert_eq!(error.clone().for_key("a").to_string(), "key `a`: unknown key");
        assert_eq!(error.clone().in_rule(2).to_string(), "rule 2: unknown key");
        let error = error.at(3, 9).in_rule(2).for_key("a");
        assert_eq!(error.to_string(), "line 3, column 9: rule 2, key `a`: unknown key");
        assert_eq!((error.line(), error.column()), (Some(3), Some(9)));
        assert_eq!((error.rule_index(), error.key()), (Some(2), Some("a")));
        assert_eq!(error.on_line(7).line(), Some(7));
    }

    #[test]
    fn the_innermost_place_is_kept() {
        let error = Error::new(ErrorKind::UnknownKey).at(3, 9).for_key("inner").in_rule(2);
        let same = error.clone().at(1, 1).for_key("outer").in_rule(0);
        assert_eq!(same, error);
    }

    #[test]
    fn input_is_quoted_without_control_characters_and_at_bounded_length() {
        let kind = ErrorKind::UnknownAction { word: "\u{1b}[31m\u{202e}".repeat(100) };
        let message = kind.to_string();
        assert!(!message.chars().any(|c| c.is_control() || c == '\u{202e}'), "{message}");
        assert!(message.contains("...`"), "{message}");
        assert!(message.len() < 800, "{message}");
    }
}
