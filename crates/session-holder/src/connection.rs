//! One client of the holder: what it sent, what it is owed, and what it watches.
//!
//! Nothing is queued for a slow client: an attachment is a position in a stream, moved on when the socket takes
//! more. Only the rest of one frame that the socket took in part is kept (at most 64 KiB), and control frames,
//! which go first.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::{Value, json};
use session_protocol::{
    Code, Decoder, Error, FIN, FrameType, HEADER_LEN, Header, MAX_SCREEN, Notice, ProcessId,
    Response, SHOWN, Size, StreamId, encode_control, text,
};

use crate::attachment::Attachment;
use crate::output::{BATCH, Output, Piece};
use crate::screen::Snapshot;

/// A connected client.
pub(crate) struct Connection {
    pub(crate) socket: OwnedFd,
    pub(crate) decoder: Decoder,
    /// Control frames and the rest of a partly written frame, in the order they go out.
    pending: Vec<u8>,
    sent: usize,
    /// Bytes of `pending` that are screens.
    screens: usize,
    /// It has shown that it speaks the protocol.
    pub(crate) introduced: bool,
    /// It started this holder and has not asked yet how that went.
    pub(crate) awaited: bool,
    /// It sends no more, but still waits for an answer.
    pub(crate) half_closed: bool,
    pub(crate) since: Instant,
    pub(crate) subscribed: bool,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) inputs: Vec<Input>,
    /// Registered for EPOLLOUT.
    pub(crate) wants_write: bool,
    /// The client has closed its end, and not only for sending: nobody hears an answer.
    pub(crate) gone: bool,
    /// What it said is being acted on; and whether it turned out meanwhile that it cannot be written to any more.
    pub(crate) hearing: bool,
    pub(crate) lost: bool,
    /// A descriptor that came, until the message that it came with is acted on.
    pub(crate) handed: Option<OwnedFd>,
    /// To be closed once `pending` is out.
    pub(crate) closing: bool,
}

/// What one client types into one process.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) process: ProcessId,
    pub(crate) stream: StreamId,
    /// Bytes received but not yet taken by the process.
    pub(crate) queue: std::collections::VecDeque<u8>,
    /// Bytes received in all.
    pub(crate) received: u64,
    /// Up to where the client knows that they were taken.
    pub(crate) told: u64,
    pub(crate) size: Option<Size>,
    /// The moment of its last keystroke, as [`crate::sizing::Say`] has it.
    pub(crate) typed: u64,
    /// The moment in which its size was last another.
    pub(crate) sized: u64,
    /// Calls to answer when so many bytes were taken in all, in order.
    pub(crate) waiting: std::collections::VecDeque<crate::typing::Unanswered>,
    pub(crate) interactive: bool,
}

