//! Where settings differ, against trying every flow of a small universe.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use flowsieve::{
    Action, Decider, Decision, FilterSettings, Flow, Matcher, Precedence, diff, first_difference,
    reference,
};
use flowsieve_testkit::agreement::check_sayable;
use flowsieve_testkit::config;
use flowsieve_testkit::random::Random;
use flowsieve_testkit::specs::{Case, RuleSpec, SettingsSpec};
use flowsieve_testkit::universe::{self, Universe};
use proptest::prelude::*;

#[test]
fn settings_are_the_same_exactly_if_no_flow_of_the_universe_differs() {
    let mut counts = [0; 2];
    for seed in 0..300 {
        let mut random = Random(seed);
        let universe = Universe::new(&mut random);
        let old = universe.settings(&mut random, 7);
        let new = match random.chance(70) {
            true => universe.edited(&mut random, &old),
            false => universe.settings(&mut random, 7),
        };
        for precedence in Precedence::ALL {
            let is_same = check(&old, &new, precedence, &universe.flows);
            counts[usize::from(is_same)] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 60), "{counts:?}");
}

proptest! {
    #![proptest_config(config(1000, "tests/proptest-regressions/diff.txt"))]

    #[test]
    fn witnesses_differ_and_flows_that_differ_are_found(
        case: Case,
        other: SettingsSpec,
        rule: RuleSpec,
        place: prop::sample::Index,
    ) {
        let (settings, flows) = case.build();
        let mut rules = settings.rules().to_vec();
        rules.insert(place.index(rules.len() + 1), rule.build());
        let longer = FilterSettings::new(rules, settings.default_action());
        for precedence in Precedence::ALL {
            check_flows(&settings, &longer, precedence, &flows);
            check_flows(&settings, &other.build(), precedence, &flows);
        }
    }
}

/// Checks, and returns whether the settings are the same; `flows` tell apart whatever the rules do.
fn check(
    old: &FilterSettings,
    new: &FilterSettings,
    precedence: Precedence,
    flows: &[Flow<'_>],
) -> bool {
    let is_same = check_flows(old, new, precedence, flows);
    let differs = |flow: &&Flow<'_>| action(old, precedence, flow) != action(new, precedence, flow);
    let differing = flows.iter().find(differs);
    assert_eq!(is_same, differing.is_none(), "{differing:?}\n{}", shown(old, new));
    is_same
}

fn check_flows(
    old: &FilterSettings,
    new: &FilterSettings,
    precedence: Precedence,
    flows: &[Flow<'_>],
) -> bool {
    let found = diff(old, new, precedence);
    let regions: Vec<_> = found.regions().collect();
    assert_eq!(found.region_count(), regions.len());
    assert_eq!(found.is_same(), regions.is_empty());
    assert_eq!(first_difference(old, new, precedence).is_none(), found.is_same());
    assert!(regions.is_sorted_by(|a, b| a.region().size() >= b.region().size()));
    let [old_matcher, new_matcher] =
        [old, new].map(|s| Matcher::builder().precedence(precedence).build(s).unwrap());
    for region in &regions {
        let size = region.region().size();
        assert!(size > 0.0 && size <= 1.0 + 1e-9, "{size}");
        let witness = region.witness();
        let sides = [(old, &old_matcher, region.before()), (new, &new_matcher, region.after())];
        for (settings, matcher, (decider, action)) in sides {
            let decision = reference::decide(settings, precedence, witness);
            let found = (decider_of(&decision, witness), decision.action());
            assert_eq!(found, (decider, action), "{region:?}\n{}", shown(old, new));
            assert_eq!(matcher.decide(witness), decision);
        }
        assert_eq!(found.region_of(witness).as_ref(), Some(region));
        check_sayable(witness);
        assert_ne!(region.before().1, region.after().1, "{region:?}");
    }
    for flow in flows {
        let [a, b] = [old, new].map(|settings| reference::decide(settings, precedence, flow));
        let region = found.region_of(flow);
        let differs = a.action() != b.action();
        assert_eq!(region.is_some(), differs, "{flow} {regions:?}\n{}", shown(old, new));
        if let Some(region) = region {
            assert_eq!(region.before(), (decider_of(&a, flow), a.action()));
            assert_eq!(region.after(), (decider_of(&b, flow), b.action()));
        }
    }
    found.is_same()
}

fn action(settings: &FilterSettings, precedence: Precedence, flow: &Flow<'_>) -> Action {
    reference::decide(settings, precedence, flow).action()
}

fn decider_of(decision: &Decision, flow: &Flow<'_>) -> Decider {
    match decision.rule() {
        Some(rule) => Decider::Rule(rule),
        None if flow.is_loopback() => Decider::Loopback,
        None => Decider::Default,
    }
}

fn shown(old: &FilterSettings, new: &FilterSettings) -> String {
    format!("old\n{}new\n{}", universe::shown(old), universe::shown(new))
}
