//! The fast path of [`flow_lines`](crate::formats::flow_lines): one pass over the common shape of
//! a line.
//!
//! The shape is one object whose keys are the five, each at most once; whose strings have no
//! escapes, whose endpoints are strings, and whose numbers are protocols. Everything else, and
//! everything wrong, is left to the parser that can say where and why.

use crate::endpoint::{Endpoint, address_text};
use crate::flow::{Direction, End, Flow, IpProtocol};

/// Reads a line of the common shape, as the other parser would; `None` for any other.
// PERF: `logs/flow-lines` in `benches/logs.rs`.
pub(super) fn read(line: &str) -> Option<Flow<'_>> {
    let mut cursor = Cursor { text: line, at: 0 };
    let (mut remote, mut local, mut hostname) = (None, None, None);
    let (mut protocol, mut direction) = (None, None);
    cursor.expect(b'{')?;
    loop {
        let key = cursor.string()?;
        cursor.expect(b':')?;
        let value = cursor.value()?;
        let slot = match key {
            "remoteEndpoint" => &mut remote,
            "localEndpoint" => &mut local,
            "socketProtocol" => &mut protocol,
            "direction" => &mut direction,
            "remoteHostname" => &mut hostname,
            _ => return None,
        };
        if slot.replace(value).is_some() {
            return None;
        }
        match cursor.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    if cursor.skip_space() < line.len() {
        return None;
    }

    let protocol = match protocol? {
        Token::Number(number) => IpProtocol(number),
        Token::String("TCP") => IpProtocol::TCP,
        Token::String("UDP") => IpProtocol::UDP,
        Token::String(word) => word.parse().ok()?,
        Token::Null => return None,
    };
    let direction = match direction {
        None | Some(Token::Null) => Direction::Any,
        Some(Token::String("outbound")) => Direction::Outbound,
        Some(Token::String("inbound")) => Direction::Inbound,
        Some(Token::String(word)) => word.parse().ok()?,
        Some(Token::Number(_)) => return None,
    };
    let mut flow = Flow::new(protocol, direction);
    match hostname {
        None | Some(Token::Null) => {}
        Some(Token::String(name)) => flow.set_remote_hostname(name),
        Some(Token::Number(_)) => return None,
    }
    match remote {
        None | Some(Token::Null) => {}
        Some(Token::String(text)) => match end(text) {
            Some(end) => flow.set_remote(end, None),
            None => flow = flow.with_remote(text.parse::<Endpoint>().ok()?).ok()?,
        },
        Some(Token::Number(_)) => return None,
    }
    match local {
        None | Some(Token::Null) => {}
        Some(Token::String(text)) => match end(text) {
            Some(end) => flow.set_local(end, None),
            None => flow = flow.with_local(text.parse::<Endpoint>().ok()?).ok()?,
        },
        Some(Token::Number(_)) => return None,
    }
    Some(flow)
}

/// A value.
#[derive(Clone, Copy)]
enum Token<'a> {
    String(&'a str),
    Number(u8),
    Null,
}

/// A place in a line.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Goes past the white space of JSON, and returns where what follows begins.
    #[inline]
    fn skip_space(&mut self) -> usize {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        self.at
    }

    /// The next byte that is not white space, past which it goes.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = *self.text.as_bytes().get(self.skip_space())?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// A string without escapes.
    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        self.rest_of_string()
    }

    #[inline]
    fn rest_of_string(&mut self) -> Option<&'a str> {
        let start = self.at;
        let bytes = self.text.as_bytes().get(start..)?;
        let len = end_of_string(bytes)?;
        if bytes.get(len) != Some(&b'"') {
            return None;
        }
        self.at = start + len + 1;
        self.text.get(start..start + len)
    }

    /// A string, null, or a whole number of one to three digits.
    #[inline]
    fn value(&mut self) -> Option<Token<'a>> {
        match self.next()? {
            b'"' => self.rest_of_string().map(Token::String),
            b'n' => {
                let is_null = self.text.get(self.at..)?.starts_with("ull");
                self.at += 3;
                is_null.then_some(Token::Null)
            }
            first @ b'0'..=b'9' => {
                let mut number = u16::from(first - b'0');
                for _ in 0..2 {
                    match self.text.as_bytes().get(self.at) {
                        // No number of JSON begins with 0 and goes on.
                        Some(digit @ b'0'..=b'9') if number > 0 => {
                            number = number * 10 + u16::from(digit - b'0');
                            self.at += 1;
                        }
                        _ => break,
                    }
                }
                // A fourth digit, a fraction or an exponent is found not to be what follows.
                u8::try_from(number).ok().map(Token::Number)
            }
            _ => None,
        }
    }
}

