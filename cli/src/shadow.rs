//! `flowsieve shadow`: which rules decide no flow, and which could be left out.

use crate::args::{LinesFormat, ShadowArgs};
use crate::loaded::Loaded;
use crate::output::{DIMMED, HEADING, Output, Painted, Printable};
use crate::status::{Failure, Status};
use flowsieve::{Decider, FilterRule, Standing, Use, shadow};
use serde_json::{Value, json};

/// Says of each rule what it is good for.
///
/// # Errors
///
/// That the settings cannot be read, or standard output not written.
pub(crate) fn run(args: &ShadowArgs) -> Result<Status, Failure> {
    let loaded = args.rules.load(&args.settings)?;
    let standings = shadow(&loaded.settings, args.rules.precedence());
    let is_shown =
        |standing: &&Standing| args.witness || !matches!(standing.usage(), Use::Needed { .. });
    let mut output = match args.format {
        LinesFormat::Text => Output::new(false),
        LinesFormat::Jsonl => Output::plain(false),
    };
    for standing in standings.iter().filter(is_shown) {
        match args.format {
            LinesFormat::Text => print(&mut output, &loaded, standing, args.witness)?,
            LinesFormat::Jsonl => output.json(&line(&loaded, standing).to_string())?,
        }
    }
    if args.format == LinesFormat::Text {
        output.line(Painted(HEADING, summary(&standings)))?;
    }
    output.flush()?;
    let is_dead = standings.iter().any(Standing::is_dead);
    Ok(if is_dead { Status::AnswersDiffer } else { Status::Fine })
}

fn print(
    output: &mut Output,
    loaded: &Loaded,
    standing: &Standing,
    with_witness: bool,
) -> Result<(), Failure> {
    let heading = loaded.shown(Decider::Rule(standing.rule()));
    output.line(Painted(HEADING, heading))?;
    if let Some(rule) = loaded.rule(standing.rule()) {
        let text = rule.network_rule().to_string();
        output.line(format_args!("  {} {}", rule.action(), Printable(&text)))?;
    }
    match standing.usage() {
        Use::Needed { .. } => output.line("  needed: it decides flows, as no other rule does")?,
        Use::Redundant { then, .. } => output.line(format_args!(
            "  redundant: without it, {} and others give the same action",
            loaded.shown(*then)
        ))?,
        Use::Shadowed { by } => {
            output.line("  dead: it decides no flow, as these before it match all of its flows")?;
            for rule in by {
                output.line(format_args!("    - {}", loaded.shown(Decider::Rule(*rule))))?;
            }
        }
        Use::Unmatchable => output.line(
            "  dead: an IPv4-mapped address in a flow counts as IPv4, so no flow matches (S-20)",
        )?,
    }
    if let Some(witness) = standing.witness().filter(|_| with_witness) {
        output.line(Painted(DIMMED, format!("  decides {}", Printable(&witness.to_string()))))?;
    }
    Ok(())
}

fn line(loaded: &Loaded, standing: &Standing) -> Value {
    let rule = loaded.rule(standing.rule());
    let place = loaded.place(standing.rule());
    let (word, by, then) = match standing.usage() {
        Use::Needed { .. } => ("needed", None, None),
        Use::Redundant { then, .. } => ("redundant", None, Some(loaded.decider_json(*then))),
        Use::Shadowed { by } => ("shadowed", Some(by), None),
        Use::Unmatchable => ("unmatchable", None, None),
    };
    json!({
        "rule": standing.rule(),
        "label": rule.and_then(FilterRule::label),
        "line": place.map(|place| place.0),
        "column": place.map(|place| place.1),
        "standing": word,
        "dead": standing.is_dead(),
        "coveredBy": by,
        "then": then,
        "witness": standing.witness(),
    })
}

fn summary(standings: &[Standing]) -> String {
    let count = |is: fn(&Use) -> bool| standings.iter().filter(|s| is(s.usage())).count();
    let needed = count(|usage| matches!(usage, Use::Needed { .. }));
    let redundant = count(|usage| matches!(usage, Use::Redundant { .. }));
    let dead = standings.iter().filter(|standing| standing.is_dead()).count();
    let rules = if standings.len() == 1 { "rule" } else { "rules" };
    format!("{} {rules}: {needed} needed, {redundant} redundant, {dead} dead", standings.len())
}
