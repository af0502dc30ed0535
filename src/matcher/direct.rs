//! [`Direct`]: from an IPv4 address to a number, in steps of a few bits without a comparison.

use crate::matcher::intervals::GROUP;
use crate::matcher::lanes::Lanes;
use crate::matcher::numbers::Numbers;
use std::hint::select_unpredictable;
use std::ops::Range;

/// The table. Its first entries are for the first 16 bits of an address; each entry is a number, or leads to
/// a block of entries for some bits more.
///
/// It takes up to 1 KiB a network, and 128 KiB at least. Its steps are the same for all addresses, so that a
/// group of them takes each at once.
// PERF: three steps of 16, 8 and 8 bits; decide-batch/zones-1k/matcher. Blocks of 32, 32 and 64 entries
// are a quarter as large, and slower by 2 ns a look-up.
#[derive(Debug)]
pub(super) struct Direct {
    entries: Numbers,
}

/// A [`Direct`] while it is made.
pub(super) struct Builder {
    /// Two by two, as they stay.
    entries: Vec<[u16; 2]>,
}

/// Set in an entry that is no number but that of a block, which stands behind the entries of the first step.
const BLOCK: u16 = 1 << 15;

/// The number of entries of the first step.
const FIRST: usize = 1 << 16;

/// The number of entries of a block.
pub(super) const WIDTH: usize = 1 << 8;

/// How many bits of an address are before those of each step but the first.
pub(super) const BITS_BEFORE: [u8; 2] = [16, 24];

/// How many bits of an address follow those of each step but the first.
const SHIFTS: [u32; 2] = {
    let [second, third] = BITS_BEFORE;
    let of_step = WIDTH.trailing_zeros();
    [32 - of_step - second as u32, 32 - of_step - third as u32]
};

/// Returns how many entries a limit in bytes leaves room for beside those of the first steps of two tables;
/// none, if there is no room for these.
pub(super) fn room(max_bytes: Option<usize>) -> Option<usize> {
    (max_bytes.unwrap_or(usize::MAX) / size_of::<u16>()).checked_sub(2 * FIRST)
}

impl Direct {
    /// The greatest number.
    pub(super) const MAX: u16 = BLOCK - 1;

    /// Returns the number of an address.
    #[inline(always)]
    pub(super) fn get(&self, address: u32) -> u32 {
        let mut entry = self.entries.get(address >> 16);
        for shift in SHIFTS {
            let is_block = entry & u32::from(BLOCK) != 0;
            let place = Direct::place(entry, address >> shift);
            let found = self.entries.get(select_unpredictable(is_block, place, 0));
            entry = select_unpredictable(is_block, found, entry);
        }
        entry
    }

    /// Returns the numbers of a group of addresses.
    #[inline(always)]
    pub(super) fn gather(&self, lanes: impl Lanes, addresses: &[u32; GROUP]) -> [u32; GROUP] {
        let entries = self.entries.gather(lanes, &addresses.map(|address| address >> 16));
        let [second, third] = SHIFTS;
        let entries = self.gather_next(lanes, entries, addresses, second);
        self.gather_next(lanes, entries, addresses, third)
    }

    /// Returns the entries after those that lead to blocks, and these where they do not.
    #[inline(always)]
    fn gather_next(
        &self,
        lanes: impl Lanes,
        entries: [u32; GROUP],
        addresses: &[u32; GROUP],
        shift: u32,
    ) -> [u32; GROUP] {
        let mut places = entries;
        for (place, address) in places.iter_mut().zip(addresses) {
            *place = Direct::place(*place, *address >> shift);
        }
        let places = lanes.choose(&entries, BLOCK.into(), &places, &[0; GROUP]);
        let found = self.entries.gather(lanes, &places);
        lanes.choose(&entries, BLOCK.into(), &found, &entries)
    }

    /// Returns the place of the entry that the low bits of `part` have in the block that an entry leads to; of an entry
    /// that is a number, anything.
    // PERF: the bit that says so is taken off with what is added anyway; decide-dependent/acl-1k.
    #[inline(always)]
    fn place(entry: u32, part: u32) -> u32 {
        const BEGIN: u32 = (FIRST as u32).wrapping_sub(BLOCK as u32 * WIDTH as u32);
        (entry * WIDTH as u32 + part % WIDTH as u32).wrapping_add(BEGIN)
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        self.entries.size_bytes()
    }
}

impl Builder {
    /// Begins a table in which every address has this number, with room for some entries of blocks.
    pub(super) fn new(number: u16, entries: usize) -> Builder {
        let mut builder = Builder { entries: Vec::with_capacity((FIRST + entries) / 2) };
        builder.entries.resize(FIRST / 2, [number; 2]);
        builder
    }

    /// Sets the number, up to [`Direct::MAX`], of the addresses of a network, given by the first and the last
    /// of them; none, if more blocks would be needed than there are numbers for.
    ///
    /// It replaces what was set for networks that contain this one, and must not contain one of those itself.
    pub(super) fn set(&mut self, first: u32, last: u32, number: u16) -> Option<()> {
        let (mut block, mut shift, mut shifts) = (0..FIRST, 16, SHIFTS.iter());
        loop {
            let place = |address: u32| block.start + (address >> shift) as usize % block.len();
            let followed = (1u32 << shift) - 1;
            if first & followed == 0 && last & followed == followed {
                let entries = self.entries.as_flattened_mut();
                entries.get_mut(place(first)..=place(last))?.fill(number);
                return Some(());
            }
            block = self.block(place(first))?;
            shift = *shifts.next()?;
        }
    }

    /// Returns the block of an entry, which is made if there is none yet.
    fn block(&mut self, place: usize) -> Option<Range<usize>> {
        let end = 2 * self.entries.len();
        let entry = self.entries.as_flattened_mut().get_mut(place)?;
        let start = match *entry & BLOCK {
            0 => {
                let block = u16::try_from((end - FIRST) / WIDTH).ok();
                let number = *entry;
                *entry = block.filter(|block| block & BLOCK == 0)? | BLOCK;
                self.entries.resize((end + WIDTH) / 2, [number; 2]);
                end
            }
            _ => FIRST + usize::from(*entry & !BLOCK) * WIDTH,
        };
        Some(start..start + WIDTH)
    }

    /// Returns the table.
    pub(super) fn finish(self) -> Direct {
        Direct { entries: Numbers::of_pairs(self.entries) }
    }
}
