//! Rules that no rule can be made of: the lint that says why, and the rule that is likely meant.

use crate::endpoint::{AddressFamily, Endpoint, Host, Ports};
use crate::error::{Error, ErrorKind};
use crate::flow::Direction;
use crate::formats::json::Value;
use crate::lint::{LintCode, RuleList, SuggestedRule};
use crate::rule::{Action, NetworkRule, Protocol};
use std::net::IpAddr;

/// Returns the lint that an error is about; `None` for errors of other kinds, such as an unknown
/// key. `rule` is what was read, of which `list` says whether it has an action.
pub(super) fn code_of(error: &Error, rule: Value<'_>, list: RuleList) -> Option<LintCode> {
    let is_host = network_rule_of(rule, list)?.field("destinationHost").is_some();
    let is_prefix = error.key().is_some_and(|key| key.ends_with("Prefix"));
    match error.kind() {
        ErrorKind::NotAnAddress { .. } | ErrorKind::AddressAsHostname { .. } if is_host => {
            Some(LintCode::AddressInHostRule)
        }
        ErrorKind::NotAnAddress { .. }
        | ErrorKind::AddressAsHostname { .. }
        | ErrorKind::InvalidHostname { .. }
        | ErrorKind::EmptyHostname { .. }
        | ErrorKind::InvalidEndpoint { .. }
            if !is_host =>
        {
            Some(LintCode::NameInNetwork)
        }
        ErrorKind::PrefixTooLong { .. } | ErrorKind::PrefixNotFound => {
            Some(LintCode::PrefixTooLong)
        }
        ErrorKind::NumberOutOfRange { .. } if is_prefix => Some(LintCode::PrefixTooLong),
        ErrorKind::NumberOutOfRange { .. } if error.key() == Some("port") => Some(LintCode::Ports),
        ErrorKind::InvalidPort { .. } | ErrorKind::InvalidPortRange { .. } => Some(LintCode::Ports),
        ErrorKind::UnsupportedAction { .. } => Some(LintCode::UnsupportedAction),
        _ => None,
    }
}

/// The key of a lint for the key of an error.
pub(super) fn key_of(error: &Error) -> Option<&'static str> {
    const KEYS: [&str; 10] = [
        "action",
        "destinationHost",
        "destinationNetwork",
        "destinationPrefix",
        "hostname",
        "localNetwork",
        "localPrefix",
        "port",
        "remoteNetwork",
        "remotePrefix",
    ];
    KEYS.into_iter().find(|key| error.key() == Some(key))
}

/// Returns the rule that is likely meant, with everything mended that is known to be wrong.
pub(super) fn mend(rule: Value<'_>, list: RuleList) -> Option<SuggestedRule> {
    let network_rule = mended_network_rule(network_rule_of(rule, list)?)?;
    if list != RuleList::Rules {
        return Some(SuggestedRule::new(network_rule, None, None));
    }
    let label = rule.field("label").and_then(|label| label.string().ok());
    let action = mended_action(rule.field("action")?)?;
    Some(SuggestedRule::new(network_rule, Some(action), label.as_deref()))
}

/// The action that is meant: what macOS does not have is left to the provider, which can drop.
fn mended_action(action: Value<'_>) -> Option<Action> {
    match action.parsed::<Action>() {
        Ok(action) => Some(action),
        Err(error) => matches!(error.kind(), ErrorKind::UnsupportedAction { .. })
            .then_some(Action::FilterData),
    }
}

fn network_rule_of<'a>(rule: Value<'a>, list: RuleList) -> Option<Value<'a>> {
    match list {
        RuleList::Rules => rule.field("networkRule"),
        RuleList::Included | RuleList::Excluded => Some(rule),
    }
}

fn mended_network_rule(rule: Value<'_>) -> Option<NetworkRule> {
    let protocol = rule.field("protocol")?;
    let protocol: Protocol = match protocol.is_string() {
        true => protocol.parsed().ok()?,
        false => Protocol::Number(protocol.whole_number(255).ok()? as u8).canonical(),
    };
    let field = |key| rule.field(key).filter(|value| !value.is_null());
    let destination = match (field("destinationHost"), field("destinationNetwork")) {
        (Some(host), _) => Some(Side::read(host, None)?),
        (None, Some(network)) => Some(Side::read(network, field("destinationPrefix"))?),
        (None, None) => None,
    };
    if let Some(side) = destination {
        return side.destination(protocol);
    }
    let side = |network, prefix| {
        field(network).map_or(Some(None), |network| Side::read(network, field(prefix)).map(Some))
    };
    let (remote, local) =
        (side("remoteNetwork", "remotePrefix")?, side("localNetwork", "localPrefix")?);
    let direction = match rule.field("direction") {
        None => Direction::Any,
        Some(direction) => direction.parsed().ok()?,
    };
    match remote {
        // A host rule is outbound and has no local side.
        Some(remote) if remote.endpoint.host().name().is_some() => (local.is_none()
            && direction != Direction::Inbound)
            .then(|| remote.destination(protocol))?,
        remote => {
            let (remote, remote_prefix) = remote.map(|side| (side.endpoint, side.prefix)).unzip();
            let (local, local_prefix) = local.map(|side| (side.endpoint, side.prefix)).unzip();
            let (remote_prefix, local_prefix) =
                (remote_prefix.unwrap_or(0), local_prefix.unwrap_or(0));
            NetworkRule::remote_network(
                remote,
                remote_prefix,
                local,
                local_prefix,
                protocol,
                direction,
            )
            .ok()
        }
    }
}

