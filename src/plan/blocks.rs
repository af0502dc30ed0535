//! [`Blocks`]: flows taken apart by protocol, direction and port, so that within a block only the
//! remote address decides; and [`Labels`], what the settings give to each address.

use super::tree::{Label, Stretch};
use crate::endpoint::{AddressFamily, Endpoint};
use crate::flow::{Direction, Flow};
use crate::rule::{Action, FilterRule, NetworkRule, Protocol};
use crate::settings::FilterSettings;
use crate::space::{Axis, Cover, Item, PerAxis, Point, Runs, Space};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The flows that rules of a protocol, a direction and a port, and none before them, match.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) protocol: Protocol,
    pub(super) direction: Direction,
    /// `None` for the ports that no other block has; its rules stand after those of the others.
    pub(super) port: Option<u16>,
    /// The flows to any remote address; no loopback flows.
    region: PerAxis<Runs>,
    /// Their share of the flows of TCP and UDP, inbound and outbound.
    share: f64,
}

/// Blocks that no two share a flow.
pub(super) struct Blocks {
    pub(super) blocks: Vec<Block>,
    /// The one action of the flows that no block matches, but for loopback, if it is one.
    pub(super) residual: Option<Action>,
    residual_regions: Vec<PerAxis<Runs>>,
}

/// The loopback flows that rules of their own look after, before all others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Guarded {
    Nothing,
    /// Those with a local loopback address.
    Local,
    /// All.
    Both,
}

/// More ports than this are not taken apart.
const MAX_PORTS: usize = 16;

impl Blocks {
    /// Returns the ways of taking flows apart that may be worth it.
    pub(super) fn ways(settings: &FilterSettings, labels: &Labels<'_>) -> Vec<Blocks> {
        let rules = || settings.rules().iter().map(FilterRule::network_rule);
        let has_directions = rules().any(|rule| rule.match_direction() != Direction::Any);
        let has_protocols = rules().any(|rule| rule.match_protocol() != Protocol::Any);
        // Where all rules have the same, the other flows need no rule.
        let is_one = |is_same: &dyn Fn(&NetworkRule, &NetworkRule) -> bool| {
            rules().zip(rules().skip(1)).all(|(a, b)| is_same(a, b))
        };
        let has_one_direction = is_one(&|a, b| a.match_direction() == b.match_direction());
        let has_one_protocol = is_one(&|a, b| a.match_protocol() == b.match_protocol());
        let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
        for port in rules().filter_map(|rule| rule.remote().ports().as_one()) {
            *counts.entry(port).or_default() += 1;
        }
        let mut ports: Vec<(u16, usize)> = counts.into_iter().collect();
        ports.sort_by_key(|(port, count)| (std::cmp::Reverse(*count), *port));
        let ports: Vec<u16> = ports.into_iter().take(MAX_PORTS).map(|(port, _)| port).collect();
        let mut ways = vec![(has_directions, has_protocols, ports.as_slice())];
        if !ports.is_empty() {
            ways.push((has_directions, has_protocols, &[]));
        }
        let may_join = (has_directions && !has_one_direction, has_protocols && !has_one_protocol);
        if may_join.0 {
            ways.push((false, has_protocols, &[]));
        }
        if may_join.1 {
            ways.push((has_directions, false, &[]));
        }
        if may_join == (true, true) {
            ways.push((false, false, &[]));
        }
        let way = |(by_direction, by_protocol, ports): (bool, bool, &[u16])| {
            Blocks::new(labels, by_direction, by_protocol, ports)
        };
        ways.into_iter().map(way).collect()
    }

