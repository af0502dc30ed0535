//! [`RuleTable`]: the editable store, a longest-prefix-match trie of value lists for each address
//! family.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use smallvec::SmallVec;
use std::net::IpAddr;

/// A map from networks to lists of values, for both address families.
///
/// Networks are compared without their host bits. Addresses are looked up as they are: an
/// IPv4-mapped IPv6 address is an IPv6 address here, so fold it first where that is not wanted
/// (S-20, [`FlowEndpoint::folded_address`](crate::FlowEndpoint::folded_address)).
///
/// Once it is complete, a [`FrozenTable`](crate::FrozenTable) of it finds the same longest matches
/// of addresses faster.
///
/// # Complexity
///
/// With `w` the width of an address, in bits, and `k` the values on one network:
///
/// | operation | time |
/// |---|---|
/// | [`insert`](RuleTable::insert) | O(w) |
/// | [`remove`](RuleTable::remove) | O(w + k) |
/// | [`get`](RuleTable::get), [`longest_match`](RuleTable::longest_match) | O(w) |
/// | [`covering`](RuleTable::covering) | O(w) for each network found |
///
/// None depends on the number of networks stored, and no look-up allocates.
///
/// # Examples
///
/// ```
/// use flowsieve::RuleTable;
///
/// let mut table = RuleTable::new();
/// table.insert("10.0.0.0/8".parse()?, "private");
/// table.insert("10.1.0.0/16".parse()?, "office");
///
/// let (net, values) = table.longest_match("10.1.2.3".parse()?).ok_or("no match")?;
/// assert_eq!((net.to_string().as_str(), values), ("10.1.0.0/16", &["office"][..]));
/// assert_eq!(table.covering("10.1.2.3".parse()?).count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RuleTable<T> {
    v4: PrefixMap<Ipv4Net, Values<T>>,
    v6: PrefixMap<Ipv6Net, Values<T>>,
    value_count: usize,
}

/// INVARIANT: never empty once stored. Most networks carry one rule.
pub(crate) type Values<T> = SmallVec<[T; 1]>;

impl<T> RuleTable<T> {
    /// Makes an empty table.
    pub fn new() -> RuleTable<T> {
        RuleTable { v4: PrefixMap::new(), v6: PrefixMap::new(), value_count: 0 }
    }

    /// Adds `value` at the end of the list of `net`.
    pub fn insert(&mut self, net: IpNet, value: T) {
        match net.trunc() {
            IpNet::V4(net) => self.v4.entry(net).or_default().push(value),
            IpNet::V6(net) => self.v6.entry(net).or_default().push(value),
        }
        self.value_count += 1;
    }

    /// Removes the first value of `net` that equals `value` and keeps the order of the others.
    /// Returns it, or `None` and changes nothing if there is none.
    pub fn remove(&mut self, net: IpNet, value: &T) -> Option<T>
    where
        T: PartialEq,
    {
        let take = |values: &mut Values<T>| {
            let index = values.iter().position(|v| v == value)?;
            Some((values.remove(index), values.is_empty()))
        };
        let (removed, is_last) = match net.trunc() {
            IpNet::V4(net) => take(self.v4.get_mut(&net)?)?,
            IpNet::V6(net) => take(self.v6.get_mut(&net)?)?,
        };
        if is_last {
            match net.trunc() {
                IpNet::V4(net) => drop(self.v4.remove(&net)),
                IpNet::V6(net) => drop(self.v6.remove(&net)),
            }
        }
        self.value_count -= 1;
        Some(removed)
    }

    /// Returns the values of exactly `net`, in the order of their insertion; empty if it is not
    /// stored.
    pub fn get(&self, net: IpNet) -> &[T] {
        let values = match net.trunc() {
            IpNet::V4(net) => self.v4.get(&net),
            IpNet::V6(net) => self.v6.get(&net),
        };
        values.map_or(&[], |values| values.as_slice())
    }

