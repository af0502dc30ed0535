//! The C interface from Rust: the vectors, generated settings and flows, and allocations. What is
//! asked of it from C is in `tests/capi`.

#![allow(unsafe_code, reason = "functions in C take raw pointers; a counting allocator is unsafe")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a vector that cannot be read is a failed test"
)]

use flowsieve::capi::*;
use flowsieve::formats::flow_lines;
use flowsieve::*;
use flowsieve_testkit::capi::{CFlow, CMatcher, COptions, CSettings, Named};
use flowsieve_testkit::specs::Case;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::net::Ipv6Addr;
use std::path::Path;
use std::ptr::{null, null_mut};

#[test]
fn every_rule_vector_gives_its_expected_answer_in_c() {
    let mut count = 0;
    for vector in vectors("rules.json") {
        let (id, expected) = (&vector["id"], &vector["expect"]);
        count += 1;
        let mut settings = CSettings(null_mut());
        // SAFETY: the output may be written to.
        unsafe { assert_eq!(fsv_settings_new(FSV_ACTION_ALLOW, &raw mut settings.0), 0) };
        let status = add(&settings, &vector["rule"]);
        // A port range is an extension that is taken, and that the framework is said to refuse.
        if status != FSV_STATUS_OK || is_refused_by_framework(&settings) {
            assert_eq!(expected, "invalid_rule", "{id}: status {status}");
            continue;
        }
        let matcher = CMatcher::new(&settings, &COptions::new(Precedence::FirstMatch));
        let decision = matcher.decide(&flow(&vector["flow"]));
        let answer = if decision.rule == Some(0) { "match" } else { "no_match" };
        assert_eq!(answer, expected, "{id}: {decision:?}");
    }
    assert_eq!(count, 117);
}

#[test]
fn a_host_name_is_utf8_wherever_it_is_not_ascii() {
    let settings = CSettings::build(&FilterSettings::new(Vec::new(), Action::Allow));
    let matcher = CMatcher::new(&settings, &COptions::new(Precedence::FirstMatch));
    let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
        .with_remote_address("192.0.2.1".parse().unwrap(), None, 443)
        .with_local_address("10.0.0.1".parse().unwrap(), None, 50000);
    let mut raw = *CFlow::by_fields(&flow).raw();
    raw.known |= FSV_KNOWN_HOSTNAME;
    let mut status = |name: &[u8]| {
        (raw.remote_hostname, raw.remote_hostname_len) = (name.as_ptr().cast(), name.len());
        let mut decision = fsv_decision::INIT;
        // SAFETY: the handle is owned, the name so long, and the decision may be written to.
        unsafe { fsv_matcher_decide(matcher.0, &raw const raw, &raw mut decision) }
    };
    for len in 1..=50 {
        let name = vec![b'a'; len];
        assert_eq!(status(&name), FSV_STATUS_OK, "{len} bytes");
        for place in 0..len {
            let mut name = name.clone();
            name[place] = 0xc3;
            assert_eq!(status(&name), FSV_STATUS_NOT_UTF8, "byte {place} of {len}");
            if let Some(next) = name.get_mut(place + 1) {
                *next = 0xa9;
                assert_eq!(status(&name), FSV_STATUS_OK, "a letter at {place} of {len}");
            }
        }
    }
}

