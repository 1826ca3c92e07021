//! A thread, and what the threads of a process share.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

use crate::key::Key;
use crate::process::Data;
use crate::{Pid, Process};

/// A thread of a process, made by [`Process::new_thread`].
///
/// It is one of the process's threads until it exits or nobody holds it any more.
pub struct Thread {
    key: Key,
    process: Arc<Process>,
    data: Data,
}

/// Makes a [`Thread`].
#[must_use = "nothing is made before `build`"]
pub struct ThreadBuilder {
    tid: Pid,
    process: Arc<Process>,
    data: Data,
}

/// The threads of a process, and how it ended.
#[derive(Default)]
pub(crate) struct ThreadGroup {
    threads: BTreeMap<Key, Weak<Thread>>,
    pub(crate) exit_code: i32,
    pub(crate) has_exited: bool,
}

impl ThreadGroup {
    pub(crate) fn living(&self) -> Vec<Arc<Thread>> {
        self.threads.values().filter_map(Weak::upgrade).collect()
    }
}

impl Thread {
    /// Its number.
    pub fn tid(&self) -> Pid {
        self.key.number
    }

    /// The process it belongs to.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// What [`ThreadBuilder::data`] gave it, if that is a `T`.
    pub fn data<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.data.downcast_ref()
    }

    /// Ends it: `true` if it was the last of its process.
    ///
    /// Its code becomes that of the process, unless that is [group-exited](Process::group_exit). Only the first
    /// call counts: another changes nothing and is never the last.
    ///
    /// ```
    /// # use session_hierarchy::Process;
    /// let process = Process::new_root(1).build();
    /// let one = process.new_thread(1).build();
    /// let two = process.new_thread(2).build();
    /// assert!(!one.exit(3));
    /// assert!(!one.exit(4));
    /// assert_eq!(process.exit_code(), 3);
    /// assert!(two.exit(5));
    /// assert!(!two.exit(6));
    /// assert_eq!(process.exit_code(), 5);
    /// ```
    pub fn exit(&self, exit_code: i32) -> bool {
        let mut group = self.process.threads.lock();
        let left = group.threads.remove(&self.key);
        if left.is_some() && !group.has_exited {
            group.exit_code = exit_code;
        }
        left.is_some() && group.threads.is_empty()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.process.threads.lock().threads.remove(&self.key);
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Thread({}, process={})",
            self.tid(),
            self.process.pid()
        )
    }
}

impl ThreadBuilder {
    pub(crate) fn new(tid: Pid, process: &Arc<Process>) -> Self {
        Self {
            tid,
            process: process.clone(),
            data: Box::new(()),
        }
    }

    /// Gives the thread something of the caller's to carry; the last call counts.
    pub fn data<T: Any + Send + Sync>(mut self, data: T) -> Self {
        self.data = Box::new(data);
        self
    }

    /// Makes the thread, one of its process's from here on.
    pub fn build(self) -> Arc<Thread> {
        let Self { tid, process, data } = self;
        let thread = Arc::new_cyclic(|place| Thread {
            key: Key::of(tid, place),
            process,
            data,
        });
        let mut group = thread.process.threads.lock();
        group.threads.insert(thread.key, Arc::downgrade(&thread));
        drop(group);
        thread
    }
}
