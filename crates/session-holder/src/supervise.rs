//! The main process, carried out: the actions of the state table become system calls, and what the kernel says
//! becomes events.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use session_protocol::{Code, Desired, Error, Exit, ProcessId, Size, Stdio, Timestamp};
use session_store::{LastState, Record, Restart, SizeRule};
use session_sys::identity::Identity;

use crate::budget::Limits;
use crate::given::Given;
use crate::holder::{Holder, Source, Until};
use crate::output::Output;
use crate::process::{self, Process, Run};
use crate::program::{self, Launch};
use crate::ring::Ring;
use crate::supervision::{Action, Event, Policy, Refusal, Rest, Rules, State, Supervision};
use crate::token::Token;

/// Processes that outlive SIGKILL for so long are reported, not waited for.
const STUCK: Duration = Duration::from_secs(5);
/// The state of a session that nobody holds.
pub(crate) fn rest(record: &Record) -> Rest {
    match record.last.state {
        LastState::NotStarted => Rest::NotStarted,
        LastState::Stopped => Rest::Stopped,
        LastState::Failed => Rest::Failed,
        LastState::Up | LastState::Exited => Rest::Exited,
    }
}

impl Holder {
    pub(crate) fn rules(&self) -> Rules {
        // These apply at once when they are set; what the process was started with does not.
        let spec = &self.owned.record().spec;
        Rules {
            policy: match spec.restart {
                Restart::Always => Policy::Always,
                Restart::OnFailure => Policy::OnFailure,
                Restart::No => Policy::No,
            },
            limits: Limits {
                delay: spec.restart_delay,
                max_delay: spec.restart_max_delay,
                count: spec.restart_limit.count,
                window: spec.restart_limit.window,
            },
            stop_timeout: spec.stop_timeout,
        }
    }

    /// Takes an event through the table. A verb is refused if it does not fit, or cannot be made durable.
    pub(crate) fn apply(&mut self, event: Event) -> Result<(), Error> {
        let before: Supervision = self.supervision.clone();
        let actions = self
            .supervision
            .on(event, &self.rules())
            .map_err(|refusal| self.refuse(refusal))?;
        for (index, action) in actions.into_iter().enumerate() {
            let done = self.act(action);
            match (action, done) {
                (Action::Desire(_) | Action::Freeze, Err(error))
                    if index == 0 && event.is_verb() =>
                {
                    self.supervision = before;
                    return Err(error);
                }
                (_, Err(error)) => self.note(error.message),
                (_, Ok(())) => {}
            }
        }
        if event == Event::Empty || event == Event::Stuck {
            self.answer(Until::Down, event == Event::Stuck);
        }
        self.settle();
        let asked = event.is_verb() || event == Event::Shutdown;
        if asked && matches!(self.supervision.state(), State::Ending { .. }) {
            // Perhaps nothing is left already: then no signal would come to say so.
            self.childless = false;
            self.reap();
        }
        Ok(())
    }

    /// As [`Holder::apply`], for what no verb asked for: there is nobody to refuse.
    pub(crate) fn happened(&mut self, event: Event) {
        if let Err(error) = self.apply(event) {
            self.note(error.message);
        }
    }

    pub(crate) fn refuse(&self, refusal: Refusal) -> Error {
        let code = match refusal {
            Refusal::Running => Code::Running,
            Refusal::NotRunning => Code::NotRunning,
        };
        if let State::Ending { .. } = self.supervision.state() {
            let name = &self.owned.record().name;
            return Error::new(code, format!("Session '{name}' is being stopped."));
        }
        Error::new(code, self.status().sentence())
    }

    fn act(&mut self, action: Action) -> Result<(), Error> {
        match action {
            Action::Spawn => self.spawn_main(),
            Action::Signal => self.ask_to_end(),
            Action::Kill => self.kill_all(),
            Action::Freeze => return self.freeze(),
            Action::Thaw => self.thaw(),
            Action::Arm(delay) => {
                self.timers.supervision = Some(Instant::now() + delay);
                let retry = self.supervision.state() == State::Backoff;
                self.facts.retry_boottime_ms = retry.then(|| {
                    session_sys::process::boottime_ms().saturating_add(delay.as_millis() as u64)
                });
            }
            Action::Disarm => {
                self.timers.supervision = None;
                self.facts.retry_boottime_ms = None;
                self.killing = None;
            }
            Action::Desire(desired) => return self.desire(desired),
            Action::Finish => self.finish(),
        }
        Ok(())
    }

    /// Writes what is wanted, unless the record says so already.
    fn desire(&mut self, desired: Desired) -> Result<(), Error> {
        let record = self.owned.record();
        let up = desired == Desired::Up;
        if record.desired == desired && (!up || record.last.state == LastState::Up) {
            return Ok(());
        }
        let mut record = record.clone();
        record.desired = desired;
        if up {
            (self.deleting, self.shutting_down) = (false, false);
            self.before_start = Some(record.last.clone());
            record.last.state = LastState::Up;
        }
        match self.owned.write_record(record) {
            Err(_) if self.deleting && !up => Ok(()),
            written => written.map_err(|error| Error::new(Code::Io, error.to_string())),
        }
    }

