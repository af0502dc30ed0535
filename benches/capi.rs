//! What the C interface costs: `decide/capi-workload/engine`, where `rust` is the call in Rust with a flow that
//! is there already, `rust-made` the one that makes its flow of addresses and ports, which it has as the standard
//! library has them, and `c` the call in C, which makes it of the same in a struct of 96 bytes; `rust-struct` is
//! the call in Rust that makes it of that struct. `c-counted` counts hits, `c-live` goes by a live matcher,
//! `c-batch` decides 256 flows in a call. `decide-shuffled/` is the same by flows in another order at each pass.
//! Of `capi-hot-` the flows are so few that the first-level cache holds them, as it holds a flow that was just
//! made, so that what is left is the call. The flows of `capi-named-1k` have host names, and no decision of
//! `capi-pending-1k` is final, as the local port is not known. And `text-to-decision/workload`, from two host and
//! two port strings to the decision.

#![allow(unsafe_code, reason = "functions in C take raw pointers")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up is of no use"
)]

mod measure;
mod workload;

use criterion::Throughput;
use flowsieve::capi::*;
use flowsieve::{
    Action, AddressFamily, Direction, Endpoint, FilterRule, FilterSettings, Flow, FlowEndpoint,
    IpProtocol, Matcher, NetworkRule, Precedence, Protocol,
};
use flowsieve_testkit::capi::{CFlow, CLive, CMatcher, COptions, CSettings};
use measure::{answer, independent, shuffled};
use std::hint::black_box;
use std::net::IpAddr;
use workload::{Workload, list};

/// The number of flows in a batch.
const BATCH: usize = 256;

fn main() {
    let mut criterion = measure::criterion();
    for (name, family, size) in [
        ("ipv4-1k", AddressFamily::V4, 1000),
        ("ipv6-1k", AddressFamily::V6, 1000),
        ("ipv4-100k", AddressFamily::V4, 100_000),
    ] {
        decide(&mut criterion, &list(name, family, size));
    }
    for (name, family) in [("hot-ipv4-1k", AddressFamily::V4), ("hot-ipv6-1k", AddressFamily::V6)] {
        let mut workload = list(name, family, 1000);
        workload.flows.truncate(256);
        decide(&mut criterion, &workload);
    }
    let hosts = workload::hosts::hosts(1000);
    decide_alike(&mut criterion, "capi-named-1k", &hosts.address_only, &hosts.hit, false);
    let (settings, flows) = pending();
    decide_alike(&mut criterion, "capi-pending-1k", &settings, &flows, true);
    criterion.final_summary();
}

