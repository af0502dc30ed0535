//! From settings to a [`Matcher`].

use crate::decision::Decision;
use crate::endpoint::AddressFamily;
use crate::error::{Error, ErrorKind};
use crate::matcher::address::AddressIndex;
use crate::matcher::cross;
use crate::matcher::direct;
use crate::matcher::hosts::HostIndex;
use crate::matcher::intervals::{Intervals, Singles};
use crate::matcher::lanes::{Decider, Machine, Rules};
use crate::matcher::leaf::{Leaf, Ranked};
use crate::matcher::lists::{Entry, Lists};
use crate::matcher::locals::LocalPorts;
use crate::matcher::memory;
use crate::matcher::nets::{LocalNets, LocalRule};
use crate::matcher::phases;
use crate::matcher::plain::{Anyone, Conditional, PlainIndex};
use crate::matcher::ports::NamedPortsBuilder;
use crate::matcher::rows::Place;
use crate::matcher::scan::{self, Scan};
use crate::matcher::sided::{CrossLimits, Crossed, Sided, SidedRule};
use crate::matcher::unbound::{self, Unbound};
use crate::matcher::{Anywhere, Crossing, Has, Matcher, MatcherBuilder, Strategy, Vectors};
use crate::network::Network;
use crate::rule::{FilterRule, NetworkRule, Remote};
use crate::settings::{FilterSettings, Precedence};
use ipnet::IpNet;
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub(super) fn compile(
    settings: &FilterSettings,
    options: &MatcherBuilder,
) -> Result<Matcher, Error> {
    let count = settings.rules().len();
    let mut limits = match options.crossing {
        None => {
            direct::room(options.max_bytes).map_or(CrossLimits::default(), |room| CrossLimits {
                phases: Some(phases::Limits::of_rules(count, room)),
                pairs: Some(cross::Limits::of_rules(count, room)),
            })
        }
        Some(Crossing::Off) => CrossLimits::default(),
        Some(Crossing::Pairs) => CrossLimits { phases: None, pairs: Some(cross::Limits::ALL) },
        Some(Crossing::Phases) => CrossLimits { phases: Some(phases::Limits::ALL), pairs: None },
    };
    loop {
        let mut crossed = Crossing::Off;
        let compiled = compile_within(settings, options, limits, &mut crossed);
        let is_too_large =
            |error: &Error| matches!(error.kind(), ErrorKind::MatcherTooLarge { .. });
        let may_be_smaller =
            options.crossing.is_none() && compiled.as_ref().is_err_and(is_too_large);
        // What only makes it faster is left out where there is no room.
        match crossed {
            Crossing::Phases if may_be_smaller => limits.phases = None,
            Crossing::Pairs if may_be_smaller => limits.pairs = None,
            _ => return compiled,
        }
    }
}

