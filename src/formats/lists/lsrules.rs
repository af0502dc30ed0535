//! Little Snitch .lsrules: the most specific rule decides.

use super::address;
use super::collect::Collector;
use super::document::{Document, Failed, find};
use super::entry::{Entry, LeftOut, Note, Notes, Rank, Remotes};
use crate::endpoint::Ports;
use crate::error::{Error, ErrorKind};
use crate::flow::Direction;
use crate::formats::json::Value;
use crate::rule::{Action, Protocol};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) fn read(document: &Document<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
    for (key, value) in document.root.entries()? {
        match &*key {
            "rules" => document.each(value, out, |element, out, place| {
                match rule(element).map_err(Failed::Entry)? {
                    Some(entry) => out.accept(place, entry),
                    None => out.leave_out(place, LeftOut::Disabled),
                }
                .map_err(Failed::List)
            })?,
            "denied-remote-domains" => denied(document, value, Kind::Domain, out)?,
            "denied-remote-hosts" => denied(document, value, Kind::Host, out)?,
            "denied-remote-addresses" => denied(document, value, Kind::Address, out)?,
            "name" | "description" | "denied-remote-notes" | "version" => {}
            _ => {
                out.problem(document.place(value), Error::new(ErrorKind::UnknownKey).for_key(&key))
            }
        }
    }
    Ok(())
}

/// What a remote side is, the most specific first.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Address,
    Host,
    Domain,
    Multicast = 5,
    Any = 8,
}

/// How a rule of this priority (0 high, 1 regular, 2 low), kind and length of list ranks.
pub(super) fn rank(priority: u64, kind: Kind, len: usize) -> u64 {
    priority << 56 | (kind as u64) << 48 | (len as u64).min(u64::from(u32::MAX))
}

/// Whether a rank is that of a rule for hosts.
pub(super) fn is_of_host(rank: &Rank) -> bool {
    rank.0 >> 48 & 0xff == Kind::Host as u64
}

/// Reads a list, or one, of remotes that are denied to any process.
fn denied<'a>(
    document: &Document<'a>,
    value: Value<'a>,
    kind: Kind,
    out: &mut Collector<'_>,
) -> Result<(), Error> {
    let one = |element: Value<'_>, out: &mut Collector<'_>, place| {
        let text = element.string().map_err(Failed::Entry)?;
        let mut entry = Entry::new(remote(kind, &text).map_err(Failed::Entry)?);
        entry.notes = note_of(kind, &text);
        entry.action = Some(Action::Drop);
        entry.direction = Some(Direction::Outbound);
        entry.rank = Rank(rank(1, kind, 1), Box::default());
        out.accept(place, entry).map_err(Failed::List)
    };
    if value.is_string() {
        let place = document.place(value);
        return match one(value.alone(), out, place) {
            Ok(()) => Ok(()),
            Err(Failed::Entry(error)) => out.reject(document.locate(value, error)),
            Err(Failed::List(error)) => Err(error),
        };
    }
    document.each(value, out, one)
}

/// Reads a rule; `None` if it is disabled.
fn rule<'a>(value: Value<'a>) -> Result<Option<Entry<'a>>, Error> {
    let fields = value.entries()?;
    if let Some(disabled) = find(&fields, "disabled")
        && disabled.keyed("disabled", Value::boolean)?
    {
        return Ok(None);
    }
    for (key, value) in &fields {
        check_key(key, *value)?;
    }
    if find(&fields, "process").is_none() {
        return Err(value.error(ErrorKind::MissingKey { expected: "`process`" }));
    }
    let word = |key: &str, default: &'static str| match find(&fields, key) {
        Some(value) => value.keyed(key, Value::string),
        None => Ok(Cow::Borrowed(default)),
    };
    let unexpected = |key: &str, expected, found: Cow<'_, str>| {
        let error = Error::new(ErrorKind::UnexpectedText { expected, found: found.into_owned() });
        find(&fields, key).unwrap_or(value).locate(error.for_key(key))
    };
    let action = match word("action", "ask")? {
        word if word == "allow" => Action::Allow,
        word if word == "deny" => Action::Drop,
        word if word == "ask" => Action::FilterData,
        word => return Err(unexpected("action", "`allow`, `deny` or `ask`", word)),
    };
    let direction = match word("direction", "outgoing")? {
        word if word == "outgoing" => Direction::Outbound,
        word if word == "incoming" => Direction::Inbound,
        word if word == "both" || word == "any" => Direction::Any,
        word => return Err(unexpected("direction", "`incoming` or `outgoing`", word)),
    };
    let priority = match word("priority", "regular")? {
        word if word == "high" => 0,
        word if word == "regular" || word == "default" => 1,
        word if word == "low" => 2,
        word => return Err(unexpected("priority", "`high`, `regular` or `low`", word)),
    };
    let ports = match find(&fields, "ports") {
        None => smallvec![Ports::ANY],
        Some(value) => value.keyed("ports", ports)?,
    };
    let protocol = match find(&fields, "protocol") {
        None => Protocol::Any,
        Some(value) => value.keyed("protocol", protocol)?,
    };
    let (kind, remotes, notes) = remotes(value, &fields)?;
    let rank = Rank(rank(priority, kind, remotes.len()), Box::default());
    let mut entry = Entry::new(Remotes::Any);
    entry.remotes = remotes;
    entry.ports = ports;
    entry.protocol = protocol;
    entry.direction = Some(direction);
    entry.action = Some(action);
    entry.notes = notes;
    entry.rank = rank;
    Ok(Some(entry))
}

