//! Claims about decisions, on generated settings and flows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use flowsieve::{
    Action, Decision, Direction, Endpoint, FilterRule, FilterSettings, Flow, Host, IpProtocol,
    Matcher, NetworkRule, Ports, Precedence, Protocol, Reason, reference,
};
use flowsieve_testkit::agreement::{Shown, check_agreement_on, check_rules};
use flowsieve_testkit::completion::{check_final, check_pending};
use flowsieve_testkit::config;
use flowsieve_testkit::lints::check_lints;
use flowsieve_testkit::specs::{ActionSpec, Case, RuleSpec};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use std::net::IpAddr;

const REGRESSIONS: &str = "tests/proptest-regressions/properties.txt";

#[test]
fn rules_of_any_host_with_a_local_port_are_found_where_most_rules_have_a_local_side() {
    for (address, count) in [("192.0.2.1", 60), ("2001:db8::1", 17)] {
        let rules = (0..count).map(|index| {
            let (local, any) = (Endpoint::new(address, "443").unwrap(), Direction::Any);
            let protocol = [Protocol::Tcp, Protocol::Udp][index % 2];
            let rule = NetworkRule::remote_network(None, 0, Some(local), 0, protocol, any);
            FilterRule::new(rule.unwrap(), Action::ALL[index % 3])
        });
        let settings = FilterSettings::new(rules.collect(), Action::Allow);
        let address: IpAddr = address.parse().unwrap();
        let flow = |protocol, port| {
            Flow::new(protocol, Direction::Outbound)
                .with_remote_address(address, None, 0)
                .with_local_address(address, None, port)
        };
        let protocols = [IpProtocol::TCP, IpProtocol::UDP, IpProtocol(1)];
        let flows = protocols.map(|protocol| [443, 444, 0].map(|port| flow(protocol, port)));
        check_agreement_on(&settings, flows.as_flattened());
    }
}

proptest! {
    #![proptest_config(config(6000, REGRESSIONS))]

    #[test]
    fn every_matcher_agrees_with_the_reference(case: Case) {
        let (settings, flows) = case.build();
        check_agreement_on(&settings, &flows);
    }

    #[test]
    fn every_rule_agrees_with_the_naive_match_and_is_pending_only_if_it_could_match(case: Case) {
        let (settings, flows) = case.build();
        flows.iter().for_each(|flow| check_rules(&settings, flow));
    }

    #[test]
    fn lints_are_true_of_the_rules_and_mended_by_what_they_suggest(case: Case) {
        let (settings, flows) = case.build();
        check_lints(&settings, &flows);
    }

    #[test]
    fn a_final_action_stands_whatever_becomes_known(case: Case) {
        let (settings, flows) = case.build();
        for flow in &flows {
            Precedence::ALL.iter().for_each(|p| check_final(&settings, *p, flow));
        }
    }
}

