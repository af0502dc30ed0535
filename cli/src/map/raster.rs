//! A map as PNG: each cell at least a pixel, in the colours for light.

use super::cells::Content;
use super::hilbert::Rect;
use super::picture::{Picture, WIDTH};
use super::traffic::Spot;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::iso_8859_1::{FONT_6X10, FONT_8X13, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::{Drawable, Primitive};
use embedded_graphics::primitives::{Circle, PrimitiveStyleBuilder, Rectangle, Triangle};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
use flowsieve::Action;
use std::convert::Infallible;

/// Draws a map. What the picture shows stands in the file as text too, for those who cannot see it.
pub(crate) fn draw(picture: &Picture) -> Result<Vec<u8>, png::EncodingError> {
    let (columns, rows) = picture.cells.size();
    let pixels = (WIDTH as u32 / columns).max(1);
    let (width, height) = (columns * pixels, rows * pixels);
    let legend_rows = 2 + u32::from(!picture.spots.is_empty());
    let (left, top) = (MARGIN, HEAD);
    let mut canvas = Canvas::new(width + 2 * left, top + height + legend_rows * ROW + MARGIN);
    let Ok(()) = Drawing { picture, pixels, left, top, canvas: &mut canvas }.draw();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, canvas.width, canvas.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.add_itxt_chunk("Title".to_owned(), picture.title.clone())?;
    encoder.add_itxt_chunk("Description".to_owned(), picture.description.clone())?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&canvas.pixels)?;
    writer.finish()?;
    Ok(bytes)
}

const MARGIN: u32 = 16;
const HEAD: u32 = 64;
const ROW: u32 = 24;

const PAPER: Rgb888 = Rgb888::WHITE;
const INK: Rgb888 = Rgb888::new(0x1d, 0x23, 0x29);
const HATCH: Rgb888 = Rgb888::new(0x7a, 0x25, 0x03);
const DOTS: Rgb888 = Rgb888::new(0x23, 0x62, 0x8f);

/// The colours of [`Content::ALL`], those for light in the style of maps.
const COLOURS: [u32; 15] = [
    0xbfe3d3, 0xa83a0c, 0x3f8fc9, 0xc1baa4, 0xbd9276, 0xb56847, 0xa0ced2, 0x81b9d0, 0x61a4cd,
    0x99584c, 0x866e77, 0x6b80a0, 0xa4a7a4, 0xa18077, 0x8793a3,
];

/// Pixels, three bytes each.
struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: u32, height: u32) -> Canvas {
        let paper = [PAPER.r(), PAPER.g(), PAPER.b()];
        Canvas { width, height, pixels: paper.repeat(width as usize * height as usize) }
    }

    fn at(&mut self, x: i32, y: i32) -> Option<&mut [u8; 3]> {
        let x = u32::try_from(x).ok().filter(|x| *x < self.width)?;
        let y = u32::try_from(y).ok().filter(|y| *y < self.height)?;
        let at = 3 * (y as usize * self.width as usize + x as usize);
        self.pixels.get_mut(at..)?.first_chunk_mut()
    }

    /// Lays a colour over a pixel.
    fn shade(&mut self, x: i32, y: i32, colour: Rgb888, tenths: u16) {
        let Some(pixel) = self.at(x, y) else { return };
        for (own, new) in pixel.iter_mut().zip([colour.r(), colour.g(), colour.b()]) {
            *own = ((u16::from(*own) * (10 - tenths) + u16::from(new) * tenths) / 10) as u8;
        }
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        for Pixel(Point { x, y }, colour) in pixels {
            if let Some(pixel) = self.at(x, y) {
                *pixel = [colour.r(), colour.g(), colour.b()];
            }
        }
        Ok(())
    }
}

struct Drawing<'a> {
    picture: &'a Picture,
    /// To a cell.
    pixels: u32,
    left: u32,
    top: u32,
    canvas: &'a mut Canvas,
}

