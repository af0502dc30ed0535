//! [`Unbound`]: the rules with a local side or a zone id for flows whose local address is not known -
//! every outbound flow when a content filter is first asked.

use crate::endpoint::AddressFamily;
use crate::flow::{Direction, End, Flow, IpProtocol};
use crate::matcher::lanes::Lanes;
use crate::matcher::leaf::{Case, Leaf, Ranked};
use crate::matcher::lists::Outcome;
use crate::matcher::memory;
use crate::matcher::plain::{Anyone, PlainIndex};
use crate::network::{Answer, Network};
use crate::rule::{Action, NetworkRule};
use ipnet::IpNet;

/// The rules as if they had no local side and no zone id, those by themselves of which it says the same.
///
/// For flows without zone ids, which all zone ids agree with, and whose local port, if it is known, no rule
/// asks for.
#[derive(Debug)]
pub(super) struct Unbound {
    v4: Vec<Part>,
    v6: Vec<Part>,
}

/// The rules of an action of which the local side says the same: one of them, the first, counts.
#[derive(Debug)]
struct Part {
    says: Says,
    rules: PlainIndex,
}

/// What the local side of a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Says {
    /// Of `0.0.0.0` or `::` and port 0.
    of_unbound: Answer,
    /// Where there is no local address.
    of_none: Answer,
    /// What it says of an address that is not known could end once it is.
    leans: bool,
}

impl Says {
    /// Returns what a rule says of flows to addresses of this family; none, if these never match it.
    fn of(rule: &NetworkRule, family: AddressFamily) -> Option<Says> {
        let unbound = family.unspecified();
        let of_none =
            Flow::new(IpProtocol::TCP, Direction::Any).with_remote_address(unbound, None, 0);
        let of_unbound = of_none.clone().with_local_address(unbound, None, 0);
        let leans = rule.leans_on_unbound(&of_unbound);
        let [of_unbound, of_none] = [of_unbound, of_none].map(|flow| {
            let (address, port) = rule.local().test_local(&flow);
            address.and(port)
        });
        let says = Says { of_unbound, of_none, leans };
        ([of_unbound, of_none] != [Answer::No; 2]).then_some(says)
    }
}

/// Where a rule applies in place of its remote side, and what else is compared of a flow's remote end.
type RemoteHalf = (Result<IpNet, Anyone>, Leaf);

/// An [`Unbound`] while it is made.
#[derive(Debug, Default)]
pub(super) struct Builder {
    v4: Vec<(Says, RemoteHalf)>,
    v6: Vec<(Says, RemoteHalf)>,
}

impl Builder {
    /// Adds a rule, given with its remote side; the rules come in ascending rank.
    pub(super) fn add(&mut self, rule: &NetworkRule, remote: &Network, leaf: Leaf) {
        let families = [
            (AddressFamily::V4, Anyone::V4, &mut self.v4),
            (AddressFamily::V6, Anyone::V6, &mut self.v6),
        ];
        for (family, anyone, halves) in families {
            if remote.family().is_none_or(|own| own == family)
                && let Some(says) = Says::of(rule, family)
            {
                let net = if remote.is_explicit() { remote.net() } else { None };
                halves.push((says, (net.ok_or(anyone), leaf)));
            }
        }
    }

    /// Returns the index; none, if there are no rules.
    pub(super) fn finish(self) -> Option<Box<Unbound>> {
        let [v4, v6] = [self.v4, self.v6].map(parts);
        (!v4.is_empty() || !v6.is_empty()).then(|| Box::new(Unbound { v4, v6 }))
    }
}

fn parts(halves: Vec<(Says, RemoteHalf)>) -> Vec<Part> {
    let mut keys: Vec<(Says, Action)> = Vec::new();
    for (says, (_, leaf)) in &halves {
        let key = (*says, leaf.ranked.action());
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let part = |(says, action): (Says, Action)| {
        let own =
            halves.iter().filter(|(own, (_, leaf))| (*own, leaf.ranked.action()) == (says, action));
        let (mut networks, mut anywhere) = (Vec::new(), Vec::new());
        for (_, (net, leaf)) in own {
            match net {
                Ok(net) => networks.push((*net, *leaf)),
                Err(anyone) => anywhere.push((*anyone, *leaf)),
            }
        }
        Part { says, rules: PlainIndex::new(networks, &anywhere, Vec::new()) }
    };
    keys.into_iter().map(part).collect()
}

impl Unbound {
    /// Adds what the rules say of a flow that is not a loopback flow, given by the family of its remote end.
    #[inline(always)]
    pub(super) fn ask(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        (remote, local): (&End, &End),
        case: Case,
        outcome: &mut Outcome,
    ) {
        let parts = match family {
            AddressFamily::V4 => &self.v4,
            AddressFamily::V6 => &self.v6,
        };
        let has_local = local.folded_family().is_some();
        for Part { says, rules } in parts {
            let first = rules.first(lanes, remote, case);
            match if has_local { says.of_unbound } else { says.of_none } {
                _ if first == Ranked::NONE => {}
                Answer::Yes => outcome.offer(first, says.leans),
                Answer::NotYet => outcome.pending.add(first),
                Answer::No => {}
            }
        }
    }

    /// Returns the memory held, in bytes on the heap and in itself.
    pub(super) fn size_bytes(&self) -> usize {
        let parts = [&self.v4, &self.v6];
        let rules = parts.iter().flat_map(|parts| *parts).map(|part| part.rules.size_bytes());
        size_of::<Unbound>()
            + parts.map(memory::of_vec).iter().sum::<usize>()
            + rules.sum::<usize>()
    }
}
