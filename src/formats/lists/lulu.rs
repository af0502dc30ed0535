//! LuLu rules as JSON: of the rules for any program, the last that names address and port decides,
//! else the last that names one of them, else the last.

use super::address;
use super::collect::Collector;
use super::document::{Document, Failed, find};
use super::entry::{Entry, LeftOut, Note, Rank, Remotes};
use crate::endpoint::Ports;
use crate::error::{Error, ErrorKind};
use crate::flow::Direction;
use crate::formats::json::Value;
use crate::rule::Action;
use smallvec::smallvec;
use std::borrow::Cow;

pub(super) fn read(document: &Document<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
    let mut index = 0;
    for (key, rules) in document.root.entries()? {
        document.each(rules, out, |element, out, place| {
            index += 1;
            match rule(&key, index, element).map_err(Failed::Entry)? {
                Some(entry) => out.accept(place, entry),
                None => out.leave_out(place, LeftOut::Disabled),
            }
            .map_err(Failed::List)
        })?;
    }
    Ok(())
}

/// Reads a rule, the `index`-th; `None` if it is disabled.
fn rule(key: &str, index: u64, value: Value<'_>) -> Result<Option<Entry<'static>>, Error> {
    let fields = value.entries()?;
    let known = [
        "key",
        "uuid",
        "pid",
        "path",
        "name",
        "endpointAddr",
        "endpointHost",
        "endpointPort",
        "isEndpointAddrRegex",
        "type",
        "scope",
        "action",
        "creation",
        "expiration",
        "isDisabled",
        "csInfo",
    ];
    for (key, value) in &fields {
        if !known.contains(&&**key) {
            return Err(value.error(ErrorKind::UnknownKey).for_key(key));
        }
    }
    let text = |key: &str| match find(&fields, key).filter(|value| !value.is_null()) {
        Some(value) => value.keyed(key, self::text).map(Some),
        None => Ok(None),
    };
    let unexpected = |key: &str, expected, found: &str| {
        let error = Error::new(ErrorKind::UnexpectedText { expected, found: found.to_owned() });
        find(&fields, key).unwrap_or(value).locate(error.for_key(key))
    };
    if text("isDisabled")?.is_some_and(|word| word == "1" || word == "true") {
        return Ok(None);
    }
    let path = text("path")?.unwrap_or(Cow::Borrowed(key));
    if path != "*" {
        let kind = ErrorKind::Inexpressible { by: "a rule", what: "a process", value: path.into() };
        return Err(find(&fields, "path").unwrap_or(value).error(kind).for_key("path"));
    }
    let action = match text("action")? {
        Some(word) if word == "0" => Action::Drop,
        Some(word) if word == "1" => Action::Allow,
        Some(word) => return Err(unexpected("action", "`0` or `1`", &word)),
        None => return Err(value.error(ErrorKind::MissingKey { expected: "`action`" })),
    };
    let ports = match text("endpointPort")?.unwrap_or(Cow::Borrowed("*")) {
        word if word == "*" => Ports::ANY,
        word => match word.parse() {
            Ok(port) if port > 0 => Ports::one(port),
            _ => return Err(unexpected("endpointPort", "`*` or a port", &word)),
        },
    };
    let endpoint = text("endpointAddr")?.unwrap_or(Cow::Borrowed("*"));
    let style = text("isEndpointAddrRegex")?.unwrap_or(Cow::Borrowed("0"));
    let inexpressible = |what| {
        let kind = ErrorKind::Inexpressible { by: "a rule", what, value: endpoint.to_string() };
        find(&fields, "endpointAddr").unwrap_or(value).error(kind).for_key("endpointAddr")
    };
    let at_endpoint = |error| {
        find(&fields, "endpointAddr").unwrap_or(value).locate(error).for_key("endpointAddr")
    };
    let mut entry = match (&*style, &*endpoint) {
        (_, "*") => Entry::new(Remotes::Any),
        ("0" | "false", text) => match address::address(text) {
            Some(_) => address::network(text)?,
            None => {
                let name = Entry::new(Remotes::Name(Cow::Owned(text.to_owned())));
                match text.contains('.') {
                    true => name.with_note(Note::NamesBelow),
                    false => name,
                }
            }
        },
        ("1" | "true", _) => return Err(inexpressible("a regular expression")),
        ("2", text) => address::entry(text).map_err(at_endpoint)?,
        ("3", _) => return Err(inexpressible("a pattern")),
        (word, _) => {
            return Err(unexpected("isEndpointAddrRegex", "a number from 0 to 3", word));
        }
    };
    let class: u64 = match (endpoint == "*", ports.is_any()) {
        (false, false) => 0,
        (true, true) => 2,
        _ => 1,
    };
    entry.ports = smallvec![ports];
    entry.action = Some(action);
    entry.direction = Some(Direction::Outbound);
    // The last stands first.
    entry.rank = Rank(class << 60 | ((1 << 59) - index), Box::default());
    if find(&fields, "expiration").is_some_and(|value| !value.is_null()) {
        entry.notes.insert(Note::EndNotKept);
    }
    Ok(Some(entry))
}

/// A string, or the text of a number or a boolean, which older exports write as strings.
fn text(value: Value<'_>) -> Result<Cow<'_, str>, Error> {
    if value.is_string() {
        return value.string();
    }
    match value.boolean() {
        Ok(boolean) => Ok(Cow::Borrowed(if boolean { "true" } else { "false" })),
        Err(_) => value.number().map(Cow::Borrowed),
    }
}

/// Writes a 0, and blanks, in place of each date without quotes, as old exports have them. All
/// else stays where it was.
pub(super) fn mend_dates(mut text: Vec<u8>) -> Vec<u8> {
    let (mut index, mut is_quoted, mut is_value) = (0, false, false);
    while let Some(byte) = text.get(index).copied() {
        match byte {
            b'\\' if is_quoted => index += 1,
            b'"' => (is_quoted, is_value) = (!is_quoted, false),
            _ if is_quoted => {}
            b':' => is_value = true,
            b'0'..=b'9' if is_value => {
                let rest = text.get(index..).unwrap_or_default();
                let len = rest.iter().position(|b| matches!(b, b',' | b'}' | b']' | b'\n' | b'"'));
                let len = len.unwrap_or(rest.len());
                let value = rest.get(..len).unwrap_or_default();
                if is_date(value.trim_ascii_end()) {
                    let own = text.get_mut(index..index + len).unwrap_or_default();
                    own.fill(b' ');
                    own.iter_mut().take(1).for_each(|first| *first = b'0');
                }
                index += len.saturating_sub(1);
                is_value = false;
            }
            _ if byte.is_ascii_whitespace() => {}
            _ => is_value = false,
        }
        index += 1;
    }
    text
}

/// Whether text is `2024-01-31 12:34:56 +0000`, or a part of it with a dash.
fn is_date(text: &[u8]) -> bool {
    let is_part = |b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b':' | b' ' | b'+');
    text.iter().all(is_part) && text.get(4) == Some(&b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_without_quotes_are_mended_and_nothing_moves() {
        let mend = |text: &str| String::from_utf8(mend_dates(text.into())).unwrap();
        for (text, mended) in [
            (
                r#"{"a": 2024-01-31 12:34:56 +0000, "b": 1}"#,
                r#"{"a": 0                        , "b": 1}"#,
            ),
            ("{\"a\":2024-01-31\n}", "{\"a\":0         \n}"),
            (r#"{"a": "x: 2024-01-31", "b": 2024}"#, r#"{"a": "x: 2024-01-31", "b": 2024}"#),
            (r#"{"a": "\": 2024-01-31"}"#, r#"{"a": "\": 2024-01-31"}"#),
            (r#"[1, 20240131, 1.5e3, -1]"#, r#"[1, 20240131, 1.5e3, -1]"#),
        ] {
            assert_eq!(mend(text), mended);
            assert_eq!(text.len(), mended.len());
        }
    }
}
