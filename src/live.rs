//! [`LiveMatcher`]: a matcher whose rules are edited while other threads decide.

mod overlay;
mod snapshot;

pub use crate::live::snapshot::{LiveDecision, Snapshot};

use crate::error::{Error, ErrorKind};
use crate::flow::Flow;
use crate::live::overlay::{Edit, Overlay};
use crate::live::snapshot::Base;
use crate::matcher::{Matcher, MatcherBuilder, Strategy, Vectors};
use crate::rule::{Action, FilterRule};
use crate::settings::{FilterSettings, Precedence};
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// A matcher whose rules can be edited while other threads decide.
///
/// Every edit makes a new generation of the settings, numbered from 0, and is seen by each decision
/// that begins after it has returned. A decision is of one generation as a whole, whatever happens
/// meanwhile, and [`LiveDecision::generation`] says of which; decisions of one thread never go back
/// to an older one.
///
/// An edit does not compile the rules: it is laid over the compiled ones, and a thread compiles
/// them anew behind it. That changes no answer and no generation. The thread starts with the first
/// edit that needs it, and dropping the matcher ends it; who wants none
/// [turns it off](LiveMatcherBuilder::rebuild_in_background) and calls
/// [`rebuild`](LiveMatcher::rebuild).
///
/// Deciding waits neither for edits nor for a rebuild. It allocates only in the first decision of a
/// thread, which registers the thread as a reader.
///
/// # Examples
///
/// ```
/// use flowsieve::*;
///
/// let live = LiveMatcher::new(FilterSettings::new(Vec::new(), Action::Allow))?;
/// let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
///     .with_remote("198.51.100.7:443".parse()?)?;
/// assert_eq!(live.decide(&flow).decision().action(), Action::Allow);
///
/// let endpoint = Endpoint::new("198.51.100.0", "0")?;
/// let rule = NetworkRule::destination_network(endpoint, 24, Protocol::Any)?;
/// let generation = live.insert(0, FilterRule::new(rule, Action::Drop))?;
///
/// let decided = live.decide(&flow);
/// assert_eq!((decided.decision().action(), decided.decision().rule()), (Action::Drop, Some(0)));
/// assert_eq!(decided.generation(), generation);
/// # Ok::<(), Error>(())
/// ```
///
/// # Complexity
///
/// With `n` rules and `k` of them inserted, removed or replaced since the rules were last compiled:
///
/// | operation | time |
/// |---|---|
/// | [`decide`](LiveMatcher::decide), `k` = 0 | as [`Matcher::decide`] |
/// | [`decide`](LiveMatcher::decide), `k` > 0 | the same and O(k); for some flows O(n) |
/// | [`insert`](LiveMatcher::insert), [`remove`](LiveMatcher::remove), [`replace_rule`](LiveMatcher::replace_rule), [`set_default_action`](LiveMatcher::set_default_action) | O(k log k) |
/// | [`replace`](LiveMatcher::replace), [`rebuild`](LiveMatcher::rebuild) | O(n log n) |
///
/// The flows that go through all rules are those whose deciding rule was removed, and those that
/// wait for the local endpoint or the host name ([`Decision::pending`](crate::Decision::pending)) where an edit took away a
/// rule that could still match, put one before the deciding one, or changed the default action. All
/// of that lasts until the rebuild is done.
///
/// `k` has no limit: edits that come faster than the rules are compiled pile up, and cost
/// decisions and edits that much more until they stop coming.
///
/// Memory holds the compiled rules, the settings, and twice that during a rebuild. A
/// [`Snapshot`] keeps what it needs.
#[derive(Debug)]
pub struct LiveMatcher {
    shared: Arc<Shared>,
    rebuilds_in_background: bool,
    worker: Mutex<Option<JoinHandle<()>>>,
}

/// How a [`LiveMatcher`] is to be made; see [`LiveMatcher::builder`].
#[derive(Clone, Copy, Debug)]
pub struct LiveMatcherBuilder {
    matcher: MatcherBuilder,
    rebuilds_in_background: bool,
}

impl LiveMatcherBuilder {
    /// Sets which of several matching rules decides; [`Precedence::FirstMatch`] unless set.
    pub fn precedence(mut self, precedence: Precedence) -> LiveMatcherBuilder {
        self.matcher = self.matcher.precedence(precedence);
        self
    }

    /// Forces a strategy, for tests and measurements; chosen by the number of rules unless set.
    pub fn strategy(mut self, strategy: Strategy) -> LiveMatcherBuilder {
        self.matcher = self.matcher.strategy(strategy);
        self
    }

