//! Colours, and the format for people.

use crate::program::{command, directory, example};

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

/// Needs `script` too.
#[test]
#[cfg(target_os = "linux")]
fn what_takes_longer_than_a_second_has_a_bar_on_a_terminal_and_nowhere_else() {
    use crate::program::{PROGRAM, flow_line};
    use std::process::{Command, Stdio};
    use std::thread;

    // What comes on the terminal, and on standard error where that is a file.
    let run = |name: &str, (command, lines): (&str, [&str; 2]), pause: &str, redirect: &str| {
        let errors = directory("progress").join(name);
        let line = format!(
            r#"(echo "$FIRST"; sleep {pause}; echo "$SECOND") | "$PROGRAM" {command} {redirect}"#
        );
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &line, "/dev/null"]).stdin(Stdio::null());
        script.env("PROGRAM", PROGRAM).env("TERM", "xterm").env("NO_COLOR", "1");
        script.env("ERRORS", &errors).env("FIRST", lines[0]).env("SECOND", lines[1]);
        script.env("SETTINGS", example("prefix-0.json"));
        script.env("MAP", directory("progress").join(format!("{name}.svg")));
        let output = script.output().expect("script(1) is there");
        assert!(output.status.success(), "{output:?}");
        let errors = std::fs::read_to_string(errors).unwrap_or_default();
        (String::from_utf8(output.stdout).unwrap(), errors)
    };
    let flow = &flow_line("192.0.2.1:80");
    let commands = [
        ("import -", ["192.0.2.1", "192.0.2.2"], "<stdin>", "2 entries = 2 accepted"),
        (r#"replay "$SETTINGS" -"#, [flow.as_str(); 2], "<stdin>", "2 records"),
        (r#"map "$SETTINGS" -o "$MAP" --flows -"#, [flow.as_str(); 2], "What flows", "for 2 flows"),
    ];
    let run = &run;
    thread::scope(|scope| {
        for (place, (command, lines, start, result)) in commands.into_iter().enumerate() {
            scope.spawn(move || {
                let run = |name: &str, pause, redirect| {
                    run(&format!("{name}-{place}"), (command, lines), pause, redirect)
                };
                let late = run("late", "1.1", "");
                let early = run("early", "0", "");
                let piped = run("piped", "1.1", "2>\"$ERRORS\"");
                for (terminal, _) in [&late, &early, &piped] {
                    assert!(terminal.contains(result), "{terminal}");
                }
                let (bar, rest) = late.0.split_once(start).unwrap();
                let bytes = format!("{} B ", lines[0].len() + lines[1].len() + 2);
                assert!(bar.contains(&bytes), "what was read: {bar:?}");
                assert!(!rest.contains(ESCAPE), "it is removed before the result: {rest:?}");
                assert!(!early.0.contains(ESCAPE), "{:?}", early.0);
                assert!(!piped.0.contains(ESCAPE), "{piped:?}");
                assert!(!piped.1.contains(ESCAPE), "{piped:?}");
            });
        }
    });
}
