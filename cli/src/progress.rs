//! [`Progress`]: a bar on standard error, of what takes longer than a second, on a terminal only.

use crate::input::{self, Input};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How much has been read of some files.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    start: Instant,
    is_shown: Arc<AtomicBool>,
}

impl Progress {
    /// Makes a bar of the sizes of `files`, as they are on the disk; without a total where one of
    /// them has no size.
    pub(crate) fn of_files(files: &[PathBuf]) -> Progress {
        let size = |path: &PathBuf| {
            let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
            Some(metadata.len())
        };
        let total: Option<u64> = files.iter().map(size).sum();
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(ProgressDrawTarget::hidden());
        let template = match total {
            Some(_) => "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}",
            None => "{spinner} {bytes} {bytes_per_sec} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, start: Instant::now(), is_shown: Arc::default() }
    }

    /// Opens a file, or standard input for `-`, decompressed; what is read of it counts.
    ///
    /// # Errors
    ///
    /// Those of [`input::open`].
    pub(crate) fn open(&self, path: &Path) -> io::Result<Input> {
        let source: Box<dyn Read + Send> = match input::is_stdin(path) {
            true => Box::new(input::stdin()?),
            false => Box::new(File::open(path)?),
        };
        let counted = Counted { source, progress: self.clone() };
        input::decompress(BufReader::with_capacity(BUFFER, counted))
    }

    /// Does something that prints, with the bar out of the way.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match self.is_shown.load(Ordering::Relaxed) {
            true => self.bar.suspend(print),
            false => print(),
        }
    }

    /// Says what is done when all is read.
    pub(crate) fn says(&self, what: &'static str) {
        self.show_if_late(Instant::now());
        self.bar.set_message(what);
    }

    /// Removes the bar.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn count(&self, bytes: usize) {
        self.show_if_late(Instant::now());
        self.bar.inc(bytes as u64);
    }

    fn show_if_late(&self, now: Instant) {
        let is_late = now.duration_since(self.start) >= DELAY;
        if is_late && !self.is_shown.swap(true, Ordering::Relaxed) {
            // Draws nothing where standard error is no terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

/// How long something takes before the bar is shown.
const DELAY: Duration = Duration::from_secs(1);

const BUFFER: usize = 256 * 1024;

/// Counts what is read.
struct Counted {
    source: Box<dyn Read + Send>,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.progress.count(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_is_shown_after_a_second_and_not_before() {
        let progress = Progress::of_files(&[]);
        for (millis, is_shown) in [(0, false), (999, false), (1000, true), (5000, true)] {
            progress.show_if_late(progress.start + Duration::from_millis(millis));
            assert_eq!(progress.is_shown.load(Ordering::Relaxed), is_shown, "{millis} ms");
        }
        progress.end();
    }
}
