//! Plans: proven, sampled, and compared with every first stage of a small universe.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use flowsieve::{
    Action, Direction, Endpoint, FilterRule, FilterSettings, Flow, Host, IpProtocol, Matcher,
    NetworkRule, PlanError, Ports, Precedence, Protocol, plan, reference, verify_plan,
};
use flowsieve_testkit::config;
use flowsieve_testkit::random::Random;
use flowsieve_testkit::specs::Case;
use flowsieve_testkit::universe::{self, Universe};
use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[test]
fn no_flow_of_the_universe_is_missed() {
    let mut unreachable = 0;
    for seed in 0..150 {
        let mut random = Random(seed);
        let universe = Universe::new(&mut random);
        let settings = universe.settings(&mut random, 7);
        for precedence in Precedence::ALL {
            let limit = random.below(8);
            let sample: &[_] = if random.chance(50) { &universe.flows } else { &[] };
            match plan(&settings, precedence, limit, sample) {
                Ok(plan) => {
                    check(&plan, &settings, precedence, limit, &universe.flows);
                    if !sample.is_empty() {
                        let sent = sent(plan.first_stage(), &universe.flows);
                        let share = sent as f64 / universe.flows.len() as f64;
                        assert!((plan.share() - share).abs() < 1e-9);
                    }
                }
                Err(PlanError::Unreachable(difference)) => {
                    unreachable += 1;
                    let witness = difference.witness();
                    assert!(witness.is_loopback() && !is_tcp_or_udp(witness), "{witness}");
                    let decision = reference::decide(&settings, precedence, witness);
                    assert_ne!(decision.action(), Action::Allow);
                }
                Err(PlanError::TooFewRules { limit: found }) => {
                    assert_eq!(found, limit);
                    assert!(limit < 6, "{}", universe::shown(&settings));
                }
                Err(_) => unreachable!(),
            }
        }
    }
    assert!(unreachable > 0);
}

proptest! {
    #![proptest_config(config(400, "tests/proptest-regressions/plan.txt"))]

    #[test]
    fn no_generated_flow_is_missed(case: Case, limit in 0_usize..40, sampled: bool) {
        let (settings, flows) = case.build();
        let sample: &[_] = if sampled { &flows } else { &[] };
        for precedence in Precedence::ALL {
            if let Ok(plan) = plan(&settings, precedence, limit, sample) {
                check(&plan, &settings, precedence, limit, &flows);
            }
        }
    }

    #[test]
    fn a_first_stage_is_verified_exactly_if_no_flow_is_missed(
        seed: u64,
        is_edited: bool,
    ) {
        let mut random = Random(seed);
        let universe = Universe::new(&mut random);
        let settings = universe.settings(&mut random, 5);
        let mut first = match is_edited {
            true => universe.edited(&mut random, &settings),
            false => universe.settings(&mut random, 5),
        };
        if random.chance(50) {
            let rules = first.rules().iter().map(|rule| {
                let action = if random.chance(70) { Action::FilterData } else { rule.action() };
                FilterRule::new(rule.network_rule().clone(), action)
            });
            first = FilterSettings::new(rules.collect(), Action::FilterData);
        }
        let precedence = Precedence::FirstMatch;
        let found = verify_plan(&first, &settings, precedence);
        let nameless = FilterSettings::new(
            first.rules().iter().filter(|r| r.network_rule().remote_side().is_some()).cloned().collect(),
            first.default_action(),
        );
        let missed = |first: &FilterSettings, flow: &Flow<'_>| {
            let action = reference::decide(first, precedence, flow).action();
            action != Action::FilterData
                && action != reference::decide(&settings, precedence, flow).action()
        };
        let is_missed = |flow: &Flow<'_>| missed(&first, flow) || missed(&nameless, flow);
        let expected = universe.flows.iter().find(|flow| is_missed(flow));
        let shown = || format!("first\n{}{}", universe::shown(&first), universe::shown(&settings));
        assert_eq!(found.is_some(), expected.is_some(), "{found:?}\n{expected:?}\n{}", shown());
        if let Some(found) = found {
            assert!(is_missed(found.witness()), "{found:?}\n{}", shown());
        }
    }
}

