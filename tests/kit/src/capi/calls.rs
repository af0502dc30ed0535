//! Calls in any order, decoded from a fuzzer's bytes.

use super::flows::{Padded, RawFlow, Set, Size, set_again, set_ends};
use super::handles::{
    CError, CFlow, CLive, CMatcher, COptions, CSettings, Named, has_name_in_network, text_of,
};
use super::nulls::{Asked, Handles, ask_with_null};
use crate::specs::{ActionSpec, FlowSpec, MAX_FLOWS, RuleSpec, SettingsSpec, several};
use arbitrary::{Arbitrary, Unstructured};
use flowsieve::capi::*;
use flowsieve::formats::settings;
use flowsieve::{FilterSettings, Flow, Precedence, plan, reference};
use std::cell::RefCell;
use std::mem::offset_of;
use std::ptr::{null, null_mut};
use std::rc::Rc;

/// The most calls.
pub const MAX_CALLS: usize = 24;

/// The most rules of settings for which a first stage is planned.
pub const MAX_PLANNED: usize = 5;

/// The most calls that set the ends of one flow.
pub const MAX_SETS: usize = 12;

/// Calls, in order.
#[derive(Clone, Debug, Arbitrary)]
pub struct Calls {
    /// At most [`MAX_CALLS`].
    #[arbitrary(with = |u: &mut Unstructured<'_>| several(u, 1..=MAX_CALLS))]
    pub calls: Vec<Call>,
}

/// A call. Handles are chosen modulo what there is, and nothing is done where there is none.
#[derive(Clone, Debug, Arbitrary)]
pub enum Call {
    /// Settings are built rule by rule and read back.
    Build(SettingsSpec),
    /// Settings are parsed from what the library writes.
    Parse(SettingsSpec),
    /// Settings are parsed from any bytes.
    ParseBytes(Vec<u8>),
    /// A rule is added.
    AddRule(u8, RuleSpec),
    /// The default action is set.
    SetDefaultAction(u8, ActionSpec),
    /// Settings are freed.
    FreeSettings(u8),
    /// A matcher is made.
    NewMatcher(u8, OptionsSpec),
    /// A matcher is freed.
    FreeMatcher(u8),
    /// A live matcher is made.
    NewLive(u8, OptionsSpec),
    /// The settings of a live matcher are replaced.
    Replace(u8, u8),
    /// The current generation of a live matcher becomes a matcher.
    TakeMatcher(u8),
    /// A live matcher is freed.
    FreeLive(u8),
    /// A matcher decides.
    Decide(u8, FlowSpec, FlowWay),
    /// A live matcher decides.
    DecideLive(u8, FlowSpec, FlowWay),
    /// A matcher decides several flows.
    DecideBatch(
        u8,
        #[arbitrary(with = |u: &mut Unstructured<'_>| several(u, 0..=MAX_FLOWS))] Vec<FlowSpec>,
    ),
    /// A matcher explains, and lists what is pending.
    Explain(u8, FlowSpec),
    /// The counters of a matcher are read.
    ReadHits(u8),
    /// A matcher decides a flow of any bytes, which may be in order or not, into a decision of any size.
    DecideRaw(u8, RawFlow, Size),
    /// The ends of a flow are set from any text.
    SetEnds(Vec<u8>, Vec<u8>),
    /// A function is asked with NULL in one place.
    Null(u8, Asked),
    /// A live matcher decides several flows.
    DecideLiveBatch(
        u8,
        #[arbitrary(with = |u: &mut Unstructured<'_>| several(u, 0..=MAX_FLOWS))] Vec<FlowSpec>,
    ),
    /// A first stage of so many rules at most is planned, of settings that are short.
    Plan(u8, bool, u16),
    /// Settings are looked through for what the framework does not take.
    Validate(u8),
    /// The ends and the name of one flow, of the first size or of that of today, are set again and again.
    SetAgain(
        bool,
        #[arbitrary(with = |u: &mut Unstructured<'_>| several(u, 1..=MAX_SETS))] Vec<Set>,
    ),
    /// A matcher and a live matcher are asked what they are.
    Ask(u8),
}

/// How a flow comes into its struct.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum FlowWay {
    /// Field by field.
    Fields,
    /// By text.
    Text,
}

