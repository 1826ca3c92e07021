//! Any sequence of operations does to the hierarchy what it does to a naive model of the rules, and in the end
//! nothing is left.

#![cfg(not(loom))]

#[path = "properties/naive.rs"]
mod naive;
#[path = "properties/world.rs"]
mod world;

use naive::{Id, Number};
use proptest::prelude::*;
use world::World;

/// Something that somebody can do. What it is done to is picked from all that lives, by a number of any size.
#[derive(Debug, Clone)]
enum Step {
    Fork { parent: Id, number: Number },
    Exit { process: Id },
    Free { process: Id },
    CreateSession { process: Id },
    CreateGroup { process: Id },
    Move { process: Id, group: Id },
    Follow { process: Id, other: Id },
    SetSubreaper { process: Id, enabled: bool },
    NewThread { process: Id, number: Number },
    ExitThread { thread: Id, code: i32 },
    GroupExit { process: Id },
    Hold { what: What, which: Id },
    LetGo { what: What, which: Id },
    LetGoOfRoot,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Process,
    Group,
    Session,
    Thread,
}

/// Numbers so few that many have the same; 1 is that of the root.
fn number() -> impl Strategy<Value = Number> {
    1..7_u32
}

fn which() -> impl Strategy<Value = Id> {
    0..1000_usize
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        Just(What::Process),
        Just(What::Group),
        Just(What::Session),
        Just(What::Thread)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        100 => (which(), number()).prop_map(|(parent, number)| Step::Fork { parent, number }),
        40 => which().prop_map(|process| Step::Exit { process }),
        60 => which().prop_map(|process| Step::Free { process }),
        40 => which().prop_map(|process| Step::CreateSession { process }),
        60 => which().prop_map(|process| Step::CreateGroup { process }),
        60 => (which(), which()).prop_map(|(process, group)| Step::Move { process, group }),
        60 => (which(), which()).prop_map(|(process, other)| Step::Follow { process, other }),
        20 => (which(), any::<bool>())
            .prop_map(|(process, enabled)| Step::SetSubreaper { process, enabled }),
        30 => (which(), number()).prop_map(|(process, number)| Step::NewThread { process, number }),
        30 => (which(), 0..9_i32).prop_map(|(thread, code)| Step::ExitThread { thread, code }),
        5 => which().prop_map(|process| Step::GroupExit { process }),
        20 => (what(), which()).prop_map(|(what, which)| Step::Hold { what, which }),
        60 => (what(), which()).prop_map(|(what, which)| Step::LetGo { what, which }),
        1 => Just(Step::LetGoOfRoot),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_steps_do_what_the_rules_say(steps in prop::collection::vec(step(), 1..100)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.compare();
            world.check_memberships();
        }
        world.end();
    }
}
