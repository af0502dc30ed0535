//! `flowsieve test`: cases in both forms, what is said of those that fail, and of those that cannot
//! be read.

use crate::program::{Ended, example, file, run, run_with};
use serde_json::Value;

const SETTINGS: &str = r#"{"rules": [
  {"networkRule": {"destinationNetwork": "192.0.2.0:443", "destinationPrefix": 24, "protocol": "TCP"}, "action": "drop", "label": "office"},
  {"networkRule": {"destinationNetwork": "192.0.2.0", "destinationPrefix": 24, "protocol": "any"}, "action": "filterData", "label": "rest"},
  {"networkRule": {"destinationHost": "example.com", "protocol": "any"}, "action": "drop"}
], "defaultAction": "allow"}"#;

/// The first case fails, for the reason that it expects.
const CASES: &str = r#"
# The office.
[[case]]
name = "the office is dropped"
flow = { remoteEndpoint = "192.0.2.1:443", socketProtocol = "TCP", direction = "outbound" }
expect = { action = "drop", label = "office", rule = 0, reason = "pending" }

[[case]]
flow = "192.0.2.1:80"
expect = { action = "filterData", label = "rest" }

[[case]]
[case.flow]
remoteEndpoint = { hostname = "203.0.113.1", port = 443 }
socketProtocol = 6
direction = "outbound"
remoteHostname = "www.example.com"
[case.expect]
action = "drop"
rule = 2

[[case]]
flow = { remoteEndpoint = "127.0.0.1:80", socketProtocol = 6, direction = "outbound", remoteHostname = "localhost" }
expect = { action = "allow", reason = "loopback" }
"#;

fn test(name: &str, cases: impl AsRef<[u8]>, args: &[&str]) -> Ended {
    let settings = file(name, "rules.json", SETTINGS);
    let cases = file(name, "cases", cases);
    let files = [settings.to_str().unwrap(), cases.to_str().unwrap()];
    run(&[&["test"], files.as_slice(), args].concat())
}

#[test]
fn cases_that_pass_are_counted() {
    let passing = CASES.replace("reason = \"pending\"", "reason = \"rule\"");
    let ended = test("cases_pass", &passing, &[]);
    let expected = "4 passed, 0 failed\n";
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), expected), "{ended:?}");
    assert_eq!(ended.stderr, "");
    let inline = r#"case = [{ flow = "192.0.2.1:80", expect = { action = "filterData" } }]"#;
    let ended = test("cases_pass", inline, &[]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), "1 passed, 0 failed\n"));
    for nothing in ["", "\n# nothing\n"] {
        let ended = test("cases_pass", nothing, &[]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), "0 passed, 0 failed\n"));
    }
}

#[test]
fn lines_of_json_are_the_same_cases() {
    let cases = r#"{"name": "office", "flow": {"remoteEndpoint": "192.0.2.1:443", "socketProtocol": 6, "direction": "outbound"}, "expect": {"action": "drop", "label": "office"}}

{"flow": "192.0.2.1:80", "expect": {"action": "filterData", "rule": 1}}
{"flow": "x: Got a new flow with local endpoint 0.0.0.0:0, remote endpoint 203.0.113.7:80, direction outbound", "expect": {"action": "allow"}}
"#;
    let passed = (Some(0), "3 passed, 0 failed\n");
    let ended = test("cases_jsonl", cases, &[]);
    assert_eq!((ended.status, ended.stdout.as_str()), passed, "{ended:?}");

    let settings = file("cases_jsonl", "rules.json", SETTINGS);
    let ended = run_with(&["test", settings.to_str().unwrap(), "-"], cases.as_bytes());
    assert_eq!((ended.status, ended.stdout.as_str()), passed, "{ended:?}");
}

#[test]
fn a_case_that_fails_says_what_was_expected_what_came_and_why() {
    let cases = r#"[[case]]
name = "port 80"
flow = "192.0.2.1:80"
expect = { action = "drop", label = "office" }

[[case]]
flow = "203.0.113.1:80"
expect = { action = "drop", label = "no such", rule = 9 }
"#;
    let ended = test("cases_fail", cases, &[]);
    let directory = env!("CARGO_TARGET_TMPDIR");
    let expected = format!(
        "failed: {directory}/cases_fail/cases:1:1 port 80
  flow      TCP outbound 0.0.0.0:0 -> 192.0.2.1:80
  expected  drop by the rule `office`
  came      filterData by rule 1 (rest)
  wrong     action filterData instead of drop
  wrong     rule 1 (rest) instead of the rule `office`
  why       rule 1 (rest) decides: protocol TCP is TCP or UDP; direction is outbound; remote address 192.0.2.1 is in 192.0.2.0/24
  why       rule 0 (office) does not match: remote port 80 is not 443

failed: {directory}/cases_fail/cases:6:1
  flow      TCP outbound 0.0.0.0:0 -> 203.0.113.1:80
  expected  drop by the rule `no such` by rule 9
  came      allow by default, pending
  wrong     action allow instead of drop
  wrong     no rule instead of the rule `no such`, which is the label of no rule
  wrong     no rule instead of rule 9, which there is not
  why       no rule matches, so the default action allow is taken

0 passed, 2 failed
"
    );
    assert_eq!((ended.status, ended.stdout), (Some(1), expected));
    assert_eq!(ended.stderr, "");
}

