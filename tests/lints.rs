//! Each lint where it is due and where it is not, by the clauses; and that what it suggests mends it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use flowsieve::formats::lints::{self, PlacedLint, Purpose, Report};
use flowsieve::formats::{flow_lines, settings};
use flowsieve::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Settings that have a mistake, and what is to be seen of it.
struct Mistake {
    code: LintCode,
    /// The index of the rule; `None` for the settings as a whole.
    rule: Option<usize>,
    settings: Value,
    /// Flows with the action that is meant for them, which they get once the lint is mended.
    meant: Vec<(Value, &'static str)>,
    /// Whether no rule can say what is meant, so that nothing is suggested.
    is_beyond_rules: bool,
}

fn mistake(code: LintCode, rule: usize, settings: Value) -> Mistake {
    Mistake { code, rule: Some(rule), settings, meant: Vec::new(), is_beyond_rules: false }
}

impl Mistake {
    fn of_settings(self) -> Mistake {
        Mistake { rule: None, ..self }
    }

    fn beyond_rules(self) -> Mistake {
        Mistake { is_beyond_rules: true, ..self }
    }

    fn meant(mut self, flow: Value, action: &'static str) -> Mistake {
        self.meant.push((flow, action));
        self
    }
}

fn filter(default: &str, rules: impl IntoIterator<Item = (Value, &'static str)>) -> Value {
    let rules = rules.into_iter();
    let rules = rules.map(|(rule, action)| json!({"networkRule": rule, "action": action}));
    json!({"rules": rules.collect::<Vec<_>>(), "defaultAction": default})
}

fn proxy(included: &[Value], excluded: &[Value]) -> Value {
    json!({"includedNetworkRules": included, "excludedNetworkRules": excluded})
}

/// A destination-network rule.
fn to(network: &str, prefix: u64, protocol: &str) -> Value {
    json!({"destinationNetwork": network, "destinationPrefix": prefix, "protocol": protocol})
}

fn host(name: &str) -> Value {
    json!({"destinationHost": name, "protocol": "any"})
}

/// A rule of all six arguments.
fn six(
    remote: Option<&str>,
    remote_prefix: u64,
    local: Option<&str>,
    local_prefix: u64,
    protocol: &str,
    direction: &str,
) -> Value {
    json!({"remoteNetwork": remote, "remotePrefix": remote_prefix, "localNetwork": local,
        "localPrefix": local_prefix, "protocol": protocol, "direction": direction})
}

fn everything() -> Value {
    six(None, 0, None, 0, "any", "any")
}

fn outbound(remote: &str) -> Value {
    let local = if remote.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    json!({"remoteEndpoint": remote, "localEndpoint": local, "socketProtocol": 6,
        "direction": "outbound"})
}

fn mistakes() -> Vec<Mistake> {
    use LintCode::*;
    let mapped = "[::ffff:192.0.2.0]:443";
    vec![
        // S-11: 111.111.111.111/0 catches 8.8.8.8; a single host needs 32.
        mistake(PrefixZero, 0, filter("allow", [(to("111.111.111.111:0", 0, "TCP"), "filterData")]))
            .meant(outbound("111.111.111.111:80"), "filterData")
            .meant(outbound("123.123.123.123:80"), "allow"),
        mistake(
            PrefixZero,
            1,
            filter(
                "allow",
                [
                    (to("192.0.2.1", 32, "any"), "drop"),
                    (six(Some("2001:db8::1"), 0, Some("192.0.2.9"), 0, "any", "inbound"), "drop"),
                ],
            ),
        ),
        mistake(PrefixZero, 0, proxy(&[], &[to("127.0.0.1", 0, "any")])),
        // S-46: a name, or what is no address, in a network initialiser.
        mistake(NameInNetwork, 0, filter("filterData", [(to("example.com:443", 0, "TCP"), "drop")])),
        mistake(
            NameInNetwork,
            0,
            filter("filterData", [(to("https://example.com/a?b", 0, "TCP"), "drop")]),
        ),
        mistake(
            NameInNetwork,
            0,
            json!({"rules": [{"networkRule": {"remoteNetwork": {"hostname": "10.0.0.0/8", "port": "443"},
                "remotePrefix": 32, "protocol": "any"}, "action": "drop", "label": "ten"}],
                "defaultAction": "allow"}),
        )
        .meant(outbound("10.1.2.3:443"), "drop")
        .meant(outbound("10.1.2.3:80"), "allow"),
        mistake(NameInNetwork, 0, proxy(&[to("example.com", 32, "any")], &[])),
        mistake(
            NameInNetwork,
            0,
            filter("allow", [(six(None, 0, Some("example.com"), 0, "any", "any"), "drop")]),
        )
        .beyond_rules(),
        // S-45: an address in destinationHost.
        mistake(AddressInHostRule, 0, filter("filterData", [(host("192.0.2.1:443"), "drop")]))
            .meant(outbound("192.0.2.1:443"), "drop")
            .meant(outbound("192.0.2.2:443"), "filterData"),
        mistake(
            AddressInHostRule,
            0,
            filter("filterData", [(json!({"destinationHost": {"hostname": "[2001:db8::1]"}, "protocol": "any"}), "drop")]),
        )
        .meant(outbound("[2001:db8::1]:443"), "drop"),
        // S-64: loopback is allowed unseen.
        mistake(LoopbackUnnamed, 0, filter("drop", [(everything(), "filterData")]))
            .meant(outbound("127.0.0.1:80"), "filterData")
            .meant(outbound("[::1]:80"), "filterData"),
        mistake(
            LoopbackUnnamed,
            1,
            filter("filterData", [(host("example.com"), "drop"), (to("0.0.0.0", 0, "any"), "drop")]),
        )
        .meant(outbound("127.0.0.1:80"), "filterData"),
        // S-18: ::1 and 127.0.0.1 need separate rules.
        mistake(OneLoopbackFamily, 0, filter("allow", [(to("127.0.0.1", 32, "any"), "filterData")]))
            .meant(outbound("[::1]:80"), "filterData"),
        mistake(
            OneLoopbackFamily,
            0,
            filter("allow", [(six(None, 0, Some("::1"), 128, "any", "inbound"), "filterData")]),
        ),
        mistake(OneLoopbackFamily, 0, proxy(&[to("127.0.0.0", 8, "any")], &[])),
        // S-10: the prefix length of the network 127.0.0.0 is 8.
        mistake(LoopbackNetworkAsHost, 0, filter("allow", [(to("127.0.0.0", 32, "any"), "filterData")]))
            .meant(outbound("127.0.0.1:80"), "filterData"),
        mistake(LoopbackNetworkAsHost, 0, proxy(&[to("127.0.0.0", 32, "any")], &[])),
        // S-15: a wildcard covers its own family.
        mistake(OneWildcardFamily, 0, filter("allow", [(to("0.0.0.0:443", 0, "TCP"), "drop")]))
            .meant(outbound("[2001:db8::7]:443"), "drop")
            .meant(outbound("192.0.2.1:443"), "drop"),
        mistake(
            OneWildcardFamily,
            0,
            filter("allow", [(six(None, 0, Some("[::]:22"), 0, "TCP", "inbound"), "drop")]),
        )
        .meant(
            json!({"remoteEndpoint": "192.0.2.1:50000", "localEndpoint": "192.0.2.9:22",
                "socketProtocol": 6, "direction": "inbound"}),
            "drop",
        ),
        mistake(OneWildcardFamily, 0, proxy(&[to("0.0.0.0:443", 0, "TCP")], &[])),
        // S-16: the prefix length beside a wildcard is ignored.
        mistake(WildcardWithPrefix, 0, filter("allow", [(to("0.0.0.0", 8, "any"), "drop")]))
            .meant(outbound("0.1.2.3:80"), "drop")
            .meant(outbound("93.184.216.34:80"), "allow"),
        mistake(WildcardWithPrefix, 0, filter("allow", [(to("::", 128, "any"), "drop")])),
        mistake(WildcardWithPrefix, 0, proxy(&[], &[to("0.0.0.0", 8, "any")])),
        // S-91: what settings of a proxy are refused for.
        mistake(ProxyWildcardAnyPort, 0, proxy(&[to("0.0.0.0", 0, "any")], &[])),
        mistake(ProxyWildcardAnyPort, 0, proxy(&[], &[to("::", 0, "any")])),
        mistake(ProxyRuleForm, 0, proxy(&[six(None, 0, None, 0, "any", "any")], &[])),
        mistake(
            ProxyRuleForm,
            0,
            proxy(&[six(None, 0, Some("192.0.2.1"), 32, "any", "outbound")], &[]),
        ),
        mistake(ProxyRuleForm, 0, proxy(&[to("8.8.8.8:53", 32, "UDP")], &[])),
        // S-21: outbound TCP is judged before it has a local address.
        mistake(
            LocalNetworkOutbound,
            0,
            filter("allow", [(six(None, 0, Some("192.168.1.0"), 24, "TCP", "outbound"), "drop")]),
        )
        .meant(outbound("192.0.2.1:80"), "filterData"),
        mistake(
            LocalNetworkOutbound,
            0,
            filter("allow", [(six(None, 0, Some("192.168.1.5:22"), 32, "any", "any"), "drop")]),
        )
        .meant(
            json!({"remoteEndpoint": "192.0.2.1:50000", "localEndpoint": "192.168.1.5:22",
                "socketProtocol": 6, "direction": "inbound"}),
            "drop",
        ),
        // S-25, S-26: one port a rule, in digits.
        mistake(Ports, 0, filter("allow", [(to("192.0.2.0:8000-8003", 24, "TCP"), "drop")]))
            .meant(outbound("192.0.2.7:8003"), "drop")
            .meant(outbound("192.0.2.7:8004"), "allow"),
        mistake(Ports, 0, filter("allow", [(to("192.0.2.0:1024-65535", 24, "TCP"), "drop")]))
            .meant(outbound("192.0.2.7:50000"), "filterData"),
        mistake(
            Ports,
            0,
            filter(
                "allow",
                [(json!({"destinationNetwork": {"hostname": "192.0.2.1", "port": "https"},
                    "destinationPrefix": 32, "protocol": "TCP"}), "drop")],
            ),
        )
        .meant(outbound("192.0.2.1:443"), "drop"),
        mistake(
            Ports,
            0,
            filter(
                "allow",
                [(
                    json!({"destinationNetwork": {"hostname": "192.0.2.1", "port": "80 - 82"},
                        "destinationPrefix": 32, "protocol": "TCP"}),
                    "drop",
                )],
            ),
        )
        .meant(outbound("192.0.2.1:82"), "drop")
        .meant(outbound("192.0.2.1:83"), "allow"),
        mistake(
            Ports,
            0,
            proxy(
                &[],
                &[json!({"destinationNetwork": {"hostname": "192.0.2.1", "port": "1..900"},
                    "destinationPrefix": 32, "protocol": "TCP"})],
            ),
        ),
        mistake(
            Ports,
            0,
            filter(
                "allow",
                [(json!({"destinationNetwork": {"hostname": "192.0.2.1", "port": 70000},
                    "destinationPrefix": 32, "protocol": "TCP"}), "drop")],
            ),
        )
        .beyond_rules(),
        mistake(
            Ports,
            0,
            filter("allow", (0..40).map(|port| (to(&format!("192.0.2.1:{}", 8000 + 2 * port), 32, "TCP"), "drop"))),
        )
        .meant(outbound("192.0.2.1:8002"), "filterData"),
        mistake(Ports, 0, proxy(&[to("0.0.0.0:1000-2000", 0, "TCP")], &[])),
        mistake(Ports, 0, proxy(&[], &[to("192.0.2.1:1000-2000", 32, "TCP")])),
        mistake(Ports, 0, proxy(&many(1001), &[])).of_settings().beyond_rules(),
        // S-61 and S-62: the number of rules.
        mistake(TooManyRules, 0, filter("allow", many(1001).into_iter().map(|rule| (rule, "drop"))))
            .of_settings()
            .beyond_rules(),
        mistake(DefaultWithoutRules, 0, filter("drop", []))
            .of_settings()
            .meant(outbound("192.0.2.1:80"), "drop"),
        mistake(DefaultWithoutRules, 0, filter("allow", []))
            .of_settings()
            .meant(outbound("192.0.2.1:80"), "allow"),
        // S-60: the first rule that matches gives the action.
        mistake(
            Shadowed,
            1,
            filter("filterData", [(to("10.0.0.0", 8, "any"), "allow"), (to("10.0.0.5", 32, "TCP"), "drop")]),
        )
        .meant(outbound("10.0.0.5:80"), "drop")
        .meant(outbound("10.0.0.6:80"), "allow"),
        mistake(
            Shadowed,
            1,
            filter("allow", [(host("example.com"), "drop"), (host("www.Example.com."), "drop")]),
        ),
        mistake(
            Shadowed,
            2,
            filter(
                "allow",
                [
                    (to("192.0.2.1:1000-2000", 32, "TCP"), "drop"),
                    (to("192.0.2.1:3000-4000", 32, "TCP"), "drop"),
                    (to("192.0.2.1:3500", 32, "TCP"), "drop"),
                ],
            ),
        ),
        mistake(Shadowed, 0, proxy(&[to("10.1.0.0", 16, "any")], &[to("10.0.0.0", 8, "any")])),
        // S-42: stars at the ends are trimmed, stars inside are ordinary characters.
        mistake(StarInName, 0, filter("filterData", [(host("*.example.com"), "drop")])),
        mistake(StarInName, 0, filter("allow", [(host("cdn.*.example.com"), "drop")]))
            .meant(
                json!({"socketProtocol": 6, "direction": "outbound",
                    "remoteHostname": "cdn.eu.example.com"}),
                "filterData",
            ),
        mistake(StarInName, 0, filter("filterData", [(host("a*b"), "drop")])).beyond_rules(),
        // S-41: a single label names one host.
        mistake(SingleLabel, 0, filter("filterData", [(host("com"), "drop")])),
        mistake(SingleLabel, 0, filter("filterData", [(host("*.local"), "drop")])).beyond_rules(),
        // S-44: flows of BSD sockets carry no name.
        mistake(HostRuleAlone, 0, filter("allow", [(host("example.com"), "drop")]))
            .meant(outbound("192.0.2.1:443"), "filterData"),
        mistake(
            HostRuleAlone,
            1,
            filter(
                "allow",
                [
                    (to("192.0.2.1:80", 32, "TCP"), "drop"),
                    (json!({"destinationHost": "example.com:443", "protocol": "TCP"}), "drop"),
                ],
            ),
        )
        .meant(outbound("192.0.2.1:443"), "filterData")
        .meant(outbound("[2001:db8::1]:443"), "filterData"),
        // S-31: ping gets the default action.
        mistake(OtherProtocols, 0, filter("allow", [(everything(), "drop")])).meant(
            json!({"remoteEndpoint": "[2001:db8::1]:0", "socketProtocol": 58, "direction": "outbound"}),
            "drop",
        ),
        mistake(
            OtherProtocols,
            1,
            filter(
                "drop",
                [
                    (six(Some("::"), 0, None, 0, "any", "any"), "allow"),
                    (six(Some("0.0.0.0"), 0, None, 0, "any", "any"), "allow"),
                ],
            ),
        ),
        mistake(
            OtherProtocols,
            0,
            filter("filterData", [(json!({"destinationNetwork": "192.0.2.1", "destinationPrefix": 32,
                "protocol": 1}), "drop")]),
        ),
        mistake(
            OtherProtocols,
            0,
            proxy(&[json!({"destinationNetwork": "192.0.2.1", "destinationPrefix": 32,
                "protocol": "ICMP"})], &[]),
        ),
        // S-20: flows to mapped addresses count as IPv4.
        mistake(MappedAddress, 0, filter("allow", [(to(mapped, 120, "TCP"), "drop")]))
            .meant(outbound("192.0.2.7:443"), "drop")
            .meant(outbound("192.0.3.7:443"), "allow"),
        mistake(MappedAddress, 0, filter("allow", [(to("::ffff:0:0", 96, "any"), "drop")]))
            .meant(outbound("192.0.2.7:443"), "drop"),
        mistake(MappedAddress, 0, filter("allow", [(to("::ffff:10.0.0.0", 8, "any"), "drop")]))
            .meant(outbound("10.1.1.1:443"), "drop")
            .meant(outbound("192.0.2.7:443"), "allow"),
        mistake(MappedAddress, 0, filter("allow", [(to("::ffff:0.0.0.0", 104, "any"), "drop")]))
            .meant(outbound("0.1.2.3:443"), "drop"),
        mistake(MappedAddress, 0, filter("allow", [(to("::ffff:0.0.0.0", 128, "any"), "drop")]))
            .beyond_rules(),
        mistake(MappedAddress, 0, proxy(&[to("::ffff:0:0", 96, "any")], &[])),
        // S-12: out of range.
        mistake(PrefixTooLong, 0, filter("allow", [(to("10.0.0.1", 33, "any"), "drop")]))
            .meant(outbound("10.0.0.1:80"), "drop")
            .meant(outbound("10.0.0.2:80"), "allow"),
        mistake(PrefixTooLong, 0, filter("allow", [(to("10.0.0.1", i64::MAX as u64, "any"), "drop")])),
        mistake(
            PrefixTooLong,
            0,
            filter("allow", [(json!({"remoteNetwork": "2001:db8::1", "remotePrefix": -1,
                "protocol": "any"}), "drop")]),
        )
        .meant(outbound("[2001:db8::1]:80"), "drop"),
        // S-43: bytes are compared.
        mistake(NonAsciiName, 0, filter("filterData", [(host("b\u{fc}cher.example"), "drop")])).meant(
            json!({"socketProtocol": 6, "direction": "outbound",
                "remoteHostname": "www.xn--bcher-kva.example"}),
            "drop",
        ),
        mistake(NonAsciiName, 0, filter("filterData", [(host("bu\u{308}cher.example"), "drop")]))
            .beyond_rules(),
        // S-63: remediate is not there on macOS.
        mistake(UnsupportedAction, 0, filter("allow", [(to("192.0.2.1", 32, "any"), "remediate")]))
            .meant(outbound("192.0.2.1:80"), "filterData"),
        mistake(UnsupportedAction, 0, filter("invalid", [(to("192.0.2.1", 32, "any"), "drop")]))
            .of_settings()
            .meant(outbound("192.0.2.2:80"), "filterData"),
        // S-11: prefix length 0 as a trick.
        mistake(LoopbackPrefixZero, 0, proxy(&[to("127.0.0.1", 0, "any")], &[])),
        mistake(LoopbackPrefixZero, 0, proxy(&[to("[::1]:443", 0, "TCP")], &[])),
        // S-64: only filterData is documented for loopback.
        mistake(LoopbackAction, 0, filter("allow", [(to("127.0.0.1", 32, "any"), "drop")]))
            .meant(outbound("127.0.0.1:80"), "filterData"),
        mistake(
            LoopbackAction,
            0,
            filter("filterData", [(six(None, 0, Some("::1"), 128, "any", "inbound"), "allow")]),
        ),
    ]
}

/// Rules for so many hosts.
fn many(count: u32) -> Vec<Value> {
    (0..count).map(|n| to(&format!("10.0.{}.{}", n / 256, n % 256), 32, "any")).collect()
}

/// Settings close to a mistake that have none of it.
fn fine() -> Vec<(LintCode, Value)> {
    use LintCode::*;
    let loopback =
        || [(to("127.0.0.1", 32, "any"), "filterData"), (to("::1", 128, "any"), "filterData")];
    vec![
        (PrefixZero, filter("allow", [(to("111.111.111.111", 32, "TCP"), "drop")])),
        (
            PrefixZero,
            filter("allow", [(to("0.0.0.0:443", 0, "TCP"), "drop"), (everything(), "drop")]),
        ),
        (PrefixZero, filter("allow", [(to("0.0.0.1", 1, "any"), "drop")])),
        (
            NameInNetwork,
            filter(
                "allow",
                [(host("example.com"), "drop"), (to("fe80::1%en0", 128, "any"), "drop")],
            ),
        ),
        (AddressInHostRule, filter("allow", [(host("192.example.com"), "drop")])),
        (LoopbackUnnamed, filter("drop", [(everything(), "allow")])),
        (LoopbackUnnamed, filter("drop", [(six(None, 0, None, 0, "TCP", "any"), "filterData")])),
        (
            LoopbackUnnamed,
            filter("drop", [(six(None, 0, None, 0, "any", "inbound"), "filterData")]),
        ),
        (
            LoopbackUnnamed,
            filter("drop", loopback().into_iter().chain([(everything(), "filterData")])),
        ),
        (LoopbackUnnamed, filter("filterData", [])),
        (OneLoopbackFamily, filter("allow", loopback())),
        (OneLoopbackFamily, filter("allow", [(to("128.0.0.0", 1, "any"), "drop")])),
        (OneLoopbackFamily, filter("allow", [(to("127.0.0.2", 32, "any"), "drop")])),
        (
            LoopbackNetworkAsHost,
            filter(
                "allow",
                [(to("127.0.0.0", 8, "any"), "drop"), (to("127.0.0.1", 32, "any"), "drop")],
            ),
        ),
        (
            OneWildcardFamily,
            filter(
                "allow",
                [(to("0.0.0.0:443", 0, "TCP"), "drop"), (to("[::]:443", 0, "TCP"), "drop")],
            ),
        ),
        (
            OneWildcardFamily,
            filter("allow", [(to("0.0.0.0:443", 0, "TCP"), "drop"), (everything(), "filterData")]),
        ),
        (
            OneWildcardFamily,
            filter(
                "allow",
                [
                    (to("0.0.0.0:443", 0, "TCP"), "drop"),
                    (six(Some("[::]:443"), 0, None, 0, "any", "any"), "allow"),
                ],
            ),
        ),
        (OneWildcardFamily, filter("filterData", [(to("0.0.0.0:443", 0, "TCP"), "filterData")])),
        (
            OneWildcardFamily,
            filter(
                "allow",
                [(six(Some("0.0.0.0:443"), 0, Some("10.0.0.0"), 8, "TCP", "inbound"), "drop")],
            ),
        ),
        (
            WildcardWithPrefix,
            filter("allow", [(to("0.0.0.0", 0, "any"), "drop"), (to("0.0.0.1", 8, "any"), "drop")]),
        ),
        // Any port is fine beside nil (S-93), a real network (S-96), and in a filter (S-65).
        (
            ProxyWildcardAnyPort,
            proxy(
                &[six(None, 0, None, 0, "any", "outbound"), to("0.0.0.0:443", 0, "any")],
                &[to("10.0.0.0", 8, "any")],
            ),
        ),
        (ProxyWildcardAnyPort, filter("allow", [(to("0.0.0.0", 0, "any"), "filterData")])),
        (
            ProxyRuleForm,
            proxy(&[six(None, 0, None, 0, "any", "outbound")], &[to("8.8.8.8:54", 32, "UDP")]),
        ),
        (
            ProxyRuleForm,
            proxy(&[json!({"destinationHost": "example.com:53", "protocol": "UDP"})], &[]),
        ),
        (
            ProxyRuleForm,
            filter("allow", [(six(None, 0, Some("192.0.2.1:53"), 32, "UDP", "any"), "drop")]),
        ),
        // Accepted connections and UDP have a local address; a wildcard holds 0.0.0.0 too.
        (
            LocalNetworkOutbound,
            filter("allow", [(six(None, 0, Some("192.168.1.5:22"), 32, "TCP", "inbound"), "drop")]),
        ),
        (
            LocalNetworkOutbound,
            filter("allow", [(six(None, 0, Some("0.0.0.0:5353"), 0, "UDP", "outbound"), "drop")]),
        ),
        (
            LocalNetworkOutbound,
            filter("allow", [(six(None, 0, Some("0.0.0.0"), 0, "TCP", "outbound"), "drop")]),
        ),
        (
            Ports,
            filter(
                "allow",
                [(to("192.0.2.1:0443", 32, "TCP"), "drop"), (to("192.0.2.2", 32, "TCP"), "drop")],
            ),
        ),
        (
            Ports,
            filter(
                "allow",
                (0..31).map(|port| (to(&format!("192.0.2.1:{}", 80 + port), 32, "TCP"), "drop")),
            ),
        ),
        (
            Ports,
            filter(
                "allow",
                (0..40).map(|n| (to(&format!("192.0.2.{n}:{}", 80 + n), 32, "TCP"), "drop")),
            ),
        ),
        (Ports, proxy(&many(1000), &[])),
        (TooManyRules, filter("allow", many(1000).into_iter().map(|rule| (rule, "drop")))),
        (DefaultWithoutRules, filter("filterData", [])),
        (DefaultWithoutRules, filter("drop", [(to("192.0.2.1", 32, "any"), "allow")])),
        // The one rule of the two cannot be read, which is not that there is none.
        (DefaultWithoutRules, filter("drop", [(to("192.0.2.1", 33, "any"), "allow")])),
        (
            Shadowed,
            filter(
                "filterData",
                [(to("10.0.0.5", 32, "TCP"), "drop"), (to("10.0.0.0", 8, "any"), "allow")],
            ),
        ),
        // Nil matches no loopback, TCP no UDP, a wildcard no other family, one port no other.
        (
            Shadowed,
            filter("allow", [(everything(), "drop"), (to("127.0.0.0", 8, "any"), "filterData")]),
        ),
        (Shadowed, filter("allow", [(everything(), "drop"), (to("126.0.0.0", 7, "any"), "drop")])),
        (Shadowed, filter("allow", [(everything(), "drop"), (to("1.2.3.4", 0, "any"), "drop")])),
        (Shadowed, filter("allow", [(everything(), "drop"), (to("::1", 1, "any"), "drop")])),
        (Shadowed, filter("allow", [(everything(), "drop"), (host("localhost"), "allow")])),
        (
            Shadowed,
            filter(
                "allow",
                [(to("10.0.0.0", 8, "TCP"), "drop"), (to("10.0.0.0", 8, "any"), "drop")],
            ),
        ),
        (
            Shadowed,
            filter(
                "allow",
                [(to("0.0.0.0:443", 0, "TCP"), "drop"), (to("[::]:443", 0, "TCP"), "drop")],
            ),
        ),
        (
            Shadowed,
            filter(
                "allow",
                [
                    (to("10.0.0.0:80-90", 8, "TCP"), "drop"),
                    (to("10.0.0.0:85-95", 8, "TCP"), "drop"),
                ],
            ),
        ),
        (Shadowed, filter("allow", [(host("com"), "drop"), (host("example.com"), "drop")])),
        (
            Shadowed,
            filter(
                "allow",
                [(to("fe80::%en0", 10, "any"), "drop"), (to("fe80::1%en1", 128, "any"), "drop")],
            ),
        ),
        (Shadowed, proxy(&[to("10.0.0.0", 8, "any")], &[to("10.1.0.0", 16, "any")])),
        (StarInName, filter("allow", [(host("example.com"), "drop")])),
        (
            SingleLabel,
            filter(
                "allow",
                [(host("localhost"), "drop"), (host("printer."), "drop"), (host("a.b"), "drop")],
            ),
        ),
        (HostRuleAlone, filter("filterData", [(host("example.com"), "drop")])),
        (
            HostRuleAlone,
            filter("allow", [(host("example.com"), "drop"), (to("192.0.2.1", 32, "any"), "drop")]),
        ),
        (HostRuleAlone, filter("drop", [(host("example.com"), "drop")])),
        (OtherProtocols, filter("drop", [(everything(), "drop")])),
        (OtherProtocols, filter("filterData", [(everything(), "drop")])),
        (OtherProtocols, filter("allow", [(six(None, 0, None, 0, "TCP", "any"), "drop")])),
        (
            MappedAddress,
            filter(
                "allow",
                [(to("64:ff9b::", 96, "any"), "drop"), (to("::1", 128, "any"), "filterData")],
            ),
        ),
        (
            PrefixTooLong,
            filter(
                "allow",
                [
                    (to("2001:db8::1", 128, "any"), "drop"),
                    (six(None, 999, None, 999, "any", "any"), "filterData"),
                ],
            ),
        ),
        (NonAsciiName, filter("allow", [(host("xn--bcher-kva.example"), "drop")])),
        (UnsupportedAction, filter("allow", [(to("192.0.2.1", 32, "any"), "filterData")])),
        (
            LoopbackPrefixZero,
            proxy(&[to("111.111.111.111", 0, "any")], &[to("127.0.0.1", 32, "any")]),
        ),
        (LoopbackPrefixZero, filter("allow", [(to("127.0.0.1", 0, "any"), "drop")])),
        (LoopbackAction, filter("allow", loopback())),
        (
            LoopbackAction,
            filter(
                "allow",
                [(to("127.0.0.2", 32, "any"), "drop"), (to("64.0.0.0", 2, "any"), "drop")],
            ),
        ),
    ]
}

#[test]
fn every_code_has_mistakes_and_settings_without_it() {
    let all: BTreeSet<_> = LintCode::ALL.iter().copied().collect();
    let seen: BTreeSet<_> = mistakes().iter().map(|mistake| mistake.code).collect();
    let not_seen: BTreeSet<_> = fine().iter().map(|(code, _)| *code).collect();
    assert_eq!((&seen, &not_seen), (&all, &all));
}

#[test]
fn every_mistake_is_seen_at_its_rule_and_mended_by_the_suggestion() {
    for mistake in mistakes() {
        let Mistake { code, settings, .. } = &mistake;
        let text = serde_json::to_string_pretty(settings).unwrap();
        let report = lint(&text);
        assert!(report.errors.is_empty(), "{code} {text}: {:?}", report.errors);
        let found = report
            .lints
            .iter()
            .find(|found| found.lint.code() == *code && found.lint.rule_index() == mistake.rule);
        let Some(found) = found else { panic!("no {code} in {text}: {:?}", report.lints) };
        check_place(&report, found);

        let Some(suggestion) = found.lint.suggestion() else {
            assert!(mistake.is_beyond_rules, "{code} suggests nothing for {text}");
            continue;
        };
        assert!(!mistake.is_beyond_rules, "{code} {text}: {suggestion:?}");
        let mended = applied(settings, found);
        let after = lint(&mended);
        assert!(after.errors.is_empty(), "{code} {mended}: {:?}", after.errors);
        let codes: Vec<_> = after.lints.iter().map(|found| found.lint.code()).collect();
        assert!(!codes.contains(code), "{code} {text} is still in {mended}");
        for (flow, action) in &mistake.meant {
            let settings = settings::read(mended.as_bytes()).unwrap();
            let flow_line = flow.to_string();
            let flow = flow_lines::read(&flow_line).unwrap();
            let decision = reference::decide(&settings, Precedence::FirstMatch, &flow);
            assert_eq!(decision.action().as_str(), *action, "{code} {flow} by {mended}");
        }
    }
}

/// The mistakes would be none if the flows got what is meant without the suggestion.
#[test]
fn flows_get_another_action_before_a_mistake_is_mended() {
    let mut count = 0;
    for mistake in mistakes().iter().filter(|mistake| !mistake.meant.is_empty()) {
        let text = mistake.settings.to_string();
        let Ok(settings) = settings::read(text.as_bytes()) else { continue };
        let differs = |(flow, action): &(Value, &str)| {
            let flow = flow.to_string();
            let flow = flow_lines::read(&flow).unwrap();
            reference::decide(&settings, Precedence::FirstMatch, &flow).action().as_str() != *action
        };
        let is_about_form = matches!(
            mistake.code,
            LintCode::DefaultWithoutRules | LintCode::LocalNetworkOutbound | LintCode::Ports
        );
        if !is_about_form {
            assert!(mistake.meant.iter().any(differs), "{} {text}", mistake.code);
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}

#[test]
fn settings_close_to_a_mistake_do_not_have_it() {
    for (code, settings) in fine() {
        let text = settings.to_string();
        let report = lint(&text);
        assert!(report.errors.is_empty(), "{code} {text}: {:?}", report.errors);
        let found = report.lints.iter().find(|found| found.lint.code() == code);
        assert!(found.is_none(), "{text}: {found:?}");
    }
}

/// The text of the lint stands where it is said to stand.
fn check_place(report: &Report<'_>, found: &PlacedLint) {
    let part = &report.text[found.span.clone()];
    serde_json::from_str::<Value>(part).unwrap_or_else(|error| panic!("{error}: {part}"));
    let line = report.text.lines().nth(found.line as usize - 1).unwrap();
    let rest: String = line.chars().skip(found.column as usize - 1).collect();
    assert!(rest.starts_with(part.lines().next().unwrap()), "{found:?}: {rest}");
    if let Some(key) = found.lint.key() {
        let before = &report.text[..found.span.start];
        let is_absent = !report.text.contains(&format!("\"{key}\""));
        assert!(
            is_absent || before.trim_end().ends_with(&format!("\"{key}\":")),
            "{key}: {before}"
        );
    }
}

fn lint(text: &str) -> Report<'_> {
    lints::lint(text.as_bytes(), None).unwrap()
}

/// Applies the suggestion as it stands in the lint line to the settings as they stand in the file.
fn applied(settings: &Value, found: &PlacedLint) -> String {
    let line: Value = serde_json::from_str(&lints::write(found)).unwrap();
    let mut settings = settings.clone();
    for edit in line["suggestion"].as_array().unwrap() {
        if let Some(action) = edit.get("defaultAction") {
            settings["defaultAction"] = action.clone();
            continue;
        }
        let rules = settings[edit["list"].as_str().unwrap()].as_array_mut().unwrap();
        let at = edit["at"].as_u64().unwrap() as usize;
        let end = at + edit["remove"].as_u64().unwrap() as usize;
        rules.splice(at..end, edit["insert"].as_array().unwrap().iter().cloned());
    }
    settings.to_string()
}

#[test]
fn suggestions_apply_to_settings_as_they_do_to_their_text() {
    for mistake in mistakes() {
        let text = mistake.settings.to_string();
        let Ok(settings) = settings::read(text.as_bytes()) else { continue };
        for found in lint(&text).lints {
            let Some(suggestion) = found.lint.suggestion() else { continue };
            let mended = settings::read(applied(&mistake.settings, &found).as_bytes()).unwrap();
            assert_eq!(suggestion.apply_to_filter(&settings), mended, "{text}");
        }
        let of_library: Vec<_> = flowsieve::lint(&settings);
        let of_text: Vec<_> = lint(&text).lints.into_iter().map(|found| found.lint).collect();
        assert_eq!(of_library, of_text, "{text}");
    }
}

#[test]
fn rules_of_a_filter_are_linted_as_those_of_a_proxy_on_request() {
    let settings = filter(
        "allow",
        [
            (to("0.0.0.0:443", 0, "TCP"), "filterData"),
            (six(None, 0, None, 0, "any", "any"), "filterData"),
            (to("10.0.0.0", 8, "any"), "allow"),
            (to("10.1.1.1", 32, "TCP"), "filterData"),
            (to("0.0.0.0", 8, "UDP"), "allow"),
        ],
    );
    let text = settings.to_string();
    let report = lints::lint(text.as_bytes(), Some(Purpose::Proxy)).unwrap();
    let found = |report: &Report<'_>| -> Vec<_> {
        report.lints.iter().map(|f| (f.lint.code(), f.lint.rule_index().unwrap())).collect()
    };
    use LintCode::*;
    let expected =
        [(ProxyRuleForm, 1), (Shadowed, 3), (WildcardWithPrefix, 4), (ProxyWildcardAnyPort, 4)];
    // The nil rule sees to IPv6, so that nothing is said of rule 0.
    assert_eq!(found(&report), expected, "{:?}", report.lints);
    assert_eq!(report.lints[1].lint.related(), Some((RuleList::Rules, 2)));
    let mended = applied(&settings, &report.lints[3]);
    assert_eq!(serde_json::from_str::<Value>(&mended).unwrap()["rules"][4]["action"], "allow");
    let after = lints::lint(mended.as_bytes(), Some(Purpose::Proxy)).unwrap();
    assert!(!found(&after).contains(&(ProxyWildcardAnyPort, 4)));
}

#[test]
fn rules_that_cannot_be_read_do_not_hide_the_others() {
    let text = r#"{"rules": [
        {"networkRule": {"destinationNetwork": "10.0.0.1", "destinationPrefix": 64, "protocol": "any"}, "action": "drop"},
        {"networkRule": {"destinationNetwork": "192.0.2.1", "destinationPrefix": 0, "protocol": "any"}, "action": "drop"},
        {"networkRule": {"destinationNetwork": "10.0.0.1",
            "prefix": 64, "protocol": "any"}, "action": "drop"},
        {"networkRule": {"destinationNetwork": "192.0.2.0", "destinationPrefix": 24, "protocol": "any"}, "action": "drop"}
    ], "defaultAction": "nothing"}"#;
    let report = lint(text);
    let found = report.lints.iter();
    let found =
        found.map(|found| (found.lint.code().as_str(), found.lint.rule_index(), found.line));
    let expected = [("L-23", Some(0), 2), ("L-01", Some(1), 3), ("L-15", Some(3), 6)];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let errors: Vec<_> = report.errors.iter().map(ToString::to_string).collect();
    let expected = [
        "line 5, column 13: rule 2, key `prefix`: unknown key",
        "line 7, column 25: key `defaultAction`: unknown action `nothing`: expected `allow`, `drop` \
         or `filterData`",
    ];
    assert_eq!(errors, expected);
    assert_eq!(report.rule_count, 4);
}

