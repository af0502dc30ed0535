//! [`Columns`]: a group of flows field by field, so that one instruction does a step for all of them.

use crate::endpoint::AddressFamily;
use crate::flow::{End, Flow, FlowWords};
use crate::matcher::intervals::GROUP;
use crate::matcher::lanes::Lanes;
use crate::matcher::leaf::{COMMON_CASES, Ranked};
use crate::matcher::words::words_of;

/// A field of each flow of a group.
pub(super) type Column = [u32; GROUP];

/// A bit for each flow of a group, the lowest for the first.
pub(super) type Bits = u32;

/// One of the two ends of a flow.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    Remote,
    Local,
}

impl Which {
    /// Returns this end of a flow.
    #[inline(always)]
    fn of<'f>(self, flow: &'f Flow<'_>) -> &'f End {
        let (remote, local) = flow.ends();
        match self {
            Which::Remote => remote,
            Which::Local => local,
        }
    }
}

/// The fields of a group of flows, up to [`GROUP`]; of those that are not there, zero.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    pub(super) flows: &'a [Flow<'a>],
    /// The first 32 bits of the addresses; anything where there is none.
    pub(super) remote: Column,
    pub(super) local: Column,
    pub(super) remote_port: Column,
    pub(super) local_port: Column,
    /// The index of the case, less than [`COMMON_CASES`]; anything for other protocols than TCP and UDP.
    pub(super) case: Column,
    /// [`FlowWords::traits`].
    pub(super) traits: Column,
    /// [`FlowWords::kind_index`].
    pub(super) kind: Column,
    /// A bit for each flow of which both addresses are of a family and the first 32 bits of the local one
    /// are not zero, but for loopback flows.
    known: Bits,
    /// A bit for each flow of which both addresses are IPv4 addresses.
    v4: Bits,
    /// A bit for each flow of which the local port is known.
    local_ports: Bits,
    /// A bit for each flow of TCP or UDP.
    common: Bits,
}

