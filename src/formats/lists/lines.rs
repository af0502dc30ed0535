//! [`Lines`]: numbered lines in constant memory; and the places of their parts.

use crate::error::{Error, ErrorKind};
use crate::formats::MAX_LINE_BYTES;
use std::borrow::Cow;
use std::io::{self, BufRead, Read};

/// A line without its end.
pub(super) struct Line<'a> {
    pub(super) number: u64,
    /// Bytes that are not UTF-8 are replaced, since labels and comments may hold any.
    pub(super) text: &'a str,
}

impl<'a> Line<'a> {
    /// The place of a part of the text.
    pub(super) fn place(&self, part: &str) -> (u64, u64) {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let before = self.text.get(..offset).unwrap_or("");
        let column = if before.is_ascii() { before.len() } else { before.chars().count() };
        (self.number, column as u64 + 1)
    }

    /// The text up to a comment, which starts with one of `marks`, without blanks around it.
    pub(super) fn content(&self, marks: &[char]) -> &'a str {
        // The `split` of text without a mark is one piece.
        self.text.split(marks).next().unwrap_or("").trim()
    }
}

/// Reads lines, the longest [`MAX_LINE_BYTES`].
pub(super) struct Lines<'a> {
    input: &'a mut dyn BufRead,
    buffer: Vec<u8>,
    number: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: &'a mut dyn BufRead) -> Lines<'a> {
        Lines { input, buffer: Vec::new(), number: 0 }
    }

    /// Gives the next line to `read`; `None` at the end.
    ///
    /// A line that is too long is given as the error that says so.
    pub(super) fn next<T>(
        &mut self,
        read: impl FnOnce(u64, Result<Line<'_>, Error>) -> T,
    ) -> io::Result<Option<T>> {
        self.buffer.clear();
        let mut limited = (&mut *self.input).take(MAX_STORED + 1);
        let count = limited.read_until(b'\n', &mut self.buffer)? as u64;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        let is_cut = count > MAX_STORED && !self.buffer.ends_with(b"\n");
        if is_cut {
            self.input.skip_until(b'\n')?;
        }
        let mut bytes = self.buffer.as_slice();
        if let Some(line) = bytes.strip_suffix(b"\n") {
            bytes = line.strip_suffix(b"\r").unwrap_or(line);
        }
        if self.number == 1 {
            bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(bytes),
        };
        let line = match bytes.len() > MAX_LINE_BYTES {
            true => Err(Error::new(ErrorKind::TooLarge { limit: MAX_LINE_BYTES })),
            false => Ok(Line { number: self.number, text: &text }),
        };
        Ok(Some(read(self.number, line)))
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The longest line, in bytes without LF, that can be good.
const MAX_STORED: u64 = (BOM.len() + MAX_LINE_BYTES + 1) as u64;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(u64, Option<String>)> {
        let mut input = text;
        let mut lines = Lines::new(&mut input);
        let mut found = Vec::new();
        let read = |number, line: Result<Line<'_>, Error>| {
            (number, line.ok().map(|line| line.text.to_owned()))
        };
        while let Some(line) = lines.next(read).unwrap() {
            found.push(line);
        }
        found
    }

    #[test]
    fn line_ends_and_the_byte_order_mark_are_no_part_of_a_line() {
        let line = |number, text: &str| (number, Some(text.to_owned()));
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\xef\xbb\xbfa\r\n\n b"), [line(1, "a"), line(2, ""), line(3, " b")]);
        assert_eq!(lines(b"a\xff\n"), [line(1, "a\u{fffd}")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_one_line() {
        for extra in [1, 2, 3, 4, 5, 6, 7, MAX_LINE_BYTES, 5 * MAX_LINE_BYTES] {
            let text = "x".repeat(MAX_LINE_BYTES + extra) + "\ngood";
            assert_eq!(
                lines(text.as_bytes()),
                [(1, None), (2, Some("good".to_owned()))],
                "{extra}"
            );
        }
        let longest = "x".repeat(MAX_LINE_BYTES);
        assert_eq!(lines(format!("{longest}\r\n").as_bytes()), [(1, Some(longest))]);
    }
}