#[test]
fn small_plans_are_as_good_as_any_first_stage() {
    // Every prefix of three bits, and those above them that hold all.
    let mut nets: Vec<Ipv4Net> = Vec::new();
    for bits in 29..=32_u8 {
        let base: Ipv4Net = "10.0.0.0/29".parse().unwrap();
        nets.extend(base.subnets(bits).unwrap());
    }
    assert_eq!(nets.len(), 15);
    for seed in 0..40 {
        let mut random = Random(seed);
        // Within the eight addresses; what is around them weighs so much that it is not sent.
        let actions = Action::ALL;
        let rules: Vec<FilterRule> = (0..1 + random.below(6))
            .map(|_| network_rule(nets[random.below(15)].into(), random.pick(&actions)))
            .collect();
        let default = [Action::Allow, Action::Drop][random.below(2)];
        let settings = FilterSettings::new(rules, default);
        let flows: Vec<Flow<'static>> =
            (0..8).map(|host| flow(Ipv4Addr::new(10, 0, 0, host).into())).collect();
        let mut sample: Vec<Flow<'static>> = Vec::new();
        for flow in &flows {
            (0..1 + random.below(5)).for_each(|_| sample.push(flow.clone()));
        }
        // So many that they are not sent.
        let outside = flow(Ipv4Addr::new(11, 0, 0, 1).into());
        let plain = [sample.clone(), vec![outside.clone(); 200]].concat();
        for limit in 1..=3 {
            let by_sample = plan(&settings, Precedence::FirstMatch, limit, &plain).unwrap();
            check(&by_sample, &settings, Precedence::FirstMatch, limit, &flows);
            let by_space = plan(&settings, Precedence::FirstMatch, limit, &[]).unwrap();
            check(&by_space, &settings, Precedence::FirstMatch, limit, &flows);

            // Every first stage of so many rules, with the default of the settings; any other
            // default is worse outside.
            let mut least = [usize::MAX; 2];
            let exact: Vec<Action> = flows.iter().map(|flow| decide(&settings, flow)).collect();
            let from_loopback: Vec<Action> = flows
                .iter()
                .map(|flow| {
                    let local = Ipv4Addr::LOCALHOST.into();
                    decide(&settings, &flow.clone().with_local_address(local, None, 80))
                })
                .collect();
            // Two rules may look after flows from a local loopback address.
            for (room, is_guarded) in [(Some(limit), false), (limit.checked_sub(2), true)] {
                for rules in room.map_or(Vec::new(), every_list) {
                    let is_right = |host: usize| {
                        let address = Ipv4Addr::new(10, 0, 0, host as u8);
                        let rule = rules.iter().find(|(net, _)| nets[*net].contains(&address));
                        let action = rule.map_or(default, |(_, action)| *action);
                        let local = rule.map_or(Action::Allow, |(_, action)| *action);
                        let may = |found, exact| found == Action::FilterData || found == exact;
                        let is_right = may(action, exact[host])
                            && (is_guarded || may(local, from_loopback[host]));
                        is_right.then_some(action)
                    };
                    let actions: Option<Vec<Action>> = (0..8).map(is_right).collect();
                    let Some(actions) = actions else { continue };
                    let weight = |flow: &Flow<'_>| sample.iter().filter(|f| *f == flow).count();
                    let sent =
                        || flows.iter().zip(&actions).filter(|(_, a)| **a == Action::FilterData);
                    least[0] = least[0].min(sent().map(|(flow, _)| weight(flow)).sum());
                    least[1] = least[1].min(sent().count());
                }
            }
            let shown = || format!("{limit} rules for\n{}", universe::shown(&settings));
            assert_eq!(sent(by_sample.first_stage(), &plain), least[0], "sample, {}", shown());
            assert_eq!(decide(by_space.first_stage(), &outside), default, "{}", shown());
            assert_eq!(sent(by_space.first_stage(), &flows), least[1], "space, {}", shown());
        }
    }
}