proptest! {
    #![proptest_config(config(3000, REGRESSIONS))]

    #[test]
    fn appending_a_rule_changes_nothing_that_a_rule_decided(case: Case, rule: RuleSpec) {
        let (settings, flows) = case.build();
        let mut rules = settings.rules().to_vec();
        rules.push(rule.build());
        let longer = FilterSettings::new(rules, settings.default_action());
        for flow in &flows {
            let before = decide(&settings, flow);
            if before.rule().is_some() {
                assert_eq!(decide(&longer, flow), before, "longer, before {}", Shown(&longer, flow));
            }
        }
    }

    #[test]
    fn swapping_neighbours_of_one_action_never_changes_the_action(case: Case, at: usize) {
        let (settings, flows) = case.build();
        let mut rules = settings.rules().to_vec();
        let Some(first) = at.checked_rem(rules.len().saturating_sub(1)) else { return Ok(()) };
        let action = rules[first].action();
        rules[first + 1] = FilterRule::new(rules[first + 1].network_rule().clone(), action);
        let settings = FilterSettings::new(rules.clone(), settings.default_action());
        rules.swap(first, first + 1);
        let swapped = FilterSettings::new(rules, settings.default_action());
        for flow in &flows {
            let (before, after) = (decide(&settings, flow), decide(&swapped, flow));
            assert_eq!(after.action(), before.action(), "{first}: {}", Shown(&settings, flow));
        }
    }

    #[test]
    fn longest_prefix_is_first_match_after_a_stable_sort_by_prefix_length(case: Case) {
        let (settings, flows) = case.build();
        let compared_bits = |rule: &FilterRule| {
            let remote = rule.network_rule().remote_side();
            remote.map_or(0, |side| if side.is_explicit() { side.prefix().unwrap() } else { 0 })
        };
        let mut sorted: Vec<(usize, FilterRule)> =
            settings.rules().iter().cloned().enumerate().collect();
        sorted.sort_by_key(|(_, rule)| std::cmp::Reverse(compared_bits(rule)));
        let (origin, rules): (Vec<usize>, Vec<FilterRule>) = sorted.into_iter().unzip();
        let sorted = FilterSettings::new(rules, settings.default_action());
        let longest = Matcher::builder().precedence(Precedence::LongestPrefix);
        let longest = longest.build(&settings).unwrap();
        for flow in &flows {
            let (found, expected) = (longest.decide(flow), decide(&sorted, flow));
            let rule = expected.rule().map(|index| origin[index]);
            let of = Shown(&settings, flow);
            assert_eq!(found.rule(), rule, "longest prefix, first match of {of}");
            assert_eq!(found.action(), expected.action(), "longest prefix, first match of {of}");
            assert_eq!(found.reason(), expected.reason(), "longest prefix, first match of {of}");
            assert_eq!(found.is_final(), expected.is_final(), "longest, first match of {of}");
        }
    }

    #[test]
    fn a_rule_that_stands_twice_never_decides_the_second_time(case: Case, at: usize) {
        let (settings, flows) = case.build();
        let mut rules = settings.rules().to_vec();
        let Some(at) = at.checked_rem(rules.len()) else { return Ok(()) };
        rules.push(rules[at].clone());
        let twice = FilterSettings::new(rules, settings.default_action());
        for flow in &flows {
            let (before, after) = (decide(&settings, flow), decide(&twice, flow));
            assert_eq!(after, before, "twice, once of {}", Shown(&twice, flow));
        }
    }

    #[test]
    fn removing_a_rule_that_could_not_match_moves_indices_and_nothing_else(case: Case, at: usize) {
        let (settings, flows) = case.build();
        let mut rules = settings.rules().to_vec();
        let Some(at) = at.checked_rem(rules.len()) else { return Ok(()) };
        let removed = rules.remove(at);
        let fewer = FilterSettings::new(rules, settings.default_action());
        for flow in &flows {
            if removed.network_rule().test(flow).answer() != flowsieve::Answer::No {
                continue;
            }
            let (before, after) = (decide(&settings, flow), decide(&fewer, flow));
            let of = Shown(&settings, flow);
            let moved = before.rule().map(|rule| if rule > at { rule - 1 } else { rule });
            assert_eq!(after.rule(), moved, "without rule {at}, with it of {of}");
            assert_eq!(after.action(), before.action(), "without rule {at}, with it of {of}");
            assert_eq!(after.reason(), before.reason(), "without rule {at}, with it of {of}");
            assert_eq!(after.is_final(), before.is_final(), "without rule {at}, with it of {of}");
        }
    }

    #[test]
    fn the_default_action_is_only_for_flows_that_no_rule_matches(case: Case, other: ActionSpec) {
        let (settings, flows) = case.build();
        let changed = FilterSettings::new(settings.rules().to_vec(), other.build());
        for flow in &flows {
            let (before, after) = (decide(&settings, flow), decide(&changed, flow));
            let of = Shown(&settings, flow);
            assert_eq!(after.rule(), before.rule(), "with {other:?}, before of {of}");
            let expected = match before.rule() {
                Some(_) => before.action(),
                None if flow.is_loopback() => Action::Allow,
                None => other.build(),
            };
            assert_eq!(after.action(), expected, "with {other:?}, expected of {of}");
        }
    }
}

proptest! {
    #![proptest_config(Config { max_shrink_iters: 300, ..config(16, REGRESSIONS) })]

    // Enough that hash tables of networks fill up, and that lists on nested networks grow long.
    #[test]
    fn thousands_of_networks_are_decided_as_the_reference_does(
        networks in vec((any::<u32>(), any::<u8>(), any::<u8>(), any::<u8>()), 500..3000),
        asked in vec((any::<usize>(), any::<u8>(), any::<bool>()), 100),
    ) {
        let rules: Vec<FilterRule> = networks.iter().map(many_network_rule).collect();
        let settings = FilterSettings::new(rules, Action::FilterData);
        let flows: Vec<Flow<'_>> = asked
            .iter()
            .map(|(index, change, is_bound)| {
                let rule = settings.rules()[index % settings.rules().len()].network_rule();
                let net = rule.remote_side().unwrap().net().unwrap();
                let address = match change % 4 {
                    0 => net.network(),
                    1 => net.broadcast(),
                    2 => neighbour(net.network(), u128::MAX),
                    _ => neighbour(net.broadcast(), 1),
                };
                let port = u16::from(change / 4 % 3) + 442;
                let flow = Flow::new(IpProtocol::TCP, Direction::Outbound);
                let flow = flow.with_remote_address(address, None, port);
                let local = rule.local().net().filter(|_| *is_bound);
                match local {
                    Some(local) => flow.with_local_address(local.broadcast(), None, 443),
                    None => flow,
                }
            })
            .collect();
        check_agreement_on(&settings, &flows);
    }
}

#[test]
fn a_local_network_of_mapped_addresses_is_never_pending() {
    let rule = local_rule("::ffff:10.0.0.1", 96);
    let flow = Flow::new(IpProtocol::TCP, Direction::Outbound);
    let flow = flow.with_remote("[2001:db8::1]:443".parse().unwrap()).unwrap();
    check_pending(&rule, &flow);
}

