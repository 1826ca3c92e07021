//! Numbers of sessions: they strictly rise, whoever else asks for one at the same time and whatever became of the last.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::Sess;
use crate::{Error, Name, Result, files};

/// Nobody has had as many sessions: what is called by a higher number is not counted.
const MOST: u32 = 999_999;
/// Digits of it.
const WIDTH: usize = 6;

/// A number as it is written: three digits at least, so `1` and `001` are the same. What is no number stays as it is.
pub fn numbered(text: &str) -> String {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    format!("{:0>3}", text.trim_start_matches('0'))
}

impl Sess {
    /// The next number, higher than every one that was given or that a file here has. It is given whether or not a
    /// session comes of it.
    pub fn next_number(&self) -> Result<Name> {
        let lock = self.lock()?;
        let last = self.last(&lock)?;
        let next = last + 1;
        if next > MOST {
            let why = format!("number {last} was given, and no higher one is left");
            return Err(Error::refused(self.path.join(super::LOCK), why));
        }
        self.remember(&lock, next)?;
        Ok(numbered(&next.to_string()).parse()?)
    }

    /// `name` was chosen by a person: if it is a number that counts, the next one is higher.
    pub fn given(&self, name: &Name) -> Result<()> {
        if let Some(number) = number(name.as_str()) {
            let lock = self.lock()?;
            if number > self.last(&lock)? {
                self.remember(&lock, number)?;
            }
        }
        Ok(())
    }

    /// The highest number that anything here remembers.
    fn last(&self, lock: &OwnedFd) -> Result<u32> {
        let mut text = [0; WIDTH];
        let read = rustix::io::pread(lock, &mut text, 0).map_err(self.failed("read"))?;
        let given = std::str::from_utf8(&text[..read]);
        let given = given.ok().and_then(|text| number(text.trim_end()));
        let files = files::entries(self.fd()).map_err(self.failed("read"))?;
        let shown = files
            .iter()
            .filter_map(|(file, _)| number(super::sweep::whose(file)?));
        Ok(shown.chain(given).max().unwrap_or(0))
    }

    /// Always as many bytes, in one call: what was there before is gone without being cut off, which takes a file system
    /// longer than all else here.
    fn remember(&self, lock: &OwnedFd, number: u32) -> Result<()> {
        let text = format!("{number:0WIDTH$}\n");
        match rustix::io::pwrite(lock, text.as_bytes(), 0) {
            Ok(written) if written == text.len() => Ok(()),
            Ok(_) => Err(self.failed("write")(Errno::NOSPC)),
            Err(errno) => Err(self.failed("write")(errno)),
        }
    }

    fn failed(&self, act: &'static str) -> impl Fn(Errno) -> Error {
        move |errno| Error::io(act, self.path.join(super::LOCK), errno)
    }
}

fn number(text: &str) -> Option<u32> {
    let number = crate::record::number(text)?;
    u32::try_from(number).ok().filter(|number| *number <= MOST)
}
