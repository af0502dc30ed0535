//! hosts files: an address that leads nowhere, and the names that are blocked by it.

use super::address;
use super::collect::Collector;
use super::entry::{Entry, LeftOut, Remotes};
use super::import::ReadLine;
use super::lines::Line;
use crate::error::{Error, ErrorKind};
use std::borrow::Cow;
use std::net::IpAddr;

pub(super) struct Reader;

impl ReadLine for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
        let text = line.content(&['#']);
        let mut words = text.split_whitespace();
        let Some(first) = words.next() else { return Ok(()) };
        let Some(address) = address_of(first) else {
            // A name by itself, as lists without addresses have them.
            return match words.next() {
                None => name(line, first, out),
                Some(_) => {
                    let (expected, found) = ("an address and names", text.to_owned());
                    let error = Error::new(ErrorKind::UnexpectedText { expected, found });
                    out.take(line.place(text), Err(error))
                }
            };
        };
        let mut has_names = false;
        for word in words {
            has_names = true;
            if is_system(word) {
                out.leave_out(line.place(word), LeftOut::ThisHost)?;
            } else if leads_nowhere(address) {
                name(line, word, out)?;
            } else {
                let error = Error::new(ErrorKind::Inexpressible {
                    by: "a rule",
                    what: "that a name has an address",
                    value: format!("{first} {word}"),
                });
                out.take(line.place(word), Err(error))?;
            }
        }
        match has_names {
            true => Ok(()),
            false => {
                let (expected, found) = ("a name after the address", first.to_owned());
                let error = Error::new(ErrorKind::UnexpectedText { expected, found });
                out.take(line.place(first), Err(error))
            }
        }
    }
}

fn name(line: &Line<'_>, word: &str, out: &mut Collector<'_>) -> Result<(), Error> {
    if is_system(word) {
        return out.leave_out(line.place(word), LeftOut::ThisHost);
    }
    out.accept(line.place(word), Entry::new(Remotes::Name(Cow::Borrowed(word))))
}

/// An address, with or without a zone.
fn address_of(word: &str) -> Option<IpAddr> {
    let address = word.split('%').next().unwrap_or(word);
    address::address(address).map(|(address, _)| address)
}

fn leads_nowhere(address: IpAddr) -> bool {
    address.is_unspecified() || address.is_loopback()
}

/// Whether a name is one of those that hosts files hold before anything is added.
fn is_system(name: &str) -> bool {
    const NAMES: [&str; 13] = [
        "localhost",
        "localhost.localdomain",
        "localhost4",
        "localhost6",
        "local",
        "broadcasthost",
        "ip6-localhost",
        "ip6-loopback",
        "ip6-localnet",
        "ip6-mcastprefix",
        "ip6-allnodes",
        "ip6-allrouters",
        "ip6-allhosts",
    ];
    NAMES.iter().any(|own| own.eq_ignore_ascii_case(name)) || name == "0.0.0.0"
}

/// Whether a line is an entry of this format.
pub(super) fn explains(line: &Line<'_>) -> bool {
    let text = line.content(&['#']);
    let mut words = text.split_whitespace();
    let Some(first) = words.next() else { return false };
    let looks_like_name = |word: &str| {
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        word.chars().all(is_name) && word.contains(|c: char| c.is_alphabetic())
    };
    match address_of(first) {
        Some(_) => words.next().is_some_and(looks_like_name),
        None => words.next().is_none() && first.contains('.') && looks_like_name(first),
    }
}
