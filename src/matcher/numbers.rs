//! [`Numbers`] of 16 bits.

use crate::matcher::intervals::GROUP;
use crate::matcher::lanes::Lanes;
use crate::matcher::memory;

/// Numbers of 16 bits, two in each word, so that vector instructions read them.
#[derive(Debug)]
pub(super) struct Numbers(Vec<u32>);

impl Numbers {
    pub(super) fn new(numbers: &[u16]) -> Numbers {
        let (pairs, rest) = numbers.as_chunks();
        let pairs = pairs.iter().map(|[low, high]| u32::from(*high) << 16 | u32::from(*low));
        Numbers(pairs.chain(rest.iter().map(|number| (*number).into())).collect())
    }

    /// Returns the number at a place; 0 where there is none.
    #[inline(always)]
    pub(super) fn get(&self, place: u32) -> u32 {
        let word = self.0.get(place as usize / 2).copied().unwrap_or(0);
        word >> (place % 2 * 16) & 0xffff
    }

    /// Returns the number at each place; anything where there is none.
    #[inline(always)]
    pub(super) fn gather(&self, lanes: impl Lanes, places: &[u32; GROUP]) -> [u32; GROUP] {
        let mut words = *places;
        for word in &mut words {
            *word /= 2;
        }
        let [mut found] = lanes.gather(&self.0, &words);
        for (found, place) in found.iter_mut().zip(places) {
            *found = *found >> (place % 2 * 16) & 0xffff;
        }
        found
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.0)
    }
}
