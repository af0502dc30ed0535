//! Lists: golden files made by hand, damaged files, and that what is written is read again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is a failed test"
)]

use flowsieve::formats::lists::{
    Counts, Event, Format, Importer, Options, Outcome, ReadError, Select, Target, export, merge,
};
use flowsieve::{
    Action, Direction, Endpoint, FilterRule, FilterSettings, Host, Initializer, Network,
    NetworkRule, Ports, Precedence, Protocol, Remote, first_difference,
};
use flowsieve_testkit::config;
use flowsieve_testkit::random::Random;
use flowsieve_testkit::specs::SettingsSpec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

const REGRESSIONS: &str = "tests/proptest-regressions/lists.txt";

/// What was read of a list.
struct Read {
    /// Line, column and what came of each entry.
    events: Vec<(u64, u64, String)>,
    settings: FilterSettings,
    counts: Counts,
    format: Format,
}

fn read(name: &str, text: &[u8], options: Options) -> Result<Read, ReadError> {
    let mut events = Vec::new();
    let mut importer = Importer::new(options);
    let mut input = text;
    let format = importer.read(name, &mut input, &mut |event| events.push(shown(event)))?;
    let imported = importer.finish(&mut |event| events.push(shown(event)));
    events.sort();
    let counts = imported.counts();
    Ok(Read { events, counts, format, settings: imported.settings })
}

fn shown(event: &Event<'_>) -> (u64, u64, String) {
    let outcome = match &event.outcome {
        Outcome::Accepted { notes, of, rules } => {
            let mut text = format!("accepted, {} rules", rules.len());
            for note in notes.iter() {
                write!(text, ", {}", note.as_str()).unwrap();
            }
            if let Some((_, line)) = of {
                write!(text, " of line {line}").unwrap();
            }
            text
        }
        Outcome::LeftOut(why) => format!("left out, {}", why.as_str()),
        Outcome::Rejected(error) => format!("rejected, {error}"),
        Outcome::Problem(error) => format!("problem, {error}"),
        other => panic!("{other:?}"),
    };
    (event.line, event.column, outcome)
}

/// Reads a list that has to be one, in the format that its content tells.
fn imported(text: &str) -> Read {
    read("list", text.as_bytes(), Options::default()).unwrap()
}

fn forced(format: Format) -> Options {
    let mut options = Options::default();
    options.format = Some(format);
    options
}

fn golden() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/lists");
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_none_or(|name| name != "expected")).collect();
    files.sort();
    assert!(files.len() >= Format::ALL.len());
    files
}

