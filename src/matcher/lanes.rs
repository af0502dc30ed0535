//! [`Lanes`]: comparing many numbers at once, by whatever the machine has for it.

use crate::decision::Decision;
use crate::flow::{Flow, FlowWords};
use crate::matcher::columns::{Bits, Column, take_apart_by_turns};
use crate::matcher::intervals::GROUP;
use crate::matcher::leaf::Ranked;
use crate::matcher::rows::{Chunk, RowQuery};
use crate::matcher::scan::{Block, Probe};
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
    fn compare_remote<const W: usize>(self, block: &Block<W>, probe: &Probe<W>) -> u32;

    /// Does what [`Block::compare`] does.
    #[inline(always)]
    fn compare<const W: usize>(self, block: &Block<W>, probe: &Probe<W>) -> u32 {
        block.compare(probe)
    }

    /// Returns the first rule of all blocks that matches a flow whose local end is known. Goes through all of
    /// them, without a branch on what matches, which no machine could foresee.
    #[inline(always)]
    fn find_in_blocks<const W: usize>(self, blocks: &[Block<W>], probe: &Probe<W>) -> Ranked {
        let in_block = |block: &Block<W>| {
            let bits = match block.with_local {
                0 => self.compare_remote(block, probe),
                _ => self.compare(block, probe),
            };
            block.first(bits)
        };
        blocks.iter().map(in_block).fold(Ranked::NONE, Ranked::min)
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
#[allow(unsafe_code, reason = "a hint, which pays in the benchmarks of batches")]
pub(super) fn prefetch<T>(value: Option<&T>) {
    let Some(value) = value else { return };
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE; the hint reads nothing that the program could see.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the hint reads nothing that the program could see.
    unsafe {
        let pointer = std::ptr::from_ref(value);
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) pointer, options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = value;
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
            Vectors::Scalar => 4,
            Vectors::Bits128 => 8,
            Vectors::Bits256 => 48,
            Vectors::Bits512 => 80,
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
            Machine::Avx2(lanes) => unsafe { x86::run_avx2(lanes, job) },
            // SAFETY: as before.
            #[cfg(target_arch = "x86_64")]
            Machine::Avx512(lanes) => unsafe { x86::run_avx512(lanes, job) },
        }
    }
}

/// The function that decides a flow with the instructions that a machine has. INVARIANT: the machine has
/// them.
// PERF: called by its address. To choose among the machines' functions takes a jump and a call each time;
// decide/capi-ipv4-1k.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decider(for<'a> unsafe fn(Decide<'a>) -> Decision);

