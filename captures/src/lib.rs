//! pcap and pcapng: the first packet of each flow.
//!
//! A package of its own, so that the command line and a fuzz target share it and the library needs
//! no parser of packets.

use etherparse::err::Layer;
use etherparse::ip_number::{AUTH, IPV6_DEST_OPTIONS, IPV6_FRAG, IPV6_HOP_BY_HOP, IPV6_ROUTE};
use etherparse::{EtherType, IpNumber, Ipv6ExtensionsSlice, LaxNetSlice, LaxSlicedPacket};
use flowsieve::IpProtocol;
use flowsieve::formats::logs::{Connection, End};
use pcap_parser::pcapng::Block;
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Linktype, OptionCode, PcapBlockOwned, PcapError, create_reader};
use pcap_parser::{nom, parse_sectionheaderblock};
use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::net::IpAddr;

/// Reads the packets of a capture.
pub struct PacketReader {
    reader: Box<dyn PcapReaderIterator + Send>,
    /// Whether numbers are written from their high end, in the section of a pcapng file.
    is_big_endian: Option<bool>,
    /// The link type of each interface, and whether it has been complained about.
    links: Vec<(Linktype, bool)>,
    flows: FlowTable,
    /// The number of the next packet, from 1.
    number: u64,
    /// The size of the buffer, in bytes.
    capacity: usize,
    is_finished: bool,
}

/// What a packet is.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    /// The first of a flow.
    Flow(Connection),
    /// In order, but not the first of a flow.
    Skipped(&'static str),
    /// Not to be understood, for the reason given; without one where it has been given.
    Rejected(Option<String>),
}

/// Returns whether a file that begins with `head` is a capture.
pub fn is_capture(head: &[u8]) -> bool {
    MAGICS.iter().any(|magic| head.starts_with(magic))
}

/// pcapng, and pcap with times in micro- and nanoseconds, of either byte order.
const MAGICS: [[u8; 4]; 5] = [
    [0x0a, 0x0d, 0x0d, 0x0a],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
];

impl PacketReader {
    /// Makes a reader of a capture of which `head` has been read already.
    ///
    /// # Errors
    ///
    /// That its header cannot be read.
    pub fn new(head: Vec<u8>, rest: impl Read + Send + 'static) -> Result<PacketReader, String> {
        PacketReader::with_capacity(CAPACITY, head, rest)
    }

    /// Makes a reader whose buffer has `capacity` bytes at first, which have to hold the header of
    /// the file. It grows where a packet is longer.
    ///
    /// # Errors
    ///
    /// That the header cannot be read.
    pub fn with_capacity(
        capacity: usize,
        head: Vec<u8>,
        rest: impl Read + Send + 'static,
    ) -> Result<PacketReader, String> {
        let mut input = Whole(Cursor::new(head).chain(rest));
        let mut start = Vec::new();
        let read = input.by_ref().take(START).read_to_end(&mut start);
        if read.is_err() && start.is_empty() {
            return Err(wrong(&PcapError::ReadError));
        }
        if (start.len() as u64) < START && is_section_cut(&start) {
            return Err(wrong(&PcapError::UnexpectedEof));
        }
        let input = Whole(Cursor::new(start).chain(input));
        let reader = create_reader(capacity, input).map_err(|error| wrong(&error))?;
        Ok(PacketReader {
            reader,
            is_big_endian: None,
            links: Vec::new(),
            flows: FlowTable::default(),
            number: 1,
            capacity,
            is_finished: false,
        })
    }

    /// Returns the next packets with their numbers; none at the end.
    pub fn next_batch(&mut self, count: usize) -> Vec<(u64, Packet)> {
        let mut batch = Vec::new();
        while batch.len() < count && !self.is_finished {
            if let Some(packet) = self.step() {
                batch.push((self.number, packet));
                self.number += 1;
            }
        }
        batch
    }

