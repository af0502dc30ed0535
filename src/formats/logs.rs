#![doc = include_str!("logs.md")]

mod connection;
mod csv;
mod detect;
mod framework;
mod lulu;
mod macos;
mod nfdump;
mod row;
mod socket_flow;
mod suricata;
mod vpc;
mod zeek;

pub use connection::{Connection, End, local_net};
pub use csv::Columns;

use crate::error::{Error, ErrorKind};
use crate::flow::{Direction, Flow, IpProtocol};
use crate::formats::{MAX_LINE_BYTES, flow_lines};
use ipnet::IpNet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A format of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogFormat {
    /// [Flow lines](crate::formats::flow_lines).
    FlowLines,
    /// Text of the macOS log: os_log lines, `log show`, descriptions of flows, LuLu, the framework.
    Macos,
    /// `log show --style ndjson`, whose messages are read as those of [`LogFormat::Macos`].
    MacosJson,
    /// Zeek's conn.log as tab-separated values.
    Zeek,
    /// Zeek's conn.log as JSON.
    ZeekJson,
    /// Suricata's eve.json, of which the events of type `flow` are flows.
    Suricata,
    /// AWS VPC flow logs, version 2 to 5.
    Vpc,
    /// CSV of nfdump 1.6 or 1.7.
    Nfdump,
    /// CSV with the columns of [`LogOptions::columns`].
    Csv,
}

/// What a log does not say of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogOptions {
    /// The protocol of flows that do not say it.
    pub protocol: IpProtocol,
    /// The networks of this host, by which the local end of a connection is known.
    pub local_nets: Vec<IpNet>,
    /// The columns of CSV.
    pub columns: Option<Columns>,
    /// Read flow lines without the fast path, which is there to be tested against.
    pub is_thorough: bool,
}

/// Reads the records of one log, whole lines at a time.
///
/// A reader knows the header of its log and the number of the next line. Its copies can read parts
/// of one log at once: [`advance`](LogReader::advance) goes past text without reading its records.
///
/// # Examples
///
/// ```
/// use flowsieve::formats::logs::{Entry, LogFormat, LogOptions, LogReader, Skip};
///
/// let log = b"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets \
/// bytes start end action log-status
/// 2 123456789010 eni-1 10.0.0.5 203.0.113.9 49761 443 6 20 4249 1418530010 1418530070 ACCEPT OK
/// 2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA
/// ";
/// let mut options = LogOptions::default();
/// options.local_nets = vec!["10.0.0.0/8".parse()?];
/// let format = LogFormat::detect(log).ok_or("no known format")?;
/// let mut flows = Vec::new();
/// let mut skipped = Vec::new();
/// LogReader::new(format, options).read(log, |record| match record.entry {
///     Entry::Flow(found) => flows.push(found.flow.to_string()),
///     Entry::Skipped(reason) => skipped.push((record.line, reason)),
///     Entry::Rejected(error) => panic!("{error}"),
///     Entry::Other(_) => {}
/// });
/// assert_eq!(flows, ["TCP outbound 10.0.0.5:49761 -> 203.0.113.9:443"]);
/// assert_eq!(skipped, [(3, Skip::NoData)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct LogReader {
    format: LogFormat,
    options: Arc<LogOptions>,
    header: Header,
    /// The number of the next line, from 1.
    line: u64,
}

/// What a log has said of its rows so far.
#[derive(Clone, Debug)]
enum Header {
    None,
    Zeek(zeek::Header),
    Vpc(vpc::Header),
    Nfdump(nfdump::Header),
    Csv(Box<csv::Header>),
}

/// What a reader makes of a line, or of several that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The number of its first line, from 1.
    pub line: u64,
    /// What it is.
    pub entry: Entry<'a>,
}

/// What stands in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A record that is a flow.
    Flow(LogFlow<'a>),
    /// A record that is in order but no flow.
    Skipped(Skip),
    /// A record that cannot be understood; the error has its place.
    Rejected(Error),
    /// A line that is no record.
    Other(Other),
}

/// A flow, and what its log does not say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFlow<'a> {
    /// The flow. A direction that is not known is [`Direction::Any`].
    pub flow: Flow<'a>,
    /// Whether it is known which end is this host; see [`Connection::to_flow`].
    pub is_side_known: bool,
    /// Whether it is known which end opened the flow. If not, the end that sent what the record is
    /// about was taken for it.
    pub is_opener_known: bool,
    /// Whether the log says the protocol; if not, it is that of [`LogOptions::protocol`].
    pub is_protocol_known: bool,
}

/// Why a record is no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Skip {
    /// It has no addresses.
    NoAddress,
    /// It says that nothing was recorded (`NODATA`, `SKIPDATA`).
    NoData,
    /// It is about something else than a flow.
    NotAFlow,
    /// It has no protocol that has a number.
    NoProtocol,
    /// The system has redacted an endpoint (`<private>`).
    Private,
}

/// Why a line is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Other {
    /// It is blank.
    Blank,
    /// It is a header or a comment.
    Header,
    /// It belongs to a summary at the end.
    Summary,
    /// It belongs to the record before it.
    Continuation,
}

