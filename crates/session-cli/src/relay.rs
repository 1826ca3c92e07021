//! Three pipes between the caller and a process of a session: every byte, in bounded memory, both ways.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::Signal;
use session_client::{Connection, Error, Incoming};
use session_protocol::{
    Attach, Attached, Call, Channel, Exit, From, INPUT_WINDOW, Notice, ProcessId, Spawned, StreamId,
};
use session_store::Session;
use session_sys::event::SignalFd;

use crate::display::WINDOW;
use crate::failure::Failure;
use crate::interactive::ends;
use crate::outlet::{Outlet, poll_if};

/// Input taken at once.
const PIECE: usize = 32 << 10;
/// Consumed bytes are told in portions of this.
const PORTION: u64 = 64 << 10;

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The process did.
    Exit(Exit),
    /// The caller was told to, or nobody reads its output any more.
    Signal(i32),
    /// The caller's terminal was sent away, the process goes on.
    Detached,
    /// The holder went away without a word.
    Lost,
}

/// The loop and what it holds.
pub(crate) struct Relay<'a> {
    session: &'a Session,
    connection: &'a mut Connection,
    process: ProcessId,
    signals: &'a SignalFd,
    out: Output,
    err: Output,
    /// The input stream and the offsets of the next byte to send and of what the process took.
    input: Option<(StreamId, u64)>,
    taken: u64,
    /// Bytes of input that a killed holder may have lost.
    uncertain: u64,
    over: Option<Ended>,
}

/// One way out.
struct Output {
    stream: StreamId,
    outlet: Outlet,
    next: u64,
    credited: u64,
}

impl<'a> Relay<'a> {
    /// Between this process's standard streams and those of `spawned`.
    pub(crate) fn new(
        session: &'a Session,
        connection: &'a mut Connection,
        spawned: &Spawned,
        signals: &'a SignalFd,
    ) -> io::Result<Self> {
        let output = |channel, outlet| Output {
            stream: StreamId::new(spawned.process, channel),
            outlet,
            next: 0,
            credited: 0,
        };
        Ok(Self {
            session,
            connection,
            process: spawned.process,
            signals,
            out: output(Channel::Out, Outlet::new(io::stdout())?),
            err: output(Channel::Err, Outlet::new(io::stderr())?),
            input: spawned.attached.input,
            taken: spawned.attached.input.map_or(0, |(_, offset)| offset),
            uncertain: 0,
            over: None,
        })
    }