    /// Reads a block; `None` if it holds no packet.
    fn step(&mut self) -> Option<Packet> {
        let data = self.reader.data();
        let before = data.len();
        let problem = match self.is_big_endian.and_then(|is_big| unread_block(data, is_big)) {
            Some(Unread::Whole { len, packet }) => {
                self.reader.consume(len);
                return packet;
            }
            Some(Unread::Cut) => None,
            Some(Unread::Damaged) => Some(DAMAGED.to_owned()),
            None => match self.reader.next() {
                Ok((len, block)) => {
                    if let PcapBlockOwned::NG(Block::SectionHeader(header)) = &block {
                        self.is_big_endian = Some(header.big_endian());
                    }
                    let packet = of_block(block, &mut self.links, &mut self.flows);
                    self.reader.consume(len);
                    return packet;
                }
                Err(PcapError::Eof) => {
                    self.is_finished = true;
                    return None;
                }
                Err(PcapError::Incomplete(_) | PcapError::BufferTooSmall) => None,
                Err(error) => Some(wrong(&error)),
            },
        };
        if problem.is_none() {
            // Reading into a buffer that is full would look like the end of the file.
            let is_full = before >= self.capacity;
            if is_full && self.capacity < MAX_CAPACITY && self.reader.grow(2 * self.capacity) {
                self.capacity *= 2;
                return None;
            }
            if !is_full && self.reader.refill().is_ok() {
                let now = self.reader.data().len();
                // Nothing is left, and nothing follows: the end, behind a whole packet.
                self.is_finished = now == 0;
                if now > before || now == 0 {
                    return None;
                }
            }
        }
        self.is_finished = true;
        let cut = || match self.reader.reader_exhausted() {
            true => "the file ends within a packet".to_owned(),
            false => format!("a packet exceeds {MAX_CAPACITY} bytes"),
        };
        Some(Packet::Rejected(Some(problem.unwrap_or_else(cut))))
    }
}

/// As much of a file as tells whether its section header is whole, in bytes.
const START: u64 = 64 * 1024;

/// The size of the buffer at first, in bytes, and the largest.
const CAPACITY: usize = 256 * 1024;
const MAX_CAPACITY: usize = 16 * 1024 * 1024;

/// Whether a file that begins with `start` would need more than that for its section header.
///
/// [`create_reader`] takes such a file for one that is no capture (pcap-parser 0.17).
fn is_section_cut(start: &[u8]) -> bool {
    let [section, ..] = MAGICS;
    start.starts_with(&section)
        && matches!(parse_sectionheaderblock(start), Err(nom::Err::Incomplete(_)))
}

/// Reads as much as is asked for where there is as much, since the first read has to give the
/// whole header.
struct Whole<R>(R);

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return if filled > 0 { Ok(filled) } else { Err(error) },
            }
        }
        Ok(filled)
    }
}

fn wrong(error: &PcapError<&[u8]>) -> String {
    match error {
        PcapError::Eof | PcapError::Incomplete(_) | PcapError::UnexpectedEof => {
            "the file ends within its header or a packet".to_owned()
        }
        PcapError::ReadError => "the file cannot be read to its end".to_owned(),
        PcapError::HeaderNotRecognized => "not a capture: unknown header".to_owned(),
        _ => DAMAGED.to_owned(),
    }
}

const DAMAGED: &str = "not a capture: a block is damaged";

/// A block of pcapng that is passed over by its length.
enum Unread {
    Whole { len: usize, packet: Option<Packet> },
    Cut,
    Damaged,
}

/// Returns what is known of the block at the beginning of `data` by its type and lengths, if it is
/// of a type that says nothing of packets.
///
/// Such a block is not parsed: what is wrong within it costs no packet, and a length that the type
/// does not allow does no harm (pcap-parser 0.17 panics at that of process information).
fn unread_block(data: &[u8], is_big_endian: bool) -> Option<Unread> {
    let number = |place: usize| {
        let bytes = data.get(place..)?.first_chunk::<4>()?;
        Some(if is_big_endian { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) })
    };
    let (kind, len) = (number(0)?, number(4)?);
    let packet = match kind {
        SECTION_HEADER | INTERFACE_DESCRIPTION | SIMPLE_PACKET | ENHANCED_PACKET => return None,
        OBSOLETE_PACKET => {
            let message = "packet block of the obsolete kind is not read".to_owned();
            Some(Packet::Rejected(Some(message)))
        }
        _ => None,
    };
    let len = len as usize;
    // The type, and the length before and behind what the block holds.
    if len < 12 {
        return Some(Unread::Damaged);
    }
    Some(match number(len - 4) {
        Some(behind) if behind as usize == len => Unread::Whole { len, packet },
        Some(_) => Unread::Damaged,
        None => Unread::Cut,
    })
}

