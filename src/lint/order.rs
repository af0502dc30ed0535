//! The order of the rules: L-15.
//!
//! Whether one rule covers another is a question to each part of the two, and every part is either
//! equal or more general in few ways: a shorter prefix length, no port, the protocol any. So rules
//! are kept by their *shape*, which says how general each part is, and within a shape by what they
//! hold, and a rule looks up itself, made as general as the shape, in each shape that could cover
//! its own.

use super::prefixes::holds_loopback;
use super::{Edit, Entry, Lint, LintCode, RuleList, Rules, SuggestedRule, Suggestion};
use crate::endpoint::{AddressFamily, Ports, Zone};
use crate::flow::Direction;
use crate::network::Network;
use crate::rule::{NetworkRule, Protocol, Remote};
use ipnet::IpNet;
use std::collections::HashMap;

/// L-15: a rule all of whose flows one earlier rule matches.
///
/// Flows between a loopback address and another are left out of account, and the lint says so where loopback
/// flows that carry a name are. In proxy settings excluded rules come before included ones (S-90).
pub(super) fn shadowed(rules: &Rules<'_>) -> Vec<Lint> {
    let mut earlier = Earlier::default();
    let mut lints = Vec::new();
    for (place, entry) in rules.entries.iter().enumerate() {
        let found = earlier.first_covering(entry.rule, place);
        lints.extend(
            found.and_then(|found| Some(lint(entry, rules.entries.get(found.place)?, &found))),
        );
    }
    lints
}

fn lint(entry: &Entry<'_>, earlier: &Entry<'_>, found: &Found) -> Lint {
    let but_for = if found.is_but_for_loopback { ", but for loopback flows" } else { "" };
    let (message, suggestion) = match (entry.action, earlier.action) {
        (Some(own), Some(other)) if own != other && !found.is_equal => (
            format!(
                "an earlier rule matches every flow that this rule matches{but_for}, so its action \
                 {other} is taken and {own} never: an exception stands before the rule that it is \
                 one from"
            ),
            moved(entry, earlier.index),
        ),
        (Some(own), Some(other)) if own != other => (
            format!(
                "an earlier rule matches the same flows: its action {other} is taken, {own} never"
            ),
            entry.removed(),
        ),
        _ if entry.list == earlier.list => (
            format!(
                "another rule matches every flow that this rule matches{but_for}, to the same \
                 effect"
            ),
            entry.removed(),
        ),
        _ => (
            format!(
                "an excluded rule matches every flow that this rule matches{but_for}, and goes \
                 first"
            ),
            entry.removed(),
        ),
    };
    let lint = entry.lint(LintCode::Shadowed, None, message).suggesting(Some(suggestion));
    Lint { related: Some((earlier.list, earlier.index)), ..lint }
}

/// Suggests to put the rule before the one at `to`, which stands earlier.
fn moved(entry: &Entry<'_>, to: usize) -> Suggestion {
    let rule = SuggestedRule::new(entry.rule.clone(), entry.action, entry.label);
    let splice = |at, remove, insert| Edit::Splice { list: RuleList::Rules, at, remove, insert };
    Suggestion::of(vec![splice(entry.index, 1, Vec::new()), splice(to, 0, vec![rule])])
}

/// The rules seen so far.
#[derive(Default)]
struct Earlier<'a> {
    shapes: Vec<OfShape<'a>>,
    numbers: HashMap<Shape, usize>,
    /// Each name of a host rule, in lower case, by a number.
    names: HashMap<String, u32>,
}

/// The rules of one shape.
struct OfShape<'a> {
    shape: Shape,
    /// The shapes that could cover this one, itself among them.
    covering: Vec<usize>,
    rules: HashMap<Content, Vec<Seen<'a>>>,
}

/// A rule that was seen.
struct Seen<'a> {
    rule: &'a NetworkRule,
    place: usize,
}

/// The first rule that covers another.
struct Found {
    place: usize,
    is_equal: bool,
    /// Loopback flows that carry the name of a host rule are not matched by the rule found.
    is_but_for_loopback: bool,
}

