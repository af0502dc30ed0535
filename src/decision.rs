//! [`Decision`]: the action, the rule that gave it, why, and whether it is final.

use crate::rule::Action;
use std::fmt;
use std::hint::select_unpredictable;

/// What is to be done with a flow.
///
/// The action is what Apple's framework would do with the flow as it stands. Where the local
/// endpoint or the host name is not known yet, [`pending`](Decision::pending) says whether an
/// earlier rule could still match and [`is_final`](Decision::is_final) whether the action could
/// change, so that a caller knows when to ask again.
///
/// What is taken as not known yet is the local endpoint (nil, or unbound, address and port each by
/// itself) and a missing host name. A nil remote endpoint is not: rules with a remote side just do
/// not match it (S-22).
// INVARIANT: from the low bits on eight that are 0, the reason in eight, whether it is final, 13 that are 0, the number of
// the action in two, and the rule in 32, which is `NO_RULE` if and only if no rule gave the action.
// PERF: so that what the rule and the action are one number of is only shifted; taken apart, five instructions waited for
// each other; decide-dependent/ipv4-10.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Decision(u64);

const REASON_AT: u32 = 8;
const FINAL_AT: u32 = 16;
const ACTION_AT: u32 = 30;
const RULE_AT: u32 = 32;

/// The number of an action in two bits: that of NEFilterAction, less one.
pub(crate) const fn number_of(action: Action) -> u32 {
    action as u32 - 1
}

/// Returns the action of such a number, of which the two low bits are read.
#[inline(always)]
pub(crate) fn action_of(number: u32) -> Action {
    match number & 3 {
        0 => Action::Allow,
        1 => Action::Drop,
        // 2 is remediate, which no rule has (S-63).
        _ => Action::FilterData,
    }
}

const NO_RULE: u32 = u32::MAX;

/// Why a [`Decision`] came out as it did. The numbers are those of the C interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// A rule matched.
    Rule = 1,
    /// No rule matched, so the default action applies (S-62).
    Default = 2,
    /// No rule matched a loopback flow, which is then allowed (S-64).
    Loopback = 3,
    /// As things stand one of the others holds, but an earlier rule could still match.
    Pending = 4,
}

impl Decision {
    #[inline(always)]
    const fn new(rule_and_action: u64, reason: Reason) -> Decision {
        Decision(rule_and_action << ACTION_AT | 1 << FINAL_AT | (reason as u64) << REASON_AT)
    }

    /// A decision of the rule of this index.
    #[inline(always)]
    pub(crate) fn of_rule(index: u32, action: Action) -> Decision {
        let rule = u64::from(index) << (RULE_AT - ACTION_AT);
        Decision::new(rule | u64::from(number_of(action)), Reason::Rule)
    }

    /// Does the same, given the number of the action in the two low bits, and the index in the others.
    #[inline(always)]
    pub(crate) fn of_numbered(rule_and_action: u32) -> Decision {
        Decision::new(rule_and_action.into(), Reason::Rule)
    }

    /// The decision where no rule matches: loopback flows are allowed whatever the default
    /// (S-64).
    #[inline(always)]
    pub(crate) fn of_no_rule(default: Action, is_loopback: bool) -> Decision {
        match is_loopback {
            true => Decision::OF_LOOPBACK,
            false => Decision::without_rule(default, Reason::Default),
        }
    }

    /// The decision on a loopback flow that no rule matches.
    pub(crate) const OF_LOOPBACK: Decision =
        Decision::without_rule(Action::Allow, Reason::Loopback);

    const fn without_rule(action: Action, reason: Reason) -> Decision {
        let rule = (NO_RULE as u64) << (RULE_AT - ACTION_AT);
        Decision::new(rule | number_of(action) as u64, reason)
    }

    /// Adds to a final decision that an earlier rule could still match, and whether it stays final.
    #[inline(always)]
    pub(crate) fn with_pending(self, pending: bool, is_final: bool) -> Decision {
        let others = self.0 & !(0xff << REASON_AT);
        let as_pending = others | (Reason::Pending as u64) << REASON_AT;
        let decision = select_unpredictable(pending, as_pending, self.0);
        Decision(select_unpredictable(is_final, decision, decision & !(1 << FINAL_AT)))
    }

    /// Returns what is to be done.
    pub fn action(&self) -> Action {
        action_of(self.action_number())
    }

    /// Returns the number of the action.
    #[inline(always)]
    pub(crate) fn action_number(&self) -> u32 {
        (self.0 >> ACTION_AT) as u32 & 3
    }

    /// Returns the action, the reason, whether it is final, and 0, as they stand in `fsv_decision`: a byte each, the first
    /// one lowest.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn four_bytes(&self) -> u32 {
        (self.0 as u32 & !(3 << ACTION_AT)) | (self.action_number() + 1)
    }

    /// Returns the index of the rule that decided, or what stands for none: 32 bits that are set.
    #[inline(always)]
    pub(crate) fn raw_rule(&self) -> u32 {
        (self.0 >> RULE_AT) as u32
    }

    /// Returns the index of the rule that decided, counted from 0; `None` where none did.
    pub fn rule(&self) -> Option<usize> {
        let rule = self.raw_rule();
        (rule != NO_RULE).then_some(rule as usize)
    }

    /// Returns why.
    pub fn reason(&self) -> Reason {
        match (self.0 >> REASON_AT) as u8 {
            1 => Reason::Rule,
            2 => Reason::Default,
            3 => Reason::Loopback,
            _ => Reason::Pending,
        }
    }

    /// Returns whether a rule that goes before the deciding one (any rule, where none decided)
    /// could still match once the local endpoint or the host name is known.
    pub fn pending(&self) -> bool {
        // PERF: of the reasons, only this one has its bit; decide/capi-ipv6-1k.
        self.0 & (Reason::Pending as u64) << REASON_AT != 0
    }

    /// Returns whether the action stands whatever becomes known of the local endpoint and the
    /// host name.
    ///
    /// It does not if a pending rule has another action, or if the deciding rule matches the
    /// unbound local address but need not match what takes its place; see
    /// [`NetworkRule::leans_on_unbound`](crate::NetworkRule::leans_on_unbound).
    pub fn is_final(&self) -> bool {
        self.0 >> FINAL_AT & 1 != 0
    }
}

impl Reason {
    /// Returns `rule`, `default`, `loopback` or `pending`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Rule => "rule",
            Reason::Default => "default",
            Reason::Loopback => "loopback",
            Reason::Pending => "pending",
        }
    }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision")
            .field("action", &self.action())
            .field("reason", &self.reason())
            .field("is_final", &self.is_final())
            .field("rule", &self.rule())
            .finish()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
