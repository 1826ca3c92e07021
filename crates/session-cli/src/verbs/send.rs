//! `session send NAME TEXT`: typing without a terminal.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;

use clap::Args;
use session_protocol::{ByteString, Call, ProcessId, Write, Written};
use session_store::Session;

use crate::context::Context;
use crate::failure::Failure;
use crate::verbs::screen::asked;
use crate::verbs::wait::older;
use crate::{keys, lifecycle};

/// Bytes in one call: a control frame holds far more, and the holder acknowledges each.
const PIECE: usize = 48 << 10;

/// Type text or keys into a session
///
/// TEXT arrives byte for byte, without a line break behind it unless --enter adds one. Keys have the names that
/// tmux gives them: a character, C-c, M-x, S-Left, Enter, Tab, Escape, Space, BSpace, Up, Down, Left, Right,
/// Home, End, PageUp, PageDown, Insert, Delete, F1 to F12. Each sends what it would in a terminal in which the program
/// runs.
///
/// Where the program does not read, as in a suspended session, a long text may have to wait until it does. Ctrl-C
/// ends that; what has been taken stays.
///
/// --json prints {"offset":N}, the offset that --offset prints alone.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session send bash 'make test' --enter
  session send bash --keys C-c Up Enter
  session send -- bash '-n'
  since=$(session send --offset bash 'make; echo DONE' --enter)
  session wait bash --text DONE --since \"$since\"")]
pub(crate) struct Send {
    /// Name or id
    name: String,
    /// The text
    text: Option<OsString>,
    /// Keys, pressed after TEXT
    #[arg(long, num_args = 1.., value_name = "KEY")]
    keys: Vec<String>,
    /// Press Enter at the end
    #[arg(long)]
    enter: bool,
    /// Print where in the output the answer begins, for `session wait --since`
    #[arg(long)]
    offset: bool,
}

impl Send {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let mut typed = self.typed(false)?;
        let session = context.session_to_change(&self.name)?;
        let application = self.typed(true)?;
        if application != typed && wants_application(&session) {
            typed = application;
        }
        if self.enter {
            // A terminal makes a line feed of the Enter key's carriage return; a pipe does not.
            let pty = session.read_record()?.spec.pty;
            typed.push(if pty { b'\r' } else { b'\n' });
        }
        let Some(mut connection) = session_client::connect(&session)? else {
            return Err(lifecycle::not_running(&session.status()?));
        };
        let mut first = None;
        for piece in pieces(&typed) {
            let write = Write {
                process: ProcessId::MAIN,
                data: ByteString(piece.to_vec()),
            };
            match connection.call::<Written>(Call::Write(write)) {
                Ok(written) => first = first.or(written.offset),
                Err(session_client::Error::Closed) => {
                    return Err(lifecycle::not_running(&session.status()?));
                }
                Err(error) => return Err(error.into()),
            }
        }
        match first {
            Some(offset) if self.offset && !context.json => {
                context.write(format!("{offset}\n").as_bytes())?
            }
            None if self.offset => {
                return Err(older(&session, "does not tell the offset of what was sent"));
            }
            offset if context.json => context.print_json(&Written { offset })?,
            _ => {}
        }
        Ok(ExitCode::SUCCESS)
    }

    /// With cursor keys as programs want them that have asked for others, or as everybody else does.
    fn typed(&self, application: bool) -> Result<Vec<u8>, Failure> {
        if self.text.is_none() && self.keys.is_empty() && !self.enter {
            return Err(Failure::usage(
                "nothing to send: give TEXT, --keys or --enter",
            ));
        }
        let mut typed = Vec::new();
        if let Some(text) = &self.text {
            typed.extend_from_slice(text.as_bytes());
        }
        for key in &self.keys {
            typed.extend(keys::bytes(key, application).map_err(Failure::usage)?);
        }
        Ok(typed)
    }
}

/// Whether the program has asked for other cursor keys. One without a terminal has not.
fn wants_application(session: &Session) -> bool {
    let seen = asked(session).ok().flatten();
    seen.is_some_and(|seen| seen.screen.modes().application_cursor)
}

/// Cut where characters begin, so that each piece is a JSON string if the whole would be one.
fn pieces(mut typed: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if typed.is_empty() {
            return None;
        }
        let mut end = typed.len().min(PIECE);
        while end < typed.len() && end > PIECE - 3 && typed[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        let (piece, rest) = typed.split_at(end);
        typed = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    fn typed(arguments: &[&str]) -> Result<Vec<u8>, Failure> {
        let command = Send::augment_args(clap::Command::new("send"));
        let matches = command
            .try_get_matches_from([&["send"], arguments].concat())
            .unwrap();
        Send::from_arg_matches(&matches).unwrap().typed(false)
    }

    #[test]
    fn text_then_keys() {
        assert_eq!(typed(&["x", "a b\n"]).unwrap(), b"a b\n");
        assert_eq!(
            typed(&["x", "ls", "--keys", "C-c", "Up", "-", "--enter"]).unwrap(),
            b"ls\x03\x1b[A-"
        );
        assert_eq!(typed(&["x", "--keys", "Enter"]).unwrap(), b"\r");
        assert!(typed(&["x"]).is_err());
        assert!(typed(&["x", "--keys", "Entr"]).is_err());
    }

    #[test]
    fn large_text_is_cut_between_characters() {
        let text = "\u{20ac}".repeat(PIECE);
        let cut: Vec<&[u8]> = pieces(text.as_bytes()).collect();
        assert!(cut.iter().all(|piece| piece.len() <= PIECE));
        assert!(cut.iter().all(|piece| std::str::from_utf8(piece).is_ok()));
        assert_eq!(cut.concat(), text.as_bytes());
        let bytes = vec![0x80; PIECE * 2 + 1];
        assert_eq!(pieces(&bytes).collect::<Vec<_>>().concat(), bytes);
    }
}
