//! The structs and numbers of the header, laid out and valued as there.

use crate::capi::handle::Sized32;
use crate::decision::Reason;
use crate::flow::Direction;
use crate::rule::Action;
use std::ffi::c_char;
use std::mem::offset_of;

/// What is done with a flow: NEFilterAction's raw values.
pub type fsv_action = u8;
/// A direction: NETrafficDirection's raw values.
pub type fsv_direction = u8;
/// The protocol of a rule: an IANA number, or [`FSV_PROTOCOL_ANY`].
pub type fsv_protocol = u16;
/// Which of several matching rules decides.
pub type fsv_precedence = u8;
/// Why a decision came out as it did.
pub type fsv_reason = u8;
/// The initialiser of a rule.
pub type fsv_rule_kind = u8;
/// The family of one end of a flow.
pub type fsv_family = u8;

/// No decision yet.
pub const FSV_ACTION_NONE: fsv_action = 0;
/// The flow proceeds.
pub const FSV_ACTION_ALLOW: fsv_action = Action::Allow as u8;
/// The flow is dropped.
pub const FSV_ACTION_DROP: fsv_action = Action::Drop as u8;
/// The provider is asked.
pub const FSV_ACTION_FILTER_DATA: fsv_action = Action::FilterData as u8;
/// Any direction, or one that is not known.
pub const FSV_DIRECTION_ANY: fsv_direction = Direction::Any as u8;
/// Inbound.
pub const FSV_DIRECTION_INBOUND: fsv_direction = Direction::Inbound as u8;
/// Outbound.
pub const FSV_DIRECTION_OUTBOUND: fsv_direction = Direction::Outbound as u8;
/// TCP.
pub const FSV_PROTOCOL_TCP: fsv_protocol = 6;
/// UDP.
pub const FSV_PROTOCOL_UDP: fsv_protocol = 17;
/// TCP and UDP.
pub const FSV_PROTOCOL_ANY: fsv_protocol = 256;
/// The first rule in the list decides.
pub const FSV_PRECEDENCE_FIRST_MATCH: fsv_precedence = 0;
/// The rule of the longest remote prefix decides.
pub const FSV_PRECEDENCE_LONGEST_PREFIX: fsv_precedence = 1;
/// No reason yet.
pub const FSV_REASON_NONE: fsv_reason = 0;
/// A rule matched.
pub const FSV_REASON_RULE: fsv_reason = Reason::Rule as u8;
/// The default action applies.
pub const FSV_REASON_DEFAULT: fsv_reason = Reason::Default as u8;
/// A loopback flow that no rule matched.
pub const FSV_REASON_LOOPBACK: fsv_reason = Reason::Loopback as u8;
/// An earlier rule could still match.
pub const FSV_REASON_PENDING: fsv_reason = Reason::Pending as u8;
/// No rule.
pub const FSV_NO_RULE: u32 = u32::MAX;
/// No prefix length: NSNotFound.
pub const FSV_PREFIX_NOT_FOUND: u64 = i64::MAX as u64;
/// The longest host or port text of an endpoint, in bytes.
pub const FSV_MAX_HOST_BYTES: usize = 255;
/// The longest host name of a flow, in bytes.
pub const FSV_MAX_HOSTNAME_BYTES: usize = 65536;
/// The longest label, in bytes.
pub const FSV_MAX_LABEL_BYTES: usize = 65536;
/// The largest settings file, in bytes.
pub const FSV_MAX_SETTINGS_BYTES: usize = 268_435_456;
/// A host name in a network initialiser makes a host rule.
pub const FSV_PARSE_HOSTNAME_IN_NETWORK: u32 = 1;
/// `initWithDestinationNetwork:prefix:protocol:`.
pub const FSV_RULE_DESTINATION_NETWORK: fsv_rule_kind = 1;
/// `initWithDestinationHost:protocol:`.
pub const FSV_RULE_DESTINATION_HOST: fsv_rule_kind = 2;
/// The initialiser of six arguments.
pub const FSV_RULE_REMOTE_NETWORK: fsv_rule_kind = 3;
/// No endpoint.
pub const FSV_FAMILY_NONE: fsv_family = 0;
/// An endpoint that holds a name.
pub const FSV_FAMILY_NAME: fsv_family = 1;
/// An IPv4 address.
pub const FSV_FAMILY_IPV4: fsv_family = 4;
/// An IPv6 address.
pub const FSV_FAMILY_IPV6: fsv_family = 6;
/// The remote endpoint is known.
pub const FSV_KNOWN_REMOTE: u32 = 1;
/// The local endpoint is known.
pub const FSV_KNOWN_LOCAL: u32 = 2;
/// The host name is known.
pub const FSV_KNOWN_HOSTNAME: u32 = 4;
/// The remote scope id is known.
pub const FSV_KNOWN_REMOTE_SCOPE: u32 = 8;
/// The local scope id is known.
pub const FSV_KNOWN_LOCAL_SCOPE: u32 = 16;

/// A host and a port as text.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the header describes the fields")]
pub struct fsv_endpoint {
    pub hostname: *const c_char,
    pub hostname_len: usize,
    pub port: *const c_char,
    pub port_len: usize,
}

/// A rule as it is read back.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the header describes the fields")]
pub struct fsv_rule {
    pub size: u32,
    pub kind: fsv_rule_kind,
    pub action: fsv_action,
    pub direction: fsv_direction,
    pub is_host: u8,
    pub protocol: fsv_protocol,
    pub has_remote: u8,
    pub has_local: u8,
    pub label_len: u32,
    pub remote_prefix: u64,
    pub local_prefix: u64,
    pub label: *const c_char,
    pub remote_hostname: [c_char; 256],
    pub remote_port: [c_char; 16],
    pub local_hostname: [c_char; 64],
    pub local_port: [c_char; 16],
}

