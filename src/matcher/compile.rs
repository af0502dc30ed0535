//! From settings to a [`Matcher`].

use crate::decision::Decision;
use crate::error::{Error, ErrorKind};
use crate::matcher::address::AddressIndex;
use crate::matcher::hosts::HostIndex;
use crate::matcher::lists::{Detail, Entry, Lists};
use crate::matcher::{Matcher, Strategy};
use crate::network::Network;
use crate::rule::{FilterRule, Remote};
use crate::settings::{FilterSettings, Precedence};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The number of rules up to which scanning is chosen.
const SCAN_LIMIT: usize = 16;

pub(super) fn compile(
    settings: &FilterSettings,
    precedence: Precedence,
    strategy: Option<Strategy>,
) -> Result<Matcher, Error> {
    let (rules, limit) = (settings.rules(), Decision::MAX_RULE_INDEX);
    if rules.len() > limit {
        return Err(Error::new(ErrorKind::TooManyRules { count: rules.len(), limit }));
    }
    let strategy = strategy.unwrap_or(match rules.len() {
        0..=SCAN_LIMIT => Strategy::Scan,
        _ => Strategy::Trie,
    });

    let mut ranked: Vec<(u32, &FilterRule)> = (0..).zip(rules).collect();
    ranked.sort_by_key(|(_, rule)| Reverse(precedence.specificity(rule)));
    let order = match precedence {
        Precedence::FirstMatch => Vec::new(),
        Precedence::LongestPrefix => ranked.iter().map(|(index, _)| *index).collect(),
    };

    let mut lists = Lists::default();
    let mut everywhere = Vec::new();
    let mut networks: BTreeMap<_, Vec<Entry>> = BTreeMap::new();
    let mut hosts = Vec::new();
    let mut conditional = Vec::new();
    for (rank, (_, rule)) in (0..).zip(ranked) {
        let entry = entry(rank, rule, &mut lists);
        let network_rule = rule.network_rule();
        let is_host = matches!(network_rule.remote(), Remote::Host { .. });
        if is_host || *network_rule.local() != Network::Nil {
            conditional.push((rank, network_rule.clone()));
        }
        match network_rule.remote() {
            Remote::Host { name, .. } => hosts.push((name.clone(), entry)),
            Remote::Network(network) => match network.net() {
                Some(net) => networks.entry(net).or_default().push(entry),
                None => everywhere.push(entry),
            },
        }
    }
    Ok(Matcher {
        everywhere: lists.add(everywhere),
        addresses: AddressIndex::new(networks, &mut lists, strategy),
        hosts: HostIndex::new(hosts, &mut lists),
        lists,
        conditional,
        order,
        default_action: settings.default_action(),
        precedence,
        strategy,
    })
}

fn entry(rank: u32, rule: &FilterRule, lists: &mut Lists) -> Entry {
    let network_rule = rule.network_rule();
    let (zone, is_named) = match network_rule.remote() {
        Remote::Network(network) => (network.zone(), network.is_explicit()),
        Remote::Host { .. } => (None, true),
    };
    let local = network_rule.local();
    let has_detail = zone.is_some() || *local != Network::Nil;
    Entry {
        rank,
        remote_ports: network_rule.remote().ports(),
        protocol: network_rule.match_protocol(),
        direction: network_rule.match_direction(),
        action: rule.action(),
        may_be_loopback: is_named || local.is_explicit(),
        detail: has_detail.then(|| lists.add_detail(Detail { local: local.clone(), zone })),
    }
}
