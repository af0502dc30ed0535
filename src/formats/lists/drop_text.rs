//! Spamhaus DROP as text: `192.0.2.0/24 ; SBL1`.

use super::address;
use super::collect::Collector;
use super::import::ReadLine;
use super::lines::Line;
use crate::error::Error;

pub(super) struct Reader;

impl ReadLine for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
        match line.content(&[';']) {
            "" => Ok(()),
            text => out.take(line.place(text), address::network(text)),
        }
    }
}

/// Whether a line is an entry of this format, with the number of its listing.
pub(super) fn explains(line: &Line<'_>) -> bool {
    let Some((net, comment)) = line.text.split_once(';') else { return false };
    comment.trim().starts_with("SBL") && address::network(net.trim()).is_ok()
}
