//! What every function runs in: a panic goes no further, and a failure becomes a status, and an
//! error where there is room for one.

use crate::capi::error::fsv_error;
use crate::capi::handle;
use crate::capi::status::{self, Checked, FSV_STATUS_OK, FSV_STATUS_PANIC, fsv_status};
use crate::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a function with an `error` fails.
pub(super) enum Failure {
    /// There is nothing to say beyond the status.
    Status(fsv_status),
    /// Of the library, about a value.
    Error(Error),
    /// Of the library, about settings text.
    Text(Error),
    /// With a message of its own.
    Message(fsv_status, String),
}

impl From<fsv_status> for Failure {
    fn from(status: fsv_status) -> Failure {
        Failure::Status(status)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

/// Runs what a function does.
#[inline(always)]
pub(super) fn guard(run: impl FnOnce() -> Checked<()>) -> fsv_status {
    guard_status(|| run().err().unwrap_or(FSV_STATUS_OK))
}

/// Runs what a function does that has its status itself.
#[inline(always)]
pub(super) fn guard_status(run: impl FnOnce() -> fsv_status) -> fsv_status {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(status) => status,
        Err(payload) => {
            // To drop what somebody panicked with could panic again.
            std::mem::forget(payload);
            FSV_STATUS_PANIC
        }
    }
}

/// Runs what a function without a status does; `otherwise` is for what cannot be done.
#[inline(always)]
pub(super) fn guard_or<T>(otherwise: T, run: impl FnOnce() -> Checked<T>) -> T {
    let mut value = otherwise;
    guard(|| {
        value = run()?;
        Ok(())
    });
    value
}

/// Runs what a function with an `error` does, and says there why it failed.
///
/// # Safety
///
/// The contract of the header for `error`, which may be NULL.
pub(super) unsafe fn guard_with(
    error: *mut *mut fsv_error,
    run: impl FnOnce() -> Result<(), Failure>,
) -> fsv_status {
    let mut failure = None;
    let mut status = guard(|| {
        run().map_err(|found| {
            let status = match &found {
                Failure::Status(status) | Failure::Message(status, _) => *status,
                Failure::Error(error) => status::of(error),
                Failure::Text(error) => status::of_text(error),
            };
            failure = Some(found);
            status
        })
    });
    if status != FSV_STATUS_OK {
        let given = guard(|| {
            // SAFETY: passed on.
            if let Ok(out) = unsafe { handle::out(error) } {
                out.write(handle::give(fsv_error::new(status, failure)));
            }
            Ok(())
        });
        if given != FSV_STATUS_OK {
            status = given;
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capi::status::FSV_STATUS_NULL_POINTER;
    use crate::capi::{fsv_error_free, fsv_error_message, fsv_error_status};
    use std::ffi::CStr;
    use std::ptr::null_mut;

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(guard(|| panic!("as nothing should")), FSV_STATUS_PANIC);
        assert_eq!(guard_or(7, || panic!("as nothing should")), 7);
    }

    #[test]
    fn a_panic_that_panics_when_it_is_dropped_becomes_a_status() {
        struct Spiteful;
        impl Drop for Spiteful {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        assert_eq!(guard(|| std::panic::panic_any(Spiteful)), FSV_STATUS_PANIC);
    }

    #[test]
    fn a_panic_becomes_an_error_where_there_is_room_for_one() {
        let mut error = null_mut();
        // SAFETY: `error` may be written to, or is NULL.
        unsafe {
            assert_eq!(guard_with(null_mut(), || panic!("so")), FSV_STATUS_PANIC);
            assert_eq!(guard_with(&raw mut error, || panic!("so")), FSV_STATUS_PANIC);
            assert_eq!(fsv_error_status(error), FSV_STATUS_PANIC);
            let message = CStr::from_ptr(fsv_error_message(error));
            assert_eq!(message, c"the library failed inside");
            fsv_error_free(error);
        }
    }

    #[test]
    fn what_cannot_be_done_gives_the_other_value() {
        assert_eq!(guard_or(7, || Err(FSV_STATUS_NULL_POINTER)), 7);
        assert_eq!(guard_or(7, || Ok(8)), 8);
    }
}
