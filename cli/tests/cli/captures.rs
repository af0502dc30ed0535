//! Captures: golden files, and bytes made by hand, of every link type that is read.

use crate::program::{SETTINGS, file, run_with};
use flowsieve_testkit::hex;
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// IPv4 with so many bytes of payload, from 192.168.1.7 to 203.0.113.5 or back.
fn ipv4(protocol: u8, is_back: bool, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len() as u16).to_be_bytes();
    let fragment = fragment.to_be_bytes();
    let mut ends = [[192, 168, 1, 7], [203, 0, 113, 5]];
    if is_back {
        ends.reverse();
    }
    let head = [0x45, 0, len[0], len[1], 0, 1, fragment[0], fragment[1], 64, protocol, 0, 0];
    [head.as_slice(), &ends.concat(), payload].concat()
}

/// IPv6 from 2001:db8::7 to 2001:db8::5.
fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16).to_be_bytes();
    let address = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let head = [0x60, 0, 0, 0, len[0], len[1], next, 64];
    [head.as_slice(), &address(7), &address(5), payload].concat()
}

const SYN: u8 = 2;
const SYN_ACK: u8 = 18;
const ACK: u8 = 16;
const FIN_ACK: u8 = 17;

fn tcp([from, to]: [u16; 2], flags: u8) -> Vec<u8> {
    let (from, to) = (from.to_be_bytes(), to.to_be_bytes());
    let head = [from[0], from[1], to[0], to[1], 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags];
    [head.as_slice(), &[1, 0, 0, 0, 0, 0]].concat()
}

fn udp([from, to]: [u16; 2]) -> Vec<u8> {
    let (from, to) = (from.to_be_bytes(), to.to_be_bytes());
    vec![from[0], from[1], to[0], to[1], 0, 9, 0, 0, b'x']
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [[2; 6], [4; 6]]
        .concat()
        .into_iter()
        .chain(kind.to_be_bytes())
        .chain(payload.to_vec())
        .collect()
}

/// A pcap file, little-endian.
fn pcap(link: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0".to_vec();
    file.extend(link.to_le_bytes());
    for packet in packets {
        let len = (packet.len() as u32).to_le_bytes();
        file.extend([[1, 0, 0, 0], [0; 4], len, len].concat());
        file.extend(packet);
    }
    file
}

/// A block of pcapng.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let len = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes(), &len, body.as_slice(), &len].concat()
}

fn section() -> Vec<u8> {
    block(0x0a0d_0d0a, b"\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff")
}

fn interface(link: u16) -> Vec<u8> {
    let link = link.to_le_bytes();
    block(1, &[link[0], link[1], 0, 0, 0, 0, 4, 0])
}

/// An enhanced packet of an interface, with the flags option if there are any.
fn enhanced(interface: u32, packet: &[u8], flags: Option<u32>) -> Vec<u8> {
    let len = (packet.len() as u32).to_le_bytes();
    let mut body = [interface.to_le_bytes(), [0; 4], [0; 4], len, len].concat();
    body.extend(packet);
    body.resize(body.len().next_multiple_of(4), 0);
    if let Some(flags) = flags {
        body.extend([&[2, 0, 4, 0], flags.to_le_bytes().as_slice(), &[0; 4]].concat());
    }
    block(6, &body)
}

/// Replays a capture: the lines of the answer, and what is said on standard error.
fn replay(test: &str, capture: &[u8], extra: &[&str]) -> (Vec<Value>, String) {
    // Every flow is a change against settings with the other default; one of loopback, which no
    // default decides, is one by a rule that names it.
    let allow = file(test, "allow.json", r#"{"rules": [], "defaultAction": "allow"}"#);
    let drop = r#"{"rules": [{"networkRule": {"remoteNetwork": "127.0.0.0", "remotePrefix": 8,
        "localNetwork": null, "protocol": "any", "direction": "any"}, "action": "drop"}],
        "defaultAction": "drop"}"#;
    let drop = file(test, "drop.json", drop);
    let args = ["replay", allow.to_str().unwrap(), "-", "--against", drop.to_str().unwrap()];
    let more = ["--format", "jsonl", "--examples", "100"];
    let ended = run_with(&[args.as_slice(), &more, extra].concat(), capture);
    let lines = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), ended.stderr)
}

