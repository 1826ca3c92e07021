//! `session logs NAME`: what the main process wrote, as text or byte for byte, whether it runs or not.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use serde::Serialize;
use session_protocol::{Channel, Timestamp};
use session_store::LogReader;
use session_terminal::{Cleaner, Line};

use crate::context::Context;
use crate::failure::{Failure, eprint_line};
use crate::follow::{Follow, Live, Part};
use crate::json;
use crate::merge::Merge;

/// Show a session's output
///
/// Everything that is kept (see the attribute log-limit), as lines of text without terminal sequences. Output is
/// kept over restarts and after the end. With -f it goes on until the session ended for good or is stopped.
///
/// --json prints each line as {"at":TIME,"stream":"pty","offset":N,"text":LINE,"lost":null}, the stream being out or err
/// where there is no terminal; where N bytes are gone, lost is N and text is null.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session logs -n 20 web
  session logs -f --since 10m web
  session logs --raw web > web.typescript")]
pub(crate) struct Logs {
    /// Go on with new output as it comes
    #[arg(short, long)]
    follow: bool,
    /// Only the last LINES lines
    #[arg(short = 'n', long, value_name = "LINES")]
    lines: Option<u64>,
    /// Only output since TIME: RFC 3339, or how long ago, such as 10m
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Begin each line with the time it began
    #[arg(long)]
    timestamps: bool,
    /// Byte for byte
    #[arg(long, conflicts_with = "timestamps")]
    raw: bool,
    /// Begin at this byte of the output, counted over the session's life
    #[arg(long, value_name = "OFFSET", conflicts_with_all = ["lines", "since"])]
    from: Option<u64>,
    /// Name or id
    name: String,
}

impl Logs {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        if self.raw && context.json {
            return Err(Failure::usage(
                "--raw prints bytes and --json lines: give one of them",
            ));
        }
        let session = context.session(&self.name)?;
        let mut follow = Follow::new(&session, Merge::Lines, |reader| self.begin(reader))?;
        if let Some(lines) = self.lines {
            follow.last_lines(lines)?;
        }
        let mut printer = Printer {
            raw: self.raw,
            timestamps: self.timestamps || context.json,
            json: context.json,
            live: false,
            cleaners: Vec::new(),
            out: io::BufWriter::with_capacity(64 << 10, io::stdout()),
        };
        let mut each = |follow: &mut Follow<'_>, part: Part<'_>| printer.print(follow, part);
        follow.kept(&mut each)?;
        printer.live = true;
        let mut followed = Ok(Live::More);
        if self.follow {
            while let Ok(Live::More | Live::Quiet) = followed {
                printer.out.flush().map_err(Failure::output)?;
                let mut each =
                    |follow: &mut Follow<'_>, part: Part<'_>| printer.print(follow, part);
                followed = follow.live(&mut each);
            }
        }
        printer.finish(&mut follow)?;
        followed?;
        if self.follow
            && let Some(why) = follow.untold()?
        {
            context.remark(why);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn begin(&self, reader: &mut LogReader) -> io::Result<u64> {
        let mut from = match (self.from, self.since, self.lines) {
            (Some(offset), ..) => return Ok(offset),
            // Asked for everything, what is gone is shown as a gap.
            (None, None, None) => return Ok(0),
            _ => reader.start()?,
        };
        if let Some(moment) = self.since {
            from = from.max(reader.since(moment)?);
        }
        if let Some(lines) = self.lines {
            from = from.max(reader.last_lines(lines)?);
        }
        Ok(from)
    }
}

/// RFC 3339, or a span before now.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse() {
        return Ok(Timestamp(moment));
    }
    let span = session_store::span::parse(text).ok_or_else(|| {
        format!("'{text}' is no time; use one such as 2026-01-31T12:00:00Z, or a span such as 10m")
    })?;
    let then = SystemTime::now()
        .checked_sub(span)
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let since = then
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Timestamp::from_millis(
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
    ))
}

/// Parts in, lines or bytes out.
struct Printer<W: io::Write> {
    raw: bool,
    timestamps: bool,
    json: bool,
    /// What comes, comes now.
    live: bool,
    cleaners: Vec<(Channel, Cleaner)>,
    out: W,
}

