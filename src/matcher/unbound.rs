//! [`Unbound`]: the rules with a local side or a zone id for flows whose local address is not known -
//! every outbound flow when a content filter is first asked.

use crate::endpoint::AddressFamily;
use crate::flow::{Direction, End, Flow, IpProtocol};
use crate::matcher::intervals::Singles;
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
/// asks for. Flows of a family have an index of their own.
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

/// What the local side of a rule says of each way in which a local address can be unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Says {
    /// It is the unspecified one of the family of the remote address.
    of_own: Said,
    /// It is that of the other family, as of dual-stack sockets.
    of_other: Said,
    /// There is none.
    of_none: Said,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    answer: Answer,
    /// It matches, which could end once the address is known.
    leans: bool,
}

impl Says {
    /// Returns what a rule says of [such](unknowns) flows to addresses of a family; none, if these never match it.
    fn of(rule: &NetworkRule, unknowns: &[Flow<'static>; 3]) -> Option<Says> {
        let [of_own, of_other, of_none] = unknowns.each_ref().map(|flow| {
            let (address, port) = rule.local().test_local(flow);
            let answer = address.and(port);
            Said { answer, leans: answer == Answer::Yes && rule.leans_on_unbound(flow) }
        });
        let says = Says { of_own, of_other, of_none };
        let never = Said { answer: Answer::No, leans: false };
        let may_match = says != Says { of_own: never, of_other: never, of_none: never };
        may_match.then_some(says)
    }
}

/// Returns a flow to an address of this family for each way in which a local address can be unknown, in the order of
/// [`Says`].
fn unknowns(family: AddressFamily) -> [Flow<'static>; 3] {
    let flow = Flow::new(IpProtocol::TCP, Direction::Any);
    let of_none = flow.with_remote_address(family.unspecified(), None, 0);
    let [of_own, of_other] = [family, family.other()]
        .map(|local| of_none.clone().with_local_address(local.unspecified(), None, 0));
    [of_own, of_other, of_none]
}

/// Where a rule applies in place of its remote side, and what else is compared of a flow's remote end.
type RemoteHalf = (Result<IpNet, Anyone>, Leaf);

/// An [`Unbound`] while it is made.
#[derive(Debug)]
pub(super) struct Builder {
    v4: Family,
    v6: Family,
}

/// The rules that flows of a family may match, and the flows that they are asked about.
#[derive(Debug)]
struct Family {
    family: AddressFamily,
    unknowns: [Flow<'static>; 3],
    halves: Vec<(Says, RemoteHalf)>,
}

impl Builder {
    /// Begins with no rules.
    pub(super) fn new() -> Builder {
        let [v4, v6] = [AddressFamily::V4, AddressFamily::V6].map(|family| Family {
            family,
            unknowns: unknowns(family),
            halves: Vec::new(),
        });
        Builder { v4, v6 }
    }

    /// Adds a rule, given with its remote side; the rules come in ascending rank.
    pub(super) fn add(&mut self, rule: &NetworkRule, remote: &Network, leaf: Leaf) {
        for (of, anyone) in [(&mut self.v4, Anyone::V4), (&mut self.v6, Anyone::V6)] {
            if remote.family().is_none_or(|own| own == of.family)
                && let Some(says) = Says::of(rule, &of.unknowns)
            {
                let net = if remote.is_explicit() { remote.net() } else { None };
                of.halves.push((says, (net.ok_or(anyone), leaf)));
            }
        }
    }

    /// Returns the index; none, if there are no rules.
    pub(super) fn finish(self, singles: Singles) -> Option<Box<Unbound>> {
        let [v4, v6] = [self.v4, self.v6].map(|of| parts(of.halves, singles));
        (!v4.is_empty() || !v6.is_empty()).then(|| Box::new(Unbound { v4, v6 }))
    }
}

fn parts(halves: Vec<(Says, RemoteHalf)>, singles: Singles) -> Vec<Part> {
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
        Part { says, rules: PlainIndex::new(networks, &anywhere, &[], singles) }
    };
    keys.into_iter().map(part).collect()
}

impl Unbound {
    /// Adds what the rules say of a flow that is not a loopback flow, given by the family of its remote end, the leaf
    /// of which says whether it is in a network of theirs.
    #[inline(always)]
    pub(super) fn ask(
        &self,
        lanes: impl Lanes,
        (family, leaf): (AddressFamily, Leaf),
        (remote, local): (&End, &End),
        case: Case,
        outcome: &mut Outcome,
    ) {
        let parts = match family {
            AddressFamily::V4 => &self.v4,
            AddressFamily::V6 => &self.v6,
        };
        for Part { says, rules } in parts {
            let Said { answer, leans } = match local.folded_family() {
                Some(own) if own == family => says.of_own,
                Some(_) => says.of_other,
                None => says.of_none,
            };
            if answer == Answer::No {
                continue;
            }
            let first = match leaf.is_conditional() {
                true => rules.first(lanes, remote, case),
                false => rules.first_of_any_host(lanes, remote, case),
            };
            match answer {
                _ if first == Ranked::NONE => {}
                Answer::Yes => outcome.offer(first, leans),
                Answer::NotYet | Answer::No => outcome.pending.add(first),
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
