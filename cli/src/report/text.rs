//! Text from rules and logs, made safe for HTML and SVG.

use crate::output::Printable;
use std::fmt::{self, Write};

/// Text that is not markup, for elements and for attributes in double quotes.
///
/// What a terminal would obey, or what is invisible, such as characters that change the direction
/// of writing, is escaped as it is everywhere else in the program. What XML does not allow at all
/// is among that.
pub(crate) struct Escaped<T>(T);

/// Returns `text` made safe; see [`Escaped`].
pub(crate) fn escape<T: fmt::Display>(text: T) -> Escaped<T> {
    Escaped(text)
}

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in Printable(&self.0.to_string()).to_string().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Not characters to XML.
                '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_markup_and_nothing_invisible_is_left() {
        let text = "</script><img src=x onerror=\"alert('1')\">&amp;\u{202e}\u{0}\u{1b}[m\u{ffff}";
        let escaped = escape(text).to_string();
        assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
        assert!(!escaped.contains(|c: char| c.is_control() || c == '\u{202e}'), "{escaped}");
        assert!(escaped.starts_with("&lt;/script&gt;&lt;img src=x onerror=&quot;alert(&#39;1"));
        assert!(escaped.contains("&amp;amp;"), "{escaped}");
        assert_eq!(escape("B\u{fc}ro 10.0.0.0/8").to_string(), "B\u{fc}ro 10.0.0.0/8");
    }
}
