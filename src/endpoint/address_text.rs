//! The text of addresses, byte by byte: what the standard library reads, several times as fast,
//! since a flow from text is decided in less time than its parser takes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads what [`IpAddr`] reads.
#[inline]
pub(crate) fn address(text: &[u8]) -> Option<IpAddr> {
    match v4(text) {
        Some(bits) => Some(Ipv4Addr::from_bits(bits).into()),
        None => v6(text).map(IpAddr::V6),
    }
}

/// Reads four decimal octets without leading zeros.
#[inline]
fn v4(text: &[u8]) -> Option<u32> {
    let (mut bits, mut dots) = (0_u32, 0);
    let (mut octet, mut digits) = (0_u32, 0);
    for byte in text {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if digit <= 9 {
            let has_leading_zero = octet == 0 && digits > 0;
            octet = octet * 10 + digit;
            digits += 1;
            if octet > 255 || has_leading_zero {
                return None;
            }
        } else if *byte == b'.' && digits > 0 && dots < 3 {
            bits = bits << 8 | octet;
            dots += 1;
            (octet, digits) = (0, 0);
        } else {
            return None;
        }
    }
    (dots == 3 && digits > 0).then_some(bits << 8 | octet)
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
        let (mut group, mut digits) = (0_u32, 0);
        while let Some(digit) = rest.first().and_then(|byte| char::from(*byte).to_digit(16)) {
            group = group << 4 | digit;
            digits += 1;
            rest = rest.get(1..)?;
            if digits > 4 {
                return None;
            }
        }
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
        ] {
            check(text);
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