    /// Forces vector instructions of at most this width, for tests and measurements; the widest
    /// that the machine has unless set.
    pub fn vectors(mut self, vectors: Vectors) -> LiveMatcherBuilder {
        self.matcher = self.matcher.vectors(vectors);
        self
    }

    /// Limits the size of the compiled rules, in bytes, as [`MatcherBuilder::max_bytes`] does; no
    /// limit unless set. Of the memory of a live matcher they are one part; see
    /// [`LiveMatcher`].
    ///
    /// Edits are not refused for it. Where they bring the rules above the limit, a rebuild fails,
    /// the edits stay laid over the rules as they were compiled, and decisions stay right, but
    /// slower the more edits there are; the next edit makes the background thread try again.
    /// [`LiveMatcher::rebuild`] tells of it, and [`Snapshot::is_compiled`] does.
    pub fn max_bytes(mut self, bytes: usize) -> LiveMatcherBuilder {
        self.matcher = self.matcher.max_bytes(bytes);
        self
    }

    /// Sets whether a thread of its own compiles the rules after edits; it does unless set.
    ///
    /// Without, edits pile up until [`LiveMatcher::rebuild`] is called.
    pub fn rebuild_in_background(mut self, is_wanted: bool) -> LiveMatcherBuilder {
        self.rebuilds_in_background = is_wanted;
        self
    }

    /// Compiles `settings`, as generation 0.
    ///
    /// # Errors
    ///
    /// As for [`MatcherBuilder::build`].
    ///
    /// # Complexity
    ///
    /// O(n log n) in the number of rules.
    pub fn build(self, settings: FilterSettings) -> Result<LiveMatcher, Error> {
        let base = Base::new(settings, self.matcher)?;
        let shared = Shared {
            current: ArcSwap::from_pointee(Snapshot::new(0, Arc::new(base))),
            since_rebuild: Mutex::new(None),
            rebuilding: Mutex::new(()),
            retired: Mutex::new(Vec::new()),
            matcher: self.matcher,
            is_stopped: AtomicBool::new(false),
        };
        Ok(LiveMatcher {
            shared: Arc::new(shared),
            rebuilds_in_background: self.rebuilds_in_background,
            worker: Mutex::new(None),
        })
    }
}

impl LiveMatcher {
    /// Compiles `settings` with Apple's precedence, to be rebuilt in the background.
    ///
    /// # Errors
    ///
    /// As for [`MatcherBuilder::build`].
    pub fn new(settings: FilterSettings) -> Result<LiveMatcher, Error> {
        LiveMatcher::builder().build(settings)
    }

    /// Returns the options for making a live matcher.
    pub fn builder() -> LiveMatcherBuilder {
        LiveMatcherBuilder { matcher: Matcher::builder(), rebuilds_in_background: true }
    }

    /// Decides `flow` by the latest generation. The index of the rule is its index in the edited
    /// list.
    #[inline]
    pub fn decide(&self, flow: &Flow<'_>) -> LiveDecision {
        self.shared.current.load().decide_live(flow)
    }

    /// Returns the latest generation, to decide several flows by it and to read its rules, whatever
    /// is edited meanwhile.
    ///
    /// It may be kept for any time, and keeps its rules in memory.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// Returns the number of the latest generation: the number of edits made.
    pub fn generation(&self) -> u64 {
        self.shared.current.load().generation()
    }

    /// Inserts `rule`, which then has the index `index`, and returns the new generation. An index
    /// equal to the number of rules appends it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::RuleIndexOutOfRange`] for an index above the number of rules;
    /// [`ErrorKind::TooManyRules`] where there are [`Matcher::MAX_RULES`] already. Nothing has
    /// changed then.
    pub fn insert(&self, index: usize, rule: FilterRule) -> Result<u64, Error> {
        self.edit(Edit::Insert(index, Arc::new(rule)))
    }

    /// Removes the rule of this index and returns the new generation.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::RuleIndexOutOfRange`] if there is no such rule.
    pub fn remove(&self, index: usize) -> Result<u64, Error> {
        self.edit(Edit::Remove(index))
    }

    /// Puts `rule` in the place of the rule of this index and returns the new generation.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::RuleIndexOutOfRange`] if there is no such rule.
    pub fn replace_rule(&self, index: usize, rule: FilterRule) -> Result<u64, Error> {
        self.edit(Edit::Replace(index, Arc::new(rule)))
    }

