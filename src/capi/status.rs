//! The statuses, and which of them each error of the library is.

use crate::error::{Error, ErrorKind};
use std::ffi::{CStr, c_char};

/// What became of a call.
pub type fsv_status = i32;

/// A value or the status that says why there is none.
pub(super) type Checked<T> = Result<T, fsv_status>;

/// Makes the constants, and their list.
macro_rules! statuses {
    ($($name:ident = $number:literal, $message:literal;)*) => {
        $(#[doc = $message] pub const $name: fsv_status = $number;)*

        /// Every status with its name and what it means.
        pub(super) const STATUSES: &[(fsv_status, &str, &CStr)] = &[
            $((
                $number,
                stringify!($name),
                match CStr::from_bytes_with_nul(concat!($message, "\0").as_bytes()) {
                    Ok(text) => text,
                    Err(_) => c"",
                },
            )),*
        ];
    };
}

statuses! {
    FSV_STATUS_OK = 0, "ok";
    FSV_STATUS_PANIC = 1, "the library failed inside";
    FSV_STATUS_NULL_POINTER = 2, "a pointer is NULL";
    FSV_STATUS_INVALID_SIZE = 3, "the size of a struct or socket address is not one that is taken";
    FSV_STATUS_INVALID_ARGUMENT = 4, "a number is none of its enumeration";
    FSV_STATUS_NOT_UTF8 = 5, "text is not UTF-8";
    FSV_STATUS_TOO_LARGE = 6, "a length is over its limit";
    FSV_STATUS_BUFFER_TOO_SMALL = 7, "the buffer is too small";
    FSV_STATUS_INVALID_FLOW = 8, "the flow contradicts itself, or knows what this library does not";
    FSV_STATUS_INVALID_HOST = 9, "the host is not the address or name that is needed";
    FSV_STATUS_INVALID_PORT = 10, "the port is not digits up to 65535";
    FSV_STATUS_INVALID_SCOPE = 11, "the scope id is not 1 to 15 letters, digits, `_` or `-`";
    FSV_STATUS_INVALID_PREFIX = 12, "the prefix length is over the width of the address";
    FSV_STATUS_UNSUPPORTED_FAMILY = 13, "the socket address is neither IPv4 nor IPv6";
    FSV_STATUS_INVALID_SETTINGS = 14, "the settings text is not valid";
    FSV_STATUS_OUT_OF_RANGE = 15, "there is no rule of this index";
    FSV_STATUS_TOO_MANY_RULES = 16, "there are more rules than a matcher takes";
    FSV_STATUS_MATCHER_TOO_LARGE = 17, "the matcher takes more memory than it may";
    FSV_STATUS_NO_PLAN = 18, "there is no first stage of so few rules";
    FSV_STATUS_NOT_KEPT = 19, "the matcher was made without what is asked of it";
}

/// Returns what a status means.
#[unsafe(no_mangle)]
pub extern "C" fn fsv_status_message(status: fsv_status) -> *const c_char {
    message(status).as_ptr()
}

/// What a status means.
pub(super) fn message(status: fsv_status) -> &'static CStr {
    let known = STATUSES.iter().find(|(number, ..)| *number == status);
    known.map_or(c"unknown status", |(.., message)| message)
}

/// The status of an error about one value; text of many values is judged by [`of_text`].
#[cold]
pub(super) fn of(error: &Error) -> fsv_status {
    use ErrorKind::*;
    match error.kind() {
        PrefixTooLong { .. } | PrefixNotFound => FSV_STATUS_INVALID_PREFIX,
        NotAnAddress { .. }
        | AddressAsHostname { .. }
        | EmptyHostname { .. }
        | HostnameTooLong { .. }
        | InvalidHostname { .. }
        | InvalidEndpoint { .. }
        | NameAsLocalEndpoint { .. } => FSV_STATUS_INVALID_HOST,
        InvalidZone { .. } => FSV_STATUS_INVALID_SCOPE,
        InvalidPort { .. } | InvalidPortRange { .. } | PortRangeInFlow => FSV_STATUS_INVALID_PORT,
        UnknownProtocol { .. }
        | UnknownDirection { .. }
        | UnknownAction { .. }
        | UnsupportedAction { .. }
        | UnknownLint { .. } => FSV_STATUS_INVALID_ARGUMENT,
        NotUtf8 => FSV_STATUS_NOT_UTF8,
        TooLarge { .. } => FSV_STATUS_TOO_LARGE,
        TooManyRules { .. } => FSV_STATUS_TOO_MANY_RULES,
        MatcherTooLarge { .. } => FSV_STATUS_MATCHER_TOO_LARGE,
        RuleIndexOutOfRange { .. } => FSV_STATUS_OUT_OF_RANGE,
        // The others are about text of many values: settings, and lists and logs, which are not read
        // through this interface.
        _ => FSV_STATUS_INVALID_SETTINGS,
    }
}

/// The status of an error of settings text: whatever stands in it, it is the text that is wrong.
pub(super) fn of_text(error: &Error) -> fsv_status {
    match of(error) {
        status @ (FSV_STATUS_NOT_UTF8 | FSV_STATUS_TOO_LARGE) => status,
        _ => FSV_STATUS_INVALID_SETTINGS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_header_is_one_here_with_the_same_number_and_a_message() {
        let header = include_str!("../../include/flowsieve.h");
        let listed = header.lines().filter_map(|line| {
            let (name, rest) = line.trim().split_once(" = ")?;
            let number = rest.split([',', ' ']).next()?.parse().ok()?;
            name.starts_with("FSV_STATUS_").then(|| (number, name.to_owned()))
        });
        let listed: Vec<(fsv_status, String)> = listed.collect();
        let here = STATUSES.iter().map(|(number, name, _)| (*number, (*name).to_owned()));
        assert_eq!(listed, here.collect::<Vec<_>>());
        for (index, (number, name, message)) in STATUSES.iter().enumerate() {
            assert_eq!(*number, index as fsv_status, "{name}");
            assert!(message.count_bytes() > 1, "{name}");
        }
        assert_eq!(message(-1), c"unknown status");
    }
}
