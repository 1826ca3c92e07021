//! What an epoll event is about, packed into the 64 bits that epoll carries.

use session_protocol::ProcessId;

/// The owner of a registered descriptor. Numbers are never reused, so a late event finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Signals,
    Listener,
    Connection(u64),
    /// Output of a process.
    Source(u64),
    /// A process's input that was full.
    Input(ProcessId),
    /// Whether a process executed its command.
    Report(ProcessId),
    /// An adopted process has ended, or was reaped.
    Ended(ProcessId),
    /// The keeper said something, or is gone.
    Keeper,
    /// What is in the session's cgroup has changed.
    Group,
}

impl Token {
    pub(crate) fn pack(self) -> u64 {
        match self {
            Self::Signals => 0,
            Self::Listener => 1,
            Self::Connection(number) => number << 4 | 2,
            Self::Source(number) => number << 4 | 3,
            Self::Input(process) => u64::from(process.0) << 4 | 4,
            Self::Report(process) => u64::from(process.0) << 4 | 5,
            Self::Ended(process) => u64::from(process.0) << 4 | 6,
            Self::Keeper => 7,
            Self::Group => 8,
        }
    }

    pub(crate) fn unpack(packed: u64) -> Self {
        let number = packed >> 4;
        match packed & 15 {
            0 => Self::Signals,
            1 => Self::Listener,
            2 => Self::Connection(number),
            3 => Self::Source(number),
            4 => Self::Input(ProcessId(number as u32)),
            5 => Self::Report(ProcessId(number as u32)),
            6 => Self::Ended(ProcessId(number as u32)),
            7 => Self::Keeper,
            _ => Self::Group,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_packing() {
        for token in [
            Token::Signals,
            Token::Listener,
            Token::Connection(9),
            Token::Source(1 << 40),
            Token::Input(ProcessId(3)),
            Token::Report(ProcessId::MAIN),
            Token::Ended(ProcessId(u32::MAX)),
            Token::Keeper,
            Token::Group,
        ] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
