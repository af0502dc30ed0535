//! OpenSnitch rules: sorted by name, the first that denies, or has precedence, decides; else any
//! that allows.

use super::address;
use super::collect::Collector;
use super::document::{Document, Failed, find};
use super::entry::{Entry, LeftOut, Note, Notes, Rank, Remotes};
use crate::endpoint::Ports;
use crate::error::{Error, ErrorKind};
use crate::flow::Direction;
use crate::formats::json::Value;
use crate::rule::{Action, Protocol};
use smallvec::smallvec;
use std::borrow::Cow;

pub(super) fn read(document: &Document<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
    let one = |element: Value<'_>, out: &mut Collector<'_>, place| {
        match rule(element).map_err(Failed::Entry)? {
            Some(entry) => out.accept(place, entry),
            None => out.leave_out(place, LeftOut::Disabled),
        }
        .map_err(Failed::List)
    };
    if document.root.is_array() {
        return document.each(document.root, out, one);
    }
    match one(document.root.alone(), out, document.place(document.root)) {
        Ok(()) => Ok(()),
        Err(Failed::Entry(error)) => out.reject(document.locate(document.root, error)),
        Err(Failed::List(error)) => Err(error),
    }
}

/// Reads a rule; `None` if it is disabled.
fn rule<'a>(value: Value<'a>) -> Result<Option<Entry<'a>>, Error> {
    let [_, _, name, _, enabled, precedence, _, action, duration, operator] = value.fields([
        "created",
        "updated",
        "name",
        "description",
        "enabled",
        "precedence",
        "nolog",
        "action",
        "duration",
        "operator",
    ])?;
    let missing = |expected| value.error(ErrorKind::MissingKey { expected });
    let flag = |field: Option<Value<'_>>, key, default| match field {
        Some(field) => field.keyed(key, Value::boolean),
        None => Ok(default),
    };
    if !flag(enabled, "enabled", true)? {
        return Ok(None);
    }
    let name = name.ok_or_else(|| missing("`name`"))?.keyed("name", Value::string)?;
    let action_value = action.ok_or_else(|| missing("`action`"))?;
    let action = match action_value.keyed("action", Value::string)? {
        word if word == "allow" => Action::Allow,
        word if word == "deny" || word == "reject" => Action::Drop,
        word => {
            let (expected, found) = ("`allow`, `deny` or `reject`", word.into_owned());
            let kind = ErrorKind::UnexpectedText { expected, found };
            return Err(action_value.error(kind).for_key("action"));
        }
    };
    let mut parts = Parts::default();
    let mut operators = vec![operator.ok_or_else(|| missing("`operator`"))?];
    // A list holds operators all of which have to match, lists among them.
    let mut count = 0;
    while let Some(operator) = operators.pop() {
        count += 1;
        if count > MAX_OPERATORS {
            let (by, what) = ("a rule", "more operators than are read");
            let limit = MAX_OPERATORS.to_string();
            return Err(value.error(ErrorKind::Inexpressible { by, what, value: limit }));
        }
        let fields = operator.entries()?;
        let of_type = find(&fields, "type");
        let is_list = of_type.is_some_and(|of| of.string().is_ok_and(|word| word == "list"));
        match find(&fields, "list").filter(|list| is_list && !list.is_null()) {
            Some(list) => operators.extend(list.keyed("list", Value::elements)?),
            None => parts.add(operator, &fields)?,
        }
    }
    let mut entry = parts.entry(value)?;
    entry.action = Some(action);
    entry.direction = Some(Direction::Outbound);
    let is_last = action == Action::Allow && !flag(precedence, "precedence", false)?;
    entry.rank = Rank(u64::from(is_last), name.as_ref().into());
    let duration =
        duration.map(|duration| duration.keyed("duration", Value::string)).transpose()?;
    if duration.is_some_and(|word| word != "always") {
        entry.notes.insert(Note::EndNotKept);
    }
    Ok(Some(entry))
}

/// The most operators of a rule that are read; each level of lists is read once more.
const MAX_OPERATORS: usize = 64;

/// What the operators of a rule say.
#[derive(Default)]
struct Parts<'a> {
    remote: Option<Remotes<'a>>,
    ports: Option<Ports>,
    /// With whether it is for IPv6 alone.
    protocol: Option<(Protocol, bool)>,
    notes: Notes,
}