fn decide(criterion: &mut criterion::Criterion, workload: &Workload) {
    let Workload { name, settings, flows, .. } = workload;
    let matcher = Matcher::new(settings).unwrap();
    let expected: Vec<u32> = flows.iter().map(|flow| answer(matcher.decide(flow).rule())).collect();
    let settings_in_c = CSettings::build(settings);
    let options = COptions::new(Precedence::FirstMatch);
    let mut counting = options;
    counting.0.count_hits = 1;
    let (plain, counted) =
        (CMatcher::new(&settings_in_c, &options), CMatcher::new(&settings_in_c, &counting));
    let live = CLive::new(&settings_in_c, &options);

    let raw: Vec<fsv_flow> = flows.iter().map(|flow| *CFlow::by_fields(flow).raw()).collect();
    let workload = format!("capi-{name}");
    let id = |engine| ["decide", workload.as_str(), engine];
    let in_rust = |flow: &Flow<'_>| answer(matcher.decide(flow).rule());
    independent(criterion, id("rust"), (flows, &expected), in_rust);
    shuffled(criterion, id("rust"), (flows, &expected), in_rust);
    let parts: Vec<Parts> = flows.iter().map(Parts::of).collect();
    let made_in_rust = |parts: &Parts| {
        let flow = Flow::new(parts.protocol, parts.direction)
            .with_remote_address(parts.remote.0, None, parts.remote.1)
            .with_local_address(parts.local.0, None, parts.local.1);
        answer(matcher.decide(&flow).rule())
    };
    independent(criterion, id("rust-made"), (&parts, &expected), made_in_rust);
    shuffled(criterion, id("rust-made"), (&parts, &expected), made_in_rust);
    let asked = (raw.as_slice(), expected.as_slice());
    let of_struct = |raw: &fsv_flow| made_in_rust(&Parts::of_struct(raw));
    independent(criterion, id("rust-struct"), asked, of_struct);
    let in_c = |flow: &fsv_flow| {
        // SAFETY: the handle is owned, and the decision may be written to.
        answer_in_c(|decision| unsafe { fsv_matcher_decide(plain.0, flow, decision) })
    };
    independent(criterion, id("c"), asked, in_c);
    shuffled(criterion, id("c"), asked, in_c);
    independent(criterion, id("c-counted"), asked, |flow| {
        // SAFETY: as above.
        answer_in_c(|decision| unsafe { fsv_matcher_decide(counted.0, flow, decision) })
    });
    independent(criterion, id("c-live"), asked, |flow| {
        // SAFETY: as above.
        answer_in_c(|decision| unsafe { fsv_live_decide(live.0, flow, decision) })
    });

    let mut decisions = vec![fsv_decision::INIT; BATCH];
    let mut group = criterion.benchmark_group(format!("decide/{workload}"));
    group.throughput(Throughput::Elements(raw.len() as u64));
    group.bench_function("c-batch", |bencher| {
        bencher.iter(|| {
            let mut total = 0;
            for flows in raw.chunks(BATCH) {
                let (first, count) = (black_box(flows).as_ptr(), flows.len());
                // SAFETY: the handle is owned, and there are as many flows and decisions.
                let status = unsafe {
                    fsv_matcher_decide_batch(plain.0, first, count, decisions.as_mut_ptr())
                };
                assert_eq!(status, FSV_STATUS_OK);
                let answers = decisions.iter().take(count).map(answer_of);
                total += answers.map(u64::from).sum::<u64>();
            }
            assert_eq!(total, measure::sum(&expected));
        });
    });
    drop(group);

    let texts: Vec<Texts> = flows.iter().map(Texts::of).collect();
    let id = ["text-to-decision", name, "c"];
    independent(criterion, id, (&texts, &expected), |texts| {
        let mut flow = texts.rest;
        let ([remote, remote_port], [local, local_port]) = (&texts.remote, &texts.local);
        // SAFETY: the texts are so long, and flow and decision may be written to.
        unsafe {
            let flow = &raw mut flow;
            let set = |set: unsafe extern "C" fn(_, _, _, _, _) -> _, host: &str, port: &str| {
                set(flow, host.as_ptr().cast(), host.len(), port.as_ptr().cast(), port.len())
            };
            assert_eq!(set(fsv_flow_set_remote, remote, remote_port), FSV_STATUS_OK);
            assert_eq!(set(fsv_flow_set_local, local, local_port), FSV_STATUS_OK);
            answer_in_c(|decision| fsv_matcher_decide(plain.0, flow, decision))
        }
    });
}

/// A block list behind a rule for one local port, and flows that have none yet.
fn pending() -> (FilterSettings, Vec<Flow<'static>>) {
    let Workload { settings, flows, family, .. } = list("", AddressFamily::V4, 1000);
    let local = Endpoint::new("0.0.0.0", "5060").unwrap();
    let (protocol, direction) = (Protocol::Any, Direction::Any);
    let rule = NetworkRule::remote_network(None, 0, Some(local), 0, protocol, direction);
    let first = FilterRule::new(rule.unwrap(), Action::Drop);
    let rules = [first].into_iter().chain(settings.rules().iter().cloned()).collect();
    let unbound = |flow: Flow<'static>| flow.with_local_address(family.unspecified(), None, 0);
    (
        FilterSettings::new(rules, settings.default_action()),
        flows.into_iter().map(unbound).collect(),
    )
}

