//! DShield block list: start, end and mask of a network, between tabs.

use super::address;
use super::collect::Collector;
use super::entry::{Entry, Remotes};
use super::import::ReadLine;
use super::lines::Line;
use crate::error::{Error, ErrorKind};

pub(super) struct Reader;

impl ReadLine for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
        let text = line.text.trim();
        if text.is_empty() || text.starts_with('#') || is_header(text) {
            return Ok(());
        }
        out.take(line.place(text), entry(text))
    }
}

/// The row of column names, which has no mark.
fn is_header(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("start"))
}

fn entry(text: &str) -> Result<Entry<'static>, Error> {
    let unexpected = |found: &str| {
        let expected = "start, end and mask, between tabs";
        Error::new(ErrorKind::UnexpectedText { expected, found: found.to_owned() })
    };
    let mut fields = text.split_ascii_whitespace();
    let (Some(first), Some(last), Some(mask)) = (fields.next(), fields.next(), fields.next())
    else {
        return Err(unexpected(text));
    };
    let (Some(start), Some(end)) = (address::address(first), address::address(last)) else {
        return Err(unexpected(text));
    };
    let entry = address::range(start, end)?;
    // What the mask makes of the start has to be the same network.
    let masked = address::network(&format!("{}/{mask}", start.0))?;
    match masked.remotes.first() {
        Some(Remotes::Net(net)) if (net.network(), net.broadcast()) == (start.0, end.0) => {
            Ok(entry)
        }
        _ => Err(Error::new(ErrorKind::UnexpectedText {
            expected: "a mask that agrees with start and end",
            found: mask.to_owned(),
        })),
    }
}

/// Whether a line is an entry of this format.
pub(super) fn explains(line: &Line<'_>) -> bool {
    entry(line.text.trim()).is_ok()
}
