//! Input files: opened by name or from standard input, and decompressed by what they hold.

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is read, decompressed.
pub(crate) type Input = Box<dyn BufRead + Send>;

/// Opens a file, or standard input for `-`. What begins as gzip or zstd does is decompressed,
/// whatever its name.
///
/// # Errors
///
/// Those of opening the file and of reading its first bytes.
pub(crate) fn open(path: &Path) -> io::Result<Input> {
    match is_stdin(path) {
        true => decompress(BufReader::with_capacity(BUFFER, stdin()?)),
        false => decompress(BufReader::with_capacity(BUFFER, File::open(path)?)),
    }
}

/// Returns standard input, for one of the arguments.
///
/// # Errors
///
/// That another has it: there is nothing left for this one, which would look like an empty file.
pub(crate) fn stdin() -> io::Result<io::Stdin> {
    static IS_TAKEN: AtomicBool = AtomicBool::new(false);
    match IS_TAKEN.swap(true, Ordering::Relaxed) {
        true => Err(io::Error::other("standard input is read already")),
        false => Ok(io::stdin()),
    }
}

/// Returns whether `path` stands for standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Returns the name by which `path` is reported.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) { "<stdin>".to_owned() } else { path.display().to_string() }
}

/// Returns the content of `input`, decompressed if it begins as gzip or zstd does.
///
/// Of other input no more is read than tells it from these two, so that lines of a pipe can be
/// answered as they come.
///
/// # Errors
///
/// Those of `input`.
pub(crate) fn decompress(mut input: impl BufRead + Send + 'static) -> io::Result<Input> {
    let mut head = Vec::new();
    let is_start_of = |head: &[u8]| MAGICS.iter().any(|magic| magic.starts_with(head));
    while is_start_of(&head) && !MAGICS.contains(&head.as_slice()) {
        let mut byte = [0];
        match input.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => head.extend(byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let is_gzip = head == GZIP;
    // Frames that say nothing of the content may stand before those that hold it.
    let is_zstd = MAGICS.contains(&head.as_slice()) && !is_gzip;
    let whole = Cursor::new(head).chain(input);
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole)))
    } else if is_zstd {
        let zstd = ZstdReader { source: whole, decoder: FrameDecoder::new(), is_within: false };
        Box::new(BufReader::with_capacity(BUFFER, zstd))
    } else {
        Box::new(whole)
    })
}

const BUFFER: usize = 256 * 1024;

const GZIP: &[u8] = b"\x1f\x8b";
const MAGICS: [&[u8]; 2] = [GZIP, b"\x28\xb5\x2f\xfd"];

/// Decompresses zstd, one frame after the other.
struct ZstdReader<R> {
    source: R,
    decoder: FrameDecoder,
    /// Whether a frame has begun.
    is_within: bool,
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_within {
                if self.source.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                match self.decoder.init(&mut self.source) {
                    Ok(()) => self.is_within = true,
                    Err(FrameDecoderError::ReadFrameHeaderError(
                        ReadFrameHeaderError::SkipFrame { length, .. },
                    )) => {
                        let frame = &mut self.source.by_ref().take(length.into());
                        io::copy(frame, &mut io::sink())?;
                        continue;
                    }
                    Err(error) => return Err(io::Error::other(error.to_string())),
                }
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let strategy = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.decoder.decode_blocks(&mut self.source, strategy);
                decoded.map_err(|error| io::Error::other(error.to_string()))?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let (said, found) =
                (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
            if said.is_some() && said != found {
                return Err(io::Error::other("zstd checksum differs: the file is damaged"));
            }
            self.is_within = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn content(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        decompress(Cursor::new(bytes.to_vec()))?.read_to_end(&mut content).map(|_| content)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        use ruzstd::encoding::{CompressionLevel, compress_to_vec};
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    #[test]
    fn plain_text_is_itself() {
        for text in ["", "\n", "\u{1f}", "\u{1f}x", "(", "(\u{b5}", "flow\n"] {
            assert_eq!(content(text.as_bytes()).unwrap(), text.as_bytes(), "{text:?}");
        }
        assert_eq!(content(b"\x28\xb5\x2f").unwrap(), b"\x28\xb5\x2f");
    }

    #[test]
    fn compressed_text_is_found_by_content_also_in_several_pieces() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for compress in [gzip, zstd] {
            assert_eq!(content(&compress(&text)).unwrap(), text);
            assert_eq!(content(&compress(b"")).unwrap(), b"");
            let pieces = [compress(b"a\n"), compress(b""), compress(b"b\n")].concat();
            assert_eq!(content(&pieces).unwrap(), b"a\nb\n");
        }
    }

    #[test]
    fn zstd_frames_without_content_are_skipped() {
        let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc";
        let pieces = [&zstd(b"a"), skippable.as_slice(), &zstd(b"b")].concat();
        assert_eq!(content(&pieces).unwrap(), b"ab");
    }

    #[test]
    fn damaged_archives_are_errors() {
        for compress in [gzip, zstd] {
            let whole = compress(b"some text that is long enough to be cut somewhere");
            for len in 4..whole.len() {
                assert!(content(&whole[..len]).is_err(), "{len} of {}", whole.len());
            }
            let trailing = [whole.as_slice(), b"rest"].concat();
            assert!(content(&trailing).is_err());
        }
    }
}