/// The types of blocks that say something of packets.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// What a block says; `None` if it holds no packet.
fn of_block(
    block: PcapBlockOwned<'_>,
    links: &mut Vec<(Linktype, bool)>,
    flows: &mut FlowTable,
) -> Option<Packet> {
    let (interface, data, local) = match &block {
        PcapBlockOwned::LegacyHeader(header) => {
            *links = vec![(header.network, false)];
            return None;
        }
        PcapBlockOwned::Legacy(packet) => (0, packet.data, None),
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            links.clear();
            return None;
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
            links.push((interface.linktype, false));
            return None;
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let flags = packet.options.iter().find(|option| option.code == OptionCode(2));
            let bits = flags.and_then(|flags| flags.value.first_chunk::<4>());
            let bits = bits.map_or(0, |bits| match packet.big_endian() {
                true => u32::from_be_bytes(*bits),
                false => u32::from_le_bytes(*bits),
            });
            let local = match bits & 3 {
                1 => Some(End::Destination),
                2 => Some(End::Source),
                _ => None,
            };
            (packet.if_id as usize, packet.packet_data(), local)
        }
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => (0, packet.packet_data(), None),
        PcapBlockOwned::NG(_) => return None,
    };
    let Some((link, is_known_bad)) = links.get_mut(interface) else {
        let message = format!("interface {interface} has not been described");
        return Some(Packet::Rejected(Some(message)));
    };
    Some(match network_layer(*link, data) {
        Link::Sliced(packet, told) => flows.packet(&packet, local.or(told)),
        Link::Other => Packet::Skipped("not IP"),
        Link::Cut => Packet::Rejected(Some("packet cut off in its headers".to_owned())),
        Link::Unread if *is_known_bad => Packet::Rejected(None),
        Link::Unread => {
            *is_known_bad = true;
            Packet::Rejected(Some(format!(
                "link type {} is not read: expected Ethernet, raw IP, loopback or Linux cooked; \
                 its other packets are counted and not named",
                link.0
            )))
        }
    })
}

/// What stands in the link layer.
#[allow(clippy::large_enum_variant, reason = "one at a time, and nearly always the large one")]
enum Link<'a> {
    /// The layers above it, and the end that is this host where it says so.
    Sliced(LaxSlicedPacket<'a>, Option<End>),
    Other,
    Cut,
    Unread,
}

fn network_layer(link: Linktype, data: &[u8]) -> Link<'_> {
    let sliced = |packet, local| match packet {
        Some(packet) => Link::Sliced(packet, local),
        None => Link::Cut,
    };
    let ip = |data| sliced(LaxSlicedPacket::from_ip(data).ok(), None);
    let typed = |kind: Option<&[u8; 2]>, data: Option<_>, local| match (kind, data) {
        (Some(kind), Some(data)) => {
            let kind = EtherType(u16::from_be_bytes(*kind));
            Link::Sliced(LaxSlicedPacket::from_ether_type(kind, data), local)
        }
        _ => Link::Cut,
    };
    // Of a packet to this host 0, of one that it sent 4.
    let cooked = |kind: Option<u8>| match kind {
        Some(0) => Some(End::Destination),
        Some(4) => Some(End::Source),
        _ => None,
    };
    match link.0 {
        1 => sliced(LaxSlicedPacket::from_ethernet(data).ok(), None),
        // Raw IP, by three numbers, and of one family.
        12 | 14 | 101 | 228 | 229 => ip(data),
        // The family as a number of the capturing system (0) or in network order (108).
        0 | 108 => match (data.first_chunk::<4>(), data.get(4..)) {
            (Some(family), Some(rest)) => {
                let family = match family {
                    [0, 0, 0, number] | [number, 0, 0, 0] => *number,
                    _ => 0,
                };
                match family {
                    2 | 10 | 24 | 28 | 30 => ip(rest),
                    _ => Link::Other,
                }
            }
            _ => Link::Cut,
        },
        // Linux cooked, 1 and 2.
        113 => typed(
            data.get(14..).and_then(<[u8]>::first_chunk),
            data.get(16..),
            cooked(data.get(1).copied()),
        ),
        276 => typed(data.first_chunk(), data.get(20..), cooked(data.get(10).copied())),
        _ => Link::Unread,
    }
}

