//! What the holder says of its session: `session.status`, the `live` file, and the record when it ends.

use std::time::Instant;

use session_protocol::{Code, Error, ProcessId, State as Word, Status};
use session_store::{Live, Record};

use crate::holder::Holder;
use crate::supervision::{Rest, State};

impl Holder {
    /// The session at this moment.
    pub(crate) fn status(&self) -> Status {
        let record = self.owned.record();
        let pid = self
            .processes
            .get(&ProcessId::MAIN)
            .and_then(|main| main.pid());
        let state = match self.supervision.state() {
            State::Starting { .. } | State::Running | State::Ending { .. } => Word::Running,
            State::Suspended | State::Down(Rest::NotStarted) => Word::Suspended,
            State::Backoff | State::Beheaded { .. } => Word::Backoff,
            State::Down(Rest::Stopped) => Word::Stopped,
            State::Down(Rest::Exited) => Word::Exited,
            State::Down(Rest::Failed) => Word::Failed,
        };
        let now = session_sys::process::boottime_ms();
        let mut notes = self.notes.clone();
        for output in self.processes.values().flat_map(|process| &process.outputs) {
            if output.lost() > 0 {
                notes.push(format!(
                    "{} bytes of output are not in the log: the disk took no more",
                    output.lost()
                ));
            }
        }
        if let Some(error) = &self.start_error
            && !self.undone
            && !notes.contains(&error.message)
        {
            notes.push(error.message.clone());
        }
        Status {
            name: record.name.to_string(),
            id: record.id.to_string(),
            scope: self.owned.status().scope,
            state,
            desired: record.desired,
            pid,
            command: record.spec.command.clone(),
            directory: record.spec.directory.clone(),
            created_at: record.created_at,
            started_at: self.facts.started_at.or(record.last.started_at),
            restarts: self.supervision.restarts(),
            exit: self.facts.exit.or(record.last.exit),
            clients: self.clients(),
            uptime_ms: pid
                .and(self.facts.started_boottime_ms)
                .map(|since| now.saturating_sub(since)),
            retry_ms: self
                .facts
                .retry_boottime_ms
                .map(|then| then.saturating_sub(now)),
            changed: if pid.is_some() {
                record.spec.differences(&self.in_force)
            } else {
                Vec::new()
            },
            unenforced: self.facts.unenforced.clone(),
            unwatched: false,
            notes,
            size: self
                .processes
                .get(&ProcessId::MAIN)
                .and_then(|it| it.terminal_size()),
        }
    }

    /// The same, for the file that `ls` reads.
    pub(crate) fn live(&self, status: Status) -> Live {
        Live {
            status,
            holder: rustix::process::getpid().as_raw_nonzero().get(),
            boot_id: self.boot_id,
            started_boottime_ms: self.facts.started_boottime_ms,
            retry_boottime_ms: self.facts.retry_boottime_ms,
            cgroup: self
                .group
                .as_ref()
                .map(|group| group.path().as_os_str().to_owned().into()),
            last_size: self
                .processes
                .get(&ProcessId::MAIN)
                .filter(|main| main.is_pty())
                .map(|main| main.size),
            umask: Some(self.umask),
            limits: crate::handover::written(&self.limits),
            truncated: false,
        }
    }

    /// People attached to any process.
    fn clients(&self) -> u32 {
        let connections = self.connections.values();
        let attached = connections.filter(|connection| {
            let mut attachments = connection.attachments.iter();
            attachments.any(|attachment| attachment.interactive)
        });
        attached.count() as u32
    }

    /// Changes the record; `change` says whether it did anything.
    pub(crate) fn rewrite(
        &mut self,
        change: impl FnOnce(&mut Record) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut record = self.owned.record().clone();
        if !change(&mut record)? {
            return Ok(());
        }
        self.owned
            .write_record(record)
            .map_err(|error| Error::new(Code::Io, error.to_string()))
    }

    /// Milliseconds since `then`.
    pub(crate) fn quiet_ms(then: Instant) -> u64 {
        then.elapsed().as_millis() as u64
    }
}
