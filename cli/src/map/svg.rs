//! A map as SVG: a few paths, one for each content of cells.

use super::cells::Content;
use super::hilbert::Rect;
use super::picture::{Picture, WIDTH};
use crate::report::escape;
use flowsieve::Action;
use std::fmt::{self, Write};

/// The style of maps, for light and dark.
pub(crate) const STYLE: &str = include_str!("map.css");

/// Where a picture is to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// In a file of its own, which has the style in it.
    Alone,
    /// In a page that has [`STYLE`] and a heading.
    InPage,
}

/// Draws a map. `id` is put before all names within it, which are to be unique in a page.
pub(crate) fn draw(picture: &Picture, id: &str, setting: Setting) -> String {
    let mut svg = String::new();
    // A String takes whatever is written.
    let _ = Drawing { picture, id, setting }.write(&mut svg);
    svg
}

struct Drawing<'a> {
    picture: &'a Picture,
    id: &'a str,
    setting: Setting,
}

/// Around the map in a page: what a mark in the middle of a cell reaches beyond it.
const EDGE: f64 = 8.0;
/// Around the map in a file of its own.
const MARGIN: f64 = 16.0;
/// Above the map in a file of its own.
const HEAD: f64 = 64.0;
/// A row of the legend.
const ROW: f64 = 24.0;

impl Drawing<'_> {
    fn write(&self, svg: &mut String) -> fmt::Result {
        let Drawing { picture, id, setting } = *self;
        let is_alone = setting == Setting::Alone;
        let (top, side) = if is_alone { (HEAD, MARGIN) } else { (EDGE, EDGE) };
        let map_height = picture.height();
        let rows = 2.0 + f64::from(u8::from(!picture.spots.is_empty()));
        let width = WIDTH + 2.0 * side;
        let height = top + map_height + rows * ROW + if is_alone { MARGIN } else { 4.0 };
        let size = match is_alone {
            true => format!(" width=\"{width}\" height=\"{height}\""),
            false => String::new(),
        };
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"map\"{size} viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
             <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>",
            escape(&picture.title),
            escape(&picture.description),
        )?;
        if is_alone {
            writeln!(svg, "<style>\n{STYLE}</style>")?;
        }
        self.patterns(svg)?;
        if is_alone {
            writeln!(
                svg,
                "<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n\
                 <text class=\"title\" x=\"{side}\" y=\"30\">{}</text>\n\
                 <text class=\"sub\" x=\"{side}\" y=\"50\">{}</text>",
                escape(&picture.title),
                escape(&picture.subtitle),
            )?;
        }
        writeln!(svg, "<g transform=\"translate({side} {top})\">")?;
        self.cells(svg)?;
        self.grid(svg)?;
        writeln!(svg, "<path class=\"frame\" d=\"M0 0h{WIDTH}v{map_height}h-{WIDTH}z\"/>")?;
        for spot in &picture.spots {
            let flows = if spot.flows == 1 { "flow" } else { "flows" };
            let title = format!("{}: {} {flows}, {}", spot.net, spot.flows, spot.action);
            mark(svg, spot.action, (spot.x, spot.y, spot.radius), &title)?;
        }
        self.names(svg)?;
        writeln!(svg, "</g>\n<g transform=\"translate({side} {})\">", top + map_height)?;
        self.legend(svg)?;
        svg.push_str("</g>\n</svg>\n");
        Ok(())
    }

    /// What tells contents apart without colour: lines for drop, points for filterData, dashes for
    /// mixtures.
    fn patterns(&self, svg: &mut String) -> fmt::Result {
        svg.push_str("<defs>\n");
        for (content, rects) in self.picture.cells.rects() {
            // The legend has all actions, and of the mixtures those that there are.
            if rects.is_empty() && content.action().is_none() {
                continue;
            }
            let (class, size) = (class(content), 8);
            let ink = match content.action() {
                Some(Action::Allow) => continue,
                Some(Action::Drop) => "<path class=\"hatch\" d=\"M-2 2l4-4M0 8l8-8M6 10l4-4\"/>",
                Some(Action::FilterData) => {
                    "<circle class=\"dots\" cx=\"2\" cy=\"2\" r=\"1.2\"/>\
                     <circle class=\"dots\" cx=\"6\" cy=\"6\" r=\"1.2\"/>"
                }
                None => "<path class=\"dash\" d=\"M0 2h4M4 6h4\"/>",
            };
            writeln!(
                svg,
                "<pattern id=\"{}-{class}\" width=\"{size}\" height=\"{size}\" \
                 patternUnits=\"userSpaceOnUse\"><rect class=\"{class}\" width=\"{size}\" \
                 height=\"{size}\"/>{ink}</pattern>",
                self.id,
            )?;
        }
        svg.push_str("</defs>\n");
        Ok(())
    }

    /// How something with a content is filled.
    fn fill(&self, content: Content) -> String {
        match content.action() {
            Some(Action::Allow) => format!("class=\"{}\"", class(content)),
            _ => format!("fill=\"url(#{}-{})\"", self.id, class(content)),
        }
    }

    fn cells(&self, svg: &mut String) -> fmt::Result {
        let scale = self.picture.scale;
        svg.push_str("<g shape-rendering=\"crispEdges\">\n");
        for (content, rects) in self.picture.cells.rects() {
            if rects.is_empty() {
                continue;
            }
            write!(svg, "<path {} d=\"", self.fill(content))?;
            for Rect { x, y, width, height } in rects {
                let of = |cells: u32| f64::from(cells) * scale;
                let (x, y, width, height) = (of(x), of(y), of(width), of(height));
                write!(svg, "M{x} {y}h{width}v{height}h-{width}z")?;
            }
            writeln!(svg, "\"><title>{}</title></path>", content.words())?;
        }
        svg.push_str("</g>\n");
        Ok(())
    }

    fn grid(&self, svg: &mut String) -> fmt::Result {
        let Some(step) = self.picture.grid.first().map(|grid| grid.width) else { return Ok(()) };
        let height = self.picture.height();
        svg.push_str("<path class=\"grid\" shape-rendering=\"crispEdges\" d=\"");
        let lines =
            |end: f64| (1..).map(move |n| f64::from(n) * step).take_while(move |at| *at < end);
        for x in lines(WIDTH) {
            write!(svg, "M{x} 0v{height}")?;
        }
        for y in lines(height) {
            write!(svg, "M0 {y}h{WIDTH}")?;
        }
        svg.push_str("\"/>\n<g class=\"block\">\n");
        for grid in self.picture.grid.iter().filter(|grid| !grid.name.is_empty()) {
            let (x, y) = (grid.x + 3.0, grid.y + 11.0);
            writeln!(svg, "<text x=\"{x}\" y=\"{y}\">{}</text>", grid.name)?;
        }
        svg.push_str("</g>\n");
        Ok(())
    }

    fn names(&self, svg: &mut String) -> fmt::Result {
        for name in &self.picture.names {
            let lines = name.lines.len() as f64;
            for (line, text) in (0_u8..).zip(&name.lines) {
                let size = name.font_size;
                // 0.35: from the middle of a line to its base.
                let y = name.y + size * (1.2 * (f64::from(line) - (lines - 1.0) / 2.0) + 0.35);
                writeln!(
                    svg,
                    "<text class=\"name\" x=\"{:.1}\" y=\"{y:.1}\" font-size=\"{size:.1}\">{}</text>",
                    name.x,
                    escape(text),
                )?;
            }
        }
        Ok(())
    }

    fn legend(&self, svg: &mut String) -> fmt::Result {
        let actions = self.picture.legend().into_iter().filter_map(|(action, text)| {
            let pure = Content::ALL.into_iter().find(|content| content.action() == Some(action))?;
            Some((vec![pure], text))
        });
        let used = |content: &Content| content.action().is_none();
        let mixed: Vec<Content> = self
            .picture
            .cells
            .rects()
            .into_iter()
            .filter(|(content, rects)| used(content) && !rects.is_empty())
            .map(|(content, _)| content)
            .take(3)
            .collect();
        let mixed = self.picture.mixed_legend().map(|text| (mixed, text));
        let mut x = 0.0_f64;
        for (contents, text) in actions.chain(mixed) {
            for content in contents {
                writeln!(
                    svg,
                    "<rect {} x=\"{x}\" y=\"10\" width=\"20\" height=\"16\"/>\
                     <rect class=\"grid\" x=\"{x}\" y=\"10\" width=\"20\" height=\"16\"/>",
                    self.fill(content),
                )?;
                x += 24.0;
            }
            writeln!(
                svg,
                "<text class=\"key\" x=\"{}\" y=\"23\">{}</text>",
                x + 4.0,
                escape(&text)
            )?;
            x += (28.0 + 7.6 * text.chars().count() as f64).round();
        }
        if !self.picture.spots.is_empty() {
            let mut x = 0.0;
            for action in Action::ALL {
                mark(svg, action, (x + 10.0, 18.0 + ROW, 7.0), "")?;
                let text = format!("flows, {action}");
                writeln!(
                    svg,
                    "<text class=\"key\" x=\"{}\" y=\"{}\">{text}</text>",
                    x + 28.0,
                    23.0 + ROW
                )?;
                x += (52.0 + 7.6 * text.chars().count() as f64).round();
            }
            let text = "the larger, the more flows";
            writeln!(svg, "<text class=\"key\" x=\"{x}\" y=\"{}\">{text}</text>", 23.0 + ROW)?;
        }
        Ok(())
    }
}

