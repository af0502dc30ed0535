//! `flowsieve check`: verdicts, formats and the summary.

use crate::program::{SETTINGS, example, file, flow_line, run, run_with};

#[test]
fn without_flows_only_the_settings_are_checked() {
    let path = file("without_flows", "rules.json", SETTINGS);
    let ended = run_with(&["check", path.to_str().unwrap()], b"this is not read");
    assert_eq!(ended.status, Some(0));
    assert_eq!(ended.stdout, format!("{}: 3 rules, default allow\n", path.display()));
    assert_eq!(ended.stderr, "");

    let ended = run(&["check", &example("prefix-32.json")]);
    assert!(ended.stdout.ends_with("prefix-32.json: 1 rule, default allow\n"), "{ended:?}");
}

#[test]
fn verdict_lines_are_those_of_the_formats() {
    let path = file("verdict_lines", "rules.json", SETTINGS);
    let lines = [flow_line("10.0.0.1:80"), flow_line("10.0.0.2:80"), flow_line("192.0.2.1:80")];
    let args = ["check", path.to_str().unwrap(), "--flows", "-"];
    let ended = run_with(&args, lines.join("\n").as_bytes());
    let expected = r#"{"action":"filterData","rule":0,"label":null,"reason":"rule","pending":[]}
{"action":"drop","rule":1,"label":"ten","reason":"rule","pending":[]}
{"action":"allow","rule":null,"label":null,"reason":"default","pending":[]}
"#;
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), expected), "{ended:?}");
}

/// `log stream` prints its predicate and the heads of its columns before the messages.
#[test]
fn frames_of_the_macos_log_are_no_lines_of_flows() {
    let path = file("log_stream", "rules.json", SETTINGS);
    let log = "Filtering the log data using \"process == \"MyFilter\"\"
Timestamp                       Thread     Type        Activity             PID    TTL  \n\
2021-06-02 06:58:53.333438-0700 0x1bf8     Default     0x0                  666    0    MyFilter: Got a new flow \
with local endpoint 0.0.0.0:0, remote endpoint 10.0.0.1:80, direction outbound\n";
    let args = ["check", path.to_str().unwrap(), "--flows", "-"];
    let ended = run_with(&args, log.as_bytes());
    assert_eq!((ended.status, ended.stdout.lines().count()), (Some(0), 1), "{ended:?}");
    assert_eq!((ended.count("flows "), ended.count("bad lines")), (1, 0), "{ended:?}");
}

#[test]
fn summary_counts_actions_rules_defaults_loopback_and_pending() {
    let settings = r#"{"rules": [
        {"networkRule": {"destinationHost": "example.com", "protocol": "TCP"}, "action": "drop"},
        {"networkRule": {"destinationNetwork": "10.0.0.0", "destinationPrefix": 8, "protocol": "any"},
            "action": "drop", "label": "ten"}], "defaultAction": "allow"}"#;
    let path = file("summary", "rules.json", settings);
    let flows = [
        flow_line("10.0.0.1:80"),
        flow_line("10.0.0.2:80"),
        flow_line("192.0.2.1:80"),
        flow_line("127.0.0.1:80"),
        flow_line("www.example.com:80"),
        "nonsense".to_owned(),
    ];
    let args = ["check", path.to_str().unwrap(), "--flows", "-"];
    let ended = run_with(&args, flows.join("\n").as_bytes());
    let count = |name| ended.count(name);
    assert_eq!(count("flows "), 5);
    assert_eq!((count("allow"), count("drop"), count("filterData")), (2, 3, 0));
    assert_eq!((count("rule 0"), count("rule 1")), (1, 2));
    assert_eq!((count("default"), count("loopback")), (1, 1));
    assert_eq!((count("pending"), count("bad lines")), (4, 1));
    assert!(ended.stderr.lines().any(|line| line.starts_with("rule 1") && line.ends_with("  ten")));
    assert!(ended.stderr.contains(" s, ") && ended.stderr.contains(" flows/s"), "{ended:?}");
    assert!(ended.stderr.contains("2 could still get another action"), "{ended:?}");

    let pending = r#"{"action":"drop","rule":1,"label":"ten","reason":"pending","pending":[0]}"#;
    assert_eq!(ended.stdout.lines().next(), Some(pending));
    assert_eq!(ended.stdout.lines().count(), 5, "the summary is not among the verdicts");
}