#[test]
fn whatever_else_is_known_beside_both_ends_is_read() {
    let link_local = |text: &str| Some(Endpoint::new(text, "0").unwrap());
    let (any, every) = (Protocol::Any, Direction::Any);
    let rules = [
        NetworkRule::remote_network(link_local("fe80::1%en0"), 128, None, 0, any, every),
        NetworkRule::remote_network(None, 0, link_local("fe80::2%en0"), 128, any, every),
        NetworkRule::destination_host(Endpoint::new("example.com", "0").unwrap(), any),
    ];
    let options = COptions::new(Precedence::FirstMatch);
    let matchers = rules.map(|rule| {
        let rules = vec![FilterRule::new(rule.unwrap(), Action::Drop)];
        CMatcher::new(&CSettings::build(&FilterSettings::new(rules, Action::Allow)), &options)
    });
    for known in 0..8 {
        let [has_remote_zone, has_local_zone, has_name] = [1, 2, 4].map(|bit| known & bit != 0);
        let zone = |is_known: bool| is_known.then(|| Zone::new("en1").unwrap());
        let mut flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
            .with_remote_address("fe80::1".parse().unwrap(), zone(has_remote_zone), 443)
            .with_local_address("fe80::2".parse().unwrap(), zone(has_local_zone), 50000);
        if has_name {
            flow = flow.with_remote_hostname("example.com");
        }
        let flow = CFlow::by_fields(&flow);
        let matches = matchers.each_ref().map(|matcher| matcher.decide(flow.raw()).rule.is_some());
        // Another zone than that of the rule does not match, and no zone does.
        assert_eq!(matches, [!has_remote_zone, !has_local_zone, has_name], "{known:#b}");
    }
}

#[test]
fn addresses_that_are_not_usual_are_read_from_either_end() {
    let any = Direction::Any;
    let address = |text: &str| text.parse::<Ipv6Addr>().unwrap();
    let mapped = ["::ffff:127.0.0.1", "::ffff:192.0.2.1"].map(address);
    let low = ["::", "::1", "::2", "::ffff:ffff:ffff:ffff"].map(address);
    let high = ["0:0:0:1::", "0:0:0:1::1", "0:0:0:2::", "2001:db8::1"].map(address);
    let addresses = [mapped.as_slice(), &low, &high].concat();
    let rules = addresses.iter().flat_map(|address| {
        let end = || Some(Endpoint::new(&address.to_string(), "0").unwrap());
        [(end(), None), (None, end())].map(|(remote, local)| {
            let rule = NetworkRule::remote_network(remote, 128, local, 128, Protocol::Any, any);
            FilterRule::new(rule.unwrap(), Action::Drop)
        })
    });
    let settings = FilterSettings::new(rules.collect(), Action::Allow);
    for precedence in Precedence::ALL {
        let matcher = Matcher::builder().precedence(precedence).build(&settings).unwrap();
        let in_c = CMatcher::new(&CSettings::build(&settings), &COptions::new(precedence));
        for remote in &addresses {
            for local in &addresses {
                let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
                    .with_remote_address((*remote).into(), None, 443)
                    .with_local_address((*local).into(), None, 50000);
                let decision = matcher.decide(&flow);
                let pending = usize::from(decision.pending());
                let expected = Named::expected(&settings, decision, pending, 0);
                let mut raw = *CFlow::by_fields(&flow).raw();
                raw.remote_address = remote.octets();
                raw.local_address = local.octets();
                (raw.remote_family, raw.local_family) = (FSV_FAMILY_IPV6, FSV_FAMILY_IPV6);
                assert_eq!(in_c.decide(&raw), expected, "{remote} {local}");
            }
        }
    }
}

#[test]
fn a_direction_that_there_is_not_is_refused() {
    let settings = FilterSettings::new(Vec::new(), Action::Allow);
    let matcher =
        CMatcher::new(&CSettings::build(&settings), &COptions::new(Precedence::FirstMatch));
    for [remote, local] in [["192.0.2.1", "192.0.2.2"], ["2001:db8::1", "2001:db8::2"]] {
        let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
            .with_remote_address(remote.parse().unwrap(), None, 443)
            .with_local_address(local.parse().unwrap(), None, 50000);
        let mut flow = *CFlow::by_fields(&flow).raw();
        for direction in 0..=u8::MAX {
            flow.direction = direction;
            let expected = if direction < 3 { FSV_STATUS_OK } else { FSV_STATUS_INVALID_ARGUMENT };
            let mut decision = fsv_decision::INIT;
            // SAFETY: the handle is owned, and the decision may be written to.
            let status =
                unsafe { fsv_matcher_decide(matcher.0, &raw const flow, &raw mut decision) };
            assert_eq!(status, expected, "{remote} {direction}");
        }
    }
}

