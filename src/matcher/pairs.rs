//! [`PairIndex`]: the rules that have a local side, for flows whose local address is known.
//!
//! A rule belongs to the pair of its remote and its local network. The networks that contain the
//! remote address form a chain, from the longest to all addresses, and so do those of the local
//! address; what can match are the rules of pairs of the two chains. Few of those pairs have rules,
//! and each remote network knows the lengths of the local networks that it is paired with.

use crate::endpoint::AddressFamily;
use crate::matcher::leaf::Ranked;
use crate::matcher::lists::{Entry, List, Lists, Outcome, Query};
use crate::matcher::memory;
use crate::matcher::prefixes::PrefixIndex;
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

/// The index of one family.
#[derive(Debug)]
pub(super) struct PairIndex {
    remotes: Networks,
    locals: Networks,
    /// By the numbers of the remote and the local network.
    pairs: HashMap<(u32, u32), Pair, BuildHasherDefault<PairHasher>>,
    /// For each remote network what it is paired with.
    partners: Vec<Partners>,
}

#[derive(Debug)]
struct Pair {
    first: Ranked,
    list: List,
}

#[derive(Clone, Copy, Debug)]
struct Partners {
    /// A bit for each length of a local network.
    lengths: u128,
    /// Whether one has all 128 bits, for which there is no bit.
    has_longest: bool,
    /// The first rule of this network, and of it and all that contain it.
    first: Ranked,
    first_above: Ranked,
}

impl PairIndex {
    /// Makes an index of rules of one family, in ascending rank, each with its remote and its
    /// local network; all of a family is the network of length 0.
    pub(super) fn new(rules: &[(IpNet, IpNet, Entry)], lists: &mut Lists) -> PairIndex {
        let sorted = |networks: &mut Vec<IpNet>| {
            networks.sort_unstable();
            networks.dedup();
        };
        let mut remote_networks = rules.iter().map(|(remote, ..)| *remote).collect();
        let mut local_networks = rules.iter().map(|(_, local, _)| *local).collect();
        sorted(&mut remote_networks);
        sorted(&mut local_networks);
        let number = |networks: &[IpNet], net| networks.binary_search(&net).unwrap_or(0) as u32;
        let mut by_pair: BTreeMap<(u32, u32), (u8, Vec<Entry>)> = BTreeMap::new();
        for (remote, local, entry) in rules {
            let pair = (number(&remote_networks, *remote), number(&local_networks, *local));
            let of_pair = by_pair.entry(pair).or_insert((local.prefix_len(), Vec::new()));
            of_pair.1.push(entry.clone());
        }
        let remotes = Networks::new(&remote_networks);
        let locals = Networks::new(&local_networks);
        let nothing = Partners {
            lengths: 0,
            has_longest: false,
            first: Ranked::NONE,
            first_above: Ranked::NONE,
        };
        let mut partners = vec![nothing; remotes.chain.len()];
        let mut pairs = HashMap::default();
        for ((remote, local), (length, entries)) in by_pair {
            let first = entries.first().map_or(Ranked::NONE, |entry| entry.ranked);
            if let Some(partners) = partners.get_mut(remote as usize) {
                partners.lengths |= 1u128.checked_shl(length.into()).unwrap_or(0);
                partners.has_longest |= length == 128;
                partners.first = partners.first.min(first);
            }
            pairs.insert((remote, local), Pair { first, list: lists.add(entries) });
        }
        // A network has a higher number than those that contain it.
        for number in 0..partners.len() {
            let parent = remotes.chain.get(number).and_then(|link| link.parent);
            let above = parent.and_then(|parent| partners.get(parent as usize).copied());
            let above = above.map_or(Ranked::NONE, |above| above.first_above);
            if let Some(own) = partners.get_mut(number) {
                own.first_above = own.first.min(above);
            }
        }
        pairs.shrink_to_fit();
        PairIndex { remotes, locals, pairs, partners }
    }

