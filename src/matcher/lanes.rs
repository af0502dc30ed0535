//! [`Lanes`]: comparing many numbers at once, by whatever the machine has for it.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector instructions, which pay in the benchmarks")]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector instructions, which pay in the benchmarks")]
mod avx512;
#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code, reason = "vector instructions, which pay in the benchmarks")]
mod neon;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector instructions, which pay in the benchmarks")]
mod sse2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector instructions, which pay in the benchmarks")]
mod x86;

use crate::decision::Decision;
use crate::flow::{Flow, FlowWords};
use crate::matcher::columns::{Bits, Column, take_apart_by_turns};
use crate::matcher::intervals::GROUP;
use crate::matcher::leaf::Ranked;
use crate::matcher::rows::{Chunk, RowQuery};
use crate::matcher::scan::{self, Block};
use crate::matcher::{Decide, Vectors};

/// The instructions that a look-up is compiled for. A value of an implementing type is the proof
/// that the machine has them.
pub(super) trait Lanes: Copy {
    /// The number of bits for each rule that [`match_row`](Lanes::match_row) returns.
    const ROW_BITS: u32 = 1;

    /// Whether a step for a whole group takes less time than one for each of the lanes that need it, which no
    /// machine could foresee.
    const STEPS_TOGETHER: bool = false;

    /// Does a job apart, in a function of its own: what few flows need does not make the code larger that all
    /// flows go through, and what a group of flows needs in several places is there once.
    fn call<J: Job>(self, job: J) -> J::Output;
    /// Returns the first lane that holds `x` or more; anything if there is none.
    fn first_at_least_u16(self, lanes: &[u16; 32], x: u16) -> usize;
    /// The same.
    fn first_at_least_u32(self, lanes: &[u32; 16], x: u32) -> usize;
    /// The same.
    fn first_at_least_u64(self, lanes: &[u64; 8], x: u64) -> usize;

