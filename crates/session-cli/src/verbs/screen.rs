//! `session screen NAME`: what a client would see now, without attaching.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use session_protocol::{Call, Channel, Code, ProcessId, ScreenResult, Status};
use session_store::Session;

use crate::context::Context;
use crate::failure::Failure;
use crate::{lifecycle, past, picture};

/// Show what is on a session's screen
///
/// What a client would see that attached now: a line of text for each row, without trailing blanks and empty rows at
/// the end. Of a session that has ended it is the last screen, as far as its output is kept.
///
/// --json prints one object: name, id, size {rows, cols}, offset (where the output goes on), title, cursor {row, col,
/// visible, shape, blinking}, alternate (the alternate screen is shown), modes (what the program switched on, such as
/// bracketed_paste, application_cursor, mouse, keyboard), lines, and cells, a list of cells for each row. Rows and columns count from 0, so lines[0] is the first
/// row and cells[0][0] its first cell. A cell has its text and what of it is not plain: width (2; 0 with an empty text behind a wide character), fg, bg and underline_color (an index of
/// the palette or "#rrggbb"), underline (single, double, curly, dotted, dashed), link, and where they are true bold, dim,
/// italic, blink, inverse, hidden, strikeout, overline. The size is that of the screen that is kept, which has at least two
/// columns and at most 262,144 cells.
///
/// --svg draws it as a window, in xterm's colours and the monospaced font of whoever looks at it. A FILE that exists is
/// overwritten; - is standard output. `rsvg-convert` and others make a PNG of it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session screen web
  session screen --ansi web | less -R
  session screen --json web | jq -r '.lines[.cursor.row]'
  session screen --json web | jq '.cells[0][4].bold // false'
  session screen --svg web.svg web")]
pub(crate) struct Screen {
    /// With colours and attributes, each line complete in itself
    #[arg(long, conflicts_with = "svg")]
    ansi: bool,
    /// Draw a picture as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Name or id
    name: String,
}

/// A screen, and the offset behind the last byte of output on it.
pub(super) struct Seen {
    pub(super) screen: session_terminal::Screen,
    offset: u64,
}

impl Screen {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        self.check(context)?;
        let session = context.session(&self.name)?;
        let Seen { screen, offset } = match asked(&session)? {
            Some(seen) => seen,
            None => logged(&session)?,
        };
        let title = || -> Result<String, Failure> {
            let name = || Ok(session.status()?.name);
            screen
                .title()
                .filter(|title| !title.is_empty())
                .map_or_else(name, |title| Ok(title.to_owned()))
        };
        if let Some(file) = &self.svg {
            let svg = picture::svg(&picture::Scene::new(&screen, &title()?));
            put(context, file, svg.as_bytes())?;
        } else if context.json {
            let Status { name, id, .. } = session.status()?;
            context.print_json(&picture::json(&screen, (name, id), offset))?;
        } else if self.ansi {
            context.write(picture::ansi(&screen).as_bytes())?;
        } else {
            context.write(picture::text(&screen).as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn check(&self, context: &Context) -> Result<(), Failure> {
        if (self.ansi || self.svg.is_some()) && context.json {
            let why = "--json, --ansi and --svg are forms of one screen: give one of them";
            return Err(Failure::usage(why));
        }
        Ok(())
    }
}

/// What the holder says; `None` if there is none, or one of an earlier version, which keeps no screen.
pub(super) fn asked(session: &Session) -> Result<Option<Seen>, Failure> {
    let Some(mut connection) = session_client::connect(session)? else {
        return Ok(None);
    };
    let call = Call::Screen {
        process: ProcessId::MAIN,
    };
    match connection.call::<ScreenResult>(call) {
        Ok(result) => {
            let mut screen = session_terminal::Screen::new(result.rows, result.cols);
            screen.feed(&result.snapshot.0);
            Ok(Some(Seen {
                screen,
                offset: result.offset,
            }))
        }
        Err(session_client::Error::Closed) => Ok(None),
        Err(session_client::Error::Refused(why)) if why.code == Code::Usage => Ok(None),
        Err(session_client::Error::Refused(why)) if why.code == Code::Denied => {
            Err(no_terminal(&session.status()?))
        }
        Err(why) => Err(why.into()),
    }
}

/// The last screen of what has ended, from the output that is kept.
fn logged(session: &Session) -> Result<Seen, Failure> {
    let status = session.status()?;
    if !session.read_record()?.spec.pty {
        return Err(no_terminal(&status));
    }
    if status.started_at.is_none() {
        return Err(lifecycle::not_running(&status));
    }
    let before = || session.read_live().ok().flatten()?.last_size;
    let size = status.size.or_else(before).unwrap_or_default();
    let logged = session.log("main", Channel::Pty)?.map(|mut reader| {
        let offset = reader.end()?;
        let screen = past::replay(&mut reader, offset, offset, size, 0)?.screen;
        Ok(Seen { screen, offset })
    });
    let failed = |why: io::Error| Failure::io("read", "the session's output", why);
    Ok(logged.transpose().map_err(failed)?.unwrap_or_else(|| Seen {
        screen: session_terminal::Screen::new(size.rows, size.cols),
        offset: 0,
    }))
}

fn no_terminal(status: &Status) -> Failure {
    let name = &status.name;
    let why = format!("session '{name}' runs without a terminal (pty=no)");
    Failure::new(Code::Denied, why).hint(format!("use `session logs {name}`"))
}

fn is_stdout(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Writes a whole picture.
fn put(context: &Context, file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if is_stdout(file) {
        return context.write(bytes);
    }
    std::fs::write(file, bytes).map_err(|why| Failure::io("write", file, why))?;
    context.verbose(format!("Drawn in {}", file.display()))
}
