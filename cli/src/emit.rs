//! Settings as JSON, Swift and Objective-C.

use flowsieve::formats::settings;
use flowsieve::{
    Action, Direction, Endpoint, FilterRule, FilterSettings, NetworkRule, Protocol, Remote,
};
use std::fmt::Write;

/// What settings are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Json,
    Swift,
    ObjectiveC,
}

/// Writes settings that the framework takes; in code, as a function of this name.
pub(crate) fn code(
    language: impl Into<Language>,
    settings: &FilterSettings,
    function: &str,
) -> String {
    match language.into() {
        Language::Json => settings::write(settings),
        Language::Swift => swift(settings, function),
        Language::ObjectiveC => objective_c(settings, function),
    }
}

/// One statement a rule: compilers take long for an expression of a thousand. The initialisers are
/// those of macOS 15, since Swift may not see the older ones with its SDK; for systems before it there
/// is Objective-C.
fn swift(settings: &FilterSettings, function: &str) -> String {
    let mut code = "import Network
import NetworkExtension

@available(macOS 15.0, *)
func makeFirstStage() -> NEFilterSettings {
    var rules: [NEFilterRule] = []
    func end(_ host: Network.NWEndpoint.Host, _ port: Network.NWEndpoint.Port) -> Network.NWEndpoint
    {
        .hostPort(host: host, port: port)
    }
    func add(
        _ remote: Network.NWEndpoint?, _ remotePrefix: Int, _ local: Network.NWEndpoint?,
        _ localPrefix: Int, _ proto: NENetworkRule.`Protocol`, _ direction: NETrafficDirection,
        _ action: NEFilterAction
    ) {
        let rule = NENetworkRule(
            remoteNetworkEndpoint: remote, remotePrefix: remotePrefix, localNetworkEndpoint: local,
            localPrefix: localPrefix, protocol: proto, direction: direction)
        rules.append(NEFilterRule(networkRule: rule, action: action))
    }
"
    .replace("makeFirstStage", function);
    let end = |end: Option<Endpoint>| match end {
        None => "nil".to_owned(),
        Some(end) => format!("end({}, {})", quoted(&end.host().to_string()), end.ports()),
    };
    for rule in settings.rules() {
        let network_rule = rule.network_rule();
        // A String takes whatever is written.
        let _ = match network_rule.remote() {
            Remote::Network(_) => writeln!(
                code,
                "    add({}, {}, {}, {}, .{}, .{}, .{})",
                end(network_rule.match_remote_endpoint()),
                network_rule.match_remote_prefix().unwrap_or(0),
                end(network_rule.match_local_network()),
                network_rule.match_local_prefix().unwrap_or(0),
                protocol(network_rule, "any"),
                network_rule.match_direction(),
                rule.action(),
            ),
            Remote::Host { .. } => writeln!(
                code,
                "    rules.append(NEFilterRule(networkRule: NENetworkRule(\n        \
                 destinationHostEndpoint: {}, protocol: .{}), action: .{}))",
                end(network_rule.match_remote_endpoint()),
                protocol(network_rule, "any"),
                rule.action(),
            ),
        };
    }
    let _ = write!(
        code,
        "    return NEFilterSettings(rules: rules, defaultAction: .{})\n}}\n",
        settings.default_action()
    );
    code
}

fn objective_c(settings: &FilterSettings, function: &str) -> String {
    let mut code = "#import <NetworkExtension/NetworkExtension.h>

static NWHostEndpoint *endpoint(NSString *host, NSString *port) {
    return [NWHostEndpoint endpointWithHostname:host port:port];
}

static void add(NSMutableArray<NEFilterRule *> *rules, NWHostEndpoint *remote,
                NSUInteger remotePrefix, NWHostEndpoint *local, NSUInteger localPrefix,
                NENetworkRuleProtocol protocol, NETrafficDirection direction,
                NEFilterAction action) {
    NENetworkRule *rule = [[NENetworkRule alloc] initWithRemoteNetwork:remote
                                                          remotePrefix:remotePrefix
                                                          localNetwork:local
                                                           localPrefix:localPrefix
                                                              protocol:protocol
                                                             direction:direction];
    [rules addObject:[[NEFilterRule alloc] initWithNetworkRule:rule action:action]];
}

NEFilterSettings *makeFirstStage(void) {
    NSMutableArray<NEFilterRule *> *rules = [NSMutableArray array];
"
    .replace("makeFirstStage", function);
    let end = |end: Option<Endpoint>| match end {
        None => "nil".to_owned(),
        Some(end) => {
            format!("endpoint(@{}, @\"{}\")", quoted(&end.host().to_string()), end.ports())
        }
    };
    for rule in settings.rules() {
        let network_rule = rule.network_rule();
        let protocol = protocol(network_rule, "Any");
        let action = action(rule);
        let _ = match network_rule.remote() {
            Remote::Network(_) => writeln!(
                code,
                "    add(rules, {}, {}, {}, {}, NENetworkRuleProtocol{protocol}, \
                 NETrafficDirection{}, {action});",
                end(network_rule.match_remote_endpoint()),
                network_rule.match_remote_prefix().unwrap_or(0),
                end(network_rule.match_local_network()),
                network_rule.match_local_prefix().unwrap_or(0),
                match network_rule.match_direction() {
                    Direction::Any => "Any",
                    Direction::Inbound => "Inbound",
                    Direction::Outbound => "Outbound",
                },
            ),
            Remote::Host { .. } => writeln!(
                code,
                "    [rules addObject:[[NEFilterRule alloc]\n        initWithNetworkRule:\
                 [[NENetworkRule alloc] initWithDestinationHost:{}\n            \
                 protocol:NENetworkRuleProtocol{protocol}]\n        action:{action}]];",
                end(network_rule.match_remote_endpoint()),
            ),
        };
    }
    let default = action_name(settings.default_action());
    let _ = write!(
        code,
        "    return [[NEFilterSettings alloc] initWithRules:rules defaultAction:{default}];\n}}\n"
    );
    code
}

fn protocol(rule: &NetworkRule, any: &'static str) -> &'static str {
    match rule.match_protocol() {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        // The framework has no other, and none is planned.
        Protocol::Any | Protocol::Number(_) => any,
    }
}

fn action(rule: &FilterRule) -> &'static str {
    action_name(rule.action())
}

fn action_name(action: Action) -> &'static str {
    match action {
        Action::Allow => "NEFilterActionAllow",
        Action::Drop => "NEFilterActionDrop",
        Action::FilterData => "NEFilterActionFilterData",
    }
}

/// A string literal of either language.
fn quoted(text: &str) -> String {
    let mut literal = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => literal.extend(['\\', c]),
            c => literal.push(c),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> FilterSettings {
        let text = br#"{"rules": [
            {"networkRule": {"remoteNetwork": "10.0.0.0:443", "remotePrefix": 8,
                "protocol": "TCP", "direction": "outbound"}, "action": "drop"},
            {"networkRule": {"remoteNetwork": null, "localNetwork": "::1", "localPrefix": 128,
                "protocol": "any"}, "action": "filterData"},
            {"networkRule": {"destinationHost": "example.com:443", "protocol": "TCP"},
                "action": "allow"}], "defaultAction": "allow"}"#;
        settings::read(text).unwrap()
    }

    #[test]
    fn swift_has_a_statement_for_each_rule() {
        let code = code(Language::Swift, &settings(), "make");
        for line in [
            "    add(end(\"10.0.0.0\", 443), 8, nil, 0, .TCP, .outbound, .drop)",
            "    add(nil, 0, end(\"::1\", 0), 128, .any, .any, .filterData)",
            "    return NEFilterSettings(rules: rules, defaultAction: .allow)",
        ] {
            assert!(code.lines().any(|found| found == line), "{line}\n{code}");
        }
    }

    #[test]
    fn objective_c_has_a_statement_for_each_rule() {
        let code = code(Language::ObjectiveC, &settings(), "make");
        for line in [
            "    add(rules, endpoint(@\"10.0.0.0\", @\"443\"), 8, nil, 0, \
             NENetworkRuleProtocolTCP, NETrafficDirectionOutbound, NEFilterActionDrop);",
            "    add(rules, nil, 0, endpoint(@\"::1\", @\"0\"), 128, NENetworkRuleProtocolAny, \
             NETrafficDirectionAny, NEFilterActionFilterData);",
            "    return [[NEFilterSettings alloc] initWithRules:rules \
             defaultAction:NEFilterActionAllow];",
        ] {
            assert!(code.lines().any(|found| found == line), "{line}\n{code}");
        }
    }

    #[test]
    fn every_kind_of_rule_is_printed() {
        let printed = [("swift", Language::Swift), ("m", Language::ObjectiveC)];
        for (suffix, language) in printed {
            let code = code(language, &settings(), "makeFirstStage");
            let rules = code.matches("add(end(").count()
                + code.matches("add(nil").count()
                + code.matches("add(rules,").count()
                + code.matches("destinationHostEndpoint:").count()
                + code.matches("initWithDestinationHost").count();
            assert_eq!(rules, settings().rules().len(), "{code}");
            // scripts/print-settings gives a folder, and then compilers judge.
            if let Some(folder) = std::env::var_os("FLOWSIEVE_PRINT_TO") {
                let path = std::path::Path::new(&folder).join("kinds").with_extension(suffix);
                std::fs::write(path, code).unwrap();
            }
        }
    }

    #[test]
    fn json_is_read_again() {
        let written = code(Language::Json, &settings(), "make");
        assert_eq!(settings::read(written.as_bytes()).unwrap(), settings());
    }
}