/// Compiles settings, whose rules are crossed within `limits`, and says how they were, also if the
/// matcher is too large.
fn compile_within(
    settings: &FilterSettings,
    options: &MatcherBuilder,
    limits: CrossLimits,
    crossed: &mut Crossing,
) -> Result<Matcher, Error> {
    let (rules, limit) = (settings.rules(), Ranked::MAX_RULES);
    if rules.len() > limit {
        return Err(Error::new(ErrorKind::TooManyRules { count: rules.len(), limit }));
    }
    let precedence = options.precedence;
    let machine = Machine::up_to(options.vectors.unwrap_or(Vectors::Bits512));
    let strategy = options.strategy.unwrap_or(Strategy::Intervals);
    let singles = match options.strategy {
        None => Singles::ApartIfMany,
        Some(Strategy::ExactMatch) => Singles::Apart,
        Some(_) => Singles::Within,
    };
    let has_intervals = strategy.has_intervals();

    let mut order: Vec<u32> = (0..rules.len() as u32).collect();
    if precedence == Precedence::LongestPrefix {
        let specificity =
            |index: &u32| rules.get(*index as usize).map(|r| precedence.specificity(r));
        order.sort_by_key(|index| Reverse(specificity(index)));
    }

    let mut lists = Lists::default();
    let mut plain = Vec::new();
    let mut plain_anywhere = Vec::new();
    let mut local_ports = Vec::new();
    let mut local_rules = Vec::new();
    let mut anywhere: Anywhere<Vec<Entry>> = Anywhere::default();
    let mut by_local_port: Anywhere<Vec<Entry>> = Anywhere::default();
    let mut networks: BTreeMap<_, Vec<Entry>> = BTreeMap::new();
    let mut sided = Vec::new();
    let mut named_ports = NamedPortsBuilder::default();
    let mut hosts = Vec::new();
    let mut unbound = unbound::Builder::new();
    for (rank, rule) in (0..).zip(order_of(rules, &order)) {
        let (ranked, rule) = (Ranked::new(rank, rule.action()), rule.network_rule());
        let network = match rule.remote() {
            Remote::Network(network) => network,
            Remote::Host { name, .. } => {
                hosts.push((name.clone(), lists.entry(ranked, rule)));
                continue;
            }
        };
        let is_plain = *rule.local() == Network::Nil && network.zone().is_none();
        let anyone = match network {
            Network::Nil => Some(Anyone::Nil),
            Network::Wildcard { family: AddressFamily::V4, .. } => Some(Anyone::V4),
            Network::Wildcard { family: AddressFamily::V6, .. } => Some(Anyone::V6),
            Network::Prefix { .. } => None,
        };
        if !is_plain && has_intervals {
            unbound.add(rule, network, leaf(ranked, rule));
        }
        match (anyone, network.net()) {
            (Some(anyone), _) if is_plain && has_intervals => {
                named_ports.add_by_remote_port(rule.remote().ports());
                plain_anywhere.push((anyone, leaf(ranked, rule)));
            }
            (None, Some(net)) if is_plain && has_intervals => {
                plain.push((net, leaf(ranked, rule)));
            }
            (Some(anyone), _) => {
                let entry = lists.entry(ranked, rule);
                let of_port = LocalPorts::rule(ranked, anyone, rule).filter(|_| has_intervals);
                match of_port {
                    Some(of_port) => {
                        named_ports.add_by_local_port(rule.local().ports());
                        local_ports.push(of_port);
                        by_local_port.get_mut(anyone).push(entry);
                    }
                    None => {
                        named_ports.add_sided(rule.remote().ports(), rule.local().ports());
                        local_rules.extend(LocalRule::new(ranked, anyone, rule));
                        sided.push((ranked, network, rule));
                        anywhere.get_mut(anyone).push(entry);
                    }
                }
            }
            (None, Some(net)) => {
                let entry = lists.entry(ranked, rule);
                sided.push((ranked, network, rule));
                networks.entry(net).or_default().push(entry);
            }
            // Only nil has no network.
            (None, None) => {}
        }
    }
    // Many rules of any host are found by port elsewhere.
    let has_pairs = has_intervals
        && sided.len() > plain.len()
        && plain_anywhere.len() + local_ports.len() <= MAX_WIDE;
    if has_pairs {
        sided = all_of(rules, &order);
    }
    let sided_ports = sided.iter().any(|(.., rule)| !rule.local().ports().is_any());
    if has_pairs | !has_intervals {
        local_rules.clear();
    }
    let local_nets = LocalNets::new(&local_rules);
    local_rules.retain(|rule| local_nets.has(rule.family()));
    sided.retain(|(ranked, ..)| {
        local_rules.binary_search_by_key(ranked, LocalRule::ranked).is_err()
    });
    let of_anywhere =
        [&anywhere.nil, &anywhere.v4, &anywhere.v6].map(Vec::len).iter().sum::<usize>();
    let has_zone = |rule: &FilterRule| {
        let rule = rule.network_rule();
        [rule.remote_side(), Some(rule.local())].into_iter().flatten().any(|n| n.zone().is_some())
    };
    let has = Has {
        local_ports: !local_ports.is_empty(),
        hosts: !hosts.is_empty(),
        local_nets: !local_rules.is_empty(),
        sided_anywhere: of_anywhere > local_rules.len(),
        sided_ports,
        some_local_ports: rules.iter().any(|rule| !rule.network_rule().local().ports().is_any()),
        zones: rules.iter().any(has_zone),
        local: !lists.rules().is_empty(),
        pairs: has_pairs,
        few: false,
        few_in_groups: false,
        v6_in_buckets: false,
        others: !has_intervals,
        groups: false,
    };
    if !has_intervals {
        sided.clear();
    }
    let named_ports = named_ports.finish();
    lists.shrink_to_fit();
    let mut budget = Budget::new(options.max_bytes);
    budget.take(lists.size_bytes())?;
    budget.take(local_nets.size_bytes())?;
    budget.take(named_ports.size_bytes())?;
    let (sided_v4, places_v4) = Sided::new(&sided_of(AddressFamily::V4, &sided), has_pairs, limits);
    *crossed = sided_v4.cross().map_or(Crossing::Off, Crossed::crossing);
    budget.take(sided_v4.size_bytes())?;
    let (sided_v6, places_v6) =
        Sided::new(&sided_of(AddressFamily::V6, &sided), has_pairs, CrossLimits::default());
    budget.take(sided_v6.size_bytes())?;
    drop(sided);
    let all_are_plain = plain.len() == rules.len();
    let conditional = match has_intervals {
        true => {
            let roots = [sided_v4.root(), sided_v6.root()];
            conditional(networks.keys().copied(), [places_v4, places_v6].concat(), roots)
        }
        false => Vec::new(),
    };
    let plain = PlainIndex::new(plain, &plain_anywhere, &conditional, singles);
    drop(conditional);
    let is_simple = all_are_plain && plain.is_simple();
    let strategy = if plain.has_exact() { Strategy::ExactMatch } else { strategy };
    budget.take(plain.size_bytes())?;
    let addresses = AddressIndex::new(networks, &mut lists, strategy);
    budget.take(addresses.size_bytes())?;
    let unbound = unbound.finish(singles);
    budget.take(unbound.as_deref().map_or(0, Unbound::size_bytes))?;
    let hosts = HostIndex::new(hosts, &mut lists);
    budget.take(hosts.size_bytes())?;
    let mut matcher = Matcher {
        plain,
        local_ports: LocalPorts::new(&local_ports),
        local_nets,
        named_ports,
        by_local_port: by_local_port.map(|entries| lists.add(entries)),
        anywhere: anywhere.map(|entries| lists.add(entries)),
        addresses,
        sided_v4,
        sided_v6,
        few_v4: Scan::new(&[]),
        few_v6: Scan::new(&[]),
        unbound,
        nowhere: Intervals::new(&[], Place::EMPTY),
        hosts,
        lists,
        order: Vec::new(),
        has,
        of_no_rule: Decision::of_no_rule(settings.default_action(), false),
        precedence,
        strategy,
        machine,
        decider: Decider::of(machine, Rules::Any),
    };
    matcher.lists.shrink_to_fit();
    matcher.has.groups = options.look_ahead.unwrap_or(true);
    let by_rank = precedence != Precedence::FirstMatch;
    let of_order = if by_rank { memory::of_vec(&order) } else { 0 };
    let room = budget.limit.saturating_sub(matcher.size_bytes() + of_order);
    let of = FewOf { rules, order: &order, forced: options.strategy, is_simple, room };
    match Few::new(&matcher, of) {
        Some(few) => few.add_to(&mut matcher),
        None if is_simple => matcher.decider = Decider::of(machine, Rules::Networks),
        None => {}
    }
    // A strategy that is forced may not suit the rules.
    let is_in_buckets =
        matcher.has.few && matcher.strategy == Strategy::Buckets && !matcher.has.pairs;
    matcher.has.v6_in_buckets = is_in_buckets && options.look_ahead.is_none();
    // No rule that is kept elsewhere has a rank to compare with those of the index.
    let is_numbered = is_simple && !matcher.has.few;
    if by_rank && !(is_numbered && matcher.plain.number_by(&order)) {
        matcher.order = order;
    }
    budget.check(matcher.size_bytes())?;
    Ok(matcher)
}

