//! What reading says about text that is wrong, and where.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "text that is not refused is a failed test"
)]

use flowsieve::formats::{MAX_LINE_BYTES, flow_lines, log_lines, read_flow, settings};
use flowsieve::*;

/// Settings of one rule, the network rule of which starts at column 12 of line 2.
fn with_rule(network_rule: &str) -> String {
    format!(
        "{{\"rules\": [{{\"action\": \"drop\", \"networkRule\":\n           {network_rule}}}]}}"
    )
}

#[track_caller]
fn assert_refused(text: &str, message: &str) {
    let error = settings::read(text.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), message, "{text}");
}

#[test]
fn a_wrong_rule_is_named_with_line_column_index_and_key() {
    let cases = [
        (
            r#"{"destinationNetwork": "10.0.0.1", "destinationPrefix": 33, "protocol": "any"}"#,
            "line 2, column 68: rule 0, key `destinationPrefix`: prefix length 33 exceeds 32 for an IPv4 address",
        ),
        (
            r#"{"destinationNetwork": "::1", "destinationPrefix": 256, "protocol": "any"}"#,
            "line 2, column 63: rule 0, key `destinationPrefix`: prefix length 256 exceeds 128 for an IPv6 address",
        ),
        (
            r#"{"remoteNetwork": null, "localNetwork": "::1", "localPrefix": 129, "protocol": "any"}"#,
            "line 2, column 74: rule 0, key `localPrefix`: prefix length 129 exceeds 128 for an IPv6 address",
        ),
        (
            r#"{"remoteNetwork": "10.0.0.1", "remotePrefix": 9223372036854775807, "protocol": "any"}"#,
            "line 2, column 58: rule 0, key `remotePrefix`: prefix length is NSNotFound: expected 0 to 32 for IPv4 or 0 to 128 for IPv6",
        ),
        (
            r#"{"remoteNetwork": "10.0.0.1", "remotePrefix": -1, "protocol": "any"}"#,
            "line 2, column 58: rule 0, key `remotePrefix`: `-1` is out of range: expected a whole number from 0 to 128",
        ),
        (
            r#"{"remoteNetwork": "10.0.0.1", "remotePrefix": 8.0, "protocol": "any"}"#,
            "line 2, column 58: rule 0, key `remotePrefix`: `8.0` is out of range: expected a whole number from 0 to 128",
        ),
        (
            r#"{"remoteNetwork": "10.0.0.1", "protocol": "any"}"#,
            "line 2, column 12: rule 0: missing key `remotePrefix`",
        ),
        (
            r#"{"remoteNetwork": {"hostname": "example.com", "port": "0"}, "remotePrefix": 0, "protocol": "any"}"#,
            "line 2, column 30: rule 0, key `remoteNetwork`: `example.com` is not an IP address: expected dotted-quad IPv4 or IPv6 text, without brackets, prefix or port; names belong in a host rule",
        ),
        (
            r#"{"remoteNetwork": {"hostname": "10.0.0.0/8"}, "remotePrefix": 8, "protocol": "any"}"#,
            "line 2, column 43: rule 0, key `hostname`: `10.0.0.0/8` is not an IP address: expected dotted-quad IPv4 or IPv6 text, without brackets, prefix or port; names belong in a host rule",
        ),
        (
            r#"{"remoteNetwork": {"hostname": "10.0.0.1", "port": "https"}, "remotePrefix": 8, "protocol": "any"}"#,
            "line 2, column 63: rule 0, key `port`: `https` is not a port: expected 0 to 65535, or nothing for any",
        ),
        (
            r#"{"remoteNetwork": {"hostname": "10.0.0.1", "port": 65536}, "remotePrefix": 8, "protocol": "any"}"#,
            "line 2, column 63: rule 0, key `port`: `65536` is out of range: expected a whole number from 0 to 65535",
        ),
        (
            r#"{"destinationHost": {"hostname": "203.0.113.7", "port": "0"}, "protocol": "any"}"#,
            "line 2, column 32: rule 0, key `destinationHost`: `203.0.113.7` is an IP address: a host rule takes a name, a network rule an address",
        ),
        (
            r#"{"remoteNetwork": {"hostname": "10.0.0.1", "port": null}, "remotePrefix": 8, "protocol": "any"}"#,
            "line 2, column 63: rule 0, key `port`: expected a port (a string or a number), found null",
        ),
        (
            r#"{"remoteNetwork": "::ffff:001.2.3.4", "remotePrefix": 128, "protocol": "any"}"#,
            "line 2, column 30: rule 0, key `remoteNetwork`: `::ffff:001.2.3.4` is not an endpoint: expected `address`, `address:port`, `[address]:port` or `name:port`",
        ),
        (
            r#"{"remoteNetwork": "192.0.2.1%en0", "remotePrefix": 32, "protocol": "any"}"#,
            "line 2, column 30: rule 0, key `remoteNetwork`: `192.0.2.1%en0` is an IPv4 address with a zone id, which only IPv6 addresses have",
        ),
        (
            r#"{"remoteNetwork": "", "remotePrefix": 32, "protocol": "any"}"#,
            "line 2, column 30: rule 0, key `remoteNetwork`: the text is empty: expected an IP address or a host name",
        ),
        (
            r#"{"destinationNetwork": null, "destinationPrefix": 0, "protocol": "any"}"#,
            "line 2, column 35: rule 0, key `destinationNetwork`: expected an endpoint (a string or an object), found null",
        ),
        (
            r#"{"destinationHost": {"hostname": "https://a.b/", "port": "443"}, "protocol": "any"}"#,
            "line 2, column 45: rule 0, key `hostname`: `https://a.b/` is not a host name: it holds `:`, and names hold letters, digits, `-`, `_`, `.` and `*`",
        ),
        (
            r#"{"destinationHost": "https://a.b/", "protocol": "any"}"#,
            "line 2, column 32: rule 0, key `destinationHost`: `https://a.b/` is not a host name: it holds `:`, and names hold letters, digits, `-`, `_`, `.` and `*`",
        ),
        (
            r#"{"destinationHost": {"hostname": "a.example:80", "port": "0"}, "protocol": "any"}"#,
            "line 2, column 45: rule 0, key `hostname`: `a.example:80` is not a host name: it holds `:`, and names hold letters, digits, `-`, `_`, `.` and `*`",
        ),
        (
            r#"{"destinationHost": null, "protocol": "any"}"#,
            "line 2, column 32: rule 0, key `destinationHost`: expected an endpoint (a string or an object), found null",
        ),
        (
            r#"{"destinationHost": {"port": 1}, "protocol": "any"}"#,
            "line 2, column 32: rule 0, key `destinationHost`: missing key `hostname`",
        ),
        (
            r#"{"destinationHost": "example.com", "remoteNetwork": null, "protocol": "any"}"#,
            "line 2, column 64: rule 0, key `remoteNetwork`: key cannot stand beside `destinationHost`: they belong to different initialisers",
        ),
        (
            r#"{"protocol": "any"}"#,
            "line 2, column 12: rule 0: missing key `remoteNetwork`, `destinationNetwork` or `destinationHost`",
        ),
        (
            r#"{"destinationPrefix": 8, "protocol": "any"}"#,
            "line 2, column 12: rule 0: missing key `destinationNetwork`",
        ),
        (r#"{"remoteNetwork": null}"#, "line 2, column 12: rule 0: missing key `protocol`"),
        (
            r#"{"remoteNetwork": null, "protocol": "tpc"}"#,
            "line 2, column 48: rule 0, key `protocol`: unknown protocol `tpc`: expected `any` (rules only), `TCP`, `UDP`, `ICMP`, `ICMPv6` or 0 to 255",
        ),
        (
            r#"{"remoteNetwork": null, "protocol": 256}"#,
            "line 2, column 48: rule 0, key `protocol`: `256` is out of range: expected a whole number from 0 to 255",
        ),
        (
            r#"{"remoteNetwork": null, "protocol": true}"#,
            "line 2, column 48: rule 0, key `protocol`: expected a protocol (a string or a number), found a boolean",
        ),
        (
            r#"{"remoteNetwork": null, "protocol": "any", "direction": "out"}"#,
            "line 2, column 68: rule 0, key `direction`: unknown direction `out`: expected `any`, `inbound` or `outbound`",
        ),
        (
            r#"{"remoteNetwork": null, "remoteprefix": 0, "protocol": "any"}"#,
            "line 2, column 36: rule 0, key `remoteprefix`: unknown key",
        ),
        (
            r#"{"remoteNetwork": null, "protocol": "any", "protocol": "TCP"}"#,
            "line 2, column 55: rule 0, key `protocol`: key stands twice in one object",
        ),
    ];
    for (rule, message) in cases {
        assert_refused(&with_rule(rule), message);
    }
}

#[test]
fn wrong_settings_are_refused_with_their_place() {
    let rule = r#"{"networkRule": {"remoteNetwork": null, "protocol": "any"}"#;
    let cases = [
        ("", "line 1, column 1: not valid JSON: EOF while parsing a value"),
        ("[]", "line 1, column 1: expected an object, found an array"),
        ("{}", "line 1, column 1: missing key `rules`"),
        (r#"{"rules": {}}"#, "line 1, column 11: key `rules`: expected an array, found an object"),
        ("{\"rules\": [],\n}", "line 2, column 1: not valid JSON: key must be a string"),
        (r#"{"rules": []} x"#, "line 1, column 15: not valid JSON: trailing characters"),
        (r#"{"rules": [1]}"#, "line 1, column 12: rule 0: expected an object, found a number"),
        (
            r#"{"rules": [], "defaultAction": "block"}"#,
            "line 1, column 32: key `defaultAction`: unknown action `block`: expected `allow`, `drop` or `filterData`",
        ),
        (
            r#"{"rules": [], "defaultAction": null}"#,
            "line 1, column 32: key `defaultAction`: expected a string, found null",
        ),
        (
            &format!(r#"{{"rules": [{rule}, "action": "remediate"}}]}}"#),
            "line 1, column 82: rule 0, key `action`: action `remediate` is not available on macOS: expected `allow`, `drop` or `filterData`",
        ),
        (
            &format!("{{\"rules\": [{rule}, \"action\": \"drop\"}},\n{rule}}}]}}"),
            "line 2, column 1: rule 1: missing key `action`",
        ),
        (
            &format!(r#"{{"rules": [{rule}, "action": "drop", "label": 7}}]}}"#),
            "line 1, column 99: rule 0, key `label`: expected a string, found a number",
        ),
        (
            &format!(r#"{{"rules": [{rule}, "action": "drop", "label": "\ud800"}}]}}"#),
            "line 1, column 99: rule 0, key `label`: not valid JSON: unexpected end of hex escape",
        ),
        (
            r#"{"rules": [{"action": "drop"}]}"#,
            "line 1, column 12: rule 0: missing key `networkRule`",
        ),
    ];
    for (text, message) in cases {
        assert_refused(text, message);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_with_their_place() {
    let error = settings::read(b"{\"rules\":\n \xc3\xa9 \xff}").unwrap_err();
    assert_eq!(error.to_string(), "line 2, column 4: not valid UTF-8");
}

#[test]
fn rules_stand_where_an_editor_finds_them() {
    let text = "\u{feff}{ \"defaultAction\": \"\u{fc}\", \"rules\": [{},\n\n \t{\"a\": [\n]}, {}]}";
    let places = settings::rule_places(text.as_bytes()).unwrap();
    assert_eq!(places, [(1, 35), (3, 3), (4, 5)]);
    let message = |text: &str| settings::rule_places(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(message("{}"), "line 1, column 1: missing key `rules`");
    assert_eq!(message("[]"), "line 1, column 1: missing key `rules`");
}

#[test]
fn a_byte_order_mark_is_accepted() {
    let read = settings::read(b"\xef\xbb\xbf{\"rules\": []}").unwrap();
    assert_eq!(read, FilterSettings::default());
}

#[test]
fn settings_over_the_stated_size_are_refused() {
    let error = settings::read(&vec![b' '; settings::MAX_BYTES + 1]).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::TooLarge { limit: settings::MAX_BYTES });
}

#[test]
fn nesting_without_end_is_an_error_and_no_overflow() {
    for open in ["[", "{\"rules\": ", "{\"rules\": [[["] {
        assert!(settings::read(open.repeat(200_000).as_bytes()).is_err());
    }
    let (open, close) = ("[".repeat(200_000), "]".repeat(200_000));
    assert_refused(
        &format!("{{\"rules\": {open}{close}}}"),
        "line 1, column 12: rule 0: expected an object, found an array",
    );
}

#[test]
fn a_wrong_flow_line_is_refused_with_column_and_key() {
    let cases = [
        (r#"{"remoteEndpoint": "1.1.1.1:80"}"#, "line 1, column 1: missing key `socketProtocol`"),
        (
            r#"{"socketProtocol": 6, "remoteEndPoint": "1.1.1.1:80"}"#,
            "line 1, column 23: key `remoteEndPoint`: unknown key",
        ),
        (
            r#"{"socketProtocol": 6, "remoteEndpoint": "1.1.1.256:80"}"#,
            "line 1, column 41: key `remoteEndpoint`: `1.1.1.256:80` is not an endpoint: expected `address`, `address:port`, `[address]:port` or `name:port`",
        ),
        (
            r#"{"socketProtocol": 6, "remoteEndpoint": "1.1.1.1:80-90"}"#,
            "line 1, column 41: key `remoteEndpoint`: a flow has one port, not a range",
        ),
        (
            r#"{"socketProtocol": 6, "localEndpoint": "localhost:80"}"#,
            "line 1, column 40: key `localEndpoint`: local endpoint `localhost` is a name: expected an IP address",
        ),
        (
            r#"{"socketProtocol": "any"}"#,
            "line 1, column 20: key `socketProtocol`: unknown protocol `any`: expected `any` (rules only), `TCP`, `UDP`, `ICMP`, `ICMPv6` or 0 to 255",
        ),
        (
            r#"{"socketProtocol": 6, "direction": 2}"#,
            "line 1, column 36: key `direction`: expected a string, found a number",
        ),
    ];
    for (line, message) in cases {
        assert_eq!(flow_lines::read(line).unwrap_err().to_string(), message, "{line}");
    }
}

#[test]
fn a_wrong_log_line_is_refused_with_column_and_key() {
    let cases = [
        (
            "Filtering the log data using \"subsystem\"",
            "line 1, column 1: not a flow: expected a JSON object, or a log line with `remote endpoint`",
        ),
        (
            "x: local endpoint 0.0.0.0:0, remote endpoint <private>, direction outbound",
            "line 1, column 46: key `remote endpoint`: `<private>` is not a host name: it holds `<`, and names hold letters, digits, `-`, `_`, `.` and `*`",
        ),
        (
            "x: local endpoint 0.0.0.0:0, remote endpoint 1.1.1.1:80, direction up",
            "line 1, column 68: key `direction`: unknown direction `up`: expected `any`, `inbound` or `outbound`",
        ),
    ];
    for (line, message) in cases {
        let error = log_lines::read(line, IpProtocol::TCP).unwrap_err();
        assert_eq!(error.to_string(), message, "{line}");
    }
}

#[test]
fn a_line_over_the_stated_size_is_refused() {
    for line in [format!("{{{}}}", " ".repeat(MAX_LINE_BYTES)), "x".repeat(MAX_LINE_BYTES + 1)] {
        let error = read_flow(&line, IpProtocol::TCP).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::TooLarge { limit: MAX_LINE_BYTES });
    }
}
