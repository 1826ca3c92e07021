//! Links: named, so that the cells of one belong together in whichever terminal they are drawn, and bounded.

use alacritty_terminal::Grid;
use alacritty_terminal::grid::Dimensions as _;
use alacritty_terminal::index::Line;
use alacritty_terminal::term::cell::Cell;
use alacritty_terminal::vte::ansi::{Handler as _, Hyperlink};

use super::{LONGEST_TEXT, Model};

/// Links that are given no name are named so, and numbered.
const NAME: &str = "session-";
/// Bytes of targets and names that the cells may hold, the only part of a cell whose size is the program's choice.
const MOST: usize = 1 << 20;
/// They are counted whenever as many bytes came as this.
const STEP: usize = 1 << 18;

/// Links so far.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Bytes since the last count.
    since: usize,
    /// There were too many: none is taken before the next count.
    full: bool,
}

impl Model {
    /// What is printed next belongs to `link`.
    pub(super) fn link(&mut self, link: Option<Hyperlink>) {
        let link = link.filter(|link| self.has_room(link)).map(|link| {
            let number = |id: &String| id.strip_prefix(NAME)?.parse::<u32>().ok();
            let given = link.id.as_ref().and_then(number).unwrap_or(0);
            self.noted.links = self.noted.links.max(given);
            let id = link.id.unwrap_or_else(|| {
                self.noted.links = self.noted.links.wrapping_add(1);
                format!("{NAME}{}", self.noted.links)
            });
            Hyperlink {
                id: Some(id),
                ..link
            }
        });
        self.term.set_hyperlink(link);
    }

    fn has_room(&mut self, link: &Hyperlink) -> bool {
        let len = link.uri.len() + link.id.as_ref().map_or(0, String::len);
        self.links.since += len;
        if self.links.since > STEP {
            let beneath = if self.on_alternate() {
                self.look_beneath(|main| bytes(main))
            } else {
                0
            };
            let count = beneath + bytes(self.grid());
            (self.links.since, self.links.full) = (0, count > MOST);
        }
        len <= LONGEST_TEXT && !self.links.full
    }
}

/// Bytes of the links in a screen and its history. Cells side by side share theirs.
fn bytes(grid: &Grid<Cell>) -> usize {
    let lines = (grid.topmost_line().0..=grid.bottommost_line().0).map(Line);
    let cells = lines.flat_map(|line| &grid[line]);
    let (mut bytes, mut before) = (0, None);
    for cell in cells.filter(|cell| cell.extra.is_some()) {
        let link = cell.hyperlink();
        if link != before {
            bytes += link
                .as_ref()
                .map_or(0, |link| link.uri().len() + link.id().len());
            before = link;
        }
    }
    bytes
}
