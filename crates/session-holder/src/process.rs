//! One process of the session: what it is made of in the holder, and how it comes to be.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;

use session_protocol::{ByteString, Channel, Code, Error, Exit, ProcessId, Size, Stdio, StreamId};
use session_store::log::LogWriter;
use session_sys::identity::Identity;
use session_sys::spawn::{self, ChildStdio, Gated, Started};

use crate::given::Given;
use crate::output::{Output, nonblocking};
use crate::program::Launch;
use crate::ring::Ring;

/// A process with its streams. The main process's entry outlives each of its runs.
pub(crate) struct Process {
    pub(crate) id: ProcessId,
    pub(crate) command: Vec<ByteString>,
    pub(crate) run: Option<Run>,
    pub(crate) exit: Option<Exit>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) size: Size,
    /// The client whose terminal answers what the process asks; with none the holder does.
    pub(crate) answerer: Option<u64>,
    /// The file it is executed from and the directory it starts in, for error messages.
    pub(crate) paths: (PathBuf, PathBuf),
    pub(crate) given: Given,
    /// What whoever had it spawned calls it.
    pub(crate) token: Option<String>,
}

/// A living process.
pub(crate) struct Run {
    pub(crate) pid: i32,
    /// Which process of all that had or will have this number.
    pub(crate) identity: Option<Identity>,
    /// Fires when it has ended.
    pub(crate) pidfd: OwnedFd,
    /// We started it, and are told how it ended.
    pub(crate) is_child: bool,
    /// Says whether the command was executed; gone once it has.
    pub(crate) report: Option<OwnedFd>,
    /// Where keys and input go; `None` once closed.
    pub(crate) input: Option<OwnedFd>,
    /// `input` is to be closed once all that was typed is taken.
    pub(crate) closing: bool,
    /// Since when it has ended without having been reaped by its parent, which we are not.
    pub(crate) unreaped: Option<Instant>,
    /// `input` was full and is watched for room.
    pub(crate) input_watched: bool,
    /// The PTY's slave side, kept open so that its master never hangs up while a process without open
    /// descriptors on it lives (pty(7)).
    pub(crate) slave: Option<OwnedFd>,
    pub(crate) since: Instant,
}

/// What a new process reads from and writes to, on our side.
pub(crate) struct Ends {
    pub(crate) input: OwnedFd,
    pub(crate) slave: Option<OwnedFd>,
    /// The source of each output stream, in the order of `Process::outputs`.
    pub(crate) sources: Vec<OwnedFd>,
}

impl Process {
    /// The name of its directory of streams.
    pub(crate) fn directory(&self) -> String {
        directory(self.id)
    }

    /// Writes to the log what it does not have yet.
    pub(crate) fn journal(&mut self) {
        self.outputs.iter_mut().for_each(Output::journal);
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.run.as_ref().map(|run| run.pid)
    }

    pub(crate) fn is_pty(&self) -> bool {
        self.outputs
            .iter()
            .any(|output| output.stream.channel() == Channel::Pty)
    }

    /// The size of its terminal, if it lives on one.
    pub(crate) fn terminal_size(&self) -> Option<Size> {
        self.run.as_ref()?.slave.as_ref().map(|_| self.size)
    }

    pub(crate) fn output(&mut self, stream: StreamId) -> Option<&mut Output> {
        self.outputs
            .iter_mut()
            .find(|output| output.stream == stream)
    }
}

/// The name of a process's directory of streams.
pub(crate) fn directory(id: ProcessId) -> String {
    if id == ProcessId::MAIN {
        "main".to_owned()
    } else {
        format!("p{}", id.0)
    }
}

/// The output streams that `stdio` has.
pub(crate) fn channels(stdio: Stdio) -> &'static [Channel] {
    match stdio {
        Stdio::Pty(_) => &[Channel::Pty],
        Stdio::Pipes => &[Channel::Out, Channel::Err],
    }
}

/// A ring for each output stream that `stdio` has.
pub(crate) fn rings(stdio: Stdio) -> Result<Vec<Ring>, Error> {
    let failed = |error| {
        Error::new(
            Code::Limit,
            format!("cannot map memory for output: {error}"),
        )
    };
    let rings = channels(stdio).iter().map(|channel| Ring::new(*channel));
    rings.collect::<std::io::Result<_>>().map_err(failed)
}

/// Each ring as a stream that goes on where its log ends.
pub(crate) fn outputs(
    session: std::os::fd::BorrowedFd<'_>,
    id: ProcessId,
    stdio: Stdio,
    limit: u64,
    rings: Vec<Ring>,
) -> Result<Vec<Output>, Error> {
    let name = directory(id);
    let rings = channels(stdio).iter().zip(rings);
    let output = |(channel, mut ring): (&Channel, Ring)| {
        let log = LogWriter::open(session, &name, *channel, limit)
            .map_err(|error| Error::new(Code::Io, error.to_string()))?;
        ring.begin(log.end());
        Ok(Output::new(StreamId::new(id, *channel), log, ring))
    };
    rings.map(output).collect()
}