impl<W: io::Write> Printer<W> {
    fn print(&mut self, follow: &mut Follow<'_>, part: Part<'_>) -> Result<(), Failure> {
        match part {
            Part::Bytes { bytes, .. } if self.raw => {
                self.out.write_all(bytes).map_err(Failure::output)?;
            }
            Part::Gap { lost, .. } if self.raw => eprint_line(&gap(lost)),
            Part::Bytes {
                channel,
                offset,
                bytes,
            } => {
                let (timestamps, json, live) = (self.timestamps, self.json, self.live);
                let Self { cleaners, out, .. } = self;
                cleaner(cleaners, channel).feed(offset, bytes, |line| {
                    // One that began with an earlier part is in the log since then.
                    let live = live && line.offset >= offset;
                    let time = timestamps.then(|| time(follow, channel, line, live));
                    write_line(out, json, time, channel, line)
                })?;
            }
            Part::Gap {
                channel,
                offset,
                lost,
            } => {
                self.cut(follow, channel)?;
                let entry = Entry {
                    at: None,
                    stream: channel,
                    offset,
                    text: None,
                    lost: Some(lost),
                };
                let written = match self.json {
                    true => entry.write(&mut self.out),
                    false => writeln!(self.out, "{}", gap(lost)),
                };
                written.map_err(Failure::output)?;
            }
        }
        Ok(())
    }

    /// Lines that were never ended are ended.
    fn finish(&mut self, follow: &mut Follow<'_>) -> Result<(), Failure> {
        let channels: Vec<Channel> = self.cleaners.iter().map(|(channel, _)| *channel).collect();
        for channel in channels {
            self.cut(follow, channel)?;
        }
        self.out.flush().map_err(Failure::output)
    }

    fn cut(&mut self, follow: &mut Follow<'_>, channel: Channel) -> Result<(), Failure> {
        let (timestamps, json) = (self.timestamps, self.json);
        let Self { cleaners, out, .. } = self;
        Ok(cleaner(cleaners, channel).cut(|line| {
            let time = timestamps.then(|| time(follow, channel, line, false));
            write_line(out, json, time, channel, line)
        })?)
    }
}

fn time(follow: &mut Follow<'_>, channel: Channel, line: Line<'_>, live: bool) -> Timestamp {
    // A live line may not be in the log yet, whose index then tells the time of the one before.
    let logged = if live {
        None
    } else {
        follow.time_of(channel, line.offset)
    };
    logged.unwrap_or_else(Timestamp::now)
}

fn write_line(
    out: &mut impl io::Write,
    json: bool,
    at: Option<Timestamp>,
    stream: Channel,
    line: Line<'_>,
) -> io::Result<()> {
    if json {
        let entry = Entry {
            at,
            stream,
            offset: line.offset,
            text: Some(&String::from_utf8_lossy(line.text)),
            lost: None,
        };
        return entry.write(out);
    }
    if let Some(at) = at {
        // Milliseconds always, so that lines are aligned.
        write!(out, "{:.3} ", at.0)?;
    }
    out.write_all(line.text)?;
    out.write_all(b"\n")
}

/// A line of `--json`.
#[derive(Serialize)]
struct Entry<'a> {
    at: Option<Timestamp>,
    stream: Channel,
    offset: u64,
    text: Option<&'a str>,
    lost: Option<u64>,
}

impl Entry<'_> {
    fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        writeln!(out, "{}", json::line(self)?)
    }
}

fn cleaner(cleaners: &mut Vec<(Channel, Cleaner)>, channel: Channel) -> &mut Cleaner {
    let known = cleaners.iter().position(|(known, _)| *known == channel);
    let index = known.unwrap_or_else(|| {
        cleaners.push((channel, Cleaner::default()));
        cleaners.len() - 1
    });
    &mut cleaners[index].1
}

fn gap(lost: u64) -> String {
    format!("[\u{2026} {lost} bytes are gone \u{2026}]")
}

#[cfg(test)]
mod tests {
    use session_store::{LogWriter, Root, Session, Spec, Wanted};

    use super::*;

    fn session(state: &tempfile::TempDir) -> Session {
        let root = Root::open(&state.path().join("root")).unwrap();
        let spec = Spec::new(vec!["true".into()], "/bin/true".into(), "/".into());
        let wanted = Wanted::Exact("x".parse().unwrap());
        root.create(wanted, spec).unwrap().session().clone()
    }

