//! Why a rule matches, in words: the counterpart of [`RuleOutcome::reasons`], which says why not.

use flowsieve::{
    Direction, Flow, FlowEndpoint, Network, NetworkRule, Ports, Protocol, Remote, RuleOutcome,
    RulePart,
};

/// Returns a sentence for each part that keeps the rule from matching, or, where it matches, for
/// each part that asks something of the flow. `rule` and `flow` are those that were explained.
pub(crate) fn sentences(outcome: &RuleOutcome, rule: &NetworkRule, flow: &Flow<'_>) -> Vec<String> {
    let reasons = outcome.reasons(rule, flow);
    if !reasons.is_empty() {
        return reasons;
    }
    let parts = outcome.test().parts().into_iter();
    parts.filter_map(|(part, _)| holds(part, rule, flow)).collect()
}

/// Says why a part that holds does; `None` if it would hold for every flow.
fn holds(part: RulePart, rule: &NetworkRule, flow: &Flow<'_>) -> Option<String> {
    match part {
        RulePart::Protocol => Some(match rule.match_protocol() {
            Protocol::Any => format!("protocol {} is TCP or UDP", flow.protocol()),
            protocol => format!("protocol is {protocol}"),
        }),
        RulePart::Direction => match rule.match_direction() {
            Direction::Any => None,
            direction => Some(format!("direction is {direction}")),
        },
        RulePart::RemoteAddress => address_holds("remote", rule.remote_side()?, flow.remote()),
        RulePart::RemotePort => port_holds("remote", rule.remote().ports(), flow.remote()),
        RulePart::Hostname => {
            let Remote::Host { name, .. } = rule.remote() else { return None };
            let found = flow.remote_hostname()?.escape_debug();
            Some(match name.is_single_label() {
                true => format!("host name {found} is {name}"),
                false => format!("host name {found} is {name} or below it"),
            })
        }
        RulePart::LocalAddress => address_holds("local", rule.local(), flow.local()),
        RulePart::LocalPort => port_holds("local", rule.local().ports(), flow.local()),
        RulePart::Loopback => (rule.remote_side().is_some() && flow.is_loopback())
            .then(|| "loopback flow, and the rule names an address".to_owned()),
    }
}

fn address_holds(side: &str, network: &Network, endpoint: Option<FlowEndpoint>) -> Option<String> {
    let address = endpoint?.folded_address()?;
    let (host, prefix) = (network.endpoint()?, network.prefix()?);
    let holds = format!("{side} address {address} is in {}/{prefix}", host.host());
    Some(match network.compared_bits() {
        0 => format!("{holds}, as every {} address is", network.family()?),
        _ => holds,
    })
}

fn port_holds(side: &str, ports: Ports, endpoint: Option<FlowEndpoint>) -> Option<String> {
    let port = endpoint?.port();
    (!ports.is_any()).then(|| match ports.as_one() {
        Some(_) => format!("{side} port is {port}"),
        None => format!("{side} port {port} is in {ports}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowsieve::formats::{flow_lines, settings};
    use flowsieve::{Precedence, explain};

    fn why(rule: &str, flow: &str) -> Vec<String> {
        let text = format!(r#"{{"rules": [{{"networkRule": {rule}, "action": "drop"}}]}}"#);
        let settings = settings::read(text.as_bytes()).unwrap();
        let flow = flow_lines::read(flow).unwrap();
        let explanation = explain(&settings, Precedence::FirstMatch, &flow);
        sentences(&explanation.rules()[0], settings.rules()[0].network_rule(), &flow)
    }

    #[test]
    fn matching_rule_says_what_it_asked_for() {
        let rule = r#"{"remoteNetwork": "10.0.0.0:80-90", "remotePrefix": 8,
            "localNetwork": "192.0.2.1:5353", "localPrefix": 32, "protocol": "any"}"#;
        let flow = r#"{"remoteEndpoint": "10.1.2.3:85", "localEndpoint": "192.0.2.1:5353",
            "socketProtocol": 17, "direction": "outbound"}"#;
        let expected = [
            "protocol UDP is TCP or UDP",
            "remote address 10.1.2.3 is in 10.0.0.0/8",
            "remote port 85 is in 80-90",
            "local address 192.0.2.1 is in 192.0.2.1/32",
            "local port is 5353",
        ];
        assert_eq!(why(rule, flow), expected);
    }

    #[test]
    fn prefix_zero_says_that_it_asks_for_nothing() {
        let rule = r#"{"destinationNetwork": "111.111.111.111", "destinationPrefix": 0,
            "protocol": "TCP"}"#;
        let flow = r#"{"remoteEndpoint": "123.123.123.123:80", "socketProtocol": 6,
            "direction": "outbound"}"#;
        let expected = [
            "protocol is TCP",
            "direction is outbound",
            "remote address 123.123.123.123 is in 111.111.111.111/0, as every IPv4 address is",
        ];
        assert_eq!(why(rule, flow), expected);
    }

    #[test]
    fn host_rule_and_loopback_rule_say_why_they_match() {
        let rule = r#"{"destinationHost": "example.com", "protocol": "any"}"#;
        let flow = r#"{"remoteEndpoint": "192.0.2.1:80", "socketProtocol": 6,
            "direction": "outbound", "remoteHostname": "www.example.com"}"#;
        let expected = "host name www.example.com is example.com or below it";
        assert!(why(rule, flow).contains(&expected.to_owned()));

        let rule = r#"{"destinationNetwork": "127.0.0.1", "destinationPrefix": 32,
            "protocol": "any"}"#;
        let flow = r#"{"remoteEndpoint": "127.0.0.1:80", "socketProtocol": 6,
            "direction": "outbound"}"#;
        let expected = "loopback flow, and the rule names an address";
        assert!(why(rule, flow).contains(&expected.to_owned()));
    }

    #[test]
    fn rule_that_fails_says_only_what_failed() {
        let rule = r#"{"destinationHost": "example.com", "protocol": "TCP"}"#;
        let flow = r#"{"socketProtocol": 17, "direction": "outbound"}"#;
        assert_eq!(why(rule, flow), ["protocol UDP is not TCP"]);
    }
}
