//! The story of the examples: a prefix length of 0 where 32 was meant.

use crate::program::{command, example, run};
use std::path::Path;

#[test]
fn prefix_0_filters_every_flow_and_says_what_was_meant() {
    let flows = example("flows.log");
    let ended = run(&["check", &example("prefix-0.json"), "--flows", &flows]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let filtered = ("filterData".to_owned(), Some(0));
    assert_eq!(ended.verdicts(), [filtered.clone(), filtered.clone(), filtered]);
    let error = "error: L-01 rule 0 (outgoing TCP to 111.111.111.111): remotePrefix 0 compares no \
                 bits of 111.111.111.111, so the remote side matches the whole IPv4 family; for \
                 that one host write 32 (S-11)";
    let mut lines = ended.stderr.lines();
    assert_eq!(lines.next(), Some(error));
    assert!(lines.next().unwrap().ends_with("prefix-0.json:6:25"), "{ended:?}");
    assert!(lines.next().unwrap().starts_with("help: replace rule 0 by: {"), "{ended:?}");
    assert_eq!(ended.count("rule 0"), 3);
}

#[test]
fn prefix_32_filters_the_one_host_and_says_nothing() {
    let flows = example("flows.log");
    let ended = run(&["check", &example("prefix-32.json"), "--flows", &flows]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let allowed = ("allow".to_owned(), None);
    let filtered = ("filterData".to_owned(), Some(0));
    assert_eq!(ended.verdicts(), [filtered, allowed.clone(), allowed]);
    assert!(!ended.stderr.contains("L-"), "{ended:?}");
    assert_eq!((ended.count("rule 0"), ended.count("default")), (1, 2));
}

#[test]
fn the_help_line_is_the_rule_that_mends_the_settings() {
    let ended = run(&["check", &example("prefix-0.json")]);
    let prefix = "help: replace rule 0 by: ";
    let help = ended.stderr.lines().find_map(|line| line.strip_prefix(prefix)).unwrap();
    let mended: serde_json::Value = serde_json::from_str(help).unwrap();
    let text = std::fs::read_to_string(example("prefix-32.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(mended, settings["rules"][0]);
}

#[test]
fn lint_shows_the_line_what_happens_and_the_rule_that_is_meant() {
    let path = example("prefix-0.json");
    let ended = run(&["lint", &path]);
    let expected = format!(
        r#"error[L-01]: host address with prefix length 0
 --> {path}:6:25
  |
6 |         "remotePrefix": 0,
  |                         ^ rule 0 (outgoing TCP to 111.111.111.111)
  |
  = note: remotePrefix 0 compares no bits of 111.111.111.111, so the remote side matches the whole IPv4 family; for that one host write 32 (S-11)
  = help: replace rule 0 by:
          {{"networkRule":{{"remoteNetwork":{{"hostname":"111.111.111.111","port":"0"}},"remotePrefix":32,"localNetwork":null,"localPrefix":0,"protocol":"TCP","direction":"outbound"}},"action":"filterData","label":"outgoing TCP to 111.111.111.111"}}

{path}: 1 rule, 1 error
"#
    );
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), expected.as_str()));
    assert_eq!(ended.stderr, "");

    let ended = run(&["lint", &example("prefix-32.json"), "--deny", "notes"]);
    assert_eq!(ended.status, Some(0));
    assert!(ended.stdout.ends_with("prefix-32.json: 1 rule, nothing to say\n"), "{ended:?}");
}

/// The README shows what the program prints, command by command.
#[test]
fn the_readme_shows_what_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let mut count = 0;
    for shown in readme.split("```text\n$ flowsieve ").skip(1) {
        let (arguments, rest) = shown.split_once('\n').unwrap();
        let (expected, _) = rest.split_once("```").unwrap();
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let output = command(&arguments).current_dir(&root).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{arguments:?}");
        count += 1;
    }
    assert_eq!(count, COMMANDS_SHOWN);
    let cases = std::fs::read_to_string(root.join("examples/cases.toml")).unwrap();
    assert!(readme.contains(&format!("```toml\n{cases}```")));
    let mended = run(&["test", &example("prefix-32.json"), &example("cases.toml")]);
    assert_eq!((mended.status, mended.stdout.as_str()), (Some(0), "2 passed, 0 failed\n"));
}

const COMMANDS_SHOWN: usize = 4;
