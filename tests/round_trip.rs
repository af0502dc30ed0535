//! Reading what was written gives what was there, and reading anything else gives an error with a
//! place.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use flowsieve::formats::settings::{ReadOptions, read, read_with, write};
use flowsieve::formats::{flow_lines, read_flow};
use flowsieve::{
    Action, Direction, Endpoint, Error, ErrorKind, FilterSettings, Flow, Host, HostName,
    IpProtocol, Ports, Protocol, Zone,
};
use flowsieve_testkit::config;
use flowsieve_testkit::specs::{Address, Case, Name, Port, SettingsSpec};
use proptest::prelude::*;
use std::fmt::{Debug, Display};
use std::str::FromStr;

const REGRESSIONS: &str = "tests/proptest-regressions/round_trip.txt";

proptest! {
    #![proptest_config(config(1000, REGRESSIONS))]

    #[test]
    fn settings_are_read_as_they_were_written(spec: SettingsSpec) {
        let settings = spec.build();
        let text = write(&settings);
        assert_eq!(read_hosts(&text).as_ref(), Ok(&settings), "read, written\n{text}");
        // Without the option, everything but a name in a network initialiser is read the same.
        let is_refused = settings.validate_for_framework().iter().any(|issue| {
            matches!(issue.kind(), flowsieve::FrameworkIssueKind::HostnameInNetwork)
        });
        match read(text.as_bytes()) {
            Ok(strict) => assert_eq!((strict, is_refused), (settings, false), "{text}"),
            Err(error) => {
                assert!(is_refused, "{error}\n{text}");
                assert!(matches!(error.kind(), ErrorKind::NotAnAddress { .. }), "{error}\n{text}");
            }
        }
    }

    #[test]
    fn settings_are_written_as_serde_serialises_them(spec: SettingsSpec) {
        let settings = spec.build();
        let written: serde_json::Value = serde_json::from_str(&write(&settings)).unwrap();
        assert_eq!(serde_json::to_value(&settings).unwrap(), written, "{settings:?}");
    }

    #[test]
    fn flows_are_read_as_they_were_written(case: Case) {
        for flow in case.build().1 {
            let line = flow_lines::write(&flow);
            assert!(!line.contains('\n'), "{line}");
            let read = flow_lines::read(&line);
            check_fast_path(&line);
            let expected = if has_unwritten_name(&flow) { without_remote(&flow) } else { flow };
            assert_eq!(read.as_ref(), Ok(&expected), "read, written {line}");
            assert_eq!(read_flow(&line, IpProtocol::UDP).as_ref(), Ok(&expected), "{line}");
        }
    }

    #[test]
    fn endpoints_are_read_as_they_were_printed(
        address: Address,
        zone in "[a-zA-Z0-9_-]{0,15}",
        name: Name,
        ports in ports(),
    ) {
        let address = address.build();
        let zone = Zone::new(&zone).ok().filter(|_| address.is_ipv6());
        let address = Host::Address(address, zone);
        let name = Host::Name(name.build());
        for host in [&address, &name] {
            check_text(host);
        }
        check_text(&Endpoint::from_parts(address, ports));
        let named = Endpoint::from_parts(name.clone(), ports);
        match ends_in_number(&name) {
            false => check_text(&named),
            true => check_refused(&named),
        }
        check_text(&ports);
    }

    #[test]
    fn any_address_and_port_is_read_as_printed(bits: u128, v4: u32, port: u16) {
        for ip in [std::net::IpAddr::V4(v4.into()), std::net::IpAddr::V6(bits.into())] {
            let endpoint = Endpoint::from_parts(Host::Address(ip, None), Ports::one(port));
            check_text(&endpoint);
            assert_eq!(Endpoint::new(&ip.to_string(), &port.to_string()).as_ref(), Ok(&endpoint));
            // As Apple prints IPv6 endpoints.
            if ip.is_ipv6() {
                let dotted = format!("{ip}.{port}");
                assert_eq!(dotted.parse().as_ref(), Ok(&endpoint), "{dotted}");
            }
        }
    }

    #[test]
    fn text_is_read_or_refused_and_what_is_read_prints_as_itself(text in any_text()) {
        let _ = check_read(text.as_bytes());
        check_flow_line(&text.replace('\n', " "));
        check_if_read::<Endpoint>(&text);
        check_if_read::<Host>(&text);
        check_if_read::<HostName>(&text);
        check_if_read::<Ports>(&text);
        check_if_read::<Protocol>(&text);
        check_if_read::<IpProtocol>(&text);
        check_if_read::<Direction>(&text);
        check_if_read::<Action>(&text);
        let _ = Zone::new(&text).map(|zone| assert_eq!(zone.as_str(), text));
        let _ = Ports::from_apple_text(&text).map(|ports| check_text(&ports));
    }

    #[test]
    fn a_changed_settings_file_is_read_or_refused_with_a_place_in_it(
        spec: SettingsSpec,
        edits in prop::collection::vec(any::<Edit>(), 1..4),
    ) {
        let mut text = write(&spec.build()).into_bytes();
        edits.iter().for_each(|edit| edit.apply(&mut text));
        let _ = check_read(&text);
    }

    #[test]
    fn a_changed_flow_line_is_read_or_refused_with_a_place_in_it(
        case: Case,
        edits in prop::collection::vec(any::<Edit>(), 1..4),
    ) {
        for flow in case.build().1 {
            let mut line = flow_lines::write(&flow).into_bytes();
            edits.iter().for_each(|edit| edit.apply(&mut line));
            check_flow_line(&String::from_utf8_lossy(&line).replace('\n', " "));
        }
    }
}

