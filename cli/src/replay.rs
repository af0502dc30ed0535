//! `flowsieve replay`: what became of the flows of logs.
//!
//! One thread reads and cuts logs into pieces, as many as there are processors decide them, and
//! one adds up the counts in the order of the pieces: so what is printed does not depend on the
//! number of threads.

mod chunks;
mod counts;
mod print;

pub(crate) use self::chunks::{Piece, Pieces};
pub(crate) use self::counts::complaint;
use self::counts::{Counts, Judge, Source, Totals};
use crate::args::ReplayArgs;
use crate::loaded::Loaded;
use crate::progress::Progress;
use crate::status::{Failure, Status};
use crate::{diagnostics, input, settings_file};
use flowsieve::formats::logs::LogOptions;
use flowsieve::{FilterSettings, Matcher};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// Decides the flows of logs, and prints what was decided how often.
///
/// # Errors
///
/// That settings cannot be read, or something not written. A record that cannot be understood, or
/// a log that cannot be read, is reported and makes the status [`BadInput`](Status::BadInput).
pub(crate) fn run(args: &ReplayArgs) -> Result<Status, Failure> {
    let start = Instant::now();
    let settings = Loaded::read(&args.settings.settings, args.settings.hostname_in_network)?;
    let against = match &args.against {
        Some(path) => Some(Loaded::read(path, args.settings.hostname_in_network)?),
        None => None,
    };
    let matcher = |settings: &FilterSettings, path: &Path| {
        let builder = Matcher::builder().precedence(args.settings.precedence.into());
        builder.build(settings).map_err(|error| settings_file::in_file(path, error))
    };
    let judge = Judge {
        settings: &settings.settings,
        matcher: matcher(&settings.settings, &args.settings.settings)?,
        against: match (&against, &args.against) {
            (Some(other), Some(path)) => Some((&other.settings, matcher(&other.settings, path)?)),
            _ => None,
        },
        is_reported: args.report.is_some(),
        examples: args.examples,
        local_nets: &args.local_nets,
    };
    let mut options = LogOptions::default();
    options.protocol = args.settings.protocol;
    options.local_nets.clone_from(&args.local_nets);
    options.columns.clone_from(&args.columns);
    let totals = replay(args, &judge, &Arc::new(options));
    let run = print::Run {
        args,
        settings: &settings,
        against: against.as_ref(),
        totals: &totals,
        elapsed: start.elapsed(),
    };
    run.print()?;
    if let Some(path) = &args.report {
        run.report(path)?;
    }
    let is_clean =
        totals.counts.rejected == 0 && totals.sources.iter().all(|source| source.problem.is_none());
    Ok(if is_clean { Status::Fine } else { Status::BadInput })
}

