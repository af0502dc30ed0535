//! `flowsieve bench`: how fast flows are decided by a rule set, and whether rightly.

use crate::args::BenchArgs;
use crate::input;
use crate::neutral::{self, RuleSet};
use crate::output::Output;
use crate::settings_file;
use crate::status::{Failure, Status};
use flowsieve::formats::{read_flow, settings};
use flowsieve::{
    Decision, FilterSettings, Flow, IpProtocol, Matcher, Precedence, Vectors, reference,
};
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The number of flows in a batch.
const BATCH: usize = 256;

/// The number of rule tests that checking against the reference may cost.
const REFERENCE_TESTS: usize = 100_000_000;

/// The number of single calls that are timed one by one.
const SINGLE_CALLS: usize = 1_000_000;

/// The number of flows that are decided over and over: the flows themselves have to be read too,
/// and what that costs is not ours.
const TIMED_FLOWS: usize = 300_000;

/// What was measured.
#[derive(Serialize)]
struct Measured {
    rules: usize,
    flows: usize,
    build_s: f64,
    bytes: usize,
    dep_ns: f64,
    loop_ns: f64,
    batch_ns: f64,
    p50_ns: f64,
    p99_ns: f64,
    max_ns: f64,
    wrong: usize,
}

/// Builds a matcher, checks its answers and times it.
///
/// # Errors
///
/// That a file cannot be read.
pub(crate) fn run(args: &BenchArgs) -> Result<Status, Failure> {
    let flows_text = read(&args.flows)?;
    let flows = read_flows(&flows_text, &args.flows)?;
    if flows.is_empty() {
        return Err(Failure::BadInput(format!("{}: no flows", args.flows.display())));
    }
    let rules = read_rules(&args.rules, &flows)?;

    let mut builder = Matcher::builder();
    if let Some(vectors) = args.vectors {
        builder = builder.vectors(vectors.into());
    }
    let start = Instant::now();
    let matcher = builder
        .build(&rules.settings)
        .map_err(|error| settings_file::in_file(&args.rules, error))?;
    let build_s = start.elapsed().as_secs_f64();
    let wrong = wrong_answers(&args.flows, &rules, &matcher, &flows)?;
    let repeat = args.repeat.max(1);
    let timed = flows.get(..TIMED_FLOWS).unwrap_or(&flows);
    let (p50_ns, p99_ns, max_ns) = single_calls(&matcher, &flows);
    let measured = Measured {
        rules: rules.line_count,
        flows: flows.len(),
        build_s,
        bytes: matcher.size_bytes(),
        dep_ns: median(repeat, || dependent(&matcher, timed)),
        loop_ns: median(repeat, || independent(&matcher, timed)),
        batch_ns: median(repeat, || batched(&matcher, timed)),
        p50_ns,
        p99_ns,
        max_ns,
        wrong,
    };
    let mut output = Output::new(false);
    match args.json {
        true => output.json(&serde_json::to_string(&measured).unwrap_or_default())?,
        false => print(&mut output, &measured, matcher.vectors())?,
    }
    output.flush()?;
    Ok(if wrong == 0 { Status::Fine } else { Status::AnswersDiffer })
}

fn print(output: &mut Output, measured: &Measured, vectors: Vectors) -> Result<(), Failure> {
    let Measured { rules, flows, build_s, bytes, wrong, .. } = measured;
    let per_rule = *bytes as f64 / (*rules).max(1) as f64;
    output.line(format_args!("rules     {rules}"))?;
    output.line(format_args!("flows     {flows}, {wrong} answers wrong"))?;
    output.line(format_args!("build     {build_s:.4} s, {bytes} bytes, {per_rule:.1} a rule"))?;
    let width = match vectors {
        Vectors::Bits128 => "128 bits",
        Vectors::Bits256 => "256 bits",
        Vectors::Bits512 => "512 bits",
        _ => "none",
    };
    output.line(format_args!("vectors   {width}"))?;
    output.line(format_args!(
        "dep       {:.1} ns a flow that waits for the answer before",
        measured.dep_ns
    ))?;
    output.line(format_args!("loop      {:.1} ns a flow", measured.loop_ns))?;
    output.line(format_args!("batch     {:.1} ns a flow, {BATCH} a call", measured.batch_ns))?;
    output.line(format_args!(
        "call      {:.0} ns median, {:.0} ns p99, {:.0} ns worst of single calls, clock included",
        measured.p50_ns, measured.p99_ns, measured.max_ns
    ))?;
    Ok(())
}

