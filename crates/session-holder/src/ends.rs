//! How processes end: children are reaped, their last output is taken, and what they held is let go.

use session_protocol::{Exit, ProcessId, Signal, Timestamp};
use session_sys::process::Reaped;

use crate::holder::Holder;
use crate::supervision::Event;

/// Bytes still read from a dead main process's terminal; what its orphans add meanwhile has to end somewhere.
const LAST_WORDS: usize = 64;

impl Holder {
    pub(crate) fn take_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.next() {
            if signal == Signal::TERM.number() {
                self.shutting_down = true;
                self.happened(Event::Shutdown);
            } else if signal == Signal::USR1.number() {
                self.listen_again();
            }
        }
        self.reap();
    }

    /// Collects every child that has ended, ours and those that were orphaned to us.
    pub(crate) fn reap(&mut self) {
        loop {
            match session_sys::process::reap() {
                Ok(Reaped::One { pid, code, signal }) => {
                    let exit = Exit {
                        code,
                        signal: signal.and_then(Signal::new),
                        at: Timestamp::now(),
                    };
                    self.child_ended(pid, exit);
                }
                // What was adopted is not ours to reap: it is over when it is proven to be.
                Ok(Reaped::NoChildren) if self.has_adopted() => return,
                Ok(Reaped::NoChildren) => {
                    if !self.childless {
                        self.childless = true;
                        self.happened(Event::Empty);
                    }
                    return;
                }
                Ok(Reaped::Alive) | Err(_) => return,
            }
        }
    }

    pub(crate) fn child_ended(&mut self, pid: i32, exit: Exit) {
        let Some(id) = self
            .processes
            .values()
            .find(|process| process.pid() == Some(pid))
            .map(|process| process.id)
        else {
            return;
        };
        // It may have ended before its report was read: the report says whether it ever ran.
        self.take_report(id);
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        // A start that failed may have been followed by another at once: that is not the one that ended.
        let Some(run) = process.run.as_ref().filter(|run| run.pid == pid) else {
            return;
        };
        let lived = run.since.elapsed();
        process.exit = Some(exit);
        self.drain(id);
        self.close_run(id);
        if id == ProcessId::MAIN {
            self.facts.exit = Some(exit);
            self.happened(Event::MainExited {
                exit,
                lived,
                now: self.origin.elapsed(),
            });
        } else {
            self.end_outputs(id);
            self.forget_ended();
            self.save();
        }
        self.unpark_run(id);
    }

    /// A process has ended, and what became of it is written down.
    fn unpark_run(&mut self, id: ProcessId) {
        // Another may run in its place already.
        if !self.runs(id) {
            self.parking.unpark(crate::parking::run_key(id));
            self.park_again(id);
        }
    }

    /// Takes what a dead process had still written. `read` flushes the terminal's work queue before it says
    /// EAGAIN, so nothing of it is left behind then.
    fn drain(&mut self, id: ProcessId) {
        let numbers: Vec<u64> = self
            .sources
            .iter()
            .filter(|(_, source)| source.stream.process() == id)
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            for _ in 0..LAST_WORDS {
                if !self.take_output(number) {
                    break;
                }
            }
        }
        self.processes
            .get_mut(&id)
            .into_iter()
            .for_each(|it| it.journal());
    }

    /// Lets go of a dead process's descriptors. Its pipes stay until end of file: what it left behind may
    /// still write to them, and the log keeps it.
    pub(crate) fn close_run(&mut self, id: ProcessId) {
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        let pty = process.is_pty();
        if let Some(run) = process.run.take() {
            let pidfd = (!run.is_child).then_some(&run.pidfd);
            for fd in run.report.iter().chain(&run.input).chain(pidfd) {
                let _ = rustix::event::epoll::delete(&self.epoll, fd);
            }
        }
        if pty {
            self.sources.retain(|_, source| {
                let keep = source.stream.process() != id;
                if !keep {
                    let _ = rustix::event::epoll::delete(&self.epoll, &source.fd);
                }
                keep
            });
        }
        self.forget_typed(id);
    }
}
