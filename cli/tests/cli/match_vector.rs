//! `flowsieve match-vector`: vectors pass, differ or are malformed.

use crate::program::{Ended, file, run};
use serde_json::{Value, json};

fn network_vector(id: &str, expect: &str) -> Value {
    json!({
        "id": id, "clause": "S-10", "expect": expect, "source": "test", "note": "not looked at",
        "rule": {
            "remote": {"host": "10.0.0.0", "port": "0"}, "remote_prefix": 8,
            "local": null, "local_prefix": 0, "protocol": "tcp", "direction": "outbound",
        },
        "flow": {
            "remote": {"host": "10.1.2.3", "port": "443"}, "local": {"host": "0.0.0.0", "port": "0"},
            "protocol": 6, "direction": "outbound", "remote_hostname": null,
        },
    })
}

fn host_vector(id: &str, host: &str, expect: &str) -> Value {
    let mut vector = network_vector(id, expect);
    vector["rule"] = json!({"destination_host": host, "port": "443", "protocol": "any"});
    vector["flow"]["remote_hostname"] = json!("www.example.com");
    vector
}

fn settings_vector(id: &str, expect: Value) -> Value {
    json!({
        "id": id, "expect": expect,
        "settings": {
            "rules": [{
                "networkRule": {
                    "destinationNetwork": "10.0.0.0", "destinationPrefix": 8, "protocol": "any",
                },
                "action": "drop", "label": "not part of the answer",
            }],
            "defaultAction": "allow",
        },
        "flow": {"remoteEndpoint": "10.1.2.3:443", "socketProtocol": 6, "direction": "outbound"},
    })
}

fn run_vectors(test: &str, vectors: &[Value]) -> Ended {
    let path = file(test, "vectors.json", Value::from(vectors).to_string());
    run(&["match-vector", path.to_str().unwrap()])
}

#[test]
fn vectors_of_both_shapes_pass_in_one_file() {
    let verdict = json!({"action": "drop", "rule": 0, "reason": "rule", "pending": []});
    let mut other_port = network_vector("port", "no_match");
    other_port["rule"]["remote"]["port"] = json!("80");
    let ended = run_vectors(
        "vectors_pass",
        &[
            network_vector("network", "match"),
            other_port,
            host_vector("host", "example.com", "match"),
            settings_vector("settings", verdict),
        ],
    );
    let expected = r#"{"id":"network","expect":"match","got":"match"}
{"id":"port","expect":"no_match","got":"no_match"}
{"id":"host","expect":"match","got":"match"}
{"id":"settings","expect":{"action":"drop","rule":0,"reason":"rule","pending":[]},"got":{"action":"drop","rule":0,"reason":"rule","pending":[]}}
4 passed, 0 failed
"#;
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), expected), "{ended:?}");
    assert_eq!(ended.stderr, "");
}

#[test]
fn rule_that_cannot_be_made_is_invalid() {
    let mut vectors = Vec::new();
    for prefix in [33, 256, 999, i64::MAX as u64, u64::MAX] {
        let mut vector = network_vector(&format!("prefix-{prefix}"), "invalid_rule");
        vector["rule"]["remote_prefix"] = json!(prefix);
        vectors.push(vector);
    }
    for port in ["80-90", "65536", "-1", "https", "*", " 1"] {
        let mut vector = network_vector(&format!("port-{port}"), "invalid_rule");
        vector["rule"]["remote"]["port"] = json!(port);
        vectors.push(vector);
    }
    for host in ["10.0.0.1", "", "https://example.com/"] {
        vectors.push(host_vector(&format!("host-{host}"), host, "invalid_rule"));
    }
    let ended = run_vectors("vectors_invalid_rule", &vectors);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.ends_with("14 passed, 0 failed\n"), "{ended:?}");
}

