//! [`export`]: settings as lists and as rules of other programs, with what they cannot say.

use super::conflict;
use super::lsrules;
use crate::error::{Error, ErrorKind};
use crate::flow::Direction;
use crate::formats::settings;
use crate::network::Network;
use crate::rule::{Action, FilterRule, NetworkRule, Protocol, Remote};
use crate::settings::FilterSettings;
use crate::table::RuleTable;
use ipnet::IpNet;
use serde_json::{Map, json};
use std::fmt::Write;

/// What settings are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A file for a pf table: addresses and networks, and with `!` those that get the default
    /// action.
    Pf,
    /// nftables: a set for IPv4 and one for IPv6.
    Nft,
    /// FireHOL .netset: IPv4 networks.
    Netset,
    /// Little Snitch .lsrules.
    LsRules,
    /// A settings file.
    Json,
}

impl Target {
    /// All targets.
    pub const ALL: [Target; 5] =
        [Target::Pf, Target::Nft, Target::Netset, Target::LsRules, Target::Json];

    fn name(self) -> &'static str {
        match self {
            Target::Pf => "a pf table",
            Target::Nft => "an nftables set",
            Target::Netset => "a .netset",
            Target::LsRules => "a .lsrules file",
            Target::Json => "a settings file",
        }
    }
}

/// What was written, and which rules were not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// The text.
    pub text: String,
    /// How many rules are in it.
    pub written: usize,
    /// The rules that are not, by their index, and why.
    pub refused: Vec<(usize, Error)>,
}

/// Writes settings.
///
/// Lists of addresses, which pf, nftables and .netset files are, hold the rules of `action`; where
/// they are used decides what is done with them, in which direction and for which protocols. So
/// rules of other actions are refused, but in a pf table those of the default action, which are
/// written with `!`, where that table decides as the rules do.
///
/// What is read of the text decides every flow as the rules that were written do; of a list with
/// the direction and the action that its rules have.
pub fn export(settings: &FilterSettings, target: Target, action: Action) -> Exported {
    match target {
        Target::Pf => pf(settings, action),
        Target::Nft => nft(settings, action),
        Target::Netset => netset(settings, action),
        Target::LsRules => ls_rules(settings),
        Target::Json => Exported {
            text: settings::write(settings),
            written: settings.rules().len(),
            refused: Vec::new(),
        },
    }
}

fn pf(settings: &FilterSettings, action: Action) -> Exported {
    let default = settings.default_action();
    let mut earlier: RuleTable<(usize, Action)> = RuleTable::new();
    let mut lines = Vec::new();
    let refused = each(settings, |index, rule| {
        let own = rule.action();
        if own != action && own != default {
            return Err(other_action(Target::Pf, rule));
        }
        let nets = nets_of(Target::Pf, rule)?;
        for net in &nets {
            // The most specific entry decides there, and the first rule here.
            let mut before = earlier.covering_net(*net).flat_map(|(_, rules)| rules);
            if let Some((before, _)) = before.find(|(_, of)| *of != own) {
                let what = "a rule all flows of which an earlier one takes";
                return Err(inexpressible(Target::Pf, what, &format!("rule {before}")));
            }
        }
        for net in nets {
            earlier.insert(net, (index, own));
            let mark = if own == action { "" } else { "!" };
            lines.push(format!("{mark}{}\n", entry_text(net)));
        }
        Ok(())
    });
    let text = format!("# table <flowsieve> persist file \"...\"\n{}", lines.concat());
    Exported { text, written: settings.rules().len() - refused.len(), refused }
}

