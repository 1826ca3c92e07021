//! Who belongs to whom: sessions hold process groups, those hold processes, and those hold threads.
//!
//! A model for kernels and for programs that watch processes; it starts nothing and asks nobody. `no_std` with
//! `alloc`. The interface is that of `axprocess`: a program written for it compiles with this crate in its place.
//!
//! ```
//! use session_hierarchy::{Process, init_proc};
//!
//! Process::new_init(1).build();
//! let init = init_proc();
//! let shell = init.new_child();
//! let (session, group) = shell.create_session().unwrap();
//! assert_eq!((session.sid(), group.pgid()), (shell.pid(), shell.pid()));
//!
//! let job = shell.fork(100).build();
//! let jobs = job.create_group().unwrap();
//! assert_eq!(session.process_groups().len(), 2);
//!
//! job.exit();
//! job.free();
//! assert!(jobs.processes().is_empty());
//! assert_eq!(session.process_groups().len(), 1);
//! ```
//!
//! # Who keeps whom
//!
//! Strong references point upward, from a thread to its process, from a process to its group, from a group to its
//! session; weak ones point downward. So a group lives as long as a process is in it and a session as long as it
//! has a group, and both disappear by themselves. The one exception: a process keeps its children, until they
//! are freed. A process can be held after [`Process::free`]; it keeps no group and no session alive then.
//!
//! # Rules
//!
//! * A process belongs to one group from [`ProcessBuilder::build`] to [`Process::free`], also as a zombie and while
//!   it moves; then to none.
//! * A session lists a group while a process is in it, and never afterwards. There is one object for each group
//!   of a session, however many threads create it at once.
//! * A process leading a group, or of whose number its session has a group, cannot create a session (`EPERM` of
//!   setsid(2)); one leading a group cannot create another.
//! * A process does not move to a group of another session (`EPERM` of setpgid(2)).
//! * When a process exits, its children go to its nearest living ancestor that is a child subreaper
//!   (`PR_SET_CHILD_SUBREAPER` of prctl(2)), else to init. At every moment each is among the children of one.
//!   What a process forks that has exited already goes there at once.
//! * Init neither exits nor is freed.
//! * The exit of a thread counts once.
//!
//! # Locks
//!
//! Everything can be shared between threads. The lock is chosen by feature:
//!
//! | features | lock | for |
//! | --- | --- | --- |
//! | `std` (default) | `Mutex` of the crate `spin`; who waits pauses ever longer, then sleeps | programs |
//! | `kspin` | `SpinNoIrq` of the crate `kspin` | kernels: keeps interrupts off while held |
//! | neither | as with `std`, but who waits never sleeps | what has neither an operating system nor interrupts that come here |
//!
//! A kernel depends on it with `default-features = false, features = ["kspin"]`; one that preempts itself also turns on
//! `kernel_guard/preempt` and says there how. Under constant contention a patient waiter is late by some 20 µs, seldom
//! by milliseconds (`docs/adr/0013-the-lock-of-the-hierarchy.md`).
//!
//! `kspin` without its own feature `smp` leaves the lock out and only keeps interrupts off, which is enough on one
//! processor and nothing at all where there are threads. So `kspin` here always turns `smp` on: the lock is a real
//! one, on a kernel with one processor too, where it costs an atomic exchange that never waits. On a hosted target
//! `kspin` cannot keep interrupts off and is a plain spin lock. No combination of features leaves a lock out.
//!
//! Each object has a lock. They are taken in this order and never the other way: processes, the older one first (so
//! an ancestor before its descendants, which never changes; init before all); then a session; then groups. Two
//! groups at a time are locked only while their session is. No lock is held while code of a caller runs, but for
//! that of [`Session::set_terminal_with`].

#![no_std]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(any(feature = "std", loom))]
extern crate std;

mod builder;
mod init;
mod key;
mod lock;
mod picture;
mod process;
mod process_group;
mod session;
mod thread;

pub use builder::ProcessBuilder;
pub use init::init_proc;
pub use picture::{Picture, Sighting};
pub use process::Process;
pub use process_group::ProcessGroup;
pub use session::Session;
pub use thread::{Thread, ThreadBuilder};

/// The number of a process; also of a session, a process group (those of their founders) and a thread.
pub type Pid = u32;
