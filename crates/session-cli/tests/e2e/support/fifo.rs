//! A named pipe through which what runs in a session tells the test something.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};

use super::{PATIENCE, readable};

/// The reading end; it stays open, so writers never wait.
pub(crate) struct Fifo {
    path: PathBuf,
    file: File,
    seen: Vec<u8>,
}

impl Fifo {
    pub(crate) fn new(path: PathBuf) -> Self {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o666),
            0,
        )
        .unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .unwrap();
        let file = rustix::fs::open(
            &path,
            OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        Self {
            path,
            file: file.into(),
            seen: Vec::new(),
        }
    }

    /// The next line, waited for.
    pub(crate) fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.seen.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.seen.drain(..=end).collect();
                return String::from_utf8_lossy(&line).trim_end().to_owned();
            }
            assert!(
                readable(&self.file, PATIENCE),
                "nobody writes to {}",
                self.path.display()
            );
            let mut buffer = [0; 4096];
            if let Ok(read) = self.file.read(&mut buffer) {
                self.seen.extend_from_slice(&buffer[..read]);
            }
        }
    }

    /// The next line, as a pid.
    pub(crate) fn pid(&mut self) -> i32 {
        self.line().parse().unwrap()
    }
}
