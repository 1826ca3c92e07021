//! The characters of a PNG: outlines out of the fonts of this machine. None comes with Session, whose executable would
//! grow by it, and whose choice could not show every script anyway.

use std::collections::HashMap;

use fontdb::{Database, Family, ID, Query, Style, Weight};
use session_protocol::Code;
use tiny_skia::{Path, PathBuilder};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

use crate::failure::Failure;

/// Of the monospaced fonts that are there, the first of these, or else any.
const FAMILIES: [&str; 12] = [
    "DejaVu Sans Mono",
    "JetBrains Mono",
    "Cascadia Mono",
    "Source Code Pro",
    "Hack",
    "Fira Mono",
    "IBM Plex Mono",
    "Ubuntu Mono",
    "Noto Sans Mono",
    "Liberation Mono",
    "FreeMono",
    "Courier New",
];

/// Bold, and italic.
type Emphasis = (bool, bool);

/// The fonts, and the characters drawn with them so far.
pub(super) struct Fonts {
    database: Database,
    /// The faces in use, the main one of each emphasis found by [`Fonts::main`].
    main: HashMap<Emphasis, ID>,
    family: String,
    known: HashMap<(char, Emphasis), Option<Glyph>>,
}

/// A character's outline, for a font of size 1.
#[derive(Clone)]
pub(super) struct Glyph {
    /// `None` for what is blank.
    pub(super) path: Option<Path>,
    pub(super) advance: f32,
    /// The font has no such face: it is to be slanted, or thickened.
    pub(super) slanted: bool,
    pub(super) thickened: bool,
}

impl Fonts {
    /// Looks for them.
    pub(super) fn of_this_machine() -> Result<Self, Failure> {
        let mut database = Database::new();
        database.load_system_fonts();
        Self::new(database)
    }

    fn new(database: Database) -> Result<Self, Failure> {
        let has = |family: &&str| {
            let families = [Family::Name(family)];
            let query = Query {
                families: &families,
                ..Query::default()
            };
            database.query(&query).is_some()
        };
        let any = || {
            // Those of nothing but pictures call themselves monospaced as well.
            let is_fit = |id| {
                let letter = database.with_face_data(id, |data, index| {
                    let face = Face::parse(data, index).ok()?;
                    outline(&face, face.glyph_index('M')?).path
                });
                letter.flatten().is_some()
            };
            let mut faces = database.faces();
            let face = faces.find(|face| face.monospaced && is_fit(face.id))?;
            Some(face.families.first()?.0.clone())
        };
        let family = FAMILIES.iter().find(|family| has(family));
        let family = family.map(|family| (*family).to_owned()).or_else(any);
        let Some(family) = family else {
            let why = "there is no monospaced font on this machine to draw a PNG with";
            return Err(Failure::new(Code::Other, why)
                .hint("install one, such as DejaVu Sans Mono, or use --svg, which needs none"));
        };
        Ok(Self {
            database,
            main: HashMap::new(),
            family,
            known: HashMap::new(),
        })
    }

    /// A character; that of no character where no font has it.
    pub(super) fn glyph(&mut self, c: char, emphasis: Emphasis) -> Option<Glyph> {
        if let Some(known) = self.known.get(&(c, emphasis)) {
            return known.clone();
        }
        let found = self.find(c, emphasis);
        self.known.insert((c, emphasis), found.clone());
        found
    }

    fn find(&mut self, c: char, emphasis: Emphasis) -> Option<Glyph> {
        let main = self.main(emphasis)?;
        let found = self.read(main, emphasis, |face| {
            Some(outline(face, face.glyph_index(c)?))
        });
        let elsewhere = |fonts: &Self| {
            // Those of one width first: their symbols are made for a grid.
            let all = || fonts.database.faces();
            let ordered = all()
                .filter(|face| face.monospaced)
                .chain(all().filter(|face| !face.monospaced));
            ordered.into_iter().find_map(|face| {
                fonts.read(face.id, emphasis, |face| {
                    let glyph = outline(face, face.glyph_index(c)?);
                    // Pictures in colours are no outlines.
                    (glyph.path.is_some() || c.is_whitespace()).then_some(glyph)
                })
            })
        };
        found
            .or_else(|| elsewhere(self))
            .or_else(|| self.read(main, emphasis, |face| Some(outline(face, GlyphId(0)))))
    }

    fn main(&mut self, emphasis: Emphasis) -> Option<ID> {
        if let Some(id) = self.main.get(&emphasis) {
            return Some(*id);
        }
        let (bold, italic) = emphasis;
        let families = [Family::Name(&self.family)];
        let query = Query {
            families: &families,
            weight: if bold { Weight::BOLD } else { Weight::NORMAL },
            style: if italic { Style::Italic } else { Style::Normal },
            ..Query::default()
        };
        let id = self.database.query(&query)?;
        self.main.insert(emphasis, id);
        Some(id)
    }

    /// What `read` finds in a face, with what that face lacks of the emphasis.
    fn read(
        &self,
        id: ID,
        (bold, italic): Emphasis,
        read: impl FnOnce(&Face<'_>) -> Option<Glyph>,
    ) -> Option<Glyph> {
        let known = self.database.face(id)?;
        let (slanted, thickened) = (
            italic && known.style == Style::Normal,
            bold && known.weight < Weight::SEMIBOLD,
        );
        let glyph = self.database.with_face_data(id, |data, index| {
            let face = Face::parse(data, index).ok()?;
            read(&face)
        })??;
        Some(Glyph {
            slanted,
            thickened,
            ..glyph
        })
    }
}

fn outline(face: &Face<'_>, id: GlyphId) -> Glyph {
    let unit = 1.0 / f32::from(face.units_per_em());
    let mut builder = Outline {
        path: PathBuilder::new(),
        unit,
    };
    face.outline_glyph(id, &mut builder);
    Glyph {
        path: builder.path.finish(),
        advance: f32::from(face.glyph_hor_advance(id).unwrap_or(0)) * unit,
        slanted: false,
        thickened: false,
    }
}

struct Outline {
    path: PathBuilder,
    unit: f32,
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(x * self.unit, y * self.unit);
    }
    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(x * self.unit, y * self.unit);
    }
    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let unit = self.unit;
        self.path.quad_to(x1 * unit, y1 * unit, x * unit, y * unit);
    }
    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let unit = self.unit;
        self.path.cubic_to(
            x1 * unit,
            y1 * unit,
            x2 * unit,
            y2 * unit,
            x * unit,
            y * unit,
        );
    }
    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_font_it_is_said_what_to_do() {
        let failure = Fonts::new(Database::new()).err().unwrap();
        assert!(
            failure
                .message()
                .unwrap()
                .starts_with("there is no monospaced font")
        );
    }
}
