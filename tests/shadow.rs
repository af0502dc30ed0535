//! What is said of rules, against trying every flow of a small universe.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use flowsieve::{
    Action, Decider, FilterRule, FilterSettings, Flow, Matcher, Precedence, Use, reference, shadow,
};
use flowsieve_testkit::agreement::check_sayable;
use flowsieve_testkit::config;
use flowsieve_testkit::random::Random;
use flowsieve_testkit::specs::Case;
use flowsieve_testkit::universe::{self, Universe};
use proptest::prelude::*;

#[test]
fn standings_are_what_trying_every_flow_says() {
    let mut seen = [0; 4];
    for seed in 0..120 {
        let mut random = Random(seed);
        let universe = Universe::new(&mut random);
        for precedence in Precedence::ALL {
            let settings = universe.settings(&mut random, 7);
            let kinds = check(&settings, precedence, &universe.flows);
            seen.iter_mut().zip(kinds).for_each(|(seen, count)| *seen += count);
        }
    }
    // Each kind is there often enough for its absence to be noticed.
    assert!(seen.iter().take(3).all(|count| *count > 60), "{seen:?}");
}

proptest! {
    #![proptest_config(config(1500, "tests/proptest-regressions/shadow.txt"))]

    #[test]
    fn standings_hold_for_generated_flows(case: Case) {
        let (settings, flows) = case.build();
        for precedence in Precedence::ALL {
            check_flows(&settings, precedence, &flows);
        }
    }
}

/// Checks the standing of every rule; `flows` tell apart whatever the rules do. Returns how many
/// rules are needed, redundant, shadowed and unmatchable.
fn check(settings: &FilterSettings, precedence: Precedence, flows: &[Flow<'_>]) -> [usize; 4] {
    let mut kinds = [0; 4];
    let standings = check_flows(settings, precedence, flows);
    for (rule, usage) in standings.iter().enumerate() {
        let decided: Vec<_> = flows
            .iter()
            .filter(|f| reference::decide(settings, precedence, f).rule() == Some(rule))
            .collect();
        let without = without(settings, &[rule]);
        let changed = decided.iter().any(|flow| {
            let action = settings.rules()[rule].action();
            reference::decide(&without, precedence, flow).action() != action
        });
        let shown = || format!("rule {rule}: {usage:?}\n{}", universe::shown(settings));
        let kind = match usage {
            Use::Needed { .. } => {
                assert!(changed, "{}", shown());
                0
            }
            Use::Redundant { .. } => {
                assert!(!decided.is_empty() && !changed, "{}", shown());
                1
            }
            Use::Shadowed { by } => {
                assert!(decided.is_empty(), "{}", shown());
                // None of those that cover it can be spared.
                for spared in by {
                    let other = (0..settings.rules().len())
                        .filter(|other| *other != rule && (other == spared || !by.contains(other)));
                    let other: Vec<usize> = other.collect();
                    let few = self::without(settings, &other);
                    let place = rule - other.iter().filter(|other| **other < rule).count();
                    let is_alive = flows
                        .iter()
                        .any(|f| reference::decide(&few, precedence, f).rule() == Some(place));
                    assert!(is_alive, "spared {spared} of {}", shown());
                }
                2
            }
            Use::Unmatchable => {
                assert!(!flows.iter().any(|f| settings.rules()[rule].network_rule().matches(f)));
                3
            }
        };
        kinds[kind] += 1;
    }
    kinds
}

/// Checks that witnesses are what they should be, by the reference and by a matcher, and that no
/// flow is decided by a dead rule or changed by leaving a redundant one out.
fn check_flows(settings: &FilterSettings, precedence: Precedence, flows: &[Flow<'_>]) -> Vec<Use> {
    let standings = shadow(settings, precedence);
    assert!(standings.iter().map(|s| s.rule()).eq(0..settings.rules().len()));
    let matcher = Matcher::builder().precedence(precedence).build(settings).unwrap();
    for standing in &standings {
        let (rule, usage) = (standing.rule(), standing.usage());
        let shown = || format!("rule {rule}: {usage:?}\n{}", universe::shown(settings));
        assert_eq!(standing.is_dead(), standing.witness().is_none());
        if let Some(witness) = standing.witness() {
            let decision = reference::decide(settings, precedence, witness);
            assert_eq!(decision.rule(), Some(rule), "{}", shown());
            assert_eq!(matcher.decide(witness), decision, "{}", shown());
            check_sayable(witness);
        }
        let fewer = without(settings, &[rule]);
        let action = settings.rules()[rule].action();
        match usage {
            Use::Needed { witness } => {
                let decision = reference::decide(&fewer, precedence, witness);
                assert_ne!(decision.action(), action, "{}", shown());
            }
            Use::Redundant { witness, then } => {
                let decision = reference::decide(&fewer, precedence, witness);
                assert_eq!(decision.action(), action, "{}", shown());
                let found = match decision.rule() {
                    Some(index) => Decider::Rule(index + usize::from(index >= rule)),
                    None if witness.is_loopback() => Decider::Loopback,
                    None => Decider::Default,
                };
                assert_eq!(found, *then, "{}", shown());
            }
            Use::Shadowed { by } => {
                for flow in
                    flows.iter().filter(|f| settings.rules()[rule].network_rule().matches(f))
                {
                    let covers = |by: &usize| settings.rules()[*by].network_rule().matches(flow);
                    assert!(by.iter().any(covers), "{flow}\n{}", shown());
                }
            }
            Use::Unmatchable => {}
        }
        for flow in flows {
            let decision = reference::decide(settings, precedence, flow);
            if decision.rule() == Some(rule) {
                assert!(!standing.is_dead(), "{flow}\n{}", shown());
                if matches!(usage, Use::Redundant { .. }) {
                    let then = reference::decide(&fewer, precedence, flow);
                    assert_eq!(then.action(), action, "{flow}\n{}", shown());
                }
            }
        }
    }
    standings.iter().map(|standing| standing.usage().clone()).collect()
}

fn without(settings: &FilterSettings, removed: &[usize]) -> FilterSettings {
    let rules = settings.rules().iter().enumerate();
    let kept = rules.filter(|(index, _)| !removed.contains(index)).map(|(_, rule)| rule.clone());
    FilterSettings::new(kept.collect(), settings.default_action())
}

#[test]
fn mapped_rule_is_unmatchable_and_not_shadowed() {
    let rule = r#"::ffff:10.0.0.0"#.parse().unwrap();
    let rule = flowsieve::NetworkRule::destination_network(rule, 104, flowsieve::Protocol::Any);
    let rules = vec![FilterRule::new(rule.unwrap(), Action::Drop)];
    let standings = shadow(&FilterSettings::new(rules, Action::Allow), Precedence::FirstMatch);
    assert_eq!(standings[0].usage(), &Use::Unmatchable);
}