impl FlowWay {
    fn flow<'a>(self, flow: &'a Flow<'a>) -> CFlow<'a> {
        match self {
            FlowWay::Fields => CFlow::by_fields(flow),
            FlowWay::Text => CFlow::by_text(flow),
        }
    }
}

/// What a matcher is made with.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct OptionsSpec {
    /// The longest prefix goes before the first match.
    pub longest_prefix: bool,
    /// The failure action.
    pub failure_action: ActionSpec,
    /// Settings are kept.
    pub keep_settings: bool,
    /// Decisions are counted.
    pub count_hits: bool,
    /// Pending rules are counted.
    pub count_pending: bool,
}

impl OptionsSpec {
    fn build(self) -> COptions {
        let precedence = match self.longest_prefix {
            true => Precedence::LongestPrefix,
            false => Precedence::FirstMatch,
        };
        let options = fsv_matcher_options {
            failure_action: self.failure_action.build() as u8,
            keep_settings: self.keep_settings.into(),
            count_hits: self.count_hits.into(),
            count_pending: self.count_pending.into(),
            ..COptions::new(precedence).0
        };
        COptions(options)
    }
}

/// What a matcher should have counted; shared by the handles of one generation.
type Counts = Rc<RefCell<Vec<u64>>>;

/// The places of [`Counts`] before those of the rules.
const DEFAULT: usize = 0;
const LOOPBACK: usize = 1;
const FAILED: usize = 2;
const RULES: usize = 3;

/// What a matcher should answer by.
#[derive(Clone)]
struct Model {
    settings: FilterSettings,
    options: COptions,
    generation: u64,
    counts: Counts,
}

impl Model {
    fn new(settings: &FilterSettings, options: COptions, generation: u64) -> Model {
        let counts = Rc::new(RefCell::new(vec![0; RULES + settings.rules().len()]));
        Model { settings: settings.clone(), options, generation, counts }
    }

    /// What is expected of a flow, which counts as decided.
    fn decide(&self, flow: &Flow<'_>) -> Named {
        let precedence = self.options.precedence();
        let decision = reference::decide(&self.settings, precedence, flow);
        let pending = reference::pending_rules(&self.settings, precedence, flow).len();
        let pending = if self.options.0.count_pending == 1 { pending } else { pending.min(1) };
        let place = match decision.rule() {
            Some(rule) => RULES + rule,
            None if flow.is_loopback() => LOOPBACK,
            None => DEFAULT,
        };
        self.counts.borrow_mut()[place] += 1;
        Named::expected(&self.settings, decision, pending, self.generation)
    }
}

#[derive(Default)]
struct World {
    settings: Vec<(CSettings, FilterSettings)>,
    matchers: Vec<(CMatcher, Model)>,
    lives: Vec<(CLive, Model)>,
}

/// Makes the calls and checks every answer.
///
/// # Panics
///
/// If an answer is not that of the reference, an output is written on a failure, or text does not
/// come back as it went in.
pub fn check_calls(calls: &Calls) {
    let mut world = World::default();
    calls.calls.iter().for_each(|call| world.make(call));
}

fn nth(index: u8, count: usize) -> Option<usize> {
    usize::from(index).checked_rem(count)
}

impl World {
    fn make(&mut self, call: &Call) {
        // Where there is no handle yet, there is nothing to do.
        let _ = self.try_make(call);
    }

