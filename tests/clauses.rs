//! Clauses of the semantics that the vectors leave out, each named by its number.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a rule that cannot be made is a failed test"
)]

use flowsieve::*;

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

fn tcp_to(remote: &str) -> Flow<'static> {
    Flow::new(IpProtocol::TCP, Direction::Outbound).with_remote(endpoint(remote)).unwrap()
}

fn network(
    remote: Option<&str>,
    prefix: u64,
    local: Option<&str>,
    local_prefix: u64,
) -> NetworkRule {
    let (remote, local) = (remote.map(endpoint), local.map(endpoint));
    let (protocol, direction) = (Protocol::Any, Direction::Any);
    NetworkRule::remote_network(remote, prefix, local, local_prefix, protocol, direction).unwrap()
}

fn host(name: &str) -> NetworkRule {
    let endpoint = Endpoint::new(name, "0").unwrap();
    NetworkRule::destination_host(endpoint, Protocol::Any).unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.unwrap_err().kind().clone()
}

#[test]
fn s_02_accessors_report_what_apples_properties_do() {
    let rule =
        NetworkRule::destination_network(endpoint("10.1.2.3:443"), 8, Protocol::Tcp).unwrap();
    assert_eq!(rule.match_remote_endpoint().unwrap().to_string(), "10.1.2.3:443");
    assert_eq!((rule.match_remote_prefix(), rule.match_local_prefix()), (Some(8), None));
    assert_eq!(rule.match_local_network(), None);
    assert_eq!(rule.match_protocol(), Protocol::Tcp);
    assert_eq!(rule.match_direction(), Direction::Outbound, "S-04");

    let rule = host("example.com");
    assert_eq!((rule.match_remote_prefix(), rule.match_local_network()), (None, None));
    assert_eq!(rule.match_remote_endpoint().unwrap().to_string(), "example.com:0");
    assert_eq!(rule.match_direction(), Direction::Outbound, "S-04");

    let rule = network(None, 32, Some("::"), 64);
    assert_eq!((rule.match_remote_endpoint(), rule.match_remote_prefix()), (None, None));
    assert_eq!(rule.match_local_network().unwrap().to_string(), "[::]:0");
    assert_eq!(rule.match_local_prefix(), Some(64));
}

#[test]
fn s_03_an_endpoint_from_a_socket_address_equals_one_from_text() {
    let address: std::net::SocketAddr = "10.2.0.1:0".parse().unwrap();
    assert_eq!(Endpoint::from(address), Endpoint::new("10.2.0.1", "0").unwrap());
    let address = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 443, 0, 4);
    assert_eq!(Endpoint::from(std::net::SocketAddr::from(address)), endpoint("[fe80::1%4]:443"));
}

#[test]
fn s_06_a_prefix_beside_nil_is_neither_used_nor_checked() {
    let rule = network(None, Network::NOT_FOUND, None, u64::MAX);
    assert!(rule.matches(&tcp_to("203.0.113.7:443")));
    assert_eq!(rule.match_remote_prefix(), None);
}

#[test]
fn s_12_prefixes_out_of_range_are_refused_on_either_side() {
    let destination = |host: &str, prefix| {
        kind(NetworkRule::destination_network(endpoint(host), prefix, Protocol::Any))
    };
    assert_eq!(destination("10.0.0.1", 33), ErrorKind::PrefixTooLong { prefix: 33, limit: 32 });
    assert_eq!(destination("10.0.0.1", 256), ErrorKind::PrefixTooLong { prefix: 256, limit: 32 });
    assert_eq!(destination("::1", 129), ErrorKind::PrefixTooLong { prefix: 129, limit: 128 });
    assert_eq!(destination("::1", Network::NOT_FOUND), ErrorKind::PrefixNotFound);
    // The wildcard ignores its prefix (S-16), yet one that no address can have stays an error.
    assert_eq!(destination("0.0.0.0", 33), ErrorKind::PrefixTooLong { prefix: 33, limit: 32 });
    let local = Some(endpoint("10.0.0.1"));
    let (any, direction) = (Protocol::Any, Direction::Any);
    let rule = NetworkRule::remote_network(None, 0, local, 40, any, direction);
    assert_eq!(kind(rule), ErrorKind::PrefixTooLong { prefix: 40, limit: 32 });
}

