//! The labels of a matcher's rules, where decisions point to.

use crate::rule::FilterRule;
use crate::settings::FilterSettings;
use std::collections::BTreeSet;
use std::ffi::c_char;
use std::sync::Arc;

/// The label of each rule; empty if none has one. Equal labels are one text.
pub(super) struct Labels(Vec<Option<Arc<str>>>);

/// The texts that are there already.
pub(super) type Pool = BTreeSet<Arc<str>>;

impl Labels {
    /// Takes the labels of `settings`, and from `pool` what is there.
    pub(super) fn new(settings: &FilterSettings, pool: &Pool) -> Labels {
        let labels = || settings.rules().iter().map(FilterRule::label);
        if labels().all(|label| label.is_none()) {
            return Labels(Vec::new());
        }
        let mut own = Pool::new();
        let mut text = |label: &str| {
            let known = pool.get(label).or_else(|| own.get(label)).cloned();
            known.unwrap_or_else(|| {
                let text: Arc<str> = label.into();
                own.insert(Arc::clone(&text));
                text
            })
        };
        Labels(labels().map(|label| label.map(&mut text)).collect())
    }

    /// Returns the label of a rule: NULL and 0 if it has none, or there is no such rule.
    #[inline(always)]
    pub(super) fn of_rule(&self, rule: u32) -> (*const c_char, usize) {
        match self.0.get(rule as usize) {
            Some(Some(label)) => (label.as_ptr().cast(), label.len()),
            _ => (std::ptr::null(), 0),
        }
    }

    /// Adds the texts to `pool`, which keeps them where they are.
    pub(super) fn keep_in(&self, pool: &mut Pool) {
        pool.extend(self.0.iter().flatten().cloned());
    }

    /// Returns the memory of the labels, in bytes; of each text once.
    pub(super) fn size_bytes(&self) -> usize {
        let texts: BTreeSet<&str> = self.0.iter().flatten().map(|label| &**label).collect();
        // Beside its text, an `Arc` holds two counters.
        let texts = texts.iter().map(|text| text.len() + 2 * size_of::<usize>());
        self.0.len() * size_of::<Option<Arc<str>>>() + texts.sum::<usize>()
    }
}
