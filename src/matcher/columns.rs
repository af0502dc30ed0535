//! [`Columns`]: a group of flows field by field, so that one instruction does a step for all of them.

use crate::endpoint::AddressFamily;
use crate::flow::Flow;
use crate::matcher::intervals::GROUP;
use crate::matcher::leaf::{COMMON_CASES, Case, Ranked};

/// A field of each flow of a group.
pub(super) type Column = [u32; GROUP];

/// The fields of a group of flows.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    pub(super) flows: &'a [Flow<'a>; GROUP],
    /// The IPv4 addresses; anything where there is none.
    pub(super) remote: Column,
    pub(super) local: Column,
    pub(super) remote_port: Column,
    pub(super) local_port: Column,
    /// The index of the case, less than [`COMMON_CASES`].
    pub(super) case: Column,
    /// A bit for each flow of TCP or UDP that is no loopback flow, and of which both addresses are
    /// IPv4 addresses and the local end is known. Of the others the columns do not say enough.
    pub(super) usual: u32,
}

impl<'a> Columns<'a> {
    /// Takes a whole group of flows apart; none for fewer flows.
    #[inline(always)]
    pub(super) fn new(flows: &'a [Flow<'a>]) -> Option<Columns<'a>> {
        let flows: &[Flow<'_>; GROUP] = flows.try_into().ok()?;
        let mut columns = Columns {
            flows,
            remote: [0; GROUP],
            local: [0; GROUP],
            remote_port: [0; GROUP],
            local_port: [0; GROUP],
            case: [0; GROUP],
            usual: 0,
        };
        let Columns { remote, local, remote_port, local_port, case, usual, .. } = &mut columns;
        let addresses = remote.iter_mut().zip(local);
        let ports = remote_port.iter_mut().zip(local_port);
        for (lane, ((flow, case), ((remote, local), (remote_port, local_port)))) in
            flows.iter().zip(case).zip(addresses.zip(ports)).enumerate()
        {
            let (remote_end, local_end) = flow.ends();
            let of_flow = Case::of(flow);
            (*remote, *local) =
                (remote_end.folded_bits().1 as u32, local_end.folded_bits().1 as u32);
            (*remote_port, *local_port) = (remote_end.port().into(), local_end.port().into());
            let v4 = Some(AddressFamily::V4);
            let is_usual = (remote_end.folded_family() == v4)
                & (local_end.folded_family() == v4)
                & (*local != 0)
                & (*local_port != 0)
                & !flow.is_loopback()
                & !of_flow.is_uncommon();
            *case = (of_flow.index() % COMMON_CASES) as u32;
            *usual |= u32::from(is_usual) << lane;
        }
        Some(columns)
    }
}

/// Puts the lesser of two ranks in place of the first, for each flow.
#[inline(always)]
pub(super) fn lower(best: &mut [Ranked; GROUP], found: &Column) {
    for (best, found) in best.iter_mut().zip(found) {
        *best = (*best).min(Ranked::of_bits(*found));
    }
}

/// Returns a bit for each lane that is not 0.
#[inline(always)]
pub(super) fn mask(column: &Column) -> u32 {
    let mut bits = 0;
    for (lane, value) in column.iter().enumerate() {
        bits |= u32::from(*value != 0) << lane;
    }
    bits
}

/// Returns the numbers of the bits that are set, ascending.
#[inline(always)]
pub(super) fn lanes_of(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        lane
    })
}