#[test]
fn s_20_nat64_addresses_are_not_folded() {
    let rule = network(Some("192.0.2.1"), 32, None, 0);
    assert!(rule.matches(&tcp_to("[::ffff:192.0.2.1]:443")));
    assert!(!rule.matches(&tcp_to("[64:ff9b::192.0.2.1]:443")));
}

#[test]
fn s_21_a_local_rule_waits_for_the_socket_to_be_bound() {
    let rule = network(None, 0, Some("192.168.1.0"), 24);
    let flow = |local: &str| tcp_to("203.0.113.7:443").with_local(endpoint(local)).unwrap();
    assert_eq!(rule.test(&flow("0.0.0.0:0")).answer(), Answer::NotYet);
    assert_eq!(rule.test(&flow("192.168.1.9:50000")).answer(), Answer::Yes);
    assert_eq!(rule.test(&flow("192.168.2.9:50000")).answer(), Answer::No);
    // An IPv6 socket that connects to a mapped address gets a mapped local address.
    assert_eq!(rule.test(&flow("[::]:0")).answer(), Answer::NotYet);
    let v6 = tcp_to("[2001:db8::1]:443").with_local(endpoint("[::]:0")).unwrap();
    assert_eq!(rule.test(&v6).answer(), Answer::No);
}

#[test]
fn s_22_local_address_and_local_port_are_unknown_each_by_itself() {
    let rule = network(None, 0, Some("192.168.1.0:5353"), 24);
    let flow = |local: &str| tcp_to("203.0.113.7:443").with_local(endpoint(local)).unwrap();
    let answer = |local| rule.test(&flow(local)).answer();
    assert_eq!(answer("0.0.0.0:5353"), Answer::NotYet);
    assert_eq!(answer("192.168.1.5:0"), Answer::NotYet);
    assert_eq!(answer("0.0.0.0:5354"), Answer::No);
    assert_eq!(answer("192.168.2.5:0"), Answer::No);
    assert_eq!(rule.test(&tcp_to("203.0.113.7:443")).answer(), Answer::NotYet);
    assert_eq!(rule.test(&tcp_to("[2001:db8::1]:443")).answer(), Answer::No);
}

#[test]
fn s_22_a_nil_remote_endpoint_is_no_match_and_not_pending() {
    let flow = Flow::new(IpProtocol::UDP, Direction::Outbound);
    assert_eq!(network(Some("203.0.113.7"), 32, None, 0).test(&flow).answer(), Answer::No);
    assert_eq!(network(Some("0.0.0.0"), 0, None, 0).test(&flow).answer(), Answer::No);
    assert_eq!(network(None, 0, None, 0).test(&flow).answer(), Answer::Yes);
}

#[test]
fn s_26_port_text_is_read_as_digits_or_refused() {
    let ports = Ports::from_apple_text;
    assert_eq!(ports("0443").unwrap(), Ports::one(443));
    assert_eq!(ports("00000000000443").unwrap(), Ports::one(443));
    for any in ["", "0", "00"] {
        assert_eq!(ports(any).unwrap(), Ports::ANY);
    }
    for wrong in ["-1", "+1", " 1", "1 ", "https", "80-90", "*", "65536", "0x1", "١", "99999999999"]
    {
        assert_eq!(kind(ports(wrong)), ErrorKind::InvalidPort { port: wrong.to_owned() });
    }
}

#[test]
fn port_ranges_are_inclusive_and_never_hold_an_unknown_port() {
    let range: Ports = "1000-2000".parse().unwrap();
    let held = [0, 999, 1000, 2000, 2001].map(|port| range.contains(port));
    assert_eq!(held, [false, false, true, true, false]);
    assert_eq!("7-7".parse::<Ports>().unwrap(), Ports::one(7));
    assert_eq!(kind("0-9".parse::<Ports>()), ErrorKind::InvalidPortRange { first: 0, last: 9 });
    assert_eq!(kind("9-8".parse::<Ports>()), ErrorKind::InvalidPortRange { first: 9, last: 8 });
    for wrong in ["1-", "-1", "1-2-3", "1-65536", "1 -2", "a-b"] {
        assert!(wrong.parse::<Ports>().is_err(), "{wrong}");
    }
}

