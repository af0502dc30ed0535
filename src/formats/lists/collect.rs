//! [`Collector`]: takes what a format finds in a list, and keeps the counts.

use super::entry::{Entry, Found, LeftOut, Note, Notes, Rank};
use super::import::{Counts, Event, Options, Outcome};
use super::rules::{self, Defaults};
use crate::error::{Error, ErrorKind};
use crate::rule::{Action, FilterRule};
use std::fmt::Write;

/// What is kept of an entry that was accepted.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) column: u32,
    pub(super) file: u32,
    /// Its first rule, and how many it has.
    pub(super) first: usize,
    pub(super) count: u32,
    pub(super) notes: Notes,
    /// Rejected after all, when the whole list was known.
    pub(super) is_rejected: bool,
}

/// What has been read of all lists.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) rules: Vec<FilterRule>,
    pub(super) records: Vec<Record>,
    /// The ranks of the last records, of lists that are still to be put in order.
    pub(super) ranks: Vec<Rank>,
    /// The entries of all lists.
    pub(super) total: u64,
}

/// Takes what a format finds in one list.
pub(super) struct Collector<'a> {
    pub(super) state: &'a mut State,
    pub(super) options: &'a Options,
    pub(super) default_action: Action,
    pub(super) file: u32,
    pub(super) name: &'a str,
    pub(super) counts: &'a mut Counts,
    pub(super) sink: &'a mut dyn FnMut(&Event<'_>),
    /// Whether the entries of the list have ranks.
    pub(super) is_ranked: bool,
    pub(super) label: String,
}

impl Collector<'_> {
    /// Takes an entry.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooManyEntries`]; what is wrong with the entry is reported, and no error here.
    pub(super) fn accept(&mut self, place: (u64, u64), entry: Entry<'_>) -> Result<(), Error> {
        self.found(place, Found::Entry(entry))
    }

    /// Takes an entry, or what is wrong with it.
    ///
    /// # Errors
    ///
    /// As for [`Collector::accept`].
    pub(super) fn take(
        &mut self,
        place: (u64, u64),
        entry: Result<Entry<'_>, Error>,
    ) -> Result<(), Error> {
        match entry {
            Ok(entry) => self.accept(place, entry),
            Err(error) => self.reject(error.at(place.0, place.1)),
        }
    }

    /// Takes an entry or a rule.
    ///
    /// # Errors
    ///
    /// As for [`Collector::accept`].
    pub(super) fn found(&mut self, place: (u64, u64), found: Found<'_>) -> Result<(), Error> {
        let first = self.state.rules.len();
        self.label.clear();
        // A String takes whatever is written.
        let _ = write!(self.label, "{}:{}", self.name, place.0);
        let (added, rank) = match found {
            Found::Rule(rule) => {
                let rule = match rule.label() {
                    Some(_) => *rule,
                    None => rule.with_label(self.label.as_str()),
                };
                self.state.rules.push(rule);
                (Ok(Notes::default()), Rank::default())
            }
            Found::Entry(mut entry) => {
                if entry.is_negated {
                    entry.action = Some(self.default_action);
                    entry.notes.insert(Note::Negated);
                }
                let defaults = Defaults {
                    action: self.options.action,
                    direction: self.options.direction,
                    label: &self.label,
                };
                (rules::add(&entry, &defaults, &mut self.state.rules), entry.rank)
            }
        };
        let notes = match added {
            Ok(notes) => notes,
            Err(error) => return self.reject(error.at(place.0, place.1)),
        };
        self.count()?;
        self.state.records.push(Record {
            line: place.0,
            column: u32::try_from(place.1).unwrap_or(u32::MAX),
            file: self.file,
            first,
            count: u32::try_from(self.state.rules.len() - first).unwrap_or(u32::MAX),
            notes,
            is_rejected: false,
        });
        if self.is_ranked {
            self.state.ranks.push(rank);
        }
        Ok(())
    }

    /// Reports an entry that makes no rule.
    ///
    /// # Errors
    ///
    /// As for [`Collector::accept`].
    pub(super) fn leave_out(&mut self, place: (u64, u64), why: LeftOut) -> Result<(), Error> {
        self.count()?;
        self.counts.left_out += 1;
        self.report(place, Outcome::LeftOut(why));
        Ok(())
    }

    /// Reports an entry that is rejected, with the place of the error.
    ///
    /// # Errors
    ///
    /// As for [`Collector::accept`].
    pub(super) fn reject(&mut self, error: Error) -> Result<(), Error> {
        self.count()?;
        self.counts.rejected += 1;
        let place = (error.line().unwrap_or(1), error.column().unwrap_or(1));
        self.report(place, Outcome::Rejected(&error));
        Ok(())
    }

    /// Reports something that is wrong with the list as a whole.
    pub(super) fn problem(&mut self, place: (u64, u64), error: Error) {
        self.counts.problems += 1;
        let error = error.at(place.0, place.1);
        self.report(place, Outcome::Problem(&error));
    }

    /// The number of entries of this list so far.
    pub(super) fn entries(&self) -> u64 {
        self.counts.entries
    }

    fn count(&mut self) -> Result<(), Error> {
        let limit = self.options.max_entries;
        if self.state.total >= limit {
            return Err(Error::new(ErrorKind::TooManyEntries { limit }));
        }
        self.state.total += 1;
        self.counts.entries += 1;
        Ok(())
    }

    fn report(&mut self, (line, column): (u64, u64), outcome: Outcome<'_>) {
        (self.sink)(&Event { name: self.name, line, column, outcome });
    }
}
