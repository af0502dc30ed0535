//! Fuzz targets as plain functions.
//!
//! | target | input | claim |
//! |---|---|---|
//! | [`text`] | a settings file, a flow or log line, an endpoint, a name, ports | reading never panics; what is read prints as itself; an address is what the standard library reads; every lint has its place, and its suggestion is a rule |
//! | [`agreement`] | settings and flows, decoded | every matcher agrees with the reference, the reference with the naive match, "pending" and "final" with what could become known; lints are true and mended by what they suggest |
//! | [`logs`] | a byte that chooses the format, and a log | reading never panics; every line is in one record; pieces are read as the whole is; the fast path agrees |
//! | [`captures`] | a pcap or pcapng file | reading never panics; every packet is counted once, as many as the blocks hold; pieces are read as the whole is; the buffer is bounded by the input |
//! | [`lists`] | a list in a format, or in one to be told | reading never panics; no entry is lost; there are no more rules than the text can hold |
//! | [`capi`] | calls of the C interface, decoded | answers are those of the reference; nothing is written where a call fails; text comes back as it went in |
//! | [`live`] | settings, edits and flows, decoded | after every edit a live matcher answers as the reference does on the edited list, and holds that list |
//! | [`table_ops`] | operations, decoded | a table answers as a sorted list does |
//!
//! Run one with `cargo +nightly fuzz run agreement`. Without cargo-fuzz the same targets replay
//! files: `cargo run -p flowsieve-fuzz --bin agreement -- FILE...`. Inputs that once failed, and a
//! few to start from, are in `regressions`, which `cargo test -p flowsieve-fuzz` replays.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test")]

use arbitrary::{Arbitrary, Unstructured};
use flowsieve::formats::lints::{self, Purpose};
use flowsieve::formats::lists::{Event, Format, Importer, Options, Outcome, merge};
use flowsieve::formats::{flow_lines, read_flow, settings};
use flowsieve::{
    Action, Direction, Endpoint, Error, Flow, Host, HostName, IpProtocol, Ports, Precedence,
    Protocol, Zone,
};
use flowsieve_testkit::agreement::{check_agreement_on, check_rules};
use flowsieve_testkit::capi::{Calls, check_calls};
use flowsieve_testkit::completion::check_final;
use flowsieve_testkit::edits::{EditCase, check_edits};
use flowsieve_testkit::lints::check_lints;
use flowsieve_testkit::specs::Case;
use flowsieve_testkit::table::{Operations, check_operations};
use serde::de::IgnoredAny;
use std::fmt::{Debug, Display};
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

mod captures;
mod logs;

pub use captures::captures;
pub use logs::logs;

