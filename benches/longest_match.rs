//! Longest-prefix match: `longest-match/workload/engine` for calls that do not wait for each other,
//! `longest-match-dependent` for those that do, both for addresses `inside` networks of the table
//! and for `uniform` ones, `build/workload/engine`. The engines are the [`RuleTable`], the
//! [`FrozenTable`] of it, a [`Matcher`] of one rule per network by longest prefix, and other crates. The
//! matcher is asked for flows that are there already, and for ones made of the address just then.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up is of no use"
)]

mod measure;
mod workload;

use criterion::{BatchSize, Criterion, SamplingMode};
use flowsieve::{
    Action, AddressFamily, Direction, Endpoint, FilterRule, FilterSettings, Flow, FrozenTable,
    IpProtocol, Matcher, NetworkRule, Precedence, Protocol, RuleTable,
};
use ip_network_table_deps_treebitmap::IpLookupTable;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use iptrie::map::{LCTrieMap, RTrieMap};
use measure::answer;
use poptrie::Poptrie;
use prefix_trie::PrefixMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use workload::routing;

/// The number of addresses asked for.
const ADDRESSES: usize = 65_536;

fn main() {
    let mut criterion = measure::criterion();
    let share = if measure::is_test() { 100 } else { 1 };
    let table = routing::table(AddressFamily::V4, 900_000 / share);
    ipv4(&mut criterion, "routing-table-ipv4", &table);
    let table = routing::table(AddressFamily::V6, 160_000 / share);
    ipv6(&mut criterion, "routing-table-ipv6", &table);
    ipv6(&mut criterion, "assigned-table-ipv6", &routing::assigned(160_000 / share));
    criterion.final_summary();
}

/// Times the engines of one family: the crates all have types of their own for it.
macro_rules! time_family {
    ($function:ident, $family:expr, $net:ty, $address:ty, $kind:path) => {
        fn $function(criterion: &mut Criterion, workload: &'static str, table: &[IpNet]) {
            let settings = settings(table);
            let matcher = matcher(&settings);
            let addresses = [
                ("inside", routing::inside(table, ADDRESSES)),
                ("uniform", routing::uniform($family, ADDRESSES)),
            ];
            let asked = addresses.map(|(name, questions)| {
                let rule = |address| answer(matcher.decide(&flow(address)).rule());
                let expected: Vec<u32> = questions.iter().map(rule).collect();
                let hits = expected.iter().filter(|answer| **answer > 0).count();
                assert!(hits > 0 && (hits == ADDRESSES) == (name == "inside"), "{hits} {name}");
                Asked { name, questions, expected }
            });
            let mut time = Timer { criterion, workload };
            let flows = asked.each_ref().map(|asked| asked.map(flow));
            time.answers("matcher", &flows, |flow| answer(matcher.decide(flow).rule()));
            let decide = |address: &IpAddr| answer(matcher.decide(&flow(address)).rule());
            time.answers("matcher-of-address", &asked, decide);
            time.build("matcher", || self::matcher(&settings));
            drop((matcher, flows));

            let nets: Vec<$net> = table
                .iter()
                .map(|net| match net {
                    $kind(net) => *net,
                    net => panic!("{net} among {workload}"),
                })
                .collect();
            let build = || table.iter().copied().zip(1..).collect::<RuleTable<u32>>();
            let rule_table = build();
            let lookup =
                |a: &IpAddr| rule_table.longest_match(*a).map_or(0, |(_, values)| values[0]);
            time.answers("rule-table", &asked, lookup);
            time.build("rule-table", build);
            drop(rule_table);

            let build = || FrozenTable::new(build()).unwrap();
            let frozen = build();
            let lookup = |a: &IpAddr| frozen.longest_match(*a).map_or(0, |(_, values)| values[0]);
            time.answers("frozen-table", &asked, lookup);
            time.build("frozen-table", build);
            drop(frozen);

            let asked = asked.each_ref().map(|asked| {
                asked.map(|address| match address.to_string().parse::<$address>() {
                    Ok(address) => address,
                    Err(_) => panic!("{address} among {workload}"),
                })
            });

            let build = || nets.iter().copied().zip(1..).collect::<PrefixMap<$net, u32>>();
            let trie = build();
            let host = |address: &$address| <$net>::from(*address);
            let lookup = |a: &$address| trie.get_lpm(&host(a)).map_or(0, |(_, value)| *value);
            time.answers("prefix-trie", &asked, lookup);
            time.build("prefix-trie", build);
            drop(trie);

            // One by one, it would take minutes.
            let build = || nets.iter().copied().zip(1..).collect::<Poptrie<$net, u32>>();
            let trie = build();
            let lookup = |a: &$address| trie.lookup(a.to_bits()).map_or(0, |value| *value);
            time.answers("poptrie", &asked, lookup);
            time.build("poptrie", build);
            drop(trie);

            let build = || {
                let mut trie = IpLookupTable::new();
                for (net, value) in nets.iter().zip(1..) {
                    trie.insert(net.network(), net.prefix_len().into(), value);
                }
                trie
            };
            let trie = build();
            let lookup = |a: &$address| trie.longest_match(*a).map_or(0, |(_, _, value)| *value);
            time.answers("treebitmap", &asked, lookup);
            time.build("treebitmap", build);
            drop(trie);

            let build = || -> LCTrieMap<$net, u32> {
                let mut trie = RTrieMap::with_root(0);
                for (net, value) in nets.iter().copied().zip(1..) {
                    trie.insert(net, value);
                }
                trie.compress()
            };
            let trie = build();
            time.answers("iptrie", &asked, |a| *trie.lookup(a).1);
            time.build("iptrie", build);
        }
    };
}