/// The address of each flow waits for the answer to the one before.
fn dependent(matcher: &Matcher, flows: &[Flow<'_>]) -> f64 {
    let start = Instant::now();
    let mut wait = 0;
    for index in 0..flows.len() {
        // The highest bit of a rule index is never set, which only we know.
        if let Some(flow) = flows.get(index + wait) {
            wait = matcher.decide(flow).rule().map_or(0, |rule| rule as u32) as usize >> 31;
        }
    }
    std::hint::black_box(wait);
    per_flow(start, flows)
}

fn independent(matcher: &Matcher, flows: &[Flow<'_>]) -> f64 {
    let start = Instant::now();
    for flow in flows {
        std::hint::black_box(matcher.decide(flow));
    }
    per_flow(start, flows)
}

fn batched(matcher: &Matcher, flows: &[Flow<'_>]) -> f64 {
    let Some(first) = flows.first() else { return 0.0 };
    let mut decisions = [matcher.decide(first); BATCH];
    let start = Instant::now();
    for flows in flows.chunks(BATCH) {
        let decided = matcher.decide_batch(flows, &mut decisions);
        std::hint::black_box((decided, &mut decisions));
    }
    per_flow(start, flows)
}

/// The median, the 99th percentile and the worst of single calls, in nanoseconds.
fn single_calls(matcher: &Matcher, flows: &[Flow<'_>]) -> (f64, f64, f64) {
    let mut times: Vec<u64> = flows
        .iter()
        .take(SINGLE_CALLS)
        .map(|flow| {
            let start = Instant::now();
            std::hint::black_box(matcher.decide(flow));
            start.elapsed().as_nanos() as u64
        })
        .collect();
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or(0) as f64
    };
    (at(0.5), at(0.99), at(1.0))
}

/// The number of flows for which the matcher says something else than the file of expected
/// answers or, where there is none, than the reference on as many flows as it can do.
fn wrong_answers(
    path: &Path,
    rules: &RuleSet,
    matcher: &Matcher,
    flows: &[Flow<'_>],
) -> Result<usize, Failure> {
    let expected_path = with_exp(path);
    if let Ok(text) = std::fs::read_to_string(&expected_path) {
        let expected = neutral::read_expected(&text, &expected_path)?;
        let line = |decision: Decision| {
            decision.rule().and_then(|rule| rules.line_of_rule.get(rule).copied())
        };
        // Port 0 is a port like others where the answers come from, and an unknown one here.
        let has_ports = |flow: &Flow<'_>| {
            [flow.remote(), flow.local()].iter().flatten().all(|end| end.port() != 0)
        };
        let pairs = flows.iter().zip(&expected).filter(|(flow, _)| has_ports(flow));
        return Ok(pairs.filter(|(flow, line_of)| line(matcher.decide(flow)) != **line_of).count());
    }
    let share = (flows.len() * rules.settings.rules().len()).div_ceil(REFERENCE_TESTS).max(1);
    let differs = |flow: &&Flow<'_>| {
        reference::decide(&rules.settings, Precedence::FirstMatch, flow) != matcher.decide(flow)
    };
    Ok(flows.iter().step_by(share).filter(differs).count())
}

fn with_exp(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".exp");
    name.into()
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = input::open(path).and_then(|mut input| input.read_to_string(&mut text));
    read.map(|_| text).map_err(|error| settings_file::in_file(path, error))
}

fn read_flows<'a>(text: &'a str, path: &Path) -> Result<Vec<Flow<'a>>, Failure> {
    if path.extension().is_some_and(|extension| extension == "trace") {
        return neutral::read_flows(text, path);
    }
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let flow = |(number, line): (u64, &'a str)| {
        read_flow(line, IpProtocol::TCP)
            .map_err(|error| settings_file::in_file(path, error.on_line(number)))
    };
    lines.map(flow).collect()
}

fn read_rules(path: &Path, flows: &[Flow<'_>]) -> Result<RuleSet, Failure> {
    let text = read(path)?;
    if path.extension().is_some_and(|extension| extension == "rules") {
        return neutral::read_rules(&text, path, flows);
    }
    let settings: FilterSettings =
        settings::read(text.as_bytes()).map_err(|error| settings_file::in_file(path, error))?;
    let count = settings.rules().len();
    Ok(RuleSet { settings, line_of_rule: (0..count).collect(), line_count: count })
}

fn per_flow(start: Instant, flows: &[Flow<'_>]) -> f64 {
    start.elapsed().as_nanos() as f64 / flows.len().max(1) as f64
}

fn median(repeat: usize, mut measure: impl FnMut() -> f64) -> f64 {
    let mut times: Vec<f64> = (0..repeat).map(|_| measure()).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}