    fn try_make(&mut self, call: &Call) -> Option<()> {
        match call {
            Call::Build(spec) => {
                let model = spec.build();
                self.add_settings(CSettings::build(&model), model);
            }
            Call::Parse(spec) => {
                let model = spec.build();
                let text = settings::write(&model);
                let strict = settings::read(text.as_bytes()).ok()?;
                let made = CSettings::parse(text.as_bytes()).expect("settings that were written");
                self.add_settings(made, strict);
            }
            Call::ParseBytes(bytes) => {
                let made = CSettings::parse(bytes);
                match (made, settings::read(bytes)) {
                    (Ok(made), Ok(model)) => self.add_settings(made, model),
                    (Err(found), Err(error)) => assert_eq!(found, CError::of(&error)),
                    (made, read) => panic!("{made:?}, {read:?}"),
                }
            }
            Call::AddRule(index, spec) => {
                let index = nth(*index, self.settings.len())?;
                let (made, model) = &mut self.settings[index];
                let rule = spec.build();
                // Only the text of settings takes names in networks.
                if has_name_in_network(&rule) {
                    return None;
                }
                made.add(&rule);
                let default_action = model.default_action();
                let mut rules = model.rules().to_vec();
                rules.push(rule);
                *model = FilterSettings::new(rules, default_action);
            }
            Call::SetDefaultAction(index, spec) => {
                let index = nth(*index, self.settings.len())?;
                let (made, model) = &mut self.settings[index];
                let action = spec.build();
                // SAFETY: the handle is owned.
                unsafe {
                    assert_eq!(fsv_settings_set_default_action(made.0, action as u8), 0);
                    assert_eq!(fsv_settings_default_action(made.0), action as u8);
                }
                *model = FilterSettings::new(model.rules().to_vec(), action);
            }
            Call::FreeSettings(index) => {
                self.settings.swap_remove(nth(*index, self.settings.len())?);
            }
            Call::NewMatcher(index, options) => {
                let (made, model) = &self.settings[nth(*index, self.settings.len())?];
                let options = options.build();
                let matcher = CMatcher::new(made, &options);
                limit_is_kept(made, &matcher, &options);
                self.matchers.push((matcher, Model::new(model, options, 0)));
            }
            Call::FreeMatcher(index) => {
                self.matchers.swap_remove(nth(*index, self.matchers.len())?);
            }
            Call::NewLive(index, options) => {
                let (made, model) = &self.settings[nth(*index, self.settings.len())?];
                let options = options.build();
                self.lives.push((CLive::new(made, &options), Model::new(model, options, 0)));
            }
            Call::Replace(live, index) => {
                let (made, settings) = &self.settings[nth(*index, self.settings.len())?];
                let live = nth(*live, self.lives.len())?;
                let (live, model) = &mut self.lives[live];
                *model = Model::new(settings, model.options, model.generation + 1);
                let mut generation = 0;
                // SAFETY: the handles are owned, and the output may be written to.
                unsafe {
                    let generation = &raw mut generation;
                    assert_eq!(fsv_live_replace(live.0, made.0, generation, null_mut()), 0);
                }
                assert_eq!(generation, model.generation);
            }
            Call::TakeMatcher(index) => {
                let (live, model) = &self.lives[nth(*index, self.lives.len())?];
                let mut matcher = CMatcher(null_mut());
                // SAFETY: the handle is owned, and the output may be written to.
                unsafe { assert_eq!(fsv_live_matcher(live.0, &raw mut matcher.0), 0) };
                self.matchers.push((matcher, model.clone()));
            }
            Call::FreeLive(index) => {
                self.lives.swap_remove(nth(*index, self.lives.len())?);
            }
            Call::Decide(index, spec, way) => {
                let (matcher, model) = &self.matchers[nth(*index, self.matchers.len())?];
                let flow = spec.build(&model.settings);
                let decided = matcher.decide(way.flow(&flow).raw());
                assert_eq!(decided, model.decide(&flow), "in C, reference of {flow}");
            }
            Call::DecideLive(index, spec, way) => {
                let (live, model) = &self.lives[nth(*index, self.lives.len())?];
                let flow = spec.build(&model.settings);
                let mut decision = fsv_decision::INIT;
                // SAFETY: the handle is owned, it has the label, and the output may be written to.
                let decided = unsafe {
                    let flow = way.flow(&flow);
                    assert_eq!(fsv_live_decide(live.0, flow.raw(), &raw mut decision), 0);
                    Named::read(&decision)
                };
                assert_eq!(decided, model.decide(&flow), "in C, reference of {flow}");
            }
            Call::DecideBatch(index, specs) => {
                let (matcher, model) = &self.matchers[nth(*index, self.matchers.len())?];
                // SAFETY: the handle is owned, and there are as many flows as decisions.
                decide_batch(model, specs, |flows, count, decisions| unsafe {
                    fsv_matcher_decide_batch(matcher.0, flows, count, decisions)
                });
            }
            Call::Explain(index, spec) => {
                let (matcher, model) = &self.matchers[nth(*index, self.matchers.len())?];
                explain(matcher, model, &spec.build(&model.settings));
            }
            Call::ReadHits(index) => {
                let (matcher, model) = &self.matchers[nth(*index, self.matchers.len())?];
                read_hits(matcher, model);
            }
            Call::DecideRaw(index, raw, size) => {
                let (matcher, model) = &self.matchers[nth(*index, self.matchers.len())?];
                decide_raw(matcher, model, raw, *size);
            }
            Call::SetEnds(host, port) => set_ends(host, port),
            Call::Null(index, asked) => self.ask_with_null(*index, *asked),
            Call::DecideLiveBatch(index, specs) => {
                let (live, model) = &self.lives[nth(*index, self.lives.len())?];
                // SAFETY: the handle is owned, and there are as many flows as decisions.
                decide_batch(model, specs, |flows, count, decisions| unsafe {
                    fsv_live_decide_batch(live.0, flows, count, decisions)
                });
            }
            Call::Plan(index, longest_prefix, limit) => {
                let (made, model) = &self.settings[nth(*index, self.settings.len())?];
                if model.rules().len() <= MAX_PLANNED {
                    let (made, model) = planned(made, model, *longest_prefix, *limit)?;
                    self.add_settings(made, model);
                }
            }
            Call::Validate(index) => {
                let (made, model) = &self.settings[nth(*index, self.settings.len())?];
                // SAFETY: the handle is owned, and the buffer has so many bytes.
                let found = text_of(|buffer, capacity, needed| unsafe {
                    fsv_settings_validate_for_framework(made.0, buffer, capacity, needed)
                });
                let issues = model.validate_for_framework();
                let expected: String = issues.iter().map(|issue| format!("{issue}\n")).collect();
                assert_eq!(found, expected);
            }
            Call::SetAgain(is_old, sets) => set_again(*is_old, sets),
            Call::Ask(index) => self.ask(*index),
        }
        Some(())
    }

