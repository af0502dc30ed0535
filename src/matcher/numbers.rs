//! [`Numbers`] of 16 bits.

use crate::matcher::intervals::GROUP;
use crate::matcher::lanes::{Lanes, Packed};
use crate::matcher::memory;

/// Numbers of 16 bits, two by two, so that vector instructions read them as words.
#[derive(Debug)]
pub(super) struct Numbers(Vec<[u16; 2]>);

// SAFETY: one word, of which the first number is the low half where the low byte is stored first.
#[allow(unsafe_code, reason = "read by vector instructions")]
unsafe impl Packed<1> for [u16; 2] {
    #[inline(always)]
    fn words(self) -> [u32; 1] {
        let [low, high] = self.map(u32::from);
        [high << 16 | low]
    }
}

impl Numbers {
    pub(super) fn new(numbers: &[u16]) -> Numbers {
        let (pairs, rest) = numbers.as_chunks();
        Numbers(pairs.iter().copied().chain(rest.iter().map(|number| [*number, 0])).collect())
    }

    /// Takes numbers that are two by two already.
    pub(super) fn of_pairs(pairs: Vec<[u16; 2]>) -> Numbers {
        Numbers(pairs)
    }

    /// Returns the number at a place; 0 where there is none.
    #[inline(always)]
    pub(super) fn get(&self, place: u32) -> u32 {
        self.0.as_flattened().get(place as usize).map_or(0, |number| u32::from(*number))
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
