//! The page as XML, which it is too, made from a report whose every text is hostile.

use super::{Against, Change, Hits, Latency, Places, Report, Source, VerdictCount, html};
use flowsieve::formats::settings;
use flowsieve::{Action, Decider, FilterSettings, Precedence, Reason};
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::HashSet;

const HOSTILE: &str =
    "</script></title></style><img src=x onerror=\"alert(1)\">'&amp;\u{202e}\u{7}]]>";

fn hostile_settings() -> FilterSettings {
    let label = serde_json::to_string(HOSTILE).unwrap();
    let rule = |net: &str, prefix: u8, action: &str| {
        format!(
            r#"{{"networkRule": {{"destinationNetwork": "{net}", "destinationPrefix": {prefix},
            "protocol": "any"}}, "action": "{action}", "label": {label}}}"#
        )
    };
    let rules = [
        rule("10.0.0.0", 8, "drop"),
        rule("128.0.0.0", 1, "filterData"),
        rule("2001:db8::", 48, "drop"),
        rule("fc00::", 7, "allow"),
    ];
    let text = format!(r#"{{"rules": [{}], "defaultAction": "allow"}}"#, rules.join(","));
    settings::read(text.as_bytes()).unwrap()
}

fn report<'a>(settings: &'a FilterSettings, against: Option<Against<'a>>) -> Report<'a> {
    let mut latency = Latency::default();
    (40..400).for_each(|nanoseconds| latency.add_many(nanoseconds, 400 - nanoseconds));
    let mut places = Places::default();
    for address in ["10.1.2.3", "200.1.2.3", "2001:db8::1", "2001:db8:1::1"] {
        places.add(Some(address.parse().unwrap()), Action::Drop);
    }
    places.add(None, Action::Allow);
    Report {
        name: HOSTILE,
        settings,
        precedence: Precedence::FirstMatch,
        sources: vec![Source {
            name: HOSTILE.to_owned(),
            format: HOSTILE.to_owned(),
            records: 1500,
            flows: 1234,
            skipped: 260,
            bad: 6,
        }],
        verdicts: vec![
            VerdictCount { action: Action::Drop, reason: Reason::Rule, flows: 1200 },
            VerdictCount { action: Action::Allow, reason: Reason::Default, flows: 34 },
        ],
        not_final: 3,
        hits: vec![
            Hits {
                decider: Decider::Rule(0),
                flows: 1200,
                talkers: vec![(HOSTILE.to_owned(), 1000)],
            },
            Hits { decider: Decider::Default, flows: 34, talkers: Vec::new() },
        ],
        against,
        latency,
        places,
    }
}

fn against(settings: &FilterSettings) -> Against<'_> {
    let change = Change {
        before: (Decider::Rule(0), Action::Drop),
        after: (Decider::Rule(1), Action::FilterData),
        flows: 7,
        examples: vec![HOSTILE.to_owned()],
    };
    Against { name: HOSTILE, settings, changes: vec![change] }
}

fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap()
}

fn named<'a>(document: &'a Document<'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.has_tag_name(name)).chain(
        document.descendants().filter(move |node| {
            node.tag_name().namespace().is_some() && node.tag_name().name() == name
        }),
    )
}

#[test]
fn text_of_rules_and_logs_is_never_markup() {
    let settings = hostile_settings();
    let page = html(&report(&settings, Some(against(&settings))));
    let document = parsed(&page);
    assert_eq!(named(&document, "img").count(), 0);
    assert_eq!(named(&document, "script").count(), 1);
    assert_eq!(named(&document, "style").count(), 1);
    assert!(!page.contains(['\u{202e}', '\u{7}']));
    // Where it was hostile it can still be read: in the heading, in cells, and on the map.
    let shown = "</script></title></style><img src=x onerror=\"alert(1)\">'&amp;\\u{202e}\\u{7}]]>";
    let texts = document.descendants().filter(|node| node.is_text());
    let with = texts.filter(|node| node.text().unwrap().contains(shown)).count();
    assert!(with >= 10, "{with}");
    for node in document.descendants() {
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(!name.starts_with("on") && name != "style" && name != "src", "{name}");
            if name == "href" {
                assert!(attribute.value().starts_with('#'), "{}", attribute.value());
            }
        }
    }
}

