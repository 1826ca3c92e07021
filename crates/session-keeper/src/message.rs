//! What holders and the keeper say to each other: one message a packet, JSON, with the descriptors it is about.
//!
//! Both ends may be of different versions, so it only grows: an unknown message is skipped, and so is an unknown field.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use session_sys::socket;

/// Longest message.
pub(crate) const LONGEST: usize = 64 << 10;

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Message {
    /// Holder to keeper, first of all: whose it is.
    Join {
        /// The session's id.
        session: String,
    },
    /// Holder to keeper: keep copies of these descriptors, instead of those under this key.
    Park {
        /// Under which they are found again.
        key: String,
        /// What whoever gets them has to know of them.
        #[serde(default)]
        what: Value,
    },
    /// Holder to keeper: close these.
    Unpark {
        /// The key.
        key: String,
    },
    /// Holder to keeper: it serves. Who dies from now on has not died of adopting.
    Serving {},
    /// Holder to keeper: nothing of the session runs, and what is parked can go.
    Leave {},
    /// Anyone to keeper: is there something parked of this session, of which a holder is about to be started?
    Query {
        /// The session's id.
        session: String,
    },
    /// The answer.
    Held {
        /// Whether there is.
        held: bool,
    },
    /// Anyone to keeper: go on as this executable. Only that it cannot is answered; else the connection ends.
    Upgrade {
        /// Its absolute path.
        executable: PathBuf,
    },
    /// The answer to what cannot be.
    Refused {
        /// Why.
        why: String,
    },
    /// Keeper to a new holder: what was parked.
    Handed {
        /// The key.
        key: String,
        /// What was said of it.
        #[serde(default)]
        what: Value,
    },
    /// Keeper to a new holder: that was all.
    HandedAll {},
    /// What a later version says.
    #[serde(other)]
    Unknown,
}

/// Sends a message with descriptors.
pub fn send(
    to: impl std::os::fd::AsFd,
    message: &Message,
    handed: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > LONGEST {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    socket::send_message(to, &bytes, handed)
}

/// Receives a message; `None` at the end. `WouldBlock` where nothing is there, `InvalidData` for what is no message,
/// behind which others may come, and `OutOfMemory` for one of which not all descriptors could be taken.
pub fn receive(from: impl std::os::fd::AsFd) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
    let mut space = vec![0; LONGEST];
    match rustix::io::retry_on_intr(|| socket::receive_message(&from, &mut space)) {
        Ok((0, _)) => Ok(None),
        Ok((len, handed)) => {
            let message = serde_json::from_slice(&space[..len])?;
            Ok(Some((message, handed)))
        }
        Err(Errno::MSGSIZE) => Err(io::ErrorKind::InvalidData.into()),
        Err(Errno::TOOMANYREFS) => Err(io::ErrorKind::OutOfMemory.into()),
        // The other side went away with something of ours unread.
        Err(Errno::CONNRESET) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_version_says_is_skipped() {
        let read = |text: &str| serde_json::from_str::<Message>(text).unwrap();
        assert_eq!(read(r#"{"say":"sing"}"#), Message::Unknown);
        let join = Message::Join {
            session: "a".into(),
        };
        assert_eq!(read(r#"{"say":"join","session":"a","voice":7}"#), join);
        assert_eq!(read(r#"{"say":"leave"}"#), Message::Leave {});
    }

    #[test]
    fn messages_and_their_descriptors_arrive() {
        use std::os::fd::AsFd;
        let (one, other) = socket::pair_for_messages().unwrap();
        let park = Message::Park {
            key: "k".into(),
            what: serde_json::json!({"pid": 7}),
        };
        send(&one, &park, &[one.as_fd()]).unwrap();
        socket::send_message(&one, b"no message", &[]).unwrap();
        send(&one, &Message::Leave {}, &[]).unwrap();
        let (message, handed) = receive(&other).unwrap().unwrap();
        assert_eq!((message, handed.len()), (park, 1));
        drop(handed);
        assert_eq!(
            receive(&other).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert_eq!(receive(&other).unwrap().unwrap().0, Message::Leave {});
        drop(one);
        assert!(receive(&other).unwrap().is_none());
        let long = Message::Query {
            session: "x".repeat(LONGEST),
        };
        assert!(send(&other, &long, &[]).is_err());
    }
}