    /// Sets the default action and returns the new generation.
    pub fn set_default_action(&self, action: Action) -> u64 {
        let shared = &self.shared;
        let generation = shared.apply(&mut lock(&shared.since_rebuild), Edit::Default(action));
        self.wake_worker();
        generation
    }

    /// Replaces all rules and the default action, and returns the new generation.
    ///
    /// The settings are compiled before anything changes, and other edits can be made meanwhile,
    /// which the new settings then replace as well.
    ///
    /// # Errors
    ///
    /// As for [`MatcherBuilder::build`]. Nothing has changed then.
    pub fn replace(&self, settings: FilterSettings) -> Result<u64, Error> {
        let shared = &self.shared;
        let base = Arc::new(Base::new(settings, shared.matcher)?);
        let mut since_rebuild = lock(&shared.since_rebuild);
        // A rebuild under way is of rules that are no more.
        *since_rebuild = None;
        let generation = shared.current.load().generation() + 1;
        let old = shared.current.swap(Arc::new(Snapshot::new(generation, base)));
        drop(since_rebuild);
        shared.retire(old);
        Ok(generation)
    }

    /// Compiles the edited rules now, waiting for a rebuild under way.
    ///
    /// Edits made while it runs may be left for the next one. It does nothing where there are none.
    ///
    /// # Errors
    ///
    /// As for [`MatcherBuilder::build`]: [`ErrorKind::MatcherTooLarge`] above
    /// [`max_bytes`](LiveMatcherBuilder::max_bytes). There cannot be too many rules, since edits check
    /// their number. Decisions stay right.
    ///
    /// # Complexity
    ///
    /// O(n log n) in the number of rules.
    pub fn rebuild(&self) -> Result<(), Error> {
        self.shared.rebuild()
    }

    /// Returns the precedence it decides with.
    pub fn precedence(&self) -> Precedence {
        self.shared.current.load().precedence()
    }

    fn edit(&self, edit: Edit) -> Result<u64, Error> {
        let shared = &self.shared;
        let mut since_rebuild = lock(&shared.since_rebuild);
        check(&edit, shared.current.load().rule_count())?;
        let generation = shared.apply(&mut since_rebuild, edit);
        drop(since_rebuild);
        self.wake_worker();
        Ok(generation)
    }

    /// Makes the worker look for edits, and starts it first if it was never needed. Where the
    /// system gives no thread, the next edit asks again.
    fn wake_worker(&self) {
        if !self.rebuilds_in_background {
            return;
        }
        let mut worker = lock(&self.worker);
        match &*worker {
            Some(worker) => worker.thread().unpark(),
            None => {
                let shared = Arc::clone(&self.shared);
                let named = thread::Builder::new().name("flowsieve-rebuild".to_owned());
                *worker = named.spawn(move || shared.work()).ok();
            }
        }
    }
}

/// Waits for a rebuild under way in the background.
impl Drop for LiveMatcher {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::Release);
        let worker = lock(&self.worker).take();
        if let Some(worker) = worker {
            worker.thread().unpark();
            // What it panicked of, if it did, has been printed.
            let _ = worker.join();
        }
    }
}

/// What the worker shares with the matcher.
#[derive(Debug)]
struct Shared {
    /// INVARIANT: stored to only by who holds the lock of `since_rebuild`.
    current: ArcSwap<Snapshot>,
    /// The edits made since the rebuild under way began; `None` while there is none, or it is of no
    /// use any more.
    since_rebuild: Mutex<Option<Vec<Edit>>>,
    /// Held by the one rebuild under way.
    rebuilding: Mutex<()>,
    /// Compiled rules that are no longer current but may be in use, so that they are freed here
    /// and not by the reader who happens to be the last.
    retired: Mutex<Vec<Arc<Base>>>,
    matcher: MatcherBuilder,
    is_stopped: AtomicBool,
}

impl Shared {
    /// Makes an edit that has been checked, and returns the generation.
    fn apply(&self, since_rebuild: &mut Option<Vec<Edit>>, edit: Edit) -> u64 {
        let current = self.current.load();
        let mut overlay = current.overlay().clone();
        if let Some(edits) = since_rebuild {
            edits.push(edit.clone());
        }
        overlay.apply(edit);
        let snapshot = current.edited(overlay);
        let generation = snapshot.generation();
        self.current.store(Arc::new(snapshot));
        generation
    }