#[test]
fn every_protocol_direction_and_action_is_read_as_printed() {
    for number in 0..=u8::MAX {
        check_text(&IpProtocol(number));
        let protocol = Protocol::Number(number).canonical();
        check_text(&protocol);
        assert_eq!(number.to_string().parse(), Ok(protocol), "{number}");
    }
    check_text(&Protocol::Any);
    [Direction::Any, Direction::Inbound, Direction::Outbound].iter().for_each(check_text);
    Action::ALL.iter().for_each(check_text);
}

#[test]
fn lines_about_the_common_shape_are_read_as_the_thorough_parser_reads_them() {
    let values = [
        "6",
        "0",
        "255",
        "256",
        "1000",
        "06",
        "00",
        "-6",
        "6.0",
        "6e0",
        "null",
        "nul",
        "true",
        "\"TCP\"",
        "\"udp\"",
        "\"17\"",
        "\"\"",
        "\"any\"",
        "\"outbound\"",
        "\"Inbound\"",
        "\"1.2.3.4:80\"",
        "\"01.2.3.4:80\"",
        "\"1.2.3.4:080\"",
        "\"1.2.3.4:65536\"",
        "\"1.2.3.4:1-2\"",
        "\"1.2.3.4\"",
        "\"[::1]:443\"",
        "\"[::1\"",
        "\"::1.443\"",
        "\"fe80::1%en0:1\"",
        "\"a.example:1\"",
        "\"a\\u0062\"",
        "\"a\tb\"",
        "\"\u{fc}\"",
        "\"x",
        "{\"hostname\": \"1.2.3.4\"}",
        "[]",
        "",
    ];
    let keys =
        ["remoteEndpoint", "localEndpoint", "socketProtocol", "direction", "remoteHostname", "x"];
    for key in keys {
        for value in values {
            let one = format!("{{\"{key}\": {value}}}");
            check_fast_path(&one);
            check_fast_path(&format!("{{\"socketProtocol\":6,\"{key}\":{value}}}"));
            check_fast_path(&format!(" {{ \"{key}\" : {value} , \"socketProtocol\" : 17 }} "));
            check_fast_path(&format!("{{\"socketProtocol\": 6, \"{key}\": {value}, }}"));
            check_fast_path(&format!("{{\"socketProtocol\": 6, \"{key}\": {value}}} x"));
            for other in keys {
                let two = format!(
                    "{{\"{key}\": {value}, \"{other}\": \"1.2.3.4:5\", \"socketProtocol\": 6}}"
                );
                check_fast_path(&two);
                (0..two.len()).filter_map(|len| two.get(..len)).for_each(check_fast_path);
            }
        }
    }
}

#[test]
fn every_port_is_read_as_printed() {
    for port in 0..=u16::MAX {
        let ports = Ports::one(port);
        check_text(&ports);
        assert_eq!(Ports::from_apple_text(&format!("0{port}")), Ok(ports), "0{port}");
        assert!(ports.contains(port), "{ports}, {port}");
    }
}

#[test]
fn a_hundred_thousand_brackets_are_an_error() {
    for (open, close) in [("[", "]"), ("{\"rules\":", "}")] {
        let deep = open.repeat(100_000);
        check_read(deep.as_bytes()).unwrap_err();
        assert!(read_flow(&deep, IpProtocol::TCP).is_err(), "{open} in a flow line");
        let inner = if open == "[" { "" } else { "0" };
        let closed = format!("{deep}{inner}{}", close.repeat(100_000));
        check_read(closed.as_bytes()).unwrap_err();
        let error = check_read(format!("{{\"rules\": {closed}}}").as_bytes()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WrongType { .. }), "{error}");
    }
}

