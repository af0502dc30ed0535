//! What is asked of rules: `shadow/workload`, `diff/workload`, `plan/workload`, once a sample.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up is of no use"
)]

mod measure;
mod workload;

use criterion::{Criterion, SamplingMode};
use flowsieve::{
    Action, AddressFamily, Endpoint, FilterRule, FilterSettings, Host, Matcher, NetworkRule, Ports,
    Precedence, Protocol, diff, plan, shadow,
};
use ipnet::IpNet;
use workload::{Random, Workload};

fn main() {
    let mut criterion = measure::criterion();
    let is_asked = |workload: &Workload| {
        let size = workload.settings.rules().len();
        if measure::is_test() { size == 1000 } else { size == 10_000 }
    };
    let lists = [("ipv4", AddressFamily::V4), ("ipv6", AddressFamily::V6)].map(|(name, family)| {
        let size = if measure::is_test() { 1000 } else { 10_000 };
        workload::list(&format!("{name}-{}k", size / 1000), family, size)
    });
    for workload in lists.into_iter().chain(workload::five_tuple::all().filter(is_asked)) {
        shadows(&mut criterion, &workload);
        differences(&mut criterion, &workload);
    }
    for family in [AddressFamily::V4, AddressFamily::V6] {
        plans(&mut criterion, family);
    }
    criterion.final_summary();
}

fn shadows(criterion: &mut Criterion, workload: &Workload) {
    let Workload { name, settings, .. } = workload;
    let matcher = Matcher::new(settings).unwrap();
    once(criterion, &format!("shadow/{name}"), || {
        let standings = shadow(settings, Precedence::FirstMatch);
        for standing in &standings {
            let decided = standing.witness().map(|witness| matcher.decide(witness).rule());
            assert!(decided.is_none_or(|rule| rule == Some(standing.rule())));
        }
        standings.iter().filter(|standing| standing.is_dead()).count()
    });
}

fn differences(criterion: &mut Criterion, workload: &Workload) {
    let Workload { name, settings, .. } = workload;
    let edited = edited(settings, 100);
    let matchers = [settings, &edited].map(|settings| Matcher::new(settings).unwrap());
    once(criterion, &format!("diff/{name}"), || {
        let found = diff(settings, &edited, Precedence::FirstMatch);
        for difference in found.regions().take(1000) {
            let [old, new] = matchers.each_ref().map(|m| m.decide(difference.witness()).action());
            assert_eq!((old, new), (difference.before().1, difference.after().1));
        }
        found.region_count()
    });
}

/// Settings with so many rules removed, put elsewhere, or with another action.
fn edited(settings: &FilterSettings, edits: usize) -> FilterSettings {
    let mut random = Random(7);
    let mut rules = settings.rules().to_vec();
    for edit in 0..edits {
        let place = random.below(rules.len());
        let rule = rules.remove(place);
        match edit % 3 {
            0 => {}
            1 => rules.insert(random.below(rules.len()), rule),
            _ => {
                let next = match rule.action() {
                    Action::Allow => Action::Drop,
                    Action::Drop | Action::FilterData => Action::Allow,
                };
                rules.insert(place, FilterRule::new(rule.network_rule().clone(), next));
            }
        }
    }
    FilterSettings::new(rules, settings.default_action())
}

fn plans(criterion: &mut Criterion, family: AddressFamily) {
    let (name, count) = match (family, measure::is_test()) {
        (AddressFamily::V4, false) => ("blocklist-ipv4-50k", 50_000),
        (AddressFamily::V6, false) => ("blocklist-ipv6-50k", 50_000),
        (AddressFamily::V4, true) => ("blocklist-ipv4-1k", 1000),
        (AddressFamily::V6, true) => ("blocklist-ipv6-1k", 1000),
    };
    let mut random = Random(count as u64);
    let rules = (0..count).map(|_| {
        let address = random.address(family);
        let shortest = if family == AddressFamily::V4 { 16 } else { 32 };
        let bits = match random.below(3) {
            0 => family.bits(),
            _ => shortest + random.below(usize::from(family.bits() - shortest)) as u8,
        };
        let net = IpNet::new(address, bits).unwrap().trunc();
        let host = Endpoint::from_parts(Host::Address(net.addr(), None), Ports::ANY);
        let rule = NetworkRule::destination_network(host, bits.into(), Protocol::Any).unwrap();
        FilterRule::new(rule, Action::Drop)
    });
    let settings = FilterSettings::new(rules.collect(), Action::Allow);
    let limit = if measure::is_test() { 100 } else { 1000 };
    sample(&mut random, family, &settings, limit);
    once(criterion, &format!("plan/{name}"), || {
        let plan = plan(&settings, Precedence::FirstMatch, limit, &[]).unwrap();
        assert!(plan.first_stage().rules().len() <= limit);
        plan.first_stage().rules().len()
    });
}

/// Sends a million flows through both stages, half of them to listed networks.
fn sample(random: &mut Random, family: AddressFamily, settings: &FilterSettings, limit: usize) {
    let plan = plan(settings, Precedence::FirstMatch, limit, &[]).unwrap();
    let [first, exact] = [plan.first_stage(), settings].map(|s| Matcher::new(s).unwrap());
    let count = if measure::is_test() { 10_000 } else { 1_000_000 };
    let mut sent = 0;
    for _ in 0..count {
        let flow = workload::flow(random, family, settings);
        let (first, exact) = (first.decide(&flow).action(), exact.decide(&flow).action());
        assert!(first == Action::FilterData || first == exact, "{flow}");
        sent += u32::from(first == Action::FilterData);
    }
    assert!(sent > 0);
}

fn once(criterion: &mut Criterion, name: &str, run: impl Fn() -> usize) {
    let expected = run();
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function("exact", |bencher| bencher.iter(|| assert_eq!(run(), expected)));
}