#[test]
fn examples_and_vectors_have_only_the_lints_that_are_due() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("examples/prefix-32.json")).unwrap();
    assert_eq!(lint(&text).lints, []);
    let text = std::fs::read_to_string(root.join("examples/prefix-0.json")).unwrap();
    let found = &lint(&text).lints;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].lint.code(), found[0].line, found[0].column),
        (LintCode::PrefixZero, 6, 25)
    );
    assert_eq!(found[0].label.as_deref(), Some("outgoing TCP to 111.111.111.111"));

    let vectors = std::fs::read_to_string(root.join("tests/vectors/settings.json")).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&vectors).unwrap();
    let mut found = Vec::new();
    for vector in &vectors {
        let text = vector["settings"].to_string();
        let codes: Vec<_> =
            lint(&text).lints.iter().map(|found| found.lint.code().as_str()).collect();
        if !codes.is_empty() {
            found.push(format!("{} {}", vector["id"].as_str().unwrap(), codes.join(" ")));
        }
    }
    assert_eq!(found, DUE_IN_VECTORS);
}

/// The vectors are about the very behaviours that the lints warn of.
const DUE_IN_VECTORS: [&str; 16] = [
    "W-009 L-04 L-19",
    "W-012 L-05",
    "W-013 L-05 L-19",
    "W-015 L-05",
    "W-016 L-04 L-19",
    "W-018 L-01",
    "W-019 L-01",
    "W-020 L-01",
    "W-025 L-04",
    "W-029 L-18",
    "W-031 L-17 L-18",
    "W-032 L-18",
    "W-033 L-11",
    "W-036 L-11",
    "W-039 L-18",
    "W-040 L-11",
];

