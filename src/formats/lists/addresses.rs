//! Addresses, networks and ranges, one a line: FireHOL .netset and .ipset among others.

use super::address;
use super::collect::Collector;
use super::import::ReadLine;
use super::lines::Line;
use crate::error::{Error, ErrorKind};

/// Reads lines, and the number of entries that a FireHOL header states.
#[derive(Default)]
pub(super) struct Reader {
    stated: Option<(u64, (u64, u64))>,
}

impl ReadLine for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
        let text = line.content(&['#', ';']);
        if text.is_empty() {
            if let Some(stated) = stated(line.text) {
                self.stated.get_or_insert((stated, (line.number, 1)));
            }
            return Ok(());
        }
        out.take(line.place(text), address::entry(text))
    }

    fn end(&mut self, out: &mut Collector<'_>) -> Result<(), Error> {
        let found = out.entries();
        if let Some((stated, place)) = self.stated.filter(|(stated, _)| *stated != found) {
            out.problem(place, Error::new(ErrorKind::CountMismatch { stated, found }));
        }
        Ok(())
    }
}

/// The number in a header such as `# Entries : 12 subnets, 3,072 unique IPs`: that of lines.
fn stated(line: &str) -> Option<u64> {
    let (key, value) = line.trim_start_matches('#').split_once(':')?;
    if !key.trim().eq_ignore_ascii_case("entries") {
        return None;
    }
    let number = value.split_whitespace().next()?.replace(',', "");
    number.parse().ok()
}

/// Whether a line is an entry of this format.
pub(super) fn explains(line: &Line<'_>) -> bool {
    address::entry(line.content(&['#', ';'])).is_ok()
}