fn nft(settings: &FilterSettings, action: Action) -> Exported {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    let refused = each(settings, |_, rule| {
        if rule.action() != action {
            return Err(other_action(Target::Nft, rule));
        }
        for net in nets_of(Target::Nft, rule)? {
            match net {
                IpNet::V4(_) => v4.push(entry_text(net)),
                IpNet::V6(_) => v6.push(entry_text(net)),
            }
        }
        Ok(())
    });
    let mut text = String::from("table inet flowsieve {\n");
    for (name, of_type, elements) in
        [("flowsieve4", "ipv4_addr", v4), ("flowsieve6", "ipv6_addr", v6)]
    {
        // A String takes whatever is written.
        let _ = write!(
            text,
            "\tset {name} {{\n\t\ttype {of_type}\n\t\tflags interval\n\t\tauto-merge\n"
        );
        if !elements.is_empty() {
            let elements = elements.join(",\n\t\t\t");
            let _ = write!(text, "\t\telements = {{\n\t\t\t{elements}\n\t\t}}\n");
        }
        text.push_str("\t}\n");
    }
    text.push_str("}\n");
    Exported { text, written: settings.rules().len() - refused.len(), refused }
}

fn netset(settings: &FilterSettings, action: Action) -> Exported {
    let mut lines = Vec::new();
    let refused = each(settings, |_, rule| {
        if rule.action() != action {
            return Err(other_action(Target::Netset, rule));
        }
        let nets = nets_of(Target::Netset, rule)?;
        if let Some(net) = nets.iter().find(|net| matches!(net, IpNet::V6(_))) {
            return Err(inexpressible(Target::Netset, "an IPv6 network", &net.to_string()));
        }
        lines.extend(nets.into_iter().map(|net| format!("{}\n", entry_text(net))));
        Ok(())
    });
    let count = lines.len();
    let text = format!("# flowsieve, hash:net\n# Entries : {count} subnets\n{}", lines.concat());
    Exported { text, written: settings.rules().len() - refused.len(), refused }
}

/// Gives `write` each rule, and returns those that it refuses.
fn each(
    settings: &FilterSettings,
    mut write: impl FnMut(usize, &FilterRule) -> Result<(), Error>,
) -> Vec<(usize, Error)> {
    let rules = settings.rules().iter().enumerate();
    let refused = rules.filter_map(|(index, rule)| Some((index, write(index, rule).err()?)));
    refused.map(|(index, error)| (index, error.in_rule(index))).collect()
}

/// The networks that a rule for addresses alone is about.
fn nets_of(target: Target, rule: &FilterRule) -> Result<Vec<IpNet>, Error> {
    let rule = rule.network_rule();
    check_remote(target, rule)?;
    let refuse =
        |what, value: &dyn std::fmt::Display| Err(inexpressible(target, what, &value.to_string()));
    let ports = rule.remote().ports();
    if !ports.is_any() {
        return refuse("a port", &ports);
    }
    if rule.match_protocol() != Protocol::Any {
        return refuse("a protocol", &rule.match_protocol());
    }
    if rule.match_direction() == Direction::Inbound {
        return refuse("a direction", &rule.match_direction());
    }
    match rule.remote() {
        Remote::Host { name, .. } => refuse("a host name", name),
        Remote::Network(Network::Nil) => refuse("a remote that is not given", &"any"),
        Remote::Network(network) => Ok(written_nets(network)),
    }
}

/// What no target has words for.
fn check_remote(target: Target, rule: &NetworkRule) -> Result<(), Error> {
    let refuse =
        |what, value: &dyn std::fmt::Display| Err(inexpressible(target, what, &value.to_string()));
    if *rule.local() != Network::Nil {
        return refuse("a local side", rule.local());
    }
    let Remote::Network(network) = rule.remote() else { return Ok(()) };
    if let Some(zone) = network.zone() {
        return refuse("a zone", &zone);
    }
    match network.net() {
        Some(IpNet::V6(net))
            if net.prefix_len() >= 96 && net.network().to_ipv4_mapped().is_some() =>
        {
            refuse("IPv4-mapped addresses, which no flow shows (S-20)", &net)
        }
        _ => Ok(()),
    }
}

