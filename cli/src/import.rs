//! `flowsieve import`: settings from lists, and what came of every entry.

use crate::args::{ImportArgs, LinesFormat};
use crate::diagnostics;
use crate::input;
use crate::output::{HEADING, Output, Painted, Printable};
use crate::progress::Progress;
use crate::settings_file::in_file;
use crate::status::{Failure, Status};
use flowsieve::formats::lists::{
    Counts, Event, Format, Importer, LeftOut, ListSummary, Note, Options, Outcome, ReadError, merge,
};
use flowsieve::formats::settings;
use flowsieve::{ErrorKind, FilterRule, FilterSettings};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

/// Reads lists, and writes settings.
///
/// # Errors
///
/// That a list cannot be read to its end or that no list has an entry, in which case nothing is
/// written, or that something cannot be written. Entries that are rejected make the status
/// [`BadInput`](Status::BadInput).
pub(crate) fn run(args: &ImportArgs) -> Result<Status, Failure> {
    let is_piped = args.output.as_deref().is_some_and(input::is_stdin);
    let mut report = Report::new(args, is_piped);
    let progress = Progress::of_files(&args.files);
    let mut importer = Importer::new(args.options());
    for path in &args.files {
        let name = input::name(path);
        let mut opened = progress.open(path).map_err(|error| in_file(path, error))?;
        let read = importer.read(&name, &mut opened, &mut |event| {
            progress.aside(|| report.event(event, false));
        });
        let place = |error: ReadError| match (args.format_as, &error) {
            (Some(format), _) => format!("{name}: as {format}: {error}"),
            (None, ReadError::Text(cause)) if is_untold(cause.kind()) => {
                format!("{name}: {error}; --as FORMAT forces one")
            }
            (None, _) => format!("{name}: {error}"),
        };
        read.map_err(|error| Failure::BadInput(place(error)))?;
    }
    let imported = importer.finish(&mut |event| progress.aside(|| report.event(event, args.merge)));
    let counts = imported.counts();
    let (mut made, lists) = (imported.settings, imported.lists);
    if counts.entries == 0 && args.output.is_some() {
        // Such as what is left of a list that could not be fetched.
        return Err(Failure::BadInput("the lists have no entries: nothing is written".to_owned()));
    }
    let before = made.rules().len();
    if args.merge {
        progress.says("merging");
        let default_action = made.default_action();
        made = FilterSettings::new(merge(made.into_rules()), default_action);
    }
    progress.says("writing");
    let written = match &args.output {
        Some(path) if input::is_stdin(path) => {
            match settings::write_to(&made, &mut io::stdout().lock()) {
                // Whoever reads it has had enough; what was rejected was rejected.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                written => written?,
            }
            None
        }
        Some(path) => Some((path, write(path, &made).map_err(|error| in_file(path, error))?)),
        None => None,
    };
    progress.end();
    if args.min_count > 0 && lists.iter().all(|list| list.format != Format::Ipsum) {
        diagnostics::warning("--min-count says nothing here: no list is of the format `ipsum`");
    }
    report.summary(&lists, &counts)?;
    if args.merge {
        report.merged(before, made.rules().len())?;
    }
    if let Some((path, bytes)) = written {
        report.wrote(path, &made)?;
        if bytes > settings::MAX_BYTES as u64 {
            diagnostics::warning(&format!(
                "{}: {bytes} bytes, and settings files are read up to {}; --merge may help",
                path.display(),
                settings::MAX_BYTES
            ));
        }
    }
    report.end()?;
    let is_clean = counts.rejected == 0 && counts.problems == 0;
    Ok(if is_clean { Status::Fine } else { Status::BadInput })
}

/// Whether the format of a list is not told by its content.
fn is_untold(error: &ErrorKind) -> bool {
    matches!(error, ErrorKind::NoListFormat | ErrorKind::AmbiguousList { .. })
}

impl ImportArgs {
    fn options(&self) -> Options {
        let mut options = Options::default();
        options.format = self.format_as;
        options.action = self.action;
        options.direction = self.direction;
        options.default_action = self.default_action;
        options.min_count = self.min_count;
        options.select = self.select.iter().map(|select| select.0.clone()).collect();
        options.max_entries = self.max_entries;
        options
    }
}

