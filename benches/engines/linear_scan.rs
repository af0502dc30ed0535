//! [`LinearScan`]: the rules, packed, one after the other.

use super::{Bits, Key, PackedRule};
use flowsieve::FilterSettings;

/// Rules as values and masks in one array, gone through in order.
pub(crate) struct LinearScan<B> {
    rules: Vec<PackedRule<B>>,
}

impl<B: Bits> LinearScan<B> {
    pub(crate) fn new(settings: &FilterSettings) -> LinearScan<B> {
        let rules = settings.rules().iter();
        LinearScan { rules: rules.map(|rule| PackedRule::new(rule.network_rule())).collect() }
    }

    pub(crate) fn first_match(&self, key: &Key<B>) -> Option<usize> {
        self.rules.iter().position(|rule| rule.matches(key))
    }
}
