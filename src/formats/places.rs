//! [`Places`]: lines and columns of many places in one text.

/// Finds the line and the column of a byte of a text in little time, however long the text or its
/// lines are.
pub(super) struct Places<'a> {
    text: &'a str,
    /// For each [`STEP`] bytes, the lines and the characters that end before it.
    marks: Vec<Mark>,
    /// Where each line starts, but the first.
    line_starts: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Mark {
    lines: usize,
    characters: usize,
}

const STEP: usize = 1024;

impl<'a> Places<'a> {
    pub(super) fn new(text: &'a str) -> Places<'a> {
        let mut mark = Mark { lines: 0, characters: 0 };
        let mut marks = Vec::with_capacity(text.len() / STEP + 1);
        let mut line_starts = Vec::new();
        for (index, chunk) in text.as_bytes().chunks(STEP).enumerate() {
            marks.push(mark);
            for (offset, byte) in chunk.iter().enumerate() {
                mark.characters += usize::from(starts_character(*byte));
                if *byte == b'\n' {
                    mark.lines += 1;
                    line_starts.push(index * STEP + offset + 1);
                }
            }
        }
        marks.push(mark);
        Places { text, marks, line_starts }
    }

    /// Returns the line and the column of a byte, both from 1, the column in characters.
    pub(super) fn of(&self, offset: usize) -> (u64, u64) {
        let offset = offset.min(self.text.len());
        let before = self.before(offset);
        let start = before.lines.checked_sub(1).and_then(|line| self.line_starts.get(line));
        let start = self.before(start.copied().unwrap_or(0));
        (before.lines as u64 + 1, (before.characters - start.characters) as u64 + 1)
    }

    /// What ends before a byte.
    fn before(&self, offset: usize) -> Mark {
        let step = offset / STEP;
        let mut mark = self.marks.get(step).copied().unwrap_or(Mark { lines: 0, characters: 0 });
        for byte in self.text.as_bytes().get(step * STEP..offset).unwrap_or(&[]) {
            mark.characters += usize::from(starts_character(*byte));
            mark.lines += usize::from(*byte == b'\n');
        }
        mark
    }
}

/// Every byte does but those that go on with one.
fn starts_character(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_where_counting_finds_it() {
        let line = "a\u{fc}\u{1f600}b".repeat(300);
        for text in ["", "\n", "\n\n", "a\r\nb", &line, &format!("{line}\n{line}\n\n{line}")] {
            let places = Places::new(text);
            for (offset, _) in text.char_indices().chain([(text.len(), ' ')]) {
                let before = &text[..offset];
                let line = before.matches('\n').count() as u64 + 1;
                let column = before.rsplit('\n').next().unwrap().chars().count() as u64 + 1;
                assert_eq!(places.of(offset), (line, column), "{offset}");
            }
        }
        assert_eq!(Places::new("ab").of(100), (1, 3));
    }
}