impl LogFormat {
    /// Every format.
    pub const ALL: [LogFormat; 9] = [
        LogFormat::FlowLines,
        LogFormat::Macos,
        LogFormat::MacosJson,
        LogFormat::Zeek,
        LogFormat::ZeekJson,
        LogFormat::Suricata,
        LogFormat::Vpc,
        LogFormat::Nfdump,
        LogFormat::Csv,
    ];

    /// Returns the name by which it is asked for.
    pub fn as_str(self) -> &'static str {
        match self {
            LogFormat::FlowLines => "flow-lines",
            LogFormat::Macos => "macos",
            LogFormat::MacosJson => "macos-json",
            LogFormat::Zeek => "zeek",
            LogFormat::ZeekJson => "zeek-json",
            LogFormat::Suricata => "suricata",
            LogFormat::Vpc => "vpc",
            LogFormat::Nfdump => "nfdump",
            LogFormat::Csv => "csv",
        }
    }

    /// Returns the format of a log that begins with `text`, which need not end with a line.
    ///
    /// The first line that is of one format only decides. [`LogFormat::Csv`] is never found, since
    /// CSV does not say what its columns are.
    ///
    /// # Complexity
    ///
    /// Looks at no more than the first 64 KiB.
    pub fn detect(text: &[u8]) -> Option<LogFormat> {
        detect::detect(text)
    }

    /// Returns how much of `text` can be read without the rest: a number of whole lines that does
    /// not end within a record. It is 0 if there is no such line.
    pub fn cut(self, text: &[u8]) -> usize {
        let lines = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        match self {
            LogFormat::Macos => macos::cut(text.get(..lines).unwrap_or(text)),
            _ => lines,
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Default for LogOptions {
    /// TCP, no local networks, no columns.
    fn default() -> LogOptions {
        LogOptions {
            protocol: IpProtocol::TCP,
            local_nets: Vec::new(),
            columns: None,
            is_thorough: false,
        }
    }
}

impl LogReader {
    /// Makes a reader that stands before the first line of a log.
    pub fn new(format: LogFormat, options: LogOptions) -> LogReader {
        LogReader::shared(format, Arc::new(options))
    }

    /// Makes a reader of options that several readers have in common.
    pub fn shared(format: LogFormat, options: Arc<LogOptions>) -> LogReader {
        let header = match format {
            LogFormat::Zeek => Header::Zeek(zeek::Header::default()),
            LogFormat::Vpc => Header::Vpc(vpc::Header::default()),
            LogFormat::Nfdump => Header::Nfdump(nfdump::Header::default()),
            LogFormat::Csv => Header::Csv(Box::new(csv::Header::new(options.columns.as_ref()))),
            _ => Header::None,
        };
        LogReader { format, options, header, line: 1 }
    }

    /// Returns the format.
    pub fn format(&self) -> LogFormat {
        self.format
    }

    /// Returns the number of the next line, from 1.
    pub fn next_line(&self) -> u64 {
        self.line
    }

    /// Reads the lines of `text`, the last of which may lack its end. A record does not go on
    /// behind the text; [`LogFormat::cut`] says where to cut.
    ///
    /// Every line is in exactly one record that `sink` gets, in the order of the lines: the first
    /// line of a record as that record, others as [`Other::Continuation`], before it. A byte order mark at
    /// the start is of no line.
    ///
    /// # Complexity
    ///
    /// Linear in the length of the text. Stores nothing of it but the lines of one record, which
    /// is rejected above [`MAX_LINE_BYTES`].
    pub fn read<'a>(&mut self, text: &'a [u8], mut sink: impl FnMut(Record<'a>)) {
        let text = self.without_bom(text);
        let mut block = socket_flow::Block::default();
        // Mostly all of the text is UTF-8, and found so at once faster than line by line.
        match std::str::from_utf8(text) {
            Ok(text) => {
                for line in text.split_terminator('\n') {
                    self.line(Ok(line.strip_suffix('\r').unwrap_or(line)), &mut block, &mut sink);
                }
            }
            Err(_) => {
                let text = text.strip_suffix(b"\n").unwrap_or(text);
                for line in text.split(|byte| *byte == b'\n') {
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    self.line(utf8(line), &mut block, &mut sink);
                }
            }
        }
        if let Some(record) = block.finish(&self.options) {
            sink(record);
        }
    }

    /// Goes past whole lines without reading their records, only what they say of others.
    pub fn advance(&mut self, text: &[u8]) {
        if let Header::None = self.header {
            // PERF: so many at a time that their number is one of eight bits, many of which are added
            // at once.
            let of_chunk = |chunk: &[u8]| {
                chunk.iter().fold(0_u8, |count, byte| count + u8::from(*byte == b'\n'))
            };
            self.line += text.chunks(255).map(|chunk| u64::from(of_chunk(chunk))).sum::<u64>();
            return;
        }
        let text = self.without_bom(text);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if !self.may_be_head(line) {
                self.line += 1;
                continue;
            }
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() <= MAX_LINE_BYTES
                && let Ok(line) = std::str::from_utf8(line)
                && !line.trim_ascii().is_empty()
            {
                // An error is found again by whoever reads the line.
                let _ = self.head(line);
            }
            self.line += 1;
        }
    }

    /// Whether [`LogReader::head`] need be asked about a line, by its first byte.
    fn may_be_head(&self, line: &[u8]) -> bool {
        match &self.header {
            Header::None => false,
            Header::Zeek(_) => line.starts_with(b"#"),
            Header::Vpc(_) | Header::Nfdump(_) => {
                line.first().is_some_and(|first| first.is_ascii_alphabetic())
            }
            Header::Csv(header) => !header.is_known(),
        }
    }

    /// The first line without byte order mark.
    fn without_bom<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        match self.line {
            1 => text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text),
            _ => text,
        }
    }

    #[inline]
    fn line<'a>(
        &mut self,
        line: Result<&'a str, Error>,
        block: &mut socket_flow::Block<'a>,
        sink: &mut impl FnMut(Record<'a>),
    ) {
        let number = self.line;
        self.line += 1;
        let line = match line {
            Ok(line) if line.len() > MAX_LINE_BYTES => {
                Err(Error::new(ErrorKind::TooLarge { limit: MAX_LINE_BYTES }))
            }
            line => line,
        };
        let entry = match line {
            Ok(line) if self.format == LogFormat::Macos => {
                return macos::line(number, line, &self.options, block, sink);
            }
            Ok(line) if line.trim_ascii().is_empty() => Entry::Other(Other::Blank),
            Ok(line) => match self.entry(line) {
                Ok(entry) => entry,
                Err(error) => Entry::Rejected(error.on_line(number)),
            },
            Err(error) => {
                if let Some(record) = block.finish(&self.options) {
                    sink(record);
                }
                Entry::Rejected(error.on_line(number))
            }
        };
        sink(Record { line: number, entry });
    }

    #[inline]
    fn entry<'a>(&mut self, line: &'a str) -> Result<Entry<'a>, Error> {
        if let Some(other) = self.head(line)? {
            return Ok(Entry::Other(other));
        }
        let options = &*self.options;
        match &self.header {
            Header::None => match self.format {
                LogFormat::FlowLines => {
                    let flow = match options.is_thorough {
                        false => flow_lines::read(line)?,
                        true => flow_lines::read_thoroughly(line)?,
                    };
                    Ok(Entry::Flow(LogFlow::of_host(flow)))
                }
                LogFormat::ZeekJson => zeek::json(line, options),
                LogFormat::Suricata => suricata::line(line, options),
                _ => macos::json(line, options),
            },
            Header::Zeek(header) => header.row(line, options),
            Header::Vpc(header) => header.row(line, options),
            Header::Nfdump(header) => header.row(line, options),
            Header::Csv(header) => header.row(line, options),
        }
    }

    /// Takes a line that says what other lines mean; `None` for one that is a record.
    fn head(&mut self, line: &str) -> Result<Option<Other>, Error> {
        match &mut self.header {
            Header::None => Ok(None),
            Header::Zeek(header) => header.head(line),
            Header::Vpc(header) => header.head(line),
            Header::Nfdump(header) => header.head(line),
            Header::Csv(header) => header.head(line),
        }
    }
}