impl<'a> Earlier<'a> {
    /// Returns the first rule seen that covers `rule`, and adds it as the one at `place`.
    fn first_covering(&mut self, rule: &'a NetworkRule, place: usize) -> Option<Found> {
        let (own, names) = (self.number(Shape::of(rule)), self.names_of(rule));
        let is_loopback = is_loopback(rule);
        let mut found: Option<Found> = None;
        let covering = self.shapes.get(own).map_or(&[][..], |of_shape| &of_shape.covering);
        for number in covering {
            let Some(of_shape) = self.shapes.get(*number) else { continue };
            let matches_loopback = of_shape.shape.is_explicit();
            if is_loopback && !matches_loopback {
                continue;
            }
            let is_but_for_loopback =
                !matches_loopback && matches!(rule.remote(), Remote::Host { .. });
            for (nth, content) in of_shape.shape.contents(rule, &names).enumerate() {
                let Some(seen) = of_shape.rules.get(&content) else { continue };
                let covers = seen.iter().find(|seen| ports_cover(seen.rule, rule));
                if let Some(seen) = covers
                    && found.as_ref().is_none_or(|found| seen.place < found.place)
                {
                    // Only by its own name, which is the first, does it hold the same.
                    let is_equal = *number == own && nth == 0 && ports_cover(rule, seen.rule);
                    found = Some(Found { place: seen.place, is_equal, is_but_for_loopback });
                }
            }
        }
        self.add(rule, place, own, &names);
        found
    }

    fn add(&mut self, rule: &'a NetworkRule, place: usize, own: usize, names: &[u32]) {
        let Some(of_shape) = self.shapes.get_mut(own) else { return };
        // The first is the rule's own name, and of its own shape there is one content by it.
        let Some(content) = of_shape.shape.contents(rule, names.get(..1).unwrap_or(names)).next()
        else {
            return;
        };
        let seen = of_shape.rules.entry(content).or_default();
        // The same again would be found after the first, and so never.
        if !seen.iter().any(|seen| ports_cover(seen.rule, rule)) {
            seen.push(Seen { rule, place });
        }
    }

    /// The number of a shape, a new one where it has not been seen.
    fn number(&mut self, shape: Shape) -> usize {
        if let Some(number) = self.numbers.get(&shape) {
            return *number;
        }
        let number = self.shapes.len();
        self.numbers.insert(shape, number);
        let mut covering = vec![number];
        for (other, of_shape) in self.shapes.iter_mut().enumerate() {
            if of_shape.shape.may_cover(&shape) {
                covering.push(other);
            }
            if shape.may_cover(&of_shape.shape) {
                of_shape.covering.push(number);
            }
        }
        self.shapes.push(OfShape { shape, covering, rules: HashMap::new() });
        number
    }

    /// The numbers of the names of host rules that hold the name of this one: its own first.
    fn names_of(&mut self, rule: &NetworkRule) -> Vec<u32> {
        let Remote::Host { name, .. } = rule.remote() else { return Vec::new() };
        let name = name.trimmed().to_ascii_lowercase();
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let mut numbers = vec![*self.names.entry(name.clone()).or_insert(next)];
        // A single label holds no other name (S-41).
        let dots = name.match_indices('.').map(|(dot, _)| dot + 1);
        let above = dots.filter_map(|start| name.get(start..)).filter(|above| above.contains('.'));
        numbers.extend(above.filter_map(|above| self.names.get(above)));
        numbers
    }
}

