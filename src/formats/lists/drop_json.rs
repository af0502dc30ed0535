//! Spamhaus DROP as lines of JSON, the last of which says how many there are.

use super::address;
use super::collect::Collector;
use super::document::find;
use super::import::ReadLine;
use super::lines::Line;
use crate::error::{Error, ErrorKind};
use crate::formats::json::Value;

/// Reads lines, and the record at their end.
#[derive(Default)]
pub(super) struct Reader {
    stated: Option<(u64, (u64, u64))>,
    last: u64,
}

impl ReadLine for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
        self.last = line.number;
        let text = line.text.trim();
        if text.is_empty() {
            return Ok(());
        }
        let (number, column) = line.place(text);
        match record(text) {
            Ok(Record::Network(cidr)) => {
                let entry = cidr.string().and_then(|text| address::network(&text));
                let at = |error: Error| cidr.locate(error).within(number, column);
                match entry {
                    Ok(entry) => out.accept((number, column), entry),
                    Err(error) => out.reject(at(error)),
                }
            }
            Ok(Record::Metadata(records)) => {
                self.stated = Some((records, (number, column)));
                Ok(())
            }
            Err(error) => out.reject(error.within(number, column)),
        }
    }

    fn end(&mut self, out: &mut Collector<'_>) -> Result<(), Error> {
        let found = out.entries();
        match self.stated {
            None => out.problem((self.last.max(1), 1), Error::new(ErrorKind::MissingRecord)),
            Some((stated, place)) if stated != found => {
                out.problem(place, Error::new(ErrorKind::CountMismatch { stated, found }));
            }
            Some(_) => {}
        }
        Ok(())
    }
}

enum Record<'a> {
    Network(Value<'a>),
    Metadata(u64),
}

fn record(text: &str) -> Result<Record<'_>, Error> {
    let value = Value::parse(text)?;
    let fields = value.entries()?;
    if let Some(cidr) = find(&fields, "cidr") {
        return Ok(Record::Network(cidr));
    }
    let is_metadata = find(&fields, "type")
        .is_some_and(|of_type| of_type.string().is_ok_and(|of_type| of_type == "metadata"));
    match find(&fields, "records") {
        Some(records) if is_metadata => Ok(Record::Metadata(records.whole_number(u64::MAX)?)),
        _ => Err(value.error(ErrorKind::MissingKey { expected: "`cidr`" })),
    }
}

/// Whether a line is a record of this format.
pub(super) fn explains(line: &Line<'_>) -> bool {
    line.text.trim_start().starts_with('{') && record(line.text.trim()).is_ok()
}