#[test]
fn lines_of_json_report_every_case() {
    let ended = test("cases_report", CASES, &["--format", "jsonl"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(1), "3 passed, 1 failed\n"));
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    let first = &lines[0];
    assert_eq!((&first["passes"], &first["line"]), (&false.into(), &3.into()));
    assert_eq!(first["expect"]["reason"], "pending");
    assert_eq!((&first["got"]["reason"], &first["got"]["rule"]), (&"rule".into(), &0.into()));
    assert!(first["why"][0].as_str().unwrap().starts_with("rule 0 (office) decides: "));
    assert!(lines[1..].iter().all(|line| line["passes"] == true));
}

#[test]
fn protocol_is_that_of_the_arguments_where_the_flow_says_none() {
    let cases = "[[case]]\nflow = \"192.0.2.1:443\"\nexpect = { action = \"filterData\" }\n";
    assert_eq!(test("cases_args", cases, &[]).status, Some(1));
    assert_eq!(test("cases_args", cases, &["--protocol", "UDP"]).status, Some(0));
}

#[test]
fn a_case_that_cannot_be_read_is_an_error_at_its_place() {
    const FLOW: &str = "flow = \"192.0.2.1:443\"\n";
    const EXPECT: &str = "expect = { action = \"drop\" }\n";
    let good = format!("[[case]]\n{FLOW}{EXPECT}");
    for (bad, line, column, reason) in [
        (
            format!("{FLOW}expect = {{ action = \"block\" }}"),
            3,
            10,
            "expect: unknown action `block`",
        ),
        (format!("{FLOW}expect = {{ }}"), 3, 10, "expect: missing field `action`"),
        (format!("{FLOW}expects = 1"), 3, 1, "unknown key `expects`"),
        (FLOW.to_owned(), 1, 1, "missing key `expect`"),
        (EXPECT.to_owned(), 1, 1, "missing key `flow`"),
        (format!("flow = \"10.0.0.256:1\"\n{EXPECT}"), 2, 8, "flow: `10.0.0.256:1` is not an"),
        (
            format!("flow = {{ socketProtocol = 6, port = 1 }}\n{EXPECT}"),
            2,
            37,
            "flow, key `port`: unknown key",
        ),
        (
            format!("flow.socketProtocol = 300\n{EXPECT}"),
            2,
            23,
            "flow, key `socketProtocol`: `300` is out of range",
        ),
        (format!("name = 1\n{FLOW}{EXPECT}"), 2, 8, "name: expected a string"),
        ("[[cases]]".to_owned(), 2, 3, "unknown key `cases`: expected tables `[[case]]`"),
    ] {
        let ended = test("cases_bad", format!("{good}[[case]]\n{bad}\n"), &[]);
        assert_eq!(ended.status, Some(2), "{bad}: {ended:?}");
        let expected = format!("cases:{}:{column}: {reason}", line + 3);
        assert!(ended.stderr.contains(&expected), "{expected}: {ended:?}");
        assert!(ended.stdout.ends_with("1 passed, 0 failed\n"), "{ended:?}");
    }
}

#[test]
fn a_file_that_has_no_cases_is_an_error() {
    for (bad, place, reason) in [
        (b"case = []".as_slice(), "1:8", "`case` is an array of tables"),
        (b"case = [1]", "1:9", "a case is a table"),
        (b"[[case]]\n  flow == 1", "2:9", "not valid TOML: "),
        (b"# \xc3\xbc\xff", "1:4", "not valid UTF-8"),
    ] {
        let ended = test("cases_none", bad, &[]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), "0 passed, 0 failed\n"));
        assert!(ended.stderr.contains(&format!("cases:{place}: {reason}")), "{reason}: {ended:?}");
    }
}

#[test]
fn a_line_that_cannot_be_read_is_an_error_at_its_place() {
    let good = r#"{"flow": "192.0.2.1:443", "expect": {"action": "drop"}}"#;
    let expecting = |expect: &str| format!(r#"{{"flow": "192.0.2.1:443", "expect": {expect}}}"#);
    let of_flow = |flow: &str| format!(r#"{{"flow": {flow}, "expect": {{"action": "drop"}}}}"#);
    for (bad, column, reason) in [
        (expecting(r#"{"action": "block"}"#), 37, "expect: unknown action `block`"),
        (expecting(r#"{"action": "drop", "why": 1}"#), 37, "expect: unknown field `why`"),
        (expecting(r#"{"action": "drop", "reason": "luck"}"#), 37, "expect: unknown reason `luck`"),
        (
            of_flow(r#"{"socketProtocol": "TPC"}"#),
            29,
            "flow, key `socketProtocol`: unknown protocol `TPC`",
        ),
        (of_flow(r#""10.0.0.256:1""#), 10, "flow: `10.0.0.256:1` is not an endpoint"),
        (r#"{"flow": "192.0.2.1:443"}"#.to_owned(), 25, "missing field `expect`"),
        ("nonsense".to_owned(), 2, "expected ident"),
    ] {
        let ended = test("case_lines_bad", format!("{good}\n{bad}\n{good}\n"), &[]);
        assert_eq!(ended.status, Some(2), "{bad}: {ended:?}");
        let expected = format!("cases:2:{column}: {reason}");
        assert!(ended.stderr.contains(&expected), "{expected}: {ended:?}");
        assert_eq!(ended.stdout, "2 passed, 0 failed\n");
    }
}

#[test]
fn what_cannot_be_read_outranks_what_fails() {
    let cases = "{\"flow\": \"192.0.2.1:443\", \"expect\": {\"action\": \"allow\"}}\n{}\n";
    let ended = test("cases_status", cases, &[]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stdout.ends_with("0 passed, 1 failed\n"), "{ended:?}");
    let ended = run(&["test", &example("prefix-32.json"), "no-such-file"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.starts_with("error: no-such-file: "), "{ended:?}");
}