    fn ask_with_null(&self, index: u8, asked: Asked) {
        let settings = nth(index, self.settings.len()).map(|index| &self.settings[index]);
        let matcher = nth(index, self.matchers.len()).map(|index| &self.matchers[index]);
        let live = nth(index, self.lives.len()).map(|index| &self.lives[index]);
        let handles = Handles {
            settings: settings.map_or(null_mut(), |(made, _)| made.0),
            matcher: matcher.map_or(null_mut(), |(made, _)| made.0),
            live: live.map_or(null_mut(), |(made, _)| made.0),
        };
        let failed = ask_with_null(&handles, asked);
        if let (true, Some((_, model))) = (failed.by_matcher, matcher) {
            model.counts.borrow_mut()[FAILED] += 1;
        }
        if let (true, Some((_, model))) = (failed.by_live, live) {
            model.counts.borrow_mut()[FAILED] += 1;
        }
    }

    fn ask(&self, index: u8) {
        let failure_action = |model: &Model| model.options.0.failure_action;
        if let Some(index) = nth(index, self.matchers.len()) {
            let (matcher, model) = &self.matchers[index];
            // SAFETY: the handle is owned.
            unsafe {
                assert_eq!(fsv_matcher_rule_count(matcher.0), model.settings.rules().len());
                assert_eq!(fsv_matcher_generation(matcher.0), model.generation);
                assert_eq!(fsv_matcher_failure_action(matcher.0), failure_action(model));
                assert_ne!(fsv_matcher_size_bytes(matcher.0), 0);
            }
        }
        if let Some(index) = nth(index, self.lives.len()) {
            let (live, model) = &self.lives[index];
            // SAFETY: the handle is owned.
            unsafe {
                assert_eq!(fsv_live_generation(live.0), model.generation);
                assert_eq!(fsv_live_failure_action(live.0), failure_action(model));
            }
        }
    }

    fn add_settings(&mut self, made: CSettings, model: FilterSettings) {
        assert_eq!(made.read_back().len(), model.rules().len());
        assert_eq!(made.write(), settings::write(&model));
        self.settings.push((made, model));
    }
}

