//! `flowsieve replay`: logs told by content, everything counted, and other settings compared.

use crate::program::{Ended, SETTINGS, directory, example, file, flow_line, run, run_with};
use serde_json::{Value, json};
use std::io::Write;

/// Runs `replay SETTINGS ARGS... --format jsonl` and returns how it ended with the lines.
fn lines(args: &[&str], stdin: &[u8]) -> (Ended, Vec<Value>) {
    let args = [&["replay"], args, &["--format", "jsonl"]].concat();
    let ended = run_with(&args, stdin);
    let lines = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (ended, lines)
}

fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

fn summary(lines: &[Value]) -> &Value {
    let found = of_type(lines, "summary");
    assert_eq!(found.len(), 1);
    found[0]
}

/// A log of the library's golden files.
fn golden(name: &str) -> String {
    format!("{}/../tests/formats/logs/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_format_is_told_by_its_content_and_counts_add_up() {
    let settings = file("replay_formats", "rules.json", SETTINGS);
    for (name, format, [flows, skipped, rejected]) in [
        ("flow-lines.jsonl", "flow-lines", [3, 0, 5]),
        ("macos-show.log", "macos", [7, 7, 2]),
        ("macos-show.ndjson", "macos-json", [3, 4, 2]),
        ("zeek-conn.log", "zeek", [4, 2, 3]),
        ("zeek-conn.json", "zeek-json", [3, 3, 5]),
        ("suricata-eve.json", "suricata", [3, 4, 3]),
        ("vpc-v2.log", "vpc", [4, 3, 2]),
        ("vpc-v5.log", "vpc", [6, 1, 2]),
        ("nfdump-1.6.csv", "nfdump", [4, 0, 2]),
        ("nfdump-1.7.csv", "nfdump", [3, 0, 1]),
    ] {
        let (ended, lines) = lines(&[settings.to_str().unwrap(), &golden(name)], b"");
        assert_eq!(ended.status, Some(2), "{name}: something is rejected");
        assert_eq!(ended.stderr.lines().count(), rejected, "{name}: {ended:?}");
        let sources = of_type(&lines, "source");
        let source = sources[0];
        assert_eq!(source["format"], format, "{name}");
        let counts = [&source["flows"], &source["skipped"], &source["rejected"]];
        assert_eq!(counts, [&json!(flows), &json!(skipped), &json!(rejected)], "{name}");
        assert_eq!(source["records"], json!(flows + skipped + rejected), "{name}");
        let text = std::fs::read_to_string(golden(name)).unwrap();
        let others = source["otherLines"].as_u64().unwrap() as usize;
        assert_eq!(flows + skipped + rejected + others, text.lines().count(), "{name}");

        let sum = |kind: &str| -> u64 {
            of_type(&lines, kind).iter().map(|line| line["flows"].as_u64().unwrap()).sum()
        };
        assert_eq!((sum("verdicts"), sum("hits")), (flows as u64, flows as u64), "{name}");
    }
}

#[test]
fn rejected_records_have_their_place_and_make_the_status_2() {
    let settings = file("replay_places", "rules.json", SETTINGS);
    let log = file("replay_places", "a.jsonl", flow_line("10.0.0.1:80") + "\n{\"x\": 1}\n");
    let (ended, _) = lines(&[settings.to_str().unwrap(), log.to_str().unwrap()], b"");
    assert_eq!(ended.status, Some(2));
    assert_eq!(ended.stderr, format!("{}:2:2: key `x`: unknown key\n", log.display()));
    let clean = file("replay_places", "b.jsonl", flow_line("10.0.0.1:80"));
    let (ended, _) = lines(&[settings.to_str().unwrap(), clean.to_str().unwrap()], b"");
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn text_says_verdicts_hits_talkers_and_what_was_never_hit() {
    let settings = file("replay_text", "rules.json", SETTINGS);
    let remotes =
        ["10.0.0.2:1", "10.0.0.3:1", "10.0.0.3:2", "8.8.8.8:53", "10.0.0.1:1", "127.0.0.1:1"];
    let log: Vec<String> = remotes.iter().map(|remote| flow_line(remote)).collect();
    let args = ["replay", settings.to_str().unwrap(), "-", "--top", "1"];
    let ended = run_with(&args, log.join("\n").as_bytes());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.starts_with("6 flows in ") && ended.stderr.ends_with(" flows/s\n"));
    let name = settings.display();
    let expected = format!(
        "<stdin>: flow-lines, 6 records: 6 flows, 0 skipped, 0 rejected

flows              6
action           all      rule   default  loopback   pending
allow              2         0         1         1         0
drop               3         3         0         0         0
filterData         1         1         0         0         0
pending            0  0.0 % of all flows; 0 could still get another action

hits
         3  50.0 %  drop by rule 1 \"ten\" ({name}:4:5)
                 2    10.0.0.3
         1  16.7 %  filterData by rule 0 ({name}:3:5)
                 1    10.0.0.1
         1  16.7 %  allow by loopback
                 1    127.0.0.1
         1  16.7 %  allow by default
                 1    8.8.8.8
never hit: 1 of 3 rules: 2
"
    );
    assert_eq!(ended.stdout, expected);
}

#[test]
fn pending_flows_are_counted_with_their_share() {
    let settings = r#"{"rules": [
        {"networkRule": {"destinationHost": "example.com", "protocol": "TCP"}, "action": "drop"}],
        "defaultAction": "allow"}"#;
    let settings = file("replay_pending", "rules.json", settings);
    let log = [flow_line("10.0.0.1:1"), flow_line("www.example.com:1")].join("\n");
    let (_, lines) = lines(&[settings.to_str().unwrap(), "-"], log.as_bytes());
    assert_eq!(summary(&lines)["pending"], 1);
    assert_eq!(summary(&lines)["notFinal"], 1);
    let pending: Vec<_> =
        of_type(&lines, "verdicts").into_iter().filter(|line| line["flows"] != 0).collect();
    assert_eq!(pending[0]["reason"], "pending");
    assert_eq!(pending[1]["action"], "drop");
    let hits = of_type(&lines, "hits");
    assert_eq!(hits[0]["talkers"], json!([{"remote": "www.example.com", "flows": 1}]));
}

