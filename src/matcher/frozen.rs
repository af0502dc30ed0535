//! [`FrozenTable`]: a [`RuleTable`] compiled for look-ups of bare addresses.

mod index;

use crate::error::{Error, ErrorKind};
use crate::matcher::Vectors;
use crate::matcher::frozen::index::{NO_NETWORK, V4Index, V6Index};
use crate::matcher::intervals::bounds;
use crate::matcher::lanes::{Job, Lanes, Machine, prefetch};
use crate::matcher::leaf::Ranked;
use crate::matcher::memory;
use crate::table::RuleTable;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::IpAddr;

/// The immutable, compiled form of a [`RuleTable`], for the longest match of bare addresses.
///
/// It gives the answers of [`RuleTable::longest_match`], faster, and may be used from any number of
/// threads at once. Looking up neither allocates nor panics. To change it, change the table and
/// compile it again. Addresses are looked up as they are: an IPv4-mapped IPv6 address is an IPv6
/// address here.
///
/// # Complexity
///
/// A look-up takes a number of steps that does not depend on the number of networks, each of them
/// one or two cache lines: two for IPv4, three where longer networks than /24 lie among many; for
/// IPv6 two for networks up to /32, three up to /48, four up to /64 and five for longer ones. Two
/// kinds of places take another line: a /16 that networks of which some are longer than /24 cut into
/// more than 1,024 intervals, and a /64 of IPv6 that longer networks cut into more than 64, and one
/// more for each eight times as many. What was found costs one more cache line for the values, one for
/// the network if it is used, and one where networks have several values each.
///
/// # Examples
///
/// ```
/// use flowsieve::{FrozenTable, RuleTable};
///
/// let mut table = RuleTable::new();
/// table.insert("10.0.0.0/8".parse()?, "private");
/// table.insert("10.1.0.0/16".parse()?, "office");
/// let table = FrozenTable::new(table)?;
///
/// let (net, values) = table.longest_match("10.1.2.3".parse()?).ok_or("no match")?;
/// assert_eq!((net.to_string().as_str(), values), ("10.1.0.0/16", &["office"][..]));
/// assert_eq!(table.longest_match("192.0.2.1".parse()?), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FrozenTable<T> {
    v4: V4Index,
    v6: V6Index,
    /// The networks, by number: the wide ones of IPv4 in order, the others of IPv4 in order, those
    /// of IPv6 in order.
    nets_v4: Vec<Ipv4Net>,
    nets_v6: Vec<Ipv6Net>,
    wide_count: usize,
    /// The values of all networks, in the order of their numbers.
    values: Vec<T>,
    /// Where the values of each network begin, and where the last ones end; empty if each network
    /// has one value.
    starts: Vec<u32>,
    machine: Machine,
}

impl<T> FrozenTable<T> {
    /// The most values that a table takes: 268,435,455, as many as a matcher takes rules.
    pub const MAX_VALUES: usize = Ranked::MAX_RULES;

    /// Compiles `table`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooManyRules`] for more than [`MAX_VALUES`](FrozenTable::MAX_VALUES) values.
    ///
    /// # Complexity
    ///
    /// Linear in the number of values. While it goes on, it needs some 100 bytes a network more than
    /// the result.
    pub fn new(table: RuleTable<T>) -> Result<FrozenTable<T>, Error> {
        FrozenTable::with_vectors(table, Vectors::Bits512)
    }

    /// Compiles `table` for vector instructions of at most this width, for tests and measurements.
    ///
    /// # Errors
    ///
    /// As for [`new`](FrozenTable::new).
    pub fn with_vectors(table: RuleTable<T>, vectors: Vectors) -> Result<FrozenTable<T>, Error> {
        FrozenTable::up_to(FrozenTable::<T>::MAX_VALUES, table, vectors)
    }