impl Decider {
    pub(super) fn of(machine: Machine) -> Decider {
        match machine {
            Machine::Scalar(_) => Decider(|job| job.run(Scalar)),
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            Machine::Narrow(_) => Decider(|job| job.run(Narrow(()))),
            #[cfg(target_arch = "x86_64")]
            Machine::Avx2(_) => Decider(x86::decide_avx2),
            #[cfg(target_arch = "x86_64")]
            Machine::Avx512(_) => Decider(x86::decide_avx512),
        }
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
    fn compare_remote<const W: usize>(self, block: &Block<W>, probe: &Probe<W>) -> u32 {
        block.compare_remote(probe)
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

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector instructions, which pay in the benchmarks")]
mod x86 {
    use super::{Avx2, Avx512, Job, Lanes, Narrow, Packed, gather_by_turns, run_apart};
    use crate::decision::Decision;
    use crate::flow::{Flow, FlowWords};
    use crate::matcher::Decide;
    use crate::matcher::columns::{Bits, Column};
    use crate::matcher::intervals::GROUP;
    use crate::matcher::leaf::Ranked;
    use crate::matcher::rows::{Chunk, RowQuery};
    use crate::matcher::scan::{Block, Probe};
    use std::arch::asm;
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    #[inline(never)]
    pub(super) fn run_avx2<J: Job>(lanes: Avx2, job: J) -> J::Output {
        job.run(lanes)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    #[inline(never)]
    pub(super) fn run_avx512<J: Job>(lanes: Avx512, job: J) -> J::Output {
        job.run(lanes)
    }

    /// Decides a flow where the machine has what [`Avx2`] proves, as whoever calls it has to know.
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn decide_avx2(job: Decide<'_>) -> Decision {
        job.run(Avx2(()))
    }

    /// Decides a flow where the machine has what [`Avx512`] proves, as whoever calls it has to know.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn decide_avx512(job: Decide<'_>) -> Decision {
        job.run(Avx512(()))
    }

    impl Lanes for Narrow {
        #[inline(always)]
        fn call<J: Job>(self, job: J) -> J::Output {
            run_apart(self, job)
        }

        #[inline(always)]
        fn first_at_least_u16(self, lanes: &[u16; 32], x: u16) -> usize {
            let at = lanes.as_ptr().cast::<__m128i>();
            // SAFETY: every x86-64 has SSE2; the four loads are within the 64 bytes of `lanes`.
            let mask = unsafe {
                let x = _mm_set1_epi16(x as i16);
                let zero = _mm_setzero_si128();
                let part = |i| _mm_cmpeq_epi16(_mm_subs_epu16(x, _mm_loadu_si128(at.add(i))), zero);
                let low = _mm_movemask_epi8(_mm_packs_epi16(part(0), part(1)));
                let high = _mm_movemask_epi8(_mm_packs_epi16(part(2), part(3)));
                low as u32 | (high as u32) << 16
            };
            mask.trailing_zeros() as usize
        }

        #[inline(always)]
        fn first_at_least_u32(self, lanes: &[u32; 16], x: u32) -> usize {
            let at = lanes.as_ptr().cast::<__m128i>();
            // SAFETY: every x86-64 has SSE2; the four loads are within the 64 bytes of `lanes`.
            let below = unsafe {
                let sign = _mm_set1_epi32(i32::MIN);
                let x = _mm_set1_epi32((x ^ 1 << 31) as i32);
                let part = |i| _mm_cmpgt_epi32(x, _mm_xor_si128(_mm_loadu_si128(at.add(i)), sign));
                let low = _mm_packs_epi32(part(0), part(1));
                let high = _mm_packs_epi32(part(2), part(3));
                _mm_movemask_epi8(_mm_packs_epi16(low, high)) as u32
            };
            (!below).trailing_zeros() as usize
        }

        #[inline(always)]
        fn first_at_least_u64(self, lanes: &[u64; 8], x: u64) -> usize {
            let bits =
                lanes.iter().rev().fold(0u32, |bits, lane| bits << 1 | u32::from(*lane >= x));
            bits.trailing_zeros() as usize
        }

        #[inline(always)]
        fn nonzero(self, column: &Column) -> Bits {
            let zeros = |column: &[u32; 16]| {
                let at = column.as_ptr().cast::<__m128i>();
                // SAFETY: every x86-64 has SSE2; the four loads are within the 64 bytes of `column`.
                unsafe {
                    let zero = _mm_setzero_si128();
                    let part = |i| _mm_cmpeq_epi32(_mm_loadu_si128(at.add(i)), zero);
                    let low = _mm_packs_epi32(part(0), part(1));
                    let high = _mm_packs_epi32(part(2), part(3));
                    _mm_movemask_epi8(_mm_packs_epi16(low, high)) as u32
                }
            };
            let parts = column.as_chunks().0.iter().rev();
            parts.fold(0, |bits, part| bits << 16 | !zeros(part) & 0xffff)
        }

        #[inline(always)]
        fn compare_remote<const W: usize>(self, block: &Block<W>, probe: &Probe<W>) -> u32 {
            block.compare_remote(probe)
        }
    }

    impl Avx2 {
        pub(in crate::matcher) fn detect() -> Option<Avx2> {
            let has = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            has.then_some(Avx2(()))
        }
    }

    /// Calls functions that are compiled for the features that `self` proves.
    macro_rules! lanes {
        ($machine:ty, $u16:ident, $u32:ident, $u64:ident, $remote:ident, $find_in_blocks:ident,
            $row:ident, $row_bits:literal, $run:ident, $gather:ident, $take_apart:ident,
            $nonzero:ident, $choose:ident) => {
            impl Lanes for $machine {
                const ROW_BITS: u32 = $row_bits;
                const STEPS_TOGETHER: bool = true;

                #[inline(always)]
                fn call<J: Job>(self, job: J) -> J::Output {
                    // SAFETY: `self` proves that the machine has the instructions.
                    unsafe { $run(self, job) }
                }

                #[inline(always)]
                fn first_at_least_u16(self, lanes: &[u16; 32], x: u16) -> usize {
                    // SAFETY: `self` proves that the machine has the instructions.
                    unsafe { $u16(lanes, x) }
                }

                #[inline(always)]
                fn first_at_least_u32(self, lanes: &[u32; 16], x: u32) -> usize {
                    // SAFETY: as before.
                    unsafe { $u32(lanes, x) }
                }

                #[inline(always)]
                fn first_at_least_u64(self, lanes: &[u64; 8], x: u64) -> usize {
                    // SAFETY: as before.
                    unsafe { $u64(lanes, x) }
                }

                #[inline(always)]
                fn gather<T: Packed<N>, const N: usize>(
                    self,
                    values: &[T],
                    places: &[u32; GROUP],
                ) -> [[u32; GROUP]; N] {
                    // SAFETY: as before.
                    unsafe { $gather(values, places) }
                }

                #[inline(always)]
                fn take_apart(self, flows: &[Flow<'_>; GROUP]) -> [[u32; GROUP]; FlowWords::COUNT] {
                    // SAFETY: as before.
                    unsafe { $take_apart(flows) }
                }

                #[inline(always)]
                fn nonzero(self, column: &Column) -> Bits {
                    // SAFETY: as before.
                    unsafe { $nonzero(column) }
                }

                #[inline(always)]
                fn choose(self, of: &Column, bits: u32, first: &Column, second: &Column) -> Column {
                    // SAFETY: as before.
                    unsafe { $choose(of, bits, first, second) }
                }

                #[inline(always)]
                fn compare_remote<const W: usize>(self, block: &Block<W>, probe: &Probe<W>) -> u32 {
                    // SAFETY: as before.
                    unsafe { $remote(block, probe) }
                }

                #[inline(always)]
                fn find_in_blocks<const W: usize>(
                    self,
                    blocks: &[Block<W>],
                    probe: &Probe<W>,
                ) -> Ranked {
                    // SAFETY: as before.
                    unsafe { $find_in_blocks(blocks, probe) }
                }

                #[inline(always)]
                fn match_row<const W: usize>(
                    self,
                    chunk: Chunk<'_, W>,
                    query: RowQuery<'_>,
                    other: &[u32; W],
                ) -> u32 {
                    // SAFETY: as before.
                    unsafe { $row(chunk, query, other) }
                }
            }
        };
    }

    lanes!(
        Avx2,
        avx2_u16,
        avx2_u32,
        avx2_u64,
        avx2_remote,
        avx2_find_in_blocks,
        avx2_row,
        2,
        run_avx2,
        avx2_gather,
        avx2_take_apart,
        avx2_nonzero,
        avx2_choose
    );
    lanes!(
        Avx512,
        avx512_u16,
        avx512_u32,
        avx512_u64,
        avx512_remote,
        avx512_find_in_blocks,
        avx512_row,
        1,
        run_avx512,
        avx512_gather,
        avx512_take_apart,
        avx512_nonzero,
        avx512_choose
    );

    /// Returns the half of 64 bytes of this number, 0 or 1.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn half<T, const N: usize>(lanes: &[T; N], number: usize) -> __m256i {
        const { assert!(size_of::<[T; N]>() == 64) };
        // SAFETY: the halves of 64 bytes are 32 bytes each.
        unsafe { _mm256_loadu_si256(lanes.as_ptr().cast::<__m256i>().add(number & 1)) }
    }

    /// Loads 32 bytes.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn whole(lanes: &[u16; 16]) -> __m256i {
        // SAFETY: the array is 32 bytes.
        unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn avx2_u16(lanes: &[u16; 32], x: u16) -> usize {
        let x = _mm256_set1_epi16(x as i16);
        let mask = |half| {
            let holds = _mm256_cmpeq_epi16(_mm256_max_epu16(half, x), half);
            u64::from(_mm256_movemask_epi8(holds) as u32)
        };
        let mask = mask(half(lanes, 0)) | mask(half(lanes, 1)) << 32;
        mask.trailing_zeros() as usize / 2
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn avx2_u32(lanes: &[u32; 16], x: u32) -> usize {
        let x = _mm256_set1_epi32(x as i32);
        let mask = |half| {
            let holds = _mm256_cmpeq_epi32(_mm256_max_epu32(half, x), half);
            _mm256_movemask_ps(_mm256_castsi256_ps(holds)) as u32
        };
        (mask(half(lanes, 0)) | mask(half(lanes, 1)) << 8).trailing_zeros() as usize
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn avx2_u64(lanes: &[u64; 8], x: u64) -> usize {
        let sign = _mm256_set1_epi64x(i64::MIN);
        let x = _mm256_set1_epi64x((x ^ 1 << 63) as i64);
        let below = |half| {
            let below = _mm256_cmpgt_epi64(x, _mm256_xor_si256(half, sign));
            _mm256_movemask_pd(_mm256_castsi256_pd(below)) as u32
        };
        let below = below(half(lanes, 0)) | below(half(lanes, 1)) << 4;
        (!below).trailing_zeros() as usize
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn avx2_choose(of: &Column, bits: u32, first: &Column, second: &Column) -> Column {
        let mut chosen = *second;
        let (of, first) = (of.as_chunks().0.iter(), first.as_chunks().0.iter());
        for ((chosen, of), first) in chosen.as_chunks_mut().0.iter_mut().zip(of).zip(first) {
            let asked = _mm256_and_si256(load_eight(of), _mm256_set1_epi32(bits as i32));
            let second_is = _mm256_cmpeq_epi32(asked, _mm256_setzero_si256());
            let words = _mm256_blendv_epi8(load_eight(first), load_eight(chosen), second_is);
            store_eight(chosen, words);
        }
        chosen
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn avx2_nonzero(column: &Column) -> Bits {
        let zero = _mm256_setzero_si256();
        let zeros = |column: &[u32; 16], number| {
            let zeros = _mm256_cmpeq_epi32(half(column, number), zero);
            _mm256_movemask_ps(_mm256_castsi256_ps(zeros)) as u32
        };
        let parts = column.as_chunks().0.iter().rev();
        parts.fold(0, |bits, part| bits << 16 | !(zeros(part, 0) | zeros(part, 1) << 8) & 0xffff)
    }

    /// A flow as it is compared with rules: each number in all lanes of a vector.
    // PERF: by instructions that the compiler does not look into. It puts the numbers in one vector first, a field
    // after the other, and takes them out of it again, which takes as long as all comparisons;
    // decide-dependent/ipv4-10.
    struct Spread<V, const W: usize> {
        remote: [V; W],
        local: [V; W],
        remote_port: __m256i,
        local_port: __m256i,
        asked: __m256i,
        number: __m256i,
    }

    impl<V, const W: usize> Spread<V, W> {
        #[inline(always)]
        fn new(
            probe: &Probe<W>,
            words: impl Fn(u32) -> V,
            halves: impl Fn(u16) -> __m256i,
        ) -> Spread<V, W> {
            Spread {
                remote: probe.remote.map(&words),
                local: probe.local.map(&words),
                remote_port: halves(probe.remote_port),
                local_port: halves(probe.local_port),
                asked: halves(probe.traits.asked),
                number: halves(probe.traits.number),
            }
        }

        /// Of the rules that do not match the remote port, the protocol and the direction another number than 0.
        #[target_feature(enable = "avx2")]
        #[inline]
        fn remote_fails(&self, block: &Block<W>) -> __m256i {
            let traits = _mm256_xor_si256(self.number, whole(&block.traits));
            let fails = _mm256_and_si256(traits, self.asked);
            let outside = outside(self.remote_port, &block.remote_first, &block.remote_more);
            _mm256_or_si256(fails, outside)
        }

        /// The same of the local port.
        #[target_feature(enable = "avx2")]
        #[inline]
        fn local_fails(&self, block: &Block<W>) -> __m256i {
            outside(self.local_port, &block.local_first, &block.local_more)
        }
    }

    /// Of the rules that do not hold a port another number than 0: what is more of unsigned `port - first`
    /// than `more`.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn outside(port: __m256i, first: &[u16; 16], more: &[u16; 16]) -> __m256i {
        _mm256_subs_epu16(_mm256_sub_epi16(port, whole(first)), whole(more))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn avx2_spread<const W: usize>(probe: &Probe<W>) -> Spread<__m256i, W> {
        let words = |word: u32| {
            let spread;
            // SAFETY: the machine has the instructions, which read and write nothing else.
            unsafe {
                asm!(
                    "vmovd {spread:x}, {word:e}",
                    "vpbroadcastd {spread}, {spread:x}",
                    word = in(reg) word,
                    spread = out(ymm_reg) spread,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            spread
        };
        Spread::new(probe, words, |half| words(u32::from(half) << 16 | u32::from(half)))
    }

    /// Of eight rules that do not hold an address another number than 0.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn avx2_differ<const W: usize>(
        own: &[__m256i; W],
        values: &[[u32; 16]; W],
        masks: &[[u32; 16]; W],
        number: usize,
    ) -> __m256i {
        let mut differ = _mm256_setzero_si256();
        for ((own, values), masks) in own.iter().zip(values).zip(masks) {
            let bits = _mm256_xor_si256(*own, half(values, number));
            differ = _mm256_or_si256(differ, _mm256_and_si256(bits, half(masks, number)));
        }
        differ
    }

    /// A bit for each rule of which all numbers are 0.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn avx2_holds(differ: [__m256i; 2], fails: __m256i) -> u32 {
        let zero = _mm256_setzero_si256();
        let [low, high] = differ.map(|differ| _mm256_cmpeq_epi32(differ, zero));
        bits(_mm256_and_si256(join(low, high), _mm256_cmpeq_epi16(fails, zero)))
    }

    /// Two vectors of eight lanes as one of sixteen.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn join(low: __m256i, high: __m256i) -> __m256i {
        _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high))
    }

    /// A bit for each of sixteen lanes.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn bits(holds: __m256i) -> u32 {
        let bytes = _mm256_packs_epi16(holds, _mm256_setzero_si256());
        let bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(bytes);
        _mm256_movemask_epi8(bytes) as u32 & 0xffff
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn avx2_remote<const W: usize>(block: &Block<W>, probe: &Probe<W>) -> u32 {
        let flow = avx2_spread(probe);
        let (values, masks) = (&block.remote_value, &block.remote_mask);
        let differ = [0, 1].map(|number| avx2_differ(&flow.remote, values, masks, number));
        avx2_holds(differ, flow.remote_fails(block))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn avx2_find_in_blocks<const W: usize>(blocks: &[Block<W>], probe: &Probe<W>) -> Ranked {
        let flow = avx2_spread(probe);
        let mut best = Ranked::NONE;
        for block in blocks {
            let (values, masks) = (&block.remote_value, &block.remote_mask);
            let mut differ = [0, 1].map(|number| avx2_differ(&flow.remote, values, masks, number));
            let mut fails = flow.remote_fails(block);
            if block.with_local != 0 {
                let (values, masks) = (&block.local_value, &block.local_mask);
                for (number, differ) in differ.iter_mut().enumerate() {
                    let locals = avx2_differ(&flow.local, values, masks, number);
                    *differ = _mm256_or_si256(*differ, locals);
                }
                fails = _mm256_or_si256(fails, flow.local_fails(block));
            }
            best = block.first(avx2_holds(differ, fails)).min(best);
        }
        best
    }

    /// Compares sixteen rules; what is loaded beyond those of the chunk is left out in the end.
    #[target_feature(enable = "avx2,bmi2")]
    #[inline]
    fn avx2_row<const W: usize>(chunk: Chunk<'_, W>, query: RowQuery<'_>, other: &[u32; W]) -> u32 {
        // SAFETY: a line may be read where a column of 32 bits begins, half a line where one of 16
        // does.
        let eight = |column: usize, first: usize| unsafe {
            _mm256_loadu_si256(chunk.column(column).wrapping_add(first).cast())
        };
        let sixteen = |column: usize| eight(column, 0);
        let all = |half: u16| _mm256_set1_epi16(half as i16);
        // Not zero where a port is outside.
        let outside = |port: u16, first: usize, more: usize| {
            _mm256_subs_epu16(_mm256_sub_epi16(all(port), sixteen(first)), sixteen(more))
        };
        let differ = |first: usize| {
            let mut differ = _mm256_setzero_si256();
            for (word, own) in other.iter().enumerate() {
                let own = _mm256_set1_epi32(*own as i32);
                let bits = _mm256_xor_si256(own, eight(Chunk::<W>::VALUE + 2 * word, first));
                let bits = _mm256_and_si256(bits, eight(Chunk::<W>::MASK + 2 * word, first));
                differ = _mm256_or_si256(differ, bits);
            }
            differ
        };
        let traits = _mm256_xor_si256(all(query.traits.number), sixteen(Chunk::<W>::TRAITS));
        let fails = [
            _mm256_and_si256(traits, all(query.traits.asked)),
            outside(query.remote_port, Chunk::<W>::REMOTE_FIRST, Chunk::<W>::REMOTE_MORE),
            outside(query.local_port, Chunk::<W>::LOCAL_FIRST, Chunk::<W>::LOCAL_MORE),
            // Narrowed, with signs, what is not zero stays so.
            join(differ(0), differ(8)),
        ];
        let zero = _mm256_setzero_si256();
        let fails = fails.into_iter().fold(zero, |a, b| _mm256_or_si256(a, b));
        let holds = _mm256_movemask_epi8(_mm256_cmpeq_epi16(fails, zero)) as u32;
        holds & _bzhi_u32(0x5555_5555, chunk.count() as u32 * 2)
    }

    // PERF: single words by the processor's own instruction, larger values by loads of whole ones that are then turned.
    // One word after the other, each would be stored and the column read again, which waits for all of them;
    // decide-batch/zones-1k.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn avx2_gather<T: Packed<N>, const N: usize>(
        values: &[T],
        places: &[u32; GROUP],
    ) -> [[u32; GROUP]; N] {
        const { assert!(size_of::<T>() == 4 * N && (N == 1 || N == 2 || N == 4)) };
        // The instruction takes numbers of words, with a sign.
        let last = match values.len().checked_sub(1) {
            Some(last) if last < 1 << 29 => last,
            _ => return gather_by_turns(values, places),
        };
        let mut columns = [[0; GROUP]; N];
        for (number, places) in places.as_chunks().0.iter().enumerate() {
            let places = _mm256_min_epu32(load_eight(places), _mm256_set1_epi32(last as i32));
            let mut indices = [0; 8];
            store_eight(&mut indices, places);
            let found = indices.map(|index| values.as_ptr().wrapping_add(index as usize));
            match N {
                1 => {
                    // SAFETY: `places` are indices of `values`, each of which is one word.
                    let words =
                        unsafe { _mm256_i32gather_epi32::<4>(values.as_ptr().cast(), places) };
                    store_eights(&mut columns, number, &[words]);
                }
                2 => {
                    // SAFETY: `found` are among `values`, each of which is two words.
                    let pairs = found.map(|at| unsafe { at.cast::<i64>().read_unaligned() });
                    store_eights(&mut columns, number, &turn_pairs(pairs));
                }
                _ => {
                    // SAFETY: `found` are among `values`, each of which is four words.
                    let fours = found.map(|at| unsafe { _mm_loadu_si128(at.cast()) });
                    store_eights(&mut columns, number, &turn_fours(fours));
                }
            }
        }
        columns
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn avx2_take_apart(flows: &[Flow<'_>; GROUP]) -> [[u32; GROUP]; FlowWords::COUNT] {
        const { assert_places() };
        let [.., kind, _, remote, local] = Flow::PLACES;
        let mut columns = [[0; GROUP]; FlowWords::COUNT];
        for (number, flows) in flows.as_chunks::<8>().0.iter().enumerate() {
            let words = flows.each_ref().map(|flow| std::ptr::from_ref(flow).cast::<u32>());
            // SAFETY: four words of an end of a flow, all of which are numbers.
            let four = |at: *const u32| unsafe { _mm_loadu_si128(at.cast()) };
            // SAFETY: two words of a flow, which are a number.
            let pair = |at: *const u32| unsafe { at.cast::<i64>().read_unaligned() };
            let [remote_high, remote_low, _, remote_rest] =
                turn_fours(words.map(|words| four(words.wrapping_add(remote))));
            let [local_high, local_low, _, local_rest] =
                turn_fours(words.map(|words| four(words.wrapping_add(local))));
            let [kind, traits] = turn_pairs(words.map(|words| pair(words.wrapping_add(kind))));
            let words = [
                remote_low,
                remote_rest,
                local_low,
                local_rest,
                kind,
                traits,
                remote_high,
                local_high,
            ];
            store_eights(&mut columns, number, &words);
        }
        columns
    }

    /// Asserts that the words of an end are the first, the second and the fourth from [`Flow::PLACES`] on, and the
    /// others one after the other.
    const fn assert_places() {
        let [remote_low, remote_rest, local_low, local_rest, kind, traits, remote, local] =
            Flow::PLACES;
        assert!(remote_low == remote + 1 && remote_rest == remote + 3);
        assert!(local_low == local + 1 && local_rest == local + 3);
        assert!(traits == kind + 1);
    }

    /// Turns eight values of two words.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn turn_pairs([a, b, c, d, e, f, g, h]: [i64; 8]) -> [__m256i; 2] {
        let low = _mm256_castsi256_ps(_mm256_setr_epi64x(a, b, e, f));
        let high = _mm256_castsi256_ps(_mm256_setr_epi64x(c, d, g, h));
        let first = _mm256_shuffle_ps::<0b10_00_10_00>(low, high);
        let second = _mm256_shuffle_ps::<0b11_01_11_01>(low, high);
        [_mm256_castps_si256(first), _mm256_castps_si256(second)]
    }

    /// Turns eight values of four words.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn turn_fours([a, b, c, d, e, f, g, h]: [__m128i; 8]) -> [__m256i; 4] {
        let (a, b) = (_mm256_set_m128i(e, a), _mm256_set_m128i(f, b));
        let (c, d) = (_mm256_set_m128i(g, c), _mm256_set_m128i(h, d));
        let (low, more) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
        let (high, most) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
        [
            _mm256_unpacklo_epi64(low, more),
            _mm256_unpackhi_epi64(low, more),
            _mm256_unpacklo_epi64(high, most),
            _mm256_unpackhi_epi64(high, most),
        ]
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn load_eight(words: &[u32; 8]) -> __m256i {
        // SAFETY: the array is 32 bytes.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn store_eight(words: &mut [u32; 8], vector: __m256i) {
        // SAFETY: the array is 32 bytes.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
    }

    /// Stores the eight words of each column that have this number.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn store_eights(columns: &mut [Column], number: usize, vectors: &[__m256i]) {
        for (column, vector) in columns.iter_mut().zip(vectors) {
            if let Some(words) = column.as_chunks_mut().0.get_mut(number) {
                store_eight(words, *vector);
            }
        }
    }

    /// Takes the words of two flows at a time into one vector, and turns eight of these.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn avx512_take_apart(flows: &[Flow<'_>; GROUP]) -> [[u32; GROUP]; FlowWords::COUNT] {
        let mut columns = [[0; GROUP]; FlowWords::COUNT];
        for (number, flows) in flows.as_chunks().0.iter().enumerate() {
            take_apart(flows, number, &mut columns);
        }
        columns
    }

    /// Does this for the flows of one vector, given its number.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn take_apart(
        flows: &[Flow<'_>; WIDTH],
        number: usize,
        columns: &mut [Column; FlowWords::COUNT],
    ) {
        let (first, last) = (four_and_four(flows, 0), four_and_four(flows, 4));
        let even = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
        let odd = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
        for (column, (first, last)) in first.into_iter().zip(last).enumerate() {
            store(columns, column, number, _mm512_permutex2var_epi64(first, even, last));
            store(columns, column + 4, number, _mm512_permutex2var_epi64(first, odd, last));
        }
    }

    /// Returns words of four flows from `first` on in the low half, and of those that are eight further on
    /// in the high one: in the quarters of each vector the first and the fifth word, the second and the
    /// sixth, the third and the seventh, the fourth and the eighth.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn four_and_four(flows: &[Flow<'_>; WIDTH], first: usize) -> [__m512i; 4] {
        let (a, b) = (one_and_one(flows, first), one_and_one(flows, first + 1));
        let (c, d) = (one_and_one(flows, first + 2), one_and_one(flows, first + 3));
        let (low, more) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
        let (high, most) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
        [
            _mm512_unpacklo_epi64(low, more),
            _mm512_unpackhi_epi64(low, more),
            _mm512_unpacklo_epi64(high, most),
            _mm512_unpackhi_epi64(high, most),
        ]
    }

    /// Returns the words of a flow in the low half, and of that eight further on in the high one.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn one_and_one(flows: &[Flow<'_>; WIDTH], first: usize) -> __m512i {
        const { assert!(size_of::<Flow<'_>>() >= 64) };
        #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        const PLACES: [u32; WIDTH] = {
            let (mut places, mut word) = ([0; WIDTH], 0);
            while word < WIDTH {
                let of_second = if word < FlowWords::COUNT { 0 } else { 16 };
                places[word] = Flow::PLACES[word % FlowWords::COUNT] as u32 + of_second;
                word += 1;
            }
            places
        };
        let (low, high) = (words_of(flows, first), words_of(flows, first + WIDTH / 2));
        _mm512_permutex2var_epi32(low, line(&PLACES), high)
    }

    /// Returns the words of a flow as they stand in it.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn words_of(flows: &[Flow<'_>; WIDTH], number: usize) -> __m512i {
        let words = Flow::PLACES.iter().fold(0u16, |words, place| words | 1 << place);
        // SAFETY: the flow is among those of the array, and not shorter than sixteen words; those that are
        // read are numbers.
        unsafe {
            let flow = flows.as_ptr().add(number % WIDTH);
            _mm512_maskz_loadu_epi32(words, flow.cast())
        }
    }

    impl Avx512 {
        pub(in crate::matcher) fn detect() -> Option<Avx512> {
            let has = Avx2::detect().is_some()
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vpopcntdq");
            has.then_some(Avx512(()))
        }
    }

    /// The number of words in a vector.
    const WIDTH: usize = 16;

    /// The number of vectors that a column takes.
    const VECTORS: usize = GROUP / WIDTH;

    const _: () = assert!(GROUP.is_multiple_of(WIDTH));

    /// Loads the vector of this number, less than [`VECTORS`], of a column.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn part(column: &Column, number: usize) -> __m512i {
        // SAFETY: within the column.
        unsafe { _mm512_loadu_si512(column.as_ptr().add(number % VECTORS * WIDTH).cast()) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn line<T, const N: usize>(lanes: &[T; N]) -> __m512i {
        const { assert!(size_of::<[T; N]>() == 64) };
        // SAFETY: the array is 64 bytes.
        unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn avx512_u16(lanes: &[u16; 32], x: u16) -> usize {
        let mask = _mm512_cmpge_epu16_mask(line(lanes), _mm512_set1_epi16(x as i16));
        mask.trailing_zeros() as usize
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn avx512_u32(lanes: &[u32; 16], x: u32) -> usize {
        let mask = _mm512_cmpge_epu32_mask(line(lanes), _mm512_set1_epi32(x as i32));
        u32::from(mask).trailing_zeros() as usize
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn avx512_u64(lanes: &[u64; 8], x: u64) -> usize {
        let mask = _mm512_cmpge_epu64_mask(line(lanes), _mm512_set1_epi64(x as i64));
        u32::from(mask).trailing_zeros() as usize
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn avx512_choose(of: &Column, bits: u32, first: &Column, second: &Column) -> Column {
        let mut columns = [*second];
        for number in 0..VECTORS {
            let first_is = _mm512_test_epi32_mask(part(of, number), _mm512_set1_epi32(bits as i32));
            let (first, second) = (part(first, number), part(second, number));
            store(&mut columns, 0, number, _mm512_mask_blend_epi32(first_is, second, first));
        }
        let [chosen] = columns;
        chosen
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn avx512_nonzero(column: &Column) -> Bits {
        let mut bits = 0;
        for number in 0..VECTORS {
            let words = part(column, number);
            bits |= Bits::from(_mm512_test_epi32_mask(words, words)) << (number * WIDTH);
        }
        bits
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn avx512_gather<T: Packed<N>, const N: usize>(
        values: &[T],
        places: &[u32; GROUP],
    ) -> [[u32; GROUP]; N] {
        const { assert!(size_of::<T>() == 4 * N && (N == 1 || N == 2 || N == 4)) };
        // The instruction takes numbers of words, or pairs of them, with a sign.
        let last = match values.len().checked_sub(1) {
            Some(last) if last < 1 << 29 => last,
            _ => return gather_by_turns(values, places),
        };
        let mut columns = [[0; GROUP]; N];
        for number in 0..VECTORS {
            let places = _mm512_min_epu32(part(places, number), _mm512_set1_epi32(last as i32));
            if N == 1 {
                // SAFETY: `places` are indices of `values`, each of which is one word.
                let found = unsafe { _mm512_i32gather_epi32::<4>(places, values.as_ptr().cast()) };
                store(&mut columns, 0, number, found);
                continue;
            }
            let places = if N == 4 { _mm512_slli_epi32::<1>(places) } else { places };
            let low = _mm512_castsi512_si256(places);
            let high = _mm512_extracti64x4_epi64::<1>(places);
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            for pair in 0..N / 2 {
                let base = values.as_ptr().cast::<i64>().wrapping_add(pair);
                // SAFETY: `places` are the first pairs of words of elements of `values`, each of which is
                // `N` words; `pair` is less than the number of pairs.
                let gather = |places| unsafe { _mm512_i32gather_epi64::<8>(places, base) };
                let (low, high) = (gather(low), gather(high));
                for (half, words) in [even, odd].into_iter().enumerate() {
                    let words = _mm512_permutex2var_epi32(low, words, high);
                    store(&mut columns, 2 * pair + half, number, words);
                }
            }
        }
        columns
    }

    /// Stores the vector of this number, less than [`VECTORS`], of a column.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn store(columns: &mut [Column], column: usize, number: usize, words: __m512i) {
        if let Some(column) = columns.get_mut(column) {
            // SAFETY: within the column.
            unsafe {
                let at = column.as_mut_ptr().add(number % VECTORS * WIDTH);
                _mm512_storeu_si512(at.cast(), words);
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    fn avx512_spread<const W: usize>(probe: &Probe<W>) -> Spread<__m512i, W> {
        let words = |word: u32| {
            let spread;
            // SAFETY: the machine has the instruction, which reads and writes nothing else.
            unsafe {
                asm!(
                    "vpbroadcastd {spread}, {word:e}",
                    word = in(reg) word,
                    spread = out(zmm_reg) spread,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            spread
        };
        let halves = |half: u16| {
            let spread;
            // SAFETY: as before.
            unsafe {
                asm!(
                    "vpbroadcastw {spread}, {half:e}",
                    half = in(reg) u32::from(half),
                    spread = out(ymm_reg) spread,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            spread
        };
        Spread::new(probe, words, halves)
    }

    /// Of the rules that do not hold an address another number than 0.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn avx512_differ<const W: usize>(
        own: &[__m512i; W],
        values: &[[u32; 16]; W],
        masks: &[[u32; 16]; W],
    ) -> __m512i {
        let mut differ = _mm512_setzero_si512();
        for ((own, values), masks) in own.iter().zip(values).zip(masks) {
            let bits = _mm512_xor_si512(*own, line(values));
            differ = _mm512_or_si512(differ, _mm512_and_si512(bits, line(masks)));
        }
        differ
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    fn avx512_remote<const W: usize>(block: &Block<W>, probe: &Probe<W>) -> u32 {
        let flow = avx512_spread(probe);
        let differ = avx512_differ(&flow.remote, &block.remote_value, &block.remote_mask);
        let fails = flow.remote_fails(block);
        (_mm512_testn_epi32_mask(differ, differ) & _mm256_testn_epi16_mask(fails, fails)).into()
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    fn avx512_find_in_blocks<const W: usize>(blocks: &[Block<W>], probe: &Probe<W>) -> Ranked {
        let flow = avx512_spread(probe);
        let mut best = Ranked::NONE;
        for block in blocks {
            // PERF: in two vectors before they become masks, since each step of a mask waits for the one before,
            // and without a load that waits for the mask; decide-dependent/ipv4-10.
            let mut differ = avx512_differ(&flow.remote, &block.remote_value, &block.remote_mask);
            let mut fails = flow.remote_fails(block);
            if block.with_local != 0 {
                let locals = avx512_differ(&flow.local, &block.local_value, &block.local_mask);
                differ = _mm512_or_si512(differ, locals);
                fails = _mm256_or_si256(fails, flow.local_fails(block));
            }
            let holds =
                _mm512_testn_epi32_mask(differ, differ) & _mm256_testn_epi16_mask(fails, fails);
            let none = _mm512_set1_epi32(-1);
            let first = _mm512_mask_compress_epi32(none, holds, line(&block.ranked));
            best = Ranked::of_bits(_mm512_cvtsi512_si32(first) as u32).min(best);
        }
        best
    }

    /// Compares sixteen rules; what is loaded beyond those of the chunk is left out in the end.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2")]
    #[inline]
    fn avx512_row<const W: usize>(
        chunk: Chunk<'_, W>,
        query: RowQuery<'_>,
        other: &[u32; W],
    ) -> u32 {
        // SAFETY: half a line may be read where a column of 16 bits begins.
        let halves = |column: usize| unsafe { _mm256_loadu_si256(chunk.column(column).cast()) };
        // SAFETY: a line may be read where a column of 32 bits begins.
        let words = |column: usize| unsafe { _mm512_loadu_si512(chunk.column(column).cast()) };
        let all = |half: u16| _mm256_set1_epi16(half as i16);
        let in_ports = |port: u16, first: usize, more: usize| {
            _mm256_cmple_epu16_mask(_mm256_sub_epi16(all(port), halves(first)), halves(more))
        };
        let traits = _mm256_xor_si256(all(query.traits.number), halves(Chunk::<W>::TRAITS));
        let mut holds = _mm256_testn_epi16_mask(traits, all(query.traits.asked))
            & in_ports(query.remote_port, Chunk::<W>::REMOTE_FIRST, Chunk::<W>::REMOTE_MORE)
            & in_ports(query.local_port, Chunk::<W>::LOCAL_FIRST, Chunk::<W>::LOCAL_MORE);
        for (word, own) in other.iter().enumerate() {
            let own = _mm512_set1_epi32(*own as i32);
            let bits = _mm512_xor_si512(own, words(Chunk::<W>::VALUE + 2 * word));
            holds &= _mm512_testn_epi32_mask(bits, words(Chunk::<W>::MASK + 2 * word));
        }
        _bzhi_u32(holds.into(), chunk.count() as u32)
    }
}

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code, reason = "vector instructions, which pay in the benchmarks")]
mod neon {
    use super::{Job, Lanes, Narrow, run_apart};
    use crate::flow::FlowTraits;
    use crate::matcher::columns::{Bits, Column};
    use crate::matcher::rows::{Chunk, RowQuery};
    use crate::matcher::scan::{Block, Probe};
    use std::arch::aarch64::*;

    /// Whether each of eight ports is outside: not zero if unsigned `port - first > more`.
    #[target_feature(enable = "neon")]
    #[inline]
    fn outside(port: uint16x8_t, first: uint16x8_t, more: uint16x8_t) -> uint16x8_t {
        vqsubq_u16(vsubq_u16(port, first), more)
    }

    /// Which of eight rules do not hold an address, given two vectors of what differs: not zero.
    #[target_feature(enable = "neon")]
    #[inline]
    fn narrow(differ: [uint32x4_t; 2]) -> uint16x8_t {
        let [low, high] = differ.map(|differ| vreinterpretq_u16_u32(vtstq_u32(differ, differ)));
        vuzp1q_u16(low, high)
    }

    /// A bit for each of sixteen lanes that is zero.
    #[target_feature(enable = "neon")]
    #[inline]
    fn zeros([low, high]: [uint16x8_t; 2]) -> u32 {
        let holds = |half| vreinterpretq_u8_u16(vceqzq_u16(half));
        let bits = vcreate_u8(0x80_40_20_10_08_04_02_01);
        let bits = vandq_u8(vuzp1q_u8(holds(low), holds(high)), vcombine_u8(bits, bits));
        u32::from(vaddv_u8(vget_low_u8(bits))) | u32::from(vaddv_u8(vget_high_u8(bits))) << 8
    }

    /// Eight of sixteen numbers, from the first or from the ninth.
    #[target_feature(enable = "neon")]
    #[inline]
    fn half(lanes: &[u16; 16], number: usize) -> uint16x8_t {
        // SAFETY: both halves are within the array.
        unsafe { vld1q_u16(lanes.as_ptr().add((number & 1) * 8)) }
    }

    /// Four of sixteen numbers.
    #[target_feature(enable = "neon")]
    #[inline]
    fn quarter(lanes: &[u32; 16], number: usize) -> uint32x4_t {
        // SAFETY: all quarters are within the array.
        unsafe { vld1q_u32(lanes.as_ptr().add((number & 3) * 4)) }
    }

    /// Not zero for each of eight rules of a block that does not hold an address.
    #[target_feature(enable = "neon")]
    #[inline]
    fn other_addresses<const W: usize>(
        own: &[u32; W],
        values: &[[u32; 16]; W],
        masks: &[[u32; 16]; W],
        number: usize,
    ) -> uint16x8_t {
        narrow([0, 1].map(|part| {
            let mut differ = vdupq_n_u32(0);
            for ((own, values), masks) in own.iter().zip(values).zip(masks) {
                let at = number * 2 + part;
                let bits = veorq_u32(vdupq_n_u32(*own), quarter(values, at));
                differ = vorrq_u32(differ, vandq_u32(bits, quarter(masks, at)));
            }
            differ
        }))
    }

    #[target_feature(enable = "neon")]
    #[inline]
    fn neon_remote<const W: usize>(block: &Block<W>, probe: &Probe<W>) -> u32 {
        zeros([0, 1].map(|number| {
            let FlowTraits { asked, number: own } = probe.traits;
            let traits = veorq_u16(vdupq_n_u16(own), half(&block.traits, number));
            let fails = vandq_u16(traits, vdupq_n_u16(asked));
            let (first, more) =
                (half(&block.remote_first, number), half(&block.remote_more, number));
            let ports = outside(vdupq_n_u16(probe.remote_port), first, more);
            let (values, masks) = (&block.remote_value, &block.remote_mask);
            let addresses = other_addresses(&probe.remote, values, masks, number);
            vorrq_u16(vorrq_u16(fails, ports), addresses)
        }))
    }

    #[target_feature(enable = "neon")]
    #[inline]
    fn neon_compare<const W: usize>(block: &Block<W>, probe: &Probe<W>) -> u32 {
        let locals = zeros([0, 1].map(|number| {
            let (first, more) = (half(&block.local_first, number), half(&block.local_more, number));
            let ports = outside(vdupq_n_u16(probe.local_port), first, more);
            let (values, masks) = (&block.local_value, &block.local_mask);
            vorrq_u16(ports, other_addresses(&probe.local, values, masks, number))
        }));
        neon_remote(block, probe) & locals
    }

    /// Compares sixteen rules; what is loaded beyond those of the chunk is left out in the end.
    #[target_feature(enable = "neon")]
    #[inline]
    fn neon_row<const W: usize>(chunk: Chunk<'_, W>, query: RowQuery<'_>, other: &[u32; W]) -> u32 {
        let fails = [0, 1].map(|number| {
            // SAFETY: half a line may be read where a column of 16 bits begins.
            let eight = |column: usize| unsafe {
                vld1q_u16(chunk.column(column).cast::<u16>().wrapping_add(number * 8))
            };
            // SAFETY: a line may be read where a column of 32 bits begins.
            let four = |column: usize, part: usize| unsafe {
                vld1q_u32(chunk.column(column).wrapping_add((number * 2 + part) * 4))
            };
            let ports = |port: u16, first: usize, more: usize| {
                outside(vdupq_n_u16(port), eight(first), eight(more))
            };
            let traits = veorq_u16(vdupq_n_u16(query.traits.number), eight(Chunk::<W>::TRAITS));
            let traits = vandq_u16(traits, vdupq_n_u16(query.traits.asked));
            let remote =
                ports(query.remote_port, Chunk::<W>::REMOTE_FIRST, Chunk::<W>::REMOTE_MORE);
            let local = ports(query.local_port, Chunk::<W>::LOCAL_FIRST, Chunk::<W>::LOCAL_MORE);
            let addresses = narrow([0, 1].map(|part| {
                let mut differ = vdupq_n_u32(0);
                for (word, own) in other.iter().enumerate() {
                    let value = four(Chunk::<W>::VALUE + 2 * word, part);
                    let bits = veorq_u32(vdupq_n_u32(*own), value);
                    let mask = four(Chunk::<W>::MASK + 2 * word, part);
                    differ = vorrq_u32(differ, vandq_u32(bits, mask));
                }
                differ
            }));
            vorrq_u16(vorrq_u16(traits, remote), vorrq_u16(local, addresses))
        });
        zeros(fails) & ((1 << chunk.count()) - 1)
    }

    #[target_feature(enable = "neon")]
    #[inline]
    fn neon_nonzero(column: &Column) -> Bits {
        column.as_chunks().0.iter().rev().fold(0, |bits, words| {
            let eight =
                |number: usize| narrow([0, 1].map(|part| quarter(words, number * 2 + part)));
            bits << 16 | !zeros([eight(0), eight(1)]) & 0xffff
        })
    }

    impl Lanes for Narrow {
        #[inline(always)]
        fn call<J: Job>(self, job: J) -> J::Output {
            run_apart(self, job)
        }

        #[inline(always)]
        fn nonzero(self, column: &Column) -> Bits {
            // SAFETY: every aarch64 has NEON.
            unsafe { neon_nonzero(column) }
        }

        #[inline(always)]
        fn first_at_least_u16(self, lanes: &[u16; 32], x: u16) -> usize {
            let at = lanes.as_ptr();
            // SAFETY: every aarch64 has NEON; the four loads are within the 32 of `lanes`.
            let (low, high) = unsafe {
                let x = vdupq_n_u16(x);
                let part = |i: usize| vreinterpretq_u8_u16(vcgeq_u16(vld1q_u16(at.add(i * 8)), x));
                // A nibble for each lane.
                let nibbles = |bytes| {
                    let bytes = vreinterpretq_u16_u8(bytes);
                    vget_lane_u64::<0>(vreinterpret_u64_u8(vshrn_n_u16::<4>(bytes)))
                };
                let low = nibbles(vuzp1q_u8(part(0), part(1)));
                (low, nibbles(vuzp1q_u8(part(2), part(3))))
            };
            let in_low = low.trailing_zeros() as usize / 4;
            let in_high = 16 + high.trailing_zeros() as usize / 4;
            if low != 0 { in_low } else { in_high }
        }

        #[inline(always)]
        fn first_at_least_u32(self, lanes: &[u32; 16], x: u32) -> usize {
            let at = lanes.as_ptr();
            // SAFETY: every aarch64 has NEON; the four loads are within the 16 of `lanes`.
            let nibbles = unsafe {
                let x = vdupq_n_u32(x);
                let part = |i: usize| vreinterpretq_u16_u32(vcgeq_u32(vld1q_u32(at.add(i * 4)), x));
                let low = vreinterpretq_u8_u16(vuzp1q_u16(part(0), part(1)));
                let high = vreinterpretq_u8_u16(vuzp1q_u16(part(2), part(3)));
                let bytes = vreinterpretq_u16_u8(vuzp1q_u8(low, high));
                vget_lane_u64::<0>(vreinterpret_u64_u8(vshrn_n_u16::<4>(bytes)))
            };
            nibbles.trailing_zeros() as usize / 4
        }

        #[inline(always)]
        fn first_at_least_u64(self, lanes: &[u64; 8], x: u64) -> usize {
            let at = lanes.as_ptr();
            // SAFETY: every aarch64 has NEON; the four loads are within the 8 of `lanes`.
            let bytes = unsafe {
                let x = vdupq_n_u64(x);
                let part = |i: usize| vreinterpretq_u32_u64(vcgeq_u64(vld1q_u64(at.add(i * 2)), x));
                let low = vreinterpretq_u16_u32(vuzp1q_u32(part(0), part(1)));
                let high = vreinterpretq_u16_u32(vuzp1q_u32(part(2), part(3)));
                let words = vuzp1q_u16(low, high);
                vget_lane_u64::<0>(vreinterpret_u64_u8(vshrn_n_u16::<4>(words)))
            };
            bytes.trailing_zeros() as usize / 8
        }

        #[inline(always)]
        fn compare_remote<const W: usize>(self, block: &Block<W>, probe: &Probe<W>) -> u32 {
            // SAFETY: every aarch64 has NEON.
            unsafe { neon_remote(block, probe) }
        }

        #[inline(always)]
        fn compare<const W: usize>(self, block: &Block<W>, probe: &Probe<W>) -> u32 {
            // SAFETY: every aarch64 has NEON.
            unsafe { neon_compare(block, probe) }
        }

        #[inline(always)]
        fn match_row<const W: usize>(
            self,
            chunk: Chunk<'_, W>,
            query: RowQuery<'_>,
            other: &[u32; W],
        ) -> u32 {
            // SAFETY: every aarch64 has NEON.
            unsafe { neon_row(chunk, query, other) }
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a failed test")]
mod tests {
    use super::*;
    use crate::endpoint::Zone;
    use crate::flow::{Direction, IpProtocol};
    use crate::matcher::leaf::{Leaf, Ranked};
    use crate::rule::Action;
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

    #[test]
    fn the_first_lane_that_is_at_least_x_is_found_by_every_machine() {
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
        for start in [0, 1, 17, 34] {
            let places = std::array::from_fn(|lane| (start + lane as u32 * 31) % 50);
            let [found] = lanes.gather(&ranked, &places);
            assert_eq!(found, places.map(|place| ranked[place as usize].bits()));
            let found: [[u32; GROUP]; 4] = lanes.gather(&leaves, &places);
            for (lane, place) in places.iter().enumerate() {
                let leaf = Leaf::of_words(found.map(|column| column[lane]));
                assert_eq!(leaf, leaves[*place as usize]);
            }
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
