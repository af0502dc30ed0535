//! [`Coverage`]: what happens to the flows of a question at every address of a network.

use super::question::{Part, Question, Reach};
use flowsieve::{Action, Decider, FilterSettings, Precedence};
use ipnet::{IpNet, Ipv6Net};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The stretches of addresses of a network within which flows fare alike: exact, and in order,
/// without gaps.
#[derive(Clone, Debug)]
pub(crate) struct Coverage {
    window: IpNet,
    stretches: Vec<Stretch>,
    /// The rules that decide some of the flows or are meant to, with their networks.
    rules: Vec<(usize, IpNet)>,
    /// Rules that wait for a local endpoint or a host name.
    waiting: usize,
}

/// Addresses, by their bits, whose flows fare alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) first: u128,
    pub(crate) last: u128,
    pub(crate) fate: Fate,
}

/// What happens to the flows to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// For each action, in the order of [`Action::ALL`], the number of ports whose flows get it.
    pub(crate) ports: [u32; 3],
    /// What decides; `None` if that depends on the port.
    pub(crate) decider: Option<Decider>,
}

impl Fate {
    /// Returns the action of all flows; `None` if it depends on the port.
    pub(crate) fn action(&self) -> Option<Action> {
        let mut given = Action::ALL.into_iter().zip(self.ports).filter(|(_, ports)| *ports > 0);
        match (given.next(), given.next()) {
            (Some((action, _)), None) => Some(action),
            _ => None,
        }
    }
}

impl Coverage {
    /// Finds out what `settings` do at every address of `window`.
    ///
    /// # Complexity
    ///
    /// O(n log n) in the number of rules for one port. For all ports, each stretch also costs the
    /// rules that are asked at its addresses until every port is decided.
    pub(crate) fn new(
        settings: &FilterSettings,
        precedence: Precedence,
        question: &Question,
        window: IpNet,
    ) -> Coverage {
        let mut waiting = 0;
        let mut parts = Vec::new();
        for (index, rule) in settings.rules().iter().enumerate() {
            match question.part(rule.network_rule()) {
                Part::None => {}
                Part::Waits => waiting += 1,
                Part::Takes(reach) => parts.push((precedence.specificity(rule), index, reach)),
            }
        }
        parts.sort_by_key(|(specificity, index, _)| (Reverse(*specificity), *index));
        let sweep = Sweep { settings, question, parts: &parts };
        let mut stretches = Vec::new();
        for piece in pieces(window) {
            for stretch in sweep.run(piece.net) {
                let first = stretch.first + piece.shift;
                let last = stretch.last + piece.shift;
                push(&mut stretches, Stretch { first, last, ..stretch });
            }
        }
        let named = |(_, index, reach): &(u8, usize, Reach)| {
            let net = reach.net?;
            let is_inside = window.contains(&net) && net != window;
            is_inside.then_some((*index, net))
        };
        Coverage { window, stretches, rules: parts.iter().filter_map(named).collect(), waiting }
    }

    /// Returns the network.
    pub(crate) fn window(&self) -> IpNet {
        self.window
    }

    /// Returns the stretches, ascending.
    pub(crate) fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Returns the rules about a network within this one, in the order in which they are asked.
    pub(crate) fn rules(&self) -> &[(usize, IpNet)] {
        &self.rules
    }

    /// Returns how many rules could take part if a local endpoint or a host name were known.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns the share of the addresses of `net`, which lies within the window, whose flows all
    /// get each action, in the order of [`Action::ALL`], and of those where it depends on the port.
    pub(crate) fn shares(&self, net: IpNet) -> ([f64; 3], f64) {
        let (first, last) = (first_of(net), last_of(net));
        let (mut pure, mut by_port) = ([0.0; 3], 0.0);
        for stretch in self.within(first, last) {
            let addresses = size(stretch.first.max(first), stretch.last.min(last));
            let share = addresses / size(first, last);
            match stretch.fate.action() {
                None => by_port += share,
                Some(action) => {
                    let mut shares = Action::ALL.into_iter().zip(&mut pure);
                    if let Some((_, own)) = shares.find(|(other, _)| *other == action) {
                        *own += share;
                    }
                }
            }
        }
        (pure, by_port)
    }

