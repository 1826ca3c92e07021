//! A picture as PNG, in a font of this machine.

use session_protocol::Code;
use session_terminal::{Rgb, Underline};
use tiny_skia::{FillRule, Paint, Path, PathBuilder, Pixmap, Stroke, StrokeDash, Transform};

use super::fonts::{Fonts, Glyph};
use super::scene::{FONT, Line, Rect, Scene, Shape, Text, WIDTH};
use crate::failure::Failure;

/// Pixels of a unit: screens are fine today.
const SCALE: f32 = 2.0;
/// Larger pictures are drawn coarser, for they are held in memory, four bytes a pixel.
const MANY: f32 = 32e6;

/// The picture's file.
pub(crate) fn png(scene: &Scene) -> Result<Vec<u8>, Failure> {
    let mut fonts = Fonts::of_this_machine()?;
    let pixels = scene.width * scene.height * SCALE * SCALE;
    let scale = if pixels > MANY { 1.0 } else { SCALE };
    let side = |length: f32| (length * scale).ceil() as u32;
    let too_large = || Failure::new(Code::Limit, "the screen is too large for a picture");
    let pixmap = Pixmap::new(side(scene.width), side(scene.height)).ok_or_else(too_large)?;
    let mut canvas = Canvas {
        pixmap,
        transform: Transform::from_scale(scale, scale),
    };
    for shape in &scene.shapes {
        match shape {
            Shape::Rect(rect) => canvas.rect(rect),
            Shape::Text(text) => canvas.text(text, &mut fonts),
            Shape::Line(line) => canvas.line(line),
        }
    }
    let encoded = canvas.pixmap.encode_png();
    encoded.map_err(|why| Failure::new(Code::Other, format!("cannot make a PNG: {why}")))
}

struct Canvas {
    pixmap: Pixmap,
    transform: Transform,
}

impl Canvas {
    fn rect(&mut self, rect: &Rect) {
        let Rect {
            x,
            y,
            width,
            height,
            radius,
            ..
        } = *rect;
        let Some(shape) = tiny_skia::Rect::from_xywh(x, y, width, height) else {
            return;
        };
        let mut paint = paint(rect.fill);
        if radius == 0.0 {
            // Where two meet, nothing shines through.
            paint.anti_alias = false;
            return self.pixmap.fill_rect(shape, &paint, self.transform, None);
        }
        if let Some(path) = rounded(x, y, width, height, radius) {
            self.fill(&path, &paint, Transform::identity());
        }
    }

    fn text(&mut self, text: &Text, fonts: &mut Fonts) {
        let paint = paint(text.fill);
        let advance = WIDTH * text.size / FONT;
        let style = (text.bold, text.italic);
        if text.centred {
            // What combines with a character is drawn where that is.
            let mut chars = text.text.chars();
            let Some(first) = chars.next().and_then(|c| fonts.glyph(c, style)) else {
                return;
            };
            let size = text.size.min(text.width / first.advance.max(0.1));
            let x = text.x + (text.width - first.advance * size) / 2.0;
            self.glyph(&first, (x, text.baseline), size, &paint);
            let behind = x + first.advance * size;
            for glyph in chars.filter_map(|c| fonts.glyph(c, style)) {
                // Fonts draw a mark before where it is put, or give it a width as of a letter.
                let x = if glyph.advance == 0.0 { behind } else { x };
                self.glyph(&glyph, (x, text.baseline), size, &paint);
            }
            return;
        }
        for (number, c) in text.text.chars().enumerate().filter(|(_, c)| *c != ' ') {
            let Some(glyph) = fonts.glyph(c, style) else {
                continue;
            };
            let x = text.x + number as f32 * advance;
            self.glyph(
                &glyph,
                (x, text.baseline),
                advance / glyph.advance.max(0.1),
                &paint,
            );
        }
    }

    fn glyph(&mut self, glyph: &Glyph, (x, y): (f32, f32), size: f32, paint: &Paint<'_>) {
        let Some(path) = &glyph.path else {
            return;
        };
        let slant = if glyph.slanted { 0.2 } else { 0.0 };
        // Fonts count upwards.
        let place = Transform::from_row(size, 0.0, slant * size, -size, x, y);
        self.fill(path, paint, place);
        if glyph.thickened {
            let stroke = Stroke {
                width: 0.05,
                ..Stroke::default()
            };
            let place = place.post_concat(self.transform);
            self.pixmap.stroke_path(path, paint, &stroke, place, None);
        }
    }

