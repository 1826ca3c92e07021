//! What happens to the main process, as one table: state × event → state and actions. Pure: no clock, no kernel.
//!
//! The holder turns what it sees into an [`Event`], hands it to [`Supervision::on`], and carries out the
//! [`Action`]s in order. DESIGN's invariant 2 shows here: only verbs produce [`Action::Desire`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use session_protocol::{Desired, Exit};

use crate::budget::{Budget, Limits, Verdict};

/// When a main process that ended by itself is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Always.
    Always,
    /// When it exited with a code other than 0, or by a signal.
    OnFailure,
    /// Never.
    No,
}

impl Policy {
    fn wants_restart(self, exit: &Exit) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit.code != Some(0),
            Self::No => false,
        }
    }
}

/// The part of a session's attributes that supervision needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
    pub(crate) stop_timeout: Duration,
}

/// Why nothing runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rest {
    /// It was never started.
    NotStarted,
    /// A verb stopped it.
    Stopped,
    /// It ended and is not to be restarted.
    Exited,
    /// It ended too often.
    Failed,
}

/// What follows once every process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Then {
    /// Nothing: `stop`.
    Stop,
    /// A new main process: `restart`, or `start` while a stop is under way. `before` as in [`State::Starting`].
    Start { before: Option<Rest> },
    /// Nothing, and `desired` stays: the machine shuts down.
    Leave,
}

/// Where the main process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Nothing runs and nothing is planned.
    Down(Rest),
    /// Forked, not yet known to have executed. `asked`: a verb waits for it and is told of a failure. `before`: where
    /// the session rested until then, and rests again if it fails; `None` if it was up, and goes on trying.
    Starting { asked: bool, before: Option<Rest> },
    /// It lives.
    Running,
    /// It lives, frozen.
    Suspended,
    /// Frozen, and the main process was killed; whether another is started shows at `resume`.
    Beheaded {
        exit: Exit,
        lived: Duration,
        now: Duration,
    },
    /// The stop signal was sent; after the timeout `killing`.
    Ending { then: Then, killing: bool },
    /// Waiting to be started again.
    Backoff,
}

/// What the holder saw, or was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Event {
    Start,
    Stop,
    Restart,
    Suspend,
    Resume,
    /// SIGTERM to the holder: the machine, or the login session, goes down.
    Shutdown,
    /// The main process executed its command.
    Executed,
    /// It could not: no such file, directory gone, no PTY left. It lived for no time.
    SpawnFailed {
        exit: Exit,
        now: Duration,
    },
    /// The main process ended after it had lived so long. `now` is monotonic, from any origin.
    MainExited {
        exit: Exit,
        lived: Duration,
        now: Duration,
    },
    /// No process of the session is left: ECHILD.
    Empty,
    /// Some are left that no kill ends: another uid's, or stuck in the kernel.
    Stuck,
    /// The timer armed last came due.
    Timer,
}

impl Event {
    /// Someone waits for the outcome.
    pub(crate) fn is_verb(self) -> bool {
        matches!(
            self,
            Self::Start | Self::Stop | Self::Restart | Self::Suspend | Self::Resume
        )
    }
}

/// What the holder has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start the main process.
    Spawn,
    /// Send the stop signal to every process.
    Signal,
    /// SIGKILL to every process.
    Kill,
    Freeze,
    Thaw,
    /// Replace the one timer.
    Arm(Duration),
    Disarm,
    /// Write what the verbs want, durably. It comes first: if it fails, nothing else happens and the verb is refused.
    Desire(Desired),
    /// The main process ended for good: tell the clients.
    Finish,
}

/// A verb that does not fit the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It runs already.
    Running,
    /// It does not run.
    NotRunning,
}

/// How often a kill is repeated until nothing is left: forks can outrun one sweep.
pub(crate) const KILL_AGAIN: Duration = Duration::from_millis(20);

/// The state machine of one main process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Supervision {
    state: State,
    budget: Budget,
}

impl Supervision {
    pub(crate) fn new(rest: Rest) -> Self {
        Self {
            state: State::Down(rest),
            budget: Budget::default(),
        }
    }