/// The networks to write one with. Prefix length 0 stands for a wildcard when it is read, so all
/// of a family that is none is written as two halves.
fn written_nets(network: &Network) -> Vec<IpNet> {
    match network.net() {
        Some(net) if net.prefix_len() == 0 && network.is_explicit() => {
            net.subnets(1).map(Iterator::collect).unwrap_or_default()
        }
        Some(net) => vec![net],
        None => Vec::new(),
    }
}

/// A network, or an address by itself.
fn entry_text(net: IpNet) -> String {
    match net.prefix_len() == net.max_prefix_len() {
        true => net.addr().to_string(),
        false => net.to_string(),
    }
}

fn other_action(target: Target, rule: &FilterRule) -> Error {
    inexpressible(target, "another action", rule.action().as_str())
}

#[cold]
fn inexpressible(target: Target, what: &'static str, value: &str) -> Error {
    let (by, value) = (target.name(), value.to_owned());
    Error::new(ErrorKind::Inexpressible { by, what, value })
}

/// How a rule would rank in Little Snitch, with regular priority.
fn ls_rank(rule: &NetworkRule) -> (lsrules::Kind, usize) {
    match rule.remote() {
        Remote::Host { name, .. } if name.is_single_label() => (lsrules::Kind::Host, 1),
        Remote::Host { .. } => (lsrules::Kind::Domain, 1),
        Remote::Network(Network::Nil) => (lsrules::Kind::Any, 1),
        Remote::Network(network) => (lsrules::Kind::Address, written_nets(network).len()),
    }
}

fn ls_rules(settings: &FilterSettings) -> Exported {
    let rules = settings.rules();
    let mut refused = each(settings, |_, rule| ls_check(rule));
    let mut is_refused = vec![false; rules.len()];
    for (index, _) in &refused {
        if let Some(flag) = is_refused.get_mut(*index) {
            *flag = true;
        }
    }
    // From the last rule on: each has to rank before those after it that it meets and that act
    // otherwise, with regular priority or else with high.
    let mut ranks = vec![0; rules.len()];
    let mut later: Later = Later::default();
    for (index, rule) in rules.iter().enumerate().rev() {
        if is_refused.get(index).copied().unwrap_or(true) {
            continue;
        }
        let (kind, len) = ls_rank(rule.network_rule());
        let lowest = later.lowest_met(rules, &ranks, rule);
        let rank = [1, 0].map(|priority| lsrules::rank(priority, kind, len));
        match rank.into_iter().find(|rank| lowest.is_none_or(|lowest| *rank < lowest)) {
            Some(rank) => {
                if let Some(own) = ranks.get_mut(index) {
                    *own = rank;
                }
                later.insert(index, rule);
            }
            None => {
                let what = "that a rule decides before those after it that are as specific";
                let error = inexpressible(Target::LsRules, what, &rule.network_rule().to_string());
                refused.push((index, error.in_rule(index)));
                if let Some(flag) = is_refused.get_mut(index) {
                    *flag = true;
                }
            }
        }
    }
    refused.sort_by_key(|(index, _)| *index);
    let mut objects = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        if is_refused.get(index).copied().unwrap_or(true) {
            continue;
        }
        let is_high = ranks.get(index).is_some_and(|rank| rank >> 56 == 0);
        ls_objects(rule, is_high, &mut objects);
    }
    let written = rules.len() - refused.len();
    let text = format!(
        "{{\n  \"name\": \"flowsieve\",\n  \"description\": \"{written} rules\",\n  \"rules\": [{}\n  ]\n}}\n",
        objects.iter().map(|object| format!("\n    {object}")).collect::<Vec<_>>().join(","),
    );
    Exported { text, written, refused }
}

/// Rules that stand after the one at hand, by their actions.
#[derive(Default)]
struct Later {
    rules: [Vec<usize>; 3],
    compared: u64,
}

