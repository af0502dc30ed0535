//! Google goog.json and cloud.json.

use super::collect::Collector;
use super::document::Document;
use crate::error::Error;

/// What prefixes can be selected by.
pub(super) const KEYS: &[&str] = &["service", "scope"];

pub(super) fn read(document: &Document<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
    let prefixes = document.required("prefixes", "`prefixes`")?;
    document.each_object(prefixes, &["ipv4Prefix", "ipv6Prefix"], KEYS, out)
}
