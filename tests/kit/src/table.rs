//! Operations on a [`RuleTable`], against a sorted list; and its [`FrozenTable`].

use crate::specs::{NetSpec, several};
use arbitrary::Unstructured;
use flowsieve::{FrozenTable, RuleTable, Vectors};
use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::any;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most operations on one table.
pub const MAX_OPERATIONS: usize = 40;

/// Operations, in order.
#[derive(Clone, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub struct Operations {
    /// At most [`MAX_OPERATIONS`].
    #[proptest(strategy = "vec(any::<Operation>(), 1..=MAX_OPERATIONS)")]
    #[arbitrary(with = |u: &mut Unstructured<'_>| several(u, 1..=MAX_OPERATIONS))]
    pub operations: Vec<Operation>,
}

/// An operation on a table.
#[derive(Clone, Copy, Debug, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum Operation {
    /// [`RuleTable::insert`].
    #[proptest(weight = 3)]
    Insert(NetSpec, Value),
    /// [`RuleTable::remove`] of what may be there or not.
    Remove(NetSpec, Value),
    /// [`RuleTable::remove`] of the first value of a network that is there.
    RemoveStored(u8),
    /// All look-ups of a network and of its address.
    LookUp(NetSpec),
    /// [`Clone`], [`FromIterator`] and [`Extend`] of all that is there.
    Rebuild,
}

/// A value: few, so that they are equal often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, proptest_derive::Arbitrary, arbitrary::Arbitrary)]
pub enum Value {
    /// One.
    A,
    /// Another.
    B,
}

/// Checks that a [`RuleTable`] on which `operations` are done answers as a list does, and its
/// [`FrozenTable`] as it does.
///
/// # Panics
///
/// If it does not; the message has the operations and both answers.
pub fn check_operations(operations: &Operations) {
    let mut table = RuleTable::new();
    let mut model = Model::default();
    let operations = &operations.operations;
    for (step, operation) in operations.iter().enumerate() {
        let done = || format!("table, list after {:?}", &operations[..=step]);
        match *operation {
            Operation::Insert(net, value) => {
                table.insert(net.net(), value);
                model.insert(net.net(), value);
            }
            Operation::Remove(net, value) => {
                let (removed, expected) =
                    (table.remove(net.net(), &value), model.remove(net.net(), value));
                assert_eq!(removed, expected, "{}", done());
            }
            Operation::RemoveStored(index) => {
                let Some(stored) = usize::from(index).checked_rem(model.0.len()) else { continue };
                let (net, value) = (model.0[stored].0, model.0[stored].1[0]);
                let (removed, expected) = (table.remove(net, &value), model.remove(net, value));
                assert_eq!(removed, expected, "{}", done());
            }
            Operation::LookUp(net) => look_up(&table, &model, net.net(), &done),
            Operation::Rebuild => {
                let all = || table.iter().flat_map(|(net, all)| all.iter().map(move |v| (net, *v)));
                let mut rebuilt: RuleTable<Value> = all().collect();
                assert!(rebuilt.iter().eq(table.iter()), "{}", done());
                rebuilt = RuleTable::default();
                rebuilt.extend(all());
                assert!(rebuilt.iter().eq(table.iter()), "{}", done());
                table = rebuilt.clone();
            }
        }
        let iter: Vec<(IpNet, &[Value])> = table.iter().collect();
        assert_eq!(iter, model.iter().collect::<Vec<_>>(), "{}", done());
        let len = model.0.iter().map(|(_, values)| values.len()).sum::<usize>();
        assert_eq!(table.len(), len, "{}", done());
        assert_eq!(table.is_empty(), len == 0, "{}", done());
        assert_eq!(table.network_count(), model.0.len(), "{}", done());
    }
}