/// A circle for allow, a square for drop, a triangle for filterData.
fn mark(
    svg: &mut String,
    action: Action,
    (x, y, radius): (f64, f64, f64),
    title: &str,
) -> fmt::Result {
    let title = match title {
        "" => String::new(),
        title => format!("<title>{}</title>", escape(title)),
    };
    match action {
        Action::Allow => {
            writeln!(
                svg,
                "<circle class=\"mark\" cx=\"{x}\" cy=\"{y}\" r=\"{radius:.1}\">{title}</circle>"
            )
        }
        Action::Drop => {
            let half = 0.88 * radius;
            writeln!(
                svg,
                "<rect class=\"mark\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\">{title}</rect>",
                x - half,
                y - half,
                2.0 * half,
                2.0 * half,
            )
        }
        Action::FilterData => {
            let half = 1.1 * radius;
            writeln!(
                svg,
                "<path class=\"mark\" d=\"M{:.1} {:.1}h{:.1}l-{half:.1} -{:.1}z\">{title}</path>",
                x - half,
                y + 0.62 * half,
                2.0 * half,
                1.73 * half,
            )
        }
    }
}

/// The class of a content: the quarters of each action.
fn class(content: Content) -> String {
    let [allow, drop, filter] = content.quarters();
    format!("c{allow}{drop}{filter}")
}
