//! Lines that are no flows: reported with their place, counted, skipped, and exit status 2.

use crate::program::{Ended, SETTINGS, command, example, file, flow_line, run, run_with};
use std::io::{BufRead, BufReader, Write};

fn check(test: &str, stdin: &[u8], extra: &[&str]) -> Ended {
    let path = file(test, "rules.json", SETTINGS);
    let args = ["check", path.to_str().unwrap(), "--flows", "-"];
    run_with(&[args.as_slice(), extra].concat(), stdin)
}

fn complaints(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().filter(|line| line.starts_with("<stdin>:")).collect()
}

#[test]
fn bad_lines_are_reported_with_their_place_and_skipped() {
    let good = flow_line("10.0.0.1:80");
    let unknown_key = r#"{"remoteEndpoint": "10.0.0.1:80", "socketProtocol": 6, "remotePort": 80}"#;
    let bad_port = "Got a new flow with local endpoint 0.0.0.0:0, remote endpoint 1.2.3.4:99999";
    let text = format!("{good}\nnonsense\n\n{unknown_key}\n  \t\n{bad_port}\n{{\n{good}\n");
    let ended = check("bad_lines", text.as_bytes(), &[]);
    assert_eq!(ended.status, Some(2));
    assert_eq!(ended.verdicts().len(), 2);
    assert_eq!(ended.count("bad lines"), 4);
    let complaints = complaints(&ended);
    let expected = [
        "<stdin>:2:1: not a flow: expected a JSON object, or a log line with `remote endpoint`",
        "<stdin>:4:56: key `remotePort`: unknown key",
        "<stdin>:6:63: key `remote endpoint`: `99999` is not a port: expected 0 to 65535, or \
         nothing for any",
    ];
    assert_eq!(complaints[..3], expected);
    assert!(complaints[3].starts_with("<stdin>:7:"), "{complaints:?}");
    assert!(complaints[3].contains("not valid JSON"), "{complaints:?}");
}

#[test]
fn a_file_is_named_in_complaints() {
    let flows = file("a_file_is_named", "flows.jsonl", "\nnonsense\n");
    let flows = flows.to_str().unwrap();
    let ended = run(&["check", &example("prefix-32.json"), "--flows", flows]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.starts_with(&format!("{flows}:2:1: not a flow")), "{ended:?}");
}

#[test]
fn strict_stops_at_the_first_bad_line() {
    let good = flow_line("10.0.0.1:80");
    let text = format!("{good}\nnonsense\n{good}\nnonsense\n");
    let ended = check("strict", text.as_bytes(), &["--strict"]);
    assert_eq!(ended.status, Some(2));
    assert_eq!(ended.verdicts().len(), 1);
    assert_eq!(complaints(&ended).len(), 1);
    let ended = check("strict", text.as_bytes(), &[]);
    assert_eq!((ended.verdicts().len(), complaints(&ended).len()), (2, 2));
}

#[test]
fn missing_file_is_reported_and_the_others_are_read() {
    let (settings, flows) = (example("prefix-32.json"), example("flows.log"));
    let args = ["check", &settings, "--flows", "no such file", "--flows", &flows];
    let ended = run(&args);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("error: no such file: "), "{ended:?}");
    assert_eq!(ended.verdicts().len(), 3);
    let ended = run(&[args.as_slice(), &["--strict"]].concat());
    assert_eq!((ended.status, ended.verdicts().len()), (Some(2), 0));
}

#[test]
fn invalid_utf_8_is_a_bad_line() {
    let mut text = b"caf\xe9\n\xff\xfe\n".to_vec();
    text.extend(flow_line("10.0.0.1:80").bytes());
    let ended = check("invalid_utf_8", &text, &[]);
    assert_eq!(ended.status, Some(2));
    let expected = ["<stdin>:1:4: not valid UTF-8", "<stdin>:2:1: not valid UTF-8"];
    assert_eq!(complaints(&ended), expected);
    assert_eq!(ended.verdicts().len(), 1);
}

#[test]
fn crlf_byte_order_mark_and_missing_newline_are_accepted() {
    let good = flow_line("10.0.0.1:80");
    let log = std::fs::read_to_string(example("flows.log")).unwrap().replace('\n', "\r\n");
    for text in [
        format!("\u{feff}{good}\r\n\r\n{good}\r\n{good}"),
        format!("\u{feff}{good}\n{good}\n{good}"),
        format!("\u{feff}\n{good}\r\n{good}\n \n{good}\n"),
        format!("\u{feff}{log}"),
    ] {
        let ended = check("crlf", text.as_bytes(), &[]);
        assert_eq!((ended.status, ended.verdicts().len()), (Some(0), 3), "{text:?}: {ended:?}");
    }
}

#[test]
fn over_long_line_is_one_bad_line() {
    let good = flow_line("10.0.0.1:80");
    let padded = |len: usize| format!("{}{}", " ".repeat(len - good.len()), good);
    let text = format!("{}\n{}\n{good}\n", padded(64 * 1024), padded(64 * 1024 + 1));
    let ended = check("over_long", text.as_bytes(), &[]);
    assert_eq!(ended.status, Some(2));
    assert_eq!(complaints(&ended), ["<stdin>:2:1: text exceeds 65536 bytes"]);
    assert_eq!(ended.verdicts().len(), 2);
}

#[test]
#[cfg(target_os = "linux")]
fn over_long_line_is_not_kept_in_memory() {
    const LINE_BYTES: usize = 64 * 1024 * 1024;
    let path = file("constant_memory", "rules.json", SETTINGS);
    let mut child = command(&["check", path.to_str().unwrap(), "--flows", "-"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..LINE_BYTES / 1024 {
        stdin.write_all(&[b'x'; 1024]).unwrap();
    }
    writeln!(stdin, "\n{}", flow_line("10.0.0.1:80")).unwrap();
    let mut verdict = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut verdict).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(verdict.contains("filterData"), "{verdict}");
    assert!(peak * 1024 < LINE_BYTES / 2, "{peak} kB");
}

#[test]
fn control_characters_in_flows_and_labels_are_not_printed_raw() {
    let settings = r#"{"rules": [{"networkRule": {"destinationHost": "example.com", "protocol": "any"},
        "action": "drop", "label": "\u001b[31m\u009b\u202e\r"}]}"#;
    let path = file("control_characters", "rules.json", settings);
    let path = path.to_str().unwrap();
    let flow = r#"{"socketProtocol": 6, "direction": "outbound", "remoteHostname": "\u001b[2J\u0007.example.com"}"#;
    let key = "{\"\\u001b[31m\u{9b}\": 1}";
    let log = "remote endpoint \u{1b}[31m\u{7f}";
    let text = format!("{flow}\n{key}\n{log}\n");
    let raw =
        |text: &str| text.contains(|c: char| (c.is_control() || c == '\u{202e}') && c != '\n');
    for format in ["table", "jsonl"] {
        let args = ["check", path, "--flows", "-", "--format", format];
        let ended = run_with(&args, text.as_bytes());
        assert_eq!((ended.status, ended.count("bad lines")), (Some(2), 2), "{ended:?}");
        assert!(!raw(&ended.stdout) && !raw(&ended.stderr), "{ended:?}");
        assert_eq!(ended.count("rule 0"), 1);
    }
    for format in ["text", "jsonl"] {
        let ended = run(&["explain", path, flow, "--format", format]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(!raw(&ended.stdout) && !raw(&ended.stderr), "{ended:?}");
    }
    let ended = run(&["check", "\u{1b}[31m", "--flows", "-"]);
    assert!(ended.status == Some(2) && !raw(&ended.stderr), "{ended:?}");
}
