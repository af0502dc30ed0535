//! Colours, and the format for people.

use crate::program::{command, example};

const ESCAPE: char = '\u{1b}';

fn check(extra: &[&str], variables: &[(&str, &str)]) -> (String, String) {
    let (settings, flows) = (example("prefix-0.json"), example("flows.log"));
    let args = ["check", &settings, "--flows", &flows];
    let mut command = command(&[args.as_slice(), extra].concat());
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn what_is_piped_has_no_colours() {
    for format in ["table", "jsonl"] {
        let (stdout, stderr) = check(&["--format", format], &[]);
        assert!(!stdout.contains(ESCAPE) && !stderr.contains(ESCAPE), "{stdout}{stderr}");
    }
}

#[test]
fn colours_can_be_forced_and_no_color_wins() {
    let force = ("CLICOLOR_FORCE", "1");
    let (stdout, stderr) = check(&["--format", "table"], &[force]);
    assert!(stdout.contains(ESCAPE) && stderr.contains(ESCAPE), "{stdout}{stderr}");
    let (stdout, stderr) = check(&["--format", "table"], &[force, ("NO_COLOR", "1")]);
    assert!(!stdout.contains(ESCAPE) && !stderr.contains(ESCAPE), "{stdout}{stderr}");
    // Verdict lines are for programs.
    let (stdout, _) = check(&["--format", "jsonl"], &[force]);
    assert!(!stdout.contains(ESCAPE), "{stdout}");
}

/// Needs `script`, which gives a program a terminal and is part of every Linux.
#[test]
#[cfg(target_os = "linux")]
fn a_terminal_gets_a_table_with_colours_unless_no_color_is_set() {
    use crate::program::PROGRAM;
    use std::process::{Command, Stdio};

    let run = |no_color: bool| {
        let line = r#""$PROGRAM" check "$SETTINGS" --flows "$FLOWS""#;
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", line, "/dev/null"]).stdin(Stdio::null());
        script.env("PROGRAM", PROGRAM).env("TERM", "xterm");
        script.env("SETTINGS", example("prefix-0.json")).env("FLOWS", example("flows.log"));
        script.env_remove("CLICOLOR").env_remove("CLICOLOR_FORCE").env_remove("NO_COLOR");
        if no_color {
            script.env("NO_COLOR", "1");
        }
        String::from_utf8(script.output().expect("script(1) is there").stdout).unwrap()
    };
    let (coloured, plain) = (run(false), run(true));
    for text in [&coloured, &plain] {
        assert!(text.contains("reason    pending"), "{text}");
        assert!(!text.contains(r#"{"action""#), "{text}");
    }
    assert!(coloured.contains(ESCAPE), "{coloured}");
    assert!(!plain.contains(ESCAPE), "{plain}");
}