    /// Returns the stretches that have an address from `first` to `last`.
    pub(crate) fn within(&self, first: u128, last: u128) -> &[Stretch] {
        let from = self.stretches.partition_point(|stretch| stretch.last < first);
        let to = self.stretches.partition_point(|stretch| stretch.first <= last);
        self.stretches.get(from..to).unwrap_or(&[])
    }
}

/// Returns the bits of the first address of a network.
pub(crate) fn first_of(net: IpNet) -> u128 {
    bits(net.network())
}

/// Returns the bits of the last address of a network.
pub(crate) fn last_of(net: IpNet) -> u128 {
    bits(net.broadcast())
}

/// Returns the number of addresses from `first` to `last`.
pub(crate) fn size(first: u128, last: u128) -> f64 {
    (last - first) as f64 + 1.0
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A part of a window, and what is added to its addresses to get those of the window.
struct Piece {
    net: PieceNet,
    shift: u128,
}

/// Addresses that rules compare as they stand.
#[derive(Clone, Copy)]
struct PieceNet {
    is_v4: bool,
    first: u128,
    last: u128,
}

const MAPPED: u128 = 0xffff_0000_0000;

/// Cuts a window into parts: IPv4-mapped addresses of flows count as IPv4 (S-20).
fn pieces(window: IpNet) -> Vec<Piece> {
    let (first, last) = (first_of(window), last_of(window));
    let piece = |is_v4, first: u128, last: u128, shift| Piece {
        net: PieceNet { is_v4, first, last },
        shift,
    };
    if matches!(window, IpNet::V4(_)) {
        return vec![piece(true, first, last, 0)];
    }
    let mapped_last = MAPPED + u128::from(u32::MAX);
    let (inner_first, inner_last) = (first.max(MAPPED), last.min(mapped_last));
    if inner_first > inner_last {
        return vec![piece(false, first, last, 0)];
    }
    let mut pieces = Vec::with_capacity(3);
    if first < inner_first {
        pieces.push(piece(false, first, inner_first - 1, 0));
    }
    pieces.push(piece(true, inner_first - MAPPED, inner_last - MAPPED, MAPPED));
    if inner_last < last {
        pieces.push(piece(false, inner_last + 1, last, 0));
    }
    pieces
}

/// One pass over the addresses.
struct Sweep<'a> {
    settings: &'a FilterSettings,
    question: &'a Question,
    /// In the order in which rules are asked.
    parts: &'a [(u8, usize, Reach)],
}