#[test]
fn maps_of_ipv6_prefixes_have_the_flows_to_them() {
    let settings = hostile_settings();
    let mut places = Places::default();
    for (address, action) in [
        ("2001:db8::1", Action::Drop),
        ("2001:db8:f:2::2", Action::Drop),
        ("2001:db8:8000::1", Action::Allow),
        ("2001:db7::1", Action::Allow),
        ("10.1.2.3", Action::Drop),
    ] {
        places.add(Some(address.parse().unwrap()), action);
    }
    let page = html(&Report { places, ..report(&settings, None) });
    let document = parsed(&page);
    let marks = |id: &str| -> Vec<String> {
        let labels = format!("{id}-title {id}-desc");
        let mut svgs = named(&document, "svg")
            .filter(|node| node.attribute("aria-labelledby") == Some(labels.as_str()));
        let svg = svgs.next().unwrap();
        let marks = svg.descendants().filter(|node| node.attribute("class") == Some("mark"));
        marks.filter_map(|mark| mark.first_element_child()?.text()).map(str::to_owned).collect()
    };
    assert_eq!(marks("map4"), ["10.0.0.0/12: 1 flow, drop"]);
    let expected = ["2001:db8::/44: 2 flows, drop", "2001:db8:8000::/44: 1 flow, allow"];
    assert_eq!(marks("map6-0"), expected);
    assert!(page.contains(" 2 marks stand for 3 flows. "), "{page}");
    // The table has them by prefix.
    let row = "<tr><th scope=\"row\">2001:db8::/32</th>";
    let row = page.lines().find(|line| line.starts_with(row)).unwrap();
    let cells =
        [3, 1, 2, 0].map(|flows| format!("<td class=\"n\" data-n=\"{flows}\">{flows}</td>"));
    assert!(row.ends_with(&(cells.concat() + "</tr>")), "{row}");
}

#[test]
fn page_can_be_used_by_keyboard_and_by_screen_reader() {
    let settings = hostile_settings();
    let page = html(&report(&settings, Some(against(&settings))));
    let document = parsed(&page);
    for landmark in ["header", "nav", "main", "footer", "h1", "title"] {
        let count = document
            .descendants()
            .filter(|node| {
                node.tag_name().name() == landmark && node.tag_name().namespace().is_none()
            })
            .count();
        assert_eq!(count, 1, "{landmark}");
    }
    let ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    let unique: HashSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "{ids:?}");
    for node in document.descendants() {
        let referred = node.attribute("aria-labelledby").into_iter().flat_map(|ids| ids.split(' '));
        let linked = node.attribute("href").and_then(|link| link.strip_prefix('#'));
        for id in referred.chain(linked) {
            assert!(unique.contains(id), "{id}");
        }
        let fill = node.attribute("fill").and_then(|fill| fill.strip_prefix("url(#"));
        if let Some(id) = fill.and_then(|fill| fill.strip_suffix(')')) {
            assert!(unique.contains(id), "{id}");
        }
        if node.has_tag_name("th") {
            assert!(matches!(node.attribute("scope"), Some("col" | "row")));
        }
        if node.has_tag_name("table") {
            let caption = node.children().find(|child| child.is_element()).unwrap();
            assert!(caption.has_tag_name("caption") && !caption.text().unwrap().is_empty());
            let columns =
                node.descendants().filter(|n| n.attribute("scope") == Some("col")).count();
            let body = node.children().find(|child| child.has_tag_name("tbody")).unwrap();
            for row in body.children().filter(Node::is_element) {
                assert_eq!(row.children().filter(Node::is_element).count(), columns);
            }
        }
        if node.tag_name().name() == "svg" {
            let is_named = node.attribute("role") == Some("img");
            assert!(is_named || node.attribute("aria-hidden") == Some("true"));
        }
    }
    let first_link = document.descendants().find(|node| node.has_tag_name("a")).unwrap();
    assert_eq!(first_link.attribute("href"), Some("#main"));
}

#[test]
fn what_was_not_found_is_said() {
    let settings = FilterSettings::default();
    let empty = Report {
        name: "none.json",
        settings: &settings,
        precedence: Precedence::LongestPrefix,
        sources: Vec::new(),
        verdicts: Vec::new(),
        not_final: 0,
        hits: Vec::new(),
        against: Some(Against { name: "b.json", settings: &settings, changes: Vec::new() }),
        latency: Latency::default(),
        places: Places::default(),
    };
    let page = html(&empty);
    parsed(&page);
    for text in [
        "0 flows of 0 logs, decided by 0 rules in longest-prefix order",
        "No flow was decided.",
        "Every rule decided a flow.",
        "Every flow gets the same action by none.json and by b.json.",
        "It was not measured how long decisions took.",
        "No rule names an IPv6 network, and no flow went to one.",
    ] {
        assert!(page.contains(text), "{text}\n{page}");
    }
}

#[test]
fn long_tables_are_cut_and_say_so() {
    let text = |index: usize| {
        format!(
            r#"{{"networkRule": {{"destinationNetwork": "10.{}.{}.0", "destinationPrefix": 24,
            "protocol": "any"}}, "action": "drop"}}"#,
            index / 256,
            index % 256
        )
    };
    let rules: Vec<String> = (0..1234).map(text).collect();
    let settings = format!(r#"{{"rules": [{}], "defaultAction": "allow"}}"#, rules.join(","));
    let settings = settings::read(settings.as_bytes()).unwrap();
    let page = html(&report(&settings, None));
    parsed(&page);
    assert!(page.contains("1233 rules of 1234 decided no flow."));
    assert!(page.contains("233 more are not listed here."));
    assert!(page.contains("rule 1000<") && !page.contains("rule 1001<"));
}