time_family!(ipv4, AddressFamily::V4, Ipv4Net, Ipv4Addr, IpNet::V4);
time_family!(ipv6, AddressFamily::V6, Ipv6Net, Ipv6Addr, IpNet::V6);

/// Questions of a kind.
struct Asked<T> {
    name: &'static str,
    questions: Vec<T>,
    expected: Vec<u32>,
}

impl<T> Asked<T> {
    fn map<U>(&self, question: impl Fn(&T) -> U) -> Asked<U> {
        let questions = self.questions.iter().map(question).collect();
        Asked { name: self.name, questions, expected: self.expected.clone() }
    }
}

struct Timer<'a> {
    criterion: &'a mut Criterion,
    workload: &'static str,
}

impl Timer<'_> {
    fn answers<T>(&mut self, engine: &str, asked: &[Asked<T>], answer: impl Fn(&T) -> u32) {
        for Asked { name, questions, expected } in asked {
            let workload = format!("{}-{name}", self.workload);
            let id = ["longest-match", workload.as_str(), engine];
            measure::independent(self.criterion, id, (questions, expected), &answer);
            measure::dependent(self.criterion, id, (questions, expected), &answer);
        }
    }

    fn build<T>(&mut self, engine: &str, build: impl Fn() -> T) {
        let mut group = self.criterion.benchmark_group(format!("build/{}", self.workload));
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        group.bench_function(engine, |bencher| {
            bencher.iter_batched(|| (), |()| build(), BatchSize::PerIteration);
        });
    }
}

/// A rule for each network.
fn settings(table: &[IpNet]) -> FilterSettings {
    let rule = |net: &IpNet| {
        let (remote, bits) = (Some(Endpoint::from(net.addr())), net.prefix_len().into());
        let rule =
            NetworkRule::remote_network(remote, bits, None, 0, Protocol::Any, Direction::Any);
        FilterRule::new(rule.unwrap(), Action::Drop)
    };
    FilterSettings::new(table.iter().map(rule).collect(), Action::Allow)
}

fn matcher(settings: &FilterSettings) -> Matcher {
    Matcher::builder().precedence(Precedence::LongestPrefix).build(settings).unwrap()
}

fn flow(address: &IpAddr) -> Flow<'static> {
    Flow::new(IpProtocol::TCP, Direction::Outbound).with_remote_address(*address, None, 443)
}