/// Rules that flows are compared with, in place of those of the index.
struct Few {
    strategy: Strategy,
    count: usize,
    v4: Scan<1>,
    v6: Scan<4>,
}

/// Rules of which a matcher is made, as [`Few`] takes them.
struct FewOf<'a> {
    rules: &'a [FilterRule],
    order: &'a [u32],
    forced: Option<Strategy>,
    /// Whether all are of whole networks only.
    is_simple: bool,
    /// What the matcher may hold beside, in bytes.
    room: usize,
}

impl Few {
    /// Returns them by the strategy that is forced, or by the fastest that suits the rules and has room; `None` if
    /// there is none.
    // PERF: decide-dependent/ipv4-1k. Of 64 rules, comparing all of them takes a tenth less than buckets where a call
    // waits for the one before (IPv4), and up to two fifths more where it does not (IPv6).
    fn new(matcher: &Matcher, of: FewOf<'_>) -> Option<Few> {
        let FewOf { rules, order, forced, is_simple, room } = of;
        let (machine, has) = (matcher.machine, &matcher.has);
        let count = rules.iter().filter(|rule| rule.network_rule().remote_side().is_some()).count();
        let of_all = || {
            // Comparing all of them asks for no host rules.
            let suits = count <= machine.compared() || forced.is_some();
            (suits && !has.hosts).then(|| Few::of_all(&all_of(rules, order)))
        };
        let many = if is_simple { MAX_SIMPLE_IN_BUCKETS } else { usize::MAX };
        match forced {
            _ if has.zones => None,
            Some(Strategy::Blocks) => of_all(),
            Some(Strategy::Buckets) => Few::in_buckets(&all_of(rules, order), false, usize::MAX),
            Some(_) => None,
            None if count > machine.few() && count <= machine.in_buckets().min(many) => {
                Few::in_buckets(&all_of(rules, order), has.pairs, room).or_else(of_all)
            }
            None => of_all(),
        }
    }