/// What becomes of a capture: the flows as they are printed, and skipped and rejected packets.
fn replayed(test: &str, capture: &[u8], extra: &[&str]) -> (Vec<String>, Vec<String>, String) {
    let (lines, stderr) = replay(test, capture, extra);
    let texts = |kind: &str, text: &dyn Fn(&Value) -> Vec<String>| -> Vec<String> {
        lines.iter().filter(|line| line["type"] == kind).flat_map(text).collect()
    };
    let flows = texts("change", &|change| {
        let examples = change["examples"].as_array().unwrap();
        examples.iter().map(|example| example["flow"].as_str().unwrap().to_owned()).collect()
    });
    let skipped = texts("skipped", &|line| {
        vec![format!("{} {}", line["count"], line["reason"].as_str().unwrap())]
    });
    (flows, skipped, stderr)
}

/// Every capture of the folder, as hexadecimal digits with comments. Beside `NAME.hex` stands
/// `NAME.hex.expected`, whose first line says the options of `replay`: `# --local-net NET`.
fn goldens() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/formats/captures");
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "hex"));
    paths.sort();
    assert!(paths.len() >= 9);
    paths
}

/// A golden file: each flow with the number of its packet, what was skipped, what was rejected, of
/// how many flows something is not known, and how many packets there are.
fn shown(lines: &[Value], stderr: &str) -> String {
    let mut text = String::new();
    let of_type = |kind: &'static str| lines.iter().filter(move |line| line["type"] == kind);
    let mut flows: Vec<(u64, &str)> = of_type("change")
        .flat_map(|change| change["examples"].as_array().unwrap())
        .map(|example| (example["line"].as_u64().unwrap(), example["flow"].as_str().unwrap()))
        .collect();
    flows.sort_unstable();
    for (number, flow) in &flows {
        writeln!(text, "{number}: {flow}").unwrap();
    }
    for line in of_type("skipped") {
        writeln!(text, "skipped: {} {}", line["count"], line["reason"].as_str().unwrap()).unwrap();
    }
    for line in stderr.lines() {
        writeln!(text, "{}", line.strip_prefix("<stdin>:").unwrap_or(line)).unwrap();
    }
    let summary = of_type("summary").next().unwrap();
    for what in ["side", "direction", "opener"] {
        match summary[format!("{what}Unknown")].as_u64().unwrap() {
            0 => {}
            count => writeln!(text, "{what} not known: {count}").unwrap(),
        }
    }
    let source = of_type("source").next().unwrap();
    let count = |name: &str| source[name].as_u64().unwrap();
    let [records, found, skipped, rejected] =
        ["records", "flows", "skipped", "rejected"].map(count);
    assert_eq!(records, found + skipped + rejected);
    assert_eq!(flows.len() as u64, found, "every flow is shown");
    writeln!(text, "{records} packets = {found} flows + {skipped} skipped + {rejected} rejected")
        .unwrap();
    text
}

#[test]
fn every_golden_capture_is_read_as_its_golden_file_says() {
    for path in goldens() {
        let capture = hex::bytes(&fs::read_to_string(&path).unwrap());
        let golden = path.with_extension("hex.expected");
        let expected =
            fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{golden:?}: {error}"));
        let head = expected.lines().next().unwrap();
        let options: Vec<&str> = head.strip_prefix('#').unwrap().split_whitespace().collect();
        let (lines, stderr) = replay("capture_golden", &capture, &options);
        let found = format!("{head}\n{}", shown(&lines, &stderr));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &found).unwrap();
        }
        assert_eq!(found, fs::read_to_string(&golden).unwrap(), "{}", path.display());
    }
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

