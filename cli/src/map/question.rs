//! [`Question`]: the flow that is asked about at every address.

use flowsieve::{Answer, Ports, RuleTest};
use flowsieve::{Direction, Endpoint, Error, Flow, IpProtocol, Network, NetworkRule, Remote};
use ipnet::IpNet;

/// The parts of a flow that are the same wherever it goes.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Without a remote endpoint.
    probe: Flow<'static>,
    ports: Ports,
}

/// What a rule that can match the flow of a question asks of the remote endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// `None` is every address of both families.
    pub(crate) net: Option<IpNet>,
    /// Never empty, and within those of the question.
    pub(crate) first_port: u16,
    pub(crate) last_port: u16,
    /// Whether loopback flows are among those that it matches (S-18).
    pub(crate) matches_loopback: bool,
}

/// Whether a rule takes part.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// It does not match, whatever the remote endpoint.
    None,
    /// It would match somewhere, were a local endpoint or a host name known.
    Waits,
    /// It matches where its remote side does.
    Takes(Reach),
}

impl Question {
    /// Asks about flows of one remote port, or of each port from 1 to 65535. Protocols other than
    /// TCP and UDP have no ports.
    ///
    /// # Errors
    ///
    /// Those of [`Flow::with_local`].
    pub(crate) fn new(
        protocol: IpProtocol,
        direction: Direction,
        port: Option<u16>,
        local: Option<Endpoint>,
        hostname: Option<String>,
    ) -> Result<Question, Error> {
        let mut probe = Flow::new(protocol, direction);
        if let Some(local) = local {
            probe = probe.with_local(local)?;
        }
        if let Some(hostname) = hostname {
            probe = probe.with_remote_hostname(hostname);
        }
        let has_ports = protocol == IpProtocol::TCP || protocol == IpProtocol::UDP;
        let ports = match port {
            Some(port) if has_ports && port > 0 => Ports::one(port),
            None if has_ports => Ports::range(1, u16::MAX)?,
            // No port is known: the flow's is 0, and only rules for any port match.
            _ => Ports::ANY,
        };
        Ok(Question { probe, ports })
    }

    /// Returns the flow, which has no remote endpoint yet.
    pub(crate) fn probe(&self) -> &Flow<'static> {
        &self.probe
    }

    /// Returns the first and the last port of the flows; both are 0 where there is none.
    pub(crate) fn ports(&self) -> (u16, u16) {
        match self.ports.is_any() {
            true => (0, 0),
            false => (self.ports.first(), self.ports.last()),
        }
    }

    /// Returns what the rule asks of the remote endpoint, if it can match the rest.
    pub(crate) fn part(&self, rule: &NetworkRule) -> Part {
        let test = rule.test(&self.probe);
        let RuleTest { protocol, direction, hostname, local_address, local_port, .. } = test;
        let parts = [protocol, direction, hostname, local_address, local_port];
        let (first, last) = self.ports();
        let ports = rule.remote().ports();
        let (first_port, last_port) = (first.max(ports.first()), last.min(ports.last()));
        if first_port > last_port {
            return Part::None;
        }
        match parts.into_iter().fold(Answer::Yes, Answer::and) {
            Answer::No => Part::None,
            Answer::NotYet => Part::Waits,
            Answer::Yes => {
                let (net, is_host) = match rule.remote() {
                    Remote::Network(network) => (network.net(), false),
                    Remote::Host { .. } => (None, true),
                };
                let is_explicit = rule.remote_side().is_some_and(Network::is_explicit);
                let matches_loopback = is_host || is_explicit || rule.local().is_explicit();
                Part::Takes(Reach { net, first_port, last_port, matches_loopback })
            }
        }
    }
}
