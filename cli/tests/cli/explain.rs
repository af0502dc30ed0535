//! `flowsieve explain`: rule by rule, why.

use crate::program::{SETTINGS, example, file, flow_line, run, run_with};
use serde_json::{Value, json};

#[test]
fn text_says_for_each_rule_what_did_not_hold_and_who_decides() {
    let path = file("explain_text", "rules.json", SETTINGS);
    let ended = run(&["explain", path.to_str().unwrap(), "10.0.0.2:80"]);
    let expected = "\
flow       TCP outbound 0.0.0.0:0 -> 10.0.0.2:80

rule 0
  rule     any outbound, remote 10.0.0.1/32
  action   filterData
  outcome  fails: it does not match
    - remote address 10.0.0.2 is not in 10.0.0.1/32

rule 1     ten
  rule     any outbound, remote 10.0.0.0/8
  action   drop
  outcome  decides: it is the first that matches
    - protocol TCP is TCP or UDP
    - direction is outbound
    - remote address 10.0.0.2 is in 10.0.0.0/8

1 later rule was not needed

verdict    drop by rule 1
";
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), expected), "{ended:?}");
    assert_eq!(ended.stderr, "");
}

#[test]
fn all_prints_the_rules_after_the_deciding_one() {
    let path = file("explain_all", "rules.json", SETTINGS);
    let ended = run(&["explain", path.to_str().unwrap(), "10.0.0.1:80", "--all"]);
    for part in [
        "rule 1     ten\n",
        "overruled: it matches, but a rule before it decides",
        "rule 2\n",
        "    - protocol TCP is not UDP\n    - remote address 10.0.0.1 is not in 192.0.2.0/24\n",
        "verdict    filterData by rule 0\n",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("needed"), "{ended:?}");

    let ended = run(&["explain", path.to_str().unwrap(), "10.0.0.1:80"]);
    assert!(ended.stdout.contains("2 later rules were not needed"), "{ended:?}");
    assert!(!ended.stdout.contains("rule 1"), "{ended:?}");
}

#[test]
fn pending_rules_are_named_and_whether_they_would_change_the_action() {
    let settings = |action: &str| {
        format!(
            r#"{{"rules": [
                {{"networkRule": {{"destinationHost": "example.com", "protocol": "TCP"}},
                    "action": "{action}"}},
                {{"networkRule": {{"localNetwork": "192.168.1.0", "localPrefix": 24,
                    "protocol": "any"}}, "action": "{action}"}}],
                "defaultAction": "allow"}}"#
        )
    };
    for (action, change) in
        [("drop", "the action could still change"), ("allow", "the action would stay the same")]
    {
        let path = file("explain_pending", &format!("{action}.json"), settings(action));
        let path = path.to_str().unwrap();
        let ended = run(&["explain", path, "192.0.2.1:80"]);
        let expected = format!(
            "verdict    allow by default\npending    rules 0, 1 could still match; {change}\n"
        );
        assert!(ended.stdout.ends_with(&expected), "{ended:?}");
        assert!(ended.stdout.contains("    - host name is not known: could be example.com\n"));
        assert!(ended.stdout.contains("local address is not known yet"), "{ended:?}");

        let ended = run(&["explain", path, "192.0.2.1:80", "--format", "jsonl"]);
        let last: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
        assert_eq!((&last["reason"], &last["pending"]), (&json!("pending"), &json!([0, 1])));
    }
}

#[test]
fn jsonl_has_an_object_a_rule_and_the_verdict_last() {
    let path = file("explain_jsonl", "rules.json", SETTINGS);
    let args = ["explain", path.to_str().unwrap(), "10.0.0.2:80", "--format", "jsonl"];
    let ended = run(&args);
    let expected = r#"{"rule":0,"label":null,"action":"filterData","outcome":"fails","reasons":["remote address 10.0.0.2 is not in 10.0.0.1/32"],"parts":{"protocol":"yes","direction":"yes","remoteAddress":"no","remotePort":"yes","remoteHostname":"yes","localAddress":"yes","localPort":"yes","loopback":"yes"}}
{"rule":1,"label":"ten","action":"drop","outcome":"decides","reasons":["protocol TCP is TCP or UDP","direction is outbound","remote address 10.0.0.2 is in 10.0.0.0/8"],"parts":{"protocol":"yes","direction":"yes","remoteAddress":"yes","remotePort":"yes","remoteHostname":"yes","localAddress":"yes","localPort":"yes","loopback":"yes"}}
{"action":"drop","rule":1,"label":"ten","reason":"rule","pending":[]}
"#;
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), expected), "{ended:?}");

    let ended = run(&[args.as_slice(), &["--all"]].concat());
    let outcomes: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["outcome"].clone())
        .collect();
    assert_eq!(outcomes, [json!("fails"), json!("decides"), json!("fails"), Value::Null]);
}

#[test]
fn flow_may_be_json_a_log_line_an_endpoint_or_standard_input() {
    let settings = example("prefix-32.json");
    let log = "x: Got a new flow with local endpoint 0.0.0.0:0, remote endpoint \
               111.111.111.111:80, direction outbound";
    let json = flow_line("111.111.111.111:80");
    let heading = "flow       TCP outbound 0.0.0.0:0 -> 111.111.111.111:80\n";
    for flow in [log, json.as_str(), "111.111.111.111:80"] {
        let ended = run(&["explain", &settings, flow]);
        assert!(ended.stdout.starts_with(heading), "{ended:?}");
        assert!(ended.stdout.ends_with("verdict    filterData by rule 0\n"), "{ended:?}");

        let stdin = format!("\u{feff}\r\n{flow}\r\nthis is not read\n");
        let ended = run_with(&["explain", &settings, "-"], stdin.as_bytes());
        assert!(ended.stdout.starts_with(heading), "{ended:?}");
    }
    let ended = run(&["explain", &settings, "[2001:db8::1]:53", "--protocol", "UDP"]);
    assert!(ended.stdout.starts_with("flow       UDP outbound [::]:0 -> [2001:db8::1]:53\n"));
}

#[test]
fn longest_prefix_considers_the_longest_first() {
    let path = file("explain_longest", "rules.json", SETTINGS);
    let args = ["explain", path.to_str().unwrap(), "10.0.0.2:80", "--precedence", "longest-prefix"];
    let ended = run(&args);
    let order: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with("rule")).collect();
    assert_eq!(order, ["rule 0", "rule 2", "rule 1     ten"]);
}

#[test]
fn text_that_is_no_flow_is_bad_input() {
    let settings = example("prefix-32.json");
    for (flow, message) in [
        ("10.0.0.256:80", "error: flow, column 1: `10.0.0.256:80` is not an endpoint"),
        ("not a flow", "error: flow, column 1: not a flow"),
        ("{\"socketProtocol\": 6, \"x\": 1}", "error: flow, column 23: key `x`: unknown key"),
    ] {
        let ended = run(&["explain", &settings, flow]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{flow}");
        assert!(ended.stderr.starts_with(message), "{ended:?}");
    }
    let ended = run_with(&["explain", &settings, "-"], b"\n\n");
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(2), "error: <stdin>: no flow\n"));
    let ended = run_with(&["explain", &settings, "-"], b"\n\xff\n");
    assert_eq!(ended.stderr, "error: <stdin>:2:1: not valid UTF-8\n");
}