/// Writes a settings file, and returns its size in bytes.
fn write(path: &Path, made: &FilterSettings) -> io::Result<u64> {
    let mut file = BufWriter::with_capacity(256 * 1024, File::create(path)?);
    settings::write_to(made, &mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(file.metadata().map_or(0, |metadata| metadata.len()))
}

/// What is said of entries and lists, on standard output, or on standard error where the settings
/// go to standard output.
struct Report<'a> {
    args: &'a ImportArgs,
    output: Option<Output>,
    /// Of each note, how many entries have it.
    notes: BTreeMap<Note, u64>,
    left_out: BTreeMap<LeftOut, u64>,
    failed: Option<io::Error>,
}

impl Report<'_> {
    fn new(args: &ImportArgs, is_piped: bool) -> Report<'_> {
        let output = (!is_piped).then(|| match args.format {
            LinesFormat::Text => Output::new(false),
            LinesFormat::Jsonl => Output::plain(false),
        });
        let (notes, left_out) = (BTreeMap::new(), BTreeMap::new());
        Report { args, output, notes, left_out, failed: None }
    }

    /// Says what came of an entry. `is_merged` says that its rules will not stay as they are.
    fn event(&mut self, event: &Event<'_>, is_merged: bool) {
        let said = match self.args.format {
            LinesFormat::Text => {
                self.text(event);
                Ok(())
            }
            LinesFormat::Jsonl => self.json(&line(event, is_merged)),
        };
        if let Err(error) = said {
            self.failed.get_or_insert(error);
        }
    }

    fn text(&mut self, event: &Event<'_>) {
        let (name, number, column) = (event.name, event.line, event.column);
        match &event.outcome {
            Outcome::Accepted { notes, of, .. } => {
                for note in notes.iter() {
                    let count = self.notes.entry(note).or_default();
                    *count += 1;
                    if *count > SHOWN && !self.args.all_notes {
                        continue;
                    }
                    let of = match of {
                        Some((list, other)) if matches!(note, Note::Duplicate | Note::Nested) => {
                            format!(": {list}:{other}")
                        }
                        _ => String::new(),
                    };
                    diagnostics::bad_line(name, number, column, &format!("note: {note}{of}"));
                }
            }
            Outcome::LeftOut(why) => *self.left_out.entry(*why).or_default() += 1,
            Outcome::Rejected(error) => {
                let reason = format!("rejected: {}", reason(error));
                diagnostics::bad_line(name, number, column, &reason);
            }
            Outcome::Problem(error) => {
                diagnostics::bad_line(name, number, column, &format!("error: {}", reason(error)));
            }
            _ => {}
        }
    }

    fn json(&mut self, value: &serde_json::Value) -> io::Result<()> {
        match &mut self.output {
            Some(output) => output.json(&value.to_string()),
            None => {
                diagnostics::text(&format!("{value}\n"));
                Ok(())
            }
        }
    }

    fn line(&mut self, line: &str, is_heading: bool) -> io::Result<()> {
        let line = Printable(line);
        match &mut self.output {
            Some(output) if is_heading => output.line(Painted(HEADING, line)),
            Some(output) => output.line(line),
            None => {
                diagnostics::text(&format!("{line}\n"));
                Ok(())
            }
        }
    }

    /// Says how many entries there were, and what came of them.
    fn summary(&mut self, lists: &[ListSummary], counts: &Counts) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.args.format == LinesFormat::Jsonl {
            return lists.iter().try_for_each(|list| {
                let ListSummary { name, format, counts, .. } = list;
                self.json(&json!({
                    "list": name,
                    "outcome": "summary",
                    "format": format.as_str(),
                    "entries": counts.entries,
                    "accepted": counts.accepted,
                    "noted": counts.noted,
                    "leftOut": counts.left_out,
                    "rejected": counts.rejected,
                    "problems": counts.problems,
                    "rules": counts.rules,
                }))
            });
        }
        for (note, count) in std::mem::take(&mut self.notes) {
            if let (more @ 1.., false) = (count.saturating_sub(SHOWN), self.args.all_notes) {
                let text = format!("note: {note}: {more} more; --all-notes shows them");
                diagnostics::text(&format!("{}\n", Printable(&text)));
            }
        }
        for list in lists {
            self.line(
                &format!("{} ({}): {}", list.name, list.format, in_words(&list.counts)),
                false,
            )?;
        }
        for (why, count) in std::mem::take(&mut self.left_out) {
            self.line(&format!("  left out, {why}: {count}"), false)?;
        }
        match lists {
            [_] => Ok(()),
            _ => self.line(&format!("all {} lists: {}", lists.len(), in_words(counts)), true),
        }
    }

    fn merged(&mut self, before: usize, after: usize) -> io::Result<()> {
        let gone = before.saturating_sub(after);
        match self.args.format {
            LinesFormat::Jsonl => self.json(&json!({
                "outcome": "merged", "before": before, "after": after, "gone": gone,
            })),
            LinesFormat::Text => self.line(
                &format!("merged: {} became {after}, {gone} went", rules(before as u64)),
                true,
            ),
        }
    }

    fn wrote(&mut self, path: &Path, made: &FilterSettings) -> io::Result<()> {
        if self.args.format == LinesFormat::Jsonl {
            return Ok(());
        }
        let (count, default) = (made.rules().len() as u64, made.default_action());
        self.line(&format!("{}: {}, default {default}", path.display(), rules(count)), true)
    }

    fn end(&mut self) -> io::Result<()> {
        self.output.as_mut().map_or(Ok(()), Output::flush)
    }
}