#[test]
fn every_settings_vector_gives_its_expected_verdict_in_c() {
    let mut count = 0;
    for vector in vectors("settings.json") {
        let (id, expected) = (&vector["id"], &vector["expect"]);
        let settings = CSettings::parse(vector["settings"].to_string().as_bytes()).unwrap();
        let line = vector["flow"].to_string();
        let flow = flow_lines::read(&line).unwrap();
        for precedence in Precedence::ALL {
            let mut options = COptions::new(precedence);
            options.0.count_pending = 1;
            let matcher = CMatcher::new(&settings, &options);
            for flow in [CFlow::by_fields(&flow), CFlow::by_text(&flow)] {
                let decision = matcher.decide(flow.raw());
                let actions = ["", "allow", "drop", "", "filterData"];
                let reasons = ["", "rule", "default", "loopback", "pending"];
                let verdict = json!({
                    "action": actions[usize::from(decision.action)],
                    "rule": decision.rule,
                    "reason": reasons[usize::from(decision.reason)],
                    "pending": pending(&matcher, flow.raw()),
                });
                assert_eq!(verdict, *expected, "{id} by {precedence}: {}", flow.flow());
                let pending = expected["pending"].as_array().unwrap().len();
                assert_eq!(decision.pending_count, pending, "{id}");
            }
        }
        count += 1;
    }
    assert_eq!(count, 22);
}

proptest! {
    #![proptest_config(flowsieve_testkit::config(256, "tests/proptest-regressions/capi.txt"))]

    #[test]
    fn decisions_in_c_are_those_of_the_matcher(case in any::<Case>()) {
        let (settings, flows) = case.build();
        let in_c = CSettings::build(&settings);
        for precedence in Precedence::ALL {
            let matcher = Matcher::builder().precedence(precedence).build(&settings).unwrap();
            let matcher_in_c = CMatcher::new(&in_c, &COptions::new(precedence));
            for flow in &flows {
                let decision = matcher.decide(flow);
                let pending = usize::from(decision.pending());
                let expected = Named::expected(&settings, decision, pending, 0);
                for in_c in [CFlow::by_fields(flow), CFlow::by_text(flow)] {
                    prop_assert_eq!(matcher_in_c.decide(in_c.raw()), expected.clone(), "{}", flow);
                }
            }
        }
    }

    #[test]
    fn the_number_of_pending_rules_is_the_length_of_their_list(case in any::<Case>()) {
        let (settings, flows) = case.build();
        let matcher = Matcher::new(&settings).unwrap();
        for flow in &flows {
            prop_assert_eq!(matcher.pending_count(flow), matcher.pending_rules(flow).len());
        }
    }
}

#[test]
fn a_flow_to_a_borrowed_name_is_that_to_an_endpoint_of_the_name() {
    let flow = || Flow::new(IpProtocol::TCP, Direction::Outbound);
    let owned = flow().with_remote(Endpoint::new("www.example.com", "443").unwrap()).unwrap();
    let borrowed = flow().with_named_remote(443).with_remote_hostname("www.example.com");
    assert_eq!(owned, borrowed);
    let zoned = flow().with_remote("[fe80::1%en0]:1".parse().unwrap()).unwrap();
    let again = zoned.with_named_remote(443).with_remote_hostname("www.example.com");
    assert_eq!(owned, again);
}

#[test]
fn an_interface_index_is_a_zone_id_of_its_digits() {
    assert_eq!(Zone::from_index(0), None);
    for index in [1, 9, 10, 99, 100, 12_345, 4_294_967_295] {
        assert_eq!(Zone::from_index(index), Some(Zone::new(&index.to_string()).unwrap()));
    }
}