    /// Runs until the process ended and all of its output is written.
    pub(crate) fn run(mut self) -> Result<Ended, Failure> {
        loop {
            match self.step() {
                Ok(None) => {}
                // A script is not to take for done what may have been done to a part.
                Ok(Some(Ended::Exit(_))) if self.uncertain > 0 => {
                    let bytes = self.uncertain;
                    let why = format!(
                        "the holder was replaced while input was on its way: up to {bytes} bytes of it are missing"
                    );
                    return Err(Failure::new(session_protocol::Code::Io, why));
                }
                Ok(Some(ended)) => return Ok(ended),
                // Had the process been on the pipe itself, it would have got this signal.
                Err(Failure::BrokenPipe) => {
                    self.signal(Signal::PIPE.as_raw());
                    return Ok(Ended::Signal(Signal::PIPE.as_raw()));
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn step(&mut self) -> Result<Option<Ended>, Failure> {
        self.take()?;
        let pending = self.out.outlet.pending() + self.err.outlet.pending();
        if pending == 0
            && let Some(over) = self.over.take()
        {
            return Ok(Some(over));
        }
        let room = self
            .input
            .is_some_and(|(_, sent)| sent - self.taken < INPUT_WINDOW);
        let (out, err) = (&self.out.outlet, &self.err.outlet);
        let stdin = io::stdin();
        let mut fds = [
            poll_if(
                self.over.is_none(),
                self.connection.as_fd(),
                PollFlags::IN,
                self.signals,
            ),
            PollFd::new(self.signals, PollFlags::IN),
            poll_if(out.pending() > 0, out.as_fd(), PollFlags::OUT, self.signals),
            poll_if(err.pending() > 0, err.as_fd(), PollFlags::OUT, self.signals),
            poll_if(room, stdin.as_fd(), PollFlags::IN, self.signals),
        ];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(None),
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
        let [holder, signal, out, err, typed] = fds.map(|fd| !fd.revents().is_empty());
        if signal {
            while let Some(signal) = self.signals.next()? {
                if ends(signal) {
                    self.signal(signal);
                }
            }
        }
        if out {
            self.out.outlet.flush().map_err(Failure::output)?;
        }
        if err {
            self.err.outlet.flush().map_err(Failure::output)?;
        }
        if typed {
            self.read()?;
        }
        if holder {
            match self.connection.receive() {
                Ok(()) => {}
                Err(Error::Closed) => {
                    if !self.rejoin()? {
                        self.over = Some(Ended::Lost);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.credit();
        Ok(None)
    }

    /// The holder is gone. Where another takes over every stream goes on at the byte where that one stopped; true if so.
    fn rejoin(&mut self) -> Result<bool, Failure> {
        let connected = match session_client::connect(self.session) {
            Ok(Some(connection)) => connection,
            Ok(None) | Err(Error::Unreachable { .. } | Error::Store(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        *self.connection = connected;
        let attached = self.connection.call::<Attached>(Call::Attach(Attach {
            process: self.process,
            from: From::Live,
            resume: [&self.out, &self.err]
                .map(|output| (output.stream, output.next))
                .to_vec(),
            window: WINDOW,
            interactive: false,
            read_only: false,
            size: None,
            detach_others: false,
            exclusive: false,
            environment: None,
            lossless: true,
        }));
        let attached = match attached {
            Ok(attached) => attached,
            Err(Error::Closed) => return Ok(true),
            Err(_) => return Ok(false),
        };
        for output in [&mut self.out, &mut self.err] {
            output.credited = output.next;
        }
        if let Some((_, offset)) = self.input {
            let unknown = offset - self.taken;
            self.taken = attached.input.map_or(0, |(_, offset)| offset);
            self.input = attached.input;
            self.uncertain += unknown;
        } else {
            // It was told so by the one before, or not.
            let process = self.process;
            let _ = self.connection.notify(Call::CloseStdin { process });
        }
        Ok(true)
    }

    /// Acts on everything that has come from the holder.
    fn take(&mut self) -> Result<(), Failure> {
        while self.over.is_none() {
            match self.connection.poll()? {
                None => break,
                Some(Incoming::Data {
                    stream,
                    offset,
                    bytes,
                    ..
                }) => {
                    let output = if stream == self.out.stream {
                        &mut self.out
                    } else {
                        &mut self.err
                    };
                    if stream == output.stream {
                        output.next = offset + bytes.len() as u64;
                        output.outlet.offer(bytes).map_err(Failure::output)?;
                    }
                }
                Some(Incoming::Reset { lost, .. }) => {
                    return Err(Failure::new(
                        session_protocol::Code::Io,
                        format!("{lost} bytes of the output are gone"),
                    ));
                }
                Some(Incoming::Credit { stream, offset }) => {
                    if self.input.is_some_and(|(input, _)| input == stream) {
                        self.taken = self.taken.max(offset);
                    }
                }
                Some(Incoming::Notice(Notice::Exited { process, exit }))
                    if process == self.process =>
                {
                    self.over = Some(Ended::Exit(exit));
                }
                Some(
                    Incoming::Screen { .. }
                    | Incoming::Response(_)
                    | Incoming::Notice(_)
                    | Incoming::Other,
                ) => {}
            }
        }
        self.credit();
        Ok(())
    }

    fn credit(&mut self) {
        for output in [&mut self.out, &mut self.err] {
            if let Some(offset) = output.credit() {
                // That the holder is gone is learned by reading, behind its last words.
                let _ = self.connection.credit(output.stream, offset);
            }
        }
    }

    /// Takes what was typed or piped in.
    fn read(&mut self) -> Result<(), Failure> {
        let Some((stream, offset)) = self.input else {
            return Ok(());
        };
        let most = (INPUT_WINDOW - (offset - self.taken)).min(PIECE as u64);
        let mut buffer = [0; PIECE];
        match rustix::io::read(io::stdin(), &mut buffer[..most as usize]) {
            Err(Errno::INTR | Errno::AGAIN) => Ok(()),
            // An input that cannot be read has ended: a directory, a terminal that hung up, a descriptor that
            // is open for writing only.
            Ok(0) | Err(_) => {
                self.input = None;
                let _ = self.connection.notify(Call::CloseStdin {
                    process: self.process,
                });
                Ok(())
            }
            Ok(read) => {
                let _ = self.connection.send_data(stream, offset, &buffer[..read]);
                self.input = Some((stream, offset + read as u64));
                Ok(())
            }
        }
    }

    /// Passes a signal on to the process, and all in its group.
    fn signal(&mut self, signal: i32) {
        pass_on(self.connection, self.process, signal);
    }
}

/// Sends `process` the signal that its client got. Gone already, there is nobody to tell.
pub(crate) fn pass_on(connection: &mut Connection, process: ProcessId, signal: i32) {
    if let Some(signal) = session_protocol::Signal::new(signal) {
        let _ = connection.notify(Call::SignalProcess { process, signal });
    }
}

impl Output {
    /// Up to where everything is written, if it is time to say so.
    fn credit(&mut self) -> Option<u64> {
        let written = self.next - self.outlet.pending() as u64;
        if written < self.credited + PORTION {
            return None;
        }
        self.credited = written;
        Some(written)
    }
}