/// How many entries with a note are shown of each note.
const SHOWN: u64 = 3;

/// The error without its place, which stands before it.
fn reason(error: &flowsieve::Error) -> String {
    match (error.rule_index(), error.key()) {
        (Some(rule), Some(key)) => format!("rule {rule}, key `{key}`: {}", error.kind()),
        (Some(rule), None) => format!("rule {rule}: {}", error.kind()),
        (None, Some(key)) => format!("key `{key}`: {}", error.kind()),
        (None, None) => error.kind().to_string(),
    }
}

fn in_words(counts: &Counts) -> String {
    let entries =
        if counts.entries == 1 { "1 entry" } else { &format!("{} entries", counts.entries) };
    format!(
        "{entries} = {} accepted + {} with a note + {} left out + {} rejected; {}",
        counts.accepted,
        counts.noted,
        counts.left_out,
        counts.rejected,
        rules(counts.rules)
    )
}

fn rules(count: u64) -> String {
    if count == 1 { "1 rule".to_owned() } else { format!("{count} rules") }
}

/// What a line of JSON says of an entry.
fn line(event: &Event<'_>, is_merged: bool) -> serde_json::Value {
    let mut line = json!({ "list": event.name, "line": event.line, "column": event.column });
    let more = match &event.outcome {
        Outcome::Accepted { notes, of, rules } => {
            let words: Vec<&str> = notes.iter().map(Note::as_str).collect();
            let of = of.map(|(list, line)| json!({ "list": list, "line": line }));
            let range = (!is_merged).then(|| json!({ "first": rules.start, "count": rules.len() }));
            let outcome = if words.is_empty() { "accepted" } else { "noted" };
            json!({ "outcome": outcome, "notes": words, "of": of, "rules": range })
        }
        Outcome::LeftOut(why) => json!({ "outcome": "leftOut", "reason": why.as_str() }),
        Outcome::Rejected(error) => json!({ "outcome": "rejected", "reason": reason(error) }),
        Outcome::Problem(error) => json!({ "outcome": "problem", "reason": reason(error) }),
        _ => json!({}),
    };
    if let (Some(line), serde_json::Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
    line
}

/// The label of a rule, in quotes, for messages.
pub(crate) fn quoted_label(rule: &FilterRule) -> String {
    rule.label().map(|label| format!(" \"{label}\"")).unwrap_or_default()
}
