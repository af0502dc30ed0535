//! `flowsieve match-vector`: runs test vectors.

use crate::args::MatchVectorArgs;
use crate::diagnostics;
use crate::output::Output;
use crate::settings_file;
use crate::status::{Failure, Status};
use crate::vector::{
    self, RuleAnswer, SettingsAnswer, Unreadable, Vector, VerdictText, without_place,
};
use flowsieve::formats::{flow_lines, settings};
use flowsieve::{Decision, FilterSettings, Flow, Matcher, Precedence, Strategy, reference};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Runs the vectors of a file.
///
/// # Errors
///
/// That the file is no JSON array, or standard output not written. A malformed vector is reported
/// and makes the status [`BadInput`](Status::BadInput).
pub(crate) fn run(args: &MatchVectorArgs) -> Result<Status, Failure> {
    let text = settings_file::read_whole(&args.file)?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let vectors: Vec<&RawValue> = serde_json::from_slice(text).map_err(|error| {
        settings_file::in_file(&args.file, format!("not an array of vectors: {error}"))
    })?;
    let mut output = Output::plain(false);
    let (mut passed, mut failed, mut status) = (0_u64, 0_u64, Status::Fine);
    for (index, text) in vectors.into_iter().enumerate() {
        match answer(text) {
            Ok(report) => {
                output.json(&report.line)?;
                match report.passes {
                    true => passed += 1,
                    false => failed += 1,
                }
                if let Some(message) = report.disagreement {
                    diagnostics::error(&message);
                    status = status.max(Status::Disagreement);
                }
            }
            Err(message) => {
                diagnostics::error(&format!("{}: {message}", name(index, text)));
                status = status.max(Status::BadInput);
            }
        }
    }
    if failed > 0 {
        status = status.max(Status::AnswersDiffer);
    }
    output.line(format_args!("{passed} passed, {failed} failed"))?;
    output.flush()?;
    Ok(status)
}

/// How a vector came out.
struct Report {
    line: String,
    passes: bool,
    disagreement: Option<String>,
}

impl Report {
    fn new<T: PartialEq + Serialize>(
        id: &str,
        expect: &T,
        got: &T,
        disagreement: Option<String>,
    ) -> Result<Report, String> {
        let line = serde_json::to_string(&ReportLine { id, expect, got });
        let line = line.map_err(|error| error.to_string())?;
        Ok(Report { line, passes: expect == got, disagreement })
    }
}

#[derive(Serialize)]
struct ReportLine<'a, T> {
    id: &'a str,
    expect: &'a T,
    got: &'a T,
}

/// Runs a vector, or says what is malformed in it.
fn answer(text: &RawValue) -> Result<Report, String> {
    let vector: Vector<'_> =
        serde_json::from_str(text.get()).map_err(|error| without_place(&error))?;
    let id = vector.id.as_str();
    match (vector.rule, vector.settings) {
        (Some(rule), None) => {
            let expect: RuleAnswer = vector::parse("expect", vector.expect)?;
            let flow = vector::read_rule_flow(vector.flow)?;
            let got = match vector::read_rule(rule)? {
                Err(_) => RuleAnswer::InvalidRule,
                Ok(rule) if rule.matches(&flow) => RuleAnswer::Match,
                Ok(_) => RuleAnswer::NoMatch,
            };
            Report::new(id, &expect, &got, None)
        }
        (None, Some(settings)) => {
            let expect: SettingsAnswer = vector::parse("expect", vector.expect)?;
            let flow = flow_lines::read(vector.flow.get());
            let flow = flow.map_err(|error| format!("flow: {error}"))?;
            let (got, disagreement) = match settings::read(settings.get().as_bytes()) {
                Ok(settings) => decide(id, &settings, &flow)?,
                Err(error) => {
                    (SettingsAnswer::Unreadable(Unreadable { error: error.to_string() }), None)
                }
            };
            Report::new(id, &expect, &got, disagreement)
        }
        (Some(_), Some(_)) => Err("`rule` and `settings` cannot stand in one vector".to_owned()),
        (None, None) => Err("missing `rule` or `settings`".to_owned()),
    }
}

/// Decides by the matcher as it chooses to be compiled, and says where a matcher of any kind and
/// the reference are not of one mind.
fn decide(
    id: &str,
    settings: &FilterSettings,
    flow: &Flow<'_>,
) -> Result<(SettingsAnswer, Option<String>), String> {
    let precedence = Precedence::FirstMatch;
    let right = Answer {
        decision: reference::decide(settings, precedence, flow),
        pending: reference::pending_rules(settings, precedence, flow),
    };
    let compile = |builder: flowsieve::MatcherBuilder| {
        let matcher = builder.precedence(precedence).build(settings);
        matcher.map(|matcher| Answer::of(&matcher, flow)).map_err(|error| error.to_string())
    };
    let got = compile(Matcher::builder())?;
    let mut answers = vec![("matcher".to_owned(), got.clone())];
    for strategy in Strategy::ALL {
        answers.push((
            format!("matcher with strategy {strategy:?}"),
            compile(Matcher::builder().strategy(strategy))?,
        ));
    }
    Ok((SettingsAnswer::Verdict(got.into_text()), disagreement(id, &right, &answers)))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    decision: Decision,
    pending: Vec<usize>,
}

impl Answer {
    fn of(matcher: &Matcher, flow: &Flow<'_>) -> Answer {
        Answer { decision: matcher.decide(flow), pending: matcher.pending_rules(flow) }
    }

    fn into_text(self) -> VerdictText {
        VerdictText {
            action: self.decision.action().as_str().to_owned(),
            rule: self.decision.rule(),
            reason: self.decision.reason().as_str().to_owned(),
            pending: self.pending,
        }
    }
}

fn disagreement(id: &str, right: &Answer, answers: &[(String, Answer)]) -> Option<String> {
    let (who, wrong) = answers.iter().find(|(_, answer)| answer != right)?;
    Some(format!("{id}: {who} says {wrong:?}, reference says {right:?}"))
}

/// The id of a vector, or its place in the file where it has none.
fn name(index: usize, text: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    match serde_json::from_str::<Id>(text.get()) {
        Ok(Id { id }) => id,
        Err(_) => format!("vector {index}, which has no id"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowsieve::{Action, Direction, IpProtocol};

    #[test]
    fn any_difference_from_the_reference_is_a_disagreement() {
        let flow = Flow::new(IpProtocol::TCP, Direction::Outbound);
        let answer = |action, pending: &[usize]| Answer {
            decision: reference::decide(
                &FilterSettings::new(Vec::new(), action),
                Precedence::FirstMatch,
                &flow,
            ),
            pending: pending.to_vec(),
        };
        let right = answer(Action::Drop, &[]);
        let named = |answer: &Answer| ("matcher".to_owned(), answer.clone());
        assert_eq!(disagreement("x", &right, &[named(&right)]), None);
        for wrong in [answer(Action::Allow, &[]), answer(Action::Drop, &[1])] {
            let message = disagreement("x", &right, &[named(&right), named(&wrong)]).unwrap();
            assert!(message.starts_with("x: matcher says "), "{message}");
        }
    }
}
