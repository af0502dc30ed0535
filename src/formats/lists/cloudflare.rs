//! Cloudflare's answer to `/ips`.

use super::collect::Collector;
use super::document::Document;
use crate::error::{Error, ErrorKind};

pub(super) fn read(document: &Document<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
    let result = document.root.field("result").unwrap_or(document.root);
    let mut has_any = false;
    for key in ["ipv4_cidrs", "ipv6_cidrs", "jdcloud_cidrs"] {
        if let Some(array) = result.field(key) {
            has_any = true;
            document.each_network(array, out)?;
        }
    }
    let expected = "`ipv4_cidrs` or `ipv6_cidrs`";
    has_any.then_some(()).ok_or_else(|| result.error(ErrorKind::MissingKey { expected }))
}