/// A matcher is made again with a limit of its own size; with less, it is not made or smaller.
fn limit_is_kept(settings: &CSettings, matcher: &CMatcher, options: &COptions) {
    let mut options = options.0;
    // SAFETY: the handles are owned or NULL, and the output may be written to.
    unsafe {
        let size = fsv_matcher_size_bytes(matcher.0) as u64;
        for max_bytes in [size, size - 1, 1] {
            options.max_bytes = max_bytes;
            let mut made = CMatcher(null_mut());
            let out = &raw mut made.0;
            let status = fsv_matcher_new(settings.0, &raw const options, out, null_mut());
            assert_eq!(made.0.is_null(), status != FSV_STATUS_OK);
            assert!(fsv_matcher_size_bytes(made.0) as u64 <= max_bytes, "over {max_bytes} bytes");
            match status {
                FSV_STATUS_MATCHER_TOO_LARGE => {
                    assert!(max_bytes < size, "not in its {size} bytes")
                }
                _ => assert_eq!(status, FSV_STATUS_OK),
            }
        }
    }
}

/// Plans a first stage, if there is one.
fn planned(
    made: &CSettings,
    model: &FilterSettings,
    longest_prefix: bool,
    limit: u16,
) -> Option<(CSettings, FilterSettings)> {
    // Few rules, mostly; at times more than may be asked for.
    let limit = usize::from(if limit < 1 << 15 { limit % 8 } else { limit });
    let (precedence, in_c) = match longest_prefix {
        true => (Precedence::LongestPrefix, FSV_PRECEDENCE_LONGEST_PREFIX),
        false => (Precedence::FirstMatch, FSV_PRECEDENCE_FIRST_MATCH),
    };
    let (mut first_stage, mut error) = (CSettings(null_mut()), null_mut());
    // SAFETY: the handle is owned, and the outputs may be written to.
    let (status, error) = unsafe {
        let (first_stage, error) = (&raw mut first_stage.0, &raw mut error);
        let status = fsv_settings_plan(made.0, in_c, limit, first_stage, error);
        (status, CError::take(*error, status))
    };
    if limit > FilterSettings::MAX_FRAMEWORK_RULES {
        assert_eq!(status, FSV_STATUS_TOO_MANY_RULES);
        return None;
    }
    match plan(model, precedence, limit, &[]) {
        Ok(plan) => {
            assert_eq!((status, error), (FSV_STATUS_OK, None));
            Some((first_stage, plan.first_stage().clone()))
        }
        Err(expected) => {
            assert_eq!(status, FSV_STATUS_NO_PLAN);
            assert_eq!(error, Some(CError::plain(&expected)));
            assert!(first_stage.0.is_null(), "written on a failure");
            None
        }
    }
}

/// Has flows decided by a call that takes flows, their number and room for the decisions.
fn decide_batch(
    model: &Model,
    specs: &[FlowSpec],
    call: impl FnOnce(*const fsv_flow, usize, *mut fsv_decision) -> fsv_status,
) {
    let flows: Vec<Flow<'_>> = specs.iter().map(|spec| spec.build(&model.settings)).collect();
    let raw: Vec<fsv_flow> = flows.iter().map(|flow| *CFlow::by_fields(flow).raw()).collect();
    let mut decisions = vec![fsv_decision::INIT; flows.len()];
    assert_eq!(call(raw.as_ptr(), raw.len(), decisions.as_mut_ptr()), FSV_STATUS_OK);
    for (flow, decision) in flows.iter().zip(&decisions) {
        // SAFETY: the matcher has the label.
        let decided = unsafe { Named::read(decision) };
        assert_eq!(decided, model.decide(flow), "in a batch in C, reference of {flow}");
    }
}

