//! One stream that one client watches: a position in it, how far the client lets it go on, and what becomes of one that
//! does not keep up.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use session_protocol::StreamId;

use crate::lent::Lent;
use crate::output::Output;

/// An interactive client further behind than this, in time and bytes, is moved on to the present.
const BEHIND: Duration = Duration::from_millis(1500);
const BEHIND_BYTES: u64 = 256 << 10;
/// What it is shown then: enough for a screen.
const RESYNC: u64 = 64 << 10;

/// One output stream watched by one client.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) stream: StreamId,
    /// Offset of the next byte to send.
    pub(crate) next: u64,
    /// Offset the client allows sending up to.
    pub(crate) limit: u64,
    window: u64,
    pub(crate) interactive: bool,
    /// It is to be sent the screen before anything else.
    pub(crate) redraw: bool,
    /// What lies before this offset an earlier holder wrote to its terminal, and did not tell it.
    pub(crate) shown: u64,
    /// The process was typed at a moment ago.
    pub(crate) typed: bool,
    /// The terminal that it is shown on, if the client lent it.
    pub(crate) lent: Option<Lent>,
    /// The process waits rather than that this client loses bytes (`exec` on pipes).
    pub(crate) lossless: bool,
    /// At this moment the stream's head was at this offset.
    mark: (Instant, u64),
    pub(crate) finished: bool,
}

impl Attachment {
    pub(crate) fn new(stream: StreamId, from: u64, window: u64, head: u64) -> Self {
        Self {
            stream,
            next: from,
            limit: from.saturating_add(window),
            window,
            interactive: false,
            redraw: false,
            shown: 0,
            typed: false,
            lent: None,
            lossless: false,
            mark: (Instant::now(), head),
            finished: false,
        }
    }

    /// The client consumed everything below `offset`.
    pub(crate) fn credit(&mut self, offset: u64) {
        // A client cannot have consumed what was not sent.
        let consumed = offset.min(self.next);
        self.limit = self.limit.max(consumed.saturating_add(self.window));
        if let Some(lent) = &mut self.lent {
            lent.credit(consumed);
        }
    }

    /// The client's terminal may be written to from here, once it has shown what it is sent next.
    pub(crate) fn lend(&mut self, terminal: &OwnedFd) -> io::Result<()> {
        self.lent = Some(Lent::new(terminal, self.next)?);
        Ok(())
    }

    /// The client has something of its own to show at `offset`.
    pub(crate) fn wait(&mut self, offset: u64) {
        if let Some(lent) = &mut self.lent {
            lent.wait(offset);
        }
    }

    /// What it has to come up to is where the stream is now, if it has come up to what that was.
    pub(crate) fn remark(&mut self, head: u64) {
        if self.next >= self.mark.1 {
            self.mark = (Instant::now(), head);
        }
    }

    /// Whether it is a person's that does not keep up.
    pub(crate) fn is_late(&mut self, head: u64) -> bool {
        self.remark(head);
        let late = self.mark.0.elapsed() > BEHIND && head.saturating_sub(self.next) > BEHIND_BYTES;
        self.interactive && late
    }

    /// Where it goes on when it cannot be given everything: a person sees the screen as it is, or the last of what has
    /// no screen.
    pub(crate) fn present(&mut self, output: &Output, at_least: u64) -> u64 {
        let head = output.served();
        self.redraw = self.interactive && output.screen.is_some();
        match (self.interactive, self.redraw) {
            (false, _) => at_least,
            (true, true) => head,
            (true, false) => at_least.max(head.saturating_sub(RESYNC)),
        }
    }

    pub(crate) fn skip_to(&mut self, next: u64, head: u64) {
        self.next = next;
        self.limit = self.limit.max(next.saturating_add(self.window));
        self.mark = (Instant::now(), head);
        self.wait(next);
    }
}

#[cfg(test)]
mod tests {
    use session_protocol::ProcessId;

    use super::*;

    #[test]
    fn what_is_drawn_for_a_client_is_shown_before_its_terminal_is_written_to() {
        let (_master, slave) = session_sys::pty::open(24, 80).unwrap();
        let (_client, socket) = session_sys::socket::pair().unwrap();
        let stream = StreamId::new(ProcessId::MAIN, session_protocol::Channel::Pty);
        let mut attachment = Attachment::new(stream, 0, 1 << 20, 0);
        attachment.lend(&slave).unwrap();
        let shows = |attachment: &mut Attachment, offset| {
            attachment.next = offset;
            attachment.credit(offset);
            let lent = attachment.lent.as_mut();
            lent.map(|lent| lent.show(offset, [b"x", b""], &socket))
        };
        assert_eq!(shows(&mut attachment, 5), Some(1));
        attachment.skip_to(9, 9);
        assert_eq!(shows(&mut attachment, 9), Some(0));
        assert_eq!(shows(&mut attachment, 10), Some(1));
    }
}
