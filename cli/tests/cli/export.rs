//! `flowsieve export`: settings as lists, as rules of other programs and as code.

use crate::program::{Ended, directory, file, run};

const SETTINGS: &str = r#"{"rules": [
  {"networkRule": {"remoteNetwork": "10.0.0.1", "remotePrefix": 32, "protocol": "any"}, "action": "allow"},
  {"networkRule": {"remoteNetwork": "10.0.0.0", "remotePrefix": 8, "protocol": "any"}, "action": "drop"},
  {"networkRule": {"remoteNetwork": "2001:db8::", "remotePrefix": 32, "protocol": "any"}, "action": "drop"},
  {"networkRule": {"destinationNetwork": "192.0.2.0:443", "destinationPrefix": 24, "protocol": "TCP"}, "action": "drop", "label": "web"}
], "defaultAction": "allow"}
"#;

/// Exports the settings, from a file of the test of this name.
fn export(test: &str, to: &str, args: &[&str]) -> Ended {
    let path = file(test, "settings.json", SETTINGS);
    run(&[&["export", path.to_str().unwrap(), "--to", to], args].concat())
}

#[test]
fn each_target_says_what_it_can_and_refuses_the_rest() {
    let web = "settings.json:5:3: refused: rule 3 \"web\": ";
    for (to, lines, refused) in [
        (
            "pf",
            &["!10.0.0.1", "10.0.0.0/8", "2001:db8::/32"][..],
            &["a pf table cannot say a port: `443`"][..],
        ),
        (
            "nft",
            &["\t\t\t10.0.0.0/8", "\t\t\t2001:db8::/32", "\t\ttype ipv6_addr"],
            &["cannot say another action: `allow`", "an nftables set cannot say a port: `443`"],
        ),
        (
            "netset",
            &["10.0.0.0/8", "# Entries : 1 subnets"],
            &["a .netset cannot say an IPv6 network: `2001:db8::/32`", "cannot say a port"],
        ),
    ] {
        let ended = export("export_targets", to, &[]);
        assert_eq!(ended.status, Some(2), "{to}");
        for line in lines {
            assert!(ended.stdout.lines().any(|found| found == *line), "{to} {line}: {ended:?}");
        }
        for part in refused.iter().chain([&web]) {
            assert!(ended.stderr.contains(part), "{to} {part}: {ended:?}");
        }
    }
}

#[test]
fn rules_of_little_snitch_and_settings_hold_all_of_them() {
    let ended = export("export_rules", "lsrules", &[]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let written: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    // A rule for either direction is two.
    assert_eq!(written["rules"].as_array().unwrap().len(), 7);
    assert_eq!(written["rules"][0]["priority"], "high");
    assert_eq!(written["rules"][6]["ports"], "443");
    let ended = export("export_rules", "json", &[]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    let read = |text: &str| flowsieve::formats::settings::read(text.as_bytes()).unwrap();
    assert_eq!(read(&ended.stdout), read(SETTINGS));
}

#[test]
fn code_holds_what_the_framework_takes() {
    for (to, function) in
        [("swift", "func makeFilterSettings()"), ("objc", "*makeFilterSettings(void)")]
    {
        let ended = export("export_code", to, &[]);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{to}");
        assert!(ended.stdout.contains(function), "{to}: {}", ended.stdout);
    }
    let ranged = SETTINGS.replace(":443", ":443-444");
    let path = file("export_range", "settings.json", ranged);
    let ended = run(&["export", path.to_str().unwrap(), "--to", "swift"]);
    assert_eq!(ended.status, Some(2));
    let reason =
        "refused: rule 3 \"web\": a network rule takes one port or any, not the range 443-444";
    assert!(ended.stderr.contains(reason), "{ended:?}");
    assert!(!ended.stdout.contains("443"), "{ended:?}");
}

#[test]
fn what_is_exported_to_a_file_is_imported_again() {
    let output = directory("export_again").join("list.pf");
    let path = output.to_str().unwrap();
    let ended = export("export_again", "pf", &["-o", path]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    let ended = run(&["import", path, "-o", "-"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let settings = flowsieve::formats::settings::read(ended.stdout.as_bytes()).unwrap();
    let shown: Vec<String> = settings
        .rules()
        .iter()
        .map(|rule| format!("{} {}", rule.action(), rule.network_rule()))
        .collect();
    assert_eq!(
        shown,
        [
            "allow any in or outbound, remote 10.0.0.1/32",
            "drop any in or outbound, remote 2001:db8::/32",
            "drop any in or outbound, remote 10.0.0.0/8",
        ]
    );
}
