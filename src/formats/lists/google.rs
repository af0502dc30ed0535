//! Google goog.json and cloud.json.

use super::collect::Collector;
use super::document::Document;
use crate::error::Error;

/// What prefixes can be selected by.
pub(super) const KEYS: &[&str] = &["service", "scope"];

pub(super) fn read(document: &Document<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
    let prefixes = document.required("prefixes", "`prefixes`")?;
    let networks: &[_] = &["ipv4Prefix", "ipv6Prefix"];
    document.each_object(prefixes, (networks, "`ipv4Prefix` or `ipv6Prefix`"), KEYS, out)
}