/// Flows that are all usual but for one thing: they have a name, or what is decided on them is pending.
fn decide_alike(
    criterion: &mut criterion::Criterion,
    workload: &str,
    settings: &FilterSettings,
    flows: &[Flow<'static>],
    is_pending: bool,
) {
    let matcher = Matcher::new(settings).unwrap();
    assert!(flows.iter().all(|flow| matcher.decide(flow).pending() == is_pending), "{workload}");
    let in_rust = |flow: &Flow<'_>| answer(matcher.decide(flow).rule());
    let expected: Vec<u32> = flows.iter().map(in_rust).collect();
    let in_c = CMatcher::new(&CSettings::build(settings), &COptions::new(Precedence::FirstMatch));
    let raw: Vec<CFlow<'_>> = flows.iter().map(CFlow::by_fields).collect();
    independent(criterion, ["decide", workload, "rust"], (flows, &expected), in_rust);
    independent(criterion, ["decide", workload, "c"], (&raw, &expected), |flow| {
        // SAFETY: the handle is owned, and the decision may be written to.
        answer_in_c(|decision| unsafe { fsv_matcher_decide(in_c.0, flow.raw(), decision) })
    });
}

fn answer_in_c(decide: impl FnOnce(*mut fsv_decision) -> fsv_status) -> u32 {
    let mut decision = fsv_decision::INIT;
    assert_eq!(decide(&raw mut decision), FSV_STATUS_OK);
    answer_of(&decision)
}

/// One more than the index of the rule, 0 for none.
fn answer_of(decision: &fsv_decision) -> u32 {
    decision.rule.wrapping_add(1)
}

/// What a caller in Rust has of a flow.
struct Parts {
    protocol: IpProtocol,
    direction: Direction,
    remote: (IpAddr, u16),
    local: (IpAddr, u16),
}

impl Parts {
    fn of(flow: &Flow<'_>) -> Parts {
        let end = |end: Option<FlowEndpoint>| {
            let end = end.unwrap();
            (end.address().unwrap(), end.port())
        };
        let (protocol, direction) = (flow.protocol(), flow.direction());
        Parts { protocol, direction, remote: end(flow.remote()), local: end(flow.local()) }
    }

    #[inline(always)]
    fn of_struct(raw: &fsv_flow) -> Parts {
        let address = |family, bytes: &[u8; 16]| match family {
            FSV_FAMILY_IPV4 => IpAddr::from(*bytes.first_chunk::<4>().unwrap()),
            _ => IpAddr::from(*bytes),
        };
        let direction = match raw.direction {
            FSV_DIRECTION_ANY => Direction::Any,
            FSV_DIRECTION_INBOUND => Direction::Inbound,
            _ => Direction::Outbound,
        };
        let remote = (address(raw.remote_family, &raw.remote_address), raw.remote_port);
        let local = (address(raw.local_family, &raw.local_address), raw.local_port);
        Parts { protocol: IpProtocol(raw.protocol), direction, remote, local }
    }
}

/// The ends of a flow as text, each of a host and a port, and a struct with all else.
struct Texts {
    remote: [String; 2],
    local: [String; 2],
    rest: fsv_flow,
}

impl Texts {
    fn of(flow: &Flow<'_>) -> Texts {
        let text = |end: Option<FlowEndpoint>| {
            let end = end.unwrap();
            [end.address().unwrap().to_string(), end.port().to_string()]
        };
        let (protocol, direction) = (flow.protocol().0, flow.direction() as u8);
        let rest = fsv_flow { protocol, direction, ..fsv_flow::INIT };
        Texts { remote: text(flow.remote()), local: text(flow.local()), rest }
    }
}