#[test]
fn an_escaped_unknown_key_before_a_line_break_has_a_place_in_the_text() {
    let error = check_read(b"{\"rul\\u0065\":\n1}").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnknownKey), "{error}");
}

#[test]
fn a_flow_to_a_name_that_ends_in_a_number_is_read_as_it_was_written() {
    let endpoint = Endpoint::new("example.1", "443").unwrap();
    let flow = Flow::new(IpProtocol::TCP, Direction::Outbound).with_remote(endpoint).unwrap();
    let line = flow_lines::write(&flow);
    assert_eq!(flow_lines::read(&line).as_ref(), Ok(&flow), "{line}");
}

#[test]
fn an_endpoint_with_a_name_that_ends_in_a_number_is_refused_as_a_mistyped_address() {
    check_refused(&Endpoint::new("10.0.0.256", "443").unwrap());
    check_refused(&Endpoint::new("example.1", "443").unwrap());
}

/// Checks that `value` is read as it was printed.
fn check_text<T>(value: &T)
where
    T: Display + FromStr<Err = Error> + PartialEq + Debug,
{
    let text = value.to_string();
    assert_eq!(text.parse().as_ref(), Ok(value), "read, printed {text}");
}

/// Checks that `endpoint` is refused as it was printed.
fn check_refused(endpoint: &Endpoint) {
    let error = endpoint.to_string().parse::<Endpoint>().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidEndpoint { .. }), "{error}");
}

fn ends_in_number(host: &Host) -> bool {
    let name = host.name().unwrap().trimmed();
    name.rsplit('.').next().unwrap().bytes().all(|byte| byte.is_ascii_digit())
}

/// Checks the same of text that may be anything.
fn check_if_read<T>(text: &str)
where
    T: Display + FromStr<Err = Error> + PartialEq + Debug,
{
    if let Ok(value) = text.parse::<T>() {
        check_text(&value);
    }
}

/// Reads settings, and checks that what is read can be written and that an error has its place in
/// the text.
fn check_read(text: &[u8]) -> Result<FilterSettings, Error> {
    let shown = String::from_utf8_lossy(text);
    let result = read_hosts_of(text);
    match &result {
        Ok(settings) => {
            assert_eq!(read_hosts(&write(settings)).as_ref(), Ok(settings), "written, read {shown}")
        }
        Err(error) => check_place(error, text),
    }
    // Strict reading refuses more and reads nothing else.
    if let Ok(strict) = read(text) {
        assert_eq!(Ok(strict), result, "strict, compatible {shown}");
    }
    result
}

/// Checks that an error has its place in the text.
fn check_place(error: &Error, text: &[u8]) {
    let shown = String::from_utf8_lossy(text);
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let (line, column) = (error.line().unwrap(), error.column().unwrap());
    assert!((1..=lines.len() as u64).contains(&line), "{error} in\n{shown}");
    let char_count = String::from_utf8_lossy(lines[line as usize - 1]).chars().count() as u64;
    assert!((1..=char_count + 1).contains(&column), "{error} in\n{shown}");
}

fn check_flow_line(line: &str) {
    check_fast_path(line);
    let flow = match read_flow(line, IpProtocol::TCP) {
        Ok(flow) => flow,
        Err(error) => return check_place(&error, line.as_bytes()),
    };
    let written = flow_lines::write(&flow);
    if !has_unwritten_name(&flow) {
        assert_eq!(flow_lines::read(&written).as_ref(), Ok(&flow), "{line}\n{written}");
    }
}

/// Whether the remote endpoint of `flow` holds a name that is not the flow's host name, or cannot
/// be told from it; such an endpoint is not written.
fn has_unwritten_name(flow: &Flow<'_>) -> bool {
    let is_name = flow.remote().is_some_and(|remote| remote.address().is_none());
    is_name && HostName::new(flow.remote_hostname().unwrap_or("")).is_err()
}

