//! The program in a pipe: answers as they come, and quiet when nobody listens any more.

use crate::program::{Ended, command, example, file, flow_line};
use std::io::{BufRead, BufReader, Write, pipe};
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn each_line_of_standard_input_is_answered_before_the_next_is_read() {
    for format in ["jsonl", "table"] {
        let settings = example("prefix-32.json");
        let args = ["check", &settings, "--flows", "-", "--format", format];
        let mut child = command(&args).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in stdout.lines() {
                let _ = sender.send(line.unwrap());
            }
        });
        let next = || receiver.recv_timeout(Duration::from_secs(60)).unwrap();
        if format == "table" {
            assert!(next().contains("action"));
        }
        for (remote, action) in [("111.111.111.111:80", "filterData"), ("192.0.2.1:80", "allow")] {
            writeln!(stdin, "{}", flow_line(remote)).unwrap();
            assert!(next().contains(action), "{format}");
        }
        drop(stdin);
        assert!(child.wait().unwrap().success());
        reader.join().unwrap();
    }
}

#[test]
fn closed_pipe_ends_every_command_quietly() {
    let vectors = file("closed_pipe", "vectors.json", "[]");
    let (settings, flows) = (example("prefix-32.json"), example("flows.log"));
    for args in [
        &["check", &settings] as &[&str],
        &["check", &settings, "--flows", &flows],
        &["check", &settings, "--flows", &flows, "--format", "table"],
        &["explain", &settings, "192.0.2.1:80"],
        &["explain", &settings, "192.0.2.1:80", "--format", "jsonl"],
        &["replay", &settings, &flows],
        &["replay", &settings, &flows, "--format", "jsonl"],
        &["match-vector", vectors.to_str().unwrap()],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let ended =
            Ended::from(command(args).stdout(writer).spawn().unwrap().wait_with_output().unwrap());
        assert_eq!(ended.status, Some(0), "{args:?}: {ended:?}");
        assert!(!ended.stderr.contains("error"), "{args:?}: {ended:?}");
    }
}

/// Or a pipeline that looks at the first lines would hide what is wrong.
#[test]
fn closed_pipe_leaves_the_status_as_it_is() {
    let settings = example("prefix-0.json");
    let failing = "{\"flow\": \"192.0.2.1:80\", \"expect\": {\"action\": \"drop\"}}\n";
    let cases = file("closed_status", "cases.jsonl", failing.repeat(5000));
    let list = file("closed_status", "list.txt", "192.0.2.0/24\n192.0.2.0/33\n");
    let [cases, list] = [&cases, &list].map(|path| path.to_str().unwrap());
    for (args, status) in [
        (&["lint", &settings, "--deny", "L-01"] as &[&str], 1),
        (&["diff", &settings, &example("prefix-32.json"), "--format", "jsonl"], 1),
        (&["test", &settings, cases], 1),
        (&["import", list, "--as", "addresses", "-o", "-"], 2),
    ] {
        let unread = || {
            let (reader, writer) = pipe().unwrap();
            drop(reader);
            writer
        };
        let ended = command(args).stdout(unread()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(status), "{args:?}");
        let whole = command(args).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(whole.status.code(), Some(status), "{args:?}");
    }
}

#[test]
fn pipe_that_closes_midway_ends_a_stream() {
    let mut child =
        command(&["check", &example("prefix-32.json"), "--flows", "-"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    writeln!(stdin, "{}", flow_line("192.0.2.1:80")).unwrap();
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    // Until the program is gone.
    while writeln!(stdin, "{}", flow_line("192.0.2.1:80")).is_ok() {}
    drop(stdin);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
}