fn explain(matcher: &CMatcher, model: &Model, flow: &Flow<'_>) {
    let raw = *CFlow::by_fields(flow).raw();
    let precedence = model.options.precedence();
    let decision = reference::decide(&model.settings, precedence, flow);
    let pending = reference::pending_rules(&model.settings, precedence, flow);
    let mut rules = vec![u32::MAX; pending.len()];
    let mut needed = 0;
    // SAFETY: the handle is owned, and the buffers are so long.
    unsafe {
        let (matcher, raw, needed) = (matcher.0, &raw const raw, &raw mut needed);
        let (buffer, capacity) = (rules.as_mut_ptr(), rules.len());
        assert_eq!(fsv_matcher_pending_rules(matcher, raw, buffer, capacity, needed), 0);
    }
    assert_eq!(needed, pending.len());
    assert!(rules.iter().map(|rule| *rule as usize).eq(pending), "pending of {flow}");
    // SAFETY: as above.
    let call = |buffer, capacity, needed| unsafe {
        fsv_matcher_explain(matcher.0, &raw const raw, buffer, capacity, needed)
    };
    if model.options.0.keep_settings == 0 {
        assert_eq!(call(null_mut(), 0, &raw mut needed), FSV_STATUS_NOT_KEPT);
        return;
    }
    let text = text_of(call);
    assert!(text.starts_with(decision.action().as_str()), "{text}");
    assert_eq!(text.lines().count(), model.settings.rules().len() + 1, "{text}");
    assert_eq!(text.contains(" decides ("), decision.rule().is_some(), "{text}");
}

fn read_hits(matcher: &CMatcher, model: &Model) {
    let counts = model.counts.borrow();
    let mut hits = fsv_hits::INIT;
    let mut rules = vec![u64::MAX; model.settings.rules().len()];
    let mut needed = 0;
    // SAFETY: the handle is owned, and the buffers are so long.
    unsafe {
        let (buffer, capacity) = (rules.as_mut_ptr(), rules.len());
        let status = fsv_matcher_rule_hits(matcher.0, buffer, capacity, &raw mut needed);
        let of_totals = fsv_matcher_hits(matcher.0, &raw mut hits);
        if model.options.0.count_hits == 0 {
            assert_eq!([status, of_totals], [FSV_STATUS_NOT_KEPT; 2]);
            return;
        }
        assert_eq!([status, of_totals], [FSV_STATUS_OK; 2]);
    }
    assert_eq!(rules, counts[RULES..]);
    assert_eq!(needed, rules.len());
    assert_eq!(hits.by_rule, counts[RULES..].iter().sum::<u64>());
    assert_eq!((hits.by_default, hits.by_loopback), (counts[DEFAULT], counts[LOOPBACK]));
    assert_eq!(hits.failed, counts[FAILED]);
}

fn decide_raw(matcher: &CMatcher, model: &Model, fields: &RawFlow, size: Size) {
    let raw = fields.padded();
    let mut decision = Padded::new(fsv_decision::INIT, size);
    let before = decision;
    let (flow, out) = (raw.as_ptr(), decision.as_mut_ptr());
    // SAFETY: the handle is owned, and there is as much of flow and decision as they claim; the name is so long.
    let status = unsafe { fsv_matcher_decide(matcher.0, flow, out) };
    let takes_sizes = fields.has_taken_size() && size.is_taken(&before, false);
    assert!(
        takes_sizes || status == FSV_STATUS_INVALID_SIZE,
        "{status} for sizes of {fields:?}, {size:?}"
    );
    assert!(!takes_sizes || status != FSV_STATUS_INVALID_SIZE, "sizes of {fields:?}, {size:?}");
    if status != FSV_STATUS_OK {
        model.counts.borrow_mut()[FAILED] += 1;
        assert_eq!(decision.bytes(), before.bytes(), "written on a failure");
        return;
    }
    let written = size.of(&before).min(size_of::<fsv_decision>());
    assert_eq!(decision.bytes()[written..], before.bytes()[written..], "written behind the size");
    let raw = raw.value();
    assert!(std::str::from_utf8(fields.hostname()).is_ok() || raw.known & FSV_KNOWN_HOSTNAME == 0);
    let flow = fields.read();
    // What the struct had not room for, or only in part, is as it was.
    let mut decision = *decision.value();
    let mut expected = model.decide(&flow);
    if written < size_of::<fsv_decision>() {
        (decision.label, decision.label_len) = (null(), 0);
        expected.label = None;
    }
    if written < offset_of!(fsv_decision, label) {
        (decision.generation, expected.generation) = (0, 0);
    }
    // SAFETY: the matcher has the label.
    let decided = unsafe { Named::read(&decision) };
    assert_eq!(decided, expected, "in C, reference of {flow}");
}
