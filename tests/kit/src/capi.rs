//! Calls of the C interface in any order, against the reference.

#![allow(unsafe_code, reason = "the functions of the C interface take raw pointers")]

mod calls;
mod handles;

pub use calls::{Call, Calls, FlowWay, MAX_CALLS, OptionsSpec, RawFlow, check_calls};
pub use handles::{CFlow, CLive, CMatcher, COptions, CSettings, Named};