/// The flows that have been seen.
#[derive(Default)]
struct FlowTable {
    /// Whether a TCP connection has been closed, by either side.
    seen: HashMap<Key, bool, foldhash::fast::RandomState>,
}

/// Both ends, in an order that does not depend on who sent, and the protocol.
type Key = ([(IpAddr, u16); 2], IpProtocol);

/// The most flows that are remembered; then all are forgotten, and their next packet is the first.
const MAX_FLOWS: usize = 1 << 22;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

impl FlowTable {
    fn packet(&mut self, packet: &LaxSlicedPacket<'_>, local: Option<End>) -> Packet {
        let (source, destination, payload, offset): (IpAddr, IpAddr, _, _) = match &packet.net {
            Some(LaxNetSlice::Ipv4(ip)) => {
                let header = ip.header();
                let ends = (header.source_addr(), header.destination_addr());
                (ends.0.into(), ends.1.into(), ip.payload(), header.fragments_offset().value())
            }
            Some(LaxNetSlice::Ipv6(ip)) => {
                let header = ip.header();
                let offset = fragment_offset(ip.extensions()).unwrap_or(0);
                let ends = (header.source_addr(), header.destination_addr());
                (ends.0.into(), ends.1.into(), ip.payload(), offset)
            }
            Some(LaxNetSlice::Arp(_)) => return Packet::Skipped("not IP"),
            None => {
                return match packet.stop_err {
                    Some(_) => Packet::Rejected(Some("packet cut off or damaged".to_owned())),
                    None => Packet::Skipped("not IP"),
                };
            }
        };
        if offset > 0 {
            return Packet::Skipped("fragment after the first");
        }
        if let Some((_, layer)) = &packet.stop_err
            && is_extension(*layer)
        {
            let message = "packet cut off or damaged before its protocol".to_owned();
            return Packet::Rejected(Some(message));
        }
        let protocol = IpProtocol(payload.ip_number.0);
        let data = payload.payload;
        let ports = match protocol.0 {
            6 | 17 | 33 | 132 | 136 => match data.first_chunk::<4>() {
                Some([a, b, c, d]) => (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])),
                None => {
                    let message = "packet cut off before its ports".to_owned();
                    return Packet::Rejected(Some(message));
                }
            },
            _ => (0, 0),
        };
        let flags = match protocol {
            IpProtocol::TCP => data.get(13).copied(),
            _ => None,
        };
        let (source, destination) = ((source, ports.0), (destination, ports.1));
        if !self.is_first(source, destination, protocol, flags.unwrap_or(0)) {
            return Packet::Skipped("later packet of a flow");
        }
        let mut connection = Connection::new(source, destination, protocol);
        connection.local = local;
        connection.opener = match flags {
            Some(flags) if flags & SYN != 0 && flags & ACK == 0 => Some(End::Source),
            Some(flags) if flags & SYN != 0 => Some(End::Destination),
            // A connection that began before the capture.
            Some(_) => None,
            None if protocol == IpProtocol::TCP => None,
            None => Some(End::Source),
        };
        Packet::Flow(connection)
    }

    /// Notes a packet; `true` if it begins a flow, as SYN does once the one before is closed.
    fn is_first(
        &mut self,
        source: (IpAddr, u16),
        destination: (IpAddr, u16),
        protocol: IpProtocol,
        flags: u8,
    ) -> bool {
        let mut ends = [source, destination];
        ends.sort_unstable();
        let is_close = flags & (FIN | RST) != 0;
        let is_open = flags & (SYN | ACK) == SYN;
        match self.seen.get_mut(&(ends, protocol)) {
            Some(is_closed) if *is_closed && is_open => *is_closed = is_close,
            Some(is_closed) => {
                *is_closed |= is_close;
                return false;
            }
            None => {
                if self.seen.len() >= MAX_FLOWS {
                    self.seen.clear();
                }
                self.seen.insert((ends, protocol), is_close);
            }
        }
        true
    }
}

