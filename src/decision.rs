//! [`Decision`]: the action, the rule that gave it, why, and whether it is final.

use crate::rule::Action;
use std::fmt;

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
// PERF: without padding, and as a part of the struct in C, which a decision is then written to as one number;
// decide/capi-ipv4-1k.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Decision {
    action: RawAction,
    reason: Reason,
    is_final: bool,
    reserved: Reserved,
    /// INVARIANT: `NO_RULE` if and only if no rule gave the action.
    rule: u32,
}

/// An [`Action`], or what a number of two bits that stands for none would be.
// PERF: all numbers from 1 to 4, so that the action of such a number, which has one less, is an addition, whatever the
// number is; a choice among three took eight instructions, each of which waits for the one before;
// decide-dependent/ipv4-10.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RawAction {
    Allow = Action::Allow as u8,
    Drop = Action::Drop as u8,
    /// Of NEFilterAction; no rule has it (S-63).
    Remediate = 3,
    FilterData = Action::FilterData as u8,
}

impl RawAction {
    /// Returns the one of this number, of which the two low bits are read.
    #[inline(always)]
    pub(crate) fn of_code(code: u32) -> RawAction {
        match code & 3 {
            0 => RawAction::Allow,
            1 => RawAction::Drop,
            2 => RawAction::Remediate,
            _ => RawAction::FilterData,
        }
    }
}

impl From<Action> for RawAction {
    #[inline(always)]
    fn from(action: Action) -> RawAction {
        match action {
            Action::Allow => RawAction::Allow,
            Action::Drop => RawAction::Drop,
            Action::FilterData => RawAction::FilterData,
        }
    }
}

impl From<RawAction> for Action {
    #[inline(always)]
    fn from(action: RawAction) -> Action {
        match action {
            RawAction::Allow => Action::Allow,
            RawAction::Drop => Action::Drop,
            RawAction::Remediate | RawAction::FilterData => Action::FilterData,
        }
    }
}

/// What stands where a struct would have padding.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Reserved {
    Zero = 0,
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
    const fn new(rule: u32, action: RawAction, reason: Reason) -> Decision {
        Decision { rule, action, reason, is_final: true, reserved: Reserved::Zero }
    }

    /// A decision of the rule of this index.
    #[inline(always)]
    pub(crate) fn of_rule(index: u32, action: impl Into<RawAction>) -> Decision {
        Decision::new(index, action.into(), Reason::Rule)
    }

    /// The decision where no rule matches: loopback flows are allowed whatever the default
    /// (S-64).
    #[inline(always)]
    pub(crate) fn of_no_rule(default: Action, is_loopback: bool) -> Decision {
        match is_loopback {
            true => Decision::OF_LOOPBACK,
            false => Decision::new(NO_RULE, default.into(), Reason::Default),
        }
    }

    /// The decision on a loopback flow that no rule matches.
    pub(crate) const OF_LOOPBACK: Decision =
        Decision::new(NO_RULE, RawAction::Allow, Reason::Loopback);

    /// Adds that an earlier rule could still match.
    #[inline(always)]
    pub(crate) fn with_pending(self, pending: bool, is_final: bool) -> Decision {
        let reason = if pending { Reason::Pending } else { self.reason };
        Decision { reason, is_final, ..self }
    }

    /// Returns what is to be done.
    pub fn action(&self) -> Action {
        self.action.into()
    }

    #[inline(always)]
    pub(crate) fn raw_action(&self) -> RawAction {
        self.action
    }

    /// Returns the index of the rule that decided, counted from 0; `None` where none did.
    pub fn rule(&self) -> Option<usize> {
        (self.rule != NO_RULE).then_some(self.rule as usize)
    }

    /// Returns why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns whether a rule that goes before the deciding one (any rule, where none decided)
    /// could still match once the local endpoint or the host name is known.
    pub fn pending(&self) -> bool {
        // PERF: of the reasons, only this one has its bit; decide/capi-ipv6-1k.
        self.reason as u8 & Reason::Pending as u8 != 0
    }

    /// Returns whether the action stands whatever becomes known of the local endpoint and the
    /// host name.
    ///
    /// It does not if a pending rule has another action, or if the deciding rule matches the
    /// unbound local address but need not match what takes its place; see
    /// [`NetworkRule::leans_on_unbound`](crate::NetworkRule::leans_on_unbound).
    pub fn is_final(&self) -> bool {
        self.is_final
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
            .field("reason", &self.reason)
            .field("is_final", &self.is_final)
            .field("rule", &self.rule())
            .finish()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