#[test]
fn a_wildcard_of_the_family_that_the_local_address_will_not_have_is_not_final() {
    // A dual-stack socket: the remote address is IPv4 once folded, and so is the local one.
    let flow = Flow::new(IpProtocol::TCP, Direction::Outbound);
    let flow = flow.with_remote("[::ffff:192.0.2.1]:443".parse().unwrap()).unwrap();
    let flow = flow.with_local("[::]:0".parse().unwrap()).unwrap();
    let allow = FilterRule::new(local_rule("198.51.100.1", 32), Action::Allow);
    let drop = FilterRule::new(local_rule("::", 0), Action::Drop);
    for rules in [vec![drop.clone()], vec![drop.clone(), allow.clone()], vec![allow, drop]] {
        let settings = FilterSettings::new(rules, Action::FilterData);
        check_final(&settings, Precedence::FirstMatch, &flow);
    }
}

#[test]
fn a_local_zone_id_that_is_not_compared_yet_is_not_final() {
    let flow = Flow::new(IpProtocol::UDP, Direction::Outbound);
    let flow = flow.with_remote("[fe80::2]:443".parse().unwrap()).unwrap();
    let flow = flow.with_local("[::]:0".parse().unwrap()).unwrap();
    let drop = FilterRule::new(local_rule("fe80::1%en0", 0), Action::Drop);
    let settings = FilterSettings::new(vec![drop], Action::Allow);
    check_final(&settings, Precedence::FirstMatch, &flow);
}

#[test]
fn the_generator_reaches_every_reason_and_long_lists() {
    let mut runner = TestRunner::deterministic();
    let strategy = any::<Case>();
    let (mut reasons, mut flow_count, mut long_count, mut not_final) = ([0; 4], 0, 0, 0);
    for _ in 0..1000 {
        let (settings, flows) = strategy.new_tree(&mut runner).unwrap().current().build();
        long_count += usize::from(settings.rules().len() > 20);
        for flow in &flows {
            let decision = decide(&settings, flow);
            flow_count += 1;
            not_final += usize::from(!decision.is_final());
            reasons[match decision.reason() {
                Reason::Rule => 0,
                Reason::Default => 1,
                Reason::Loopback => 2,
                Reason::Pending => 3,
            }] += 1;
        }
    }
    let [rule, default, loopback, pending] = reasons;
    let counts = format!("{flow_count} flows: {reasons:?}, {not_final} not final, {long_count}");
    assert!(rule * 5 > flow_count, "{counts}");
    assert!(default * 20 > flow_count, "{counts}");
    assert!(loopback * 200 > flow_count, "{counts}");
    assert!(pending * 20 > flow_count, "{counts}");
    assert!(not_final * 30 > flow_count, "{counts}");
    assert!(long_count > 100, "{counts}");
}

fn decide(settings: &FilterSettings, flow: &Flow<'_>) -> Decision {
    reference::decide(settings, Precedence::FirstMatch, flow)
}

/// A rule for a network of one of four clusters: all of IPv4, a part of it, and the upper and the
/// lower half of an IPv6 address. A few have a local side, most of them any port.
fn many_network_rule((bits, len, ports, rest): &(u32, u8, u8, u8)) -> FilterRule {
    let (bits, docs) = (*bits, 0x2001_0db8_u128);
    let (address, prefix_len): (IpAddr, u8) = match rest % 4 {
        0 => (IpAddr::V4(bits.into()), 8 + len % 25),
        1 => (IpAddr::V4((0x0a00_0000 | bits >> 16).into()), 16 + len % 17),
        2 => (IpAddr::V6((docs << 96 | u128::from(bits) << 64).into()), 28 + len % 37),
        _ => (IpAddr::V6((docs << 96 | u128::from(bits)).into()), 64 + len % 65),
    };
    let ports = if ports % 4 == 0 { u16::from(ports % 3) + 442 } else { 0 };
    let remote = Endpoint::from_parts(Host::Address(address, None), Ports::one(ports));
    let local = IpAddr::from([10, 0, 0, rest / 64]);
    let local = (address.is_ipv4() && rest % 16 < 2).then(|| Endpoint::from(local));
    let rule = NetworkRule::remote_network(
        Some(remote),
        prefix_len.into(),
        local,
        24 + u64::from(len % 9),
        Protocol::Any,
        Direction::Any,
    );
    FilterRule::new(rule.unwrap(), Action::ALL[usize::from(rest / 4 % 3)])
}

/// The address that is `distance` after `address`, wrapping around.
fn neighbour(address: IpAddr, distance: u128) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(u32::from(address).wrapping_add(distance as u32).into()),
        IpAddr::V6(address) => IpAddr::V6(u128::from(address).wrapping_add(distance).into()),
    }
}

fn local_rule(address: &str, prefix: u64) -> NetworkRule {
    let local = Endpoint::new(address, "0").unwrap();
    let direction = Direction::Any;
    NetworkRule::remote_network(None, 0, Some(local), prefix, Protocol::Any, direction).unwrap()
}
