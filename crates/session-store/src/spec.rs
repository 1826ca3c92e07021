//! What was asked for: everything a session needs to be started, today or after a reboot.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use session_protocol::{ByteString, Signal};

use crate::record::Kept;
use crate::{Restore, SizeRule, span};

/// The attributes of a session. [`crate::attribute`] reads and shows them as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Spec {
    /// Argument vector; the first word is what the caller typed.
    pub command: Vec<ByteString>,
    /// The file to execute, absolute.
    pub executable: ByteString,
    /// Working directory, absolute.
    pub directory: ByteString,
    /// Added to the environment of whoever starts it.
    pub env: BTreeMap<String, ByteString>,
    /// Wait for `start` or for someone to attach, also after a reboot.
    pub start_suspended: bool,
    /// When to start it again.
    pub restart: Restart,
    /// Delay before the second restart in a row, for the first is at once; it doubles from one to the next.
    #[serde(with = "span::text")]
    pub restart_delay: Duration,
    /// Longest delay.
    #[serde(with = "span::text")]
    pub restart_max_delay: Duration,
    /// How often is too often.
    pub restart_limit: RestartLimit,
    /// What asks it to end.
    pub stop_signal: Signal,
    /// How long it may take to end before it is killed.
    #[serde(with = "span::text")]
    pub stop_timeout: Duration,
    /// What happens when the machine comes up.
    pub on_boot: OnBoot,
    /// Free text for people.
    pub title: Option<String>,
    /// Bytes of output kept, a stream.
    pub log_limit: u64,
    /// Limits by their word (`memory`, `nofile`, …), as text that was checked.
    pub limits: BTreeMap<String, String>,
    /// A terminal, or pipes.
    pub pty: bool,
    /// Whose terminal decides the size of the session's.
    #[serde(skip_serializing_if = "SizeRule::is_default")]
    pub size: SizeRule,
    /// What of the past an attaching terminal is given.
    #[serde(skip_serializing_if = "Restore::is_default")]
    pub restore: Restore,
    /// Whether the session stays once its main process has ended by itself and is not started again.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub remain_on_exit: bool,
    /// The directory of [`crate::Sess`] whose files tell of it: it was made with `sess`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sess: Option<ByteString>,
    /// Fields of a later version, kept as they are.
    #[serde(flatten)]
    pub kept: Kept,
}

impl Spec {
    /// `command` with everything else as it is when nobody says otherwise.
    pub fn new(command: Vec<ByteString>, executable: ByteString, directory: ByteString) -> Self {
        Self {
            command,
            executable,
            directory,
            ..Self::default()
        }
    }
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            executable: ByteString::default(),
            directory: ByteString::default(),
            env: BTreeMap::new(),
            start_suspended: false,
            restart: Restart::default(),
            restart_delay: Duration::from_secs(1),
            restart_max_delay: Duration::from_secs(60),
            restart_limit: RestartLimit::default(),
            stop_signal: Signal::TERM,
            stop_timeout: Duration::from_secs(10),
            on_boot: OnBoot::default(),
            title: None,
            log_limit: 16 << 20,
            limits: BTreeMap::new(),
            pty: true,
            size: SizeRule::default(),
            restore: Restore::default(),
            remain_on_exit: true,
            sess: None,
            kept: Kept::new(),
        }
    }
}

/// When a main process that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// When it ended with a code other than 0 or by a signal.
    #[default]
    OnFailure,
    /// However it ended.
    Always,
    /// Never.
    No,
}

/// More restarts than `count` within `window` are a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartLimit {
    /// Restarts that are still fine.
    pub count: u32,
    /// Within how long.
    #[serde(with = "span::text")]
    pub window: Duration,
}

impl Default for RestartLimit {
    fn default() -> Self {
        Self {
            count: 5,
            window: Duration::from_secs(60),
        }
    }
}

/// What happens when the machine comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnBoot {
    /// What was up comes up.
    #[default]
    Restore,
    /// It stays down.
    No,
}