/// An endpoint and a prefix length that a rule can be made of, unless the host is a name.
struct Side {
    endpoint: Endpoint,
    prefix: u64,
}

impl Side {
    fn read(network: Value<'_>, prefix: Option<Value<'_>>) -> Option<Side> {
        let (host, port) = match network.is_string() {
            true => (network.string().ok()?.into_owned(), None),
            false => {
                (network.field("hostname")?.string().ok()?.into_owned(), network.field("port"))
            }
        };
        let read = read_host(&host)?;
        let ports = match port {
            None => read.ports,
            Some(port) => match port.is_string() {
                true => read_ports(&port.string().ok()?)?,
                false => Ports::one(port.whole_number(u16::MAX.into()).ok()? as u16),
            },
        };
        let width = match &read.host {
            Host::Address(address, _) => u64::from(AddressFamily::of(*address).bits()),
            Host::Name(_) => 0,
        };
        let given = prefix.and_then(|prefix| prefix.number().ok()?.parse::<u64>().ok());
        let prefix = read.prefix.or(given).filter(|prefix| *prefix <= width).unwrap_or(width);
        // A port in the text of the host counts where there is no other.
        let ports = if ports.is_any() { read.ports } else { ports };
        Some(Side { endpoint: Endpoint::from_parts(read.host, ports), prefix })
    }

    fn destination(self, protocol: Protocol) -> Option<NetworkRule> {
        let rule = match self.endpoint.host() {
            Host::Name(_) => NetworkRule::destination_host(self.endpoint, protocol),
            Host::Address(..) => {
                NetworkRule::destination_network(self.endpoint, self.prefix, protocol)
            }
        };
        rule.ok()
    }
}

/// What text in place of a host holds.
struct LooseHost {
    host: Host,
    prefix: Option<u64>,
    ports: Ports,
}

/// Reads a host, an endpoint, an address with a prefix length, or the host of a URL.
fn read_host(text: &str) -> Option<LooseHost> {
    let text = text.trim();
    let loose = |host| LooseHost { host, prefix: None, ports: Ports::ANY };
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next()?;
        return read_host(authority.rsplit('@').next()?);
    }
    let text_of_address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    if let Some((address, prefix)) = text.split_once('/') {
        return match (text_of_address(address), prefix.parse()) {
            (Some(address), Ok(prefix)) => {
                Some(LooseHost { prefix: Some(prefix), ..loose(Host::Address(address, None)) })
            }
            (None, _) => read_host(address),
            _ => None,
        };
    }
    // As HostName has it, the dots and stars at the ends of an address mean nothing.
    if let Some(address) = text_of_address(text.trim_matches(['.', '*'])) {
        return Some(loose(Host::Address(address, None)));
    }
    let endpoint: Endpoint = text.parse().ok()?;
    Some(LooseHost { ports: endpoint.ports(), ..loose(endpoint.host().clone()) })
}

/// Reads ports, also with blanks, as other programs write a range, and by their usual names.
fn read_ports(text: &str) -> Option<Ports> {
    const NAMES: [(&str, u16); 17] = [
        ("*", 0),
        ("any", 0),
        ("ftp", 21),
        ("ssh", 22),
        ("telnet", 23),
        ("smtp", 25),
        ("dns", 53),
        ("domain", 53),
        ("http", 80),
        ("pop3", 110),
        ("ntp", 123),
        ("imap", 143),
        ("ldap", 389),
        ("https", 443),
        ("submission", 587),
        ("imaps", 993),
        ("pop3s", 995),
    ];
    let text = text.trim();
    let named = NAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    if let Some((_, port)) = named {
        return Some(Ports::one(*port));
    }
    let separator = ["..", "-", ":"].into_iter().find(|separator| text.contains(separator));
    let Some((first, last)) = separator.and_then(|separator| text.split_once(separator)) else {
        return text.parse().ok();
    };
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    Ports::range(first, last).or_else(|_| Ports::range(last, first)).ok()
}
