//! [`CoverWalk`]: a trie of remote networks, each with its rules.

use super::{Bits, Key, PackedRule};
use flowsieve::{FilterSettings, Network};
use prefix_trie::PrefixMap;

/// What one would make of a longest-prefix-match crate: for a flow, every network that contains the
/// remote address is visited and its rules are gone through, up to the first that matches or that
/// comes after the best one so far.
pub(crate) struct CoverWalk<B: Bits> {
    rules: PrefixMap<B::Net, Vec<(usize, PackedRule<B>)>>,
}

impl<B: Bits> CoverWalk<B> {
    pub(crate) fn new(settings: &FilterSettings) -> CoverWalk<B> {
        let mut rules = PrefixMap::new();
        for (index, rule) in settings.rules().iter().enumerate() {
            let rule = rule.network_rule();
            let bits = rule.remote_side().map_or(0, Network::compared_bits);
            let packed = PackedRule::<B>::new(rule);
            let list: &mut Vec<_> = rules.entry(packed.remote.net(bits)).or_default();
            list.push((index, packed));
        }
        CoverWalk { rules }
    }

    /// The number of rules of the network that has the most.
    pub(crate) fn longest_list(&self) -> usize {
        self.rules.values().map(Vec::len).max().unwrap_or(0)
    }

    pub(crate) fn first_match(&self, key: &Key<B>) -> Option<usize> {
        let mut best = usize::MAX;
        for (_, list) in self.rules.cover(&key.remote.host()) {
            let before = list.iter().take_while(|(index, _)| *index < best);
            if let Some((index, _)) = { before }.find(|(_, rule)| rule.matches(key)) {
                best = *index;
            }
        }
        (best != usize::MAX).then_some(best)
    }
}
