//! [`Interner`]: numbers for things that are kept elsewhere, each once.

/// The numbers of things by their hashes.
///
/// A hash table of numbers alone: who keeps the things says which of them are the same.
#[derive(Debug)]
pub(super) struct Interner {
    /// In the first free slot from that of its hash, at most a quarter of them full, so that few
    /// are looked at also of many.
    slots: Vec<Slot>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    /// One more than the number; 0 where there is none.
    next: u32,
}

const FREE: Slot = Slot { hash: 0, next: 0 };

impl Interner {
    /// The most slots that are looked at for a thing. Rules that were made for many things to have the same
    /// hash make that there is no table, and not that it takes long.
    pub(super) const MAX_STEPS: usize = 64;

    pub(super) fn new() -> Interner {
        Interner { slots: vec![FREE; 256], len: 0 }
    }

    /// Returns the number of what has the hash and is the same; `number` if there is nothing such, for
    /// which it stands from then on; none where there is no room for one more.
    pub(super) fn number(
        &mut self,
        hash: u64,
        number: u32,
        is_same: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let hash = (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
        let mask = self.slots.len() - 1;
        for step in 0..Interner::MAX_STEPS {
            let slot = self.slots.get_mut((hash as usize).wrapping_add(step) & mask)?;
            if slot.next == 0 {
                *slot = Slot { hash, next: number.checked_add(1)? };
                self.len += 1;
                if 4 * self.len > mask {
                    self.grow()?;
                }
                return Some(number);
            }
            if slot.hash == hash && is_same(slot.next - 1) {
                return Some(slot.next - 1);
            }
        }
        None
    }

    fn grow(&mut self) -> Option<()> {
        let mask = 2 * self.slots.len() - 1;
        let mut slots = vec![FREE; mask + 1];
        for slot in self.slots.iter().filter(|slot| slot.next != 0) {
            let free = (0..Interner::MAX_STEPS)
                .map(|step| (slot.hash as usize).wrapping_add(step) & mask)
                .find(|place| slots.get(*place).is_some_and(|slot| slot.next == 0))?;
            *slots.get_mut(free)? = *slot;
        }
        self.slots = slots;
        Some(())
    }
}

/// Adds a word to the hash of a thing that has it at a place; one of 0 adds nothing.
#[inline(always)]
pub(super) fn mixed(hash: u64, place: u64, word: u64) -> u64 {
    if word == 0 {
        return hash;
    }
    let product = u128::from(word ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        * u128::from(0xd6e8_feb8_6659_fd93_u64);
    hash.rotate_left(5) ^ (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_of_one_hash_are_given_up_and_not_gone_through() {
        for hash in [0, 7, u64::MAX] {
            let mut interner = Interner::new();
            let most = Interner::MAX_STEPS as u32;
            for number in 0..most {
                assert_eq!(interner.number(hash, number, |_| false), Some(number));
                assert_eq!(interner.number(hash, u32::MAX, |other| other == number), Some(number));
            }
            assert_eq!(interner.number(hash, most, |_| false), None);
        }
    }

    #[test]
    fn each_thing_keeps_its_number() {
        let mut interner = Interner::new();
        for round in 0..2 {
            for number in 0..10_000 {
                let hash = mixed(0, 3, u64::from(number) + 1);
                let found = interner.number(hash, number + 20_000 * round, |other| other == number);
                assert_eq!(found, Some(number));
            }
        }
    }
}
