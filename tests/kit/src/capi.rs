//! Calls of the C interface in any order, against the reference.

#![allow(unsafe_code, reason = "the functions of the C interface take raw pointers")]

mod calls;
mod flows;
mod handles;
mod nulls;

pub use calls::{Call, Calls, FlowWay, MAX_CALLS, MAX_PLANNED, MAX_SETS, OptionsSpec, check_calls};
pub use flows::{HostText, RawFlow, Set, Size, SocketAddress};
pub use handles::{CError, CFlow, CLive, CMatcher, COptions, CSettings, Named};
pub use nulls::Asked;
