//! `flowsieve shadow`: dead and redundant rules.

use crate::program::{file, run};
use serde_json::Value;

const RULES: &str = r#"{
  "rules": [
    { "networkRule": { "destinationNetwork": "10.0.0.0", "destinationPrefix": 9, "protocol": "any" }, "action": "drop", "label": "low" },
    { "networkRule": { "destinationNetwork": "10.128.0.0", "destinationPrefix": 9, "protocol": "any" }, "action": "drop" },
    { "networkRule": { "destinationNetwork": "10.0.0.0", "destinationPrefix": 8, "protocol": "TCP" }, "action": "allow" },
    { "networkRule": { "destinationNetwork": "192.0.2.0", "destinationPrefix": 24, "protocol": "TCP" }, "action": "allow" }
  ],
  "defaultAction": "allow"
}
"#;

#[test]
fn dead_rule_is_named_with_those_that_cover_it() {
    let path = file("shadow_text", "rules.json", RULES);
    let path = path.to_str().unwrap();
    let ended = run(&["shadow", path]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(1), ""));
    let expected = format!(
        "\
rule 2 ({path}:5:5)
  allow TCP outbound, remote 10.0.0.0/8
  dead: it decides no flow, as these before it match all of its flows
    - rule 0 \"low\" ({path}:3:5)
    - rule 1 ({path}:4:5)
rule 3 ({path}:6:5)
  allow TCP outbound, remote 192.0.2.0/24
  redundant: without it, default and others give the same action
4 rules: 2 needed, 1 redundant, 1 dead
"
    );
    assert_eq!(ended.stdout, expected);
}

#[test]
fn every_rule_that_is_alive_has_a_witness() {
    let path = file("shadow_jsonl", "rules.json", RULES);
    let ended = run(&["shadow", path.to_str().unwrap(), "--witness", "--format", "jsonl"]);
    assert_eq!(ended.status, Some(1));
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let standings: Vec<_> = lines.iter().map(|line| line["standing"].as_str().unwrap()).collect();
    assert_eq!(standings, ["needed", "needed", "shadowed", "redundant"]);
    assert_eq!(lines[2]["coveredBy"], serde_json::json!([0, 1]));
    assert_eq!((lines[2]["line"].as_u64(), lines[2]["column"].as_u64()), (Some(5), Some(5)));
    let flows: String = lines
        .iter()
        .filter(|line| !line["witness"].is_null())
        .map(|line| format!("{}\n", line["witness"]))
        .collect();
    let flows = file("shadow_jsonl", "flows.jsonl", flows);
    let (rules, flows) = (path.to_str().unwrap(), flows.to_str().unwrap());
    let checked = run(&["check", rules, "--flows", flows, "--format", "jsonl"]);
    let rules: Vec<_> = checked.verdicts().into_iter().map(|(_, rule)| rule).collect();
    assert_eq!(rules, [Some(0), Some(1), Some(3)]);
}

#[test]
fn settings_without_a_dead_rule_are_fine() {
    let path = file("shadow_fine", "rules.json", r#"{"rules": []}"#);
    let ended = run(&["shadow", path.to_str().unwrap()]);
    assert_eq!(ended.status, Some(0));
    assert_eq!(ended.stdout, "0 rules: 0 needed, 0 redundant, 0 dead\n");
}
