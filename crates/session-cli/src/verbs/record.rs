//! `session record NAME FILE`: the output as a recording that the players of terminals play.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;
use session_protocol::{ByteString, Channel, Code, Size, Status, Timestamp};
use session_store::{LogReader, Session};
use session_sys::event::SignalFd;

use crate::cast::{Cast, Header};
use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Follow, Live, Part};
use crate::merge::Merge;
use crate::verbs::screen::asked;

/// How long the end of a recording may take once a signal asked for it, for who reads it may not read on.
const PATIENCE: Duration = Duration::from_secs(2);

/// Write a session's output as a recording (asciicast v2)
///
/// What the main process wrote since it was last started, with the times at which it came, for `asciinema play` and its
/// like. The session need not run. With --follow it goes on, with changes of the terminal's size, until the session
/// ended for good or Ctrl-C.
///
/// Output is kept up to the attribute log-limit; what is gone is skipped, with a word on stderr. Without a terminal
/// (--no-pty) both streams are recorded, in the order in which they came, their lines ended as a terminal would.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session record build build.cast
  session record --follow build build.cast && asciinema play build.cast
  session record build - | asciinema cat -")]
pub(crate) struct Record {
    /// Go on with new output as it comes
    #[arg(short, long)]
    follow: bool,
    /// Everything that is kept, also of earlier runs
    #[arg(short, long)]
    all: bool,
    /// Overwrite FILE
    #[arg(long)]
    force: bool,
    /// Name or id
    name: String,
    /// The file to make; - is standard output
    file: PathBuf,
}

impl Record {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let session = context.session(&self.name)?;
        // The holder looks: then the log knows each size that the terminal had.
        let _ = asked(&session);
        let status = session.status()?;
        // Before the file: what is recorded must not be missing because a signal came too early.
        let over = self.follow.then(ended_by_signal).transpose()?;
        let mut begin = Begin::new(&status, self.all);
        let mut follow = Follow::new(&session, Merge::Bytes, |reader| begin.find(reader))?;
        let out = self.open()?;
        if begin.gone > 0 {
            let gone = begin.gone;
            context.remark(format!(
                "the first {gone} bytes of the session's output are gone"
            ));
        }
        let began = begin.moment();
        let mut sizes = begin.sizes;
        let first = sizes.pop_front().map(|(_, size)| size);
        let size = first.unwrap_or_else(|| size(&session, &status).unwrap_or_default());
        let header = Header::new(
            size,
            began,
            title(&session, &status)?,
            env(&session, &status),
        );
        let mut recorder = Recorder {
            cast: Cast::begin(out, &header, began).map_err(|why| self.failed(why))?,
            size,
            sizes,
            live: false,
            context,
            verb: &self,
        };
        let mut each = |follow: &mut Follow<'_>, part: Part<'_>| recorder.record(follow, part);
        if let Some(over) = &over {
            follow.attend(over.as_fd());
        }
        follow.kept(&mut each)?;
        recorder.live = true;
        let followed = over
            .as_ref()
            .map_or(Ok(()), |over| recorder.follow(&mut follow, over));
        let finished = recorder.cast.finish().map(drop);
        finished.map_err(|why| self.failed(why))?;
        followed?;
        if over.is_some()
            && let Some(why) = follow.untold()?
        {
            context.remark(why);
        }
        if !self.is_stdout() {
            context.verbose(format!("Recorded in {}", self.file.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn is_stdout(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    fn open(&self) -> Result<Box<dyn Write>, Failure> {
        if self.is_stdout() {
            return Ok(Box::new(io::stdout()));
        }
        let mut options = OpenOptions::new();
        options.write(true);
        let opened: io::Result<File> = if self.force {
            options.create(true).truncate(true).open(&self.file)
        } else {
            options.create_new(true).open(&self.file)
        };
        match opened {
            Ok(file) => Ok(Box::new(file)),
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
                let shown = ByteString::from(self.file.as_os_str().to_owned()).escaped();
                let failure = Failure::new(Code::Exists, format!("'{shown}' exists"));
                Err(failure.hint("--force overwrites it"))
            }
            Err(why) => Err(Failure::io("create", &self.file, why)),
        }
    }

    fn failed(&self, why: io::Error) -> Failure {
        if self.is_stdout() {
            Failure::output(why)
        } else {
            Failure::io("write to", &self.file, why)
        }
    }
}

/// Where the recording begins.
struct Begin {
    /// When the main process was started, unless everything is wanted.
    started: Option<Timestamp>,
    /// The time of the first byte.
    first: Option<Timestamp>,
    /// Bytes before it that may have been of the same run.
    gone: u64,
    /// What the terminal's size was from which offset on, as far as the log has it.
    sizes: VecDeque<(u64, Size)>,
}

impl Begin {
    fn new(status: &Status, all: bool) -> Self {
        let started = status.started_at.filter(|_| !all);
        Self {
            started,
            first: None,
            gone: 0,
            sizes: VecDeque::new(),
        }
    }

    fn find(&mut self, reader: &mut LogReader) -> io::Result<u64> {
        let (start, end) = (reader.start()?, reader.end()?);
        let from = match self.started {
            Some(started) => reader.since(started)?,
            None => start,
        };
        if from < end {
            let (first, _) = reader.time_of(from)?;
            self.first = [self.first, first].into_iter().flatten().min();
            if from == start {
                self.gone += start;
            }
        }
        for mark in reader.marks(from, end)? {
            let (rows, cols) = mark.size;
            // The last before the first byte is that of the first byte.
            self.sizes.retain(|_| mark.offset > from);
            self.sizes.push_back((mark.offset, Size { rows, cols }));
        }
        Ok(from)
    }

    /// The recording's time zero: the start of the process, or the first byte where its start is not part of it.
    fn moment(&self) -> Timestamp {
        let whole = self.started.filter(|_| self.gone == 0);
        whole.or(self.first).unwrap_or_else(Timestamp::now)
    }
}

/// The size of the terminal, or what it was last.
fn size(session: &Session, status: &Status) -> Option<Size> {
    let before = || session.read_live().ok().flatten()?.last_size;
    status.size.or_else(before)
}

fn title(session: &Session, status: &Status) -> Result<String, Failure> {
    let title = session.read_record()?.spec.title;
    Ok(title.unwrap_or_else(|| status.name.clone()))
}

/// TERM and SHELL of the main process, as far as they are known.
fn env(session: &Session, status: &Status) -> BTreeMap<String, String> {
    let environ = status.pid.and_then(|pid| {
        std::fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).ok()
    });
    let environ = environ.unwrap_or_default();
    let set = session.read_record().map(|record| record.spec.env);
    let set = set.unwrap_or_default();
    let value = |key: &str| {
        let prefix = format!("{key}=");
        let entry = environ
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(prefix.as_bytes()));
        let value = entry.or_else(|| Some(set.get(key)?.as_os_str().as_bytes()))?;
        Some((key.to_owned(), String::from_utf8_lossy(value).into_owned()))
    };
    ["TERM", "SHELL"].into_iter().filter_map(value).collect()
}

/// Parts in, events out.
struct Recorder<'a> {
    cast: Cast<Box<dyn Write>>,
    size: Size,
    /// What it becomes, and from which offset on.
    sizes: VecDeque<(u64, Size)>,
    /// What comes, comes now.
    live: bool,
    context: &'a Context,
    verb: &'a Record,
}