#[test]
fn codes_print_as_they_read_and_are_listed_in_the_documentation() {
    let documentation = include_str!("../src/lint.md");
    for code in LintCode::ALL {
        assert_eq!(code.to_string().parse(), Ok(*code));
        assert_eq!(code.to_string().to_lowercase().parse(), Ok(*code));
        let row =
            format!("| {code} | {} | {} | {} |", code.severity(), code.title(), code.clause());
        assert!(documentation.contains(&row), "{row}");
    }
    assert!("L-20".parse::<LintCode>().is_err());
    let codes: Vec<String> = (1..=27).map(|n| format!("| L-{n:02} |")).collect();
    assert!(codes.iter().all(|code| documentation.matches(code.as_str()).count() == 1));
    assert!(LintCode::ALL.is_sorted());
    let names: Vec<_> = LintCode::ALL.iter().map(|code| code.as_str()).collect();
    assert!(names.is_sorted());
}

#[test]
fn linting_takes_time_in_proportion_to_the_rules() {
    // Blocks, hosts, ports and names, none of which covers another.
    let rules = (0..100_000_u32).map(|n| {
        let (a, b, c) = (n % 200 + 1, n / 200 % 256, n / 51_200);
        let rule = match n % 4 {
            0 => to(&format!("{a}.{b}.{c}.0:443"), 24, "TCP"),
            1 => to(&format!("{a}.{b}.{c}.77"), 32, "UDP"),
            2 => to(&format!("2001:db8:{:x}::", n / 4), 48, "any"),
            _ => host(&format!("host-{n}.example.com")),
        };
        (rule, "drop")
    });
    let text = filter("allow", rules).to_string();
    let settings = settings::read(text.as_bytes()).unwrap();
    let start = std::time::Instant::now();
    let found = flowsieve::lint(&settings);
    // A second in an optimised build; tests are not.
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    let codes: Vec<_> = found.iter().map(|lint| lint.code().as_str()).collect();
    assert_eq!(codes, ["L-13"]);
}
