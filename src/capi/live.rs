//! `fsv_live`: matchers that replace each other while threads decide.
//!
//! Beside what [`LiveMatcher`](crate::LiveMatcher) keeps of a generation, decisions in C need its
//! labels and counters, which have to be those of the same generation. So each is a matcher as C has
//! it, and replacing is all that there is: nothing is laid over compiled rules.

use crate::capi::boundary::{Failure, guard, guard_or, guard_status, guard_with};
use crate::capi::error::fsv_error;
use crate::capi::handle;
use crate::capi::labels::Pool;
use crate::capi::matcher::{Options, fsv_matcher};
use crate::capi::settings::fsv_settings;
use crate::capi::status::fsv_status;
use crate::capi::types::{
    FSV_ACTION_DROP, fsv_action, fsv_decision, fsv_flow, fsv_matcher_options,
};
use crate::error::Error;
use crate::settings::FilterSettings;
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, PoisonError};

/// A matcher whose settings are replaced.
pub struct fsv_live {
    current: ArcSwap<fsv_matcher>,
    options: Options,
    /// Held by the one replacement under way.
    replacing: Mutex<Replaced>,
}

/// What earlier generations leave behind.
#[derive(Default)]
struct Replaced {
    /// Every label that a decision may point to.
    labels: Pool,
    /// Matchers that are no longer current but may be in use, so that they are freed by a
    /// replacement and not by the thread whose decision happens to end last.
    matchers: Vec<Arc<fsv_matcher>>,
}

impl fsv_live {
    fn new(settings: &Arc<FilterSettings>, options: Options) -> Result<fsv_live, Error> {
        let mut replaced = Replaced::default();
        let first = fsv_matcher::new(settings, options, 0, &replaced.labels)?;
        first.labels().keep_in(&mut replaced.labels);
        let current = ArcSwap::from_pointee(first);
        Ok(fsv_live { current, options, replacing: Mutex::new(replaced) })
    }

    /// Replaces the settings and returns the new generation.
    fn replace(&self, settings: &Arc<FilterSettings>) -> Result<u64, Error> {
        // A panic of another thread leaves nothing half done behind the lock.
        let mut replaced = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.current.load().generation() + 1;
        let next = fsv_matcher::new(settings, self.options, generation, &replaced.labels)?;
        next.labels().keep_in(&mut replaced.labels);
        let old = self.current.swap(Arc::new(next));
        replaced.matchers.push(old);
        // Nobody comes to use one that is no longer current.
        replaced.matchers.retain(|matcher| Arc::strong_count(matcher) > 1);
        Ok(generation)
    }
}

/// Compiles settings as generation 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_live_new(
    settings: *const fsv_settings,
    options: *const fsv_matcher_options,
    live: *mut *mut fsv_live,
    error: *mut *mut fsv_error,
) -> fsv_status {
    let run = || -> Result<(), Failure> {
        // SAFETY: the contract of the header.
        let (settings, options, out) =
            unsafe { (handle::borrow(settings)?, Options::read(options)?, handle::out(live)?) };
        out.write(handle::give(fsv_live::new(settings.shared(), options)?));
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { guard_with(error, run) }
}

/// Frees a live matcher.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_live_free(live: *mut fsv_live) {
    guard(|| {
        // SAFETY: the contract of the header.
        unsafe { handle::free(live) };
        Ok(())
    });
}

/// Returns the action for flows that cannot be decided.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_live_failure_action(live: *const fsv_live) -> fsv_action {
    guard_or(FSV_ACTION_DROP, || {
        // SAFETY: the contract of the header.
        Ok(unsafe { handle::borrow(live) }?.options.failure_action as fsv_action)
    })
}

/// Puts settings in the place of the current ones.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_live_replace(
    live: *const fsv_live,
    settings: *const fsv_settings,
    generation: *mut u64,
    error: *mut *mut fsv_error,
) -> fsv_status {
    let run = || -> Result<(), Failure> {
        // SAFETY: the contract of the header.
        let (live, settings) = unsafe { (handle::borrow(live)?, handle::borrow(settings)?) };
        let number = live.replace(settings.shared())?;
        // SAFETY: the contract of the header; NULL is taken.
        if let Ok(out) = unsafe { handle::out(generation) } {
            out.write(number);
        }
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { guard_with(error, run) }
}

/// Decides a flow by the current generation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_live_decide(
    live: *const fsv_live,
    flow: *const fsv_flow,
    decision: *mut fsv_decision,
) -> fsv_status {
    // SAFETY: the contract of the header.
    guard_status(|| unsafe {
        match handle::borrow(live) {
            Ok(live) => live.current.load().decide(flow, decision),
            Err(status) => status,
        }
    })
}

/// Decides flows by one generation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_live_decide_batch(
    live: *const fsv_live,
    flows: *const fsv_flow,
    count: usize,
    decisions: *mut fsv_decision,
) -> fsv_status {
    guard(|| {
        // SAFETY: the contract of the header.
        unsafe {
            let matcher = handle::borrow(live)?.current.load();
            matcher.decide_batch(flows, count, decisions).map_err(|status| matcher.counted(status))
        }
    })
}

/// Returns the number of the current generation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_live_generation(live: *const fsv_live) -> u64 {
    // SAFETY: the contract of the header.
    guard_or(0, || Ok(unsafe { handle::borrow(live) }?.current.load().generation()))
}

/// Gives the current generation as a matcher.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_live_matcher(
    live: *const fsv_live,
    matcher: *mut *mut fsv_matcher,
) -> fsv_status {
    guard(|| {
        // SAFETY: the contract of the header.
        let (live, out) = unsafe { (handle::borrow(live)?, handle::out(matcher)?) };
        out.write(handle::share(live.current.load_full()));
        Ok(())
    })
}
