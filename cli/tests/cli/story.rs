//! The story of the examples: a prefix length of 0 where 32 was meant.

use crate::program::{example, run};

#[test]
fn prefix_0_filters_every_flow_and_says_what_was_meant() {
    let flows = example("flows.log");
    let ended = run(&["check", &example("prefix-0.json"), "--flows", &flows]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let filtered = ("filterData".to_owned(), Some(0));
    assert_eq!(ended.verdicts(), [filtered.clone(), filtered.clone(), filtered]);
    let warning = "warning: L-01 rule 0: remotePrefix 0 compares no bits of 111.111.111.111, so \
                   the remote side matches the whole IPv4 family; for that one host write 32 (S-11)";
    let help = r#"help: {"remoteNetwork":{"hostname":"111.111.111.111","port":"0"},"remotePrefix":32,"localNetwork":null,"localPrefix":0,"protocol":"TCP","direction":"outbound"}"#;
    let mut lines = ended.stderr.lines();
    assert_eq!(lines.next(), Some(warning));
    assert_eq!(lines.next(), Some(help));
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
    assert!(!ended.stderr.contains("warning"), "{ended:?}");
    assert_eq!((ended.count("rule 0"), ended.count("default")), (1, 2));
}

#[test]
fn the_help_line_is_the_rule_that_mends_the_settings() {
    let ended = run(&["check", &example("prefix-0.json")]);
    let help = ended.stderr.lines().find_map(|line| line.strip_prefix("help: ")).unwrap();
    let mended: serde_json::Value = serde_json::from_str(help).unwrap();
    let text = std::fs::read_to_string(example("prefix-32.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(mended, settings["rules"][0]["networkRule"]);
}