    /// Returns the [words](Flow::words) of a group of flows, field by field.
    #[inline(always)]
    fn take_apart(self, flows: &[Flow<'_>; GROUP]) -> [[u32; GROUP]; FlowWords::COUNT] {
        take_apart_by_turns(flows)
    }

    /// Returns the words of the values at these places, field by field; anything for a place where
    /// there is none.
    #[inline(always)]
    fn gather<T: Packed<N>, const N: usize>(
        self,
        values: &[T],
        places: &[u32; GROUP],
    ) -> [[u32; GROUP]; N] {
        gather_by_turns(values, places)
    }

    /// Returns a bit for each lane that is not 0.
    // PERF: by the machine's own instructions. Where a compiler is left to find them, it takes several
    // columns together, by turns, at a tenth of a batch; decide-batch/ipv4-100.
    #[inline(always)]
    fn nonzero(self, column: &Column) -> Bits {
        column.iter().rev().fold(0, |bits, word| bits << 1 | Bits::from(*word != 0))
    }

    /// Returns, for each lane, the word of the first column where that of `of` has one of `bits`, else that
    /// of the second.
    // PERF: as for `nonzero`; decide-batch/zones-1k.
    #[inline(always)]
    fn choose(self, of: &Column, bits: u32, first: &Column, second: &Column) -> Column {
        choose_by_turns(of, bits, first, second)
    }

    /// Does what [`Block::compare_remote`] does.
    fn compare_remote<const W: usize>(self, block: &Block<W>, flow: &Flow<'_>) -> u32;

    /// Does what [`Block::compare`] does.
    #[inline(always)]
    fn compare<const W: usize>(self, block: &Block<W>, flow: &Flow<'_>) -> u32 {
        block.compare(flow)
    }

    /// Returns the first rule of a block and others that matches a flow whose local end is known. Goes through all of
    /// them, without a branch on what matches, which no machine could foresee.
    #[inline(always)]
    fn find_in_blocks<const W: usize, const N: usize>(
        self,
        block: &Block<W>,
        others: [&[Block<W>]; N],
        flow: &Flow<'_>,
    ) -> Ranked {
        let in_block = |block: &Block<W>| {
            if !block.asks_local {
                let bits = self.compare_remote(block, flow);
                if !block.asks_local_of(bits) {
                    return block.first(bits);
                }
            }
            block.first(self.compare(block, flow))
        };
        others.into_iter().flatten().map(in_block).fold(in_block(block), Ranked::min)
    }

    /// Does what [`Chunk::matching`] does. Of the [`ROW_BITS`](Lanes::ROW_BITS) for each rule, the
    /// lowest is set if it matches; the others are 0.
    #[inline(always)]
    fn match_row<const W: usize>(
        self,
        chunk: Chunk<'_, W>,
        query: RowQuery<'_>,
        other: &[u32; W],
    ) -> u32 {
        chunk.matching(query, other)
    }
}

/// A value of `N` numbers of 32 bits, for [`Lanes::gather`].
///
/// # Safety
///
/// In memory the value is nothing else than its [`words`](Packed::words), one after the other, on a
/// machine that stores the low byte of a number first.
#[allow(unsafe_code, reason = "vector instructions read values of any kind as words")]
pub(super) unsafe trait Packed<const N: usize>: Copy {
    /// Returns the numbers.
    fn words(self) -> [u32; N];
}

// SAFETY: one word.
#[allow(unsafe_code, reason = "read by vector instructions")]
unsafe impl Packed<1> for u32 {
    #[inline(always)]
    fn words(self) -> [u32; 1] {
        [self]
    }
}

/// Does what [`Lanes::gather`] does, one value after the other.
#[inline(always)]
fn gather_by_turns<T: Packed<N>, const N: usize>(
    values: &[T],
    places: &[u32; GROUP],
) -> [[u32; GROUP]; N] {
    let mut columns = [[0; GROUP]; N];
    for (lane, place) in places.iter().enumerate() {
        let words = values.get(*place as usize).map_or([0; N], |value| value.words());
        for (column, word) in columns.iter_mut().zip(words) {
            if let Some(lane) = column.get_mut(lane) {
                *lane = word;
            }
        }
    }
    columns
}

/// Does what [`Lanes::choose`] does, one lane after the other.
#[inline(always)]
fn choose_by_turns(of: &Column, bits: u32, first: &Column, second: &Column) -> Column {
    let mut chosen = *second;
    for ((chosen, of), first) in chosen.iter_mut().zip(of).zip(first) {
        *chosen = if of & bits != 0 { *first } else { *chosen };
    }
    chosen
}

/// Begins to load what `value` stands in into the cache.
#[inline(always)]
pub(super) fn prefetch<T>(value: Option<&T>) {
    if let Some(value) = value {
        prefetch_at(value);
    }
}

/// Begins to load what stands so many values after `value` in memory, whatever that is.
#[inline(always)]
pub(crate) fn prefetch_beyond<T>(value: &T, count: usize) {
    prefetch_at(std::ptr::from_ref(value).wrapping_add(count));
}

#[inline(always)]
#[allow(
    unsafe_code,
    reason = "a hint, which pays in the benchmarks of batches and of flows in a row"
)]
fn prefetch_at<T>(pointer: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE; the hint reads nothing that the program could see, and does nothing where there is
    // no memory.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(pointer.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the hint reads nothing that the program could see, and does nothing where there is no memory.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) pointer, options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = pointer;
}

