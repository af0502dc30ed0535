//! [`Importer`]: reads lists one after the other and makes settings of them.

use super::collect::{Collector, Record, State};
use super::conflict::{self, Conflict};
use super::document::{self, Document};
use super::entry::{LeftOut, Notes, Rank};
use super::lines::Lines;
use super::overlap;
use super::recognise;
use super::{Format, addresses, aws, azure, cloudflare, csv, drop_json, drop_text, dshield};
use super::{emule_dat, fastly, geofeed, github, google, hosts, ipsum, lsrules, lulu, nft};
use super::{opensnitch, oracle, p2p, pf, settings_list};
use crate::error::{Error, ErrorKind};
use crate::flow::Direction;
use crate::formats::settings::MAX_BYTES;
use crate::rule::{Action, FilterRule};
use crate::settings::FilterSettings;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::ops::{AddAssign, Range};

/// How lists are read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The format; `None` to tell it by the content.
    pub format: Option<Format>,
    /// The action of rules whose list does not say it. [`Action::Drop`] by default.
    pub action: Action,
    /// The direction of rules whose list does not say it. [`Direction::Any`] by default.
    pub direction: Direction,
    /// The default action of the settings. `None`, the default, takes that of the first settings
    /// among the lists; else `filterData` where a list with actions of its own is read, and where
    /// the action is `allow`; else `allow`.
    pub default_action: Option<Action>,
    /// On how many lists an entry of ipsum has to be. 0 by default.
    pub min_count: u64,
    /// Which entries are taken of lists that have keys to select by: those that every one of these
    /// takes. Empty by default.
    pub select: Vec<Select>,
    /// The most entries that are read, of all lists together. 100 million by default.
    pub max_entries: u64,
    /// Whether duplicates and nested entries are looked for. On by default.
    pub find_overlaps: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            format: None,
            action: Action::Drop,
            direction: Direction::Any,
            default_action: None,
            min_count: 0,
            select: Vec::new(),
            max_entries: 100_000_000,
            find_overlaps: true,
        }
    }
}

/// A choice of entries by one of their columns or keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// The name of the column or key.
    pub key: String,
    /// The values of which it has to have one, without regard to ASCII case.
    pub values: Vec<String>,
}

impl Select {
    pub(super) fn takes(&self, value: &str) -> bool {
        self.values.iter().any(|own| own.eq_ignore_ascii_case(value.trim()))
    }
}

/// What came of an entry, or of a list.
#[derive(Debug)]
pub struct Event<'a> {
    /// The name of the list.
    pub name: &'a str,
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1, in characters.
    pub column: u64,
    /// What came of it.
    pub outcome: Outcome<'a>,
}

/// What came of an entry, or of a list.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// It makes rules. Reported by [`Importer::finish`], when all notes are known.
    Accepted {
        /// What is to be known of it.
        notes: Notes,
        /// Of a duplicate or nested entry, the name of the list and the line of the other.
        of: Option<(&'a str, u64)>,
        /// Its rules, in the settings.
        rules: Range<usize>,
    },
    /// It makes no rule. Reported as soon as it is read.
    LeftOut(LeftOut),
    /// It cannot be read, or no rule says what it says. Reported as soon as that is known.
    Rejected(&'a Error),
    /// Something is wrong with the list as a whole; this is no entry.
    Problem(&'a Error),
}

/// How many entries there were, and what came of them.
///
/// `entries` is the sum of `accepted`, `noted`, `left_out` and `rejected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All entries.
    pub entries: u64,
    /// Accepted without a note.
    pub accepted: u64,
    /// Accepted with one or more notes.
    pub noted: u64,
    /// Understood, and left out.
    pub left_out: u64,
    /// Rejected.
    pub rejected: u64,
    /// Rules made.
    pub rules: u64,
    /// What is wrong with lists as a whole.
    pub problems: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.entries += other.entries;
        self.accepted += other.accepted;
        self.noted += other.noted;
        self.left_out += other.left_out;
        self.rejected += other.rejected;
        self.rules += other.rules;
        self.problems += other.problems;
    }
}

