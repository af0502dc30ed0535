//! JSON values that know where they stand, so that every error can say so.
//!
//! serde_json checks the syntax and cuts a value out as raw text; a [`Value`] reads one level of
//! it at a time, as far as a format asks. So there is no recursion to overflow, and a place is the
//! distance between two slices of one text.

use crate::endpoint::{Endpoint, Ports};
use crate::error::{Error, ErrorKind};
use crate::flow::IpProtocol;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

/// A value in a document.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    document: &'a str,
    /// INVARIANT: a slice of `document` that holds one JSON value of valid syntax.
    text: &'a str,
}

impl<'a> Value<'a> {
    /// Checks the syntax of a document, which holds one value.
    pub(super) fn parse(document: &'a str) -> Result<Value<'a>, Error> {
        match serde_json::from_str::<&RawValue>(document) {
            Ok(raw) => Ok(Value { document, text: raw.get() }),
            Err(error) => Err(syntax_error(document, &error)),
        }
    }

    /// Reads the keys that a record names from an object on a line of a log, whatever other keys it
    /// has.
    pub(super) fn record<T: Deserialize<'a>>(line: &'a str) -> Result<T, Error> {
        let trimmed = line.trim_start();
        if !trimmed.starts_with('{') {
            // Else an array would do.
            return Err(Value::parse(line)?.wrong_type("an object"));
        }
        serde_json::from_str(line).map_err(|error| syntax_error(line, &error))
    }

