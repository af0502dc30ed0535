//! 512 bits at a time.

use super::x86::{Spread, SpreadLocal, define_spread, impl_lanes, last_of};
use super::{Avx2, Avx512, Job, Lanes, Packed, gather_by_turns};
use crate::decision::Decision;
use crate::flow::{Flow, FlowWords};
use crate::matcher::Decide;
use crate::matcher::columns::{Bits, Column};
use crate::matcher::intervals::GROUP;
use crate::matcher::leaf::Ranked;
use crate::matcher::rows::{Chunk, RowQuery};
use crate::matcher::scan::Block;
use std::arch::x86_64::*;

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
#[inline(never)]
pub(super) fn run<J: Job>(lanes: Avx512, job: J) -> J::Output {
    job.run(lanes)
}

/// Decides a flow where the machine has what [`Avx512`] proves, as whoever calls it has to know.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn decide(job: Decide<'_>) -> Decision {
    job.run(Avx512(()))
}

/// Does the same by settings of a few rules.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn decide_few(job: Decide<'_>) -> Decision {
    job.few(Avx512(()))
}

/// Does the same by settings of rules in buckets.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn decide_in_buckets(job: Decide<'_>) -> Decision {
    job.in_buckets(Avx512(()))
}

/// Does the same by settings of rules in buckets, beside those of any host.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn decide_beside_buckets(job: Decide<'_>) -> Decision {
    job.beside_buckets(Avx512(()))
}

/// Does the same by settings of rules of whole networks.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn decide_by_network(job: Decide<'_>) -> Decision {
    job.by_network(Avx512(()))
}

impl_lanes!(Avx512, 1);

/// Takes the words of two flows at a time into one vector, and turns eight of these.
#[target_feature(enable = "avx512f")]
#[inline]
fn take_apart(flows: &[Flow<'_>; GROUP]) -> [[u32; GROUP]; FlowWords::COUNT] {
    let mut columns = [[0; GROUP]; FlowWords::COUNT];
    for (number, flows) in flows.as_chunks().0.iter().enumerate() {
        take_sixteen(flows, number, &mut columns);
    }
    columns
}

/// Does this for the flows of one vector, given its number.
#[target_feature(enable = "avx512f")]
#[inline]
fn take_sixteen(
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

/// Loads the first 64 bytes.
#[target_feature(enable = "avx512f")]
#[inline]
fn line<T, const N: usize>(lanes: &[T; N]) -> __m512i {
    const { assert!(size_of::<[T; N]>() >= 64) };
    // SAFETY: the array is 64 bytes or more.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn first_at_least_u16(lanes: &[u16; 32], x: u16) -> usize {
    let mask = _mm512_cmpge_epu16_mask(line(lanes), _mm512_set1_epi16(x as i16));
    mask.trailing_zeros() as usize
}

#[target_feature(enable = "avx512f")]
#[inline]
fn first_at_least_u32(lanes: &[u32; 16], x: u32) -> usize {
    let mask = _mm512_cmpge_epu32_mask(line(lanes), _mm512_set1_epi32(x as i32));
    u32::from(mask).trailing_zeros() as usize
}

#[target_feature(enable = "avx512f")]
#[inline]
fn first_at_least_u64(lanes: &[u64; 8], x: u64) -> usize {
    let mask = _mm512_cmpge_epu64_mask(line(lanes), _mm512_set1_epi64(x as i64));
    u32::from(mask).trailing_zeros() as usize
}

#[target_feature(enable = "avx512f")]
#[inline]
fn choose(of: &Column, bits: u32, first: &Column, second: &Column) -> Column {
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
fn nonzero(column: &Column) -> Bits {
    let mut bits = 0;
    for number in 0..VECTORS {
        let words = part(column, number);
        bits |= Bits::from(_mm512_test_epi32_mask(words, words)) << (number * WIDTH);
    }
    bits
}

#[target_feature(enable = "avx512f")]
#[inline]
fn gather<T: Packed<N>, const N: usize>(values: &[T], places: &[u32; GROUP]) -> [[u32; GROUP]; N] {
    let Some(last) = last_of(values) else { return gather_by_turns(values, places) };
    let mut columns = [[0; GROUP]; N];
    for number in 0..VECTORS {
        let places = _mm512_min_epu32(part(places, number), _mm512_set1_epi32(last));
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

define_spread!(__m512i, zmm_reg, "avx512f,avx512bw,avx512vl");

/// Of the rules that do not hold an address another number than 0.
#[target_feature(enable = "avx512f")]
#[inline]
fn differing<const W: usize>(
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
fn compare_remote<const W: usize>(block: &Block<W>, flow: &Flow<'_>) -> u32 {
    let flow = spread(flow);
    let differ = differing(&flow.remote, &block.remote_value, &block.remote_mask);
    all_zero(differ, flow.remote_fails(block))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn matching<const W: usize>(block: &Block<W>, flow: &Flow<'_>, spread: &Spread<__m512i, W>) -> u32 {
    // PERF: in two vectors before they become masks, as a step of a mask takes longer; decide-dependent/ipv4-10.
    let mut differ = _mm512_setzero_si512();
    if block.asks_remote {
        differ = differing(&spread.remote, &block.remote_value, &block.remote_mask);
    }
    let mut fails = spread.remote_fails(block);
    if !block.asks_local {
        let holds = all_zero(differ, fails);
        if !block.asks_local_of(holds) {
            return holds;
        }
    }
    let local = spread_local(flow);
    let locals = differing(&local.address, &block.local_value, &block.local_mask);
    differ = _mm512_or_si512(differ, locals);
    fails = _mm256_or_si256(fails, local.fails(block));
    all_zero(differ, fails)
}

/// A bit for each rule of which all numbers are 0.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn all_zero(differ: __m512i, fails: __m256i) -> u32 {
    let holds: u32;
    // PERF: by instructions that the compiler does not look into, as it has one mask made under the other, which is to
    // wait for it; decide-dependent/ipv4-10.
    // SAFETY: registers only are written.
    unsafe {
        std::arch::asm!(
            "vptestnmd {of_differ}, {differ}, {differ}",
            "vptestnmw {of_fails}, {fails}, {fails}",
            "kandw {of_differ}, {of_differ}, {of_fails}",
            "kmovw {holds:e}, {of_differ}",
            differ = in(zmm_reg) differ,
            fails = in(ymm_reg) fails,
            of_differ = out(kreg) _,
            of_fails = out(kreg) _,
            holds = lateout(reg) holds,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    holds
}

/// Compares sixteen rules; what is loaded beyond those of the chunk is left out in the end.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2")]
#[inline]
fn match_row<const W: usize>(chunk: Chunk<'_, W>, query: RowQuery<'_>, other: &[u32; W]) -> u32 {
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