/// A list that was read.
#[derive(Clone, Debug)]
struct File {
    name: String,
    format: Format,
    counts: Counts,
}

/// Reads lists, and makes settings of them.
#[derive(Debug)]
pub struct Importer {
    options: Options,
    files: Vec<File>,
    state: State,
    /// The first record and the first rule of the lists that are to be put in order together.
    group: Option<Group>,
    settings_default: Option<Action>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    format: Format,
    record: usize,
    rule: usize,
}

/// Settings made of lists.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Imported {
    /// The settings.
    pub settings: FilterSettings,
    /// The lists, in the order in which they were read.
    pub lists: Vec<ListSummary>,
}

/// What came of one list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListSummary {
    /// Its name.
    pub name: String,
    /// Its format.
    pub format: Format,
    /// What came of its entries.
    pub counts: Counts,
}

impl Imported {
    /// Returns the counts of all lists together.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.lists.iter().for_each(|list| sum += list.counts);
        sum
    }
}

impl Importer {
    /// Makes an importer that has read nothing.
    pub fn new(options: Options) -> Importer {
        let (files, state) = (Vec::new(), State::default());
        Importer { options, files, state, group: None, settings_default: None }
    }

    /// Reads a list. `name` is what labels and reports call it; `sink` is given each entry that
    /// makes no rule as soon as that is known.
    ///
    /// Rules for OpenSnitch, and for Little Snitch, of several lists one after the other are put in
    /// order together, as those programs do.
    ///
    /// # Errors
    ///
    /// Those of the input; that its format cannot be told; that a list that is one JSON document
    /// is none; [`ErrorKind::TooLarge`] and [`ErrorKind::TooManyEntries`]. What was read before the
    /// error is kept.
    pub fn read(
        &mut self,
        name: &str,
        input: &mut dyn BufRead,
        sink: &mut dyn FnMut(&Event<'_>),
    ) -> Result<Format, ReadError> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        (&mut *input).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let format = match self.options.format {
            Some(format) => format,
            None => recognise::format(&head)?,
        };
        let unknown = format.keys().and_then(|keys| {
            self.options.select.iter().find(|select| !keys.contains(&select.key.as_str()))
        });
        if let Some(select) = unknown {
            let column = select.key.clone();
            return Err(Error::new(ErrorKind::MissingColumn { column }).into());
        }
        let together = matches!(format, Format::OpenSnitch | Format::LsRules);
        if self.group.is_some_and(|group| !together || group.format != format) {
            self.end_group(sink);
        }
        if self.group.is_none() {
            let (record, rule) = (self.state.records.len(), self.state.rules.len());
            self.group = Some(Group { format, record, rule });
        }
        let file = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let mut counts = Counts::default();
        let is_ranked = matches!(format, Format::OpenSnitch | Format::LsRules | Format::LuLu);
        let default_action = self.default_action(Some(format));
        let mut out = Collector {
            state: &mut self.state,
            options: &self.options,
            default_action,
            file,
            name,
            counts: &mut counts,
            sink,
            is_ranked,
            label: String::new(),
        };
        let mut input = head.chain(input);
        let read = read_format(format, &mut input, &mut out);
        self.files.push(File { name: name.to_owned(), format, counts });
        if let Some(default) = read? {
            let before = *self.settings_default.get_or_insert(default);
            if before != default && self.options.default_action.is_none() {
                // One of the two is lost, which somebody has to choose.
                let expected = "the same default action as in the settings before, or one given";
                let kind = ErrorKind::UnexpectedText { expected, found: default.to_string() };
                let error = Error::new(kind).for_key("defaultAction").at(1, 1);
                if let Some(file) = self.files.last_mut() {
                    file.counts.problems += 1;
                }
                sink(&Event { name, line: 1, column: 1, outcome: Outcome::Problem(&error) });
            }
        }
        if !together {
            self.end_group(sink);
        }
        Ok(format)
    }

