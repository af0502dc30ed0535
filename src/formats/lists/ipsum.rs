//! stamparm ipsum: an address, and on how many lists it is.

use super::address;
use super::collect::Collector;
use super::entry::{Entry, LeftOut};
use super::import::ReadLine;
use super::lines::Line;
use crate::error::{Error, ErrorKind};

pub(super) struct Reader;

impl ReadLine for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
        let text = line.content(&['#']);
        if text.is_empty() {
            return Ok(());
        }
        let place = line.place(text);
        match entry(text) {
            Ok((_, Some(count))) if count < out.options.min_count => {
                out.leave_out(place, LeftOut::BelowMinCount)
            }
            // A level file has no counts, as each entry is on as many lists as its name says.
            Ok((entry, _)) => out.accept(place, entry),
            Err(error) => out.take(place, Err(error)),
        }
    }
}

fn entry(text: &str) -> Result<(Entry<'static>, Option<u64>), Error> {
    let Some((address, count)) = text.split_once(|c: char| c.is_ascii_whitespace()) else {
        return Ok((address::network(text)?, None));
    };
    let entry = address::network(address)?;
    let count = count.trim().parse().map_err(|_| {
        let (expected, found) = ("a number of lists", count.trim().to_owned());
        Error::new(ErrorKind::UnexpectedText { expected, found })
    })?;
    Ok((entry, Some(count)))
}

/// Whether a line is an entry of this format with a count.
pub(super) fn explains(line: &Line<'_>) -> bool {
    matches!(entry(line.content(&['#'])), Ok((_, Some(_))))
}
