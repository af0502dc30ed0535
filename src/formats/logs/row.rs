//! Rows of columns that a header names: what Zeek's TSV, VPC flow logs, nfdump's CSV and other CSV
//! have in common.

use crate::error::{Error, ErrorKind};
use crate::flow::IpProtocol;
use crate::formats::logs::connection;
use std::borrow::Cow;
use std::net::IpAddr;

/// Which columns of a row hold the `N` fields that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout<const N: usize> {
    columns: [Option<usize>; N],
    /// The number of columns of a row.
    count: usize,
}

impl<const N: usize> Layout<N> {
    /// Finds the fields in a header. Of each field the first name that the header has is taken.
    pub(super) fn of_header<'h>(
        header: impl Iterator<Item = &'h str>,
        names: [&[&str]; N],
    ) -> Layout<N> {
        let header: Vec<&str> = header.map(str::trim).collect();
        let place = |name: &&str| header.iter().position(|found| found.eq_ignore_ascii_case(name));
        let columns = names.map(|names| names.iter().find_map(place));
        Layout { columns, count: header.len() }
    }

    /// Takes the columns as they are given.
    pub(super) fn new(columns: [Option<usize>; N], count: usize) -> Layout<N> {
        Layout { columns, count }
    }

    pub(super) fn has(&self, field: usize) -> bool {
        self.columns.get(field).is_some_and(Option::is_some)
    }

    /// Checks that a header has these fields, each given with the name to report.
    pub(super) fn needs(&self, fields: [(usize, &str); 3]) -> Result<(), Error> {
        match fields.into_iter().find(|(field, _)| !self.has(*field)) {
            None => Ok(()),
            Some((_, name)) => {
                let column = name.to_owned();
                Err(Error::new(ErrorKind::MissingColumn { column }).at(1, 1))
            }
        }
    }

    /// Picks the fields from a row, which has to have as many columns as the header.
    pub(super) fn pick<'a>(
        &self,
        row: impl Iterator<Item = &'a str>,
    ) -> Result<[Option<&'a str>; N], Error> {
        let mut fields = [None; N];
        let mut found = 0;
        for (index, text) in row.enumerate() {
            for (field, column) in fields.iter_mut().zip(&self.columns) {
                if *column == Some(index) {
                    *field = Some(text);
                }
            }
            found = index + 1;
        }
        match found == self.count {
            true => Ok(fields),
            false => {
                let expected = self.count;
                Err(Error::new(ErrorKind::ColumnCount { found, expected }).at(1, 1))
            }
        }
    }
}

/// A field that knows its row, so that its errors have a column.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    row: &'a str,
    name: &'static str,
    text: &'a str,
}