    fn rebuild(&self) -> Result<(), Error> {
        let _only_one = lock(&self.rebuilding);
        let old = {
            let mut since_rebuild = lock(&self.since_rebuild);
            let current = self.current.load_full();
            if current.is_compiled() {
                return Ok(());
            }
            *since_rebuild = Some(Vec::new());
            current
        };
        let _recording = Recording(self);
        let base = Arc::new(Base::new(old.to_settings(), self.matcher)?);
        let mut since_rebuild = lock(&self.since_rebuild);
        let Some(edits) = since_rebuild.take() else { return Ok(()) };
        let mut overlay = Overlay::new(base.settings());
        edits.into_iter().for_each(|edit| overlay.apply(edit));
        let generation = self.current.load().generation();
        let snapshot = Snapshot::new(generation, base).with_overlay(overlay);
        self.current.store(Arc::new(snapshot));
        drop(since_rebuild);
        self.retire(old);
        Ok(())
    }

    /// Frees what no one uses any more, or keeps it for the next time.
    fn retire(&self, old: Arc<Snapshot>) {
        let base = Arc::clone(old.base());
        drop(old);
        let mut retired = lock(&self.retired);
        retired.push(base);
        let unused: Vec<Arc<Base>> =
            retired.extract_if(.., |base| Arc::strong_count(base) == 1).collect();
        drop(retired);
        drop(unused);
    }

    /// What the worker does until it is stopped.
    fn work(&self) {
        while !self.is_stopped.load(Ordering::Acquire) {
            let is_compiled = self.current.load().is_compiled();
            if is_compiled || self.rebuild().is_err() {
                thread::park();
            }
        }
    }
}

/// Ends the recording of edits, however the rebuild ends, so that they do not pile up.
struct Recording<'a>(&'a Shared);

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        *lock(&self.0.since_rebuild) = None;
    }
}

/// Checks that `edit` can be made on `count` rules.
fn check(edit: &Edit, count: usize) -> Result<(), Error> {
    let limit = Matcher::MAX_RULES;
    let (index, is_in_range) = match *edit {
        Edit::Insert(index, _) if index <= count && count >= limit => {
            return Err(Error::new(ErrorKind::TooManyRules { count: count + 1, limit }));
        }
        Edit::Insert(index, _) => (index, index <= count),
        Edit::Remove(index) | Edit::Replace(index, _) => (index, index < count),
        Edit::Default(_) => return Ok(()),
    };
    match is_in_range {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::RuleIndexOutOfRange { index, count })),
    }
}

/// A panic of another thread leaves nothing half done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Direction;
    use crate::rule::{NetworkRule, Protocol};

    #[test]
    fn dropping_a_matcher_ends_its_thread() {
        let live = LiveMatcher::new(FilterSettings::default()).unwrap();
        live.insert(0, any_rule()).unwrap();
        let shared = Arc::downgrade(&live.shared);
        drop(live);
        assert!(shared.upgrade().is_none());
    }

    #[test]
    fn compiled_rules_that_no_one_uses_are_freed() {
        let live = LiveMatcher::builder().rebuild_in_background(false);
        let live = live.build(FilterSettings::default()).unwrap();
        let snapshot = live.snapshot();
        let first = Arc::downgrade(snapshot.base());
        live.insert(0, any_rule()).unwrap();
        live.rebuild().unwrap();
        drop(snapshot);
        assert!(first.upgrade().is_some(), "left to the next rebuild");
        let second = Arc::downgrade(live.snapshot().base());
        live.replace(FilterSettings::default()).unwrap();
        assert!(first.upgrade().is_none() && second.upgrade().is_none());
    }

    #[test]
    fn edits_are_no_longer_recorded_after_a_rebuild_that_panics() {
        let live = LiveMatcher::builder().rebuild_in_background(false);
        let live = live.build(FilterSettings::default()).unwrap();
        let shared = &live.shared;
        *lock(&shared.since_rebuild) = Some(Vec::new());
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _recording = Recording(shared);
            panic!("as the matcher could");
        }));
        assert!(result.is_err() && lock(&shared.since_rebuild).is_none());
    }

    #[test]
    fn a_rule_beyond_the_most_that_a_matcher_takes_is_refused() {
        let rule = Arc::new(any_rule());
        let limit = Matcher::MAX_RULES;
        assert_eq!(check(&Edit::Insert(0, rule.clone()), limit - 1), Ok(()));
        let error = check(&Edit::Insert(0, rule.clone()), limit).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::TooManyRules { count: limit + 1, limit });
        assert_eq!(check(&Edit::Replace(0, rule), limit), Ok(()));
    }
    fn any_rule() -> FilterRule {
        let any = Direction::Any;
        let rule = NetworkRule::remote_network(None, 0, None, 0, Protocol::Any, any).unwrap();
        FilterRule::new(rule, Action::Drop)
    }
}