    /// Makes the settings, and gives `sink` each entry that was accepted, with its notes.
    pub fn finish(mut self, sink: &mut dyn FnMut(&Event<'_>)) -> Imported {
        self.end_group(sink);
        let default_action = self.default_action(None);
        let overlaps = match self.options.find_overlaps {
            true => overlap::find(&self.state.rules, &self.state.records),
            false => Vec::new(),
        };
        let mut others = overlaps.iter().peekable();
        let mut counts: Vec<Counts> = self.files.iter().map(|file| file.counts).collect();
        for (index, record) in self.state.records.iter().enumerate() {
            let other = others.next_if(|overlap| overlap.record == index);
            if record.is_rejected {
                continue;
            }
            let mut notes = record.notes;
            if let Some(other) = other {
                notes.insert(other.note);
            }
            if let Some(counts) = counts.get_mut(record.file as usize) {
                match notes.is_empty() {
                    true => counts.accepted += 1,
                    false => counts.noted += 1,
                }
                counts.rules += u64::from(record.count);
            }
            let of = other.and_then(|other| self.state.records.get(other.of));
            let of = of.map(|of| (file_name(&self.files, of), of.line));
            let rules = record.first..record.first + record.count as usize;
            sink(&Event {
                name: file_name(&self.files, record),
                line: record.line,
                column: record.column.into(),
                outcome: Outcome::Accepted { notes, of, rules },
            });
        }
        let summary = |(file, counts): (File, Counts)| ListSummary {
            name: file.name,
            format: file.format,
            counts,
        };
        Imported {
            settings: FilterSettings::new(self.state.rules, default_action),
            lists: self.files.into_iter().zip(counts).map(summary).collect(),
        }
    }

    /// The default action, as far as is known when a list of format `next` is to be read.
    fn default_action(&self, next: Option<Format>) -> Action {
        let formats = self.files.iter().map(|file| file.format).chain(next);
        let given = self.options.default_action.or(self.settings_default);
        given.unwrap_or(match formats.clone().any(Format::has_actions) {
            false if self.options.action != Action::Allow => Action::Allow,
            _ => Action::FilterData,
        })
    }

    /// Puts the entries of lists that belong together in order, by their ranks.
    fn end_group(&mut self, sink: &mut dyn FnMut(&Event<'_>)) {
        let Some(group) = self.group.take() else { return };
        let ranks = std::mem::take(&mut self.state.ranks);
        if group.format == Format::LsRules {
            let records = self.state.records.get(group.record..).unwrap_or_default();
            let found = conflict::find(&self.state.rules, records, &ranks);
            for (index, conflict) in found {
                let (Conflict::Order(other) | Conflict::NamesBelow(other)) = conflict;
                let line = self.state.records.get(group.record + other).map_or(0, |r| r.line);
                let Some(record) = self.state.records.get_mut(group.record + index) else {
                    continue;
                };
                record.is_rejected = true;
                let Some(file) = self.files.get_mut(record.file as usize) else { continue };
                file.counts.rejected += 1;
                let (line_of, column) = (record.line, u64::from(record.column));
                let kind = match conflict {
                    Conflict::Order(_) => ErrorKind::UndecidedOrder { line },
                    Conflict::NamesBelow(_) => ErrorKind::NamesBelow { line },
                };
                let error = Error::new(kind).at(line_of, column);
                let outcome = Outcome::Rejected(&error);
                sink(&Event { name: &file.name, line: line_of, column, outcome });
            }
        }
        if !ranks.is_empty() {
            self.state.put_in_order(group.record, group.rule, &ranks);
        }
    }
}

impl State {
    /// Puts the entries from `first_record` on, whose rules are those from `first_rule` on, in the
    /// order of their ranks, and removes the rules of those that are rejected.
    pub(super) fn put_in_order(&mut self, first_record: usize, first_rule: usize, ranks: &[Rank]) {
        let rules = self.rules.split_off(first_rule.min(self.rules.len()));
        let mut rules: Vec<Option<FilterRule>> = rules.into_iter().map(Some).collect();
        let records = self.records.get_mut(first_record..).unwrap_or_default();
        let mut order: Vec<usize> = (0..records.len()).collect();
        order.sort_by_key(|index| ranks.get(*index));
        for index in order {
            let Some(record) = records.get_mut(index) else { continue };
            let start = record.first - first_rule;
            record.first = self.rules.len();
            let own = rules.get_mut(start..start + record.count as usize).unwrap_or_default();
            let own = own.iter_mut().filter_map(Option::take);
            match record.is_rejected {
                true => record.count = 0,
                false => self.rules.extend(own),
            }
        }
    }
}

fn file_name<'a>(files: &'a [File], record: &Record) -> &'a str {
    files.get(record.file as usize).map_or("", |file| &file.name)
}

