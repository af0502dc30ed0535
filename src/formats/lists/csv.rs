//! Comma-separated values with a header, as MaxMind has them.

use super::address;
use super::collect::Collector;
use super::entry::LeftOut;
use super::import::ReadLine;
use super::lines::Line;
use crate::error::{Error, ErrorKind};
use std::borrow::Cow;

/// Reads a header, and then rows.
#[derive(Default)]
pub(super) struct Reader {
    header: Option<Header>,
}

struct Header {
    remote: Remote,
    /// Which column each choice looks at.
    columns: Vec<usize>,
}

/// Where the addresses of a row stand.
#[derive(Clone, Copy)]
enum Remote {
    Column(usize),
    /// The first and the last of a range.
    Range(usize, usize),
}

/// What the column of networks is called.
const NETWORK: [&str; 7] = ["network", "cidr", "prefix", "ip", "address", "ip_address", "subnet"];

/// What the columns of the first and the last address are called.
const RANGES: [[&str; 2]; 6] = [
    ["start_ip", "end_ip"],
    ["ip_start", "ip_end"],
    ["ip_from", "ip_to"],
    ["range_start", "range_end"],
    ["start", "end"],
    ["first", "last"],
];

impl ReadLine for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
        let text = line.text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        let header = match &self.header {
            Some(header) => header,
            None => {
                let (header, is_row) = Header::read(text, out)?;
                let header = self.header.insert(header);
                if !is_row {
                    return Ok(());
                }
                header
            }
        };
        let place = line.place(text);
        let fields = match fields(text) {
            Ok(fields) => fields,
            Err(error) => return out.take(place, Err(error)),
        };
        let field = |index: usize| fields.get(index).map_or("", |field| field.trim());
        let mut choices = out.options.select.iter().zip(&header.columns);
        if !choices.all(|(select, column)| select.takes(field(*column))) {
            return out.leave_out(place, LeftOut::NotSelected);
        }
        let entry = match header.remote {
            Remote::Column(network) => address::entry(field(network)),
            Remote::Range(first, last) => {
                address::entry(&format!("{}-{}", field(first), field(last)))
            }
        };
        out.take(place, entry)
    }
}

impl Header {
    /// Reads a header, or a row of a table without one, and returns whether it is a row.
    fn read(text: &str, out: &Collector<'_>) -> Result<(Header, bool), Error> {
        let names = fields(text)?;
        let missing =
            |column: &str| Error::new(ErrorKind::MissingColumn { column: column.to_owned() });
        let position =
            |name: &str| names.iter().position(|own| own.trim().eq_ignore_ascii_case(name));
        let columns = out
            .options
            .select
            .iter()
            .map(|select| position(&select.key).ok_or_else(|| missing(&select.key)));
        let columns = columns.collect::<Result<_, _>>()?;
        let network = NETWORK.iter().find_map(|name| position(name)).map(Remote::Column);
        let range = || {
            let ends = |[first, last]: &[&str; 2]| Some((position(first)?, position(last)?));
            RANGES.iter().find_map(ends).map(|(first, last)| Remote::Range(first, last))
        };
        if let Some(remote) = network.or_else(range) {
            return Ok((Header { remote, columns }, false));
        }
        let is_entry = |field: &Cow<'_, str>| address::entry(field.trim()).is_ok();
        let mut entries = (0..).zip(&names).filter(|(_, field)| is_entry(field));
        match (entries.next(), entries.next()) {
            (Some((column, _)), None) => {
                Ok((Header { remote: Remote::Column(column), columns }, true))
            }
            // Which of several is meant, or whether they are the ends of a range, only a header says.
            _ => Err(missing("network")),
        }
    }
}

/// Cuts a row into its fields. A quoted field may hold commas, and two quotes for one.
pub(super) fn fields(text: &str) -> Result<Vec<Cow<'_, str>>, Error> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let field = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => {
                let (field, after) = quoted_field(quoted).ok_or_else(|| {
                    let (expected, found) = ("fields whose quotes are closed", text.to_owned());
                    Error::new(ErrorKind::UnexpectedText { expected, found })
                })?;
                rest = after;
                field
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, after) = rest.split_at(end);
                rest = after;
                Cow::Borrowed(field)
            }
        };
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// The text up to the closing quote, and what stands from the next comma on.
fn quoted_field(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut from = 0;
    loop {
        let quote = from + text.get(from..)?.find('"')?;
        if text.get(quote + 1..)?.starts_with('"') {
            from = quote + 2;
            continue;
        }
        let (field, after) = (text.get(..quote)?, text.get(quote + 1..)?);
        let comma = after.find(',').unwrap_or(after.len());
        let field = match field.contains("\"\"") {
            true => Cow::Owned(field.replace("\"\"", "\"")),
            false => Cow::Borrowed(field),
        };
        return Some((field, after.get(comma..)?));
    }
}

/// Whether a line is a header of this format.
pub(super) fn is_header(line: &Line<'_>) -> bool {
    let Ok(names) = fields(line.text.trim()) else { return false };
    let is_network =
        |name: &Cow<'_, str>| NETWORK.iter().any(|own| own.eq_ignore_ascii_case(name.trim()));
    names.len() > 1 && names.iter().any(is_network)
}

/// Whether a line is a row of this format, of a table whose first column is the network.
pub(super) fn explains(line: &Line<'_>) -> bool {
    fields(line.text.trim()).is_ok_and(|fields| {
        fields.len() > 1 && fields.iter().any(|field| address::entry(field.trim()).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_at_commas_outside_of_quotes() {
        let cut = |text| fields(text).unwrap().join("|");
        assert_eq!(cut("a,b,,c"), "a|b||c");
        assert_eq!(cut(r#""a,b","c ""d""",e"#), r#"a,b|c "d"|e"#);
        assert_eq!(cut(r#""""#), "");
        assert_eq!(cut(""), "");
        for text in [r#"""#, r#"a,"b"#, r#""a"""#] {
            assert!(fields(text).is_err(), "{text}");
        }
    }
}