impl Later {
    fn insert(&mut self, index: usize, rule: &FilterRule) {
        let list = self.rules.iter_mut().zip(Action::ALL).find(|(_, own)| *own == rule.action());
        if let Some((list, _)) = list {
            list.push(index);
        }
    }

    /// The lowest rank of those that meet a rule and act otherwise.
    fn lowest_met(
        &mut self,
        rules: &[FilterRule],
        ranks: &[u64],
        rule: &FilterRule,
    ) -> Option<u64> {
        let others = self.rules.iter().zip(Action::ALL).filter(|(_, own)| *own != rule.action());
        let others: Vec<&Vec<usize>> = others.map(|(list, _)| list).collect();
        self.compared += others.iter().map(|list| list.len() as u64).sum::<u64>();
        if self.compared > MAX_COMPARED {
            // Which would take too long: none ranks before a rank of 0.
            return Some(0);
        }
        let met = others.into_iter().flatten().filter(|other| {
            rules.get(**other).is_some_and(|other| conflict::may_meet(rule, other))
        });
        met.filter_map(|other| ranks.get(*other)).min().copied()
    }
}

/// The most pairs of rules of different actions that are compared.
const MAX_COMPARED: u64 = 200_000_000;

fn ls_check(rule: &FilterRule) -> Result<(), Error> {
    let rule = rule.network_rule();
    check_remote(Target::LsRules, rule)?;
    match rule.remote() {
        Remote::Host { name, .. } if rule.match_direction() != Direction::Outbound => {
            let what = "a host name beside a direction that is not outbound";
            Err(inexpressible(Target::LsRules, what, name.as_str()))
        }
        Remote::Host { name, .. } if name.trimmed().contains('*') => {
            Err(inexpressible(Target::LsRules, "a star within a name", name.as_str()))
        }
        Remote::Host { .. } | Remote::Network(_) => Ok(()),
    }
}

/// Writes a rule as one object, or as two where it is for either direction.
fn ls_objects(rule: &FilterRule, is_high: bool, objects: &mut Vec<serde_json::Value>) {
    let network_rule = rule.network_rule();
    let directions: &[&str] = match network_rule.match_direction() {
        Direction::Any => &["outgoing", "incoming"],
        Direction::Outbound => &["outgoing"],
        Direction::Inbound => &["incoming"],
    };
    for direction in directions {
        let mut object = Map::new();
        object.insert("process".to_owned(), json!("any"));
        let action = match rule.action() {
            Action::Allow => "allow",
            Action::Drop => "deny",
            Action::FilterData => "ask",
        };
        object.insert("action".to_owned(), json!(action));
        object.insert("direction".to_owned(), json!(direction));
        let (key, value) = match network_rule.remote() {
            Remote::Host { name, .. } if name.is_single_label() => {
                ("remote-hosts", json!(name.trimmed()))
            }
            Remote::Host { name, .. } => ("remote-domains", json!(name.trimmed())),
            Remote::Network(Network::Nil) => ("remote", json!("any")),
            Remote::Network(network) => {
                let nets: Vec<String> = written_nets(network).into_iter().map(entry_text).collect();
                ("remote-addresses", json!(nets.join(", ")))
            }
        };
        object.insert(key.to_owned(), value);
        let ports = network_rule.remote().ports();
        if !ports.is_any() {
            object.insert("ports".to_owned(), json!(ports.to_string()));
        }
        let protocol = match network_rule.match_protocol() {
            Protocol::Any => None,
            Protocol::Tcp => Some("tcp".to_owned()),
            Protocol::Udp => Some("udp".to_owned()),
            Protocol::Number(number) => Some(number.to_string()),
        };
        if let Some(protocol) = protocol {
            object.insert("protocol".to_owned(), json!(protocol));
        }
        if is_high {
            object.insert("priority".to_owned(), json!("high"));
        }
        if let Some(label) = rule.label() {
            object.insert("notes".to_owned(), json!(label));
        }
        objects.push(object.into());
    }
}