/// Reads `192.0.2.1:443` or `[2001:db8::1]:443`; `None` for any other endpoint, right or wrong.
#[inline]
fn end(text: &str) -> Option<End> {
    let text = text.as_bytes();
    if let Some(inner) = text.strip_prefix(b"[") {
        let len = inner.iter().position(|byte| *byte == b']')?;
        let (host, rest) = inner.split_at_checked(len)?;
        let address = address_text::v6(host)?;
        return Some(End::of_v6(address.to_bits(), port(rest.strip_prefix(b"]:")?)?));
    }
    let (bits, rest) = address_text::v4_and_rest(text)?;
    Some(End::of_v4(bits, port(rest.strip_prefix(b":")?)?))
}

/// Reads a port without zeros before it.
#[inline]
fn port(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 || (digits.len() > 1 && digits.starts_with(b"0")) {
        return None;
    }
    let port = digits.iter().try_fold(0_u32, |port, byte| {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        (digit <= 9).then_some(port * 10 + digit)
    });
    u16::try_from(port?).ok()
}

/// Returns the place of the first quotation mark, backslash or control character.
#[inline]
fn end_of_string(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The highest bit of each byte that is less; of those above such a byte, others too.
        let less = |word: u64, than: u64| word.wrapping_sub(EACH * than) & !word;
        let quotes = less(word ^ (EACH * u64::from(b'"')), 1);
        let escapes = less(word ^ (EACH * u64::from(b'\\')), 1);
        let ends = (quotes | escapes | less(word, 0x20)) & (EACH * 0x80);
        if ends != 0 {
            return Some(place * 8 + ends.trailing_zeros() as usize / 8);
        }
    }
    let place = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    Some(words.len() * 8 + place)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn endpoints_of_the_common_shape_are_those_of_the_other_parser() {
        for text in [
            "0.0.0.0:0",
            "255.255.255.255:65535",
            "[::]:0",
            "[2001:db8::1]:443",
            "[::ffff:192.0.2.1]:1",
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            let flow = || Flow::new(IpProtocol::TCP, Direction::Outbound);
            let mut made = flow();
            made.set_remote(end(text).unwrap(), None);
            assert_eq!(made, flow().with_remote(endpoint).unwrap(), "{text}");
        }
        for text in [
            "",
            "1.2.3.4",
            "1.2.3:4",
            "01.2.3.4:5",
            "1.2.3.256:5",
            "1.2.3.4:65536",
            "1.2.3.4:",
            "1.2.3.4:05",
            "1.2.3.4:1-2",
            "1.2.3.4.5:6",
            "[::1]",
            "[::1]:",
            "[fe80::1%en0]:1",
            "::1.443",
            "[1.2.3.4]:5",
            "1.2.3.4:+5",
            "1..3.4:5",
        ] {
            assert!(end(text).is_none(), "{text}");
        }
    }

    #[test]
    fn strings_end_at_the_first_quotation_mark_backslash_or_control_character() {
        for byte in 0..=255_u8 {
            for place in 0..20 {
                for before in [b' ', b'a', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
                    let mut bytes = vec![before; 21];
                    bytes[place] = byte;
                    let is_end = matches!(byte, b'"' | b'\\' | 0..0x20);
                    assert_eq!(end_of_string(&bytes), is_end.then_some(place), "{byte} at {place}");
                    bytes.push(b'"');
                    let first = if is_end { place } else { 21 };
                    assert_eq!(end_of_string(&bytes), Some(first), "{byte} at {place}");
                }
            }
        }
    }
}