#[test]
fn prefix_beside_nil_is_ignored_whatever_it_is() {
    let mut vector = network_vector("nil", "match");
    vector["rule"]["remote"] = Value::Null;
    vector["rule"]["remote_prefix"] = json!(u64::MAX);
    vector["rule"]["local_prefix"] = json!(999);
    let ended = run_vectors("vectors_nil", &[vector]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

#[test]
fn vector_that_differs_makes_status_1() {
    let wrong = [
        json!({"action": "allow", "rule": 0, "reason": "rule", "pending": []}),
        json!({"action": "drop", "rule": null, "reason": "rule", "pending": []}),
        json!({"action": "drop", "rule": 0, "reason": "pending", "pending": []}),
        json!({"action": "drop", "rule": 0, "reason": "rule", "pending": [0]}),
        json!({"error": "nothing"}),
    ];
    for (index, expect) in wrong.into_iter().enumerate() {
        let ended = run_vectors("vectors_differ", &[settings_vector("x", expect)]);
        assert_eq!(ended.status, Some(1), "{index}: {ended:?}");
        assert!(ended.stdout.ends_with("0 passed, 1 failed\n"), "{ended:?}");
    }
    for expect in ["no_match", "invalid_rule"] {
        let vectors = [network_vector("x", expect), network_vector("y", "match")];
        let ended = run_vectors("vectors_differ", &vectors);
        let line = format!(r#"{{"id":"x","expect":"{expect}","got":"match"}}"#);
        assert_eq!(ended.status, Some(1));
        assert_eq!(ended.stdout.lines().next(), Some(line.as_str()));
        assert!(ended.stdout.ends_with("1 passed, 1 failed\n"), "{ended:?}");
    }
}

#[test]
fn settings_that_cannot_be_read_answer_with_the_error() {
    let mut vector = settings_vector("unreadable", json!({"error": "?"}));
    vector["settings"] = json!({"rules": [], "rule": 1});
    let message = "line 1, column 2: key `rule`: unknown key";
    let ended = run_vectors("vectors_unreadable", &[vector.clone()]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stdout.contains(&format!(r#""got":{{"error":"{message}"}}"#)), "{ended:?}");
    vector["expect"] = json!({"error": message});
    assert_eq!(run_vectors("vectors_unreadable", &[vector]).status, Some(0));
}

#[test]
fn malformed_vector_is_named_and_the_others_are_run() {
    let change = |change: fn(&mut Value)| {
        let mut vector = network_vector("broken", "match");
        change(&mut vector);
        vector
    };
    for (vector, message) in [
        (change(|v| v["expect"] = json!("matches")), "expect: unknown variant `matches`"),
        (
            change(|v| v["rule"]["protocol"] = json!("tpc")),
            "rule, protocol: unknown protocol `tpc`",
        ),
        (
            change(|v| v["rule"]["direction"] = json!("up")),
            "rule, direction: unknown direction `up`",
        ),
        (change(|v| v["rule"]["remote_prefix"] = json!(-1)), "rule: invalid value: integer `-1`"),
        (change(|v| v["rule"]["prefix"] = json!(1)), "rule: unknown field `prefix`"),
        (change(|v| v["rule"] = json!({})), "rule: missing field `remote`"),
        (change(|v| v["flow"]["protocol"] = json!(256)), "flow: invalid value: integer `256`"),
        (change(|v| v["flow"]["remote"]["port"] = json!("x")), "flow: `x` is not a port"),
        (change(|v| v["flow"]["direction"] = json!("up")), "flow: unknown direction `up`"),
        (change(|v| v["flow"] = json!({})), "flow: missing field `remote`"),
        (change(|v| v["settings"] = json!({})), "`rule` and `settings` cannot stand in one vector"),
        (change(|v| v["rule"] = Value::Null), "missing `rule` or `settings`"),
        (settings_vector("broken", json!("match")), "expect: expected `action`, `rule`, `reason`"),
        (
            settings_vector("broken", json!({"action": "drop", "reason": "rule", "pending": []})),
            "expect: expected `action`, `rule`, `reason` and `pending`, or `error`",
        ),
    ] {
        let ended = run_vectors("vectors_malformed", &[vector, network_vector("x", "no_match")]);
        assert_eq!(ended.status, Some(2), "{message}: {ended:?}");
        assert!(ended.stderr.starts_with(&format!("error: broken: {message}")), "{ended:?}");
        assert!(ended.stdout.ends_with("0 passed, 1 failed\n"), "{ended:?}");
    }
    let mut vector = settings_vector("broken", json!({"error": ""}));
    vector["flow"] = json!({"socketProtocol": 300});
    let ended = run_vectors("vectors_malformed", &[vector]);
    assert_eq!(ended.status, Some(2));
    let expected = "error: broken: flow: line 1, column 19: key `socketProtocol`: `300` is out of \
                    range: expected a whole number from 0 to 255\n";
    assert_eq!(ended.stderr, expected);

    let ended = run_vectors("vectors_malformed", &[json!(1), json!({"id": 1})]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), "0 passed, 0 failed\n"));
    assert!(ended.stderr.contains("error: vector 0, which has no id: "), "{ended:?}");
    assert!(ended.stderr.contains("error: vector 1, which has no id: "), "{ended:?}");
}

#[test]
fn file_that_is_no_array_of_vectors_is_bad_input() {
    for text in ["{}", "", "[", "[1] 2"] {
        let path = file("vectors_no_array", "vectors.json", text);
        let ended = run(&["match-vector", path.to_str().unwrap()]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{text}");
        let expected = format!("error: {}: not an array of vectors: ", path.display());
        assert!(ended.stderr.starts_with(&expected), "{ended:?}");
    }
    let ended = run(&["match-vector", "no-such-file.json"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.starts_with("error: no-such-file.json: "), "{ended:?}");
}
