//! Text into the caller's buffer.

use crate::capi::handle::Buffer;
use crate::capi::status::Checked;
use std::ffi::c_char;

/// Writes `text` and a NUL.
pub(super) fn fill(buffer: Buffer<c_char>, text: &str) -> Checked<()> {
    let bytes = text.bytes().chain([0]).map(|byte| byte as c_char);
    buffer.fill(&bytes.collect::<Vec<c_char>>())
}
