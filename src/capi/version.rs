//! The version.

use std::ffi::{CStr, c_char};

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };

/// Returns the version of the library, as `FSV_VERSION` writes it.
#[unsafe(no_mangle)]
pub extern "C" fn fsv_version() -> *const c_char {
    VERSION.as_ptr()
}

/// Returns the version of the library, as `FSV_VERSION_NUMBER` counts it.
#[unsafe(no_mangle)]
pub extern "C" fn fsv_version_number() -> u32 {
    let part = |text: &str| text.bytes().fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    part(major) << 16 | part(minor) << 8 | part(env!("CARGO_PKG_VERSION_PATCH"))
}