#[test]
fn first_packet_of_a_flow_is_the_flow() {
    let there = |flags| ethernet(0x800, &ipv4(6, false, 0, &tcp([50_000, 443], flags)));
    let back = |flags| ethernet(0x800, &ipv4(6, true, 0, &tcp([443, 50_000], flags)));
    let packets = [
        there(SYN),
        back(SYN_ACK),
        there(ACK),
        // The same ports again, once the first connection is closed, are a new flow.
        there(FIN_ACK),
        back(FIN_ACK),
        there(SYN),
        ethernet(0x800, &ipv4(17, false, 0, &udp([5353, 53]))),
        ethernet(0x800, &ipv4(17, true, 0, &udp([53, 5353]))),
        ethernet(0x800, &ipv4(1, false, 0, &[8, 0, 0, 0])),
        ethernet(0x806, &[0; 28]),
    ];
    let nets = ["--local-net", "192.168.0.0/16"];
    let (flows, skipped, stderr) = replayed("capture_first", &pcap(1, &packets), &nets);
    let expected = [
        "TCP outbound 192.168.1.7:50000 -> 203.0.113.5:443",
        "TCP outbound 192.168.1.7:50000 -> 203.0.113.5:443",
        "UDP outbound 192.168.1.7:5353 -> 203.0.113.5:53",
        "ICMP outbound 192.168.1.7:0 -> 203.0.113.5:0",
    ];
    assert_eq!(flows, strings(expected));
    assert_eq!(skipped, strings(["5 later packet of a flow", "1 not IP"]));
    assert_eq!(stderr, "");
    let (flows, ..) = replayed("capture_first", &pcap(1, &packets[..1]), &[]);
    assert_eq!(flows, strings(["TCP any 192.168.1.7:50000 <-> 203.0.113.5:443"]));
}

#[test]
fn answer_of_a_connection_that_began_earlier_is_turned() {
    let packets = [ethernet(0x800, &ipv4(6, true, 0, &tcp([443, 50_000], SYN_ACK)))];
    let nets = ["--local-net", "192.168.1.7"];
    let (flows, ..) = replayed("capture_answer", &pcap(1, &packets), &nets);
    assert_eq!(flows, strings(["TCP outbound 192.168.1.7:50000 -> 203.0.113.5:443"]));
}

