//! What a session is doing, as the holder knows it and as every command shows it.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::{ByteString, Signal, Size};

/// A moment of wall-clock time, RFC 3339 in JSON. For showing only: timers never use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub jiff::Timestamp);

impl Timestamp {
    /// This moment, to the millisecond.
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self::from_millis(since.as_millis() as i64)
    }

    /// The moment `millis` milliseconds after 1970-01-01T00:00:00Z.
    pub fn from_millis(millis: i64) -> Self {
        Self(jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn millis(self) -> i64 {
        self.0.as_millisecond()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the verbs asked for last. Crashes, reboots and kills do not change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    /// The main process is to run.
    Up,
    /// It is not.
    Down,
}

/// Whose sessions these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The caller's own.
    User,
    /// Root's, reached with `-g`.
    Global,
}

/// What is. The words of JSON and of `ls` are those of [`State::word`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The main process lives.
    Running,
    /// Frozen by `suspend` (then there is a pid), or not started yet (then there is none).
    Suspended,
    /// Ended by `stop`.
    Stopped,
    /// The main process ended by itself and is not restarted.
    Exited,
    /// It ended and will be started again after a delay.
    Backoff,
    /// It ended too often in too short a time.
    Failed,
}

impl State {
    /// The word a person sees.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Stopped => "stopped",
            Self::Exited => "exited",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }
}

/// How a process ended. With neither code nor signal nobody saw it: unknown, never guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code, when it exited.
    pub code: Option<i32>,
    /// Signal, when one ended it.
    pub signal: Option<Signal>,
    /// When it was seen.
    pub at: Timestamp,
}

impl Exit {
    /// The code a shell would show: 128+n for signal n, 255 when unknown.
    pub fn shell_code(&self) -> u8 {
        match (self.code, self.signal) {
            (Some(code), _) => code as u8,
            (None, Some(signal)) => 128_u8.saturating_add(signal.number() as u8),
            (None, None) => 255,
        }
    }
}

/// A session at one moment: the object of `ls --json` and `status --json`, and of `session.status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its id, 16 hexadecimal digits.
    pub id: String,
    /// Whose it is.
    pub scope: Scope,
    /// What is.
    pub state: State,
    /// What was asked for.
    pub desired: Desired,
    /// The main process's pid while it lives.
    pub pid: Option<i32>,
    /// Its argument vector.
    pub command: Vec<ByteString>,
    /// Its working directory.
    pub directory: ByteString,
    /// When the session was created.
    pub created_at: Timestamp,
    /// When the main process was last started.
    pub started_at: Option<Timestamp>,
    /// Automatic restarts since the last `start`.
    pub restarts: u32,
    /// How the main process ended last.
    pub exit: Option<Exit>,
    /// Clients attached to any of its processes.
    pub clients: u32,
    /// How long the main process has been alive, in milliseconds.
    #[serde(default)]
    pub uptime_ms: Option<u64>,
    /// Until the next start, in `backoff`, in milliseconds.
    #[serde(default)]
    pub retry_ms: Option<u64>,
    /// Attributes that were set but apply at the next start only.
    #[serde(default)]
    pub changed: Vec<String>,
    /// Limits that nothing on this machine enforces.
    #[serde(default)]
    pub unenforced: Vec<String>,
    /// The main process lives, but its holder was killed: nobody restarts it, attaches to it, or sees its end.
    #[serde(default)]
    pub unwatched: bool,
    /// What a person should know: processes that could not be ended, output that was lost, a start that failed.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The size of the main process's terminal, while it has one.
    #[serde(default)]
    pub size: Option<Size>,
}

