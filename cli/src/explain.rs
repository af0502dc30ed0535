//! `flowsieve explain`: rule by rule, why a flow is decided as it is.

use crate::args::{ExplainArgs, ExplainFormat};
use crate::flow_reader::{self, BadLine};
use crate::output::{DIMMED, HEADING, Output, Painted, Printable, action_style};
use crate::sentences::sentences;
use crate::settings_file;
use crate::status::{Failure, Status};
use flowsieve::formats::read_flow;
use flowsieve::formats::verdict_lines::{self, Verdict};
use flowsieve::{
    Answer, Direction, Endpoint, Error, Explanation, FilterRule, FilterSettings, Flow, Host,
    IpProtocol, Outcome, RuleOutcome, RulePart, RuleTest, explain, reference,
};
use serde::{Serialize, Serializer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// Explains one flow.
///
/// # Errors
///
/// That the settings or the flow cannot be read, or standard output not written.
pub(crate) fn run(args: &ExplainArgs) -> Result<Status, Failure> {
    let settings = settings_file::read(&args.settings)?;
    let text = match args.flow.as_str() {
        "-" => first_line_of_stdin()?,
        flow => flow.trim().to_owned(),
    };
    let flow = read_flow_or_endpoint(&text, args.settings.protocol).map_err(|error| {
        let bad = BadLine::from(error);
        Failure::BadInput(format!("flow, column {}: {}", bad.column, bad.reason))
    })?;
    let precedence = args.settings.precedence.into();
    let explanation = explain(&settings, precedence, &flow);
    let pending = match explanation.decision().pending() {
        true => reference::pending_rules(&settings, precedence, &flow),
        false => Vec::new(),
    };
    let verdict = Verdict::new(explanation.decision(), pending, &settings);
    match args.format {
        ExplainFormat::Text => print_text(args, &settings, &flow, &explanation, &verdict)?,
        ExplainFormat::Jsonl => print_jsonl(args, &settings, &flow, &explanation, &verdict)?,
    }
    Ok(Status::Fine)
}

fn first_line_of_stdin() -> Result<String, Failure> {
    let read = |error| Failure::BadInput(format!("<stdin>: {error}"));
    let mut lines = flow_reader::open(Path::new("-")).map_err(read)?;
    let line = lines.next_line().map_err(read)?;
    let line = line.ok_or_else(|| Failure::BadInput("<stdin>: no flow".to_owned()))?;
    match line.text {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(bad) => Err(Failure::BadInput(format!(
            "<stdin>:{}:{}: {}",
            line.number, bad.column, bad.reason
        ))),
    }
}

/// Reads a flow line or a log line; a word by itself is a remote endpoint.
pub(crate) fn read_flow_or_endpoint(text: &str, protocol: IpProtocol) -> Result<Flow<'_>, Error> {
    if text.starts_with('{') || text.contains(char::is_whitespace) {
        return read_flow(text, protocol);
    }
    let remote: Endpoint = text.parse()?;
    let unbound: IpAddr = match remote.host() {
        Host::Address(IpAddr::V6(_), _) => Ipv6Addr::UNSPECIFIED.into(),
        Host::Address(IpAddr::V4(_), _) | Host::Name(_) => Ipv4Addr::UNSPECIFIED.into(),
    };
    let flow = Flow::new(protocol, Direction::Outbound).with_local_address(unbound, None, 0);
    flow.with_remote(remote)
}

/// The rules to print and how many more there are: those after the deciding one were not needed.
fn needed<'a>(args: &ExplainArgs, explanation: &'a Explanation) -> (&'a [RuleOutcome], usize) {
    let rules = explanation.rules();
    let decides = rules.iter().position(|rule| rule.outcome() == Outcome::Decides);
    match decides.filter(|_| !args.all).and_then(|index| rules.split_at_checked(index + 1)) {
        Some((needed, later)) => (needed, later.len()),
        None => (rules, 0),
    }
}

fn print_text(
    args: &ExplainArgs,
    settings: &FilterSettings,
    flow: &Flow<'_>,
    explanation: &Explanation,
    verdict: &Verdict<'_>,
) -> Result<(), Failure> {
    let mut output = Output::new(false);
    output.line(format_args!("{:<11}{flow}\n", "flow"))?;
    let (needed, later) = needed(args, explanation);
    for outcome in needed {
        let Some(rule) = settings.rules().get(outcome.index()) else { continue };
        print_rule(&mut output, rule, outcome, flow)?;
    }
    match later {
        0 => {}
        1 => output.line(Painted(DIMMED, "1 later rule was not needed\n"))?,
        _ => output.line(Painted(DIMMED, format!("{later} later rules were not needed\n")))?,
    }
    print_verdict(&mut output, flow, verdict)?;
    output.flush()?;
    Ok(())
}

