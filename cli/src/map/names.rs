//! [`Name`]: the networks of rules that are big enough to be named on a map.

use super::coverage::Coverage;
use super::hilbert::{Curve, Rect};
use crate::output::Printable;
use flowsieve::{FilterRule, FilterSettings};
use ipnet::IpNet;
use std::collections::HashSet;

/// A network with what is written on it.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    /// The label of the rule, where there is one that has room, then the network.
    pub(crate) lines: Vec<String>,
    /// The middle, in units of the picture.
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) font_size: f64,
}

/// The most names on a map.
const MAX_NAMES: usize = 60;
/// The height of the smallest network that is named, where there are many.
const MIN_NAMED: f64 = 12.0;
/// So many networks are all named, as far as names have room.
const FEW: usize = 40;
const MIN_FONT: f64 = 9.0;
const BESIDE_FONT: f64 = 10.0;
const MAX_FONT: f64 = 20.0;
/// Width of a character and height of a line, in parts of the font size.
const CHAR_WIDTH: f64 = 0.62;
const LINE_HEIGHT: f64 = 1.2;

/// Chooses the names, the biggest network first; none lies on another.
pub(crate) fn choose(
    settings: &FilterSettings,
    coverage: &Coverage,
    curve: &Curve,
    scale: f64,
) -> Vec<Name> {
    let (columns, rows) = curve.size();
    let size = (f64::from(columns) * scale, f64::from(rows) * scale);
    let mut seen = HashSet::new();
    let mut candidates: Vec<(usize, IpNet)> =
        coverage.rules().iter().copied().filter(|(_, net)| seen.insert(*net)).collect();
    candidates.sort_by_key(|(_, net)| (net.prefix_len(), *net));
    let least = if candidates.len() <= FEW { 0.0 } else { MIN_NAMED };
    let mut names: Vec<Name> = Vec::new();
    for (rule, net) in candidates {
        let Some(Rect { x, y, width, height }) = curve.place(net) else { continue };
        let (width, height) = (f64::from(width) * scale, f64::from(height) * scale);
        if height < least || names.len() >= MAX_NAMES {
            // What follows is no bigger.
            break;
        }
        let label = settings.rules().get(rule).and_then(FilterRule::label);
        let label = label.map(|label| Printable(label.trim()).to_string());
        let label = label.filter(|label| !label.is_empty() && *label != net.to_string());
        let with_label = label.map(|label| vec![label, net.to_string()]);
        let texts: Vec<Vec<String>> =
            with_label.into_iter().chain([vec![net.to_string()]]).collect();
        let (left, top) = (f64::from(x) * scale, f64::from(y) * scale);
        let (x, y) = (left + width / 2.0, top + height / 2.0);
        let inside = texts.iter().map(|lines| {
            let font_size = fit(lines, width, height);
            Name { lines: lines.clone(), x, y, font_size }
        });
        // To the right of it, or to the left.
        let beside = texts.iter().flat_map(|lines| {
            let name = Name { lines: lines.clone(), x, y, font_size: BESIDE_FONT };
            let (half, _) = name.half();
            let (right, left) = (left + width + 4.0 + half, left - 4.0 - half);
            [Name { x: right, ..name.clone() }, Name { x: left, ..name }]
        });
        let fits = |name: &Name| {
            let ((half_width, half_height), (map_width, map_height)) = (name.half(), size);
            name.font_size >= MIN_FONT
                && name.x - half_width >= 0.0
                && name.x + half_width <= map_width
                && name.y - half_height >= 0.0
                && name.y + half_height <= map_height
                && !names.iter().any(|other| other.overlaps(name))
        };
        let name = inside.chain(beside).find(fits);
        names.extend(name);
    }
    names
}

/// The size at which lines fit in a rectangle.
fn fit(lines: &[String], width: f64, height: f64) -> f64 {
    let chars = lines.iter().map(|line| columns(line)).max().unwrap_or(1).max(1) as f64;
    let by_width = 0.94 * width / (chars * CHAR_WIDTH);
    let by_height = 0.9 * height / (lines.len() as f64 * LINE_HEIGHT);
    by_width.min(by_height).min(MAX_FONT)
}

/// The width of a text in characters; those of East Asia are wide.
fn columns(text: &str) -> usize {
    text.chars().map(|c| if c >= '\u{1100}' { 2 } else { 1 }).sum()
}

impl Name {
    /// Half the width and half the height.
    fn half(&self) -> (f64, f64) {
        let chars = self.lines.iter().map(|line| columns(line)).max().unwrap_or(0) as f64;
        let width = chars * CHAR_WIDTH * self.font_size;
        (width / 2.0, self.lines.len() as f64 * LINE_HEIGHT * self.font_size / 2.0)
    }

    fn overlaps(&self, other: &Name) -> bool {
        let ((w, h), (other_w, other_h)) = (self.half(), other.half());
        (self.x - other.x).abs() < w + other_w && (self.y - other.y).abs() < h + other_h
    }
}