    /// Goes through the rules whose networks contain the remote and the local address.
    pub(super) fn visit(&self, query: &Query<'_>, outcome: &mut Outcome) {
        if self.pairs.is_empty() {
            return;
        }
        let (remote, local) = query.flow.ends();
        let mut next = self.remotes.longest(remote.folded_family(), remote.folded_bits());
        let longest_local = self.locals.longest(local.folded_family(), local.folded_bits());
        while let Some(remote) = next {
            let Some(partners) = self.partners.get(remote as usize) else { return };
            if partners.first_above >= outcome.best {
                return;
            }
            let mut next_local = longest_local.filter(|_| partners.first < outcome.best);
            while let Some(local) = next_local {
                let Some(link) = self.locals.chain.get(local as usize) else { break };
                let is_paired = match link.prefix_len {
                    128 => partners.has_longest,
                    length => partners.lengths >> length & 1 != 0,
                };
                if is_paired
                    && let Some(pair) = self.pairs.get(&(remote, local))
                    && pair.first < outcome.best
                {
                    query.scan(&pair.list, outcome);
                }
                next_local = link.parent;
            }
            next = self.remotes.chain.get(remote as usize).and_then(|link| link.parent);
        }
    }

    /// Returns the memory held, in bytes on the heap, less what is in [`Lists`].
    pub(super) fn size_bytes(&self) -> usize {
        let lists = self.pairs.values().map(|pair| pair.list.size_bytes());
        self.remotes.size_bytes()
            + self.locals.size_bytes()
            + memory::of_map(&self.pairs)
            + lists.sum::<usize>()
            + memory::of_vec(&self.partners)
    }
}

/// The distinct networks of one side, numbered so that one comes after all that contain it.
#[derive(Debug)]
struct Networks {
    v4: PrefixIndex<u32, u32>,
    v6_short: PrefixIndex<u64, u32>,
    v6_long: PrefixIndex<u128, u32>,
    /// The network of length 0, if it is one of them.
    all: Option<u32>,
    chain: Vec<Link>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    parent: Option<u32>,
    prefix_len: u8,
}

impl Networks {
    fn new(networks: &[IpNet]) -> Networks {
        let (mut v4, mut v6_short, mut v6_long) = (Vec::new(), Vec::new(), Vec::new());
        let mut all = None;
        let mut chain = Vec::with_capacity(networks.len());
        let mut path: Vec<(IpNet, u32)> = Vec::new();
        for (number, net) in (0u32..).zip(networks) {
            while path.last().is_some_and(|(outer, _)| !outer.contains(net)) {
                path.pop();
            }
            let prefix_len = net.prefix_len();
            chain.push(Link { parent: path.last().map(|(_, number)| *number), prefix_len });
            path.push((*net, number));
            match net {
                _ if prefix_len == 0 => all = Some(number),
                IpNet::V4(net) => {
                    v4.push((net.addr().to_bits() >> (32 - prefix_len), prefix_len, number));
                }
                IpNet::V6(net) if prefix_len <= 64 => {
                    let bits = (net.addr().to_bits() >> 64) as u64;
                    v6_short.push((bits >> (64 - prefix_len), prefix_len, number));
                }
                IpNet::V6(net) => {
                    v6_long.push((net.addr().to_bits() >> (128 - prefix_len), prefix_len, number));
                }
            }
        }
        Networks {
            v4: PrefixIndex::new(&v4),
            v6_short: PrefixIndex::new(&v6_short),
            v6_long: PrefixIndex::new(&v6_long),
            all,
            chain,
        }
    }

    /// Returns the number of the longest network that contains an address of the index's family.
    fn longest(&self, family: Option<AddressFamily>, (high, low): (u64, u64)) -> Option<u32> {
        let found = match family? {
            AddressFamily::V4 => self.v4.get(low as u32),
            AddressFamily::V6 => {
                let long = self.v6_long.get(u128::from(high) << 64 | u128::from(low));
                long.or_else(|| self.v6_short.get(high))
            }
        };
        found.copied().or(self.all)
    }

    fn size_bytes(&self) -> usize {
        self.v4.size_bytes()
            + self.v6_short.size_bytes()
            + self.v6_long.size_bytes()
            + memory::of_vec(&self.chain)
    }
}

/// Mixes two numbers, which are given out here and not chosen by anyone.
#[derive(Debug, Default)]
pub(super) struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        let product = u128::from(self.0) * 0x9e37_79b9_7f4a_7c15;
        (product >> 64) as u64 ^ product as u64
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32((*byte).into()));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = self.0.rotate_left(32) ^ u64::from(number);
    }
}
