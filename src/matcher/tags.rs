//! Groups of tags: which lanes of a group hold a given tag, by whatever the machine has for it.

/// The number of tags in a group.
pub(super) const TAGS: usize = 14;

/// Half a cache line: tags, filled from the first, and a number that belongs to all of them.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
pub(super) struct Group {
    /// Four tags to a word, the first lowest, 0 where there is none; the base is the upper half of
    /// the last word.
    words: [u64; 4],
}

/// A bit for each tag.
const ALL: u32 = (1 << TAGS) - 1;

impl Group {
    /// Makes a group of up to [`TAGS`] tags.
    pub(super) fn new(tags: &[u16], base: u32) -> Group {
        let mut words = [0; 4];
        for (lane, tag) in tags.iter().enumerate().take(TAGS) {
            if let Some(word) = words.get_mut(lane / 4) {
                *word |= u64::from(*tag) << (lane % 4 * 16);
            }
        }
        words[3] |= u64::from(base) << 32;
        Group { words }
    }

    #[inline(always)]
    pub(super) fn base(&self) -> u32 {
        (self.words[3] >> 32) as u32
    }

    /// Returns a bit for each tag that equals `tag`.
    #[inline(always)]
    pub(super) fn find(&self, tag: u16) -> u32 {
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code, reason = "the compiler does not know that the target has SSE2")]
        {
            // SAFETY: every x86-64 has SSE2.
            unsafe { self.find_sse2(tag) & ALL }
        }
        #[cfg(target_arch = "aarch64")]
        #[allow(unsafe_code, reason = "the compiler does not know that the target has NEON")]
        {
            // SAFETY: every aarch64 that std is built for has NEON.
            unsafe { self.find_neon(tag) & ALL }
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        {
            self.find_scalar(tag)
        }
    }

    /// With SSE2, which every x86-64 has.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "sse2")]
    #[inline]
    fn find_sse2(&self, tag: u16) -> u32 {
        use std::arch::x86_64::*;
        let [a, b, c, d] = self.words.map(u64::cast_signed);
        let tag = _mm_set1_epi16(tag.cast_signed());
        let low = _mm_cmpeq_epi16(_mm_set_epi64x(b, a), tag);
        let high = _mm_cmpeq_epi16(_mm_set_epi64x(d, c), tag);
        _mm_movemask_epi8(_mm_packs_epi16(low, high)).cast_unsigned()
    }

    /// With NEON, which every aarch64 has.
    #[cfg(target_arch = "aarch64")]
    #[target_feature(enable = "neon")]
    #[inline]
    fn find_neon(&self, tag: u16) -> u32 {
        use std::arch::aarch64::*;
        const BITS: u64 = 0x8040_2010_0804_0201;
        let [a, b, c, d] = self.words.map(vcreate_u16);
        let tag = vdupq_n_u16(tag);
        let low = vmovn_u16(vceqq_u16(vcombine_u16(a, b), tag));
        let high = vmovn_u16(vceqq_u16(vcombine_u16(c, d), tag));
        let bits = |lanes| u32::from(vaddv_u8(vand_u8(lanes, vcreate_u8(BITS))));
        bits(low) | bits(high) << 8
    }

    /// Lane by lane.
    #[cfg_attr(
        any(target_arch = "x86_64", target_arch = "aarch64"),
        allow(dead_code, reason = "the other machines' way, and the tests'")
    )]
    #[inline(always)]
    fn find_scalar(&self, tag: u16) -> u32 {
        let lane = |lane: usize| {
            let word = self.words.get(lane / 4).copied().unwrap_or(0);
            (word >> (lane % 4 * 16)) as u16
        };
        let bits = (0..TAGS).map(|index| u32::from(lane(index) == tag) << index);
        bits.fold(0, |all, bit| all | bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_is_found_by_itself_and_with_others() {
        for lane in 0..TAGS {
            let mut tags = [7; TAGS];
            tags[lane] = 0x8001;
            let group = Group::new(&tags, 0x8007_0007);
            assert_eq!(group.base(), 0x8007_0007);
            assert_eq!(group.find(0x8001), 1 << lane);
            assert_eq!(group.find(7), ALL ^ 1 << lane);
            for tag in [0, 7, 8, 0x8001, 0x8007, 0x0180, 0xffff] {
                assert_eq!(group.find(tag), group.find_scalar(tag), "{lane} {tag}");
            }
        }
    }

    #[test]
    fn a_group_of_few_tags_has_no_others() {
        for count in 0..TAGS {
            let group = Group::new(&[9; TAGS][..count], u32::MAX);
            assert_eq!(group.find(9), (1 << count) - 1);
        }
    }
}