/// Both sides of the standard streams.
pub(crate) fn ends(stdio: Stdio) -> Result<(Ends, ChildStdio), Error> {
    let failed = |error: std::io::Error| {
        Error::new(
            Code::Limit,
            format!("cannot make the standard streams: {error}"),
        )
    };
    match stdio {
        Stdio::Pty(size) => {
            let (master, slave) = session_sys::pty::open(size.rows, size.cols)
                .map_err(|error| Error::new(Code::Limit, format!("cannot open a PTY: {error}")))?;
            let input = master.try_clone().map_err(failed)?;
            let kept = slave.try_clone().map_err(failed)?;
            Ok((
                Ends {
                    input,
                    slave: Some(kept),
                    sources: vec![master],
                },
                ChildStdio::Terminal(slave),
            ))
        }
        Stdio::Pipes => {
            let pipe = || {
                rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
                    .map_err(|error| failed(error.into()))
            };
            let (stdin, input) = pipe()?;
            let (out, stdout) = pipe()?;
            let (err, stderr) = pipe()?;
            for fd in [&input, &out, &err] {
                nonblocking(fd).map_err(failed)?;
            }
            Ok((
                Ends {
                    input,
                    slave: None,
                    sources: vec![out, err],
                },
                ChildStdio::Pipes {
                    stdin,
                    stdout,
                    stderr,
                },
            ))
        }
    }
}

/// Forks the process, lets `record` write down who it is, and only then opens its gate: a holder that dies in
/// between leaves a child that exits without having executed anything (invariant 3).
pub(crate) fn start(
    launch: &Launch<'_>,
    stdio: ChildStdio,
    cgroup: Option<&session_sys::cgroup::Group>,
    record: impl FnOnce(&Gated) -> Result<(), Error>,
) -> Result<(Started, bool), Error> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Error::new(Code::Limit, format!("{what}: {error}"))
    };
    let program = launch.program(stdio)?;
    let into = cgroup.filter(|group| group.is_fresh());
    let gated = spawn::spawn(&program, into.map(|group| group.fd()))
        .map_err(|error| failed("cannot start a process", &error))?;
    record(&gated)?;
    let in_cgroup = gated.in_cgroup() || cgroup.is_some_and(|group| group.add(gated.pid()).is_ok());
    let started = gated
        .open()
        .map_err(|error| failed("cannot start a process", &error))?;
    Ok((started, in_cgroup))
}

/// Which process `pid` is, a child of ours.
pub(crate) fn identity(boot_id: [u8; 16], pid: i32) -> Result<Identity, Error> {
    Identity::in_boot(boot_id, pid)
        .map_err(|error| Error::new(Code::Io, format!("cannot identify process {pid}: {error}")))
}

/// Ends a process that was started but cannot be kept, and waits until it is dead: nothing may be started while
/// it lives.
pub(crate) fn abort(pidfd: &OwnedFd) {
    let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
    let patience = rustix::event::Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    let mut fds = [rustix::event::PollFd::new(
        pidfd,
        rustix::event::PollFlags::IN,
    )];
    let _ = rustix::event::poll(&mut fds, Some(&patience));
}

/// Why a process that was started did not execute its command; `None` if it did, `Err` if it is not known yet.
pub(crate) fn report(
    report: &OwnedFd,
    paths: &(PathBuf, PathBuf),
) -> std::io::Result<Option<Error>> {
    let Some(failure) = spawn::read_report(report.as_fd())? else {
        return Ok(None);
    };
    let why = reason(&failure.errno);
    let shown = |path: &std::path::Path| ByteString::from(path.as_os_str().to_owned()).escaped();
    Ok(Some(match failure.stage {
        spawn::Stage::Directory => Error::new(
            Code::BadDirectory,
            format!("cannot enter the directory '{}': {why}", shown(&paths.1)),
        ),
        spawn::Stage::Exec => Error::new(
            Code::NotExecutable,
            format!(
                "cannot execute '{}': {}{why}",
                shown(&paths.0),
                crate::program::missing_part(&paths.0, &failure.errno)
            ),
        ),
        spawn::Stage::Limits => Error::new(
            Code::Limit,
            format!(
                "cannot start '{}' with the limits that are set: {why}",
                shown(&paths.0)
            ),
        ),
        _ => Error::new(
            Code::Limit,
            format!("cannot start '{}': {why}", shown(&paths.0)),
        ),
    }))
}

/// An error in the kernel's words, without the number that Rust puts behind them.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