    /// Starts the main process. A failure becomes an event, as it does when it shows only later.
    pub(crate) fn spawn_main(&mut self) {
        self.facts.retry_boottime_ms = None;
        self.timers.supervision = None;
        self.start_error = None;
        self.undone = false;
        // Who finds a process finds that it was being started.
        self.save();
        if let Err(error) = self.try_spawn_main() {
            self.spawn_failed(error);
        }
    }

    fn spawn_failed(&mut self, error: Error) {
        // 127 and 126 are what a shell says of a command that it cannot find or execute.
        let missing = error.code == Code::NotExecutable
            && error.message.ends_with("No such file or directory");
        let code = if missing { 127 } else { 126 };
        let exit = Exit {
            code: Some(code),
            signal: None,
            at: Timestamp::now(),
        };
        self.facts.exit = Some(exit);
        // What never executed its command was not started.
        self.facts.started_at = None;
        self.diagnose(&error.message);
        self.start_error = Some(error);
        if let State::Starting { before: None, .. } = self.supervision.state() {
            // It goes on trying; whoever asked for this try is told of it.
            self.answer(Until::Up, true);
        }
        self.happened(Event::SpawnFailed {
            exit,
            now: self.origin.elapsed(),
        });
    }

    fn try_spawn_main(&mut self) -> Result<(), Error> {
        self.in_force = self.owned.record().spec.clone();
        let spec = &self.in_force;
        let before = self.processes.get(&ProcessId::MAIN).map(|main| main.size);
        let size = match spec.size {
            SizeRule::Fixed(size) => size,
            _ => before.unwrap_or(self.first_size),
        };
        let stdio = if spec.pty {
            Stdio::Pty(size)
        } else {
            Stdio::Pipes
        };
        let record = self.owned.record();
        let agent = self.owned.session().agent();
        let env = program::environment(spec, &record.id, &record.name, spec.pty, agent);
        let launch = Launch {
            executable: Path::new(spec.executable.as_os_str()),
            command: &spec.command,
            env: &env,
            directory: Path::new(spec.directory.as_os_str()),
            umask: self.umask,
            inherited: &self.limits,
            limits: &spec.limits,
        };
        let (ends, theirs) = process::ends(stdio)?;
        let rings = self.park_main(stdio, &ends)?;
        let mut renewed_group = false;
        if let Some(group) = self.group.as_ref().filter(|group| !group.is_fresh())
            && let Ok(renewed) = group.renewed()
        {
            self.group = Some(renewed);
            renewed_group = true;
        }
        self.facts.unenforced = crate::limits::apply(self.group.as_ref(), &spec.limits);
        // Also a child that never gets past its gate has to be collected before the group is removed.
        self.childless = false;
        let (owned, boot_id, parking) = (&self.owned, self.boot_id, &self.parking);
        let mut known = None;
        let (started, in_cgroup) = process::start(&launch, theirs, self.group.as_ref(), |gated| {
            let identity = process::identity(boot_id, gated.pid())?;
            owned
                .write_identity(&identity)
                .map_err(|error| Error::new(Code::Io, error.to_string()))?;
            // Who adopts waits for what is at its gate; what the keeper does not take is ended instead.
            let _ = parking.park_run(
                ProcessId::MAIN,
                &identity,
                gated.as_fd(),
                Some(gated.report()),
                None,
            );
            known = Some(identity);
            Ok(())
        })?;
        if !in_cgroup {
            self.leave_group();
        }
        // Its log is opened while it already executes. What fails from here on must not leave it behind.
        let pidfd = started.pidfd.try_clone();
        if renewed_group {
            self.watch_group();
        }
        let connected = self.connect_main((stdio, size), started, ends, rings, known);
        if let (Err(_), Ok(pidfd)) = (&connected, pidfd) {
            process::abort(&pidfd);
        }
        connected
    }

    /// Leaves with the keeper what the main process is about to be connected to. The rings, where it needs new ones.
    fn park_main(&self, stdio: Stdio, ends: &process::Ends) -> Result<Option<Vec<Ring>>, Error> {
        let main = self.processes.get(&ProcessId::MAIN);
        let kept = main.filter(|main| main.outputs.len() == process::channels(stdio).len());
        let new = match kept {
            Some(_) => None,
            None => Some(process::rings(stdio)?),
        };
        let channels = process::channels(stdio).iter().copied();
        let rings: Vec<_> = match (&new, kept) {
            (Some(new), _) => channels.zip(new).collect(),
            (None, kept) => kept
                .iter()
                .flat_map(|main| &main.outputs)
                .map(Output::parked)
                .collect(),
        };
        // Without a keeper it runs all the same, and `status` says so.
        let _ = self.parking.park_ends(ProcessId::MAIN, ends, &rings);
        Ok(new)
    }

