//! Logs cut into pieces that can be read at once.

use crate::args::LogFormatArg;
use crate::input::Input;
use crate::progress::Progress;
use flowsieve::formats::MAX_LINE_BYTES;
use flowsieve::formats::logs::{LogFormat, LogOptions, LogReader};
use flowsieve_captures::{Packet, PacketReader, is_capture};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// A piece of a log.
pub(crate) enum Piece {
    /// Whole lines, with a reader that stands before them.
    Text(LogReader, Vec<u8>),
    /// Packets, with their numbers.
    Packets(Vec<(u64, Packet)>),
    /// Why the log cannot be read, or not to its end.
    Unreadable(String),
}

/// The pieces of a log, in order.
pub(crate) struct Pieces {
    /// The name of the format.
    pub(crate) format: &'static str,
    log: Log,
}

enum Log {
    Text(Box<Text>),
    Packets(Box<PacketReader>),
    Empty,
}

struct Text {
    input: Input,
    reader: LogReader,
    /// What has been read and is not in a piece yet.
    rest: Vec<u8>,
    is_at_end: bool,
    /// Whether the line that has just been given goes on in `input`.
    is_line_cut: bool,
}

/// The length of a piece, in bytes: a few thousand lines. What is read of a log does not depend on
/// it.
const PIECE: usize = 1 << 20;

/// As many packets as a piece of text has lines, about.
const PACKETS: usize = 8192;

/// As much of a log as tells its format.
const HEAD: u64 = 64 * 1024;

impl Pieces {
    /// Opens a log, and tells its format by its content unless it is given; what is read of it
    /// counts as progress.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub(crate) fn open(
        path: &Path,
        format: Option<LogFormatArg>,
        options: &Arc<LogOptions>,
        progress: &Progress,
    ) -> Result<Pieces, String> {
        let mut input = progress.open(path).map_err(|error| error.to_string())?;
        let mut head = Vec::new();
        let read = input.by_ref().take(HEAD).read_to_end(&mut head);
        read.map_err(|error| error.to_string())?;
        let is_text = match format {
            Some(LogFormatArg::Pcap) => None,
            Some(format) => format.text(),
            None if is_capture(&head) => None,
            None if options.columns.is_some() => Some(LogFormat::Csv),
            None if head.trim_ascii().is_empty() && head.len() < HEAD as usize => {
                return Ok(Pieces { format: "empty", log: Log::Empty });
            }
            None => Some(LogFormat::detect(&head).ok_or(UNKNOWN)?),
        };
        let Some(format) = is_text else {
            let reader = PacketReader::new(head, input)?;
            return Ok(Pieces { format: "pcap", log: Log::Packets(Box::new(reader)) });
        };
        let reader = LogReader::shared(format, Arc::clone(options));
        let text = Text { input, reader, rest: head, is_at_end: false, is_line_cut: false };
        Ok(Pieces { format: format.as_str(), log: Log::Text(Box::new(text)) })
    }

    /// Returns the next piece; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        match &mut self.log {
            Log::Text(text) => match text.next() {
                Ok(piece) => piece,
                Err(error) => {
                    self.log = Log::Empty;
                    Some(Piece::Unreadable(error.to_string()))
                }
            },
            Log::Packets(reader) => {
                let packets = reader.next_batch(PACKETS);
                (!packets.is_empty()).then_some(Piece::Packets(packets))
            }
            Log::Empty => None,
        }
    }
}

const UNKNOWN: &str = "no known log format; --as FORMAT forces one, --columns says what CSV holds";

impl Text {
    fn next(&mut self) -> io::Result<Option<Piece>> {
        if self.is_line_cut {
            self.skip_line()?;
        }
        if !self.is_at_end && self.rest.len() < PIECE {
            let missing = (PIECE - self.rest.len()) as u64;
            self.rest.reserve(missing as usize);
            let read = self.input.by_ref().take(missing).read_to_end(&mut self.rest)?;
            self.is_at_end = (read as u64) < missing;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let len = match self.is_at_end && self.rest.len() <= PIECE {
            true => self.rest.len(),
            false => match self.reader.format().cut(&self.rest) {
                // A record that fills a piece is too long to be read, and so may be torn.
                0 => self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1),
                len => len,
            },
        };
        let text = match len {
            // A line of which the beginning is enough to be told that it is too long.
            0 => {
                let mut line = std::mem::take(&mut self.rest);
                line.truncate(MAX_LINE_BYTES + 4);
                line.push(b'\n');
                self.is_line_cut = true;
                line
            }
            len => {
                let rest = self.rest.split_off(len);
                std::mem::replace(&mut self.rest, rest)
            }
        };
        let reader = self.reader.clone();
        self.reader.advance(&text);
        Ok(Some(Piece::Text(reader, text)))
    }

    /// Goes past the end of the line.
    fn skip_line(&mut self) -> io::Result<()> {
        self.is_line_cut = false;
        let skipped = self.input.skip_until(b'\n')?;
        self.is_at_end = skipped == 0;
        Ok(())
    }
}