impl<'a> Field<'a> {
    pub(super) fn new(row: &'a str, name: &'static str, text: &'a str) -> Field<'a> {
        Field { row, name, text: text.trim() }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn address(&self) -> Result<IpAddr, Error> {
        self.text.parse().map_err(|_| {
            self.error(Error::new(ErrorKind::InvalidLogAddress { text: self.text.to_owned() }))
        })
    }

    pub(super) fn port(&self) -> Result<u16, Error> {
        let is_number = self.text.bytes().all(|b| b.is_ascii_digit());
        let port = if is_number { self.text.parse().ok() } else { None };
        port.ok_or_else(|| {
            self.error(Error::new(ErrorKind::InvalidPort { port: self.text.to_owned() }))
        })
    }

    /// A whole number up to `limit`.
    pub(super) fn number(&self, limit: u64) -> Result<u64, Error> {
        let is_number = self.text.bytes().all(|b| b.is_ascii_digit());
        let number = if is_number { self.text.parse().ok() } else { None };
        number.filter(|number| *number <= limit).ok_or_else(|| {
            let number = self.text.to_owned();
            self.error(Error::new(ErrorKind::NumberOutOfRange { number, range: (0, limit) }))
        })
    }

    /// The number of a port that is there for protocols that have ports, and means something else
    /// or nothing for others, such as nfdump's `8.0` for ICMP.
    pub(super) fn port_of(&self, protocol: IpProtocol) -> Result<u16, Error> {
        if connection::has_ports(protocol) { self.port() } else { Ok(0) }
    }

    pub(super) fn protocol(&self, address: IpAddr) -> Result<IpProtocol, Error> {
        connection::protocol(self.text, address).map_err(|error| self.error(error))
    }

    /// Adds name and place.
    #[cold]
    pub(super) fn error(&self, error: Error) -> Error {
        error.for_key(self.name).at(1, column(self.row, self.text))
    }
}

/// The column, from 1 in characters, of `part`, which is a slice of `line`.
pub(super) fn column(line: &str, part: &str) -> u64 {
    let offset = (part.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
    line.get(..offset).unwrap_or("").chars().count() as u64 + 1
}

/// Splits a row of CSV; a column in quotes stands without them, and with `""` as it is.
///
/// # Errors
///
/// [`ErrorKind::UnclosedQuote`].
pub(super) fn csv(line: &str, delimiter: char) -> Result<Vec<&str>, Error> {
    let mut columns = Vec::with_capacity(16);
    let mut rest = line;
    loop {
        let trimmed = rest.trim_start_matches(' ');
        let after = match trimmed.strip_prefix('"') {
            None => {
                let end = rest.find(delimiter).unwrap_or(rest.len());
                let (column, after) = rest.split_at(end);
                columns.push(column);
                after
            }
            Some(quoted) => {
                let end = closing_quote(quoted).ok_or_else(|| {
                    Error::new(ErrorKind::UnclosedQuote).at(1, column(line, trimmed))
                })?;
                let (column, after) = quoted.split_at(end);
                columns.push(column);
                let after = after.strip_prefix('"').unwrap_or(after);
                after.get(after.find(delimiter).unwrap_or(after.len())..).unwrap_or("")
            }
        };
        match after.strip_prefix(delimiter) {
            Some(next) => rest = next,
            None => return Ok(columns),
        }
    }
}

/// Where the quote ends that `text` follows; two quotes in a row are one in the text.
fn closing_quote(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + text.get(from..)?.find('"')?;
        match text.get(end + 1..)?.starts_with('"') {
            true => from = end + 2,
            false => return Some(end),
        }
    }
}

/// Text of a quoted column, with its quotes.
pub(super) fn unquoted(text: &str) -> Cow<'_, str> {
    match text.contains("\"\"") {
        true => Cow::Owned(text.replace("\"\"", "\"")),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn csv_is_split_at_delimiters_outside_of_quotes() {
        for (line, columns) in [
            ("", &[""] as &[&str]),
            ("a", &["a"]),
            ("a,b,", &["a", "b", ""]),
            (",,", &["", "", ""]),
            (r#""a,b",c"#, &["a,b", "c"]),
            (r#" "a" ,c"#, &["a", "c"]),
            (r#""a""b","""",c"#, &[r#"a""b"#, r#""""#, "c"]),
            (r#""","#, &["", ""]),
            (r#"""","#, &[]),
        ] {
            match csv(line, ',') {
                Ok(found) => assert_eq!(found, columns, "{line}"),
                Err(error) => {
                    assert!(columns.is_empty(), "{line}");
                    assert_eq!(error.kind(), &ErrorKind::UnclosedQuote);
                    assert_eq!(error.column(), Some(1));
                }
            }
        }
        assert_eq!(unquoted(r#"a""b"#), r#"a"b"#);
    }

    #[test]
    fn rows_have_as_many_columns_as_their_header() {
        let layout = Layout::of_header(["a", "B ", "c"].into_iter(), [&["c"], &["x", "b"], &["d"]]);
        assert_eq!(layout.pick("1,2,3".split(',')), Ok([Some("3"), Some("2"), None]));
        let error = layout.pick("1,2".split(',')).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::ColumnCount { found: 2, expected: 3 });
    }

    #[test]
    fn errors_have_the_column_of_their_field() {
        let row = "\u{fc}\u{fc},  x ";
        let field = Field::new(row, "sa", row.get(5..).unwrap());
        let error = field.address().unwrap_err();
        assert_eq!((error.column(), error.key()), (Some(6), Some("sa")));
    }
}
