//! pf tables: the most specific entry decides, and `!` takes out.

use super::address;
use super::collect::Collector;
use super::entry::{Entry, Rank, Remotes};
use super::import::ReadLine;
use super::lines::Line;
use crate::error::{Error, ErrorKind};

/// Reads tables, one after the other.
pub(super) struct Reader {
    /// The first record and the first rule of the table at hand.
    start: (usize, usize),
    /// The ranks of its records.
    ranks: Vec<Rank>,
    has_negated: bool,
    /// The place of the brace that the text at hand stands behind.
    brace: Option<(u64, u64)>,
    /// Whether the word before was `!`.
    is_negated: bool,
}

impl Reader {
    pub(super) fn new(out: &Collector<'_>) -> Reader {
        Reader {
            start: start(out),
            ranks: Vec::new(),
            has_negated: false,
            brace: None,
            is_negated: false,
        }
    }

    /// Puts the entries of a table in the order in which the first that matches is the most
    /// specific one.
    fn end_table(&mut self, out: &mut Collector<'_>) {
        let ranks = std::mem::take(&mut self.ranks);
        if std::mem::take(&mut self.has_negated) {
            out.state.put_in_order(self.start.0, self.start.1, &ranks);
        }
        self.start = start(out);
        self.is_negated = false;
    }

    fn words(&mut self, line: &Line<'_>, text: &str, out: &mut Collector<'_>) -> Result<(), Error> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace());
        for word in words.filter(|word| !word.is_empty()) {
            let bare = word.trim_start_matches('!');
            // Each `!` takes back the one before.
            let is_odd = (word.len() - bare.len()) % 2 == 1;
            self.is_negated ^= is_odd;
            if bare.is_empty() {
                continue;
            }
            let is_negated = std::mem::take(&mut self.is_negated);
            let entry = address::network(bare).map(|entry| {
                let bits = match entry.remotes.first() {
                    Some(Remotes::Net(net)) => net.prefix_len(),
                    _ => 0,
                };
                let rank = Rank(u64::from(u8::MAX - bits), Box::default());
                Entry { is_negated, rank, ..entry }
            });
            self.has_negated |= is_negated;
            let rank = entry.as_ref().map(|entry| entry.rank.clone()).unwrap_or_default();
            let before = out.state.records.len();
            out.take(line.place(word), entry)?;
            if out.state.records.len() > before {
                self.ranks.push(rank);
            }
        }
        Ok(())
    }

    /// Reads what stands before the braces of a table.
    fn head(&mut self, line: &Line<'_>, text: &str, out: &mut Collector<'_>) -> Result<(), Error> {
        self.end_table(out);
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            if word == "file" {
                let value = words.next().unwrap_or("").to_owned();
                let what = "what another file holds, which has to be read by itself";
                let error = ErrorKind::Inexpressible { by: "this list", what, value };
                out.take(line.place(word), Err(Error::new(error)))?;
            }
        }
        Ok(())
    }
}

fn start(out: &Collector<'_>) -> (usize, usize) {
    (out.state.records.len(), out.state.rules.len())
}

impl ReadLine for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut Collector<'_>) -> Result<(), Error> {
        let mut text = line.content(&['#']);
        loop {
            if self.brace.is_some() {
                let (words, after) = match text.split_once('}') {
                    Some((words, after)) => (words, Some(after)),
                    None => (text, None),
                };
                self.words(line, words, out)?;
                let Some(after) = after else { return Ok(()) };
                self.brace = None;
                self.end_table(out);
                text = after.trim();
            }
            if text.is_empty() {
                return Ok(());
            }
            if is_table(text) {
                let (head, after) = match text.split_once('{') {
                    Some((head, after)) => (head, Some(after)),
                    None => (text, None),
                };
                self.head(line, head, out)?;
                let Some(after) = after else { return Ok(()) };
                self.brace = text.get(head.len()..).map(|brace| line.place(brace));
                text = after;
                continue;
            }
            return self.words(line, text, out);
        }
    }

    fn end(&mut self, out: &mut Collector<'_>) -> Result<(), Error> {
        self.end_table(out);
        if let Some(place) = self.brace {
            out.problem(place, Error::new(ErrorKind::UnclosedBrace));
        }
        Ok(())
    }
}

fn is_table(text: &str) -> bool {
    text.strip_prefix("table").is_some_and(|rest| rest.trim_start().starts_with('<'))
}

/// Whether a line is of this format and of no list of addresses.
pub(super) fn explains(line: &Line<'_>) -> bool {
    let text = line.content(&['#']);
    is_table(text)
        || text.strip_prefix('!').is_some_and(|rest| address::network(rest.trim()).is_ok())
}

/// Whether a line may stand in a table: networks, some of them taken out, and braces.
pub(super) fn may_hold(line: &Line<'_>) -> bool {
    let is_gap = |c: char| c.is_whitespace() || matches!(c, ',' | '!' | '{' | '}');
    let mut words = line.content(&['#']).split(is_gap).filter(|word| !word.is_empty());
    words.all(|word| address::network(word).is_ok())
}
