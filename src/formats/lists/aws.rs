//! AWS ip-ranges.json.

use super::collect::Collector;
use super::document::Document;
use crate::error::{Error, ErrorKind};

/// What prefixes can be selected by.
pub(super) const KEYS: &[&str] = &["region", "service", "network_border_group"];

pub(super) fn read(document: &Document<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
    let lists = [
        ("prefixes", "ip_prefix", "`ip_prefix`"),
        ("ipv6_prefixes", "ipv6_prefix", "`ipv6_prefix`"),
    ];
    let mut has_any = false;
    for (key, network, expected) in lists {
        if let Some(array) = document.root.field(key) {
            has_any = true;
            document.each_object(array, (&[network], expected), KEYS, out)?;
        }
    }
    let expected = "`prefixes` or `ipv6_prefixes`";
    let missing = || document.root.error(ErrorKind::MissingKey { expected });
    has_any.then_some(()).ok_or_else(missing)
}
