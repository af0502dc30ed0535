//! Azure service tags: `values[].properties.addressPrefixes[]`.

use super::address;
use super::collect::Collector;
use super::document::{Document, Failed, selected};
use super::entry::LeftOut;
use crate::error::{Error, ErrorKind};

/// What prefixes can be selected by.
pub(super) const KEYS: &[&str] = &["name", "region", "systemService"];

pub(super) fn read(document: &Document<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
    for value in document.required("values", "`values`")?.elements()? {
        let Some(properties) = value.field("properties") else {
            let missing = ErrorKind::MissingKey { expected: "`properties`" };
            out.reject(document.locate(value, Error::new(missing)))?;
            continue;
        };
        let Some(prefixes) = properties.field("addressPrefixes") else {
            let missing = ErrorKind::MissingKey { expected: "`addressPrefixes`" };
            out.reject(document.locate(properties, Error::new(missing)))?;
            continue;
        };
        let is_selected = selected(out.options, |key| {
            let field = value.field(key).or_else(|| properties.field(key))?;
            field.string().ok()
        });
        document.each(prefixes, out, |element, out, place| {
            if !is_selected {
                return out.leave_out(place, LeftOut::NotSelected).map_err(Failed::List);
            }
            let entry = address::network(&element.string().map_err(Failed::Entry)?);
            out.take(place, entry).map_err(Failed::List)
        })?;
    }
    Ok(())
}
