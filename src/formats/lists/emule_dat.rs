//! eMule .dat: `first - last , access , label`.

use super::address;
use super::collect::Collector;
use super::entry::{Entry, LeftOut, Notes};
use super::import::ReadLine;
use super::lines::Line;
use crate::error::{Error, ErrorKind};

pub(super) struct Reader;

impl ReadLine for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
        let text = line.text.trim();
        if text.is_empty() || text.starts_with('#') || text.starts_with("//") {
            return Ok(());
        }
        let place = line.place(text);
        match entry(text) {
            Ok((_, access)) if access > LAST_BLOCKED => out.leave_out(place, LeftOut::NotBlocked),
            Ok((entry, _)) => out.accept(place, entry),
            Err(error) => out.take(place, Err(error)),
        }
    }
}

/// The highest access that is blocked.
const LAST_BLOCKED: u64 = 127;

/// What a line says, and its access.
fn entry(text: &str) -> Result<(Entry<'static>, u64), Error> {
    let mut fields = text.splitn(3, ',');
    let range = fields.next().unwrap_or("").trim();
    // Octets are padded with zeros as a rule here, which is nothing to be noted.
    let entry = Entry { notes: Notes::default(), ..address::entry(range)? };
    let access = match fields.next().map(str::trim) {
        None | Some("") => 0,
        Some(access) => access.parse().map_err(|_| {
            let expected = "an access, which is a number";
            Error::new(ErrorKind::UnexpectedText { expected, found: access.to_owned() })
        })?,
    };
    Ok((entry, access))
}

/// Whether a line is an entry of this format with an access.
pub(super) fn explains(line: &Line<'_>) -> bool {
    line.text.contains(',') && line.text.contains('-') && entry(line.text.trim()).is_ok()
}
