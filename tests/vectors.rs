//! The vectors of `tests/vectors` through `NetworkRule::matches`, `reference` and `Matcher`, under
//! each precedence and each strategy.
//!
//! Every file of the directory is read, and a file or a vector of a shape that is not known fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a vector that cannot be read is a failed test"
)]

use flowsieve::formats::verdict_lines::Verdict;
use flowsieve::formats::{flow_lines, settings};
use flowsieve::*;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn every_rule_vector_gives_its_expected_answer() {
    let mut count = 0;
    for vector in vectors().filter(|vector| vector.get("rule").is_some()) {
        let (id, flow) = (&vector["id"], flow(&vector["flow"]));
        let rule = rule(&vector["rule"]);
        let Ok(rule) = rule else {
            assert_eq!(vector["expect"], "invalid_rule", "{id}: {}", rule.unwrap_err());
            count += 1;
            continue;
        };
        let answer = |matches| if matches { "match" } else { "no_match" };
        assert_eq!(answer(rule.matches(&flow)), vector["expect"], "{id}: {rule}\n{flow}");
        for default_action in Action::ALL {
            let rules = vec![FilterRule::new(rule.clone(), Action::Drop)];
            let settings = FilterSettings::new(rules, default_action);
            for (name, decision, _) in decisions(&settings, &flow) {
                let got = answer(decision.rule() == Some(0));
                assert_eq!(got, vector["expect"], "{id} by {name}: {rule}\n{flow}");
            }
        }
        count += 1;
    }
    assert_eq!(count, 117);
}

#[test]
fn every_settings_vector_gives_its_expected_verdict() {
    let mut count = 0;
    for vector in vectors().filter(|vector| vector.get("settings").is_some()) {
        let id = &vector["id"];
        let settings = settings::read(vector["settings"].to_string().as_bytes()).unwrap();
        let line = vector["flow"].to_string();
        let flow = flow_lines::read(&line).unwrap();
        for (name, decision, pending) in decisions(&settings, &flow) {
            let verdict = Verdict::new(decision, pending, &settings);
            let mut verdict = serde_json::to_value(verdict).unwrap();
            verdict.as_object_mut().unwrap().remove("label");
            assert_eq!(verdict, vector["expect"], "{id} by {name}: {flow}");
        }
        count += 1;
    }
    assert_eq!(count, 22);
}

/// What each way of deciding says, by name. The order of precedence is beside the point here: the
/// vectors with more than one rule are such that both give the same answer, which is asserted.
fn decisions(settings: &FilterSettings, flow: &Flow<'_>) -> Vec<(String, Decision, Vec<usize>)> {
    let mut decisions = Vec::new();
    for precedence in Precedence::ALL {
        let decision = reference::decide(settings, precedence, flow);
        let pending = reference::pending_rules(settings, precedence, flow);
        decisions.push((format!("reference {precedence}"), decision, pending));
        for strategy in Strategy::ALL {
            let builder = Matcher::builder().precedence(precedence).strategy(strategy);
            let matcher = builder.build(settings).unwrap();
            assert_eq!(matcher.strategy(), strategy);
            let name = format!("matcher {precedence} {strategy:?}");
            decisions.push((name, matcher.decide(flow), matcher.pending_rules(flow)));
        }
    }
    decisions
}

fn vectors() -> impl Iterator<Item = Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.flat_map(|path| {
        let vectors: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert!(!vectors.is_empty(), "{} is empty", path.display());
        for vector in &vectors {
            let known = vector.get("rule").is_some() != vector.get("settings").is_some();
            assert!(known, "{}: {vector}", path.display());
        }
        vectors
    })
}

fn rule(rule: &Value) -> Result<NetworkRule, Error> {
    let protocol = rule["protocol"].as_str().unwrap().parse()?;
    if let Some(host) = rule.get("destination_host") {
        let endpoint = Endpoint::new(host.as_str().unwrap(), rule["port"].as_str().unwrap())?;
        return NetworkRule::destination_host(endpoint, protocol);
    }
    NetworkRule::remote_network(
        endpoint(&rule["remote"])?,
        rule["remote_prefix"].as_u64().unwrap(),
        endpoint(&rule["local"])?,
        rule["local_prefix"].as_u64().unwrap(),
        protocol,
        rule["direction"].as_str().unwrap().parse()?,
    )
}

fn endpoint(endpoint: &Value) -> Result<Option<Endpoint>, Error> {
    if endpoint.is_null() {
        return Ok(None);
    }
    let (host, port) = (endpoint["host"].as_str().unwrap(), endpoint["port"].as_str().unwrap());
    Endpoint::new(host, port).map(Some)
}

fn flow(value: &Value) -> Flow<'static> {
    let protocol = IpProtocol(value["protocol"].as_u64().unwrap().try_into().unwrap());
    let mut flow = Flow::new(protocol, value["direction"].as_str().unwrap().parse().unwrap());
    if let Some(name) = value["remote_hostname"].as_str() {
        flow = flow.with_remote_hostname(name.to_owned());
    }
    if let Some(remote) = endpoint(&value["remote"]).unwrap() {
        flow = flow.with_remote(remote).unwrap();
    }
    if let Some(local) = endpoint(&value["local"]).unwrap() {
        flow = flow.with_local(local).unwrap();
    }
    flow
}

/// The story that started it: a filter for one host, written with prefix length 0.
#[test]
fn prefix_0_catches_every_ipv4_flow_where_32_was_meant() {
    let settings = |prefix: u64| {
        let endpoint = json!({"hostname": "111.111.111.111", "port": "0"});
        let rule = json!({
            "remoteNetwork": endpoint, "remotePrefix": prefix, "localNetwork": null,
            "localPrefix": 0, "protocol": "TCP", "direction": "outbound",
        });
        let rules = json!([{"networkRule": rule, "action": "filterData"}]);
        let text = json!({"rules": rules, "defaultAction": "allow"}).to_string();
        Matcher::new(&settings::read(text.as_bytes()).unwrap()).unwrap()
    };
    let asked = |matcher: &Matcher| {
        let remotes = ["111.111.111.111:80", "111.222.111.222:80", "123.123.123.123:80"];
        let flow = |remote: &str| {
            let flow = Flow::new(IpProtocol::TCP, Direction::Outbound);
            let flow = flow.with_remote(remote.parse().unwrap()).unwrap();
            flow.with_local("0.0.0.0:0".parse().unwrap()).unwrap()
        };
        remotes.map(|remote| matcher.decide(&flow(remote)).action() == Action::FilterData)
    };
    assert_eq!(asked(&settings(0)), [true, true, true]);
    assert_eq!(asked(&settings(32)), [true, false, false]);
}