fn without_remote(flow: &Flow<'static>) -> Flow<'static> {
    let mut copy = Flow::new(flow.protocol(), flow.direction());
    if let Some(name) = flow.remote_hostname() {
        copy = copy.with_remote_hostname(name.to_owned());
    }
    match flow.local() {
        Some(local) => {
            copy.with_local_address(local.address().unwrap(), local.zone(), local.port())
        }
        None => copy,
    }
}

fn read_hosts(text: &str) -> Result<FilterSettings, Error> {
    read_hosts_of(text.as_bytes())
}

fn read_hosts_of(text: &[u8]) -> Result<FilterSettings, Error> {
    let mut options = ReadOptions::default();
    options.hostname_in_network = true;
    read_with(text, options)
}

fn ports() -> impl proptest::strategy::Strategy<Value = Ports> {
    (any::<Port>(), any::<u16>(), any::<bool>()).prop_map(|(a, b, is_range)| {
        let (first, last) = (a.value().min(b.max(1)), a.value().max(b));
        if is_range { Ports::range(first, last).unwrap() } else { Ports::one(b) }
    })
}

/// Text of the pieces that these formats are made of, and any other.
fn any_text() -> impl proptest::strategy::Strategy<Value = String> {
    let piece = prop::sample::select(&PIECES[..]).prop_map(str::to_owned);
    let pieces = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    prop_oneof![4 => pieces, 1 => ".{0,40}", 1 => "[0-9a-f:.%\\[\\]-]{0,24}"]
}

/// A change to a few bytes.
#[derive(Clone, Debug)]
enum Edit {
    /// One byte is another.
    Set(usize, u8),
    /// A byte that JSON gives a meaning is put in.
    Insert(usize, &'static str),
    /// Some bytes are taken out.
    Remove(usize, usize),
    /// All is cut off from there on.
    Cut(usize),
    /// Some bytes stand twice.
    Repeat(usize, usize),
}

impl Edit {
    fn apply(&self, text: &mut Vec<u8>) {
        let len = text.len();
        let at = |place: usize| place.checked_rem(len).unwrap_or(0);
        match *self {
            Edit::Set(place, byte) if len > 0 => text[at(place)] = byte,
            Edit::Set(..) => {}
            Edit::Insert(place, piece) => {
                text.splice(at(place)..at(place), piece.bytes());
            }
            Edit::Remove(place, count) => {
                text.drain(at(place)..(at(place) + count).min(len));
            }
            Edit::Cut(place) => text.truncate(at(place)),
            Edit::Repeat(place, count) => {
                let part = text[at(place)..(at(place) + count).min(len)].to_vec();
                text.splice(at(place)..at(place), part);
            }
        }
    }
}

impl Arbitrary for Edit {
    type Parameters = ();
    type Strategy = BoxedStrategy<Edit>;

    fn arbitrary_with((): ()) -> BoxedStrategy<Edit> {
        let piece = prop::sample::select(&PIECES[..]);
        prop_oneof![
            (any::<usize>(), any::<u8>()).prop_map(|(place, byte)| Edit::Set(place, byte)),
            (any::<usize>(), piece).prop_map(|(place, piece)| Edit::Insert(place, piece)),
            (any::<usize>(), 1..20usize).prop_map(|(place, count)| Edit::Remove(place, count)),
            any::<usize>().prop_map(Edit::Cut),
            (any::<usize>(), 1..80usize).prop_map(|(place, count)| Edit::Repeat(place, count)),
        ]
        .boxed()
    }
}

const PIECES: [&str; 64] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0065",
    "\\ud800",
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "443",
    "65536",
    "1000-2000",
    "0-",
    " ",
    "\n",
    "\r\n",
    "\t",
    "\u{0}",
    "\u{feff}",
    "\u{fc}",
    "\"rules\":",
    "[{\"networkRule\":",
    "\"rul\\u0065s\"",
    "\"action\":\"drop\"",
    "\"defaultAction\":\"allow\"",
    "\"protocol\":\"any\"",
    "\"remoteNetwork\":",
    "\"remotePrefix\":32",
    "\"destinationHost\":\"example.com:443\"",
    "\"label\":null",
    "\"remoteEndpoint\":",
    "\"localEndpoint\":",
    "\"socketProtocol\":6",
    "\"direction\":\"any\"",
    "\"remoteHostname\":",
    "\"hostname\":",
    "\"port\":",
    "10.0.0.1",
    "10.0.0.256",
    "::1",
    "::ffff:10.0.0.1",
    "fe80::1%en0",
    "2001:db8::1.443",
    "[::1]:443",
    "example.com",
    "example.1",
    "*.",
    ".",
    "%",
    "/8",
    "any",
    "TCP",
    "icmpv6",
    "outbound",
    "remote endpoint ",
    "local endpoint ",
    "direction ",
    "(null)",
];

/// The fast path reads a line as the parser that knows every shape does, errors included.
fn check_fast_path(line: &str) {
    assert_eq!(flow_lines::read(line), flow_lines::read_thoroughly(line), "{line}");
}
