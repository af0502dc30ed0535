//! What every aarch64 has: 128 bits at a time.

use super::{Job, Lanes, Narrow, run_apart};
use crate::flow::{Flow, FlowTraits};
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
fn compare_remote<const W: usize>(block: &Block<W>, flow: &Flow<'_>) -> u32 {
    let probe = Probe::<W>::new(flow);
    zeros([0, 1].map(|number| {
        let FlowTraits { asked, number: own } = probe.traits;
        let traits = veorq_u16(vdupq_n_u16(own), half(&block.traits, number));
        let fails = vandq_u16(traits, vdupq_n_u16(asked));
        let (first, more) = (half(&block.remote_first, number), half(&block.remote_more, number));
        let ports = outside(vdupq_n_u16(probe.remote_port), first, more);
        let (values, masks) = (&block.remote_value, &block.remote_mask);
        let addresses = other_addresses(&probe.remote, values, masks, number);
        vorrq_u16(vorrq_u16(fails, ports), addresses)
    }))
}

#[target_feature(enable = "neon")]
#[inline]
fn neon_compare<const W: usize>(block: &Block<W>, flow: &Flow<'_>) -> u32 {
    let probe = Probe::<W>::new(flow);
    let locals = zeros([0, 1].map(|number| {
        let (first, more) = (half(&block.local_first, number), half(&block.local_more, number));
        let ports = outside(vdupq_n_u16(probe.local_port), first, more);
        let (values, masks) = (&block.local_value, &block.local_mask);
        vorrq_u16(ports, other_addresses(&probe.local, values, masks, number))
    }));
    compare_remote(block, flow) & locals
}

/// Compares sixteen rules; what is loaded beyond those of the chunk is left out in the end.
#[target_feature(enable = "neon")]
#[inline]
fn match_row<const W: usize>(chunk: Chunk<'_, W>, query: RowQuery<'_>, other: &[u32; W]) -> u32 {
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
        let remote = ports(query.remote_port, Chunk::<W>::REMOTE_FIRST, Chunk::<W>::REMOTE_MORE);
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
fn nonzero(column: &Column) -> Bits {
    column.as_chunks().0.iter().rev().fold(0, |bits, words| {
        let eight = |number: usize| narrow([0, 1].map(|part| quarter(words, number * 2 + part)));
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
        unsafe { nonzero(column) }
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
    fn compare_remote<const W: usize>(self, block: &Block<W>, flow: &Flow<'_>) -> u32 {
        // SAFETY: every aarch64 has NEON.
        unsafe { compare_remote(block, flow) }
    }

    #[inline(always)]
    fn compare<const W: usize>(self, block: &Block<W>, flow: &Flow<'_>) -> u32 {
        // SAFETY: every aarch64 has NEON.
        unsafe { neon_compare(block, flow) }
    }

    #[inline(always)]
    fn match_row<const W: usize>(
        self,
        chunk: Chunk<'_, W>,
        query: RowQuery<'_>,
        other: &[u32; W],
    ) -> u32 {
        // SAFETY: every aarch64 has NEON.
        unsafe { match_row(chunk, query, other) }
    }
}