impl<'a> Columns<'a> {
    /// Takes a group of flows apart.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    pub(super) fn new(lanes: impl Lanes, flows: &'a [Flow<'a>]) -> Columns<'a> {
        let words = match flows.try_into() {
            Ok(flows) => lanes.take_apart(flows),
            Err(_) => take_apart_by_turns(flows),
        };
        let mut columns = Columns {
            flows,
            remote: [0; GROUP],
            local: [0; GROUP],
            remote_port: [0; GROUP],
            local_port: [0; GROUP],
            case: [0; GROUP],
            traits: [0; GROUP],
            kind: [0; GROUP],
            known: 0,
            v4: 0,
            local_ports: 0,
            common: 0,
        };
        let (mut known, mut v4, mut common) = ([0; GROUP], [0; GROUP], [0; GROUP]);
        for lane in 0..GROUP {
            let [a, b, c, d, e, f, g, h] = &words;
            let words = [a[lane], b[lane], c[lane], d[lane], e[lane], f[lane], g[lane], h[lane]];
            let words = FlowWords::of_array(words);
            columns.remote[lane] = words.remote();
            columns.local[lane] = words.local();
            columns.remote_port[lane] = words.remote_port();
            columns.local_port[lane] = words.local_port();
            columns.case[lane] = words.case().min(COMMON_CASES as u32 - 1);
            columns.traits[lane] = words.traits();
            columns.kind[lane] = words.kind_index();
            let is_of_one_family = words.is_v4() | words.is_v6();
            known[lane] = u32::from(is_of_one_family & (words.local() != 0) & !words.is_loopback());
            v4[lane] = u32::from(words.is_v4());
            common[lane] = u32::from(words.case() < COMMON_CASES as u32);
        }
        columns.known = lanes.nonzero(&known);
        columns.v4 = lanes.nonzero(&v4);
        columns.local_ports = lanes.nonzero(&columns.local_port);
        columns.common = lanes.nonzero(&common);
        columns
    }

    /// Returns the first 32 bits of the addresses of one end; anything where there is none.
    #[inline(always)]
    pub(super) fn firsts(&self, which: Which) -> &Column {
        match which {
            Which::Remote => &self.remote,
            Which::Local => &self.local,
        }
    }

    /// Returns the words of the addresses of one end, one of an IPv4 address and four of an IPv6 address, from
    /// the high to the low one; of the other family, anything.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    pub(super) fn words<const W: usize>(&self, which: Which) -> [Column; W] {
        let mut columns = [*self.firsts(which); W];
        if W > 1 {
            for (lane, flow) in self.flows.iter().enumerate().take(GROUP) {
                for (column, word) in columns.iter_mut().zip(words_of::<W>(which.of(flow))) {
                    column[lane] = word;
                }
            }
        }
        columns
    }

    /// Returns the halves of the address of one end of a flow, right-aligned; zero where there is none.
    #[inline(always)]
    pub(super) fn halves(&self, which: Which, lane: usize) -> (u64, u64) {
        self.flows.get(lane).map_or((0, 0), |flow| which.of(flow).folded_bits())
    }

    /// Returns a bit for each flow that is no loopback flow, of which both addresses are of this family and
    /// known; of IPv6, most of those. Of the others the columns do not say enough.
    #[inline(always)]
    pub(super) fn known(&self, family: AddressFamily) -> Bits {
        match family {
            AddressFamily::V4 => self.known & self.v4,
            AddressFamily::V6 => self.known & !self.v4,
        }
    }

    /// Returns the flows that have a bit, each with its lane.
    #[inline(always)]
    pub(super) fn those_of(&self, bits: Bits) -> impl Iterator<Item = (usize, &'a Flow<'a>)> {
        let flows = self.flows;
        lanes_of(bits).filter_map(move |lane| Some((lane, flows.get(lane)?)))
    }

    /// Returns a bit for each flow of which the local port is known.
    #[inline(always)]
    pub(super) fn local_ports(&self) -> Bits {
        self.local_ports
    }

    /// Returns a bit for each known flow of TCP or UDP with a local port.
    #[inline(always)]
    pub(super) fn usual(&self, family: AddressFamily) -> Bits {
        self.known(family) & self.local_ports & self.common
    }
}

/// The numbers of some flows of a group, or of what there is of each, in ascending order. They are picked without a
/// branch on each, which no machine could foresee.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picked {
    numbers: [u8; GROUP],
    /// INVARIANT: at most [`GROUP`].
    count: usize,
}

impl Picked {
    #[inline(always)]
    pub(super) fn new() -> Picked {
        Picked { numbers: [0; GROUP], count: 0 }
    }

    /// Picks a number if it is meant; at most [`GROUP`] may be.
    #[inline(always)]
    pub(super) fn push(&mut self, number: usize, is_meant: bool) {
        if let Some(place) = self.numbers.get_mut(self.count) {
            *place = number as u8;
        }
        self.count += usize::from(is_meant);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[inline(always)]
    pub(super) fn numbers(&self) -> impl Iterator<Item = usize> + use<> {
        self.numbers.into_iter().take(self.count).map(usize::from)
    }
}

/// Does what [`Lanes::take_apart`] does, one flow after the other.
#[inline(always)]
pub(super) fn take_apart_by_turns(flows: &[Flow<'_>]) -> [Column; FlowWords::COUNT] {
    let mut columns = [[0; GROUP]; FlowWords::COUNT];
    for (lane, flow) in flows.iter().take(GROUP).enumerate() {
        for (column, word) in columns.iter_mut().zip(flow.words().to_array()) {
            if let Some(place) = column.get_mut(lane) {
                *place = word;
            }
        }
    }
    columns
}

/// Puts the lesser of two ranks in place of the first, for each flow.
#[inline(always)]
pub(super) fn lower(best: &mut [Ranked; GROUP], found: &Column) {
    for (best, found) in best.iter_mut().zip(found) {
        *best = (*best).min(Ranked::of_bits(*found));
    }
}

/// Returns the numbers of the bits that are set, ascending.
#[inline(always)]
pub(super) fn lanes_of(mut bits: Bits) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        lane
    })
}
