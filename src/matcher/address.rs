//! From a remote address to the lists of the networks that contain it.

use crate::matcher::Strategy;
use crate::matcher::classes::Classes;
use crate::matcher::leaf::Ranked;
use crate::matcher::lists::{Entry, List, Lists, Outcome, Query};
use crate::matcher::memory;
use crate::table::RuleTable;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The networks of all rules that have a remote address, each with its rules.
#[derive(Debug)]
pub(super) struct AddressIndex {
    /// In ascending order, those that contain a network before it.
    classes: Vec<Class>,
    /// From a network to its class, for [`Strategy::Trie`]; else empty.
    table: RuleTable<u32>,
    strategy: Strategy,
}

/// One distinct network.
#[derive(Debug)]
struct Class {
    net: IpNet,
    list: List,
    /// The next shorter network that contains this one.
    parent: Option<u32>,
    /// The lowest rank in this class and all networks that contain it: a walk from the longest
    /// network to the shortest can end where this is no better than what was found.
    first: Ranked,
}

impl AddressIndex {
    /// Makes the index; the entries of each network are in ascending rank.
    pub(super) fn new(
        networks: BTreeMap<IpNet, Vec<Entry>>,
        lists: &mut Lists,
        strategy: Strategy,
    ) -> AddressIndex {
        let mut classes: Vec<Class> = Vec::with_capacity(networks.len());
        let mut table = RuleTable::new();
        let parents = Classes::new(networks.keys().copied()).parents;
        for ((net, entries), parent) in networks.into_iter().zip(parents) {
            let list = lists.add(entries);
            let own = list.first(lists);
            // Classes are numbered from 1.
            let parent = parent.checked_sub(1);
            let above =
                parent.and_then(|id| classes.get(id as usize)).map_or(Ranked::NONE, |c| c.first);
            if strategy == Strategy::Trie {
                table.insert(net, classes.len() as u32);
            }
            classes.push(Class { net, list, parent, first: own.min(above) });
        }
        AddressIndex { classes, table, strategy }
    }

    /// Goes through the lists of the networks that contain the flow's remote address.
    pub(super) fn visit(&self, query: &Query<'_>, outcome: &mut Outcome) {
        let (remote, _) = query.flow.ends();
        let Some(address) = remote.folded_address() else { return };
        match self.strategy {
            Strategy::Scan => self.visit_by_scan(address, query, outcome),
            Strategy::Trie => {
                let longest = self.table.longest_match(address);
                let longest = longest.and_then(|(_, ids)| ids.first().copied());
                self.visit_from(longest, query, outcome);
            }
            Strategy::Intervals | Strategy::ExactMatch | Strategy::Blocks | Strategy::Buckets => {
                self.visit_from(self.longest_match(address), query, outcome);
            }
        }
    }

    /// Returns the class of the longest network that contains an address, found by halving.
    fn longest_match(&self, address: IpAddr) -> Option<u32> {
        let host = IpNet::from(address);
        // If any network contains it, then the last that is not after it, or one around that.
        let mut next = self.classes.partition_point(|class| class.net <= host).checked_sub(1);
        while let Some(class) = next.and_then(|id| self.classes.get(id)) {
            if class.net.contains(&address) {
                break;
            }
            next = class.parent.map(|id| id as usize);
        }
        next.map(|id| id as u32)
    }

    /// Returns the memory held, in bytes on the heap, less what is in [`Lists`].
    pub(super) fn size_bytes(&self) -> usize {
        let lists = self.classes.iter().map(|class| class.list.size_bytes());
        memory::of_vec(&self.classes) + lists.sum::<usize>() + self.table.heap_bytes()
    }

    fn visit_by_scan(&self, address: IpAddr, query: &Query<'_>, outcome: &mut Outcome) {
        for class in self.classes.iter().filter(|class| class.net.contains(&address)) {
            query.scan(&class.list, outcome);
        }
    }

    /// Goes through the lists of a class and of the networks around it.
    fn visit_from(&self, longest: Option<u32>, query: &Query<'_>, outcome: &mut Outcome) {
        let mut next = longest.and_then(|id| self.classes.get(id as usize));
        while let Some(class) = next.filter(|class| class.first < outcome.best) {
            query.scan(&class.list, outcome);
            next = class.parent.and_then(|id| self.classes.get(id as usize));
        }
    }
}