impl Sweep<'_> {
    /// Passes over the addresses of a piece.
    fn run(&self, piece: PieceNet) -> Vec<Stretch> {
        let family = |net: &IpNet| matches!(net, IpNet::V4(_)) == piece.is_v4;
        // First address, last address, place in the order.
        let mut spans: Vec<(u128, u128, usize)> = Vec::with_capacity(self.parts.len());
        for (place, (_, _, reach)) in self.parts.iter().enumerate() {
            let (first, last) = match reach.net {
                None => (piece.first, piece.last),
                Some(net) if family(&net) => {
                    (first_of(net).max(piece.first), last_of(net).min(piece.last))
                }
                Some(_) => continue,
            };
            if first <= last {
                spans.push((first, last, place));
            }
        }
        spans.sort_unstable();
        let loopback = match piece.is_v4 {
            true => u128::from(Ipv4Addr::LOCALHOST.to_bits()),
            false => Ipv6Addr::LOCALHOST.to_bits(),
        };
        let mut spans = spans.into_iter().peekable();
        // The places of the rules that reach the address, and where the next of them ends.
        let mut open: BTreeSet<usize> = BTreeSet::new();
        let mut ends: BinaryHeap<Reverse<(u128, usize)>> = BinaryHeap::new();
        let mut stretches = Vec::new();
        let mut at = piece.first;
        loop {
            while let Some((_, last, place)) = spans.next_if(|(first, ..)| *first <= at) {
                open.insert(place);
                ends.push(Reverse((last, place)));
            }
            let mut end = piece.last;
            end = spans.peek().map_or(end, |(first, ..)| end.min(first - 1));
            end = ends.peek().map_or(end, |Reverse((last, _))| end.min(*last));
            if at <= loopback && loopback <= end {
                end = if at == loopback { at } else { loopback - 1 };
            }
            let is_loopback = at == loopback || self.question.probe().is_loopback();
            let fate = self.fate(open.iter().copied(), is_loopback);
            push(&mut stretches, Stretch { first: at, last: end, fate });
            while let Some(Reverse((last, place))) = ends.peek().copied() {
                if last > end {
                    break;
                }
                ends.pop();
                open.remove(&place);
            }
            if end >= piece.last {
                return stretches;
            }
            at = end + 1;
        }
    }

    /// Asks the rules that reach an address, in order, until every port is decided.
    fn fate(&self, places: impl Iterator<Item = usize>, is_loopback: bool) -> Fate {
        let mut fate = Fate { ports: [0; 3], decider: None };
        let mut deciders = 0;
        let mut give = |action: Action, count: u32, decider: Decider| {
            if count > 0 {
                let mut ports = Action::ALL.into_iter().zip(&mut fate.ports);
                if let Some((_, own)) = ports.find(|(other, _)| *other == action) {
                    *own += count;
                }
                deciders += 1;
                fate.decider = if deciders == 1 { Some(decider) } else { None };
            }
        };
        // Ports that nothing has decided, ascending.
        let mut left: Vec<(u16, u16)> = vec![self.question.ports()];
        for place in places {
            let Some((_, index, reach)) = self.parts.get(place) else { continue };
            let Some(rule) = self.settings.rules().get(*index) else { continue };
            if is_loopback && !reach.matches_loopback {
                continue;
            }
            let count = take(&mut left, reach.first_port, reach.last_port);
            give(rule.action(), count, Decider::Rule(*index));
            if left.is_empty() {
                return fate;
            }
        }
        let count = take(&mut left, 0, u16::MAX);
        match is_loopback {
            true => give(Action::Allow, count, Decider::Loopback),
            false => give(self.settings.default_action(), count, Decider::Default),
        }
        fate
    }
}

/// Takes the ports from `first` to `last` away, and returns how many there were.
fn take(left: &mut Vec<(u16, u16)>, first: u16, last: u16) -> u32 {
    if let [(from, to)] = left.as_slice()
        && first <= *from
        && *to <= last
    {
        let count = u32::from(to - from) + 1;
        left.clear();
        return count;
    }
    let mut count = 0;
    let mut rest = Vec::with_capacity(left.len() + 1);
    for (from, to) in left.iter().copied() {
        if to < first || last < from {
            rest.push((from, to));
            continue;
        }
        count += u32::from(to.min(last) - from.max(first)) + 1;
        if from < first {
            rest.push((from, first - 1));
        }
        if last < to {
            rest.push((last + 1, to));
        }
    }
    *left = rest;
    count
}

/// Adds a stretch, or makes the last one longer where it goes on.
fn push(stretches: &mut Vec<Stretch>, stretch: Stretch) {
    match stretches.last_mut() {
        Some(before) if before.fate == stretch.fate => before.last = stretch.last,
        _ => stretches.push(stretch),
    }
}

/// Returns the network of the family of `like` that begins with these bits.
pub(crate) fn net_of(like: IpNet, first: u128, prefix_len: u8) -> IpNet {
    match like {
        IpNet::V4(_) => {
            let address = Ipv4Addr::from_bits(u32::try_from(first).unwrap_or(u32::MAX));
            IpNet::new_assert(address.into(), prefix_len.min(32))
        }
        IpNet::V6(_) => {
            let address = Ipv6Addr::from_bits(first);
            Ipv6Net::new_assert(address, prefix_len.min(128)).into()
        }
    }
}
