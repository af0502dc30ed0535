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
        match range(text) {
            Some((part, entry)) => out.take(line.place(part), entry),
            None => match address::entry(text) {
                Ok(entry) => out.accept(line.place(text), entry),
                Err(error) if !text.contains(':') => out.take(line.place(text), Err(error)),
                Err(_) => {
                    let expected = "`label:first-last`";
                    let found = text.to_owned();
                    let error = Error::new(ErrorKind::UnexpectedText { expected, found });
                    out.take(line.place(text), Err(error))
                }
            },
        }
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
    range(text).is_some_and(|(part, entry)| part.len() < text.len() && entry.is_ok())
}
