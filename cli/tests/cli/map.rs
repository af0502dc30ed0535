//! `flowsieve map`: what happens at every address, as a picture.

use crate::program::{SETTINGS, file, flow_line, run};
use std::fs;
use std::path::{Path, PathBuf};

fn settings_and(test: &str, picture: &str) -> (String, PathBuf) {
    let settings = file(test, "rules.json", SETTINGS);
    let picture = settings.with_file_name(picture);
    let _ = fs::remove_file(&picture);
    (settings.to_str().unwrap().to_owned(), picture)
}

fn map(settings: &str, picture: &Path, more: &[&str]) -> crate::program::Ended {
    let args = ["map", settings, "-o", picture.to_str().unwrap()];
    run(&[&args, more].concat())
}

#[test]
fn what_the_map_shows_is_said_in_words_too() {
    let (settings, picture) = settings_and("map_words", "map.svg");
    let ended = map(&settings, &picture, &[]);
    let expected = "What flows (TCP outbound, any port) to the addresses of 0.0.0.0/0 get: allow for \
        99.61 %, drop for 0.39 %, filterData for under 0.01 % of the addresses.\n";
    assert_eq!((ended.stdout, ended.status), (expected.to_owned(), Some(0)), "{}", ended.stderr);
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(svg.contains(&format!("<desc id=\"map-desc\">{}</desc>", expected.trim_end())));
    assert!(svg.contains(">ten</text>"), "the label of the big network");
    assert!(svg.contains("<title>mostly drop, some filterData</title>"), "the cell of 10.0.0.1");
}

#[test]
fn zoom_shows_single_addresses() {
    let (settings, picture) = settings_and("map_zoom", "map.svg");
    let ended = map(&settings, &picture, &["--prefix", "10.0.0.7/28"]);
    let shares = "drop for 93.75 %, filterData for 6.25 % of the addresses.\n";
    assert!(ended.stdout.ends_with(shares), "{}", ended.stdout);
    assert!(ended.stdout.contains("10.0.0.0/28"), "{}", ended.stdout);
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.contains("each cell is an address"));
    assert!(!svg.contains("some filterData"), "no cell is mixed");
}

#[test]
fn protocol_direction_and_port_are_asked_about() {
    let (settings, picture) = settings_and("map_question", "map.svg");
    let shares = |more: &[&str]| {
        let ended = map(&settings, &picture, more);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    let prefix = ["--prefix", "192.0.2.0/23"];
    let tcp = shares(&prefix);
    assert!(tcp.contains("allow for 100 %, drop for 0 %"), "{tcp}");
    let udp = shares(&[&prefix[..], &["--protocol", "UDP", "--port", "53"]].concat());
    assert!(udp.contains("(UDP outbound, port 53)") && udp.contains("drop for 50.00 %"), "{udp}");
    let inbound = shares(&[&prefix[..], &["--protocol", "UDP", "--direction", "inbound"]].concat());
    assert!(inbound.contains("allow for 100 %"), "{inbound}");
}

#[test]
fn actions_that_depend_on_the_port_are_no_action_of_the_address() {
    let text = r#"{"rules": [{"networkRule": {"destinationNetwork": "10.0.0.0:25", "destinationPrefix": 8, "protocol": "TCP"}, "action": "drop"}], "defaultAction": "allow"}"#;
    let settings = file("map_ports", "rules.json", text);
    let picture = settings.with_file_name("map.svg");
    let more = ["--prefix", "10.0.0.0/8"];
    let ended = map(settings.to_str().unwrap(), &picture, &more);
    assert!(ended.stdout.contains("by port for 100 %"), "{}", ended.stdout);
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.contains("<title>mostly allow, some drop</title>"));
    for (port, drop) in [("25", "drop for 100 %"), ("26", "drop for 0 %")] {
        let ended =
            map(settings.to_str().unwrap(), &picture, &[&more[..], &["--port", port]].concat());
        assert!(ended.stdout.contains(drop), "{}", ended.stdout);
    }
}

