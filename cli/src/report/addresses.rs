//! The rules and the flows by address: a map of IPv4, and IPv6 by prefix.

use super::page::{action, bar, decider, end_section, end_table, grouped, number, section, table};
use super::{ByAction, Report, escape};
use crate::map::{Coverage, Picture, Question, Setting, Traffic, draw_svg, percent, size};
use flowsieve::{Action, Direction, IpProtocol};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Rows of cells of the map, as a power of two: a cell is a /16.
const ORDER: u8 = 8;
/// Rows of the table of what the map shows.
const MAX_STRETCHES: usize = 40;
/// Rows of the table of IPv6 prefixes.
const MAX_PREFIXES: usize = 200;
/// Maps of IPv6 prefixes within which not all flows fare alike.
const MAX_MAPS: usize = 4;
/// Prefixes of IPv6 are those that registries give to a provider.
const V6_LEN: u8 = 32;

/// Writes the sections.
pub(crate) fn write(page: &mut String, report: &Report<'_>) -> fmt::Result {
    // Without a local endpoint nothing can be wrong with it.
    let question = Question::new(IpProtocol::TCP, Direction::Outbound, None, None, None);
    let Ok(question) = question else { return Ok(()) };
    let coverage = |window| Coverage::new(report.settings, report.precedence, &question, window);
    v4(page, report, &question, &coverage(Ipv4Net::default().into()))?;
    v6(page, report, &question, &coverage(Ipv6Net::default().into()))
}

fn v4(
    page: &mut String,
    report: &Report<'_>,
    question: &Question,
    coverage: &Coverage,
) -> fmt::Result {
    section(page, "map", "Map of IPv4")?;
    figure(page, report, question, coverage, "map4", report.places.v4())?;
    if coverage.waiting() > 0 {
        writeln!(
            page,
            "<p class=\"note\">Rules that wait for a local endpoint or a host name are not in the \
             picture: {}.</p>",
            coverage.waiting(),
        )?;
    }
    page.push_str("<details><summary>The map as a table</summary>\n");
    let heads = [("from", ""), ("to", ""), ("addresses", "n"), ("action", ""), ("by", "")];
    table(page, "The biggest stretches of addresses", true, &heads)?;
    let mut stretches: Vec<_> = coverage.stretches().iter().collect();
    stretches.sort_by_key(|stretch| (Reverse(stretch.last - stretch.first), stretch.first));
    for stretch in stretches.iter().take(MAX_STRETCHES) {
        let address = |bits: u128| Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX));
        let given = stretch.fate.action().map_or_else(|| "by port".to_owned(), action);
        let by = stretch.fate.decider.map(|by| decider(report.settings, by));
        writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td>{}<td>{given}</td><td>{}</td></tr>",
            address(stretch.first),
            address(stretch.last),
            number(size(stretch.first, stretch.last) as u64),
            by.unwrap_or_else(|| "several".to_owned()),
        )?;
    }
    end_table(page);
    match stretches.len().saturating_sub(MAX_STRETCHES) {
        0 => {}
        more => writeln!(page, "<p class=\"note\">{more} smaller ones are not listed here.</p>")?,
    }
    page.push_str("</details>\n");
    if report.places.elsewhere() > 0 {
        let flows = grouped(report.places.elsewhere());
        writeln!(page, "<p class=\"note\">Flows without a remote address: {flows}.</p>")?;
    }
    end_section(page);
    Ok(())
}

/// Writes the map of the window of `coverage`, with the flows to networks within it.
fn figure<N: Into<IpAddr>>(
    page: &mut String,
    report: &Report<'_>,
    question: &Question,
    coverage: &Coverage,
    id: &str,
    places: impl IntoIterator<Item = (N, ByAction)>,
) -> fmt::Result {
    let window = coverage.window();
    let mut traffic = Traffic::new(window);
    let places = places.into_iter().map(|(network, counts)| (network.into(), counts));
    for (network, counts) in places.filter(|(network, _)| window.contains(network)) {
        for (action, flows) in Action::ALL.into_iter().zip(counts) {
            if flows > 0 {
                traffic.add(Some(network), action, flows);
            }
        }
    }
    let picture =
        Picture::new(report.name, report.settings, coverage, question, ORDER, Some(&traffic));
    writeln!(
        page,
        "<figure>\n<figcaption>{} {}. Colours are what the rules do with outbound TCP flows, \
         computed from the rules alone; marks are the flows of the logs, whatever their protocol, \
         with the action that they got.</figcaption>\n{}</figure>",
        escape(&picture.description),
        escape(sentence(&picture.subtitle)),
        draw_svg(&picture, id, Setting::InPage),
    )
}

