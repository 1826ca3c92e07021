//! A session has one terminal, and its owner alone takes it away.

use super::*;

type Terminal = Arc<dyn Any + Send + Sync>;

fn terminal(name: &'static str) -> Terminal {
    Arc::new(name)
}

fn name_of(session: &Session) -> Option<&'static str> {
    let terminal = session.terminal()?;
    terminal.downcast_ref::<&'static str>().copied()
}

#[test]
fn it_is_set_once() {
    let session = root().group().session();
    assert!(session.terminal().is_none());
    assert!(session.set_terminal_with(|| terminal("tty1")));
    assert!(!session.set_terminal_with(|| unreachable!("there is one")));
    assert_eq!(name_of(&session), Some("tty1"));
}

#[test]
fn it_is_taken_away_by_its_owner_alone() {
    let session = root().group().session();
    let (mine, like_mine) = (terminal("tty1"), terminal("tty1"));
    assert!(!session.unset_terminal(&mine));
    assert!(session.set_terminal_with(|| mine.clone()));
    assert!(!session.unset_terminal(&like_mine));
    assert_eq!(name_of(&session), Some("tty1"));

    assert!(session.unset_terminal(&mine));
    assert!(session.terminal().is_none());
    assert!(!session.unset_terminal(&mine));
    assert!(session.set_terminal_with(|| terminal("tty2")));
    assert_eq!(name_of(&session), Some("tty2"));
}

#[test]
fn it_goes_with_the_session() {
    let root = root();
    let shell = root.fork(2).build();
    let terminal = terminal("tty1");
    let seen: Weak<dyn Any + Send + Sync> = Arc::downgrade(&terminal);
    let (session, _) = shell.create_session().unwrap();
    assert!(session.set_terminal_with(move || terminal));
    drop(session);
    assert!(seen.upgrade().is_some());
    reap(&shell);
    assert!(seen.upgrade().is_none());
}

#[test]
fn each_session_has_its_own() {
    let root = root();
    let home = root.group().session();
    assert!(home.set_terminal_with(|| terminal("tty1")));
    let (session, _) = root.fork(2).build().create_session().unwrap();
    assert!(session.terminal().is_none());
}
