//! The map against [`Matcher`], address by address.

use super::cells::Cells;
use super::coverage::{Coverage, Fate, first_of, last_of, size};
use super::hilbert::Curve;
use super::picture::Picture;
use super::question::Question;
use super::svg::{self, Setting};
use super::traffic::Traffic;
use flowsieve::formats::settings;
use flowsieve::{
    Action, Decider, Decision, Direction, Endpoint, FilterSettings, IpProtocol, Matcher,
    Precedence, Reason,
};
use flowsieve_testkit::specs::SettingsSpec;
use ipnet::IpNet;
use proptest::prelude::any;
use proptest::sample::select;
use proptest::{prop_assert_eq, proptest};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Bound;

/// Rules of every kind in a small network.
const SMALL: &str = r#"{"rules": [
    {"networkRule": {"destinationNetwork": "127.0.0.8", "destinationPrefix": 30, "protocol": "UDP"}, "action": "drop"},
    {"networkRule": {"destinationNetwork": "127.0.0.16:443", "destinationPrefix": 28, "protocol": "any"}, "action": "filterData"},
    {"networkRule": {"destinationNetwork": {"hostname": "127.0.0.20", "port": "400-500"}, "destinationPrefix": 31, "protocol": "TCP"}, "action": "drop"},
    {"networkRule": {"destinationNetwork": "127.0.0.23", "destinationPrefix": 32, "protocol": "TCP"}, "action": "drop", "label": "one"},
    {"networkRule": {"remoteNetwork": "127.0.0.64", "remotePrefix": 26, "localNetwork": "192.168.1.0", "localPrefix": 24, "protocol": "any", "direction": "inbound"}, "action": "drop"},
    {"networkRule": {"destinationHost": "example.com:443", "protocol": "any"}, "action": "drop"},
    {"networkRule": {"destinationNetwork": "127.0.0.128", "destinationPrefix": 25, "protocol": "any"}, "action": "allow"},
    {"networkRule": {"destinationNetwork": "::ffff:127.0.0.32", "destinationPrefix": 123, "protocol": "any"}, "action": "allow"},
    {"networkRule": {"remoteNetwork": "0.0.0.0:22", "remotePrefix": 0, "localNetwork": null, "protocol": "any", "direction": "any"}, "action": "filterData"}
], "defaultAction": "drop"}"#;

fn questions() -> Vec<Question> {
    let mut questions = Vec::new();
    for protocol in [IpProtocol::TCP, IpProtocol::UDP, IpProtocol::ICMP] {
        for direction in [Direction::Outbound, Direction::Inbound, Direction::Any] {
            for port in [None, Some(0), Some(22), Some(443), Some(450), Some(65535)] {
                for local in [None, Some("192.168.1.7:80"), Some("127.0.0.1:80")] {
                    for name in [None, Some("www.example.com".to_owned())] {
                        let local = local.map(|local| local.parse::<Endpoint>().unwrap());
                        let made = Question::new(protocol, direction, port, local, name);
                        questions.push(made.unwrap());
                    }
                }
            }
        }
    }
    questions
}

/// What the matcher does with the flows of a question to an address: it is asked for every port
/// at which a rule begins or ends, and one behind.
fn by_matcher(
    matcher: &Matcher,
    settings: &FilterSettings,
    question: &Question,
    address: IpAddr,
) -> ([u32; 3], Vec<Decision>) {
    let (first, last) = question.ports();
    let bounds = settings.rules().iter().flat_map(|rule| {
        let ports = rule.network_rule().remote().ports();
        [Some(ports.first()), ports.last().checked_add(1)]
    });
    let mut starts: BTreeSet<u16> =
        bounds.flatten().filter(|port| (first..=last).contains(port)).collect();
    starts.insert(first);
    let mut ports = [0; 3];
    let mut decisions = Vec::new();
    for start in &starts {
        let mut behind = starts.range((Bound::Excluded(*start), Bound::Unbounded));
        let next = behind.next().map_or(u32::from(last) + 1, |next| u32::from(*next));
        let flow = question.probe().clone().with_remote_address(address, None, *start);
        let decision = matcher.decide(&flow);
        let place = Action::ALL.iter().position(|action| *action == decision.action()).unwrap();
        ports[place] += next - u32::from(*start);
        decisions.push(decision);
    }
    (ports, decisions)
}