fn v6(
    page: &mut String,
    report: &Report<'_>,
    question: &Question,
    coverage: &Coverage,
) -> fmt::Result {
    section(page, "v6", "IPv6 by prefix")?;
    let places = report.places.v6();
    let mut prefixes: BTreeMap<IpNet, ByAction> = BTreeMap::new();
    for (network, counts) in &places {
        let sums = prefixes.entry(prefix(*network, V6_LEN)).or_default();
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    // The networks of rules, those within a prefix as the prefix.
    for (_, net) in coverage.rules() {
        if let IpNet::V6(net) = net {
            let net = prefix(net.network(), net.prefix_len().min(V6_LEN));
            prefixes.entry(net).or_default();
        }
    }
    if prefixes.is_empty() {
        page.push_str("<p>No rule names an IPv6 network, and no flow went to one.</p>\n");
        end_section(page);
        return Ok(());
    }
    page.push_str(
        "<p>What the rules do with outbound TCP flows to the addresses of each prefix, and the \
         flows of the logs.</p>\n",
    );
    let mut rows: Vec<_> = prefixes.into_iter().collect();
    rows.sort_by_key(|(net, counts)| (Reverse(counts.iter().sum::<u64>()), *net));
    let heads = [
        ("prefix", ""),
        ("rules give", "w"),
        ("flows", "n"),
        ("allow", "n"),
        ("drop", "n"),
        ("filterData", "n"),
    ];
    table(page, "IPv6 prefixes, the most flows first", true, &heads)?;
    for (net, counts) in rows.iter().take(MAX_PREFIXES) {
        let (shares, by_port) = coverage.shares(*net);
        let parts: Vec<(&str, f64)> = Action::ALL
            .into_iter()
            .zip(shares)
            .map(|(a, share)| (a.as_str(), 100.0 * share))
            .collect();
        let [allow, drop, filter] = counts.map(number);
        writeln!(
            page,
            "<tr><th scope=\"row\">{net}</th><td>{}{}</td>{}{allow}{drop}{filter}</tr>",
            words(shares, by_port),
            bar(&parts),
            number(counts.iter().sum()),
        )?;
    }
    end_table(page);
    match rows.len().saturating_sub(MAX_PREFIXES) {
        0 => {}
        more => writeln!(page, "<p class=\"note\">{more} more are not listed here.</p>")?,
    }
    let is_mixed = |net: &IpNet| {
        let (shares, by_port) = coverage.shares(*net);
        by_port > 0.0 || shares.iter().filter(|share| **share > 0.0).count() > 1
    };
    let mixed = rows.iter().map(|(net, _)| *net).filter(is_mixed);
    for (place, net) in mixed.take(MAX_MAPS).enumerate() {
        let coverage = Coverage::new(report.settings, report.precedence, question, net);
        writeln!(page, "<details><summary>Map of {net}</summary>")?;
        let id = format!("map6-{place}");
        figure(page, report, question, &coverage, &id, places.iter().copied())?;
        page.push_str("</details>\n");
    }
    page.push_str(
        "<p class=\"note\">Any prefix is drawn as a map, with the flows, by <code>flowsieve map \
         SETTINGS --prefix PREFIX --flows FLOWS -o map.svg</code>.</p>\n",
    );
    end_section(page);
    Ok(())
}

/// `drop for 3.00 %, allow for 97.00 %`: what there is.
fn words(shares: [f64; 3], by_port: f64) -> String {
    let actions = Action::ALL.into_iter().zip(shares).filter(|(_, share)| *share > 0.0);
    let mut words: Vec<String> =
        actions.map(|(given, share)| format!("{} {}", action(given), percent(share))).collect();
    if by_port > 0.0 {
        words.push(format!("by port {}", percent(by_port)));
    }
    words.join(", ")
}

fn prefix(network: Ipv6Addr, len: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(network, len.min(V6_LEN)).trunc())
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