/// A message of the thread that reads.
enum Read {
    /// A log begins, of this name and, unless it cannot be read, format.
    Source(String, Result<&'static str, String>),
    /// A piece of the log of this index.
    Piece(usize, Piece),
}

/// What became of a message, for the thread that adds up.
enum Done {
    Source(String, Result<&'static str, String>),
    Counts(usize, Box<Counts>),
    Problem(usize, String),
}

fn replay(args: &ReplayArgs, judge: &Judge<'_>, options: &Arc<LogOptions>) -> Totals {
    let threads = match args.threads {
        0 => thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads.into(),
    };
    // As many pieces may be under way as keep every thread busy, however unequal they are.
    let window = 4 * threads;
    let (work, todo) = mpsc::sync_channel(window);
    let todo = Mutex::new(todo);
    let (ready, done) = mpsc::channel();
    let (permit, permits) = mpsc::sync_channel(window);
    let progress = Progress::of_files(&args.logs);
    let totals = thread::scope(|scope| {
        scope.spawn(|| {
            let work = work;
            let permit = permit;
            read(args, options, &progress, &work, &permit);
        });
        for _ in 0..threads {
            let ready = ready.clone();
            scope.spawn(|| decide(judge, &todo, ready));
        }
        drop(ready);
        add_up(args, judge, &progress, &done, &permits)
    });
    progress.end();
    totals
}

/// Reads every log; ends when nobody listens any more.
fn read(
    args: &ReplayArgs,
    options: &Arc<LogOptions>,
    progress: &Progress,
    work: &SyncSender<(u64, Read)>,
    permit: &SyncSender<()>,
) {
    let mut number = 0;
    let mut send = |read| {
        let is_sent = permit.send(()).is_ok() && work.send((number, read)).is_ok();
        number += 1;
        is_sent
    };
    for (index, path) in args.logs.iter().enumerate() {
        let name = input::name(path);
        let mut pieces = match Pieces::open(path, args.format_of_logs, options, progress) {
            Ok(pieces) => pieces,
            Err(problem) => {
                if !send(Read::Source(name, Err(problem))) {
                    return;
                }
                continue;
            }
        };
        if !send(Read::Source(name, Ok(pieces.format))) {
            return;
        }
        while let Some(piece) = pieces.next() {
            if !send(Read::Piece(index, piece)) {
                return;
            }
        }
    }
}

/// Decides pieces until there are no more.
fn decide(judge: &Judge<'_>, todo: &Mutex<Receiver<(u64, Read)>>, ready: Sender<(u64, Done)>) {
    loop {
        let next = todo.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, read)) = next else { return };
        let done = match read {
            Read::Source(name, format) => Done::Source(name, format),
            Read::Piece(source, Piece::Unreadable(problem)) => Done::Problem(source, problem),
            Read::Piece(source, piece) => {
                Done::Counts(source, Box::new(count(source, piece, judge)))
            }
        };
        if ready.send((number, done)).is_err() {
            return;
        }
    }
}

fn count(source: usize, piece: Piece, judge: &Judge<'_>) -> Counts {
    let mut counts = Counts::default();
    match piece {
        Piece::Text(mut reader, text) => {
            reader.read(&text, |record| counts.record(source, record, judge));
        }
        Piece::Packets(list) => {
            for (number, packet) in list {
                counts.packet(source, number, packet, judge);
            }
        }
        Piece::Unreadable(_) => {}
    }
    counts
}

/// Adds up in the order in which pieces were read.
fn add_up(
    args: &ReplayArgs,
    judge: &Judge<'_>,
    progress: &Progress,
    done: &Receiver<(u64, Done)>,
    permits: &Receiver<()>,
) -> Totals {
    let mut totals = Totals::new(args.examples);
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (number, piece) in done {
        early.insert(number, piece);
        while let Some(piece) = early.remove(&next) {
            next += 1;
            // The thread that reads waits for this, so there is one for each piece.
            let _ = permits.recv();
            take(&mut totals, piece, judge, progress);
        }
    }
    totals
}

fn take(totals: &mut Totals, piece: Done, judge: &Judge<'_>, progress: &Progress) {
    let problem_of = |source: &mut Source, problem: String| {
        progress.aside(|| diagnostics::error(&format!("{}: {problem}", source.name)));
        source.problem = Some(problem);
    };
    match piece {
        Done::Source(name, format) => {
            let mut source = Source { name, format: "unknown", ..Source::default() };
            match format {
                Ok(format) => source.format = format,
                Err(problem) => problem_of(&mut source, problem),
            }
            totals.sources.push(source);
        }
        Done::Problem(source, problem) => {
            if let Some(source) = totals.sources.get_mut(source) {
                problem_of(source, problem);
            }
        }
        Done::Counts(source, mut counts) => {
            let name = totals.sources.get(source).map_or("", |source| &source.name);
            for (line, column, reason) in std::mem::take(&mut counts.complaints) {
                progress.aside(|| diagnostics::bad_line(name, line, column, &reason));
            }
            totals.add(source, *counts, judge);
        }
    }
}
