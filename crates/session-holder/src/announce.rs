//! What becomes known of a change: on record, in `live`, to those who wait and to those who watch.

use std::io::{self, Write as _};

use session_protocol::{Code, Error, Notice, ProcessId, Timestamp};
use session_store::LastState;

use crate::holder::{Holder, Until};
use crate::supervision::{Refusal, Rest, State};

/// So many notes are kept, the newest.
const NOTES: usize = 16;

impl Holder {
    /// The main process ended for good: the record says so, and then the clients are told.
    pub(crate) fn finish(&mut self) {
        let state = match self.supervision.state() {
            State::Down(Rest::NotStarted) => LastState::NotStarted,
            State::Down(Rest::Stopped) => LastState::Stopped,
            State::Down(Rest::Failed) => LastState::Failed,
            _ => LastState::Exited,
        };
        let mut record = self.owned.record().clone();
        record.last.state = state;
        record.last.exit = self.facts.exit;
        record.last.restarts = self.supervision.restarts();
        record.last.started_at = self.facts.started_at.or(record.last.started_at);
        record.last.notes = self.status().notes;
        if let (Some(_), Some(before)) = (&self.start_error, self.before_start.take()) {
            // A verb that failed has not happened.
            record.last = before;
            self.undone = true;
            self.facts.exit = None;
        }
        if let Err(error) = self.owned.write_record(record) {
            self.note(format!("the end is not on record: {error}"));
        }
        // Whoever is told that it ended finds it so.
        self.publish();
        self.end_outputs(ProcessId::MAIN);
    }

    /// Clients get what is there, then the end of the stream, then the notice.
    pub(crate) fn end_outputs(&mut self, id: ProcessId) {
        if let Some(process) = self.processes.get_mut(&id) {
            for output in &mut process.outputs {
                output.ended = Some(output.head());
            }
        }
        self.pump_process(id);
    }

    /// Brings everything that shows the state up to date, and answers who waited for it.
    pub(crate) fn settle(&mut self) {
        // Before anyone is answered, who may look there.
        self.show_in_sess(&self.status());
        match self.supervision.state() {
            State::Running | State::Suspended | State::Beheaded { .. } => {
                self.before_start = None;
                self.answer(Until::Up, false);
            }
            State::Down(_) => {
                self.answer(Until::Up, true);
                self.answer(Until::Down, false);
            }
            _ => {}
        }
        self.publish();
    }

    /// Answers the waiters for `until`, with an error if it came to nothing.
    pub(crate) fn answer(&mut self, until: Until, failed: bool) {
        let outcome = if !failed {
            Ok(serde_json::to_value(self.status()).unwrap_or_default())
        } else if until == Until::Up {
            Err(self
                .start_error
                .clone()
                .unwrap_or_else(|| self.refuse(Refusal::NotRunning)))
        } else {
            let why = format!("not ended, although killed: {}", self.living_named());
            Err(Error::new(Code::NotEmpty, why))
        };
        let (answered, waiting) = std::mem::take(&mut self.waiters)
            .into_iter()
            .partition(|waiter| waiter.until == until);
        self.waiters = waiting;
        for waiter in answered {
            self.respond(waiter.connection, waiter.id, outcome.clone());
        }
    }

    /// Rewrites `live` and tells subscribers.
    pub(crate) fn publish(&mut self) {
        let status = self.status();
        self.diagnose(status.state.word());
        let live = self.live(status.clone());
        if let Err(error) = self.owned.write_live(&live) {
            self.note(format!("`ls` shows old news: {error}"));
        }
        self.show_in_sess(&status);
        self.save();
        let notice = Notice::Changed(status);
        let subscribers: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, c)| c.subscribed)
            .map(|(number, _)| *number)
            .collect();
        for number in subscribers {
            self.tell(number, &notice);
        }
    }

    /// Something a person should know; each is kept once.
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.diagnose(&note);
            if self.notes.len() == NOTES {
                self.notes.remove(0);
            }
            self.notes.push(note);
        }
    }

    /// A line for `SESSION_LOG`.
    pub(crate) fn diagnose(&self, what: &str) {
        if self.diagnostics {
            // A full disk is no reason to panic.
            let name = &self.owned.record().name;
            let _ = writeln!(io::stderr(), "{} {name} {what}", Timestamp::now());
        }
    }
}