#[test]
fn table_has_a_row_a_flow_and_the_summary_after_it() {
    let args = ["check", &example("prefix-0.json"), "--flows", &example("flows.log")];
    let ended = run(&[args.as_slice(), &["--format", "table"]].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let heading: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(heading, ["line", "action", "rule", "reason", "pending", "flow", "label"]);
    let column = lines[0].find("flow").unwrap();
    for (line, remote) in lines[1..4].iter().zip(["111.111.111.111", "111.222.111.222", "123.123"])
    {
        assert!(line.contains("filterData") && line.contains(remote), "{line}");
        assert!(line[column..].starts_with("TCP outbound 0.0.0.0:0 -> "), "{line}");
        assert!(line.ends_with("outgoing TCP to 111.111.111.111"), "{line}");
    }
    assert_eq!(lines[4], "");
    assert!(lines[5].starts_with("flows              3  in "), "{ended:?}");
    assert!(!ended.stderr.contains("flows/s"), "{ended:?}");
}

#[test]
fn several_files_are_read_in_turn() {
    let settings = file("several_files", "rules.json", SETTINGS);
    let first = file("several_files", "first.jsonl", flow_line("10.0.0.1:80"));
    let second = file("several_files", "second.jsonl", flow_line("10.0.0.2:80") + "\n");
    let [settings, first, second] = [&settings, &first, &second].map(|path| path.to_str().unwrap());
    let args = ["check", settings, "--flows", second, "--flows", first, "--flows", "-"];
    let ended = run_with(&args, flow_line("192.0.2.1:1").as_bytes());
    let actions: Vec<String> = ended.verdicts().into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, ["drop", "filterData", "allow"]);

    let table = [args.as_slice(), &["--format", "table"]].concat();
    let ended = run_with(&table, flow_line("192.0.2.1:1").as_bytes());
    for name in [first, second, "<stdin>"] {
        assert!(ended.stdout.lines().any(|line| line == name), "{name}: {ended:?}");
    }
}

#[test]
fn protocol_is_that_of_log_lines_and_not_of_flow_lines() {
    let settings = file("protocol", "rules.json", SETTINGS);
    let log = "x: Got a new flow with local endpoint 0.0.0.0:0, remote endpoint 192.0.2.1:53, \
               direction outbound";
    let flows = format!("{log}\n{}\n", flow_line("192.0.2.1:53"));
    let args = ["check", settings.to_str().unwrap(), "--flows", "-"];
    let actions = |extra: &[&str]| {
        let ended = run_with(&[args.as_slice(), extra].concat(), flows.as_bytes());
        ended.verdicts().into_iter().map(|(action, _)| action).collect::<Vec<_>>()
    };
    assert_eq!(actions(&[]), ["allow", "allow"]);
    assert_eq!(actions(&["--protocol", "udp"]), ["drop", "allow"]);
    assert_eq!(actions(&["--protocol", "17"]), ["drop", "allow"]);
}

#[test]
fn longest_prefix_decides_on_request_only() {
    let settings = r#"{"rules": [
        {"networkRule": {"destinationNetwork": "10.0.0.0", "destinationPrefix": 8, "protocol": "any"},
            "action": "drop"},
        {"networkRule": {"destinationNetwork": "10.0.0.1", "destinationPrefix": 32, "protocol": "any"},
            "action": "allow"}]}"#;
    let path = file("longest_prefix", "rules.json", settings);
    let rule = |extra: &[&str]| {
        let args = ["check", path.to_str().unwrap(), "--flows", "-"];
        let ended =
            run_with(&[args.as_slice(), extra].concat(), flow_line("10.0.0.1:1").as_bytes());
        ended.verdicts()[0].1
    };
    assert_eq!(rule(&[]), Some(0));
    assert_eq!(rule(&["--precedence", "first-match"]), Some(0));
    assert_eq!(rule(&["--precedence", "longest-prefix"]), Some(1));
}

#[test]
fn what_the_framework_refuses_is_an_error_and_changes_no_status() {
    let settings = r#"{"rules": [{"networkRule": {"destinationNetwork": "10.0.0.0:80-90",
        "destinationPrefix": 8, "protocol": 1}, "action": "drop"}]}"#;
    let path = file("framework_issues", "rules.json", settings);
    let ended = run(&["check", path.to_str().unwrap()]);
    assert_eq!(ended.status, Some(0));
    let errors: Vec<&str> =
        ended.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    let expected = [
        "error: L-12 rule 0: a network rule takes one port or any, not the range 80-90 (S-25)",
        "error: L-19 rule 0: a network rule takes TCP, UDP or any, not protocol 1: flows of other \
         protocols get the default action whatever the rules (S-31)",
    ];
    assert_eq!(errors, expected);
}

#[test]
fn unknown_options_are_usage_errors() {
    for args in [&["check"] as &[&str], &["check", "x", "--flow"], &["chek"], &[]] {
        let ended = run(args);
        assert_eq!(ended.status, Some(2), "{args:?}");
        assert_eq!(ended.stdout, "", "{args:?}");
    }
    let ended = run(&["check", "x", "--protocol", "tpc"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("unknown protocol `tpc`"), "{ended:?}");
}
