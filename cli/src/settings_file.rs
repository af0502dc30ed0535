//! Settings files, and files that are read whole.

use crate::args::SettingsArgs;
use crate::input;
use crate::lint;
use crate::status::Failure;
use flowsieve::FilterSettings;
use flowsieve::formats::settings::{MAX_BYTES, ReadOptions, read_with};
use std::io::{self, Read};
use std::path::Path;

/// Reads the settings that the arguments name.
///
/// # Errors
///
/// A message with the file, and the place in it where there is one.
pub(crate) fn read(args: &SettingsArgs) -> Result<FilterSettings, Failure> {
    parse(args, &read_whole(&args.settings)?)
}

/// Reads the settings that the arguments name, and prints the errors among their lints.
///
/// # Errors
///
/// As for [`read`].
pub(crate) fn read_and_lint(args: &SettingsArgs) -> Result<FilterSettings, Failure> {
    let text = read_whole(&args.settings)?;
    let settings = parse(args, &text)?;
    lint::print_errors(&args.settings, &text);
    Ok(settings)
}

fn parse(args: &SettingsArgs, text: &[u8]) -> Result<FilterSettings, Failure> {
    let mut options = ReadOptions::default();
    options.hostname_in_network = args.hostname_in_network;
    read_with(text, options).map_err(|error| in_file(&args.settings, error))
}

/// Reads a file of at most [`MAX_BYTES`], or standard input for `-`; what is compressed is decompressed.
///
/// # Errors
///
/// A message with the file; a larger one is refused before it is read, or, where its size is not known beforehand, once
/// it proves larger.
pub(crate) fn read_whole(path: &Path) -> Result<Vec<u8>, Failure> {
    read_up_to(path, MAX_BYTES as u64).map_err(|error| in_file(path, error))
}

/// Returns the failure of a file.
pub(crate) fn in_file(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::BadInput(format!("{}: {error}", input::name(path)))
}

fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let too_large = || io::Error::other(format!("file exceeds {limit} bytes"));
    // What is not a regular file, such as a pipe, does not know its size.
    let len = if input::is_stdin(path) { 0 } else { path.metadata()?.len() };
    if len > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    let read = input::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if read as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_file_without_a_size_is_read_up_to_the_limit() {
        let error = read_up_to(Path::new("/dev/zero"), 1000).unwrap_err();
        assert_eq!(error.to_string(), "file exceeds 1000 bytes");
    }
}