    /// Returns the longest stored network that contains `address`, and its values.
    pub fn longest_match(&self, address: IpAddr) -> Option<(IpNet, &[T])> {
        self.longest_match_of_net(IpNet::from(address))
    }

    /// Returns the longest stored network that contains all of `net`, itself included, and its
    /// values.
    pub fn longest_match_of_net(&self, net: IpNet) -> Option<(IpNet, &[T])> {
        match net {
            IpNet::V4(net) => self.v4.get_lpm(&net).map(|(net, values)| (net.into(), &**values)),
            IpNet::V6(net) => self.v6.get_lpm(&net).map(|(net, values)| (net.into(), &**values)),
        }
    }

    /// Returns all stored networks that contain `address`, the longest first, with their values.
    pub fn covering(&self, address: IpAddr) -> Covering<'_, T> {
        self.covering_net(IpNet::from(address))
    }

    /// Returns all stored networks that contain all of `net`, itself included, the longest first,
    /// with their values.
    pub fn covering_net(&self, net: IpNet) -> Covering<'_, T> {
        Covering { table: self, next: Some(net) }
    }

    /// Returns every stored network with its values: IPv4 first, then by address, the shorter
    /// before the longer.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, &[T])> {
        let v4 = self.v4.iter().map(|(net, values)| (IpNet::from(net), values.as_slice()));
        let v6 = self.v6.iter().map(|(net, values)| (IpNet::from(net), values.as_slice()));
        v4.chain(v6)
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.value_count
    }

    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.value_count == 0
    }

    /// Returns what [`iter`](RuleTable::iter) does, with the values themselves.
    pub(crate) fn into_lists(self) -> impl Iterator<Item = (IpNet, Values<T>)> {
        let v4 = self.v4.into_iter().map(|(net, values)| (IpNet::from(net), values));
        let v6 = self.v6.into_iter().map(|(net, values)| (IpNet::from(net), values));
        v4.chain(v6)
    }

    /// Returns the memory held, in bytes on the heap, less what the values themselves hold.
    pub(crate) fn heap_bytes(&self) -> usize {
        let v4 = self.v4.mem_size() - size_of_val(&self.v4);
        let v6 = self.v6.mem_size() - size_of_val(&self.v6);
        let lists = self.v4.values().chain(self.v6.values());
        let spilled = lists.filter(|values| values.spilled()).map(|values| values.capacity());
        v4 + v6 + spilled.sum::<usize>() * size_of::<T>()
    }

    /// Returns the number of networks that have values.
    pub fn network_count(&self) -> usize {
        self.v4.len() + self.v6.len()
    }
}

impl<T> Default for RuleTable<T> {
    fn default() -> RuleTable<T> {
        RuleTable::new()
    }
}

impl<T> Extend<(IpNet, T)> for RuleTable<T> {
    fn extend<I: IntoIterator<Item = (IpNet, T)>>(&mut self, values: I) {
        values.into_iter().for_each(|(net, value)| self.insert(net, value));
    }
}

impl<T> FromIterator<(IpNet, T)> for RuleTable<T> {
    fn from_iter<I: IntoIterator<Item = (IpNet, T)>>(values: I) -> RuleTable<T> {
        let mut table = RuleTable::new();
        table.extend(values);
        table
    }
}

/// The networks that contain an address or a network; see [`RuleTable::covering`].
///
/// Looks up the longest match, then the longest match one bit shorter, and so on: the trie's own
/// walk from the root allocates.
#[derive(Clone, Debug)]
pub struct Covering<'a, T> {
    table: &'a RuleTable<T>,
    next: Option<IpNet>,
}

impl<'a, T> Iterator for Covering<'a, T> {
    type Item = (IpNet, &'a [T]);

    fn next(&mut self) -> Option<(IpNet, &'a [T])> {
        let found = self.next.and_then(|net| self.table.longest_match_of_net(net));
        self.next = found.and_then(|(net, _)| net.supernet());
        found
    }
}
