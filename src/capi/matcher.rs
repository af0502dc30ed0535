//! `fsv_matcher`: compiled settings with what decisions in C need beside them.

use crate::capi::boundary::{Failure, guard, guard_or, guard_status, guard_with};
use crate::capi::counters::Counters;
use crate::capi::error::fsv_error;
use crate::capi::explain;
use crate::capi::flow;
use crate::capi::handle::{self, OutWhole};
use crate::capi::labels::{Labels, Pool};
use crate::capi::settings::{self, fsv_settings};
use crate::capi::status::{
    Checked, FSV_STATUS_INVALID_ARGUMENT, FSV_STATUS_NOT_KEPT, FSV_STATUS_OK, FSV_STATUS_PANIC,
    fsv_status,
};
use crate::capi::text;
use crate::capi::types::{
    FSV_ACTION_DROP, fsv_action, fsv_decision, fsv_flow, fsv_hits, fsv_matcher_options,
};
use crate::decision::Decision;
use crate::error::{Error, ErrorKind};
use crate::flow::{Details, Flow};
use crate::matcher::{GROUP, Matcher};
use crate::rule::{Action, Remote};
use crate::settings::{FilterSettings, Precedence};
use std::ffi::c_char;
use std::mem::{MaybeUninit, offset_of};
use std::slice;
use std::sync::Arc;

/// Compiled settings.
pub struct fsv_matcher {
    matcher: Matcher,
    labels: Labels,
    counters: Option<Box<Counters>>,
    settings: Option<Arc<FilterSettings>>,
    options: Options,
    rule_count: usize,
    generation: u64,
}

/// Checked options.
#[derive(Clone, Copy)]
pub(super) struct Options {
    precedence: Precedence,
    pub(super) failure_action: Action,
    keep_settings: bool,
    count_hits: bool,
    count_pending: bool,
    max_bytes: Option<usize>,
}

impl Options {
    /// Reads options; NULL stands for the initial ones.
    ///
    /// # Safety
    ///
    /// The contract of the header.
    pub(super) unsafe fn read(given: *const fsv_matcher_options) -> Checked<Options> {
        let mut room = MaybeUninit::uninit();
        let given = match given.is_null() {
            true => &fsv_matcher_options::INIT,
            // SAFETY: passed on.
            false => unsafe { handle::input(given, &mut room) }?,
        };
        let yes_or_no = |flag: u8| match flag {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FSV_STATUS_INVALID_ARGUMENT),
        };
        if given.reserved != [0; 7] {
            return Err(FSV_STATUS_INVALID_ARGUMENT);
        }
        Ok(Options {
            precedence: settings::precedence(given.precedence)?,
            failure_action: settings::action(given.failure_action)?,
            keep_settings: yes_or_no(given.keep_settings)?,
            count_hits: yes_or_no(given.count_hits)?,
            count_pending: yes_or_no(given.count_pending)?,
            // More than can be counted is no limit.
            max_bytes: Some(given.max_bytes)
                .filter(|bytes| *bytes != 0)
                .and_then(|bytes| bytes.try_into().ok()),
        })
    }
}

