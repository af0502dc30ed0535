//! PeerGuardian .p2p: `label:first-last`.

use super::address;
use super::collect::Collector;
use super::entry::Entry;
use super::import::ReadLine;
use super::lines::Line;
use crate::error::{Error, ErrorKind};

pub(super) struct Reader;

impl ReadLine for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
        let text = line.text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        // An IPv6 range by itself is no label and the rest of it.
        let whole = address::entry(text);
        if whole.is_ok() {
            return out.take(line.place(text), whole);
        }
        if let Some((part, entry)) = range(text) {
            return out.take(line.place(part), entry);
        }
        let error = match text.contains(':') {
            true => {
                let (expected, found) = ("`label:first-last`", text.to_owned());
                Err(Error::new(ErrorKind::UnexpectedText { expected, found }))
            }
            false => whole,
        };
        out.take(line.place(text), error)
    }
}

/// The range at the end of a line, and what it says. Labels hold colons, and so do IPv6 addresses:
/// the range begins after the last colon that a range follows.
fn range(text: &str) -> Option<(&str, Result<Entry<'static>, Error>)> {
    // An IPv6 range has no more colons than this.
    const MAX_COLONS: usize = 15;
    let colons = text.rmatch_indices(':').take(MAX_COLONS + 1);
    let mut last = None;
    for (colon, _) in colons {
        let part = text.get(colon + 1..)?.trim();
        let (Some((first, end)), true) = (part.split_once('-'), part.len() < 100) else { continue };
        let ends = (address::address(first.trim()), address::address(end.trim()));
        let (Some(first), Some(end)) = ends else { continue };
        // `:1-2::` might go on to the left, as in `2001:db8::1-2001:db8::2`.
        last = Some((part, address::range(first, end)));
        if first.0.is_ipv4() {
            break;
        }
    }
    last
}

/// Whether a line is an entry of this format with a label.
pub(super) fn explains(line: &Line<'_>) -> bool {
    let text = line.text.trim();
    address::entry(text).is_err() && range(text).is_some_and(|(_, entry)| entry.is_ok())
}