impl<'a> LogFlow<'a> {
    /// A flow of a log that this host has written of itself.
    fn of_host(flow: Flow<'a>) -> LogFlow<'a> {
        LogFlow { flow, is_side_known: true, is_opener_known: true, is_protocol_known: true }
    }

    /// Returns whether the direction is known: from the log, or from the local networks.
    pub fn is_direction_known(&self) -> bool {
        self.flow.direction() != Direction::Any
    }
}

impl Skip {
    /// Every reason.
    pub const ALL: [Skip; 5] =
        [Skip::NoAddress, Skip::NoData, Skip::NotAFlow, Skip::NoProtocol, Skip::Private];

    /// Returns the reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Skip::NoAddress => "no address",
            Skip::NoData => "no data recorded",
            Skip::NotAFlow => "not about a flow",
            Skip::NoProtocol => "no protocol number",
            Skip::Private => "redacted as <private>",
        }
    }
}

impl Other {
    /// Every kind.
    pub const ALL: [Other; 4] = [Other::Blank, Other::Header, Other::Summary, Other::Continuation];

    /// Returns what the line is, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Other::Blank => "blank",
            Other::Header => "header or comment",
            Other::Summary => "summary",
            Other::Continuation => "of a record of several lines",
        }
    }
}

/// Reads the name by which a format is asked for.
impl FromStr for LogFormat {
    type Err = Error;

    fn from_str(word: &str) -> Result<LogFormat, Error> {
        let found = LogFormat::ALL.into_iter().find(|format| format.as_str() == word);
        found.ok_or_else(|| Error::new(ErrorKind::UnknownLogFormat { word: word.to_owned() }))
    }
}

#[cold]
fn utf8(line: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(line).map_err(|error| {
        let valid = line.get(..error.valid_up_to()).unwrap_or(line);
        let column = String::from_utf8_lossy(valid).chars().count() as u64 + 1;
        Error::new(ErrorKind::NotUtf8).at(1, column)
    })
}