impl Status {
    /// The sentence of `session status`, as CLI.md has it.
    pub fn sentence(&self) -> String {
        let name = &self.name;
        match (self.state, self.pid) {
            (State::Running, Some(pid)) => format!("Session '{name}' is running, PID {pid}."),
            (State::Running, None) => format!("Session '{name}' is running."),
            (State::Suspended, Some(pid)) => format!("Session '{name}' is suspended, PID {pid}."),
            (State::Suspended, None) => format!("Session '{name}' is suspended, not started."),
            (State::Stopped, _) => format!("Session '{name}' is stopped."),
            (State::Exited, _) => format!("Session '{name}' {}.", self.ending("exited with code")),
            (State::Backoff, _) => {
                let when = match self.retry_ms {
                    Some(left) => format!("in {} s", left.div_ceil(1000)),
                    // It was suspended when its process was killed.
                    None => "when it is resumed".to_owned(),
                };
                let ending = self.ending("exited with code");
                format!("Session '{name}' {ending}, restarting {when}.")
            }
            (State::Failed, _) => {
                let code = match self.exit {
                    Some(Exit {
                        code: Some(code), ..
                    }) => format!("exit code {code}"),
                    Some(Exit {
                        signal: Some(signal),
                        ..
                    }) => format!("killed by {signal}"),
                    _ => "exit code unknown".to_owned(),
                };
                let times = if self.restarts == 1 {
                    "restart"
                } else {
                    "restarts"
                };
                format!(
                    "Session '{name}' failed after {} {times}, last {code}.",
                    self.restarts
                )
            }
        }
    }

    /// `exited with code 3`, `was killed by SIGKILL`, `exited with code unknown`.
    fn ending(&self, exited: &str) -> String {
        match self.exit {
            Some(Exit {
                code: Some(code), ..
            }) => format!("{exited} {code}"),
            Some(Exit {
                signal: Some(signal),
                ..
            }) => format!("was killed by {signal}"),
            _ => format!("{exited} unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: State, pid: Option<i32>, exit: Option<Exit>) -> Status {
        Status {
            name: "N".into(),
            id: "0123456789abcdef".into(),
            scope: Scope::User,
            state,
            desired: Desired::Up,
            pid,
            command: vec!["true".into()],
            directory: "/".into(),
            created_at: Timestamp::from_millis(0),
            started_at: None,
            restarts: 5,
            exit,
            clients: 0,
            uptime_ms: None,
            retry_ms: Some(3001),
            changed: Vec::new(),
            unenforced: Vec::new(),
            unwatched: false,
            notes: Vec::new(),
            size: None,
        }
    }

    #[test]
    fn sentences_are_those_of_the_contract() {
        let code = |code| {
            Some(Exit {
                code: Some(code),
                signal: None,
                at: Timestamp::from_millis(0),
            })
        };
        let killed = Some(Exit {
            code: None,
            signal: Some(Signal::KILL),
            at: Timestamp::from_millis(0),
        });
        let unseen = Some(Exit {
            code: None,
            signal: None,
            at: Timestamp::from_millis(0),
        });
        for (state, pid, exit, sentence) in [
            (
                State::Running,
                Some(46882),
                None,
                "Session 'N' is running, PID 46882.",
            ),
            (
                State::Suspended,
                Some(7),
                None,
                "Session 'N' is suspended, PID 7.",
            ),
            (
                State::Suspended,
                None,
                None,
                "Session 'N' is suspended, not started.",
            ),
            (State::Stopped, None, code(1), "Session 'N' is stopped."),
            (
                State::Exited,
                None,
                code(3),
                "Session 'N' exited with code 3.",
            ),
            (
                State::Exited,
                None,
                killed,
                "Session 'N' was killed by SIGKILL.",
            ),
            (
                State::Exited,
                None,
                unseen,
                "Session 'N' exited with code unknown.",
            ),
            (
                State::Backoff,
                None,
                code(2),
                "Session 'N' exited with code 2, restarting in 4 s.",
            ),
            (
                State::Failed,
                None,
                code(1),
                "Session 'N' failed after 5 restarts, last exit code 1.",
            ),
        ] {
            assert_eq!(status(state, pid, exit).sentence(), sentence);
        }
        let withheld = Status {
            retry_ms: None,
            ..status(State::Backoff, None, killed)
        };
        assert_eq!(
            withheld.sentence(),
            "Session 'N' was killed by SIGKILL, restarting when it is resumed."
        );
    }

    #[test]
    fn absent_values_are_null_and_times_are_rfc_3339() {
        let json = serde_json::to_value(status(State::Stopped, None, None)).unwrap();
        assert!(json["pid"].is_null() && json.as_object().unwrap().contains_key("exit"));
        assert_eq!(json["created_at"], "1970-01-01T00:00:00Z");
    }
}
