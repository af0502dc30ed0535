//! What AVX2 and AVX-512 have in common.

use super::Packed;
use crate::matcher::scan::Block;
use std::arch::x86_64::*;

/// Implements [`Lanes`](super::Lanes) by the functions of the same names in the module, which are compiled for the
/// instructions that a value of the type proves; `find_in_blocks` by `matching`, which returns bits for
/// [`Block::first`].
macro_rules! impl_lanes {
    ($machine:ty, $row_bits:literal) => {
        impl Lanes for $machine {
            const ROW_BITS: u32 = $row_bits;
            const STEPS_TOGETHER: bool = true;

            #[inline(always)]
            fn call<J: Job>(self, job: J) -> J::Output {
                // SAFETY: `self` proves that the machine has the instructions.
                unsafe { run(self, job) }
            }

            #[inline(always)]
            fn first_at_least_u16(self, lanes: &[u16; 32], x: u16) -> usize {
                // SAFETY: `self` proves that the machine has the instructions.
                unsafe { first_at_least_u16(lanes, x) }
            }

            #[inline(always)]
            fn first_at_least_u32(self, lanes: &[u32; 16], x: u32) -> usize {
                // SAFETY: as before.
                unsafe { first_at_least_u32(lanes, x) }
            }

            #[inline(always)]
            fn first_at_least_u64(self, lanes: &[u64; 8], x: u64) -> usize {
                // SAFETY: as before.
                unsafe { first_at_least_u64(lanes, x) }
            }

            #[inline(always)]
            fn gather<T: Packed<N>, const N: usize>(
                self,
                values: &[T],
                places: &[u32; GROUP],
            ) -> [[u32; GROUP]; N] {
                // SAFETY: as before.
                unsafe { gather(values, places) }
            }

            #[inline(always)]
            fn take_apart(self, flows: &[Flow<'_>; GROUP]) -> [[u32; GROUP]; FlowWords::COUNT] {
                // SAFETY: as before.
                unsafe { take_apart(flows) }
            }

            #[inline(always)]
            fn nonzero(self, column: &Column) -> Bits {
                // SAFETY: as before.
                unsafe { nonzero(column) }
            }

            #[inline(always)]
            fn choose(self, of: &Column, bits: u32, first: &Column, second: &Column) -> Column {
                // SAFETY: as before.
                unsafe { choose(of, bits, first, second) }
            }

            #[inline(always)]
            fn compare_remote<const W: usize>(self, block: &Block<W>, flow: &Flow<'_>) -> u32 {
                // SAFETY: as before.
                unsafe { compare_remote(block, flow) }
            }

            #[inline(always)]
            fn find_in_blocks<const W: usize, const N: usize>(
                self,
                block: &Block<W>,
                others: [&[Block<W>]; N],
                flow: &Flow<'_>,
            ) -> Ranked {
                // SAFETY: as before.
                let spread = unsafe { spread(flow) };
                let first = |block: &Block<W>| {
                    // SAFETY: as before.
                    let bits = unsafe { matching(block, flow, &spread) };
                    block.first(bits)
                };
                // PERF: the first apart, as the one of many settings, so that no choice waits for it;
                // decide-dependent/ipv4-10.
                let mut best = first(block);
                for blocks in others {
                    for block in blocks {
                        best = first(block).min(best);
                    }
                }
                best
            }

            #[inline(always)]
            fn match_row<const W: usize>(
                self,
                chunk: Chunk<'_, W>,
                query: RowQuery<'_>,
                other: &[u32; W],
            ) -> u32 {
                // SAFETY: as before.
                unsafe { match_row(chunk, query, other) }
            }
        }
    };
}
pub(super) use impl_lanes;

/// Loads 32 bytes.
#[target_feature(enable = "avx2")]
#[inline]
fn whole(lanes: &[u16; 16]) -> __m256i {
    // SAFETY: the array is 32 bytes.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

/// Returns the place of the last of the values that [`gather`](super::Lanes::gather) is to read by its instruction,
/// which takes numbers of words, or pairs of them, with a sign; none, if there is no value or are too many.
#[inline(always)]
pub(super) fn last_of<T: Packed<N>, const N: usize>(values: &[T]) -> Option<i32> {
    const { assert!(size_of::<T>() == 4 * N && (N == 1 || N == 2 || N == 4)) };
    let last = values.len().checked_sub(1).filter(|last| *last < 1 << 29)?;
    i32::try_from(last).ok()
}

/// A flow as it is compared with rules: each number in all lanes of a vector.
// PERF: each loaded from the flow into all lanes, by instructions that the compiler does not look into. It puts the
// numbers in one vector first, a field after the other, and takes them out of it again, which takes as long as all
// comparisons; by way of registers, a decision takes 3 ns more with AVX2; decide-dependent/ipv4-10.
pub(super) struct Spread<V, const W: usize> {
    pub(super) remote: [V; W],
    pub(super) remote_port: __m256i,
    pub(super) asked: __m256i,
    pub(super) number: __m256i,
}

/// The local side of it, which not all rules ask for.
pub(super) struct SpreadLocal<V, const W: usize> {
    pub(super) address: [V; W],
    pub(super) port: __m256i,
}

/// Defines `spread`, which makes a [`Spread`] of a flow of the family that has `W` words, for vectors of this type,
/// in registers of this class, by these instructions, and `spread_local`, which makes a [`SpreadLocal`].
macro_rules! define_spread {
    ($vector:ty, $register:ident, $features:literal) => {
        #[target_feature(enable = $features)]
        #[inline]
        fn spread<const W: usize>(flow: &Flow<'_>) -> Spread<$vector, W> {
            use super::x86::{load_all, places::*};
            let flow = std::ptr::from_ref(flow);
            // SAFETY: all of these places are within a flow, and numbers.
            unsafe {
                Spread {
                    remote: words::<W, REMOTE, REMOTE_HIGH>(flow),
                    remote_port: load_all!("vpbroadcastw", ymm_reg, flow, REMOTE_PORT),
                    asked: load_all!("vpbroadcastw", ymm_reg, flow, ASKED),
                    number: load_all!("vpbroadcastw", ymm_reg, flow, NUMBER),
                }
            }
        }

        #[target_feature(enable = $features)]
        #[inline]
        fn spread_local<const W: usize>(flow: &Flow<'_>) -> SpreadLocal<$vector, W> {
            use super::x86::{load_all, places::*};
            let flow = std::ptr::from_ref(flow);
            // SAFETY: as before.
            unsafe {
                SpreadLocal {
                    address: words::<W, LOCAL, LOCAL_HIGH>(flow),
                    port: load_all!("vpbroadcastw", ymm_reg, flow, LOCAL_PORT),
                }
            }
        }

        /// Loads each word of an address, from the high to the low one, into all lanes.
        ///
        /// # Safety
        ///
        /// There are 64 bits at `LOW` from the beginning of the flow, and at `HIGH`, the low word of each first.
        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn words<const W: usize, const LOW: usize, const HIGH: usize>(
            flow: *const Flow<'_>,
        ) -> [$vector; W] {
            use super::x86::load_all;
            // SAFETY: as the caller says.
            std::array::from_fn(|word| unsafe {
                match W - 1 - word {
                    0 => load_all!("vpbroadcastd", $register, flow, LOW),
                    1 => load_all!("vpbroadcastd", $register, flow, LOW + 4),
                    2 => load_all!("vpbroadcastd", $register, flow, HIGH),
                    _ => load_all!("vpbroadcastd", $register, flow, HIGH + 4),
                }
            })
        }
    };
}
pub(super) use define_spread;

/// Loads a number into all lanes of a vector.
macro_rules! load_all {
    ($instruction:literal, $register:ident, $flow:expr, $place:expr) => {{
        let spread;
        std::arch::asm!(
            concat!($instruction, " {spread}, [{flow} + {place}]"),
            flow = in(reg) $flow,
            place = const $place,
            spread = out($register) spread,
            options(pure, readonly, nostack, preserves_flags),
        );
        spread
    }};
}
pub(super) use load_all;

/// Where the numbers of a flow stand, counted in bytes from its beginning.
pub(super) mod places {
    use crate::flow::Flow;

    const WORDS: [usize; 8] = Flow::PLACES;
    /// The low 64 bits of the remote address, the low word first.
    pub(in super::super) const REMOTE: usize = 4 * WORDS[0];
    pub(in super::super) const REMOTE_PORT: usize = 4 * WORDS[1];
    pub(in super::super) const LOCAL: usize = 4 * WORDS[2];
    pub(in super::super) const LOCAL_PORT: usize = 4 * WORDS[3];
    pub(in super::super) const ASKED: usize = 4 * WORDS[5];
    pub(in super::super) const NUMBER: usize = ASKED + 2;
    /// The high 64 bits, of which the flow has the high word's place.
    pub(in super::super) const REMOTE_HIGH: usize = 4 * WORDS[6] - 4;
    pub(in super::super) const LOCAL_HIGH: usize = 4 * WORDS[7] - 4;
}

impl<V, const W: usize> Spread<V, W> {
    /// Of the rules that do not match the remote port, the protocol and the direction another number than 0.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn remote_fails(&self, block: &Block<W>) -> __m256i {
        let traits = _mm256_xor_si256(self.number, whole(&block.traits));
        let fails = _mm256_and_si256(traits, self.asked);
        if !block.asks_port {
            return fails;
        }
        let outside = outside(self.remote_port, &block.remote_first, &block.remote_more);
        _mm256_or_si256(fails, outside)
    }
}

impl<V, const W: usize> SpreadLocal<V, W> {
    /// Of the rules that do not match the local port another number than 0.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn fails(&self, block: &Block<W>) -> __m256i {
        outside(self.port, &block.local_first, &block.local_more)
    }
}

/// Of the rules that do not hold a port another number than 0: what is more of unsigned `port - first`
/// than `more`.
#[target_feature(enable = "avx2")]
#[inline]
fn outside(port: __m256i, first: &[u16; 16], more: &[u16; 16]) -> __m256i {
    _mm256_subs_epu16(_mm256_sub_epi16(port, whole(first)), whole(more))
}