/// How general each part of a rule is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Shape {
    remote: SideShape,
    local: SideShape,
    protocol: Protocol,
    direction: Direction,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct SideShape {
    kind: SideKind,
    ports: PortKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum SideKind {
    Nil,
    Wildcard(AddressFamily),
    Prefix { family: AddressFamily, len: u8, has_zone: bool },
    Host,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum PortKind {
    Any,
    One,
    Range,
}

/// What a rule holds where its shape leaves a choice. Ranges of ports are compared one by one.
#[derive(PartialEq, Eq, Hash)]
struct Content {
    remote: SideContent,
    local: SideContent,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct SideContent {
    net: Option<IpNet>,
    zone: Option<Zone>,
    name: Option<u32>,
    port: Option<u16>,
}

impl Shape {
    fn of(rule: &NetworkRule) -> Shape {
        let remote = match rule.remote() {
            Remote::Network(network) => SideKind::of(network),
            Remote::Host { .. } => SideKind::Host,
        };
        Shape {
            remote: SideShape { kind: remote, ports: PortKind::of(rule.remote().ports()) },
            local: SideShape {
                kind: SideKind::of(rule.local()),
                ports: PortKind::of(rule.local().ports()),
            },
            protocol: rule.match_protocol(),
            direction: rule.match_direction(),
        }
    }

    /// Whether a rule of this shape could cover one of the other.
    fn may_cover(&self, other: &Shape) -> bool {
        let is_tcp_or_udp =
            |protocol| matches!(protocol, Protocol::Any | Protocol::Tcp | Protocol::Udp);
        let protocol = match self.protocol {
            Protocol::Any => is_tcp_or_udp(other.protocol),
            protocol => protocol == other.protocol,
        };
        let direction = self.direction == Direction::Any || self.direction == other.direction;
        protocol
            && direction
            && self.remote.may_cover(&other.remote)
            && self.local.may_cover(&other.local)
    }

    /// Whether a side is explicit, so that the rule matches loopback; host rules do too (S-41).
    fn is_explicit(&self) -> bool {
        let is_explicit =
            |side: &SideShape| matches!(side.kind, SideKind::Prefix { .. } | SideKind::Host);
        is_explicit(&self.remote) || is_explicit(&self.local)
    }

    /// What a rule of this shape would hold if it held all of `rule`: in each way that its names
    /// and zone ids leave open.
    fn contents(&self, rule: &NetworkRule, names: &[u32]) -> impl Iterator<Item = Content> + use<> {
        let remotes = match rule.remote() {
            Remote::Network(network) => vec![self.remote.content(network)],
            // A nil network holds every name.
            Remote::Host { .. } if self.remote.kind == SideKind::Nil => {
                vec![self.remote.content(&Network::Nil)]
            }
            Remote::Host { ports, .. } => {
                let port = self.remote.ports.content(*ports);
                let content = |name| SideContent { net: None, zone: None, name: Some(name), port };
                names.iter().copied().map(content).collect()
            }
        };
        let local = self.local.content(rule.local());
        remotes.into_iter().map(move |remote| Content { remote, local })
    }
}

impl SideShape {
    fn may_cover(&self, other: &SideShape) -> bool {
        self.kind.may_cover(other.kind) && self.ports.may_cover(other.ports)
    }

    /// The addresses of `network`, as far as this shape looks at them.
    fn content(&self, network: &Network) -> SideContent {
        let (net, zone) = match (self.kind, network) {
            (SideKind::Prefix { len, has_zone, .. }, Network::Prefix { net, zone, .. }) => {
                let net = IpNet::new(net.addr(), len).ok().map(|net| net.trunc());
                (net, zone.filter(|_| has_zone))
            }
            // Prefix length 0 holds a wildcard too.
            (SideKind::Prefix { family, len: 0, .. }, _) => {
                (IpNet::new(family.unspecified(), 0).ok(), None)
            }
            _ => (None, None),
        };
        SideContent { net, zone, name: None, port: self.ports.content(network.ports()) }
    }
}

impl SideKind {
    fn of(network: &Network) -> SideKind {
        match *network {
            Network::Nil => SideKind::Nil,
            Network::Wildcard { family, .. } => SideKind::Wildcard(family),
            Network::Prefix { net, zone, .. } => SideKind::Prefix {
                family: AddressFamily::of(net.addr()),
                len: net.prefix_len(),
                has_zone: zone.is_some(),
            },
        }
    }

    fn may_cover(self, other: SideKind) -> bool {
        match (self, other) {
            (SideKind::Nil, _) | (SideKind::Host, SideKind::Host) => true,
            (SideKind::Wildcard(own), SideKind::Wildcard(other)) => own == other,
            (SideKind::Wildcard(own), SideKind::Prefix { family, .. }) => own == family,
            (SideKind::Prefix { family, len: 0, has_zone }, SideKind::Wildcard(other)) => {
                family == other && !has_zone
            }
            (
                SideKind::Prefix { family: own, len, has_zone },
                SideKind::Prefix { family, len: other, has_zone: other_has_zone },
            ) => own == family && len <= other && (!has_zone || other_has_zone),
            _ => false,
        }
    }
}

impl PortKind {
    fn of(ports: Ports) -> PortKind {
        match (ports.is_any(), ports.as_one()) {
            (true, _) => PortKind::Any,
            (false, Some(_)) => PortKind::One,
            (false, None) => PortKind::Range,
        }
    }

    fn may_cover(self, other: PortKind) -> bool {
        match (self, other) {
            (PortKind::Any, _) | (PortKind::Range, PortKind::One | PortKind::Range) => true,
            (own, other) => own == other,
        }
    }

    fn content(self, ports: Ports) -> Option<u16> {
        ports.as_one().filter(|_| self == PortKind::One)
    }
}

/// Whether the ports of both sides of `rule` hold those of `other`.
fn ports_cover(rule: &NetworkRule, other: &NetworkRule) -> bool {
    let cover =
        |own: Ports, other: Ports| own.first() <= other.first() && other.last() <= own.last();
    cover(rule.remote().ports(), other.remote().ports())
        && cover(rule.local().ports(), other.local().ports())
}

/// Whether a rule matches loopback flows by their loopback address, or is about them by name: flows that nil
/// networks and wildcards do not match (S-18).
fn is_loopback(rule: &NetworkRule) -> bool {
    let names = |network: &Network| {
        let families = [AddressFamily::V4, AddressFamily::V6];
        families.into_iter().any(|family| holds_loopback(network, family))
    };
    let is_localhost = match rule.remote() {
        Remote::Network(network) => names(network),
        Remote::Host { name, .. } => name.trimmed().eq_ignore_ascii_case("localhost"),
    };
    is_localhost || names(rule.local())
}