#[test]
fn small_plans_over_protocols_and_directions_are_as_good_as_any_first_stage() {
    for (whole, seeds, limits) in [
        ("10.0.0.0/31", 0..16, 1..=3),
        ("10.0.0.0/30", 30..36, 1..=3),
        ("2001:db8::/127", 42..48, 1..=2),
    ] {
        let small = Small::new(whole.parse().unwrap());
        for seed in seeds {
            let mut random = Random(seed);
            let rules = (0..1 + random.below(5)).map(|_| {
                FilterRule::new(random.pick(&small.rules).0.clone(), random.pick(&Action::ALL))
            });
            let rules = rules.collect();
            // What is around the addresses weighs so much that it is not sent, and any other
            // default is worse there.
            let default = [Action::Allow, Action::Drop][random.below(2)];
            let settings = FilterSettings::new(rules, default);
            let weights: Vec<usize> = small.flows.iter().map(|_| random.below(6)).collect();
            let own = small.flows.iter().zip(&weights);
            let own = own.flat_map(|(flow, weight)| vec![flow.clone(); *weight]);
            let sample: Vec<Flow<'static>> =
                own.chain(small.outside.iter().flat_map(|flow| vec![flow.clone(); 200])).collect();
            let is_known = |flow: &Flow<'_>| flow.direction() != Direction::Any;
            let alike: Vec<usize> =
                small.flows.iter().map(|flow| usize::from(is_known(flow))).collect();
            for limit in limits.clone() {
                let shown = || format!("{limit} rules for\n{}", universe::shown(&settings));
                for (weights, sample) in [(&weights, sample.as_slice()), (&alike, &[])] {
                    let plan = plan(&settings, Precedence::FirstMatch, limit, sample).unwrap();
                    check(&plan, &settings, Precedence::FirstMatch, limit, &small.flows);
                    let first = plan.first_stage();
                    let sent: usize = small
                        .flows
                        .iter()
                        .zip(weights)
                        .filter(|(flow, _)| decide(first, flow) == Action::FilterData)
                        .map(|(_, weight)| weight)
                        .sum();
                    let least = small.least(&settings, limit, weights);
                    assert_eq!(sent, least, "{}planned\n{}", shown(), universe::shown(first));
                    for flow in small.outside.iter().filter(|flow| is_known(flow)) {
                        assert_eq!(decide(first, flow), default, "{}", shown());
                    }
                }
            }
        }
    }
}

/// A few addresses, TCP and UDP, and each direction.
struct Small {
    /// Every rule of networks of these addresses, with the flows that it matches, a bit for each.
    rules: Vec<(NetworkRule, u32)>,
    flows: Vec<Flow<'static>>,
    /// Flows to an address that no network holds.
    outside: Vec<Flow<'static>>,
}