/// The place of a fragment in its packet, in units of 8 bytes; `None` if it is the whole packet.
///
/// The iterator over the headers is not used: behind a header that was cut off it reads past the
/// end of the packet (etherparse 0.21).
fn fragment_offset(headers: &Ipv6ExtensionsSlice<'_>) -> Option<u16> {
    let mut kind = headers.first_header()?;
    let mut rest = headers.slice();
    loop {
        let [next, len, a, b, ..] = *rest else { return None };
        let len = match kind {
            IPV6_FRAG => return Some(u16::from_be_bytes([a, b]) >> 3),
            IPV6_HOP_BY_HOP | IPV6_ROUTE | IPV6_DEST_OPTIONS => 8 * (usize::from(len) + 1),
            AUTH => 4 * (usize::from(len) + 2),
            _ => return None,
        };
        kind = IpNumber(next);
        rest = rest.get(len..)?;
    }
}

/// Whether a layer is a header between that of IP and the protocol.
fn is_extension(layer: Layer) -> bool {
    matches!(
        layer,
        Layer::IpAuthHeader
            | Layer::Ipv6ExtHeader
            | Layer::Ipv6HopByHopHeader
            | Layer::Ipv6DestOptionsHeader
            | Layer::Ipv6RouteHeader
            | Layer::Ipv6FragHeader
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a pcap file of raw IP, and of a packet of `len` bytes.
    fn head(len: u32) -> Vec<u8> {
        let mut head = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x65\0\0\0".to_vec();
        head.extend([[0; 4], [0; 4], len.to_le_bytes(), len.to_le_bytes()].concat());
        head
    }

    #[test]
    fn buffer_grows_to_the_longest_packet_and_no_further_than_its_limit() {
        let most = MAX_CAPACITY as u32;
        for (len, is_read) in [(CAPACITY as u32 + 1, true), (most - 16, true), (most + 1, false)] {
            // ICMP to nobody, with so many bytes behind it.
            let mut packet = b"\x45\0\0\x14\0\0\0\0\x40\x01\0\0\0\0\0\0\0\0\0\0".to_vec();
            packet.resize(len as usize, 0);
            let mut reader = PacketReader::new(head(len), Cursor::new(packet)).unwrap();
            let batch = reader.next_batch(usize::MAX);
            match (is_read, batch.as_slice()) {
                (true, [(1, Packet::Flow(_))]) => {}
                (false, [(1, Packet::Rejected(Some(reason)))]) => {
                    assert_eq!(reason, "a packet exceeds 16777216 bytes");
                }
                (_, other) => panic!("{len}: {other:?}"),
            }
            assert!(reader.capacity <= MAX_CAPACITY, "{len}: {}", reader.capacity);
        }
    }

    #[test]
    fn section_header_that_is_cut_off_is_said_to_be() {
        let little = b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0";
        let big = b"\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\x01\0\0";
        let error = |bytes: &[u8], read: usize| {
            let (head, rest) = bytes.split_at(read);
            PacketReader::new(head.to_vec(), Cursor::new(rest.to_vec())).err()
        };
        let cut = Some("the file ends within its header or a packet".to_owned());
        for head in [little, big] {
            let end = [head.get(4..8).unwrap(), &[]].concat();
            let whole = [head.as_slice(), &[0xff; 8], &end].concat();
            for len in 0..whole.len() {
                for read in [0, len.min(5), len] {
                    assert_eq!(error(&whole[..len], read), cut, "{len} bytes, {read} read before");
                }
            }
            assert_eq!(error(&whole, 4), None);
        }
        let other = Some("not a capture: unknown header".to_owned());
        let mut damaged = little.to_vec();
        damaged[8] = 0;
        for bytes in [damaged.as_slice(), b"hello", b"hello, this is text"] {
            assert_eq!(error(bytes, bytes.len()), other, "{bytes:?}");
        }
    }

    #[test]
    fn packet_that_ends_at_an_extension_header_is_rejected() {
        // IPv6, hop-by-hop options, a fragment, and what stands behind it.
        let whole = [
            b"\x60\0\0\0\0\x18\0\x40".as_slice(),
            &[0; 32],
            &[44, 0, 1, 4, 0, 0, 0, 0],
            &[17, 0, 0, 1, 0, 0, 0, 9],
            &[0x14, 0xe9, 0, 53, 0, 8, 0, 0],
        ]
        .concat();
        for len in 40..=whole.len() {
            let packet = Cursor::new(whole[..len].to_vec());
            let mut reader = PacketReader::new(head(len as u32), packet).unwrap();
            let reason = match len {
                ..56 => "packet cut off or damaged before its protocol",
                56..60 => "packet cut off before its ports",
                _ => "",
            };
            match reader.next_batch(9).as_slice() {
                [(1, Packet::Rejected(Some(found)))] => assert_eq!(found, reason, "{len}"),
                [(1, Packet::Flow(_))] => assert_eq!(reason, "", "{len}"),
                other => panic!("{len}: {other:?}"),
            }
        }
    }

    #[test]
    fn blocks_that_say_nothing_of_packets_are_passed_over_by_their_length() {
        for is_big in [false, true] {
            let number =
                |value: u32| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
            // With a length that need not be that of what the block holds.
            let block = |kind: u32, len: usize, body: &[u8]| {
                let len = number(len as u32);
                [&number(kind), &len, body, &len].concat()
            };
            let version = if is_big { [0, 1, 0, 0] } else { [1, 0, 0, 0] };
            let section = [&number(0x1a2b_3c4d), version.as_slice(), &[0xff; 8]].concat();
            let link = if is_big { [0, 101] } else { [101, 0] };
            let head = [
                block(SECTION_HEADER, 28, &section),
                block(INTERFACE_DESCRIPTION, 20, &[link, [0; 2], [0; 2], [0; 2]].concat()),
            ]
            .concat();
            // ICMP to nobody.
            let ip = b"\x45\0\0\x14\0\0\0\0\x40\x01\0\0\0\0\0\0\0\0\0\0";
            let packet = block(SIMPLE_PACKET, 36, &[&number(20), ip.as_slice()].concat());
            let read = |other: &[u8]| {
                let file = [head.as_slice(), other, &packet].concat();
                let mut reader = PacketReader::new(file, std::io::empty()).unwrap();
                reader.next_batch(9)
            };
            let damaged = [(1, Packet::Rejected(Some(DAMAGED.to_owned())))];
            // Names, statistics, a journal, secrets, custom, process information, Darwin's.
            for kind in [0, 4, 5, 9, 10, 0xbad, 0x4000_0bad, 0x8000_0001, 0x8000_0002, u32::MAX] {
                for len in (0..64).step_by(4) {
                    // Options of which the first exceeds the block.
                    let body = vec![0xff; len.max(12) - 12];
                    let found = read(&block(kind, len, &body));
                    match len {
                        ..12 => assert_eq!(found, damaged, "{kind:#x}, {len} bytes"),
                        _ => match found.as_slice() {
                            [(1, Packet::Flow(_))] => {}
                            other => panic!("{kind:#x}, {len} bytes: {other:?}"),
                        },
                    }
                }
                let mut ends_differ = block(kind, 16, &[0; 4]);
                *ends_differ.last_mut().unwrap() ^= 1;
                assert_eq!(read(&ends_differ), damaged, "{kind:#x}");
                let cut = "the file ends within a packet".to_owned();
                let cut = [(1, Packet::Rejected(Some(cut)))];
                assert_eq!(read(&block(kind, 1 << 12, &[])), cut, "{kind:#x}");
            }
            match read(&block(OBSOLETE_PACKET, 16, &[0; 4])).as_slice() {
                [(1, Packet::Rejected(Some(reason))), (2, Packet::Flow(_))] => {
                    assert_eq!(reason, "packet block of the obsolete kind is not read");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn packet_that_is_not_there_is_not_waited_for_in_a_large_buffer() {
        let mut reader = PacketReader::new(head(u32::MAX), std::io::empty()).unwrap();
        let reason = "the file ends within a packet".to_owned();
        assert_eq!(reader.next_batch(9), [(1, Packet::Rejected(Some(reason)))]);
        assert_eq!(reader.capacity, CAPACITY);
    }
}