    fn printed(session: &Session, raw: bool, json: bool) -> String {
        let mut follow = Follow::new(session, Merge::Lines, |_| Ok(0)).unwrap();
        let mut printer = Printer {
            raw,
            timestamps: json,
            json,
            live: false,
            cleaners: Vec::new(),
            out: Vec::new(),
        };
        let mut each = |follow: &mut Follow<'_>, part: Part<'_>| printer.print(follow, part);
        follow.kept(&mut each).unwrap();
        printer.finish(&mut follow).unwrap();
        String::from_utf8(printer.out).unwrap()
    }

    #[test]
    fn kept_output_is_lines_or_bytes() {
        let state = tempfile::tempdir().unwrap();
        let session = session(&state);
        let mut log =
            LogWriter::open(session.directory_fd(), "main", Channel::Pty, 1 << 20).unwrap();
        let output = b"\x1b[1mone\x1b[0m\r\ntwo";
        log.append(&[output], Timestamp::from_millis(0)).unwrap();
        assert_eq!(printed(&session, false, false), "one\ntwo\n");
        assert_eq!(printed(&session, true, false).as_bytes(), output);
        log.skip(7);
        log.append(&[b"three\n"], Timestamp::from_millis(0))
            .unwrap();
        assert_eq!(
            printed(&session, false, false),
            "one\ntwo\n[\u{2026} 7 bytes are gone \u{2026}]\nthree\n"
        );
        assert!(printed(&session, true, false).ends_with("twothree\n"));
        let line = |offset, text, lost| {
            serde_json::json!({
                "at": Timestamp::from_millis(0), "stream": "pty", "offset": offset, "text": text, "lost": lost,
            })
        };
        let printed = printed(&session, false, true);
        let lines: Vec<serde_json::Value> = printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let mut gap = line(16, None, Some(7));
        gap["at"] = serde_json::Value::Null;
        let [one, two, three] = [(0, "one"), (13, "two"), (23, "three")]
            .map(|(offset, text)| line(offset, Some(text), None));
        assert_eq!(lines, [one, two, gap, three]);
    }

    #[test]
    fn pipes_are_merged_by_time() {
        let state = tempfile::tempdir().unwrap();
        let session = session(&state);
        let directory = session.directory_fd();
        let mut out = LogWriter::open(directory, "main", Channel::Out, 1 << 20).unwrap();
        let mut err = LogWriter::open(directory, "main", Channel::Err, 1 << 20).unwrap();
        for (number, log) in [(1, true), (2, false), (3, true), (4, true), (5, false)] {
            let log = if log { &mut out } else { &mut err };
            let text = format!("line {number}\n");
            log.append(&[text.as_bytes()], Timestamp::from_millis(number * 1000))
                .unwrap();
        }
        assert_eq!(
            printed(&session, false, false),
            "line 1\nline 2\nline 3\nline 4\nline 5\n"
        );
    }

    #[test]
    fn lines_of_one_moment_are_not_given_out_one_by_one() {
        let state = tempfile::tempdir().unwrap();
        let session = session(&state);
        let directory = session.directory_fd();
        let mut out = LogWriter::open(directory, "main", Channel::Out, 1 << 20).unwrap();
        let mut err = LogWriter::open(directory, "main", Channel::Err, 1 << 20).unwrap();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        out.append(&[&b"early\n".repeat(1000), b"be"], at(1))
            .unwrap();
        err.append(&[b"between\n"], at(2)).unwrap();
        out.append(&[b"gun\n", &b"late\n".repeat(1000)], at(3))
            .unwrap();
        let mut follow = Follow::new(&session, Merge::Lines, |_| Ok(0)).unwrap();
        let mut parts = Vec::new();
        let mut each = |_: &mut Follow<'_>, part: Part<'_>| {
            if let Part::Bytes { bytes, .. } = part {
                parts.push(bytes.to_vec());
            }
            Ok::<_, Failure>(())
        };
        follow.kept(&mut each).unwrap();
        let early = ["early\n".repeat(1000), "begun\n".to_owned()].concat();
        let late = "late\n".repeat(1000);
        assert!(parts == [early.as_bytes(), b"between\n", late.as_bytes()]);
    }

    #[test]
    fn times_are_moments_or_spans_ago() {
        assert_eq!(moment("1970-01-01T00:00:01Z").unwrap().millis(), 1000);
        let ago = Timestamp::now().millis() - moment("10m").unwrap().millis();
        assert!((600_000..610_000).contains(&ago));
        assert!(moment("yesterday").is_err());
    }
}
