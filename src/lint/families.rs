//! Wildcards cover one address family: L-07.

use super::draft::{Draft, Side};
use super::{Entry, Lint, LintCode, Rules};
use crate::endpoint::AddressFamily;
use crate::flow::Direction;
use crate::network::Network;
use crate::rule::{NetworkRule, Protocol};
use std::collections::HashSet;

/// L-07: a rule that a wildcard restricts to one family, where neither another rule nor the default
/// action does the same for the other family.
pub(super) fn one_wildcard(rules: &Rules<'_>) -> Vec<Lint> {
    let of_list = |entries: Vec<&Entry<'_>>| {
        let present: HashSet<Scope> = entries.iter().filter_map(|e| Scope::of(e.rule)).collect();
        let lonely = move |entry: &Entry<'_>| {
            if is_said_otherwise(entry) {
                return None;
            }
            // What falls to a default action that is the same is not left out.
            if entry.action.is_some() && entry.action == rules.default_action {
                return None;
            }
            let scope = Scope::of(entry.rule)?;
            let family = scope.family()?;
            let twin = scope.in_family(family.other());
            if twin.wider().any(|wider| present.contains(&wider)) {
                return None;
            }
            Some(lint(entry, family))
        };
        entries.into_iter().filter_map(lonely).collect::<Vec<_>>()
    };
    rules.lists().flat_map(of_list).collect()
}

/// A wildcard with a prefix length is L-08, and one with any port is refused in a proxy as L-09.
fn is_said_otherwise(entry: &Entry<'_>) -> bool {
    let of_side = |side: Side| match side.of(entry.rule) {
        Some(Network::Wildcard { family, prefix, ports }) => {
            let has_prefix = (1..family.bits()).contains(prefix);
            has_prefix || (entry.action.is_none() && ports.is_any())
        }
        _ => false,
    };
    Side::BOTH.into_iter().any(of_side)
}

fn lint(entry: &Entry<'_>, family: AddressFamily) -> Lint {
    let is_wildcard = |side: &Side| matches!(side.of(entry.rule), Some(Network::Wildcard { .. }));
    let side = Side::BOTH.into_iter().find(is_wildcard).unwrap_or(Side::Remote);
    let (twin, key) = (family.other(), side.network_key(entry.rule));
    let message = format!(
        "{address} is a wildcard for {family} only, and no rule does the same for {twin}: add one \
         with {unspecified}, or, for any port, make the network nil",
        address = family.unspecified(),
        unspecified = twin.unspecified(),
    );
    let draft = Side::BOTH
        .into_iter()
        .filter(is_wildcard)
        .fold(Draft::of(entry.rule), |draft, side| draft.with_network(side, twin.unspecified(), 0));
    let lint = entry.lint(LintCode::OneWildcardFamily, Some(key), message);
    lint.suggesting(draft.build().map(|rule| entry.followed_by([rule])))
}

/// The first and the last port of a side.
type PortRange = (u16, u16);

/// What a rule without explicit networks and names covers: families and ports of each side,
/// protocol, direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Scope {
    remote: (Option<AddressFamily>, PortRange),
    local: (Option<AddressFamily>, PortRange),
    protocol: Protocol,
    direction: Direction,
}

impl Scope {
    fn of(rule: &NetworkRule) -> Option<Scope> {
        let side = |network: &Network| {
            let ports = (network.ports().first(), network.ports().last());
            (!network.is_explicit()).then_some((network.family(), ports))
        };
        Some(Scope {
            remote: side(rule.remote_side()?)?,
            local: side(rule.local())?,
            protocol: rule.match_protocol(),
            direction: rule.match_direction(),
        })
    }

    /// The family that the wildcards restrict it to.
    fn family(&self) -> Option<AddressFamily> {
        match (self.remote.0, self.local.0) {
            (Some(remote), Some(local)) if remote != local => None,
            (remote, local) => remote.or(local),
        }
    }

    /// The same in another family.
    fn in_family(self, family: AddressFamily) -> Scope {
        let turn =
            |(own, ports): (Option<AddressFamily>, PortRange)| (own.and(Some(family)), ports);
        Scope { remote: turn(self.remote), local: turn(self.local), ..self }
    }

    /// Itself, and what covers more.
    fn wider(self) -> impl Iterator<Item = Scope> {
        const ALL_PORTS: PortRange = (0, u16::MAX);
        let sides = |(family, ports): (Option<AddressFamily>, PortRange)| {
            [(family, ports), (family, ALL_PORTS), (None, ALL_PORTS)]
        };
        let protocols = [self.protocol, Protocol::Any];
        let directions = [self.direction, Direction::Any];
        let locals = sides(self.local);
        sides(self.remote).into_iter().flat_map(move |remote| {
            locals.into_iter().flat_map(move |local| {
                protocols.into_iter().flat_map(move |protocol| {
                    directions.into_iter().map(move |direction| Scope {
                        remote,
                        local,
                        protocol,
                        direction,
                    })
                })
            })
        })
    }
}