#[test]
fn from_text_or_socket_address_to_decision_nothing_is_allocated() {
    let rule = json!({"networkRule": {"destinationNetwork": "192.0.2.0", "destinationPrefix": 24,
                                      "protocol": "TCP"}, "action": "drop", "label": "a label"});
    let host = json!({"networkRule": {"destinationHost": "example.com", "protocol": "any"},
                      "action": "allow"});
    let rules: Vec<&Value> = [&rule, &host].into_iter().cycle().take(300).collect();
    let text = json!({"rules": rules, "defaultAction": "allow"}).to_string();
    let mut options = COptions::new(Precedence::FirstMatch);
    (options.0.count_hits, options.0.count_pending) = (1, 1);
    let matcher = CMatcher::new(&CSettings::parse(text.as_bytes()).unwrap(), &options);
    // AF_INET, port 443, 192.0.2.1; as Linux lays it out, where this test runs in the gate.
    let family = if cfg!(target_vendor = "apple") { [16, 2] } else { 2_u16.to_ne_bytes() };
    let mut address = [0_u8; 16];
    address[..8].copy_from_slice(&[family[0], family[1], 1, 187, 192, 0, 2, 1]);
    let ends = ["192.0.2.1", "2001:db8::1", "fe80::1%en0", "::ffff:192.0.2.1", "www.example.com"];
    // The first use of anything may cost more.
    for _ in 0..2 {
        let before = ALLOCATIONS.with(Cell::get);
        for host in ends {
            let mut flow = fsv_flow { protocol: 6, direction: 2, ..fsv_flow::INIT };
            let mut decision = fsv_decision::INIT;
            let text = |text: &str| (text.as_ptr().cast::<c_char>(), text.len());
            let ((host, host_len), (port, port_len)) = (text(host), text("443"));
            let ((local, local_len), (zero, zero_len)) = (text("0.0.0.0"), text("0"));
            // SAFETY: the texts are so long, and flow and decision may be written to.
            unsafe {
                let (flow, decision) = (&raw mut flow, &raw mut decision);
                assert_eq!(fsv_flow_set_remote(flow, host, host_len, port, port_len), 0);
                assert_eq!(fsv_flow_set_local(flow, local, local_len, zero, zero_len), 0);
                assert_eq!(fsv_matcher_decide(matcher.0, flow, decision), 0);
                let bytes = address.as_ptr().cast();
                assert_eq!(fsv_flow_set_remote_sockaddr(flow, bytes, 16), 0);
                assert_eq!(fsv_matcher_decide_batch(matcher.0, flow, 1, decision), 0);
                assert_eq!((*decision).action, FSV_ACTION_DROP);
            }
        }
        assert_eq!(ALLOCATIONS.with(Cell::get), before);
    }
}

#[test]
fn a_matcher_fits_the_size_that_it_says_and_no_smaller() {
    let rules = vec![
        json!({"networkRule": {"destinationNetwork": "192.0.2.0", "destinationPrefix": 24,
                               "protocol": "TCP"}, "action": "drop", "label": "a label"});
        50
    ];
    let text = json!({"rules": rules, "defaultAction": "allow"}).to_string();
    let settings = CSettings::parse(text.as_bytes()).unwrap();
    let mut options = COptions::new(Precedence::FirstMatch);
    options.0.count_hits = 1;
    let matcher = CMatcher::new(&settings, &options);
    // SAFETY: the handles are owned, and the output may be written to.
    unsafe {
        let size = fsv_matcher_size_bytes(matcher.0);
        assert!(size > 50 * 64, "the counters are counted: {size}");
        for (max_bytes, expected) in
            [(size, FSV_STATUS_OK), (size - 1, FSV_STATUS_MATCHER_TOO_LARGE)]
        {
            options.0.max_bytes = max_bytes as u64;
            let mut made = CMatcher(null_mut());
            let mut error = null_mut();
            let status =
                fsv_matcher_new(settings.0, &raw const options.0, &raw mut made.0, &raw mut error);
            assert_eq!(status, expected, "{max_bytes} of {size}");
            if status != FSV_STATUS_OK {
                // In bytes of what was asked for, counters and labels included.
                let message = CStr::from_ptr(fsv_error_message(error)).to_str().unwrap();
                assert!(message.contains(&format!(" {size} bytes")), "{message}");
                assert!(message.ends_with(&max_bytes.to_string()), "{message}");
                fsv_error_free(error);
            }
        }
    }
}

