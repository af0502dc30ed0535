//! `flowsieve map`: what settings do at every address, as a picture.

mod cells;
mod coverage;
mod hilbert;
mod names;
mod picture;
mod question;
mod raster;
mod svg;
#[cfg(test)]
mod tests;
mod traffic;

pub(crate) use self::coverage::{Coverage, size};
pub(crate) use self::picture::{Picture, percent};
pub(crate) use self::question::Question;
pub(crate) use self::svg::{Setting, draw as draw_svg};
pub(crate) use self::traffic::Traffic;

use crate::args::{MapArgs, MapFormat};
use crate::diagnostics;
use crate::input;
use crate::loaded::Loaded;
use crate::output::Output;
use crate::progress::Progress;
use crate::replay::{Piece, Pieces, complaint};
use crate::settings_file;
use crate::status::{Failure, Status};
use flowsieve::formats::logs::{Entry, LogOptions};
use flowsieve::{Flow, Matcher};
use flowsieve_captures::Packet;
use ipnet::IpNet;
use std::path::Path;
use std::sync::Arc;

/// Draws a map.
///
/// # Errors
///
/// That the settings cannot be read or the picture not written. A line that is no flow, or a file
/// of flows that cannot be read, is reported and makes the status [`BadInput`](Status::BadInput).
pub(crate) fn run(args: &MapArgs) -> Result<Status, Failure> {
    let format = format_of(args)?;
    let loaded = args.rules.load(&args.settings)?;
    let precedence = args.rules.precedence();
    let window = args.prefix.map_or_else(IpNet::default, |prefix| prefix.trunc());
    let (local, hostname) = (args.local.clone(), args.remote_hostname.clone());
    let question = Question::new(args.protocol, args.direction, args.port, local, hostname);
    let question = question.map_err(|error| Failure::BadInput(format!("--local: {error}")))?;
    let mut status = Status::Fine;
    let traffic = match args.flows.as_slice() {
        [] => None,
        _ => Some(read_traffic(args, &loaded, window, &mut status)?),
    };
    let coverage = Coverage::new(&loaded.settings, precedence, &question, window);
    let order = args.order.unwrap_or(match format {
        MapFormat::Svg => SVG_ORDER,
        MapFormat::Png => PNG_ORDER,
    });
    let picture =
        Picture::new(&loaded.name, &loaded.settings, &coverage, &question, order, traffic.as_ref());
    let bytes = match format {
        MapFormat::Svg => svg::draw(&picture, "map", Setting::Alone).into_bytes(),
        MapFormat::Png => {
            raster::draw(&picture).map_err(|error| settings_file::in_file(&args.output, error))?
        }
    };
    std::fs::write(&args.output, bytes)
        .map_err(|error| settings_file::in_file(&args.output, error))?;
    let mut output = Output::new(false);
    output.line(&picture.description)?;
    if coverage.waiting() > 0 {
        let rules = match coverage.waiting() {
            1 => "1 rule waits".to_owned(),
            count => format!("{count} rules wait"),
        };
        output.line(format_args!(
            "{rules} for a local endpoint or a host name, which --local and --remote-hostname give"
        ))?;
    }
    if let Some(traffic) = &traffic
        && traffic.outside() > 0
    {
        let flows = traffic.outside();
        output.line(format_args!("{flows} of the flows went elsewhere than {window}"))?;
    }
    output.flush()?;
    Ok(status)
}

/// Rows of cells, as a power of two: a cell of the IPv4 map is a /16, and a /20.
const SVG_ORDER: u8 = 8;
const PNG_ORDER: u8 = 10;

fn format_of(args: &MapArgs) -> Result<MapFormat, Failure> {
    let extension = args.output.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("svg") => Ok(MapFormat::Svg),
        Some("png") => Ok(MapFormat::Png),
        _ => {
            let what = "a map is written as `.svg` or `.png`";
            Err(settings_file::in_file(&args.output, what))
        }
    }
}

/// Decides the flows of every file, and counts where they went.
fn read_traffic(
    args: &MapArgs,
    loaded: &Loaded,
    window: IpNet,
    status: &mut Status,
) -> Result<Traffic, Failure> {
    let matcher = Matcher::builder().precedence(args.rules.precedence()).build(&loaded.settings);
    let matcher = matcher.map_err(|error| settings_file::in_file(&args.settings, error))?;
    let mut traffic = Traffic::new(window);
    let mut options = LogOptions::default();
    options.protocol = args.protocol;
    options.local_nets.clone_from(&args.local_nets);
    let options = Arc::new(options);
    let mut add = |flow: &Flow<'_>| {
        let address = flow.remote().and_then(|remote| remote.folded_address());
        traffic.add(address, matcher.decide(flow).action(), 1);
    };
    let progress = Progress::of_files(&args.flows);
    for path in &args.flows {
        read_file(args, path, (&options, &progress), &mut add, status);
    }
    progress.end();
    Ok(traffic)
}

/// Reads the flows of a file; what cannot be read is reported.
fn read_file(
    args: &MapArgs,
    path: &Path,
    (options, progress): (&Arc<LogOptions>, &Progress),
    add: &mut impl FnMut(&Flow<'_>),
    status: &mut Status,
) {
    let name = input::name(path);
    let bad_line = |(line, column, reason): (u64, u64, String)| {
        progress.aside(|| diagnostics::bad_line(&name, line, column, &reason));
        Status::BadInput
    };
    let mut pieces = match Pieces::open(path, None, options, progress) {
        Ok(pieces) => pieces,
        Err(problem) => {
            progress.aside(|| diagnostics::error(&format!("{name}: {problem}")));
            *status = Status::BadInput;
            return;
        }
    };
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Text(mut reader, text) => reader.read(&text, |record| match record.entry {
                Entry::Flow(found) => add(&found.flow),
                Entry::Rejected(error) => *status = bad_line(complaint(&error, record.line)),
                Entry::Skipped(_) | Entry::Other(_) => {}
            }),
            Piece::Packets(packets) => {
                for (number, packet) in packets {
                    match packet {
                        Packet::Flow(found) => add(&found.to_flow(&args.local_nets).flow),
                        Packet::Rejected(Some(reason)) => *status = bad_line((number, 1, reason)),
                        Packet::Rejected(None) => *status = Status::BadInput,
                        Packet::Skipped(_) => {}
                    }
                }
            }
            Piece::Unreadable(problem) => {
                progress.aside(|| diagnostics::error(&format!("{name}: {problem}")));
                *status = Status::BadInput;
            }
        }
    }
}