fn assert_fate(
    fate: Fate,
    matcher: &Matcher,
    settings: &FilterSettings,
    question: &Question,
    address: IpAddr,
) {
    let (ports, decisions) = by_matcher(matcher, settings, question, address);
    assert_eq!(fate.ports, ports, "{address} {question:?}");
    let Some(decider) = fate.decider else { return };
    for decision in decisions {
        let found = match (decision.rule(), decision.reason()) {
            (Some(rule), _) => Decider::Rule(rule),
            (None, Reason::Loopback) => Decider::Loopback,
            (None, Reason::Default) => Decider::Default,
            // Pending; of what, the decision does not say.
            (None, _) => continue,
        };
        assert_eq!(decider, found, "{address} {question:?}");
    }
}

fn address(window: IpNet, bits: u128) -> IpAddr {
    match window {
        IpNet::V4(_) => Ipv4Addr::from_bits(bits as u32).into(),
        IpNet::V6(_) => Ipv6Addr::from_bits(bits).into(),
    }
}

#[test]
fn map_of_a_small_network_is_what_the_matcher_does_at_every_address() {
    let settings = settings::read(SMALL.as_bytes()).unwrap();
    for window in ["127.0.0.0/24", "127.0.0.0/25", "::ffff:127.0.0.0/120"] {
        let window: IpNet = window.parse().unwrap();
        for precedence in Precedence::ALL {
            let matcher = Matcher::builder().precedence(precedence).build(&settings).unwrap();
            for question in questions() {
                let coverage = Coverage::new(&settings, precedence, &question, window);
                let curve = Curve::new(window, 8);
                let cells = Cells::new(&coverage, &curve);
                let mut next = first_of(window);
                for stretch in coverage.stretches() {
                    assert_eq!(stretch.first, next);
                    next = stretch.last + 1;
                    for bits in stretch.first..=stretch.last {
                        let at = address(window, bits);
                        assert_fate(stretch.fate, &matcher, &settings, &question, at);
                        let rect = curve.place(IpNet::from(at)).unwrap();
                        let content = cells.at(rect.x, rect.y);
                        assert_eq!(content.action(), stretch.fate.action(), "{at}");
                        let given = content.quarters().map(|quarters| quarters > 0);
                        assert_eq!(given, stretch.fate.ports.map(|ports| ports > 0), "{at}");
                    }
                }
                assert_eq!(next, last_of(window) + 1);
            }
        }
    }
}

proptest! {
    #![proptest_config(flowsieve_testkit::config(96, "proptest-regressions/map.txt"))]

    /// The addresses tried are those at which something begins or ends, and their neighbours.
    #[test]
    fn map_is_what_the_matcher_does_on_any_settings(
        spec in any::<SettingsSpec>(),
        question in select(questions()),
        precedence in select(Precedence::ALL.to_vec()),
        window in select(vec!["0.0.0.0/0", "::/0", "10.0.0.0/9", "::/64", "fe80::/10"]),
    ) {
        let settings = spec.build();
        let window: IpNet = window.parse().unwrap();
        let matcher = Matcher::builder().precedence(precedence).build(&settings).unwrap();
        let coverage = Coverage::new(&settings, precedence, &question, window);
        let mut next = Some(first_of(window));
        let mut shares = 0.0;
        for stretch in coverage.stretches() {
            prop_assert_eq!(Some(stretch.first), next);
            next = stretch.last.checked_add(1);
            shares += size(stretch.first, stretch.last);
            let middle = stretch.first + (stretch.last - stretch.first) / 2;
            for bits in [stretch.first, middle, stretch.last] {
                let at = address(window, bits);
                assert_fate(stretch.fate, &matcher, &settings, &question, at);
            }
        }
        prop_assert_eq!(next, last_of(window).checked_add(1));
        prop_assert_eq!(shares, size(first_of(window), last_of(window)));

        // A cell is pure if and only if all that lies in it is.
        let curve = Curve::new(window, 3);
        let cells = Cells::new(&coverage, &curve);
        let mut nodes = curve.roots();
        while let Some(node) = nodes.pop() {
            let quarters = curve.quarters(&node);
            if quarters.is_empty() {
                let (first, last) = (node.first, node.last(window));
                let mut given = [false; 3];
                for stretch in coverage.stretches() {
                    if stretch.last >= first && stretch.first <= last {
                        let ports = stretch.fate.ports;
                        given.iter_mut().zip(ports).for_each(|(given, n)| *given |= n > 0);
                    }
                }
                let content = cells.at(node.rect.x, node.rect.y);
                prop_assert_eq!(content.quarters().map(|quarters| quarters > 0), given);
            }
            nodes.extend(quarters);
        }
    }
}