impl Recorder<'_> {
    fn follow(&mut self, follow: &mut Follow<'_>, over: &PipeReader) -> Result<(), Failure> {
        loop {
            self.cast.flush().map_err(|why| self.verb.failed(why))?;
            if hung_up(over) {
                return Ok(());
            }
            let mut each = |follow: &mut Follow<'_>, part: Part<'_>| self.record(follow, part);
            let live = follow.live(&mut each)?;
            self.resize(follow)?;
            if let Live::Ended = live {
                return Ok(());
            }
        }
    }

    fn record(&mut self, follow: &mut Follow<'_>, part: Part<'_>) -> Result<(), Failure> {
        match part {
            Part::Bytes { channel, bytes, .. } if self.live => {
                self.resize(follow)?;
                self.output(Some(Timestamp::now()), channel, bytes)
            }
            Part::Bytes {
                channel,
                mut offset,
                mut bytes,
            } => {
                while !bytes.is_empty() {
                    let (at, mut until) = follow.moment(channel, offset);
                    while let Some((_, size)) = self.sizes.pop_front_if(|it| it.0 <= offset) {
                        self.sized(at, size)?;
                    }
                    if let Some((next, _)) = self.sizes.front() {
                        until = until.min(*next);
                    }
                    let most = usize::try_from(until.saturating_sub(offset)).unwrap_or(usize::MAX);
                    let (now, later) = bytes.split_at(most.clamp(1, bytes.len()));
                    self.output(at, channel, now)?;
                    offset += now.len() as u64;
                    bytes = later;
                }
                Ok(())
            }
            Part::Gap { channel, lost, .. } => {
                self.context
                    .remark(format!("{lost} bytes of the output are gone"));
                self.cast.cut(channel).map_err(|why| self.verb.failed(why))
            }
        }
    }

    fn output(
        &mut self,
        at: Option<Timestamp>,
        channel: Channel,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let written = self.cast.output(at, channel, bytes);
        written.map_err(|why| self.verb.failed(why))
    }

    fn resize(&mut self, follow: &Follow<'_>) -> Result<(), Failure> {
        match follow.size() {
            Some(size) => self.sized(Some(Timestamp::now()), size),
            None => Ok(()),
        }
    }

    fn sized(&mut self, at: Option<Timestamp>, size: Size) -> Result<(), Failure> {
        if size == self.size {
            return Ok(());
        }
        self.size = size;
        let written = self.cast.resize(at, size);
        written.map_err(|why| self.verb.failed(why))
    }
}

/// Hangs up when SIGINT or SIGTERM comes. If the recording has not ended some time after that, because nobody takes
/// it, everything ends.
fn ended_by_signal() -> Result<PipeReader, Failure> {
    let ending = [Signal::INT, Signal::TERM].map(Signal::as_raw);
    let signals = SignalFd::new(&ending)?;
    let (over, going_on) = io::pipe()?;
    std::thread::Builder::new().spawn(move || {
        let signal = loop {
            let mut fds = [PollFd::new(&signals, PollFlags::IN)];
            let _ = rustix::event::poll(&mut fds, None);
            if let Ok(Some(signal)) = signals.next() {
                break signal;
            }
        };
        drop(going_on);
        std::thread::sleep(PATIENCE);
        std::process::exit(128 | signal);
    })?;
    Ok(over)
}

fn hung_up(over: &PipeReader) -> bool {
    let mut fds = [PollFd::new(over, PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
}
