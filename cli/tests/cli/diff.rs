//! `flowsieve diff`: where settings differ.

use crate::program::{SETTINGS, file, run};
use serde_json::Value;

#[test]
fn equal_settings_are_the_same() {
    let old = file("diff_same", "old.json", SETTINGS);
    // 192.0.2.0/24 in halves.
    let halves = SETTINGS.replace(
        r#"{ "networkRule": { "destinationNetwork": "192.0.2.0", "destinationPrefix": 24, "protocol": "UDP" }, "action": "drop" }"#,
        r#"{ "networkRule": { "destinationNetwork": "192.0.2.128", "destinationPrefix": 25, "protocol": "UDP" }, "action": "drop" },
        { "networkRule": { "destinationNetwork": "192.0.2.0", "destinationPrefix": 25, "protocol": "UDP" }, "action": "drop" }"#,
    );
    assert_ne!(halves, SETTINGS);
    let new = file("diff_same", "new.json", halves);
    let ended = run(&["diff", old.to_str().unwrap(), new.to_str().unwrap()]);
    assert_eq!(ended.stdout, "same: every flow gets the same action\n");
    assert_eq!(ended.status, Some(0));
}

#[test]
fn what_differs_is_printed_with_rules_and_a_flow() {
    let old = file("diff_text", "old.json", SETTINGS);
    let new = SETTINGS.replace(
        r#""10.0.0.1", "destinationPrefix": 32"#,
        r#""10.0.0.1", "destinationPrefix": 31"#,
    );
    let new = file("diff_text", "new.json", new);
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let ended = run(&["diff", old, new]);
    let expected = format!(
        "\
TCP, UDP outbound, remote 10.0.0.0/32
  old  drop by rule 1 \"ten\" ({old}:4:5)
  new  filterData by rule 0 ({new}:3:5)
  such as TCP outbound 0.0.0.0:0 -> 10.0.0.0:443
different: 1 region
"
    );
    assert_eq!(ended.stdout, expected);
    assert_eq!(ended.status, Some(1));

    let ended = run(&["diff", old, new, "--format", "jsonl"]);
    let line: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(line["region"]["remote"], serde_json::json!(["10.0.0.0/32"]));
    assert_eq!(line["region"]["protocols"], serde_json::json!(["TCP", "UDP"]));
    assert_eq!(line["region"]["local"], "any");
    assert_eq!((&line["old"]["action"], &line["old"]["rule"]), (&"drop".into(), &1.into()));
    assert_eq!((&line["new"]["action"], &line["new"]["line"]), (&"filterData".into(), &3.into()));
    assert_eq!(line["witness"]["remoteEndpoint"], "10.0.0.0:443");
}

#[test]
fn as_many_regions_are_printed_as_asked_for() {
    let old = file("diff_limit", "old.json", r#"{"rules": []}"#);
    let new = file("diff_limit", "new.json", SETTINGS);
    let args = ["diff", old.to_str().unwrap(), new.to_str().unwrap(), "--limit", "1"];
    let ended = run(&args);
    assert_eq!(ended.status, Some(1));
    let last = ended.stdout.lines().last().unwrap();
    assert!(last.starts_with("different: ") && last.ends_with(" are not shown"), "{last}");
    assert_eq!(ended.stdout.lines().count(), 5, "{}", ended.stdout);
}