/// Which of the implementations to use; see [`Vectors`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Machine {
    Scalar(Scalar),
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    Narrow(Narrow),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Machine {
    /// Returns the widest that the machine has, up to `limit`.
    pub(super) fn up_to(limit: Vectors) -> Machine {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = (limit >= Vectors::Bits512).then(Avx512::detect).flatten();
            let avx2 = || (limit >= Vectors::Bits256).then(Avx2::detect).flatten();
            if let Some(avx512) = avx512 {
                return Machine::Avx512(avx512);
            }
            if let Some(avx2) = avx2() {
                return Machine::Avx2(avx2);
            }
        }
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        if limit >= Vectors::Bits128 {
            return Machine::Narrow(Narrow(()));
        }
        let _ = limit;
        Machine::Scalar(Scalar)
    }

    /// Returns the number of rules up to which comparing all of them is the fastest.
    pub(super) fn few(self) -> usize {
        match self.vectors() {
            Vectors::Bits256 | Vectors::Bits512 => 48,
            _ => self.compared(),
        }
    }

    /// Returns the number of rules up to which comparing all of them is faster than an index.
    pub(super) fn compared(self) -> usize {
        match self.vectors() {
            Vectors::Scalar => 4,
            // One block takes three quarters of the instructions of the index, two take as many and more.
            Vectors::Bits128 if cfg!(target_arch = "aarch64") => scan::LANES,
            Vectors::Bits128 => 8,
            Vectors::Bits256 | Vectors::Bits512 => 80,
        }
    }

    /// Returns the number of rules up to which comparing those of a bucket is the fastest.
    // PERF: decide-dependent/ipv4-10k. At 10,000 rules a call takes two thirds as long as by the index, and the matcher
    // half as much memory again, or as much (IPv6); at 100,000 longer.
    pub(super) fn in_buckets(self) -> usize {
        match self.vectors() {
            Vectors::Scalar | Vectors::Bits128 => 0,
            Vectors::Bits256 | Vectors::Bits512 => 16_000,
        }
    }

    pub(super) fn vectors(self) -> Vectors {
        match self {
            Machine::Scalar(_) => Vectors::Scalar,
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            Machine::Narrow(_) => Vectors::Bits128,
            #[cfg(target_arch = "x86_64")]
            Machine::Avx2(_) => Vectors::Bits256,
            #[cfg(target_arch = "x86_64")]
            Machine::Avx512(_) => Vectors::Bits512,
        }
    }
}

/// What is to be done with the instructions that a machine has.
pub(super) trait Job {
    type Output;

    /// Does it. To be compiled with these instructions, it has to be `#[inline(always)]`, as has
    /// everything that it calls with `lanes`.
    fn run(self, lanes: impl Lanes) -> Self::Output;
}

impl Machine {
    #[inline(always)]
    #[cfg_attr(
        target_arch = "x86_64",
        allow(unsafe_code, reason = "functions compiled for more than the target's instructions")
    )]
    pub(super) fn run<J: Job>(self, job: J) -> J::Output {
        match self {
            Machine::Scalar(lanes) => run_apart(lanes, job),
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            Machine::Narrow(lanes) => run_apart(lanes, job),
            // SAFETY: `lanes` proves that the machine has the instructions.
            #[cfg(target_arch = "x86_64")]
            Machine::Avx2(lanes) => unsafe { avx2::run(lanes, job) },
            // SAFETY: as before.
            #[cfg(target_arch = "x86_64")]
            Machine::Avx512(lanes) => unsafe { avx512::run(lanes, job) },
        }
    }
}

/// The function that decides a flow with the instructions that a machine has. INVARIANT: the machine has
/// them.
// PERF: called by its address. To choose among the machines' functions takes a jump and a call each time;
// decide/capi-ipv4-1k.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decider(for<'a> unsafe fn(Decide<'a>) -> Decision);

/// The rules that a [`Decider`] is for.
// PERF: apart, as what decides by rules of all kinds saves most registers before it begins, and asks for each
// kind whether there are some; decide/ipv4-10, longest-match/routing-table-ipv6-uniform/matcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// So few that flows are compared with all of them.
    Few,
    /// Those in buckets.
    InBuckets,
    /// Those in buckets, beside those of any host, or host rules, or where most have a local side.
    BesideBuckets,
    /// Those of whole networks only.
    Networks,
    Any,
}

impl Decider {
    /// Returns the function for settings of some rules.
    pub(super) fn of(machine: Machine, rules: Rules) -> Decider {
        Decider(match machine {
            Machine::Scalar(_) => match rules {
                Rules::Few => |job| job.few(Scalar),
                Rules::InBuckets => |job| job.in_buckets(Scalar),
                Rules::BesideBuckets => |job| job.beside_buckets(Scalar),
                Rules::Networks => |job| job.by_network(Scalar),
                Rules::Any => |job| job.run(Scalar),
            },
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            Machine::Narrow(_) => match rules {
                Rules::Few => |job| job.few(Narrow(())),
                Rules::InBuckets => |job| job.in_buckets(Narrow(())),
                Rules::BesideBuckets => |job| job.beside_buckets(Narrow(())),
                Rules::Networks => |job| job.by_network(Narrow(())),
                Rules::Any => |job| job.run(Narrow(())),
            },
            #[cfg(target_arch = "x86_64")]
            Machine::Avx2(_) => match rules {
                Rules::Few => avx2::decide_few,
                Rules::InBuckets => avx2::decide_in_buckets,
                Rules::BesideBuckets => avx2::decide_beside_buckets,
                Rules::Networks => avx2::decide_by_network,
                Rules::Any => avx2::decide,
            },
            #[cfg(target_arch = "x86_64")]
            Machine::Avx512(_) => match rules {
                Rules::Few => avx512::decide_few,
                Rules::InBuckets => avx512::decide_in_buckets,
                Rules::BesideBuckets => avx512::decide_beside_buckets,
                Rules::Networks => avx512::decide_by_network,
                Rules::Any => avx512::decide,
            },
        })
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "functions compiled for more than the target's instructions")]
    pub(super) fn run(self, job: Decide<'_>) -> Decision {
        // SAFETY: INVARIANT of `Decider`.
        unsafe { (self.0)(job) }
    }
}