#[test]
fn ipv6_is_drawn_by_prefix() {
    let text = r#"{"rules": [{"networkRule": {"destinationNetwork": "2001:db8:8000::", "destinationPrefix": 33, "protocol": "any"}, "action": "drop", "label": "upper half"}], "defaultAction": "allow"}"#;
    let settings = file("map_v6", "rules.json", text);
    let picture = settings.with_file_name("map.svg");
    let ended = map(settings.to_str().unwrap(), &picture, &["--prefix", "2001:db8::/32"]);
    assert!(ended.stdout.contains("allow for 50.00 %, drop for 50.00 %"), "{}", ended.stdout);
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.contains(">upper half</text>") && svg.contains(">:80xx</text>"));
}

#[test]
fn flows_are_marked_where_they_went() {
    let (settings, picture) = settings_and("map_flows", "map.svg");
    let lines =
        ["10.0.0.2:443", "10.0.0.2:443", "10.0.0.1:443", "192.0.2.1:443", "[2001:db8::1]:80"];
    let flows = lines.map(flow_line).join("\n");
    let flows = file("map_flows", "flows.jsonl", flows);
    let ended = map(&settings, &picture, &["--flows", flows.to_str().unwrap()]);
    assert_eq!(ended.status, Some(0));
    assert!(ended.stdout.contains(" 3 marks stand for 4 flows.\n"), "{}", ended.stdout);
    let outside = "1 of the flows went elsewhere than 0.0.0.0/0\n";
    assert!(ended.stdout.ends_with(outside), "{}", ended.stdout);
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.contains("<title>10.0.0.0/12: 2 flows, drop</title></rect>"), "{svg}");
    assert!(svg.contains("<title>10.0.0.0/12: 1 flow, filterData</title></path>"));
    assert!(svg.contains("<title>192.0.0.0/12: 1 flow, allow</title></circle>"));
}

#[test]
fn flows_to_ipv6_are_marked_on_the_map_of_a_prefix() {
    let text = r#"{"rules": [{"networkRule": {"destinationNetwork": "2001:db8:8000::", "destinationPrefix": 33, "protocol": "any"}, "action": "drop"}], "defaultAction": "allow"}"#;
    let settings = file("map_v6_flows", "rules.json", text);
    let remotes = [
        "[2001:db8::1]:443",
        "[2001:db8:f::1]:443",
        "[2001:db8:8000::1]:443",
        "[2001:db9::1]:443",
        "10.0.0.1:443",
    ];
    let flows = file("map_v6_flows", "flows.jsonl", remotes.map(flow_line).join("\n"));
    let more = ["--prefix", "2001:db8::/32", "--flows", flows.to_str().unwrap()];
    let picture = settings.with_file_name("map.svg");
    let ended = map(settings.to_str().unwrap(), &picture, &more);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let said = " 2 marks stand for 3 flows.\n2 of the flows went elsewhere than 2001:db8::/32\n";
    assert!(ended.stdout.ends_with(said), "{}", ended.stdout);
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.contains("<title>2001:db8::/44: 2 flows, allow</title></circle>"), "{svg}");
    assert!(svg.contains("<title>2001:db8:8000::/44: 1 flow, drop</title></rect>"), "{svg}");
    let ended = map(settings.to_str().unwrap(), &picture.with_extension("png"), &more);
    assert!(ended.stdout.ends_with(said), "{}", ended.stdout);
}

#[test]
fn flows_of_a_log_are_marked_by_their_remote_side() {
    let (settings, picture) = settings_and("map_log", "map.svg");
    let log = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets \
        bytes start end action log-status\n\
        2 1 eni-1 192.168.1.5 10.0.0.2 49761 443 6 20 4249 1 2 ACCEPT OK\n\
        2 1 eni-1 10.0.0.2 192.168.1.5 443 49761 6 20 4249 1 2 ACCEPT OK\n\
        2 1 eni-1 - - - - - - - 1 2 - NODATA\n\
        2 1 eni-1 192.168.1.5 10.0.0.300 1 443 6 20 4249 1 2 ACCEPT OK\n";
    let log = file("map_log", "vpc.log", log);
    let options = ["--flows", log.to_str().unwrap(), "--local-net", "192.168.0.0/16"];
    let ended = map(&settings, &picture, &options);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("vpc.log:5:"), "{}", ended.stderr);
    // One out and one in, both to the same network.
    assert!(ended.stdout.ends_with(" 2 marks stand for 2 flows.\n"), "{}", ended.stdout);
    let svg = fs::read_to_string(&picture).unwrap();
    assert_eq!(svg.matches("<title>10.0.0.0/12: 1 flow, ").count(), 2, "{svg}");
    let ended = map(&settings, &picture, &["--flows", settings.as_str()]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("no known log format"), "{}", ended.stderr);
}