impl Drawing<'_> {
    fn draw(mut self) -> Result<(), Infallible> {
        let left = self.left as i32;
        self.text(&self.picture.title, (left, 12), &FONT_10X20, Alignment::Left)?;
        self.text(&self.picture.subtitle, (left, 38), &FONT_8X13, Alignment::Left)?;
        for (content, rects) in self.picture.cells.rects() {
            for rect in rects {
                self.cells(content, rect);
            }
        }
        self.grid()?;
        for spot in &self.picture.spots {
            let Spot { x, y, radius, action, .. } = spot;
            let (x, y) = self.place(*x, *y);
            self.mark(*action, (x, y), *radius as i32)?;
        }
        for name in &self.picture.names {
            let font = match name.font_size {
                18.0.. => &FONT_10X20,
                14.0.. => &FONT_8X13,
                _ => &FONT_6X10,
            };
            let line_height = font.character_size.height as i32 + 2;
            let (x, y) = self.place(name.x, name.y);
            let first = y - line_height * name.lines.len() as i32 / 2;
            for (line, text) in (0..).zip(&name.lines) {
                self.haloed(text, (x, first + line * line_height), font)?;
            }
        }
        self.legend()
    }

    /// From units of the picture to pixels.
    fn place(&self, x: f64, y: f64) -> (i32, i32) {
        let zoom = f64::from(self.pixels) / self.picture.scale;
        ((x * zoom) as i32 + self.left as i32, (y * zoom) as i32 + self.top as i32)
    }

    fn cells(&mut self, content: Content, Rect { x, y, width, height }: Rect) {
        let Drawing { pixels, left, top, .. } = *self;
        let (x, y) = (left + x * pixels, top + y * pixels);
        self.paint(content, Rect { x, y, width: width * pixels, height: height * pixels });
    }

    /// Fills pixels with the colour and the pattern of a content.
    fn paint(&mut self, content: Content, rect: Rect) {
        let colour = colour(content);
        for y in rect.y..rect.y + rect.height {
            for x in rect.x..rect.x + rect.width {
                let is_line = (x + y) % 8 == 0;
                let is_dot = (x % 8 / 2, y % 8 / 2) == (0, 0) || (x % 8 / 2, y % 8 / 2) == (2, 2);
                let is_dash = (y % 8 == 1 && x % 8 < 4) || (y % 8 == 5 && x % 8 >= 4);
                let (x, y) = (x as i32, y as i32);
                self.canvas.shade(x, y, colour, 10);
                match content.action() {
                    Some(Action::Drop) if is_line => self.canvas.shade(x, y, HATCH, 8),
                    Some(Action::FilterData) if is_dot => self.canvas.shade(x, y, DOTS, 8),
                    None if is_dash => self.canvas.shade(x, y, INK, 4),
                    _ => {}
                }
            }
        }
    }

    fn grid(&mut self) -> Result<(), Infallible> {
        let (columns, rows) = self.picture.cells.size();
        let (width, height) = (columns * self.pixels, rows * self.pixels);
        let (left, top) = (self.left as i32, self.top as i32);
        let step = self.picture.grid.first().map_or(f64::INFINITY, |grid| grid.width);
        let step = step * f64::from(self.pixels) / self.picture.scale;
        let lines = |end: u32| {
            let at = (1..).map(move |n| f64::from(n) * step);
            at.take_while(move |at| *at < f64::from(end)).map(|at| at as i32)
        };
        for x in lines(width) {
            (0..height as i32).for_each(|y| self.canvas.shade(left + x, top + y, INK, 2));
        }
        for y in lines(height) {
            (0..width as i32).for_each(|x| self.canvas.shade(left + x, top + y, INK, 2));
        }
        for grid in &self.picture.grid {
            let (x, y) = self.place(grid.x, grid.y);
            self.text(&grid.name, (x + 3, y + 2), &FONT_6X10, Alignment::Left)?;
        }
        let frame = Rectangle::new(Point::new(left - 1, top - 1), Size::new(width + 2, height + 2));
        let style = PrimitiveStyleBuilder::new().stroke_color(INK).stroke_width(1).build();
        frame.into_styled(style).draw(self.canvas)
    }

    fn legend(&mut self) -> Result<(), Infallible> {
        let (_, rows) = self.picture.cells.size();
        let y = self.top + rows * self.pixels + 10;
        let mut x = self.left;
        let actions = self.picture.legend().into_iter().filter_map(|(action, text)| {
            let pure = Content::ALL.into_iter().find(|content| content.action() == Some(action))?;
            Some((pure, text))
        });
        let used = self.picture.cells.rects().into_iter();
        let mut mixed =
            used.filter(|(content, rects)| content.action().is_none() && !rects.is_empty());
        let mixed = mixed.next().map(|(content, _)| content).zip(self.picture.mixed_legend());
        for (content, text) in actions.chain(mixed) {
            self.paint(content, Rect { x, y, width: 20, height: 16 });
            let corner = ((x + 26) as i32, y as i32 + 2);
            self.text(&text, corner, &FONT_8X13, Alignment::Left)?;
            x += 44 + 8 * text.chars().count() as u32;
        }
        if !self.picture.spots.is_empty() {
            let (mut x, y) = (self.left as i32, (y + ROW) as i32);
            for action in Action::ALL {
                self.mark(action, (x + 10, y + 8), 7)?;
                let text = format!("flows, {action}");
                self.text(&text, (x + 26, y + 2), &FONT_8X13, Alignment::Left)?;
                x += 44 + 8 * text.chars().count() as i32;
            }
            self.text("the larger, the more flows", (x, y + 2), &FONT_8X13, Alignment::Left)?;
        }
        Ok(())
    }

    fn mark(&mut self, action: Action, (x, y): (i32, i32), radius: i32) -> Result<(), Infallible> {
        let style = PrimitiveStyleBuilder::new().fill_color(PAPER).stroke_color(INK);
        let style = style.stroke_width(2).build();
        let side = 2 * radius as u32 + 1;
        let corner = Point::new(x - radius, y - radius);
        match action {
            Action::Allow => Circle::new(corner, side).into_styled(style).draw(self.canvas),
            Action::Drop => {
                Rectangle::new(corner, Size::new(side, side)).into_styled(style).draw(self.canvas)
            }
            Action::FilterData => {
                let at = |dx, dy| Point::new(x + dx, y + dy);
                Triangle::new(at(-radius, radius), at(radius, radius), at(0, -radius))
                    .into_styled(style)
                    .draw(self.canvas)
            }
        }
    }

    /// Writes text in the middle of a place, with paper around its strokes.
    fn haloed(
        &mut self,
        text: &str,
        (x, y): (i32, i32),
        font: &MonoFont<'_>,
    ) -> Result<(), Infallible> {
        for (dx, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
            self.coloured(text, (x + dx, y + dy), font, Alignment::Center, PAPER)?;
        }
        self.coloured(text, (x, y), font, Alignment::Center, INK)
    }

    fn text(
        &mut self,
        text: &str,
        corner: (i32, i32),
        font: &MonoFont<'_>,
        alignment: Alignment,
    ) -> Result<(), Infallible> {
        self.coloured(text, corner, font, alignment, INK)
    }

    /// Characters that the font does not have are drawn as `?`.
    fn coloured(
        &mut self,
        text: &str,
        (x, y): (i32, i32),
        font: &MonoFont<'_>,
        alignment: Alignment,
        colour: Rgb888,
    ) -> Result<(), Infallible> {
        let place = TextStyleBuilder::new().alignment(alignment).baseline(Baseline::Top).build();
        let style = MonoTextStyle::new(font, colour);
        Text::with_text_style(text, Point::new(x, y), style, place).draw(self.canvas).map(|_| ())
    }
}

fn colour(content: Content) -> Rgb888 {
    let place = Content::ALL.iter().position(|other| *other == content).unwrap_or(0);
    let [_, red, green, blue] = COLOURS.get(place).copied().unwrap_or(0).to_be_bytes();
    Rgb888::new(red, green, blue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::svg;

    #[test]
    fn colours_are_those_of_the_style_for_light() {
        let light = svg::STYLE.split("@media").next().unwrap();
        for (content, colour) in Content::ALL.into_iter().zip(COLOURS) {
            let [allow, drop, filter] = content.quarters();
            let rule = format!(".c{allow}{drop}{filter}{{fill:#{colour:06x}}}");
            assert!(light.contains(&rule), "{rule}");
        }
    }
}