/// What a format of lines makes of one.
pub(super) trait ReadLine {
    fn line(&mut self, line: &super::lines::Line<'_>, out: &mut Collector<'_>)
    -> Result<(), Error>;

    /// Says what is wrong with the list once it is read.
    fn end(&mut self, _out: &mut Collector<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// Reads a list; returns the default action where the list says it.
fn read_format(
    format: Format,
    input: &mut dyn BufRead,
    out: &mut Collector<'_>,
) -> Result<Option<Action>, ReadError> {
    let reader: &mut dyn ReadLine = match format {
        Format::Addresses => &mut addresses::Reader::default(),
        Format::DropText => &mut drop_text::Reader,
        Format::DropJson => &mut drop_json::Reader::default(),
        Format::Dshield => &mut dshield::Reader,
        Format::P2p => &mut p2p::Reader,
        Format::EmuleDat => &mut emule_dat::Reader,
        Format::Hosts => &mut hosts::Reader,
        Format::Ipsum => &mut ipsum::Reader,
        Format::Pf => &mut pf::Reader::new(out),
        Format::Nft => &mut nft::Reader::default(),
        Format::Geofeed => &mut geofeed::Reader,
        Format::Csv => &mut csv::Reader::default(),
        Format::Aws
        | Format::Google
        | Format::Azure
        | Format::Cloudflare
        | Format::Fastly
        | Format::Oracle
        | Format::GitHub
        | Format::LsRules
        | Format::LuLu
        | Format::OpenSnitch
        | Format::Settings => return read_document(format, input, out),
    };
    let mut lines = Lines::new(input);
    let mut last = 1;
    while let Some(read) = lines.next(|number, line| {
        last = number;
        match line {
            Ok(line) => reader.line(&line, out),
            Err(error) => out.reject(error.at(number, 1)),
        }
    })? {
        read.map_err(|error| error.at(last, 1))?;
    }
    reader.end(out)?;
    Ok(None)
}

fn read_document(
    format: Format,
    input: &mut dyn BufRead,
    out: &mut Collector<'_>,
) -> Result<Option<Action>, ReadError> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let mended = match format {
        Format::LuLu => lulu::mend_dates(bytes),
        _ => bytes,
    };
    let document = Document::parse(document::text(&mended)?)?;
    match format {
        Format::Aws => aws::read(&document, out)?,
        Format::Google => google::read(&document, out)?,
        Format::Azure => azure::read(&document, out)?,
        Format::Cloudflare => cloudflare::read(&document, out)?,
        Format::Fastly => fastly::read(&document, out)?,
        Format::Oracle => oracle::read(&document, out)?,
        Format::GitHub => github::read(&document, out)?,
        Format::LsRules => lsrules::read(&document, out)?,
        Format::LuLu => lulu::read(&document, out)?,
        Format::OpenSnitch => opensnitch::read(&document, out)?,
        _ => return Ok(settings_list::read(&document, out)?),
    }
    Ok(None)
}

/// Why a list cannot be read, or not to its end.
#[derive(Debug)]
pub enum ReadError {
    /// The input cannot be read.
    Io(io::Error),
    /// What is wrong with the text.
    Text(Error),
}

impl std::error::Error for ReadError {}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Io(error) => error.fmt(f),
            ReadError::Text(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError::Io(error)
    }
}

impl From<Error> for ReadError {
    fn from(error: Error) -> ReadError {
        ReadError::Text(error)
    }
}

/// How much of a list its format is told by, in bytes.
const HEAD_BYTES: usize = 64 * 1024;