#[test]
fn line_that_is_no_flow_is_reported_and_the_map_drawn() {
    let (settings, picture) = settings_and("map_bad_line", "map.svg");
    let flows =
        file("map_bad_line", "flows.jsonl", format!("what\n{}\n", flow_line("10.0.0.2:443")));
    let ended = map(&settings, &picture, &["--flows", flows.to_str().unwrap()]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("flows.jsonl:1:"), "{}", ended.stderr);
    assert!(ended.stdout.contains("1 mark stands for 1 flow."), "{}", ended.stdout);
    let ended = map(&settings, &picture, &["--flows", "/nowhere/flows.jsonl"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("/nowhere/flows.jsonl: "), "{}", ended.stderr);
}

#[test]
fn rules_that_wait_are_counted() {
    let text = r#"{"rules": [{"networkRule": {"destinationHost": "example.com", "protocol": "any"}, "action": "drop"}], "defaultAction": "allow"}"#;
    let settings = file("map_waiting", "rules.json", text);
    let picture = settings.with_file_name("map.svg");
    let ended = map(settings.to_str().unwrap(), &picture, &[]);
    let waits = "1 rule waits for a local endpoint or a host name, which --local and \
        --remote-hostname give\n";
    assert!(ended.stdout.ends_with(waits), "{}", ended.stdout);
    let named = ["--remote-hostname", "www.example.com", "--local", "192.168.1.5:50000"];
    let ended = map(settings.to_str().unwrap(), &picture, &named);
    assert!(
        ended.stdout.contains("local 192.168.1.5:50000, host name www.example.com"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("drop for 100 %"), "{}", ended.stdout);
}

#[test]
fn png_is_written_by_its_name() {
    let (settings, picture) = settings_and("map_png", "map.PNG");
    let ended = map(&settings, &picture, &["--order", "4"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let bytes = fs::read(&picture).unwrap();
    let decoder = png::Decoder::new(std::io::Cursor::new(&bytes));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.width, 1024 + 2 * 16);
    let texts = &reader.info().utf8_text;
    let found = texts.iter().find(|text| text.keyword == "Description").unwrap();
    assert_eq!(found.get_text().unwrap(), ended.stdout.trim_end());
    // The cell of 11.0.0.0/8 is allowed, that of 10.0.0.0/8 mixed; their lower left corners.
    let at = |x: usize, y: usize| {
        let from = 3 * ((64 + y) * info.width as usize + 16 + x);
        pixels[from..from + 3].to_vec()
    };
    assert_eq!(at(3 * 64 + 3, 2 * 64 + 59), [0xbf, 0xe3, 0xd3]);
    assert_eq!(at(3 * 64 + 3, 3 * 64 + 59), [0x99, 0x58, 0x4c]);
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let (settings, picture) = settings_and("map_refused", "map.gif");
    let ended = map(&settings, &picture, &[]);
    assert_eq!(ended.status, Some(2));
    assert!(
        ended.stderr.ends_with("map.gif: a map is written as `.svg` or `.png`\n"),
        "{}",
        ended.stderr
    );
    assert!(!picture.exists());
    let svg = picture.with_extension("svg");
    for more in [["--prefix", "10.0.0.0/33"], ["--order", "13"], ["--direction", "up"]] {
        assert_eq!(map(&settings, &svg, &more).status, Some(2), "{more:?}");
    }
    let ended = map(&settings, &svg, &["--local", "example.com:80"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("--local: "), "{}", ended.stderr);
    let ended = map(&settings, Path::new("/nowhere/map.svg"), &[]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("/nowhere/map.svg: "), "{}", ended.stderr);
}
