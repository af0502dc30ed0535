//! Tells the format of a list by its content.

use super::lines::{Line, Lines};
use super::{Format, addresses, csv, drop_json, drop_text, dshield, emule_dat, geofeed, hosts};
use super::{ipsum, nft, p2p, pf};
use crate::error::{Error, ErrorKind};

/// Returns the format of a list that begins with `head`.
///
/// # Errors
///
/// [`ErrorKind::NoListFormat`], and [`ErrorKind::AmbiguousList`] where two formats fit equally.
pub(super) fn format(head: &[u8]) -> Result<Format, Error> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    match text.trim_ascii_start().first() {
        Some(b'{' | b'[') => of_json(text),
        _ => of_lines(head),
    }
}

/// Tells a JSON document by its keys.
fn of_json(text: &[u8]) -> Result<Format, Error> {
    let first = text.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(first);
    if drop_json::explains(&Line { number: 1, text: &line }) {
        return Ok(Format::DropJson);
    }
    let keys = keys(text);
    let has = |key: &str| keys.iter().any(|(_, own)| *own == key.as_bytes());
    let at_top = |key: &str| keys.iter().any(|(depth, own)| *depth == 1 && *own == key.as_bytes());
    let starts = |start: &[u8]| keys.iter().any(|(_, own)| own.starts_with(start));
    let found = [
        (Format::Settings, at_top("rules") && (has("networkRule") || at_top("defaultAction"))),
        (
            Format::LsRules,
            starts(b"denied-remote-")
                || (at_top("rules")
                    && (has("process") || at_top("description") || starts(b"remote-"))),
        ),
        (Format::LuLu, has("endpointAddr") || has("endpointPort")),
        (Format::OpenSnitch, has("operator") && has("action")),
        (Format::Aws, has("ip_prefix") || has("ipv6_prefix") || at_top("ipv6_prefixes")),
        (Format::Google, has("ipv4Prefix") || has("ipv6Prefix")),
        (Format::Azure, has("addressPrefixes")),
        (Format::Cloudflare, has("ipv4_cidrs") || has("ipv6_cidrs")),
        (Format::Fastly, at_top("addresses") || at_top("ipv6_addresses")),
        (Format::Oracle, at_top("regions") && has("cidrs")),
        (
            Format::GitHub,
            at_top("verifiable_password_authentication") || (at_top("hooks") && at_top("web")),
        ),
    ];
    let mut found = found.into_iter().filter(|(_, fits)| *fits).map(|(format, _)| format);
    match (found.next(), found.next()) {
        (None, _) => Err(Error::new(ErrorKind::NoListFormat)),
        (Some(format), None) => Ok(format),
        (Some(first), Some(second)) => Err(ambiguous(first, second)),
    }
}

/// The keys of a JSON document, or of its beginning, with how deep they stand.
fn keys(text: &[u8]) -> Vec<(usize, &[u8])> {
    let (mut keys, mut depth, mut index) = (Vec::new(), 0usize, 0);
    while let Some(byte) = text.get(index) {
        index += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let start = index;
                while text.get(index).is_some_and(|byte| *byte != b'"') {
                    index += if text.get(index) == Some(&b'\\') { 2 } else { 1 };
                }
                let string = text.get(start..index).unwrap_or_default();
                index += 1;
                let after = text.get(index..).unwrap_or_default().trim_ascii_start();
                if after.first() == Some(&b':') {
                    keys.push((depth, string));
                }
            }
            _ => {}
        }
    }
    keys
}

/// How a format fits the lines of a list.
struct Fit {
    format: Format,
    /// Lines that are of this format and of few others.
    marks: usize,
    /// Which lines it can read.
    lines: Vec<bool>,
}

impl Fit {
    fn count(&self) -> usize {
        self.lines.iter().filter(|line| **line).count()
    }
}

/// Tells a list of lines by how many of them each format can read.
fn of_lines(head: &[u8]) -> Result<Format, Error> {
    type Explains = fn(&Line<'_>) -> bool;
    // With what else may stand beside the lines that mark the format.
    const NONE: Explains = |_| false;
    const FORMATS: [(Format, Explains, Explains); 10] = [
        (Format::DropText, drop_text::explains, NONE),
        (Format::Dshield, dshield::explains, |line| line.text.trim_start().starts_with("Start")),
        (Format::P2p, p2p::explains, addresses::explains),
        (Format::EmuleDat, emule_dat::explains, addresses::explains),
        (Format::Hosts, hosts::explains, NONE),
        (Format::Ipsum, ipsum::explains, addresses::explains),
        (Format::Pf, pf::explains, pf::may_hold),
        (Format::Nft, nft::explains, nft::may_hold),
        (Format::Geofeed, geofeed::explains, NONE),
        (Format::Addresses, NONE, addresses::explains),
    ];
    let mut fits: Vec<Fit> = FORMATS
        .iter()
        .map(|(format, _, _)| Fit { format: *format, marks: 0, lines: Vec::new() })
        .collect();
    let mut has_header = false;
    let mut rows = Vec::new();
    let mut input = head;
    let mut lines = Lines::new(&mut input);
    // The last line may be cut off.
    let read = |_, line: Result<Line<'_>, Error>| {
        let Ok(line) = line else { return };
        let text = line.text.trim();
        if text.is_empty() || text.starts_with(['#', ';']) || text.starts_with("//") {
            return;
        }
        has_header |= rows.is_empty() && csv::is_header(&line);
        rows.push(has_header && (rows.is_empty() || csv::explains(&line)));
        for (fit, (_, marks, may_hold)) in fits.iter_mut().zip(&FORMATS) {
            let is_mark = marks(&line);
            fit.marks += usize::from(is_mark);
            fit.lines.push(is_mark || may_hold(&line));
        }
    };
    let mut read = read;
    while let Ok(Some(())) = lines.next(&mut read) {}
    let count = rows.len();
    fits.push(Fit { format: Format::Csv, marks: usize::from(has_header), lines: rows });
    if count == 0 {
        // Nothing but comments.
        return Ok(Format::Addresses);
    }
    fits.retain(|fit| fit.marks > 0 || fit.format == Format::Addresses);
    fits.sort_by_key(|fit| std::cmp::Reverse((fit.count(), fit.marks)));
    let mut best = fits.into_iter().filter(|fit| fit.count() * 2 >= count);
    match (best.next(), best.next()) {
        (None, _) => Err(Error::new(ErrorKind::NoListFormat)),
        (Some(first), Some(second)) if first.count() == second.count() => {
            // The one that more lines are marks of, if they read the same lines.
            match first.lines == second.lines && first.marks > second.marks {
                true => Ok(first.format),
                false => Err(ambiguous(first.format, second.format)),
            }
        }
        (Some(first), _) => Ok(first.format),
    }
}

fn ambiguous(first: Format, second: Format) -> Error {
    Error::new(ErrorKind::AmbiguousList { formats: [first.as_str(), second.as_str()] })
}