impl Small {
    fn new(whole: IpNet) -> Small {
        let flows_to = |remote: IpAddr| {
            [IpProtocol::TCP, IpProtocol::UDP].into_iter().flat_map(move |protocol| {
                [Direction::Outbound, Direction::Inbound, Direction::Any].map(|direction| {
                    let local = match remote {
                        IpAddr::V4(_) => IpAddr::from([10, 9, 9, 9]),
                        IpAddr::V6(_) => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 9]),
                    };
                    Flow::new(protocol, direction)
                        .with_remote_address(remote, None, 443)
                        .with_local_address(local, None, 555)
                })
            })
        };
        let flows: Vec<_> = whole.subnets(whole.max_prefix_len()).unwrap().collect();
        let flows: Vec<_> = flows.into_iter().flat_map(|net| flows_to(net.addr())).collect();
        let outside = match whole {
            IpNet::V4(_) => IpAddr::from([11, 0, 0, 1]),
            IpNet::V6(_) => IpAddr::from([0x2a00, 0, 0, 0, 0, 0, 0, 1]),
        };
        let mut rules = Vec::new();
        for net in (whole.prefix_len()..=whole.max_prefix_len())
            .flat_map(|bits| whole.subnets(bits).unwrap())
        {
            for protocol in [Protocol::Any, Protocol::Tcp, Protocol::Udp] {
                for direction in [Direction::Any, Direction::Inbound, Direction::Outbound] {
                    let host = Endpoint::from_parts(Host::Address(net.addr(), None), Ports::ANY);
                    let bits = u64::from(net.prefix_len());
                    let rule =
                        NetworkRule::remote_network(Some(host), bits, None, 0, protocol, direction);
                    let rule = rule.unwrap();
                    let matched = flows.iter().enumerate().filter(|(_, flow)| rule.matches(flow));
                    let matched = matched.map(|(place, _)| 1 << place).sum();
                    rules.push((rule, matched));
                }
            }
        }
        Small { rules, flows, outside: flows_to(outside).collect() }
    }

    /// The least weight that any list of so many rules sends, with the default of the settings.
    fn least(&self, settings: &FilterSettings, limit: usize, weights: &[usize]) -> usize {
        let wrong = |is_wrong: &dyn Fn(&Flow<'static>) -> bool| -> u32 {
            let flows = self.flows.iter().enumerate().filter(|(_, flow)| is_wrong(flow));
            flows.map(|(place, _)| 1 << place).sum()
        };
        let of_local = |flow: &Flow<'static>| {
            let local: IpAddr = match flow.remote().unwrap().folded_address().unwrap() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            };
            decide(settings, &flow.clone().with_local_address(local, None, 80))
        };
        // Two rules may look after flows from a local loopback address.
        let rooms = [(Some(limit), false), (limit.checked_sub(2), true)];
        let of_room = rooms.into_iter().filter_map(|(room, is_guarded)| {
            let by_rule = Action::ALL.map(|action| {
                wrong(&|flow| {
                    action != Action::FilterData
                        && (decide(settings, flow) != action
                            || !is_guarded && of_local(flow) != action)
                })
            });
            let by_default = wrong(&|flow| {
                decide(settings, flow) != settings.default_action()
                    || !is_guarded && of_local(flow) != Action::Allow
            });
            let mut least = usize::MAX;
            let all = (1_u32 << self.flows.len()) - 1;
            self.go_on(all, 0, room?, &by_rule, by_default, weights, &mut least);
            Some(least)
        });
        of_room.min().unwrap()
    }

    /// Adds rules for the flows that are left, as long as none gets a wrong action.
    #[allow(clippy::too_many_arguments, reason = "a search that carries what is left")]
    fn go_on(
        &self,
        left: u32,
        sent: usize,
        room: usize,
        by_rule: &[u32; 3],
        by_default: u32,
        weights: &[usize],
        least: &mut usize,
    ) {
        if sent >= *least {
            return;
        }
        if left & by_default == 0 {
            *least = sent;
        }
        if room == 0 {
            return;
        }
        for (_, matched) in &self.rules {
            let taken = matched & left;
            for (action, wrong) in Action::ALL.iter().zip(by_rule) {
                if taken == 0 || taken & wrong != 0 {
                    continue;
                }
                let more = match action {
                    Action::FilterData => {
                        let places = (0..weights.len()).filter(|place| taken >> place & 1 == 1);
                        places.map(|place| weights[place]).sum()
                    }
                    _ => 0,
                };
                let (left, sent) = (left & !taken, sent + more);
                self.go_on(left, sent, room - 1, by_rule, by_default, weights, least);
            }
        }
    }
}

#[test]
fn what_differs_in_protocol_and_direction_shares_rules() {
    let rule = |text: Option<&str>, protocol, direction| {
        let net = text.map(|text| text.parse::<IpNet>().unwrap());
        let host = net.map(|net| Endpoint::from_parts(Host::Address(net.addr(), None), Ports::ANY));
        let bits = net.map_or(0, |net| net.prefix_len().into());
        let rule = NetworkRule::remote_network(host, bits, None, 0, protocol, direction).unwrap();
        FilterRule::new(rule, Action::Drop)
    };
    let rules = vec![
        rule(Some("192.0.2.1/32"), Protocol::Tcp, Direction::Outbound),
        rule(Some("192.0.2.1/32"), Protocol::Udp, Direction::Outbound),
        rule(None, Protocol::Tcp, Direction::Inbound),
        rule(None, Protocol::Udp, Direction::Inbound),
    ];
    let settings = FilterSettings::new(rules, Action::Allow);
    let plan = plan(&settings, Precedence::FirstMatch, 10, &[]).unwrap();
    check(&plan, &settings, Precedence::FirstMatch, 10, &[]);
    let rules = plan.first_stage().rules().iter().map(|rule| rule.network_rule().to_string());
    let expected = ["any outbound, remote 192.0.2.1/32", "any inbound, remote any"];
    assert_eq!(rules.collect::<Vec<_>>(), expected);
    assert_eq!(plan.share(), 0.0);
}