/// A flow.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the header describes the fields")]
pub struct fsv_flow {
    pub size: u32,
    pub known: u32,
    pub protocol: u8,
    pub direction: fsv_direction,
    pub remote_family: fsv_family,
    pub local_family: fsv_family,
    pub remote_port: u16,
    pub local_port: u16,
    pub remote_address: [u8; 16],
    pub local_address: [u8; 16],
    pub remote_hostname: *const c_char,
    pub remote_hostname_len: usize,
    pub remote_scope: [c_char; 16],
    pub local_scope: [c_char; 16],
}

/// A decision.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the header describes the fields")]
pub struct fsv_decision {
    pub size: u32,
    pub action: fsv_action,
    pub reason: fsv_reason,
    pub is_final: u8,
    pub reserved: u8,
    pub rule: u32,
    pub pending_count: u32,
    pub generation: u64,
    pub label: *const c_char,
    pub label_len: usize,
}

/// How a matcher is made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the header describes the fields")]
pub struct fsv_matcher_options {
    pub size: u32,
    pub precedence: fsv_precedence,
    pub failure_action: fsv_action,
    pub keep_settings: u8,
    pub count_hits: u8,
    pub count_pending: u8,
    pub reserved: [u8; 7],
    pub max_bytes: u64,
}

/// What was decided.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the header describes the fields")]
pub struct fsv_hits {
    pub size: u32,
    pub reserved: u32,
    pub by_rule: u64,
    pub by_default: u64,
    pub by_loopback: u64,
    pub failed: u64,
}

// SAFETY: `repr(C)`, the size first, no padding, numbers and pointers only; for each of these.
unsafe impl Sized32 for fsv_rule {
    const MIN_SIZE: usize = offset_of!(fsv_rule, local_port) + 16;
}
// SAFETY: as above.
unsafe impl Sized32 for fsv_flow {
    const MIN_SIZE: usize = offset_of!(fsv_flow, remote_scope);
}
// SAFETY: as above.
unsafe impl Sized32 for fsv_decision {
    const MIN_SIZE: usize = offset_of!(fsv_decision, generation);
}
// SAFETY: as above.
unsafe impl Sized32 for fsv_matcher_options {
    const MIN_SIZE: usize = 24;
}
// SAFETY: as above.
unsafe impl Sized32 for fsv_hits {
    const MIN_SIZE: usize = 40;
}

impl fsv_flow {
    /// `FSV_FLOW_INIT`.
    pub const INIT: fsv_flow = fsv_flow {
        size: size_of::<fsv_flow>() as u32,
        known: 0,
        protocol: 0,
        direction: 0,
        remote_family: 0,
        local_family: 0,
        remote_port: 0,
        local_port: 0,
        remote_address: [0; 16],
        local_address: [0; 16],
        remote_hostname: std::ptr::null(),
        remote_hostname_len: 0,
        remote_scope: [0; 16],
        local_scope: [0; 16],
    };
}

impl fsv_decision {
    /// `FSV_DECISION_INIT`.
    pub const INIT: fsv_decision = fsv_decision {
        size: size_of::<fsv_decision>() as u32,
        action: FSV_ACTION_NONE,
        reason: FSV_REASON_NONE,
        is_final: 0,
        reserved: 0,
        rule: FSV_NO_RULE,
        pending_count: 0,
        generation: 0,
        label: std::ptr::null(),
        label_len: 0,
    };
}

impl fsv_matcher_options {
    /// `FSV_MATCHER_OPTIONS_INIT`.
    pub const INIT: fsv_matcher_options = fsv_matcher_options {
        size: size_of::<fsv_matcher_options>() as u32,
        precedence: FSV_PRECEDENCE_FIRST_MATCH,
        failure_action: FSV_ACTION_DROP,
        keep_settings: 1,
        count_hits: 0,
        count_pending: 0,
        reserved: [0; 7],
        max_bytes: 0,
    };
}

impl fsv_rule {
    /// `FSV_RULE_INIT`.
    pub const INIT: fsv_rule = fsv_rule {
        size: size_of::<fsv_rule>() as u32,
        kind: 0,
        action: 0,
        direction: 0,
        is_host: 0,
        protocol: 0,
        has_remote: 0,
        has_local: 0,
        label_len: 0,
        remote_prefix: 0,
        local_prefix: 0,
        label: std::ptr::null(),
        remote_hostname: [0; 256],
        remote_port: [0; 16],
        local_hostname: [0; 64],
        local_port: [0; 16],
    };
}

impl fsv_hits {
    /// `FSV_HITS_INIT`.
    pub const INIT: fsv_hits = fsv_hits {
        size: size_of::<fsv_hits>() as u32,
        reserved: 0,
        by_rule: 0,
        by_default: 0,
        by_loopback: 0,
        failed: 0,
    };
}

// A decision and a flow are copied once per call; that they have no padding is part of `Sized32`.
const _: () = {
    use fsv_decision as d;
    assert!(
        offset_of!(d, action) == 4 && offset_of!(d, reason) == 5 && offset_of!(d, is_final) == 6
    );
    assert!(offset_of!(d, reserved) == 7 && offset_of!(d, rule) == 8);
    assert!(offset_of!(d, pending_count) == 12 && offset_of!(d, generation) == 16);
};
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<fsv_flow>() == 96 && offset_of!(fsv_flow, remote_scope) == 64);
    assert!(size_of::<fsv_decision>() == 40 && size_of::<fsv_matcher_options>() == 24);
    assert!(size_of::<fsv_rule>() == 392 && size_of::<fsv_hits>() == 40);
};