#[test]
fn rects_are_the_cells_and_none_twice() {
    let settings = settings::read(SMALL.as_bytes()).unwrap();
    let window: IpNet = "127.0.0.0/24".parse().unwrap();
    for question in questions() {
        let coverage = Coverage::new(&settings, Precedence::FirstMatch, &question, window);
        let cells = Cells::new(&coverage, &Curve::new(window, 4));
        let (columns, rows) = cells.size();
        let mut seen = BTreeSet::new();
        for (content, rects) in cells.rects() {
            for rect in rects {
                for y in rect.y..rect.y + rect.height {
                    for x in rect.x..rect.x + rect.width {
                        assert!(seen.insert((x, y)));
                        assert_eq!(cells.at(x, y), content);
                    }
                }
            }
        }
        assert_eq!(seen.len() as u32, columns * rows);
    }
}

#[test]
fn rules_that_wait_are_counted() {
    let settings = settings::read(SMALL.as_bytes()).unwrap();
    let window = "127.0.0.0/24".parse().unwrap();
    let waiting = |direction, local: Option<&str>, name: Option<&str>| {
        let local = local.map(|local| local.parse().unwrap());
        let name = name.map(str::to_owned);
        let question = Question::new(IpProtocol::TCP, direction, None, local, name).unwrap();
        Coverage::new(&settings, Precedence::FirstMatch, &question, window).waiting()
    };
    assert_eq!(waiting(Direction::Outbound, None, None), 1);
    assert_eq!(waiting(Direction::Outbound, None, Some("a.example")), 0);
    assert_eq!(waiting(Direction::Inbound, None, None), 1);
    assert_eq!(waiting(Direction::Inbound, Some("10.0.0.1:80"), None), 0);
}

#[test]
fn marks_at_the_edge_of_a_map_are_drawn_whole() {
    let settings = settings::read(SMALL.as_bytes()).unwrap();
    let question = Question::new(IpProtocol::TCP, Direction::Outbound, None, None, None).unwrap();
    for window in ["0.0.0.0/0", "2001:db8::/33"] {
        let window: IpNet = window.parse().unwrap();
        let coverage = Coverage::new(&settings, Precedence::FirstMatch, &question, window);
        let mut traffic = Traffic::new(window);
        traffic.add(Some(window.network()), Action::Allow, 1000);
        let picture = Picture::new("rules", &settings, &coverage, &question, 6, Some(&traffic));
        for setting in [Setting::Alone, Setting::InPage] {
            let drawn = svg::draw(&picture, "map", setting);
            let document = roxmltree::Document::parse(&drawn).unwrap();
            let mark = document.descendants().find(|node| node.attribute("class") == Some("mark"));
            let mark = mark.unwrap();
            let number = |name: &str| mark.attribute(name).unwrap().parse::<f64>().unwrap();
            let moved = mark.parent_element().unwrap().attribute("transform").unwrap();
            let moved = moved.trim_start_matches("translate(").trim_end_matches(')');
            // A triangle is wider than a circle; then half of the stroke.
            let reach = 1.1 * number("r") + 0.8;
            for (moved, middle) in moved.split(' ').zip(["cx", "cy"]) {
                let edge = moved.parse::<f64>().unwrap() + number(middle) - reach;
                assert!(edge >= 0.0, "{window} {setting:?} {middle}: {edge}");
            }
        }
    }
}

/// The picture of a network of 16 addresses, small enough to be read.
///
/// With the environment variable `BLESS`, the file is written instead of compared.
#[test]
fn small_map_is_the_golden_one() {
    let text = r#"{"rules": [
        {"networkRule": {"destinationNetwork": "192.0.2.4", "destinationPrefix": 30, "protocol": "any"}, "action": "drop", "label": "a <b> & \"c\""},
        {"networkRule": {"destinationNetwork": "192.0.2.8:443", "destinationPrefix": 29, "protocol": "any"}, "action": "filterData"}
    ], "defaultAction": "allow"}"#;
    let settings = settings::read(text.as_bytes()).unwrap();
    let question = Question::new(IpProtocol::TCP, Direction::Outbound, None, None, None).unwrap();
    let window = "192.0.2.0/28".parse().unwrap();
    let coverage = Coverage::new(&settings, Precedence::FirstMatch, &question, window);
    let mut traffic = Traffic::new(window);
    traffic.add(Some("192.0.2.5".parse().unwrap()), Action::Drop, 3);
    traffic.add(Some("192.0.2.0".parse().unwrap()), Action::Allow, 1);
    let picture = Picture::new("<rules>.json", &settings, &coverage, &question, 8, Some(&traffic));
    let drawn = svg::draw(&picture, "map", Setting::Alone);
    roxmltree::Document::parse(&drawn).unwrap();
    // The style is tested by looking at it.
    let drawn = drawn.replace(svg::STYLE, "");
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/map.svg");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(golden, &drawn).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap();
    for (line, expected) in drawn.lines().zip(expected.lines()) {
        assert_eq!(line, expected);
    }
    assert_eq!(drawn.len(), expected.len());
}