#[test]
fn against_groups_flows_whose_action_changes() {
    let old = file("replay_against", "old.json", SETTINGS);
    let new = SETTINGS.replace("\"drop\", \"label\": \"ten\"", "\"allow\", \"label\": \"ten\"");
    assert_ne!(new, SETTINGS);
    let new = file("replay_against", "new.json", new);
    let remotes = ["10.0.0.2:1", "8.8.8.8:1", "10.0.0.1:1", "10.0.0.3:1", "10.0.0.4:1"];
    let log: Vec<String> = remotes.iter().map(|remote| flow_line(remote)).collect();
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let args = [old, "-", "--against", new, "--examples", "2"];
    let (ended, lines) = lines(&args, log.join("\n").as_bytes());
    assert_eq!(ended.status, Some(0), "changes are an answer and no error: {ended:?}");
    let changes = of_type(&lines, "change");
    assert_eq!(changes.len(), 1);
    let change = changes[0];
    assert_eq!(change["flows"], 3);
    for (side, action) in [("old", "drop"), ("new", "allow")] {
        let side = &change[side];
        assert_eq!(
            (&side["by"], &side["rule"], &side["label"]),
            (&json!("rule"), &json!(1), &json!("ten"))
        );
        assert_eq!((&side["action"], &side["line"]), (&json!(action), &json!(4)));
    }
    let examples = change["examples"].as_array().unwrap();
    let places: Vec<_> = examples.iter().map(|example| example["line"].as_u64()).collect();
    assert_eq!(places, [Some(1), Some(4)], "the first ones, in the order of the log");
    assert_eq!(examples[0]["flow"], "TCP outbound 0.0.0.0:0 -> 10.0.0.2:1");
    assert_eq!(summary(&lines)["changed"], 3);
    assert_eq!(summary(&lines)["sameByOtherRule"], 0);

    let text = run_with(&["replay", old, "-", "--against", new], log.join("\n").as_bytes());
    let expected = format!(
        "by {new}, 3 of 5 flows get another action, in 1 group
         3  drop by rule 1 \"ten\" ({old}:4:5) -> allow by rule 1 \"ten\" ({new}:4:5)
              <stdin>:1  TCP outbound 0.0.0.0:0 -> 10.0.0.2:1
              <stdin>:4  TCP outbound 0.0.0.0:0 -> 10.0.0.3:1
              <stdin>:5  TCP outbound 0.0.0.0:0 -> 10.0.0.4:1\n"
    );
    assert!(text.stdout.ends_with(&expected), "{text:?}");
}

