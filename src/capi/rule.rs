//! A rule, read back.

use crate::capi::boundary::guard;
use crate::capi::handle;
use crate::capi::settings::fsv_settings;
use crate::capi::status::{FSV_STATUS_OUT_OF_RANGE, fsv_status};
use crate::capi::types::{
    FSV_PREFIX_NOT_FOUND, FSV_PROTOCOL_ANY, FSV_PROTOCOL_TCP, FSV_PROTOCOL_UDP,
    FSV_RULE_DESTINATION_HOST, FSV_RULE_DESTINATION_NETWORK, FSV_RULE_REMOTE_NETWORK, fsv_rule,
};
use crate::endpoint::Endpoint;
use crate::rule::{FilterRule, Initializer, Protocol, Remote};
use std::ffi::c_char;

/// Reads back the rule of an index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_rule(
    settings: *const fsv_settings,
    index: usize,
    rule: *mut fsv_rule,
) -> fsv_status {
    guard(|| {
        // SAFETY: the contract of the header.
        let (settings, out) = unsafe { (handle::borrow(settings)?, handle::out_struct(rule)?) };
        let found = settings.shared().rules().get(index).ok_or(FSV_STATUS_OUT_OF_RANGE)?;
        out.write(fsv_rule { size: out.size(), ..read_back(found) });
        Ok(())
    })
}

fn read_back(filter_rule: &FilterRule) -> fsv_rule {
    let rule = filter_rule.network_rule();
    let prefix = |prefix: Option<u8>| prefix.map_or(FSV_PREFIX_NOT_FOUND, u64::from);
    let (remote, local) = (rule.match_remote_endpoint(), rule.match_local_network());
    let label = filter_rule.label();
    let mut back = fsv_rule {
        kind: match rule.initializer() {
            Initializer::DestinationNetwork => FSV_RULE_DESTINATION_NETWORK,
            Initializer::DestinationHost => FSV_RULE_DESTINATION_HOST,
            Initializer::RemoteNetwork => FSV_RULE_REMOTE_NETWORK,
        },
        action: filter_rule.action() as u8,
        direction: rule.match_direction() as u8,
        is_host: matches!(rule.remote(), Remote::Host { .. }).into(),
        protocol: match rule.match_protocol() {
            Protocol::Any => FSV_PROTOCOL_ANY,
            Protocol::Tcp => FSV_PROTOCOL_TCP,
            Protocol::Udp => FSV_PROTOCOL_UDP,
            Protocol::Number(number) => number.into(),
        },
        has_remote: remote.is_some().into(),
        has_local: local.is_some().into(),
        label_len: label.map_or(0, str::len) as u32,
        remote_prefix: prefix(rule.match_remote_prefix()),
        local_prefix: prefix(rule.match_local_prefix()),
        label: label.map_or(std::ptr::null(), |label| label.as_ptr().cast()),
        ..fsv_rule::INIT
    };
    write_endpoint(remote.as_ref(), &mut back.remote_hostname, &mut back.remote_port);
    write_endpoint(local.as_ref(), &mut back.local_hostname, &mut back.local_port);
    back
}

fn write_endpoint(endpoint: Option<&Endpoint>, host: &mut [c_char], port: &mut [c_char]) {
    if let Some(endpoint) = endpoint {
        write(&endpoint.host().to_string(), host);
        write(&endpoint.ports().to_string(), port);
    }
}

/// Writes text to an array of zeros that is longer: names have up to 255 bytes, addresses up to 45
/// and 16 for a scope id, ports up to 11.
fn write(text: &str, array: &mut [c_char]) {
    for (byte, place) in text.bytes().zip(array) {
        *place = byte as c_char;
    }
}
