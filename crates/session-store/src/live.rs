//! What is, in one small block that the holder rewrites in place and `ls` reads with a single system call.

use serde::{Deserialize, Serialize};
use session_protocol::{ByteString, Size, Status};

use crate::record::number;

/// Size of the block: one page, so that a write is one copy in the kernel and readers seldom see half of it.
pub(crate) const BLOCK: usize = 4096;
/// Header line: eight digits of checksum, a space, up to four digits of length, a line feed.
const HEADER: usize = 14;

/// The state of a session with a holder, as the holder saw it last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// What every verb shows. `uptime_ms` and `retry_ms` are as of the write; readers use the two times below.
    pub status: Status,
    /// The holder's pid.
    pub holder: i32,
    /// The boot that pids and times belong to.
    #[serde(with = "hex")]
    pub boot_id: [u8; 16],
    /// When the main process was started, in milliseconds of CLOCK_BOOTTIME.
    pub started_boottime_ms: Option<u64>,
    /// When it will be started again, in milliseconds of CLOCK_BOOTTIME.
    #[serde(default)]
    pub retry_boottime_ms: Option<u64>,
    /// Where the session's cgroup is, for whoever has to end what a killed holder left: it lies below that holder's
    /// own, which after another login is not theirs.
    #[serde(default)]
    pub cgroup: Option<ByteString>,
    /// The size that the main process's terminal has, or had last.
    #[serde(default)]
    pub last_size: Option<Size>,
    /// The umask and the limits (resource, soft, hard) of whoever started the session, for a holder that starts it anew.
    #[serde(default)]
    pub umask: Option<u32>,
    /// As above.
    #[serde(default)]
    pub limits: Vec<(i32, u64, u64)>,
    /// Something did not fit: command and directory are whole in the record only. Set by the writer.
    #[serde(default)]
    pub truncated: bool,
}

impl Live {
    /// The status at `now`, in milliseconds of CLOCK_BOOTTIME.
    pub fn status_at(&self, now: u64) -> Status {
        let mut status = self.status.clone();
        if let (Some(started), Some(_)) = (self.started_boottime_ms, status.pid) {
            status.uptime_ms = Some(now.saturating_sub(started));
        }
        if let Some(retry) = self.retry_boottime_ms {
            status.retry_ms = Some(retry.saturating_sub(now));
        }
        status
    }

    /// The block, shortened until it fits.
    pub(crate) fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = serde_json::to_vec(self)?;
        if json.len() > BLOCK - HEADER {
            json = self.shortened()?;
        }
        // On the heap: a block on the stack would cost every idle holder its pages.
        let mut block = format!("{:08x} {}\n", crc32fast::hash(&json), json.len()).into_bytes();
        block.append(&mut json);
        Ok(block)
    }

    /// As JSON with as much of what varies in length as fits.
    fn shortened(&self) -> serde_json::Result<Vec<u8>> {
        let mut short = self.clone();
        short.truncated = true;
        let mut budget = BLOCK / 2;
        loop {
            short.shorten(budget);
            let mut json = serde_json::to_vec(&short)?;
            if json.len() <= BLOCK - HEADER || budget == 0 {
                // With no budget nothing of variable length is left but a name of at most 64 bytes.
                json.truncate(BLOCK - HEADER);
                return Ok(json);
            }
            budget /= 2;
        }
    }

    fn shorten(&mut self, budget: usize) {
        let mut left = budget;
        self.status.command.retain_mut(|word| {
            let fits = left > 0;
            word.0.truncate(left);
            left = left.saturating_sub(word.0.len() + 3);
            fits
        });
        self.status.directory.0.truncate(budget);
        self.cgroup.take_if(|path| path.0.len() > budget);
        for list in [
            &mut self.status.notes,
            &mut self.status.changed,
            &mut self.status.unenforced,
        ] {
            let mut left = budget / 2;
            list.retain(|text| {
                let fits = text.len() < left;
                left = left.saturating_sub(text.len() + 3);
                fits
            });
        }
    }

    /// Reads a block; `None` if it is empty or torn.
    pub(crate) fn decode(block: &[u8]) -> Option<Self> {
        let end = block.iter().take(HEADER).position(|byte| *byte == b'\n')?;
        let (crc, len) = std::str::from_utf8(&block[..end]).ok()?.split_once(' ')?;
        let len = usize::try_from(number(len)?).ok()?;
        let json = block.get(end + 1..)?.get(..len)?;
        if u32::from_str_radix(crc, 16).ok()? != crc32fast::hash(json) {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        bytes: &[u8; 16],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:032x}", u128::from_be_bytes(*bytes)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 16], D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16)
            .map(u128::to_be_bytes)
            .map_err(D::Error::custom)
    }
}

/// The command as it is shown when only part of it is known.
pub(crate) fn fill(status: &mut Status, command: &[ByteString], directory: &ByteString) {
    status.command = command.to_vec();
    status.directory = directory.clone();
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use session_protocol::{Desired, Scope, State, Timestamp};

    pub(crate) fn live(name: &str, id: &str) -> Live {
        let status = Status {
            name: name.into(),
            id: id.into(),
            scope: Scope::User,
            state: State::Running,
            desired: Desired::Up,
            pid: Some(77),
            command: vec!["sleep".into(), "9".into()],
            directory: "/".into(),
            created_at: Timestamp::from_millis(0),
            started_at: Some(Timestamp::from_millis(5)),
            restarts: 0,
            exit: None,
            clients: 0,
            uptime_ms: None,
            retry_ms: None,
            changed: Vec::new(),
            unenforced: Vec::new(),
            unwatched: false,
            notes: Vec::new(),
            size: None,
        };
        let (holder, boot_id) = (1, [0xab; 16]);
        Live {
            status,
            holder,
            boot_id,
            started_boottime_ms: Some(1000),
            retry_boottime_ms: None,
            cgroup: Some("/sys/fs/cgroup/a/session-0123456789abcdef".into()),
            last_size: None,
            umask: Some(0o22),
            limits: vec![(7, 1024, 4096)],
            truncated: false,
        }
    }

    #[test]
    fn any_status_fits_into_the_block() {
        let small = live("n", "0123456789abcdef");
        assert_eq!(Live::decode(&small.encode().unwrap()), Some(small.clone()));
        assert_eq!(small.status_at(1500).uptime_ms, Some(500));
        for word in ["x".repeat(100_000), "\x01".repeat(5000), "é".repeat(4000)] {
            let mut large = small.clone();
            large.status.command = vec![word.as_str().into(); 20];
            large.status.directory = word.as_str().into();
            large.status.notes = vec![word.clone(), word];
            let read = Live::decode(&large.encode().unwrap()).unwrap();
            assert!(read.truncated && read.status.pid == Some(77));
        }
    }

    #[test]
    fn a_torn_block_is_none() {
        let block = live("n", "0123456789abcdef").encode().unwrap();
        let whole = Live::decode(&block);
        for at in 0..block.len() {
            let mut torn = block.clone();
            torn[at] ^= 0x20;
            let read = Live::decode(&torn);
            assert!(read.is_none() || read == whole, "byte {at}");
        }
        assert_eq!(Live::decode(&block[..100]), None);
        assert_eq!(Live::decode(b""), None);
    }
}