/// Reads `data` in every way text is read.
///
/// # Panics
///
/// If what was read does not print as itself, an address is not what the standard library reads, or a lint of
/// it is not in order.
pub fn text(data: &[u8]) {
    check_settings(data);
    for purpose in [None, Some(Purpose::Filter), Some(Purpose::Proxy)] {
        check_lint_text(data, purpose);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    check_flow(text);
    check_if_read::<Endpoint>(text);
    check_if_read::<Host>(text);
    let address = match text.parse() {
        Ok(Host::Address(address, None)) => Some(address),
        _ => None,
    };
    assert_eq!(address, text.parse().ok(), "an address as the standard library reads it: {text}");
    check_if_read::<HostName>(text);
    check_if_read::<Ports>(text);
    check_if_read::<Protocol>(text);
    check_if_read::<IpProtocol>(text);
    check_if_read::<Direction>(text);
    check_if_read::<Action>(text);
    if let Ok(zone) = Zone::new(text) {
        assert_eq!(zone.as_str(), text);
    }
    if let Ok(ports) = Ports::from_apple_text(text) {
        assert_eq!(ports.to_string().parse().as_ref(), Ok(&ports), "{text}");
    }
}

/// Reads `data` as a list; its first byte says in which format, or that it is to be told.
///
/// # Panics
///
/// If an entry is lost, or rules have more memory than the text accounts for.
pub fn lists(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let mut options = Options::default();
    options.format = Format::ALL.get(usize::from(*choice)).copied();
    let mut importer = Importer::new(options);
    let mut outcomes = Outcomes::default();
    // What was read before an error counts too.
    let read = importer.read("list", &mut &text[..], &mut |event| outcomes.count(event));
    let imported = importer.finish(&mut |event| outcomes.count(event));
    let counts = imported.counts();
    let sum = counts.accepted + counts.noted + counts.left_out + counts.rejected;
    assert_eq!(counts.entries, sum, "{counts:?}");
    let Outcomes { accepted, left_out, rejected, problems } = outcomes;
    assert_eq!((counts.accepted + counts.noted, counts.left_out), (accepted, left_out));
    assert_eq!((counts.rejected, counts.problems), (rejected, problems));
    assert_eq!(counts.rules, imported.settings.rules().len() as u64);
    assert!(counts.entries <= text.len() as u64 + 1, "each entry has text");
    // A range is at most 254 networks, and an entry with several ports at most 4096 ranges.
    let most = 254 * (text.len() as u64 + 4096 * counts.entries);
    assert!(counts.rules <= most, "{} rules of {} bytes", counts.rules, text.len());
    if read.is_ok() && counts.rules < 10_000 {
        let merged = merge(imported.settings.rules().to_vec());
        assert!(merged.len() as u64 <= 2 * counts.rules);
    }
}

#[derive(Default)]
struct Outcomes {
    accepted: u64,
    left_out: u64,
    rejected: u64,
    problems: u64,
}

impl Outcomes {
    fn count(&mut self, event: &Event<'_>) {
        assert!(event.line > 0 && event.column > 0, "{event:?}");
        let count = match &event.outcome {
            Outcome::Accepted { .. } => &mut self.accepted,
            Outcome::LeftOut(_) => &mut self.left_out,
            Outcome::Rejected(_) => &mut self.rejected,
            _ => &mut self.problems,
        };
        *count += 1;
    }
}

/// Decodes settings and flows and decides them.
///
/// # Panics
///
/// If two of the oracles disagree.
pub fn agreement(data: &[u8]) {
    let Some(case) = decode::<Case>(data) else { return };
    let (settings, flows) = case.build();
    check_agreement_on(&settings, &flows);
    check_lints(&settings, &flows);
    for flow in &flows {
        check_rules(&settings, flow);
        Precedence::ALL.iter().for_each(|precedence| check_final(&settings, *precedence, flow));
    }
}

/// Decodes calls of the C interface and makes them.
///
/// # Panics
///
/// If an answer is not that of the reference.
pub fn capi(data: &[u8]) {
    if let Some(calls) = decode::<Calls>(data) {
        check_calls(&calls);
    }
}

/// Decodes settings, edits and flows, and makes the edits on a live matcher and on a list.
///
/// # Panics
///
/// If the matcher does not answer by that list.
pub fn live(data: &[u8]) {
    if let Some(case) = decode::<EditCase>(data) {
        check_edits(&case);
    }
}

/// Decodes operations and does them on a table and on a list.
///
/// # Panics
///
/// If the two answer differently.
pub fn table_ops(data: &[u8]) {
    if let Some(operations) = decode::<Operations>(data) {
        check_operations(&operations);
    }
}

/// Gives `target` each file named on the command line; the `main` of a target where no fuzzer
/// provides one.
pub fn replay(target: fn(&[u8])) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in std::env::args_os().skip(1) {
        let file = Path::new(&file);
        match std::fs::read(file) {
            Ok(data) => target(&data),
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn decode<'a, T: Arbitrary<'a>>(data: &'a [u8]) -> Option<T> {
    T::arbitrary_take_rest(Unstructured::new(data)).ok()
}

fn check_settings(data: &[u8]) {
    let mut options = settings::ReadOptions::default();
    options.hostname_in_network = true;
    let read = settings::read_with(data, options);
    if let Ok(read) = &read {
        let written = settings::write(read);
        let again = settings::read_with(written.as_bytes(), options);
        assert_eq!(again.as_ref(), Ok(read), "read again, read of {written}");
    }
    if let Ok(strict) = settings::read(data) {
        assert_eq!(read, Ok(strict), "compatible, strict");
    }
}

fn check_lint_text(data: &[u8], purpose: Option<Purpose>) {
    let Ok(report) = lints::lint(data, purpose) else { return };
    for found in &report.lints {
        let part = report.text.get(found.span.clone()).expect("the part is in the text");
        serde_json::from_str::<IgnoredAny>(part).expect("the part is a value");
        let line: serde_json::Value = serde_json::from_str(&lints::write(found)).unwrap();
        let edits = line.get("suggestion").and_then(serde_json::Value::as_array);
        for edit in edits.into_iter().flatten() {
            let inserted = edit.get("insert").and_then(serde_json::Value::as_array);
            for rule in inserted.into_iter().flatten() {
                let rules = match rule.get("networkRule") {
                    Some(_) => format!("{{\"rules\": [{rule}]}}"),
                    None => format!(
                        "{{\"rules\": [{{\"networkRule\": {rule}, \"action\": \"drop\"}}]}}"
                    ),
                };
                settings::read(rules.as_bytes()).expect("what is suggested is a rule");
            }
        }
    }
    if let (Ok(read), true) = (settings::read(data), report.purpose == Purpose::Filter) {
        let of_text: Vec<_> = report.lints.into_iter().map(|found| found.lint).collect();
        assert_eq!(of_text, flowsieve::lint(&read), "of text, of rules");
    }
}

fn check_flow(text: &str) {
    let Ok(flow) = read_flow(text, IpProtocol::TCP) else { return };
    let is_name = flow.remote().is_some_and(|remote| remote.address().is_none());
    if is_name && HostName::new(flow.remote_hostname().unwrap_or("")).is_err() {
        // A remote name beside another host name that is none is not written.
        return;
    }
    let written = flow_lines::write(&flow);
    let again: Result<Flow<'_>, Error> = flow_lines::read(&written);
    assert_eq!(again.as_ref(), Ok(&flow), "read again, read of {written}");
}

fn check_if_read<T>(text: &str)
where
    T: Display + FromStr<Err = Error> + PartialEq + Debug,
{
    if let Ok(value) = text.parse::<T>() {
        let printed = value.to_string();
        assert_eq!(printed.parse().as_ref(), Ok(&value), "read again, read of {printed}");
    }
}