#[test]
fn s_31_a_protocol_number_matches_that_protocol_only() {
    let any = (Protocol::Number(58), Direction::Any);
    let rule = NetworkRule::remote_network(None, 0, None, 0, any.0, any.1).unwrap();
    let flow = |protocol| Flow::new(protocol, Direction::Outbound);
    assert!(rule.matches(&flow(IpProtocol::ICMPV6)));
    assert!(!rule.matches(&flow(IpProtocol::TCP)));
    assert_eq!("6".parse::<Protocol>().unwrap(), Protocol::Tcp);
    assert_eq!("icmpv6".parse::<Protocol>().unwrap(), Protocol::Number(58));
}

#[test]
fn s_41_a_host_rule_matches_loopback_by_name() {
    let flow = tcp_to("127.0.0.1:80").with_remote_hostname("localhost");
    assert!(host("localhost").matches(&flow));
    assert!(!network(None, 0, None, 0).matches(&flow));
}

#[test]
fn s_42_dots_and_stars_are_trimmed_from_both_names_and_stars_inside_kept() {
    let matches = |rule: &str, name: &str| {
        host(rule).matches(&tcp_to("1.1.1.1:1").with_remote_hostname(name.to_owned()))
    };
    assert!(matches("*.example.com", "example.com"));
    assert!(matches("..*example.com*.", "*.example.com.."));
    assert!(matches("a*b.example.com", "A*B.example.com"));
    assert!(!matches("a*b.example.com", "axb.example.com"));
    assert!(!matches("*com*", "example.com"));
}

#[test]
fn s_44_an_empty_name_counts_as_missing() {
    for name in ["", ".", "*."] {
        let flow = tcp_to("1.1.1.1:1").with_remote_hostname(name);
        assert_eq!(host("example.com").test(&flow).answer(), Answer::NotYet, "{name}");
    }
}

#[test]
fn s_45_what_is_no_host_name_is_refused() {
    let refused = |text: &str| kind(HostName::new(text));
    for address in ["203.0.113.7", "203.0.113.7.", "2001:db8::1", "fe80::1%en0", "::"] {
        assert_eq!(refused(address), ErrorKind::AddressAsHostname { host: address.to_owned() });
    }
    for empty in ["", ".", "*", "*.*"] {
        assert_eq!(refused(empty), ErrorKind::EmptyHostname { host: empty.to_owned() });
    }
    for wrong in ["https://www.vimeo.com/", "example.com:443", "a b", "a@b", "<private>", "[::1]"] {
        assert!(matches!(refused(wrong), ErrorKind::InvalidHostname { .. }), "{wrong}");
    }
    assert_eq!(refused(&"a".repeat(256)), ErrorKind::HostnameTooLong { len: 256, limit: 255 });
    assert!(HostName::new(&"a".repeat(255)).is_ok());
    let address = Endpoint::new("203.0.113.7", "0").unwrap();
    assert!(NetworkRule::destination_host(address, Protocol::Any).is_err());
}

#[test]
fn s_46_a_host_name_in_a_network_initialiser_is_a_host_rule_only_on_request() {
    let name = || Endpoint::new("example.com", "443").unwrap();
    let (any, inbound) = (Protocol::Any, Direction::Inbound);
    let not_an_address = ErrorKind::NotAnAddress { host: "example.com".to_owned() };
    assert_eq!(kind(NetworkRule::destination_network(name(), 0, any)), not_an_address);
    let rule = NetworkRule::remote_network(Some(name()), 0, None, 0, any, inbound);
    assert_eq!(kind(rule), not_an_address);

    let rule = NetworkRule::destination_network_or_host(name(), 999, any).unwrap();
    let flow = tcp_to("1.1.1.1:443").with_remote_hostname("www.example.com");
    assert!(rule.matches(&flow));
    assert_eq!(rule.match_remote_prefix(), None);

    let local = Some(endpoint("192.168.1.0"));
    let rule = NetworkRule::remote_network_or_host(Some(name()), 0, local, 24, any, inbound);
    let rule = rule.unwrap();
    assert!(!rule.matches(&flow), "the direction given is inbound");
    let inbound_flow = |local: &str| {
        let flow =
            Flow::new(IpProtocol::TCP, Direction::Inbound).with_remote_hostname("example.com");
        flow.with_remote(endpoint("1.1.1.1:443")).unwrap().with_local(endpoint(local)).unwrap()
    };
    assert!(rule.matches(&inbound_flow("192.168.1.7:80")));
    assert!(!rule.matches(&inbound_flow("192.168.2.7:80")));

    let rule = NetworkRule::remote_network_or_host(None, 0, Some(name()), 0, any, inbound);
    assert_eq!(kind(rule), not_an_address, "the local side takes an address all the same");
}

