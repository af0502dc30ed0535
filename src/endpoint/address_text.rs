//! The text of addresses: what the standard library reads, several times as fast, since a flow from
//! text is decided in less time than its parser takes.
//!
//! IPv4 is read byte by byte: eight bytes at a time take as many instructions as there are branches
//! that are foreseen. So is short IPv6. In longer text, where groups end is not foreseen; all colons
//! are found first, eight bytes at a time, and then no group waits for another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest text of an IPv4 address.
const MAX_V4_BYTES: usize = 15;

/// Reads what [`IpAddr`] reads.
pub(crate) fn address(text: &[u8]) -> Option<IpAddr> {
    match v4(text) {
        Some(address) => Some(address.into()),
        None => v6(text).map(IpAddr::V6),
    }
}

/// Reads what [`Ipv4Addr`] reads.
#[inline(always)]
pub(crate) fn v4(text: &[u8]) -> Option<Ipv4Addr> {
    if text.len() > MAX_V4_BYTES {
        return None;
    }
    let (bits, rest) = v4_and_rest(text)?;
    rest.is_empty().then_some(Ipv4Addr::from_bits(bits))
}

/// Reads four decimal octets without leading zeros, and returns what follows them, which may be
/// another digit.
#[inline(always)]
pub(crate) fn v4_and_rest(text: &[u8]) -> Option<(u32, &[u8])> {
    let (first, rest) = octet(text)?;
    let (second, rest) = octet(rest.strip_prefix(b".")?)?;
    let (third, rest) = octet(rest.strip_prefix(b".")?)?;
    let (fourth, rest) = octet(rest.strip_prefix(b".")?)?;
    Some((first << 24 | second << 16 | third << 8 | fourth, rest))
}

/// Reads one to three decimal digits, and returns what follows them, which may be a fourth.
#[inline]
fn octet(text: &[u8]) -> Option<(u32, &[u8])> {
    let digit = |text: &[u8]| match text.first() {
        Some(byte @ b'0'..=b'9') => Some(u32::from(byte - b'0')),
        _ => None,
    };
    let (first, text) = (digit(text)?, text.get(1..)?);
    let Some(second) = digit(text) else {
        return Some((first, text));
    };
    let (two, text) = (first * 10 + second, text.get(1..)?);
    if first == 0 {
        return None;
    }
    let Some(third) = digit(text) else {
        return Some((two, text));
    };
    let three = two * 10 + third;
    (three <= 255).then_some((three, text.get(1..)?))
}

/// Reads eight groups of one to four hexadecimal digits, of which `::` stands for one or more that
/// are zero, and the last two may be an IPv4 address.
#[inline]
pub(crate) fn v6(text: &[u8]) -> Option<Ipv6Addr> {
    let mut octets = [0; 16];
    read_v6(text, &mut octets).then(|| octets.into())
}

/// Reads what [`v6`] reads into `octets`, and returns whether it did; else they stay as they are.
// PERF: written where it stays. What is returned in memory is read there in other pieces than it was written,
// and waited for; text-to-decision/ipv6-1k.
#[inline(never)]
pub(crate) fn read_v6(text: &[u8], octets: &mut [u8; 16]) -> bool {
    if long_v6(text, octets).is_some() {
        return true;
    }
    let Some(bits) = any_v6(text) else {
        return false;
    };
    *octets = bits.to_be_bytes();
    true
}

/// One in each byte; times a byte, that byte in each.
pub(super) const EACH: u64 = u64::from_le_bytes([1; 8]);
/// The highest bit of each byte.
pub(super) const HIGH: u64 = EACH * 0x80;

/// The last bytes of four, as many as the index says, of which there are at most four.
const LAST: [u32; 8] = [0, 0xff00_0000, 0xffff_0000, 0xffff_ff00, 0xffff_ffff, 0, 0, 0];