    fn up_to(limit: usize, table: RuleTable<T>, vectors: Vectors) -> Result<FrozenTable<T>, Error> {
        let (count, network_count) = (table.len(), table.network_count());
        if count > limit {
            return Err(Error::new(ErrorKind::TooManyRules { count, limit }));
        }
        let is_wide =
            |net: IpNet| matches!(net, IpNet::V4(net) if net.prefix_len() <= V4Index::WIDE);
        let wide_count = table.iter().filter(|(net, _)| is_wide(*net)).count();
        let (mut next_wide, mut next_other) = (0, wide_count as u32);
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        let (mut wide, mut others) = (Vec::new(), Vec::new());
        for (net, list) in table.into_lists() {
            let (next, lists) = match is_wide(net) {
                true => (&mut next_wide, &mut wide),
                false => (&mut next_other, &mut others),
            };
            let (first, last) = bounds(net);
            let networks = if net.addr().is_ipv4() { &mut v4 } else { &mut v6 };
            networks.push((first, last, *next));
            lists.push((net, list));
            *next += 1;
        }
        let (v4, v6) = (V4Index::new(&v4, wide_count as u32), V6Index::new(&v6));
        let (mut nets_v4, mut nets_v6) = (Vec::new(), Vec::new());
        let mut values = Vec::with_capacity(count);
        let mut starts = Vec::new();
        for (net, list) in wide.into_iter().chain(others) {
            match net {
                IpNet::V4(net) => nets_v4.push(net),
                IpNet::V6(net) => nets_v6.push(net),
            }
            starts.push(values.len() as u32);
            values.extend(list);
        }
        starts.push(values.len() as u32);
        if count == network_count {
            starts = Vec::new();
        }
        nets_v4.shrink_to_fit();
        nets_v6.shrink_to_fit();
        starts.shrink_to_fit();
        Ok(FrozenTable {
            v4,
            v6,
            nets_v4,
            nets_v6,
            wide_count,
            values,
            starts,
            machine: Machine::up_to(vectors),
        })
    }

    /// Returns the longest network that contains `address`, and its values, in the order of their
    /// insertion.
    #[inline]
    pub fn longest_match(&self, address: IpAddr) -> Option<(IpNet, &[T])> {
        // Only the number is looked up apart: what the caller does not use of the rest is left out.
        match address {
            IpAddr::V4(address) => {
                let number = self.machine.run(FindV4(self, address.to_bits())) as usize;
                let net = self.nets_v4.get(number)?;
                Some((IpNet::V4(*net), self.values(number)?))
            }
            IpAddr::V6(address) => {
                let number = self.machine.run(FindV6(&self.v6, address.to_bits()));
                if number == NO_NETWORK {
                    return None;
                }
                let net = self.nets_v6.get((number as usize).wrapping_sub(self.nets_v4.len()))?;
                Some((IpNet::V6(*net), self.values(number as usize)?))
            }
        }
    }

    /// Returns the values of a network, given by its number.
    #[inline]
    fn values(&self, number: usize) -> Option<&[T]> {
        if self.starts.is_empty() {
            return self.values.get(number).map(std::slice::from_ref);
        }
        let (start, end) = (self.starts.get(number)?, self.starts.get(number + 1)?);
        self.values.get(*start as usize..*end as usize)
    }

    /// Returns every network with its values: IPv4 first, then by address, the shorter before the
    /// longer.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, &[T])> {
        let (wide, others) = self.nets_v4.split_at_checked(self.wide_count).unwrap_or_default();
        let mut wide = wide.iter().zip(0..).peekable();
        let mut others = others.iter().zip(self.wide_count..).peekable();
        let v4 = std::iter::from_fn(move || match (wide.peek(), others.peek()) {
            (Some((wide_net, _)), Some((net, _))) if net < wide_net => others.next(),
            (Some(_), _) => wide.next(),
            (None, _) => others.next(),
        });
        let v4 = v4.map(|(net, number)| (IpNet::V4(*net), number));
        let v6 = self.nets_v6.iter().zip(self.nets_v4.len()..);
        let nets = v4.chain(v6.map(|(net, number)| (IpNet::V6(*net), number)));
        nets.filter_map(|(net, number)| Some((net, self.values(number)?)))
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the number of networks.
    pub fn network_count(&self) -> usize {
        self.nets_v4.len() + self.nets_v6.len()
    }

    /// Returns the width of the vector instructions that it looks up with.
    pub fn vectors(&self) -> Vectors {
        self.machine.vectors()
    }

    /// Returns the memory that the table holds, in bytes, itself included, less what the values
    /// themselves hold: what was allocated for it, without what the allocator adds.
    pub fn size_bytes(&self) -> usize {
        size_of::<FrozenTable<T>>()
            + self.v4.size_bytes()
            + self.v6.size_bytes()
            + memory::of_vec(&self.nets_v4)
            + memory::of_vec(&self.nets_v6)
            + memory::of_vec(&self.values)
            + memory::of_vec(&self.starts)
    }
}

struct FindV4<'a, T>(&'a FrozenTable<T>, u32);

impl<T> Job for FindV4<'_, T> {
    type Output = u32;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> u32 {
        let FindV4(table, address) = self;
        table.v4.get(lanes, address, |number| {
            // PERF: longest-match-dependent, most of all of what is not in the caches.
            match table.starts.is_empty() {
                true => prefetch(table.values.get(number)),
                false => prefetch(table.starts.get(number)),
            }
        })
    }
}

struct FindV6<'a>(&'a V6Index, u128);

impl Job for FindV6<'_> {
    type Output = u32;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> u32 {
        self.0.get(lanes, (self.1 >> 64) as u64, self.1 as u64)
    }
}

#[cfg(test)]
mod tests;
