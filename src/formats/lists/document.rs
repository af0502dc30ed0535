//! [`Document`]: a list that is one JSON document, held whole.

use super::collect::Collector;
use super::entry::LeftOut;
use super::import::Options;
use crate::error::{Error, ErrorKind};
use crate::formats::json::Value;
use crate::formats::places::Places;
use crate::formats::settings;
use std::borrow::Cow;

/// A JSON document, and where its values stand.
pub(super) struct Document<'a> {
    pub(super) root: Value<'a>,
    places: Places<'a>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Document<'a>, Error> {
        Ok(Document { root: Value::parse(text)?, places: Places::new(text) })
    }

    /// The place of a value.
    pub(super) fn place(&self, value: Value<'a>) -> (u64, u64) {
        self.places.of(value.span().start)
    }

    /// The same error at the place of the value that it came of, or of the part of it.
    pub(super) fn locate(&self, value: Value<'a>, error: Error) -> Error {
        let (line, column) = self.place(value);
        error.within(line, column)
    }

    /// The value of a key of the document, which is `expected` in messages.
    pub(super) fn required(&self, key: &str, expected: &'static str) -> Result<Value<'a>, Error> {
        let missing = || self.root.error(ErrorKind::MissingKey { expected });
        self.root.field(key).ok_or_else(missing)
    }

    /// Reads each element of an array as an entry.
    ///
    /// `read` is given the element as a document of its own, so that errors cost no search.
    pub(super) fn each(
        &self,
        array: Value<'a>,
        out: &mut Collector<'_>,
        mut read: impl FnMut(Value<'a>, &mut Collector<'_>, (u64, u64)) -> Result<(), Failed>,
    ) -> Result<(), Error> {
        for element in array.elements()? {
            let place = self.place(element);
            match read(element.alone(), out, place) {
                Ok(()) => {}
                Err(Failed::Entry(error)) => out.reject(self.locate(element, error))?,
                Err(Failed::List(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads each element of an array, an object, as the network that one of `networks` holds,
    /// which are `expected` in messages, if it is selected by `keys`.
    pub(super) fn each_object(
        &self,
        array: Value<'a>,
        (networks, expected): (&[&'static str], &'static str),
        keys: &[&str],
        out: &mut Collector<'_>,
    ) -> Result<(), Error> {
        self.each(array, out, |element, out, place| {
            let fields = element.entries().map_err(Failed::Entry)?;
            let is_selected = selected(out.options, |key| {
                let key = keys.iter().find(|own| **own == key)?;
                find(&fields, key)?.string().ok()
            });
            if !is_selected {
                return out.leave_out(place, LeftOut::NotSelected).map_err(Failed::List);
            }
            let mut has_any = false;
            for network in networks.iter().filter_map(|key| find(&fields, key)) {
                if std::mem::replace(&mut has_any, true) {
                    let (expected, found) = ("one network", networks.join("` and `"));
                    let kind = ErrorKind::UnexpectedText { expected, found };
                    return Err(Failed::Entry(network.error(kind)));
                }
            }
            let network = networks.iter().find_map(|key| find(&fields, key));
            let missing = || Failed::Entry(element.error(ErrorKind::MissingKey { expected }));
            let network = network.ok_or_else(missing)?;
            let entry = network.string().and_then(|text| super::address::network(&text));
            let entry = entry.map_err(|error| Failed::Entry(network.locate(error)))?;
            out.accept(place, entry).map_err(Failed::List)
        })
    }

    /// Reads each element of an array as a network.
    pub(super) fn each_network(
        &self,
        array: Value<'a>,
        out: &mut Collector<'_>,
    ) -> Result<(), Error> {
        self.each(array, out, |element, out, place| {
            let entry = super::address::network(&element.string().map_err(Failed::Entry)?);
            out.accept(place, entry.map_err(Failed::Entry)?).map_err(Failed::List)
        })
    }
}

/// What is wrong with one entry, or ends the list.
pub(super) enum Failed {
    Entry(Error),
    List(Error),
}

/// Whether what is asked for takes an entry whose values `value_of` gives.
pub(super) fn selected<'a>(
    options: &Options,
    value_of: impl Fn(&str) -> Option<Cow<'a, str>>,
) -> bool {
    options.select.iter().all(|select| select.takes(&value_of(&select.key).unwrap_or_default()))
}

/// The value of a key among those of an object.
pub(super) fn find<'a>(fields: &[(Cow<'a, str>, Value<'a>)], key: &str) -> Option<Value<'a>> {
    fields.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
}

/// Text of a document, without its byte order mark.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Error> {
    settings::checked_text(bytes)
}
