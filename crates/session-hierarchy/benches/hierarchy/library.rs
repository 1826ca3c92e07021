//! What is measured, under the same names for both: this crate and its published peer.

use std::sync::Arc;

/// A library that knows who belongs to whom.
pub(crate) trait Library {
    const NAME: &str;
    type Process: Send + Sync;
    type Group: Send + Sync;

    fn init() -> Arc<Self::Process>;
    fn fork(parent: &Arc<Self::Process>, pid: u32) -> Arc<Self::Process>;
    /// `reaper` is for a library whose caller has to know who takes the orphans.
    fn exit(process: &Arc<Self::Process>, reaper: &Arc<Self::Process>);
    fn free(process: &Arc<Self::Process>);
    fn create_session(process: &Arc<Self::Process>) -> bool;
    fn create_group(process: &Arc<Self::Process>) -> Option<Arc<Self::Group>>;
    fn move_to_group(process: &Arc<Self::Process>, group: &Arc<Self::Group>) -> bool;
    fn group(process: &Arc<Self::Process>) -> Arc<Self::Group>;
    fn processes(group: &Arc<Self::Group>) -> Vec<Arc<Self::Process>>;
}

/// A library with the calls that both have, and what it has of its own.
macro_rules! library {
    ($library:ident, $name:literal, $krate:ident, { $($own:tt)* }) => {
        pub(crate) struct $library;

        impl Library for $library {
            const NAME: &str = $name;
            type Process = $krate::Process;
            type Group = $krate::ProcessGroup;

            $($own)*

            fn create_session(process: &Arc<Self::Process>) -> bool {
                process.create_session().is_some()
            }

            fn create_group(process: &Arc<Self::Process>) -> Option<Arc<Self::Group>> {
                process.create_group()
            }

            fn move_to_group(process: &Arc<Self::Process>, group: &Arc<Self::Group>) -> bool {
                process.move_to_group(group)
            }

            fn group(process: &Arc<Self::Process>) -> Arc<Self::Group> {
                process.group()
            }

            fn processes(group: &Arc<Self::Group>) -> Vec<Arc<Self::Process>> {
                group.processes()
            }
        }
    };
}

library!(Ours, "session-hierarchy", session_hierarchy, {
    fn init() -> Arc<Self::Process> {
        session_hierarchy::Process::new_init(1).build()
    }

    fn fork(parent: &Arc<Self::Process>, pid: u32) -> Arc<Self::Process> {
        parent.fork(pid).build()
    }

    fn exit(process: &Arc<Self::Process>, _: &Arc<Self::Process>) {
        process.exit();
    }

    fn free(process: &Arc<Self::Process>) {
        process.free();
    }
});

// The published successor of axprocess.
library!(Peer, "starry-process 0.4.16", starry_process, {
    fn init() -> Arc<Self::Process> {
        starry_process::Process::new_init(1)
    }

    fn fork(parent: &Arc<Self::Process>, pid: u32) -> Arc<Self::Process> {
        parent.fork(pid)
    }

    fn exit(process: &Arc<Self::Process>, reaper: &Arc<Self::Process>) {
        process.reparent_children_to(reaper);
    }

    fn free(process: &Arc<Self::Process>) {
        process.retire();
    }
});
