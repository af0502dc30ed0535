//! GitHub `/meta`: an object whose keys hold networks, and some other things.

use super::address;
use super::collect::Collector;
use super::document::{Document, Failed};
use super::entry::LeftOut;
use crate::error::Error;

/// What networks can be selected by.
pub(super) const KEYS: &[&str] = &["key"];

pub(super) fn read(document: &Document<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
    for (key, value) in document.root.entries()? {
        let holds_addresses = !key.starts_with("ssh_");
        if value.is_object() {
            // Domains and fingerprints.
            out.leave_out(document.place(value), LeftOut::NotAddresses)?;
        }
        if !value.is_array() {
            continue;
        }
        let is_selected = out.options.select.iter().all(|select| select.takes(&key));
        document.each(value, out, |element, out, place| {
            if !holds_addresses {
                return out.leave_out(place, LeftOut::NotAddresses).map_err(Failed::List);
            }
            if !is_selected {
                return out.leave_out(place, LeftOut::NotSelected).map_err(Failed::List);
            }
            let entry = address::network(&element.string().map_err(Failed::Entry)?);
            out.take(place, entry).map_err(Failed::List)
        })?;
    }
    Ok(())
}
