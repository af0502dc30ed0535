//! [`Snippet`]: a piece of a file with what is to be said about it.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet as Source};
use flowsieve::Severity;
use std::ops::Range;

/// What is to be said about a place in a file. All text in it is printable.
pub(crate) struct Snippet<'a> {
    pub(crate) severity: Severity,
    pub(crate) code: &'a str,
    pub(crate) title: &'a str,
    pub(crate) file: &'a str,
    pub(crate) line: u64,
    pub(crate) column: u64,
    /// The text of the file and the part of it that this is about, in bytes. Of the part, what
    /// stands on its first line is shown.
    pub(crate) text: &'a str,
    pub(crate) span: Range<usize>,
    pub(crate) label: &'a str,
    pub(crate) notes: &'a [String],
    pub(crate) help: Option<&'a str>,
}

impl Snippet<'_> {
    /// Returns the text in the way of compilers, with styles.
    pub(crate) fn render(&self) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let line = Line::of(self.text, self.span.clone());
        let place = as_usize(self.line);
        let group = level.primary_title(self.title).id(self.code);
        let mut group = match &line {
            Some(line) => group.element(
                Source::source(line.text.as_str())
                    .path(self.file)
                    .line_start(place)
                    .annotation(AnnotationKind::Primary.span(line.part.clone()).label(self.label)),
            ),
            None => {
                let column = as_usize(self.column);
                let origin = Origin::path(self.file).line(place).char_column(column);
                group.element(origin).element(Level::NOTE.message(self.label))
            }
        };
        for note in self.notes {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        if let Some(help) = self.help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = Renderer::styled().decor_style(DecorStyle::Ascii).term_width(WIDTH);
        renderer.render(&[group])
    }
}

/// The columns that a line of the file is cut to, around the part of it that is marked.
const WIDTH: usize = 120;

/// A line of a text and a part of it.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    text: String,
    /// The part, in bytes of `text`.
    part: Range<usize>,
}

impl Line {
    /// Returns the line where `span` of `text` starts, with nothing that a terminal obeys, and with
    /// the start of the span as its part. `None` if the line is too long to be read by anyone.
    fn of(text: &str, span: Range<usize>) -> Option<Line> {
        const MAX_BYTES: usize = 1000;
        const MAX_PART: usize = 40;
        let before = text.get(..span.start)?;
        // Not further than a line may be long, as a file can be a single line.
        let start = boundary(text, before.len().saturating_sub(MAX_BYTES + 4));
        let before = before.get(start..)?;
        let before = before.rsplit('\n').next()?;
        let rest = text.get(span.start..)?;
        let rest = rest.get(..boundary(rest, MAX_BYTES + 4))?;
        let rest = rest.lines().next().unwrap_or("");
        if before.len() + rest.len() > MAX_BYTES {
            return None;
        }
        let part: String = rest.get(..span.len()).unwrap_or(rest).chars().take(MAX_PART).collect();
        let show = |text: &str| text.chars().map(shown).collect::<String>();
        let (before, marked) = (show(before), show(&part));
        let after = show(rest.get(part.len()..)?);
        let part = before.len()..before.len() + marked.len();
        Some(Line { text: format!("{before}{marked}{after}"), part })
    }
}

/// The start of the character that holds this byte, or the end of the text.
fn boundary(text: &str, offset: usize) -> usize {
    let offset = offset.min(text.len());
    (0..4)
        .filter_map(|back| offset.checked_sub(back))
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// The character, or a sign in place of one that a terminal would obey or not show.
fn shown(c: char) -> char {
    match c {
        ' '..='~' => c,
        '\t' => ' ',
        _ if c.escape_debug().count() > 1 => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

fn as_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, part: &str) -> Option<(String, String)> {
        let start = text.find(part).unwrap();
        let line = Line::of(text, start..start + part.len())?;
        let part = line.text[line.part].to_owned();
        Some((line.text, part))
    }

    #[test]
    fn the_line_is_that_where_the_part_starts() {
        let owned = |line: &str, part: &str| Some((line.to_owned(), part.to_owned()));
        assert_eq!(pieces("a\n  bc: 1,\nd", "1"), owned("  bc: 1,", "1"));
        assert_eq!(pieces("a\r\n{b\r\nc}\r\nd", "{b\r\nc}"), owned("{b", "{b"));
        assert_eq!(pieces("\u{fc}: \u{fc}x", "\u{fc}x"), owned("\u{fc}: \u{fc}x", "\u{fc}x"));
        assert_eq!(pieces(&"x".repeat(60), &"x".repeat(50)).unwrap().1.len(), 40);
        assert_eq!(Line::of("", 0..0), Some(Line { text: String::new(), part: 0..0 }));
        assert_eq!(Line::of("a", 1..1), Some(Line { text: "a".to_owned(), part: 1..1 }));
    }

    #[test]
    fn a_line_that_is_too_long_is_not_shown() {
        for (before, after) in [(500, 499), (0, 999), (999, 0)] {
            let text = format!("a\n{}P{}\nb", "\u{7f}".repeat(before), "b".repeat(after));
            assert!(pieces(&text, "P").is_some());
            assert_eq!(pieces(&text.replace('P', "Pb"), "P"), None);
            assert_eq!(pieces(&text.replace('P', "\u{fc}P"), "P"), None);
        }
        assert_eq!(pieces(&format!("{}P", "\u{1f600}".repeat(5000)), "P"), None);
    }

    #[test]
    fn the_line_holds_nothing_that_a_terminal_obeys() {
        let (line, _) = pieces("\u{1b}[31m\t\u{202e}\"x\\\u{7f}", "x").unwrap();
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
        assert!(line.contains("\"x\\"), "{line:?}");
    }
}