    /// Gives the started main process its streams: those that it had, or new ones.
    fn connect_main(
        &mut self,
        (stdio, size): (Stdio, Size),
        started: session_sys::spawn::Started,
        ends: process::Ends,
        rings: Option<Vec<Ring>>,
        identity: Option<Identity>,
    ) -> Result<(), Error> {
        let command = self.in_force.command.clone();
        let paths = (
            self.in_force.executable.as_os_str().to_owned().into(),
            self.in_force.directory.as_os_str().to_owned().into(),
        );
        let log_limit = self.in_force.log_limit;
        let mut last = self.processes.remove(&ProcessId::MAIN);
        last.iter_mut().for_each(|it| it.journal());
        let kept = last.filter(|_| rings.is_none());
        let mut main = match kept {
            Some(main) => main,
            None => {
                self.drop_streams(ProcessId::MAIN);
                Box::new(Process {
                    id: ProcessId::MAIN,
                    command: Vec::new(),
                    run: None,
                    exit: None,
                    outputs: process::outputs(
                        self.owned.session().directory_fd(),
                        ProcessId::MAIN,
                        stdio,
                        log_limit,
                        rings.map_or_else(|| process::rings(stdio), Ok)?,
                    )?,
                    size,
                    answerer: None,
                    paths: Default::default(),
                    given: Given::default(),
                    token: None,
                })
            }
        };
        main.command = command;
        main.paths = paths;
        main.size = size;
        let (directory, name) = (self.owned.session().directory_fd(), main.directory());
        for output in &mut main.outputs {
            output.begin_run();
            output.resized((directory, &name), size);
            output.set_limit(log_limit);
        }
        self.facts.started_at = Some(Timestamp::now());
        self.facts.started_boottime_ms = Some(session_sys::process::boottime_ms());
        self.processes.insert(ProcessId::MAIN, main);
        self.run_process(ProcessId::MAIN, started, ends, identity)
            .map_err(|error| {
                Error::new(
                    Code::Limit,
                    format!("cannot watch the new process: {error}"),
                )
            })
    }

    /// Connects a started process to the loop; if that fails, the process is ended.
    pub(crate) fn run_process(
        &mut self,
        id: ProcessId,
        started: session_sys::spawn::Started,
        ends: process::Ends,
        identity: Option<Identity>,
    ) -> io::Result<()> {
        let pidfd = started.pidfd.try_clone()?;
        self.try_run_process(id, started, ends, identity)
            .inspect_err(|_| process::abort(&pidfd))
    }

    fn try_run_process(
        &mut self,
        id: ProcessId,
        started: session_sys::spawn::Started,
        ends: process::Ends,
        identity: Option<Identity>,
    ) -> io::Result<()> {
        self.watch(&started.report, Token::Report(id), EventFlags::IN)?;
        let streams: Vec<_> = self
            .processes
            .get(&id)
            .map(|process| process.outputs.iter().map(|output| output.stream).collect())
            .unwrap_or_default();
        for (fd, stream) in ends.sources.into_iter().zip(streams) {
            let number = self.number();
            self.watch(&fd, Token::Source(number), EventFlags::IN)?;
            self.sources.insert(
                number,
                Source {
                    fd,
                    stream,
                    paused: false,
                },
            );
        }
        if let Some(process) = self.processes.get_mut(&id) {
            process.exit = None;
            process.run = Some(Run {
                pid: started.pid,
                identity,
                pidfd: started.pidfd,
                is_child: true,
                report: Some(started.report),
                input: Some(ends.input),
                closing: false,
                input_watched: false,
                unreaped: None,
                slave: ends.slave,
                since: Instant::now(),
            });
        }
        Ok(())
    }

    /// Whether a process executed its command has become known.
    pub(crate) fn take_report(&mut self, id: ProcessId) {
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        let paths = &process.paths;
        let Some(run) = process.run.as_mut() else {
            return;
        };
        let Some(report) = run.report.as_ref() else {
            return;
        };
        let failure = match process::report(report, paths) {
            Ok(failure) => failure,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => Some(Error::new(
                Code::Limit,
                format!("cannot start the process: {error}"),
            )),
        };
        if let Some(report) = run.report.take() {
            let _ = rustix::event::epoll::delete(&self.epoll, &report);
        }
        if let (None, Some(pid)) = (&failure, self.processes.get(&id).and_then(|it| it.pid())) {
            // Rather it than us. One that changed its user is not ours to tell so.
            let _ = session_sys::process::end_sooner(pid);
        }
        match (failure, id) {
            (None, ProcessId::MAIN) => self.happened(Event::Executed),
            (None, _) => self.spawned(id, Ok(())),
            // The child is dying; it is forgotten here, so that its end is not taken for an exit.
            (Some(error), ProcessId::MAIN) => {
                self.close_run(id);
                self.spawn_failed(error);
            }
            (Some(error), _) => {
                self.close_run(id);
                self.spawned(id, Err(error));
            }
        }
    }

    pub(crate) fn on_timer(&mut self) {
        let stuck = self.killing.is_some_and(|since| since.elapsed() > STUCK);
        if !stuck {
            self.happened(Event::Timer);
            if self.adopted {
                // The end of what is not ours to reap is looked for.
                self.look_after_all();
            }
            return;
        }
        let left = self.living_named();
        self.note(format!("not ended, although killed: {left}"));
        self.happened(Event::Stuck);
    }
}
