//! [`Suggestion`]: the change that mends a lint.

use crate::proxy::{ProxyList, TransparentProxySettings};
use crate::rule::{Action, FilterRule, NetworkRule};
use crate::settings::FilterSettings;

/// A list of rules in settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleList {
    /// `rules` of a content filter.
    Rules,
    /// `includedNetworkRules` of a transparent proxy.
    Included,
    /// `excludedNetworkRules` of a transparent proxy.
    Excluded,
}

impl RuleList {
    /// All lists.
    pub const ALL: [RuleList; 3] = [RuleList::Rules, RuleList::Included, RuleList::Excluded];

    /// Returns `rules`, `includedNetworkRules` or `excludedNetworkRules`.
    pub fn as_str(self) -> &'static str {
        match self {
            RuleList::Rules => "rules",
            RuleList::Included => "includedNetworkRules",
            RuleList::Excluded => "excludedNetworkRules",
        }
    }

    /// Returns the name of a rule in this list: `rule 0`, `included rule 0`, `excluded rule 0`.
    pub fn rule_name(self, index: usize) -> String {
        match self {
            RuleList::Rules => format!("rule {index}"),
            RuleList::Included => format!("included rule {index}"),
            RuleList::Excluded => format!("excluded rule {index}"),
        }
    }
}

impl From<ProxyList> for RuleList {
    fn from(list: ProxyList) -> RuleList {
        match list {
            ProxyList::Included => RuleList::Included,
            ProxyList::Excluded => RuleList::Excluded,
        }
    }
}

/// A change to settings that mends a lint: edits that are applied one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    edits: Vec<Edit>,
}

/// One step of a [`Suggestion`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edit {
    /// Removes rules from a list and puts others in their place.
    Splice {
        /// The list.
        list: RuleList,
        /// The index of the first rule removed, or before which the others are put.
        at: usize,
        /// How many rules are removed.
        remove: usize,
        /// The rules put in their place.
        insert: Vec<SuggestedRule>,
    },
    /// Sets the default action of a content filter.
    DefaultAction(Action),
}

/// A rule of a [`Suggestion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuggestedRule {
    network_rule: NetworkRule,
    action: Option<Action>,
    label: Option<Box<str>>,
}

impl Suggestion {
    pub(crate) fn splice(
        list: RuleList,
        at: usize,
        remove: usize,
        insert: Vec<SuggestedRule>,
    ) -> Suggestion {
        Suggestion { edits: vec![Edit::Splice { list, at, remove, insert }] }
    }

    pub(crate) fn of(edits: Vec<Edit>) -> Suggestion {
        Suggestion { edits }
    }

    /// Returns the edits, in the order in which they are applied.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// The edits, to be changed.
    #[cfg(feature = "serde")]
    pub(crate) fn edits_mut(&mut self) -> &mut [Edit] {
        &mut self.edits
    }

    /// Returns the settings of a content filter with the edits applied. Edits of other lists, and
    /// those beyond the end of the list, change nothing.
    pub fn apply_to_filter(&self, settings: &FilterSettings) -> FilterSettings {
        let mut rules = settings.rules().to_vec();
        let mut default_action = settings.default_action();
        for edit in &self.edits {
            match edit {
                Edit::Splice { list: RuleList::Rules, at, remove, insert } => {
                    let insert = insert.iter().filter_map(SuggestedRule::filter_rule);
                    splice(&mut rules, *at, *remove, insert);
                }
                Edit::Splice { .. } => {}
                Edit::DefaultAction(action) => default_action = *action,
            }
        }
        FilterSettings::new(rules, default_action)
    }

    /// Returns the settings of a transparent proxy with the edits applied. Edits of other lists,
    /// and those beyond the end of the list, change nothing.
    pub fn apply_to_proxy(&self, settings: &TransparentProxySettings) -> TransparentProxySettings {
        let mut included = settings.included().to_vec();
        let mut excluded = settings.excluded().to_vec();
        for edit in &self.edits {
            let Edit::Splice { list, at, remove, insert } = edit else { continue };
            let rules = match list {
                RuleList::Rules => continue,
                RuleList::Included => &mut included,
                RuleList::Excluded => &mut excluded,
            };
            splice(rules, *at, *remove, insert.iter().map(|rule| rule.network_rule.clone()));
        }
        TransparentProxySettings::new(included, excluded)
    }
}

fn splice<T>(rules: &mut Vec<T>, at: usize, remove: usize, insert: impl Iterator<Item = T>) {
    let end = at.saturating_add(remove);
    if end <= rules.len() {
        rules.splice(at..end, insert);
    }
}

impl SuggestedRule {
    pub(crate) fn new(
        network_rule: NetworkRule,
        action: Option<Action>,
        label: Option<&str>,
    ) -> SuggestedRule {
        SuggestedRule { network_rule, action, label: label.map(Box::from) }
    }

    /// Returns which flows the rule is about.
    pub fn network_rule(&self) -> &NetworkRule {
        &self.network_rule
    }

    /// Returns the action; `None` in the lists of a proxy.
    pub fn action(&self) -> Option<Action> {
        self.action
    }

    /// Returns the label: that of the rule in whose place it stands.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// Returns the rule as one of a content filter; `None` if it is one of a proxy.
    pub fn filter_rule(&self) -> Option<FilterRule> {
        let rule = FilterRule::new(self.network_rule.clone(), self.action?);
        Some(match self.label() {
            Some(label) => rule.with_label(label),
            None => rule,
        })
    }
}
