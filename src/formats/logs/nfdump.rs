//! CSV of nfdump: the columns of 1.6, those of 1.7 and its fast form, told apart by their names.

use crate::error::{Error, ErrorKind};
use crate::formats::logs::connection::Connection;
use crate::formats::logs::row::{Field, Layout};
use crate::formats::logs::{Entry, LogOptions, Other, Skip};

/// What the columns are, and whether a summary has begun.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    layout: Option<Layout<5>>,
    is_summary: bool,
}

const FIELDS: [&str; 5] =
    ["source address", "destination address", "source port", "destination port", "protocol"];

const NAMES: [&[&str]; 5] = [
    &["sa", "srcAddr", "src4Addr", "src6Addr"],
    &["da", "dstAddr", "dst4Addr", "dst6Addr"],
    &["sp", "srcPort"],
    &["dp", "dstPort"],
    &["pr", "proto"],
];

impl Header {
    /// Rows begin with a time or a number. What begins with a letter is a header, or the summary
    /// that ends the output of one run.
    pub(super) fn head(&mut self, line: &str) -> Result<Option<Other>, Error> {
        if is_header(line) {
            let layout = Layout::of_header(line.split(','), NAMES);
            (self.layout, self.is_summary) = (None, false);
            layout.needs([(0, "srcAddr"), (1, "dstAddr"), (4, "proto")])?;
            self.layout = Some(layout);
            return Ok(Some(Other::Header));
        }
        if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.is_summary = true;
        }
        Ok(self.is_summary.then_some(Other::Summary))
    }

    pub(super) fn row<'a>(&self, line: &'a str, options: &LogOptions) -> Result<Entry<'a>, Error> {
        let Some(layout) = &self.layout else {
            let expected = "`ts,te,td,sa,da,...` or `cnt,af,firstSeen,...`";
            return Err(Error::new(ErrorKind::MissingHeader { expected }).at(1, 1));
        };
        let picked = layout.pick(line.split(','))?;
        let mut fields = [None; FIELDS.len()];
        for ((field, text), name) in fields.iter_mut().zip(picked).zip(FIELDS) {
            let text = text.map(|text| Field::new(line, name, text));
            *field = text.filter(|text| !matches!(text.text(), "" | "-"));
        }
        let [source, destination, source_port, destination_port, protocol] = fields;
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
        Ok(Entry::Flow(Connection::new(source, destination, protocol).to_flow(&options.local_nets)))
    }
}

/// Whether a line names columns of addresses.
pub(super) fn is_header(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphabetic())
        && line.split(',').any(|name| {
            let name = name.trim();
            let [sources, destinations, ..] = NAMES;
            sources.iter().chain(destinations).any(|known| known.eq_ignore_ascii_case(name))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_in_order() {
        assert_eq!(FIELDS.len(), NAMES.len());
        assert!(is_header("ts,te,td,sa,da,sp,dp,pr") && !is_header("Summary"));
        assert!(!is_header("flows,bytes,packets,avg_bps,avg_pps,avg_bpp"));
    }
}
