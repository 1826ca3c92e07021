//! Rows of the table that a person would notice, and properties that hold on any path through it.

use std::time::Duration;

use proptest::prelude::*;
use session_protocol::{Desired, Exit, Signal, Timestamp};

use super::*;
use Action::{Arm, Desire, Disarm, Finish, Freeze, Kill, Spawn, Thaw};

const SECOND: Duration = Duration::from_secs(1);
const RULES: Rules = Rules {
    policy: Policy::OnFailure,
    limits: Limits {
        delay: SECOND,
        max_delay: Duration::from_secs(60),
        count: 5,
        window: Duration::from_secs(60),
    },
    stop_timeout: Duration::from_secs(10),
};

fn code(code: i32) -> Exit {
    Exit {
        code: Some(code),
        signal: None,
        at: Timestamp::from_millis(0),
    }
}

fn ended(exit: Exit) -> Event {
    Event::MainExited {
        exit,
        lived: SECOND,
        now: SECOND,
    }
}

/// The actions of each event in turn, from a session that was never started.
fn actions(rules: &Rules, events: &[Event]) -> Vec<Vec<Action>> {
    let mut supervision = Supervision::new(Rest::NotStarted);
    events
        .iter()
        .map(|event| supervision.on(*event, rules).unwrap())
        .collect()
}

/// The last event's actions and the state it leads to.
fn after(rules: &Rules, events: &[Event]) -> (Vec<Action>, State) {
    let mut supervision = Supervision::new(Rest::NotStarted);
    let last = events
        .iter()
        .map(|event| supervision.on(*event, rules).unwrap())
        .last();
    (last.unwrap(), supervision.state())
}

const UP: [Event; 2] = [Event::Start, Event::Executed];

fn up_and(events: &[Event]) -> Vec<Event> {
    [&UP[..], events].concat()
}

#[test]
fn start_is_durable_before_anything_runs() {
    assert_eq!(
        actions(&RULES, &UP),
        [vec![Desire(Desired::Up), Spawn], vec![]]
    );
}

#[test]
fn a_failed_start_leaves_what_was_wanted_before() {
    let failed = Event::SpawnFailed {
        exit: code(127),
        now: SECOND,
    };
    let (actions, state) = after(&RULES, &[Event::Start, failed]);
    assert_eq!(actions, [Desire(Desired::Down), Finish]);
    assert_eq!(state, State::Down(Rest::NotStarted));
}

#[test]
fn a_success_ends_the_session_and_a_failure_restarts_it_at_once() {
    assert_eq!(
        after(&RULES, &up_and(&[ended(code(0))])),
        (vec![Finish], State::Down(Rest::Exited))
    );
    assert_eq!(after(&RULES, &up_and(&[ended(code(1))])).0, [Spawn]);
    let killed = Exit {
        code: None,
        signal: Some(Signal::KILL),
        at: Timestamp::from_millis(0),
    };
    assert_eq!(after(&RULES, &up_and(&[ended(killed)])).0, [Spawn]);
    let never = Rules {
        policy: Policy::No,
        ..RULES
    };
    assert_eq!(
        after(&never, &up_and(&[ended(code(3))])),
        (vec![Finish], State::Down(Rest::Exited))
    );
    let always = Rules {
        policy: Policy::Always,
        ..RULES
    };
    assert_eq!(after(&always, &up_and(&[ended(code(0))])).0, [Spawn]);
}

#[test]
fn a_crash_loop_waits_longer_each_time_and_then_fails() {
    let mut supervision = Supervision::new(Rest::NotStarted);
    supervision.on(Event::Start, &RULES).unwrap();
    let mut waits = Vec::new();
    let mut now = Duration::ZERO;
    loop {
        supervision.on(Event::Executed, &RULES).unwrap();
        let crash = Event::MainExited {
            exit: code(1),
            lived: Duration::ZERO,
            now,
        };
        match supervision.on(crash, &RULES).unwrap()[..] {
            [Spawn] => waits.push(0),
            [Arm(wait)] => {
                waits.push(wait.as_secs());
                now += wait;
                assert_eq!(supervision.on(Event::Timer, &RULES).unwrap(), [Spawn]);
            }
            [Finish] => break,
            ref other => panic!("{other:?}"),
        }
    }
    assert_eq!(waits, [0, 1, 2, 4, 8]);
    assert_eq!(
        (supervision.state(), supervision.restarts()),
        (State::Down(Rest::Failed), 5)
    );
}

#[test]
fn stop_asks_then_kills_and_is_done_when_nothing_is_left() {
    let stop = up_and(&[Event::Stop]);
    assert_eq!(
        after(&RULES, &stop).0,
        [
            Desire(Desired::Down),
            Action::Signal,
            Arm(RULES.stop_timeout)
        ]
    );
    let late = [&stop[..], &[Event::Timer]].concat();
    assert_eq!(after(&RULES, &late).0, [Kill, Arm(KILL_AGAIN)]);
    let main_gone = [&late[..], &[ended(code(0))]].concat();
    assert!(
        matches!(after(&RULES, &main_gone).1, State::Ending { .. }),
        "the rest of the tree still lives"
    );
    let empty = [&main_gone[..], &[Event::Empty]].concat();
    assert_eq!(
        after(&RULES, &empty),
        (vec![Disarm, Finish], State::Down(Rest::Stopped))
    );
}