fn look_up(table: &RuleTable<Value>, model: &Model, net: IpNet, done: &dyn Fn() -> String) {
    let exact = model.iter().find(|(stored, _)| *stored == net.trunc());
    assert_eq!(table.get(net), exact.map_or(&[][..], |(_, values)| values), "{}", done());
    let covering = model.covering(net);
    assert_eq!(table.covering_net(net).collect::<Vec<_>>(), covering, "{}", done());
    let longest = covering.first().copied();
    assert_eq!(table.longest_match_of_net(net), longest, "{}", done());

    let address = net.addr();
    let covering = model.covering(address.into());
    assert_eq!(table.covering(address).collect::<Vec<_>>(), covering, "{}", done());
    assert_eq!(table.longest_match(address), covering.first().copied(), "{}", done());

    for vectors in Vectors::ALL {
        let frozen = FrozenTable::with_vectors(table.clone(), vectors).expect("few values");
        assert!(frozen.iter().eq(table.iter()), "{}", done());
        for address in around(net) {
            let (found, expected) = (frozen.longest_match(address), table.longest_match(address));
            assert_eq!(found, expected, "{address} by {vectors:?}, {}", done());
        }
    }
}

/// The address of a network, its first and its last, the one before and the one after.
fn around(net: IpNet) -> Vec<IpAddr> {
    let (first, last) = (net.network(), net.broadcast());
    let beyond = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => [
            Ipv4Addr::from_bits(first.to_bits().wrapping_sub(1)).into(),
            Ipv4Addr::from_bits(last.to_bits().wrapping_add(1)).into(),
        ],
        (IpAddr::V6(first), IpAddr::V6(last)) => [
            Ipv6Addr::from_bits(first.to_bits().wrapping_sub(1)).into(),
            Ipv6Addr::from_bits(last.to_bits().wrapping_add(1)).into(),
        ],
        // A network is of one family.
        _ => [first, last],
    };
    [&[net.addr(), first, last], &beyond[..]].concat()
}

/// The list: networks in order, each with its values, of which there is at least one.
#[derive(Default)]
struct Model(Vec<(IpNet, Vec<Value>)>);

impl Model {
    fn insert(&mut self, net: IpNet, value: Value) {
        match self.0.iter_mut().find(|(stored, _)| *stored == net.trunc()) {
            Some((_, values)) => values.push(value),
            None => self.0.push((net.trunc(), vec![value])),
        }
        self.0.sort_by_key(|(net, _)| (net.addr().is_ipv6(), net.addr(), net.prefix_len()));
    }

    fn remove(&mut self, net: IpNet, value: Value) -> Option<Value> {
        let (_, values) = self.0.iter_mut().find(|(stored, _)| *stored == net.trunc())?;
        let index = values.iter().position(|stored| *stored == value)?;
        let removed = values.remove(index);
        self.0.retain(|(_, values)| !values.is_empty());
        Some(removed)
    }

    fn iter(&self) -> impl Iterator<Item = (IpNet, &[Value])> {
        self.0.iter().map(|(net, values)| (*net, values.as_slice()))
    }

    /// The longest first. Containment is told by the bits, not by [`IpNet::contains`].
    fn covering(&self, net: IpNet) -> Vec<(IpNet, &[Value])> {
        let covers = |outer: IpNet| match (outer, net) {
            (IpNet::V4(outer), IpNet::V4(net)) => {
                let differ = u32::from(outer.addr()) ^ u32::from(net.addr());
                outer.prefix_len() <= net.prefix_len()
                    && differ.leading_zeros() >= outer.prefix_len().into()
            }
            (IpNet::V6(outer), IpNet::V6(net)) => {
                let differ = u128::from(outer.addr()) ^ u128::from(net.addr());
                outer.prefix_len() <= net.prefix_len()
                    && differ.leading_zeros() >= outer.prefix_len().into()
            }
            _ => false,
        };
        let mut covering: Vec<_> = self.iter().filter(|(outer, _)| covers(*outer)).collect();
        covering.sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        covering
    }
}
