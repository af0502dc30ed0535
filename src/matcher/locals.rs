//! [`LocalPorts`]: the rules that ask for nothing but a local port, protocol and direction.

use crate::endpoint::AddressFamily;
use crate::matcher::columns::Columns;
use crate::matcher::intervals::GROUP;
use crate::matcher::lanes::{Lanes, Scalar};
use crate::matcher::leaf::{COMMON_CASES, Case, Leaf, Ranked};
use crate::matcher::lists::{FirstPending, Outcome, Query};
use crate::matcher::plain::Anyone;
use crate::matcher::ports::PortTable;
use crate::network::Network;
use crate::rule::NetworkRule;

/// The rules whose local side is a wildcard and whose remote side is nil or a wildcard of any port.
#[derive(Debug)]
pub(super) struct LocalPorts {
    v4: Family,
    v6: Family,
}

#[derive(Debug)]
struct Family {
    by_port: PortTable,
    /// What is pending while the local port is not known: the rules for some ports.
    unbound: [FirstPending; COMMON_CASES],
}

impl LocalPorts {
    /// Returns the family and the leaf, of local ports, of a rule that belongs here.
    ///
    /// A rule with remote wildcard of one family and local wildcard of the other never matches a
    /// flow that [`offer`](LocalPorts::offer) takes, and does not belong here.
    pub(super) fn rule(
        ranked: Ranked,
        anyone: Anyone,
        rule: &NetworkRule,
    ) -> Option<(AddressFamily, Leaf)> {
        let Network::Wildcard { family, ports, .. } = *rule.local() else { return None };
        let leaf = Leaf::new(ranked, ports, rule.match_protocol(), rule.match_direction());
        let belongs =
            anyone.holds(Some(family)) && rule.remote().ports().is_any() && !leaf.is_number();
        belongs.then_some((family, leaf))
    }

    pub(super) fn new(rules: &[(AddressFamily, Leaf)]) -> LocalPorts {
        let family = |family| {
            let leaves = rules.iter().filter(|(own, _)| *own == family).map(|(_, leaf)| *leaf);
            Family::new(&leaves.collect::<Vec<_>>())
        };
        LocalPorts { v4: family(AddressFamily::V4), v6: family(AddressFamily::V6) }
    }

    /// Returns the first rule that matches a flow that is not a loopback flow and whose addresses
    /// are both of `family`.
    #[inline(always)]
    pub(super) fn find(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        case: Case,
        local_port: u16,
    ) -> Ranked {
        self.of_family(family).by_port.get(lanes, local_port, case)
    }

    /// Puts the first rule in place of those that it goes before, for each of a group of flows of a
    /// family as [`find`](LocalPorts::find) takes them.
    #[inline(always)]
    pub(super) fn lower(
        &self,
        lanes: impl Lanes,
        family: AddressFamily,
        columns: &Columns<'_>,
        best: &mut [Ranked; GROUP],
    ) {
        self.of_family(family).by_port.lower(lanes, &columns.local_port, &columns.case, best);
    }

    /// Offers the first rule that matches, adds what is pending, and returns true; false for a
    /// flow whose two addresses are not of one family, as of which nothing is said.
    pub(super) fn offer(&self, query: &Query<'_>, outcome: &mut Outcome) -> bool {
        let (remote, local) = query.flow.ends();
        let family = remote.folded_family();
        let Some(family) = family.filter(|family| local.folded_family() == Some(*family)) else {
            return false;
        };
        let rules = self.of_family(family);
        if !query.is_loopback {
            outcome.offer(rules.by_port.get(Scalar, local.port(), query.case), false);
            if let Some(pending) = rules.unbound.get(query.case.index())
                && local.port() == 0
            {
                outcome.pending.merge(pending);
            }
        }
        true
    }

    #[inline(always)]
    fn of_family(&self, family: AddressFamily) -> &Family {
        match family {
            AddressFamily::V4 => &self.v4,
            AddressFamily::V6 => &self.v6,
        }
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        self.v4.by_port.size_bytes() + self.v6.by_port.size_bytes()
    }
}

impl Family {
    fn new(leaves: &[Leaf]) -> Family {
        let mut unbound = [FirstPending::default(); COMMON_CASES];
        for leaf in leaves.iter().filter(|leaf| !leaf.is_any_port()) {
            for (case, pending) in unbound.iter_mut().enumerate() {
                if leaf.cases >> case & 1 != 0 {
                    pending.add(leaf.ranked);
                }
            }
        }
        Family { by_port: PortTable::for_every_flow(leaves), unbound }
    }
}
