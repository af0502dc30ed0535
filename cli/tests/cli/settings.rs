//! Settings that cannot be read: the place, and exit status 2.

use crate::program::{directory, example, file, flow_line, run, run_with};
use std::fs::File;
use std::io::Write;

#[test]
fn error_in_settings_has_file_line_column_rule_and_key() {
    let text = std::fs::read_to_string(example("prefix-32.json")).unwrap();
    let path = file("error_in_settings", "rules.json", text.replace(": 32", ": 33"));
    let path = path.to_str().unwrap();
    for args in [
        &["check", path] as &[&str],
        &["check", path, "--flows", "-"],
        &["explain", path, "192.0.2.1:80"],
    ] {
        let ended = run(args);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{args:?}");
        let expected = format!(
            "error: {path}: line 6, column 25: rule 0, key `remotePrefix`: prefix length 33 \
             exceeds 32 for an IPv4 address\n"
        );
        assert_eq!(ended.stderr, expected);
    }
}

#[test]
fn missing_settings_are_an_error() {
    let ended = run(&["check", "no-such-file.json"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.starts_with("error: no-such-file.json: "), "{ended:?}");
}

#[test]
#[cfg(unix)]
fn settings_over_the_limit_are_refused_unread() {
    let path = directory("settings_over_the_limit").join("large.json");
    let limit = flowsieve::formats::settings::MAX_BYTES as u64;
    // Sparse, so that they take no room; the second would not fit into memory.
    for len in [limit + 1, 1 << 40] {
        File::create(&path).unwrap().set_len(len).unwrap();
        let ended = run(&["check", path.to_str().unwrap()]);
        assert_eq!(ended.status, Some(2));
        let expected = format!("error: {}: file exceeds {limit} bytes\n", path.display());
        assert_eq!(ended.stderr, expected);
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn settings_may_come_from_standard_input_and_compressed() {
    let text = std::fs::read_to_string(example("prefix-32.json")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    for settings in [text.as_bytes(), &gzip] {
        let ended = run_with(&["check", "-"], settings);
        let expected = (Some(0), "<stdin>: 1 rule, default allow\n");
        assert_eq!((ended.status, ended.stdout.as_str()), expected, "{ended:?}");
        let ended = run_with(&["lint", "-"], settings);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        let ended = run_with(&["plan", "-"], settings);
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    let path = file("compressed_settings", "rules.json.gz", &gzip);
    let ended = run(&["diff", path.to_str().unwrap(), &example("prefix-32.json")]);
    assert_eq!(ended.status, Some(0), "{ended:?}");

    let bad = run_with(&["check", "-"], b"{");
    assert!(bad.stderr.starts_with("error: <stdin>: line 1, column 1: "), "{bad:?}");
}

/// What is left of it for the second would look like an empty file.
#[test]
fn standard_input_is_for_one_argument() {
    let settings = std::fs::read_to_string(example("prefix-32.json")).unwrap();
    for args in [
        &["check", "-", "--flows", "-"] as &[&str],
        &["replay", "-", "-"],
        &["test", "-", "-"],
        &["explain", "-", "-"],
        &["diff", "-", "-"],
    ] {
        let ended = run_with(args, settings.as_bytes());
        assert_eq!(ended.status, Some(2), "{args:?} {ended:?}");
        assert!(ended.stderr.contains("standard input is read already"), "{args:?} {ended:?}");
    }
}

#[test]
fn hostname_in_network_is_a_host_rule_on_request_only() {
    let settings = r#"{"rules": [{"networkRule": {"remoteNetwork": "example.com",
        "remotePrefix": 0, "protocol": "any"}, "action": "drop"}], "defaultAction": "allow"}"#;
    let path = file("hostname_in_network", "rules.json", settings);
    let args = ["check", path.to_str().unwrap(), "--flows", "-"];
    let flow = flow_line("www.example.com:80");
    let ended = run_with(&args, flow.as_bytes());
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("`example.com` is not an IP address"), "{ended:?}");

    let args = [args.as_slice(), &["--hostname-in-network"]].concat();
    let ended = run_with(&args, flow.as_bytes());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.verdicts(), [("drop".to_owned(), Some(0))]);
    let warning = "rule 0: a network initialiser takes an address, not a host name";
    assert!(ended.stderr.contains(warning), "{ended:?}");
}