/// Does a job with the instructions that every machine of the target has.
#[inline(never)]
fn run_apart<J: Job>(lanes: impl Lanes, job: J) -> J::Output {
    job.run(lanes)
}

/// One number at a time, on every machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar;

impl Lanes for Scalar {
    #[inline(always)]
    fn call<J: Job>(self, job: J) -> J::Output {
        run_apart(self, job)
    }

    #[inline(always)]
    fn first_at_least_u16(self, lanes: &[u16; 32], x: u16) -> usize {
        lanes.iter().position(|lane| *lane >= x).unwrap_or(0)
    }

    #[inline(always)]
    fn first_at_least_u32(self, lanes: &[u32; 16], x: u32) -> usize {
        lanes.iter().position(|lane| *lane >= x).unwrap_or(0)
    }

    #[inline(always)]
    fn first_at_least_u64(self, lanes: &[u64; 8], x: u64) -> usize {
        lanes.iter().position(|lane| *lane >= x).unwrap_or(0)
    }

    #[inline(always)]
    fn compare_remote<const W: usize>(self, block: &Block<W>, flow: &Flow<'_>) -> u32 {
        block.compare_remote(flow)
    }
}

/// 128 bits at a time: SSE2, which every x86-64 has, or NEON, which every aarch64 has.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Narrow(());

/// 256 bits at a time, with the other instructions of x86-64-v3.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

/// 512 bits at a time, with the other instructions of x86-64-v4.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(());

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a failed test")]
mod tests {
    use super::*;
    use crate::endpoint::{Ports, Zone};
    use crate::flow::{Direction, IpProtocol};
    use crate::matcher::leaf::{Leaf, Ranked};
    use crate::matcher::scan::Scan;
    use crate::matcher::sided::SidedRule;
    use crate::rule::{Action, Protocol};
    use ipnet::IpNet;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    fn check(lanes: impl Lanes) {
        for first in 0..32usize {
            for x in [0, 1, 2, 0x7fff, 0x8000, 0x8001, u16::MAX - 1, u16::MAX] {
                // What stands after the first is of no account.
                let after = |lane: usize| (lane as u16).wrapping_mul(0x2f51);
                let below = x.saturating_sub(1);
                let lane = |lane: usize| match lane.cmp(&first) {
                    std::cmp::Ordering::Less => below,
                    std::cmp::Ordering::Equal => x,
                    std::cmp::Ordering::Greater => after(lane),
                };
                let expected = if x == 0 { 0 } else { first };
                let words: [u16; 32] = std::array::from_fn(lane);
                assert_eq!(lanes.first_at_least_u16(&words, x), expected, "{x}");
                let spread = |value: u16| u32::from(value) << 16 | u32::from(value);
                let words: [u32; 16] = std::array::from_fn(|i| spread(lane(i)));
                if first < 16 {
                    assert_eq!(lanes.first_at_least_u32(&words, spread(x)), expected, "{x}");
                }
                let spread = |value: u16| u64::from(spread(value)) << 32 | u64::from(value);
                let words: [u64; 8] = std::array::from_fn(|i| spread(lane(i)));
                if first < 8 {
                    assert_eq!(lanes.first_at_least_u64(&words, spread(x)), expected, "{x}");
                }
            }
        }
    }

    struct Check;

