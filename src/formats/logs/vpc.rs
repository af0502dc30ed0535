//! AWS VPC flow logs, version 2 to 5: columns between spaces, named by a header.

use crate::error::{Error, ErrorKind};
use crate::flow::IpProtocol;
use crate::formats::logs::connection::{Connection, End};
use crate::formats::logs::row::{Field, Layout};
use crate::formats::logs::{Entry, LogOptions, Other, Skip};

/// What the columns are: those of version 2 until a header says so; `None` after one that lacks
/// some.
#[derive(Clone, Debug)]
pub(super) struct Header {
    layout: Option<Layout<8>>,
}

const FIELDS: [&str; 8] = [
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "log-status",
    "flow-direction",
    "tcp-flags",
];

/// `version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start
/// end action log-status`.
pub(super) const VERSION_2_COLUMNS: usize = 14;

impl Default for Header {
    fn default() -> Header {
        let columns = [Some(3), Some(4), Some(5), Some(6), Some(7), Some(13), None, None];
        Header { layout: Some(Layout::new(columns, VERSION_2_COLUMNS)) }
    }
}

impl Header {
    /// A header begins with a letter, a row with a number or `-`, but where the first column is the
    /// name of something; so it has to name a column of addresses too.
    pub(super) fn head(&mut self, line: &str) -> Result<Option<Other>, Error> {
        if !is_header(line) {
            return Ok(None);
        }
        let names: [&[&str]; 8] = [
            &["srcaddr", "pkt-srcaddr"],
            &["dstaddr", "pkt-dstaddr"],
            &["srcport"],
            &["dstport"],
            &["protocol"],
            &["log-status"],
            &["flow-direction"],
            &["tcp-flags"],
        ];
        // Athena and S3 write the names with underscores too.
        let line = line.replace('_', "-");
        let layout = Layout::of_header(line.split_ascii_whitespace(), names);
        self.layout = None;
        layout.needs([(0, "srcaddr"), (1, "dstaddr"), (4, "protocol")])?;
        self.layout = Some(layout);
        Ok(Some(Other::Header))
    }

    pub(super) fn row<'a>(&self, line: &'a str, options: &LogOptions) -> Result<Entry<'a>, Error> {
        let Some(layout) = &self.layout else {
            let expected = "`srcaddr`, `dstaddr` and `protocol` in it";
            return Err(Error::new(ErrorKind::MissingHeader { expected }).at(1, 1));
        };
        let picked = layout.pick(line.split_ascii_whitespace())?;
        let mut fields = [None; FIELDS.len()];
        for ((field, text), name) in fields.iter_mut().zip(picked).zip(FIELDS) {
            *field = text.filter(|text| *text != "-").map(|text| Field::new(line, name, text));
        }
        let [source, destination, source_port, destination_port, protocol, status, side, flags] =
            fields;
        if status.is_some_and(|status| matches!(status.text(), "NODATA" | "SKIPDATA")) {
            return Ok(Entry::Skipped(Skip::NoData));
        }
        let (Some(source), Some(destination)) = (source, destination) else {
            return Ok(Entry::Skipped(Skip::NoAddress));
        };
        let (source, destination) = (source.address()?, destination.address()?);
        let Some(protocol) = protocol else { return Ok(Entry::Skipped(Skip::NoProtocol)) };
        let protocol = protocol.protocol(source)?;
        let port = |field: Option<Field<'_>>| match field {
            None => Ok(0),
            Some(field) => field.port_of(protocol),
        };
        let source = (source, port(source_port)?);
        let destination = (destination, port(destination_port)?);
        let mut connection = Connection::new(source, destination, protocol);
        connection.local = match side {
            None => None,
            Some(side) => match side.text() {
                "egress" => Some(End::Source),
                "ingress" => Some(End::Destination),
                word => {
                    let word = word.to_owned();
                    return Err(side.error(Error::new(ErrorKind::UnknownDirection { word })));
                }
            },
        };
        if let Some(flags) = flags
            && protocol == IpProtocol::TCP
        {
            connection.opener = opener(flags.number(u8::MAX.into())? as u8);
        }
        Ok(Entry::Flow(connection.to_flow(&options.local_nets)))
    }
}

/// Whether a line is a header, from here or from elsewhere in the file.
pub(super) fn is_header(line: &str) -> bool {
    let is_name = |word: &str| {
        ["srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr", "pkt_srcaddr", "pkt_dstaddr"]
            .contains(&word)
    };
    line.starts_with(|c: char| c.is_ascii_lowercase()) && line.split_ascii_whitespace().any(is_name)
}

/// Who opened a TCP connection, by the flags that one side sent (2: SYN, 16: ACK). AWS counts the
/// ACK only with a SYN, so 18 is an answer; without SYN the start was recorded elsewhere.
fn opener(flags: u8) -> Option<End> {
    match (flags & 2 != 0, flags & 16 != 0) {
        (true, false) => Some(End::Source),
        (true, true) => Some(End::Destination),
        _ => None,
    }
}