    fn new(labels: &Labels<'_>, by_direction: bool, by_protocol: bool, ports: &[u16]) -> Blocks {
        let axes = labels.space.axes();
        let directions: &[_] = match by_direction {
            true => &[(Direction::Outbound, Some(0)), (Direction::Inbound, Some(1))],
            false => &[(Direction::Any, None)],
        };
        let protocols: &[_] = match by_protocol {
            true => &[(Protocol::Tcp, Runs::one(0, 0)), (Protocol::Udp, Runs::one(1, 1))],
            false => &[(Protocol::Any, Runs::one(0, 1))],
        };
        let port_class = |port| {
            let class = axes.port_class(Axis::RemotePort, port);
            Runs::one(class, class)
        };
        let mut others = axes.all(Axis::RemotePort);
        for port in ports {
            others = others.minus(&port_class(*port));
        }
        let mut of_ports: Vec<(Option<u16>, Runs, f64)> = Vec::new();
        of_ports.extend(ports.iter().map(|port| (Some(*port), port_class(*port), 1.0 / 65536.0)));
        of_ports.push((None, others, 1.0 - ports.len() as f64 / 65536.0));

        let mut blocks = Vec::new();
        for (port, port_runs, port_share) in &of_ports {
            for (direction, direction_class) in directions {
                for (protocol, protocol_runs) in protocols {
                    let mut region = labels.not_loopback();
                    region[Axis::RemotePort] = port_runs.clone();
                    region[Axis::Protocol] = protocol_runs.clone();
                    if let Some(class) = *direction_class {
                        region[Axis::Direction] = Runs::one(class, class);
                    }
                    let parts = directions.len() * protocols.len();
                    blocks.push(Block {
                        protocol: *protocol,
                        direction: *direction,
                        port: *port,
                        region,
                        share: port_share / parts as f64,
                    });
                }
            }
        }

        // What no rule of a remote address, of these protocols and directions, matches.
        let addresses = axes.host_class(Axis::Remote, Point::V4(0));
        let mut other_protocols = labels.not_loopback();
        let last = axes.len(Axis::Protocol) - 1;
        other_protocols[Axis::Protocol] = Runs::one(2, last);
        let mut nameless = labels.not_loopback();
        nameless[Axis::Protocol] = Runs::one(0, 1);
        nameless[Axis::Remote] = Runs::one(0, addresses - 1);
        let mut residual_regions = vec![other_protocols, nameless];
        if by_direction {
            let mut unknown = labels.not_loopback();
            unknown[Axis::Protocol] = Runs::one(0, 1);
            unknown[Axis::Direction] = Runs::one(2, 2);
            residual_regions.push(unknown);
        }
        let mut answers = residual_regions.iter().map(|region| labels.one_action_of(region));
        let first = answers.next().flatten();
        let residual = first.filter(|first| answers.all(|answer| answer == Some(*first)));
        Blocks { blocks, residual, residual_regions }
    }
}

/// What the settings give to each flow, and how much flows weigh.
pub(super) struct Labels<'a> {
    space: &'a Space,
    items: Vec<Item>,
    cover: Cover<'a>,
    /// The classes of the flows of the sample, with their remote addresses.
    sample: Vec<(PerAxis<u32>, Option<IpAddr>)>,
    is_sampled: bool,
}

