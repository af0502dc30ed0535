//! nftables sets: the elements between the braces of `elements = { }` and `define name = { }`. Rules of
//! chains that hold addresses themselves are refused.

use super::address;
use super::collect::Collector;
use super::entry::{Entry, Note};
use super::import::ReadLine;
use super::lines::Line;
use crate::error::{Error, ErrorKind};
use crate::formats::MAX_LINE_BYTES;

/// Reads elements, which need not end with their line.
#[derive(Default)]
pub(super) struct Reader {
    /// The end of the statement at hand, outside of elements.
    statement: String,
    /// The element at hand, and where it begins.
    element: String,
    place: Option<(u64, u64)>,
    /// The place of the brace that elements stand behind.
    brace: Option<(u64, u64)>,
    is_quoted: bool,
}

impl ReadLine for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
        if self.brace.is_none() {
            refuse_rule(line, out)?;
        }
        for (offset, c) in line.text.char_indices() {
            if self.is_quoted {
                self.is_quoted = c != '"';
                self.push(c);
                continue;
            }
            match c {
                '#' => break,
                '{' if self.brace.is_none() => {
                    let rest = line.text.get(offset..).unwrap_or("");
                    self.brace = is_elements(&self.statement).then(|| line.place(rest));
                    self.statement.clear();
                }
                '}' | ';' if self.brace.is_none() => self.statement.clear(),
                ',' if self.brace.is_some() => self.end_element(out)?,
                '}' => {
                    self.end_element(out)?;
                    self.brace = None;
                }
                _ => {
                    self.is_quoted = c == '"';
                    if self.brace.is_some() && !c.is_whitespace() && self.place.is_none() {
                        let rest = line.text.get(offset..).unwrap_or("");
                        self.place = Some(line.place(rest));
                    }
                    self.push(c);
                }
            }
        }
        // No string goes on in the next line.
        self.is_quoted = false;
        self.push(' ');
        Ok(())
    }

    fn end(&mut self, out: &mut Collector<'_>) -> Result<(), Error> {
        self.end_element(out)?;
        if let Some(place) = self.brace {
            out.problem(place, Error::new(ErrorKind::UnclosedBrace));
        }
        Ok(())
    }
}

impl Reader {
    fn push(&mut self, c: char) {
        match self.brace.is_some() {
            // Too long is as good as much too long.
            true if self.element.len() <= MAX_LINE_BYTES && self.place.is_some() => {
                self.element.push(c);
            }
            true => {}
            false => {
                self.statement.push(c);
                if self.statement.len() > MAX_STATEMENT {
                    let keep = self.statement.char_indices().rev().nth(MAX_STATEMENT / 8);
                    self.statement.drain(..keep.map_or(0, |(index, _)| index));
                }
            }
        }
    }

    fn end_element(&mut self, out: &mut Collector<'_>) -> Result<(), Error> {
        let Some(place) = self.place.take() else { return Ok(()) };
        let element = std::mem::take(&mut self.element);
        let entry = match element.len() > MAX_LINE_BYTES {
            true => Err(Error::new(ErrorKind::TooLarge { limit: MAX_LINE_BYTES })),
            false => entry(element.trim()),
        };
        out.take(place, entry)
    }
}

/// Refuses a rule of a chain that compares an address itself, as its verdict and all else that it asks
/// for are not those of an element.
fn refuse_rule(line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
    let text = line.content(&['#']);
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let compared = words.clone().find(|word| !matches!(*word, "==" | "!="));
        if matches!(word, "saddr" | "daddr")
            && compared.is_some_and(|compared| !compared.starts_with(['@', '$']))
        {
            let kind = ErrorKind::Inexpressible {
                by: "a list",
                what: "a rule of a chain",
                value: text.to_owned(),
            };
            return out.take(line.place(text), Err(Error::new(kind)));
        }
    }
    Ok(())
}

/// How much of a statement is kept, in bytes, to see whether elements follow.
const MAX_STATEMENT: usize = 512;

/// Whether elements follow on a statement and a brace.
fn is_elements(statement: &str) -> bool {
    let mut words = statement.split_whitespace();
    let is_added =
        matches!(words.next(), Some("add" | "create")) && words.next() == Some("element");
    let before = statement.trim_end().strip_suffix('=').map(str::trim_end);
    let is_defined = |before: &str| before.split_whitespace().rev().nth(1) == Some("define");
    is_added || before.is_some_and(|before| before.ends_with("elements") || is_defined(before))
}

fn entry(text: &str) -> Result<Entry<'static>, Error> {
    let whole = || {
        let value = text.to_owned();
        Error::new(ErrorKind::Inexpressible {
            by: "a rule",
            what: "an element that is more than addresses",
            value,
        })
    };
    let mut words = text.split_whitespace();
    let mut entry = address::entry(words.next().unwrap_or(""))?;
    while let Some(word) = words.next() {
        match word {
            "timeout" | "expires" => {
                words.next();
                entry.notes.insert(Note::EndNotKept);
            }
            "counter" | "packets" | "bytes" => {}
            "comment" => break,
            _ if word.bytes().all(|byte| byte.is_ascii_digit()) => {}
            _ => return Err(whole()),
        }
    }
    Ok(entry)
}

/// Whether a line is of this format and of no other.
pub(super) fn explains(line: &Line<'_>) -> bool {
    let text = line.content(&['#']);
    let begins = |word: &str| text.strip_prefix(word).is_some_and(|rest| rest.starts_with(' '));
    let opens = ["table", "set", "add element", "create element", "add set", "add table", "define"];
    (opens.iter().any(|word| begins(word)) && !text.contains('<'))
        || text.starts_with("elements")
        || text.starts_with("type ipv")
}

/// Whether a line may stand in a set: an element, or what a set says of itself.
pub(super) fn may_hold(line: &Line<'_>) -> bool {
    let text = line.content(&['#']).trim_matches([',', '}', ' ']);
    let words = ["flags", "auto-merge", "}", "type", "size", "timeout", "typeof", "chain", "flush"];
    text.is_empty()
        || words.iter().any(|word| text.starts_with(word))
        || text.split(',').all(|element| entry(element.trim()).is_ok())
}
