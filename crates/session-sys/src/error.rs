//! The crate's error enum, for acts made of several system calls; a single call returns its `io::Error`.

use std::io;

/// What could not be done while a process was created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The socket pair that is gate and report in one.
    #[error("cannot make the channel to a new process")]
    Channel(#[source] io::Error),
    /// The signal mask around the creation.
    #[error("cannot block signals around the creation of a process")]
    Mask(#[source] io::Error),
    /// The process itself: `EAGAIN` means a limit on processes, `ENOMEM` memory.
    #[error("cannot create a process")]
    Create(#[source] io::Error),
    /// The descriptor that refers to the new process.
    #[error("cannot open a descriptor of the new process")]
    Pidfd(#[source] io::Error),
}
