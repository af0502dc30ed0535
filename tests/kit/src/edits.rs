//! Edits of a [`LiveMatcher`], against the reference on a list that is edited alike.

use crate::agreement::Shown;
use crate::specs::{ActionSpec, FlowSpec, MAX_FLOWS, RuleSpec, SettingsSpec, several};
use arbitrary::Unstructured;
use flowsieve::{Error, FilterSettings, Flow, LiveMatcher, Precedence, Strategy, reference};
use proptest::collection::vec;
use proptest::prelude::any;

/// The most edits of one live matcher.
pub const MAX_EDITS: usize = 12;

/// Settings, edits of them in order, and the flows to try after each.
#[derive(Clone, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub struct EditCase {
    /// The settings at the beginning.
    pub settings: SettingsSpec,
    /// At most [`MAX_EDITS`].
    #[proptest(strategy = "vec(any::<EditSpec>(), 1..=MAX_EDITS)")]
    #[arbitrary(with = |u: &mut Unstructured<'_>| several(u, 1..=MAX_EDITS))]
    pub edits: Vec<EditSpec>,
    /// At most [`MAX_FLOWS`].
    #[proptest(strategy = "vec(any::<FlowSpec>(), 1..=MAX_FLOWS)")]
    #[arbitrary(with = |u: &mut Unstructured<'_>| several(u, 1..=MAX_FLOWS))]
    pub flows: Vec<FlowSpec>,
}

/// An edit. Indices are taken modulo what there is.
#[derive(Clone, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum EditSpec {
    /// [`LiveMatcher::remove`]; nothing where there is no rule.
    #[proptest(weight = 5)]
    Remove(u8),
    /// [`LiveMatcher::insert`].
    #[proptest(weight = 5)]
    Insert(u8, RuleSpec),
    /// [`LiveMatcher::replace_rule`]; nothing where there is no rule.
    #[proptest(weight = 4)]
    ReplaceRule(u8, RuleSpec),
    /// A rule is moved, by [`LiveMatcher::remove`] and [`LiveMatcher::insert`].
    #[proptest(weight = 2)]
    Move(u8, u8),
    /// [`LiveMatcher::set_default_action`].
    #[proptest(weight = 2)]
    SetDefaultAction(ActionSpec),
    /// [`LiveMatcher::replace`].
    Replace(SettingsSpec),
    /// [`LiveMatcher::rebuild`], which is no edit.
    Rebuild,
}

impl EditSpec {
    /// Makes the edit on a live matcher and on a list, calling `after` with the generation and the
    /// settings after every step of it.
    ///
    /// # Errors
    ///
    /// What the live matcher says.
    pub fn apply(
        &self,
        live: &LiveMatcher,
        settings: &mut FilterSettings,
        mut after: impl FnMut(u64, &FilterSettings),
    ) -> Result<(), Error> {
        let mut rules = settings.rules().to_vec();
        let mut default_action = settings.default_action();
        let nth = |index: u8, count: usize| usize::from(index).checked_rem(count);
        let generation = match self {
            EditSpec::Remove(index) => {
                let Some(index) = nth(*index, rules.len()) else { return Ok(()) };
                rules.remove(index);
                live.remove(index)?
            }
            EditSpec::Insert(index, rule) => {
                let index = usize::from(*index) % (rules.len() + 1);
                rules.insert(index, rule.build());
                live.insert(index, rule.build())?
            }
            EditSpec::ReplaceRule(index, rule) => {
                let Some(index) = nth(*index, rules.len()) else { return Ok(()) };
                rules[index] = rule.build();
                live.replace_rule(index, rule.build())?
            }
            EditSpec::Move(from, to) => {
                let Some(from) = nth(*from, rules.len()) else { return Ok(()) };
                let rule = rules.remove(from);
                *settings = FilterSettings::new(rules.clone(), default_action);
                after(live.remove(from)?, settings);
                let to = usize::from(*to) % (rules.len() + 1);
                rules.insert(to, rule.clone());
                live.insert(to, rule)?
            }
            EditSpec::SetDefaultAction(action) => {
                default_action = action.build();
                live.set_default_action(default_action)
            }
            EditSpec::Replace(other) => {
                let other = other.build();
                (rules, default_action) = (other.rules().to_vec(), other.default_action());
                live.replace(other)?
            }
            EditSpec::Rebuild => {
                live.rebuild()?;
                live.generation()
            }
        };
        *settings = FilterSettings::new(rules, default_action);
        after(generation, settings);
        Ok(())
    }
}

/// Checks that live matchers of both precedences, which rebuild only as the case says, answer as
/// the reference does on the edited list after every edit, and that they hold that list.
///
/// # Panics
///
/// If one does not; the message has the rules, the flow and both answers.
pub fn check_edits(case: &EditCase) {
    let first = case.settings.build();
    for precedence in Precedence::ALL {
        for strategy in [None, Some(Strategy::Intervals)] {
            let builder = LiveMatcher::builder().precedence(precedence);
            let builder = strategy.map_or(builder, |strategy| builder.strategy(strategy));
            let live = builder.rebuild_in_background(false).build(first.clone());
            let live = live.expect("settings compile");
            let (mut settings, mut last) = (first.clone(), 0);
            for edit in &case.edits {
                let is_edit = !matches!(edit, EditSpec::Rebuild);
                let after = |generation, settings: &FilterSettings| {
                    assert_eq!(generation, last + u64::from(is_edit), "after {edit:?}");
                    last = generation;
                    check_holds(&live, generation, settings);
                    // Of rules that are gone as well as of those that are there.
                    let flows = case.flows.iter();
                    let flows = flows.flat_map(|flow| [flow.build(&first), flow.build(settings)]);
                    flows.for_each(|flow| check_live(&live, precedence, settings, &flow));
                };
                edit.apply(&live, &mut settings, after).expect("indices are in range");
            }
        }
    }
}

fn check_holds(live: &LiveMatcher, generation: u64, settings: &FilterSettings) {
    let snapshot = live.snapshot();
    assert_eq!((snapshot.generation(), live.generation()), (generation, generation));
    assert_eq!(snapshot.to_settings(), *settings);
    assert_eq!(snapshot.rule_count(), settings.rules().len());
    for index in 0..=settings.rules().len() {
        assert_eq!(snapshot.rule(index), settings.rules().get(index), "rule {index}");
    }
    assert_eq!(snapshot.default_action(), settings.default_action());
}

fn check_live(
    live: &LiveMatcher,
    precedence: Precedence,
    settings: &FilterSettings,
    flow: &Flow<'_>,
) {
    let expected = reference::decide(settings, precedence, flow);
    let found = live.decide(flow);
    let of = || format!("live, reference of {precedence}\n{}", Shown(settings, flow));
    assert_eq!(found.decision(), expected, "{}", of());
    assert_eq!(live.snapshot().decide(flow), expected, "{}", of());
    assert_eq!(found.generation(), live.generation(), "{}", of());
}