/// Reads most texts of 16 bytes and more that [`any_v6`] reads into `octets`; `None` says nothing, and leaves
/// them as they are.
// PERF: no branch depends on how long groups are; text-to-decision/ipv6-1k.
#[inline(always)]
fn long_v6(text: &[u8], octets: &mut [u8; 16]) -> Option<()> {
    let len = text.len();
    if !(16..=39).contains(&len) {
        return None;
    }
    let (last, mut colons, mut all) = (len - 8, 0, 0);
    for at in [0, 8, last.min(16), last.min(24), last] {
        let word = u64::from_le_bytes(*text.get(at..)?.first_chunk()?);
        colons |= colons_of(word) << at;
        all |= word;
    }
    // The first of two colons that stand together, a colon at an end that is none of two, and five
    // bytes without a colon.
    let outside = u64::MAX << len;
    let pairs = colons & colons >> 1;
    let single = colons & !pairs & !(pairs << 1) & (1 | 1 << (len - 1));
    let digits = !(colons | outside);
    let two = digits & digits >> 1;
    let five = two & two >> 2 & digits >> 4;
    if all & HIGH | pairs & pairs.wrapping_sub(1) | single | five != 0 {
        return None;
    }

    // Each of eight groups with its end; behind the text, there are groups of no digits.
    let (mut ends, mut start) = (colons | outside, 0);
    let mut groups = [([0; 4], 0); 8];
    for (index, group) in groups.iter_mut().enumerate() {
        let end = ends.trailing_zeros() as usize;
        ends &= ends.wrapping_sub(1);
        let count = end.wrapping_sub(start);
        // The first three groups end before the sixteenth byte, all others behind the fourth.
        let at = if index < 3 { start } else { end.min(len).wrapping_sub(4) };
        let four = text.get(at..at.wrapping_add(4))?.first_chunk()?;
        let four = u32::from_le_bytes(*four) ^ 0x3030_3030;
        let four = match index < 3 {
            true => (u64::from(four) << (4_usize.wrapping_sub(count) * 8 % 64)) as u32,
            false => four & LAST.get(count % 8)?,
        };
        *group = (four.to_le_bytes(), end);
        start = end + 1;
    }
    match start.wrapping_sub(len + 1) {
        0 => hexadecimal(&groups.map(|(digits, _)| digits), octets),
        zeros @ 1..=7 if pairs != 0 => {
            let gap = pairs.trailing_zeros() as usize;
            let mut moved = [[0; 4]; 16];
            for (index, (digits, end)) in groups.into_iter().enumerate() {
                *moved.get_mut(index + if end > gap { zeros } else { 0 })? = digits;
            }
            hexadecimal(moved.first_chunk()?, octets)
        }
        _ => None,
    }
}

/// A bit for each byte that is a colon, if all are ASCII.
#[inline(always)]
fn colons_of(word: u64) -> u64 {
    let others = word ^ (EACH * u64::from(b':'));
    (HIGH.wrapping_sub(others) & HIGH).wrapping_mul(0x0002_0408_1020_4081) >> 56
}

