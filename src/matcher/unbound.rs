//! [`Unbound`]: what is pending for a flow whose local address and port are not known - every
//! outbound flow when a content filter is first asked.

use crate::endpoint::AddressFamily;
use crate::flow::{Direction, End, Flow, IpProtocol};
use crate::matcher::lanes::Lanes;
use crate::matcher::leaf::{Case, Leaf, Ranked};
use crate::matcher::lists::FirstPending;
use crate::matcher::plain::{Anyone, PlainIndex};
use crate::network::{Answer, Network};
use crate::rule::{Action, NetworkRule};
use ipnet::IpNet;

/// The rules with a local side as if they had none, those of each action by themselves: the first
/// that matches is the first that is pending.
#[derive(Debug)]
pub(super) struct Unbound {
    by_action: [PlainIndex; 3],
}

/// A rule with a local side: its remote side and what else is compared of the flow's remote end.
pub(super) type RemoteHalf = (Result<IpNet, Anyone>, Leaf);

impl Unbound {
    /// Returns whether the rule either is pending for flows of unbound local end or cannot match
    /// them, so that it can be kept here; false for the few that match `0.0.0.0` or `::` itself or
    /// compare a zone id.
    pub(super) fn can_hold(rule: &NetworkRule) -> bool {
        let zone = rule.remote_side().and_then(Network::zone).or(rule.local().zone());
        let families = [AddressFamily::V4, AddressFamily::V6];
        zone.is_none() && !families.into_iter().any(|f| Self::answer(rule, f) == Answer::Yes)
    }

    /// Returns whether the rule is pending for a flow of this family of unbound local end if all
    /// else matches.
    pub(super) fn is_pending(rule: &NetworkRule, family: AddressFamily) -> bool {
        Self::answer(rule, family) == Answer::NotYet
    }

    /// Returns what the local side says of the unbound local end of a flow of this family.
    fn answer(rule: &NetworkRule, family: AddressFamily) -> Answer {
        let unbound = family.unspecified();
        let flow = Flow::new(IpProtocol::TCP, Direction::Any)
            .with_remote_address(unbound, None, 0)
            .with_local_address(unbound, None, 0);
        let (address, port) = rule.local().test_local(&flow);
        address.and(port)
    }

    /// Makes the index; the rules are in ascending rank.
    pub(super) fn new(rules: &[RemoteHalf]) -> Unbound {
        let of_action = |action| {
            let of_action = || rules.iter().filter(|(_, leaf)| leaf.ranked.action() == action);
            let networks = of_action().filter_map(|(net, leaf)| Some(((*net).ok()?, *leaf)));
            let anywhere = of_action().filter_map(|(net, leaf)| Some((net.err()?, *leaf)));
            PlainIndex::new(networks.collect(), &anywhere.collect::<Vec<_>>(), Vec::new())
        };
        Unbound { by_action: Action::ALL.map(of_action) }
    }

    /// Returns what is pending for a flow of unbound local end that is not a loopback flow.
    #[inline(always)]
    pub(super) fn pending(&self, lanes: impl Lanes, remote: &End, case: Case) -> FirstPending {
        let mut pending = FirstPending::default();
        for index in &self.by_action {
            let first = index.first(lanes, remote, case);
            if first != Ranked::NONE {
                pending.add(first);
            }
        }
        pending
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        self.by_action.iter().map(PlainIndex::size_bytes).sum()
    }
}