    fn of_all(every: &[(Ranked, &Network, &NetworkRule)]) -> Few {
        let v4 = Scan::new(&sided_of(AddressFamily::V4, every));
        let v6 = Scan::new(&sided_of(AddressFamily::V6, every));
        Few { strategy: Strategy::Blocks, count: every.len(), v4, v6 }
    }

    /// Returns them in buckets, with those of any host if it needs all.
    fn in_buckets(
        every: &[(Ranked, &Network, &NetworkRule)],
        needs_all: bool,
        room: usize,
    ) -> Option<Few> {
        let v4 = Scan::in_buckets(&sided_of(AddressFamily::V4, every), needs_all, room)?;
        let room = room.checked_sub(v4.size_bytes())?;
        let v6 = Scan::in_buckets(&sided_of(AddressFamily::V6, every), needs_all, room)?;
        let fits = v6.size_bytes() <= room;
        fits.then_some(Few { strategy: Strategy::Buckets, count: every.len(), v4, v6 })
    }

    fn add_to(self, matcher: &mut Matcher) {
        let Few { strategy, count, v4, v6 } = self;
        let has_all = v4.has_all() && v6.has_all() && !matcher.has.hosts && !matcher.has.pairs;
        let rules = match strategy {
            Strategy::Buckets if has_all => Rules::InBuckets,
            Strategy::Buckets => Rules::BesideBuckets,
            _ => Rules::Few,
        };
        matcher.decider = Decider::of(matcher.machine, rules);
        matcher.has.few = true;
        matcher.has.few_in_groups = strategy == Strategy::Blocks && count <= scan::MAX_IN_GROUPS;
        (matcher.strategy, matcher.few_v4, matcher.few_v6) = (strategy, v4, v6);
    }
}