#[test]
fn block_lists_are_planned_no_worse_than_siblings_are_merged() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let mut nets: Vec<Ipv4Net> = (0..300)
            .map(|_| {
                let address = Ipv4Addr::from_bits(0x0a00_0000 | random.below(1 << 14) as u32);
                Ipv4Net::new(address, 24 + random.below(9) as u8).unwrap().trunc()
            })
            .collect();
        nets = Ipv4Net::aggregate(&nets);
        let rules = nets.iter().map(|net| network_rule((*net).into(), Action::Drop)).collect();
        let settings = FilterSettings::new(rules, Action::Allow);
        for limit in [5, 20, 60] {
            let plan = plan(&settings, Precedence::FirstMatch, limit, &[]).unwrap();
            check(&plan, &settings, Precedence::FirstMatch, limit, &[]);
            let greedy = greedy(&nets, limit);
            // Half of the flows are of IPv4, half of them outbound.
            let share = greedy as f64 / 2_f64.powi(34);
            assert!(plan.share() <= share * (1.0 + 1e-9), "{} {share}", plan.share());
            let least = plan.curve()[limit];
            assert!((plan.share() / least - 1.0).abs() < 1e-6, "{} {least}", plan.share());
            assert!(plan.curve().is_sorted_by(|a, b| a >= b));
        }
    }
}

/// The addresses that are sent if the two networks are merged, again and again, whose parent adds
/// the fewest addresses.
fn greedy(nets: &[Ipv4Net], limit: usize) -> u64 {
    let size = |net: &Ipv4Net| 1_u64 << (32 - net.prefix_len());
    let mut kept: Vec<(Ipv4Net, bool)> = nets.iter().map(|net| (*net, false)).collect();
    while kept.len() > limit {
        kept.sort();
        let parent = |a: Ipv4Net, b: Ipv4Net| {
            let mut parent = a;
            while !parent.contains(&b) {
                parent = parent.supernet().unwrap();
            }
            parent
        };
        let parents = kept.windows(2).map(|pair| parent(pair[0].0, pair[1].0));
        let best = parents.min_by_key(size).unwrap();
        kept.retain(|(net, _)| !best.contains(net));
        kept.push((best, true));
    }
    kept.iter().filter(|(_, merged)| *merged).map(|(net, _)| size(net)).sum()
}

#[test]
fn of_first_stages_that_send_as_little_the_one_of_the_fewest_rules_is_planned() {
    let host = Endpoint::new("111.111.111.111", "0").unwrap();
    let (protocol, direction) = (Protocol::Tcp, Direction::Outbound);
    let rule = NetworkRule::remote_network(Some(host), 0, None, 0, protocol, direction).unwrap();
    let rules = vec![FilterRule::new(rule, Action::FilterData)];
    let settings = FilterSettings::new(rules, Action::Allow);
    let plan = plan(&settings, Precedence::FirstMatch, 20, &[]).unwrap();
    check(&plan, &settings, Precedence::FirstMatch, 20, &[]);
    assert_eq!(plan.first_stage(), &settings, "{}", universe::shown(plan.first_stage()));
    // One of eight flows is outbound, TCP and of IPv4; more rules help no further.
    assert!(plan.curve()[0] > 0.125);
    assert!(plan.curve()[1..].iter().all(|share| (share / 0.125 - 1.0).abs() < 1e-9));
}

#[test]
fn loopback_that_is_filtered_has_rules_of_its_own() {
    let loopback = network_rule("127.0.0.1/32".parse().unwrap(), Action::FilterData);
    let all = NetworkRule::remote_network(None, 0, None, 0, Protocol::Any, Direction::Any).unwrap();
    let rules = vec![loopback, FilterRule::new(all, Action::Drop)];
    let settings = FilterSettings::new(rules, Action::Drop);
    let plan = plan(&settings, Precedence::FirstMatch, 10, &[]).unwrap();
    check(&plan, &settings, Precedence::FirstMatch, 10, &[]);
    let flow = flow(Ipv4Addr::LOCALHOST.into());
    assert_eq!(decide(plan.first_stage(), &flow), Action::FilterData);
}

