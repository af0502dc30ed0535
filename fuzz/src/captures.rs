//! The target `captures`.

use flowsieve::formats::flow_lines;
use flowsieve::formats::logs::local_net;
use flowsieve_captures::{Packet, PacketReader, is_capture};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Reads `data` as a capture.
///
/// # Panics
///
/// If packets are lost or added, if the size of the buffer or of what is read at once changes
/// something, if the buffer exceeds what the input accounts for, or if a flow cannot be written.
pub fn captures(data: &[u8]) {
    let _ = is_capture(data);
    let whole = read(data, BUFFER, data.len().max(1), usize::MAX);
    match &whole {
        Ok(packets) => check_packets(data, packets),
        Err(message) => assert!(!message.is_empty() && message.len() < 100, "{message}"),
    }
    // A header that is longer than the buffer is not read.
    let pieces = read(data, SMALL_BUFFER, 7, 3);
    if whole.is_err() || pieces.is_ok() {
        assert_eq!(pieces, whole, "in pieces, whole");
    }
}

/// The size of a reader's buffer at first, in bytes: enough for most files, and for hardly more
/// than a header.
const BUFFER: usize = 4096;
const SMALL_BUFFER: usize = 64;

type Packets = Vec<(u64, Packet)>;

/// Reads packets with a buffer of `capacity` bytes, of `piece` bytes at once, in batches of
/// `count`.
fn read(data: &[u8], capacity: usize, piece: usize, count: usize) -> Result<Packets, String> {
    let asked = Arc::new(AtomicUsize::new(0));
    let (head, rest) = data.split_at(piece.min(data.len()));
    let source = Source { rest: rest.to_vec(), at: 0, piece, asked: Arc::clone(&asked) };
    let mut reader = PacketReader::with_capacity(capacity, head.to_vec(), source)?;
    let mut packets = Vec::new();
    loop {
        let batch = reader.next_batch(count);
        assert!(batch.len() <= count, "{} of {count}", batch.len());
        if batch.is_empty() {
            break;
        }
        packets.extend(batch);
    }
    let most = capacity.max(2 * data.len());
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked <= most, "a buffer of {asked} bytes for {} of input", data.len());
    Ok(packets)
}

/// Gives a few bytes at once, and notes for how many it is asked.
struct Source {
    rest: Vec<u8>,
    at: usize,
    piece: usize,
    asked: Arc<AtomicUsize>,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.asked.fetch_max(buffer.len(), Ordering::Relaxed);
        let rest = self.rest.get(self.at..).unwrap_or_default();
        let len = rest.len().min(buffer.len()).min(self.piece);
        for (to, from) in buffer.iter_mut().zip(rest.iter().take(len)) {
            *to = *from;
        }
        self.at += len;
        Ok(len)
    }
}

/// Every packet is there once, in order, and says something of bounded length.
fn check_packets(data: &[u8], packets: &Packets) {
    assert!(packets.iter().map(|(number, _)| *number).eq(1..=packets.len() as u64));
    let (flows, skipped, rejected) = packets.iter().fold((0, 0, 0), |counts, (_, packet)| {
        let (flows, skipped, rejected) = counts;
        match packet {
            Packet::Flow(connection) => {
                let nets = [local_net("10.0.0.0/8").unwrap(), local_net("fd00::/8").unwrap()];
                let found = connection.to_flow(&nets);
                let written = flow_lines::write(&found.flow);
                assert_eq!(flow_lines::read(&written).as_ref(), Ok(&found.flow), "{written}");
                (flows + 1, skipped, rejected)
            }
            Packet::Skipped(reason) => {
                assert!(!reason.is_empty());
                (flows, skipped + 1, rejected)
            }
            Packet::Rejected(reason) => {
                assert!(reason.as_ref().is_none_or(|reason| reason.len() < 200), "{reason:?}");
                (flows, skipped, rejected + 1)
            }
        }
    });
    let walk = walk(data);
    let found = flows + skipped + rejected;
    match walk.end {
        End::Whole => assert_eq!(found, walk.packets, "{packets:?}"),
        End::Cut => {
            assert_eq!(found, walk.packets + 1, "{packets:?}");
            assert!(matches!(packets.last(), Some((_, Packet::Rejected(Some(_))))), "{packets:?}");
        }
        End::Unknown => {
            let most = data.len() as u64 / 12 + 1;
            assert!((walk.packets..=most).contains(&found), "{found}: {packets:?}");
        }
    }
}

