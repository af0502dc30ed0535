//! Reading logs on one core: `logs/format/step`, where `read` makes flows of the lines, and `replay`
//! also decides them by 10,000 rules. Flow lines are read with the fast path and without it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up is of no use"
)]

mod measure;
mod workload;

use criterion::{Criterion, Throughput};
use flowsieve::formats::flow_lines;
use flowsieve::formats::logs::{Entry, LogFormat, LogOptions, LogReader};
use flowsieve::{AddressFamily, Direction, Flow, Matcher};
use std::hint::black_box;
use workload::{Random, Workload};

/// The number of flows of a log.
const FLOWS: usize = 16_384;

fn main() {
    let mut criterion = measure::criterion();
    let rules = workload::list("ipv4-10k", AddressFamily::V4, 10_000);
    let matcher = Matcher::new(&rules.settings).unwrap();
    for family in [AddressFamily::V4, AddressFamily::V6] {
        let flows = flows(family, &rules);
        let name = match family {
            AddressFamily::V4 => "ipv4",
            AddressFamily::V6 => "ipv6",
        };
        for (format, line) in FORMATS {
            let mut log = header(format).to_owned();
            flows.iter().for_each(|flow| log += &(line(flow) + "\n"));
            assert_eq!(LogFormat::detect(log.as_bytes()), Some(format));
            replay(&mut criterion, &format!("{format}-{name}"), format, &log, &matcher);
        }
    }
    criterion.final_summary();
}

fn replay(criterion: &mut Criterion, name: &str, format: LogFormat, log: &str, matcher: &Matcher) {
    let mut group = criterion.benchmark_group(format!("logs/{name}"));
    group.throughput(Throughput::Elements(FLOWS as u64));
    let run = |is_thorough: bool, use_flow: &dyn Fn(&Flow<'_>) -> u64| {
        let mut options = LogOptions::default();
        options.local_nets = vec!["0.0.0.0/1".parse().unwrap()];
        options.is_thorough = is_thorough;
        let (mut count, mut sum) = (0, 0);
        LogReader::new(format, options).read(black_box(log).as_bytes(), |record| {
            match record.entry {
                Entry::Flow(found) => {
                    count += 1;
                    sum += use_flow(&found.flow);
                }
                Entry::Other(_) => {}
                entry => panic!("{name}: {entry:?}"),
            }
        });
        assert_eq!(count, FLOWS, "{name}");
        sum
    };
    let port = |flow: &Flow<'_>| flow.remote().map_or(0, |remote| u64::from(remote.port()));
    let decide = |flow: &Flow<'_>| matcher.decide(flow).rule().map_or(0, |rule| rule as u64 + 1);
    let ports = run(false, &port);
    group.bench_function("read", |bencher| {
        bencher.iter(|| assert_eq!(run(false, &port), ports));
    });
    if format == LogFormat::FlowLines {
        group.bench_function("read-thoroughly", |bencher| {
            bencher.iter(|| assert_eq!(run(true, &port), ports));
        });
    }
    let rules = run(true, &decide);
    group.bench_function("replay", |bencher| {
        bencher.iter(|| assert_eq!(run(false, &decide), rules));
    });
}

/// Flows with a local side, half of them with a host name.
fn flows(family: AddressFamily, rules: &Workload) -> Vec<Flow<'static>> {
    let mut random = Random(41);
    let mut flow = || {
        let flow = match family {
            AddressFamily::V4 => random.pick(&rules.flows),
            AddressFamily::V6 => {
                let flow = Flow::new(flowsieve::IpProtocol::TCP, Direction::Outbound);
                flow.with_remote_address(random.address(family), None, random.port())
            }
        };
        let local = random.address(family);
        let flow = flow.with_local_address(local, None, random.port());
        match random.chance(50) {
            true => flow.with_remote_hostname(format!("host-{}.example.com", random.below(1000))),
            false => flow,
        }
    };
    (0..FLOWS).map(|_| flow()).collect()
}

/// How a flow is written.
type Line = fn(&Flow<'_>) -> String;

/// Each format with how a flow is written in it.
const FORMATS: [(LogFormat, Line); 5] = [
    (LogFormat::FlowLines, flow_lines::write),
    (LogFormat::Macos, |flow| {
        let [remote, local] = ends(flow).map(|(address, port)| match address.is_ipv6() {
            true => format!("{address}.{port}"),
            false => format!("{address}:{port}"),
        });
        format!(
            "2021-06-02 06:58:53.333438-0700 0x1bf8 Default 0x0 666 0 com.example.App: Got a new flow \
             with local endpoint {local}, remote endpoint {remote}, direction outbound"
        )
    }),
    (LogFormat::Zeek, |flow| {
        let [(remote, remote_port), (local, local_port)] = ends(flow);
        format!("1714521600.1\tCa\t{local}\t{local_port}\t{remote}\t{remote_port}\ttcp\tT\tF")
    }),
    (LogFormat::Suricata, |flow| {
        let [(remote, remote_port), (local, local_port)] = ends(flow);
        format!(
            r#"{{"timestamp":"2024-05-01T00:00:00.000000+0000","flow_id":1,"event_type":"flow","src_ip":"{local}","src_port":{local_port},"dest_ip":"{remote}","dest_port":{remote_port},"proto":"TCP","flow":{{"pkts_toserver":3}}}}"#
        )
    }),
    (LogFormat::Vpc, |flow| {
        let [(remote, remote_port), (local, local_port)] = ends(flow);
        format!(
            "2 123456789010 eni-1 {local} {remote} {local_port} {remote_port} 6 20 4249 1418530010 \
             1418530070 ACCEPT OK"
        )
    }),
];

fn header(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Zeek => {
            "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tlocal_orig\tlocal_resp\n"
        }
        _ => "",
    }
}

/// Address and port of the remote and the local side.
fn ends(flow: &Flow<'_>) -> [(std::net::IpAddr, u16); 2] {
    [flow.remote(), flow.local()].map(|end| {
        let end = end.unwrap();
        (end.address().unwrap(), end.port())
    })
}
