//! What AVX2 and AVX-512 have in common.

use super::Packed;
use crate::matcher::scan::{Block, Probe};
use std::arch::x86_64::*;

/// Implements [`Lanes`](super::Lanes) by the functions of the same names in the module, which are compiled for the
/// instructions that a value of the type proves.
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
            fn compare_remote<const W: usize>(self, block: &Block<W>, probe: &Probe<W>) -> u32 {
                // SAFETY: as before.
                unsafe { compare_remote(block, probe) }
            }

            #[inline(always)]
            fn find_in_blocks<const W: usize>(
                self,
                blocks: &[Block<W>],
                probe: &Probe<W>,
            ) -> Ranked {
                // SAFETY: as before.
                unsafe { find_in_blocks(blocks, probe) }
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
// PERF: by instructions that the compiler does not look into. It puts the numbers in one vector first, a field
// after the other, and takes them out of it again, which takes as long as all comparisons;
// decide-dependent/ipv4-10.
pub(super) struct Spread<V, const W: usize> {
    pub(super) remote: [V; W],
    pub(super) local: [V; W],
    remote_port: __m256i,
    local_port: __m256i,
    asked: __m256i,
    number: __m256i,
}

impl<V, const W: usize> Spread<V, W> {
    #[inline(always)]
    pub(super) fn new(
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
    pub(super) fn remote_fails(&self, block: &Block<W>) -> __m256i {
        let traits = _mm256_xor_si256(self.number, whole(&block.traits));
        let fails = _mm256_and_si256(traits, self.asked);
        let outside = outside(self.remote_port, &block.remote_first, &block.remote_more);
        _mm256_or_si256(fails, outside)
    }

    /// The same of the local port.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn local_fails(&self, block: &Block<W>) -> __m256i {
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
