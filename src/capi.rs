//! The C interface. `include/flowsieve.h` is its manual: what each function does, who owns what,
//! which pointers may be NULL.
//!
//! Nothing is decided here: arguments are checked and converted, and the answer is the library's.
//!
//! | module | holds |
//! |---|---|
//! | `handle` | the one place where raw pointers turn into references, text and structs |
//! | `boundary` | what every function runs in: panics are caught, failures become a status and an error |
//! | `status`, `error`, `types` | the numbers, the error handle, the structs |
//! | `settings`, `rule` | settings, read and built; a rule, read back |
//! | `flow` | flows from structs, text and socket addresses |
//! | `matcher`, `live`, `counters`, `labels` | deciding |
//! | `text` | text into the caller's buffer |

#![allow(
    unsafe_code,
    reason = "C gives raw pointers, and symbols with their own name; `handle` turns the pointers \
              into references, by the contract of the header"
)]
#![allow(non_camel_case_types, reason = "the types have the names that they have in C")]
#![allow(
    clippy::missing_safety_doc,
    reason = "what a caller has to keep is the contract of the header, the same for all functions"
)]

mod boundary;
mod counters;
mod error;
mod explain;
mod flow;
mod handle;
mod labels;
mod live;
mod matcher;
mod rule;
mod settings;
mod status;
mod text;
mod types;
mod version;

pub use crate::capi::{
    error::{
        fsv_error, fsv_error_column, fsv_error_free, fsv_error_line, fsv_error_message,
        fsv_error_rule, fsv_error_status,
    },
    flow::{
        fsv_flow_set_local, fsv_flow_set_local_sockaddr, fsv_flow_set_remote,
        fsv_flow_set_remote_hostname, fsv_flow_set_remote_sockaddr,
    },
    live::{
        fsv_live, fsv_live_decide, fsv_live_decide_batch, fsv_live_failure_action, fsv_live_free,
        fsv_live_generation, fsv_live_matcher, fsv_live_new, fsv_live_replace,
    },
    matcher::{
        fsv_matcher, fsv_matcher_decide, fsv_matcher_decide_batch, fsv_matcher_explain,
        fsv_matcher_failure_action, fsv_matcher_free, fsv_matcher_generation, fsv_matcher_hits,
        fsv_matcher_new, fsv_matcher_pending_rules, fsv_matcher_rule_count, fsv_matcher_rule_hits,
        fsv_matcher_size_bytes,
    },
    rule::fsv_settings_rule,
    settings::{
        fsv_settings, fsv_settings_add_destination_host, fsv_settings_add_destination_network,
        fsv_settings_add_remote_network, fsv_settings_default_action, fsv_settings_free,
        fsv_settings_new, fsv_settings_parse, fsv_settings_plan, fsv_settings_rule_count,
        fsv_settings_set_default_action, fsv_settings_validate_for_framework, fsv_settings_write,
    },
    status::*,
    types::*,
    version::{fsv_version, fsv_version_number},
};
