//! The fast path of [`flow_lines`](crate::formats::flow_lines): one pass over the common shape of
//! a line.
//!
//! The shape is one object whose keys are the five, each at most once; whose strings have no
//! escapes, whose endpoints are strings, and whose numbers are protocols. Everything else, and
//! everything wrong, is left to the parser that can say where and why.

use crate::endpoint::Endpoint;
use crate::flow::{Direction, Flow, IpProtocol};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        Some(Token::String(name)) => flow = flow.with_remote_hostname(Cow::Borrowed(name)),
        Some(Token::Number(_)) => return None,
    }
    match remote {
        None | Some(Token::Null) => {}
        Some(Token::String(text)) => {
            flow = match address_and_port(text) {
                Some((address, port)) => flow.with_remote_address(address, None, port),
                None => flow.with_remote(text.parse::<Endpoint>().ok()?).ok()?,
            }
        }
        Some(Token::Number(_)) => return None,
    }
    match local {
        None | Some(Token::Null) => {}
        Some(Token::String(text)) => {
            flow = match address_and_port(text) {
                Some((address, port)) => flow.with_local_address(address, None, port),
                None => flow.with_local(text.parse::<Endpoint>().ok()?).ok()?,
            }
        }
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
        let len = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
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
fn address_and_port(text: &str) -> Option<(IpAddr, u16)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (host, port) = inner.split_once("]:")?;
        let address: Ipv6Addr = host.parse().ok()?;
        let mut digits = port.bytes();
        let port = number(&mut digits, None, 5, u16::MAX.into())?;
        return Some((address.into(), port as u16));
    }
    let mut bytes = text.bytes();
    let mut address = 0;
    for end in [b'.', b'.', b'.', b':'] {
        address = address << 8 | number(&mut bytes, Some(end), 3, 255)?;
    }
    let port = number(&mut bytes, None, 5, u16::MAX.into())?;
    Some((Ipv4Addr::from_bits(address).into(), port as u16))
}

/// Reads a number of at most so many digits, without zeros before it, up to `end` or the end of
/// the text.
#[inline]
fn number(
    bytes: &mut std::str::Bytes<'_>,
    end: Option<u8>,
    max_digits: u32,
    limit: u32,
) -> Option<u32> {
    let mut number = 0;
    let mut digits = 0;
    loop {
        match bytes.next() {
            Some(digit @ b'0'..=b'9') if digits < max_digits && !(digits == 1 && number == 0) => {
                number = number * 10 + u32::from(digit - b'0');
                digits += 1;
            }
            found if found == end && digits > 0 && number <= limit => return Some(number),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
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
            let (address, port) = address_and_port(text).unwrap();
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(
                endpoint,
                Endpoint::from(std::net::SocketAddr::new(address, port)),
                "{text}"
            );
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
            assert_eq!(address_and_port(text), None, "{text}");
        }
    }
}
