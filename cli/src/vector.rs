//! [`Vector`]: a test vector as its file has it.

use flowsieve::{Endpoint, Error, Flow, IpProtocol, NetworkRule, Protocol};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// A vector: one rule, or settings, with a flow and the expected answer. Other keys, such as the
/// source of a vector, are not looked at.
#[derive(Deserialize)]
pub(crate) struct Vector<'a> {
    /// The name.
    pub(crate) id: String,
    /// One rule.
    #[serde(borrow)]
    pub(crate) rule: Option<&'a RawValue>,
    /// Settings, as in a settings file.
    #[serde(borrow)]
    pub(crate) settings: Option<&'a RawValue>,
    /// For a rule a [`FlowText`], for settings a flow line.
    #[serde(borrow)]
    pub(crate) flow: &'a RawValue,
    /// For a rule a [`RuleAnswer`], for settings a [`SettingsAnswer`].
    #[serde(borrow)]
    pub(crate) expect: &'a RawValue,
}

/// What one rule has to say about a flow.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RuleAnswer {
    /// It matches.
    Match,
    /// It does not match.
    NoMatch,
    /// It is no rule.
    InvalidRule,
}

/// What settings have to say about a flow.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(untagged, expecting = "expected `action`, `rule`, `reason` and `pending`, or `error`")]
pub(crate) enum SettingsAnswer {
    /// A verdict.
    Verdict(VerdictText),
    /// That they cannot be read.
    Unreadable(Unreadable),
}

/// A verdict line without its label.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerdictText {
    pub(crate) action: String,
    #[serde(deserialize_with = "present")]
    pub(crate) rule: Option<usize>,
    pub(crate) reason: String,
    pub(crate) pending: Vec<usize>,
}

/// Why settings cannot be read.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unreadable {
    pub(crate) error: String,
}

/// Reads a rule, and makes it as a program would. The inner error is that of a rule which the
/// library refuses.
///
/// # Errors
///
/// What is wrong with the text.
pub(crate) fn read_rule(rule: &RawValue) -> Result<Result<NetworkRule, Error>, String> {
    let keys: RuleKeys = parse("rule", rule)?;
    match keys.destination_host {
        Some(_) => parse::<HostRuleText>("rule", rule)?.make(),
        None => parse::<NetworkRuleText>("rule", rule)?.make(),
    }
}

/// Reads the flow of a vector with a rule.
///
/// # Errors
///
/// What is wrong with the text or with the flow.
pub(crate) fn read_rule_flow(flow: &RawValue) -> Result<Flow<'static>, String> {
    let text: FlowText = parse("flow", flow)?;
    text.make().map_err(|error| format!("flow: {error}"))
}

/// Reads `text`, the value of `key`.
///
/// # Errors
///
/// What is wrong, without the place, which would count from the start of the value.
pub(crate) fn parse<T: DeserializeOwned>(key: &str, text: &RawValue) -> Result<T, String> {
    serde_json::from_str(text.get()).map_err(|error| format!("{key}: {}", without_place(&error)))
}

/// Returns what is wrong without the place.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what).to_owned()
}

#[derive(Deserialize)]
struct RuleKeys {
    destination_host: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostRuleText {
    destination_host: String,
    port: String,
    protocol: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkRuleText {
    #[serde(deserialize_with = "present")]
    remote: Option<EndpointText>,
    remote_prefix: u64,
    #[serde(deserialize_with = "present")]
    local: Option<EndpointText>,
    local_prefix: u64,
    protocol: String,
    direction: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlowText {
    #[serde(deserialize_with = "present")]
    remote: Option<EndpointText>,
    #[serde(deserialize_with = "present")]
    local: Option<EndpointText>,
    protocol: u8,
    direction: String,
    #[serde(default)]
    remote_hostname: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointText {
    host: String,
    port: String,
}

impl HostRuleText {
    fn make(&self) -> Result<Result<NetworkRule, Error>, String> {
        let protocol = protocol(&self.protocol)?;
        let endpoint = Endpoint::new(&self.destination_host, &self.port);
        Ok(endpoint.and_then(|endpoint| NetworkRule::destination_host(endpoint, protocol)))
    }
}

impl NetworkRuleText {
    fn make(&self) -> Result<Result<NetworkRule, Error>, String> {
        let protocol = protocol(&self.protocol)?;
        let direction =
            self.direction.parse().map_err(|error| format!("rule, direction: {error}"))?;
        let endpoint = |text: &Option<EndpointText>| {
            text.as_ref().map(|text| Endpoint::new(&text.host, &text.port)).transpose()
        };
        Ok(endpoint(&self.remote).and_then(|remote| {
            let local = endpoint(&self.local)?;
            let (remote_prefix, local_prefix) = (self.remote_prefix, self.local_prefix);
            NetworkRule::remote_network(
                remote,
                remote_prefix,
                local,
                local_prefix,
                protocol,
                direction,
            )
        }))
    }
}

impl FlowText {
    fn make(self) -> Result<Flow<'static>, Error> {
        let mut flow = Flow::new(IpProtocol(self.protocol), self.direction.parse()?);
        if let Some(name) = self.remote_hostname {
            flow = flow.with_remote_hostname(name);
        }
        if let Some(EndpointText { host, port }) = &self.remote {
            flow = flow.with_remote(Endpoint::new(host, port)?)?;
        }
        if let Some(EndpointText { host, port }) = &self.local {
            flow = flow.with_local(Endpoint::new(host, port)?)?;
        }
        Ok(flow)
    }
}

fn protocol(word: &str) -> Result<Protocol, String> {
    word.parse().map_err(|error: Error| format!("rule, protocol: {error}"))
}

/// Reads a value that may be null but has to be there.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}