fn print_rule(
    output: &mut Output,
    rule: &FilterRule,
    outcome: &RuleOutcome,
    flow: &Flow<'_>,
) -> Result<(), Failure> {
    let network_rule = rule.network_rule();
    let (heading, label) = (format!("rule {}", outcome.index()), rule.label().unwrap_or(""));
    let heading = format!("{heading:<11}{}", Printable(label));
    output.line(Painted(HEADING, heading.trim_end()))?;
    let text = network_rule.to_string();
    output.line(format_args!("{:<11}{}", "  rule", Printable(&text)))?;
    let action = Painted(action_style(rule.action()), rule.action());
    output.line(format_args!("{:<11}{action}", "  action"))?;
    output.line(format_args!("{:<11}{}", "  outcome", in_words(outcome.outcome())))?;
    for reason in sentences(outcome, network_rule, flow) {
        output.line(format_args!("    - {}", Printable(&reason)))?;
    }
    output.line("")?;
    Ok(())
}

fn print_verdict(
    output: &mut Output,
    flow: &Flow<'_>,
    verdict: &Verdict<'_>,
) -> Result<(), Failure> {
    let decision = verdict.decision;
    let action = Painted(action_style(decision.action()), decision.action());
    let by = match decision.rule() {
        Some(rule) => format!("by rule {rule}"),
        None if flow.is_loopback() => "as a loopback flow".to_owned(),
        None => "by default".to_owned(),
    };
    output.line(format_args!("{} {action} {by}", Painted(HEADING, "verdict   ")))?;
    if decision.pending() || !decision.is_final() {
        let rules: Vec<String> = verdict.pending.iter().map(usize::to_string).collect();
        let could = match rules.as_slice() {
            [] => "no rule could still match".to_owned(),
            [rule] => format!("rule {rule} could still match"),
            _ => format!("rules {} could still match", rules.join(", ")),
        };
        let change = match decision.is_final() {
            true => "the action would stay the same",
            false => "the action could still change",
        };
        output.line(format_args!("{} {could}; {change}", Painted(HEADING, "pending   ")))?;
    }
    Ok(())
}

fn in_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Decides => "decides: it is the first that matches",
        Outcome::Overruled => "overruled: it matches, but a rule before it decides",
        Outcome::Pending => "pending: it could match once more is known",
        Outcome::Late => "late: it could match once more is known, but a rule before it decides",
        Outcome::Fails => "fails: it does not match",
    }
}

fn print_jsonl(
    args: &ExplainArgs,
    settings: &FilterSettings,
    flow: &Flow<'_>,
    explanation: &Explanation,
    verdict: &Verdict<'_>,
) -> Result<(), Failure> {
    let mut output = Output::plain(false);
    for outcome in needed(args, explanation).0 {
        let Some(rule) = settings.rules().get(outcome.index()) else { continue };
        let line = RuleLine {
            rule: outcome.index(),
            label: rule.label(),
            action: rule.action().as_str(),
            outcome: outcome.outcome().as_str(),
            reasons: sentences(outcome, rule.network_rule(), flow),
            parts: Parts(outcome.test()),
        };
        let json = serde_json::to_string(&line);
        output.json(&json.map_err(|error| Failure::BadInput(error.to_string()))?)?;
    }
    output.json(&verdict_lines::write(verdict))?;
    output.flush()?;
    Ok(())
}

/// How one rule fared, as a line.
#[derive(Serialize)]
struct RuleLine<'a> {
    rule: usize,
    label: Option<&'a str>,
    action: &'static str,
    outcome: &'static str,
    reasons: Vec<String>,
    parts: Parts<'a>,
}

/// The parts of a rule in the order in which they are evaluated.
struct Parts<'a>(&'a RuleTest);

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = self.0.parts().into_iter();
        serializer.collect_map(parts.map(|(part, answer)| (part_key(part), answer_word(answer))))
    }
}

fn part_key(part: RulePart) -> &'static str {
    match part {
        RulePart::Protocol => "protocol",
        RulePart::Direction => "direction",
        RulePart::RemoteAddress => "remoteAddress",
        RulePart::RemotePort => "remotePort",
        RulePart::Hostname => "remoteHostname",
        RulePart::LocalAddress => "localAddress",
        RulePart::LocalPort => "localPort",
        RulePart::Loopback => "loopback",
    }
}

fn answer_word(answer: Answer) -> &'static str {
    match answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::NotYet => "notYet",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_endpoint_is_an_outbound_flow_from_an_unbound_socket() {
        for (text, local, remote) in [
            ("111.222.111.222:80", "0.0.0.0:0", "111.222.111.222:80"),
            ("[2001:db8::1]:443", "[::]:0", "[2001:db8::1]:443"),
            ("2001:db8::1.443", "[::]:0", "[2001:db8::1]:443"),
            ("192.0.2.1", "0.0.0.0:0", "192.0.2.1:0"),
        ] {
            let flow = read_flow_or_endpoint(text, IpProtocol::UDP).unwrap();
            assert_eq!(flow.to_string(), format!("UDP outbound {local} -> {remote}"));
        }
        let flow = read_flow_or_endpoint("www.example.com:443", IpProtocol::TCP).unwrap();
        assert_eq!(flow.remote_hostname(), Some("www.example.com"));
    }

    #[test]
    fn text_that_is_no_endpoint_is_refused() {
        for text in ["10.0.0.256:80", "192.0.2.1:80-90", "", "not a flow", "{}", "[1]"] {
            assert!(read_flow_or_endpoint(text, IpProtocol::TCP).is_err(), "{text}");
        }
    }
}