impl Input {
    /// Bytes the process took in all.
    pub(crate) fn taken(&self) -> u64 {
        self.received - self.queue.len() as u64
    }
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            decoder: Decoder::default(),
            pending: Vec::new(),
            sent: 0,
            screens: 0,
            introduced: false,
            awaited: false,
            half_closed: false,
            gone: false,
            hearing: false,
            lost: false,
            handed: None,
            since: Instant::now(),
            subscribed: false,
            attachments: Vec::new(),
            inputs: Vec::new(),
            wants_write: false,
            closing: false,
        }
    }

    /// Of this process it is sent no more, and types no more into it.
    pub(crate) fn end_attachment(&mut self, process: ProcessId) {
        self.attachments.retain(|it| it.stream.process() != process);
        let mut inputs = self.inputs.extract_if(.., |it| it.process == process);
        let unanswered: Vec<_> = inputs.by_ref().flat_map(|input| input.waiting).collect();
        drop(inputs);
        for write in unanswered {
            let why = "detached before the process took it";
            self.respond(Some(write.id), Err(Error::new(Code::NotRunning, why)));
        }
    }

    /// Whether the client is gone, although that may not have been heard yet.
    pub(crate) fn has_hung_up(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::empty())];
        let asked = rustix::event::poll(&mut fds, Some(&Timespec::default()));
        self.gone || asked.is_ok() && fds[0].revents().contains(PollFlags::HUP)
    }

    /// Everything that was to be sent is in the socket.
    pub(crate) fn is_flushed(&self) -> bool {
        self.sent == self.pending.len()
    }

    /// Bytes in the socket's queue are beyond what control messages can be.
    pub(crate) fn is_clogged(&self) -> bool {
        self.pending.len() - self.sent > (4 << 20) + self.screens
    }

    pub(crate) fn respond(
        &mut self,
        id: Option<Value>,
        outcome: Result<Value, session_protocol::Error>,
    ) {
        if let Some(id) = id {
            self.control(&Response { id, outcome }.to_json());
        }
    }

    pub(crate) fn notify(&mut self, notice: &Notice) {
        self.control(&notice.to_json());
    }

    fn control(&mut self, message: &Value) {
        let wire = if self.decoder.is_text() {
            text::line(message)
        } else {
            encode_control(message)
        };
        self.push(&wire);
    }

    /// Queues raw bytes: whole frames only.
    pub(crate) fn push(&mut self, wire: &[u8]) {
        self.pending.extend_from_slice(wire);
    }

    pub(crate) fn pong(&mut self, body: &[u8]) {
        let header = Header {
            len: body.len() as u32,
            kind: FrameType::Pong,
            flags: 0,
            stream: StreamId(0),
            offset: 0,
        };
        self.push(&header.encode());
        self.push(body);
    }

    pub(crate) fn credit(&mut self, stream: StreamId, offset: u64) {
        if self.decoder.is_text() {
            self.push(&text::credit(stream, offset));
        } else {
            self.push(&Header::credit(stream, offset).encode());
        }
    }

    /// Says why no more is served, and closes behind it.
    pub(crate) fn goaway(&mut self, reason: &str) {
        let body = json!({ "reason": reason });
        if self.decoder.is_text() {
            self.push(&text::line(&json!({ "goaway": body })));
        } else {
            let body = body.to_string();
            let len = body.len() as u32;
            let header = Header {
                len,
                kind: FrameType::Goaway,
                flags: 0,
                stream: StreamId(0),
                offset: 0,
            };
            self.push(&header.encode());
            self.push(body.as_bytes());
        }
        self.closing = true;
    }

    fn reset(&mut self, stream: StreamId, offset: u64, reason: &Value) {
        if self.decoder.is_text() {
            self.push(&text::reset(stream, offset, reason));
            return;
        }
        let body = reason.to_string();
        let header = Header {
            len: body.len() as u32,
            kind: FrameType::Reset,
            flags: 0,
            stream,
            offset,
        };
        self.push(&header.encode());
        self.push(body.as_bytes());
    }

    /// What brings a terminal into the state that the stream has led to.
    fn screen(&mut self, stream: StreamId, offset: u64, size: Size, drawn: &[u8]) {
        if self.decoder.is_text() {
            return self.push(&text::screen(stream, offset, size, drawn));
        }
        let drawn = &drawn[..drawn.len().min(MAX_SCREEN - 4)];
        let header = Header {
            kind: FrameType::Screen,
            ..Header::data(stream, offset, drawn.len() as u32 + 4)
        };
        self.push(&header.encode());
        self.push(&size.rows.to_le_bytes());
        self.push(&size.cols.to_le_bytes());
        self.push(drawn);
        self.screens += drawn.len();
    }

    /// Writes what is pending. `Ok(false)`: the socket is full.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        while self.sent < self.pending.len() {
            match send(&self.socket, &[IoSlice::new(&self.pending[self.sent..])]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        if self.pending.capacity() > 4096 {
            self.pending = Vec::new();
        }
        self.pending.clear();
        (self.sent, self.screens) = (0, 0);
        Ok(true)
    }

    /// Sends what attachment `index` is owed of `output`, until the socket or the credit is used up. `reply` gets the
    /// answers to what is asked in output that this client was to answer and is not sent.
    ///
    /// `Ok(false)`: the socket is full.
    pub(crate) fn pump(
        &mut self,
        index: usize,
        output: &mut Output,
        log: (std::os::fd::BorrowedFd<'_>, &str),
        mut reply: Option<&mut Vec<u8>>,
    ) -> io::Result<bool> {
        let mut buffer = Vec::new();
        let answers = reply.is_some();
        loop {
            let flushed = self.flush()?;
            let attachment = &mut self.attachments[index];
            let (stream, head) = (attachment.stream, output.served());
            if !flushed {
                attachment.remark(head);
                return Ok(false);
            }
            if attachment.redraw {
                attachment.redraw = false;
                let snapshot = output.snapshot(log);
                if let Some(reply) = &mut reply {
                    reply.extend(output.unanswered());
                }
                if let Some(Snapshot {
                    offset,
                    size,
                    drawn,
                }) = snapshot
                {
                    attachment.skip_to(offset.max(attachment.next), offset);
                    self.screen(stream, offset, size, &drawn);
                }
                continue;
            }
            if attachment.is_late(head) {
                if answers {
                    output.sent(attachment.next);
                }
                let next = attachment.present(output, attachment.next);
                let lost = next - attachment.next;
                attachment.skip_to(next, head);
                self.reset(
                    stream,
                    next,
                    &json!({ "reason": "behind", "lost": lost, "head": head }),
                );
                continue;
            }
            if attachment.next >= head {
                if output.ended.is_some() && !attachment.finished {
                    attachment.finished = true;
                    self.finish(stream, head);
                    continue;
                }
                return Ok(true);
            }
            let allowed = attachment
                .limit
                .min(head)
                .saturating_sub(attachment.next)
                .min(BATCH as u64) as usize;
            if allowed == 0 {
                return Ok(true);
            }
            let (next, typed) = (attachment.next, attachment.typed);
            // What its terminal has it is told of, in pieces of their own.
            let known = attachment.shown.saturating_sub(next) as usize;
            let (allowed, flags) = match known {
                0 => (allowed, 0),
                known => (allowed.min(known), SHOWN),
            };
            match output.piece(log.0, log.1, next, allowed, &mut buffer) {
                Piece::Ring(parts) => {
                    let lent = &mut self.attachments[index].lent;
                    // A terminal that does not answer is not to be asked: its client leaves questions out.
                    let lent = lent.as_mut().filter(|_| answers && typed && flags == 0);
                    match lent.map_or(0, |lent| lent.show(next, parts, &self.socket)) {
                        0 => self.data(index, (stream, next), parts, flags)?,
                        shown => self.data(index, (stream, next), first(parts, shown), SHOWN)?,
                    }
                }
                Piece::Log(len) => {
                    self.data(index, (stream, next), [&buffer[..len], &[]], flags)?;
                }
                Piece::Gap(to) => {
                    // A person is not shown the oldest of what is left, only to fall behind again.
                    if answers {
                        output.sent(next);
                    }
                    let to = self.attachments[index].present(output, to);
                    self.attachments[index].skip_to(to, head);
                    self.reset(
                        stream,
                        to,
                        &json!({ "reason": "gap", "lost": to - next, "head": head }),
                    );
                }
                Piece::End => return Ok(true),
            }
        }
    }

    /// One DATA frame in one write. What the socket does not take is kept, so that frames stay whole.
    fn data(
        &mut self,
        index: usize,
        (stream, offset): (StreamId, u64),
        parts: [&[u8]; 2],
        flags: u8,
    ) -> io::Result<()> {
        let len = parts[0].len() + parts[1].len();
        self.attachments[index].next += len as u64;
        if self.decoder.is_text() {
            let line = text::data(stream, offset, &parts.concat(), false);
            self.push(&line);
            return Ok(());
        }
        let header = Header::data(stream, offset, len as u32);
        let header = Header { flags, ..header }.encode();
        let slices = [
            IoSlice::new(&header),
            IoSlice::new(parts[0]),
            IoSlice::new(parts[1]),
        ];
        let mut sent = match send(&self.socket, &slices) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if sent < HEADER_LEN + len {
            for part in [&header[..], parts[0], parts[1]] {
                let skip = sent.min(part.len());
                sent -= skip;
                self.pending.extend_from_slice(&part[skip..]);
            }
        }
        Ok(())
    }

    /// An empty DATA frame that ends the stream.
    fn finish(&mut self, stream: StreamId, offset: u64) {
        if self.decoder.is_text() {
            self.push(&text::data(stream, offset, &[], true));
        } else {
            self.push(
                &Header {
                    flags: FIN,
                    ..Header::data(stream, offset, 0)
                }
                .encode(),
            );
        }
    }
}

/// The first `len` bytes of the two parts.
fn first(parts: [&[u8]; 2], len: usize) -> [&[u8]; 2] {
    let before = len.min(parts[0].len());
    [&parts[0][..before], &parts[1][..len - before]]
}

/// Tells the client of a holder that cannot serve it why.
pub(crate) fn farewell(client: OwnedFd, why: &impl std::fmt::Display) -> io::Result<()> {
    let mut connection = Connection::new(client);
    connection.push(&session_protocol::PREFACE);
    connection.goaway(&why.to_string());
    connection.flush().map(drop)
}

/// `writev` to a socket whose reader may be gone: EPIPE, not SIGPIPE (which is ignored in a holder).
fn send(socket: &OwnedFd, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        match rustix::io::writev(socket, parts) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}