/// Set `BLESS=1` to write what is found instead; then read it.
#[test]
fn golden_files_are_read_as_expected() {
    let mut formats = BTreeSet::new();
    for file in golden() {
        let text = std::fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let read = read(name, &text, Options::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut found = format!("format {}\n\n", read.format);
        for (line, column, outcome) in &read.events {
            writeln!(found, "{line}:{column} {outcome}").unwrap();
        }
        found.push('\n');
        for rule in read.settings.rules() {
            let label = rule.label().unwrap();
            writeln!(found, "{} {} ({label})", rule.action(), rule.network_rule()).unwrap();
        }
        writeln!(found, "default {}", read.settings.default_action()).unwrap();
        let expected = file.with_file_name(format!("{name}.expected"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(found, expected, "{name}");
        check_counts(&read, name);
        formats.insert(read.format);
    }
    assert_eq!(formats, Format::ALL.into_iter().collect(), "each format has a file");
}

fn check_counts(read: &Read, name: &str) {
    let Counts { entries, accepted, noted, left_out, rejected, rules, problems } = read.counts;
    assert_eq!(entries, accepted + noted + left_out + rejected, "{name}");
    let count = |start: &str| {
        read.events.iter().filter(|(_, _, outcome)| outcome.starts_with(start)).count() as u64
    };
    assert_eq!(accepted + noted, count("accepted"), "{name}");
    assert_eq!((left_out, rejected), (count("left out"), count("rejected")), "{name}");
    assert_eq!(problems, count("problem"), "{name}");
    assert_eq!(rules, read.settings.rules().len() as u64, "{name}");
}

#[test]
fn damaged_files_lose_no_entry_and_never_panic() {
    let mut random = Random(7);
    for file in golden() {
        let text = std::fs::read(&file).unwrap();
        let name = file.to_str().unwrap();
        let format = read(name, &text, Options::default()).unwrap().format;
        let check = |damaged: &[u8]| {
            for options in [forced(format), Options::default()] {
                if let Ok(read) = read(name, damaged, options) {
                    check_counts(&read, name);
                }
            }
        };
        for len in 0..text.len() {
            check(&text[..len]);
        }
        check(&text.repeat(2));
        for _ in 0..300 {
            let mut damaged = text.clone();
            for _ in 0..=random.below(3) {
                let place = random.below(damaged.len());
                damaged[place] ^= 1 << random.below(8);
            }
            check(&damaged);
        }
    }
}

#[test]
fn every_golden_file_is_read_in_every_format_without_a_panic() {
    for file in golden() {
        let text = std::fs::read(&file).unwrap();
        for format in Format::ALL {
            if let Ok(read) = read("list", &text, forced(format)) {
                check_counts(&read, &format!("{file:?} as {format}"));
            }
        }
    }
}

#[test]
fn line_ends_a_byte_order_mark_and_comments_make_no_difference() {
    let plain = imported("192.0.2.1\n198.51.100.0/24\n");
    for text in [
        "\u{feff}192.0.2.1\r\n198.51.100.0/24\r\n",
        "192.0.2.1 # one\n198.51.100.0/24;two",
        "  192.0.2.1\t\n\t198.51.100.0/24",
    ] {
        let read = imported(text);
        assert_eq!(read.settings, plain.settings, "{text:?}");
        assert_eq!(read.counts, plain.counts, "{text:?}");
    }
}

#[test]
fn text_that_is_no_list_or_could_be_two_is_refused() {
    let message = |text: &str| match read("x", text.as_bytes(), Options::default()) {
        Err(error) => error.to_string(),
        Ok(read) => format!("read as {}", read.format),
    };
    let none = "no known format of lists fits this text";
    assert_eq!(message("This is no list.\nAnd never was one.\n"), none);
    assert_eq!(message("{\"a\": 1}"), none);
    assert_eq!(
        message("0.0.0.0 a.example\nb:1.2.3.4-1.2.3.5\n"),
        "the formats `p2p` and `hosts` fit this text equally: say which it is"
    );
    assert_eq!(message(""), "read as addresses");
    assert_eq!(message("[1, 2"), none);
    let read = read("x", b"[1, 2", forced(Format::OpenSnitch));
    assert!(read.is_err_and(|error| error.to_string().contains("not valid JSON")));
    assert!("xml".parse::<Format>().is_err());
    for format in Format::ALL {
        assert_eq!(format.as_str().parse(), Ok(format));
    }
}

#[test]
fn limits_are_errors() {
    let mut options = Options::default();
    options.max_entries = 2;
    assert!(read("x", b"192.0.2.1\n192.0.2.2\n", options.clone()).is_ok());
    let error = read("x", b"192.0.2.1\n192.0.2.2\nno\n", options).err().unwrap();
    assert_eq!(error.to_string(), "line 3, column 1: more than 2 entries");

    let long = format!("{}\n192.0.2.1\n", "1".repeat(70_000));
    let read = read("x", long.as_bytes(), forced(Format::Addresses)).unwrap();
    assert_eq!(read.events[0].2, "rejected, line 1, column 1: text exceeds 65536 bytes");
    assert_eq!((read.counts.entries, read.counts.accepted), (2, 1));
}

#[test]
fn a_rule_of_many_addresses_and_ports_does_not_grow_beyond_its_text() {
    let list = |text: &str, count: usize| vec![text; count].join(",");
    let (addresses, ports) = (list("192.0.2.1", 1000), list("443", 1000));
    let text = format!(
        r#"{{"rules": [{{"process": "any", "remote-addresses": "{addresses}", "ports": "{ports}"}}]}}"#
    );
    let read = imported(&text);
    assert!(read.events[0].2.ends_with("1000000 rules exceed 4096"), "{:?}", read.events);
}

#[test]
fn entries_are_selected_by_columns_and_keys() {
    let select = |text: &str, choices: &[(&str, &[&str])]| {
        let mut options = Options::default();
        options.min_count = 5;
        options.select = choices
            .iter()
            .map(|(key, values)| Select {
                key: (*key).to_owned(),
                values: values.iter().map(|value| (*value).to_owned()).collect(),
            })
            .collect();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/lists").join(text);
        let read = read("x", &std::fs::read(file).unwrap(), options).map_err(|e| e.to_string())?;
        check_counts(&read, text);
        Ok::<_, String>((read.settings.rules().len(), read.counts.left_out))
    };
    assert_eq!(select("aws.json", &[("service", &["s3"]), ("region", &["eu-west-1"])]), Ok((1, 3)));
    assert_eq!(select("google.json", &[("scope", &["us-west1", "x"])]), Ok((1, 2)));
    assert_eq!(select("azure.json", &[("systemService", &["AzureStorage"])]), Ok((2, 0)));
    assert_eq!(select("azure.json", &[("name", &["Other"])]), Ok((0, 3)));
    assert_eq!(select("oracle.json", &[("tag", &["OCI"])]), Ok((1, 1)));
    assert_eq!(select("github.json", &[("key", &["hooks"])]), Ok((2, 4)));
    assert_eq!(select("geofeed.csv", &[("country", &["de"])]), Ok((1, 2)));
    assert_eq!(select("blocks.csv", &[("is_anonymous_proxy", &["1"])]), Ok((2, 1)));
    assert_eq!(select("ipsum.txt", &[]), Ok((1, 1)));
    let missing = |file| select(file, &[("asn", &["1"])]).unwrap_err();
    assert_eq!(missing("blocks.csv"), "line 1, column 1: there is no column `asn`");
    assert_eq!(missing("aws.json"), "there is no column `asn`");
    assert_eq!(missing("drop.txt"), "there is no column `asn`");
}

#[test]
fn a_list_that_does_not_hold_what_it_says_is_reported() {
    let problems = |text: &str| {
        let read = imported(text);
        assert_eq!(read.counts.entries, read.counts.accepted);
        read.events
            .into_iter()
            .filter(|(.., outcome)| outcome.starts_with("problem"))
            .map(|e| e.2)
            .collect::<Vec<_>>()
    };
    let net = "{\"cidr\":\"192.0.2.0/24\"}\n";
    assert_eq!(problems(&format!("{net}{{\"type\":\"metadata\",\"records\":1}}\n")), [""; 0]);
    assert_eq!(
        problems(&format!("{net}{{\"type\":\"metadata\",\"records\":2}}\n")),
        ["problem, line 2, column 1: the list says that it holds 2 entries, and 1 were found"]
    );
    assert_eq!(
        problems(net),
        [
            "problem, line 1, column 1: no metadata record at the end, so that the list may be cut off"
        ]
    );
    assert_eq!(problems("# Entries: 1 subnets\n192.0.2.0/24\n"), [""; 0]);
    assert_eq!(problems("# Entries: 1,000 subnets\n192.0.2.0/24\n").len(), 1);
}

#[test]
fn a_list_that_ends_within_braces_is_reported() {
    let problems = |text: &str| -> Vec<String> {
        let events = imported(text).events.into_iter().map(|(.., outcome)| outcome);
        events.filter(|outcome| outcome.starts_with("problem")).collect()
    };
    for (text, place) in [
        ("table <bad> { 192.0.2.1,\n 192.0.2.2", "line 1, column 13"),
        ("set bad {\n elements = { 192.0.2.1,\n 192.0.2.2", "line 2, column 13"),
        ("add element inet filter bad { 192.0.2.1", "line 1, column 29"),
    ] {
        let expected =
            format!("problem, {place}: `{{` without its `}}`, so that the list may be cut off");
        assert_eq!(problems(text), [expected], "{text}");
        assert_eq!(problems(&format!("{text} }}")), [""; 0], "{text}");
    }
}

#[test]
fn definitions_of_nftables_hold_elements() {
    let read = imported(
        "include \"x\"\ndefine office = 192.0.2.1\ndefine bad = { 192.0.2.0/24, $office }\n",
    );
    assert_eq!(read.format, Format::Nft);
    let expected = [
        (3, 16, "accepted, 1 rules".to_owned()),
        (
            3,
            30,
            "rejected, line 3, column 30: `$office` is not an address, a network or a range of \
             addresses"
                .to_owned(),
        ),
    ];
    assert_eq!(read.events, expected);
}

#[test]
fn port_zero_is_no_port_of_little_snitch_or_opensnitch() {
    let reason = |text: &str| {
        let read = imported(text);
        assert_eq!((read.counts.entries, read.counts.rejected), (1, 1), "{text}");
        read.events[0].2.split(": ").skip(1).collect::<Vec<_>>().join(": ")
    };
    for (ports, found) in [("0", "0"), ("\"0\"", "0"), ("\"00\"", "00"), ("\"443, 0\"", "0")] {
        let rule = format!(
            r#"{{"process": "any", "remote": "any", "action": "allow", "ports": {ports}}}"#
        );
        assert_eq!(
            reason(&format!(r#"{{"rules": [{rule}]}}"#)),
            format!("key `ports`: expected `any`, or ports from 1 to 65535, found `{found}`"),
            "{ports}"
        );
    }
    let rule = r#"{"name": "a", "enabled": true, "action": "deny",
        "operator": {"type": "simple", "operand": "dest.port", "data": "0"}}"#;
    assert_eq!(reason(rule), "key `data`: expected ports from 1 to 65535, found `0`");
}

#[test]
fn a_host_of_little_snitch_does_not_decide_for_names_below_it_that_others_are_for() {
    let rule = |action: &str, kind: &str, name: &str, more: &str| {
        format!(r#"{{"process": "any", "action": "{action}", "remote-{kind}": {name}{more}}}"#)
    };
    let rejected = |rules: [String; 2]| {
        let read = imported(&format!("{{\"rules\": [\n{}\n]}}", rules.join(",\n")));
        assert_eq!(read.counts.entries, 2);
        let reasons = read.events.iter().map(|event| event.2.clone());
        (reasons.filter(|text| text.contains("names below its own")).collect::<Vec<_>>(), read)
    };
    let host = |action| rule(action, "hosts", r#""example.com""#, "");
    for (other, count) in [
        // What goes before by its kind would also decide for the names below.
        (rule("deny", "domains", r#""ads.example.com""#, ""), 1),
        (rule("deny", "domains", r#""example.com""#, ""), 1),
        (rule("deny", "hosts", r#"["a.example.com", "b.test"]"#, ""), 1),
        // The same action, other flows, another name, or an order in which it does not.
        (rule("allow", "domains", r#""ads.example.com""#, ""), 0),
        (rule("deny", "domains", r#""notexample.com""#, ""), 0),
        (rule("deny", "domains", r#""example.test""#, ""), 0),
        (rule("deny", "domains", r#""ads.example.com""#, r#", "priority": "high""#), 0),
    ] {
        let (reasons, read) = rejected([host("allow"), other.clone()]);
        assert_eq!(reasons.len(), count, "{other}: {:?}", read.events);
        assert_eq!(read.counts.rejected, count as u64, "{other}");
        if count == 1 {
            assert!(reasons[0].contains("line 2,") && reasons[0].contains("line 3"), "{reasons:?}");
        }
    }
}

#[test]
fn tables_have_their_addresses_where_the_header_says_or_where_they_are() {
    let csv = |text: &str| {
        let read = read("table", text.as_bytes(), forced(Format::Csv))?;
        let nets = read.settings.rules().iter().map(|rule| {
            let net = rule.network_rule().remote_side().and_then(Network::net);
            net.map_or("-".to_owned(), |net| net.to_string())
        });
        Ok::<_, ReadError>((nets.collect::<Vec<_>>().join(" "), read.counts.entries))
    };
    let of = |nets: &str, entries| (nets.to_owned(), entries);
    assert_eq!(csv("country,CIDR\nXX,192.0.2.0/24\n").unwrap(), of("192.0.2.0/24", 1));
    assert_eq!(
        csv("start_ip,end_ip,country\n192.0.2.0,192.0.2.3,XX\n198.51.100.7,198.51.100.7,XX\n")
            .unwrap(),
        of("192.0.2.0/30 198.51.100.7/32", 2)
    );
    // Without a header no row is taken for one.
    assert_eq!(csv("192.0.2.0/24,XX\n198.51.100.0/24,XX\n").unwrap().1, 2);
    for text in ["a,b\n192.0.2.0,192.0.2.3\n", "192.0.2.0,192.0.2.3,XX\n"] {
        let error = csv(text).unwrap_err();
        assert!(error.to_string().contains("`network`"), "{text}: {error}");
    }
}

#[test]
fn rules_of_chains_of_nftables_are_not_passed_over() {
    let read = imported(
        "define wan = eth0\ndefine bad = { 198.51.100.0/24 }\n\
         table ip filter {\n  chain input {\n    ip saddr @blocked drop\n    ip saddr $bad drop\n\
         \x20   ip saddr { 203.0.113.1,\n      203.0.113.2 } drop\n    ip daddr != 10.0.0.0/8 drop\n\
         \x20 }\n}\n",
    );
    let nets =
        read.settings.rules().iter().map(|rule| {
            rule.network_rule().remote_side().and_then(Network::net).unwrap().to_string()
        });
    assert_eq!(nets.collect::<Vec<_>>(), ["198.51.100.0/24"]);
    assert_eq!((read.counts.entries, read.counts.rejected), (3, 2), "{:?}", read.events);
    let rejected = read.events.iter().filter(|event| event.2.contains("a rule of a chain"));
    assert_eq!(rejected.count(), 2, "{:?}", read.events);
}

#[test]
fn names_that_no_flow_has_are_noted() {
    let long = "a".repeat(64);
    let read = imported(&format!(
        "0.0.0.0 ads.example.com\n0.0.0.0 bad..example.com\n0.0.0.0 m\u{fc}nchen.example.com\n\
         0.0.0.0 {long}.example.com {}.example.com\n",
        &long[..63]
    ));
    let noted: Vec<_> = read.events.iter().map(|event| event.2.contains("no-such-name")).collect();
    assert_eq!(noted, [false, true, true, true, false], "{:?}", read.events);
    assert_eq!(read.counts.entries, 5);
    assert_eq!(read.settings.rules().len(), 5);
}

#[test]
fn a_network_at_zero_is_no_wildcard() {
    let read = imported("0.0.0.0/8\n::/8\n0.0.0.0-0.0.0.2\n");
    for rule in read.settings.rules() {
        assert!(rule.network_rule().remote_side().unwrap().is_explicit(), "{rule:?}");
    }
    let flow = |to: &str| {
        let flow = flowsieve::Flow::new(flowsieve::IpProtocol::TCP, Direction::Outbound);
        flow.with_remote_address(to.parse().unwrap(), None, 443)
    };
    let decide = |to: &str| {
        flowsieve::reference::decide(&read.settings, Precedence::FirstMatch, &flow(to)).action()
    };
    assert_eq!(decide("0.1.2.3"), Action::Drop);
    assert_eq!(decide("8.8.8.8"), Action::Allow);
    assert_eq!(decide("2001:db8::1"), Action::Allow);
}

#[test]
fn lists_of_opensnitch_are_put_in_order_together_and_other_lists_stay_where_they_are() {
    let rule = |name: &str, action: &str, to: &str| {
        format!(
            r#"{{"name": "{name}", "action": "{action}", "duration": "always",
                "operator": {{"type": "simple", "operand": "dest.ip", "data": "{to}"}}}}"#
        )
    };
    let mut importer = Importer::new(Options::default());
    let lists = [
        ("first", "192.0.2.9".to_owned()),
        ("c", rule("c", "deny", "192.0.2.1")),
        ("a", rule("a", "allow", "192.0.2.1")),
        ("b", rule("b", "deny", "192.0.2.2")),
        ("last", "192.0.2.8".to_owned()),
    ];
    for (name, text) in &lists {
        importer.read(name, &mut text.as_bytes(), &mut |event| panic!("{event:?}")).unwrap();
    }
    let mut ranges = Vec::new();
    let imported = importer.finish(&mut |event| match &event.outcome {
        Outcome::Accepted { rules, .. } => ranges.push((event.name.to_owned(), rules.clone())),
        other => panic!("{other:?}"),
    });
    let labels: Vec<&str> =
        imported.settings.rules().iter().map(|rule| rule.label().unwrap()).collect();
    assert_eq!(labels, ["first:1", "b:1", "c:1", "a:1", "last:1"]);
    for (name, range) in ranges {
        assert_eq!(labels[range], [format!("{name}:1")]);
    }
}

#[test]
fn settings_with_other_default_actions_are_not_joined_in_silence() {
    let text = |default: &str| format!(r#"{{"rules": [], "defaultAction": "{default}"}}"#);
    let problems = |defaults: [&str; 2], given: Option<Action>| {
        let mut options = Options::default();
        options.default_action = given;
        let mut importer = Importer::new(options);
        for default in defaults {
            importer.read(default, &mut text(default).as_bytes(), &mut |_| {}).unwrap();
        }
        let imported = importer.finish(&mut |_| {});
        (imported.counts().problems, imported.settings.default_action())
    };
    assert_eq!(problems(["drop", "drop"], None), (0, Action::Drop));
    assert_eq!(problems(["drop", "allow"], None), (1, Action::Drop));
    assert_eq!(problems(["drop", "allow"], Some(Action::Allow)), (0, Action::Allow));
}

/// The rules that were not refused, as a list of addresses is read: for either direction.
fn written(settings: &FilterSettings, refused: &[usize], split: bool) -> FilterSettings {
    let mut rules = Vec::new();
    for (index, rule) in settings.rules().iter().enumerate() {
        if refused.contains(&index) {
            continue;
        }
        let own = rule.network_rule();
        let directions: &[Direction] = match (split, own.match_direction()) {
            (false, _) => &[Direction::Any],
            (true, Direction::Any) => &[Direction::Outbound, Direction::Inbound],
            (true, Direction::Inbound) => &[Direction::Inbound],
            (true, Direction::Outbound) => &[Direction::Outbound],
        };
        for direction in directions {
            let made = NetworkRule::remote_network_or_host(
                own.match_remote_endpoint(),
                own.match_remote_prefix().unwrap_or(0).into(),
                None,
                0,
                own.match_protocol(),
                *direction,
            );
            rules.push(FilterRule::new(made.unwrap(), rule.action()));
        }
    }
    FilterSettings::new(rules, settings.default_action())
}

fn check_export(settings: &FilterSettings, target: Target) {
    let exported = export(settings, target, Action::Drop);
    let refused: Vec<usize> = exported.refused.iter().map(|(index, _)| *index).collect();
    assert_eq!(exported.written + refused.len(), settings.rules().len());
    let (format, split) = match target {
        Target::Pf => (Format::Pf, false),
        Target::Nft => (Format::Nft, false),
        Target::Netset => (Format::Addresses, false),
        Target::LsRules => (Format::LsRules, true),
        _ => (Format::Settings, false),
    };
    let mut options = forced(format);
    options.default_action = Some(settings.default_action());
    let read = read("list", exported.text.as_bytes(), options).unwrap();
    let shown = || format!("{settings:#?}\n{}\n{:?}", exported.text, read.events);
    assert_eq!((read.counts.rejected, read.counts.problems), (0, 0), "{}", shown());
    if target == Target::Json {
        let own = |rules: &FilterSettings| {
            rules.rules().iter().map(|rule| rule.network_rule().clone()).collect::<Vec<_>>()
        };
        assert_eq!(own(&read.settings), own(settings));
        return;
    }
    let expected = written(settings, &refused, split);
    if let Some(found) = first_difference(&expected, &read.settings, Precedence::FirstMatch) {
        panic!("{target:?}: {}\n{}", found.witness(), shown());
    }
}

/// Rules that lists of addresses can say, often of one net within the other.
fn net_rules() -> impl proptest::strategy::Strategy<Value = Vec<FilterRule>> {
    let address =
        prop::sample::select(&["10.0.0.0", "10.1.2.3", "10.128.0.0", "2001:db8::", "::1"][..]);
    let rule = (address, 0..=128u8, any::<bool>(), any::<bool>()).prop_map(
        |(text, bits, drop, outbound)| {
            let address: IpAddr = text.parse().unwrap();
            let bits = if address.is_ipv4() { bits % 33 } else { bits };
            let direction = if outbound { Direction::Outbound } else { Direction::Any };
            let endpoint = Endpoint::from_parts(Host::Address(address, None), Ports::ANY);
            let rule = NetworkRule::remote_network(
                Some(endpoint),
                bits.into(),
                None,
                0,
                Protocol::Any,
                direction,
            );
            FilterRule::new(rule.unwrap(), if drop { Action::Drop } else { Action::Allow })
        },
    );
    prop::collection::vec(rule, 0..10)
}

proptest! {
    #![proptest_config(config(300, REGRESSIONS))]

    #[test]
    fn what_is_written_decides_as_the_rules_that_were_written(spec: SettingsSpec) {
        let settings = spec.build();
        if settings.validate_for_framework().iter().any(|issue| {
            matches!(issue.kind(), flowsieve::FrameworkIssueKind::HostnameInNetwork)
        }) {
            return Ok(());
        }
        Target::ALL.into_iter().for_each(|target| check_export(&settings, target));
    }

    #[test]
    fn lists_of_networks_are_written_and_read_again(rules in net_rules()) {
        let settings = FilterSettings::new(rules, Action::Allow);
        Target::ALL.into_iter().for_each(|target| check_export(&settings, target));
    }

    #[test]
    fn merged_rules_decide_every_flow_alike(spec: SettingsSpec) {
        check_merge(&spec.build());
    }

    #[test]
    fn merged_networks_decide_every_flow_alike(rules in net_rules()) {
        check_merge(&FilterSettings::new(rules, Action::FilterData));
    }

    #[test]
    fn networks_of_one_action_become_the_fewest(rules in net_rules()) {
        let nets: Vec<_> = rules.iter().filter_map(|rule| {
            let net = rule.network_rule().remote_side()?.net()?;
            (net.prefix_len() > 1).then_some(net)
        }).collect();
        let rule = |net: &ipnet::IpNet| {
            // The last address, as the first may be a wildcard.
            let endpoint = Endpoint::from_parts(Host::Address(net.broadcast(), None), Ports::ANY);
            let bits = net.prefix_len().into();
            FilterRule::new(NetworkRule::destination_network(endpoint, bits, Protocol::Any).unwrap(), Action::Drop)
        };
        let merged = merge(nets.iter().map(rule).collect());
        let fewest = ipnet::IpNet::aggregate(&nets);
        assert_eq!(merged.len(), fewest.len(), "{nets:?}\n{merged:?}");
    }

    #[test]
    fn a_range_is_its_addresses_and_no_others(first: u32, len in 0..5000u32, v6: bool) {
        let last = first.saturating_add(len);
        let address = |bits: u32| match v6 {
            false => IpAddr::from(Ipv4Addr::from_bits(bits)),
            true => IpAddr::from(Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(bits))),
        };
        let read = imported(&format!("{}-{}", address(first), address(last)));
        if read.counts.rejected > 0 {
            assert!(first == 0 && last == 0 && !v6);
            return Ok(());
        }
        let holds = |bits: u32| {
            read.settings.rules().iter().any(|rule| {
                matches!(rule.network_rule().remote_side(), Some(Network::Prefix { net, .. })
                    if net.contains(&address(bits)))
            })
        };
        for inside in [first, last, first + (last - first) / 2] {
            assert!(holds(inside), "{inside}");
        }
        for outside in [first.checked_sub(1), last.checked_add(1)].into_iter().flatten() {
            assert!(!holds(outside), "{outside}");
        }
        // The fewest: no two of them are the halves of one.
        let nets: Vec<_> = read.settings.rules().iter()
            .filter_map(|rule| rule.network_rule().remote_side()?.net()).collect();
        assert_eq!(ipnet::IpNet::aggregate(&nets).len(), nets.len());
    }

    #[test]
    fn no_text_makes_a_list_panic_or_lose_an_entry(
        lines in prop::collection::vec("[0-9a-f.:/, !{}#;\"=-]{0,40}|.{0,20}", 0..8),
        format in prop::sample::select(&Format::ALL[..]),
    ) {
        let text = lines.join("\n");
        for options in [forced(format), Options::default()] {
            if let Ok(read) = read("x", text.as_bytes(), options) {
                check_counts(&read, &text);
            }
        }
    }
}

fn check_merge(settings: &FilterSettings) {
    let merged = merge(settings.rules().to_vec());
    assert!(merged.len() <= settings.rules().len() + halves(settings), "{settings:#?}");
    let merged = FilterSettings::new(merged, settings.default_action());
    if let Some(found) = first_difference(settings, &merged, Precedence::FirstMatch) {
        panic!("{}\n{settings:#?}\n{merged:#?}", found.witness());
    }
}

/// Each network of prefix length 0 may become two.
fn halves(settings: &FilterSettings) -> usize {
    let is_all = |rule: &&FilterRule| {
        rule.network_rule().remote_side().is_some_and(|side| side.prefix() == Some(0))
    };
    settings.rules().iter().filter(is_all).count()
}

/// Each strategy of merging keeps the initialiser, so that rules stay what the framework takes.
#[test]
fn merged_rules_have_the_initialiser_of_those_that_they_stand_for() {
    let rule = |net: &str| {
        let endpoint = Endpoint::new(net, "0").unwrap();
        let rule = NetworkRule::destination_network(endpoint, 25, Protocol::Any).unwrap();
        FilterRule::new(rule, Action::Drop).with_label(net)
    };
    let merged = merge(vec![rule("192.0.2.128"), rule("192.0.2.0"), rule("192.0.2.0")]);
    assert_eq!(merged.len(), 1);
    assert_eq!(merged[0].network_rule().initializer(), Initializer::DestinationNetwork);
    assert_eq!(merged[0].label(), Some("192.0.2.128 and 2 more"));
    assert!(matches!(merged[0].network_rule().remote(), Remote::Network(_)));
}
