//! A picture as SVG: text that can be read, searched and scaled, in whatever monospaced font the viewer has.

use std::fmt::Write as _;

use session_terminal::{Rgb, Underline};

use super::scene::{FONT, Line, Rect, Scene, Shape, Text};

/// The picture.
pub(crate) fn svg(scene: &Scene) -> String {
    let (width, height) = (scene.width, scene.height);
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="ui-monospace, 'SF Mono', Menlo, 'DejaVu Sans Mono', 'Cascadia Mono', Consolas, 'Liberation Mono', monospace" font-size="{FONT}" fill="none">
"#
    );
    for shape in &scene.shapes {
        // Writing to a string cannot fail.
        let _ = match shape {
            Shape::Rect(shape) => rect(&mut svg, shape),
            Shape::Text(shape) => text(&mut svg, shape),
            Shape::Line(shape) => line(&mut svg, shape),
        };
    }
    svg.push_str("</svg>\n");
    svg
}

fn rect(svg: &mut String, rect: &Rect) -> std::fmt::Result {
    let Rect {
        x,
        y,
        width,
        height,
        ..
    } = rect;
    let edge = match rect.radius {
        // Where two meet, nothing shines through.
        0.0 => r#" shape-rendering="crispEdges""#.to_owned(),
        radius => format!(r#" rx="{radius}""#),
    };
    let fill = colour(rect.fill);
    writeln!(
        svg,
        r#"<rect x="{x}" y="{y}" width="{width}" height="{height}"{edge} fill="{fill}"/>"#
    )
}

fn text(svg: &mut String, text: &Text) -> std::fmt::Result {
    let Text {
        x, baseline, width, ..
    } = text;
    write!(svg, "<text ")?;
    if text.centred {
        write!(
            svg,
            r#"x="{}" y="{baseline}" text-anchor="middle""#,
            x + width / 2.0
        )?;
    } else {
        // The length keeps columns in line in any font.
        write!(
            svg,
            r#"x="{x}" y="{baseline}" textLength="{width}" lengthAdjust="spacingAndGlyphs""#
        )?;
    }
    if text.size != FONT {
        write!(svg, r#" font-size="{}""#, text.size)?;
    }
    if text.bold {
        write!(svg, r#" font-weight="bold""#)?;
    }
    if text.italic {
        write!(svg, r#" font-style="italic""#)?;
    }
    let (fill, text) = (colour(text.fill), escaped(&text.text));
    writeln!(svg, r#" xml:space="preserve" fill="{fill}">{text}</text>"#)
}

fn line(svg: &mut String, line: &Line) -> std::fmt::Result {
    let Line {
        x, y, width, kind, ..
    } = line;
    let end = x + width;
    let (path, dashes) = match kind {
        Underline::Single => (format!("M{x} {y}H{end}"), ""),
        Underline::Double => (
            format!("M{x} {}H{end}M{x} {}H{end}", y - 0.75, y + 1.25),
            "",
        ),
        Underline::Dotted => (format!("M{x} {y}H{end}"), r#" stroke-dasharray="1.5""#),
        Underline::Dashed => (format!("M{x} {y}H{end}"), r#" stroke-dasharray="4.5 2.25""#),
        Underline::Curly => {
            let mut path = format!("M{x} {y}");
            for (to, bend) in line.waves() {
                let _ = write!(path, "Q{} {} {to} {y}", to - Line::WAVE / 2.0, y + bend);
            }
            (path, "")
        }
    };
    let stroke = colour(line.stroke);
    writeln!(svg, r#"<path d="{path}" stroke="{stroke}"{dashes}/>"#)
}

fn colour(Rgb(r, g, b): Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Text between tags. What XML has no way to write is a character that stands for none.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::scene::tests::scene;
    use super::*;

    #[test]
    fn text_keeps_its_place_and_colour_and_markup_is_escaped() {
        let svg = svg(&scene("\x1b[32mok\x1b[m a<b&c\r\n\x1b[1;3mx\x1b[m\u{ffff}"));
        assert!(svg.contains(r##"textLength="18" lengthAdjust="spacingAndGlyphs" xml:space="preserve" fill="#00cd00">ok</text>"##), "{svg}");
        assert!(svg.contains(">a&lt;b&amp;c</text>"), "{svg}");
        assert!(
            svg.contains(r#"font-weight="bold" font-style="italic""#),
            "{svg}"
        );
        assert!(!svg.contains('\u{ffff}') && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn every_underline_is_a_path() {
        for kind in ["4", "21", "4:3", "4:4", "4:5"] {
            let svg = svg(&scene(&format!("\x1b[{kind}mtext")));
            assert_eq!(svg.matches("<path ").count(), 1, "{kind}: {svg}");
        }
    }
}
