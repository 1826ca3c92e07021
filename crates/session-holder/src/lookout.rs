//! Who waits for a text or for silence (`session.wait`): output is searched here, behind everything else.
//!
//! Bytes go to the clients and into the log first; then, at the end of a turn of the loop, those who wait look at what
//! they have not seen. A turn looks at a bounded part, so a long log holds up nobody; while there is more, the
//! loop does not sleep. A caller that hangs up waits no longer, so deadlines are its own affair. Nothing here costs
//! anything while nobody waits.

use std::time::{Duration, Instant};

use serde_json::Value;
use session_protocol::{Channel, Code, Error, Found, ProcessId, Quiet, StreamId, Wait};
use session_terminal::{Pattern, Search};

use crate::given::Given;
use crate::holder::Holder;
use crate::output::{Output, Piece};
use crate::process::Process;
use crate::supervision::{Rest, State};

/// Bytes looked at in one turn of the loop, by all together, …
const TURN: usize = 128 << 10;
/// … and by one before it is the next one's turn.
const PIECE: usize = 64 << 10;
/// So many may wait.
const MOST: usize = 512;

/// One call that waits.
pub(crate) struct Lookout {
    pub(crate) connection: u64,
    id: Option<Value>,
    process: ProcessId,
    /// Only what there is already counts.
    now: bool,
    sought: Sought,
}

enum Sought {
    Text(Text),
    Silence(Duration),
}

struct Text {
    pattern: Pattern,
    since: Option<u64>,
    tracks: Vec<Track>,
}

/// One stream being searched.
struct Track {
    channel: Channel,
    next: u64,
    search: Search,
}

/// What a look came to.
enum Look {
    Done(Result<Value, Error>),
    /// It has seen everything there is.
    Waits,
    /// There is more to be looked at.
    Behind,
}

impl Holder {
    /// A call begins to wait.
    pub(crate) fn look_for(
        &mut self,
        number: u64,
        id: Option<Value>,
        wait: &Wait,
    ) -> Result<(), Error> {
        let usage = |why: String| Error::new(Code::Usage, why);
        let sought = match (&wait.text, wait.idle) {
            (Some(text), None) => Sought::Text(Text {
                pattern: Pattern::new(text).map_err(usage)?,
                since: wait.since,
                tracks: Vec::new(),
            }),
            (None, Some(idle)) => Sought::Silence(Duration::from_millis(idle)),
            _ => return Err(usage("wait for either `text` or `idle`".to_owned())),
        };
        if !self.processes.contains_key(&wait.process) && wait.process != ProcessId::MAIN {
            let why = format!("no process {} in this session", wait.process.0);
            return Err(Error::new(Code::NotFound, why));
        }
        if self.lookouts.len() >= MOST {
            let why = format!("{MOST} others wait already");
            return Err(Error::new(Code::Limit, why));
        }
        self.lookouts.push_back(Lookout {
            connection: number,
            id,
            process: wait.process,
            now: wait.now,
            sought,
        });
        Ok(())
    }

    /// Whether somebody has not looked at everything there is.
    pub(crate) fn is_searching(&self) -> bool {
        self.lookouts.iter().any(|lookout| match &lookout.sought {
            Sought::Silence(_) => false,
            Sought::Text(text) => {
                let process = self.processes.get(&lookout.process);
                let outputs = process.map_or(&[][..], |process| &process.outputs);
                outputs.iter().any(|output| text.is_behind(output))
            }
        })
    }

    /// Lets everyone who waits look at what has come, and answers those who found it.
    pub(crate) fn look_out(&mut self) {
        self.timers.silence = None;
        let mut budget = TURN;
        let mut looked = 0;
        while looked < self.lookouts.len()
            && let Some(mut lookout) = self.lookouts.pop_front()
        {
            match self.look(&mut lookout, &mut budget) {
                Look::Done(outcome) => {
                    // What it took in memory is given back.
                    self.not_quiet();
                    self.respond(lookout.connection, lookout.id, outcome);
                    continue;
                }
                Look::Waits => looked += 1,
                Look::Behind if budget == 0 => looked = self.lookouts.len() + 1,
                Look::Behind => looked = 0,
            }
            self.lookouts.push_back(lookout);
        }
    }

    fn look(&mut self, lookout: &mut Lookout, budget: &mut usize) -> Look {
        let look = match &mut lookout.sought {
            Sought::Text(text) => self.look_for_text(lookout.process, text, budget),
            Sought::Silence(span) => self.look_for_silence(lookout.process, *span),
        };
        match look {
            Look::Waits if lookout.now => Look::Done(Ok(Value::Null)),
            look => look,
        }
    }