    impl Job for Check {
        type Output = ();

        fn run(self, lanes: impl Lanes) {
            check(lanes);
            check_gather(lanes);
            check_take_apart(lanes);
            check_nonzero(lanes);
            check_buckets::<1>(lanes);
            check_buckets::<4>(lanes);
            check_full_buckets::<1>(lanes);
            check_full_buckets::<4>(lanes);
            check_blocks::<1>(lanes, ["192.0.2.77", "198.51.100.9"]);
            check_blocks::<4>(lanes, ["2001:db8:1:2:3:4:5:6", "fd00:a:b:c:d:e:f:10"]);
        }
    }

    fn check_nonzero(lanes: impl Lanes) {
        let patterns = [0, u32::MAX, 0x8421_1248, 0x7bde_edb7, 0x0f3c_a05f];
        let patterns = patterns.map(|bits: Bits| bits >> (Bits::BITS - GROUP as u32));
        for bits in (0..GROUP).map(|bit| 1 << bit).chain(patterns) {
            for word in [1, 0x8000, 0xffff, 1 << 16, 1 << 31, u32::MAX] {
                let column =
                    std::array::from_fn(|lane| if bits >> lane & 1 != 0 { word } else { 0 });
                assert_eq!(lanes.nonzero(&column), bits, "{column:x?}");
                let numbers = |first: u32| std::array::from_fn(|lane| first + lane as u32);
                let of_others = |lane| if bits >> lane & 1 != 0 { 100 } else { 200 };
                let chosen = lanes.choose(&column, word, &numbers(100), &numbers(200));
                assert_eq!(chosen, std::array::from_fn(|lane| of_others(lane) + lane as u32));
                assert_eq!(
                    lanes.choose(&column, !word, &numbers(100), &numbers(200)),
                    numbers(200)
                );
            }
        }
    }

