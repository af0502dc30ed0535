//! `flowsieve plan`: a first stage that misses nothing.

use crate::program::{SETTINGS, file, flow_line, run};
use serde_json::Value;

/// Sixteen hosts, of which the last two are neighbours.
fn blocklist() -> String {
    let hosts = (0..14).map(|host| format!("198.51.{}.7", 10 * host));
    let hosts = hosts.chain(["203.0.113.4".to_owned(), "203.0.113.5".to_owned()]);
    let rules: Vec<String> = hosts
        .map(|host| {
            format!(
                r#"{{"networkRule": {{"destinationNetwork": "{host}", "destinationPrefix": 32, "protocol": "any"}}, "action": "drop"}}"#
            )
        })
        .collect();
    format!(r#"{{"rules": [{}], "defaultAction": "allow"}}"#, rules.join(",\n"))
}

#[test]
fn plan_is_proven_and_can_be_verified() {
    let path = file("plan_verify", "rules.json", blocklist());
    let path = path.to_str().unwrap();
    let ended = run(&["plan", path, "--limit", "15", "--emit", "json"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    // Neighbours are one network, so nothing is sent.
    assert!(ended.stderr.contains("first stage   15 rules, default allow"), "{}", ended.stderr);
    assert!(ended.stderr.contains("to extension  0 % of the space"), "{}", ended.stderr);
    assert!(ended.stdout.contains(r#""hostname":"203.0.113.4""#), "{}", ended.stdout);

    let first = file("plan_verify", "first.json", &ended.stdout);
    let ended = run(&["plan", "--verify", first.to_str().unwrap(), path]);
    assert!(ended.stdout.starts_with("holds"), "{ended:?}");
    assert_eq!(ended.status, Some(0));

    let ended = run(&["plan", path, "--limit", "4", "--format", "jsonl"]);
    let line: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(line["secondStageRules"], 16);
    assert!(line["firstStageRules"].as_u64().unwrap() <= 4);
    assert!(line["share"].as_f64().unwrap() > 0.0);
    assert_eq!(line["curve"].as_array().unwrap().len(), 4);
}

#[test]
fn what_a_first_stage_misses_is_shown() {
    let settings = file("plan_fails", "rules.json", SETTINGS);
    let nothing = r#"{"rules": [{"networkRule": {"destinationNetwork": "10.0.0.0", "destinationPrefix": 8, "protocol": "any"}, "action": "drop"}], "defaultAction": "filterData"}"#;
    let first = file("plan_fails", "first.json", nothing);
    let args = ["plan", "--verify", first.to_str().unwrap(), settings.to_str().unwrap()];
    let ended = run(&args);
    assert_eq!(ended.status, Some(1));
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[1], "TCP, UDP outbound, remote 10.0.0.1/32");
    assert_eq!(lines[2], "  first stage  drop");
    assert!(lines[3].starts_with("  exact        filterData by rule 0 ("), "{}", lines[3]);
    assert_eq!(lines[4], "  such as TCP outbound 0.0.0.0:0 -> 10.0.0.1:443");
}

#[test]
fn sample_decides_what_is_worth_a_rule() {
    let path = file("plan_sample", "rules.json", blocklist());
    let flows = format!("{}\n{}\n", flow_line("198.51.130.9:443"), flow_line("203.0.113.9:443"));
    let flows = file("plan_sample", "flows.jsonl", flows);
    let svg = path.with_file_name("curve.svg");
    let args = [
        "plan",
        path.to_str().unwrap(),
        "--limit",
        "2",
        "--sample",
        flows.to_str().unwrap(),
        "--svg",
        svg.to_str().unwrap(),
    ];
    let ended = run(&args);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("of the sample"), "{}", ended.stdout);
    assert!(std::fs::read_to_string(svg).unwrap().starts_with("<svg"));
}

#[test]
fn swift_and_objective_c_are_printed() {
    let path = file("plan_emit", "rules.json", SETTINGS);
    for (language, start) in [
        ("swift", "import Network\nimport NetworkExtension\n"),
        ("objc", "#import <NetworkExtension/NetworkExtension.h>\n"),
    ] {
        let ended = run(&["plan", path.to_str().unwrap(), "--emit", language]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stdout.starts_with(start), "{}", ended.stdout);
        assert!(ended.stdout.contains("10.0.0.0"), "{}", ended.stdout);
    }
}

#[test]
fn host_rules_are_warned_of() {
    let text = r#"{"rules": [{"networkRule": {"destinationHost": "example.com", "protocol": "TCP"}, "action": "drop"}], "defaultAction": "allow"}"#;
    let path = file("plan_hosts", "rules.json", text);
    let ended = run(&["plan", path.to_str().unwrap()]);
    assert!(ended.stderr.contains("1 host rule: "), "{}", ended.stderr);
    assert!(ended.stdout.contains("to extension  25.0000 % of the space"), "{}", ended.stdout);
}