    fn look_for_text(&mut self, id: ProcessId, text: &mut Text, budget: &mut usize) -> Look {
        let over = self.is_over(id);
        let directory = self.owned.session().directory_fd();
        let Some(process) = self.processes.get_mut(&id) else {
            return Look::Done(Err(self.never(id)));
        };
        let name = process.directory();
        let Process { outputs, given, .. } = &mut **process;
        text.follow(outputs, given);
        let mut piece = PIECE.min(*budget);
        let mut buffer = Vec::new();
        let Text {
            pattern, tracks, ..
        } = text;
        for Track {
            channel,
            next,
            search,
        } in tracks
        {
            let stream = StreamId::new(id, *channel);
            let Some(output) = outputs.iter_mut().find(|it| it.stream == stream) else {
                continue;
            };
            search.learn(&given.typed);
            let mut found = None;
            while found.is_none() && *next < output.served() {
                if piece == 0 {
                    return Look::Behind;
                }
                let most = piece.min((output.served() - *next) as usize);
                let at = *next;
                let mut take = |bytes: &[u8]| {
                    let found = search.feed(pattern, *next, bytes);
                    *next += bytes.len() as u64;
                    piece -= bytes.len();
                    *budget -= bytes.len();
                    found
                };
                found = match output.piece(directory, &name, at, most, &mut buffer) {
                    Piece::Ring([first, second]) => take(first).or_else(|| take(second)),
                    Piece::Log(len) => take(&buffer[..len]),
                    Piece::Gap(to) => {
                        *next = to;
                        search.cut(pattern)
                    }
                    Piece::End => break,
                };
            }
            let found = found.or_else(|| search.unfinished(pattern));
            let found = found.or_else(|| over.then(|| search.cut(pattern)).flatten());
            if let Some(found) = found {
                // Who is told of a line looks for it in the log next.
                output.journal();
                let found = Found {
                    stream: *channel,
                    offset: found.offset,
                    line: found.line,
                };
                return Look::Done(Ok(serde_json::to_value(found).unwrap_or_default()));
            }
        }
        match over {
            true => Look::Done(Err(self.never(id))),
            false => Look::Waits,
        }
    }

    fn look_for_silence(&mut self, id: ProcessId, span: Duration) -> Look {
        let over = self.is_over(id);
        let not_started = matches!(self.supervision.state(), State::Down(Rest::NotStarted));
        let Some(process) = self.processes.get(&id).filter(|_| !over || !not_started) else {
            let why = self.status().sentence();
            return Look::Done(Err(Error::new(Code::NotRunning, why)));
        };
        // Who has just been given something, or started, has not had its say yet.
        let said = process.outputs.iter().map(Output::last);
        let started = process.run.as_ref().map(|run| run.since);
        let last = said.chain(process.given.last).chain(started).max();
        let now = Instant::now();
        let quiet = last.map_or(span, |last| now.saturating_duration_since(last));
        if over || quiet >= span {
            let quiet_ms = u64::try_from(quiet.as_millis()).unwrap_or(u64::MAX);
            let quiet = serde_json::to_value(Quiet { quiet_ms });
            return Look::Done(Ok(quiet.unwrap_or_default()));
        }
        // A span beyond all time never comes.
        if let Some(due) = now.checked_add(span - quiet) {
            let timer = &mut self.timers.silence;
            *timer = Some(timer.map_or(due, |set| set.min(due)));
        }
        Look::Waits
    }

    /// Whether it says nothing any more.
    fn is_over(&self, id: ProcessId) -> bool {
        match id {
            ProcessId::MAIN => matches!(self.supervision.state(), State::Down(_)),
            id => self
                .processes
                .get(&id)
                .is_none_or(|process| process.exit.is_some() && process.run.is_none()),
        }
    }

    fn never(&self, id: ProcessId) -> Error {
        let name = &self.owned.record().name;
        let why = match id {
            ProcessId::MAIN => format!("session '{name}' ended without a line that matches"),
            id => format!("process {} ended without a line that matches", id.0),
        };
        Error::new(Code::NotRunning, why)
    }
}

impl Text {
    /// One track a stream. A restart may bring other streams: those are searched from their start on, for `since` is no
    /// offset in them.
    fn follow(&mut self, outputs: &[Output], given: &Given) {
        let channels = outputs.iter().map(|output| output.stream.channel());
        if channels.eq(self.tracks.iter().map(|track| track.channel)) {
            return;
        }
        let since = self.since.filter(|_| self.tracks.is_empty());
        let begin = |output: &Output, index: usize| {
            match since {
                Some(since) if index > 0 => given.beside(since),
                since => since,
            }
            .unwrap_or(output.begun)
        };
        let track = |(index, output): (usize, &Output)| {
            let (channel, begin) = (output.stream.channel(), begin(output, index));
            let search = match self.since {
                Some(_) if channel == Channel::Pty => Search::past_echoes(begin, &given.typed),
                _ => Search::new(begin),
            };
            Track {
                channel,
                next: search.begin(),
                search,
            }
        };
        self.tracks = outputs.iter().enumerate().map(track).collect();
    }

    fn is_behind(&self, output: &Output) -> bool {
        let channel = output.stream.channel();
        let track = self.tracks.iter().find(|track| track.channel == channel);
        track.is_none_or(|track| track.next < output.served())
    }
}