impl<'a> Labels<'a> {
    /// `space` is cut for the rules of the settings, and `items` are what decides in it.
    pub(super) fn new(space: &'a Space, items: Vec<Item>, sample: &[Flow<'_>]) -> Labels<'a> {
        let point = |flow: &Flow<'_>| {
            let remote = flow.remote().and_then(|remote| remote.folded_address());
            (space.axes().classes_of(flow), remote)
        };
        let points = sample.iter().map(point).collect();
        let cover = Cover::new(space, items.iter().map(|item| item.shape).collect());
        Labels { space, items, cover, sample: points, is_sampled: !sample.is_empty() }
    }

    /// Returns the flows of some classes of protocols and directions, which have a share of those of
    /// TCP and UDP, inbound and outbound.
    pub(super) fn block_of(&self, protocols: Runs, directions: Runs, share: f64) -> Block {
        let mut region = self.not_loopback();
        region[Axis::Protocol] = protocols;
        region[Axis::Direction] = directions;
        let (protocol, direction, port) = (Protocol::Any, Direction::Any, None);
        Block { protocol, direction, port, region, share }
    }

    /// Returns the one action of the flows of a block that have no remote address, and what they
    /// weigh.
    pub(super) fn nameless(&self, block: &Block) -> (Option<Action>, f64) {
        let axes = self.space.axes();
        let mut region = block.region.clone();
        region[Axis::Remote] = Runs::one(0, axes.host_class(Axis::Remote, Point::V4(0)) - 1);
        self.left_to_default(&region)
    }

    /// Returns the one action of the flows of some classes of protocols and directions, to any
    /// remote address or none, and what they weigh.
    pub(super) fn of_classes(&self, protocols: Runs, directions: Runs) -> (Option<Action>, f64) {
        self.left_to_default(&self.block_of(protocols, directions, 0.0).region)
    }

    fn left_to_default(&self, region: &PerAxis<Runs>) -> (Option<Action>, f64) {
        let holds = |classes: &PerAxis<u32>| {
            Axis::ALL.into_iter().all(|axis| region[axis].contains(classes[axis]))
        };
        let weight = self.sample.iter().filter(|(classes, _)| holds(classes)).count();
        (self.one_action_of(region), weight as f64)
    }

    /// Returns what all flows weigh.
    pub(super) fn whole(&self) -> f64 {
        if self.is_sampled { self.sample.len() as f64 } else { 1.0 }
    }

    /// Returns how many classes of protocols and of directions there are.
    pub(super) fn class_counts(&self) -> (u32, u32) {
        let axes = self.space.axes();
        (axes.len(Axis::Protocol), axes.len(Axis::Direction))
    }

    /// Every flow that is not a loopback flow.
    fn not_loopback(&self) -> PerAxis<Runs> {
        let axes = self.space.axes();
        PerAxis::from_fn(|axis| match axis {
            Axis::Remote | Axis::Local => axes.all(axis).minus(&axes.loopback(axis)),
            axis => axes.all(axis),
        })
    }

    /// Returns the rules that give the loopback flows what they should get: their action, or
    /// `filterData` if they have several.
    pub(super) fn guards(&self, guarded: Guarded) -> Vec<FilterRule> {
        let axes = self.space.axes();
        let sides: &[Axis] = match guarded {
            Guarded::Nothing => &[],
            Guarded::Local => &[Axis::Local],
            Guarded::Both => &[Axis::Local, Axis::Remote],
        };
        let loopbacks: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let guard = |side: Axis, address: IpAddr| {
            let class = axes.host_class(side, Point::of(address));
            let mut region = PerAxis::from_fn(|axis| axes.all(axis));
            region[side] = Runs::one(class, class);
            region[Axis::Protocol] = Runs::one(0, 1);
            let action = self.one_action_of(&region).unwrap_or(Action::FilterData);
            let end = Some(Endpoint::from(address));
            let (remote, local) = if side == Axis::Remote { (end, None) } else { (None, end) };
            let bits = u64::from(AddressFamily::of(address).bits());
            let (protocol, direction) = (Protocol::Any, Direction::Any);
            let rule = NetworkRule::remote_network(remote, bits, local, bits, protocol, direction);
            rule.ok().map(|rule| FilterRule::new(rule, action))
        };
        let ends = sides.iter().flat_map(|side| loopbacks.map(|address| (*side, address)));
        ends.filter_map(|(side, address)| guard(side, address)).collect()
    }

    /// Returns the action of all flows of a region, if it is one.
    fn one_action_of(&self, region: &PerAxis<Runs>) -> Option<Action> {
        let meeting = self.cover.meeting(region);
        self.one_action(region, &meeting)
    }

    /// Returns the action of all flows of a region, if it is one, given the items that meet it.
    fn one_action(&self, region: &PerAxis<Runs>, list: &[u32]) -> Option<Action> {
        let mut found: Option<Action> = None;
        for (index, place) in list.iter().enumerate() {
            let item = self.items.get(*place as usize)?;
            if found == Some(item.action) {
                continue;
            }
            let before = list.get(..index)?;
            let Some(both) = Space::and(region, &self.space.region(&item.shape)) else { continue };
            if self.cover.uncovered(&both, before).is_ok() {
                if found.is_some() {
                    return None;
                }
                found = Some(item.action);
            }
        }
        found
    }

    /// Returns what may be given to the flows of a block to each address of a family.
    ///
    /// Where flows with a local loopback address are not guarded, a prefix gives them its action,
    /// and a default allows them; the second answer is whether that asks for anything else than the
    /// other flows do.
    pub(super) fn stretches(
        &self,
        block: &Block,
        family: AddressFamily,
        guarded: Guarded,
    ) -> (Vec<Stretch>, bool) {
        let axes = self.space.axes();
        let (first, last) = self.classes(family);
        let highest = match family {
            AddressFamily::V4 => u128::from(u32::MAX),
            AddressFamily::V6 => u128::MAX,
        };
        let loopback = axes.loopback(Axis::Remote);
        let mut from_anywhere = block.region.clone();
        from_anywhere[Axis::Local] = axes.all(Axis::Local);
        let mut from_loopback = block.region.clone();
        from_loopback[Axis::Local] = axes.loopback(Axis::Local);
        let plain = self.sweep(&block.region, first, last);
        let local = match guarded {
            Guarded::Local | Guarded::Both => Vec::new(),
            Guarded::Nothing => self.sweep(&from_loopback, first, last),
        };
        // Both change where either does; loopback addresses are classes of their own.
        let mut changes: Vec<u32> = plain.iter().chain(&local).map(|(class, _)| *class).collect();
        for (class, end) in loopback.iter() {
            changes.extend([class, end + 1].iter().filter(|c| (first..=last).contains(*c)));
        }
        changes.sort_unstable();
        changes.dedup();
        let (mut plain, mut local) = (plain.iter().peekable(), local.iter().peekable());
        let (mut action, mut of_local) = (Action::FilterData, None);
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut is_moved = false;
        for class in changes {
            while let Some((_, next)) = plain.next_if(|(change, _)| *change <= class) {
                action = *next;
            }
            while let Some((_, next)) = local.next_if(|(change, _)| *change <= class) {
                of_local = Some(*next);
            }
            let is_loopback = loopback.contains(class);
            if is_loopback && guarded == Guarded::Both {
                continue;
            }
            let label = if is_loopback {
                let mut region = from_anywhere.clone();
                region[Axis::Remote] = Runs::one(class, class);
                let action = self.one_action_of(&region);
                Label {
                    by_prefix: action.unwrap_or(Action::FilterData),
                    by_default: action.filter(|action| *action == Action::Allow),
                    is_loopback: true,
                }
            } else {
                let of_local = of_local.unwrap_or(action);
                let is_one = of_local == action;
                is_moved |= !is_one;
                Label {
                    by_prefix: if is_one { action } else { Action::FilterData },
                    by_default: (guarded != Guarded::Nothing || of_local == Action::Allow)
                        .then_some(action),
                    is_loopback: false,
                }
            };
            let bits = match axes.point(Axis::Remote, class) {
                Some(Point::V4(bits)) => u128::from(bits),
                Some(Point::V6(bits)) => bits,
                _ => continue,
            };
            match stretches.last_mut() {
                Some(before) if before.2 == label => {}
                Some(before) => {
                    before.1 = bits - 1;
                    stretches.push((bits, highest, label));
                }
                None => stretches.push((0, highest, label)),
            }
        }
        (stretches, is_moved)
    }

    /// The classes of the addresses of a family.
    fn classes(&self, family: AddressFamily) -> (u32, u32) {
        let axes = self.space.axes();
        let of = |point| axes.host_class(Axis::Remote, point);
        match family {
            AddressFamily::V4 => (of(Point::V4(0)), of(Point::V6(0)) - 1),
            AddressFamily::V6 => (of(Point::V6(0)), axes.len(Axis::Remote) - 1),
        }
    }

    /// Returns, for each remote class from `first` to `last` at which something changes, the action
    /// of the flows of a region there, `filterData` if they have several.
    fn sweep(&self, region: &PerAxis<Runs>, first: u32, last: u32) -> Vec<(u32, Action)> {
        let others = || Axis::ALL.into_iter().filter(|axis| *axis != Axis::Remote);
        // By their places: whether the item holds all of the block on the other axes.
        let mut is_whole: HashMap<u32, bool> = HashMap::new();
        let mut bounds: Vec<(u32, u32)> = Vec::new();
        for (place, item) in (0..).zip(&self.items) {
            let set = |axis: Axis| self.space.set(axis, &item.shape);
            if !others().all(|axis| set(axis).meets(&region[axis])) {
                continue;
            }
            is_whole.insert(place, others().all(|axis| set(axis).covers(&region[axis])));
            let runs = set(Axis::Remote).iter().filter(|(from, to)| *to >= first && *from <= last);
            for (from, to) in runs {
                bounds.extend([(from.max(first), place), (to + 1, place)]);
            }
        }
        bounds.sort_unstable();
        let mut known: HashMap<Vec<u32>, Action> = HashMap::new();
        let mut active: Vec<u32> = Vec::new();
        let mut actions = Vec::new();
        let mut next = bounds.iter().peekable();
        let mut class = first;
        while class <= last {
            while let Some((_, place)) = next.next_if(|(bound, _)| *bound <= class) {
                match active.binary_search(place) {
                    Ok(index) => {
                        active.remove(index);
                    }
                    Err(index) => active.insert(index, *place),
                }
            }
            let end = next.peek().map_or(last + 1, |(bound, _)| *bound);
            // Those that count: up to the first that leaves nothing to the others.
            let whole = active.iter().position(|place| is_whole.get(place) == Some(&true));
            let asked = active.get(..=whole.unwrap_or(active.len())).unwrap_or(&active);
            let mut own = asked.iter().filter_map(|place| self.items.get(*place as usize));
            let one = own.next().map(|item| item.action);
            let action = match one.filter(|one| own.all(|item| item.action == *one)) {
                Some(one) => one,
                None => *known.entry(asked.to_vec()).or_insert_with_key(|asked| {
                    let mut region = region.clone();
                    region[Axis::Remote] = Runs::one(class, class);
                    self.one_action(&region, asked).unwrap_or(Action::FilterData)
                }),
            };
            actions.push((class, action));
            class = end;
        }
        actions
    }

    /// Returns what the flows of a block to the addresses from one to another weigh.
    pub(super) fn weight(
        &self,
        block: &Block,
        family: AddressFamily,
    ) -> Box<dyn Fn(u128, u128) -> f64> {
        if !self.is_sampled {
            // Each family is half of the space.
            let one = block.share / 2_f64.powi(i32::from(family.bits()) + 1);
            return Box::new(move |first, last| ((last - first) as f64 + 1.0) * one);
        }
        let is_in = |classes: &PerAxis<u32>| {
            let others = Axis::ALL.into_iter().filter(|axis| *axis != Axis::Remote);
            others.into_iter().all(|axis| block.region[axis].contains(classes[axis]))
        };
        let loopback = self.space.axes().loopback(Axis::Remote);
        let points = self
            .sample
            .iter()
            .filter(|(classes, _)| is_in(classes) && !loopback.contains(classes[Axis::Remote]));
        let mut bits: Vec<u128> = points
            .filter_map(|(_, address)| match (*address, family) {
                (Some(IpAddr::V4(address)), AddressFamily::V4) => Some(address.to_bits().into()),
                (Some(IpAddr::V6(address)), AddressFamily::V6) => Some(address.to_bits()),
                _ => None,
            })
            .collect();
        bits.sort_unstable();
        Box::new(move |first, last| {
            let from = bits.partition_point(|bits| *bits < first);
            let to = bits.partition_point(|bits| *bits <= last);
            (to - from) as f64
        })
    }

    /// Returns what the flows weigh that no block matches.
    pub(super) fn residual_weight(&self, blocks: &Blocks) -> f64 {
        let is_in = |(classes, _): &&(PerAxis<u32>, Option<IpAddr>)| {
            let holds = |region: &PerAxis<Runs>| {
                Axis::ALL.into_iter().all(|axis| region[axis].contains(classes[axis]))
            };
            blocks.residual_regions.iter().any(holds)
        };
        self.sample.iter().filter(is_in).count() as f64
    }
}
