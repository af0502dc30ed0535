//! `flowsieve bench`: figures, and whether the answers are right.

use crate::program::{Ended, file, run};
use serde_json::Value;

const RULES: &str = "\
# a comment
10.0.0.0/8 443 * * tcp out
* 80 192.168.0.0/16 * * *
* * * 22 tcp in
192.0.2.0/24 1000-2000 * * * *
0.0.0.0/1 7 * * udp *
";

const FLOWS: &str = "\
10.1.2.3 443 192.168.1.1 50000 tcp out
10.1.2.3 80 192.168.1.1 50000 udp out
203.0.113.9 50000 10.0.0.1 22 tcp in
192.0.2.7 1500 10.0.0.1 5 1 in
203.0.113.9 1 10.0.0.1 5 tcp out
203.0.113.9 7 10.0.0.1 5 udp out
9.9.9.9 7 10.0.0.1 5 udp out
";

fn bench(name: &str, expected: Option<&str>, args: &[&str]) -> Ended {
    let rules = file("bench", &format!("{name}.rules"), RULES);
    let flows = file("bench", &format!("{name}.trace"), FLOWS);
    if let Some(expected) = expected {
        file("bench", &format!("{name}.trace.exp"), expected);
    }
    let mut all = vec!["bench"];
    all.extend([rules.to_str().unwrap(), flows.to_str().unwrap()]);
    all.extend(args);
    run(&all)
}

#[test]
fn right_answers_end_with_0_and_every_figure() {
    let ended = bench("bench-right", Some("0\n1\n2\n3\n-1\n-1\n4\n"), &["--json", "--repeat", "1"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let figures: Value = serde_json::from_str(&ended.stdout).unwrap();
    let keys = [
        "rules", "flows", "build_s", "bytes", "dep_ns", "loop_ns", "batch_ns", "p50_ns", "p99_ns",
        "max_ns", "wrong",
    ];
    for key in keys {
        assert!(figures[key].is_number(), "{key}: {figures}");
    }
    assert_eq!(figures.as_object().unwrap().len(), keys.len());
    assert_eq!((&figures["rules"], &figures["flows"]), (&5.into(), &7.into()));
    assert_eq!(figures["wrong"], 0);
}

#[test]
fn vectors_are_of_the_width_asked_for_at_most() {
    for (vectors, most) in [("scalar", 0), ("128", 128), ("256", 256), ("512", 512)] {
        let expected = Some("0\n1\n2\n3\n-1\n-1\n4\n");
        let args = ["--repeat", "1", "--vectors", vectors];
        let ended = bench(&format!("bench-{vectors}"), expected, &args);
        assert_eq!(ended.status, Some(0), "{vectors}: {ended:?}");
        assert!(ended.stdout.contains("flows     7, 0 answers wrong"), "{ended:?}");
        let width = ended.stdout.lines().find_map(|line| line.strip_prefix("vectors   ")).unwrap();
        let width = match width {
            "none" => 0,
            bits => bits.strip_suffix(" bits").unwrap().parse().unwrap(),
        };
        assert!(width <= most, "{vectors}: {width}");
    }
    let ended = bench("bench-1024", None, &["--vectors", "1024"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
}

#[test]
fn wrong_answers_are_counted_and_end_with_1() {
    let ended = bench("bench-wrong", Some("0\n1\n-1\n3\n0\n-1\n4\n"), &["--json", "--repeat", "1"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let figures: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(figures["wrong"], 2);
}

#[test]
fn without_expected_answers_the_reference_is_asked() {
    let ended = bench("bench-reference", None, &["--repeat", "1"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("flows     7, 0 answers wrong"), "{ended:?}");
}

#[test]
fn a_line_that_is_no_rule_is_named() {
    let rules =
        file("bench", "bench-bad.rules", "10.0.0.0/8 443 * * tcp out\n10.0.0.0/8 443 * tcp out\n");
    let flows = file("bench", "bench-bad.trace", FLOWS);
    let ended = run(&["bench", rules.to_str().unwrap(), flows.to_str().unwrap()]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("bench-bad.rules:2: not a line of this form"), "{ended:?}");
}

#[test]
fn settings_and_flow_lines_are_taken_too() {
    let settings = file("bench", "bench.json", r#"{"rules": [], "defaultAction": "filterData"}"#);
    let line = r#"{"remoteEndpoint": "10.0.0.1:1", "socketProtocol": 6, "direction": "outbound"}"#;
    let flows = file("bench", "bench.jsonl", line);
    let args = ["bench", settings.to_str().unwrap(), flows.to_str().unwrap(), "--repeat", "1"];
    let ended = run(&args);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}
