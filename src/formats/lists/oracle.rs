//! Oracle public_ip_ranges.json: `regions[].cidrs[].cidr`.

use super::address;
use super::collect::Collector;
use super::document::{Document, Failed};
use super::entry::LeftOut;
use crate::error::{Error, ErrorKind};

/// What prefixes can be selected by.
pub(super) const KEYS: &[&str] = &["region", "tag"];

pub(super) fn read(document: &Document<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
    for region in document.required("regions", "`regions`")?.elements()? {
        let Some(cidrs) = region.field("cidrs") else {
            let missing = ErrorKind::MissingKey { expected: "`cidrs`" };
            out.reject(document.locate(region, Error::new(missing)))?;
            continue;
        };
        let name = region.field("region").and_then(|name| name.string().ok());
        let name = name.unwrap_or_default();
        document.each(cidrs, out, |element, out, place| {
            let tags = element.field("tags").and_then(|tags| tags.elements().ok());
            let tags: Vec<_> = tags.into_iter().flatten().flat_map(|tag| tag.string()).collect();
            let is_selected = out.options.select.iter().all(|select| match select.key.as_str() {
                "tag" => tags.iter().any(|tag| select.takes(tag)),
                _ => select.takes(&name),
            });
            if !is_selected {
                return out.leave_out(place, LeftOut::NotSelected).map_err(Failed::List);
            }
            let missing = || element.error(ErrorKind::MissingKey { expected: "`cidr`" });
            let cidr = element.field("cidr").ok_or_else(missing).map_err(Failed::Entry)?;
            let entry = cidr.string().and_then(|text| address::network(&text));
            let entry = entry.map_err(|error| Failed::Entry(cidr.locate(error)))?;
            out.accept(place, entry).map_err(Failed::List)
        })?;
    }
    Ok(())
}