/// The indices of the rules that could still match.
fn pending(matcher: &CMatcher, flow: &fsv_flow) -> Vec<u32> {
    let (mut rules, mut needed) = (vec![0; 100], 0);
    // SAFETY: the handle is owned, and the outputs may be written to.
    let status = unsafe {
        fsv_matcher_pending_rules(matcher.0, flow, rules.as_mut_ptr(), 100, &raw mut needed)
    };
    assert_eq!(status, FSV_STATUS_OK);
    rules.truncate(needed);
    rules
}

fn is_refused_by_framework(settings: &CSettings) -> bool {
    let mut needed = 0;
    // SAFETY: the handle is owned, and the output may be written to.
    unsafe {
        fsv_settings_validate_for_framework(settings.0, null_mut(), 0, &raw mut needed);
    }
    needed > 1
}

/// Adds the rule of a vector by the initialiser of its shape.
fn add(settings: &CSettings, rule: &Value) -> fsv_status {
    let protocol = match rule["protocol"].as_str().unwrap().parse().unwrap() {
        Protocol::Any => FSV_PROTOCOL_ANY,
        Protocol::Tcp => FSV_PROTOCOL_TCP,
        Protocol::Udp => FSV_PROTOCOL_UDP,
        Protocol::Number(number) => number.into(),
    };
    let endpoint = |host: &Value, port: &Value| {
        let (host, port) = (host.as_str().unwrap(), port.as_str().unwrap());
        fsv_endpoint {
            hostname: host.as_ptr().cast(),
            hostname_len: host.len(),
            port: port.as_ptr().cast(),
            port_len: port.len(),
        }
    };
    let action = FSV_ACTION_DROP;
    // SAFETY: the texts live in the vector; the error is not asked for.
    unsafe {
        if let Some(host) = rule.get("destination_host") {
            let host = endpoint(host, &rule["port"]);
            return fsv_settings_add_destination_host(
                settings.0,
                &raw const host,
                protocol,
                action,
                null(),
                0,
                null_mut(),
            );
        }
        let side = |side: &Value| (!side.is_null()).then(|| endpoint(&side["host"], &side["port"]));
        let (remote, local) = (side(&rule["remote"]), side(&rule["local"]));
        let pointer = |end: &Option<fsv_endpoint>| end.as_ref().map_or(null(), std::ptr::from_ref);
        let direction: Direction = rule["direction"].as_str().unwrap().parse().unwrap();
        fsv_settings_add_remote_network(
            settings.0,
            pointer(&remote),
            rule["remote_prefix"].as_u64().unwrap(),
            pointer(&local),
            rule["local_prefix"].as_u64().unwrap(),
            protocol,
            direction as u8,
            action,
            null(),
            0,
            null_mut(),
        )
    }
}

/// The flow of a vector; its texts live in the vector.
fn flow(value: &Value) -> fsv_flow {
    let direction: Direction = value["direction"].as_str().unwrap().parse().unwrap();
    let mut flow = fsv_flow {
        protocol: value["protocol"].as_u64().unwrap().try_into().unwrap(),
        direction: direction as u8,
        ..fsv_flow::INIT
    };
    let text = |value: &Value| {
        let text = value.as_str().unwrap();
        (text.as_ptr().cast::<c_char>(), text.len())
    };
    // SAFETY: the texts are so long, and the flow may be written to.
    unsafe {
        if !value["remote_hostname"].is_null() {
            let (name, len) = text(&value["remote_hostname"]);
            assert_eq!(fsv_flow_set_remote_hostname(&raw mut flow, name, len), 0);
        }
        if !value["remote"].is_null() {
            let ((host, host_len), (port, port_len)) =
                (text(&value["remote"]["host"]), text(&value["remote"]["port"]));
            assert_eq!(fsv_flow_set_remote(&raw mut flow, host, host_len, port, port_len), 0);
        }
        if !value["local"].is_null() {
            let ((host, host_len), (port, port_len)) =
                (text(&value["local"]["host"]), text(&value["local"]["port"]));
            assert_eq!(fsv_flow_set_local(&raw mut flow, host, host_len, port, port_len), 0);
        }
    }
    flow
}

fn vectors(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system allocator with its arguments unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, and so from the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