#[test]
fn a_frozen_tree_has_the_signal_before_it_thaws() {
    let events = up_and(&[Event::Suspend, Event::Stop]);
    let (actions, _) = after(&RULES, &events);
    let position = |wanted| actions.iter().position(|action| *action == wanted);
    assert!(position(Action::Signal) < position(Thaw));
    assert_eq!(after(&RULES, &up_and(&[Event::Suspend])).0, [Freeze]);
}

#[test]
fn what_is_suspended_starts_nothing_until_it_is_resumed() {
    let dead = up_and(&[Event::Suspend, ended(code(9))]);
    let (actions, state) = after(&RULES, &dead);
    assert!(actions.is_empty() && matches!(state, State::Beheaded { .. }));
    let and = |event| after(&RULES, &[&dead[..], &[event]].concat()).0;
    assert_eq!(and(Event::Resume), [Thaw, Spawn]);
    assert_eq!(and(Event::Start), [Desire(Desired::Up), Thaw, Spawn]);
    assert!(and(Event::Stop).ends_with(&[Thaw]));
    let for_good = up_and(&[Event::Suspend, ended(code(0))]);
    assert_eq!(
        after(&RULES, &for_good),
        (vec![Thaw, Finish], State::Down(Rest::Exited))
    );
}

#[test]
fn what_was_up_is_kept_trying_after_a_verb_failed() {
    let failed = Event::SpawnFailed {
        exit: code(126),
        now: SECOND,
    };
    let again = (vec![Arm(KILL_AGAIN)], State::Backoff);
    let restart = up_and(&[Event::Restart, Event::Empty, failed]);
    assert_eq!(after(&RULES, &restart), again);
    let backoff = up_and(&[ended(code(1)), failed, Event::Start, failed]);
    assert_eq!(after(&RULES, &backoff), again);
    let stopping = up_and(&[Event::Stop, Event::Restart, Event::Empty, failed]);
    assert_eq!(
        after(&RULES, &stopping),
        (
            vec![Desire(Desired::Down), Finish],
            State::Down(Rest::Stopped)
        )
    );
}

#[test]
fn a_shutdown_changes_nothing_of_what_is_wanted_and_restarts_nothing() {
    let events = up_and(&[Event::Shutdown, ended(code(143)), Event::Empty]);
    let all = actions(&RULES, &events).concat();
    assert_eq!(
        all.iter()
            .filter(|action| matches!(action, Desire(_)))
            .count(),
        1,
        "the start's own"
    );
    assert_eq!(all.iter().filter(|action| **action == Spawn).count(), 1);
}

#[test]
fn verbs_that_do_not_fit_are_refused() {
    let refused = |events: &[Event], event| {
        let mut supervision = Supervision::new(Rest::Stopped);
        for event in events {
            supervision.on(*event, &RULES).unwrap();
        }
        supervision.on(event, &RULES).unwrap_err()
    };
    assert_eq!(refused(&UP, Event::Start), Refusal::Running);
    assert_eq!(refused(&[], Event::Suspend), Refusal::NotRunning);
    assert_eq!(refused(&[], Event::Resume), Refusal::NotRunning);
}

fn any_event() -> impl Strategy<Value = Event> {
    let exit = prop_oneof![Just(code(0)), Just(code(1))];
    prop_oneof![
        Just(Event::Start),
        Just(Event::Stop),
        Just(Event::Restart),
        Just(Event::Suspend),
        Just(Event::Resume),
        Just(Event::Shutdown),
        Just(Event::Executed),
        Just(Event::Empty),
        Just(Event::Stuck),
        Just(Event::Timer),
        exit.clone()
            .prop_map(|exit| Event::SpawnFailed { exit, now: SECOND }),
        exit.prop_map(ended),
    ]
}

proptest! {
    /// Never two: between two spawns the first one's end was seen.
    #[test]
    fn nothing_is_started_while_something_may_live(events in proptest::collection::vec(any_event(), 0..60)) {
        let mut supervision = Supervision::new(Rest::NotStarted);
        let mut alive = false;
        for event in events {
            // What the kernel would not say is not said: nothing ends that does not live, nothing is empty
            // that does.
            let fits = match event {
                Event::MainExited { .. } | Event::SpawnFailed { .. } => std::mem::take(&mut alive),
                Event::Executed => alive,
                Event::Empty | Event::Stuck => !alive,
                _ => true,
            };
            if !fits {
                continue;
            }
            let before = supervision.state();
            let Ok(actions) = supervision.on(event, &RULES) else {
                prop_assert_eq!(supervision.state(), before, "a refusal changes nothing");
                continue;
            };
            for action in actions {
                if action == Spawn {
                    prop_assert!(!alive, "{:?} on {:?} starts a second", event, before);
                    alive = true;
                }
            }
        }
    }

    /// What is wanted is changed by verbs alone (and taken back by a start that failed).
    #[test]
    fn only_verbs_change_what_is_wanted(events in proptest::collection::vec(any_event(), 0..60)) {
        let mut supervision = Supervision::new(Rest::NotStarted);
        for event in events {
            let asked = matches!(supervision.state(), State::Starting { asked: true, .. });
            let actions = supervision.on(event, &RULES).unwrap_or_default();
            let desires = actions.iter().any(|action| matches!(action, Desire(_)));
            let failed_start = asked && matches!(event, Event::SpawnFailed { .. });
            prop_assert!(!desires || event.is_verb() || failed_start);
            prop_assert!(!desires || matches!(actions[0], Desire(_)), "durable first");
        }
    }
}
