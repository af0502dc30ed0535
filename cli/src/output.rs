//! Standard output: when it is written, its colours, and how input is made safe to print.

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use flowsieve::Action;
use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

/// Standard output, written in large pieces, or after each line where someone waits for it.
///
/// Where its reader leaves before the end, as `head` does, the rest is not written, and the exit status is still
/// what it would have been; only what might have no end, ends.
pub(crate) struct Output {
    stdout: BufWriter<AutoStream<StdoutLock<'static>>>,
    is_live: bool,
    may_be_endless: bool,
    is_unread: bool,
}

impl Output {
    /// Opens standard output; styles are printed on a terminal only, and not with `NO_COLOR`.
    ///
    /// `is_live` says that what is read may have no end, and that a line is to be seen as soon as it
    /// is finished. On a terminal it always is.
    pub(crate) fn new(is_live: bool) -> Output {
        Output::of(AutoStream::auto(io::stdout().lock()), is_live)
    }

    /// Opens standard output for text without styles, which is passed on as it is.
    pub(crate) fn plain(is_live: bool) -> Output {
        Output::of(AutoStream::always_ansi(io::stdout().lock()), is_live)
    }

    fn of(stdout: AutoStream<StdoutLock<'static>>, may_be_endless: bool) -> Output {
        let is_live = may_be_endless || is_terminal();
        Output { stdout: BufWriter::new(stdout), is_live, may_be_endless, is_unread: false }
    }

    /// Writes a line.
    ///
    /// # Errors
    ///
    /// Those of standard output; that nobody reads it any more only where what is read may have no end.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> io::Result<()> {
        self.unless_unread(|output| {
            writeln!(output.stdout, "{line}")?;
            if output.is_live { output.stdout.flush() } else { Ok(()) }
        })
    }

    fn unless_unread(
        &mut self,
        write: impl FnOnce(&mut Output) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.is_unread {
            return Ok(());
        }
        match write(self) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && !self.may_be_endless => {
                self.is_unread = true;
                Ok(())
            }
            written => written,
        }
    }

    /// Writes one line of JSON.
    ///
    /// # Errors
    ///
    /// As for [`Output::line`].
    pub(crate) fn json(&mut self, json: &str) -> io::Result<()> {
        self.line(escape_json(json))
    }

    /// Writes whatever is still held back.
    ///
    /// # Errors
    ///
    /// As for [`Output::line`].
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.unless_unread(|output| output.stdout.flush())
    }
}

/// Returns whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Text in a style.
pub(crate) struct Painted<T>(pub(crate) Style, pub(crate) T);

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Painted(style, text) = self;
        write!(f, "{style}{text}{style:#}")
    }
}

/// Returns the style of an action.
pub(crate) fn action_style(action: Action) -> Style {
    AnsiColor::on_default(match action {
        Action::Allow => AnsiColor::Green,
        Action::Drop => AnsiColor::Red,
        Action::FilterData => AnsiColor::Cyan,
    })
}

/// Text from outside, with everything escaped that a terminal would obey or not show: control
/// characters and invisible ones, such as those that change the direction of writing.
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Quotes and backslashes are harmless and stay, so that paths and JSON can be copied.
        for piece in self.0.split_inclusive(HARMLESS) {
            let text = piece.trim_end_matches(HARMLESS);
            write!(f, "{}", text.escape_debug())?;
            f.write_str(piece.get(text.len()..).unwrap_or(""))?;
        }
        Ok(())
    }
}

const HARMLESS: [char; 3] = ['"', '\'', '\\'];

/// Escapes what JSON lets stand in a string and a terminal would obey: DEL, the C1 controls and
/// characters that change the direction of writing. The value stays the same.
fn escape_json(json: &str) -> Cow<'_, str> {
    let obeyed = |c: char| {
        matches!(c, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}')
    };
    if !json.contains(obeyed) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match obeyed(c) {
            true => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// The style of headings.
pub(crate) const HEADING: Style = Style::new().bold();
/// The style of what matters less.
pub(crate) const DIMMED: Style = Style::new().dimmed();
/// The style of `error:`.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The style of `warning:`.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// The style of `help:`.
pub(crate) const HELP: Style = AnsiColor::Green.on_default().bold();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_text_keeps_what_is_harmless() {
        for text in ["", "plain", r#"C:\rules "x" 'y'"#, "B\u{fc}ro", "Bu\u{308}ro", r#""\""#] {
            assert_eq!(Printable(text).to_string(), text);
        }
    }

    #[test]
    fn printable_text_holds_nothing_that_a_terminal_obeys() {
        for text in ["\u{1b}[31m", "a\nb", "\u{7}", "\u{7f}", "\u{9b}2J", "\u{202e}txt", "\"\u{0}"]
        {
            let printed = Printable(text).to_string();
            assert!(printed.contains('\\'), "{printed:?}");
            assert!(!printed.contains(|c: char| c.is_control() || c == '\u{202e}'), "{printed:?}");
            assert_eq!(Printable(&printed).to_string(), printed);
        }
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let text = "a\u{7f}b\u{9b}c\u{202e}d\u{fc}";
        let json = serde_json::to_string(text).unwrap();
        let escaped = escape_json(&json);
        assert!(!escaped.contains(['\u{7f}', '\u{9b}', '\u{202e}']), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
        assert!(matches!(escape_json("{\"a\":\"\u{fc}\"}"), Cow::Borrowed(_)));
    }
}
