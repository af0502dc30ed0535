//! Help, completions and manual pages.

use crate::program::{directory, run};
use std::fs;

const COMMANDS: [&str; 13] = [
    "check",
    "explain",
    "lint",
    "test",
    "shadow",
    "diff",
    "plan",
    "match-vector",
    "bench",
    "completions",
    "man",
    "map",
    "replay",
];

#[test]
fn help_has_examples_and_exit_statuses() {
    let ended = run(&["--help"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    for part in ["Examples:", "Exit status:", "  0  ", "  1  ", "  2  ", "  3  "] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    for command in COMMANDS {
        assert!(ended.stdout.contains(&format!("\n  {command} ")), "{command}");
        let ended = run(&[command, "--help"]);
        assert_eq!(ended.status, Some(0));
        assert!(ended.stdout.contains(&format!("Examples:\n  flowsieve {command}")), "{command}");
    }
}

#[test]
fn every_shell_has_completions_for_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = run(&["completions", shell]);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{shell}");
        for word in COMMANDS.into_iter().chain(["longest-prefix", "hostname-in-network"]) {
            // Not every generator writes the values of an option.
            let is_optional = word == "longest-prefix" && matches!(shell, "elvish" | "powershell");
            assert!(is_optional || ended.stdout.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(&["completions", "cmd"]).status, Some(2));
}

#[test]
fn manual_page_is_roff_with_examples_and_exit_statuses() {
    let ended = run(&["man"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    for part in [".TH flowsieve 1", ".SH NAME", ".SH SYNOPSIS", "Examples:", "Exit status:"] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
}

#[test]
fn manual_pages_of_all_commands_are_written_to_a_directory() {
    let dir = directory("manual_pages").join("new/man1");
    let _ = fs::remove_dir_all(&dir);
    let ended = run(&["man", "--dir", dir.to_str().unwrap()]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    let mut names: Vec<String> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected: Vec<String> =
        COMMANDS.iter().map(|command| format!("flowsieve-{command}.1")).collect();
    expected.push("flowsieve.1".to_owned());
    expected.sort();
    assert_eq!(names, expected);
    let check = fs::read_to_string(dir.join("flowsieve-check.1")).unwrap();
    assert!(check.contains("precedence"), "{check}");

    let file = dir.join("flowsieve.1");
    let ended = run(&["man", "--dir", file.to_str().unwrap()]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
}
