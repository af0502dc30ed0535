//! 256 bits at a time.

use super::x86::{Spread, SpreadLocal, define_spread, impl_lanes, last_of};
use super::{Avx2, Job, Lanes, Packed, gather_by_turns};
use crate::decision::Decision;
use crate::flow::{Flow, FlowWords};
use crate::matcher::Decide;
use crate::matcher::columns::{Bits, Column};
use crate::matcher::intervals::GROUP;
use crate::matcher::leaf::Ranked;
use crate::matcher::rows::{Chunk, RowQuery};
use crate::matcher::scan::Block;
use std::arch::x86_64::*;

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
#[inline(never)]
pub(super) fn run<J: Job>(lanes: Avx2, job: J) -> J::Output {
    job.run(lanes)
}

/// Decides a flow where the machine has what [`Avx2`] proves, as whoever calls it has to know.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn decide(job: Decide<'_>) -> Decision {
    job.run(Avx2(()))
}

/// Does the same by settings of a few rules.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn decide_few(job: Decide<'_>) -> Decision {
    job.few(Avx2(()))
}

/// Does the same by settings of rules in buckets.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn decide_in_buckets(job: Decide<'_>) -> Decision {
    job.in_buckets(Avx2(()))
}

/// Does the same by settings of rules in buckets, beside those of any host.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn decide_beside_buckets(job: Decide<'_>) -> Decision {
    job.beside_buckets(Avx2(()))
}

/// Does the same by settings of rules of whole networks.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn decide_by_network(job: Decide<'_>) -> Decision {
    job.by_network(Avx2(()))
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

impl_lanes!(Avx2, 2);

