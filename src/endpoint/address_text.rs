//! The text of addresses, byte by byte: what the standard library reads, several times as fast,
//! since a flow from text is decided in less time than its parser takes.
//!
//! Eight bytes at a time, without branches, is not faster: it takes as many instructions as there are
//! branches that are foreseen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads what [`IpAddr`] reads.
#[inline]
pub(crate) fn address(text: &[u8]) -> Option<IpAddr> {
    match v4(text) {
        Some(bits) => Some(Ipv4Addr::from_bits(bits).into()),
        None => v6(text).map(IpAddr::V6),
    }
}

#[inline]
fn v4(text: &[u8]) -> Option<u32> {
    v4_and_rest(text).filter(|(_, rest)| rest.is_empty()).map(|(bits, _)| bits)
}

/// Reads four decimal octets without leading zeros, and returns what follows them, which may be
/// another digit.
#[inline]
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
pub(crate) fn v6(text: &[u8]) -> Option<Ipv6Addr> {
    let (mut bits, mut count) = (0_u128, 0_u32);
    // How many groups stand before the `::`.
    let mut gap = None;
    let mut rest = text;
    if let Some(behind) = rest.strip_prefix(b"::") {
        (gap, rest) = (Some(0), behind);
    }
    while !rest.is_empty() {
        let start = rest;
        let (group, digits, behind) = group(rest);
        rest = behind;
        if rest.first() == Some(&b'.') {
            bits = bits << 32 | u128::from(v4(start)?);
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
            [b':', b':', behind @ ..] if gap.is_none() => (gap, rest) = (Some(count), behind),
            [b':', behind @ ..] if !behind.is_empty() => rest = behind,
            _ => return None,
        }
    }
    let bits = match gap {
        None if count == 8 => bits,
        Some(before) if count < 8 => {
            let behind = 16 * (count - before);
            let tail = bits & !u128::MAX.checked_shl(behind).unwrap_or(0);
            let head = bits.checked_shr(behind).unwrap_or(0);
            head.checked_shl(16 * (8 - before)).unwrap_or(0) | tail
        }
        _ => return None,
    };
    Some(Ipv6Addr::from_bits(bits))
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
        for text in
            ["1.20.255.0", "199.99.9.249", "a:BC::9def:0", "1:22:333:4444:5:6:7:8", "::7.8.9.10"]
        {
            for place in 0..text.len() {
                for byte in 0..128_u8 {
                    let mut bytes = text.as_bytes().to_vec();
                    bytes[place] = byte;
                    check(std::str::from_utf8(&bytes).unwrap());
                }
            }
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
            dotted in "([0-3]{1,4}\\.){2,4}[0-9]{0,3}",
        ) {
            check(&text);
            check(&dotted);
            check(&format!("{text}{dotted}"));
        }
    }
}
