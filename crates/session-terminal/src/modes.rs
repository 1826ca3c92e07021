//! Modes that the screen model passes over but that keys depend on.

use std::collections::BTreeMap;

/// Private modes worth keeping: auto-wrap, focus reports, alternate scroll, colour scheme reports. Others are
/// either the screen's own or must not outlive a moment (synchronised output).
const KEPT: [u16; 4] = [7, 1004, 1007, 2031];
/// A program that only ever pushes must not fill memory; terminals keep no more themselves.
const DEEPEST: usize = 16;

/// What was set last.
#[derive(Debug, Default)]
pub(crate) struct Modes {
    private: BTreeMap<u16, bool>,
    /// Keyboard flags of kitty's protocol, innermost last.
    keyboard: Vec<u16>,
    /// Level of xterm's modifyOtherKeys.
    other_keys: Option<u16>,
}

impl Modes {
    /// Sequences that set them again on a terminal that has none of them.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (mode, on) in &self.private {
            let final_byte = if *on { 'h' } else { 'l' };
            out.extend_from_slice(format!("\x1b[?{mode}{final_byte}").as_bytes());
        }
        for flags in &self.keyboard {
            out.extend_from_slice(format!("\x1b[>{flags}u").as_bytes());
        }
        if let Some(level) = self.other_keys {
            out.extend_from_slice(format!("\x1b[>4;{level}m").as_bytes());
        }
    }

    fn keyboard(&mut self, kind: u8, first: u16, second: u16) {
        match kind {
            b'>' => {
                if self.keyboard.len() == DEEPEST {
                    self.keyboard.remove(0);
                }
                self.keyboard.push(first);
            }
            b'<' => {
                let left = self.keyboard.len().saturating_sub(first.max(1).into());
                self.keyboard.truncate(left);
            }
            b'=' => {
                let current = self.keyboard.pop().unwrap_or(0);
                self.keyboard.push(match second {
                    2 => current | first,
                    3 => current & !first,
                    _ => first,
                });
            }
            _ => {}
        }
    }
}

impl vt100::Callbacks for Modes {
    fn unhandled_csi(
        &mut self,
        _: &mut vt100::Screen,
        i1: Option<u8>,
        i2: Option<u8>,
        params: &[&[u16]],
        c: char,
    ) {
        let param = |index: usize| {
            params
                .get(index)
                .and_then(|param| param.first())
                .copied()
                .unwrap_or(0)
        };
        match (i1, i2, c) {
            (Some(b'?'), None, 'h' | 'l') => {
                for mode in params.iter().filter_map(|param| param.first()) {
                    if KEPT.contains(mode) {
                        self.private.insert(*mode, c == 'h');
                    }
                }
            }
            (Some(kind), None, 'u') => self.keyboard(kind, param(0), param(1)),
            (Some(b'>'), None, 'm') if param(0) == 4 => {
                self.other_keys = (param(1) > 0).then_some(param(1));
            }
            _ => {}
        }
    }
}