    /// A main process that was begun by a holder of whose state nothing is left.
    pub(crate) fn adopt_start(&mut self) {
        self.state = State::Starting {
            asked: false,
            before: None,
        };
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Automatic restarts since the last `start`, or since it last ran for long enough to be forgiven.
    pub(crate) fn restarts(&self) -> u32 {
        self.budget.restarts()
    }

    /// Takes one event; the actions are to be carried out in order.
    pub(crate) fn on(&mut self, event: Event, rules: &Rules) -> Result<Vec<Action>, Refusal> {
        use Action::{Arm, Desire, Disarm, Finish, Freeze, Kill, Spawn, Thaw};
        use Event as E;
        use State as S;

        let asked_start = |before| S::Starting {
            asked: true,
            before,
        };
        let before = self.before();
        let (state, actions) = match (self.state, event) {
            // Verbs.
            (S::Down(rest), E::Start) => {
                self.budget.forgive();
                (asked_start(Some(rest)), vec![Desire(Desired::Up), Spawn])
            }
            (S::Backoff, E::Start) => {
                self.budget.forgive();
                (asked_start(None), vec![Desire(Desired::Up), Disarm, Spawn])
            }
            (S::Beheaded { .. }, E::Start) => {
                self.budget.forgive();
                (asked_start(None), vec![Desire(Desired::Up), Thaw, Spawn])
            }
            (S::Ending { killing, .. }, E::Start | E::Restart) => (
                S::Ending {
                    then: Then::Start { before },
                    killing,
                },
                vec![Desire(Desired::Up)],
            ),
            (S::Starting { .. } | S::Running | S::Suspended, E::Start) => {
                return Err(Refusal::Running);
            }

            (S::Suspended | S::Beheaded { .. }, E::Stop) => {
                Self::end_frozen(Then::Stop, rules, vec![Desire(Desired::Down)])
            }
            (S::Suspended | S::Beheaded { .. }, E::Restart) => {
                Self::end_frozen(Then::Start { before }, rules, vec![Desire(Desired::Up)])
            }
            (S::Ending { killing, .. }, E::Stop) => (
                S::Ending {
                    then: Then::Stop,
                    killing,
                },
                vec![Desire(Desired::Down)],
            ),
            (_, E::Stop) => Self::end(Then::Stop, rules, vec![Desire(Desired::Down)]),
            (_, E::Restart) => Self::end(Then::Start { before }, rules, vec![Desire(Desired::Up)]),

            (S::Running, E::Suspend) => (S::Suspended, vec![Freeze]),
            (S::Suspended | S::Beheaded { .. }, E::Suspend) => (self.state, vec![]),
            (S::Suspended, E::Resume) => (S::Running, vec![Thaw]),
            (S::Beheaded { exit, lived, now }, E::Resume) => {
                self.ended_frozen(&exit, lived, now, rules)
            }
            (S::Running | S::Starting { .. }, E::Resume) => (self.state, vec![]),
            (S::Down(_) | S::Backoff | S::Ending { .. }, E::Suspend | E::Resume)
            | (S::Starting { .. }, E::Suspend) => {
                return Err(Refusal::NotRunning);
            }

            // The machine goes down: as `stop`, but what is wanted stays.
            (S::Suspended | S::Beheaded { .. }, E::Shutdown) => {
                Self::end_frozen(Then::Leave, rules, vec![])
            }
            (
                S::Ending {
                    then: Then::Start { .. },
                    killing,
                },
                E::Shutdown,
            ) => (
                S::Ending {
                    then: Then::Leave,
                    killing,
                },
                vec![],
            ),
            (S::Ending { .. }, E::Shutdown) => (self.state, vec![]),
            (_, E::Shutdown) => Self::end(Then::Leave, rules, vec![]),

            // The main process's life.
            (S::Starting { .. }, E::Executed) => (S::Running, vec![]),
            // A verb that failed has not happened: what was wanted before is wanted again.
            (
                S::Starting {
                    asked: true,
                    before: Some(before @ (Rest::NotStarted | Rest::Stopped)),
                },
                E::SpawnFailed { .. },
            ) => (S::Down(before), vec![Desire(Desired::Down), Finish]),
            (
                S::Starting {
                    asked: true,
                    before: Some(before),
                },
                E::SpawnFailed { .. },
            ) => (S::Down(before), vec![Finish]),
            (S::Starting { .. }, E::SpawnFailed { exit, now }) => {
                match self.ended(&exit, Duration::ZERO, now, rules) {
                    // What fails at once would fail at once again, within the same event.
                    (S::Starting { .. }, _) => (S::Backoff, vec![Arm(KILL_AGAIN)]),
                    later => later,
                }
            }
            (S::Starting { .. } | S::Running, E::MainExited { exit, lived, now }) => {
                self.ended(&exit, lived, now, rules)
            }
            // Killed, or ended by any signal in a frozen cgroup. What would follow was not to run either.
            (S::Suspended, E::MainExited { exit, lived, now }) => {
                if rules.policy.wants_restart(&exit) {
                    (S::Beheaded { exit, lived, now }, vec![])
                } else {
                    self.ended_frozen(&exit, lived, now, rules)
                }
            }
            (S::Backoff, E::Timer) => (
                S::Starting {
                    asked: false,
                    before: None,
                },
                vec![Spawn],
            ),

            // The end of every process.
            (S::Ending { then, .. }, E::Timer) => (
                S::Ending {
                    then,
                    killing: true,
                },
                vec![Kill, Arm(KILL_AGAIN)],
            ),
            (
                S::Ending {
                    then: Then::Stop, ..
                },
                E::Empty,
            ) => (S::Down(Rest::Stopped), vec![Disarm, Finish]),
            (
                S::Ending {
                    then: Then::Leave, ..
                },
                E::Stuck,
            ) => (S::Down(Rest::Exited), vec![Disarm, Finish]),
            (S::Ending { .. }, E::Stuck) => (S::Down(Rest::Stopped), vec![Disarm, Finish]),
            (
                S::Ending {
                    then: Then::Leave, ..
                },
                E::Empty,
            ) => (S::Down(Rest::Exited), vec![Disarm, Finish]),
            (
                S::Ending {
                    then: Then::Start { before },
                    ..
                },
                E::Empty,
            ) => {
                self.budget.forgive();
                (asked_start(before), vec![Disarm, Spawn])
            }

            // Late news of what is over already.
            (
                S::Down(_)
                | S::Backoff
                | S::Ending { .. }
                | S::Running
                | S::Suspended
                | S::Beheaded { .. },
                E::Executed | E::SpawnFailed { .. },
            )
            | (
                S::Down(_) | S::Backoff | S::Ending { .. } | S::Beheaded { .. },
                E::MainExited { .. },
            )
            | (
                S::Down(_)
                | S::Backoff
                | S::Starting { .. }
                | S::Running
                | S::Suspended
                | S::Beheaded { .. },
                E::Empty | E::Stuck,
            )
            | (
                S::Down(_) | S::Starting { .. } | S::Running | S::Suspended | S::Beheaded { .. },
                E::Timer,
            ) => (self.state, vec![]),
        };
        self.state = state;
        Ok(actions)
    }

    /// Where a start that fails leads back to, as in [`State::Starting`].
    fn before(&self) -> Option<Rest> {
        match self.state {
            State::Down(rest) => Some(rest),
            State::Starting {
                asked: true,
                before,
            }
            | State::Ending {
                then: Then::Start { before },
                ..
            } => before,
            State::Ending {
                then: Then::Stop, ..
            } => Some(Rest::Stopped),
            _ => None,
        }
    }

    fn end(then: Then, rules: &Rules, mut actions: Vec<Action>) -> (State, Vec<Action>) {
        actions.extend([Action::Signal, Action::Arm(rules.stop_timeout)]);
        (
            State::Ending {
                then,
                killing: false,
            },
            actions,
        )
    }

    /// The signal is sent before the thaw, so that no process runs an instruction without it pending.
    fn end_frozen(then: Then, rules: &Rules, actions: Vec<Action>) -> (State, Vec<Action>) {
        let (state, mut actions) = Self::end(then, rules, actions);
        actions.push(Action::Thaw);
        (state, actions)
    }

    /// As [`Supervision::ended`], of a frozen tree: what is started next must not be born frozen.
    fn ended_frozen(
        &mut self,
        exit: &Exit,
        lived: Duration,
        now: Duration,
        rules: &Rules,
    ) -> (State, Vec<Action>) {
        let (state, mut actions) = self.ended(exit, lived, now, rules);
        actions.insert(0, Action::Thaw);
        (state, actions)
    }

    /// The main process ended by itself: the policy decides.
    fn ended(
        &mut self,
        exit: &Exit,
        lived: Duration,
        now: Duration,
        rules: &Rules,
    ) -> (State, Vec<Action>) {
        if !rules.policy.wants_restart(exit) {
            return (State::Down(Rest::Exited), vec![Action::Finish]);
        }
        match self.budget.spend(&rules.limits, lived, now) {
            Verdict::Restart {
                after: Duration::ZERO,
            } => (
                State::Starting {
                    asked: false,
                    before: None,
                },
                vec![Action::Spawn],
            ),
            Verdict::Restart { after } => (State::Backoff, vec![Action::Arm(after)]),
            Verdict::GiveUp => (State::Down(Rest::Failed), vec![Action::Finish]),
        }
    }
}

#[cfg(test)]
#[path = "supervision_tests.rs"]
mod tests;