#[test]
fn s_50_zones_are_compared_where_both_sides_have_one() {
    let rule = network(Some("fe80::1%en0"), 128, None, 0);
    assert!(rule.matches(&tcp_to("[fe80::1%en0]:1")));
    assert!(rule.matches(&tcp_to("[fe80::1]:1")));
    assert!(!rule.matches(&tcp_to("[fe80::1%en1]:1")));
    assert!(network(Some("fe80::1"), 128, None, 0).matches(&tcp_to("[fe80::1%en1]:1")));
    let local = network(None, 0, Some("fe80::1%en0"), 64);
    let flow = |zone| tcp_to("[fe80::9]:1").with_local(endpoint(zone)).unwrap();
    assert!(local.matches(&flow("[fe80::2%en0]:1")));
    assert!(!local.matches(&flow("[fe80::2%en1]:1")));
    for wrong in ["fe80::1%", "fe80::1%en 0", "fe80::1%abcdefghijklmnop"] {
        assert!(
            matches!(kind(Endpoint::new(wrong, "0")), ErrorKind::InvalidZone { .. }),
            "{wrong}"
        );
    }
}

#[test]
fn s_51_address_text_is_strict() {
    for wrong in
        ["10.1", "010.0.0.1", "10.0.0.1:443", "10.0.0.0/8", "[::1]", "10.0.0.1%en0", " 10.0.0.1"]
    {
        let rule = Endpoint::new(wrong, "0")
            .and_then(|endpoint| NetworkRule::destination_network(endpoint, 8, Protocol::Any));
        assert!(rule.is_err(), "{wrong}");
    }
}