#[test]
fn every_link_type_is_read() {
    let v4 = ipv4(17, false, 0, &udp([5353, 53]));
    let v6 = ipv6(17, &udp([5353, 53]));
    let vlan = |inner: &[u8]| ethernet(0x8100, inner);
    let tagged = [&[0, 5, 0x08, 0x00], v4.as_slice()].concat();
    let twice = [&[0, 5, 0x81, 0x00, 0, 6, 0x86, 0xdd], v6.as_slice()].concat();
    let cooked = |kind: u8, ether: [u8; 2], ip: &[u8]| {
        let head = [0, kind, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, ether[0], ether[1]];
        [head.as_slice(), ip].concat()
    };
    let cooked2 = |kind: u8, ether: [u8; 2], ip: &[u8]| {
        let head = [ether[0], ether[1], 0, 0, 0, 0, 0, 1, 0, 1, kind, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        [head.as_slice(), ip].concat()
    };
    let (unknown4, unknown6) = (
        "UDP any 192.168.1.7:5353 <-> 203.0.113.5:53",
        "UDP any [2001:db8::7]:5353 <-> [2001:db8::5]:53",
    );
    for (name, link, packet, expected) in [
        ("ethernet", 1, ethernet(0x86dd, &v6), unknown6),
        ("vlan", 1, vlan(&tagged), unknown4),
        ("vlan in vlan", 1, vlan(&twice), unknown6),
        ("raw", 101, v4.clone(), unknown4),
        ("raw of IPv6", 229, v6.clone(), unknown6),
        ("null, little-endian", 0, [&[2, 0, 0, 0], v4.as_slice()].concat(), unknown4),
        ("null, big-endian", 0, [&[0, 0, 0, 30], v6.as_slice()].concat(), unknown6),
        ("loop", 108, [&[0, 0, 0, 2], v4.as_slice()].concat(), unknown4),
        (
            "cooked, sent",
            113,
            cooked(4, [8, 0], &v4),
            "UDP outbound 192.168.1.7:5353 -> 203.0.113.5:53",
        ),
        (
            "cooked, received",
            113,
            cooked(0, [0x86, 0xdd], &v6),
            "UDP inbound [2001:db8::5]:53 <- [2001:db8::7]:5353",
        ),
        (
            "cooked 2, sent",
            276,
            cooked2(4, [8, 0], &v4),
            "UDP outbound 192.168.1.7:5353 -> 203.0.113.5:53",
        ),
    ] {
        let (flows, _, stderr) = replayed("capture_links", &pcap(link, &[packet]), &[]);
        assert_eq!((flows, stderr), (strings([expected]), String::new()), "{name}");
    }
    let unread = pcap(127, &[v4.clone(), v4]);
    let (flows, skipped, stderr) = replayed("capture_links", &unread, &[]);
    assert_eq!((flows, skipped), (vec![], vec![]));
    assert_eq!(
        stderr,
        "<stdin>:1:1: link type 127 is not read: expected Ethernet, raw IP, loopback or Linux \
         cooked; its other packets are counted and not named\n"
    );
}

#[test]
fn extension_headers_are_gone_past_and_fragments_said() {
    // Hop-by-hop, then the first fragment of UDP; then a later one.
    let fragment = |offset: u16, payload: &[u8]| {
        let offset = (offset << 3 | 1).to_be_bytes();
        let head = [17, 0, offset[0], offset[1], 0, 0, 0, 9];
        let hop = [44, 0, 1, 4, 0, 0, 0, 0];
        ipv6(0, &[hop.as_slice(), &head, payload].concat())
    };
    let packets = [
        fragment(0, &udp([5353, 53])),
        fragment(2, b"xxxxxxxx"),
        ipv4(17, false, 0x2000, &udp([5354, 53])),
        ipv4(17, false, 0x2001, b"xxxxxxxx"),
    ];
    let (flows, skipped, stderr) = replayed("capture_fragments", &pcap(101, &packets), &[]);
    let expected = [
        "UDP any [2001:db8::7]:5353 <-> [2001:db8::5]:53",
        "UDP any 192.168.1.7:5354 <-> 203.0.113.5:53",
    ];
    assert_eq!(flows, strings(expected));
    assert_eq!(skipped, strings(["2 fragment after the first"]));
    assert_eq!(stderr, "");
}

#[test]
fn pcapng_says_the_direction_and_may_have_several_interfaces_and_sections() {
    let v4 = ipv4(17, false, 0, &udp([5353, 53]));
    let v6 = ipv6(17, &udp([5353, 53]));
    let capture = [
        section(),
        interface(1),
        interface(101),
        enhanced(1, &v4, Some(2)),
        enhanced(0, &ethernet(0x86dd, &v6), Some(1)),
        // Statistics, which are no packet.
        block(5, &[0; 12]),
        enhanced(7, &v4, None),
        section(),
        interface(101),
        enhanced(0, &ipv4(6, false, 0, &tcp([1, 2], SYN)), None),
    ];
    let (flows, skipped, stderr) = replayed("capture_ng", &capture.concat(), &[]);
    let expected = [
        "UDP outbound 192.168.1.7:5353 -> 203.0.113.5:53",
        "UDP inbound [2001:db8::5]:53 <- [2001:db8::7]:5353",
        "TCP any 192.168.1.7:1 <-> 203.0.113.5:2",
    ];
    assert_eq!((flows, skipped), (strings(expected), vec![]));
    assert_eq!(stderr, "<stdin>:3:1: interface 7 has not been described\n");
}

#[test]
fn damaged_captures_are_said_to_be_and_never_a_panic() {
    let packets = [
        ethernet(0x800, &ipv4(6, false, 0, &tcp([50_000, 443], SYN))),
        ethernet(0x86dd, &ipv6(17, &udp([5353, 53]))),
    ];
    let ng = [
        section(),
        interface(1),
        enhanced(0, &packets[0], Some(1)),
        enhanced(0, &packets[1], None),
    ];
    let settings = file("capture_damaged", "rules.json", SETTINGS);
    for capture in [pcap(1, &packets), ng.concat()] {
        let run = |bytes: &[u8]| {
            let args = ["replay", settings.to_str().unwrap(), "-", "--as", "pcap"];
            run_with(&args, bytes).status
        };
        assert_eq!(run(&capture), Some(0));
        // Every seventh place, as each takes a run of the program.
        for place in (0..capture.len()).step_by(7) {
            let cut = run(&capture[..place]);
            assert!(matches!(cut, Some(0 | 2)), "cut at {place}: {cut:?}");
            let mut damaged = capture.clone();
            damaged[place] ^= 0xff;
            let status = run(&damaged);
            assert!(matches!(status, Some(0 | 2)), "damaged at {place}: {status:?}");
        }
        assert_eq!(run(&capture[..capture.len() - 3]), Some(2), "the last packet is cut off");
    }
    let short = pcap(101, &[ipv4(17, false, 0, &[0, 1])]);
    let (_, _, stderr) = replayed("capture_damaged", &short, &[]);
    assert_eq!(stderr, "<stdin>:1:1: packet cut off before its ports\n");
}
