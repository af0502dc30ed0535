//! What every x86-64 has: 128 bits at a time.

use super::{Job, Lanes, Narrow, run_apart};
use crate::flow::Flow;
use crate::matcher::columns::{Bits, Column};
use crate::matcher::scan::Block;
use std::arch::x86_64::*;

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
        let bits = lanes.iter().rev().fold(0u32, |bits, lane| bits << 1 | u32::from(*lane >= x));
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
    fn compare_remote<const W: usize>(self, block: &Block<W>, flow: &Flow<'_>) -> u32 {
        block.compare_remote(flow)
    }
}
