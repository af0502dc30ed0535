//! Addresses, networks and ranges as lists write them.

use super::entry::{Entry, Note, Remotes};
use crate::endpoint::AddressFamily;
use crate::error::{Error, ErrorKind};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads an address, a network or a range `first-last`.
pub(super) fn entry(text: &str) -> Result<Entry<'static>, Error> {
    // A dash stands in no address.
    match text.split_once('-') {
        Some((first, last)) => match (address(first.trim()), address(last.trim())) {
            (Some(first), Some(last)) => range(first, last),
            _ => Err(not_an_entry(text)),
        },
        None => network(text),
    }
}

/// Reads an address or a network.
pub(super) fn network(text: &str) -> Result<Entry<'static>, Error> {
    let Some((before, prefix)) = text.split_once('/') else {
        let (address, is_padded) = address(text).ok_or_else(|| not_an_entry(text))?;
        let net = IpNet::from(address);
        return Ok(noted(Entry::new(Remotes::Net(net)), is_padded));
    };
    let (address, is_padded) = address(before.trim_end()).ok_or_else(|| not_an_entry(text))?;
    let net = with_prefix(address, prefix.trim_start())
        .map_err(|e| e.unwrap_or_else(|| not_an_entry(text)))?;
    Ok(noted(Entry::new(Remotes::Net(net)), is_padded))
}

/// Reads what stands after the slash: a length in bits, or a mask as IPv4 has it.
fn with_prefix(address: IpAddr, prefix: &str) -> Result<IpNet, Option<Error>> {
    let family = AddressFamily::of(address);
    if !prefix.is_empty() && prefix.len() <= 3 && prefix.bytes().all(|b| b.is_ascii_digit()) {
        let bits: u16 = prefix.parse().map_err(|_| None)?;
        let net = u8::try_from(bits).ok().and_then(|bits| IpNet::new(address, bits).ok());
        let too_long = ErrorKind::PrefixTooLong { prefix: bits.into(), limit: family.bits() };
        return net.ok_or_else(|| Some(Error::new(too_long)));
    }
    let mask: Ipv4Addr = prefix.parse().map_err(|_| None)?;
    match address {
        IpAddr::V4(_) => IpNet::with_netmask(address, mask.into()).map_err(|_| None),
        IpAddr::V6(_) => Err(None),
    }
}

/// Makes an entry of two addresses that were read by [`address`].
pub(super) fn range(
    (first, first_padded): (IpAddr, bool),
    (last, last_padded): (IpAddr, bool),
) -> Result<Entry<'static>, Error> {
    if AddressFamily::of(first) != AddressFamily::of(last) {
        return Err(Error::new(ErrorKind::RangeAcrossFamilies { first, last }));
    }
    if first > last {
        return Err(Error::new(ErrorKind::RangeReversed { first, last }));
    }
    Ok(noted(Entry::new(Remotes::Range(first, last)), first_padded || last_padded))
}

/// Reads an address, and says whether octets are padded with zeros. Those are decimal.
pub(super) fn address(text: &str) -> Option<(IpAddr, bool)> {
    match ipv4(text) {
        Some((address, is_padded)) => Some((address.into(), is_padded)),
        None if text.contains(':') => Some((text.parse::<Ipv6Addr>().ok()?.into(), false)),
        None => None,
    }
}

fn ipv4(text: &str) -> Option<(Ipv4Addr, bool)> {
    let (mut bits, mut octet, mut digits, mut octets, mut is_padded) = (0u32, 0u32, 0, 0, false);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' if digits < 3 => {
                is_padded |= digits > 0 && octet == 0;
                octet = octet * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && octet < 256 && octets < 3 => {
                bits = bits << 8 | octet;
                (octet, digits, octets) = (0, 0, octets + 1);
            }
            _ => return None,
        }
    }
    let is_whole = octets == 3 && digits > 0 && octet < 256;
    is_whole.then(|| (Ipv4Addr::from_bits(bits << 8 | octet), is_padded))
}

fn noted(entry: Entry<'static>, is_padded: bool) -> Entry<'static> {
    if is_padded { entry.with_note(Note::ZeroPadded) } else { entry }
}

#[cold]
pub(super) fn not_an_entry(text: &str) -> Error {
    Error::new(ErrorKind::NotAListEntry { text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_standard_library_reads_them_and_padded_ones_as_decimal() {
        for text in ["0.0.0.0", "255.255.255.255", "10.0.0.1", "::", "2001:db8::1"] {
            assert_eq!(address(text), Some((text.parse().unwrap(), false)), "{text}");
        }
        let padded = Some((IpAddr::from([10, 8, 9, 100]), true));
        assert_eq!(address("010.008.009.100"), padded);
        for text in ["", ".", "1.2.3", "1.2.3.4.", ".1.2.3.4", "1.2.3.4.5", "1.2.3.256", "1..2.3"] {
            assert_eq!(address(text), None, "{text}");
        }
        for text in ["1.2.3.0004", "1.2.3.4 ", "+1.2.3.4", "fe80::1%en0", "1", "[::1]", "a.b"] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn prefixes_are_lengths_or_masks() {
        let net = |text: &str| match network(text).unwrap().remotes.pop() {
            Some(Remotes::Net(net)) => net.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(net("10.1.2.3/8"), "10.1.2.3/8");
        assert_eq!(net("10.0.0.0/255.0.0.0"), "10.0.0.0/8");
        assert_eq!(net("2001:db8::/32"), "2001:db8::/32");
        for text in
            ["10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/255.0.255.0", "::/255.0.0.0", "1.2.3.4/-1"]
        {
            assert!(network(text).is_err(), "{text}");
        }
        let error = network("10.0.0.0/33").unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::PrefixTooLong { prefix: 33, limit: 32 });
        let error = network("::/999").unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::PrefixTooLong { prefix: 999, limit: 128 });
    }
}
