//! [`LineReader`]: numbered lines from a file or a stream, in constant memory.

use crate::input::{self, Input};
use flowsieve::formats::MAX_LINE_BYTES;
use flowsieve::{Error, ErrorKind};
use std::io::{self, BufRead, Read};
use std::path::Path;

/// Reads lines one by one, and not further than it has to, so that it can sit in a pipe.
///
/// Lines end with LF or CR LF, the last one also with the end of the file. A byte order mark at
/// the start is dropped. Blank lines are counted and skipped.
pub(crate) struct LineReader<R> {
    input: R,
    /// INVARIANT: never longer than `MAX_STORED` + 1.
    buffer: Vec<u8>,
    /// The number of the line in `buffer`, from 1.
    number: u64,
    /// Whether the line in `buffer` goes on in `input`, and the rest is to be skipped.
    is_cut: bool,
}

/// A line that is not blank.
pub(crate) struct Line<'a> {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Its text without the line end.
    pub(crate) text: Result<&'a str, BadLine>,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// Where, counted from 1 in characters.
    pub(crate) column: u64,
    /// What.
    pub(crate) reason: String,
}

/// Opens a file, or standard input for `-`; what is compressed is decompressed.
///
/// # Errors
///
/// Those of opening the file.
pub(crate) fn open(path: &Path) -> io::Result<LineReader<Input>> {
    input::open(path).map(LineReader::new)
}

impl<R: BufRead> LineReader<R> {
    /// Reads lines from `input`.
    pub(crate) fn new(input: R) -> LineReader<R> {
        LineReader { input, buffer: Vec::new(), number: 0, is_cut: false }
    }

    /// Returns the next line that is not blank; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of the input.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            if !self.fill()? {
                return Ok(None);
            }
            if !self.content().trim_ascii().is_empty() {
                break;
            }
        }
        let (number, content) = (self.number, self.content());
        let text = match content.len() > MAX_LINE_BYTES {
            true => Err(BadLine::new(1, &ErrorKind::TooLarge { limit: MAX_LINE_BYTES })),
            false => std::str::from_utf8(content).map_err(|error| {
                let valid = content.get(..error.valid_up_to()).unwrap_or(content);
                let column = String::from_utf8_lossy(valid).chars().count() as u64 + 1;
                BadLine::new(column, &ErrorKind::NotUtf8)
            }),
        };
        Ok(Some(Line { number, text }))
    }

    /// Reads a line, up to the longest that is stored; `false` at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
        if self.is_cut {
            self.input.skip_until(b'\n')?;
        }
        self.buffer.clear();
        let mut limited = self.input.by_ref().take(MAX_STORED as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.buffer)?;
        self.is_cut = read > MAX_STORED && !self.buffer.ends_with(b"\n");
        self.number += 1;
        Ok(read > 0)
    }

    /// The line without byte order mark and line end.
    fn content(&self) -> &[u8] {
        let mut content = self.buffer.as_slice();
        if let Some(line) = content.strip_suffix(b"\n") {
            content = line.strip_suffix(b"\r").unwrap_or(line);
        }
        match self.number {
            1 => content.strip_prefix(BOM).unwrap_or(content),
            _ => content,
        }
    }
}

impl BadLine {
    fn new(column: u64, kind: &ErrorKind) -> BadLine {
        BadLine { column, reason: kind.to_string() }
    }
}

/// The place of the error but its line, which the reader knows better.
impl From<Error> for BadLine {
    fn from(error: Error) -> BadLine {
        let reason = match error.key() {
            Some(key) => format!("key `{}`: {}", shorten(key), error.kind()),
            None => error.kind().to_string(),
        };
        BadLine { column: error.column().unwrap_or(1), reason }
    }
}

/// A key can be as long as its line, and a message should not be.
fn shorten(key: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut short: String = key.chars().take(MAX_CHARS).collect();
    if short.len() < key.len() {
        short.push_str("...");
    }
    short
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The longest line, in bytes without LF, that is stored: the longest that can be good.
const MAX_STORED: usize = BOM.len() + MAX_LINE_BYTES + b"\r".len();

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn lines(text: &[u8]) -> Vec<(u64, Result<String, BadLine>)> {
        let mut reader = LineReader::new(text);
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            lines.push((line.number, line.text.map(str::to_owned)));
        }
        assert!(reader.buffer.len() <= MAX_STORED + 1);
        lines
    }

    fn good(number: u64, text: &str) -> (u64, Result<String, BadLine>) {
        (number, Ok(text.to_owned()))
    }

    #[test]
    fn line_ends_byte_order_mark_and_blank_lines_are_no_part_of_a_line() {
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\xef\xbb\xbf"), []);
        assert_eq!(lines(b"\r\n \t\r\n\n"), []);
        assert_eq!(
            lines(b"\xef\xbb\xbfa\r\n\r\n b \nc"),
            [good(1, "a"), good(3, " b "), good(4, "c")]
        );
        assert_eq!(lines(b"a\n\xef\xbb\xbfb"), [good(1, "a"), good(2, "\u{feff}b")]);
    }

    #[test]
    fn longest_line_is_good_and_one_byte_more_is_bad() {
        for before in ["", "\u{feff}"] {
            for after in ["", "\n", "\r\n"] {
                let longest = "x".repeat(MAX_LINE_BYTES);
                let text = format!("{before}{longest}{after}");
                assert_eq!(lines(text.as_bytes()), [good(1, &longest)], "{after:?}");

                let text = format!("{before}{longest}x{after}y");
                let found = lines(text.as_bytes());
                assert_eq!(found[0].1.as_ref().unwrap_err().reason, "text exceeds 65536 bytes");
            }
        }
    }

    #[test]
    fn every_length_of_an_over_long_line_is_one_bad_line() {
        for extra in (1..10).chain([MAX_STORED, 3 * MAX_STORED, 10 * MAX_STORED + 1]) {
            let text = "x".repeat(MAX_LINE_BYTES + extra) + "\ngood";
            let found = lines(text.as_bytes());
            assert_eq!(found.len(), 2, "{extra}");
            assert!(found[0].1.is_err(), "{extra}");
            assert_eq!(found[1], good(2, "good"), "{extra}");
        }
    }

    #[test]
    fn over_long_line_is_reported_before_its_end_is_read() {
        let mut reader = LineReader::new(BufReader::new(io::repeat(b'x')));
        assert!(reader.next_line().unwrap().unwrap().text.is_err());
    }

    #[test]
    fn invalid_utf_8_has_its_column_in_characters() {
        let found = lines(b"\xc3\xbc\xff\nb");
        let bad = BadLine { column: 2, reason: "not valid UTF-8".to_owned() };
        assert_eq!(found, [(1, Err(bad)), good(2, "b")]);
    }

    #[test]
    fn reason_names_the_key_and_keeps_it_short() {
        let line = format!(r#"{{"{}": 1}}"#, "k".repeat(1000));
        let error = flowsieve::formats::flow_lines::read(&line).unwrap_err();
        let bad = BadLine::from(error);
        assert_eq!(bad.reason, format!("key `{}...`: unknown key", "k".repeat(80)));
        assert_eq!(bad.column, 2);
    }
}
