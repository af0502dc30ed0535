//! `flowsieve lint`: what is found, in both formats, and when it is denied.

use crate::program::{Ended, file, run};
use serde_json::Value;

/// A rule that shadows, one that is shadowed, and one that is refused.
const SETTINGS: &str = r#"{"rules": [
  {"networkRule": {"destinationNetwork": "10.0.0.0", "destinationPrefix": 8, "protocol": "any"}, "action": "drop"},
  {"networkRule": {"destinationNetwork": "10.0.0.1", "destinationPrefix": 32, "protocol": "any"}, "action": "allow", "label": "one\u001b[2J"},
  {"networkRule": {"destinationNetwork": "10.0.0.1", "destinationPrefix": 64, "protocol": "any"}, "action": "allow"}
], "defaultAction": "filterData"}
"#;

const PROXY: &str = r#"{
  "includedNetworkRules": [
    {"destinationNetwork": "0.0.0.0", "destinationPrefix": 0, "protocol": "any"}
  ]
}"#;

fn lint(test: &str, content: &str, args: &[&str]) -> Ended {
    let path = file(test, "rules.json", content);
    run(&[&["lint", path.to_str().unwrap()], args].concat())
}

#[test]
fn text_names_the_rule_the_place_and_the_change() {
    let ended = lint("lint_text", SETTINGS, &[]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    for part in [
        "warning[L-15]: rule that an earlier rule covers",
        "rules.json:3:3",
        "rule 1 (one\\u{1b}[2J)",
        "rule 0 stands at ",
        "rules.json:2:3",
        "  = help: put rule 1 before rule 0",
        "error[L-23]: prefix length out of range",
        "rules.json:4:75",
        "prefix length 64 exceeds 32 for an IPv4 address (S-12)",
        "rules.json: 3 rules, 1 error, 1 warning\n",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn lines_of_json_hold_the_place_and_the_edits() {
    let ended = lint("lint_jsonl", SETTINGS, &["--format", "jsonl"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    let first = &lines[0];
    assert_eq!((&first["code"], &first["severity"]), (&"L-15".into(), &"warning".into()));
    assert_eq!((&first["list"], &first["rule"]), (&"rules".into(), &1.into()));
    assert_eq!((&first["line"], &first["column"]), (&3.into(), &3.into()));
    assert_eq!((&first["label"], &first["clause"]), (&"one\u{1b}[2J".into(), &"S-60".into()));
    assert_eq!(first["related"]["rule"], 0);
    assert_eq!(first["suggestion"].as_array().unwrap().len(), 2);
    let second = &lines[1];
    assert_eq!((&second["code"], &second["key"]), (&"L-23".into(), &"destinationPrefix".into()));
    let mended = &second["suggestion"][0]["insert"][0]["networkRule"];
    assert_eq!(mended["destinationPrefix"], 32);
}

#[test]
fn what_is_denied_makes_the_status_1() {
    let status = |args: &[&str]| lint("lint_deny", SETTINGS, args).status;
    assert_eq!(status(&[]), Some(0));
    for denied in [
        &["L-15"] as &[&str],
        &["l-23"],
        &["L-01", "L-15"],
        &["L-01,L-23"],
        &["errors"],
        &["warnings"],
        &["notes"],
    ] {
        assert_eq!(status(&[&["--deny"], denied].concat()), Some(1), "{denied:?}");
    }
    assert_eq!(status(&["--deny", "L-01", "L-27"]), Some(0));
    let ended = lint("lint_deny", SETTINGS, &["--deny", "L-20"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("unknown lint `L-20`: expected a code such as `L-01`"));

    let noted = r#"{"rules": [{"networkRule": {"destinationHost": "a.b", "protocol": "any"},
        "action": "drop"}], "defaultAction": "allow"}"#;
    for (denied, status) in [("errors", 0), ("warnings", 0), ("notes", 1)] {
        let ended = lint("lint_deny_note", noted, &["--deny", denied]);
        assert_eq!(ended.status, Some(status), "{denied}");
    }
}

#[test]
fn a_rule_that_cannot_be_read_is_an_error_and_the_others_are_linted() {
    let settings = SETTINGS.replace("\"action\": \"drop\"", "\"actions\": \"drop\"");
    let settings = settings.replace(
        "\"10.0.0.1\", \"destinationPrefix\": 32",
        "\"10.0.0.1\", \"destinationPrefix\": 0",
    );
    let ended = lint("lint_unreadable", &settings, &["--deny", "errors"]);
    assert_eq!(ended.status, Some(2));
    assert!(
        ended.stderr.contains("line 2, column 98: rule 0, key `actions`: unknown key\n"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("error[L-01]"), "{ended:?}");

    let ended = lint("lint_unreadable", "{", &[]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("rules.json: line 1, column "), "{ended:?}");
}

#[test]
fn proxy_settings_are_told_by_their_keys_or_on_request() {
    let ended = lint("lint_proxy", PROXY, &["--deny", "L-09"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("error[L-09]"), "{ended:?}");
    assert!(ended.stdout.contains("replace included rule 0 by:\n"), "{ended:?}");
    let ended = lint("lint_proxy", PROXY, &["--for", "filter"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("key `includedNetworkRules`: unknown key"), "{ended:?}");

    let filter = r#"{"rules": [{"networkRule": {"destinationNetwork": "8.8.8.8:53",
        "destinationPrefix": 32, "protocol": "UDP"}, "action": "filterData"}]}"#;
    assert_eq!(lint("lint_filter", filter, &["--deny", "notes"]).status, Some(0));
    let ended = lint("lint_filter", filter, &["--for", "proxy", "--deny", "L-10"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
}

#[test]
fn check_prints_the_errors_and_of_many_alike_the_first() {
    let rules: Vec<String> = (0..5)
        .map(|n| {
            format!(
                r#"{{"networkRule": {{"destinationNetwork": "192.0.2.{n}:{n}1", "destinationPrefix": 0, "protocol": "any"}}, "action": "drop"}}"#
            )
        })
        .collect();
    let settings = format!(r#"{{"rules": [{}]}}"#, rules.join(",\n"));
    let path = file("check_errors", "rules.json", settings);
    let ended = run(&["check", path.to_str().unwrap()]);
    assert_eq!(ended.status, Some(0));
    assert_eq!(ended.stderr.matches("error: L-01 rule ").count(), 3, "{ended:?}");
    assert!(ended.stderr.contains("error: L-01 2 more times; `flowsieve lint` shows all\n"));
    let ended = run(&["lint", path.to_str().unwrap()]);
    assert_eq!(ended.stdout.matches("error[L-01]").count(), 5);

    // A warning is for lint only.
    let path = file("check_errors", "warning.json", SETTINGS.replace("64,", "32,"));
    let ended = run(&["check", path.to_str().unwrap()]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
}