/// The packets of a capture, counted by the lengths of its blocks.
struct Walk {
    packets: u64,
    end: End,
}

/// How far a walk came.
enum End {
    /// To the end of the file, which is the end of a block.
    Whole,
    /// To the end of the file, within a packet or a block.
    Cut,
    /// To something of which this does not know whether it is in order.
    Unknown,
}

fn walk(data: &[u8]) -> Walk {
    match data.first_chunk::<4>() {
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => walk_pcapng(data),
        Some([0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]) => walk_pcap(data, 16, le),
        Some([0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d]) => walk_pcap(data, 16, be),
        // With 8 more bytes in the header of each packet.
        Some([0x34, 0xcd, 0xb2, 0xa1]) => walk_pcap(data, 24, le),
        _ => Walk { packets: 0, end: End::Unknown },
    }
}

type Number = fn([u8; 4]) -> u32;

fn le(bytes: [u8; 4]) -> u32 {
    u32::from_le_bytes(bytes)
}

fn be(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes)
}

/// The number of 4 bytes that stands at a place.
fn number_at(data: &[u8], place: usize, number: Number) -> Option<usize> {
    let bytes = data.get(place..)?.first_chunk::<4>()?;
    Some(number(*bytes) as usize)
}

fn walk_pcap(data: &[u8], header: usize, number: Number) -> Walk {
    let mut rest = data.get(24..).unwrap_or_default();
    let mut packets = 0;
    while !rest.is_empty() {
        let len = number_at(rest, 8, number);
        let Some(next) = len.and_then(|len| rest.get(header + len..)) else {
            return Walk { packets, end: End::Cut };
        };
        packets += 1;
        rest = next;
    }
    Walk { packets, end: End::Whole }
}

fn walk_pcapng(data: &[u8]) -> Walk {
    const SECTION: usize = 0x0a0d_0d0a;
    let mut rest = data;
    let mut packets = 0;
    let mut number: Number = le;
    while !rest.is_empty() {
        let Some(kind) = number_at(rest, 0, number) else {
            return Walk { packets, end: End::Cut };
        };
        if kind == SECTION {
            number = match rest.get(8..).and_then(<[u8]>::first_chunk::<4>) {
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => le,
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => be,
                Some(_) => return Walk { packets, end: End::Unknown },
                None => return Walk { packets, end: End::Cut },
            };
        }
        let Some(len) = number_at(rest, 4, number) else {
            return Walk { packets, end: End::Cut };
        };
        // What a block has at least: section, interface, simple and enhanced packet, and another.
        let least = match kind {
            SECTION => 28,
            1 => 20,
            3 => 16,
            6 => 32,
            _ => 12,
        };
        if len < least {
            return Walk { packets, end: End::Unknown };
        }
        let (Some(block), Some(next)) = (rest.get(..len), rest.get(len..)) else {
            return Walk { packets, end: End::Cut };
        };
        let has_same_len_behind = number_at(block, len - 4, number) == Some(len);
        let is_packet_within = kind != 6
            || number_at(block, 20, number)
                .is_some_and(|packet| 32 + packet.next_multiple_of(4) <= len);
        if !has_same_len_behind || !is_packet_within {
            return Walk { packets, end: End::Unknown };
        }
        // The third is the obsolete kind, which is rejected.
        packets += u64::from([3, 6, 2].contains(&kind));
        rest = next;
    }
    Walk { packets, end: End::Whole }
}