/// Refuses what no rule can say, and keys that are not known.
fn check_key(key: &str, value: Value<'_>) -> Result<(), Error> {
    let what = match key {
        "action" | "direction" | "priority" | "disabled" | "ports" | "protocol" | "remote"
        | "remote-addresses" | "remote-hosts" | "remote-domains" => return Ok(()),
        // These say nothing about which flows the rule matches.
        "notes" | "creationDate" | "modificationDate" | "origin" => return Ok(()),
        "process" => match value.string() {
            Ok(process) if process == "any" => return Ok(()),
            _ => "a process",
        },
        "owner" | "user" => match value.string() {
            Ok(owner) if owner == "any" || owner == "anyone" => return Ok(()),
            _ => "the owner of a process",
        },
        "via" => "a process through which another connects",
        "codeSignature" => "a code signature",
        _ => return Err(value.error(ErrorKind::UnknownKey).for_key(key)),
    };
    let text = value.string().unwrap_or(Cow::Borrowed(key)).into_owned();
    let kind = ErrorKind::Inexpressible { by: "a rule", what, value: text };
    Err(value.error(kind).for_key(key))
}

type Found<'a> = (Kind, SmallVec<[Remotes<'a>; 1]>, Notes);

/// Reads the remote side, of which there is one.
fn remotes<'a>(rule: Value<'a>, fields: &[(Cow<'a, str>, Value<'a>)]) -> Result<Found<'a>, Error> {
    const KEYS: [(&str, Kind); 3] = [
        ("remote-addresses", Kind::Address),
        ("remote-hosts", Kind::Host),
        ("remote-domains", Kind::Domain),
    ];
    let mut found = None;
    for (key, kind) in KEYS {
        let Some(value) = find(fields, key) else { continue };
        if found.is_some() || find(fields, "remote").is_some() {
            let (expected, text) = ("one kind of remote", key.to_owned());
            let error = ErrorKind::UnexpectedText { expected, found: text };
            return Err(value.error(error).for_key(key));
        }
        found = Some(value.keyed(key, |value| list(value, kind))?);
    }
    if let Some(found) = found {
        return Ok(found);
    }
    let Some(value) = find(fields, "remote") else {
        let expected = "`remote`, `remote-addresses`, `remote-hosts` or `remote-domains`";
        return Err(rule.error(ErrorKind::MissingKey { expected }));
    };
    let word = value.keyed("remote", Value::string)?;
    match &*word {
        "any" => Ok((Kind::Any, smallvec![Remotes::Any], Notes::default())),
        "multicast" => {
            let v4 = Ipv4Net::new(Ipv4Addr::new(224, 0, 0, 0), 4).map(IpNet::V4);
            let v6 = Ipv6Net::new(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8).map(IpNet::V6);
            let nets = [v4, v6].into_iter().flatten().map(Remotes::Net);
            Ok((Kind::Multicast, nets.collect(), Notes::default()))
        }
        _ => Err(value
            .error(ErrorKind::Inexpressible {
                by: "a rule",
                what: "a remote that depends on the network the machine is in",
                value: word.into_owned(),
            })
            .for_key("remote")),
    }
}

/// Reads a string or an array of strings, each of which may be a list itself.
fn list<'a>(value: Value<'a>, kind: Kind) -> Result<Found<'a>, Error> {
    let texts = match value.is_array() {
        true => value.elements()?.map(|element| Ok((element, element.string()?))).collect(),
        false => value.string().map(|text| vec![(value, text)]),
    };
    let texts: Vec<(Value<'_>, Cow<'_, str>)> = texts?;
    let mut remotes = SmallVec::new();
    let mut notes = Notes::default();
    for (value, text) in texts {
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            remotes.push(remote(kind, part).map_err(|error| value.locate(error))?);
            notes.extend(note_of(kind, part));
        }
    }
    match remotes.is_empty() {
        true => Err(value.wrong_type("one remote or more")),
        false => Ok((kind, remotes, notes)),
    }
}

fn remote(kind: Kind, text: &str) -> Result<Remotes<'static>, Error> {
    match kind {
        Kind::Address => {
            let mut entry = address::entry(text)?;
            entry.remotes.pop().ok_or_else(|| address::not_an_entry(text))
        }
        Kind::Domain if !text.trim_matches('.').contains('.') => {
            Err(Error::new(ErrorKind::Inexpressible {
                by: "a host rule",
                what: "all names below a single label (S-41)",
                value: text.to_owned(),
            }))
        }
        _ => Ok(Remotes::Name(Cow::Owned(text.to_owned()))),
    }
}

fn note_of(kind: Kind, text: &str) -> Notes {
    let mut notes = Notes::default();
    if matches!(kind, Kind::Host) && text.trim_matches('.').contains('.') {
        notes.insert(Note::NamesBelow);
    }
    notes
}

fn ports(value: Value<'_>) -> Result<SmallVec<[Ports; 1]>, Error> {
    let text = match value.is_string() {
        true => value.string()?,
        false => Cow::Owned(value.whole_number(u16::MAX.into())?.to_string()),
    };
    let one = |part: &str| match part.trim() {
        "any" => Ok(Ports::ANY),
        part => match part.parse::<Ports>()? {
            // 0 would be any port.
            ports if ports.is_any() => {
                let (expected, found) = ("`any`, or ports from 1 to 65535", part.to_owned());
                Err(Error::new(ErrorKind::UnexpectedText { expected, found }))
            }
            ports => Ok(ports),
        },
    };
    text.split(',').map(one).collect()
}

fn protocol(value: Value<'_>) -> Result<Protocol, Error> {
    match value.is_string() {
        true => value.parsed(),
        false => {
            let number = value.whole_number(u8::MAX.into())?;
            Ok(Protocol::Number(number as u8).canonical())
        }
    }
}
