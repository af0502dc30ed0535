//! [`Draft`]: a rule taken apart, to be put together with something changed.

use crate::endpoint::{Endpoint, Host, Ports};
use crate::flow::Direction;
use crate::network::Network;
use crate::rule::{Initializer, NetworkRule, Protocol, Remote};
use std::net::IpAddr;

/// One side of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Remote,
    Local,
}

impl Side {
    pub(super) const BOTH: [Side; 2] = [Side::Remote, Side::Local];

    /// Returns `remote` or `local`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Side::Remote => "remote",
            Side::Local => "local",
        }
    }

    /// The network of this side; `None` for the remote side of a host rule.
    pub(super) fn of(self, rule: &NetworkRule) -> Option<&Network> {
        match self {
            Side::Remote => rule.remote_side(),
            Side::Local => Some(rule.local()),
        }
    }

    /// The key of the address and the port in a settings file.
    pub(super) fn network_key(self, rule: &NetworkRule) -> &'static str {
        match (self, rule.initializer()) {
            (Side::Local, _) => "localNetwork",
            (Side::Remote, Initializer::DestinationNetwork) => "destinationNetwork",
            (Side::Remote, Initializer::DestinationHost) => "destinationHost",
            (Side::Remote, Initializer::RemoteNetwork) => "remoteNetwork",
        }
    }

    /// The key of the prefix length in a settings file.
    pub(super) fn prefix_key(self, rule: &NetworkRule) -> &'static str {
        match (self, rule.initializer()) {
            (Side::Local, _) => "localPrefix",
            (Side::Remote, Initializer::DestinationNetwork) => "destinationPrefix",
            (Side::Remote, _) => "remotePrefix",
        }
    }
}

/// The arguments of an initialiser.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    initializer: Initializer,
    remote: Option<(Endpoint, u64)>,
    local: Option<(Endpoint, u64)>,
    protocol: Protocol,
    direction: Direction,
}

impl Draft {
    pub(super) fn of(rule: &NetworkRule) -> Draft {
        let side = |network: &Network| network.endpoint().zip(network.prefix().map(u64::from));
        Draft {
            initializer: rule.initializer(),
            remote: match rule.remote() {
                Remote::Network(network) => side(network),
                Remote::Host { .. } => rule.match_remote_endpoint().map(|endpoint| (endpoint, 0)),
            },
            local: side(rule.local()),
            protocol: rule.match_protocol(),
            direction: rule.match_direction(),
        }
    }

    /// Sets the address and the prefix length of a side that has an address, and keeps its port.
    pub(super) fn with_network(self, side: Side, address: IpAddr, prefix: u8) -> Draft {
        let ports = self.side(side).as_ref().map_or(Ports::ANY, |(endpoint, _)| endpoint.ports());
        let endpoint = Endpoint::from_parts(Host::Address(address, None), ports);
        self.with_side(side, Some((endpoint, prefix.into())))
    }

    /// Sets the prefix length of a side.
    pub(super) fn with_prefix(self, side: Side, prefix: u8) -> Draft {
        let network = self.side(side).clone().map(|(endpoint, _)| (endpoint, prefix.into()));
        self.with_side(side, network)
    }

    /// Sets the ports of a side that has an endpoint.
    pub(super) fn with_ports(self, side: Side, ports: Ports) -> Draft {
        let network = self.side(side).clone().map(|(endpoint, prefix)| {
            (Endpoint::from_parts(endpoint.host().clone(), ports), prefix)
        });
        self.with_side(side, network)
    }

    /// Sets the host of the remote side, and keeps its port.
    pub(super) fn with_remote_host(self, host: Host) -> Draft {
        let ports = self.remote.as_ref().map_or(Ports::ANY, |(endpoint, _)| endpoint.ports());
        self.with_side(Side::Remote, Some((Endpoint::from_parts(host, ports), 0)))
    }

    /// Makes a side nil.
    pub(super) fn without(self, side: Side) -> Draft {
        self.with_side(side, None)
    }

    /// Sets the direction.
    pub(super) fn with_direction(self, direction: Direction) -> Draft {
        Draft { direction, ..self }
    }

    fn side(&self, side: Side) -> &Option<(Endpoint, u64)> {
        match side {
            Side::Remote => &self.remote,
            Side::Local => &self.local,
        }
    }

    fn with_side(self, side: Side, network: Option<(Endpoint, u64)>) -> Draft {
        match side {
            Side::Remote => Draft { remote: network, ..self },
            Side::Local => Draft { local: network, ..self },
        }
    }

    /// Makes the rule, with the initialiser it came from where that still takes it. `None` if it
    /// is no rule: a host rule is outbound and has no local side.
    pub(super) fn build(self) -> Option<NetworkRule> {
        let is_destination = self.local.is_none() && self.direction == Direction::Outbound;
        let rule = match (self.initializer, self.remote) {
            (_, Some((endpoint, _))) if endpoint.host().name().is_some() => {
                if self.local.is_some() || self.direction == Direction::Inbound {
                    return None;
                }
                NetworkRule::destination_host(endpoint, self.protocol)
            }
            (Initializer::DestinationNetwork | Initializer::DestinationHost, Some(remote))
                if is_destination =>
            {
                NetworkRule::destination_network(remote.0, remote.1, self.protocol)
            }
            (_, remote) => {
                let (remote, remote_prefix) = remote.unzip();
                let (local, local_prefix) = self.local.unzip();
                let (remote_prefix, local_prefix) =
                    (remote_prefix.unwrap_or(0), local_prefix.unwrap_or(0));
                let (protocol, direction) = (self.protocol, self.direction);
                NetworkRule::remote_network(
                    remote,
                    remote_prefix,
                    local,
                    local_prefix,
                    protocol,
                    direction,
                )
            }
        };
        rule.ok()
    }
}
