//! RFC 8805 geofeeds: `prefix,country,region,city,postal`.

use super::address;
use super::collect::Collector;
use super::csv::fields;
use super::entry::LeftOut;
use super::import::ReadLine;
use super::lines::Line;
use crate::error::Error;

/// The columns after the prefix.
pub(super) const KEYS: &[&str] = &["country", "region", "city", "postal"];

pub(super) struct Reader;

impl ReadLine for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
        let text = line.content(&['#']);
        if text.is_empty() {
            return Ok(());
        }
        let place = line.place(text);
        let fields = match fields(text) {
            Ok(fields) => fields,
            Err(error) => return out.take(place, Err(error)),
        };
        let mut choices = out.options.select.iter();
        let takes = choices.all(|select| {
            let column = KEYS.iter().position(|key| *key == select.key);
            let field = column.and_then(|column| fields.get(column + 1));
            select.takes(field.map_or("", |field| field))
        });
        if !takes {
            return out.leave_out(place, LeftOut::NotSelected);
        }
        out.take(place, address::network(fields.first().map_or("", |field| field.trim())))
    }
}

/// Whether a line is an entry of this format.
pub(super) fn explains(line: &Line<'_>) -> bool {
    let Ok(fields) = fields(line.content(&['#'])) else { return false };
    let field = |index: usize| fields.get(index).map(|field| field.trim());
    let is_country = |text: &str| {
        text.is_empty() || (text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()))
    };
    (2..=5).contains(&fields.len())
        && field(1).is_some_and(is_country)
        && field(0).is_some_and(|prefix| address::network(prefix).is_ok())
}