    /// A value of a document that has been read without error.
    pub(super) fn inside(document: &'a str, raw: &'a RawValue) -> Value<'a> {
        Value { document, text: raw.get() }
    }

    /// The same value as a document of its own, from which the places of errors then count.
    pub(super) fn alone(self) -> Value<'a> {
        Value { document: self.text, text: self.text }
    }

    /// Where it stands in the document, in bytes.
    pub(super) fn span(&self) -> Range<usize> {
        let start = (self.text.as_ptr() as usize).wrapping_sub(self.document.as_ptr() as usize);
        start..start.saturating_add(self.text.len())
    }

    /// The value of a key of an object, whatever else stands there.
    pub(super) fn field(self, key: &str) -> Option<Value<'a>> {
        if !self.text.starts_with('{') {
            return None;
        }
        let fields = self.collect::<Object<'a>>().ok()?.0.into_iter();
        let mut found = fields.filter(|(name, _)| name.0 == key);
        found.next().map(|(_, raw)| Value { document: self.document, text: raw.get() })
    }

    /// An error about this value.
    #[cold]
    pub(super) fn error(&self, kind: ErrorKind) -> Error {
        self.locate(Error::new(kind))
    }

    /// Adds the place of this value to an error.
    #[cold]
    pub(super) fn locate(&self, error: Error) -> Error {
        let (line, column) = place(self.document, self.text);
        error.at(line, column)
    }

    pub(super) fn is_null(&self) -> bool {
        self.text == "null"
    }

    /// Reads an object with these keys and no others, each at most once.
    pub(super) fn fields<const N: usize>(
        self,
        keys: [&'static str; N],
    ) -> Result<[Option<Value<'a>>; N], Error> {
        if !self.text.starts_with('{') {
            return Err(self.wrong_type("an object"));
        }
        let mut fields = [None; N];
        for (key, raw) in self.collect::<Object<'a>>()?.0 {
            let value = Value { document: self.document, text: raw.get() };
            let wrong = |kind| {
                let (line, column) = match &key.0 {
                    // The place of a key is that of its opening quote.
                    Cow::Borrowed(key) => {
                        let (line, column) = place(self.document, key);
                        (line, column.saturating_sub(1))
                    }
                    // A key with escapes is not a slice of the document; its value is near.
                    Cow::Owned(_) => place(self.document, value.text),
                };
                Err(Error::new(kind).at(line, column).for_key(&key.0))
            };
            let field = keys.iter().position(|known| *known == key.0);
            match field.and_then(|index| fields.get_mut(index)) {
                None => return wrong(ErrorKind::UnknownKey),
                Some(Some(_)) => return wrong(ErrorKind::DuplicateKey),
                Some(field) => *field = Some(value),
            }
        }
        Ok(fields)
    }

    /// Reads an object with any keys, in their order.
    pub(super) fn entries(self) -> Result<Vec<(Cow<'a, str>, Value<'a>)>, Error> {
        if !self.text.starts_with('{') {
            return Err(self.wrong_type("an object"));
        }
        let value = |raw: &'a RawValue| Value { document: self.document, text: raw.get() };
        let fields = self.collect::<Object<'a>>()?.0.into_iter();
        Ok(fields.map(|(key, raw)| (key.0, value(raw))).collect())
    }

    /// Reads an array.
    pub(super) fn elements(self) -> Result<impl Iterator<Item = Value<'a>>, Error> {
        if !self.text.starts_with('[') {
            return Err(self.wrong_type("an array"));
        }
        let elements = self.collect::<Vec<&'a RawValue>>()?.into_iter();
        Ok(elements.map(move |raw| Value { document: self.document, text: raw.get() }))
    }

    /// Reads a string.
    pub(super) fn string(self) -> Result<Cow<'a, str>, Error> {
        match self.text.starts_with('"') {
            true => self.collect::<Text<'a>>().map(|text| text.0),
            false => Err(self.wrong_type("a string")),
        }
    }

    /// Reads a string or null.
    pub(super) fn optional_string(self) -> Result<Option<Cow<'a, str>>, Error> {
        if self.is_null() { Ok(None) } else { self.string().map(Some) }
    }

    /// Returns the text of a number.
    pub(super) fn number(self) -> Result<&'a str, Error> {
        match self.text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            true => Ok(self.text),
            false => Err(self.wrong_type("a number")),
        }
    }

    /// Reads a whole number from 0 to `limit`.
    pub(super) fn whole_number(self, limit: u64) -> Result<u64, Error> {
        let number = self.number()?;
        number.parse().ok().filter(|parsed| *parsed <= limit).ok_or_else(|| {
            self.error(ErrorKind::NumberOutOfRange { number: number.into(), range: (0, limit) })
        })
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(self) -> Result<bool, Error> {
        match self.text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong_type("a boolean")),
        }
    }

    /// Reads a string that is an IP address.
    pub(super) fn address(self) -> Result<IpAddr, Error> {
        let text = self.string()?;
        text.parse()
            .map_err(|_| self.error(ErrorKind::InvalidLogAddress { text: text.into_owned() }))
    }

    /// Reads a number from 0 to 255 as that of a protocol.
    pub(super) fn protocol_number(self) -> Result<IpProtocol, Error> {
        self.whole_number(u8::MAX.into()).map(|number| IpProtocol(number as u8))
    }

    pub(super) fn is_array(&self) -> bool {
        self.text.starts_with('[')
    }

    pub(super) fn is_object(&self) -> bool {
        self.text.starts_with('{')
    }

    pub(super) fn is_string(&self) -> bool {
        self.text.starts_with('"')
    }

    /// Reads a string by its [`FromStr`](std::str::FromStr).
    pub(super) fn parsed<T: std::str::FromStr<Err = Error>>(self) -> Result<T, Error> {
        self.string()?.parse().map_err(|error| self.locate(error))
    }

    /// Reads an endpoint: a string, or an object of `hostname` and `port`.
    pub(super) fn endpoint(self) -> Result<Endpoint, Error> {
        if self.is_string() {
            return self.parsed();
        }
        if !self.text.starts_with('{') {
            return Err(self.wrong_type("an endpoint (a string or an object)"));
        }
        let [hostname, port] = self.fields(["hostname", "port"])?;
        let missing = || self.error(ErrorKind::MissingKey { expected: "`hostname`" });
        let host = hostname.ok_or_else(missing)?.keyed("hostname", Value::parsed)?;
        let ports = match port {
            None => Ports::ANY,
            Some(port) => port.keyed("port", Value::ports)?,
        };
        Ok(Endpoint::from_parts(host, ports))
    }

    fn ports(self) -> Result<Ports, Error> {
        if self.is_string() {
            return self.parsed();
        }
        if self.number().is_err() {
            return Err(self.wrong_type("a port (a string or a number)"));
        }
        let port = self.whole_number(u16::MAX.into())?;
        Ok(Ports::one(port as u16))
    }

    /// Reads this value as that of `key`, which errors then name.
    pub(super) fn keyed<T>(
        self,
        key: &str,
        read: impl FnOnce(Value<'a>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        read(self).map_err(|error| self.locate(error.for_key(key)))
    }

    #[cold]
    pub(super) fn wrong_type(&self, expected: &'static str) -> Error {
        let found = match self.text.bytes().next() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        };
        self.error(ErrorKind::WrongType { expected, found })
    }

    fn collect<T: Deserialize<'a>>(self) -> Result<T, Error> {
        // The syntax was checked when the document was parsed; what is left are escapes of lone
        // surrogates, which are not text.
        serde_json::from_str(self.text).map_err(|error| self.locate(syntax(&error)))
    }
}

/// An error with its place in the document.
#[cold]
fn syntax_error(document: &str, error: &serde_json::Error) -> Error {
    let line = document.lines().nth(error.line().saturating_sub(1)).unwrap_or("");
    let before = line.get(..error.column().saturating_sub(1)).unwrap_or(line);
    let column = before.chars().count() as u64 + 1;
    syntax(error).at(error.line() as u64, column)
}

#[cold]
fn syntax(error: &serde_json::Error) -> Error {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    Error::new(ErrorKind::Syntax { message })
}

/// Line and column, from 1, of `part`, which is a slice of `document`.
fn place(document: &str, part: &str) -> (u64, u64) {
    let offset = (part.as_ptr() as usize).wrapping_sub(document.as_ptr() as usize);
    let before = document.get(..offset).unwrap_or("");
    let line = before.matches('\n').count() as u64 + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() as u64 + 1;
    (line, column)
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Object<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        std::iter::from_fn(|| map.next_entry().transpose()).collect::<Result<_, _>>().map(Object)
    }
}
