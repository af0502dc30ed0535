//! `fsv_error`: what went wrong, and where.

use crate::capi::boundary::{Failure, guard, guard_or};
use crate::capi::handle;
use crate::capi::status::{self, FSV_STATUS_NULL_POINTER, fsv_status};
use crate::capi::types::FSV_NO_RULE;
use std::ffi::{CStr, CString, c_char};

/// What went wrong, and where.
pub struct fsv_error {
    status: fsv_status,
    message: CString,
    line: u64,
    column: u64,
    rule: u32,
}

impl fsv_error {
    /// Makes an error; without a failure, there is nothing to say beyond the status.
    pub(super) fn new(status: fsv_status, failure: Option<Failure>) -> fsv_error {
        let plain =
            |message: CString| fsv_error { status, message, line: 0, column: 0, rule: FSV_NO_RULE };
        match failure {
            None | Some(Failure::Status(_)) => plain(status::message(status).to_owned()),
            Some(Failure::Message(_, message)) => plain(c_string(message)),
            Some(Failure::Error(error) | Failure::Text(error)) => fsv_error {
                line: error.line().unwrap_or(0),
                column: error.column().unwrap_or(0),
                rule: error.rule_index().map_or(FSV_NO_RULE, |rule| rule as u32),
                ..plain(c_string(error.to_string()))
            },
        }
    }
}

/// Returns the text as C has it, up to a NUL, of which none should be in a message.
fn c_string(message: String) -> CString {
    let text = message.split('\0').next().unwrap_or("").to_owned();
    CString::new(text).unwrap_or_default()
}

/// Returns the status of the call that gave an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_error_status(error: *const fsv_error) -> fsv_status {
    guard_or(FSV_STATUS_NULL_POINTER, || {
        // SAFETY: the contract of the header.
        Ok(unsafe { handle::borrow(error) }?.status)
    })
}

/// Returns the message of an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_error_message(error: *const fsv_error) -> *const c_char {
    guard_or(c"".as_ptr(), || {
        // SAFETY: the contract of the header.
        let error = unsafe { handle::borrow(error) }?;
        Ok(CStr::as_ptr(&error.message))
    })
}

/// Returns the line of an error, from 1, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_error_line(error: *const fsv_error) -> u64 {
    // SAFETY: the contract of the header.
    guard_or(0, || Ok(unsafe { handle::borrow(error) }?.line))
}

/// Returns the column of an error, from 1, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_error_column(error: *const fsv_error) -> u64 {
    // SAFETY: the contract of the header.
    guard_or(0, || Ok(unsafe { handle::borrow(error) }?.column))
}

/// Returns the index of the rule that an error is about, or `FSV_NO_RULE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_error_rule(error: *const fsv_error) -> u32 {
    // SAFETY: the contract of the header.
    guard_or(FSV_NO_RULE, || Ok(unsafe { handle::borrow(error) }?.rule))
}

/// Frees an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_error_free(error: *mut fsv_error) {
    guard(|| {
        // SAFETY: the contract of the header.
        unsafe { handle::free(error) };
        Ok(())
    });
}