#[test]
fn flows_that_a_host_rule_could_be_about_are_sent() {
    let host = Endpoint::new("tracker.example", "443").unwrap();
    let host = NetworkRule::destination_host(host, Protocol::Tcp).unwrap();
    let rules = vec![FilterRule::new(host, Action::Drop)];
    let settings = FilterSettings::new(rules, Action::Allow);
    let plan = plan(&settings, Precedence::FirstMatch, 1000, &[]).unwrap();
    check(&plan, &settings, Precedence::FirstMatch, 1000, &[]);
    let to = |port| {
        Flow::new(IpProtocol::TCP, Direction::Outbound).with_remote_address(
            Ipv4Addr::new(192, 0, 2, 1).into(),
            None,
            port,
        )
    };
    assert_eq!(decide(plan.first_stage(), &to(443)), Action::FilterData);
    assert_eq!(decide(plan.first_stage(), &to(80)), Action::Allow);
    // The settings themselves would let the flow go whose name comes later.
    assert!(verify_plan(&settings, &settings, Precedence::FirstMatch).is_some());
}

/// Every list of at most so many rules: the places of prefixes, and actions.
fn every_list(limit: usize) -> Vec<Vec<(usize, Action)>> {
    let mut lists = vec![Vec::new()];
    let mut longest = lists.clone();
    for _ in 0..limit {
        let longer = longest.iter().flat_map(|list: &Vec<(usize, Action)>| {
            (0..15).flat_map(move |net| {
                Action::ALL.map(|action| {
                    let mut list = list.clone();
                    list.push((net, action));
                    list
                })
            })
        });
        longest = longer.collect();
        lists.extend_from_slice(&longest);
    }
    lists
}

/// Checks what every plan has to be.
fn check(
    plan: &flowsieve::Plan,
    settings: &FilterSettings,
    precedence: Precedence,
    limit: usize,
    flows: &[Flow<'_>],
) {
    let first = plan.first_stage();
    let shown =
        || format!("{first:?}\n{}\nof\n{}", universe::shown(first), universe::shown(settings));
    assert!(first.rules().len() <= limit, "{}", shown());
    assert_eq!(first.validate_for_framework(), [], "{}", shown());
    assert_eq!(verify_plan(first, settings, precedence), None, "{}", shown());
    assert!((0.0..=1.0 + 1e-9).contains(&plan.share()), "{}", plan.share());
    let matchers = [
        Matcher::new(first).unwrap(),
        Matcher::builder().precedence(precedence).build(settings).unwrap(),
    ];
    for flow in flows {
        let [first, exact] = matchers.each_ref().map(|matcher| matcher.decide(flow).action());
        assert!(first == Action::FilterData || first == exact, "{flow}\n{}", shown());
    }
}

fn sent(first: &FilterSettings, flows: &[Flow<'_>]) -> usize {
    flows.iter().filter(|flow| decide(first, flow) == Action::FilterData).count()
}

fn decide(settings: &FilterSettings, flow: &Flow<'_>) -> Action {
    reference::decide(settings, Precedence::FirstMatch, flow).action()
}

fn network_rule(net: IpNet, action: Action) -> FilterRule {
    let endpoint = Endpoint::from_parts(Host::Address(net.addr(), None), Ports::ANY);
    let bits = u64::from(net.prefix_len());
    let rule = NetworkRule::destination_network(endpoint, bits, Protocol::Any).unwrap();
    FilterRule::new(rule, action)
}

fn flow(remote: IpAddr) -> Flow<'static> {
    Flow::new(IpProtocol::TCP, Direction::Outbound)
        .with_remote_address(remote, None, 443)
        .with_local_address(Ipv4Addr::UNSPECIFIED.into(), None, 0)
}

fn is_tcp_or_udp(flow: &Flow<'_>) -> bool {
    [IpProtocol::TCP, IpProtocol::UDP].contains(&flow.protocol())
}
