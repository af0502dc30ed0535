//! Every function with NULL in one place.

use arbitrary::Arbitrary;
use flowsieve::capi::*;
use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};

/// Which function is asked, and in which place NULL stands.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Asked(u8);

/// The handles that are given; NULL where there is none.
pub(super) struct Handles {
    pub(super) settings: *mut fsv_settings,
    pub(super) matcher: *mut fsv_matcher,
    pub(super) live: *mut fsv_live,
}

/// What counts a flow that was not decided.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Failed {
    pub(super) by_matcher: bool,
    pub(super) by_live: bool,
}

/// Asks a function with NULL in one place, where it is not taken.
///
/// # Panics
///
/// If it does not say so, or writes an output.
pub(super) fn ask_with_null(handles: &Handles, Asked(index): Asked) -> Failed {
    let Handles { settings, matcher, live } = *handles;
    let (mut made_settings, mut made_matcher, mut made_live) = (null_mut(), null_mut(), null_mut());
    let mut flow = fsv_flow::INIT;
    let mut decision = fsv_decision::INIT;
    let (mut rule, mut hits) = (fsv_rule::INIT, fsv_hits::INIT);
    let (mut needed, mut generation) = (77, 77);
    let mut text: [c_char; 8] = [7; 8];
    let (mut rules, mut counts) = ([7_u32; 2], [7_u64; 2]);
    let options = fsv_matcher_options::INIT;
    let word: *const c_char = c"{}".as_ptr();
    let end = fsv_endpoint { hostname: word, hostname_len: 2, port: word, port_len: 0 };
    let no_text = fsv_endpoint { hostname: null(), ..end };
    let (end, no_text) = (&raw const end, &raw const no_text);
    let address = [0_u8; 28];
    let (any, drop) = (FSV_PROTOCOL_ANY, FSV_ACTION_DROP);
    let flow_in = flow;
    let (flow_in, flow_out) = (&raw const flow_in, &raw mut flow);
    let decision_out = &raw mut decision;
    let (text_out, rules_out, counts_out) =
        (text.as_mut_ptr(), rules.as_mut_ptr(), counts.as_mut_ptr());
    let (needed_out, generation_out) = (&raw mut needed, &raw mut generation);
    let (settings_out, matcher_out, live_out) =
        (&raw mut made_settings, &raw mut made_matcher, &raw mut made_live);
    let (rule_out, hits_out) = (&raw mut rule, &raw mut hits);
    let (none, no_error) = (null(), null_mut());
    let mut failed = Failed::default();
    let (by_matcher, by_live) =
        (Failed { by_matcher: true, by_live: false }, Failed { by_matcher: false, by_live: true });
    let mut counted = |status: fsv_status, by: Failed| {
        failed = by;
        status
    };
    // SAFETY: handles are NULL or owned, and all else is there as it says.
    let status = unsafe {
        let network = |settings, end, label_len| {
            fsv_settings_add_destination_network(
                settings, end, 0, any, drop, none, label_len, no_error,
            )
        };
        let host = |settings, end, label_len| {
            fsv_settings_add_destination_host(settings, end, any, drop, none, label_len, no_error)
        };
        let remote_network = |settings, remote, label_len| {
            let (local, prefix, direction) = (null(), 0, 0);
            fsv_settings_add_remote_network(
                settings, remote, prefix, local, prefix, any, direction, drop, none, label_len,
                no_error,
            )
        };
        match index % 57 {
            0 => fsv_settings_new(drop, null_mut()),
            1 => fsv_settings_parse(null(), 1, 0, settings_out, no_error),
            2 => fsv_settings_parse(word, 2, 0, null_mut(), no_error),
            3 => network(null_mut(), end, 0),
            4 => network(settings, null(), 0),
            5 => network(settings, no_text, 0),
            6 => host(null_mut(), end, 0),
            7 => host(settings, null(), 0),
            8 => host(settings, no_text, 0),
            9 => remote_network(null_mut(), null(), 0),
            10 => remote_network(settings, no_text, 0),
            11 => remote_network(settings, null(), 1),
            12 => fsv_settings_set_default_action(null_mut(), drop),
            13 => fsv_settings_rule(null(), 0, rule_out),
            14 => fsv_settings_rule(settings, 0, null_mut()),
            15 => fsv_settings_validate_for_framework(null(), text_out, 8, needed_out),
            16 => fsv_settings_validate_for_framework(settings, null_mut(), 8, needed_out),
            17 => fsv_settings_validate_for_framework(settings, text_out, 8, null_mut()),
            18 => fsv_settings_write(null(), text_out, 8, needed_out),
            19 => fsv_settings_write(settings, null_mut(), 8, needed_out),
            20 => fsv_settings_write(settings, text_out, 8, null_mut()),
            21 => fsv_settings_plan(null(), 0, 1, settings_out, no_error),
            22 => fsv_settings_plan(settings, 0, 1, null_mut(), no_error),
            23 => fsv_flow_set_remote(null_mut(), word, 2, word, 0),
            24 => fsv_flow_set_remote(flow_out, null(), 2, word, 0),
            25 => fsv_flow_set_remote(flow_out, word, 2, null(), 1),
            26 => fsv_flow_set_local(null_mut(), word, 2, word, 0),
            27 => fsv_flow_set_local(flow_out, null(), 2, word, 0),
            28 => fsv_flow_set_remote_sockaddr(null_mut(), address.as_ptr().cast::<c_void>(), 28),
            29 => fsv_flow_set_remote_sockaddr(flow_out, null(), 28),
            30 => fsv_flow_set_local_sockaddr(null_mut(), address.as_ptr().cast::<c_void>(), 28),
            31 => fsv_flow_set_local_sockaddr(flow_out, null(), 28),
            32 => fsv_flow_set_remote_hostname(null_mut(), word, 2),
            33 => fsv_flow_set_remote_hostname(flow_out, null(), 2),
            34 => fsv_matcher_new(null(), &raw const options, matcher_out, no_error),
            35 => fsv_matcher_new(settings, &raw const options, null_mut(), no_error),
            36 => fsv_matcher_decide(null(), flow_in, decision_out),
            37 => counted(fsv_matcher_decide(matcher, null(), decision_out), by_matcher),
            38 => counted(fsv_matcher_decide(matcher, flow_in, null_mut()), by_matcher),
            39 => counted(fsv_matcher_decide_batch(matcher, null(), 2, decision_out), by_matcher),
            40 => counted(fsv_matcher_decide_batch(matcher, flow_in, 1, null_mut()), by_matcher),
            41 => fsv_matcher_pending_rules(null(), flow_in, rules_out, 2, needed_out),
            42 => fsv_matcher_pending_rules(matcher, null(), rules_out, 2, needed_out),
            43 => fsv_matcher_pending_rules(matcher, flow_in, null_mut(), 2, needed_out),
            44 => fsv_matcher_explain(null(), flow_in, text_out, 8, needed_out),
            45 => fsv_matcher_explain(matcher, flow_in, text_out, 8, null_mut()),
            46 => fsv_matcher_hits(null(), hits_out),
            47 => fsv_matcher_hits(matcher, null_mut()),
            48 => fsv_matcher_rule_hits(null(), counts_out, 2, needed_out),
            49 => fsv_matcher_rule_hits(matcher, null_mut(), 2, needed_out),
            50 => fsv_live_new(null(), &raw const options, live_out, no_error),
            51 => fsv_live_new(settings, &raw const options, null_mut(), no_error),
            52 => fsv_live_replace(live, null(), generation_out, no_error),
            53 => counted(fsv_live_decide(live, null(), decision_out), by_live),
            54 => counted(fsv_live_decide_batch(live, flow_in, 1, null_mut()), by_live),
            55 => fsv_live_matcher(null(), matcher_out),
            _ => fsv_live_matcher(live, null_mut()),
        }
    };
    assert_eq!(status, FSV_STATUS_NULL_POINTER, "function and place {index}");
    assert!(made_settings.is_null() && made_matcher.is_null() && made_live.is_null(), "{index}");
    assert_eq!((needed, generation, flow.known), (77, 77, 0), "{index}");
    assert_eq!((decision.action, rule.kind, hits.by_rule), (FSV_ACTION_NONE, 0, 0), "{index}");
    assert_eq!((text, rules, counts), ([7; 8], [7; 2], [7; 2]), "{index}");
    failed
}
