//! Fastly public-ip-list.

use super::collect::Collector;
use super::document::Document;
use crate::error::{Error, ErrorKind};

pub(super) fn read(document: &Document<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
    let mut has_any = false;
    for key in ["addresses", "ipv6_addresses"] {
        if let Some(array) = document.root.field(key) {
            has_any = true;
            document.each_network(array, out)?;
        }
    }
    let expected = "`addresses` or `ipv6_addresses`";
    let missing = || document.root.error(ErrorKind::MissingKey { expected });
    has_any.then_some(()).ok_or_else(missing)
}