/// The most rules for which buckets are taken where all are of whole networks.
// PERF: their index has 8 to 16 bytes a rule, and nothing to compare; decide-dependent/networks-10k.
const MAX_SIMPLE_IN_BUCKETS: usize = 2000;

/// The most rules of any host for which [`Sided`] has all rules.
const MAX_WIDE: usize = 256;

/// The memory that a matcher may hold.
struct Budget {
    limit: usize,
    taken: usize,
}

impl Budget {
    fn new(limit: Option<usize>) -> Budget {
        Budget { limit: limit.unwrap_or(usize::MAX), taken: size_of::<Matcher>() }
    }

    /// Takes the size of a part.
    fn take(&mut self, bytes: usize) -> Result<(), Error> {
        self.taken = self.taken.saturating_add(bytes);
        self.check(self.taken)
    }

    fn check(&self, bytes: usize) -> Result<(), Error> {
        let limit = self.limit;
        match bytes > limit {
            true => Err(Error::new(ErrorKind::MatcherTooLarge { bytes, limit })),
            false => Ok(()),
        }
    }
}

fn order_of<'a>(rules: &'a [FilterRule], order: &'a [u32]) -> impl Iterator<Item = &'a FilterRule> {
    order.iter().filter_map(|index| rules.get(*index as usize))
}

/// All rules but host rules, in order of rank.
fn all_of<'a>(
    rules: &'a [FilterRule],
    order: &'a [u32],
) -> Vec<(Ranked, &'a Network, &'a NetworkRule)> {
    let all = (0..).zip(order_of(rules, order)).filter_map(|(rank, rule)| {
        let ranked = Ranked::new(rank, rule.action());
        Some((ranked, rule.network_rule().remote_side()?, rule.network_rule()))
    });
    all.collect()
}

/// The rules of which both sides can hold addresses of `family`.
fn sided_of(family: AddressFamily, rules: &[(Ranked, &Network, &NetworkRule)]) -> Vec<SidedRule> {
    let side = |network: &Network| match network.family() {
        None => IpNet::new(family.unspecified(), 0).ok(),
        Some(own) => network.net().filter(|_| own == family),
    };
    let of_family = |(ranked, remote, rule): &(Ranked, &Network, &NetworkRule)| {
        let local = rule.local();
        Some(SidedRule {
            leaf: leaf(*ranked, rule),
            remote: side(remote)?,
            local: side(local)?,
            local_ports: (local.ports().first(), local.ports().last()),
            zones: [remote.zone(), local.zone()],
            may_be_loopback: remote.is_explicit() || local.is_explicit(),
            has_local: *local != Network::Nil,
            is_of_any_host: matches!(remote, Network::Nil | Network::Wildcard { .. }),
        })
    };
    rules.iter().filter_map(of_family).collect()
}

/// Returns each of `networks` with its place, or else that of the longest of `places` that contains it, or else the
/// root of its family. The networks ascend, and so do those of places, which are all among them but for the roots.
fn conditional(
    networks: impl Iterator<Item = IpNet>,
    places: Vec<(IpNet, Place)>,
    [root_v4, root_v6]: [Place; 2],
) -> Vec<Conditional> {
    let mut places = places.into_iter().filter(|(net, _)| net.prefix_len() > 0).peekable();
    let mut path: Vec<(IpNet, Place)> = Vec::new();
    let of_net = |net: IpNet| {
        while path.last().is_some_and(|(around, _)| !around.contains(&net)) {
            path.pop();
        }
        path.extend(places.next_if(|(own, _)| *own == net));
        let root = if net.addr().is_ipv4() { root_v4 } else { root_v6 };
        Conditional { net, place: path.last().map_or(root, |(_, place)| *place) }
    };
    let conditional = networks.map(of_net).collect();
    debug_assert_eq!(places.next(), None, "a place of a network that no rule names");
    conditional
}

fn leaf(ranked: Ranked, rule: &NetworkRule) -> Leaf {
    Leaf::new(ranked, rule.remote().ports(), rule.match_protocol(), rule.match_direction())
}