/// Reads eight groups of four digits, less `'0'`, into `octets`; `None` leaves them as they are.
#[inline(always)]
fn hexadecimal(groups: &[[u8; 4]; 8], octets: &mut [u8; 16]) -> Option<()> {
    let digits: &[u8; 32] = groups.as_flattened().first_chunk()?;
    let (mut wrong, mut nibbles) = (false, [0; 32]);
    for (nibble, digit) in nibbles.iter_mut().zip(digits) {
        let is_decimal = *digit <= 9;
        wrong |= !is_decimal & ((digit | 0x20).wrapping_sub(0x71) > 5);
        *nibble = (digit & 0xf) + if is_decimal { 0 } else { 9 };
    }
    if wrong {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(nibbles.as_chunks().0) {
        let pair = u16::from_le_bytes(*pair);
        *octet = (pair << 4 | pair >> 8) as u8;
    }
    Some(())
}

/// Does what [`v6`] does, byte by byte.
#[inline(always)]
fn any_v6(text: &[u8]) -> Option<u128> {
    let (mut bits, mut count) = (0_u128, 0_u32);
    // How many groups stand before the `::`, and their bits.
    let (mut gap, mut head) = (None, 0_u128);
    let mut rest = text;
    if let Some(behind) = rest.strip_prefix(b"::") {
        (gap, rest) = (Some(0), behind);
    }
    while !rest.is_empty() {
        let start = rest;
        let (group, digits, behind) = group(rest);
        rest = behind;
        if rest.first() == Some(&b'.') {
            bits = bits << 32 | u128::from(v4(start)?.to_bits());
            count += 2;
            rest = &[];
        } else if digits > 0 {
            bits = bits << 16 | u128::from(group);
            count += 1;
        } else {
            return None;
        }
        if count > 8 {
            return None;
        }
        match rest {
            [] => {}
            [b':', b':', behind @ ..] if gap.is_none() => {
                (gap, head, bits, rest) = (Some(count), bits, 0, behind);
            }
            [b':', behind @ ..] if !behind.is_empty() => rest = behind,
            _ => return None,
        }
    }
    match gap {
        None if count == 8 => Some(bits),
        // Where none stands before, it is 0 that is shifted, by 0.
        Some(before) if count < 8 => Some(head.wrapping_shl(16 * (8 - before)) | bits),
        _ => None,
    }
}

/// Reads up to four hexadecimal digits, and returns how many they are and what follows them.
#[inline(always)]
fn group(text: &[u8]) -> (u32, u32, &[u8]) {
    let digit = |text: &[u8]| {
        let byte = text.first()?;
        HEX.get(usize::from(*byte)).map(|digit| u32::from(*digit)).filter(|digit| *digit < 16)
    };
    let behind = |text| <[u8]>::get(text, 1..).unwrap_or_default();
    let Some(first) = digit(text) else {
        return (0, 0, text);
    };
    let text = behind(text);
    let Some(second) = digit(text) else {
        return (first, 1, text);
    };
    let (group, text) = (first << 4 | second, behind(text));
    let Some(third) = digit(text) else {
        return (group, 2, text);
    };
    let (group, text) = (group << 4 | third, behind(text));
    let Some(fourth) = digit(text) else {
        return (group, 3, text);
    };
    (group << 4 | fourth, 4, behind(text))
}

/// The value of each byte as a hexadecimal digit; 255 for those that are none.
static HEX: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::indexing_slicing, reason = "`get_mut` is not for constants")]
        if let Some(value) = (byte as u8 as char).to_digit(16) {
            values[byte] = value as u8;
        }
        byte += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str) {
        assert_eq!(address(text.as_bytes()), text.parse().ok(), "here, std of {text:?}");
        assert_eq!(v6(text.as_bytes()), text.parse().ok(), "here, std of {text:?}");
        let mut octets = [0xa5; 16];
        if !read_v6(text.as_bytes(), &mut octets) {
            assert_eq!(octets, [0xa5; 16], "nothing is written of {text:?}");
        }
    }

    #[test]
    fn edges_are_read_as_the_standard_library_reads_them() {
        for text in [
            "",
            ":",
            "::",
            ":::",
            "::1",
            "1::",
            ":1",
            "1:",
            "1::2::3",
            "0.0.0.0",
            "1.2.3",
            "1.2.3.",
            ".1.2.3",
            "1..2.3",
            "01.2.3.4",
            "1.2.3.04",
            "255.255.255.255",
            "256.0.0.0",
            "1.2.3.4.5",
            "1.2.3.4 ",
            "1234.1.1.1",
            "00.0.0.0",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1::3:4:5:6:7:8",
            "1::2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7:8::",
            "1:2:3:4:5:6:7:8:9",
            "12345::",
            "0000::0001",
            "::FFFF:aBcD",
            "::ffff:1.2.3.4",
            "::1.2.3.4",
            "1.2.3.4::",
            "1:2:3:4:5:6:1.2.3.4",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1:2:3:4:5::1.2.3.4",
            "1:2:3:4:5:6::1.2.3.4",
            "::1.2.3.4:5",
            "::1.2.3",
            "::01.2.3.4",
            "::12345.1.1.1",
            "fe80::1%en0",
            "[::1]",
            "::g",
            "1:::2",
            "::1:",
            "1::2:",
            "1.2.3.4\0",
            "100.200.30.4",
            "1.2.3.100",
            "001.2.3.4",
            "1.2.3.1000",
            "1.2.3./",
            "1.2.3.:",
            "1.2.3.\u{b1}",
            "@::",
            "`::",
            "G::",
            "/::",
            "\u{10}::",
            "\u{1}1::",
            "1:2:3:4:5:6:7:\u{fffd}",
            "1111:2222:3333:4444:5555:6666:255.255.255.255",
            "1111:2222:3333:4444:5555:6666:7777:8888",
            "1111:2222:3333:4444:5555:6666:7777:88888",
            "1111:2222:3333:4444:5555:6666:255.255.255.2555",
        ] {
            check(text);
        }
    }

    #[test]
    fn every_byte_at_every_place_is_read_as_the_standard_library_reads_it() {
        for text in [
            "1.20.255.0",
            "199.99.9.249",
            "a:BC::9def:0",
            "1:22:333:4444:5:6:7:8",
            "::7.8.9.10",
            "1111:2222:3333:4444:5555:6666:7777:8888",
            "aaaa:b:cccc:d:eeee:f:AAAA:B",
            "2001:db8:85a3::8a2e:370:7334",
            "::2222:3333:4444:5555:6666",
            "1111:2222:3333::",
        ] {
            for place in 0..text.len() {
                for byte in 0..=255_u8 {
                    let mut bytes = text.as_bytes().to_vec();
                    bytes[place] = byte;
                    match std::str::from_utf8(&bytes) {
                        Ok(text) => check(text),
                        Err(_) => assert_eq!(address(&bytes), None, "{bytes:x?}"),
                    }
                    bytes.insert(place, text.as_bytes()[place]);
                    if let Ok(text) = std::str::from_utf8(&bytes) {
                        check(text);
                    }
                }
            }
        }
    }

    #[test]
    fn groups_of_all_lengths_and_gaps_at_all_places_are_read() {
        for lens in 0..1 << 8 {
            let group = |index: usize| match lens >> index & 1 {
                0 => "9",
                _ => ["fedc", "0bA9", "123"][index % 3],
            };
            for count in 6..=9 {
                let groups: Vec<&str> = (0..count).map(|index| group(index % 8)).collect();
                check(&groups.join(":"));
                for place in 0..count {
                    let (before, behind) = groups.split_at(place);
                    for skipped in 0..=behind.len() {
                        let behind = &behind[skipped..];
                        check(&format!("{}::{}", before.join(":"), behind.join(":")));
                        check(&format!("{}::{}:", before.join(":"), behind.join(":")));
                        check(&format!("{}::{}::8", before.join(":"), behind.join(":")));
                        check(&format!("{}:::{}", before.join(":"), behind.join(":")));
                        check(&format!(":{}::{}", before.join(":"), behind.join(":")));
                    }
                }
            }
        }
    }

    #[test]
    fn texts_of_all_lengths_are_read() {
        for len in 0..=60 {
            for period in 1..=6 {
                for first in 0..period {
                    let byte = |place| if place % period == first { ':' } else { 'f' };
                    check(&(0..len).map(byte).collect::<String>());
                    check(
                        &(0..len)
                            .map(|place| if place == first { ':' } else { '0' })
                            .collect::<String>(),
                    );
                }
            }
        }
    }

    #[test]
    fn long_text_is_read_as_all_text_is() {
        let text = |count| vec!["abcd"; count].join(":");
        let gap = |before, behind| format!("{}::{}", text(before), text(behind));
        for text in [text(8), gap(3, 0), gap(0, 3), gap(0, 6), gap(2, 3), gap(6, 1)] {
            let (mut octets, expected) = ([0; 16], text.parse::<Ipv6Addr>().ok());
            assert!(long_v6(text.as_bytes(), &mut octets).is_some(), "{text}");
            assert_eq!(Some(octets.into()), expected, "{text}");
            assert_eq!(any_v6(text.as_bytes()).map(Ipv6Addr::from_bits), expected, "{text}");
        }
    }

    #[test]
    fn octets_of_all_lengths_are_read() {
        let octets = ["0", "9", "00", "10", "99", "100", "255", "256", "010", "999", "1000", ""];
        for (first, second) in octets.iter().flat_map(|first| octets.map(|second| (first, second)))
        {
            for (third, fourth) in
                octets.iter().flat_map(|third| octets.map(|fourth| (third, fourth)))
            {
                check(&format!("{first}.{second}.{third}.{fourth}"));
            }
        }
    }

    proptest! {
        #[test]
        fn addresses_are_read_as_they_are_printed(bits in any::<u128>(), keep in 0_u32..=128) {
            let bits = bits.checked_shr(keep).unwrap_or(0);
            check(&Ipv6Addr::from_bits(bits).to_string());
            check(&Ipv4Addr::from_bits(bits as u32).to_string());
            check(&Ipv4Addr::from_bits(bits as u32).to_ipv6_mapped().to_string());
        }

        #[test]
        fn any_text_is_read_as_the_standard_library_reads_it(
            text in "(::)?([0-9a-f]{0,5}[:.]{1,2}){0,9}[0-9a-fA-F]{0,5}(::)?",
            long in "(::?)?([0-9a-fA-F]{1,4}:){3,5}:?([0-9a-fA-F]{1,4}:){0,3}[0-9a-f]{0,5}:?",
            dotted in "([0-3]{1,4}\\.){2,4}[0-9]{0,3}",
        ) {
            check(&text);
            check(&long);
            check(&dotted);
            check(&format!("{text}{dotted}"));
        }
    }
}
