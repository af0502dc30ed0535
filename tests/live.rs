//! `LiveMatcher` against the reference, before, while and after its rules are edited.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use flowsieve::*;
use flowsieve_testkit::agreement::Shown;
use flowsieve_testkit::config;
use flowsieve_testkit::edits::{EditCase, EditSpec, check_edits};
use flowsieve_testkit::specs::{Case, RuleSpec, SettingsSpec};
use proptest::prelude::*;
use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const REGRESSIONS: &str = "tests/proptest-regressions/live.txt";

proptest! {
    #![proptest_config(config(1500, REGRESSIONS))]

    #[test]
    fn a_live_matcher_agrees_with_the_reference_on_the_edited_list(case: EditCase) {
        check_edits(&case);
    }
}

#[test]
fn every_decision_of_many_threads_is_of_one_generation_as_a_whole() {
    for precedence in Precedence::ALL {
        let live = LiveMatcher::builder().precedence(precedence);
        edit_while_others_decide(live, precedence, 3000, |_| {});
    }
}

#[test]
fn every_decision_is_right_while_rules_are_rebuilt_from_two_sides_without_pause() {
    let live = LiveMatcher::builder().rebuild_in_background(false);
    edit_while_others_decide(live, Precedence::FirstMatch, 3000, |live| live.rebuild().unwrap());
}

/// Edits `count` times while two threads decide and two others `disturb`, then checks every
/// decision by the settings of its generation.
fn edit_while_others_decide(
    live: LiveMatcherBuilder,
    precedence: Precedence,
    count: usize,
    disturb: impl Fn(&LiveMatcher) + Sync,
) {
    let mut runner = TestRunner::deterministic();
    let (mut settings, mut flows) = draw::<Case>(&mut runner).build();
    flows.extend((0..8).flat_map(|_| draw::<Case>(&mut runner).build().1));
    let live = live.build(settings.clone()).unwrap();
    let mut history = vec![settings.clone()];
    let is_over = AtomicBool::new(false);

    let seen = thread::scope(|scope| {
        let read = || {
            let (mut seen, mut last) = (HashMap::new(), 0);
            while !is_over.load(Ordering::Relaxed) {
                for (index, flow) in flows.iter().enumerate() {
                    let decided = live.decide(flow);
                    let (generation, decision) = (decided.generation(), decided.decision());
                    assert!(generation >= last, "generation {generation} after {last}");
                    last = generation;
                    let before = *seen.entry((generation, index)).or_insert(decision);
                    assert_eq!(decision, before, "now, before, both of generation {generation}");
                }
            }
            seen
        };
        let readers = [scope.spawn(read), scope.spawn(read)];
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    disturb(&live)
                }
            });
        }
        let end = End(&is_over);
        while history.len() <= count {
            let edit = draw::<EditSpec>(&mut runner);
            // Short lists, so that the check of all generations stays short.
            let is_large = matches!(edit, EditSpec::Replace(_)) && history.len() % 8 != 0;
            let grows = matches!(edit, EditSpec::Insert(..)) && settings.rules().len() > 30;
            if is_large || grows || matches!(edit, EditSpec::Rebuild) {
                continue;
            }
            let record = |generation, settings: &FilterSettings| {
                assert_eq!(generation as usize, history.len());
                history.push(settings.clone());
                assert_eq!(live.decide(&flows[0]).generation(), generation, "seen at once");
            };
            edit.apply(&live, &mut settings, record).unwrap();
        }
        drop(end);
        readers.map(|reader| reader.join().unwrap())
    });

    let mut generations = BTreeMap::new();
    for ((generation, index), decision) in seen.iter().flatten() {
        let (settings, flow) = (&history[*generation as usize], &flows[*index]);
        let expected = reference::decide(settings, precedence, flow);
        assert_eq!(*decision, expected, "live, reference of {}", Shown(settings, flow));
        *generations.entry(generation).or_insert(0) += 1;
    }
    assert!(generations.len() > 20, "{} generations were seen", generations.len());
}