/// Returns the half of 64 bytes of this number, 0 or 1.
#[target_feature(enable = "avx2")]
#[inline]
fn half<T, const N: usize>(lanes: &[T; N], number: usize) -> __m256i {
    const { assert!(size_of::<[T; N]>() == 64) };
    // SAFETY: the halves of 64 bytes are 32 bytes each.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast::<__m256i>().add(number & 1)) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn first_at_least_u16(lanes: &[u16; 32], x: u16) -> usize {
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
fn first_at_least_u32(lanes: &[u32; 16], x: u32) -> usize {
    at_least_u32(lanes, x).trailing_zeros() as usize
}

/// A bit for each lane that holds `x` or more.
#[target_feature(enable = "avx2")]
#[inline]
fn at_least_u32(lanes: &[u32; 16], x: u32) -> u32 {
    let x = _mm256_set1_epi32(x as i32);
    let mask = |half| {
        let holds = _mm256_cmpeq_epi32(_mm256_max_epu32(half, x), half);
        _mm256_movemask_ps(_mm256_castsi256_ps(holds)) as u32
    };
    mask(half(lanes, 0)) | mask(half(lanes, 1)) << 8
}

#[target_feature(enable = "avx2")]
#[inline]
fn first_at_least_u64(lanes: &[u64; 8], x: u64) -> usize {
    (!less_u64(lanes, x)).trailing_zeros() as usize
}

/// A bit for each lane that holds less than `x`.
#[target_feature(enable = "avx2")]
#[inline]
fn less_u64(lanes: &[u64; 8], x: u64) -> u32 {
    let sign = _mm256_set1_epi64x(i64::MIN);
    let x = _mm256_set1_epi64x((x ^ 1 << 63) as i64);
    let less = |half| {
        let less = _mm256_cmpgt_epi64(x, _mm256_xor_si256(half, sign));
        _mm256_movemask_pd(_mm256_castsi256_pd(less)) as u32
    };
    less(half(lanes, 0)) | less(half(lanes, 1)) << 4
}

#[target_feature(enable = "avx2")]
#[inline]
fn choose(of: &Column, bits: u32, first: &Column, second: &Column) -> Column {
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
fn nonzero(column: &Column) -> Bits {
    let zero = _mm256_setzero_si256();
    let zeros = |column: &[u32; 16], number| {
        let zeros = _mm256_cmpeq_epi32(half(column, number), zero);
        _mm256_movemask_ps(_mm256_castsi256_ps(zeros)) as u32
    };
    let parts = column.as_chunks().0.iter().rev();
    parts.fold(0, |bits, part| bits << 16 | !(zeros(part, 0) | zeros(part, 1) << 8) & 0xffff)
}

define_spread!(__m256i, ymm_reg, "avx2");

/// Of eight rules that do not hold an address another number than 0.
#[target_feature(enable = "avx2")]
#[inline]
fn differing<const W: usize>(
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

/// A bit for each rule of which all numbers are 0, those of the second half of them eight places further on.
// PERF: put together as bits. To put the vectors together first takes two permutations of whole ones, for which
// some machines need six cycles each; decide-dependent/ipv4-10.
#[target_feature(enable = "avx2")]
#[inline]
fn holds_by_halves(differ: [__m256i; 2], fails: __m256i) -> u32 {
    let zero = _mm256_setzero_si256();
    let [low, high] = differ.map(|differ| {
        let holds = _mm256_cmpeq_epi32(differ, zero);
        _mm256_movemask_ps(_mm256_castsi256_ps(holds)) as u32
    });
    // Eight bits, eight that are 0, and the other eight.
    let holds = _mm256_packs_epi16(_mm256_cmpeq_epi16(fails, zero), zero);
    _mm256_movemask_epi8(holds) as u32 & (low | high << 16)
}

/// Two vectors of eight lanes as one of sixteen.
#[target_feature(enable = "avx2")]
#[inline]
fn join(low: __m256i, high: __m256i) -> __m256i {
    _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high))
}

#[target_feature(enable = "avx2")]
#[inline]
fn compare_remote<const W: usize>(block: &Block<W>, flow: &Flow<'_>) -> u32 {
    let flow = spread(flow);
    let (values, masks) = (&block.remote_value, &block.remote_mask);
    let differ = [0, 1].map(|number| differing(&flow.remote, values, masks, number));
    let holds = holds_by_halves(differ, flow.remote_fails(block));
    (holds | holds >> 8) & 0xffff
}

#[target_feature(enable = "avx2")]
#[inline]
fn matching<const W: usize>(block: &Block<W>, flow: &Flow<'_>, spread: &Spread<__m256i, W>) -> u32 {
    let mut differ = [_mm256_setzero_si256(); 2];
    if block.asks_remote {
        let (values, masks) = (&block.remote_value, &block.remote_mask);
        differ = [0, 1].map(|number| differing(&spread.remote, values, masks, number));
    }
    let mut fails = spread.remote_fails(block);
    if !block.asks_local {
        let holds = holds_by_halves(differ, fails);
        if !block.asks_local_of(holds) {
            return holds;
        }
    }
    let local = spread_local(flow);
    let (values, masks) = (&block.local_value, &block.local_mask);
    for (number, differ) in differ.iter_mut().enumerate() {
        let locals = differing(&local.address, values, masks, number);
        *differ = _mm256_or_si256(*differ, locals);
    }
    fails = _mm256_or_si256(fails, local.fails(block));
    holds_by_halves(differ, fails)
}

/// Compares sixteen rules; what is loaded beyond those of the chunk is left out in the end.
#[target_feature(enable = "avx2,bmi2")]
#[inline]
fn match_row<const W: usize>(chunk: Chunk<'_, W>, query: RowQuery<'_>, other: &[u32; W]) -> u32 {
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
fn gather<T: Packed<N>, const N: usize>(values: &[T], places: &[u32; GROUP]) -> [[u32; GROUP]; N] {
    let Some(last) = last_of(values) else { return gather_by_turns(values, places) };
    let mut columns = [[0; GROUP]; N];
    for (number, places) in places.as_chunks().0.iter().enumerate() {
        let places = _mm256_min_epu32(load_eight(places), _mm256_set1_epi32(last));
        let mut indices = [0; 8];
        store_eight(&mut indices, places);
        let found = indices.map(|index| values.as_ptr().wrapping_add(index as usize));
        match N {
            1 => {
                // SAFETY: `places` are indices of `values`, each of which is one word.
                let words = unsafe { _mm256_i32gather_epi32::<4>(values.as_ptr().cast(), places) };
                store_eights(&mut columns, number, &[words]);
            }
            2 => {
                // SAFETY: `found` are among `values`, each of which is two words.
                let words = unsafe { load_pairs(found.map(<*const T>::cast)) };
                store_eights(&mut columns, number, &words);
            }
            _ => {
                // SAFETY: `found` are among `values`, each of which is four words.
                let words = unsafe { load_fours(found.map(<*const T>::cast)) };
                store_eights(&mut columns, number, &words);
            }
        }
    }
    columns
}

#[target_feature(enable = "avx2")]
#[inline]
fn take_apart(flows: &[Flow<'_>; GROUP]) -> [[u32; GROUP]; FlowWords::COUNT] {
    const { assert_places() };
    let [.., kind, _, remote, local] = Flow::PLACES;
    let mut columns = [[0; GROUP]; FlowWords::COUNT];
    for (number, flows) in flows.as_chunks::<8>().0.iter().enumerate() {
        let words = flows.each_ref().map(|flow| std::ptr::from_ref(flow).cast::<u32>());
        let at = |place: usize| words.map(|words| words.wrapping_add(place));
        // SAFETY: four words of an end of each flow, all of which are numbers.
        let [remote_high, remote_low, _, remote_rest] = unsafe { load_fours(at(remote)) };
        // SAFETY: as before.
        let [local_high, local_low, _, local_rest] = unsafe { load_fours(at(local)) };
        // SAFETY: two words of each flow, which are a number.
        let [kind, traits] = unsafe { load_pairs(at(kind)) };
        let words =
            [remote_low, remote_rest, local_low, local_rest, kind, traits, remote_high, local_high];
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

/// Loads two words from each of eight places, and returns the first ones and the second ones.
///
/// # Safety
///
/// There are two words at each place.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load_pairs([a, b, c, d, e, f, g, h]: [*const u32; 8]) -> [__m256i; 2] {
    // SAFETY: as the caller says.
    let two = |low: *const u32, high: *const u32| unsafe {
        _mm_loadh_pd(_mm_load_sd(low.cast()), high.cast())
    };
    let low = _mm256_castpd_ps(_mm256_set_m128d(two(e, f), two(a, b)));
    let high = _mm256_castpd_ps(_mm256_set_m128d(two(g, h), two(c, d)));
    let first = _mm256_shuffle_ps::<0b10_00_10_00>(low, high);
    let second = _mm256_shuffle_ps::<0b11_01_11_01>(low, high);
    [_mm256_castps_si256(first), _mm256_castps_si256(second)]
}

/// Loads four words from each of eight places, and returns the first ones, the second ones, and so on.
///
/// # Safety
///
/// There are four words at each place.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load_fours([a, b, c, d, e, f, g, h]: [*const u32; 8]) -> [__m256i; 4] {
    // SAFETY: as the caller says.
    let two = |low: *const u32, high: *const u32| unsafe {
        _mm256_set_m128i(_mm_loadu_si128(high.cast()), _mm_loadu_si128(low.cast()))
    };
    let (a, b, c, d) = (two(a, e), two(b, f), two(c, g), two(d, h));
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