#[test]
fn rule_that_only_moved_is_the_same_and_another_is_counted() {
    let rule = |net: &str| {
        format!(
            r#"{{"networkRule": {{"destinationNetwork": "{net}", "destinationPrefix": 8, "protocol": "any"}}, "action": "drop"}}"#
        )
    };
    let settings = |rules: &[&str]| {
        let rules: Vec<String> = rules.iter().map(|net| rule(net)).collect();
        format!(r#"{{"rules": [{}], "defaultAction": "drop"}}"#, rules.join(", "))
    };
    let old = file("replay_moved", "old.json", settings(&["10.0.0.0", "11.0.0.0"]));
    let new = file("replay_moved", "new.json", settings(&["12.0.0.0", "10.0.0.0"]));
    let log = [flow_line("10.0.0.1:1"), flow_line("11.0.0.1:1"), flow_line("9.0.0.1:1")];
    let args = [old.to_str().unwrap(), "-", "--against", new.to_str().unwrap()];
    let (_, lines) = lines(&args, log.join("\n").as_bytes());
    assert_eq!(summary(&lines)["changed"], 0);
    assert_eq!(summary(&lines)["sameByOtherRule"], 1, "11.0.0.1 is now dropped by the default");
}

#[test]
fn local_networks_say_the_side_and_else_it_is_said_to_be_unknown() {
    let settings = file("replay_side", "rules.json", SETTINGS);
    let log = golden("suricata-eve.json");
    let unknown = |extra: &[&str]| {
        let args = [&[settings.to_str().unwrap(), &log], extra].concat();
        let (_, lines) = lines(&args, b"");
        let summary = summary(&lines).clone();
        [summary["sideUnknown"].as_u64().unwrap(), summary["directionUnknown"].as_u64().unwrap()]
    };
    assert_eq!(unknown(&[]), [3, 3]);
    assert_eq!(unknown(&["--local-net", "192.168.0.0/16"]), [1, 1]);
    assert_eq!(unknown(&["--local-net", "192.168.0.0/16,2001:db8::/64"]), [0, 0]);
    assert_eq!(unknown(&["--local-net", "192.168.1.7", "--local-net", "2001:db8::9"]), [0, 0]);

    let text = run(&["replay", settings.to_str().unwrap(), &log]);
    assert!(
        text.stdout.contains("  not known          3  side: which end is this host"),
        "{text:?}"
    );
    let bad = run(&["replay", settings.to_str().unwrap(), &log, "--local-net", "10/8"]);
    assert_eq!(bad.status, Some(2));
    assert!(bad.stderr.contains("`10/8` is not a network"), "{bad:?}");
}

#[test]
fn several_logs_of_several_formats_are_read_compressed_or_not() {
    let settings = file("replay_files", "rules.json", SETTINGS);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&std::fs::read(golden("zeek-conn.log")).unwrap()).unwrap();
    let gzip = file("replay_files", "conn.log.gz", encoder.finish().unwrap());
    // A name says nothing: it is the content that does.
    let zstd = ruzstd::encoding::compress_to_vec(
        flow_line("10.0.0.1:80").as_bytes(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    let zstd = file("replay_files", "flows.jsonl", zstd);
    let empty = file("replay_files", "empty.log", "\n");
    let args = [
        settings.to_str().unwrap(),
        gzip.to_str().unwrap(),
        zstd.to_str().unwrap(),
        "-",
        empty.to_str().unwrap(),
    ];
    let (ended, lines) = lines(&args, &std::fs::read(golden("vpc-v5.log")).unwrap());
    let sources: Vec<_> = of_type(&lines, "source")
        .into_iter()
        .map(|source| (source["format"].as_str().unwrap(), source["flows"].as_u64().unwrap()))
        .collect();
    assert_eq!(sources, [("zeek", 4), ("flow-lines", 1), ("vpc", 6), ("empty", 0)], "{ended:?}");
    let places = [format!("{}:15:29: ", gzip.display()), "<stdin>:8:50: ".to_owned()];
    for place in places {
        assert!(ended.stderr.lines().any(|line| line.starts_with(&place)), "{place} {ended:?}");
    }
}

#[test]
fn log_that_cannot_be_read_or_told_is_an_error_and_others_are_read() {
    let settings = file("replay_unread", "rules.json", SETTINGS);
    let unknown = file("replay_unread", "unknown.log", "hello\n");
    let cut = file("replay_unread", "cut.gz", b"\x1f\x8b\x08\0\0\0\0\0");
    let good = file("replay_unread", "good.jsonl", flow_line("10.0.0.1:80"));
    let missing = directory("replay_unread").join("missing.log");
    let paths = [&unknown, &cut, &missing, &good].map(|path| path.to_str().unwrap());
    let args = [&[settings.to_str().unwrap()], paths.as_slice()].concat();
    let (ended, lines) = lines(&args, b"");
    assert_eq!(ended.status, Some(2));
    let errors: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(errors.len(), 3, "{ended:?}");
    let expected = format!(
        "error: {}: no known log format; --as FORMAT forces one, --columns says what CSV holds",
        unknown.display()
    );
    assert_eq!(errors[0], expected);
    assert!(errors[1].contains("cut.gz") && errors[2].contains("missing.log"), "{ended:?}");
    assert_eq!(summary(&lines)["flows"], 1);
}

#[test]
fn format_can_be_forced_and_columns_of_csv_given() {
    let settings = file("replay_as", "rules.json", SETTINGS);
    let settings = settings.to_str().unwrap();
    let (ended, found) = lines(&[settings, "-", "--as", "zeek"], b"#fields\tx\n");
    assert_eq!(ended.stderr, "<stdin>:1:1: there is no column `id.orig_h`\n");
    assert_eq!(of_type(&found, "source")[0]["format"], "zeek");

    let csv = "dst,port,way\n10.0.0.5,80,out\n192.0.2.1,53,out\n";
    let args = [settings, "-", "--columns", "remote,remote-port,direction"];
    let (ended, found) = lines(&args, csv.as_bytes());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(of_type(&found, "source")[0]["format"], "csv");
    assert_eq!(summary(&found)["flows"], 2);
    assert_eq!(summary(&found)["protocolUnknown"], 2);
    let args = [
        settings,
        "-",
        "--columns",
        "remote=dst,remote-port=port,direction=way",
        "--protocol",
        "udp",
    ];
    let (_, found) = lines(&args, csv.as_bytes());
    let hits: Vec<_> =
        of_type(&found, "hits").iter().map(|line| line["flows"].as_u64().unwrap()).collect();
    assert_eq!(hits, [0, 1, 1, 0, 0], "UDP to 192.0.2.0/24 is dropped by rule 2");

    let args = [settings, "-", "--columns", "-,remote,remote-port"];
    let (ended, found) = lines(&args, b"curl,10.0.0.5,80\n");
    assert_eq!(ended.status, Some(0), "the first column may be one that is not read: {ended:?}");
    assert_eq!(summary(&found)["flows"], 1);

    for (args, message) in [
        (["--as", "bro"], "invalid value 'bro'"),
        (["--columns", "source"], "they need `remote`, or `source` and `destination`"),
        (["--as", "csv"], "row before its header"),
    ] {
        let ended =
            run_with(&[&["replay", settings, "-"], args.as_slice()].concat(), csv.as_bytes());
        assert_eq!(ended.status, Some(2), "{args:?}");
        assert!(ended.stderr.contains(message), "{args:?}: {ended:?}");
    }
}

#[test]
fn number_of_threads_changes_nothing_that_is_printed() {
    let old = file("replay_threads", "old.json", SETTINGS);
    let new = file("replay_threads", "new.json", SETTINGS.replace("\"drop\"", "\"allow\""));
    // Several pieces, with bad lines and one that is longer than a piece.
    let mut log = String::new();
    for index in 0..30_000_u32 {
        match index % 1000 {
            999 => log += "nonsense\n",
            500 => log += "\n",
            _ => {
                let remote = format!("10.{}.{}.1:80", index % 7, index % 251);
                log += &(flow_line(&remote) + "\n");
            }
        }
    }
    log += &("x".repeat(3_000_000) + "\n" + &flow_line("10.0.0.1:1"));
    let log = file("replay_threads", "flows.jsonl", log);
    let run = |threads: &str| {
        let args = [
            old.to_str().unwrap(),
            log.to_str().unwrap(),
            "--against",
            new.to_str().unwrap(),
            "--threads",
            threads,
        ];
        let (ended, _) = lines(&args, b"");
        (ended.status, ended.stdout, ended.stderr)
    };
    let one = run("1");
    assert_eq!(one.0, Some(2));
    assert_eq!(one.2.lines().count(), 31, "30 lines of nonsense and a long one");
    assert!(one.2.ends_with("flows.jsonl:30001:1: text exceeds 65536 bytes\n"), "{}", one.2);
    for threads in ["2", "3", "8", "0"] {
        assert!(run(threads) == one, "{threads} threads");
    }
}

#[test]
fn report_is_a_page_of_its_own() {
    let path = directory("replay_report").join("report.html");
    let _ = std::fs::remove_file(&path);
    let args = ["replay", &example("prefix-0.json"), &example("flows.log"), "--against"];
    let new = example("prefix-32.json");
    let rest = [new.as_str(), "--report", path.to_str().unwrap()];
    let ended = run(&[args.as_slice(), &rest].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>"), "{page}");
    assert!(page.contains("filterData") && page.contains("prefix-0.json"), "{page}");

    let missing = directory("replay_report").join("missing").join("report.html");
    let ended = run(&[args.as_slice(), &[&new, "--report", missing.to_str().unwrap()]].concat());
    assert_eq!(ended.status, Some(2), "{ended:?}");
}