    fn line(&mut self, line: &Line) {
        let Line { x, y, width, .. } = *line;
        let mut path = PathBuilder::new();
        let mut straight = |y: f32| {
            path.move_to(x, y);
            path.line_to(x + width, y);
        };
        match line.kind {
            Underline::Single | Underline::Dotted | Underline::Dashed => straight(y),
            Underline::Double => {
                straight(y - 0.75);
                straight(y + 1.25);
            }
            Underline::Curly => {
                path.move_to(x, y);
                for (to, bend) in line.waves() {
                    path.quad_to(to - Line::WAVE / 2.0, y + bend, to, y);
                }
            }
        }
        let dash = match line.kind {
            Underline::Dotted => StrokeDash::new(vec![1.5, 1.5], 0.0),
            Underline::Dashed => StrokeDash::new(vec![4.5, 2.25], 0.0),
            _ => None,
        };
        let stroke = Stroke {
            width: 1.0,
            dash,
            ..Stroke::default()
        };
        if let Some(path) = path.finish() {
            let paint = paint(line.stroke);
            self.pixmap
                .stroke_path(&path, &paint, &stroke, self.transform, None);
        }
    }

    fn fill(&mut self, path: &Path, paint: &Paint<'_>, place: Transform) {
        let place = place.post_concat(self.transform);
        self.pixmap
            .fill_path(path, paint, FillRule::Winding, place, None);
    }
}

fn paint(Rgb(r, g, b): Rgb) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(r, g, b, 255);
    paint
}

fn rounded(x: f32, y: f32, width: f32, height: f32, radius: f32) -> Option<Path> {
    // How far the handles of a curve are from its ends for it to be a quarter of a circle.
    let handle = radius * (1.0 - 0.552_285);
    let (right, bottom) = (x + width, y + height);
    let mut path = PathBuilder::new();
    path.move_to(x + radius, y);
    path.line_to(right - radius, y);
    path.cubic_to(right - handle, y, right, y + handle, right, y + radius);
    path.line_to(right, bottom - radius);
    path.cubic_to(
        right,
        bottom - handle,
        right - handle,
        bottom,
        right - radius,
        bottom,
    );
    path.line_to(x + radius, bottom);
    path.cubic_to(x + handle, bottom, x, bottom - handle, x, bottom - radius);
    path.line_to(x, y + radius);
    path.cubic_to(x, y + handle, x + handle, y, x + radius, y);
    path.close();
    path.finish()
}

#[cfg(test)]
mod tests {
    use super::super::scene::tests::scene;
    use super::*;

    fn drawn(output: &str) -> Option<Pixmap> {
        match png(&scene(output)) {
            Ok(bytes) => Some(Pixmap::decode_png(&bytes).unwrap()),
            Err(failure) => {
                let message = failure.message().unwrap().to_owned();
                assert!(message.contains("font"), "{message}");
                eprintln!("SKIPPED: {message}");
                None
            }
        }
    }

    #[test]
    fn what_is_on_the_screen_is_in_the_picture() {
        let Some(empty) = drawn("\x1b[?25l") else {
            return;
        };
        let red = |pixmap: &Pixmap| {
            let red = |pixel: &&tiny_skia::PremultipliedColorU8| {
                (pixel.red(), pixel.green(), pixel.blue()) == (0xcd, 0, 0)
            };
            pixmap.pixels().iter().filter(red).count()
        };
        assert_eq!(red(&empty), 0);
        for output in [
            "\x1b[31mMM",
            "\x1b[4:3;58:5:1m  ",
            "\x1b[31m\u{2588}",
            "\x1b[31me\u{301}",
            "\x1b[3;31mM",
        ] {
            assert!(
                red(&drawn(&format!("\x1b[?25l{output}")).unwrap()) > 0,
                "{output:?}"
            );
        }
        // A cell of two by two pixels a unit.
        let cell = red(&drawn("\x1b[?25l\x1b[41m ").unwrap());
        assert_eq!(cell, 18 * 35);
    }
}