impl fsv_matcher {
    /// Compiles settings. Of labels, what `pool` has is taken from there.
    pub(super) fn new(
        settings: &Arc<FilterSettings>,
        options: Options,
        generation: u64,
        pool: &Pool,
    ) -> Result<fsv_matcher, Error> {
        let rule_count = settings.rules().len();
        let labels = Labels::new(settings, pool);
        let beside = size_of::<fsv_matcher>() - size_of::<Matcher>()
            + labels.size_bytes()
            + if options.count_hits { Counters::size_bytes(rule_count) } else { 0 }
            + if options.keep_settings { settings_bytes(settings) } else { 0 };
        let mut builder = Matcher::builder().precedence(options.precedence);
        let limit = options.max_bytes;
        if let Some(limit) = limit {
            let too_large = || Error::new(ErrorKind::MatcherTooLarge { bytes: beside, limit });
            builder = builder.max_bytes(limit.checked_sub(beside).ok_or_else(too_large)?);
        }
        // In the caller's bytes, which count what is beside the matcher too.
        let counted = |error: Error| match (error.kind(), limit) {
            (ErrorKind::MatcherTooLarge { bytes, .. }, Some(limit)) => {
                let bytes = bytes.saturating_add(beside);
                Error::new(ErrorKind::MatcherTooLarge { bytes, limit })
            }
            _ => error,
        };
        Ok(fsv_matcher {
            matcher: builder.build(settings).map_err(counted)?,
            labels,
            counters: options.count_hits.then(|| Box::new(Counters::new(rule_count))),
            settings: options.keep_settings.then(|| Arc::clone(settings)),
            options,
            rule_count,
            generation,
        })
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Decides a flow, counts that, and returns the status.
    ///
    /// # Safety
    ///
    /// The contract of the header.
    // PERF: a status, as it goes out: what is checked on the way is a number more; decide/capi-ipv6-1k.
    #[inline(always)]
    pub(super) unsafe fn decide(
        &self,
        flow: *const fsv_flow,
        decision: *mut fsv_decision,
    ) -> fsv_status {
        // SAFETY: passed on.
        unsafe {
            let Some(out) = handle::out_whole(decision) else {
                return self.counted(self.decide_in_part(flow, decision));
            };
            let (mut details, mut place) = (MaybeUninit::uninit(), MaybeUninit::uninit());
            match flow::read(flow, &mut place, &mut details) {
                Ok(flow) => self.answer(flow, self.matcher.decide_alone(flow), out),
                Err(status) => return self.counted(status),
            }
        }
        FSV_STATUS_OK
    }

    /// Does the same where the decision may be of another version, and returns the status.
    ///
    /// # Safety
    ///
    /// The contract of the header.
    #[cold]
    #[inline(never)]
    unsafe fn decide_in_part(
        &self,
        flow: *const fsv_flow,
        decision: *mut fsv_decision,
    ) -> fsv_status {
        let run = || {
            // SAFETY: passed on.
            unsafe {
                handle::out_struct(decision)?;
                let (mut details, mut place) = (MaybeUninit::uninit(), MaybeUninit::uninit());
                let flow = flow::read(flow, &mut place, &mut details)?;
                self.answer_in_part(flow, self.matcher.decide_alone(flow), decision)
            }
        };
        run().err().unwrap_or(FSV_STATUS_OK)
    }

    /// Decides flows, once all of them are known to be in order.
    ///
    /// # Safety
    ///
    /// The contract of the header.
    pub(super) unsafe fn decide_batch(
        &self,
        flows: *const fsv_flow,
        count: usize,
        decisions: *mut fsv_decision,
    ) -> Checked<()> {
        // SAFETY: passed on.
        let (flows, decisions) = unsafe {
            (handle::structs(flows.cast_mut(), count)?, handle::structs(decisions, count)?)
        };
        for index in 0..count {
            // SAFETY: passed on.
            unsafe { flow::check(flows.at(index)?) }?;
            decisions.at(index)?;
        }
        for first in (0..count).step_by(GROUP) {
            let group = first..count.min(first + GROUP);
            // PERF: made where they stay, as `flow::read` says; decide/ipv4-1k/batch/c of apple/Benchmarks.
            let mut details = [const { MaybeUninit::<Details<'_>>::uninit() }; GROUP];
            let mut places = [const { MaybeUninit::<Flow<'_>>::uninit() }; GROUP];
            let rooms = places.iter_mut().zip(&mut details);
            for ((place, details), index) in rooms.zip(group.clone()) {
                // SAFETY: passed on.
                unsafe { flow::read(flows.at(index)?, place, details) }?;
            }
            // SAFETY: as many places were written as the group has flows. These own nothing, so that it does not
            // matter that they are not dropped.
            let read =
                unsafe { slice::from_raw_parts(places.as_ptr().cast::<Flow<'_>>(), group.len()) };
            let mut decided = [Decision::of_no_rule(Action::Drop, false); GROUP];
            let done = self.matcher.decide_batch(read, &mut decided);
            debug_assert_eq!(done, read.len());
            for (index, (flow, decision)) in group.zip(read.iter().zip(decided)) {
                let place = decisions.at(index)?;
                // SAFETY: passed on.
                unsafe {
                    match handle::out_whole(place) {
                        Some(out) => self.answer(flow, decision, out),
                        None => self.answer_in_part(flow, decision, place)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts a decision and writes it.
    #[inline(always)]
    fn answer(&self, flow: &Flow<'_>, decision: Decision, out: OutWhole<fsv_decision>) {
        match decision.pending() {
            false => self.answer_with(flow, decision, 0, out),
            true => self.answer_pending(flow, decision, out),
        }
    }

    /// Does the same where rules could still match.
    // PERF: apart, so that nothing has to be kept in the meantime; decide/capi-ipv4-1k.
    #[inline(never)]
    fn answer_pending(&self, flow: &Flow<'_>, decision: Decision, out: OutWhole<fsv_decision>) {
        let pending_count = match self.options.count_pending {
            true => self.matcher.pending_count(flow) as u32,
            false => 1,
        };
        self.answer_with(flow, decision, pending_count, out);
    }

    #[inline(always)]
    fn answer_with(
        &self,
        flow: &Flow<'_>,
        decision: Decision,
        pending_count: u32,
        out: OutWhole<fsv_decision>,
    ) {
        let (four, rule) = (decision.four_bytes().to_le(), decision.raw_rule());
        // PERF: no rule has the number that stands for none, so that it need not be asked for.
        let (label, label_len) = self.labels.of_rule(rule);
        let place = out.as_ptr();
        // PERF: in as few pieces as there are, and never as a whole, which would be put together elsewhere and copied;
        // decide/capi-ipv4-1k.
        // SAFETY: INVARIANT of `OutWhole`; three numbers are what the fields behind the size take.
        unsafe {
            place.byte_add(offset_of!(fsv_decision, action)).cast::<[u32; 3]>().write([
                four,
                rule,
                pending_count,
            ]);
            (&raw mut (*place).generation).write(self.generation);
            (&raw mut (*place).label).write(label);
            (&raw mut (*place).label_len).write(label_len);
        }
        if let Some(counters) = &self.counters {
            counters.count(decision.rule(), flow.is_loopback());
        }
    }

    /// Counts a decision and writes as much of it as there is room for.
    ///
    /// # Safety
    ///
    /// The contract of the header for `place`.
    #[cold]
    #[inline(never)]
    unsafe fn answer_in_part(
        &self,
        flow: &Flow<'_>,
        decision: Decision,
        place: *mut fsv_decision,
    ) -> Checked<()> {
        // SAFETY: passed on.
        let out = unsafe { handle::out_struct(place) }?;
        let mut whole = fsv_decision { size: out.size(), ..fsv_decision::INIT };
        self.answer(flow, decision, OutWhole::of(&mut whole));
        out.write(whole);
        Ok(())
    }

    /// Counts a call that failed, and passes its status on.
    #[cold]
    #[inline(never)]
    pub(super) fn counted(&self, status: fsv_status) -> fsv_status {
        if status != FSV_STATUS_OK
            && let Some(counters) = &self.counters
        {
            counters.count_failure();
        }
        status
    }
}

/// The memory of settings, in bytes.
fn settings_bytes(settings: &FilterSettings) -> usize {
    let texts = settings.rules().iter().map(|rule| {
        let name = match rule.network_rule().remote() {
            Remote::Host { name, .. } => name.as_str().len(),
            Remote::Network(_) => 0,
        };
        name + rule.label().map_or(0, str::len)
    });
    size_of::<FilterSettings>() + size_of_val(settings.rules()) + texts.sum::<usize>()
}

/// Compiles settings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_matcher_new(
    settings: *const fsv_settings,
    options: *const fsv_matcher_options,
    matcher: *mut *mut fsv_matcher,
    error: *mut *mut fsv_error,
) -> fsv_status {
    let run = || -> Result<(), Failure> {
        // SAFETY: the contract of the header.
        let (settings, options, out) =
            unsafe { (handle::borrow(settings)?, Options::read(options)?, handle::out(matcher)?) };
        let made = fsv_matcher::new(settings.shared(), options, 0, &Pool::new())?;
        out.write(handle::share(Arc::new(made)));
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { guard_with(error, run) }
}

/// Frees a matcher.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_matcher_free(matcher: *mut fsv_matcher) {
    guard(|| {
        // SAFETY: the contract of the header.
        unsafe { handle::unshare(matcher) };
        Ok(())
    });
}

/// Returns the action for flows that cannot be decided.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_matcher_failure_action(matcher: *const fsv_matcher) -> fsv_action {
    guard_or(FSV_ACTION_DROP, || {
        // SAFETY: the contract of the header.
        Ok(unsafe { handle::borrow(matcher) }?.options.failure_action as fsv_action)
    })
}

/// Decides a flow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_matcher_decide(
    matcher: *const fsv_matcher,
    flow: *const fsv_flow,
    decision: *mut fsv_decision,
) -> fsv_status {
    // SAFETY: the contract of the header.
    guard_status(|| unsafe {
        match handle::borrow(matcher) {
            Ok(matcher) => matcher.decide(flow, decision),
            Err(status) => status,
        }
    })
}

/// Decides flows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_matcher_decide_batch(
    matcher: *const fsv_matcher,
    flows: *const fsv_flow,
    count: usize,
    decisions: *mut fsv_decision,
) -> fsv_status {
    guard(|| {
        // SAFETY: the contract of the header.
        unsafe {
            let matcher = handle::borrow(matcher)?;
            matcher.decide_batch(flows, count, decisions).map_err(|status| matcher.counted(status))
        }
    })
}

/// Writes the indices of the rules that could still match.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_matcher_pending_rules(
    matcher: *const fsv_matcher,
    flow: *const fsv_flow,
    rules: *mut u32,
    capacity: usize,
    needed: *mut usize,
) -> fsv_status {
    guard(|| {
        let (mut details, mut place) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: the contract of the header.
        let (matcher, buffer, flow) = unsafe {
            let matcher = handle::borrow(matcher)?;
            let buffer = handle::buffer(rules, capacity, needed)?;
            (matcher, buffer, flow::read(flow, &mut place, &mut details)?)
        };
        let pending = matcher.matcher.pending_rules(flow);
        buffer.fill(&pending.into_iter().map(|rule| rule as u32).collect::<Vec<u32>>())
    })
}

/// Explains a decision.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_matcher_explain(
    matcher: *const fsv_matcher,
    flow: *const fsv_flow,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
) -> fsv_status {
    guard(|| {
        let (mut details, mut place) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: the contract of the header.
        let (matcher, buffer, flow) = unsafe {
            let matcher = handle::borrow(matcher)?;
            let buffer = handle::buffer(buffer, capacity, needed)?;
            (matcher, buffer, flow::read(flow, &mut place, &mut details)?)
        };
        let settings = matcher.settings.as_ref().ok_or(FSV_STATUS_NOT_KEPT)?;
        let explained = explain::text(settings, matcher.options.precedence, flow);
        text::fill(buffer, &explained.map_err(|_| FSV_STATUS_PANIC)?)
    })
}

/// Returns the memory that a matcher keeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_matcher_size_bytes(matcher: *const fsv_matcher) -> usize {
    guard_or(0, || {
        // SAFETY: the contract of the header.
        let matcher = unsafe { handle::borrow(matcher) }?;
        let counters = matcher.counters.as_ref();
        Ok(size_of::<fsv_matcher>() - size_of::<Matcher>()
            + matcher.matcher.size_bytes()
            + matcher.labels.size_bytes()
            + counters.map_or(0, |_| Counters::size_bytes(matcher.rule_count))
            + matcher.settings.as_ref().map_or(0, |settings| settings_bytes(settings)))
    })
}

/// Returns the number of rules.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_matcher_rule_count(matcher: *const fsv_matcher) -> usize {
    // SAFETY: the contract of the header.
    guard_or(0, || Ok(unsafe { handle::borrow(matcher) }?.rule_count))
}

/// Returns the generation of the settings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_matcher_generation(matcher: *const fsv_matcher) -> u64 {
    // SAFETY: the contract of the header.
    guard_or(0, || Ok(unsafe { handle::borrow(matcher) }?.generation))
}

/// Reads the totals of the counters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_matcher_hits(
    matcher: *const fsv_matcher,
    hits: *mut fsv_hits,
) -> fsv_status {
    guard(|| {
        // SAFETY: the contract of the header.
        let (matcher, out) = unsafe { (handle::borrow(matcher)?, handle::out_struct(hits)?) };
        let totals = matcher.counters.as_ref().ok_or(FSV_STATUS_NOT_KEPT)?.totals();
        out.write(fsv_hits {
            size: out.size(),
            reserved: 0,
            by_rule: totals.by_rule,
            by_default: totals.by_default,
            by_loopback: totals.by_loopback,
            failed: totals.failed,
        });
        Ok(())
    })
}

/// Writes the number of decisions of each rule.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_matcher_rule_hits(
    matcher: *const fsv_matcher,
    hits: *mut u64,
    capacity: usize,
    needed: *mut usize,
) -> fsv_status {
    guard(|| {
        // SAFETY: the contract of the header.
        let (matcher, buffer) =
            unsafe { (handle::borrow(matcher)?, handle::buffer(hits, capacity, needed)?) };
        buffer.fill(&matcher.counters.as_ref().ok_or(FSV_STATUS_NOT_KEPT)?.of_rules())
    })
}