#[test]
fn edits_of_many_threads_make_the_list_that_their_generations_say() {
    let mut runner = TestRunner::deterministic();
    let settings = draw::<SettingsSpec>(&mut runner).build();
    let live = LiveMatcher::new(settings.clone()).unwrap();
    let lots: Vec<Vec<(usize, FilterRule)>> = (0..3)
        .map(|_| (0..300).map(|i| (i, draw::<RuleSpec>(&mut runner).build())).collect())
        .collect();
    let edits: Vec<_> = thread::scope(|scope| {
        let edit = |lot: &Vec<(usize, FilterRule)>| {
            let edit = |(at, rule): &(usize, FilterRule)| match at % 2 {
                0 => (live.insert(0, rule.clone()).unwrap(), Some(rule.clone())),
                // There is one: each thread inserts before it removes.
                _ => (live.remove(0).unwrap(), None),
            };
            lot.iter().map(edit).collect::<Vec<_>>()
        };
        let threads: Vec<_> = lots.iter().map(|lot| scope.spawn(move || edit(lot))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let edits: BTreeMap<u64, Option<FilterRule>> = edits.into_iter().collect();
    assert_eq!(edits.keys().copied().collect::<Vec<_>>(), (1..=900).collect::<Vec<_>>());
    let mut rules = settings.rules().to_vec();
    for rule in edits.into_values() {
        match rule {
            Some(rule) => rules.insert(0, rule),
            None => drop(rules.remove(0)),
        }
    }
    let expected = FilterSettings::new(rules, settings.default_action());
    assert_eq!(live.snapshot().to_settings(), expected);
    live.rebuild().unwrap();
    assert_eq!(live.snapshot().to_settings(), expected);
}

#[test]
fn a_snapshot_stays_as_it_was_whatever_is_edited() {
    let live = LiveMatcher::new(FilterSettings::new(vec![rule(1)], Action::Allow)).unwrap();
    live.insert(0, rule(2)).unwrap();
    let snapshot = live.snapshot();
    live.replace(FilterSettings::default()).unwrap();
    live.insert(0, rule(3)).unwrap();
    live.rebuild().unwrap();
    assert_eq!(snapshot.generation(), 1);
    assert_eq!(snapshot.rules().collect::<Vec<_>>(), [&rule(2), &rule(1)]);
    assert_eq!(snapshot.decide(&flow(1)).rule(), Some(1));
    drop(live);
    assert_eq!(snapshot.decide(&flow(2)).rule(), Some(0));
    let mut decisions = vec![snapshot.decide(&flow(3)); 2];
    assert_eq!(snapshot.decide_batch(&[flow(1)], &mut decisions), 1);
    assert_eq!((decisions[0].rule(), decisions[1].rule()), (Some(1), None));
}

#[test]
fn a_wrong_index_is_refused_and_changes_nothing() {
    let settings = FilterSettings::new(vec![rule(1), rule(2)], Action::Allow);
    let live = LiveMatcher::builder().rebuild_in_background(false).build(settings).unwrap();
    live.remove(0).unwrap();
    let wrong =
        [live.insert(2, rule(3)), live.remove(1), live.replace_rule(1, rule(3)), live.remove(9)];
    for (result, index) in wrong.into_iter().zip([2, 1, 1, 9]) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::RuleIndexOutOfRange { index, count: 1 });
    }
    assert_eq!(live.generation(), 1);
    assert_eq!(live.snapshot().rules().collect::<Vec<_>>(), [&rule(2)]);
    assert_eq!(live.snapshot().rule(1 << 32), None);
    assert_eq!(live.insert(1, rule(3)), Ok(2));
}

#[test]
fn the_rules_are_compiled_behind_an_edit() {
    let live = LiveMatcher::new(FilterSettings::new(vec![rule(1)], Action::Allow)).unwrap();
    for generation in 1..=20 {
        assert_eq!(live.insert(0, rule(2)), Ok(generation));
        while !live.snapshot().is_compiled() {
            thread::yield_now();
        }
        assert_eq!(
            (live.generation(), live.decide(&flow(1)).decision().rule()),
            (generation, Some(generation as usize))
        );
    }
}

#[test]
fn a_rebuild_without_edits_changes_nothing_and_one_with_edits_no_generation() {
    let settings = FilterSettings::new(vec![rule(1)], Action::Allow);
    let live = LiveMatcher::builder().rebuild_in_background(false).build(settings).unwrap();
    live.rebuild().unwrap();
    assert_eq!(live.generation(), 0);
    assert_eq!(live.set_default_action(Action::Drop), 1);
    assert!(!live.snapshot().is_compiled());
    live.rebuild().unwrap();
    assert_eq!((live.generation(), live.snapshot().is_compiled()), (1, true));
    assert_eq!(live.decide(&flow(9)).decision().action(), Action::Drop);
}

#[test]
fn rules_above_the_limit_are_decided_right_and_compiled_once_they_are_below_it() {
    let settings = |count: u8| FilterSettings::new((0..count).map(rule).collect(), Action::Allow);
    let limit = Matcher::new(&settings(20)).unwrap().size_bytes();
    let builder = || LiveMatcher::builder().rebuild_in_background(false).max_bytes(limit);
    let too_large = |error: Error| matches!(error.kind(), ErrorKind::MatcherTooLarge { .. });
    assert!(too_large(builder().build(settings(200)).unwrap_err()));

    let live = builder().build(settings(20)).unwrap();
    for last in 20..200 {
        live.insert(usize::from(last), rule(last)).unwrap();
    }
    assert!(too_large(live.rebuild().unwrap_err()));
    assert!(too_large(live.replace(settings(200)).unwrap_err()));
    assert_eq!((live.generation(), live.snapshot().is_compiled()), (180, false));
    for last in 0..=255 {
        let rule = (last < 200).then_some(usize::from(last));
        assert_eq!(live.decide(&flow(last)).decision().rule(), rule, "{last}");
    }

    for index in (10..200).rev() {
        live.remove(index).unwrap();
    }
    live.rebuild().unwrap();
    assert!(live.snapshot().is_compiled());
    assert_eq!(live.decide(&flow(9)).decision().rule(), Some(9));
    assert_eq!(live.decide(&flow(10)).decision().rule(), None);
}

#[test]
fn vectors_of_any_width_give_the_same_answers() {
    for vectors in Vectors::ALL {
        let settings = FilterSettings::new((0..40).map(rule).collect(), Action::Allow);
        let live = LiveMatcher::builder().vectors(vectors).build(settings).unwrap();
        live.remove(5).unwrap();
        live.rebuild().unwrap();
        for last in 0..50_u8 {
            let rule = match last {
                0..=4 => Some(usize::from(last)),
                6..=39 => Some(usize::from(last) - 1),
                _ => None,
            };
            assert_eq!(live.decide(&flow(last)).decision().rule(), rule, "{last} with {vectors:?}");
        }
    }
}

/// Ends the other threads, also where this one fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A rule for one address.
fn rule(last: u8) -> FilterRule {
    let endpoint = Endpoint::new(&format!("10.0.0.{last}"), "0").unwrap();
    let rule = NetworkRule::destination_network(endpoint, 32, Protocol::Any).unwrap();
    FilterRule::new(rule, Action::Drop)
}

/// A flow to that address.
fn flow(last: u8) -> Flow<'static> {
    let flow = Flow::new(IpProtocol::TCP, Direction::Outbound);
    flow.with_remote(format!("10.0.0.{last}:443").parse().unwrap()).unwrap()
}

fn draw<T: Arbitrary>(runner: &mut TestRunner) -> T {
    any::<T>().new_tree(runner).unwrap().current()
}