    /// Rules of one flow each, which no other matches: one that differs in a bit of an address, a port, the protocol
    /// or the direction.
    fn check_blocks<const W: usize>(lanes: impl Lanes, ends: [&str; 2]) {
        let ends: [IpAddr; 2] = ends.map(|end| end.parse().unwrap());
        let rule = |rank: u16| SidedRule {
            leaf: Leaf::new(
                Ranked::new(rank.into(), Action::Drop),
                Ports::range(1000 + rank, 1000 + rank).unwrap(),
                Protocol::Number(89),
                Direction::Inbound,
            ),
            remote: ends[0].into(),
            local: ends[1].into(),
            local_ports: (2000 + rank, 2000 + rank),
            zones: [None; 2],
            may_be_loopback: true,
            has_local: true,
            is_of_any_host: false,
        };
        let rules: Vec<SidedRule> = (0..40).map(rule).collect();
        let scan = Scan::<W>::new(&rules);
        let flow = |[remote, local]: [IpAddr; 2], ports: [u16; 2], protocol: u8, direction| {
            Flow::new(IpProtocol(protocol), direction)
                .with_remote_address(remote, None, ports[0])
                .with_local_address(local, None, ports[1])
        };
        let flipped = |end: usize, bit: u32| {
            let mut ends = ends;
            ends[end] = match ends[end] {
                IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() ^ 1 << bit).into(),
                IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() ^ 1 << bit).into(),
            };
            ends
        };
        for rank in [0, 7, 8, 15, 16, 39] {
            let ports = [1000 + rank, 2000 + rank];
            let own = flow(ends, ports, 89, Direction::Inbound);
            let expected = Ranked::new(rank.into(), Action::Drop);
            assert_eq!(scan.find_in_all(lanes, &own), expected);
            assert_eq!(scan.find_unbound(lanes, &own), (expected, true));
            for bit in 0..32 * W as u32 {
                let remote = flow(flipped(0, bit), ports, 89, Direction::Inbound);
                assert_eq!(scan.find_in_all(lanes, &remote), Ranked::NONE, "{remote:?}");
                assert_eq!(scan.find_unbound(lanes, &remote).0, Ranked::NONE, "{remote:?}");
                let local = flow(flipped(1, bit), ports, 89, Direction::Inbound);
                assert_eq!(scan.find_in_all(lanes, &local), Ranked::NONE, "{local:?}");
                assert_eq!(scan.find_unbound(lanes, &local), (expected, true), "{local:?}");
            }
            for other in [
                flow(ends, [ports[0] ^ 0x100, ports[1]], 89, Direction::Inbound),
                flow(ends, [ports[0], ports[1] ^ 0x100], 89, Direction::Inbound),
                flow(ends, ports, 88, Direction::Inbound),
                flow(ends, ports, 89, Direction::Outbound),
            ] {
                assert_eq!(scan.find_in_all(lanes, &other), Ranked::NONE, "{other:?}");
            }
        }
    }

    /// Networks within each other, hosts beside each other, the ends of the space, and rules of any address; flows at
    /// the first and the last address of each and beside them.
    fn check_buckets<const W: usize>(lanes: impl Lanes) {
        let bits = if W == 1 { 32 } else { 128 };
        let address = |number: u128| match W {
            1 => IpAddr::from(Ipv4Addr::from_bits(number as u32)),
            _ => IpAddr::from(Ipv6Addr::from_bits(number)),
        };
        let greatest = if W == 1 { u32::MAX.into() } else { u128::MAX };
        let mut state = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835_u128;
        let mut random = || {
            state = state.wrapping_mul(0xda94_2042_e4dd_58b5).wrapping_add(1);
            state >> (128 - bits)
        };
        let mut nets: Vec<IpNet> = Vec::new();
        for number in 0..150_u8 {
            let prefix = match number % 5 {
                0 => bits as u8 / 2 - number % 3,
                1 => (bits * 3 / 4) as u8,
                _ => bits as u8,
            };
            // Every other one within or beside the one before.
            let own = match (number % 2, nets.last()) {
                (1, Some(net)) => number_of(net.network()) ^ u128::from(number % 4),
                _ => random(),
            };
            nets.push(IpNet::new(address(own), prefix).unwrap().trunc());
        }
        // Wider than what tells most of the others apart.
        for prefix in [2, 3, 5] {
            nets.push(IpNet::new(address(random()), prefix).unwrap().trunc());
        }
        nets.push(IpNet::new(address(0), bits as u8).unwrap());
        nets.push(IpNet::new(address(greatest), bits as u8).unwrap());
        // As many as are compared beside buckets of IPv6.
        nets.extend([IpNet::new(address(0), 0).unwrap(); 16]);
        let rule = |(rank, net): (usize, &IpNet)| SidedRule {
            leaf: Leaf::new(
                // One rule of any address first, the others last.
                Ranked::new(
                    match rank {
                        156 => 0,
                        155.. => 1 + rank as u32,
                        _ => 1 + rank as u32 * 37 % 155,
                    },
                    Action::Drop,
                ),
                match rank % 3 {
                    0 => Ports::range(443, 443 + rank as u16 % 2).unwrap(),
                    _ => Ports::ANY,
                },
                [Protocol::Any, Protocol::Tcp, Protocol::Udp][rank % 3],
                [Direction::Any, Direction::Outbound][rank % 2],
            ),
            remote: *net,
            local: match rank % 7 {
                0 => IpNet::new(address(greatest / 3), bits as u8 / 2).unwrap().trunc(),
                _ => IpNet::new(address(0), 0).unwrap(),
            },
            local_ports: (0, u16::MAX),
            zones: [None; 2],
            may_be_loopback: false,
            has_local: rank % 7 == 0,
            is_of_any_host: false,
        };
        let rules: Vec<SidedRule> = nets.iter().enumerate().map(rule).collect();
        let (all, buckets) =
            (Scan::<W>::new(&rules), Scan::<W>::in_buckets(&rules, true, usize::MAX).unwrap());
        assert!(buckets.has_all() && buckets.bucket_blocks() > 9, "{}", buckets.bucket_blocks());
        let mut found = 0;
        for net in &nets {
            let (first, last) = (number_of(net.network()), number_of(net.broadcast()));
            let ends = [first, last, first.wrapping_sub(1), last.wrapping_add(1), first ^ 1];
            for remote in ends.map(|number| address(number & greatest)) {
                for (port, protocol) in [(443, 6), (444, 17), (80, 6), (80, 89)] {
                    let flow = Flow::new(IpProtocol(protocol), Direction::Outbound)
                        .with_remote_address(remote, None, port);
                    for local in [greatest / 3, greatest / 5].map(address) {
                        let bound = flow.clone().with_local_address(local, None, 1);
                        let expected = all.find_in_all(lanes, &bound);
                        assert_eq!(buckets.find_in_buckets(lanes, &bound), expected, "{bound:?}");
                        found += usize::from(expected != Ranked::NONE);
                    }
                    let expected = all.find_unbound(lanes, &flow);
                    assert_eq!(buckets.find_unbound_in_buckets(lanes, &flow), expected, "{flow:?}");
                }
            }
        }
        assert!(found > 500, "{found}");
    }

    /// Rules of one address, in one block or more; beside hosts far from each other, as without these no bits would
    /// tell enough of them apart.
    fn check_full_buckets<const W: usize>(lanes: impl Lanes) {
        let address = |number: u32| match W {
            1 => IpAddr::from(Ipv4Addr::from_bits(number)),
            _ => IpAddr::from(Ipv6Addr::from_bits(u128::from(number) << 64)),
        };
        let rule = |rank: u32, number: u32, port: u16| SidedRule {
            leaf: Leaf::new(
                Ranked::new(rank, Action::Drop),
                Ports::range(port, port).unwrap(),
                Protocol::Any,
                Direction::Any,
            ),
            remote: address(number).into(),
            local: IpNet::new(if W == 1 { address(0) } else { "::".parse().unwrap() }, 0).unwrap(),
            local_ports: (0, u16::MAX),
            zones: [None; 2],
            may_be_loopback: false,
            has_local: false,
            is_of_any_host: false,
        };
        let own = 0x9876_5432;
        let others =
            (0..90).map(|number: u32| rule(1000 + number, number.wrapping_mul(0x9e37_79b9), 80));
        let others: Vec<SidedRule> = others.collect();
        for (count, blocks) in [(1, 1), (16, 1), (17, 2), (21, 2)] {
            let of_own = (0..count).map(|rank| rule(rank, own, 1000 + rank as u16));
            let rules: Vec<SidedRule> = of_own.chain(others.iter().cloned()).collect();
            let buckets = Scan::<W>::in_buckets(&rules, true, usize::MAX).unwrap();
            for rule in &rules {
                let (port, _) = rule.leaf.ports();
                let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
                    .with_remote_address(rule.remote.network(), None, port)
                    .with_local_address(address(7), None, 1);
                assert_eq!(buckets.find_in_buckets(lanes, &flow), rule.leaf.ranked, "{flow:?}");
                let unbound = flow.clone().with_local_address(address(0), None, 0);
                let found = buckets.find_unbound_in_buckets(lanes, &unbound);
                assert_eq!(found, (rule.leaf.ranked, false), "{unbound:?}");
                let other = flow.with_remote_address(rule.remote.network(), None, 7);
                assert_eq!(buckets.find_in_buckets(lanes, &other), Ranked::NONE, "{other:?}");
            }
            assert_eq!(buckets.longest_run(), blocks, "{count}");
        }
        // So many near each other that they have a table of their own, as the others are told apart by other bits.
        let far =
            (0..90).map(|number: u32| rule(1000 + number, number.wrapping_mul(0x9e37) << 16, 80));
        let near = (0..40).map(|rank| rule(rank, own + 3 * rank, 80));
        let rules: Vec<SidedRule> = near.chain(far).collect();
        let buckets = Scan::<W>::in_buckets(&rules, true, usize::MAX).unwrap();
        assert!(buckets.table_count() > 1);
        for rule in &rules {
            let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
                .with_remote_address(rule.remote.network(), None, 80)
                .with_local_address(address(7), None, 1);
            assert_eq!(buckets.find_in_buckets(lanes, &flow), rule.leaf.ranked, "{flow:?}");
        }
        for other in [own - 1, own + 1, own + 118, own ^ 0x8000] {
            let flow = Flow::new(IpProtocol::TCP, Direction::Outbound)
                .with_remote_address(address(other), None, 80)
                .with_local_address(address(7), None, 1);
            assert_eq!(buckets.find_in_buckets(lanes, &flow), Ranked::NONE, "{flow:?}");
        }

        let of_own = (0..40).map(|rank| rule(rank, own, 1000 + rank as u16));
        let rules: Vec<SidedRule> = of_own.chain(others).collect();
        assert!(Scan::<W>::in_buckets(&rules, true, usize::MAX).is_none());
    }

    fn number_of(address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits(),
        }
    }

    #[test]
    fn every_machine_does_what_its_instructions_are_for() {
        for limit in Vectors::ALL {
            Machine::up_to(limit).run(Check);
        }
    }

    fn check_take_apart(lanes: impl Lanes) {
        let flows: [Flow<'_>; GROUP] = std::array::from_fn(|number| {
            let bits = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let port = (bits >> 7) as u16;
            let v6 = IpAddr::from(Ipv6Addr::from_bits(bits));
            let v4 = IpAddr::from(Ipv4Addr::from_bits(bits as u32));
            let loopback = IpAddr::from(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
            let (remote, local) = [(v4, v4), (v6, v6), (v4, v6), (loopback, v4)][number % 4];
            let protocol = IpProtocol([6, 17, 1, 255, 6][number % 5]);
            let direction = [Direction::Any, Direction::Inbound, Direction::Outbound][number % 3];
            let zone = (number % 7 == 1).then(|| Zone::new("en0").unwrap());
            let flow = Flow::new(protocol, direction).with_remote_hostname("www.example.com");
            match number {
                13 => flow,
                _ => flow
                    .with_remote_address(remote, zone, port)
                    .with_local_address(local, None, !port),
            }
        });
        let columns = lanes.take_apart(&flows);
        for (lane, flow) in flows.iter().enumerate() {
            assert_eq!(columns.map(|column| column[lane]), flow.words().to_array(), "{flow:?}");
        }
    }

    #[derive(Clone, Copy)]
    #[repr(transparent)]
    struct Pair([u32; 2]);

    // SAFETY: two words.
    #[allow(unsafe_code, reason = "read by vector instructions")]
    unsafe impl Packed<2> for Pair {
        fn words(self) -> [u32; 2] {
            self.0
        }
    }

    fn check_gathered<T: Packed<N>, const N: usize>(
        lanes: impl Lanes,
        values: &[T],
        places: &[u32; GROUP],
    ) {
        let found: [[u32; GROUP]; N] = lanes.gather(values, places);
        for (lane, place) in places.iter().enumerate() {
            assert_eq!(found.map(|column| column[lane]), values[*place as usize].words());
        }
    }

    fn check_gather(lanes: impl Lanes) {
        let ranked: Vec<Ranked> = (0..50).map(|rank| Ranked::new(rank * 7, Action::Drop)).collect();
        let leaf = |rank: u32| Leaf {
            ranked: Ranked::new(rank, Action::Allow),
            next: rank ^ 0x1234_5678,
            first_port: rank as u16 * 3,
            last_port: !(rank as u16),
            cases: rank as u16 ^ 0x5a5a,
            number: rank as u8 ^ 0x0f,
            flags: rank as u8 ^ 0xf0,
        };
        let leaves: Vec<Leaf> = (0..50).map(leaf).collect();
        let pairs: Vec<Pair> = (0..50).map(|number| Pair([number * 3, !number])).collect();
        for start in [0, 1, 17, 34] {
            let places = std::array::from_fn(|lane| (start + lane as u32 * 31) % 50);
            check_gathered(lanes, &ranked, &places);
            check_gathered(lanes, &pairs, &places);
            check_gathered(lanes, &leaves, &places);
        }
        // Where there is nothing, anything is found, and nothing read that is not there.
        let mut beyond = std::array::from_fn(|lane| 50 + lane as u32);
        beyond[..6].copy_from_slice(&[u32::MAX, 50, 1 << 31, 1 << 30, 0, 49]);
        beyond[GROUP - 2..].copy_from_slice(&[0, 49]);
        let [found] = lanes.gather(&ranked, &beyond);
        let there = [ranked[0].bits(), ranked[49].bits()];
        assert_eq!([[found[4], found[5]], [found[GROUP - 2], found[GROUP - 1]]], [there; 2]);
        let none: [[u32; GROUP]; 4] = lanes.gather(&[] as &[Leaf], &beyond);
        assert_eq!(none, [[0; GROUP]; 4]);
    }
}