impl<'a> Parts<'a> {
    fn add(
        &mut self,
        operator: Value<'a>,
        fields: &[(Cow<'a, str>, Value<'a>)],
    ) -> Result<(), Error> {
        let missing = |expected| operator.error(ErrorKind::MissingKey { expected });
        let text = |key: &str, expected| {
            find(fields, key).ok_or_else(|| missing(expected))?.keyed(key, Value::string)
        };
        let (of_type, operand) = (text("type", "`type`")?, text("operand", "`operand`")?);
        let data_value = find(fields, "data").ok_or_else(|| missing("`data`"))?;
        let data = data_value.keyed("data", Value::string)?;
        let inexpressible = |what| {
            let kind = ErrorKind::Inexpressible { by: "a rule", what, value: operand.to_string() };
            operator.error(kind)
        };
        let at_data = |error| data_value.locate(error).for_key("data");
        match (&*of_type, &*operand) {
            ("simple", "dest.ip") => {
                let mut entry = address::network(&data).map_err(at_data)?;
                self.remote(entry.remotes.pop(), operator)
            }
            ("simple", "dest.host") => {
                if data.contains('.') {
                    self.notes.insert(Note::NamesBelow);
                }
                self.remote(Some(Remotes::Name(data)), operator)
            }
            ("network", "dest.network") => {
                let mut entry = address::network(&data).map_err(at_data)?;
                self.notes.extend(entry.notes);
                self.remote(entry.remotes.pop(), operator)
            }
            ("range" | "simple", "dest.port") => {
                let ports: Ports = data.parse().map_err(at_data)?;
                if ports.is_any() || self.ports.is_some() {
                    let expected = match ports.is_any() {
                        true => "ports from 1 to 65535",
                        false => "ports once",
                    };
                    let kind = ErrorKind::UnexpectedText { expected, found: data.into() };
                    return Err(at_data(Error::new(kind)));
                }
                self.ports = Some(ports);
                Ok(())
            }
            ("simple", "protocol") => {
                let (word, is_v6) = match data.to_ascii_lowercase() {
                    word if word == "tcp6" || word == "udp6" => {
                        (word.trim_end_matches('6').to_owned(), true)
                    }
                    word => (word, false),
                };
                let protocol = word.parse().map_err(at_data)?;
                if self.protocol.replace((protocol, is_v6)).is_some() {
                    return Err(inexpressible("two protocols of one flow"));
                }
                Ok(())
            }
            ("regexp", _) => Err(inexpressible("a regular expression")),
            ("lists", _) => Err(inexpressible("a list in a file, which has to be read by itself")),
            (_, operand) if operand.starts_with("process.") => Err(inexpressible("a process")),
            (_, operand) if operand.starts_with("user.") => Err(inexpressible("a user")),
            (_, operand) if operand.starts_with("iface.") => Err(inexpressible("an interface")),
            (_, operand) if operand.starts_with("source.") => Err(inexpressible("a source")),
            _ => Err(inexpressible("this operand")),
        }
    }

    fn remote(&mut self, remote: Option<Remotes<'a>>, operator: Value<'a>) -> Result<(), Error> {
        if self.remote.is_some() {
            let kind = ErrorKind::Inexpressible {
                by: "a rule",
                what: "two remotes that both have to match",
                value: "operator".to_owned(),
            };
            return Err(operator.error(kind));
        }
        self.remote = remote;
        Ok(())
    }

    fn entry(self, rule: Value<'a>) -> Result<Entry<'a>, Error> {
        let (protocol, needs_v6) = self.protocol.unwrap_or((Protocol::Any, false));
        let is_v6 = match &self.remote {
            Some(Remotes::Net(net)) => Some(net.addr().is_ipv6()),
            _ => None,
        };
        let agrees = match self.protocol {
            None => true,
            // The word tells the family too, as far as there is an address.
            Some(_) => is_v6.map_or(!needs_v6, |is_v6| is_v6 == needs_v6),
        };
        if !agrees {
            return Err(rule.error(ErrorKind::Inexpressible {
                by: "a rule",
                what: "a protocol of one address family beside this remote",
                value: format!("{protocol}{}", if needs_v6 { "6" } else { "" }).to_lowercase(),
            }));
        }
        let mut entry = Entry::new(self.remote.unwrap_or(Remotes::Any));
        entry.ports = smallvec![self.ports.unwrap_or(Ports::ANY)];
        entry.protocol = protocol;
        entry.notes = self.notes;
        Ok(entry)
    }
}