#[test]
fn endpoint_text_is_read_in_the_forms_that_logs_show() {
    let cases = [
        ("111.111.111.111:80", "111.111.111.111:80"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ("2001:db8::1.443", "[2001:db8::1]:443"),
        ("2001:db8::1:443", "[2001:db8::1:443]:0"),
        ("::ffff:1.2.3.4.80", "[::ffff:1.2.3.4]:80"),
        ("fe80::1%en0.5353", "[fe80::1%en0]:5353"),
        ("fe80::1%en0:5353", "[fe80::1%en0]:5353"),
        ("[fe80::1%awdl0]:5353", "[fe80::1%awdl0]:5353"),
        ("10.0.0.1", "10.0.0.1:0"),
        ("::1", "[::1]:0"),
        ("[::1]", "[::1]:0"),
        ("example.com", "example.com:0"),
        ("example.com:443", "example.com:443"),
        ("10.0.0.1:1000-2000", "10.0.0.1:1000-2000"),
    ];
    for (text, printed) in cases {
        assert_eq!(endpoint(text).to_string(), printed, "{text}");
    }
    let wrong = [
        "",
        ":80",
        "[::1",
        "[::1]80",
        "[10.0.0.1]:80",
        "10.0.0.256:80",
        "1.2.3.4.80",
        "a:b",
        "::1.x",
        "2001:db8::g",
        "1:2:3",
        "(null)",
        "<private>",
    ];
    for text in wrong {
        assert!(text.parse::<Endpoint>().is_err(), "{text}");
    }
    // As in NWHostEndpoint, a port of no digits is any port.
    assert_eq!(endpoint("10.0.0.1:").to_string(), "10.0.0.1:0");
}

#[test]
fn s_52_a_remote_endpoint_that_is_a_name_serves_as_the_host_name() {
    let flow = tcp_to("www.example.com:443");
    assert!(host("example.com").matches(&flow));
    assert!(network(None, 0, None, 0).matches(&flow));
    assert!(!network(Some("0.0.0.0"), 0, None, 0).matches(&flow));
    let named = tcp_to("www.example.com:443").with_remote_hostname("other.test");
    assert!(!host("example.com").matches(&named));
}

#[test]
fn s_61_s_62_the_framework_would_refuse_what_it_documents() {
    let rule = || FilterRule::new(network(None, 0, None, 0), Action::Drop);
    let issues = |rules: usize, default| {
        let settings = FilterSettings::new(vec![rule(); rules], default);
        assert!(Matcher::new(&settings).is_ok());
        settings.validate_for_framework().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(issues(1000, Action::Allow), none);
    assert_eq!(issues(1001, Action::Allow), ["1001 rules exceed 1000"]);
    assert_eq!(issues(0, Action::FilterData), none);
    assert_eq!(issues(0, Action::Allow), ["default action `allow` needs at least one rule"]);
    assert_eq!(issues(0, Action::Drop), ["default action `drop` needs at least one rule"]);
}

#[test]
fn extensions_are_reported_as_what_the_framework_cannot_express() {
    let ranged = network(Some("10.0.0.0:1000-2000"), 8, Some("0.0.0.0:1-2"), 0);
    let number = NetworkRule::destination_network(endpoint("::1"), 128, Protocol::Number(58));
    let name = NetworkRule::destination_network_or_host(endpoint("a.b"), 0, Protocol::Any);
    let rules = [ranged, number.unwrap(), name.unwrap(), host("a.b")];
    let rules = rules.map(|rule| FilterRule::new(rule, Action::Drop)).to_vec();
    let issues = FilterSettings::new(rules, Action::Allow).validate_for_framework();
    let expected = [
        "rule 0: a network rule takes one port or any, not the range 1000-2000",
        "rule 0: a network rule takes one port or any, not the range 1-2",
        "rule 1: a network rule takes TCP, UDP or any, not protocol 58",
        "rule 2: a network initialiser takes an address, not a host name",
    ];
    assert_eq!(issues.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    assert_eq!(issues.last().unwrap().rule_index(), Some(2));
}

#[test]
fn s_63_actions_have_apples_raw_values() {
    for action in Action::ALL {
        assert_eq!(Action::from_raw(action as i64).unwrap(), action);
        assert_eq!(action.as_str().parse::<Action>().unwrap(), action);
    }
    assert_eq!(Action::ALL.map(|action| action as i64), [1, 2, 4]);
    let directions = [Direction::Any, Direction::Inbound, Direction::Outbound];
    assert_eq!(directions.map(|direction| direction as i64), [0, 1, 2]);
    for raw in [0, 3] {
        let word = raw.to_string();
        assert_eq!(kind(Action::from_raw(raw)), ErrorKind::UnsupportedAction { word });
    }
    let word = "5".to_owned();
    assert_eq!(kind(Action::from_raw(5)), ErrorKind::UnknownAction { word });
    let word = "remediate".to_owned();
    assert_eq!(kind("remediate".parse::<Action>()), ErrorKind::UnsupportedAction { word });
}

#[test]
fn s_66_the_default_settings_ask_the_provider() {
    let matcher = Matcher::new(&FilterSettings::default()).unwrap();
    let decision = matcher.decide(&tcp_to("203.0.113.7:443"));
    assert_eq!((decision.action(), decision.rule()), (Action::FilterData, None));
    assert!(decision.is_final());
}

#[test]
fn a_verdict_is_final_when_all_pending_rules_agree_with_it() {
    let flow = tcp_to("203.0.113.7:443").with_local(endpoint("0.0.0.0:0")).unwrap();
    let decide = |first| {
        let rules = vec![
            FilterRule::new(network(None, 0, Some("192.168.1.0"), 24), first),
            FilterRule::new(network(None, 0, None, 0), Action::Drop),
        ];
        let matcher = Matcher::new(&FilterSettings::new(rules, Action::Allow)).unwrap();
        let decision = matcher.decide(&flow);
        assert_eq!((decision.action(), decision.rule()), (Action::Drop, Some(1)));
        assert_eq!(decision.reason(), Reason::Pending);
        assert_eq!(matcher.pending_rules(&flow), [0]);
        decision.is_final()
    };
    assert!(decide(Action::Drop));
    assert!(!decide(Action::Allow));
}

#[test]
fn a_verdict_that_leans_on_the_zeros_of_an_unbound_address_is_not_final() {
    let rules = vec![FilterRule::new(network(None, 0, Some("0.0.0.1"), 8), Action::Drop)];
    let matcher = Matcher::new(&FilterSettings::new(rules, Action::Allow)).unwrap();
    let flow = |local: &str| tcp_to("203.0.113.7:443").with_local(endpoint(local)).unwrap();
    let now = matcher.decide(&flow("0.0.0.0:0"));
    assert_eq!((now.action(), now.pending(), now.is_final()), (Action::Drop, false, false));
    assert_eq!(matcher.decide(&flow("192.168.1.2:5000")).action(), Action::Allow);
}

#[test]
fn longest_prefix_precedence_takes_the_longest_remote_prefix_then_list_order() {
    let drop = |rule| FilterRule::new(rule, Action::Drop);
    let allow = |rule| FilterRule::new(rule, Action::Allow);
    let rules = vec![
        drop(network(None, 0, None, 0)),
        drop(network(Some("0.0.0.0"), 0, None, 0)),
        drop(network(Some("10.0.0.0"), 8, None, 0)),
        allow(network(Some("10.1.0.0"), 16, None, 0)),
        drop(network(Some("10.1.9.9"), 16, None, 0)),
        drop(host("example.com")),
    ];
    let settings = FilterSettings::new(rules, Action::Allow);
    let builder = Matcher::builder().precedence(Precedence::LongestPrefix);
    let matcher = builder.build(&settings).unwrap();
    let decided = |flow| matcher.decide(&flow).rule();
    assert_eq!(decided(tcp_to("10.1.2.3:1").with_remote_hostname("example.com")), Some(3));
    assert_eq!(decided(tcp_to("10.2.2.3:1")), Some(2));
    assert_eq!(decided(tcp_to("11.2.2.3:1")), Some(0));
    assert_eq!(decided(tcp_to("example.com:1")), Some(0));
}

fn outbound(remote: Option<&str>, prefix: u64) -> NetworkRule {
    let (remote, outbound) = (remote.map(endpoint), Direction::Outbound);
    NetworkRule::remote_network(remote, prefix, None, 0, Protocol::Any, outbound).unwrap()
}

#[test]
fn s_90_excluded_proxy_rules_go_before_included_ones() {
    let settings = TransparentProxySettings::new(
        vec![outbound(None, 0), outbound(Some("127.0.0.1"), 32)],
        vec![outbound(Some("10.0.0.0"), 8)],
    );
    let decide = |remote| settings.decide(&tcp_to(remote));
    assert_eq!(decide("10.1.1.1:443"), ProxyDecision::Excluded(0));
    assert_eq!(decide("8.8.8.8:443"), ProxyDecision::Included(0));
    assert_eq!(decide("[2001:db8::1]:443"), ProxyDecision::Included(0), "S-93");
    assert_eq!(decide("127.0.0.1:443"), ProxyDecision::Included(1), "S-94");
    assert_eq!(decide("[::1]:443"), ProxyDecision::Direct, "S-94");
}

#[test]
fn s_91_to_s_97_proxy_rules_that_the_framework_refuses_are_reported() {
    let inbound = NetworkRule::remote_network(
        Some(endpoint("10.0.0.0")),
        8,
        Some(endpoint("0.0.0.0")),
        0,
        Protocol::Tcp,
        Direction::Inbound,
    );
    let dns_by_name = NetworkRule::destination_host(endpoint("example.com:53"), Protocol::Any);
    let included = vec![
        outbound(Some("0.0.0.0"), 8),
        outbound(Some("0.0.0.0:443"), 0),
        outbound(Some("8.8.8.8:53"), 32),
        outbound(Some("8.8.8.8:50-60"), 32),
        outbound(Some("10.0.0.0"), 8),
        outbound(None, 0),
        dns_by_name.unwrap(),
    ];
    let settings = TransparentProxySettings::new(included, vec![inbound.unwrap()]);
    let issues = settings.validate_for_framework();
    let expected = [
        "excluded rule 0: the local network must be nil",
        "excluded rule 0: direction must be outbound, not inbound",
        "included rule 0: a wildcard address needs a port, and any port needs a real network",
        "included rule 2: port 53 is not allowed in an address rule: use host rules for DNS",
        "included rule 3: port 53 is not allowed in an address rule: use host rules for DNS",
        "included rule 3: a network rule takes one port or any, not the range 50-60",
    ];
    assert_eq!(issues.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    assert!(issues.iter().all(ProxyIssue::is_refusal));
    assert_eq!(issues[0].rule(), Some((ProxyList::Excluded, 0)));

    let many = TransparentProxySettings::new(vec![outbound(None, 0); 1001], vec![]);
    let issues = many.validate_for_framework();
    assert_eq!(
        issues.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["1001 rules: no limit is documented, but thousands of rules have hung machines"]
    );
    assert!(!issues[0].is_refusal());
}

#[test]
fn the_trap_of_prefix_0_is_seen_and_mended() {
    let trap = network(Some("111.111.111.111"), 0, Some("::2"), 0);
    let destination = NetworkRule::destination_network(endpoint("::1"), 0, Protocol::Tcp).unwrap();
    let fine = [network(Some("0.0.0.0"), 0, None, 0), host("a.b"), network(None, 0, None, 0)];
    let rules = [trap, destination].into_iter().chain(fine);
    let rules = rules.map(|rule| FilterRule::new(rule, Action::Drop)).collect();
    let settings = FilterSettings::new(rules, Action::Allow);
    let mut lints = lint(&settings);
    lints.retain(|lint| lint.code() == LintCode::PrefixZero);
    let messages: Vec<_> = lints.iter().map(ToString::to_string).collect();
    let expected = [
        "L-01 rule 0: remotePrefix 0 compares no bits of 111.111.111.111, so the remote side \
         matches the whole IPv4 family; for that one host write 32; localPrefix 0 compares no bits \
         of ::2, so the local side matches the whole IPv6 family; for that one host write 128 (S-11)",
        "L-01 rule 1: destinationPrefix 0 compares no bits of ::1, so the remote side matches the \
         whole IPv6 family; for that one host write 128 (S-11)",
    ];
    assert_eq!(messages, expected);
    let mended = lints[0].suggestion().unwrap().apply_to_filter(&settings);
    let mended = lints[1].suggestion().unwrap().apply_to_filter(&mended);
    let [first, second] = [0, 1].map(|index| mended.rules()[index].network_rule());
    assert_eq!((first.match_remote_prefix(), first.match_local_prefix()), (Some(32), Some(128)));
    assert_eq!(second.match_remote_prefix(), Some(128));
    assert_eq!(second.initializer(), Initializer::DestinationNetwork);
}

#[test]
fn an_explanation_names_the_part_that_fails_and_who_decides() {
    let rules = vec![
        FilterRule::new(network(Some("10.0.0.0:443"), 8, None, 0), Action::Drop),
        FilterRule::new(network(None, 0, Some("192.168.1.0"), 24), Action::Drop),
        FilterRule::new(host("example.com"), Action::Drop),
        FilterRule::new(network(None, 0, None, 0), Action::Allow),
        FilterRule::new(network(Some("203.0.113.7"), 32, None, 0), Action::Drop),
        FilterRule::new(host("b.test"), Action::Drop),
    ];
    let settings = FilterSettings::new(rules, Action::FilterData);
    let flow = tcp_to("203.0.113.7:80").with_local(endpoint("0.0.0.0:0")).unwrap();
    let explanation = explain(&settings, Precedence::FirstMatch, &flow);
    assert_eq!(explanation.decision(), Matcher::new(&settings).unwrap().decide(&flow));
    let rules = explanation.rules().iter().map(|rule| {
        let network_rule = settings.rules()[rule.index()].network_rule();
        (rule.outcome().as_str(), rule.reasons(network_rule, &flow).join("; "))
    });
    let expected = [
        ("fails", "remote address 203.0.113.7 is not in 10.0.0.0/8; remote port 80 is not 443"),
        ("pending", "local address is not known yet: 192.168.1.0/24 could hold it"),
        ("pending", "host name is not known: could be example.com"),
        ("decides", ""),
        ("overruled", ""),
        ("late", "host name is not known: could be b.test"),
    ];
    let expected = expected.map(|(outcome, reasons)| (outcome, reasons.to_owned()));
    assert_eq!(rules.collect::<Vec<_>>(), expected);
}

#[test]
fn every_part_of_a_rule_that_fails_is_put_into_words() {
    let rule = NetworkRule::remote_network(
        Some(endpoint("fe80::1%en0:1")),
        128,
        Some(endpoint("10.0.0.0:7")),
        8,
        Protocol::Udp,
        Direction::Inbound,
    );
    let reasons = |rule: NetworkRule, flow: Flow<'_>| {
        let settings =
            FilterSettings::new(vec![FilterRule::new(rule.clone(), Action::Drop)], Action::Allow);
        let explanation = explain(&settings, Precedence::FirstMatch, &flow);
        explanation.rules()[0].reasons(&rule, &flow)
    };
    let flow = tcp_to("[fe80::1%en1]:2").with_local(endpoint("[::5]:8")).unwrap();
    let expected = [
        "protocol TCP is not UDP",
        "direction outbound is not inbound",
        "remote address fe80::1%en1 is not in fe80::1%en0/128",
        "remote port 2 is not 1",
        "local address ::5 is not in 10.0.0.0/8",
        "local port 8 is not 7",
    ];
    assert_eq!(reasons(rule.unwrap(), flow), expected);

    let only = |rule, flow| reasons(rule, flow).join("; ");
    let loopback = tcp_to("127.0.0.1:80");
    assert_eq!(
        only(network(None, 0, None, 0), loopback),
        "loopback flow: only a rule that names an address matches it"
    );
    let named = |name: &str| tcp_to("1.1.1.1:1").with_remote_hostname(name.to_owned());
    assert_eq!(only(host("com"), named("a.com")), "host name a.com is not com");
    assert_eq!(only(host("a.com"), named("b.com")), "host name b.com is not a.com or below it");
    let nowhere = Flow::new(IpProtocol::TCP, Direction::Outbound);
    assert_eq!(
        only(network(Some("10.0.0.0:1"), 8, None, 0), nowhere),
        "remote endpoint is not known, so 10.0.0.0/8 does not match; \
         remote port is not known, so 1 does not match"
    );
    assert_eq!(
        only(network(Some("10.0.0.0"), 8, None, 0), tcp_to("a.b:1")),
        "remote endpoint is a name, so 10.0.0.0/8 does not match"
    );
    let unbound = tcp_to("1.1.1.1:1").with_local(endpoint("10.0.0.1:0")).unwrap();
    assert_eq!(
        only(network(None, 0, Some("10.0.0.0:22"), 8), unbound),
        "local port is not known yet: could be 22"
    );
}

#[test]
fn a_flow_is_what_was_said_of_it_in_any_order() {
    let zone = |text| Some(Zone::new(text).unwrap());
    let (remote, local) = ("fe80::1".parse().unwrap(), "fe80::2".parse().unwrap());
    let new = || Flow::new(IpProtocol::UDP, Direction::Outbound);
    let named_first = new()
        .with_remote_hostname("printer.local")
        .with_remote_address(remote, zone("en0"), 53)
        .with_local_address(local, zone("en1"), 54);
    let named_last = new()
        .with_local_address(local, zone("en1"), 54)
        .with_remote_address(remote, zone("en0"), 53)
        .with_remote_hostname(String::from("printer.local"));
    assert_eq!(named_first, named_last);
    assert_eq!(named_first.remote_hostname(), Some("printer.local"));
    assert_eq!(named_first.remote().unwrap().zone(), zone("en0"));
    assert_eq!(named_first.local().unwrap().zone(), zone("en1"));
    assert_eq!(named_first.clone().into_owned(), named_last);

    // What is set again replaces what was there, a zone id too, and nothing else.
    let unscoped = named_last.clone().with_remote_address(remote, None, 53);
    assert_eq!(unscoped.remote().unwrap().zone(), None);
    assert_eq!(unscoped.local().unwrap().zone(), zone("en1"));
    assert_eq!(unscoped.remote_hostname(), Some("printer.local"));
    assert_ne!(unscoped, named_last);
    let renamed = unscoped.with_remote_hostname("").with_local_address(local, None, 54);
    assert_eq!(renamed.remote_hostname(), Some(""));
    let plain = new().with_remote_address(remote, None, 53).with_local_address(local, None, 54);
    assert_ne!(renamed, plain);
    assert_eq!(renamed, plain.clone().with_remote_hostname(""));
    assert_eq!(plain.clone().into_owned(), plain);
    assert_eq!(plain.remote_hostname(), None);
    let named = plain.with_remote_hostname(String::from("printer.local"));
    assert_eq!(named.clone().into_owned(), named);
}
